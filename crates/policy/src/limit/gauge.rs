//! Calls at the same time.
//!
//! # Invariants
//!
//! * A key is remembered only while something holds it, so there are never more than
//!   calls under way.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Key;

const SHARDS: usize = 16;

/// Counts what is held at the same time. Clones share the count.
#[derive(Debug, Clone)]
pub struct Gauges(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hasher: RandomState,
    shards: [Mutex<HashMap<Box<str>, u32>>; SHARDS],
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Held {
    gauges: Gauges,
    key: Box<str>,
    shard: usize,
}

impl Default for Gauges {
    fn default() -> Self {
        Self(Arc::new(Inner {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }))
    }
}

impl Gauges {
    /// Takes one of `most` places of `key`; none if all are taken.
    pub fn hold(&self, key: Key<'_>, most: u32) -> Option<Held> {
        let name = format!("{}\0{}", key.rule, key.text).into_boxed_str();
        let shard = (self.0.hasher.hash_one(&name) % SHARDS as u64) as usize;
        let mut counts = self.lock(shard);
        match counts.get_mut(&name) {
            Some(count) if *count >= most => return None,
            Some(count) => *count += 1,
            None if most == 0 => return None,
            None => drop(counts.insert(name.clone(), 1)),
        }
        drop(counts);
        Some(Held {
            gauges: self.clone(),
            key: name,
            shard,
        })
    }

    /// Returns what is held at present: rule, key and count.
    #[must_use]
    pub fn held(&self) -> Vec<(String, String, u32)> {
        let mut held = Vec::new();
        for shard in 0..SHARDS {
            let counts = self.lock(shard);
            held.extend(counts.iter().filter_map(|(name, count)| {
                let (rule, key) = name.split_once('\0')?;
                Some((rule.to_owned(), key.to_owned(), *count))
            }));
        }
        held
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, HashMap<Box<str>, u32>> {
        // Counts are whole after every statement, so a panic elsewhere spoils nothing.
        let lock = self.0.shards[shard].lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self.gauges.lock(self.shard);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(gauges: &Gauges, client: &str) -> Option<Held> {
        let key = Key {
            rule: "slots",
            text: client,
        };
        gauges.hold(key, 2)
    }

    #[test]
    fn place_comes_back_when_it_is_dropped() {
        let gauges = Gauges::default();
        let first = hold(&gauges, "ci").unwrap();
        let second = hold(&gauges, "ci").unwrap();
        assert!(hold(&gauges, "ci").is_none());
        assert!(hold(&gauges, "other").is_some());
        assert_eq!(gauges.held(), [("slots".to_owned(), "ci".to_owned(), 2)]);
        drop(first);
        let third = hold(&gauges, "ci").unwrap();
        drop((second, third));
        assert_eq!(gauges.held(), []);
    }
}
