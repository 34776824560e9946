//! A requested stay and whether a room type can take it.
//!
//! # Invariants
//!
//! * A stay covers the nights `[check_in, check_out)`; the departure date is not
//!   a night of it and only its closed-to-departure flag matters.
//! * [`judge`] is pure and the only place where restrictions are applied.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::sells,
    night::{Day, Night, Restrictions},
    property::Capacity,
};

/// Longest stay that is sold, in nights.
pub const MAX_NIGHTS: usize = 30;
/// Farthest check-in, in days from the property's today.
pub const MAX_DAYS_AHEAD: i64 = 500;
/// Most rooms of one request.
pub const MAX_ROOMS: usize = 9;

/// Dates of a stay, valid by construction: one to [`MAX_NIGHTS`] nights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Dates", into = "Dates")]
pub struct Stay {
    nights: Vec<Day>,
    departure: Day,
}

/// Why two dates are not a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StayError {
    /// Check-out is not after check-in.
    #[error("check-out is not after check-in")]
    NotAfter,
    /// It is longer than [`MAX_NIGHTS`].
    #[error("the stay is longer than {MAX_NIGHTS} nights")]
    TooLong,
}

/// How a stay is written.
#[derive(Serialize, Deserialize)]
struct Dates {
    check_in: Date,
    check_out: Date,
}

impl TryFrom<Dates> for Stay {
    type Error = StayError;

    fn try_from(dates: Dates) -> Result<Self, StayError> {
        Self::new(dates.check_in, dates.check_out)
    }
}

impl From<Stay> for Dates {
    fn from(stay: Stay) -> Self {
        Self {
            check_in: stay.check_in(),
            check_out: stay.check_out(),
        }
    }
}

impl Stay {
    /// Returns the stay from `check_in` to `check_out`.
    ///
    /// # Errors
    ///
    /// When it has no night or too many.
    pub fn new(check_in: Date, check_out: Date) -> Result<Self, StayError> {
        let (arrival, departure) = (Day::new(check_in), Day::new(check_out));
        let length = arrival.days_until(departure);
        if length <= 0 {
            return Err(StayError::NotAfter);
        }
        if length > MAX_NIGHTS as i64 {
            return Err(StayError::TooLong);
        }
        let dates = check_in.series(jiff::Span::new().days(1));
        Ok(Self {
            nights: dates
                .take_while(|date| *date < check_out)
                .map(Day::new)
                .collect(),
            departure,
        })
    }

    /// Returns the day of arrival.
    #[must_use]
    pub fn check_in(&self) -> Date {
        self.arrival().date
    }

    /// Returns the day of departure, which is not a night of the stay.
    #[must_use]
    pub fn check_out(&self) -> Date {
        self.departure.date
    }

    pub(crate) fn arrival(&self) -> Day {
        self.nights[0]
    }

    pub(crate) fn departure(&self) -> Day {
        self.departure
    }

    pub(crate) fn nights(&self) -> &[Day] {
        &self.nights
    }

    /// Returns how many nights it has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.nights.len()
    }
}

/// The guests of one room. Ages are completed years on the day of check-in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Party {
    /// Guests of 18 years and more.
    pub adults: u8,
    /// The age of each other guest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub child_ages: Vec<u8>,
}

/// From this age a child is priced and counted as an adult.
pub(crate) const ADULT_AGE: u8 = 13;
/// Below this age a child stays free of charge.
pub(crate) const INFANT_AGE: u8 = 3;

impl Party {
    /// Returns the guests who count as adults: adults and children of [`ADULT_AGE`].
    pub(crate) fn adults(&self) -> u8 {
        let grown = self
            .child_ages
            .iter()
            .filter(|age| **age >= ADULT_AGE)
            .count();
        self.adults + grown as u8
    }

    /// Returns the children who are charged as children.
    pub(crate) fn children(&self) -> u8 {
        let band = INFANT_AGE..ADULT_AGE;
        self.child_ages
            .iter()
            .filter(|age| band.contains(age))
            .count() as u8
    }

    fn infants(&self) -> u8 {
        self.child_ages
            .iter()
            .filter(|age| **age < INFANT_AGE)
            .count() as u8
    }

