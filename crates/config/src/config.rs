//! What a configuration file can say.

use std::{num::NonZeroU64, path::PathBuf};

use airside_archive::{Access, KmsKey};
use airside_firewall::config::Firewall;
use airside_gateway::config::{Endpoint, Listen, Recording, Tool, Upstream};
use airside_ledger::conversation::Region;
use airside_limits::{LimitConfig, LimitsConfig};
use airside_policy::Settings;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::{inventory::Inventory, payments, supply, travel};

/// Folder of the ledger and the control socket unless another is named.
pub const DATA_DIR: &str = "airside-data";

/// Configuration of an Airside node.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Folder of the ledger and the control socket. Only its owner may enter it.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// Where the ledger is kept.
    #[serde(default)]
    pub ledger: LedgerPlace,
    /// Where the keys of persons are kept.
    #[serde(default)]
    pub keys: KeysPlace,
    /// The state of conversations.
    #[serde(default)]
    pub conversation: ConversationPlace,
    /// A copy of the ledger elsewhere, encrypted and written as entries come.
    #[serde(default)]
    pub archive: ArchivePlace,
    /// Where and how the gateway listens.
    #[serde(default)]
    pub listen: Listen,
    /// Upstream MCP servers, each `[[upstream]]`.
    #[serde(default)]
    pub upstream: Vec<Upstream>,
    /// Endpoints for clients, each `[[endpoint]]`. The first is the one that
    /// `airside call` uses.
    #[serde(default)]
    pub endpoint: Vec<Endpoint>,
    /// What policies are to know about tools, each `[[tool]]`.
    #[serde(default)]
    pub tool: Vec<Tool>,
    /// What is done about changes of tools. `[upstream.contracts]` says it for one server.
    #[serde(default)]
    pub contracts: airside_contracts::Rules,
    /// Who may call, and how callers prove who they are.
    #[serde(default)]
    pub identity: airside_identity::Config,
    /// What callers may do.
    #[serde(default)]
    pub policy: PolicyFiles,
    /// What all limits share.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// How much may happen, each `[[limit]]`.
    #[serde(default)]
    pub limit: Vec<LimitConfig>,
    /// What is looked for in calls and answers, and what is done about it.
    #[serde(default)]
    pub firewall: Firewall,
    /// What servers are made of, and what is known about it.
    #[serde(default)]
    pub inventory: Inventory,
    /// How calls are recorded.
    #[serde(default)]
    pub recording: Recording,
    /// The built-in travel server.
    #[serde(default)]
    pub travel: TravelServer,
    /// Hotels whose own systems send rooms and rates.
    #[serde(default)]
    pub supply: supply::Supply,
    /// The control API over TCP.
    #[serde(default)]
    pub control: airside_api::Config,
}

/// Where the ledger is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LedgerPlace {
    /// File that holds the URL of a PostgreSQL database,
    /// `postgres://role:password@host/database`, shared by several nodes. Its
    /// tables are made by `airside ledger init`. Without it the ledger is an
    /// SQLite file in the data folder, for one node.
    pub url_file: Option<PathBuf>,
}

/// Where the keys of persons are kept. Never in the ledger or its archive, so that a
/// restore cannot bring a destroyed key back. Keep backups of them for a few days at
/// most: whoever has an old one and the vault key can read what was erased since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct KeysPlace {
    /// File that holds the URL of the PostgreSQL database with the schema
    /// `airside_keys`, made by `airside ledger init`. Without it the keys are in the
    /// database of the ledger, or in `keys.db` in the data folder if the ledger is there.
    pub url_file: Option<PathBuf>,
    /// File of the key that wraps them; without it `vault.key` in the data folder. Made
    /// with the first key. All nodes of a shared ledger need the same one. Nobody can
    /// read personal values without it: keep a copy.
    pub vault_file: Option<PathBuf>,
    /// A key in a key management service that wraps them instead. Chosen with the first
    /// key; later neither can take the place of the other.
    pub kms: Option<KmsPlace>,
}

/// A key in AWS KMS, or in a service that speaks its protocol. It never leaves the
/// service: the node asks it to wrap a key, and to unwrap it after a start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KmsPlace {
    /// ARN of a symmetric key, `arn:aws:kms:REGION:ACCOUNT:key/ID`, or of an alias of one.
    /// The node needs `kms:DescribeKey`, `kms:Encrypt` and `kms:Decrypt` of it.
    pub key: String,
    /// Where the service is, if it is not Amazon's. Must use `https` unless the host is
    /// this machine.
    #[serde(default)]
    pub endpoint: Option<Url>,
    /// File with credentials, as `credentials-file` in `[archive]`. Without it the usual
    /// variables of the environment or the role of the machine are used.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
}

impl From<&KmsPlace> for KmsKey {
    fn from(place: &KmsPlace) -> Self {
        Self {
            arn: place.key.clone(),
            endpoint: place.endpoint.clone(),
            credentials: place.credentials_file.clone(),
        }
    }
}

/// The state of conversations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ConversationPlace {
    /// Region of this node: 1 to 32 of `a-z`, `0-9` and `-`. Conversations that begin
    /// here are pinned to it, and those of other regions are left alone. Without it
    /// conversations are not pinned.
    #[schemars(with = "Option<String>")]
    pub region: Option<Region>,
}

