//! Callers that each wait for their entry to be durable before they send the next.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, OnFailure, Supervisor, TenantId};
use airside_ledger::{Draft, Kind, Ledger};
use bytes::Bytes;
use tokio::runtime::Handle;

use crate::raw::Raw;

/// Bytes of one row, for the limit of the disk.
pub(crate) const ROW_BYTES: usize = 600;
/// What every entry is about, as long as an id.
const SUBJECT: &str = "0192f0c1-2222-7333-8444-555566667777";
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Makes entries of about 500 bytes that differ: two thirds are what calls have in
/// common, a third is not compressible.
pub(crate) struct Drafts(u64);

impl Drafts {
    /// Returns the source number `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Returns the next entry.
    pub(crate) fn next(&mut self) -> Draft {
        let mut fresh = [0; 160];
        for chunk in fresh.chunks_exact_mut(8) {
            // Marsaglia's xorshift with these three shifts has the full period.
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            for (place, byte) in chunk.iter_mut().zip(self.0.to_le_bytes()) {
                *place = DIGITS[usize::from(byte & 63)];
            }
        }
        let fresh = std::str::from_utf8(&fresh).expect("digits are ASCII");
        let body = format!(
            r#"{{"endpoint":"hotels","tool":"search_hotels","upstream":"built-in","protocol":"2026-07-28","principal":{{"kind":"agent","issuer":"https://identity.example"}},"arguments":{{"city":"Lisbon","check_in":"2026-12-01","check_out":"2026-12-04","guests":2,"token":"{fresh}"}},"decision":{{"effect":"permit","policy":"default/read-only"}},"outcome":"completed","upstream_ms":12,"bytes_in":412,"bytes_out":9120}}"#
        );
        let kind = Kind::new("bench.happened");
        let body = Bytes::from(body);
        Draft::from_json(TenantId::default(), kind, 1, SUBJECT, body).unwrap()
    }
}

/// What is appended to.
#[derive(Clone)]
pub(crate) enum Target {
    /// The store alone.
    Raw(Raw),
    /// The ledger.
    Ledger(Ledger),
}

impl Target {
    async fn append(&self, draft: Draft) {
        match self {
            Self::Raw(raw) => raw.append(draft).await,
            Self::Ledger(ledger) => {
                ledger.append(vec![draft]).await.unwrap();
            }
        }
    }
}

/// What a turn came to.
pub(crate) struct Turn {
    /// How long each append took, sorted.
    pub(crate) took: Vec<Duration>,
    /// From the first append to the last answer.
    pub(crate) span: Duration,
}

impl Turn {
    /// Returns the time that this share of the appends did not exceed, in ms.
    pub(crate) fn at_ms(&self, share: f64) -> f64 {
        let index = ((self.took.len() - 1) as f64 * share) as usize;
        self.took[index].as_secs_f64() * 1e3
    }
}

/// Lets `callers` append for `span`, on threads of their own: as in a node, where the
/// ledger's tasks do not stand in one line with calls.
pub(crate) async fn drive(
    target: &Target,
    callers: usize,
    span: Duration,
    clock: &Arc<dyn Clock>,
    threads: &Handle,
) -> Turn {
    let tasks = Supervisor::new();
    let start = clock.monotonic();
    let (sender, mut results) = tokio::sync::mpsc::channel(callers);
    for caller in 0..callers {
        let (target, clock, sender) = (target.clone(), clock.clone(), sender.clone());
        let _there = threads.enter();
        tasks.spawn("caller", OnFailure::Log, async move {
            let mut drafts = Drafts::new(caller as u64);
            let mut took = Vec::new();
            loop {
                let draft = drafts.next();
                let sent = clock.monotonic();
                if sent - start >= span {
                    break;
                }
                target.append(draft).await;
                took.push(clock.monotonic() - sent);
            }
            sender.send(took).await.unwrap();
        });
    }
    drop(sender);
    let mut took = Vec::new();
    while let Some(more) = results.recv().await {
        took.extend(more);
    }
    let span = clock.monotonic() - start;
    took.sort_unstable();
    tasks.stop(Duration::from_secs(10)).await;
    Turn { took, span }
}
