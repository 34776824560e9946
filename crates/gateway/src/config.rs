//! What the operator writes: the listener, the upstream servers, the endpoints.
//!
//! # Invariants
//!
//! * Durations carry their unit in the name. A limit of zero is refused, never
//!   read as "no limit".

mod auth;
mod tool;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use airside_base::{Redacted, ServerId};
use airside_contracts::Rules;
use airside_firewall::config::Spotlight;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

pub use self::{
    auth::{Auth, AuthError, ClientCertificate, Secret, Token},
    tool::{Argument, ArgumentType, Label, NotALabel, NotAPointer, Pointer, Sensitivity, Tool},
};
use crate::credentials;

/// Where and how the gateway listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Listen {
    /// Address and port to listen on. Port 0 takes a free one.
    pub address: SocketAddr,
    /// Host names that requests may carry in `Host`, without port. Names of the
    /// loopback interface are added when `address` is a loopback address.
    pub allowed_hosts: Vec<String>,
    /// Origins that requests may carry in `Origin`, such as `https://app.example`.
    /// Loopback origins are added when `address` is a loopback address.
    pub allowed_origins: Vec<String>,
    /// Longest wait for the head of a request, in milliseconds. Also how long a
    /// connection is kept that carries none.
    pub header_timeout_ms: u64,
    /// Longest time that the whole body of a request may take, in milliseconds.
    pub body_timeout_ms: u64,
    /// Largest request head, in bytes. At least 8192.
    pub max_header_bytes: usize,
    /// Largest number of header fields in a request.
    pub max_headers: usize,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Largest number of open client connections. More are closed at once.
    pub max_connections: usize,
    /// Time that calls in flight get to finish when the gateway stops, in milliseconds.
    pub drain_ms: u64,
    /// Time that a connection on which nothing comes is kept when the gateway stops, in
    /// milliseconds, at most half of `drain-ms`. What comes on it meanwhile is answered.
    pub drain_idle_ms: u64,
    /// Number of threads that serve calls; 0 takes one for each processor, at most 8.
    pub threads: usize,
    /// TLS on the listener. Without it the gateway speaks plain HTTP.
    pub tls: Option<Tls>,
}

/// TLS 1.2 and 1.3 on the listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// PEM file with the certificate of the gateway and its intermediates. Read again
    /// when it changes, for the connections that come then.
    pub certificate_file: PathBuf,
    /// PEM file with the private key of the certificate.
    pub key_file: PathBuf,
    /// Whether clients are asked for certificates of `[[identity.certificate]]`.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
    /// Longest time that a handshake may take, in milliseconds.
    #[serde(default = "Tls::default_handshake_timeout_ms")]
    pub handshake_timeout_ms: u64,
    /// Largest number of handshakes that are under way. More connections are closed at
    /// once.
    #[serde(default = "Tls::default_max_handshakes")]
    pub max_handshakes: usize,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificates {
    /// They are not asked for.
    Off,
    /// A client may show one. One that is shown and not accepted ends the handshake.
    #[default]
    Optional,
    /// Without one there is no connection.
    Required,
}

impl Tls {
    const fn default_handshake_timeout_ms() -> u64 {
        5_000
    }

    const fn default_max_handshakes() -> usize {
        256
    }

    /// Returns TLS with these files and default limits.
    #[must_use]
    pub fn new(certificate_file: PathBuf, key_file: PathBuf) -> Self {
        Self {
            certificate_file,
            key_file,
            client_certificates: ClientCertificates::default(),
            handshake_timeout_ms: Self::default_handshake_timeout_ms(),
            max_handshakes: Self::default_max_handshakes(),
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 7400)),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            header_timeout_ms: 10_000,
            body_timeout_ms: 15_000,
            max_header_bytes: 32 << 10,
            max_headers: 64,
            max_body_bytes: 4 << 20,
            max_connections: 4096,
            drain_ms: 10_000,
            drain_idle_ms: 1_000,
            threads: 0,
            tls: None,
        }
    }
}

