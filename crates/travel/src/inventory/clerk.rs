//! Who decides for a hotel.
//!
//! # Invariants
//!
//! * A clerk takes what waits, decides one request behind the other, and appends all
//!   of it together, so that a hotel that many want costs one append per round and
//!   not one per client.
//! * Rooms are counted as taken when it is decided and given back if the append did
//!   not happen. Searches may see them go early, never late.
//! * When the outcome of an append is unknown, the rooms are given back here too: the
//!   entry, if there is one, comes back by the chain, and until then every decision
//!   about the hotel names a version that the ledger refuses.
//! * A caller that goes away changes nothing: the decision is the clerk's.

use std::{collections::HashSet, sync::Arc, time::Duration};

use airside_base::{OnFailure, Supervisor};
use airside_ledger::{AppendError, Batch, Draft, Entry, Receipt, StoreError, Versioned};
use tokio::sync::{mpsc, oneshot};

use super::{
    Office, Reservations,
    decide::{Decision, Moment, Request, decide},
    event::{Event, Home},
    fed, log,
};
use crate::{
    property::{Property, PropertyId},
    supply::{Applied, Error, Reservation, Updates},
};

/// Most requests of one append.
const ROUND: usize = 64;
/// Bytes of entries after which a round is closed: far below what the ledger takes.
const ROUND_BYTES: usize = 512 * 1024;
/// How often a round may lose against another node before callers come again.
const RACES: usize = 16;

/// What a clerk is sent.
#[derive(Debug)]
pub(super) enum Message {
    /// Something is asked of a hotel.
    Asked { hotel: PropertyId, asked: Asked },
    /// An entry of the chain about a hotel.
    Entry { hotel: PropertyId, entry: Entry },
    /// Answers when everything that was sent before is done.
    Barrier(oneshot::Sender<()>),
}

/// What is asked of a hotel, and by whom.
#[derive(Debug)]
pub(super) enum Asked {
    /// Something about one reservation, as it was read.
    Request {
        request: Box<Request>,
        prior: Option<Box<Versioned<Reservation>>>,
        answer: oneshot::Sender<Answer<Reservation>>,
    },
    /// To take in a message of the hotel.
    Update {
        updates: Box<Updates>,
        answer: oneshot::Sender<Answer<Applied>>,
    },
}

/// What a clerk answers.
#[derive(Debug)]
pub(super) enum Answer<T> {
    Done(Result<T, Error>),
    /// The reservation has been changed since it was read.
    Again,
}

/// One that decides.
#[derive(Debug)]
pub(super) struct Clerk {
    office: Arc<Office>,
    receiver: mpsc::Receiver<Message>,
}

/// A request with what was decided.
struct Work {
    property: Property,
    asked: Asked,
}

/// What a round appends, and for whom.
#[derive(Default)]
struct Round {
    batch: Batch,
    /// Position of each work in the round with its event, in the order of the drafts.
    written: Vec<(usize, Event)>,
    /// Answers that nothing has to be written for.
    answers: Vec<(usize, Result<Reservation, Error>)>,
}

impl Clerk {
    pub(super) fn new(office: Arc<Office>, receiver: mpsc::Receiver<Message>) -> Self {
        Self { office, receiver }
    }

    pub(super) fn start(self, supervisor: &Supervisor) {
        let stop = supervisor.clone();
        supervisor.spawn("inventory-clerk", OnFailure::Stop, self.run(stop));
    }

    async fn run(mut self, supervisor: Supervisor) {
        loop {
            let first = tokio::select! {
                message = self.receiver.recv() => message,
                () = supervisor.stopping() => return,
            };
            let Some(first) = first else { return };
            let mut works = Vec::new();
            self.take(first, &mut works);
            while works.len() < ROUND {
                let Ok(message) = self.receiver.try_recv() else {
                    break;
                };
                self.take(message, &mut works);
            }
            while !works.is_empty() {
                works = self.round(works).await;
            }
        }
    }

