use airside_ledger::Kind;
use jiff::civil::date;
use serde_json::json;

use super::*;

/// A call of `server` by a caller of `kind`, answered on this day of November.
type Call<'a> = (&'a str, &'a str, i8);

fn take(calls: &mut Calls, (server, kind, day): Call<'_>) -> bool {
    let body = json!({"subject": {"caller": {"id": "x", "kind": kind}, "server": server}});
    let body = body.to_string();
    let entry = const { Kind::new("call.completed") };
    let fact = Fact {
        kind: &entry,
        version: 1,
        subject: "c-1",
        body: body.as_bytes(),
    };
    calls.take(fact, date(2026, 11, day))
}

/// Who has reached `crm` by the 30th of November, with a window of ten days.
fn check(all: &[Call<'_>], before: &Reached, expected: &str) -> Reached {
    let mut calls = Calls::default();
    for call in all {
        take(&mut calls, *call);
    }
    let reached = calls.reached(Some("crm"), before, date(2026, 11, 30), 10);
    let widest = reached.widest().map(|(caller, reach)| {
        let kind = &caller.kind;
        format!("; {reach:?} by {kind}")
    });
    let got = match reached.is_unknown() {
        true => "unknown".to_owned(),
        false => format!("{}{}", reached.words(), widest.unwrap_or_default()),
    };
    assert_eq!(got, expected, "{all:?}");
    reached
}

#[test]
fn calls_tell_who_reaches_a_server() {
    let nothing = Reached::default();
    check(&[], &nothing, "unknown");
    check(&[("hotels", "token", 29)], &nothing, "unknown");
    check(
        &[("crm", "api_key", 25), ("crm", "anonymous", 26)],
        &nothing,
        "called by processes of this machine since 2026-11-26, holders of a key since 2026-11-25",
    );
    check(
        &[("crm", "token", 25), ("crm", "token", 29)],
        &nothing,
        "called by clients with a token since 2026-11-25; Identified by token",
    );
    check(
        &[("crm", "token", 21), ("crm", "ip_range", 29)],
        &nothing,
        "called by public AI clients (by their address) since 2026-11-29, clients with a token since 2026-11-21; Public by ip_range",
    );
}

#[test]
fn what_nobody_does_any_more_is_told_with_its_day() {
    let nothing = Reached::default();
    let quiet = check(
        &[("crm", "ip_range", 3)],
        &nothing,
        "nobody has called it since 2026-11-03",
    );
    assert_eq!(quiet.widest(), None);
    check(&[], &quiet, "nobody has called it since 2026-11-03");
}

#[test]
fn days_stay_as_long_as_a_kind_keeps_calling() {
    let before = check(
        &[("crm", "token", 21)],
        &Reached::default(),
        "called by clients with a token since 2026-11-21; Identified by token",
    );
    let after = check(
        &[("crm", "token", 28)],
        &before,
        "called by clients with a token since 2026-11-21; Identified by token",
    );
    assert_eq!(
        after, before,
        "a further call changes nothing that is stored"
    );
}

#[test]
fn what_was_known_stays_where_not_every_call_of_the_window_was_read() {
    let before = Reached {
        callers: vec![Since {
            kind: "ip_range".to_owned(),
            since: date(2026, 11, 21),
        }],
        quiet_since: None,
    };
    let today = date(2026, 11, 30);
    let since = |day| {
        let mut calls = Calls::default();
        calls.knows_all_since(day);
        calls
    };
    let part = since(date(2026, 11, 29));
    assert_eq!(part.reached(Some("crm"), &before, today, 10), before);
    let whole = since(date(2026, 11, 20));
    assert!(whole.reached(Some("crm"), &before, today, 10).is_unknown());
}

#[test]
fn a_new_kind_of_caller_is_noticed_once() {
    let mut calls = Calls::default();
    assert!(take(&mut calls, ("crm", "token", 20)));
    assert!(!take(&mut calls, ("crm", "token", 21)));
    assert!(take(&mut calls, ("hotels", "token", 21)));
    let all = calls.reached(None, &Reached::default(), date(2026, 11, 30), 10);
    assert_eq!(
        all.words(),
        "called by clients with a token since 2026-11-20"
    );
}

#[test]
fn entries_of_others_and_of_other_shapes_say_nothing() {
    let mut calls = Calls::default();
    let body = br#"{"subject":{"caller":{"kind":"token"},"server":"crm"}}"#;
    for (kind, version, body) in [
        (const { Kind::new("call.refused") }, 1, &body[..]),
        (const { Kind::new("call.completed") }, 2, &body[..]),
        (const { Kind::new("call.completed") }, 1, b"{}"),
        (
            const { Kind::new("call.completed") },
            1,
            br#"{"subject":{"caller":{"kind":"token"}}}"#,
        ),
    ] {
        let fact = Fact {
            kind: &kind,
            version,
            subject: "c-1",
            body,
        };
        assert!(!calls.take(fact, date(2026, 11, 1)));
    }
    for number in 0..100 {
        take(&mut calls, ("crm", &format!("kind{number}"), 20));
    }
    let reached = calls.reached(None, &Reached::default(), date(2026, 11, 20), 10);
    assert_eq!(reached.callers.len(), MAX_KINDS, "bounded");
}
