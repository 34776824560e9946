//! Keys of archives in a key management service.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use airside_archive::{Kms, KmsKey};
use airside_base::{BoxFuture, Clock, Timestamp, VirtualClock};
use airside_ledger::{
    stores::memory::Memory,
    vault::{DataKey, Vault, contract},
};
use airside_testkit::s3::Server;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};

use crate::{
    harness::{Rig, clock, draft},
    s3::{PASS, Place, UNAVAILABLE},
};

/// A clock whose pauses end at once. The network may be whole again after one.
#[derive(Debug)]
struct Impatient {
    clock: VirtualClock,
    mends: Option<Arc<AtomicU8>>,
}

impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.advance(duration);
        if let Some(network) = &self.mends {
            network.store(PASS, Ordering::SeqCst);
        }
        Box::pin(std::future::ready(()))
    }
}

/// What the real service says to a key that is not in use: moto has the states of keys,
/// but goes on using them (AWS KMS Developer Guide, "Key states").
pub(crate) async fn refusal(
    head: &Parts,
    asked: &Bytes,
    target: &str,
) -> Option<Response<Full<Bytes>>> {
    let operation = head.headers.get("x-amz-target")?.to_str().ok()?;
    if !matches!(operation, "TrentService.Encrypt" | "TrentService.Decrypt") {
        return None;
    }
    let asked: Value = serde_json::from_slice(asked).unwrap();
    let mut describe = Request::post(format!("http://{target}/"));
    describe.headers_mut().unwrap().clone_from(&head.headers);
    let headers = describe.headers_mut().unwrap();
    headers.insert("x-amz-target", "TrentService.DescribeKey".parse().unwrap());
    headers.remove("content-length");
    let body = json!({ "KeyId": asked["KeyId"] }).to_string();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(describe.body(Full::new(Bytes::from(body))).unwrap());
    let found = answer.await.unwrap().into_body().collect().await.unwrap();
    let found: Value = serde_json::from_slice(&found.to_bytes()).unwrap();
    let kind = match found["KeyMetadata"]["KeyState"].as_str() {
        Some("Disabled") => "DisabledException",
        Some("PendingDeletion") => "KMSInvalidStateException",
        _ => return None,
    };
    let told = json!({"__type": kind, "message": "the key is disabled or pending deletion"});
    let told = Full::new(Bytes::from(told.to_string()));
    Some(Response::builder().status(400).body(told).unwrap())
}

/// Returns the vault of a key that is reached as `place` is.
fn vault(place: &Place, arn: &str, mends: bool) -> Kms {
    let key = KmsKey {
        arn: arn.to_owned(),
        endpoint: place.access.endpoint.clone(),
        credentials: place.access.credentials.clone(),
    };
    let mends = mends.then(|| place.network.clone());
    let clock = Impatient {
        clock: clock(),
        mends,
    };
    Kms::new(&key, Arc::new(clock)).unwrap()
}

/// Wraps a key, and returns why that failed.
async fn refused(vault: &Kms) -> (&'static str, String) {
    let wrapped = vault.wrap(&DataKey::generate(), b"here").await;
    let error = wrapped.expect_err("refused");
    (error.fault().code(), error.to_string())
}

#[tokio::test]
async fn keys_of_a_service_keep_the_contract() {
    let place = Place::new().await;
    for (name, case) in contract::CASES {
        println!("{name}");
        let make = || Box::new(vault(&place, &place.server.kms_key().unwrap(), false));
        case(make(), make()).await;
    }
    place.end().await;
}

