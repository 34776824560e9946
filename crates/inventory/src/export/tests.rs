use proptest::prelude::*;

use super::*;
use crate::{read, vex};

fn component(ecosystem: Ecosystem, name: &str, version: &str) -> Component {
    Component::new(ecosystem, name, Some(version), "lock")
}

fn bill(components: Vec<Component>) -> Bill {
    let at = "2026-11-23T12:00:00Z".parse().expect("a time");
    let said = |id: &str, purl: &Component, state: Said| Vulnerability {
        id: id.to_owned(),
        aliases: vec![id.to_owned(), "GHSA-1".to_owned()],
        summary: "Runs commands".to_owned(),
        vectors: vec!["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned()],
        purls: vec![purl.purl()],
        fixed: vec!["1.3.1".to_owned()],
        state,
        detail: "looked at".to_owned(),
        decision: Some(crate::decision::decide(crate::decision::tests::inputs())),
        since: at,
    };
    let states = [
        ("CVE-2026-1", Said::Affected),
        ("CVE-2026-2", Said::Fixed),
        ("CVE-2026-3", Said::NotAffected),
        ("CVE-2026-4", Said::Unclear),
    ];
    let about = components.first();
    let vulnerabilities = states
        .iter()
        .filter_map(|(id, state)| Some(said(id, about?, *state)));
    Bill {
        name: "hotels".to_owned(),
        version: "2.3".to_owned(),
        product: "pkg:npm/hotels@2.3".to_owned(),
        at,
        vulnerabilities: vulnerabilities.collect(),
        components,
        gaps: Vec::new(),
    }
}

/// Reads a document as a scan would; returns package URLs and gaps.
fn again(document: &Value, name: &str) -> (Vec<String>, usize) {
    let read = read::bytes(document.to_string().as_bytes(), name).expect("a known name");
    assert_eq!(read.product.as_deref(), Some("pkg:npm/hotels@2.3"));
    let mut purls: Vec<String> = read.components.iter().map(Component::purl).collect();
    purls.sort();
    (purls, read.gaps.len())
}

fn statements(document: &Value) -> Vec<(String, vex::Status)> {
    let mut out = Vec::new();
    let known = vex::statements(document.to_string().as_bytes(), |s| {
        out.push((s.vulnerability, s.status));
    });
    assert!(known.is_some(), "it is a document of VEX");
    out
}

#[test]
fn what_is_written_is_read_as_the_same() {
    let bill = bill(vec![
        component(Ecosystem::Npm, "@scope/left-pad", "1.0.0"),
        component(Ecosystem::Maven, "org.acme:tool", "2.0"),
        component(Ecosystem::Go, "example.com/a/b", "v1.2.3+incompatible"),
        component(
            Ecosystem::of_distribution("debian", "12"),
            "openssl",
            "1:3.0-1+deb12",
        ),
    ]);
    let mut wanted: Vec<String> = bill.components.iter().map(Component::purl).collect();
    wanted.sort();
    for version in [CycloneDx::V6, CycloneDx::V7] {
        assert_eq!(
            again(&cyclonedx(&bill, version), "a.cdx.json"),
            (wanted.clone(), 0)
        );
    }
    assert_eq!(again(&spdx(&bill), "a.spdx.json"), (wanted, 0));
    let said = [
        vex::Status::Affected,
        vex::Status::Fixed,
        vex::Status::NotAffected,
        vex::Status::UnderInvestigation,
    ];
    let ids = (1..=4).map(|n| format!("CVE-2026-{n}"));
    let said: Vec<_> = ids.zip(said).collect();
    let vex = openvex(&bill, "Us").expect("statements");
    assert_eq!(statements(&vex), said);
    assert_eq!(statements(&cyclonedx(&bill, CycloneDx::V6)), said);
}

#[test]
fn the_same_bill_gives_the_same_bytes_and_another_one_another_id() {
    let one = bill(vec![component(Ecosystem::Npm, "a", "1")]);
    let other = bill(vec![component(Ecosystem::Npm, "a", "2")]);
    let write = |bill: &Bill| cyclonedx(bill, CycloneDx::V6);
    assert_eq!(write(&one).to_string(), write(&one.clone()).to_string());
    assert_ne!(write(&one)["serialNumber"], write(&other)["serialNumber"]);
    let serial = write(&one)["serialNumber"].as_str().map(str::len);
    assert_eq!(serial, Some("urn:uuid:".len() + 36));
}

#[test]
fn what_was_not_read_makes_a_bill_incomplete() {
    let mut bill = bill(vec![component(Ecosystem::Npm, "a", "1")]);
    let write = |bill: &Bill| cyclonedx(bill, CycloneDx::V6);
    assert_eq!(write(&bill)["compositions"][0]["aggregate"], "complete");
    bill.gaps.push(Gap {
        place: "bun.lockb".to_owned(),
        reason: "binary".to_owned(),
    });
    assert_eq!(write(&bill)["compositions"][0]["aggregate"], "incomplete");
    assert_eq!(write(&bill)["properties"][0]["value"], "bun.lockb: binary");
    assert_eq!(spdx(&bill)["comment"], "not read: bun.lockb: binary");
}

/// What the schema of OpenVEX 0.2.0 asks of a document. It is not to be had as a package,
/// so its rules stand here.
fn keeps_the_rules_of_openvex(document: &Value) {
    let members = |value: &Value, allowed: &[&str], needed: &[&str]| {
        let object = value.as_object().expect("an object");
        for name in object.keys() {
            assert!(allowed.contains(&name.as_str()), "{name} in {value}");
        }
        for name in needed {
            assert!(object.contains_key(*name), "{name} of {value}");
        }
    };
    let unique = |list: &Value| -> Vec<Value> {
        let items = list.as_array().expect("a list").clone();
        let texts: BTreeSet<String> = items.iter().map(Value::to_string).collect();
        assert_eq!(texts.len(), items.len(), "{list}");
        items
    };
    let head = [
        "@context",
        "@id",
        "author",
        "timestamp",
        "version",
        "statements",
    ];
    members(document, &[&head[..], &["tooling"]].concat(), &head);
    assert_eq!(document["version"], 1);
    let said = unique(&document["statements"]);
    assert!(!said.is_empty(), "a document states something");
    for one in said {
        let notes = ["status_notes", "impact_statement", "action_statement"];
        let known = ["vulnerability", "timestamp", "products", "status"];
        let needed = ["vulnerability", "status"];
        members(
            &one,
            &[&known[..], &notes, &["justification"]].concat(),
            &needed,
        );
        members(&one["vulnerability"], &["name", "aliases"], &["name"]);
        unique(&one["vulnerability"]["aliases"]);
        for product in unique(&one["products"]) {
            members(&product, &["@id", "subcomponents"], &["@id"]);
            for part in unique(&product["subcomponents"]) {
                members(&part, &["@id"], &["@id"]);
            }
        }
        let has = |name: &str| one.get(name).is_some();
        match one["status"].as_str() {
            Some("affected") => assert!(has("action_statement"), "{one}"),
            Some("not_affected") => {
                assert!(has("justification") != has("impact_statement"), "{one}");
            }
            Some("fixed" | "under_investigation") => {}
            status => panic!("{status:?}"),
        }
    }
}

#[test]
fn statements_keep_the_rules_of_openvex() {
    let mut bill = bill(vec![component(Ecosystem::Npm, "a", "1")]);
    // The same in two places.
    let again = bill.vulnerabilities[0].clone();
    bill.vulnerabilities.push(again);
    bill.vulnerabilities[1].detail = String::new();
    let document = openvex(&bill, "Us").expect("statements");
    keeps_the_rules_of_openvex(&document);
    assert_eq!(document["statements"].as_array().map(Vec::len), Some(4));
    bill.vulnerabilities.clear();
    assert_eq!(openvex(&bill, "Us"), None, "there is nothing to state");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn names_of_strangers_survive_every_format(
        names in proptest::collection::vec("[ -~\u{7f}-\u{ff}]{1,24}", 1..6),
    ) {
        let components = names.iter().map(|n| component(Ecosystem::Npm, n, "1.0.0"));
        let bill = bill(components.collect());
        let parts = bill.distinct().len();
        for document in [cyclonedx(&bill, CycloneDx::V6), spdx(&bill)] {
            let text = document.to_string();
            let again: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(&again, &document);
        }
        let written = cyclonedx(&bill, CycloneDx::V6);
        prop_assert_eq!(written["components"].as_array().map(Vec::len), Some(parts));
    }
}
