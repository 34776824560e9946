//! What sessions have seen: whether a tool was called that returns what strangers wrote
//! or what is private, and whether an answer looked like instructions.
//!
//! # Invariants
//!
//! * A session is forgotten half an hour after its last call of such a tool, and a
//!   restart forgets all; nothing else takes back what a session has seen.
//! * Bounded: [`SHARDS`] × [`ROOM`] sessions. Where there is no room for one more, those
//!   that are not known count as having seen both kinds of content until there is.
//! * Keys are hashed under a secret of the process, so that no client can aim at the
//!   session of another.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use airside_base::Clock;
use airside_identity::Caller;
use airside_mcp::{Call, header, raw};
use airside_policy::Risk;
use http::HeaderMap;

/// How long a session is remembered after it last saw something.
const WINDOW: Duration = Duration::from_secs(30 * 60);
/// Parts of the table, each with a lock of its own.
const SHARDS: usize = 16;
/// Sessions of one part: 24 bytes each, with the map's own some 50.
const ROOM: usize = 4096;
/// Members of `_meta` by which a client names the conversation of a call, the first
/// that is there.
const HANDLES: [&str; 2] = ["airside/conversation", "openai/session"];
/// Longest handle that is looked at, in bytes.
const MAX_HANDLE: usize = 512;

/// What sessions have seen.
pub(crate) struct Taint {
    shards: [Mutex<Shard>; SHARDS],
    secrets: [RandomState; 2],
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Shard {
    seen: HashMap<u128, Seen>,
    /// Until when there are sessions that found no room.
    full_until: Duration,
}

#[derive(Clone, Copy)]
struct Seen {
    risk: u8,
    /// On the monotonic clock.
    until: Duration,
}

/// What is one session: a conversation of a caller that the client names, a session of
/// the protocol, or else everything that the caller does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session(u128);

impl Taint {
    /// Returns an empty table.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            shards: Default::default(),
            secrets: [RandomState::new(), RandomState::new()],
            clock,
        }
    }

    /// Returns the session that a call belongs to.
    pub(crate) fn session(&self, caller: &Caller, headers: &HeaderMap, call: &Call) -> Session {
        let meta = call.meta_span().map(|span| &call.bytes()[span]);
        let meta = meta.and_then(|meta| std::str::from_utf8(meta).ok());
        let named = |name: &&str| {
            let meta = meta.filter(|meta| meta.contains(name))?;
            raw::find(meta, name).filter(|handle| handle.len() <= MAX_HANDLE)
        };
        let handle = HANDLES.iter().find_map(named).map(str::as_bytes);
        let handle = handle.or_else(|| headers.get(&header::SESSION_ID).map(|id| id.as_bytes()));
        let half = |secret: &RandomState| {
            secret.hash_one((
                caller.tenant().as_str(),
                caller.kind().as_str(),
                caller.id(),
                caller.client(),
                handle,
            ))
        };
        let [one, other] = [&self.secrets[0], &self.secrets[1]].map(half);
        Session(u128::from(one) << 64 | u128::from(other))
    }

    /// Returns what `session` has seen.
    pub(crate) fn risk(&self, session: Session) -> Risk {
        let now = self.clock.monotonic();
        let shard = self.shard(session);
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        match shard.seen.get(&session.0) {
            Some(seen) if seen.until > now => Risk::from_bits(seen.risk),
            _ if shard.full_until > now => Risk {
                flagged: false,
                ..Risk::ALL
            },
            _ => Risk::NONE,
        }
    }

    /// Notes that `session` sees `risk`.
    pub(crate) fn note(&self, session: Session, risk: Risk) {
        if risk == Risk::NONE {
            return;
        }
        let now = self.clock.monotonic();
        let until = now + WINDOW;
        let shard = self.shard(session);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = shard.seen.get_mut(&session.0) {
            let before = if seen.until > now { seen.risk } else { 0 };
            seen.risk = before | risk.bits();
            seen.until = until;
            return;
        }
        if shard.seen.len() >= ROOM {
            shard.seen.retain(|_, seen| seen.until > now);
        }
        if shard.seen.len() >= ROOM {
            shard.full_until = until;
            return;
        }
        let risk = risk.bits();
        shard.seen.insert(session.0, Seen { risk, until });
    }

    fn shard(&self, session: Session) -> &Mutex<Shard> {
        let place = session.0 % SHARDS as u128;
        &self.shards[usize::try_from(place).unwrap_or_default()]
    }
}

