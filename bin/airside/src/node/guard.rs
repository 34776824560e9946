//! Holds calls to what was decided against vulnerabilities that are not fixed yet.
//!
//! # Invariants
//!
//! * What is in force is what the ledger's table says, from before the first call on: a
//!   restart, a new configuration and the inventory being away change nothing about it.
//! * It lies over the configuration: when a measure ends, what was configured is back.
//! * What cannot be done here is refused when it is decided. What was decided on another
//!   node and cannot be done here closes the server: never less than was decided.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use airside_api::findings::Decide;
use airside_base::{Clock, Fault, Kind, OnFailure, ServerId, Supervisor, TenantId};
use airside_config::Config;
use airside_gateway::{
    Shared, Snapshot,
    barrier::{Barred, Barrier, Barriers},
    config::{Label, Network, Tool, Upstream},
};
use airside_inventory::{
    event::Event,
    mitigation::{Measure, Mitigation, Mitigations},
};
use airside_ledger::{AppendError, Batch, Entry, Follower, Ledger, Schema as _, Table, TableError};
use airside_limits::Counters;

use crate::node::{
    assemble::build,
    inventory::{self, refused},
    running::{Current, Running},
};

/// Rows that are read at once.
const PAGE: usize = 200;
/// How long reading is not repeated after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// By which policies ask an operator, whatever else they say.
const ASK_OPERATOR: &str = "operator-approval";

/// What is in force, and where it is kept. Clones share it.
#[derive(Clone)]
pub(super) struct Guard {
    ledger: Ledger,
    table: Table<Mitigations>,
    current: Arc<Mutex<Arc<[Mitigation]>>>,
}

impl Guard {
    /// Reads what is in force.
    pub(super) async fn load(ledger: &Ledger) -> Result<Self, Fault> {
        let guard = Self {
            ledger: ledger.clone(),
            table: Table::new(ledger.clone()),
            current: Arc::new(Mutex::new(Arc::from([]))),
        };
        guard.set(guard.read().await?);
        Ok(guard)
    }

    /// Returns what is in force here.
    pub(super) fn all(&self) -> Arc<[Mitigation]> {
        self.lock().clone()
    }

    fn set(&self, all: Arc<[Mitigation]>) {
        *self.lock() = all;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<[Mitigation]>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self) -> Result<Arc<[Mitigation]>, Fault> {
        let tenant = TenantId::default();
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.table.all(&tenant, &after, PAGE).await;
            let page = page.map_err(|error| error.fault())?;
            let Some(last) = page.last() else { break };
            after = last.key.to_string();
            all.extend(page.into_iter().map(|row| row.document));
        }
        Ok(all.into())
    }

    /// Appends `events` together, with what they change of the table. Returns the number
    /// of the last entry.
    pub(super) async fn append(&self, events: &[Event]) -> Result<Option<u64>, Fault> {
        loop {
            let mut batch = Batch::new();
            let mut keys = BTreeSet::new();
            for event in events {
                let draft = event.draft().map_err(|error| error.fault())?;
                keys.extend(Mitigations::key((&draft).into()));
                batch.push(draft);
            }
            for key in keys {
                let prior = self.table.find(&TenantId::default(), &key).await;
                let prior = prior.map_err(|error| error.fault())?;
                let changed = self.table.along(&mut batch, &key, prior);
                changed.map_err(|error: TableError| error.fault())?;
            }
            match self.ledger.commit(batch).await {
                Ok(receipt) => return Ok(receipt.entries.last().map(|last| last.seq)),
                // Somebody decided about the same finding in between.
                Err(AppendError::Stale { .. }) => {}
                Err(error) => return Err(error.fault()),
            }
        }
    }
}

/// A configuration with what is in force laid over it.
pub(super) struct Overlay {
    pub(super) upstreams: Vec<Upstream>,
    pub(super) tools: Vec<Tool>,
    pub(super) barriers: Arc<Barriers>,
}

/// How servers are kept from the network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Egress {
    /// They run without one.
    Denied,
    /// Calls do not reach them, since they cannot be run without one here.
    Closed,
}

