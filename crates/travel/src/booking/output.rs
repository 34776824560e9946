//! What the booking tools return, as `structuredContent`; the output schemas are made
//! from these types.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub(super) use super::settlement::State as PaymentState;
use super::{
    arguments::{Booker, Preferences},
    record::{Standing, Step},
};
use crate::{
    tools::output::{Cancellation, Money, Notices, Offer, Reason, Rejection, Stay},
    ucp,
};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// The result is complete.
    #[default]
    Ok,
    /// The price is not what the offer said: show `change` to the traveller before anything else.
    TotalsChanged,
    /// The hotel was asked and its answer is not known yet. This is not a failure: do not book again, ask get_booking_session in a few seconds.
    OutcomeUnknown,
    /// The call was rejected: see code, message and hint.
    #[expect(
        dead_code,
        reason = "rejections are one type for all tools; their status belongs to this schema"
    )]
    Error,
}

/// Result of the booking session tools.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct SessionResult {
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// What was quoted, as quote_booking_change and quote_cancellation return it, if the id is that of a quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<std::collections::BTreeMap<String, Value>>")]
    pub quote: Option<Quote>,
    /// How the price differs from the one of the offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// Terms that were put together for the traveller (UCP Lodging).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Session {
    pub ucp: Ucp,
    pub id: String,
    pub status: ucp::Status,
    /// Until this instant (UTC) the rooms and the price are held.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
    pub property: Property,
    pub stay: Stay,
    pub offer: Offer,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booker: Option<Booker>,
    pub payment: Payment,
    /// Page of the payment provider on which the traveller goes on, if the status is requires_escalation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_url: Option<String>,
    /// The terms in sentences, for the traveller.
    pub terms: Vec<Term>,
    /// SHA-256 of the terms: consent is to exactly these.
    pub terms_digest: String,
    /// Cancellation terms as UCP writes them.
    pub policies: Vec<Value>,
    /// What is missing, or what happened.
    pub messages: Vec<Message>,
    /// The booking, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
}

/// Which draft of the Universal Commerce Protocol this is shaped on.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ucp {
    pub version: &'static str,
    pub capability: &'static str,
}

/// The hotel.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Property {
    pub property_id: String,
    pub name: String,
    pub stars: u8,
    pub address: String,
    /// IANA time zone: all dates are in it.
    pub time_zone: String,
}

/// How it is paid.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Payment {
    pub kind: PaymentKind,
    pub summary: String,
    /// What is paid or guaranteed before the booking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PaymentState>,
    /// What was given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Money>,
}

/// Where the traveller pays.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PaymentKind {
    /// At the hotel. No card is needed here.
    AtProperty,
    /// On a page of the payment provider.
    HostedPage,
    /// With a token of a card network or wallet, which the hotel charges.
    NetworkToken,
}

/// One term.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Term {
    pub label: &'static str,
    pub text: String,
}

/// What is missing, or what happened (UCP message).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Message {
    pub code: &'static str,
    /// UCP severity: recoverable, requires_buyer_input, requires_buyer_review, unrecoverable.
    pub severity: &'static str,
    pub content: String,
}

/// A booking that a session ended in.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Confirmation {
    /// booking_id for get_booking.
    pub id: String,
    /// What the hotel calls it.
    pub label: String,
}

/// How a price differs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Change {
    pub before: Money,
    pub after: Money,
    pub summary: String,
}

/// Result of `quote_booking_change` and `quote_cancellation`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct QuoteResult {
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// What changing or cancelling a booking would mean.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Quote {
    pub id: String,
    pub kind: QuoteKind,
    pub booking_id: String,
    /// Until this instant (UTC) it can be confirmed.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
    pub property: Property,
    pub terms: Vec<Term>,
    /// SHA-256 of the terms: consent is to exactly these.
    pub terms_digest: String,
    /// Price now.
    pub before: Money,
    /// Price after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Money>,
    /// After minus before: positive is more to pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Money>,
    /// What cancelling costs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<Money>,
    /// What is no longer owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<Money>,
    /// The stay after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stay: Option<Stay>,
    /// Rooms and price after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

/// What a quote is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QuoteKind {
    /// Other dates or rooms.
    Change,
    /// Cancellation.
    Cancellation,
}

/// Result of `get_booking` and of the tools that confirm a quote.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct BookingResult {
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booking: Option<Booking>,
    /// What was done, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// A booking.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Booking {
    /// booking_id.
    pub id: String,
    /// What the hotel calls it.
    pub label: String,
    pub status: Standing,
    #[schemars(extend("format" = "date-time"))]
    pub confirmed_at: String,
    pub property: Property,
    pub stay: Stay,
    pub offer: Offer,
    /// The lead guest, unless erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booker: Option<Booker>,
    pub payment: Payment,
    /// What cancelling would mean now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellation_now: Option<Cancellation>,
    /// Cancellation terms as UCP writes them.
    pub policies: Vec<Value>,
    pub history: Vec<Step>,
}

/// Result of `list_my_bookings`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct BookingsResult {
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bookings: Option<Vec<Booking>>,
    /// Send it as `cursor` for the next page. Absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// Result of `get_price_calendar`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct CalendarResult {
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_id: Option<String>,
    /// Nights of each stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nights: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumptions: Option<Vec<String>>,
    /// One entry for each arrival day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Vec<Arrival>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// One arrival day.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Arrival {
    #[schemars(extend("format" = "date"))]
    pub date: String,
    /// All-in total of the cheapest stay that begins on this day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_plan: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Result of `get_preferences` and `save_preferences`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct PreferencesResult {
    pub status: Status,
    /// What is kept; empty if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferences: Option<Preferences>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// Result of `forget_me`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct ForgottenResult {
    pub status: Status,
    /// What can no longer be read by anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Vec<&'static str>>,
    /// What the law asks to keep, and for what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Vec<&'static str>>,
    /// Entry of the ledger that proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    #[serde(flatten)]
    pub rejection: Rejection,
}

/// Result of `send_feedback`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct FeedbackResult {
    pub status: Status,
    /// Names this feedback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback_id: Option<String>,
    #[serde(flatten)]
    pub rejection: Rejection,
}
