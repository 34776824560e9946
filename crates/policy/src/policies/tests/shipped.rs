//! The shipped rules against what they are meant to say, written out plainly.

use std::collections::BTreeSet;

use super::*;
use crate::{Asked, Contract, Intent, Risk};

/// One call of a tool.
#[derive(Debug, Clone, Copy)]
struct Case {
    attestation: u8,
    known: bool,
    read_only: bool,
    contract: Contract,
    label: &'static str,
    risk: Risk,
    intent: Intent,
    consent: Option<Asked>,
}

fn every_case() -> Vec<Case> {
    let contracts = [Contract::Held, Contract::Quarantined];
    let labels = ["", "external-sink", "approval", "operator-approval"];
    let intents = [Intent::Unstated, Intent::Anchored, Intent::Unanchored];
    let consents = [None, Some(Asked::Client), Some(Asked::Operator)];
    let mut all = Vec::new();
    for attestation in [10, 20] {
        for (known, read_only) in [(true, true), (true, false), (false, false)] {
            for contract in contracts {
                for label in labels {
                    for risk in (0..8).map(Risk::from_bits) {
                        for intent in intents {
                            all.extend(consents.map(|consent| Case {
                                attestation,
                                known,
                                read_only,
                                contract,
                                label,
                                risk,
                                intent,
                                consent,
                            }));
                        }
                    }
                }
            }
        }
    }
    all
}

/// Code or `ok`, and the rules that decide, in their order.
type Outcome = (&'static str, BTreeSet<&'static str>);

fn meant(case: Case) -> Outcome {
    let holds = |rules: &[(bool, &'static str)]| -> BTreeSet<&'static str> {
        let rules = rules.iter().filter(|(holds, _)| *holds);
        rules.map(|(_, id)| *id).collect()
    };
    let proven = case.attestation >= 20;
    let changes = !case.read_only;
    let unasked = changes && case.intent == Intent::Unanchored;
    let permits = holds(&[
        (
            case.known && case.read_only,
            "read-only-tools-by-every-caller",
        ),
        (case.known && proven, "effect-tools-by-proven-callers"),
    ]);
    let firm = holds(&[
        (case.known && changes && !proven, "effect-tools-need-proof"),
        (case.contract == Contract::Quarantined, "quarantined-tools"),
        (unasked && case.risk.flagged, "change-after-injection"),
    ]);
    let ask = holds(&[
        (
            case.label == "external-sink" && case.risk.untrusted && case.risk.private,
            "toxic-flow",
        ),
        (unasked, "change-nobody-asked-for"),
        (changes && case.risk.flagged, "change-in-flagged-session"),
    ]);
    if !firm.is_empty() || (!ask.is_empty() && permits.is_empty()) {
        return ("POL-002", &firm | &ask);
    }
    if permits.is_empty() {
        return ("POL-001", BTreeSet::new());
    }
    let by_rule = (!ask.is_empty()).then_some(Asked::Client);
    let by_label = match case.label {
        "approval" => Some(Asked::Client),
        "operator-approval" => Some(Asked::Operator),
        _ => None,
    };
    let needed = by_rule.max(by_label);
    if case.consent >= needed {
        return ("ok", permits);
    }
    let why = if by_rule == needed {
        ask
    } else {
        BTreeSet::new()
    };
    match needed {
        Some(Asked::Operator) => ("POL-043", why),
        _ => ("POL-042", why),
    }
}

#[test]
fn shipped_rules_say_what_they_are_meant_to() {
    let policies = Policies::builtin();
    let engine = policies.engine(&server("travel"));
    let tenant = TenantId::default();
    let mut decided_by = BTreeSet::new();
    for case in every_case() {
        let labels: Vec<String> = match case.label {
            "" => Vec::new(),
            label => vec![label.to_owned()],
        };
        let facts = Facts {
            principal: Principal {
                attestation: case.attestation,
                ..principal("key", &tenant, &[])
            },
            action: Action::CallTool,
            target: Target::Tool {
                name: "book",
                traits: ToolTraits {
                    known: case.known,
                    read_only: case.read_only,
                    ..ToolTraits::default()
                },
                standing: Standing {
                    contract: case.contract,
                    labels: &labels,
                    sensitivity: 1,
                },
            },
            context: Circumstances {
                risk: case.risk,
                intent: case.intent,
                consent: case.consent,
                ..bare()
            },
        };
        let meant = meant(case);
        let decided = engine.decide(&facts, ());
        let (code, ids) = match &decided {
            Ok(permit) => ("ok", permit.policies()),
            Err(refusal) => (refusal.fault().code(), refusal.policies()),
        };
        let ids: BTreeSet<&str> = ids.iter().map(PolicyId::as_str).collect();
        assert_eq!((code, &ids), (meant.0, &meant.1), "{case:?}");
        decided_by.extend(meant.1);
    }
    let about_tools = policies.policies().map(|policy| policy.id().to_string());
    let others = ["read-by-every-caller", "tasks-by-every-caller"];
    let missing: Vec<_> = about_tools
        .filter(|id| !others.contains(&id.as_str()) && !decided_by.contains(id.as_str()))
        .collect();
    assert!(missing.is_empty(), "rules that never decided: {missing:?}");
}
