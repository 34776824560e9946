//! Who takes payments.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// How travellers pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// On a page of a provider with Stripe's interface (Checkout Sessions): reserved
    /// there, taken with the booking. Its webhooks go to `POST /v1/payments/webhook` of
    /// the control API.
    Checkout,
    /// With a token of a card network or wallet that the caller sends; the hotel charges
    /// it.
    Token,
}

/// Who takes payments for rates that are paid or guaranteed before booking.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Payments {
    /// How travellers pay.
    pub provider: Provider,
    /// Where the provider's interface is. Has to use `https` unless it is on this machine.
    #[serde(default = "default_url")]
    pub url: Url,
    /// File with the secret key for the interface.
    pub key_file: Option<PathBuf>,
    /// File with the secret that webhooks are signed with.
    pub webhook_secret_file: Option<PathBuf>,
    /// Hosts of the pages that travellers may be led to.
    #[serde(default = "default_pages")]
    pub pages: Vec<String>,
    /// Page of yours where the provider sends travellers when they are done.
    pub return_url: Option<Url>,
    /// Longest time that one request to the provider may take.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

fn default_url() -> Url {
    "https://api.stripe.com".parse().expect("it is a URL")
}

fn default_pages() -> Vec<String> {
    vec!["checkout.stripe.com".to_owned()]
}

fn default_timeout_ms() -> u64 {
    5_000
}
