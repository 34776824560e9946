//! Small state folded from one chain and kept in memory.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use airside_base::{Clock, OnFailure, Supervisor, TenantId};
use tokio::sync::watch;

use crate::{entry::Entry, error::ReadError, follow::Follower, ledger::Ledger};

/// Pause after a failed read.
const PAUSE: Duration = Duration::from_secs(1);

/// State that is a function of the entries of one chain.
pub trait Fold: Send + Sync + 'static {
    /// Takes `entry` in. Depends on nothing but the state and the entry: no
    /// clock, no random source, no IO. Entries it does not know are ignored.
    fn apply(&mut self, entry: &Entry);
}

/// A [`Fold`] that follows its chain. Clones share the same state.
pub struct View<F> {
    state: Arc<RwLock<F>>,
    applied: watch::Receiver<u64>,
}

impl<F> Clone for View<F> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            applied: self.applied.clone(),
        }
    }
}

impl<F: fmt::Debug> fmt::Debug for View<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("state", &self.state)
            .field("applied", &*self.applied.borrow())
            .finish()
    }
}

impl<F: Fold> View<F> {
    /// Folds the whole chain of `tenant` into `initial`, then keeps it up to date
    /// until `supervisor` stops.
    ///
    /// # Errors
    ///
    /// When the chain cannot be read.
    pub async fn start(
        ledger: &Ledger,
        clock: Arc<dyn Clock>,
        supervisor: &Supervisor,
        tenant: TenantId,
        initial: F,
    ) -> Result<Self, ReadError> {
        let mut follower = ledger.follow(tenant, 0);
        let (applied, receiver) = watch::channel(0);
        let state = Arc::new(RwLock::new(initial));
        loop {
            let entries = follower.next_present().await?;
            if entries.is_empty() {
                break;
            }
            apply(&state, &applied, &entries);
        }
        let keep = keep_up(follower, state.clone(), applied, clock, supervisor.clone());
        supervisor.spawn("ledger-view", OnFailure::Stop, keep);
        Ok(Self {
            state,
            applied: receiver,
        })
    }

    /// Looks at the state. Entries are held back meanwhile: be brief.
    pub fn read<R>(&self, look: impl FnOnce(&F) -> R) -> R {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when the entry `seq` is part of the state.
    pub async fn reached(&mut self, seq: u64) {
        if self.applied.wait_for(|at| *at >= seq).await.is_err() {
            // The supervisor has stopped and the entry will not come.
            std::future::pending::<()>().await;
        }
    }
}

async fn keep_up<F: Fold>(
    mut follower: Follower,
    state: Arc<RwLock<F>>,
    applied: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
) {
    loop {
        let next = tokio::select! {
            next = follower.next() => next,
            () = supervisor.stopping() => return,
        };
        match next {
            Ok(entries) => apply(&state, &applied, &entries),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a view cannot read its chain"
                );
                tokio::select! {
                    () = clock.sleep(PAUSE) => {}
                    () = supervisor.stopping() => return,
                }
            }
        }
    }
}

fn apply<F: Fold>(state: &RwLock<F>, applied: &watch::Sender<u64>, entries: &[Entry]) {
    {
        let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            state.apply(entry);
        }
    }
    if let Some(last) = entries.last() {
        applied.send_replace(last.seq);
    }
}
