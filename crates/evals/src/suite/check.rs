//! What can be wrong with a suite beyond its form.

use std::collections::{BTreeMap, HashSet};

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

/// Says why a part of a suite could not be read: the one at `pointer`.
pub(super) fn unread(
    document: &Document,
    mut pointer: String,
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Problem {
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

/// Places that are named of one thing that is missing, and problems that are named.
const MAX_NAMED: usize = 100;

/// What a part of a suite needs elsewhere in it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Set(String),
    Probe,
    Clock,
    Judge,
}

/// Checks cases one by one, before the rest of their suite is known.
#[derive(Debug, Default)]
pub(super) struct Checks {
    problems: Vec<Problem>,
    ids: HashSet<String>,
    /// Where something is needed: the place and its line.
    needs: BTreeMap<Need, Vec<(String, usize)>>,
}

impl Checks {
    fn add(&mut self, line: usize, at: &str, message: String, hint: &str) {
        if self.problems.len() < MAX_NAMED {
            self.problems.push(Problem {
                line,
                at: at.to_owned(),
                message,
                hint: (!hint.is_empty()).then(|| hint.to_owned()),
            });
        }
    }

    fn need(&mut self, need: Need, at: String, document: &Document) {
        let places = self.needs.entry(need).or_default();
        if places.len() < MAX_NAMED {
            let line = document.line(&at);
            places.push((at, line));
        }
    }

    /// Checks the case at a place, that was read from `value` in `document`.
    pub(super) fn of_case(
        &mut self,
        index: usize,
        case: &Case,
        value: &Value,
        document: &Document,
    ) {
        let at = format!("/cases/{index}");
        let line = document.line(&at);
        if case.id.is_empty() {
            self.add(line, &at, "the case has no `id`".to_owned(), "name it");
        } else if !self.ids.insert(case.id.clone()) {
            let message = format!("the id `{}` is there twice", case.id);
            self.add(line, &at, message, "name it otherwise");
        }
        for (message, hint) in of_case(case) {
            self.add(line, &at, message.to_owned(), hint);
        }
        if let Some(tools) = &case.tools {
            self.sets(tools, &format!("{at}/tools"), document);
        }
        for (at, expect) in expectations(&at, case) {
            self.expectation(&at, expect, document);
        }
        if !case.judge.is_empty() {
            self.need(Need::Judge, format!("{at}/judge"), document);
        }
        for at in relative_days(value, &at) {
            self.need(Need::Clock, at, document);
        }
    }

    fn sets(&mut self, selector: &Selector, at: &str, document: &Document) {
        for set in selector.sets() {
            self.need(Need::Set(set.to_owned()), at.to_owned(), document);
        }
    }

    fn expectation(&mut self, at: &str, expect: &Expect, document: &Document) {
        if expect.state.is_some() {
            self.need(Need::Probe, at.to_owned(), document);
        }
        let Some(calls) = &expect.calls else { return };
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
        for selector in all {
            self.sets(selector, at, document);
        }
    }

    /// Checks the rest of the suite, and returns all problems in the order of the file.
    pub(super) fn finish(mut self, suite: &Suite, document: &Document) -> Vec<Problem> {
        if suite.cases.is_empty() {
            let at = "/cases";
            self.add(document.line(at), at, "there is no case".to_owned(), "");
        }
        for (name, selector) in &suite.sets {
            self.sets(selector, &format!("/sets/{name}"), document);
        }
        self.expectation("/defaults/expect", &suite.defaults.expect, document);
        let mut rest = document.value.clone();
        if let Value::Object(members) = &mut rest {
            members.remove("cases");
        }
        for at in relative_days(&rest, "") {
            self.need(Need::Clock, at, document);
        }
        if suite.judge.as_ref().is_some_and(|judge| !judge.is_odd()) {
            let at = "/judge/votes";
            let message = "most of these votes cannot be told".to_owned();
            self.add(document.line(at), at, message, "1, 3, 5, 7 or 9 votes");
        }
        let known: Vec<&String> = suite.sets.keys().collect();
        for (need, places) in std::mem::take(&mut self.needs) {
            let (message, hint) = match &need {
                Need::Set(name) if !suite.sets.contains_key(name) => {
                    let hint = format!("sets are: {known:?}");
                    (format!("there is no set `{name}`"), hint)
                }
                Need::Probe if suite.state.probe.is_empty() => (
                    "state is expected, and nothing shows it".to_owned(),
                    "add `state: { probe: [{ name: …, tool: … }] }` to the suite".to_owned(),
                ),
                Need::Clock if suite.clock.is_none() => (
                    "a relative date without a clock".to_owned(),
                    "add `clock: 2026-11-22T09:00:00-05:00` to the suite".to_owned(),
                ),
                Need::Judge if suite.judge.is_none() => (
                    "a rubric without a judge".to_owned(),
                    "add `judge: { model: … }` to the suite".to_owned(),
                ),
                _ => continue,
            };
            for (at, line) in places {
                self.add(line, &at, message.clone(), &hint);
            }
        }
        self.problems.sort_by_key(|problem| problem.line);
        self.problems
    }
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

/// What is expected of the case at a place.
fn expectations<'a>(at: &str, case: &'a Case) -> Vec<(String, &'a Expect)> {
    let mut all = vec![(format!("{at}/expect"), &case.expect)];
    all.extend(case.goal.as_ref().map(|goal| (format!("{at}/goal"), goal)));
    for (turn, of_turn) in case.turns.iter().enumerate() {
        all.push((format!("{at}/turns/{turn}/expect"), &of_turn.expect));
    }
    all
}

/// Places of dates that mean nothing without a clock, in the value at a place.
fn relative_days(value: &Value, at: &str) -> Vec<String> {
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
    walk(value, at, &mut found);
    found
}
