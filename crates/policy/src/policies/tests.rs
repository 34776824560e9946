use airside_base::{TenantId, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{
    Action, Argument, ArgumentKind, Circumstances, Facts, PolicyId, Principal, Reason, Standing,
    Target, ToolTraits, Value, permit::Verdict,
};

mod approval;
mod model;
mod shipped;

fn bare() -> Circumstances<'static> {
    Circumstances::bare(Timestamp::UNIX_EPOCH)
}

fn server(name: &str) -> ServerId {
    name.parse().unwrap()
}

fn load(text: &str) -> Result<Policies, LoadError> {
    load_with(text, &Settings::default())
}

fn load_with(text: &str, settings: &Settings) -> Result<Policies, LoadError> {
    let source = Source {
        name: "test.cedar",
        text,
    };
    Policies::load(&[source], settings)
}

/// Who asks, in one word.
fn principal<'a>(who: &str, tenant: &'a TenantId, groups: &'a [String]) -> Principal<'a> {
    let (kind, id, attestation) = match who {
        "anonymous" => ("anonymous", "loopback", 0),
        _ => ("api_key", "ci", 20),
    };
    Principal {
        kind,
        id,
        tenant,
        attestation,
        groups,
        scopes: &[],
        client: None,
        issuer: None,
    }
}

fn read_only() -> ToolTraits {
    ToolTraits {
        known: true,
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
    }
}

/// Renders the decision about `target`: code or `ok`, then the policies.
fn decide(policies: &Policies, who: &str, action: Action, target: Target<'_>) -> String {
    let tenant = TenantId::default();
    let groups = match who {
        "member" => vec!["booking".to_owned()],
        _ => vec![],
    };
    let facts = Facts {
        principal: principal(who, &tenant, &groups),
        action,
        target,
        context: bare(),
    };
    let names = |ids: &[PolicyId]| ids.iter().map(|id| format!(" {id}")).collect::<String>();
    match policies.engine(&server("travel")).decide(&facts, "call") {
        Ok(permit) => {
            let text = format!("ok{}", names(permit.policies()));
            assert_eq!(permit.into_inner(), "call");
            text
        }
        Err(refusal) => format!("{}{}", refusal.fault().code(), names(refusal.policies())),
    }
}

fn tool(name: &str, traits: ToolTraits) -> Target<'_> {
    Target::Tool {
        name,
        traits,
        standing: Standing::default(),
    }
}

#[track_caller]
fn check_default(who: &str, action: Action, target: Target<'_>, expected: &str) {
    assert_eq!(decide(&Policies::builtin(), who, action, target), expected);
}

#[test]
fn by_default_every_caller_may_read() {
    for who in ["anonymous", "key"] {
        for action in [
            Action::Connect,
            Action::List,
            Action::Complete,
            Action::Listen,
            Action::Notify,
        ] {
            check_default(who, action, Target::Server, "ok read-by-every-caller");
        }
        let uri = Target::Resource {
            uri: "file:///a",
            standing: Standing::default(),
        };
        check_default(who, Action::ReadResource, uri, "ok read-by-every-caller");
        check_default(
            who,
            Action::GetPrompt,
            Target::Prompt {
                name: "a",
                standing: Standing::default(),
            },
            "ok read-by-every-caller",
        );
        check_default(
            who,
            Action::Task,
            Target::Server,
            "ok tasks-by-every-caller",
        );
        check_default(who, Action::Other, Target::Server, "POL-001");
    }
}

#[test]
fn by_default_effects_need_proof() {
    let effect = ToolTraits {
        known: true,
        ..ToolTraits::default()
    };
    let search = tool("search_hotels", read_only());
    check_default(
        "anonymous",
        Action::CallTool,
        search,
        "ok read-only-tools-by-every-caller",
    );
    check_default(
        "anonymous",
        Action::CallTool,
        tool("book", effect),
        "POL-002 effect-tools-need-proof",
    );
    check_default(
        "key",
        Action::CallTool,
        tool("book", effect),
        "ok effect-tools-by-proven-callers",
    );
    check_default(
        "key",
        Action::CallTool,
        search,
        "ok effect-tools-by-proven-callers read-only-tools-by-every-caller",
    );
}

#[test]
fn a_tool_that_no_server_lists_is_refused_with_a_hint() {
    let lying = ToolTraits {
        known: false,
        ..read_only()
    };
    check_default("key", Action::CallTool, tool("invented", lying), "POL-001");
    let tenant = TenantId::default();
    let facts = Facts {
        principal: principal("key", &tenant, &[]),
        action: Action::CallTool,
        target: tool("invented", lying),
        context: bare(),
    };
    let refusal = Policies::builtin()
        .engine(&server("travel"))
        .decide(&facts, ())
        .unwrap_err();
    assert!(
        refusal
            .fault()
            .hint()
            .is_some_and(|hint| hint.contains("tools/list"))
    );
}

