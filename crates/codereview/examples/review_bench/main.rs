//! What a review costs, and how far other programs agree with it: `scripts/bench review`.
//!
//! * `patterns TREE RULES [PLACES]`, `taint TREE`, `copies TREE`: one run of one part; prints
//!   one JSON object. PLACES gets what was found, `rule TAB path TAB line`.
//! * `warm TREE FOLDER REV`: a review of what was added since REV, with what earlier runs
//!   have left in FOLDER; tells on standard error when each stage begins.
//! * `same PLACES OTHER`: how much of what another engine found (semgrep's JSON) is in PLACES.
//! * `agree TREE JSCPD PMD…`: how many of the lines that both other programs call copies are
//!   copies to us, from their reports (JSON, and XML of CPD for each language).
//! * `found TREE…`: what the rules find, one finding a line; `labels FILE TREE…`: how many of
//!   them are right, by rule, once FILE holds such lines with a verdict in front.
//! * `rules RULES`: prints the rules as another engine reads them (semgrep).
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod agree;
mod labels;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::ExitCode,
};

use airside_base::{Clock as _, SystemClock};
use airside_codereview::{
    finding::Report,
    review::{self, Part, Request},
    rules::Rules,
    source::Skip,
};
use serde::Deserialize;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["rules", rules] => translate(Path::new(rules)),
        ["patterns", tree, rules] => patterns(tree, Path::new(rules), None),
        ["patterns", tree, rules, places] => {
            patterns(tree, Path::new(rules), Some(Path::new(places)))
        }
        ["warm", tree, memory, base] => warm(tree, Path::new(memory), base),
        ["taint", tree] => run(tree, Part::Weaknesses, &Rules::builtin()).map(|report| {
            for path in report
                .skipped
                .paths
                .get(&Skip::TooSlow)
                .into_iter()
                .flatten()
            {
                eprintln!("not followed to its end: {path}");
            }
            print(&report, Rules::builtin().len());
        }),
        ["agree", tree, jscpd, pmd @ ..] => agree::print(tree, Path::new(jscpd), pmd),
        ["found", trees @ ..] => labels::list(trees),
        ["labels", verdicts, trees @ ..] => labels::judge(Path::new(verdicts), trees),
        ["same", places, other] => same(Path::new(places), Path::new(other)),
        ["copies", tree] => run(tree, Part::Copies, &Rules::default()).map(|report| {
            print(&report, 0);
        }),
        _ => Err("review_bench patterns|taint|copies|found|labels|rules|same|agree …".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn run(tree: &str, only: Part, rules: &Rules) -> Result<Report, String> {
    let mut request = Request::new(Path::new(tree));
    request.only = Some(only);
    review::run(&request, rules, &|_| {}).map_err(|error| error.to_string())
}

/// Reviews what was changed since `base`, with what earlier runs have learned.
fn warm(tree: &str, memory: &Path, base: &str) -> Result<(), String> {
    let mut request = Request::new(Path::new(tree));
    request.memory = Some(memory.to_owned());
    request.base = Some(base.to_owned());
    let rules = Rules::builtin();
    let clock = SystemClock::new();
    let report = review::run(&request, &rules, &|stage| {
        eprintln!("{:>5} ms {stage:?}", clock.monotonic().as_millis());
    })
    .map_err(|error| error.to_string())?;
    print(&report, rules.len());
    Ok(())
}

fn patterns(tree: &str, path: &Path, places: Option<&Path>) -> Result<(), String> {
    let mut rules = Rules::default();
    let name = path.display().to_string();
    let text = read(path)?;
    rules
        .extend(&name, &text)
        .map_err(|error| error.to_string())?;
    let report = run(tree, Part::Weaknesses, &rules)?;
    print(&report, rules.len());
    let Some(places) = places else {
        return Ok(());
    };
    let rows = report.findings.iter().map(|one| {
        let place = &one.place;
        format!("{}\t{}\t{}\n", one.what.rule, place.path, place.from)
    });
    let rows: String = rows.collect();
    fs::write(places, rows).map_err(|error| format!("{}: {error}", places.display()))
}

fn print(report: &Report, rules: usize) {
    let left_out: BTreeMap<&str, usize> = report
        .skipped
        .count
        .iter()
        .map(|(why, count)| (why.as_str(), *count))
        .collect();
    println!(
        "{}",
        json!({
            "files": report.files,
            "lines": report.lines,
            "rules": rules,
            "findings": report.findings.len(),
            "duplicated_lines": report.duplicated_lines,
            "left_out": left_out,
        })
    );
}

/// What another engine found.
#[derive(Deserialize)]
struct Other {
    results: Vec<Match>,
}

#[derive(Deserialize)]
struct Match {
    check_id: String,
    path: String,
    start: Start,
}

#[derive(Deserialize)]
struct Start {
    line: u32,
}

fn same(places: &Path, other: &Path) -> Result<(), String> {
    let ours: BTreeSet<String> = read(places)?.lines().map(str::to_owned).collect();
    let found: Other = serde_json::from_str(&read(other)?).map_err(|error| error.to_string())?;
    let mut theirs = BTreeSet::new();
    for one in found.results {
        let rule = one.check_id.rsplit('.').next().unwrap_or(&one.check_id);
        // Their paths begin with the tree's.
        let path = ours_of(&one.path, "review-tree");
        theirs.insert(format!("{rule}\t{path}\t{}", one.start.line));
    }
    println!(
        "* patterns: {} places of ours, {} of the other engine, {} of both",
        ours.len(),
        theirs.len(),
        ours.intersection(&theirs).count(),
    );
    for (text, only) in [
        ("only ours", ours.difference(&theirs)),
        ("only the other's", theirs.difference(&ours)),
    ] {
        let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
        for place in only {
            let rule = place.split('\t').next().unwrap_or("");
            *by_rule.entry(rule).or_default() += 1;
        }
        let mut by_rule: Vec<(&str, usize)> = by_rule.into_iter().collect();
        by_rule.sort_by_key(|(rule, count)| (std::cmp::Reverse(*count), *rule));
        let by_rule = by_rule
            .iter()
            .map(|(rule, count)| format!("{rule} {count}"));
        println!("* {text}: {}", by_rule.collect::<Vec<_>>().join(", "));
    }
    Ok(())
}

/// Returns a path below the folder `tree`.
fn ours_of<'p>(path: &'p str, tree: &str) -> &'p str {
    let inside = path.split_once(tree).map(|(_, rest)| rest);
    inside.map_or(path, |rest| rest.trim_start_matches('/'))
}

