//! `airside scan` over files, feeds and mistakes.

use crate::run::Place;

const OSV: &str = r#"{"id":"GHSA-1","aliases":["CVE-2026-1"],"modified":"2026-11-01T00:00:00Z","published":"2026-11-01T00:00:00Z","summary":"Left padding \u001b[2J runs commands","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.3.1"}]}]}]}"#;
const KEV: &str = r#"{"catalogVersion":"1","dateReleased":"2026-11-20T00:00:00Z","vulnerabilities":[{"cveID":"CVE-2026-1","dateAdded":"2026-11-20","dueDate":"2026-11-23","knownRansomwareCampaignUse":"Unknown"}]}"#;

/// A place with feeds and a lock file that pins `left-pad`.
fn place(version: &str) -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("feeds")).expect("a folder");
    place.write("feeds/osv.ndjson", OSV);
    place.write("feeds/kev.json", KEV);
    std::fs::create_dir(place.path("app")).expect("a folder");
    let lock = format!(
        r#"{{"packages":{{"":{{"name":"app","dependencies":{{"left-pad":"^1.0.0"}}}},"node_modules/left-pad":{{"version":"{version}"}}}}}}"#
    );
    place.write("app/package-lock.json", &lock);
    place
}

fn scan(place: &Place, more: &[&str]) -> crate::run::Ran {
    let mut all = vec!["scan", "app", "--feeds", "feeds", "--index", "kept.index"];
    all.extend(more);
    place.run(&all)
}

#[test]
fn exploited_component_of_an_exposed_server_is_an_emergency() {
    let place = place("1.0.0");
    let exposed = ["--reach", "public", "--tier", "essential", "--data", "card"];
    let text = scan(&place, &exposed).ok();
    assert!(text.contains("emergency"), "{text}");
    assert!(text.contains("CVE-2026-1 (KEV)"), "{text}");
    assert!(
        text.contains("upgrade left-pad 1.0.0 → 1.3.1: update the lock file, closes 1"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let mut all = exposed.to_vec();
    all.push("--json");
    let report = scan(&place, &all).json();
    assert_eq!(report["summary"]["emergency"], 1);
    let decision = &report["findings"][0]["decision"];
    assert_eq!(decision["priority"], "immediate");
    assert_eq!(decision["timeline"], "three-days-forensic");
    assert_eq!(
        decision["inputs"]["exploitation"]["source"],
        "KEV, listed 2026-11-20"
    );
}

#[test]
fn fixed_version_has_no_findings() {
    let place = place("1.3.1");
    let text = scan(&place, &["--fail-on", "any", "--fail-incomplete"]).ok();
    assert!(
        text.contains("No findings: all 1 components assessed."),
        "{text}"
    );
}

#[test]
fn pipelines_fail_by_lane_and_by_what_was_not_assessed() {
    let place = place("1.0.0");
    let ran = scan(&place, &["--fail-on", "emergency", "--reach", "public"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("error[INV-003]"), "{ran:?}");
    assert!(ran.stdout.contains("CVE-2026-1"), "{ran:?}");
    place.write("app/Cargo.lock", "not toml at all [");
    let ran = scan(&place, &["--fail-incomplete"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("error[INV-004]"), "{ran:?}");
    assert!(
        ran.stdout
            .contains("not assessed: Cargo.lock: it cannot be read"),
        "{ran:?}"
    );
}

/// Makes an image of one layer, as `docker save` writes it.
pub(crate) fn image(files: &[(&str, &str)]) -> Vec<u8> {
    let tar = |files: &[(&str, &[u8])]| {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            let added = builder.append_data(&mut header, path, *content);
            added.expect("in memory");
        }
        builder.into_inner().expect("in memory")
    };
    let files: Vec<(&str, &[u8])> = files.iter().map(|(p, c)| (*p, c.as_bytes())).collect();
    let layer = tar(&files);
    tar(&[
        (
            "manifest.json",
            br#"[{"Config":"c.json","RepoTags":["acme/shop:1"],"Layers":["l/layer.tar"]}]"#,
        ),
        ("c.json", br#"{"os":"linux","architecture":"amd64"}"#),
        ("l/layer.tar", &layer),
    ])
}

#[test]
fn images_and_installed_packages_are_scanned() {
    let place = place("1.0.0");
    let openssl = OSV
        .replace("GHSA-1", "DSA-1")
        .replace("CVE-2026-1", "CVE-2026-2")
        .replace("\"npm\"", "\"Debian:12\"")
        .replace("left-pad", "openssl")
        .replace("SEMVER", "ECOSYSTEM")
        .replace("1.3.1", "3.0.14-1~deb12u1");
    place.write("feeds/debian.ndjson", &openssl);
    let installed = r#"{"name":"left-pad","version":"1.0.0"}"#;
    let shop = image(&[
        ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
        (
            "var/lib/dpkg/status",
            "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.11-1~deb12u2\n",
        ),
        ("app/node_modules/left-pad/package.json", installed),
    ]);
    std::fs::write(place.path("shop.tar"), shop).expect("written");
    let report = place
        .run(&[
            "scan", "shop.tar", "--feeds", "feeds", "--index", "i", "--json",
        ])
        .json();
    let found: Vec<_> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|f| {
            (
                &f["found"]["vulnerability"],
                &f["found"]["component"]["purl"],
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (&"CVE-2026-1".into(), &"pkg:npm/left-pad@1.0.0".into()),
            (
                &"CVE-2026-2".into(),
                &"pkg:deb/debian/openssl@3.0.11-1~deb12u2?distro=debian-12".into()
            ),
        ]
    );
    assert_eq!(report["summary"]["complete"], true, "{report}");
    assert_eq!(report["product"], "pkg:oci/shop");
    // The lock file of the project, and what is installed beside it.
    std::fs::create_dir_all(place.path("app/node_modules/left-pad")).expect("a folder");
    place.write("app/node_modules/left-pad/package.json", installed);
    let report = scan(&place, &["--json"]).json();
    assert_eq!(report["summary"]["components"], 1, "{report}");
    assert_eq!(report["summary"]["findings"], 1);
    let places = &report["findings"][0]["found"]["component"]["places"];
    assert_eq!(places.as_array().map(Vec::len), Some(2), "{places}");
}

#[test]
fn mistakes_are_named_with_a_hint() {
    let place = place("1.0.0");
    let missing = place.run(&["scan", "app", "--feeds", "nothing"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("error[INV-001]"), "{missing:?}");
    let nowhere = place.run(&["scan", "app"]);
    assert!(nowhere.stderr.contains("error[INV-016]"), "{nowhere:?}");
    assert!(nowhere.stderr.contains("AIRSIDE_FEEDS"), "{nowhere:?}");
    let config = place.run(&["scan", "app", "--config", "missing.toml"]);
    assert_eq!(config.code, Some(3), "{config:?}");
    let none = place.run(&["scan", "feeds", "--feeds", "feeds", "--index", "i"]);
    assert!(none.stderr.contains("error[INV-002]"), "{none:?}");
    let word = scan(&place, &["--tier", "vital"]);
    assert_eq!(word.code, Some(2), "{word:?}");
    assert!(word.stderr.contains("essential"), "{word:?}");
}
