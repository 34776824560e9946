//! Rules about source files that clippy does not have.

use super::{Repository, Violation};
use crate::source::{self, Source};

/// Files are where readers expect them.
pub(super) fn layout(repository: &Repository<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, _) in repository.tree.below("") {
        let Some((_, member)) = repository.graph.owner(path) else {
            continue;
        };
        let inside = path.strip_prefix(&member.folder).unwrap_or(path);
        if inside.ends_with("/mod.rs") {
            found.push(Violation::new(
                "layout",
                path,
                "a module is `name.rs` beside `name/`, not `mod.rs`",
                "rename the file to the name of its folder, one level up",
            ));
        }
        if inside == "/build.rs" {
            found.push(Violation::new(
                "layout",
                path,
                "build scripts run with the rights of whoever builds",
                "generate the file with `cargo xtask generate` and commit it",
            ));
        }
        let binary = inside.strip_prefix("/tests/");
        let apart = binary.is_some_and(|rest| rest.ends_with(".rs") && !rest.contains('/'))
            || binary.is_some_and(|rest| rest.ends_with("/main.rs") && rest != "it/main.rs");
        if apart {
            found.push(Violation::new(
                "layout",
                path,
                "every integration test binary is linked separately",
                "make it a module of tests/it/main.rs",
            ));
        }
    }
    found
}

/// Lines that no file may have.
pub(super) fn lines(repository: &Repository<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in repository
        .tree
        .below("")
        .filter(|(path, _)| path.ends_with(".rs"))
    {
        // Clippy's `wildcard_imports` leaves re-exports alone.
        for (number, line) in Source::of(path, text).code() {
            let line = line.trim();
            if line.starts_with("pub") && line.contains(" use ") && line.ends_with("::*;") {
                let message = "a glob re-export hides what the interface is";
                let mend = "name what is exported";
                found.push(Violation::new("glob-export", path, message, mend).at(number));
            }
        }
        // Tests included: this is about them.
        for (line, number) in text.lines().zip(1..) {
            if line.trim_start().starts_with("#[ignore") {
                let message = "a test that does not run proves nothing";
                let mend = "make it pass, or remove it";
                found.push(Violation::new("ignored-test", path, message, mend).at(number));
            }
        }
    }
    found.extend(sleeping_tests(repository));
    found
}

/// Tests wait for events, not for time.
fn sleeping_tests(repository: &Repository<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in repository
        .tree
        .below("")
        .filter(|(path, _)| path.ends_with(".rs"))
    {
        let shipped = Source::of(path, text);
        let shipped: std::collections::HashSet<_> =
            shipped.lines.iter().map(|(number, _)| *number).collect();
        let tests = text
            .lines()
            .zip(1..)
            .filter(|(_, number)| !shipped.contains(number));
        for (line, number) in tests {
            let called = ["tokio::time::sleep(", "thread::sleep("]
                .iter()
                .any(|call| line.contains(call));
            if called && !line.trim_start().starts_with("//") && !source::is_quoted(line, "sleep(")
            {
                found.push(
                    Violation::new(
                        "sleeping-test",
                        path,
                        "a test that sleeps is slow when it passes and flaky when the machine is busy",
                        "wait for the event, or drive the virtual clock",
                    )
                    .at(number),
                );
            }
        }
    }
    found
}
