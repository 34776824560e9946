//! The process that is killed: a node that does everything that has to survive, and
//! prints what it was promised.
#![expect(
    clippy::print_stdout,
    reason = "a child tells its parent by its output"
)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_archive::{
    Archive, Archiver, Objects, Options as ArchiveOptions, Schedule, Upkeep,
    drill::Driller,
    restore::{Request, Source, Until, restore},
};
use airside_base::{Clock, NodeId, OnFailure, Redacted, Supervisor, TenantId};
use airside_ledger::{
    AppendError, Draft, Kind, Ledger, Options, Receipt, Store, StoreError, Table,
    conversation::{Conversations, MAX_LIFETIME, Opening},
    erasure::Eraser,
    failpoint,
    keys::{KeyStore, Keys, postgres::PostgresKeys, sqlite::SqliteKeys},
    personal::{Personal, Purpose, SubjectId},
    seal::{Sealer, load_signer},
    stores::{postgres::Postgres, sqlite::Sqlite},
    vault::{Vault, file::FileVault},
};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    plan::{Dice, End, Fault, Plan},
    weather::{Shaky, Stepping, Storage},
};
use crate::harness::{Holds, changed, folds, released, tenant};

/// Rounds of a node that nobody kills.
const ROUNDS: u64 = 8;
/// Batches of one caller and changes of documents, at most.
const BATCHES: u64 = 100;
/// How long an archive may take to be merged, or to grow until something of it is deleted.
const GROWTH: Duration = Duration::from_secs(20);
/// The archive is tended to whenever there is something new in it.
const OFTEN: Schedule = Schedule {
    manifests: 2,
    entries: 1,
    age: Duration::ZERO,
    keep: Duration::ZERO,
};
/// How long an append waits for the archive, if it does, and how long tending to the
/// archive may take.
const ACK_LIMIT: Duration = Duration::from_millis(300);
/// How often a database is tried that does not answer in time.
const ATTEMPTS: usize = 5;
/// Longest life of a node: one that hangs is a failure of its own.
const LIFE: Duration = Duration::from_secs(60);
/// How long a node that stops waits for what is under way.
const GRACE: Duration = Duration::from_secs(1);

pub(crate) const OWNERS: [&str; 3] = ["a", "b", "c"];
pub(crate) const BOOKED: Kind = Kind::new("stay.booked");
const HAPPENED: Kind = Kind::new("test.happened");
const SERVICE: Purpose = Purpose::Service;

/// Where the files of a run are.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) folder: PathBuf,
    /// The database, for the role of a node.
    pub(crate) database: Option<String>,
}

impl Home {
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    pub(crate) fn late(&self) -> PathBuf {
        self.folder.join("late")
    }

    /// The folder of one writer; on SQLite its ledger is there.
    pub(crate) fn node(&self, writer: u64) -> PathBuf {
        self.folder.join(format!("node-{writer}"))
    }

    /// A ledger restored by a writer.
    pub(crate) fn back(&self, writer: u64) -> PathBuf {
        self.folder.join(format!("back-{writer}"))
    }

    pub(crate) fn vault(&self) -> Arc<dyn Vault> {
        let file = self.folder.join("archive.key");
        Arc::new(FileVault::load_or_create(&file).expect("a vault"))
    }

    /// The keys of persons. Nodes of one database share them.
    pub(crate) async fn keys(
        &self,
        writer: u64,
        vault: Arc<dyn Vault>,
        clock: Arc<dyn Clock>,
    ) -> Keys {
        let store: Arc<dyn KeyStore> = match &self.database {
            Some(url) => {
                let url = Redacted::new(url.clone());
                // A machine that is stopped for a while has run out of time once.
                let mut store = PostgresKeys::open(&url).await;
                for _ in 1..ATTEMPTS {
                    if store.is_ok() {
                        break;
                    }
                    store = PostgresKeys::open(&url).await;
                }
                Arc::new(store.expect("a key store"))
            }
            None => {
                let store = SqliteKeys::open(&self.node(writer).join("keys.db"));
                Arc::new(store.expect("a key store"))
            }
        };
        Keys::new(store, vault, clock)
    }

