//! From what a file says to hotels, or to everything that is wrong with it.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use jiff::{civil::Time, tz::TimeZone};

use super::{
    ChildEntry, File, HotelEntry, House, LevyEntry, LevyKind, LevyPer, LevyTime, OwnPlan, OwnRoom,
    PlanEntry, Registry, RoomEntry,
};
use crate::{
    levy::{Basis, Collected, Levy, Nature},
    money::Currency,
    places::{Atlas, CityIndex, Lookup},
    property::{AMENITIES, Capacity, FARTHEST_M, RoomKind, RoomType, distance_m},
    reference,
    stay::{MAX_DAYS_AHEAD, MAX_NIGHTS},
    supply::{HotelId, PlanCode, RoomCode},
};

/// Most hotels of a file: more have a system that sends them.
const MAX_HOTELS: usize = 2_000;
/// Most room types, rate plans, levies or bands of a hotel.
const MAX_PARTS: usize = 32;
/// Longest name, in characters.
const MAX_NAME: usize = 120;
/// Highest price of a night in minor units: what a cell of the inventory holds.
const MAX_PRICE: i64 = 2_000_000_000;

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Number of the hotel in the file, from 0.
    pub hotel: usize,
    /// Key of a list in it, and the number of the entry.
    pub part: Option<(&'static str, usize)>,
    /// The key.
    pub key: &'static str,
    /// What is wrong.
    pub why: String,
}

/// Hotels that can be sold from. Clones are the same hotels.
#[derive(Debug, Clone, Copy)]
pub struct Houses(pub(crate) &'static Registry);

impl Default for Houses {
    fn default() -> Self {
        Self(Registry::NONE)
    }
}

impl Houses {
    /// Reads the hotels of `file`, whose text tells it from another one. They stay in
    /// memory until the process ends.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file.
    pub fn read(file: &File, text: &str) -> Result<Self, Vec<Wrong>> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, same)) = known.iter().find(|(text, _)| text == file) {
            return Ok(*same);
        }
        let mut list = Vec::new();
        let mut houses = Vec::new();
        let mut ids = HashSet::new();
        for (at, entry) in file.hotel.iter().enumerate() {
            let mut reader = Reader {
                hotel: at,
                part: None,
                list: &mut list,
            };
            if at == MAX_HOTELS {
                reader.wrong("id", format!("a file has {MAX_HOTELS} hotels at most"));
                break;
            }
            if !ids.insert(entry.id.as_str()) {
                reader.wrong("id", "another hotel has this id".to_owned());
            }
            houses.extend(reader.hotel(entry));
        }
        if !list.is_empty() {
            return Err(list);
        }
        let digest = reference::digest(1, text.as_bytes());
        let houses = Self(Box::leak(Box::new(Registry { houses, digest })));
        known.push((file.clone(), houses));
        Ok(houses)
    }

    /// Returns the codes of a hotel's room types and rate plans, if it is one of these.
    #[must_use]
    pub fn codes(&self, hotel: &HotelId) -> Option<(Vec<RoomCode>, Vec<PlanCode>)> {
        let house = self.0.find(hotel.as_str())?;
        let rooms = house.rooms.iter();
        let rooms = rooms.filter_map(|room| room.kind.code().parse().ok());
        let plans = house.plans.iter();
        let plans = plans.filter_map(|plan| plan.code.parse().ok());
        Some((rooms.collect(), plans.collect()))
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.houses.is_empty()
    }

    /// Returns whether these are the same hotels.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }

    /// Returns whether some rate asks for a payment or guarantee before booking.
    #[must_use]
    pub fn ask_for_payment(&self) -> bool {
        let mut plans = self.0.houses.iter().flat_map(|house| &house.plans);
        plans.any(|plan| plan.payment != super::PaymentAsked::AtHotel)
    }
}

/// Files that were read: reading one again, as each reload does, takes no memory.
static KNOWN: Mutex<Vec<(File, Houses)>> = Mutex::new(Vec::new());

struct Reader<'a> {
    hotel: usize,
    part: Option<(&'static str, usize)>,
    list: &'a mut Vec<Wrong>,
}

