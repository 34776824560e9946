use std::{
    collections::HashMap as Map,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use airside_base::{BoxFuture, TenantId, VirtualClock};
use airside_identity::{Attestation, FetchError, FetchRequest, Fetched};
use airside_testkit::pki::{Authority, Name};
use aws_lc_rs::signature::Ed25519KeyPair;
use tokio::sync::Notify;
use url::form_urlencoded;

use super::{
    token::{ACCESS_TOKEN, MAX_CALLERS},
    *,
};

const TOKEN_URL: &str = "https://as.example/token";

/// A form, and what was in `Authorization`.
type Asked = (Map<String, String>, Option<String>);

/// An authorisation server that numbers its tokens.
#[derive(Debug, Default)]
struct Issuer {
    asked: Mutex<Vec<Asked>>,
    issued: AtomicUsize,
    /// What it answers instead.
    answer: Mutex<Option<Result<&'static str, FetchError>>>,
    /// Waited for before it answers, if there is one.
    gate: Mutex<Option<Arc<Notify>>>,
}

impl Issuer {
    fn says(&self, answer: Option<Result<&'static str, FetchError>>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

#[derive(Debug)]
struct Way(Arc<Issuer>);

impl Fetch for Way {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<Fetched, FetchError>> {
        assert_eq!(request.url.as_str(), TOKEN_URL);
        let form = request.form.unwrap();
        let form = form_urlencoded::parse(form.expose().as_bytes()).into_owned();
        let shown = request.authorization.map(|shown| shown.expose().clone());
        let issuer = self.0.clone();
        issuer.asked.lock().unwrap().push((form.collect(), shown));
        Box::pin(async move {
            let gate = issuer.gate.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.notified().await;
            }
            let number = issuer.issued.fetch_add(1, Ordering::SeqCst);
            let body = match issuer.answer.lock().unwrap().clone() {
                Some(answer) => answer?.to_owned(),
                None => format!(
                    r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":600}}"#
                ),
            };
            Ok(Fetched {
                headers: HeaderMap::new(),
                body: body.into(),
            })
        })
    }
}

struct World {
    folder: tempfile::TempDir,
    issuer: Arc<Issuer>,
    clock: VirtualClock,
}

impl World {
    fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            issuer: Arc::default(),
            clock: VirtualClock::new("2026-06-01T00:00:00Z".parse().unwrap()),
        };
        world.write("secret", "s3cr:t\n");
        world
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn load(&self, text: &str) -> Result<Credentials, AuthError> {
        let text = text.replace("FOLDER", self.folder.path().to_str().unwrap());
        let auth: config::Auth = serde_json::from_str(&text).unwrap();
        let server: ServerId = "hotels".parse().unwrap();
        let url: Url = "https://hotels.example/mcp".parse().unwrap();
        let fetch: Arc<dyn Fetch> = Arc::new(Way(self.issuer.clone()));
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        Credentials::load(&auth, (&server, &url), &fetch, &clock)
    }

    fn tokens(&self, more: &str) -> Credentials {
        let text = format!(
            r#"{{"token":{{"url":"{TOKEN_URL}","client-id":"air side","client-secret-file":"FOLDER/secret"{more}}}}}"#
        );
        self.load(&text).unwrap()
    }
}

/// What a request on behalf of `behalf` shows, and what was used for it.
async fn shown(
    credentials: &Credentials,
    behalf: Option<OnBehalf>,
) -> Result<(String, Option<token::Used>), Error> {
    let mut request = http::Request::new(());
    let client = HeaderValue::from_static("Bearer of-the-client");
    request.headers_mut().insert("x-client", client);
    if let Some(behalf) = behalf {
        request.extensions_mut().insert(behalf);
    }
    let used = credentials.apply(&mut request).await?;
    assert!(request.extensions().get::<OnBehalf>().is_none());
    let value = request.headers().get(header::AUTHORIZATION);
    assert!(value.is_none_or(HeaderValue::is_sensitive));
    let value = value.map_or("-", |value| value.to_str().unwrap());
    Ok((value.to_owned(), used))
}

async fn check(credentials: &Credentials, behalf: Option<OnBehalf>, expected: &str) {
    let found = shown(credentials, behalf).await;
    let found = found.map_or_else(|error| error.fault().code().to_owned(), |(value, _)| value);
    assert_eq!(found, expected);
}

fn caller(kind: CallerKind, authorization: &'static str) -> Option<OnBehalf> {
    let tenant = TenantId::default();
    let caller = Caller::new(kind, "ann", tenant, Attestation::OAuth, vec![]);
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static(authorization),
    );
    Some(OnBehalf::of(&caller, &headers))
}