impl Overlay {
    fn of(config: &Config, all: &[Mitigation], egress: Egress) -> Self {
        let mut upstreams = config.upstream.clone();
        let mut tools = config.tool.clone();
        let mut barriers = Barriers::default();
        for mitigation in all {
            let found = upstreams
                .iter_mut()
                .find(|upstream| upstream.name.as_str() == mitigation.server);
            let Some(upstream) = found else { continue };
            let server = upstream.name.clone();
            let mut bar = |what: Barred| {
                let finding = mitigation.finding.clone();
                barriers.add(server.clone(), Barrier { what, finding });
            };
            match (mitigation.measure, mitigation.tool.clone()) {
                (Measure::BlockTool, Some(tool)) => bar(Barred::Tool(tool)),
                (Measure::BlockTool, None) | (Measure::QuarantineServer, _) => {
                    bar(Barred::Server);
                }
                (Measure::DenyEgress, _)
                    if egress == Egress::Denied && !upstream.command.is_empty() =>
                {
                    upstream.network = Network::None;
                }
                (Measure::DenyEgress, _) => bar(Barred::Server),
                (Measure::ForceApproval, tool) => {
                    if tool.is_none() {
                        bar(Barred::AllButTools);
                    }
                    tools.push(asking(&server, tool));
                }
            }
        }
        Self {
            upstreams,
            tools,
            barriers: Arc::new(barriers),
        }
    }
}

/// What makes policies ask an operator about a tool, or about all of a server.
fn asking(server: &ServerId, name: Option<String>) -> Tool {
    let label = Label::try_from(ASK_OPERATOR.to_owned()).expect("it has the form of a label");
    Tool {
        upstream: server.clone(),
        name,
        labels: vec![label],
        sensitivity: None,
        argument: Vec::new(),
    }
}

/// Builds what serves `current` under `all` measures. Where a server cannot be kept from
/// the network here, it is closed.
pub(super) fn hold(
    current: &Current,
    previous: Option<&Snapshot>,
    counted: (&Arc<Shared>, &Arc<Counters>),
    clock: &Arc<dyn Clock>,
    all: &[Mitigation],
) -> Result<Snapshot, Fault> {
    let config = &current.loaded.config;
    let overlay = |egress| Overlay::of(config, all, egress);
    let fault = match build(current, previous, counted, clock, &overlay(Egress::Denied)) {
        Ok(snapshot) => return Ok(snapshot),
        Err(fault) => fault,
    };
    if !all.iter().any(|one| one.measure == Measure::DenyEgress) {
        return Err(fault);
    }
    let closed = build(current, previous, counted, clock, &overlay(Egress::Closed))?;
    tracing::error!(
        reason = fault.public(),
        "a server cannot be kept from the network here; it is closed instead"
    );
    Ok(closed)
}

impl Running {
    /// Puts a measure in force: calls are held to it before this returns.
    pub(super) async fn mitigate(&self, decide: Decide, by: String) -> Result<(), Fault> {
        let keeper = self.inventory().ok_or_else(inventory::absent)?;
        let finding = keeper.open_finding(&decide.finding)?;
        let mitigation = self.asked(&decide, finding.judged.server, by)?;
        let _one = self.reloading.lock().await;
        let mut all = self.guard.all().to_vec();
        all.retain(|one| one.finding != mitigation.finding);
        all.push(mitigation.clone());
        let current = self.current();
        let overlay = Overlay::of(&current.loaded.config, &all, Egress::Denied);
        let previous = self.snapshot.load_full();
        let counted = (&self.shared, &self.limits);
        let built = build(&current, Some(&previous), counted, &self.clock(), &overlay);
        let snapshot = built.map_err(|fault| cannot_deny(fault.public()))?;
        let event = Event::Mitigated {
            id: mitigation.finding,
            what: mitigation.measure.name().to_owned(),
            server: mitigation.server,
            tool: mitigation.tool,
            by: mitigation.by,
            reason: mitigation.reason,
        };
        keeper.append(&[event]).await?;
        self.snapshot.store(Arc::new(snapshot));
        self.guard.set(all.into());
        Ok(())
    }

    /// Ends what is in force for a finding, whether or not there is an inventory: what was
    /// configured is back before this returns.
    pub(super) async fn expose(&self, decide: Decide, by: String) -> Result<(), Fault> {
        let held = self.guard.all();
        if !held.iter().any(|one| one.finding == decide.finding) {
            let keeper = self.inventory().ok_or_else(inventory::absent)?;
            keeper.open_finding(&decide.finding)?;
            return Err(refused("nothing is in force for this finding".to_owned()));
        }
        let event = Event::Mitigated {
            id: decide.finding,
            what: String::new(),
            server: String::new(),
            tool: None,
            by,
            reason: decide.reason,
        };
        match self.inventory() {
            Some(keeper) => keeper.append(&[event]).await?,
            None => drop(self.guard.append(&[event]).await?),
        }
        self.enforce().await
    }

    /// Holds calls to what the ledger says is in force.
    pub(super) async fn enforce(&self) -> Result<(), Fault> {
        let _one = self.reloading.lock().await;
        let all = self.guard.read().await?;
        if *all == *self.guard.all() {
            return Ok(());
        }
        let previous = self.snapshot.load_full();
        let counted = (&self.shared, &self.limits);
        let current = self.current();
        let snapshot = hold(&current, Some(&previous), counted, &self.clock(), &all)?;
        self.snapshot.store(Arc::new(snapshot));
        self.guard.set(all);
        Ok(())
    }

