use super::*;
use crate::graph::Crate;

/// A small repository that keeps all rules; tests break one at a time.
struct Fixture {
    files: Vec<(String, String)>,
    graph: Graph,
    architecture: String,
}

const ARCHITECTURE: &str = r#"
[crates.airside-base]
may-use = []
[crates.airside-feature]
may-use = ["airside-base"]
[[restricted]]
dependency = "sql"
only = ["airside-base"]
reason = "one crate knows SQL"
[budget]
file-lines = 12
inline-test-lines = 5
crate-lines = 30
crate-share-percent = 60
share-from-lines = 10
[names]
forbidden = ["utils"]
[errors.areas]
AB = ["airside-feature"]
"#;

const MANIFEST: &str = r#"
[package]
name = "x"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true
[dependencies]
sql.workspace = true
[lints]
workspace = true
"#;

const PAGE: &str = "# AB-001: It failed\n\n## Cause\n\nSo.\n\n## What to do\n\nThis.\n";

const DECISION: &str = "# 001: Do it\n\nAccepted, 2026-11-23.\n\n## Context\n\na\n\n## Decision\n\nb\n\n## Consequences\n\nc\n";

impl Fixture {
    fn good() -> Self {
        let mut fixture = Self {
            files: Vec::new(),
            graph: Graph::default(),
            architecture: ARCHITECTURE.to_owned(),
        }
        .with_crate("airside-base", &[])
        .with_crate("airside-feature", &["airside-base"])
        .file("crates/base/src/lib.rs", "use sql::Q;\nfn a() {}\n")
        .file(
            "crates/feature/src/lib.rs",
            "use airside_base::A;\nconst C: &str = \"AB-001\";\n",
        )
        .file("docs/errors/AB-001.md", PAGE)
        .file("docs/adr/001-do-it.md", DECISION);
        fixture
            .graph
            .crates
            .get_mut("airside-base")
            .unwrap()
            .normal
            .insert("sql".to_owned());
        fixture.generated()
    }

    fn with_crate(mut self, name: &str, normal: &[&str]) -> Self {
        let folder = format!("crates/{}", name.trim_start_matches("airside-"));
        self = self.file(&format!("{folder}/Cargo.toml"), MANIFEST);
        let member = Crate {
            folder,
            normal: normal.iter().map(|name| (*name).to_owned()).collect(),
            ..Crate::default()
        };
        self.graph.crates.insert(name.to_owned(), member);
        self
    }

    /// Adds a file or replaces its text.
    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.retain(|(known, _)| known != path);
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    fn without(mut self, path: &str) -> Self {
        self.files.retain(|(known, _)| known != path);
        self
    }

    fn architecture(mut self, from: &str, to: &str) -> Self {
        assert!(self.architecture.contains(from), "{from}");
        self.architecture = self.architecture.replace(from, to);
        self
    }

    /// Brings the generated files up to date.
    fn generated(mut self) -> Self {
        for file in generate::all(&self.tree()) {
            self = self.file(&file.path, &file.text);
        }
        self
    }

    fn tree(&self) -> Tree {
        let files: Vec<_> = self
            .files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        Tree::of(&files)
    }

    /// Runs all rules and compares rule, subject and line of what they find.
    #[track_caller]
    fn check(&self, expected: &[&str]) {
        let found = all(&Repository {
            tree: &self.tree(),
            graph: &self.graph,
            architecture: &Architecture::parse(&self.architecture).unwrap(),
            today: "2026-11-23".parse().unwrap(),
        });
        let lines: Vec<_> = found
            .iter()
            .map(|violation| {
                assert!(!violation.message.is_empty() && violation.mend.len() > 5);
                let line = violation
                    .line
                    .map(|line| format!(":{line}"))
                    .unwrap_or_default();
                format!("{} {}{line}", violation.rule, violation.subject)
            })
            .collect();
        assert_eq!(lines, expected, "{found:#?}");
    }
}

#[test]
fn a_good_repository_passes() {
    Fixture::good().check(&[]);
}

