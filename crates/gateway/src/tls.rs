//! TLS on the listener: the gateway's own certificate, and those of clients.
//!
//! # Invariants
//!
//! * A handshake is over in time or the connection is, and only so many are under way.
//!   It runs on the thread of its connection without blocking it.
//! * New files and new authorities count for the next connection; those that are open
//!   stay open, and what they may do is decided with each request.
//! * Files that cannot be used change nothing: the ones before stay in use.

pub(crate) mod client;

use std::{
    fs,
    io::Read as _,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use airside_base::Clock;
use airside_identity::{Certificates, PeerCertificate};
use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    time_provider::TimeProvider,
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    config::{self, ClientCertificates},
    pipeline::{Link, Node},
};

/// How often files of certificates are looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(10);

/// Largest file of a certificate or key, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{file} holds no PEM of a {what}")]
    NotPem {
        /// The file.
        file: String,
        /// What it should hold.
        what: &'static str,
    },
    /// The files do not fit each other.
    #[error("certificate and key cannot be used together")]
    Unusable(#[source] rustls::Error),
    /// Certificates of clients are demanded, and none would be accepted.
    #[error("client certificates are required, but no `[[identity.certificate]]` says whose")]
    Nobody,
}

/// The certificate chain and key of the listener.
#[derive(Debug)]
pub struct Keys {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// SHA-256 of both files.
    digest: [u8; 32],
}

impl Keys {
    /// Reads the files of `config`.
    ///
    /// # Errors
    ///
    /// When one cannot be read, holds something else, or does not fit the other.
    pub fn load(config: &config::Tls) -> Result<Self, TlsError> {
        let (certificates, key) = (read(&config.certificate_file)?, read(&config.key_file)?);
        let not_pem = |file: &Path, what| TlsError::NotPem {
            file: file.display().to_string(),
            what,
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificates)
            .collect::<Result<_, _>>()
            .ok()
            .filter(|chain: &Vec<_>| !chain.is_empty())
            .ok_or_else(|| not_pem(&config.certificate_file, "certificate chain"))?;
        let private = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| not_pem(&config.key_file, "private key"))?;
        let mut both = digest::Context::new(&digest::SHA256);
        both.update(&(certificates.len() as u64).to_be_bytes());
        both.update(&certificates);
        both.update(&key);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(both.finish().as_ref());
        let keys = Self {
            chain,
            key: private,
            digest: bytes,
        };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        rustls::sign::CertifiedKey::from_der(keys.chain.clone(), keys.key.clone_key(), &provider)
            .map_err(TlsError::Unusable)?;
        Ok(keys)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    fs::File::open(file)
        .and_then(|open| open.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
        .map_err(|source| TlsError::Unreadable {
            file: file.display().to_string(),
            source,
        })?;
    Ok(bytes)
}

/// Opens connections with TLS.
pub(crate) struct Tls {
    config: config::Tls,
    clock: Arc<dyn Clock>,
    ready: ArcSwap<Ready>,
    renewing: Mutex<()>,
    handshakes: Arc<Semaphore>,
    patience: Duration,
}

struct Ready {
    server: Arc<ServerConfig>,
    /// SHA-256 of the files that it was made of.
    keys: [u8; 32],
    /// Of the snapshot whose authorities it asks for.
    generation: u64,
}

impl Tls {
    /// Returns what `config` describes, for clients of the authorities of `node`.
    pub(crate) fn new(config: &config::Tls, node: &Node) -> Result<Self, TlsError> {
        let snapshot = node.snapshot.load();
        let certificates = snapshot.identity.certificates();
        let ready = Ready::new(config, certificates, snapshot.generation(), &node.clock)?;
        Ok(Self {
            config: config.clone(),
            clock: node.clock.clone(),
            ready: ArcSwap::from_pointee(ready),
            renewing: Mutex::default(),
            handshakes: Arc::new(Semaphore::new(
                config.max_handshakes.min(Semaphore::MAX_PERMITS),
            )),
            patience: Duration::from_millis(config.handshake_timeout_ms),
        })
    }

    /// Returns the right to one handshake; none if too many are under way.
    pub(crate) fn begin(&self) -> Option<OwnedSemaphorePermit> {
        self.handshakes.clone().try_acquire_owned().ok()
    }

