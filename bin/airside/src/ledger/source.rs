//! Where a command reads the ledger: from the running node, or from its files.

use std::{path::Path, sync::Arc, time::Duration};

use airside_api::{Client, client, wire};
use airside_archive::restore::check_finished;
use airside_base::{Fault, Kind, Supervisor, SystemClock, TenantId, WithCauses};
use airside_ledger::{
    Ledger, OpenError, Options, Progress, Query, Store, StoreError,
    keys::postgres::PostgresKeys,
    proof::{self, Proof},
    stores::{
        memory::Memory,
        postgres::Postgres,
        sqlite::{self, Sqlite},
    },
};

use crate::{
    cli,
    failure::{Exit, Failure},
    node::folder,
    target,
    text::printable,
};

/// Longest wait for the ledger's own tasks to end.
const CLOSE: Duration = Duration::from_secs(5);

/// An open ledger.
pub(crate) enum Source {
    /// Behind the control API of a node.
    Node(Client),
    /// Opened here, since no node runs.
    Files(Box<Files>),
}

pub(crate) struct Files {
    ledger: Ledger,
    supervisor: Supervisor,
}

impl Source {
    /// Opens what `args` name.
    pub(crate) async fn open(args: &cli::NodeArgs) -> Result<Self, Failure> {
        let key = target::read_key(args.key_file.as_deref())?;
        let client = target::control(args, key, &Supervisor::new());
        match client.status().await {
            Ok(_) => Ok(Self::Node(client)),
            Err(client::Error::NotRunning { .. })
                if args.control.is_none() && args.data_dir.join(folder::LEDGER).exists() =>
            {
                open_files(&args.data_dir).await
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn head(&self, tenant: &TenantId) -> Result<wire::Head, Failure> {
        match self {
            Self::Node(client) => Ok(client.head(tenant).await?),
            Self::Files(files) => {
                let head = files.ledger.head(tenant).await;
                let head = head.map_err(|error| unreadable(Exit::Failed, &error.fault()))?;
                Ok(wire::Head {
                    tenant: tenant.to_string(),
                    seq: head.seq,
                    hash: head.hash.to_string(),
                })
            }
        }
    }

    /// Returns some entries after position `after`; none only at the end.
    pub(crate) async fn entries(
        &self,
        tenant: &TenantId,
        after: u64,
    ) -> Result<Vec<wire::Entry>, Failure> {
        match self {
            Self::Node(client) => Ok(client.entries(tenant, after, PAGE).await?),
            Self::Files(files) => {
                let query = Query::new(tenant.clone()).after(after).limit(PAGE);
                let read = files.ledger.read(query).await;
                let read = read.map_err(|error| unreadable(Exit::Failed, &error.fault()))?;
                Ok(read.into_iter().map(wire::Entry::from).collect())
            }
        }
    }

    /// Returns the entries about one subject, at most a page of them.
    pub(crate) async fn about(
        &self,
        tenant: &TenantId,
        subject: &str,
    ) -> Result<Vec<wire::Entry>, Failure> {
        match self {
            Self::Node(client) => Ok(client.about(tenant, subject).await?),
            Self::Files(files) => {
                let query = Query::new(tenant.clone()).subject(subject).limit(PAGE);
                let read = files.ledger.read(query).await;
                let read = read.map_err(|error| unreadable(Exit::Failed, &error.fault()))?;
                Ok(read.into_iter().map(wire::Entry::from).collect())
            }
        }
    }

    /// Returns some entries of `kind`, and of kinds below it, after position `after`; none
    /// only at the end.
    pub(crate) async fn of_kind(
        &self,
        tenant: &TenantId,
        kind: &'static str,
        after: u64,
    ) -> Result<Vec<wire::Entry>, Failure> {
        match self {
            Self::Node(client) => Ok(client.of_kind(tenant, kind, after).await?),
            Self::Files(files) => {
                let query = Query::new(tenant.clone()).kind(kind).after(after);
                let read = files.ledger.read(query.limit(PAGE)).await;
                let read = read.map_err(|error| unreadable(Exit::Failed, &error.fault()))?;
                Ok(read.into_iter().map(wire::Entry::from).collect())
            }
        }
    }

    /// Checks every entry; the last word is the result.
    pub(crate) async fn verify(
        &self,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<wire::Verify, Failure> {
        match self {
            Self::Node(client) => {
                let mut lines = client.verify().await?;
                let mut last = wire::Verify::Progress { done: 0, total: 0 };
                while let Some(event) = lines.next().await? {
                    if let wire::Verify::Progress { done, total } = event {
                        progress(done, total);
                    }
                    last = event;
                }
                Ok(last)
            }
            Self::Files(files) => {
                let report = |step: Progress| progress(step.done, step.total);
                Ok(wire::Verify::from(files.ledger.verify(&report).await))
            }
        }
    }

    /// Proves entry `seq` of the chain of `tenant`.
    pub(crate) async fn prove(
        &self,
        tenant: &TenantId,
        seq: u64,
        since: Option<u64>,
    ) -> Result<Proof, Failure> {
        match self {
            Self::Node(client) => Ok(client.prove(tenant, seq, since).await?),
            Self::Files(files) => {
                let proved = proof::prove(&files.ledger, tenant, seq, since).await;
                proved.map_err(|error| unreadable(Exit::Failed, &error.fault()))
            }
        }
    }

    /// Lets go of the files.
    pub(crate) async fn close(self) {
        if let Self::Files(files) = self {
            let Files { ledger, supervisor } = *files;
            drop(ledger);
            supervisor.stop(CLOSE).await;
        }
    }
}

/// Entries asked for at once.
const PAGE: usize = airside_api::MAX_PAGE;

async fn open_files(folder: &Path) -> Result<Source, Failure> {
    let supervisor = Supervisor::new();
    let store = Sqlite::inspect(folder).map_err(|error| refused(folder, &error))?;
    let ledger = open(Arc::new(store), &supervisor).await?;
    Ok(Source::Files(Box::new(Files { ledger, supervisor })))
}

/// Opens the ledger for reading, beside a node that may use it.
pub(crate) async fn inspect(
    folder: &Path,
    url_file: Option<&Path>,
    supervisor: &Supervisor,
) -> Result<Arc<dyn Store>, Failure> {
    let Some(file) = url_file else {
        let opened = Sqlite::inspect(folder);
        return Ok(Arc::new(opened.map_err(|error| refused(folder, &error))?));
    };
    postgres(file, supervisor).await
}

/// As [`inspect`], but a ledger that was lost is one without entries.
pub(crate) async fn inspect_or_none(
    (folder, url_file): (&Path, Option<&Path>),
    supervisor: &Supervisor,
) -> Result<Arc<dyn Store>, Failure> {
    if url_file.is_none() && !folder.join(folder::LEDGER).exists() {
        return Ok(Arc::new(Memory::new()));
    }
    inspect(folder, url_file, supervisor).await
}

/// Opens the database that `url_file` names.
pub(crate) async fn postgres(
    url_file: &Path,
    supervisor: &Supervisor,
) -> Result<Arc<dyn Store>, Failure> {
    let url = target::read_url(url_file)?;
    let clock = Arc::new(SystemClock::new());
    let opened = Postgres::open(&url, clock, supervisor).await;
    let opened = opened.map_err(|error| database(url_file, &error.fault()))?;
    Ok(Arc::new(opened))
}

/// Opens the ledger for a node: the database that `url_file` names, or the one in
/// `folder`, which the node has for itself from now on.
pub(crate) async fn own(
    folder: &Path,
    url_file: Option<&Path>,
    supervisor: &Supervisor,
) -> Result<Ledger, Failure> {
    let store: Arc<dyn Store> = match url_file {
        None => {
            let opened = Sqlite::open(folder, supervisor);
            Arc::new(opened.map_err(|error| refused(folder, &error))?)
        }
        Some(file) => postgres(file, supervisor).await?,
    };
    let finished = check_finished(&*store, &SystemClock::new()).await;
    finished.map_err(|error| crate::restore::failed(&error))?;
    open(store, supervisor).await
}

/// Makes the tables of a PostgreSQL ledger and of the keys.
pub(crate) async fn initialize(args: &cli::Init) -> Result<(), Failure> {
    let url = target::read_url(&args.url_file)?;
    if !args.only_keys {
        let made = Postgres::initialize(&url, &args.role).await;
        made.map_err(|error| database(&args.url_file, &error.fault()))?;
    }
    let made = PostgresKeys::initialize(&url, &args.role).await;
    made.map_err(|error| database(&args.url_file, &error.fault()))
}

/// Opens the ledger in `store`.
pub(crate) async fn open(
    store: Arc<dyn Store>,
    supervisor: &Supervisor,
) -> Result<Ledger, Failure> {
    let clock = Arc::new(SystemClock::new());
    let opened = Ledger::open(store, clock, supervisor, Options::default()).await;
    opened.map_err(|error| {
        let exit = match &error {
            OpenError::Store(StoreError::Corrupt { .. }) => Exit::Broken,
            OpenError::Store(_) => Exit::Failed,
        };
        unreadable(exit, &error.fault())
    })
}

pub(crate) fn refused(folder: &Path, error: &sqlite::OpenError) -> Failure {
    if !matches!(error, sqlite::OpenError::Locked { .. }) {
        let (at, cause) = (printable(&folder.display().to_string()), WithCauses(error));
        let failure = Failure::new(Exit::Failed, error.fault());
        return failure.with_detail(format!("data folder: {at}\ncause: {cause}"));
    }
    let fault = Fault::new(
        Kind::Conflict,
        "CLI-005",
        format!(
            "another process works in the data folder {}",
            folder.display()
        ),
    );
    let hint = "see `airside status`; stop that node, or name another folder with --data-dir";
    Failure::new(Exit::InUse, fault.with_hint(hint))
}

/// What the ledger says about itself; its operator is the one who reads this.
/// Says why the database that `url_file` names cannot be used. Names the file, since the
/// URL may hold a password.
pub(crate) fn database(url_file: &Path, fault: &Fault) -> Failure {
    let at = printable(&url_file.display().to_string());
    unreadable(Exit::Failed, fault).with_detail(format!("URL file: {at}"))
}

pub(crate) fn unreadable(exit: Exit, fault: &Fault) -> Failure {
    let failure = Failure::new(exit, fault.clone());
    match fault.private() {
        Some(cause) if cause != fault.public() => failure.with_detail(format!("cause: {cause}")),
        _ => failure,
    }
}
