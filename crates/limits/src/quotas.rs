//! What was used of quotas, in the ledger.
//!
//! # Invariants
//!
//! * A document is the sum of the entries about it, whoever wrote them, so nodes of a
//!   shared ledger learn from it what all have used.
//! * At most what was used since the last look is lost when a process is killed.

use airside_base::TenantId;
use airside_ledger::{AppendError, Fact, Ledger, Schema, Table, TableError, Versioned};
use airside_policy::limit::{Cell, Entry, Key, Memory, Now, Period};
use aws_lc_rs::digest::{SHA256, digest};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::event::{CLOSED, COUNTED, Closed, Counted, Event, RESET, Reset};

/// Keys whose use is written at the same time.
const AT_ONCE: usize = 32;
/// How often an entry is tried again when another node was faster.
const TRIES: usize = 8;
/// Documents that are read at once.
const PAGE: usize = 1_000;

/// What was used of one quota in one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaUse {
    /// Name of the limit.
    pub limit: String,
    /// The key.
    pub key: String,
    /// Begin of the period, in seconds since 1970.
    pub start_s: i64,
    /// End of the period.
    pub end_s: i64,
    /// Units.
    pub used: u64,
}

/// The table of what was used of quotas.
#[derive(Debug)]
pub struct Quotas;

impl Schema for Quotas {
    const NAME: &'static str = "quotas";
    type Document = QuotaUse;
    const COLUMNS: &'static [airside_ledger::Column<QuotaUse>] = &[];

    fn key(fact: Fact<'_>) -> Option<String> {
        let name = |limit: &str, key: &str| Some(document(limit, key));
        if *fact.kind == COUNTED {
            let body: Counted<'_> = fact.decode().ok()?;
            name(&body.limit, &body.key)
        } else if *fact.kind == CLOSED {
            let body: Closed<'_> = fact.decode().ok()?;
            name(&body.limit, &body.key)
        } else if *fact.kind == RESET {
            let body: Reset<'_> = fact.decode().ok()?;
            name(&body.limit, &body.key)
        } else {
            None
        }
    }

    fn fold(prior: Option<QuotaUse>, fact: Fact<'_>) -> Option<QuotaUse> {
        if *fact.kind == COUNTED {
            let Ok(body) = fact.decode::<Counted<'_>>() else {
                return prior;
            };
            let of_before = match prior {
                // A node whose clock is behind writes of a period that is over.
                Some(prior) if prior.start_s > body.start_s => return Some(prior),
                Some(prior) if prior.start_s == body.start_s => prior.used,
                Some(_) | None => 0,
            };
            return Some(QuotaUse {
                limit: body.limit.into_owned(),
                key: body.key.into_owned(),
                start_s: body.start_s,
                end_s: body.end_s,
                used: of_before.saturating_add(body.added),
            });
        }
        if *fact.kind == CLOSED {
            let start_s = fact.decode::<Closed<'_>>().map(|body| body.start_s);
            return prior.filter(|prior| start_s.is_ok_and(|start| prior.start_s > start));
        }
        None
    }
}

/// The name of the document of a key.
fn document(limit: &str, key: &str) -> String {
    let digest = digest(&SHA256, key.as_bytes());
    let mut name = format!("{limit}/");
    for byte in &digest.as_ref()[..16] {
        name.push_str(&format!("{byte:02x}"));
    }
    name
}

/// Returns the tenant that a key belongs to: the one that it names, else the default.
pub(crate) fn tenant_of(key: &str) -> TenantId {
    let named = key.strip_prefix("tenant=");
    let name = named.and_then(|rest| rest.split(' ').next());
    name.and_then(|name| name.parse().ok()).unwrap_or_default()
}

/// Brings counters and ledger together.
#[derive(Debug)]
pub(crate) struct Keeper {
    ledger: Ledger,
    table: Table<Quotas>,
}

