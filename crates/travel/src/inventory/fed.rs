//! What messages of a hotel have set, beside the arrays of [`super::block`].
//!
//! # Invariants
//!
//! * Each value of a night knows when its message was sent; an older message does not
//!   replace it.
//! * An array exists only for values that some message has set.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::block::{Block, Packed};
use crate::{
    night::{Day, Restrictions},
    places::Atlas,
    property::World,
    quote::Plan,
    stay::Extra,
    supply::{
        Applied, Error, Updates,
        ari::{Change, MAX_CHANGES, MAX_PATTERN, RateCard, What},
    },
};

/// Where a value holds; `None` is all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Level {
    room: Option<u8>,
    plan: Option<u8>,
}

impl Level {
    /// Returns the levels that a room type under a plan is subject to, the hotel first.
    pub(super) fn of(room: usize, plan: Plan) -> [Self; 4] {
        let (room, plan) = (Some(room as u8), Some(plan.number()));
        let (none, level) = (None, |room, plan| Self { room, plan });
        [
            level(none, none),
            level(room, none),
            level(none, plan),
            level(room, plan),
        ]
    }
}

/// A sort of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Aspect {
    Limit,
    Closed,
    Arrival,
    Departure,
    MinimumFromArrival,
    MaximumFromArrival,
    MinimumThrough,
    MaximumThrough,
    Lengths,
    Window,
    Rate,
    Card,
}

const ASPECTS: [Aspect; 12] = [
    Aspect::Limit,
    Aspect::Closed,
    Aspect::Arrival,
    Aspect::Departure,
    Aspect::MinimumFromArrival,
    Aspect::MaximumFromArrival,
    Aspect::MinimumThrough,
    Aspect::MaximumThrough,
    Aspect::Lengths,
    Aspect::Window,
    Aspect::Rate,
    Aspect::Card,
];

/// No window: neither a fewest nor a most number of days.
const NO_WINDOW: u32 = 0xffff_ffff;

/// Values by what they are of, as a list of pairs in a file: names of members of a JSON
/// object are texts.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<'a, M, K, V, S>(map: &'a M, serializer: S) -> Result<S::Ok, S::Error>
    where
        &'a M: IntoIterator<Item = (&'a K, &'a V)>,
        K: Serialize + 'a,
        V: Serialize + 'a,
        S: Serializer,
    {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, M, K, V, D>(deserializer: D) -> Result<M, D::Error>
    where
        M: FromIterator<(K, V)>,
        K: Deserialize<'de>,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Fed {
    /// Rooms that may be sold plus one, by room type; 0 is not set.
    limits: BTreeMap<u8, Box<[u16]>>,
    #[serde(with = "pairs")]
    rules: BTreeMap<Level, Box<[Packed]>>,
    /// Sold lengths of stay below a leading one; 0 is not set.
    #[serde(with = "pairs")]
    lengths: BTreeMap<Level, Box<[u64]>>,
    #[serde(with = "pairs")]
    windows: BTreeMap<Level, Box<[u32]>>,
    /// Position in `cards` plus one; 0 is not set.
    #[serde(with = "pairs")]
    card_at: BTreeMap<Level, Box<[u16]>>,
    cards: Vec<RateCard>,
    /// When the value was sent, in seconds since 1970; 0 is never.
    #[serde(with = "pairs")]
    stamps: HashMap<(Level, Aspect), Box<[u32]>>,
}

impl Fed {
    pub(super) fn limit(&self, room: usize, slot: usize) -> Option<u16> {
        let set = self.limits.get(&(room as u8))?[slot];
        set.checked_sub(1)
    }

    pub(super) fn rules(&self, level: Level, slot: usize) -> Option<Packed> {
        self.rules.get(&level).map(|rules| rules[slot])
    }

    pub(super) fn card(&self, room: usize, plan: Plan, slot: usize) -> u16 {
        let level = Level::of(room, plan)[3];
        self.card_at.get(&level).map_or(0, |cards| cards[slot])
    }

    pub(super) fn cards(&self) -> &[RateCard] {
        &self.cards
    }

    pub(super) fn is_uniform(&self) -> bool {
        let of_plan = |level: &Level| level.plan.is_some();
        self.card_at.is_empty()
            && !self.rules.keys().any(of_plan)
            && !self.lengths.keys().any(of_plan)
            && !self.windows.keys().any(of_plan)
    }

