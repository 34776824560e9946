use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn source(path: &str, language: Language, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        language,
        text: text.as_bytes().to_vec().into(),
    }
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

/// Writes a function of Python that no other seed gives.
fn function(seed: u64) -> Vec<String> {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let names: Vec<String> = (0..8).map(|n| format!("v{seed}_{n}")).collect();
    let mut lines = vec![format!("def f{seed}({}, {}):", names[0], names[1])];
    for step in 0..16 {
        let mut name = || names[numbers.below(8)].clone();
        let (a, b, c) = (name(), name(), name());
        lines.push(match numbers.below(5) {
            0 => format!("    {a} = {b}.m{seed}({c}, {step})"),
            1 => format!("    if {a} > {b}: {c} = [{a}, {b}]"),
            2 => format!("    {a}[{b}] = {c} + {} * {a}", numbers.below(90)),
            3 => format!("    for {a} in {b}: print({c}, {a}.k{seed})"),
            _ => format!("    {a} = call{seed}({b}, key={c}) or {{'x': {a}}}"),
        });
    }
    lines.push(format!("    return {}", names[2]));
    lines
}

/// Replaces words that begin as the names of `seed` do.
fn rename(text: &str, seed: u64, to: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let is_own =
            word.contains(&seed.to_string()) && !word.starts_with(|c: char| c.is_ascii_digit());
        out.push_str(&if is_own { to(&word) } else { word.clone() });
        word.clear();
        out.push(c);
    }
    out
}

const FUNCTIONS: u64 = 200;

/// Copies each of 200 functions with a change, and returns for how many the copy was
/// found, and how many other pairs.
fn mutate(change: impl Fn(u64, &[String]) -> String) -> (usize, usize) {
    let mut sources = Vec::new();
    for seed in 1001..1001 + FUNCTIONS {
        let lines = function(seed);
        let text = lines.join("\n") + "\n";
        sources.push(source(&format!("a{seed}.py"), Language::Python, &text));
        sources.push(source(
            &format!("b{seed}.py"),
            Language::Python,
            &change(seed, &lines),
        ));
    }
    let copies = find(&sources, Options::default());
    let (mut hit, mut other) = (std::collections::BTreeSet::new(), 0);
    for class in &copies.classes {
        let numbers: std::collections::BTreeSet<&str> =
            class.places.iter().map(|place| &place.path[1..]).collect();
        match numbers.len() {
            1 => {
                hit.extend(numbers);
            }
            _ => other += 1,
        }
    }
    (hit.len(), other)
}

#[test]
fn exact_copies_are_found() {
    let (hit, other) = mutate(|_, lines| lines.join("\n"));
    assert!(hit >= 199 && other <= 10, "{hit}, {other}");
}

#[test]
fn comments_blank_lines_and_documentation_hide_nothing() {
    let (hit, other) = mutate(|_, lines| {
        let mut text = format!("{}\n    \"\"\"Says\n\n    much.\"\"\"\n", lines[0]);
        for line in &lines[1..] {
            writeln!(text, "\n    # why\n{line}  # what").unwrap();
        }
        text
    });
    assert!(hit >= 199 && other <= 10, "{hit}, {other}");
}

#[test]
fn consistent_renaming_is_found() {
    let (hit, other) = mutate(|seed, lines| {
        rename(&lines.join("\n"), seed, |word| format!("other_{word}x")).replace("'x'", "'zzz'")
    });
    assert!(hit >= 196 && other <= 10, "{hit}, {other}");
}

#[test]
fn statements_in_the_middle_hide_nothing() {
    let (hit, other) = mutate(|_, lines| {
        let mut lines = lines.to_vec();
        lines.insert(9, "    log.write(1)".to_owned());
        lines.join("\n")
    });
    assert!(hit >= 199 && other <= 10, "{hit}, {other}");
}

#[test]
fn renaming_that_merges_two_names_is_none() {
    // Every other word becomes the same one.
    let (hit, other) = mutate(|seed, lines| {
        rename(&lines.join("\n"), seed, |word| {
            match word.as_bytes().last() {
                Some(b'0' | b'2' | b'4' | b'6') => "merged".to_owned(),
                _ => format!("other_{word}x"),
            }
        })
    });
    assert!(hit <= 4 && other <= 10, "{hit}, {other}");
}

#[test]
fn class_names_all_places_and_not_chains() {
    let text = function(77).join("\n");
    let sources: Vec<Source> = (0..5)
        .map(|n| {
            source(
                &format!("{n}.py"),
                Language::Python,
                &format!("x{n} = {n}\n{text}\n"),
            )
        })
        .collect();
    let copies = find(&sources, Options::default());
    let exact: Vec<&Class> = copies.classes.iter().collect();
    assert_eq!(exact.len(), 1, "{exact:?}");
    assert_eq!(exact[0].places.len(), 5);
    assert_eq!(copies.duplicated, 5 * 18);
}

/// How many comparisons a token costs in `size` of what `make` makes.
fn cost(size: usize, make: impl Fn(usize) -> Vec<Source>) -> (f64, Copies) {
    let copies = find(&make(size), Options::default());
    (copies.compared as f64 / copies.tokens as f64, copies)
}

