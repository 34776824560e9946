//! Servers behind one endpoint: where a call goes, under which name, in which era,
//! and how the answers of several become one.
//!
//! An endpoint with one server passes names and bytes through unchanged. One with
//! several gives everything a name that leads back to its server (`names`), merges
//! what is listed (`lists`), what is introduced (`discover`) and what is listened to
//! ([`crate::listen`]).
//!
//! # Invariants
//!
//! * Nothing is sent without the permit that came with the call; what the gateway
//!   asks for itself has a permit of its own.
//! * One server that fails or hangs costs the others nothing but its deadline: what
//!   is merged names it under `airside/unavailable` and goes without it.
//! * No call is repeated.

pub(crate) mod answer;
mod audience;
pub mod batch;
pub(crate) mod cursor;
pub(crate) mod discover;
mod error;
pub(crate) mod legacy;
pub(crate) mod lists;
pub(crate) mod merge;
pub(crate) mod modern;
pub(crate) mod names;
pub(crate) mod peer;
pub(crate) mod rewrite;

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_base::{Clock, OnFailure, ServerId, Supervisor};
use airside_firewall::{self as firewall, FingerprintKey, Schema};
use airside_identity::{Caller, Fetch};
use airside_mcp::{Body, Call, Era, Incoming, ParamHeaders, Principal, era, header};
use airside_policy::Permit;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};

use self::rewrite::Reference;
pub use self::{
    audience::{Audience, Item, Sees},
    error::Error,
    peer::Peer,
};
use crate::{
    authorization::Taint,
    barrier::Barriers,
    cache::Cache,
    catalog::Facts,
    contracts::{self, Contracts, Standing},
    credentials::OnBehalf,
    fetch::HttpFetch,
    metrics::Metrics,
    session::{Session, Table},
    upstream::{self, Outbound},
};

/// How Airside introduces itself.
pub(crate) const OWN_INFO: &str = concat!(
    r#"{"name":"airside","title":"Airside","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}"#
);
/// Longest wait for one of several servers whose answers are merged.
pub(crate) const FAN_OUT: Duration = Duration::from_secs(8);
/// Most sessions that are open at the same time.
const MAX_SESSIONS: usize = 10_000;
/// How long a session may be unused.
const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
/// How often idle sessions are looked for, at most.
const SWEEP: Duration = Duration::from_secs(30);
/// Room for results that may be reused, in bytes.
const CACHE_BYTES: usize = 32 << 20;

/// Where a call goes and what is known of what it acts on.
#[derive(Debug, Clone)]
pub struct Route {
    /// The server; absent where all of the endpoint are asked.
    pub server: Option<ServerId>,
    /// The server's own name of the tool or prompt, its URI or task id.
    pub name: Option<Box<str>>,
    /// What the server says of the tool.
    pub facts: Facts,
    /// Arguments that are mirrored into headers.
    pub params: Option<Arc<ParamHeaders>>,
    /// What arguments have to fit.
    pub(crate) schema: Option<Arc<Schema>>,
    /// How the tool stands; none where it is not known.
    pub contract: Option<Arc<Standing>>,
    /// Why nothing is known of the server's tools, where nothing is.
    pub(crate) absence: Option<Arc<upstream::Error>>,
}

impl Route {
    /// A route to one server.
    #[must_use]
    pub fn to(server: ServerId) -> Self {
        Self {
            server: Some(server),
            ..Self::anywhere()
        }
    }

    /// A route to all servers of an endpoint.
    #[must_use]
    pub fn anywhere() -> Self {
        Self {
            server: None,
            name: None,
            facts: Facts::unknown(),
            params: None,
            schema: None,
            contract: None,
            absence: None,
        }
    }
}

/// Who visits an endpoint, and how.
#[derive(Debug)]
pub struct Visit {
    /// The caller.
    pub caller: Caller,
    /// The headers of its request.
    pub headers: HeaderMap,
    /// The era of its request.
    pub era: Era,
    /// Whose lists it sees.
    pub audience: Audience,
}

