//! Size and shape of what a change adds, tests that come with it, notes that stay behind.

use airside_base::Severity;

use super::{Note, Subject, by_name};
use crate::{finding::Draft, source::is_test};

pub(super) fn drafts(subject: &Subject<'_>) -> Vec<Draft> {
    let mut notes = Vec::new();
    for file in &subject.files {
        shapes(subject, file, &mut notes);
        lines(subject, file, &mut notes);
    }
    notes.extend(untested(subject));
    notes.into_iter().map(Note::draft).collect()
}

/// Functions that are too long, too deep or part too often, if the change made them so.
fn shapes(subject: &Subject<'_>, file: &super::Changed<'_>, notes: &mut Vec<Note>) {
    let house = subject.house;
    let before = by_name(&file.before);
    let path = &file.source.path;
    for item in file.after.items.iter().filter(|item| item.is_function) {
        if !subject.change.touches(path, (item.from, item.to)) || file.source.is_test_at(item.from)
        {
            continue;
        }
        let old = before.get(item.name.as_str());
        let lines = |item: &crate::outline::Item| item.to - item.from + 1;
        let mut note = |rule, now: u32, then: u32, most: u32, what: &str| {
            if now > most && now > then {
                notes.push(Note {
                    rule,
                    class: "standards",
                    severity: Severity::Low,
                    path: path.clone(),
                    lines: (item.from, item.from),
                    message: format!(
                        "`{}` {what} {now} (was {then}); {most} is the most",
                        item.name
                    ),
                    what: item.name.clone(),
                });
            }
        };
        note(
            "function-too-long",
            lines(item),
            old.map_or(0, |old| lines(old)),
            house.function_lines,
            "has lines:",
        );
        note(
            "function-too-complex",
            item.complexity,
            old.map_or(0, |old| old.complexity),
            house.complexity,
            "has ways through it:",
        );
        note(
            "nested-too-deep",
            item.nesting,
            old.map_or(0, |old| old.nesting),
            house.nesting,
            "is nested this deep:",
        );
    }
}

fn lines(subject: &Subject<'_>, file: &super::Changed<'_>, notes: &mut Vec<Note>) {
    let path = &file.source.path;
    for (number, line) in subject.added(path, &file.source.text) {
        for forbidden in &subject.house.forbidden {
            if line.contains(&*forbidden.text) && path.contains(&*forbidden.below) {
                notes.push(Note {
                    rule: "forbidden",
                    class: "standards",
                    severity: Severity::Medium,
                    path: path.clone(),
                    lines: (number, number),
                    message: format!(
                        "`{}` is not wanted here; use {}",
                        forbidden.text, forbidden.instead
                    ),
                    what: line.to_owned(),
                });
            }
        }
        let comment = ["//", "#", "/*", "* "]
            .iter()
            .find_map(|mark| line.split_once(mark));
        let debt = comment.is_some_and(|(_, comment)| {
            let mut words = comment.split(|c: char| !c.is_ascii_alphanumeric());
            let is_mark = words.any(|word| matches!(word, "TODO" | "FIXME" | "XXX" | "HACK"));
            // A mark with a reference is a plan.
            is_mark && !comment.contains("://") && !comment.contains('#')
        });
        if debt {
            notes.push(Note {
                rule: "debt-added",
                class: "standards",
                severity: Severity::Low,
                path: path.clone(),
                lines: (number, number),
                message: "work is left behind without a reference to where it is planned"
                    .to_owned(),
                what: line.to_owned(),
            });
        }
    }
}

/// A change of code comes with a change of tests.
fn untested(subject: &Subject<'_>) -> Option<Note> {
    let (mut code, mut tests) = (0, 0);
    for file in &subject.files {
        let added = subject.change.files.get(&file.source.path);
        for (from, to) in added.map(|file| file.added.clone()).unwrap_or_default() {
            for line in from..=to {
                match file.source.is_test_at(line) {
                    true => tests += 1,
                    false => code += 1,
                }
            }
        }
    }
    let removed = subject.change.gone.iter().any(|path| is_test(path));
    let owes = tests == 0 && (code >= subject.house.tests_from_lines || removed);
    owes.then(|| Note {
        rule: "tests-missing",
        class: "standards",
        severity: Severity::Medium,
        path: subject.first_path(),
        lines: (1, 1),
        message: match removed {
            true => "tests are removed and none is added".to_owned(),
            false => format!("{code} lines of code are added and no line of a test"),
        },
        what: "tests".to_owned(),
    })
}
