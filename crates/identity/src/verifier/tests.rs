use airside_base::{SystemClock, TenantId};

use super::*;
use crate::{ApiKeyConfig, Attestation, CallerKind, Minted, contract::Sample, mint};

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
            previous: vec![],
        });
    let config = Config {
        anonymous_loopback,
        api_key: api_key.collect(),
        ..Config::default()
    };
    Identity::new(&config, &Outside::offline(Arc::new(SystemClock::new()))).unwrap()
}

fn check(identity: &Identity, sample: &Sample, expected: &str) {
    let id = |decided: Result<Caller, Error>| match decided {
        Ok(caller) => caller.id().to_owned(),
        Err(error) => error.fault().code().to_owned(),
    };
    let Identified::Now(decided) = sample.with(|head| identity.identify(head)) else {
        panic!("nothing has to be asked");
    };
    assert_eq!(id(decided.map(|claim| claim.caller().clone())), expected);
    assert_eq!(
        id(sample.with(|head| identity.identify_by_key(head))),
        expected
    );
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
        Error::Body,
    ];
    let identity = identity(false, &[]);
    for error in errors {
        let fields = identity.challenges(&error, "/mcp");
        let [(name, value)] = fields.as_slice() else {
            panic!("one field: {fields:?}");
        };
        assert_eq!(name, "www-authenticate");
        assert!(value.to_str().unwrap().starts_with("Bearer realm="));
        assert_eq!(error.fault().kind().http_status(), 401);
    }
}

/// Answers what it was given, if the header `channel` names it.
#[derive(Debug)]
struct Channel(&'static str, fn() -> Verdict);

impl Verifier for Channel {
    fn verify(&self, head: &Head<'_>) -> Verdict {
        let named = head.headers.get_all("channel").iter();
        match named.into_iter().any(|name| name == self.0) {
            true => (self.1)(),
            false => Verdict::Passed,
        }
    }
}

fn claim(kind: CallerKind, attestation: Attestation) -> Claim {
    Caller::new(
        kind,
        kind.as_str(),
        TenantId::default(),
        attestation,
        vec![],
    )
    .into()
}

fn with_channels(key: &Minted) -> Identity {
    let mut identity = identity(true, &[key]);
    let verifiers = Arc::get_mut(&mut identity.verifiers).unwrap();
    verifiers.channels = vec![
        Box::new(Channel("platform", || {
            Verdict::Claimed(claim(CallerKind::Certificate, Attestation::Mtls))
        })),
        Box::new(Channel("signed", || {
            let claim = claim(CallerKind::SignedAgent, Attestation::HttpSignature);
            Verdict::Asking(Box::pin(async { Ok(Some(claim)) }))
        })),
        Box::new(Channel("unjudged", || {
            Verdict::Asking(Box::pin(async { Ok(None) }))
        })),
        Box::new(Channel("forged", || {
            Verdict::Asking(Box::pin(async { Err(Error::UnknownKey) }))
        })),
        Box::new(Channel("broken", || Verdict::Refused(Error::UnknownKey))),
    ];
    identity
}

async fn check_channels(identity: &Identity, channels: &[&str], key: Option<&str>, expected: &str) {
    let mut sample = Sample::new();
    for channel in channels {
        sample = sample.header("channel", channel);
    }
    if let Some(key) = key {
        sample = sample.header("authorization", &format!("Bearer {key}"));
    }
    let identified = sample.with(|head| identity.identify(head));
    let found = match identified.resolve().await {
        Ok(claim) => {
            let caller = claim.caller();
            format!("{} {}", caller.id(), caller.attestation().as_str())
        }
        Err(error) => error.fault().code().to_owned(),
    };
    assert_eq!(found, expected, "{channels:?} {key:?}");
}

#[tokio::test]
async fn credentials_name_the_caller_and_channels_support_it() {
    let minted = mint();
    let identity = with_channels(&minted);
    let key = Some(minted.secret.expose().as_str());
    let cases = [
        (&[][..], None, "loopback none"),
        (&["platform"], None, "certificate mtls"),
        (&["signed"], None, "signed_agent http_signature"),
        (&["platform", "signed"], None, "certificate mtls"),
        (&["unjudged"], None, "loopback none"),
        (&[], key, "key-0 api_key"),
        (&["platform"], key, "key-0 mtls"),
        (&["signed"], key, "key-0 http_signature"),
        (&["unjudged"], key, "key-0 api_key"),
        // Credentials that nobody understands are not overlooked.
        (&["platform"], Some("eyJ"), "ID-001"),
        // What is wrong ends it, whatever else there is.
        (&["platform", "broken"], key, "ID-003"),
        (&["platform", "forged"], key, "ID-003"),
        (&["platform"], Some("airside_x"), "ID-002"),
    ];
    for (channels, key, expected) in cases {
        check_channels(&identity, channels, key, expected).await;
    }
}
