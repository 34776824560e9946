use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;

fn listing(files: &[(&str, &[u8])]) -> Vec<u8> {
    let lines = files
        .iter()
        .map(|(name, content)| format!("{}  {name}\n", sum_of(content)));
    lines.collect::<String>().into_bytes()
}

fn lying(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read_to_string(path).expect("text"))
        })
        .collect();
    files.sort();
    files
}

/// Takes files in as a whole and returns whether anything changed.
fn take(folder: &Path, files: &[(&str, &[u8])]) -> Result<bool, Refused> {
    let listing = Listing::read(&listing(files))?;
    let mut intake = Intake::begin(folder, listing)?;
    for name in intake.missing() {
        let file = files.iter().find(|(listed, _)| *listed == name);
        intake.put(&name, file.expect("listed").1)?;
    }
    intake.finish()
}

fn pem(key: &Ed25519KeyPair) -> String {
    let der = [KEY_PREFIX.as_slice(), key.public_key().as_ref()].concat();
    let body = STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
}

#[test]
fn lists_count_when_the_key_has_signed_them() {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let key = Key::from_pem(&pem(&pair)).expect("a key");
    let list = listing(&[("a.zip", b"a")]);
    let signature = pair.sign(&list);
    assert!(key.check(&list, signature.as_ref()).is_ok());
    let text = STANDARD.encode(signature.as_ref()) + "\n";
    assert!(key.check(&list, text.as_bytes()).is_ok());
    let other = Ed25519KeyPair::generate().expect("a key").sign(&list);
    for (list, signature) in [
        (&listing(&[("a.zip", b"b")])[..], signature.as_ref()),
        (&list, other.as_ref()),
        (&list, b""),
        (&list, b"words"),
    ] {
        assert!(matches!(
            key.check(list, signature),
            Err(Refused::Signature)
        ));
    }
    for text in [
        "",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "AAAA",
    ] {
        assert!(matches!(Key::from_pem(text), Err(Refused::Key)), "{text}");
    }
}

#[test]
fn signatures_of_openssl_are_read() {
    // openssl genpkey -algorithm ed25519; pkeyutl -sign -rawin -in SHA256SUMS
    let key = Key::from_pem(include_str!("key.pem")).expect("a key");
    let list = include_bytes!("SHA256SUMS");
    assert!(key.check(list, include_bytes!("SHA256SUMS.sig")).is_ok());
    assert!(
        key.check(b"other", include_bytes!("SHA256SUMS.sig"))
            .is_err()
    );
}

#[test]
fn lists_name_plain_files_once() {
    let sum = "0".repeat(64);
    for (line, why) in [
        (format!("{sum}  ../passwd"), "names no plain file"),
        (format!("{sum}  a/b"), "names no plain file"),
        (format!("{sum}  .hidden"), "names no plain file"),
        (format!("{sum}  a b"), "names no plain file"),
        (format!("{sum}  \u{1b}[2J"), "names no plain file"),
        (format!("{sum}  {}", "a".repeat(300)), "names no plain file"),
        (format!("{sum}  a\n{sum}  a"), "names a file again"),
        ("00  a".to_owned(), "has no digest of SHA-256"),
        ("words".to_owned(), "is no digest and name"),
        (String::new(), "names no file"),
        (format!("{sum}  {LIST}"), "names no file"),
        (
            (0..1001).map(|n| format!("{sum}  f{n}\n")).collect(),
            "is one too many",
        ),
    ] {
        let refused = Listing::read(line.as_bytes()).expect_err("refused");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let both = format!("{sum}  a.zip\n{sum} *b.zip\n\n");
    assert_eq!(
        Listing::read(both.as_bytes()).expect("a list").files.len(),
        2
    );
}

#[test]
fn folders_hold_the_files_of_one_list() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("feeds");
    assert!(take(&folder, &[("a", b"1"), ("b", b"2")]).expect("taken"));
    assert!(!take(&folder, &[("a", b"1"), ("b", b"2")]).expect("taken"));
    let before = fs::metadata(folder.join("a"))
        .and_then(|m| m.modified())
        .expect("a time");
    assert!(take(&folder, &[("a", b"1"), ("c", b"3")]).expect("taken"));
    let after = fs::metadata(folder.join("a"))
        .and_then(|m| m.modified())
        .expect("a time");
    assert_eq!(before, after, "what is the same stays the same file");
    let held = [("a", "1"), ("c", "3")].map(|(n, c)| (n.to_owned(), c.to_owned()));
    assert_eq!(lying(&folder), held);
    assert!(
        take(&folder, &[("a", b"1")]).expect("taken"),
        "a file is gone"
    );
    assert_eq!(fs::read_dir(root.path()).expect("a folder").count(), 1);
}

#[test]
fn partial_and_changed_files_leave_the_folder_as_it_was() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("feeds");
    take(&folder, &[("a", b"1")]).expect("taken");
    let newer = Listing::read(&listing(&[("a", b"2"), ("b", b"2")])).expect("a list");
    let mut intake = Intake::begin(&folder, newer.clone()).expect("begun");
    assert!(matches!(
        intake.put("a", b"other"),
        Err(Refused::Content { .. })
    ));
    assert!(matches!(
        intake.put("passwd", b"2"),
        Err(Refused::Content { .. })
    ));
    intake.put("a", b"2").expect("as listed");
    assert!(matches!(intake.finish(), Err(Refused::Missing { name }) if name == "b"));
    assert_eq!(lying(&folder), [("a".to_owned(), "1".to_owned())]);
    // A process that ended between the two renames.
    fs::rename(&folder, root.path().join("feeds.old")).expect("renamed");
    let intake = Intake::begin(&folder, newer).expect("begun");
    assert_eq!(intake.missing(), ["a", "b"]);
    assert_eq!(lying(&folder), [("a".to_owned(), "1".to_owned())]);
}
