//! A bounded table of keys, shared by threads.
//!
//! # Invariants
//!
//! * It never holds more than its bound, plus one overflow key for each rule and shard.
//! * Several keys are locked in one order, so that two takes never wait for each other.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Key;

const SHARDS: usize = 16;
/// Shards fill unevenly: room above the mean, in parts of it.
const SLACK: usize = 8;
/// The key of a rule that new keys share when there is no room for one of their own.
const OVERFLOW: &str = "(others)";

/// Where a key is. The hashes have secret seeds, so nobody outside can make two keys
/// meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id {
    high: u64,
    low: u64,
}

impl Id {
    const fn shard(self) -> usize {
        (self.low % SHARDS as u64) as usize
    }
}

/// Values by key.
#[derive(Debug)]
pub struct Table<V> {
    hashers: [RandomState; 2],
    shards: [Mutex<Shard<V>>; SHARDS],
    most: usize,
}

#[derive(Debug)]
struct Shard<V> {
    slots: HashMap<Id, Slot<V>>,
    /// Whether nothing came to rest when it was looked through last.
    full: bool,
}

#[derive(Debug)]
struct Slot<V> {
    /// Rule and text of the key, with a NUL between them.
    name: Box<str>,
    value: V,
}

impl<V> Slot<V> {
    fn key(&self) -> Key<'_> {
        let (rule, text) = self.name.split_once('\0').unwrap_or((&self.name, ""));
        Key { rule, text }
    }
}

impl<V> Table<V> {
    /// Returns a table of about `max_keys` keys, at least 16.
    #[must_use]
    pub fn new(max_keys: usize) -> Self {
        let mean = max_keys.div_ceil(SHARDS).max(1);
        Self {
            hashers: [RandomState::new(), RandomState::new()],
            shards: std::array::from_fn(|_| {
                Mutex::new(Shard {
                    slots: HashMap::new(),
                    full: false,
                })
            }),
            most: mean + mean / SLACK,
        }
    }

    /// Returns where `key` is.
    #[must_use]
    pub fn id(&self, key: Key<'_>) -> Id {
        let hash = |hasher: &RandomState| hasher.hash_one((key.rule, key.text));
        Id {
            high: hash(&self.hashers[0]),
            low: hash(&self.hashers[1]),
        }
    }

    /// Locks the shards of `ids`.
    pub fn lock(&self, ids: impl Iterator<Item = Id>) -> Guards<'_, V> {
        let mut wanted = [false; SHARDS];
        for id in ids {
            wanted[id.shard()] = true;
        }
        Guards {
            table: self,
            shards: std::array::from_fn(|shard| wanted[shard].then(|| self.shard(shard))),
        }
    }

    /// Calls `see` with every key, shard by shard.
    pub fn each(&self, mut see: impl FnMut(Key<'_>, &mut V)) {
        for shard in 0..SHARDS {
            for slot in self.shard(shard).slots.values_mut() {
                let (rule, text) = slot.name.split_once('\0').unwrap_or((&slot.name, ""));
                see(Key { rule, text }, &mut slot.value);
            }
        }
    }

    /// Forgets what `at_rest` holds for.
    pub fn sweep(&self, at_rest: impl Fn(&V) -> bool) {
        for shard in 0..SHARDS {
            self.shard(shard).sweep(&at_rest);
        }
    }

    /// Returns how many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.shard(shard).slots.len()).sum()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, shard: usize) -> MutexGuard<'_, Shard<V>> {
        // Values are written whole, so a panic elsewhere spoils nothing.
        let lock = self.shards[shard].lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Shard<V> {
    fn sweep(&mut self, at_rest: &impl Fn(&V) -> bool) {
        self.slots.retain(|_, slot| !at_rest(&slot.value));
        self.full = false;
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to_fit();
        }
    }
}

/// Shards that are locked.
#[derive(Debug)]
pub struct Guards<'a, V> {
    table: &'a Table<V>,
    shards: [Option<MutexGuard<'a, Shard<V>>>; SHARDS],
}

impl<V> Guards<'_, V> {
    fn shard(&mut self, id: Id) -> &mut Shard<V> {
        let shard = self.shards[id.shard()].as_deref_mut();
        shard.expect("the shard was asked for when the table was locked")
    }

    /// Returns the value at `id`.
    pub fn find(&mut self, id: Id) -> Option<&mut V> {
        let slot = self.shard(id).slots.get_mut(&id);
        slot.map(|slot| &mut slot.value)
    }

    /// Returns where `key`, whose id is `id`, may stand: there if it is known or there
    /// is room, else where all new keys of its rule do. What `at_rest` holds for makes
    /// room.
    pub fn place(&mut self, id: Id, key: Key<'_>, at_rest: impl Fn(&V) -> bool) -> Id {
        let most = self.table.most;
        let shard = self.shard(id);
        if shard.slots.contains_key(&id) || shard.slots.len() < most {
            return id;
        }
        if !shard.full {
            shard.sweep(&at_rest);
            if shard.slots.len() < most {
                return id;
            }
            // Looked through again when something else has swept it.
            shard.full = true;
        }
        let others = self.table.id(Key {
            rule: key.rule,
            text: OVERFLOW,
        });
        Id {
            high: others.high,
            // In the shard that is locked.
            low: others.low - others.low % SHARDS as u64 + id.shard() as u64,
        }
    }

    /// Puts `value` at `id`, which [`Self::place`] returned for `key`.
    pub fn put(&mut self, id: Id, key: Key<'_>, value: V) {
        let own = self.table.id(key) == id;
        match self.shard(id).slots.entry(id) {
            Entry::Occupied(mut known) => known.get_mut().value = value,
            Entry::Vacant(free) => {
                let text = if own { key.text } else { OVERFLOW };
                let name = format!("{}\0{text}", key.rule).into_boxed_str();
                free.insert(Slot { name, value });
            }
        }
    }

    /// Removes what is at `id`. Returns its key's text and value.
    pub fn remove(&mut self, id: Id) -> Option<(String, V)> {
        let slot = self.shard(id).slots.remove(&id)?;
        Some((slot.key().text.to_owned(), slot.value))
    }
}
