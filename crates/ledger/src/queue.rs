//! The bounded queue between callers and the sequencer.
//!
//! # Invariants
//!
//! * What was accepted counts against the bounds until it is durable, answered
//!   or given up, so a store that does not write fills the queue and is noticed.
//! * [`Queue::record`] wakes the sequencer only if it is parked (nothing came for
//!   a while) or if a whole group has gathered; otherwise the sequencer's timer
//!   picks the draft up.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{Notify, oneshot};

use crate::{
    batch::{Batch, Receipt},
    entry::Draft,
    error::AppendError,
};

/// The answer to an append.
pub(crate) type Answer = Result<Receipt, AppendError>;

/// One accepted request.
#[derive(Debug)]
pub(crate) enum Request {
    /// A draft that nobody waits for.
    Record(Draft),
    /// A batch and who waits for it.
    Append(Batch, oneshot::Sender<Answer>),
}

impl Request {
    pub(crate) fn drafts(&self) -> &[Draft] {
        match self {
            Self::Record(draft) => std::slice::from_ref(draft),
            Self::Append(batch, _) => &batch.drafts,
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Record(draft) => draft.weight(),
            Self::Append(batch, _) => batch.weight(),
        }
    }
}

/// How large a group is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub(crate) requests: usize,
    drafts: usize,
    bytes: usize,
}

impl Size {
    pub(crate) fn add(&mut self, request: &Request) {
        self.requests += 1;
        self.drafts += request.drafts().len();
        self.bytes += request.weight();
    }
}

/// How much may wait, and how much is written at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    pub(crate) group: usize,
    pub(crate) group_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Notify,
    /// Somebody may find room again.
    room: Notify,
    bounds: Bounds,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Request>,
    /// Requests and bytes accepted and not settled, the group under way included.
    requests: usize,
    bytes: usize,
    /// Somebody waits for an answer.
    urgent: bool,
    /// The sequencer has stopped its timer.
    parked: bool,
    closed: bool,
}

/// What the sequencer finds in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    Empty,
    /// Only drafts that nobody waits for.
    Patient,
    /// Somebody waits, or a whole group has gathered.
    Urgent,
}

/// Room that is kept for one draft, in bytes: more than what most take.
const PLACE_BYTES: usize = 2 << 10;

/// Room in the queue of a ledger for one draft to come. Dropped, it is free again.
#[derive(Debug)]
#[must_use = "room is kept for as long as this lives"]
pub struct Place {
    queue: Option<Arc<Queue>>,
}

