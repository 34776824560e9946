//! The configuration file.
//!
//! # Invariants
//!
//! * A [`Config`] that [`load`] returns has passed every check: what is unsafe or
//!   cannot work is refused before anything starts, with file, line and column.
//! * Relative paths in it have been resolved against its file.

pub(crate) mod check;
pub(crate) mod command;
pub(crate) mod inventory;
mod payments;
pub(crate) mod problem;
mod properties;
pub(crate) mod reference;
pub(crate) mod source;
pub(crate) mod supply;
pub(crate) mod travel;

use std::{
    fs::File,
    io::{self, Read as _},
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use airside_archive::Access;
use airside_firewall::config::Firewall;
use airside_gateway::config::{Endpoint, Listen, Recording, Tool, Upstream};
use airside_identity::Digest;
use airside_ledger::conversation::Region;
use airside_limits::{LimitConfig, LimitsConfig};
use airside_policy::{Policies, Settings};
use airside_travel::house::Houses;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::{
    cli,
    config::{
        inventory::Inventory,
        problem::{Problem, Problems},
        source::{Source, Step},
    },
    vault::KmsPlace,
};

/// Largest configuration or policy file, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Configuration of an Airside node.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Folder of the ledger and the control socket. Only its owner may enter it.
    #[serde(default = "default_data_dir")]
    pub(crate) data_dir: PathBuf,
    /// Where the ledger is kept.
    #[serde(default)]
    pub(crate) ledger: LedgerPlace,
    /// Where the keys of persons are kept.
    #[serde(default)]
    pub(crate) keys: KeysPlace,
    /// The state of conversations.
    #[serde(default)]
    pub(crate) conversation: ConversationPlace,
    /// A copy of the ledger elsewhere, encrypted and written as entries come.
    #[serde(default)]
    pub(crate) archive: ArchivePlace,
    /// Where and how the gateway listens.
    #[serde(default)]
    pub(crate) listen: Listen,
    /// Upstream MCP servers, each `[[upstream]]`.
    #[serde(default)]
    pub(crate) upstream: Vec<Upstream>,
    /// Endpoints for clients, each `[[endpoint]]`. The first is the one that
    /// `airside call` uses.
    #[serde(default)]
    pub(crate) endpoint: Vec<Endpoint>,
    /// What policies are to know about tools, each `[[tool]]`.
    #[serde(default)]
    pub(crate) tool: Vec<Tool>,
    /// What is done about changes of tools. `[upstream.contracts]` says it for one server.
    #[serde(default)]
    pub(crate) contracts: airside_contracts::Rules,
    /// Who may call, and how callers prove who they are.
    #[serde(default)]
    pub(crate) identity: airside_identity::Config,
    /// What callers may do.
    #[serde(default)]
    pub(crate) policy: PolicyFiles,
    /// What all limits share.
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
    /// How much may happen, each `[[limit]]`.
    #[serde(default)]
    pub(crate) limit: Vec<LimitConfig>,
    /// What is looked for in calls and answers, and what is done about it.
    #[serde(default)]
    pub(crate) firewall: Firewall,
    /// What servers are made of, and what is known about it.
    #[serde(default)]
    pub(crate) inventory: Inventory,
    /// How calls are recorded.
    #[serde(default)]
    pub(crate) recording: Recording,
    /// The built-in travel server.
    #[serde(default)]
    pub(crate) travel: TravelServer,
    /// Hotels whose own systems send rooms and rates.
    #[serde(default)]
    pub(crate) supply: supply::Supply,
    /// The control API over TCP.
    #[serde(default)]
    pub(crate) control: airside_api::Config,
}

/// Where the ledger is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct LedgerPlace {
    /// File that holds the URL of a PostgreSQL database,
    /// `postgres://role:password@host/database`, shared by several nodes. Its
    /// tables are made by `airside ledger init`. Without it the ledger is an
    /// SQLite file in the data folder, for one node.
    pub(crate) url_file: Option<PathBuf>,
}

