//! Access tokens: OAuth 2.1 resource server, and SPIFFE workloads.
//!
//! # Invariants
//!
//! * A token is good for one endpoint: its audience is the public URL of the endpoint,
//!   or one that the operator named. The same token elsewhere is refused.
//! * Who issued a token is read from it before it is verified, and decides only whose
//!   keys it is verified with.
//! * What was verified is remembered by digest until it ends, at most [`REMEMBERED`]
//!   tokens, so that a call with a known token costs microseconds and no key.
//! * Tokens come in `Authorization` and nowhere else. They are in no error and no log.

mod claims;
mod config;
mod dpop;
mod introspect;
mod jose;
mod jwk;
mod keys;
mod resource;
mod svid;
mod table;

use std::sync::Arc;

use airside_base::{Fault, Kind, Timestamp};
use http::{HeaderMap, header::AUTHORIZATION};

pub(crate) use config::TokenConfig;
pub use config::{
    Dpop, IntrospectionConfig, IssuerConfig, ResourceConfig, ScopeConfig, TokenConfigError,
    TrustDomainConfig,
};
pub use jose::{Algorithm, AlgorithmError};
pub use resource::RESOURCE_METADATA;
pub(crate) use resource::Resource;

use self::{
    claims::{Binding, Now, Verified},
    dpop::{Proofs, Wanted},
    introspect::Introspection,
    jose::Compact,
    keys::{Away, Known, Means, Place, Source},
    svid::TrustDomain,
    table::Table,
};
use crate::{
    Claim, Error, Evidence, Head, Outside, PeerCertificate, Proxies, Reach, Verdict, Verifier,
};

/// Verified tokens that are remembered.
const REMEMBERED: usize = 16_384;

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("the token is malformed: {0}")]
    Form(&'static str),
    #[error("the token is signed with an algorithm that is not accepted")]
    Algorithm,
    #[error("the token is of a type that is not accepted")]
    Type,
    #[error("the token is of an issuer that is not configured")]
    Issuer,
    #[error("the token names a key that its issuer does not have")]
    UnknownKey,
    #[error("the signature of the token is wrong")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token is of a client that is not accepted")]
    Client,
    #[error("the token has {0}")]
    Claim(&'static str),
    #[error("the token is of a tenant that is not configured")]
    Tenant,
    #[error("its issuer says that the token is not active")]
    Inactive,
    #[error("the proof of possession is refused: {0}")]
    Proof(&'static str),
    #[error("the proof of possession was used before")]
    Replayed,
    #[error("the proof of possession needs a number of ours")]
    Nonce,
    #[error("the token is bound to a key, and the request has no proof of it")]
    Unproved,
    #[error("the token is not bound to a key")]
    Unbound,
    #[error("the token is bound to a client certificate, and the connection shows another or none")]
    NoCertificate,
    #[error("more proofs came than can be remembered")]
    Busy,
    #[error("the keys of the issuer cannot be had")]
    NoKeys,
    #[error("the issuer cannot be asked about the token")]
    NoAnswer,
}

/// Why a token was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct TokenError(Wrong);

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        Self::Token(TokenError(wrong))
    }
}

