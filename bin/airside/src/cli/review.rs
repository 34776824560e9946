//! The command line of `airside review`.

mod register;

use std::path::PathBuf;

use airside_base::Timestamp;
use airside_governance::lot::{After, Class, Exclusion, Word};
use clap::{Args, Subcommand, ValueEnum};

use super::{ChainArgs, NodeArgs};
pub(crate) use register::{
    Assign, Collect, Except, Explain, FindingsList, Lessons, LessonsCommand, PageArgs,
};

const REVIEW_HELP: &str = "\
Reads Python, TypeScript, JavaScript, Go, Rust and Java below the folder, as far as ignore
files allow (.gitignore, .ignore, .airsideignore); runs nothing of it. What was left out is
said. With --base only lines count that were added since that revision. The exit code is 5
when something is found that --fail-on names.

Examples:
  airside review
  airside review src --base origin/main
  airside review --base origin/main --format markdown --fail-on likely --fail-on copies
  airside review --format sarif > review.sarif
  airside review --record --repository hotels";

/// Review code, and sample what people review.
#[derive(Debug, Args)]
#[command(after_help = REVIEW_HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct Review {
    #[command(subcommand)]
    pub(crate) command: Option<ReviewCommand>,
    #[command(flatten)]
    pub(crate) what: What,
    /// Revision to compare with: review what was added since. Asks `git` for objects.
    #[arg(long, value_name = "REV")]
    pub(crate) base: Option<String>,
    /// How to print what is found.
    #[arg(long, value_enum, default_value_t = ReviewFormat::Table)]
    pub(crate) format: ReviewFormat,
    /// What fails the command: findings at least this certain, copies, or none of it; may
    /// be repeated.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "likely")]
    pub(crate) fail_on: Vec<FailOn>,
    /// Name of the repository in the ledger: what is excepted there does not count.
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<String>,
    /// Write to the ledger what --fail-on names, and what of it is no longer there. For a
    /// whole tree.
    #[arg(long, requires = "repository", conflicts_with = "base")]
    pub(crate) record: bool,
    /// The version that is recorded; the present commit unless given.
    #[arg(long, value_name = "COMMIT", requires = "record")]
    pub(crate) revision: Option<String>,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// What is reviewed, and by what.
#[derive(Debug, Args)]
pub(crate) struct What {
    /// Folder to review. Its `.airside/review.toml` says what the house asks of changes.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// File of further rules; may be repeated. A rule brings examples that it must and must
    /// not find.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// Folder of what earlier reviews have learned: only what changed is looked at again. Not
    /// one that others can write to.
    #[arg(long, value_name = "FOLDER", env = "AIRSIDE_REVIEW_MEMORY")]
    pub(crate) memory: Option<PathBuf>,
    /// Look for nothing else: not for what a change owes either.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) only: Option<Only>,
    /// File of findings that are known: only others count. It may hold exceptions with a
    /// reason, an owner and an end.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Write what --fail-on names to the file of known findings.
    #[arg(long, requires = "baseline")]
    pub(crate) write_baseline: bool,
}

/// What alone a review looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// What the rules name.
    Weaknesses,
    /// Duplicated code.
    Copies,
}

/// How to print what a review finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReviewFormat {
    /// Rows for people.
    Table,
    /// Everything, as one JSON object.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
    /// A comment on a change.
    Markdown,
}

/// What fails a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Nothing.
    None,
    /// What is proven.
    Proven,
    /// What is proven or likely.
    Likely,
    /// Also what has the shape of a weakness.
    Pattern,
    /// Everything.
    Advice,
    /// Duplicated code.
    Copies,
    /// Size, shape, tests, forbidden calls and debt of a change.
    Standards,
    /// Documentation that a change owes.
    Documentation,
    /// Decisions and lessons that a change owes.
    Decisions,
    /// Declarations of who wrote a change.
    Attribution,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// Tell what a change does and what a person should look at
    Change(ReviewChange),
    /// Sample merged changes for review by people, and state what that shows
    #[command(subcommand)]
    Lot(Lot),
    /// List findings that are recorded, the worst first
    Findings(FindingsList),
    /// Explain one finding: its way, its owner, what happened
    Explain(Explain),
    /// Accept a finding until a day
    Except(Except),
    /// Name who looks after a finding
    Assign(Assign),
    /// List lessons that reverts, incidents and defects owe, and pay them
    Lessons(Lessons),
    /// Print lots, findings and lessons as an HTML page
    Page(PageArgs),
}

