//! Gives every entry its place: number, time and hash.
//!
//! # Invariants
//!
//! * One sequencer per open ledger, with one commit under way: what waits
//!   meanwhile forms the next group, so groups grow with the load. That group is
//!   sealed while it waits, behind the entries under way; if these are not written,
//!   it is sealed again from its requests.
//! * The time of a request is the clock's, but later than that of every request
//!   before it and than the end of every chain that it continues. A clock that
//!   steps back makes time crawl by microseconds, never turn.
//! * A head that another node has moved is read again and the group is placed
//!   behind it; nothing is written behind a head that was not the last.
//! * A draft taken from the queue is written once, or kept for the next attempt,
//!   or its failure is told to whoever waits for it. After a commit whose outcome
//!   is unknown the store is asked for its entries before anything is repeated,
//!   and again if the head moves meanwhile: it may still be on its way. Until that is
//!   settled nothing else is written.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use airside_base::{Clock, Supervisor, TenantId, Timestamp, Trouble};

use crate::{
    batch::{Batch, Receipt},
    encoding::seal,
    entry::{Entry, Head},
    error::AppendError,
    failpoint::{self, Point},
    queue::{Answer, Load, Queue, Request, Size},
    recent::Kept,
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
/// Longest wait for callers that have just been answered to come back. A group that
/// has everybody saves one commit, so the wait may take what the quickest commit
/// takes: where a sync is slow the next group should have everybody, where it is
/// quick or callers are many, half of them are written while the others come back.
const GATHER_MAX: Duration = Duration::from_millis(1);
/// Groups after which more callers than last came back in time are waited for again.
const GATHER_RETRY: u32 = 256;
/// Commits over which the quickest one is forgotten.
const FLOOR_COMMITS: u32 = 1 << 16;
/// The clock may be this far behind the chain before somebody is told.
const CLOCK_TOLERANCE_MICROS: i64 = 1_000_000;

pub(crate) struct Sequencer {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    queue: Arc<Queue>,
    kept: Arc<Kept>,
    linger: Duration,
    tips: HashMap<TenantId, Tip>,
    /// Time of the last request, in microseconds.
    last: i64,
    clock_is_behind: bool,
    /// What the quickest commit takes.
    floor: Duration,
    /// How many callers come back in time, and for how many groups that holds.
    punctual: (usize, u32),
    buffer: Vec<u8>,
    /// What is written next.
    ready: Group,
    /// What is durable and has not been told to whoever waits for it: that is done
    /// while the next group is being written, or at once if there is none.
    due: Vec<(Request, Receipt)>,
    /// Drafts whose commit failed and that nobody waits for.
    backlog: Vec<Request>,
    /// Drafts that were sealed behind those of a commit that failed, and that nobody
    /// waits for: no commit has had them.
    untried: Vec<Request>,
    /// Where the backlog starts if one of its commits became durable after all.
    doubts: Vec<(TenantId, Head)>,
}

impl Sequencer {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        queue: Arc<Queue>,
        kept: Arc<Kept>,
        linger: Duration,
        tips: HashMap<TenantId, Tip>,
    ) -> Self {
        Self {
            store,
            clock,
            queue,
            kept,
            linger,
            tips,
            last: i64::MIN,
            clock_is_behind: false,
            floor: GATHER_MAX,
            punctual: (usize::MAX, 0),
            buffer: Vec::new(),
            ready: Group::default(),
            due: Vec::new(),
            backlog: Vec::new(),
            untried: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// Writes until the supervisor stops, then what is left, then closes the store.
    pub(crate) async fn run(mut self, supervisor: Supervisor) {
        let mut pause = self.linger;
        let mut trouble = Trouble::default();
        while !supervisor.is_stopping() {
            self.wait(&supervisor, pause).await;
            // Callers that were answered together come back together: let them.
            tokio::task::yield_now().await;
            pause = match self.write_waiting().await {
                Ok(()) => {
                    if let Some(unsaid) = trouble.over() {
                        tracing::info!(unsaid, "the ledger is written again");
                    }
                    self.linger
                }
                Err(error) => {
                    if let Some(unsaid) = trouble.again(self.clock.monotonic()) {
                        let error = &error as &dyn std::error::Error;
                        let kept = self.backlog.len() + self.untried.len();
                        tracing::error!(error, kept, unsaid, "cannot write to the ledger");
                    }
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
        let retry = self.has_kept();
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
        while self.has_work() {
            let begin = self.clock.monotonic();
            self.write_group().await?;
            self.gather(begin).await;
            if self.ready.is_empty() && self.queue.load() == Load::Patient {
                break;
            }
        }
        self.tell();
        Ok(())
    }

    fn has_work(&self) -> bool {
        self.has_kept() || !self.ready.is_empty() || self.queue.load() != Load::Empty
    }

    fn has_kept(&self) -> bool {
        !self.backlog.is_empty() || !self.untried.is_empty()
    }

    /// Answers the callers of the commit that began at `begin` and lets them come back,
    /// unless they are better answered while the next group is being written.
    async fn gather(&mut self, begin: Duration) {
        let took = self.clock.monotonic().saturating_sub(begin);
        self.floor = match took.checked_sub(self.floor) {
            Some(over) => self.floor + over / FLOOR_COMMITS,
            None => took,
        };
        let waits = |(request, _): &&(Request, Receipt)| matches!(request, Request::Append(..));
        let answered = self.due.iter().filter(waits).count();
        let (most, groups) = self.punctual;
        if answered > most && groups > 0 {
            self.punctual = (most, groups - 1);
            return;
        }
        let answered = self.tell();
        let until = self.clock.monotonic() + self.floor.min(GATHER_MAX);
        let all = self.ready.size.requests + answered;
        while self.ready.size.requests < all {
            if self.clock.monotonic() >= until {
                self.punctual = (answered / 2, GATHER_RETRY);
                return;
            }
            // Not a timer: those have a resolution of a millisecond.
            tokio::task::yield_now().await;
            if !self.prepare() {
                return;
            }
        }
        if answered > most {
            self.punctual = (answered, 0);
        }
    }

    async fn finish(&mut self) {
        let mut failures = 0;
        while self.has_work() {
            let written = self.write_group().await;
            self.tell();
            if let Err(error) = written {
                failures += 1;
                if failures == LAST_ATTEMPTS {
                    let mut lost = mem::take(&mut self.backlog);
                    lost.append(&mut self.untried);
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

    /// Tells what is durable to whoever waits for it; returns how many did.
    fn tell(&mut self) -> usize {
        let mut answered = 0;
        for (request, receipt) in self.due.drain(..) {
            answered += usize::from(answer(request, Ok(receipt)));
            failpoint::reach(Point::SequencerAnswering);
        }
        answered
    }

    /// Writes one group, whose callers are due an answer then. After an error the drafts
    /// that nobody waits for are in the backlog and everybody who waits has been told.
    async fn write_group(&mut self) -> Result<(), StoreError> {
        // Told last: whoever lost a race then finds what has won it.
        let mut refused = Vec::new();
        let written = self.write_accepted(&mut refused).await;
        for (request, reason) in refused {
            self.queue.settle(std::iter::once(&request));
            let _ = answer(request, Err(reason));
        }
        if written.is_err() {
            self.tell();
        }
        written
    }

    /// Writes what the store accepts of one group and puts the rest into `refused`.
    async fn write_accepted(
        &mut self,
        refused: &mut Vec<(Request, AppendError)>,
    ) -> Result<(), StoreError> {
        if let Err(error) = self.resolve_doubts().await {
            self.refuse_waiting(Vec::new(), &error);
            return Err(error);
        }
        let mut group = mem::take(&mut self.ready);
        if self.has_kept() {
            let mut kept = mem::take(&mut self.backlog);
            if self.doubts.is_empty() {
                kept.append(&mut self.untried);
            }
            group = Group::of(kept);
        }
        if self.doubts.is_empty() {
            let Group { unplaced, size, .. } = &mut group;
            self.queue.take_more(unplaced, size);
        }
        let mut lost_races = 0;
        while !group.is_empty() {
            let written = match self.place(&mut group).await {
                Ok(()) => self.commit(group.commit()).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(()) => {
                    self.doubts.clear();
                    self.queue.settle(group.requests.iter());
                    self.due
                        .extend(group.requests.into_iter().zip(group.receipts));
                    return Ok(());
                }
                Err(StoreError::Refused(refusals)) => {
                    let mut reasons: HashMap<usize, AppendError> = HashMap::new();
                    for (index, refusal) in refusals {
                        reasons.entry(index).or_insert_with(|| refusal.into());
                    }
                    self.tips.clear();
                    let mut kept = Vec::with_capacity(group.requests.len());
                    for (index, request) in group.requests.into_iter().enumerate() {
                        match reasons.remove(&index) {
                            Some(reason) => refused.push((request, reason)),
                            None => kept.push(request),
                        }
                    }
                    group = self.again(kept);
                }
                // Nothing was written, and drafts do not depend on what they follow.
                Err(StoreError::Conflict { .. })
                    if lost_races < RACES && self.doubts.is_empty() =>
                {
                    lost_races += 1;
                    self.tips.clear();
                    group = self.again(group.into_requests());
                }
                Err(error) => {
                    self.refuse_waiting(group.into_requests(), &error);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Returns the group of `requests`, which were not written, and of what was sealed
    /// behind them.
    fn again(&mut self, mut requests: Vec<Request>) -> Group {
        requests.extend(mem::take(&mut self.ready).into_requests());
        Group::of(requests)
    }

    /// Tells `error` to everybody who waits, in `group`, behind it or in the queue, and
    /// keeps the rest for the next attempt.
    fn refuse_waiting(&mut self, group: Vec<Request>, error: &StoreError) {
        self.tips.clear();
        let mut behind = mem::take(&mut self.ready).into_requests();
        behind.append(&mut self.queue.take_appends());
        let kept = self.dismiss_waiting(group, error);
        self.backlog.extend(kept);
        let kept = self.dismiss_waiting(behind, error);
        self.untried.extend(kept);
        if self.backlog.is_empty() {
            self.doubts.clear();
        }
    }

    /// Tells `error` to those of `group` who wait, returns the others.
    fn dismiss_waiting(&self, group: Vec<Request>, error: &StoreError) -> Vec<Request> {
        let waiting: HashSet<usize> = (0..group.len())
            .filter(|index| matches!(group[*index], Request::Append(..)))
            .collect();
        self.dismiss(group, |index| {
            let told = || AppendError::Store(error.clone());
            waiting.contains(&index).then(told)
        })
    }

    /// Settles the backlog if one of its commits became durable after all.
    async fn resolve_doubts(&mut self) -> Result<(), StoreError> {
        // Before the entries are looked for: a commit that arrives after that finds
        // these ends or makes the next attempt, which names them, a conflict.
        let tenants: Vec<TenantId> = tenants(&self.backlog).cloned().collect();
        self.read_tips(tenants).await?;
        if !self.doubts.is_empty() {
            self.tell();
        }
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
                    let _ = answer(request, Err(error));
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
        // What is sealed meanwhile follows it; an error forgets the tips.
        for segment in &commit.segments {
            self.tips.insert(segment.tenant().clone(), segment.tip());
        }
        if let Err(error) = self.write_and_prepare(commit.clone()).await {
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
        failpoint::reach(Point::SequencerCommitted);
        self.kept.push(commit);
        Ok(())
    }

    /// Has `commit` written, and seals what comes meanwhile.
    async fn write_and_prepare(&mut self, commit: Arc<Commit>) -> Result<(), StoreError> {
        let (store, queue) = (self.store.clone(), self.queue.clone());
        let mut written = store.commit(commit);
        // On its way before anybody is answered and anything else is sealed: what sends it
        // may be a task that runs on this thread.
        let first = futures_util::poll!(&mut written);
        if first.is_pending() {
            tokio::task::yield_now().await;
        }
        self.tell();
        if let Poll::Ready(written) = first {
            return written;
        }
        let mut room = self.doubts.is_empty() && self.prepare();
        loop {
            tokio::select! {
                biased;
                written = &mut written => return written,
                () = queue.woken(), if room => room = self.prepare(),
            }
        }
    }

    /// Takes what waits into the next group and seals it; tells whether there may be
    /// room for more.
    fn prepare(&mut self) -> bool {
        let mut group = mem::take(&mut self.ready);
        let before = group.unplaced.len();
        let full = self.queue.take_more(&mut group.unplaced, &mut group.size);
        // Chains whose end has to be read first are left to the one who writes.
        let known = |tips: &HashMap<_, _>, request: &Request| {
            let mut drafts = request.drafts().iter();
            drafts.all(|draft| tips.contains_key(&draft.tenant))
        };
        let mut more = before == 0;
        if more {
            let unknown = group.unplaced.iter().position(|r| !known(&self.tips, r));
            more = unknown.is_none() && !full;
            let rest = group
                .unplaced
                .split_off(unknown.unwrap_or(group.unplaced.len()));
            for request in mem::replace(&mut group.unplaced, rest) {
                self.seal(&mut group, request);
            }
        }
        self.ready = group;
        more
    }

    /// Reads the ends of chains that are not known.
    async fn read_tips(
        &mut self,
        tenants: impl IntoIterator<Item = TenantId>,
    ) -> Result<(), StoreError> {
        for tenant in tenants {
            if !self.tips.contains_key(&tenant) {
                // Nobody waits for this who need not.
                self.tell();
                let tip = self.store.tip(tenant.clone()).await?;
                self.tips.insert(tenant, tip);
            }
        }
        Ok(())
    }

    /// Places every request of `group` behind the tips.
    async fn place(&mut self, group: &mut Group) -> Result<(), StoreError> {
        self.read_tips(tenants(&group.unplaced).cloned()).await?;
        for request in mem::take(&mut group.unplaced) {
            self.seal(group, request);
        }
        Ok(())
    }

    /// Places `request`, whose chains have known tips, behind `group`.
    fn seal(&mut self, group: &mut Group, request: Request) {
        let now = self.clock.now().as_microsecond();
        let time = self.stamp(now, &request);
        let mut entries = Vec::with_capacity(request.drafts().len());
        for draft in request.drafts() {
            let chain = match group.chains.get_mut(&draft.tenant) {
                Some(chain) => chain,
                None => {
                    let tip = self.tips[&draft.tenant];
                    let chain = group.chains.entry(draft.tenant.clone());
                    chain.or_insert((tip, tip.head, Vec::new()))
                }
            };
            let (_, last, sealed) = chain;
            let entry = seal(draft, *last, time, &mut self.buffer);
            *last = entry.head();
            entries.push(*last);
            sealed.push(entry);
        }
        let receipt = Receipt { time, entries };
        group.units.push(match &request {
            Request::Record(_) => Unit::default(),
            Request::Append(batch, _) => unit(batch, &receipt),
        });
        group.receipts.push(receipt);
        group.requests.push(request);
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

/// Requests that are written together.
#[derive(Default)]
struct Group {
    /// Those that have a place.
    requests: Vec<Request>,
    receipts: Vec<Receipt>,
    units: Vec<Unit>,
    /// The end of each chain before and with the group, and the group's entries.
    chains: BTreeMap<TenantId, (Tip, Head, Vec<Entry>)>,
    /// Those that have none yet; they come behind the others.
    unplaced: Vec<Request>,
    size: Size,
}

impl Group {
    fn of(unplaced: Vec<Request>) -> Self {
        let mut size = Size::default();
        unplaced.iter().for_each(|request| size.add(request));
        Self {
            unplaced,
            size,
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.size.requests == 0
    }

    fn into_requests(mut self) -> Vec<Request> {
        self.requests.append(&mut self.unplaced);
        self.requests
    }

    /// Takes out what the store has to write; the requests stay.
    fn commit(&mut self) -> Commit {
        let chains = mem::take(&mut self.chains).into_values();
        let segments = chains.map(|(tip, _, entries)| {
            Segment::new(tip.head, entries).expect("sealed one behind the other")
        });
        Commit {
            segments: segments.collect(),
            units: mem::take(&mut self.units),
        }
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

/// Tells whoever waits; returns whether somebody did.
fn answer(request: Request, answer: Answer) -> bool {
    let Request::Append(_, waiting) = request else {
        return false;
    };
    // Whoever asked may have gone; the entries are durable all the same.
    waiting.send(answer).is_ok()
}
