use airside_base::{SystemClock, TenantId};

use super::*;
use crate::{ApiKeyConfig, Minted, contract::Sample, mint};

fn identity(anonymous_loopback: bool, keys: &[&Minted]) -> Identity {
    let api_key = keys
        .iter()
        .enumerate()
        .map(|(number, minted)| ApiKeyConfig {
            name: format!("key-{number}"),
            sha256: minted.sha256,
            tenant: TenantId::default(),
            groups: vec![],
            not_after: None,
        });
    let config = Config {
        anonymous_loopback,
        api_key: api_key.collect(),
    };
    Identity::new(&config, Arc::new(SystemClock::new())).unwrap()
}

fn check(identity: &Identity, sample: &Sample, expected: &str) {
    let found = match sample.with(|head| identity.identify(head)) {
        Ok(caller) => caller.id().to_owned(),
        Err(error) => error.fault().code().to_owned(),
    };
    assert_eq!(found, expected);
}

#[test]
fn nobody_is_let_in_by_default() {
    let closed = identity(false, &[]);
    check(&closed, &Sample::new(), "ID-001");
    let fault = Error::Nobody.fault();
    assert_eq!(fault.kind().http_status(), 401);
    assert!(
        fault
            .hint()
            .is_some_and(|hint| hint.contains("Bearer airside_"))
    );
}

#[test]
fn anonymous_loopback_has_to_be_enabled() {
    check(&identity(true, &[]), &Sample::new(), "loopback");
    check(
        &identity(true, &[]),
        &Sample::new().peer("192.0.2.1:1"),
        "ID-001",
    );
}

#[test]
fn a_bad_key_does_not_become_anonymous() {
    let open = identity(true, &[]);
    let with = |value: &str| Sample::new().header("authorization", value);
    check(
        &open,
        &with(&format!("Bearer {}", mint().secret.expose())),
        "ID-003",
    );
    check(&open, &with("Bearer airside_short"), "ID-002");
    check(&open, &with("Bearer not-ours"), "ID-001");
}

#[test]
fn each_key_is_its_own_caller() {
    let (one, other) = (mint(), mint());
    let identity = identity(true, &[&one, &other]);
    for (minted, id) in [(&one, "key-0"), (&other, "key-1")] {
        let sample = Sample::new().peer("192.0.2.1:1").header(
            "authorization",
            &format!("Bearer {}", minted.secret.expose()),
        );
        check(&identity, &sample, id);
    }
}

#[test]
fn every_refusal_carries_a_challenge_without_secrets() {
    let errors = [
        Error::Nobody,
        Error::Malformed("x"),
        Error::UnknownKey,
        Error::ExpiredKey {
            name: "ci".into(),
            not_after: "2026-01-01T00:00:00Z".parse().unwrap(),
        },
        Error::Proxied { header: "via" },
    ];
    for error in errors {
        assert!(error.challenge().starts_with("Bearer realm="));
        assert_eq!(error.fault().kind().http_status(), 401);
    }
}
