use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use airside_base::{BoxFuture, Redacted, VirtualClock};
use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::*;
use crate::{FetchError, FetchRequest, Fetched, contract};

const AGENT: &str = "https://signature-agent.test";
const BODY: &[u8] = br#"{"jsonrpc":"2.0"}"#;
const NOW: &str = "2026-06-01T12:00:00Z";

/// A directory that says what the test wants.
#[derive(Debug, Default)]
struct Library {
    answer: Mutex<Option<(HeaderMap, String)>>,
    asked: AtomicUsize,
}

impl Library {
    fn publish(&self, jwks: &str) {
        *self.answer.lock().unwrap() = Some((HeaderMap::new(), jwks.to_owned()));
    }

    fn burn(&self) {
        *self.answer.lock().unwrap() = None;
    }
}

impl Fetch for Arc<Library> {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<Fetched, FetchError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(
            request.url.as_str(),
            format!("{AGENT}{}", directory::WELL_KNOWN)
        );
        let answer = self.answer.lock().unwrap().clone();
        let fetched = answer.map(|(headers, body)| Fetched {
            headers,
            body: body.into(),
        });
        Box::pin(async move { fetched.ok_or(FetchError::Status { status: 503 }) })
    }
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// The key as JWK, and its thumbprint.
fn jwk(pair: &Ed25519KeyPair) -> (String, String) {
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    (
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","use":"sig"}}"#),
        URL_SAFE_NO_PAD.encode(thumbprint),
    )
}

fn jwks(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// A request that is changed before it is signed.
#[derive(Clone)]
struct Draft {
    covered: String,
    params: String,
    headers: Vec<(String, String)>,
    seed: u8,
}

impl Draft {
    fn new() -> Self {
        let digest = Redacted::new(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, BODY));
        let digest = STANDARD.encode(digest.expose());
        let fields = [
            ("host", "hotels.example".to_owned()),
            ("content-digest", format!("sha-256=:{digest}:")),
            ("signature-agent", format!("sig1=\"{AGENT}\"")),
        ];
        Self {
            covered: r#""@authority" "@method" "content-digest" "signature-agent";key="sig1""#
                .to_owned(),
            params: format!(
                r#";created=1780315190;expires=1780315300;keyid="{}";alg="ed25519";nonce="n1";tag="web-bot-auth""#,
                jwk(&pair(1)).1
            ),
            headers: fields
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
            seed: 1,
        }
    }

    fn covered(mut self, from: &str, to: &str) -> Self {
        assert!(self.covered.contains(from), "{from}");
        self.covered = self.covered.replace(from, to);
        self
    }

    fn param(mut self, from: &str, to: &str) -> Self {
        assert!(self.params.contains(from), "{from}");
        self.params = self.params.replace(from, to);
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn signer(mut self, seed: u8) -> Self {
        self.params = self
            .params
            .replace(&jwk(&pair(self.seed)).1, &jwk(&pair(seed)).1);
        self.seed = seed;
        self
    }

    /// Signs with the Ed25519 key.
    fn signed(&self) -> HeaderMap {
        self.signed_by(|base| pair(self.seed).sign(base).as_ref().to_vec())
    }

    fn signed_by(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let input = format!("s=({}){}", self.covered, self.params);
        headers.insert("signature-input", HeaderValue::from_str(&input).unwrap());
        headers.insert("signature", HeaderValue::from_static("s=:AA==:"));
        let all = Signatures::read(&headers).unwrap().unwrap();
        let message = Message {
            request: Request {
                method: &Method::POST,
                scheme: "https",
                authority: "hotels.example",
                path: "/mcp",
                query: None,
                headers: &headers,
            },
            response: None,
        };
        let base = message.base(&all.iter().next().unwrap().covered).unwrap();
        let signature = STANDARD.encode(sign(base.as_bytes()));
        let value = HeaderValue::from_str(&format!("s=:{signature}:")).unwrap();
        headers.insert("signature", value);
        headers
    }
}

struct World {
    library: Arc<Library>,
    clock: VirtualClock,
    folder: tempfile::TempDir,
    verifier: Arc<HttpSignatures>,
}

fn config() -> SignatureConfig {
    SignatureConfig::default()
}

impl World {
    fn new(config: &SignatureConfig) -> Self {
        let library = Arc::new(Library::default());
        library.publish(&jwks(&[&jwk(&pair(1)).0]));
        let clock = VirtualClock::new(NOW.parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), STANDARD.encode([7; 32])).unwrap();
        let mut world = Self {
            verifier: load(config, &[], &[], &library, &clock, None).unwrap(),
            library,
            clock,
            folder,
        };
        world.reload(config, false);
        world
    }

    fn agent() -> AgentConfig {
        AgentConfig {
            name: "shopper".to_owned(),
            url: AGENT.parse().unwrap(),
            internal: false,
            tenant: TenantId::default(),
            groups: vec!["agents".to_owned()],
        }
    }

    fn key(&self) -> SigningKeyConfig {
        SigningKeyConfig {
            name: "partner".to_owned(),
            key_id: "partner-1".to_owned(),
            algorithm: Algorithm::HmacSha256,
            file: self.folder.path().join("secret"),
            tenant: TenantId::default(),
            groups: vec![],
        }
    }

    fn reload(&mut self, config: &SignatureConfig, keep: bool) {
        let previous = keep.then_some(&*self.verifier);
        let loaded = load(
            config,
            &[Self::agent()],
            &[self.key()],
            &self.library,
            &self.clock,
            previous,
        );
        self.verifier = loaded.unwrap();
    }

    async fn judge(&self, headers: &HeaderMap) -> Result<Option<Claim>, Unidentified> {
        let verdict = self.verifier.verify(&Head {
            method: &Method::POST,
            uri: &Uri::from_static("/mcp"),
            headers,
            peer: "192.0.2.1:1".parse().unwrap(),
            certificate: None,
            secure: true,
        });
        match verdict {
            Verdict::Passed => Ok(None),
            Verdict::Claimed(claim) => Ok(Some(claim)),
            Verdict::Refused(error) => Err(error),
            Verdict::Asking(inquiry) => inquiry.await,
        }
    }

    /// Who it is, or the code of the refusal.
    async fn check(&self, headers: &HeaderMap, expected: &str) {
        let found = match self.judge(headers).await {
            Ok(None) => "nobody".to_owned(),
            Ok(Some(claim)) => contract::render(&Verdict::Claimed(claim)),
            Err(error) => error.fault().code().to_owned(),
        };
        assert_eq!(found, expected, "{headers:?}");
    }

    async fn draft(&self, draft: Draft, expected: &str) {
        self.check(&draft.signed(), expected).await;
    }

    fn asked(&self) -> usize {
        self.library.asked.load(Ordering::SeqCst)
    }
}

