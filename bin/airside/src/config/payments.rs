//! Who takes payments.

use std::{path::PathBuf, sync::Arc, time::Duration};

use airside_base::{Fault, Kind};
use airside_supply::payment::{Access, Checkout};
use airside_travel::payment::{self, Tokens};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::target;

/// How travellers pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Provider {
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
pub(crate) struct Payments {
    /// How travellers pay.
    pub(crate) provider: Provider,
    /// Where the provider's interface is. Has to use `https` unless it is on this machine.
    #[serde(default = "default_url")]
    pub(crate) url: Url,
    /// File with the secret key for the interface.
    pub(crate) key_file: Option<PathBuf>,
    /// File with the secret that webhooks are signed with.
    pub(crate) webhook_secret_file: Option<PathBuf>,
    /// Hosts of the pages that travellers may be led to.
    #[serde(default = "default_pages")]
    pub(crate) pages: Vec<String>,
    /// Page of yours where the provider sends travellers when they are done.
    pub(crate) return_url: Option<Url>,
    /// Longest time that one request to the provider may take.
    #[serde(default = "default_timeout_ms")]
    pub(crate) timeout_ms: u64,
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

/// Somebody who takes payments.
#[derive(Debug, Clone)]
pub(crate) struct Cashier {
    pub(crate) payments: Arc<dyn payment::Payments>,
    /// Reads webhooks, where there are any.
    pub(crate) checkout: Option<Arc<Checkout>>,
}

impl Payments {
    /// Reads the secrets and makes what takes payments.
    pub(crate) fn build(&self) -> Result<Cashier, Fault> {
        match self.provider {
            Provider::Token => Ok(Cashier {
                payments: Arc::new(Tokens),
                checkout: None,
            }),
            Provider::Checkout => {
                let missing = |key: &str| {
                    let text = format!("`travel.payments.{key}` is missing");
                    Fault::new(Kind::Invalid, "TRV-327", text)
                        .with_hint("set it, or use provider = \"token\"")
                };
                let secret = |file: &Option<PathBuf>, key| {
                    let file = file.as_ref().ok_or_else(|| missing(key))?;
                    target::read_secret(file).map_err(|_| {
                        let text = format!("the file of `travel.payments.{key}` cannot be read");
                        Fault::new(Kind::Invalid, "TRV-327", text)
                            .with_hint("name a file that holds the secret and nothing else")
                    })
                };
                let return_url = self.return_url.clone();
                let checkout = Checkout::new(Access {
                    base: self.url.clone(),
                    key: secret(&self.key_file, "key-file")?,
                    webhook_secret: secret(&self.webhook_secret_file, "webhook-secret-file")?,
                    pages: self.pages.clone(),
                    return_url: return_url.ok_or_else(|| missing("return-url"))?,
                    timeout: Duration::from_millis(self.timeout_ms),
                });
                let checkout = checkout.map_err(|error| {
                    let text = format!("`travel.payments.url` cannot be used: {error}");
                    Fault::new(Kind::Invalid, "TRV-327", text)
                        .with_hint("use the https URL of the provider's interface")
                })?;
                let checkout = Arc::new(checkout);
                Ok(Cashier {
                    payments: checkout.clone(),
                    checkout: Some(checkout),
                })
            }
        }
    }
}