impl Reader<'_> {
    fn wrong(&mut self, key: &'static str, why: String) {
        self.list.push(Wrong {
            hotel: self.hotel,
            part: self.part,
            key,
            why,
        });
    }

    /// Notes that a value is wrong unless it is there.
    fn need<T>(&mut self, key: &'static str, value: Option<T>, why: &str) -> Option<T> {
        if value.is_none() {
            self.wrong(key, why.to_owned());
        }
        value
    }

    fn text(&mut self, key: &'static str, text: &str, may_be_empty: bool) {
        let long = text.chars().count() > MAX_NAME || text.chars().any(char::is_control);
        if long || (text.trim().is_empty() && !may_be_empty) {
            self.wrong(key, format!("1 to {MAX_NAME} visible characters"));
        }
    }

    fn within(&mut self, key: &'static str, value: impl Into<u64>, low: u64, high: u64) {
        if !(low..=high).contains(&value.into()) {
            self.wrong(key, format!("has to be {low} to {high}"));
        }
    }

    fn hotel(&mut self, entry: &HotelEntry) -> Option<House> {
        let before = self.list.len();
        self.words(entry);
        self.sizes(entry);
        let amenities = self.amenities(&entry.amenities);
        let place = self.place(entry);
        let zone = TimeZone::get(&entry.zone).ok();
        let zone = self.need(
            "zone",
            zone,
            "not an IANA time zone such as `Europe/Berlin`",
        );
        let (city, (lat_e5, lon_e5), currency) = place?;
        let extra_adult = amount(&entry.extra_adult, currency);
        let extra_adult = self.need("extra-adult", extra_adult, "not an amount such as `25.00`");
        let rooms = self.parts("room", &entry.room, |it, index, room| {
            it.room(index, room, currency)
        });
        let plans = self.parts("plan", &entry.plan, |it, index, plan| {
            it.plan(index, plan, currency)
        });
        let levies = self.parts("levy", &entry.levy, |it, _, levy| it.levy(levy, currency));
        let mut youngest = 0;
        let children = self.parts("child", &entry.child, |it, _, child| {
            it.child(child, &mut youngest, currency)
        });
        self.once("room", entry.room.iter().map(|room| &room.code));
        self.once("plan", entry.plan.iter().map(|plan| &plan.code));
        (self.list.len() == before).then_some(())?;
        Some(House {
            id: entry.id.clone(),
            name: entry.name.clone(),
            stars: entry.stars,
            rating: entry.rating,
            city,
            city_id: Atlas::shared().city(city).id,
            street: entry.street.clone(),
            district: entry.district.clone(),
            lat_e5,
            lon_e5,
            zone: zone?,
            currency,
            check_in_from: entry.check_in_from.clone(),
            check_out_until: entry.check_out_until.clone(),
            amenities,
            closed: entry.closed,
            single_permille: i64::from(entry.single_percent) * 10,
            extra_adult: extra_adult?,
            rooms,
            plans,
            levies,
            children,
        })
    }

    fn words(&mut self, entry: &HotelEntry) {
        if entry.id.parse::<HotelId>().is_err() || entry.id.starts_with("htl_") {
            let why = "1 to 64 letters, digits and `-_.:`, not beginning with `htl_`";
            self.wrong("id", why.to_owned());
        }
        self.text("name", &entry.name, false);
        self.text("street", &entry.street, false);
        self.text("district", &entry.district, true);
        for (key, text) in [
            ("check-in-from", &entry.check_in_from),
            ("check-out-until", &entry.check_out_until),
        ] {
            self.need(key, wall(text), "write `HH:MM`");
        }
    }

    fn sizes(&mut self, entry: &HotelEntry) {
        self.within("stars", entry.stars, 1, 5);
        self.within("rating", entry.rating.unwrap_or(0), 0, 100);
        self.within("single-percent", entry.single_percent, 1, 100);
        // Levies and bands may be missing.
        for (key, count) in [
            ("room", entry.room.len()),
            ("plan", entry.plan.len()),
            ("levy", entry.levy.len().max(1)),
            ("child", entry.child.len().max(1)),
        ] {
            self.within(key, count as u64, 1, MAX_PARTS as u64);
        }
    }

    fn amenities(&mut self, words: &[String]) -> u16 {
        let mut bits = 0;
        for word in words {
            match AMENITIES.iter().position(|known| known == word) {
                Some(bit) => bits |= 1 << bit,
                None => {
                    let known = AMENITIES.join(", ");
                    self.wrong(
                        "amenities",
                        format!("`{word}` is unknown; known are {known}"),
                    );
                }
            }
        }
        bits
    }

    /// Returns city, position and currency.
    fn place(&mut self, entry: &HotelEntry) -> Option<(CityIndex, (i32, i32), Currency)> {
        let city = self.city(&entry.place);
        let why = "write `latitude, longitude` in degrees, such as `42.36010, -71.05890`";
        let position = self.need("position", position(&entry.position), why);
        let currency = Currency::find(&entry.currency);
        let currency = self.need("currency", currency, "not an ISO 4217 code");
        let (city, position, currency) = (city?, position?, currency?);
        let there = Atlas::shared().city(city);
        if there.country().currency != currency {
            let why = format!("prices there are in {}", there.country().currency.code);
            self.wrong("currency", why);
        }
        if distance_m((there.lat_e5, there.lon_e5), position) > FARTHEST_M {
            let km = FARTHEST_M / 1_000;
            let why = format!("more than {km} km from the middle of the place");
            self.wrong("position", why);
        }
        Some((city, position, currency))
    }

    /// Notes that a code is there twice.
    fn once<'e>(&mut self, key: &'static str, mut codes: impl Iterator<Item = &'e String>) {
        let mut known = HashSet::new();
        if let Some(twice) = codes.find(|code| !known.insert(*code)) {
            self.wrong(key, format!("the code `{twice}` is there twice"));
        }
    }

    fn parts<E, T>(
        &mut self,
        key: &'static str,
        entries: &[E],
        mut read: impl FnMut(&mut Self, u8, &E) -> Option<T>,
    ) -> Vec<T> {
        let mut parts = Vec::new();
        for (at, entry) in entries.iter().take(MAX_PARTS).enumerate() {
            self.part = Some((key, at));
            parts.extend(read(self, at as u8, entry));
        }
        self.part = None;
        parts
    }

    fn city(&mut self, place: &str) -> Option<CityIndex> {
        let atlas = Atlas::shared();
        match atlas.resolve(place) {
            Lookup::Found(city, _) => Some(city),
            Lookup::Ambiguous(cities) => {
                let names: Vec<_> = cities.iter().map(|city| atlas.label(*city)).collect();
                self.wrong("place", format!("may be {}", names.join(" or ")));
                None
            }
            Lookup::Unknown(_) => {
                self.wrong("place", "no city of at least 15,000 inhabitants".to_owned());
                None
            }
        }
    }

    fn room(&mut self, index: u8, entry: &RoomEntry, currency: Currency) -> Option<RoomType> {
        let before = self.list.len();
        if entry.code.parse::<RoomCode>().is_err() {
            self.wrong("code", "1 to 16 letters, digits and `-_.:`".to_owned());
        }
        self.text("name", &entry.name, false);
        self.text("beds", &entry.beds, true);
        self.within("count", entry.count, 1, 10_000);
        self.within("overbooking", entry.overbooking, 0, 1_000);
        self.within("adults", entry.adults, 1, 16);
        self.within("children", entry.children, 0, 16);
        let guests = entry.guests.unwrap_or(entry.adults);
        self.within("guests", guests, entry.adults.into(), 32);
        let why = "not an amount of this currency such as `189.00`, above 0";
        let price = amount(&entry.price, currency).filter(|price| *price > 0);
        let price = self.need("price", price, why);
        let weekend = match &entry.weekend_price {
            Some(text) => {
                let price = amount(text, currency).filter(|price| *price > 0);
                self.need("weekend-price", price, why)
            }
            None => price,
        };
        (self.list.len() == before).then_some(())?;
        let room = OwnRoom {
            index,
            code: entry.code.clone(),
            name: entry.name.clone(),
            beds: entry.beds.clone(),
            capacity: Capacity {
                adults: entry.adults,
                children: entry.children,
                guests,
            },
            weekend: weekend?,
            closed: entry.closed,
        };
        Some(RoomType {
            kind: RoomKind::Own(Box::leak(Box::new(room))),
            physical: entry.count,
            allowance: entry.overbooking,
            base: price?,
        })
    }

    fn plan(
        &mut self,
        index: u8,
        entry: &PlanEntry,
        currency: Currency,
    ) -> Option<&'static OwnPlan> {
        let before = self.list.len();
        if entry.code.parse::<PlanCode>().is_err() {
            self.wrong("code", "1 to 16 letters, digits and `-_.:`".to_owned());
        }
        self.text("name", &entry.name, false);
        self.within("percent", entry.percent, 1, 1_000);
        let farthest = MAX_DAYS_AHEAD.unsigned_abs();
        self.within("free-days", entry.free_days.unwrap_or(0), 0, farthest);
        self.within("advance-days", entry.advance_days, 0, farthest);
        let until = self.need("free-until", wall(&entry.free_until), "write `HH:MM`");
        let why = "not an amount of this currency such as `18.50`";
        let breakfast = match &entry.breakfast {
            None => {
                if entry.child_breakfast.is_some() {
                    self.wrong("child-breakfast", "there is no `breakfast`".to_owned());
                }
                None
            }
            Some(text) => {
                let adult = self.need("breakfast", amount(text, currency), why)?;
                let child = match &entry.child_breakfast {
                    Some(text) => self.need("child-breakfast", amount(text, currency), why)?,
                    None => crate::money::scale(adult, 1, 2),
                };
                Some((adult, child))
            }
        };
        (self.list.len() == before).then_some(())?;
        let plan = OwnPlan {
            index,
            code: entry.code.clone(),
            name: entry.name.clone(),
            permille: i64::from(entry.percent) * 10,
            breakfast,
            free: entry.free_days.zip(until),
            late_fee: entry.late_fee,
            payment: entry.payment,
            advance_days: entry.advance_days,
            closed: entry.closed,
        };
        Some(Box::leak(Box::new(plan)))
    }

    fn levy(&mut self, entry: &LevyEntry, currency: Currency) -> Option<Levy> {
        self.text("name", &entry.name, false);
        let basis = match (&entry.percent, &entry.amount) {
            (Some(percent), None) => {
                let hundredths = decimal(percent, 2).filter(|it| (1..=10_000).contains(it));
                let why = "0.01 to 100, with two digits at most";
                Basis::Percent(self.need("percent", hundredths, why)?)
            }
            (None, Some(text)) => {
                let why = "not an amount of this currency such as `3.50`";
                let amount = self.need("amount", amount(text, currency), why)?;
                match entry.per {
                    LevyPer::Stay => Basis::Stay(amount),
                    LevyPer::Night => Basis::Night(amount),
                    LevyPer::GuestNight => Basis::PersonNight {
                        amount,
                        exempt_below: entry.exempt_below,
                        max_nights: entry.max_nights.unwrap_or(usize::MAX),
                    },
                }
            }
            _ => {
                self.wrong(
                    "percent",
                    "give `percent` or `amount`, and one of them only".to_owned(),
                );
                return None;
            }
        };
        if let (LevyTime::InRate, None) = (entry.collected, &entry.percent) {
            self.wrong(
                "collected",
                "only a percentage can be in the rate".to_owned(),
            );
        }
        if entry
            .max_nights
            .is_some_and(|most| !(1..=MAX_NIGHTS).contains(&most))
        {
            self.wrong("max-nights", format!("has to be 1 to {MAX_NIGHTS}"));
        }
        Some(Levy {
            label: Box::leak(entry.name.clone().into_boxed_str()),
            nature: match entry.kind {
                LevyKind::Tax => Nature::Tax,
                LevyKind::Fee => Nature::Fee,
            },
            basis,
            collected: match entry.collected {
                LevyTime::InRate => Collected::InRate,
                LevyTime::AtBooking => Collected::AtBooking,
                LevyTime::AtHotel => Collected::AtProperty,
            },
        })
    }

    fn child(
        &mut self,
        entry: &ChildEntry,
        youngest: &mut u8,
        currency: Currency,
    ) -> Option<(u8, i64)> {
        self.within("below", entry.below, u64::from(*youngest) + 1, 18);
        *youngest = entry.below.min(17);
        let price = amount(&entry.price, currency);
        let price = self.need("price", price, "not an amount such as `15.00`")?;
        Some((entry.below, price))
    }
}

