//! Precision of rules on trees whose findings somebody has read.

use std::{collections::BTreeMap, path::Path};

use airside_codereview::{
    finding::{Certainty, Finding},
    review::Part,
    rules::Rules,
};

use super::{read, run};

/// What was said of findings of one rule.
#[derive(Default)]
struct Count {
    right: usize,
    wrong: usize,
    unread: usize,
}

/// Prints what the rules find, one finding a line with its way at the end, as [`judge`] reads
/// it back once a verdict stands in front.
pub(super) fn list(trees: &[&str]) -> Result<(), String> {
    let rules = Rules::builtin();
    for tree in trees {
        for one in found(tree, &rules)? {
            let steps = one.trace.iter();
            let steps = steps.map(|step| format!("{}:{} {}", step.path, step.line, step.what));
            let way: Vec<String> = steps.collect();
            println!("?\t{}\t{}", key(tree, &one), way.join(" > "));
        }
    }
    Ok(())
}

/// Prints, by certainty and rule, how many findings are right, wrong and not read according
/// to `labels`: lines of a verdict (`+` right, `-` wrong), certainty, rule, path and line,
/// with tabs between. Verdicts that no finding has any more are counted as well.
pub(super) fn judge(labels: &Path, trees: &[&str]) -> Result<(), String> {
    let text = read(labels)?;
    let mut verdicts: BTreeMap<(&str, &str, &str), bool> = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let parts: Vec<&str> = line.split('\t').collect();
        match parts.as_slice() {
            [verdict @ ("+" | "-"), _, rule, path, line, ..] => {
                verdicts.insert((*rule, *path, *line), *verdict == "+");
            }
            ["?", ..] | [""] => {}
            _ => return Err(format!("{}:{}: no verdict", labels.display(), at + 1)),
        }
    }
    let rules = Rules::builtin();
    let mut counts: BTreeMap<(Certainty, String), Count> = BTreeMap::new();
    let mut met = 0;
    for tree in trees {
        for one in found(tree, &rules)? {
            let line = one.place.from.to_string();
            let path = path_of(tree, &one);
            let verdict = verdicts.get(&(&*one.what.rule, &*path, &*line));
            met += usize::from(verdict.is_some());
            for rule in [&*one.what.rule, "all"] {
                let count = counts.entry((one.certainty, rule.to_owned())).or_default();
                match verdict {
                    Some(true) => count.right += 1,
                    Some(false) => count.wrong += 1,
                    None => count.unread += 1,
                }
            }
        }
    }
    println!("| Certainty | Rule | Right | Wrong | Not read | Precision |");
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    for ((certainty, rule), count) in &counts {
        let judged = count.right + count.wrong;
        let precision = match judged {
            0 => "-".to_owned(),
            judged => format!("{} %", 100 * count.right / judged),
        };
        let Count {
            right,
            wrong,
            unread,
        } = count;
        println!("| {certainty} | {rule} | {right} | {wrong} | {unread} | {precision} |");
    }
    println!(
        "\n{} verdicts, {} of them of findings that are gone",
        verdicts.len(),
        verdicts.len() - met
    );
    Ok(())
}

fn found(tree: &str, rules: &Rules) -> Result<Vec<Finding>, String> {
    let findings = run(tree, Part::Weaknesses, rules)?.findings;
    let weaknesses = findings.into_iter();
    let weaknesses = weaknesses.filter(|one| one.certainty > Certainty::Advice);
    Ok(weaknesses.collect())
}

fn key(tree: &str, one: &Finding) -> String {
    let (path, line) = (path_of(tree, one), one.place.from);
    format!("{}\t{}\t{path}\t{line}", one.certainty, one.what.rule)
}

/// Returns the path with the last folder of the tree before it: several trees are one list.
fn path_of(tree: &str, one: &Finding) -> String {
    let name = Path::new(tree).file_name().unwrap_or_default();
    format!("{}/{}", name.to_string_lossy(), one.place.path)
}
