//! Entries of the ledger as rows.

use airside_api::wire::Entry;
use serde_json::Value;

use crate::{
    output::{Align, table},
    text::{cut, printable},
};

/// Headings of the table.
const HEADINGS: [(&str, Align); 7] = [
    ("SEQ", Align::Right),
    ("TIME", Align::Left),
    ("CALLER", Align::Left),
    ("DECISION", Align::Left),
    ("WHAT", Align::Left),
    ("OUTCOME", Align::Left),
    ("DURATION", Align::Right),
];

/// Returns `entries` as a table.
pub(crate) fn rows(entries: &[Entry]) -> String {
    let rows: Vec<Vec<String>> = entries.iter().map(|entry| row(entry).to_vec()).collect();
    table(&HEADINGS, &rows)
}

/// Returns one entry as a line, for following.
pub(crate) fn line(entry: &Entry) -> String {
    let [seq, time, caller, decision, what, outcome, duration] = row(entry);
    format!(
        "{seq:>6}  {time}  {caller:<16}  {decision:<9}  {what:<32}  {outcome:<12}  {duration:>9}"
    )
    .trim_end()
    .to_owned()
}

fn row(entry: &Entry) -> [String; 7] {
    let body: Value = serde_json::from_str(entry.body.get()).unwrap_or_default();
    let text = |pointer: &str| {
        let found = body.pointer(pointer).and_then(Value::as_str);
        found.map(|text| cut(&printable(text), 40))
    };
    let is_call = entry.kind.starts_with("call.");
    let what = match text("/subject/tool").or_else(|| text("/subject/method")) {
        Some(tool) if is_call => match text("/subject/server") {
            Some(server) => format!("{server}/{tool}"),
            None => tool,
        },
        _ => {
            let subject = cut(&printable(&entry.subject), 24);
            let tool = text("/of/tool").filter(|tool| !tool.is_empty());
            let tool = tool.map(|tool| format!("/{tool}")).unwrap_or_default();
            format!("{} {subject}{tool}", printable(&entry.kind))
        }
    };
    let outcome = match entry.kind.as_str() {
        "call.intended" => Some("intended".to_owned()),
        "call.refused" => text("/error_code"),
        _ => text("/outcome"),
    };
    [
        entry.seq.to_string(),
        format!("{:.3}", entry.time),
        text("/subject/caller/id").unwrap_or_default(),
        text("/decision").unwrap_or_default(),
        what,
        outcome.unwrap_or_default(),
        body.pointer("/duration_us")
            .and_then(Value::as_u64)
            .map(duration)
            .unwrap_or_default(),
    ]
}

/// A duration with the unit that suits it.
fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!(
            "{}.{:02} s",
            micros / 1_000_000,
            micros % 1_000_000 / 10_000
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, body: &str) -> Entry {
        Entry {
            seq: 7,
            time: "2026-11-23T12:00:00.123456Z".parse().unwrap(),
            tenant: "default".into(),
            kind: kind.into(),
            version: 1,
            subject: "call 1".into(),
            body: serde_json::value::RawValue::from_string(body.into()).unwrap(),
            prev: String::new(),
            hash: String::new(),
        }
    }

    #[test]
    fn call_shows_who_what_and_how_long() {
        let body = r#"{"subject":{"caller":{"id":"ci\u001b"},"server":"travel","method":
            "tools/call","tool":"search_hotels"},"decision":"permitted","outcome":"ok",
            "duration_us":1234}"#;
        let shown = row(&entry("call.completed", body));
        let expected = [
            "7",
            "2026-11-23T12:00:00.123Z",
            "ci\\u{1b}",
            "permitted",
            "travel/search_hotels",
            "ok",
            "1.2 ms",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn other_entries_show_their_kind() {
        let shown = row(&entry("config.loaded", r#"{"digest":"ab"}"#));
        assert_eq!(shown[4], "config.loaded call 1");
        let shown = row(&entry("contract.held", r#"{"of":{"tool":"find\u001b"}}"#));
        assert_eq!(shown[4], "contract.held call 1/find\\u{1b}");
    }

    #[test]
    fn durations_have_a_fitting_unit() {
        let shown: Vec<String> = [999, 1_000, 999_999, 1_234_567].map(duration).to_vec();
        assert_eq!(shown, ["999 µs", "1.0 ms", "999.9 ms", "1.23 s"]);
    }
}
