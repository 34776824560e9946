//! What upstream servers are shown.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use airside_base::{OnFailure, Supervisor};
use airside_gateway::config::{Auth, Secret, Token};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use url::Url;

use crate::harness::{Act, House, Seen, Setup, call, headers};

/// The key of a client, which has to stay here.
const CLIENT: &str = "Bearer airside_0123456789012345678901234567890123456789012";

fn authorization(seen: &Seen) -> Option<&str> {
    let value = seen.headers.get("authorization")?;
    value.to_str().ok()
}

async fn house(auth: Option<Auth>) -> House {
    House::with(Setup {
        upstream: Box::new(|upstream| upstream.auth = auth),
        ..Setup::default()
    })
    .await
}

fn secret(folder: &tempfile::TempDir) -> Auth {
    let file = folder.path().join("secret");
    std::fs::write(&file, "of-the-gateway").unwrap();
    Auth {
        secret: Some(Secret {
            file: Some(file),
            env: None,
            header: "authorization".to_owned(),
            scheme: None,
        }),
        ..Auth::default()
    }
}

/// A token endpoint that numbers its tokens and keeps what it was asked.
struct Issuer {
    url: Url,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: Supervisor,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (tasks, known) = (Supervisor::new(), asked.clone());
        let connections = tasks.clone();
        tasks.spawn("issuer", OnFailure::Log, async move {
            while let Ok((stream, _)) = listener.accept().await {
                let known = known.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let known = known.clone();
                    async move {
                        let form = request.into_body().collect().await.unwrap().to_bytes();
                        let mut known = known.lock().unwrap();
                        known.push(String::from_utf8(form.to_vec()).unwrap());
                        let body = format!(
                            r#"{{"access_token":"token-{}","token_type":"Bearer","expires_in":600}}"#,
                            known.len()
                        );
                        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
                    }
                });
                let serving = server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn("connection", OnFailure::Log, async move {
                    let _ = serving.await;
                });
            }
        });
        Self {
            url: format!("http://{address}/token").parse().unwrap(),
            asked,
            _tasks: tasks,
        }
    }

    fn auth(&self, folder: &tempfile::TempDir, exchange: bool) -> Auth {
        let file = folder.path().join("client");
        std::fs::write(&file, "client-secret").unwrap();
        Auth {
            token: Some(Token {
                url: self.url.clone(),
                internal: false,
                client_id: "airside".to_owned(),
                client_secret_file: Some(file),
                client_secret_env: None,
                client_key_file: None,
                client_key_id: None,
                assertion_audience: None,
                resource: None,
                audience: None,
                scopes: vec![],
                exchange,
            }),
            ..Auth::default()
        }
    }
}

#[tokio::test]
async fn credentials_of_clients_never_reach_a_server() {
    let folder = tempfile::tempdir().unwrap();
    for (auth, expected) in [
        (None, None),
        (Some(secret(&folder)), Some("Bearer of-the-gateway")),
    ] {
        let house = house(auth).await;
        let mut fields = headers("tools/call", "search");
        // A legal request with everything a client may be known by.
        fields.extend([
            ("cookie", "session=client"),
            ("proxy-authorization", "Basic Y2xpZW50"),
            ("dpop", "client"),
            ("signature", "s=:AA==:"),
            ("client-cert", ":AA==:"),
            ("x-api-key", "client"),
        ]);
        house.post(&fields, call("search")).await;
        let seen = &house.upstream.calls()[0];
        assert_eq!(authorization(seen), expected);
        for name in [
            "cookie",
            "proxy-authorization",
            "dpop",
            "signature",
            "client-cert",
            "x-api-key",
        ] {
            assert!(!seen.headers.contains_key(name), "{name}");
        }
    }
}

#[tokio::test]
async fn key_of_a_client_never_reaches_a_server() {
    let minted = airside_identity::mint();
    let shown = format!("Bearer {}", minted.secret.expose());
    let mut setup = Setup {
        anonymous: false,
        ..Setup::default()
    };
    setup.identity.api_key = vec![airside_identity::ApiKeyConfig {
        name: "ci".to_owned(),
        sha256: minted.sha256,
        tenant: airside_base::TenantId::default(),
        groups: vec![],
        not_after: None,
    }];
    let house = House::with(setup).await;
    let mut fields = headers("tools/call", "search");
    fields.push(("authorization", &shown));
    assert_eq!(
        house.post(&fields, call("search")).await.verdict(),
        "200 0 -"
    );
    let seen = &house.upstream.calls()[0];
    assert_eq!(authorization(seen), None);
    let all = format!("{:?} {:?}", seen.headers, seen.body);
    assert!(!all.contains(minted.secret.expose()), "{all}");
    assert!(!all.contains(CLIENT));
}

#[tokio::test]
async fn token_of_the_gateway_is_shown_with_each_call() {
    let (issuer, folder) = (Issuer::start().await, tempfile::tempdir().unwrap());
    let house = house(Some(issuer.auth(&folder, false))).await;
    for _ in 0..3 {
        assert_eq!(house.call("search").await.verdict(), "200 0 -");
    }
    let seen = house.upstream.calls();
    assert!(
        seen.iter()
            .all(|seen| authorization(seen) == Some("Bearer token-1"))
    );
    let asked = issuer.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].contains("grant_type=client_credentials"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn call_that_the_server_refuses_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(Some(secret(&folder))).await;
    house
        .upstream
        .next("book", Act::Answer(401, "application/json", Bytes::new()));
    let reply = house.call("book").await;
    assert_eq!(reply.status, 502);
    assert!(reply.verdict().ends_with("GW-026"), "{}", reply.verdict());
    assert_eq!(house.upstream.calls().len(), 1);
}

#[tokio::test]
async fn callers_without_tokens_are_nobody_to_exchange_for() {
    let (issuer, folder) = (Issuer::start().await, tempfile::tempdir().unwrap());
    let house = house(Some(issuer.auth(&folder, true))).await;
    let reply = house.call("search").await;
    assert!(reply.verdict().starts_with("403"), "{}", reply.verdict());
    assert!(reply.verdict().ends_with("GW-061"), "{}", reply.verdict());
    assert!(house.upstream.calls().is_empty());
    assert_eq!(house.ending(1).await, "call.refused permitted GW-061");
}
