//! The cities of the world and how a traveller's words find one of them.
//!
//! # Invariants
//!
//! * A name that fits several cities is never guessed: unless one of them is an
//!   order of magnitude more prominent, [`Atlas::resolve`] returns all of them.
//! * The atlas is decoded once and stays below 8 MiB.
//!
//! City data: GeoNames (<https://www.geonames.org>), CC BY 4.0; see `NOTICE`.

pub mod asset;
mod fold;
mod resolve;
#[cfg(test)]
mod tests;

use std::{cmp::Reverse, collections::HashMap, sync::LazyLock};

use jiff::tz::TimeZone;

use self::asset::Record;
pub(crate) use self::{fold::fold, resolve::Lookup};
use crate::{money::Currency, property::distance_m};

static CITIES: &[u8] = include_bytes!("../assets/cities.bin");

/// Index of a city in the atlas. It is not stable between versions of the city
/// table; [`City::id`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CityIndex(u32);

impl CityIndex {
    /// Returns the position, of which the most populous city has 0.
    pub(crate) const fn position(self) -> usize {
        self.0 as usize
    }
}

/// A country and the money that is used there.
#[derive(Debug)]
pub(crate) struct Country {
    /// ISO 3166-1 alpha-2.
    pub code: &'static str,
    pub name: &'static str,
    pub currency: Currency,
    folded: String,
}

/// A first-level division that has a name in our tables.
#[derive(Debug)]
pub(crate) struct Region {
    country: &'static str,
    admin: &'static str,
    /// What people write after the comma: `MA`, `ON`, `BY`.
    pub abbreviation: &'static str,
    pub name: &'static str,
    folded: String,
}

/// One city.
#[derive(Debug)]
pub(crate) struct City {
    /// GeoNames id: stable.
    pub id: u32,
    pub lat_e5: i32,
    pub lon_e5: i32,
    pub population: u32,
    pub capital: bool,
    country: u16,
    region: Option<u16>,
    zone: u16,
    name: Span,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: u8,
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..][..usize::from(self.length)]
    }

    fn push(text: &mut String, part: &str) -> Self {
        let start = u32::try_from(text.len()).expect("the names of all cities fit in 4 GiB");
        let length = u8::try_from(part.len()).expect("the name of a city fits in 255 bytes");
        text.push_str(part);
        Self { start, length }
    }
}

/// All cities, decoded.
#[derive(Debug)]
pub(crate) struct Atlas {
    cities: Vec<City>,
    names: String,
    keys: String,
    /// Folded names in order, each with its city.
    index: Vec<(Span, CityIndex)>,
    /// The cities in the order of their GeoNames ids.
    by_id: Vec<CityIndex>,
    /// The cities from south to north.
    by_latitude: Vec<CityIndex>,
    zones: Vec<Box<str>>,
    /// `cumulative[i]` is the weight of all cities before `i`; see [`weight`].
    cumulative: Vec<u64>,
}

