//! Measures the ledger on SQLite and prints figures.
//!
//! `cargo run --release --example ledger_bench -- [FOLDER] [SECONDS]`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people, ended by the first failure"
)]

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use airside_base::{Clock, Supervisor, SystemClock, TenantId};
use airside_ledger::{AppendError, Draft, Kind, Ledger, Options, stores::sqlite::Sqlite};
use bytes::Bytes;

const KIND: Kind = Kind::new("bench.happened");

fn main() {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments.next().map_or(5, |text| text.parse().unwrap());
    let span = Duration::from_secs(seconds);
    let clock = SystemClock::new();
    let folder = tempfile::tempdir_in(parent).unwrap();
    println!(
        "load {}",
        std::fs::read_to_string("/proc/loadavg").unwrap().trim()
    );
    println!(
        "fdatasync of 8 KiB: {:.0}/s",
        syncs_per_second(folder.path(), &clock)
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    for callers in [1, 32, 256] {
        let folder = folder.path().join(callers.to_string());
        runtime.block_on(appends(&folder, callers, span, clock.clone()));
    }
    runtime.block_on(records(&folder.path().join("records"), clock));
    println!(
        "load {}",
        std::fs::read_to_string("/proc/loadavg").unwrap().trim()
    );
}

fn syncs_per_second(folder: &Path, clock: &SystemClock) -> f64 {
    let mut file = File::create(folder.join("sync")).unwrap();
    file.write_all(&vec![1; 8 << 20]).unwrap();
    file.sync_all().unwrap();
    let (start, mut count) = (clock.monotonic(), 0);
    while clock.monotonic() - start < Duration::from_secs(1) {
        std::os::unix::fs::FileExt::write_all_at(&file, &[2; 8192], (count % 1024) * 8192).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    count as f64 / (clock.monotonic() - start).as_secs_f64()
}

fn draft() -> Draft {
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(500));
    let subject = "0192f0c1-2222-7333-8444-555566667777";
    Draft::from_json(TenantId::default(), KIND, 1, subject, Bytes::from(body)).unwrap()
}

async fn open(folder: &Path, clock: &SystemClock) -> (Ledger, Supervisor) {
    let supervisor = Supervisor::new();
    let store = Arc::new(Sqlite::open(folder, &supervisor).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let ledger = Ledger::open(store, clock, &supervisor, Options::default()).await;
    (ledger.unwrap(), supervisor)
}

async fn appends(folder: &Path, callers: usize, span: Duration, clock: SystemClock) {
    let (ledger, supervisor) = open(folder, &clock).await;
    let start = clock.monotonic();
    let (sender, mut results) = tokio::sync::mpsc::channel(callers);
    for _ in 0..callers {
        let (ledger, clock, sender) = (ledger.clone(), clock.clone(), sender.clone());
        supervisor.spawn("caller", airside_base::OnFailure::Stop, async move {
            let draft = draft();
            let mut latencies = Vec::new();
            while clock.monotonic() - start < span {
                let sent = clock.monotonic();
                ledger.append(vec![draft.clone()]).await.unwrap();
                latencies.push(clock.monotonic() - sent);
            }
            sender.send(latencies).await.unwrap();
        });
    }
    drop(sender);
    let mut latencies = Vec::new();
    while let Some(more) = results.recv().await {
        latencies.extend(more);
    }
    let elapsed = (clock.monotonic() - start).as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "append, {callers} callers: {:.0} durable entries/s, p50 {:?}, p99 {:?}, max {:?}",
        latencies.len() as f64 / elapsed,
        at(0.5),
        at(0.99),
        at(1.0)
    );
    let start = clock.monotonic();
    let verified = ledger.verify(&|_| {}).await.unwrap();
    let took = (clock.monotonic() - start).as_secs_f64();
    println!("verify: {:.0} entries/s", verified.entries as f64 / took);
    supervisor.stop(Duration::from_secs(60)).await;
}

/// The caller's cost of `record`, in bursts that leave room for the writer.
async fn records(folder: &Path, clock: SystemClock) {
    let (ledger, supervisor) = open(folder, &clock).await;
    let draft = draft();
    let (mut spent, mut count, mut full) = (Duration::ZERO, 0_u32, 0);
    for _ in 0..100 {
        let drafts = vec![draft.clone(); 1000];
        let start = clock.monotonic();
        for draft in drafts {
            match ledger.record(draft) {
                Ok(()) => count += 1,
                Err(AppendError::QueueFull) => full += 1,
                Err(error) => panic!("{error}"),
            }
        }
        spent += clock.monotonic() - start;
        ledger.flush().await.unwrap();
    }
    println!(
        "record: {:?} of the caller's time each ({count} accepted, {full} refused)",
        spent / (count + full)
    );
    supervisor.stop(Duration::from_secs(60)).await;
}
