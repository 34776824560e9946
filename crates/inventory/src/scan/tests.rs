use super::*;
use crate::{
    advisory::Advisory,
    component::{Component, Ecosystem},
    decision::derive::{Data, Reach, Tier},
    exploit::{Kev, Known},
    index::Builder,
    remedy::How,
};

fn index() -> Index {
    let mut builder = Builder::default();
    let mut add = |id: &str, name: &str, events: serde_json::Value, vector: &str| {
        let record = serde_json::json!({"id": id, "severity": [{"score": vector}],
            "affected": [{"package": {"ecosystem": "npm", "name": name},
                "ranges": [{"type": "SEMVER", "events": events}]}]});
        let read = Advisory::from_osv(record.to_string().as_bytes());
        builder.advisory(read.expect("a record"));
    };
    let range = |from: &str, to: &str| serde_json::json!([{"introduced": from}, {"fixed": to}]);
    let total = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let small = "CVSS:3.1/AV:L/AC:H/PR:L/UI:R/S:U/C:L/I:N/A:N";
    add("CVE-2026-1", "a", range("0", "1.1.0"), total);
    add("CVE-2026-2", "a", range("1.1.0", "1.2.0"), total);
    add("CVE-2026-3", "b", range("0", "3.0.0"), small);
    add(
        "CVE-2026-4",
        "c",
        serde_json::json!([{"introduced": "0"}]),
        small,
    );
    add("CVE-2026-5", "d", range("0", "1.1.0"), small);
    add(
        "CVE-2026-6",
        "d",
        serde_json::json!([{"introduced": "0"}]),
        small,
    );
    add("CVE-2026-7", "d", range("1.1.0", "1.2.0"), small);
    builder.known(
        "CVE-2026-1",
        Known {
            kev: Some(Kev {
                added: jiff::civil::date(2026, 11, 20),
                due: None,
                ransomware: false,
            }),
            ..Known::default()
        },
    );
    Index::open(builder.finish("")).expect("our own index")
}

fn inventory(names: &[(&str, &str)]) -> Inventory {
    let mut inventory = Inventory::default();
    for (name, version) in names {
        let mut component = Component::new(Ecosystem::Npm, name, Some(version), "lock");
        component.accepted = vec!["^1.0.0".to_owned()];
        inventory.add(component);
    }
    inventory
}

fn run(inventory: &Inventory, setting: Setting) -> Report {
    let frame = Frame {
        setting,
        stale_after_days: 7,
        ..Frame::default()
    };
    let now = "2026-11-23T12:00:00Z".parse().expect("a time");
    scan(inventory, &index(), &frame, now)
}

fn setting(reach: Reach) -> Setting {
    Setting {
        reach: Some((reach, "test".to_owned())),
        tier: Some(Tier::Essential),
        data: vec![Data::Card],
        ..Setting::default()
    }
}

#[test]
fn exploited_and_exposed_comes_first() {
    let given = inventory(&[("a", "1.0.0"), ("b", "1.0.0"), ("c", "1.0.0")]);
    let report = run(&given, setting(Reach::Public));
    let order: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.found.vulnerability.as_str(), f.lane.name()))
        .collect();
    assert_eq!(order[0], ("CVE-2026-1", "emergency"));
    assert_eq!(report.summary.findings, 3);
    assert_eq!(
        report.findings[0].due.expect("a deadline").to_string(),
        "2026-11-26T23:59:59Z"
    );
    assert!(
        report
            .summary
            .sentence()
            .starts_with("3 findings in 3 of 3 components, ")
    );
}

#[test]
fn upgrades_skip_versions_with_the_next_vulnerability() {
    let given = inventory(&[("a", "1.0.0"), ("b", "1.0.0"), ("c", "1.0.0")]);
    let report = run(&given, setting(Reach::Local));
    let proposed: Vec<_> = report
        .remedies
        .iter()
        .map(|r| (r.name.as_str(), r.to.as_deref(), r.how))
        .collect();
    assert_eq!(
        proposed,
        [
            ("a", Some("1.2.0"), How::Relock),
            ("b", Some("3.0.0"), How::MoveParents),
            ("c", None, How::NoFix),
        ]
    );
}

#[test]
fn what_can_be_ended_is_ended_where_something_stays() {
    let report = run(&inventory(&[("d", "1.0.0")]), setting(Reach::Local));
    let proposed: Vec<_> = report
        .remedies
        .iter()
        .map(|r| (r.to.as_deref(), r.how, r.closes.join(" ")))
        .collect();
    // 1.1.0 ends one and brings another: only 1.2.0 leaves fewer than there are.
    assert_eq!(
        proposed,
        [
            (None, How::NoFix, "CVE-2026-6".to_owned()),
            (Some("1.2.0"), How::Relock, "CVE-2026-5".to_owned()),
        ]
    );
}

#[test]
fn no_findings_is_said_only_when_everything_was_assessed() {
    let clean = run(&inventory(&[("a", "2.0.0")]), Setting::default());
    assert_eq!(
        clean.summary.sentence(),
        "No findings: all 1 components assessed."
    );
    let mut given = inventory(&[("a", "2.0.0")]);
    given.add(Component::new(Ecosystem::Npm, "x", None, "lock"));
    given.gap("yarn.lock", "it cannot be read");
    let partial = run(&given, Setting::default());
    assert_eq!(
        partial.summary.sentence(),
        "No findings in what was assessed, and not everything was: 1 component not assessed, 1 files or entries not read."
    );
    let empty = run(&Inventory::default(), Setting::default());
    assert_eq!(
        empty.summary.sentence(),
        "Nothing to assess: no components."
    );
}

#[test]
fn the_same_scan_gives_the_same_bytes() {
    let given = inventory(&[("a", "1.0.0"), ("b", "1.0.0"), ("c", "1.0.0")]);
    let json = |report: &Report| serde_json::to_string(report).expect("JSON");
    let first = run(&given, setting(Reach::Public));
    let mut turned = given;
    turned.components.reverse();
    assert_eq!(json(&first), json(&run(&turned, setting(Reach::Public))));
    assert!(first.findings.iter().all(|f| f.decision.holds()));
}
