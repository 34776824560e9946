//! Tokens that an authorisation server issues for an upstream.
//!
//! # Invariants
//!
//! * One request asks for a token at a time; the others wait for its answer, and after a
//!   failure nobody asks again for [`PAUSE`].
//! * What a caller showed goes to the token endpoint and nowhere else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use airside_base::{Clock, Redacted, ServerId};
use airside_identity::{Fetch, FetchError, FetchRequest};
use arc_swap::{ArcSwap, ArcSwapOption};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde::Deserialize;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{Error, MAX_SECRET_BYTES, OnBehalf, Proof, lock, sensitive, sha256};
use crate::config;

/// Most callers whose tokens are kept for one server.
pub(super) const MAX_CALLERS: usize = 4096;
/// How long a token is used that does not say when it expires.
const USUAL: Duration = Duration::from_secs(300);
/// How long before it expires a token is not used any more.
const MARGIN: Duration = Duration::from_secs(30);
/// How soon after a failure, or after a token that was refused, another one is asked
/// for.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// Tokens of an authorisation server.
pub(super) struct Tokens {
    server: ServerId,
    config: config::Token,
    resource: Url,
    proof: ArcSwap<Proof>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    /// For what the gateway asks itself, and for everybody if nothing is exchanged.
    own: Arc<Slot>,
    /// By the digest of the caller's token.
    pub(super) callers: Mutex<HashMap<[u8; 32], Arc<Slot>>>,
}

/// The place of one token.
#[derive(Default)]
pub(super) struct Slot {
    token: ArcSwapOption<Issued>,
    /// Held while one is asked for; when and how that failed last.
    asking: tokio::sync::Mutex<Option<(Duration, Error)>>,
}

struct Issued {
    value: HeaderValue,
    since: Duration,
    until: Duration,
}

/// A token that was put on a request.
pub(crate) struct Used {
    slot: Arc<Slot>,
    token: Arc<Issued>,
}

/// What of the answer of a token endpoint is looked at (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: Redacted<String>,
    token_type: String,
    expires_in: Option<u64>,
}

impl Used {
    pub(super) fn value(&self) -> HeaderValue {
        self.token.value.clone()
    }
}

impl Tokens {
    pub(super) fn load(
        config: &config::Token,
        (server, url): (&ServerId, &Url),
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, String> {
        Ok(Self {
            server: server.clone(),
            config: config.clone(),
            resource: config.resource.as_ref().unwrap_or(url).clone(),
            proof: ArcSwap::from_pointee(Proof::load(config)?),
            fetch: fetch.clone(),
            clock: clock.clone(),
            own: Arc::default(),
            callers: Mutex::default(),
        })
    }

    /// Returns whether callers' tokens are exchanged.
    pub(super) fn exchanges(&self) -> bool {
        self.config.exchange
    }

    /// Gives a token up that the server refused.
    pub(super) fn give_up(&self, used: &Used) {
        let now = self.clock.monotonic();
        // A server that refuses whatever it is shown shall not make us ask all day.
        if now.saturating_sub(used.token.since) >= PAUSE {
            let current = used.slot.token.load();
            if current
                .as_ref()
                .is_some_and(|token| Arc::ptr_eq(token, &used.token))
            {
                used.slot.token.store(None);
            }
        }
    }

    pub(super) async fn find(&self, behalf: Option<&OnBehalf>) -> Result<Used, Error> {
        let subject = match behalf {
            Some(behalf) if self.config.exchange => {
                let subject = behalf.subject.as_ref();
                let server = self.server.clone();
                Some(subject.ok_or(Error::NoSubject { server })?.clone())
            }
            _ => None,
        };
        let slot = match &subject {
            None => self.own.clone(),
            Some(subject) => self.slot(subject),
        };
        if let Some(token) = self.usable(&slot) {
            return Ok(Used { slot, token });
        }
        let mut failed = slot.asking.lock().await;
        if let Some(token) = self.usable(&slot) {
            drop(failed);
            return Ok(Used { slot, token });
        }
        let now = self.clock.monotonic();
        if let Some((at, error)) = &*failed
            && now.saturating_sub(*at) < PAUSE
        {
            return Err(error.clone());
        }
        match self.ask(subject.as_deref()).await {
            Ok(token) => {
                let token = Arc::new(token);
                slot.token.store(Some(token.clone()));
                *failed = None;
                drop(failed);
                Ok(Used { slot, token })
            }
            Err(error) => {
                tracing::warn!(server.id = %self.server, %error, "no token could be had");
                *failed = Some((self.clock.monotonic(), error.clone()));
                Err(error)
            }
        }
    }

    fn usable(&self, slot: &Slot) -> Option<Arc<Issued>> {
        let token = slot.token.load_full()?;
        (self.clock.monotonic() < token.until).then_some(token)
    }

    /// The place of a caller's token. When there are too many, those go that are over,
    /// and then all.
    pub(super) fn slot(&self, subject: &Redacted<String>) -> Arc<Slot> {
        let key = sha256(subject.expose().as_bytes());
        let mut callers = lock(&self.callers);
        if let Some(slot) = callers.get(&key) {
            return slot.clone();
        }
        if callers.len() >= MAX_CALLERS {
            callers.retain(|_, slot| self.usable(slot).is_some());
        }
        if callers.len() >= MAX_CALLERS {
            callers.clear();
        }
        callers.entry(key).or_default().clone()
    }

    async fn ask(&self, subject: Option<&Redacted<String>>) -> Result<Issued, Error> {
        let no_token = |why: &str| Error::NoToken {
            server: self.server.clone(),
            why: why.to_owned(),
        };
        let request = self
            .request(subject)
            .ok_or_else(|| no_token("signing failed"))?;
        let asked = self.clock.monotonic();
        let fetched = self
            .fetch
            .fetch(request)
            .await
            .map_err(|error| match error {
                FetchError::Status { status } if (400..500).contains(&status) && status != 429 => {
                    Error::Refused {
                        server: self.server.clone(),
                        status,
                        exchange: subject.is_some(),
                    }
                }
                error => no_token(&error.to_string()),
            })?;
        let answer: Answer = serde_json::from_slice(&fetched.body)
            .map_err(|_| no_token("the answer is not that of a token endpoint"))?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(no_token("it issues tokens of a kind that is not supported"));
        }
        let token = answer.access_token.expose();
        let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || token.len() > MAX_SECRET_BYTES || !visible {
            return Err(no_token("the token is empty, too long or not printable"));
        }
        let value = sensitive(&Zeroizing::new(format!("Bearer {token}")));
        let value = value.map_err(|why| no_token(&why))?;
        let lifetime = answer.expires_in.map_or(USUAL, Duration::from_secs);
        let margin = MARGIN.min(lifetime / 4);
        Ok(Issued {
            value,
            since: asked,
            until: asked.saturating_add(lifetime - margin),
        })
    }