#[test]
fn edges_that_are_not_listed_fail() {
    let mut fixture = Fixture::good();
    fixture
        .graph
        .crates
        .get_mut("airside-base")
        .unwrap()
        .dev
        .insert("airside-feature".to_owned());
    fixture.check(&["crate-edge airside-base -> airside-feature"]);
    fixture
        .architecture(
            "may-use = []",
            "may-use = []\nmay-use-in-tests = [\"airside-feature\"]",
        )
        .check(&[]);
    Fixture::good()
        .architecture("may-use = [\"airside-base\"]", "may-use = []")
        .check(&["crate-edge airside-feature -> airside-base"]);
}

#[test]
fn the_testkit_is_for_tests_of_every_crate() {
    let mut fixture = Fixture::good()
        .with_crate("airside-testkit", &[])
        .architecture(
            "[budget]",
            "[crates.airside-testkit]\nmay-use = []\n[budget]",
        );
    fixture
        .graph
        .crates
        .get_mut("airside-feature")
        .unwrap()
        .dev
        .insert("airside-testkit".to_owned());
    fixture.check(&[]);
    let feature = fixture.graph.crates.get_mut("airside-feature").unwrap();
    feature.normal.insert("airside-testkit".to_owned());
    fixture.check(&[
        "crate-edge airside-feature -> airside-testkit",
        "unused-dependency airside-feature -> airside-testkit",
    ]);
}

#[test]
fn restricted_dependencies_stay_in_their_crate() {
    let mut fixture = Fixture::good().file(
        "crates/feature/src/lib.rs",
        "use {airside_base::A, sql::Q};\nconst C: &str = \"AB-001\";\n",
    );
    let feature = fixture.graph.crates.get_mut("airside-feature").unwrap();
    feature.normal.insert("sql".to_owned());
    fixture.check(&["restricted-dependency airside-feature -> sql"]);
}

#[test]
fn crates_are_listed_and_named_after_their_folder() {
    Fixture::good()
        .with_crate("airside-utils", &[])
        .check(&["crate-known airside-utils", "crate-name airside-utils"]);
    let mut fixture = Fixture::good();
    fixture.graph.crates.get_mut("airside-base").unwrap().folder = "crates/feature".to_owned();
    let found = crates::names(&Repository {
        tree: &fixture.tree(),
        graph: &fixture.graph,
        architecture: &Architecture::parse(&fixture.architecture).unwrap(),
        today: Date::ZERO,
    });
    assert_eq!(found.len(), 1, "{found:?}");
    Fixture::good()
        .architecture("[budget]", "[crates.airside-gone]\nmay-use = []\n[budget]")
        .check(&["crate-known airside-gone"]);
}

#[test]
fn manifests_inherit_from_the_workspace() {
    let path = "crates/feature/Cargo.toml";
    for (from, to) in [
        ("[lints]\nworkspace = true", ""),
        ("edition.workspace = true", "edition = \"2021\""),
        ("sql.workspace = true", "sql = \"1\""),
        ("[lints]", "[features]\nfast = []\n[lints]"),
        ("[package]", "[package"),
        (
            "sql.workspace = true",
            "sql = { workspace = true, features = [\"test-util\"] }",
        ),
    ] {
        Fixture::good()
            .file(path, &MANIFEST.replace(from, to))
            .check(&["manifest crates/feature/Cargo.toml"]);
    }
    Fixture::good()
        .file(
            path,
            &MANIFEST.replace("[lints]", "[features]\ntest-util = []\n[lints]"),
        )
        .check(&[]);
    let in_tests =
        "[dev-dependencies]\nsql = { workspace = true, features = [\"test-util\"] }\n[lints]";
    Fixture::good()
        .file(path, &MANIFEST.replace("[lints]", in_tests))
        .check(&[]);
    Fixture::good()
        .without(path)
        .check(&["manifest crates/feature/Cargo.toml"]);
}

#[test]
fn dependencies_that_nobody_names_fail() {
    Fixture::good()
        .file(
            "crates/base/src/lib.rs",
            "// sql\n#[cfg(test)]\nmod tests {\n    use sql::Q;\n}\n",
        )
        .check(&["unused-dependency airside-base -> sql"]);
}