fn load(
    config: &SignatureConfig,
    agents: &[AgentConfig],
    keys: &[SigningKeyConfig],
    library: &Arc<Library>,
    clock: &VirtualClock,
    previous: Option<&HttpSignatures>,
) -> Result<Arc<HttpSignatures>, SignatureError> {
    let outside = Outside {
        fetch: Arc::new(library.clone()),
        ..Outside::offline(Arc::new(clock.clone()))
    };
    let all = Config {
        signature: config.clone(),
        agent: agents.to_vec(),
        signing_key: keys.to_vec(),
        ..Config::default()
    };
    HttpSignatures::load(&all, Proxies::default(), &outside, previous).map(Arc::new)
}

const SHOPPER: &str = "signed_agent shopper http_signature";

#[tokio::test]
async fn agent_is_known_by_its_published_key() {
    let world = World::new(&config());
    let claim = world.judge(&Draft::new().signed()).await.unwrap().unwrap();
    assert_eq!(claim.caller().issuer(), Some(AGENT));
    let evidence = &claim.caller().evidence()[0];
    assert_eq!(evidence.verifier, "http_signature");
    assert!(
        evidence.checked.iter().any(|checked| checked == "ed25519"),
        "{evidence:?}"
    );
    assert!(claim.clone().check_body(BODY).is_ok());
    assert!(claim.check_body(b"{}").is_err());
    // Known by now.
    world.draft(Draft::new().param("n1", "n2"), SHOPPER).await;
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn both_shapes_of_the_agent_are_read() {
    let world = World::new(&config());
    let legacy = Draft::new()
        .covered(";key=\"sig1\"", "")
        .header("signature-agent", &format!("\"{AGENT}\""));
    world.draft(legacy, SHOPPER).await;
    let typed = format!("other=\"https://a.test\", sig1=\"{AGENT}/\";type=directory");
    world
        .draft(
            Draft::new()
                .param("n1", "n2")
                .header("signature-agent", &typed),
            SHOPPER,
        )
        .await;
    for (value, expected) in [
        ("sig1=\"https://other.test\"", "ID-060"),
        (
            "sig1=\"https://signature-agent.test.evil.example\"",
            "ID-060",
        ),
        ("sig1=\"https://signature-agent.test/elsewhere\"", "ID-060"),
        ("sig1=\"http://signature-agent.test\"", "ID-060"),
        ("sig1=\"data:application/json,{}\"", "ID-060"),
        ("sig1=\"\"", "ID-060"),
        (
            "sig1=\"https://signature-agent.test\";type=jwks_uri",
            "ID-056",
        ),
        ("sig1=1", "ID-056"),
    ] {
        world
            .draft(Draft::new().header("signature-agent", value), expected)
            .await;
    }
    // It is there and not covered: anybody can have written it.
    let open = Draft::new().covered(" \"signature-agent\";key=\"sig1\"", "");
    world.draft(open, "ID-056").await;
}

#[tokio::test]
async fn absent_signatures_are_somebody_elses_matter() {
    let world = World::new(&config());
    world.check(&HeaderMap::new(), "nobody").await;
    let mut label = HeaderMap::new();
    label.insert(
        "signature-agent",
        HeaderValue::from_static("\"https://signature-agent.test\""),
    );
    world.check(&label, "nobody").await;
    // For another purpose, by somebody else.
    let other = Draft::new().param("web-bot-auth", "something-else");
    world.draft(other, "nobody").await;
}

#[tokio::test]
async fn malformed_signatures_are_refused() {
    let world = World::new(&config());
    for (name, value) in [
        ("signature-input", "s"),
        ("signature-input", "s=1"),
        ("signature-input", "other=()"),
        ("signature", "s=\"text\""),
        ("signature", "t=:AA==:"),
        ("signature", "s=:AA==:, t=:AA==:"),
        ("signature", "\u{7f}"),
    ] {
        let mut headers = Draft::new().signed();
        let Ok(value) = HeaderValue::from_str(value) else {
            continue;
        };
        headers.insert(HeaderName::from_static(name), value);
        world.check(&headers, "ID-056").await;
    }
    let mut half = Draft::new().signed();
    half.remove("signature-input");
    world.check(&half, "ID-056").await;
    let mut untimed = Draft::new().signed();
    let input = untimed["signature-input"].to_str().unwrap();
    let input = input.replace("created=1780315190", "created=\"x\"");
    untimed.insert("signature-input", HeaderValue::from_str(&input).unwrap());
    world.check(&untimed, "ID-056").await;
    // Two that say who calls.
    let mut two = Draft::new().signed();
    for name in ["signature-input", "signature"] {
        let value = two[name].to_str().unwrap();
        let both = format!("{value}, t{}", &value[1..]);
        two.insert(name, HeaderValue::from_str(&both).unwrap());
    }
    world.check(&two, "ID-056").await;
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn what_has_to_be_covered_is_covered() {
    let world = World::new(&config());
    for part in ["\"@authority\" ", "\"@method\" ", "\"content-digest\" "] {
        world.draft(Draft::new().covered(part, ""), "ID-057").await;
    }
    let uri = Draft::new().covered("\"@authority\"", "\"@target-uri\"");
    world.draft(uri, SHOPPER).await;
    let strict = SignatureConfig {
        components: vec!["@path".to_owned()],
        require_nonce: true,
        unsigned_body: true,
        ..config()
    };
    let world = World::new(&strict);
    let path = Draft::new().covered("\"@method\" \"content-digest\"", "\"@path\"");
    world.draft(path.clone(), SHOPPER).await;
    world
        .draft(path.clone().param(";nonce=\"n1\"", ""), "ID-057")
        .await;
    world
        .draft(path.covered("\"@path\"", "\"@method\""), "ID-057")
        .await;
}

#[tokio::test]
async fn digests_that_cannot_be_checked_are_refused() {
    let world = World::new(&config());
    for value in ["md5=:AAAA:", "sha-256=:AAAA:", "sha-256=1", "x"] {
        world
            .draft(Draft::new().header("content-digest", value), "ID-056")
            .await;
    }
}

#[tokio::test]
async fn signature_is_good_for_its_time() {
    let world = World::new(&config());
    for (from, to) in [
        ("created=1780315190", "created=1780315231"),
        ("expires=1780315300", "expires=1780315169"),
        ("expires=1780315300", "expires=1780318791"),
        (";created=1780315190", ""),
    ] {
        world.draft(Draft::new().param(from, to), "ID-058").await;
    }
    let open = Draft::new().param(";expires=1780315300", "");
    world.draft(open, SHOPPER).await;
    world
        .draft(
            Draft::new()
                .param("created=1780315190", "created=1780315229")
                .param("n1", "n2"),
            SHOPPER,
        )
        .await;
    world.clock.advance(std::time::Duration::from_secs(131));
    world.draft(Draft::new().param("n1", "n3"), "ID-058").await;
}

#[tokio::test]
async fn nonce_counts_once_even_over_a_reload() {
    let mut world = World::new(&config());
    let headers = Draft::new().signed();
    world.check(&headers, SHOPPER).await;
    world.check(&headers, "ID-059").await;
    world.reload(&config(), true);
    world.check(&headers, "ID-059").await;
    assert_eq!(world.asked(), 1, "the directory is kept");
    // A nonce of a wrong signature is not used up.
    let mut wrong = Draft::new().param("n1", "n2").signed();
    wrong.insert("signature", headers["signature"].clone());
    world.check(&wrong, "ID-061").await;
    world.draft(Draft::new().param("n1", "n2"), SHOPPER).await;
}

#[tokio::test]
async fn wrong_signatures_are_refused() {
    let world = World::new(&config());
    let good = Draft::new().signed();
    for (name, value) in [
        ("host", "other.example"),
        (
            "content-digest",
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
        ),
    ] {
        let mut changed = good.clone();
        changed.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
        world.check(&changed, "ID-061").await;
    }
    let of_another = Draft::new().signed_by(|base| pair(9).sign(base).as_ref().to_vec());
    world.check(&of_another, "ID-061").await;
    world
        .draft(
            Draft::new().param("alg=\"ed25519\"", "alg=\"hmac-sha256\""),
            "ID-061",
        )
        .await;
    // The public key is no secret: nobody may use it as one.
    let public = pair(1).public_key().as_ref().to_vec();
    let confused = Draft::new()
        .param(";alg=\"ed25519\"", "")
        .signed_by(|base| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &public);
            hmac::sign(&key, base).as_ref().to_vec()
        });
    world.check(&confused, "ID-061").await;
}

