//! Measures how far an archive is behind a busy ledger, and how fast it comes back.
//!
//! `cargo run --release --example archive_bench -- [FOLDER] [SECONDS] [CALLERS]`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people, ended by the first failure"
)]

use std::{path::PathBuf, sync::Arc, time::Duration};

use airside_archive::{
    Archive, Archiver, Objects, Watch,
    restore::{Folds, Request, Source, Until, restore},
};
use airside_base::{Clock, NodeId, OnFailure, Supervisor, SystemClock, TenantId};
use airside_ledger::{
    Draft, Kind, Ledger, Options, stores::sqlite::Sqlite, vault::file::FileVault,
};
use bytes::Bytes;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let mut number = |default| {
        arguments
            .next()
            .map_or(default, |text| text.parse().unwrap())
    };
    let (seconds, callers) = (number(5), number(256));
    let folder = tempfile::tempdir_in(parent).unwrap();
    load();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(folder.path(), Duration::from_secs(seconds), callers));
    load();
}

fn load() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("load {}", load.trim());
}

fn draft() -> Draft {
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(500));
    let kind = Kind::new("bench.happened");
    let tenant = TenantId::default();
    Draft::from_json(tenant, kind, 1, "subject", Bytes::from(body)).unwrap()
}

async fn run(folder: &std::path::Path, span: Duration, callers: u64) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (scribe, keeper) = (Supervisor::new(), Supervisor::new());
    let store = Arc::new(Sqlite::open(&folder.join("live"), &scribe).unwrap());
    let ledger = Ledger::open(store, clock.clone(), &scribe, Options::default());
    let ledger = ledger.await.unwrap();
    let url = url::Url::from_file_path(folder.join("archive")).unwrap();
    let vault = FileVault::load_or_create(&folder.join("key")).unwrap();
    let objects = Objects::open(&url).unwrap();
    let archive = Archive::open_or_create(objects, Arc::new(vault), &*clock);
    let archive = archive.await.unwrap();
    let node = NodeId::generate(&*clock);
    let options = airside_archive::Options::default();
    let archiver = Archiver::new(
        ledger.clone(),
        archive.clone(),
        clock.clone(),
        node,
        options,
    );
    let archiver = archiver.await.unwrap();
    let watch = archiver.watch();
    archiver.start(&keeper);

    let begin = clock.monotonic();
    for _ in 0..callers {
        let (ledger, clock) = (ledger.clone(), clock.clone());
        scribe.spawn("caller", OnFailure::Stop, async move {
            while clock.monotonic() - begin < span {
                ledger.append(vec![draft()]).await.unwrap();
            }
        });
    }
    behind(&ledger, watch, &clock, span).await;
    ledger.flush().await.unwrap();
    let left = clock.monotonic();
    assert_eq!(keeper.stop(Duration::from_secs(600)).await, 0);
    println!("shipping the rest took {:?}", clock.monotonic() - left);
    scribe.stop(Duration::from_secs(60)).await;
    back(&archive, folder, &clock).await;
}

/// Asks again and again how long the newest entry takes to the archive.
async fn behind(ledger: &Ledger, watch: Watch, clock: &Arc<dyn Clock>, span: Duration) {
    let begin = clock.monotonic();
    let tenant = TenantId::default();
    let mut lags = Vec::new();
    while clock.monotonic() - begin < span {
        let head = ledger.head(&tenant).await.unwrap();
        let seen = clock.monotonic();
        watch.reached().wait(&tenant, head.seq).await;
        lags.push(clock.monotonic() - seen);
    }
    lags.sort_unstable();
    let at = |share: f64| lags[((lags.len() - 1) as f64 * share) as usize];
    let head = ledger.head(&tenant).await.unwrap();
    println!(
        "{:.0} entries/s appended; archive behind by p50 {:?}, p99 {:?}, max {:?} ({} probes)",
        head.seq as f64 / (clock.monotonic() - begin).as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
        lags.len()
    );
}

async fn back(archive: &Archive, folder: &std::path::Path, clock: &Arc<dyn Clock>) {
    let begin = clock.monotonic();
    let contents = archive.verify(&|_| {}).await.unwrap();
    let took = (clock.monotonic() - begin).as_secs_f64();
    println!(
        "verify: {} entries in {} manifests, {:.0} entries/s",
        contents.entries,
        contents.manifests,
        contents.entries as f64 / took
    );
    let tasks = Supervisor::new();
    let target = Sqlite::open(&folder.join("restored"), &tasks).unwrap();
    let request = Request {
        until: Until::Latest,
        tenant: None,
        now: clock.now(),
    };
    let begin = clock.monotonic();
    let source = Source::Archive(archive);
    let restored = restore(source, &request, &target, &Folds::default(), &|_| {}).await;
    let restored = restored.unwrap();
    let took = (clock.monotonic() - begin).as_secs_f64();
    println!(
        "restore into SQLite: {} entries in {took:.2} s, {:.1} s per million",
        restored.entries,
        took * 1e6 / restored.entries as f64
    );
    drop(target);
    tasks.stop(Duration::from_secs(60)).await;
}
