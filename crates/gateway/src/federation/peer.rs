//! One upstream server with what Airside knows of it: which revisions it speaks, what
//! it offers, what tools it has.
//!
//! # Invariants
//!
//! * What is known is read by the gateway itself, under a permit of its own; where
//!   policy refuses that, nothing is known and every tool counts as an effect.
//! * One request at a time asks for the same thing. While it is old, what is known is
//!   used and refreshed beside; a failed attempt is not repeated for a while, so a
//!   server that hangs holds up one call and not every one.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use airside_base::{BoxFuture, OnFailure, ServerId, WithCauses};
use airside_contracts::{Digest, Rules};
use airside_identity::Caller;
use airside_mcp::{Body, MAX_MESSAGE, Revision, header, raw, reply::List};
use airside_policy::Permit;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header as h};
use tokio::time::timeout;

use super::{Shared, Visit, answer};
use crate::{
    catalog::{self, Catalog, Facts, Tool},
    contracts::{self, Listing},
    session::{Hello, Link},
    upstream::{self, Outbound, Upstream},
};

/// Longest time that one reading of profile or catalogue may take.
const LONGEST_READING: Duration = Duration::from_secs(10);
/// How long a failed reading is not repeated.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a profile is used (the cached era of the server).
const PROFILE_AGE: Duration = Duration::from_secs(600);

/// Which revisions a server speaks, and what it says of itself.
#[derive(Debug)]
pub(crate) struct Profile {
    /// Whether it speaks 2026-07-28.
    pub(crate) modern: bool,
    /// Whether it takes a handshake.
    pub(crate) legacy: bool,
    /// Text of the result of `server/discover`, or of `initialize`.
    pub(crate) result: String,
}

impl Profile {
    /// Returns whether it offers what `capability` stands for.
    pub(crate) fn has(&self, capability: &str) -> bool {
        raw::at(&self.result, &["capabilities", capability]).is_some()
    }

    /// Returns the newest revision that it speaks.
    pub(crate) fn newest(&self) -> &'static str {
        match self.modern {
            true => Revision::LATEST.as_str(),
            false => Revision::LATEST_LEGACY.as_str(),
        }
    }

    /// Returns whether it speaks `revision` itself.
    pub(crate) fn speaks(&self, revision: Revision) -> bool {
        match revision.is_modern() {
            true => self.modern,
            false => self.legacy,
        }
    }
}

/// Reads something from a server, with how long it may be used.
type Reading<T> = fn(Arc<Peer>) -> BoxFuture<'static, Option<(T, Duration)>>;

fn reading_catalog(peer: Arc<Peer>) -> BoxFuture<'static, Option<(Catalog, Duration)>> {
    Box::pin(async move {
        let catalog = peer.read_catalog().await?;
        let age = catalog.age();
        Some((catalog, age))
    })
}

/// Something that is read from a server and used for a while.
struct Known<T> {
    current: ArcSwapOption<Held<T>>,
    /// When the last attempt failed. Held while one is under way, as waiting for that
    /// one is what others are to do.
    reading: tokio::sync::Mutex<Option<Duration>>,
}

struct Held<T> {
    value: Arc<T>,
    since: Duration,
    until: Duration,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            current: ArcSwapOption::empty(),
            reading: tokio::sync::Mutex::new(None),
        }
    }
}

/// One upstream server.
pub struct Peer {
    upstream: Arc<Upstream>,
    shared: Arc<Shared>,
    profile: Known<Profile>,
    catalog: Known<Catalog>,
    contracts: Arc<contracts::Server>,
    /// What is done about changes of its tools.
    rules: Rules,
    /// Why it could not be asked when it was asked last.
    trouble: ArcSwapOption<upstream::Error>,
}