impl Visit {
    /// Returns a message of the caller to `peer`.
    pub(crate) fn post(&self, peer: &Peer, headers: HeaderMap, body: Bytes) -> Request<Bytes> {
        let mut request = peer::post(headers, body);
        self.sign(peer, &mut request);
        request
    }

    /// Says on whose behalf `request` is sent. A server in this process learns from it
    /// who that is, one that takes tokens of callers by such a token.
    pub(crate) fn sign(&self, peer: &Peer, request: &mut Request<Bytes>) {
        let upstream = peer.upstream();
        if upstream.is_local() {
            request.extensions_mut().insert(Principal {
                tenant: self.caller.tenant().clone(),
                kind: self.caller.kind().as_str(),
                id: self.caller.id().into(),
                attestation: self.caller.attestation().level(),
            });
        } else if let Some(behalf) = self.behalf(peer) {
            request.extensions_mut().insert(behalf);
        }
    }

    /// Returns on whose behalf `peer` is called, if it is told.
    pub(crate) fn behalf(&self, peer: &Peer) -> Option<OnBehalf> {
        let told = peer.upstream().tells_callers_apart() && !peer.upstream().is_local();
        told.then(|| OnBehalf::of(&self.caller, &self.headers))
    }
}

/// What all endpoints of a process share. It survives a change of configuration.
pub struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) supervisor: Supervisor,
    /// The way to authorisation servers of upstreams.
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) cache: Cache,
    pub(crate) sessions: Table,
    pub(crate) taint: Arc<Taint>,
    /// What is counted of all calls.
    pub(crate) metrics: Arc<Metrics>,
    /// Of what is found, unless the operator gives a key.
    fingerprints: FingerprintKey,
    pub(crate) contracts: Arc<Contracts>,
    peers: Mutex<Vec<Weak<Peer>>>,
    /// Milliseconds of the monotonic clock at the last look for idle sessions.
    swept: AtomicU64,
}

