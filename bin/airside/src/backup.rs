//! `airside backup …`.

use airside_archive::{
    Error,
    drill::{self, DrillError},
};
use airside_base::{Clock as _, Supervisor, SystemClock, TenantId};
use airside_ledger::{Entry, Head, Progress, Query, Store, StoreError};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::{
    archive, cli,
    failure::{Exit, Failure},
    ledger::source::{self, unreadable},
    output::Out,
    target::block_on,
};

/// Runs `airside backup …`.
pub(crate) fn run(args: &cli::Backup, out: &mut Out) -> Result<(), Failure> {
    block_on(async {
        match args {
            cli::Backup::Status(args) => status(args, out).await,
            cli::Backup::Verify(args) => verify(args, out).await,
            cli::Backup::Drill(args) => drill(args, out).await,
        }
    })
}

/// One chain in the ledger and in the archive.
struct Chain {
    tenant: TenantId,
    ledger: Head,
    archived: u64,
    /// When the oldest entry was written that is not in the archive.
    waiting_since: Option<airside_base::Timestamp>,
    /// Whether the ledger has other entries than the archive.
    differs: Option<Error>,
}

async fn status(args: &cli::BackupStatus, out: &mut Out) -> Result<(), Failure> {
    let supervisor = Supervisor::new();
    let ledger = &args.ledger;
    let which = &args.archive;
    let archive = archive::open(&which.archive, &which.at, &ledger.data_dir);
    let tail = archive.await?.tail().await;
    let tail = tail.map_err(|error| archive::failed(&error))?;
    let url_file = ledger.url_file.as_deref();
    let store = source::inspect_or_none((&ledger.data_dir, url_file), &supervisor).await?;
    let unread = |error: StoreError| {
        let fault = airside_ledger::ReadError::from(error).fault();
        unreadable(Exit::Failed, &fault)
    };
    let mut chains = Vec::new();
    for (tenant, tip) in store.chains().await.map_err(unread)? {
        let archived = tail.chains.get(&tenant).map(|tip| tip.head);
        let one = chain(&*store, tenant, tip.head, archived).await;
        chains.push(one.map_err(unread)?);
    }
    let gone = tail.chains.iter().find(|(tenant, _)| {
        let mut present = chains.iter().map(|chain| &chain.tenant);
        present.all(|there| there != *tenant)
    });
    let gone = gone.map(|(tenant, tip)| Error::Ahead {
        tenant: tenant.clone(),
        archived: tip.head.seq,
        local: 0,
    });
    let differs = chains.iter().find_map(|chain| chain.differs.clone());
    let differs = differs.or(gone);
    let waiting: u64 = chains
        .iter()
        .map(|chain| chain.ledger.seq.saturating_sub(chain.archived))
        .sum();
    let now = SystemClock::new().now();
    let oldest = chains.iter().filter_map(|chain| chain.waiting_since).min();
    let lag = oldest.map_or(0.0, |since| {
        now.duration_since(since).as_secs_f64().max(0.0)
    });
    let silence = now.duration_since(tail.time).as_secs_f64().max(0.0);
    if out.is_json() {
        out.json_pretty(&json!({
            "ok": differs.is_none(),
            "manifest": tail.number,
            "written": tail.time,
            "entries": tail.entries(),
            "lag_entries": waiting,
            "lag_seconds": lag,
            "silence_seconds": silence,
        }))?;
    } else {
        let (number, time) = (tail.number, tail.time);
        out.line(&format!("last manifest  {number} of {time:.3}"))?;
        out.line(&format!("silence        {silence:.1} s"))?;
        out.line(&format!("entries        {}", tail.entries()))?;
        out.line(&format!("lag            {waiting} entries, {lag:.1} s"))?;
    }
    differs.map_or(Ok(()), |error| Err(archive::failed(&error)))
}

async fn chain(
    store: &dyn Store,
    tenant: TenantId,
    ledger: Head,
    archived: Option<Head>,
) -> Result<Chain, StoreError> {
    let archived = archived.unwrap_or_default();
    let query = Query::new(tenant.clone()).after(archived.seq).limit(1);
    let waiting = store.read(query).await?;
    let mut differs = None;
    if archived.seq > ledger.seq {
        differs = Some(Error::Ahead {
            tenant: tenant.clone(),
            archived: archived.seq,
            local: ledger.seq,
        });
    } else if archived.seq > 0 {
        let query = Query::new(tenant.clone()).after(archived.seq - 1).limit(1);
        let found = store.read(query).await?;
        if found.first().map(Entry::head) != Some(archived) {
            let (tenant, seq) = (tenant.clone(), archived.seq);
            differs = Some(Error::Forked { tenant, seq });
        }
    }
    Ok(Chain {
        tenant,
        ledger,
        archived: archived.seq,
        waiting_since: waiting.first().map(|entry| entry.time),
        differs,
    })
}

async fn verify(args: &cli::BackupVerify, out: &mut Out) -> Result<(), Failure> {
    let which = &args.archive;
    let archive = archive::open(&which.archive, &which.at, &args.data_dir);
    let archive = archive.await?;
    let bar = bar("verifying {bar:40} {pos}/{len} manifests, {eta} left");
    let verified = archive.verify(&|step: Progress| draw(&bar, step)).await;
    bar.finish_and_clear();
    let contents = verified.map_err(|error| archive::failed(&error))?;
    if out.is_json() {
        return out.json_pretty(&json!({ "ok": true, "contents": contents }));
    }
    out.line(&format!(
        "verified: {} manifests, {} entries, {} snapshots, all in place up to {:.3}",
        contents.manifests, contents.entries, contents.snapshots, contents.time
    ))
}

async fn drill(args: &cli::BackupStatus, out: &mut Out) -> Result<(), Failure> {
    let supervisor = Supervisor::new();
    let (which, ledger) = (&args.archive, &args.ledger);
    let archive = archive::open(&which.archive, &which.at, &ledger.data_dir).await?;
    let url_file = ledger.url_file.as_deref();
    let live = source::inspect(&ledger.data_dir, url_file, &supervisor).await?;
    // A node has a folder of its own: both may drill at the same time.
    let folder = ledger
        .data_dir
        .join(format!("drill-{}", std::process::id()));
    let clock = SystemClock::new();
    let passed = drill::drill(&archive, &*live, &archive::folds(), &folder, &clock).await;
    let passed = passed.map_err(|error| match &error {
        DrillError::Restore(error) => crate::restore::failed(error),
        DrillError::Chain { .. } | DrillError::Document(_) | DrillError::Snapshot { .. } => {
            unreadable(Exit::Broken, &error.fault())
        }
        DrillError::Read(_) | DrillError::Scratch(_) => unreadable(Exit::Failed, &error.fault()),
    })?;
    if out.is_json() {
        return out.json_pretty(&json!({ "ok": true, "passed": passed }));
    }
    out.line(&format!(
        "passed: {} entries and {} documents came back in {} ms and equal the ledger",
        passed.entries, passed.digest.documents, passed.duration_ms
    ))?;
    out.line(&format!("state digest: {}", passed.digest.state))
}

/// A bar on standard error, drawn only if that is a terminal.
pub(crate) fn bar(template: &str) -> ProgressBar {
    ProgressBar::new(0)
        .with_style(ProgressStyle::with_template(template).expect("the template is well-formed"))
}

pub(crate) fn draw(bar: &ProgressBar, step: Progress) {
    bar.set_length(step.total);
    bar.set_position(step.done);
}