    /// Adds what `level` asks of a stay that arrives on the day at `slot`.
    pub(super) fn extend(&self, level: Level, slot: usize, extra: &mut Extra) {
        if let Some(lengths) = self.lengths.get(&level).filter(|all| all[slot] != 0) {
            extra.lengths[extra.patterns] = lengths[slot];
            extra.patterns += 1;
        }
        if let Some(windows) = self.windows.get(&level) {
            let (min, max) = (windows[slot] as u16, (windows[slot] >> 16) as u16);
            extra.min_days = extra.min_days.max(if min == u16::MAX { 0 } else { min });
            extra.max_days = extra.max_days.min(max);
        }
    }

    /// Forgets the values of a night that left the window.
    pub(super) fn forget(&mut self, slot: usize) {
        self.limits.values_mut().for_each(|all| all[slot] = 0);
        self.rules
            .values_mut()
            .for_each(|all| all[slot] = Packed::default());
        self.lengths.values_mut().for_each(|all| all[slot] = 0);
        self.windows
            .values_mut()
            .for_each(|all| all[slot] = NO_WINDOW);
        self.card_at.values_mut().for_each(|all| all[slot] = 0);
        self.stamps.values_mut().for_each(|all| all[slot] = 0);
    }

    /// Returns whether every array has a value for each of `kept` nights.
    pub(super) fn is_of(&self, kept: usize) -> bool {
        self.limits.values().all(|all| all.len() == kept)
            && self.rules.values().all(|all| all.len() == kept)
            && self.lengths.values().all(|all| all.len() == kept)
            && self.windows.values().all(|all| all.len() == kept)
            && self.card_at.values().all(|all| all.len() == kept)
            && self.stamps.values().all(|all| all.len() == kept)
    }

    /// Notes that a value was sent at `sent`, unless a later one is known.
    fn is_news(
        &mut self,
        level: Level,
        aspect: Aspect,
        slot: usize,
        sent: u32,
        kept: usize,
    ) -> bool {
        let stamps = self.stamps.entry((level, aspect));
        let stamp = &mut stamps.or_insert_with(|| vec![0; kept].into())[slot];
        let news = *stamp <= sent;
        *stamp = (*stamp).max(sent);
        news
    }

    fn card_index(&mut self, card: &RateCard) -> Option<u16> {
        let found = self.cards.iter().position(|known| known == card);
        let index = found.unwrap_or_else(|| {
            self.cards.push(card.clone());
            self.cards.len() - 1
        });
        u16::try_from(index + 1).ok()
    }
}

/// Returns whether every change of `updates` could be applied to a hotel.
pub(super) fn check(block: &Block, updates: &Updates) -> Result<(), Error> {
    let refuse = |index: usize, why: &'static str| Err(Error::Update { index, why });
    if updates.changes.len() > MAX_CHANGES {
        return refuse(MAX_CHANGES, "a message has 10,000 changes at most");
    }
    for (index, change) in updates.changes.iter().enumerate() {
        if let Err(why) = check_one(block, change) {
            return refuse(index, why);
        }
    }
    Ok(())
}

fn check_one(block: &Block, change: &Change) -> Result<(), &'static str> {
    level(block, change)?;
    let (room, plan) = (change.room.is_some(), change.plan.is_some());
    if change.from > change.to {
        return Err("the first date is after the last");
    }
    let money = |amount: i64| (0..i64::from(i32::MAX)).contains(&amount);
    match &change.what {
        What::Free(_) | What::Allowance(_) if !room || plan => {
            Err("rooms are counted by room type, not by rate plan")
        }
        What::BaseRate(_) if !room || plan => Err("a base rate is of a room type, without a plan"),
        What::BaseRate(rate) if !money(*rate) => Err("the rate is out of range"),
        What::Rate(_) if !room || !plan => Err("prices by guests need a room type and a plan"),
        What::Rate(card) => {
            let bands = card.children.iter().map(|band| band.amount);
            let amounts = card.adults.iter().copied().chain(card.extra_adult);
            let sensible = !card.adults.is_empty() && card.adults.len() <= 16;
            if !sensible || card.children.len() > 16 {
                return Err("prices are for 1 to 16 adults and at most 16 bands of children");
            }
            if !amounts.chain(bands).all(money) {
                return Err("the rate is out of range");
            }
            Ok(())
        }
        What::Lengths(pattern) if pattern.len() > MAX_PATTERN => {
            Err("a pattern has 63 lengths at most")
        }
        _ => Ok(()),
    }
}

fn level(block: &Block, change: &Change) -> Result<Level, &'static str> {
    let room = match &change.room {
        Some(code) => Some(block.room(code.as_str()).ok_or("no such room type")? as u8),
        None => None,
    };
    let plan = match &change.plan {
        Some(code) => {
            let plan = block.property.plan(code.as_str());
            Some(plan.ok_or("no such rate plan")?.number())
        }
        None => None,
    };
    Ok(Level { room, plan })
}

