//! Keeps the ledger's word about components and vulnerabilities true.
//!
//! Started by a timer; each round reads what is deployed and what is known, and appends
//! what is new. A round that finds nothing new appends nothing.

mod mirror;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use airside_api::findings::Decide;
use airside_base::{Clock, Fault, Kind, OnFailure, Supervisor, TenantId};
use airside_config::{Config, Inventory};
use airside_gateway::HttpFetch;
use airside_identity::Fetch;
use airside_inventory::{
    callers::Callers,
    component,
    decision::{
        derive::{Reach, Setting},
        lane::{Lane, Plan},
        reach::{Calls, Reached},
    },
    event::Event,
    feeds, read,
    reconcile::{Rules, Target, reconcile},
    state::{Finding, State, day},
};
use airside_ledger::{LeaseError, Ledger, View};
use jiff::civil::Date;

use crate::node::{guard::Guard, running::Running};

/// Name of the server that this program is.
const SELF: &str = "airside";
/// What this program was built of.
const OWN_LOCK: &[u8] = include_bytes!("../../../../Cargo.lock");
/// One node of several does the work.
const LEASE: &str = "inventory";
/// Longer than a round.
const LEASE_TTL: Duration = Duration::from_secs(120);
/// The index of the feeds in the data folder.
const INDEX: &str = "feeds.index";

/// The state of the inventory, and where to append to it.
#[derive(Clone)]
pub(super) struct Keeper {
    view: View<State>,
    ledger: Ledger,
    guard: Guard,
    clock: Arc<dyn Clock>,
    /// What was read of the sources of servers.
    read: Arc<Mutex<read::Cache>>,
    mirror: Arc<tokio::sync::Mutex<mirror::Looked>>,
    fetch: Arc<dyn Fetch>,
}

/// Keeps the state true while `tasks` run. The ledger is folded when feeds are
/// configured first: a node without an inventory does not wait for it.
pub(super) fn start(node: &Arc<Running>, ledger: &Ledger, tasks: &Supervisor) {
    let (node, ledger, stop) = (node.clone(), ledger.clone(), tasks.clone());
    let clock = node.clock();
    tasks.spawn("inventory", OnFailure::Stop, async move {
        let mut callers = Callers::new(&ledger);
        loop {
            let config = node.config();
            let compares = config.inventory.folder(&config.data_dir).is_some();
            if compares
                && let Err(fault) = compare(&node, &mut callers, &ledger, &config, &stop).await
            {
                tracing::error!(
                    code = fault.code(),
                    reason = fault.public(),
                    cause = fault.private(),
                    "the inventory could not be compared with the feeds"
                );
            }
            let pause = Duration::from_secs(config.inventory.every_s.clamp(1, 86_400));
            tokio::select! {
                () = node.clock().sleep(pause) => {}
                () = node.reloaded.notified() => {}
                () = callers.news(&*clock), if compares => {}
                () = stop.stopping() => return,
            }
        }
    });
}

async fn compare(
    node: &Running,
    callers: &mut Callers,
    ledger: &Ledger,
    config: &Config,
    tasks: &Supervisor,
) -> Result<(), Fault> {
    if node.inventory().is_none() {
        let (clock, tenant) = (node.clock(), TenantId::default());
        let view = View::start(ledger, clock.clone(), tasks, tenant, State::default()).await;
        node.keep_inventory(Keeper {
            view: view.map_err(|error| error.fault())?,
            ledger: ledger.clone(),
            guard: node.guard.clone(),
            clock,
            read: Arc::default(),
            mirror: Arc::default(),
            fetch: Arc::new(HttpFetch::default()),
        });
    }
    match node.inventory() {
        Some(keeper) => {
            callers.look().await.map_err(|error| error.fault())?;
            keeper.round(node, callers.calls(), config).await
        }
        None => Ok(()),
    }
}

