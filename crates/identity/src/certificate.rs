//! Client certificates: platforms and workloads that keep a key of their own.
//!
//! A platform is a bundle of authorities and the names that it may use. A caller is
//! who shows a certificate that one of them issued for one of these names: in its own
//! TLS handshake, or through a proxy that says so (see [`Proxies`]).
//!
//! # Invariants
//!
//! * A certificate counts only while it is valid, not revoked and for the use by a
//!   client: an open connection does not outlive it by more than [`RECHECK`].
//! * The names come from the subject alternative name, never from the subject.
//! * What a proxy forwards is verified as if it had come in a handshake. From anybody
//!   but a configured proxy the header is no evidence.

mod names;

use std::{
    collections::HashMap,
    fmt, fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use airside_base::{Clock, Fault, Kind, TenantId};
use arc_swap::ArcSwap;
use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls::{
    CertificateError, DistinguishedName, RootCertStore,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
    pki_types::{
        CertificateDer, CertificateRevocationListDer, UnixTime,
        pem::{self, PemObject as _},
    },
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

use self::names::Names;
pub use self::names::Pattern;
use crate::{
    Attestation, Caller, CallerKind, Error as Unidentified, Evidence, Head, Proxies, Verdict,
    Verifier,
};

/// How long a certificate that was found good is not looked at again.
pub const RECHECK: Duration = Duration::from_secs(60);

/// Largest file of authorities or revocations, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Most certificates that are accepted in one chain.
pub const MAX_CHAIN: usize = 8;

/// Places for what was found out about certificates, and how many each has.
const SHARDS: usize = 16;
const PER_SHARD: usize = 512;

/// Certificates that somebody showed, the own one first.
///
/// Clones share the same data.
#[derive(Clone)]
pub struct PeerCertificate(Arc<Shown>);

struct Shown {
    chain: Vec<CertificateDer<'static>>,
    /// SHA-256 over all of it.
    digest: [u8; 32],
}

impl PeerCertificate {
    /// Returns what a handshake or a proxy has shown; none if that is nothing, or more
    /// than [`MAX_CHAIN`].
    #[must_use]
    pub fn new(chain: Vec<CertificateDer<'static>>) -> Option<Self> {
        if chain.is_empty() || chain.len() > MAX_CHAIN {
            return None;
        }
        let mut all = digest::Context::new(&digest::SHA256);
        for certificate in &chain {
            all.update(&(certificate.len() as u64).to_be_bytes());
            all.update(certificate);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(all.finish().as_ref());
        Some(Self(Arc::new(Shown {
            chain,
            digest: bytes,
        })))
    }

    fn own(&self) -> &CertificateDer<'static> {
        &self.0.chain[0]
    }

    /// Returns whether `thumbprint` is the SHA-256 of the certificate, in base64url
    /// (`x5t#S256`, RFC 8705, section 3.1).
    pub(crate) fn is_named(&self, thumbprint: &str) -> bool {
        let own = digest::digest(&digest::SHA256, self.own());
        let own = BASE64_URL_SAFE_NO_PAD.encode(own);
        verify_slices_are_equal(own.as_bytes(), thumbprint.as_bytes()).is_ok()
    }

    /// Returns the SHA-256 of the certificate, in hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        crate::Digest::of(self.own()).to_string()
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerCertificate")
            .field(&self.fingerprint())
            .finish()
    }
}

/// One platform: whose certificates are accepted, for which names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateConfig {
    /// Name of the platform: 1 to 64 of `a-z`, `A-Z`, `0-9`, `-`, `_` and `.`. It is the
    /// id of its caller, followed by `/` and the name in the certificate where a
    /// pattern with `*` let it in.
    pub name: String,
    /// PEM file with the authorities that issue its certificates. Read again when it
    /// changes.
    pub ca_file: PathBuf,
    /// PEM file with revocation lists of these authorities. With it a certificate is
    /// refused that is revoked, of an issuer without a list, or whose list is out of
    /// date. Read again when it changes.
    #[serde(default)]
    pub crl_file: Option<PathBuf>,
    /// DNS names: exact, or with `*` for the first label.
    #[serde(default)]
    pub dns: Vec<Pattern>,
    /// URIs such as SPIFFE ids: exact, or with `*` for a segment of the path, as in
    /// `spiffe://acme.example/ns/*/sa/booking`.
    #[serde(default)]
    pub uri: Vec<Pattern>,
    /// E-mail addresses: exact, or `*@domain`.
    #[serde(default)]
    pub email: Vec<Pattern>,
    /// Tenant whose ledger chain records the calls.
    #[serde(default)]
    pub tenant: TenantId,
    /// Groups that policies can refer to.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Why the configuration of client certificates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("cannot read {file}: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A file holds something else.
    #[error("{file} is not a PEM file of {what}")]
    NotPem {
        /// The file.
        file: String,
        /// What it should hold.
        what: &'static str,
    },
    /// Authorities or revocation lists are not usable.
    #[error("the authorities of platform `{name}` cannot be used: {reason}")]
    Unusable {
        /// The platform.
        name: String,
        /// Why.
        reason: String,
    },
    /// A platform without names would accept whatever its authorities issue.
    #[error("platform `{name}` accepts no name")]
    NoNames {
        /// The platform.
        name: String,
    },
    /// A pattern can match nothing, or too much.
    #[error("`{pattern}` is not a pattern of a {what}")]
    Pattern {
        /// What it should match.
        what: &'static str,
        /// The pattern, escaped.
        pattern: String,
    },
}

