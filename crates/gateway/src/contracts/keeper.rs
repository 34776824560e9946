//! Writes what is decided about contracts into the ledger, one after the other.
//!
//! # Invariants
//!
//! * What the ledger holds wins: where another node was faster, its contract is taken.
//! * What cannot be written is tried again until the process ends, in its order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use airside_base::{Clock, OnFailure, Supervisor, TenantId};
use airside_contracts::event::{self, Contract, Event};
use airside_ledger::{AppendError, Follower, Ledger, Schema as _, Table, TableError, Versioned};
use tokio::sync::{mpsc, oneshot};

use super::{
    Contracts,
    desk::{Decision, Error},
};

/// Most entries that wait to be written.
const WAITING: usize = 16_384;
/// How long a failed write is not repeated.
const PAUSE: Duration = Duration::from_secs(1);
/// Contracts that are read at once.
const PAGE: usize = 200;

/// Something to be kept.
#[derive(Debug)]
pub(super) enum Work {
    /// It has happened.
    Event(Box<Event>),
    /// A person wants it.
    Decide(Box<Decision>, oneshot::Sender<Result<Contract, Error>>),
    /// Somebody waits until everything before is kept.
    Flush(oneshot::Sender<()>),
}

struct Keeper {
    contracts: Arc<Contracts>,
    table: Table<event::Contracts>,
    clock: Arc<dyn Clock>,
    /// Entries that documents were read or written with.
    versions: Mutex<HashMap<String, u64>>,
}