impl Peer {
    /// Returns the peer for `upstream`, whose tools may change as `rules` say.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>, shared: &Arc<Shared>, rules: Rules) -> Arc<Self> {
        let peer = Arc::new(Self {
            contracts: shared.contracts.server(upstream.id()),
            rules,
            upstream,
            shared: Arc::clone(shared),
            profile: Known::default(),
            catalog: Known::default(),
            trouble: ArcSwapOption::empty(),
        });
        shared.enter(&peer);
        peer
    }

    /// Returns its name.
    #[must_use]
    pub fn id(&self) -> &ServerId {
        self.upstream.id()
    }

    /// Returns the upstream.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the contracts of its tools.
    pub(crate) fn contracts(&self) -> &Arc<contracts::Server> {
        &self.contracts
    }

    /// Returns the callers to whom it says the same as to `caller`.
    pub(crate) fn class(&self, caller: &Caller) -> Cow<'static, str> {
        contracts::class(self.upstream.tells_callers_apart(), caller)
    }

    /// Returns what is done about changes of its tools.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Sends one request under `permit`.
    pub(crate) async fn send(
        &self,
        permit: &Permit<Outbound>,
        request: Request<Bytes>,
    ) -> Result<Response<Body>, upstream::Error> {
        self.upstream.send(permit, request).await
    }

    /// Sends one of the gateway's own requests; what goes wrong is remembered.
    async fn inquire(
        &self,
        permit: &Permit<Outbound>,
        request: Request<Bytes>,
    ) -> Option<Response<Body>> {
        let answered = self.send(permit, request).await;
        let answered = answered.map_err(|error| self.trouble.store(Some(Arc::new(error))));
        answered.ok()
    }

    /// Returns why nothing is known of its tools; none if something is.
    pub(crate) fn absence(&self) -> Option<Arc<upstream::Error>> {
        match self.catalog.current.load().is_some() {
            true => None,
            false => self.trouble.load_full(),
        }
    }

    /// Returns what the server speaks and offers, if it can be found out.
    pub(crate) async fn profile(self: &Arc<Self>) -> Option<Arc<Profile>> {
        self.known(
            |peer| &peer.profile,
            |peer| Box::pin(async move { peer.read_profile().await.map(|p| (p, PROFILE_AGE)) }),
        )
        .await
        .map(|held| Arc::clone(&held.value))
    }

    /// Returns what is known of a tool. A name that is missing from the catalogue
    /// makes it be read again, at most once in a while.
    pub(crate) async fn tool(self: &Arc<Self>, name: &str) -> Tool {
        let unknown = Tool {
            facts: Facts::unknown(),
            params: None,
            schema: None,
        };
        let Some(held) = self.catalog().await else {
            return unknown;
        };
        if let Some(tool) = held.value.find(name) {
            return tool.clone();
        }
        let now = self.shared.clock.monotonic();
        if now.saturating_sub(held.since) >= PAUSE {
            // Beside the catalogue in use, so that nobody else waits for it.
            let read = self.read(|peer| &peer.catalog, reading_catalog, Some(held.since));
            if let Some(held) = read.await
                && let Some(tool) = held.value.find(name)
            {
                return tool.clone();
            }
        }
        unknown
    }

    /// Makes sure that its tools were read once, so that all of them are seen for the
    /// first time together.
    pub(crate) async fn read_tools(self: &Arc<Self>) {
        if !self.contracts.knows(contracts::GATEWAY) {
            self.catalog().await;
        }
    }

    /// Returns `message`, an answer in which the server introduces itself, with the
    /// instructions that were accepted; none if those are in it.
    pub(crate) fn introduction(&self, message: &str) -> Option<String> {
        let result = raw::find(message, "result")?;
        let shown = contracts::introduction(&self.contracts, result, &self.rules)?;
        let mut edits = raw::Edits::default();
        edits.replace(message, result, shown);
        Some(edits.apply(message))
    }

    async fn catalog(self: &Arc<Self>) -> Option<Arc<Held<Catalog>>> {
        self.known(|peer| &peer.catalog, reading_catalog).await
    }

    /// Forgets everything that the server said: it announced a change.
    pub(crate) fn changed(&self) {
        self.catalog.current.store(None);
        self.shared.cache.invalidate(self.id());
    }

    /// Does as after a change when the server behaves as if there had been one. A
    /// client can provoke that, so it has no effect shortly after a reading.
    pub(crate) fn suspected(&self) {
        let now = self.shared.clock.monotonic();
        let held = self.catalog.current.load_full();
        if held.is_none_or(|held| now.saturating_sub(held.since) >= PAUSE) {
            self.changed();
        }
    }

    /// Forgets what the server speaks: it behaves otherwise.
    pub(crate) fn forget_profile(&self) {
        self.profile.current.store(None);
    }

    async fn known<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        place: fn(&Self) -> &Known<T>,
        read: Reading<T>,
    ) -> Option<Arc<Held<T>>> {
        let known = place(self);
        let now = self.shared.clock.monotonic();
        match known.current.load_full() {
            Some(held) if held.until > now => return Some(held),
            Some(held) => {
                let this = Arc::clone(self);
                if known.reading.try_lock().is_ok() {
                    let task = async move { drop(this.read(place, read, None).await) };
                    self.shared
                        .supervisor
                        .spawn("server profile", OnFailure::Log, task);
                }
                return Some(held);
            }
            None => {}
        }
        self.read(place, read, None).await
    }

    async fn read<T>(
        self: &Arc<Self>,
        place: fn(&Self) -> &Known<T>,
        read: Reading<T>,
        newer_than: Option<Duration>,
    ) -> Option<Arc<Held<T>>> {
        let known = place(self);
        let clock = &self.shared.clock;
        let asked = clock.monotonic();
        let mut failed = known.reading.lock().await;
        let good = |held: &Arc<Held<T>>| {
            held.until > asked && newer_than.is_none_or(|than| held.since > than)
        };
        if let Some(held) = known.current.load_full().filter(good) {
            return Some(held);
        }
        if failed.is_some_and(|at| clock.monotonic().saturating_sub(at) < PAUSE) {
            return known.current.load_full();
        }
        let found = timeout(LONGEST_READING, read(Arc::clone(self)))
            .await
            .ok()
            .flatten();
        let now = clock.monotonic();
        let Some((value, age)) = found else {
            *failed = Some(now);
            self.tell_trouble();
            return known.current.load_full();
        };
        *failed = None;
        self.trouble.store(None);
        let held = Arc::new(Held {
            value: Arc::new(value),
            since: now,
            until: now + age,
        });
        known.current.store(Some(Arc::clone(&held)));
        Some(held)
    }

    fn tell_trouble(&self) {
        let trouble = self.trouble.load();
        let (code, error) = match &*trouble {
            Some(error) => (error.fault().code(), WithCauses(&**error).to_string()),
            None => (
                "GW-090",
                "what it answers is not of the protocol".to_owned(),
            ),
        };
        let server = self.id();
        tracing::warn!(server.id = %server, code, error, "the server could not be asked what it offers");
    }

    async fn read_profile(&self) -> Option<Profile> {
        let permit = self.upstream.housekeeping()?;
        let talk = Talk::Modern;
        let answer = self.ask(permit, &talk, "server/discover", "").await?;
        if let Some(result) = raw::find(&answer, "result") {
            let versions = raw::find(result, "supportedVersions")?;
            let versions: Vec<_> = (raw::elements(versions).ok()?.into_iter())
                .filter_map(|version| Revision::find(&raw::string(version)?))
                .collect();
            let modern = versions.iter().any(|version| version.is_modern());
            let legacy = versions.iter().any(|version| !version.is_modern());
            if modern {
                let shown = contracts::introduction(&self.contracts, result, &self.rules);
                return Some(Profile {
                    modern,
                    legacy,
                    result: shown.unwrap_or_else(|| result.to_owned()),
                });
            }
        }
        let hello = Hello::default();
        let (link, result) = self
            .open(permit, Revision::LATEST_LEGACY, &hello, None)
            .await?;
        self.close(permit, &link, None).await;
        let shown = contracts::introduction(&self.contracts, &result, &self.rules);
        Some(Profile {
            modern: false,
            legacy: true,
            result: shown.unwrap_or(result),
        })
    }

    async fn read_catalog(self: &Arc<Self>) -> Option<Catalog> {
        let permit = self.upstream.housekeeping()?;
        let profile = self.profile().await?;
        if !profile.has("tools") {
            return Some(Catalog::read(self.id(), &[]));
        }
        let talk = match profile.modern {
            true => Talk::Modern,
            false => {
                let hello = Hello::default();
                Talk::Legacy(
                    self.open(permit, Revision::LATEST_LEGACY, &hello, None)
                        .await?
                        .0,
                )
            }
        };
        let pages = self.read_pages(permit, &talk).await;
        let pages = self.settled(permit, &talk, pages?).await;
        if let Talk::Legacy(link) = &talk {
            self.close(permit, link, None).await;
        }
        // Nobody is served by what a restart would not know.
        self.shared.contracts.kept().await;
        Some(Catalog::read(self.id(), &pages))
    }

    /// Returns all pages of the server's list as they are shown.
    async fn settled(&self, permit: &Permit<Outbound>, talk: &Talk, pages: Pages) -> Vec<String> {
        let mut views = HashMap::new();
        for uri in contracts::views(&pages.texts) {
            if let Some(digest) = self.read_view(permit, talk, &uri).await {
                views.insert(uri, digest);
            }
        }
        let listing = Listing {
            complete: pages.all,
            views: &views,
            rules: &self.rules,
        };
        let texts: Vec<&str> = pages.texts.iter().map(String::as_str).collect();
        let shown = contracts::lists(&self.contracts, contracts::GATEWAY, &texts, listing);
        let shown = shown.into_iter().zip(pages.texts);
        shown.map(|(shown, text)| shown.unwrap_or(text)).collect()
    }

    /// Returns a digest over the content of a view, without what says how long it may be
    /// kept.
    async fn read_view(&self, permit: &Permit<Outbound>, talk: &Talk, uri: &str) -> Option<Digest> {
        let params = format!("\"uri\":{}", raw::quote(uri));
        let answer = self.ask(permit, talk, "resources/read", &params).await?;
        let contents = raw::at(&answer, &["result", "contents"])?;
        let contents = airside_contracts::Json::parse(contents).ok()?;
        Some(Digest::of(contents.canonical().as_bytes()))
    }

    async fn read_pages(&self, permit: &Permit<Outbound>, talk: &Talk) -> Option<Pages> {
        let (mut pages, mut bytes) = (Vec::new(), 0);
        let mut params = String::new();
        while pages.len() < catalog::MAX_PAGES && bytes < catalog::MAX_BYTES {
            let answer = self
                .ask(permit, talk, List::Tools.method(), &params)
                .await?;
            let result = raw::find(&answer, "result")?;
            bytes += result.len();
            let next = raw::find(result, "nextCursor").map(ToOwned::to_owned);
            pages.push(result.to_owned());
            match next.filter(|cursor| cursor.starts_with('"')) {
                Some(cursor) => params = format!("\"cursor\":{cursor}"),
                None => {
                    return Some(Pages {
                        texts: pages,
                        all: true,
                    });
                }
            }
        }
        tracing::warn!(server.id = %self.id(), "the server's list of tools is longer than is read");
        Some(Pages {
            texts: pages,
            all: false,
        })
    }

    /// Opens a handshake-era session in the name of the client that `hello` describes,
    /// for the caller of `visit` where it is not for the gateway itself. Returns it with the text of the server's result.
    pub(crate) async fn open(
        &self,
        permit: &Permit<Outbound>,
        revision: Revision,
        hello: &Hello,
        visit: Option<&Visit>,
    ) -> Option<(Link, String)> {
        let post = |headers, body| match visit {
            Some(visit) => visit.post(self, headers, body),
            None => post(headers, body),
        };
        let or = |text: &str, default: &str| match text.is_empty() {
            true => default.to_owned(),
            false => text.to_owned(),
        };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{},"clientInfo":{}}}}}"#,
            or(&hello.capabilities, "{}"),
            or(&hello.client_info, super::OWN_INFO),
        );
        let response = self
            .inquire(permit, post(HeaderMap::new(), body.into()))
            .await?;
        let session = response.headers().get(&header::SESSION_ID).cloned();
        let answer = answer::message(response, MAX_MESSAGE).await?;
        let result = raw::find(&answer, "result")?.to_owned();
        let agreed = raw::string(raw::find(&result, "protocolVersion")?)?;
        let link = Link {
            id: session.and_then(|id| id.to_str().ok().map(Into::into)),
            revision: Revision::find(&agreed).unwrap_or(Revision::V2025_03_26),
        };
        let note = Bytes::from_static(INITIALIZED.as_bytes());
        self.send(permit, post(session_headers(&link), note))
            .await
            .ok()?;
        Some((link, result))
    }

    /// Ends a session at the server, which may not care.
    pub(crate) async fn close(
        &self,
        permit: &Permit<Outbound>,
        link: &Link,
        visit: Option<&Visit>,
    ) -> StatusCode {
        if link.id.is_none() {
            return StatusCode::NO_CONTENT;
        }
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = http::Method::DELETE;
        *request.headers_mut() = session_headers(link);
        if let Some(visit) = visit {
            visit.sign(self, &mut request);
        }
        match self.send(permit, request).await {
            Ok(response) => response.status(),
            Err(error) => {
                tracing::debug!(server.id = %self.id(), %error, "a session could not be ended");
                StatusCode::NO_CONTENT
            }
        }
    }

    /// Asks something in the gateway's own name. `params` are members of an object.
    async fn ask(
        &self,
        permit: &Permit<Outbound>,
        talk: &Talk,
        method: &str,
        params: &str,
    ) -> Option<String> {
        let comma = if params.is_empty() { "" } else { "," };
        let (headers, meta) = match talk {
            Talk::Modern => {
                let mut headers = HeaderMap::new();
                let version = HeaderValue::from_static(Revision::LATEST.as_str());
                headers.insert(&header::PROTOCOL_VERSION, version);
                headers.insert(&header::METHOD, HeaderValue::from_str(method).ok()?);
                let named = raw::find(&format!("{{{params}}}"), "uri").and_then(raw::string);
                if let Some(uri) = named {
                    let name = HeaderValue::from_str(&header::encode(&uri)).ok()?;
                    headers.insert(&header::NAME, name);
                }
                (headers, format!("{comma}{OWN_META}"))
            }
            Talk::Legacy(link) => (session_headers(link), String::new()),
        };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"{method}","params":{{{params}{meta}}}}}"#
        );
        let response = self.inquire(permit, post(headers, body.into())).await?;
        let status = response.status();
        let answer = answer::message(response, catalog::MAX_BYTES).await;
        // Some servers refuse what they do not know without a JSON-RPC error.
        match answer.filter(|text| answer::is_answer(text)) {
            Some(text) => Some(text),
            None if status.is_client_error() => Some(NO_ANSWER.to_owned()),
            None => None,
        }
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("id", self.id())
            .finish_non_exhaustive()
    }
}

/// The pages of a list, as texts of their `result` members.
struct Pages {
    texts: Vec<String>,
    /// The last one is there.
    all: bool,
}

enum Talk {
    Modern,
    Legacy(Link),
}

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const NO_ANSWER: &str = r#"{"error":{}}"#;
const OWN_META: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"airside","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}"#
);

/// Returns a POST with the headers that every message has.
pub(crate) fn post(mut headers: HeaderMap, body: Bytes) -> Request<Bytes> {
    headers.insert(
        h::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let both = HeaderValue::from_static("application/json, text/event-stream");
    headers.insert(h::ACCEPT, both);
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.headers_mut() = headers;
    request
}

/// Returns the headers of a message in a session at a server.
pub(crate) fn session_headers(link: &Link) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if link.revision > Revision::V2025_03_26 {
        let version = HeaderValue::from_static(link.revision.as_str());
        headers.insert(&header::PROTOCOL_VERSION, version);
    }
    if let Some(id) = &link.id
        && let Ok(id) = HeaderValue::from_str(id)
    {
        headers.insert(&header::SESSION_ID, id);
    }
    headers
}
