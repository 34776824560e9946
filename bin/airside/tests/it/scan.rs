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

#[test]
fn mistakes_are_named_with_a_hint() {
    let place = place("1.0.0");
    let missing = place.run(&["scan", "app", "--feeds", "nothing"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("error[INV-001]"), "{missing:?}");
    let none = place.run(&["scan", "feeds", "--feeds", "feeds", "--index", "i"]);
    assert!(none.stderr.contains("error[INV-002]"), "{none:?}");
    let word = scan(&place, &["--tier", "vital"]);
    assert_eq!(word.code, Some(2), "{word:?}");
    assert!(word.stderr.contains("essential"), "{word:?}");
}
