//! Comparing the state of two stores.

use std::{collections::BTreeMap, sync::Arc};

use airside_base::TenantId;
use airside_ledger::{
    Hash, Store, StoreError,
    personal::SubjectId,
    store::{Filter, MAX_READ, Row, Scan, Tip},
};
use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;

use super::{Folds, extract::documents_about};

/// Most documents that a [`Difference`] names.
const MAX_NAMED: usize = 1000;

/// Stands for the whole state of a store: the ends of all chains and all documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Digest {
    /// SHA-256 over both.
    pub state: Hash,
    /// SHA-256 over the documents alone.
    pub tables: Hash,
    /// Documents that it covers.
    pub documents: u64,
}

/// Returns the digest of `store`, with the documents of the tables in `folds`.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn digest(store: &dyn Store, folds: &Folds) -> Result<Digest, StoreError> {
    let chains = store.chains().await?;
    let tenants = chains.iter().map(|(tenant, _)| tenant);
    let (tables, documents) = documents(store, tenants, folds).await?;
    let mut sum = Sum::new();
    for (tenant, tip) in &chains {
        sum.put(tenant.as_str().as_bytes());
        sum.put(&tip.head.seq.to_be_bytes());
        sum.put(tip.head.hash.as_bytes());
        sum.put(&tip.time.as_microsecond().to_be_bytes());
    }
    sum.put(tables.as_bytes());
    Ok(Digest {
        state: sum.finish(),
        tables,
        documents,
    })
}

/// Returns the digest of the documents of `tenants`, which come in order, and how many
/// there are.
pub(crate) async fn documents(
    store: &dyn Store,
    tenants: impl Iterator<Item = &TenantId>,
    folds: &Folds,
) -> Result<(Hash, u64), StoreError> {
    let (mut sum, mut count) = (Sum::new(), 0);
    for tenant in tenants {
        for table in folds.names() {
            let mut rows = Rows::new(store, table, tenant);
            while let Some(row) = rows.next().await? {
                sum.put(tenant.as_str().as_bytes());
                sum.put(table.as_bytes());
                sum.put(row.key.as_bytes());
                sum.put(&row.version.to_be_bytes());
                sum.put(&row.body);
                count += 1;
            }
        }
    }
    Ok((sum.finish(), count))
}

/// SHA-256 over fields, each with its length in front of it.
struct Sum(Context);

