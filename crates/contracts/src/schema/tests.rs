use proptest::prelude::*;

use super::*;

fn check(before: &str, after: &str, expected: Relation) {
    let (before, after) = (Json::parse(before).unwrap(), Json::parse(after).unwrap());
    assert_eq!(
        compare(Some(&before), Some(&after)),
        expected,
        "{before:?} {after:?}"
    );
    let back = match expected {
        Relation::Widened => Relation::Narrowed,
        Relation::Narrowed => Relation::Widened,
        other => other,
    };
    assert_eq!(
        compare(Some(&after), Some(&before)),
        back,
        "{after:?} {before:?}"
    );
}

#[test]
fn what_describes_does_not_count() {
    check(
        r#"{"type":"string","description":"a"}"#,
        r#"{"description":"b","title":"T","default":"x","type":"string"}"#,
        Relation::Same,
    );
    check(
        r#"{"properties":{"description":{"type":"string"}}}"#,
        r#"{"properties":{"description":{"type":"integer"}}}"#,
        Relation::Incompatible,
    );
    check(
        r#"{"required":["a","b"]}"#,
        r#"{"required":["b","a"]}"#,
        Relation::Same,
    );
}

#[test]
fn types_and_values_are_sets() {
    check(
        r#"{"type":"integer"}"#,
        r#"{"type":"number"}"#,
        Relation::Widened,
    );
    check(
        r#"{"type":"string"}"#,
        r#"{"type":["string","null"]}"#,
        Relation::Widened,
    );
    check(r#"{"type":"string"}"#, "{}", Relation::Widened);
    check(
        r#"{"type":"string"}"#,
        r#"{"type":"boolean"}"#,
        Relation::Incompatible,
    );
    check(
        r#"{"enum":["a","b"]}"#,
        r#"{"enum":["b","a","c"]}"#,
        Relation::Widened,
    );
    check(r#"{"const":1}"#, r#"{"enum":[1,2]}"#, Relation::Widened);
    check(
        r#"{"enum":["a"]}"#,
        r#"{"enum":["b"]}"#,
        Relation::Incompatible,
    );
    check(
        r#"{"type":"money"}"#,
        r#"{"type":"string"}"#,
        Relation::Incompatible,
    );
}

#[test]
fn bounds_have_a_direction() {
    check(r#"{"minimum":1}"#, r#"{"minimum":0}"#, Relation::Widened);
    check(r#"{"maximum":1}"#, r#"{"maximum":10}"#, Relation::Widened);
    check(r#"{"maxLength":5}"#, "{}", Relation::Widened);
    check(
        r#"{"maximum":10.10}"#,
        r#"{"maximum":10.1}"#,
        Relation::Same,
    );
    check(
        r#"{"minimum":0,"maximum":5}"#,
        r#"{"minimum":1,"maximum":6}"#,
        Relation::Incompatible,
    );
    check(r#"{"pattern":"a"}"#, "{}", Relation::Widened);
    check(
        r#"{"pattern":"a"}"#,
        r#"{"pattern":"b"}"#,
        Relation::Incompatible,
    );
}

#[test]
fn arguments_are_added_removed_and_required() {
    let one = r#"{"properties":{"a":{"type":"string"}},"required":["a"]}"#;
    check(
        one,
        r#"{"properties":{"a":{"type":"string"},"b":{}},"required":["a"]}"#,
        Relation::Widened,
    );
    check(
        one,
        r#"{"properties":{"a":{"type":"string"}}}"#,
        Relation::Widened,
    );
    check(
        one,
        r#"{"properties":{"a":{"type":"string"},"b":{}},"required":["a","b"]}"#,
        Relation::Incompatible,
    );
    check(
        r#"{"properties":{"a":{}}}"#,
        r#"{"properties":{"b":{}}}"#,
        Relation::Incompatible,
    );
    check(r#"{"additionalProperties":false}"#, "{}", Relation::Widened);
    check(
        r#"{"items":{"properties":{"a":{}}}}"#,
        r#"{"items":{"properties":{"a":{},"b":{}}}}"#,
        Relation::Widened,
    );
}

#[test]
fn what_is_not_understood_is_incompatible() {
    check(
        r#"{"oneOf":[{"type":"string"}]}"#,
        r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#,
        Relation::Incompatible,
    );
    check(
        r##"{"$ref":"#/$defs/a"}"##,
        r##"{"$ref":"#/$defs/b"}"##,
        Relation::Incompatible,
    );
    check("{}", r#"{"x-mcp-header":"Market"}"#, Relation::Incompatible);
    check(
        r#"{"anyOf":[{"type":"string","title":"x"}]}"#,
        r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
        Relation::Widened,
    );
}

proptest! {
    /// Whatever is compared with itself is the same, and nothing panics.
    #[test]
    fn everything_is_the_same_as_itself(text in r#"(\{"(type|properties|items|enum|required)":(\{"a":\{\}\}|"string"|\["a"\]|1|true)\}|true|false|\[\]|3)"#) {
        let json = Json::parse(&text).unwrap();
        prop_assert_eq!(compare(Some(&json), Some(&json)), Relation::Same);
        let _ = compare(Some(&json), None);
        let _ = compare(None, Some(&json));
    }
}
