//! Components of a path: scanned, decided, shown.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use airside_base::{Clock as _, Fault, Finding, Kind, Rule, Severity, SystemClock};
use airside_config::{self as config, Inventory};
use airside_inventory::{
    component,
    decision::{derive::Setting, lane::Lane},
    export::Bill,
    feeds,
    index::Index,
    read,
    scan::{Found, Frame, Report, scan},
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::scan::{Components, FailOn, SettingArgs},
    failure::{Exit, Failure},
    inventory::document,
    output::{Align, Out, table},
    text::{cut, printable},
};

/// Most components that are listed as not assessed.
const MAX_LISTED: usize = 20;

pub(super) fn run(args: &Components, out: &mut Out) -> Result<(), Failure> {
    let folder = feeds_of(args)?;
    let progress = Steps::new();
    progress.step("reading components");
    let inventory = read::path(&args.path).map_err(|error| unreadable(&error))?;
    progress.step("reading feeds");
    let index = index(&folder, args.index.as_deref())?;
    progress.step("comparing");
    let report = assess(args, &inventory, &index);
    progress.done();
    if args.sarif {
        let (findings, rules) = as_findings(&report);
        out.json_pretty(&super::sarif::document(&findings, &rules))?;
    } else if let Some(format) = args.format {
        let name = args.path.file_name().and_then(|name| name.to_str());
        let bill = Bill::of_scan(name.unwrap_or("scan"), &inventory, &report);
        out.json_pretty(&document(&bill, format, &args.author)?)?;
    } else if out.is_json() {
        out.json_pretty(&report)?;
    } else {
        show(&report, out)?;
    }
    verdict(args, &report)
}

/// Returns the folder of the feeds: the one that was named, else that of the
/// configuration.
fn feeds_of(args: &Components) -> Result<PathBuf, Failure> {
    if let Some(folder) = &args.feeds {
        return Ok(folder.clone());
    }
    let usual = Path::new("airside.toml");
    let file = args.config.as_deref();
    let file = file.or_else(|| usual.is_file().then_some(usual));
    let folder = match file {
        Some(file) => {
            let loaded = config::load(file);
            let loaded = loaded.map_err(|list| Failure::rendered(Exit::Config, list))?;
            let config = loaded.config;
            config.inventory.folder_or_default(&config.data_dir)
        }
        None => Inventory::default().folder_or_default(Path::new(config::DATA_DIR)),
    };
    if folder.is_dir() {
        return Ok(folder);
    }
    let text = format!("there are no feeds in {}", folder.display());
    let fault = Fault::new(Kind::NotFound, "INV-016", text);
    let hint = "name a folder with --feeds or AIRSIDE_FEEDS; see `airside explain INV-016`";
    Err(Failure::new(Exit::Failed, fault.with_hint(hint)))
}

fn assess(args: &Components, inventory: &component::Inventory, index: &Index) -> Report {
    let frame = Frame {
        setting: setting(&args.setting),
        trusted: args.trusted.clone(),
        stale_after_days: args.stale_after,
        ..Frame::default()
    };
    scan(inventory, index, &frame, SystemClock::new().now())
}

fn setting(args: &SettingArgs) -> Setting {
    Setting {
        reach: args.reach.map(|reach| (reach, "command line".to_owned())),
        tier: args.tier,
        data: args.data.clone(),
        effect: args.effect,
        autonomous: args.autonomous,
        heed_kev_due: args.heed_kev_due,
        contract_days: None,
        ..Setting::default()
    }
}

/// Returns the index of the feeds in `folder`, kept in `place` or in the cache folder.
pub(crate) fn index(folder: &Path, place: Option<&Path>) -> Result<Index, Failure> {
    let place = place.map(Path::to_owned).or_else(|| cached(folder));
    feeds::load(folder, place.as_deref()).map_err(|error| {
        let fault = Fault::new(Kind::Unavailable, "INV-001", error.to_string());
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let failure = Failure::new(
            Exit::Failed,
            fault.with_hint("name a folder of feeds with --feeds; see `airside explain INV-001`"),
        );
        match cause {
            Some(cause) => failure.with_detail(format!("cause: {cause}")),
            None => failure,
        }
    })
}

