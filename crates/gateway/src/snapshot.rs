//! Everything that one request is judged by, as of one moment.
//!
//! # Invariants
//!
//! * A request reads one snapshot from its beginning to its end; a new
//!   configuration is a new snapshot.
//! * Every upstream has a route of its own, `/mcp/<name>`, that passes names and
//!   bytes through unchanged.

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_base::{Clock, ServerId, TenantId};
use airside_identity::{Attestation, Caller, Identity};
use airside_policy::{Action, Engine, Permit, Policies, Principal, Refusal, Target, ToolTraits};
use rustls::{ClientConfig, RootCertStore};

use crate::{
    catalog::Facts,
    config::{self, Kind, WhenFull},
    federation::{Audience, Endpoint, Item, Peer, Route, Shared},
    head::Gate,
    limits::Plan,
    transport::{Http, Local, Stdio, Transport, UrlError, stdio},
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
    /// How calls are recorded.
    pub recording: config::Recording,
    /// The rules.
    pub policies: &'a Policies,
    /// What is in use until now. Upstream servers whose configuration is the same
    /// are taken over, with their connections and child processes.
    pub previous: Option<&'a Snapshot>,
}

impl Parts<'_> {
    fn find_previous(&self, config: &config::Upstream, engine: &Engine) -> Option<Upstream> {
        let known = &self.previous?.upstreams;
        let same = known.iter().find(|known| *known.id() == config.name)?;
        same.renewed(config, housekeeping(engine))
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
    generation: u64,
    mounts: HashMap<Box<str>, Arc<Mount>>,
    upstreams: Vec<Arc<Upstream>>,
}

/// An endpoint at its path.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) path: Arc<str>,
    pub(crate) endpoint: Endpoint,
    /// One for each of its servers, in order.
    engines: Vec<Engine>,
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
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
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
        let tls = client_tls(parts.upstreams)?;
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
                    let transport = transport(config, parts.listen, builtins, &tls, shared)?;
                    Upstream::new(config, transport, housekeeping(&engine), clock.clone())
                }
            };
            let upstream = Arc::new(upstream);
            peers.push((Peer::new(upstream.clone(), shared), engine));
            upstreams.push(upstream);
        }
        let mut snapshot = Self {
            gate,
            identity,
            when_full: parts.recording.when_full,
            max_body_bytes: parts.listen.max_body_bytes,
            body_timeout: Duration::from_millis(parts.listen.body_timeout_ms),
            limits: None,
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            mounts: HashMap::new(),
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
        let mount = Mount {
            path: path.into(),
            endpoint: Endpoint::new(peers, shared.clone()),
            engines,
            generation: self.generation,
        };
        self.mounts.insert(path.into(), Arc::new(mount));
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

    /// Returns what the upstream servers are doing.
    pub fn upstreams(&self) -> impl Iterator<Item = Status> + '_ {
        self.upstreams.iter().map(|upstream| upstream.status())
    }

    /// Returns which snapshot of the process this is.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn find_mount(&self, path: &str) -> Option<Arc<Mount>> {
        self.mounts.get(path).cloned()
    }

    /// Drops connections that have been idle for too long.
    pub(crate) fn sweep(&self) {
        for upstream in &self.upstreams {
            upstream.sweep();
        }
    }
}

impl Mount {
    /// Returns which policies calls here are judged by.
    pub(crate) fn policy_version(&self) -> &str {
        self.engines[0].version()
    }

    /// Asks policy whether `caller` may do `action`, and ties the answer to `outbound`.
    pub(crate) fn decide(
        &self,
        caller: &Caller,
        method: &str,
        outbound: Outbound,
    ) -> Result<Permit<Outbound>, Refusal> {
        let route = &outbound.route;
        let name = route.name.clone();
        let facts = airside_policy::Facts {
            principal: principal(caller),
            action: Action::of_method(method),
            target: target(method, name.as_deref(), route.facts),
        };
        let server = route.server.clone();
        self.judge(server.as_ref(), &facts, outbound)
    }

    /// Where all servers of an endpoint are asked, one that admits the caller is
    /// enough: what the others have is hidden from the answer.
    fn judge(
        &self,
        server: Option<&ServerId>,
        facts: &airside_policy::Facts<'_>,
        outbound: Outbound,
    ) -> Result<Permit<Outbound>, Refusal> {
        let chosen = match server {
            Some(server) => self.engines.iter().find(|engine| engine.server() == server),
            None => self
                .engines
                .iter()
                .find(|engine| engine.decide(facts, ()).is_ok()),
        };
        let engine = chosen.unwrap_or(&self.engines[0]);
        engine.decide(facts, outbound)
    }
}

