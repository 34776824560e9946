//! An OpenID provider and OAuth authorization server for tests, with a will of its own.
//!
//! It issues access tokens as RFC 9068 wants them, by client credentials, by
//! authorization code with PKCE, and for the assertion of an enterprise (ID-JAG), which
//! it writes itself where it is the provider of one. It rotates its keys, forgets
//! tokens, and misbehaves when told to. [`foreign`] starts one that we did not write.

pub mod foreign;
mod grants;
mod jose;

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use airside_base::{Clock, OnFailure, Supervisor, secret_token};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

pub use self::jose::{Kind, Signer, ath, proof};

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Nothing.
    Well,
    /// Answers every request with 503.
    Away,
    /// Never answers.
    Silent,
    /// Says in its metadata that it is another issuer.
    Impostor,
    /// Sends its key set as something else.
    Garbled,
    /// Sends a key set that is larger than anybody needs.
    Endless,
    /// Redirects to where its key set is.
    Elsewhere,
}

/// The server. Clones are the same server.
#[derive(Clone)]
pub struct Idp {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    /// Requests for keys so far.
    fetches: watch::Sender<usize>,
    lookups: watch::Sender<usize>,
}

struct State {
    mood: Mood,
    keys: Vec<Signer>,
    /// Clients and their secrets.
    clients: BTreeMap<String, String>,
    /// Tokens without content, and what they stand for.
    opaque: BTreeMap<String, Value>,
    codes: BTreeMap<String, grants::Code>,
    revoked: HashSet<String>,
    /// Providers whose word for their people is taken.
    enterprises: Vec<Idp>,
    /// Words that were redeemed.
    redeemed: HashSet<String>,
}

