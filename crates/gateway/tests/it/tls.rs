//! Upstream servers behind TLS.

use std::{convert::Infallible, sync::Arc, time::Duration};

use airside_base::{OnFailure, Supervisor};
use airside_mcp::body;
use airside_transport::{Error, Http};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Calls a server whose certificate is for `name` as `localhost`, twice, trusting its
/// certificate or nothing. Returns how many connections it took.
async fn check(name: &str, trusted: bool) -> Result<usize, Error> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    if trusted {
        roots.add(cert.der().clone()).unwrap();
    }
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let supervisor = Supervisor::new();
    let (made, connections) = tokio::sync::watch::channel(0);
    let tasks = supervisor.clone();
    supervisor.spawn("server", OnFailure::Log, async move {
        let acceptor = TlsAcceptor::from(Arc::new(server));
        while let Ok((stream, _)) = listener.accept().await {
            made.send_modify(|made| *made += 1);
            let accepting = acceptor.accept(stream);
            tasks.spawn("connection", OnFailure::Log, async move {
                if let Ok(stream) = accepting.await {
                    let http = server::conn::http1::Builder::new();
                    let _ = http
                        .serve_connection(TokioIo::new(stream), service_fn(echo))
                        .await;
                }
            });
        }
    });

    let url = format!("https://localhost:{port}/mcp").parse().unwrap();
    let http = Http::new(&url, Arc::new(client), Duration::from_secs(20), 1).unwrap();
    for text in ["one", "two"] {
        let request = Request::post("/").body(Bytes::from(text)).unwrap();
        let response = http.send(request).await?;
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            text
        );
    }
    let made = *connections.borrow();
    Ok(made)
}

async fn echo(request: Request<Incoming>) -> Result<Response<airside_mcp::Body>, Infallible> {
    Ok(Response::new(body::boxed(request.into_body())))
}

#[tokio::test]
async fn trusted_server_is_called_over_one_connection() {
    assert_eq!(check("localhost", true).await.unwrap(), 1);
}

#[tokio::test]
async fn server_that_nobody_vouches_for_is_not_called() {
    let error = check("localhost", false).await.unwrap_err();
    assert!(error.is_unsent(), "{error:?}");
}

#[tokio::test]
async fn server_of_another_name_is_not_called() {
    let error = check("elsewhere.example", true).await.unwrap_err();
    assert!(error.is_unsent(), "{error:?}");
}
