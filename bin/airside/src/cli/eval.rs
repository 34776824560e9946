//! The command line of `airside eval`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const EVAL_HELP: &str = "\
Examples:
  airside eval check travel                      a suite that ships inside
  airside eval check suites/concierge.yaml
  airside eval schema > suite.schema.json        completion in editors
  airside eval grade recordings/                 does the grader agree with what was recorded?";

/// Test what a model does with the tools.
#[derive(Debug, Subcommand)]
#[command(after_help = EVAL_HELP)]
pub(crate) enum Eval {
    /// Check a suite without running anything
    Check(SuiteArg),
    /// Print the JSON Schema of suites
    Schema,
    /// Grade recorded conversations and compare with the verdicts recorded for them
    Grade(Grade),
}

/// Which suite.
#[derive(Debug, Clone, Args)]
pub(crate) struct SuiteArg {
    /// A YAML file, or the name of a suite that ships inside.
    #[arg(value_name = "SUITE")]
    pub(crate) suite: PathBuf,
}

/// Grade recorded conversations and compare with the verdicts recorded for them.
#[derive(Debug, Args)]
pub(crate) struct Grade {
    /// Folder of recordings: AgentDojo's travel suite, tau and tau2 airline, or the
    /// function-calling leaderboard, told by its files.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}
