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

#[test]
fn pnpm_locks_of_all_versions_are_read() {
    check(
        "pnpm-lock.yaml",
        "lockfileVersion: 5.4\ndependencies:\n  a: 1.0.0\npackages:\n  /a/1.0.0_react@17.0.2:\n    resolution: {integrity: x}\n    dev: false\n  /@s/b/2.0.0:\n    resolution: {integrity: x}\n    dev: true\n  github.com/x/y/abc:\n    resolution: {tarball: https://codeload.github.com/x/y/tar.gz/abc}\n    name: y\n    version: 0.1.0\n",
        &["a 1.0.0 direct", "@s/b 2.0.0 dev", "y 0.1.0 repository"],
    );
    check(
        "pnpm-lock.yaml",
        "lockfileVersion: '6.0'\ndependencies:\n  a:\n    specifier: ^1\n    version: 1.0.0\npackages:\n  /a@1.0.0(react@17.0.2):\n    resolution: {integrity: x}\n  /@s/b@2.0.0:\n    resolution: {integrity: x}\n",
        &["a 1.0.0 direct", "@s/b 2.0.0"],
    );
    check(
        "pnpm-lock.yaml",
        "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n        version: 1.0.0\npackages:\n  a@1.0.0:\n    resolution: {integrity: x}\n  '@s/b@2.0.0':\n    resolution: {integrity: x}\nsnapshots:\n  a@1.0.0: {}\n",
        &["a 1.0.0 direct", "@s/b 2.0.0"],
    );
}

#[test]
fn yarn_and_bun_locks_are_read() {
    check(
        "yarn.lock",
        "# yarn lockfile v1\n\n\"@s/a@^1.0.0\", \"@s/a@^1.1\":\n  version \"1.2.0\"\n  resolved \"https://registry.yarnpkg.com/@s/a/-/a-1.2.0.tgz#x\"\n  dependencies:\n    b \"^1\"\n\nalias@npm:real@^2.0.0:\n  version \"2.0.1\"\n\ng@git+https://example.com/g.git:\n  version \"0.1.0\"\n  resolved \"git+https://example.com/g.git#abc\"\n",
        &["@s/a 1.2.0", "real 2.0.1", "g 0.1.0 repository"],
    );
    check(
        "yarn.lock",
        "__metadata:\n  version: 8\n\n\"@s/a@npm:^1.0.0, @s/a@npm:^1.1\":\n  version: 1.2.0\n  resolution: \"@s/a@npm:1.2.0\"\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"app@workspace:.\"\n\n\"alias@npm:real@^2\":\n  version: 2.0.1\n  resolution: \"real@npm:2.0.1\"\n\n\"g@https://github.com/x/g.git\":\n  version: 0.1.0\n  resolution: \"g@https://github.com/x/g.git#commit=abc\"\n",
        &["@s/a 1.2.0", "own app", "real 2.0.1", "g 0.1.0 repository"],
    );
    check(
        "bun.lock",
        "{\n  // comment\n  \"lockfileVersion\": 1,\n  \"packages\": {\n    \"@s/a\": [\"@s/a@1.2.0\", \"\", {}, \"sha512-x\"],\n    \"w\": [\"w@workspace:packages/w\"],\n    \"g\": [\"g@github:x/g#abc\", {}, \"x\"],\n  },\n}\n",
        &["@s/a 1.2.0", "own w", "g ? repository"],
    );
    check(
        "bun.lockb",
        "x",
        &[
            "gap it cannot be read: it is the binary lock file of Bun; `bun install --save-text-lockfile` writes the other",
        ],
    );
    let hidden = format!("{{ // \"\n\"packages\": {}", "[".repeat(100_000));
    check(
        "bun.lock",
        &hidden,
        &["gap it cannot be read: it nests deeper than 128 levels"],
    );
}

