use super::*;

/// Reads the files of a system and lists what they say.
fn check(files: &[(&str, &[u8])], expected: &[&str]) {
    assert_eq!(lines(files), expected);
}

fn lines(files: &[(&str, &[u8])]) -> Vec<String> {
    let mut system = System::default();
    for (path, content) in files {
        let form = Form::of(path).unwrap_or_else(|| panic!("{path} is of a system"));
        system.take(form, path, content);
    }
    let mut inventory = Inventory::default();
    let owned = system.finish("/", &mut inventory);
    let mut owned: Vec<String> = owned
        .into_iter()
        .map(|file| format!("owns {file}"))
        .collect();
    owned.sort();
    inventory.settle();
    let components = inventory.components.iter().map(|c| {
        let version = c.version.as_deref().unwrap_or("?");
        let installed_as = c.place.rsplit('#').next().unwrap_or_default();
        format!("{} {} {version} as {installed_as}", c.ecosystem, c.name)
    });
    let gaps = inventory
        .gaps
        .iter()
        .map(|gap| format!("gap {}: {}", gap.place, gap.reason));
    components.chain(gaps).chain(owned).collect()
}

const DEBIAN: &[u8] =
    b"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";

#[test]
fn packages_of_dpkg_are_named_by_source_and_its_version() {
    let status = b"Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.11-1~deb12u2\nDescription: words\n Package: not-one\n .\n more\n\n\
        Package: libgcc-s1\nStatus: install ok installed\nSource: gcc-12 (12.2.0-14)\nVersion: 1:12.2.0-14+b1\n\n\
        Package: gone\nStatus: deinstall ok config-files\nVersion: 1.0\n\n\
        Package: held\nStatus: hold ok installed\nVersion: 2.0-1\n\n\
        Package: odd\nStatus: install ok installed\n";
    check(
        &[
            ("usr/lib/os-release", DEBIAN),
            ("var/lib/dpkg/status", status),
        ],
        &[
            "Debian:12 gcc-12 12.2.0-14 as libgcc-s1",
            "Debian:12 held 2.0-1 as held",
            "Debian:12 openssl 3.0.11-1~deb12u2 as libssl3",
            "gap /var/lib/dpkg/status: `odd` has no version",
        ],
    );
}

#[test]
fn images_without_a_package_manager_have_a_file_for_each_package() {
    check(
        &[
            ("etc/os-release", DEBIAN),
            (
                "var/lib/dpkg/status.d/base",
                b"Package: base-files\nVersion: 12.4\n",
            ),
            (
                "var/lib/dpkg/status.d/libc6",
                b"Package: libc6\nSource: glibc\nVersion: 2.36-9\n",
            ),
            (
                "var/lib/dpkg/status.d/libc6.md5sums",
                b"00ff  usr/sbin/ldconfig\n00ff  lib/python3/dist-packages/a.egg-info\n",
            ),
        ],
        &[
            "Debian:12 base-files 12.4 as base-files",
            "Debian:12 glibc 2.36-9 as libc6",
            "owns lib/python3/dist-packages/a.egg-info",
            "owns usr/lib/python3/dist-packages/a.egg-info",
        ],
    );
}

#[test]
fn packages_of_apk_are_named_by_origin() {
    let installed = b"C:Q1abc=\nP:libcrypto3\nV:3.1.4-r2\nA:x86_64\no:openssl\np:so:libcrypto.so.3=3\nF:usr\nF:usr/lib/python3.12/site-packages/a-1.dist-info\nR:METADATA\na:0:0:755\nF:usr/bin\nR:tool\n\n\
        P:musl\nV:1.2.4-r2\n\nP:odd\n\n";
    check(
        &[
            (
                "etc/os-release",
                b"NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\n",
            ),
            ("lib/apk/db/installed", installed),
        ],
        &[
            "Alpine:v3.19 musl 1.2.4-r2 as musl",
            "Alpine:v3.19 openssl 3.1.4-r2 as libcrypto3",
            "gap /lib/apk/db/installed: `odd` has no version",
            "owns lib/python3.12/site-packages/a-1.dist-info/METADATA",
            "owns usr/lib/python3.12/site-packages/a-1.dist-info/METADATA",
        ],
    );
}

