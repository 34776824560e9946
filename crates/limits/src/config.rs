//! Limits as operators write them.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use airside_base::{Fault, Redacted, TenantId};
use airside_identity::Attestation;
use airside_policy::limit::{
    self, Calendar, Class, Kind, Looks, MAX_SPAN, Pace, PaceError, Rule, Selector, Traits,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Rate, StoreOptions};

/// Longest name of a limit, in bytes.
const MAX_NAME: usize = 40;
/// Largest weight of a call.
const MAX_COST: u32 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;

/// What all limits share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LimitsConfig {
    /// About how many keys are counted apart at the same time, some 150 bytes each.
    /// When there are more, the new ones of a limit share one budget.
    pub max_keys: usize,
    /// Time zone in which days and months of quotas begin, such as `Europe/Berlin`.
    pub zone: String,
    /// Time zones of tenants that have one of their own.
    pub zones: BTreeMap<TenantId, String>,
    /// A store in which several nodes count together. Without it each counts what it
    /// serves itself, and quotas by the ledger.
    pub store: Option<StoreConfig>,
}

/// A store in which several nodes count together: Valkey, Redis 6.2 or newer, or another
/// that speaks their protocol.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoreConfig {
    /// File that holds its URL: `redis://user:password@host:port`, or `rediss://` for TLS.
    pub url_file: PathBuf,
    /// Longest wait for an answer, in milliseconds. When it has passed, and while the
    /// store is away, this node counts its share by itself.
    #[serde(default = "StoreConfig::default_timeout_ms")]
    pub timeout_ms: NonZeroU64,
    /// How many nodes share the store: the budgets are divided by it while the store is
    /// away.
    pub nodes: NonZeroU32,
    /// What all keys in the store begin with, for several installations in one.
    #[serde(default = "StoreConfig::default_prefix")]
    pub prefix: String,
    /// Whose clock counts.
    #[serde(default)]
    pub time: Time,
}

impl StoreConfig {
    const fn default_timeout_ms() -> NonZeroU64 {
        NonZeroU64::new(5).expect("not zero")
    }

    fn default_prefix() -> String {
        "airside".to_owned()
    }

    /// Returns how the store at `url` is used.
    #[must_use]
    pub fn options(&self, url: Redacted<String>) -> StoreOptions {
        StoreOptions {
            url,
            timeout: Duration::from_millis(self.timeout_ms.get()),
            nodes: self.nodes,
            prefix: self.prefix.clone(),
            time: self.time,
        }
    }
}

/// Whose clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Time {
    /// That of the store, the same for all nodes.
    #[default]
    Server,
    /// That of each node. They have to be kept together.
    Node,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_keys: 100_000,
            zone: "UTC".to_owned(),
            zones: BTreeMap::new(),
            store: None,
        }
    }
}

/// One limit. Exactly one of `rate`, `concurrent`, `quota` and `look-to-book` is given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitConfig {
    /// Name of the limit: in entries, answers and commands. 1 to 40 of `a-z`, `0-9`
    /// and `-`. Counters are kept under it over a change of the configuration.
    pub name: String,
    /// How fast units come back, such as `100/s` or `600/min`.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// How many units of `rate` may be used at once; without it those of one second, at
    /// least 1.
    #[serde(default)]
    pub burst: Option<u32>,
    /// How many calls may be under way at the same time, on each node.
    #[serde(default)]
    pub concurrent: Option<NonZeroU32>,
    /// How many units there are in a period of the calendar.
    #[serde(default)]
    pub quota: Option<Quota>,
    /// How many searches there are for each booking.
    #[serde(default)]
    pub look_to_book: Option<LookToBook>,
    /// What has a budget of its own; without it all calls share one. `user` and
    /// `session` are what the caller says, so they only narrow: their budgets are
    /// within those of tenant and client.
    #[serde(default)]
    pub per: Vec<Per>,
    /// Argument of the tool that names the market, for `per = ["market"]`.
    #[serde(default)]
    pub market_argument: Option<String>,
    /// What a call costs, in units.
    #[serde(default = "one")]
    pub cost: u32,
    /// What calls of single tools cost instead, by the server's own name of the tool.
    #[serde(default)]
    pub costs: BTreeMap<String, u32>,
    /// Counts calls of these tenants only.
    #[serde(default)]
    pub tenants: Vec<TenantId>,
    /// Counts calls of these callers only, by name of the key, client id or subject.
    #[serde(default)]
    pub clients: Vec<String>,
    /// Counts calls of members of these groups only.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Counts calls of these tools only, by the server's own name; a `*` at the end
    /// stands for anything.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Counts calls only of tools that say of themselves that they only read, or only
    /// of those that do not.
    #[serde(default)]
    pub tools_that: Option<Tools>,
    /// Counts calls to these upstream servers only.
    #[serde(default)]
    pub upstreams: Vec<String>,
    /// Counts calls only of callers whose proof is at most this: `none`, `ip_range`,
    /// `api_key`, `oauth`, `http_signature` or `mtls`.
    #[serde(default)]
    pub attestation_at_most: Option<String>,
    /// How those are answered who have used the budget up.
    #[serde(default)]
    pub answer: Answer,
}

