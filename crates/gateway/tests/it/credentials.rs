//! What upstream servers are shown.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use airside_base::{OnFailure, Supervisor, SystemClock};
use airside_gateway::config::{Auth, ClientCertificate, Secret, Token};
use airside_testkit::idp::Idp;
use airside_testkit::pki::{Authority, Issued, Name};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
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
        previous: Vec::new(),
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

/// Puts TLS that demands a certificate of the authority `clients` (PEM) before the
/// server at `plain`. Returns its port.
fn terminate(plain: SocketAddr, server: &Issued, clients: &str) -> u16 {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(clients.as_bytes()).unwrap())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let key = PrivateKeyDer::try_from(server.key.clone()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![server.der.clone().into()], key)
        .unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = TcpListener::from_std(listener).unwrap();
    let (tasks, acceptor) = (Supervisor::new(), TlsAcceptor::from(Arc::new(config)));
    let connections = tasks.clone();
    tasks.spawn("terminator", OnFailure::Log, async move {
        while let Ok((stream, _)) = listener.accept().await {
            let accepting = acceptor.accept(stream);
            connections.spawn("connection", OnFailure::Log, async move {
                if let Ok(mut outside) = accepting.await {
                    let mut inside = TcpStream::connect(plain).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn certificate_of_the_gateway_is_shown_to_a_server_that_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let strangers = Authority::new("strangers");
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("ca.pem"), servers.pem()).unwrap();
    let server = servers.issue(&[Name::Dns("localhost")]);
    for (issuer, expected) in [
        (Some(&clients), "200 0 -"),
        (Some(&strangers), "502"),
        (None, "502"),
    ] {
        let auth = issuer.map(|issuer| {
            let own = issuer.issue(&[Name::Dns("airside.example")]);
            std::fs::write(file("own.pem"), own.pem()).unwrap();
            std::fs::write(file("own.key"), own.key_pem()).unwrap();
            Auth {
                certificate: Some(ClientCertificate {
                    certificate_file: file("own.pem"),
                    key_file: file("own.key"),
                }),
                ..Auth::default()
            }
        });
        let (ca, server, trusted) = (file("ca.pem"), server.clone(), clients.pem());
        let house = House::with(Setup {
            upstream: Box::new(move |upstream| {
                let url = upstream.url.as_ref().unwrap();
                let plain = url.socket_addrs(|| None).unwrap()[0];
                let port = terminate(plain, &server, &trusted);
                let url = format!("https://localhost:{port}/inner/mcp");
                upstream.url = Some(url.parse().unwrap());
                upstream.ca_file = Some(ca);
                upstream.auth = auth;
            }),
            ..Setup::default()
        })
        .await;
        let verdict = house.call("search").await.verdict();
        assert!(verdict.starts_with(expected), "{verdict}");
        let called = house.upstream.calls().len();
        assert_eq!(called, usize::from(expected == "200 0 -"));
    }
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

#[tokio::test]
async fn token_of_a_caller_is_exchanged_and_goes_no_further() {
    let (issuer, folder) = (Issuer::start().await, tempfile::tempdir().unwrap());
    let (tasks, clock) = (Supervisor::new(), Arc::new(SystemClock::new()));
    let idp = Idp::start(&tasks, clock).await;
    let auth = issuer.auth(&folder, true);
    let identity = json!({
        "resource": {"url": "https://mcp.example.com"},
        "issuer": [{"name": "corp", "url": idp.issuer()}],
    });
    let house = House::with(Setup {
        anonymous: false,
        identity: serde_json::from_value(identity).unwrap(),
        upstream: Box::new(|upstream| upstream.auth = Some(auth)),
        ..Setup::default()
    })
    .await;
    let token = |subject: &str| idp.token("https://mcp.example.com/mcp", json!({"sub": subject}));
    let (ann, bob) = (token("ann"), token("bob"));
    for token in [&ann, &bob, &ann] {
        let shown = format!("Bearer {token}");
        let mut fields = headers("tools/call", "search");
        fields.push(("authorization", &shown));
        let reply = house.post(&fields, call("search")).await;
        assert_eq!(reply.verdict(), "200 0 -");
    }
    let seen = house.upstream.calls();
    let shown: Vec<_> = seen.iter().filter_map(authorization).collect();
    assert_eq!(shown.len(), 3);
    assert!(shown[0] == shown[2] && shown[0] != shown[1], "{shown:?}");
    assert!(shown.iter().all(|shown| shown.starts_with("Bearer token-")));
    let text = format!("{seen:?}");
    assert!(!text.contains(&ann) && !text.contains(&bob));
    let asked = issuer.asked.lock().unwrap().clone();
    let exchanged = |token: &String| {
        let subject = format!("subject_token={token}");
        asked.iter().filter(|form| form.contains(&subject)).count()
    };
    assert_eq!((exchanged(&ann), exchanged(&bob)), (1, 1));
    for (_, entry) in house.entries(3).await {
        let text = entry.to_string();
        assert!(!text.contains(&ann) && !text.contains("token-"), "{text}");
    }
}
