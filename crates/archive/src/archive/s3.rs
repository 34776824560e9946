//! Storage that speaks the protocol of S3.
//!
//! # Invariants
//!
//! * Requests go through the HTTP client and the TLS that the rest of Airside uses, with
//!   a deadline and a bound for each answer.
//! * Credentials come from a private file or from the environment, and are not printed.
//! * A new object is written with `If-None-Match: *`. Where that is ignored no archive is
//!   made (`Objects::check_create`).

use std::{
    error::Error as _,
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use airside_base::{Fault, Kind};
use async_trait::async_trait;
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector as Dialer},
    rt::{TokioExecutor, TokioTimer},
};
use object_store::{
    ClientOptions, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
        HttpResponse, HttpResponseBody, HttpService,
    },
    path::Path as Key,
    prefix::PrefixStore,
};
use url::{Host, Url};

use super::{error::Error, index::MAX_INDEX, objects::Objects};

/// Longest wait for a connection and for the head of one answer. An attempt that takes
/// longer is repeated, so a lost packet does not cost the whole time of a request.
const CONNECT: Duration = Duration::from_secs(5);
const HEAD: Duration = Duration::from_secs(10);
/// Attempts after the first one, and how long they may take together.
const RETRIES: usize = 3;
const RETRY: Duration = Duration::from_secs(20);
/// Largest answer: the largest object, and what surrounds a list.
const MAX_ANSWER: usize = MAX_INDEX + 1024 * 1024;
const MAX_CREDENTIALS: u64 = 64 * 1024;
/// Where S3 is if nothing else is said.
const REGION: &str = "us-east-1";

/// What the environment may say of credentials, as for other programs that use S3.
const FROM_ENVIRONMENT: [(&str, AmazonS3ConfigKey); 9] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        AmazonS3ConfigKey::WebIdentityTokenFile,
    ),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
    ),
];

/// How a storage is reached that speaks the protocol of S3. Nothing of it is needed for a
/// folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Where it is, if it is not Amazon's: `https`, or `http` on this machine.
    pub endpoint: Option<Url>,
    /// Its region; without one `AWS_REGION`, else `us-east-1`.
    pub region: Option<String>,
    /// A file with `aws_access_key_id` and `aws_secret_access_key` in its section
    /// `default`, which only its owner may read. Without it the environment is asked, and
    /// then the machine's or the container's own role.
    pub credentials: Option<PathBuf>,
}

/// What keeps a storage from being reached, apart from its answers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccessError {
    /// A password would travel in clear.
    #[error("the endpoint `{endpoint}` is neither https nor on this machine")]
    Plain {
        /// The endpoint.
        endpoint: Url,
    },
    /// The file with the credentials cannot be read.
    #[error("cannot read the credentials in `{}`", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// Others may read the file with the credentials.
    #[error("others than its owner may read the credentials in `{}`", .file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
    },
    /// The file holds no credentials.
    #[error("`{}` has no `{missing}` in its section `default`", .file.display())]
    Incomplete {
        /// The file.
        file: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// The certificates of this machine cannot be read.
    #[error("cannot set up TLS")]
    Tls(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// It is not the ARN of a key.
    #[error("`{arn}` is not the ARN of a key of AWS KMS")]
    Arn {
        /// What was given.
        arn: String,
    },
    /// The credentials cannot be used.
    #[error("the credentials of the environment cannot be used")]
    Credentials(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The storage would overwrite what another has written.
    #[error(
        "the storage ignores `If-None-Match: *`: it would let two writers overwrite each other"
    )]
    NotCreateOnly,
}

impl AccessError {
    /// What the operator may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let told = |kind, code| Fault::new(kind, code, self.to_string());
        match self {
            Self::Plain { .. } => told(Kind::Invalid, "LED-104"),
            Self::File { .. }
            | Self::Exposed { .. }
            | Self::Incomplete { .. }
            | Self::Credentials(_) => told(Kind::Forbidden, "LED-105"),
            Self::Arn { .. } => told(Kind::Invalid, "LED-163")
                .with_hint("write arn:aws:kms:REGION:ACCOUNT:key/ID, or alias/NAME for key/ID"),
            Self::Tls(_) => told(Kind::Unavailable, "LED-106"),
            Self::NotCreateOnly => told(Kind::Unsupported, "LED-107"),
        }
        .with_private(self)
    }
}

/// Refuses an endpoint to which secrets would travel in clear.
pub(super) fn check_endpoint(endpoint: &Url) -> Result<(), AccessError> {
    let plain = endpoint.scheme() == "http" && is_here(endpoint);
    if endpoint.scheme() != "https" && !plain {
        let endpoint = endpoint.clone();
        return Err(AccessError::Plain { endpoint });
    }
    Ok(())
}

