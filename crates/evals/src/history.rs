//! What the ledger keeps of runs: their results, and what has made them stale.
//!
//! # Invariants
//!
//! * An [`Evaluation`] is what its entries fold to: the last result of each case, with
//!   the digests of what decided it.
//! * A change of a tool marks the cases that show it, and no other. What callers do not
//!   see yet, a change that is held, marks nothing.
//! * Every entry about tools is looked at once, also when the node was down meanwhile:
//!   a document knows up to where that is done.

mod event;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use airside_base::{Clock, Fault, Kind as FaultKind, TenantId, Timestamp};
use airside_ledger::{
    AppendError, Draft, DraftError, Entry, Ledger, Query, ReadError, Table, TableError, Versioned,
};
use serde::{Deserialize, Serialize};

pub use self::event::Evaluations;
use self::event::{COMPLETED, Completed, STALE, Stale, VERSION};
use crate::{
    grade::Verdict,
    report::Summary,
    runner::{Fingerprint, Run},
    stats::Tally,
    suite::Suite,
    trace::Usage,
};

/// Evaluations that are read at once.
const PAGE: usize = 200;
/// Most cases of one result.
pub const MAX_CASES: usize = 5_000;
/// Most bytes that the cases of one result take: an entry holds a mebibyte.
const MAX_BYTES: usize = 900_000;
/// Bytes that a case takes besides its name: its digest, its verdict, its counts.
const OF_CASE: usize = 160;
/// Longest name of a suite or model, in bytes.
const MAX_NAME: usize = 100;
/// Pause before the ledger is looked at again.
const PAUSE: Duration = Duration::from_secs(1);
/// What entries about tools are of.
const CONTRACTS: &str = "contract";
/// Tries to write a mark that others write at the same time.
const TRIES: u32 = 8;

/// What a run gave, as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// The suite.
    pub suite: String,
    /// The model.
    pub model: String,
    /// The verdict of the run.
    pub verdict: Verdict,
    /// Whether it was worse than its baseline, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regressed: Option<bool>,
    /// What it cost.
    pub usage: Usage,
    /// The cases that were run.
    pub cases: BTreeMap<String, CaseResult>,
    /// What cases were shown; each is named by its place in this list.
    pub shown: Vec<Shown>,
}

/// What one case gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseResult {
    /// The verdict.
    pub verdict: Verdict,
    /// How often it passed.
    pub tally: Tally,
    /// Digest of the case.
    pub case: String,
    /// What it was shown: a place in [`Results::shown`].
    pub shown: usize,
}

/// Digests of what a case was shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The model with its parameters.
    pub model: String,
    /// The system prompt.
    pub system: String,
    /// What the server says that it is.
    pub server: String,
    /// Each tool.
    pub tools: BTreeMap<String, String>,
}

/// What is known of a suite with a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The last result of each case.
    pub results: Results,
    /// Who ran it last.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Cases whose last result is stale, and what changed.
    #[serde(default)]
    pub stale: BTreeMap<String, Vec<String>>,
    /// Sequence number up to which changes of tools have been looked at.
    pub seen: u64,
}

