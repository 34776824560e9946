//! Signed requests (RFC 9421) of agents and of holders of configured keys.
//!
//! An agent names itself in `Signature-Agent` and signs with the tag `web-bot-auth`
//! (draft-ietf-webbotauth-httpsig-protocol-01); its keys are fetched from its own
//! directory. Whoever shares a key with the operator signs with that key's id.
//!
//! # Invariants
//!
//! * Only configured agents and keys count, and only one signature of a request: two
//!   that claim to say who calls are refused.
//! * A signature covers the host, what else the operator demands, and the digest of
//!   the body where there is one; the body is compared when it is there.
//! * It is good for a bounded time, and with a nonce once.
//! * What cannot be judged because a directory is out of reach counts for nothing.

mod base;
mod directory;
mod field;
mod key;
mod replay;

use std::{
    collections::HashMap,
    fmt, fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use airside_base::{Clock, Fault, Kind, TenantId};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, header};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

pub use self::{base::BaseError, key::Algorithm};
use self::{
    base::{Message, Request, written},
    directory::{Directory, Found},
    field::{SKEW, Signature, Signatures, agent},
    key::Key,
    replay::{Nonces, Taken},
};
use crate::{
    Attestation, BodyDigest, Caller, CallerKind, Claim, Claims, Config, Error as Unidentified,
    Evidence, Fetch, Head, Outside, Proxies, Reach, Verdict, Verifier,
};

/// What agents put into `tag`.
const TAG: &str = "web-bot-auth";

/// Largest file of a key, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Shortest secret for HMAC, in bytes.
const MIN_SECRET: usize = 32;

/// What signatures of requests have to be like.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SignatureConfig {
    /// Components that a signature covers besides `@authority` or `@target-uri`, as RFC
    /// 9421 names them.
    pub components: Vec<String>,
    /// Longest time between the creation of a signature and its end, in seconds. For
    /// this long one without a nonce can be replayed by whoever reads it.
    pub max_validity_s: u32,
    /// Refuses signatures without a nonce.
    pub require_nonce: bool,
    /// Accepts requests with a body that the signature does not cover. Whoever can
    /// change a request on its way then changes what is asked for.
    pub unsigned_body: bool,
}

impl Default for SignatureConfig {
    fn default() -> Self {
        Self {
            components: vec!["@method".to_owned()],
            max_validity_s: 3600,
            require_nonce: false,
            unsigned_body: false,
        }
    }
}

/// An agent that publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AgentConfig {
    /// Name of the agent, which becomes the id of its caller.
    pub name: String,
    /// What it calls itself in `Signature-Agent`, such as `https://chatgpt.com`. Its
    /// keys are fetched from there.
    pub url: Url,
    /// Says that `url` is in a private network.
    #[serde(default)]
    pub internal: bool,
    /// Tenant whose ledger chain records the calls.
    #[serde(default)]
    pub tenant: TenantId,
    /// Groups that policies can refer to.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A key whose holder signs requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SigningKeyConfig {
    /// Name of the holder, which becomes the id of its caller.
    pub name: String,
    /// What its signatures carry as `keyid`.
    pub key_id: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// PEM file with the public key; for `hmac-sha256`, file with the secret of at
    /// least 32 bytes in base64.
    pub file: PathBuf,
    /// Tenant whose ledger chain records the calls.
    #[serde(default)]
    pub tenant: TenantId,
    /// Groups that policies can refer to.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Why the configuration of signatures cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The URL of an agent is not an origin.
    #[error("`{url}` of agent `{name}` cannot be its address: {reason}")]
    Agent {
        /// The agent.
        name: String,
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// A name, URL or key id is there twice.
    #[error("two agents or signing keys have the same {what} `{value}`")]
    Twice {
        /// The table of the later one.
        table: &'static str,
        /// What is the same.
        what: &'static str,
        /// Its value.
        value: String,
    },
    /// A key cannot be read.
    #[error("the key of `{name}` cannot be used: {reason}")]
    Key {
        /// The holder.
        name: String,
        /// Why.
        reason: String,
    },
    /// A demanded component is none.
    #[error("`{0}` is not a component that signatures can cover")]
    Component(String),
    /// No signature would be good.
    #[error("`max-validity-s` must be at least 1")]
    NoTime,
}