#[test]
fn packages_of_an_unknown_system_are_kept_and_told() {
    let status = b"Package: a\nVersion: 1\n";
    check(
        &[("var/lib/dpkg/status", status)],
        &[
            "an unknown distribution a 1 as a",
            "gap /var/lib/dpkg/status: no os-release says which distribution this is",
        ],
    );
}

#[test]
fn databases_in_other_forms_are_told() {
    check(
        &[
            ("var/lib/rpm/Packages", b"x"),
            ("usr/lib/sysimage/rpm/Packages.db", b"x"),
            ("var/lib/pacman/local/zlib-1/desc", b"x"),
            ("var/lib/pacman/local/curl-1/desc", b"x"),
        ],
        &[
            "gap /usr/lib/sysimage/rpm/Packages.db: it cannot be read: the database of rpm is in the ndb form",
            "gap /var/lib/pacman/local/zlib-1/desc: it cannot be read: packages of pacman are not read",
            "gap /var/lib/rpm/Packages: it cannot be read: the database of rpm is in the Berkeley DB form",
        ],
    );
}

/// Makes the header of a package.
pub(crate) fn header(
    name: &str,
    version: &str,
    epoch: u32,
    source: &str,
    files: &[&str],
) -> Vec<u8> {
    let mut index = Vec::new();
    let mut data = Vec::new();
    let mut add = |tag: u32, kind: u32, count: usize, content: &[u8]| {
        for number in [tag, kind, data.len() as u32, count as u32] {
            index.extend_from_slice(&number.to_be_bytes());
        }
        data.extend_from_slice(content);
    };
    let text = |text: &str| [text.as_bytes(), b"\0"].concat();
    let (version, release) = version.split_once('-').expect("version-release");
    add(1000, 6, 1, &text(name));
    add(1001, 6, 1, &text(version));
    add(1002, 6, 1, &text(release));
    if epoch > 0 {
        add(1003, 4, 1, &epoch.to_be_bytes());
    }
    add(1044, 6, 1, &text(source));
    let indexes: Vec<u8> = (0..files.len()).flat_map(|_| 0_u32.to_be_bytes()).collect();
    add(1116, 4, files.len(), &indexes);
    let names: Vec<u8> = files.iter().flat_map(|file| text(file)).collect();
    add(1117, 8, files.len(), &names);
    add(
        1118,
        8,
        1,
        &text("/usr/lib64/python3.9/site-packages/a-1.dist-info/"),
    );
    let mut blob = ((index.len() / 16) as u32).to_be_bytes().to_vec();
    blob.extend_from_slice(&(data.len() as u32).to_be_bytes());
    blob.extend(index);
    blob.extend(data);
    blob
}

/// Makes a database as rpm does, with the real SQLite.
pub(crate) fn rpmdb(headers: &[Vec<u8>], page_bytes: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpmdb.sqlite");
    let database = rusqlite::Connection::open(&path).expect("a database");
    database
        .execute_batch(&format!(
            "PRAGMA page_size={page_bytes}; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;
             CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
             CREATE TABLE 'Name' (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL);
             CREATE INDEX 'Name_idx' ON 'Name'(key ASC);"
        ))
        .expect("tables");
    database.execute_batch("BEGIN").expect("begun");
    for header in headers {
        database
            .execute("INSERT INTO Packages (blob) VALUES (?1)", [header])
            .expect("a row");
    }
    database.execute_batch("COMMIT").expect("written");
    database.close().expect("written");
    std::fs::read(path).expect("the file")
}

