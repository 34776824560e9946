//! Everything that one request is judged by, as of one moment.
//!
//! # Invariants
//!
//! * A request reads one snapshot from its beginning to its end; a new
//!   configuration is a new snapshot.
//! * Every upstream has a route of its own, `/mcp/<name>`, that passes names and
//!   bytes through unchanged.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_base::{Clock, ServerId, TenantId};
use airside_firewall::{Firewall, config::Spotlight};
use airside_identity::{Attestation, Caller, Identity};
use airside_limits::Plan;
use airside_mcp::Failure;
use airside_policy::{Action, Contract, Engine, Permit, Policies, Principal, Refusal, Target};
use airside_transport::{
    Http, Local, Stdio, Transport, UrlError,
    stdio::{self, ConfineError},
};
use rustls::ClientConfig;

use crate::{
    authorization::{Grounds, Rules, principal},
    barrier::{Barrier, Barriers},
    cache::Key,
    catalog::Facts,
    config::{self, Kind, Network, WhenFull},
    contracts::seen_by_policies,
    credentials::Credentials,
    federation::{Audience, Endpoint, Item, Peer, Route, Shared},
    head::Gate,
    metrics::Metrics,
    tls::{TlsError, client::Client},
    upstream::{Outbound, Status, Upstream},
};

/// How many snapshots this process has made.
static GENERATIONS: AtomicU64 = AtomicU64::new(0);

/// What a snapshot is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The listener.
    pub listen: &'a config::Listen,
    /// The upstream servers.
    pub upstreams: &'a [config::Upstream],
    /// The endpoints.
    pub endpoints: &'a [config::Endpoint],
    /// What is done about changes of tools, where an upstream has no rules of its own.
    pub contracts: airside_contracts::Rules,
    /// How calls are recorded.
    pub recording: config::Recording,
    /// The rules.
    pub policies: &'a Policies,
    /// What the operator says about tools.
    pub rules: &'a Arc<Rules>,
    /// What callers are kept from.
    pub barriers: &'a Arc<Barriers>,
    /// What is in use until now. Upstream servers whose configuration is the same
    /// are taken over, with their connections and child processes.
    pub previous: Option<&'a Snapshot>,
}

impl Parts<'_> {
    fn find_previous(&self, config: &config::Upstream, engine: &Engine) -> Option<Upstream> {
        let known = &self.previous?.upstreams;
        let same = known.iter().find(|known| *known.id() == config.name)?;
        same.renewed(config, housekeeping(engine, self.rules))
    }

    /// Tells who listens to `peer` that other tools of it can be called than before.
    fn announce(&self, peer: &Peer) {
        let alike = |before: &Snapshot| self.barriers.are_alike(&before.barriers, peer.id());
        if self.previous.is_some_and(|before| !alike(before)) {
            peer.contracts().announce();
        }
    }
}

/// Everything that one request is judged by.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) gate: Gate,
    pub(crate) identity: Identity,
    pub(crate) when_full: WhenFull,
    pub(crate) max_body_bytes: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) limits: Option<Arc<Plan>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) firewall: Option<Arc<Firewall>>,
    generation: u64,
    rules: Arc<Rules>,
    barriers: Arc<Barriers>,
    mounts: HashMap<Box<str>, Arc<Mount>>,
    first: Option<Box<str>>,
    upstreams: Vec<Arc<Upstream>>,
}

/// An endpoint at its path.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) path: Arc<str>,
    pub(crate) endpoint: Endpoint,
    /// One for each of its servers, in order.
    engines: Vec<Engine>,
    rules: Arc<Rules>,
    barriers: Arc<Barriers>,
    reads_risk: bool,
    /// Of the snapshot: what was made by other rules is not for the same audience.
    generation: u64,
}

/// Why no snapshot can be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The URL of an upstream cannot be called.
    #[error("upstream `{name}` cannot be used")]
    Url {
        /// The upstream.
        name: ServerId,
        /// Why.
        source: UrlError,
    },
    /// A child process cannot be kept from the network.
    #[error("upstream `{name}` cannot be started without a network")]
    Network {
        /// The upstream.
        name: ServerId,
        /// Why.
        source: ConfineError,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The authorities or the certificate for an upstream cannot be used.
    #[error("upstream `{name}` cannot be called with TLS")]
    Trust {
        /// The upstream.
        name: ServerId,
        /// Why.
        source: TlsError,
    },
}

