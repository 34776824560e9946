//! A store for tests: everything is lost with the process.

use std::{
    collections::BTreeMap,
    future::ready,
    sync::{Arc, Mutex, MutexGuard},
};

use airside_base::{BoxFuture, TenantId, Timestamp};
use tokio::sync::watch;

use crate::{
    entry::{Entry, Hash},
    store::{
        Claim, Claimed, Commit, Document, Fence, Filter, MAX_HASHES, MAX_READ, MAX_READ_BYTES,
        Query, Refusal, Row, Scan, Store, StoreError, Tile, Tip, Unit,
    },
};

/// A [`Store`] in memory. Clones share the same content, as two connections to
/// one database would.
#[derive(Clone, Debug)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    commits: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    chains: BTreeMap<TenantId, Vec<Entry>>,
    documents: Documents,
    tiles: BTreeMap<(TenantId, u8, u64), Vec<Hash>>,
    leases: BTreeMap<Arc<str>, Held>,
    closed: bool,
}

type Documents = BTreeMap<(&'static str, TenantId, Arc<str>), (u64, Document)>;

#[derive(Debug)]
struct Held {
    holder: Option<Arc<str>>,
    token: u64,
    until: Timestamp,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            commits: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

impl State {
    fn tip(&self, tenant: &TenantId) -> Tip {
        let last = self.chains.get(tenant).and_then(|chain| chain.last());
        last.map_or_else(Tip::default, |entry| Tip {
            head: entry.head(),
            time: entry.time,
        })
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        for segment in &commit.segments {
            let found = self.tip(segment.tenant()).head;
            if found != segment.expected() {
                let tenant = segment.tenant().clone();
                return Err(StoreError::Conflict { tenant, found });
            }
        }
        let mut documents = self.documents.clone();
        let mut refused = Vec::new();
        for (index, unit) in commit.units.iter().enumerate() {
            for refusal in self.apply(&mut documents, unit) {
                refused.push((index, refusal));
            }
        }
        if !refused.is_empty() {
            return Err(StoreError::Refused(refused));
        }
        self.documents = documents;
        for segment in &commit.segments {
            let chain = self.chains.entry(segment.tenant().clone()).or_default();
            chain.extend_from_slice(segment.entries());
        }
        Ok(())
    }

    fn apply(&self, documents: &mut Documents, unit: &Unit) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if let Some(fence) = &unit.fence {
            let held = self.leases.get(&fence.name);
            if !held.is_some_and(|held| held.holder.is_some() && held.token == fence.token) {
                let name = fence.name.clone();
                refusals.push(Refusal::Fenced { name });
            }
        }
        for write in &unit.writes {
            let place = (write.table, write.tenant.clone(), write.key.clone());
            if documents.get(&place).map(|(version, _)| *version) != write.expected {
                let (table, key) = (write.table, write.key.clone());
                refusals.push(Refusal::Stale { table, key });
                continue;
            }
            match &write.document {
                Some(document) => documents.insert(place, (write.version, document.clone())),
                None => documents.remove(&place),
            };
        }
        refusals
    }

    fn read(&self, query: &Query) -> Vec<Entry> {
        let chain = self.chains.get(&query.tenant).map_or(&[][..], |c| c);
        let mut bytes = 0;
        let after = usize::try_from(query.after).unwrap_or(usize::MAX);
        let matching = chain.iter().skip(after).filter(|e| query.matches(e));
        let enough = matching.take_while(|entry| {
            let first = bytes == 0;
            bytes += entry.weight();
            first || bytes <= MAX_READ_BYTES
        });
        enough.take(query.limit.min(MAX_READ)).cloned().collect()
    }

    fn scan(&self, scan: &Scan) -> Vec<Row> {
        let of_table = self
            .documents
            .iter()
            .filter(|((table, tenant, _), _)| *table == scan.table && *tenant == scan.tenant);
        let mut found: Vec<_> = of_table
            .filter(|((_, _, key), (_, document))| match &scan.filter {
                Filter::All { after } => **key > **after,
                Filter::Equal {
                    column,
                    value,
                    after,
                } => document.cells[*column].as_ref() == Some(value) && **key > **after,
                Filter::AtMost { column, value } => {
                    document.cells[*column].as_ref().is_some_and(|c| c <= value)
                }
            })
            .collect();
        if let Filter::AtMost { column, .. } = scan.filter {
            found.sort_by(|(_, (_, a)), (_, (_, b))| a.cells[column].cmp(&b.cells[column]));
        }
        found.truncate(scan.limit.min(MAX_READ));
        let rows = found
            .into_iter()
            .map(|((_, _, key), (version, document))| Row {
                key: key.clone(),
                version: *version,
                body: document.body.clone(),
            });
        rows.collect()
    }

    fn claim(&mut self, claim: &Claim) -> Result<Claimed, StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        let held = self.leases.entry(claim.name.clone()).or_insert(Held {
            holder: None,
            token: 0,
            until: Timestamp::MIN,
        });
        if held.holder.as_ref() != Some(&claim.holder) {
            if held.holder.is_some() && held.until > claim.now {
                return Ok(Claimed::Taken { until: held.until });
            }
            held.holder = Some(claim.holder.clone());
            held.token += 1;
        }
        held.until = claim.until();
        Ok(Claimed::Held {
            fence: Fence {
                name: claim.name.clone(),
                token: held.token,
            },
            until: held.until,
        })
    }
}

