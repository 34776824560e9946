//! Credentials of the gateway towards upstream servers.
//!
//! # Invariants
//!
//! * What a client shows never reaches a server. A caller's own token goes to the
//!   authorisation server of the upstream and nowhere else, to be exchanged there.
//! * A token is asked for by one request at a time, used until shortly before it
//!   expires, and given up when the server refuses it. The call that was refused is
//!   not repeated: it may have had an effect.
//! * Secrets are in no error, no log and no entry. Files are read beside the calls;
//!   when one cannot be used any more, the last good contents stay.

mod assertion;

use std::{
    collections::HashMap,
    fmt, fs,
    io::Read as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use airside_base::{Clock, Fault, Kind, Redacted, ServerId, SystemClock};
use airside_identity::{Caller, CallerKind, Fetch, FetchError, FetchRequest};
use arc_swap::{ArcSwap, ArcSwapOption};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use rustls::{
    client::ResolvesClientCert,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use serde::Deserialize;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use self::assertion::SigningKey;
use crate::{
    config::{self, AuthError},
    fetch::HttpFetch,
};

/// Largest file of a secret, key or certificate, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Longest secret or token, in bytes.
const MAX_SECRET_BYTES: usize = 16 << 10;
/// Most callers whose tokens are kept for one server.
const MAX_CALLERS: usize = 4096;
/// How long a token is used that does not say when it expires.
const USUAL: Duration = Duration::from_secs(300);
/// How long before it expires a token is not used any more.
const MARGIN: Duration = Duration::from_secs(30);
/// How soon after a failure, or after a token that was refused, another one is asked
/// for.
const PAUSE: Duration = Duration::from_secs(5);

/// What the gateway shows to one server.
pub(crate) struct Credentials {
    server: ServerId,
    header: Option<Shown>,
    certificate: Option<Arc<Certificate>>,
}

enum Shown {
    Secret(Fixed),
    Token(Box<Tokens>),
}

/// On whose behalf a request is sent. Part of the extensions of a request.
#[derive(Debug, Clone)]
pub(crate) struct OnBehalf {
    /// The caller's access token; none if it has another kind of evidence.
    subject: Option<Arc<Redacted<String>>>,
}

impl OnBehalf {
    /// Returns the caller that sent `headers`.
    pub(crate) fn of(caller: &Caller, headers: &HeaderMap) -> Self {
        let bearer = || {
            let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
            let (scheme, token) = value.split_once(' ')?;
            let known = ["bearer", "dpop"]
                .iter()
                .any(|s| s.eq_ignore_ascii_case(scheme));
            known.then(|| Arc::new(Redacted::new(token.trim().to_owned())))
        };
        let subject = match caller.kind() {
            CallerKind::Token | CallerKind::Workload => bearer(),
            CallerKind::Anonymous
            | CallerKind::IpRange
            | CallerKind::ApiKey
            | CallerKind::SignedAgent
            | CallerKind::Certificate => None,
        };
        Self { subject }
    }
}

/// Why there are no credentials for a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The authorisation server gave no token.
    #[error("no token for upstream `{server}` can be had: {why}")]
    NoToken {
        /// The upstream.
        server: ServerId,
        /// Why.
        why: String,
    },
    /// The server is called on behalf of callers with access tokens only.
    #[error("upstream `{server}` is called with the caller's own token, and there is none")]
    NoSubject {
        /// The upstream.
        server: ServerId,
    },
    /// The authorisation server refuses the caller's token, or the gateway.
    #[error("the authorisation server refuses a token for upstream `{server}`: status {status}")]
    Refused {
        /// The upstream.
        server: ServerId,
        /// What it answered.
        status: u16,
        /// Whether it was asked on behalf of a caller.
        exchange: bool,
    },
}

impl Error {
    /// Returns what the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoToken { .. }
            | Self::Refused {
                exchange: false, ..
            } => Fault::new(
                Kind::Unavailable,
                "GW-060",
                "the gateway has no credentials for the server at the moment",
            )
            .with_retry_after(PAUSE),
            Self::NoSubject { .. } => Fault::new(
                Kind::Forbidden,
                "GW-061",
                "the server is called in the name of its callers",
            )
            .with_hint("call with an access token of your own instead of a key or certificate"),
            Self::Refused { exchange: true, .. } => Fault::new(
                Kind::Forbidden,
                "GW-062",
                "the caller may not use the server",
            )
            .with_hint("ask the operator which accounts may"),
        }
        .with_private(self)
    }
}

