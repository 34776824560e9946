//! What the inventory writes to the ledger, and the documents that follow from it.
//!
//! # Invariants
//!
//! * A version of a body never changes its meaning: `golden.json` holds one of each,
//!   and all decode for ever.
//! * An entry says by itself which rooms it takes and gives back, so that the arrays
//!   can be folded from the chain alone.
//! * There are no personal data: guests are ages, and names are kept elsewhere.

use airside_base::{TenantId, Timestamp};
use airside_ledger::{Cell, Column, Draft, DraftError, Entry, Fact, Kind, Schema};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::block::Block;
use crate::{
    night::Day,
    supply::{Reference, Reservation, RoomCode, State, Updates},
};

/// Version of the bodies below.
const VERSION: u16 = 1;
/// The kinds of all of them lie below it.
const PREFIX: &str = "inventory";

/// Something that happened to the rooms of one hotel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub(crate) enum Event {
    /// Rooms are kept for somebody, for a while.
    #[serde(rename = "inventory.held")]
    Held { reservation: Reservation },
    /// A hold became a booking.
    #[serde(rename = "inventory.booked")]
    Booked {
        reference: Reference,
        confirmation: String,
        at: Timestamp,
    },
    /// A hold was given back.
    #[serde(rename = "inventory.released")]
    Released {
        reference: Reference,
        at: Timestamp,
        freed: Taken,
    },
    /// A hold came to its end.
    #[serde(rename = "inventory.expired")]
    Expired {
        reference: Reference,
        at: Timestamp,
        freed: Taken,
    },
    /// A booking was changed: it has given back `freed` and taken what it names now.
    #[serde(rename = "inventory.changed")]
    Changed {
        reservation: Reservation,
        freed: Taken,
    },
    /// A booking was cancelled.
    #[serde(rename = "inventory.cancelled")]
    Cancelled {
        reference: Reference,
        at: Timestamp,
        penalty: i64,
        freed: Taken,
    },
    /// The hotel sent availability, rates or restrictions.
    #[serde(rename = "inventory.updated")]
    Updated { updates: Updates },
}

/// Rooms by type over nights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    check_in: Date,
    nights: u16,
    rooms: Vec<(RoomCode, u16)>,
}

impl Taken {
    pub(super) fn by(reservation: &Reservation) -> Self {
        let mut rooms: Vec<(RoomCode, u16)> = Vec::new();
        for unit in &reservation.units {
            match rooms.iter_mut().find(|(room, _)| *room == unit.room) {
                Some((_, count)) => *count += 1,
                None => rooms.push((unit.room.clone(), 1)),
            }
        }
        Self {
            check_in: reservation.stay.check_in(),
            nights: reservation.stay.length() as u16,
            rooms,
        }
    }

    pub(super) fn claim(&self, block: &Block) -> Claim {
        let first = Day::new(self.check_in).number();
        let rooms = self.rooms.iter().filter_map(|(code, count)| {
            let room = block.room(code.as_str())?;
            Some((room, *count))
        });
        Claim {
            first,
            end: first + i64::from(self.nights),
            rooms: rooms.collect(),
        }
    }
}

/// The same for one hotel in memory: positions and numbers instead of names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Claim {
    first: i64,
    end: i64,
    rooms: Vec<(usize, u16)>,
}

impl Claim {
    pub(super) fn rooms_on(&self, room: usize, day: i64) -> u16 {
        if !(self.first..self.end).contains(&day) {
            return 0;
        }
        let mut rooms = self.rooms.iter();
        rooms.find(|(of, _)| *of == room).map_or(0, |(_, n)| *n)
    }

    /// Takes the rooms.
    pub(super) fn take(&self, block: &mut Block) {
        self.count(block, 1);
    }

    /// Gives them back.
    pub(super) fn free(&self, block: &mut Block) {
        self.count(block, -1);
    }

    fn count(&self, block: &mut Block, sign: i16) {
        for (room, count) in &self.rooms {
            for day in self.first..self.end {
                block.count(*room, day, sign * count.cast_signed());
            }
        }
    }
}

impl Event {
    /// Returns the entry to append to `chain` about a hotel.
    pub(super) fn draft(&self, chain: &TenantId, hotel: &str) -> Result<Draft, DraftError> {
        let kind = match self {
            Self::Held { .. } => const { Kind::new("inventory.held") },
            Self::Booked { .. } => const { Kind::new("inventory.booked") },
            Self::Released { .. } => const { Kind::new("inventory.released") },
            Self::Expired { .. } => const { Kind::new("inventory.expired") },
            Self::Changed { .. } => const { Kind::new("inventory.changed") },
            Self::Cancelled { .. } => const { Kind::new("inventory.cancelled") },
            Self::Updated { .. } => const { Kind::new("inventory.updated") },
        };
        Draft::new(chain.clone(), kind, VERSION, hotel, self)
    }

