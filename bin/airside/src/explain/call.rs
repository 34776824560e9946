//! How one call was decided, from the ledger.

use airside_api::wire::Entry;
use airside_base::{Fault, Kind, TenantId};
use serde_json::{Value, json};

use crate::{
    cli,
    failure::{Exit, Failure},
    ledger::source::Source,
    output::Out,
    target::block_on,
    text::{cut, printable},
};

/// Longest text of one value.
const MAX_TEXT: usize = 200;

/// Runs `airside explain call ID`.
pub(super) fn run(args: &cli::Explain, id: &str, out: &mut Out) -> Result<(), Failure> {
    let tenant = &args.chain.tenant;
    let entries = block_on(async {
        let source = Source::open(&args.node).await?;
        let entries = gather(&source, tenant, id).await;
        source.close().await;
        entries
    })?;
    if !entries.iter().any(|entry| entry.kind.starts_with("call.")) {
        return Err(unknown(id));
    }
    if out.is_json() {
        return out.json_pretty(&json!({ "call": id, "entries": entries }));
    }
    for line in lines(id, &entries) {
        out.line(&line)?;
    }
    Ok(())
}

/// The entries about a call, then those about the agreement that it was sent with or
/// waited for.
async fn gather(source: &Source, tenant: &TenantId, id: &str) -> Result<Vec<Entry>, Failure> {
    let mut entries = source.about(tenant, id).await?;
    let approval = entries.iter().find_map(|entry| {
        let approval = body(entry)
            .pointer("/policy/approval/id")?
            .as_str()?
            .to_owned();
        Some(approval)
    });
    if let Some(approval) = approval {
        entries.extend(source.about(tenant, &approval).await?);
    }
    Ok(entries)
}

fn body(entry: &Entry) -> Value {
    serde_json::from_str(entry.body.get()).unwrap_or_default()
}

fn unknown(id: &str) -> Failure {
    let fault = Fault::new(
        Kind::NotFound,
        "CLI-042",
        format!("the ledger has no call `{}`", printable(&cut(id, 64))),
    );
    let hint = "see `airside ledger tail --json`; calls of another tenant need --tenant";
    Failure::new(Exit::Failed, fault.with_hint(hint))
}

/// One value as it is shown.
fn text(value: &Value) -> String {
    let plain = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| format!("{name} {}", text(value)));
            members.collect::<Vec<_>>().join(", ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    cut(&printable(&plain), MAX_TEXT)
}

fn lines(id: &str, entries: &[Entry]) -> Vec<String> {
    let mut page = Page(vec![format!("call {}", printable(id))]);
    let is_end = |entry: &&Entry| ["call.completed", "call.refused"].contains(&&*entry.kind);
    if let Some(entry) = entries.iter().find(is_end).or(entries.first()) {
        page.who(&entry.tenant, &body(entry));
        page.how(&body(entry));
    }
    page.0.push("entries".to_owned());
    for entry in entries {
        let body = body(entry);
        let word = printable(&telling(&body));
        let line = format!(
            "  {:>6}  {:.3}  {}  {word}",
            entry.seq,
            entry.time,
            printable(&entry.kind)
        );
        page.0.push(line.trim_end().to_owned());
    }
    page.0
}

/// What an entry says in a few words.
fn telling(body: &Value) -> String {
    let at = |key: &str| body.get(key).map(text);
    // Who decided about an approval, and why.
    let by = |word: String| {
        let by = at("name").or_else(|| at("by"));
        let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
        let reason = at("reason").map(|reason| format!(": {reason}"));
        format!("{word}{by}{}", reason.unwrap_or_default())
    };
    let words = [
        at("outcome"),
        at("decision").map(by),
        at("asked"),
        at("call"),
    ];
    words.into_iter().flatten().next().unwrap_or_default()
}

/// The lines about a call.
struct Page(Vec<String>);

impl Page {
    fn add(&mut self, name: &str, text: &str) {
        if !text.trim().is_empty() {
            self.0.push(format!("  {name:<10} {}", text.trim()));
        }
    }

    /// What was called by whom, and what proved it.
    fn who(&mut self, tenant: &str, body: &Value) {
        let at = |pointer: &str| body.pointer(pointer).map(text).unwrap_or_default();
        let (method, server) = (at("/subject/method"), at("/subject/server"));
        self.add(
            "what",
            &format!("{method} {server} {}", at("/subject/tool")),
        );
        let (kind, id) = (at("/subject/caller/kind"), at("/subject/caller/id"));
        let attestation = at("/subject/caller/attestation");
        self.add("caller", &format!("{kind}/{id} ({attestation})"));
        self.add("tenant", &printable(tenant));
        self.add("trace", &at("/subject/trace"));
        self.add("identity", &at("/identity/verifier"));
        for item in items(body, "/identity/evidence") {
            self.add("", &text(item));
        }
        for name in ["issuer", "client", "subject", "actors", "scopes"] {
            if let Some(value) = body.pointer(&format!("/identity/{name}")) {
                self.add("", &format!("{name} {}", text(value)));
            }
        }
    }

