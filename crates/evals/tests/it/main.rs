//! The grader against recordings with known verdicts.

mod imports;
mod mutants;
mod recordings;
