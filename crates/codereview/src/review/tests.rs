use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

use super::*;

static RULES: LazyLock<Rules> = LazyLock::new(Rules::builtin);

/// Runs git in `folder`.
fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let done = Command::new("git")
        .args(identity)
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("git runs");
    assert!(done.status.success(), "{done:?}");
}

/// Texts of files: with values that go from one to the other, copies, functions that are
/// nearly the same, exports that others use. `{a}` is another file, `{n}` a number.
const TEXTS: [&str; 6] = [
    "from m{a} import run\nfrom mcp import tool\n\n@tool()\ndef start(command: str):\n    return run(command)\n",
    "import os\n\ndef run(command):\n    os.system('x ' + command)\n",
    "from m{a} import run as inner\n\ndef run(command):\n    inner(command)\n    return command\n",
    "from m{a} import total{a}\nLIMIT = {n}\n\ndef use{n}(rooms):\n    return total{a}(rooms, [], [], LIMIT)\n",
    "def total{a}(rooms, nights, taxes, board):\n    amount = 0\n    for room in rooms:\n        for night in nights:\n            amount = amount + room.rate(night) * room.guests\n        if board and room.board != board:\n            amount = amount + room.extra(board) * len(nights)\n    for tax in taxes:\n        if tax.kind == 'percent':\n            amount = amount * (100 + tax.value) // 100\n        else:\n            amount = amount + tax.value * len(nights)\n    return amount\n",
    "def total{n}(rooms, nights, taxes, board):\n    amount = 0\n    for room in rooms:\n        log({n})\n        for night in nights:\n            amount = amount + room.rate(night) * room.guests\n        if board and room.board != board:\n            amount = amount + room.extra(board) * len(nights)\n    for tax in taxes:\n        log(tax, {n})\n        if tax.kind == 'percent':\n            amount = amount * (100 + tax.value) // 100\n        else:\n            amount = amount + tax.value * len(nights)\n    return amount\n",
];

/// A file: its number, which text, which other it names, a number, lines before.
type Piece = (usize, usize, usize, usize, usize);

fn piece() -> impl Strategy<Value = Piece> {
    // A text more than there are: the file is gone.
    (
        0..8_usize,
        0..=TEXTS.len(),
        0..8_usize,
        0..4_usize,
        0..3_usize,
    )
}

fn put(folder: &Path, files: &mut BTreeMap<usize, String>, piece: Piece) {
    let (number, text, other, n, lines) = piece;
    let path = folder.join(format!("m{number}.py"));
    match TEXTS.get(text) {
        None => {
            if files.remove(&number).is_some() {
                fs::remove_file(path).expect("a file");
            }
        }
        Some(text) => {
            let text = text.replace("{a}", &other.to_string());
            let text = "# more\n".repeat(lines) + &text.replace("{n}", &n.to_string());
            if fs::symlink_metadata(&path).is_ok_and(|data| data.is_symlink()) {
                fs::remove_file(&path).expect("a link");
            }
            fs::write(path, &text).expect("a file");
            files.insert(number, text);
        }
    }
}

fn review(request: &Request) -> (Report, Vec<String>) {
    let notes = std::cell::RefCell::new(Vec::new());
    let report = run(request, &RULES, &|stage| {
        if let Stage::Note(text) = stage {
            notes.borrow_mut().push(text);
        }
    });
    (report.expect("a review"), notes.into_inner())
}

/// What happens between two reviews.
#[derive(Debug, Clone)]
enum Act {
    /// A file is written or removed.
    Put(Piece),
    /// A file is written again as it is.
    Touch(usize),
    /// A name in a file becomes another one of the same length, and the file is as old as
    /// before.
    Swap(usize),
    /// A file takes the place of another one.
    Move(usize, usize),
    /// A file is as old as nothing, or younger than anything.
    Age(usize, bool),
    /// A link stands where a file was.
    Link(usize),
    /// A byte of what is remembered is another one.
    Damage(usize, usize),
    /// What is remembered loses its end.
    Cut(usize, usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => piece().prop_map(Act::Put),
        1 => (0..8_usize).prop_map(Act::Touch),
        2 => (0..8_usize).prop_map(Act::Swap),
        1 => (0..8_usize, 0..8_usize).prop_map(|(from, to)| Act::Move(from, to)),
        1 => (0..8_usize, any::<bool>()).prop_map(|(file, is_old)| Act::Age(file, is_old)),
        1 => (0..8_usize).prop_map(Act::Link),
        1 => (0..5_usize, any::<usize>()).prop_map(|(part, at)| Act::Damage(part, at)),
        1 => (0..5_usize, any::<usize>()).prop_map(|(part, at)| Act::Cut(part, at)),
    ]
}

