use std::{io::Write as _, path::PathBuf};

use super::*;
use crate::{
    component::Ecosystem,
    exploit::{Exploitation, Known},
    index::Index,
};

const OSV: &str = r#"{"id":"GHSA-1","modified":"2026-01-02T00:00:00Z","published":"2026-01-02T00:00:00Z","aliases":["CVE-2026-1"],"affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.3.1"}]}]}]}"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, content).expect("written");
        self
    }

    fn load(&self) -> Index {
        load(self.0.path(), None).expect("feeds")
    }
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).expect("a file");
        writer.write_all(content).expect("its content");
    }
    writer.finish().expect("an archive").into_inner()
}

fn feed<'a>(index: &'a Index, name: &str) -> &'a Feed {
    let feed = index.feeds().iter().find(|feed| feed.name == name);
    feed.expect("the feed is accounted for")
}

#[test]
fn feeds_are_known_by_their_content() {
    let index = Folder::new()
        .file("npm/all.zip", zipped(&[("GHSA-1.json", OSV.as_bytes())]))
        .file(
            "some.csv",
            "#model_version:v1,score_date:2026-01-30T12:55:00Z\ncve,epss,percentile\nCVE-2026-1,3e-05,0.5\nCVE-2026-2,2,0.5\n",
        )
        .file(
            "k.json",
            "{\n\"catalogVersion\":\"2026.08.21\",\"dateReleased\":\"2026-08-21T17:46:43.6019Z\",\n\"vulnerabilities\":[{\"cveID\":\"CVE-2026-1\",\"dateAdded\":\"2026-08-20\",\"dueDate\":\"2026-08-23\",\"knownRansomwareCampaignUse\":\"Known\"}]}",
        )
        .file(
            "points.ndjson",
            "{\"cve\":\"CVE-2026-1\",\"state\":\"PUBLISHED\",\"ssvc\":{\"exploitation\":\"PoC\",\"automatable\":\"Yes\",\"technical_impact\":\"Total\",\"version\":\"2\",\"timestamp\":\"2026-08-01T00:00:00\"}}\n",
        )
        .file("flags.csv", "cve,cvss,epss,published,sources\nCVE-2026-1,9.8,0.5,2026-01-01,Metasploit\n")
        .file("README.md", "words")
        .load();
    assert_eq!(feed(&index, "npm/all.zip").kind, Kind::Advisories);
    assert_eq!(feed(&index, "some.csv").records, 1);
    assert_eq!(feed(&index, "some.csv").unreadable, 1);
    let date = |name: &str| feed(&index, name).date.map(|d| d.to_string());
    assert_eq!(date("some.csv").as_deref(), Some("2026-01-30"));
    assert_eq!(date("k.json").as_deref(), Some("2026-08-21"));
    assert_eq!(feed(&index, "k.json").records, 1);
    assert!(feed(&index, "README.md").problem.is_some());
    let known: Known = index.known(["GHSA-1", "CVE-2026-1"]);
    assert!(known.public_exploit);
    assert_eq!(known.epss.expect("a score").score, 3);
    let points = known.points.expect("points");
    assert_eq!(points.exploitation, Exploitation::Poc);
    assert!(known.kev.expect("listed").ransomware);
    assert_eq!(index.of_package(&Ecosystem::Npm, "left-pad").len(), 1);
}

#[test]
fn unreadable_records_are_counted_and_the_rest_is_kept() {
    let index = Folder::new()
        .file("a.ndjson", format!("{OSV}\nnot json\n\n{{\"id\":7}}\n"))
        .load();
    assert_eq!(feed(&index, "a.ndjson").records, 1);
    assert_eq!(feed(&index, "a.ndjson").unreadable, 2);
}

#[test]
fn folders_without_advisories_are_refused() {
    let empty = Folder::new().file("README.md", "words");
    assert!(matches!(
        load(empty.0.path(), None),
        Err(Problem::Empty { .. })
    ));
    let missing = empty.0.path().join("missing");
    assert!(matches!(
        load(&missing, None),
        Err(Problem::Unreadable { .. })
    ));
}

#[test]
fn bombs_are_bounded() {
    // 20 MB of zeros in one entry: over the limit of a record, and left there.
    let zeros = vec![0_u8; 20 * 1024 * 1024];
    let index = Folder::new()
        .file(
            "bomb.zip",
            zipped(&[("a.json", &zeros), ("b.json", OSV.as_bytes())]),
        )
        .file(
            "long.ndjson.zst",
            zstd::encode_all(zeros.as_slice(), 1).expect("packed"),
        )
        .load();
    assert_eq!(feed(&index, "bomb.zip").records, 1);
    assert_eq!(feed(&index, "bomb.zip").unreadable, 1);
    assert_eq!(feed(&index, "long.ndjson.zst").records, 0);
}