#[tokio::test]
async fn keys_are_rotated_without_a_storm() {
    let world = World::new(&config());
    world.draft(Draft::new(), SHOPPER).await;
    // Not yet published, and asked a moment ago.
    for number in 0..20 {
        world
            .draft(
                Draft::new().signer(2).param("n1", &format!("m{number}")),
                "ID-060",
            )
            .await;
    }
    assert_eq!(world.asked(), 1);
    world.library.publish(&jwks(&[&jwk(&pair(2)).0]));
    world.clock.advance(std::time::Duration::from_secs(31));
    let next = Draft::new().signer(2).param("n1", "n2");
    world.draft(next, SHOPPER).await;
    assert_eq!(world.asked(), 2);
    // The old one is gone.
    world.draft(Draft::new().param("n1", "n3"), "ID-060").await;
}

#[tokio::test]
async fn unreachable_directory_says_nothing_of_anybody() {
    let world = World::new(&config());
    world.library.burn();
    for number in 0..20 {
        world
            .draft(Draft::new().param("n1", &format!("n{number}")), "nobody")
            .await;
    }
    assert_eq!(world.asked(), 1);
    world.library.publish(&jwks(&[&jwk(&pair(1)).0]));
    world.clock.advance(std::time::Duration::from_secs(31));
    world.draft(Draft::new(), SHOPPER).await;
    // Later it is away again: what is known is used for a while.
    world.library.burn();
    let ten_minutes = std::time::Duration::from_secs(601);
    world.clock.advance(ten_minutes);
    let later = |nonce: &str| {
        Draft::new()
            .param("created=1780315190", "created=1780315800")
            .param("expires=1780315300", "expires=1780315900")
            .param("n1", nonce)
    };
    world.draft(later("a"), SHOPPER).await;
    world.draft(later("b"), SHOPPER).await;
    assert_eq!(world.asked(), 3);
}

