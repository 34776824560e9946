use std::{fs, path::Path};

use super::*;
use crate::{component::Scope, read::path};

fn put(root: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let file = root.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, content).expect("written");
    }
}

fn lines(inventory: &Inventory) -> Vec<String> {
    let components = inventory.components.iter().map(|c| {
        let version = c.version.as_deref().unwrap_or("?");
        let from = match c.origin {
            Origin::Registry => "",
            Origin::OtherRegistry => " elsewhere",
            Origin::Repository => " repository",
            Origin::Local => " local",
        };
        let dev = match c.scope {
            Scope::Development => " dev",
            _ => "",
        };
        format!("{} {version}{dev}{from} in {}", c.name, c.place)
    });
    let own = inventory.own.iter().map(|own| format!("own {own}"));
    let gaps = inventory
        .gaps
        .iter()
        .map(|gap| format!("gap {}: {}", gap.place, gap.reason));
    components.chain(own).chain(gaps).collect()
}

/// Scans a folder of files, compares what is found and returns it.
fn check(files: &[(&str, &str)], expected: &[&str]) -> Inventory {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), files);
    let read = path(folder.path()).expect("components");
    assert_eq!(lines(&read), expected);
    read
}

#[test]
fn node_modules_are_read_with_nested_copies_scopes_and_aliases() {
    let read = check(
        &[
            (
                "node_modules/a/package.json",
                r#"{"name":"a","version":"1.0.0"}"#,
            ),
            (
                "node_modules/a/node_modules/b/package.json",
                r#"{"name":"b","version":"2.0.0"}"#,
            ),
            (
                "node_modules/@s/c/package.json",
                r#"{"name":"@s/c","version":"3.0.0"}"#,
            ),
            (
                "node_modules/alias/package.json",
                r#"{"name":"real","version":"4.0.0"}"#,
            ),
            (
                "node_modules/.pnpm/d@5.0.0/node_modules/d/package.json",
                "\u{feff}{\"name\":\"d\",\"version\":\"5.0.0\"}",
            ),
            // Parts of packages, and what their authors wrote for themselves.
            (
                "node_modules/a/dist/esm/package.json",
                r#"{"type":"module"}"#,
            ),
            (
                "node_modules/a/package-lock.json",
                r#"{"packages":{"node_modules/x":{"version":"1.0.0"}}}"#,
            ),
            ("node_modules/a/requirements.txt", "x==1\n"),
            (
                "node_modules/.package-lock.json",
                r#"{"packages":{"node_modules/a":{"version":"1.0.0"}}}"#,
            ),
            ("node_modules/nameless/package.json", "{}"),
            ("node_modules/broken/package.json", "{"),
            (
                "node_modules/old/package.json",
                r#"{"name":"old","version":"1.0.0","_resolved":"git+ssh://git@example.com/x.git#ab"}"#,
            ),
        ],
        &[
            "@s/c 3.0.0 in node_modules/@s/c/package.json",
            "a 1.0.0 in node_modules/a/package.json",
            "b 2.0.0 in node_modules/a/node_modules/b/package.json",
            "d 5.0.0 in node_modules/.pnpm/d@5.0.0/node_modules/d/package.json",
            "nameless ? in node_modules/nameless/package.json",
            "old 1.0.0 repository in node_modules/old/package.json",
            "real 4.0.0 in node_modules/alias/package.json",
            "gap node_modules/broken/package.json: it cannot be read: EOF while parsing an object at line 1 column 1",
        ],
    );
    assert_eq!(read.read, ["node_modules"]);
}

const SITE: &str = ".venv/lib/python3.12/site-packages";