/// Where the keys of persons are kept. Never in the ledger or its archive, so that a
/// restore cannot bring a destroyed key back. Keep backups of them for a few days at
/// most: whoever has an old one and the vault key can read what was erased since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct KeysPlace {
    /// File that holds the URL of the PostgreSQL database with the schema
    /// `airside_keys`, made by `airside ledger init`. Without it the keys are in the
    /// database of the ledger, or in `keys.db` in the data folder if the ledger is there.
    pub(crate) url_file: Option<PathBuf>,
    /// File of the key that wraps them; without it `vault.key` in the data folder. Made
    /// with the first key. All nodes of a shared ledger need the same one. Nobody can
    /// read personal values without it: keep a copy.
    pub(crate) vault_file: Option<PathBuf>,
    /// A key in a key management service that wraps them instead. Chosen with the first
    /// key; later neither can take the place of the other.
    pub(crate) kms: Option<KmsPlace>,
}

/// The state of conversations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ConversationPlace {
    /// Region of this node: 1 to 32 of `a-z`, `0-9` and `-`. Conversations that begin
    /// here are pinned to it, and those of other regions are left alone. Without it
    /// conversations are not pinned.
    #[schemars(with = "Option<String>")]
    pub(crate) region: Option<Region>,
}

/// A copy of the ledger elsewhere, encrypted and written as entries come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ArchivePlace {
    /// Where it is written: `file:///folder`, best on another machine, or
    /// `s3://bucket/prefix` of a storage that speaks the protocol of S3 and honours
    /// `If-None-Match: *`. Without it there is no archive.
    pub(crate) url: Option<Url>,
    /// Where the storage is, if it is not Amazon's. Must use `https` unless the host is
    /// this machine.
    pub(crate) endpoint: Option<Url>,
    /// Region of the storage; without one the environment's `AWS_REGION`, else
    /// `us-east-1`.
    pub(crate) region: Option<String>,
    /// File with `aws_access_key_id` and `aws_secret_access_key` in its section
    /// `default`, which only its owner may read. Without it the usual variables of the
    /// environment (`AWS_ACCESS_KEY_ID`, …) or the role of the machine are used.
    pub(crate) credentials_file: Option<PathBuf>,
    /// File with the key of the archive; without it `archive.key` in the data folder.
    /// Made with a new archive. Nobody can read the archive without it: keep a copy.
    pub(crate) key_file: Option<PathBuf>,
    /// A key in a key management service instead of that file. Chosen when the archive is
    /// made; later neither can take the place of the other.
    pub(crate) kms: Option<KmsPlace>,
    /// How long an entry may wait for others before it is written, in milliseconds.
    pub(crate) flush_ms: u64,
    /// Whether what has to be durable before a call goes on has to be in the archive
    /// too. Then not even the loss of this site loses it, and nothing goes on while
    /// the archive cannot be written.
    pub(crate) remote_ack: bool,
    /// How many days the archive stays readable at each of its manifests. Older entries
    /// stay for ever, merged into larger objects; what was merged is deleted then.
    pub(crate) keep_days: NonZeroU64,
}

impl ArchivePlace {
    /// Returns how its storage is reached.
    pub(crate) fn access(&self) -> Access {
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
pub(crate) struct PolicyFiles {
    /// Files with Cedar policies, which replace the built-in ones. What no policy
    /// permits is refused.
    pub(crate) files: Vec<PathBuf>,
    /// Time zone in which policies read `context.time`, such as `Europe/Zurich`. UTC
    /// unless given.
    #[schemars(with = "Option<String>")]
    pub(crate) zone: Option<Zone>,
}

/// A time zone of the system's database.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Zone(TimeZone);

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let found = TimeZone::get(&name).map(Self);
        found.map_err(|_| format!("there is no time zone `{}`", name.escape_debug()))
    }
}