impl Mount {
    /// Returns those who see of a list what `caller` does: what policy would let it use.
    pub(crate) fn audience(self: &Arc<Self>, caller: &Caller) -> Audience {
        let mut class = DefaultHasher::new();
        self.generation.hash(&mut class);
        caller.kind().as_str().hash(&mut class);
        caller.id().hash(&mut class);
        caller.tenant().as_str().hash(&mut class);
        caller.attestation().level().hash(&mut class);
        caller.groups().hash(&mut class);
        let (mount, caller) = (self.clone(), caller.clone());
        let sees = move |item: &Item<'_>| {
            let engine = mount
                .engines
                .iter()
                .find(|engine| engine.server() == item.server);
            let facts = airside_policy::Facts {
                principal: principal(&caller),
                action: Action::of_method(item.method),
                target: target(item.method, Some(item.name), item.facts),
            };
            engine.is_some_and(|engine| engine.decide(&facts, ()).is_ok())
        };
        Audience::of(class.finish(), Arc::new(sees))
    }
}

/// Returns what `method` is done to.
fn target<'a>(method: &str, name: Option<&'a str>, facts: Facts) -> Target<'a> {
    match (Action::of_method(method), name) {
        (Action::CallTool, Some(name)) => Target::Tool {
            name,
            traits: traits(facts),
        },
        (Action::ReadResource, Some(uri)) => Target::Resource { uri },
        (Action::GetPrompt, Some(name)) => Target::Prompt { name },
        _ => Target::Server,
    }
}

/// Returns what policy looks at in a caller.
pub(crate) fn principal(caller: &Caller) -> Principal<'_> {
    Principal {
        kind: caller.kind().as_str(),
        id: caller.id(),
        tenant: caller.tenant(),
        attestation: caller.attestation().level(),
        groups: caller.groups(),
    }
}

/// Returns what policy looks at in a tool.
pub(crate) fn traits(facts: Facts) -> ToolTraits {
    ToolTraits {
        known: facts.known,
        read_only: facts.read_only,
        destructive: facts.destructive,
        idempotent: facts.idempotent,
        open_world: facts.open_world,
    }
}

/// Asks policy whether the gateway itself may ask a server what it has.
fn housekeeping(engine: &Engine) -> Option<Permit<Outbound>> {
    let tenant = TenantId::default();
    let facts = airside_policy::Facts {
        principal: Principal {
            kind: "gateway",
            id: "gateway",
            tenant: &tenant,
            attestation: Attestation::Mtls.level(),
            groups: &[],
        },
        action: Action::List,
        target: Target::Server,
    };
    let outbound = Outbound {
        call: None,
        route: Route::to(engine.server().clone()),
    };
    engine.decide(&facts, outbound).ok()
}

fn transport(
    config: &config::Upstream,
    listen: &config::Listen,
    builtins: &BTreeMap<String, Arc<dyn airside_mcp::Local>>,
    tls: &Arc<ClientConfig>,
    shared: &Shared,
) -> Result<Transport, BuildError> {
    match config.kind()? {
        Kind::Http(url) => {
            let connect = Duration::from_millis(config.connect_timeout_ms);
            Http::new(url, tls.clone(), connect, listen.thread_count())
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
            let options = stdio::Options {
                env: config.env.clone(),
                directory: config.directory.clone(),
                ..stdio::Options::new(program, arguments.to_vec())
            };
            let (clock, supervisor) = (shared.clock.clone(), &shared.supervisor);
            let process = Stdio::start(options, clock, supervisor);
            Ok(Transport::Stdio(process))
        }
    }
}

/// TLS to upstreams: the roots of the system, HTTP/1.1 only.
fn client_tls(upstreams: &[config::Upstream]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let needed = |upstream: &config::Upstream| {
        let url = upstream.url.as_ref();
        url.is_some_and(|url| url.scheme() == "https")
    };
    if upstreams.iter().any(needed) {
        let found = rustls_native_certs::load_native_certs();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!(
                ignored,
                "no root certificates found: no server can be trusted"
            );
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
