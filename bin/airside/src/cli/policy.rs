//! Arguments of the commands about policies and approvals.

use std::path::PathBuf;

use airside_base::{ServerId, TenantId, Timestamp};
use clap::{Args, Subcommand};

use super::{ChainArgs, NodeArgs};

const APPROVALS_HELP: &str = "\
A call that policy wants a person to agree to waits here if its client cannot ask its own
user. Each approval is for one exact call (caller, tool, arguments, version of the policies),
once, for 15 minutes. Without a decision the answer stays no.

Examples:
  airside approvals list
  airside approvals approve apr_… --reason 'known guest'
  airside approvals deny apr_…";

/// Decide about calls that wait for a person.
#[derive(Debug, Subcommand)]
#[command(after_help = APPROVALS_HELP)]
pub(crate) enum Approvals {
    /// Show what waits
    List(ApprovalsList),
    /// Let one call happen, once
    #[command(visible_alias = "grant")]
    Approve(ApprovalsDecide),
    /// Refuse a call
    Deny(ApprovalsDecide),
}

/// Show what waits.
#[derive(Debug, Args)]
pub(crate) struct ApprovalsList {
    /// Also those that were decided and have not ended.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Decide about one call.
#[derive(Debug, Args)]
pub(crate) struct ApprovalsDecide {
    /// Its id, as `airside approvals list` shows it.
    pub(crate) id: String,
    /// Why. It is recorded in clear and for ever, so it should name no person.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

const POLICY_HELP: &str = "\
Without files these commands use the policies of --config, and without that the shipped
ones. `simulate` ends with 8 if a call would be decided otherwise.

Examples:
  airside policy check rules.cedar --config airside.toml
  airside policy explain --server travel --tool complete_booking_session --caller api_key/ci
  airside policy simulate rules.cedar --config airside.toml --since 2026-11-22T00:00:00Z";

/// Check, explain and try out policies.
#[derive(Debug, Subcommand)]
#[command(after_help = POLICY_HELP)]
pub(crate) enum Policy {
    /// Check policies and point at rules that say nothing
    Check(PolicyFiles),
    /// Explain how one call would be decided
    Explain(Box<PolicyExplain>),
    /// Decide recorded calls again and show what would change
    Simulate(PolicySimulate),
}

/// Which policies.
#[derive(Debug, Clone, Args)]
pub(crate) struct PolicyFiles {
    /// Files with Cedar policies.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Configuration whose servers, arguments and time zone the policies can speak of.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Decide recorded calls again.
#[derive(Debug, Args)]
pub(crate) struct PolicySimulate {
    #[command(flatten)]
    pub(crate) policies: PolicyFiles,
    /// Calls from this moment on; otherwise from the first.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Calls before this moment; otherwise to the last.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Explain how one call would be decided.
#[derive(Debug, Args)]
pub(crate) struct PolicyExplain {
    /// Files with Cedar policies.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Configuration whose policies, tools, arguments and time zone are used.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Kind and id of the caller, such as `api_key/ci` or `anonymous/loopback`.
    #[arg(long, value_name = "KIND/ID", default_value = "api_key/ci")]
    pub(crate) caller: String,
    /// Its tenant.
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) tenant: TenantId,
    /// Its attestation as policies compare it: 0 none, 10 address range, 20 API key,
    /// 30 token, 40 signed request, 50 client certificate.
    #[arg(long, value_name = "LEVEL", default_value_t = 20)]
    pub(crate) attestation: u8,
    /// A group of the caller.
    #[arg(long = "group", value_name = "NAME")]
    pub(crate) groups: Vec<String>,
    /// A scope of its token.
    #[arg(long = "scope", value_name = "NAME")]
    pub(crate) scopes: Vec<String>,
    /// The client that its token was issued to.
    #[arg(long, value_name = "ID")]
    pub(crate) client: Option<String>,
    /// Who issued its token.
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// The upstream server.
    #[arg(long, value_name = "NAME")]
    pub(crate) server: ServerId,
    /// The tool that is called.
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) tool: Option<String>,
    /// The resource that is read.
    #[arg(long, value_name = "URI", group = "what")]
    pub(crate) resource: Option<String>,
    /// The prompt that is got.
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) prompt: Option<String>,
    /// Any other method, such as `tools/list`.
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) method: Option<String>,
    /// The server does not list the tool.
    #[arg(long)]
    pub(crate) unlisted: bool,
    /// The tool says that it only reads.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// The tool says that it does not reach beyond its own domain.
    #[arg(long)]
    pub(crate) closed_world: bool,
    /// A label of the tool, besides those of the configuration.
    #[arg(long = "label", value_name = "NAME")]
    pub(crate) labels: Vec<String>,
    /// Where its definition stands: accepted, held, quarantined, unknown.
    #[arg(long, value_name = "STATE", default_value = "unknown")]
    pub(crate) contract: String,
    /// An argument of interest; a number, true, false or a text.
    #[arg(long = "argument", value_name = "NAME=VALUE", value_parser = super::pair)]
    pub(crate) arguments: Vec<(String, String)>,
    /// When the call is made; otherwise now.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    /// Region of the node.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) region: String,
    /// What the session has seen: untrusted, private, flagged.
    #[arg(long = "seen", value_name = "WHAT", value_delimiter = ',')]
    #[arg(value_parser = ["untrusted", "private", "flagged"])]
    pub(crate) seen: Vec<String>,
    /// Whether the user's words ask for it.
    #[arg(long, value_parser = ["unstated", "anchored", "unanchored"], default_value = "unstated")]
    pub(crate) intent: String,
    /// Who has agreed to the call.
    #[arg(long, value_parser = ["client", "operator"])]
    pub(crate) agreed: Option<String>,
}