/// Applies `updates`, which [`check`] accepted, to the nights of a hotel.
pub(super) fn apply(block: &mut Block, world: &World, atlas: &Atlas, updates: &Updates) -> Applied {
    let mut applied = Applied::default();
    let sent = u32::try_from(updates.sent.as_second()).unwrap_or(0);
    let mut fed = block.fed.take().unwrap_or_default();
    for change in &updates.changes {
        let Ok(level) = level(block, change) else {
            continue;
        };
        let mut target = Target {
            block: &mut *block,
            fed: &mut fed,
            world,
            atlas,
            sent,
            applied: &mut applied,
        };
        target.spread(level, change);
    }
    block.fed = Some(fed);
    applied
}

/// Where one change goes.
struct Target<'a> {
    block: &'a mut Block,
    fed: &'a mut Fed,
    world: &'a World,
    atlas: &'a Atlas,
    sent: u32,
    applied: &'a mut Applied,
}

impl Target<'_> {
    fn spread(&mut self, level: Level, change: &Change) {
        let (from, to) = (Day::new(change.from).number(), Day::new(change.to).number());
        let kept = self.block.kept() as i64;
        let (first, end) = (self.block.first, self.block.end_of_sale());
        let inside = (from.max(first), to.min(end - 1));
        let nights = (inside.1 - inside.0 + 1).max(0);
        self.applied.outside += (to - from + 1 - nights).unsigned_abs();
        for number in inside.0..=inside.1 {
            let day = Day::numbered(number);
            if change.days.0 >> day.weekday() & 1 == 0 {
                continue;
            }
            let slot = number.rem_euclid(kept) as usize;
            if let What::Reset = change.what {
                for aspect in ASPECTS {
                    self.set(level, aspect, (slot, day), None);
                }
                continue;
            }
            self.set(
                level,
                aspect_of(&change.what),
                (slot, day),
                Some(&change.what),
            );
        }
    }

    /// Sets one value of one night, or with `None` what the seed has.
    fn set(
        &mut self,
        level: Level,
        aspect: Aspect,
        (slot, day): (usize, Day),
        what: Option<&What>,
    ) {
        let kept = self.block.kept();
        if what.is_none() && !self.exists(level, aspect) {
            return;
        }
        if !self.fed.is_news(level, aspect, slot, self.sent, kept) {
            self.applied.superseded += 1;
            return;
        }
        self.applied.cells += 1;
        match aspect {
            Aspect::Limit => self.set_limit(level, slot, what),
            Aspect::Rate => self.set_rate(level, slot, day, what),
            Aspect::Card => self.set_card(level, slot, what),
            Aspect::Lengths => {
                let lengths = self.fed.lengths.entry(level);
                let pattern = match what {
                    Some(What::Lengths(lengths)) if !lengths.is_empty() => pattern(lengths),
                    _ => 0,
                };
                lengths.or_insert_with(|| vec![0; kept].into())[slot] = pattern;
            }
            Aspect::Window => {
                let windows = self.fed.windows.entry(level);
                let window = match what {
                    Some(What::BookingWindow { min_days, max_days }) => {
                        let part = |days: &Option<u16>| u32::from(days.unwrap_or(u16::MAX));
                        part(min_days) | part(max_days) << 16
                    }
                    _ => NO_WINDOW,
                };
                windows.or_insert_with(|| vec![NO_WINDOW; kept].into())[slot] = window;
            }
            _ => self.set_rule(level, aspect, slot, day, what),
        }
    }

    /// Returns whether a level has such values at all, so that a reset says something.
    fn exists(&self, level: Level, aspect: Aspect) -> bool {
        match aspect {
            Aspect::Limit | Aspect::Rate => level.room.is_some() && level.plan.is_none(),
            Aspect::Card => level.room.is_some() && level.plan.is_some(),
            _ => true,
        }
    }

    fn set_limit(&mut self, level: Level, slot: usize, what: Option<&What>) {
        let Some(room) = level.room else { return };
        let at = usize::from(room);
        let kind = self.block.property.room_types()[at];
        let physical = kind.physical;
        let limit = match what {
            Some(What::Free(rooms)) => self.block.taken(at, slot).saturating_add(*rooms),
            Some(What::Allowance(more)) => physical.saturating_add(*more),
            _ => physical.saturating_add(kind.allowance),
        };
        let kept = self.block.kept();
        let limits = self.fed.limits.entry(room);
        limits.or_insert_with(|| vec![0; kept].into())[slot] = limit.saturating_add(1);
    }

    fn set_rate(&mut self, level: Level, slot: usize, day: Day, what: Option<&What>) {
        let Some(room) = level.room.map(usize::from) else {
            return;
        };
        let rate = match what {
            Some(What::BaseRate(rate)) => *rate,
            _ => {
                let seeded = self.block.seeded(self.world, self.atlas, room, day);
                seeded.rate
            }
        };
        self.block.set_rate(room, slot, rate);
    }

    fn set_card(&mut self, level: Level, slot: usize, what: Option<&What>) {
        let index = match what {
            Some(What::Rate(card)) => self.fed.card_index(card).unwrap_or(0),
            _ => 0,
        };
        let kept = self.block.kept();
        let cards = self.fed.card_at.entry(level);
        cards.or_insert_with(|| vec![0; kept].into())[slot] = index;
    }

    fn set_rule(
        &mut self,
        level: Level,
        aspect: Aspect,
        slot: usize,
        day: Day,
        what: Option<&What>,
    ) {
        if let (Aspect::Closed, Some(room), None) = (aspect, level.room, level.plan) {
            let room = usize::from(room);
            let closed = match what {
                Some(What::Closed(closed)) => *closed,
                _ => self.block.seeded(self.world, self.atlas, room, day).closed,
            };
            return self.block.close(room, slot, closed);
        }
        let hotel = level.room.is_none() && level.plan.is_none();
        let seeded = match (what, hotel) {
            (None, true) => {
                let city = self.atlas.city(self.block.property.city);
                let night = self.world.hotel_night(&self.block.property, city, day);
                night.restrictions
            }
            _ => Restrictions::default(),
        };
        let kept = self.block.kept();
        let cell = match hotel {
            true => &mut self.block.rules[slot],
            false => {
                let rules = self.fed.rules.entry(level);
                &mut rules.or_insert_with(|| vec![Packed::default(); kept].into())[slot]
            }
        };
        let (mut rules, mut closed) = (cell.restrictions(), cell.is_closed());
        match (aspect, what) {
            (Aspect::Closed, what) => closed = matches!(what, Some(What::Closed(true))),
            (_, Some(What::ClosedToArrival(set))) => rules.closed_to_arrival = *set,
            (_, Some(What::ClosedToDeparture(set))) => rules.closed_to_departure = *set,
            (_, Some(What::MinimumFromArrival(n))) => rules.min_from_arrival = *n,
            (_, Some(What::MaximumFromArrival(n))) => rules.max_from_arrival = *n,
            (_, Some(What::MinimumThrough(n))) => rules.min_through = *n,
            (_, Some(What::MaximumThrough(n))) => rules.max_through = *n,
            (Aspect::Arrival, _) => rules.closed_to_arrival = seeded.closed_to_arrival,
            (Aspect::Departure, _) => rules.closed_to_departure = seeded.closed_to_departure,
            (Aspect::MinimumFromArrival, _) => rules.min_from_arrival = seeded.min_from_arrival,
            (Aspect::MaximumFromArrival, _) => rules.max_from_arrival = seeded.max_from_arrival,
            (Aspect::MinimumThrough, _) => rules.min_through = seeded.min_through,
            (Aspect::MaximumThrough, _) => rules.max_through = seeded.max_through,
            _ => {}
        }
        *cell = Packed::new(rules, closed);
    }
}

