use super::*;
use crate::{
    change::{Commit, diff},
    house::{Forbidden, Unwanted},
    source::Language,
};

type Files<'a> = &'a [(&'a str, &'a str)];

/// Returns what a change from `before` to `after` owes, as `rule path:line`.
fn owed(before: Files<'_>, after: Files<'_>, house: &House, message: &str) -> Vec<String> {
    let drafts = drafts(before, after, house, message);
    let place = |one: &Draft| format!("{} {}:{}", one.rule, one.place.path, one.place.from);
    drafts.iter().map(place).collect()
}

fn drafts(before: Files<'_>, after: Files<'_>, house: &House, message: &str) -> Vec<Draft> {
    let (mut sources, mut papers) = (Vec::new(), Vec::new());
    let mut change = Change {
        before: before.iter().map(|(path, _)| (*path).to_owned()).collect(),
        commits: vec![Commit {
            id: "4f2a91c0".to_owned(),
            time: Some(1_795_000_000),
            message: message.to_owned(),
            note: None,
        }],
        ..Change::default()
    };
    for (path, text) in after {
        let (path, text) = ((*path).to_owned(), text.as_bytes().to_vec());
        let old = before.iter().find(|(one, _)| *one == path);
        let old = old.map(|(_, old)| old.as_bytes().to_vec());
        if old.as_ref() != Some(&text) {
            let mut file = diff::compare(old.as_deref().unwrap_or(b""), &text);
            file.before = old;
            change.files.insert(path.clone(), file);
        }
        match Language::of(std::path::Path::new(&path)) {
            Some(language) => sources.push(Source {
                path,
                language,
                text: text.into(),
            }),
            None => papers.push(Paper {
                path,
                text: text.into(),
            }),
        }
    }
    let kept: Vec<&str> = after.iter().map(|(path, _)| *path).collect();
    let gone = before.iter().filter(|(path, _)| !kept.contains(path));
    let gone = gone.filter(|(path, _)| Language::of(std::path::Path::new(path)).is_some());
    change.gone = gone.map(|(path, _)| (*path).to_owned()).collect();
    Subject::new(&change, &sources, &papers, house).drafts()
}

/// Checks which rules of `of` a change meets, as `rule path:line`.
fn check(of: &[&str], before: Files<'_>, after: Files<'_>, expected: &[&str]) {
    check_in(&House::default(), of, before, after, expected);
}

fn check_in(house: &House, of: &[&str], before: Files<'_>, after: Files<'_>, expected: &[&str]) {
    let mut found = owed(before, after, house, "Say why");
    found.retain(|one| of.iter().any(|rule| one.starts_with(rule)));
    assert_eq!(found, expected, "{after:?}");
}

const EXPORTS: [&str; 2] = ["dead-export", "export-left-behind"];

#[test]
fn exports_that_nobody_uses_are_told_in_each_language() {
    for (path, text, dead) in [
        ("a.ts", "export function total(a) { return a }", "a.ts:1"),
        ("a.py", "def total(a):\n    return a\n", "a.py:1"),
        (
            "a.go",
            "package p\nfunc Total(a int) int { return a }",
            "a.go:2",
        ),
        ("a.rs", "pub fn total(a: u8) -> u8 { a }", "a.rs:1"),
        ("A.java", "public class Total { }", "A.java:1"),
    ] {
        check(
            &EXPORTS,
            &[],
            &[(path, text)],
            &[&format!("dead-export {dead}")],
        );
        // Any other file that names it uses it.
        for user in ["other.py", "pyproject.toml", "tests/test_a.py"] {
            let use_it = (user, "x = total(Total)\n");
            check(&EXPORTS, &[], &[(path, text), use_it], &[]);
        }
        // A word is more than its beginning; its own file does not count.
        let near = ("other.py", "x = totals(Totals)\n");
        let own = format!("{text}\n");
        check(
            &EXPORTS,
            &[],
            &[(path, &own), near],
            &[&format!("dead-export {dead}")],
        );
    }
}