impl Store for Memory {
    fn commit(&self, commit: Arc<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        let done = self.lock().commit(&commit);
        if done.is_ok() {
            self.commits.send_modify(|count| *count += 1);
        }
        Box::pin(ready(done))
    }

    fn tip(&self, tenant: TenantId) -> BoxFuture<'_, Result<Tip, StoreError>> {
        Box::pin(ready(Ok(self.lock().tip(&tenant))))
    }

    fn chains(&self) -> BoxFuture<'_, Result<Vec<(TenantId, Tip)>, StoreError>> {
        let state = self.lock();
        let tenants = state.chains.keys();
        let tips = tenants.map(|tenant| (tenant.clone(), state.tip(tenant)));
        Box::pin(ready(Ok(tips.collect())))
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(ready(Ok(self.lock().read(&query))))
    }

    fn hashes(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Hash>, StoreError>> {
        let state = self.lock();
        let chain = state.chains.get(&tenant).map_or(&[][..], |chain| chain);
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let entries = chain.iter().skip(after).take(limit.min(MAX_HASHES));
        Box::pin(ready(Ok(entries.map(|entry| entry.hash).collect())))
    }

    fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        number: u64,
    ) -> BoxFuture<'_, Result<Option<Vec<Hash>>, StoreError>> {
        let found = self.lock().tiles.get(&(tenant, level, number)).cloned();
        Box::pin(ready(Ok(found)))
    }

    fn put_tiles(
        &self,
        tenant: TenantId,
        tiles: Vec<Tile>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut state = self.lock();
        for tile in tiles {
            let place = (tenant.clone(), tile.level, tile.number);
            state.tiles.insert(place, tile.hashes);
        }
        Box::pin(ready(Ok(())))
    }

    fn find(
        &self,
        table: &'static str,
        tenant: TenantId,
        key: Arc<str>,
    ) -> BoxFuture<'_, Result<Option<Row>, StoreError>> {
        let place = (table, tenant, key);
        let found = self.lock().documents.get(&place).cloned();
        let row = found.map(|(version, document)| Row {
            key: place.2,
            version,
            body: document.body,
        });
        Box::pin(ready(Ok(row)))
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(ready(Ok(self.lock().scan(&scan))))
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(ready(self.lock().claim(&claim)))
    }

    fn release(&self, fence: Fence) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut state = self.lock();
        if let Some(held) = state.leases.get_mut(&fence.name)
            && held.token == fence.token
        {
            held.holder = None;
        }
        Box::pin(ready(Ok(())))
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.lock().closed = true;
        Box::pin(ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    #[tokio::test]
    async fn keeps_the_contract() {
        for (name, case) in contract::CASES {
            println!("{name}");
            case(Arc::new(Memory::new())).await;
        }
    }
}
