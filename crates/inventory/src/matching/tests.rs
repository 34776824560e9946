use super::*;
use crate::{feeds, index::Builder};

fn index(records: &[serde_json::Value], vex: Vec<Statement>) -> Index {
    let mut builder = Builder::default();
    for record in records {
        let read = Advisory::from_osv(record.to_string().as_bytes());
        builder.advisory(read.expect("a record"));
    }
    vex.into_iter().for_each(|s| builder.statement(s));
    Index::open(builder.finish("")).expect("our own index")
}

fn record(id: &str, aliases: &[&str], package: &str, fixed: &str) -> serde_json::Value {
    let (ecosystem, name) = package.split_once('/').expect("ecosystem/name");
    serde_json::json!({"id": id, "aliases": aliases, "summary": format!("about {id}"),
        "affected": [{"package": {"ecosystem": ecosystem, "name": name},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]})
}

fn inventory(components: &[(&str, Option<&str>)]) -> Inventory {
    let mut inventory = Inventory::default();
    for (package, version) in components {
        let (ecosystem, name) = package.split_once('/').expect("ecosystem/name");
        let ecosystem = Ecosystem::from_osv(ecosystem);
        inventory.add(Component::new(ecosystem, name, *version, "lock"));
    }
    inventory
}

/// Renders an assessment, one line for each thing it says.
fn lines(assessment: &Assessment) -> Vec<String> {
    let found = assessment.matches.iter().map(|m| {
        let standing = match &m.standing {
            Standing::Affected => format!("affected, fixed {}", m.fixed.join(" ")),
            Standing::NotAffected { issuer, .. } => format!("not affected says {issuer}"),
            Standing::Unassessed { reason } => format!("unassessed: {reason}"),
        };
        format!("{} {}: {standing}", m.component.name, m.vulnerability)
    });
    let blind = assessment.unassessed.iter();
    let blind = blind.map(|u| format!("{} unassessed: {}", u.component.name, u.reason));
    let notices = assessment.notices.iter();
    found
        .chain(blind)
        .chain(notices.map(|n| format!("{} {}: {}", n.component.name, n.id, n.sort)))
        .collect()
}

fn check(index: &Index, components: &[(&str, Option<&str>)], expected: &[&str]) {
    let assessment = Matcher::new(index, Vec::new()).assess(&inventory(components));
    assert_eq!(lines(&assessment), expected);
    assert_eq!(
        assessment.is_complete(),
        !expected.iter().any(|l| l.contains("unassessed"))
    );
}

#[test]
fn components_end_in_one_of_three_states() {
    let index = index(
        &[
            record("GHSA-1", &["CVE-2024-1"], "npm/cookie", "0.7.0"),
            record("OSV-1", &["CVE-2024-1"], "npm/cookie", "0.7.1"),
            record("GHSA-2", &[], "npm/odd", "next"),
        ],
        Vec::new(),
    );
    check(
        &index,
        &[("npm/cookie", Some("0.6.0"))],
        &["cookie CVE-2024-1: affected, fixed 0.7.0 0.7.1"],
    );
    check(&index, &[("npm/cookie", Some("0.7.1"))], &[]);
    check(
        &index,
        &[("npm/cookie", None), ("npm/cookie", Some("main"))],
        &[
            "cookie CVE-2024-1: unassessed: GHSA-1: no rule orders this version",
            "cookie unassessed: no exact version is named",
            "cookie unassessed: its version is no version of npm",
        ],
    );
    check(
        &index,
        &[("npm/odd", Some("1.0.0"))],
        &["odd GHSA-2: unassessed: GHSA-2: the advisory names the version `next`"],
    );
}

#[test]
fn the_same_name_elsewhere_is_another_component() {
    let index = index(
        &[
            record("GHSA-1", &[], "npm/cookie", "0.7.0"),
            record("RUSTSEC-1", &[], "crates.io/other", "1.0.0"),
        ],
        Vec::new(),
    );
    check(&index, &[("crates.io/cookie", Some("0.6.0"))], &[]);
    check(
        &index,
        &[
            ("PyPI/cookie", Some("0.6.0")),
            ("NuGet/cookie", Some("0.6.0")),
        ],
        &[
            "cookie unassessed: no feed speaks of PyPI",
            "cookie unassessed: no feed speaks of NuGet",
        ],
    );
}

#[test]
fn withdrawn_and_informational_records_are_no_vulnerabilities() {
    let mut gone = record("GHSA-1", &[], "crates.io/a", "2.0.0");
    gone["withdrawn"] = "2024-01-01T00:00:00Z".into();
    let mut old = record("RUSTSEC-2", &[], "crates.io/a", "2.0.0");
    old["affected"][0]["database_specific"] = serde_json::json!({"informational": "unmaintained"});
    let index = index(&[gone, old], Vec::new());
    check(
        &index,
        &[("crates.io/a", Some("1.0.0"))],
        &["a RUSTSEC-2: unmaintained"],
    );
}

#[test]
fn code_from_a_repository_is_affected_or_unassessed() {
    let index = index(&[record("R-1", &[], "crates.io/a", "2.0.0")], Vec::new());
    let mut given = inventory(&[
        ("crates.io/a", Some("1.0.0")),
        ("crates.io/a", Some("3.0.0")),
    ]);
    for component in &mut given.components {
        component.origin = Origin::Repository;
    }
    let assessment = Matcher::new(&index, Vec::new()).assess(&given);
    assert_eq!(
        lines(&assessment),
        [
            "a R-1: affected, fixed 2.0.0",
            "a unassessed: it is built from a repository, so its version does not identify its code",
        ]
    );
}

#[test]
fn statements_count_when_their_issuer_is_trusted() {
    let said = Statement {
        vulnerability: "CVE-2024-1".to_owned(),
        aliases: Vec::new(),
        products: vec!["pkg:npm/cookie@0.6.0".to_owned()],
        components: Vec::new(),
        status: vex::Status::NotAffected,
        justification: "vulnerable_code_not_present".to_owned(),
        issuer: "Acme".to_owned(),
        date: None,
    };
    let index = index(
        &[record("GHSA-1", &["CVE-2024-1"], "npm/cookie", "0.7.0")],
        vec![said],
    );
    let given = inventory(&[("npm/cookie", Some("0.6.0"))]);
    let trusted = Matcher::new(&index, vec!["Acme".to_owned()]).assess(&given);
    assert_eq!(
        lines(&trusted),
        ["cookie CVE-2024-1: not affected says Acme"]
    );
    let claimed = Matcher::new(&index, Vec::new()).assess(&given);
    assert_eq!(
        lines(&claimed),
        ["cookie CVE-2024-1: affected, fixed 0.7.0"]
    );
    assert_eq!(
        claimed.matches[0].claims,
        ["Acme: not affected, vulnerable_code_not_present"]
    );
}

#[test]
fn verdicts_are_shared_only_where_products_are_the_same() {
    let said = |product: &str| Statement {
        vulnerability: "CVE-2024-1".to_owned(),
        aliases: Vec::new(),
        products: vec![product.to_owned()],
        components: vec!["pkg:npm/cookie@0.6.0".to_owned()],
        status: vex::Status::NotAffected,
        justification: "vulnerable_code_not_in_execute_path".to_owned(),
        issuer: "Acme".to_owned(),
        date: None,
    };
    let index = index(
        &[record("GHSA-1", &["CVE-2024-1"], "npm/cookie", "0.7.0")],
        vec![said("pkg:oci/shop"), said("pkg:oci/back@2")],
    );
    let product = |purl: Option<&str>| Inventory {
        product: purl.map(str::to_owned),
        ..inventory(&[("npm/cookie", Some("0.6.0"))])
    };
    let given = [
        (
            Some("pkg:oci/shop"),
            "cookie CVE-2024-1: not affected says Acme",
        ),
        (
            Some("pkg:oci/other"),
            "cookie CVE-2024-1: affected, fixed 0.7.0",
        ),
        (None, "cookie CVE-2024-1: affected, fixed 0.7.0"),
        (
            Some("pkg:oci/back@2"),
            "cookie CVE-2024-1: not affected says Acme",
        ),
        (
            Some("pkg:oci/back@3"),
            "cookie CVE-2024-1: affected, fixed 0.7.0",
        ),
        (
            Some("pkg:oci/shop"),
            "cookie CVE-2024-1: not affected says Acme",
        ),
    ];
    let inventories: Vec<Inventory> = given.iter().map(|(purl, _)| product(*purl)).collect();
    // Whoever comes first must not decide for the others.
    for turn in 0..given.len() {
        let mut matcher = Matcher::new(&index, vec!["Acme".to_owned()]);
        for step in 0..given.len() {
            let at = (turn + step) % given.len();
            let told = lines(&matcher.assess(&inventories[at]));
            assert_eq!(told, [given[at].1], "{:?} after {turn}", given[at].0);
        }
    }
}

#[test]
fn verdicts_are_shared_only_where_sources_are_the_same() {
    let index = index(&[record("R-1", &[], "crates.io/a", "2.0.0")], Vec::new());
    let mut fork = inventory(&[("crates.io/a", Some("3.0.0"))]);
    let published = fork.clone();
    fork.components[0].origin = Origin::Repository;
    for order in [[&fork, &published], [&published, &fork]] {
        let mut matcher = Matcher::new(&index, Vec::new());
        for given in order {
            let told = lines(&matcher.assess(given));
            assert_eq!(told.is_empty(), std::ptr::eq(given, &published), "{told:?}");
        }
    }
}

#[test]
fn published_advisories_are_matched() {
    let Some(index) = feeds::tests::published() else {
        return;
    };
    let mut matcher = Matcher::new(&index, Vec::new());
    let given = inventory(&[
        ("npm/mcp-remote", Some("0.1.15")),
        ("crates.io/time", Some("0.1.42")),
        ("PyPI/django", Some("3.2.0")),
        ("Go/github.com/gin-gonic/gin", Some("v1.5.0")),
        ("Maven/org.jline:jline-parent", Some("3.24.1")),
    ]);
    let assessment = matcher.assess(&given);
    let found: BTreeSet<(&str, &str)> = assessment
        .affected()
        .map(|m| (m.component.name.as_str(), m.vulnerability.as_str()))
        .collect();
    for expected in [
        ("mcp-remote", "CVE-2025-6514"),
        ("time", "CVE-2020-26235"),
        ("github.com/gin-gonic/gin", "CVE-2020-36567"),
        ("org.jline:jline-parent", "CVE-2023-50572"),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    assert!(found.iter().filter(|(name, _)| *name == "django").count() > 10);
}
