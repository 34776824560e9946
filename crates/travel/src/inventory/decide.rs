//! What becomes of a request: a function of the reservation, the nights and the time.
//!
//! # Invariants
//!
//! * [`decide`] is pure: it changes neither the nights nor the ledger, and the same
//!   arguments give the same decision. So a decision that lost a race is made again.
//! * A request that was answered before is answered the same way again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    block::Block,
    event::{Event, Taken},
    sell::quote,
};
use crate::{
    draw::mix64,
    reference::digest,
    shop::Local,
    supply::{Error, Reference, Reservation, Selection, State},
};

/// Something that is asked of one reservation.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Hold {
        reference: Reference,
        selection: Selection,
        ttl: Duration,
    },
    Commit,
    Release,
    /// The reconciler found the hold at its end.
    Expire,
    Modify {
        change: Reference,
        selection: Selection,
    },
    Cancel {
        /// Most minor units that it may cost.
        accepted: i64,
    },
}

/// What to do.
#[derive(Debug)]
pub(super) enum Decision {
    /// Nothing is written.
    Answer(Result<Reservation, Error>),
    /// This happened. The reservation follows by [`Event::fold`].
    Write(Event),
}

/// When and where something is decided.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    pub local: &'a Local,
    /// Tells one world from another.
    pub fingerprint: u64,
}

/// Longest hold.
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Decides on `request`, made about the reservation `prior` of the hotel in `block`.
pub(super) fn decide(
    request: &Request,
    prior: Option<&Reservation>,
    block: &Block,
    moment: &Moment<'_>,
) -> Decision {
    let decided = match (request, prior) {
        (
            Request::Hold {
                reference,
                selection,
                ttl,
            },
            None,
        ) => hold(reference, selection, *ttl, block, moment),
        (Request::Hold { selection, .. }, Some(prior)) => held_before(prior, selection),
        (_, None) => Err(Error::NotFound),
        (Request::Commit, Some(prior)) => commit(prior, moment),
        (Request::Release, Some(prior)) => release(prior, moment),
        (Request::Expire, Some(prior)) => expire(prior, moment),
        (Request::Modify { change, selection }, Some(prior)) => {
            modify(prior, change, selection, block, moment)
        }
        (Request::Cancel { accepted }, Some(prior)) => cancel(prior, *accepted, moment),
    };
    decided.unwrap_or_else(|error| Decision::Answer(Err(error)))
}

fn hold(
    reference: &Reference,
    selection: &Selection,
    ttl: Duration,
    block: &Block,
    moment: &Moment<'_>,
) -> Result<Decision, Error> {
    let quoted = quote(block, moment.local, selection, None)?;
    check_total(selection, quoted.price.total)?;
    let ttl = SignedDuration::try_from(ttl.min(MAX_TTL)).unwrap_or(SignedDuration::ZERO);
    let until = moment.local.now.saturating_add(ttl);
    let reservation = Reservation {
        reference: reference.clone(),
        hotel: selection.hotel.clone(),
        stay: selection.stay.clone(),
        units: selection.units.clone(),
        price: quoted.price,
        cancellation: quoted.cancellation,
        prepay: quoted.prepay,
        state: State::Held {
            until: until.unwrap_or(Timestamp::MAX),
        },
        change: None,
    };
    Ok(Decision::Write(Event::Held { reservation }))
}

fn check_total(selection: &Selection, now: i64) -> Result<(), Error> {
    match selection.expected_total {
        Some(seen) if seen != now => Err(Error::PriceChanged { now }),
        _ => Ok(()),
    }
}

fn held_before(prior: &Reservation, selection: &Selection) -> Result<Decision, Error> {
    // A changed booking does not look like what was held for it any more.
    if prior.change.is_none() && !prior.is_of(selection) {
        return Err(Error::Mismatch);
    }
    match &prior.state {
        State::Held { .. } | State::Booked { .. } => Ok(Decision::Answer(Ok(prior.clone()))),
        State::Expired { .. } => Err(Error::Expired),
        State::Released { .. } | State::Cancelled { .. } => Err(is(prior)),
    }
}

