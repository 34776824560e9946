//! TLS towards clients.

use std::{path::PathBuf, sync::Arc};

use airside_gateway::config::{ClientCertificates, Tls};
use airside_identity::{CertificateConfig, certificate::Pattern};
use airside_testkit::pki::{Authority, Issued, Name};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::harness::{House, Reply, Setup, call, headers, post_over, within};

pub(crate) const HOST: &str = "mtls.connectors.example";

pub(crate) struct Pki {
    folder: tempfile::TempDir,
    /// Of the gateway.
    server: Authority,
    /// Of clients.
    pub(crate) clients: Authority,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let pki = Self {
            folder: tempfile::tempdir().unwrap(),
            server: Authority::new("server"),
            clients: Authority::new("connectors"),
        };
        pki.renew(&pki.server.issue(&[Name::Dns("localhost")]));
        pki.write("clients.pem", &pki.clients.pem());
        pki
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    /// Gives the gateway this certificate.
    fn renew(&self, issued: &Issued) {
        self.write("server.pem", &issued.pem());
        self.write("server.key", &issued.key_pem());
    }

    async fn house(&self, clients: ClientCertificates, change: impl FnOnce(&mut Tls)) -> House {
        let mut setup = self.setup(clients);
        change(setup.listen.tls.as_mut().unwrap());
        House::with(setup).await
    }

    /// Returns a gateway to which the platform `connectors` may show certificates.
    pub(crate) fn setup(&self, clients: ClientCertificates) -> Setup {
        let mut tls = Tls::new(self.path("server.pem"), self.path("server.key"));
        tls.client_certificates = clients;
        let platform = CertificateConfig {
            name: "connectors".to_owned(),
            ca_file: self.path("clients.pem"),
            crl_file: None,
            dns: vec![Pattern::new(HOST)],
            uri: vec![],
            email: vec![],
            tenant: airside_base::TenantId::default(),
            groups: vec![],
        };
        let mut setup = Setup {
            anonymous: false,
            ..Setup::default()
        };
        setup.listen.tls = Some(tls);
        setup.identity.certificate = vec![platform];
        setup
    }