    /// Opens the ledger of one writer; an error is that of its store.
    pub(crate) async fn store(
        &self,
        writer: u64,
        clock: Arc<dyn Clock>,
        supervisor: &Supervisor,
    ) -> Result<Arc<dyn Store>, String> {
        match &self.database {
            Some(url) => {
                let url = Redacted::new(url.clone());
                let store = Postgres::open(&url, clock, supervisor).await;
                Ok(Arc::new(store.map_err(|error| format!("{error:?}"))?))
            }
            None => {
                let store = Sqlite::open(&self.node(writer), supervisor);
                Ok(Arc::new(store.map_err(|error| format!("{error:?}"))?))
            }
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Booked {
    pub(crate) guest: Personal<String>,
}

/// Makes this process kill itself where its plan says.
fn arm(plan: Plan, writer: u64) {
    let End::At { point, hit } = plan.end else {
        return;
    };
    // Of two writers the second one lives a little longer.
    let hit = hit + writer;
    let passed = AtomicU64::new(0);
    let hook = move |reached| {
        if reached == point && passed.fetch_add(1, Ordering::SeqCst) + 1 == hit {
            // Nothing after it happens: the signal cannot be handled.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    };
    failpoint::install(hook).expect("the only one");
}

/// Lives as `plan` says, until it is killed or has done all its rounds.
pub(crate) fn live(plan: Plan, writer: u64, home: Home) {
    arm(plan, writer);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let life = Node::run(plan, writer, home);
        let lived = tokio::time::timeout(LIFE, life).await;
        lived.expect("a node that is not killed comes to its end");
    });
    println!("end");
}

#[derive(Clone)]
struct Node {
    plan: Plan,
    writer: u64,
    home: Home,
    /// What the callers use: appends may wait for the archive.
    ledger: Ledger,
    clock: Arc<Stepping>,
    keys: Arc<Keys>,
    stop: Arc<AtomicBool>,
}

impl Node {
    async fn run(plan: Plan, writer: u64, home: Home) {
        let mut dice = plan.dice(writer);
        let clock = Arc::new(Stepping::new());
        let shared: Arc<dyn Clock> = clock.clone();
        let vault = home.vault();
        std::fs::create_dir_all(home.node(writer)).expect("a folder");
        let (writing, shipping, working) =
            (Supervisor::new(), Supervisor::new(), Supervisor::new());
        let store = match home.store(writer, shared.clone(), &writing).await {
            Ok(store) => store,
            Err(error) => return give_up(plan, &error),
        };
        let shaky = Shaky::new(store, plan.fault, Dice::new(dice.roll()), shipping.clone());
        let opened = Ledger::open(
            Arc::new(shaky),
            shared.clone(),
            &writing,
            Options::default(),
        );
        let ledger = opened.await.expect("a ledger");
        let storage = Storage::new(
            &home.objects(),
            &home.late(),
            plan.fault,
            Dice::new(dice.roll()),
        );
        let objects = Objects::new(Arc::new(storage));
        let Some(archive) = open_archive(&objects, &vault, &*shared).await else {
            return give_up(plan, "no archive");
        };
        let node = NodeId::generate(&*shared);
        let mut options = ArchiveOptions {
            flush: Duration::from_millis(2),
            ..ArchiveOptions::default()
        };
        if plan.is_swept() {
            // Whole blocks of manifests are deleted: there have to be many.
            options.heartbeat = Duration::ZERO;
        }
        let archiver = Archiver::new(
            ledger.clone(),
            archive.clone(),
            shared.clone(),
            node,
            options,
        );
        let archiver = archiver.await.expect("a data key");
        let acknowledged = if plan.remote_ack {
            let reached = archiver.watch().reached();
            ledger.clone().with_remote_ack(reached, ACK_LIMIT)
        } else {
            ledger.clone()
        };
        let folder = home.node(writer).join("upkeep");
        let upkeep = Upkeep::new(&archiver, Arc::new(folds()), folder, OFTEN).await;
        archiver.start(&shipping);
        let this = Self {
            plan,
            writer,
            ledger: acknowledged,
            keys: Arc::new(home.keys(writer, vault, shared.clone()).await),
            home,
            clock,
            stop: Arc::default(),
        };
        for caller in 0..plan.callers {
            let (node, dice) = (this.clone(), Dice::new(dice.roll()));
            working.spawn("caller", OnFailure::Stop, node.call(caller, dice));
        }
        let (node, dice) = (this.clone(), Dice::new(dice.roll()));
        working.spawn("holds", OnFailure::Stop, node.hold(dice));
        let upkeep = upkeep.expect("a data key");
        this.chores(&ledger, &archive, upkeep, &working).await;
        this.stop.store(true, Ordering::SeqCst);
        assert_eq!(working.stop(LIFE).await, 0, "callers come to their ends");
        assert!(!working.has_failed(), "no caller has panicked");
        shipping.stop(GRACE).await;
        writing.stop(GRACE * 10).await;
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Appends one batch after another and prints what is acknowledged.
    async fn call(self, caller: u64, mut dice: Dice) {
        let weight = if self.plan.fault == Fault::Full {
            3000
        } else {
            40
        };
        let (mut number, mut batches) = (0, 0);
        while !self.is_stopping() && batches < BATCHES {
            batches += 1;
            let owner = OWNERS[usize::try_from(dice.below(3)).expect("small")];
            let drafts = (0..1 + dice.below(3)).map(|_| {
                number += 1;
                let id = format!("{}-{caller}-{number}", self.writer);
                let body = json!({ "id": id, "pad": "x".repeat(weight) });
                Draft::new(tenant(owner), HAPPENED, 1, "", &body).expect("a draft")
            });
            let drafts: Vec<Draft> = drafts.collect();
            if dice.percent(15) {
                self.record(drafts).await;
                continue;
            }
            let appended = self.ledger.append(drafts).await;
            if !self.tell(owner, &appended) {
                return;
            }
        }
    }

    /// Records drafts that nobody waits for, and prints what is durable by a flush.
    async fn record(&self, drafts: Vec<Draft>) {
        let mut taken = Vec::new();
        for draft in drafts {
            let body: serde_json::Value = serde_json::from_slice(draft.body()).expect("JSON");
            let line = format!("kept {} {} {}", self.writer, draft.tenant(), body["id"]);
            if self.ledger.record(draft).is_ok() {
                taken.push(line.replace('"', ""));
            }
        }
        if self.ledger.flush().await.is_ok() {
            taken.iter().for_each(|line| println!("{line}"));
        }
    }

    /// Prints what was acknowledged; tells whether to go on.
    fn tell(&self, owner: &str, appended: &Result<Receipt, AppendError>) -> bool {
        match appended {
            Ok(receipt) => {
                for head in &receipt.entries {
                    println!("ack {} {owner} {} {}", self.writer, head.seq, head.hash);
                }
                true
            }
            Err(AppendError::Closed | AppendError::Interrupted) => false,
            Err(AppendError::Store(StoreError::Full(_))) if self.plan.fault != Fault::Full => {
                panic!("nothing is full in this run")
            }
            Err(_) => true,
        }
    }

    /// Changes documents and prints what is acknowledged.
    async fn hold(self, mut dice: Dice) {
        let table = Table::<Holds>::new(self.ledger.clone());
        let mut changes = 0;
        while !self.is_stopping() && changes < BATCHES {
            changes += 1;
            let key = ["h1", "h2", "h3"][usize::try_from(dice.below(3)).expect("small")];
            let Ok(prior) = table.find(&tenant("a"), key).await else {
                tokio::task::yield_now().await;
                continue;
            };
            let draft = if prior.is_some() && dice.percent(20) {
                released(key)
            } else {
                changed(key, "Sea", 1)
            };
            if let Ok(receipt) = table.append(prior, vec![draft]).await {
                self.tell("a", &Ok(receipt));
            }
        }
    }

    /// What a node does besides: seals, bookings, erasures, restores, drills.
    async fn chores(
        &self,
        ledger: &Ledger,
        archive: &Archive,
        mut upkeep: Upkeep,
        working: &Supervisor,
    ) {
        let file = self.home.folder.join(format!("seal-{}.key", self.writer));
        let signer = load_signer(&file).expect("a key");
        let node = NodeId::generate(&*self.clock);
        let sealer = Sealer::new(ledger.clone(), signer, node);
        let driller = Driller::new(
            ledger.clone(),
            archive.clone(),
            folds(),
            self.home.node(self.writer).join("drill"),
            self.clock.clone(),
            node,
        );
        let mut dice = self.plan.dice(self.writer + 100);
        if self.plan.is_swept() {
            self.grow(&mut upkeep).await;
        }
        for round in 0..ROUNDS {
            if working.has_failed() {
                return;
            }
            if self.plan.fault == Fault::Clock {
                self.clock
                    .step(i64::try_from(dice.below(3)).expect("small") - 1);
            }
            // Faults of the run show here; what they must not do is for the judge.
            let _ = sealer.seal().await;
            if let Some(subject) = self.book(round).await
                && dice.percent(60)
            {
                self.erase(ledger, &subject).await;
            }
            self.talk(round, dice.percent(60)).await;
            // Only a storage that says nothing is not waited for.
            let limit = match self.plan.fault {
                Fault::Nothing => GROWTH,
                _ => ACK_LIMIT,
            };
            let _ = tokio::time::timeout(limit, upkeep.run()).await;
            if round % 3 == 0 {
                self.restore(archive).await;
            }
            if round % 4 == 1 {
                driller.run().await;
            }
        }
    }

    /// Tends to the archive until a block of it has been deleted, if it grows in time.
    async fn grow(&self, upkeep: &mut Upkeep) {
        let begin = self.clock.monotonic();
        while self.clock.monotonic() - begin < GROWTH {
            match tokio::time::timeout(GROWTH, upkeep.run()).await {
                Ok(Ok(Some(done))) if done.swept.is_some() => return,
                _ => self.clock.sleep(Duration::from_millis(2)).await,
            }
        }
    }

    async fn book(&self, round: u64) -> Option<SubjectId> {
        let subject: SubjectId = format!("subject-{}-{round}", self.writer)
            .parse()
            .expect("an id");
        let guest = Personal::new(subject.clone(), SERVICE, format!("guest {round}"));
        let drafted = self
            .keys
            .draft(&tenant("a"), BOOKED, 1, subject.as_str(), &Booked { guest })
            .await;
        let receipt = self.ledger.append(vec![drafted.ok()?]).await;
        self.tell("a", &receipt);
        let seq = receipt.ok()?.entries[0].seq;
        println!("booked {} {seq} {}", self.writer, subject.as_str());
        Some(subject)
    }

    async fn erase(&self, ledger: &Ledger, subject: &SubjectId) {
        println!("erasing {} {}", self.writer, subject.as_str());
        let purposes = BTreeSet::from([SERVICE]);
        let eraser = Eraser::new(ledger, &self.keys);
        let erased = eraser.erase(&tenant("a"), subject, &purposes).await;
        if erased.is_ok() {
            println!("erased {} {}", self.writer, subject.as_str());
        }
    }

    /// Holds a conversation, and ends it if that is wished.
    async fn talk(&self, round: u64, end: bool) {
        let writer = self.writer;
        let clock: Arc<dyn Clock> = self.clock.clone();
        let talks = Conversations::new(self.ledger.clone(), self.keys.clone(), clock, None);
        let state = |round: u64| {
            let mut state = serde_json::Map::new();
            state.insert("round".to_owned(), round.into());
            state
        };
        let opening = Opening {
            subject: None,
            lifetime: Some(MAX_LIFETIME),
        };
        let a = tenant("a");
        let created = talks.create(&a, opening, state(0)).await;
        let Ok((handle, conversation)) = created else {
            return;
        };
        println!("talk {writer} {} 0", handle.expose());
        let version = conversation.version;
        let patched = talks.patch(&a, &handle, version, state(round)).await;
        if patched.is_ok() {
            println!("talk {writer} {} {round}", handle.expose());
        }
        if end {
            println!("ending {}", handle.expose());
            if talks.end(&a, &handle).await.is_ok() {
                println!("ended {}", handle.expose());
            }
        }
    }

    /// Brings the archive back into a folder of its own, which it then removes.
    async fn restore(&self, archive: &Archive) {
        let folder = self.home.back(self.writer);
        let tasks = Supervisor::new();
        let Ok(target) = Sqlite::open(&folder, &tasks) else {
            return;
        };
        let target: Arc<dyn Store> = Arc::new(target);
        let request = Request {
            until: Until::Latest,
            tenant: None,
            now: self.clock.now(),
        };
        let source = Source::Archive(archive);
        let clock = self.clock.clone();
        let _ = restore(source, &request, &target, &folds(), clock, &|_| {}).await;
        target.close().await;
        drop(target);
        tasks.stop(GRACE).await;
        std::fs::remove_dir_all(&folder).expect("remove");
    }
}

/// Ends before anything was promised, where the plan explains why.
fn give_up(plan: Plan, error: &str) {
    let explained = matches!(plan.fault, Fault::Full | Fault::Errors | Fault::Silence);
    assert!(explained || plan.fault == Fault::Late, "{error}");
}

/// Storages that misbehave do so from the start.
async fn open_archive(
    objects: &Objects,
    vault: &Arc<dyn Vault>,
    clock: &dyn Clock,
) -> Option<Archive> {
    for _ in 0..5 {
        let opened = Archive::open_or_create(objects.clone(), vault.clone(), clock);
        let opened = tokio::time::timeout(GRACE, opened).await;
        if let Ok(Ok(archive)) = opened {
            return Some(archive);
        }
    }
    None
}

/// Returns the tenants of a run.
pub(crate) fn owners() -> Vec<TenantId> {
    OWNERS.map(tenant).to_vec()
}

/// Returns whether `folder` is there.
pub(crate) fn is_there(folder: &Path) -> bool {
    folder.try_exists().expect("a path")
}
