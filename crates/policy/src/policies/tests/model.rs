//! Engines against a direct reading of Cedar: each policy asked alone, and the outcome
//! put together by the rules that the documentation gives.

use super::*;
use crate::{Asked, Contract, Intent, Risk};

/// Facts that own what they are made of.
#[derive(Debug, Clone)]
struct Drawn {
    attestation: u8,
    groups: Vec<String>,
    scopes: Vec<String>,
    client: Option<String>,
    known: bool,
    read_only: bool,
    contract: Contract,
    labels: Vec<String>,
    sensitivity: u8,
    second: i64,
    region: &'static str,
    amount: Option<i64>,
    risk: u8,
    intent: Intent,
    consent: Option<Asked>,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let some = |all: &'static [&'static str]| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        proptest::sample::subsequence(all, 0..=2)
    };
    let intent =
        proptest::sample::select(vec![Intent::Unstated, Intent::Anchored, Intent::Unanchored]);
    let consent = proptest::sample::select(vec![None, Some(Asked::Client), Some(Asked::Operator)]);
    let contract = proptest::sample::select(vec![Contract::Accepted, Contract::Quarantined]);
    let labels = some(&["approval", "external-sink", "reads-private"]);
    (
        (
            0_u8..40,
            some(&["booking", "staff"]),
            some(&["read", "write"]),
        ),
        (
            proptest::option::of(Just("c".to_owned())),
            any::<bool>(),
            any::<bool>(),
        ),
        (contract, labels, 0_u8..3),
        (0_i64..172_800, proptest::sample::select(vec!["eu", "us"])),
        (proptest::option::of(0_i64..4), 0_u8..8, intent, consent),
    )
        .prop_map(
            |(
                (attestation, groups, scopes),
                (client, known, read_only),
                (contract, labels, sensitivity),
                (second, region),
                (amount, risk, intent, consent),
            )| Drawn {
                attestation,
                groups,
                scopes,
                client,
                known,
                read_only,
                contract,
                labels,
                sensitivity,
                second,
                region,
                amount,
                risk,
                intent,
                consent,
            },
        )
}

fn rule() -> impl Strategy<Value = String> {
    let asked =
        proptest::sample::select(vec!["", "@approval(\"client\")", "@approval(\"operator\")"]);
    let effect = prop_oneof![2 => Just("permit"), 1 => Just("forbid")];
    let scope = proptest::sample::select(vec![
        "principal, action, resource",
        "principal in Group::\"booking\", action, resource",
        "principal, action == Action::\"call_tool\", resource is Tool",
        "principal, action, resource == Tool::\"travel/book\"",
    ]);
    let condition = proptest::sample::select(vec![
        "true || principal.attestation > 0",
        "principal.attestation >= 20",
        "principal.scopes.contains(\"write\")",
        "principal has client && principal.client == \"c\"",
        "resource is Tool && resource.read_only",
        "resource is Tool && resource.contract == \"quarantined\"",
        "resource is Tool && resource.labels.contains(\"external-sink\")",
        "resource is Tool && resource.sensitivity > 1",
        "context.time.hour < 12",
        "context.time.weekday == 4",
        "context.time.epoch_s < 90000",
        "context.region == \"eu\"",
        "context.risk.untrusted && context.risk.private",
        "context.intent == \"anchored\"",
        "context.arguments has amount && context.arguments.amount > 1",
        // Fails for amounts that are there.
        "context.arguments has amount && context.arguments.amount + 9223372036854775806 > 0",
    ]);
    (asked, effect, scope, condition).prop_map(|(asked, effect, scope, condition)| {
        format!("{asked} {effect} ({scope}) when {{ {condition} }};")
    })
}

