//! The ledger as its users see it.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, NodeId, OnFailure, Supervisor, TenantId, Timestamp};

use crate::{
    batch::{Batch, Receipt},
    entry::{Draft, Entry, Head},
    error::{AppendError, LeaseError, OpenError, ReadError, VerifyError},
    failpoint::{self, Point},
    follow::Follower,
    queue::{Bounds, Place, Queue},
    reached::Reached,
    recent::{Kept, Recent},
    sequencer::Sequencer,
    store::{Claim, Claimed, Fence, Query, Store},
    verify::{self, Progress, Verified},
};

/// How much may wait for the writer and how it is grouped.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most requests that may wait, the group under way included.
    pub queue_requests: usize,
    /// Most bytes that may wait; also the largest batch.
    pub queue_bytes: usize,
    /// Entries that are written together.
    pub group_entries: usize,
    /// Bytes that are written together.
    pub group_bytes: usize,
    /// How long a recorded draft may wait for others.
    pub linger: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_requests: 8192,
            queue_bytes: 4 * 1024 * 1024,
            group_entries: 1024,
            group_bytes: 1024 * 1024,
            linger: Duration::from_millis(10),
        }
    }
}

/// An open ledger. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    queue: Arc<Queue>,
    kept: Arc<Kept>,
    /// What appends wait for, and how long.
    archived: Option<(Reached, Duration)>,
}

