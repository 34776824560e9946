//! Damages conversations that pass, and names the damage that a suite does not notice.
//!
//! # Invariants
//!
//! * A mutant is what a worse model would have left behind: its calls, what they changed
//!   and its answer are damaged together where the trace shows what belongs to which.
//! * Pure and bounded: at most [`MAX_MUTANTS`] of one conversation.

mod value;

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    grade::Verdict,
    recordings::{self, Recording, graded},
    runner::{KeptError, Record, judge},
    state::Change,
    suite::Suite,
    tool::Tool,
    trace::{Arguments, Call, Step, Trace},
};

/// Most mutants of one conversation.
const MAX_MUTANTS: usize = 200;
/// Most writes that are added, each in a mutant of its own.
const MAX_ADDED: usize = 8;
/// Answers that say nothing.
const GENERIC: &str = "Your request has been processed.";

/// A damaged conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutant {
    /// What kind of damage.
    pub operator: &'static str,
    /// What was damaged.
    pub what: String,
    /// The conversation.
    pub trace: Trace,
}

/// Which damage is noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// By kind of damage.
    pub operators: BTreeMap<&'static str, Count>,
    /// Damage that is not noticed.
    pub survivors: Vec<Survivor>,
    /// Cases of which no conversation passed.
    pub without: Vec<String>,
}

/// How much damage is noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Noticed.
    pub killed: usize,
    /// In all.
    pub all: usize,
}

/// Damage that is not noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survivor {
    /// The case.
    pub case: String,
    /// What kind of damage.
    pub operator: &'static str,
    /// What was damaged.
    pub what: String,
}

impl Report {
    /// Returns how much damage is noticed in all.
    #[must_use]
    pub fn total(&self) -> Count {
        let mut total = Count::default();
        for count in self.operators.values() {
            total.killed += count.killed;
            total.all += count.all;
        }
        total
    }

    /// Counts one mutant of `case`.
    pub fn add(&mut self, case: &str, mutant: &Mutant, is_noticed: bool) {
        let count = self.operators.entry(mutant.operator).or_default();
        count.all += 1;
        count.killed += usize::from(is_noticed);
        if !is_noticed {
            self.survivors.push(Survivor {
                case: case.to_owned(),
                operator: mutant.operator,
                what: mutant.what.clone(),
            });
        }
    }
}

/// Returns what a suite expects that notices a kind of damage.
#[must_use]
pub fn remedy(operator: &str) -> &'static str {
    match operator {
        "drop a call" | "drop a write" => {
            "`calls.at_least`, or `state.added`, with what is left out"
        }
        "repeat a call" | "repeat a write" => {
            "`calls.exactly` or `calls.count`, or `state.added` with `exactly`"
        }
        "call a sibling" => "`calls.at_least` with the tool, or `calls.never` with its sibling",
        "alter an argument" | "shift a day" => {
            "`args` of the call, or `where` of what it adds: a day with its year by `date`, \
             somebody at all by `length`"
        }
        "add a write" => "`calls.never: $writes`, or `state.nothing_else`",
        "empty the answer" => "`answer.not_empty`",
        _ => "`answer.contains_all`, or `answer.mentions` with a saved value",
    }
}

/// Damages the first passing conversation of each case among `records`.
///
/// # Errors
///
/// The first error of `records`.
pub fn mutate(
    suite: &Suite,
    records: impl IntoIterator<Item = Result<Record, KeptError>>,
    tools: &[Tool],
) -> Result<Report, KeptError> {
    let mut report = Report::default();
    let mut had = HashSet::new();
    for record in records {
        let record = record?;
        let Some(place) = suite.cases.place(&record.case) else {
            continue;
        };
        if record.verdict != Verdict::Pass || !had.insert(place) {
            continue;
        }
        let Some(case) = suite.cases.get(place) else {
            continue;
        };
        for mutant in mutants(&record.trace, tools) {
            let grade = judge(suite, &case, &mutant.trace, tools);
            report.add(&case.id, &mutant, grade.verdict != Verdict::Pass);
        }
    }
    let survivors = &mut report.survivors;
    survivors.sort_by_cached_key(|one| suite.cases.place(&one.case));
    for (place, case) in suite.cases.iter().enumerate() {
        if !had.contains(&place) {
            report.without.push(case.id);
        }
    }
    Ok(report)
}

/// Damages the first conversation of each recorded task below `folder` that passed its
/// published check without an attack.
///
/// # Errors
///
/// When the recordings cannot be read.
pub fn recorded(folder: &Path) -> Result<Report, recordings::Error> {
    let tools = recordings::tools(folder)?;
    let mut report = Report::default();
    let mut had: BTreeMap<String, bool> = BTreeMap::new();
    recordings::each(folder, &mut |recording| {
        let [check] = recording.verdicts.as_slice() else {
            return;
        };
        let passes = is_sound(&recording);
        let had = had.entry(recording.task.clone()).or_default();
        if *had || !passes {
            return;
        }
        *had = true;
        for mutant in mutants(&recording.trace, &tools) {
            let grade = graded(&check.expect, &mutant.trace);
            report.add(&recording.task, &mutant, grade.verdict != Verdict::Pass);
        }
    })?;
    let without = had.into_iter().filter(|(_, had)| !had);
    report.without = without.map(|(task, _)| task).collect();
    Ok(report)
}

