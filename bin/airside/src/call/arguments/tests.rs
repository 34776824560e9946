use proptest::prelude::*;
use serde_json::json;

use super::*;

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "place": {"type": "string"},
            "rooms": {"type": "integer"},
            "price": {"type": ["number", "null"]},
            "refundable": {"type": "boolean"},
            "child_ages": {"type": "array", "items": {"type": "integer"}},
            "stay": {"$ref": "#/$defs/Stay"},
            "sort": {"anyOf": [{"type": "string", "enum": ["price", "distance"]}, {"type": "null"}]},
            "free": {},
            "guests": {"type": "array", "items": {"$ref": "#/$defs/Stay"}}
        },
        "required": ["place"],
        "$defs": {"Stay": {"type": "object", "properties": {"nights": {"type": "integer"}}}}
    })
}

fn check(pairs: &[&str], expected: &Value) {
    let pairs: Vec<(String, String)> = std::iter::once(&"place=Boston")
        .chain(pairs)
        .map(|pair| pair.split_once('=').expect("a pair"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let found = match build(&schema(), None, &pairs) {
        Ok(mut arguments) => {
            arguments.remove("place");
            Value::Object(arguments)
        }
        Err(error) => {
            let fault = error.fault();
            Value::String(format!(
                "{}; {}",
                fault.public(),
                fault.hint().unwrap_or("")
            ))
        }
    };
    assert_eq!(found, *expected);
}

#[test]
fn values_take_the_type_of_their_property() {
    check(&["rooms=2"], &json!({"rooms": 2}));
    check(&["price=199.50"], &json!({"price": 199.50}));
    check(&["price=null"], &json!({"price": null}));
    check(&["refundable=true"], &json!({"refundable": true}));
    check(&["place=2026"], &json!({}));
    check(&["sort=price"], &json!({"sort": "price"}));
    check(&["free={\"a\":1}"], &json!({"free": {"a": 1}}));
    check(&["free=hello"], &json!({"free": "hello"}));
}

#[test]
fn lists_are_written_in_three_ways() {
    check(&["child_ages=4,7"], &json!({"child_ages": [4, 7]}));
    check(&["child_ages=[4, 7]"], &json!({"child_ages": [4, 7]}));
    check(
        &["child_ages=4", "child_ages=7"],
        &json!({"child_ages": [4, 7]}),
    );
    check(&["child_ages="], &json!({"child_ages": []}));
    check(
        &["guests={\"nights\":1}", "guests={\"nights\":2}"],
        &json!({"guests": [{"nights": 1}, {"nights": 2}]}),
    );
}

#[test]
fn objects_are_written_as_json_or_with_dots() {
    check(&["stay={\"nights\":3}"], &json!({"stay": {"nights": 3}}));
    check(&["stay.nights=3"], &json!({"stay": {"nights": 3}}));
}

#[test]
fn mistakes_are_named_with_a_hint() {
    check(
        &["romms=2"],
        &json!("the tool has no argument `romms`; did you mean `rooms`?"),
    );
    check(
        &["rooms=two"],
        &json!(
            "`rooms` takes a whole number, not `two`; see `airside tools` for what `rooms` means"
        ),
    );
    check(
        &["rooms=1.5"],
        &json!(
            "`rooms` takes a whole number, not `1.5`; see `airside tools` for what `rooms` means"
        ),
    );
    check(
        &["sort=prize"],
        &json!("`sort` cannot be `prize`; did you mean `price`?"),
    );
    check(
        &["stay.night=1"],
        &json!("the tool has no argument `stay.night`; did you mean `nights`?"),
    );
}

#[test]
fn missing_argument_is_named() {
    let error = build(&schema(), None, &[]).unwrap_err();
    assert_eq!(error.fault().hint(), Some("add place=… (a text)"));
}

#[test]
fn pairs_override_the_json() {
    let pairs = [("rooms".to_owned(), "3".to_owned())];
    let built = build(&schema(), Some(r#"{"place": "Rome", "rooms": 1}"#), &pairs).unwrap();
    assert_eq!(Value::Object(built), json!({"place": "Rome", "rooms": 3}));
    assert!(matches!(
        build(&schema(), Some("[1]"), &[]),
        Err(Error::NotAnObject(_))
    ));
}

#[test]
fn circular_reference_ends() {
    let schema = json!({
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"$ref": "#/$defs/A"}}
    });
    let pairs = [("a".to_owned(), "1".to_owned())];
    assert_eq!(
        Value::Object(build(&schema, None, &pairs).unwrap()),
        json!({"a": 1})
    );
}

proptest! {
    #[test]
    fn text_arrives_as_it_is(text in any::<String>()) {
        let pairs = [("place".to_owned(), text.clone())];
        let built = build(&schema(), None, &pairs).unwrap();
        prop_assert_eq!(&built["place"], &Value::String(text));
    }

    #[test]
    fn nothing_panics(key in "[a-z.]{0,12}", text in any::<String>()) {
        let _ = build(&schema(), None, &[(key, text)]);
    }
}
