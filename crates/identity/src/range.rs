//! Addresses from which platforms call, as they publish them.
//!
//! # Invariants
//!
//! * A range says which network a request came from, and nothing more: it is the
//!   weakest evidence, below every key.
//! * A published list replaces the one before only if it can be read whole and holds
//!   no address that a platform on the internet cannot have. Otherwise the last good
//!   one stays.
//! * The address that is looked up is that of the connection, or what a configured
//!   proxy says.

use std::{
    collections::BTreeSet,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use airside_base::{Clock, Fault, Kind, TenantId};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::{
    Attestation, Caller, CallerKind, Digest, Evidence, Fetch, FetchRequest, Head, Outside, Proxies,
    Reach, Verdict, Verifier, proxy::parse_network,
};

/// Most prefixes of one list.
const MAX_PREFIXES: usize = 10_000;
/// Largest published list, in bytes.
const MAX_BYTES: usize = 2 << 20;
/// How soon a list is asked for again that could not be had.
const PAUSE: Duration = Duration::from_secs(300);

/// Addresses from which one platform calls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IpRangeConfig {
    /// Name of the platform, which becomes the id of its caller.
    pub name: String,
    /// Addresses and networks, such as `160.79.104.0/21`.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// JSON list that the platform publishes: `{"prefixes": [{"ipv4Prefix": "…"}, …]}`
    /// with `ipv4Prefix` and `ipv6Prefix`, or texts. Added to `addresses`.
    #[serde(default)]
    pub url: Option<Url>,
    /// How often the list is asked for again, in seconds. At least 60.
    #[serde(default = "IpRangeConfig::default_refresh_s")]
    pub refresh_s: u32,
    /// Says that `url` is in a private network.
    #[serde(default)]
    pub internal: bool,
    /// Tenant whose ledger chain records the calls.
    #[serde(default)]
    pub tenant: TenantId,
    /// Groups that policies can refer to.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl IpRangeConfig {
    const fn default_refresh_s() -> u32 {
        3600
    }
}

/// Why the configuration of ranges cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// There is nothing to look up.
    #[error("the range `{name}` has neither `addresses` nor `url`")]
    Nothing {
        /// The platform.
        name: String,
    },
    /// An address is none, or would be everybody.
    #[error("`{text}` of range `{name}` is not an address or network of a platform")]
    Address {
        /// The platform.
        name: String,
        /// The text, escaped.
        text: String,
    },
    /// The list cannot be fetched from there.
    #[error("the url of range `{name}` cannot be fetched: {reason}")]
    Url {
        /// The platform.
        name: String,
        /// Why.
        reason: String,
    },
    /// Two have the same name.
    #[error("two `[[identity.ip-range]]` are named `{name}`")]
    Twice {
        /// The name.
        name: String,
    },
    /// The list would be asked for too often.
    #[error("`refresh-s` of range `{name}` must be at least 60")]
    Refresh {
        /// The platform.
        name: String,
    },
}

impl RangeError {
    /// Returns what the operator may read.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::new(Kind::Invalid, "ID-067", self.to_string()).with_hint(match self {
            Self::Nothing { .. } => "add `addresses`, or `url` of the list that it publishes",
            Self::Address { .. } => {
                "write 160.79.104.0/21 or an address; at most a /8, or a /16 of IPv6"
            }
            Self::Url { .. } => "write https://host/list.json",
            Self::Twice { .. } => "put all addresses of a platform into one entry",
            Self::Refresh { .. } => "remove the key to take the default",
        })
    }
}

/// What has changed in a published list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The platform.
    pub name: String,
    /// Its tenant.
    pub tenant: TenantId,
    /// Where the list is published.
    pub url: String,
    /// What was not in the list before.
    pub added: Vec<String>,
    /// What is not in it any more.
    pub removed: Vec<String>,
    /// How many there are now.
    pub total: usize,
    /// SHA-256 of the sorted prefixes, one a line.
    pub sha256: String,
}

