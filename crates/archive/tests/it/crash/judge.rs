//! What has to hold when a node is back after its end.
#![expect(clippy::unwrap_used, reason = "a judge that cannot look may panic")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use airside_archive::{
    Archive, Archiver, Error, Objects, Options as ArchiveOptions,
    restore::{Request, RestoreError, Restored, Source, Until, digest, restore},
};
use airside_base::{Clock, NodeId, Supervisor, SystemClock, VirtualClock};
use airside_ledger::{
    Entry, Ledger, Options, Query, Store,
    conversation::{Conversations, Error as TalkError},
    erasure::Eraser,
    keys::Keys,
    personal::{Opened, SubjectId},
    seal::{Sealer, load_signer},
    stores::{memory::Memory, sqlite::Sqlite},
    vault::Vault,
};
use object_store::local::LocalFileSystem;
use serde::{Deserialize, Serialize};

use super::{
    node::{BOOKED, Booked, Home, is_there, owners},
    plan::{Fault, Plan},
    weather::land,
};
use crate::harness::{draft, folds, tenant};

/// What a run came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    /// How many of its processes were killed, and how many came to their ends.
    pub(crate) killed: usize,
    pub(crate) ended: usize,
    pub(crate) acknowledged: usize,
    /// Acknowledged entries that are gone.
    pub(crate) lost: usize,
    /// Two truths about one place, and nobody was told.
    pub(crate) forks: usize,
    /// Writers that were told that the archive is another's.
    pub(crate) told: usize,
    /// Everything else that does not hold.
    pub(crate) wrong: Vec<String>,
}

/// What the processes of a run have printed.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// By writer, tenant and number: the hash.
    entries: HashMap<(u64, String, u64), String>,
    booked: BTreeSet<(u64, u64, String)>,
    /// By writer, tenant and id: recorded, and durable by a flush.
    kept: BTreeSet<(u64, String, String)>,
    erasing: BTreeSet<String>,
    erased: BTreeSet<String>,
    /// By writer and handle: the last state that was acknowledged.
    talks: BTreeMap<(u64, String), u64>,
    ending: BTreeSet<String>,
    ended: BTreeSet<String>,
}

impl Told {
    pub(crate) fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ack", writer, owner, seq, hash] => {
                let place = (
                    writer.parse().unwrap(),
                    owner.to_owned(),
                    seq.parse().unwrap(),
                );
                self.entries.insert(place, hash.to_owned());
            }
            ["booked", writer, seq, subject] => {
                let writer = writer.parse().unwrap();
                self.booked
                    .insert((writer, seq.parse().unwrap(), subject.to_owned()));
            }
            ["kept", writer, owner, id] => {
                let place = (writer.parse().unwrap(), owner.to_owned(), id.to_owned());
                self.kept.insert(place);
            }
            ["erasing", _, subject] => drop(self.erasing.insert(subject.to_owned())),
            ["erased", _, subject] => drop(self.erased.insert(subject.to_owned())),
            ["talk", writer, handle, state] => {
                let place = (writer.parse().unwrap(), handle.to_owned());
                self.talks.insert(place, state.parse().unwrap());
            }
            ["ending", handle] => drop(self.ending.insert(handle.to_owned())),
            ["ended", handle] => drop(self.ended.insert(handle.to_owned())),
            _ => {}
        }
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.booked.extend(other.booked);
        self.kept.extend(other.kept);
        self.erasing.extend(other.erasing);
        self.erased.extend(other.erased);
        self.talks.extend(other.talks);
        self.ending.extend(other.ending);
        self.ended.extend(other.ended);
    }
}

/// Judges one run after its processes have ended.
pub(crate) struct Judge<'a> {
    pub(crate) plan: Plan,
    pub(crate) home: &'a Home,
    pub(crate) told: &'a Told,
    pub(crate) outcome: Outcome,
}

/// A ledger that is back.
struct Back {
    writer: u64,
    store: Arc<dyn Store>,
    ledger: Ledger,
    clock: VirtualClock,
    keys: Arc<Keys>,
    vault: Arc<dyn Vault>,
    /// Its writer thread and its sequencer.
    tasks: Supervisor,
}

/// What is in the chains.
struct Found {
    /// By tenant and number: the hash.
    hashes: HashMap<(String, u64), String>,
    booked: Vec<Entry>,
}

