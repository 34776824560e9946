//! Erasure of a person: the keys are destroyed, and with them every copy of what they
//! sealed, in the ledger, in its archive and in everything restored from there.
//!
//! # Invariants
//!
//! * The wish is durable ([`BEGUN`]) before the first key is destroyed; what a crash
//!   left is finished by [`Eraser::resume`] at the next start.
//! * [`ERASED`] is written when the keys are gone, and names them, so that the same
//!   erasure can be repeated on an older copy of the key store.
//! * Entries about an erasure name the pseudonym and nothing else.
//! * An erasure outlives a restore: whatever moment is restored, the list is taken
//!   from the end of the source ([`Collector`]) and applied before anything can be
//!   read. A restore asks for [`Applied`] as its proof.
//!
//! Hashes are over what is sealed, so entries, proofs and `verify` stay as they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use airside_base::{Fault, Kind as FaultKind, TenantId};
use serde::{Deserialize, Serialize};

use crate::{
    entry::{Draft, DraftError, Entry, Head, Kind},
    error::{AppendError, ReadError},
    failpoint::{self, Point},
    keys::{Grave, KeyStoreError, Keys},
    ledger::Ledger,
    personal::{Purpose, SubjectId},
    store::{Cell, Query, Store, StoreError},
    table::{Column, Fact, Schema, Table, TableError, Versioned},
};

/// The wish to erase a subject, before anything is destroyed.
pub const BEGUN: Kind = Kind::new("subject.erasure_begun");
/// The keys have been destroyed.
pub const ERASED: Kind = Kind::new("subject.erased");
/// Both kinds lie below it.
const PREFIX: &str = "subject";
/// Keys named by one entry; more get another entry of the same append.
const KEYS_PER_ENTRY: usize = 4096;
/// Attempts to change the document of a subject that others change meanwhile.
const RACES: u32 = 8;

/// The body of [`BEGUN`], version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    purposes: BTreeSet<Purpose>,
}

/// The body of [`ERASED`], version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Erased {
    /// How many keys have been destroyed for each purpose, now and before.
    purposes: BTreeMap<Purpose, usize>,
    /// These keys, or a part of them.
    keys: Vec<Grave>,
}

/// What is known of the erasure of one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Begun and not finished.
    pub pending: BTreeSet<Purpose>,
    /// Finished at least once, with the number of keys that it destroyed.
    pub done: BTreeMap<Purpose, usize>,
}

/// The table of erasures, by subject.
#[derive(Debug)]
pub struct Erasures;

impl Schema for Erasures {
    const NAME: &'static str = "erasures";
    type Document = Standing;
    const COLUMNS: &'static [Column<Standing>] = &[Column {
        name: "pending",
        cell: |standing| (!standing.pending.is_empty()).then_some(Cell::Integer(1)),
    }];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = [&BEGUN, &ERASED].contains(&fact.kind) && fact.version == 1;
        known.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Standing>, fact: Fact<'_>) -> Option<Standing> {
        let mut standing = prior.unwrap_or_default();
        if *fact.kind == BEGUN {
            if let Ok(begun) = fact.decode::<Begun>() {
                standing.pending.extend(begun.purposes);
            }
        } else if let Ok(erased) = fact.decode::<Erased>() {
            for (purpose, keys) in erased.purposes {
                standing.pending.remove(&purpose);
                standing.done.insert(purpose, keys);
            }
        }
        Some(standing)
    }
}

/// Why a subject was not erased. The wish may be durable; then the erasure is finished
/// by a repetition or at the next start.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// No purpose was named.
    #[error("no purpose was named for the erasure")]
    Nothing,
    /// What is known of earlier erasures cannot be read or written.
    #[error("cannot keep the erasure")]
    Table(#[source] TableError),
    /// The chains cannot be listed.
    #[error("cannot read the chains of the ledger")]
    Read(#[source] ReadError),
    /// The entry is malformed.
    #[error("cannot draft the erasure")]
    Draft(#[source] DraftError),
    /// The keys cannot be destroyed.
    #[error("cannot destroy the keys of the subject")]
    Keys(#[source] KeyStoreError),
    /// Earlier erasures cannot be repeated.
    #[error("cannot repeat earlier erasures")]
    Repeat(#[source] ListError),
}

impl EraseError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Nothing => Fault::new(
                FaultKind::Invalid,
                "LED-095",
                "the erasure names no purpose",
            ),
            Self::Table(error) => error.fault(),
            Self::Read(error) => error.fault(),
            Self::Draft(error) => error.fault(),
            Self::Keys(error) => error.fault(),
            Self::Repeat(error) => error.fault(),
        }
    }
}

/// What an erasure did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The number of the last entry about it.
    pub entry: u64,
    /// How many keys are destroyed, those of earlier erasures included.
    pub keys: usize,
    /// There was nothing left to erase.
    pub repeated: bool,
}