#[test]
fn kept_indexes_serve_while_the_files_are_the_same() {
    let folder = Folder::new().file("a.ndjson", OSV);
    let kept = tempfile::tempdir().expect("a folder");
    let place = kept.path().join("deep/feeds.index");
    let first = load(folder.0.path(), Some(&place)).expect("feeds");
    let second = load(folder.0.path(), Some(&place)).expect("feeds");
    assert_eq!(first.digest(), second.digest());
    std::fs::write(&place, b"damaged").expect("written");
    let third = load(folder.0.path(), Some(&place)).expect("feeds");
    assert_eq!(first.digest(), third.digest());
    let folder = folder.file("b.ndjson", OSV.replace("GHSA-1", "GHSA-2"));
    let fourth = load(folder.0.path(), Some(&place)).expect("feeds");
    assert_eq!(fourth.len(), 2);
}

/// The folder of shared data; in continuous integration it has to be there.
pub(crate) fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("AIRSIDE_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = root.join("data/advisories");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing",
        folder.display()
    );
    None
}

/// The index of the shared data, made by the first test that asks.
pub(crate) fn published() -> Option<Index> {
    let kept = std::env::temp_dir().join("airside-inventory-tests.index");
    Some(load(&shared()?, Some(&kept)).expect("feeds"))
}

#[test]
fn published_feeds_are_read_whole() {
    let Some(index) = published() else { return };
    let count = |name: &str| {
        let feed = feed(&index, name);
        (feed.records, feed.unreadable)
    };
    assert_eq!(count("osv-crates-rustsec.ndjson.zst"), (1206, 0));
    assert_eq!(count("osv-pypi-pypa.ndjson.zst"), (7080, 0));
    assert_eq!(count("osv-go-vulndb.ndjson.zst"), (4291, 0));
    assert_eq!(count("osv-npm-derived.ndjson.zst"), (1094, 0));
    assert_eq!(count("osv-ghsa-mixed.ndjson.zst"), (437, 0));
    assert_eq!(count("kev-2026-08-21.json.zst"), (1674, 0));
    assert_eq!(count("epss-2026-01-30.csv.zst"), (313_089, 0));
    assert_eq!(
        count("ssvc-vulnrichment-2025-01-24.ndjson.zst"),
        (62_713, 0)
    );
    assert_eq!(count("cve5-records-slice.ndjson.zst"), (2116, 0));
    assert_eq!(count("openvex-vexhub.ndjson.zst"), (59, 0));
    assert_eq!(index.statements(), 15_304);
    assert!(index.size_bytes() < 200 * 1024 * 1024);
}

#[test]
fn older_and_partial_feeds_are_refused_and_the_index_before_stays() {
    let kev = |day: &str| {
        format!(
            r#"{{"catalogVersion":"1","dateReleased":"{day}T00:00:00Z","vulnerabilities":[{{"cveID":"CVE-2026-1","dateAdded":"2026-08-20","dueDate":"2026-08-23","knownRansomwareCampaignUse":"Known"}}]}}"#
        )
    };
    let folder = Folder::new()
        .file("npm.zip", zipped(&[("GHSA-1.json", OSV.as_bytes())]))
        .file("kev.json", kev("2026-08-21"));
    let kept = tempfile::tempdir().expect("a folder");
    let kept = kept.path().join("index");
    let renew = |folder: &Folder| renew(folder.0.path(), &kept).expect("feeds");
    let (first, refused) = renew(&folder);
    assert_eq!(refused, None);
    // An older catalogue than the one in use.
    let folder = folder.file("kev.json", kev("2026-08-01 older").replace(" older", ""));
    let (index, refused) = renew(&folder);
    assert_eq!(index.digest(), first.digest());
    let why = refused.expect("refused");
    assert_eq!(why, "KEV of 2026-08-01 is older than that of 2026-08-21");
    // None at all.
    std::fs::remove_file(folder.0.path().join("kev.json")).expect("removed");
    assert_eq!(renew(&folder).1.as_deref(), Some("KEV is gone"));
    // An archive that broke off.
    let folder = folder
        .file("kev.json", kev("2026-08-22"))
        .file("npm.zip", &zipped(&[("GHSA-1.json", OSV.as_bytes())])[..60])
        .file("more.ndjson", OSV);
    let (index, refused) = renew(&folder);
    assert_eq!(index.digest(), first.digest());
    assert!(refused.expect("refused").starts_with("npm.zip: "));
    // A newer one, whole.
    let folder = folder.file("npm.zip", zipped(&[("GHSA-1.json", OSV.as_bytes())]));
    let (index, refused) = renew(&folder);
    assert_eq!(refused, None);
    assert_ne!(index.digest(), first.digest());
}