#[test]
fn site_packages_are_read_with_eggs_and_sources() {
    let site = |name: &str| format!("{SITE}/{name}");
    let files = [
        (
            "Zope.Interface-6.0.dist-info/METADATA",
            "Metadata-Version: 2.1\r\nName: Zope.Interface\r\nVersion: 6.0\r\n\r\nName: not-this\r\n",
        ),
        (
            "forked-1.0.dist-info/METADATA",
            "Name: forked\nVersion: 1.0\n",
        ),
        (
            "forked-1.0.dist-info/direct_url.json",
            r#"{"url":"https://example.com/x.git","vcs_info":{"vcs":"git","commit_id":"ab"}}"#,
        ),
        ("app-1.0.dist-info/METADATA", "Name: app\nVersion: 1.0\n"),
        (
            "app-1.0.dist-info/direct_url.json",
            r#"{"url":"file:///app","dir_info":{"editable":true}}"#,
        ),
        (
            "there-1.0.dist-info/METADATA",
            "Name: there\nVersion: 1.0\n",
        ),
        (
            "there-1.0.dist-info/direct_url.json",
            r#"{"url":"https://example.com/there.whl","archive_info":{}}"#,
        ),
        ("old.egg-info/PKG-INFO", "Name: old\nVersion: 0.1\n"),
        ("older-1.egg-info", "name: older\nversion: 1\n"),
        ("egg-2.egg/EGG-INFO/PKG-INFO", "Name: egg\nVersion: 2\n"),
        ("odd-1.dist-info/METADATA", "Version: 1\n"),
        ("open-1.dist-info/METADATA", "Name: open\n"),
        ("package/requirements.txt", "not==1\n"),
    ];
    let mut files: Vec<(String, &str)> = files
        .iter()
        .map(|(name, text)| (site(name), *text))
        .collect();
    // That of the project itself.
    files.push((
        "app.egg-info/PKG-INFO".to_owned(),
        "Name: app\nVersion: 1\n",
    ));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), *text))
        .collect();
    let expected = [
        format!("egg 2 in {SITE}/egg-2.egg/EGG-INFO/PKG-INFO"),
        format!("forked 1.0 repository in {SITE}/forked-1.0.dist-info/METADATA"),
        format!("old 0.1 in {SITE}/old.egg-info/PKG-INFO"),
        format!("older 1 in {SITE}/older-1.egg-info"),
        format!("open ? in {SITE}/open-1.dist-info/METADATA"),
        format!("there 1.0 elsewhere in {SITE}/there-1.0.dist-info/METADATA"),
        format!("zope-interface 6.0 in {SITE}/Zope.Interface-6.0.dist-info/METADATA"),
        "own app".to_owned(),
        format!("gap {SITE}/odd-1.dist-info/METADATA: it cannot be read: it names no package"),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(&files, &expected);
}

/// Counts components as a scan does.
fn distinct(inventory: &Inventory) -> usize {
    let one = |c: &Component| {
        (
            c.ecosystem.clone(),
            c.name.clone(),
            c.version.clone(),
            c.origin,
        )
    };
    let all: HashSet<_> = inventory.components.iter().map(one).collect();
    all.len()
}

#[test]
fn lock_file_and_installed_tree_of_a_project_count_once() {
    let lock = r#"{"packages":{"":{"dependencies":{"a":"^1"}},
        "node_modules/a":{"version":"1.0.0"},
        "node_modules/dev":{"version":"1.0.0","dev":true},
        "node_modules/forked":{"version":"2.0.0","resolved":"git+ssh://git@example.com/x.git#ab"}}}"#;
    let read = check(
        &[
            ("package-lock.json", lock),
            (
                "node_modules/a/package.json",
                r#"{"name":"a","version":"1.0.0"}"#,
            ),
            (
                "node_modules/forked/package.json",
                r#"{"name":"forked","version":"2.0.0"}"#,
            ),
        ],
        &[
            "a 1.0.0 in package-lock.json#node_modules/a",
            "a 1.0.0 in node_modules/a/package.json",
            "dev 1.0.0 dev in package-lock.json#node_modules/dev",
            "forked 2.0.0 repository in package-lock.json#node_modules/forked",
            "forked 2.0.0 repository in node_modules/forked/package.json",
        ],
    );
    assert_eq!(distinct(&read), 3);
    // A tree that is not what the lock file says is both.
    let read = check(
        &[
            (
                "app/package-lock.json",
                r#"{"packages":{"node_modules/a":{"version":"1.0.0"}}}"#,
            ),
            (
                "app/node_modules/a/package.json",
                r#"{"name":"a","version":"1.0.1"}"#,
            ),
        ],
        &[
            "a 1.0.0 in app/package-lock.json#node_modules/a",
            "a 1.0.1 in app/node_modules/a/package.json",
        ],
    );
    assert_eq!(distinct(&read), 2);
}

#[test]
fn installed_packages_answer_what_requirements_of_their_project_leave_open() {
    let metadata = format!("one/{SITE}/requests-2.31.0.dist-info/METADATA");
    check(
        &[
            ("one/requirements.txt", "requests>=2\nflask\n"),
            (&metadata, "Name: requests\nVersion: 2.31.0\n"),
            ("two/requirements.txt", "requests\n"),
        ],
        &[
            "flask ? in one/requirements.txt:2",
            "requests ? in two/requirements.txt:1",
            &format!("requests 2.31.0 in {metadata}"),
        ],
    );
}

#[test]
fn copies_of_published_packages_are_not_what_is_used() {
    check(
        &[
            (
                "Cargo.lock",
                "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
            ),
            (
                "home/.cargo/registry/src/x/b-1.0.0/Cargo.lock",
                "version = 4\n[[package]]\nname = \"c\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
            ),
            (
                "home/go/pkg/mod/example.com/d@v1.0.0/go.mod",
                "module d\nrequire example.com/e v1.0.0\n",
            ),
        ],
        &["a 1.0.0 in Cargo.lock"],
    );
}

