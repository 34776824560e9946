//! What OPERA has pushed, as nights: searches read it, nothing is held from it.
//!
//! # Invariants
//!
//! * Of two values for a night the one that was sent later counts, whatever order they
//!   arrive in; a duplicate changes nothing.
//! * A stay is answered from here only if rooms and a price are known for each of its
//!   nights under at least one room type and plan; otherwise OPERA is asked.
//! * Restrictions are judged where our own hotels' are ([`rules::judge`]).
//! * It is a cache: it may be dropped at any time, and holds a bounded number of days.

use std::collections::BTreeMap;

use airside_base::Timestamp;
use airside_travel::supply::{
    Ask, Party, PlanCode, RoomCode,
    rules::{self, Extra, Restrictions},
};
use jiff::{ToSpan as _, civil::Date};

use super::ari::{Set, Value};

/// Days ahead that are kept: the farthest arrival and its longest stay.
const WINDOW: i64 = 540;
/// Most room types times rate plans of a hotel.
const MAX_PRODUCTS: usize = 400;
/// Guests of this age and older count as adults where no band says otherwise.
const ADULT: u8 = 18;

/// A value and when it was sent, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default)]
struct Stamped<T> {
    value: T,
    sent: i64,
}

impl<T> Stamped<T> {
    /// Takes the value unless a later one is there. Returns whether it did.
    fn set(&mut self, value: T, sent: i64) -> bool {
        let later = sent >= self.sent;
        if later {
            *self = Self { value, sent };
        }
        later
    }
}

/// The nights of one hotel.
#[derive(Debug, Default)]
pub(super) struct Nights {
    free: BTreeMap<RoomCode, BTreeMap<Date, Stamped<u16>>>,
    cards: BTreeMap<(RoomCode, PlanCode), BTreeMap<Date, Card>>,
    limits: BTreeMap<(Option<RoomCode>, Option<PlanCode>), BTreeMap<Date, Limits>>,
    pruned: Option<Date>,
}

/// Prices of a night by guests.
#[derive(Debug, Clone, Default)]
struct Card {
    /// What was sent before this is gone.
    cleared: i64,
    base: BTreeMap<u8, Stamped<i64>>,
    extra_adult: Option<Stamped<i64>>,
    children: BTreeMap<(u8, u8), Stamped<i64>>,
}

/// Restrictions of a night at one level.
#[derive(Debug, Clone, Default)]
struct Limits {
    closed: Stamped<bool>,
    arrival: Stamped<bool>,
    departure: Stamped<bool>,
    min_arrival: Stamped<u8>,
    max_arrival: Stamped<u8>,
    min_through: Stamped<u8>,
    max_through: Stamped<u8>,
    /// Packed; 0 is no limit.
    lengths: Stamped<u64>,
    window: Stamped<(Option<u16>, Option<u16>)>,
}

/// A product that can take a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) room: RoomCode,
    pub(super) plan: PlanCode,
    /// Each night for all rooms, taxes included, in minor units.
    pub(super) nightly: Vec<(Date, i64)>,
    pub(super) left: u16,
    /// When the oldest of the values was sent.
    pub(super) as_of: Timestamp,
}

impl Nights {
    /// Sets values that were sent at `sent`. Returns for how many nights, and for how
    /// many a later one was there.
    pub(super) fn set(&mut self, sets: &[Set], sent: Timestamp, today: Date) -> (u64, u64) {
        self.prune(today);
        let sent = sent.as_microsecond();
        let (mut done, mut superseded) = (0, 0);
        let last = today.saturating_add(WINDOW.days());
        for set in sets {
            let from = set.from.max(today.saturating_sub(1.day()));
            let to = set.to.min(last);
            let mut date = from;
            while date <= to {
                let weekday = date.weekday().to_monday_zero_offset();
                if set.days.0 >> weekday & 1 == 1 {
                    match self.set_night(set, date, sent) {
                        true => done += 1,
                        false => superseded += 1,
                    }
                }
                date = date.saturating_add(1.day());
                if date == Date::MAX {
                    break;
                }
            }
        }
        (done, superseded)
    }