/// One upstream MCP server. Exactly one of `url`, `command` and `builtin` is given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Upstream {
    /// Name of the server: in the ledger, in policies, and as the prefix of its
    /// tools where several servers share an endpoint.
    pub name: ServerId,
    /// Where calls are sent by Streamable HTTP. Must use `https` unless the host
    /// is a loopback address or `allow-plain-http` is set.
    #[serde(default)]
    pub url: Option<Url>,
    /// Program and arguments of a server that speaks over its standard input and output.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment of the program. It gets nothing else of this process's own.
    #[serde(default)]
    pub env: BTreeMap<String, Redacted<String>>,
    /// Working directory of the program. Without it, the one of this process.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// What the program reaches of the network.
    #[serde(default)]
    pub network: Network,
    /// Name of a server that runs inside this process, such as `travel`.
    #[serde(default)]
    pub builtin: Option<String>,
    /// Whether text of its results is marked as data for the model that reads it.
    #[serde(default)]
    pub spotlight: Spotlight,
    /// Permits `http` to a host that is not a loopback address.
    #[serde(default)]
    pub allow_plain_http: bool,
    /// PEM file with the authorities that vouch for the server. Without it those of the
    /// system do.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// What the server is shown. The credentials of clients never reach it.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// What is done about changes of its tools, where that differs from `[contracts]`.
    #[serde(default)]
    pub contracts: Rules,
    /// Longest wait for a connection, TLS included, in milliseconds.
    #[serde(default = "Upstream::default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// Longest wait for the head of an answer, in milliseconds. Without it 30000, or
    /// `deadline-ms` where that is less.
    #[serde(default)]
    pub first_byte_timeout_ms: Option<u64>,
    /// Longest time from sending a call to the last byte of an answer that is not
    /// an event stream, in milliseconds.
    #[serde(default = "Upstream::default_deadline_ms")]
    pub deadline_ms: u64,
    /// Longest silence within an event stream, in milliseconds.
    #[serde(default = "Upstream::default_idle_timeout_ms")]
    pub idle_timeout_ms: u64,
    /// Largest number of calls and streams that are open at the same time.
    #[serde(default = "Upstream::default_max_connections")]
    pub max_connections: usize,
    /// Longest wait of a call for one of `max-connections`, in milliseconds.
    #[serde(default = "Upstream::default_queue_timeout_ms")]
    pub queue_timeout_ms: u64,
    /// Largest answer that is not an event stream, and largest event of a stream, in bytes.
    #[serde(default = "Upstream::default_max_response_bytes")]
    pub max_response_bytes: u64,
    /// Number of consecutive failures after which calls are refused for a while.
    #[serde(default = "Upstream::default_breaker_failures")]
    pub breaker_failures: u32,
    /// How long calls are refused before one is let through to try, in milliseconds.
    #[serde(default = "Upstream::default_breaker_open_ms")]
    pub breaker_open_ms: u64,
}

/// What a program that runs as a child process reaches of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// What this process reaches.
    #[default]
    Host,
    /// Nothing, not even this machine: it runs in a network namespace of its own (Linux,
    /// with `unshare` of util-linux). Where the kernel does not allow that, the
    /// configuration is refused.
    None,
}

impl Upstream {
    const fn default_connect_timeout_ms() -> u64 {
        3_000
    }

    /// Returns the longest wait for the head of an answer, in milliseconds.
    pub(crate) fn first_byte_ms(&self) -> u64 {
        let default = self.deadline_ms.min(30_000);
        self.first_byte_timeout_ms.unwrap_or(default)
    }

    const fn default_deadline_ms() -> u64 {
        60_000
    }

    const fn default_idle_timeout_ms() -> u64 {
        300_000
    }

    const fn default_max_connections() -> usize {
        512
    }

    const fn default_queue_timeout_ms() -> u64 {
        1_000
    }

    const fn default_max_response_bytes() -> u64 {
        16 << 20
    }

    const fn default_breaker_failures() -> u32 {
        5
    }

    const fn default_breaker_open_ms() -> u64 {
        5_000
    }

    /// Returns an upstream inside this process with default limits.
    #[must_use]
    pub fn builtin(name: ServerId, builtin: impl Into<String>) -> Self {
        Self {
            builtin: Some(builtin.into()),
            ..Self::bare(name)
        }
    }

    /// Returns an upstream over HTTP with default limits.
    #[must_use]
    pub fn http(name: ServerId, url: Url) -> Self {
        Self {
            url: Some(url),
            ..Self::bare(name)
        }
    }

    /// Returns an upstream that runs as a child process, with default limits.
    #[must_use]
    pub fn command(name: ServerId, command: Vec<String>) -> Self {
        Self {
            command,
            ..Self::bare(name)
        }
    }

