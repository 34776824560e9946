//! Keys of one issuer: found, kept, and fetched again when they change.
//!
//! # Invariants
//!
//! * A token costs a request to its issuer only if no key is known for it, and all
//!   tokens together cause one request at a time, with a pause after each: whoever
//!   sends made-up key ids does not reach the issuer more often than that.
//! * A fetch does not end with the call that caused it. Keys that are old are fetched
//!   again while calls go on with those at hand.
//! * While the issuer is away, the last good keys are used, but not for ever.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use airside_base::{Clock, OnFailure, Supervisor};
use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use url::Url;

use super::{jose::Object, jwk::Keys};
use crate::{Fetch, FetchError, FetchRequest, Reach};

/// Shortest time between two fetches that tokens with unknown keys cause.
pub(super) const PAUSE: Duration = Duration::from_secs(30);

/// Shortest time until the next attempt after one that failed.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// Age at which keys are fetched again, unless the issuer says otherwise.
const FRESH: Duration = Duration::from_secs(600);

/// Bounds of what an issuer may say about it.
const FRESH_RANGE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// Age up to which keys are used while the issuer is away.
pub(super) const LAST_GOOD: Duration = Duration::from_secs(24 * 3600);

/// Calls that wait for one fetch.
const MAX_WAITING: usize = 256;

/// How often a file is looked at again.
const FILE_FRESH: Duration = Duration::from_secs(30);

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// What the metadata of the issuer says.
    Discovered {
        /// The identifier of the issuer, as it has to be in its metadata.
        issuer: String,
    },
    /// This document.
    Url(Url),
    /// This file.
    File(PathBuf),
}

/// What identity needs from outside.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) supervisor: Supervisor,
}

/// What is known of an issuer at a moment.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) keys: Keys,
    /// Where tokens are looked up, if its metadata says so.
    pub(super) introspection: Option<Url>,
    /// Counts changes of the keys: what was judged by others is judged again.
    pub(super) generation: u64,
    /// On the monotonic clock.
    fetched: Duration,
    fresh: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// On the monotonic clock.
    attempted: Option<Duration>,
    failed: bool,
    fetching: bool,
}

/// Keys of one issuer.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    place: Place,
    reach: Reach,
    means: Means,
    known: ArcSwapOption<Known>,
    state: Mutex<State>,
    /// Counts fetches that have ended.
    ended: watch::Sender<u64>,
    waiting: AtomicUsize,
}

/// The keys cannot be had at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away;

