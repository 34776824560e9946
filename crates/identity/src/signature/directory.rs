//! Directories of the keys of agents.
//!
//! # Invariants
//!
//! * A directory is fetched from agents that are configured, one request at a time for
//!   each, not again soon after a failure or for a key that was not in it.
//! * Keys that a directory signs for count only if the signature is good. A directory
//!   without signatures counts as it came over https.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use airside_base::{Clock, Timestamp};
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::{
    base::{Message, Request},
    field::{Signature, Signatures},
    key::{Jwk, Key},
};
use crate::{BodyDigest, Fetch, FetchRequest, Fetched, Reach};

/// Where agents publish their keys.
pub(crate) const WELL_KNOWN: &str = "/.well-known/http-message-signatures-directory";

const MEDIA: &str = "application/http-message-signatures-directory+json";
const TAG: &str = "http-message-signatures-directory";

/// Most keys of one directory.
const MAX_KEYS: usize = 64;
/// How long a directory is used without being asked again: what it says, within these.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);
const USUAL: Duration = Duration::from_secs(600);
/// How long one that cannot be fetched any more is still used.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// How soon after a failure, or for a key that is missing, it is asked again.
const PAUSE: Duration = Duration::from_secs(30);

/// The directory of one agent.
pub(crate) struct Directory {
    url: Url,
    reach: Reach,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// Held while one request is under way.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Option<Arc<Keys>>,
    fetched: Duration,
    until: Duration,
    /// When it was last asked, whatever came of it.
    asked: Option<Duration>,
}

/// Keys by thumbprint.
pub(crate) type Keys = HashMap<String, Arc<Key>>;

/// What is known of a key without asking.
pub(crate) enum Found {
    /// It is there.
    Key(Arc<Key>),
    /// It is not there, and was not a moment ago.
    Absent,
    /// Nothing could be fetched, a moment ago.
    Unreachable,
    /// The directory has to be asked.
    Unknown,
}

impl Directory {
    pub(crate) fn new(
        origin: &Url,
        internal: bool,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut url = origin.clone();
        url.set_path(WELL_KNOWN);
        Self {
            reach: Reach::of(&url, internal),
            url,
            fetch,
            clock,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Returns what is known of the key with this thumbprint.
    pub(crate) fn find(&self, thumbprint: &str) -> Found {
        let now = self.clock.monotonic();
        let known = self.known.lock().expect("nothing panics in here");
        let lately = known.asked.is_some_and(|at| now.saturating_sub(at) < PAUSE);
        let keys = known.keys.as_ref();
        match keys.and_then(|keys| keys.get(thumbprint)) {
            Some(key) if now < known.until => Found::Key(key.clone()),
            // A moment ago nothing newer was to be had.
            Some(key) if lately && now.saturating_sub(known.fetched) < STALE => {
                Found::Key(key.clone())
            }
            _ if !lately => Found::Unknown,
            _ if keys.is_some() && now < known.until => Found::Absent,
            _ => Found::Unreachable,
        }
    }

    /// Asks for the directory, unless somebody else just did.
    pub(crate) async fn ask(&self, thumbprint: &str) -> Found {
        let _one = self.asking.lock().await;
        match self.find(thumbprint) {
            Found::Unknown => {}
            found => return found,
        }
        let request = FetchRequest {
            accept: MEDIA,
            ..FetchRequest::get(self.url.clone(), self.reach)
        };
        let fetched = self.fetch.fetch(request).await;
        let read = fetched
            .map_err(|error| error.to_string())
            .and_then(|fetched| {
                let age = fetched.max_age().unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
                let keys = read(&self.url, &fetched, self.clock.now());
                keys.map(|keys| (keys, age))
                    .ok_or_else(|| "it holds no key".to_owned())
            });
        let now = self.clock.monotonic();
        {
            let mut known = self.known.lock().expect("nothing panics in here");
            known.asked = Some(now);
            match read {
                Ok((keys, age)) => {
                    known.keys = Some(Arc::new(keys));
                    (known.fetched, known.until) = (now, now + age);
                }
                Err(reason) => tracing::warn!(
                    url = %self.url,
                    reason,
                    "the keys of an agent cannot be fetched"
                ),
            }
        }
        self.find(thumbprint)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Directory")
            .field(&self.url.as_str())
            .finish()
    }
}

/// A JSON Web Key Set. Keys that are not understood are passed over.
#[derive(Deserialize)]
struct KeySet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// Reads the keys of an answer; none if there are none that count.
pub(crate) fn read(url: &Url, fetched: &Fetched, now: Timestamp) -> Option<Keys> {
    let set: KeySet<'_> = serde_json::from_slice(&fetched.body).ok()?;
    let keys = set.keys.iter().take(MAX_KEYS);
    let keys: Keys = keys
        .filter_map(|text| serde_json::from_str::<Jwk>(text.get()).ok()?.key())
        .map(|(thumbprint, key)| (thumbprint, Arc::new(key)))
        .collect();
    let keys = match vouched(url, fetched, &keys, now) {
        None => keys,
        Some(vouched) => (keys.into_iter())
            .filter(|(thumbprint, _)| vouched.contains(thumbprint))
            .collect(),
    };
    (!keys.is_empty()).then_some(keys)
}

/// Returns the keys that have signed the answer; none if it has no signatures.
fn vouched(url: &Url, fetched: &Fetched, keys: &Keys, now: Timestamp) -> Option<Vec<String>> {
    let signatures = Signatures::read(&fetched.headers).ok().flatten()?;
    let own: Vec<_> = (signatures.iter())
        .filter(|signature| signature.tag.as_deref() == Some(TAG))
        .collect();
    if own.is_empty() {
        return None;
    }
    let nothing = HeaderMap::new();
    let authority = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let message = Message {
        request: Request {
            method: &Method::GET,
            scheme: url.scheme(),
            authority: &authority,
            path: url.path(),
            query: url.query(),
            headers: &nothing,
        },
        response: Some((200, &fetched.headers)),
    };
    let good = |signature: &&Signature| {
        let key = signature.keyid.as_deref().and_then(|id| keys.get(id))?;
        let covers = signature.covers("\"@authority\";req");
        let digest = !signature.covers("\"content-digest\"")
            || BodyDigest::read(&fetched.headers)
                .is_ok_and(|digests| digests.iter().all(|digest| digest.is_of(&fetched.body)));
        let base = message.base(&signature.covered).ok()?;
        let verified = covers
            && digest
            && signature.is_timely(now.as_second())
            && signature
                .alg
                .as_deref()
                .is_none_or(|alg| alg == key.algorithm.as_str())
            && key.verifies(base.as_bytes(), &signature.value);
        if !verified {
            tracing::warn!(%url, "a key of a directory is signed for wrongly and does not count");
        }
        verified.then(|| signature.keyid.clone()).flatten()
    };
    Some(
        own.into_iter()
            .filter_map(|signature| good(&signature))
            .collect(),
    )
}