/// Why something was not recorded or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The result is not one that can be kept.
    #[error("the result cannot be kept: {0}")]
    Invalid(&'static str),
    /// The entry cannot be made.
    #[error("the result cannot be kept")]
    Draft(#[from] DraftError),
    /// The ledger did not do it.
    #[error("results of evaluations cannot be read or written")]
    Table(#[from] TableError),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read")]
    Read(#[from] ReadError),
}

impl Error {
    /// Returns what the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Invalid(_) => Fault::new(FaultKind::Invalid, "EVL-030", self.to_string()),
            Self::Draft(error) => {
                Fault::new(FaultKind::Invalid, "EVL-030", format!("{self}: {error}"))
            }
            Self::Table(error) => error.fault(),
            Self::Read(_) => Fault::new(FaultKind::Unavailable, "EVL-031", self.to_string()),
        }
    }
}

impl Results {
    /// Returns whether results of these cases can be recorded: they are one document.
    #[must_use]
    pub fn can_hold(suite: &Suite, cases: &[usize]) -> bool {
        let bytes = cases.iter().filter_map(|place| suite.cases.id(*place));
        let bytes: usize = bytes.map(|id| id.len() + OF_CASE).sum();
        cases.len() <= MAX_CASES && bytes <= MAX_BYTES
    }

    /// Returns what is recorded of `run`.
    #[must_use]
    pub fn of(run: &Run, summary: &Summary) -> Self {
        let mut shown: Vec<Shown> = Vec::new();
        let mut cases = BTreeMap::new();
        for case in &summary.cases {
            let Some(sums) = run.of(&case.id) else {
                continue;
            };
            let fingerprint = &sums.fingerprint;
            let known = shown.iter().position(|one| one.is_of(fingerprint));
            let place = known.unwrap_or_else(|| {
                shown.push(Shown::of(fingerprint));
                shown.len() - 1
            });
            let result = CaseResult {
                verdict: case.verdict,
                tally: case.tally,
                case: fingerprint.case.to_string(),
                shown: place,
            };
            cases.insert(case.id.clone(), result);
        }
        Self {
            suite: summary.suite.clone(),
            model: summary.model.clone(),
            verdict: summary.verdict,
            regressed: summary.comparison.map(|comparison| comparison.regressed),
            usage: summary.usage,
            cases,
            shown,
        }
    }

    /// Returns the key of the document that it belongs to.
    fn key(&self) -> String {
        format!("{}@{}", self.suite, self.model)
    }

    fn check(&self) -> Result<(), Error> {
        let named = |name: &str| {
            !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
        };
        if !named(&self.suite) || !named(&self.model) {
            return Err(Error::Invalid(
                "names of suites and models have 1 to 100 bytes without control characters",
            ));
        }
        if self.cases.len() > MAX_CASES || self.shown.len() > self.cases.len() {
            return Err(Error::Invalid("there are too many cases"));
        }
        if self
            .cases
            .values()
            .any(|case| case.shown >= self.shown.len())
        {
            return Err(Error::Invalid("a case names what is not in the list"));
        }
        Ok(())
    }

    /// Adds the cases of `earlier` that were not run again.
    fn keep(&mut self, earlier: Self) {
        for (name, mut case) in earlier.cases {
            let Some(shown) = earlier.shown.get(case.shown) else {
                continue;
            };
            if !self.cases.contains_key(&name) {
                case.shown = place_of(&mut self.shown, shown.clone());
                self.cases.insert(name, case);
            }
        }
    }

    /// Returns the cases that show `tool`, or all if it is new to them.
    fn showing(&self, server: &str, tool: &str, is_new: bool) -> BTreeMap<String, Vec<String>> {
        let merged = format!("{server}_{tool}");
        let shows = |name: &&String| **name == tool || **name == merged;
        let mut showing = BTreeMap::new();
        for (case, result) in &self.cases {
            let Some(shown) = self.shown.get(result.shown) else {
                continue;
            };
            match shown.tools.keys().find(shows) {
                Some(name) => showing.insert(case.clone(), vec![format!("tool {name}")]),
                None if is_new => showing.insert(case.clone(), vec![format!("new tool {tool}")]),
                None => None,
            };
        }
        showing
    }
}

impl Shown {
    fn of(fingerprint: &Fingerprint) -> Self {
        Self {
            model: fingerprint.model.to_string(),
            system: fingerprint.system.to_string(),
            server: fingerprint.server.to_string(),
            tools: (*fingerprint.tools).clone(),
        }
    }

    fn is_of(&self, fingerprint: &Fingerprint) -> bool {
        *self.model == *fingerprint.model
            && *self.system == *fingerprint.system
            && *self.server == *fingerprint.server
            && self.tools == *fingerprint.tools
    }
}

fn place_of(all: &mut Vec<Shown>, shown: Shown) -> usize {
    match all.iter().position(|one| *one == shown) {
        Some(place) => place,
        None => {
            all.push(shown);
            all.len() - 1
        }
    }
}

/// Records results and marks them stale.
#[derive(Clone)]
pub struct Desk {
    ledger: Ledger,
    table: Table<Evaluations>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// Returns a desk that works on `ledger`.
    #[must_use]
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Table::new(ledger.clone()),
            ledger,
            clock,
        }
    }

    /// Records what a run of `by` gave and returns what is known then.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn complete(
        &self,
        tenant: &TenantId,
        results: Results,
        by: String,
    ) -> Result<Evaluation, Error> {
        results.check()?;
        let key = results.key();
        let completed = Completed {
            seen: self.ledger.head(tenant).await?.seq,
            results,
            by,
            at: self.clock.now(),
        };
        let draft = Draft::new(tenant.clone(), COMPLETED, VERSION, &key, &completed)?;
        self.write(tenant, &key, draft).await
    }

    /// Returns what is known, by suite and model.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn all(&self, tenant: &TenantId) -> Result<Vec<Evaluation>, Error> {
        let all = self.documents(tenant).await?;
        Ok(all.into_iter().map(|found| found.document).collect())
    }

    async fn documents(&self, tenant: &TenantId) -> Result<Vec<Versioned<Evaluation>>, Error> {
        let mut all: Vec<Versioned<Evaluation>> = Vec::new();
        loop {
            let after = all.last().map_or("", |last| &*last.key).to_owned();
            let page = self.table.all(tenant, &after, PAGE).await?;
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Writes a draft behind whatever others write about the same document.
    async fn write(&self, tenant: &TenantId, key: &str, draft: Draft) -> Result<Evaluation, Error> {
        let mut tries = 0;
        loop {
            let prior = self.table.find(tenant, key).await?;
            match self.table.append(prior, vec![draft.clone()]).await {
                Ok(_) => break,
                Err(TableError::Append(AppendError::Stale { .. })) if tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
        let found = self.table.find(tenant, key).await?;
        let found = found.ok_or(Error::Invalid("it is gone"))?;
        Ok(found.document)
    }

    /// Marks what changes of tools make stale, those while nobody watched first. Does not
    /// end by itself; may be dropped at any time and run by several nodes at once.
    pub async fn watch(self, tenant: TenantId) {
        loop {
            let failed = match self.follow(&tenant).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            tracing::warn!(
                error = &failed as &dyn std::error::Error,
                "changes of tools are not looked at for a moment"
            );
            self.clock.sleep(PAUSE).await;
        }
    }

    async fn follow(&self, tenant: &TenantId) -> Result<std::convert::Infallible, Error> {
        let known = self.documents(tenant).await?;
        let seen = known.iter().map(|found| found.document.seen).min();
        let mut done = match seen {
            Some(seen) => seen,
            None => self.ledger.head(tenant).await?.seq,
        };
        loop {
            done = self.catch_up(tenant, done).await?;
            self.clock.sleep(PAUSE).await;
        }
    }

    /// Looks at the entries about tools behind `after`; returns up to where.
    async fn catch_up(&self, tenant: &TenantId, after: u64) -> Result<u64, Error> {
        let head = self.ledger.head(tenant).await?.seq;
        let mut at = after;
        while at < head {
            // Asked for by kind: most entries are about calls.
            let query = Query::new(tenant.clone()).after(at).kind(CONTRACTS);
            let entries = self.ledger.read(query).await?;
            for entry in &entries {
                self.look_at(tenant, entry).await?;
            }
            at = entries.last().map_or(head, |last| last.seq);
        }
        Ok(at)
    }

    /// Marks what one entry makes stale.
    async fn look_at(&self, tenant: &TenantId, entry: &Entry) -> Result<(), Error> {
        let Some(change) = event::ToolChange::read(entry.into()) else {
            return Ok(());
        };
        for found in self.documents(tenant).await? {
            self.mark(tenant, &found.key, entry.seq, entry.kind.as_str(), &change)
                .await?;
        }
        Ok(())
    }

    /// Marks the cases of one document, unless another node has done so.
    async fn mark(
        &self,
        tenant: &TenantId,
        key: &str,
        seq: u64,
        cause: &str,
        change: &event::ToolChange,
    ) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            let found = self.table.find(tenant, key).await?;
            let Some(found) = found.filter(|found| found.document.seen < seq) else {
                return Ok(());
            };
            let results = &found.document.results;
            let cases = results.showing(&change.server, &change.tool, change.is_new);
            if cases.is_empty() {
                return Ok(());
            }
            let stale = Stale {
                cases,
                cause: cause.to_owned(),
                seen: seq,
                at: self.clock.now(),
            };
            let draft = Draft::new(tenant.clone(), STALE, VERSION, key, &stale)?;
            match self.table.append(Some(found), vec![draft]).await {
                Ok(_) => return Ok(()),
                Err(TableError::Append(AppendError::Stale { .. })) if tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