/// Erases subjects.
#[derive(Debug)]
pub struct Eraser<'a> {
    ledger: &'a Ledger,
    keys: &'a Keys,
    table: Table<Erasures>,
}

impl<'a> Eraser<'a> {
    /// Returns what erases in `ledger` and `keys`.
    #[must_use]
    pub fn new(ledger: &'a Ledger, keys: &'a Keys) -> Self {
        let table = Table::new(ledger.clone());
        Self {
            ledger,
            keys,
            table,
        }
    }

    /// Destroys the keys of `subject` for `purposes` and records it. May be repeated;
    /// what has been sealed since is erased then.
    ///
    /// # Errors
    ///
    /// See [`EraseError`].
    pub async fn erase(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
        purposes: &BTreeSet<Purpose>,
    ) -> Result<Done, EraseError> {
        if purposes.is_empty() {
            return Err(EraseError::Nothing);
        }
        let mut races = 0;
        loop {
            match self.attempt(tenant, subject, purposes).await {
                Err(EraseError::Table(TableError::Append(AppendError::Stale { .. })))
                    if races < RACES =>
                {
                    races += 1;
                }
                done => return done,
            }
        }
    }

    /// Repeats on the keys what the ledger knows as erased, in case they are an older
    /// copy, and finishes every erasure that was begun, in all chains; returns how many
    /// those were. Belongs to the start of a node.
    ///
    /// # Errors
    ///
    /// See [`EraseError`].
    pub async fn resume(&self) -> Result<usize, EraseError> {
        let known = List::known(self.ledger).await?;
        known.apply(self.keys).await.map_err(EraseError::Repeat)?;
        let mut finished = 0;
        for (tenant, _) in self.ledger.heads().await.map_err(EraseError::Read)? {
            loop {
                let one = Cell::Integer(1);
                let begun = self.table.at_most(&tenant, "pending", one, 100).await;
                let begun = begun.map_err(EraseError::Table)?;
                if begun.is_empty() {
                    break;
                }
                for row in begun {
                    let Ok(subject) = row.key.parse::<SubjectId>() else {
                        let name = row.key.to_string();
                        tracing::error!(subject = name, "an erasure names no subject");
                        return Ok(finished);
                    };
                    let purposes = row.document.pending.clone();
                    self.erase(&tenant, &subject, &purposes).await?;
                    finished += 1;
                }
            }
        }
        Ok(finished)
    }

    /// Returns what is known of the erasure of `subject`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn standing(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
    ) -> Result<Standing, EraseError> {
        let found = self.find(tenant, subject).await?;
        Ok(found.map(|found| found.document).unwrap_or_default())
    }

    async fn find(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
    ) -> Result<Option<Versioned<Standing>>, EraseError> {
        let found = self.table.find(tenant, subject.as_str()).await;
        found.map_err(EraseError::Table)
    }

    async fn attempt(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
        purposes: &BTreeSet<Purpose>,
    ) -> Result<Done, EraseError> {
        let mut prior = self.find(tenant, subject).await?;
        let live = self.keys.live(tenant, subject).await;
        let live = live.map_err(EraseError::Keys)?;
        if let Some(prior) = &prior
            && prior.document.pending.is_empty()
            && purposes.iter().all(|p| prior.document.done.contains_key(p))
            && live.is_disjoint(purposes)
        {
            let graves = self.destroy(tenant, subject, purposes).await?;
            return Ok(Done {
                entry: prior.version,
                keys: graves.len(),
                repeated: true,
            });
        }
        let pending = prior.as_ref().map(|prior| &prior.document.pending);
        if !pending.is_some_and(|pending| pending.is_superset(purposes)) {
            let draft = begun(tenant, subject, purposes);
            let drafts = vec![draft.map_err(EraseError::Draft)?];
            let written = self.table.append(prior, drafts).await;
            written.map_err(EraseError::Table)?;
            failpoint::reach(Point::ErasureBegun);
            prior = self.find(tenant, subject).await?;
        }
        let pending = prior.as_ref().map(|prior| prior.document.pending.clone());
        let pending = pending.unwrap_or_else(|| purposes.clone());
        let graves = self.destroy(tenant, subject, &pending).await?;
        failpoint::reach(Point::ErasureDestroyed);
        let keys = graves.len();
        let drafts = erased(tenant, subject, &pending, graves).map_err(EraseError::Draft)?;
        let receipt = self.table.append(prior, drafts).await;
        let receipt = receipt.map_err(EraseError::Table)?;
        failpoint::reach(Point::ErasureRecorded);
        Ok(Done {
            entry: receipt.entries.last().map_or(0, |head| head.seq),
            keys,
            repeated: false,
        })
    }

    async fn destroy(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
        purposes: &BTreeSet<Purpose>,
    ) -> Result<Vec<Grave>, EraseError> {
        let destroyed = self.keys.destroy(tenant, subject, purposes).await;
        destroyed.map_err(EraseError::Keys)
    }
}

