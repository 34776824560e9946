//! `airside contracts …`.

use airside_base::ServerId;
use clap::{Args, Subcommand};

use super::NodeArgs;

const CONTRACTS_HELP: &str = "\
What a server says of its tools is frozen: a change that the rules under [contracts] do
not accept waits here. What is accepted is named by its digest, so that it is what was
looked at. The tool `.` is what the server says of itself.

Examples:
  airside contracts list
  airside contracts diff crm find_guest
  airside contracts accept crm find_guest --digest 3f2a91c0b7de --reason 'release 2.4'
  airside contracts quarantine crm export --reason 'asks for a webhook'";

#[derive(Debug, Subcommand)]
#[command(after_help = CONTRACTS_HELP)]
pub(crate) enum Contracts {
    /// List the tools that wait for a decision
    List(ContractList),
    /// Show all definitions of a tool that are known
    Show(WhichContract),
    /// Show what has changed
    Diff(WhichContract),
    /// Serve what the server says now
    Accept(ContractDecision),
    /// Serve what the server said before
    Hold(ContractDecision),
    /// Neither list the tool nor let it be called
    Quarantine(ContractDecision),
}

#[derive(Debug, Args)]
pub(crate) struct ContractList {
    /// Only the tools of this server.
    pub(crate) server: Option<ServerId>,
    /// Also those that are accepted.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Which tool.
#[derive(Debug, Args)]
pub(crate) struct WhichContract {
    /// The server, as configured.
    pub(crate) server: ServerId,
    /// The server's own name of the tool, or `.` for what it says of itself.
    pub(crate) tool: String,
    /// Callers to whom the server says the same, as `airside contracts list` shows it.
    #[arg(long, value_name = "NAME", default_value = "gateway")]
    pub(crate) class: String,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// What a person decides.
#[derive(Debug, Args)]
pub(crate) struct ContractDecision {
    #[command(flatten)]
    pub(crate) which: WhichContract,
    /// Digest of the definition that was looked at: at least its first 12 digits. Needed
    /// to accept and to hold.
    #[arg(long, value_name = "HEX")]
    pub(crate) digest: Option<String>,
    /// Why; stays in the ledger in clear.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}
