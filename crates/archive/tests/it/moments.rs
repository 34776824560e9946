//! Random histories against a model: what a restore to any moment brings back.
//!
//! The model knows nothing of entries that are folded, sealed or shipped: it is told
//! what a history did and says what has to be there at each of its moments. Sources
//! and targets are both stores, in all four pairs.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use airside_archive::{
    Archiver,
    restore::{Digest, Request, Source, Until, digest, restore},
};
use airside_base::{Clock, NodeId, Redacted, Supervisor, SystemClock, Timestamp};
use airside_ledger::{
    Entry, Head, Kind, Query, Store, Table,
    conversation::{CREATED, Conversations, ENDED, Handle, MAX_LIFETIME, Opening, PATCHED},
    erasure::{BEGUN, ERASED, Eraser},
    keys::{Keys, memory::MemoryKeys},
    note::Signer,
    personal::{Opened, Personal, Purpose, SubjectId},
    seal::{SEALED, Sealer},
    stores::{postgres::Postgres, sqlite::Sqlite},
    vault::memory::MemoryVault,
};
use airside_testkit::postgres::{Database, ROLE, Server};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    archive::Place,
    harness::{Holds, Rig, changed, draft, folds, released, tenant},
};

/// Histories of the normal tests; `PROPTEST_CASES` asks for more.
const CASES: u32 = 2;
const OWNERS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 2] = ["h1", "h2"];
const TALKS: usize = 3;
const PERSONS: usize = 2;
const BOOKED: Kind = Kind::new("stay.booked");
const SERVICE: Purpose = Purpose::Service;

#[derive(Clone, Debug)]
enum Step {
    Append {
        owner: usize,
        count: u64,
    },
    Change {
        key: usize,
        rooms: i64,
    },
    Release {
        key: usize,
    },
    /// Creates, changes or (in a while) begins anew.
    Talk {
        talk: usize,
        person: Option<usize>,
    },
    EndTalk {
        talk: usize,
    },
    Book {
        person: usize,
    },
    Erase {
        person: usize,
    },
    Seal,
    Ship,
    Clock {
        seconds: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let talk = || 0..TALKS;
    let person = || 0..PERSONS;
    prop_oneof![
        3 => (0..OWNERS.len(), 1..4_u64).prop_map(|(owner, count)| Step::Append { owner, count }),
        3 => (0..KEYS.len(), 1..5_i64).prop_map(|(key, rooms)| Step::Change { key, rooms }),
        1 => (0..KEYS.len()).prop_map(|key| Step::Release { key }),
        4 => (talk(), prop::option::of(person()))
            .prop_map(|(talk, person)| Step::Talk { talk, person }),
        1 => talk().prop_map(|talk| Step::EndTalk { talk }),
        3 => person().prop_map(|person| Step::Book { person }),
        1 => person().prop_map(|person| Step::Erase { person }),
        1 => Just(Step::Seal),
        2 => Just(Step::Ship),
        2 => (-3600..3600_i64).prop_map(|seconds| Step::Clock { seconds }),
    ]
}

#[derive(Debug, Serialize, Deserialize)]
struct Booked {
    guest: Personal<String>,
}

/// What has to be there at one moment.
#[derive(Clone, Debug, Default)]
struct Moment {
    /// Kinds, and the bodies of entries whose body is known beforehand.
    chains: BTreeMap<&'static str, Vec<(Kind, Option<Value>)>>,
    holds: BTreeMap<&'static str, i64>,
    /// The running number of a conversation and its state.
    talks: BTreeMap<usize, u64>,
    /// Number of the entry, person and name.
    bookings: Vec<(u64, usize, String)>,
}

/// What is known of a conversation, whenever it was.
#[derive(Debug)]
struct Talk {
    handle: Handle,
    person: Option<usize>,
    version: u64,
    /// Its key is gone, so it cannot be read at any moment.
    gone: bool,
}

/// What a history did.
#[derive(Debug, Default)]
struct Model {
    now: Moment,
    talks: Vec<Talk>,
    /// Which conversation is in each of the places of [`Step::Talk`].
    places: [Option<usize>; TALKS],
    /// Entries of bookings whose key is gone.
    unreadable: BTreeSet<u64>,
    erased_once: [bool; PERSONS],
    sealed: BTreeMap<&'static str, usize>,
}

impl Model {
    fn write(&mut self, owner: &'static str, kind: Kind, body: Option<Value>) -> u64 {
        let chain = self.now.chains.entry(owner).or_default();
        chain.push((kind, body));
        chain.len() as u64
    }