    /// What was decided, on which grounds.
    fn how(&mut self, body: &Value) {
        let at = |pointer: &str| body.pointer(pointer).map(text).unwrap_or_default();
        for item in items(body, "/limits") {
            let [limit, cost, key, left] =
                ["limit", "cost", "key", "remaining"].map(|name| text(&item[name]));
            self.add(
                "limit",
                &format!("{limit}: cost {cost} of {key}, {left} left"),
            );
        }
        self.add(
            "decision",
            &format!("{} by {}", at("/decision"), named(body)),
        );
        self.add("code", &at("/error_code"));
        self.policy(body);
        for item in items(body, "/firewall") {
            let [rule, action, place, print] =
                ["rule", "action", "where", "fingerprint"].map(|name| text(&item[name]));
            self.add(
                "firewall",
                &format!("{rule}: {action} at {place} ({print})"),
            );
        }
        let (state, digest) = (at("/contract/state"), at("/contract/digest"));
        self.add("contract", &format!("{state} {digest}"));
        self.add("outcome", &at("/outcome"));
    }

    /// What the policies looked at.
    fn policy(&mut self, body: &Value) {
        let Some(policy) = body.get("policy").and_then(Value::as_object) else {
            return;
        };
        for (name, value) in policy {
            let shown = match (name.as_str(), value) {
                ("at_us", _) => continue,
                ("risk", Value::Number(bits)) => seen(bits.as_u64().unwrap_or(0)),
                ("arguments", Value::Object(arguments)) => named_values(arguments),
                (_, value) => text(value),
            };
            self.add(if name == "version" { "policy" } else { name }, &shown);
        }
    }
}

/// Arguments of interest, whose values are told with their kind.
fn named_values(arguments: &serde_json::Map<String, Value>) -> String {
    let shown = arguments.iter().map(|(name, value)| {
        let value = value.as_object().and_then(|kinds| kinds.values().next());
        format!("{name}={}", value.map(text).unwrap_or_default())
    });
    cut(&printable(&shown.collect::<Vec<_>>().join(" ")), MAX_TEXT)
}

/// What a session has seen, in words.
fn seen(bits: u64) -> String {
    let all = [(1, "untrusted"), (2, "private"), (4, "flagged")];
    let seen = all.iter().filter(|(bit, _)| bits & bit != 0);
    seen.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

fn items<'a>(body: &'a Value, pointer: &str) -> &'a [Value] {
    body.pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn named(body: &Value) -> String {
    match text(&body["policies"]) {
        none if none.is_empty() => "no rule".to_owned(),
        rules => rules,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, body: &Value) -> Entry {
        Entry {
            seq: 7,
            time: "2026-11-23T12:00:00.123456Z".parse().unwrap(),
            tenant: "default".into(),
            kind: kind.into(),
            version: 1,
            subject: "c".into(),
            body: serde_json::value::RawValue::from_string(body.to_string()).unwrap(),
            prev: String::new(),
            hash: String::new(),
        }
    }

    #[test]
    fn everything_that_decided_is_shown_and_escaped() {
        let body = json!({
            "subject": { "call": "c", "method": "tools/call", "server": "hotels", "tool": "book\u{1b}[2J",
                "caller": { "id": "ci", "kind": "token", "attestation": "oauth" } },
            "decision": "refused", "policies": ["toxic-flow"], "error_code": "POL-042",
            "identity": { "verifier": "token", "evidence": ["a signed token"], "issuer": "https://i.example", "scopes": ["a", "b"] },
            "limits": [{ "limit": "calls", "key": "tenant", "cost": 2, "remaining": 8 }],
            "firewall": [{ "rule": "card", "action": "redact", "where": "arguments/note", "fingerprint": "f" }],
            "contract": { "digest": "d", "state": "held" },
            "policy": { "version": "v", "at_us": 1, "risk": 3, "arguments": { "amount": { "integer": 5 } } }
        });
        let entries = [
            entry("call.refused", &body),
            entry("approval.requested", &json!({ "asked": "client" })),
        ];
        insta::assert_snapshot!(lines("c", &entries).join("\n"), @r"
        call c
          what       tools/call hotels book\u{1b}[2J
          caller     token/ci (oauth)
          tenant     default
          identity   token
                     a signed token
                     issuer https://i.example
                     scopes a, b
          limit      calls: cost 2 of tenant, 8 left
          decision   refused by toxic-flow
          code       POL-042
          policy     v
          risk       untrusted, private
          arguments  amount=5
          firewall   card: redact at arguments/note (f)
          contract   held d
        entries
               7  2026-11-23T12:00:00.123Z  call.refused  refused
               7  2026-11-23T12:00:00.123Z  approval.requested  client
        ");
    }
}