impl SignatureError {
    /// Returns the table below `[identity]` that is wrong.
    #[must_use]
    pub const fn table(&self) -> &'static str {
        match self {
            Self::Agent { .. } => "agent",
            Self::Twice { table, .. } => table,
            Self::Key { .. } => "signing-key",
            Self::Component(_) | Self::NoTime => "signature",
        }
    }

    /// Returns what the operator may read.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::new(Kind::Invalid, "ID-066", self.to_string()).with_hint(match self {
            Self::Agent { .. } => "write scheme, host and port only, such as https://agent.example",
            Self::Twice { .. } => "with a shared name or key nobody can tell who called",
            Self::Key { .. } => "give PEM with `BEGIN PUBLIC KEY`, or 32 bytes and more in base64",
            Self::Component(_) => "write `@method`, `@path`, or a header in lower case",
            Self::NoTime => "remove the key to take the default",
        })
    }
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The fields are not as the RFC says.
    #[error("the signature is malformed: {0}")]
    Malformed(&'static str),
    /// It covers something that cannot be signed, or is not there.
    #[error("the signature covers what is not there")]
    Base(#[source] BaseError),
    /// It does not cover what it has to.
    #[error("the signature does not cover `{0}`")]
    NotCovered(String),
    /// It is not good now, or for too long.
    #[error("the signature is not good at this time: {0}")]
    Time(&'static str),
    /// Its nonce was used before, or could not be remembered.
    #[error("the nonce of the signature was used before")]
    Replayed,
    /// More nonces of the signer are good than are remembered.
    #[error("`{0}` has more nonces open than are remembered")]
    TooMany(String),
    /// Nobody who is configured signs like this.
    #[error("nobody is known as {0}")]
    Unknown(String),
    /// It is not of the key.
    #[error("the signature of {0} is wrong")]
    Wrong(String),
}

impl Error {
    /// Returns what the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let refused =
            |code, public| Fault::new(Kind::Unauthenticated, code, public).with_private(self);
        match self {
            Self::Malformed(what) => {
                refused("ID-056", "the signature of the request is malformed").with_hint(*what)
            }
            Self::Base(error) => refused("ID-057", "the signature does not cover what it has to")
                .with_hint(error.to_string()),
            Self::NotCovered(what) => {
                refused("ID-057", "the signature does not cover what it has to")
                    .with_hint(format!("let it cover `{what}`"))
            }
            Self::Time(what) => {
                refused("ID-058", "the signature is not good at this time").with_hint(*what)
            }
            Self::Replayed => refused("ID-059", "the signature was used before")
                .with_hint("sign each request anew, with a fresh nonce"),
            Self::TooMany(_) => Fault::new(
                Kind::Unavailable,
                "ID-062",
                "too many signatures are good at the same time",
            )
            .with_hint("let signatures expire sooner")
            .with_private(self),
            Self::Unknown(_) => refused("ID-060", "the signer is not known here")
                .with_hint("ask the operator of this installation"),
            Self::Wrong(_) => refused("ID-061", "the signature is wrong")
                .with_hint("sign what is sent, with the key that is published"),
        }
    }
}

/// Somebody who signs.
struct Signer {
    name: String,
    tenant: TenantId,
    groups: Vec<String>,
    /// Where an agent is.
    origin: Option<String>,
    source: Source,
    nonces: Arc<Nonces>,
}

enum Source {
    Fixed(Arc<Key>),
    Published(Box<Directory>),
}

/// Recognises signed requests.
pub struct HttpSignatures {
    config: SignatureConfig,
    agent_configs: Vec<AgentConfig>,
    /// By origin.
    agents: HashMap<String, Arc<Signer>>,
    /// By key id.
    keys: HashMap<String, Arc<Signer>>,
    proxies: Proxies,
    clock: Arc<dyn Clock>,
}

impl HttpSignatures {
    /// Returns what `all` says of signatures, agents and keys; reads the files of keys. What
    /// `previous` has fetched and remembers is taken over.
    ///
    /// # Errors
    ///
    /// When an address or a key cannot be used, or something is there twice.
    pub fn load(
        all: &Config,
        proxies: Proxies,
        outside: &Outside<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, SignatureError> {
        let (config, agents, keys) = (&all.signature, &all.agent, &all.signing_key);
        if config.max_validity_s == 0 {
            return Err(SignatureError::NoTime);
        }
        for component in &config.components {
            let field = |byte: u8| byte.is_ascii_lowercase() || b"-_0123456789".contains(&byte);
            let name = component.strip_prefix('@').unwrap_or(component);
            if name.is_empty() || !name.bytes().all(field) {
                let shown = component.escape_debug().take(60).collect();
                return Err(SignatureError::Component(shown));
            }
        }
        let mut this = Self {
            config: config.clone(),
            agent_configs: agents.clone(),
            agents: HashMap::new(),
            keys: HashMap::new(),
            proxies,
            clock: outside.clock.clone(),
        };
        let mut names = std::collections::HashSet::new();
        let mut claim = |table, tenant: &TenantId, name: &String| {
            let fresh = names.insert((tenant.clone(), name.clone()));
            fresh.then_some(()).ok_or_else(|| SignatureError::Twice {
                table,
                what: "name",
                value: name.clone(),
            })
        };
        for agent in agents {
            claim("agent", &agent.tenant, &agent.name)?;
            this.add_agent(agent, &outside.fetch, previous)?;
        }
        for key in keys {
            claim("signing-key", &key.tenant, &key.name)?;
            let before = previous.and_then(|previous| previous.keys.get(&key.key_id));
            let signer = Signer {
                name: key.name.clone(),
                tenant: key.tenant.clone(),
                groups: key.groups.clone(),
                origin: None,
                source: Source::Fixed(Arc::new(read_key(key)?)),
                nonces: before
                    .map(|before| before.nonces.clone())
                    .unwrap_or_default(),
            };
            if this
                .keys
                .insert(key.key_id.clone(), Arc::new(signer))
                .is_some()
            {
                return Err(SignatureError::Twice {
                    table: "signing-key",
                    what: "key id",
                    value: key.key_id.clone(),
                });
            }
        }
        Ok(this)
    }

    fn add_agent(
        &mut self,
        agent: &AgentConfig,
        fetch: &Arc<dyn Fetch>,
        previous: Option<&Self>,
    ) -> Result<(), SignatureError> {
        let refused = |reason: String| SignatureError::Agent {
            name: agent.name.clone(),
            url: agent.url.to_string(),
            reason,
        };
        if agent.url.path() != "/" || agent.url.query().is_some() {
            return Err(refused("it has a path".to_owned()));
        }
        Reach::of(&agent.url, agent.internal)
            .check(&agent.url)
            .map_err(|error| refused(error.to_string()))?;
        let origin = agent.url.origin().ascii_serialization();
        let same = previous.filter(|previous| previous.agent_configs.contains(agent));
        let signer = match same.and_then(|previous| previous.agents.get(&origin)) {
            Some(signer) => signer.clone(),
            None => {
                let (fetch, clock) = (fetch.clone(), self.clock.clone());
                let directory = Directory::new(&agent.url, agent.internal, fetch, clock);
                Arc::new(Signer {
                    name: agent.name.clone(),
                    tenant: agent.tenant.clone(),
                    groups: agent.groups.clone(),
                    origin: Some(origin.clone()),
                    source: Source::Published(Box::new(directory)),
                    nonces: Arc::default(),
                })
            }
        };
        if self.agents.insert(origin.clone(), signer).is_some() {
            return Err(SignatureError::Twice {
                table: "agent",
                what: "url",
                value: origin,
            });
        }
        Ok(())
    }

    /// Returns whether nobody can sign.
    pub(crate) fn is_empty(&self) -> bool {
        self.agents.is_empty() && self.keys.is_empty()
    }

    /// Everything about a signature but the key and the nonce.
    fn examine(&self, head: &Head<'_>) -> Result<Option<Pending>, Error> {
        let Some(all) = Signatures::read(head.headers).map_err(Error::Malformed)? else {
            return Ok(None);
        };
        let ours = |signature: &&Signature| {
            let key = signature.keyid.as_ref();
            signature.tag.as_deref() == Some(TAG)
                || key.is_some_and(|key| self.keys.contains_key(key))
        };
        let mut ours = all.iter().filter(ours);
        let signature = match (ours.next(), ours.next()) {
            (None, _) => return Ok(None),
            (Some(signature), None) => signature,
            (Some(_), Some(_)) => {
                return Err(Error::Malformed(
                    "two signatures say who is calling: send one",
                ));
            }
        };
        let keyid = signature.keyid.as_ref();
        let keyid = keyid.ok_or(Error::Malformed("the signature has no keyid"))?;
        let signer = self.signer(head, signature, keyid)?;
        let until = self.check_time(signature)?;
        let bodies = self.check_coverage(head, signature)?;
        let authority = authority(head)?;
        let secure = head.secure || self.proxies.trusts(head.peer.ip());
        let message = Message {
            request: Request {
                method: head.method,
                scheme: if secure { "https" } else { "http" },
                authority: &authority,
                path: match head.uri.path() {
                    "" => "/",
                    path => path,
                },
                query: head.uri.query(),
                headers: head.headers,
            },
            response: None,
        };
        let base = message.base(&signature.covered).map_err(Error::Base)?;
        Ok(Some(Pending {
            signer,
            keyid: keyid.clone(),
            base,
            covered: signature.covered.items.iter().map(written).collect(),
            value: signature.value.clone(),
            alg: signature.alg.clone(),
            nonce: signature.nonce.clone(),
            until,
            bodies,
            clock: self.clock.clone(),
        }))
    }

    fn signer(
        &self,
        head: &Head<'_>,
        signature: &Signature,
        keyid: &str,
    ) -> Result<Arc<Signer>, Error> {
        if let Some(signer) = self.keys.get(keyid) {
            return Ok(signer.clone());
        }
        let named = agent(head.headers, signature).map_err(Error::Malformed)?;
        let named = named.ok_or(Error::Malformed(
            "the signature names no agent: send Signature-Agent and cover it",
        ))?;
        let shown = || {
            Error::Unknown(format!(
                "agent {}",
                named.escape_debug().take(100).collect::<String>()
            ))
        };
        let url = Url::parse(&named).map_err(|_| shown())?;
        let whole = matches!(url.path(), "/" | directory::WELL_KNOWN) && url.query().is_none();
        let found = self.agents.get(&url.origin().ascii_serialization());
        found.filter(|_| whole).cloned().ok_or_else(shown)
    }

    /// Returns until which second the signature is good, at the longest.
    fn check_time(&self, signature: &Signature) -> Result<i64, Error> {
        let now = self.clock.now().as_second();
        let longest = i64::from(self.config.max_validity_s);
        let created = signature
            .created
            .ok_or(Error::Time("the signature has no `created`"))?;
        let expires = signature
            .expires
            .unwrap_or_else(|| created.saturating_add(longest));
        if created > now + SKEW {
            return Err(Error::Time("it was created in the future: check the clock"));
        }
        if expires.saturating_sub(created) > longest {
            return Err(Error::Time("it is good for longer than is accepted here"));
        }
        if now > expires.saturating_add(SKEW) {
            return Err(Error::Time(
                "it has expired: sign each request when it is sent",
            ));
        }
        Ok(expires.saturating_add(SKEW))
    }

    /// Returns what the body has to be.
    fn check_coverage(
        &self,
        head: &Head<'_>,
        signature: &Signature,
    ) -> Result<Vec<BodyDigest>, Error> {
        let covers = |name: &str| signature.covers(&format!("\"{name}\""));
        if !covers("@authority") && !covers("@target-uri") {
            return Err(Error::NotCovered("@authority".to_owned()));
        }
        if let Some(missing) = self.config.components.iter().find(|name| !covers(name)) {
            return Err(Error::NotCovered(missing.clone()));
        }
        if self.config.require_nonce && signature.nonce.is_none() {
            return Err(Error::NotCovered("nonce".to_owned()));
        }
        if covers("content-digest") {
            return BodyDigest::read(head.headers).map_err(Error::Malformed);
        }
        let empty = head
            .headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() == b"0");
        let bodiless = empty || matches!(*head.method, Method::GET | Method::DELETE);
        match bodiless || self.config.unsigned_body {
            true => Ok(Vec::new()),
            false => Err(Error::NotCovered("content-digest".to_owned())),
        }
    }
}

/// The host that the request is for, as its sender wrote it, without a usual port.
fn authority(head: &Head<'_>) -> Result<String, Error> {
    let host = head.headers.get(header::HOST).map(|host| host.to_str());
    let host = match host {
        Some(Ok(host)) => host.to_ascii_lowercase(),
        _ => return Err(Error::Malformed("the request has no Host")),
    };
    let usual = if head.secure { ":443" } else { ":80" };
    Ok(host.strip_suffix(usual).unwrap_or(&host).to_owned())
}

fn read_key(config: &SigningKeyConfig) -> Result<Key, SignatureError> {
    let refused = |reason: String| SignatureError::Key {
        name: config.name.clone(),
        reason,
    };
    let bytes = read(&config.file).map_err(|error| refused(error.to_string()))?;
    if config.algorithm == Algorithm::HmacSha256 {
        let secret = STANDARD.decode(bytes.trim_ascii()).ok();
        let secret = secret.filter(|secret| secret.len() >= MIN_SECRET);
        let secret = secret.ok_or_else(|| refused("it is not 32 bytes of base64".to_owned()))?;
        return Ok(Key::shared(&secret));
    }
    let spki = SubjectPublicKeyInfoDer::from_pem_slice(&bytes);
    let spki = spki.map_err(|_| refused("the file is not PEM of a public key".to_owned()))?;
    Key::public(config.algorithm, spki.to_vec())
        .ok_or_else(|| refused("the algorithm has no public key".to_owned()))
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A signature that only its key is missing for.
struct Pending {
    signer: Arc<Signer>,
    keyid: String,
    base: String,
    covered: Vec<String>,
    value: Vec<u8>,
    alg: Option<String>,
    nonce: Option<String>,
    until: i64,
    bodies: Vec<BodyDigest>,
    clock: Arc<dyn Clock>,
}

impl Pending {
    fn judge(self) -> Verdict {
        let found = match &self.signer.source {
            Source::Fixed(key) => Found::Key(key.clone()),
            Source::Published(directory) => directory.find(&self.keyid),
        };
        match found {
            Found::Key(key) => match self.verify(&key) {
                Ok(claim) => Verdict::Claimed(claim),
                Err(error) => Verdict::Refused(error.into()),
            },
            Found::Absent => Verdict::Refused(self.absent().into()),
            Found::Unreachable | Found::Unknown => Verdict::Asking(Box::pin(self.ask())),
        }
    }

    async fn ask(self) -> Result<Option<Claim>, Unidentified> {
        let found = match &self.signer.source {
            Source::Fixed(key) => Found::Key(key.clone()),
            Source::Published(directory) => directory.ask(&self.keyid).await,
        };
        match found {
            Found::Key(key) => Ok(Some(self.verify(&key)?)),
            Found::Absent => Err(self.absent().into()),
            Found::Unreachable | Found::Unknown => Ok(None),
        }
    }

    fn absent(&self) -> Error {
        let id: String = self.keyid.escape_debug().take(60).collect();
        Error::Unknown(format!("key {id} of {}", self.signer.name))
    }

    fn verify(self, key: &Key) -> Result<Claim, Error> {
        let signer = &self.signer;
        let now = self.clock.now().as_second();
        let other = |alg: &str| alg != key.algorithm.as_str();
        if self.alg.as_deref().is_some_and(other)
            || !key.is_good_at(now)
            || !key.verifies(self.base.as_bytes(), &self.value)
        {
            return Err(Error::Wrong(signer.name.clone()));
        }
        match self.nonce.as_deref() {
            None => {}
            Some(nonce) => match signer.nonces.take(nonce, now, self.until) {
                Taken::Fresh => {}
                Taken::Again => return Err(Error::Replayed),
                Taken::Full => return Err(Error::TooMany(signer.name.clone())),
            },
        }
        let mut checked = vec![
            format!("key {}", self.keyid),
            key.algorithm.as_str().to_owned(),
            format!("covers {}", self.covered.join(" ")),
        ];
        checked.extend(
            signer
                .origin
                .as_ref()
                .map(|origin| format!("agent {origin}")),
        );
        checked.extend(self.nonce.is_some().then(|| "nonce".to_owned()));
        let caller = Caller::new(
            CallerKind::SignedAgent,
            signer.name.clone(),
            signer.tenant.clone(),
            Attestation::HttpSignature,
            signer.groups.clone(),
        )
        .with_claims(Claims {
            issuer: signer.origin.clone(),
            ..Claims::default()
        })
        .with_evidence(Evidence::new("http_signature", checked));
        let bodies = self.bodies.into_iter();
        Ok(bodies.fold(Claim::from(caller), Claim::with_body))
    }
}

impl Verifier for Arc<HttpSignatures> {
    fn verify(&self, head: &Head<'_>) -> Verdict {
        match self.examine(head) {
            Ok(None) => Verdict::Passed,
            Ok(Some(pending)) => pending.judge(),
            Err(error) => Verdict::Refused(error.into()),
        }
    }
}

impl fmt::Debug for HttpSignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.agents.values().chain(self.keys.values());
        f.debug_list()
            .entries(names.map(|signer| &signer.name))
            .finish()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
