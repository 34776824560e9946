//! The load generator: what it sends, how it measures, what it prints.
//!
//! One thread that owns one epoll set drives all sessions, so that the generator
//! costs less than what it measures. Targets take turns in short slices whose
//! order is reversed every round; work of others on the machine then hits all
//! alike.
//!
//! # Invariants
//!
//! * Every answer is checked against its request, by id and nonce, and for size.
//!   One that does not match ends the run with an error.
//! * Traffic goes to loopback addresses only, and is bounded in count and time.
//! * In the open loop, time is counted from when a call was due, not from when
//!   it could be sent.

mod checkpoint;
mod drive;
mod gateway;
mod histogram;
mod machine;
mod report;
mod session;
mod slices;

pub use checkpoint::cost;
pub use drive::{Error, Pace};
pub use gateway::{Error as GatewayError, Matrix, Report, measure};
pub use histogram::Histogram;
pub use machine::{Process, pin};
pub use report::{Peer, peers, ratios, table};
pub use session::{Era, Shape};
pub use slices::{Held, Measured, Plan, Target, hold, run};