impl Keeper {
    async fn round(&self, node: &Running, calls: &Calls, config: &Config) -> Result<(), Fault> {
        let now = self.clock.now();
        let Some(folder) = config.inventory.folder(&config.data_dir) else {
            return Ok(());
        };
        // Every node has feeds of its own, and a download may outlast the lease.
        let unfetched = match &config.inventory.mirror {
            Some(mirror) => {
                let mut looked = self.mirror.lock().await;
                looked.look(mirror, &folder, &self.fetch, now).await
            }
            None => None,
        };
        match self.ledger.lease(LEASE, node.id(), LEASE_TTL).await {
            Ok(_) => {}
            Err(LeaseError::Taken { .. }) => return Ok(()),
            Err(error) => return Err(error.fault()),
        }
        let state = self.view.read(State::clone);
        let (config, calls, read) = (config.clone(), calls.clone(), self.read.clone());
        let events = tokio::task::spawn_blocking(move || {
            let kept = config.data_dir.join(INDEX);
            let (index, refused) = feeds::renew(&folder, &kept).map_err(|error| {
                let text = match &unfetched {
                    Some(why) => format!("{error}; {why}"),
                    None => error.to_string(),
                };
                Fault::new(Kind::Unavailable, "INV-001", text)
            })?;
            let seen = Seen {
                calls: &calls,
                state: &state,
                today: day(now),
                window_days: config.inventory.quiet_after_days,
            };
            let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
            let targets = targets(&config, &seen, &mut read);
            let mut rules = rules(&config.inventory);
            rules.refused = refused.or(unfetched);
            Ok(reconcile(&state, &targets, &index, &rules, now))
        });
        let stopped = |_| Fault::new(Kind::Internal, "INV-011", "the comparison was stopped");
        let events = events.await.map_err(stopped)??;
        self.append(&events).await?;
        // What ended takes what was done against it along.
        node.enforce().await
    }

    /// Appends and waits until the state holds it.
    pub(super) async fn append(&self, events: &[Event]) -> Result<(), Fault> {
        for some in events.chunks(64) {
            some.iter().for_each(alert);
            if let Some(last) = self.guard.append(some).await? {
                self.view.clone().reached(last).await;
            }
        }
        Ok(())
    }

    /// Returns a finding that has not ended.
    pub(super) fn open_finding(&self, id: &str) -> Result<Finding, Fault> {
        let finding = self.view.read(|state| state.findings.get(id).cloned());
        finding
            .filter(|finding| finding.closed.is_none())
            .ok_or_else(|| {
                let text = format!("there is no open finding `{id}`");
                let fault = Fault::new(Kind::NotFound, "INV-012", text);
                fault.with_hint("`airside vulns list` lists them")
            })
    }

    /// Records that `by` moves a deadline.
    pub(super) async fn extend(&self, decide: Decide, by: String) -> Result<(), Fault> {
        let finding = self.open_finding(&decide.finding)?;
        let to = last_day(&decide)?;
        let (id, reason) = (decide.finding, decide.reason);
        let mut clock = finding.judged.clock;
        let moved = clock.extend(self.clock.now(), &by, &reason, to);
        moved.map_err(|error| refused(error.to_string()))?;
        self.append(&[Event::Extended { id, by, reason, to }]).await
    }

    /// Records that `by` takes a risk on for a while.
    pub(super) async fn except(&self, decide: Decide, by: String) -> Result<(), Fault> {
        self.open_finding(&decide.finding)?;
        let until = last_day(&decide)?;
        if until < day(self.clock.now()) {
            return Err(refused("an exception ends in the future".to_owned()));
        }
        let excepted = Event::Excepted {
            id: decide.finding,
            by,
            reason: decide.reason,
            until,
        };
        self.append(&[excepted]).await
    }
}

fn last_day(decide: &Decide) -> Result<Date, Fault> {
    let text = decide.until.as_deref().unwrap_or_default();
    text.parse()
        .map_err(|_| refused("the last day has to be given, such as `2026-12-24`".to_owned()))
}

/// Logs what somebody has to look at, once: it is appended once.
fn alert(event: &Event) {
    match event {
        Event::Overdue { id, server, due } => {
            tracing::warn!(finding = id, server, %due, "a vulnerability is overdue");
        }
        Event::Resumed { id, until } => {
            tracing::warn!(finding = id, %until, "the exception of a vulnerability has ended");
        }
        Event::Warned(warning) if !warning.stale.is_empty() || warning.refused.is_some() => {
            let stale = warning.stale.len();
            let refused = warning.refused.as_deref();
            tracing::warn!(stale, refused, "the feeds are not as they should be");
        }
        Event::Opened(judged) if judged.lane == Lane::Emergency => {
            let (id, server) = (&judged.id, &judged.server);
            let known_as = &judged.vulnerability;
            tracing::warn!(finding = %id, %server, %known_as, "a vulnerability cannot wait");
        }
        _ => {}
    }
}

/// A decision cannot be taken.
pub(super) fn refused(text: String) -> Fault {
    Fault::new(Kind::Invalid, "INV-013", text)
}

/// Nothing is compared on this node.
pub(super) fn absent() -> Fault {
    let fault = Fault::new(
        Kind::Unavailable,
        "INV-010",
        "this node compares no inventory with feeds",
    );
    fault.with_hint("name a folder of feeds under `[inventory]`")
}

fn rules(config: &Inventory) -> Rules {
    Rules {
        plan: Plan {
            windows: config.window.clone(),
            soak_hours: config.soak_hours,
        },
        trusted: config.trust_vex.clone(),
        stale_after_days: i32::from(config.stale_after_days),
        refused: None,
    }
}

