//! Whose tokens are accepted, for what, and on which terms.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

use airside_base::{Fault, Kind, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use super::jose::Algorithm;
use crate::is_loopback;

/// Longest tolerance of clocks, in seconds.
const MAX_SKEW_S: u64 = 300;

/// What this installation is to OAuth clients: a protected resource (RFC 9728).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ResourceConfig {
    /// Where clients reach the gateway, such as `https://mcp.example.com`: scheme, host
    /// and port, without a path. With the path of an endpoint it is the audience that
    /// tokens for that endpoint need. Needed as soon as there is an issuer.
    pub url: Option<Url>,
    /// Name of the service for people.
    pub name: Option<String>,
    /// Page for developers.
    pub documentation: Option<Url>,
}

/// One issuer of access tokens (OAuth 2.1 authorization server).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IssuerConfig {
    /// Short name, which begins the ids of its callers: 1 to 64 of `a-z`, `A-Z`, `0-9`,
    /// `-`, `_` and `.`.
    pub name: String,
    /// Its identifier, exactly as in `iss`, with or without `/` at the end: https, or
    /// http for a loopback address.
    #[schemars(extend("format" = "uri"))]
    pub url: String,
    /// Audiences that are accepted besides the address of the endpoint, such as
    /// `api://hotel-tools`.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Algorithms that its tokens may be signed with.
    #[serde(default = "IssuerConfig::default_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Values of `typ` that its access tokens may have: `at+jwt` (RFC 9068), and `JWT`
    /// for issuers that do not say what a token is for.
    #[serde(default = "IssuerConfig::default_token_types")]
    pub token_types: Vec<String>,
    /// Where its keys are. Without it they are found by its metadata (RFC 8414, OpenID
    /// Connect Discovery).
    #[serde(default)]
    pub jwks_url: Option<Url>,
    /// Whether it is in a private network: its name may then resolve to private
    /// addresses.
    #[serde(default)]
    pub internal: bool,
    /// Tenant of its callers, unless `tenant-claim` is given.
    #[serde(default)]
    pub tenant: TenantId,
    /// Claim that holds the tenant.
    #[serde(default)]
    pub tenant_claim: Option<String>,
    /// Tenants by the values of `tenant-claim`. Others are refused. Without it the
    /// values are the tenants.
    #[serde(default)]
    pub tenants: BTreeMap<String, TenantId>,
    /// Claim that holds the groups of the person or client.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Groups by the values of `groups-claim`. Others are ignored. Without it the
    /// values are the groups.
    #[serde(default)]
    pub groups: BTreeMap<String, String>,
    /// Clients that are accepted, by `client_id`. Without it and `client-domains`, all.
    #[serde(default)]
    pub clients: Vec<String>,
    /// Domains whose clients are accepted by the URL of their metadata document, such
    /// as `claude.ai`; `*.example.com` stands for all names below.
    #[serde(default)]
    pub client_domains: Vec<String>,
    /// Tolerance for clocks that differ, in seconds. At most 300.
    #[serde(default = "IssuerConfig::default_clock_skew_s")]
    pub clock_skew_s: u64,
    /// Proof of possession (DPoP, RFC 9449).
    #[serde(default)]
    pub dpop: Dpop,
    /// How tokens without content are looked up (RFC 7662).
    #[serde(default)]
    pub introspection: Option<IntrospectionConfig>,
}

/// Which tokens have to be bound to a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dpop {
    /// Those that say so.
    #[default]
    Bound,
    /// All.
    Required,
    /// All, and every proof needs a fresh number of ours: a proof that was made
    /// before is of no use.
    Nonce,
}

/// How tokens without content are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IntrospectionConfig {
    /// Where to ask. Without it, what the metadata of the issuer says.
    #[serde(default)]
    pub url: Option<Url>,
    /// Name of this installation at the issuer.
    pub client_id: String,
    /// File with the secret that goes with `client-id`.
    pub client_secret_file: PathBuf,
    /// How long an answer is used, in seconds: 1 to 300. A token that is revoked works
    /// for so long.
    #[serde(default = "IntrospectionConfig::default_cache_s")]
    pub cache_s: u64,
}