#[test]
fn what_nothing_here_reads_is_told_once() {
    check(
        &[
            ("lib/a.jar", "PK"),
            ("lib/b.jar", "PK"),
            ("gradle/wrapper/gradle-wrapper.jar", "PK"),
            ("app.deps.json", "{}"),
            ("requirements.txt", "a==1\n"),
        ],
        &[
            "a 1 in requirements.txt:1",
            "gap app.deps.json: packages of .NET programs are not read",
            "gap lib/a.jar: packages inside Java archives are not read, nor those of 1 more files",
        ],
    );
}

#[test]
fn many_files_hold_no_more_than_one_may() {
    let package = br#"{"name":"a","version":"1.0.0"}"#;
    let mut survey = Survey::new("", true);
    survey.held = MAX_COMPONENTS - 3;
    for name in ["a", "b", "c"] {
        let path = format!("node_modules/{name}/package.json");
        survey.take(&path, Sort::Installed(Form::Node), package);
    }
    let (inventory, _) = survey.finish();
    assert_eq!(
        lines(&inventory),
        [
            "a 1.0.0 in node_modules/a/package.json",
            "gap node_modules/b/package.json: it cannot be read: there are more than 1000000 components",
            "gap node_modules/c/package.json: it cannot be read: there are more than 1000000 components",
        ]
    );
}

#[test]
fn links_are_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    put(
        folder.path(),
        &[(
            "real/node_modules/a/package.json",
            r#"{"name":"a","version":"1.0.0"}"#,
        )],
    );
    let link = |from: &str, to: &str| {
        let at = folder.path().join(from);
        std::os::unix::fs::symlink(to, at).expect("a link");
    };
    link("real/node_modules/circle", "../..");
    link("real/node_modules/passwd", "/etc");
    link("again", "real");
    let read = path(folder.path()).expect("components");
    assert_eq!(
        lines(&read),
        ["a 1.0.0 in real/node_modules/a/package.json"]
    );
}

#[test]
fn files_are_read_again_when_they_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("requirements.txt");
    put(folder.path(), &[("requirements.txt", "a==1\n")]);
    let mut cache = crate::read::Cache::default();
    let first = cache.path(&file).expect("components");
    assert_eq!(cache.path(&file).expect("components"), first);
    put(folder.path(), &[("requirements.txt", "a==10\n")]);
    let second = cache.path(&file).expect("components");
    assert_eq!(second.components[0].version.as_deref(), Some("10"));
    fs::remove_file(&file).expect("removed");
    assert!(cache.path(&file).is_err());
    // A folder changes without a trace of it.
    put(folder.path(), &[("requirements.txt", "a==1\n")]);
    assert_eq!(
        cache
            .path(folder.path())
            .expect("components")
            .components
            .len(),
        1
    );
    put(folder.path(), &[("b/requirements.txt", "b==1\n")]);
    assert_eq!(
        cache
            .path(folder.path())
            .expect("components")
            .components
            .len(),
        2
    );
}

#[test]
fn programs_on_disk_are_known_by_their_first_bytes() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    put(
        root,
        &[
            ("run.sh", "#!/bin/sh\n"),
            ("requirements.txt", "a==1\n"),
            ("broken", "\u{7f}ELF and no more"),
        ],
    );
    for name in ["run.sh", "broken"] {
        let permissions = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.join(name), permissions).expect("set");
    }
    let read = path(root).expect("components");
    assert_eq!(lines(&read), ["a 1 in requirements.txt:1"]);
    let error = path(&root.join("broken")).expect_err("says nothing");
    assert!(
        error
            .to_string()
            .ends_with("the program does not say what it was built of")
    );
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(256))]

    #[test]
    fn paths_and_contents_of_anybody_never_panic(
        path in "(node_modules/|site-packages/|\\.pnpm/|@s/|var/lib/dpkg/|status\\.d/|x\\.dist-info/|etc/|\\PC{0,4}|/){0,6}(METADATA|PKG-INFO|package\\.json|direct_url\\.json|status|x\\.egg-info|os-release|\\PC{0,5})",
        content in "(Name: |Version: |\\{|\\}|\"name\":|\"version\":|\"\\PC{0,5}\"|,|\n|\\PC{0,9}){0,20}",
    ) {
        if let Some(sort) = Sort::of(&path, true) {
            let mut survey = Survey::new("x#/", true);
            survey.take(&path, sort, content.as_bytes());
            let (inventory, _) = survey.finish();
            proptest::prop_assert!(inventory.components.len() < 100);
        }
    }
}