impl std::fmt::Debug for Taint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taint").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use airside_base::VirtualClock;
    use airside_identity::{Attestation, CallerKind};
    use airside_mcp::{Incoming, Limits};
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn table() -> (Taint, Arc<VirtualClock>) {
        let clock = Arc::new(VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap()));
        (Taint::new(clock.clone()), clock)
    }

    const PRIVATE: Risk = Risk {
        private: true,
        ..Risk::NONE
    };
    const UNTRUSTED: Risk = Risk {
        untrusted: true,
        ..Risk::NONE
    };

    #[test]
    fn what_was_seen_adds_up_and_is_forgotten_in_time() {
        let (taint, clock) = table();
        let session = Session(7);
        taint.note(session, PRIVATE);
        clock.advance(WINDOW / 2);
        taint.note(session, UNTRUSTED);
        let both = Risk {
            flagged: false,
            ..Risk::ALL
        };
        assert_eq!(taint.risk(session), both);
        assert_eq!(taint.risk(Session(23)), Risk::NONE);
        clock.advance(WINDOW);
        assert_eq!(taint.risk(session), Risk::NONE);
        taint.note(session, UNTRUSTED);
        assert_eq!(taint.risk(session), UNTRUSTED, "the past is forgotten");
    }

    #[test]
    fn without_room_nobody_passes_for_clean() {
        let (taint, clock) = table();
        let session = |number: usize| Session((number * SHARDS) as u128);
        for number in 0..=ROOM {
            taint.note(session(number), PRIVATE);
        }
        assert_eq!(taint.risk(session(0)), PRIVATE);
        assert!(taint.risk(session(ROOM)).untrusted && taint.risk(session(ROOM + 1)).private);
        assert_eq!(taint.risk(Session(1)), Risk::NONE, "another part has room");
        clock.advance(WINDOW);
        assert_eq!(taint.risk(session(ROOM)), Risk::NONE);
        taint.note(session(ROOM), PRIVATE);
        assert_eq!(taint.risk(session(ROOM)), PRIVATE);
    }

    #[test]
    fn a_session_is_what_the_client_names_else_the_caller() {
        let (taint, _) = table();
        let caller = |id: &str| {
            let tenant = airside_base::TenantId::default();
            Caller::new(
                CallerKind::ApiKey,
                id,
                tenant,
                Attestation::ApiKey,
                Vec::new(),
            )
        };
        let call = |meta: &str| {
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","_meta":{{{meta}}}}}}}"#
            );
            match Incoming::parse(&Bytes::from(text), &Limits::DEFAULT).unwrap() {
                Incoming::Request(call) => call,
                other => panic!("{other:?}"),
            }
        };
        let none = HeaderMap::new();
        let (ci, cd) = (caller("ci"), caller("cd"));
        let own = taint.session(&ci, &none, &call(""));
        assert_eq!(
            own,
            taint.session(&ci, &none, &call("\"traceparent\":\"00-1\""))
        );
        assert_ne!(own, taint.session(&cd, &none, &call("")));
        let one = taint.session(&ci, &none, &call("\"airside/conversation\":\"1\""));
        assert_ne!(one, own);
        assert_ne!(
            one,
            taint.session(&cd, &none, &call("\"airside/conversation\":\"1\""))
        );
        assert_ne!(
            one,
            taint.session(&ci, &none, &call("\"openai/session\":\"2\""))
        );
        let mut headers = HeaderMap::new();
        headers.insert(&header::SESSION_ID, HeaderValue::from_static("s-1"));
        assert_ne!(own, taint.session(&ci, &headers, &call("")));
    }
}