    fn written(&mut self, draft: &airside_ledger::Draft) {
        let owner = OWNERS.into_iter().find(|o| draft.tenant().as_str() == *o);
        let body = serde_json::from_slice(draft.body()).unwrap();
        self.write(owner.unwrap(), draft.kind().clone(), Some(body));
    }

    /// Returns whether `person` has a key that can be destroyed.
    fn has_key(&self, person: usize) -> bool {
        let talks = self.talks.iter();
        let mut bookings = self.now.bookings.iter();
        talks
            .filter(|talk| talk.person == Some(person))
            .any(|talk| !talk.gone)
            || bookings.any(|(seq, who, _)| *who == person && !self.unreadable.contains(seq))
    }

    fn erase(&mut self, person: usize) {
        if self.erased_once[person] && !self.has_key(person) {
            return;
        }
        self.erased_once[person] = true;
        self.write("a", BEGUN, None);
        self.write("a", ERASED, None);
        for talk in &mut self.talks {
            talk.gone |= talk.person == Some(person);
        }
        let mine = self
            .now
            .bookings
            .iter()
            .filter(|(_, who, _)| *who == person);
        self.unreadable.extend(mine.map(|(seq, ..)| *seq));
    }

    fn seal(&mut self) {
        for owner in OWNERS {
            let length = self.now.chains.get(owner).map_or(0, Vec::len);
            let sealed = self.sealed.get(owner);
            // Its own seal is the one entry that need not be sealed at once.
            let grown = length > sealed.map_or(0, |sealed| sealed + 1);
            if grown {
                self.sealed.insert(owner, length);
                self.write(owner, SEALED, None);
            }
        }
    }
}

fn person(number: usize) -> SubjectId {
    format!("subject-{number}").parse().unwrap()
}

/// One ledger, and what was done with it.
struct History {
    rig: Rig,
    store: Arc<dyn Store>,
    place: Place,
    archiver: Archiver,
    keys: Arc<Keys>,
    node: NodeId,
    model: Model,
    moments: Vec<(Timestamp, Timestamp, Moment, Digest)>,
    ends: BTreeMap<&'static str, Head>,
    number: u64,
}

impl History {
    async fn new(store: Arc<dyn Store>) -> Self {
        let rig = Rig::on(store.clone()).await;
        let place = Place::default();
        let archiver = place.archiver(&rig).await;
        let node = NodeId::generate(&rig.clock);
        let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
        let keys = Keys::new(
            Arc::new(MemoryKeys::new()),
            Arc::new(MemoryVault::new()),
            clock,
        );
        Self {
            rig,
            store,
            place,
            archiver,
            keys: Arc::new(keys),
            node,
            model: Model::default(),
            moments: Vec::new(),
            ends: BTreeMap::new(),
            number: 0,
        }
    }

    fn talks(&self) -> Conversations {
        let clock: Arc<dyn Clock> = Arc::new(self.rig.clock.clone());
        Conversations::new(self.rig.ledger.clone(), self.keys.clone(), clock, None)
    }

    async fn live(&mut self, steps: &[Step]) {
        for step in steps {
            self.number += 1;
            self.take(step).await;
            self.remember().await;
        }
        // The clock is past all entries at the end, and everything is in the archive.
        if let Some((_, last, ..)) = self.moments.last() {
            self.rig.clock.step_to(*last + Duration::from_secs(7200));
        }
        self.rig.clock.advance(Duration::from_secs(60));
        while self.archiver.ship().await.unwrap().entries > 0 {}
        self.rig.clock.advance(Duration::from_secs(60));
        self.archiver.ship().await.unwrap();
    }