impl Contracts {
    /// Reads what `ledger` knows of contracts, and keeps there what is decided from now
    /// on. With `others`, what other nodes decide is followed.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn keep(
        self: &Arc<Self>,
        ledger: &Ledger,
        supervisor: &Supervisor,
        others: bool,
    ) -> Result<(), TableError> {
        let tenant = TenantId::default();
        let table: Table<event::Contracts> = Table::new(ledger.clone());
        let head = ledger.head(&tenant).await.map_err(TableError::Read)?;
        let mut after = String::new();
        loop {
            let page = table.all(&tenant, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.key.to_string();
            for found in page {
                let server = self.server(&found.document.key.server);
                server.load(found.document);
            }
        }
        for server in self.lock().values() {
            server.loaded();
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        let keeper = Arc::new(Keeper {
            contracts: Arc::clone(self),
            table,
            clock: Arc::clone(&self.clock),
            versions: Mutex::default(),
        });
        if self.keeping.keeper.set(sender).is_err() {
            return Ok(());
        }
        if others {
            let (follower, keeper) = (ledger.follow(tenant, head.seq), Arc::clone(&keeper));
            let stop = supervisor.clone();
            supervisor.spawn("contract follower", OnFailure::Stop, async move {
                tokio::select! {
                    () = keeper.follow(follower) => {}
                    () = stop.stopping() => {}
                }
            });
        }
        supervisor.spawn(
            "contract keeper",
            OnFailure::Stop,
            keeper.run(receiver, supervisor.clone()),
        );
        Ok(())
    }

    /// Resolves when everything that has been decided is kept.
    pub(crate) async fn kept(&self) {
        let Some(keeper) = self.keeping.keeper.get() else {
            return;
        };
        let (done, kept) = oneshot::channel();
        if keeper.send(Work::Flush(done)).await.is_ok() {
            let _ = kept.await;
        }
    }
}

impl Keeper {
    async fn run(self: Arc<Self>, mut receiver: mpsc::Receiver<Work>, supervisor: Supervisor) {
        loop {
            let work = tokio::select! {
                biased;
                work = receiver.recv() => work,
                () = supervisor.stopping() => receiver.try_recv().ok(),
            };
            match work {
                None => return,
                Some(Work::Flush(done)) => drop(done.send(())),
                Some(Work::Decide(decision, reply)) => {
                    let _ = reply.send(self.decide(*decision).await);
                }
                Some(Work::Event(event)) => {
                    let written = self.until_written(&event, &supervisor).await;
                    self.contracts.keeping.arrived(event.key());
                    if let Some(contract) = written {
                        self.adopt(contract);
                    }
                }
            }
        }
    }

    /// Writes `event`, however long it takes. Returns what the ledger holds then.
    async fn until_written(&self, event: &Event, supervisor: &Supervisor) -> Option<Contract> {
        loop {
            let error = match self.write(event).await {
                Ok(contract) => return Some(contract),
                Err(error) => error,
            };
            tracing::error!(
                server.id = %event.key().server,
                error = &error as &dyn std::error::Error,
                "a change of a tool cannot be recorded"
            );
            if matches!(
                error,
                TableError::TooLarge { .. } | TableError::Shape { .. }
            ) {
                return None;
            }
            tokio::select! {
                () = self.clock.sleep(PAUSE) => {}
                () = supervisor.stopping() => return None,
            }
        }
    }

    async fn write(&self, event: &Event) -> Result<Contract, TableError> {
        let key = event.key().document();
        loop {
            let prior = self.find(&key).await?;
            match (prior, event) {
                // Another node has seen it as well, and decided.
                (Some(prior), Event::Observed(_)) => return Ok(prior.document),
                (prior, event) => match self.append(&key, prior, event).await {
                    Err(TableError::Append(AppendError::Stale { .. })) => {}
                    written => return written,
                },
            }
        }
    }

    async fn decide(&self, decision: Decision) -> Result<Contract, Error> {
        let key = decision.key.document();
        loop {
            let prior = self.find(&key).await.map_err(Error::Ledger)?;
            let contract = prior.as_ref().map(|prior| &prior.document);
            let event = decision.event(contract, self.clock.now())?;
            match self.append(&key, prior, &event).await {
                Err(TableError::Append(AppendError::Stale { .. })) => {}
                Err(error) => return Err(Error::Ledger(error)),
                Ok(contract) => {
                    self.adopt(contract.clone());
                    return Ok(contract);
                }
            }
        }
    }

    async fn append(
        &self,
        key: &str,
        prior: Option<Versioned<Contract>>,
        event: &Event,
    ) -> Result<Contract, TableError> {
        let table = event::Contracts::NAME;
        let draft = event.draft().map_err(|_| TableError::TooLarge { table })?;
        let document = prior.as_ref().map(|prior| prior.document.clone());
        let after = event::fold(document, event.clone());
        let after = after.ok_or(TableError::OtherDocument { table })?;
        let receipt = self.table.append(prior, vec![draft]).await?;
        if let Some(last) = receipt.entries.last() {
            self.remember(key, last.seq);
        }
        Ok(after)
    }

    async fn find(&self, key: &str) -> Result<Option<Versioned<Contract>>, TableError> {
        self.table.find(&TenantId::default(), key).await
    }

    /// Takes what other nodes decide.
    async fn follow(&self, mut follower: Follower) {
        loop {
            let entries = match follower.next().await {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "contracts cannot follow their chain"
                    );
                    self.clock.sleep(PAUSE).await;
                    continue;
                }
            };
            for entry in &entries {
                let Some(key) = event::Contracts::key(entry.into()) else {
                    continue;
                };
                if self.known(&key).is_some_and(|known| known >= entry.seq) {
                    continue;
                }
                match self.find(&key).await {
                    Ok(None) => {}
                    Ok(Some(found)) => {
                        self.remember(&key, found.version);
                        self.adopt(found.document);
                    }
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a contract cannot be read"
                    ),
                }
            }
        }
    }

    fn known(&self, key: &str) -> Option<u64> {
        let versions = self.versions.lock().expect("the lock is not poisoned");
        versions.get(key).copied()
    }

    fn remember(&self, key: &str, version: u64) {
        let mut versions = self.versions.lock().expect("the lock is not poisoned");
        versions.insert(key.to_owned(), version);
    }

    fn adopt(&self, contract: Contract) {
        let server = self.contracts.server(&contract.key.server);
        server.adopt(contract);
    }
}
