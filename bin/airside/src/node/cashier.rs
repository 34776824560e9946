//! Who takes payments.

use std::{path::PathBuf, sync::Arc, time::Duration};

use airside_base::{Fault, Kind};
use airside_config::{Payments, Provider};
use airside_supply::payment::{Access, Checkout};
use airside_travel::payment::{self, Tokens};

use crate::target;

/// Somebody who takes payments.
#[derive(Debug, Clone)]
pub(super) struct Cashier {
    pub(super) payments: Arc<dyn payment::Payments>,
    /// Reads webhooks, where there are any.
    pub(super) checkout: Option<Arc<Checkout>>,
}

impl Cashier {
    /// Reads the secrets and makes what takes payments.
    pub(super) fn new(wanted: &Payments) -> Result<Self, Fault> {
        match wanted.provider {
            Provider::Token => Ok(Self {
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
                let return_url = wanted.return_url.clone();
                let checkout = Checkout::new(Access {
                    base: wanted.url.clone(),
                    key: secret(&wanted.key_file, "key-file")?,
                    webhook_secret: secret(&wanted.webhook_secret_file, "webhook-secret-file")?,
                    pages: wanted.pages.clone(),
                    return_url: return_url.ok_or_else(|| missing("return-url"))?,
                    timeout: Duration::from_millis(wanted.timeout_ms),
                });
                let checkout = checkout.map_err(|error| {
                    let text = format!("`travel.payments.url` cannot be used: {error}");
                    Fault::new(Kind::Invalid, "TRV-327", text)
                        .with_hint("use the https URL of the provider's interface")
                })?;
                let checkout = Arc::new(checkout);
                Ok(Self {
                    payments: checkout.clone(),
                    checkout: Some(checkout),
                })
            }
        }
    }
}