impl Snapshot {
    /// Returns the snapshot of a configuration. `builtins` are the servers inside
    /// this process by name, `shared` is what outlives snapshots.
    ///
    /// # Errors
    ///
    /// When the configuration contradicts itself.
    pub fn build(
        parts: Parts<'_>,
        identity: Identity,
        builtins: &BTreeMap<String, Arc<dyn airside_mcp::Local>>,
        shared: &Arc<Shared>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, BuildError> {
        parts.listen.check()?;
        let gate = Gate::new(parts.listen)?;
        let tls = Client::new(parts.upstreams)?;
        let mut peers = Vec::with_capacity(parts.upstreams.len());
        let mut upstreams = Vec::with_capacity(parts.upstreams.len());
        for config in parts.upstreams {
            if upstreams
                .iter()
                .any(|known: &Arc<Upstream>| *known.id() == config.name)
            {
                return Err(config::Error::SameName {
                    name: config.name.clone(),
                }
                .into());
            }
            let engine = parts.policies.engine(&config.name);
            let upstream = match parts.find_previous(config, &engine) {
                Some(upstream) => upstream,
                None => {
                    let credentials = credentials(config, shared)?;
                    let shown = credentials.as_deref().and_then(Credentials::certificate);
                    let tls = tls.of(config, shown).map_err(|source| BuildError::Trust {
                        name: config.name.clone(),
                        source,
                    })?;
                    let transport = transport(config, parts.listen, builtins, tls, shared)?;
                    let housekeeping = housekeeping(&engine, parts.rules);
                    Upstream::new(config, transport, housekeeping, clock.clone())
                        .with_credentials(credentials)
                }
            };
            let upstream = Arc::new(upstream);
            let rules = config.contracts.over(parts.contracts);
            let peer = Peer::new(upstream.clone(), shared, rules);
            parts.announce(&peer);
            peers.push((peer, engine));
            upstreams.push(upstream);
        }
        let mut snapshot = Self {
            gate,
            identity,
            when_full: parts.recording.when_full,
            max_body_bytes: parts.listen.max_body_bytes,
            body_timeout: Duration::from_millis(parts.listen.body_timeout_ms),
            limits: None,
            metrics: shared.metrics.clone(),
            firewall: None,
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            rules: parts.rules.clone(),
            barriers: parts.barriers.clone(),
            mounts: HashMap::new(),
            first: parts
                .endpoints
                .first()
                .map(|first| first.path.as_str().into()),
            upstreams,
        };
        snapshot.mount_all(parts.endpoints, &peers, shared)?;
        Ok(snapshot)
    }

    fn mount_all(
        &mut self,
        endpoints: &[config::Endpoint],
        peers: &[(Arc<Peer>, Engine)],
        shared: &Arc<Shared>,
    ) -> Result<(), config::Error> {
        for config in endpoints {
            let path = &config.path;
            if !path.starts_with('/') || path.contains(['?', '#', ' ']) {
                return Err(config::Error::Path { path: path.clone() });
            }
            if self.mounts.contains_key(path.as_str()) {
                return Err(config::Error::SamePath { path: path.clone() });
            }
            if config.upstreams.is_empty() {
                return Err(config::Error::NoUpstream { path: path.clone() });
            }
            let find = |name: &ServerId| {
                peers
                    .iter()
                    .find(|(_, engine)| engine.server() == name)
                    .ok_or_else(|| config::Error::UnknownUpstream {
                        path: path.clone(),
                        name: name.clone(),
                    })
            };
            let chosen = config
                .upstreams
                .iter()
                .map(find)
                .collect::<Result<Vec<_>, _>>()?;
            self.mount(path, &chosen, shared);
        }
        for peer in peers {
            let path = format!("/mcp/{}", peer.1.server());
            if !self.mounts.contains_key(path.as_str()) {
                self.mount(&path, &[peer], shared);
            }
        }
        Ok(())
    }

    fn mount(&mut self, path: &str, peers: &[&(Arc<Peer>, Engine)], shared: &Arc<Shared>) {
        let (peers, engines) = peers
            .iter()
            .map(|(peer, engine)| (peer.clone(), engine.clone()))
            .unzip();
        let engines: Vec<Engine> = engines;
        let mount = Mount {
            path: path.into(),
            endpoint: Endpoint::new(peers, shared.clone()).behind(self.barriers.clone()),
            reads_risk: engines.iter().any(Engine::reads_risk),
            engines,
            rules: self.rules.clone(),
            barriers: self.barriers.clone(),
            generation: self.generation,
        };
        self.mounts.insert(path.into(), Arc::new(mount));
    }

    /// Returns the snapshot with `firewall`. Without one nothing is read.
    #[must_use]
    pub fn with_firewall(mut self, firewall: Firewall) -> Self {
        self.firewall = Some(Arc::new(firewall));
        self
    }

    /// Returns the same snapshot with `limits`. Without them nothing is counted.
    #[must_use]
    pub fn with_limits(mut self, limits: Plan) -> Self {
        self.limits = Some(Arc::new(limits));
        self
    }

    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> Option<&Plan> {
        self.limits.as_deref()
    }

    /// Returns what the process counts of its calls.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns what the upstream servers are doing.
    pub fn upstreams(&self) -> impl Iterator<Item = Status> + '_ {
        self.upstreams.iter().map(|upstream| upstream.status())
    }

