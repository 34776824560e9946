//! The nights of one hotel.
//!
//! # Invariants
//!
//! * A cell of a room type and night takes six bytes; one of a hotel and night four.
//!   What messages of the hotel add is allocated when the first one comes.
//! * The arrays are rings over the days: a night keeps its place while the window
//!   moves on, and only the nights that enter are derived anew.
//! * `taken` counts what is sold and held. Nothing here compares it with the rooms
//!   that may be sold: [`crate::stay::judge`] does, before anything is taken.
//! * What is counted and counted back leaves no trace, whatever was counted in between.
//!   For a moment that may be below zero: a room is given back by a decision on a
//!   reservation whose entry is still to come here, or which has gone already. The
//!   ledger refuses such a decision, and it is undone.

use serde::{Deserialize, Serialize};

use super::fed::{Fed, Level};
use crate::{
    levy::{Levy, levies},
    night::{Day, Night, Restrictions},
    places::Atlas,
    property::{Property, World},
    quote::Plan,
    stay::{Extra, Stay},
    supply::ari::RateCard,
};

/// Set in a rate: the room type is closed on that night.
const CLOSED: u32 = 1 << 31;

/// One hotel with its nights.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub property: Property,
    pub levies: Box<[Levy]>,
    /// Number of the first day that is kept.
    pub(super) first: i64,
    /// The last entry of the ledger that is part of it; 0 for none.
    pub(super) applied: u64,
    /// Decisions that are counted and not durable yet.
    pub(super) pending: u32,
    /// Minor units, by room type and night.
    pub(super) rates: Box<[u32]>,
    /// Rooms sold and held, by room type and night.
    pub(super) taken: Box<[i16]>,
    /// Restrictions of the hotel by night.
    pub(super) rules: Box<[Packed]>,
    pub(super) fed: Option<Box<Fed>>,
}

/// Restrictions in 27 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Packed(pub u32);

/// Most rooms of a type that are sold of one night, so that they can be counted.
const MOST_ROOMS: u16 = i16::MAX.unsigned_abs();

/// Longest stay that a packed limit can name: far above the longest that is sold.
const MOST: u8 = 63;

impl Packed {
    pub(super) fn new(rules: Restrictions, closed: bool) -> Self {
        // A larger minimum excludes every stay just as well, a larger maximum none.
        let least = |nights: u8| u32::from(nights.min(MOST));
        let most = |nights: u8| u32::from(if nights > MOST { 0 } else { nights });
        Self(
            u32::from(rules.closed_to_arrival)
                | u32::from(rules.closed_to_departure) << 1
                | least(rules.min_from_arrival) << 2
                | most(rules.max_from_arrival) << 8
                | least(rules.min_through) << 14
                | most(rules.max_through) << 20
                | u32::from(closed) << 26,
        )
    }

    pub(super) fn restrictions(self) -> Restrictions {
        let field = |shift: u32| (self.0 >> shift & 0x3f) as u8;
        Restrictions {
            closed_to_arrival: self.0 & 1 != 0,
            closed_to_departure: self.0 & 2 != 0,
            min_from_arrival: field(2),
            max_from_arrival: field(8),
            min_through: field(14),
            max_through: field(20),
        }
    }

    pub(super) fn is_closed(self) -> bool {
        self.0 >> 26 & 1 != 0
    }
}

/// Rooms of a reservation that count as free for its own change.
pub(crate) type Own<'a> = Option<&'a super::event::Claim>;

impl Block {
    /// Derives the nights of `days` of a hotel.
    pub(crate) fn build(world: &World, atlas: &Atlas, property: Property, days: &[Day]) -> Self {
        let rooms = property.room_types().len();
        let levies = levies(&property, atlas.city(property.city)).into();
        let mut block = Self {
            property,
            levies,
            first: days.first().map_or(0, |day| day.number()),
            applied: 0,
            pending: 0,
            rates: vec![0; rooms * days.len()].into(),
            taken: vec![0; rooms * days.len()].into(),
            rules: vec![Packed::default(); days.len()].into(),
            fed: None,
        };
        for day in days {
            block.derive(world, atlas, *day);
        }
        block
    }

