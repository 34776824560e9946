//! The search without the protocol around it, for measuring.

use airside_base::Timestamp;
use jiff::ToSpan as _;

use crate::{
    Travel,
    house::Houses,
    places::{CityIndex, Lookup},
    property::Size,
    shop::{Hotels, Local, Wish},
    stay::{Party, Stay},
    supply::{Filter, Order},
};

/// One search of a city for two adults, three weeks ahead.
#[derive(Debug)]
pub struct Search {
    hotels: Hotels,
    city: CityIndex,
    local: Local,
    stay: Stay,
    parties: Vec<Party>,
}

impl Search {
    /// Returns a search of `city`, or `None` if there is no such city or stay.
    #[must_use]
    pub fn new(size: Size, city: &str, nights: i64) -> Option<Self> {
        let hotels = Hotels::new(7, size, Houses::default());
        let Lookup::Found(city, _) = hotels.atlas().resolve(city) else {
            return None;
        };
        let local = hotels.local(city, Timestamp::UNIX_EPOCH);
        let arrival = local.today.saturating_add(21.days());
        let stay = Stay::new(arrival, arrival.saturating_add(nights.days())).ok()?;
        Some(Self {
            hotels,
            city,
            local,
            stay,
            parties: vec![Party {
                adults: 2,
                child_ages: Vec::new(),
            }],
        })
    }

    /// Searches and returns how many hotels can take the stay.
    #[must_use]
    pub fn run(&self) -> usize {
        let wish = Wish {
            stay: &self.stay,
            parties: &self.parties,
            local: &self.local,
        };
        let found = self
            .hotels
            .search(self.city, &wish, Filter::default(), Order::default());
        found.len()
    }
}

/// What a server has in memory.
#[derive(Debug, Clone, Copy)]
pub struct Stock {
    /// Hotels.
    pub hotels: usize,
    /// Room types times nights.
    pub room_nights: usize,
}

/// Returns what a server of our own hotels has in memory.
#[must_use]
pub fn stock(travel: &Travel) -> Option<Stock> {
    let (hotels, room_nights) = travel.hotels()?.shelves().count();
    Some(Stock {
        hotels,
        room_nights,
    })
}