    fn bare(name: ServerId) -> Self {
        Self {
            name,
            url: None,
            command: Vec::new(),
            env: BTreeMap::new(),
            directory: None,
            builtin: None,
            network: Network::Host,
            spotlight: Spotlight::None,
            allow_plain_http: false,
            ca_file: None,
            auth: None,
            contracts: Rules::default(),
            connect_timeout_ms: Self::default_connect_timeout_ms(),
            first_byte_timeout_ms: None,
            deadline_ms: Self::default_deadline_ms(),
            idle_timeout_ms: Self::default_idle_timeout_ms(),
            max_connections: Self::default_max_connections(),
            queue_timeout_ms: Self::default_queue_timeout_ms(),
            max_response_bytes: Self::default_max_response_bytes(),
            breaker_failures: Self::default_breaker_failures(),
            breaker_open_ms: Self::default_breaker_open_ms(),
        }
    }

    /// Returns the files that it names, to be resolved.
    pub fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let auth = self.auth.iter_mut().flat_map(Auth::files);
        self.ca_file.iter_mut().chain(auth)
    }

    /// Reads the files and variables of its credentials.
    ///
    /// # Errors
    ///
    /// When they are not acceptable or cannot be read.
    pub fn check_credentials(&self) -> Result<(), AuthError> {
        match (&self.auth, &self.url) {
            (Some(auth), Some(url)) => credentials::check(auth, &self.name, url),
            _ => Ok(()),
        }
    }

    /// Returns which kind of server this is.
    ///
    /// # Errors
    ///
    /// When none or several of `url`, `command` and `builtin` are given, the URL
    /// is not acceptable, the name cannot be a prefix, or a limit is zero.
    pub fn kind(&self) -> Result<Kind<'_>, Error> {
        self.check_limits()?;
        if let Some(auth) = &self.auth {
            auth.check(&self.name, self.url.as_ref())?;
        }
        let name = || self.name.clone();
        match (&self.url, self.command.as_slice(), &self.builtin) {
            (Some(url), [], None) => self.check_url(url).map(|()| Kind::Http(url)),
            (None, [program, arguments @ ..], None) => Ok(Kind::Stdio { program, arguments }),
            (None, [], Some(builtin)) => Ok(Kind::Builtin(builtin)),
            (None, [], None) => Err(Error::NoKind { name: name() }),
            _ => Err(Error::SeveralKinds { name: name() }),
        }
    }

    fn check_url(&self, url: &Url) -> Result<(), Error> {
        let name = || self.name.clone();
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(Error::UrlParts { name: name() });
        }
        let loopback = match url.host() {
            Some(url::Host::Domain(domain)) => domain == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => return Err(Error::UrlParts { name: name() }),
        };
        match url.scheme() {
            "https" => Ok(()),
            "http" if loopback || self.allow_plain_http => Ok(()),
            "http" => Err(Error::PlainHttp { name: name() }),
            _ => Err(Error::Scheme { name: name() }),
        }
    }

    fn check_limits(&self) -> Result<(), Error> {
        let limits = [
            ("connect-timeout-ms", self.connect_timeout_ms),
            ("first-byte-timeout-ms", self.first_byte_ms()),
            ("deadline-ms", self.deadline_ms),
            ("idle-timeout-ms", self.idle_timeout_ms),
            ("max-connections", self.max_connections as u64),
            ("queue-timeout-ms", self.queue_timeout_ms),
            ("max-response-bytes", self.max_response_bytes),
            ("breaker-failures", u64::from(self.breaker_failures)),
            ("breaker-open-ms", self.breaker_open_ms),
        ];
        match limits.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(Error::Zero { key }),
            None => Ok(()),
        }
    }
}

/// The kind of an upstream server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Streamable HTTP.
    Http(&'a Url),
    /// A child process.
    Stdio {
        /// The program to start.
        program: &'a str,
        /// Its arguments.
        arguments: &'a [String],
    },
    /// A server inside this process.
    Builtin(&'a str),
}

/// One path at which clients reach servers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Endpoint {
    /// Path of the URL, such as `/mcp`.
    pub path: String,
    /// Names of the upstream servers behind it. One is passed through unchanged;
    /// several are merged, with tools named `<server>_<tool>`.
    pub upstreams: Vec<ServerId>,
}