impl PolicyFiles {
    /// Returns what policies can speak of beside what is shipped.
    pub(crate) fn settings(&self, tools: &[Tool]) -> Settings {
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
pub(crate) struct TravelServer {
    /// Number from which hotels, rates and availability are generated. The same
    /// number gives the same hotels.
    pub(crate) seed: u64,
    /// How many hotels there are.
    pub(crate) hotels: Hotels,
    /// File with hotels of your own, beside the generated ones or, with `hotels = "none"`,
    /// instead of them (docs/hotels.md). A change of it needs a restart.
    pub(crate) properties: Option<PathBuf>,
    /// How long rooms and price are held for a traveller who reviews them: 5 to 86,400
    /// seconds.
    pub(crate) hold_seconds: u64,
    /// Who takes payments for rates that are paid or guaranteed before booking. Without it
    /// every rate is paid at the hotel.
    pub(crate) payments: Option<payments::Payments>,
    /// Who sells the rooms: our own inventory, or a supplier elsewhere.
    pub(crate) supply: travel::TravelSupply,
}

/// How many hotels the built-in travel server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hotels {
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
    cli::DATA_DIR.into()
}

/// A configuration that is good to use.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) policies: Policies,
    /// The hotels of `travel.properties`.
    pub(crate) houses: Houses,
    /// SHA-256 of the configuration and its policies.
    pub(crate) digest: Digest,
}

/// The configuration of `airside up`.
const UP: &str = r#"
[identity]
anonymous-loopback = true

[[upstream]]
name = "travel"
builtin = "travel"

[[endpoint]]
path = "/mcp"
upstreams = ["travel"]

# An assistant that has lost its way must not take the machine with it.
[[limit]]
name = "concurrent-per-client"
concurrent = 1024
per = ["client"]

[[limit]]
name = "rate-per-client"
rate = "5000/s"
burst = 10000
per = ["client"]
"#;

/// Returns the configuration of `airside up`.
pub(crate) fn embedded(data_dir: &Path) -> Result<Loaded, Problems> {
    let source = Source {
        path: PathBuf::from("airside up"),
        text: UP.to_owned(),
    };
    let mut loaded = read(&source)?;
    data_dir.clone_into(&mut loaded.config.data_dir);
    Ok(loaded)
}

/// Reads the configuration in `file`.
pub(crate) fn load(file: &Path) -> Result<Loaded, Problems> {
    let text = read_text(file).map_err(|error| Problems {
        file: file.to_owned(),
        list: vec![Problem::unreadable(file, &error)],
    })?;
    read(&Source {
        path: file.to_owned(),
        text,
    })
}

/// Returns the policies in `files`, or the shipped ones if there are none.
pub(crate) fn policies(files: &[PathBuf], settings: &Settings) -> Result<Policies, Problems> {
    let (mut texts, mut list) = (Vec::new(), Vec::new());
    for file in files {
        match read_text(file) {
            Ok(text) => texts.push(Source {
                path: file.clone(),
                text,
            }),
            Err(error) => list.push(Problem::unreadable(file, &error)),
        }
    }
    let policies = check::policies(&texts, settings, &mut list);
    match policies.filter(|_| list.is_empty()) {
        Some(policies) => Ok(policies),
        None => Err(Problems {
            file: files.first().cloned().unwrap_or_default(),
            list,
        }),
    }
}

fn read(source: &Source) -> Result<Loaded, Problems> {
    let refused = |list| Problems {
        file: source.path.clone(),
        list,
    };
    if let Err(error) = toml::de::DeTable::parse(&source.text) {
        return Err(refused(vec![Problem::from_syntax(source, &error)]));
    }
    let mut config: Config = toml::from_str(&source.text)
        .map_err(|error| refused(vec![Problem::from_value(source, &error)]))?;
    resolve(&mut config, source.folder());
    let mut list = check::check(source, &config);
    let texts = read_policies(source, &config, &mut list);
    let (properties, houses) = properties::read(source, &config, &mut list);
    let settings = config.policy.settings(&config.tool);
    let policies = check::policies(&texts, &settings, &mut list);
    let Some(policies) = policies.filter(|_| list.is_empty()) else {
        return Err(refused(list));
    };
    let mut all = source.text.clone();
    for text in texts.into_iter().chain(properties) {
        all.push('\0');
        all.push_str(&text.text);
    }
    let digest = Digest::of(all.as_bytes());
    Ok(Loaded {
        config,
        policies,
        houses,
        digest,
    })
}