/// Does `act`; returns whether what is remembered was damaged.
fn perform(act: Act, (tree, memory): (&Path, &Path), files: &mut BTreeMap<usize, String>) -> bool {
    match act {
        Act::Put(piece) => put(tree, files, piece),
        Act::Touch(number) => {
            if let Some(text) = files.get(&number) {
                fs::write(tree.join(format!("m{number}.py")), text).expect("a file");
            }
        }
        Act::Swap(number) => {
            if let Some(text) = files.get_mut(&number) {
                let path = tree.join(format!("m{number}.py"));
                let swapped = match text.contains("system") {
                    true => text.replace("system", "getenv"),
                    false => text.replace("getenv", "system").replace("amount", "number"),
                };
                let age = fs::metadata(&path)
                    .and_then(|data| data.modified())
                    .expect("an age");
                assert_eq!(swapped.len(), text.len());
                fs::write(&path, &swapped).expect("a file");
                let file = fs::File::options().write(true).open(&path).expect("a file");
                file.set_modified(age).expect("an age");
                *text = swapped;
            }
        }
        Act::Move(from, to) => {
            if let Some(text) = files.remove(&from) {
                let path = |number: usize| tree.join(format!("m{number}.py"));
                fs::rename(path(from), path(to)).expect("a file");
                files.insert(to, text);
            }
        }
        Act::Age(number, is_old) => {
            if files.contains_key(&number) {
                let path = tree.join(format!("m{number}.py"));
                let file = fs::File::options().write(true).open(path).expect("a file");
                let seconds = if is_old { 1 } else { 1 << 33 };
                let age = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
                file.set_modified(age).expect("an age");
            }
        }
        Act::Link(number) => {
            let path = tree.join(format!("m{number}.py"));
            if files.remove(&number).is_some() {
                fs::remove_file(&path).expect("a file");
            }
            if fs::symlink_metadata(&path).is_err() {
                std::os::unix::fs::symlink("m0.py", path).expect("a link");
            }
        }
        Act::Damage(part, at) | Act::Cut(part, at) => {
            let parts = fs::read_dir(memory).expect("a folder").flatten();
            let mut parts: Vec<_> = parts.map(|one| one.path()).collect();
            parts.sort_unstable();
            let Some(path) = parts.get(part) else {
                return false;
            };
            let mut bytes = fs::read(path).expect("a part");
            let at = at % bytes.len().max(1);
            match (act, bytes.get_mut(at)) {
                (Act::Damage(..), Some(byte)) => *byte ^= 0x55,
                _ => bytes.truncate(at),
            }
            fs::write(path, bytes).expect("a part");
            return true;
        }
    }
    false
}

/// Returns how many cases are tried: as many as are asked for, else the usual number.
pub(crate) fn cases(usual: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(5)))]

    #[test]
    fn review_with_a_memory_is_the_same_to_the_last_word(
        first in proptest::collection::vec(piece(), 4..14),
        changes in proptest::collection::vec(proptest::collection::vec(act(), 0..4), 1..5),
    ) {
        let (tree, memory) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let (root, mut files) = (tree.path(), BTreeMap::new());
        git(root, &["init", "-q"]);
        for piece in first {
            put(root, &mut files, piece);
        }
        git(root, &["add", "."]);
        git(root, &["commit", "-q", "--allow-empty", "-m", "one"]);
        for change in changes {
            let mut is_damaged = false;
            for act in change {
                is_damaged |= perform(act, (root, memory.path()), &mut files);
            }
            for base in [None, Some("HEAD".to_owned())] {
                let cold = Request { base, ..Request::new(root) };
                let warm = Request { memory: Some(memory.path().to_owned()), ..cold.clone() };
                let (cold, _) = review(&cold);
                let (warm, notes) = review(&warm);
                prop_assert_eq!(&warm, &cold);
                prop_assert!(is_damaged || notes.is_empty(), "{:?}", notes);
            }
        }
    }
}

