use std::{collections::HashMap, sync::Mutex};

use airside_base::{BoxFuture, Supervisor, VirtualClock};
use airside_testkit::idp::{Kind as Key, Signer, proof};
use serde_json::{Value, json};

use super::*;
use crate::{
    Config, Fetch, FetchError, FetchRequest, Fetched, Identified, Identity, contract::Sample,
};

const ISSUER: &str = "https://idp.example";
const METADATA: &str = "https://idp.example/.well-known/oauth-authorization-server";
const KEYS: &str = "https://idp.example/keys";
const LOOK_UP: &str = "https://idp.example/introspect";
const HERE: &str = "https://mcp.example.com/mcp";
const NOW: &str = "2026-11-23T12:00:00Z";

/// Serves documents from memory and counts.
#[derive(Debug, Default)]
pub(super) struct Stub {
    documents: Mutex<HashMap<String, Option<String>>>,
    seen: Mutex<Vec<(String, Option<String>)>>,
}

impl Stub {
    pub(super) fn serve(&self, url: &str, document: String) {
        self.documents
            .lock()
            .unwrap()
            .insert(url.to_owned(), Some(document));
    }

    pub(super) fn fail(&self, url: &str) {
        self.documents.lock().unwrap().insert(url.to_owned(), None);
    }

    pub(super) fn count(&self, url: &str) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|(seen, _)| seen == url)
            .count()
    }
}

impl Fetch for Stub {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<Fetched, FetchError>> {
        let url = request.url.to_string();
        let form = request.form.map(|form| form.expose().clone());
        self.seen.lock().unwrap().push((url.clone(), form));
        let answer = match self.documents.lock().unwrap().get(&url) {
            Some(Some(document)) => Ok(Fetched {
                headers: HeaderMap::new(),
                body: document.clone().into(),
            }),
            Some(None) => Err(FetchError::Timeout { limit_ms: 5000 }),
            None => Err(FetchError::Status { status: 404 }),
        };
        Box::pin(async {
            // As an answer from elsewhere would, it comes later.
            tokio::task::yield_now().await;
            answer
        })
    }
}

/// An installation, an issuer and a clock.
struct Desk {
    clock: VirtualClock,
    stub: Arc<Stub>,
    signer: Signer,
    identity: Identity,
}

fn desk_of(config: &str) -> Desk {
    let clock = VirtualClock::new(NOW.parse().unwrap());
    let stub = Arc::new(Stub::default());
    let outside = Outside {
        clock: Arc::new(clock.clone()),
        fetch: stub.clone(),
        supervisor: Supervisor::new(),
        previous: None,
    };
    let config: Config = serde_json::from_str(config).unwrap();
    let identity = Identity::new(&config, &outside).unwrap();
    let signer = Signer::new(Key::Es256, "one");
    stub.serve(
        METADATA,
        json!({"issuer": ISSUER, "jwks_uri": KEYS}).to_string(),
    );
    stub.serve(KEYS, json!({"keys": [signer.jwk()]}).to_string());
    Desk {
        clock,
        stub,
        signer,
        identity,
    }
}

/// A desk whose issuer has these settings as well.
fn desk(more: &str) -> Desk {
    desk_of(&format!(
        r#"{{"resource": {{"url": "https://mcp.example.com"}},
            "issuer": [{{"name": "corp", "url": "{ISSUER}" {more}}}]}}"#
    ))
}

impl Desk {
    fn now(&self) -> i64 {
        use airside_base::Clock as _;
        self.clock.now().as_second()
    }

    fn claims(&self, more: Value) -> Value {
        let now = self.now();
        let mut claims = json!({
            "iss": ISSUER, "aud": HERE, "client_id": "agent", "sub": "ann",
            "iat": now, "exp": now + 300, "scope": "hotels.read",
        });
        let Value::Object(more) = more else {
            panic!("an object")
        };
        let all = claims.as_object_mut().unwrap();
        for (name, value) in more {
            match value {
                Value::Null => drop(all.remove(&name)),
                value => drop(all.insert(name, value)),
            }
        }
        claims
    }

