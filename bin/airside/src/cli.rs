//! The command line.

mod contracts;
mod conversation;
pub(crate) mod eval;
mod firewall;
pub(crate) mod inventory;
mod policy;
pub(crate) mod review;
pub(crate) mod scan;

use std::{net::SocketAddr, path::PathBuf};

use airside_archive::restore::Until;
use airside_base::{ServerId, TenantId};
use airside_ledger::{
    conversation::Region,
    note::Verifier,
    personal::{Purpose, SubjectId},
};
use clap::{Args, Parser, Subcommand, ValueEnum, builder::Styles};
use url::Url;

pub(crate) use self::{
    contracts::{ContractDecision, ContractList, Contracts, WhichContract},
    conversation::{Conversation, ConversationRestore, Moment, Which},
    eval::Eval,
    firewall::{Firewall, FirewallTest},
    policy::{
        Approvals, ApprovalsDecide, ApprovalsList, Policy, PolicyExplain, PolicyFiles,
        PolicySimulate,
    },
};

/// Where a node keeps its ledger unless told otherwise.
pub(crate) const DATA_DIR: &str = "airside-data";

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

const LEDGER_HELP: &str = "\
A running node is asked through the control socket in its data folder. When none runs
the files are opened directly.

Examples:
  airside ledger tail -n 50
  airside ledger tail --follow --json | jq .kind
  airside ledger verify
  airside ledger prove 42 -o entry-42.proof.json
  airside ledger check entry-42.proof.json --key airside-…+…+…
  airside ledger prove 97 --extends entry-42.proof.json -o entry-97.proof.json";

#[derive(Debug, Subcommand)]
#[command(after_help = LEDGER_HELP)]
pub(crate) enum Ledger {
    /// Show the newest entries
    Tail(Tail),
    /// Check every entry and its place in the chain
    Verify(NodeArgs),
    /// Show the newest position of a chain
    Head(Head),
    /// Prove one entry by a file that stands alone
    Prove(Prove),
    /// Check a proof, without a node and without the ledger
    Check(Check),
    /// Print the public key that proofs are checked with
    Key(NodeArgs),
    /// Make the tables of a PostgreSQL ledger and let a role append to them
    Init(Init),
}

/// Prove one entry by a file that stands alone.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// Number of the entry.
    pub(crate) seq: u64,
    /// File to write; without it the proof goes to standard output.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Earlier proof of the same chain: prove as well that nothing of what was sealed
    /// then has changed since.
    #[arg(long, value_name = "FILE")]
    pub(crate) extends: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Check a proof, without a node and without the ledger.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// File that `airside ledger prove` wrote.
    pub(crate) file: PathBuf,
    /// Public key of the ledger, as `airside ledger key` printed it at the source.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Verifier,
    /// Earlier proof that this one has to extend.
    #[arg(long, value_name = "FILE")]
    pub(crate) extends: Option<PathBuf>,
}

const INIT_HELP: &str = "\
Run once, and again after an upgrade, as the owner of the database. The role has to exist;
Airside runs as that role, which can append to the ledger and read it, and nothing else.
The keys of persons get a schema of their own, `airside_keys`: leave it out of the backups
of the ledger (pg_dump -N airside_keys), and keep its own for a few days at most.

Examples:
  createuser airside_node
  airside ledger init --url-file owner.url --role airside_node
  airside ledger init --url-file keys-owner.url --role airside_node --only-keys";

/// Make the tables of a PostgreSQL ledger and let a role append to them.
#[derive(Debug, Args)]
#[command(after_help = INIT_HELP)]
pub(crate) struct Init {
    /// File that holds the URL of the database's owner, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) url_file: PathBuf,
    /// Role that Airside will run as.
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: String,
    /// Make only the tables for the keys of persons, in a database of their own.
    #[arg(long)]
    pub(crate) only_keys: bool,
}

/// Which archive.
#[derive(Debug, Clone, Args)]
pub(crate) struct ArchiveArgs {
    /// Where the archive is, such as file:///mnt/archive or s3://bucket/prefix.
    #[arg(long, value_name = "URL")]
    pub(crate) archive: Url,
    #[command(flatten)]
    pub(crate) at: ArchiveAt,
}

