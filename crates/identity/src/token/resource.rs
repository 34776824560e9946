//! What this installation tells OAuth clients: metadata (RFC 9728), challenges
//! (RFC 6750, RFC 9449), and the scopes that calls need.
//!
//! # Invariants
//!
//! * Addresses are those of the configuration, never what a request says of itself.
//! * One challenge names every scope that the operation needs, so that a client asks
//!   its person once.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header::WWW_AUTHENTICATE};
use serde_json::{Map, Value, json};

use super::{
    TokenConfig,
    config::{Dpop, ResourceConfig, ScopeConfig},
    dpop,
    jose::Algorithm,
};
use crate::{Caller, CallerKind, Error};

/// Where metadata is, before the path of the endpoint.
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// Where a server puts its number for the next proof (RFC 9449, section 8).
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// This installation as a protected resource.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Scheme, host and port, without `/` at the end.
    base: Option<String>,
    /// The same for all endpoints; nothing if no issuer is configured.
    metadata: Option<Map<String, Value>>,
    scopes: Vec<Scope>,
    dpop: bool,
}

#[derive(Debug)]
struct Scope {
    name: String,
    methods: Vec<String>,
    tools: Vec<String>,
    /// Itself and all scopes that stand for it.
    satisfied_by: BTreeSet<String>,
}

impl Resource {
    pub(crate) fn new(config: &TokenConfig<'_>) -> Self {
        let base = config.resource.url.as_ref();
        Self {
            base: base.map(|url| url.as_str().trim_end_matches('/').to_owned()),
            metadata: metadata(config),
            scopes: config
                .scopes
                .iter()
                .map(|scope| Scope::new(scope, config.scopes))
                .collect(),
            dpop: !config.issuers.is_empty(),
        }
    }

    /// Returns the public URL of the endpoint at `path`.
    pub(super) fn url_of(&self, path: &str) -> Option<String> {
        Some(format!("{}{path}", self.base.as_ref()?))
    }

    /// Returns whether `audience` is the endpoint at `path`.
    pub(super) fn is(&self, audience: &str, path: &str) -> bool {
        let base = self.base.as_deref();
        base.is_some_and(|base| audience.strip_prefix(base) == Some(path))
    }

    /// Returns the metadata of the endpoint at `path`, if tokens are accepted.
    pub(crate) fn metadata(&self, path: &str) -> Option<Bytes> {
        let mut document = self.metadata.clone()?;
        document.insert("resource".to_owned(), self.url_of(path)?.into());
        Some(Value::Object(document).to_string().into())
    }

    /// Returns where that metadata is.
    pub(crate) fn metadata_url(&self, path: &str) -> Option<String> {
        self.metadata.as_ref()?;
        self.url_of(&format!("{RESOURCE_METADATA}{path}"))
    }

    /// Checks that `caller` has the scopes that `method` on `tool` (`server/tool`) needs.
    pub(crate) fn check_scopes(
        &self,
        caller: &Caller,
        method: &str,
        tool: Option<(&str, &str)>,
    ) -> Result<(), Error> {
        // Scopes are what a person or an issuer granted to a client; other evidence has
        // none, and policy decides alone.
        if caller.kind() != CallerKind::Token {
            return Ok(());
        }
        let missing = |scope: &&Scope| {
            !caller
                .scopes()
                .iter()
                .any(|held| scope.satisfied_by.contains(held))
        };
        let needed = || {
            self.scopes
                .iter()
                .filter(|scope| scope.covers(method, tool))
        };
        if needed().find(missing).is_none() {
            return Ok(());
        }
        let names: Vec<_> = needed().map(|scope| scope.name.as_str()).collect();
        Err(Error::Scope {
            needed: names.join(" "),
        })
    }

