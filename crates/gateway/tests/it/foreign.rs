//! Callers with tokens of an identity provider that we did not write.

use airside_base::{Clock as _, SystemClock};
use airside_gateway::config::ClientCertificates;
use airside_testkit::{
    idp::{
        Kind, Signer,
        foreign::{Answer, Foreign, SignIn, basic, send},
        proof,
    },
    pki::{Issued, Name},
};
use aws_lc_rs::digest;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http::Method;
use serde_json::{Value, json};

use crate::{
    harness::{House, Reply, Setup, call, headers, post_over},
    tls_listener::{HOST, Pki},
};

/// Where clients reach the gateway, as far as it knows.
const HERE: &str = "https://mcp.example.com/mcp";
const BACK: &str = "https://app.example/back";
const SECRET: &str = "secret of tests 7h3";
const GOOD: &str = "200 0 -";
/// What a client asks for, beside its grant.
const ASKED: [(&str, &str); 2] = [("resource", HERE), ("scope", "mcp")];

struct Desk {
    house: House,
    identity: airside_identity::Config,
    idp: Foreign,
    /// Of the client that signs.
    key: Signer,
    _folder: tempfile::TempDir,
}

fn clients(key: &Signer) -> Value {
    let batch = |id: &str| {
        json!({
            "client_id": id, "client_secret": SECRET, "grant_types": ["client_credentials"],
            "redirect_uris": [], "response_types": [],
            "token_endpoint_auth_method": "client_secret_basic",
        })
    };
    let mut bound = batch("bound");
    bound["tls_client_certificate_bound_access_tokens"] = json!(true);
    let mut signer = batch("signer");
    signer["token_endpoint_auth_method"] = json!("private_key_jwt");
    signer["token_endpoint_auth_signing_alg"] = json!("ES256");
    signer["jwks"] = json!({"keys": [key.jwk()]});
    signer.as_object_mut().unwrap().remove("client_secret");
    let app = json!({
        "client_id": "app", "grant_types": ["authorization_code"], "redirect_uris": [BACK],
        "response_types": ["code"], "token_endpoint_auth_method": "none",
    });
    json!([
        batch("batch"),
        batch("opaque-batch"),
        batch("gateway"),
        bound,
        signer,
        app
    ])
}

impl Desk {
    async fn open() -> Option<Self> {
        Self::with(Setup::default()).await
    }

    /// Opens a gateway that trusts the provider; none where that is not installed.
    async fn with(mut setup: Setup) -> Option<Self> {
        let key = Signer::new(Kind::Es256, "of the client");
        let idp = Foreign::start(&clients(&key))?;
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, SECRET).unwrap();
        let identity = json!({
            "resource": {"url": "https://mcp.example.com"},
            "issuer": [{
                "name": "foreign", "url": idp.issuer(),
                "introspection": {"client-id": "gateway", "client-secret-file": secret},
            }],
            "scope": [{"name": "mcp", "methods": ["*"]}],
        });
        let certificate = std::mem::take(&mut setup.identity.certificate);
        setup.identity = serde_json::from_value(identity).unwrap();
        setup.identity.certificate = certificate;
        setup.anonymous = false;
        let identity = setup.identity.clone();
        let house = House::with(setup).await;
        Some(Self {
            house,
            identity,
            idp,
            key,
            _folder: folder,
        })
    }

    /// Asks the provider for a token.
    async fn ask(&self, fields: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
        let mut all = vec![("grant_type", "client_credentials")];
        all.extend_from_slice(form);
        send(Method::POST, &self.idp.at("/token"), fields, Some(&all)).await
    }

    async fn token_of(&self, client: &str, resource: &str) -> String {
        let authorization = basic(client, SECRET);
        let form = [("resource", resource), ("scope", "mcp")];
        let fields = [("authorization", authorization.as_str())];
        self.ask(&fields, &form).await.token()
    }

    async fn call(&self, fields: &[(&str, &str)]) -> Reply {
        let mut all = headers("tools/call", "search");
        all.extend_from_slice(fields);
        self.house.post(&all, call("search")).await
    }

    async fn check(&self, token: &str, expected: &str) {
        let authorization = format!("Bearer {token}");
        let reply = self.call(&[("authorization", &authorization)]).await;
        assert_eq!(reply.verdict(), expected);
    }
}

