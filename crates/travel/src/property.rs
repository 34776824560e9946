//! The hotels: what does not change from night to night.
//!
//! # Invariants
//!
//! * A property is a function of the seed, its city and its index there. It is
//!   never stored: deriving one costs less than a microsecond.
//! * Every room type has at least one room; the rooms of the types sum to the
//!   rooms of the hotel.

mod geography;
mod naming;
mod room;

use std::{fmt, str::FromStr};

pub use self::geography::distance_m;
use self::room::draw_room_types;
pub(crate) use self::{
    naming::{address, name},
    room::{Capacity, MAX_ROOM_TYPES, RoomKind, RoomType},
};
use crate::{
    draw::{Domain, EXPONENTIAL, Key, LARGE_HOTEL_ROOMS, SMALL_HOTEL_ROOMS, slice, slice_wide},
    house::{House, Houses, Registry},
    money::{Currency, scale},
    places::{Atlas, City, CityIndex},
    quote::Plan,
    stay::{MAX_DAYS_AHEAD, MAX_NIGHTS},
};

/// How many properties are spread over the world in proportion to population^0.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// 1,000, on top of a choice in every city: for a first look.
    #[default]
    Demonstration,
    /// 1,000: an independent collection.
    Small,
    /// 10,000: a large chain.
    Medium,
    /// 100,000: a travel platform.
    Large,
    /// None: all hotels are a file's.
    None,
}

impl Size {
    /// Returns for how many nights rooms are for sale, yesterday's included, which is
    /// today's somewhere.
    pub(crate) const fn nights(self) -> usize {
        match self {
            // The farthest stay that may be asked for, and a day for time zones.
            Self::Demonstration | Self::None => MAX_DAYS_AHEAD as usize + MAX_NIGHTS + 3,
            Self::Small | Self::Medium | Self::Large => 366,
        }
    }

    /// Returns how many hotels may be in memory at once: all of them, where their
    /// number is chosen; a part where every city of the world has some.
    pub(crate) const fn resident(self) -> usize {
        match self {
            Self::Demonstration => 8_000,
            Self::None | Self::Small | Self::Medium | Self::Large => usize::MAX,
        }
    }

    const fn properties(self) -> u64 {
        match self {
            Self::Demonstration | Self::Small => 1_000,
            Self::Medium => 10_000,
            Self::Large => 100_000,
            Self::None => 0,
        }
    }
}

/// Public id of a property: `htl_<GeoNames id>_<index>`. Callers treat it as opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PropertyId {
    /// GeoNames id of the city.
    pub city: u32,
    /// Position within the city.
    pub index: u16,
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "htl_{}_{}", self.city, self.index)
    }
}

/// The text is not the id of a property.
#[derive(Debug, thiserror::Error)]
#[error("not a property id")]
pub(crate) struct NotAnId;

impl FromStr for PropertyId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (city, index) = text
            .strip_prefix("htl_")
            .and_then(|rest| rest.split_once('_'))
            .ok_or(NotAnId)?;
        let id = Self {
            city: city.parse().map_err(|_| NotAnId)?,
            index: index.parse().map_err(|_| NotAnId)?,
        };
        // `+7` and `007` are numbers too, but an id has one spelling.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(NotAnId)
        }
    }
}

/// The seed and the size of the world that is derived from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    seed: u64,
    key: Key,
    size: Size,
    houses: Houses,
}

/// Which seasons and weekdays a hotel lives from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Character {
    City,
    Resort,
}

/// One hotel.
#[derive(Debug, Clone)]
pub(crate) struct Property {
    pub id: PropertyId,
    pub city: CityIndex,
    pub key: Key,
    pub stars: u8,
    /// Review score out of 100.
    pub rating: u8,
    pub rooms: u16,
    pub character: Character,
    pub lat_e5: i32,
    pub lon_e5: i32,
    /// Distance to the centre of the city in metres.
    pub distance_m: u32,
    pub currency: Currency,
    /// Rounding step of room rates in minor units.
    pub step: i64,
    /// Price of a breakfast in minor units, where it can be booked.
    pub breakfast: Option<i64>,
    /// Whether an advance purchase rate is sold.
    pub advance_purchase: bool,
    /// Days before arrival until which a flexible booking is cancelled free of charge.
    pub cancel_days: u8,
    /// Bits of [`AMENITIES`].
    amenities: u16,
    room_types: [RoomType; MAX_ROOM_TYPES],
    room_type_count: u8,
    /// What a file says about it, if it is not generated.
    pub own: Option<&'static House>,
}