    fn token(&self, more: Value) -> String {
        self.signed(&json!({"typ": "at+jwt"}), more)
    }

    fn signed(&self, header: &Value, more: Value) -> String {
        self.signer.sign(header, &self.claims(more))
    }

    async fn claim(&self, sample: &Sample) -> Result<Claim, Error> {
        sample
            .with(|head| self.identity.identify(head))
            .resolve()
            .await
    }

    async fn judge(&self, sample: &Sample) -> String {
        match self.claim(sample).await {
            Ok(claim) => claim.caller().kind().as_str().to_owned(),
            Err(error) => error.fault().code().to_owned(),
        }
    }

    async fn check(&self, token: &str, expected: &str) {
        let found = self.judge(&bearer(token)).await;
        assert_eq!(found, expected, "{token}");
    }
}

fn bearer(token: &str) -> Sample {
    Sample::new().header("authorization", &format!("Bearer {token}"))
}

#[tokio::test]
async fn token_names_client_person_and_what_was_checked() {
    let desk = desk("");
    let token = desk.token(json!({"act": {"sub": "travel-agent"}}));
    let claim = desk.claim(&bearer(&token)).await.unwrap();
    let caller = claim.caller();
    assert_eq!(caller.kind().as_str(), "token");
    assert_eq!(caller.attestation().as_str(), "oauth");
    assert_eq!(
        (caller.client(), caller.issuer()),
        (Some("agent"), Some(ISSUER))
    );
    assert_eq!(caller.subject(), Some("ann"));
    assert_eq!(caller.actors(), ["travel-agent"]);
    assert_eq!(caller.scopes(), ["hotels.read"]);
    let [evidence] = caller.evidence() else {
        panic!("one piece")
    };
    assert_eq!(evidence.verifier, "jwt");
    assert_eq!(
        evidence.checked,
        ["signature ES256", "issuer", "audience", "expiry"]
    );
    // The second time without asking anybody, with the same result.
    let Identified::Now(Ok(again)) = bearer(&token).with(|head| desk.identity.identify(head))
    else {
        panic!("it is known");
    };
    assert_eq!(again, claim);
    assert_eq!(desk.stub.count(KEYS), 1);
}

#[tokio::test]
async fn tokens_of_others_and_for_others_are_refused() {
    let desk = desk("");
    desk.check(&desk.token(json!({})), "token").await;
    for audience in [
        json!("https://mcp.example.com"),
        json!("https://mcp.example.com/mcp/"),
        json!("https://mcp.example.com/mcp/hotels"),
        json!("https://evil.example/mcp"),
        json!(["x", "y"]),
        json!([]),
        json!({}),
        Value::Null,
    ] {
        desk.check(&desk.token(json!({"aud": audience})), "ID-026")
            .await;
    }
    desk.check(&desk.token(json!({"aud": ["x", HERE]})), "token")
        .await;
    for issuer in [
        json!("https://idp.example/"),
        json!("https://evil.example"),
        Value::Null,
    ] {
        desk.check(&desk.token(json!({"iss": issuer})), "ID-023")
            .await;
    }
    // The key of another, under the same id.
    let other = Signer::new(Key::Es256, "one");
    let forged = other.sign(&json!({"typ": "at+jwt"}), &desk.claims(json!({})));
    desk.check(&forged, "ID-024").await;
}