#[test]
fn exports_for_others_are_left_alone() {
    for (path, text) in [
        ("src/index.ts", "export function total(a) { return a }"),
        ("src/lib.rs", "pub fn total(a: u8) -> u8 { a }"),
        ("page.tsx", "export default function Page() { return null }"),
        ("tests/test_a.py", "def total(a):\n    return a\n"),
        ("server.py", "@app.get('/')\ndef total(a):\n    return a\n"),
        ("server.py", "@mcp.tool()\ndef total(a):\n    return a\n"),
        ("main.py", "def main():\n    return 1\n"),
        ("a.py", "def _total(a):\n    return a\n"),
        (
            "vite.config.ts",
            "export const total = 1; export function f1() {}",
        ),
    ] {
        check(&EXPORTS, &[], &[(path, text)], &[]);
    }
    let text = [("a.py", "def total(a):\n    return a\n")];
    let off = House {
        dead_exports: false,
        ..House::default()
    };
    check_in(&off, &EXPORTS, &[], &text, &[]);
    let public = House {
        exports: vec!["a.".to_owned()],
        ..House::default()
    };
    check_in(&public, &EXPORTS, &[], &text, &[]);
    // What was there before is not the change's.
    check(
        &EXPORTS,
        &text,
        &[("a.py", "def total(a):\n    return a + 1\n")],
        &[],
    );
}

#[test]
fn change_that_takes_out_the_last_use_is_told() {
    let library = ("sums.py", "def total(a):\n    return a\n");
    let before = [library, ("b.py", "from sums import total\nx = total(1)\n")];
    let after = [library, ("b.py", "x = 1\n")];
    check(&EXPORTS, &before, &after, &["export-left-behind sums.py:1"]);
    let still = [
        library,
        ("b.py", "x = 1\n"),
        ("c.py", "from sums import total\n"),
    ];
    check(&EXPORTS, &[before[0], before[1], still[2]], &still, &[]);
}

#[test]
fn tests_grow_with_code() {
    let lines = |count: usize| "    x = x + 1\n".repeat(count);
    let code = format!("def _f(x):\n{}", lines(99));
    let few = format!("def test_f():\n{}", lines(4));
    let enough = format!("def test_f():\n{}", lines(9));
    let of = ["tests-"];
    check(&of, &[], &[("a.py", &code)], &["tests-missing a.py:1"]);
    let with_few = [("a.py", code.as_str()), ("test_a.py", &few)];
    check(&of, &[], &with_few, &["tests-few a.py:1"]);
    check(&of, &[], &[("a.py", &code), ("test_a.py", &enough)], &[]);
    let lax = House {
        tests_percent: 0,
        ..House::default()
    };
    check_in(&lax, &of, &[], &with_few, &[]);
    let small = format!("def _f(x):\n{}", lines(20));
    check(&of, &[], &[("a.py", &small)], &[]);
    check(
        &of,
        &[("test_a.py", &few)],
        &[("a.py", "x = 1\n")],
        &["tests-missing a.py:1"],
    );
}

#[test]
fn dependencies_are_told_once_and_versions_are_not() {
    let of = ["dependency-"];
    for (path, before, after, line) in [
        (
            "requirements.txt",
            "requests==1\n",
            "requests==2\nreq==1\n",
            2,
        ),
        (
            "package.json",
            "{\n\"dependencies\": {\n\"a\": \"1\"\n}\n}",
            "{\n\"dependencies\": {\n\"a\": \"2\",\n\"b\": \"1\"\n}\n}",
            4,
        ),
        (
            "Cargo.toml",
            "[dependencies]\nserde = \"1\"\n",
            "[dependencies]\nserde = \"2\"\ntoml = \"1\"\n",
            3,
        ),
        (
            "pyproject.toml",
            "dependencies = [\n\"a>=1\",\n]\n",
            "dependencies = [\n\"a>=2\",\n\"b\",\n]\n[tool.x]\nnames = [\n\"c\",\n]\n",
            3,
        ),
        (
            "go.mod",
            "require (\n\tgithub.com/a/b v1.0.0\n)\n",
            "require (\n\tgithub.com/a/b v1.1.0\n\tgithub.com/a/c v1.0.0\n)\n",
            3,
        ),
        (
            "build.gradle",
            "dependencies {\n    implementation 'g:a:1'\n}\n",
            "dependencies {\n    implementation 'g:a:2'\n    implementation(\"g:b:1\")\n}\n",
            3,
        ),
    ] {
        let expected = format!("dependency-added {path}:{line}");
        check(&of, &[(path, before)], &[(path, after)], &[&expected]);
    }
    let house = House {
        dependencies: vec!["known".to_owned()],
        unwanted: vec![Unwanted {
            name: "request".to_owned(),
            instead: "the client of the house".to_owned(),
        }],
        ..House::default()
    };
    let manifest = [("requirements.txt", "known\nrequest\nother\n")];
    let expected = [
        "dependency-unwanted requirements.txt:2",
        "dependency-added requirements.txt:3",
    ];
    check_in(&house, &of, &[], &manifest, &expected);
}

