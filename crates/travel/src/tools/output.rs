//! What the tools return, as `structuredContent`; the output schemas are made
//! from these types.
//!
//! Every result, rejections included, is an object with `status`. Money is an
//! integer in minor units with its currency and exponent beside it.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use crate::supply::About;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// The result is complete.
    #[default]
    Ok,
    /// Several cities have this name: ask the traveller `question`, then search again with the place_id of the chosen candidate.
    PlaceAmbiguous,
    /// The call was rejected: see code, message and hint.
    Error,
}

/// Result of `search_hotels`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Search {
    pub status: Status,
    /// What to ask the traveller, if the place is ambiguous.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The cities to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<Place>>,
    /// The city that was searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stay: Option<Stay>,
    /// What was assumed because the call did not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumptions: Option<Vec<String>>,
    /// How many hotels can take the stay and pass the filters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotels_available: Option<usize>,
    /// This page of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotels: Option<Vec<Hotel>>,
    /// Send it as `cursor` for the next page. Absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// What decides the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort_explanation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// Result of `get_hotel`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Details {
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotel: Option<Profile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// Result of `check_availability`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Availability {
    pub status: Status,
    /// Whether the hotel can take the stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stay: Option<Stay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumptions: Option<Vec<String>>,
    /// Every room type and rate plan that can be booked, cheapest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offers: Option<Vec<Offer>>,
    /// Room types that cannot take the stay, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<Vec<UnavailableRoom>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// Why a call was rejected; empty unless status is `error`.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Rejection {
    /// Stable code, TRV-001 and following.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'static, str>>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Places of a similar name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_matches: Option<Vec<String>>,
}

/// A rejection as a whole result: it fits the output schema of every tool.
#[derive(Debug, Serialize)]
pub(crate) struct Rejected {
    pub status: Status,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// A city.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Place {
    /// Names this city without doubt: can be sent as `place`.
    pub place_id: String,
    /// City, region and country.
    pub label: String,
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    pub population: u32,
    /// IANA time zone.
    pub time_zone: String,
    pub location: Location,
}

/// A point, WGS 84.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Location {
    pub latitude: f64,
    pub longitude: f64,
}

/// The stay as it was understood.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Stay {
    #[schemars(extend("format" = "date"))]
    pub check_in: String,
    #[schemars(extend("format" = "date"))]
    pub check_out: String,
    pub nights: usize,
    pub rooms: Vec<Guests>,
}

/// Guests of one room.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Guests {
    pub adults: u8,
    pub child_ages: Vec<u8>,
}

/// One hotel of a search result.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hotel {
    pub property_id: String,
    pub name: String,
    pub stars: u8,
    /// Out of 100, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_rating: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
    pub location: Location,
    /// Metres to the centre of the city.
    pub distance_to_centre_m: u32,
    /// The cheapest offer that passes the filters.
    pub best_offer: Offer,
    /// Instant (UTC) at which the hotel said this price, if not just now. It is asked again before anything is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub price_as_of: Option<String>,
    /// Whether somebody paid for the position. No hotel can.
    pub sponsored: bool,
}

/// One room type under one rate plan for the whole stay and all rooms.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Offer {
    /// Opaque reference to exactly this offer.
    pub offer_ref: String,
    pub room_type: Named,
    pub rate_plan: Named,
    pub breakfast_included: bool,
    /// Rooms of this type that are left, at most 9.
    pub rooms_left: u16,
    /// The all-in price: everything the traveller has to pay, wherever it is collected. The one figure to show.
    pub total: Money,
    /// The total divided by rooms and nights.
    pub average_per_room_night: Money,
    /// The part of the total that the hotel collects during the stay.
    pub pay_at_property: Money,
    /// The part of the total that is paid before it is booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_before_booking: Option<Money>,
    /// What has to be guaranteed before it is booked: the most that cancelling can cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<Money>,
    /// Room rate of each night for all rooms, with taxes that are inside the rate.
    pub nightly: Vec<Nightly>,
    /// How the total arises: the entries of the other types sum to the entry of type total.
    pub totals: Vec<Line>,
    pub cancellation: Cancellation,
}

/// A code and what it means.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Named {
    pub code: Cow<'static, str>,
    pub name: Cow<'static, str>,
}

/// An amount of money.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Money {
    /// Integer in minor units (cents).
    pub amount: i64,
    /// ISO 4217.
    pub currency: &'static str,
    /// Digits after the decimal point: 61240 with exponent 2 is 612.40.
    pub exponent: u8,
    /// For people.
    pub display: String,
}

