//! Callers with access tokens of an identity provider, over real connections.

use std::sync::Arc;

use airside_base::{Clock, Supervisor, SystemClock};
use airside_testkit::idp::{Idp, Kind, Mood, Signer, proof};
use aws_lc_rs::digest;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::harness::{House, Reply, Setup, call, headers};

/// Where clients reach the gateway, as far as it knows.
const HERE: &str = "https://mcp.example.com/mcp";
const METADATA: &str = "/.well-known/oauth-protected-resource";

struct Desk {
    house: House,
    idp: Idp,
    clock: SystemClock,
    /// Of the identity provider: it outlives the gateway.
    _tasks: Supervisor,
}

impl Desk {
    /// A gateway that trusts an identity provider on these terms as well.
    async fn open(more: Value) -> Self {
        let (tasks, clock) = (Supervisor::new(), SystemClock::new());
        let idp = Idp::start(&tasks, Arc::new(clock.clone())).await;
        let mut issuer = json!({"name": "corp", "url": idp.issuer()});
        for (name, value) in more.as_object().unwrap() {
            issuer[name] = value.clone();
        }
        let identity = json!({
            "resource": {"url": "https://mcp.example.com", "name": "Hotels"},
            "issuer": [issuer],
            "scope": [
                {"name": "mcp", "methods": ["*"]},
                {"name": "hotels.book", "tools": ["hotels/book"]},
            ],
        });
        let house = House::with(Setup {
            anonymous: false,
            identity: serde_json::from_value(identity).unwrap(),
            ..Setup::default()
        });
        let house = house.await;
        Self {
            house,
            idp,
            clock,
            _tasks: tasks,
        }
    }

    async fn plain() -> Self {
        Self::open(json!({})).await
    }

    fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    async fn call(&self, tool: &str, fields: &[(&str, &str)]) -> Reply {
        let mut all = headers("tools/call", tool);
        all.extend_from_slice(fields);
        self.house.post(&all, call(tool)).await
    }

    async fn with_token(&self, tool: &str, token: &str) -> Reply {
        let authorization = format!("Bearer {token}");
        self.call(tool, &[("authorization", &authorization)]).await
    }

    async fn check(&self, token: &str, expected: &str) {
        let reply = self.with_token("search", token).await;
        assert_eq!(reply.verdict(), expected);
    }
}

fn challenges(reply: &Reply) -> Vec<&str> {
    let fields = reply.headers.get_all("www-authenticate").iter();
    fields.map(|field| field.to_str().unwrap()).collect()
}

const GOOD: &str = "200 0 -";

