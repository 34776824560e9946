//! Measures the rules against files before and after the fix of a weakness.
//!
//! `cargo run --release -p airside-codereview --example fix_pairs -- FOLDER`
//!
//! FOLDER holds `index.jsonl`, one record a line, and for each record the files as far as
//! they could be read: `<id>/before/<path>` and `<id>/after/<path>`. They stay outside of
//! the repository. Of a record these members count: `id`, `rule_class`, `oracle`,
//! `expected_lines_before`, and `source.path`.
//!
//! # What it prints
//!
//! * **Found**: expected lines that a finding of the record's class covers, with one line
//!   of tolerance either side.
//! * **Remaining**: findings of weaknesses in all files after the fix, beside those before,
//!   of records that have both files. Where a guard was added the sink stays, which is
//!   counted apart.
//! * **By rule and certainty**: findings on expected lines, findings of the class that the
//!   fix was about in the file after it (false alarms), and others, which nobody judged.
//!   Precision is that of what was judged.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a program for people"
)]

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

use airside_codereview::{
    finding::{Certainty, Finding},
    review::{self, Request},
    rules::Rules,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Record {
    id: String,
    rule_class: String,
    oracle: String,
    expected_lines_before: Vec<u32>,
    source: Source,
}

#[derive(Deserialize)]
struct Source {
    path: String,
}

/// What was counted for one rule at one certainty.
#[derive(Default)]
struct Count {
    right: usize,
    wrong: usize,
    unjudged: usize,
}

/// What was counted for records of one kind.
#[derive(Default)]
struct Sum {
    records: usize,
    hit_records: usize,
    expected: usize,
    found: usize,
    pairs: usize,
    before: usize,
    after: usize,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.hit_records += other.hit_records;
        self.expected += other.expected;
        self.found += other.found;
        self.pairs += other.pairs;
        self.before += other.before;
        self.after += other.after;
    }

    fn row(&self) -> String {
        format!(
            "{:>3} of {:>3} files, {:>3} of {:>3} lines found {:>6}; {:>3} pairs: {:>3} findings before, {:>3} after {:>6}",
            self.hit_records,
            self.records,
            self.found,
            self.expected,
            percent(self.found, self.expected),
            self.pairs,
            self.before,
            self.after,
            percent(self.after, self.before),
        )
    }
}

type Counts = BTreeMap<(Certainty, String), Count>;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("fix_pairs FOLDER");
        return ExitCode::from(2);
    };
    match measure(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn measure(folder: &Path) -> Result<(), String> {
    let index = folder.join("index.jsonl");
    let text =
        fs::read_to_string(&index).map_err(|error| format!("{}: {error}", index.display()))?;
    let records = text.lines().map(serde_json::from_str::<Record>);
    let records: Vec<Record> = records
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{}: {error}", index.display()))?;
    let rules = Rules::builtin();
    let (mut all, mut missing) = (Sum::default(), 0);
    let (mut by_class, mut by_oracle) = (BTreeMap::new(), BTreeMap::new());
    let mut counts = Counts::new();
    for record in &records {
        let find = |side: &str| find(&folder.join(&record.id).join(side), record, &rules);
        let (before, after) = (find("before")?, find("after")?);
        missing += usize::from(before.is_none()) + usize::from(after.is_none());
        let sum = judge(record, before.as_deref(), after.as_deref(), &mut counts);
        all.add(&sum);
        let class: &mut Sum = by_class.entry(&record.rule_class).or_default();
        class.add(&sum);
        let oracle: &mut Sum = by_oracle.entry(&record.oracle).or_default();
        oracle.add(&sum);
    }
    println!("{} records, {missing} files missing", records.len());
    println!("{:<22} {}", "all", all.row());
    for (name, sum) in by_oracle.into_iter().chain(by_class) {
        println!("{name:<22} {}", sum.row());
    }
    println!("\nright, wrong (in a file after its fix), not judged; precision of what was judged");
    let mut totals: BTreeMap<Certainty, Count> = BTreeMap::new();
    for ((certainty, rule), count) in &counts {
        println!("{certainty:<9} {rule:<34} {}", row(count));
        let total = totals.entry(*certainty).or_default();
        total.right += count.right;
        total.wrong += count.wrong;
        total.unjudged += count.unjudged;
    }
    for (certainty, count) in &totals {
        println!("{certainty:<9} {:<34} {}", "all", row(count));
    }
    Ok(())
}

/// Returns the weaknesses of one side of a record; none where the file is missing.
fn find(root: &Path, record: &Record, rules: &Rules) -> Result<Option<Vec<Finding>>, String> {
    if !root.join(&record.source.path).is_file() {
        return Ok(None);
    }
    let report = review::run(&Request::new(root), rules, &|_| {})
        .map_err(|error| format!("{}: {error}", root.display()))?;
    if report.skipped.total() > 0 {
        eprintln!("{}: left out {:?}", root.display(), report.skipped.paths);
    }
    let weaknesses = report.findings.into_iter();
    let weaknesses = weaknesses.filter(|one| one.certainty > Certainty::Advice);
    Ok(Some(weaknesses.collect()))
}

fn judge(
    record: &Record,
    before: Option<&[Finding]>,
    after: Option<&[Finding]>,
    counts: &mut Counts,
) -> Sum {
    let mut sum = Sum::default();
    let is_of_class = |one: &Finding| one.class == record.rule_class;
    let covers = |one: &Finding, line: u32| {
        is_of_class(one) && one.place.from <= line + 1 && line <= one.place.to + 1
    };
    if let Some(before) = before {
        let lines = &record.expected_lines_before;
        let missed: Vec<u32> = lines
            .iter()
            .copied()
            .filter(|line| !before.iter().any(|one| covers(one, *line)))
            .collect();
        sum.records = 1;
        sum.expected = lines.len();
        sum.found = lines.len() - missed.len();
        sum.hit_records = usize::from(sum.found > 0);
        if !missed.is_empty() {
            println!(
                "{} {}: lines {missed:?} missed",
                record.id, record.rule_class
            );
        }
        for one in before {
            let count = count(counts, one);
            match lines.iter().any(|line| covers(one, *line)) {
                true => count.right += 1,
                false => count.unjudged += 1,
            }
        }
    }
    for one in after.unwrap_or_default() {
        let count = count(counts, one);
        match is_of_class(one) && record.oracle == "line-vanishes" {
            true => count.wrong += 1,
            false => count.unjudged += 1,
        }
    }
    if let (Some(before), Some(after)) = (before, after) {
        (sum.pairs, sum.before, sum.after) = (1, before.len(), after.len());
    }
    sum
}

fn count<'c>(counts: &'c mut Counts, finding: &Finding) -> &'c mut Count {
    let key = (finding.certainty, finding.what.rule.to_string());
    counts.entry(key).or_default()
}

fn row(count: &Count) -> String {
    format!(
        "{:>4} {:>4} {:>4} {:>6}",
        count.right,
        count.wrong,
        count.unjudged,
        percent(count.right, count.right + count.wrong)
    )
}

fn percent(part: usize, whole: usize) -> String {
    match whole {
        0 => "-".to_owned(),
        _ => format!("{:.0} %", 100.0 * part as f64 / whole as f64),
    }
}