const fn one() -> u32 {
    1
}

/// A number of units in a period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quota {
    /// Units from midnight to midnight.
    #[serde(default)]
    pub daily: Option<u64>,
    /// Units from the first of a month to the first of the next.
    #[serde(default)]
    pub monthly: Option<u64>,
}

/// A budget of searches that bookings earn.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LookToBook {
    /// How many searches one booking earns.
    pub ratio: u32,
    /// How many searches there are before any booking.
    pub floor: u32,
    /// How long a budget holds from its first search on, in seconds.
    #[serde(default = "LookToBook::default_window_s")]
    pub window_s: u64,
    /// Tools that book, by the server's own name: a call of one that succeeds earns.
    /// Searches are the calls that the limit counts, without `tools` those of tools
    /// that only read.
    pub books: Vec<String>,
}

impl LookToBook {
    const fn default_window_s() -> u64 {
        3_600
    }
}

/// What has a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each tenant.
    Tenant,
    /// Each caller of each tenant: an API key, an OAuth client, a certificate.
    Client,
    /// Each person behind a caller: the subject of a token, else `openai/subject`.
    User,
    /// Each conversation of an agent: the session, else `openai/session`, else the user.
    Session,
    /// Each tool.
    Tool,
    /// Each value of `market-argument`.
    Market,
    /// Each upstream server.
    Upstream,
}

impl From<Per> for Class {
    fn from(per: Per) -> Self {
        match per {
            Per::Tenant => Self::Tenant,
            Per::Client => Self::Client,
            Per::User => Self::User,
            Per::Session => Self::Session,
            Per::Tool => Self::Tool,
            Per::Market => Self::Market,
            Per::Upstream => Self::Upstream,
        }
    }
}

/// Which tools, by what they say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tools {
    /// They only read.
    Read,
    /// They may change something.
    Act,
}

/// How those are answered who have used a budget up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// HTTP 429 with a JSON-RPC error (42900), which the host of the model handles.
    #[default]
    Http,
    /// HTTP 429 with the JSON-RPC code that is proposed to MCP for it, -32023.
    RateLimited,
    /// HTTP 200 with a tool result that is an error and tells the model in a sentence
    /// when to come back. For hosts that take a 429 for a broken connection.
    ToolResult,
}

impl From<Answer> for limit::Answer {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Http => Self::Http,
            Answer::RateLimited => Self::RateLimited,
            Answer::ToolResult => Self::ToolResult,
        }
    }
}

/// Why a limit cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name is not one.
    #[error("the name of a limit is 1 to {MAX_NAME} of a-z, 0-9 and -, not `{name}`")]
    Name {
        /// The name.
        name: String,
    },
    /// Two limits have the same name.
    #[error("the name `{name}` is used twice")]
    SameName {
        /// The name.
        name: String,
    },
    /// It says not exactly one thing to count.
    #[error("`{name}` needs exactly one of `rate`, `concurrent`, `quota` and `look-to-book`")]
    Kind {
        /// The limit.
        name: String,
    },
    /// The rate cannot be kept.
    #[error("the rate of `{name}` cannot be kept")]
    Pace {
        /// The limit.
        name: String,
        /// Why.
        source: PaceError,
    },
    /// Something else of it makes no sense.
    #[error("`{key}` of `{name}` {problem}")]
    Value {
        /// The limit.
        name: String,
        /// The key of the configuration.
        key: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// No such time zone is known here.
    #[error("there is no time zone `{zone}`")]
    Zone {
        /// The zone.
        zone: String,
    },
}

impl Error {
    /// What the operator has to know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let mut text = self.to_string();
        if let Some(cause) = std::error::Error::source(self) {
            text.push_str(&format!(": {cause}"));
        }
        Fault::new(airside_base::Kind::Invalid, "CFG-035", text)
    }
}

