use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

use super::*;
use crate::source::{Limits, Text, read_again};

/// A tree, and a folder of what is known of it.
struct Place {
    tree: tempfile::TempDir,
    memory: tempfile::TempDir,
}

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = || tempfile::tempdir().expect("a folder");
        let place = Self {
            tree: folder(),
            memory: folder(),
        };
        for (name, text) in files {
            place.put(name, text);
        }
        place.wait();
        place
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.tree.path().join(name), text).expect("a file");
    }

    /// Waits until the clock of the file system has gone on.
    fn wait(&self) {
        let now = || {
            let path = self.memory.path().join("clock");
            fs::write(&path, "x").expect("a file");
            Stamp::of(&fs::metadata(path).expect("a file")).changed
        };
        let before = now();
        while now() == before {}
    }

    fn open(&self) -> Folder {
        Folder::open(self.memory.path(), self.tree.path()).expect("nobody else uses it")
    }

    /// Reads the tree, as a program does, and writes down what is known then.
    fn read(&self, program: Digest) -> (Tree, Option<String>) {
        let folder = self.open();
        let known = || Some(Known::open(&folder, program));
        let (tree, known) = read_again(self.tree.path(), Limits::default(), known);
        let known = known.expect("it was opened");
        known.save(&folder).expect("a folder");
        (tree, known.dropped().map(str::to_owned))
    }

    /// Reads the tree and returns what was looked into; all of it is what it is.
    fn looked(&self) -> Vec<String> {
        let (tree, dropped) = self.read(1);
        assert_eq!(dropped, None);
        let read = read_of(&tree);
        same(
            &tree,
            &crate::source::read(self.tree.path(), Limits::default()),
        );
        assert!(!have_moved(tree.sources.iter().map(|one| &one.text)));
        read
    }
}

/// Returns the files that were read.
fn read_of(tree: &Tree) -> Vec<String> {
    let sources = tree.sources.iter().map(|one| (&one.path, &one.text));
    let papers = tree.papers.iter().map(|one| (&one.path, &one.text));
    let read = sources.chain(papers);
    let read = read.filter(|(_, text)| text.known_words().is_none());
    read.map(|(path, _)| path.clone()).collect()
}

/// Compares what is known with what is read.
fn same(one: &Tree, other: &Tree) {
    assert_eq!(one.skipped, other.skipped);
    let sources = |tree: &Tree| -> Vec<(String, u32, Text)> {
        let all = tree.sources.iter();
        all.map(|one| (one.path.clone(), one.tests_from(), one.text.clone()))
            .collect()
    };
    let papers = |tree: &Tree| -> Vec<(String, u32, Text)> {
        let all = tree.papers.iter();
        all.map(|one| (one.path.clone(), 0, one.text.clone()))
            .collect()
    };
    let all = |tree: &Tree| [sources(tree), papers(tree)].concat();
    assert_eq!(all(one).len(), all(other).len());
    for ((path, tests, known), (other, tests_of_other, read)) in all(one).iter().zip(&all(other)) {
        assert_eq!((path, tests), (other, tests_of_other));
        assert_eq!(
            (known.digest(), known.lines(), known.len()),
            (read.digest(), read.lines(), read.len())
        );
        for digits in [40, 64] {
            assert_eq!(known.blob_id(digits), read.blob_id(digits));
        }
        assert_eq!(known[..], read[..]);
    }
}

const FILES: [(&str, &str); 5] = [
    ("a.py", "import os\nos.getenv('x')\n"),
    ("b.rs", "fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n"),
    ("c.ts", "// @generated\n"),
    ("d.js", "a\0b"),
    ("README.md", "# Read this\n"),
];

#[test]
fn files_that_stay_are_not_read_again() {
    let place = Place::with(&FILES);
    assert_eq!(place.looked(), ["a.py", "b.rs", "README.md"]);
    assert_eq!(place.looked(), [""; 0]);
    let (tree, _) = place.read(1);
    assert_eq!(tree.skipped.count[&Skip::Generated], 1);
    assert_eq!(tree.skipped.count[&Skip::Binary], 1);
    place.put("e.py", "x = 1\n");
    place.wait();
    assert_eq!(place.looked(), ["e.py"]);
    fs::remove_file(place.tree.path().join("e.py")).expect("a file");
    assert_eq!(place.looked(), [""; 0]);
}

/// What is done to a file, and how it is called.
type Act = (&'static str, fn(&Path));

#[test]
fn whatever_is_done_to_a_file_it_is_read_again() {
    let acts: [Act; 8] = [
        ("a text of the same size and age", |path| {
            let age = fs::metadata(path).and_then(|data| data.modified());
            fs::write(path, FILES[0].1.replace("getenv", "system")).expect("a file");
            let file = fs::File::options().write(true).open(path).expect("a file");
            file.set_modified(age.expect("an age")).expect("an age");
        }),
        ("the same text", |path| {
            fs::write(path, FILES[0].1).expect("a file");
        }),
        ("another age, long ago", |path| {
            let file = fs::File::options().write(true).open(path).expect("a file");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("an age");
        }),
        ("another age, to come", |path| {
            let file = fs::File::options().write(true).open(path).expect("a file");
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33);
            file.set_modified(then).expect("an age");
        }),
        ("a file in its place, of the same size and age", |path| {
            let age = fs::metadata(path).and_then(|data| data.modified());
            let other = path.with_extension("other");
            fs::write(&other, FILES[0].1.replace("getenv", "system")).expect("a file");
            let file = fs::File::options()
                .write(true)
                .open(&other)
                .expect("a file");
            file.set_modified(age.expect("an age")).expect("an age");
            fs::rename(other, path).expect("a file");
        }),
        ("the same file, moved away and back", |path| {
            let other = path.with_extension("other");
            fs::rename(path, &other).expect("a file");
            fs::rename(other, path).expect("a file");
        }),
        ("a copy in its place", |path| {
            let text = fs::read(path).expect("a file");
            fs::remove_file(path).expect("a file");
            fs::write(path, text).expect("a file");
        }),
        ("another size", |path| {
            fs::write(path, "x = 1\n").expect("a file");
        }),
    ];
    for (what, act) in acts {
        let place = Place::with(&FILES);
        place.looked();
        act(&place.tree.path().join("a.py"));
        assert_eq!(place.looked(), ["a.py"], "{what}");
    }
}

