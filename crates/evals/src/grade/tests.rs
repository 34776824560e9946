use serde_json::json;

use super::*;
use crate::{
    tool::{Selector, Tool},
    trace::{Answer, Arguments, Breach, Step},
};

fn call(tool: &str, arguments: Value) -> Step {
    Step::Called(Call {
        tool: tool.to_owned(),
        arguments: Arguments::Json(arguments),
        answer: Some(Answer {
            text: "{}".to_owned(),
            ..Answer::default()
        }),
    })
}

fn trace(steps: Vec<Step>, changes: Value) -> Trace {
    let changes: Vec<Change> = serde_json::from_value(changes).unwrap();
    let turn = Turn {
        asked: "hotels".to_owned(),
        steps,
        changes: changes.clone(),
        ..Turn::default()
    };
    Trace {
        turns: vec![turn],
        changes,
        ..Trace::default()
    }
}

/// Grades and returns the reasons.
fn check(expect: Value, trace: &Trace) -> Vec<String> {
    let expect: Expect = serde_json::from_value(expect).unwrap();
    let definitions = [
        json!({"name": "search", "annotations": {"readOnlyHint": true}}),
        json!({"name": "book"}),
    ];
    let tools: Vec<Tool> = definitions.into_iter().filter_map(Tool::read).collect();
    let writes = Selector::try_from(json!({"where": {"annotations.readOnlyHint": false}})).unwrap();
    let saved = BTreeMap::from([(
        "price".to_owned(),
        json!({"amount_minor": 125_050, "currency": "USD"}),
    )]);
    let grade = grade(
        &expect,
        trace,
        Context {
            tools: Tools {
                all: &tools,
                sets: &BTreeMap::from([("writes".to_owned(), writes)]),
            },
            today: None,
            saved: &saved,
        },
    );
    assert_eq!(grade.verdict == Verdict::Pass, grade.reasons.is_empty());
    grade.reasons.iter().map(ToString::to_string).collect()
}

#[test]
fn calls_are_checked_by_selector_and_order() {
    let is = trace(
        vec![
            call("search", json!({"city": "Boston"})),
            call("book", json!({"id": 7})),
        ],
        json!([]),
    );
    let none: [String; 0] = [];
    assert_eq!(
        check(
            json!({"calls": {"first": "search", "only": ["search", "book"], "order": [["search"], ["book"]], "no_errors": true, "max": 2, "count": {"book": 1}}}),
            &is
        ),
        none
    );
    assert_eq!(
        check(json!({"calls": {"never": "$writes"}}), &is),
        ["extra:book (never $writes)"]
    );
    assert_eq!(
        check(json!({"calls": {"order": [["book"], ["search"]]}}), &is),
        ["order:search (before book)"]
    );
    assert_eq!(check(json!({"calls": {"none": true}}), &is).len(), 2);
    assert_eq!(
        check(json!({"calls": {"first": "book"}}), &is),
        ["order:search (first book)"]
    );
}

#[test]
fn arguments_are_named_in_reasons() {
    let is = trace(
        vec![call("search", json!({"city": "Austin", "adults": 2}))],
        json!([]),
    );
    let wanted =
        json!({"calls": {"at_least": [{"tool": "search", "args": {"city": {"place": "Boston"}}}]}});
    assert_eq!(
        check(wanted, &is),
        [r#"arg:search.city ("Austin", wanted {"place":"Boston"})"#]
    );
    let closed = json!({"calls": {"at_least": [{"tool": "search", "args": {"city": "Austin"}, "unknown_args": "forbid"}]}});
    assert_eq!(check(closed, &is), ["arg:search.adults (not expected)"]);
}

#[test]
fn exactly_is_met_by_the_best_assignment() {
    let both = vec![
        call("book", json!({"id": 1})),
        call("book", json!({"id": 2})),
    ];
    let wanted =
        json!({"calls": {"exactly": [{"tool": "book"}, {"tool": "book", "args": {"id": 1}}]}});
    assert!(check(wanted.clone(), &trace(both.clone(), json!([]))).is_empty());
    let three = [both, vec![call("book", json!({"id": 3}))]].concat();
    assert_eq!(
        check(wanted, &trace(three, json!([]))),
        ["extra:book (exactly)"]
    );
}

#[test]
fn state_is_checked_with_nothing_else() {
    let changes = json!([
        {"op": "add", "path": "/bookings/7", "value": {"hotel": "A", "nights": 1}},
        {"op": "replace", "path": "/count", "old": 0, "value": 1},
    ]);
    let is = trace(vec![], changes);
    let booked = json!({"path": "/bookings/*", "where": {"nights": 1}, "exactly": 1});
    assert!(
        check(
            json!({"state": {"added": [booked], "also_changed": ["/count"], "nothing_else": true}}),
            &is
        )
        .is_empty()
    );
    assert_eq!(
        check(
            json!({"state": {"added": [booked], "nothing_else": true}}),
            &is
        ),
        ["state:/count (nothing else)"]
    );
    assert_eq!(
        check(json!({"state": "unchanged"}), &is),
        ["state:/bookings/7 (changed)"]
    );
    assert_eq!(
        check(json!({"state": {"changed": {"/count": 2}}}), &is),
        ["state:/count (2)"]
    );
}

#[test]
fn answers_state_returned_prices() {
    let is = trace(
        vec![Step::Said("That is $1,250.50 in total.".to_owned())],
        json!([]),
    );
    assert!(
        check(
            json!({"answer": {"mentions": [{"from": "price"}], "contains_none": ["booked"]}}),
            &is
        )
        .is_empty()
    );
    let other = trace(vec![Step::Said("That is $1,205.50.".to_owned())], json!([]));
    assert_eq!(
        check(json!({"answer": {"mentions": [{"from": "price"}]}}), &other),
        ["answer:price (not mentioned)"]
    );
}

#[test]
fn what_shows_nothing_is_never_graded() {
    let mut is = trace(vec![], json!([]));
    for (end, verdict) in [
        (
            End::Invalid("the provider failed".to_owned()),
            Verdict::Invalid,
        ),
        (End::Capped("usd".to_owned()), Verdict::Inconclusive),
        (End::Broken(Breach::EndlessLoop), Verdict::Fail),
    ] {
        is.end = end;
        let found = crate::recordings::graded(&Expect::default(), &is);
        assert_eq!(found.verdict, verdict);
    }
}
