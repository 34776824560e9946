//! Measures the ledger and its archive on this machine; `scripts/bench ledger` runs it.
//!
//! `ledger_bench FOLDER RESULTS [--full | --appends]`, with the URL of a PostgreSQL server that
//! syncs in `AIRSIDE_TEST_POSTGRES`, and its programs in `AIRSIDE_BENCH_POSTGRES_BIN`
//! if `pg_dump` is to be compared with.
//!
//! # How it measures
//!
//! * What is compared takes turns, in an order that turns round: the store alone
//!   ([`raw`]), the ledger, the ledger with its archive. A figure is the median of its
//!   turns.
//! * A turn with an archive ends when the archive has everything: what was left over
//!   counts, less the quarter of a second that the archiver rests between two looks.
//! * Beside every turn stand the machine's load, the cores that others used, and how
//!   often a second this disk syncs 8 KiB just before it.
//! * Memory is that of a process that does nothing else: this program, started again.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people, ended by the first failure"
)]

mod alone;
mod callers;
mod long;
mod machine;
mod raw;
mod recovery;
mod report;
mod rig;
mod turns;

use std::{path::PathBuf, sync::Arc, time::Duration};

use airside_base::{Clock, SystemClock};
use airside_testkit::postgres::Server;
use tokio::runtime::Handle;

use self::{long::Care, report::Report};

/// What is measured, and how long.
pub(crate) struct Plan {
    folder: PathBuf,
    full: bool,
    appends_only: bool,
    /// Of the callers.
    threads: Handle,
    turn: Duration,
    rounds: usize,
}

const USAGE: &str = "usage: FOLDER RESULTS [--full | --appends]";

/// As in the `airside` program, so that memory is comparable.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // As there, too.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let runtime = |name| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder.worker_threads(2).thread_name(name).enable_all();
        builder.build().unwrap()
    };
    let (runtime, callers) = (runtime("background"), runtime("callers"));
    match texts[..] {
        ["fill", folder, entries, ref rest @ ..] => {
            let care = match rest {
                [] => Care::After,
                ["bare"] => Care::None,
                ["tended"] => Care::Meanwhile,
                _ => panic!("{USAGE}"),
            };
            let entries = entries.parse().unwrap();
            let filled = long::fill(folder.as_ref(), entries, care, &clock);
            println!("{}", runtime.block_on(filled));
        }
        ["restore", folder, from, into] => {
            let told = runtime.block_on(alone::restored(folder.as_ref(), from, into, &clock));
            println!("{told}");
        }
        ["drill", folder] => {
            let told = runtime.block_on(alone::drilled(folder.as_ref(), &clock));
            println!("{told}");
        }
        ["open", folder] => {
            let told = runtime.block_on(long::open(folder.as_ref(), &clock));
            println!("{told}");
        }
        [folder, results, ref rest @ ..] => {
            let (full, appends_only) = (rest == ["--full"], rest == ["--appends"]);
            assert!(full || appends_only || rest.is_empty(), "{USAGE}");
            let plan = Plan {
                folder: folder.into(),
                full,
                appends_only,
                threads: callers.handle().clone(),
                turn: Duration::from_secs(if full { 3 } else { 1 }),
                rounds: if full { 9 } else { 5 },
            };
            let server = Server::start().unwrap();
            let report = runtime.block_on(measure(&plan, &server, &clock));
            println!("\n{}", report.table());
            println!("written to {}", report.write(results.as_ref()).display());
        }
        _ => panic!("{USAGE}"),
    }
}

async fn measure(plan: &Plan, server: &Server, clock: &Arc<dyn Clock>) -> Report {
    let mut report = Report::new(plan, clock);
    for backend in [rig::Backend::Sqlite, rig::Backend::Postgres(server)] {
        turns::measure(plan, backend, clock, &mut report).await;
    }
    if !plan.appends_only {
        long::measure(plan, server, clock, &mut report).await;
    }
    report.end();
    report
}