/// Returns where the index of `folder` is kept, by the XDG Base Directory Specification.
fn cached(folder: &Path) -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.filter(|path| path.is_absolute()).or_else(home)?;
    let folder = std::fs::canonicalize(folder).ok()?;
    let name = folder.to_string_lossy().replace(['/', '\\', ':'], "-");
    let name: String = name.trim_matches('-').chars().rev().take(150).collect();
    let name: String = name.chars().rev().collect();
    Some(cache.join("airside").join(format!("{name}.feeds")))
}

fn unreadable(error: &read::Problem) -> Failure {
    let fault = Fault::new(Kind::Invalid, "INV-002", error.to_string());
    let failure = Failure::new(
        Exit::Failed,
        fault.with_hint("name a lock file, an SBOM, a program, an image or a folder"),
    );
    match std::error::Error::source(error) {
        Some(cause) => failure.with_detail(format!("cause: {cause}")),
        None => failure,
    }
}

fn show(report: &Report, out: &mut Out) -> Result<(), Failure> {
    if !report.findings.is_empty() {
        let headings = [
            ("LANE", Align::Left),
            ("DUE", Align::Left),
            ("COMPONENT", Align::Left),
            ("VULNERABILITY", Align::Left),
            ("CVSS", Align::Right),
            ("EPSS", Align::Right),
            ("FIXED IN", Align::Left),
            ("ABOUT", Align::Left),
        ];
        let rows: Vec<Vec<String>> = report.findings.iter().map(row).collect();
        out.line(&table(&headings, &rows))?;
        out.line("")?;
    }
    for remedy in report.remedies.iter().filter(|r| r.to.is_some()) {
        out.line(&format!(
            "upgrade {} {} → {}: {}, closes {}",
            printable(&remedy.name),
            printable(&remedy.from),
            printable(remedy.to.as_deref().unwrap_or_default()),
            remedy.how.words(),
            remedy.closes.len(),
        ))?;
    }
    let unclear = report.others.iter().filter_map(|m| match &m.standing {
        airside_inventory::matching::Standing::Unassessed { reason } => Some(format!(
            "{} {}: {reason}",
            m.component.purl, m.vulnerability
        )),
        _ => None,
    });
    let blind = report.unassessed.iter();
    let blind = blind.map(|u| format!("{}: {}", u.component.purl, u.reason));
    let gaps = report
        .gaps
        .iter()
        .map(|g| format!("{}: {}", g.place, g.reason));
    let missed: Vec<String> = unclear.chain(blind).chain(gaps).collect();
    for line in missed.iter().take(MAX_LISTED) {
        out.line(&format!("not assessed: {}", cut(&printable(line), 200)))?;
    }
    if missed.len() > MAX_LISTED {
        let more = missed.len() - MAX_LISTED;
        out.line(&format!("not assessed: {more} more; --json lists all"))?;
    }
    for notice in &report.notices {
        out.line(&format!(
            "note: {} is {} ({})",
            printable(&notice.component.purl),
            printable(&notice.sort),
            printable(&notice.id)
        ))?;
    }
    let feeds = report.feeds.iter().filter(|feed| feed.records > 0);
    let oldest = feeds.clone().filter_map(|feed| feed.date).min();
    let oldest = oldest.map_or(String::new(), |day| format!(", the oldest of {day}"));
    out.line(&format!("{} feeds{oldest}", feeds.count()))?;
    out.line(&report.summary.sentence())
}