impl Place {
    /// Accepts `draft` as [`Ledger::record`](crate::Ledger::record) does, but never
    /// finds the queue full.
    ///
    /// # Errors
    ///
    /// [`AppendError::Closed`] after the end, [`AppendError::TooLarge`].
    pub fn record(mut self, draft: Draft) -> Result<(), AppendError> {
        match self.queue.take() {
            Some(queue) => queue.fill(draft),
            None => Err(AppendError::Closed),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.give_up_place();
        }
    }
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            state: Mutex::default(),
            wake: Notify::new(),
            room: Notify::new(),
            bounds,
        }
    }

    /// Accepts a draft that nobody waits for.
    pub(crate) fn record(&self, draft: Draft) -> Result<(), AppendError> {
        let wake = {
            let mut state = self.lock();
            self.accept(&mut state, Request::Record(draft))?;
            std::mem::take(&mut state.parked) || state.waiting.len() == self.bounds.group
        };
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Accepts a batch; the answer comes once it is durable.
    pub(crate) fn append(&self, batch: Batch) -> Result<oneshot::Receiver<Answer>, AppendError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            self.accept(&mut state, Request::Append(batch, sender))?;
            state.urgent = true;
            state.parked = false;
        }
        self.wake.notify_one();
        Ok(receiver)
    }

    fn accept(&self, state: &mut State, request: Request) -> Result<(), AppendError> {
        let (bytes, max) = (request.weight(), self.bounds.bytes);
        if bytes > max {
            return Err(AppendError::TooLarge { bytes, max });
        }
        if state.closed {
            return Err(AppendError::Closed);
        }
        if state.requests >= self.bounds.requests || state.bytes + bytes > max {
            return Err(AppendError::QueueFull);
        }
        state.requests += 1;
        state.bytes += bytes;
        state.waiting.push_back(request);
        Ok(())
    }

    /// Keeps room for one draft.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Place, AppendError> {
        let mut state = self.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        let full = state.requests >= self.bounds.requests;
        if full || state.bytes + PLACE_BYTES > self.bounds.bytes {
            return Err(AppendError::QueueFull);
        }
        state.requests += 1;
        state.bytes += PLACE_BYTES;
        Ok(Place {
            queue: Some(Arc::clone(self)),
        })
    }

    /// Keeps room for one draft as soon as there is some.
    pub(crate) async fn place(self: &Arc<Self>) -> Result<Place, AppendError> {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            // From here on no call is missed.
            room.as_mut().enable();
            match self.reserve() {
                Err(AppendError::QueueFull) => room.await,
                decided => return decided,
            }
        }
    }

    /// Puts a draft where room was kept for it, even if it is larger than that.
    fn fill(&self, draft: Draft) -> Result<(), AppendError> {
        let request = Request::Record(draft);
        let (bytes, max) = (request.weight(), self.bounds.bytes);
        let wake = {
            let mut state = self.lock();
            state.requests -= 1;
            state.bytes -= PLACE_BYTES;
            if state.closed {
                return Err(AppendError::Closed);
            }
            if bytes > max {
                return Err(AppendError::TooLarge { bytes, max });
            }
            state.requests += 1;
            state.bytes += bytes;
            state.waiting.push_back(request);
            std::mem::take(&mut state.parked) || state.waiting.len() == self.bounds.group
        };
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    fn give_up_place(&self) {
        {
            let mut state = self.lock();
            state.requests -= 1;
            state.bytes -= PLACE_BYTES;
        }
        self.room.notify_waiters();
    }

    /// Returns what is waiting.
    pub(crate) fn load(&self) -> Load {
        let state = self.lock();
        match state.waiting.len() {
            _ if state.urgent => Load::Urgent,
            0 => Load::Empty,
            n if n >= self.bounds.group => Load::Urgent,
            _ => Load::Patient,
        }
    }

    /// Stops the timer: from now on the first request wakes the sequencer.
    /// Returns whether nothing came in between.
    pub(crate) fn park(&self) -> bool {
        let mut state = self.lock();
        state.parked = state.waiting.is_empty();
        state.parked
    }

    /// Resolves when [`Queue::record`] or [`Queue::append`] asks for attention.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Moves up to one group behind `group`, which may hold what failed before.
    pub(crate) fn take(&self, group: &mut Vec<Request>) {
        let mut size = Size::default();
        group.iter().for_each(|request| size.add(request));
        self.take_more(group, &mut size);
    }

    /// Moves requests behind `group`, a group of `size` that may lie elsewhere, until
    /// both together are one group. Returns whether they are: then some may be left.
    pub(crate) fn take_more(&self, group: &mut Vec<Request>, size: &mut Size) -> bool {
        let mut state = self.lock();
        while let Some(request) = state.waiting.front() {
            let mut grown = *size;
            grown.add(request);
            let over = grown.drafts > self.bounds.group || grown.bytes > self.bounds.group_bytes;
            if over && size.requests > 0 {
                break;
            }
            *size = grown;
            group.extend(state.waiting.pop_front());
        }
        state.urgent = state
            .waiting
            .iter()
            .any(|request| matches!(request, Request::Append(..)));
        !state.waiting.is_empty()
    }

    /// Takes out everybody who waits for an answer, to tell them of a failure.
    pub(crate) fn take_appends(&self) -> Vec<Request> {
        let mut state = self.lock();
        state.urgent = false;
        let waiting = std::mem::take(&mut state.waiting);
        let (appends, records): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|request| matches!(request, Request::Append(..)));
        state.waiting = records.into();
        appends
    }

    /// Takes settled requests out of the bounds.
    pub(crate) fn settle<'a>(&self, settled: impl Iterator<Item = &'a Request>) {
        let (mut requests, mut bytes) = (0, 0);
        for request in settled {
            requests += 1;
            bytes += request.weight();
        }
        {
            let mut state = self.lock();
            state.requests -= requests;
            state.bytes -= bytes;
        }
        self.room.notify_waiters();
    }

    /// Refuses everything that comes from now on.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

