//! Results that servers allow to be reused, and lists that were rendered before.
//!
//! # Invariants
//!
//! * Only what its server marked with a positive `ttlMs` is kept, no longer than
//!   that, and only complete results of requests that are nothing but a question:
//!   further rounds of a call (`requestState`, `inputResponses`) never are.
//! * A `private` result is found only by the principal it was given to.
//! * A result leaves with the caller's id and with the time that is left of its
//!   `ttlMs`; every other byte is the server's.
//! * A change that a server announces makes everything kept of it unfindable at once,
//!   also what was being fetched at that moment.
//! * Bounded in bytes. The oldest goes first.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use airside_base::{Clock, ServerId};
use airside_identity::Caller;
use airside_mcp::{Call, raw, reply::List};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::federation::merge::Freshness;

/// Largest result that is kept, in bytes.
const MAX_ENTRY: usize = 1 << 20;
/// Longest time that a result is kept.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long a rendered list is kept. It is found by what it was made of, so it is
/// never wrong; it only takes room.
const RENDERED_AGE: Duration = Duration::from_secs(600);
/// What an entry takes beside its bytes, roughly.
const OVERHEAD: usize = 128;

/// What an entry is found by: a digest over everything its bytes depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// Returns the key of `parts`; how they are cut matters.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let digest = context.finish();
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl Key {
    /// Returns all of it.
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns its first 64 bits.
    pub(crate) fn prefix(self) -> u64 {
        let (first, _) = self.0.split_at(8);
        u64::from_be_bytes(first.try_into().expect("eight bytes were split off"))
    }
}

/// A question whose answer may be kept.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    server: ServerId,
    generation: u64,
    public: Key,
    private: Key,
}

struct Entry {
    /// Text of the `result` member.
    result: Bytes,
    until: Duration,
    added: u64,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    added: u64,
    generations: HashMap<ServerId, u64>,
}

/// Kept results, bounded in bytes.
pub(crate) struct Cache {
    kept: Mutex<Kept>,
    max_bytes: usize,
    clock: Arc<dyn Clock>,
}