impl LoadError {
    /// Returns what the operator may read.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::new(Kind::Invalid, "ID-065", self.to_string()).with_hint(match self {
            Self::Unreadable { .. } => "check the name, and that this user may read the file",
            Self::NotPem { .. } => "give a file with `-----BEGIN …` blocks of this kind",
            Self::Unusable { .. } => "check the file with `openssl x509 -noout -text -in FILE`",
            Self::NoNames { .. } => {
                "give `dns`, `uri` or `email`: an authority issues certificates to many"
            }
            Self::Pattern { .. } => {
                "write a whole name, `*.example.com`, `spiffe://domain/ns/*/sa/name` or `*@example.com`"
            }
        })
    }
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No platform's authority has issued it, or its chain is broken.
    #[error("no authority of a platform vouches for the certificate {fingerprint}: {reason}")]
    Unknown {
        /// SHA-256 of the certificate.
        fingerprint: String,
        /// What the verification said.
        reason: String,
    },
    /// It is not valid now.
    #[error("the certificate {fingerprint} is not valid at this time")]
    Time {
        /// SHA-256 of the certificate.
        fingerprint: String,
    },
    /// Its issuer has revoked it, or cannot be asked whether it has.
    #[error("the certificate {fingerprint} is revoked, or nobody can tell: {reason}")]
    Revoked {
        /// SHA-256 of the certificate.
        fingerprint: String,
        /// What the verification said.
        reason: String,
    },
    /// It is for a name that its platform may not use here.
    #[error("the certificate {fingerprint} of platform `{platform}` has no accepted name")]
    Name {
        /// SHA-256 of the certificate.
        fingerprint: String,
        /// The platform.
        platform: String,
    },
    /// A proxy forwards something that is not a certificate.
    #[error("the proxy forwards no readable certificate: {0}")]
    Forwarded(&'static str),
    /// Somebody who is no proxy forwards a certificate.
    #[error("a certificate was forwarded by {peer}, which is no configured proxy")]
    Stranger {
        /// Who it was.
        peer: std::net::IpAddr,
    },
}

impl Error {
    /// Returns what the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let refused =
            |code, public| Fault::new(Kind::Unauthenticated, code, public).with_private(self);
        match self {
            Self::Unknown { .. } => refused("ID-050", "the client certificate is not trusted here")
                .with_hint("show a certificate of an authority that this installation knows"),
            Self::Time { .. } => refused("ID-051", "the client certificate is not valid now")
                .with_hint("renew the certificate, or check the clock"),
            Self::Revoked { .. } => refused("ID-052", "the client certificate is revoked")
                .with_hint("ask the operator of this installation"),
            Self::Name { .. } => refused(
                "ID-053",
                "the client certificate is for a name that is not accepted here",
            )
            .with_hint("ask the operator of this installation which names are"),
            Self::Forwarded(_) => {
                refused("ID-054", "the forwarded client certificate is malformed")
                    .with_hint("the proxy has to send one certificate as RFC 9440 or Envoy says")
            }
            Self::Stranger { .. } => refused(
                "ID-055",
                "client certificates are forwarded by proxies of this installation only",
            )
            .with_hint("remove the header, or call through the proxy"),
        }
    }
}

/// Recognises client certificates.
pub struct Certificates {
    platforms: ArcSwap<Vec<Platform>>,
    configs: Vec<CertificateConfig>,
    proxies: Proxies,
    clock: Arc<dyn Clock>,
    judged: [Mutex<HashMap<[u8; 32], Judged>>; SHARDS],
}

/// What was found out about one chain.
struct Judged {
    verdict: Result<Caller, Error>,
    until: Duration,
}

/// A platform that is ready to be asked.
struct Platform {
    config: CertificateConfig,
    verifier: Arc<dyn ClientCertVerifier>,
    /// SHA-256 of its files.
    files: [u8; 32],
}