#[cfg(test)]
mod tests {
    use airside_base::TenantId;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::entry::Kind;

    fn draft() -> Draft {
        let kind = Kind::new("a.b");
        Draft::new(TenantId::default(), kind, 1, "", &serde_json::json!({})).unwrap()
    }

    fn queue(group: usize) -> Queue {
        Queue::new(Bounds {
            requests: 100,
            bytes: 100_000,
            group,
            group_bytes: 100_000,
        })
    }

    fn wakes(queue: &Queue) -> bool {
        queue.woken().now_or_never().is_some()
    }

    #[test]
    fn record_wakes_only_a_parked_sequencer_or_for_a_whole_group() {
        let queue = queue(5);
        assert!(queue.park());
        let woken: Vec<bool> = (0..7)
            .map(|_| {
                queue.record(draft()).unwrap();
                wakes(&queue)
            })
            .collect();
        assert_eq!(woken, [true, false, false, false, true, false, false]);
        assert!(!queue.park(), "there is work");
    }

    #[test]
    fn append_always_wakes() {
        let queue = queue(5);
        for _ in 0..2 {
            let _answer = queue.append(vec![draft()].into()).unwrap();
            assert!(wakes(&queue));
        }
        assert_eq!(queue.load(), Load::Urgent);
    }

    #[test]
    fn a_group_is_full_when_it_leaves_something() {
        let queue = queue(2);
        let (mut group, mut size) = (Vec::new(), Size::default());
        for (drafts, full) in [(1, false), (1, false), (1, true), (0, true)] {
            for _ in 0..drafts {
                queue.record(draft()).unwrap();
            }
            assert_eq!(queue.take_more(&mut group, &mut size), full);
        }
        assert_eq!((group.len(), queue.load()), (2, Load::Patient));
    }

    #[test]
    fn bytes_are_bounded_until_they_are_settled() {
        let queue = Queue::new(Bounds {
            bytes: 2 * draft().weight(),
            ..queue(5).bounds
        });
        queue.record(draft()).unwrap();
        queue.record(draft()).unwrap();
        let mut group = Vec::new();
        queue.take(&mut group);
        assert!(matches!(queue.record(draft()), Err(AppendError::QueueFull)));
        queue.settle(group.iter());
        queue.record(draft()).unwrap();
        let large = vec![draft(); 3].into();
        assert!(matches!(
            queue.append(large),
            Err(AppendError::TooLarge { .. })
        ));
    }

    #[test]
    fn kept_room_is_there_when_the_queue_is_full() {
        let queue = Arc::new(Queue::new(Bounds {
            requests: 2,
            ..queue(5).bounds
        }));
        let place = queue.reserve().unwrap();
        queue.record(draft()).unwrap();
        assert!(matches!(queue.record(draft()), Err(AppendError::QueueFull)));
        assert!(matches!(queue.reserve(), Err(AppendError::QueueFull)));
        place.record(draft()).unwrap();
        let mut group = Vec::new();
        queue.take(&mut group);
        assert_eq!(group.len(), 2);
        queue.settle(group.iter());
        drop((queue.reserve().unwrap(), queue.reserve().unwrap()));
        let state = queue.lock();
        assert_eq!((state.requests, state.bytes), (0, 0));
    }

    #[test]
    fn room_is_found_when_some_is_given_up_or_settled() {
        let queue = Arc::new(Queue::new(Bounds {
            requests: 1,
            ..queue(5).bounds
        }));
        let first = queue.reserve().unwrap();
        let mut second = Box::pin(queue.place());
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        drop(second.now_or_never().unwrap().unwrap());

        queue.record(draft()).unwrap();
        let mut third = Box::pin(queue.place());
        assert!((&mut third).now_or_never().is_none());
        let mut group = Vec::new();
        queue.take(&mut group);
        queue.settle(group.iter());
        drop(third.now_or_never().unwrap().unwrap());

        let last = queue.reserve().unwrap();
        let mut never = Box::pin(queue.place());
        assert!((&mut never).now_or_never().is_none());
        queue.close();
        let closed = never.now_or_never().unwrap();
        assert!(matches!(closed, Err(AppendError::Closed)));
        assert!(matches!(last.record(draft()), Err(AppendError::Closed)));
    }
}
