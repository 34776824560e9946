//! The configuration in use, and how it is replaced.
//!
//! # Invariants
//!
//! * A configuration is used whole or not at all: everything is built before the
//!   snapshot is swapped, and a call sees one snapshot from begin to end.
//! * What calls were judged by is in the ledger: `config.loaded` names the digest,
//!   durably before the first call that it judges.

mod control;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use airside_api::{Callers, Persons, wire};
use airside_base::{Clock, Fault, Kind, NodeId, Supervisor, TenantId, Timestamp};
use airside_config::{self as config, Config, Loaded, Problems};
use airside_evals::history;
use airside_flights::{Airline, Flights};
use airside_gateway::{HttpFetch, Shared, Snapshot, approval::Desk};
use airside_identity::{ApiKeyConfig, Digest, Identity, Outside};
use airside_ledger::Ledger;
use airside_limits::Counters;
use airside_mcp::Local;
use airside_supply::{
    intake::Intake,
    opera::{self, Opera},
    payment::Checkout,
};
use airside_travel::{HOLD, Options, Parts as Stock, Travel, supply::HotelSupply};
use arc_swap::ArcSwap;

use crate::{
    failure::{Exit, Failure},
    node::{
        assemble::open_limits,
        cashier::Cashier,
        event::Event,
        guard::{self, Guard},
        inventory::Keeper,
    },
};

/// The caller that commands of this user are, on a node of `airside up`.
const LOCAL: &str = "local";

/// The built-in server of hotels.
pub(super) const TRAVEL: &str = "travel";
/// By what its conversations are told from others. No upstream has a name with a colon.
const TRAVEL_OWNER: &str = "builtin:travel";

/// Where a configuration comes from, so that it can be read again.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The one of `airside up`.
    Embedded {
        /// Folder that was asked for.
        data_dir: PathBuf,
        /// The key that this user's commands show.
        caller: Digest,
        /// Port that was asked for.
        port: Option<u16>,
    },
    /// A file.
    File {
        /// The file.
        file: PathBuf,
        /// Folder that was asked for instead of the one in the file.
        data_dir: Option<PathBuf>,
    },
}

impl Origin {
    /// Reads and checks the configuration.
    pub(crate) fn load(&self) -> Result<Loaded, Problems> {
        match self {
            Self::Embedded {
                data_dir,
                caller,
                port,
            } => {
                let mut loaded = config::embedded(data_dir)?;
                loaded.config.identity.api_key.push(ApiKeyConfig {
                    name: LOCAL.to_owned(),
                    sha256: *caller,
                    tenant: TenantId::default(),
                    groups: Vec::new(),
                    not_after: None,
                    previous: Vec::new(),
                });
                if let Some(port) = port {
                    loaded.config.listen.address.set_port(*port);
                }
                Ok(loaded)
            }
            Self::File { file, data_dir } => {
                let mut loaded = config::load(file)?;
                if let Some(data_dir) = data_dir {
                    data_dir.clone_into(&mut loaded.config.data_dir);
                }
                Ok(loaded)
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Embedded { .. } => "airside up".to_owned(),
            Self::File { file, .. } => file.display().to_string(),
        }
    }
}

/// What a node is started with besides its configuration.
pub(crate) struct Place {
    /// Where the gateway listens.
    pub(crate) address: SocketAddr,
    /// Where the control API listens besides the socket.
    pub(crate) control: Option<SocketAddr>,
    pub(crate) origin: Origin,
    pub(crate) clock: Arc<dyn Clock>,
    /// What the node knows of persons.
    pub(crate) persons: Persons,
    /// Public key that the ledger is sealed with.
    pub(crate) seal_key: String,
}

/// A node that serves.
pub(crate) struct Running {
    id: NodeId,
    started: Timestamp,
    place: Place,
    ledger: Ledger,
    stock: Stock,
    pub(super) shared: Arc<Shared>,
    pub(super) limits: Arc<Counters>,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    /// What holds calls because of vulnerabilities.
    pub(super) guard: Guard,
    current: Mutex<Current>,
    /// The inventory, once it has been folded.
    inventory: OnceLock<Keeper>,
    /// One reload at a time, so that entries and swaps have one order.
    pub(super) reloading: tokio::sync::Mutex<()>,
    /// Another configuration is in use.
    pub(super) reloaded: tokio::sync::Notify,
}

/// The configuration in use and what was made of it.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) loaded: Arc<Loaded>,
    pub(super) identity: Identity,
    callers: Callers,
    pub(super) travel: Arc<Travel>,
    /// Reads the messages of the payment provider.
    checkout: Option<Arc<Checkout>>,
    pub(super) flights: Arc<dyn Local>,
    pub(super) airline: Arc<dyn Local>,
    /// Who sells the rooms of the travel server.
    supply: Arc<dyn HotelSupply>,
    /// The same, where it is OPERA: it is pushed to.
    opera: Option<Arc<Opera>>,
    intake: Arc<Intake>,
}