    pub(super) fn kept(&self) -> usize {
        self.rules.len()
    }

    /// Returns the place of a day in the arrays, if it is kept.
    pub(super) fn slot(&self, day: i64) -> Option<usize> {
        let ahead = usize::try_from(day - self.first).ok()?;
        (ahead < self.kept()).then(|| day.rem_euclid(self.kept() as i64) as usize)
    }

    /// Returns the number of the first day whose rooms are not for sale yet. The newest
    /// day that is kept is not: a node whose clock is behind does not keep it, and would
    /// never learn what was taken of it.
    pub(super) fn end_of_sale(&self) -> i64 {
        self.first + self.kept() as i64 - 1
    }

    fn cell(&self, room: usize, slot: usize) -> usize {
        room * self.kept() + slot
    }

    /// Gives the place of a day the values of the seed.
    fn derive(&mut self, world: &World, atlas: &Atlas, day: Day) {
        let kept = self.kept();
        let slot = day.number().rem_euclid(kept as i64) as usize;
        let city = atlas.city(self.property.city);
        let hotel = world.hotel_night(&self.property, city, day);
        self.rules[slot] = Packed::new(hotel.restrictions, false);
        for (room, kind) in self.property.room_types().iter().enumerate() {
            let night = world.night(&self.property, kind, &hotel);
            let at = room * kept + slot;
            self.rates[at] = pack_rate(night.rate, night.closed);
            self.taken[at] = (kind.physical - night.left).min(MOST_ROOMS).cast_signed();
        }
        if let Some(fed) = &mut self.fed {
            fed.forget(slot);
        }
    }

    /// Moves the window on so that it begins with `first`. It never moves back.
    pub(super) fn roll(&mut self, world: &World, atlas: &Atlas, first: i64) {
        let kept = self.kept() as i64;
        let from = (self.first + kept).max(first);
        for number in from..first + kept {
            self.derive(world, atlas, Day::numbered(number));
        }
        self.first = self.first.max(first);
    }

    /// Returns the seed's values of one room type and night: rate, closed, sold.
    pub(super) fn seeded(&self, world: &World, atlas: &Atlas, room: usize, day: Day) -> Night {
        let city = atlas.city(self.property.city);
        let hotel = world.hotel_night(&self.property, city, day);
        world.night(&self.property, &self.property.room_types()[room], &hotel)
    }

    pub(super) fn set_rate(&mut self, room: usize, slot: usize, rate: i64) {
        let cell = &mut self.rates[room * self.rules.len() + slot];
        *cell = pack_rate(rate, *cell & CLOSED != 0);
    }

    pub(super) fn close(&mut self, room: usize, slot: usize, closed: bool) {
        let cell = &mut self.rates[room * self.rules.len() + slot];
        *cell = pack_rate(i64::from(*cell & !CLOSED), closed);
    }

    /// Returns how many rooms are sold and held.
    pub(super) fn taken(&self, room: usize, slot: usize) -> u16 {
        self.taken[self.cell(room, slot)].max(0).unsigned_abs()
    }

    /// Returns how many rooms may be sold: those that exist and the allowance.
    pub(super) fn limit(&self, room: usize, slot: usize) -> u16 {
        let fed = self.fed.as_ref().and_then(|fed| fed.limit(room, slot));
        let kind = &self.property.room_types()[room];
        fed.unwrap_or(kind.physical.saturating_add(kind.allowance))
            .min(MOST_ROOMS)
    }

    /// Counts `rooms` more or fewer rooms as taken. A night that is not kept is past.
    pub(super) fn count(&mut self, room: usize, day: i64, rooms: i16) {
        let Some(slot) = self.slot(day) else { return };
        let at = self.cell(room, slot);
        // Cut off at a bound, it could not be counted back.
        self.taken[at] = self.taken[at].wrapping_add(rooms);
    }

