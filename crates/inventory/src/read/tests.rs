use super::*;

/// Reads `text` as the file `name` and lists what was found, one line each.
fn check(name: &str, text: &str, expected: &[&str]) {
    let inventory = bytes(text.as_bytes(), name).expect("a known name");
    let mut found: Vec<String> = inventory
        .components
        .iter()
        .map(|c| {
            let mut line = format!("{} {}", c.name, c.version.as_deref().unwrap_or("?"));
            for (set, word) in [
                (c.scope == crate::component::Scope::Direct, " direct"),
                (c.scope == crate::component::Scope::Development, " dev"),
                (
                    c.origin == crate::component::Origin::Repository,
                    " repository",
                ),
                (c.origin == crate::component::Origin::Local, " local"),
                (
                    c.origin == crate::component::Origin::OtherRegistry,
                    " elsewhere",
                ),
            ] {
                if set {
                    line.push_str(word);
                }
            }
            line
        })
        .chain(inventory.own.iter().map(|own| format!("own {own}")))
        .chain(
            inventory
                .gaps
                .iter()
                .map(|gap| format!("gap {}", gap.reason)),
        )
        .collect();
    found.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn cargo_locks_tell_registry_repository_and_own_apart() {
    check(
        "Cargo.lock",
        r#"
version = 4
[[package]]
name = "app"
version = "0.1.0"
dependencies = ["serde", "forked 1.0.0 (git+https://example.com/x)"]
[[package]]
name = "serde"
version = "1.0.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
dependencies = ["itoa"]
[[package]]
name = "itoa"
version = "1.0.0"
source = "sparse+https://index.crates.io/"
[[package]]
name = "forked"
version = "1.0.0"
source = "git+https://example.com/x#abcdef"
[[package]]
name = "inner"
version = "2.0.0"
source = "registry+https://registry.corp.example/index"
"#,
        &[
            "serde 1.0.1 direct",
            "itoa 1.0.0",
            "forked 1.0.0 direct repository",
            "inner 2.0.0 elsewhere",
            "own app 0.1.0",
        ],
    );
    check(
        "Cargo.lock",
        "package = 7",
        &["gap it cannot be read: TOML parse error at line 1, column 11"],
    );
}

#[test]
fn npm_locks_of_all_versions_give_real_names() {
    check(
        "package-lock.json",
        r#"{"name":"app","lockfileVersion":3,"packages":{
            "":{"name":"app","version":"1.0.0","dependencies":{"a":"^1.0.0","alias":"npm:real@^2"},"devDependencies":{"d":"1"}},
            "node_modules/a":{"version":"1.2.0","resolved":"https://registry.npmjs.org/a/-/a-1.2.0.tgz"},
            "node_modules/a/node_modules/@s/b":{"version":"0.1.0"},
            "node_modules/alias":{"name":"real","version":"2.0.0"},
            "node_modules/d":{"version":"1.0.0","dev":true},
            "node_modules/g":{"version":"1.0.0","resolved":"git+ssh://git@github.com/x/g.git#abc"},
            "node_modules/w":{"resolved":"packages/w","link":true},
            "packages/w":{"name":"w","version":"1.0.0"}}}"#,
        &[
            "a 1.2.0 direct",
            "@s/b 0.1.0",
            "real 2.0.0 direct",
            "d 1.0.0 dev",
            "g 1.0.0 repository",
            "own app",
            "own w",
        ],
    );
    check(
        "package-lock.json",
        r#"{"name":"app","lockfileVersion":1,"dependencies":{
            "a":{"version":"1.2.0","dependencies":{"b":{"version":"0.1.0","dev":true}}},
            "alias":{"version":"npm:@real/x@2.0.0"},
            "l":{"version":"file:../l"}}}"#,
        &[
            "a 1.2.0",
            "b 0.1.0 dev",
            "@real/x 2.0.0",
            "own l",
            "own app",
        ],
    );
}

#[test]
fn npm_locks_say_which_versions_are_accepted() {
    let text = r#"{"packages":{"":{"dependencies":{"a":"^1.0.0"}},
        "node_modules/a":{"version":"1.2.0","dependencies":{"b":"~0.1"}},
        "node_modules/b":{"version":"0.1.0","dependencies":{"a":">=1 <3"}}}}"#;
    let inventory = bytes(text.as_bytes(), "package-lock.json").expect("a lock file");
    assert_eq!(inventory.components[0].accepted, ["^1.0.0", ">=1 <3"]);
    assert_eq!(inventory.components[1].accepted, ["~0.1"]);
}

#[test]
fn hostile_files_are_bounded_and_reported() {
    let deep = format!(
        "{{\"packages\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    check(
        "package-lock.json",
        &deep,
        &["gap it cannot be read: it nests deeper than 128 levels"],
    );
    check(
        "package-lock.json",
        "",
        &["gap it cannot be read: EOF while parsing a value at line 1 column 0"],
    );
    let inventory = bytes(&[0xff, 0xfe], "Cargo.lock").expect("a known name");
    assert_eq!(inventory.gaps.len(), 1);
    let name = "a\\u001b[2J\\n::set-output name=x::y";
    let text = format!(r#"{{"packages":{{"node_modules/{name}":{{"version":"1.0.0\u202e"}}}}}}"#);
    let inventory = bytes(text.as_bytes(), "package-lock.json").expect("a lock file");
    assert_eq!(inventory.components.len(), 1);
    assert!(
        !inventory.components[0]
            .purl()
            .contains(['\u{1b}', '\n', '\u{202e}'])
    );
}
