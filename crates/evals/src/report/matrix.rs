//! Which tool was expected first, and which was called first.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{grade::Verdict, runner::Run, suite::Suite, tool::Tools};

/// Counts by expected and called tool. `(none)` stands for no call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Matrix(pub BTreeMap<String, BTreeMap<String, u64>>);

/// Stands for no call.
const NONE: &str = "(none)";

impl Matrix {
    /// Counts the first call of every turn that says what it expects to be called.
    #[must_use]
    pub fn of(suite: &Suite, run: &Run) -> Self {
        let mut matrix = Self::default();
        let tools = Tools {
            all: &[],
            sets: &suite.sets,
        };
        for record in &run.records {
            if !matches!(record.verdict, Verdict::Pass | Verdict::Fail) {
                continue;
            }
            let Some(case) = suite.cases.iter().find(|case| case.id == record.case) else {
                continue;
            };
            let of_turns = case.turns.iter().map(|turn| &turn.expect);
            let expectations: Vec<_> = match case.turns.is_empty() {
                true => vec![&case.expect],
                false => of_turns.collect(),
            };
            for (expect, called) in expectations.into_iter().zip(&record.first) {
                let Some(calls) = &expect.calls else { continue };
                let least = calls.at_least.first().map(|spec| &spec.tool);
                let exact = calls.exactly.iter().flatten().next().map(|spec| &spec.tool);
                let expected = match calls.first.as_ref().or(least).or(exact) {
                    Some(selector) => {
                        // One of several that are right is on the diagonal.
                        let right = called
                            .as_ref()
                            .filter(|called| selector.selects(called, tools));
                        right.cloned().unwrap_or_else(|| selector.shown())
                    }
                    None if calls.none => NONE.to_owned(),
                    None => continue,
                };
                matrix.add(&expected, called.as_deref().unwrap_or(NONE));
            }
        }
        matrix
    }

    /// Counts one choice.
    pub(crate) fn add(&mut self, expected: &str, called: &str) {
        let row = self.0.entry(expected.to_owned()).or_default();
        *row.entry(called.to_owned()).or_default() += 1;
    }
}
