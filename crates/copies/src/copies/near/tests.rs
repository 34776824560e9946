use std::fmt::Write as _;

use super::*;
use crate::{
    change::FileChange,
    copies::{Options, search},
    source::Language,
};

fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        language: Language::of(std::path::Path::new(path)).expect("a language"),
        text: text.as_bytes().to_vec().into(),
    }
}

fn found(sources: &[Source], change: Option<&Change>) -> Vec<Near> {
    let (_, functions) = search(sources, Options::default(), None);
    near(sources, &functions, change)
}

/// Says what was found: `b.py:1 f2 near a.py:1 f1, 9 of 10`.
fn told(found: &[Near]) -> Vec<String> {
    let say = |one: &Near| {
        let (place, at) = (&one.place, &one.at);
        format!(
            "{}:{} {} near {}:{} {}, {} of {}",
            place.path, place.from, one.name, at.path, at.from, one.other, one.statements, one.of
        )
    };
    found.iter().map(say).collect()
}

/// Deterministic numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % most
    }
}

/// Writes the statements of a function that no other seed gives.
fn body(seed: u64, statements: usize) -> Vec<String> {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let line = |step: usize| {
        let (a, b, c) = (numbers.below(9), numbers.below(9), numbers.below(9));
        match numbers.below(4) {
            0 => format!("v{a} = v{b}.m{seed}(v{c}, {step})"),
            1 => format!(
                "v{a}[v{b}] = v{c} + {} * call{seed}(v{a})",
                numbers.below(90)
            ),
            2 => format!("call{seed}(v{b}, v{c}, v{a}.k{step})"),
            _ => format!("v{a} = call{seed}(v{b}, [v{c}, {step}], v{a})"),
        }
    };
    (0..statements).map(line).collect()
}

fn python(name: &str, body: &[String]) -> String {
    format!("def {name}(v1, v2):\n    {}\n\n\n", body.join("\n    "))
}

fn go(name: &str, body: &[String]) -> String {
    format!(
        "func {name}(v1 int, v2 string) {{\n\t{}\n}}\n\n",
        body.join("\n\t")
    )
}

const FUNCTIONS: u64 = 200;

/// Copies each of 200 functions of 20 statements with a change, under another name into
/// another file. Returns of how many the copy was said to be near its original, how many
/// statements were said to be alike in all of them, and how much else was said.
fn mutate(
    write: fn(&str, &[String]) -> String,
    ending: &str,
    change: impl Fn(&mut Vec<String>, &mut Numbers),
) -> (usize, usize, usize) {
    let mut sources = Vec::new();
    for seed in 1001..1001 + FUNCTIONS {
        let mut lines = body(seed, 20);
        sources.push(source(
            &format!("a{seed}.{ending}"),
            &write("first", &lines),
        ));
        change(&mut lines, &mut Numbers(seed));
        let path = format!("b{seed}.{ending}");
        sources.push(source(&path, &write("second", &lines)));
    }
    let (mut hit, mut alike, mut other) = (0, 0, 0);
    for one in found(&sources, None) {
        match one.place.path[1..] == one.at.path[1..] {
            true => (hit, alike) = (hit + 1, alike + one.statements),
            false => other += 1,
        }
    }
    (hit, alike, other)
}

/// Checks that nearly all copies with `change` are found, with `alike` statements each.
fn check(name: &str, alike: usize, change: impl Fn(&mut Vec<String>, &mut Numbers)) {
    for (write, ending) in [(python as fn(&str, &[String]) -> String, "py"), (go, "go")] {
        let (hit, statements, other) = mutate(write, ending, &change);
        assert!(
            hit >= 198 && other == 0,
            "{name}: {hit} found, {other} others"
        );
        assert_eq!(statements, hit * alike, "{name}");
    }
}

#[test]
fn functions_with_statements_put_in_taken_out_and_changed_are_near() {
    check("one put in", 20, |lines, numbers| {
        lines.insert(numbers.below(20), "log(1, 2)".to_owned());
    });
    check("four put in", 20, |lines, numbers| {
        for n in 0..4 {
            let at = numbers.below(lines.len());
            lines.insert(at, format!("log({n}, {n})"));
        }
    });
    check("four taken out", 16, |lines, numbers| {
        for _ in 0..4 {
            let at = numbers.below(lines.len());
            lines.remove(at);
        }
    });
    check("one changed", 19, |lines, numbers| {
        let at = numbers.below(20);
        lines[at].push_str(" + other()");
    });
    check("five changed, one in four", 15, |lines, _| {
        (0..5).for_each(|n| lines[n * 4 + 1] = format!("w{n} = other({n})"));
    });
    check("two of each", 16, |lines, _| {
        lines[3] = "w = other(3)".to_owned();
        lines[9] = "w = other(9)".to_owned();
        lines.drain(14..16);
        lines.insert(6, "log(1, 2)".to_owned());
        lines.insert(12, "log(2, 3)".to_owned());
    });
}

#[test]
fn functions_that_are_less_alike_are_not_named() {
    let none = |name: &str, change: &dyn Fn(&mut Vec<String>, &mut Numbers)| {
        let (hit, _, other) = mutate(python, "py", change);
        assert_eq!((hit, other), (0, 0), "{name}");
    };
    // An exact copy is told as such.
    none("nothing changed", &|_, _| {});
    none("seven of twenty changed", &|lines, _| {
        (0..7).for_each(|n| lines[n * 2] = format!("w{n} = other({n})"));
    });
    none("all turned around", &|lines, _| lines.reverse());
    none("twice as long", &|lines, _| {
        lines.extend((0..20).map(|n| format!("w{n} = other({n})")));
    });
}

