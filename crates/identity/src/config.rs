//! The `[identity]` part of the configuration.

use std::collections::HashSet;

use airside_base::{Fault, Kind, TenantId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    AgentConfig, CertificateConfig, Digest, IpRangeConfig, IssuerConfig, LoadError, ProxyConfig,
    ProxyError, RangeError, ResourceConfig, ScopeConfig, SignatureConfig, SignatureError,
    SigningKeyConfig, TokenConfigError, TrustDomainConfig, token::TokenConfig,
};

/// Keys that one caller may have had before.
pub const MAX_PREVIOUS: usize = 4;

/// Longest name of a key or group, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Who may call, and how callers prove who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Accepts requests without credentials from processes on this machine, but for
    /// those at `addresses` of `[identity.proxy]`. Off unless set. Never set it where
    /// another reverse proxy or tunnel runs on the same machine: behind one, every
    /// caller of the world comes from loopback.
    pub anonymous_loopback: bool,
    /// API keys, each `[[identity.api-key]]`.
    pub api_key: Vec<ApiKeyConfig>,
    /// Platforms and workloads with client certificates, each `[[identity.certificate]]`.
    pub certificate: Vec<CertificateConfig>,
    /// Proxies in front of the gateway.
    pub proxy: ProxyConfig,
    /// What signatures of requests have to be like.
    pub signature: SignatureConfig,
    /// Agents that sign their requests with published keys (Web Bot Auth), each
    /// `[[identity.agent]]`.
    pub agent: Vec<AgentConfig>,
    /// Keys that requests are signed with, each `[[identity.signing-key]]`.
    pub signing_key: Vec<SigningKeyConfig>,
    /// Addresses from which platforms call, each `[[identity.ip-range]]`.
    pub ip_range: Vec<IpRangeConfig>,
    /// What this installation is to OAuth clients.
    pub resource: ResourceConfig,
    /// Issuers of access tokens, each `[[identity.issuer]]`.
    pub issuer: Vec<IssuerConfig>,
    /// SPIFFE trust domains, each `[[identity.trust-domain]]`.
    pub trust_domain: Vec<TrustDomainConfig>,
    /// What needs which scope of an access token, each `[[identity.scope]]`.
    pub scope: Vec<ScopeConfig>,
}

/// One API key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ApiKeyConfig {
    /// Name of the key, which becomes the id of its caller: 1 to 64 of `a-z`,
    /// `A-Z`, `0-9`, `-`, `_` and `.`, unique within the tenant.
    pub name: String,
    /// SHA-256 of the whole key (prefix included) as 64 hexadecimal digits. The
    /// key itself is never stored.
    pub sha256: Digest,
    /// Tenant whose ledger chain records the calls.
    #[serde(default)]
    pub tenant: TenantId,
    /// Groups that policies can refer to; same characters as the name.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Last moment at which the key is accepted, as a text such as
    /// `"2027-01-31T23:59:59Z"`. Without it the key does not expire.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub not_after: Option<Timestamp>,
    /// Keys that the same caller had before and may show for a while yet, at most 4.
    /// `airside key rotate` writes them.
    #[serde(default)]
    pub previous: Vec<PreviousKeyConfig>,
}

/// A key that has been replaced.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PreviousKeyConfig {
    /// SHA-256 of the whole key (prefix included) as 64 hexadecimal digits.
    pub sha256: Digest,
    /// Last moment at which it is accepted, as a text such as
    /// `"2027-01-31T23:59:59Z"`. No later than that of the key that replaced it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub not_after: Timestamp,
}

impl ApiKeyConfig {
    /// Returns the digests of the key and of those before it.
    fn digests(&self) -> impl Iterator<Item = Digest> {
        let previous = self.previous.iter().map(|previous| previous.sha256);
        std::iter::once(self.sha256).chain(previous)
    }

    fn check_previous(&self) -> Result<(), ConfigError> {
        let outlives = |previous: &PreviousKeyConfig| {
            self.not_after
                .is_some_and(|not_after| previous.not_after > not_after)
        };
        let why = match self.previous.as_slice() {
            many if many.len() > MAX_PREVIOUS => "there are more than 4",
            some if some.iter().any(outlives) => "one of them outlives the key that replaced it",
            _ => return Ok(()),
        };
        Err(ConfigError::Previous {
            name: self.name.clone(),
            why,
        })
    }
}