/// Waits until what is written in `folder` from now on is younger than what is there.
fn wait(folder: &Path) {
    let now = || {
        let path = folder.join("clock");
        fs::write(&path, "x").expect("a file");
        fs::metadata(path)
            .and_then(|data| data.modified())
            .expect("an age")
    };
    let before = now();
    while now() == before {}
}

/// Files that were not read may become others while a review looks into them.
#[test]
fn files_that_change_during_a_review_are_what_they_become() {
    let (tree, memory) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let (root, mut files) = (tree.path(), BTreeMap::new());
    // A finding of the second file is printed from its text.
    put(root, &mut files, (0, 0, 1, 0, 0));
    put(root, &mut files, (1, 1, 0, 0, 0));
    wait(memory.path());
    let warm = Request {
        memory: Some(memory.path().to_owned()),
        ..Request::new(root)
    };
    let (before, _) = review(&warm);
    assert_eq!(before.findings.len(), 1);
    let stages = std::cell::RefCell::new(Vec::new());
    let is_written = std::cell::Cell::new(false);
    let report = run(&warm, &RULES, &|stage| {
        if stage == Stage::Looking && !is_written.replace(true) {
            fs::write(
                root.join("m1.py"),
                "def run(command):\n    return command\n",
            )
            .expect("a file");
        }
        stages.borrow_mut().push(stage);
    });
    let report = report.expect("a review");
    assert_eq!(report, review(&Request::new(root)).0);
    assert!(report.findings.is_empty());
    // It was begun again.
    let begun = stages.into_inner();
    assert_eq!(
        begun.iter().filter(|one| **one == Stage::Reading).count(),
        2
    );
    assert_eq!(review(&warm).0, report);
}

#[test]
fn texts_of_the_property_have_findings_of_every_sort() {
    let tree = tempfile::tempdir().expect("a folder");
    let (root, mut files) = (tree.path(), BTreeMap::new());
    for piece in [
        (0, 0, 1, 0, 0),
        (1, 2, 2, 0, 0),
        (2, 1, 0, 0, 0),
        (3, 4, 3, 0, 0),
        (4, 5, 0, 4, 0),
        (5, 4, 3, 0, 1),
    ] {
        put(root, &mut files, piece);
    }
    let (report, _) = review(&Request::new(root));
    let rules: BTreeSet<&str> = report.findings.iter().map(|one| &*one.what.rule).collect();
    for rule in ["python-shell-command", "copy-exact", "copy-near"] {
        assert!(rules.contains(rule), "{rules:?}");
    }
}

#[test]
fn files_that_are_taken_do_not_depend_on_threads() {
    let tree = tempfile::tempdir().expect("a folder");
    for n in 0..40 {
        let folder = tree.path().join(format!("d{}", n % 7));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("f{n:02}.py")), "x = 1\n").expect("a file");
        std::os::unix::fs::symlink(".", folder.join(format!("l{n:02}.py"))).expect("a link");
    }
    let limits = Limits {
        files: 10,
        ..Limits::default()
    };
    let first = source::read(tree.path(), limits);
    let paths =
        |tree: &Tree| -> Vec<String> { tree.sources.iter().map(|one| one.path.clone()).collect() };
    assert_eq!(paths(&first).len(), 10);
    assert_eq!(paths(&first)[0], "d0/f00.py");
    assert_eq!(first.skipped.count[&source::Skip::TooMany], 30);
    assert_eq!(first.skipped.count[&source::Skip::Link], 40);
    for _ in 0..20 {
        let again = source::read(tree.path(), limits);
        assert_eq!(paths(&again), paths(&first));
        assert_eq!(again.skipped, first.skipped);
    }
}

#[test]
fn comment_names_what_was_left_out() {
    let tree = tempfile::tempdir().expect("a folder");
    fs::write(tree.path().join("a.py"), "x = 1\n").expect("a file");
    std::os::unix::fs::symlink(".", tree.path().join("loop.py")).expect("a link");
    let (report, _) = review(&Request::new(tree.path()));
    let text = crate::render::markdown(&report);
    assert!(
        text.contains("1 file, 1 line read; 1 file left out."),
        "{text}"
    );
    let named = "\nNot looked at: 1 file, symbolic link (`loop.py`).\n";
    assert!(text.contains(named), "{text}");
}