fn now() -> i64 {
    SystemClock::new().now().as_second()
}

#[tokio::test]
async fn client_with_its_secret_is_admitted_for_this_endpoint_and_no_other() {
    let Some(desk) = Desk::open().await else {
        return;
    };
    let token = desk.token_of("batch", HERE).await;
    desk.check(&token, GOOD).await;
    let entries = desk.house.entries(1).await;
    let identity = &entries[0].1["identity"];
    assert_eq!(identity["issuer"], desk.idp.issuer());
    assert_eq!(identity["client"], "batch");
    assert_eq!(identity["scopes"], json!(["mcp"]));
    assert_eq!(entries[0].1["subject"]["caller"]["id"], "foreign/batch");
    assert_eq!(entries[0].1["subject"]["caller"]["attestation"], "oauth");
    for elsewhere in ["https://other.example/mcp", "https://mcp.example.com"] {
        let token = desk.token_of("batch", elsewhere).await;
        desk.check(&token, "401 40100 ID-026").await;
    }
    // Without the scope it is asked for.
    let authorization = basic("batch", SECRET);
    let fields = [("authorization", authorization.as_str())];
    let plain = desk.ask(&fields, &[("resource", HERE)]).await.token();
    desk.check(&plain, "403 40300 ID-034").await;
}

#[tokio::test]
async fn client_that_signs_its_own_assertion_is_admitted() {
    let Some(desk) = Desk::open().await else {
        return;
    };
    let assert = |key: &Signer| {
        let claims = json!({
            "iss": "signer", "sub": "signer", "aud": desk.idp.issuer(),
            "jti": airside_base::secret_token(), "iat": now(), "exp": now() + 60,
        });
        key.sign(&json!({}), &claims)
    };
    let ask = async |assertion: &str| {
        let mut form = ASKED.to_vec();
        form.extend([
            ("client_id", "signer"),
            ("client_assertion", assertion),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
        ]);
        desk.ask(&[], &form).await
    };
    let token = ask(&assert(&desk.key)).await.token();
    desk.check(&token, GOOD).await;
    let stranger = Signer::new(Kind::Es256, "of the client");
    assert_eq!(ask(&assert(&stranger)).await.status, 401);
}