/// What happens to calls that only read while the ledger takes no more records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// They are refused, so that nothing happens without a record.
    #[default]
    Refuse,
    /// They are served, and the loss of their records is counted and logged.
    Serve,
}

/// How calls are recorded.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Recording {
    /// What happens to calls that only read while the ledger takes no more
    /// records. Calls with an effect are always refused then.
    pub when_full: WhenFull,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No kind of server is given.
    #[error("upstream `{name}` needs one of `url`, `command` and `builtin`")]
    NoKind {
        /// The upstream.
        name: ServerId,
    },
    /// More than one kind of server is given.
    #[error("upstream `{name}` has more than one of `url`, `command` and `builtin`")]
    SeveralKinds {
        /// The upstream.
        name: ServerId,
    },
    /// The URL has parts that a server address cannot have.
    #[error("the url of upstream `{name}` needs a host and may have no user, password or fragment")]
    UrlParts {
        /// The upstream.
        name: ServerId,
    },
    /// The URL would send calls in the clear.
    #[error(
        "the url of upstream `{name}` must use https: its host is not a loopback address and `allow-plain-http` is not set"
    )]
    PlainHttp {
        /// The upstream.
        name: ServerId,
    },
    /// The URL has a scheme that is not HTTP.
    #[error("the url of upstream `{name}` must start with https:// or http://")]
    Scheme {
        /// The upstream.
        name: ServerId,
    },
    /// Its credentials are not acceptable.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A limit is zero.
    #[error("`{key}` must be at least 1")]
    Zero {
        /// The key.
        key: &'static str,
    },
    /// The header buffer is smaller than the HTTP library accepts.
    #[error("`max-header-bytes` must be at least 8192")]
    HeaderBuffer,
    /// An endpoint's path is not a path.
    #[error("the endpoint path `{path}` must start with `/` and have no `?`, `#` or blank")]
    Path {
        /// The path.
        path: String,
    },
    /// Two endpoints have the same path.
    #[error("the endpoint path `{path}` is used twice")]
    SamePath {
        /// The path.
        path: String,
    },
    /// Two upstreams have the same name.
    #[error("the upstream name `{name}` is used twice")]
    SameName {
        /// The name.
        name: ServerId,
    },
    /// An endpoint has no upstream.
    #[error("the endpoint `{path}` needs at least one upstream")]
    NoUpstream {
        /// The path.
        path: String,
    },
    /// An endpoint names an upstream that is not configured.
    #[error("the endpoint `{path}` names the upstream `{name}`, which is not configured")]
    UnknownUpstream {
        /// The path.
        path: String,
        /// The name.
        name: ServerId,
    },
    /// An upstream names a server that is not part of this program.
    #[error("upstream `{name}` names the built-in server `{builtin}`, which does not exist")]
    UnknownBuiltin {
        /// The upstream.
        name: ServerId,
        /// The built-in server.
        builtin: String,
    },
    /// An allowed origin is not an origin.
    #[error("`{origin}` is not an origin such as https://app.example")]
    Origin {
        /// The text.
        origin: String,
    },
}

impl Listen {
    /// Returns how many threads serve calls.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |count| count.get().min(8)),
            threads => threads,
        }
    }

    /// Checks limits.
    ///
    /// # Errors
    ///
    /// When a limit is zero or too small.
    pub fn check(&self) -> Result<(), Error> {
        let limits = [
            ("header-timeout-ms", self.header_timeout_ms),
            ("body-timeout-ms", self.body_timeout_ms),
            ("max-headers", self.max_headers as u64),
            ("max-body-bytes", self.max_body_bytes as u64),
            ("max-connections", self.max_connections as u64),
        ];
        let tls = self.tls.iter().flat_map(|tls| {
            [
                ("handshake-timeout-ms", tls.handshake_timeout_ms),
                ("max-handshakes", tls.max_handshakes as u64),
            ]
        });
        if let Some((key, _)) = limits.into_iter().chain(tls).find(|(_, value)| *value == 0) {
            return Err(Error::Zero { key });
        }
        // hyper panics below this (`hyper::server::conn::http1::Builder::max_buf_size`).
        if self.max_header_bytes < 8192 {
            return Err(Error::HeaderBuffer);
        }
        Ok(())
    }
}
