//! What servers are made of, and what is known about it.

use std::path::{Path, PathBuf};

use airside_base::ServerId;
use airside_inventory::decision::{
    derive::{Data, Effect, Reach, Tier},
    lane::Window,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What servers are made of, and what is known about it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Inventory {
    /// Folder of the feeds: OSV archives or records, KEV, EPSS, vulnrichment, VEX, as they
    /// are published or mirrored. Files are known by their content. Without it nothing
    /// is compared.
    pub(crate) feeds: Option<PathBuf>,
    /// How often servers and feeds are compared, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) every_s: u64,
    /// Days after which a feed is stale.
    #[schemars(range(min = 1, max = 3650))]
    pub(crate) stale_after_days: u16,
    /// Days after which somebody who called a server no longer counts as who reaches it.
    #[schemars(range(min = 1, max = 3650))]
    pub(crate) quiet_after_days: u16,
    /// Hours that a change runs outside production before its maintenance window.
    pub(crate) soak_hours: u16,
    /// Maintenance windows, each `[[inventory.window]]`, in UTC.
    pub(crate) window: Vec<Window>,
    /// Issuers of VEX whose statements count. Those of others are shown.
    pub(crate) trust_vex: Vec<String>,
    /// Servers, each `[[inventory.server]]`. Airside itself is always among them.
    pub(crate) server: Vec<Server>,
}

impl Inventory {
    /// Makes its paths start at `base`.
    pub(crate) fn rebase(&mut self, base: &Path) {
        let rebased = |path: &mut PathBuf| *path = base.join(&*path);
        self.feeds.iter_mut().for_each(rebased);
        for server in &mut self.server {
            server.sources.iter_mut().for_each(rebased);
        }
    }
}

impl Default for Inventory {
    fn default() -> Self {
        Self {
            feeds: None,
            every_s: 300,
            stale_after_days: 7,
            quiet_after_days: 30,
            soak_hours: 24,
            window: Vec::new(),
            trust_vex: Vec::new(),
            server: Vec::new(),
        }
    }
}

/// A deployed server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Server {
    /// Name of the upstream.
    pub(crate) upstream: ServerId,
    /// Its version, as it is deployed.
    #[serde(default)]
    pub(crate) version: String,
    /// Where it runs.
    #[serde(default)]
    pub(crate) region: String,
    /// Files or folders that say what is deployed: lock files, SBOMs, installed packages,
    /// programs, images in tar archives.
    pub(crate) sources: Vec<PathBuf>,
    /// What the business loses with it.
    pub(crate) tier: Option<Tier>,
    /// What data it holds.
    #[serde(default)]
    pub(crate) data: Vec<Data>,
    /// The most its tools may do.
    pub(crate) effect: Option<Effect>,
    /// Whether an agent calls it without a person in between.
    #[serde(default = "yes")]
    pub(crate) autonomous: bool,
    /// Who can reach it around this gateway, if that is more than the gateway lets in.
    pub(crate) reach: Option<Reach>,
    /// Whether the due dates of KEV bind.
    #[serde(default)]
    pub(crate) heed_kev_due: bool,
    /// Days that a contract leaves at most.
    pub(crate) contract_days: Option<u16>,
}

fn yes() -> bool {
    true
}