    /// Opens a connection with whoever is at the other end of `link`; none if that
    /// fails or takes too long.
    pub(crate) async fn open(
        &self,
        node: &Node,
        link: &mut Link,
        stream: TcpStream,
    ) -> Option<TlsStream<TcpStream>> {
        let generation = node.snapshot.load().generation();
        if self.ready.load().generation != generation {
            self.renew(node, false);
        }
        let server = self.ready.load().server.clone();
        let opening = timeout(self.patience, TlsAcceptor::from(server).accept(stream));
        let drain = link.drain.clone();
        let opened = tokio::select! {
            opened = opening => opened,
            () = drain.lingered() => return None,
        };
        let stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(peer = %link.peer, %error, "a TLS handshake failed");
                return None;
            }
            Err(_) => {
                tracing::debug!(peer = %link.peer, "a TLS handshake took too long");
                return None;
            }
        };
        if let Some(shown) = stream.get_ref().1.peer_certificates() {
            let chain = shown.iter().map(|shown| shown.clone().into_owned());
            // A chain too long to be judged would look like none.
            link.certificate = Some(PeerCertificate::new(chain.collect())?);
        }
        link.secure = true;
        Some(stream)
    }

    /// Takes the files and authorities of now into use, if they differ from those in
    /// use. `authorities` says that the contents of their files have changed.
    pub(crate) fn renew(&self, node: &Node, authorities: bool) {
        let _one = self.renewing.lock().expect("nothing panics in here");
        let snapshot = node.snapshot.load();
        let certificates = snapshot.identity.certificates();
        let (before, generation) = (self.ready.load(), snapshot.generation());
        match Ready::new(&self.config, certificates, generation, &self.clock) {
            Ok(ready) => {
                let same = ready.keys == before.keys && before.generation == generation;
                if same && !authorities {
                    return;
                }
                if ready.keys != before.keys {
                    tracing::info!("the certificate of the listener was read again");
                }
                self.ready.store(Arc::new(ready));
            }
            Err(error) => {
                tracing::error!(%error, "the certificate of the listener is refused; the one before stays in use");
                // Asked again with the next look, not with each connection.
                self.ready.store(Arc::new(Ready {
                    server: before.server.clone(),
                    keys: before.keys,
                    generation,
                }));
            }
        }
    }
}

impl Ready {
    fn new(
        config: &config::Tls,
        certificates: &Certificates,
        generation: u64,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let keys = Keys::load(config)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let time = Arc::new(Time(clock.clone()));
        let builder = ServerConfig::builder_with_details(provider, time)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?;
        let verifier = match config.client_certificates {
            ClientCertificates::Off => None,
            ClientCertificates::Optional => certificates.client_verifier(false),
            ClientCertificates::Required => {
                Some(certificates.client_verifier(true).ok_or(TlsError::Nobody)?)
            }
        };
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder
            .with_single_cert(keys.chain, keys.key)
            .map_err(TlsError::Unusable)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            server: Arc::new(server),
            keys: keys.digest,
            generation,
        })
    }
}

/// The clock of the process, for the validity of certificates.
#[derive(Debug)]
struct Time(Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Looks at the files of certificates and credentials for as long as the process lives.
pub(crate) async fn watch(node: Arc<Node>, tls: Option<Arc<Tls>>) {
    loop {
        node.clock.sleep(LOOK).await;
        let (node, tls) = (node.clone(), tls.clone());
        let looked = tokio::task::spawn_blocking(move || look(&node, tls.as_deref()));
        if let Err(error) = looked.await {
            tracing::error!(%error, "the files of certificates could not be looked at");
        }
    }
}

/// Looks at the files of certificates and credentials once.
pub(crate) fn look(node: &Node, tls: Option<&Tls>) {
    let snapshot = node.snapshot.load();
    let changed = match snapshot.identity.certificates().reload() {
        Ok(changed) => changed,
        Err(error) => {
            tracing::error!(%error, "authorities of clients are refused; the ones before stay in use");
            false
        }
    };
    if let Some(tls) = tls {
        tls.renew(node, changed);
    }
    snapshot.look_at_credentials();
}