/// Recognises callers by their address.
pub struct IpRanges {
    sources: Vec<Arc<Range>>,
    proxies: Proxies,
}

struct Range {
    config: IpRangeConfig,
    caller: Caller,
    fixed: BTreeSet<IpNet>,
    reach: Option<Reach>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    /// First and last addresses, sorted, without overlaps.
    spans: ArcSwap<Vec<(u128, u128)>>,
    published: Mutex<Published>,
}

#[derive(Default)]
struct Published {
    prefixes: BTreeSet<IpNet>,
    due: Duration,
}

impl IpRanges {
    /// Returns what `configs` describe. Lists that `previous` has fetched are taken
    /// over.
    ///
    /// # Errors
    ///
    /// When an address or a URL cannot be used.
    pub fn new(
        configs: &[IpRangeConfig],
        proxies: Proxies,
        outside: &Outside<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, RangeError> {
        let known = |config: &IpRangeConfig| {
            let known = previous.into_iter().flat_map(|previous| &previous.sources);
            known.into_iter().find(|known| known.config == *config)
        };
        let mut names = BTreeSet::new();
        if let Some(twin) = configs.iter().find(|config| !names.insert(&config.name)) {
            return Err(RangeError::Twice {
                name: twin.name.clone(),
            });
        }
        let sources = configs.iter().map(|config| match known(config) {
            Some(known) => Ok(known.clone()),
            None => {
                let (fetch, clock) = (outside.fetch.clone(), outside.clock.clone());
                Range::new(config, fetch, clock).map(Arc::new)
            }
        });
        Ok(Self {
            sources: sources.collect::<Result<_, _>>()?,
            proxies,
        })
    }

    /// Asks for the lists that are due, and returns those that have changed.
    pub async fn refresh(&self) -> Vec<Changed> {
        let mut changed = Vec::new();
        for source in &self.sources {
            changed.extend(source.refresh().await);
        }
        changed
    }

    /// Returns whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }
}

impl Verifier for Arc<IpRanges> {
    fn verify(&self, head: &Head<'_>) -> Verdict {
        let Some(address) = self.proxies.client(head) else {
            return Verdict::Passed;
        };
        let address = number(address);
        match self.sources.iter().find(|source| source.holds(address)) {
            Some(source) => Verdict::Claimed(source.caller.clone().into()),
            None => Verdict::Passed,
        }
    }
}

impl fmt::Debug for IpRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.sources.iter().map(|source| &source.config.name);
        f.debug_list().entries(names).finish()
    }
}

