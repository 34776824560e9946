//! An identity provider that we did not write, and what clients say to any provider.
//!
//! It is npm's `oidc-provider`, a certified OpenID provider, started by
//! `testkit/idp/provider.mjs`. `scripts/test` installs it and says where:
//! `AIRSIDE_TEST_IDP` is the folder of its packages, `AIRSIDE_TEST_NODE` the `node` that
//! runs it.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tempfile::TempDir;
use url::{Url, form_urlencoded};

use airside_base::secret_token;
use aws_lc_rs::digest;

use crate::harness::Node;

/// Steps of a sign-in: more are a circle.
const MAX_STEPS: usize = 12;

/// The provider, as a process.
pub struct Foreign {
    node: Node,
    _folder: TempDir,
}

impl Foreign {
    /// Starts it with these `clients`, each as in OpenID Connect Dynamic Client
    /// Registration; none where it is not installed.
    ///
    /// # Panics
    ///
    /// When it is not installed where `CI` is set, or does not start.
    #[must_use]
    pub fn start(clients: &Value) -> Option<Self> {
        if env::var_os("AIRSIDE_TEST_IDP").is_none() {
            assert!(
                env::var_os("CI").is_none(),
                "AIRSIDE_TEST_IDP is not set: `scripts/test tests` installs oidc-provider"
            );
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("clients.json");
        std::fs::write(&file, clients.to_string()).expect("the folder can be written");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("idp/provider.mjs");
        let text = |path: &Path| path.to_str().expect("the path is UTF-8").to_owned();
        let node = env::var_os("AIRSIDE_TEST_NODE").map_or_else(|| "node".into(), PathBuf::from);
        let arguments = [text(&script), text(&file)];
        let arguments = [arguments[0].as_str(), arguments[1].as_str()];
        let log = folder.path().join("log");
        let node = Node::start(&node, &arguments, &log);
        Some(Self {
            node: node.expect("the provider starts"),
            _folder: folder,
        })
    }

    /// Returns its identifier.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.node.url().as_str().trim_end_matches('/').to_owned()
    }

    /// Returns a place of it.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.issuer())
    }

    /// Has it sign with another key from now on, and forget the one before.
    pub async fn rotate(&self) {
        let answer = send(Method::POST, &self.at("/rotate"), &[], Some(&[])).await;
        assert_eq!(answer.status, 200);
    }
}

/// What somebody answered.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// Returns the body as JSON; null if it is something else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the token that was issued.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn token(&self) -> String {
        let json = self.json();
        let token = json["access_token"].as_str();
        token
            .unwrap_or_else(|| panic!("{} {json}", self.status))
            .to_owned()
    }
}

/// Sends one request and follows no redirect.
///
/// # Panics
///
/// When nobody answers.
pub async fn send(
    method: Method,
    url: &str,
    fields: &[(&str, &str)],
    form: Option<&[(&str, &str)]>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let body = form.map(|pairs| {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(pairs).finish()
    });
    if body.is_some() {
        let kind = "application/x-www-form-urlencoded";
        request = request.header(header::CONTENT_TYPE, kind);
    }
    let body = Full::new(Bytes::from(body.unwrap_or_default()));
    let request = request.body(body).expect("the parts are valid");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.expect("somebody answers");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("the answer is whole");
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.to_bytes(),
    }
}

/// Returns what a client shows to prove that it knows its secret.
#[must_use]
pub fn basic(client: &str, secret: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(client), encode(secret));
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

/// What an application asks for on behalf of a person.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    /// Where people are sent.
    pub authorize: &'a str,
    /// Where codes are redeemed.
    pub token: &'a str,
    /// The application, which has no secret.
    pub client: &'a str,
    /// Where it gets the code.
    pub redirect: &'a str,
    /// The server that the token is for (RFC 8707).
    pub resource: &'a str,
    /// What it may be used for.
    pub scope: &'a str,
}

impl SignIn<'_> {
    /// Follows a person through the provider, as a browser would, and redeems the code
    /// with PKCE, or with `verifier` in place of the right one.
    ///
    /// # Panics
    ///
    /// When the provider leads in a circle or nowhere, or answers for another.
    pub async fn run(self, verifier: Option<&str>) -> Answer {
        let (secret, state) = (secret_token(), secret_token());
        let challenge = digest::digest(&digest::SHA256, secret.as_bytes());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge);
        let mut url = Url::parse(self.authorize).expect("a URL");
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", self.client),
            ("redirect_uri", self.redirect),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", self.resource),
            ("scope", self.scope),
            ("state", &state),
        ]);
        let mut cookies = BTreeMap::new();
        for _ in 0..MAX_STEPS {
            if url.as_str().starts_with(self.redirect) {
                let back: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
                assert_eq!(back.get("state"), Some(&state), "{url}");
                let code = back.get("code").unwrap_or_else(|| panic!("{url}"));
                return self.redeem(code, verifier.unwrap_or(&secret)).await;
            }
            let jar: Vec<String> = (cookies.iter())
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let fields = [("cookie", jar.join("; "))];
            let fields = fields.each_ref().map(|(name, value)| (*name, &**value));
            let answer = send(Method::GET, url.as_str(), &fields, None).await;
            for cookie in answer.headers.get_all(header::SET_COOKIE) {
                let text = cookie.to_str().expect("a cookie is text");
                let pair = text.split(';').next().and_then(|pair| pair.split_once('='));
                let (name, value) = pair.expect("a cookie has a name");
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let next = answer.headers.get(header::LOCATION);
            let next = next.unwrap_or_else(|| panic!("{url} {answer:?}"));
            let next = next.to_str().expect("a URL is text");
            url = url.join(next).expect("a URL");
        }
        panic!("the provider leads in a circle: {url}");
    }

    async fn redeem(self, code: &str, verifier: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", self.client),
            ("redirect_uri", self.redirect),
            ("code", code),
            ("code_verifier", verifier),
            ("resource", self.resource),
        ];
        send(Method::POST, self.token, &[], Some(&form)).await
    }
}
