//! For whom a limit holds and what it counts.

use std::{collections::BTreeMap, num::NonZeroU32};

use airside_base::TenantId;
use jiff::tz::TimeZone;

use super::{Calendar, Looks, Measure, Now, Pace};

/// What tells the keys of a rule apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The tenant of the caller.
    Tenant,
    /// The caller, as it proved itself.
    Client,
    /// The person behind the call, as the caller tells it.
    User,
    /// The conversation of an agent, as the caller tells it.
    Session,
    /// The tool.
    Tool,
    /// The market, from an argument.
    Market,
    /// The upstream server.
    Upstream,
}

impl Class {
    /// Returns the name used in keys and configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Client => "client",
            Self::User => "user",
            Self::Session => "session",
            Self::Tool => "tool",
            Self::Market => "market",
            Self::Upstream => "upstream",
        }
    }

    /// Returns whether the head of a request tells it.
    #[must_use]
    pub const fn is_early(self) -> bool {
        matches!(self, Self::Tenant | Self::Client)
    }
}

/// Which tools, by what they say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traits {
    /// Tools that only read.
    ReadOnly,
    /// Tools that are not known to only read.
    Effect,
}

/// Which calls a rule counts. An empty list means all.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// Tenants.
    pub tenants: Vec<String>,
    /// Callers, by id.
    pub clients: Vec<String>,
    /// Groups of the caller; one of them is enough.
    pub groups: Vec<String>,
    /// Tools by the server's own name; one may end with `*`.
    pub tools: Vec<String>,
    /// What the tool says of itself.
    pub traits: Option<Traits>,
    /// Upstream servers.
    pub upstreams: Vec<String>,
    /// Callers whose proof is at most this strong (`Attestation::level`).
    pub attestation_at_most: Option<u8>,
}

/// What is known of a caller.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its tenant.
    pub tenant: &'a TenantId,
    /// Its id.
    pub client: &'a str,
    /// Its groups.
    pub groups: &'a [String],
    /// How strong its proof is.
    pub attestation: u8,
}

/// What is known of a call when it was routed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// The tool that is called; none for other methods.
    pub tool: Option<&'a str>,
    /// Whether the tool says that it only reads.
    pub read_only: bool,
    /// The server; none where several are asked.
    pub upstream: Option<&'a str>,
}

/// What a rule counts.
#[derive(Debug)]
pub enum Kind {
    /// Units in time.
    Pace(Pace),
    /// Calls at the same time.
    Concurrent(NonZeroU32),
    /// Units in a period of the calendar of the tenant's zone.
    Quota {
        /// How many.
        limit: u64,
        /// Calendars of tenants that have one of their own.
        zones: BTreeMap<TenantId, Calendar>,
        /// The calendar of all others.
        otherwise: Calendar,
    },
    /// Searches against bookings.
    LookToBook {
        /// The budget.
        looks: Looks,
        /// Tools that book, by the server's own name.
        books: Vec<String>,
    },
}

/// How a refusal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// HTTP 429 with a JSON-RPC error of Airside's own code.
    #[default]
    Http,
    /// HTTP 429 with the JSON-RPC code that is proposed for it, -32023 (SEP-3304).
    RateLimited,
    /// A tool result that is an error, which the model reads.
    ToolResult,
}

/// One limit.
#[derive(Debug)]
pub struct Rule {
    /// Its name: in entries, in `RateLimit` fields, on the command line.
    pub name: Box<str>,
    /// Which calls it counts.
    pub selects: Selector,
    /// What tells its keys apart.
    pub per: Vec<Class>,
    /// Name of the argument that is the market.
    pub market: Option<Box<str>>,
    /// What a call costs, in units.
    pub cost: u32,
    /// What calls of single tools cost instead.
    pub costs: BTreeMap<String, u32>,
    /// What is counted.
    pub kind: Kind,
    /// How a refusal is told.
    pub answer: Answer,
}

impl Selector {
    /// Returns whether the head of a request tells whether a call is meant.
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.tools.is_empty() && self.traits.is_none() && self.upstreams.is_empty()
    }

    /// Returns whether calls of `subject` are meant.
    #[must_use]
    pub fn means(&self, subject: &Subject<'_>) -> bool {
        let is_in = |list: &[String], value: &str| {
            list.is_empty() || list.iter().any(|known| known == value)
        };
        let groups = || {
            subject
                .groups
                .iter()
                .any(|group| self.groups.contains(group))
        };
        is_in(&self.tenants, subject.tenant.as_str())
            && is_in(&self.clients, subject.client)
            && (self.groups.is_empty() || groups())
            && self
                .attestation_at_most
                .is_none_or(|most| subject.attestation <= most)
    }

    /// Returns whether calls of `target` are meant.
    #[must_use]
    pub fn aims_at(&self, target: &Target<'_>) -> bool {
        let tool = match target.tool {
            Some(tool) => {
                let traits = match self.traits {
                    Some(Traits::ReadOnly) => target.read_only,
                    Some(Traits::Effect) => !target.read_only,
                    None => true,
                };
                traits && (self.tools.is_empty() || names(&self.tools, tool))
            }
            None => self.tools.is_empty() && self.traits.is_none(),
        };
        let upstream = match target.upstream {
            Some(upstream) => {
                self.upstreams.is_empty() || self.upstreams.iter().any(|known| known == upstream)
            }
            None => self.upstreams.is_empty(),
        };
        tool && upstream
    }
}