impl TokenError {
    /// Returns what the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let no = |code, public| Fault::new(Kind::Unauthenticated, code, public);
        let fault = match &self.0 {
            Wrong::Form(what) => no("ID-021", "the access token is malformed").with_hint(*what),
            Wrong::Algorithm | Wrong::Type => {
                no("ID-022", "this kind of token is not accepted here")
                    .with_hint("send an access token; ID tokens and unsigned ones are refused")
            }
            Wrong::Issuer => no(
                "ID-023",
                "the issuer of the access token is not trusted here",
            )
            .with_hint("ask one of the authorization servers in the resource metadata"),
            Wrong::UnknownKey | Wrong::Signature => no(
                "ID-024",
                "the signature of the access token cannot be verified",
            ),
            Wrong::Expired => no("ID-025", "the access token has expired")
                .with_hint("get a new token and send the request again"),
            Wrong::Early => no("ID-025", "the access token is not valid yet"),
            Wrong::Audience => no("ID-026", "the access token is for another resource").with_hint(
                "ask for a token with `resource` set to the URL in the resource metadata",
            ),
            Wrong::Client => Fault::new(
                Kind::Forbidden,
                "ID-027",
                "this client is not accepted here",
            )
            .with_hint("ask the operator of this installation"),
            Wrong::Claim(_) | Wrong::Tenant => no(
                "ID-028",
                "the access token does not say what is needed here",
            ),
            Wrong::Inactive => no("ID-029", "the access token is not active")
                .with_hint("get a new token and send the request again"),
            Wrong::Proof(what) => no("ID-030", "the DPoP proof is not accepted").with_hint(*what),
            Wrong::Replayed => no("ID-031", "the DPoP proof was used before")
                .with_hint("make a new proof, with a `jti` of its own, for every request"),
            Wrong::Nonce => no("ID-032", "the DPoP proof needs a nonce of this server")
                .with_hint("make a new proof with the value of `DPoP-Nonce`"),
            Wrong::Unproved => no("ID-033", "the access token needs a DPoP proof")
                .with_hint("send `Authorization: DPoP …` and one `DPoP` proof"),
            Wrong::Unbound => no("ID-033", "the access token is not bound to a key")
                .with_hint("ask for a DPoP-bound token"),
            Wrong::NoCertificate => no(
                "ID-072",
                "the access token needs the client certificate that it is bound to",
            )
            .with_hint("call over connections that show the certificate the token was issued to"),
            Wrong::Busy | Wrong::NoKeys | Wrong::NoAnswer => Fault::new(
                Kind::Unavailable,
                "ID-035",
                "who is calling cannot be verified at the moment",
            )
            .with_retry_after(keys::RETRY),
        };
        fault.with_private(self)
    }

    /// Returns the code of RFC 6750 or RFC 9449 for the challenge; none if trying again
    /// with another token is of no use.
    pub(crate) fn challenge(&self) -> Option<&'static str> {
        match &self.0 {
            Wrong::Proof(_) | Wrong::Replayed | Wrong::Unproved | Wrong::Unbound => {
                Some("invalid_dpop_proof")
            }
            Wrong::Nonce => Some("use_dpop_nonce"),
            Wrong::Client | Wrong::Busy | Wrong::NoKeys | Wrong::NoAnswer => None,
            _ => Some("invalid_token"),
        }
    }
}

/// One issuer at work.
#[derive(Debug)]
struct Issuer {
    config: IssuerConfig,
    source: Arc<Source>,
    introspection: Option<Introspection>,
}

/// Whose keys a token was verified with.
#[derive(Debug, Clone)]
enum Vouched {
    Issuer(Arc<Issuer>),
    Domain(Arc<TrustDomain>),
}

/// A token that was verified before.
#[derive(Debug, Clone)]
struct Remembered {
    verified: Arc<Verified>,
    by: Vouched,
    generation: u64,
}

/// Recognises access tokens.
#[derive(Debug, Clone)]
pub(crate) struct Tokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuers: Vec<Arc<Issuer>>,
    domains: Vec<Arc<TrustDomain>>,
    resource: Arc<Resource>,
    proxies: Proxies,
    remembered: Table<Remembered>,
    proofs: Arc<Proofs>,
    means: Means,
}

/// A token as a request shows it.
struct Shown<'a> {
    token: &'a [u8],
    name: table::Name,
    proof: Option<&'a [u8]>,
    /// What the connection shows, or a proxy that ends it.
    certificate: Option<PeerCertificate>,
    scheme: Scheme,
    method: &'a str,
    path: &'a str,
}

/// The same, for a judgement that takes longer than the head is there.
struct Kept {
    token: Box<[u8]>,
    name: table::Name,
    proof: Option<Box<[u8]>>,
    certificate: Option<PeerCertificate>,
    scheme: Scheme,
    method: Box<str>,
    path: Box<str>,
}