/// Whether a recording is one without an attack that passed, as it was recorded and as
/// it is graded.
#[must_use]
pub fn is_sound(recording: &Recording) -> bool {
    let [check] = recording.verdicts.as_slice() else {
        return false;
    };
    check.held
        && !check.inverted
        && recording.exempt.is_none()
        && graded(&check.expect, &recording.trace).verdict == Verdict::Pass
}

/// Where a call stands.
#[derive(Debug, Clone, Copy)]
struct At {
    turn: usize,
    step: usize,
}

/// Returns the damaged forms of a conversation.
#[must_use]
pub fn mutants(trace: &Trace, tools: &[Tool]) -> Vec<Mutant> {
    let mut found = Vec::new();
    let reads = |name: &str| {
        let tool = tools.iter().find(|tool| tool.name() == name);
        tool.is_some_and(Tool::is_read_only)
    };
    let calls = places(trace);
    let writes: Vec<At> = calls
        .iter()
        .filter(|at| call(trace, **at).is_some_and(|call| !reads(&call.tool)))
        .copied()
        .collect();
    // Where nothing is written, the reads are all that there is to damage.
    let targets = if writes.is_empty() { &calls } else { &writes };
    for at in targets {
        found.extend(of_call(trace, *at, tools));
    }
    let owned = changes_of(trace, &writes);
    if writes.len() == owned.len() {
        for (at, range) in writes.iter().zip(&owned) {
            found.extend(of_write(trace, *at, range));
        }
    }
    found.extend(added(trace, tools));
    found.extend(of_answer(trace));
    found.truncate(MAX_MUTANTS);
    found
}

fn places(trace: &Trace) -> Vec<At> {
    let mut places = Vec::new();
    for (turn, of_turn) in trace.turns.iter().enumerate() {
        for (step, one) in of_turn.steps.iter().enumerate() {
            if let Step::Called(call) = one
                && call.answer.as_ref().is_none_or(|answer| !answer.is_error)
            {
                places.push(At { turn, step });
            }
        }
    }
    places
}

fn call(trace: &Trace, at: At) -> Option<&Call> {
    match trace.turns.get(at.turn)?.steps.get(at.step)? {
        Step::Called(call) => Some(call),
        Step::Said(_) | Step::Bridged(_) => None,
    }
}

fn call_mut(trace: &mut Trace, at: At) -> Option<&mut Call> {
    match trace.turns.get_mut(at.turn)?.steps.get_mut(at.step)? {
        Step::Called(call) => Some(call),
        Step::Said(_) | Step::Bridged(_) => None,
    }
}

/// Damage to a call alone.
fn of_call(trace: &Trace, at: At, tools: &[Tool]) -> Vec<Mutant> {
    let Some(original) = call(trace, at) else {
        return Vec::new();
    };
    let name = &original.tool;
    let mut found = Vec::new();
    let mut dropped = trace.clone();
    dropped.turns[at.turn].steps.remove(at.step);
    found.push(mutant("drop a call", name.clone(), dropped));
    let mut twice = trace.clone();
    let step = twice.turns[at.turn].steps[at.step].clone();
    twice.turns[at.turn].steps.insert(at.step, step);
    found.push(mutant("repeat a call", name.clone(), twice));
    if let Some(sibling) = sibling(name, tools) {
        let mut swapped = trace.clone();
        if let Some(call) = call_mut(&mut swapped, at) {
            sibling.clone_into(&mut call.tool);
        }
        found.push(mutant(
            "call a sibling",
            format!("{name} → {sibling}"),
            swapped,
        ));
    }
    if let Arguments::Json(Value::Object(arguments)) = &original.arguments {
        for (argument, value) in arguments {
            for (operator, how, other) in value::damaged(value) {
                let mut altered = trace.clone();
                if let Some(call) = call_mut(&mut altered, at)
                    && let Arguments::Json(Value::Object(arguments)) = &mut call.arguments
                {
                    arguments.insert(argument.clone(), other.clone());
                }
                replace(&mut altered, value, &other);
                let what = format!("{name}.{argument}: {how}");
                found.push(mutant(operator, what, altered));
            }
        }
    }
    found
}

/// The tool that is most easily taken for another: most words of the name in common.
fn sibling<'a>(name: &str, tools: &'a [Tool]) -> Option<&'a str> {
    let words = |name: &str| -> Vec<String> {
        name.split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let own = words(name);
    let common = |other: &str| {
        words(other)
            .iter()
            .filter(|word| own.contains(word))
            .count()
    };
    tools
        .iter()
        .map(Tool::name)
        .filter(|other| *other != name && common(other) > 0)
        .max_by_key(|other| common(other))
}

