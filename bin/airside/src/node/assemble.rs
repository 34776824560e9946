//! What a node serves is made of a configuration and of what was decided besides.

use std::{collections::BTreeMap, sync::Arc};

use airside_base::{Clock, Fault, Kind, Supervisor};
use airside_config::Config;
use airside_firewall::Firewall;
use airside_gateway::{BuildError, Parts, Rules, Shared, Snapshot};
use airside_ledger::Ledger;
use airside_limits::{self as limits, Counters, Ground, Plan};
use airside_mcp::Local;

use crate::{
    failure::{Exit, Failure},
    node::{
        guard::Overlay,
        running::{Current, TRAVEL},
    },
    target,
};

/// Builds what serves `current`, held to what was decided against vulnerabilities.
pub(super) fn build(
    current: &Current,
    previous: Option<&Snapshot>,
    (shared, counters): (&Arc<Shared>, &Arc<Counters>),
    clock: &Arc<dyn Clock>,
    overlay: &Overlay,
) -> Result<Snapshot, Fault> {
    let config = &current.loaded.config;
    let rules = limits::compile(&config.limits, &config.limit);
    let rules = rules.map_err(|error| error.fault())?;
    let region = config.conversation.region.as_ref().map(ToString::to_string);
    let parts = Parts {
        listen: &config.listen,
        upstreams: &overlay.upstreams,
        endpoints: &config.endpoint,
        contracts: config.contracts,
        recording: config.recording,
        policies: &current.loaded.policies,
        rules: &Arc::new(Rules::new(&overlay.tools, region.as_deref())),
        barriers: &overlay.barriers,
        previous,
    };
    let builtins = BTreeMap::from([
        (TRAVEL.to_owned(), current.travel.clone() as Arc<dyn Local>),
        ("flights".to_owned(), current.flights.clone()),
        ("airline".to_owned(), current.airline.clone()),
    ]);
    let identity = current.identity.clone();
    let snapshot = Snapshot::build(parts, identity, &builtins, shared, clock);
    let snapshot = snapshot.map_err(|error| unusable(&error))?;
    let threads = config.listen.thread_count();
    let firewall = Firewall::new(&config.firewall, shared.fingerprints(), threads);
    let firewall = firewall.map_err(|error| error.fault())?;
    let snapshot = snapshot.with_firewall(firewall);
    Ok(snapshot.with_limits(Plan::new(rules, counters.clone())))
}

/// Opens what counts calls.
pub(super) async fn open_limits(
    config: &Config,
    ledger: &Ledger,
    clock: &Arc<dyn Clock>,
    tasks: &Supervisor,
) -> Result<Arc<Counters>, Failure> {
    let store = config.limits.store.as_ref().map(|store| {
        let url = target::read_url(&store.url_file)?;
        Ok::<_, Failure>(store.options(url))
    });
    let ground = Ground {
        ledger: ledger.clone(),
        clock: clock.clone(),
        supervisor: tasks.clone(),
    };
    let opened = Counters::open(&config.limits, store.transpose()?.as_ref(), ground).await;
    opened.map_err(|error| Failure::new(Exit::Failed, error.fault()))
}

fn unusable(error: &BuildError) -> Fault {
    if let BuildError::Config(airside_gateway::config::Error::Auth(error)) = error {
        return error.fault();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    Fault::new(Kind::Invalid, "CFG-023", text)
        .with_hint("correct the upstream that is named, then try again")
}
