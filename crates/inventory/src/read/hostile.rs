//! Every reader against texts that somebody made to hurt it.

use proptest::prelude::*;

use super::*;
use crate::component::MAX_TEXT_BYTES;

const NAMES: [&str; 16] = [
    "Cargo.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "requirements.txt",
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "go.mod",
    "pom.xml",
    "gradle.lockfile",
    "a.cdx.json",
    "a.spdx.json",
    "mcp.json",
    "server.json",
];

/// Seeds that readers know, so that changed texts get past the first line.
const SEEDS: [&str; 9] = [
    "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
    r#"{"lockfileVersion":3,"packages":{"":{"dependencies":{"a":"^1"}},"node_modules/a":{"version":"1.0.0"},"node_modules/a/node_modules/b":{"version":"2.0.0","link":true,"resolved":"../b"}}}"#,
    "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n        version: 1.0.0\npackages:\n  a@1.0.0:\n    resolution: {integrity: x}\n",
    "# yarn lockfile v1\n\na@^1.0.0:\n  version \"1.0.0\"\n  resolved \"https://registry.yarnpkg.com/a\"\n",
    "a==1.0.0 ; python_version > '3'\n-r other.txt\nb>=2\n",
    "module example.com/m\ngo 1.22\nrequire (\n\texample.com/a v1.0.0 // indirect\n)\nreplace example.com/a => ../a\n",
    "<project><groupId>g</groupId><dependencies><dependency><groupId>a</groupId><artifactId>b</artifactId><version>1</version></dependency></dependencies></project>",
    r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"purl":"pkg:npm/a@1.0.0","components":[{"purl":"pkg:npm/b@1"}]}]}"#,
    r#"{"mcpServers":{"a":{"command":"npx","args":["-y","a@1.0.0"]}}}"#,
];

fn bounded_all(inventory: &Inventory) {
    for component in &inventory.components {
        assert!(component.name.len() <= MAX_TEXT_BYTES);
        assert!(component.place.len() <= MAX_TEXT_BYTES);
        assert!(
            component
                .version
                .as_ref()
                .is_none_or(|v| v.len() <= MAX_TEXT_BYTES)
        );
    }
    assert!(inventory.gaps.len() <= crate::component::MAX_GAPS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_panics_and_everything_is_bounded(
        seed in 0..SEEDS.len(),
        name in 0..NAMES.len(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), "\\PC{0,6}|[\\x00-\\x7f]{0,3}"), 0..8),
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut text: Vec<char> = SEEDS[seed].chars().collect();
        for (at, insert) in &cuts {
            let at = at.index(text.len() + 1).min(text.len());
            text.splice(at..(at + insert.len() / 2).min(text.len()), insert.chars());
        }
        let text: String = text.into_iter().collect();
        for content in [text.as_bytes(), &bytes] {
            let read = super::bytes(content, NAMES[name]).expect("a known name");
            bounded_all(&read);
            // Read, or said to be unreadable: nothing in between.
            prop_assert!(!read.read.is_empty() || !read.gaps.is_empty());
        }
    }
}

/// Reads `text` as `name` and returns the first gap.
fn gap(name: &str, text: &str) -> Option<String> {
    let read = bytes(text.as_bytes(), name).expect("a known name");
    bounded_all(&read);
    read.gaps.first().map(|gap| gap.reason.clone())
}

#[test]
fn deep_nesting_is_refused_before_it_is_built() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(60_000), close.repeat(60_000));
    for (name, text) in [
        ("package-lock.json", deep("{\"a\":", "}")),
        ("package-lock.json", deep("[", "]")),
        ("bun.lock", deep("[", "]")),
        ("mcp.json", deep("[", "]")),
        ("a.cdx.json", deep("{\"components\":[", "]}")),
        ("pnpm-lock.yaml", deep("[", "]")),
        ("Cargo.lock", format!("a = {}", deep("[", "]"))),
        ("pom.xml", deep("<a>", "</a>")),
    ] {
        assert!(gap(name, &text).is_some(), "{name}");
    }
}

#[test]
fn yaml_aliases_do_not_multiply() {
    let mut text = String::from("lockfileVersion: '9.0'\na0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let before = n - 1;
        let list = vec![format!("*a{before}"); 9].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{list}]\n"));
    }
    text.push_str("packages: *a11\n");
    // 9^12 values would not fit into any machine.
    assert!(gap("pnpm-lock.yaml", &text).is_some());
}

#[test]
fn xml_entities_are_not_expanded_or_fetched() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]>\
        <project><dependencies><dependency><groupId>g</groupId><artifactId>&b;&f;</artifactId><version>1</version></dependency></dependencies></project>";
    let read = bytes(bomb.as_bytes(), "pom.xml").expect("a known name");
    let text = format!("{read:?}");
    assert!(!text.contains("aaaa") && !text.contains("root:"), "{text}");
    assert!(!read.gaps.is_empty());
}

#[test]
fn absurd_versions_and_long_names_are_kept_bounded() {
    let long = "9".repeat(100_000);
    let lock = format!(r#"{{"packages":{{"node_modules/{long}":{{"version":"{long}.{long}"}}}}}}"#);
    let read = bytes(lock.as_bytes(), "package-lock.json").expect("a known name");
    bounded_all(&read);
    assert_eq!(read.components.len(), 1);
}

#[test]
fn commands_and_controls_in_names_stay_text() {
    let name = "\\u001b[2J::set-output name=x::y $(touch /tmp/airside-pwned) `id`";
    let lock =
        format!(r#"{{"packages":{{"node_modules/{name}":{{"version":"1.0.0\\n::error::x"}}}}}}"#);
    let read = bytes(lock.as_bytes(), "package-lock.json").expect("a known name");
    assert!(!std::path::Path::new("/tmp/airside-pwned").exists());
    let purl = read.components[0].purl();
    assert!(
        purl.is_ascii() && !purl.contains(|c: char| c.is_control()),
        "{purl}"
    );
}
