//! What models and widgets send to the booking tools.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use crate::supply::Guest;
use crate::tools::arguments::Room;

/// Longest name, in characters.
const MAX_NAME: usize = 80;
/// Longest e-mail address, in bytes (RFC 5321, section 4.5.3.1.3).
const MAX_EMAIL: usize = 254;
/// Longest free text, in characters.
pub(crate) const MAX_TEXT: usize = 1_000;

/// Arguments of `create_booking_session`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    /// offer_ref of an offer from search_hotels or check_availability. Not needed with conversation and pick.
    #[schemars(length(min = 1, max = 400))]
    pub offer_ref: Option<String>,
    /// The lead guest, once the traveller has said who that is. Leave it out before; the booking view asks for it.
    pub booker: Option<Booker>,
    /// Token of a card network or wallet, for hotels that ask for a guarantee. Never a card number.
    #[schemars(length(min = 8, max = 200))]
    pub payment_token: Option<String>,
    /// A fresh UUID of the caller's. A repetition with the same key and arguments returns the same session.
    #[schemars(length(min = 16, max = 64))]
    pub idempotency_key: Option<String>,
}

/// Who stays and how the hotel reaches them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Booker {
    #[schemars(length(min = 1, max = 80))]
    pub first_name: String,
    #[schemars(length(min = 1, max = 80))]
    pub last_name: String,
    #[schemars(length(max = 254), extend("format" = "email"))]
    pub email: String,
    /// With country code, such as +14155550123.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
}

/// Arguments of `get_booking_session` and `cancel_booking_session`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfSession {
    /// id of the session.
    #[schemars(length(min = 1, max = 80))]
    pub session_id: String,
}

/// Arguments of `update_booking_session`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    /// id of the session.
    #[schemars(length(min = 1, max = 80))]
    pub session_id: String,
    /// Another offer instead of the present one.
    #[schemars(length(min = 1, max = 400))]
    pub offer_ref: Option<String>,
    /// The lead guest; replaces the present one.
    pub booker: Option<Booker>,
    /// Token of a card network or wallet, for hotels that ask for a guarantee. Never a card number.
    #[schemars(length(min = 8, max = 200))]
    pub payment_token: Option<String>,
}

/// Arguments of `complete_booking_session`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Complete {
    /// id of the session.
    #[schemars(length(min = 1, max = 80))]
    pub session_id: String,
    /// A fresh UUID. Repeat a call whose answer was lost with the same key and terms.
    #[schemars(length(min = 16, max = 64))]
    pub idempotency_key: String,
    /// terms_digest of the terms that the traveller has reviewed.
    #[schemars(length(min = 64, max = 64))]
    pub terms_digest: String,
    /// Made by the booking view when the traveller consents.
    #[schemars(length(min = 64, max = 64))]
    pub consent_token: String,
    /// true: the traveller was shown that an AI assists.
    pub disclosure_shown: bool,
}

/// Arguments of `confirm_booking_change` and `confirm_cancellation`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirm {
    /// id of the quote.
    #[schemars(length(min = 1, max = 80))]
    pub quote_id: String,
    /// A fresh UUID. Repeat a call whose answer was lost with the same key and terms.
    #[schemars(length(min = 16, max = 64))]
    pub idempotency_key: String,
    /// terms_digest of the terms that the traveller has reviewed.
    #[schemars(length(min = 64, max = 64))]
    pub terms_digest: String,
    /// Made by the booking view when the traveller consents.
    #[schemars(length(min = 64, max = 64))]
    pub consent_token: String,
    /// true: the traveller was shown that an AI assists.
    pub disclosure_shown: bool,
}

impl From<Confirm> for Complete {
    fn from(confirm: Confirm) -> Self {
        Self {
            session_id: confirm.quote_id,
            idempotency_key: confirm.idempotency_key,
            terms_digest: confirm.terms_digest,
            consent_token: confirm.consent_token,
            disclosure_shown: confirm.disclosure_shown,
        }
    }
}

/// Arguments of `get_booking` and `quote_cancellation`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfBooking {
    /// booking_id of a booking of this traveller.
    #[schemars(length(min = 1, max = 80))]
    pub booking_id: String,
}

/// Arguments of `list_my_bookings`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// next_cursor of the previous page.
    #[schemars(length(max = 80))]
    pub cursor: Option<String>,
}

/// Arguments of `quote_booking_change`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuoteChange {
    /// booking_id of a booking of this traveller.
    #[schemars(length(min = 1, max = 80))]
    pub booking_id: String,
    /// New first night, YYYY-MM-DD. Left out, it stays.
    #[schemars(extend("format" = "date"))]
    pub check_in: Option<String>,
    /// New day of departure, YYYY-MM-DD. Left out, it stays.
    #[schemars(extend("format" = "date"))]
    pub check_out: Option<String>,
    /// Nights more (or, negative, fewer) than now; check_out follows.
    #[schemars(range(min = -30, max = 30))]
    pub nights_delta: Option<i64>,
    /// Another offer of the same hotel instead of the booked room.
    #[schemars(length(min = 1, max = 400))]
    pub offer_ref: Option<String>,
}