impl Certificates {
    /// Reads the files of `configs`.
    ///
    /// # Errors
    ///
    /// When a file cannot be used or a platform has no acceptable names.
    pub fn load(
        configs: &[CertificateConfig],
        proxies: Proxies,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LoadError> {
        let platforms = configs.iter().map(Platform::load);
        Ok(Self {
            platforms: ArcSwap::from_pointee(platforms.collect::<Result<_, _>>()?),
            configs: configs.to_vec(),
            proxies,
            clock,
            judged: std::array::from_fn(|_| Mutex::default()),
        })
    }

    /// Reads the files again and returns whether any has changed. What was found out
    /// with the old ones is forgotten.
    ///
    /// # Errors
    ///
    /// When a file cannot be used: then all stays as it was.
    pub fn reload(&self) -> Result<bool, LoadError> {
        let next: Vec<_> = (self.configs.iter())
            .map(Platform::load)
            .collect::<Result<_, _>>()?;
        let same = {
            let now = self.platforms.load();
            now.iter()
                .zip(&next)
                .all(|(now, next)| now.files == next.files)
        };
        if same {
            return Ok(false);
        }
        self.platforms.store(Arc::new(next));
        for shard in &self.judged {
            lock(shard).clear();
        }
        Ok(true)
    }

    /// Returns what a TLS server asks of its clients; none if there is no platform to
    /// ask for. What changes in the files later is not in it.
    #[must_use]
    pub fn client_verifier(&self, mandatory: bool) -> Option<Arc<dyn ClientCertVerifier>> {
        let platforms = self.platforms.load();
        let verifiers: Vec<_> = platforms
            .iter()
            .map(|platform| platform.verifier.clone())
            .collect();
        let hints = verifiers
            .iter()
            .flat_map(|verifier| verifier.root_hint_subjects().iter().cloned())
            .collect();
        (!verifiers.is_empty()).then(|| {
            Arc::new(AnyPlatform {
                verifiers,
                hints,
                mandatory,
            }) as Arc<dyn ClientCertVerifier>
        })
    }

    fn judge(&self, shown: &PeerCertificate) -> Result<Caller, Error> {
        let digest = &shown.0.digest;
        let shard = &self.judged[usize::from(digest[0]) % SHARDS];
        let now = self.clock.monotonic();
        if let Some(known) = lock(shard).get(digest)
            && known.until > now
        {
            return known.verdict.clone();
        }
        let verdict = self.examine(shown);
        let mut judged = lock(shard);
        if judged.len() >= PER_SHARD {
            judged.retain(|_, known| known.until > now);
        }
        if judged.len() >= PER_SHARD {
            judged.clear();
        }
        let until = now + RECHECK;
        let verdict = judged
            .entry(*digest)
            .insert_entry(Judged { verdict, until });
        verdict.get().verdict.clone()
    }

    /// Verifies a chain against one platform after the other. Costs some 100 µs for
    /// each of them.
    fn examine(&self, shown: &PeerCertificate) -> Result<Caller, Error> {
        let seconds = u64::try_from(self.clock.now().as_second()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let platforms = self.platforms.load();
        let fingerprint = shown.fingerprint();
        let mut worst: Option<Error> = None;
        for platform in platforms.iter() {
            let intermediates = &shown.0.chain[1..];
            let verified = (platform.verifier).verify_client_cert(shown.own(), intermediates, now);
            let error = match verified {
                Ok(_) => match platform.caller(shown) {
                    Some(caller) => return Ok(caller),
                    None => Error::Name {
                        fingerprint: fingerprint.clone(),
                        platform: platform.config.name.clone(),
                    },
                },
                Err(error) => why(&error, fingerprint.clone()),
            };
            // What came further is the better reason.
            if worst.as_ref().is_none_or(|worst| far(worst) < far(&error)) {
                worst = Some(error);
            }
        }
        Err(worst.unwrap_or(Error::Unknown {
            fingerprint,
            reason: "there is no platform".to_owned(),
        }))
    }
}

impl Verifier for Arc<Certificates> {
    /// Judges the certificate of a request, if there is one.
    fn verify(&self, head: &Head<'_>) -> Verdict {
        let shown = match self.proxies.certificate(head) {
            Ok(shown) => shown,
            Err(error) => return Verdict::Refused(Unidentified::Certificate(error)),
        };
        match shown {
            None => Verdict::Passed,
            Some(shown) => match self.judge(&shown) {
                Ok(caller) => Verdict::Claimed(caller.into()),
                Err(error) => Verdict::Refused(Unidentified::Certificate(error)),
            },
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.configs.iter().map(|config| &config.name);
        f.debug_list().entries(names).finish()
    }
}

fn far(error: &Error) -> u8 {
    match error {
        Error::Name { .. } => 3,
        Error::Revoked { .. } => 2,
        Error::Time { .. } => 1,
        Error::Unknown { .. } | Error::Forwarded(_) | Error::Stranger { .. } => 0,
    }
}

fn why(error: &rustls::Error, fingerprint: String) -> Error {
    let rustls::Error::InvalidCertificate(found) = error else {
        return Error::Unknown {
            fingerprint,
            reason: error.to_string(),
        };
    };
    match found {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Error::Time { fingerprint },
        CertificateError::Revoked
        | CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => Error::Revoked {
            fingerprint,
            reason: found.to_string(),
        },
        _ => Error::Unknown {
            fingerprint,
            reason: found.to_string(),
        },
    }
}

fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard
        .lock()
        .expect("no panic happens while the lock is held")
}

impl Platform {
    fn load(config: &CertificateConfig) -> Result<Self, LoadError> {
        names::check(config)?;
        let authorities = read(&config.ca_file)?;
        let revocations = config.crl_file.as_deref().map(read).transpose()?;
        let mut roots = RootCertStore::empty();
        for found in CertificateDer::pem_slice_iter(&authorities) {
            let added = found.ok().map(|authority| roots.add(authority));
            if !matches!(added, Some(Ok(()))) {
                return Err(not_pem(&config.ca_file, "certificates"));
            }
        }
        if roots.is_empty() {
            return Err(not_pem(&config.ca_file, "certificates"));
        }
        let lists: Vec<_> = match (&revocations, &config.crl_file) {
            (Some(pem), Some(file)) => CertificateRevocationListDer::pem_slice_iter(pem)
                .collect::<Result<Vec<_>, pem::Error>>()
                .ok()
                .filter(|lists| !lists.is_empty())
                .ok_or_else(|| not_pem(file, "revocation lists"))?,
            _ => Vec::new(),
        };
        let provider = Arc::new(default_provider());
        let verifier =
            verifier(Arc::new(roots), lists, provider).map_err(|error| LoadError::Unusable {
                name: config.name.clone(),
                reason: error.to_string(),
            })?;
        let mut files = digest::Context::new(&digest::SHA256);
        files.update(&(authorities.len() as u64).to_be_bytes());
        files.update(&authorities);
        files.update(revocations.as_deref().unwrap_or_default());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(files.finish().as_ref());
        Ok(Self {
            config: config.clone(),
            verifier,
            files: bytes,
        })
    }

    /// Returns who has the certificate; none if it is for no accepted name.
    fn caller(&self, shown: &PeerCertificate) -> Option<Caller> {
        let config = &self.config;
        let names = Names::read(shown.own())?;
        let (pattern, name) = names.find(config)?;
        let id = match pattern.is_exact() {
            true => config.name.clone(),
            false => format!("{}/{name}", config.name),
        };
        let caller = Caller::new(
            CallerKind::Certificate,
            id,
            config.tenant.clone(),
            Attestation::Mtls,
            config.groups.clone(),
        );
        Some(caller.with_evidence(Evidence::new(
            "certificate",
            [
                format!("chain of {}", config.name),
                format!("name {name}"),
                format!("sha256 {}", shown.fingerprint()),
            ],
        )))
    }
}

fn verifier(
    roots: Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
    if lists.is_empty() {
        return builder.build();
    }
    // Lists of the issuers of callers are what operators have; those of roots about
    // their intermediates rarely are where a gateway can read them.
    builder
        .with_crls(lists)
        .only_check_end_entity_revocation()
        .enforce_revocation_expiration()
        .build()
}

fn read(file: &Path) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    fs::File::open(file)
        .and_then(|open| open.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
        .map_err(|error| LoadError::Unreadable {
            file: file.display().to_string(),
            reason: error.to_string(),
        })?;
    Ok(bytes)
}

fn not_pem(file: &Path, what: &'static str) -> LoadError {
    LoadError::NotPem {
        file: file.display().to_string(),
        what,
    }
}

/// Lets in who one of several platforms vouches for. Which one it was, and whether it
/// may use its name, is found out with the first request.
#[derive(Debug)]
struct AnyPlatform {
    verifiers: Vec<Arc<dyn ClientCertVerifier>>,
    hints: Vec<DistinguishedName>,
    mandatory: bool,
}

impl ClientCertVerifier for AnyPlatform {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let mut found = rustls::Error::from(CertificateError::UnknownIssuer);
        for verifier in &self.verifiers {
            match verifier.verify_client_cert(end_entity, intermediates, now) {
                Ok(verified) => return Ok(verified),
                // That its own authority says more about it than the others do.
                Err(error) if error != CertificateError::UnknownIssuer.into() => found = error,
                Err(_) => {}
            }
        }
        Err(found)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifiers[0].verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifiers[0].verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.verifiers[0].supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
