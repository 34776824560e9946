//! The newest commits of this process, kept in memory for what copies the ledger.
//!
//! # Invariants
//!
//! * Only what the store has made durable is here, the commits in their order.
//! * It saves reading and is no truth about a chain: what other nodes write, what was
//!   there before and what was not fetched in time have to be read from the store.
//! * It is bounded, and nothing is kept while nobody fetches.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use crate::store::Commit;

/// Most bytes that are kept: what is written in a twentieth of a second at full speed,
/// beside what has gathered.
const KEPT_BYTES: usize = 6 << 20;
/// Bytes that are worth to be fetched at once: a full segment of an archive.
const GATHERED_BYTES: usize = 2 << 20;

/// Where the sequencer puts what is durable.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    state: Mutex<State>,
    gathered: Notify,
}

#[derive(Debug, Default)]
struct State {
    commits: VecDeque<(Arc<Commit>, usize)>,
    bytes: usize,
    fetchers: usize,
}

impl Kept {
    /// Keeps `commit`, and forgets the oldest ones over the limit.
    pub(crate) fn push(&self, commit: Arc<Commit>) {
        let mut state = self.lock();
        if state.fetchers == 0 {
            return;
        }
        let (before, bytes) = (state.bytes, commit.weight());
        state.commits.push_back((commit, bytes));
        state.bytes += bytes;
        while state.bytes > KEPT_BYTES && state.pop().is_some() {}
        let gathered = before < GATHERED_BYTES && state.bytes >= GATHERED_BYTES;
        drop(state);
        if gathered {
            self.gathered.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

impl State {
    fn pop(&mut self) -> Option<Arc<Commit>> {
        let (commit, bytes) = self.commits.pop_front()?;
        self.bytes -= bytes;
        Some(commit)
    }
}

/// Fetches the newest commits of this process; they are kept while it lives. What one
/// fetches no other gets.
#[derive(Debug)]
pub struct Recent(Arc<Kept>);

impl Recent {
    pub(crate) fn new(kept: Arc<Kept>) -> Self {
        kept.lock().fetchers += 1;
        Self(kept)
    }

    /// Takes out the oldest commits that are kept, of about `bytes` altogether.
    pub fn fetch(&mut self, bytes: usize) -> Vec<Arc<Commit>> {
        let mut state = self.0.lock();
        let (from, mut fetched) = (state.bytes, Vec::new());
        while from - state.bytes < bytes
            && let Some(commit) = state.pop()
        {
            fetched.push(commit);
        }
        fetched
    }

    /// Resolves when so much has gathered that it should not wait for more.
    pub async fn gathered(&self) {
        self.0.gathered.notified().await;
    }
}

impl Drop for Recent {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.fetchers -= 1;
        if state.fetchers == 0 {
            state.commits = VecDeque::new();
            state.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use airside_base::{TenantId, Timestamp};
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{
        encoding::seal,
        entry::{Draft, Head, Kind},
        store::Segment,
    };

    /// A commit of one entry of `bytes` behind `head`.
    fn commit(head: &mut Head, bytes: usize) -> Arc<Commit> {
        let body = serde_json::json!({ "text": "x".repeat(bytes) });
        let draft = Draft::new(TenantId::default(), Kind::new("a.b"), 1, "", &body).unwrap();
        let entry = seal(&draft, *head, Timestamp::UNIX_EPOCH, &mut Vec::new());
        let segment = Segment::new(*head, vec![entry]).unwrap();
        *head = segment.tip().head;
        Arc::new(Commit {
            segments: vec![segment],
            units: Vec::new(),
        })
    }

    fn numbers(commits: &[Arc<Commit>]) -> Vec<u64> {
        let segments = commits.iter().flat_map(|commit| &commit.segments);
        segments.map(|segment| segment.tip().head.seq).collect()
    }

    #[test]
    fn nothing_is_kept_while_nobody_fetches() {
        let (kept, mut head) = (Arc::new(Kept::default()), Head::default());
        kept.push(commit(&mut head, 10));
        let mut recent = Recent::new(kept.clone());
        kept.push(commit(&mut head, 10));
        assert_eq!(numbers(&recent.fetch(usize::MAX)), [2]);
        kept.push(commit(&mut head, 10));
        drop(recent);
        kept.push(commit(&mut head, 10));
        let state = kept.lock();
        assert_eq!((state.commits.len(), state.bytes), (0, 0));
    }

    #[test]
    fn commits_come_in_order_and_the_oldest_are_forgotten() {
        let (kept, mut head) = (Arc::new(Kept::default()), Head::default());
        let mut recent = Recent::new(kept.clone());
        for _ in 0..20 {
            kept.push(commit(&mut head, 1_000_000));
        }
        assert!(kept.lock().bytes <= KEPT_BYTES);
        // The one that crosses the limit is the last.
        assert_eq!(numbers(&recent.fetch(1_500_000)), [15, 16]);
        assert_eq!(numbers(&recent.fetch(0)), [0; 0]);
        assert_eq!(numbers(&recent.fetch(usize::MAX)), [17, 18, 19, 20]);
        assert_eq!(kept.lock().bytes, 0);
    }

    #[test]
    fn whoever_fetches_is_called_once_enough_has_gathered() {
        let (kept, mut head) = (Arc::new(Kept::default()), Head::default());
        let recent = Recent::new(kept.clone());
        let called = || recent.gathered().now_or_never().is_some();
        for _ in 0..2 {
            kept.push(commit(&mut head, GATHERED_BYTES / 3));
            assert!(!called());
        }
        kept.push(commit(&mut head, GATHERED_BYTES / 3));
        assert!(called());
        kept.push(commit(&mut head, 1));
        assert!(!called(), "it has been told");
    }
}
