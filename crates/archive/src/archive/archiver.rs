//! The task that follows the ledger and writes the archive.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use airside_base::{Clock, NodeId, OnFailure, Supervisor, TenantId, Timestamp};
use airside_ledger::{
    Entry, Lease, LeaseError, Ledger, Query, Reach, Reached, Recent,
    failpoint::{self, Point},
    store::Tip,
    vault::DataKey,
};
use bytes::Bytes;
use tokio::sync::watch;

use super::{
    Archive, Tail,
    collect::{Collector, forked, read},
    error::Error,
    hand::{self, Hand},
    manifest::{self, ChainEnd, IndexRef, Manifest},
    sealed::{Effort, Header},
    segment::Builder,
};

const LEASE: &str = "archive";
/// How long the right to write is held without renewal.
const LEASE_TTL: Duration = Duration::from_secs(10);
/// Pauses after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Attempts to write what is left when the process stops.
const LAST_ATTEMPTS: u32 = 3;

/// How often the archive is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long an entry may wait for others.
    pub flush: Duration,
    /// The longest silence: then a manifest without entries is written, so that an
    /// idle archive differs from one that is not written any more.
    pub heartbeat: Duration,
    /// Whether every commit is shipped at once, because appends wait for it.
    pub eager: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flush: Duration::from_millis(250),
            heartbeat: Duration::from_secs(10),
            eager: false,
        }
    }
}

/// What the archiver is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Another node writes the archive, or nothing has been tried yet.
    Waiting,
    /// The archive is being written.
    Shipping,
    /// The last attempt failed; it is repeated.
    Failing(String),
    /// An operator has to decide; nothing is written.
    Stopped(String),
}

/// How the archive stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the archiver is doing.
    pub state: State,
    /// Number of the last manifest that this node has seen.
    pub manifest: u64,
    /// When it was written.
    pub time: Option<Timestamp>,
    /// The last manifest that names an index; 0 if none does.
    pub index: u64,
}

/// What one attempt has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Entries.
    pub entries: usize,
    /// Whether more are waiting.
    pub more: bool,
}

/// Tells how far the archive has come. Clones see the same.
#[derive(Clone, Debug)]
pub struct Watch {
    status: watch::Receiver<Status>,
    reached: Reached,
}

impl Watch {
    /// Returns how the archive stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Resolves with the number of the manifest that names the index after that of
    /// manifest `previous`, or nothing if the archiver has ended.
    pub(super) async fn index_after(&self, previous: u64) -> Option<u64> {
        let mut status = self.status.clone();
        let named = status.wait_for(|status| status.index > previous).await;
        named.ok().map(|status| status.index)
    }

    /// Returns what tells which entries the archive holds.
    #[must_use]
    pub fn reached(&self) -> Reached {
        self.reached.clone()
    }
}

/// Where an index waits for the archiver to name it.
#[derive(Clone, Debug, Default)]
pub(super) struct Link(Arc<Mutex<Option<IndexRef>>>);

impl Link {
    /// Offers an index in place of one that has not been taken.
    pub(super) fn offer(&self, index: IndexRef) {
        *self.lock() = Some(index);
    }

