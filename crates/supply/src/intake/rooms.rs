//! Single rooms, counted by kind.
//!
//! A hotel that sends every room by itself says nothing about how many of a kind are
//! free. The count is made here, from what each room's latest message says.

use std::collections::{BTreeMap, BTreeSet};

use airside_base::Timestamp;
use jiff::civil::Date;

use crate::{
    alpinebits::{Count, FreeRooms, Period, Scope},
    intake::Horizon,
};

/// Most rooms of one hotel.
const MAX_ROOMS: usize = 5_000;

/// What is known of each room of a hotel.
#[derive(Debug, Default)]
pub(super) struct SingleRooms {
    /// By kind and room: when it was said whether the room is free, by night.
    rooms: BTreeMap<(String, String), BTreeMap<Date, (Timestamp, bool)>>,
    /// When everything was sent the last time.
    complete: Option<Timestamp>,
    /// When the newest of all messages was written.
    pub(super) newest: Option<Timestamp>,
}

impl SingleRooms {
    /// Takes a message that was written at `sent`.
    pub(super) fn take(&mut self, message: &FreeRooms, sent: Timestamp, horizon: Horizon) {
        self.newest = self.newest.max(Some(sent));
        if message.scope == Scope::Complete && self.complete.is_none_or(|last| last <= sent) {
            self.complete = Some(sent);
            for nights in self.rooms.values_mut() {
                nights.retain(|_, (said, _)| *said > sent);
            }
        }
        if self.complete.is_some_and(|complete| sent < complete) {
            return;
        }
        for count in &message.counts {
            let Some(room) = &count.room else { continue };
            let key = (count.room_type.clone(), room.clone());
            if self.rooms.len() >= MAX_ROOMS && !self.rooms.contains_key(&key) {
                continue;
            }
            let nights = self.rooms.entry(key).or_default();
            nights.retain(|night, _| *night >= horizon.first);
            for night in dates(count.period, horizon) {
                let known = nights.entry(night).or_insert((sent, false));
                if known.0 <= sent {
                    *known = (sent, count.bookable > 0);
                }
            }
        }
    }

    /// Returns how many rooms of each kind are free in the nights of `message`.
    pub(super) fn counts(&self, message: &FreeRooms, horizon: Horizon) -> Vec<Count> {
        let mut nights: BTreeMap<&str, BTreeSet<Date>> = BTreeMap::new();
        for count in &message.counts {
            let touched = nights.entry(&count.room_type).or_default();
            touched.extend(dates(count.period, horizon));
        }
        let mut counts = Vec::new();
        for (room_type, nights) in nights {
            for night in nights {
                add(&mut counts, room_type, night, self.free(room_type, night));
            }
        }
        counts
    }

    fn free(&self, room_type: &str, night: Date) -> u16 {
        let rooms = self.rooms.iter().filter(|((kind, _), _)| kind == room_type);
        let free = rooms.filter(|(_, nights)| nights.get(&night).is_some_and(|(_, free)| *free));
        u16::try_from(free.count()).unwrap_or(u16::MAX)
    }
}

/// Adds one night, to the period before it where that says the same.
fn add(counts: &mut Vec<Count>, room_type: &str, night: Date, bookable: u16) {
    if let Some(last) = counts.last_mut()
        && last.room_type == room_type
        && last.bookable == bookable
        && last.period.last.tomorrow().ok() == Some(night)
    {
        last.period.last = night;
        return;
    }
    counts.push(Count {
        period: Period {
            first: night,
            last: night,
        },
        room_type: room_type.to_owned(),
        room: None,
        bookable,
    });
}

fn dates(period: Period, horizon: Horizon) -> impl Iterator<Item = Date> {
    let first = period.first.max(horizon.first);
    let last = period.last.min(horizon.last);
    let days = first.series(jiff::Span::new().days(1));
    days.take_while(move |date| *date <= last)
}