impl Running {
    /// Builds what serves `loaded` and records that it will.
    pub(crate) async fn start(
        loaded: Loaded,
        place: Place,
        ledger: &Ledger,
        tasks: &Supervisor,
    ) -> Result<Self, Failure> {
        let id = NodeId::generate(&*place.clock);
        let shared = Shared::new(place.clock.clone(), tasks.clone());
        // Others write a ledger in PostgreSQL as well.
        let others = loaded.config.ledger.url_file.is_some();
        let kept = shared.contracts().keep(ledger, tasks, others).await;
        kept.map_err(|error| Failure::new(Exit::Failed, error.fault()))?;
        let stock = Stock {
            clock: place.clock.clone(),
            ledger: ledger.clone(),
            keys: place.persons.keys.clone(),
            conversations: place.persons.conversations.of(TRAVEL_OWNER),
            payments: None,
            hold: HOLD,
            supervisor: tasks.clone(),
            node: id,
        };
        let current = current(loaded, None, &stock).map_err(refused)?;
        let limits = open_limits(&current.loaded.config, ledger, &place.clock, tasks).await;
        let limits = limits?;
        let failed = |fault| Failure::new(Exit::Failed, fault);
        let guard = Guard::load(ledger).await.map_err(failed)?;
        let counted = (&shared, &limits);
        let snapshot = guard::hold(&current, None, counted, &place.clock, &guard.all());
        let snapshot = snapshot.map_err(refused)?;
        limits.start();
        // Else the first call would wait for it; if there is no thread for it, it does.
        let _ = tasks.spawn_thread(
            "screen",
            airside_base::OnFailure::Log,
            airside_screen::prepare,
        );
        let watch = history::Desk::new(ledger.clone(), place.clock.clone());
        let (watch, stop) = (watch.watch(TenantId::default()), tasks.clone());
        tasks.spawn(
            "evaluation watcher",
            airside_base::OnFailure::Log,
            async move {
                tokio::select! { () = watch => {}, () = stop.stopping() => {} }
            },
        );
        let started = place.clock.now();
        let running = Self {
            id,
            started,
            place,
            ledger: ledger.clone(),
            stock,
            shared,
            limits,
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            guard,
            current: Mutex::new(current),
            inventory: OnceLock::new(),
            reloading: tokio::sync::Mutex::default(),
            reloaded: tokio::sync::Notify::new(),
        };
        let begin = Event::Started {
            node: running.id().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            endpoints: running.endpoints().into_iter().map(|at| at.url).collect(),
        };
        let loaded = running.loaded_event(&running.current().loaded);
        running
            .record(&[begin, loaded])
            .await
            .map_err(|fault| Failure::new(Exit::Failed, fault))?;
        Ok(running)
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.place.clock.clone()
    }