#[tokio::test]
async fn times_are_held_to_with_tolerance() {
    let desk = desk(r#", "clock-skew-s": 10"#);
    let now = desk.now();
    desk.check(&desk.token(json!({"exp": now - 9})), "token")
        .await;
    desk.check(&desk.token(json!({"exp": now - 10})), "ID-025")
        .await;
    desk.check(&desk.token(json!({"exp": Value::Null})), "ID-028")
        .await;
    desk.check(&desk.token(json!({"exp": "soon"})), "ID-028")
        .await;
    desk.check(&desk.token(json!({"nbf": now + 10})), "token")
        .await;
    desk.check(&desk.token(json!({"nbf": now + 11})), "ID-025")
        .await;
    desk.check(&desk.token(json!({"iat": now + 11})), "ID-025")
        .await;
    // One that is remembered ends as well.
    let token = desk.token(json!({"exp": now + 60}));
    desk.check(&token, "token").await;
    desk.clock.advance(std::time::Duration::from_secs(69));
    desk.check(&token, "token").await;
    desk.clock.advance(std::time::Duration::from_secs(1));
    desk.check(&token, "ID-025").await;
}

#[tokio::test]
async fn kinds_of_tokens_that_are_no_access_tokens_are_refused() {
    let strict = desk("");
    let typed = |typ: Value| strict.signed(&json!({"typ": typ}), json!({}));
    strict
        .check(&typed(json!("application/at+jwt")), "token")
        .await;
    for typ in [
        "JWT",
        "dpop+jwt",
        "oauth-id-jag+jwt",
        "logout+jwt",
        "secevent+jwt",
    ] {
        strict.check(&typed(json!(typ)), "ID-022").await;
    }
    strict.check(&typed(Value::Null), "ID-022").await;
    let lenient = desk(r#", "token-types": ["at+jwt", "JWT"]"#);
    let typed = |typ: Value, more| lenient.signed(&json!({"typ": typ}), more);
    lenient
        .check(&typed(json!("JWT"), json!({})), "token")
        .await;
    lenient.check(&typed(Value::Null, json!({})), "token").await;
    for sign_in in ["nonce", "at_hash", "c_hash"] {
        let id_token = typed(json!("JWT"), json!({sign_in: "x"}));
        lenient.check(&id_token, "ID-022").await;
    }
    lenient
        .check(&typed(json!("dpop+jwt"), json!({})), "ID-022")
        .await;
}

#[tokio::test]
async fn algorithm_none_key_confusion_and_extensions_are_refused() {
    let desk = desk("");
    let claims = desk.claims(json!({})).to_string();
    let unsigned =
        Signer::new(Key::Hs256, "one").sign_text(r#"{"alg":"none","typ":"at+jwt"}"#, &claims);
    let unsigned = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
    desk.check(&unsigned, "ID-022").await;
    // The published key, byte for byte, as a shared secret.
    let public = desk.signer.jwk().to_string();
    let confused = Signer::secret("one", public.as_bytes());
    desk.check(
        &confused.sign(&json!({"typ": "at+jwt"}), &desk.claims(json!({}))),
        "ID-022",
    )
    .await;
    desk.check(
        &desk.signed(&json!({"typ": "at+jwt", "crit": ["exp"]}), json!({})),
        "ID-021",
    )
    .await;
    // A key that the token brings along proves nothing.
    let own = Signer::new(Key::Es256, "own");
    let header = json!({"typ": "at+jwt", "jwk": own.bare(), "jku": "https://evil.example"});
    desk.check(&own.sign(&header, &desk.claims(json!({}))), "ID-024")
        .await;
    // An algorithm that is good and not configured.
    let only = super::tests::desk(r#", "algorithms": ["RS256"]"#);
    only.check(&only.token(json!({})), "ID-022").await;
    let large = desk.token(json!({"x": "y".repeat(jose::MAX_TOKEN)}));
    desk.check(&large, "ID-021").await;
    for junk in [
        "a.b.c",
        "eyJ.eyJ.x",
        "eyJhbGciOiJFUzI1NiJ9..",
        "ey..",
        "a b",
        "ü",
    ] {
        let found = desk.judge(&bearer(junk)).await;
        assert!(found.starts_with("ID-02"), "{junk} {found}");
    }
}

#[tokio::test]
async fn rotated_keys_are_found_and_the_old_ones_forgotten() {
    let mut desk = desk("");
    let old = desk.token(json!({}));
    desk.check(&old, "token").await;
    desk.signer = Signer::new(Key::EdDsa, "two");
    let new = desk.token(json!({}));
    // The issuer has not published it yet, and is asked no more often than agreed.
    desk.clock.advance(keys::PAUSE);
    desk.check(&new, "ID-024").await;
    desk.stub
        .serve(KEYS, json!({"keys": [desk.signer.jwk()]}).to_string());
    for _ in 0..20 {
        desk.check(&new, "ID-024").await;
    }
    assert_eq!(desk.stub.count(KEYS), 2);
    desk.clock.advance(keys::PAUSE);
    desk.check(&new, "token").await;
    assert_eq!(desk.stub.count(KEYS), 3);
    // What the withdrawn key signed is not good any more, although it was remembered.
    desk.check(&old, "ID-024").await;
}

#[tokio::test]
async fn issuer_that_is_away_is_not_the_callers_fault() {
    let desk = desk("");
    desk.stub.fail(METADATA);
    let error = desk
        .claim(&bearer(&desk.token(json!({}))))
        .await
        .unwrap_err();
    let fault = error.fault();
    assert_eq!((fault.code(), fault.kind().http_status()), ("ID-035", 503));
    assert!(fault.retry_after().is_some());
    assert!(desk.identity.challenges(&error, "/mcp").is_empty());
}

#[tokio::test]
async fn reload_keeps_keys_and_seen_proofs() {
    let desk = desk("");
    let token = desk.token(json!({"cnf": {"jkt": desk.signer.thumbprint()}}));
    let once = proof(&desk.signer, HERE, &token, desk.now(), json!({}));
    let sample = || {
        let authorization = format!("DPoP {token}");
        Sample::new()
            .header("authorization", &authorization)
            .header("dpop", &once)
    };
    assert_eq!(desk.judge(&sample()).await, "token");
    let outside = Outside {
        clock: Arc::new(desk.clock.clone()),
        fetch: desk.stub.clone(),
        supervisor: Supervisor::new(),
        previous: Some(&desk.identity),
    };
    let config = format!(
        r#"{{"resource": {{"url": "https://mcp.example.com"}},
            "issuer": [{{"name": "corp", "url": "{ISSUER}", "clients": ["agent"]}}]}}"#
    );
    let config: Config = serde_json::from_str(&config).unwrap();
    let next = Identity::new(&config, &outside).unwrap();
    let found = sample().with(|head| next.identify(head)).resolve().await;
    assert_eq!(found.unwrap_err().fault().code(), "ID-031");
    assert_eq!(desk.stub.count(KEYS), 1);
}

#[tokio::test]
async fn bound_token_needs_a_proof_and_a_plain_one_may_have_none() {
    let desk = desk("");
    let bound = desk.token(json!({"cnf": {"jkt": desk.signer.thumbprint()}}));
    let with = |token: &str, proofs: &[&str]| {
        let mut sample = Sample::new().header("authorization", &format!("DPoP {token}"));
        for proof in proofs {
            sample = sample.header("dpop", proof);
        }
        sample
    };
    let fresh = |url: &str| proof(&desk.signer, url, &bound, desk.now(), json!({}));
    assert_eq!(desk.judge(&bearer(&bound)).await, "ID-033");
    assert_eq!(desk.judge(&with(&bound, &[])).await, "ID-033");
    assert_eq!(desk.judge(&with(&bound, &[&fresh(HERE)])).await, "token");
    assert_eq!(
        desk.judge(&with(&bound, &[&fresh(HERE), &fresh(HERE)]))
            .await,
        "ID-030"
    );
    assert_eq!(
        desk.judge(&with(&bound, &[&fresh("https://mcp.example.com/mcp/x")]))
            .await,
        "ID-030"
    );
    let once = fresh(HERE);
    assert_eq!(desk.judge(&with(&bound, &[&once])).await, "token");
    assert_eq!(desk.judge(&with(&bound, &[&once])).await, "ID-031");
    let plain = desk.token(json!({}));
    assert_eq!(desk.judge(&with(&plain, &[&fresh(HERE)])).await, "ID-033");
    // A binding that is not verified here must not look as if it were.
    let by_name = desk.token(json!({"cnf": {"kid": "x"}}));
    desk.check(&by_name, "ID-028").await;
    let required = super::tests::desk(r#", "dpop": "required""#);
    required.check(&required.token(json!({})), "ID-033").await;
}

#[tokio::test]
async fn token_bound_to_a_certificate_needs_that_certificate() {
    use rustls::pki_types::CertificateDer;
    let desk = desk("");
    let certificate = |bytes: &[u8]| {
        let chain = vec![CertificateDer::from(bytes.to_vec())];
        PeerCertificate::new(chain).unwrap()
    };
    // SHA-256 of `abc` (FIPS 180-2, appendix B.1), in base64url.
    let bound = json!({"x5t#S256": "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"});
    let token = desk.token(json!({"cnf": bound}));
    desk.check(&token, "ID-072").await;
    let other = bearer(&token).certificate(certificate(b"abd"));
    assert_eq!(desk.judge(&other).await, "ID-072");
    // It is the one; that nobody here knows its platform is another matter.
    let own = bearer(&token).certificate(certificate(b"abc"));
    assert_eq!(desk.judge(&own).await, "ID-050");
    // Nor is it a DPoP-bound token, whatever the scheme says.
    let authorization = format!("DPoP {token}");
    let dpop = Sample::new().header("authorization", &authorization);
    let dpop = dpop.certificate(certificate(b"abc"));
    assert_eq!(desk.judge(&dpop).await, "ID-033");
}

#[tokio::test]
async fn server_number_is_asked_for_and_taken() {
    let desk = desk(r#", "dpop": "nonce""#);
    let token = desk.token(json!({"cnf": {"jkt": desk.signer.thumbprint()}}));
    let with = |more: Value| {
        let proof = proof(&desk.signer, HERE, &token, desk.now(), more);
        let authorization = format!("DPoP {token}");
        Sample::new()
            .header("authorization", &authorization)
            .header("dpop", &proof)
    };
    let error = desk.claim(&with(json!({}))).await.unwrap_err();
    assert_eq!(error.fault().code(), "ID-032");
    let fields = desk.identity.challenges(&error, "/mcp");
    let texts: Vec<_> = fields
        .iter()
        .map(|(_, value)| value.to_str().unwrap())
        .collect();
    assert!(texts[1].contains(r#"error="use_dpop_nonce""#), "{texts:?}");
    assert_eq!(fields[2].0, "dpop-nonce");
    assert_eq!(desk.judge(&with(json!({"nonce": texts[2]}))).await, "token");
}

#[tokio::test]
async fn token_without_content_is_looked_up_once_in_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3 cret\n").unwrap();
    let desk = desk(&format!(
        r#", "introspection": {{"url": "{LOOK_UP}", "client-id": "gate way",
            "client-secret-file": "{}", "cache-s": 30}}"#,
        secret.display()
    ));
    let answer = |more: Value| {
        let mut claims = desk.claims(more);
        claims["active"] = json!(true);
        desk.stub.serve(LOOK_UP, claims.to_string());
    };
    answer(json!({}));
    for _ in 0..5 {
        desk.check("opaque~1", "token").await;
    }
    assert_eq!(desk.stub.count(LOOK_UP), 1);
    let form = desk.stub.seen.lock().unwrap().last().unwrap().1.clone();
    assert_eq!(
        form.as_deref(),
        Some("token=opaque%7E1&token_type_hint=access_token")
    );
    // Revoked: known after the time that an answer is used.
    desk.stub.serve(LOOK_UP, r#"{"active": false}"#.to_owned());
    desk.check("opaque~1", "token").await;
    desk.clock.advance(std::time::Duration::from_secs(30));
    for _ in 0..5 {
        desk.check("opaque~1", "ID-029").await;
    }
    assert_eq!(desk.stub.count(LOOK_UP), 2);
    // The answer is held to the same rules.
    for (number, (more, expected)) in [
        (json!({"aud": "https://evil.example"}), "ID-026"),
        (json!({"aud": Value::Null}), "ID-026"),
        (json!({"iss": "https://evil.example"}), "ID-023"),
        (json!({"exp": 1}), "ID-025"),
        (json!({"cnf": {"jkt": "x"}}), "ID-033"),
        (
            json!({"client_id": Value::Null, "sub": Value::Null}),
            "ID-028",
        ),
        (json!({"exp": Value::Null}), "token"),
    ]
    .into_iter()
    .enumerate()
    {
        answer(more);
        desk.check(&format!("other{number}"), expected).await;
    }
    for odd in [
        r#"{"active": "true"}"#,
        r#"{"active": false, "active": true}"#,
        "[]",
    ] {
        desk.stub.serve(LOOK_UP, odd.to_owned());
        let token = format!("odd{}", odd.len());
        let found = desk.judge(&bearer(&token)).await;
        assert!(
            matches!(found.as_str(), "ID-029" | "ID-035"),
            "{odd} {found}"
        );
    }
    desk.stub.fail(LOOK_UP);
    desk.check("away", "ID-035").await;
    // Signed ones are not sent to anybody.
    let asked = desk.stub.count(LOOK_UP);
    desk.check(&desk.token(json!({})), "token").await;
    assert_eq!(desk.stub.count(LOOK_UP), asked);
}

#[tokio::test]
async fn workload_is_named_by_its_spiffe_id() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle.json");
    let desk = desk_of(&format!(
        r#"{{"resource": {{"url": "https://mcp.example.com"}},
            "trust-domain": [{{"name": "prod.example", "bundle-file": "{}", "tenant": "acme", "groups": ["batch"]}}]}}"#,
        bundle.display()
    ));
    let mut key = desk.signer.jwk();
    key["use"] = json!("jwt-svid");
    std::fs::write(
        &bundle,
        json!({"keys": [key], "spiffe_sequence": 1}).to_string(),
    )
    .unwrap();
    let svid = |more: Value| {
        let mut all =
            json!({"iss": null, "client_id": null, "sub": "spiffe://prod.example/ns/a/sa/b"});
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        desk.signed(&json!({"typ": "JWT"}), all)
    };
    let claim = desk.claim(&bearer(&svid(json!({})))).await.unwrap();
    let caller = claim.caller();
    assert_eq!(caller.id(), "spiffe://prod.example/ns/a/sa/b");
    assert_eq!(caller.kind().as_str(), "workload");
    assert_eq!(
        (caller.tenant().as_str(), caller.groups()),
        ("acme", &["batch".to_owned()][..])
    );
    assert_eq!(caller.evidence()[0].verifier, "jwt_svid");
    desk.check(&svid(json!({"aud": "other"})), "ID-026").await;
    desk.check(&svid(json!({"exp": 1})), "ID-025").await;
    desk.check(&svid(json!({"sub": "spiffe://other.example/a"})), "ID-023")
        .await;
    desk.check(
        &desk.signed(
            &json!({"typ": "at+jwt"}),
            json!({"iss": null, "sub": "spiffe://prod.example/a"}),
        ),
        "ID-022",
    )
    .await;
    // Workloads have no scopes.
    assert!(
        desk.identity
            .check_scopes(caller, "tools/call", None)
            .is_ok()
    );
    assert!(desk.identity.resource_metadata("/mcp").is_none());
}

#[tokio::test]
async fn keys_of_this_installation_and_other_schemes_are_not_tokens() {
    let desk = desk("");
    let minted = crate::mint();
    desk.check(minted.secret.expose(), "ID-003").await;
    let basic = Sample::new().header("authorization", "Basic YTpi");
    assert_eq!(desk.judge(&basic).await, "ID-001");
    let twice = bearer("x").header("authorization", "Bearer y");
    assert_eq!(desk.judge(&twice).await, "ID-021");
    desk.check("opaque", "ID-023").await;
}

#[tokio::test]
async fn labels_are_not_identity() {
    let desk = desk("");
    let token = desk.token(json!({}));
    let plain = desk.claim(&bearer(&token)).await.unwrap();
    let labelled = bearer(&token).header("user-agent", "openai-mcp/1.0");
    assert_eq!(desk.claim(&labelled).await.unwrap(), plain);
}

#[tokio::test]
async fn errors_hold_no_part_of_a_token() {
    let desk = desk("");
    for token in [desk.token(json!({"aud": "x"})), "opaque-s3cret".to_owned()] {
        let error = desk.claim(&bearer(&token)).await.unwrap_err();
        let text = format!("{error:?} {error} {:?}", error.fault().private());
        assert!(!text.contains(&token) && !text.contains("s3cret"), "{text}");
    }
}