impl Source {
    pub(super) fn new(name: &str, place: Place, reach: Reach, means: Means) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            place,
            reach,
            means,
            known: ArcSwapOption::empty(),
            state: Mutex::default(),
            ended: watch::Sender::new(0),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Returns whether `other` has the same keys from the same place.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.place == other.place && self.reach == other.reach && self.name == other.name
    }

    pub(super) fn means(&self) -> &Means {
        &self.means
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// Returns what is known, without waiting. Has it fetched again where it is old.
    pub(super) fn known(self: &Arc<Self>) -> Option<Arc<Known>> {
        let known = self.known.load_full()?;
        let now = self.means.clock.monotonic();
        let age = now.saturating_sub(known.fetched);
        if age >= known.fresh {
            let mut state = self.lock();
            if self.may_fetch(&state, now) {
                self.start(&mut state, now);
            }
        }
        (age < LAST_GOOD).then_some(known)
    }

    /// Returns what is known after asking again, if that may be done now.
    pub(super) async fn refreshed(self: Arc<Self>) -> Result<Arc<Known>, Away> {
        let mut ended = {
            let now = self.means.clock.monotonic();
            let mut state = self.lock();
            let ended = self.ended.subscribe();
            if !state.fetching {
                if !self.may_fetch(&state, now) {
                    drop(state);
                    return self.known().ok_or(Away);
                }
                self.start(&mut state, now);
            }
            ended
        };
        let _waits = Waits::begin(&self.waiting).ok_or(Away)?;
        // The sender lives as long as this source.
        let _ = ended.changed().await;
        self.known().ok_or(Away)
    }

    fn may_fetch(&self, state: &State, now: Duration) -> bool {
        let pause = match (state.failed, &self.place) {
            (true, _) => RETRY,
            (false, Place::File(_)) => RETRY,
            (false, _) => PAUSE,
        };
        let due = |attempted: Duration| now.saturating_sub(attempted) >= pause;
        !state.fetching && state.attempted.is_none_or(due)
    }

    fn start(self: &Arc<Self>, state: &mut State, now: Duration) {
        state.fetching = true;
        state.attempted = Some(now);
        let this = self.clone();
        let supervisor = &self.means.supervisor;
        supervisor.spawn("fetch keys", OnFailure::Log, async move {
            // Also when the task is dropped, with the runtime that it runs on.
            let done = Done(this.clone());
            let outcome = this.load().await;
            this.store(outcome);
            drop(done);
        });
    }

    fn store(&self, outcome: Result<Loaded, String>) {
        let before = self.known.load_full();
        self.lock().failed = outcome.is_err();
        match outcome {
            Ok(loaded) => {
                let same = before.as_ref().filter(|known| known.keys == loaded.keys);
                let generation = match (same, &before) {
                    (Some(same), _) => same.generation,
                    (None, before) => {
                        tracing::info!(issuer = self.name, "the keys of an issuer are new");
                        before.as_ref().map_or(0, |before| before.generation + 1)
                    }
                };
                self.known.store(Some(Arc::new(Known {
                    keys: loaded.keys,
                    introspection: loaded.introspection,
                    generation,
                    fetched: self.means.clock.monotonic(),
                    fresh: loaded.fresh,
                })));
            }
            Err(why) => {
                let known = before.is_some();
                tracing::warn!(
                    issuer = self.name,
                    why,
                    known,
                    "cannot fetch the keys of an issuer"
                );
            }
        }
    }

    async fn load(&self) -> Result<Loaded, String> {
        match &self.place {
            Place::Url(url) => self.load_keys(url.clone(), None).await,
            Place::File(path) => {
                let read = std::fs::read(path).map_err(|error| error.to_string())?;
                let keys = Keys::read(&read).ok_or("the file holds no usable key")?;
                let introspection = None;
                Ok(Loaded {
                    keys,
                    introspection,
                    fresh: FILE_FRESH,
                })
            }
            Place::Discovered { issuer } => {
                let metadata = self.discover(issuer).await?;
                let url = |name: &str| metadata.text(name).and_then(|text| Url::parse(text).ok());
                let keys = url("jwks_uri").ok_or("the metadata of the issuer has no `jwks_uri`")?;
                self.load_keys(keys, url("introspection_endpoint")).await
            }
        }
    }

    async fn load_keys(&self, url: Url, introspection: Option<Url>) -> Result<Loaded, String> {
        let request = FetchRequest::get(url, self.reach);
        let fetched = self.means.fetch.fetch(request).await;
        let fetched = fetched.map_err(|error| format!("the key set: {error}"))?;
        let keys = Keys::read(&fetched.body).ok_or("the key set holds no usable key")?;
        let (least, most) = FRESH_RANGE;
        let fresh = fetched.max_age().unwrap_or(FRESH).clamp(least, most);
        Ok(Loaded {
            keys,
            introspection,
            fresh,
        })
    }

    /// Finds the metadata of `issuer`, first as an authorization server, then as an
    /// OpenID provider.
    async fn discover(&self, issuer: &str) -> Result<Object, String> {
        let mut failed = "the issuer is no URL".to_owned();
        for url in well_known(issuer) {
            let request = FetchRequest::get(url.clone(), self.reach);
            match self.means.fetch.fetch(request).await {
                Ok(fetched) => {
                    let metadata = Object::parse(&fetched.body);
                    // Otherwise one issuer could speak for another (RFC 8414, section 3.3).
                    match metadata {
                        Some(metadata) if metadata.text("issuer") == Some(issuer) => {
                            return Ok(metadata);
                        }
                        Some(_) => failed = format!("{url} is the metadata of another issuer"),
                        None => failed = format!("{url} is no JSON object"),
                    }
                }
                // It is another place on the same server.
                Err(error @ (FetchError::Timeout { .. } | FetchError::Connect { .. })) => {
                    return Err(format!("{url}: {error}"));
                }
                Err(error) => failed = format!("{url}: {error}"),
            }
        }
        Err(failed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

/// Where metadata of `issuer` may be (RFC 8414, section 3.1 and 5; OpenID Connect
/// Discovery, section 4).
fn well_known(issuer: &str) -> Vec<Url> {
    let Ok(url) = Url::parse(issuer) else {
        return Vec::new();
    };
    let path = url.path().trim_end_matches('/').to_owned();
    let with = |path: String| {
        let mut url = url.clone();
        url.set_path(&path);
        url
    };
    let mut urls = vec![
        with(format!("/.well-known/oauth-authorization-server{path}")),
        with(format!("/.well-known/openid-configuration{path}")),
    ];
    if !path.is_empty() {
        urls.push(with(format!("{path}/.well-known/openid-configuration")));
    }
    urls
}

struct Loaded {
    keys: Keys,
    introspection: Option<Url>,
    fresh: Duration,
}

/// Says that a fetch has ended, however it did.
struct Done(Arc<Source>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.lock().fetching = false;
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

/// One of those who wait.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Option<Self> {
        let this = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(this)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
