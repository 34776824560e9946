//! The grader against recordings with known verdicts.

mod recordings;
