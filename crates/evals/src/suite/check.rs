//! What can be wrong with a suite beyond its form.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Case, Suite};
use crate::{
    expect::{CallSpec, Expect},
    tool::Selector,
    yaml::Document,
};

/// One thing that is wrong with a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1.
    pub line: usize,
    /// Where in the suite.
    pub at: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Everything that is wrong with a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// Says why a suite could not be read.
pub(super) fn unread(
    document: &Document,
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Problem {
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            serde_path_to_error::Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            serde_path_to_error::Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            _ => {}
        }
    }
    let message = error.inner().to_string();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (message, hint) = match message.starts_with("unknown field") {
        false => (message.clone(), None),
        true => {
            let given = quoted.next().unwrap_or_default();
            let known: Vec<&str> = quoted.collect();
            let near = known
                .iter()
                .map(|known| (strsim::jaro_winkler(given, known), *known))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(score, _)| *score > 0.75);
            let hint = match near {
                Some((_, near)) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            (format!("unknown key `{given}`"), Some(hint))
        }
    };
    Problem {
        line: document.line(&pointer),
        at: pointer,
        message,
        hint,
    }
}

pub(super) fn all(suite: &Suite, document: &Document) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |at: String, message: String, hint: &str| {
        problems.push(Problem {
            line: document.line(&at),
            at,
            message,
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
        });
    };
    if suite.cases.is_empty() {
        add("/cases".to_owned(), "there is no case".to_owned(), "");
    }
    let mut ids = BTreeSet::new();
    for (index, case) in suite.cases.iter().enumerate() {
        let at = format!("/cases/{index}");
        if case.id.is_empty() {
            add(at.clone(), "the case has no `id`".to_owned(), "name it");
        } else if !ids.insert(&case.id) {
            add(
                at.clone(),
                format!("the id `{}` is there twice", case.id),
                "name it otherwise",
            );
        }
        for (message, hint) in of_case(case) {
            add(at.clone(), message.to_owned(), hint);
        }
    }
    let known: Vec<&String> = suite.sets.keys().collect();
    for (at, name) in named_sets(suite) {
        if !suite.sets.contains_key(&name) {
            let message = format!("there is no set `{name}`");
            add(at, message, &format!("sets are: {known:?}"));
        }
    }
    for (at, expect) in expectations(suite) {
        if expect.state.is_some() && suite.state.probe.is_empty() {
            let message = "state is expected, and nothing shows it".to_owned();
            add(
                at,
                message,
                "add `state: { probe: [{ name: …, tool: … }] }` to the suite",
            );
        }
    }
    for at in relative_days(&document.value) {
        if suite.clock.is_none() {
            let message = "a relative date without a clock".to_owned();
            add(
                at,
                message,
                "add `clock: 2026-11-22T09:00:00-05:00` to the suite",
            );
        }
    }
    problems
}

fn of_case(case: &Case) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    match (&case.ask, case.turns.is_empty()) {
        (None, true) => found.push(("nothing is asked", "add `ask` or `turns`")),
        (Some(_), false) => found.push(("both `ask` and `turns`", "keep one of them")),
        _ => {}
    }
    let acts = |turn: &super::Turn| {
        let acts = [
            !turn.ask.is_empty(),
            turn.agree.is_some(),
            !turn.view.is_empty(),
        ];
        acts.into_iter().filter(|act| *act).count() == 1
    };
    if !case.turns.iter().all(acts) {
        found.push((
            "a turn does nothing, or two things",
            "add one of `ask`, `agree` and `view`",
        ));
    }
    if !case.paraphrases.is_empty() && case.ask.is_none() {
        found.push((
            "paraphrases of what is not asked",
            "they stand beside `ask`",
        ));
    }
    let checked = !case.expect.is_empty()
        || case.goal.as_ref().is_some_and(|goal| !goal.is_empty())
        || case.turns.iter().any(|turn| !turn.expect.is_empty());
    if case.inject.is_some() && case.goal.is_none() {
        found.push((
            "an attack without a goal",
            "add `goal`: what the attacker wants",
        ));
    }
    if !checked {
        found.push(("a case without a check could only pass", "add `expect`"));
    }
    found
}

fn expectations(suite: &Suite) -> Vec<(String, &Expect)> {
    let mut all = vec![("/defaults/expect".to_owned(), &suite.defaults.expect)];
    for (index, case) in suite.cases.iter().enumerate() {
        all.push((format!("/cases/{index}/expect"), &case.expect));
        all.extend(
            case.goal
                .as_ref()
                .map(|goal| (format!("/cases/{index}/goal"), goal)),
        );
        for (turn, of_turn) in case.turns.iter().enumerate() {
            all.push((
                format!("/cases/{index}/turns/{turn}/expect"),
                &of_turn.expect,
            ));
        }
    }
    all
}

/// The sets that a suite refers to, with the places.
fn named_sets(suite: &Suite) -> Vec<(String, String)> {
    let mut named = Vec::new();
    let mut add = |at: &str, selector: &Selector| {
        let sets = selector.sets().into_iter();
        named.extend(sets.map(|set| (at.to_owned(), set.to_owned())));
    };
    for (name, selector) in &suite.sets {
        add(&format!("/sets/{name}"), selector);
    }
    let shown = suite.cases.iter().enumerate();
    for (index, case) in shown {
        let at = format!("/cases/{index}/tools");
        case.tools.iter().for_each(|selector| add(&at, selector));
    }
    for (at, expect) in expectations(suite) {
        let Some(calls) = &expect.calls else { continue };
        let specs: Vec<&CallSpec> = calls
            .at_least
            .iter()
            .chain(calls.exactly.iter().flatten())
            .collect();
        let single = [&calls.first, &calls.only, &calls.never]
            .into_iter()
            .flatten();
        let all = single
            .chain(specs.into_iter().map(|spec| &spec.tool))
            .chain(calls.order.iter().flatten());
        all.for_each(|selector| add(&at, selector));
    }
    named
}

/// Places of dates that mean nothing without a clock.
fn relative_days(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    let text = value.as_str().filter(|_| name == "date");
                    if text.is_some_and(|text| crate::matcher::parse_day(text).is_none()) {
                        found.push(at.clone());
                    }
                    walk(value, &at, found);
                }
            }
            Value::Array(elements) => {
                for (index, value) in elements.iter().enumerate() {
                    walk(value, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}
