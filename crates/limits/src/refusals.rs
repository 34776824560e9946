//! Refusals on record, however many there are.
//!
//! # Invariants
//!
//! * In each window a key has at most one refusal with an entry of its own and one
//!   entry that counts the others. Keys beyond [`MAX_KEYS`] are counted together, by
//!   limit and tenant. So the ledger takes a bounded number of entries per window,
//!   and every refusal is in one of them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use airside_base::{TenantId, Timestamp};

/// How long refusals of a key are counted together.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
/// How many keys are told apart in a window.
const MAX_KEYS: usize = 128;
const OTHERS: &str = "(others)";

/// The refusals of the present window.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<Place, Window>>);

/// Where calls were refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) tenant: TenantId,
    pub(crate) limit: Box<str>,
    pub(crate) key: Box<str>,
}

/// What was refused there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Timestamp,
    /// Without an entry of their own.
    pub(crate) counted: u64,
    /// Whether one has an entry of its own.
    recorded: bool,
}

impl Refusals {
    /// Counts a refusal. Returns whether it is to have an entry of its own, which it
    /// `may` have.
    pub(crate) fn add(
        &self,
        (tenant, limit, key): (&TenantId, &str, &str),
        now: Timestamp,
        may: bool,
    ) -> bool {
        let mut windows = self.lock();
        let mut place = Place {
            tenant: tenant.clone(),
            limit: limit.into(),
            key: key.into(),
        };
        let known = windows.contains_key(&place);
        let crowded = !known && windows.len() >= MAX_KEYS;
        if crowded {
            place.key = OTHERS.into();
        }
        let window = windows.entry(place).or_insert(Window {
            from: now,
            counted: 0,
            recorded: false,
        });
        if may && !crowded && !window.recorded {
            window.recorded = true;
            return true;
        }
        window.counted += 1;
        false
    }

    /// Ends the window. Returns what was counted in it.
    pub(crate) fn close(&self) -> Vec<(Place, Window)> {
        let windows = std::mem::take(&mut *self.lock());
        let counted = windows.into_iter().filter(|(_, window)| window.counted > 0);
        counted.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Window>> {
        // Counts are whole after every statement, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_is_counted_and_nothing_is_lost() {
        let refusals = Refusals::default();
        let tenant = TenantId::default();
        let now = Timestamp::UNIX_EPOCH;
        let add = |key: &str, may| refusals.add((&tenant, "pace", key), now, may);
        assert!(add("a", true));
        assert!(!add("a", true));
        // Before the body nothing has an entry of its own.
        assert!(!add("b", false));
        let own = (0..10_000).filter(|n| add(&format!("k{n}"), true)).count();
        let closed = refusals.close();
        assert_eq!(own, MAX_KEYS - 2);
        assert!(closed.len() <= MAX_KEYS + 1);
        let counted: u64 = closed.iter().map(|(_, window)| window.counted).sum();
        assert_eq!(counted + own as u64 + 1, 10_003);
        assert_eq!(refusals.close(), []);
    }
}
