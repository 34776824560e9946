//! A key store for tests: everything is lost with the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::ready,
    sync::{Arc, Mutex, MutexGuard},
};

use airside_base::{BoxFuture, TenantId};

use super::{Grave, Kept, KeyStore, KeyStoreError, Record};
use crate::personal::{KeyId, Purpose, Slot, SubjectId};

type Keys = BTreeMap<(TenantId, KeyId), Record>;

/// A [`KeyStore`] in memory. Clones share the same content.
#[derive(Clone, Debug, Default)]
pub struct MemoryKeys {
    keys: Arc<Mutex<Keys>>,
}

impl MemoryKeys {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

fn find(keys: &Keys, slot: &Slot) -> Option<Kept> {
    keys.iter().find_map(|((tenant, id), record)| {
        let same = *tenant == slot.tenant
            && record.subject == slot.subject
            && record.purpose == slot.purpose
            && record.scope == slot.scope;
        let wrapped = record.wrapped.clone().filter(|_| same)?;
        let id = id.clone();
        Some(Kept { id, wrapped })
    })
}

impl KeyStore for MemoryKeys {
    fn find(&self, slot: Slot) -> BoxFuture<'_, Result<Option<Kept>, KeyStoreError>> {
        Box::pin(ready(Ok(find(&self.lock(), &slot))))
    }

    fn keep(&self, slot: Slot, fresh: Kept) -> BoxFuture<'_, Result<Kept, KeyStoreError>> {
        let mut keys = self.lock();
        let kept = find(&keys, &slot).unwrap_or_else(|| {
            let record = Record {
                subject: slot.subject,
                purpose: slot.purpose,
                scope: slot.scope,
                wrapped: Some(fresh.wrapped.clone()),
            };
            keys.insert((slot.tenant, fresh.id.clone()), record);
            fresh
        });
        Box::pin(ready(Ok(kept)))
    }

    fn look_up(
        &self,
        tenant: TenantId,
        id: KeyId,
    ) -> BoxFuture<'_, Result<Option<Record>, KeyStoreError>> {
        Box::pin(ready(Ok(self.lock().get(&(tenant, id)).cloned())))
    }

    fn live(
        &self,
        tenant: TenantId,
        subject: SubjectId,
    ) -> BoxFuture<'_, Result<BTreeSet<Purpose>, KeyStoreError>> {
        let keys = self.lock();
        let of_subject = keys
            .iter()
            .filter(|((owner, _), record)| *owner == tenant && record.subject == subject);
        let live = of_subject.filter(|(_, record)| record.wrapped.is_some());
        Box::pin(ready(Ok(live.map(|(_, record)| record.purpose).collect())))
    }

    fn destroy(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        purposes: BTreeSet<Purpose>,
    ) -> BoxFuture<'_, Result<Vec<Grave>, KeyStoreError>> {
        let mut graves = Vec::new();
        for ((owner, id), record) in self.lock().iter_mut() {
            let purpose = record.purpose;
            if *owner == tenant && record.subject == subject && purposes.contains(&purpose) {
                record.wrapped = None;
                let key = id.clone();
                graves.push(Grave { purpose, key });
            }
        }
        Box::pin(ready(Ok(graves)))
    }

    fn bury(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        graves: Vec<Grave>,
    ) -> BoxFuture<'_, Result<(), KeyStoreError>> {
        let mut keys = self.lock();
        for grave in graves {
            let record = keys
                .entry((tenant.clone(), grave.key))
                .or_insert_with(|| Record {
                    subject: subject.clone(),
                    purpose: grave.purpose,
                    scope: "".into(),
                    wrapped: None,
                });
            record.wrapped = None;
        }
        Box::pin(ready(Ok(())))
    }
}
