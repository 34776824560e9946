//! Bounded tables of things that end at a time: verified tokens, seen proofs.
//!
//! # Invariants
//!
//! * Keys are digests of secrets or of what clients chose: the table is seeded per
//!   process, and how long a look-up takes says nothing about other entries.
//! * Locks are short and spread over shards, so that threads rarely meet.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use airside_base::Timestamp;
use aws_lc_rs::digest;

const SHARDS: usize = 16;

/// SHA-256 of what an entry is found by.
pub(super) type Name = [u8; 32];

pub(super) fn name(parts: &[&[u8]]) -> Name {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[derive(Debug)]
pub(super) struct Table<V> {
    shards: [Mutex<HashMap<Name, (Timestamp, V)>>; SHARDS],
    per_shard: usize,
}

/// There is no room for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl<V: Clone> Table<V> {
    /// Returns an empty table of at most `limit` entries.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            per_shard: limit.div_ceil(SHARDS),
        }
    }

    pub(super) fn find(&self, name: &Name, now: Timestamp) -> Option<V> {
        let shard = self.shard(name);
        let (until, value) = shard.get(name)?;
        (*until > now).then(|| value.clone())
    }

    /// Enters `value`; where the table is full, something else makes room for it.
    pub(super) fn put(&self, name: Name, until: Timestamp, value: V, now: Timestamp) {
        let mut shard = self.shard(&name);
        if !self.has_room(&mut shard, now) {
            let some = shard.keys().next().copied();
            some.map(|some| shard.remove(&some));
        }
        shard.insert(name, (until, value));
    }

    /// Enters `value` unless `name` is there. Returns whether it was entered.
    pub(super) fn put_new(
        &self,
        name: Name,
        until: Timestamp,
        value: V,
        now: Timestamp,
    ) -> Result<bool, Full> {
        let mut shard = self.shard(&name);
        if shard.get(&name).is_some_and(|(until, _)| *until > now) {
            return Ok(false);
        }
        if !self.has_room(&mut shard, now) {
            return Err(Full);
        }
        shard.insert(name, (until, value));
        Ok(true)
    }

    fn has_room(&self, shard: &mut HashMap<Name, (Timestamp, V)>, now: Timestamp) -> bool {
        if shard.len() >= self.per_shard {
            shard.retain(|_, (until, _)| *until > now);
        }
        shard.len() < self.per_shard
    }

    fn shard(&self, name: &Name) -> MutexGuard<'_, HashMap<Name, (Timestamp, V)>> {
        let shard = &self.shards[usize::from(name[31]) % SHARDS];
        shard
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn entry_lives_until_its_time() {
        let table = Table::new(16);
        let one = name(&[b"one"]);
        table.put(one, at(10), 'a', at(0));
        assert_eq!(table.find(&one, at(9)), Some('a'));
        assert_eq!(table.find(&one, at(10)), None);
        assert_eq!(table.put_new(one, at(20), 'b', at(9)), Ok(false));
        assert_eq!(table.put_new(one, at(20), 'b', at(10)), Ok(true));
    }

    #[test]
    fn full_table_forgets_or_refuses_as_asked() {
        let table = Table::new(16);
        for number in 0_u32..1000 {
            table.put(name(&[&number.to_be_bytes()]), at(10), number, at(0));
        }
        let held: usize = table
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().len())
            .sum();
        assert_eq!(held, 16);
        let mut next = name(&[b"x"]);
        next[31] = 0;
        assert_eq!(table.put_new(next, at(10), 0, at(0)), Err(Full));
        // What has ended makes room.
        assert_eq!(table.put_new(next, at(20), 0, at(10)), Ok(true));
    }

    #[test]
    fn names_keep_their_parts_apart() {
        assert_ne!(name(&[b"a", b"bc"]), name(&[b"ab", b"c"]));
    }
}