fn read_policies(source: &Source, config: &Config, list: &mut Vec<Problem>) -> Vec<Source> {
    let mut texts = Vec::new();
    for (index, file) in config.policy.files.iter().enumerate() {
        let path = [Step::Key("policy"), Step::Key("files"), Step::Index(index)];
        match read_text(file) {
            Ok(text) => texts.push(Source {
                path: file.clone(),
                text,
            }),
            Err(error) => {
                let mut problem = Problem::unreadable(file, &error);
                problem.place = Some(source.place(&source.span(&path)));
                list.push(problem);
            }
        }
    }
    texts
}

/// Reads a whole file of bounded size.
fn read_text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(MAX_FILE).read_to_string(&mut text)?;
    if text.len() as u64 == MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {MAX_FILE} bytes"),
        ));
    }
    Ok(text)
}

/// Makes relative paths start at `folder`, wherever the process was started.
fn resolve(config: &mut Config, folder: &Path) {
    config.data_dir = folder.join(&config.data_dir);
    if let Some(file) = &mut config.ledger.url_file {
        *file = folder.join(&*file);
    }
    let files = [
        &mut config.archive.key_file,
        &mut config.archive.credentials_file,
        &mut config.keys.url_file,
        &mut config.keys.vault_file,
        &mut config.travel.properties,
        &mut config.travel.supply.password_file,
        &mut config.travel.supply.app_key_file,
        &mut config.firewall.fingerprint_key_file,
    ];
    for file in files.into_iter().flatten() {
        *file = folder.join(&*file);
    }
    for kms in [&mut config.archive.kms, &mut config.keys.kms] {
        if let Some(file) = kms.as_mut().and_then(|kms| kms.credentials_file.as_mut()) {
            *file = folder.join(&*file);
        }
    }
    if let Some(payments) = &mut config.travel.payments {
        let files = [&mut payments.key_file, &mut payments.webhook_secret_file];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
    for file in &mut config.policy.files {
        *file = folder.join(&*file);
    }
    config.inventory.rebase(folder);
    if let Some(tls) = &mut config.listen.tls {
        for file in [&mut tls.certificate_file, &mut tls.key_file] {
            *file = folder.join(&*file);
        }
    }
    for platform in &mut config.identity.certificate {
        let files = [Some(&mut platform.ca_file), platform.crl_file.as_mut()];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
    if let Some(store) = &mut config.limits.store {
        store.url_file = folder.join(&store.url_file);
    }
    for key in &mut config.identity.signing_key {
        key.file = folder.join(&key.file);
    }
    for issuer in &mut config.identity.issuer {
        if let Some(introspection) = &mut issuer.introspection {
            let file = &mut introspection.client_secret_file;
            *file = folder.join(&*file);
        }
    }
    for domain in &mut config.identity.trust_domain {
        if let Some(file) = &mut domain.bundle_file {
            *file = folder.join(&*file);
        }
    }
    for upstream in &mut config.upstream {
        for file in upstream.files() {
            *file = folder.join(&*file);
        }
        if let Some(directory) = &mut upstream.directory {
            *directory = folder.join(&*directory);
        }
        // A program with a slash is a path; without one it is looked up in PATH.
        if let Some(program) = upstream.command.first_mut()
            && program.contains('/')
        {
            *program = folder.join(&*program).to_string_lossy().into_owned();
        }
    }
}
