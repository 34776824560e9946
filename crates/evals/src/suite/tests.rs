use super::*;

/// Reads a suite that is wrong and shows how.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let problems = Suite::parse(text).expect_err("the suite is wrong").0;
    let shown: Vec<String> = problems
        .iter()
        .map(|problem| {
            let hint = problem.hint.as_deref().unwrap_or_default();
            format!(
                "{} {}: {} ({hint})",
                problem.line, problem.at, problem.message
            )
        })
        .collect();
    assert_eq!(shown, expected);
}

const HEAD: &str = "suite: s\nschema: 1\n";

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    let text =
        format!("{HEAD}cases:\n- id: a\n  ask: hi\n  expect:\n    calls:\n      frist: search\n");
    check(
        &text,
        &["8 /cases/0/expect/calls/frist: unknown key `frist` (did you mean `first`?)"],
    );
}

#[test]
fn a_case_without_a_check_is_an_error() {
    let text =
        format!("{HEAD}cases:\n- id: a\n  ask: hi\n- id: a\n  expect: {{calls: {{none: true}}}}\n");
    check(
        &text,
        &[
            "4 /cases/0: a case without a check could only pass (add `expect`)",
            "6 /cases/1: the id `a` is there twice (name it otherwise)",
            "6 /cases/1: nothing is asked (add `ask` or `turns`)",
        ],
    );
}

#[test]
fn relative_dates_need_a_clock() {
    let text = format!(
        "{HEAD}cases:\n- id: a\n  ask: hi\n  expect: {{calls: {{at_least: [{{tool: t, args: {{d: {{date: tomorrow}}}}}}]}}}}\n"
    );
    let problems = Suite::parse(&text).expect_err("there is no clock").0;
    assert_eq!(problems[0].message, "a relative date without a clock");
    let with = text.replace("schema: 1", "schema: 1\nclock: 2026-11-22T23:30:00-05:00");
    let suite = Suite::parse(&with).unwrap();
    assert_eq!(suite.clock.unwrap().day().to_string(), "2026-11-22");
}

#[test]
fn sets_have_to_be_there() {
    let text = format!(
        "{HEAD}sets: {{reads: search_*}}\ncases:\n- id: a\n  ask: hi\n  expect: {{calls: {{never: $writes}}}}\n"
    );
    check(
        &text,
        &["7 /cases/0/expect: there is no set `writes` (sets are: [\"reads\"])"],
    );
}

#[test]
fn another_version_is_refused() {
    check(
        "suite: s\nschema: 2\ncases: []\n",
        &["2 /schema: this version reads schema 1 ()"],
    );
}

#[test]
fn shipped_suites_are_good_and_begin_with_boston() {
    for (name, text) in SHIPPED {
        let suite = Suite::parse(text).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let case = suite.cases.get(0).unwrap();
        let Act::Ask(first) = case.acts()[0] else {
            panic!("{name} begins with a question");
        };
        assert!(
            first.starts_with("Find available hotels in Boston"),
            "{first}"
        );
        let written = serde_json::to_string(&suite).unwrap();
        let again = Suite::parse(&written).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), written);
    }
}
