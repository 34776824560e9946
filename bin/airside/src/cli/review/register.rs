//! The command line of findings and lessons in the ledger.

use std::path::PathBuf;

use airside_governance::lesson::Cause;
use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::LotPlace;

const FINDINGS_HELP: &str = "\
Findings get here by `airside review --record --repository NAME`, and end when a later
recording has read their file and no longer finds them.

Examples:
  airside review findings
  airside review findings --repository hotels --all --json
  airside review explain R-1f0c2a9b77d4
  airside review assign R-1f0c2a9b77d4 --owner payments
  airside review except R-1f0c2a9b77d4 --until 2027-03-31 --owner payments --reason 'parser is not reachable'";

/// List findings that are recorded.
#[derive(Debug, Args)]
#[command(after_help = FINDINGS_HELP)]
pub(crate) struct FindingsList {
    /// Only those of this repository.
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<String>,
    /// Only those that this team or person looks after.
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Also those that have ended.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Explain one finding.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Its id, or the beginning of its fingerprint.
    pub(crate) finding: String,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Accept a finding until a day.
#[derive(Debug, Args)]
pub(crate) struct Except {
    /// Its id, or the beginning of its fingerprint.
    pub(crate) finding: String,
    /// The last day, at most a year away.
    #[arg(long, value_name = "DAY")]
    pub(crate) until: Date,
    /// Who answers for that; a handle, since the ledger never forgets.
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: String,
    /// Why it may stay; stays in the ledger in clear.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Name who looks after a finding.
#[derive(Debug, Args)]
pub(crate) struct Assign {
    /// Its id, or the beginning of its fingerprint.
    pub(crate) finding: String,
    /// A team or a handle.
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: String,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

const LESSONS_HELP: &str = "\
A revert, a hotfix, an incident and a defect that a reviewer found owe a lesson: a file in
the folder of lessons that cites the change and names the rule, the test or the decision
that follows from it.

Examples:
  airside review lessons
  airside review lessons collect --repository hotels --base v1.4.0
  airside review lessons owe 4f2a91c --repository hotels --after incident --reference 'INC-7'
  airside review lessons waive L-1f0c2a9b77d4 --reason 'the provider was down; nothing of ours'
  airside review lessons --fail-overdue";

/// List lessons that are owed.
#[derive(Debug, Args)]
#[command(after_help = LESSONS_HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct Lessons {
    #[command(subcommand)]
    pub(crate) command: Option<LessonsCommand>,
    /// Only those of this repository.
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<String>,
    /// Also those that are learned or waived.
    #[arg(long)]
    pub(crate) all: bool,
    /// Fail if one is overdue.
    #[arg(long)]
    pub(crate) fail_overdue: bool,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// What happens to lessons.
#[derive(Debug, Subcommand)]
pub(crate) enum LessonsCommand {
    /// Write down what reverts in the history owe, and what files pay
    Collect(Collect),
    /// Write down that a change owes a lesson
    Owe(Owe),
    /// Say why there is nothing to learn
    Waive(Waive),
}

/// Write down what reverts in the history owe, and what files pay.
#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// Folder of the repository. Its `.airside/review.toml` names the folder of lessons.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Name of the repository.
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: String,
    /// Revision behind which reverts are looked for. Asks `git` for texts of commits.
    #[arg(long, value_name = "REV")]
    pub(crate) base: Option<String>,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Write down that a change owes a lesson.
#[derive(Debug, Args)]
pub(crate) struct Owe {
    /// The change: id of the commit that brought it in.
    #[arg(value_name = "COMMIT")]
    pub(crate) change: String,
    /// Name of the repository.
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: String,
    /// revert, hotfix, incident or defect.
    #[arg(long, value_name = "WORD")]
    pub(crate) after: Cause,
    /// Where it is described.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reference: String,
    /// Days until it is due.
    #[arg(long, value_name = "N", default_value_t = 14)]
    pub(crate) days: u32,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

/// Say why there is nothing to learn.
#[derive(Debug, Args)]
pub(crate) struct Waive {
    /// Id of the lesson.
    pub(crate) lesson: String,
    /// Why; stays in the ledger in clear.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}

const PAGE_HELP: &str = "\
One page without scripts or foreign resources, for a browser or a static host.

Examples:
  airside review page > reviews.html
  airside review page --repository hotels --all > hotels.html";

/// Print lots, findings and lessons as an HTML page.
#[derive(Debug, Args)]
#[command(after_help = PAGE_HELP)]
pub(crate) struct PageArgs {
    /// Only those of this repository.
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<String>,
    /// Also findings that have ended and lessons that are paid.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) place: LotPlace,
}