/// What the documentation says of the rules that apply.
fn expected(policies: &Policies, facts: &Facts<'_>) -> (Option<Reason>, Vec<String>) {
    let vocabulary = &policies.vocabulary;
    let everything = Reads {
        whole: true,
        ..Reads::default()
    };
    let (request, entities) = vocabulary.question(&server("travel"), facts, &everything, None);
    let authorizer = cedar_policy::Authorizer::new();
    let (mut permits, mut forbids, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for policy in policies.policies() {
        let alone = PolicySet::from_policies([policy.clone()]).unwrap();
        let response = authorizer.is_authorized(&request, &alone, &entities);
        let asked = policy.annotation("approval").and_then(Asked::find);
        let found = (policy.id().to_string(), asked);
        if response.diagnostics().errors().next().is_some() {
            failed.push(found);
        } else if response.diagnostics().reason().next().is_some() {
            match policy.effect() {
                cedar_policy::Effect::Permit => permits.push(found),
                cedar_policy::Effect::Forbid => forbids.push(found),
            }
        }
    }
    let ids = |list: &[(String, Option<Asked>)]| {
        let mut ids: Vec<_> = list.iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids
    };
    if !failed.is_empty() {
        return (Some(Reason::Undecidable), ids(&failed));
    }
    let firm = forbids.iter().any(|(_, asked)| asked.is_none());
    if firm || (!forbids.is_empty() && permits.is_empty()) {
        return (Some(Reason::Forbidden), ids(&forbids));
    }
    if permits.is_empty() {
        return (Some(Reason::NothingPermits), Vec::new());
    }
    let of_forbids = forbids.iter().filter_map(|(_, asked)| *asked).max();
    let of_permits = permits.iter().map(|(_, asked)| *asked).min().flatten();
    let of_label = match facts.target {
        Target::Tool { standing, .. } => standing.is("approval").then_some(Asked::Client),
        _ => None,
    };
    let needed = of_forbids.max(of_permits).max(of_label);
    match needed.filter(|needed| facts.context.consent < Some(*needed)) {
        None => (None, ids(&permits)),
        Some(needed) => {
            let why = match needed {
                needed if of_forbids == Some(needed) => ids(&forbids),
                needed if of_permits == Some(needed) => ids(&permits),
                _ => Vec::new(),
            };
            (Some(Reason::NeedsApproval(needed)), why)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Asked once, asked again and explained: what an engine says is what the rules
    /// say, whatever the facts.
    #[test]
    fn engines_decide_as_cedar_does(rules in proptest::collection::vec(rule(), 1..7), all in proptest::collection::vec(drawn(), 4)) {
        let mut set = PolicySet::new();
        for (number, text) in rules.iter().enumerate() {
            let id = cedar_policy::PolicyId::new(format!("p{number}"));
            set.add(Policy::parse(Some(id), text).unwrap()).unwrap();
        }
        let policies = unchecked(set);
        let engine = policies.engine(&server("travel"));
        let tenant = TenantId::default();
        for drawn in &all {
            let arguments: Vec<_> = drawn.amount.map(|amount| Argument {
                name: "amount".into(),
                value: Value::Integer(amount),
            }).into_iter().collect();
            let facts = Facts {
                principal: Principal {
                    attestation: drawn.attestation,
                    scopes: &drawn.scopes,
                    client: drawn.client.as_deref(),
                    ..principal("key", &tenant, &drawn.groups)
                },
                action: Action::CallTool,
                target: Target::Tool {
                    name: "book",
                    traits: ToolTraits { known: drawn.known, read_only: drawn.read_only, ..ToolTraits::default() },
                    standing: Standing {
                        contract: drawn.contract,
                        labels: &drawn.labels,
                        sensitivity: drawn.sensitivity,
                    },
                },
                context: Circumstances {
                    at: Timestamp::from_second(drawn.second).unwrap(),
                    region: drawn.region,
                    arguments: &arguments,
                    risk: Risk::from_bits(drawn.risk),
                    intent: drawn.intent,
                    consent: drawn.consent,
                },
            };
            let expected = expected(&policies, &facts);
            for _ in 0..2 {
                let decided = match engine.decide(&facts, ()) {
                    Ok(permit) => (None, permit.policies().to_vec()),
                    Err(refusal) => (Some(refusal.reason()), refusal.policies().to_vec()),
                };
                let decided = (decided.0, decided.1.iter().map(ToString::to_string).collect::<Vec<_>>());
                prop_assert_eq!(&decided, &expected);
                // What can be permitted is in lists.
                if decided.0.is_none() {
                    prop_assert!(engine.shows(&facts));
                }
            }
            let told = engine.explain(&facts);
            prop_assert_eq!(told.refusal.map(|refusal| refusal.reason()), expected.0);
        }
    }
}