/// Reads an amount in major units, with at most the digits of its currency.
fn amount(text: &str, currency: Currency) -> Option<i64> {
    decimal(text, usize::from(currency.exponent)).filter(|amount| (0..=MAX_PRICE).contains(amount))
}

/// Reads a decimal number with at most so many digits behind the point, times ten for
/// each of them.
fn decimal(text: &str, digits: usize) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let dot_without_digits = text.contains('.') && part.is_empty();
    if whole.is_empty()
        || whole.len() > 12
        || !plain(whole)
        || !plain(part)
        || part.len() > digits
        || dot_without_digits
    {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

/// Reads `42.36010, -71.05890` as 1e-5 degrees.
fn position(text: &str) -> Option<(i32, i32)> {
    let (lat, lon) = text.split_once(',')?;
    let degrees = |text: &str, most: i64| {
        let text = text.trim();
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let e5 = decimal(text, 5)?;
        (e5 <= most * 100_000).then(|| i32::try_from(sign * e5).ok())?
    };
    Some((degrees(lat, 90)?, degrees(lon, 180)?))
}

/// Reads `HH:MM`.
fn wall(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse().ok())?;
    Time::new(two(hour)?, two(minute)?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_positions_are_exact() {
        let euro = Currency::find("EUR").unwrap();
        let yen = Currency::find("JPY").unwrap();
        for (text, euros, yens) in [
            ("189.00", Some(18_900), None),
            ("189", Some(18_900), Some(189)),
            ("0.5", Some(50), None),
            ("-1", None, None),
            ("1.005", None, None),
            ("1.", None, None),
            ("1e3", None, None),
            ("", None, None),
            ("99999999999999999999", None, None),
        ] {
            assert_eq!(
                (amount(text, euro), amount(text, yen)),
                (euros, yens),
                "{text}"
            );
        }
        assert_eq!(
            position("42.36010, -71.05890"),
            Some((4_236_010, -7_105_890))
        );
        assert_eq!(position("91, 0"), None);
        assert_eq!(position("42.36010"), None);
        assert_eq!(wall("18:00"), Some(Time::constant(18, 0, 0, 0)));
        assert_eq!(
            (wall("24:00"), wall("8:00"), wall("18")),
            (None, None, None)
        );
    }
}
