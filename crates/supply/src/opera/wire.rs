//! The part of OPERA Cloud Distribution 25.5 that is used here, as it is written.
//!
//! The names are those of the published Swagger files (Oracle, UPL 1.0); what is not
//! read is not declared, and members that are not known are passed over. Numbers stay
//! text until somebody knows how many decimal places they may have.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Most elements of a list that is read.
pub(super) const MAX_LIST: usize = 2_000;

/// Reads an answer.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// Writes a request.
pub(super) fn write<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("requests have string keys")
}

/// Returns `o:errorCode` of a refusal, short and plain.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Exception {
        #[serde(rename = "o:errorCode", alias = "o.errorCode")]
        code: Option<String>,
    }
    let code = read::<Exception>(body)?.code?;
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    Some(code.chars().filter(plain).take(40).collect())
}

/// `PropertySearchResponse`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Properties {
    pub(super) room_stays: Vec<PropertyStay>,
}

/// `PropertySearchRoomStay`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PropertyStay {
    pub(super) property_info: Option<PropertyCode>,
    pub(super) availability: Option<String>,
}

/// `PropertySearchPropertyInfo`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PropertyCode {
    pub(super) hotel_code: Option<String>,
}

/// `PropertyOffersResponse`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Offers {
    pub(super) room_stays: Vec<OffersStay>,
}

/// `PropertyOffersRoomStay`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OffersStay {
    pub(super) room_types: Vec<RoomType>,
    pub(super) rate_plans: Vec<RatePlan>,
    pub(super) restrictions: Vec<Restriction>,
    pub(super) offers: Vec<Offer>,
}

/// `OfferDetailsResponse`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OfferDetails {
    pub(super) room_type: Option<RoomType>,
    pub(super) offer: Option<Offer>,
}

/// `PropertyOffersRoomType`, `ContentRoomType`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RoomType {
    pub(super) availability_status: Option<String>,
    pub(super) room_type: Option<String>,
    pub(super) room_name: Option<String>,
    pub(super) description: Vec<String>,
    pub(super) room_primary_bed_type: Option<String>,
    pub(super) number_of_units: Option<i64>,
    pub(super) adult_occupancy_match: Option<bool>,
    pub(super) child_occupancy_match: Option<bool>,
    pub(super) occupancy: Option<Occupancy>,
}

/// `Occupancy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Occupancy {
    pub(super) max_occupancy: Option<u8>,
    pub(super) max_adult_occupancy: Option<u8>,
    pub(super) max_child_occupancy: Option<u8>,
}

/// `PropertyOffersRatePlan`, `ContentRatePlan`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RatePlan {
    pub(super) rate_plan_code: Option<String>,
    pub(super) rate_plan_name: Option<String>,
    pub(super) active: Option<bool>,
    pub(super) meal_plan: Option<MealPlan>,
    pub(super) cancellation_policies: Vec<Penalty>,
}

/// `OfferMealPlan`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MealPlan {
    pub(super) meal_plan_included: Option<String>,
    pub(super) meals_included: Vec<String>,
}

impl MealPlan {
    pub(super) fn breakfast(&self) -> bool {
        let included = self.meal_plan_included.as_deref();
        let all = matches!(included, Some("Breakfast" | "AllInclusive"));
        all || self.meals_included.iter().any(|meal| meal == "Breakfast")
    }
}

/// `Restriction`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Restriction {
    pub(super) restriction_type: Option<String>,
    pub(super) restriction_value: Option<i64>,
}

/// `Offer`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Offer {
    pub(super) availability_status: Option<String>,
    pub(super) room_type: Option<String>,
    pub(super) rate_plan_code: Option<String>,
    pub(super) rate_information: Option<RateInformation>,
    pub(super) total: Option<Total>,
}

impl Offer {
    pub(super) fn is_for_sale(&self) -> bool {
        self.availability_status.as_deref() == Some("AvailableForSale")
    }
}

/// `OfferRateInformation`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RateInformation {
    pub(super) cancellation_policies: Vec<Penalty>,
    pub(super) guarantee_requirement: Option<String>,
    pub(super) payment_policies: Vec<PaymentPolicy>,
    pub(super) base: Vec<RateRange>,
}

/// `OfferGuaranteePolicy`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PaymentPolicy {
    pub(super) guarantee_code: Option<String>,
    pub(super) policy_requirements: Option<Requirements>,
}

/// `GuaranteePolicyRequirements`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Requirements {
    pub(super) travel_agent: bool,
    pub(super) company: bool,
    pub(super) credit_card: bool,
    pub(super) deposit: bool,
}

/// `OfferRateRange`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RateRange {
    pub(super) start: Option<Date>,
    pub(super) end: Option<Date>,
    pub(super) amount_before_tax: Option<Box<RawValue>>,
    pub(super) amount_after_tax: Option<Box<RawValue>>,
    pub(super) currency_code: Option<String>,
}

/// `OfferTotalTypeWithTaxes`, `Total`, `OfferMinMaxTotalType`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Total {
    pub(super) amount_before_tax: Option<Box<RawValue>>,
    pub(super) amount_after_tax: Option<Box<RawValue>>,
    pub(super) currency_code: Option<String>,
    pub(super) taxes: Option<Taxes>,
}