#[test]
fn versions_that_no_crate_uses_fail() {
    Fixture::good()
        .file(
            "Cargo.toml",
            "[workspace.dependencies]\nsql = \"1\"\nsq = \"1\"\n",
        )
        .check(&["unused-version sq"]);
    let text = "[workspace.dependencies]\nsql = { version = \"1\", features = [\"test-util\"] }\n";
    Fixture::good()
        .file("Cargo.toml", text)
        .check(&["manifest Cargo.toml"]);
}

#[test]
fn long_files_fail_and_their_tests_do_not_count() {
    let base = "crates/base/src/lib.rs";
    let code = format!("use sql::Q;\n{}", "fn a() {}\n".repeat(12));
    Fixture::good()
        .architecture("crate-share-percent = 60", "crate-share-percent = 99")
        .file(base, &code)
        .check(&["file-size crates/base/src/lib.rs"]);
    let tests = "use sql::Q;\n#[cfg(test)]\nmod tests {\n    fn a() {}\n}\n".to_owned();
    Fixture::good().file(base, &tests).check(&[]);
    let long = tests.replace("    fn a() {}\n", &"    fn a() {}\n".repeat(20));
    Fixture::good()
        .file(base, &long)
        .check(&["inline-tests crates/base/src/lib.rs"]);
    Fixture::good()
        .file("crates/base/src/a/tests.rs", &"fn a() {}\n".repeat(90))
        .check(&[]);
}

#[test]
fn large_crates_fail() {
    let lines = "fn a() {}\n".repeat(11);
    let mut fixture =
        Fixture::good().architecture("crate-share-percent = 60", "crate-share-percent = 99");
    for name in ["a", "b", "c"] {
        fixture = fixture.file(&format!("crates/base/src/{name}.rs"), &lines);
    }
    fixture.check(&["crate-size airside-base"]);
}

#[test]
fn a_library_that_holds_most_of_the_code_fails_once_there_is_enough() {
    let fixture = Fixture::good().file("crates/base/src/a.rs", &"fn a() {}\n".repeat(7));
    fixture.check(&["crate-share airside-base"]);
    fixture
        .architecture("share-from-lines = 10", "share-from-lines = 100")
        .check(&[]);
}

#[test]
fn files_are_where_readers_expect_them() {
    Fixture::good()
        .file("crates/base/src/a/mod.rs", "")
        .file("crates/base/build.rs", "")
        .file("crates/base/tests/alone.rs", "")
        .file("crates/base/tests/other/main.rs", "")
        .file("crates/base/tests/it/main.rs", "mod more;\n")
        .file("crates/base/tests/it/more.rs", "")
        .check(&[
            "layout crates/base/build.rs",
            "layout crates/base/src/a/mod.rs",
            "layout crates/base/tests/alone.rs",
            "layout crates/base/tests/other/main.rs",
        ]);
}

#[test]
fn glob_exports_ignored_and_sleeping_tests_fail() {
    Fixture::good()
        .file("crates/base/src/lib.rs", "pub use sql::*;\npub(crate) use sql::Q;\n")
        .file(
            "crates/base/tests/it/main.rs",
            "#[test]\n#[ignore = \"slow\"]\nfn a() {\n    std::thread::sleep(D);\n    let b = \"thread::sleep(\";\n}\n",
        )
        .check(&[
            "glob-export crates/base/src/lib.rs:1",
            "ignored-test crates/base/tests/it/main.rs:2",
            "sleeping-test crates/base/tests/it/main.rs:4",
        ]);
}

#[test]
fn codes_have_pages_and_pages_have_codes() {
    let feature = "crates/feature/src/lib.rs";
    let code = |codes: &str| format!("use airside_base::A;\nconst C: &[&str] = &[{codes}];\n");
    Fixture::good()
        .file(feature, &code("\"AB-001\", \"AB-002\""))
        .check(&["error-code AB-002"]);
    Fixture::good()
        .file(feature, &code(""))
        .check(&["error-page docs/errors/AB-001.md"]);
    Fixture::good()
        .file(feature, &code("\"AB-001\", \"XY-001\""))
        .file("docs/errors/XY-001.md", &PAGE.replace("AB", "XY"))
        .generated()
        .check(&["error-code XY-001"]);
    Fixture::good()
        .file(
            "crates/base/src/lib.rs",
            "use sql::Q;\nconst C: &str = \"AB-001\";\n",
        )
        .check(&["error-code AB-001", "error-code AB-001"]);
    Fixture::good()
        .file(
            "crates/base/src/lib.rs",
            "use sql::Q;\n// \"AB-007\"\n#[cfg(test)]\nconst C: &str = \"AB-008\";\n",
        )
        .check(&[]);
}