impl Atlas {
    /// Returns the atlas, which the first caller in the process decodes.
    pub(crate) fn shared() -> &'static Self {
        static ATLAS: LazyLock<Atlas> = LazyLock::new(Atlas::decode);
        &ATLAS
    }

    /// Returns the clock of a city.
    pub(crate) fn time_zone(&self, city: CityIndex) -> TimeZone {
        TimeZone::get(self.zone(city))
            .expect("every zone of the city table is in the bundled time zone database")
    }

    /// Decodes the city table. Takes some 40 ms, once.
    pub(crate) fn decode() -> Self {
        let mut atlas = Self {
            cities: Vec::new(),
            names: String::new(),
            keys: String::new(),
            index: Vec::new(),
            by_id: Vec::new(),
            by_latitude: Vec::new(),
            zones: Vec::new(),
            cumulative: vec![0],
        };
        let mut zone_of = HashMap::new();
        asset::unpack(CITIES, &mut |record| atlas.push(&record, &mut zone_of))
            .expect("the city table in the binary was packed by this module");
        let Self {
            index,
            keys,
            by_id,
            cities,
            ..
        } = &mut atlas;
        by_id.sort_unstable_by_key(|city| cities[city.0 as usize].id);
        index.sort_unstable_by(|a, b| (a.0.of(keys), a.1).cmp(&(b.0.of(keys), b.1)));
        let mut by_latitude = by_id.clone();
        by_latitude.sort_unstable_by_key(|city| (cities[city.0 as usize].lat_e5, *city));
        atlas.by_latitude = by_latitude;
        atlas
    }

    fn push(&mut self, record: &Record<'_>, zone_of: &mut HashMap<Box<str>, u16>) {
        let city = CityIndex(u32::try_from(self.cities.len()).expect("fewer cities than 2^32"));
        let zone = *zone_of.entry(record.zone.into()).or_insert_with(|| {
            self.zones.push(record.zone.into());
            u16::try_from(self.zones.len() - 1).expect("fewer time zones than 2^16")
        });
        let key = fold(record.name);
        let ascii = fold(record.ascii);
        for key in [Some(&key), (ascii != key).then_some(&ascii)]
            .into_iter()
            .flatten()
        {
            let span = Span::push(&mut self.keys, key);
            self.index.push((span, city));
        }
        self.by_id.push(city);
        let total = self.cumulative.last().copied().unwrap_or(0);
        self.cumulative.push(total + weight(record.population));
        self.cities.push(City {
            id: record.id,
            lat_e5: record.lat_e5,
            lon_e5: record.lon_e5,
            population: record.population,
            capital: record.capital,
            country: country_position(record.country),
            region: region_position(record.country, record.admin),
            zone,
            name: Span::push(&mut self.names, record.name),
        });
    }

    /// Returns how many cities there are.
    pub(crate) fn len(&self) -> usize {
        self.cities.len()
    }

    /// Returns a city.
    pub(crate) fn city(&self, index: CityIndex) -> &City {
        &self.cities[index.0 as usize]
    }

    /// Returns the city at a position, of which the most populous has 0.
    pub(crate) fn at(&self, position: u32) -> Option<CityIndex> {
        ((position as usize) < self.cities.len()).then_some(CityIndex(position))
    }

    /// Finds a city by its GeoNames id.
    pub(crate) fn find(&self, id: u32) -> Option<CityIndex> {
        let position = self
            .by_id
            .binary_search_by_key(&id, |city| self.city(*city).id)
            .ok()?;
        Some(self.by_id[position])
    }

    /// Returns the cities within `radius_m` metres of a point (latitude and longitude
    /// in 1e-5 degrees). Only a band of latitudes is looked at, which holds for every
    /// meridian and for both poles.
    pub(crate) fn within(&self, middle: (i32, i32), radius_m: u32) -> Vec<CityIndex> {
        // A degree of latitude has 111 km; one more than needed costs nothing.
        let band = i64::from(radius_m) * 100_000 / 110_000 + 1;
        let latitude = |city: &CityIndex| i64::from(self.city(*city).lat_e5);
        let cities = &self.by_latitude;
        let south = i64::from(middle.0) - band;
        let start = cities.partition_point(|city| latitude(city) < south);
        let north = i64::from(middle.0) + band;
        let band = cities[start..]
            .iter()
            .take_while(|city| latitude(city) <= north);
        let near = |city: &&CityIndex| {
            let place = self.city(**city);
            distance_m(middle, (place.lat_e5, place.lon_e5)) <= radius_m
        };
        band.filter(near).copied().collect()
    }

    /// Returns the name as it is written.
    pub(crate) fn name(&self, index: CityIndex) -> &str {
        self.city(index).name.of(&self.names)
    }

    /// Returns the IANA time zone.
    pub(crate) fn zone(&self, index: CityIndex) -> &str {
        &self.zones[usize::from(self.city(index).zone)]
    }

    /// Returns name, region if it has a known name, and country.
    pub(crate) fn label(&self, index: CityIndex) -> String {
        let city = self.city(index);
        let (name, country) = (self.name(index), city.country().name);
        match city.region() {
            Some(region) => format!("{name}, {}, {country}", region.name),
            None => format!("{name}, {country}"),
        }
    }

    /// Returns the weight of the cities before this one, of this one, and of all.
    pub(crate) fn share(&self, index: CityIndex) -> (u64, u64, u64) {
        let at = index.0 as usize;
        let total = self.cumulative.last().copied().unwrap_or(0);
        let (before, after) = (self.cumulative[at], self.cumulative[at + 1]);
        (before, after - before, total)
    }

    /// Returns the cities whose folded name is exactly `key`.
    fn named<'a>(&'a self, key: &'a str) -> impl Iterator<Item = CityIndex> + 'a {
        self.from(key)
            .take_while(move |(name, _)| *name == key)
            .map(|(_, city)| city)
    }

    /// Returns the names from `key` on, in order.
    fn from<'a>(&'a self, key: &str) -> impl Iterator<Item = (&'a str, CityIndex)> + 'a {
        let start = self
            .index
            .partition_point(|(name, _)| name.of(&self.keys) < key);
        self.index[start..]
            .iter()
            .map(|(name, city)| (name.of(&self.keys), *city))
    }

    /// Orders by how likely a traveller means the city.
    fn by_prominence(&self, cities: &mut Vec<CityIndex>) {
        cities.sort_unstable();
        cities.dedup();
        cities.sort_by_key(|city| Reverse(self.city(*city).prominence()));
    }

    /// Returns the bytes that the atlas holds.
    #[cfg(test)]
    fn size_bytes(&self) -> usize {
        self.cities.capacity() * size_of::<City>()
            + self.names.capacity()
            + self.keys.capacity()
            + self.index.capacity() * size_of::<(Span, CityIndex)>()
            + self.by_id.capacity() * size_of::<CityIndex>()
            + self.by_latitude.capacity() * size_of::<CityIndex>()
            + self.cumulative.capacity() * size_of::<u64>()
    }
}

