//! The command line of `airside inventory` and `airside vulns`.

use airside_base::Timestamp;
use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;

use super::NodeArgs;

const INVENTORY_HELP: &str = "\
Read from the ledger, of a running node or from its files, so that any time of the past can
be asked for. Servers are those under [inventory] in the configuration, and Airside itself.

Examples:
  airside inventory
  airside inventory hotels
  airside inventory hotels --format cyclonedx > hotels.cdx.json
  airside inventory --at 2026-11-01T00:00:00Z
  airside inventory --diff 2026-11-01T00:00:00Z";

/// Show what servers are made of, now and at any time before.
#[derive(Debug, Args)]
#[command(after_help = INVENTORY_HELP)]
pub(crate) struct Inventory {
    /// Show the components of this server.
    pub(crate) server: Option<String>,
    /// Write a document about the server: what it is made of, and what is known about it.
    #[arg(long, value_enum, value_name = "FORMAT", requires = "server")]
    pub(crate) format: Option<BillFormat>,
    /// Who says so, in OpenVEX.
    #[arg(long, value_name = "NAME", default_value = "airside")]
    pub(crate) author: String,
    /// As of this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    /// Show what has changed since this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) diff: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// A document about what something is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BillFormat {
    /// CycloneDX 1.6, with vulnerabilities and their analysis.
    Cyclonedx,
    /// CycloneDX 1.7.
    #[value(name = "cyclonedx-1.7")]
    Cyclonedx17,
    /// SPDX 2.3.
    Spdx,
    /// OpenVEX 0.2.0: what is said of each vulnerability.
    Openvex,
}

const VULNS_HELP: &str = "\
A finding is one vulnerability of one package of one deployed server. Its deadline comes
nearer by itself when more is known, and moves away only by a person with a reason.

Examples:
  airside vulns list
  airside vulns list --lane emergency --json
  airside vulns plan
  airside vulns report --from 2026-10-01T00:00:00Z --to 2026-11-01T00:00:00Z
  airside vulns explain F-1f0c2a9b77d4
  airside vulns mitigate F-1f0c2a9b77d4 --with block-tool --tool search --reason 'until 2.4'
  airside vulns expose F-1f0c2a9b77d4 --reason '2.4 is out'
  airside vulns extend F-1f0c2a9b77d4 --until 2026-12-24 --reason 'vendor is late'
  airside vulns except F-1f0c2a9b77d4 --until 2027-03-31 --reason 'parser is not reachable'";

/// Show vulnerabilities of deployed servers, and decide about them.
#[derive(Debug, Subcommand)]
#[command(after_help = VULNS_HELP)]
pub(crate) enum Vulns {
    /// List findings, the most urgent first
    List(VulnsList),
    /// Explain one: inputs with sources, rows of tables, clock, what happened
    Explain(VulnsExplain),
    /// Propose one change for each server: upgrades that end its findings, and when
    Plan(VulnsPlan),
    /// Report over a period: what ran, what was known, when, and what was done
    Report(VulnsReport),
    /// Move a deadline to a later day
    Extend(Until),
    /// Take the risk on until a day
    Except(Until),
    /// Keep attackers away at the gateway: stops the time of exposure, not the deadline
    Mitigate(Mitigate),
    /// End what keeps attackers away
    Expose(Because),
}

/// List findings.
#[derive(Debug, Args)]
pub(crate) struct VulnsList {
    /// Only those of this server.
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Only those in this lane.
    #[arg(long, value_name = "LANE")]
    pub(crate) lane: Option<LaneName>,
    /// Only those whose deadline has passed.
    #[arg(long)]
    pub(crate) overdue: bool,
    /// Also those that have ended.
    #[arg(long)]
    pub(crate) all: bool,
    /// As of this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// A lane by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LaneName {
    /// At once.
    Emergency,
    /// Outside any maintenance window.
    OutOfCycle,
    /// In a maintenance window.
    Window,
    /// With the next upgrade.
    NextUpgrade,
}

impl LaneName {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::OutOfCycle => "out-of-cycle",
            Self::Window => "window",
            Self::NextUpgrade => "next-upgrade",
        }
    }
}

/// Explain one finding.
#[derive(Debug, Args)]
pub(crate) struct VulnsExplain {
    /// Its id, or an id of the vulnerability.
    pub(crate) id: String,
    /// As of this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Propose changes.
#[derive(Debug, Args)]
pub(crate) struct VulnsPlan {
    /// Only that of this server.
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// As of this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Report over a period.
#[derive(Debug, Args)]
pub(crate) struct VulnsReport {
    /// The start of the period.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Timestamp,
    /// Its end, now unless given.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// A decision that ends.
#[derive(Debug, Args)]
pub(crate) struct Until {
    #[command(flatten)]
    pub(crate) because: Because,
    /// The last day.
    #[arg(long, value_name = "DAY")]
    pub(crate) until: Date,
}

/// A mitigation.
#[derive(Debug, Args)]
pub(crate) struct Mitigate {
    #[command(flatten)]
    pub(crate) because: Because,
    /// What was done.
    #[arg(long = "with", value_name = "WHAT")]
    pub(crate) what: Mitigation,
    /// The tool that block-tool or force-approval is about, by its server's own name.
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,
}

/// What keeps attackers away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mitigation {
    /// The tool cannot be called.
    BlockTool,
    /// The server cannot be called.
    QuarantineServer,
    /// The server runs without a network.
    DenyEgress,
    /// An operator agrees to every call.
    ForceApproval,
}

impl Mitigation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BlockTool => "block-tool",
            Self::QuarantineServer => "quarantine-server",
            Self::DenyEgress => "deny-egress",
            Self::ForceApproval => "force-approval",
        }
    }
}

/// Which finding, and why.
#[derive(Debug, Args)]
pub(crate) struct Because {
    /// Id of the finding.
    pub(crate) id: String,
    /// Why; stays in the ledger in clear.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}
