//! Size and shape of what a change adds, tests that come with it, notes that stay behind.

use airside_base::Severity;

use super::{Note, Subject, by_name, decisions};
use crate::{brief::Lines, finding::Draft, source::is_test};

pub(super) fn drafts(subject: &Subject<'_>) -> Vec<Draft> {
    let mut notes = Vec::new();
    for file in &subject.files {
        shapes(subject, file, &mut notes);
        lines(subject, file, &mut notes);
    }
    dependencies(subject, &mut notes);
    notes.extend(untested(subject));
    notes.into_iter().map(Note::draft).collect()
}

/// Functions that are too long, too deep or part too often, if the change made them so.
fn shapes(subject: &Subject<'_>, file: &super::Changed<'_>, notes: &mut Vec<Note>) {
    let house = subject.house;
    let before = by_name(&file.before);
    let path = &file.source.path;
    let tests_from = file.source.tests_from();
    for item in file.after.items.iter().filter(|item| item.is_function) {
        if !subject.change.touches(path, (item.from, item.to)) || item.from >= tests_from {
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
            let is_mark = words.any(|word| subject.house.debt.iter().any(|mark| mark == word));
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

/// Returns how many lines of code and of tests a change adds.
pub(crate) fn lines_of(subject: &Subject<'_>) -> Lines {
    let mut lines = Lines::default();
    for file in &subject.files {
        let added = subject.change.files.get(&file.source.path);
        let tests_from = file.source.tests_from();
        for (from, to) in added.map(|file| file.added.clone()).unwrap_or_default() {
            let all = (to - from + 1) as usize;
            let tests = (to + 1).saturating_sub(tests_from.max(from)) as usize;
            lines.tests += tests;
            lines.code += all - tests;
        }
    }
    lines
}

/// A change of code comes with a change of tests.
fn untested(subject: &Subject<'_>) -> Option<Note> {
    let Lines { code, tests } = lines_of(subject);
    let house = subject.house;
    let removed = subject.change.gone.iter().any(|path| is_test(path));
    let is_large = code >= house.tests_from_lines;
    let percent = tests * 100 / code.max(1);
    let (rule, message) = if tests == 0 && removed {
        (
            "tests-missing",
            "tests are removed and none is added".to_owned(),
        )
    } else if tests == 0 && is_large {
        let text = format!("{code} lines of code are added and no line of a test");
        ("tests-missing", text)
    } else if is_large && percent < house.tests_percent {
        let text = format!(
            "{code} lines of code are added and {tests} of tests, {percent} to a hundred; {} are wanted",
            house.tests_percent,
        );
        ("tests-few", text)
    } else {
        return None;
    };
    Some(Note {
        rule,
        class: "standards",
        severity: Severity::Medium,
        path: subject.first_path(),
        lines: (1, 1),
        message,
        what: "tests".to_owned(),
    })
}

/// Dependencies that a change adds.
fn dependencies(subject: &Subject<'_>, notes: &mut Vec<Note>) {
    let house = subject.house;
    for paper in subject.papers {
        for (line, name) in decisions::dependencies(subject, paper) {
            let unwanted = house.unwanted.iter().find(|one| one.name == name);
            let (rule, severity, message) = match unwanted {
                Some(one) => {
                    let text = format!("`{name}` is not wanted here; use {}", one.instead);
                    ("dependency-unwanted", Severity::Medium, text)
                }
                None if house.dependencies.contains(&name) => continue,
                None => {
                    let text = format!("the change depends on `{name}` from now on");
                    ("dependency-added", Severity::Low, text)
                }
            };
            notes.push(Note {
                rule,
                class: "standards",
                severity,
                path: paper.path.clone(),
                lines: (line, line),
                message,
                what: name,
            });
        }
    }
}
