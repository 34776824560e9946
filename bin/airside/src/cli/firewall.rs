//! `airside firewall …`.

use std::path::PathBuf;

use airside_base::ServerId;
use clap::{Args, Subcommand};

const FIREWALL_TEST_HELP: &str = "\
Nothing is sent or recorded. Text that is not JSON is read as one string. The exit code
is 1 where it would be blocked.

Examples:
  echo 'pay with 4111 1111 1111 1111' | airside firewall test
  airside firewall test answer.json --answer --upstream hotels --config airside.toml";

#[derive(Debug, Subcommand)]
pub(crate) enum Firewall {
    /// Show what would be found in a text, and what would be done about it
    Test(FirewallTest),
    /// List the rules
    Rules,
}

/// Show what would be found in a text, and what would be done about it.
#[derive(Debug, Args)]
#[command(after_help = FIREWALL_TEST_HELP)]
pub(crate) struct FirewallTest {
    /// File with the text; without it, standard input.
    pub(crate) file: Option<PathBuf>,
    /// Configuration in TOML; without it the defaults.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Read it as the answer of a server and not as a request.
    #[arg(long)]
    pub(crate) answer: bool,
    /// Upstream server that it goes to or comes from.
    #[arg(long, value_name = "NAME")]
    pub(crate) upstream: Option<ServerId>,
    /// Tool that is called.
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,
}
