//! Shopping: which hotels can take a stay, and for how much.
//!
//! # Invariants
//!
//! * What is offered is available: restrictions, rooms and occupancy are judged
//!   before a price is computed.
//! * Nothing is cached. A night costs some 20 ns to derive, which is less than
//!   finding it in a shared map.

use std::{cmp::Reverse, sync::OnceLock};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    levy::{Levy, levies},
    night::{HotelNight, Night},
    places::{Atlas, CityIndex},
    property::{Property, PropertyId, RoomType, Size, World},
    quote::{Cancellation, Plan, Quote, Terms, cancellation},
    stay::{Party, Stay, Unavailable, judge},
};

/// The generated hotels of the world.
#[derive(Debug)]
pub(crate) struct Hotels {
    world: World,
    atlas: OnceLock<Atlas>,
}

/// Where and when it is, for a hotel.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub zone: TimeZone,
    pub today: Date,
    pub now: Timestamp,
}

/// What a traveller wants.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'a> {
    pub stay: &'a Stay,
    pub parties: &'a [Party],
    pub local: &'a Local,
}

/// Which hotels to leave out.
#[derive(Debug, Clone, Copy, Default, Hash)]
pub(crate) struct Filter {
    pub min_stars: u8,
    /// Highest all-in price of one room and night, in minor units.
    pub max_per_night: Option<i64>,
    pub free_cancellation: bool,
}

/// In which order hotels are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(crate) enum Order {
    #[default]
    Recommended,
    Price,
    Stars,
    Distance,
}

/// A hotel that can take the stay, with its cheapest fitting offer.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub property: Property,
    pub total: i64,
    room: usize,
    plan: Plan,
}

/// One room type under one rate plan, priced.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub room: RoomType,
    pub plan: Plan,
    /// Rooms that are left in the scarcest night.
    pub left: u16,
    pub quote: Quote,
    pub cancellation: Cancellation,
}

/// Everything a hotel offers for a stay.
#[derive(Debug, Clone)]
pub(crate) struct Availability {
    /// Cheapest first.
    pub offers: Vec<Offer>,
    pub unavailable: Vec<(RoomType, Unavailable)>,
}

/// The nights of one hotel for one stay, kept to be filled again for the next.
#[derive(Default)]
struct Scratch {
    hotel: Vec<HotelNight>,
    rooms: Vec<Night>,
}

impl Hotels {
    pub(crate) fn new(seed: u64, size: Size) -> Self {
        Self {
            world: World::new(seed, size),
            atlas: OnceLock::new(),
        }
    }

