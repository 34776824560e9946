//! Which tool was expected first, and which was called first.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    grade::Verdict,
    runner::{KeptError, Record},
    suite::Suite,
    tool::Tools,
    trace::Turn,
};

/// Counts by expected and called tool. `(none)` stands for no call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Matrix(pub BTreeMap<String, BTreeMap<String, u64>>);

/// Stands for no call.
const NONE: &str = "(none)";

impl Matrix {
    /// Counts the first call of every turn that says what it expects to be called.
    ///
    /// # Errors
    ///
    /// The first error of `records`.
    pub fn of(
        suite: &Suite,
        records: impl IntoIterator<Item = Result<Record, KeptError>>,
    ) -> Result<Self, KeptError> {
        let mut matrix = Self::default();
        let tools = Tools {
            all: &[],
            sets: &suite.sets,
        };
        for record in records {
            let record = record?;
            if !matches!(record.verdict, Verdict::Pass | Verdict::Fail) {
                continue;
            }
            let Some(case) = suite.cases.find(&record.case) else {
                continue;
            };
            let of_turns = case.turns.iter().map(|turn| &turn.expect);
            let expectations: Vec<_> = match case.turns.is_empty() {
                true => vec![&case.expect],
                false => of_turns.collect(),
            };
            for (expect, turn) in expectations.into_iter().zip(&record.trace.turns) {
                let Some(calls) = &expect.calls else { continue };
                let called = first(turn);
                let least = calls.at_least.first().map(|spec| &spec.tool);
                let exact = calls.exactly.iter().flatten().next().map(|spec| &spec.tool);
                let expected = match calls.first.as_ref().or(least).or(exact) {
                    Some(selector) => {
                        // One of several that are right is on the diagonal.
                        let right = called.filter(|called| selector.selects(called, tools));
                        right.map_or_else(|| selector.shown(), str::to_owned)
                    }
                    None if calls.none => NONE.to_owned(),
                    None => continue,
                };
                matrix.add(&expected, called.unwrap_or(NONE));
            }
        }
        Ok(matrix)
    }

    /// Counts one choice.
    pub(crate) fn add(&mut self, expected: &str, called: &str) {
        let row = self.0.entry(expected.to_owned()).or_default();
        *row.entry(called.to_owned()).or_default() += 1;
    }
}

/// The tool that is called first in a turn.
fn first(turn: &Turn) -> Option<&str> {
    turn.calls().next().map(|call| call.tool.as_str())
}
