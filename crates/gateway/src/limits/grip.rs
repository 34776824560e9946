//! What a call holds of budgets until it has ended.

use std::sync::Arc;

use airside_policy::limit::{Held, Level, Looks};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{plan::Compiled, service::Counters};
use crate::event::{self, Outcome};

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a call holds: places among those under way, and what it will have earned.
#[derive(Debug, Default)]
pub(crate) struct Grip {
    /// Given back when this is dropped.
    pub(super) held: Vec<Held>,
    pub(super) taken: Vec<Taken>,
    pub(super) earns: Vec<Earns>,
}

/// Units that a call took.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) rule: Arc<Compiled>,
    pub(super) cost: u32,
    pub(super) level: Level,
}

/// Looks that a call earns if it succeeds.
#[derive(Debug)]
pub(super) struct Earns {
    pub(super) limits: Arc<Counters>,
    pub(super) rule: Arc<Compiled>,
    pub(super) key: String,
    pub(super) looks: Looks,
}

/// The fields of an answer that say what is left (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    policy: HeaderValue,
    state: HeaderValue,
}

impl Grip {
    /// Returns what the record of the call says of limits.
    pub(crate) fn noted(&self) -> impl Iterator<Item = event::Limit<'static>> + '_ {
        self.taken.iter().map(|taken| event::Limit {
            limit: taken.rule.rule.name.to_string().into(),
            key: taken.rule.classes.clone().into(),
            cost: u64::from(taken.cost),
            remaining: taken.level.remaining,
        })
    }

    /// Returns the fields for the budget of which the smallest part is left.
    pub(crate) fn fields(grips: [Option<&Self>; 2]) -> Option<Fields> {
        let taken = grips.into_iter().flatten().flat_map(|grip| &grip.taken);
        let part = |taken: &&Taken| {
            let most = taken.rule.rule.most().max(1);
            u128::from(taken.level.remaining) * 1_000_000 / u128::from(most)
        };
        let tightest = taken.min_by_key(part)?;
        Some(Fields::of(&tightest.rule, tightest.level))
    }

    /// The call has ended.
    pub(crate) fn ended(&mut self, outcome: Outcome) {
        for earns in self.earns.drain(..) {
            if outcome == Outcome::Ok {
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
}

impl Fields {
    pub(super) fn of(rule: &Compiled, level: Level) -> Self {
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
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        headers.insert(&RATE_LIMIT_POLICY, self.policy);
        headers.insert(&RATE_LIMIT, self.state);
    }
}