/// Returns the entry that tells the wish.
fn begun(
    tenant: &TenantId,
    subject: &SubjectId,
    purposes: &BTreeSet<Purpose>,
) -> Result<Draft, DraftError> {
    let purposes = purposes.clone();
    let begun = Begun { purposes };
    Draft::new(tenant.clone(), BEGUN, 1, subject.as_str(), &begun)
}

/// Returns the entries that tell that `graves` are destroyed.
fn erased(
    tenant: &TenantId,
    subject: &SubjectId,
    purposes: &BTreeSet<Purpose>,
    graves: Vec<Grave>,
) -> Result<Vec<Draft>, DraftError> {
    let mut counts: BTreeMap<Purpose, usize> = purposes.iter().map(|p| (*p, 0)).collect();
    for grave in &graves {
        *counts.entry(grave.purpose).or_default() += 1;
    }
    let mut rest = graves;
    let mut drafts = Vec::new();
    loop {
        let more = rest.split_off(rest.len().min(KEYS_PER_ENTRY));
        let body = Erased {
            purposes: counts.clone(),
            keys: mem::replace(&mut rest, more),
        };
        let draft = Draft::new(tenant.clone(), ERASED, 1, subject.as_str(), &body);
        drafts.push(draft?);
        if rest.is_empty() {
            return Ok(drafts);
        }
    }
}

/// Why the list of erasures is not complete, so that nothing may be restored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ListError {
    /// Entries are missing in between.
    #[error("the chain of `{tenant}` does not continue with entry {seq}")]
    Gap {
        /// Whose chain.
        tenant: TenantId,
        /// The entry that was expected.
        seq: u64,
    },
    /// The chain was not read to its end.
    #[error("the chain of `{tenant}` was read to entry {read}, its end is {end}")]
    Short {
        /// Whose chain.
        tenant: TenantId,
        /// The last entry that was read.
        read: u64,
        /// The last entry that there is.
        end: u64,
    },
    /// An entry about an erasure cannot be understood.
    #[error("entry {seq} of `{tenant}` about an erasure cannot be understood")]
    Unknown {
        /// Whose chain.
        tenant: TenantId,
        /// Which entry.
        seq: u64,
    },
    /// The source cannot be read.
    #[error("cannot read the source of the erasures")]
    Source(#[source] StoreError),
    /// The keys cannot be destroyed.
    #[error("cannot destroy the keys of erased subjects")]
    Keys(#[source] KeyStoreError),
}

impl ListError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Gap { .. } | Self::Short { .. } | Self::Unknown { .. } => Fault::new(
                FaultKind::Conflict,
                "LED-088",
                "the list of erasures is not complete",
            )
            .with_hint("restore from a source whose chains can be read to their ends")
            .with_private(self),
            Self::Source(error) => error.fault(),
            Self::Keys(error) => error.fault(),
        }
    }
}

/// Erasures of one chain, by subject.
type Chain = BTreeMap<SubjectId, Erasure>;

#[derive(Clone, Debug, Default)]
struct Erasure {
    standing: Standing,
    graves: BTreeSet<Grave>,
}

impl Erasure {
    /// Returns whether `standing` knows all of it.
    fn is_known_to(&self, standing: &Standing) -> bool {
        let keys = |purpose| self.graves.iter().filter(move |g| g.purpose == purpose);
        let mut done = self.standing.done.keys();
        standing.pending.is_superset(&self.standing.pending)
            && done.all(|purpose| standing.done.get(purpose) >= Some(&keys(*purpose).count()))
    }