#[test]
fn few_statements_and_tests_are_not_compared() {
    let pair = |statements: usize, path: &str| {
        let mut lines = body(7, statements);
        let first = source("a.py", &python("first", &lines));
        lines[2] = "log(1, 2)".to_owned();
        told(&found(
            &[first, source(path, &python("second", &lines))],
            None,
        ))
    };
    assert_eq!(pair(9, "b.py"), ["b.py:1 second near a.py:1 first, 8 of 9"]);
    assert!(pair(7, "b.py").is_empty());
    assert!(pair(9, "test_b.py").is_empty());
}

#[test]
fn change_names_the_older_function() {
    let lines = body(7, 12);
    let mut other = lines.clone();
    other[5] = "log(1, 2)".to_owned();
    let mut third = lines.clone();
    third[8] = "log(2, 3)".to_owned();
    // The new one comes before the older ones by its path.
    let sources = [
        source("a.py", &python("fresh", &other)),
        source("m.py", &python("old", &lines)),
        source("z.py", &python("older", &third)),
    ];
    let added = |path: &str, lines: (u32, u32)| {
        let mut change = Change::default();
        let file = FileChange {
            added: vec![lines],
            ..FileChange::default()
        };
        change.files.insert(path.to_owned(), file);
        told(&found(&sources, Some(&change)))
    };
    assert_eq!(
        added("a.py", (1, 13)),
        ["a.py:1 fresh near m.py:1 old, 11 of 12"]
    );
    // A line or two in a function that was there make no copy of it.
    assert!(added("a.py", (6, 7)).is_empty());
    assert!(added("x.py", (1, 13)).is_empty());
    let all = told(&found(&sources, None));
    assert_eq!(
        all,
        [
            "m.py:1 old near a.py:1 fresh, 11 of 12",
            "z.py:1 older near m.py:1 old, 11 of 12"
        ]
    );
}

#[test]
fn inner_functions_are_told_with_the_one_around_them() {
    let nested = |name: &str, lines: &[String]| {
        let inner = python("inner", lines).replace('\n', "\n    ");
        format!("def {name}():\n    {inner}\n    return inner\n")
    };
    let mut lines = body(7, 12);
    let first = source("a.py", &nested("first", &lines));
    lines[5] = "log(1, 2)".to_owned();
    let second = source("b.py", &nested("second", &lines));
    let all = told(&found(&[first, second], None));
    assert_eq!(all, ["b.py:1 second near a.py:1 first, 13 of 14"]);
}

/// Returns how long functions were compared: how many pairs there are of `candidates`.
fn compared(sources: &[Source]) -> (usize, usize) {
    let (_, functions) = search(sources, Options::default(), None);
    let candidates: Vec<Candidate<'_>> = functions
        .iter()
        .flat_map(|(at, list)| {
            list.iter().map(|function| Candidate {
                file: *at as u32,
                function,
                is_asked: true,
            })
        })
        .collect();
    let shown = distinct(&candidates);
    (pairs(&candidates, &shown).len(), candidates.len())
}

#[test]
fn repetitive_functions_cost_in_proportion() {
    let mut text = String::from("def f():\n");
    text.push_str(&"    value = other.call(first, second) + 1\n".repeat(20_000));
    assert_eq!(
        compared(&[source("a.py", &text)]),
        (0, 0),
        "too long to compare"
    );
    let equal: Vec<Source> = (0..1_000)
        .map(|n| source(&format!("{n}.py"), &python("f", &body(5, 20))))
        .collect();
    assert_eq!(compared(&equal), (0, 1_000));
    assert!(found(&equal, None).is_empty());
    // Each is near all others, and named once.
    let text = |n: usize| {
        let mut lines = body(5, 20);
        lines.insert(n % 20, format!("own{n}({n})"));
        lines
    };
    let near: Vec<Source> = (0..1_000)
        .map(|n| source(&format!("{n:04}.py"), &python("f", &text(n))))
        .collect();
    let (pairs, functions) = compared(&near);
    assert!(pairs <= functions * 2 * 20, "{pairs}");
    assert_eq!(found(&near, None).len(), 999);
    let mut text = String::new();
    for n in 0..3_000 {
        let mut lines = body(5, 8);
        lines.insert(n % 8, format!("own{n}({n})"));
        write!(text, "{}", python("f", &lines)).expect("a text");
    }
    assert_eq!(found(&[source("a.py", &text)], None).len(), 2_999);
}

#[test]
fn longest_common_subsequence_is_the_one_of_the_table() {
    let mut numbers = Numbers(3);
    for length in [1, 5, 63, 64, 65, 130, 200] {
        let mut list = |most| -> Vec<Statement> {
            (0..length)
                .map(|_| Statement(numbers.below(most) as u32 * 64 + 5))
                .collect()
        };
        let (a, b) = (list(7), list(9));
        let mut row = vec![0; b.len() + 1];
        for one in &a {
            let mut diagonal = 0;
            for (at, other) in b.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = match one == other {
                    true => diagonal + 1,
                    false => above.max(row[at]),
                };
                diagonal = above;
            }
        }
        let (count, tokens) = common(&a, &b);
        assert_eq!(count, row[b.len()], "{length}");
        assert_eq!(tokens, 5 * count as u32);
    }
}