#[tokio::test]
async fn person_signs_in_and_the_application_calls_for_her() {
    let Some(desk) = Desk::open().await else {
        return;
    };
    let (authorize, token) = (desk.idp.at("/auth"), desk.idp.at("/token"));
    let sign_in = SignIn {
        authorize: &authorize,
        token: &token,
        client: "app",
        redirect: BACK,
        resource: HERE,
        scope: "mcp",
    };
    let token = sign_in.run(None).await.token();
    desk.check(&token, GOOD).await;
    let entries = desk.house.entries(1).await;
    let identity = &entries[0].1["identity"];
    assert_eq!(identity["client"], "app");
    // She is in the entry by a name that says nothing elsewhere.
    assert!(identity["subject"].is_string(), "{identity}");
    assert!(!entries[0].1.to_string().contains("ann"));
    // Whoever caught the code alone gets nothing for it.
    let guessed = sign_in.run(Some(&airside_base::secret_token())).await;
    assert_eq!(guessed.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn bound_token_is_good_with_its_key_only() {
    let Some(desk) = Desk::open().await else {
        return;
    };
    let key = Signer::new(Kind::Es256, "own");
    let authorization = basic("batch", SECRET);
    let place = desk.idp.at("/token");
    let shown = proof(&key, &place, "", now(), json!({"ath": null}));
    let fields = [("authorization", authorization.as_str()), ("dpop", &shown)];
    let answer = desk.ask(&fields, &ASKED).await;
    assert_eq!(answer.json()["token_type"], "DPoP");
    let token = answer.token();
    desk.check(&token, "401 40100 ID-033").await;
    let verdict = async |key: &Signer| {
        let shown = proof(key, HERE, &token, now(), json!({}));
        let authorization = format!("DPoP {token}");
        let fields = [("authorization", authorization.as_str()), ("dpop", &shown)];
        desk.call(&fields).await.verdict()
    };
    assert_eq!(verdict(&key).await, GOOD);
    let thief = Signer::new(Kind::Es256, "own");
    assert_eq!(verdict(&thief).await, "401 40100 ID-030");
}

#[tokio::test]
async fn rotation_at_the_provider_is_followed() {
    let Some(desk) = Desk::open().await else {
        return;
    };
    // The first key this gateway sees is the provider's second.
    desk.idp.rotate().await;
    let second = desk.token_of("batch", HERE).await;
    desk.check(&second, GOOD).await;
    desk.idp.rotate().await;
    // A key id that is not known is looked for once in a while, not with each call.
    let third = desk.token_of("batch", HERE).await;
    desk.check(&third, "401 40100 ID-024").await;
    desk.check(&second, GOOD).await;
    let setup = Setup {
        anonymous: false,
        identity: desk.identity.clone(),
        ..Setup::default()
    };
    let fresh = House::with(setup).await;
    let authorization = format!("Bearer {third}");
    let mut fields = headers("tools/call", "search");
    fields.push(("authorization", &authorization));
    let reply = fresh.post(&fields, call("search")).await;
    assert_eq!(reply.verdict(), GOOD);
}

#[tokio::test]
async fn token_without_content_is_looked_up_and_its_revocation_noticed() {
    let Some(desk) = Desk::open().await else {
        return;
    };
    let token = desk.token_of("opaque-batch", HERE).await;
    assert!(!token.contains('.'), "{token}");
    desk.check(&token, GOOD).await;
    let entries = desk.house.entries(1).await;
    assert_eq!(entries[0].1["identity"]["verifier"], "introspection");
    let elsewhere = desk.token_of("opaque-batch", "https://other.example").await;
    desk.check(&elsewhere, "401 40100 ID-026").await;
    let revoked = desk.token_of("opaque-batch", HERE).await;
    let authorization = basic("opaque-batch", SECRET);
    let fields = [("authorization", authorization.as_str())];
    let place = desk.idp.at("/token/revocation");
    let form = [("token", revoked.as_str())];
    let answer = send(Method::POST, &place, &fields, Some(&form)).await;
    assert_eq!(answer.status, 200);
    desk.check(&revoked, "401 40100 ID-029").await;
}

#[tokio::test]
async fn token_bound_to_a_certificate_is_good_over_its_connections_only() {
    let pki = Pki::new();
    let Some(desk) = Desk::with(pki.setup(ClientCertificates::Optional)).await else {
        return;
    };
    // Of the same platform, with keys of their own.
    let own = pki.clients.issue(&[Name::Dns(HOST)]);
    let other = pki.clients.issue(&[Name::Dns(HOST)]);
    let call = async |shown: Option<&Issued>, token: &str| {
        let authorization = format!("Bearer {token}");
        let mut fields = headers("tools/call", "search");
        fields.push(("authorization", &authorization));
        let stream = pki.connect(&desk.house, shown).await.unwrap();
        let host = desk.house.address.to_string();
        let reply = post_over(stream, &host, &fields, call("search")).await;
        reply.unwrap().verdict()
    };
    let authorization = basic("bound", SECRET);
    let field = format!(":{}:", BASE64_STANDARD.encode(&own.der));
    let fields = [
        ("authorization", authorization.as_str()),
        ("client-cert", &field),
    ];
    let token = desk.ask(&fields, &ASKED).await.token();
    let payload = token.split('.').nth(1).unwrap();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let thumbprint = digest::digest(&digest::SHA256, &own.der);
    assert_eq!(
        claims["cnf"]["x5t#S256"],
        BASE64_URL_SAFE_NO_PAD.encode(thumbprint)
    );

    assert_eq!(call(Some(&own), &token).await, GOOD);
    let entries = desk.house.entries(1).await;
    let subject = &entries[0].1["subject"]["caller"];
    assert_eq!(subject["kind"], "token");
    assert_eq!(subject["attestation"], "mtls");
    let evidence = entries[0].1["identity"]["evidence"].to_string();
    assert!(evidence.contains("jwt: client certificate"), "{evidence}");
    for shown in [Some(&other), None] {
        assert_eq!(call(shown, &token).await, "401 40100 ID-072");
    }
}