const CHANGE_HELP: &str = "\
The brief says what a change does to contracts, data, money, permissions and architecture,
which files ask for a person, what was found, who wrote it as far as that is declared, and
a score that adds up what it names. --format lot prints the line that `review lot draw`
takes.

Examples:
  airside review change --base origin/main > comment.md
  airside review change --base v1.4.0 --format lot --repository hotels >> merged.jsonl";

/// Tell what a change does and what a person should look at.
#[derive(Debug, Args)]
#[command(after_help = CHANGE_HELP)]
pub(crate) struct ReviewChange {
    #[command(flatten)]
    pub(crate) what: What,
    /// Revision to compare with. Asks `git` for objects.
    #[arg(long, value_name = "REV")]
    pub(crate) base: String,
    /// How to print the brief.
    #[arg(long, value_enum, default_value_t = ChangeFormat::Markdown)]
    pub(crate) format: ChangeFormat,
    /// Name of the repository, for a lot.
    #[arg(long, value_name = "NAME", required_if_eq("format", "lot"))]
    pub(crate) repository: Option<String>,
    /// When it was merged, for a lot; now unless given.
    #[arg(long, value_name = "TIME")]
    pub(crate) merged: Option<Timestamp>,
    /// What fails the command; may be repeated.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "none")]
    pub(crate) fail_on: Vec<FailOn>,
}

/// How to print the brief of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangeFormat {
    /// A comment on a merge request.
    Markdown,
    /// Everything, as one JSON object.
    Json,
    /// One line for `review lot draw`.
    Lot,
}

const LOT_HELP: &str = "\
A lot is all changes of a repository merged between its opening and its end. Risky ones
are all reviewed; of the rest a random sample is drawn with a key that was committed to
when the lot opened. There is one look, when the lot is closed; until then only counts
are shown. docs/review.md has the whole procedure.

Examples:
  airside review lot open 2026-11 --repository hotels --until 2026-12-01T00:00:00Z --draw-key lot.key
  airside review lot draw 2026-11 --draw-key lot.key --changes merged.jsonl
  airside review lot verdict 2026-11 CHANGE --word no-defect --reviewer r7 --minutes 12 --revision 4f2a
  airside review lot close 2026-11 --draw-key lot.key
  airside review lot report 2026-11";

/// Sample merged changes for review by people, and state what that shows.
#[derive(Debug, Subcommand)]
#[command(after_help = LOT_HELP)]
pub(crate) enum Lot {
    /// Write down the plan of a lot and commit to its key
    Open(LotOpen),
    /// Tell which changes are reviewed in any case, before they are merged or later
    Sort(LotSort),
    /// Draw the sample of a lot that has ended
    Draw(LotDraw),
    /// Record what a reviewer says of one change
    Verdict(LotVerdict),
    /// Look at a lot once, reveal its key and state the bound
    Close(LotClose),
    /// Show a lot, or all of them
    Report(LotReport),
    /// Record that a change was reverted, repaired or caused an incident
    Outcome(LotOutcome),
}