    /// Returns which snapshot of the process this is.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the endpoint that is configured first.
    pub(crate) fn first_mount(&self) -> Option<Arc<Mount>> {
        self.find_mount(self.first.as_deref()?)
    }

    pub(crate) fn find_mount(&self, path: &str) -> Option<Arc<Mount>> {
        self.mounts.get(path).cloned()
    }

    /// Reads the credentials for upstream servers again, where files hold them.
    pub(crate) fn look_at_credentials(&self) {
        for upstream in &self.upstreams {
            upstream.look_at_credentials();
        }
    }

    /// Drops connections that have been idle for too long.
    pub(crate) fn sweep(&self) {
        for upstream in &self.upstreams {
            upstream.sweep();
        }
    }
}

impl Mount {
    /// Returns whether texts of `server` are marked as its own.
    pub(crate) fn spotlight(&self, server: Option<&ServerId>) -> Spotlight {
        let peer = server.and_then(|server| self.endpoint.peer(server.as_str()));
        peer.map_or(Spotlight::None, |peer| peer.upstream().spotlight())
    }

    /// Returns what callers are told who want `method` on what `route` leads to, if they
    /// are kept from it.
    pub(crate) fn barred(&self, method: &str, route: &Route) -> Option<Failure> {
        let name = route.name.as_deref().unwrap_or_default();
        let barrier = match &route.server {
            Some(server) => self.barriers.find(server, method, name),
            // Where all are asked, one that is open is enough.
            None => self.endpoint.closed().then(|| {
                let first = self.endpoint.peers.first()?;
                self.barriers.find(first.id(), method, name)
            })?,
        };
        barrier.map(Barrier::failure)
    }

    /// Returns which policies calls here are judged by.
    pub(crate) fn policy_version(&self) -> &str {
        self.engines[0].version()
    }

    /// Returns what the operator says about tools.
    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Returns whether a decision here can depend on what a session has seen.
    pub(crate) fn reads_risk(&self) -> bool {
        self.reads_risk
    }

    /// Asks policy whether `caller` may do what `method` stands for, and ties the answer
    /// to `outbound`, which comes back with a refusal. Where all servers of an endpoint
    /// are asked, one that admits the caller is enough: what the others have is hidden
    /// from the answer.
    ///
    /// # Errors
    ///
    /// When policy does not admit it.
    pub(crate) fn decide(
        &self,
        caller: &Caller,
        method: &str,
        grounds: &Grounds,
        outbound: Outbound,
    ) -> Result<Permit<Outbound>, Box<(Refusal, Outbound)>> {
        let route = &outbound.route;
        let (name, server) = (route.name.clone(), route.server.clone());
        let facts = airside_policy::Facts {
            principal: principal(caller),
            action: Action::of_method(method),
            target: grounds
                .rules()
                .target(method, server.as_ref(), name.as_deref(), route.facts),
            context: grounds.circumstances(),
        };
        let chosen = match &server {
            Some(server) => self.engines.iter().find(|engine| engine.server() == server),
            None => self
                .engines
                .iter()
                .find(|engine| engine.decide(&facts, ()).is_ok()),
        };
        let engine = chosen.unwrap_or(&self.engines[0]);
        engine.weigh(&facts, outbound).map_err(Box::new)
    }

    /// Returns those who see of a list what `caller` does: what policy would let it use.
    pub(crate) fn audience(self: &Arc<Self>, caller: &Caller) -> Audience {
        let (mount, caller) = (self.clone(), caller.clone());
        let contracts = self.endpoint.peers.iter();
        let contracts = contracts.map(|peer| peer.contracts().generation());
        let class = class(self.generation, contracts, &caller);
        let sees = move |item: &Item<'_>| {
            let engine = mount
                .engines
                .iter()
                .find(|engine| engine.server() == item.server);
            let (server, name) = (Some(item.server), Some(item.name));
            let stands = Facts {
                contract: mount.contract(item, &caller),
                ..item.facts
            };
            let facts = airside_policy::Facts {
                principal: principal(&caller),
                action: Action::of_method(item.method),
                target: mount.rules.target(item.method, server, name, stands),
                context: mount.rules.resting(),
            };
            let barrier = (mount.barriers).find(item.server, item.method, item.name);
            barrier.is_none() && engine.is_some_and(|engine| engine.shows(&facts))
        };
        Audience::of(class, Arc::new(sees))
    }

    /// Returns where the definition of a listed tool stands for `caller`.
    fn contract(&self, item: &Item<'_>, caller: &Caller) -> Contract {
        let peer = match item.method {
            "tools/call" => self.endpoint.peer(item.server.as_str()),
            _ => None,
        };
        let standing = peer.and_then(|peer| {
            let class = peer.class(caller);
            peer.contracts().find(&class, item.name)
        });
        standing.map_or(item.facts.contract, |standing| {
            seen_by_policies(standing.state)
        })
    }
}