    async fn take(&mut self, step: &Step) {
        let a = tenant("a");
        match *step {
            Step::Append { owner, count } => {
                let drafts: Vec<_> = (0..count)
                    .map(|part| draft(OWNERS[owner], self.number * 10 + part))
                    .collect();
                drafts.iter().for_each(|draft| self.model.written(draft));
                self.rig.ledger.append(drafts).await.unwrap();
            }
            Step::Change { key, rooms } => {
                let hold = self.model.now.holds.entry(KEYS[key]).or_default();
                *hold += rooms;
                self.hold(KEYS[key], changed(KEYS[key], "Sea", rooms)).await;
            }
            Step::Release { key } => {
                self.model.now.holds.remove(KEYS[key]);
                self.hold(KEYS[key], released(KEYS[key])).await;
            }
            Step::Talk { talk, person } => self.talk(talk, person).await,
            Step::EndTalk { talk } => {
                let Some(running) = self.model.places[talk].take() else {
                    return;
                };
                let handle = &self.model.talks[running].handle;
                self.talks().end(&a, handle).await.unwrap();
                self.model.talks[running].gone = true;
                self.model.now.talks.remove(&running);
                self.model.write("a", ENDED, None);
            }
            Step::Book { person: who } => {
                let name = format!("guest {}", self.number);
                let guest = Personal::new(person(who), SERVICE, name.clone());
                let body = Booked { guest };
                let drafted = self.keys.draft(&a, BOOKED, 1, "stay", &body);
                let drafted = drafted.await.unwrap();
                self.rig.ledger.append(vec![drafted]).await.unwrap();
                let seq = self.model.write("a", BOOKED, None);
                self.model.now.bookings.push((seq, who, name));
            }
            Step::Erase { person: who } => {
                let eraser = Eraser::new(&self.rig.ledger, &self.keys);
                let of = BTreeSet::from([SERVICE]);
                eraser.erase(&a, &person(who), &of).await.unwrap();
                self.model.erase(who);
            }
            Step::Seal => {
                let (signer, _) = Signer::generate();
                let sealer = Sealer::new(self.rig.ledger.clone(), signer, self.node);
                sealer.seal().await.unwrap();
                self.model.seal();
            }
            Step::Ship => drop(self.archiver.ship().await.unwrap()),
            Step::Clock { seconds } => {
                let by = Duration::from_secs(seconds.unsigned_abs());
                let now = self.rig.clock.now();
                let to = if seconds < 0 { now - by } else { now + by };
                self.rig.clock.step_to(to);
            }
        }
    }

    async fn hold(&mut self, key: &str, draft: airside_ledger::Draft) {
        let table = Table::<Holds>::new(self.rig.ledger.clone());
        let prior = table.find(&tenant("a"), key).await.unwrap();
        self.model.written(&draft);
        table.append(prior, vec![draft]).await.unwrap();
    }

    /// Begins a conversation, or changes the one that is in its place.
    async fn talk(&mut self, place: usize, with: Option<usize>) {
        let (a, talks) = (tenant("a"), self.talks());
        let state = json!({ "step": self.number }).as_object().unwrap().clone();
        let running = self.model.places[place].filter(|running| !self.model.talks[*running].gone);
        let running = match running {
            Some(running) => {
                let talk = &self.model.talks[running];
                let patched = talks.patch(&a, &talk.handle, talk.version, state);
                let version = patched.await.unwrap().version;
                self.model.talks[running].version = version;
                self.model.write("a", PATCHED, None);
                running
            }
            None => {
                let opening = Opening {
                    subject: with.map(person),
                    lifetime: Some(MAX_LIFETIME),
                };
                let (handle, created) = talks.create(&a, opening, state).await.unwrap();
                self.model.talks.push(Talk {
                    handle,
                    person: with,
                    version: created.version,
                    gone: false,
                });
                self.model.write("a", CREATED, None);
                self.model.talks.len() - 1
            }
        };
        self.model.places[place] = Some(running);
        self.model.now.talks.insert(running, self.number);
    }

    /// Keeps the state after a step that has written something, with the times of its
    /// first and last entry.
    async fn remember(&mut self) {
        let mut times = Vec::new();
        for owner in OWNERS {
            let after = self.ends.get(owner).map_or(0, |head| head.seq);
            let query = Query::new(tenant(owner)).after(after);
            let entries = self.store.read(query).await.unwrap();
            times.extend(entries.iter().map(|entry| entry.time));
            if let Some(last) = entries.last() {
                self.ends.insert(owner, last.head());
            }
        }
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return;
        };
        let state = digest(&*self.store, &folds()).await.unwrap();
        self.moments
            .push((*first, *last, self.model.now.clone(), state));
    }