impl Shared {
    /// Returns the state of a process that has served nobody yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, supervisor: Supervisor) -> Arc<Self> {
        Arc::new(Self {
            cache: Cache::new(CACHE_BYTES, Arc::clone(&clock)),
            sessions: Table::new(MAX_SESSIONS, SESSION_IDLE, Arc::clone(&clock)),
            taint: Arc::new(Taint::new(Arc::clone(&clock))),
            metrics: Arc::default(),
            fingerprints: firewall::random_key(),
            contracts: Arc::new(Contracts::new(Arc::clone(&clock))),
            peers: Mutex::default(),
            swept: AtomicU64::new(0),
            fetch: Arc::new(HttpFetch::default()),
            clock,
            supervisor,
        })
    }

    /// Returns how many sessions of clients are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Returns the key of the process for fingerprints of what a firewall finds.
    #[must_use]
    pub fn fingerprints(&self) -> &FingerprintKey {
        &self.fingerprints
    }

    /// Returns the contracts of all servers.
    #[must_use]
    pub fn contracts(&self) -> &Arc<Contracts> {
        &self.contracts
    }

    pub(crate) fn enter(&self, peer: &Arc<Peer>) {
        let mut peers = self.peers.lock().expect("the lock is not poisoned");
        peers.retain(|known| known.strong_count() > 0);
        peers.push(Arc::downgrade(peer));
    }

    /// Ends the sessions that nobody used. Called with every request, since without
    /// requests nothing grows.
    fn sweep(self: &Arc<Self>) {
        let now = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        let last = self.swept.load(Ordering::Relaxed);
        let due = now.saturating_sub(last) >= SWEEP.as_millis() as u64;
        if !due || self.swept.swap(now, Ordering::Relaxed) != last {
            return;
        }
        for session in self.sessions.expire() {
            self.end(session);
        }
    }

    /// Ends what a session has opened at servers, beside the request that led to it.
    pub(crate) fn end(self: &Arc<Self>, session: Arc<Session>) {
        let peers: Vec<_> = {
            let peers = self.peers.lock().expect("the lock is not poisoned");
            peers.iter().filter_map(Weak::upgrade).collect()
        };
        let task = async move {
            for (server, link) in session.links().await {
                if let Some(peer) = peers.iter().find(|peer| *peer.id() == server)
                    && let Some(permit) = peer.upstream().housekeeping()
                {
                    peer.close(permit, &link, None).await;
                }
            }
        };
        self.supervisor.spawn("session end", OnFailure::Log, task);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("cache", &self.cache)
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

/// Servers behind one path.
pub struct Endpoint {
    pub(crate) peers: Vec<Arc<Peer>>,
    pub(crate) shared: Arc<Shared>,
    barriers: Arc<Barriers>,
    /// The same for the same servers, so that sessions survive a new configuration.
    pub(crate) key: u64,
}

impl Endpoint {
    /// Returns the endpoint of `peers`, in the order in which lists show them.
    #[must_use]
    pub fn new(peers: Vec<Arc<Peer>>, shared: Arc<Shared>) -> Self {
        let names: Vec<_> = peers.iter().map(|peer| peer.id().as_str()).collect();
        let key = crate::cache::Key::of(&[names.join(",").as_bytes()]).prefix();
        Self {
            peers,
            shared,
            key,
            barriers: Arc::default(),
        }
    }

    /// Returns the same with what callers are kept from.
    #[must_use]
    pub(crate) fn behind(mut self, barriers: Arc<Barriers>) -> Self {
        self.barriers = barriers;
        self
    }

    /// Returns the servers that are asked where all are: those that callers are not kept
    /// from.
    pub(crate) fn asked(&self) -> impl Iterator<Item = &Arc<Peer>> {
        let open = |peer: &&Arc<Peer>| !self.barriers.closes(peer.id());
        self.peers.iter().filter(open)
    }

    /// Returns whether callers are kept from all its servers.
    pub(crate) fn closed(&self) -> bool {
        self.asked().next().is_none()
    }

    /// Returns what is known of the session that a request of `caller` names.
    #[must_use]
    pub fn session(&self, headers: &HeaderMap, caller: &Caller) -> era::Session {
        self.shared.sweep();
        let Some(id) = headers.get(&header::SESSION_ID) else {
            return era::Session::Absent;
        };
        match id.to_str().ok().and_then(|id| self.find(id, caller)) {
            Some(session) => era::Session::Known(session.revision),
            None => era::Session::Unknown,
        }
    }

    /// Returns where `call` of `caller` goes and what is known of what it acts on.
    ///
    /// # Errors
    ///
    /// When the call names something that no server of the endpoint can have.
    pub async fn route(&self, call: &Call, caller: &Caller) -> Result<Route, Error> {
        let (peer, name) = match &self.peers[..] {
            [peer] => (peer, call.name().map(ToOwned::to_owned)),
            _ => match self.target(call)? {
                Some((peer, name)) => (peer, Some(name)),
                None => {
                    return Ok(Route {
                        facts: Facts::reading(),
                        ..Route::anywhere()
                    });
                }
            },
        };
        let mut route = Route {
            name: name.map(Into::into),
            facts: Facts::reading(),
            ..Route::to(peer.id().clone())
        };
        if call.method() == "tools/call" {
            let name = route.name.as_deref().unwrap_or_default();
            let tool = peer.tool(name).await;
            route.facts = tool.facts;
            route.params = tool.params;
            route.schema = tool.schema;
            if !route.facts.known {
                route.absence = peer.absence();
            }
            route.contract = peer.contracts().find(&peer.class(caller), name);
            if let Some(served) = route
                .contract
                .as_ref()
                .and_then(|held| held.served.as_ref())
            {
                route.facts = served.facts;
                route.params.clone_from(&served.params);
                route.schema.clone_from(&served.schema);
            }
            if let Some(contract) = &route.contract {
                route.facts.contract = contracts::seen_by_policies(contract.state);
            }
        }
        Ok(route)
    }

    /// Returns the server that a call names and the name it has there; none for
    /// calls that are for all.
    fn target(&self, call: &Call) -> Result<Option<(&Arc<Peer>, String)>, Error> {
        let unknown = || Error::Target {
            method: call.method().to_owned(),
        };
        let by_uri =
            |uri: &str| names::untag_uri(uri).map(|(server, uri)| (server.to_owned(), uri));
        let by_name = |name: &str| {
            names::untag(name).map(|(server, name)| (server.to_owned(), name.to_owned()))
        };
        let found = match call.method() {
            "tools/call" | "prompts/get" => call.name().and_then(by_name),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                call.name().and_then(by_uri)
            }
            "completion/complete" => match rewrite::reference(call).map(|(_, what)| what) {
                Some(Reference::Prompt(name)) => by_name(&name),
                Some(Reference::Uri(uri)) => by_uri(&uri),
                None => None,
            },
            method if method.starts_with("tasks/") && method != "tasks/list" => {
                call.name().and_then(by_name)
            }
            _ => return Ok(None),
        };
        let (server, name) = found.ok_or_else(unknown)?;
        let peer = self.peer(&server).ok_or_else(unknown)?;
        Ok(Some((peer, name)))
    }

    pub(crate) fn peer(&self, server: &str) -> Option<&Arc<Peer>> {
        self.peers.iter().find(|peer| peer.id().as_str() == server)
    }

    /// Carries out a call that policy admitted.
    ///
    /// # Errors
    ///
    /// When no server answered, or the call cannot be carried to the one it is for.
    pub async fn dispatch(
        &self,
        permit: &Permit<Outbound>,
        visit: &Visit,
    ) -> Result<Response<Body>, Error> {
        let outbound = permit.value();
        let Some(call) = &outbound.call else {
            return Err(Error::Method {
                method: String::new(),
            });
        };
        match visit.era {
            Era::Modern(_) => modern::serve(self, permit, call, visit).await,
            Era::Initialize => legacy::initialize(self, permit, call, visit).await,
            Era::InSession(_) => legacy::serve(self, permit, call, visit).await,
            Era::Stream(_) | Era::End(_) => Err(Error::NoStream),
        }
    }

    /// Passes on a notification, or a client's answer to a request of a server.
    ///
    /// # Errors
    ///
    /// When it is for nobody here, or the server does not take it.
    pub async fn deliver(
        &self,
        permit: &Permit<Outbound>,
        message: &Incoming,
        visit: &Visit,
    ) -> Result<Response<Body>, Error> {
        match visit.era {
            Era::InSession(_) => legacy::deliver(self, permit, message, visit).await,
            Era::Modern(_) | Era::Initialize | Era::Stream(_) | Era::End(_) => {
                modern::deliver(self, permit, message, visit).await
            }
        }
    }

    /// Opens the stream of a session (GET).
    ///
    /// # Errors
    ///
    /// When there is no such session, or its server has no stream.
    pub async fn stream(
        &self,
        permit: &Permit<Outbound>,
        visit: &Visit,
    ) -> Result<Response<Body>, Error> {
        legacy::stream(self, permit, visit).await
    }

    /// Ends a session (DELETE).
    ///
    /// # Errors
    ///
    /// When there is no such session.
    pub async fn close(
        &self,
        permit: &Permit<Outbound>,
        visit: &Visit,
    ) -> Result<Response<Body>, Error> {
        legacy::close(self, permit, visit).await
    }

    pub(crate) fn find(&self, id: &str, caller: &Caller) -> Option<Arc<Session>> {
        self.shared.sessions.find(id, caller, self.key)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
