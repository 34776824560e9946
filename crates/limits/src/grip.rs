//! What a call holds of budgets until it has ended.

use std::sync::Arc;

use airside_policy::limit::{Held, Level, Looks};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Limit, plan::Compiled, service::Counters};

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a call holds: places among those under way, and what it will have earned.
#[derive(Debug, Default)]
pub struct Grip {
    /// Given back when this is dropped.
    pub(crate) held: Vec<Held>,
    pub(crate) taken: Vec<Taken>,
    pub(crate) earns: Vec<Earns>,
}

/// Units that a call took.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) rule: Arc<Compiled>,
    pub(crate) cost: u32,
    pub(crate) level: Level,
}

/// Looks that a call earns if it succeeds.
#[derive(Debug)]
pub(crate) struct Earns {
    pub(crate) limits: Arc<Counters>,
    pub(crate) rule: Arc<Compiled>,
    pub(crate) key: String,
    pub(crate) looks: Looks,
}

/// The fields of an answer that say what is left (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Debug, Clone)]
pub struct Fields {
    policy: HeaderValue,
    state: HeaderValue,
}

impl Grip {
    /// Returns what the record of the call says of limits.
    pub fn noted(&self) -> impl Iterator<Item = Limit<'static>> + '_ {
        self.taken
            .iter()
            .map(|taken| taken.rule.noted(taken.cost, taken.level))
    }

    /// Returns the fields for the budget of which the smallest part is left.
    #[must_use]
    pub fn fields(grips: [Option<&Self>; 2]) -> Option<Fields> {
        let taken = grips.into_iter().flatten().flat_map(|grip| &grip.taken);
        let part = |taken: &&Taken| {
            let most = taken.rule.rule.most().max(1);
            u128::from(taken.level.remaining) * 1_000_000 / u128::from(most)
        };
        let tightest = taken.min_by_key(part)?;
        Some(Fields::of(&tightest.rule, tightest.level))
    }

    /// The call has succeeded: what it earns is earned.
    pub fn earned(&mut self) {
        for earns in self.earns.drain(..) {
            let Earns {
                limits,
                rule,
                key,
                looks,
            } = earns;
            limits.earn(&rule.rule.name, &key, looks);
        }
    }
}

impl Fields {
    pub(crate) fn of(rule: &Compiled, level: Level) -> Self {
        let (name, remaining) = (&rule.rule.name, level.remaining);
        // A name is plain and numbers are digits: a structured field (RFC 9651).
        let state = match level.reset_s() {
            0 => format!("\"{name}\";r={remaining}"),
            reset => format!("\"{name}\";r={remaining};t={reset}"),
        };
        let state = HeaderValue::try_from(state);
        Self {
            policy: rule.policy.clone(),
            state: state.unwrap_or_else(|_| HeaderValue::from_static("")),
        }
    }

    /// Puts them into `headers`.
    pub fn put(self, headers: &mut HeaderMap) {
        headers.insert(&RATE_LIMIT_POLICY, self.policy);
        headers.insert(&RATE_LIMIT, self.state);
    }
}
