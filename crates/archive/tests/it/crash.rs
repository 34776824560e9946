//! Nodes that are killed at every named moment, while everything else goes wrong too.
//!
//! One number decides a run ([`plan`]): which store, at which fail point the process
//! kills itself, which fault surrounds it, how many callers there are. The same number
//! gives the same plan; how its threads meet is up to the machine.
//!
//! * The [`node`] appends, seals, archives, erases, restores and drills, and prints
//!   every acknowledgement.
//! * The [`judge`] opens what it left behind: nothing acknowledged is lost, no draft
//!   became two entries, no fork goes unnoticed, persons are readable or erased as was
//!   said, the archive goes on and brings back what the ledger is.
//!
//! Each process starts this binary again, told by the environment what to be: the test
//! starts workers, a worker runs one seed after another and starts their nodes. Where
//! it may, a worker has a mount namespace of its own, for a file system that is full;
//! elsewhere the size of files is limited for the SQLite ledger, and the store in front
//! of PostgreSQL answers that it is full.
//!
//! `AIRSIDE_CRASH_RUNS` asks for the seeds from 0 to this number, `AIRSIDE_CRASH_SEED`
//! for one; without them a short set comes to every point once.
#![expect(clippy::print_stdout, reason = "what it prints is its result")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use airside_ledger::failpoint::Point;

use self::{
    judge::Outcome,
    node::Home,
    plan::{Backend, End, FAULTS, Plan},
    run::{Ground, run},
};

mod judge;
mod node;
mod plan;
mod run;
mod weather;

const TEST: &str = "crash::killed_nodes_lose_nothing_and_fork_nothing";
const ROLE: &str = "AIRSIDE_CRASH_ROLE";
const SEEDS: &str = "AIRSIDE_CRASH_SEEDS";
/// Workers of the short set, for a machine with two processors.
const WORKERS: usize = 2;

/// Returns a command that runs the test again, in another role.
fn again(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", TEST, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Returns `command` in a mount namespace of its own, if the machine allows it.
fn apart(command: &Command) -> Option<Command> {
    let unshare = ["--mount", "--propagation", "private"];
    let mut probe = Command::new("unshare");
    let probe = probe
        .args(unshare)
        .args(["mount", "-t", "tmpfs", "none", "/mnt"]);
    let allowed = probe.stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut apart = Command::new("unshare");
    apart
        .args(unshare)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        apart.env(name, value.unwrap_or_default());
    }
    apart.stdin(Stdio::null()).stdout(Stdio::piped());
    Some(apart)
}

fn worker(seeds: &[u64]) -> Command {
    let mut command = again("worker");
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    command.env(SEEDS, seeds.join(","));
    let Some(mut apart) = apart(&command) else {
        return command;
    };
    apart.env("AIRSIDE_CRASH_MAY_MOUNT", "1");
    apart
}

/// A worker: one run after another.
fn work() {
    let ground = Ground::new(env::var_os("AIRSIDE_CRASH_MAY_MOUNT").is_some());
    for seed in env::var(SEEDS).unwrap().split(',') {
        println!("begin {seed}");
        let outcome = run(&ground, Plan::of(seed.parse().unwrap()));
        println!("outcome {}", serde_json::to_string(&outcome).unwrap());
    }
}

/// A node.
fn live() {
    let number = |name| env::var(name).unwrap().parse::<u64>().unwrap();
    let home = Home {
        folder: env::var_os("AIRSIDE_CRASH_FOLDER").unwrap().into(),
        database: env::var("AIRSIDE_CRASH_DATABASE").ok(),
    };
    node::live(
        Plan::of(number("AIRSIDE_CRASH_SEED")),
        number("AIRSIDE_CRASH_WRITER"),
        home,
    );
}

/// Runs all `seeds` on some workers; prints and returns what they came to.
fn run_all(seeds: &[u64], workers: usize) -> Vec<Outcome> {
    let mut parts = vec![Vec::new(); workers];
    for (index, seed) in seeds.iter().enumerate() {
        parts[index % workers].push(*seed);
    }
    parts.retain(|part| !part.is_empty());
    let mut outcomes = std::thread::scope(|scope| {
        let running: Vec<_> = parts
            .iter()
            .map(|part| scope.spawn(|| follow(part)))
            .collect();
        let outcomes = running
            .into_iter()
            .flat_map(|worker| worker.join().unwrap());
        outcomes.collect::<Vec<_>>()
    });
    outcomes.sort_by_key(|outcome| outcome.seed);
    outcomes
}

/// Follows one worker, and another one if it ends before its last seed.
fn follow(seeds: &[u64]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    while outcomes.len() < seeds.len() {
        outcomes.extend(follow_one(&seeds[outcomes.len()..]));
    }
    outcomes
}