fn aspect_of(what: &What) -> Aspect {
    match what {
        What::Free(_) | What::Allowance(_) => Aspect::Limit,
        What::Closed(_) | What::Reset => Aspect::Closed,
        What::ClosedToArrival(_) => Aspect::Arrival,
        What::ClosedToDeparture(_) => Aspect::Departure,
        What::MinimumFromArrival(_) => Aspect::MinimumFromArrival,
        What::MaximumFromArrival(_) => Aspect::MaximumFromArrival,
        What::MinimumThrough(_) => Aspect::MinimumThrough,
        What::MaximumThrough(_) => Aspect::MaximumThrough,
        What::Lengths(_) => Aspect::Lengths,
        What::BookingWindow { .. } => Aspect::Window,
        What::BaseRate(_) => Aspect::Rate,
        What::Rate(_) => Aspect::Card,
    }
}

/// Returns the pattern with bit 0 for one night, below a leading one.
#[must_use]
pub fn pattern(pattern: &[bool]) -> u64 {
    let bits = pattern.iter().enumerate();
    let packed = bits.fold(0, |packed, (at, sold)| packed | u64::from(*sold) << at);
    packed | 1 << pattern.len()
}

/// Returns whether a packed pattern sells stays of `length` nights.
pub(crate) fn sells(packed: u64, length: usize) -> bool {
    let known = 63 - packed.leading_zeros() as usize;
    let at = (length - 1).min(known.saturating_sub(1));
    packed >> at & 1 != 0
}
