use std::{collections::BTreeMap, sync::Mutex};

use airside_base::BoxFuture;
use airside_identity::{FetchError, Fetched};

use super::*;

/// A mirror that remembers what it was asked for.
#[derive(Debug, Default)]
struct Site {
    files: Mutex<BTreeMap<String, Bytes>>,
    asked: Mutex<Vec<String>>,
}

impl Fetch for Site {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<Fetched, FetchError>> {
        let checked = request.reach.check(&request.url);
        let path = request.url.path().to_owned();
        self.asked.lock().expect("held by one").push(path.clone());
        let found = self.files.lock().expect("held by one").get(&path).cloned();
        Box::pin(async move {
            checked?;
            let body = found.ok_or(FetchError::Status { status: 404 })?;
            if body.len() > request.max_bytes {
                let limit_bytes = request.max_bytes;
                return Err(FetchError::TooLarge { limit_bytes });
            }
            Ok(Fetched {
                headers: http::HeaderMap::default(),
                body,
            })
        })
    }
}

impl Site {
    fn publish(&self, files: &[(&str, &str)]) {
        let mut held = self.files.lock().expect("held by one");
        held.clear();
        let mut list = String::new();
        for (name, content) in files {
            list.push_str(sum_of(content));
            list.push_str(&format!("  {name}\n"));
            held.insert(
                format!("/feeds/{name}"),
                Bytes::copy_from_slice(content.as_bytes()),
            );
        }
        held.insert(format!("/feeds/{LIST}"), list.into());
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("held by one"))
    }
}

/// As `sha256sum` writes it.
fn sum_of(content: &str) -> &'static str {
    match content {
        "1" => "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
        "2" => "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35",
        "3" => "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce",
        other => panic!("nobody summed `{other}`"),
    }
}

fn mirror() -> Mirror {
    Mirror {
        url: Some("https://mirror.example/feeds".parse().expect("a URL")),
        folder: None,
        internal: false,
        key_file: None,
        every_h: 6,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[tokio::test]
async fn files_come_when_it_is_time_and_only_those_that_changed() {
    let site = Arc::new(Site::default());
    let fetch: Arc<dyn Fetch> = site.clone();
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("feeds");
    let (mirror, mut looked) = (mirror(), Looked::default());
    site.publish(&[("a", "1"), ("b", "2")]);
    let look = looked.look(&mirror, &folder, &fetch, at("2026-11-23T00:00:00Z"));
    assert_eq!(look.await, None);
    assert_eq!(site.asked(), ["/feeds/SHA256SUMS", "/feeds/a", "/feeds/b"]);
    site.publish(&[("a", "1"), ("b", "3")]);
    let look = looked.look(&mirror, &folder, &fetch, at("2026-11-23T05:59:59Z"));
    assert_eq!(look.await, None);
    assert!(site.asked().is_empty());
    let look = looked.look(&mirror, &folder, &fetch, at("2026-11-23T06:00:00Z"));
    assert_eq!(look.await, None);
    assert_eq!(site.asked(), ["/feeds/SHA256SUMS", "/feeds/b"]);
    assert_eq!(
        std::fs::read_to_string(folder.join("b")).expect("a file"),
        "3"
    );
}

#[tokio::test]
async fn mirrors_that_fail_are_told_and_asked_again_soon() {
    let site = Arc::new(Site::default());
    let fetch: Arc<dyn Fetch> = site.clone();
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("feeds");
    let (mirror, mut looked) = (mirror(), Looked::default());
    let first = looked.look(&mirror, &folder, &fetch, at("2026-11-23T00:00:00Z"));
    let why = "the mirror: `SHA256SUMS`: the answer has status 404";
    assert_eq!(first.await.as_deref(), Some(why));
    // It is said until the next look.
    let again = looked.look(&mirror, &folder, &fetch, at("2026-11-23T00:14:59Z"));
    assert_eq!(again.await.as_deref(), Some(why));
    site.publish(&[("a", "1")]);
    site.files
        .lock()
        .expect("held by one")
        .insert("/feeds/a".to_owned(), "2".into());
    let changed = looked.look(&mirror, &folder, &fetch, at("2026-11-23T00:15:00Z"));
    let why = "the mirror: `a` is not what `SHA256SUMS` says";
    assert_eq!(changed.await.as_deref(), Some(why));
    assert!(!folder.exists());
}

#[tokio::test]
async fn signed_lists_are_demanded_where_a_key_is_configured() {
    let site = Arc::new(Site::default());
    let fetch: Arc<dyn Fetch> = site.clone();
    let root = tempfile::tempdir().expect("a folder");
    let key = root.path().join("key.pem");
    std::fs::write(&key, "no key").expect("written");
    let mirror = Mirror {
        key_file: Some(key),
        ..mirror()
    };
    site.publish(&[("a", "1")]);
    let unsigned = take(&mirror, &root.path().join("feeds"), &fetch).await;
    assert_eq!(
        unsigned,
        Err("`SHA256SUMS.sig`: the answer has status 404".to_owned())
    );
    let signature = (format!("/feeds/{SIGNATURE}"), Bytes::from_static(&[0; 64]));
    site.files.lock().expect("held by one").extend([signature]);
    let keyless = take(&mirror, &root.path().join("feeds"), &fetch).await;
    assert_eq!(
        keyless,
        Err("the key is no public key for Ed25519 in PEM".to_owned())
    );
}

#[tokio::test]
async fn addresses_out_of_reach_are_not_asked() {
    let fetch: Arc<dyn Fetch> = Arc::new(airside_gateway::HttpFetch::default());
    for url in [
        "https://169.254.169.254/feeds",
        "https://10.0.0.1/",
        "http://192.0.2.1/",
    ] {
        let mirror = Mirror {
            url: Some(url.parse().expect("a URL")),
            ..mirror()
        };
        let root = tempfile::tempdir().expect("a folder");
        let refused = take(&mirror, &root.path().join("feeds"), &fetch).await;
        let why = refused.expect_err("refused");
        assert!(
            why.contains("out of reach") || why.contains("https"),
            "{url}: {why}"
        );
    }
}
