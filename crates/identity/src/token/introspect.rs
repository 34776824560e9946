//! Asking an issuer about a token without content (RFC 7662).
//!
//! # Invariants
//!
//! * A token is asked about once within the time that an answer is used, whatever the
//!   answer. At most [`MAX_ASKING`] questions are open; more calls are told to come
//!   back, so that made-up tokens do not become load of the issuer.
//! * The answer is held to the same rules as a signed token, audience included.

use std::time::Duration;

use airside_base::{Redacted, Timestamp};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use tokio::sync::Semaphore;
use url::{Url, form_urlencoded};

use super::{
    Wrong,
    claims::{self, Binding, Now, Verified},
    config::{IntrospectionConfig, IssuerConfig, TokenConfigError},
    jose::Object,
    keys::Source,
    table::{Name, Table},
};
use crate::{Evidence, FetchRequest};
use std::sync::Arc;

/// Questions that are open at the same time.
const MAX_ASKING: usize = 32;

/// Tokens that were not active and are remembered.
const MAX_INACTIVE: usize = 16_384;

/// How long a token that was not active is not asked about again.
const INACTIVE: Duration = Duration::from_secs(10);

/// Largest file of a secret, in bytes.
const MAX_SECRET: usize = 4096;

#[derive(Debug)]
pub(super) struct Introspection {
    url: Option<Url>,
    authorization: Redacted<String>,
    cache_s: i64,
    asking: Semaphore,
    inactive: Table<()>,
}

impl Introspection {
    /// Reads the secret that `wanted` names.
    pub(super) fn load(
        issuer: &IssuerConfig,
        wanted: &IntrospectionConfig,
    ) -> Result<Self, TokenConfigError> {
        let file = &wanted.client_secret_file;
        let refused = |problem: String| {
            TokenConfigError::secret(&issuer.name, file.display().to_string(), problem)
        };
        let secret = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
        let secret = secret.trim_end();
        if secret.is_empty() || secret.len() > MAX_SECRET {
            return Err(refused("it is empty or too large".to_owned()));
        }
        // RFC 6749, section 2.3.1.
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encode(&wanted.client_id), encode(secret));
        Ok(Self {
            url: wanted.url.clone(),
            authorization: Redacted::new(format!("Basic {}", BASE64_STANDARD.encode(pair))),
            cache_s: i64::try_from(wanted.cache_s).unwrap_or(1),
            asking: Semaphore::new(MAX_ASKING),
            inactive: Table::new(MAX_INACTIVE),
        })
    }

    /// Returns what the issuer says of an active token.
    pub(super) async fn ask(
        &self,
        source: &Arc<Source>,
        token: &[u8],
        name: Name,
    ) -> Result<Object, Wrong> {
        let means = source.means();
        if self.inactive.find(&name, means.clock.now()).is_some() {
            return Err(Wrong::Inactive);
        }
        let _asks = self.asking.try_acquire().map_err(|_| Wrong::NoAnswer)?;
        let token = str::from_utf8(token).map_err(|_| Wrong::Form("it is no text"))?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .finish();
        let request = FetchRequest {
            form: Some(Redacted::new(form)),
            authorization: Some(self.authorization.clone()),
            max_bytes: 64 << 10,
            ..FetchRequest::get(self.find_url(source).await?, source.reach())
        };
        let answer = means.fetch.fetch(request).await.map_err(|error| {
            tracing::warn!(%error, "cannot ask an issuer about a token");
            Wrong::NoAnswer
        })?;
        let answer = Object::parse(&answer.body).ok_or(Wrong::NoAnswer)?;
        if answer.0.get("active") == Some(&Value::Bool(true)) {
            return Ok(answer);
        }
        let now = means.clock.now();
        let until = now.saturating_add(INACTIVE).unwrap_or(Timestamp::MAX);
        self.inactive.put(name, until, (), now);
        Err(Wrong::Inactive)
    }

    async fn find_url(&self, source: &Arc<Source>) -> Result<Url, Wrong> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let known = match source.known() {
            Some(known) => known,
            None => source
                .clone()
                .refreshed()
                .await
                .map_err(|_| Wrong::NoAnswer)?,
        };
        known.introspection.clone().ok_or(Wrong::NoAnswer)
    }

    /// Reads an answer. Returns until when it may be used.
    pub(super) fn read(
        &self,
        issuer: &IssuerConfig,
        answer: &Object,
        now: Timestamp,
    ) -> Result<(Verified, Timestamp), Wrong> {
        if answer.0.contains_key("iss") && answer.text("iss") != Some(&issuer.url) {
            return Err(Wrong::Issuer);
        }
        let times = Now {
            second: now.as_second(),
            skew_s: i64::try_from(issuer.clock_skew_s).unwrap_or(0),
        };
        let not_after = times.check(answer, false)?;
        let not_after = not_after.min(now.as_second() + self.cache_s);
        let binding = Binding::read(answer)?;
        let checked = ["active", "audience", "expiry"].into_iter();
        let evidence = Evidence::new("introspection", checked.chain(binding.checked()));
        let verified = Verified {
            caller: claims::caller(issuer, answer, evidence)?,
            audience: claims::audience(answer),
            not_after,
            binding,
        };
        let until = Timestamp::from_second(not_after).unwrap_or(Timestamp::MAX);
        Ok((verified, until))
    }
}
