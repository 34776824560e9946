//! The rules. Each is a function from the repository to what breaks it.

mod crates;
mod documents;
mod sizes;
mod sources;

use std::fmt;

use jiff::civil::Date;

use crate::{architecture::Architecture, generate, graph::Graph, tree::Tree};

/// Everything the rules look at.
#[derive(Debug)]
pub(crate) struct Repository<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) graph: &'a Graph,
    pub(crate) architecture: &'a Architecture,
    pub(crate) today: Date,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Name of the rule, which exemptions refer to.
    pub(crate) rule: &'static str,
    /// What breaks it: a path, a crate or a code, which exemptions refer to.
    pub(crate) subject: String,
    /// Line from 1, where there is one.
    pub(crate) line: Option<usize>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) mend: String,
}

impl Violation {
    fn new(
        rule: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            subject: subject.into(),
            line: None,
            message: message.into(),
            mend: mend.into(),
        }
    }

    fn at(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.rule, self.subject)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}\n  mend: {}", self.message, self.mend)
    }
}

type Rule = fn(&Repository<'_>) -> Vec<Violation>;

/// Every rule; the order is that of the report.
const RULES: [Rule; 17] = [
    crates::known,
    crates::names,
    crates::edges,
    crates::restricted,
    crates::manifests,
    crates::unused,
    crates::unused_versions,
    sizes::files,
    sizes::inline_tests,
    sizes::crates,
    sources::layout,
    sources::lines,
    documents::codes,
    documents::pages,
    documents::decisions,
    generated,
    exemptions,
];

/// Returns everything that breaks a rule and is not exempt.
pub(crate) fn all(repository: &Repository<'_>) -> Vec<Violation> {
    let found = RULES.iter().flat_map(|rule| rule(repository));
    let found: Vec<_> = found.collect();
    let mut left: Vec<_> = found
        .iter()
        .filter(|violation| !is_exempt(repository, violation))
        .cloned()
        .collect();
    left.extend(unused_exemptions(repository, &found));
    left
}

fn is_exempt(repository: &Repository<'_>, violation: &Violation) -> bool {
    repository.architecture.exemption.iter().any(|exemption| {
        exemption.rule == violation.rule
            && exemption.subject == violation.subject
            && exemption.until >= repository.today
    })
}

/// Exemptions carry a reason and have not ended.
fn exemptions(repository: &Repository<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for exemption in &repository.architecture.exemption {
        let name = format!("{} for {}", exemption.rule, exemption.subject);
        if exemption.until < repository.today {
            found.push(Violation::new(
                "exemption",
                &name,
                format!("the exemption ended on {}", exemption.until),
                "mend what it excused; or, if the reason still holds, argue for a new end date",
            ));
        }
        if exemption.reason.trim().len() < 10 {
            found.push(Violation::new(
                "exemption",
                name,
                "the exemption has no reason",
                "write why the rule does not hold here and what will end the exception",
            ));
        }
    }
    found
}

fn unused_exemptions(repository: &Repository<'_>, found: &[Violation]) -> Vec<Violation> {
    let unused = repository
        .architecture
        .exemption
        .iter()
        .filter(|exemption| {
            !found.iter().any(|violation| {
                violation.rule == exemption.rule && violation.subject == exemption.subject
            })
        });
    unused
        .map(|exemption| {
            Violation::new(
                "exemption",
                format!("{} for {}", exemption.rule, exemption.subject),
                "nothing breaks this rule here any more",
                "remove the exemption from architecture.toml",
            )
        })
        .collect()
}

/// Generated files are what their generator writes.
fn generated(repository: &Repository<'_>) -> Vec<Violation> {
    generate::all(repository.tree)
        .into_iter()
        .filter(|file| repository.tree.find(&file.path) != Some(&file.text))
        .map(|file| {
            Violation::new(
                "generated",
                file.path,
                "the file is out of date",
                "run `cargo xtask generate` and commit the result",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
