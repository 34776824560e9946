use proptest::prelude::*;

use super::*;

/// Checks that the versions of `line` stand in ascending order, pairwise.
fn check(scheme: Scheme, line: &[&str]) {
    let read: Vec<Version> = line
        .iter()
        .map(|v| scheme.read(v).unwrap_or_else(|_| panic!("{v} is readable")))
        .collect();
    for (i, a) in read.iter().enumerate() {
        for (j, b) in read.iter().enumerate() {
            assert_eq!(
                a.compare(b),
                Ok(i.cmp(&j)),
                "{scheme:?}: {} against {}",
                line[i],
                line[j]
            );
        }
    }
}

fn equal(scheme: Scheme, a: &str, b: &str) {
    let order = scheme.read(a).unwrap().compare(&scheme.read(b).unwrap());
    assert_eq!(order, Ok(Ordering::Equal), "{scheme:?}: {a} and {b}");
}

#[test]
fn semantic_versions_are_ordered() {
    // Semantic Versioning 2.0.0, section 11.
    check(
        Scheme::Semver,
        &[
            "0.0.0-0",
            "0.9.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.0.1",
            "1.2",
            "1.10.0",
            "2.0.0-20230101-abcdef",
            "2.0.0",
            "99999999999999999999999.0.0",
        ],
    );
    equal(Scheme::Semver, "v1.2.3", "1.2.3+build.7");
    equal(Scheme::Semver, "1", "1.0.0");
    equal(Scheme::Semver, "go1.22.3", "1.22.3");
    check(Scheme::Semver, &["go1.22rc1", "go1.22", "go1.22.1"]);
    for bad in ["", "latest", "1..2", "x.y", "^1.0.0", "1.0.0-", "\u{1b}[2J"] {
        assert!(Scheme::Semver.read(bad).is_err(), "{bad:?}");
    }
    assert!(Scheme::Semver.read(&"1.".repeat(4000)).is_err());
}

#[test]
fn python_versions_are_ordered() {
    check(
        Scheme::Pep440,
        &[
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a12.dev456",
            "1.0b1.dev456",
            "1.0b2",
            "1.0rc1",
            "1.0",
            "1.0.post456",
            "1.1.dev1",
            "1!0.1",
        ],
    );
    equal(Scheme::Pep440, "1.0", "1.0.0");
    assert!(Scheme::Pep440.read("2004d-legacy").is_err());
}

#[test]
fn debian_versions_are_ordered() {
    check(
        Scheme::Dpkg,
        &[
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0",
            "1.0-1~deb12u1",
            "1.0-1",
            "1.0-1+deb12u1",
            "1.0a",
            "1.0+dfsg-1",
            "1.2.3",
            "1.12.3",
            "1:0.4",
        ],
    );
    equal(Scheme::Dpkg, "0:1.0-0", "1.0");
    assert!(Scheme::Dpkg.read("a:1").is_err());
}

#[test]
fn rpm_versions_are_ordered() {
    check(
        Scheme::Rpm,
        &[
            "1.0~rc1-1",
            "1.0-1",
            "1.0^git1-1",
            "1.0a-1",
            "1.0.1-1",
            "1.0.1-2.el9",
            "1.0.1-2.el9_1",
            "1.10-1",
            "1:0.1-1",
        ],
    );
    equal(Scheme::Rpm, "1.0_1", "1.0.1");
}

#[test]
fn alpine_versions_are_ordered() {
    check(
        Scheme::Apk,
        &[
            "0.1_alpha",
            "0.1_beta1",
            "0.1_pre2",
            "0.1_rc1",
            "0.1",
            "0.1-r1",
            "0.1_git20240101",
            "0.1_p1-r0",
            "0.1a",
            "0.1.1",
            "0.2",
            "0.10",
            "1.0-r2",
            "1.0-r10",
        ],
    );
    assert!(Scheme::Apk.read("1.0_unknown1").is_err());
}

#[test]
fn maven_versions_are_ordered() {
    // The two lines of maven-artifact's own ComparableVersionTest.
    check(
        Scheme::Maven,
        &[
            "1-alpha2snapshot",
            "1-alpha2",
            "1-alpha-123",
            "1-beta-2",
            "1-beta123",
            "1-m2",
            "1-m11",
            "1-rc",
            "1-cr2",
            "1-rc123",
            "1-SNAPSHOT",
            "1",
            "1-sp",
            "1-sp2",
            "1-sp123",
            "1-abc",
            "1-def",
            "1-pom-1",
            "1-1-snapshot",
            "1-1",
            "1-2",
            "1-123",
        ],
    );
    check(
        Scheme::Maven,
        &[
            "2.0", "2.0.a", "2-1", "2.0.2", "2.0.123", "2.1.0", "2.1-a", "2.1b", "2.1-c", "2.1-1",
            "2.1.0.1", "2.2", "2.123", "11.a2", "11.a11", "11.b2", "11.b11", "11.m2", "11.m11",
            "11", "11.a", "11b", "11c", "11m",
        ],
    );
    for (a, b) in [
        ("1", "1.0.0"),
        ("1", "1-0"),
        ("1", "1-ga"),
        ("1.0.Final", "1"),
        ("1a1", "1-alpha-1"),
        ("1x", "1.0.0-x"),
        ("1CR", "1rc"),
    ] {
        equal(Scheme::Maven, a, b);
    }
    let deep = "1-".repeat(250);
    assert!(Scheme::Maven.read(&deep).is_ok());
}

fn scheme() -> impl Strategy<Value = Scheme> {
    prop::sample::select(vec![
        Scheme::Semver,
        Scheme::Pep440,
        Scheme::Maven,
        Scheme::Dpkg,
        Scheme::Apk,
        Scheme::Rpm,
    ])
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,3}(\\.[0-9]{1,2}){0,3}(-[0-9a-z]{1,4}){0,2}",
        "[0-9]{1,2}(\\.[0-9]{1,3}){0,2}(a|b|rc|alpha|beta|dev|post|sp|final)?[0-9]{0,2}",
        "[0-9.~^a-z_+-]{1,12}",
        "\\PC{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn order_is_total(scheme in scheme(), a in text(), b in text(), c in text()) {
        let read = |t: &str| scheme.read(t).ok();
        let (Some(a), Some(b), Some(c)) = (read(&a), read(&b), read(&c)) else {
            return Ok(());
        };
        let order = |x: &Version, y: &Version| x.compare(y).expect("one scheme");
        prop_assert_eq!(order(&a, &a), Ordering::Equal);
        prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
        if order(&a, &b) == order(&b, &c) {
            prop_assert_eq!(order(&a, &c), order(&a, &b));
        }
        if order(&a, &b).is_eq() {
            prop_assert_eq!(order(&a, &c), order(&b, &c));
        }
    }
}