impl Judge<'_> {
    pub(crate) async fn judge(mut self) -> Outcome {
        self.outcome.acknowledged = self.told.entries.len() + self.told.kept.len();
        let shared = self.home.database.is_some();
        let ledgers = if shared { 1 } else { self.plan.writers() };
        let mut dice = self.plan.dice(1000);
        let (early, mut owners_of_archive) = (dice.percent(50), 0);
        self.check_remote().await;
        if early {
            land(&self.home.objects(), &self.home.late()).await;
        }
        for writer in 0..ledgers {
            let back = self.open(writer).await;
            // What was under way in the database is either in front of these or refused.
            for tenant in owners() {
                let appended = back.ledger.append(vec![draft(tenant.as_str(), 0)]);
                appended.await.unwrap();
            }
            let found = self.check_chains(&back).await;
            self.check_acknowledged(&found, writer, shared);
            self.check_persons(&back, &found).await;
            self.check_talks(&back).await;
            self.check_seal(&back).await;
            if self.check_archive(&back, !early).await {
                owners_of_archive += 1;
            }
            self.check_half_restored(&back).await;
            stop(back).await;
        }
        if owners_of_archive != 1 {
            self.outcome.forks += 1;
            let what = format!("{owners_of_archive} ledgers go on writing into one archive");
            self.outcome.wrong.push(what);
        }
        self.outcome
    }

    fn wrong(&mut self, what: impl Into<String>) {
        self.outcome.wrong.push(what.into());
    }

    async fn open(&self, writer: u64) -> Back {
        // Every lease of the dead has ended, whatever their clocks said.
        let now = SystemClock::new().now() + Duration::from_secs(3 * 3600);
        let clock = VirtualClock::new(now);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let tasks = Supervisor::new();
        let vault = self.home.vault();
        std::fs::create_dir_all(self.home.node(writer)).unwrap();
        let store = self.home.store(writer, shared.clone(), &tasks);
        let store = store.await.unwrap();
        let options = Options::default();
        let ledger = Ledger::open(store.clone(), shared.clone(), &tasks, options);
        Back {
            writer,
            store,
            ledger: ledger.await.unwrap(),
            keys: Arc::new(self.home.keys(writer, vault.clone(), shared).await),
            clock,
            vault,
            tasks,
        }
    }

    /// What was acknowledged after the archive had it is there now, before anybody
    /// repairs anything.
    async fn check_remote(&mut self) {
        if !self.plan.remote_ack || self.told.entries.is_empty() {
            return;
        }
        let archive = Archive::open(self.objects(), self.home.vault()).await;
        let target: Arc<dyn Store> = Arc::new(Memory::new());
        let now = SystemClock::new().now() + Duration::from_secs(3 * 3600);
        if let Err(error) = back(Source::Archive(&archive.unwrap()), now, &target).await {
            return self.wrong(format!("the archive of a dead node: {error:?}"));
        }
        let found = chains(&*target).await;
        let missing = self
            .told
            .entries
            .iter()
            .filter(|((_, owner, seq), hash)| {
                found.hashes.get(&(owner.clone(), *seq)) != Some(*hash)
            })
            .count();
        if missing > 0 {
            self.outcome.lost += missing;
            self.wrong(format!(
                "{missing} entries were told as archived and are not"
            ));
        }
    }

    fn objects(&self) -> Objects {
        let folder = LocalFileSystem::new_with_prefix(self.home.objects());
        Objects::new(Arc::new(folder.unwrap()))
    }

    async fn check_chains(&mut self, back: &Back) -> Found {
        if let Err(error) = back.ledger.verify(&|_| {}).await {
            self.wrong(format!("the ledger does not verify: {error:?}"));
        }
        let found = chains(&*back.store).await;
        let shared = self.home.database.is_some();
        for tenant in owners() {
            let mut seen = BTreeSet::new();
            let mut last = None;
            for entry in all(&*back.store, tenant.as_str()).await {
                if Some(entry.time) < last {
                    let seq = entry.seq;
                    self.wrong(format!("time goes back at entry {seq} of {tenant}"));
                }
                last = Some(entry.time);
                let body: serde_json::Value = entry.decode().unwrap();
                if let Some(id) = body["id"].as_str()
                    && !seen.insert(id.to_owned())
                {
                    self.wrong(format!("draft {id} became two entries of {tenant}"));
                }
            }
            let mut lost = 0;
            for (by, owner, id) in &self.told.kept {
                let mine = (shared || *by == back.writer) && owner == tenant.as_str();
                lost += usize::from(mine && !seen.contains(id));
            }
            if lost > 0 {
                self.outcome.lost += lost;
                self.wrong(format!(
                    "{lost} recorded drafts of {tenant} were flushed and are gone"
                ));
            }
        }
        found
    }

    /// `shared`: all writers of the run wrote into this ledger.
    fn check_acknowledged(&mut self, found: &Found, writer: u64, shared: bool) {
        let (mut lost, mut forks) = (0, 0);
        let mut places: BTreeMap<(&String, u64), &String> = BTreeMap::new();
        for ((by, owner, seq), hash) in &self.told.entries {
            if !shared && *by != writer {
                continue;
            }
            if places
                .insert((owner, *seq), hash)
                .is_some_and(|other| other != hash)
            {
                forks += 1;
            }
            if found.hashes.get(&(owner.clone(), *seq)) != Some(hash) {
                lost += 1;
            }
        }
        self.outcome.lost += lost;
        self.outcome.forks += forks;
    }

    /// Persons that are not erased can be read, the others cannot.
    async fn check_persons(&mut self, back: &Back, found: &Found) {
        let eraser = Eraser::new(&back.ledger, &back.keys);
        if let Err(error) = eraser.resume().await {
            return self.wrong(format!("erasures are not finished: {error:?}"));
        }
        let shared = self.home.database.is_some();
        let mine = |by: u64| shared || by == back.writer;
        for entry in &found.booked {
            let body: Booked = entry.decode().unwrap();
            let opened = back
                .keys
                .open(&entry.tenant, &entry.kind, "/guest", &body.guest);
            let subject: SubjectId = entry.subject.parse().unwrap();
            let subject = subject.as_str().to_owned();
            match opened.await {
                Err(error) => self.wrong(format!("{subject} cannot be read: {error:?}")),
                Ok(Opened::Clear(_)) if self.told.erased.contains(&subject) => {
                    self.wrong(format!("{subject} was told as erased and can be read"));
                }
                Ok(Opened::Erased) if !self.told.erasing.contains(&subject) => {
                    self.wrong(format!("{subject} is erased and nobody asked for it"));
                }
                Ok(_) => {}
            }
        }
        let there: BTreeSet<u64> = found.booked.iter().map(|entry| entry.seq).collect();
        let lost = self.told.booked.iter();
        let lost = lost.filter(|(by, seq, _)| mine(*by) && !there.contains(seq));
        self.outcome.lost += lost.count();
    }

    /// Conversations have the state that was acknowledged, or one behind it, until they
    /// were to end.
    async fn check_talks(&mut self, back: &Back) {
        let shared = self.home.database.is_some();
        let clock: Arc<dyn Clock> = Arc::new(back.clock.clone());
        let talks = Conversations::new(back.ledger.clone(), back.keys.clone(), clock, None);
        for ((by, handle), state) in &self.told.talks {
            if !shared && *by != back.writer {
                continue;
            }
            let found = talks.get(&tenant("a"), &handle.parse().unwrap()).await;
            let as_told = match &found {
                Err(TalkError::Missing) => self.told.ending.contains(handle),
                _ if self.told.ended.contains(handle) => false,
                Ok(found) => match &found.state {
                    Opened::Clear(found) => found["round"].as_u64() >= Some(*state),
                    Opened::Erased => self.told.ending.contains(handle),
                },
                Err(_) => false,
            };
            if !as_told {
                let what = format!("a conversation was told as {state} and is {found:?}");
                self.outcome.wrong.push(what);
            }
        }
    }

    async fn check_seal(&mut self, back: &Back) {
        let writer = back.writer;
        let signer = load_signer(&self.home.folder.join(format!("seal-{writer}.key")));
        let node = NodeId::generate(&back.clock);
        let sealed = Sealer::new(back.ledger.clone(), signer.unwrap(), node)
            .seal()
            .await;
        if let Err(error) = sealed {
            self.wrong(format!("the chains cannot be sealed: {error:?}"));
        }
    }

    /// Returns whether the archive goes on and is what the ledger is. A ledger that is
    /// told that the archive is another's may be right.
    async fn check_archive(&mut self, back: &Back, land_late: bool) -> bool {
        let vault = back.vault.clone();
        let archive = Archive::open_or_create(self.objects(), vault, &back.clock).await;
        let archive = archive.unwrap();
        let mut archiver = archiver(back, &archive).await;
        let mut landed = !land_late;
        let mut taken = 0;
        loop {
            match archiver.ship().await {
                Ok(shipped) if shipped.entries == 0 && !shipped.more => break,
                Ok(_) => {}
                // Something of the dead has arrived after all.
                Err(Error::Taken { .. }) if taken < 100 => taken += 1,
                Err(Error::Forked { .. } | Error::Ahead { .. })
                    if self.plan.fault == Fault::Writers && self.home.database.is_none() =>
                {
                    self.outcome.told += 1;
                    return false;
                }
                Err(error) => {
                    self.wrong(format!("the archive does not go on: {error:?}"));
                    return false;
                }
            }
            if !landed {
                land(&self.home.objects(), &self.home.late()).await;
                landed = true;
            }
        }
        for number in 1..3 {
            let appended = back.ledger.append(vec![draft("b", number)]).await;
            appended.unwrap();
            while archiver.ship().await.unwrap().entries > 0 {}
        }
        self.compare(back, &archive).await;
        true
    }

    async fn compare(&mut self, back: &Back, archive: &Archive) {
        if let Err(error) = archive.verify(&|_| {}).await {
            return self.wrong(format!("the archive does not verify: {error:?}"));
        }
        let target: Arc<dyn Store> = Arc::new(Memory::new());
        let restored = self::back(Source::Archive(archive), back.clock.now(), &target).await;
        if let Err(error) = restored {
            return self.wrong(format!("the archive does not come back: {error:?}"));
        }
        let (one, other) = (
            digest(&*back.store, &folds()).await.unwrap(),
            digest(&*target, &folds()).await.unwrap(),
        );
        if one != other {
            self.outcome.forks += 1;
            self.wrong("what the archive brings back is not the ledger");
        }
    }

    /// A restore that was cut off is not taken for a ledger to restore into.
    async fn check_half_restored(&mut self, back: &Back) {
        let folder = self.home.back(back.writer);
        if !is_there(&folder) {
            return;
        }
        let tasks = Supervisor::new();
        let target: Arc<dyn Store> = Arc::new(Sqlite::open(&folder, &tasks).unwrap());
        let empty = target.chains().await.unwrap().is_empty();
        let again = self::back(Source::Store(&*back.store), back.clock.now(), &target).await;
        match again {
            Ok(_) if empty => {}
            Err(RestoreError::NotEmpty) if !empty => {}
            other => self.wrong(format!("a second restore into one folder: {other:?}")),
        }
        target.close().await;
        tasks.stop(Duration::from_secs(10)).await;
    }
}