    /// Connects as somebody with `shown`.
    pub(crate) async fn connect(
        &self,
        house: &House,
        shown: Option<&Issued>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let pem = self.server.pem();
        for root in pem_certificates(&pem) {
            roots.add(root).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let key = PrivateKeyDer::try_from(shown.key.clone()).unwrap();
                let chain = vec![CertificateDer::from(shown.der.clone())];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let stream = TcpStream::connect(house.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
    }

    async fn call(&self, house: &House, shown: Option<&Issued>) -> std::io::Result<Reply> {
        let stream = self.connect(house, shown).await?;
        let host = house.address.to_string();
        post_over(
            stream,
            &host,
            &headers("tools/call", "search"),
            call("search"),
        )
        .await
    }

    async fn verdict(&self, house: &House, shown: Option<&Issued>) -> String {
        match self.call(house, shown).await {
            Ok(reply) => reply.verdict(),
            Err(_) => "no connection".to_owned(),
        }
    }
}

fn pem_certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

#[tokio::test]
async fn platform_calls_with_its_certificate() {
    let pki = Pki::new();
    let house = pki.house(ClientCertificates::Optional, |_| {}).await;
    let shown = pki.clients.issue(&[Name::Dns(HOST)]);
    assert_eq!(pki.verdict(&house, Some(&shown)).await, "200 0 -");
    let entries = house.entries(1).await;
    let caller = &entries[0].1["subject"]["caller"];
    assert_eq!(caller["kind"], "certificate");
    assert_eq!(caller["id"], "connectors");
    assert_eq!(caller["attestation"], "mtls");
    assert_eq!(pki.verdict(&house, None).await, "401 40100 ID-001");
}

#[tokio::test]
async fn certificates_that_prove_nothing_open_nothing() {
    let pki = Pki::new();
    let house = pki.house(ClientCertificates::Optional, |_| {}).await;
    let stranger = Authority::new("stranger").issue(&[Name::Dns(HOST)]);
    assert_eq!(pki.verdict(&house, Some(&stranger)).await, "no connection");
    let expired = pki.clients.issue_until(&[Name::Dns(HOST)], 2026, 1);
    assert_eq!(pki.verdict(&house, Some(&expired)).await, "no connection");
    let other = pki.clients.issue(&[Name::Dns("other.example")]);
    assert_eq!(pki.verdict(&house, Some(&other)).await, "401 40100 ID-053");
}

#[tokio::test]
async fn required_certificate_is_required() {
    let pki = Pki::new();
    let house = pki.house(ClientCertificates::Required, |_| {}).await;
    assert_eq!(pki.verdict(&house, None).await, "no connection");
    let shown = pki.clients.issue(&[Name::Dns(HOST)]);
    assert_eq!(pki.verdict(&house, Some(&shown)).await, "200 0 -");
}

#[tokio::test]
async fn forwarded_header_of_a_client_proves_nothing() {
    let pki = Pki::new();
    let house = pki.house(ClientCertificates::Optional, |_| {}).await;
    let stream = pki.connect(&house, None).await.unwrap();
    let mut fields = headers("tools/call", "search");
    fields.push(("client-cert", ":AAAA:"));
    fields.push(("x-forwarded-client-cert", "Cert=\"x\""));
    let host = house.address.to_string();
    let reply = post_over(stream, &host, &fields, call("search"))
        .await
        .unwrap();
    assert_eq!(reply.verdict(), "401 40100 ID-001");
}

#[tokio::test]
async fn new_certificate_is_used_without_dropping_connections() {
    let pki = Pki::new();
    let house = pki.house(ClientCertificates::Optional, |_| {}).await;
    let shown = pki.clients.issue(&[Name::Dns(HOST)]);
    let open = pki.connect(&house, Some(&shown)).await.unwrap();
    let leaf = |stream: &TlsStream<TcpStream>| {
        let (_, session) = stream.get_ref();
        session.peer_certificates().unwrap()[0].to_vec()
    };
    let before = leaf(&open);

    let next = pki.server.issue(&[Name::Dns("localhost")]);
    pki.renew(&next);
    house.renew();
    let after = leaf(&pki.connect(&house, Some(&shown)).await.unwrap());
    assert_ne!(after, before);
    assert_eq!(after, next.der);

    // The files are broken: what is in use stays in use.
    pki.write("server.key", "no key");
    house.renew();
    let kept = leaf(&pki.connect(&house, Some(&shown)).await.unwrap());
    assert_eq!(kept, next.der);

    let host = house.address.to_string();
    let fields = headers("tools/call", "search");
    let reply = post_over(open, &host, &fields, call("search"))
        .await
        .unwrap();
    assert_eq!(reply.verdict(), "200 0 -");
}

#[tokio::test]
async fn withdrawn_authority_ends_what_open_connections_may_do() {
    let pki = Pki::new();
    let house = pki.house(ClientCertificates::Optional, |_| {}).await;
    let shown = pki.clients.issue(&[Name::Dns(HOST)]);
    let open = pki.connect(&house, Some(&shown)).await.unwrap();
    pki.write("clients.pem", &Authority::new("next").pem());
    house.renew();
    let host = house.address.to_string();
    let fields = headers("tools/call", "search");
    let reply = post_over(open, &host, &fields, call("search"))
        .await
        .unwrap();
    assert_eq!(reply.verdict(), "401 40100 ID-050");
    assert_eq!(pki.verdict(&house, Some(&shown)).await, "no connection");
}

#[tokio::test]
async fn slow_and_garbled_handshakes_hold_nobody_up() {
    let pki = Pki::new();
    let house = pki
        .house(ClientCertificates::Optional, |tls| {
            tls.handshake_timeout_ms = 400;
            tls.max_handshakes = 8;
        })
        .await;
    let shown = pki.clients.issue(&[Name::Dns(HOST)]);
    // More of them than there are threads.
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(TcpStream::connect(house.address).await.unwrap());
    }
    let answer = house
        .raw(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    assert!(!answer.starts_with("HTTP"), "{answer}");
    assert_eq!(pki.verdict(&house, Some(&shown)).await, "200 0 -");
    for mut stream in silent {
        let mut rest = Vec::new();
        // Closed by the gateway, in time.
        let _ = within(stream.read_to_end(&mut rest)).await;
    }
}

#[tokio::test]
async fn handshakes_beyond_the_bound_are_closed_at_once() {
    let pki = Pki::new();
    let house = pki
        .house(ClientCertificates::Optional, |tls| {
            tls.handshake_timeout_ms = 60_000;
            tls.max_handshakes = 1;
        })
        .await;
    let first = TcpStream::connect(house.address).await.unwrap();
    // Whichever of the two comes first at its thread has the only place.
    let mut second = TcpStream::connect(house.address).await.unwrap();
    let mut first_too = first;
    let (mut one, mut two) = ([0; 1], [0; 1]);
    let ended = within(async {
        tokio::select! {
            read = first_too.read(&mut one) => read,
            read = second.read(&mut two) => read,
        }
    })
    .await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}
