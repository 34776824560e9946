//! A hotel group's own hotels, as a file says them.
//!
//! # Invariants
//!
//! * What was read is checked as a whole before any of it is used.
//! * Definitions live as long as the process: rooms and rate plans are handles to them,
//!   so a night costs the same memory whoever defined its hotel.
//! * A hotel is known by its own id, its rooms and rate plans by their own codes; what
//!   is kept in the ledger names nothing else.

mod check;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::check::{Houses, Wrong};
use crate::{
    levy::Levy,
    money::Currency,
    places::CityIndex,
    property::{Capacity, RoomType},
    stay::Party,
};

/// A file of hotels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// The hotels, each `[[hotel]]`.
    #[serde(default)]
    pub hotel: Vec<HotelEntry>,
}

/// A hotel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HotelEntry {
    /// Its `property_id`: 1 to 64 letters, digits and `-_.:`. It never changes.
    pub id: String,
    /// Its name.
    pub name: String,
    /// One to five.
    pub stars: u8,
    /// What guests think of it, out of 100.
    pub rating: Option<u8>,
    /// The city in which travellers look for it, such as `Boston` or `Portland, Maine`.
    pub place: String,
    /// Street and number.
    pub street: String,
    /// Part of the city.
    #[serde(default)]
    pub district: String,
    /// Latitude and longitude in degrees, such as `42.36010, -71.05890`.
    pub position: String,
    /// IANA time zone, such as `America/New_York`. All dates are in it.
    pub zone: String,
    /// ISO 4217 code of every price.
    pub currency: String,
    /// From when guests may arrive.
    #[serde(default = "check_in")]
    pub check_in_from: String,
    /// Until when guests leave.
    #[serde(default = "check_out")]
    pub check_out_until: String,
    /// What it offers: `free_wifi`, `air_conditioning`, `restaurant`, `bar`, `fitness_room`, `indoor_pool`, `spa`, `parking`, `ev_charging`, `pets_allowed`, `step_free_access`, `airport_shuttle`.
    #[serde(default)]
    pub amenities: Vec<String>,
    /// Nothing of it is for sale any more; what is booked stays.
    #[serde(default)]
    pub closed: bool,
    /// Percent of a night's price that one adult alone pays.
    #[serde(default = "hundred")]
    pub single_percent: u16,
    /// What each adult above two pays a night, such as `25.00`.
    #[serde(default = "nothing")]
    pub extra_adult: String,
    /// Room types, each `[[hotel.room]]`.
    pub room: Vec<RoomEntry>,
    /// Rate plans, each `[[hotel.plan]]`. The first comes first in lists.
    pub plan: Vec<PlanEntry>,
    /// Taxes and fees, each `[[hotel.levy]]`.
    #[serde(default)]
    pub levy: Vec<LevyEntry>,
    /// What children pay, each `[[hotel.child]]`, the youngest first. Older ones pay as adults.
    #[serde(default)]
    pub child: Vec<ChildEntry>,
}

/// A room type.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RoomEntry {
    /// The hotel's code, 1 to 16 letters, digits and `-_.:`. Messages of its system name it.
    pub code: String,
    /// For travellers.
    pub name: String,
    /// For travellers, such as `1 king-size bed`.
    #[serde(default)]
    pub beds: String,
    /// Rooms that exist.
    pub count: u16,
    /// Rooms that may be sold beyond those that exist.
    #[serde(default)]
    pub overbooking: u16,
    /// Most guests who count as adults (13 years and older).
    pub adults: u8,
    /// Most children.
    #[serde(default)]
    pub children: u8,
    /// Most guests in all; `adults` if left out.
    pub guests: Option<u8>,
    /// Price of a night for two, such as `189.00`, until the hotel's system sends another.
    pub price: String,
    /// The same for Friday and Saturday nights.
    pub weekend_price: Option<String>,
    /// It is not for sale any more; what is booked stays.
    #[serde(default)]
    pub closed: bool,
}

/// A rate plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlanEntry {
    /// The hotel's code, 1 to 16 letters, digits and `-_.:`. Messages of its system name it.
    pub code: String,
    /// For travellers.
    pub name: String,
    /// Percent of the room's price.
    #[serde(default = "hundred")]
    pub percent: u16,
    /// Price of an adult's breakfast, if it is part of the rate.
    pub breakfast: Option<String>,
    /// Price of a child's breakfast; half of an adult's if left out.
    pub child_breakfast: Option<String>,
    /// Until how many days before arrival cancelling is free. Left out, it never is.
    pub free_days: Option<u16>,
    /// Wall time at the hotel on that day.
    #[serde(default = "deadline")]
    pub free_until: String,
    /// What cancelling costs afterwards.
    #[serde(default)]
    pub late_fee: LateFee,
    /// What is asked for before booking, with `[travel.payments]`.
    #[serde(default)]
    pub payment: PaymentAsked,
    /// Fewest days between booking and arrival.
    #[serde(default)]
    pub advance_days: u16,
    /// It is not for sale any more; what is booked stays.
    #[serde(default)]
    pub closed: bool,
}

/// What cancelling late costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LateFee {
    /// The first night.
    #[default]
    FirstNight,
    /// The whole price.
    Full,
}

