//! Measures the inventory against published feeds; `scripts/bench vulns` runs it.
//!
//! `vulns_bench FEEDS RESULTS [CARGO-AUDIT]`, with FEEDS as packed on 2026-11-22.
//!
//! # What it measures
//!
//! * **Back-test.** CVEs that were not listed as exploited on 2026-01-30, decided with
//!   what was known on that day: which part of those that were listed later was in the
//!   emergency lane already, and which part of all was. Beside it CVSS >= 9 and
//!   EPSS >= 0.5 on the same CVEs. Once over all that had an EPSS score that day, most
//!   of them without points and vectors here, and once over those with CISA's points of
//!   2025-01-24, few of which were listed later.
//! * **Speed.** A lock file of 1,000 packages, warm and with the load of the index; and
//!   1,000 servers of 500 components after a feed was updated.
//! * **Agreement.** With the program `cargo-audit`: the same Cargo.lock files against the
//!   same advisories, every difference explained or counted, and the time of both.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a program for people, ended by the first failure"
)]

mod peer;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    time::Duration,
};

use airside_base::{Clock as _, SystemClock, Timestamp};
use airside_inventory::{
    component::{Component, Ecosystem, Inventory},
    decision::{
        decide,
        derive::{self, Data, Effect, Reach, Setting, Tier},
        lane::{self, Day, Lane, Plan, Window},
        sla,
    },
    feeds,
    index::Index,
    matching::{Located, Match, Standing},
    read,
    reconcile::{Rules, Target, reconcile},
    scan::{Frame, scan},
    state::State,
};
use jiff::civil::date;
use serde_json::{Value, json};

const POINTS: &str = "ssvc-vulnrichment-2025-01-24.ndjson.zst";
const EPSS: &str = "epss-2026-01-30.csv.zst";
const NPM: &str = "osv-npm-derived.ndjson.zst";
const KEV: &str = "kev-2026-08-21.json.zst";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, index, lock] = &arguments[..]
        && mode == peer::SCAN
    {
        return peer::one(Path::new(index), Path::new(lock));
    }
    let (folder, results, audit) = match &arguments[..] {
        [folder, results] => (folder, results, None),
        [folder, results, audit] => (folder, results, Some(Path::new(audit))),
        _ => panic!("usage: FEEDS RESULTS [CARGO-AUDIT]"),
    };
    let (folder, clock) = (Path::new(folder), SystemClock::new());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of the machine: {}", load.trim());
    let kept = tempfile::tempdir().unwrap();
    let kept = kept.path().join("index");
    let (index, built) = timed(&clock, || feeds::load(folder, Some(&kept)).unwrap());
    println!(
        "index: {} advisories, {:.1} MB in memory, built in {:.2} s",
        index.len(),
        index.size_bytes() as f64 / 1e6,
        built.as_secs_f64()
    );
    let pointed: BTreeMap<String, Vec<String>> = records(&folder.join(POINTS))
        .iter()
        .map(|r| (r["cve"].as_str().unwrap().to_owned(), vectors(r)))
        .collect();
    // Of that day alone: the folder also holds later scores of what was listed by then.
    let mut scores = BTreeMap::new();
    let mut scored: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines(&folder.join(EPSS)).filter(|line| line.starts_with("CVE-")) {
        let mut columns = line.split(',');
        let cve = columns.next().unwrap().to_owned();
        let score: f64 = columns.next().unwrap().parse().unwrap();
        scored.insert(cve.clone(), pointed.get(&cve).cloned().unwrap_or_default());
        scores.insert(cve, score);
    }
    let tests = json!({
        "scored": backtest("with an EPSS score", &scored, &scores, &index),
        "pointed": backtest("with CISA's points", &pointed, &scores, &index),
    });
    let lock = lock(folder);
    let (warm, cold, findings) = scans(&clock, folder, &kept, &index, &lock);
    let again = servers(&clock, folder, &index);
    let peer = audit.map(|audit| peer::compare(&clock, folder, &kept, audit));
    let at = clock.now();
    let told = json!({
        "at": at, "load": load.trim(), "feeds": index.digest(), "index_bytes": index.size_bytes(),
        "build_ms": ms(built), "scan_warm_ms": ms(warm), "scan_cold_ms": ms(cold),
        "scan_findings": findings, "servers": again, "backtest": tests,
        "cargo_audit": peer,
    });
    let name = at.to_string().replace(['-', ':'], "");
    let name = format!("vulns-{}.json", name.get(..15).unwrap());
    let path = Path::new(results).join(name);
    fs::write(&path, serde_json::to_string_pretty(&told).unwrap() + "\n").unwrap();
    println!("written to {}", path.display());
}

