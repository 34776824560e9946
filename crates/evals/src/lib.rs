//! Suites that test what a model does with the tools: what is expected, how it is
//! graded, and what can be said about it with which confidence.
//!
//! # Invariants
//!
//! * Expectations are data. What reads them, what runs them and what grades them are
//!   apart, and one grader serves live runs, replays and imported recordings.
//! * What shows nothing about a model is `invalid`, never a pass or a fail.

pub mod agent;
mod assignment;
pub mod cassette;
pub mod expect;
pub mod grade;
pub mod history;
mod lines;
pub mod lint;
pub mod matcher;
pub mod model;
pub mod mutate;
mod path;
pub mod plant;
pub mod recordings;
pub mod redteam;
pub mod report;
pub mod rubric;
pub mod runner;
pub mod scripted;
pub mod state;
pub mod stats;
pub mod suite;
pub mod tool;
pub mod toolbox;
pub mod trace;
pub mod view;
mod yaml;
