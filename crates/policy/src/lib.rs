//! May it happen: facts in, a [`Permit`] or a [`Refusal`] out.
//!
//! Policies are written in Cedar against the schema in `policies/`. They are
//! loaded and checked once ([`Policies`]), cut into one small set for each server
//! ([`Engine`]), and asked for every call ([`Engine::decide`]).
//!
//! # Invariants
//!
//! * Default deny: what no policy permits is refused. What any policy forbids is
//!   refused, whatever permits it.
//! * Fail closed: where a policy cannot be evaluated, the answer is a refusal.
//!   Cedar alone would skip the policy, and a skipped `forbid` is a hole.
//! * A [`Permit`] is made here and nowhere else, so no path leads around a
//!   decision.
//! * A decision is a function of the facts and the policies: no clock, no
//!   counter, no IO. This is what allows it to be remembered and replayed.
//! * What policies do not read of a call does not enter the memory of decisions, and
//!   what never comes again is not remembered.

mod argument;
mod engine;
mod explain;
mod facts;
mod intent;
pub mod limit;
mod lint;
mod load_error;
mod memo;
mod objection;
mod permit;
mod policies;
mod reads;
mod vocabulary;

pub use argument::{
    Argument, ArgumentKind, Declared, MAX_ITEMS, MAX_TEXT_BYTES, Unreadable, Value,
};
pub use engine::Engine;
pub use explain::{Explanation, Rule, Stance};
pub use facts::{
    Action, Asked, Circumstances, Contract, Facts, Principal, Risk, Standing, Target, ToolTraits,
};
pub use intent::{Gap, Intent, MAX_WORDS_BYTES, Spoken, agrees};
pub use lint::{Known, Remark};
pub use load_error::{LoadError, Place, Problem};
pub use objection::Objection;
pub use permit::{Permit, PolicyId, Reason, Refusal};
pub use policies::{DEFAULT, MAX_SOURCE_BYTES, Policies, SCHEMA, Settings, Source};