impl City {
    /// Returns the country.
    pub(crate) fn country(&self) -> &'static Country {
        &COUNTRIES[usize::from(self.country)]
    }

    /// Returns the first-level division if its name is known.
    pub(crate) fn region(&self) -> Option<&'static Region> {
        self.region.map(|region| &REGIONS[usize::from(region)])
    }

    /// Returns population, counted eight times for a capital: "Athens" is the one
    /// in Greece although Georgia has one of a fifth its size.
    fn prominence(&self) -> u64 {
        u64::from(self.population) * if self.capital { 8 } else { 1 }
    }
}

/// Returns 32 · population^0.8, rounded down, exactly: the largest `w` with
/// `w⁵ ≤ 32⁵ · population⁴`. The estimate may differ between machines, the
/// result cannot.
fn weight(population: u32) -> u64 {
    let target = u128::from(population).pow(4) << 25;
    let mut root = (f64::from(population).powf(0.8) * 32.0) as u128;
    while root.pow(5) > target {
        root -= 1;
    }
    while (root + 1).pow(5) <= target {
        root += 1;
    }
    root as u64
}

static COUNTRIES: LazyLock<Vec<Country>> = LazyLock::new(|| {
    include_str!("../assets/countries.tsv")
        .lines()
        .map(|line| {
            let mut column = line.split('\t');
            let mut next = || column.next().expect("countries.tsv has three columns");
            let (code, name) = (next(), next());
            let currency = Currency::find(next()).expect("countries.tsv names known currencies");
            Country {
                code,
                name,
                currency,
                folded: fold(name),
            }
        })
        .collect()
});

static REGIONS: LazyLock<Vec<Region>> = LazyLock::new(|| {
    include_str!("../assets/regions.tsv")
        .lines()
        .map(|line| {
            let mut column = line.split('\t');
            let mut next = || column.next().expect("regions.tsv has four columns");
            let (country, admin, abbreviation, name) = (next(), next(), next(), next());
            Region {
                country,
                admin,
                abbreviation,
                name,
                folded: fold(name),
            }
        })
        .collect()
});

fn country_position(code: &str) -> u16 {
    let position = COUNTRIES.binary_search_by(|country| country.code.cmp(code));
    let position = position.expect("every country of the city table is in countries.tsv");
    u16::try_from(position).expect("fewer countries than 2^16")
}

fn region_position(country: &str, admin: &str) -> Option<u16> {
    let key = |region: &Region| (region.country, region.admin).cmp(&(country, admin));
    let position = REGIONS.binary_search_by(key).ok()?;
    u16::try_from(position).ok()
}
