//! Shopping: which hotels can take a stay, and for how much.
//!
//! # Invariants
//!
//! * What is offered is available: restrictions, rooms and occupancy are judged
//!   before a price is computed.
//! * No answer is cached: each is read from the nights as they are now.

use std::{
    cmp::Reverse,
    sync::{Arc, OnceLock},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    house::Houses,
    inventory::{Block, Own, Shelf, Shelves},
    night::Night,
    places::{Atlas, CityIndex},
    property::{FARTHEST_M, Property, PropertyId, RoomType, Size, World, distance_m},
    quote::{Cancellation, Plan, Quote, Terms, cancellation},
    stay::{Party, Stay, Unavailable, judge},
    supply::{Area, Filter, Order},
};

/// The hotels of the world with their nights.
#[derive(Debug)]
pub(crate) struct Hotels {
    world: World,
    shelves: OnceLock<Shelves>,
}

/// Where and when it is, for a hotel.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub zone: TimeZone,
    pub today: Date,
    pub now: Timestamp,
}

impl Local {
    /// Returns the time of `zone`.
    pub(crate) fn at(zone: TimeZone, now: Timestamp) -> Self {
        Self {
            today: now.to_zoned(zone.clone()).date(),
            zone,
            now,
        }
    }
}

/// What a traveller wants.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'a> {
    pub stay: &'a Stay,
    pub parties: &'a [Party],
    pub local: &'a Local,
}

/// A hotel that can take the stay, with its cheapest fitting offer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub id: PropertyId,
    city: CityIndex,
    stars: u8,
    rating: u8,
    /// Metres to the middle of where was searched.
    pub distance_m: u32,
    pub total: i64,
    room: usize,
    pub plan: Plan,
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

impl Hotels {
    pub(crate) fn new(seed: u64, size: Size, houses: Houses) -> Self {
        Self {
            world: World::new(seed, size).with(houses),
            shelves: OnceLock::new(),
        }
    }

    pub(crate) fn atlas(&self) -> &'static Atlas {
        Atlas::shared()
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Finds a hotel by its public id.
    pub(crate) fn find(&self, code: &str) -> Option<Property> {
        self.world.find_code(self.atlas(), code)
    }

    /// Returns the hotel at a place on the shelf of its city.
    pub(crate) fn at(&self, id: PropertyId) -> Option<Property> {
        let city = self.atlas().find(id.city)?;
        let there = id.index < self.world.property_count(self.atlas(), city);
        there.then(|| self.world.property(self.atlas(), city, id.index))
    }

    /// Returns the clock of a hotel.
    pub(crate) fn zone(&self, property: &Property) -> TimeZone {
        match property.own {
            Some(house) => house.zone.clone(),
            None => self.atlas().time_zone(property.city),
        }
    }

    /// Returns the time at a hotel.
    pub(crate) fn local_of(&self, property: &Property, now: Timestamp) -> Local {
        Local::at(self.zone(property), now)
    }

    /// Returns the time in a city.
    pub(crate) fn local(&self, city: CityIndex, now: Timestamp) -> Local {
        Local::at(self.atlas().time_zone(city), now)
    }

    /// Returns what decides the values of the seed.
    pub(crate) fn source(&self) -> (&World, &Atlas) {
        (&self.world, self.atlas())
    }

    pub(crate) fn shelves(&self) -> &Shelves {
        let cities = self.atlas().len();
        self.shelves.get_or_init(|| Shelves::new(cities))
    }

    /// Returns the hotels of a city for reading.
    pub(crate) fn shelf(&self, city: CityIndex, now: Timestamp) -> Arc<Shelf> {
        let (world, atlas) = self.source();
        self.shelves().city(world, atlas, city, first_day(now))
    }

    /// Looks at a hotel as it is now.
    pub(crate) fn look<R>(
        &self,
        property: &Property,
        now: Timestamp,
        look: impl FnOnce(&Block) -> R,
    ) -> R {
        let shelf = self.shelf(property.city, now);
        let index = usize::from(property.id.index);
        let block = shelf.read(index, self.source(), first_day(now));
        look(&block.expect("every property has its place on the shelf of its city"))
    }

    /// Returns the hotels of `city` that can take the stay, in `order`.
    pub(crate) fn search(
        &self,
        city: CityIndex,
        wish: &Wish<'_>,
        filter: Filter,
        order: Order,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        self.scan(
            city,
            wish,
            filter,
            &|block| Some(block.property.distance_m),
            &mut found,
        );
        arrange(&mut found, order);
        found
    }