/// Why a configuration of identity is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key or group has a name that is not accepted.
    #[error(
        "`{name}` is not a name of a {what}: use 1 to {MAX_NAME_BYTES} of a-z, A-Z, 0-9, `-`, `_` and `.`"
    )]
    Name {
        /// What should have been named: API key or group.
        what: &'static str,
        /// The refused text, escaped and cut.
        name: String,
    },
    /// Two keys of one tenant have the same name.
    #[error("two API keys of tenant `{tenant}` are named `{name}`")]
    DuplicateName {
        /// The tenant.
        tenant: TenantId,
        /// The name.
        name: String,
    },
    /// Two entries hold the digest of the same key.
    #[error("`{name}` has the same key as another entry")]
    DuplicateKey {
        /// The later of the two.
        name: String,
    },
    /// Keys that were replaced cannot be accepted on these terms.
    #[error("the previous keys of `{name}` cannot be used: {why}")]
    Previous {
        /// The name of the key.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// Two platforms have the same name.
    #[error("two `[[identity.certificate]]` are named `{name}`")]
    DuplicatePlatform {
        /// The name.
        name: String,
    },
    /// Client certificates cannot be judged.
    #[error(transparent)]
    Certificate(#[from] LoadError),
    /// The proxies are not acceptable.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Access tokens cannot be accepted on these terms.
    #[error(transparent)]
    Token(#[from] TokenConfigError),
    /// Signatures cannot be judged on these terms.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Addresses cannot be looked up.
    #[error(transparent)]
    Range(#[from] RangeError),
}

impl ConfigError {
    /// Returns what the operator may read.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let invalid = |code| Fault::new(Kind::Invalid, code, self.to_string());
        match self {
            Self::Name { .. } => invalid("ID-010"),
            Self::DuplicateName { .. } => {
                invalid("ID-011").with_hint("give each `[[identity.api-key]]` a name of its own")
            }
            Self::DuplicateKey { .. } => invalid("ID-012")
                .with_hint("mint one key per caller: with a shared key nobody can tell who called"),
            Self::Previous { .. } => invalid("ID-070")
                .with_hint("let `airside key rotate` write the entry, and take out what has ended"),
            Self::DuplicatePlatform { .. } => invalid("ID-065")
                .with_hint("give each `[[identity.certificate]]` a name of its own"),
            Self::Certificate(error) => error.fault(),
            Self::Proxy(error) => error.fault(),
            Self::Token(error) => error.fault(),
            Self::Signature(error) => error.fault(),
            Self::Range(error) => error.fault(),
        }
    }
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    ///
    /// The first name that is not accepted or used twice, or key entered twice.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut names = HashSet::new();
        let mut keys = HashSet::new();
        for key in &self.api_key {
            check_name("API key", &key.name)?;
            for group in &key.groups {
                check_name("group", group)?;
            }
            if !names.insert((&key.tenant, &key.name)) {
                return Err(ConfigError::DuplicateName {
                    tenant: key.tenant.clone(),
                    name: key.name.clone(),
                });
            }
            key.check_previous()?;
            for digest in key.digests() {
                if !keys.insert(digest) {
                    return Err(ConfigError::DuplicateKey {
                        name: key.name.clone(),
                    });
                }
            }
        }
        let mut platforms = HashSet::new();
        for platform in &self.certificate {
            check_names("platform", &platform.name, &platform.groups)?;
            if !platforms.insert(&platform.name) {
                return Err(ConfigError::DuplicatePlatform {
                    name: platform.name.clone(),
                });
            }
        }
        for agent in &self.agent {
            check_names("agent", &agent.name, &agent.groups)?;
        }
        for key in &self.signing_key {
            check_names("signing key", &key.name, &key.groups)?;
        }
        for range in &self.ip_range {
            check_names("range", &range.name, &range.groups)?;
        }
        for issuer in &self.issuer {
            check_name("issuer", &issuer.name)?;
            for group in issuer.groups.values() {
                check_name("group", group)?;
            }
        }
        for group in self.trust_domain.iter().flat_map(|domain| &domain.groups) {
            check_name("group", group)?;
        }
        Ok(self.tokens().check()?)
    }

    pub(crate) fn tokens(&self) -> TokenConfig<'_> {
        TokenConfig {
            resource: &self.resource,
            issuers: &self.issuer,
            trust_domains: &self.trust_domain,
            scopes: &self.scope,
            certificates: !self.certificate.is_empty(),
        }
    }
}

