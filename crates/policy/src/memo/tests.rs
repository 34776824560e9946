use std::sync::Arc;

use airside_base::TenantId;
use proptest::prelude::*;

use super::*;
use crate::Action;

fn permitted() -> Verdict {
    Verdict::Permitted(Arc::new([]))
}

fn principal<'a>(id: &'a str, tenant: &'a TenantId, groups: &'a [String]) -> Principal<'a> {
    Principal {
        kind: "api_key",
        id,
        tenant,
        attestation: 20,
        groups,
    }
}

fn known() -> ToolTraits {
    ToolTraits {
        known: true,
        ..ToolTraits::default()
    }
}

#[test]
fn the_same_facts_are_decided_once() {
    let tenant = TenantId::default();
    let memo = Memo::default();
    let facts = Facts {
        principal: principal("ci", &tenant, &[]),
        action: Action::CallTool,
        target: Target::Tool {
            name: "search",
            traits: known(),
        },
    };
    let mut asked = 0;
    for _ in 0..3 {
        let _ = memo.recall(&facts, Names::Matter, || {
            asked += 1;
            permitted()
        });
    }
    assert_eq!((asked, memo.len()), (1, 1));
}

#[test]
fn what_a_client_can_invent_takes_no_room() {
    let tenant = TenantId::default();
    let (by_name, alike) = (Memo::default(), Memo::default());
    for name in ["one", "another", "and so on"] {
        for target in [
            Target::Tool {
                name,
                traits: ToolTraits::default(),
            },
            Target::Resource { uri: name },
            Target::Prompt { name },
        ] {
            let facts = Facts {
                principal: principal("ci", &tenant, &[]),
                action: Action::CallTool,
                target,
            };
            let _ = by_name.recall(&facts, Names::Matter, permitted);
            let _ = alike.recall(&facts, Names::AreAlike, permitted);
        }
    }
    assert_eq!((by_name.len(), alike.len()), (0, 3));
}

#[test]
fn memory_is_bounded() {
    let tenant = TenantId::default();
    let memo = Memo::default();
    for number in 0..=CAPACITY {
        let id = number.to_string();
        let facts = Facts {
            principal: principal(&id, &tenant, &[]),
            action: Action::List,
            target: Target::Server,
        };
        let _ = memo.recall(&facts, Names::Matter, permitted);
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
    action: usize,
    tool: Option<(String, [bool; 4])>,
}

impl Owned {
    fn key(&self, names: Names) -> Option<Key> {
        let target = match &self.tool {
            None => Target::Server,
            Some((name, [read_only, destructive, idempotent, open_world])) => Target::Tool {
                name,
                traits: ToolTraits {
                    known: true,
                    read_only: *read_only,
                    destructive: *destructive,
                    idempotent: *idempotent,
                    open_world: *open_world,
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
            },
            action: Action::ALL[self.action],
            target,
        };
        Key::of(&facts, names)
    }

    fn without_name(mut self) -> Self {
        if let Some((name, _)) = &mut self.tool {
            name.clear();
        }
        self
    }
}

fn facts() -> impl Strategy<Value = Owned> {
    // Few and short texts, so that cases differ only in where a text ends.
    let text = || proptest::sample::select(vec!["", "a", "aa", "b", "ab"]).prop_map(str::to_owned);
    let tenant = proptest::sample::select(vec!["a", "aa", "b"]);
    let tool = (text(), any::<[bool; 4]>());
    let groups = proptest::collection::vec(text(), 0..3);
    (
        text(),
        text(),
        tenant,
        0_u8..2,
        groups,
        0..Action::ALL.len(),
        proptest::option::of(tool),
    )
        .prop_map(
            |(kind, id, tenant, attestation, groups, action, tool)| Owned {
                kind,
                id,
                tenant: tenant.parse().unwrap(),
                attestation,
                groups,
                action,
                tool,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The soundness of remembering: keys are equal exactly where the facts are.
    #[test]
    fn keys_are_equal_exactly_where_facts_are(one in facts(), other in facts()) {
        let equal = |names| one.key(names) == other.key(names);
        prop_assert_eq!(equal(Names::Matter), one == other);
        prop_assert_eq!(equal(Names::AreAlike), one.clone().without_name() == other.clone().without_name());
    }
}