async fn archiver(back: &Back, archive: &Archive) -> Archiver {
    let clock: Arc<dyn Clock> = Arc::new(back.clock.clone());
    let node = NodeId::generate(&back.clock);
    let (ledger, options) = (back.ledger.clone(), ArchiveOptions::default());
    let archiver = Archiver::new(ledger, archive.clone(), clock, node, options);
    archiver.await.unwrap()
}

async fn back(
    source: Source<'_>,
    now: airside_base::Timestamp,
    target: &Arc<dyn Store>,
) -> Result<Restored, RestoreError> {
    let request = Request {
        until: Until::Latest,
        tenant: None,
        now,
    };
    let clock = Arc::new(VirtualClock::new(now));
    restore(source, &request, target, &folds(), clock, &|_| {}).await
}

async fn stop(back: Back) {
    let Back { tasks, ledger, .. } = back;
    drop(ledger);
    let left = tasks.stop(Duration::from_secs(20)).await;
    assert_eq!(left, 0, "everything ends");
}

async fn all(store: &dyn Store, owner: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    loop {
        let after = found.last().map_or(0, |entry: &Entry| entry.seq);
        let query = Query::new(tenant(owner)).after(after);
        let entries = store.read(query).await.unwrap();
        if entries.is_empty() {
            return found;
        }
        found.extend(entries);
    }
}

async fn chains(store: &dyn Store) -> Found {
    let (mut hashes, mut booked) = (HashMap::new(), Vec::new());
    for tenant in owners() {
        for entry in all(store, tenant.as_str()).await {
            let place = (tenant.as_str().to_owned(), entry.seq);
            hashes.insert(place, entry.hash.to_string());
            if entry.kind == BOOKED {
                booked.push(entry);
            }
        }
    }
    Found { hashes, booked }
}