    fn take(&self) -> Option<IndexRef> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<IndexRef>> {
        self.0
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

/// Writes the archive of one ledger.
#[derive(Debug)]
pub struct Archiver {
    ledger: Ledger,
    archive: Archive,
    clock: Arc<dyn Clock>,
    node: NodeId,
    options: Options,
    header: Header,
    key: Arc<DataKey>,
    recent: Recent,
    /// When the store was last asked for its chains, on the monotonic clock.
    asked: Option<Duration>,
    /// Whether commits of this process are all there is to hurry for.
    gathered: bool,
    /// Makes segments: not that of the archive, which may be in the midst of upkeep.
    hand: Hand,
    /// Of the last segment, for the next one.
    memory: Vec<u8>,
    held: Option<(Lease, Duration)>,
    tail: Option<Tail>,
    pending: Option<Pending>,
    /// When the last manifest was written, on the monotonic clock.
    beat: Option<Duration>,
    link: Link,
    status: watch::Sender<Status>,
    reach: Reach,
}

/// Objects that are repeated byte for byte until they are written.
#[derive(Clone, Debug)]
struct Pending {
    segment: Option<(String, Bytes)>,
    manifest: (String, Bytes),
    tail: Tail,
    entries: usize,
}

impl Archiver {
    /// Returns the archiver of `ledger` on `node`.
    ///
    /// # Errors
    ///
    /// When the vault makes no data key.
    pub async fn new(
        ledger: Ledger,
        archive: Archive,
        clock: Arc<dyn Clock>,
        node: NodeId,
        options: Options,
    ) -> Result<Self, Error> {
        let (header, key) = archive.data_key().await?;
        let status = Status {
            state: State::Waiting,
            manifest: 0,
            time: None,
            index: 0,
        };
        Ok(Self {
            recent: ledger.recent(),
            asked: None,
            gathered: false,
            hand: Hand::new(hand::SHIPS),
            memory: Vec::new(),
            ledger,
            archive,
            clock,
            node,
            options,
            header,
            key,
            held: None,
            tail: None,
            pending: None,
            beat: None,
            link: Link::default(),
            status: watch::Sender::new(status),
            reach: Reach::default(),
        })
    }

    /// Returns what tells how far the archive has come.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            status: self.status.subscribe(),
            reached: self.reach.watch(),
        }
    }

    /// Returns where an index can be offered.
    pub(super) fn link(&self) -> Link {
        self.link.clone()
    }

    /// Returns what it works with.
    pub(super) fn parts(&self) -> (Ledger, Archive, Arc<dyn Clock>) {
        let clock = self.clock.clone();
        (self.ledger.clone(), self.archive.clone(), clock)
    }

    /// Writes the archive until `supervisor` stops, then what is left.
    ///
    /// It should be a supervisor of its own, stopped when nothing is appended any more
    /// and before the ledger's: then everything is shipped and the lease given back.
    pub fn start(self, supervisor: &Supervisor) {
        let stop = supervisor.clone();
        supervisor.spawn("ledger-archive", OnFailure::Log, self.run(stop));
    }

    async fn run(mut self, supervisor: Supervisor) {
        let mut commits = self.ledger.store().commits();
        let mut pause = PAUSE_MIN;
        while !supervisor.is_stopping() {
            commits.borrow_and_update();
            let rest = match self.ship().await {
                Ok(Shipped { more: true, .. }) => continue,
                Ok(_) => {
                    pause = PAUSE_MIN;
                    self.options.flush
                }
                Err(error) if error.is_final() => {
                    self.stop(&error);
                    return;
                }
                Err(error) => {
                    self.fail(&error);
                    pause = (pause * 2).min(PAUSE_MAX);
                    pause
                }
            };
            let (failing, eager) = (self.is_failing(), self.options.eager);
            self.gathered = false;
            tokio::select! {
                () = self.clock.sleep(rest) => {}
                () = self.recent.gathered(), if !failing => self.gathered = !eager,
                Ok(()) = commits.changed(), if eager && !failing => {}
                () = supervisor.stopping() => {}
            }
        }
        self.gathered = false;
        for attempt in 1..=LAST_ATTEMPTS {
            match self.ship_held().await {
                Ok(Shipped { more: false, .. }) => break,
                Ok(_) => {}
                Err(error) if attempt == LAST_ATTEMPTS || error.is_final() => {
                    self.fail(&error);
                    break;
                }
                Err(_) => self.clock.sleep(PAUSE_MIN).await,
            }
        }
        if let Some((lease, _)) = self.held.take() {
            // A closed ledger cannot take it back: then it ends by itself.
            let _ = self.ledger.release(lease).await;
        }
    }