/// `OfferTaxesType`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Taxes {
    pub(super) tax: Vec<Tax>,
}

/// `OfferTaxType`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tax {
    pub(super) description: Option<String>,
    pub(super) amount: Option<Box<RawValue>>,
}

/// `OfferCancelPenalty`, `CancellationPoliciesItem`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Penalty {
    pub(super) policy: Option<CancelPolicy>,
}

/// `OfferCancellationPolicyType`, `CancellationPolicy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CancelPolicy {
    pub(super) deadline: Option<Deadline>,
    pub(super) amount_percent: Option<AmountPercent>,
}

/// `CancelPolicyDeadlineType`, `CancellationPolicyDeadline`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Deadline {
    pub(super) absolute_deadline: Option<String>,
    pub(super) offset_from_arrival: Option<i64>,
    pub(super) offset_from_booking_date: Option<i64>,
    pub(super) offset_drop_time: Option<String>,
}

/// `CancelPolicyAmountPercentType`, `CancellationPolicyAmountPercentType`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AmountPercent {
    pub(super) basis_type: Option<String>,
    pub(super) nights: Option<i64>,
    pub(super) percent: Option<Box<RawValue>>,
    pub(super) night_percent: Option<Box<RawValue>>,
    pub(super) amount: Option<Box<RawValue>>,
}

/// `PropertyCalendarResponse`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CalendarAnswer {
    pub(super) room_stays: Vec<CalendarStay>,
}

/// `PropertyCalendarRoomStay`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CalendarStay {
    pub(super) calendar_items: Vec<CalendarItem>,
}

/// `OfferCalendarItem`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CalendarItem {
    pub(super) arrival_date: Option<Date>,
    pub(super) availability: Option<String>,
    pub(super) rate: Option<Total>,
}

/// `RoomTypesResponse`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RoomTypes {
    pub(super) room_types: Vec<RoomType>,
}

/// `RatePlansResponse`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RatePlans {
    pub(super) rate_plans: Vec<RatePlan>,
}

/// `CreateRequestType`, `ModifyRequestType`, `CancelRequestType`, `OnHoldRequestType`.
#[derive(Debug, Serialize)]
pub(super) struct Requests<T> {
    pub(super) reservations: [T; 1],
}

/// `CreateReservationRequest`, `ModifyReservationRequest`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reserve {
    pub(super) reservation_id_list: Vec<Id>,
    pub(super) is_session_request: bool,
    pub(super) room_stay: RoomStay,
    pub(super) reservation_guests: Vec<Box<RawValue>>,
    pub(super) reservation_payment_methods: Vec<PaymentMethod>,
    pub(super) hotel_code: String,
}

/// `CancelReservationRequest`, `OnHoldReservationRequest`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct End {
    pub(super) reservation_id_list: Vec<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reservation_status: Option<&'static str>,
    pub(super) hotel_code: String,
}

/// `ReservationId`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Id {
    pub(super) id: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
}

/// `RoomStay`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoomStay {
    pub(super) arrival_date: Date,
    pub(super) departure_date: Date,
    pub(super) guest_counts: GuestCounts,
    pub(super) room_rates: [RoomRate; 1],
    pub(super) guarantee: Guarantee,
}

/// `GuestCount`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GuestCounts {
    pub(super) adults: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) children: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) child_ages: Vec<u32>,
}

/// `InfoRoomRate`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoomRate {
    pub(super) room_type: String,
    pub(super) rate_plan_code: String,
    pub(super) number_of_units: usize,
    pub(super) guest_counts: GuestCounts,
    pub(super) rates: Rates,
    pub(super) start: Date,
    pub(super) end: Date,
}

/// The member `rates` of `InfoRoomRate`.
#[derive(Debug, Serialize)]
pub(super) struct Rates {
    pub(super) rate: Vec<Rate>,
}

/// `RoomRate`.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    pub(super) base: Base,
    pub(super) start: Date,
    pub(super) end: Date,
}

/// The member `base` of `RoomRate`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Base {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amount_before_tax: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amount_after_tax: Option<Box<RawValue>>,
    pub(super) currency_code: String,
}

/// The member `guarantee` of `RoomStay`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Guarantee {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) guarantee_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) guarantee_type: Option<&'static str>,
    pub(super) on_hold: bool,
}

/// `PaymentMethod`. There is no card in it, and none can get into it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PaymentMethod {
    pub(super) payment_method: &'static str,
}

/// `BookingResponse`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Booked {
    pub(super) reservation_ids: Vec<Id>,
    pub(super) reservation_status: Option<String>,
    pub(super) room_stay: Option<BookedStay>,
    pub(super) reservation_guests: Vec<Box<RawValue>>,
}

/// `RoomStayData`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BookedStay {
    pub(super) arrival_date: Option<Date>,
    pub(super) departure_date: Option<Date>,
    pub(super) room_rates: Vec<BookedRate>,
    pub(super) total: Option<Total>,
}

/// `InfoRoomRateData`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BookedRate {
    pub(super) room_type: Option<String>,
    pub(super) rate_plan_code: Option<String>,
    pub(super) number_of_units: Option<usize>,
    pub(super) guest_counts: Option<GuestCounts>,
}

/// `CancelResponseItem`, `OnHoldResponse`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Ended {
    pub(super) reservation_status: Option<String>,
}