    /// Restores to the moment `at`, named by its first time or, if it is to be `late`, by
    /// its last one, and compares.
    async fn check(&self, at: usize, late: bool, target: Where<'_>, from_archive: bool) {
        // Any time up to the next entry is the same moment.
        let now = self.rig.clock.now();
        let next = self.moments.get(at + 1).map_or(now, |(first, ..)| *first);
        let last = self.moments[at].1;
        let time = if late {
            next - Duration::from_micros(1)
        } else {
            last
        };
        let request = Request {
            until: Until::Time(time),
            tenant: None,
            now,
        };
        let archive = self.place.archive().await.unwrap();
        let source = if from_archive {
            Source::Archive(&archive)
        } else {
            Source::Store(&*self.store)
        };
        let clock: Arc<dyn Clock> = Arc::new(self.rig.clock.clone());
        let tasks = Supervisor::new();
        let fresh = target.fresh(&tasks).await;
        let restored = restore(source, &request, &fresh, &folds(), clock, &|_| {}).await;
        let erasures = restored.unwrap().erasures;
        finish(fresh, tasks).await;
        let tasks = Supervisor::new();
        let opened = target.open(&tasks).await;
        self.compare(at, opened.clone(), erasures).await;
        finish(opened, tasks).await;
    }

    /// Compares what is in `target` with what was there at the moment `at`, besides
    /// `erasures` that were recorded behind it.
    async fn compare(&self, at: usize, target: Arc<dyn Store>, erasures: usize) {
        let (_, _, moment, state) = &self.moments[at];
        if erasures == 0 {
            assert_eq!(digest(&*target, &folds()).await.unwrap(), *state);
        }
        for owner in OWNERS {
            let query = Query::new(tenant(owner));
            let entries: Vec<Entry> = target.read(query).await.unwrap();
            let found: Vec<_> = entries
                .iter()
                .map(|e| (e.kind.clone(), e.decode().ok()))
                .collect();
            let expected = moment.chains.get(owner).cloned().unwrap_or_default();
            let mut behind = found.iter().skip(expected.len());
            assert!(found.len() >= expected.len(), "{owner}");
            assert!(behind.all(|(kind, _)| erasures > 0 && [BEGUN, ERASED].contains(kind)));
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.0, expected.0);
                assert!(expected.1.is_none() || found.1 == expected.1, "{found:?}");
            }
        }
        let again = Rig::on(target).await;
        again.clock.step_to(self.rig.clock.now());
        let table = Table::<Holds>::new(again.ledger.clone());
        let holds = table.all(&tenant("a"), "", 100).await.unwrap();
        let holds: Vec<_> = holds
            .iter()
            .map(|r| (r.key.to_string(), r.document.rooms))
            .collect();
        let expected = moment
            .holds
            .iter()
            .map(|(key, rooms)| ((*key).to_owned(), *rooms));
        assert_eq!(holds, expected.collect::<Vec<_>>());
        self.compare_persons(&again, moment).await;
        again.ledger.verify(&|_| {}).await.unwrap();
        again.stop().await;
    }

    /// What has been erased by the end of the history cannot be read at any moment.
    async fn compare_persons(&self, again: &Rig, moment: &Moment) {
        let a = tenant("a");
        let clock: Arc<dyn Clock> = Arc::new(again.clock.clone());
        let talks = Conversations::new(again.ledger.clone(), self.keys.clone(), clock, None);
        for (number, talk) in self.model.talks.iter().enumerate() {
            let found = talks.get(&a, &talk.handle).await;
            let Some(step) = moment.talks.get(&number) else {
                assert!(found.is_err(), "not there at that moment: {found:?}");
                continue;
            };
            match (found.unwrap().state, talk.gone) {
                (Opened::Clear(state), false) => assert_eq!(state["step"], *step),
                (Opened::Erased, true) => {}
                (found, gone) => panic!("conversation {number}: {found:?}, gone: {gone}"),
            }
        }
        for (seq, who, name) in &moment.bookings {
            let query = Query::new(a.clone()).after(seq - 1).limit(1);
            let entry = again.ledger.read(query).await.unwrap().remove(0);
            let body: Booked = entry.decode().unwrap();
            assert_eq!(*body.guest.subject(), person(*who));
            let opened = self.keys.open(&a, &entry.kind, "/guest", &body.guest).await;
            let gone = self.model.unreadable.contains(seq);
            let expected = (!gone).then(|| name.clone());
            assert_eq!(opened.unwrap().clear(), expected, "booking {seq}");
        }
    }
}

