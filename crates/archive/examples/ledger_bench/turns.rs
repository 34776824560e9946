//! Appends: the store alone, the ledger, the ledger with its archive, in turns.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use airside_archive::Options;
use airside_base::{Clock, OnFailure, Supervisor, TenantId};
use airside_ledger::{Ledger, Reached};
use futures_util::FutureExt as _;
use serde_json::json;

use crate::{
    Plan,
    callers::{self, Target, Turn},
    machine,
    report::Report,
    rig::{Backend, Mode, Rig},
};

const MODES: [Mode; 3] = [Mode::Raw, Mode::Chain, Mode::Archived];
/// Callers; the goals are for the last.
const CALLERS: [usize; 3] = [1, 64, 256];
/// How often the archive is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Measures one backend.
pub(crate) async fn measure(
    plan: &Plan,
    backend: Backend<'_>,
    clock: &Arc<dyn Clock>,
    report: &mut Report,
) {
    let folder = tempfile::tempdir_in(&plan.folder).unwrap();
    let mut rigs = Vec::new();
    for mode in MODES {
        let mut rig = Rig::open(mode, backend, folder.path(), clock).await;
        rig.tend();
        rigs.push(rig);
    }
    // Not told: files grow and caches fill.
    for rig in &rigs {
        turn(plan, rig, CALLERS[1], clock, report).await;
        rig.shipped().await;
    }
    for callers in CALLERS {
        // One caller alone measures the disk more than the ledger.
        let rounds = if callers == 1 { 2 } else { plan.rounds };
        for round in 0..rounds {
            for at in 0..rigs.len() {
                let at = if round % 2 == 0 {
                    at
                } else {
                    rigs.len() - 1 - at
                };
                let told = turn(plan, &rigs[at], callers, clock, report).await;
                report.turn(backend.name(), rigs[at].mode, callers, told);
            }
        }
    }
    report.cost(backend.name());
    for rig in &rigs {
        if rig.mode == Mode::Archived {
            loss(plan, backend, rig, clock, report).await;
        }
    }
    for rig in rigs {
        rig.close().await;
    }
    if let Backend::Postgres(server) = backend {
        // Gigabytes that the rest of a long run has use for.
        for name in ["raw", "chain", "archived"] {
            let database = format!("{name}_{}", std::process::id());
            let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
            server.run(&drop).unwrap();
        }
    }
}

/// What one turn came to, and the machine meanwhile.
pub(crate) struct Told {
    pub(crate) turn: Turn,
    /// With what the archive still needed behind it.
    pub(crate) whole: Duration,
    pub(crate) load: f64,
    pub(crate) syncs: f64,
    pub(crate) others: f64,
    /// Rows a second that the disk syncs in groups as large as there are callers.
    pub(crate) limit: f64,
}

async fn turn(
    plan: &Plan,
    rig: &Rig,
    callers: usize,
    clock: &Arc<dyn Clock>,
    report: &Report,
) -> Told {
    let row = callers::ROW_BYTES;
    let (syncs, limit) = machine::syncs(&plan.folder, &**clock, callers, row);
    let ours = report.servers();
    let (before, start) = (machine::Busy::now(&ours), clock.monotonic());
    let turn = callers::drive(&rig.target, callers, plan.turn, clock, &plan.threads).await;
    rig.shipped().await;
    // The archiver's rest between two looks is no work.
    let rest = rig
        .archive
        .as_ref()
        .map_or(Duration::ZERO, |_| Options::default().flush);
    let span = clock.monotonic() - start;
    let whole = turn.span.max(span.saturating_sub(rest));
    let others = machine::Busy::now(&ours).others(before, span);
    Told {
        turn,
        whole,
        load: machine::load(),
        syncs,
        others,
        limit,
    }
}

/// What would be lost with the site at any moment: how old the oldest durable entry
/// is that the archive does not have. Under full load and at a steady pace.
async fn loss(
    plan: &Plan,
    backend: Backend<'_>,
    rig: &Rig,
    clock: &Arc<dyn Clock>,
    report: &mut Report,
) {
    let (Some((_, watch)), Target::Ledger(ledger)) = (&rig.archive, &rig.target) else {
        return;
    };
    for callers in [4, 256] {
        rig.shipped().await;
        let ours = report.servers();
        let (before, start) = (machine::Busy::now(&ours), clock.monotonic());
        let tasks = Supervisor::new();
        let (sender, mut ages) = tokio::sync::mpsc::channel(1);
        let look = sample(
            ledger.clone(),
            watch.reached(),
            clock.clone(),
            tasks.clone(),
        );
        tasks.spawn("sample", OnFailure::Log, async move {
            sender.send(look.await).await.unwrap();
        });
        let span = plan.turn * 4;
        let turn = callers::drive(&rig.target, callers, span, clock, &plan.threads).await;
        tasks.request_stop();
        let mut ages = ages.recv().await.unwrap();
        let others = machine::Busy::now(&ours).others(before, clock.monotonic() - start);
        ages.sort_unstable();
        let at = |share: f64| ages[((ages.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        report.figure(
            &format!("site loss, {}, {callers} callers", backend.name()),
            &json!({
                "per_s": turn.took.len() as f64 / turn.span.as_secs_f64(),
                "rpo_p50_ms": at(0.5), "rpo_p99_ms": at(0.99), "rpo_max_ms": at(1.0),
                "samples": ages.len(), "load": machine::load(), "other_cores": others,
            }),
        );
    }
}

/// Looks at the archive until `tasks` stop; returns the age of what was missing at
/// each look, to within one interval.
async fn sample(
    ledger: Ledger,
    mut watch: Reached,
    clock: Arc<dyn Clock>,
    tasks: Supervisor,
) -> Vec<Duration> {
    let tenant = TenantId::default();
    let (mut missing, mut ages) = (VecDeque::new(), Vec::new());
    let mut last = 0;
    while !tasks.is_stopping() {
        let head = ledger.head(&tenant).await.unwrap().seq;
        let now = clock.monotonic();
        if head > last {
            missing.push_back((head, now));
            last = head;
        }
        while let Some((seq, _)) = missing.front()
            && watch.wait(&tenant, *seq).now_or_never().is_some()
        {
            missing.pop_front();
        }
        ages.push(
            missing
                .front()
                .map_or(Duration::ZERO, |(_, seen)| now - *seen),
        );
        clock.sleep(LOOK).await;
    }
    ages
}