#[tokio::test]
async fn archive_comes_back_with_a_key_that_never_left_its_service() {
    let mut place = Place::new().await;
    let key = place.server.kms_key().unwrap();
    place.vault = Arc::new(vault(&place, &key, false));
    let store = Memory::new();
    let rig = Rig::on(Arc::new(store.clone())).await;
    let mut archiver = place.archiver(&rig).await;
    rig.ledger.append(vec![draft("a", 1)]).await.unwrap();
    assert_eq!(archiver.ship().await.unwrap().entries, 1);
    // Another process, which knows the key by its alias.
    let alias = key.rsplit_once(":key/").unwrap().0.to_owned() + ":alias/airside";
    let named = format!(r#"{{"AliasName":"alias/airside","TargetKeyId":"{key}"}}"#);
    place.server.kms("CreateAlias", &named).unwrap();
    place.vault = Arc::new(vault(&place, &alias, false));
    place.check(&rig, &store, 1).await;
    rig.stop().await;
    place.end().await;
}

#[tokio::test]
async fn service_that_fails_for_a_moment_is_asked_again() {
    let place = Place::new().await;
    let key = place.server.kms_key().unwrap();
    place.network.store(UNAVAILABLE, Ordering::SeqCst);
    let (code, text) = refused(&vault(&place, &key, false)).await;
    assert_eq!(code, "LED-160");
    assert!(text.contains(&key) && text.contains("503"), "{text}");
    let vault = vault(&place, &key, true);
    vault.wrap(&DataKey::generate(), b"here").await.unwrap();
    place.end().await;
}

#[tokio::test]
async fn key_that_cannot_be_used_is_named_with_the_reason() {
    let place = Place::new().await;
    let key = place.server.kms_key().unwrap();
    let named = format!(r#"{{"KeyId":"{}"}}"#, key.rsplit_once('/').unwrap().1);
    place.server.kms("DisableKey", &named).unwrap();
    let (code, text) = refused(&vault(&place, &key, false)).await;
    assert_eq!(code, "LED-161", "{text}");
    assert!(text.contains(&key) && text.contains("disabled"), "{text}");

    let unknown = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000";
    let (code, text) = refused(&vault(&place, unknown, false)).await;
    assert_eq!(code, "LED-162", "{text}");
    place.end().await;
}

#[tokio::test]
async fn words_of_another_server_are_no_answer() {
    // The storage itself: it answers, but not as a key management service.
    let server = Server::start().unwrap();
    let place = Place::new().await;
    let key = KmsKey {
        arn: "arn:aws:kms:us-east-1:123456789012:key/x".to_owned(),
        endpoint: Some(
            format!("http://{}/moto-api/", server.address())
                .parse()
                .unwrap(),
        ),
        credentials: place.access.credentials.clone(),
    };
    let (clock, mends) = (clock(), None);
    let vault = Kms::new(&key, Arc::new(Impatient { clock, mends })).unwrap();
    let (code, text) = refused(&vault).await;
    assert!(matches!(code, "LED-160" | "LED-161"), "{code}: {text}");
    assert!(!text.contains("something"), "no secret: {text}");
    place.end().await;
}

#[test]
fn place_of_a_key_has_to_be_clear_and_safe() {
    let code = |arn: &str, endpoint: Option<&str>| {
        let key = KmsKey {
            arn: arn.to_owned(),
            endpoint: endpoint.map(|url| url.parse().unwrap()),
            credentials: None,
        };
        let made = Kms::new(&key, Arc::new(clock()));
        made.map_or_else(|error| error.fault().code(), |_| "fine")
    };
    let key = "arn:aws:kms:eu-central-1:123456789012:key/1234";
    assert_eq!(code(key, None), "fine");
    assert_eq!(code(key, Some("http://127.0.0.1:1/")), "fine");
    assert_eq!(code(key, Some("http://kms.example.com/")), "LED-104");
    for wrong in [
        "",
        "alias/airside",
        "arn:aws:kms:eu-central-1:123456789012:key/",
        "arn:aws:kms::123456789012:key/1",
        "arn:aws:kms:eu.evil.example/:123456789012:key/1",
        "arn:aws:s3:eu-central-1:123456789012:key/1",
        "arn:aws:kms:eu-central-1:me:key/1",
        "arn:aws-moon:kms:eu-central-1:123456789012:key/1",
    ] {
        assert_eq!(code(wrong, None), "LED-163", "{wrong}");
    }
}
