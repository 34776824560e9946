//! Who has to agree, what is hidden, what lists show.

use super::*;
use crate::{Asked, Known, Risk, Stance};

struct Case<'a> {
    policies: &'a Policies,
    labels: &'a [String],
    context: Circumstances<'a>,
}

impl Case<'_> {
    /// Returns the decision about a tool with an effect: `ok` or code, policies, and
    /// whether lists show it.
    fn outcome(&self) -> String {
        let tenant = TenantId::default();
        let facts = self.facts(&tenant);
        let engine = self.policies.engine(&server("travel"));
        let names = |ids: &[PolicyId]| ids.iter().map(|id| format!(" {id}")).collect::<String>();
        let text = match engine.decide(&facts, ()) {
            Ok(permit) => format!("ok{}", names(permit.policies())),
            Err(refusal) => format!("{}{}", refusal.fault().code(), names(refusal.policies())),
        };
        let shown = if engine.shows(&facts) {
            "shown"
        } else {
            "hidden"
        };
        format!("{text}, {shown}")
    }

    fn facts<'a>(&'a self, tenant: &'a TenantId) -> Facts<'a> {
        Facts {
            principal: principal("key", tenant, &[]),
            action: Action::CallTool,
            target: Target::Tool {
                name: "book",
                traits: ToolTraits {
                    known: true,
                    ..ToolTraits::default()
                },
                standing: Standing {
                    labels: self.labels,
                    ..Standing::default()
                },
            },
            context: self.context,
        }
    }
}

#[track_caller]
fn check(text: &str, labels: &[&str], consent: Option<Asked>, expected: &str) {
    let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
    let case = Case {
        policies: &load(text).unwrap(),
        labels: &labels,
        context: Circumstances { consent, ..bare() },
    };
    assert_eq!(case.outcome(), expected, "{text} {consent:?}");
}

const ALL: &str = "@id(\"all\") permit (principal, action, resource);";

#[test]
fn a_permit_with_approval_admits_with_it_only() {
    let text = "@id(\"asks\") @approval(\"client\") permit (principal, action, resource);";
    check(text, &[], None, "POL-042 asks, shown");
    check(text, &[], Some(Asked::Client), "ok asks, shown");
    check(text, &[], Some(Asked::Operator), "ok asks, shown");
    let plain = format!("{ALL} {text}");
    check(&plain, &[], None, "ok all asks, shown");
}

#[test]
fn a_forbid_with_approval_is_lifted_by_it() {
    let asks = |who: &str| {
        format!("{ALL} @id(\"asks\") @approval(\"{who}\") forbid (principal, action, resource);")
    };
    check(&asks("operator"), &[], None, "POL-043 asks, shown");
    check(
        &asks("operator"),
        &[],
        Some(Asked::Client),
        "POL-043 asks, shown",
    );
    check(
        &asks("operator"),
        &[],
        Some(Asked::Operator),
        "ok all, shown",
    );
    check(&asks("client"), &[], Some(Asked::Client), "ok all, shown");
    let firm = format!(
        "{} @id(\"no\") forbid (principal, action, resource);",
        asks("client")
    );
    check(&firm, &[], Some(Asked::Operator), "POL-002 asks no, hidden");
    let nothing = "@id(\"asks\") @approval(\"client\") forbid (principal, action, resource);";
    check(nothing, &[], Some(Asked::Operator), "POL-002 asks, hidden");
}

#[test]
fn a_label_asks_whatever_the_policies_are() {
    check(ALL, &["approval"], None, "POL-042, shown");
    check(ALL, &["approval"], Some(Asked::Client), "ok all, shown");
    check(
        ALL,
        &["operator-approval"],
        Some(Asked::Client),
        "POL-043, shown",
    );
    check(
        ALL,
        &["operator-approval"],
        Some(Asked::Operator),
        "ok all, shown",
    );
    let both = format!(
        "{ALL} @id(\"asks\") @approval(\"operator\") forbid (principal, action, resource);"
    );
    check(
        &both,
        &["approval"],
        Some(Asked::Client),
        "POL-043 asks, shown",
    );
}

#[test]
fn lists_go_by_what_does_not_depend_on_the_call() {
    let by_risk = format!(
        "{ALL} @id(\"risky\") forbid (principal, action, resource) when {{ context.risk.untrusted }};"
    );
    check(&by_risk, &[], None, "ok all, shown");
    let by_hour =
        "@id(\"day\") permit (principal, action, resource) when { context.time.hour >= 8 };";
    check(by_hour, &[], None, "POL-001, shown");
    let by_region =
        "@id(\"eu\") permit (principal, action, resource) when { context.region == \"eu\" };";
    check(by_region, &[], None, "POL-001, hidden");
}

#[test]
fn rule_of_two_is_shipped() {
    let labels = ["external-sink".to_owned()];
    let builtin = Policies::builtin();
    let outcome = |risk, consent| {
        let case = Case {
            policies: &builtin,
            labels: &labels,
            context: Circumstances {
                risk,
                consent,
                ..bare()
            },
        };
        case.outcome()
    };
    let two = Risk {
        flagged: false,
        ..Risk::ALL
    };
    let one = Risk {
        private: false,
        ..two
    };
    let ok = "ok effect-tools-by-proven-callers, shown";
    assert_eq!(outcome(one, None), ok);
    assert_eq!(outcome(two, None), "POL-042 toxic-flow, shown");
    assert_eq!(outcome(two, Some(Asked::Client)), ok);
}