#[tokio::test]
async fn keys_that_are_not_good_now_are_not_used() {
    let world = World::new(&config());
    let (text, _) = jwk(&pair(1));
    for (member, expected) in [
        (r#""exp":1780315199"#, "ID-061"),
        (r#""nbf":1780315201000"#, "ID-061"),
        (r#""alg":"ES256""#, "nobody"),
        (
            r#""nbf":1780315100000,"exp":1780315300,"alg":"EdDSA""#,
            SHOPPER,
        ),
    ] {
        let key = text.replace("\"use\"", &format!("{member},\"use\""));
        world.library.publish(&jwks(&[&key]));
        let fresh = load(
            &config(),
            &[World::agent()],
            &[],
            &world.library,
            &world.clock,
            None,
        );
        let world = World {
            verifier: fresh.unwrap(),
            library: world.library.clone(),
            clock: world.clock.clone(),
            folder: tempfile::tempdir().unwrap(),
        };
        world.draft(Draft::new(), expected).await;
    }
}

#[tokio::test]
async fn shared_secret_of_a_partner_signs() {
    let world = World::new(&config());
    let draft = Draft::new()
        .covered(" \"signature-agent\";key=\"sig1\"", "")
        .param(&jwk(&pair(1)).1, "partner-1")
        .param("ed25519", "hmac-sha256")
        .param(";tag=\"web-bot-auth\"", "");
    let sign = |secret: u8| {
        draft.signed_by(|base| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &[secret; 32]);
            hmac::sign(&key, base).as_ref().to_vec()
        })
    };
    world
        .check(&sign(7), "signed_agent partner http_signature")
        .await;
    world.check(&sign(8), "ID-061").await;
    assert_eq!(world.asked(), 0);
}

#[test]
fn unsafe_configurations_are_refused() {
    let world = World::new(&config());
    let refused = |config: &SignatureConfig, agents: &[AgentConfig], keys: &[SigningKeyConfig]| {
        let loaded = load(config, agents, keys, &world.library, &world.clock, None);
        assert_eq!(loaded.map(|_| ()).unwrap_err().fault().code(), "ID-066");
    };
    let agent = |url: &str| AgentConfig {
        url: url.parse().unwrap(),
        ..World::agent()
    };
    for url in [
        "http://agent.example",
        "https://agent.example/x",
        "https://10.0.0.1",
        "ftp://agent.example",
    ] {
        refused(&config(), &[agent(url)], &[]);
    }
    refused(&config(), &[World::agent(), World::agent()], &[]);
    let twin = AgentConfig {
        name: "twin".to_owned(),
        ..World::agent()
    };
    refused(&config(), &[World::agent(), twin], &[]);
    std::fs::write(world.folder.path().join("short"), STANDARD.encode([7; 31])).unwrap();
    let key = |file: &str, algorithm| SigningKeyConfig {
        file: world.folder.path().join(file),
        algorithm,
        ..world.key()
    };
    refused(&config(), &[], &[key("short", Algorithm::HmacSha256)]);
    refused(&config(), &[], &[key("secret", Algorithm::Ed25519)]);
    refused(&config(), &[], &[key("missing", Algorithm::Ed25519)]);
    let zero = SignatureConfig {
        max_validity_s: 0,
        ..config()
    };
    refused(&zero, &[], &[]);
    let odd = SignatureConfig {
        components: vec!["@Method".to_owned()],
        ..config()
    };
    refused(&odd, &[], &[]);
}

/// Of the working group's architecture and protocol drafts, as published by Cloudflare.
mod draft {
    use super::*;

    const RSA_N: &str = "r4tmm3r20Wd_PbqvP1s2-QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct-Lh1GH45x28Rw3Ry53mm-oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL-Wokqltd11nqqzi-bJ9cvSKADYdUAAN5WUtzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d-nb4bnNkQVklLQ3fVAvJm-xdDOp9LCNCN48V2pnDOkFV6-U9nV5oyc6XI2w";

    /// A request of 1 January 2025 that is good for a hundred years.
    async fn check(input: &str, signature: &str, agent: Option<&str>, expected: &str) {
        let lenient = SignatureConfig {
            components: vec![],
            max_validity_s: u32::MAX,
            ..config()
        };
        let world = World::new(&lenient);
        world.library.publish(&jwks(&[
            &format!(r#"{{"kty":"RSA","kid":"test-key-rsa-pss","alg":"PS512","e":"AQAB","n":"{RSA_N}"}}"#),
            r#"{"kty":"OKP","crv":"Ed25519","kid":"test-key-ed25519","x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}"#,
        ]));
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "example.com"),
            ("signature-input", input),
            ("signature", signature),
            ("content-length", "0"),
        ] {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        if let Some(agent) = agent {
            headers.insert("signature-agent", HeaderValue::from_str(agent).unwrap());
        }
        world.check(&headers, expected).await;
    }

    #[tokio::test]
    async fn requests_of_the_draft_are_verified() {
        let agent = Some("agent2=\"https://signature-agent.test\"");
        check(
            r#"sig2=("@authority" "signature-agent";key="agent2");created=1735689600;keyid="poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";alg="ed25519";expires=4889289600;nonce="n9p433xm+NJ3ph3upfBIGmsuwHw387YV7Q/F+6BSpGCVjYCqQw6rznNA8PVVLySrAWsv0hQtFioQb6E1YsauiA==";tag="web-bot-auth""#,
            "sig2=:RdNFx5Bj6au3YgAMQL/RzmUlZE8QZLIaXGRpw985hWnwPfMxT228NMk6ehRS1PSl4e8PhbNZACSanGdhEwYCCg==:",
            agent,
            SHOPPER,
        )
        .await;
        check(
            r#"sig2=("@authority" "signature-agent";key="agent2");created=1735689600;keyid="oD0HwocPBSfpNy5W3bpJeyFGY_IQ_YpqxSjQ3Yd-CLA";alg="rsa-pss-sha512";expires=4889289600;nonce="wcfPQPh7SzkvrIVvhD00vNk9PkxJNY2NVbYl2PVBB4zmUoluSwE7W6bPtF60QA3k8g06FU7PPCD+J58YofY1zg==";tag="web-bot-auth""#,
            "sig2=:gHzpLNeHaHIO19NaJH9YMW5dcVSi2s0wOMBr6p18vcofS106sfC4KBIS0/szPlBBd1vIcyQ88B6CTEWIhRAiVrb9zfX0mx1aG12CSGWcYkSirHeyTxhbuJvXd27ed6skWoy4PjXItq38936ivUQjfdIwXh1aX6HxkAC3vRnEdSNfntkLWeEuIQ5BLIOBGE39fSwg27Qjq6OVWYas/9/aFUr3HA34MXWYdp+//cvlEKDp3kRoLOw9ro0AOr6srHrTeEtxon2afcws1aZVSlPdd2fZSEIGmw9HAHLDCEkFTERu1gH2k/zIEqgy7CAYXI9E5slog0cLg/Vc6+f8gih33g==:",
            agent,
            SHOPPER,
        )
        .await;
    }

    #[tokio::test]
    async fn request_without_an_agent_is_nobody_known() {
        check(
            r#"sig1=("@authority");created=1735689600;keyid="poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";alg="ed25519";expires=4889289600;nonce="zIW8+cdmA3vdYagbxojpONwa/l0EKJ/O3/wD486VvsQjO/RxPaSt6ZxvQaMcQzNnqKN/mQ6hpGiFro2L2qkz5A==";tag="web-bot-auth""#,
            "sig1=:QKN4fTdIYfh82fvoZCQiQA1weuozfCS/Led2zTMbewMMqH8PI2Wsy/5c4ao6B6D09nraNQdBNOADg8aM1MqfCg==:",
            None,
            "ID-056",
        )
        .await;
    }

    const SIGNED: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U","x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs","use":"sig"}]}"#;

    fn directory(body: &str, authority: &str) -> Option<usize> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (
                "content-digest",
                "sha-256=:CADMT2aBdV/rqQr/NIru64ERQkCobVvllA4V0fLFDu0=:",
            ),
            (
                "signature",
                "binding0=:yiHq0TXrbpzbmlttAQMpYoAufitFJUWuNsakB7QQMoN0EHbo5o51bZRVR8az/ptTWCwllix9clrKXfGKwdPzBg==:",
            ),
            (
                "signature-input",
                r#"binding0=("@authority";req "content-digest");created=1735689600;keyid="poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";alg="ed25519";expires=4889289600;tag="http-message-signatures-directory""#,
            ),
        ] {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let url = format!("https://{authority}{}", directory::WELL_KNOWN);
        let fetched = Fetched {
            headers,
            body: Bytes::from(body.to_owned()),
        };
        let keys = directory::read(&url.parse().unwrap(), &fetched, NOW.parse().unwrap());
        keys.map(|keys| keys.len())
    }

    #[test]
    fn directory_that_signs_is_held_to_it() {
        assert_eq!(directory(SIGNED, "signature-agent.test"), Some(1));
        // Copied to another place, or changed.
        assert_eq!(directory(SIGNED, "mirror.test"), None);
        assert_eq!(
            directory(
                &SIGNED.replace(r#","use""#, r#", "use""#),
                "signature-agent.test"
            ),
            None
        );
        // A further key that did not sign.
        let (other, _) = jwk(&pair(3));
        let both = SIGNED.replace("]}", &format!(",{other}]}}"));
        assert_eq!(directory(&both, "signature-agent.test"), None);
    }
}
