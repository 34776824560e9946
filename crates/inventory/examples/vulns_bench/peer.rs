//! The same Cargo.lock files through cargo-audit, on the same advisories.
//!
//! cargo-audit reads advisories as RustSec's repository keeps them; the feed has them as
//! OSV. The ranges of OSV were made of that form, so they are turned back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use airside_base::SystemClock;
use airside_inventory::{
    advisory::Advisory,
    component::{Ecosystem, Inventory, Origin},
    feeds,
    index::Index,
    matching::Matcher,
    read,
};
use serde_json::{Value, json};

use crate::{ms, records, timed};

/// Asks for one scan in a process of its own.
pub(crate) const SCAN: &str = "--scan";
const RUSTSEC: &str = "osv-crates-rustsec.ndjson.zst";
/// Most lock files that are compared, the largest first.
const MAX_LOCKS: usize = 300;

/// Scans one lock file from the start of a process to its end, as a command does.
pub(crate) fn one(index: &Path, lock: &Path) {
    let index = Index::open(fs::read(index).unwrap()).unwrap();
    let inventory = read::path(lock).unwrap();
    let found = Matcher::new(&index, Vec::new()).assess(&inventory);
    println!("{}", serde_json::to_string(&found).unwrap());
}

/// What is said of a package: the record, its name and its version.
type Said = BTreeSet<(String, String, String)>;

pub(crate) fn compare(clock: &SystemClock, folder: &Path, kept: &Path, audit: &Path) -> Value {
    let work = tempfile::tempdir().unwrap();
    let database = work.path().join("advisory-db");
    let advisories = write(&folder.join(RUSTSEC), &database);
    let alone = work.path().join("feeds");
    fs::create_dir(&alone).unwrap();
    fs::copy(folder.join(RUSTSEC), alone.join(RUSTSEC)).unwrap();
    let index = feeds::load(&alone, None).unwrap();
    let mut locks = locks();
    let made = work.path().join("Cargo.lock");
    fs::write(&made, boundaries(&folder.join(RUSTSEC))).unwrap();
    locks.push(made);
    println!(
        "cargo-audit: {advisories} advisories of RustSec, {} lock files, one of them made of every bound of every advisory",
        locks.len()
    );
    let mut told = BTreeMap::new();
    let (mut same, mut unexplained, mut skipped) = (0, 0, 0);
    for lock in &locks {
        let Some(theirs) = audited(audit, &database, lock) else {
            skipped += 1;
            continue;
        };
        let inventory = read::path(lock).unwrap();
        let ours = found(&index, &inventory);
        same += ours.intersection(&theirs).count();
        for (said, by_us) in ours
            .difference(&theirs)
            .map(|said| (said, true))
            .chain(theirs.difference(&ours).map(|said| (said, false)))
        {
            let why = why(said, by_us, &inventory)
                .or_else(|| by_us.then(|| grouped(said, &theirs, &index)).flatten());
            *told.entry(why.unwrap_or("unexplained")).or_insert(0) += 1;
            if why.is_none() {
                unexplained += 1;
                println!(
                    "  unexplained: {said:?} by us: {by_us} in {}",
                    lock.display()
                );
            }
        }
    }
    println!("  {same} findings and notices are the same, {unexplained} differ unexplained");
    for (why, count) in &told {
        println!("  {count} differ: {why}");
    }
    if skipped > 0 {
        println!("  {skipped} lock files are none that cargo-audit reads");
    }
    let lock = locks.first().unwrap();
    let (theirs, ours) = times(clock, audit, &database, kept, lock);
    println!(
        "  {}, from start to end of a process (medians of 11): cargo-audit {:.1} ms, here {:.1} ms with all feeds",
        lock.display(),
        ms(theirs),
        ms(ours)
    );
    json!({
        "locks": locks.len() - skipped, "same": same, "differences": told,
        "audit_ms": ms(theirs), "scan_ms": ms(ours),
    })
}

