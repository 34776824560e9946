//! What servers are made of, and what is known about it.

use std::path::{Path, PathBuf};

use airside_base::ServerId;
use airside_inventory::decision::{
    derive::{Data, Effect, Reach, Tier},
    lane::Window,
};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// What servers are made of, and what is known about it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Inventory {
    /// Folder of the feeds: OSV archives or records, KEV, EPSS, vulnrichment, VEX, as they
    /// are published or mirrored. Files are known by their content. Without it and without
    /// a mirror nothing is compared.
    pub feeds: Option<PathBuf>,
    /// Where feeds are fetched from, into the folder `feeds` of the data folder.
    pub mirror: Option<Mirror>,
    /// How often servers and feeds are compared, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub every_s: u64,
    /// Days after which a feed is stale.
    #[schemars(range(min = 1, max = 3650))]
    pub stale_after_days: u16,
    /// Days after which somebody who called a server no longer counts as who reaches it.
    #[schemars(range(min = 1, max = 3650))]
    pub quiet_after_days: u16,
    /// Hours that a change runs outside production before its maintenance window.
    pub soak_hours: u16,
    /// Maintenance windows, each `[[inventory.window]]`, in UTC.
    pub window: Vec<Window>,
    /// Issuers of VEX whose statements count. Those of others are shown.
    pub trust_vex: Vec<String>,
    /// Servers, each `[[inventory.server]]`. Airside itself is always among them.
    pub server: Vec<Server>,
}

/// Name of the folder of feeds in the data folder.
const FEEDS: &str = "feeds";

impl Inventory {
    /// Returns the folder of the feeds, if any are configured.
    pub fn folder(&self, data_dir: &Path) -> Option<PathBuf> {
        let fetched = || self.mirror.as_ref().map(|_| data_dir.join(FEEDS));
        self.feeds.clone().or_else(fetched)
    }

    /// Returns where a scan looks for feeds that nobody named.
    pub fn folder_or_default(&self, data_dir: &Path) -> PathBuf {
        let folder = self.folder(data_dir);
        folder.unwrap_or_else(|| data_dir.join(FEEDS))
    }

    /// Makes its paths start at `base`.
    pub fn rebase(&mut self, base: &Path) {
        let rebased = |path: &mut PathBuf| *path = base.join(&*path);
        self.feeds.iter_mut().for_each(rebased);
        if let Some(mirror) = &mut self.mirror {
            mirror.folder.iter_mut().for_each(rebased);
            mirror.key_file.iter_mut().for_each(rebased);
        }
        for server in &mut self.server {
            server.sources.iter_mut().for_each(rebased);
        }
    }
}

impl Default for Inventory {
    fn default() -> Self {
        Self {
            feeds: None,
            mirror: None,
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

/// Where feeds are fetched from: files, and beside them `SHA256SUMS` as `sha256sum *`
/// writes it. Nothing is taken whose digest is not in that list.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mirror {
    /// Address of the folder on the mirror, by `https`. Either this or `folder`.
    pub url: Option<Url>,
    /// Folder on this machine that somebody else fills.
    pub folder: Option<PathBuf>,
    /// Whether the host of `url` is in a private network.
    #[serde(default)]
    pub internal: bool,
    /// File with the public key (Ed25519, PEM) that `SHA256SUMS` is signed with; the
    /// signature is `SHA256SUMS.sig`. Without it only digests are checked.
    pub key_file: Option<PathBuf>,
    /// Hours between two looks at the mirror.
    #[serde(default = "six")]
    #[schemars(range(min = 1, max = 168))]
    pub every_h: u8,
}

fn six() -> u8 {
    6
}

/// A deployed server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Server {
    /// Name of the upstream.
    pub upstream: ServerId,
    /// Its version, as it is deployed.
    #[serde(default)]
    pub version: String,
    /// Where it runs.
    #[serde(default)]
    pub region: String,
    /// Files or folders that say what is deployed: lock files, SBOMs, installed packages,
    /// programs, images in tar archives.
    pub sources: Vec<PathBuf>,
    /// What the business loses with it.
    pub tier: Option<Tier>,
    /// What data it holds.
    #[serde(default)]
    pub data: Vec<Data>,
    /// The most its tools may do.
    pub effect: Option<Effect>,
    /// Whether an agent calls it without a person in between.
    #[serde(default = "yes")]
    pub autonomous: bool,
    /// Who can reach it around this gateway, if that is more than the gateway lets in.
    pub reach: Option<Reach>,
    /// Whether the due dates of KEV bind.
    #[serde(default)]
    pub heed_kev_due: bool,
    /// Days that a contract leaves at most.
    pub contract_days: Option<u16>,
}

fn yes() -> bool {
    true
}
