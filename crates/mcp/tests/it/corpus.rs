//! Replays the inputs that fuzzing has found worth keeping.

use std::path::Path;

#[path = "../../../../fuzz/checks.rs"]
mod checks;

fn check(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}

#[test]
fn envelope_corpus_holds() {
    check("envelope", checks::envelope);
}

#[test]
fn answer_corpus_holds() {
    check("answer", checks::answer);
}

#[test]
fn stream_corpus_holds() {
    check("stream", checks::stream);
}

#[test]
fn header_corpus_holds() {
    check("header", checks::header);
}