    /// Returns the hotels of `area` that can take the stay, in `order`.
    pub(crate) fn search_area(
        &self,
        area: &Area,
        stay: &Stay,
        parties: &[Party],
        now: Timestamp,
        (filter, order): (Filter, Order),
    ) -> Vec<Found> {
        let atlas = self.atlas();
        let (cities, middle) = match *area {
            Area::City(id) => (atlas.find(id).into_iter().collect(), None),
            Area::Circle {
                lat_e5,
                lon_e5,
                radius_m,
            } => {
                let middle = (lat_e5, lon_e5);
                let reach = radius_m.saturating_add(FARTHEST_M);
                (atlas.within(middle, reach), Some((middle, radius_m)))
            }
        };
        let mut found = Vec::new();
        for city in cities {
            let local = self.local(city, now);
            let wish = Wish {
                stay,
                parties,
                local: &local,
            };
            let near = |block: &Block| {
                let property = &block.property;
                let Some((middle, radius_m)) = middle else {
                    return Some(property.distance_m);
                };
                let here = (property.lat_e5, property.lon_e5);
                Some(distance_m(middle, here)).filter(|metres| *metres <= radius_m)
            };
            self.scan(city, &wish, filter, &near, &mut found);
        }
        arrange(&mut found, order);
        found
    }

    /// Adds the hotels of `city` to `found` that `near` gives a distance and that can
    /// take the stay.
    fn scan(
        &self,
        city: CityIndex,
        wish: &Wish<'_>,
        filter: Filter,
        near: &dyn Fn(&Block) -> Option<u32>,
        found: &mut Vec<Found>,
    ) {
        let shelf = self.shelf(city, wish.local.now);
        let first = first_day(wish.local.now);
        let mut nights = Vec::new();
        for index in 0..shelf.len() {
            let Some(block) = shelf.read(index, self.source(), first) else {
                continue;
            };
            let property = &block.property;
            if property.stars < filter.min_stars {
                continue;
            }
            let Some(distance_m) = near(&block) else {
                continue;
            };
            // A group's own hotel may keep another clock than its city.
            let own = property
                .own
                .map(|_| self.local_of(property, wish.local.now));
            let wish = Wish {
                local: own.as_ref().unwrap_or(wish.local),
                ..*wish
            };
            let Some((total, room, plan)) = cheapest(&block, &wish, filter, &mut nights) else {
                continue;
            };
            found.push(Found {
                id: property.id,
                city,
                stars: property.stars,
                rating: property.rating,
                distance_m,
                total,
                room,
                plan,
            });
        }
    }

    /// Returns the hotel that was found.
    pub(crate) fn found(&self, found: &Found) -> Property {
        let index = found.id.index;
        self.world.property(self.atlas(), found.city, index)
    }

    /// Prices the offer that [`Hotels::search`] chose.
    pub(crate) fn offer(&self, found: &Found, wish: &Wish<'_>) -> Option<Offer> {
        self.look(&self.found(found), wish.local.now, |block| {
            let room = block.property.room_types().get(found.room)?;
            let mut nights = Vec::new();
            let sale = Sale {
                block,
                room: found.room,
                plan: found.plan,
                own: None,
            };
            let left = sale.judge(wish, wish.parties.len(), &mut nights).ok()?;
            Some(priced(block, *room, left, &nights, wish, found.plan))
        })
    }

    /// Returns all offers of a hotel for a stay, and why room types have none.
    pub(crate) fn availability(&self, property: &Property, wish: &Wish<'_>) -> Availability {
        self.look(property, wish.local.now, |block| all_offers(block, wish))
    }
}

/// Returns the first day that nights are kept for: today somewhere.
pub(crate) fn first_day(now: Timestamp) -> i64 {
    now.as_second().div_euclid(86_400) - 1
}

/// One room type under one rate plan.
pub(crate) struct Sale<'a> {
    pub block: &'a Block,
    pub room: usize,
    pub plan: Plan,
    /// Rooms that count as free.
    pub own: Own<'a>,
}

impl Sale<'_> {
    /// Writes the nights of the stay into `nights` and returns how many rooms are
    /// left, if `quantity` of them can be sold to the parties of `wish`.
    pub(crate) fn judge(
        &self,
        wish: &Wish<'_>,
        quantity: usize,
        nights: &mut Vec<Night>,
    ) -> Result<u16, Unavailable> {
        let capacity = self.block.property.room_types()[self.room].kind.capacity();
        if !wish.parties.iter().all(|party| party.fits(capacity)) {
            return Err(Unavailable::Occupancy);
        }
        let extra = self
            .block
            .fill(wish.stay, self.room, self.plan, self.own, nights);
        let quantity = u16::try_from(quantity).unwrap_or(u16::MAX);
        let left = judge(wish.stay, nights, &extra, days_ahead(wish), quantity)?;
        let cards = self.block.cards();
        if !cards.is_empty() && !terms(self.block, nights, wish, self.plan).has_price() {
            return Err(Unavailable::Occupancy);
        }
        Ok(left)
    }
}

/// Returns the days between today at the hotel and the arrival.
pub(crate) fn days_ahead(wish: &Wish<'_>) -> i64 {
    i64::from((wish.stay.check_in() - wish.local.today).get_days())
}

