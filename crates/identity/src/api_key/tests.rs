use airside_base::{TenantId, VirtualClock};
use proptest::prelude::*;

use super::*;
use crate::{
    PreviousKeyConfig,
    contract::{self, Sample},
};

const NOW: &str = "2026-11-23T12:00:00Z";

fn keys(minted: &Minted, not_after: Option<&str>) -> ApiKeys {
    let config = ApiKeyConfig {
        name: "ci".to_owned(),
        sha256: minted.sha256,
        tenant: TenantId::default(),
        groups: vec!["booking".to_owned()],
        not_after: not_after.map(|at| at.parse().unwrap()),
        previous: vec![],
    };
    let clock = VirtualClock::new(NOW.parse().unwrap());
    ApiKeys::new(&[config], Arc::new(clock))
}

fn check(verifier: &ApiKeys, authorization: &str, expected: &str) {
    let verdict = Sample::new()
        .header("authorization", authorization)
        .judge(verifier);
    assert_eq!(contract::render(&verdict), expected, "{authorization}");
}

#[test]
fn keeps_the_contract() {
    let minted = mint();
    let good = Sample::new().header(
        "authorization",
        &format!("Bearer {}", minted.secret.expose()),
    );
    contract::all(&keys(&minted, None), &good);
}

#[test]
fn minted_key_is_claimed_with_its_groups() {
    let minted = mint();
    let secret = minted.secret.expose();
    let verifier = keys(&minted, None);
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
        check(
            &verifier,
            &format!("{scheme} {secret}"),
            "api_key ci api_key",
        );
    }
    let Verdict::Claimed(claim) = Sample::new()
        .header("authorization", &format!("Bearer {secret}"))
        .judge(&verifier)
    else {
        panic!("claimed above");
    };
    assert_eq!(claim.caller().groups(), ["booking"]);
}

#[test]
fn other_keys_and_malformed_ones_are_refused() {
    let minted = mint();
    let secret = minted.secret.expose().as_str();
    let verifier = keys(&minted, None);
    check(
        &verifier,
        &format!("Bearer {}", mint().secret.expose()),
        "ID-003",
    );
    for malformed in [
        format!("Bearer {}", &secret[..secret.len() - 1]),
        format!("Bearer {secret}A"),
        format!("Bearer {}=", &secret[..secret.len() - 1]),
        format!("Bearer {secret} x"),
        format!("Bearer {secret}, Bearer {secret}"),
        format!("Basic {secret}"),
        format!("Bearer{secret}"),
        secret.to_owned(),
    ] {
        check(&verifier, &malformed, "ID-002");
    }
}

#[test]
fn other_credentials_are_passed() {
    let verifier = keys(&mint(), None);
    for foreign in [
        "Bearer eyJhbGciOiJFUzI1NiJ9.e30.AA",
        "Basic YTpi",
        "",
        "Bearer",
        "DPoP x",
    ] {
        check(&verifier, foreign, "passed");
    }
}

#[test]
fn expiry_is_inclusive_and_names_the_key_in_private_only() {
    let minted = mint();
    let authorization = format!("Bearer {}", minted.secret.expose());
    check(
        &keys(&minted, Some(NOW)),
        &authorization,
        "api_key ci api_key",
    );
    let expired = keys(&minted, Some("2026-11-23T11:59:59Z"));
    check(&expired, &authorization, "ID-004");
    let Verdict::Refused(error) = Sample::new()
        .header("authorization", &authorization)
        .judge(&expired)
    else {
        panic!("refused above");
    };
    let fault = error.fault();
    assert!(fault.private().is_some_and(|text| text.contains("`ci`")));
    assert!(!fault.to_string().contains("ci`"), "{fault}");
}

#[test]
fn replaced_key_is_the_same_caller_until_its_end_and_nobody_after() {
    let (old, new) = (mint(), mint());
    let config = ApiKeyConfig {
        name: "ci".to_owned(),
        sha256: new.sha256,
        tenant: TenantId::default(),
        groups: vec!["booking".to_owned()],
        not_after: None,
        previous: vec![PreviousKeyConfig {
            sha256: old.sha256,
            not_after: "2026-11-23T12:00:10Z".parse().unwrap(),
        }],
    };
    let clock = VirtualClock::new(NOW.parse().unwrap());
    let verifier = ApiKeys::new(&[config], Arc::new(clock.clone()));
    let show = |key: &Minted| {
        let authorization = format!("Bearer {}", key.secret.expose());
        let sample = Sample::new().header("authorization", &authorization);
        sample.with(|head| verifier.find(head))
    };
    let (before, after) = (show(&old).unwrap().unwrap(), show(&new).unwrap().unwrap());
    assert!(before.is_same_principal(&after));
    assert_eq!(before.groups(), after.groups());
    // Which of them came is in the record, so that one can see who still has the old one.
    let checked = |caller: &Caller| caller.evidence()[0].checked.clone();
    assert_eq!(
        checked(&before),
        [
            format!("digest of a previous key {}", old.sha256.short()),
            "expiry".to_owned()
        ]
    );
    assert_eq!(checked(&after)[0], format!("digest {}", new.sha256.short()));
    clock.advance(std::time::Duration::from_secs(10));
    assert!(show(&old).unwrap().is_some());
    clock.advance(std::time::Duration::from_nanos(1));
    assert_eq!(show(&old).unwrap_err().fault().code(), "ID-004");
    assert!(show(&new).unwrap().is_some());
}

#[test]
fn two_headers_are_refused_even_if_equal() {
    let minted = mint();
    let authorization = format!("Bearer {}", minted.secret.expose());
    let twice = Sample::new()
        .header("authorization", &authorization)
        .header("authorization", &authorization);
    assert_eq!(
        contract::render(&twice.judge(&keys(&minted, None))),
        "ID-002"
    );
}

#[test]
fn debug_shows_no_secret() {
    let minted = mint();
    let secret = minted.secret.expose();
    let text = format!("{minted:?} {:?}", keys(&minted, None));
    assert!(!text.contains(&secret[PREFIX.len()..]), "{text}");
}

proptest! {
    /// Only the exact key is claimed, whatever else the header holds.
    #[test]
    fn nothing_but_the_key_is_claimed(noise in proptest::collection::vec(0x20_u8..=0xff, 0..120), at in 0_usize..51) {
        prop_assume!(!noise.contains(&0x7f));
        let minted = mint();
        let verifier = keys(&minted, None);
        let verdict = Sample::new().header_bytes("authorization", &noise).judge(&verifier);
        prop_assert!(!matches!(verdict, Verdict::Claimed(_)));

        let mut changed = minted.secret.expose().clone().into_bytes();
        changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
        let changed = [b"Bearer ", changed.as_slice()].concat();
        let verdict = Sample::new().header_bytes("authorization", &changed).judge(&verifier);
        prop_assert!(!matches!(verdict, Verdict::Claimed(_)));
    }
}
