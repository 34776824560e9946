//! The certificate that the gateway shows to an upstream.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    client::ResolvesClientCert,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::{read, sha256};
use crate::config;

/// A client certificate that is shown when a connection is made.
pub(super) struct Certificate {
    config: config::ClientCertificate,
    current: ArcSwap<(CertifiedKey, [u8; 32])>,
}

impl Certificate {
    pub(super) fn load(config: &config::ClientCertificate) -> Result<Self, String> {
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

    pub(super) fn look(&self) -> Result<bool, String> {
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