    /// Returns the entries that tell it.
    fn drafts(&self, tenant: &TenantId, subject: &SubjectId) -> Result<Vec<Draft>, DraftError> {
        let mut drafts = Vec::new();
        if !self.standing.done.is_empty() {
            let purposes = self.standing.done.keys().copied().collect();
            let graves = self.graves.iter().cloned().collect();
            drafts = erased(tenant, subject, &purposes, graves)?;
        }
        if !self.standing.pending.is_empty() {
            drafts.push(begun(tenant, subject, &self.standing.pending)?);
        }
        Ok(drafts)
    }
}

/// Takes the erasures out of chains that are read from their beginnings to their ends.
#[derive(Debug, Default)]
pub struct Collector {
    chains: BTreeMap<TenantId, (Head, Chain)>,
}

impl Collector {
    /// Returns a collector that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next entry of its chain. Chains may be mixed; the hash of the entry
    /// has to be checked before.
    ///
    /// # Errors
    ///
    /// When it does not continue its chain or cannot be understood.
    pub fn take(&mut self, entry: &Entry) -> Result<(), ListError> {
        let (head, chain) = self.chains.entry(entry.tenant.clone()).or_default();
        if entry.seq != head.seq + 1 || entry.prev != head.hash {
            return Err(ListError::Gap {
                tenant: entry.tenant.clone(),
                seq: head.seq + 1,
            });
        }
        *head = entry.head();
        note(chain, entry)
    }

    /// Notes that the chain of `tenant` goes on to `head` without an entry that
    /// [`concerns`] an erasure. Whoever says so has to be trusted.
    pub fn skip(&mut self, tenant: &TenantId, head: Head) {
        self.chains.entry(tenant.clone()).or_default().0 = head;
    }

    /// Returns the list, if every chain in `ends` was read to its end.
    ///
    /// # Errors
    ///
    /// [`ListError::Short`] otherwise.
    pub fn finish(self, ends: &[(TenantId, Head)]) -> Result<List, ListError> {
        for (tenant, end) in ends {
            let read = self.chains.get(tenant).map(|(head, _)| *head);
            let read = read.unwrap_or_default();
            if read != *end {
                return Err(ListError::Short {
                    tenant: tenant.clone(),
                    read: read.seq,
                    end: end.seq,
                });
            }
        }
        let chains = self.chains.into_iter();
        let chains = chains.map(|(tenant, (_, chain))| (tenant, chain));
        Ok(List {
            chains: chains.collect(),
        })
    }
}

/// Returns whether `entry` is about an erasure.
#[must_use]
pub fn concerns(entry: &Entry) -> bool {
    entry.kind == BEGUN || entry.kind == ERASED
}

/// Adds what `entry` says of an erasure.
fn note(chain: &mut Chain, entry: &Entry) -> Result<(), ListError> {
    if !concerns(entry) {
        return Ok(());
    }
    let unknown = || ListError::Unknown {
        tenant: entry.tenant.clone(),
        seq: entry.seq,
    };
    let subject: SubjectId = entry.subject.parse().map_err(|_| unknown())?;
    let erasure = chain.entry(subject).or_default();
    if entry.version != 1 {
        return Err(unknown());
    }
    if entry.kind == BEGUN {
        let _: Begun = entry.decode().map_err(|_| unknown())?;
    } else {
        let erased: Erased = entry.decode().map_err(|_| unknown())?;
        erasure.graves.extend(erased.keys);
    }
    let prior = mem::take(&mut erasure.standing);
    erasure.standing = Erasures::fold(Some(prior), entry.into()).unwrap_or_default();
    Ok(())
}

/// Adds what the entries about `subject` say of its erasure.
async fn note_subject(
    ledger: &Ledger,
    tenant: &TenantId,
    subject: &str,
    chain: &mut Chain,
) -> Result<(), EraseError> {
    let mut after = 0;
    loop {
        let query = Query::new(tenant.clone()).after(after);
        let entries = ledger.read(query.kind(PREFIX).subject(subject)).await;
        let entries = entries.map_err(EraseError::Read)?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        after = last.seq;
        let mut noted = entries.iter();
        noted
            .try_for_each(|entry| note(chain, entry))
            .map_err(EraseError::Repeat)?;
    }
}

/// All erasures up to the end of a source.
#[derive(Clone, Debug)]
pub struct List {
    chains: BTreeMap<TenantId, Chain>,
}