#[test]
fn packages_of_rpm_are_read_from_real_databases() {
    let long = vec!["a-long-name-of-a-file-that-nobody-reads"; 3000];
    for page_bytes in [512, 4096, 65_536] {
        let mut headers = vec![
            header(
                "openssl-libs",
                "3.0.7-27.el9",
                1,
                "openssl-3.0.7-27.el9.src.rpm",
                &["METADATA", "RECORD"],
            ),
            header("gpg-pubkey", "aa-bb", 0, "", &[]),
            // Over many pages.
            header("large", "1-1", 0, "large-1-1.src.rpm", &long),
        ];
        headers.extend((0..200).map(|n| header(&format!("p{n:03}"), "1.0-1", 0, "", &[])));
        let database = rpmdb(&headers, page_bytes);
        let alma = b"ID=\"almalinux\"\nVERSION_ID=\"9.4\"\n".as_slice();
        let rocky = b"ID=\"rocky\"\nVERSION_ID=\"9.4\"\n".as_slice();
        for (release, name) in [
            (alma, "AlmaLinux:9 openssl-libs"),
            (rocky, "Rocky Linux:9 openssl"),
        ] {
            let found = lines(&[
                ("etc/os-release", release),
                ("var/lib/rpm/rpmdb.sqlite", &database),
            ]);
            let packages = found.iter().filter(|line| line.contains(" as "));
            assert_eq!(packages.count(), 202, "{page_bytes}");
            let openssl = format!("{name} 1:3.0.7-27.el9 as openssl-libs");
            assert!(found.contains(&openssl), "{openssl} is missing");
            let owns = "owns usr/lib64/python3.9/site-packages/a-1.dist-info/METADATA";
            assert!(found.contains(&owns.to_owned()));
            let owned = found.iter().filter(|line| line.starts_with("owns"));
            assert_eq!(owned.count(), 2);
            assert!(!found.iter().any(|line| line.starts_with("gap")));
        }
    }
}

#[test]
fn changes_that_are_not_in_the_database_yet_are_told() {
    let database = rpmdb(&[header("a", "1-1", 0, "", &[])], 4096);
    let found = lines(&[
        ("etc/os-release", b"ID=almalinux\nVERSION_ID=9\n"),
        ("var/lib/rpm/rpmdb.sqlite", &database),
        ("var/lib/rpm/rpmdb.sqlite-wal", b"frames"),
        // Left there by an upgrade.
        ("var/lib/rpm/Packages", b"x"),
    ]);
    assert_eq!(
        found,
        [
            "AlmaLinux:9 a 1-1 as a",
            "gap /var/lib/rpm/rpmdb.sqlite-wal: it cannot be read: rpm had not written these changes into its database",
        ]
    );
}

#[test]
fn many_lists_hold_no_more_than_one_may() {
    let mut system = System {
        held: MAX_COMPONENTS - 2,
        ..System::default()
    };
    for name in ["a", "b"] {
        let path = format!("var/lib/dpkg/status.d/{name}");
        let status = format!("Package: {name}\nVersion: 1\n");
        system.take(Form::Dpkg, &path, status.as_bytes());
    }
    let mut inventory = Inventory::default();
    system.finish("/", &mut inventory);
    assert_eq!(inventory.components.len(), 1);
    let gaps: Vec<&str> = inventory
        .gaps
        .iter()
        .map(|gap| gap.reason.as_str())
        .collect();
    let most = "it cannot be read: there are more packages and files than are read";
    assert!(gaps.contains(&most), "{gaps:?}");
}

#[test]
fn circles_in_a_database_end() {
    let headers: Vec<_> = (0..200)
        .map(|n| header(&format!("p{n}"), "1-1", 0, "", &[]))
        .collect();
    let good = rpmdb(&headers, 512);
    // Every page that is reached points back to the first.
    for page in (1..good.len() / 512).step_by(5) {
        let mut bad = good.clone();
        bad[page * 512 + 8..page * 512 + 12].copy_from_slice(&1_u32.to_be_bytes());
        bad[page * 512..page * 512 + 4].copy_from_slice(&[5, 0, 0, 1]);
        let _ = rpm::database(&bad);
    }
    for cut in (0..good.len()).step_by(997) {
        let _ = rpm::database(&good[..cut]);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    #[test]
    fn damaged_databases_never_panic(
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0..=255_u8), 1..40),
    ) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| {
            let headers: Vec<_> = (0..40).map(|n| header(&format!("p{n}"), "1-1", 1, "s-1-1.src.rpm", &["x"; 30])).collect();
            rpmdb(&headers, 512)
        });
        let mut bad = good.clone();
        for (at, byte) in &changes {
            let at = at.index(bad.len());
            bad[at] = *byte;
        }
        let _ = rpm::database(&bad);
    }

    #[test]
    fn texts_of_anybody_never_panic(text in "(P:|V:|o:|F:|R:|Package: |Version: |Source: |Status: |\\PC{0,9}|\n){0,30}") {
        let _ = apk::installed(&text);
        let _ = dpkg::status(&text);
        let _ = dpkg::files(&text);
        let _ = release(&text);
    }
}
