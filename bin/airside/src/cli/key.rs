//! `airside key …`.

use std::path::PathBuf;

use airside_base::{ServerId, TenantId};
use clap::{Args, Subcommand};

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
