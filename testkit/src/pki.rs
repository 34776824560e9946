//! Certificate authorities, certificates and revocation lists of tests.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate is for.
#[derive(Debug, Clone, Copy)]
pub enum Name<'a> {
    /// A host.
    Dns(&'a str),
    /// A workload or another thing with a URI.
    Uri(&'a str),
    /// A mailbox.
    Email(&'a str),
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate, as DER.
    pub der: Vec<u8>,
    /// Its private key, as PKCS #8 DER.
    pub key: Vec<u8>,
    serial: u64,
}

impl Authority {
    /// Returns a new authority that calls itself `name`.
    ///
    /// # Panics
    ///
    /// When no key can be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority can be made"))
    }

    /// Returns the certificate of the authority, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.0.der())
    }

    /// Returns a certificate for servers and clients from 2026 to 2030.
    #[must_use]
    pub fn issue(&self, names: &[Name<'_>]) -> Issued {
        self.issue_until(names, 2030, 1)
    }

    /// Returns one that is valid from 2026 to the first day of `year`.
    ///
    /// # Panics
    ///
    /// When a name cannot be put into a certificate.
    #[must_use]
    pub fn issue_until(&self, names: &[Name<'_>], year: i32, serial: u64) -> Issued {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let name = |name: &Name<'_>| match *name {
            Name::Dns(text) => SanType::DnsName(text.try_into().expect("an ASCII name")),
            Name::Uri(text) => SanType::URI(text.try_into().expect("an ASCII name")),
            Name::Email(text) => SanType::Rfc822Name(text.try_into().expect("an ASCII name")),
        };
        params.subject_alt_names = names.iter().map(name).collect();
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params
            .signed_by(&key, &self.0)
            .expect("a certificate can be made");
        Issued {
            der: certificate.der().to_vec(),
            key: key.serialize_der(),
            serial,
        }
    }

    /// Returns the list of what this authority has revoked, as PEM, good until the
    /// first day of `year`.
    ///
    /// # Panics
    ///
    /// When the list cannot be made.
    #[must_use]
    pub fn revoke(&self, revoked: &[&Issued], year: i32) -> String {
        let entry = |issued: &&Issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.serial),
            revocation_time: date_time_ymd(2026, 2, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 2, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.0).expect("a list can be made");
        pem("X509 CRL", list.der())
    }
}

impl Issued {
    /// Returns the certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// Returns the private key as PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }
}

/// Returns `der` as PEM.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        lines.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        lines.push('\n');
    }
    lines + &format!("-----END {label}-----\n")
}