/// A digest over everything of a caller that policies can look at, and over the states
/// of the `contracts` that they look at too.
fn class(generation: u64, contracts: impl Iterator<Item = u64>, caller: &Caller) -> Key {
    let Principal {
        kind,
        id,
        tenant,
        attestation,
        groups,
        scopes,
        client,
        issuer,
    } = principal(caller);
    let states: Vec<_> = contracts.map(u64::to_be_bytes).collect();
    let (generation, level) = (generation.to_be_bytes(), [attestation]);
    let count = (groups.len() as u64).to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![
        &generation,
        kind.as_bytes(),
        id.as_bytes(),
        tenant.as_str().as_bytes(),
        &level,
        &count,
    ];
    parts.extend(groups.iter().chain(scopes).map(String::as_bytes));
    // As many as the endpoint has servers, which its generation tells.
    parts.extend(states.iter().map(<[u8; 8]>::as_slice));
    for text in [client, issuer] {
        parts.push(if text.is_some() { b"+" } else { b"-" });
        parts.push(text.unwrap_or_default().as_bytes());
    }
    Key::of(&parts)
}

/// Asks policy whether the gateway itself may ask a server what it has.
fn housekeeping(engine: &Engine, rules: &Rules) -> Option<Permit<Outbound>> {
    let tenant = TenantId::default();
    let facts = airside_policy::Facts {
        principal: Principal {
            kind: "gateway",
            id: "gateway",
            tenant: &tenant,
            attestation: Attestation::Mtls.level(),
            groups: &[],
            scopes: &[],
            client: None,
            issuer: None,
        },
        action: Action::List,
        target: Target::Server,
        context: rules.resting(),
    };
    let outbound = Outbound {
        call: None,
        route: Route::to(engine.server().clone()),
    };
    engine.decide(&facts, outbound).ok()
}

fn credentials(
    config: &config::Upstream,
    shared: &Shared,
) -> Result<Option<Arc<Credentials>>, config::Error> {
    let (Some(auth), Some(url)) = (&config.auth, &config.url) else {
        return Ok(None);
    };
    let place = (&config.name, url);
    let loaded = Credentials::load(auth, place, &shared.fetch, &shared.clock)?;
    Ok(Some(Arc::new(loaded)))
}

fn transport(
    config: &config::Upstream,
    listen: &config::Listen,
    builtins: &BTreeMap<String, Arc<dyn airside_mcp::Local>>,
    tls: Arc<ClientConfig>,
    shared: &Shared,
) -> Result<Transport, BuildError> {
    match config.kind()? {
        Kind::Http(url) => {
            let connect = Duration::from_millis(config.connect_timeout_ms);
            Http::new(url, tls, connect, listen.thread_count())
                .map(Transport::Http)
                .map_err(|source| BuildError::Url {
                    name: config.name.clone(),
                    source,
                })
        }
        Kind::Builtin(builtin) => match builtins.get(builtin) {
            Some(server) => Ok(Transport::Local(Local::new(server.clone()))),
            None => Err(config::Error::UnknownBuiltin {
                name: config.name.clone(),
                builtin: builtin.to_owned(),
            }
            .into()),
        },
        Kind::Stdio { program, arguments } => {
            let (program, arguments) = match config.network {
                Network::Host => (program.to_owned(), arguments.to_vec()),
                Network::None => {
                    let confined = stdio::without_network(program, arguments);
                    confined.map_err(|source| BuildError::Network {
                        name: config.name.clone(),
                        source,
                    })?
                }
            };
            let options = stdio::Options {
                env: config.env.clone(),
                directory: config.directory.clone(),
                ..stdio::Options::new(program, arguments)
            };
            let (clock, supervisor) = (shared.clock.clone(), &shared.supervisor);
            let process = Stdio::start(options, clock, supervisor);
            Ok(Transport::Stdio(process))
        }
    }
}