    /// Returns what an entry says, if it is about the inventory.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        Self::in_fact(entry.into())
    }

    fn in_fact(fact: Fact<'_>) -> Option<Self> {
        if !fact.kind.is_under(PREFIX) || fact.version != VERSION {
            return None;
        }
        fact.decode().ok()
    }

    fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Held { reservation } | Self::Changed { reservation, .. } => {
                Some(&reservation.reference)
            }
            Self::Booked { reference, .. }
            | Self::Released { reference, .. }
            | Self::Expired { reference, .. }
            | Self::Cancelled { reference, .. } => Some(reference),
            Self::Updated { .. } => None,
        }
    }

    /// Returns the rooms that are given back and taken by it.
    pub(super) fn rooms(&self, block: &Block) -> (Option<Claim>, Option<Claim>) {
        let claim = |taken: &Taken| Some(taken.claim(block));
        match self {
            Self::Held { reservation } => (None, claim(&Taken::by(reservation))),
            Self::Changed { reservation, freed } => (claim(freed), claim(&Taken::by(reservation))),
            Self::Released { freed, .. }
            | Self::Expired { freed, .. }
            | Self::Cancelled { freed, .. } => (claim(freed), None),
            Self::Booked { .. } | Self::Updated { .. } => (None, None),
        }
    }

    /// Returns the reservation after it.
    pub(super) fn fold(self, prior: Option<Reservation>) -> Option<Reservation> {
        let state = match self {
            Self::Held { reservation } | Self::Changed { reservation, .. } => {
                return Some(reservation);
            }
            Self::Updated { .. } => return prior,
            Self::Booked {
                confirmation, at, ..
            } => State::Booked { confirmation, at },
            Self::Released { at, .. } => State::Released { at },
            Self::Expired { at, .. } => State::Expired { at },
            Self::Cancelled { at, penalty, .. } => State::Cancelled {
                confirmation: prior.as_ref()?.confirmation()?.to_owned(),
                at,
                penalty,
            },
        };
        prior.map(|prior| Reservation { state, ..prior })
    }
}

/// All reservations, by the caller's reference.
#[derive(Debug)]
pub struct Reservations;

/// Column: when a hold ends, in milliseconds since 1970; absent for everything else.
pub(super) const UNTIL: &str = "until";

impl Schema for Reservations {
    const NAME: &'static str = "travel_reservation";
    type Document = Reservation;
    const COLUMNS: &'static [Column<Reservation>] = &[
        Column {
            name: UNTIL,
            cell: |reservation| match reservation.state {
                State::Held { until } => Some(Cell::Integer(until.as_millisecond())),
                _ => None,
            },
        },
        Column {
            name: "hotel",
            cell: |reservation| Some(Cell::Text(reservation.hotel.to_string())),
        },
    ];

    fn key(fact: Fact<'_>) -> Option<String> {
        Some(Event::in_fact(fact)?.reference()?.to_string())
    }

    fn fold(prior: Option<Reservation>, fact: Fact<'_>) -> Option<Reservation> {
        match Event::in_fact(fact) {
            Some(event) => event.fold(prior),
            None => prior,
        }
    }
}

/// One document per hotel that changes with every entry about it. An append names the
/// version that it was decided on: of two nodes that sell the last room, one loses.
#[derive(Debug)]
pub struct Homes;

/// The content of such a document; its version is what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Home {}

impl Schema for Homes {
    const NAME: &'static str = "travel_hotel";
    type Document = Home;
    const COLUMNS: &'static [Column<Home>] = &[];

    fn key(fact: Fact<'_>) -> Option<String> {
        fact.kind.is_under(PREFIX).then(|| fact.subject.to_owned())
    }

    fn fold(_prior: Option<Home>, _fact: Fact<'_>) -> Option<Home> {
        Some(Home {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_decodes_and_is_written_as_it_was() {
        let golden: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("golden.json")).unwrap();
        let mut kinds: Vec<_> = golden.iter().map(|body| body["kind"].clone()).collect();
        for body in golden {
            let event: Event = serde_json::from_value(body.clone()).unwrap();
            assert_eq!(serde_json::to_value(&event).unwrap(), body);
            let draft = event.draft(&TenantId::default(), "htl_1_0").unwrap();
            assert_eq!(draft.kind().as_str(), body["kind"]);
            assert!(Homes::key((&draft).into()).is_some());
            let about = event.reference().map(ToString::to_string);
            assert_eq!(Reservations::key((&draft).into()), about);
        }
        kinds.dedup();
        assert_eq!(kinds.len(), 7);
    }
}
