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
mod certificate;
mod token;

use std::{
    fmt, fs,
    io::Read as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use airside_base::{Clock, Fault, Kind, Redacted, ServerId, SystemClock};
use airside_identity::{Caller, CallerKind, Fetch};
use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use rustls::client::ResolvesClientCert;
use url::Url;
use zeroize::Zeroizing;

use self::{
    assertion::SigningKey,
    certificate::Certificate,
    token::{PAUSE, Tokens},
};
use crate::{
    config::{self, AuthError},
    fetch::HttpFetch,
};

/// Largest file of a secret, key or certificate, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Longest secret or token, in bytes.
const MAX_SECRET_BYTES: usize = 16 << 10;

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
                let tokens = Tokens::load(token, (server, url), fetch, clock);
                Some(Shown::Token(Box::new(tokens.map_err(unreadable)?)))
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
        matches!(&self.header, Some(Shown::Token(tokens)) if tokens.exchanges())
    }

    /// Puts credentials on a request, and returns what to tell when they are refused.
    pub(crate) async fn apply<B>(
        &self,
        request: &mut http::Request<B>,
    ) -> Result<Option<token::Used>, Error> {
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
                headers.insert(header::AUTHORIZATION, used.value());
                Ok(Some(used))
            }
        }
    }

    /// Gives a token up that the server refused. The next request gets another one.
    pub(crate) fn refused(&self, used: Option<token::Used>) {
        let (Some(used), Some(Shown::Token(tokens))) = (used, &self.header) else {
            return;
        };
        tokens.give_up(&used);
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

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place
        .lock()
        .expect("no panic happens while the lock is held")
}

#[cfg(test)]
mod tests;