#[test]
fn house_says_what_is_debt_and_what_is_forbidden_where() {
    let house = House {
        debt: vec!["LATER".to_owned()],
        forbidden: vec![Forbidden {
            text: "requests.get(".to_owned(),
            instead: "the client of the house".to_owned(),
            below: "src/".to_owned(),
        }],
        exempt: vec!["src/old/".to_owned()],
        ..House::default()
    };
    let text = "x = 1  # TODO\ny = 2  # LATER\nz = requests.get(u)\nw = 1  # LATER #12\n";
    let files = [("src/a.py", text), ("b.py", text), ("src/old/c.py", text)];
    let expected = [
        "debt-added b.py:2",
        "debt-added src/a.py:2",
        "forbidden src/a.py:3",
    ];
    let mut sorted: Files<'_> = &files;
    let of = ["debt-added", "forbidden"];
    let mut found = owed(&[], sorted, &house, "");
    found.retain(|one| of.iter().any(|rule| one.starts_with(rule)));
    found.sort();
    assert_eq!(found, expected);
    // What was there is nobody's now.
    sorted = &files[..1];
    check_in(&house, &of, sorted, sorted, &[]);
}

const SAYS: [&str; 3] = [
    "documentation-missing",
    "documentation-says-nothing",
    "tool-description-incomplete",
];

#[test]
fn tools_say_what_they_change_their_limits_and_failures_in_each_language() {
    let whole =
        "Books one room of a hotel for a guest, at most 30 nights. Refuses dates in the past.";
    for (path, text, line) in [
        (
            "a.ts",
            "server.registerTool('book', { description: 'TEXT' }, f);",
            1,
        ),
        (
            "a.py",
            "@mcp.tool(description='TEXT')\ndef book(id: int):\n    return id\n",
            2,
        ),
        (
            "a.py",
            "@mcp.tool()\ndef book(id: int):\n    '''TEXT'''\n    return id\n",
            2,
        ),
        (
            "a.go",
            "package p\nfunc f() { mcp.AddTool(s, &mcp.Tool{Name: \"book\", Description: \"TEXT\"}, h) }",
            2,
        ),
        (
            "a.rs",
            "struct S;\nimpl S {\n    #[tool(description = \"TEXT\")]\n    fn book(&self) {}\n}\n",
            4,
        ),
        (
            "A.java",
            "class A { Object f() { return new Tool(\"book\", \"TEXT\", s); } }",
            1,
        ),
    ] {
        check(&SAYS, &[], &[(path, &text.replace("TEXT", whole))], &[]);
        let part = text.replace("TEXT", "Takes a free room of some hotel for whoever asks");
        let found = format!("tool-description-incomplete {path}:{line}");
        check(&SAYS, &[], &[(path, &part)], &[&found]);
        let empty = text.replace("TEXT", "Book the book");
        let found = format!("documentation-says-nothing {path}:{line}");
        check(&SAYS, &[], &[(path, &empty)], &[&found]);
    }
    let bare = "server.registerTool('book', { inputSchema: {} }, f);";
    check(
        &SAYS,
        &[],
        &[("a.ts", bare)],
        &["documentation-missing a.ts:1"],
    );
}

#[test]
fn descriptions_of_changes_grow_with_them_and_templates_do_not_count() {
    let file = |lines: usize| "x = 1\n".repeat(lines);
    let says = |lines: usize, message: &str| {
        let found = owed(&[], &[("a.py", &file(lines))], &House::default(), message);
        !found
            .iter()
            .any(|one| one.starts_with("description-too-short"))
    };
    let words = |count: usize| "why ".repeat(count);
    assert!(says(19, "x"));
    // 32 lines: 4 words for each doubling from 8 on.
    assert!(!says(32, &words(11)) && says(32, &words(12)));
    assert!(!says(4096, &words(39)) && says(4096, &words(40)));
    let template = format!(
        "Fix\n<!-- {} -->\n\nSigned-off-by: A B C D E F G H I J K L M",
        words(50)
    );
    assert!(!says(64, &template));
}