/// What is asked for before booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaymentAsked {
    /// Nothing: it is paid at the hotel.
    #[default]
    AtHotel,
    /// Something that the hotel may charge for a late cancellation.
    Guarantee,
    /// Everything but what is collected at the hotel.
    Full,
}

/// A tax or fee.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LevyEntry {
    /// What it is called.
    pub name: String,
    /// Whether it is a tax or a fee of the hotel.
    pub kind: LevyKind,
    /// When it is paid.
    pub collected: LevyTime,
    /// Percent of the room price without levies, such as `6.25`.
    pub percent: Option<String>,
    /// An amount, such as `3.50`, instead of a percentage.
    pub amount: Option<String>,
    /// What the amount is for.
    #[serde(default)]
    pub per: LevyPer,
    /// Guests below this age are free (`per = "guest-night"`).
    #[serde(default)]
    pub exempt_below: u8,
    /// For so many nights at most (`per = "guest-night"`).
    pub max_nights: Option<usize>,
}

/// Who a levy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LevyKind {
    /// A public authority.
    Tax,
    /// The hotel; mandatory.
    Fee,
}

/// When a levy is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LevyTime {
    /// It is part of the nightly rate. Percentages only.
    InRate,
    /// With the booking, on top of the rate.
    AtBooking,
    /// By the hotel during the stay.
    AtHotel,
}

/// What an amount is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LevyPer {
    /// Each room.
    Stay,
    /// Each room and night.
    #[default]
    Night,
    /// Each guest and night.
    GuestNight,
}

/// What children below an age pay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChildEntry {
    /// They are younger than this, and not in an earlier band.
    pub below: u8,
    /// Price of a night, such as `0` or `15.00`.
    pub price: String,
}

fn check_in() -> String {
    "15:00".to_owned()
}

fn check_out() -> String {
    "11:00".to_owned()
}

fn deadline() -> String {
    "18:00".to_owned()
}

fn nothing() -> String {
    "0".to_owned()
}

const fn hundred() -> u16 {
    100
}

/// A hotel of a file, ready to be sold from.
#[derive(Debug)]
pub(crate) struct House {
    pub id: String,
    pub name: String,
    pub stars: u8,
    pub rating: Option<u8>,
    pub city: CityIndex,
    /// GeoNames id of the city.
    pub city_id: u32,
    pub street: String,
    pub district: String,
    pub lat_e5: i32,
    pub lon_e5: i32,
    pub zone: TimeZone,
    pub currency: Currency,
    pub check_in_from: String,
    pub check_out_until: String,
    pub amenities: u16,
    pub closed: bool,
    pub single_permille: i64,
    pub extra_adult: i64,
    pub rooms: Vec<RoomType>,
    pub plans: Vec<&'static OwnPlan>,
    pub levies: Vec<Levy>,
    /// Below which age a child pays what a night.
    pub children: Vec<(u8, i64)>,
}

impl House {
    /// Returns what the guests of one room pay a night, for a `rate` that is for two.
    pub(crate) fn night(&self, rate: i64, party: &Party) -> i64 {
        let mut adults = i64::from(party.adults);
        let mut children = 0;
        for age in &party.child_ages {
            match self.children.iter().find(|(below, _)| age < below) {
                Some((_, price)) => children += price,
                None => adults += 1,
            }
        }
        let base = match adults {
            0 | 1 => crate::money::scale(rate, self.single_permille, 1_000),
            more => rate + (more - 2) * self.extra_adult,
        };
        base + children
    }

    /// Returns what breakfast of a room costs a night.
    pub(crate) fn breakfast(&self, (adult, child): (i64, i64), party: &Party) -> i64 {
        let banded = |age: &&u8| self.children.iter().any(|(below, _)| *age < below);
        let children = party.child_ages.iter().filter(banded).count() as i64;
        let guests = i64::from(party.adults) + party.child_ages.len() as i64;
        adult * (guests - children) + child * children
    }
}

/// A room type of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OwnRoom {
    pub index: u8,
    pub code: String,
    pub name: String,
    pub beds: String,
    pub capacity: Capacity,
    pub weekend: i64,
    pub closed: bool,
}

/// A rate plan of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OwnPlan {
    pub index: u8,
    pub code: String,
    pub name: String,
    pub permille: i64,
    /// Prices of an adult's and a child's breakfast.
    pub breakfast: Option<(i64, i64)>,
    /// Days before arrival, and the wall time, until which cancelling is free.
    pub free: Option<(u16, jiff::civil::Time)>,
    pub late_fee: LateFee,
    pub payment: PaymentAsked,
    pub advance_days: u16,
    pub closed: bool,
}

/// The hotels of a file, and what tells them from those of another file.
#[derive(Debug)]
pub(crate) struct Registry {
    pub houses: Vec<House>,
    /// Differs where anything in the file differs.
    pub digest: u64,
}

impl Registry {
    pub(crate) const NONE: &'static Self = &Self {
        houses: Vec::new(),
        digest: 0,
    };

    /// Returns the hotels of a city, by its GeoNames id, in the order of the file.
    pub(crate) fn of_city(&self, city: u32) -> impl Iterator<Item = &House> {
        self.houses
            .iter()
            .filter(move |house| house.city_id == city)
    }

    pub(crate) fn find(&self, id: &str) -> Option<&House> {
        self.houses.iter().find(|house| house.id == id)
    }
}