/// A rule without flow, as far as another engine has the same.
#[derive(Deserialize)]
struct Rule {
    id: String,
    languages: Vec<String>,
    rule: Any,
}

#[derive(Deserialize)]
struct Any {
    any: Vec<Pattern>,
}

#[derive(Deserialize)]
struct Pattern {
    pattern: serde_json::Value,
}

impl Pattern {
    /// Returns the pattern without what only one grammar needs around it.
    fn bare(&self) -> String {
        let text = self.pattern.as_str();
        let text = text.or_else(|| self.pattern["context"].as_str());
        let text = text.unwrap_or_default();
        let inner = text
            .strip_prefix("func t() { ")
            .and_then(|text| text.strip_suffix(" }"));
        dots(inner.unwrap_or(text))
    }
}

fn translate(path: &Path) -> Result<(), String> {
    let rules: Vec<Rule> =
        ast_grep_config::from_multiple(&read(path)?).map_err(|error| error.to_string())?;
    let rules = rules.iter().map(|rule| {
        let patterns = rule.rule.any.iter();
        let patterns: Vec<_> = patterns.map(|one| json!({"pattern": one.bare()})).collect();
        let mut languages = rule.languages.clone();
        languages.retain(|language| language != "tsx");
        json!({
            "id": rule.id,
            "languages": languages,
            "severity": "INFO",
            "message": rule.id,
            "pattern-either": patterns,
        })
    });
    let rules: Vec<_> = rules.collect();
    println!("{}", json!({ "rules": rules }));
    Ok(())
}

/// Returns a pattern with `...` where it has `$$$NAME`.
fn dots(pattern: &str) -> String {
    let mut parts = pattern.split("$$$");
    let mut text = parts.next().unwrap_or("").to_owned();
    for part in parts {
        text.push_str("...");
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_uppercase()));
    }
    text
}
