use serde::de::DeserializeOwned;

use super::*;

/// Compares `now` as it is written with the golden line, and reads that back.
fn check<T>(golden: &'static str, now: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    assert_eq!(serde_json::to_string(now).unwrap(), golden.trim_end());
    assert_eq!(&serde_json::from_str::<T>(golden).unwrap(), now);
}

fn subject() -> Subject<'static> {
    Subject {
        call: "0199a2f0-0000-7000-8000-000000000000".into(),
        caller: Caller {
            id: "ci".into(),
            kind: "api_key".into(),
            attestation: "api_key".into(),
        },
        client: Some("inspector/2.12.0".into()),
        endpoint: "/mcp".into(),
        server: Some("hotels".into()),
        method: "tools/call".into(),
        tool: Some("book".into()),
        revision: Some("2026-07-28".into()),
        request_bytes: 412,
        trace: None,
    }
}

#[test]
fn intended_1_with_a_trace_decodes_for_ever() {
    let event = Intended {
        subject: Subject {
            trace: Some("0af7651916cd43dd8448eb211c80319c".into()),
            ..subject()
        },
        policies: vec!["effects-by-keys".into()],
    };
    let golden = include_str!("golden/call.intended.1.traced.json");
    check(golden, &event);
}

#[test]
fn intended_1_decodes_for_ever() {
    let event = Intended {
        subject: subject(),
        policies: vec!["effects-by-keys".into()],
    };
    check(include_str!("golden/call.intended.1.json"), &event);
}

#[test]
fn completed_1_decodes_for_ever() {
    let event = Completed {
        subject: subject(),
        decision: "permitted".into(),
        policies: vec!["effects-by-keys".into()],
        outcome: Outcome::RpcError,
        error_code: Some("-32602".into()),
        http_status: Some(200),
        duration_us: 1234,
        response_bytes: 5678,
        identity: None,
        limits: Vec::new(),
        firewall: Vec::new(),
        contract: None,
        policy: None,
    };
    check(include_str!("golden/call.completed.1.json"), &event);
}

#[test]
fn refused_1_decodes_for_ever() {
    let event = Refused {
        subject: Subject {
            client: None,
            server: None,
            tool: None,
            revision: None,
            ..subject()
        },
        decision: "refused".into(),
        policies: Vec::new(),
        error_code: "POL-001".into(),
        http_status: 403,
        duration_us: 12,
        identity: None,
        limits: Vec::new(),
        firewall: Vec::new(),
        contract: None,
        policy: None,
    };
    check(include_str!("golden/call.refused.1.json"), &event);
}

fn noted() -> Noted<'static> {
    Noted {
        identity: Some(Identity {
            verifier: "api_key".into(),
            evidence: vec!["key ci".into()],
            issuer: Some("https://idp.example".into()),
            client: Some("portal".into()),
            subject: Some("q1w2".into()),
            actors: vec!["agent".into()],
            scopes: vec!["hotels.read".into()],
        }),
        limits: vec![Limit {
            limit: "calls-per-tenant".into(),
            key: "tenant".into(),
            cost: 2,
            remaining: 58,
        }],
        firewall: vec![Hit {
            rule: "card-number".into(),
            action: "redact".into(),
            place: "arguments/note".into(),
            fingerprint: "sha256:0f1e".into(),
        }],
        contract: Some(Contract {
            digest: "sha256:aa01".into(),
            state: "accepted".into(),
        }),
        policy: Some(Policy {
            version: "sha256:bb02".into(),
            ..Policy::default()
        }),
    }
}

#[test]
fn what_was_noted_decodes_for_ever() {
    let Noted {
        identity,
        limits,
        firewall,
        contract,
        policy,
    } = noted();
    let completed = Completed {
        subject: subject(),
        decision: "permitted".into(),
        policies: vec!["effects-by-keys".into()],
        outcome: Outcome::Ok,
        error_code: None,
        http_status: Some(200),
        duration_us: 1234,
        response_bytes: 5678,
        identity: identity.clone(),
        limits: limits.clone(),
        firewall: firewall.clone(),
        contract: contract.clone(),
        policy: policy.clone(),
    };
    let golden = include_str!("golden/call.completed.1.noted.json");
    check(golden, &completed);
    let refused = Refused {
        subject: subject(),
        decision: "refused".into(),
        policies: Vec::new(),
        error_code: "POL-001".into(),
        http_status: 403,
        duration_us: 12,
        identity,
        limits,
        firewall,
        contract,
        policy,
    };
    check(include_str!("golden/call.refused.1.noted.json"), &refused);
}

#[test]
fn what_policies_looked_at_decodes_for_ever() {
    let mut policy = Policy {
        version: "bb02".into(),
        at_us: Some(1_795_435_200_000_000),
        groups: vec!["booking".into()],
        scopes: vec!["hotels:write".into()],
        client: Some("https://client.example/id".into()),
        issuer: Some("https://issuer.example".into()),
        tool: Some(Traits {
            known: true,
            read_only: false,
            destructive: true,
            idempotent: false,
            open_world: true,
            contract: "accepted".into(),
            labels: vec!["external-sink".into()],
            sensitivity: 2,
        }),
        region: Some("eu".into()),
        risk: 3,
        intent: Some("unanchored".into()),
        arguments: [
            ("amount".into(), Value::Integer(1050)),
            ("market".into(), Value::Text("CH".into())),
            ("sure".into(), Value::Flag(true)),
            ("tags".into(), Value::Texts(vec!["a".into()])),
        ]
        .into(),
        withheld: vec!["recipient".into()],
        asks: None,
        approval: Some(Approval {
            id: "apr_1".into(),
            by: Some("operator".into()),
        }),
    };
    check(include_str!("golden/policy.1.json"), &policy);
    policy.asks = Some("operator".into());
    check(include_str!("golden/policy.1.asks.json"), &policy);
}

#[test]
fn outcomes_are_written_as_they_are_called() {
    for outcome in [
        Outcome::Ok,
        Outcome::ToolError,
        Outcome::InputRequired,
        Outcome::Task,
        Outcome::RpcError,
        Outcome::HttpError,
        Outcome::Cancelled,
        Outcome::Timeout,
        Outcome::Broken,
        Outcome::Unsent,
        Outcome::Unanswered,
    ] {
        let written = serde_json::to_string(&outcome).unwrap();
        assert_eq!(written, format!("\"{}\"", outcome.as_str()));
    }
}
