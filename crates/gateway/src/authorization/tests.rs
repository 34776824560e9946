use airside_policy::{ArgumentKind, Value};

use super::*;
use crate::config::{ArgumentType, Label, Pointer, Tool};

fn pointer(text: &str) -> Pointer {
    text.to_owned().try_into().unwrap()
}

#[track_caller]
fn check(given: &str, at: &str, expected: &Result<Option<Value>, Unreadable>) {
    let found = find(given, pointer(at).steps(), ArgumentKind::Integer);
    assert_eq!(&found, expected, "{given} {at}");
}

#[test]
fn arguments_have_one_clear_value_or_are_unreadable() {
    let five = Ok(Some(Value::Integer(5)));
    check(r#"{"a":{"b":[1,5]}}"#, "/a/b/1", &five);
    check(r#"{ "a/b" : 5 }"#, "/a~1b", &five);
    check(r#"{"a":"x"}"#, "/a/b", &Ok(None));
    check(r#"{"a":null}"#, "/a", &Ok(None));
    check("{}", "/a", &Ok(None));
    check(r#"{"a":[1]}"#, "/a/1", &Ok(None));
    check(r#"{"a":"5"}"#, "/a", &Err(Unreadable));
    // What one reader takes for 5 another takes for 9.
    check(r#"{"a":5,"a":9}"#, "/a", &Err(Unreadable));
    check(r#"{"a":5,"\u0061":9}"#, "/a", &Err(Unreadable));
}

fn tool(name: Option<&str>, labels: &[&str]) -> Tool {
    Tool {
        upstream: "mail".parse().unwrap(),
        name: name.map(str::to_owned),
        labels: labels
            .iter()
            .map(|label| Label::try_from((*label).to_owned()).unwrap())
            .collect(),
        sensitivity: None,
        argument: vec![config::Argument {
            name: "total".into(),
            pointer: pointer("/total"),
            kind: ArgumentType::Decimal,
            digits: 2,
            record: false,
        }],
    }
}

fn labels<'a>(rules: &'a Rules, server: &str, name: &str, open_world: bool) -> Vec<&'a str> {
    let facts = Facts {
        open_world,
        ..Facts::reading()
    };
    let server = server.parse().unwrap();
    let standing = rules.of(Some(&server), Some(name)).standing(facts);
    standing.labels.iter().map(String::as_str).collect()
}

#[test]
fn a_tool_has_the_labels_of_its_server_and_its_own() {
    let tools = [
        tool(Some("send"), &["external-sink"]),
        tool(None, &["reads-private"]),
        tool(Some("list"), &["trusted"]),
    ];
    let rules = Rules::new(&tools, Some("eu"));
    assert_eq!(
        labels(&rules, "mail", "send", false),
        ["external-sink", "reads-private"]
    );
    assert_eq!(
        labels(&rules, "mail", "send", true),
        ["external-sink", "reads-private", "reads-untrusted"]
    );
    assert_eq!(
        labels(&rules, "mail", "list", true),
        ["reads-private", "trusted"]
    );
    assert_eq!(labels(&rules, "other", "send", true), ["reads-untrusted"]);
    assert!(labels(&rules, "other", "send", false).is_empty());
    assert_eq!(rules.resting().region, "eu");
    let mail = "mail".parse().unwrap();
    assert_eq!(rules.of(Some(&mail), Some("send")).arguments.len(), 1);
}

#[test]
fn labels_and_pointers_are_checked() {
    for wrong in ["", "A", "a b", &"a".repeat(65)] {
        assert!(Label::try_from(wrong.to_owned()).is_err(), "{wrong}");
    }
    for wrong in ["", "a", &"/a".repeat(17)] {
        assert!(Pointer::try_from(wrong.to_owned()).is_err(), "{wrong}");
    }
    assert_eq!(pointer("/a~1b/~0").to_string(), "/a~1b/~0");
}
