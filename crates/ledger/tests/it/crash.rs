//! Processes that are killed, and processes that meet.
//!
//! Each test starts its own binary again, told by the environment to be the
//! child: libtest runs the same test there.
#![expect(
    clippy::print_stdout,
    reason = "a child tells its parent by its output"
)]

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use airside_base::{OnFailure, Supervisor, SystemClock};
use airside_ledger::{
    Ledger, Options, Query, Table,
    stores::sqlite::{OpenError, Sqlite},
};

use crate::{
    harness::{Rig, draft, tenant},
    state::{Holds, changed, check_replay},
};

const FOLDER: &str = "AIRSIDE_LEDGER_TEST_FOLDER";

fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test binary"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped());
    command
}

/// Appends on several tasks, prints what was acknowledged, never ends by itself.
async fn write_until_killed(folder: &Path) {
    let supervisor = Supervisor::new();
    let store = Arc::new(Sqlite::open(folder, &supervisor).expect("open"));
    let clock = Arc::new(SystemClock::new());
    let ledger = Ledger::open(store, clock, &supervisor, Options::default());
    let ledger = ledger.await.expect("open");
    for number in 0..8_u64 {
        let ledger = ledger.clone();
        let owner = ["a", "b", "c"][number as usize % 3];
        supervisor.spawn("append", OnFailure::Stop, async move {
            loop {
                let drafts = vec![draft(owner, number); 1 + number as usize % 3];
                let receipt = ledger.append(drafts).await.expect("append");
                for head in receipt.entries {
                    println!("ack {owner} {} {}", head.seq, head.hash);
                }
                // Nobody is told of this one; it must not damage the others.
                ledger.record(draft(owner, 100)).expect("record");
            }
        });
    }
    let table = Table::<Holds>::new(ledger);
    loop {
        let prior = table.find(&tenant("a"), "h1").await.expect("find");
        let drafts = vec![changed("h1", "Sea", 1)];
        let receipt = table.append(prior, drafts).await.expect("append");
        println!("hold {}", receipt.entries[0].seq);
    }
}

/// What a child told before it died.
#[derive(Default)]
struct Told {
    entries: HashMap<(String, u64), String>,
    hold: u64,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ack", owner, seq, hash] => {
                let place = (owner.to_owned(), seq.parse().expect("a number"));
                self.entries.insert(place, hash.to_owned());
            }
            ["hold", version] => self.hold = version.parse().expect("a number"),
            _ => {}
        }
    }
}

fn kill_after(lines: usize, folder: &Path, told: &mut Told) {
    let test = "crash::killed_writer_loses_nothing_it_acknowledged";
    let mut child = child(test, folder).spawn().expect("start the child");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut heard = 0;
    let mut line = String::new();
    while output.read_line(&mut line).expect("read") > 0 {
        // The last line may be cut: what was not printed whole was not told.
        if line.ends_with('\n') {
            told.hear(line.trim_end());
        }
        line.clear();
        heard += 1;
        if heard == lines {
            child.kill().expect("SIGKILL");
        }
    }
    let status = child.wait().expect("wait");
    assert!(
        !status.success() && heard >= lines,
        "killed, not failed: {status}"
    );
}

async fn check(folder: &Path, told: &Told) {
    let supervisor = Supervisor::new();
    let store = Arc::new(Sqlite::open(folder, &supervisor).expect("open"));
    let rig = Rig::on(store).await;
    rig.ledger.verify(&|_| {}).await.expect("verify");
    let mut missing = told.entries.clone();
    for owner in ["a", "b", "c"] {
        let mut after = 0;
        loop {
            let query = Query::new(tenant(owner)).after(after);
            let entries = rig.ledger.read(query).await.expect("read");
            let Some(last) = entries.last() else { break };
            after = last.seq;
            for entry in entries {
                if let Some(hash) = missing.remove(&(owner.to_owned(), entry.seq)) {
                    assert_eq!(entry.hash.to_string(), hash);
                }
            }
        }
    }
    assert!(
        missing.is_empty(),
        "{} acknowledged entries are lost",
        missing.len()
    );
    let table = Table::<Holds>::new(rig.ledger.clone());
    let hold = table.find(&tenant("a"), "h1").await.expect("find");
    assert!(hold.map_or(0, |hold| hold.version) >= told.hold);
    check_replay(&rig.ledger, &table).await;
    rig.stop().await;
    let left = supervisor.stop(std::time::Duration::from_secs(20)).await;
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_writer_loses_nothing_it_acknowledged() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_until_killed(folder.as_ref()).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut told = Told::default();
    let mut random: usize = 7;
    for _ in 0..6 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        kill_after(1 + (random >> 40) % 700, folder.path(), &mut told);
        check(folder.path(), &told).await;
    }
}

#[test]
fn second_process_on_a_folder_is_refused() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let refused = Sqlite::open(folder.as_ref(), &Supervisor::new());
        println!("refused {}", refused.expect_err("it is taken").fault());
        Sqlite::inspect(folder.as_ref()).expect("reading needs no lock");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let store = Sqlite::open(folder.path(), &Supervisor::new()).expect("open");
    let again = Sqlite::open(folder.path(), &Supervisor::new());
    assert!(matches!(again, Err(OpenError::Locked { .. })), "{again:?}");
    let test = "crash::second_process_on_a_folder_is_refused";
    let output = child(test, folder.path()).output().expect("run the child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("refused the data folder is in use by another process [LED-011]"));
    drop(store);
}