/// Explains why one says something that the other does not.
fn why(
    said: &(String, String, String),
    by_us: bool,
    inventory: &Inventory,
) -> Option<&'static str> {
    let (_, name, version) = said;
    if !by_us {
        let own = format!("{name} {version}");
        return inventory
            .own
            .contains(&own)
            .then_some("cargo-audit takes a package of the workspace for the published one");
    }
    let mut all = inventory.components.iter();
    let component = all.find(|c| c.name == *name && c.version.as_ref() == Some(version))?;
    match component.origin {
        Origin::Repository => Some("here a fork in a repository is affected by its version"),
        Origin::OtherRegistry => Some("here another registry is affected by its version"),
        Origin::Registry | Origin::Local => None,
    }
}

/// Explains what only one of several records of a vulnerability says.
fn grouped(
    (id, name, version): &(String, String, String),
    theirs: &Said,
    index: &Index,
) -> Option<&'static str> {
    let advisories = index.of_package(&Ecosystem::Cargo, name);
    let group = &advisories.iter().find(|advisory| advisory.id == *id)?.group;
    let mut others = advisories
        .iter()
        .filter(|advisory| advisory.group == *group);
    let told = |other: &Advisory| {
        let other = (other.id.clone(), name.clone(), version.clone());
        theirs.contains(&other)
    };
    others
        .any(told)
        .then_some("here records with one alias are one vulnerability, and one of them says it")
}

/// Returns what is found here, what is only to be noted among it.
fn found(index: &Index, inventory: &Inventory) -> Said {
    let assessment = Matcher::new(index, Vec::new()).assess(inventory);
    let mut said = Said::new();
    for found in assessment.affected() {
        let of = &found.component;
        let version = of.version.clone().unwrap_or_default();
        let advisories = index.of_package(&Ecosystem::Cargo, &of.name);
        for advisory in advisories.iter().filter(|a| a.informational.is_none()) {
            if found.ids.contains(&advisory.id) {
                said.insert((advisory.id.clone(), of.name.clone(), version.clone()));
            }
        }
    }
    for notice in &assessment.notices {
        let version = notice.component.version.clone().unwrap_or_default();
        said.insert((notice.id.clone(), notice.component.name.clone(), version));
    }
    said
}

fn command(audit: &Path, database: &Path, lock: &Path) -> Command {
    let mut command = Command::new(audit);
    command.args(["audit", "--no-fetch", "--stale", "--no-yanked", "--json"]);
    command.arg("--db").arg(database).arg("--file").arg(lock);
    command
}

/// Returns what cargo-audit finds; `None` when it cannot read the file.
fn audited(audit: &Path, database: &Path, lock: &Path) -> Option<Said> {
    let output = command(audit, database, lock).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).ok()?;
    let found = report["vulnerabilities"]["list"].as_array()?.iter();
    let warned = report["warnings"].as_object()?.values();
    let warned = warned.filter_map(Value::as_array).flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = found.chain(warned).map(|found| {
        let package = &found["package"];
        let id = text(&found["advisory"]["id"]);
        (id, text(&package["name"]), text(&package["version"]))
    });
    Some(said.collect())
}

/// Returns lock files of this machine: our own, and those that published crates bring.
fn locks() -> Vec<PathBuf> {
    let mut locks = vec![PathBuf::from("Cargo.lock")];
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let below = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let sources = home.map(|home| below(&home.join("registry/src")));
    let crates = sources
        .into_iter()
        .flatten()
        .flat_map(|source| below(&source));
    let mut theirs: Vec<(u64, PathBuf)> = crates
        .map(|folder| folder.join("Cargo.lock"))
        .filter_map(|file| Some((fs::metadata(&file).ok()?.len(), file)))
        .collect();
    theirs.sort_by(|a, b| b.cmp(a));
    locks.extend(theirs.into_iter().map(|(_, file)| file).take(MAX_LOCKS - 1));
    locks
}