    /// Writes the entries that are not in the archive yet, up to a full segment, or a
    /// sign of life if it is time for one. What failed is repeated as it was.
    ///
    /// # Errors
    ///
    /// See [`Error`]; after [`Error::Taken`] the end of the archive is read again.
    pub async fn ship(&mut self) -> Result<Shipped, Error> {
        match self.hold().await {
            Err(Error::Lease(LeaseError::Taken { .. })) => {
                self.status.send_modify(|s| s.state = State::Waiting);
                // Nor does it wait for somebody.
                drop(self.recent.fetch(usize::MAX));
                return Ok(Shipped {
                    entries: 0,
                    more: false,
                });
            }
            held => held?,
        }
        self.ship_held().await
    }

    async fn ship_held(&mut self) -> Result<Shipped, Error> {
        if self.held.is_none() {
            return Ok(Shipped {
                entries: 0,
                more: false,
            });
        }
        if self.tail.is_none() {
            let tail = self.resume().await?;
            failpoint::reach(Point::ArchiveResumed);
            self.publish(&tail);
            self.tail = Some(tail);
        }
        let mut more = false;
        if self.pending.is_none() {
            // Before commits are fetched: then these are hardly ever read as well.
            let chains = self.chains().await?;
            let tail = self.tail.as_ref().expect("it was read");
            let memory = mem::take(&mut self.memory);
            let collector = Collector::new(self.ledger.store(), &self.hand, tail, memory);
            let (builder, rest) = collector.collect(&mut self.recent, chains).await?;
            more = rest;
            self.pending = self.prepare(builder).await?;
        }
        let Some(pending) = &self.pending else {
            return Ok(Shipped { entries: 0, more });
        };
        let written = self.write(pending).await;
        if let Err(error @ Error::Taken { .. }) = written {
            // Whoever wrote it may be this ledger too: the next attempt compares.
            self.pending = None;
            self.tail = None;
            self.held = None;
            return Err(error);
        }
        written?;
        let pending = self.pending.take().expect("it was written");
        self.publish(&pending.tail);
        self.tail = Some(pending.tail);
        Ok(Shipped {
            entries: pending.entries,
            more,
        })
    }

    /// Returns what the store has: none while memory fills segments and it was asked just
    /// now, since what other nodes write may wait as long as in a quiet hour.
    async fn chains(&mut self) -> Result<Vec<(TenantId, Tip)>, Error> {
        let now = self.clock.monotonic();
        let since = |asked| now.saturating_sub(asked);
        if self.gathered
            && self
                .asked
                .is_some_and(|asked| since(asked) < self.options.flush)
        {
            return Ok(Vec::new());
        }
        let chains = self.ledger.store().chains().await.map_err(read)?;
        self.asked = Some(now);
        Ok(chains)
    }

    /// Takes or renews the right to write.
    async fn hold(&mut self) -> Result<(), Error> {
        let now = self.clock.monotonic();
        if let Some((_, since)) = &self.held
            && now.saturating_sub(*since) < LEASE_TTL / 3
        {
            return Ok(());
        }
        match self.ledger.lease(LEASE, self.node, LEASE_TTL).await {
            Ok(lease) => {
                self.held = Some((lease, now));
                Ok(())
            }
            Err(error) => {
                // Another may write from now on.
                if matches!(error, LeaseError::Taken { .. }) {
                    self.held = None;
                    self.tail = None;
                    self.pending = None;
                }
                Err(error.into())
            }
        }
    }

    /// Returns the end of the archive, if it is a prefix of the ledger.
    async fn resume(&self) -> Result<Tail, Error> {
        let mut tail = self.archive.tail().await?;
        tail.epoch += 1;
        let store = self.ledger.store();
        let local: HashMap<TenantId, Tip> =
            store.chains().await.map_err(read)?.into_iter().collect();
        for (tenant, tip) in &tail.chains {
            let head = tip.head;
            let there = local.get(tenant).map_or(0, |tip| tip.head.seq);
            if there < head.seq {
                return Err(Error::Ahead {
                    tenant: tenant.clone(),
                    archived: head.seq,
                    local: there,
                });
            }
            let query = Query::new(tenant.clone()).after(head.seq - 1).limit(1);
            let found = store.read(query).await.map_err(read)?;
            if found.first().map(Entry::head) != Some(head) {
                return Err(forked(tenant, head.seq));
            }
        }
        Ok(tail)
    }

