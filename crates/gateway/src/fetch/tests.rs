use airside_base::{OnFailure, Redacted, Supervisor};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A server that answers every request with `answer` and nothing to an empty one.
/// Returns its port and the requests it sees.
async fn server(answer: Vec<u8>, tls: Option<TlsAcceptor>) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, seen) = mpsc::channel(8);
    Supervisor::new().spawn("server", OnFailure::Log, async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream: Box<dyn Duplex> = match &tls {
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => continue,
                },
                None => Box::new(stream),
            };
            let mut buffer = vec![0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            sender.try_send(text).unwrap();
            // The other side may have had enough before the end.
            let _ = stream.write_all(&answer).await;
            kept.push(stream);
        }
    });
    (port, seen)
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

fn request(url: &str, reach: Reach) -> FetchRequest {
    FetchRequest {
        max_bytes: 64,
        ..FetchRequest::get(url.parse().unwrap(), reach)
    }
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

async fn outcome(request: FetchRequest) -> Result<Bytes, FetchError> {
    let fetched = HttpFetch::default().fetch(request).await;
    fetched.map(|fetched| fetched.body)
}

#[tokio::test]
async fn document_is_fetched_from_this_machine() {
    let (port, mut seen) = server(answer("200 OK\r\ncache-control: max-age=60", "{}"), None).await;
    let url = format!("http://localhost:{port}/keys?v=1");
    let fetched = HttpFetch::default().fetch(request(&url, Reach::Loopback));
    let fetched = fetched.await.unwrap();
    assert_eq!(fetched.body, "{}");
    assert_eq!(fetched.max_age(), Some(Duration::from_secs(60)));
    let seen = seen.recv().await.unwrap();
    assert!(seen.starts_with("GET /keys?v=1 HTTP/1.1\r\n"), "{seen}");
    assert!(
        seen.contains(&format!("host: localhost:{port}\r\n")),
        "{seen}"
    );
}

#[tokio::test]
async fn form_is_posted_with_its_credentials() {
    let (port, mut seen) = server(answer("200 OK", "{}"), None).await;
    let request = FetchRequest {
        form: Some(Redacted::new("token=abc".to_owned())),
        authorization: Some(Redacted::new("Basic eDp5".to_owned())),
        ..request(&format!("http://127.0.0.1:{port}/i"), Reach::Loopback)
    };
    assert!(!format!("{request:?}").contains("eDp5"));
    outcome(request).await.unwrap();
    let seen = seen.recv().await.unwrap();
    assert!(seen.starts_with("POST /i HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("authorization: Basic eDp5\r\n"), "{seen}");
    assert!(seen.contains("content-type: application/x-www-form-urlencoded\r\n"));
}

#[tokio::test]
async fn names_that_resolve_out_of_reach_are_refused_before_a_connection() {
    let (port, mut seen) = server(answer("200 OK", "{}"), None).await;
    for reach in [Reach::Public, Reach::Internal] {
        let refused = outcome(request(&format!("https://localhost:{port}/"), reach)).await;
        assert!(
            matches!(refused, Err(FetchError::Address { .. })),
            "{refused:?}"
        );
        let refused = outcome(request(&format!("http://localhost:{port}/"), reach)).await;
        assert!(
            matches!(refused, Err(FetchError::Url { .. })),
            "{refused:?}"
        );
    }
    assert!(seen.try_recv().is_err());
}

#[test]
fn name_that_is_partly_out_of_reach_is_refused_whole() {
    let addresses: Vec<SocketAddr> = ["8.8.8.8:443", "10.0.0.1:443"]
        .map(|address| address.parse().unwrap())
        .to_vec();
    let address = "10.0.0.1".parse().unwrap();
    let refused = within(&addresses, Reach::Public);
    assert_eq!(refused, Err(FetchError::Address { address }));
    assert_eq!(within(&addresses, Reach::Internal), Ok(()));
    assert_eq!(within(&addresses[..1], Reach::Public), Ok(()));
}

#[tokio::test]
async fn redirects_and_errors_are_not_answers() {
    for (head, status) in [
        ("302 Found\r\nlocation: http://127.0.0.1:1/", 302),
        ("404 Not Found", 404),
        ("500 No", 500),
    ] {
        let (port, _seen) = server(answer(head, ""), None).await;
        let refused = outcome(request(
            &format!("http://127.0.0.1:{port}/"),
            Reach::Loopback,
        ));
        assert_eq!(refused.await, Err(FetchError::Status { status }));
    }
}

#[tokio::test]
async fn answers_are_bounded_in_size_and_time() {
    let (port, _seen) = server(answer("200 OK", &"x".repeat(65)), None).await;
    let refused = outcome(request(
        &format!("http://127.0.0.1:{port}/"),
        Reach::Loopback,
    ));
    let limit_bytes = 64;
    assert_eq!(refused.await, Err(FetchError::TooLarge { limit_bytes }));

    for stalls in [
        Vec::new(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec(),
    ] {
        let (port, _seen) = server(stalls, None).await;
        let request = FetchRequest {
            timeout: Duration::from_millis(50),
            ..request(&format!("http://127.0.0.1:{port}/"), Reach::Loopback)
        };
        let limit_ms = 50;
        assert_eq!(
            outcome(request).await,
            Err(FetchError::Timeout { limit_ms })
        );
    }
}

#[tokio::test]
async fn certificate_has_to_be_for_the_host_and_trusted() {
    for (name, trusted, good) in [
        ("localhost", true, true),
        ("localhost", false, false),
        ("other.example", true, false),
    ] {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([name.to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let acceptor = ServerConfig::builder_with_provider(provider.clone())
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
        let acceptor = TlsAcceptor::from(Arc::new(acceptor));
        let (port, _seen) = server(answer("200 OK", "{}"), Some(acceptor)).await;
        let url = format!("https://localhost:{port}/");
        let fetched = HttpFetch::with_tls(Arc::new(client))
            .fetch(request(&url, Reach::Loopback))
            .await;
        assert_eq!(fetched.is_ok(), good, "{name} {trusted} {fetched:?}");
    }
}