impl Sum {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    fn put(&mut self, field: &[u8]) {
        self.0.update(&(field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    fn finish(self) -> Hash {
        let digest = self.0.finish();
        Hash::from_bytes(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// One chain in two stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainChange {
    /// Whose chain.
    pub tenant: TenantId,
    /// Its last entry in the first store; 0 if it is not there.
    pub present: u64,
    /// Its last entry in the second.
    pub restored: u64,
}

/// One document in two stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its table.
    pub table: &'static str,
    /// Whose document.
    pub tenant: TenantId,
    /// Which document.
    pub key: Arc<str>,
    /// Its version in the first store, if it is there.
    pub present: Option<u64>,
    /// Its version in the second.
    pub restored: Option<u64>,
}

/// What differs between two stores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Chains with other ends.
    pub chains: Vec<ChainChange>,
    /// Documents with other content, the first thousand.
    pub documents: Vec<Change>,
    /// How many documents differ.
    pub documents_total: u64,
}

/// Compares what the `present` store and a `restored` one know of `subject`, a person
/// of `tenant`. Ends of chains are left out: they say nothing of one person.
///
/// # Errors
///
/// When one of them cannot be read.
pub async fn difference_about(
    present: &dyn Store,
    restored: &dyn Store,
    (tenant, subject): (&TenantId, &SubjectId),
    folds: &Folds,
) -> Result<Difference, StoreError> {
    let mut about = documents_about(present, tenant, subject, folds).await?;
    about.append(&mut documents_about(restored, tenant, subject, folds).await?);
    let mut difference = Difference::default();
    for (table, key) in about {
        let here = present.find(table, tenant.clone(), key.clone()).await?;
        let there = restored.find(table, tenant.clone(), key).await?;
        difference.compare((table, tenant), here, there);
    }
    Ok(difference)
}

/// Compares the `present` store with a `restored` one.
///
/// # Errors
///
/// When one of them cannot be read.
pub async fn difference(
    present: &dyn Store,
    restored: &dyn Store,
    tenant: Option<&TenantId>,
    folds: &Folds,
) -> Result<Difference, StoreError> {
    let mut difference = Difference::default();
    let mut chains: BTreeMap<TenantId, (Tip, Tip)> = BTreeMap::new();
    for (tenant, tip) in present.chains().await? {
        chains.entry(tenant).or_default().0 = tip;
    }
    for (tenant, tip) in restored.chains().await? {
        chains.entry(tenant).or_default().1 = tip;
    }
    chains.retain(|chain, _| tenant.is_none_or(|only| only == chain));
    for (tenant, (present, restored)) in &chains {
        if present != restored {
            difference.chains.push(ChainChange {
                tenant: tenant.clone(),
                present: present.head.seq,
                restored: restored.head.seq,
            });
        }
    }
    for table in folds.names() {
        for tenant in chains.keys() {
            let (one, other) = (
                Rows::new(present, table, tenant),
                Rows::new(restored, table, tenant),
            );
            let all = u64::MAX;
            difference
                .documents((table, tenant, all), one, other)
                .await?;
        }
    }
    Ok(difference)
}

/// Returns the documents that differ, leaving out those of the `present` store that
/// have changed behind the ends of their chains; the first thousand.
///
/// # Errors
///
/// When one of them cannot be read.
pub(crate) async fn changes_since(
    ends: &BTreeMap<TenantId, u64>,
    present: &dyn Store,
    restored: &dyn Store,
    folds: &Folds,
) -> Result<Vec<Change>, StoreError> {
    let mut difference = Difference::default();
    for table in folds.names() {
        for (tenant, end) in ends {
            let (one, other) = (
                Rows::new(present, table, tenant),
                Rows::new(restored, table, tenant),
            );
            difference
                .documents((table, tenant, *end), one, other)
                .await?;
        }
    }
    Ok(difference.documents)
}

impl Difference {
    /// Returns whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty() && self.documents_total == 0
    }

    /// Compares one table; documents that are newer than entry `end` are left out.
    async fn documents(
        &mut self,
        (table, tenant, end): (&'static str, &TenantId, u64),
        mut present: Rows<'_>,
        mut restored: Rows<'_>,
    ) -> Result<(), StoreError> {
        let (mut one, mut other) = (present.next().await?, restored.next().await?);
        loop {
            let key = match (&one, &other) {
                (None, None) => return Ok(()),
                (Some(row), None) | (None, Some(row)) => row.key.clone(),
                (Some(one), Some(other)) => one.key.clone().min(other.key.clone()),
            };
            let mut here = None;
            if one.as_ref().is_some_and(|row| row.key == key) {
                here = std::mem::replace(&mut one, present.next().await?);
            }
            let mut there = None;
            if other.as_ref().is_some_and(|row| row.key == key) {
                there = std::mem::replace(&mut other, restored.next().await?);
            }
            if here.as_ref().is_none_or(|row| row.version <= end) {
                self.compare((table, tenant), here, there);
            }
        }
    }

    /// Compares one document.
    fn compare(
        &mut self,
        (table, tenant): (&'static str, &TenantId),
        here: Option<Row>,
        there: Option<Row>,
    ) {
        let Some(row) = here.as_ref().or(there.as_ref()).filter(|_| here != there) else {
            return;
        };
        self.documents_total += 1;
        if self.documents.len() < MAX_NAMED {
            self.documents.push(Change {
                table,
                tenant: tenant.clone(),
                key: row.key.clone(),
                present: here.map(|row| row.version),
                restored: there.map(|row| row.version),
            });
        }
    }
}

/// All documents of one table and tenant, by key, a page at a time.
pub(crate) struct Rows<'a> {
    store: &'a dyn Store,
    table: &'static str,
    tenant: TenantId,
    after: Option<String>,
    page: std::vec::IntoIter<Row>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(store: &'a dyn Store, table: &'static str, tenant: &TenantId) -> Self {
        Self {
            store,
            table,
            tenant: tenant.clone(),
            after: Some(String::new()),
            page: Vec::new().into_iter(),
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        if let Some(row) = self.page.next() {
            return Ok(Some(row));
        }
        let Some(after) = self.after.take() else {
            return Ok(None);
        };
        let scan = Scan {
            table: self.table,
            tenant: self.tenant.clone(),
            filter: Filter::All { after },
            limit: MAX_READ,
        };
        let rows = self.store.scan(scan).await?;
        self.after = rows.last().map(|row| row.key.to_string());
        self.page = rows.into_iter();
        Ok(self.page.next())
    }
}