    /// Returns the ages of all guests; an adult has none and counts as 18.
    pub(crate) fn ages(&self) -> impl Iterator<Item = u8> {
        let adults = std::iter::repeat_n(18, usize::from(self.adults));
        adults.chain(self.child_ages.iter().copied())
    }

    /// Returns whether the party may sleep in a room of this capacity.
    pub(crate) fn fits(&self, capacity: Capacity) -> bool {
        let (adults, young) = (self.adults(), self.children() + self.infants());
        adults <= capacity.adults && young <= capacity.children && adults + young <= capacity.guests
    }
}

/// Why a room type cannot take a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// A party does not fit.
    Occupancy,
    /// The hotel sells none on this date.
    Closed(Date),
    /// Fewer than the requested rooms are left on this date.
    SoldOut(Date),
    ClosedToArrival(Date),
    ClosedToDeparture(Date),
    MinimumStay(u8),
    MaximumStay(u8),
    /// This number of nights is not sold from this arrival date.
    LengthOfStay,
    /// It is too early or too late before the arrival.
    BookingWindow,
}

/// What the sale of a stay depends on beside its nights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extra {
    /// Holds for the date after the last night.
    pub departure: Restrictions,
    /// Patterns of lengths that are sold from the arrival date.
    pub lengths: [u64; 4],
    /// How many of `lengths` there are.
    pub patterns: usize,
    /// Fewest days between today and the arrival.
    pub min_days: u16,
    /// Most days between today and the arrival; the largest value is no limit.
    pub max_days: u16,
}

impl Default for Extra {
    fn default() -> Self {
        Self {
            departure: Restrictions::default(),
            lengths: [0; 4],
            patterns: 0,
            min_days: 0,
            max_days: u16::MAX,
        }
    }
}

impl Extra {
    fn check(&self, length: usize, days_ahead: i64) -> Result<(), Unavailable> {
        let patterns = &self.lengths[..self.patterns];
        if !patterns.iter().all(|pattern| sells(*pattern, length)) {
            return Err(Unavailable::LengthOfStay);
        }
        let late = days_ahead < i64::from(self.min_days);
        let early = self.max_days != u16::MAX && days_ahead > i64::from(self.max_days);
        if late || early {
            return Err(Unavailable::BookingWindow);
        }
        Ok(())
    }
}

/// Returns how many rooms are left for all of `nights`, or the first reason why
/// `quantity` of them cannot be sold `days_ahead` days before arrival, counted in
/// the calendar of the hotel.
pub(crate) fn judge(
    stay: &Stay,
    nights: &[Night],
    extra: &Extra,
    days_ahead: i64,
    quantity: u16,
) -> Result<u16, Unavailable> {
    let length = stay.nights.len();
    debug_assert_eq!(nights.len(), length);
    let mut left = u16::MAX;
    for (day, night) in stay.nights.iter().zip(nights) {
        if night.closed {
            return Err(Unavailable::Closed(day.date));
        }
        if night.left < quantity {
            return Err(Unavailable::SoldOut(day.date));
        }
        left = left.min(night.left);
    }
    let arrival = nights[0].restrictions;
    if arrival.closed_to_arrival {
        return Err(Unavailable::ClosedToArrival(stay.check_in()));
    }
    if extra.departure.closed_to_departure {
        return Err(Unavailable::ClosedToDeparture(stay.check_out()));
    }
    let through = nights.iter().map(|night| night.restrictions);
    let strictest_min = through.clone().map(|r| r.min_through).max().unwrap_or(0);
    let minimum = strictest_min.max(arrival.min_from_arrival);
    if length < usize::from(minimum) {
        return Err(Unavailable::MinimumStay(minimum));
    }
    let limits = through
        .map(|r| r.max_through)
        .chain([arrival.max_from_arrival]);
    match limits.filter(|limit| *limit > 0).min() {
        Some(maximum) if length > usize::from(maximum) => Err(Unavailable::MaximumStay(maximum)),
        _ => extra.check(length, days_ahead).map(|()| left),
    }
}

#[cfg(test)]
mod tests;