    fn take(&self, message: Message, works: &mut Vec<Work>) {
        let find = |hotel| self.office.hotels.at(hotel);
        let (hotel, asked) = match message {
            Message::Entry { hotel, entry } => {
                if let Some(property) = find(hotel) {
                    log::apply(&self.office, &property, &entry);
                }
                return;
            }
            Message::Barrier(done) => {
                // Requests that were sent before may still be in `works`: what they
                // change is of later entries.
                let _ = done.send(());
                return;
            }
            Message::Asked { hotel, asked } => (hotel, asked),
        };
        match find(hotel) {
            Some(property) => works.push(Work { property, asked }),
            None => asked.refuse(Error::HotelUnknown),
        }
    }

    /// Decides and appends; returns the works that remain.
    async fn round(&self, mut works: Vec<Work>) -> Vec<Work> {
        for _ in 0..RACES {
            let mut round = Round::default();
            self.decide_all(&works, &mut round);
            let batch = std::mem::take(&mut round.batch);
            let appended = match round.written.is_empty() {
                true => None,
                false => Some(self.office.ledger.commit(batch).await),
            };
            match appended {
                None => return finish(works, &round, Vec::new()),
                Some(Ok(receipt)) => {
                    let done = self.written(&works, &round, &receipt);
                    return finish(works, &round, done);
                }
                Some(Err(error)) => {
                    self.undo(&works, &round);
                    match self.lost(&mut works, &round, error).await {
                        Ok(()) => {}
                        Err(error) => return give_up(works, &round, &error),
                    }
                }
            }
        }
        let busy = Error::Unavailable {
            retry_after: Duration::from_secs(1),
        };
        works
            .into_iter()
            .for_each(|work| work.asked.refuse(busy.clone()));
        Vec::new()
    }

    /// Decides on every work and counts what is taken.
    fn decide_all(&self, works: &[Work], round: &mut Round) {
        let mut references = HashSet::new();
        let mut updates = Vec::new();
        let mut bytes = 0;
        for (at, work) in works.iter().enumerate() {
            if bytes > ROUND_BYTES {
                break;
            }
            match &work.asked {
                // Messages of hotels come last: what was decided did not know them.
                Asked::Update { .. } => updates.push(at),
                Asked::Request { request, prior, .. } => {
                    let reference = reference_of(request, prior.as_deref());
                    if !references.insert(reference) {
                        continue;
                    }
                    bytes += self.decide_one(at, work, round);
                }
            }
        }
        for at in updates {
            if bytes > ROUND_BYTES {
                break;
            }
            let work = &works[at];
            if let Asked::Update { updates, .. } = &work.asked {
                let event = Event::Updated {
                    updates: (**updates).clone(),
                };
                if let Ok(draft) = event.draft(&self.office.chain, &work.property.code()) {
                    bytes += draft.body().len();
                    round.batch.push(draft);
                    round.written.push((at, event));
                }
            }
        }
        self.name_versions(works, round);
    }

    /// Decides on one request; returns the bytes that it adds to the append.
    fn decide_one(&self, at: usize, work: &Work, round: &mut Round) -> usize {
        let Asked::Request { request, prior, .. } = &work.asked else {
            return 0;
        };
        let decided = log::with_block(&self.office, &work.property, |block| {
            let now = self.office.clock.now();
            let local = self.office.hotels.local_of(&work.property, now);
            let moment = Moment {
                local: &local,
                fingerprint: self.office.hotels.world().fingerprint(),
            };
            let reservation = prior.as_ref().map(|prior| &prior.document);
            let decision = decide(request, reservation, block, &moment);
            if let Decision::Write(event) = &decision {
                count(block, event, false);
                block.pending += 1;
            }
            decision
        });
        let event = match decided {
            Decision::Answer(answer) => {
                round.answers.push((at, answer));
                return 0;
            }
            Decision::Write(event) => event,
        };
        match self.draft(work, prior.as_deref(), &event, &mut round.batch) {
            Ok(bytes) => {
                round.written.push((at, event));
                bytes
            }
            Err(error) => {
                log::with_block(&self.office, &work.property, |block| {
                    count(block, &event, true);
                    block.pending -= 1;
                });
                round.answers.push((at, Err(error)));
                0
            }
        }
    }

