//! Archives in a storage that speaks the protocol of S3, with a bad network before it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use airside_archive::{
    Access, AccessError, Archive, Archiver, Error, Objects, Options,
    restore::{Folds, Request, Source, Until, digest, restore},
};
use airside_base::{Clock, NodeId, OnFailure, Supervisor};
use airside_ledger::{
    Store,
    stores::memory::Memory,
    vault::{Vault, memory::MemoryVault},
};
use airside_testkit::s3::Server;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request as Asked, Response, body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use url::Url;

use crate::{
    harness::{Rig, draft},
    kms,
};

/// What the network does with requests.
pub(crate) const PASS: u8 = 0;
/// Writes reach the storage, but the connection breaks before they are answered.
const LOSE_ANSWERS: u8 = 1;
/// Nothing reaches the storage.
pub(crate) const UNAVAILABLE: u8 = 2;
/// The condition of writes is dropped.
const DROP_CONDITIONS: u8 = 3;

/// A storage behind a network that does what it is told.
pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) network: Arc<AtomicU8>,
    url: Url,
    pub(crate) access: Access,
    pub(crate) vault: Arc<dyn Vault>,
    tasks: Supervisor,
    _folder: tempfile::TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let server = Server::start().unwrap();
        let url = format!("s3://{}/some/where", server.bucket().unwrap());
        let (network, tasks) = (Arc::new(AtomicU8::new(PASS)), Supervisor::new());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (target, mode, inner) = (server.address().to_owned(), network.clone(), tasks.clone());
        tasks.spawn("network", OnFailure::Log, async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (target, mode) = (target.clone(), mode.clone());
                let service = service_fn(move |asked| pass(asked, target.clone(), mode.clone()));
                inner.spawn("connection", OnFailure::Log, async move {
                    let io = TokioIo::new(stream);
                    let served = hyper::server::conn::http1::Builder::new();
                    // A connection that breaks is what the test is about.
                    let _ = served.serve_connection(io, service).await;
                });
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let credentials = credentials(
            &folder,
            "[default]\naws_access_key_id = someone\naws_secret_access_key = something\n",
            0o600,
        );
        Self {
            server,
            network,
            url: url.parse().unwrap(),
            access: Access {
                endpoint: Some(endpoint.parse().unwrap()),
                region: None,
                credentials: Some(credentials),
            },
            vault: Arc::new(MemoryVault::default()),
            tasks,
            _folder: folder,
        }
    }

    fn network(&self, does: u8) {
        self.network.store(does, Ordering::SeqCst);
    }

    async fn create(&self, rig: &Rig) -> Result<Archive, Error> {
        let objects = Objects::open(&self.url, &self.access)?;
        Archive::open_or_create(objects, self.vault.clone(), &rig.clock).await
    }

    pub(crate) async fn archiver(&self, rig: &Rig) -> Archiver {
        let archive = self.create(rig).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
        let node = NodeId::generate(&rig.clock);
        let archiver = Archiver::new(rig.ledger.clone(), archive, clock, node, Options::default());
        archiver.await.unwrap()
    }

    /// Restores everything and compares it with `store`.
    pub(crate) async fn check(&self, rig: &Rig, store: &dyn Store, manifests: u64) {
        let objects = Objects::existing(&self.url, &self.access).unwrap();
        let archive = Archive::open(objects, self.vault.clone()).await.unwrap();
        let contents = archive.verify(&|_| {}).await.unwrap();
        assert_eq!(contents.manifests, manifests);
        let target: Arc<dyn Store> = Arc::new(Memory::new());
        let (folds, clock) = (Folds::default(), Arc::new(rig.clock.clone()));
        let request = Request {
            until: Until::Latest,
            tenant: None,
            now: rig.clock.now(),
        };
        let source = Source::Archive(&archive);
        restore(source, &request, &target, &folds, clock, &|_| {})
            .await
            .unwrap();
        let expected = digest(store, &folds).await.unwrap();
        assert_eq!(digest(&*target, &folds).await.unwrap(), expected);
    }

    pub(crate) async fn end(self) {
        self.tasks.stop(std::time::Duration::ZERO).await;
    }
}

/// What the network does with one request.
async fn pass(
    asked: Asked<Incoming>,
    target: String,
    mode: Arc<AtomicU8>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let mode = mode.load(Ordering::SeqCst);
    let (mut head, body) = asked.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    if mode == UNAVAILABLE {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
        return Ok(answer);
    }
    if mode == DROP_CONDITIONS {
        head.headers.remove("if-none-match");
    }
    if let Some(refused) = kms::refusal(&head, &body, &target).await {
        return Ok(refused);
    }
    let writes = head.method == hyper::Method::PUT;
    let path = head.uri.path_and_query().unwrap().to_string();
    head.uri = format!("http://{target}{path}").parse().unwrap();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client
        .request(Asked::from_parts(head, Full::new(body)))
        .await;
    let (head, body) = answer.map_err(std::io::Error::other)?.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    if mode == LOSE_ANSWERS && writes {
        return Err(std::io::ErrorKind::ConnectionReset.into());
    }
    Ok(Response::from_parts(head, Full::new(body)))
}

fn credentials(folder: &tempfile::TempDir, text: &str, mode: u32) -> PathBuf {
    let file = folder
        .path()
        .join(format!("credentials-{mode}-{}", text.len()));
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    file
}