const MADR: &str = "# 1: Export\n\nAccepted, 2026-11-23.\n\n## Context\n\nWhy.\n\n## Decision\n\nSo.\n\n## Consequences\n\nThis was accepted by all.\n";

#[test]
fn merged_decisions_change_in_their_status_only() {
    let of = ["decision-"];
    let path = "docs/adr/001-export.md";
    let merged = [(path, MADR)];
    let rewritten = |line: u32| format!("decision-rewritten {path}:{line}");
    for (from, to, line) in [
        (
            "Accepted, 2026-11-23.",
            "Superseded by 7, 2026-12-01.",
            None,
        ),
        ("So.", "Otherwise.", Some(11)),
        ("# 1: Export", "# 1: Import", Some(1)),
        // A word of the status does not open the rest.
        (
            "This was accepted by all.",
            "Nobody accepted this.",
            Some(15),
        ),
        (
            "This was accepted by all.\n",
            "This was accepted by all.\n\nAnd more.\n",
            Some(17),
        ),
        ("So.\n\n", "", Some(11)),
    ] {
        let text = MADR.replace(from, to);
        let expected = line.map(rewritten);
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&of, &merged, &[(path, &text)], &expected);
    }
    check(&of, &merged, &[("a.py", "x = 1\n")], &[&rewritten(1)]);
    // In MADR's own form the status has a heading.
    let headed = MADR.replace("Accepted, 2026-11-23.", "## Status\n\nproposed");
    let after = headed.replace("proposed", "accepted");
    check(&of, &[(path, &headed)], &[(path, &after)], &[]);
    let lacking = "# 2: Import\n\nSo.\n";
    let other = "docs/adr/002-import.md";
    let found = format!("decision-malformed {other}:1");
    check(&of, &merged, &[(path, MADR), (other, lacking)], &[&found]);
}

#[test]
fn reverts_owe_a_file_that_names_what_follows() {
    let message = "Revert it\n\nThis reverts commit 77aa11bb22cc.\n";
    let owes = |lesson: &str| {
        let files = [("a.py", "x = 1\n"), ("docs/lessons/a.md", lesson)];
        let drafts = drafts(&[], &files, &House::default(), message);
        let found = drafts.into_iter().find(|one| one.rule == "lesson-missing");
        found.map(|one| one.message)
    };
    let nothing = owes("# Other\n").unwrap_or_default();
    assert!(
        nothing.contains("no file in docs/lessons names it"),
        "{nothing}"
    );
    assert!(nothing.contains("due 2026-12-02"), "{nothing}");
    let half = owes("77aa11bb broke it\n").unwrap_or_default();
    assert!(half.contains("names no rule, test or decision"), "{half}");
    assert_eq!(owes("77aa11bb broke it\n\nTest: keeps_the_total\n"), None);
}

/// Everything that looks at lines takes them in one pass: a file of any length, whose every
/// second line is new, is judged at once.
#[test]
fn huge_changes_end() {
    let old: String = (0..4_000).map(|n| format!("fn a{n}() {{}}\n")).collect();
    let new: String = (0..4_000)
        .map(|n| format!("fn a{n}() {{}}\npub fn total{n}(x: u8) -> u8 {{ x }} // TODO {n}\n"))
        .collect();
    let requirements: String = (0..4_000).map(|n| format!("package-{n}\n")).collect();
    let decision = "## More\n\nText.\n".repeat(4_000);
    let before = [("a.rs", old.as_str())];
    let after = [
        ("a.rs", new.as_str()),
        ("requirements.txt", &requirements),
        ("docs/adr/001-a.md", &decision),
    ];
    let message = format!(
        "Do it\n\n{}",
        "This reverts commit 77aa11bb22cc.\n".repeat(5_000)
    );
    let found = owed(&before, &after, &House::default(), &message);
    let count = |rule: &str| found.iter().filter(|one| one.starts_with(rule)).count();
    assert_eq!(count("debt-added"), 4_000);
    assert_eq!(count("dead-export"), 4_000);
    assert_eq!(count("dependency-added"), 4_000);
    assert_eq!(count("lesson-missing"), 1);
}
