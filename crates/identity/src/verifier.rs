//! Asking the verifiers.

use std::{fmt, net::SocketAddr, sync::Arc};

use airside_base::{BoxFuture, Clock, Fault, Supervisor};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header::AUTHORIZATION};

use crate::{
    AnonymousLoopback, ApiKeys, Caller, Certificates, Claim, Config, ConfigError, Error, Fetch,
    FetchError, FetchRequest, Fetched, HttpSignatures, IpRanges, PeerCertificate, Proxies,
    token::{Resource, Tokens},
};

/// What of a request is known before its body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Method of the request.
    pub method: &'a Method,
    /// Target as it was sent.
    pub uri: &'a Uri,
    /// Headers as they were sent.
    pub headers: &'a HeaderMap,
    /// Other end of the connection, as the operating system reports it.
    pub peer: SocketAddr,
    /// Certificates that the other end showed, and proved to have the key of.
    pub certificate: Option<&'a PeerCertificate>,
    /// Whether the connection has TLS.
    pub secure: bool,
}

/// The rest of a judgement that needs something from elsewhere. Without a claim the
/// evidence could not be judged and counts for nothing.
pub type Inquiry = BoxFuture<'static, Result<Option<Claim>, Error>>;

/// What a verifier says about one request.
#[must_use]
pub enum Verdict {
    /// The evidence this verifier knows is not there.
    Passed,
    /// The evidence is there and good.
    Claimed(Claim),
    /// The evidence is there and not good. Nobody else is asked.
    Refused(Error),
    /// The evidence is there, and whether it is good has to be asked elsewhere.
    Asking(Inquiry),
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("Passed"),
            Self::Claimed(claim) => f.debug_tuple("Claimed").field(claim).finish(),
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
            Self::Asking(_) => f.write_str("Asking"),
        }
    }
}

/// Recognises one kind of evidence.
///
/// # Contract
///
/// * Evidence that is present but malformed, unknown, expired or ambiguous is
///   [`Verdict::Refused`], never passed.
/// * The verdict depends on the evidence, on time, on the configuration and on what
///   an issuer said, not on what a client calls itself.
/// * Answers without IO and within microseconds; what needs IO is
///   [`Verdict::Asking`], bounded in time and number by the verifier.
/// * An error holds no part of a secret.
pub trait Verifier: Send + Sync + fmt::Debug {
    /// Judges one request.
    fn verify(&self, head: &Head<'_>) -> Verdict;
}

/// Who is calling, or how to find out.
#[must_use]
pub enum Identified {
    /// It is known.
    Now(Result<Claim, Error>),
    /// Something has to be asked first: keys of an issuer, or the issuer itself.
    Later(BoxFuture<'static, Result<Claim, Error>>),
}

impl Identified {
    /// Returns the caller, after asking elsewhere where that is needed.
    ///
    /// # Errors
    ///
    /// When nobody claims the request, or its evidence is refused.
    pub async fn resolve(self) -> Result<Claim, Error> {
        match self {
            Self::Now(decided) => decided,
            Self::Later(asking) => asking.await,
        }
    }
}

/// The verifiers of an installation.
#[derive(Debug, Clone)]
pub struct Identity {
    verifiers: Arc<Verifiers>,
}

#[derive(Debug)]
struct Verifiers {
    /// Answers to `Authorization`, as `keys` does: it names the caller.
    tokens: Option<Tokens>,
    resource: Arc<Resource>,
    /// Look at the connection and at signatures, strongest first. They name the caller
    /// if no credentials do, and support them otherwise.
    channels: Vec<Box<dyn Verifier>>,
    /// The strongest of the channels, which listeners have to know as well.
    certificates: Arc<Certificates>,
    /// The others, to be taken over by the next configuration.
    signatures: Arc<HttpSignatures>,
    ranges: Arc<IpRanges>,
    keys: ApiKeys,
    anonymous: Option<AnonymousLoopback>,
}

/// What one verifier found.
enum Found {
    Claim(Claim),
    /// Somebody else has to say whether the credentials are good.
    Credentials(Inquiry),
    /// The same of evidence that may turn out to be worth nothing.
    Channel(Inquiry),
}

/// What was found, in the order of the verifiers.
#[derive(Default)]
struct Asked {
    /// Everything up to the first question.
    known: Option<Claim>,
    /// That question and what came after it.
    later: Vec<Found>,
}

impl Asked {
    fn add(&mut self, found: Found) {
        match found {
            Found::Claim(claim) if self.later.is_empty() => {
                self.known = Some(joined(self.known.take(), claim));
            }
            found => self.later.push(found),
        }
    }

