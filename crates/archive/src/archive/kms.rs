//! A vault whose key is in AWS KMS, or in a service that speaks its protocol.
//!
//! # Invariants
//!
//! * The key never leaves the service. What it wraps names it by its ARN, and is opened
//!   by that key alone.
//! * The service learns no place in clear, since its audit log keeps what it is told: it
//!   gets the SHA-256 of it as the encryption context.
//! * An answer is bounded in size and a request in time. Only what the service calls
//!   passing, and what it never answered, is tried again.
//!
//! Protocol: AWS KMS API Reference (`Encrypt`, `Decrypt`, `DescribeKey`,
//! `ScheduleKeyDeletion`), JSON 1.1, signature version 4.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use airside_base::{BoxFuture, Clock, Redacted};
use airside_ledger::vault::{DataKey, KEY_BYTES, Tampered, Vault, VaultError, Wrapped};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::sync::OnceCell;
use url::Url;
use zeroize::Zeroizing;

use super::s3::{self, AccessError, Client};

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Pauses before a request is tried again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(3),
];
/// Largest answer, in bytes. A wrapped key has some 200.
const MAX_ANSWER: usize = 64 << 10;
/// Longest part of what the service says that is passed on, in characters.
const MAX_WORDS: usize = 300;
/// The name that stands for the place in the encryption context.
const PLACE: &str = "airside-place";
/// Days until a key is gone whose destruction was asked for: the fewest that there are.
const PENDING_DAYS: u8 = 7;

/// Which key, and how its service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    /// ARN of a symmetric key or of an alias of one: `arn:aws:kms:REGION:ACCOUNT:key/ID`.
    pub arn: String,
    /// Where the service is, if it is not Amazon's: `https`, or `http` on this machine.
    pub endpoint: Option<Url>,
    /// Credentials, as in [`Access`](super::Access).
    pub credentials: Option<PathBuf>,
}

/// A [`Vault`] with its key in AWS KMS.
pub struct Kms {
    client: Client,
    credentials: AwsCredentialProvider,
    endpoint: Url,
    region: String,
    /// As it was named; perhaps an alias.
    named: String,
    /// ARN of the key itself.
    key: OnceCell<String>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kms").field(&self.named).finish()
    }
}