    pub(crate) fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        self.snapshot.clone()
    }

    /// Returns who may use the control API at present.
    pub(crate) fn callers(&self) -> Callers {
        self.lock().callers.clone()
    }

    /// Writes what was taken from limits, when the last call has ended.
    pub(crate) async fn save_limits(&self) {
        self.limits.save().await;
    }

    /// Returns the inventory, once it has been folded.
    pub(super) fn inventory(&self) -> Option<Keeper> {
        self.inventory.get().cloned()
    }

    pub(super) fn keep_inventory(&self, keeper: Keeper) {
        // The first one stays: it follows the ledger.
        let _ = self.inventory.set(keeper);
    }

    fn desk(&self) -> Desk {
        Desk::new(self.ledger.clone(), self.place.clock.clone())
    }

    pub(crate) fn config(&self) -> Config {
        self.current().loaded.config.clone()
    }

    /// Reloads because of a signal: nobody waits for the answer but the log.
    pub(crate) async fn reload_and_log(&self) {
        match self.replace().await {
            Ok(reloaded) => tracing::info!(
                digest = reloaded.digest,
                changed = reloaded.changed,
                "the configuration was read again"
            ),
            Err(fault) => tracing::error!(
                code = fault.code(),
                reason = fault.public(),
                hint = fault.hint(),
                "the configuration is refused; the one before stays in use"
            ),
        }
    }

    async fn replace(&self) -> Result<wire::Reloaded, Fault> {
        let _one = self.reloading.lock().await;
        let before = self.current();
        let loaded = self.place.origin.load().map_err(|found| found.fault())?;
        let digest = loaded.digest.to_string();
        if loaded.digest == before.loaded.digest {
            return Ok(wire::Reloaded {
                digest,
                changed: false,
            });
        }
        fixed(&before.loaded, &loaded)?;
        let next = current(loaded, Some(&before), &self.stock)?;
        let counted = (&self.shared, &self.limits);
        let (previous, all) = (self.snapshot.load_full(), self.guard.all());
        let snapshot = guard::hold(&next, Some(&previous), counted, &self.place.clock, &all)?;
        self.record(&[self.loaded_event(&next.loaded)]).await?;
        self.snapshot.store(Arc::new(snapshot));
        *self.lock() = next;
        self.reloaded.notify_one();
        Ok(wire::Reloaded {
            digest,
            changed: true,
        })
    }

    fn loaded_event(&self, loaded: &Loaded) -> Event {
        Event::ConfigLoaded {
            node: self.id().to_string(),
            digest: loaded.digest.to_string(),
            source: self.place.origin.name(),
        }
    }

    async fn record(&self, events: &[Event]) -> Result<(), Fault> {
        let drafts = events.iter().map(Event::draft).collect::<Result<_, _>>();
        let drafts = drafts.map_err(|error| error.fault())?;
        let appended = self.ledger.append(drafts).await;
        appended.map(|_| ()).map_err(|error| error.fault())
    }

    fn endpoints(&self) -> Vec<wire::Endpoint> {
        let current = self.current();
        let endpoints = current.loaded.config.endpoint.iter();
        let address = reachable(self.place.address);
        let scheme = match current.loaded.config.listen.tls {
            Some(_) => "https",
            None => "http",
        };
        endpoints
            .map(|endpoint| wire::Endpoint {
                url: format!("{scheme}://{address}{}", endpoint.path),
                upstreams: endpoint.upstreams.iter().map(ToString::to_string).collect(),
            })
            .collect()
    }

    pub(super) fn current(&self) -> Current {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

/// Makes what `loaded` asks for. The travel server is kept: it has sold rooms.
fn current(loaded: Loaded, before: Option<&Current>, stock: &Stock) -> Result<Current, Fault> {
    let outside = Outside {
        clock: stock.clock.clone(),
        fetch: Arc::new(HttpFetch::default()),
        supervisor: stock.supervisor.clone(),
        previous: before.map(|before| &before.identity),
    };
    let identity = Identity::new(&loaded.config.identity, &outside);
    let identity = identity.map_err(|error| error.fault())?;
    let (travel, checkout, supply, opera) = match before {
        Some(before) => (
            before.travel.clone(),
            before.checkout.clone(),
            before.supply.clone(),
            before.opera.clone(),
        ),
        None => {
            let wanted = &loaded.config.travel;
            let cashier = wanted.payments.as_ref().map(Cashier::new).transpose()?;
            let (payments, checkout) = match cashier {
                Some(cashier) => (Some(cashier.payments), cashier.checkout),
                None => (None, None),
            };
            let stock = Stock {
                payments,
                hold: Duration::from_secs(wanted.hold_seconds),
                ..stock.clone()
            };
            let (travel, opera) = travel_server(&loaded, &stock)?;
            let supply = travel.supply();
            (Arc::new(travel), checkout, supply, opera)
        }
    };
    // What it remembers of single rooms is kept as long as its hotels are.
    let intake = match before {
        Some(before) if before.loaded.config.supply == loaded.config.supply => {
            before.intake.clone()
        }
        _ => {
            let hotels = loaded.config.supply.hotel.iter();
            let hotels = hotels.map(|hotel| hotel.with_own_codes(&loaded.houses));
            let hotels = hotels.collect();
            Arc::new(Intake::new(hotels, supply.clone(), stock.clock.clone()))
        }
    };
    // They have nothing to configure: a reload keeps what is in their sandboxes.
    let (flights, airline): (Arc<dyn Local>, Arc<dyn Local>) = match before {
        Some(before) => (before.flights.clone(), before.airline.clone()),
        None => (
            Arc::new(Flights::new(stock.clock.clone())),
            Arc::new(Airline::new()),
        ),
    };
    let control = &loaded.config.control;
    let callers = Callers::new(identity.clone(), control, stock.clock.clone());
    Ok(Current {
        loaded: Arc::new(loaded),
        identity,
        callers,
        travel,
        checkout,
        flights,
        airline,
        supply,
        opera,
        intake,
    })
}

/// Makes the travel server, over our own inventory or over OPERA.
fn travel_server(loaded: &Loaded, stock: &Stock) -> Result<(Travel, Option<Arc<Opera>>), Fault> {
    let Loaded { config, houses, .. } = loaded;
    let wanted = &config.travel;
    let access = wanted.supply.access().map_err(|error| error.fault())?;
    let Some(access) = access else {
        let options = Options {
            seed: wanted.seed,
            size: wanted.hotels.into(),
            houses: *houses,
            snapshot: Some(config.data_dir.join("travel.snapshot")),
            ..Options::default()
        };
        return Ok((Travel::new(options, stock.clone()), None));
    };
    let parts = opera::Parts {
        clock: stock.clock.clone(),
        ledger: stock.ledger.clone(),
        node: stock.node,
        supervisor: stock.supervisor.clone(),
    };
    let opera = Opera::start(access, wanted.supply.hotels(), parts);
    let opera = opera.map_err(|error| error.fault())?;
    let exposure = Options::default().exposure;
    let travel = Travel::selling(opera.clone(), exposure, stock.clone());
    Ok((travel, Some(opera)))
}

fn refused(fault: Fault) -> Failure {
    Failure::new(Exit::Config, fault)
}

/// Refuses a change of what a node is built on.
fn fixed(before: &Loaded, after: &Loaded) -> Result<(), Fault> {
    let other_hotels = !before.houses.is_same(&after.houses);
    let (before, after) = (&before.config, &after.config);
    let changed = [
        ("data-dir", before.data_dir != after.data_dir),
        ("ledger", before.ledger != after.ledger),
        ("keys", before.keys != after.keys),
        ("conversation", before.conversation != after.conversation),
        ("listen", before.listen != after.listen),
        ("control", before.control.address != after.control.address),
        ("travel", before.travel != after.travel),
        ("travel.properties", other_hotels),
        ("limits", before.limits != after.limits),
    ];
    match changed.iter().find(|(_, changed)| *changed) {
        None => Ok(()),
        Some((key, _)) => Err(Fault::new(
            Kind::Conflict,
            "CFG-022",
            format!("a change of `{key}` needs a restart of the node"),
        )
        .with_hint("restart the node, or undo the change")),
    }
}

/// Returns where a client on this machine reaches a listener at `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