    fn draft(
        &self,
        work: &Work,
        prior: Option<&Versioned<Reservation>>,
        event: &Event,
        batch: &mut Batch,
    ) -> Result<usize, Error> {
        let draft: Draft = event
            .draft(&self.office.chain, &work.property.code())
            .map_err(|error| broken(&error))?;
        let bytes = draft.body().len();
        let changed = self
            .office
            .reservations
            .change(batch, prior.cloned(), vec![draft]);
        changed.map_err(|error| broken(&error))?;
        Ok(bytes)
    }

    /// Adds for each hotel of the round the version that was decided on.
    fn name_versions(&self, works: &[Work], round: &mut Round) {
        let mut named = HashSet::new();
        for (at, _) in &round.written {
            let property = &works[*at].property;
            if !named.insert(property.id) {
                continue;
            }
            let applied = log::with_block(&self.office, property, |block| block.applied);
            let key = property.code();
            let prior = (applied > 0).then(|| Versioned {
                key: key.as_str().into(),
                version: applied,
                document: Home {},
            });
            let along = self.office.homes.along(&mut round.batch, &key, prior);
            debug_assert!(along.is_ok(), "the drafts are about this hotel");
        }
    }

    /// Notes what is durable now; returns the answers.
    fn written(
        &self,
        works: &[Work],
        round: &Round,
        receipt: &Receipt,
    ) -> Vec<(usize, Result<Written, Error>)> {
        let entries = receipt.entries.iter();
        let mut done = Vec::with_capacity(round.written.len());
        for ((at, event), entry) in round.written.iter().zip(entries) {
            let work = &works[*at];
            let applied = log::with_block(&self.office, &work.property, |block| {
                block.applied = block.applied.max(entry.seq);
                match event {
                    Event::Updated { updates } => {
                        let (world, atlas) = self.office.hotels.source();
                        Some(fed::apply(block, world, atlas, updates))
                    }
                    _ => {
                        block.pending -= 1;
                        None
                    }
                }
            });
            let written = match (applied, &work.asked) {
                (Some(applied), _) => Ok(Written::Update(applied)),
                (None, Asked::Request { prior, .. }) => {
                    let prior = prior.as_ref().map(|prior| prior.document.clone());
                    let folded = event.clone().fold(prior);
                    let folded = folded.map(|done| Written::Reservation(Box::new(done)));
                    folded.ok_or(Error::NotFound)
                }
                (None, Asked::Update { .. }) => continue,
            };
            done.push((*at, written));
        }
        done
    }

    /// Gives back what the round has counted as taken.
    fn undo(&self, works: &[Work], round: &Round) {
        for (at, event) in round.written.iter().rev() {
            log::with_block(&self.office, &works[*at].property, |block| {
                count(block, event, true);
                if !matches!(event, Event::Updated { .. }) {
                    block.pending -= 1;
                }
            });
        }
    }

    /// Takes in why an append did not happen. After `Ok` it is decided again.
    async fn lost(
        &self,
        works: &mut Vec<Work>,
        round: &Round,
        error: AppendError,
    ) -> Result<(), Error> {
        let unavailable = Error::Unavailable {
            retry_after: Duration::from_secs(1),
        };
        match error {
            AppendError::Stale { table, key }
                if table == <Reservations as airside_ledger::Schema>::NAME =>
            {
                // Whoever asked read an older one.
                let stale = round.written.iter().find(|(at, _)| {
                    matches!(&works[*at].asked, Asked::Request { request, prior, .. }
                        if *reference_of(request, prior.as_deref()) == *key)
                });
                let Some((at, _)) = stale else {
                    return Err(unavailable);
                };
                if let Asked::Request { answer, .. } = works.remove(*at).asked {
                    let _ = answer.send(Answer::Again);
                }
                Ok(())
            }
            AppendError::Stale { key, .. } => {
                let mut works = works.iter();
                let work = works.find(|work| *key == *work.property.code());
                let Some(work) = work else {
                    return Err(unavailable);
                };
                let read = log::catch_up(&self.office, &work.property).await;
                read.map_err(|error| {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the inventory cannot read what another node wrote"
                    );
                    unavailable
                })
            }
            AppendError::QueueFull
            | AppendError::TooLarge { .. }
            | AppendError::Closed
            | AppendError::Fenced { .. }
            | AppendError::Store(
                StoreError::Conflict { .. }
                | StoreError::Refused(_)
                | StoreError::Full(_)
                | StoreError::Closed
                | StoreError::Corrupt { .. },
            ) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the inventory cannot write"
                );
                Err(unavailable)
            }
            AppendError::Interrupted
            | AppendError::Unarchived
            | AppendError::Store(StoreError::Failed { .. }) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "whether rooms were taken is not known until the ledger is read again"
                );
                Err(Error::Unknown)
            }
        }
    }
}