impl Kms {
    /// Returns the vault of `key`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When the ARN is none, or there is no safe way to the service.
    pub fn new(key: &KmsKey, clock: Arc<dyn Clock>) -> Result<Self, AccessError> {
        let none = || AccessError::Arn {
            arn: words(&key.arn),
        };
        let (region, usual) = place(&key.arn).ok_or_else(none)?;
        let endpoint = match &key.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => usual,
        };
        s3::check_endpoint(&endpoint)?;
        let credentials = s3::credentials(key.credentials.as_deref())?;
        Ok(Self {
            client: s3::client()?,
            credentials,
            endpoint,
            region,
            named: key.arn.clone(),
            key: OnceCell::new(),
            clock,
        })
    }

    /// Returns the ARN of the key itself.
    async fn present(&self) -> Result<&str, VaultError> {
        let described = async {
            let asked = json!({ "KeyId": self.named });
            let found: Described = self.ask("DescribeKey", &asked).await?;
            Ok(found.key_metadata.arn)
        };
        self.key
            .get_or_try_init(|| described)
            .await
            .map(|arn| &**arn)
    }

    async fn wrapped(&self, key: &DataKey, context: &[u8]) -> Result<Wrapped, VaultError> {
        let present = self.present().await?;
        let plain = Zeroizing::new(BASE64_STANDARD.encode(key.expose()));
        let asked = json!({
            "KeyId": present,
            "Plaintext": &*plain,
            "EncryptionContext": { PLACE: fingerprint(context) },
        });
        let answer: Encrypted = self.ask("Encrypt", &asked).await?;
        let key = BASE64_STANDARD.decode(&answer.ciphertext_blob);
        let key = key.map_err(|_| self.unclear("Encrypt"))?;
        if answer.key_id != present || key.is_empty() {
            return Err(self.unclear("Encrypt"));
        }
        Ok(Wrapped {
            vault: present.to_owned(),
            key,
        })
    }

    async fn unwrapped(&self, wrapped: &Wrapped, context: &[u8]) -> Result<DataKey, VaultError> {
        let present = self.present().await?;
        if wrapped.vault != present {
            return Err(VaultError::OtherKey {
                wrapped_by: wrapped.vault.clone(),
                present: present.to_owned(),
            });
        }
        if wrapped.key.is_empty() {
            return Err(VaultError::Tampered(Tampered));
        }
        let asked = json!({
            "KeyId": present,
            "CiphertextBlob": BASE64_STANDARD.encode(&wrapped.key),
            "EncryptionContext": { PLACE: fingerprint(context) },
        });
        let answer: Decrypted = self.ask("Decrypt", &asked).await?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let plain = BASE64_STANDARD.decode(answer.plaintext.expose());
        let plain = Zeroizing::new(plain.map_err(|_| self.unclear("Decrypt"))?);
        if plain.len() != bytes.len() {
            return Err(VaultError::Tampered(Tampered));
        }
        bytes.copy_from_slice(&plain);
        Ok(DataKey::from_bytes(bytes))
    }

    async fn schedule(&self) -> Result<(), VaultError> {
        // By its id alone: keys of other accounts cannot be destroyed.
        let key = self.present().await?;
        let id = key.rsplit('/').next().unwrap_or(key);
        let asked = json!({ "KeyId": id, "PendingWindowInDays": PENDING_DAYS });
        match self.ask::<Scheduled>("ScheduleKeyDeletion", &asked).await {
            Ok(_) | Err(VaultError::Destroyed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks for `operation`, again if the service says that it may be.
    async fn ask<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        asked: &serde_json::Value,
    ) -> Result<T, VaultError> {
        let body = Bytes::from(asked.to_string());
        for pause in PAUSES {
            match self.once(operation, &body).await {
                Err(Failed::Passing(_)) => self.clock.sleep(pause).await,
                answered => return self.read(operation, answered).await,
            }
        }
        let answered = self.once(operation, &body).await;
        self.read(operation, answered).await
    }

    async fn once(&self, operation: &'static str, body: &Bytes) -> Result<Bytes, Failed> {
        let passing = |why: String| Failed::Passing(why);
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.endpoint.as_str())
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{operation}"))
            .body(body.clone().into());
        let mut request = request.map_err(|error| Failed::Refused(error.to_string()))?;
        let answered = async {
            let credential = self.credentials.get_credential().await;
            let credential = credential.map_err(|error| passing(error.to_string()))?;
            AwsAuthorizer::new(&credential, "kms", &self.region)
                .try_authorize(&mut request, None)
                .map_err(|error| Failed::Refused(error.to_string()))?;
            let answer = self.client.request(request).await;
            let (head, body) = answer
                .map_err(|error| passing(error.to_string()))?
                .into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| passing(error.to_string()))?.to_bytes();
            if head.status == StatusCode::OK {
                return Ok(body);
            }
            let told: Problem = serde_json::from_slice(&body).unwrap_or_default();
            Err(told.judge(head.status))
        };
        let answered = tokio::time::timeout(ANSWER, answered).await;
        answered.unwrap_or_else(|_| Err(passing("no answer came in time".to_owned())))
    }

    async fn read<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        answered: Result<Bytes, Failed>,
    ) -> Result<T, VaultError> {
        let key = || self.named.clone();
        match answered {
            Ok(body) => serde_json::from_slice(&body).map_err(|_| self.unclear(operation)),
            Err(Failed::Passing(why)) => Err(VaultError::Unreachable {
                key: key(),
                why: words(&why),
            }),
            Err(Failed::Refused(why)) => Err(VaultError::Refused {
                key: key(),
                why: words(&why),
            }),
            Err(Failed::Tampered) => Err(VaultError::Tampered(Tampered)),
            Err(Failed::Absent) => Err(VaultError::Absent { key: key() }),
            Err(Failed::State(why)) => Err(self.state(&why).await),
        }
    }

    /// Says why the state of the key does not allow what was asked.
    async fn state(&self, why: &str) -> VaultError {
        let body = Bytes::from(json!({ "KeyId": self.named }).to_string());
        let found = self.once("DescribeKey", &body).await.ok();
        let found = found.and_then(|body| serde_json::from_slice::<Described>(&body).ok());
        let state = found.map(|found| found.key_metadata.key_state);
        match state.as_deref() {
            Some("PendingDeletion" | "PendingReplicaDeletion") => VaultError::Destroyed,
            _ => VaultError::Refused {
                key: self.named.clone(),
                why: words(why),
            },
        }
    }

    fn unclear(&self, operation: &str) -> VaultError {
        VaultError::Refused {
            key: self.named.clone(),
            why: format!("its answer to {operation} is not that of a key management service"),
        }
    }
}