    /// Makes the objects that add what `builder` holds; none if nothing is due.
    async fn prepare(&mut self, builder: Builder) -> Result<Option<Pending>, Error> {
        let tail = self.tail.as_ref().expect("it was read");
        let entries = builder.entries();
        let due = self.beat.is_none_or(|beat| {
            self.clock.monotonic().saturating_sub(beat) >= self.options.heartbeat
        });
        // One that was made from another end of the archive is made again.
        let index = self.link.take();
        let index = index.filter(|i| i.previous == tail.base && i.covers <= tail.number);
        if entries == 0 && index.is_none() && !due {
            return Ok(None);
        }
        let number = tail.number + 1;
        let (id, time) = (self.archive.inner.id.clone(), self.clock.now());
        let mut manifest = Manifest::new(id, number, tail.hash, time);
        manifest.epoch = tail.epoch;
        manifest.base = if index.is_some() { number } else { tail.base };
        manifest.index = index;
        let mut chains = tail.chains.clone();
        let mut grown = BTreeMap::new();
        for (tenant, tip) in builder.ends() {
            chains.insert(tenant.clone(), *tip);
            grown.insert(tenant.clone(), *tip);
        }
        let named = if manifest.full { &chains } else { &grown };
        manifest.chains = named.iter().map(ChainEnd::from).collect();
        let mut segment = None;
        let (header, key) = (self.header.clone(), self.key.clone());
        let seal = move || builder.seal(number, Effort::Quick, header, &key);
        let sealed = self.hand.run(seal).await?;
        if let Some((named, bytes, memory)) = sealed {
            self.memory = memory;
            segment = Some((named.object.clone(), bytes));
            manifest.segment = Some(named);
        }
        let base = manifest.base;
        let (bytes, hash) = manifest.seal(&self.archive.inner.code);
        Ok(Some(Pending {
            segment,
            manifest: (manifest::name(number), bytes),
            tail: Tail {
                number,
                time,
                chains,
                hash,
                epoch: tail.epoch,
                base,
            },
            entries,
        }))
    }

    async fn write(&self, pending: &Pending) -> Result<(), Error> {
        let objects = &self.archive.inner.objects;
        if let Some((name, bytes)) = &pending.segment {
            failpoint::reach(Point::ArchiveCollected);
            objects.add(name, bytes).await?;
            failpoint::reach(Point::ArchiveSegmentPut);
        }
        let (name, bytes) = &pending.manifest;
        objects.add(name, bytes).await?;
        failpoint::reach(Point::ArchiveManifestPut);
        Ok(())
    }

    fn publish(&mut self, tail: &Tail) {
        self.beat = Some(self.clock.monotonic());
        if self.is_failing() {
            tracing::info!(manifest = tail.number, "the archive is written again");
        }
        self.status.send_replace(Status {
            state: State::Shipping,
            manifest: tail.number,
            time: (tail.number > 0).then_some(tail.time),
            index: tail.base,
        });
        let ends = tail.chains.iter();
        self.reach
            .advance(ends.map(|(tenant, tip)| (tenant, tip.head.seq)));
    }

    fn is_failing(&self) -> bool {
        matches!(self.status.borrow().state, State::Failing(_))
    }

    fn fail(&self, error: &Error) {
        let known = self.is_failing();
        let state = State::Failing(error.fault().to_string());
        self.status.send_modify(|status| status.state = state);
        if !known {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "cannot write the archive; trying again");
        }
    }

    fn stop(&self, error: &Error) {
        let state = State::Stopped(error.fault().to_string());
        self.status.send_modify(|status| status.state = state);
        let error = error as &dyn std::error::Error;
        tracing::error!(error, "the archive is not written any more");
    }
}