/// Arguments of `get_price_calendar`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calendar {
    /// property_id of a hotel from search_hotels.
    #[schemars(length(min = 1, max = 64))]
    pub property_id: String,
    /// First arrival day, YYYY-MM-DD, in the hotel's calendar.
    #[schemars(extend("format" = "date"))]
    pub from: String,
    /// How many arrival days, 1 to 62; 31 if left out.
    #[schemars(range(min = 1, max = 62))]
    pub days: Option<i64>,
    /// Nights of each stay, 1 to 30; 1 if left out.
    #[schemars(range(min = 1, max = 30))]
    pub nights: Option<i64>,
    /// One entry for each room wanted. Left out, one room for two adults is assumed.
    #[schemars(length(min = 1, max = 9))]
    pub rooms: Option<Vec<Room>>,
}

/// Arguments of tools that take none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What a traveller likes; also the arguments of `save_preferences`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preferences {
    /// Least number of stars.
    #[schemars(range(min = 1, max = 5))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_stars: Option<i64>,
    /// Only offers that can be cancelled free of charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_cancellation: Option<bool>,
    /// Breakfast should be part of the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breakfast: Option<bool>,
    /// ISO 4217 code the traveller thinks in.
    #[schemars(length(equal = 3))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Wishes in the traveller's words, such as a quiet room. No health data, no card numbers.
    #[schemars(length(max = 1_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// Arguments of `forget_me`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forget {
    /// true: the traveller has asked for it and knows that it cannot be undone.
    pub confirm: bool,
}

/// Arguments of `send_feedback`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feedback {
    /// What it is about.
    pub about: Topic,
    /// From 1 (bad) to 5 (good).
    #[schemars(range(min = 1, max = 5))]
    pub rating: Option<i64>,
    /// What the traveller says, in their words.
    #[schemars(length(min = 1, max = 1_000))]
    pub text: String,
}

/// What feedback is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Topic {
    /// Results of a search.
    Search,
    /// Prices, taxes and fees.
    Price,
    /// Booking, changing and cancelling.
    Booking,
    /// The assistant or this server.
    Assistant,
    /// Anything else.
    Other,
}

impl Booker {
    /// Returns the guest, if the hotel can use what is said.
    pub(crate) fn guest(&self) -> Result<Guest, Refusal> {
        let name = |text: &str, field| {
            let text = text.trim();
            let good = (1..=MAX_NAME).contains(&text.chars().count())
                && !text.chars().any(char::is_control);
            good.then(|| text.to_owned())
                .ok_or(Refusal::Guest { field })
        };
        let email = self.email.trim();
        let parts = email.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && domain.contains('.')
                && !domain.starts_with('.')
                && !domain.ends_with('.')
        });
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[],;:\"\\".contains(c);
        if !parts
            || email.len() > MAX_EMAIL
            || !email.chars().all(plain)
            || email.matches('@').count() != 1
        {
            return Err(Refusal::Guest { field: "email" });
        }
        let phone_number = self.phone_number.as_deref().map(phone).transpose()?;
        Ok(Guest {
            first_name: name(&self.first_name, "first_name")?,
            last_name: name(&self.last_name, "last_name")?,
            email: email.to_owned(),
            phone_number,
        })
    }
}

/// Reads a phone number of E.164: `+` and 7 to 15 digits, spaces and dashes aside.
fn phone(text: &str) -> Result<String, Refusal> {
    let bare: String = text.chars().filter(|c| !" -().".contains(*c)).collect();
    let digits = bare.strip_prefix('+').unwrap_or_default();
    let good = (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    good.then_some(bare).ok_or(Refusal::Guest {
        field: "phone_number",
    })
}

impl Preferences {
    /// Checks the values.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if let Some(code) = &self.currency {
            crate::money::Currency::find(code).ok_or(crate::error::Rejection::CurrencyUnknown)?;
        }
        crate::tools::arguments::stars(self.min_stars)?;
        text(self.notes.as_deref().unwrap_or_default(), "notes")
    }
}

/// Checks the length of free text.
pub(crate) fn text(text: &str, field: &'static str) -> Result<(), Refusal> {
    if text.chars().count() > MAX_TEXT {
        return Err(Refusal::TooLong {
            field,
            max: MAX_TEXT,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booker(first: &str, email: &str, phone: Option<&str>) -> Booker {
        Booker {
            first_name: first.to_owned(),
            last_name: "Lovelace".to_owned(),
            email: email.to_owned(),
            phone_number: phone.map(str::to_owned),
        }
    }

    #[test]
    fn guests_are_read_or_the_bad_field_is_named() {
        let guest = booker(" Ada ", "ada@example.com", Some("+1 (415) 555-0123"))
            .guest()
            .unwrap();
        assert_eq!(
            (guest.first_name.as_str(), guest.phone_number.as_deref()),
            ("Ada", Some("+14155550123"))
        );
        for (booker, bad) in [
            (booker("", "ada@example.com", None), "first_name"),
            (booker("A\nB", "ada@example.com", None), "first_name"),
            (
                booker(&"x".repeat(81), "ada@example.com", None),
                "first_name",
            ),
            (booker("Ada", "ada", None), "email"),
            (booker("Ada", "ada@example", None), "email"),
            (booker("Ada", "a b@example.com", None), "email"),
            (booker("Ada", "a@b@example.com", None), "email"),
            (
                booker("Ada", "ada@example.com", Some("call me")),
                "phone_number",
            ),
            (
                booker("Ada", "ada@example.com", Some("0123")),
                "phone_number",
            ),
        ] {
            let refused = booker.guest();
            assert!(
                matches!(refused, Err(Refusal::Guest { field }) if field == bad),
                "{booker:?}"
            );
        }
    }
}
