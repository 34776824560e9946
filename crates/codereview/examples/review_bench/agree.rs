//! How far three programs agree about which lines are copies.
//!
//! Files that we leave out are counted apart. Other lines that both others report and we do
//! not are explained by the first of these that holds: the line holds no code (a comment, documentation, nothing);
//! the others' stretch of code is shorter than ours have to be (in tokens of our lexer, which
//! takes a text for one token and others for many, or in lines); the line is at the edge of a
//! copy of ours. What is left is said to be unexplained, with places.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use airside_codereview::{
    copies::{self, Likeness, Options},
    source::{self, Limits, Source},
};
use serde::Deserialize;

use super::{ours_of, read};

/// Lines of files.
type Lines = BTreeMap<String, BTreeSet<u32>>;

/// A stretch of a file that a program calls a copy.
struct Stretch {
    path: String,
    from: u32,
    to: u32,
}

#[derive(Deserialize)]
struct Jscpd {
    duplicates: Vec<Duplicate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Duplicate {
    first_file: Side,
    second_file: Side,
}

#[derive(Deserialize)]
struct Side {
    name: String,
    start: u32,
    end: u32,
}

pub(crate) fn print(tree: &str, jscpd: &Path, pmd: &[&str]) -> Result<(), String> {
    let name = tree.trim_end_matches('/').rsplit('/').next().unwrap_or("");
    let theirs: Jscpd = serde_json::from_str(&read(jscpd)?).map_err(|error| error.to_string())?;
    let of_jscpd: Vec<Stretch> = theirs
        .duplicates
        .into_iter()
        .flat_map(|one| [one.first_file, one.second_file])
        .map(|side| Stretch {
            path: ours_of(&side.name, name).to_owned(),
            from: side.start,
            to: side.end,
        })
        .collect();
    let mut of_pmd = Vec::new();
    for path in pmd {
        of_pmd.extend(read_pmd(&read(Path::new(path))?, name));
    }
    let sources = source::read(Path::new(tree), Limits::default()).sources;
    let ours = ours(&sources);
    let (jscpd, pmd) = (lines(&of_jscpd), lines(&of_pmd));
    let languages: BTreeMap<&str, &Source> = sources
        .iter()
        .map(|source| (source.path.as_str(), source))
        .collect();
    let (mut both, mut found, mut alone, mut left_out) = (0, 0, 0, 0);
    let mut why: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for (path, of_pmd_here) in &pmd {
        let Some(of_jscpd_here) = jscpd.get(path) else {
            continue;
        };
        let Some(source) = languages.get(path.as_str()) else {
            left_out += of_pmd_here.intersection(of_jscpd_here).count();
            continue;
        };
        let code = Code(copies::token_lines(source));
        let mine = ours.get(path);
        for line in of_pmd_here.intersection(of_jscpd_here) {
            both += 1;
            if mine.is_some_and(|mine| mine.contains(line)) {
                found += 1;
                continue;
            }
            let reason = explain(&code, path, *line, &of_pmd, mine);
            let entry = why.entry(reason).or_insert((0, format!("{path}:{line}")));
            entry.0 += 1;
        }
    }
    for (path, mine) in &ours {
        let known = |line: &u32| {
            [&jscpd, &pmd]
                .iter()
                .any(|theirs| theirs.get(path).is_some_and(|lines| lines.contains(line)))
        };
        alone += mine.iter().filter(|line| !known(line)).count();
    }
    let total = |lines: &Lines| lines.values().map(BTreeSet::len).sum::<usize>();
    println!(
        "* copies: {} lines of ours, {} of jscpd, {} of PMD CPD; of {both} lines that both report {found} are ours too: {:.2} % (goal 98 %); {left_out} more are in files that we leave out (generated, minified)",
        total(&ours),
        total(&jscpd),
        total(&pmd),
        100.0 * f64::from(found) / f64::from(both.max(1)),
    );
    for (reason, (count, example)) in why {
        println!("* not ours, {reason}: {count} lines (such as {example})");
    }
    println!("* ours alone: {alone} lines");
    Ok(())
}

/// Returns the stretches in a report of CPD.
fn read_pmd(text: &str, tree: &str) -> Vec<Stretch> {
    let member = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0.replace("&amp;", "&"))
    };
    let tags = text.split('<').filter(|tag| tag.starts_with("file "));
    let stretches = tags.filter_map(|tag| {
        let tag = tag.replace('\n', " ");
        Some(Stretch {
            path: ours_of(&member(&tag, "path")?, tree).to_owned(),
            from: member(&tag, "line")?.parse().ok()?,
            to: member(&tag, "endline")?.parse().ok()?,
        })
    });
    stretches.collect()
}

fn lines(stretches: &[Stretch]) -> Lines {
    let mut lines = Lines::new();
    for one in stretches {
        let of_file = lines.entry(one.path.clone()).or_default();
        of_file.extend(one.from..=one.to);
    }
    lines
}

fn ours(sources: &[Source]) -> Lines {
    let found = copies::find(sources, Options::default());
    let exact = found
        .classes
        .iter()
        .filter(|class| class.likeness == Likeness::Exact);
    let stretches: Vec<Stretch> = exact
        .flat_map(|class| &class.places)
        .map(|place| Stretch {
            path: place.path.clone(),
            from: place.from,
            to: place.to,
        })
        .collect();
    lines(&stretches)
}

/// The lines of a file that hold tokens.
struct Code(Vec<u32>);

impl Code {
    fn tokens(&self, from: u32, to: u32) -> usize {
        let lines = &self.0;
        lines.partition_point(|line| *line <= to) - lines.partition_point(|line| *line < from)
    }
}

fn explain(
    code: &Code,
    path: &str,
    line: u32,
    pmd: &[Stretch],
    mine: Option<&BTreeSet<u32>>,
) -> &'static str {
    /// Lines at the ends of a copy, which programs see differently.
    const EDGE: u32 = 2;
    if code.tokens(line, line) == 0 {
        return "no code on the line";
    }
    let around = pmd
        .iter()
        .filter(|one| one.path == path && one.from <= line && line <= one.to);
    let (mut most_tokens, mut most_lines) = (0, 0);
    for one in around {
        most_tokens = most_tokens.max(code.tokens(one.from, one.to));
        most_lines = most_lines.max(one.to - one.from + 1);
    }
    let options = Options::default();
    if most_tokens < options.tokens {
        return "fewer than 50 tokens of ours";
    }
    if most_lines < options.lines {
        return "fewer than 5 lines";
    }
    let near = line.saturating_sub(EDGE)..=line + EDGE;
    if mine.is_some_and(|mine| mine.range(near).next().is_some()) {
        return "at the edge of a copy of ours";
    }
    "unexplained"
}
