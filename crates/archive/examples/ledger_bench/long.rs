//! What grows with the number of entries, or must not: memory, the time to open,
//! proofs, restores.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_archive::{drill::drill, restore::Folds};
use airside_base::{Clock, OnFailure, Supervisor, TenantId};
use airside_ledger::{note::Signer, proof, stores::sqlite::Sqlite};
use airside_testkit::postgres::Server;
use serde_json::{Value, json};

use crate::{
    Plan,
    callers::{Drafts, Target},
    machine, recovery,
    report::Report,
    rig::{self, Backend, Mode, Rig},
};

/// Who appends, and how much at once.
const CALLERS: u64 = 8;
const BATCH: u64 = 64;
/// How many proofs are made.
const PROOFS: u64 = 200;

/// Fills ledgers of growing size, each by a process of its own, and restores one.
pub(crate) async fn measure(
    plan: &Plan,
    server: &Server,
    clock: &Arc<dyn Clock>,
    report: &mut Report,
) {
    let small = 1_000_000;
    let sizes: &[u64] = if plan.full {
        &[small, 10 * small]
    } else {
        &[small / 10, small]
    };
    for entries in sizes {
        let folder = tempfile::tempdir_in(&plan.folder).unwrap();
        let path = folder.path().to_str().unwrap();
        let filled = again(&["fill", path, &entries.to_string()]);
        report.figure(&format!("{entries} entries, filled with archive"), &filled);
        let opened = again(&["open", path]);
        report.figure(&format!("{entries} entries, opened"), &opened);
        let drilled = again(&["drill", path]);
        report.figure(&format!("{entries} entries, drilled"), &drilled);
        for (from, into) in [
            ("archive", "sqlite"),
            ("archive", "postgres"),
            ("sqlite", "sqlite"),
        ] {
            let restored = again(&["restore", path, from, into]);
            let name = format!("{entries} entries, restored from {from} into {into}");
            report.figure(&name, &restored);
        }
        if *entries == small {
            recovery::measure(folder.path(), plan, server, clock, report).await;
        }
    }
}

/// Runs this program again with `arguments` and returns what it tells.
fn again(arguments: &[&str]) -> Value {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// When an archive is tended to, and drilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Never: no merged segments, no snapshot.
    None,
    /// Once, when everything is appended; no drill.
    After,
    /// As a node does it, but without its pauses between drills.
    Meanwhile,
}

/// Appends `entries` to a new ledger with an archive in `folder`.
pub(crate) async fn fill(folder: &Path, entries: u64, care: Care, clock: &Arc<dyn Clock>) -> Value {
    let mut rig = Rig::open(Mode::Archived, Backend::Sqlite, folder, clock).await;
    if care == Care::Meanwhile {
        rig.tend();
    }
    let Target::Ledger(ledger) = &rig.target else {
        unreachable!("that mode has a ledger");
    };
    let (left, tasks) = (Arc::new(AtomicU64::new(entries)), Supervisor::new());
    let (before, start) = (machine::Busy::now(&[]), clock.monotonic());
    for caller in 0..CALLERS {
        let (ledger, left) = (ledger.clone(), left.clone());
        tasks.spawn("caller", OnFailure::Stop, async move {
            let mut drafts = Drafts::new(caller);
            let take = |left: u64| left.checked_sub(BATCH.min(left).max(1));
            while let Ok(before) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                let batch = (0..BATCH.min(before)).map(|_| drafts.next()).collect();
                ledger.append(batch).await.unwrap();
            }
        });
    }
    let (archive, _) = rig.archive.as_ref().expect("that mode has an archive");
    let mut drills = 0;
    while left.load(Ordering::Relaxed) > 0 && !tasks.has_failed() {
        clock.sleep(Duration::from_millis(10)).await;
        if care == Care::Meanwhile {
            let (live, scratch) = (ledger.store(), folder.join("drill"));
            let passed = drill(archive, live, &Folds::default(), &scratch, &**clock).await;
            drills += u64::from(passed.is_ok());
        }
    }
    assert!(!tasks.has_failed(), "a caller has failed");
    tasks.stop(Duration::from_secs(60)).await;
    rig.shipped().await;
    let span = clock.monotonic() - start;
    let others = machine::Busy::now(&[]).others(before, span);
    let node = airside_base::NodeId::generate(&**clock);
    let sealer = airside_ledger::seal::Sealer::new(ledger.clone(), Signer::generate().0, node);
    let begin = clock.monotonic();
    // The task that seals every few seconds may have the lease at this moment.
    let sealed = sealer.seal().await.is_ok();
    let seal_ms = (clock.monotonic() - begin).as_secs_f64() * 1e3;
    let (_, peak) = machine::resident_mib();
    let begin = clock.monotonic();
    let kept = match &mut rig.upkeep {
        Some(upkeep) if care == Care::After => upkeep.run().await.unwrap(),
        _ => None,
    };
    let snapshot_s = (clock.monotonic() - begin).as_secs_f64();
    rig.close().await;
    let (_, peak_upkeep) = machine::resident_mib();
    json!({
        "per_s": entries as f64 / span.as_secs_f64(), "seconds": span.as_secs_f64(),
        "peak_mib": peak, "peak_with_upkeep_mib": peak_upkeep, "last_seal_ms": sealed.then_some(seal_ms),
        "upkeep_seconds": kept.map(|_| snapshot_s), "snapshot": kept.map(|kept| kept.snapshot),
        "drills": (care == Care::Meanwhile).then_some(drills),
        "ledger_mib": machine::bytes(&folder.join("archived")) >> 20,
        "archive_mib": machine::bytes(&folder.join("archive")) >> 20,
        "load": machine::load(), "other_cores": others,
    })
}

/// Opens the ledger in `folder`, proves entries, and verifies all of it.
pub(crate) async fn open(folder: &Path, clock: &Arc<dyn Clock>) -> Value {
    let tasks = Supervisor::new();
    let begin = clock.monotonic();
    let store = Sqlite::open(&folder.join("archived"), &tasks).unwrap();
    let ledger = rig::open_ledger(Arc::new(store), clock, &tasks).await;
    let opened = clock.monotonic() - begin;
    let (resident, _) = machine::resident_mib();
    let tenant = TenantId::default();
    let head = ledger.head(&tenant).await.unwrap().seq;
    let mut took = Vec::new();
    let mut proof_error = None;
    for number in 0..PROOFS {
        // Spread over the chain; the newest may not be sealed.
        let seq = 1 + (head - head / 10) / PROOFS * number;
        let begin = clock.monotonic();
        match proof::prove(&ledger, &tenant, seq, None).await {
            Ok(_) => took.push((clock.monotonic() - begin).as_secs_f64() * 1e3),
            Err(error) => proof_error = Some(error.to_string()),
        }
    }
    took.sort_by(f64::total_cmp);
    let begin = clock.monotonic();
    ledger.verify(&|_| {}).await.unwrap();
    let verified = (clock.monotonic() - begin).as_secs_f64();
    tasks.stop(Duration::from_secs(60)).await;
    let (_, peak) = machine::resident_mib();
    json!({
        "open_ms": opened.as_secs_f64() * 1e3, "resident_mib": resident, "peak_mib": peak,
        "proofs": took.len(), "proof_p50_ms": took.get(took.len() / 2),
        "proof_max_ms": took.last(), "proof_error": proof_error,
        "verify_per_s": head as f64 / verified, "load": machine::load(),
    })
}