    /// Sets one night. Returns whether nothing later was there.
    fn set_night(&mut self, set: &Set, date: Date, sent: i64) -> bool {
        let key = (set.room.clone(), set.plan.clone());
        let full = self.cards.len() >= MAX_PRODUCTS;
        match &set.value {
            Value::Free(count) => {
                let Some(room) = key
                    .0
                    .filter(|room| self.free.contains_key(room) || self.free.len() < MAX_PRODUCTS)
                else {
                    return false;
                };
                let nights = self.free.entry(room).or_default();
                nights.entry(date).or_default().set(*count, sent)
            }
            Value::Rates(rates) => {
                let (Some(room), Some(plan)) = key else {
                    return false;
                };
                let key = (room, plan);
                if full && !self.cards.contains_key(&key) {
                    return false;
                }
                let nights = self.cards.entry(key).or_default();
                nights.entry(date).or_default().set(rates, sent)
            }
            limit => {
                if self.limits.len() >= 2 * MAX_PRODUCTS && !self.limits.contains_key(&key) {
                    return false;
                }
                let nights = self.limits.entry(key).or_default();
                nights.entry(date).or_default().set(limit, sent)
            }
        }
    }

    /// Drops days that are over, once a day.
    fn prune(&mut self, today: Date) {
        if self.pruned == Some(today) {
            return;
        }
        self.pruned = Some(today);
        let first = today.saturating_sub(1.day());
        self.free
            .values_mut()
            .for_each(|nights| *nights = nights.split_off(&first));
        self.cards
            .values_mut()
            .for_each(|nights| *nights = nights.split_off(&first));
        self.limits
            .values_mut()
            .for_each(|nights| *nights = nights.split_off(&first));
        self.free.retain(|_, nights| !nights.is_empty());
        self.cards.retain(|_, nights| !nights.is_empty());
        self.limits.retain(|_, nights| !nights.is_empty());
    }

    /// Returns what can take a stay, or `None` if too little is known to say.
    pub(super) fn fits(&self, ask: &Ask, today: Date) -> Option<Vec<Fit>> {
        let mut known = false;
        let mut fits = Vec::new();
        for ((room, plan), cards) in &self.cards {
            let Some(free) = self.free.get(room) else {
                continue;
            };
            let nights = nights(ask).map(|date| Some((date, free.get(&date)?, cards.get(&date)?)));
            let Some(nights) = nights.collect::<Option<Vec<_>>>() else {
                continue;
            };
            known = true;
            fits.extend(self.fit((room, plan), &nights, ask, today));
        }
        known.then_some(fits)
    }

    fn fit(
        &self,
        (room, plan): (&RoomCode, &PlanCode),
        nights: &[(Date, &Stamped<u16>, &Card)],
        ask: &Ask,
        today: Date,
    ) -> Option<Fit> {
        let mut as_of = i64::MAX;
        let mut nightly = Vec::with_capacity(nights.len());
        let mut judged = Vec::with_capacity(nights.len());
        for (date, free, card) in nights {
            let mut cost = 0_i64;
            for party in &ask.parties {
                let (amount, sent) = card.price(party)?;
                cost = cost.checked_add(amount)?;
                as_of = as_of.min(sent);
            }
            as_of = as_of.min(free.sent);
            nightly.push((*date, cost));
            let (restrictions, closed) = self.restrictions(room, plan, *date);
            judged.push(rules::Night {
                left: free.value,
                closed,
                restrictions,
            });
        }
        let arrival = ask.stay.check_in();
        let extra = self.extra(room, plan, arrival, ask.stay.check_out());
        let ahead = i64::from((arrival - today).get_days());
        let quantity = u16::try_from(ask.parties.len()).ok()?;
        let left = rules::judge(&ask.stay, &judged, &extra, ahead, quantity).ok()?;
        Some(Fit {
            room: room.clone(),
            plan: plan.clone(),
            nightly,
            left,
            as_of: Timestamp::from_microsecond(as_of).ok()?,
        })
    }