    /// Returns the atlas, which the first caller decodes.
    pub(crate) fn atlas(&self) -> &Atlas {
        self.atlas.get_or_init(Atlas::decode)
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    pub(crate) fn find(&self, id: PropertyId) -> Option<Property> {
        self.world.find(self.atlas(), id)
    }

    /// Returns the time in a city.
    pub(crate) fn local(&self, city: CityIndex, now: Timestamp) -> Local {
        let zone = TimeZone::get(self.atlas().zone(city))
            .expect("every zone of the city table is in the bundled time zone database");
        Local {
            today: now.to_zoned(zone.clone()).date(),
            zone,
            now,
        }
    }

    /// Returns the hotels of `city` that can take the stay, in `order`.
    pub(crate) fn search(
        &self,
        city: CityIndex,
        wish: &Wish<'_>,
        filter: Filter,
        order: Order,
    ) -> Vec<Found> {
        let mut scratch = Scratch::default();
        let mut found: Vec<_> = (0..self.world.property_count(self.atlas(), city))
            .map(|index| self.world.property(self.atlas(), city, index))
            .filter(|property| property.stars >= filter.min_stars)
            .filter_map(|property| self.cheapest(property, wish, filter, &mut scratch))
            .collect();
        arrange(&mut found, order);
        found
    }

    fn cheapest(
        &self,
        property: Property,
        wish: &Wish<'_>,
        filter: Filter,
        scratch: &mut Scratch,
    ) -> Option<Found> {
        let levies = levies(&property, self.atlas().city(property.city));
        self.fill(&property, wish.stay, &mut scratch.hotel);
        let mut best: Option<(i64, usize, Plan)> = None;
        for (i, room) in property.room_types().iter().enumerate() {
            if self.judge(&property, room, wish, scratch).is_err() {
                continue;
            }
            for plan in plans(&property, wish) {
                let terms = terms(&property, &levies, &scratch.rooms, wish, plan);
                if filter.free_cancellation && !is_free(&terms, wish) {
                    continue;
                }
                let total = terms.total();
                if best.is_none_or(|(cheapest, ..)| total < cheapest) {
                    best = Some((total, i, plan));
                }
            }
        }
        let (total, room, plan) = best?;
        let room_nights = (wish.stay.nights().len() * wish.parties.len()) as i64;
        let affordable = filter
            .max_per_night
            .is_none_or(|max| total <= max.saturating_mul(room_nights));
        affordable.then_some(Found {
            property,
            total,
            room,
            plan,
        })
    }

    /// Prices the offer that [`Hotels::search`] chose.
    pub(crate) fn offer(&self, found: &Found, wish: &Wish<'_>) -> Option<Offer> {
        let mut scratch = Scratch::default();
        let property = &found.property;
        let levies = levies(property, self.atlas().city(property.city));
        self.fill(property, wish.stay, &mut scratch.hotel);
        let room = property.room_types().get(found.room)?;
        let left = self.judge(property, room, wish, &mut scratch).ok()?;
        Some(priced(
            property,
            *room,
            left,
            &levies,
            &scratch.rooms,
            wish,
            found.plan,
        ))
    }

    /// Returns all offers of a hotel for a stay, and why room types have none.
    pub(crate) fn availability(&self, property: &Property, wish: &Wish<'_>) -> Availability {
        let mut scratch = Scratch::default();
        let levies = levies(property, self.atlas().city(property.city));
        self.fill(property, wish.stay, &mut scratch.hotel);
        let mut availability = Availability {
            offers: Vec::new(),
            unavailable: Vec::new(),
        };
        for room in property.room_types() {
            match self.judge(property, room, wish, &mut scratch) {
                Ok(left) => availability
                    .offers
                    .extend(plans(property, wish).map(|plan| {
                        priced(property, *room, left, &levies, &scratch.rooms, wish, plan)
                    })),
                Err(reason) => availability.unavailable.push((*room, reason)),
            }
        }
        availability.offers.sort_by_key(|offer| offer.quote.total);
        availability
    }

    fn fill(&self, property: &Property, stay: &Stay, nights: &mut Vec<HotelNight>) {
        let city = self.atlas().city(property.city);
        nights.clear();
        let days = stay.nights().iter().copied().chain([stay.departure()]);
        nights.extend(days.map(|day| self.world.hotel_night(property, city, day)));
    }

    /// Derives the nights of a room type into `scratch` and judges the stay.
    fn judge(
        &self,
        property: &Property,
        room: &RoomType,
        wish: &Wish<'_>,
        scratch: &mut Scratch,
    ) -> Result<u16, Unavailable> {
        let capacity = room.kind.capacity();
        if !wish.parties.iter().all(|party| party.fits(capacity)) {
            return Err(Unavailable::Occupancy);
        }
        let Some((departure, nights)) = scratch.hotel.split_last() else {
            return Err(Unavailable::Occupancy);
        };
        scratch.rooms.clear();
        scratch.rooms.extend(
            nights
                .iter()
                .map(|night| self.world.night(property, room, night)),
        );
        let quantity = u16::try_from(wish.parties.len()).unwrap_or(u16::MAX);
        judge(wish.stay, &scratch.rooms, departure.restrictions, quantity)
    }
}

fn plans<'a>(property: &'a Property, wish: &Wish<'_>) -> impl Iterator<Item = Plan> + use<'a> {
    let days_ahead = i64::from((wish.stay.check_in() - wish.local.today).get_days());
    Plan::ALL
        .into_iter()
        .filter(move |plan| plan.is_sold(property, days_ahead))
}

fn terms<'a>(
    property: &'a Property,
    levies: &'a [Levy],
    nights: &'a [Night],
    wish: &Wish<'a>,
    plan: Plan,
) -> Terms<'a> {
    Terms {
        property,
        levies,
        nights,
        parties: wish.parties,
        plan,
    }
}

fn is_free(terms: &Terms<'_>, wish: &Wish<'_>) -> bool {
    terms.free_until(wish.stay, &wish.local.zone) > Some(wish.local.now)
}

fn priced(
    property: &Property,
    room: RoomType,
    left: u16,
    levies: &[Levy],
    nights: &[Night],
    wish: &Wish<'_>,
    plan: Plan,
) -> Offer {
    let terms = terms(property, levies, nights, wish, plan);
    let quote = terms.quote(wish.stay);
    let cancellation = cancellation(&terms, &quote, wish.stay, &wish.local.zone, wish.local.now);
    Offer {
        room,
        plan,
        left,
        quote,
        cancellation,
    }
}

/// What [`Order::Recommended`] means, for the traveller.
pub(crate) const RECOMMENDED: &str = "Recommended: half guest rating, two fifths price against the \
     median of these results, one tenth distance to the centre. No hotel paid for its position.";

fn arrange(found: &mut [Found], order: Order) {
    // Ties, which equal prices make likely, are broken by id: pages do not overlap.
    match order {
        Order::Price => found.sort_by_key(|f| (f.total, f.property.id)),
        Order::Stars => found.sort_by_key(|f| (Reverse(f.property.stars), f.total, f.property.id)),
        Order::Distance => found.sort_by_key(|f| (f.property.distance_m, f.property.id)),
        Order::Recommended => {
            let mut totals: Vec<_> = found.iter().map(|f| f.total).collect();
            totals.sort_unstable();
            let median = totals.get(totals.len() / 2).copied().unwrap_or(1).max(1);
            found.sort_by_key(|f| (Reverse(score(f, median)), f.property.id));
        }
    }
}

/// Points of 1,000: see [`RECOMMENDED`].
fn score(found: &Found, median: i64) -> i64 {
    let rating = i64::from(found.property.rating) * 5;
    let price = 400 * median / found.total.max(median);
    let distance = 100 * 3_000 / (3_000 + i64::from(found.property.distance_m));
    rating + price + distance
}
