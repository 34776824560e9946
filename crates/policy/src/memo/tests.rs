use std::sync::Arc;

use airside_base::{TenantId, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{Action, Argument, Asked, Contract, Intent, Value};

fn permitted() -> Verdict {
    Verdict::Permitted(Arc::new([]))
}

fn principal<'a>(id: &'a str, tenant: &'a TenantId) -> Principal<'a> {
    Principal {
        kind: "api_key",
        id,
        tenant,
        attestation: 20,
        groups: &[],
        scopes: &[],
        client: None,
        issuer: None,
    }
}

fn known() -> ToolTraits {
    ToolTraits {
        known: true,
        ..ToolTraits::default()
    }
}

fn calendar(context: &Circumstances<'_>) -> [i64; 4] {
    [0, 0, 0, context.at.as_second() / 60]
}

fn scope(names: Names, reads: &Reads) -> Scope<'_> {
    Scope {
        names,
        reads,
        calendar: &calendar,
        sort: 0,
    }
}

fn search<'a>(tenant: &'a TenantId, context: Circumstances<'a>) -> Facts<'a> {
    Facts {
        principal: principal("ci", tenant),
        action: Action::CallTool,
        target: Target::Tool {
            name: "search",
            traits: known(),
            standing: Standing::default(),
        },
        context,
    }
}

fn bare() -> Circumstances<'static> {
    Circumstances::bare(Timestamp::UNIX_EPOCH)
}

#[test]
fn the_same_facts_are_decided_once() {
    let tenant = TenantId::default();
    let memo = Memo::default();
    let reads = Reads::default();
    let mut asked = 0;
    for second in 0..3 {
        let at = Timestamp::from_second(second * 3600).unwrap();
        let facts = search(&tenant, Circumstances::bare(at));
        let _ = memo.recall(&facts, scope(Names::Matter, &reads), || {
            asked += 1;
            permitted()
        });
    }
    assert_eq!((asked, memo.len()), (1, 1));
}

/// Counts how many of `contexts` are decided anew and how many are remembered.
#[track_caller]
fn check(reads: &Reads, contexts: &[Circumstances<'_>], anew: usize, remembered: usize) {
    let tenant = TenantId::default();
    let memo = Memo::default();
    let mut asked = 0;
    for context in contexts {
        let facts = search(&tenant, *context);
        let _ = memo.recall(&facts, scope(Names::Matter, reads), || {
            asked += 1;
            permitted()
        });
    }
    assert_eq!((asked, memo.len()), (anew, remembered), "{reads:?}");
}

#[test]
fn circumstances_enter_the_key_where_a_policy_reads_them() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let times = [0, 1, 61].map(|second| Circumstances::bare(at(second)));
    let none = Reads::default();
    check(&none, &times, 1, 1);
    check(
        &Reads {
            calendar: true,
            ..none.clone()
        },
        &times,
        2,
        2,
    );
    check(
        &Reads {
            instant: true,
            ..none.clone()
        },
        &times,
        3,
        0,
    );
    check(
        &Reads {
            whole: true,
            ..none.clone()
        },
        &times,
        3,
        0,
    );
    let risks = [Risk::NONE, Risk::ALL].map(|risk| Circumstances { risk, ..bare() });
    check(&none, &risks, 1, 1);
    check(
        &Reads {
            risk: true,
            ..none.clone()
        },
        &risks,
        2,
        2,
    );
}

#[test]
fn what_is_said_of_a_call_enters_the_key_where_a_policy_reads_it() {
    let none = Reads::default();
    let intents = [Intent::Anchored, Intent::Unanchored];
    let intents = intents.map(|intent| Circumstances { intent, ..bare() });
    check(
        &Reads {
            intent: true,
            ..none.clone()
        },
        &intents,
        2,
        2,
    );
    let regions = ["eu", "us"].map(|region| Circumstances { region, ..bare() });
    check(&none, &regions, 1, 1);
    check(
        &Reads {
            region: true,
            ..none.clone()
        },
        &regions,
        2,
        2,
    );
    let amount = [Argument {
        name: "amount".into(),
        value: Value::Integer(1),
    }];
    let argued = Circumstances {
        arguments: &amount,
        ..bare()
    };
    let by = |name: &str| Reads {
        arguments: [name.to_owned()].into(),
        ..none.clone()
    };
    check(&by("amount"), &[argued, argued, bare(), bare()], 3, 1);
    check(&by("market"), &[argued, argued], 1, 1);
    let consents = [None, Some(Asked::Client), Some(Asked::Operator)];
    let consents = consents.map(|consent| Circumstances { consent, ..bare() });
    check(&none, &consents, 3, 3);
}

