use std::{collections::BTreeMap, fs, path::Path};

use proptest::prelude::*;

use super::*;
use crate::{
    copies::{find, near::near, search},
    source::Language,
};

/// Blocks that files are made of: long enough to be copies together, some of them alone.
/// `{}` is a name of the file.
const BLOCKS: [&str; 6] = [
    "a = b.c(d, e)\nif a > f:\n    g = a + b\n    h.i(a, g, f)\nj = k(a)\nl[a] = m\nn.o(p, a)\nq = r - s\nt(u, v)\nfor w in x:\n    y(w, a)\n",
    "one = two.three(four)\nfive = six(one, one)\nseven.eight(five, 'x')\nwhile nine:\n    ten = one - five\n    ten.go(one, two, five)\neleven = [one, two, ten]\ntwelve(eleven, one)\nthirteen = fourteen or one\nreturn_it(fifteen, sixteen, one)\nseventeen = eighteen(one, ten, five)\nnineteen = twenty.more(one, two, ten, five, eleven)\nagain(one, two, five, ten, nineteen)\n",
    "{} = 1\n",
    "k{} = other(9, {})\nm{} = k{} + {}\n",
    "value = call(first, second)\n",
    "import {}\n\n# nothing\n",
];

/// Returns the other block under names that are replaced one to one.
fn renamed(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .map(
            |word| match word.trim_end_matches(|c: char| !c.is_alphanumeric()) {
                "if" | "for" | "in" | "while" | "or" | "" => word.to_owned(),
                _ => format!("z{word}"),
            },
        )
        .collect()
}

/// A file: its number, the blocks in it.
type Piece = (usize, Vec<(usize, usize, bool)>);

fn file((number, blocks): &Piece) -> Source {
    let mut text = String::new();
    for (block, times, is_renamed) in blocks {
        let block = BLOCKS[*block].replace("{}", &format!("f{number}"));
        let block = match is_renamed {
            true => renamed(&block),
            false => block,
        };
        text.push_str(&block.repeat(*times));
    }
    let (language, ending) = match number % 5 {
        0 => (Language::Typescript, "ts"),
        _ => (Language::Python, "py"),
    };
    Source {
        path: format!("{number:02}.{ending}"),
        language,
        text: text.into_bytes().into(),
    }
}

fn digests(sources: &[Source]) -> Vec<Digest> {
    sources.iter().map(|one| digest_of(&one.text)).collect()
}

/// Searches with what is kept in `folder`, which is there again afterwards. Tells why
/// something was dropped, if so.
fn remembered(folder: &Path, sources: &[Source]) -> (Copies, Option<String>) {
    let folder = Folder::open(folder, Path::new(".")).expect("nobody else uses it");
    let options = Options::default();
    let mut kept = Kept::open(&folder, options, 7);
    let (found, functions) = search(sources, options, Some((&mut kept, &digests(sources))));
    near(sources, &functions, None);
    kept.save(&folder).expect("a folder");
    (found, kept.dropped().map(str::to_owned))
}

fn same(found: Copies, fresh: &Copies) -> Copies {
    Copies {
        compared: fresh.compared,
        ..found
    }
}

fn piece() -> impl Strategy<Value = Piece> {
    let block = (0..BLOCKS.len(), 1..4_usize, proptest::bool::weighted(0.3));
    (0..30_usize, proptest::collection::vec(block, 0..5))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_kept_changes_no_copy(
        first in proptest::collection::vec(piece(), 0..40),
        changes in proptest::collection::vec(proptest::collection::vec(piece(), 0..4), 1..7),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = BTreeMap::new();
        for change in std::iter::once(first).chain(changes) {
            for piece in &change {
                // A file without blocks is gone.
                match piece.1.is_empty() {
                    true => files.remove(&file(piece).path),
                    false => files.insert(file(piece).path, file(piece)),
                };
            }
            let sources: Vec<Source> = files.values().cloned().collect();
            let fresh = find(&sources, Options::default());
            for _ in 0..2 {
                let (found, dropped) = remembered(folder.path(), &sources);
                prop_assert_eq!(dropped, None);
                prop_assert_eq!(&same(found, &fresh), &fresh);
            }
        }
    }
}