/// Returns whether `patterns` name `tool`.
fn names(patterns: &[String], tool: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => tool.starts_with(prefix),
            None => pattern == tool,
        })
}

impl Rule {
    /// Returns whether it can be asked before a byte of the body was read: nothing
    /// that it looks at is in there, and it does not answer with a tool result.
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.selects.is_early()
            && self.per.iter().all(|class| class.is_early())
            && self.costs.is_empty()
            && self.answer != Answer::ToolResult
            && !matches!(self.kind, Kind::LookToBook { .. })
    }

    /// Returns what a call of `tool` costs.
    #[must_use]
    pub fn cost_of(&self, tool: Option<&str>) -> u32 {
        tool.and_then(|tool| self.costs.get(tool).copied())
            .unwrap_or(self.cost)
    }

    /// Returns whether `tool` is one that books.
    #[must_use]
    pub fn is_book(&self, tool: &str) -> bool {
        match &self.kind {
            Kind::LookToBook { books, .. } => names(books, tool),
            Kind::Pace(_) | Kind::Concurrent(_) | Kind::Quota { .. } => false,
        }
    }

    /// Returns how a key of `tenant` is measured; none for calls at the same time.
    #[must_use]
    pub fn measure(&self, tenant: &TenantId, now: Now) -> Option<Measure> {
        Some(match &self.kind {
            Kind::Pace(pace) => Measure::Pace(*pace),
            Kind::Concurrent(_) => return None,
            Kind::Quota {
                limit,
                zones,
                otherwise,
            } => Measure::Quota {
                limit: *limit,
                period: zones.get(tenant).unwrap_or(otherwise).period(now.wall),
            },
            Kind::LookToBook { looks, .. } => Measure::Looks(*looks),
        })
    }

    /// Returns how many units a key has at most, not counting what bookings earn.
    #[must_use]
    pub fn most(&self) -> u64 {
        match &self.kind {
            Kind::Pace(pace) => u64::from(pace.burst()),
            Kind::Concurrent(most) => u64::from(most.get()),
            Kind::Quota { limit, .. } => *limit,
            Kind::LookToBook { looks, .. } => u64::from(looks.floor),
        }
    }
}

impl Calendar {
    /// Returns the zone called `name` (IANA).
    #[must_use]
    pub fn find_zone(name: &str) -> Option<TimeZone> {
        TimeZone::get(name).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject<'a>(tenant: &'a TenantId, groups: &'a [String]) -> Subject<'a> {
        Subject {
            tenant,
            client: "ci",
            groups,
            attestation: 20,
        }
    }

    #[test]
    fn empty_selector_means_everything() {
        let tenant = TenantId::default();
        let all = Selector::default();
        assert!(all.is_early());
        assert!(all.means(&subject(&tenant, &[])));
        assert!(all.aims_at(&Target::default()));
    }

    #[test]
    fn every_condition_has_to_hold() {
        let tenant = TenantId::default();
        let groups = ["partners".to_owned()];
        let selector = Selector {
            clients: vec!["ci".into()],
            groups: vec!["partners".into(), "others".into()],
            attestation_at_most: Some(20),
            ..Selector::default()
        };
        assert!(selector.means(&subject(&tenant, &groups)));
        assert!(!selector.means(&subject(&tenant, &[])));
        let stronger = Subject {
            attestation: 30,
            ..subject(&tenant, &groups)
        };
        assert!(!selector.means(&stronger));
    }

    #[test]
    fn tools_are_meant_by_name_prefix_and_trait() {
        let selector = Selector {
            tools: vec!["search_*".into(), "get_hotel".into()],
            traits: Some(Traits::ReadOnly),
            ..Selector::default()
        };
        let tool = |tool, read_only| Target {
            tool,
            read_only,
            upstream: Some("travel"),
        };
        assert!(!selector.is_early());
        assert!(selector.aims_at(&tool(Some("search_hotels"), true)));
        assert!(selector.aims_at(&tool(Some("get_hotel"), true)));
        assert!(!selector.aims_at(&tool(Some("search_hotels"), false)));
        assert!(!selector.aims_at(&tool(Some("get_hotels"), true)));
        assert!(!selector.aims_at(&tool(None, true)));
    }
}