impl Kept {
    fn shown(&self) -> Shown<'_> {
        Shown {
            token: &self.token,
            name: self.name,
            proof: self.proof.as_deref(),
            certificate: self.certificate.clone(),
            scheme: self.scheme,
            method: &self.method,
            path: &self.path,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Dpop,
}

impl Tokens {
    /// Returns a verifier of the tokens that `config` accepts. What `previous` knows of
    /// the same issuers is taken over.
    pub(crate) fn new(
        config: TokenConfig<'_>,
        (resource, proxies): (Arc<Resource>, Proxies),
        outside: &Outside<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, TokenConfigError> {
        let means = Means {
            clock: outside.clock.clone(),
            fetch: outside.fetch.clone(),
            supervisor: outside.supervisor.clone(),
        };
        let known: Vec<Arc<Source>> = previous.map(Self::sources).unwrap_or_default();
        let source = |name: &str, place, reach| {
            let fresh = Source::new(name, place, reach, means.clone());
            let same = known.iter().find(|known| known.is_same(&fresh));
            same.cloned().unwrap_or(fresh)
        };
        let issuer = |config: &IssuerConfig| {
            let place = match &config.jwks_url {
                Some(url) => Place::Url(url.clone()),
                None => Place::Discovered {
                    issuer: config.url.clone(),
                },
            };
            let reach = match config.parsed() {
                Some(url) => Reach::of(&url, config.internal),
                None => Reach::Public,
            };
            let introspection = config.introspection.as_ref();
            let introspection = introspection.map(|wanted| Introspection::load(config, wanted));
            Ok(Arc::new(Issuer {
                source: source(&config.name, place, reach),
                introspection: introspection.transpose()?,
                config: config.clone(),
            }))
        };
        let domains = config.trust_domains.iter().map(|config| {
            let (place, reach) = svid::place(config);
            let source = source(&config.name, place, reach);
            Arc::new(TrustDomain::new(config.clone(), source))
        });
        Ok(Self(Arc::new(Inner {
            issuers: config
                .issuers
                .iter()
                .map(issuer)
                .collect::<Result<_, _>>()?,
            domains: domains.collect(),
            resource,
            proxies,
            remembered: Table::new(REMEMBERED),
            // A proof that was seen stays seen when the configuration changes.
            proofs: match previous {
                Some(previous) => previous.0.proofs.clone(),
                None => Arc::new(Proofs::new()),
            },
            means,
        })))
    }

    fn sources(&self) -> Vec<Arc<Source>> {
        let issuers = self.0.issuers.iter().map(|issuer| issuer.source.clone());
        let domains = self.0.domains.iter().map(|domain| domain.source().clone());
        issuers.chain(domains).collect()
    }

    /// Returns the number that a DPoP proof has to hold now, if one of the issuers
    /// asks for it.
    pub(crate) fn nonce(&self) -> Option<String> {
        let mut issuers = self.0.issuers.iter();
        let asks = issuers.any(|issuer| issuer.config.dpop == Dpop::Nonce);
        asks.then(|| self.0.proofs.nonce(self.0.now()))
    }
}

impl Verifier for Tokens {
    fn verify(&self, head: &Head<'_>) -> Verdict {
        let mut shown = match Shown::read(head) {
            Ok(Some(shown)) => shown,
            Ok(None) => return Verdict::Passed,
            Err(wrong) => return Verdict::Refused(wrong.into()),
        };
        match self.0.proxies.certificate(head) {
            Ok(certificate) => shown.certificate = certificate,
            Err(error) => return Verdict::Refused(Error::Certificate(error)),
        }
        match self.0.judge(&shown, None) {
            Ok(Judged::Claim(claim)) => Verdict::Claimed(claim),
            Ok(Judged::NeedsKeys(source)) => {
                let (inner, kept) = (self.0.clone(), shown.keep());
                Verdict::Asking(Box::pin(async move {
                    let known = source.refreshed().await.map_err(|Away| Wrong::NoKeys)?;
                    match inner.judge(&kept.shown(), Some(&known))? {
                        Judged::Claim(claim) => Ok(Some(claim)),
                        Judged::NeedsKeys(_) | Judged::NeedsAnswer(_) => {
                            Err(Wrong::UnknownKey.into())
                        }
                    }
                }))
            }
            Ok(Judged::NeedsAnswer(issuer)) => {
                let (inner, kept) = (self.0.clone(), shown.keep());
                Verdict::Asking(Box::pin(async move {
                    let shown = kept.shown();
                    let verified = inner.look_up(&issuer, &shown).await?;
                    let claim = inner.admit(&shown, &verified, &Vouched::Issuer(issuer))?;
                    Ok(Some(claim))
                }))
            }
            Err(wrong) => Verdict::Refused(wrong.into()),
        }
    }
}

/// How far a judgement got.
enum Judged {
    Claim(Claim),
    NeedsKeys(Arc<Source>),
    NeedsAnswer(Arc<Issuer>),
}

impl Inner {
    fn now(&self) -> Timestamp {
        self.means.clock.now()
    }