/// Returns the storage at `url`: `s3://bucket/prefix`.
pub(super) fn open(url: &Url, access: &Access) -> Result<Objects, Error> {
    let unusable = || Error::Url {
        url: url.to_string(),
    };
    let bucket = url.host_str().ok_or_else(unusable)?;
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return Err(unusable());
    }
    let region = access
        .region
        .clone()
        .or_else(|| std::env::var("AWS_REGION").ok());
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.unwrap_or_else(|| REGION.to_owned()))
        .with_http_connector(Connector(client().map_err(Error::Access)?))
        .with_retry(RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY,
            ..RetryConfig::default()
        });
    if let Some(endpoint) = &access.endpoint {
        check_endpoint(endpoint).map_err(Error::Access)?;
        // Names of buckets as parts of the host name need certificates for each.
        builder = builder
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_allow_http(endpoint.scheme() == "http")
            .with_virtual_hosted_style_request(false);
    }
    builder = with_credentials(builder, access.credentials.as_deref()).map_err(Error::Access)?;
    let store = builder.build().map_err(|source| Error::Storage {
        doing: "use",
        object: url.to_string(),
        source: Arc::new(source),
    })?;
    let prefix = Key::from_url_path(url.path()).map_err(|_| unusable())?;
    Ok(Objects::new(Arc::new(PrefixStore::new(store, prefix))))
}

/// Returns what asks for credentials: those in `file`, or as the environment says.
pub(super) fn credentials(file: Option<&Path>) -> Result<AwsCredentialProvider, AccessError> {
    let builder = AmazonS3Builder::new()
        .with_bucket_name("none")
        .with_region(REGION)
        .with_http_connector(Connector(client()?));
    let store = with_credentials(builder, file)?.build();
    let store = store.map_err(|error| AccessError::Credentials(Arc::new(error)))?;
    Ok(store.credentials().clone())
}

fn with_credentials(
    builder: AmazonS3Builder,
    file: Option<&Path>,
) -> Result<AmazonS3Builder, AccessError> {
    let Some(file) = file else {
        let set = FROM_ENVIRONMENT.into_iter();
        let set = set.filter_map(|(name, key)| Some((std::env::var(name).ok()?, key)));
        return Ok(set.fold(builder, |builder, (value, key)| {
            builder.with_config(key, value)
        }));
    };
    with_file(builder, file)
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Reads the section `default` of a file as Amazon's tools write it.
fn with_file(builder: AmazonS3Builder, file: &Path) -> Result<AmazonS3Builder, AccessError> {
    let unread = |source| AccessError::File {
        file: file.to_owned(),
        source: Arc::new(source),
    };
    let found = fs::metadata(file).map_err(unread)?;
    if found.mode() & 0o077 != 0 {
        let file = file.to_owned();
        return Err(AccessError::Exposed { file });
    }
    if found.len() > MAX_CREDENTIALS {
        return Err(unread(io::ErrorKind::FileTooLarge.into()));
    }
    let text = fs::read_to_string(file).map_err(unread)?;
    let value = |name: &str| {
        let mut section = "default";
        text.lines().find_map(|line| {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                section = name.trim();
            }
            let (key, value) = line.split_once('=')?;
            (section == "default" && key.trim() == name).then(|| value.trim().to_owned())
        })
    };
    let needed = |missing: &'static str| {
        let file = file.to_owned();
        value(missing).ok_or(AccessError::Incomplete { file, missing })
    };
    let builder = builder
        .with_access_key_id(needed("aws_access_key_id")?)
        .with_secret_access_key(needed("aws_secret_access_key")?);
    Ok(match value("aws_session_token") {
        Some(token) => builder.with_token(token),
        None => builder,
    })
}

pub(super) type Client = legacy::Client<HttpsConnector<Dialer>, HttpRequestBody>;

/// Returns a client with the TLS that the rest of Airside uses.
pub(super) fn client() -> Result<Client, AccessError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| AccessError::Tls(Arc::new(error)))?
        .with_native_roots()
        .map_err(|error| AccessError::Tls(Arc::new(error)))?
        .with_no_client_auth();
    let mut dialer = Dialer::new();
    dialer.enforce_http(false);
    dialer.set_nodelay(true);
    dialer.set_connect_timeout(Some(CONNECT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(dialer);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connector))
}

/// Makes the client of a storage.
#[derive(Debug)]
struct Connector(Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.clone())))
    }
}

struct Service(Client);

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = match tokio::time::timeout(HEAD, self.0.request(request)).await {
            Ok(answer) => answer.map_err(unanswered)?,
            Err(late) => return Err(HttpError::new(HttpErrorKind::Timeout, late)),
        };
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER);
        let body = body.map_err(|error| HttpError::new_boxed(HttpErrorKind::Interrupted, error));
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

/// Says whether a request has reached the storage, as far as that is known.
fn unanswered(error: legacy::Error) -> HttpError {
    let kind = match error
        .source()
        .and_then(|e| e.downcast_ref::<hyper::Error>())
    {
        _ if error.is_connect() => HttpErrorKind::Connect,
        Some(source) if source.is_canceled() => HttpErrorKind::Request,
        Some(source) if source.is_timeout() => HttpErrorKind::Timeout,
        _ => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error)
}