impl Range {
    fn new(
        config: &IpRangeConfig,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RangeError> {
        let name = || config.name.clone();
        if config.addresses.is_empty() && config.url.is_none() {
            return Err(RangeError::Nothing { name: name() });
        }
        if config.refresh_s < 60 {
            return Err(RangeError::Refresh { name: name() });
        }
        let fixed = config.addresses.iter().map(|text| {
            let network = parse_network(text).filter(is_narrow);
            network.ok_or_else(|| RangeError::Address {
                name: name(),
                text: text.escape_debug().take(60).collect(),
            })
        });
        let fixed = fixed.collect::<Result<BTreeSet<_>, _>>()?;
        let reach = config.url.as_ref().map(|url| {
            let reach = Reach::of(url, config.internal);
            reach.check(url).map(|()| reach)
        });
        let reach = reach.transpose().map_err(|error| RangeError::Url {
            name: name(),
            reason: error.to_string(),
        })?;
        let caller = Caller::new(
            CallerKind::IpRange,
            name(),
            config.tenant.clone(),
            Attestation::IpRange,
            config.groups.clone(),
        );
        let evidence = format!("address of {}", config.name);
        Ok(Self {
            caller: caller.with_evidence(Evidence::new("ip_range", [evidence])),
            spans: ArcSwap::from_pointee(spans(fixed.iter())),
            fixed,
            reach,
            fetch,
            clock,
            published: Mutex::default(),
            config: config.clone(),
        })
    }

    fn holds(&self, address: u128) -> bool {
        let spans = self.spans.load();
        let behind = spans.partition_point(|(first, _)| *first <= address);
        behind > 0 && spans[behind - 1].1 >= address
    }

    async fn refresh(&self) -> Option<Changed> {
        let (url, reach) = (self.config.url.as_ref()?, self.reach?);
        if self.published().due > self.clock.monotonic() {
            return None;
        }
        let request = FetchRequest {
            max_bytes: MAX_BYTES,
            ..FetchRequest::get(url.clone(), reach)
        };
        let fetched = self.fetch.fetch(request).await;
        let public = reach == Reach::Public;
        let read = match fetched {
            Ok(fetched) => read(&fetched.body, public),
            Err(error) => Err(error.to_string()),
        };
        let now = self.clock.monotonic();
        let prefixes = match read {
            Ok(prefixes) => prefixes,
            Err(reason) => {
                self.published().due = now + PAUSE;
                tracing::warn!(
                    name = self.config.name,
                    %url,
                    reason,
                    "the addresses of a platform cannot be fetched; the last good ones stay in use"
                );
                return None;
            }
        };
        let before = {
            let mut published = self.published();
            published.due = now + Duration::from_secs(self.config.refresh_s.into());
            if published.prefixes == prefixes {
                return None;
            }
            std::mem::replace(&mut published.prefixes, prefixes.clone())
        };
        let all = self.fixed.union(&prefixes);
        self.spans.store(Arc::new(spans(all)));
        let texts =
            |one: &BTreeSet<IpNet>, other| one.difference(other).map(ToString::to_string).collect();
        let lines: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
        Some(Changed {
            name: self.config.name.clone(),
            tenant: self.config.tenant.clone(),
            url: url.to_string(),
            added: texts(&prefixes, &before),
            removed: texts(&before, &prefixes),
            total: prefixes.len(),
            sha256: Digest::of(lines.join("\n").as_bytes()).to_string(),
        })
    }

    fn published(&self) -> std::sync::MutexGuard<'_, Published> {
        self.published.lock().expect("nothing panics in here")
    }
}

/// No platform has more of the internet to itself.
fn is_narrow(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() >= 8,
        IpNet::V6(network) => network.prefix_len() >= 16,
    }
}

/// A published list, in the shapes that are in use.
#[derive(Deserialize)]
struct List {
    prefixes: Vec<serde_json::Value>,
}

fn read(body: &[u8], public: bool) -> Result<BTreeSet<IpNet>, String> {
    let list: List = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if list.prefixes.is_empty() || list.prefixes.len() > MAX_PREFIXES {
        return Err(format!("it has {} prefixes", list.prefixes.len()));
    }
    let text = |entry: &serde_json::Value| {
        let member = |name: &str| entry.get(name);
        let text = member("ipv4Prefix")
            .or_else(|| member("ipv6Prefix"))
            .unwrap_or(entry);
        text.as_str().map(str::to_owned)
    };
    let prefix = |entry: &serde_json::Value| {
        let network = text(entry).and_then(|text| parse_network(&text));
        let good = |network: &IpNet| {
            let ends = [network.network(), network.broadcast()];
            is_narrow(network) && (!public || ends.iter().all(|end| Reach::Public.permits(*end)))
        };
        network.filter(good).ok_or_else(|| {
            let shown: String = entry.to_string().escape_debug().take(60).collect();
            format!("{shown} is no network of a platform")
        })
    };
    list.prefixes.iter().map(prefix).collect()
}

/// All addresses in one order: those of IPv4 as IPv6 writes them (RFC 4291, section
/// 2.5.5.2).
fn number(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn spans<'a>(networks: impl Iterator<Item = &'a IpNet>) -> Vec<(u128, u128)> {
    let mut all: Vec<_> = networks
        .map(|network| (number(network.network()), number(network.broadcast())))
        .collect();
    all.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::with_capacity(all.len());
    for (first, last) in all {
        match merged.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