impl IntrospectionConfig {
    const fn default_cache_s() -> u64 {
        30
    }
}

/// A SPIFFE trust domain whose workloads may call with JWT-SVIDs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrustDomainConfig {
    /// Name of the trust domain, such as `prod.example.org`.
    pub name: String,
    /// Where its bundle is.
    #[serde(default)]
    pub bundle_url: Option<Url>,
    /// File with its bundle, read again when it changes.
    #[serde(default)]
    pub bundle_file: Option<PathBuf>,
    /// Whether the bundle is in a private network.
    #[serde(default)]
    pub internal: bool,
    /// Audiences that are accepted besides the address of the endpoint.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Tenant of its workloads.
    #[serde(default)]
    pub tenant: TenantId,
    /// Groups of its workloads.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Tolerance for clocks that differ, in seconds. At most 300.
    #[serde(default = "IssuerConfig::default_clock_skew_s")]
    pub clock_skew_s: u64,
}

/// What callers with tokens need a scope for. Callers with other evidence have none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScopeConfig {
    /// The scope, such as `hotels.book`.
    pub name: String,
    /// Methods that need it, such as `tools/call`, `resources/*` or `*`.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Tools that need it, as `server/tool`, such as `hotels/search_hotels` or
    /// `hotels/*`.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Narrower scopes that it stands for as well.
    #[serde(default)]
    pub includes: Vec<String>,
}

impl IssuerConfig {
    fn default_algorithms() -> Vec<Algorithm> {
        vec![
            Algorithm::Rs256,
            Algorithm::Ps256,
            Algorithm::Es256,
            Algorithm::EdDsa,
        ]
    }

    fn default_token_types() -> Vec<String> {
        vec!["at+jwt".to_owned()]
    }

    const fn default_clock_skew_s() -> u64 {
        60
    }

    pub(super) fn parsed(&self) -> Option<Url> {
        Url::parse(&self.url).ok()
    }

    fn error(&self, why: Why) -> TokenConfigError {
        let name = self.name.chars().take(64).flat_map(char::escape_debug);
        TokenConfigError {
            table: "issuer",
            subject: format!("the issuer `{}`", name.collect::<String>()),
            why,
        }
    }

    fn check(&self) -> Result<(), TokenConfigError> {
        let check_url = |what, url: &Url| check_url(what, url).map_err(|why| self.error(why));
        let Some(own) = self.parsed() else {
            let problem = "it is no URL";
            return Err(self.error(Why::Url {
                what: "url",
                problem,
            }));
        };
        check_url("url", &own)?;
        if own.query().is_some() {
            return Err(self.error(Why::Url {
                what: "url",
                problem: "it has a query",
            }));
        }
        if let Some(url) = &self.jwks_url {
            check_url("jwks-url", url)?;
            // Otherwise somebody on the path, or on this machine, hands out the keys.
            if is_loopback(url) && !is_loopback(&own) {
                return Err(self.error(Why::Url {
                    what: "jwks-url",
                    problem: "it is this machine, and the issuer is not",
                }));
            }
        }
        if self.algorithms.is_empty() {
            return Err(self.error(Why::NoAlgorithm));
        }
        let known = |kind: &String| matches!(kind.as_str(), "at+jwt" | "JWT");
        if self.token_types.is_empty() || !self.token_types.iter().all(known) {
            return Err(self.error(Why::TokenType));
        }
        if self.clock_skew_s > MAX_SKEW_S {
            return Err(self.error(Why::Skew));
        }
        if self
            .audience
            .iter()
            .any(|audience| audience.trim().is_empty())
        {
            return Err(self.error(Why::NoAudience));
        }
        if self.tenant_claim.is_none() && !self.tenants.is_empty() {
            return Err(self.error(Why::Unused {
                key: "tenants",
                without: "tenant-claim",
            }));
        }
        if self.groups_claim.is_none() && !self.groups.is_empty() {
            return Err(self.error(Why::Unused {
                key: "groups",
                without: "groups-claim",
            }));
        }
        let domain = |text: &String| {
            let name = text.strip_prefix("*.").unwrap_or(text);
            name.contains('.')
                && matches!(Host::parse(name), Ok(Host::Domain(host)) if host == name)
        };
        if let Some(bad) = self.client_domains.iter().find(|text| !domain(text)) {
            let bad = bad.chars().take(64).flat_map(char::escape_debug).collect();
            return Err(self.error(Why::Domain { domain: bad }));
        }
        if let Some(introspection) = &self.introspection {
            if let Some(url) = &introspection.url {
                check_url("introspection.url", url)?;
            }
            if introspection.client_id.is_empty() || !(1..=300).contains(&introspection.cache_s) {
                return Err(self.error(Why::Introspection));
            }
        }
        Ok(())
    }
}