/// What a hotel may offer; the position is the bit.
pub(crate) const AMENITIES: [&str; 12] = [
    "free_wifi",
    "air_conditioning",
    "restaurant",
    "bar",
    "fitness_room",
    "indoor_pool",
    "spa",
    "parking",
    "ev_charging",
    "pets_allowed",
    "step_free_access",
    "airport_shuttle",
];

impl Property {
    /// Returns the property that a file describes in this place.
    fn of(self, house: &'static House, atlas: &Atlas) -> Self {
        let place = atlas.city(house.city);
        let rooms = house.rooms.iter().map(|room| room.physical);
        let rooms = rooms.fold(0, u16::saturating_add);
        Self {
            stars: house.stars,
            // Those that nobody has rated are in the middle of an order by rating.
            rating: house.rating.unwrap_or(75),
            rooms,
            lat_e5: house.lat_e5,
            lon_e5: house.lon_e5,
            distance_m: distance_m((place.lat_e5, place.lon_e5), (house.lat_e5, house.lon_e5)),
            currency: house.currency,
            amenities: house.amenities,
            own: Some(house),
            ..self
        }
    }

    /// Returns its public id.
    pub(crate) fn code(&self) -> String {
        match self.own {
            Some(house) => house.id.clone(),
            None => self.id.to_string(),
        }
    }

    /// Returns the rate plans, in the order in which they are listed.
    pub(crate) fn plans(&self) -> impl Iterator<Item = Plan> + use<> {
        let own = self.own.map(|house| house.plans.as_slice());
        let generated = own.is_none().then_some(Plan::GENERATED);
        let own = own.unwrap_or_default().iter();
        own.map(|plan| Plan::Own(plan))
            .chain(generated.into_iter().flatten())
    }

    /// Finds the rate plan with this code.
    pub(crate) fn plan(&self, code: &str) -> Option<Plan> {
        self.plans().find(|plan| plan.code() == code)
    }

    /// Returns whether nothing of it is for sale any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.own.is_some_and(|house| house.closed)
    }

    pub(crate) fn room_types(&self) -> &[RoomType] {
        if let Some(house) = self.own {
            return &house.rooms;
        }
        &self.room_types[..usize::from(self.room_type_count)]
    }

    pub(crate) fn amenities(&self) -> impl Iterator<Item = &'static str> {
        let bits = self.amenities;
        AMENITIES
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| bits & (1 << bit) != 0)
            .map(|(_, name)| name)
    }
}

impl World {
    pub(crate) fn new(seed: u64, size: Size) -> Self {
        Self {
            seed,
            key: Key::of_seed(seed),
            size,
            houses: Houses::default(),
        }
    }

    /// Adds the hotels of a file.
    pub(crate) fn with(self, houses: Houses) -> Self {
        Self { houses, ..self }
    }

