use serde_json::json;

use super::*;

fn scope() -> Scope<'static> {
    let saved = json!({ "id": "htl_1", "second": { "id": "htl_2", "rooms": ["dbl-7", "sgl-9"] } });
    Scope {
        today: Some("2026-11-22".parse().unwrap()),
        saved: Cow::Owned(serde_json::from_value(saved).unwrap()),
        beside: None,
    }
}

#[track_caller]
fn check(matcher: Value, holds: &[Value], fails: &[Value]) {
    let matcher = Matcher::try_from(matcher).unwrap();
    for value in holds {
        assert!(
            matcher.holds(Some(value), &scope()),
            "{:?} should hold for {value}",
            matcher.written()
        );
    }
    for value in fails {
        assert!(
            !matcher.holds(Some(value), &scope()),
            "{:?} should fail for {value}",
            matcher.written()
        );
    }
}

#[test]
fn literals_are_compared_as_values() {
    check(json!(2), &[json!(2), json!(2.0)], &[json!("2"), json!(3)]);
    check(
        json!({"a": 1}),
        &[json!({"a": 1, "b": 2})],
        &[json!({"b": 1})],
    );
    check(
        json!({"object": {"a": 1}}),
        &[json!({"a": 1})],
        &[json!({"a": 1, "b": 2})],
    );
    check(json!([1, 2]), &[json!([1, 2])], &[json!([2, 1])]);
    check(
        json!({"set": [1, 2]}),
        &[json!([2, 1])],
        &[json!([1, 1]), json!([1, 2, 3])],
    );
}

#[test]
fn money_is_compared_by_meaning() {
    let all = [
        json!(250),
        json!("$250.00"),
        json!("250 USD"),
        json!({"amount_minor": 25000, "currency": "USD"}),
    ];
    check(
        json!({"money": "250 USD"}),
        &all,
        &[json!("250 EUR"), json!(251), json!("none")],
    );
    check(
        json!({"money": "1,250 EUR"}),
        &[json!("€1,250.00")],
        &[json!("€1.25")],
    );
}

#[test]
fn days_are_compared_by_meaning() {
    // 2026-11-22 is a Sunday.
    check(
        json!({"date": "next saturday"}),
        &[json!("2026-11-28"), json!("Nov 28, 2026")],
        &[json!("2026-12-12")],
    );
    check(
        json!({"date": "saturday"}),
        &[json!("2026-11-28T10:00:00")],
        &[json!("2026-12-05")],
    );
    check(
        json!({"date": "tomorrow"}),
        &[json!("23rd of November 2026")],
        &[json!("11/23/2026")],
    );
    check(
        json!({"month_day": "01-02"}),
        &[json!("2025-01-02T00:00:00")],
        &[json!("2025-02-01")],
    );
    check(
        json!({"out": {"date_after": "in", "max_days": 2}}),
        &[json!({"in": "2026-11-28", "out": "2026-11-30"})],
        &[
            json!({"in": "2026-11-28", "out": "2026-12-01"}),
            json!({"in": "2026-11-28", "out": "2026-11-28"}),
            json!({"out": "2026-11-28"}),
        ],
    );
}

#[test]
fn places_have_several_names() {
    check(
        json!({"place": "Boston"}),
        &[json!("boston"), json!("Boston, MA"), json!("BOS")],
        &[json!("Boston Spa")],
    );
    check(
        json!({"place": "Gunma"}),
        &[json!("gunma, Japan")],
        &[json!("Boston")],
    );
    check(
        json!({"country": "US"}),
        &[json!("United States")],
        &[json!("UK")],
    );
    check(json!({"currency": "EUR"}), &[json!("€")], &[json!("$")]);
}

#[test]
fn values_are_followed_from_result_to_argument() {
    check(
        json!({"from": "second.id"}),
        &[json!("htl_2")],
        &[json!("htl_1")],
    );
    check(
        json!({"from": "second.rooms[-1]"}),
        &[json!("sgl-9")],
        &[json!("dbl-7")],
    );
    check(
        json!({"not_from": "second"}),
        &[json!("htl_1"), json!(true)],
        &[json!("htl_2"), json!(["x", "dbl-7"])],
    );
    check(
        json!({"from": "nothing"}),
        &[],
        &[json!("htl_1"), json!(null)],
    );
}

#[test]
fn absence_is_matched() {
    let absent = Matcher::try_from(json!({"absent": true})).unwrap();
    let any = Matcher::try_from(json!({"any": true})).unwrap();
    let optional = Matcher::try_from(json!({"optional": 3})).unwrap();
    assert!(absent.holds(None, &scope()) && !absent.holds(Some(&json!(1)), &scope()));
    assert!(!any.holds(None, &scope()) && any.holds(Some(&json!(1)), &scope()));
    assert!(optional.holds(None, &scope()) && !optional.holds(Some(&json!(1)), &scope()));
}

#[test]
fn unknown_operators_are_refused_with_a_suggestion() {
    let error = Matcher::try_from(json!({"icase": "a", "contians": "b"})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown operator `contians`, did you mean `contains`?"
    );
    let error = Matcher::try_from(json!({"date": "soon"})).unwrap_err();
    assert!(
        error.to_string().starts_with("`date` takes a day"),
        "{error}"
    );
}

#[test]
fn objection_names_the_member() {
    let matcher = Matcher::try_from(json!({"stay": {"adults": 2}})).unwrap();
    let is = json!({"stay": {"adults": 3}});
    assert_eq!(
        matcher.objection(Some(&is), &scope()).as_deref(),
        Some("stay.adults")
    );
}