/// Makes a lock file of versions at, before and after every bound of every advisory.
fn boundaries(feed: &Path) -> String {
    let mut packages = BTreeSet::new();
    for record in records(feed) {
        let affected = &record["affected"][0];
        let name = affected["package"]["name"].as_str().unwrap();
        let ranges = affected["ranges"].as_array().into_iter().flatten();
        let events = ranges.flat_map(|range| range["events"].as_array().into_iter().flatten());
        let bounds = events.flat_map(|event| event.as_object().into_iter().flatten());
        for (_, bound) in bounds {
            let bound = bound.as_str().unwrap();
            let core = bound.split(['-', '+']).next().unwrap();
            let parts: Vec<u64> = core.split('.').map(|part| part.parse().unwrap()).collect();
            let [major, minor, patch] = parts[..] else {
                panic!("{bound} is no version of Cargo");
            };
            for version in [
                bound.to_owned(),
                core.to_owned(),
                format!("{core}-alpha.1"),
                format!("{major}.{minor}.{}", patch + 1),
                format!("{major}.{minor}.{}", patch.saturating_sub(1)),
                format!("{major}.{}.0", minor + 1),
                format!("{}.0.0-rc.1", major + 1),
            ] {
                packages.insert((name.to_owned(), version));
            }
        }
    }
    let mut text = String::from("version = 4\n");
    for (name, version) in packages {
        let source = "registry+https://github.com/rust-lang/crates.io-index";
        write!(
            text,
            "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"
        )
        .unwrap();
        writeln!(text, "source = \"{source}\"").unwrap();
    }
    text
}

/// Returns the time that both take from start to end.
fn times(
    clock: &SystemClock,
    audit: &Path,
    database: &Path,
    kept: &Path,
    lock: &Path,
) -> (Duration, Duration) {
    let median = |make: &dyn Fn() -> Command| {
        let mut spans: Vec<Duration> = (0..11)
            .map(|_| timed(clock, || make().output().unwrap()).1)
            .collect();
        spans.sort();
        spans[5]
    };
    let theirs = median(&|| command(audit, database, lock));
    let ours = median(&|| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(SCAN).arg(kept).arg(lock);
        command
    });
    (theirs, ours)
}

/// Writes the advisories of a feed as RustSec's repository keeps them.
fn write(feed: &Path, database: &Path) -> usize {
    fs::create_dir_all(database.join("crates")).unwrap();
    let records = records(feed);
    for record in &records {
        let affected = &record["affected"][0];
        let id = record["id"].as_str().unwrap();
        let name = affected["package"]["name"].as_str().unwrap();
        let folder = database.join("crates").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{id}.md")), advisory(record, affected)).unwrap();
    }
    records.len()
}

fn advisory(record: &Value, affected: &Value) -> String {
    let day = |value: &Value| {
        value
            .as_str()
            .and_then(|text| text.get(..10))
            .map(str::to_owned)
    };
    let mut text = String::from("```toml\n[advisory]\n");
    for (key, value) in [
        ("id", record["id"].as_str().map(str::to_owned)),
        (
            "package",
            affected["package"]["name"].as_str().map(str::to_owned),
        ),
        ("date", day(&record["published"])),
        ("withdrawn", day(&record["withdrawn"])),
        (
            "informational",
            affected["database_specific"]["informational"]
                .as_str()
                .map(str::to_owned),
        ),
    ] {
        if let Some(value) = value {
            // A string of JSON is one of TOML.
            writeln!(text, "{key} = {}", json!(value)).unwrap();
        }
    }
    let (patched, unaffected) = versions(affected);
    writeln!(text, "[versions]\npatched = {}", json!(patched)).unwrap();
    writeln!(text, "unaffected = {}", json!(unaffected)).unwrap();
    text.push_str("```\n\n# About\n\nSee the feed.\n");
    text
}

/// Returns which versions are not affected, after and before those that are.
fn versions(affected: &Value) -> (Vec<String>, Vec<String>) {
    let ranges = affected["ranges"].as_array().into_iter().flatten();
    let events = ranges.flat_map(|range| range["events"].as_array().into_iter().flatten());
    let text = |event: &Value, kind: &str| event[kind].as_str().map(str::to_owned);
    let (mut from, mut to): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for event in events {
        from.extend(text(event, "introduced"));
        to.extend(text(event, "fixed"));
    }
    let first = from.first().filter(|first| *first != "0.0.0-0");
    let unaffected = first
        .map(|first| format!("< {first}"))
        .into_iter()
        .collect();
    let patched = to
        .iter()
        .enumerate()
        .map(|(at, fixed)| match from.get(at + 1) {
            Some(next) => format!(">= {fixed}, < {next}"),
            None => format!(">= {fixed}"),
        });
    (patched.collect(), unaffected)
}