    /// Returns the measure that is asked for, if it can be taken here.
    fn asked(&self, decide: &Decide, server: String, by: String) -> Result<Mitigation, Fault> {
        let what = decide.mitigation.as_deref().unwrap_or_default();
        let Some(measure) = Measure::find(what) else {
            let known = Measure::ALL.map(Measure::name).join(", ");
            return Err(refused(format!("a mitigation is one of {known}")));
        };
        let config = self.config();
        let found = config.upstream.iter();
        let Some(upstream) = found.clone().find(|one| one.name.as_str() == server) else {
            let text = format!("this gateway calls no server `{server}`");
            let hint = "keep attackers from it where it runs, or take the risk on for a while with `airside vulns except`";
            return Err(Fault::new(Kind::Invalid, "INV-050", text).with_hint(hint));
        };
        let tool = decide.tool.clone();
        match (measure, &tool) {
            (Measure::BlockTool, None) => {
                let hint = "name it with --tool; `quarantine-server` stops all of them";
                return Err(misfit("`block-tool` is about one tool", hint));
            }
            (measure, Some(_)) if !measure.takes_a_tool() => {
                let hint = "leave --tool out, or use block-tool or force-approval";
                return Err(misfit("this mitigation is about the whole server", hint));
            }
            (_, Some(tool)) => self.check_tool(&server, tool)?,
            (_, None) => {}
        }
        if measure == Measure::DenyEgress && upstream.command.is_empty() {
            return Err(cannot_deny("it is not started by this gateway"));
        }
        Ok(Mitigation {
            finding: decide.finding.clone(),
            server,
            tool,
            measure,
            by,
            reason: decide.reason.clone(),
        })
    }

    /// A name that is written wrongly would protect nothing.
    fn check_tool(&self, server: &str, tool: &str) -> Result<(), Fault> {
        let contracts = self.shared.contracts().all().into_iter();
        let of = contracts.filter(|one| one.key.server.as_str() == server);
        let known: BTreeSet<String> = of
            .map(|one| one.key.tool)
            .filter(|tool| !tool.is_empty())
            .collect();
        if known.is_empty() || known.contains(tool) {
            return Ok(());
        }
        let some: Vec<&str> = known.iter().map(String::as_str).take(20).collect();
        let fault = Fault::new(
            Kind::Invalid,
            "INV-052",
            format!("`{server}` has no such tool"),
        );
        Err(fault.with_hint(format!("it has {}", some.join(", "))))
    }
}

fn misfit(text: &str, hint: &'static str) -> Fault {
    Fault::new(Kind::Invalid, "INV-051", text.to_owned()).with_hint(hint)
}

fn cannot_deny(why: &str) -> Fault {
    let text = format!("the server cannot be kept from the network here: {why}");
    let hint = "deny it where the server runs and use `quarantine-server` or `force-approval` here";
    Fault::new(Kind::Invalid, "INV-053", text).with_hint(hint)
}

/// Takes what other nodes decide, until `tasks` stop.
pub(super) async fn follow(node: &Arc<Running>, ledger: &Ledger, tasks: &Supervisor) {
    let tenant = TenantId::default();
    let seq = match ledger.head(&tenant).await {
        Ok(head) => head.seq,
        // From the start on: nothing is missed, and nothing is done twice.
        Err(_) => 0,
    };
    let follower = ledger.follow(tenant, seq);
    let (node, stop) = (Arc::clone(node), tasks.clone());
    tasks.spawn("mitigation follower", OnFailure::Stop, async move {
        tokio::select! {
            () = take(&node, follower) => {}
            () = stop.stopping() => {}
        }
    });
}

async fn take(node: &Running, mut follower: Follower) {
    // What was decided between the start of the node and that of the follower.
    let mut due = true;
    loop {
        if due {
            match node.enforce().await {
                Ok(()) => due = false,
                Err(fault) => {
                    tracing::error!(
                        code = fault.code(),
                        reason = fault.public(),
                        "a mitigation of another node cannot be taken"
                    );
                    node.clock().sleep(PAUSE).await;
                    continue;
                }
            }
        }
        match follower.next().await {
            Ok(entries) => {
                let ours = |entry: &Entry| Mitigations::key(entry.into()).is_some();
                due = entries.iter().any(ours);
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "mitigations cannot follow their chain"
                );
                node.clock().sleep(PAUSE).await;
            }
        }
    }
}