#[test]
fn python_files_tell_pinned_from_open() {
    check(
        "requirements-dev.txt",
        "# comment\nDjango==3.2.0 ; python_version > '3' # why\nrequests[socks]>=2.0\nflask\nnumpy==1.* \nattrs===21.0.0 \\\n    --hash=sha256:abc\n-r other.txt\n-e .\npkg @ https://example.com/pkg.zip\ngit+https://example.com/x.git@abc#egg=thing\n",
        &[
            "django 3.2.0",
            "requests ?",
            "flask ?",
            "numpy ?",
            "attrs 21.0.0",
            "own .",
            "pkg ? elsewhere",
            "thing ? repository",
            "gap it includes `other.txt`, which is read only if it is named or lies in the folder",
        ],
    );
    check(
        "poetry.lock",
        "[[package]]\nname = \"A_b\"\nversion = \"1.0\"\n[[package]]\nname = \"g\"\nversion = \"2.0\"\n[package.source]\ntype = \"git\"\nurl = \"https://example.com/g\"\n[[package]]\nname = \"d\"\nversion = \"3.0\"\ngroups = [\"dev\"]\n",
        &["a-b 1.0", "g 2.0 repository", "d 3.0 dev"],
    );
    check(
        "uv.lock",
        "version = 1\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\nsource = { editable = \".\" }\n[[package]]\nname = \"a\"\nversion = \"1.0\"\nsource = { registry = \"https://pypi.org/simple\" }\n[[package]]\nname = \"b\"\nversion = \"1.0\"\nsource = { registry = \"https://corp.example/simple\" }\n",
        &["own app", "a 1.0", "b 1.0 elsewhere"],
    );
    check(
        "pdm.lock",
        "[[package]]\nname = \"a\"\nversion = \"1.0\"\ngroups = [\"default\"]\n[[package]]\nname = \"p\"\nversion = \"1.0\"\npath = \"./p\"\n",
        &["a 1.0", "own p"],
    );
    check(
        "pylock.toml",
        "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nversion = \"1.0\"\nindex = \"https://pypi.org/simple\"\n[[packages]]\nname = \"v\"\n[packages.vcs]\ntype = \"git\"\n",
        &["a 1.0", "v ? repository"],
    );
    check(
        "Pipfile.lock",
        r#"{"default":{"a":{"version":"==1.0"},"g":{"git":"x"}},"develop":{"d":{"version":"==2.0"}}}"#,
        &["a 1.0", "g ? repository", "d 2.0 dev"],
    );
}

#[test]
fn go_modules_follow_their_replacements() {
    check(
        "go.mod",
        "module example.com/app\n\ngo 1.21\ntoolchain go1.22.3\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.1.0 // indirect\n)\nrequire example.com/c v0.1.0\nreplace example.com/b => example.com/fork/b v1.2.0\nreplace example.com/c => ../c\n",
        &[
            "example.com/a v1.0.0 direct",
            "example.com/fork/b v1.2.0",
            "stdlib 1.22.3",
            "own example.com/app",
            "own example.com/c",
        ],
    );
    check(
        "go.mod",
        "module m\ngo 1.16\n",
        &[
            "stdlib ?",
            "own m",
            "gap before Go 1.17 the file names no indirect modules",
        ],
    );
}

const POM: &str = "<project><groupId>g</groupId><artifactId>a</artifactId><version>1</version>
<properties><v>2.0</v><loop>${loop}</loop></properties>
<dependencyManagement><dependencies><dependency><groupId>m</groupId><artifactId>m</artifactId><version>${v}</version></dependency></dependencies></dependencyManagement>
<dependencies><dependency><groupId>x</groupId><artifactId>y</artifactId><version>${v}</version></dependency>
<dependency><groupId>m</groupId><artifactId>m</artifactId></dependency>
<dependency><groupId>r</groupId><artifactId>r</artifactId><version>[1,2)</version></dependency>
<dependency><groupId>l</groupId><artifactId>l</artifactId><version>${loop}</version><scope>test</scope></dependency></dependencies></project>";