/// Returns what came of `seeds` up to the last one that was begun.
fn follow_one(seeds: &[u64]) -> Vec<Outcome> {
    let mut child = worker(seeds).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (mut outcomes, mut begun) = (Vec::new(), None);
    for line in output.lines() {
        let line = line.unwrap();
        if let Some(seed) = line.strip_prefix("begin ") {
            begun = Some(seed.parse().unwrap());
        } else if let Some(outcome) = line.strip_prefix("outcome ") {
            begun = None;
            outcomes.push(serde_json::from_str(outcome).unwrap());
        }
    }
    let status = child.wait().unwrap();
    if !status.success() || outcomes.len() < seeds.len() {
        let seed = begun.unwrap_or(*seeds.get(outcomes.len()).unwrap_or(&seeds[0]));
        let wrong = vec![format!("the judge ended with {status}; see above")];
        outcomes.push(Outcome {
            seed,
            wrong,
            ..Outcome::default()
        });
    }
    outcomes
}

/// The figures of a set.
fn report(outcomes: &[Outcome]) {
    let plans: Vec<Plan> = outcomes.iter().map(|o| Plan::of(o.seed)).collect();
    let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(of).sum::<usize>();
    let row = |name: &str, wanted: &dyn Fn(&Plan) -> bool| {
        let mut line = format!("{name:<24}");
        for backend in [Backend::Sqlite, Backend::Postgres] {
            let mine = outcomes.iter().zip(&plans);
            let mine = mine.filter(|(_, plan)| plan.backend == backend && wanted(plan));
            let (mut runs, mut kills, mut acks) = (0, 0, 0);
            for (outcome, _) in mine {
                runs += 1;
                kills += outcome.killed;
                acks += outcome.acknowledged;
            }
            line += &format!("{runs:>7}{kills:>7}{acks:>9}");
        }
        println!("{line}");
    };
    println!("{:<24}{:^23}{:^23}", "", "SQLite", "PostgreSQL");
    let columns = format!("{:>7}{:>7}{:>9}", "runs", "kills", "acks");
    println!("{:<24}{columns}{columns}", "killed at");
    for point in Point::ALL {
        let here = |plan: &Plan| matches!(plan.end, End::At { point: at, .. } if at == *point);
        row(point.name(), &here);
    }
    row("any moment", &|plan| matches!(plan.end, End::After { .. }));
    println!("while");
    for fault in FAULTS {
        row(&format!("{fault:?}").to_lowercase(), &|plan| {
            plan.fault == fault
        });
    }
    println!(
        "{} runs, {} kills, {} came to their ends; {} entries acknowledged, {} lost; {} forks \
         unnoticed, {} told; {} runs wrong",
        outcomes.len(),
        sum(|o| o.killed),
        sum(|o| o.ended),
        sum(|o| o.acknowledged),
        sum(|o| o.lost),
        sum(|o| o.forks),
        sum(|o| o.told),
        outcomes.iter().filter(|o| !is_good(o)).count(),
    );
}

fn is_good(outcome: &Outcome) -> bool {
    outcome.wrong.is_empty() && outcome.lost == 0 && outcome.forks == 0
}

/// Returns at how many of its seeds each point ended a process.
fn kills(outcomes: &[Outcome]) -> BTreeMap<Point, usize> {
    let mut kills: BTreeMap<Point, usize> = Point::ALL.iter().map(|p| (*p, 0)).collect();
    for outcome in outcomes {
        if let End::At { point, .. } = Plan::of(outcome.seed).end {
            *kills.get_mut(&point).unwrap() += outcome.killed;
        }
    }
    kills
}

#[test]
fn killed_nodes_lose_nothing_and_fork_nothing() {
    match env::var(ROLE).as_deref() {
        Ok("worker") => return work(),
        Ok("node") => return live(),
        _ => {}
    }
    let asked = |name| env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let one = asked("AIRSIDE_CRASH_SEED");
    let seeds = match (one, asked("AIRSIDE_CRASH_RUNS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(runs)) => (0..runs).collect(),
        (None, None) => plan::short(),
    };
    let workers = asked("AIRSIDE_CRASH_WORKERS").map_or(WORKERS, |n| usize::try_from(n).unwrap());
    let mut outcomes = run_all(&seeds, workers);
    if one.is_none() {
        // What the faults kept from happening happens without them.
        let kills = kills(&outcomes).into_iter();
        let missed = kills.filter(|(_, kills)| *kills == 0);
        let missed: Vec<u64> = missed.map(|(point, _)| plan::undisturbed(point)).collect();
        outcomes.extend(run_all(&missed, workers));
    }
    report(&outcomes);
    let bad: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| !is_good(outcome))
        .collect();
    for outcome in &bad {
        println!("{:?}: {outcome:?}", Plan::of(outcome.seed));
        println!("  again: scripts/bench crash --seed {}", outcome.seed);
    }
    assert!(bad.is_empty(), "{} runs went wrong", bad.len());
    if one.is_none() {
        for (point, kills) in kills(&outcomes) {
            assert!(kills > 0, "nothing was killed at {}", point.name());
        }
    }
}
