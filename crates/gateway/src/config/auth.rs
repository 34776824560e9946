//! How the gateway proves to an upstream server who it is.

use std::path::PathBuf;

use airside_base::{Fault, Kind, ServerId};
use airside_identity::Reach;
use http::{HeaderName, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// What an upstream server is shown. The credentials of clients never reach it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Auth {
    /// A secret that both sides know.
    pub secret: Option<Secret>,
    /// Tokens that an authorisation server issues to the gateway, or to the gateway on
    /// behalf of its caller.
    pub token: Option<Token>,
    /// A client certificate. May be combined with the others.
    pub certificate: Option<ClientCertificate>,
}

/// A secret that both sides know. Exactly one of `file` and `env` is given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Secret {
    /// File with the secret. Read again when it changes.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Variable of the environment with the secret.
    #[serde(default)]
    pub env: Option<String>,
    /// Header that carries it.
    #[serde(default = "Secret::default_header")]
    pub header: String,
    /// What stands before it in the header, with a blank between. Without one, `Bearer`
    /// in `authorization` and nothing in other headers.
    #[serde(default)]
    pub scheme: Option<String>,
}

impl Secret {
    fn default_header() -> String {
        "authorization".to_owned()
    }
}

/// Tokens of an authorisation server. Exactly one of `client-secret-file`,
/// `client-secret-env` and `client-key-file` is given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Token {
    /// The token endpoint.
    pub url: Url,
    /// Says that `url` is in a private network.
    #[serde(default)]
    pub internal: bool,
    /// The client that the gateway is there.
    pub client_id: String,
    /// File with the client's secret (`client_secret_basic`). Read again when it changes.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Variable of the environment with the client's secret.
    #[serde(default)]
    pub client_secret_env: Option<String>,
    /// PEM file with a private key in PKCS #8 (Ed25519, P-256, P-384 or RSA) that the
    /// client signs with (`private_key_jwt`, RFC 7523). Read again when it changes.
    #[serde(default)]
    pub client_key_file: Option<PathBuf>,
    /// `kid` of that key, where the authorisation server wants one.
    #[serde(default)]
    pub client_key_id: Option<String>,
    /// Whom the assertion is for; without it the token endpoint.
    #[serde(default)]
    pub assertion_audience: Option<String>,
    /// The server that tokens are for (`resource`, RFC 8707); without it the URL of the
    /// upstream.
    #[serde(default)]
    pub resource: Option<Url>,
    /// `audience`, for authorisation servers that want one.
    #[serde(default)]
    pub audience: Option<String>,
    /// Scopes that are asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Exchanges the access token of each caller for one of its own at the server (RFC
    /// 8693). Callers without an access token are refused. What the gateway asks for
    /// itself, such as the list of tools, goes with its own token.
    #[serde(default)]
    pub exchange: bool,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientCertificate {
    /// PEM file with the certificate and its intermediates. Read again when it changes,
    /// for the connections that are made then.
    pub certificate_file: PathBuf,
    /// PEM file with its private key.
    pub key_file: PathBuf,
}

/// Why credentials for an upstream cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The keys contradict each other or would not be safe.
    #[error("the credentials for upstream `{name}` cannot be used: {why}")]
    Unsafe {
        /// The upstream.
        name: ServerId,
        /// Why.
        why: &'static str,
    },
    /// A secret or key cannot be had.
    #[error("the credentials for upstream `{name}` cannot be read: {why}")]
    Unreadable {
        /// The upstream.
        name: ServerId,
        /// Why, without the secret.
        why: String,
    },
}

impl AuthError {
    /// Returns what the operator may read.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let invalid = |code| Fault::new(Kind::Invalid, code, self.to_string());
        match self {
            Self::Unsafe { .. } => invalid("CFG-032")
                .with_hint("give one kind of credentials, over https, in keys that fit it"),
            Self::Unreadable { .. } => invalid("CFG-033")
                .with_hint("check the file or variable, and that this user may read it"),
        }
    }
}

impl Auth {
    /// Checks what the types cannot, for the upstream `name` at `url`; none if it is
    /// not reached over HTTP.
    ///
    /// # Errors
    ///
    /// The first combination that is not safe or cannot work.
    pub fn check(&self, name: &ServerId, url: Option<&Url>) -> Result<(), AuthError> {
        match self.find_problem(url) {
            None => Ok(()),
            Some(why) => Err(AuthError::Unsafe {
                name: name.clone(),
                why,
            }),
        }
    }

    /// Returns the files that it names, to be resolved.
    pub(super) fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let secret = self.secret.iter_mut().flat_map(|secret| &mut secret.file);
        let token = self.token.iter_mut().flat_map(|token| {
            let files = [&mut token.client_secret_file, &mut token.client_key_file];
            files.into_iter().flatten()
        });
        let certificate = self.certificate.iter_mut();
        let certificate =
            certificate.flat_map(|pair| [&mut pair.certificate_file, &mut pair.key_file]);
        secret.chain(token).chain(certificate)
    }

    fn find_problem(&self, url: Option<&Url>) -> Option<&'static str> {
        let Some(url) = url else {
            return Some("only servers with a `url` are shown any");
        };
        if url.scheme() != "https" && !airside_identity::is_loopback(url) {
            return Some("they would cross the network in the clear");
        }
        if self.certificate.is_some() && url.scheme() != "https" {
            return Some("a client certificate needs https");
        }
        match (&self.secret, &self.token) {
            (Some(_), Some(_)) => Some("`secret` and `token` exclude each other"),
            (Some(secret), None) => secret.find_problem(),
            (None, Some(token)) => token.find_problem(),
            (None, None) if self.certificate.is_none() => Some("there are none"),
            (None, None) => None,
        }
    }
}

impl Secret {
    fn find_problem(&self) -> Option<&'static str> {
        if self.file.is_some() == self.env.is_some() {
            return Some("`secret` needs one of `file` and `env`");
        }
        // What frames a message, belongs to the connection or to MCP is not for secrets.
        let taken = [
            header::ACCEPT,
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::EXPECT,
            header::HOST,
            header::TE,
            header::TRAILER,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
        ];
        let named = HeaderName::try_from(self.header.as_str());
        let usable = |name: &HeaderName| {
            !taken.contains(name) && !name.as_str().starts_with("mcp-") && name != "keep-alive"
        };
        if !named.is_ok_and(|name| usable(&name)) {
            return Some("`header` of `secret` cannot carry it");
        }
        let scheme = self.scheme.as_deref().unwrap_or_default();
        if !scheme.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some("`scheme` of `secret` is one word");
        }
        None
    }
}

impl Token {
    /// Returns how far requests to the token endpoint may go.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::of(&self.url, self.internal)
    }

    fn find_problem(&self) -> Option<&'static str> {
        if self.reach().check(&self.url).is_err() {
            return Some("`url` of `token` has to use https, or be on this machine");
        }
        let ways = [
            self.client_secret_file.is_some(),
            self.client_secret_env.is_some(),
            self.client_key_file.is_some(),
        ];
        if ways.iter().filter(|way| **way).count() != 1 {
            return Some(
                "`token` needs one of `client-secret-file`, `client-secret-env` and `client-key-file`",
            );
        }
        let of_key = self.client_key_id.is_some() || self.assertion_audience.is_some();
        if of_key && self.client_key_file.is_none() {
            return Some(
                "`client-key-id` and `assertion-audience` say nothing without `client-key-file`",
            );
        }
        if self.client_id.is_empty() {
            return Some("`client-id` of `token` is empty");
        }
        let word =
            |scope: &String| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.scopes.iter().all(word) {
            return Some("a scope is one word");
        }
        None
    }
}