impl Vault for Kms {
    fn id(&self) -> BoxFuture<'_, Result<String, VaultError>> {
        Box::pin(async { self.present().await.map(ToOwned::to_owned) })
    }

    fn wrap<'a>(
        &'a self,
        key: &'a DataKey,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Wrapped, VaultError>> {
        Box::pin(self.wrapped(key, context))
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<DataKey, VaultError>> {
        Box::pin(self.unwrapped(wrapped, context))
    }

    fn destroy(&self) -> BoxFuture<'_, Result<(), VaultError>> {
        Box::pin(self.schedule())
    }
}

/// Why a request was not done.
enum Failed {
    /// It may be asked again.
    Passing(String),
    /// Never, as things are.
    Refused(String),
    /// The wrapped key is not what was returned for this place.
    Tampered,
    /// There is no such key.
    Absent,
    /// The key is in a state in which it does nothing.
    State(String),
}

/// What the service says when it does not do what was asked.
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl Problem {
    fn judge(self, status: StatusCode) -> Failed {
        // Some put the name space before it: `com.amazonaws.kms#NotFoundException`.
        let kind = self.kind.rsplit('#').next().unwrap_or_default();
        let text = format!("{kind} ({status}): {}", self.message);
        match kind {
            "InvalidCiphertextException" | "IncorrectKeyException" => Failed::Tampered,
            "NotFoundException" => Failed::Absent,
            "KMSInvalidStateException" => Failed::State(text),
            "ThrottlingException"
            | "LimitExceededException"
            | "DependencyTimeoutException"
            | "KeyUnavailableException"
            | "RequestTimeoutException" => Failed::Passing(text),
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Failed::Passing(text)
            }
            _ => Failed::Refused(text),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    key_metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    arn: String,
    #[serde(default)]
    key_state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: Redacted<String>,
}

/// Nothing of the answer is needed.
#[derive(Deserialize)]
struct Scheduled {}

/// Returns the region in an ARN of a key, and where Amazon's service is for it.
fn place(arn: &str) -> Option<(String, Url)> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "kms", region, account, key] = parts[..] else {
        return None;
    };
    let (kind, name) = key.split_once('/')?;
    let domain = match partition {
        "aws" | "aws-us-gov" => "amazonaws.com",
        "aws-cn" => "amazonaws.com.cn",
        _ => return None,
    };
    let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_named = matches!(kind, "key" | "alias") && !name.is_empty();
    let is_right = is_named
        && !region.is_empty()
        && region.bytes().all(is_region)
        && !account.is_empty()
        && account.bytes().all(|byte| byte.is_ascii_digit());
    let url = Url::parse(&format!("https://kms.{region}.{domain}/")).ok()?;
    is_right.then(|| (region.to_owned(), url))
}

/// Hides a place: audit logs of the service show encryption contexts in clear.
fn fingerprint(context: &[u8]) -> String {
    let hash = digest(&SHA256, context);
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What somebody else says, short and without control characters.
fn words(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(clean).take(MAX_WORDS).collect()
}