#[test]
fn without_policies_nothing_is_permitted() {
    let none = load("").unwrap();
    for action in Action::ALL {
        assert_eq!(decide(&none, "key", action, Target::Server), "POL-001");
    }
}

#[test]
fn forbid_wins_and_its_hint_reaches_the_caller_but_its_name_does_not() {
    let policies = load(
        r#"@id("all") permit (principal, action, resource);
           @id("closed") @hint("come back tomorrow") forbid (principal, action, resource in Server::"travel");"#,
    )
    .unwrap();
    assert_eq!(
        decide(&policies, "key", Action::List, Target::Server),
        "POL-002 closed"
    );
    let tenant = TenantId::default();
    let facts = Facts {
        principal: principal("key", &tenant, &[]),
        action: Action::List,
        target: Target::Server,
        context: bare(),
    };
    let fault = policies
        .engine(&server("travel"))
        .decide(&facts, ())
        .unwrap_err()
        .fault();
    assert_eq!(fault.kind().http_status(), 403);
    assert_eq!(fault.hint(), Some("come back tomorrow"));
    assert!(!fault.to_string().contains("closed"), "{fault}");
    assert!(fault.private().is_some_and(|text| text.contains("closed")));
}

#[test]
fn a_policy_that_cannot_be_evaluated_refuses() {
    // The validator accepts it: whether an addition overflows shows only at run time.
    let policies = load(
        r#"@id("all") permit (principal, action, resource);
           @id("overflows") forbid (principal, action, resource)
           when { principal.attestation + 9223372036854775807 < 0 };"#,
    )
    .unwrap();
    assert_eq!(
        decide(&policies, "key", Action::List, Target::Server),
        "POL-003 overflows"
    );
}

#[test]
fn groups_and_tenants_are_what_the_verifier_vouches_for() {
    let policies = load(
        r#"@id("members") permit (principal in Group::"booking", action, resource);
           @id("acme") permit (principal in Tenant::"acme", action, resource);"#,
    )
    .unwrap();
    assert_eq!(
        decide(&policies, "member", Action::List, Target::Server),
        "ok members"
    );
    assert_eq!(
        decide(&policies, "key", Action::List, Target::Server),
        "POL-001"
    );
}