#[tokio::test]
async fn stranger_is_told_where_to_get_a_token_and_comes_back_with_one() {
    let desk = Desk::plain().await;
    let reply = desk.call("search", &[]).await;
    assert_eq!(reply.verdict(), "401 40100 ID-001");
    let bearer = challenges(&reply)[0];
    let hint = reply.json()["error"]["data"]["hint"].to_string();
    assert!(hint.contains(METADATA), "{hint}");
    let pointed = format!(r#"resource_metadata="https://mcp.example.com{METADATA}/mcp""#);
    assert!(
        bearer.contains(&pointed) && bearer.contains(r#"scope="mcp""#),
        "{bearer}"
    );

    for path in [METADATA.to_owned(), format!("{METADATA}/mcp")] {
        // Pages of others may read it; other hosts may not serve it.
        let fields = [("origin", "https://inspector.example")];
        let reply = desk.house.send("GET", &path, &fields, "".into()).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.headers["access-control-allow-origin"], "*");
        let document = reply.json();
        assert_eq!(document["resource"], HERE);
        assert_eq!(
            document["authorization_servers"],
            json!([desk.idp.issuer()])
        );
        let fields = [("host", "evil.example")];
        let reply = desk.house.send("GET", &path, &fields, "".into()).await;
        assert_eq!(reply.verdict(), "403 -32600 GW-001");
        let reply = desk.house.send("OPTIONS", &path, &[], "".into()).await;
        assert_eq!(reply.status, 204);
    }
    let reply = desk
        .house
        .send("GET", &format!("{METADATA}/hotels"), &[], "".into())
        .await;
    assert_eq!(reply.status, 404);

    let token = desk
        .idp
        .token(HERE, json!({"scope": "mcp", "act": {"sub": "portal"}}));
    desk.check(&token, GOOD).await;
    let entries = desk.house.entries(1).await;
    let (kind, entry) = &entries[0];
    assert_eq!(kind, "call.completed");
    let identity = &entry["identity"];
    assert_eq!(identity["verifier"], "jwt");
    assert_eq!(identity["issuer"], desk.idp.issuer());
    assert_eq!(identity["client"], "agent");
    assert_eq!(identity["actors"], json!(["portal"]));
    assert_eq!(identity["scopes"], json!(["mcp"]));
    assert_eq!(entry["subject"]["caller"]["attestation"], "oauth");
    // The person is in the record by a name that says nothing elsewhere, the token not
    // at all.
    let text = entry.to_string();
    assert!(!text.contains("ann") && !text.contains(&token), "{text}");
}

#[tokio::test]
async fn missing_scope_is_asked_for_with_all_that_the_operation_needs() {
    let desk = Desk::plain().await;
    let token = desk.idp.token(HERE, json!({"scope": "mcp"}));
    let reply = desk.with_token("book", &token).await;
    assert_eq!(reply.verdict(), "403 40300 ID-034");
    assert_eq!(reply.json()["id"], 7);
    let bearer = challenges(&reply)[0];
    assert!(bearer.contains(r#"error="insufficient_scope""#), "{bearer}");
    assert!(bearer.contains(r#"scope="mcp hotels.book""#), "{bearer}");
    assert_eq!(desk.house.ending(1).await, "call.refused refused ID-034");
    let token = desk.idp.token(HERE, json!({"scope": "mcp hotels.book"}));
    assert_eq!(desk.with_token("book", &token).await.verdict(), GOOD);
}

#[tokio::test]
async fn tokens_that_are_wrong_go_nowhere() {
    let desk = Desk::plain().await;
    let idp = &desk.idp;
    let scope = json!({"scope": "mcp"});
    desk.check(&idp.token(HERE, scope.clone()), GOOD).await;
    desk.check(
        &idp.token("https://mcp.example.com", scope.clone()),
        "401 40100 ID-026",
    )
    .await;
    desk.check(&idp.token(HERE, json!({"exp": 1})), "401 40100 ID-025")
        .await;
    desk.check(
        &idp.token(HERE, json!({"iss": "https://evil.example"})),
        "401 40100 ID-023",
    )
    .await;
    let foreign = Signer::new(Kind::Es256, "one");
    let claims = json!({"iss": idp.issuer(), "aud": HERE, "sub": "eve", "exp": desk.now() + 60});
    desk.check(
        &foreign.sign(&json!({"typ": "at+jwt"}), &claims),
        "401 40100 ID-024",
    )
    .await;
    desk.check("opaque", "401 40100 ID-023").await;
    // Never in the query.
    let token = idp.token(HERE, scope);
    let path = format!("/mcp?access_token={token}");
    let fields = headers("tools/call", "search");
    let body = call("search").into();
    let reply = desk.house.send("POST", &path, &fields, body);
    assert_eq!(reply.await.verdict(), "401 40100 ID-001");
    // The token is for the gateway: no upstream sees it.
    assert!(
        desk.house
            .upstream
            .calls()
            .iter()
            .all(|seen| !seen.headers.contains_key("authorization"))
    );
}

#[tokio::test]
async fn rotation_is_followed_and_made_up_keys_cause_no_storm() {
    let desk = Desk::plain().await;
    let scope = json!({"scope": "mcp"});
    desk.check(&desk.idp.token(HERE, scope.clone()), GOOD).await;
    assert_eq!(desk.idp.fetches(), 1);
    let foreign = Signer::new(Kind::Es256, "made-up");
    let claims =
        json!({"iss": desk.idp.issuer(), "aud": HERE, "sub": "eve", "exp": desk.now() + 60});
    let calls = (0..50).map(|_| async {
        let token = foreign.sign(&json!({"typ": "at+jwt"}), &claims);
        desk.check(&token, "401 40100 ID-024").await;
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(desk.idp.fetches(), 1);
    // Every key type, each as the only key of a fresh gateway's issuer.
    for kind in [Kind::Rs256, Kind::Ps256, Kind::EdDsa] {
        let desk = Desk::plain().await;
        desk.idp.rotate(kind, "two");
        desk.check(&desk.idp.token(HERE, scope.clone()), GOOD).await;
    }
}

#[tokio::test]
async fn misbehaving_issuer_lets_nobody_in_and_hangs_nobody() {
    for mood in [
        Mood::Away,
        Mood::Impostor,
        Mood::Garbled,
        Mood::Endless,
        Mood::Elsewhere,
        Mood::Silent,
    ] {
        let desk = Desk::plain().await;
        let token = desk.idp.token(HERE, json!({"scope": "mcp"}));
        desk.idp.be(mood);
        let reply = desk.with_token("search", &token).await;
        assert_eq!(reply.verdict(), "503 50300 ID-035", "{mood:?}");
        assert_eq!(reply.headers["retry-after"], "5");
    }
}

#[tokio::test]
async fn known_issuer_that_goes_away_is_not_missed() {
    let desk = Desk::plain().await;
    desk.check(&desk.idp.token(HERE, json!({"scope": "mcp"})), GOOD)
        .await;
    desk.idp.be(Mood::Away);
    let another = desk
        .idp
        .token(HERE, json!({"scope": "mcp", "client_id": "b"}));
    desk.check(&another, GOOD).await;
    assert_eq!(desk.idp.fetches(), 1);
}

#[tokio::test]
async fn bound_token_is_good_with_its_key_and_its_body_only() {
    let desk = Desk::plain().await;
    let key = Signer::new(Kind::Es256, "own");
    let claims = json!({"scope": "mcp", "cnf": {"jkt": key.thumbprint()}});
    let token = desk.idp.token(HERE, claims);
    desk.check(&token, "401 40100 ID-033").await;
    let send = async |more: Value| {
        let proof = proof(&key, HERE, &token, desk.now(), more);
        let authorization = format!("DPoP {token}");
        let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
        let first = desk.call("search", &fields).await.verdict();
        (first, desk.call("search", &fields).await.verdict())
    };
    let (first, again) = send(json!({})).await;
    assert_eq!((first.as_str(), again.as_str()), (GOOD, "401 40100 ID-031"));
    // Over the bytes as they came.
    let digest_of = |body: &str| {
        let digest = digest::digest(&digest::SHA256, body.as_bytes());
        format!("sha-256=:{}:", BASE64_STANDARD.encode(digest))
    };
    let (first, _) = send(json!({"content_digest": digest_of(&call("search"))})).await;
    assert_eq!(first, GOOD);
    let (first, _) = send(json!({"content_digest": digest_of(&call("book"))})).await;
    assert_eq!(first, "401 40100 ID-020");
    let (first, _) = send(json!({"htu": "http://mcp.example.com/mcp"})).await;
    assert_eq!(first, "401 40100 ID-030");
}

#[tokio::test]
async fn token_without_content_is_looked_up_and_its_revocation_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    // The provider is asked where its metadata says; the client is not known yet.
    std::fs::write(&secret, "wrong").unwrap();
    let introspection =
        json!({"client-id": "gateway", "client-secret-file": secret, "cache-s": 300});
    let desk = Desk::open(json!({"introspection": introspection})).await;
    let token = desk.idp.opaque(HERE, json!({"scope": "mcp"}));
    desk.check(&token, "503 50300 ID-035").await;
    assert_eq!(desk.idp.lookups(), 1);

    let tasks = Supervisor::new();
    let idp = Idp::start(&tasks, Arc::new(SystemClock::new())).await;
    std::fs::write(&secret, idp.register("gateway")).unwrap();
    let introspection =
        json!({"client-id": "gateway", "client-secret-file": secret, "cache-s": 300});
    let terms = json!({"url": idp.issuer(), "introspection": introspection});
    let desk = Desk::open(terms).await;
    let token = idp.opaque(HERE, json!({"scope": "mcp"}));
    for _ in 0..3 {
        desk.check(&token, GOOD).await;
    }
    assert_eq!(idp.lookups(), 1);
    let revoked = idp.opaque(HERE, json!({"scope": "mcp"}));
    idp.revoke(&revoked);
    for _ in 0..3 {
        desk.check(&revoked, "401 40100 ID-029").await;
    }
    desk.check("made-up", "401 40100 ID-029").await;
    assert_eq!(idp.lookups(), 3);
    let elsewhere = idp.opaque("https://other.example", json!({}));
    desk.check(&elsewhere, "401 40100 ID-026").await;
}