/// A copy of the ledger elsewhere, encrypted and written as entries come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ArchivePlace {
    /// Where it is written: `file:///folder`, best on another machine, or
    /// `s3://bucket/prefix` of a storage that speaks the protocol of S3 and honours
    /// `If-None-Match: *`. Without it there is no archive.
    pub url: Option<Url>,
    /// Where the storage is, if it is not Amazon's. Must use `https` unless the host is
    /// this machine.
    pub endpoint: Option<Url>,
    /// Region of the storage; without one the environment's `AWS_REGION`, else
    /// `us-east-1`.
    pub region: Option<String>,
    /// File with `aws_access_key_id` and `aws_secret_access_key` in its section
    /// `default`, which only its owner may read. Without it the usual variables of the
    /// environment (`AWS_ACCESS_KEY_ID`, …) or the role of the machine are used.
    pub credentials_file: Option<PathBuf>,
    /// File with the key of the archive; without it `archive.key` in the data folder.
    /// Made with a new archive. Nobody can read the archive without it: keep a copy.
    pub key_file: Option<PathBuf>,
    /// A key in a key management service instead of that file. Chosen when the archive is
    /// made; later neither can take the place of the other.
    pub kms: Option<KmsPlace>,
    /// How long an entry may wait for others before it is written, in milliseconds.
    pub flush_ms: u64,
    /// Whether what has to be durable before a call goes on has to be in the archive
    /// too. Then not even the loss of this site loses it, and nothing goes on while
    /// the archive cannot be written.
    pub remote_ack: bool,
    /// How many days the archive stays readable at each of its manifests. Older entries
    /// stay for ever, merged into larger objects; what was merged is deleted then.
    pub keep_days: NonZeroU64,
}

impl ArchivePlace {
    /// Returns how its storage is reached.
    pub fn access(&self) -> Access {
        Access {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            credentials: self.credentials_file.clone(),
        }
    }
}

/// Long enough for a weekend, and for every restore that is under way.
const DEFAULT_KEEP_DAYS: NonZeroU64 = NonZeroU64::new(7).expect("not zero");

impl Default for ArchivePlace {
    fn default() -> Self {
        Self {
            url: None,
            endpoint: None,
            region: None,
            credentials_file: None,
            key_file: None,
            kms: None,
            flush_ms: 250,
            remote_ack: false,
            keep_days: DEFAULT_KEEP_DAYS,
        }
    }
}

/// What callers may do.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PolicyFiles {
    /// Files with Cedar policies, which replace the built-in ones. What no policy
    /// permits is refused.
    pub files: Vec<PathBuf>,
    /// Time zone in which policies read `context.time`, such as `Europe/Zurich`. UTC
    /// unless given.
    #[schemars(with = "Option<String>")]
    pub zone: Option<Zone>,
}

/// A time zone of the system's database.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone(TimeZone);

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let found = TimeZone::get(&name).map(Self);
        found.map_err(|_| format!("there is no time zone `{}`", name.escape_debug()))
    }
}

impl PolicyFiles {
    /// Returns what policies can speak of beside what is shipped.
    pub fn settings(&self, tools: &[Tool]) -> Settings {
        Settings {
            arguments: Tool::declared(tools),
            zone: self
                .zone
                .as_ref()
                .map_or(TimeZone::UTC, |zone| zone.0.clone()),
        }
    }
}

/// The built-in travel server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TravelServer {
    /// Number from which hotels, rates and availability are generated. The same
    /// number gives the same hotels.
    pub seed: u64,
    /// How many hotels there are.
    pub hotels: Hotels,
    /// File with hotels of your own, beside the generated ones or, with `hotels = "none"`,
    /// instead of them (docs/hotels.md). A change of it needs a restart.
    pub properties: Option<PathBuf>,
    /// How long rooms and price are held for a traveller who reviews them: 5 to 86,400
    /// seconds.
    pub hold_seconds: u64,
    /// Who takes payments for rates that are paid or guaranteed before booking. Without it
    /// every rate is paid at the hotel.
    pub payments: Option<payments::Payments>,
    /// Who sells the rooms: our own inventory, or a supplier elsewhere.
    pub supply: travel::TravelSupply,
}

/// How many hotels the built-in travel server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hotels {
    /// A choice in every city of the world, and 1,000 more. The rooms of a city are put
    /// into memory when somebody looks for them; some 8,000 hotels stay there.
    #[default]
    Demonstration,
    /// 1,000, all of them in memory.
    Small,
    /// 10,000, all of them in memory (some 100 MB).
    Medium,
    /// 100,000, all of them in memory (some 1.1 GB).
    Large,
    /// No generated ones: all hotels are those of `properties`.
    None,
}

impl From<Hotels> for airside_travel::Size {
    fn from(hotels: Hotels) -> Self {
        match hotels {
            Hotels::Demonstration => Self::Demonstration,
            Hotels::Small => Self::Small,
            Hotels::Medium => Self::Medium,
            Hotels::Large => Self::Large,
            Hotels::None => Self::None,
        }
    }
}

impl Default for TravelServer {
    fn default() -> Self {
        Self {
            seed: 1,
            hotels: Hotels::default(),
            properties: None,
            hold_seconds: airside_travel::HOLD.as_secs(),
            payments: None,
            supply: travel::TravelSupply::default(),
        }
    }
}

fn default_data_dir() -> PathBuf {
    DATA_DIR.into()
}
