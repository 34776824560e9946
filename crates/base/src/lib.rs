//! What every crate of Airside needs and nothing else: typed ids, the clock, the names of
//! months, faults, redaction and the supervision of tasks.
//!
//! # Invariants
//!
//! * No HTTP, no SQL, no file access.
//! * The system clock and the random source are read here and nowhere else, so
//!   that everything above can be driven by a [`VirtualClock`].

mod clock;
mod fault;
mod finding;
mod id;
mod month;
mod redacted;
mod supervisor;
mod trouble;

pub use clock::{Clock, SystemClock, VirtualClock};
pub use fault::{Fault, Kind};
pub use finding::{Finding, NotASeverity, Place, Rule, Severity};
pub use id::{CallId, NameError, NodeId, ServerId, TenantId, secret_token};
pub use jiff::Timestamp;
pub use month::{MONTHS, month};
pub use redacted::Redacted;
pub use supervisor::{OnFailure, Supervisor};
pub use trouble::{Trouble, WithCauses};

/// Returns `bytes` as hexadecimal digits in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns how many there are in words: `1 file`, `2 files`. `noun` is in the singular and
/// takes an `s`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}

/// A boxed future, used where a trait has to be dyn-compatible (ports only).
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