/// Returns the cheapest offer of a hotel that the filter lets through.
pub(crate) fn cheapest(
    block: &Block,
    wish: &Wish<'_>,
    filter: Filter,
    nights: &mut Vec<Night>,
) -> Option<(i64, usize, Plan)> {
    let mut best: Option<(i64, usize, Plan)> = None;
    for room in 0..block.property.room_types().len() {
        let mut judged = None;
        for plan in plans(&block.property, wish) {
            let sale = Sale {
                block,
                room,
                plan,
                own: None,
            };
            // Where no plan has limits of its own the first one speaks for all.
            let left = match judged {
                Some(left) if block.is_uniform() => left,
                _ => sale.judge(wish, wish.parties.len(), nights),
            };
            judged = Some(left);
            if left.is_err() {
                continue;
            }
            let terms = terms(block, nights, wish, plan);
            if filter.free_cancellation && !is_free(&terms, wish) {
                continue;
            }
            let total = terms.total();
            if best.is_none_or(|(cheapest, ..)| total < cheapest) {
                best = Some((total, room, plan));
            }
        }
    }
    let (total, ..) = best?;
    let room_nights = (wish.stay.length() * wish.parties.len()) as i64;
    let affordable = filter
        .max_per_night
        .is_none_or(|max| total <= max.saturating_mul(room_nights));
    best.filter(|_| affordable)
}

/// Returns all offers of a hotel for a stay, and why room types have none.
pub(crate) fn all_offers(block: &Block, wish: &Wish<'_>) -> Availability {
    let mut availability = Availability {
        offers: Vec::new(),
        unavailable: Vec::new(),
    };
    let mut nights = Vec::new();
    for (at, room) in block.property.room_types().iter().enumerate() {
        let before = availability.offers.len();
        let mut reason = None;
        for plan in plans(&block.property, wish) {
            let sale = Sale {
                block,
                room: at,
                plan,
                own: None,
            };
            match sale.judge(wish, wish.parties.len(), &mut nights) {
                Ok(left) => {
                    let offer = priced(block, *room, left, &nights, wish, plan);
                    availability.offers.push(offer);
                }
                Err(why) => reason = reason.or(Some(why)),
            }
        }
        if let (true, Some(reason)) = (availability.offers.len() == before, reason) {
            availability.unavailable.push((*room, reason));
        }
    }
    availability.offers.sort_by_key(|offer| offer.quote.total);
    availability
}

fn plans<'a>(property: &'a Property, wish: &Wish<'_>) -> impl Iterator<Item = Plan> + use<'a> {
    let days_ahead = days_ahead(wish);
    property
        .plans()
        .filter(move |plan| plan.is_sold(property, days_ahead))
}

pub(crate) fn terms<'a>(
    block: &'a Block,
    nights: &'a [Night],
    wish: &Wish<'a>,
    plan: Plan,
) -> Terms<'a> {
    Terms {
        property: &block.property,
        levies: &block.levies,
        nights,
        parties: wish.parties,
        plan,
        cards: block.cards(),
    }
}

fn is_free(terms: &Terms<'_>, wish: &Wish<'_>) -> bool {
    terms.free_until(wish.stay, &wish.local.zone) > Some(wish.local.now)
}

fn priced(
    block: &Block,
    room: RoomType,
    left: u16,
    nights: &[Night],
    wish: &Wish<'_>,
    plan: Plan,
) -> Offer {
    let terms = terms(block, nights, wish, plan);
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
const RECOMMENDED: &str = "Recommended: half guest rating, two fifths price against the \
     median of these results, one tenth distance to the centre. No hotel paid for its position.";

/// Returns what decides an order, for the traveller.
#[must_use]
pub fn explanation(order: Order) -> &'static str {
    match order {
        Order::Recommended => RECOMMENDED,
        Order::Price => "Cheapest all-in total first. No hotel paid for its position.",
        Order::Stars => {
            "Most stars first, then the cheapest all-in total. No hotel paid for its position."
        }
        Order::Distance => {
            "Nearest to the centre of the city first. No hotel paid for its position."
        }
    }
}

fn arrange(found: &mut [Found], order: Order) {
    // Ties, which equal prices make likely, are broken by id: pages do not overlap.
    match order {
        Order::Price => found.sort_unstable_by_key(|hit| (hit.total, hit.id)),
        Order::Stars => {
            found.sort_unstable_by_key(|hit| (Reverse(hit.stars), hit.total, hit.id));
        }
        Order::Distance => found.sort_unstable_by_key(|hit| (hit.distance_m, hit.id)),
        Order::Recommended => {
            let mut totals: Vec<_> = found.iter().map(|hit| hit.total).collect();
            let middle = totals.len() / 2;
            let median = match totals.is_empty() {
                true => 1,
                false => *totals.select_nth_unstable(middle).1,
            };
            found.sort_by_cached_key(|hit| (Reverse(score(hit, median.max(1))), hit.id));
        }
    }
}

/// Points of 1,000: see [`RECOMMENDED`].
fn score(hit: &Found, median: i64) -> i64 {
    let rating = i64::from(hit.rating) * 5;
    let price = 400 * median / hit.total.max(median);
    let distance = 100 * 3_000 / (3_000 + i64::from(hit.distance_m));
    rating + price + distance
}