/// What became durable for one work.
enum Written {
    Reservation(Box<Reservation>),
    Update(Applied),
}

impl Asked {
    fn refuse(self, error: Error) {
        // Whoever asked may have gone.
        match self {
            Self::Request { answer, .. } => drop(answer.send(Answer::Done(Err(error)))),
            Self::Update { answer, .. } => drop(answer.send(Answer::Done(Err(error)))),
        }
    }

    fn answer(self, written: Result<Written, Error>) {
        match (self, written) {
            (asked, Err(error)) => asked.refuse(error),
            (Self::Request { answer, .. }, Ok(Written::Reservation(done))) => {
                let _ = answer.send(Answer::Done(Ok(*done)));
            }
            (Self::Update { answer, .. }, Ok(Written::Update(applied))) => {
                let _ = answer.send(Answer::Done(Ok(applied)));
            }
            (asked, Ok(_)) => asked.refuse(Error::Unknown),
        }
    }
}

/// Answers everybody whose work is done; returns the others. A work about the same
/// reservation as an earlier one of the round is read again.
fn finish(
    works: Vec<Work>,
    round: &Round,
    mut done: Vec<(usize, Result<Written, Error>)>,
) -> Vec<Work> {
    let answers = round.answers.iter();
    done.extend(answers.map(|(at, answer)| {
        let answer = answer.clone();
        (
            *at,
            answer.map(|known| Written::Reservation(Box::new(known))),
        )
    }));
    done.sort_by_key(|(at, _)| *at);
    let mut done = done.into_iter().peekable();
    let mut later = Vec::new();
    for (at, work) in works.into_iter().enumerate() {
        match done.next_if(|(of, _)| *of == at) {
            Some((_, written)) => work.asked.answer(written),
            None => match work.asked {
                Asked::Request { answer, .. } => drop(answer.send(Answer::Again)),
                asked @ Asked::Update { .. } => later.push(Work { asked, ..work }),
            },
        }
    }
    later
}

/// Tells `error` to everybody who waits for the append, and the rest as usual.
fn give_up(works: Vec<Work>, round: &Round, error: &Error) -> Vec<Work> {
    let written = round.written.iter();
    let lost = written.map(|(at, _)| (*at, Err(error.clone())));
    finish(works, round, lost.collect())
}

/// Counts the rooms of an event as taken, or takes this back.
fn count(block: &mut super::Block, event: &Event, back: bool) {
    let (freed, taken) = event.rooms(block);
    let (first, second) = match back {
        false => (freed, taken),
        true => (taken, freed),
    };
    if let Some(claim) = first {
        claim.free(block);
    }
    if let Some(claim) = second {
        claim.take(block);
    }
}

/// Returns the name of the reservation that is asked for.
fn reference_of(request: &Request, prior: Option<&Versioned<Reservation>>) -> Arc<str> {
    match (request, prior) {
        (_, Some(prior)) => prior.key.clone(),
        (Request::Hold { reference, .. }, None) => reference.as_str().into(),
        (_, None) => "".into(),
    }
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Error {
    tracing::error!(error, "a reservation does not fit the ledger");
    Error::Unavailable {
        retry_after: Duration::from_secs(60),
    }
}

/// Returns the position of the clerk who decides for a hotel.
pub(super) fn clerk_of(hotel: PropertyId, clerks: usize) -> usize {
    let key = u64::from(hotel.city) << 16 | u64::from(hotel.index);
    (crate::draw::mix64(key) % clerks as u64) as usize
}