#[test]
fn hostile_names_stay_names() {
    let policies =
        load(r#"@id("one") permit (principal, action, resource == Tool::"travel/a");"#).unwrap();
    for name in [
        "a\"",
        "a\" || true",
        "a\0",
        "../travel/a",
        "a/",
        "",
        "travel/a",
        "\u{202e}a",
        &"a".repeat(100_000),
    ] {
        assert_eq!(
            decide(&policies, "key", Action::CallTool, tool(name, read_only())),
            "POL-001"
        );
    }
    assert_eq!(
        decide(&policies, "key", Action::CallTool, tool("a", read_only())),
        "ok one"
    );
}

/// Checks the codes and places of what is wrong with `text`.
#[track_caller]
fn check_refused(text: &str, expected: &[&str]) {
    let error = load(text).expect_err("refused");
    let found: Vec<_> = error
        .problems()
        .map(|problem| {
            let text = problem.to_string();
            let place = text.split(": ").next().unwrap_or_default().to_owned();
            format!("{} {place}", problem.code())
        })
        .collect();
    assert_eq!(found, expected, "{error}");
    assert_eq!(
        error.fault().code(),
        error.problems().next().unwrap().code()
    );
}

#[test]
fn wrong_policies_are_refused_with_their_place() {
    check_refused(
        "permit (principal, action, resource)",
        &["POL-010 test.cedar:1:37"],
    );
    check_refused(
        "// c\n@id(\"a\")\npermit (principal, action == Action::\"fly\", resource);",
        &["POL-011 test.cedar:3:30"],
    );
    check_refused(
        "@id(\"a\") permit (principal, action, resource) when {\n  principal.shoe_size > 3 };",
        &["POL-011 test.cedar:2:3"],
    );
    check_refused(
        "\npermit (principal, action, resource);",
        &["POL-012 test.cedar:2:1"],
    );
    check_refused(
        "@id(\"A b\") permit (principal, action, resource);",
        &["POL-012 test.cedar:1:1"],
    );
    check_refused(
        "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
        &["POL-013 test.cedar:2:1"],
    );
    check_refused(
        "\n@id(\"a\") permit (principal == ?principal, action, resource);",
        &["POL-014 test.cedar:2:1"],
    );
    check_refused(&" ".repeat(MAX_SOURCE_BYTES + 1), &["POL-015 test.cedar"]);
}

#[test]
fn a_rule_that_can_never_apply_is_refused() {
    let at = "POL-011 test.cedar:1:1";
    check_refused(
        "@id(\"a\") forbid (principal, action, resource) when { false };",
        &[at],
    );
    check_refused(
        "@id(\"a\") forbid (principal, action == Action::\"call_tool\", resource is Prompt);",
        &[at],
    );
}

#[test]
fn invisible_and_control_characters_are_refused_and_not_echoed() {
    let error = load("@id(\"a\") permit (principal, action, resource == Server::\"a\u{202e}b\");")
        .unwrap_err();
    assert_eq!(error.fault().code(), "POL-011");
    let error = load("@id(\"a\") permit (\u{1b}[31m principal, action, resource);").unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
}

#[test]
fn equal_policies_in_two_files_are_told_apart() {
    let text = "@id(\"a\") permit (principal, action, resource);";
    let error = Policies::load(
        &[Source { name: "one", text }, Source { name: "two", text }],
        &Settings::default(),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("two:1:1: the id `a` is already used at one:1:1"),
        "{error}"
    );
}

/// Every action on the kind of target that the schema gives it.
fn all_facts<'a>(principal: Principal<'a>, name: &'a str, traits: ToolTraits) -> Vec<Facts<'a>> {
    let target = |action| match action {
        Action::CallTool => Target::Tool {
            name,
            traits,
            standing: Standing::default(),
        },
        Action::ReadResource => Target::Resource {
            uri: name,
            standing: Standing::default(),
        },
        Action::GetPrompt => Target::Prompt {
            name,
            standing: Standing::default(),
        },
        _ => Target::Server,
    };
    let facts = |action| Facts {
        principal,
        action,
        target: target(action),
        context: bare(),
    };
    Action::ALL.into_iter().map(facts).collect()
}

/// Every action on every kind of target.
fn all_pairs<'a>(principal: Principal<'a>, name: &'a str, traits: ToolTraits) -> Vec<Facts<'a>> {
    let targets = [
        Target::Server,
        Target::Tool {
            name,
            traits,
            standing: Standing::default(),
        },
        Target::Resource {
            uri: name,
            standing: Standing::default(),
        },
        Target::Prompt {
            name,
            standing: Standing::default(),
        },
    ];
    let on = |action| {
        targets.map(|target| Facts {
            principal,
            action,
            target,
            context: bare(),
        })
    };
    Action::ALL.into_iter().flat_map(on).collect()
}

#[test]
fn questions_fit_the_schema() {
    let tenant = TenantId::default();
    let groups = ["booking".to_owned()];
    let arguments = [
        (
            "amount",
            ArgumentKind::Decimal { digits: 2 },
            Value::Integer(5),
        ),
        ("market", ArgumentKind::Text, Value::Text("CH".into())),
        ("sure", ArgumentKind::Flag, Value::Flag(true)),
        ("tags", ArgumentKind::Texts, Value::Texts(vec!["a".into()])),
    ];
    let declared = arguments.clone().map(|(name, kind, _)| Declared {
        name: name.to_owned(),
        kind,
    });
    let schema = schema(&declared).unwrap();
    let vocabulary = Vocabulary::new(&schema, TimeZone::UTC);
    let arguments = arguments.map(|(name, _, value)| Argument {
        name: name.to_owned(),
        value,
    });
    let everything = Reads {
        whole: true,
        ..Reads::default()
    };
    for mut facts in all_facts(principal("key", &tenant, &groups), "a", read_only()) {
        facts.principal.client = Some("https://client.example/a");
        facts.principal.issuer = Some("https://issuer.example");
        facts.principal.scopes = &groups;
        facts.context.arguments = &arguments;
        // Panics where a type, an attribute or an action is not the schema's.
        let _ = vocabulary.question(&server("travel"), &facts, &everything, Some(&schema));
    }
}

#[test]
fn schema_has_no_action_that_is_not_ours() {
    let schema = schema(&[]).unwrap();
    let mut found: Vec<_> = schema
        .actions()
        .map(|uid| uid.id().unescaped().to_owned())
        .collect();
    found.sort();
    let mut expected: Vec<_> = Action::ALL
        .iter()
        .map(|action| action.as_str().to_owned())
        .collect();
    expected.push("read".to_owned());
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn only_policies_of_the_server_are_in_its_engine() {
    let policies = load(
        r#"@id("any") permit (principal, action == Action::"list", resource);
           @id("own") permit (principal, action, resource in Server::"travel");
           @id("own-tool") permit (principal, action, resource == Tool::"travel/a");
           @id("other") permit (principal, action, resource in Server::"travel-eu");
           @id("other-tool") permit (principal, action, resource == Tool::"travel-eu/a");
           @id("kind") permit (principal, action, resource is Tool);"#,
    )
    .unwrap();
    assert_eq!(policies.engine(&server("travel")).policy_count(), 4);
    assert_eq!(policies.whole(&server("travel")).policy_count(), 6);
}

/// Policies that nobody has validated.
fn unchecked(set: PolicySet) -> Policies {
    let schema = schema(&[]).unwrap();
    Policies {
        marks: marks(&set, HashMap::new()),
        set: Arc::new(set),
        vocabulary: Arc::new(Vocabulary::new(&schema, TimeZone::UTC)),
        version: "test".into(),
    }
}

fn scope() -> impl Strategy<Value = String> {
    let name = || proptest::sample::select(vec!["a", "b", "a-b", "a/t", "b/t", "a/u", "a/b/t"]);
    let kind = || proptest::sample::select(vec!["Server", "Tool", "Resource", "Prompt"]);
    prop_oneof![
        Just("resource".to_owned()),
        kind().prop_map(|kind| format!("resource is {kind}")),
        (kind(), name()).prop_map(|(kind, name)| format!("resource == {kind}::\"{name}\"")),
        (kind(), name()).prop_map(|(kind, name)| format!("resource in {kind}::\"{name}\"")),
        (kind(), kind(), name())
            .prop_map(|(is, kind, name)| format!("resource is {is} in {kind}::\"{name}\"")),
    ]
}

fn policy() -> impl Strategy<Value = String> {
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    let action = proptest::sample::select(vec![
        "action",
        "action == Action::\"call_tool\"",
        "action in Action::\"read\"",
        "action in [Action::\"list\", Action::\"task\"]",
        "action in [Action::\"read\", Action::\"call_tool\"]",
    ]);
    let condition = proptest::sample::select(vec![
        "",
        "when { principal.attestation >= 20 }",
        "unless { resource in Server::\"a\" }",
        "when { action in Action::\"read\" }",
        "when { resource == Tool::\"a/t\" }",
        "unless { [Prompt::\"b/t\", Resource::\"a/b/t\"].contains(resource) }",
        "unless { action in [Action::\"read\", Action::\"task\"] }",
        // Fails wherever its scope matches.
        "when { principal.attestation + 9223372036854775807 < 0 }",
    ]);
    (effect, action, scope(), condition).prop_map(|(effect, action, scope, condition)| {
        format!("{effect} (principal, {action}, {scope}) {condition};")
    })
}

fn outcome(verdict: &Verdict) -> (Option<Reason>, Vec<PolicyId>) {
    match verdict {
        Verdict::Permitted(policies) => (None, policies.to_vec()),
        Verdict::Refused(refusal) => (Some(refusal.reason()), refusal.policies().to_vec()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What an engine decides, asked or remembered, is what Cedar decides given all
    /// policies, and the same policies are named.
    #[test]
    fn the_cut_decides_as_the_whole_set(texts in proptest::collection::vec(policy(), 0..8), own in proptest::sample::select(vec!["a", "b", "a-b"])) {
        // The validator refuses rules that can never apply; here they may stand.
        let mut set = PolicySet::new();
        for (number, text) in texts.iter().enumerate() {
            let id = cedar_policy::PolicyId::new(format!("p{number}"));
            set.add(Policy::parse(Some(id), text).unwrap()).unwrap();
        }
        let policies = unchecked(set);
        let own = server(own);
        let (cut, whole) = (policies.engine(&own), policies.whole(&own));
        let tenant = TenantId::default();
        for who in ["anonymous", "key"] {
            for name in ["t", "b/t"] {
                for facts in all_pairs(principal(who, &tenant, &[]), name, read_only()) {
                    let expected = outcome(&whole.judge(&facts));
                    prop_assert_eq!(&outcome(&cut.judge(&facts)), &expected);
                    let decided = match cut.decide(&facts, ()) {
                        Ok(permit) => (None, permit.policies().to_vec()),
                        Err(refusal) => (Some(refusal.reason()), refusal.policies().to_vec()),
                    };
                    prop_assert_eq!(decided, expected);
                }
            }
        }
    }
}

#[test]
fn decisions_are_remembered_per_engine() {
    let tenant = TenantId::default();
    let engine = Policies::builtin().engine(&server("travel"));
    let facts = all_facts(principal("key", &tenant, &[]), "search", read_only());
    for _ in 0..2 {
        for facts in &facts {
            let direct = engine.judge(facts);
            assert_eq!(
                engine.decide(facts, ()).err(),
                direct.about(()).err().map(|(refusal, ())| refusal)
            );
        }
    }
    assert_eq!(engine.remembered(), Action::ALL.len());
}