/// The rate of one night.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Nightly {
    #[schemars(extend("format" = "date"))]
    pub date: String,
    /// Minor units.
    pub amount: i64,
}

/// One line of the price.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Line {
    pub r#type: LineType,
    pub label: Cow<'static, str>,
    /// Minor units.
    pub amount: i64,
    /// When it is paid; absent for the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collected: Option<Collected>,
    /// How it is computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineType {
    /// The rooms without taxes and fees.
    Room,
    /// For a public authority.
    Tax,
    /// For the hotel; mandatory.
    Fee,
    /// The sum of the others.
    Total,
}

/// When a line is paid.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Collected {
    /// Inside the nightly rate.
    InRate,
    /// With the booking, on top of the nightly rate.
    AtBooking,
    /// By the hotel during the stay.
    AtProperty,
}

/// What it costs to cancel.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cancellation {
    /// Whether cancelling now is free of charge.
    pub free_now: bool,
    /// Instant (UTC) at which it stops to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub free_until: Option<String>,
    /// The same instant on the hotel's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_until_local: Option<String>,
    /// What cancelling costs from then on, or now.
    pub penalty: Money,
    pub summary: String,
}

/// A room type that cannot take the stay.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UnavailableRoom {
    pub room_type: Named,
    pub reason: Reason,
    /// The date or number that decides.
    pub detail: String,
}

/// Why a room type cannot take a stay.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The guests of a room do not fit.
    Occupancy,
    /// Not sold on one of the nights.
    Closed,
    /// Too few rooms are left on one of the nights.
    SoldOut,
    /// No stay may begin on the check-in date.
    ClosedToArrival,
    /// No stay may end on the check-out date.
    ClosedToDeparture,
    /// The stay is too short.
    MinimumStay,
    /// The stay is too long.
    MaximumStay,
    /// This number of nights is not sold from this check-in date.
    LengthOfStay,
    /// Not sold this long before check-in.
    BookingWindow,
}

/// What does not change with dates.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Profile {
    pub property_id: String,
    pub name: String,
    pub stars: u8,
    /// Out of 100, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_rating: Option<u8>,
    pub address: Address,
    pub location: Location,
    /// Metres to the centre of the city.
    pub distance_to_centre_m: u32,
    /// IANA time zone: dates and check-in times are in it.
    pub time_zone: String,
    /// ISO 4217: all prices are quoted and paid in it.
    pub currency: &'static str,
    /// Rooms of the hotel, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<u16>,
    pub room_types: Vec<RoomType>,
    pub rate_plans: Vec<Named>,
    pub amenities: Vec<String>,
    pub policies: Policies,
    /// Taxes and fees that are part of every price.
    pub taxes_and_fees: Vec<Charge>,
}

/// Where a hotel stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Address {
    pub street: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
    pub city: String,
    pub country: String,
}

impl Address {
    /// Returns it in one line.
    pub(crate) fn in_line(&self) -> String {
        let parts = [
            Some(self.street.as_str()),
            self.district.as_deref(),
            Some(self.city.as_str()),
            Some(self.country.as_str()),
        ];
        let parts: Vec<_> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        parts.join(", ")
    }
}

/// One type of room.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RoomType {
    pub code: String,
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub beds: String,
    pub max_adults: u8,
    pub max_children: u8,
    pub max_guests: u8,
}

/// House rules.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Policies {
    pub check_in_from: String,
    pub check_out_until: String,
    pub children: String,
    pub cancellation: String,
}

/// A tax or fee.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Charge {
    pub r#type: LineType,
    pub label: String,
    pub basis: String,
    pub collected: Collected,
}

/// What the traveller should know about every result.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Notices {
    pub prices: &'static str,
    pub inventory: Cow<'static, str>,
    pub ai_disclosure: &'static str,
    pub attribution: &'static str,
}

/// Returns what travellers should know about results of a supplier.
pub(crate) fn notices(about: &About) -> Notices {
    Notices {
        prices: "Totals are all-in: they include every mandatory tax and fee, also those that the hotel collects.",
        inventory: about.notice.clone(),
        ai_disclosure: "You receive this through an AI assistant, which can make mistakes: check the details before you book.",
        attribution: "City data: GeoNames (geonames.org), CC BY 4.0.",
    }
}