    /// Returns the limits of a night at every level that a product has.
    fn levels<'a>(
        &'a self,
        room: &RoomCode,
        plan: &PlanCode,
        date: Date,
    ) -> impl Iterator<Item = &'a Limits> {
        let keys = [
            (None, None),
            (Some(room.clone()), None),
            (None, Some(plan.clone())),
            (Some(room.clone()), Some(plan.clone())),
        ];
        keys.into_iter()
            .filter_map(move |key| self.limits.get(&key)?.get(&date))
    }

    /// Returns the strictest of all levels.
    fn restrictions(&self, room: &RoomCode, plan: &PlanCode, date: Date) -> (Restrictions, bool) {
        let least = |a: u8, b: u8| match (a, b) {
            (0, limit) | (limit, 0) => limit,
            (a, b) => a.min(b),
        };
        let mut all = Restrictions::default();
        let mut closed = false;
        for limits in self.levels(room, plan, date) {
            closed |= limits.closed.value;
            all.closed_to_arrival |= limits.arrival.value;
            all.closed_to_departure |= limits.departure.value;
            all.min_from_arrival = all.min_from_arrival.max(limits.min_arrival.value);
            all.min_through = all.min_through.max(limits.min_through.value);
            all.max_from_arrival = least(all.max_from_arrival, limits.max_arrival.value);
            all.max_through = least(all.max_through, limits.max_through.value);
        }
        (all, closed)
    }

    fn extra(&self, room: &RoomCode, plan: &PlanCode, arrival: Date, departure: Date) -> Extra {
        let mut extra = Extra {
            departure: self.restrictions(room, plan, departure).0,
            ..Extra::default()
        };
        for limits in self.levels(room, plan, arrival) {
            if limits.lengths.value != 0 && extra.patterns < extra.lengths.len() {
                extra.lengths[extra.patterns] = limits.lengths.value;
                extra.patterns += 1;
            }
            let (min, max) = limits.window.value;
            extra.min_days = extra.min_days.max(min.unwrap_or(0));
            extra.max_days = extra.max_days.min(max.unwrap_or(u16::MAX));
        }
        extra
    }
}

/// Returns the nights of a stay.
fn nights(ask: &Ask) -> impl Iterator<Item = Date> {
    let departure = ask.stay.check_out();
    let dates = ask.stay.check_in().series(1.day());
    dates.take_while(move |date| *date < departure)
}

impl Card {
    fn set(&mut self, rates: &super::ari::Rates, sent: i64) -> bool {
        if sent < self.cleared {
            return false;
        }
        if rates.replace {
            self.cleared = sent;
            self.base.retain(|_, kept| kept.sent > sent);
            self.children.retain(|_, kept| kept.sent > sent);
            self.extra_adult = self.extra_adult.filter(|kept| kept.sent > sent);
        }
        let mut taken = rates.replace;
        for (guests, amount) in &rates.base {
            taken |= self.base.entry(*guests).or_default().set(*amount, sent);
        }
        for band in &rates.children {
            let kept = self.children.entry((band.from, band.below)).or_default();
            taken |= kept.set(band.amount, sent);
        }
        if let Some(amount) = rates.extra_adult {
            taken |= self.extra_adult.get_or_insert_default().set(amount, sent);
        }
        taken
    }

    /// Returns what a night costs a party, and when the oldest part of it was sent.
    fn price(&self, party: &Party) -> Option<(i64, i64)> {
        let mut adults = party.adults;
        let (mut cost, mut as_of) = (0_i64, i64::MAX);
        for age in &party.child_ages {
            let band = self
                .children
                .iter()
                .find(|((from, below), _)| (*from..*below).contains(age));
            match band {
                Some((_, amount)) if *age < ADULT => {
                    cost = cost.checked_add(amount.value)?;
                    as_of = as_of.min(amount.sent);
                }
                _ => adults = adults.checked_add(1)?,
            }
        }
        let (guests, base) = self.base.range(..=adults).next_back()?;
        cost = cost.checked_add(base.value)?;
        as_of = as_of.min(base.sent);
        if *guests < adults {
            let extra = self.extra_adult?;
            cost = cost.checked_add(extra.value.checked_mul(i64::from(adults - guests))?)?;
            as_of = as_of.min(extra.sent);
        }
        Some((cost, as_of))
    }
}

impl Limits {
    fn set(&mut self, value: &Value, sent: i64) -> bool {
        match value {
            Value::Closed(closed) => self.closed.set(*closed, sent),
            Value::ClosedToArrival(closed) => self.arrival.set(*closed, sent),
            Value::ClosedToDeparture(closed) => self.departure.set(*closed, sent),
            Value::MinimumFromArrival(nights) => self.min_arrival.set(*nights, sent),
            Value::MaximumFromArrival(nights) => self.max_arrival.set(*nights, sent),
            Value::MinimumThrough(nights) => self.min_through.set(*nights, sent),
            Value::MaximumThrough(nights) => self.max_through.set(*nights, sent),
            Value::Lengths(pattern) => {
                let packed = if pattern.is_empty() {
                    0
                } else {
                    rules::pattern(pattern)
                };
                self.lengths.set(packed, sent)
            }
            Value::Window { min_days, max_days } => self.window.set((*min_days, *max_days), sent),
            Value::Free(_) | Value::Rates(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