/// Checks `limits`; returns what is wrong, with the place of the limit, if it is one.
#[must_use]
pub fn check(shared: &LimitsConfig, limits: &[LimitConfig]) -> Vec<(Option<usize>, Error)> {
    let mut list = Vec::new();
    let zones = std::iter::once(&shared.zone).chain(shared.zones.values());
    for zone in zones {
        if Calendar::find_zone(zone).is_none() {
            list.push((None, Error::Zone { zone: zone.clone() }));
        }
    }
    if !list.is_empty() {
        return list;
    }
    let mut names = BTreeSet::new();
    for (place, limit) in limits.iter().enumerate() {
        if let Err(error) = limit.rules(shared) {
            list.push((Some(place), error));
        } else if !names.insert(&limit.name) {
            let name = limit.name.clone();
            list.push((Some(place), Error::SameName { name }));
        }
    }
    list
}

/// Returns the rules that `limits` describe.
///
/// # Errors
///
/// The first thing that [`check`] finds.
pub fn compile(shared: &LimitsConfig, limits: &[LimitConfig]) -> Result<Vec<Rule>, Error> {
    if let Some((_, error)) = check(shared, limits).into_iter().next() {
        return Err(error);
    }
    let mut rules = Vec::new();
    for limit in limits {
        rules.extend(limit.rules(shared)?);
    }
    Ok(rules)
}

impl LimitConfig {
    /// Returns the rules of this limit: one, or two if it has a daily and a monthly
    /// quota.
    fn rules(&self, shared: &LimitsConfig) -> Result<Vec<Rule>, Error> {
        self.check_name()?;
        self.check_values()?;
        let kinds = self.kinds(shared)?;
        let several = kinds.len() > 1;
        let rule = |(period, kind): (&str, Kind)| {
            let name = match several {
                true => format!("{}-{period}", self.name),
                false => self.name.clone(),
            };
            Ok(Rule {
                name: name.into(),
                selects: self.selector()?,
                per: self.classes(),
                market: self.market_argument.as_deref().map(Into::into),
                cost: self.cost,
                costs: self.costs.clone(),
                kind,
                answer: self.answer.into(),
            })
        };
        kinds.into_iter().map(rule).collect()
    }