impl Ledger {
    /// Opens the ledger in `store` and starts its sequencer.
    ///
    /// When `supervisor` stops, what has been accepted is written, then the store
    /// is closed and later appends are refused. It should therefore be a
    /// supervisor of its own, stopped after everything that appends.
    ///
    /// # Errors
    ///
    /// When the chains cannot be read or do not end with their recorded heads.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        supervisor: &Supervisor,
        options: Options,
    ) -> Result<Self, OpenError> {
        let chains = store.chains().await.map_err(OpenError::Store)?;
        let queue = Arc::new(Queue::new(Bounds {
            requests: options.queue_requests,
            bytes: options.queue_bytes,
            group: options.group_entries,
            group_bytes: options.group_bytes,
        }));
        let kept = Arc::new(Kept::default());
        let sequencer = Sequencer::new(
            store.clone(),
            clock.clone(),
            queue.clone(),
            kept.clone(),
            options.linger,
            chains.into_iter().collect(),
        );
        supervisor.spawn(
            "ledger-sequencer",
            OnFailure::Stop,
            sequencer.run(supervisor.clone()),
        );
        Ok(Self {
            store,
            clock,
            queue,
            kept,
            archived: None,
        })
    }

    /// Returns this ledger with appends that resolve only when the copy elsewhere has
    /// their entries too: then not even the loss of this site loses them. They fail
    /// with [`AppendError::Unarchived`] after `limit`. Recorded drafts do not wait.
    #[must_use]
    pub fn with_remote_ack(mut self, copy: Reached, limit: Duration) -> Self {
        self.archived = Some((copy, limit));
        self
    }

    /// Appends `drafts` together or not at all; resolves when they are durable.
    ///
    /// # Errors
    ///
    /// See [`AppendError`], which says for each what was written.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<Receipt, AppendError> {
        self.commit(drafts.into()).await
    }

    /// Appends a batch and changes its documents together or not at all;
    /// resolves when all is durable.
    ///
    /// # Errors
    ///
    /// See [`AppendError`], which says for each what was written.
    pub async fn commit(&self, batch: Batch) -> Result<Receipt, AppendError> {
        let tenants: Vec<TenantId> = match self.archived {
            Some(_) => batch.drafts.iter().map(|d| d.tenant.clone()).collect(),
            None => Vec::new(),
        };
        let answer = self.queue.append(batch)?;
        let receipt = answer.await.unwrap_or(Err(AppendError::Interrupted))?;
        if let Some((copy, limit)) = &self.archived {
            let mut copy = copy.clone();
            let reached = async {
                for (tenant, head) in tenants.iter().zip(&receipt.entries) {
                    copy.wait(tenant, head.seq).await;
                }
            };
            let reached = tokio::time::timeout(*limit, reached).await;
            reached.map_err(|_| AppendError::Unarchived)?;
        }
        Ok(receipt)
    }

    /// Accepts `draft` to be written soon, without waiting for it.
    ///
    /// Costs the caller a lock and a push (well under a microsecond) and wakes
    /// nobody as a rule: the draft becomes durable with the next group, after
    /// [`Options::linger`] at the latest, or later while the store does not write.
    ///
    /// # Errors
    ///
    /// [`AppendError::QueueFull`] when too much waits already,
    /// [`AppendError::Closed`] after the end, [`AppendError::TooLarge`].
    pub fn record(&self, draft: Draft) -> Result<(), AppendError> {
        self.queue.record(draft)
    }

    /// Keeps room for one draft, for work that must not begin if its record might
    /// be refused afterwards. It costs the caller a lock.
    ///
    /// # Errors
    ///
    /// [`AppendError::QueueFull`] when too much waits already,
    /// [`AppendError::Closed`] after the end.
    pub fn reserve(&self) -> Result<Place, AppendError> {
        self.queue.reserve()
    }

    /// Resolves when room for one draft is kept, as by [`Ledger::reserve`].
    ///
    /// # Errors
    ///
    /// [`AppendError::Closed`] after the end.
    pub async fn place(&self) -> Result<Place, AppendError> {
        self.queue.place().await
    }

    /// Resolves when everything recorded before is durable.
    ///
    /// # Errors
    ///
    /// When it could not be written yet.
    pub async fn flush(&self) -> Result<(), AppendError> {
        self.commit(Batch::new()).await.map(drop)
    }

    /// Returns entries of one chain in order.
    ///
    /// # Errors
    ///
    /// When the store does not answer or an entry is malformed.
    pub async fn read(&self, query: Query) -> Result<Vec<Entry>, ReadError> {
        Ok(self.store.read(query).await?)
    }

    /// Returns the entries of `tenant` behind `after` as they come.
    #[must_use]
    pub fn follow(&self, tenant: TenantId, after: u64) -> Follower {
        Follower::new(self.store.clone(), Query::new(tenant).after(after))
    }

    /// Returns what fetches commits that this process makes from now on, so that they
    /// need not be read back.
    #[must_use]
    pub fn recent(&self) -> Recent {
        Recent::new(self.kept.clone())
    }

    /// Returns the last entry of the chain of `tenant`.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn head(&self, tenant: &TenantId) -> Result<Head, ReadError> {
        Ok(self.store.tip(tenant.clone()).await?.head)
    }

    /// Returns the last entry of every chain, by tenant.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn heads(&self) -> Result<Vec<(TenantId, Head)>, ReadError> {
        let chains = self.store.chains().await?.into_iter();
        Ok(chains.map(|(tenant, tip)| (tenant, tip.head)).collect())
    }

    /// Recomputes every chain up to its present head, in bounded memory.
    ///
    /// # Errors
    ///
    /// Names the first entry that is wrong and what is wrong with it.
    pub async fn verify(
        &self,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Verified, VerifyError> {
        verify::verify(&*self.store, progress).await
    }

    /// Returns the priority of the thread that writes, as a nice value from -20
    /// (first) to 19, where there is such a thread and the system tells.
    #[must_use]
    pub fn writer_nice(&self) -> Option<i32> {
        self.store.writer_nice()
    }

    /// Takes the lease `name` for `ttl`, or renews it if `holder` has it.
    ///
    /// # Errors
    ///
    /// When another holds it, or the store does not answer.
    pub async fn lease(
        &self,
        name: &str,
        holder: NodeId,
        ttl: Duration,
    ) -> Result<Lease, LeaseError> {
        let claim = Claim {
            name: name.into(),
            holder: holder.to_string().into(),
            now: self.clock.now(),
            ttl,
        };
        match self.store.claim(claim).await.map_err(LeaseError::Store)? {
            Claimed::Held { fence, until } => {
                failpoint::reach(Point::LeaseHeld);
                Ok(Lease { fence, until })
            }
            Claimed::Taken { until } => Err(LeaseError::Taken { until }),
        }
    }

    /// Gives `lease` back before its end.
    ///
    /// # Errors
    ///
    /// When the store does not answer; the lease then ends by itself.
    pub async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        let released = self.store.release(lease.fence).await;
        released.map_err(LeaseError::Store)
    }

    /// Returns the store below, for what copies and compares whole ledgers. Whoever
    /// writes there goes past the sequencer.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }
}

/// The right to do something alone for a while.
///
/// Its end is not enforced by a timer: a batch that must not be written by a
/// former holder names the lease with [`Batch::fence`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    fence: Fence,
    until: Timestamp,
}

impl Lease {
    /// Returns when it ends without renewal.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }
}