/// Returns a tree of `files` files in which all blocks occur.
fn tree(files: usize) -> Vec<Source> {
    let blocks = |number: usize| {
        vec![
            (3, 2, false),
            (number % 2, 2, number.is_multiple_of(7)),
            (2, 1, false),
        ]
    };
    let mut all: Vec<Source> = (0..files)
        .map(|number| file(&(number, blocks(number))))
        .collect();
    all.sort_by(|one, other| one.path.cmp(&other.path));
    all
}

#[test]
fn only_what_a_change_touches_is_compared_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sources = tree(30);
    let (cold, _) = remembered(folder.path(), &sources);
    assert!(!cold.classes.is_empty());
    let (again, _) = remembered(folder.path(), &sources);
    assert_eq!((again.compared, &again.classes), (0, &cold.classes));
    // A file that shares nothing with any other.
    let own: String = (0..40)
        .map(|n| format!("own{n} = {n} + own(own{n})\n"))
        .collect();
    sources[3].text = own.into_bytes().into();
    let (changed, _) = remembered(folder.path(), &sources);
    let fresh = find(&sources, Options::default());
    assert_eq!(changed.classes, fresh.classes);
    assert!(
        changed.compared * 2 < fresh.compared,
        "{}, {}",
        changed.compared,
        fresh.compared
    );
}

/// Damages what is kept by `change`, and checks that it is dropped, told, and kept again.
fn check(name: &str, change: impl Fn(&mut Vec<u8>), is_told: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let sources = tree(30);
    let fresh = find(&sources, Options::default());
    remembered(folder.path(), &sources);
    let path = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.extension().is_some_and(|end| end == PART))
        .expect("the part");
    let mut bytes = fs::read(&path).expect("a file");
    change(&mut bytes);
    fs::write(&path, bytes).expect("a file");
    let (found, dropped) = remembered(folder.path(), &sources);
    assert_eq!(same(found, &fresh), fresh, "{name}");
    assert_eq!(dropped.is_some(), is_told, "{name}: {dropped:?}");
    let (found, dropped) = remembered(folder.path(), &sources);
    assert_eq!((found.compared, dropped), (0, None), "{name}");
}

/// Gives the digest that belongs to what was changed, as somebody who means harm would.
fn forge(bytes: &mut Vec<u8>, change: impl Fn(&mut Vec<u8>)) {
    let folder = tempfile::tempdir().expect("a folder");
    let forger = Folder::open(folder.path(), Path::new(".")).expect("nobody else uses it");
    let key = Digest::from_le_bytes(bytes[8..24].try_into().expect("a key"));
    let mut body = bytes[24..bytes.len() - 16].to_vec();
    change(&mut body);
    forger.save(PART, key, &[&body]).expect("a folder");
    *bytes = fs::read(forger.part(PART)).expect("a file");
}

#[test]
fn damaged_and_foreign_files_are_dropped_and_told() {
    check("as it was", |_| {}, false);
    check("empty", Vec::clear, true);
    check("cut", |bytes| bytes.truncate(100), true);
    check(
        "something else",
        |bytes| *bytes = b"#!/bin/sh\n".repeat(50),
        true,
    );
    check("head", |bytes| bytes[0] ^= 1, true);
    check("key", |bytes| bytes[9] ^= 1, true);
    check(
        "body",
        |bytes| {
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
        },
        true,
    );
    check(
        "digest",
        |bytes| *bytes.last_mut().expect("bytes") ^= 1,
        true,
    );
}

#[test]
fn forged_files_are_refused_or_found_out() {
    // Any byte of the numbers, with the right digest: whatever it is taken for, nothing
    // panics, and the second of two reviews finds what a fresh one does.
    let folder = tempfile::tempdir().expect("a folder");
    let sources = tree(12);
    remembered(folder.path(), &sources);
    let path = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.extension().is_some_and(|end| end == PART))
        .expect("the part");
    let bytes = fs::read(&path).expect("a file");
    let mut touched = sources.clone();
    touched[1].text = [&touched[1].text[..], b"x = 1\n"].concat().into();
    for at in (0..bytes.len() - 40).step_by(bytes.len() / 60) {
        let mut forged = bytes.clone();
        forge(&mut forged, |body| body[at] = body[at].wrapping_add(129));
        fs::write(&path, &forged).expect("a file");
        let (_, _) = remembered(folder.path(), &touched);
    }
    check(
        "counts",
        |bytes| forge(bytes, |body| body[8..12].fill(255)),
        true,
    );
    check("rest", |bytes| forge(bytes, |body| body.push(0)), true);
}