/// Where lots are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct LotPlace {
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Write down the plan of a lot and commit to its key.
#[derive(Debug, Args)]
pub(crate) struct LotOpen {
    /// Name of the lot.
    pub(crate) lot: String,
    /// Name of the repository whose changes are sampled.
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: String,
    /// When the lot ends.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Timestamp,
    /// File for the key of the draw; made, for this user alone. Keep it secret until the
    /// lot is closed.
    #[arg(long, value_name = "FILE")]
    pub(crate) draw_key: PathBuf,
    /// Show that fewer than this part of the sampled changes are defective.
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    pub(crate) limit: u32,
    /// Defects in the sample with which it shall still show that.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) accept: usize,
    /// Count defects of this class and worse: minor, major or critical.
    #[arg(long, value_name = "CLASS", default_value = "major")]
    pub(crate) counts: Class,
    /// Review every change with this risk score or more.
    #[arg(long, value_name = "SCORE", default_value_t = 50)]
    pub(crate) threshold: u32,
    /// Leave out changes that are empty, generated or vendored; may be repeated.
    #[arg(long, value_name = "KIND")]
    pub(crate) exclude: Vec<Exclusion>,
    /// Days after the draw at which missing verdicts count as defects.
    #[arg(long, value_name = "N", default_value_t = 14)]
    pub(crate) due_days: u32,
    /// Version of the checklist that reviewers follow.
    #[arg(long, value_name = "NAME", default_value = "1")]
    pub(crate) checklist: String,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Tell which changes are reviewed in any case.
#[derive(Debug, Args)]
pub(crate) struct LotSort {
    /// Name of the lot.
    pub(crate) lot: String,
    /// Changes, one JSON object a line, as `airside review change --format lot` prints them.
    #[arg(long, value_name = "FILE")]
    pub(crate) changes: PathBuf,
    /// Fail if one of them is reviewed in any case: a pipeline then asks for a person.
    #[arg(long)]
    pub(crate) fail_mandatory: bool,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Draw the sample of a lot that has ended.
#[derive(Debug, Args)]
pub(crate) struct LotDraw {
    /// Name of the lot.
    pub(crate) lot: String,
    /// The key that the lot was opened with.
    #[arg(long, value_name = "FILE")]
    pub(crate) draw_key: PathBuf,
    /// All merged changes, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) changes: PathBuf,
    /// Changes with known defects to hide among the drawn ones, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) planted: Option<PathBuf>,
    /// Public text that nobody could know before the lot ended.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) beacon: String,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Record what a reviewer says of one change.
#[derive(Debug, Args)]
pub(crate) struct LotVerdict {
    /// Name of the lot.
    pub(crate) lot: String,
    /// Id of the change, as `report` lists it.
    pub(crate) change: String,
    /// no-defect, defect or cannot-tell, which counts as a defect.
    #[arg(long, value_name = "WORD")]
    pub(crate) word: Word,
    /// How bad the defect is: minor, major or critical.
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<Class>,
    /// What sort of defect it is.
    #[arg(long, value_name = "TEXT")]
    pub(crate) sort: Option<String>,
    /// What shows the defect.
    #[arg(long, value_name = "TEXT")]
    pub(crate) evidence: Option<String>,
    /// Who says so; a handle, since the ledger never forgets.
    #[arg(long, value_name = "ID")]
    pub(crate) reviewer: String,
    /// How long it took.
    #[arg(long, value_name = "N")]
    pub(crate) minutes: u32,
    /// The version that was read.
    #[arg(long, value_name = "COMMIT")]
    pub(crate) revision: String,
    /// Version of the checklist that was followed.
    #[arg(long, value_name = "NAME", default_value = "1")]
    pub(crate) checklist: String,
    /// Replace an earlier verdict, which stays in the ledger.
    #[arg(long)]
    pub(crate) supersede: bool,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Look at a lot once, reveal its key and state the bound.
#[derive(Debug, Args)]
pub(crate) struct LotClose {
    /// Name of the lot.
    pub(crate) lot: String,
    /// The key that the lot was opened with.
    #[arg(long, value_name = "FILE")]
    pub(crate) draw_key: PathBuf,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Show a lot, or all of them.
#[derive(Debug, Args)]
pub(crate) struct LotReport {
    /// Name of the lot; all of them unless given.
    pub(crate) lot: Option<String>,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Record that a change was reverted, repaired or caused an incident.
#[derive(Debug, Args)]
pub(crate) struct LotOutcome {
    /// Name of the lot.
    pub(crate) lot: String,
    /// Id of the change.
    pub(crate) change: String,
    /// revert, hotfix or incident.
    #[arg(long, value_name = "WORD")]
    pub(crate) after: After,
    /// Where it is described.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reference: String,
    /// Days until the lesson is due that this owes.
    #[arg(long, value_name = "N", default_value_t = 14)]
    pub(crate) lesson_days: u32,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Reads a share with at most two decimals as ten-thousandths.
fn percent(text: &str) -> Result<u32, String> {
    let wrong = || "write a percentage such as 5, 0.5 or 2.25".to_owned();
    let text = text.trim_end_matches('%');
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 2 || whole.is_empty() {
        return Err(wrong());
    }
    let digits = format!("{whole}{part:0<2}");
    let value: u32 = digits.parse().map_err(|_| wrong())?;
    (1..=10_000)
        .contains(&value)
        .then_some(value)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn percentages_are_exact() {
        for (text, value) in [("5", 500), ("0.5", 50), ("2.25%", 225), ("100", 10_000)] {
            assert_eq!(percent(text), Ok(value), "{text}");
        }
        for text in ["0", "", "101", "1.234", "-1", "five", ".5"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