    /// Writes the nights of a stay for a room type into `nights` and returns what
    /// else its sale depends on. A night that is not kept, or not for sale yet, is closed.
    pub(crate) fn fill(
        &self,
        stay: &Stay,
        room: usize,
        plan: Plan,
        own: Own<'_>,
        nights: &mut Vec<Night>,
    ) -> Extra {
        nights.clear();
        let arrival = self.slot(stay.arrival().number());
        nights.extend(stay.nights().iter().map(|day| {
            let is_sold = day.number() < self.end_of_sale();
            let Some(slot) = self.slot(day.number()).filter(|_| is_sold) else {
                return Night::CLOSED;
            };
            let rate = self.rates[self.cell(room, slot)];
            let rules = self.rules_at(slot, room, plan);
            let kept = own.map_or(0, |claim| claim.rooms_on(room, day.number()));
            let taken = self.taken(room, slot).saturating_sub(kept);
            Night {
                left: self.limit(room, slot).saturating_sub(taken),
                closed: rate & CLOSED != 0 || rules.1,
                restrictions: rules.0,
                rate: i64::from(rate & !CLOSED),
                card: self
                    .fed
                    .as_ref()
                    .map_or(0, |fed| fed.card(room, plan, slot)),
            }
        }));
        let departure = self.slot(stay.departure().number());
        let departure = departure.map(|slot| self.rules_at(slot, room, plan).0);
        let mut extra = Extra {
            departure: departure.unwrap_or_default(),
            ..Extra::default()
        };
        if let (Some(fed), Some(slot)) = (&self.fed, arrival) {
            for level in Level::of(room, plan) {
                fed.extend(level, slot, &mut extra);
            }
        }
        extra
    }

    /// Returns the strictest restrictions of all levels and whether one is closed.
    fn rules_at(&self, slot: usize, room: usize, plan: Plan) -> (Restrictions, bool) {
        let hotel = self.rules[slot];
        let mut rules = (hotel.restrictions(), hotel.is_closed());
        if let Some(fed) = &self.fed {
            for level in Level::of(room, plan).into_iter().skip(1) {
                if let Some(packed) = fed.rules(level, slot) {
                    rules.0 = rules.0.strictest(packed.restrictions());
                    rules.1 |= packed.is_closed();
                }
            }
        }
        rules
    }

    /// Returns whether all plans of a room type have the same nights.
    pub(crate) fn is_uniform(&self) -> bool {
        self.fed.as_ref().is_none_or(|fed| fed.is_uniform())
    }

    /// Returns the prices by guests that nights refer to.
    pub(crate) fn cards(&self) -> &[RateCard] {
        self.fed.as_ref().map_or(&[], |fed| fed.cards())
    }

    /// Returns the position of a room type.
    pub(crate) fn room(&self, code: &str) -> Option<usize> {
        let mut rooms = self.property.room_types().iter();
        rooms.position(|room| room.kind.code() == code)
    }

    /// Returns how many rooms are taken beyond what may be sold on the worst night.
    #[cfg(test)]
    pub(super) fn oversold(&self) -> i32 {
        let cell = |room: usize, slot: usize| {
            i32::from(self.taken(room, slot)) - i32::from(self.limit(room, slot))
        };
        let rooms = 0..self.property.room_types().len();
        let cells = rooms.flat_map(|room| (0..self.kept()).map(move |slot| (room, slot)));
        cells
            .map(|(room, slot)| cell(room, slot))
            .max()
            .unwrap_or(0)
    }
}

fn pack_rate(rate: i64, closed: bool) -> u32 {
    let rate = u32::try_from(rate).unwrap_or(0).min(CLOSED - 1);
    rate | if closed { CLOSED } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packing_keeps_restrictions(cta: bool, ctd: bool, closed: bool, nights in [0_u8..64, 0..64, 0..64, 0..64]) {
            let rules = Restrictions {
                closed_to_arrival: cta,
                closed_to_departure: ctd,
                min_from_arrival: nights[0],
                max_from_arrival: nights[1],
                min_through: nights[2],
                max_through: nights[3],
            };
            let packed = Packed::new(rules, closed);
            prop_assert_eq!((packed.restrictions(), packed.is_closed()), (rules, closed));
        }
    }
}