#[tokio::test]
async fn archive_in_a_bucket_comes_back() {
    let place = Place::new().await;
    let store = Memory::new();
    let rig = Rig::on(Arc::new(store.clone())).await;
    let mut archiver = place.archiver(&rig).await;
    for number in 0..5 {
        rig.ledger
            .append(vec![draft("a", number), draft("b", number)])
            .await
            .unwrap();
        assert_eq!(archiver.ship().await.unwrap().entries, 2);
    }
    place.check(&rig, &store, 5).await;
    // Another run of the node finds the end and goes on.
    rig.clock.advance(std::time::Duration::from_secs(60));
    let mut next = place.archiver(&rig).await;
    rig.ledger.append(vec![draft("a", 5)]).await.unwrap();
    assert_eq!(next.ship().await.unwrap().entries, 1);
    place.check(&rig, &store, 6).await;
    rig.stop().await;
    place.end().await;
}

#[tokio::test]
async fn lost_answer_of_a_write_is_no_fork() {
    let place = Place::new().await;
    let store = Memory::new();
    let rig = Rig::on(Arc::new(store.clone())).await;
    let mut archiver = place.archiver(&rig).await;
    rig.ledger.append(vec![draft("a", 0)]).await.unwrap();
    place.network(LOSE_ANSWERS);
    let lost = archiver.ship().await;
    assert!(matches!(lost, Err(Error::Storage { .. })), "{lost:?}");
    place.network(PASS);
    assert_eq!(archiver.ship().await.unwrap().entries, 1);
    rig.ledger.append(vec![draft("a", 1)]).await.unwrap();
    assert_eq!(archiver.ship().await.unwrap().entries, 1);
    place.check(&rig, &store, 2).await;
    rig.stop().await;
    place.end().await;
}

#[tokio::test]
async fn unavailable_storage_is_tried_again() {
    let place = Place::new().await;
    let store = Memory::new();
    let rig = Rig::on(Arc::new(store.clone())).await;
    let mut archiver = place.archiver(&rig).await;
    rig.ledger.append(vec![draft("a", 0)]).await.unwrap();
    place.network(UNAVAILABLE);
    let failed = archiver.ship().await.unwrap_err();
    assert_eq!(failed.fault().code(), "LED-051");
    place.network(PASS);
    assert_eq!(archiver.ship().await.unwrap().entries, 1);
    place.check(&rig, &store, 1).await;
    rig.stop().await;
    place.end().await;
}

#[tokio::test]
async fn second_writer_is_told_and_writes_nothing() {
    let place = Place::new().await;
    let store = Memory::new();
    let rig = Rig::on(Arc::new(store.clone())).await;
    let mut archiver = place.archiver(&rig).await;
    rig.ledger.append(vec![draft("a", 0)]).await.unwrap();
    // One that does not know of the lease, because it has a ledger of its own.
    let other = Rig::on(Arc::new(Memory::new())).await;
    let mut second = place.archiver(&other).await;
    second.ship().await.unwrap();
    other.ledger.append(vec![draft("a", 7)]).await.unwrap();
    assert_eq!(second.ship().await.unwrap().entries, 1);
    let told = archiver.ship().await.unwrap_err();
    assert!(
        matches!(
            told,
            Error::Taken { .. } | Error::Ahead { .. } | Error::Forked { .. }
        ),
        "{told}"
    );
    other.stop().await;
    rig.stop().await;
    place.end().await;
}

#[tokio::test]
async fn storage_that_overwrites_gets_no_archive() {
    let place = Place::new().await;
    let rig = Rig::on(Arc::new(Memory::new())).await;
    place.network(DROP_CONDITIONS);
    let refused = place.create(&rig).await.unwrap_err();
    assert!(
        matches!(refused, Error::Access(AccessError::NotCreateOnly)),
        "{refused}"
    );
    assert_eq!(refused.fault().code(), "LED-107");
    place.network(PASS);
    let objects = Objects::open(&place.url, &place.access).unwrap();
    assert!(Archive::is_absent(&objects).await.unwrap());
    rig.stop().await;
    place.end().await;
}

fn refused(url: &str, access: &Access) -> String {
    let refused = Objects::open(&url.parse().unwrap(), access).unwrap_err();
    refused.fault().code().to_owned()
}

#[test]
fn unsafe_access_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let with = |endpoint: &str, credentials: PathBuf| Access {
        endpoint: Some(endpoint.parse().unwrap()),
        region: None,
        credentials: Some(credentials),
    };
    let good = "[default]\naws_access_key_id=a\naws_secret_access_key=b\n";
    let here = "http://127.0.0.1:9";
    let file = credentials(&folder, good, 0o600);
    let url = "s3://bucket/prefix";
    assert_eq!(
        refused(url, &with("http://storage.example", file.clone())),
        "LED-104"
    );
    let open = credentials(&folder, good, 0o644);
    assert_eq!(refused(url, &with(here, open)), "LED-105");
    let other = "[other]\naws_access_key_id=a\naws_secret_access_key=b\n";
    let other = credentials(&folder, other, 0o600);
    assert_eq!(refused(url, &with(here, other)), "LED-105");
    let missing = folder.path().join("missing");
    assert_eq!(refused(url, &with(here, missing)), "LED-105");
    for bad in ["s3:nothing", "s3://user:word@bucket/", "gs://bucket/prefix"] {
        assert_eq!(refused(bad, &with(here, file.clone())), "LED-050", "{bad}");
    }
    let objects = Objects::open(&url.parse().unwrap(), &with(here, file)).unwrap();
    let shown = format!("{objects:?}");
    assert!(
        !shown.contains("secret") && !shown.contains("=b"),
        "{shown}"
    );
}
