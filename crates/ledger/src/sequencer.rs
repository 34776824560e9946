//! Gives every entry its place: number, time and hash.
//!
//! # Invariants
//!
//! * One sequencer per open ledger, with one commit under way: what waits
//!   meanwhile forms the next group, so groups grow with the load.
//! * The time of a request is the clock's, but later than that of every request
//!   before it and than the end of every chain that it continues. A clock that
//!   steps back makes time crawl by microseconds, never turn.
//! * A head that another node has moved is read again and the group is placed
//!   behind it; nothing is written behind a head that was not the last.
//! * A draft taken from the queue is written once, or kept for the next attempt,
//!   or its failure is told to whoever waits for it. After a commit whose outcome
//!   is unknown the store is asked for its entries before anything is repeated,
//!   and again if the head moves meanwhile: it may still be on its way.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem,
    sync::Arc,
    time::Duration,
};

use airside_base::{Clock, Supervisor, TenantId, Timestamp};

use crate::{
    batch::{Batch, Receipt},
    encoding::seal,
    entry::{Entry, Head},
    error::AppendError,
    failpoint::{self, Point},
    queue::{Answer, Load, Queue, Request},
    store::{Commit, Query, Segment, Store, StoreError, Tip, Unit, Write},
};

/// Empty rounds of the timer after which it stops.
const IDLE_ROUNDS: u32 = 50;
/// Pauses between attempts while the store does not write.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Attempts to write what is left when the process stops.
const LAST_ATTEMPTS: u32 = 5;
/// Attempts of a group whose chains other nodes continue meanwhile. Each lost race
/// is a commit of another, so the system as a whole makes progress.
const RACES: u32 = 32;
/// The clock may be this far behind the chain before somebody is told.
const CLOCK_TOLERANCE_MICROS: i64 = 1_000_000;

pub(crate) struct Sequencer {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    queue: Arc<Queue>,
    linger: Duration,
    tips: HashMap<TenantId, Tip>,
    /// Time of the last request, in microseconds.
    last: i64,
    clock_is_behind: bool,
    buffer: Vec<u8>,
    /// Drafts whose commit failed and that nobody waits for.
    backlog: Vec<Request>,
    /// Where the backlog starts if one of its commits became durable after all.
    doubts: Vec<(TenantId, Head)>,
}

