//! What surrounds a run: a storage, a store and a clock that misbehave.

use std::{
    fmt, fs,
    path::{Path as File, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_base::{BoxFuture, Clock, OnFailure, Supervisor, SystemClock, TenantId, Timestamp};
use airside_ledger::{
    Entry, Hash, Query, Store, StoreError,
    store::{Claim, Claimed, Commit, Fence, Row, Scan, Tile, Tip},
};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    local::LocalFileSystem, path::Path,
};
use tokio::sync::watch;

use super::plan::{Dice, Fault};

/// The system's clock, moved by whole hours.
#[derive(Debug)]
pub(crate) struct Stepping {
    clock: SystemClock,
    offset_us: AtomicI64,
}

impl Stepping {
    pub(crate) fn new() -> Self {
        Self {
            clock: SystemClock::new(),
            offset_us: AtomicI64::new(0),
        }
    }

    pub(crate) fn step(&self, hours: i64) {
        let offset = hours * 3_600_000_000;
        self.offset_us.store(offset, Ordering::SeqCst);
    }
}

impl Clock for Stepping {
    fn now(&self) -> Timestamp {
        let now = self.clock.now().as_microsecond();
        let offset = self.offset_us.load(Ordering::SeqCst);
        Timestamp::from_microsecond(now + offset).expect("in range")
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }
}

/// A folder as a storage that misbehaves as one [`Fault`] says.
#[derive(Debug)]
pub(crate) struct Storage {
    objects: Arc<LocalFileSystem>,
    fault: Fault,
    dice: Mutex<Dice>,
    /// Writes that are still under way when the process ends.
    late: PathBuf,
    number: AtomicU64,
}

impl Storage {
    pub(crate) fn new(folder: &File, late: &File, fault: Fault, dice: Dice) -> Self {
        let objects = LocalFileSystem::new_with_prefix(folder).expect("a folder");
        Self {
            objects: Arc::new(objects),
            fault,
            dice: Mutex::new(dice),
            late: late.to_owned(),
            number: AtomicU64::new(0),
        }
    }

    fn percent(&self, chance: u64) -> bool {
        self.dice.lock().expect("no panic").percent(chance)
    }

    /// Keeps a write that nobody waits for any more, for [`land`].
    fn keep(&self, location: &Path, payload: &PutPayload) {
        let number = self.number.fetch_add(1, Ordering::SeqCst);
        let name = format!("{}-{number}", std::process::id());
        let mut bytes = location.as_ref().as_bytes().to_vec();
        bytes.push(b'\n');
        payload
            .iter()
            .for_each(|part| bytes.extend_from_slice(part));
        let fresh = self.late.join(format!("{name}.new"));
        fs::write(&fresh, bytes).expect("write");
        fs::rename(&fresh, self.late.join(format!("{name}.put"))).expect("rename");
    }
}

/// Lets the writes happen that were under way when a process ended.
pub(crate) async fn land(folder: &File, late: &File) -> usize {
    let objects = LocalFileSystem::new_with_prefix(folder).expect("a folder");
    let mut landed = 0;
    for file in fs::read_dir(late).expect("a folder") {
        let file = file.expect("a file").path();
        if file.extension().is_none_or(|kind| kind != "put") {
            continue;
        }
        let bytes = fs::read(&file).expect("read");
        let end = bytes.iter().position(|b| *b == b'\n').expect("a line");
        let location = Path::from(std::str::from_utf8(&bytes[..end]).expect("a path"));
        let options = PutOptions::from(PutMode::Create);
        let payload = bytes[end + 1..].to_vec().into();
        // That it is there already is an answer too.
        landed += usize::from(objects.put_opts(&location, payload, options).await.is_ok());
        fs::remove_file(&file).expect("remove");
    }
    landed
}

fn broken() -> object_store::Error {
    object_store::Error::Generic {
        store: "test",
        source: "connection reset".into(),
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a storage that misbehaves")
    }
}

#[async_trait]
impl ObjectStore for Storage {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = |payload| self.objects.put_opts(location, payload, options.clone());
        match self.fault {
            Fault::Errors if self.percent(20) => Err(broken()),
            Fault::Errors if self.percent(20) => {
                put(payload).await?;
                Err(broken())
            }
            Fault::Silence if self.percent(4) => {
                if self.percent(50) {
                    put(payload).await?;
                }
                std::future::pending().await
            }
            Fault::Twice => {
                put(payload.clone()).await?;
                put(payload).await
            }
            Fault::Late if self.percent(20) => {
                self.keep(location, &payload);
                Err(broken())
            }
            _ => put(payload).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.fault == Fault::Errors && self.percent(5) {
            return Err(broken());
        }
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

/// A store whose answers cannot be relied on.
#[derive(Debug)]
pub(crate) struct Shaky {
    store: Arc<dyn Store>,
    fault: Fault,
    dice: Mutex<Dice>,
    /// The disk has failed for good, or is full.
    broken: AtomicBool,
    /// Whether the store is full by its own word, because no file system can be.
    says_full: bool,
    supervisor: Supervisor,
}

impl Shaky {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        fault: Fault,
        dice: Dice,
        supervisor: Supervisor,
    ) -> Self {
        Self {
            store,
            fault,
            dice: Mutex::new(dice),
            broken: AtomicBool::new(false),
            says_full: std::env::var_os("AIRSIDE_CRASH_SAY_FULL").is_some(),
            supervisor,
        }
    }

    fn percent(&self, chance: u64) -> bool {
        self.dice.lock().expect("no panic").percent(chance)
    }
}

fn lost<T>(kind: std::io::ErrorKind) -> std::result::Result<T, StoreError> {
    Err(StoreError::Failed {
        doing: "hear from the store",
        source: Arc::new(std::io::Error::from(kind)),
    })
}

impl Store for Shaky {
    fn commit(&self, commit: Arc<Commit>) -> BoxFuture<'_, std::result::Result<(), StoreError>> {
        Box::pin(async move {
            let reset = std::io::ErrorKind::ConnectionReset;
            match self.fault {
                Fault::Answers if self.percent(8) => lost(reset),
                Fault::Answers if self.percent(12) => {
                    self.store.commit(commit).await?;
                    lost(reset)
                }
                Fault::Stragglers if self.percent(10) => {
                    let (store, wait) = (self.store.clone(), self.percent(50));
                    self.supervisor
                        .spawn("straggler", OnFailure::Log, async move {
                            if wait {
                                SystemClock::new().sleep(Duration::from_millis(2)).await;
                            }
                            let _ = store.commit(commit).await;
                        });
                    lost(reset)
                }
                Fault::Full if self.says_full => {
                    if self.percent(2) {
                        self.broken.store(true, Ordering::SeqCst);
                    }
                    if !self.broken.load(Ordering::SeqCst) {
                        return self.store.commit(commit).await;
                    }
                    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                    Err(StoreError::Full(Arc::new(full)))
                }
                Fault::Sync => {
                    if !self.broken.load(Ordering::SeqCst) {
                        if !self.percent(1) {
                            return self.store.commit(commit).await;
                        }
                        self.broken.store(true, Ordering::SeqCst);
                        // What a failed sync leaves behind is anybody's guess.
                        if self.percent(50) {
                            self.store.commit(commit).await?;
                        }
                    }
                    lost(std::io::ErrorKind::Other)
                }
                _ => self.store.commit(commit).await,
            }
        })
    }

    fn tip(&self, tenant: TenantId) -> BoxFuture<'_, std::result::Result<Tip, StoreError>> {
        self.store.tip(tenant)
    }

    fn chains(&self) -> BoxFuture<'_, std::result::Result<Vec<(TenantId, Tip)>, StoreError>> {
        self.store.chains()
    }

    fn read(&self, query: Query) -> BoxFuture<'_, std::result::Result<Vec<Entry>, StoreError>> {
        let unanswered = matches!(self.fault, Fault::Answers | Fault::Stragglers);
        if unanswered && self.percent(3) {
            let failed = lost(std::io::ErrorKind::ConnectionReset);
            return Box::pin(std::future::ready(failed));
        }
        self.store.read(query)
    }

    fn hashes(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, std::result::Result<Vec<Hash>, StoreError>> {
        self.store.hashes(tenant, after, limit)
    }

    fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        number: u64,
    ) -> BoxFuture<'_, std::result::Result<Option<Vec<Hash>>, StoreError>> {
        self.store.tile(tenant, level, number)
    }

    fn put_tiles(
        &self,
        tenant: TenantId,
        tiles: Vec<Tile>,
    ) -> BoxFuture<'_, std::result::Result<(), StoreError>> {
        self.store.put_tiles(tenant, tiles)
    }

    fn find(
        &self,
        table: &'static str,
        tenant: TenantId,
        key: Arc<str>,
    ) -> BoxFuture<'_, std::result::Result<Option<Row>, StoreError>> {
        self.store.find(table, tenant, key)
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, std::result::Result<Vec<Row>, StoreError>> {
        self.store.scan(scan)
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, std::result::Result<Claimed, StoreError>> {
        self.store.claim(claim)
    }

    fn release(&self, fence: Fence) -> BoxFuture<'_, std::result::Result<(), StoreError>> {
        self.store.release(fence)
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.store.commits()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}
