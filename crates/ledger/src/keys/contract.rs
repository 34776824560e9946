//! What every [`KeyStore`] must do.

use std::collections::BTreeSet;

use airside_base::{BoxFuture, TenantId};

use super::{Grave, Kept, KeyStore};
use crate::{
    personal::{KeyId, Purpose, Slot, SubjectId},
    vault::Wrapped,
};

/// One sentence of the contract, given an empty store.
pub type Case = fn(store: Box<dyn KeyStore>) -> BoxFuture<'static, ()>;

/// All of it, by name.
pub const CASES: &[(&str, Case)] = &[
    ("keeps the first key of a slot", |store| {
        Box::pin(keeps_the_first_key_of_a_slot(store))
    }),
    ("keeps slots apart", |store| {
        Box::pin(keeps_slots_apart(store))
    }),
    ("destroys what was named and nothing else", |store| {
        Box::pin(destroys_what_was_named_and_nothing_else(store))
    }),
    ("gives a destroyed slot a new key", |store| {
        Box::pin(gives_a_destroyed_slot_a_new_key(store))
    }),
    ("buries known and unknown keys", |store| {
        Box::pin(buries_known_and_unknown_keys(store))
    }),
];

fn slot(tenant: &str, subject: &str, purpose: Purpose, scope: &str) -> Slot {
    Slot {
        tenant: tenant.parse().expect("a tenant"),
        subject: subject.parse().expect("a subject"),
        purpose,
        scope: scope.into(),
    }
}

fn kept(id: &str) -> Kept {
    Kept {
        id: KeyId::new(id),
        wrapped: Wrapped {
            vault: "v".to_owned(),
            key: id.as_bytes().to_vec(),
        },
    }
}

fn grave(purpose: Purpose, key: &str) -> Grave {
    let key = KeyId::new(key);
    Grave { purpose, key }
}

async fn keep(store: &dyn KeyStore, slot: &Slot, id: &str) -> Kept {
    let kept = store.keep(slot.clone(), kept(id)).await;
    kept.expect("keep")
}

async fn find(store: &dyn KeyStore, slot: &Slot) -> Option<Kept> {
    store.find(slot.clone()).await.expect("find")
}

/// Returns whether the key is live (`Some(true)`), destroyed or not known.
async fn state(store: &dyn KeyStore, tenant: &str, id: &str) -> Option<bool> {
    let tenant: TenantId = tenant.parse().expect("a tenant");
    let record = store
        .look_up(tenant, KeyId::new(id))
        .await
        .expect("look up");
    record.map(|record| record.wrapped.is_some())
}

const SERVICE: Purpose = Purpose::Service;

async fn keeps_the_first_key_of_a_slot(store: Box<dyn KeyStore>) {
    let slot = slot("a", "subject-1", SERVICE, "part");
    assert_eq!(find(&*store, &slot).await, None);
    assert_eq!(keep(&*store, &slot, "one").await, kept("one"));
    assert_eq!(keep(&*store, &slot, "two").await, kept("one"));
    assert_eq!(find(&*store, &slot).await, Some(kept("one")));
    assert_eq!(state(&*store, "a", "two").await, None);
    let found = store.look_up(slot.tenant.clone(), KeyId::new("one")).await;
    let record = found.expect("look up").expect("it is known");
    assert_eq!((record.subject, record.purpose), (slot.subject, SERVICE));
    assert_eq!(
        (&*record.scope, record.wrapped),
        ("part", Some(kept("one").wrapped))
    );
}

async fn keeps_slots_apart(store: Box<dyn KeyStore>) {
    let slots = [
        slot("a", "subject-1", SERVICE, ""),
        slot("b", "subject-1", SERVICE, ""),
        slot("a", "subject-2", SERVICE, ""),
        slot("a", "subject-1", Purpose::Law, ""),
        slot("a", "subject-1", SERVICE, "part"),
    ];
    for (number, slot) in slots.iter().enumerate() {
        let id = number.to_string();
        assert_eq!(keep(&*store, slot, &id).await, kept(&id));
    }
    for (number, slot) in slots.iter().enumerate() {
        assert_eq!(find(&*store, slot).await, Some(kept(&number.to_string())));
    }
    assert_eq!(state(&*store, "b", "0").await, None);
}

async fn destroys_what_was_named_and_nothing_else(store: Box<dyn KeyStore>) {
    let named = slot("a", "subject-1", SERVICE, "");
    keep(&*store, &named, "one").await;
    keep(&*store, &slot("a", "subject-1", SERVICE, "part"), "two").await;
    keep(&*store, &slot("a", "subject-1", Purpose::Law, ""), "law").await;
    keep(
        &*store,
        &slot("b", "subject-1", SERVICE, ""),
        "other-tenant",
    )
    .await;
    keep(&*store, &slot("a", "subject-2", SERVICE, ""), "other").await;
    let destroy = || {
        let purposes = BTreeSet::from([SERVICE]);
        store.destroy(named.tenant.clone(), named.subject.clone(), purposes)
    };
    let expected = [grave(SERVICE, "one"), grave(SERVICE, "two")];
    for _ in 0..2 {
        let mut graves = destroy().await.expect("destroy");
        graves.sort();
        assert_eq!(graves, expected);
    }
    assert_eq!(find(&*store, &named).await, None);
    assert_eq!(state(&*store, "a", "one").await, Some(false));
    assert_eq!(state(&*store, "a", "two").await, Some(false));
    assert_eq!(state(&*store, "a", "law").await, Some(true));
    assert_eq!(state(&*store, "a", "other").await, Some(true));
    assert_eq!(state(&*store, "b", "other-tenant").await, Some(true));
    let live = store.live(named.tenant, named.subject).await;
    assert_eq!(live.expect("list"), BTreeSet::from([Purpose::Law]));
}

async fn gives_a_destroyed_slot_a_new_key(store: Box<dyn KeyStore>) {
    let slot = slot("a", "subject-1", SERVICE, "");
    keep(&*store, &slot, "one").await;
    let purposes = BTreeSet::from(Purpose::ALL);
    let destroyed = store.destroy(slot.tenant.clone(), slot.subject.clone(), purposes);
    assert_eq!(destroyed.await.expect("destroy"), [grave(SERVICE, "one")]);
    assert_eq!(keep(&*store, &slot, "two").await, kept("two"));
    assert_eq!(state(&*store, "a", "one").await, Some(false));
    assert_eq!(state(&*store, "a", "two").await, Some(true));
}

async fn buries_known_and_unknown_keys(store: Box<dyn KeyStore>) {
    let slot = slot("a", "subject-1", SERVICE, "part");
    keep(&*store, &slot, "one").await;
    let subject: SubjectId = "subject-1".parse().expect("a subject");
    for _ in 0..2 {
        let graves = vec![grave(SERVICE, "one"), grave(SERVICE, "never-seen")];
        let buried = store.bury(slot.tenant.clone(), subject.clone(), graves);
        buried.await.expect("bury");
        assert_eq!(state(&*store, "a", "one").await, Some(false));
        assert_eq!(state(&*store, "a", "never-seen").await, Some(false));
        assert_eq!(state(&*store, "b", "never-seen").await, None);
    }
    assert_eq!(find(&*store, &slot).await, None);
    let live = store.live(slot.tenant, subject).await;
    assert_eq!(live.expect("list"), BTreeSet::new());
}
