//! Which step a booking session may take.
//!
//! ```text
//! incomplete ⇄ ready_for_complete → complete_in_progress → completed
//!      ↕               ↓                 ↓        ↑
//! requires_escalation  canceled      (unknown) ───┘→ incomplete, canceled
//! ```
//!
//! # Invariants
//!
//! * [`step`] is pure and the only place where steps are judged.
//! * Once the supplier is asked, nothing but its answer ends the attempt: no update, no
//!   cancellation, no expiry. An unknown outcome is never shown as failed.

use super::record::Session;
use crate::ucp::Status;

/// What somebody wants to do with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// Put other terms together.
    Propose,
    /// Ask the supplier, with the traveller's consent.
    Complete,
    /// End it without a booking.
    Cancel,
    /// Note how the attempt ended.
    Settle,
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Its time is over.
    Expired,
    /// Something is missing, such as the lead guest.
    Incomplete,
    /// It has to be paid or guaranteed first.
    Unpaid,
    /// The supplier has been asked.
    InProgress,
    /// It has ended in a booking.
    Completed,
    /// It has ended without one.
    Canceled,
}

/// Judges a step at `now` (microseconds since the Unix epoch).
pub(crate) fn step(session: &Session, wanted: Move, now: i64) -> Result<(), Obstacle> {
    let expired = session.expires <= now;
    match (session.status, wanted) {
        (Status::CompleteInProgress, Move::Settle) => Ok(()),
        (Status::CompleteInProgress, _) => Err(Obstacle::InProgress),
        (Status::Completed, _) => Err(Obstacle::Completed),
        (Status::Canceled, _) => Err(Obstacle::Canceled),
        (_, Move::Cancel) => Ok(()),
        (_, Move::Settle) => Err(Obstacle::Incomplete),
        (_, Move::Complete | Move::Propose) if expired => Err(Obstacle::Expired),
        (_, Move::Propose) => Ok(()),
        (Status::ReadyForComplete, Move::Complete) => Ok(()),
        (Status::RequiresEscalation, Move::Complete) => Err(Obstacle::Unpaid),
        (Status::Incomplete, Move::Complete) => Err(Obstacle::Incomplete),
    }
}

/// Returns the status that others see at `now`: a session past its time is over.
pub(crate) fn shown(session: &Session, now: i64) -> Status {
    match session.status {
        Status::Incomplete | Status::RequiresEscalation | Status::ReadyForComplete
            if session.expires <= now =>
        {
            Status::Canceled
        }
        status => status,
    }
}