    fn check_name(&self) -> Result<(), Error> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=MAX_NAME).contains(&self.name.len()) && self.name.bytes().all(plain) {
            return Ok(());
        }
        let name = self.name.chars().take(64).collect();
        Err(Error::Name { name })
    }

    fn wrong(&self, key: &'static str, problem: &'static str) -> Error {
        Error::Value {
            name: self.name.clone(),
            key,
            problem,
        }
    }

    fn check_values(&self) -> Result<(), Error> {
        let has_market = self.per.contains(&Per::Market);
        if has_market != self.market_argument.is_some() {
            let problem = "belongs to `per = [\"market\"]`, and that needs it";
            return Err(self.wrong("market-argument", problem));
        }
        let costs = || self.costs.values().copied().chain([self.cost]);
        if costs().any(|cost| cost > MAX_COST) {
            return Err(self.wrong("cost", "is at most 1,000,000"));
        }
        let counts_calls = self.concurrent.is_some() || self.look_to_book.is_some();
        if counts_calls && (self.cost != 1 || !self.costs.is_empty()) {
            return Err(self.wrong("cost", "belongs to `rate` and `quota`"));
        }
        if self.burst.is_some() && self.rate.is_none() {
            return Err(self.wrong("burst", "belongs to `rate`"));
        }
        if let Some(burst) = self.most_at_once()
            && costs().any(|cost| cost > burst)
        {
            return Err(self.wrong("cost", "is more than the burst, so no call would pass"));
        }
        Ok(())
    }

    /// The burst of a rate.
    fn most_at_once(&self) -> Option<u32> {
        let rate = self.rate?;
        let of_a_second = rate.units.saturating_mul(NS_PER_S) / rate.per_ns;
        let of_a_second = u32::try_from(of_a_second).unwrap_or(u32::MAX).max(1);
        Some(self.burst.unwrap_or(of_a_second))
    }

    fn kinds(&self, shared: &LimitsConfig) -> Result<Vec<(&'static str, Kind)>, Error> {
        match (self.rate, self.concurrent, self.quota, &self.look_to_book) {
            (Some(rate), None, None, None) => {
                let burst = self.most_at_once().unwrap_or(1);
                let pace = Pace::new(rate.units, rate.per_ns, burst);
                let pace = pace.map_err(|source| Error::Pace {
                    name: self.name.clone(),
                    source,
                })?;
                Ok(vec![("", Kind::Pace(pace))])
            }
            (None, Some(most), None, None) => Ok(vec![("", Kind::Concurrent(most))]),
            (None, None, Some(quota), None) => self.quotas(quota, shared),
            (None, None, None, Some(budget)) => Ok(vec![("", self.looks(budget)?)]),
            _ => Err(Error::Kind {
                name: self.name.clone(),
            }),
        }
    }

    fn quotas(
        &self,
        quota: Quota,
        shared: &LimitsConfig,
    ) -> Result<Vec<(&'static str, Kind)>, Error> {
        let calendar = |zone: &String, of: fn(_) -> Calendar| {
            let found = Calendar::find_zone(zone);
            found
                .map(of)
                .ok_or_else(|| Error::Zone { zone: zone.clone() })
        };
        let kind = |limit: u64, of: fn(_) -> Calendar| {
            let zones = shared.zones.iter();
            let zones = zones.map(|(tenant, zone)| Ok((tenant.clone(), calendar(zone, of)?)));
            Ok(Kind::Quota {
                limit,
                zones: zones.collect::<Result<_, Error>>()?,
                otherwise: calendar(&shared.zone, of)?,
            })
        };
        let mut kinds = Vec::new();
        if let Some(limit) = quota.daily {
            kinds.push(("daily", kind(limit, Calendar::days)?));
        }
        if let Some(limit) = quota.monthly {
            kinds.push(("monthly", kind(limit, Calendar::months)?));
        }
        if kinds.is_empty() {
            return Err(self.wrong("quota", "needs `daily` or `monthly`"));
        }
        Ok(kinds)
    }

    fn looks(&self, budget: &LookToBook) -> Result<Kind, Error> {
        let window_ns = budget.window_s.checked_mul(NS_PER_S);
        let window_ns = window_ns.filter(|ns| (1..=MAX_SPAN).contains(ns));
        let Some(window_ns) = window_ns else {
            return Err(self.wrong("look-to-book", "has a window of 1 second to 13 days"));
        };
        if budget.books.is_empty() || budget.floor == 0 {
            let problem = "needs tools that book, and a floor of at least 1";
            return Err(self.wrong("look-to-book", problem));
        }
        Ok(Kind::LookToBook {
            looks: Looks {
                ratio: budget.ratio,
                floor: budget.floor,
                window_ns,
            },
            books: budget.books.clone(),
        })
    }

    fn selector(&self) -> Result<Selector, Error> {
        let attestation = self.attestation_at_most.as_deref().map(|name| {
            let known = LADDER.iter().find(|rung| rung.as_str() == name);
            known.map(|rung| rung.level()).ok_or_else(|| {
                let problem = "is none of none, ip_range, api_key, oauth, http_signature and mtls";
                self.wrong("attestation-at-most", problem)
            })
        });
        let looks = self.look_to_book.is_some() && self.tools.is_empty();
        let traits = match self.tools_that {
            Some(Tools::Read) => Some(Traits::ReadOnly),
            Some(Tools::Act) => Some(Traits::Effect),
            None => looks.then_some(Traits::ReadOnly),
        };
        Ok(Selector {
            tenants: self.tenants.iter().map(ToString::to_string).collect(),
            clients: self.clients.clone(),
            groups: self.groups.clone(),
            tools: self.tools.clone(),
            traits,
            upstreams: self.upstreams.clone(),
            attestation_at_most: attestation.transpose()?,
        })
    }

    /// What tells its keys apart, from the widest to the narrowest. Ids of clients
    /// are unique within a tenant, users and sessions within a client.
    fn classes(&self) -> Vec<Class> {
        let mut classes: BTreeSet<Class> = self.per.iter().map(|per| (*per).into()).collect();
        if classes.contains(&Class::User) || classes.contains(&Class::Session) {
            classes.insert(Class::Client);
        }
        if classes.contains(&Class::Client) {
            classes.insert(Class::Tenant);
        }
        classes.into_iter().collect()
    }
}

const LADDER: [Attestation; 6] = [
    Attestation::None,
    Attestation::IpRange,
    Attestation::ApiKey,
    Attestation::OAuth,
    Attestation::HttpSignature,
    Attestation::Mtls,
];

#[cfg(test)]
mod tests;