#[tokio::test]
async fn secret_is_shown_and_follows_its_file() {
    let world = World::new();
    let credentials = world
        .load(r#"{"secret":{"file":"FOLDER/secret"}}"#)
        .unwrap();
    check(&credentials, None, "Bearer s3cr:t").await;
    world.write("secret", "next");
    credentials.look();
    check(&credentials, None, "Bearer next").await;
    for bad in ["", "two\nlines", "\u{1}"] {
        world.write("secret", bad);
        credentials.look();
        check(&credentials, None, "Bearer next").await;
    }
    let named = r#"{"secret":{"file":"FOLDER/secret","header":"x-api-key","scheme":"Key"}}"#;
    world.write("secret", "abc");
    let mut request = http::Request::new(());
    world
        .load(named)
        .unwrap()
        .apply(&mut request)
        .await
        .unwrap();
    assert_eq!(request.headers()["x-api-key"], "Key abc");
    assert!(request.headers()["x-api-key"].is_sensitive());
}

#[tokio::test]
async fn token_is_asked_for_once_and_renewed_in_time() {
    let world = World::new();
    let credentials = world.tokens(r#","scopes":["read","book"],"audience":"hotels""#);
    check(&credentials, None, "Bearer t0").await;
    check(&credentials, None, "Bearer t0").await;
    let (form, authorization) = world.issuer.last();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["resource"], "https://hotels.example/mcp");
    assert_eq!(
        (form["scope"].as_str(), form["audience"].as_str()),
        ("read book", "hotels")
    );
    // Form-encoded, then in base64: `air+side:s3cr%3At`.
    assert_eq!(authorization.unwrap(), "Basic YWlyK3NpZGU6czNjciUzQXQ=");
    world.clock.advance(Duration::from_secs(569));
    check(&credentials, None, "Bearer t0").await;
    world.clock.advance(Duration::from_secs(1));
    check(&credentials, None, "Bearer t1").await;
    assert_eq!(world.issuer.asked(), 2);
}

#[tokio::test]
async fn many_calls_ask_once() {
    let world = World::new();
    let gate = Arc::new(Notify::new());
    *world.issuer.gate.lock().unwrap() = Some(gate.clone());
    let credentials = world.tokens("");
    let calls = (0..20).map(|_| shown(&credentials, None));
    let open = async {
        tokio::task::yield_now().await;
        gate.notify_one();
    };
    let (all, ()) = tokio::join!(futures_util::future::join_all(calls), open);
    assert!(
        all.iter()
            .all(|found| found.as_ref().unwrap().0 == "Bearer t0")
    );
    assert_eq!(world.issuer.asked(), 1);
}

#[tokio::test]
async fn refused_token_is_replaced_for_the_next_call() {
    let world = World::new();
    let credentials = world.tokens("");
    let (_, used) = shown(&credentials, None).await.unwrap();
    // At once: whatever is shown is refused.
    credentials.refused(used);
    check(&credentials, None, "Bearer t0").await;
    world.clock.advance(PAUSE);
    let (_, used) = shown(&credentials, None).await.unwrap();
    let (_, late) = shown(&credentials, None).await.unwrap();
    credentials.refused(used);
    check(&credentials, None, "Bearer t1").await;
    // Said of the one before by a call that took longer.
    world.clock.advance(PAUSE);
    credentials.refused(late);
    check(&credentials, None, "Bearer t1").await;
}

#[tokio::test]
async fn failures_are_not_repeated_for_a_while() {
    let world = World::new();
    for (answer, code) in [
        (Err(FetchError::Status { status: 401 }), "GW-060"),
        (Err(FetchError::Status { status: 503 }), "GW-060"),
        (Err(FetchError::Timeout { limit_ms: 1 }), "GW-060"),
        (Ok("no json"), "GW-060"),
        (Ok(r#"{"access_token":"t","token_type":"DPoP"}"#), "GW-060"),
        (Ok(r#"{"access_token":"","token_type":"Bearer"}"#), "GW-060"),
        (
            Ok(r#"{"access_token":"a\nb","token_type":"Bearer"}"#),
            "GW-060",
        ),
    ] {
        let credentials = world.tokens("");
        let before = world.issuer.asked();
        world.issuer.says(Some(answer));
        check(&credentials, None, code).await;
        check(&credentials, None, code).await;
        assert_eq!(world.issuer.asked(), before + 1);
        world.issuer.says(None);
        world.clock.advance(PAUSE);
        let (value, _) = shown(&credentials, None).await.unwrap();
        assert!(value.starts_with("Bearer t"), "{value}");
    }
}

#[tokio::test]
async fn client_signs_with_its_key_and_follows_the_file() {
    let world = World::new();
    let write = || {
        let der = Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap();
        let pem = airside_testkit::pki::pem("PRIVATE KEY", der.as_ref());
        world.write("key.pem", &pem);
    };
    write();
    let text = format!(
        r#"{{"token":{{"url":"{TOKEN_URL}","client-id":"airside","client-key-file":"FOLDER/key.pem","client-key-id":"k1"}}}}"#
    );
    let credentials = world.load(&text).unwrap();
    check(&credentials, None, "Bearer t0").await;
    let (form, authorization) = world.issuer.last();
    assert!(authorization.is_none());
    assert_eq!(form["client_id"], "airside");
    assert_eq!(
        form["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert_eq!(form["client_assertion"].split('.').count(), 3);
    let Some(Shown::Token(tokens)) = &credentials.header else {
        panic!("{credentials:?}");
    };
    assert_eq!(tokens.look(), Ok(false));
    write();
    assert_eq!(tokens.look(), Ok(true));
    world.write("key.pem", "broken");
    assert!(tokens.look().is_err());
}

#[test]
fn certificate_follows_its_files() {
    let (world, authority) = (World::new(), Authority::new("clients"));
    let put = |name: &str| {
        let issued = authority.issue(&[Name::Dns(name)]);
        world.write("own.pem", &issued.pem());
        world.write("own.key", &issued.key_pem());
        issued.der
    };
    let first = put("one.example");
    let text =
        r#"{"certificate":{"certificate-file":"FOLDER/own.pem","key-file":"FOLDER/own.key"}}"#;
    let credentials = world.load(text).unwrap();
    let shown = || {
        let certificate = credentials.certificate.as_ref().unwrap();
        certificate.resolve(&[], &[]).unwrap().cert[0].to_vec()
    };
    assert_eq!(shown(), first);
    credentials.look();
    assert_eq!(shown(), first);
    let second = put("two.example");
    credentials.look();
    assert_eq!(shown(), second);
    // Half of the next pair, or none: those before stay in use.
    let third = authority.issue(&[Name::Dns("three.example")]);
    for (file, text) in [
        ("own.pem", third.pem()),
        ("own.pem", "nothing".to_owned()),
        ("own.key", String::new()),
    ] {
        world.write(file, &text);
        credentials.look();
        assert_eq!(shown(), second, "{file}");
    }
}

#[tokio::test]
async fn tokens_of_callers_are_exchanged_for_each() {
    let world = World::new();
    let credentials = world.tokens(r#","exchange":true"#);
    assert!(credentials.tell_callers_apart());
    check(
        &credentials,
        caller(CallerKind::Token, "Bearer ann"),
        "Bearer t0",
    )
    .await;
    let (form, _) = world.issuer.last();
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:token-exchange"
    );
    assert_eq!(form["subject_token"], "ann");
    assert_eq!(form["subject_token_type"], ACCESS_TOKEN);
    check(
        &credentials,
        caller(CallerKind::Token, "DPoP bob"),
        "Bearer t1",
    )
    .await;
    check(
        &credentials,
        caller(CallerKind::Token, "bearer ann"),
        "Bearer t0",
    )
    .await;
    // What the gateway asks itself.
    check(&credentials, None, "Bearer t2").await;
    assert_eq!(world.issuer.last().0["grant_type"], "client_credentials");
    for kind in [
        CallerKind::ApiKey,
        CallerKind::Certificate,
        CallerKind::Anonymous,
    ] {
        check(&credentials, caller(kind, "Bearer airside_x"), "GW-061").await;
    }
    check(&credentials, caller(CallerKind::Token, "Basic x"), "GW-061").await;
    assert_eq!(world.issuer.asked(), 3);
    world
        .issuer
        .says(Some(Err(FetchError::Status { status: 400 })));
    check(
        &credentials,
        caller(CallerKind::Token, "Bearer eve"),
        "GW-062",
    )
    .await;
}

#[tokio::test]
async fn kept_tokens_are_bounded() {
    let world = World::new();
    let credentials = world.tokens(r#","exchange":true"#);
    let Some(Shown::Token(tokens)) = &credentials.header else {
        panic!("{credentials:?}");
    };
    for number in 0..=MAX_CALLERS {
        tokens.slot(&Redacted::new(number.to_string()));
    }
    assert!(lock(&tokens.callers).len() <= MAX_CALLERS);
}

#[test]
fn unsafe_credentials_are_refused() {
    let check = |auth: &str, url: &str, code: Option<&str>| {
        let auth: config::Auth = serde_json::from_str(auth).unwrap();
        let url: Option<Url> = url.parse().ok();
        let name: ServerId = "hotels".parse().unwrap();
        let found = auth.check(&name, url.as_ref());
        assert_eq!(
            found.err().map(|error| error.fault().code()),
            code,
            "{auth:?} {url:?}"
        );
    };
    let https = "https://hotels.example/mcp";
    let secret = r#"{"secret":{"env":"KEY"}}"#;
    let certificate = r#"{"certificate":{"certificate-file":"a","key-file":"b"}}"#;
    check(secret, https, None);
    check(secret, "http://127.0.0.1:1/mcp", None);
    check(certificate, https, None);
    let refused = Some("CFG-032");
    check(secret, "http://hotels.example/mcp", refused);
    check(secret, "", refused);
    check(certificate, "http://127.0.0.1:1/mcp", refused);
    check("{}", https, refused);
    for secret in [
        r#"{}"#,
        r#"{"env":"A","file":"b"}"#,
        r#"{"env":"A","header":"host"}"#,
        r#"{"env":"A","header":"Content-Length"}"#,
        r#"{"env":"A","header":"mcp-session-id"}"#,
        r#"{"env":"A","header":"a b"}"#,
        r#"{"env":"A","scheme":"a b"}"#,
    ] {
        check(&format!(r#"{{"secret":{secret}}}"#), https, refused);
    }
    let token = |members: &str| format!(r#"{{"token":{{"client-id":"a",{members}}}}}"#);
    check(
        &token(r#""url":"https://as.example","client-secret-env":"A""#),
        https,
        None,
    );
    check(
        &token(r#""url":"http://127.0.0.1:1/t","client-key-file":"k""#),
        https,
        None,
    );
    for members in [
        r#""url":"http://as.example","client-secret-env":"A""#,
        r#""url":"https://169.254.169.254/t","client-secret-env":"A""#,
        r#""url":"https://as.example""#,
        r#""url":"https://as.example","client-secret-env":"A","client-key-file":"k""#,
        r#""url":"https://as.example","client-secret-env":"A","client-key-id":"k""#,
        r#""url":"https://as.example","client-secret-env":"A","scopes":["a b"]"#,
    ] {
        check(&token(members), https, refused);
    }
    let both = r#"{"secret":{"env":"A"},"token":{"url":"https://as.example","client-id":"a","client-secret-env":"A"}}"#;
    check(both, https, refused);
}

#[test]
fn what_cannot_be_read_is_said_without_the_secret() {
    let world = World::new();
    world.write("bad", "very\nsecret");
    for auth in [
        r#"{"secret":{"file":"FOLDER/missing"}}"#,
        r#"{"secret":{"file":"FOLDER/bad"}}"#,
        r#"{"secret":{"env":"AIRSIDE_NO_SUCH_VARIABLE"}}"#,
        r#"{"certificate":{"certificate-file":"FOLDER/bad","key-file":"FOLDER/bad"}}"#,
    ] {
        let error = world.load(auth).unwrap_err();
        assert_eq!(error.fault().code(), "CFG-033");
        assert!(!format!("{error} {error:?}").contains("very"), "{error:?}");
    }
}

#[test]
fn nothing_secret_is_in_debug() {
    let world = World::new();
    let authority = Authority::new("a");
    let issued = authority.issue(&[]);
    world.write("c.pem", &issued.pem());
    world.write("c.key", &issued.key_pem());
    let text = r#"{"secret":{"file":"FOLDER/secret"},
        "certificate":{"certificate-file":"FOLDER/c.pem","key-file":"FOLDER/c.key"}}"#;
    let credentials = world.load(text).unwrap();
    assert!(credentials.certificate().is_some());
    assert!(!format!("{credentials:?}").contains("s3cr"));
    let behalf = caller(CallerKind::Token, "Bearer hidden");
    assert!(!format!("{behalf:?}").contains("hidden"));
}
