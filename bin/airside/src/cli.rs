//! The command line.

mod contracts;
mod conversation;
pub(crate) mod eval;
mod firewall;
pub(crate) mod inventory;
mod key;
mod ledger;
mod policy;
pub(crate) mod review;
pub(crate) mod scan;

use std::{net::SocketAddr, path::PathBuf};

use airside_config::DATA_DIR;
use clap::{Args, Parser, Subcommand, ValueEnum, builder::Styles};
use url::Url;

pub(crate) use self::{
    contracts::{ContractDecision, ContractList, Contracts, WhichContract},
    conversation::{Conversation, ConversationRestore, Moment, Which},
    eval::Eval,
    firewall::{Firewall, FirewallTest},
    key::{Key, KeyRotate},
    ledger::{
        ArchiveAt, Backup, BackupStatus, BackupVerify, ChainArgs, Check, DeskArgs, Erase, Export,
        Head, Init, Ledger, Prove, Restore, Tail,
    },
    policy::{
        Approvals, ApprovalsDecide, ApprovalsList, Policy, PolicyExplain, PolicyFiles,
        PolicySimulate,
    },
};

const AFTER_HELP: &str = "\
Results go to standard output, everything else to standard error. Every command
that prints results takes --json. Exit codes: 0 done, 1 failed, 2 usage, 3 configuration,
4 no node, 5 refused by tool or policy, 6 ledger broken, 7 in use, 8 something differs,
9 limit of an evaluation reached, 10 evaluation shows nothing.

Examples:
  airside up                                       a governed travel endpoint on this machine
  airside call search_hotels place=Boston          call a tool through it
  airside ledger tail --follow                     watch what happens
  airside restore --to 2026-11-23T04:05:06Z --preview   what a restore would change
  airside explain CFG-003                          what an error code means";

/// One governed gateway between AI assistants and a travel company's MCP servers.
#[derive(Debug, Parser)]
#[command(name = "airside", version, after_help = AFTER_HELP, styles = Styles::plain())]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Print results as JSON.
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub(crate) json: bool,
    /// What to log to standard error: error, warn, info, debug, trace, or
    /// directives such as `info,airside_gateway=debug`. RUST_LOG does the same.
    #[arg(long, global = true, value_name = "LEVEL", env = "RUST_LOG")]
    #[arg(hide_env_values = true, help_heading = "Options of every command")]
    pub(crate) log_level: Option<String>,
    /// How to write the log.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    #[arg(env = "AIRSIDE_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(hide_env_values = true, help_heading = "Options of every command")]
    pub(crate) log_format: LogFormat,
}

/// How to write the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a node on this machine with the built-in travel server
    Up(Up),
    /// Start a node from a configuration file
    Serve(Serve),
    /// Call a tool
    Call(Call),
    /// List the tools and what they take
    Tools(Tools),
    /// Find components with vulnerabilities and decide what has to go when
    Scan(scan::Scan),
    /// Show what servers are made of, now and at any time before
    Inventory(inventory::Inventory),
    /// Show vulnerabilities of deployed servers, and decide about them
    #[command(subcommand)]
    Vulns(inventory::Vulns),
    /// Show the state of a running node
    Status(NodeArgs),
    /// Show how far callers are in their limits, and give units back
    Limits(Limits),
    /// Read and verify the ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// Look at the archive of a ledger
    #[command(subcommand)]
    Backup(Backup),
    /// Bring a ledger back as it was at some moment
    Restore(Restore),
    /// Erase a person: destroy the keys of everything personal
    Erase(Erase),
    /// Write everything about a person as one JSON document
    Export(Export),
    /// Look at conversations and bring earlier states back
    #[command(subcommand)]
    Conversation(Conversation),
    /// Look at what servers say of their tools, and accept changes
    #[command(subcommand)]
    Contracts(Contracts),
    /// Check and document the configuration
    #[command(subcommand)]
    Config(Config),
    /// Review code, and sample what people review
    Review(Box<review::Review>),
    /// Make, replace and list keys of callers
    #[command(subcommand)]
    Key(Key),
    /// Check, explain and try out policies
    #[command(subcommand)]
    Policy(Policy),
    /// Decide about calls that wait for a person
    #[command(subcommand)]
    Approvals(Approvals),
    /// Try texts against the firewall
    #[command(subcommand)]
    Firewall(Firewall),
    /// Test what a model does with the tools
    #[command(subcommand)]
    Eval(Eval),
    /// Explain an error code, or how one call was decided
    Explain(Explain),
}

const UP_HELP: &str = "\
The node keeps its ledger in the data folder, serves anonymous callers of this machine
only, and stops on Ctrl-C or SIGTERM after the running calls have ended; a second signal
hurries. The last line on standard output is `ready: URL`.

Examples:
  airside up
  airside up --data-dir /var/lib/airside --port 8080
  airside up --port 0 --json          any free port; one JSON line when ready";