    pub(crate) fn registry(&self) -> &'static Registry {
        self.houses.0
    }

    pub(crate) const fn size(&self) -> Size {
        self.size
    }

    pub(crate) const fn key(&self) -> Key {
        self.key
    }

    /// Returns how many properties a city has, those of a file behind the generated ones.
    pub(crate) fn property_count(&self, atlas: &Atlas, city: CityIndex) -> u16 {
        let own = self.registry().of_city(atlas.city(city).id).count();
        self.generated_count(atlas, city)
            .saturating_add(u16::try_from(own).unwrap_or(u16::MAX))
    }

    /// Returns how many generated properties a city has: its part of the proportional ones by
    /// systematic sampling, whose parts sum exactly, and the least choice where every
    /// city has one.
    fn generated_count(&self, atlas: &Atlas, city: CityIndex) -> u16 {
        if self.size == Size::None {
            return 0;
        }
        let (before, own, total) = atlas.share(city);
        let offset = self.key.at(Domain::Apportion, 0).below(total.max(1));
        let upto = |weight: u64| {
            (u128::from(weight) * u128::from(self.size.properties()) + u128::from(offset))
                / u128::from(total.max(1))
        };
        let part = u16::try_from(upto(before + own) - upto(before)).unwrap_or(u16::MAX);
        match self.size {
            Size::Demonstration => least_choice(atlas.city(city)).saturating_add(part),
            Size::None | Size::Small | Size::Medium | Size::Large => part,
        }
    }

    /// Finds a property by its public id.
    pub(crate) fn find_code(&self, atlas: &Atlas, code: &str) -> Option<Property> {
        if let Some(house) = self.registry().find(code) {
            let before = self.generated_count(atlas, house.city);
            let mut own = self.registry().of_city(house.city_id);
            let at = own.position(|known| std::ptr::eq(known, house))?;
            return Some(self.property(atlas, house.city, before + at as u16));
        }
        self.find(atlas, code.parse().ok()?)
    }

    /// Finds a generated property by its id.
    pub(crate) fn find(&self, atlas: &Atlas, id: PropertyId) -> Option<Property> {
        let city = atlas.find(id.city)?;
        (id.index < self.generated_count(atlas, city)).then(|| self.property(atlas, city, id.index))
    }

    /// Returns the `index`-th property of a city.
    pub(crate) fn property(&self, atlas: &Atlas, city: CityIndex, index: u16) -> Property {
        let generated = self.derived(atlas, city, index);
        if self.registry().houses.is_empty() {
            return generated;
        }
        let own = index.checked_sub(self.generated_count(atlas, city));
        let mut houses = self.registry().of_city(generated.id.city);
        match own.and_then(|own| houses.nth(usize::from(own))) {
            Some(house) => generated.of(house, atlas),
            None => generated,
        }
    }

    /// Derives what the seed gives for the `index`-th property of a city.
    fn derived(&self, atlas: &Atlas, city: CityIndex, index: u16) -> Property {
        let place = atlas.city(city);
        let id = PropertyId {
            city: place.id,
            index,
        };
        let key = self.key.at(
            Domain::Property,
            (u64::from(place.id) << 16) | u64::from(index),
        );
        let large = key.at(Domain::Size, 0).below(100) < 30;
        let rooms = match large {
            true => key.at(Domain::Size, 1).pick(&LARGE_HOTEL_ROOMS),
            false => key.at(Domain::Size, 1).pick(&SMALL_HOTEL_ROOMS),
        };
        let stars = draw_stars(key, large);
        let rating = (key.at(Domain::Rating, 0).between(58, 86) + i64::from(stars) * 2) as u8;
        let character = match key.at(Domain::Base, 0).below(100) < 22 {
            true => Character::Resort,
            false => Character::City,
        };
        let (lat_e5, lon_e5, distance_m) = draw_position(key, place);
        let currency = place.country().currency;
        let step = price_step(currency);
        let base = draw_base(key, place, stars, currency);
        let plans = key.at(Domain::Plans, 0).bits();
        let breakfast = (slice(plans, 0, 100) < 72).then(|| {
            let euro_cents = 700 + 350 * i64::from(stars);
            local(euro_cents, currency).max(1)
        });
        let (room_types, room_type_count) = draw_room_types(key, rooms, base, step);
        Property {
            id,
            city,
            key,
            stars,
            rating,
            rooms,
            character,
            lat_e5,
            lon_e5,
            distance_m,
            currency,
            step,
            breakfast,
            advance_purchase: slice(plans, 1, 100) < 50,
            cancel_days: 1 + slice(plans, 2, 3) as u8,
            amenities: draw_amenities(key, stars),
            room_types,
            room_type_count,
            own: None,
        }
    }

    /// Returns a value that differs where any definition differs, for what is kept in
    /// positions instead of codes.
    pub(crate) fn edition(&self) -> u64 {
        self.fingerprint() ^ self.registry().digest
    }

    /// Returns a value that differs between worlds, for checking that a reference
    /// was issued for this one.
    pub(crate) const fn fingerprint(&self) -> u64 {
        let exact = !matches!(self.size, Size::Demonstration);
        self.seed ^ (self.size.properties() << 40) ^ ((exact as u64) << 62)
    }
}

/// The properties that a city has in [`Size::Demonstration`] at least, so that a traveller finds a
/// choice in every city and not only where a draw of a thousand happened to fall:
/// Boston's proportional part of 1,000 is less than one hotel.
fn least_choice(city: &City) -> u16 {
    match city.population {
        5_000_000.. => 24,
        1_000_000.. => 18,
        300_000.. => 14,
        100_000.. => 8,
        50_000.. => 5,
        _ => 3,
    }
}

fn draw_stars(key: Key, large: bool) -> u8 {
    let table: &[u8] = match large {
        true => &[3, 3, 3, 4, 4, 4, 4, 4, 5, 5],
        false => &[1, 2, 2, 3, 3, 3, 3, 4, 4, 5],
    };
    key.at(Domain::Stars, 0).pick(table)
}

/// No hotel lies farther from the centre of its city, in metres.
pub(crate) const FARTHEST_M: u32 = 22_000;

/// Exponential distance from the centre, in any direction.
fn draw_position(key: Key, city: &City) -> (i32, i32, u32) {
    let sigma_m = match city.population {
        5_000_000.. => 4_500,
        1_000_000.. => 3_000,
        300_000.. => 2_000,
        _ => 1_100,
    };
    let distance_m = key.at(Domain::Distance, 0).pick(&EXPONENTIAL) * sigma_m / 1_000;
    let bearing = key.at(Domain::Bearing, 0).below(360) as i64;
    let (lat, lon) = geography::offset(city.lat_e5, city.lon_e5, bearing, distance_m);
    (lat, lon, u32::try_from(distance_m).unwrap_or(0))
}

