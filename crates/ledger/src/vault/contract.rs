//! What every [`Vault`] must do.

use airside_base::BoxFuture;

use super::{DataKey, Vault, VaultError};

/// One sentence of the contract, given two vaults with different keys.
pub type Case = fn(vault: Box<dyn Vault>, other: Box<dyn Vault>) -> BoxFuture<'static, ()>;

/// All of it, by name.
pub const CASES: &[(&str, Case)] = &[
    ("returns what it wrapped", |vault, _| {
        Box::pin(returns_what_it_wrapped(vault))
    }),
    ("refuses another context", |vault, _| {
        Box::pin(refuses_another_context(vault))
    }),
    ("names the key that is needed", |vault, other| {
        Box::pin(names_the_key_that_is_needed(vault, other))
    }),
    ("finds every changed byte", |vault, _| {
        Box::pin(finds_every_changed_byte(vault))
    }),
    ("is of no use once destroyed", |vault, _| {
        Box::pin(is_of_no_use_once_destroyed(vault))
    }),
];

async fn returns_what_it_wrapped(vault: Box<dyn Vault>) {
    let key = DataKey::generate();
    let wrapped = vault.wrap(&key, b"here").await.expect("wrap");
    assert_eq!(wrapped.vault, vault.id().await.expect("a name"));
    let plain = key.expose().as_slice();
    let found = wrapped.key.windows(plain.len()).any(|part| part == plain);
    assert!(!found, "the key is not in what wraps it");
    let again = vault.wrap(&key, b"here").await.expect("wrap");
    assert_ne!(wrapped.key, again.key, "wrapping is randomised");
    let unwrapped = vault.unwrap(&wrapped, b"here").await.expect("unwrap");
    assert_eq!(unwrapped.expose(), key.expose());
}

async fn refuses_another_context(vault: Box<dyn Vault>) {
    let key = DataKey::generate();
    let wrapped = vault.wrap(&key, b"here").await.expect("wrap");
    let refused = vault.unwrap(&wrapped, b"there").await;
    assert!(
        matches!(refused, Err(VaultError::Tampered(_))),
        "{refused:?}"
    );
}

async fn names_the_key_that_is_needed(vault: Box<dyn Vault>, other: Box<dyn Vault>) {
    let wrapped = vault.wrap(&DataKey::generate(), b"here").await;
    let wrapped = wrapped.expect("wrap");
    let refused = other.unwrap(&wrapped, b"here").await;
    let (needed, present) = (vault.id().await, other.id().await);
    let (needed, present) = (needed.expect("a name"), present.expect("a name"));
    assert!(
        matches!(&refused, Err(VaultError::OtherKey { wrapped_by, present: found })
            if *wrapped_by == needed && *found == present),
        "{refused:?}"
    );
}

async fn finds_every_changed_byte(vault: Box<dyn Vault>) {
    let key = DataKey::generate();
    let wrapped = vault.wrap(&key, b"here").await.expect("wrap");
    for at in 0..wrapped.key.len() {
        let mut changed = wrapped.clone();
        changed.key[at] ^= 1;
        let refused = vault.unwrap(&changed, b"here").await;
        assert!(refused.is_err(), "byte {at} was changed");
    }
    let mut cut = wrapped;
    cut.key.clear();
    vault.unwrap(&cut, b"here").await.expect_err("nothing left");
}

async fn is_of_no_use_once_destroyed(vault: Box<dyn Vault>) {
    let key = DataKey::generate();
    let wrapped = vault.wrap(&key, b"here").await.expect("wrap");
    vault.destroy().await.expect("destroy");
    vault.destroy().await.expect("destroy what is gone");
    let refused = vault.unwrap(&wrapped, b"here").await;
    assert!(matches!(refused, Err(VaultError::Destroyed)), "{refused:?}");
    let refused = vault.wrap(&key, b"here").await;
    assert!(matches!(refused, Err(VaultError::Destroyed)), "{refused:?}");
}