/// Checks that four times as much costs four times as many comparisons, about.
fn check_proportion(name: &str, size: usize, make: impl Fn(usize) -> Vec<Source>) -> Copies {
    let ((few, _), (many, copies)) = (cost(size / 4, &make), cost(size, &make));
    assert!(
        many <= few * 1.25 && many <= 6.0,
        "{name}: {few} comparisons a token, {many} of four times as many"
    );
    copies
}

#[test]
fn repetitive_input_costs_in_proportion() {
    // What the naive extension of every seed does to these takes hours.
    let one = |text: String| vec![source("one.py", Language::Python, &text)];
    let copies = check_proportion("equal lines", 20_000, |lines| {
        one("value = other.call(first, second) + 1\n".repeat(lines))
    });
    assert!(!copies.classes.is_empty());
    check_proportion("one token", 100_000, |tokens| one("a\n".repeat(tokens)));
    check_proportion("two lines by the rule of Fibonacci", 8_000, |lines| {
        let (mut text, mut next) = ("a = b(c)\n".to_owned(), "d.e = f[1]\n".to_owned());
        while text.lines().count() < lines {
            let longer = format!("{next}{text}");
            text = std::mem::replace(&mut next, longer);
        }
        one(text)
    });
    check_proportion("equal lines but for a number", 20_000, |lines| {
        one((0..lines)
            .map(|n| format!("value = other.call(first, {n}) + 1\n"))
            .collect())
    });
    let text = function(5).join("\n").repeat(3);
    let copies = check_proportion("equal files", 1000, |files| {
        let path = |n: usize| format!("{n}.py");
        (0..files)
            .map(|n| source(&path(n), Language::Python, &text))
            .collect()
    });
    let is_full = |class: &Class| class.places.len() == 1000;
    assert!(copies.classes.iter().any(is_full));
    check_proportion("equal files but for a line in the middle", 1000, |files| {
        let text = |n: usize| {
            let mut lines = function(5);
            lines.extend(function(6));
            lines.insert(n % 30 + 1, format!("    own{n} = {n}"));
            lines.join("\n")
        };
        let path = |n: usize| format!("{n}.py");
        (0..files)
            .map(|n| source(&path(n), Language::Python, &text(n)))
            .collect()
    });
}

#[test]
fn tables_of_literals_are_no_renamed_copies() {
    let table = |seed: usize| {
        (0..60)
            .map(|n| format!("row(a, b, c, d, e, \"{}\", {}),\n", n * seed, n + seed))
            .collect::<String>()
    };
    let sources = [
        source("a.ts", Language::Typescript, &table(3)),
        source("b.ts", Language::Typescript, &table(17)),
    ];
    let copies = find(
        &sources,
        Options {
            lines: 5,
            ..Options::default()
        },
    );
    let renamed = copies
        .classes
        .iter()
        .filter(|c| c.likeness == Likeness::Renamed);
    assert_eq!(renamed.count(), 0);
}

/// Marks the lines of every match of `least` tokens by comparing all places with all.
fn naive(sources: &[Source], least: usize) -> Vec<Vec<bool>> {
    let tokens: Vec<Tokens> = sources
        .iter()
        .map(|source| lex::lex(source.language, &source.text))
        .collect();
    let mut marked: Vec<Vec<bool>> = tokens.iter().map(|t| vec![false; t.codes.len()]).collect();
    for (f, one) in tokens.iter().enumerate() {
        for (g, other) in tokens.iter().enumerate().skip(f) {
            for i in 0..one.codes.len().saturating_sub(least - 1) {
                let from = if f == g { i + least } else { 0 };
                for j in from..=other.codes.len().saturating_sub(least) {
                    if one.codes[i..i + least] == other.codes[j..j + least] {
                        marked[f][i..i + least].fill(true);
                        marked[g][j..j + least].fill(true);
                    }
                }
            }
        }
    }
    marked
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_long_is_missed(
        words in proptest::collection::vec(0_u8..6, 150..260),
        copies in proptest::collection::vec((0_usize..100, 50_usize..90), 1..5),
    ) {
        let mut text: Vec<String> = words.iter().enumerate().map(|(n, word)| format!("w{word}n{}", n % 60)).collect();
        for (n, (from, len)) in copies.into_iter().enumerate() {
            let part: Vec<String> = text.iter().skip(from).take(len).cloned().collect();
            text.push(format!("end{n}"));
            text.extend(part);
        }
        let joined: String = text.iter().map(|word| format!("{word}\n")).collect();
        let sources = [source("a.py", Language::Python, &joined)];
        let wanted = naive(&sources, 54);
        let options = Options { lines: 1, ..Options::default() };
        let found = find(&sources, options);
        for (at, _) in wanted[0].iter().enumerate().filter(|(_, marked)| **marked) {
            let line = at as u32 + 1;
            let is_in = |place: &Place| place.from <= line && line <= place.to;
            prop_assert!(
                found.classes.iter().flat_map(|class| &class.places).any(is_in),
                "line {line}"
            );
        }
    }
}
