use airside_base::VirtualClock;
use airside_testkit::idp::{Kind, Signer};
use serde_json::json;

use super::*;
use crate::token::tests::Stub;

const KEYS: &str = "https://idp.example/keys";

struct Desk {
    clock: VirtualClock,
    stub: Arc<Stub>,
    source: Arc<Source>,
}

fn desk(place: Place) -> Desk {
    let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
    let stub = Arc::new(Stub::default());
    let means = Means {
        clock: Arc::new(clock.clone()),
        fetch: stub.clone(),
        supervisor: Supervisor::new(),
    };
    let source = Source::new("corp", place, Reach::Public, means);
    Desk {
        clock,
        stub,
        source,
    }
}

fn key_set(id: &str) -> String {
    json!({"keys": [Signer::new(Kind::EdDsa, id).jwk()]}).to_string()
}

fn by_url() -> Desk {
    let desk = desk(Place::Url(KEYS.parse().unwrap()));
    desk.stub.serve(KEYS, key_set("one"));
    desk
}

impl Desk {
    async fn refreshed(&self) -> Result<Arc<Known>, Away> {
        self.source.clone().refreshed().await
    }
}

#[tokio::test]
async fn many_who_ask_cause_one_fetch_and_then_a_pause() {
    let desk = by_url();
    assert!(desk.source.known().is_none());
    let asking = (0..MAX_WAITING).map(|_| desk.refreshed());
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(desk.stub.count(KEYS), 1);
    // Tokens with made-up key ids: each asks, none reaches the issuer.
    for _ in 0..1000 {
        assert_eq!(desk.refreshed().await.unwrap().generation, 0);
    }
    assert_eq!(desk.stub.count(KEYS), 1);
    desk.clock.advance(PAUSE);
    desk.stub.serve(KEYS, key_set("two"));
    assert_eq!(desk.refreshed().await.unwrap().generation, 1);
    assert_eq!(desk.stub.count(KEYS), 2);
}

#[tokio::test]
async fn more_than_can_wait_are_told_to_come_back() {
    let desk = by_url();
    let asking = (0..MAX_WAITING + 10).map(|_| desk.refreshed());
    let answers = futures_util::future::join_all(asking).await;
    let away = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(away, 10);
}

#[tokio::test]
async fn last_good_keys_are_used_while_the_issuer_is_away_but_not_for_ever() {
    let desk = by_url();
    desk.refreshed().await.unwrap();
    desk.stub.fail(KEYS);
    desk.clock.advance(FRESH);
    // Old keys go on while they are fetched again.
    assert!(desk.source.known().is_some());
    desk.refreshed().await.unwrap();
    let tried = desk.stub.count(KEYS);
    assert!(tried >= 2, "{tried}");
    desk.clock
        .advance(LAST_GOOD - FRESH - Duration::from_secs(1));
    assert!(desk.source.known().is_some());
    desk.clock.advance(Duration::from_secs(1));
    assert!(desk.source.known().is_none());
    assert_eq!(desk.refreshed().await.map(drop), Err(Away));
    // And good again when it is back.
    desk.clock.advance(RETRY);
    desk.stub.serve(KEYS, key_set("one"));
    assert!(desk.refreshed().await.is_ok());
}

#[tokio::test]
async fn failed_fetch_is_tried_again_soon_not_at_once() {
    let desk = by_url();
    desk.stub.fail(KEYS);
    for _ in 0..100 {
        assert_eq!(desk.refreshed().await.map(drop), Err(Away));
    }
    assert_eq!(desk.stub.count(KEYS), 1);
    desk.clock.advance(RETRY);
    desk.stub.serve(KEYS, key_set("one"));
    assert!(desk.refreshed().await.is_ok());
}

#[tokio::test]
async fn garbled_key_set_replaces_nothing() {
    let desk = by_url();
    desk.refreshed().await.unwrap();
    for garbled in ["<html>", "{}", r#"{"keys":[]}"#] {
        desk.clock.advance(PAUSE);
        desk.stub.serve(KEYS, garbled.to_owned());
        assert_eq!(desk.refreshed().await.unwrap().generation, 0, "{garbled}");
    }
}

#[tokio::test]
async fn metadata_is_found_at_every_place_and_has_to_be_of_the_issuer() {
    let issuer = "https://idp.example/tenant";
    for place in [
        "https://idp.example/.well-known/oauth-authorization-server/tenant",
        "https://idp.example/.well-known/openid-configuration/tenant",
        "https://idp.example/tenant/.well-known/openid-configuration",
    ] {
        for (named, good) in [
            (issuer, true),
            ("https://idp.example", false),
            ("https://evil.example", false),
        ] {
            let desk = desk(Place::Discovered {
                issuer: issuer.to_owned(),
            });
            desk.stub.serve(KEYS, key_set("one"));
            let metadata = json!({"issuer": named, "jwks_uri": KEYS});
            desk.stub.serve(place, metadata.to_string());
            assert_eq!(desk.refreshed().await.is_ok(), good, "{place} {named}");
        }
    }
}

#[tokio::test]
async fn file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.json");
    std::fs::write(&path, key_set("one")).unwrap();
    let desk = desk(Place::File(path.clone()));
    assert_eq!(desk.refreshed().await.unwrap().generation, 0);
    std::fs::write(&path, key_set("two")).unwrap();
    desk.clock.advance(RETRY);
    assert_eq!(desk.refreshed().await.unwrap().generation, 1);
}