impl TrustDomainConfig {
    fn error(&self, why: Why) -> TokenConfigError {
        let name = self.name.chars().take(64).flat_map(char::escape_debug);
        TokenConfigError {
            table: "trust-domain",
            subject: format!("the trust domain `{}`", name.collect::<String>()),
            why,
        }
    }

    fn check(&self) -> Result<(), TokenConfigError> {
        // SPIFFE-ID, section 2.1.
        let permitted =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if self.name.is_empty() || self.name.len() > 255 || !self.name.bytes().all(permitted) {
            return Err(self.error(Why::TrustDomain));
        }
        match (&self.bundle_url, &self.bundle_file) {
            (Some(url), None) => check_url("bundle-url", url).map_err(|why| self.error(why))?,
            (None, Some(_)) => {}
            _ => return Err(self.error(Why::Bundle)),
        }
        if self.clock_skew_s > MAX_SKEW_S {
            return Err(self.error(Why::Skew));
        }
        Ok(())
    }
}

fn check_url(what: &'static str, url: &Url) -> Result<(), Why> {
    let problem = if !url.username().is_empty() || url.password().is_some() {
        "it has a user or password"
    } else if url.fragment().is_some() {
        "it has a fragment"
    } else if url.host().is_none() {
        "it has no host"
    } else if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
        "it must use https: whoever is on the way could be the issuer otherwise"
    } else {
        return Ok(());
    };
    Err(Why::Url { what, problem })
}

/// Why tokens cannot be accepted on these terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} is not accepted: {why}")]
pub struct TokenConfigError {
    table: &'static str,
    subject: String,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error("its `{what}` is refused: {problem}")]
    Url {
        what: &'static str,
        problem: &'static str,
    },
    #[error("no audience: `identity.resource.url` is missing, or an audience is empty")]
    NoAudience,
    #[error("the address of the resource has to be scheme, host and port alone")]
    Resource,
    #[error("it names no algorithm")]
    NoAlgorithm,
    #[error("`token-types` may hold `at+jwt` and `JWT`")]
    TokenType,
    #[error("`clock-skew-s` may be {MAX_SKEW_S} at most")]
    Skew,
    #[error("`{key}` is of no use without `{without}`")]
    Unused {
        key: &'static str,
        without: &'static str,
    },
    #[error("`{domain}` is not a domain")]
    Domain { domain: String },
    #[error("it is there twice")]
    Twice,
    #[error("`client-id` is empty, or `cache-s` is not 1 to 300")]
    Introspection,
    #[error("only one issuer can look up tokens: nothing in them says whose they are")]
    Opaque,
    #[error("the secret cannot be read from `{file}`: {problem}")]
    Secret { file: String, problem: String },
    #[error("its name is not that of a trust domain")]
    TrustDomain,
    #[error("it needs one of `bundle-url` and `bundle-file`")]
    Bundle,
    #[error(
        "a scope is one or more printable characters without blank, `\"` and `\\`, and has a use"
    )]
    Scope,
    #[error("it includes itself, or a scope that is not configured")]
    Includes,
}

