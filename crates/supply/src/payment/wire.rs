//! What the provider's interface says, as far as it matters here.

use airside_travel::{
    payment::{Purpose, State},
    supply::Currency,
};
use serde::Deserialize;

/// A Checkout Session.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) url: Option<String>,
    pub(super) client_reference_id: Option<String>,
    pub(super) amount_total: Option<i64>,
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default, deserialize_with = "intent")]
    pub(super) payment_intent: Option<Intent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Open,
    Complete,
    Expired,
}

/// What we gave along.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) airside_payment: String,
    #[serde(default)]
    pub(super) airside_tenant: String,
    #[serde(default)]
    pub(super) airside_seal: String,
}

/// A PaymentIntent.
#[derive(Debug, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) amount_received: i64,
    #[serde(default)]
    latest_charge: Option<serde_json::Value>,
}

impl Intent {
    /// Returns what was given back.
    pub(super) fn refunded(&self) -> i64 {
        let charge = self.latest_charge.as_ref();
        let refunded = charge.and_then(|charge| charge.get("amount_refunded")?.as_i64());
        refunded.unwrap_or(0)
    }
}

/// Reads a payment that is there in full; one that is only named says nothing.
fn intent<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Intent>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    match value {
        Some(object @ serde_json::Value::Object(_)) => serde_json::from_value(object)
            .map(Some)
            .map_err(serde::de::Error::custom),
        _ => Ok(None),
    }
}

impl Page {
    /// Returns where the payment stands.
    pub(super) fn state(&self, purpose: Purpose) -> State {
        match (self.status, purpose) {
            (Status::Open, _) => State::Open,
            (Status::Expired, _) => State::Voided,
            (Status::Complete, Purpose::Guarantee) => State::Authorized,
            (Status::Complete, Purpose::Charge) => {
                let status = self.payment_intent.as_ref();
                match status.map_or("", |intent| intent.status.as_str()) {
                    "requires_capture" => State::Authorized,
                    "succeeded" => State::Captured,
                    "canceled" => State::Voided,
                    // It is still being worked on.
                    _ => State::Open,
                }
            }
        }
    }
}

/// An error of the interface.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    error: Inner,
}

#[derive(Debug, Deserialize)]
struct Inner {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    decline_code: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

impl Problem {
    /// Returns the provider's word for what is wrong.
    pub(super) fn read(body: &[u8]) -> Option<String> {
        let Self { error } = serde_json::from_slice(body).ok()?;
        error.decline_code.or(error.code).or(error.kind)
    }
}

/// Returns whether `text` can be part of a path.
pub(super) fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}

/// Currencies without minor units that the provider writes with two digits.
const WRITTEN_WITH_TWO: [&str; 2] = ["ISK", "UGX"];

/// Returns minor units as the provider counts them. Amounts of currencies with three
/// digits have to be multiples of ten.
pub(super) fn amount(minor: i64, currency: Currency) -> Option<i64> {
    if WRITTEN_WITH_TWO.contains(&currency.code) && currency.exponent == 0 {
        return minor.checked_mul(100);
    }
    (currency.exponent < 3 || minor % 10 == 0).then_some(minor)
}

/// Returns the provider's amount in minor units.
pub(super) fn back(amount: i64, currency: Currency) -> i64 {
    match WRITTEN_WITH_TWO.contains(&currency.code) && currency.exponent == 0 {
        true => amount / 100,
        false => amount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_the_provider_counts() {
        for (code, minor, theirs) in [
            ("EUR", 12_345, Some(12_345)),
            ("JPY", 12_345, Some(12_345)),
            ("ISK", 12_345, Some(1_234_500)),
            ("KWD", 12_340, Some(12_340)),
            ("KWD", 12_345, None),
        ] {
            let currency = Currency::find(code).unwrap();
            assert_eq!(amount(minor, currency), theirs, "{code}");
            assert!(theirs.is_none_or(|theirs| back(theirs, currency) == minor));
        }
    }
}
