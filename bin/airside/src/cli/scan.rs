//! What `airside scan` takes.

use std::path::PathBuf;

use airside_base::Severity;
use airside_inventory::decision::derive::{Data, Effect, Reach, Tier};
use clap::{Args, Subcommand, ValueEnum};

use super::inventory::BillFormat;

const SCAN_HELP: &str = "\
Reads what names components below PATH, compares it with the feeds and decides what has to
go when: lock files, SBOMs, configurations, installed packages (node_modules,
site-packages), programs of Go and of Rust that say what they were built of, and images of
containers as `docker save` and OCI tools write them. Works without a node; nothing is
started, fetched or resolved. The feeds are a folder of files as they are published or mirrored: OSV archives or records, KEV, EPSS,
vulnrichment, VEX. Their index is kept in the cache folder. Without --feeds and
AIRSIDE_FEEDS they are looked for where --config or `airside.toml` says (`[inventory]`), and
where there is neither, in `feeds` in the data folder.

Examples:
  airside scan --feeds /var/lib/feeds
  airside scan Cargo.lock --feeds feeds --reach public --tier essential --data card
  airside scan . --feeds feeds --fail-on emergency --json
  airside scan shop.tar --feeds feeds --fail-incomplete
  airside scan . --feeds feeds --sarif > components.sarif
  airside scan . --feeds feeds --format cyclonedx > app.cdx.json";

const MCP_HELP: &str = "\
A file is only read: comments are allowed, and nothing in it is started, resolved or asked.
With --start its programs are started, to list their tools. A URL is asked as a client, as
a page of somebody else and, with --key-file, as the holder of the key.

Exit codes: 0 scanned, 1 findings at or above --fail-on, or, with --fail-incomplete,
something that could not be assessed, 2 a file that cannot be read.

Examples:
  airside scan mcp ~/.cursor/mcp.json
  airside scan mcp .mcp.json https://mcp.example.com/mcp --fail-on high
  airside scan mcp claude_desktop_config.json --start --sarif > findings.sarif";

/// Look for what is vulnerable or a threat.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = SCAN_HELP)]
pub(crate) struct Scan {
    #[command(subcommand)]
    pub(crate) what: Option<What>,
    #[command(flatten)]
    pub(crate) components: Components,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Look for threats in configuration files of MCP clients and in MCP servers
    #[command(after_help = MCP_HELP)]
    Mcp(ScanMcp),
}

/// What to scan for threats.
#[derive(Debug, Args)]
pub(crate) struct ScanMcp {
    /// Configuration files of clients, or URLs of servers. Tools of all of them are
    /// compared with each other.
    #[arg(value_name = "CONFIG|URL", required = true)]
    pub(crate) targets: Vec<String>,
    /// Start the programs that the files name, and list their tools. They can do what
    /// this user can.
    #[arg(long)]
    pub(crate) start: bool,
    /// Print the findings as SARIF 2.1.0.
    #[arg(long, conflicts_with = "json")]
    pub(crate) sarif: bool,
    /// End with exit code 1 when a finding is at least this bad: low, medium, high or
    /// critical.
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<Severity>,
    /// End with exit code 1 when not everything was assessed.
    #[arg(long)]
    pub(crate) fail_incomplete: bool,
    /// File with the key to show to servers that are given by URL, or `-` for standard
    /// input. It is not sent in clear to other machines.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Longest wait for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
}

/// Where to look for components with vulnerabilities.
#[derive(Debug, Args)]
pub(crate) struct Components {
    /// File or folder that names components, program, or image in a tar archive.
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) path: PathBuf,
    /// Folder of the feeds. Without it that of the configuration.
    #[arg(long, value_name = "DIR", env = "AIRSIDE_FEEDS")]
    pub(crate) feeds: Option<PathBuf>,
    /// Configuration that says where the feeds are, instead of `airside.toml`.
    #[arg(long, value_name = "FILE", conflicts_with = "feeds")]
    pub(crate) config: Option<PathBuf>,
    /// File that keeps the index of the feeds, instead of one in the cache folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) index: Option<PathBuf>,
    /// End with exit code 1 when a finding is in this lane or a more urgent one.
    #[arg(long, value_name = "LANE")]
    pub(crate) fail_on: Option<FailOn>,
    /// End with exit code 1 when not everything was assessed.
    #[arg(long)]
    pub(crate) fail_incomplete: bool,
    /// Issuer of VEX whose statements count; may be repeated. Those of others are shown.
    #[arg(long = "trust-vex", value_name = "ISSUER")]
    pub(crate) trusted: Vec<String>,
    /// Days after which a feed is stale.
    #[arg(long, value_name = "N", default_value_t = 7)]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=3650))]
    pub(crate) stale_after: i32,
    /// Print the findings as SARIF 2.1.0.
    #[arg(long, conflicts_with_all = ["json", "format"])]
    pub(crate) sarif: bool,
    /// Write a document about what was scanned.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "json")]
    pub(crate) format: Option<BillFormat>,
    /// Who says so, in OpenVEX.
    #[arg(long, value_name = "NAME", default_value = "airside")]
    pub(crate) author: String,
    #[command(flatten)]
    pub(crate) setting: SettingArgs,
}

/// What is known of the place the components run in.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where it runs")]
pub(crate) struct SettingArgs {
    /// Who can reach it.
    #[arg(long, value_parser = named::<Reach>, value_name = "public|identified|local")]
    pub(crate) reach: Option<Reach>,
    /// What the business loses with it.
    #[arg(long, value_parser = named::<Tier>, value_name = "essential|supporting|internal")]
    pub(crate) tier: Option<Tier>,
    /// What data it holds; may be repeated.
    #[arg(long, value_parser = named::<Data>, value_name = "personal|passport|card|health")]
    pub(crate) data: Vec<Data>,
    /// The most its tools may do.
    #[arg(long, value_parser = named::<Effect>, value_name = "read|write|irreversible")]
    pub(crate) effect: Option<Effect>,
    /// An agent calls it without a person in between.
    #[arg(long)]
    pub(crate) autonomous: bool,
    /// The due dates of KEV bind.
    #[arg(long)]
    pub(crate) heed_kev_due: bool,
}

/// The least urgent lane that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Has to go at once.
    Emergency,
    /// Has to go outside a maintenance window.
    OutOfCycle,
    /// Goes in a maintenance window.
    Window,
    /// Any finding.
    Any,
}

/// Reads one of the words that the configuration uses too.
fn named<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, String> {
    let value = serde_json::Value::String(word.to_owned());
    serde_json::from_value(value).map_err(|error| {
        let text = error.to_string();
        text.split_once(", ")
            .map_or(text.clone(), |(_, known)| known.to_owned())
    })
}
