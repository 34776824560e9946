//! How fast an archive comes back, and how fast a dump of PostgreSQL does.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use airside_archive::restore::{Folds, Request, Source, Until, restore};
use airside_base::{Clock, Supervisor};
use airside_testkit::postgres::Server;
use serde_json::json;

use crate::{
    Plan, machine,
    report::Report,
    rig::{self, Backend},
};

/// Folder of `pg_dump` and `pg_restore`.
const PROGRAMS: &str = "AIRSIDE_BENCH_POSTGRES_BIN";

/// Restores the archive in `folder` into stores of both kinds.
pub(crate) async fn measure(
    folder: &Path,
    plan: &Plan,
    server: &Server,
    clock: &Arc<dyn Clock>,
    report: &mut Report,
) {
    let archive = rig::open_archive(folder, clock).await.for_restore();
    let into = tempfile::tempdir_in(&plan.folder).unwrap();
    for backend in [Backend::Sqlite, Backend::Postgres(server)] {
        let tasks = Supervisor::new();
        let target = backend.open(into.path(), "restored", clock, &tasks).await;
        let request = Request {
            until: Until::Latest,
            tenant: None,
            now: clock.now(),
        };
        let ours = report.servers();
        let (before, begin) = (machine::Busy::now(&ours), clock.monotonic());
        let source = Source::Archive(&archive);
        let restored = restore(
            source,
            &request,
            &target,
            &Folds::default(),
            clock.clone(),
            &|_| {},
        )
        .await;
        let restored = restored.unwrap();
        let took = clock.monotonic() - begin;
        let others = machine::Busy::now(&ours).others(before, took);
        report.figure(
            &format!("restore into {}", backend.name()),
            &json!({
                "entries": restored.entries, "from_snapshot": restored.from_snapshot, "seconds": took.as_secs_f64(),
                "seconds_per_million": took.as_secs_f64() * 1e6 / restored.entries as f64,
                "load": machine::load(), "other_cores": others,
            }),
        );
        drop(target);
        tasks.stop(Duration::from_secs(60)).await;
    }
    let name = format!("restored_{}", std::process::id());
    peer(into.path(), &name, server, clock, report);
}

/// Dumps the database `name` and restores the dump, as its own tools do.
fn peer(folder: &Path, name: &str, server: &Server, clock: &Arc<dyn Clock>, report: &mut Report) {
    let Ok(programs) = std::env::var(PROGRAMS) else {
        report.remark(&format!(
            "pg_restore was not measured: {PROGRAMS} is not set"
        ));
        return;
    };
    let target = server.database("peer").unwrap().owner_url;
    let (base, _) = target.rsplit_once('/').unwrap();
    let (source, dump) = (format!("{base}/{name}"), folder.join("dump"));
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(Path::new(&programs).join(program));
        let begin = clock.monotonic();
        let output = command.args(arguments).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {complaint}");
        (clock.monotonic() - begin).as_secs_f64()
    };
    let file = dump.to_str().unwrap();
    let dumped = run("pg_dump", &["-Fc", "-Z1", "-f", file, "-d", &source]);
    let restored = run("pg_restore", &["-j2", "-d", &target, file]);
    report.figure(
        "peer: pg_dump -Fc and pg_restore -j2 of the same rows",
        &json!({
            "dump_seconds": dumped, "seconds": restored,
            "dump_mib": std::fs::metadata(&dump).unwrap().len() >> 20,
            "load": machine::load(),
        }),
    );
}