/// What a damaged argument would have left in the state: the same value there, too.
fn replace(trace: &mut Trace, old: &Value, new: &Value) {
    let lists = std::iter::once(&mut trace.changes);
    let lists = lists.chain(trace.turns.iter_mut().map(|turn| &mut turn.changes));
    for change in lists.flatten() {
        if let Change::Add { value, .. } | Change::Replace { value, .. } = change {
            value::replace(value, old, new);
        }
    }
}

/// The changes of each write, by their order: none where that cannot be told.
fn changes_of(trace: &Trace, writes: &[At]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, change) in trace.changes.iter().enumerate() {
        // What lies below one thing belongs together.
        let root: Vec<&str> = change.path().split('/').take(4).collect();
        let root = root.join("/");
        match groups.iter_mut().find(|(known, _)| *known == root) {
            Some((_, indices)) => indices.push(index),
            None => groups.push((root, vec![index])),
        }
    }
    match (writes.len(), groups.len()) {
        (1, _) => vec![(0..trace.changes.len()).collect()],
        (writes, groups_) if writes == groups_ => {
            groups.into_iter().map(|(_, indices)| indices).collect()
        }
        _ => Vec::new(),
    }
}

/// Damage to a call together with what it changed.
fn of_write(trace: &Trace, at: At, changes: &[usize]) -> Vec<Mutant> {
    let Some(name) = call(trace, at).map(|call| call.tool.clone()) else {
        return Vec::new();
    };
    if changes.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut dropped = trace.clone();
    dropped.turns[at.turn].steps.remove(at.step);
    let mut kept = 0..;
    dropped
        .changes
        .retain(|_| kept.next().is_some_and(|index| !changes.contains(&index)));
    found.push(mutant("drop a write", name.clone(), dropped));
    let mut twice = trace.clone();
    for index in changes {
        if let Some(Change::Add { path, value }) = trace.changes.get(*index) {
            twice.changes.push(Change::Add {
                path: beside(path),
                value: value.clone(),
            });
        }
    }
    if twice.changes.len() > trace.changes.len() {
        let step = twice.turns[at.turn].steps[at.step].clone();
        twice.turns[at.turn].steps.insert(at.step, step);
        found.push(mutant("repeat a write", name, twice));
    }
    found
}

/// The place of one more of its kind.
fn beside(path: &str) -> String {
    let (list, last) = path.rsplit_once('/').unwrap_or(("", path));
    match last.parse::<u64>() {
        Ok(number) => format!("{list}/{}", number.saturating_add(1_000)),
        Err(_) => format!("{list}/{last}-again"),
    }
}

/// A write that nobody asked for.
fn added(trace: &Trace, tools: &[Tool]) -> Vec<Mutant> {
    let called = |tool: &&Tool| trace.calls().any(|call| call.tool == tool.name());
    let writes = tools
        .iter()
        .filter(|tool| !tool.is_read_only() && !called(tool));
    let Some(turn) = trace.turns.len().checked_sub(1) else {
        return Vec::new();
    };
    writes
        .take(MAX_ADDED)
        .map(|tool| {
            let mut more = trace.clone();
            more.turns[turn].steps.push(Step::Called(Call {
                tool: tool.name().to_owned(),
                arguments: Arguments::Json(Value::Object(Map::new())),
                answer: Some(crate::trace::Answer {
                    text: "done".to_owned(),
                    ..Default::default()
                }),
            }));
            let change = Change::Add {
                path: format!("/unasked/{}", tool.name()),
                value: json!({}),
            };
            more.changes.push(change.clone());
            more.turns[turn].changes.push(change);
            mutant("add a write", tool.name().to_owned(), more)
        })
        .collect()
}

fn of_answer(trace: &Trace) -> Vec<Mutant> {
    let answer = trace.answer().to_owned();
    if answer.is_empty() {
        return Vec::new();
    }
    let mut texts = vec![
        ("empty the answer", String::new()),
        ("say nothing in the answer", GENERIC.to_owned()),
    ];
    if let Some(other) = value::other_number(&answer) {
        texts.push(("falsify a number in the answer", other));
    }
    let with = |text: String| {
        let mut other = trace.clone();
        let steps = other
            .turns
            .iter_mut()
            .rev()
            .flat_map(|turn| turn.steps.iter_mut().rev());
        for step in steps {
            if let Step::Said(said) = step {
                *said = text;
                break;
            }
        }
        other
    };
    texts
        .into_iter()
        .map(|(operator, text)| mutant(operator, "the last answer".to_owned(), with(text)))
        .collect()
}

fn mutant(operator: &'static str, what: String, trace: Trace) -> Mutant {
    Mutant {
        operator,
        what,
        trace,
    }
}

#[cfg(test)]
mod tests;