impl TokenConfigError {
    pub(super) fn secret(issuer: &str, file: String, problem: String) -> Self {
        Self {
            table: "issuer",
            subject: format!("the issuer `{issuer}`"),
            why: Why::Secret { file, problem },
        }
    }

    /// Returns the table of `[identity]` that it is about.
    #[must_use]
    pub const fn table(&self) -> &'static str {
        self.table
    }

    /// Returns what the operator may read.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let invalid = |code| Fault::new(Kind::Invalid, code, self.to_string());
        match self.why {
            Why::Url { .. } => invalid("ID-040"),
            Why::NoAudience | Why::Resource => invalid("ID-041").with_hint(
                "set `url` in `[identity.resource]` to where clients reach this gateway, such as https://mcp.example.com",
            ),
            Why::NoAlgorithm | Why::TokenType | Why::Skew => invalid("ID-042"),
            Why::Unused { .. } | Why::Domain { .. } | Why::Twice => invalid("ID-043"),
            Why::Introspection | Why::Opaque | Why::Secret { .. } => invalid("ID-044"),
            Why::TrustDomain | Why::Bundle => invalid("ID-045"),
            Why::Scope | Why::Includes => invalid("ID-046"),
        }
    }
}

/// Everything about tokens in the configuration of identity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenConfig<'a> {
    pub(crate) resource: &'a ResourceConfig,
    pub(crate) issuers: &'a [IssuerConfig],
    pub(crate) trust_domains: &'a [TrustDomainConfig],
    pub(crate) scopes: &'a [ScopeConfig],
    /// Whether client certificates are known, so that tokens can be bound to them.
    pub(crate) certificates: bool,
}

impl TokenConfig<'_> {
    /// Returns whether anybody's tokens are accepted.
    pub(crate) const fn is_used(&self) -> bool {
        !self.issuers.is_empty() || !self.trust_domains.is_empty()
    }

    pub(crate) fn check(&self) -> Result<(), TokenConfigError> {
        let general = |why| TokenConfigError {
            table: "resource",
            subject: "`[identity.resource]`".to_owned(),
            why,
        };
        match &self.resource.url {
            None if self.issuers.is_empty() && self.trust_domains.is_empty() => {}
            None => return Err(general(Why::NoAudience)),
            Some(url) => {
                check_url("url", url).map_err(general)?;
                if url.path() != "/" || url.query().is_some() {
                    return Err(general(Why::Resource));
                }
            }
        }
        let (mut names, mut urls) = (HashSet::new(), HashSet::new());
        for issuer in self.issuers {
            issuer.check()?;
            if !names.insert(&issuer.name) || !urls.insert(&issuer.url) {
                return Err(issuer.error(Why::Twice));
            }
        }
        let mut opaque = (self.issuers.iter()).filter(|issuer| issuer.introspection.is_some());
        if let Some(second) = opaque.nth(1) {
            return Err(second.error(Why::Opaque));
        }
        let mut domains = HashSet::new();
        for domain in self.trust_domains {
            domain.check()?;
            if !domains.insert(&domain.name) {
                return Err(domain.error(Why::Twice));
            }
        }
        self.check_scopes()
    }

    fn check_scopes(&self) -> Result<(), TokenConfigError> {
        let mut names = HashSet::new();
        for scope in self.scopes {
            let error = |why| TokenConfigError {
                table: "scope",
                subject: format!("the scope `{}`", scope.name.escape_debug()),
                why,
            };
            // RFC 6749, section 3.3.
            let permitted = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            let named = (1..=128).contains(&scope.name.len()) && scope.name.bytes().all(permitted);
            // For clients, not for resources (MCP, "Authorization").
            let used =
                !(scope.methods.is_empty() && scope.tools.is_empty() && scope.includes.is_empty());
            if !named || !used || scope.name == "offline_access" {
                return Err(error(Why::Scope));
            }
            if !names.insert(&scope.name) {
                return Err(error(Why::Twice));
            }
            let known = |name: &String| {
                *name != scope.name && self.scopes.iter().any(|other| other.name == *name)
            };
            if !scope.includes.iter().all(known) {
                return Err(error(Why::Includes));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