fn row(found: &Found) -> Vec<String> {
    let about = &found.found;
    let lane = match found.lane {
        Lane::Window { start, .. } => format!("window {start:.0}"),
        lane => lane.name().to_owned(),
    };
    let due = found.due.map_or("next upgrade".to_owned(), |due| {
        due.to_string().get(..10).unwrap_or_default().to_owned()
    });
    let version = about.component.version.as_deref().unwrap_or_default();
    let cvss = found.decision.inputs.cvss_tenths;
    let epss = found.decision.inputs.epss;
    let listed = if found.decision.inputs.in_kev.value {
        " (KEV)"
    } else {
        ""
    };
    vec![
        lane,
        due,
        printable(&format!("{} {version}", about.component.name)),
        printable(&format!("{}{listed}", about.vulnerability)),
        cvss.map_or("–".to_owned(), |t| format!("{}.{}", t / 10, t % 10)),
        epss.map_or("–".to_owned(), |e| {
            format!("{:.3}", f64::from(e.score) / 100_000.0)
        }),
        printable(about.fixed.first().map_or("none known", String::as_str)),
        cut(&printable(&about.summary), 60),
    ]
}

/// One finding for each place that names an affected component, one rule for each
/// vulnerability.
fn as_findings(report: &Report) -> (Vec<Finding>, Vec<Rule>) {
    let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
    let mut findings = Vec::new();
    for found in &report.findings {
        let about = &found.found;
        let severity = match found.lane {
            Lane::Emergency => Severity::Critical,
            Lane::OutOfCycle => Severity::High,
            Lane::Window { .. } => Severity::Medium,
            Lane::NextUpgrade => Severity::Low,
        };
        let fixed = about.fixed.first();
        let rule = rules.entry(&about.vulnerability).or_insert_with(|| Rule {
            id: printable(&about.vulnerability).into(),
            title: cut(&printable(&about.summary), 200).into(),
            help: fixed
                .map_or(
                    "No fixed version is known: mitigate.".to_owned(),
                    |version| format!("Upgrade to {} or later.", printable(version)),
                )
                .into(),
            severity,
        });
        rule.severity = rule.severity.max(severity);
        for place in &about.component.places {
            let what = format!("{}\0{place}", about.vulnerability);
            let message = format!(
                "{}: {}, {}",
                about.vulnerability,
                found.decision.priority.name(),
                found.decision.timeline.name()
            );
            let file = place.split('#').next().unwrap_or(place);
            let finding = Finding::new(
                printable(&about.vulnerability),
                severity,
                &printable(&about.component.purl),
                printable(&message),
                &what,
            );
            findings.push(finding.at(&printable(file), None));
        }
    }
    (findings, rules.into_values().collect())
}

fn verdict(args: &Components, report: &Report) -> Result<(), Failure> {
    let fails = |found: &&Found| match args.fail_on {
        None => false,
        Some(FailOn::Emergency) => found.lane == Lane::Emergency,
        Some(FailOn::OutOfCycle) => matches!(found.lane, Lane::Emergency | Lane::OutOfCycle),
        Some(FailOn::Window) => found.lane != Lane::NextUpgrade,
        Some(FailOn::Any) => true,
    };
    let failing = report.findings.iter().filter(fails).count();
    if failing > 0 {
        let text = format!("{failing} findings are as urgent as --fail-on says, or more");
        let fault = Fault::new(Kind::Conflict, "INV-003", text);
        return Err(Failure::new(Exit::Failed, fault));
    }
    if args.fail_incomplete && !report.summary.complete {
        let fault = Fault::new(Kind::Conflict, "INV-004", "not everything was assessed");
        return Err(Failure::new(Exit::Failed, fault));
    }
    Ok(())
}

/// What is being done, on a terminal.
struct Steps(ProgressBar);

impl Steps {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg}");
        let bar = ProgressBar::new_spinner();
        Self(bar.with_style(style.expect("the template is well-formed")))
    }

    fn step(&self, what: &'static str) {
        self.0.set_message(what);
        self.0.tick();
    }

    fn done(&self) {
        self.0.finish_and_clear();
    }
}
