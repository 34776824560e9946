//! Names in certificates, and which of them are accepted.

use rustls::pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::Deserialize;
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::{CertificateConfig, LoadError};

/// Longest pattern and name, in bytes.
const MAX_NAME_BYTES: usize = 512;

/// A name, or several of them with `*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Returns the pattern of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns whether it can match one name only.
    pub(super) fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// `*` stands for the whole first label. Case does not matter (RFC 5280, section
    /// 7.2). A wildcard in the certificate is no name of anybody.
    fn matches_dns(&self, name: &str) -> bool {
        if name.contains('*') {
            return false;
        }
        match self.0.strip_prefix("*.") {
            Some(domain) => name.split_once('.').is_some_and(|(label, rest)| {
                !label.is_empty() && rest.eq_ignore_ascii_case(domain)
            }),
            None => self.0.eq_ignore_ascii_case(name),
        }
    }

    /// `*` stands for one whole segment of the path. Everything is compared as it is
    /// written: two spellings of a URI are two names.
    fn matches_uri(&self, name: &str) -> bool {
        let (mut pattern, mut name) = (self.0.split('/'), name.split('/'));
        loop {
            match (pattern.next(), name.next()) {
                (None, None) => return true,
                (Some("*"), Some(segment)) if !segment.is_empty() => {}
                (Some(expected), Some(segment)) if expected == segment && segment != "*" => {}
                _ => return false,
            }
        }
    }

    /// The domain in any case, what is before it as it is written (RFC 5321, section
    /// 2.4).
    fn matches_email(&self, name: &str) -> bool {
        let split = |text: &'_ str| {
            let at = text.rfind('@')?;
            Some((text[..at].to_owned(), text[at + 1..].to_owned()))
        };
        let (Some((user, domain)), Some((found, at))) = (split(&self.0), split(name)) else {
            return false;
        };
        domain.eq_ignore_ascii_case(&at) && !found.is_empty() && (user == "*" || user == found)
    }
}