#[test]
fn error_pages_have_their_parts() {
    let path = "docs/errors/AB-001.md";
    for bad in [
        PAGE.replace("AB-001", "AB-002"),
        PAGE.replace("## Cause", "## Why"),
        PAGE.replace("So.", ""),
        PAGE.replace("# AB-001: It failed", "# AB-001: "),
        PAGE.replace("This.", &"This.\n".repeat(60)),
    ] {
        Fixture::good()
            .file(path, &bad)
            .check(&["error-page docs/errors/AB-001.md"]);
    }
    Fixture::good()
        .file("docs/errors/README.md", "# About")
        .check(&["error-page docs/errors/README.md"]);
    let fenced = PAGE.replace("This.", "```sh\n# a comment\n```");
    Fixture::good().file(path, &fenced).check(&[]);
}

#[test]
fn decision_records_have_their_parts() {
    let path = "docs/adr/001-do-it.md";
    for bad in [
        DECISION.replace("# 001", "# 002"),
        DECISION.replace("## Context", "## Why"),
        DECISION.replace("\nb\n", ""),
        DECISION.replace("Accepted, 2026-11-23.", "Accepted."),
        DECISION.replace("Accepted, 2026-11-23.", "Superseded by it, 2026-11-23."),
        DECISION.replace("2026-11-23", "2026-11-31"),
        DECISION.replace("\nc\n", &"c\n".repeat(60)),
    ] {
        Fixture::good()
            .file(path, &bad)
            .check(&["adr docs/adr/001-do-it.md"]);
    }
    Fixture::good()
        .file("docs/adr/001-again.md", DECISION)
        .check(&["adr docs/adr/001-do-it.md"]);
    Fixture::good()
        .file("docs/adr/notes.md", "")
        .check(&["adr docs/adr/notes.md"]);
    let superseded = DECISION.replace("Accepted,", "Superseded by 002,");
    Fixture::good().file(path, &superseded).check(&[]);
}

#[test]
fn generated_files_are_compared() {
    Fixture::good()
        .file(generate::PAGES, "edited by hand")
        .check(&["generated bin/airside/src/explain/pages.rs"]);
    Fixture::good()
        .without(generate::PAGES)
        .check(&["generated bin/airside/src/explain/pages.rs"]);
}

fn exempt(until: &str, reason: &str) -> Fixture {
    let exemption = format!(
        "[[exemption]]\nrule = \"glob-export\"\nsubject = \"crates/base/src/lib.rs\"\nreason = \"{reason}\"\nuntil = \"{until}\"\n[budget]"
    );
    Fixture::good()
        .architecture("[budget]", &exemption)
        .file("crates/base/src/lib.rs", "pub use sql::*;\n")
}

#[test]
fn exemptions_hold_until_their_last_day() {
    const REASON: &str = "the interface is still moving";
    const OF: &str = "exemption glob-export for crates/base/src/lib.rs";
    exempt("2026-11-23", REASON).check(&[]);
    exempt("2026-11-22", REASON).check(&["glob-export crates/base/src/lib.rs:1", OF]);
    exempt("2026-11-23", " ").check(&[OF]);
    exempt("2026-11-23", REASON)
        .file("crates/base/src/lib.rs", "use sql::Q;\n")
        .check(&[OF]);
}

#[test]
fn the_repository_description_is_read() {
    let text = include_str!("../../../architecture.toml");
    let architecture = Architecture::parse(text).unwrap();
    assert!(architecture.crates.contains_key("airside"));
    assert!(Architecture::parse(&text.replace("file-lines", "file-limes")).is_err());
}
