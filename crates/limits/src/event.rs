//! What is written about limits.

use std::borrow::Cow;

use airside_base::{TenantId, Timestamp};
use airside_ledger::{Draft, DraftError, Kind};
use serde::{Deserialize, Serialize};

/// An entry about limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// Calls were refused in a window of time, beside those with an entry of their own.
    Reached(Reached<'a>),
    /// Units of a quota were used.
    Counted(Counted<'a>),
    /// The period of a quota is over.
    Closed(Closed<'a>),
    /// An operator gave a key all its units back.
    Reset(Reset<'a>),
    /// The store that nodes share is away, or is back.
    Store(Store<'a>),
}

/// What a call took of one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit<'a> {
    /// Name of the limit.
    pub limit: Cow<'a, str>,
    /// What is counted apart, such as `tenant` or `client`; never the value itself.
    pub key: Cow<'a, str>,
    /// What the call cost.
    pub cost: u64,
    /// What was left after it.
    pub remaining: u64,
}

/// `limit.reached`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached<'a> {
    /// Name of the limit.
    pub limit: Cow<'a, str>,
    /// The key; `(others)` stands for many.
    pub key: Cow<'a, str>,
    /// Begin of the window.
    pub from: Timestamp,
    /// End of the window.
    pub to: Timestamp,
    /// Calls that were refused in it and have no entry of their own.
    pub refused: u64,
}

/// `quota.counted`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted<'a> {
    /// Name of the limit.
    pub limit: Cow<'a, str>,
    /// The key.
    pub key: Cow<'a, str>,
    /// Begin of the period, in seconds since 1970.
    pub start_s: i64,
    /// End of the period.
    pub end_s: i64,
    /// Units that were used since the entry before.
    pub added: u64,
}

/// `quota.closed`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed<'a> {
    /// Name of the limit.
    pub limit: Cow<'a, str>,
    /// The key.
    pub key: Cow<'a, str>,
    /// Begin of the period, in seconds since 1970.
    pub start_s: i64,
    /// Units that were used in it.
    pub used: u64,
}

/// `limit.reset`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset<'a> {
    /// Name of the limit.
    pub limit: Cow<'a, str>,
    /// The key.
    pub key: Cow<'a, str>,
    /// Why, in the operator's words.
    pub reason: Cow<'a, str>,
}

/// `limit.store_away` and `limit.store_back`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store<'a> {
    /// Whether it can be asked.
    #[serde(skip)]
    pub back: bool,
    /// Why it cannot, or how long it could not.
    pub reason: Cow<'a, str>,
    /// By how many nodes budgets are divided while it cannot.
    pub nodes: u32,
}

const REACHED: Kind = Kind::new("limit.reached");
pub(crate) const COUNTED: Kind = Kind::new("quota.counted");
pub(crate) const CLOSED: Kind = Kind::new("quota.closed");
pub(crate) const RESET: Kind = Kind::new("limit.reset");
const AWAY: Kind = Kind::new("limit.store_away");
const BACK: Kind = Kind::new("limit.store_back");

impl Event<'_> {
    /// Returns the draft of an entry in the chain of `tenant`. Its subject is the
    /// limit.
    ///
    /// # Errors
    ///
    /// When the body is over the ledger's limits, which bounded names exclude.
    pub fn draft(&self, tenant: &TenantId) -> Result<Draft, DraftError> {
        let tenant = tenant.clone();
        match self {
            Self::Reached(body) => Draft::new(tenant, REACHED, 1, &body.limit, body),
            Self::Counted(body) => Draft::new(tenant, COUNTED, 1, &body.limit, body),
            Self::Closed(body) => Draft::new(tenant, CLOSED, 1, &body.limit, body),
            Self::Reset(body) => Draft::new(tenant, RESET, 1, &body.limit, body),
            Self::Store(body) if body.back => Draft::new(tenant, BACK, 1, "", body),
            Self::Store(body) => Draft::new(tenant, AWAY, 1, "", body),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    fn check<T>(golden: &'static str, now: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        assert_eq!(serde_json::to_string(now).unwrap(), golden);
        assert_eq!(&serde_json::from_str::<T>(golden).unwrap(), now);
    }

    #[test]
    fn first_versions_decode_for_ever() {
        check(
            r#"{"limit":"pace","key":"client=ci","from":"2026-11-23T12:00:00Z","to":"2026-11-23T12:00:10Z","refused":7}"#,
            &Reached {
                limit: "pace".into(),
                key: "client=ci".into(),
                from: "2026-11-23T12:00:00Z".parse().unwrap(),
                to: "2026-11-23T12:00:10Z".parse().unwrap(),
                refused: 7,
            },
        );
        check(
            r#"{"limit":"day","key":"tenant=a","start_s":0,"end_s":86400,"added":3}"#,
            &Counted {
                limit: "day".into(),
                key: "tenant=a".into(),
                start_s: 0,
                end_s: 86_400,
                added: 3,
            },
        );
        check(
            r#"{"limit":"day","key":"tenant=a","start_s":0,"used":3}"#,
            &Closed {
                limit: "day".into(),
                key: "tenant=a".into(),
                start_s: 0,
                used: 3,
            },
        );
        check(
            r#"{"limit":"day","key":"tenant=a","reason":"ticket 7"}"#,
            &Reset {
                limit: "day".into(),
                key: "tenant=a".into(),
                reason: "ticket 7".into(),
            },
        );
        check(
            r#"{"reason":"timed out","nodes":2}"#,
            &Store {
                back: false,
                reason: "timed out".into(),
                nodes: 2,
            },
        );
    }
}