    fn is_empty(&self) -> bool {
        self.known.is_none() && self.later.is_empty()
    }

    /// Asks what is to be asked. The first claim names the caller and the others support
    /// it, however long each took: who a caller is must not depend on what was known
    /// beforehand.
    async fn resolve(self) -> Result<Option<Claim>, Error> {
        let mut all = self.known;
        for found in self.later {
            let claim = match found {
                Found::Claim(claim) => Some(claim),
                Found::Credentials(inquiry) => Some(inquiry.await?.ok_or(Error::Nobody)?),
                Found::Channel(inquiry) => inquiry.await?,
            };
            all = match claim {
                Some(claim) => Some(joined(all, claim)),
                None => all,
            };
        }
        Ok(all)
    }
}

fn joined(first: Option<Claim>, next: Claim) -> Claim {
    match first {
        Some(first) => first.supported_by(next),
        None => next,
    }
}

/// What identity needs from outside.
#[derive(Debug, Clone)]
pub struct Outside<'a> {
    /// Source of time.
    pub clock: Arc<dyn Clock>,
    /// Way to documents of issuers.
    pub fetch: Arc<dyn Fetch>,
    /// Runs fetches that nobody waits for.
    pub supervisor: Supervisor,
    /// What is in use until now. What it fetched and remembers is taken over where the
    /// configuration of it is the same.
    pub previous: Option<&'a Identity>,
}

impl Outside<'_> {
    /// Returns an outside where nothing can be fetched: to check a configuration.
    #[must_use]
    pub fn offline(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            fetch: Arc::new(Offline),
            supervisor: Supervisor::new(),
            previous: None,
        }
    }
}

/// Fetches nothing.
#[derive(Debug)]
struct Offline;

impl Fetch for Offline {
    fn fetch(&self, _: FetchRequest) -> BoxFuture<'static, Result<Fetched, FetchError>> {
        let why = "this process fetches nothing".to_owned();
        Box::pin(async { Err(FetchError::Connect { why }) })
    }
}

impl Identity {
    /// Returns what `config` describes. Nothing is fetched before it is needed.
    ///
    /// # Errors
    ///
    /// When a name is not accepted, a name or key is there twice, a combination is not
    /// safe, or a file cannot be read.
    pub fn new(config: &Config, outside: &Outside<'_>) -> Result<Self, ConfigError> {
        config.check()?;
        let clock = outside.clock.clone();
        let tokens = config.tokens();
        let resource = Arc::new(Resource::new(&tokens));
        let previous = outside.previous.map(|previous| &*previous.verifiers);
        let proxies = Proxies::new(&config.proxy)?;
        let tokens = match tokens.is_used() {
            true => {
                let previous = previous.and_then(|previous| previous.tokens.as_ref());
                let here = (resource.clone(), proxies.clone());
                Some(Tokens::new(tokens, here, outside, previous)?)
            }
            false => None,
        };
        let certificates = Certificates::load(&config.certificate, proxies.clone(), clock.clone())?;
        let certificates = Arc::new(certificates);
        let known = previous.map(|previous| &*previous.signatures);
        let signatures = HttpSignatures::load(config, proxies.clone(), outside, known)?;
        let signatures = Arc::new(signatures);
        let anonymous = config.anonymous_loopback;
        let anonymous = anonymous.then(|| AnonymousLoopback::new(proxies.clone()));
        let known = previous.map(|previous| &*previous.ranges);
        let ranges = Arc::new(IpRanges::new(&config.ip_range, proxies, outside, known)?);
        let mut channels: Vec<Box<dyn Verifier>> = vec![Box::new(certificates.clone())];
        if !signatures.is_empty() {
            channels.push(Box::new(signatures.clone()));
        }
        if !ranges.is_empty() {
            channels.push(Box::new(ranges.clone()));
        }
        let verifiers = Verifiers {
            tokens,
            resource,
            channels,
            certificates,
            signatures,
            ranges,
            // Present even without keys, so that a key sent to an installation that
            // has none is called unknown and does not become an anonymous caller.
            keys: ApiKeys::new(&config.api_key, clock),
            anonymous,
        };
        Ok(Self {
            verifiers: Arc::new(verifiers),
        })
    }

