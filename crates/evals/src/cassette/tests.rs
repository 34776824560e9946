use serde_json::json;
use tempfile::tempdir;

use super::*;

/// Records what was asked in lanes, and returns what is played to one request.
#[track_caller]
fn check(
    recorded: &[(&str, Value, &str)],
    lane: &str,
    request: &Value,
    expected: Result<&str, &str>,
) {
    let folder = tempdir().unwrap();
    let writer = Writer::open(folder.path(), MODEL).unwrap();
    for (lane, request, reply) in recorded {
        writer.write(request.clone(), lane, reply).unwrap();
    }
    let tape = Tape::open(folder.path().join(MODEL)).unwrap();
    let played = tape.play::<String>(request, lane);
    let played = played.as_deref().map_err(|Missed(why)| why.as_str());
    assert_eq!(played, expected);
}

#[test]
fn an_answer_is_found_by_what_was_asked_in_its_lane() {
    let recorded = [
        ("a", json!({"x": 1, "y": 2}), "first"),
        ("b", json!({"x": 1, "y": 2}), "other"),
    ];
    check(&recorded, "a", &json!({"y": 2, "x": 1}), Ok("first"));
    check(&recorded, "b", &json!({"x": 1, "y": 2}), Ok("other"));
    let again = "it is recorded for another trial only, or was played already";
    check(&recorded, "c", &json!({"x": 1, "y": 2}), Err(again));
    check(&[], "a", &json!({}), Err("nothing is recorded"));
}

#[test]
fn a_miss_is_compared_with_what_the_same_trial_asked() {
    let recorded = [
        (
            "a",
            json!({"call": "search", "arguments": {"place": "Boston", "nights": 1}}),
            "x",
        ),
        (
            "b",
            json!({"call": "search", "arguments": {"place": "Lima", "nights": 2}}),
            "y",
        ),
    ];
    let asked = json!({"call": "search", "arguments": {"place": "Lima", "nights": 3}});
    let of_other = "differs at /arguments/nights and 0 other places from the nearest";
    check(&recorded, "b", &asked, Err(of_other));
    let of_own =
        "differs at /arguments/place, /arguments/nights and 0 other places from the nearest";
    check(&recorded, "a", &asked, Err(of_own));
}

#[test]
fn who_was_recorded_is_read_back_and_an_older_recording_does_not_say() {
    let folder = tempdir().unwrap();
    assert_eq!(About::read(folder.path()).unwrap(), None);
    let about = About {
        model: "m".to_owned(),
        api: Api::Anthropic,
        params: Map::from_iter([("temperature".to_owned(), json!(0))]),
    };
    about.keep(folder.path()).unwrap();
    assert_eq!(About::read(folder.path()).unwrap(), Some(about));
    std::fs::write(folder.path().join(ABOUT), "{}").unwrap();
    assert!(About::read(folder.path()).is_err());
}