    fn request(&self, subject: Option<&Redacted<String>>) -> Option<FetchRequest> {
        let config = &self.config;
        let mut form = form_urlencoded::Serializer::new(String::new());
        match subject {
            None => form.append_pair("grant_type", "client_credentials"),
            Some(subject) => form
                .append_pair(
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                )
                .append_pair("subject_token", subject.expose())
                .append_pair("subject_token_type", ACCESS_TOKEN)
                .append_pair("requested_token_type", ACCESS_TOKEN),
        };
        form.append_pair("resource", self.resource.as_str());
        if let Some(audience) = &config.audience {
            form.append_pair("audience", audience);
        }
        if !config.scopes.is_empty() {
            form.append_pair("scope", &config.scopes.join(" "));
        }
        let authorization = match &**self.proof.load() {
            Proof::Secret(secret) => Some(basic(&config.client_id, secret)),
            Proof::Key(key, _) => {
                let audience = config.assertion_audience.as_deref();
                let audience = audience.unwrap_or(config.url.as_str());
                let (kid, now) = (
                    config.client_key_id.as_deref(),
                    self.clock.now().as_second(),
                );
                let assertion = key.assertion(&config.client_id, audience, kid, now)?;
                form.append_pair("client_id", &config.client_id)
                    .append_pair(
                        "client_assertion_type",
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    )
                    .append_pair("client_assertion", &assertion);
                None
            }
        };
        let mut request = FetchRequest::get(config.url.clone(), config.reach());
        request.form = Some(Redacted::new(form.finish()));
        request.authorization = authorization.map(Redacted::new);
        request.max_bytes = 64 << 10;
        Some(request)
    }

    pub(super) fn look(&self) -> Result<bool, String> {
        if self.config.client_secret_env.is_some() {
            return Ok(false);
        }
        let proof = Proof::load(&self.config)?;
        let same = proof.is(&self.proof.load());
        if !same {
            self.proof.store(Arc::new(proof));
        }
        Ok(!same)
    }
}

pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// `client_secret_basic`: both parts are form-encoded first (RFC 6749, section 2.3.1).
fn basic(client: &str, secret: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(client), encode(secret)));
    format!("Basic {}", STANDARD.encode(pair.as_bytes()))
}
