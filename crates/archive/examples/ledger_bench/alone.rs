//! What a restore or a drill takes that a process of its own does.

use std::{path::Path, sync::Arc};

use airside_archive::{
    drill::drill,
    restore::{Folds, Request, Restored, Source, Until, restore},
};
use airside_base::{Clock, Supervisor};
use airside_ledger::{Store, stores::sqlite::Sqlite};
use airside_testkit::{load::Process, postgres::Server};
use serde_json::{Value, json};

use crate::{
    machine,
    rig::{self, Backend},
};

/// Restores what [`fill`](crate::long::fill) has left in `folder`: its archive (`archive`),
/// its ledger (`sqlite`), or that ledger in PostgreSQL (`postgres`), where it is brought
/// first.
pub(crate) async fn restored(
    folder: &Path,
    from: &str,
    into: &str,
    clock: &Arc<dyn Clock>,
) -> Value {
    let server = Server::start().unwrap();
    let backend = |name: &str| match name {
        "sqlite" => Backend::Sqlite,
        "postgres" => Backend::Postgres(&server),
        other => panic!("no store is called {other}"),
    };
    let (tasks, scratch) = (Supervisor::new(), tempfile::tempdir_in(folder).unwrap());
    let archive = rig::open_archive(folder, clock).await.for_restore();
    let source: Option<Arc<dyn Store>> = match from {
        "archive" => None,
        "sqlite" => Some(Arc::new(Sqlite::inspect(&folder.join("archived")).unwrap())),
        "postgres" => {
            let store = backend(from).open(scratch.path(), "source", clock, &tasks);
            let store = store.await;
            replayed(Source::Archive(&archive), &store, clock).await;
            Some(store)
        }
        other => panic!("nothing is read from {other}"),
    };
    let source = match &source {
        None => Source::Archive(&archive),
        Some(store) => Source::Store(&**store),
    };
    let target = backend(into)
        .open(scratch.path(), "restored", clock, &tasks)
        .await;
    let own = Process::own();
    let (begin, spent) = (clock.monotonic(), own.processor_time().unwrap());
    let restored = replayed(source, &target, clock).await;
    let (took, spent) = (
        clock.monotonic() - begin,
        own.processor_time().unwrap() - spent,
    );
    drop(target);
    tasks.stop(std::time::Duration::from_secs(60)).await;
    let million = restored.entries as f64 / 1e6;
    json!({
        "entries": restored.entries, "from_snapshot": restored.from_snapshot,
        "seconds_per_million": took.as_secs_f64() / million,
        "cpu_seconds_per_million": spent.as_secs_f64() / million,
        "peak_mib": machine::resident_mib().1, "load": machine::load(),
    })
}

async fn replayed(source: Source<'_>, target: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Restored {
    let request = Request {
        until: Until::Latest,
        tenant: None,
        now: clock.now(),
    };
    let folds = Folds::default();
    let restored = restore(source, &request, target, &folds, clock.clone(), &|_| {}).await;
    restored.unwrap()
}

/// Drills the archive in `folder`.
pub(crate) async fn drilled(folder: &Path, clock: &Arc<dyn Clock>) -> Value {
    let archive = rig::open_archive(folder, clock).await;
    let live = Sqlite::inspect(&folder.join("archived")).unwrap();
    let own = Process::own();
    let spent = own.processor_time().unwrap();
    let scratch = folder.join("drill");
    let passed = drill(&archive, &live, &Folds::default(), &scratch, &**clock)
        .await
        .unwrap();
    let spent = own.processor_time().unwrap() - spent;
    let million = passed.entries as f64 / 1e6;
    json!({
        "entries": passed.entries, "from_snapshot": passed.from_snapshot,
        "seconds_per_million": passed.duration_ms as f64 / 1e3 / million,
        "cpu_seconds_per_million": spent.as_secs_f64() / million,
        "peak_mib": machine::resident_mib().1, "load": machine::load(),
    })
}
