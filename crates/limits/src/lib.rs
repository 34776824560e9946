//! Limits on the way of a call: who takes from which budget, when, and what those
//! hear who have used theirs up.
//!
//! What is asked before the body ([`Plan::enter`]) knows tenant and caller; what is
//! asked after routing ([`Plan::admit`]) also knows tool, server, market and, as the
//! caller tells it, user and session.
//!
//! # Invariants
//!
//! * Nothing here reads the body or waits for the disk. With counters in memory
//!   nothing waits at all.
//! * A refusal is on record, by itself or counted in `limit.reached`: entries of
//!   refusals are bounded, and no refusal is lost in silence ([`refusals`]).
//! * What was counted survives a new configuration: counters belong to the process,
//!   rules to the snapshot.

mod answer;
mod call;
mod config;
mod event;
mod grip;
mod plan;
mod quotas;
mod rate;
mod refusals;
mod service;
mod shared;
mod usage;

pub use answer::Limited;
pub use call::{After, Aim};
pub use config::{
    Answer, Error as ConfigError, LimitConfig, LimitsConfig, LookToBook, Per, Quota, StoreConfig,
    Time, Tools, check, compile,
};
pub use event::{Event, Limit};
pub use grip::{Fields, Grip};
pub use plan::Plan;
pub use quotas::{QuotaUse, Quotas};
pub use rate::Rate;
pub use service::{Counters, Ground, OpenError};
pub use shared::{StoreError, StoreOptions};
pub use usage::Usage;