/// How an archive is reached and read.
#[derive(Debug, Clone, Args)]
pub(crate) struct ArchiveAt {
    /// Key file of the archive; `archive.key` in the data folder unless given.
    #[arg(long, value_name = "FILE", requires = "archive")]
    pub(crate) archive_key: Option<PathBuf>,
    /// Where the storage of an s3:// archive is, if it is not Amazon's.
    #[arg(long, value_name = "URL", requires = "archive")]
    pub(crate) archive_endpoint: Option<Url>,
    /// Region of the storage.
    #[arg(long, value_name = "NAME", requires = "archive")]
    pub(crate) archive_region: Option<String>,
    /// File with its credentials, as Amazon's tools write it; otherwise the environment.
    #[arg(long, value_name = "FILE", requires = "archive")]
    pub(crate) archive_credentials: Option<PathBuf>,
}

/// Which ledger.
#[derive(Debug, Clone, Args)]
pub(crate) struct LedgerArgs {
    /// Folder of the ledger.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "AIRSIDE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// File with the URL of the ledger's database, if it is in PostgreSQL.
    #[arg(long, value_name = "FILE")]
    pub(crate) url_file: Option<PathBuf>,
}

/// Which installation: the node that runs on the folder or, when none runs, its files.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeskArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Control address of a node elsewhere, such as one at the end of a tunnel.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "key_file")]
    pub(crate) control: Option<SocketAddr>,
    /// File with the API key to show, or `-` for standard input.
    #[arg(long, value_name = "FILE", env = "AIRSIDE_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// File with the URL of the keys' database, as `url-file` in `[keys]`, when no node
    /// runs.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys_url_file: Option<PathBuf>,
    /// File of the key that wraps them, as `vault-file` in `[keys]`, when no node runs;
    /// `vault.key` in the data folder unless given.
    #[arg(long, value_name = "FILE")]
    pub(crate) vault_file: Option<PathBuf>,
    /// Region to work in, as `region` in `[conversation]`, when no node runs.
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<Region>,
}

const BACKUP_HELP: &str = "\
A node writes the archive that [archive] in its configuration names. These commands only
read, whether a node runs or not.

Examples:
  airside backup status --archive file:///mnt/archive
  airside backup verify --archive file:///mnt/archive --archive-key copy-of-archive.key
  airside backup drill --archive file:///mnt/archive";

#[derive(Debug, Subcommand)]
#[command(after_help = BACKUP_HELP)]
pub(crate) enum Backup {
    /// Show how far the archive is behind the ledger
    Status(BackupStatus),
    /// Read every object of the archive and check it
    Verify(BackupVerify),
    /// Restore the archive into a scratch folder and compare it with the ledger, as a
    /// node does every hour
    Drill(BackupStatus),
}

#[derive(Debug, Args)]
pub(crate) struct BackupStatus {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupVerify {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    /// Folder that holds the key file unless --archive-key is given.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "AIRSIDE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
}

const RESTORE_HELP: &str = "\
The target has to be new or empty; nothing is ever overwritten. The source is the archive
or, without --archive, the ledger in --data-dir or --url-file, which is only read.

Examples:
  airside restore --archive file:///mnt/archive --to latest --into sqlite:restored
  airside restore --to 2026-11-23T04:05:06.789Z --into sqlite:before
  airside restore --to 2026-11-23T04:05:06.789Z --preview
  airside restore --to 1200 --tenant acme --into postgres:database.url
  airside restore --to latest --tenant acme --subject subject-8f3a --into sqlite:person";

/// Bring a ledger back as it was at some moment.
#[derive(Debug, Args)]
#[command(after_help = RESTORE_HELP)]
pub(crate) struct Restore {
    /// `latest`, a time, the number of an entry (with --tenant), or `manifest:NUMBER`.
    #[arg(long, value_name = "MOMENT")]
    pub(crate) to: Until,
    /// Bring back the chain of one tenant only.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<TenantId>,
    /// Bring back only what was known of one person of the tenant, as a chain of its own.
    #[arg(
        long,
        value_name = "SUBJECT",
        allow_hyphen_values = true,
        requires = "tenant"
    )]
    pub(crate) subject: Option<SubjectId>,
    /// Read from this archive.
    #[arg(long, value_name = "URL")]
    pub(crate) archive: Option<Url>,
    #[command(flatten)]
    pub(crate) at: ArchiveAt,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Where to: `sqlite:FOLDER`, or `postgres:FILE` with a file that holds the URL of
    /// a database that `airside ledger init` has prepared.
    #[arg(long, value_name = "PLACE", required_unless_present = "preview")]
    pub(crate) into: Option<crate::restore::Place>,
    /// Only show what would differ from the ledger in --data-dir or --url-file.
    #[arg(long, conflicts_with = "into")]
    pub(crate) preview: bool,
}