#[test]
fn what_is_hidden_looks_as_if_it_were_not_there() {
    let text =
        format!("{ALL} @id(\"secret\") @hidden forbid (principal, action, resource is Tool);");
    let policies = load(&text).unwrap();
    let tenant = TenantId::default();
    let case = Case {
        policies: &policies,
        labels: &[],
        context: bare(),
    };
    let engine = policies.engine(&server("travel"));
    let hidden = engine.decide(&case.facts(&tenant), ()).unwrap_err();
    let mut absent = case.facts(&tenant);
    absent.target = tool("nothing", ToolTraits::default());
    let nothing = load("").unwrap().engine(&server("travel"));
    let absent = nothing.decide(&absent, ()).unwrap_err();
    let said = |refusal: &crate::Refusal| {
        let fault = refusal.fault();
        (
            fault.code(),
            fault.public().to_owned(),
            fault.hint().map(str::to_owned),
        )
    };
    assert_eq!(said(&hidden), said(&absent));
    assert!(hidden.is_hidden() && hidden.policies()[0].as_str() == "secret");
}

#[test]
fn annotations_that_mean_nothing_are_refused() {
    for text in [
        "@id(\"a\") @approval(\"boss\") permit (principal, action, resource);",
        "@id(\"a\") @aproval(\"client\") permit (principal, action, resource);",
        "@id(\"a\") @hidden permit (principal, action, resource);",
    ] {
        check_refused(text, &["POL-040 test.cedar:1:1"]);
    }
}

#[test]
fn arguments_are_typed_by_what_is_declared() {
    let settings = |arguments: &[(&str, ArgumentKind)]| Settings {
        arguments: arguments
            .iter()
            .map(|(name, kind)| Declared {
                name: (*name).to_owned(),
                kind: *kind,
            })
            .collect(),
        ..Settings::default()
    };
    let text = "@id(\"small\") permit (principal, action, resource) when { context.arguments has amount && context.arguments.amount < 500 };";
    let amount = settings(&[("amount", ArgumentKind::Integer)]);
    assert!(load_with(text, &amount).is_ok());
    assert!(load(text).is_err(), "an argument that nobody declared");
    let flag = settings(&[("amount", ArgumentKind::Flag)]);
    assert!(load_with(text, &flag).is_err(), "a flag is not compared");
    for (one, other) in [("amount", "amount"), ("a-b", "c"), ("if", "c"), ("", "c")] {
        let two = [(one, ArgumentKind::Integer), (other, ArgumentKind::Flag)];
        let refused = load_with("", &settings(&two)).unwrap_err();
        assert_eq!(refused.fault().code(), "POL-041", "{one} {other}");
    }
    assert_ne!(
        load_with("", &amount).unwrap().version(),
        load_with("", &flag).unwrap().version()
    );
}

#[test]
fn every_rule_is_explained() {
    let text = format!(
        "{ALL}\n@id(\"asks\") @approval(\"client\") forbid (principal, action, resource)\nwhen {{ principal.attestation >= 20 }};\n@id(\"other\") forbid (principal, action, resource) when {{ context.risk.private }};"
    );
    let policies = load(&text).unwrap();
    let tenant = TenantId::default();
    let case = Case {
        policies: &policies,
        labels: &[],
        context: bare(),
    };
    let told = policies
        .engine(&server("travel"))
        .explain(&case.facts(&tenant));
    let rules: Vec<_> = told
        .rules
        .iter()
        .map(|rule| {
            let place = rule
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            (rule.id.as_str(), rule.permits, rule.stance.clone(), place)
        })
        .collect();
    let expected = [
        ("all", true, Stance::Applies, "test.cedar:1:1".to_owned()),
        ("asks", false, Stance::Applies, "test.cedar:2:1".to_owned()),
        (
            "other",
            false,
            Stance::DoesNotApply,
            "test.cedar:4:1".to_owned(),
        ),
    ];
    assert_eq!(rules, expected);
    assert_eq!(
        told.refusal.unwrap().reason(),
        Reason::NeedsApproval(Asked::Client)
    );
}

#[test]
fn rules_that_say_nothing_are_remarked_on() {
    let text = r#"@id("a-lost") permit (principal, action, resource in Server::"hotls");
        @id("b-all") permit (principal, action == Action::"list", resource);
        @id("c-again") permit (principal in Group::"x", action == Action::"list", resource);
        @id("d-no") forbid (principal in Group::"y", action, resource);
        @id("e-dead") permit (principal in Group::"y", action == Action::"task", resource);"#;
    let known = Known {
        servers: vec![server("hotels")],
    };
    let found: Vec<_> = load(text)
        .unwrap()
        .remarks(&known)
        .into_iter()
        .map(|remark| format!("{} {}", remark.place.unwrap(), remark.text))
        .collect();
    assert_eq!(
        found,
        [
            "test.cedar:1:1 the rule is about the server `hotls`, which is not configured",
            "test.cedar:3:9 the rule is never needed: `b-all` permits already all that it is about",
            "test.cedar:5:9 the rule is never needed: `d-no` forbids all that it is about",
        ]
    );
    assert_eq!(Policies::builtin().remarks(&known), []);
}