#[test]
fn link_in_place_of_a_file_is_left_out() {
    let place = Place::with(&FILES);
    place.looked();
    let (path, other) = (
        place.tree.path().join("a.py"),
        place.memory.path().join("a.py"),
    );
    fs::rename(&path, &other).expect("a file");
    std::os::unix::fs::symlink(other, path).expect("a link");
    assert_eq!(place.looked(), [""; 0]);
    let (tree, _) = place.read(1);
    assert_eq!(tree.skipped.count[&Skip::Link], 1);
}

/// Between a reading and the next tick of the clock a file can be written again with the
/// same times.
#[test]
fn file_that_was_written_as_the_review_began_is_read_again() {
    let place = Place::with(&FILES);
    let folder = place.open();
    place.put("a.py", "import os\nos.getenv('y')\n");
    let known = || Some(Known::open(&folder, 1));
    let (_, known) = read_again(place.tree.path(), Limits::default(), known);
    known
        .expect("it was opened")
        .save(&folder)
        .expect("a folder");
    drop(folder);
    place.wait();
    assert_eq!(place.looked(), ["a.py"]);
    assert_eq!(place.looked(), [""; 0]);
}

#[test]
fn clocks_that_count_in_seconds_are_given_two_of_them() {
    let stamp = |changed: Moment| Stamp {
        size: 1,
        modified: (1, 0),
        changed,
        inode: 1,
        device: 1,
    };
    assert!(stamp((10, 5)).is_before((10, 6)));
    assert!(!stamp((10, 5)).is_before((10, 5)));
    assert!(!stamp((10, 0)).is_before((12, 0)));
    assert!(stamp((10, 0)).is_before((12, 1)));
    // The clock was set back.
    assert!(!stamp((10, 5)).is_before((9, 6)));
}

#[test]
fn what_is_known_of_another_tree_or_to_another_program_is_not_used() {
    let (place, other) = (Place::with(&FILES), Place::with(&FILES));
    place.looked();
    let all = ["a.py", "b.rs", "README.md"];
    fs::copy(place.open().part(PART), other.open().part(PART)).expect("a part");
    assert_eq!(other.looked(), all);
    assert_eq!(place.looked(), [""; 0]);
    assert_eq!(read_of(&place.read(2).0), all);
}

#[test]
fn damaged_memory_is_told_and_all_is_read() {
    let place = Place::with(&FILES);
    place.looked();
    let path = place.open().part(PART);
    let whole = fs::read(&path).expect("a part");
    for at in (0..whole.len()).step_by(23) {
        let mut bytes = whole.clone();
        match at % 2 {
            0 => bytes[at] ^= 0x55,
            _ => bytes.truncate(at),
        }
        fs::write(&path, bytes).expect("a part");
        let (tree, dropped) = place.read(1);
        assert!(dropped.is_some(), "{at}");
        assert_eq!(read_of(&tree).len(), 3);
        // What was learned again is of use.
        assert_eq!(place.looked(), [""; 0]);
    }
}

#[test]
fn file_that_changes_before_it_is_looked_into_is_told() {
    let place = Place::with(&FILES);
    place.looked();
    for text in [
        "import os\nos.system('x')\n",
        "longer than it was at first, by far\n",
        "",
    ] {
        let (tree, _) = place.read(1);
        let first = &tree.sources[0].text;
        place.put("a.py", text);
        assert!(!have_moved([first].into_iter()));
        assert_eq!(first.len(), FILES[0].1.len());
        let _ = first.first();
        assert!(have_moved([first].into_iter()), "{text}");
        place.put("a.py", FILES[0].1);
        place.wait();
        place.looked();
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        take(&Arc::new(bytes));
    }
}

#[test]
fn record_that_was_changed_is_refused_or_is_one() {
    let place = Place::with(&FILES);
    let folder = place.open();
    let known = || Some(Known::open(&folder, 1));
    let (_, known) = read_again(place.tree.path(), Limits::default(), known);
    let files = known.expect("it was opened").files;
    assert_eq!(files.len(), 5);
    let mut out = Writer::default();
    out.count(files.len());
    files
        .iter()
        .for_each(|(path, record)| put(&mut out, path, record));
    assert_eq!(take(&Arc::new(out.0.clone())), Some(files));
    for at in 0..out.0.len() {
        let mut bytes = out.0.clone();
        bytes[at] ^= 0xff;
        take(&Arc::new(bytes));
        assert_eq!(take(&Arc::new(out.0[..at].to_vec())), None, "{at}");
    }
}