    /// Judges a token, after a fetch with the keys that it brought.
    fn judge(&self, shown: &Shown<'_>, fetched: Option<&Arc<Known>>) -> Result<Judged, Wrong> {
        let now = self.now();
        if let Some(known) = self.remembered.find(&shown.name, now) {
            let current = known.by.source().known();
            if current.is_some_and(|current| current.generation == known.generation)
                || known.by.is_looked_up(shown.token)
            {
                let claim = self.admit(shown, &known.verified, &known.by)?;
                return Ok(Judged::Claim(claim));
            }
        }
        if !jose::is_compact(shown.token) {
            let mut issuers = self.issuers.iter();
            let asked = issuers.find(|issuer| issuer.introspection.is_some());
            // It could be anything: that of an issuer who is not asked.
            return asked.cloned().map(Judged::NeedsAnswer).ok_or(Wrong::Issuer);
        }
        let token = Compact::parse(shown.token)?;
        let by = self.voucher(&token)?;
        let known = match fetched.cloned().or_else(|| by.source().known()) {
            Some(known) => known,
            None => return Ok(Judged::NeedsKeys(by.source().clone())),
        };
        by.check_form(&token)?;
        match known.keys.verify(&token) {
            Err(Wrong::UnknownKey) if fetched.is_none() => {
                return Ok(Judged::NeedsKeys(by.source().clone()));
            }
            verified => verified?,
        }
        let verified = Arc::new(by.read(&token, now)?);
        let claim = self.admit(shown, &verified, &by)?;
        let until = Timestamp::from_second(verified.not_after).unwrap_or(Timestamp::MAX);
        let remembered = Remembered {
            verified,
            by,
            generation: known.generation,
        };
        self.remembered.put(shown.name, until, remembered, now);
        Ok(Judged::Claim(claim))
    }

    /// Returns who has to vouch for `token`.
    fn voucher(&self, token: &Compact<'_>) -> Result<Vouched, Wrong> {
        let issuer = token.payload.text("iss");
        let mut issuers = self.issuers.iter();
        if let Some(issuer) = issuers.find(|known| Some(known.config.url.as_str()) == issuer) {
            return Ok(Vouched::Issuer(issuer.clone()));
        }
        // JWT-SVIDs need no issuer: the trust domain is part of the subject.
        let domain = token.payload.text("sub").and_then(svid::trust_domain);
        let mut domains = self.domains.iter();
        let known = domain.and_then(|domain| domains.find(|known| known.name() == domain));
        known.cloned().map(Vouched::Domain).ok_or(Wrong::Issuer)
    }