/// What recorded calls tell.
struct Seen<'a> {
    calls: &'a Calls,
    state: &'a State,
    today: Date,
    window_days: u16,
}

impl Seen<'_> {
    /// Returns who has reached what is known as `name`: `server`, or any server.
    fn reached(&self, name: &str, server: Option<&str>) -> Reached {
        let before = self.state.servers.get(name);
        let before = before.map_or(Reached::default(), |known| known.setting.reached.clone());
        self.calls
            .reached(server, &before, self.today, self.window_days)
    }
}

/// Reads what every server is made of.
fn targets(config: &Config, seen: &Seen<'_>, kept: &mut read::Cache) -> Vec<Target> {
    let gateway = reach(config);
    let sources = config.inventory.server.iter().flat_map(|s| &s.sources);
    kept.keep(&sources.map(PathBuf::as_path).collect::<Vec<_>>());
    let mut targets = vec![own(&gateway, seen.reached(SELF, None))];
    for server in &config.inventory.server {
        let mut inventory = component::Inventory::default();
        let mut whole = true;
        for source in &server.sources {
            match kept.path(source) {
                Ok(read) => inventory.merge(read),
                Err(error) => {
                    whole = false;
                    inventory.gap(&source.to_string_lossy(), error.to_string());
                }
            }
        }
        inventory.settle();
        // A file that is there and cannot be read hides what it names.
        whole &= !inventory
            .gaps
            .iter()
            .any(|gap| gap.reason.contains("cannot be read"));
        let reach = match server.reach {
            Some(Reach::Public) => (
                Reach::Public,
                "configured: reached around the gateway".to_owned(),
            ),
            Some(Reach::Identified) if gateway.0 == Reach::Local => (
                Reach::Identified,
                "configured: reached around the gateway".to_owned(),
            ),
            _ => gateway.clone(),
        };
        let name = server.upstream.to_string();
        let reached = seen.reached(&name, Some(&name));
        targets.push(Target {
            server: name,
            version: server.version.clone(),
            region: server.region.clone(),
            setting: Setting {
                reach: Some(reach),
                reached,
                tier: server.tier,
                data: server.data.clone(),
                effect: server.effect,
                autonomous: server.autonomous,
                heed_kev_due: server.heed_kev_due,
                contract_days: server.contract_days,
            },
            inventory,
            whole,
        });
    }
    targets
}

/// Who can reach servers through this gateway, by its configuration: it lets nobody in who
/// is not identified, except processes of this machine and, where that is configured,
/// whoever comes from an address of a platform.
fn reach(config: &Config) -> (Reach, String) {
    let address = config.listen.address;
    let identity = &config.identity;
    if let Some(range) = identity.ip_range.first() {
        let source = format!(
            "gateway: lets callers of `{}` in by their address",
            range.name
        );
        (Reach::Public, source)
    } else if let Some(proxy) = identity.proxy.addresses.first() {
        let source = format!("gateway: a proxy at {proxy} passes on callers, who are identified");
        (Reach::Identified, source)
    } else if address.ip().is_loopback() {
        (Reach::Local, format!("gateway: listens on {address}"))
    } else {
        let source = format!("gateway: listens on {address}, callers are identified");
        (Reach::Identified, source)
    }
}

/// This program as a server of its own.
fn own(gateway: &(Reach, String), reached: Reached) -> Target {
    use airside_inventory::decision::derive::{Data, Effect, Tier};
    let inventory = read::bytes(OWN_LOCK, "Cargo.lock").unwrap_or_default();
    Target {
        server: SELF.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        region: String::new(),
        setting: Setting {
            reach: Some(gateway.clone()),
            reached,
            tier: Some(Tier::Essential),
            data: vec![Data::Personal],
            effect: Some(Effect::Irreversible),
            autonomous: true,
            ..Setting::default()
        },
        inventory,
        whole: true,
    }
}

#[cfg(test)]
mod tests {
    use airside_api::findings::Verdict;

    use super::*;

    #[test]
    fn an_exception_without_an_end_is_refused() {
        let check = |until: Option<&str>, expected: Result<&str, &str>| {
            let decide = Decide {
                finding: "F-1".to_owned(),
                verdict: Verdict::Except,
                reason: "not reachable".to_owned(),
                until: until.map(str::to_owned),
                mitigation: None,
                tool: None,
            };
            let got = last_day(&decide).map(|day| day.to_string());
            let got = got.as_deref().map_err(Fault::code);
            assert_eq!(got, expected, "{until:?}");
        };
        check(Some("2026-12-24"), Ok("2026-12-24"));
        for wrong in [None, Some(""), Some("never"), Some("2026-13-01")] {
            check(wrong, Err("INV-013"));
        }
    }
}