impl List {
    /// Reads the erasures of all chains in `store` to their present ends.
    ///
    /// # Errors
    ///
    /// When it cannot be read or an entry cannot be understood.
    pub async fn read(store: &dyn Store) -> Result<Self, ListError> {
        let mut chains = BTreeMap::new();
        for (tenant, tip) in store.chains().await.map_err(ListError::Source)? {
            let mut chain = Chain::new();
            let mut after = 0;
            while after < tip.head.seq {
                let query = Query::new(tenant.clone()).after(after).kind(PREFIX);
                let entries = store.read(query).await.map_err(ListError::Source)?;
                let Some(last) = entries.last() else { break };
                after = last.seq;
                entries
                    .iter()
                    .try_for_each(|entry| note(&mut chain, entry))?;
            }
            chains.insert(tenant, chain);
        }
        Ok(Self { chains })
    }

    /// Returns the erasures that are recorded in `ledger`. Unlike [`List::read`] it goes
    /// by the table of erasures, so it costs what was erased and not what is there.
    async fn known(ledger: &Ledger) -> Result<Self, EraseError> {
        let table: Table<Erasures> = Table::new(ledger.clone());
        let mut chains = BTreeMap::new();
        for (tenant, _) in ledger.heads().await.map_err(EraseError::Read)? {
            let mut chain = Chain::new();
            let mut after = String::new();
            loop {
                let rows = table.all(&tenant, &after, 1000).await;
                let rows = rows.map_err(EraseError::Table)?;
                let Some(last) = rows.last() else { break };
                after = last.key.to_string();
                for row in &rows {
                    note_subject(ledger, &tenant, &row.key, &mut chain).await?;
                }
            }
            chains.insert(tenant, chain);
        }
        Ok(Self { chains })
    }

    /// Records in the restored `ledger` the erasures that it does not know, so that its
    /// node applies them before it reads anything; returns how many. May be repeated.
    /// Chains that were not restored are left out.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub async fn record(&self, ledger: &Ledger) -> Result<usize, EraseError> {
        let table: Table<Erasures> = Table::new(ledger.clone());
        let restored = ledger.heads().await.map_err(EraseError::Read)?;
        let restored: BTreeSet<TenantId> = restored.into_iter().map(|(tenant, _)| tenant).collect();
        let mut recorded = 0;
        let chains = self.chains.iter();
        for (tenant, chain) in chains.filter(|(tenant, _)| restored.contains(tenant)) {
            for (subject, erasure) in chain {
                let prior = table.find(tenant, subject.as_str()).await;
                let prior = prior.map_err(EraseError::Table)?;
                let standing = prior.as_ref().map(|prior| &prior.document);
                if standing.is_some_and(|standing| erasure.is_known_to(standing)) {
                    continue;
                }
                let drafts = erasure.drafts(tenant, subject);
                let drafts = drafts.map_err(EraseError::Draft)?;
                let written = table.append(prior, drafts).await;
                written.map_err(EraseError::Table)?;
                recorded += 1;
            }
        }
        Ok(recorded)
    }

    /// Returns of how many subjects it knows an erasure.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chains.values().map(BTreeMap::len).sum()
    }

    /// Returns whether nobody has been erased.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Destroys in `keys` what has been erased, and what was to be erased when the
    /// source ended. May be repeated.
    ///
    /// # Errors
    ///
    /// When the keys cannot be destroyed; nothing may be restored then.
    pub async fn apply(mut self, keys: &Keys) -> Result<Applied, ListError> {
        for (tenant, chain) in &mut self.chains {
            for (subject, erasure) in chain {
                let graves = erasure.graves.iter().cloned().collect();
                let buried = keys.bury(tenant, subject, graves).await;
                buried.map_err(ListError::Keys)?;
                let pending = mem::take(&mut erasure.standing.pending);
                let more = keys.destroy(tenant, subject, &pending).await;
                erasure.graves.extend(more.map_err(ListError::Keys)?);
                let done = pending.into_iter().map(|purpose| (purpose, 0));
                erasure.standing.done.extend(done);
            }
        }
        Ok(Applied { list: self })
    }
}

/// Proof that the erasures of a source hold for a set of keys. What restores asks for it.
#[derive(Clone, Debug)]
pub struct Applied {
    list: List,
}

impl Applied {
    /// As [`List::record`], with the wishes that have been fulfilled by now.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub async fn record(&self, ledger: &Ledger) -> Result<usize, EraseError> {
        self.list.record(ledger).await
    }
}