    /// Returns the claim of a request with a verified token: for this endpoint, with a
    /// proof where one is needed.
    fn admit(&self, shown: &Shown<'_>, verified: &Verified, by: &Vouched) -> Result<Claim, Wrong> {
        if verified.not_after <= self.now().as_second() {
            return Err(Wrong::Expired);
        }
        let ours = |audience: &String| {
            self.resource.is(audience, shown.path) || by.audience().contains(audience)
        };
        if !verified.audience.iter().any(ours) {
            return Err(Wrong::Audience);
        }
        let dpop = match by {
            Vouched::Issuer(issuer) => issuer.config.dpop,
            Vouched::Domain(_) => Dpop::Bound,
        };
        let claim = Claim::from(verified.caller.clone());
        match (&verified.binding, shown.scheme, dpop) {
            (Binding::None, Scheme::Bearer, Dpop::Bound) => Ok(claim),
            // Whether the certificate itself is good is judged with the connection.
            (Binding::Certificate(thumbprint), Scheme::Bearer, Dpop::Bound) => {
                let certificate = shown.certificate.as_ref();
                match certificate.is_some_and(|shown| shown.is_named(thumbprint)) {
                    true => Ok(claim),
                    false => Err(Wrong::NoCertificate),
                }
            }
            (Binding::None | Binding::Certificate(_), _, _) => Err(Wrong::Unbound),
            (Binding::Key(_), Scheme::Bearer, _) => Err(Wrong::Unproved),
            (Binding::Key(key), Scheme::Dpop, _) => {
                let proof = shown.proof.ok_or(Wrong::Unproved)?;
                let url = self.resource.url_of(shown.path).ok_or(Wrong::Audience)?;
                let wanted = Wanted {
                    method: shown.method,
                    url: &url,
                    token: shown.token,
                    key,
                    needs_nonce: dpop == Dpop::Nonce,
                };
                Ok(match self.proofs.check(proof, wanted, self.now())? {
                    Some(digest) => claim.with_body(digest),
                    None => claim,
                })
            }
        }
    }

    /// Asks `issuer` about a token without content.
    async fn look_up(
        &self,
        issuer: &Arc<Issuer>,
        shown: &Shown<'_>,
    ) -> Result<Arc<Verified>, Wrong> {
        let introspection = issuer.introspection.as_ref().ok_or(Wrong::Issuer)?;
        let looked_up = introspection
            .ask(&issuer.source, shown.token, shown.name)
            .await?;
        let (verified, until) = introspection.read(&issuer.config, &looked_up, self.now())?;
        let verified = Arc::new(verified);
        let remembered = Remembered {
            verified: verified.clone(),
            by: Vouched::Issuer(issuer.clone()),
            generation: 0,
        };
        self.remembered
            .put(shown.name, until, remembered, self.now());
        Ok(verified)
    }
}

impl Vouched {
    fn source(&self) -> &Arc<Source> {
        match self {
            Self::Issuer(issuer) => &issuer.source,
            Self::Domain(domain) => domain.source(),
        }
    }

    fn audience(&self) -> &[String] {
        match self {
            Self::Issuer(issuer) => &issuer.config.audience,
            Self::Domain(domain) => domain.audience(),
        }
    }

    /// Returns whether no key but an answer vouched for `token`.
    fn is_looked_up(&self, token: &[u8]) -> bool {
        match self {
            Self::Issuer(issuer) => issuer.introspection.is_some() && !jose::is_compact(token),
            Self::Domain(_) => false,
        }
    }

    /// Checks what kind of token it is, before its signature.
    fn check_form(&self, token: &Compact<'_>) -> Result<(), Wrong> {
        match self {
            Self::Issuer(issuer) => issuer.check_form(token),
            Self::Domain(_) => svid::check_form(token),
        }
    }