/// Start a node on this machine with the built-in travel server.
#[derive(Debug, Args)]
#[command(after_help = UP_HELP)]
pub(crate) struct Up {
    /// Folder of the ledger; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "AIRSIDE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Port on 127.0.0.1; 0 takes any. Without it 7400, or a free one if that is taken.
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
}

const SERVE_HELP: &str = "\
SIGHUP or `airside config reload` reads the file again: a good one replaces the present
configuration for new calls, a bad one is reported and changes nothing.

Examples:
  airside config check airside.toml && airside serve --config airside.toml";

/// Start a node from a configuration file.
#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct Serve {
    /// Configuration in TOML.
    #[arg(long, value_name = "FILE", default_value = "airside.toml")]
    pub(crate) config: PathBuf,
    /// Folder of the ledger, instead of the one in the file.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Which MCP endpoint to use.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// Folder of the running node.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "AIRSIDE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// MCP endpoint to use instead of the node's own.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<Url>,
    /// Longest wait for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// File with the API key to show, or `-` for standard input.
    #[arg(long, value_name = "FILE", env = "AIRSIDE_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

const CALL_HELP: &str = "\
Values are read by the tool's own input schema: numbers, true/false, lists as a,b,c or
JSON, objects as JSON or with dots (stay.check_in=2026-12-01). A key that is given twice
makes a list. The exit code is 5 when the tool reports an error. A tool that confirms a
booking shows its terms and asks first.

Examples:
  airside call search_hotels place=Boston check_in=2026-12-01 check_out=2026-12-03
  airside call get_hotel property_id=htl_4930956_9 --json
  airside call search_hotels --arguments '{\"place\": \"Boston\"}'
  airside call echo text=hi --url https://mcp.example.com/mcp --key-file key.txt";

/// Call a tool.
#[derive(Debug, Args)]
#[command(after_help = CALL_HELP)]
pub(crate) struct Call {
    /// Name of the tool.
    pub(crate) tool: String,
    /// Arguments of the tool.
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) pairs: Vec<(String, String)>,
    /// Arguments as one JSON object; KEY=VALUE overrides its members.
    #[arg(long, value_name = "JSON")]
    pub(crate) arguments: Option<String>,
    /// Agree to the terms of what the tool confirms without being asked.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as key=value".to_owned()),
    }
}

/// List the tools and what they take.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  airside tools\n  airside tools --json")]
pub(crate) struct Tools {
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Which node to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodeArgs {
    /// Folder of the node.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "AIRSIDE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Control address of a node elsewhere, such as one at the end of a tunnel.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "key_file")]
    pub(crate) control: Option<SocketAddr>,
    /// File with the API key to show, or `-` for standard input.
    #[arg(long, value_name = "FILE", env = "AIRSIDE_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

const LIMITS_HELP: &str = "\
Lists the keys that are nearest to their limits. Concurrent calls are those of this node.

Examples:
  airside limits
  airside limits --json | jq '.keys[] | select(.used == .most)'
  airside limits reset per-client 'tenant=default client=api_key/ci' --reason 'load test'";

/// Show how far callers are in their limits, and give units back.
#[derive(Debug, Args)]
#[command(after_help = LIMITS_HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct Limits {
    #[command(subcommand)]
    pub(crate) command: Option<LimitsCommand>,
    /// Most keys to list.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 50)]
    pub(crate) most: usize,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// Give a key of a limit all its units back
    Reset(LimitsReset),
}

/// Give a key of a limit all its units back.
#[derive(Debug, Args)]
pub(crate) struct LimitsReset {
    /// Name of the limit, as it is listed.
    pub(crate) limit: String,
    /// The key, as it is listed; an empty text for the one that all calls share.
    pub(crate) key: String,
    /// Why, in one line. It is recorded.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  airside config check airside.toml\n  airside config schema > airside.schema.json"
)]
pub(crate) enum Config {
    /// Check a configuration file without starting anything
    Check {
        /// Configuration in TOML.
        #[arg(value_name = "FILE", default_value = "airside.toml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration, or its reference page
    Schema {
        /// Print the reference page instead.
        #[arg(long)]
        markdown: bool,
    },
    /// Make the running node read its configuration again
    Reload(NodeArgs),
}

const EXPLAIN_HELP: &str = "\
`airside explain call ID` shows from the ledger what proved the caller, which limits the
call counted against, which policies allowed or forbade it and what they looked at, which
firewall rules it met, and where the definition of the tool stood.

Examples:
  airside explain CFG-003
  airside explain --json LED-001
  airside explain call 0199a2f0-0000-7000-8000-000000000000";

/// Explain an error code, or how one call was decided.
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_HELP)]
pub(crate) struct Explain {
    /// Code, as printed in brackets after `error`; or `call`.
    pub(crate) code: String,
    /// Id of the call, as entries of the ledger name it.
    #[arg(value_name = "ID", required_if_eq("code", "call"))]
    pub(crate) call: Option<String>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn definition_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