#[test]
fn what_a_client_can_invent_takes_no_room() {
    let tenant = TenantId::default();
    let reads = Reads::default();
    let (by_name, alike) = (Memo::default(), Memo::default());
    let standing = Standing::default();
    for name in ["one", "another", "and so on"] {
        for target in [
            Target::Tool {
                name,
                traits: ToolTraits::default(),
                standing,
            },
            Target::Resource {
                uri: name,
                standing,
            },
            Target::Prompt { name, standing },
        ] {
            let facts = Facts {
                target,
                ..search(&tenant, bare())
            };
            let _ = by_name.recall(&facts, scope(Names::Matter, &reads), permitted);
            let _ = alike.recall(&facts, scope(Names::AreAlike, &reads), permitted);
        }
    }
    assert_eq!((by_name.len(), alike.len()), (0, 3));
}

#[test]
fn memory_is_bounded() {
    let tenant = TenantId::default();
    let reads = Reads::default();
    let memo = Memo::default();
    for number in 0..=CAPACITY {
        let id = number.to_string();
        let facts = Facts {
            principal: principal(&id, &tenant),
            ..search(&tenant, bare())
        };
        let _ = memo.recall(&facts, scope(Names::Matter, &reads), permitted);
        assert!(memo.len() <= CAPACITY);
    }
    assert_eq!(memo.len(), 1, "all was forgotten when it was full");
}

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    kind: String,
    id: String,
    tenant: TenantId,
    attestation: u8,
    groups: Vec<String>,
    scopes: Vec<String>,
    client: Option<String>,
    issuer: Option<String>,
    action: usize,
    tool: Option<(String, [bool; 4], Vec<String>, u8)>,
    risk: u8,
}

impl Owned {
    fn key(&self, names: Names) -> Option<Key> {
        let target = match &self.tool {
            None => Target::Server,
            Some((name, hints, labels, sensitivity)) => Target::Tool {
                name,
                traits: ToolTraits {
                    known: true,
                    read_only: hints[0],
                    destructive: hints[1],
                    idempotent: hints[2],
                    open_world: hints[3],
                },
                standing: Standing {
                    contract: Contract::Accepted,
                    labels,
                    sensitivity: *sensitivity,
                },
            },
        };
        let facts = Facts {
            principal: Principal {
                kind: &self.kind,
                id: &self.id,
                tenant: &self.tenant,
                attestation: self.attestation,
                groups: &self.groups,
                scopes: &self.scopes,
                client: self.client.as_deref(),
                issuer: self.issuer.as_deref(),
            },
            action: Action::ALL[self.action],
            target,
            context: Circumstances {
                risk: Risk::from_bits(self.risk),
                ..bare()
            },
        };
        let reads = Reads {
            risk: true,
            ..Reads::default()
        };
        Key::of(&facts, scope(names, &reads))
    }

    fn without_name(mut self) -> Self {
        if let Some((name, ..)) = &mut self.tool {
            name.clear();
        }
        self
    }
}

fn facts() -> impl Strategy<Value = Owned> {
    // Few and short texts, so that cases differ only in where a text ends.
    let text = || proptest::sample::select(vec!["", "a", "aa", "b", "ab"]).prop_map(str::to_owned);
    let texts = move || proptest::collection::vec(text(), 0..3);
    let tenant = proptest::sample::select(vec!["a", "aa", "b"]);
    let tool = (text(), any::<[bool; 4]>(), texts(), 0_u8..2);
    let names = (text(), text(), tenant, 0_u8..2);
    let token = (
        texts(),
        texts(),
        proptest::option::of(text()),
        proptest::option::of(text()),
    );
    (
        names,
        token,
        0..Action::ALL.len(),
        proptest::option::of(tool),
        0_u8..8,
    )
        .prop_map(
            |(
                (kind, id, tenant, attestation),
                (groups, scopes, client, issuer),
                action,
                tool,
                risk,
            )| {
                Owned {
                    kind,
                    id,
                    tenant: tenant.parse().unwrap(),
                    attestation,
                    groups,
                    scopes,
                    client,
                    issuer,
                    action,
                    tool,
                    risk,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The soundness of remembering: keys are equal exactly where the facts are.
    #[test]
    fn keys_are_equal_exactly_where_facts_are(one in facts(), other in facts()) {
        prop_assert_eq!(one.key(Names::Matter) == other.key(Names::Matter), one == other);
        let (one_key, other_key) = (one.key(Names::AreAlike), other.key(Names::AreAlike));
        prop_assert_eq!(one_key == other_key, one.without_name() == other.without_name());
    }
}