impl Keeper {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            table: Table::new(ledger.clone()),
            ledger,
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Takes over what was used before this process began.
    pub(crate) async fn load(&self, memory: &Memory, now: Now) -> Result<(), TableError> {
        let heads = self.ledger.heads().await.map_err(TableError::Read)?;
        for (tenant, _) in heads {
            let mut after = String::new();
            loop {
                let page = self.table.all(&tenant, &after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.key.to_string();
                for known in page {
                    self.take_over(&tenant, known, memory, now).await;
                }
            }
        }
        Ok(())
    }

    async fn take_over(
        &self,
        tenant: &TenantId,
        known: Versioned<QuotaUse>,
        memory: &Memory,
        now: Now,
    ) {
        let used = &known.document;
        let period = Period {
            start_s: used.start_s,
            end_s: used.end_s,
        };
        if period.is_over(now.wall) {
            self.close(tenant, known).await;
            return;
        }
        let key = Key {
            rule: &used.limit,
            text: &used.key,
        };
        memory.settle(key, (period, used.used, 0), now);
    }

    /// Writes what was used since the last time, and ends periods that are over.
    /// Returns what all nodes together have used of the keys that were written.
    pub(crate) async fn save(&self, memory: &Memory, now: Now) -> Vec<QuotaUse> {
        let unsaved = stream::iter(memory.unsaved());
        let written = unsaved.map(|entry| self.count(entry, memory, now));
        let written = written.buffer_unordered(AT_ONCE);
        let totals: Vec<_> = written.filter_map(std::future::ready).collect().await;
        for entry in memory.over(now) {
            let tenant = tenant_of(&entry.key);
            let name = document(&entry.rule, &entry.key);
            let found = self.table.find(&tenant, &name).await;
            let ended = |known: &Versioned<QuotaUse>| known.document.end_s <= now.wall.as_second();
            if let Some(known) = found.ok().flatten().filter(ended) {
                self.close(&tenant, known).await;
            }
        }
        totals
    }

    async fn count(&self, entry: Entry, memory: &Memory, now: Now) -> Option<QuotaUse> {
        let Cell::Quota {
            period, unsaved, ..
        } = entry.cell
        else {
            return None;
        };
        let event = Event::Counted(Counted {
            limit: entry.rule.as_str().into(),
            key: entry.key.as_str().into(),
            start_s: period.start_s,
            end_s: period.end_s,
            added: unsaved,
        });
        match self.change(&entry.rule, &entry.key, &event).await {
            Ok(total) => {
                let total = total.filter(|total| total.start_s == period.start_s);
                let used = total.as_ref().map_or(unsaved, |total| total.used);
                let key = Key {
                    rule: &entry.rule,
                    text: &entry.key,
                };
                memory.settle(key, (period, used, unsaved), now);
                total
            }
            Err(error) => {
                // They stay unsaved, so the next time tries again.
                tracing::warn!(limit = entry.rule, %error, "the use of a quota was not written");
                None
            }
        }
    }

    /// Appends `event` and folds it into its document, which is returned.
    pub(crate) async fn change(
        &self,
        limit: &str,
        key: &str,
        event: &Event<'_>,
    ) -> Result<Option<QuotaUse>, TableError> {
        let (tenant, name) = (tenant_of(key), document(limit, key));
        let mut tries = 0;
        loop {
            let prior = self.table.find(&tenant, &name).await?;
            let draft = event.draft(&tenant);
            let draft = draft.map_err(|_| TableError::TooLarge {
                table: Quotas::NAME,
            })?;
            let before = prior.as_ref().map(|prior| prior.document.clone());
            let after = Quotas::fold(before, (&draft).into());
            match self.table.append(prior, vec![draft]).await {
                Err(TableError::Append(AppendError::Stale { .. })) if tries < TRIES => tries += 1,
                done => return done.map(|_| after),
            }
        }
    }

    async fn close(&self, tenant: &TenantId, known: Versioned<QuotaUse>) {
        let used = known.document.clone();
        let event = Event::Closed(Closed {
            limit: used.limit.as_str().into(),
            key: used.key.as_str().into(),
            start_s: used.start_s,
            used: used.used,
        });
        let Ok(draft) = event.draft(tenant) else {
            return;
        };
        match self.table.append(Some(known), vec![draft]).await {
            // Another node has ended it.
            Ok(_) | Err(TableError::Append(AppendError::Stale { .. })) => {}
            Err(error) => {
                tracing::warn!(limit = used.limit, %error, "the end of a quota was not written");
            }
        }
    }
}