impl Cache {
    /// Returns an empty cache for at most `max_bytes`.
    pub(crate) fn new(max_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            kept: Mutex::default(),
            max_bytes,
            clock,
        }
    }

    /// Returns the question that `call` puts to `server`, if its answer may be kept.
    pub(crate) fn question(
        &self,
        server: &ServerId,
        call: &Call,
        caller: &Caller,
    ) -> Option<Question> {
        let method = call.method();
        let cacheable = List::of_method(method).is_some()
            || matches!(method, "server/discover" | "resources/read");
        let version = call.meta().protocol_version()?;
        if !cacheable || call.is_continuation() {
            return None;
        }
        let params = std::str::from_utf8(call.params()?).ok()?;
        let known = |key: &str| matches!(key, "_meta" | "cursor" | "uri");
        if !raw::members(params).ok()?.iter().all(|m| known(&m.key)) {
            return None;
        }
        let generation = self.lock().generations.get(server).copied().unwrap_or(0);
        let capabilities = call.meta().client_capabilities().unwrap_or_default();
        let key = |caller: &[&[u8]]| {
            let mut parts: Vec<&[u8]> = vec![
                server.as_str().as_bytes(),
                method.as_bytes(),
                version.as_bytes(),
                capabilities,
                call.cursor().map_or(b"-", |_| b"+"),
                call.cursor().unwrap_or_default().as_bytes(),
                call.name().unwrap_or_default().as_bytes(),
            ];
            let generation = generation.to_be_bytes();
            parts.push(&generation);
            parts.extend(caller);
            Key::of(&parts)
        };
        let (kind, tenant) = (caller.kind().as_str(), caller.tenant().as_str());
        let claims = [caller.issuer(), caller.client(), caller.subject()];
        let claims = claims.map(|claim| claim.map_or(String::new(), |claim| format!("={claim}")));
        Some(Question {
            server: server.clone(),
            generation,
            public: key(&[]),
            private: key(&[
                kind.as_bytes(),
                tenant.as_bytes(),
                caller.id().as_bytes(),
                claims[0].as_bytes(),
                claims[1].as_bytes(),
                claims[2].as_bytes(),
            ]),
        })
    }

    /// Returns the kept result for `question`, its `ttlMs` set to what is left.
    pub(crate) fn find(&self, question: &Question) -> Option<String> {
        let (text, freshness) = self.find_whole(question)?;
        let mut edits = raw::Edits::default();
        let ttl = raw::find(&text, "ttlMs")?;
        edits.replace(&text, ttl, freshness.ttl_ms.to_string());
        Some(edits.apply(&text))
    }

    /// Returns the kept result for `question` as it came, and what is left of its time.
    pub(crate) fn find_whole(&self, question: &Question) -> Option<(String, Freshness)> {
        let now = self.clock.monotonic();
        let (result, left, public) = {
            let kept = self.lock();
            let found = |key| kept.entries.get(key).filter(|entry| entry.until > now);
            let (entry, public) = match found(&question.public) {
                Some(entry) => (entry, true),
                None => (found(&question.private)?, false),
            };
            (entry.result.clone(), entry.until - now, public)
        };
        let freshness = Freshness {
            ttl_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            public,
        };
        Some((String::from_utf8(result.into()).ok()?, freshness))
    }

    /// Keeps `result` as the answer to `question` if it says that it may be.
    pub(crate) fn keep(&self, question: &Question, result: &str) {
        let hint = Freshness::of(result);
        let complete = raw::find(result, "resultType")
            .is_none_or(|kind| raw::string(kind).as_deref() == Some("complete"));
        if hint.ttl_ms == 0 || !complete {
            return;
        }
        let key = match hint.public {
            true => question.public,
            false => question.private,
        };
        let age = Duration::from_millis(hint.ttl_ms).min(MAX_AGE);
        let mut kept = self.lock();
        let generation = kept.generations.get(&question.server).copied();
        if generation.unwrap_or(0) == question.generation {
            self.insert(
                &mut kept,
                key,
                Bytes::copy_from_slice(result.as_bytes()),
                age,
            );
        }
    }

    /// Returns what was rendered from exactly the parts of `key`.
    pub(crate) fn rendered(&self, key: Key) -> Option<Bytes> {
        let now = self.clock.monotonic();
        let kept = self.lock();
        let entry = kept.entries.get(&key).filter(|entry| entry.until > now)?;
        Some(entry.result.clone())
    }

    /// Keeps what was rendered from exactly the parts of `key`.
    pub(crate) fn keep_rendered(&self, key: Key, text: Bytes) {
        self.insert(&mut self.lock(), key, text, RENDERED_AGE);
    }

    /// Forgets everything that `server` said.
    pub(crate) fn invalidate(&self, server: &ServerId) {
        *self.lock().generations.entry(server.clone()).or_default() += 1;
    }

    fn insert(&self, kept: &mut Kept, key: Key, result: Bytes, age: Duration) {
        let size = result.len() + OVERHEAD;
        if result.len() > MAX_ENTRY || size > self.max_bytes {
            return;
        }
        kept.added += 1;
        let added = kept.added;
        let until = self.clock.monotonic() + age;
        let entry = Entry {
            result,
            until,
            added,
        };
        kept.bytes += size;
        if let Some(old) = kept.entries.insert(key, entry) {
            kept.bytes -= old.result.len() + OVERHEAD;
        }
        kept.order.push_back((key, added));
        let Kept { entries, order, .. } = kept;
        if order.len() > 2 * entries.len() + 16 {
            order.retain(|(key, added)| entries.get(key).is_some_and(|e| e.added == *added));
        }
        while kept.bytes > self.max_bytes {
            let Some((key, added)) = kept.order.pop_front() else {
                break;
            };
            // The place in the queue may be that of an older entry with this key.
            if kept
                .entries
                .get(&key)
                .is_some_and(|entry| entry.added == added)
                && let Some(old) = kept.entries.remove(&key)
            {
                kept.bytes -= old.result.len() + OVERHEAD;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("the lock is not poisoned")
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept = self.lock();
        f.debug_struct("Cache")
            .field("entries", &kept.entries.len())
            .field("bytes", &kept.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