    /// Returns the fields that an answer to `error` needs at the endpoint at `path`.
    pub(crate) fn challenges(
        &self,
        error: &Error,
        path: &str,
        nonce: Option<String>,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = Vec::with_capacity(2);
        let mut push = |name: HeaderName, text: String| {
            // Everything in it is configuration, and was checked to be printable.
            fields.extend(HeaderValue::try_from(text).ok().map(|value| (name, value)));
        };
        let Some(code) = error.challenge() else {
            return fields;
        };
        let about_proof = code == "invalid_dpop_proof" || code == "use_dpop_nonce";
        let mut bearer = r#"Bearer realm="airside""#.to_owned();
        if let Some(url) = self.metadata_url(path) {
            bearer.push_str(&format!(r#", resource_metadata="{url}""#));
            let scope = match error {
                Error::Scope { needed } => needed.clone(),
                _ => self.first_scopes(),
            };
            if !scope.is_empty() {
                bearer.push_str(&format!(r#", scope="{scope}""#));
            }
        }
        if !code.is_empty() && !about_proof {
            bearer.push_str(&format!(r#", error="{code}""#));
        }
        push(WWW_AUTHENTICATE, bearer);
        if self.dpop {
            let mut proof = format!(r#"DPoP algs="{}""#, dpop::algorithms());
            if about_proof {
                proof.push_str(&format!(r#", error="{code}""#));
            }
            push(WWW_AUTHENTICATE, proof);
            nonce.into_iter().for_each(|nonce| push(NONCE, nonce));
        }
        fields
    }

    /// The scopes without which nothing works: what a client asks for at first.
    fn first_scopes(&self) -> String {
        let always = self
            .scopes
            .iter()
            .filter(|scope| scope.methods.iter().any(|method| method == "*"));
        let names: Vec<_> = always.map(|scope| scope.name.as_str()).collect();
        names.join(" ")
    }
}

impl Scope {
    fn new(config: &ScopeConfig, all: &[ScopeConfig]) -> Self {
        let mut satisfied_by = BTreeSet::from([config.name.clone()]);
        // As often as there are scopes: the longest chain of what stands for what.
        for _ in all {
            for other in all {
                if other
                    .includes
                    .iter()
                    .any(|name| satisfied_by.contains(name))
                {
                    satisfied_by.insert(other.name.clone());
                }
            }
        }
        Self {
            name: config.name.clone(),
            methods: config.methods.clone(),
            tools: config.tools.clone(),
            satisfied_by,
        }
    }

    fn covers(&self, method: &str, tool: Option<(&str, &str)>) -> bool {
        let fits = |pattern: &String, text: &str| match pattern.strip_suffix('*') {
            Some(prefix) => text.starts_with(prefix),
            None => pattern == text,
        };
        self.methods.iter().any(|pattern| fits(pattern, method))
            || tool.is_some_and(|(server, tool)| {
                let tools = self.tools.iter();
                tools
                    .into_iter()
                    .any(|pattern| match pattern.split_once('/') {
                        Some((of, pattern)) => of == server && fits(&pattern.to_owned(), tool),
                        None => false,
                    })
            })
    }
}

fn metadata(config: &TokenConfig<'_>) -> Option<Map<String, Value>> {
    if config.issuers.is_empty() {
        return None;
    }
    let ResourceConfig {
        name,
        documentation,
        ..
    } = config.resource;
    let issuers: Vec<_> = config.issuers.iter().map(|issuer| &issuer.url).collect();
    let bound = config
        .issuers
        .iter()
        .all(|issuer| issuer.dpop != Dpop::Bound);
    let scopes: Vec<_> = config.scopes.iter().map(|scope| &scope.name).collect();
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
    put("resource", Value::Null);
    put("authorization_servers", json!(issuers));
    if !scopes.is_empty() {
        put("scopes_supported", json!(scopes));
    }
    put("bearer_methods_supported", json!(["header"]));
    if let Some(name) = name {
        put("resource_name", json!(name));
    }
    if let Some(page) = documentation {
        put("resource_documentation", json!(page));
    }
    put(
        "dpop_signing_alg_values_supported",
        json!(Algorithm::ALL.map(Algorithm::as_str)),
    );
    if config.certificates {
        put("tls_client_certificate_bound_access_tokens", json!(true));
    }
    if bound {
        put("dpop_bound_access_tokens_required", json!(true));
    }
    Some(document)
}

#[cfg(test)]
mod tests;