impl Idp {
    /// Starts it on a free port of the loopback address.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub async fn start(supervisor: &Supervisor, clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let state = State {
            mood: Mood::Well,
            keys: vec![Signer::new(Kind::Es256, "one")],
            clients: BTreeMap::new(),
            opaque: BTreeMap::new(),
            codes: BTreeMap::new(),
            revoked: HashSet::new(),
            enterprises: Vec::new(),
            redeemed: HashSet::new(),
        };
        let idp = Self {
            address,
            state: Arc::new(Mutex::new(state)),
            clock,
            fetches: watch::Sender::new(0),
            lookups: watch::Sender::new(0),
        };
        let (this, tasks) = (idp.clone(), supervisor.clone());
        supervisor.spawn("identity provider", OnFailure::Log, async move {
            while let Ok((stream, _)) = listener.accept().await {
                let this = this.clone();
                let service = service_fn(move |request| {
                    let this = this.clone();
                    async move { Ok::<_, Infallible>(this.answer(request).await) }
                });
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tasks.spawn("identity provider", OnFailure::Log, async move {
                    let _ = serving.await;
                });
            }
        });
        idp
    }

    /// Returns its identifier.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has it behave as `mood` says from now on.
    pub fn be(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// Registers a client with a secret, which is returned.
    #[must_use]
    pub fn register(&self, client: &str) -> String {
        let secret = secret_token();
        self.lock()
            .clients
            .insert(client.to_owned(), secret.clone());
        secret
    }

    /// Replaces its keys by a new one.
    pub fn rotate(&self, kind: Kind, id: &str) {
        self.lock().keys = vec![Signer::new(kind, id)];
    }

    /// Adds a key; the newest signs.
    pub fn add_key(&self, kind: Kind, id: &str) {
        self.lock().keys.push(Signer::new(kind, id));
    }

    /// Returns how often its keys were asked for.
    #[must_use]
    pub fn fetches(&self) -> usize {
        *self.fetches.borrow()
    }

    /// Returns how often it was asked about a token.
    #[must_use]
    pub fn lookups(&self) -> usize {
        *self.lookups.borrow()
    }

    /// Returns its public keys.
    #[must_use]
    pub fn jwks(&self) -> Value {
        let state = self.lock();
        json!({"keys": state.keys.iter().map(Signer::jwk).collect::<Vec<_>>()})
    }

    /// Returns a token with its newest key and these parts, whatever they are.
    ///
    /// # Panics
    ///
    /// When it has no key.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let state = self.lock();
        let key = state.keys.last().expect("it has a key");
        key.sign(header, claims)
    }

    /// Returns a good access token for `audience`, with `more` claims, which may replace
    /// its own; null takes one away.
    #[must_use]
    pub fn token(&self, audience: &str, more: Value) -> String {
        let claims = self.claims(audience, more);
        self.sign(&json!({"typ": "at+jwt"}), &claims)
    }

    /// Returns a token without content that stands for the same.
    #[must_use]
    pub fn opaque(&self, audience: &str, more: Value) -> String {
        let claims = self.claims(audience, more);
        let token = secret_token();
        self.lock().opaque.insert(token.clone(), claims);
        token
    }

    /// Has it forget a token without content.
    pub fn revoke(&self, token: &str) {
        self.lock().revoked.insert(token.to_owned());
    }

    /// Has it take the word of `enterprise` for its people (ID-JAG).
    pub fn trust(&self, enterprise: &Self) {
        self.lock().enterprises.push(enterprise.clone());
    }

    /// Returns what `client` holds after `ann` has signed in, with `more` claims.
    #[must_use]
    pub fn id_token(&self, client: &str, more: Value) -> String {
        let mut claims = self.claims(client, more);
        claims
            .as_object_mut()
            .map(|claims| claims.remove("client_id"));
        self.sign(&json!({"typ": "JWT"}), &claims)
    }

    /// Returns the claims of `token` if it is of this type and one of its keys signed it.
    fn vouched(&self, token: &str, kind: &str) -> Option<Value> {
        let part = |number| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(number)?);
            serde_json::from_slice::<Value>(&bytes.ok()?).ok()
        };
        let (header, claims) = (part(0)?, part(1)?);
        let good = header["typ"] == kind
            && claims["iss"] == self.issuer()
            && claims["exp"].as_i64()? > self.clock.now().as_second();
        let signed = self.lock().keys.iter().any(|key| key.has_signed(token));
        (good && signed).then_some(claims)
    }

    fn claims(&self, audience: &str, more: Value) -> Value {
        let now = self.clock.now().as_second();
        let mut claims = json!({
            "iss": self.issuer(),
            "aud": audience,
            "client_id": "agent",
            "sub": "ann",
            "iat": now,
            "exp": now + 300,
            "jti": secret_token(),
        });
        if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
            for (name, value) in more {
                match value {
                    Value::Null => drop(claims.remove(&name)),
                    value => drop(claims.insert(name, value)),
                }
            }
        }
        claims
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let mood = self.lock().mood;
        let path = head.uri.path().to_owned();
        if path == "/jwks" {
            self.fetches.send_modify(|fetches| *fetches += 1);
        }
        match mood {
            Mood::Away => return status(StatusCode::SERVICE_UNAVAILABLE),
            Mood::Silent => std::future::pending().await,
            _ => {}
        }
        let read = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let body = read.unwrap_or_default();
        match (&head.method, path.as_str()) {
            (
                &Method::GET,
                "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration",
            ) => json_answer(&self.metadata(mood)),
            (&Method::GET, "/jwks") => self.key_set(mood),
            (&Method::GET, "/elsewhere") => json_answer(&self.jwks()),
            (&Method::GET, "/authorize") => self.authorize(&head),
            (&Method::POST, "/token") => self.grant(&head, &body),
            (&Method::POST, "/introspect") => self.introspect(&head, &body),
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    fn metadata(&self, mood: Mood) -> Value {
        let issuer = match mood {
            Mood::Impostor => "https://other.example".to_owned(),
            _ => self.issuer(),
        };
        let at = |path: &str| format!("{}/{path}", self.issuer());
        json!({
            "issuer": issuer,
            "jwks_uri": at("jwks"),
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"),
            "introspection_endpoint": at("introspect"),
            "response_types_supported": ["code"],
            "grant_types_supported": [
                "authorization_code", "client_credentials",
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ],
            "authorization_grant_profiles_supported": ["urn:ietf:params:oauth:grant-profile:id-jag"],
            "code_challenge_methods_supported": ["S256"],
            "client_id_metadata_document_supported": true,
            "authorization_response_iss_parameter_supported": true,
            "dpop_signing_alg_values_supported": ["ES256"],
        })
    }

    fn key_set(&self, mood: Mood) -> Response<Full<Bytes>> {
        match mood {
            Mood::Garbled => Response::new(Full::from("<html>not keys</html>")),
            Mood::Endless => Response::new(Full::from(vec![b' '; 4 << 20])),
            Mood::Elsewhere => {
                let mut response = status(StatusCode::FOUND);
                let to = header::HeaderValue::from_static("/elsewhere");
                response.headers_mut().insert(header::LOCATION, to);
                response
            }
            _ => json_answer(&self.jwks()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn json_answer(value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(value.to_string()));
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
