//! TLS towards upstream servers, HTTP/1.1 only.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, client::ResolvesClientCert, pki_types::CertificateDer,
    pki_types::pem::PemObject as _,
};

use super::{TlsError, read};
use crate::config;

/// What connections to upstream servers begin with.
pub(crate) struct Client {
    roots: Arc<RootCertStore>,
    /// For servers that need nothing of their own.
    usual: Arc<ClientConfig>,
}

impl Client {
    /// Returns what `upstreams` need: the roots of the system, if any uses TLS.
    pub(crate) fn new(upstreams: &[config::Upstream]) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        let needed = |upstream: &config::Upstream| {
            let url = upstream.url.as_ref();
            url.is_some_and(|url| url.scheme() == "https")
        };
        if upstreams.iter().any(needed) {
            let found = rustls_native_certs::load_native_certs();
            let (added, ignored) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                tracing::warn!(
                    ignored,
                    "no root certificates found: no server can be trusted"
                );
            }
        }
        let roots = Arc::new(roots);
        let usual = Arc::new(config(roots.clone(), None)?);
        Ok(Self { roots, usual })
    }

    /// Returns the one for `upstream`, which shows `certificate`.
    pub(crate) fn of(
        &self,
        upstream: &config::Upstream,
        certificate: Option<Arc<dyn ResolvesClientCert>>,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let roots = match &upstream.ca_file {
            None if certificate.is_none() => return Ok(self.usual.clone()),
            None => self.roots.clone(),
            Some(file) => {
                let not_pem = || TlsError::NotPem {
                    file: file.display().to_string(),
                    what: "certificate",
                };
                let mut roots = RootCertStore::empty();
                for found in CertificateDer::pem_slice_iter(&read(file)?) {
                    let added = found.ok().and_then(|root| roots.add(root).ok());
                    added.ok_or_else(not_pem)?;
                }
                if roots.is_empty() {
                    return Err(not_pem());
                }
                Arc::new(roots)
            }
        };
        let tls = config(roots, certificate).map_err(TlsError::Unusable)?;
        Ok(Arc::new(tls))
    }
}

fn config(
    roots: Arc<RootCertStore>,
    certificate: Option<Arc<dyn ResolvesClientCert>>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match certificate {
        Some(certificate) => builder.with_client_cert_resolver(certificate),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
