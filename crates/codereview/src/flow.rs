//! The way of values through a program, from outside to where they do harm.
//!
//! # Invariants
//!
//! * Each function is looked at alone and gives a summary; summaries are joined in rounds
//!   of bounded number, so the work is linear in the program.
//! * The result does not depend on the order of files or threads.
//! * A value is `proven` only if every step of its way was read: a tool's argument, calls
//!   whose function is known, assignments. Everything else is at most `likely`.

mod arrive;
mod call;
mod closure;
mod codec;
mod construct;
mod ensure;
mod entrance;
mod entry;
mod evaluate;
mod expect;
mod guard;
pub(crate) mod ir;
mod judged;
mod known;
mod link;
mod lower;
mod members;
pub(crate) mod memory;
mod named;
mod parity;
mod pattern;
mod program;
mod recall;
mod report;
mod result;
mod spelled;
mod state;
mod subject;
mod told;
pub(crate) mod value;
mod view;
mod walk;
mod weak;

pub(crate) use report::{Scan, scan};

#[cfg(test)]
mod tests;