    fn read(&self, token: &Compact<'_>, now: Timestamp) -> Result<Verified, Wrong> {
        match self {
            Self::Issuer(issuer) => issuer.read(token, now),
            Self::Domain(domain) => domain.read(token, now),
        }
    }
}

impl Issuer {
    fn check_form(&self, token: &Compact<'_>) -> Result<(), Wrong> {
        if !self.config.algorithms.contains(&token.algorithm) {
            return Err(Wrong::Algorithm);
        }
        // Without a type it is any JWT.
        let kind = token.kind.as_deref().unwrap_or("jwt");
        let mut types = self.config.token_types.iter();
        if !types.any(|known| known.eq_ignore_ascii_case(kind)) {
            return Err(Wrong::Type);
        }
        // ID tokens are for clients (OpenID Connect Core, section 2).
        let of_sign_in = |name| token.payload.0.contains_key(name);
        if kind == "jwt" && ["nonce", "at_hash", "c_hash"].into_iter().any(of_sign_in) {
            return Err(Wrong::Type);
        }
        Ok(())
    }

    fn read(&self, token: &Compact<'_>, now: Timestamp) -> Result<Verified, Wrong> {
        let claims = &token.payload;
        let not_after = self.times(now).check(claims, true)?;
        let binding = Binding::read(claims)?;
        let mut checked = vec![
            format!("signature {}", token.algorithm.as_str()),
            "issuer".to_owned(),
            "audience".to_owned(),
            "expiry".to_owned(),
        ];
        checked.extend(binding.checked().map(str::to_owned));
        Ok(Verified {
            caller: claims::caller(&self.config, claims, Evidence::new("jwt", checked))?,
            audience: claims::audience(claims),
            not_after,
            binding,
        })
    }

    fn times(&self, now: Timestamp) -> Now {
        Now {
            second: now.as_second(),
            skew_s: i64::try_from(self.config.clock_skew_s).unwrap_or(0),
        }
    }
}

impl<'a> Shown<'a> {
    /// Returns the token of a request; nothing if it shows none.
    fn read(head: &Head<'a>) -> Result<Option<Self>, Wrong> {
        let mut values = head.headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Wrong::Form("there is more than one `Authorization`"));
        }
        let Some((scheme, token)) = split(value.as_bytes()) else {
            return Ok(None);
        };
        // Keys of this installation are somebody else's to judge.
        if token.starts_with(crate::PREFIX.as_bytes()) {
            return Ok(None);
        }
        // RFC 6750, section 2.1.
        let permitted = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        if token.is_empty() || token.len() > jose::MAX_TOKEN || !token.iter().all(permitted) {
            return Err(Wrong::Form("it is empty, too large or not a token"));
        }
        Ok(Some(Self {
            name: table::name(&[token]),
            proof: proof(head.headers, scheme)?,
            certificate: None,
            scheme,
            token,
            method: head.method.as_str(),
            path: head.uri.path(),
        }))
    }

    fn keep(&self) -> Kept {
        Kept {
            token: self.token.into(),
            name: self.name,
            proof: self.proof.map(Into::into),
            certificate: self.certificate.clone(),
            scheme: self.scheme,
            method: self.method.into(),
            path: self.path.into(),
        }
    }
}

fn proof(headers: &HeaderMap, scheme: Scheme) -> Result<Option<&[u8]>, Wrong> {
    let mut proofs = headers.get_all("dpop").iter();
    match (scheme, proofs.next(), proofs.next()) {
        (Scheme::Bearer, _, _) | (Scheme::Dpop, None, _) => Ok(None),
        (Scheme::Dpop, Some(proof), None) => Ok(Some(proof.as_bytes())),
        (Scheme::Dpop, Some(_), Some(_)) => Err(Wrong::Proof("there is more than one")),
    }
}

/// Splits credentials of a scheme that is known here.
fn split(value: &[u8]) -> Option<(Scheme, &[u8])> {
    let end = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = value.split_at(end);
    let scheme = match scheme {
        name if name.eq_ignore_ascii_case(b"Bearer") => Scheme::Bearer,
        name if name.eq_ignore_ascii_case(b"DPoP") => Scheme::Dpop,
        _ => return None,
    };
    Some((scheme, rest.trim_ascii_start()))
}

#[cfg(test)]
mod tests;
