//! What is for sale, and for how much.

use airside_base::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Brief, Collected, Currency, Error, Nature, Party, PlanCode, Prepay, RoomCode, Stay};

/// Most arrival days of one calendar (OPERA Cloud Distribution allows as many).
pub const MAX_CALENDAR_DAYS: usize = 62;

/// Where hotels are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Area {
    /// A city, by its GeoNames id.
    City(u32),
    /// Everything within a distance of a point.
    Circle {
        /// Latitude in 1e-5 degrees.
        lat_e5: i32,
        /// Longitude in 1e-5 degrees.
        lon_e5: i32,
        /// Metres.
        radius_m: u32,
    },
}

/// When and for whom. One party is one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The nights.
    pub stay: Stay,
    /// The guests of each room.
    pub parties: Vec<Party>,
}

/// Which hotels are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Where.
    pub area: Area,
    /// When and for whom.
    pub ask: Ask,
    /// Which to leave out.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// How many to skip.
    pub from: usize,
    /// Most hotels of the page.
    pub limit: usize,
}

impl Search {
    /// Returns a search for every hotel of `area` that can take a stay, the cheapest
    /// first.
    #[must_use]
    pub fn every(area: Area, ask: Ask) -> Self {
        Self {
            area,
            ask,
            filter: Filter::default(),
            order: Order::Price,
            from: 0,
            limit: usize::MAX,
        }
    }
}

/// Which hotels to leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Filter {
    /// Fewest stars.
    pub min_stars: u8,
    /// Highest all-in price of one room and night, in minor units of the hotel's money.
    pub max_per_night: Option<i64>,
    /// Only offers that can still be cancelled free of charge.
    pub free_cancellation: bool,
}

/// In which order hotels are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Order {
    /// As the supplier says in [`Found::explanation`].
    #[default]
    Recommended,
    /// Cheapest total first.
    Price,
    /// Most stars first, then the cheapest total.
    Stars,
    /// Nearest to the middle of the area first.
    Distance,
}

/// One page of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// How many hotels can take the stay and pass the filter.
    pub available: usize,
    /// This page of them.
    pub hotels: Vec<Candidate>,
    /// What decides the order, for travellers.
    pub explanation: &'static str,
}

/// A hotel that can take the stay.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Which hotel.
    pub hotel: Brief,
    /// Its cheapest offer.
    pub offer: Offer,
    /// Distance to the middle of the area in metres.
    pub distance_m: u32,
    /// When the supplier said so, if not now.
    pub as_of: Option<Timestamp>,
}

/// Everything a hotel offers for a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// The cheapest first.
    pub offers: Vec<Offer>,
    /// Room types that cannot take the stay.
    pub not_offered: Vec<NotOffered>,
}

/// A room type that cannot take the stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotOffered {
    /// The room type.
    pub room: RoomCode,
    /// Why.
    pub reason: Error,
}

/// One room type under one rate plan, priced for all parties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The room type.
    pub room: RoomCode,
    /// Its name for travellers.
    pub room_name: String,
    /// The rate plan.
    pub plan: PlanCode,
    /// Its name for travellers.
    pub plan_name: String,
    /// Whether breakfast is part of the price.
    pub breakfast: bool,
    /// Rooms that are left in the scarcest night.
    pub left: u16,
    /// What it costs.
    pub price: Price,
    /// What it costs to cancel.
    pub cancellation: Cancellation,
    /// What the hotel asks for before it books.
    pub prepay: Prepay,
}

/// A priced stay, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The money of all amounts.
    pub currency: Currency,
    /// Each night for all rooms, with what is inside the rate.
    pub nightly: Vec<(Date, i64)>,
    /// The rooms without any levy.
    pub room: i64,
    /// Every tax and fee.
    pub lines: Vec<Line>,
    /// `room` and all `lines`: what the traveller pays, wherever it is collected.
    pub total: i64,
}

/// One tax or fee of a stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it is called.
    pub label: String,
    /// Who it is for.
    pub nature: Nature,
    /// When it is paid.
    pub collected: Collected,
    /// Minor units.
    pub amount: i64,
    /// How it is computed, where an offer says so; not part of what is agreed.
    #[serde(skip)]
    pub basis: Option<String>,
}

/// What it costs to cancel, from when on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// By time; the first holds from the beginning.
    pub tiers: Vec<Tier>,
}

/// A penalty that holds from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// `None` is from the beginning. The instant itself belongs to this tier.
    pub from: Option<Timestamp>,
    /// Minor units.
    pub penalty: i64,
}

impl Cancellation {
    /// Returns what cancelling at `instant` costs, in minor units.
    #[must_use]
    pub fn penalty(&self, instant: Timestamp) -> i64 {
        let holds = |tier: &&Tier| tier.from.is_none_or(|from| from <= instant);
        let tier = self.tiers.iter().rev().find(holds);
        tier.map_or(0, |tier| tier.penalty)
    }

    /// Returns until when cancelling costs nothing, if it ever does.
    #[must_use]
    pub fn free_until(&self) -> Option<Timestamp> {
        match self.tiers.as_slice() {
            [first, second, ..] if first.penalty == 0 => second.from,
            _ => None,
        }
    }
}

/// Which arrivals to price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// First arrival day.
    pub from: Date,
    /// How many, at most [`MAX_CALENDAR_DAYS`].
    pub days: usize,
    /// Nights of each stay.
    pub nights: usize,
    /// The guests of each room.
    pub parties: Vec<Party>,
}

/// One arrival day of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The day.
    pub date: Date,
    /// The cheapest all-in total in minor units, with its room type and rate plan where
    /// the supplier says them, or why there is none.
    pub cheapest: Result<(i64, Option<(RoomCode, PlanCode)>), Error>,
}

impl Price {
    /// Returns the part of the total that the hotel collects during the stay.
    #[must_use]
    pub fn at_property(&self) -> i64 {
        let at_property = |line: &&Line| line.collected == Collected::AtProperty;
        self.lines
            .iter()
            .filter(at_property)
            .map(|line| line.amount)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutoff_belongs_to_the_later_tier() {
        let cutoff: Timestamp = "2027-03-01T17:00:00Z".parse().unwrap();
        let cancellation = Cancellation {
            tiers: vec![
                Tier {
                    from: None,
                    penalty: 0,
                },
                Tier {
                    from: Some(cutoff),
                    penalty: 12_000,
                },
            ],
        };
        let before = cutoff - jiff::SignedDuration::from_nanos(1);
        assert_eq!(cancellation.penalty(before), 0);
        assert_eq!(cancellation.penalty(cutoff), 12_000);
        assert_eq!(cancellation.free_until(), Some(cutoff));
    }
}
