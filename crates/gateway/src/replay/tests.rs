use airside_policy::{ArgumentKind, Declared, Settings, Source};
use serde_json::{Value as Json, json};

use super::*;

fn entry(change: impl FnOnce(&mut Json)) -> Recorded {
    let mut body = json!({
        "subject": {
            "call": "c-1",
            "caller": { "id": "ci", "kind": "api_key", "attestation": "api_key" },
            "endpoint": "/mcp", "server": "hotels", "method": "tools/call", "tool": "book",
            "request_bytes": 1
        },
        "decision": "permitted", "policies": ["all"], "outcome": "ok", "duration_us": 1, "response_bytes": 1,
        "policy": {
            "version": "v", "at_us": 1_795_435_200_000_000_i64, "groups": ["staff"],
            "tool": {
                "known": true, "read_only": false, "destructive": true, "idempotent": false,
                "open_world": true, "contract": "accepted", "labels": ["external-sink"], "sensitivity": 2
            },
            "risk": 3, "arguments": { "amount": { "integer": 5 } }, "withheld": ["guest"]
        }
    });
    change(&mut body);
    Recorded::read("call.completed", &body.to_string()).unwrap()
}

#[track_caller]
fn check(condition: &str, call: &Recorded, expected: Result<Outcome, &Unfit>) {
    let declared = |name: &str, kind| Declared {
        name: name.to_owned(),
        kind,
    };
    let settings = Settings {
        arguments: vec![
            declared("amount", ArgumentKind::Integer),
            declared("guest", ArgumentKind::Text),
        ],
        ..Settings::default()
    };
    let text = format!("@id(\"rule\") permit (principal, action, resource) {condition};");
    let source = Source {
        name: "candidate.cedar",
        text: &text,
    };
    let policies = Policies::load(&[source], &settings).unwrap();
    let mut replay = Replay::new(policies, TenantId::default());
    let decided = replay.decide(call);
    let found = decided.as_ref().map(|decided| decided.outcome);
    assert_eq!(found, expected, "{condition}");
}

#[test]
fn a_call_is_decided_by_what_was_known_then() {
    let call = entry(|_| {});
    assert_eq!(call.decided().outcome, Outcome::Permitted);
    for holds in [
        "when { principal in Group::\"staff\" && principal.attestation == 20 }",
        "when { resource is Tool && resource.labels.contains(\"external-sink\") && resource.sensitivity == 2 }",
        "when { resource is Tool && resource.contract == \"accepted\" && resource.known }",
        "when { context.risk.untrusted && context.risk.private && !context.risk.flagged }",
        "when { context.arguments has amount && context.arguments.amount == 5 }",
        "when { context.time.date == 20261123 && context.time.hour == 12 }",
        "when { resource == Tool::\"hotels/book\" }",
    ] {
        check(holds, &call, Ok(Outcome::Permitted));
        let not = holds.replace("when", "unless");
        check(&not, &call, Ok(Outcome::Refused));
    }
    let asks = "when { true || context.risk.private }";
    check(asks, &call, Ok(Outcome::Permitted));
}

#[test]
fn what_is_not_recorded_is_not_guessed() {
    let guest = "when { context.arguments has guest && context.arguments.guest == \"ann\" }";
    let name = Unfit::Argument {
        name: "guest".into(),
    };
    check(guest, &entry(|_| {}), Err(&name));
    let old = entry(|body| body["policy"] = json!({ "version": "v" }));
    check("", &old, Err(&Unfit::NoFacts));
    let older = entry(|body| drop(body.as_object_mut().unwrap().remove("policy")));
    check("", &older, Err(&Unfit::NoFacts));
    let all = entry(|body| drop(body["subject"].as_object_mut().unwrap().remove("server")));
    check("", &all, Err(&Unfit::AllServers));
    let resource = entry(|body| {
        body["subject"]["method"] = json!("resources/read");
        drop(body["subject"].as_object_mut().unwrap().remove("tool"));
    });
    check("", &resource, Ok(Outcome::Permitted));
    let named = "unless { resource == Resource::\"hotels/file:///a\" }";
    check(named, &resource, Err(&Unfit::Name));
    let long = entry(|body| body["subject"]["tool"] = json!("x".repeat(128)));
    check(
        "unless { resource == Tool::\"hotels/x\" }",
        &long,
        Err(&Unfit::Name),
    );
}

#[test]
fn an_agreement_counts_again() {
    let text = "@id(\"rule\") @approval(\"operator\") permit (principal, action, resource);";
    let source = Source {
        name: "candidate.cedar",
        text,
    };
    let policies = Policies::load(&[source], &Settings::default()).unwrap();
    let mut replay = Replay::new(policies, TenantId::default());
    let outcome = |replay: &mut Replay, call: &Recorded| replay.decide(call).unwrap().outcome;
    let plain = entry(|_| {});
    assert_eq!(outcome(&mut replay, &plain), Outcome::Asks(Asked::Operator));
    let agreed =
        entry(|body| body["policy"]["approval"] = json!({ "id": "apr_1", "by": "operator" }));
    assert_eq!(outcome(&mut replay, &agreed), Outcome::Permitted);
    let denied = entry(|body| {
        body["decision"] = json!("refused");
        body["policy"]["asks"] = json!("operator");
        body["policy"]["approval"] = json!({ "id": "apr_1" });
    });
    assert_eq!(denied.decided().outcome, Outcome::Asks(Asked::Operator));
    assert_eq!(
        outcome(&mut replay, &denied),
        Outcome::Asks(Asked::Operator)
    );
    let refused = entry(|body| body["decision"] = json!("refused"));
    assert_eq!(refused.decided().outcome, Outcome::Refused);
}

#[test]
fn other_entries_are_no_calls() {
    assert!(Recorded::read("call.intended", "{}").is_none());
    assert!(Recorded::read("call.completed", "{}").is_none());
}