const ERASE_HELP: &str = "\
Personal values in the ledger, in its archive and in every copy of them become unreadable
for good; proofs and `airside ledger verify` still hold. May be repeated. A running node
does it itself; the files are opened when none runs. Old copies of the keys (keys.db, or
the schema airside_keys) have to be thrown away.

Examples:
  airside erase subject-8f3a
  airside erase subject-8f3a --purpose service --purpose law";

/// Erase a person: destroy the keys of everything personal.
#[derive(Debug, Args)]
#[command(after_help = ERASE_HELP)]
pub(crate) struct Erase {
    /// Pseudonym of the person.
    #[arg(value_name = "SUBJECT", allow_hyphen_values = true)]
    pub(crate) subject: SubjectId,
    /// `service` for what is kept to serve the person, `law` for what the law requires;
    /// may be repeated.
    #[arg(long = "purpose", value_name = "PURPOSE", default_value = "service")]
    pub(crate) purposes: Vec<Purpose>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) desk: DeskArgs,
}

/// Write everything about a person as one JSON document.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  airside export subject-8f3a -o subject.json")]
pub(crate) struct Export {
    /// Pseudonym of the person.
    #[arg(value_name = "SUBJECT", allow_hyphen_values = true)]
    pub(crate) subject: SubjectId,
    /// File to make, for this user alone; without it the document goes to standard output.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) desk: DeskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// How many entries.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) lines: u64,
    /// Go on showing entries as they are made.
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Head {
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Which chain.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChainArgs {
    /// Tenant whose chain is meant.
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) tenant: TenantId,
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

const KEY_HELP: &str = "\
The key is shown once, on standard output, and stored nowhere. The block below it goes
into the configuration and holds only its SHA-256.

Examples:
  airside key new --name front-desk
  airside key new --name ci --group operators --days 90 --json
  airside key new --upstream hotel --tenant acme";

const ROTATE_HELP: &str = "\
Prints a new key and the block that takes the place of the caller's in the file. The
caller keeps its name, tenant and groups, and may show the former key until the overlap
ends; entries tell which of them it showed. The file itself is not changed.

Examples:
  airside key rotate front-desk
  airside key rotate ci --overlap-hours 2 --days 90 --config /etc/airside.toml --json";

const LIST_HELP: &str = "\
Lists the keys of callers and upstream servers in the file, and what has become of them.
A key is named by the first eight digits of its SHA-256, as in the evidence of entries.

Examples:
  airside key list
  airside key list --json | jq '.[] | select(.state != \"good\")'";

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Mint an API key
    #[command(after_help = KEY_HELP)]
    New {
        /// Name of the caller that will hold it.
        #[arg(long, required_unless_present = "upstream")]
        name: Option<String>,
        /// Group of the caller; may be repeated.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// Tenant of the caller.
        #[arg(long, value_name = "NAME", default_value_t)]
        tenant: TenantId,
        /// Upstream server that will hold it, to keep the state of its conversations
        /// through the control API and do nothing else.
        #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "groups"])]
        upstream: Option<ServerId>,
        /// Days until it expires; never for a caller unless given.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=3650))]
        #[arg(default_value_if("upstream", clap::builder::ArgPredicate::IsPresent, "90"))]
        days: Option<u16>,
    },
    /// Replace the API key of a caller, which may show the former one for a while
    Rotate(KeyRotate),
    /// List the keys in the configuration and when they end
    #[command(after_help = LIST_HELP)]
    List {
        /// Configuration in TOML.
        #[arg(long, value_name = "FILE", default_value = "airside.toml")]
        config: PathBuf,
    },
}

/// Replace the API key of a caller, which may show the former one for a while.
#[derive(Debug, Args)]
#[command(after_help = ROTATE_HELP)]
pub(crate) struct KeyRotate {
    /// Name of the caller.
    pub(crate) name: String,
    /// Configuration in TOML.
    #[arg(long, value_name = "FILE", default_value = "airside.toml")]
    pub(crate) config: PathBuf,
    /// Tenant of the caller.
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) tenant: TenantId,
    /// Hours until the former key is refused.
    #[arg(long, value_name = "N", default_value_t = 24)]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=8_760))]
    pub(crate) overlap_hours: u16,
    /// Days until the new key expires. Unless given 90 where the former one had an end,
    /// and never where it had none.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub(crate) days: Option<u16>,
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