fn timed<T>(clock: &SystemClock, work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = clock.monotonic();
    let done = work();
    (done, clock.monotonic() - begin)
}

fn ms(span: Duration) -> f64 {
    (span.as_secs_f64() * 10_000.0).round() / 10.0
}

fn lines(path: &Path) -> impl Iterator<Item = String> {
    let file = fs::File::open(path).unwrap();
    let lines = BufReader::new(zstd::Decoder::new(file).unwrap()).lines();
    lines.map(Result::unwrap)
}

fn records(path: &Path) -> Vec<Value> {
    let lines = lines(path);
    lines
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

fn vectors(record: &Value) -> Vec<String> {
    let all = record["cvss"].as_array().into_iter().flatten();
    all.filter_map(|c| c["v"].as_str().map(str::to_owned))
        .collect()
}

/// A CVE as a finding in some component, with the vectors that were published.
fn found(cve: &str, vectors: Vec<String>) -> Match {
    Match {
        vulnerability: cve.to_owned(),
        ids: vec![cve.to_owned()],
        summary: String::new(),
        component: Located {
            purl: String::new(),
            ecosystem: Ecosystem::Npm,
            name: String::new(),
            version: None,
            scope: airside_inventory::component::Scope::Direct,
            places: Vec::new(),
            accepted: Vec::new(),
        },
        standing: Standing::Affected,
        fixed: vec!["1".to_owned()],
        vectors,
        demonstrated: false,
        published: String::new(),
        claims: Vec::new(),
    }
}

fn setting(reach: Reach, tier: Tier, data: &[Data], effect: Effect) -> Setting {
    Setting {
        reach: Some((reach, "bench".to_owned())),
        tier: Some(tier),
        data: data.to_vec(),
        effect: Some(effect),
        autonomous: true,
        ..Setting::default()
    }
}

fn plan() -> Plan {
    Plan {
        windows: vec![Window {
            day: Day::Sunday,
            hour: 2,
            hours: 4,
        }],
        soak_hours: 24,
    }
}

/// One rule, what it flags, and what of that was listed later.
#[derive(Default)]
struct Score {
    flagged: usize,
    caught: usize,
}

fn backtest(
    which: &str,
    cves: &BTreeMap<String, Vec<String>>,
    epss: &BTreeMap<String, f64>,
    index: &Index,
) -> Value {
    let cut = date(2026, 1, 30);
    let now: Timestamp = "2026-01-30T12:00:00Z".parse().unwrap();
    let places = [
        (
            "emergency lane, public and essential",
            setting(
                Reach::Public,
                Tier::Essential,
                &[Data::Card],
                Effect::Irreversible,
            ),
        ),
        (
            "emergency lane, public and supporting",
            setting(
                Reach::Public,
                Tier::Supporting,
                &[Data::Personal],
                Effect::Write,
            ),
        ),
        (
            "emergency lane, identified and supporting",
            setting(
                Reach::Identified,
                Tier::Supporting,
                &[Data::Personal],
                Effect::Write,
            ),
        ),
    ];
    let names = ["CVSS >= 9", "EPSS >= 0.5"];
    let mut scores: Vec<Score> = Vec::new();
    scores.resize_with(places.len() + names.len(), Score::default);
    let (mut all, mut later) = (0, 0);
    for (cve, vectors) in cves {
        let mut known = index.known([cve.as_str()]);
        if known.kev.is_some_and(|kev| kev.added <= cut) {
            continue;
        }
        let listed = known.kev.take().is_some();
        all += 1;
        later += usize::from(listed);
        let found = found(cve, vectors.clone());
        let mut cvss = None;
        for ((_, setting), score) in places.iter().zip(&mut scores) {
            let inputs = derive::inputs(&found, &known, setting, &[], cut, 10_000);
            cvss = inputs.cvss_tenths;
            let decision = decide(inputs);
            let due = sla::Clock::start(now, None, &decision).due;
            let emergency = lane::choose(&decision, due, now, &plan()) == Lane::Emergency;
            score.count(emergency, listed);
        }
        scores[places.len()].count(cvss.is_some_and(|tenths| tenths >= 90), listed);
        scores[places.len() + 1].count(epss.get(cve).is_some_and(|score| *score >= 0.5), listed);
    }
    println!(
        "back-test: {all} CVEs {which}, not listed on {cut}; {later} listed as exploited since"
    );
    let names = places.iter().map(|(name, _)| *name).chain(names);
    let mut told = Vec::new();
    for (name, score) in names.zip(&scores) {
        let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        let (caught, flagged) = (share(score.caught, later), share(score.flagged, all));
        println!(
            "  {name:<42} {:>3} of {later} later exploited ({caught:>5.1} %) for {flagged:>5.1} % of all",
            score.caught
        );
        told.push(json!({ "rule": name, "caught": score.caught, "flagged": score.flagged }));
    }
    json!({ "all": all, "later": later, "rules": told })
}

impl Score {
    fn count(&mut self, flagged: bool, listed: bool) {
        self.flagged += usize::from(flagged);
        self.caught += usize::from(flagged && listed);
    }
}

/// A lock file of 1,000 packages; advisories name some of them.
fn lock(folder: &Path) -> String {
    let mut names: Vec<String> = records(&folder.join(NPM))
        .iter()
        .filter_map(|r| {
            r["affected"][0]["package"]["name"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    names.dedup();
    names.truncate(500);
    names.extend((names.len()..1000).map(|n| format!("package-nobody-has-{n}")));
    let packages = names
        .iter()
        .map(|n| (format!("node_modules/{n}"), json!({ "version": "1.2.3" })));
    let packages: serde_json::Map<String, Value> = packages.collect();
    json!({ "lockfileVersion": 3, "packages": packages }).to_string()
}

fn scans(
    clock: &SystemClock,
    folder: &Path,
    kept: &Path,
    index: &Index,
    lock: &str,
) -> (Duration, Duration, usize) {
    let frame = Frame {
        plan: plan(),
        stale_after_days: 7,
        ..Frame::default()
    };
    let once = |index: &Index| {
        let inventory = read::bytes(lock.as_bytes(), "package-lock.json").unwrap();
        scan(&inventory, index, &frame, clock.now()).findings.len()
    };
    let findings = once(index);
    let median = |work: &dyn Fn() -> usize| {
        let mut spans: Vec<Duration> = (0..21).map(|_| timed(clock, work).1).collect();
        spans.sort();
        spans[10]
    };
    let warm = median(&|| once(index));
    let cold = median(&|| once(&feeds::load(folder, Some(kept)).unwrap()));
    println!(
        "lock file of 1,000 packages, {findings} findings: {:.1} ms warm, {:.1} ms with the index read (medians of 21)",
        ms(warm),
        ms(cold)
    );
    (warm, cold, findings)
}

/// Decides 1,000 servers again after the list of exploited vulnerabilities came.
fn servers(clock: &SystemClock, folder: &Path, whole: &Index) -> Value {
    let without = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_owned();
        if path.is_file() && name != KEV {
            fs::copy(&path, without.path().join(name)).unwrap();
        }
    }
    let before = feeds::load(without.path(), None).unwrap();
    let npm = records(&folder.join(NPM));
    let names: Vec<&str> = npm
        .iter()
        .filter_map(|r| r["affected"][0]["package"]["name"].as_str())
        .collect();
    let targets: Vec<Target> = (0..1000).map(|number| target(number, &names)).collect();
    let rules = Rules {
        plan: plan(),
        stale_after_days: 10_000,
        ..Rules::default()
    };
    let mut state = State::default();
    let now = clock.now();
    let (events, first) = timed(clock, || reconcile(&state, &targets, &before, &rules, now));
    for event in events {
        state.apply_event(now, event);
    }
    let (events, again) = timed(clock, || reconcile(&state, &targets, whole, &rules, now));
    println!(
        "1,000 servers of 500 components, {} findings: first look {:.2} s, after a feed update {:.2} s, {} entries",
        state.findings.len(),
        first.as_secs_f64(),
        again.as_secs_f64(),
        events.len()
    );
    json!({
        "findings": state.findings.len(), "first_ms": ms(first), "again_ms": ms(again),
        "entries": events.len(),
    })
}

/// Every server has 500 components, a few of them with vulnerabilities.
fn target(number: usize, names: &[&str]) -> Target {
    let mut inventory = Inventory::default();
    for part in 0..500 {
        let (name, version) = match part {
            0..5 => (names[(number * 7 + part) % names.len()].to_owned(), "1.2.3"),
            _ => (format!("package-{}", (number * 13 + part) % 5000), "2.0.0"),
        };
        inventory.add(Component::new(Ecosystem::Npm, &name, Some(version), "lock"));
    }
    inventory.settle();
    Target {
        server: format!("server-{number}"),
        version: "1".to_owned(),
        region: "eu".to_owned(),
        setting: setting(
            Reach::Identified,
            Tier::Supporting,
            &[Data::Personal],
            Effect::Write,
        ),
        inventory,
        whole: true,
    }
}