    /// Returns what is known of client certificates.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.verifiers.certificates
    }

    /// Returns the addresses from which platforms call.
    #[must_use]
    pub fn ranges(&self) -> &IpRanges {
        &self.verifiers.ranges
    }

    /// Returns who is calling, at once unless somebody else has to be asked.
    pub fn identify(&self, head: &Head<'_>) -> Identified {
        let asked = match self.verifiers.ask(head) {
            Ok(asked) => asked,
            Err(error) => return Identified::Now(Err(error)),
        };
        // Whoever shows nothing, or nothing that turns out to be of worth.
        let otherwise = match asked.known {
            Some(_) => Err(Error::Nobody),
            None => self.verifiers.anonymous(head),
        };
        match asked.later.is_empty() {
            true => Identified::Now(asked.known.map_or(otherwise, Ok)),
            false => Identified::Later(Box::pin(async move {
                let claim = asked.resolve().await?;
                claim.map_or(otherwise, Ok)
            })),
        }
    }

    /// Checks that `caller` has the scopes that `method` needs on `tool`, by server and
    /// name. Only callers with access tokens have scopes.
    ///
    /// # Errors
    ///
    /// [`Error::Scope`] with all scopes that the operation needs.
    pub fn check_scopes(
        &self,
        caller: &Caller,
        method: &str,
        tool: Option<(&str, &str)>,
    ) -> Result<(), Error> {
        self.verifiers.resource.check_scopes(caller, method, tool)
    }

    /// Returns the fields that the answer to `error` carries at the endpoint at `path`:
    /// challenges, and a number for the next proof.
    #[must_use]
    pub fn challenges(&self, error: &Error, path: &str) -> Vec<(HeaderName, HeaderValue)> {
        let nonce = self.verifiers.tokens.as_ref().and_then(Tokens::nonce);
        self.verifiers.resource.challenges(error, path, nonce)
    }

    /// Returns the metadata (RFC 9728) of the endpoint at `path`; none where no issuer
    /// of access tokens is configured.
    #[must_use]
    pub fn resource_metadata(&self, path: &str) -> Option<Bytes> {
        self.verifiers.resource.metadata(path)
    }

    /// Returns what a caller may read about `error` at the endpoint at `path`: whoever
    /// shows nothing is told where to begin.
    #[must_use]
    pub fn fault(&self, error: &Error, path: &str) -> Fault {
        let fault = error.fault();
        match (error, self.verifiers.resource.metadata_url(path)) {
            (Error::Nobody, Some(url)) => fault.with_hint(format!(
                "send an access token for this endpoint; {url} says who issues them"
            )),
            _ => fault,
        }
    }

    /// Returns who is calling by an API key, or anonymously where that is allowed.
    /// For listeners that take nothing else.
    ///
    /// # Errors
    ///
    /// What is wrong with the key, or [`Error::Nobody`].
    pub fn identify_by_key(&self, head: &Head<'_>) -> Result<Caller, Error> {
        match self.verifiers.keys.find(head)? {
            Some(caller) => Ok(caller),
            None => self
                .verifiers
                .anonymous(head)
                .map(|claim| claim.caller().clone()),
        }
    }
}

impl Verifiers {
    fn ask(&self, head: &Head<'_>) -> Result<Asked, Error> {
        let mut asked = Asked::default();
        if head.headers.contains_key(AUTHORIZATION) {
            let keys: &dyn Verifier = &self.keys;
            let tokens = self.tokens.iter().map(|tokens| tokens as &dyn Verifier);
            for verifier in std::iter::once(keys).chain(tokens) {
                match verifier.verify(head) {
                    Verdict::Passed => {}
                    Verdict::Claimed(claim) => asked.add(Found::Claim(claim)),
                    Verdict::Refused(error) => return Err(error),
                    Verdict::Asking(inquiry) => asked.add(Found::Credentials(inquiry)),
                }
            }
            if asked.is_empty() {
                // Credentials that nobody understands are not overlooked, whatever
                // else there is.
                return Err(Error::Nobody);
            }
        }
        for verifier in &self.channels {
            match verifier.verify(head) {
                Verdict::Passed => {}
                Verdict::Claimed(claim) => asked.add(Found::Claim(claim)),
                Verdict::Refused(error) => return Err(error),
                Verdict::Asking(inquiry) => asked.add(Found::Channel(inquiry)),
            }
        }
        Ok(asked)
    }

    fn anonymous(&self, head: &Head<'_>) -> Result<Claim, Error> {
        match &self.anonymous {
            Some(anonymous) => anonymous.judge(head)?.map(Claim::from).ok_or(Error::Nobody),
            None => Err(Error::Nobody),
        }
    }
}

#[cfg(test)]
mod tests;