/// A database that is made empty again and again.
struct Emptied(Database);

impl Emptied {
    fn new(server: &Server, name: &str) -> Self {
        Self(server.database(name).unwrap())
    }

    /// Opens the ledger in it, after it has been made an empty one.
    async fn fresh(&self, tasks: &Supervisor) -> Arc<dyn Store> {
        self.0.run("DROP SCHEMA IF EXISTS airside CASCADE").unwrap();
        let owner = Redacted::new(self.0.owner_url.clone());
        Postgres::initialize(&owner, ROLE).await.unwrap();
        self.open(tasks).await
    }

    async fn open(&self, tasks: &Supervisor) -> Arc<dyn Store> {
        let url = Redacted::new(self.0.url.clone());
        let clock = Arc::new(SystemClock::new());
        Arc::new(Postgres::open(&url, clock, tasks).await.unwrap())
    }
}

/// Where a ledger is.
#[derive(Clone, Copy)]
enum Where<'a> {
    Folder(&'a Path),
    Database(&'a Emptied),
}

impl Where<'_> {
    /// Opens an empty ledger.
    async fn fresh(self, tasks: &Supervisor) -> Arc<dyn Store> {
        match self {
            Self::Folder(folder) => {
                let _ = std::fs::remove_dir_all(folder);
                Arc::new(Sqlite::open(folder, tasks).unwrap())
            }
            Self::Database(database) => database.fresh(tasks).await,
        }
    }

    /// Opens what is there.
    async fn open(self, tasks: &Supervisor) -> Arc<dyn Store> {
        match self {
            Self::Folder(folder) => Arc::new(Sqlite::open(folder, tasks).unwrap()),
            Self::Database(database) => database.open(tasks).await,
        }
    }
}

async fn finish(store: Arc<dyn Store>, tasks: Supervisor) {
    store.close().await;
    drop(store);
    assert_eq!(tasks.stop(Duration::from_secs(20)).await, 0);
}

async fn check_history(
    databases: &[Emptied; 2],
    steps: &[Step],
    picks: &[(prop::sample::Index, bool)],
) {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("source"), folder.path().join("target"));
    let sources = [Where::Folder(&source), Where::Database(&databases[0])];
    let targets = [Where::Folder(&target), Where::Database(&databases[1])];
    for place in sources {
        let tasks = Supervisor::new();
        let source = place.fresh(&tasks).await;
        let mut history = History::new(source.clone()).await;
        history.live(steps).await;
        for (pick, late) in picks {
            if history.moments.is_empty() {
                continue;
            }
            let at = pick.index(history.moments.len());
            for (target, from_archive) in targets.into_iter().zip([*late, !*late]) {
                history.check(at, *late, target, from_archive).await;
            }
        }
        let History {
            rig,
            store,
            archiver,
            ..
        } = history;
        drop((store, archiver));
        rig.stop().await;
        finish(source, tasks).await;
    }
}

/// Returns how many cases to run.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.map_or(CASES, |cases| cases.parse().unwrap())
}

#[test]
fn restore_to_any_moment_equals_the_model_between_all_stores() {
    let server = Server::start().unwrap();
    let databases = [
        Emptied::new(&server, "moments_source"),
        Emptied::new(&server, "moments_target"),
    ];
    let config = ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = prop::test_runner::TestRunner::new(config);
    let steps = prop::collection::vec(step(), 1..40);
    let picks = prop::collection::vec(any::<(prop::sample::Index, bool)>(), 2);
    let done = runner.run(&(steps, picks), |(steps, picks)| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(check_history(&databases, &steps, &picks));
        Ok(())
    });
    done.unwrap();
}
