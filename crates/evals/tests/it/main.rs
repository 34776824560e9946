//! The grader against recordings with known verdicts.

mod mutants;
mod recordings;