/// Checks the patterns of a platform.
pub(super) fn check(config: &CertificateConfig) -> Result<(), LoadError> {
    let lists = [&config.dns, &config.uri, &config.email];
    if lists.iter().all(|list| list.is_empty()) {
        return Err(LoadError::NoNames {
            name: config.name.clone(),
        });
    }
    let refused = |what, pattern: &Pattern| LoadError::Pattern {
        what,
        pattern: pattern.0.escape_debug().take(80).collect(),
    };
    let printable = |text: &str| {
        (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    for pattern in &config.dns {
        let name = pattern.0.strip_prefix("*.").unwrap_or(&pattern.0);
        // `*.com` would be everybody.
        let wide = name != pattern.0 && !name.contains('.');
        let label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if wide || !printable(name) || !name.bytes().all(label) {
            return Err(refused("DNS name", pattern));
        }
    }
    for pattern in &config.uri {
        let rest = pattern.0.split_once("://").map(|(_, rest)| rest);
        let whole = |rest: &str| {
            let mut parts = rest.split('/');
            let host = parts.next().is_some_and(|host| !host.contains('*'));
            host && parts.all(|part| part == "*" || !part.contains('*'))
        };
        if !printable(&pattern.0) || !rest.is_some_and(whole) {
            return Err(refused("URI", pattern));
        }
    }
    for pattern in &config.email {
        let user = pattern.0.rsplit_once('@');
        let whole = |(user, domain): (&str, &str)| {
            !domain.is_empty() && !domain.contains('*') && (user == "*" || !user.contains('*'))
        };
        if !printable(&pattern.0) || !user.is_some_and(whole) {
            return Err(refused("mail address", pattern));
        }
    }
    Ok(())
}

/// The alternative names of one certificate.
pub(super) struct Names {
    dns: Vec<String>,
    uri: Vec<String>,
    email: Vec<String>,
}

impl Names {
    /// Reads them; none if the certificate or the extension cannot be read.
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let (_, names) = certificate.tbs_certificate.get::<SubjectAltName>().ok()??;
        let mut found = Self {
            dns: Vec::new(),
            uri: Vec::new(),
            email: Vec::new(),
        };
        for name in names.0 {
            let (list, text) = match name {
                GeneralName::DnsName(name) => (&mut found.dns, name.to_string()),
                GeneralName::UniformResourceIdentifier(name) => (&mut found.uri, name.to_string()),
                GeneralName::Rfc822Name(name) => (&mut found.email, name.to_string()),
                _ => continue,
            };
            let clean = text.bytes().all(|byte| byte.is_ascii_graphic());
            if text.len() <= MAX_NAME_BYTES && clean {
                list.push(text);
            }
        }
        Some(found)
    }

    /// Returns the first accepted name, with the pattern that accepts it.
    pub(super) fn find<'a>(
        &'a self,
        config: &'a CertificateConfig,
    ) -> Option<(&'a Pattern, &'a str)> {
        type Matches = fn(&Pattern, &str) -> bool;
        // A SPIFFE document has one URI and means that one (X.509-SVID, section 2).
        let spiffe = self.uri.iter().any(|uri| uri.starts_with("spiffe://"));
        let uris: &[String] = if spiffe && self.uri.len() > 1 {
            &[]
        } else {
            &self.uri
        };
        let kinds: [(&[Pattern], &[String], Matches); 3] = [
            (&config.uri, uris, Pattern::matches_uri),
            (&config.dns, &self.dns, Pattern::matches_dns),
            (&config.email, &self.email, Pattern::matches_email),
        ];
        kinds.into_iter().find_map(|(patterns, names, matches)| {
            patterns.iter().find_map(|pattern| {
                let name = names.iter().find(|name| matches(pattern, name))?;
                Some((pattern, name.as_str()))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(matches: fn(&Pattern, &str) -> bool, pattern: &str, names: &[(&str, bool)]) {
        for (name, expected) in names {
            assert_eq!(
                matches(&Pattern::new(pattern), name),
                *expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn host_names_match_whole_labels() {
        let exact = [
            ("a.example", true),
            ("A.Example", true),
            ("b.a.example", false),
            ("a.example.", false),
        ];
        check(Pattern::matches_dns, "a.example", &exact);
        let any = [
            ("x.a.example", true),
            ("a.example", false),
            ("y.x.a.example", false),
            (".a.example", false),
            ("*.a.example", false),
        ];
        check(Pattern::matches_dns, "*.a.example", &any);
    }

    #[test]
    fn uris_match_whole_segments() {
        let any = [
            ("spiffe://acme/ns/a/sa/b", true),
            ("spiffe://acme/ns/a/sa/b/c", false),
            ("spiffe://acme/ns//sa/b", false),
            ("spiffe://other/ns/a/sa/b", false),
            ("spiffe://ACME/ns/a/sa/b", false),
        ];
        check(Pattern::matches_uri, "spiffe://acme/ns/*/sa/b", &any);
    }

    #[test]
    fn mail_addresses_match_their_domain() {
        let any = [
            ("a@x.example", true),
            ("a@X.example", true),
            ("a@y.x.example", false),
            ("@x.example", false),
            ("a@b@x.example", true),
        ];
        check(Pattern::matches_email, "*@x.example", &any);
        check(
            Pattern::matches_email,
            "a@x.example",
            &[("a@x.example", true), ("A@x.example", false)],
        );
    }

    #[test]
    fn patterns_that_accept_everybody_are_refused() {
        let config = |dns: &[&str], uri: &[&str], email: &[&str]| {
            let list = |texts: &[&str]| texts.iter().map(|text| Pattern::new(*text)).collect();
            CertificateConfig {
                name: "p".to_owned(),
                ca_file: "ca.pem".into(),
                crl_file: None,
                dns: list(dns),
                uri: list(uri),
                email: list(email),
                tenant: airside_base::TenantId::default(),
                groups: Vec::new(),
            }
        };
        for good in [
            config(&["*.a.example", "b"], &[], &[]),
            config(&[], &["spiffe://d/*/x"], &["*@a", "b@c"]),
        ] {
            assert!(super::check(&good).is_ok(), "{good:?}");
        }
        for bad in [
            config(&[], &[], &[]),
            config(&["*"], &[], &[]),
            config(&["*.com"], &[], &[]),
            config(&["a.*.com"], &[], &[]),
            config(&[""], &[], &[]),
            config(&[], &["*"], &[]),
            config(&[], &["spiffe://*/x"], &[]),
            config(&[], &["spiffe://d/x*"], &[]),
            config(&[], &[], &["*@*"]),
            config(&[], &[], &["a*@b"]),
            config(&[], &[], &["a b@c"]),
        ] {
            assert!(super::check(&bad).is_err(), "{bad:?}");
        }
    }
}