fn commit(prior: &Reservation, moment: &Moment<'_>) -> Result<Decision, Error> {
    match &prior.state {
        State::Held { until } if *until <= moment.local.now => Err(Error::Expired),
        State::Held { .. } => Ok(Decision::Write(Event::Booked {
            reference: prior.reference.clone(),
            confirmation: confirmation(moment.fingerprint, &prior.reference),
            at: moment.local.now,
        })),
        State::Booked { .. } => Ok(Decision::Answer(Ok(prior.clone()))),
        State::Expired { .. } => Err(Error::Expired),
        State::Released { .. } | State::Cancelled { .. } => Err(is(prior)),
    }
}

fn release(prior: &Reservation, moment: &Moment<'_>) -> Result<Decision, Error> {
    match &prior.state {
        State::Held { .. } => Ok(Decision::Write(Event::Released {
            reference: prior.reference.clone(),
            at: moment.local.now,
            freed: Taken::by(prior),
        })),
        State::Released { .. } | State::Expired { .. } => Ok(Decision::Answer(Ok(prior.clone()))),
        State::Booked { .. } | State::Cancelled { .. } => Err(is(prior)),
    }
}

fn expire(prior: &Reservation, moment: &Moment<'_>) -> Result<Decision, Error> {
    match &prior.state {
        State::Held { until } if *until <= moment.local.now => {
            Ok(Decision::Write(Event::Expired {
                reference: prior.reference.clone(),
                at: moment.local.now,
                freed: Taken::by(prior),
            }))
        }
        _ => Ok(Decision::Answer(Ok(prior.clone()))),
    }
}

fn modify(
    prior: &Reservation,
    change: &Reference,
    selection: &Selection,
    block: &Block,
    moment: &Moment<'_>,
) -> Result<Decision, Error> {
    let State::Booked { .. } = prior.state else {
        return Err(is(prior));
    };
    if prior.change.as_ref() == Some(change) {
        return match prior.is_of(selection) {
            true => Ok(Decision::Answer(Ok(prior.clone()))),
            false => Err(Error::Mismatch),
        };
    }
    if prior.hotel != selection.hotel {
        return Err(Error::Range {
            why: "a booking stays in its hotel",
        });
    }
    let freed = Taken::by(prior);
    let own = freed.claim(block);
    let quoted = quote(block, moment.local, selection, Some(&own))?;
    check_total(selection, quoted.price.total)?;
    let reservation = Reservation {
        stay: selection.stay.clone(),
        units: selection.units.clone(),
        price: quoted.price,
        cancellation: quoted.cancellation,
        prepay: quoted.prepay,
        change: Some(change.clone()),
        ..prior.clone()
    };
    Ok(Decision::Write(Event::Changed { reservation, freed }))
}

fn cancel(prior: &Reservation, accepted: i64, moment: &Moment<'_>) -> Result<Decision, Error> {
    match &prior.state {
        State::Booked { .. } => {}
        State::Cancelled { .. } => return Ok(Decision::Answer(Ok(prior.clone()))),
        State::Held { .. } | State::Released { .. } | State::Expired { .. } => {
            return Err(is(prior));
        }
    }
    let penalty = prior.cancellation.penalty(moment.local.now);
    if penalty > accepted {
        return Err(Error::PriceChanged { now: penalty });
    }
    Ok(Decision::Write(Event::Cancelled {
        reference: prior.reference.clone(),
        at: moment.local.now,
        penalty,
        freed: Taken::by(prior),
    }))
}

fn is(prior: &Reservation) -> Error {
    let is = match prior.state {
        State::Held { .. } => "held",
        State::Booked { .. } => "booked",
        State::Released { .. } => "released",
        State::Expired { .. } => "expired",
        State::Cancelled { .. } => "cancelled",
    };
    Error::State { is }
}

/// Returns the hotel's name of a booking: twelve letters and digits that are not
/// mistaken for each other (Crockford's base 32), the same for the same reference.
fn confirmation(fingerprint: u64, reference: &Reference) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = mix64(digest(fingerprint, reference.as_str().as_bytes()));
    let digit = |at: u32| char::from(DIGITS[(bits >> (5 * at) & 31) as usize]);
    (0..12).map(digit).collect()
}