impl Credentials {
    /// Reads what `auth` describes for the upstream `server` at `url`.
    ///
    /// # Errors
    ///
    /// When a file or variable cannot be used.
    pub(crate) fn load(
        auth: &config::Auth,
        (server, url): (&ServerId, &Url),
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, AuthError> {
        auth.check(server, Some(url))?;
        let unreadable = |why: String| AuthError::Unreadable {
            name: server.clone(),
            why,
        };
        let header = match (&auth.secret, &auth.token) {
            (Some(secret), _) => Some(Shown::Secret(Fixed::load(secret).map_err(unreadable)?)),
            (None, Some(token)) => {
                let proof = Proof::load(token).map_err(unreadable)?;
                let tokens = Tokens {
                    server: server.clone(),
                    config: token.clone(),
                    resource: token.resource.as_ref().unwrap_or(url).clone(),
                    proof: ArcSwap::from_pointee(proof),
                    fetch: fetch.clone(),
                    clock: clock.clone(),
                    own: Arc::default(),
                    callers: Mutex::default(),
                };
                Some(Shown::Token(Box::new(tokens)))
            }
            (None, None) => None,
        };
        let certificate = auth.certificate.as_ref().map(Certificate::load);
        Ok(Self {
            server: server.clone(),
            header,
            certificate: certificate.transpose().map_err(unreadable)?.map(Arc::new),
        })
    }

    /// Returns what a TLS client shows.
    pub(crate) fn certificate(&self) -> Option<Arc<dyn ResolvesClientCert>> {
        let certificate = self.certificate.clone()?;
        Some(certificate)
    }

    /// Returns whether the server learns who calls.
    pub(crate) fn tell_callers_apart(&self) -> bool {
        matches!(&self.header, Some(Shown::Token(tokens)) if tokens.config.exchange)
    }

    /// Puts credentials on a request, and returns what to tell when they are refused.
    pub(crate) async fn apply<B>(
        &self,
        request: &mut http::Request<B>,
    ) -> Result<Option<Used>, Error> {
        let behalf = request.extensions_mut().remove::<OnBehalf>();
        match &self.header {
            None => Ok(None),
            Some(Shown::Secret(fixed)) => {
                let value = fixed.value.load();
                let headers = request.headers_mut();
                headers.insert(&fixed.header, HeaderValue::clone(&value));
                Ok(None)
            }
            Some(Shown::Token(tokens)) => {
                let used = tokens.find(behalf.as_ref()).await?;
                let headers = request.headers_mut();
                headers.insert(header::AUTHORIZATION, used.token.value.clone());
                Ok(Some(used))
            }
        }
    }

    /// Gives a token up that the server refused. The next request gets another one.
    pub(crate) fn refused(&self, used: Option<Used>) {
        let (Some(used), Some(Shown::Token(tokens))) = (used, &self.header) else {
            return;
        };
        let now = tokens.clock.monotonic();
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
        tracing::warn!(server.id = %self.server, "the server refuses the gateway's token");
    }

    /// Reads the files again. What cannot be used changes nothing.
    pub(crate) fn look(&self) {
        let read = |loaded: Result<bool, String>, what| match loaded {
            Ok(true) => {
                tracing::info!(server.id = %self.server, what, "credentials were read again");
            }
            Ok(false) => {}
            Err(why) => tracing::error!(
                server.id = %self.server,
                what,
                why,
                "credentials cannot be used; those before stay in use"
            ),
        };
        match &self.header {
            Some(Shown::Secret(fixed)) => read(fixed.look(), "secret"),
            Some(Shown::Token(tokens)) => read(tokens.look(), "client"),
            None => {}
        }
        if let Some(certificate) = &self.certificate {
            read(certificate.look(), "certificate");
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.header {
            None => "none",
            Some(Shown::Secret(_)) => "secret",
            Some(Shown::Token(_)) => "token",
        };
        f.debug_struct("Credentials")
            .field("server", &self.server)
            .field("header", &kind)
            .field("certificate", &self.certificate.is_some())
            .finish()
    }
}

/// Reads what `auth` describes, and forgets it.
pub(crate) fn check(auth: &config::Auth, server: &ServerId, url: &Url) -> Result<(), AuthError> {
    let fetch: Arc<dyn Fetch> = Arc::new(HttpFetch::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Credentials::load(auth, (server, url), &fetch, &clock).map(drop)
}

/// A secret that is shown as it is.
struct Fixed {
    config: config::Secret,
    header: HeaderName,
    value: ArcSwap<HeaderValue>,
}

impl Fixed {
    fn load(config: &config::Secret) -> Result<Self, String> {
        let header = HeaderName::try_from(config.header.as_str());
        let header = header.map_err(|error| error.to_string())?;
        let value = Self::value(config, &header)?;
        Ok(Self {
            config: config.clone(),
            header,
            value: ArcSwap::from_pointee(value),
        })
    }

    fn value(config: &config::Secret, header: &HeaderName) -> Result<HeaderValue, String> {
        let secret = secret(config.file.as_deref(), config.env.as_deref())?;
        let bearer = (*header == header::AUTHORIZATION).then_some("Bearer");
        match config.scheme.as_deref().or(bearer) {
            Some("") | None => sensitive(&secret),
            Some(scheme) => sensitive(&Zeroizing::new(format!("{scheme} {}", *secret))),
        }
    }

    fn look(&self) -> Result<bool, String> {
        if self.config.file.is_none() {
            return Ok(false);
        }
        let value = Self::value(&self.config, &self.header)?;
        let same = **self.value.load() == value;
        if !same {
            self.value.store(Arc::new(value));
        }
        Ok(!same)
    }
}

/// Returns a header value that no log shows.
fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|_| "it holds what no header can carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    fs::File::open(file)
        .and_then(|open| open.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(bytes)
}

/// Reads a secret of one line.
fn secret(file: Option<&Path>, env: Option<&str>) -> Result<Zeroizing<String>, String> {
    let text = match (file, env) {
        (Some(file), _) => {
            let bytes = read(file)?;
            let text = std::str::from_utf8(&bytes).map_err(|_| "it is not text".to_owned())?;
            Zeroizing::new(text.to_owned())
        }
        (None, Some(name)) => {
            let found = std::env::var(name);
            Zeroizing::new(found.map_err(|_| format!("the variable {name} is not set"))?)
        }
        (None, None) => return Err("nothing says where it is".to_owned()),
    };
    let secret = text.trim();
    if secret.is_empty() || secret.len() > MAX_SECRET_BYTES || secret.contains(['\n', '\r']) {
        return Err("it is empty, too long, or more than a line".to_owned());
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

/// How the gateway proves to an authorisation server which client it is.
enum Proof {
    Secret(Zeroizing<String>),
    Key(SigningKey, [u8; 32]),
}

impl Proof {
    fn load(config: &config::Token) -> Result<Self, String> {
        let Some(file) = &config.client_key_file else {
            let env = config.client_secret_env.as_deref();
            return secret(config.client_secret_file.as_deref(), env).map(Self::Secret);
        };
        let pem = read(file)?;
        let key = SigningKey::read(&pem);
        let key = key.ok_or_else(|| format!("{} is no private key in PKCS #8", file.display()))?;
        Ok(Self::Key(key, sha256(&pem)))
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(one), Self::Secret(other)) => {
                Redacted::new(one.as_str()) == Redacted::new(other.as_str())
            }
            (Self::Key(_, one), Self::Key(_, other)) => one == other,
            _ => false,
        }
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut short = [0; 32];
    short.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    short
}

/// Tokens of an authorisation server.
struct Tokens {
    server: ServerId,
    config: config::Token,
    resource: Url,
    proof: ArcSwap<Proof>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    /// For what the gateway asks itself, and for everybody if nothing is exchanged.
    own: Arc<Slot>,
    /// By the digest of the caller's token.
    callers: Mutex<HashMap<[u8; 32], Arc<Slot>>>,
}

/// The place of one token.
#[derive(Default)]
struct Slot {
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

impl Tokens {
    async fn find(&self, behalf: Option<&OnBehalf>) -> Result<Used, Error> {
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
    fn slot(&self, subject: &Redacted<String>) -> Arc<Slot> {
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

    fn look(&self) -> Result<bool, String> {
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

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// `client_secret_basic`: both parts are form-encoded first (RFC 6749, section 2.3.1).
fn basic(client: &str, secret: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(client), encode(secret)));
    format!("Basic {}", STANDARD.encode(pair.as_bytes()))
}

/// A client certificate that is shown when a connection is made.
struct Certificate {
    config: config::ClientCertificate,
    current: ArcSwap<(CertifiedKey, [u8; 32])>,
}

impl Certificate {
    fn load(config: &config::ClientCertificate) -> Result<Self, String> {
        Ok(Self {
            config: config.clone(),
            current: ArcSwap::from_pointee(Self::read(config)?),
        })
    }

    fn read(config: &config::ClientCertificate) -> Result<(CertifiedKey, [u8; 32]), String> {
        let (certificates, key) = (read(&config.certificate_file)?, read(&config.key_file)?);
        let both = [certificates.as_slice(), key.as_slice()].concat();
        let both = sha256(&Zeroizing::new(both));
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificates).collect();
        let chain = chain.map_err(|_| "the certificate is not PEM".to_owned())?;
        let key = PrivateKeyDer::from_pem_slice(&key);
        let key = key.map_err(|_| "the key is not PEM of a private key".to_owned())?;
        let pair = CertifiedKey::from_der(chain, key, &default_provider());
        Ok((pair.map_err(|error| error.to_string())?, both))
    }

    fn look(&self) -> Result<bool, String> {
        let next = Self::read(&self.config)?;
        let same = self.current.load().1 == next.1;
        if !same {
            self.current.store(Arc::new(next));
        }
        Ok(!same)
    }
}

impl ResolvesClientCert for Certificate {
    fn resolve(
        &self,
        _authorities: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::new(self.current.load().0.clone()))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate")
            .field(&self.config.certificate_file)
            .finish()
    }
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place
        .lock()
        .expect("no panic happens while the lock is held")
}

#[cfg(test)]
mod tests;