/// An average double room in minor units: class and size of the city, and how this
/// house differs from its peers.
fn draw_base(key: Key, city: &City, stars: u8, currency: Currency) -> i64 {
    let euro_cents = [4_600, 6_100, 8_900, 13_800, 24_500][usize::from(stars.clamp(1, 5)) - 1];
    let tier_permille = match city.population {
        5_000_000.. => 1_450,
        1_000_000.. => 1_280,
        300_000.. => 1_160,
        100_000.. => 1_000,
        _ => 880,
    };
    let own_permille = key.at(Domain::Base, 1).between(820, 1_260);
    let euro_cents = scale(scale(euro_cents, tier_permille, 1_000), own_permille, 1_000);
    local(euro_cents, currency)
}

/// Brings an amount of the generator to the price level of a currency.
pub(crate) fn local(euro_cents: i64, currency: Currency) -> i64 {
    let per_major = currency.minor_per_major();
    scale(
        euro_cents * per_major,
        i64::from(currency.level_milli),
        100_000,
    )
}

/// Room rates are multiples of about one euro in a power of ten, as hotels print
/// them: whole dollars, hundreds of yen, ten thousands of rupiah.
fn price_step(currency: Currency) -> i64 {
    let level = i64::from(currency.level_milli) / 1_000;
    let mut major = 1;
    while major * 10 <= level {
        major *= 10;
    }
    major * currency.minor_per_major()
}

fn draw_amenities(key: Key, stars: u8) -> u16 {
    let mut bits = 1;
    for bit in 1..AMENITIES.len() {
        let chance = 150 + 140 * u64::from(stars);
        let drawn = slice_wide(key.at(Domain::Amenities, bit as u64).bits(), 0, 1_000);
        bits |= u16::from(drawn < chance) << bit;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::places::Lookup;

    fn atlas() -> &'static Atlas {
        static ATLAS: std::sync::LazyLock<Atlas> = std::sync::LazyLock::new(Atlas::decode);
        &ATLAS
    }

    fn city(text: &str) -> CityIndex {
        match atlas().resolve(text) {
            Lookup::Found(city, _) => city,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn well_known_cities_have_a_choice_of_classes() {
        let world = World::new(1, Size::Demonstration);
        for name in ["Boston", "Kyoto", "Zürich", "Nice", "Portland, Oregon"] {
            let city = city(name);
            let count = world.property_count(atlas(), city);
            let mut stars: Vec<_> = (0..count)
                .map(|index| world.property(atlas(), city, index).stars)
                .collect();
            stars.sort_unstable();
            stars.dedup();
            assert!(count >= 14 && stars.len() >= 3, "{name}: {count} {stars:?}");
        }
    }

    #[test]
    fn proportional_parts_sum_to_the_size() {
        for size in [Size::Small, Size::Large] {
            let world = World::new(9, size);
            let mut sum = 0;
            let mut index = 0;
            while let Some(city) = atlas().at(index) {
                sum += u64::from(world.property_count(atlas(), city));
                index += 1;
            }
            assert_eq!(sum, size.properties());
        }
    }

    #[test]
    fn id_has_one_spelling() {
        let id: PropertyId = "htl_4930956_7".parse().unwrap();
        assert_eq!(id.to_string(), "htl_4930956_7");
        for text in [
            "htl_4930956_07",
            "htl_+4930956_7",
            "htl_1",
            "4930956_7",
            "htl_1_70000",
            "htl_1_🏨",
        ] {
            assert!(text.parse::<PropertyId>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_within_a_city_differ() {
        let world = World::new(3, Size::Large);
        let city = city("Shanghai");
        let count = world.property_count(atlas(), city);
        let mut names: Vec<_> = (0..count)
            .map(|index| name(&world, atlas(), &world.property(atlas(), city, index)))
            .collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    proptest! {
        #[test]
        fn rooms_of_the_types_sum_to_the_rooms_of_the_hotel(seed: u64, index in 0_u16..3) {
            let world = World::new(seed, Size::Demonstration);
            let property = world.property(atlas(), city("Boston"), index);
            let sum: u16 = property.room_types().iter().map(|room| room.physical).sum();
            prop_assert_eq!(sum, property.rooms);
            prop_assert!(property.room_types().iter().all(|room| room.physical > 0 && room.base > 0));
        }
    }
}