/// Returns whether `name` can be the name of a key, group or issuer.
pub(crate) fn is_name(name: &str) -> bool {
    let accepted = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(accepted)
}

fn check_names(what: &'static str, name: &str, groups: &[String]) -> Result<(), ConfigError> {
    check_name(what, name)?;
    groups
        .iter()
        .try_for_each(|group| check_name("group", group))
}

fn check_name(what: &'static str, name: &str) -> Result<(), ConfigError> {
    if is_name(name) {
        return Ok(());
    }
    let name = name.chars().take(40).flat_map(char::escape_debug).collect();
    Err(ConfigError::Name { what, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, secret: &str) -> ApiKeyConfig {
        ApiKeyConfig {
            name: name.to_owned(),
            sha256: Digest::of(secret.as_bytes()),
            tenant: TenantId::default(),
            groups: vec![],
            not_after: None,
            previous: vec![],
        }
    }

    fn check(keys: &[ApiKeyConfig], expected: Option<&str>) {
        let config = Config {
            api_key: keys.to_vec(),
            ..Config::default()
        };
        let found = config.check().map_err(|error| error.fault().code());
        assert_eq!(found.err(), expected);
    }

    #[test]
    fn nothing_is_open_by_default() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        assert!(!config.anonymous_loopback && config.api_key.is_empty());
    }

    #[test]
    fn full_entry_is_read() {
        let text = r#"{"api-key": [{"name": "ci", "tenant": "acme", "groups": ["booking"],
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "not-after": "2027-01-31T23:59:59Z"}]}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.api_key[0].sha256, Digest::of(b"abc"));
        assert!(serde_json::from_str::<Config>(&text.replace("not-after", "expires")).is_err());
    }

    #[test]
    fn names_and_keys_are_unique() {
        check(&[key("a", "1"), key("b", "2")], None);
        check(&[key("a", "1"), key("a", "2")], Some("ID-011"));
        check(&[key("a", "1"), key("b", "1")], Some("ID-012"));
    }

    #[test]
    fn replaced_keys_are_few_and_of_one_caller_and_end_first() {
        let replaced = |previous: &[(&str, &str)], not_after: Option<&str>| ApiKeyConfig {
            not_after: not_after.map(|at| at.parse().unwrap()),
            previous: previous
                .iter()
                .map(|(secret, at)| PreviousKeyConfig {
                    sha256: Digest::of(secret.as_bytes()),
                    not_after: at.parse().unwrap(),
                })
                .collect(),
            ..key("a", "1")
        };
        let end = "2027-01-01T00:00:00Z";
        check(&[replaced(&[("2", end)], None), key("b", "3")], None);
        check(&[replaced(&[("2", end)], Some(end))], None);
        check(
            &[replaced(&[("2", end)], Some("2026-12-31T23:59:59Z"))],
            Some("ID-070"),
        );
        check(&[replaced(&[("1", end)], None)], Some("ID-012"));
        check(
            &[replaced(&[("2", end)], None), key("b", "2")],
            Some("ID-012"),
        );
        let many = [("2", end), ("3", end), ("4", end), ("5", end), ("6", end)];
        check(&[replaced(&many[..4], None)], None);
        check(&[replaced(&many, None)], Some("ID-070"));
    }

    #[test]
    fn odd_names_are_refused_and_escaped() {
        for bad in ["", "a b", "a/b", "\u{1b}[31m", &"a".repeat(65)] {
            check(&[key(bad, "1")], Some("ID-010"));
            let error = check_name("group", bad).unwrap_err().to_string();
            assert!(!error.contains('\u{1b}'), "{error}");
        }
    }
}