#[test]
fn build_descriptions_are_read_without_entities() {
    let partial =
        "gap a pom names direct dependencies only; what they bring along was not assessed";
    check(
        "pom.xml",
        POM,
        &[
            "x:y 2.0 direct",
            "m:m 2.0 direct",
            "r:r ? direct",
            "l:l ? dev",
            "own g:a",
            partial,
        ],
    );
    for (text, why) in [
        (
            "<!DOCTYPE a [<!ENTITY b \"c\">]><project>&b;</project>",
            "it has a document type",
        ),
        (
            "<project><version>&b;</version></project>",
            "it names an entity of its own",
        ),
    ] {
        check("pom.xml", text, &[&format!("gap it cannot be read: {why}")]);
    }
    let deep = "<a>".repeat(100);
    check(
        "pom.xml",
        &deep,
        &["gap it cannot be read: it nests deeper than 64 elements"],
    );
    check(
        "gradle.lockfile",
        "# comment\norg.a:b:1.0=compileClasspath,runtimeClasspath\norg.t:t:2.0=testRuntimeClasspath\nempty=\nodd\n",
        &[
            "org.a:b 1.0",
            "org.t:t 2.0 dev",
            "gap the line is no artifact",
        ],
    );
}

#[test]
fn sboms_give_components_by_package_url() {
    check(
        "bom.json",
        r#"{"bomFormat":"CycloneDX","specVersion":"1.7","metadata":{"component":{"name":"app","purl":"pkg:npm/app@1"}},
            "components":[{"bom-ref":"a","type":"library","name":"a","version":"1.0","purl":"pkg:npm/a@1.0",
                "components":[{"type":"library","name":"inner","purl":"pkg:cargo/inner@2.0.0"}]},
            {"type":"library","group":"g","name":"bare","version":"3"},{"type":"file","name":"f"}]}"#,
        &["a 1.0", "inner 2.0.0", "g/bare 3", "own app"],
    );
    check(
        "app.spdx.json",
        r#"{"spdxVersion":"SPDX-2.3","documentDescribes":["R"],"packages":[{"SPDXID":"R","name":"root"},
            {"SPDXID":"A","name":"a","versionInfo":"1.0","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:pypi/A@1.0"}]}]}"#,
        &["a 1.0", "own root"],
    );
    check(
        "x.spdx.json",
        r#"{"spdxVersion":"SPDX-3.0"}"#,
        &["gap it cannot be read: SPDX-3.0 is not supported; SPDX 2.2 and 2.3 are"],
    );
    let circle = r#"{"bomFormat":"CycloneDX","components":[],"dependencies":[{"ref":"a","dependsOn":["b"]},{"ref":"b","dependsOn":["a"]}]}"#;
    check("bom.json", circle, &[]);
}

#[test]
fn configurations_of_clients_give_what_they_would_start() {
    check(
        "mcp.json",
        r#"{ // servers
            "mcpServers": {
            "pinned": {"command": "npx", "args": ["-y", "@a/b@1.2.3", "/data"]},
            "open": {"command": "/usr/bin/npx", "args": ["-y", "mcp-remote", "https://x"]},
            "py": {"command": "uvx", "args": ["--from", "thing[x]==2.0", "thing-mcp"]},
            "run": {"command": "uv tool run", "args": ["other@latest"]},
            "box": {"command": "docker", "args": ["run", "-i", "--rm", "-e", "TOKEN", "ghcr.io/a/b:v1"]},
            "fixed": {"command": "docker", "args": ["run", "a/b@sha256:00"]},
            "far": {"url": "https://user:secret@mcp.example.com/mcp?key=secret"},
            "own": {"command": "./server"},
            }}"#,
        &[
            "@a/b 1.2.3 direct",
            "mcp-remote ? direct",
            "thing 2.0 direct",
            "other ? direct",
            "ghcr.io/a/b:v1 ? direct",
            "a/b sha256:00 direct",
            "gap the remote server `mcp.example.com` does not say what it is made of",
            "gap what `./server` starts is not known",
        ],
    );
    check(
        "server.json",
        r#"{"$schema":"https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json","name":"io.x/s","version":"1",
            "packages":[{"registryType":"npm","identifier":"@x/s","version":"1.0.0"},{"registryType":"pypi","identifier":"s","version":"${VERSION}"}],
            "remotes":[{"type":"streamable-http","url":"https://x"}]}"#,
        &[
            "@x/s 1.0.0 direct",
            "s ? direct",
            "own io.x/s",
            "gap its remote servers do not say what they are made of",
        ],
    );
    check("settings.json", r#"{"editor.fontSize": 12}"#, &[]);
    check(
        "mcp.json",
        "[]",
        &["gap it cannot be read: it names no MCP servers"],
    );
}