impl Sequencer {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        queue: Arc<Queue>,
        linger: Duration,
        tips: HashMap<TenantId, Tip>,
    ) -> Self {
        Self {
            store,
            clock,
            queue,
            linger,
            tips,
            last: i64::MIN,
            clock_is_behind: false,
            buffer: Vec::new(),
            backlog: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// Writes until the supervisor stops, then what is left, then closes the store.
    pub(crate) async fn run(mut self, supervisor: Supervisor) {
        let mut pause = self.linger;
        while !supervisor.is_stopping() {
            self.wait(&supervisor, pause).await;
            // Callers that were answered together come back together: let them.
            tokio::task::yield_now().await;
            pause = match self.write_waiting().await {
                Ok(()) => self.linger,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        kept = self.backlog.len(),
                        "cannot write to the ledger"
                    );
                    (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)
                }
            };
        }
        self.queue.close();
        self.finish().await;
        self.store.close().await;
    }

    /// Resolves when there is something to write or the supervisor stops.
    async fn wait(&self, supervisor: &Supervisor, pause: Duration) {
        let retry = !self.backlog.is_empty();
        let mut idle = 0;
        while !supervisor.is_stopping() {
            match self.queue.load() {
                Load::Urgent => return,
                Load::Patient => idle = 0,
                Load::Empty => idle += 1,
            }
            let parked = !retry && idle > IDLE_ROUNDS && self.queue.park();
            tokio::select! {
                () = self.queue.woken() => {}
                () = supervisor.stopping() => {}
                () = tokio::time::sleep(pause), if !parked => {
                    if retry || self.queue.load() != Load::Empty {
                        return;
                    }
                }
            }
        }
    }

    async fn write_waiting(&mut self) -> Result<(), StoreError> {
        while !self.backlog.is_empty() || self.queue.load() != Load::Empty {
            self.write_group().await?;
            if self.queue.load() == Load::Patient {
                break;
            }
        }
        Ok(())
    }

    async fn finish(&mut self) {
        let mut failures = 0;
        while !self.backlog.is_empty() || self.queue.load() != Load::Empty {
            if let Err(error) = self.write_group().await {
                failures += 1;
                if failures == LAST_ATTEMPTS {
                    let mut lost = mem::take(&mut self.backlog);
                    while self.queue.load() != Load::Empty {
                        let mut more = Vec::new();
                        self.queue.take(&mut more);
                        lost.append(&mut more);
                    }
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        lost = lost.len(),
                        "recorded entries could not be written before the end"
                    );
                    return;
                }
                tokio::time::sleep(PAUSE_MIN * failures).await;
            }
        }
    }

    /// Writes one group. After an error the drafts that nobody waits for are in
    /// the backlog and everybody who waits has been told.
    async fn write_group(&mut self) -> Result<(), StoreError> {
        if let Err(error) = self.resolve_doubts().await {
            self.refuse_waiting(Vec::new(), &error);
            return Err(error);
        }
        let mut group = mem::take(&mut self.backlog);
        if self.doubts.is_empty() {
            self.queue.take(&mut group);
        }
        let mut lost_races = 0;
        while !group.is_empty() {
            let written = match self.seal(&group).await {
                Ok((commit, receipts)) => self.commit(commit).await.map(|()| receipts),
                Err(error) => Err(error),
            };
            match written {
                Ok(receipts) => {
                    self.doubts.clear();
                    self.queue.settle(group.iter());
                    for (request, receipt) in group.into_iter().zip(receipts) {
                        answer(request, Ok(receipt));
                        failpoint::reach(Point::SequencerAnswering);
                    }
                    return Ok(());
                }
                Err(StoreError::Refused(refused)) => {
                    let mut reasons: HashMap<usize, AppendError> = HashMap::new();
                    for (index, refusal) in refused {
                        reasons.entry(index).or_insert_with(|| refusal.into());
                    }
                    group = self.dismiss(group, |index| reasons.remove(&index));
                }
                // Nothing was written, and drafts do not depend on what they follow.
                Err(StoreError::Conflict { .. })
                    if lost_races < RACES && self.doubts.is_empty() =>
                {
                    lost_races += 1;
                    self.tips.clear();
                }
                Err(error) => {
                    self.refuse_waiting(group, &error);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Tells `error` to everybody who waits, in `group` or in the queue, and
    /// keeps the rest of `group` for the next attempt.
    fn refuse_waiting(&mut self, mut group: Vec<Request>, error: &StoreError) {
        self.tips.clear();
        group.append(&mut self.queue.take_appends());
        let waiting: HashSet<usize> = (0..group.len())
            .filter(|index| matches!(group[*index], Request::Append(..)))
            .collect();
        let kept = self.dismiss(group, |index| {
            let told = || AppendError::Store(error.clone());
            waiting.contains(&index).then(told)
        });
        self.backlog.extend(kept);
        if self.backlog.is_empty() {
            self.doubts.clear();
        }
    }

    /// Settles the backlog if one of its commits became durable after all.
    async fn resolve_doubts(&mut self) -> Result<(), StoreError> {
        // Before the entries are looked for: a commit that arrives after that finds
        // these ends or makes the next attempt, which names them, a conflict.
        let tenants: Vec<TenantId> = tenants(&self.backlog).cloned().collect();
        self.read_tips(tenants).await?;
        for place in &self.doubts {
            if self.holds(place).await? {
                self.queue.settle(mem::take(&mut self.backlog).iter());
                self.doubts.clear();
                break;
            }
        }
        Ok(())
    }

    /// Returns whether the entry at `place` is in the store.
    async fn holds(&self, place: &(TenantId, Head)) -> Result<bool, StoreError> {
        let (tenant, head) = place;
        let query = Query::new(tenant.clone()).after(head.seq - 1).limit(1);
        let found = self.store.read(query).await?;
        Ok(found.first().is_some_and(|entry| entry.head() == *head))
    }

    /// Answers the requests for which there is a reason, returns the others.
    fn dismiss(
        &self,
        group: Vec<Request>,
        mut reason: impl FnMut(usize) -> Option<AppendError>,
    ) -> Vec<Request> {
        let mut kept = Vec::with_capacity(group.len());
        for (index, request) in group.into_iter().enumerate() {
            match reason(index) {
                Some(error) => {
                    self.queue.settle(std::iter::once(&request));
                    answer(request, Err(error));
                }
                None => kept.push(request),
            }
        }
        kept
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        if commit.segments.is_empty() && commit.units.iter().all(Unit::is_empty) {
            return Ok(());
        }
        let commit = Arc::new(commit);
        failpoint::reach(Point::SequencerSealed);
        if let Err(error) = self.store.commit(commit.clone()).await {
            let first = commit.segments.first();
            let place = first.map(|s| (s.tenant().clone(), s.entries()[0].head()));
            let (StoreError::Failed { .. }, Some(place)) = (&error, place) else {
                return Err(error);
            };
            // Not there now may still come.
            self.doubts.push(place.clone());
            if !self.holds(&place).await.unwrap_or(false) {
                return Err(error);
            }
        }
        for segment in &commit.segments {
            self.tips.insert(segment.tenant().clone(), segment.tip());
        }
        failpoint::reach(Point::SequencerCommitted);
        Ok(())
    }

    /// Reads the ends of chains that are not known.
    async fn read_tips(
        &mut self,
        tenants: impl IntoIterator<Item = TenantId>,
    ) -> Result<(), StoreError> {
        for tenant in tenants {
            if !self.tips.contains_key(&tenant) {
                let tip = self.store.tip(tenant.clone()).await?;
                self.tips.insert(tenant, tip);
            }
        }
        Ok(())
    }

    /// Places every draft of `group` behind the tips.
    async fn seal(&mut self, group: &[Request]) -> Result<(Commit, Vec<Receipt>), StoreError> {
        self.read_tips(tenants(group).cloned()).await?;
        let now = self.clock.now().as_microsecond();
        let mut chains: BTreeMap<&TenantId, (Tip, Vec<Entry>)> = BTreeMap::new();
        let mut receipts = Vec::with_capacity(group.len());
        let mut units = Vec::with_capacity(group.len());
        for request in group {
            let time = self.stamp(now, request);
            let mut entries = Vec::with_capacity(request.drafts().len());
            for draft in request.drafts() {
                let (tip, chain) = chains
                    .entry(&draft.tenant)
                    .or_insert_with(|| (self.tips[&draft.tenant], Vec::new()));
                let entry = seal(draft, tip.head, time, &mut self.buffer);
                tip.head = entry.head();
                entries.push(tip.head);
                chain.push(entry);
            }
            let receipt = Receipt { time, entries };
            units.push(match request {
                Request::Record(_) => Unit::default(),
                Request::Append(batch, _) => unit(batch, &receipt),
            });
            receipts.push(receipt);
        }
        let segments = chains.into_iter().map(|(tenant, (_, entries))| {
            Segment::new(self.tips[tenant].head, entries).expect("sealed one behind the other")
        });
        let segments = segments.collect();
        Ok((Commit { segments, units }, receipts))
    }

    fn stamp(&mut self, now: i64, request: &Request) -> Timestamp {
        let ends = request.drafts().iter().map(|draft| {
            let tip = self.tips[&draft.tenant];
            tip.time.as_microsecond()
        });
        let floor = ends.fold(self.last, i64::max);
        let behind = floor.saturating_sub(now) > CLOCK_TOLERANCE_MICROS;
        if behind && !self.clock_is_behind {
            tracing::warn!(
                behind_us = floor.saturating_sub(now),
                "the clock is behind the ledger: entries keep their order, not the clock's time"
            );
        }
        self.clock_is_behind = behind;
        self.last = now.max(floor.saturating_add(1));
        Timestamp::from_microsecond(self.last).unwrap_or(Timestamp::MAX)
    }
}

fn tenants(group: &[Request]) -> impl Iterator<Item = &TenantId> {
    group.iter().flat_map(Request::drafts).map(|d| &d.tenant)
}

fn unit(batch: &Batch, receipt: &Receipt) -> Unit {
    let writes = batch.changes.iter().map(|change| Write {
        table: change.table,
        tenant: batch.drafts[change.draft].tenant.clone(),
        key: change.key.clone(),
        expected: change.expected,
        version: receipt.entries[change.draft].seq,
        document: change.document.clone(),
    });
    Unit {
        fence: batch.fence.clone(),
        writes: writes.collect(),
    }
}

fn answer(request: Request, answer: Answer) {
    if let Request::Append(_, waiting) = request {
        // Whoever asked may have gone; the entries are durable all the same.
        let _ = waiting.send(answer);
    }
}
