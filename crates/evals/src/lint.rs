//! What is wrong with what tools say of themselves, as far as words show it.
//!
//! # Invariants
//!
//! * Lexical, not model behaviour: it says which cases to run first, and is no gate of
//!   how well a model chooses.
//! * Compared with an earlier list, two things are told: a tool whose requests it was
//!   found by and is no longer (more than 0.30 of them, where there are enough), and a
//!   text that is another tool's old one.

mod lexical;

use std::collections::BTreeMap;

use airside_base::{Rule, Severity};
use serde::Serialize;

use self::lexical::{Index, similarity, words};
use crate::{
    suite::{Case, Suite},
    tool::Tool,
};

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Greatest loss of requests that a tool is found by.
    pub drop: f64,
    /// Fewest requests of a tool that say something about that.
    pub requests: usize,
    /// Most tokens of all definitions, four characters each.
    pub tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drop: 0.30,
            requests: 20,
            tokens: 16_000,
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Good to know.
    Note,
    /// Likely to mislead a model.
    Warning,
    /// Has misled one where it was measured.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// How bad it is.
    pub weight: Weight,
    /// The tool; empty for all of them.
    pub tool: String,
    /// What is wrong.
    pub message: String,
    /// What tells it from others of the same rule and tool: an argument, another tool.
    #[serde(skip)]
    pub about: String,
}

/// The rules, with what to do about what they find.
pub const RULES: [Rule; 10] = [
    Rule::new(
        "no-description",
        Severity::High,
        "A tool has no description",
        "Say in one sentence what the tool does, for whom and when.",
    ),
    Rule::new(
        "short-description",
        Severity::Medium,
        "A description says next to nothing",
        "Say in one sentence what the tool does, for whom and when.",
    ),
    Rule::new(
        "no-annotations",
        Severity::Medium,
        "A tool does not say whether it writes",
        "Add annotations.readOnlyHint and, for writes, annotations.destructiveHint.",
    ),
    Rule::new(
        "no-output-schema",
        Severity::Low,
        "A result has no schema",
        "Add outputSchema, so that clients can check what comes back.",
    ),
    Rule::new(
        "argument",
        Severity::Low,
        "An argument is not described",
        "Say what the argument means, in which unit or format.",
    ),
    Rule::new(
        "silent-write",
        Severity::Medium,
        "A tool writes, and no word of its text says so",
        "Use a verb that tells what the tool changes.",
    ),
    Rule::new(
        "near-duplicate",
        Severity::Medium,
        "Two descriptions are hard to tell apart",
        "Say in each what the other does not do.",
    ),
    Rule::new(
        "tokens",
        Severity::Medium,
        "All definitions together are large",
        "Shorten descriptions and schemas, or show fewer tools.",
    ),
    Rule::new(
        "cross-match",
        Severity::Medium,
        "A description is another tool's old one",
        "Run the cases of both tools; put the descriptions where they belong.",
    ),
    Rule::new(
        "recall",
        Severity::High,
        "Requests no longer lead to a tool by its words",
        "Run the cases of the tool before the new description is used.",
    ),
];

impl Finding {
    fn about(mut self, about: &str) -> Self {
        self.about = about.to_owned();
        self
    }

    /// Returns the finding as scans have it.
    #[must_use]
    pub fn scanned(&self) -> airside_base::Finding {
        let severity = match self.weight {
            Weight::Note => Severity::Low,
            Weight::Warning => Severity::Medium,
            Weight::Error => Severity::High,
        };
        let subject = match self.tool.as_str() {
            "" => "tools",
            tool => tool,
        };
        let message = format!("{} (lexical, not model behaviour)", self.message);
        airside_base::Finding::new(self.rule, severity, subject, message, &self.about)
    }
}

/// What a user says, and the tool that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is said.
    pub said: String,
    /// The tool.
    pub tool: String,
}

/// Shortest description that says something, in characters.
const SHORT: usize = 20;
/// Descriptions that are nearer than this are hard to tell apart.
const NEAR: f64 = 0.9;
/// Verbs of which the text of a tool that writes has one.
const WRITES: [&str; 40] = [
    "add", "append", "apply", "assign", "book", "buy", "cancel", "change", "charge", "close",
    "complete", "confirm", "create", "delete", "edit", "forget", "give", "hold", "insert", "make",
    "modify", "move", "order", "pay", "post", "price", "purchase", "put", "quote", "remember",
    "remove", "rename", "reserve", "save", "send", "set", "submit", "transfer", "update", "write",
];

/// Returns the requests of a suite's cases that name the one tool to be called first.
#[must_use]
pub fn requests(suite: &Suite) -> Vec<Request> {
    let mut found = Vec::new();
    for case in suite.cases.iter() {
        let Some(tool) = meant(&case) else { continue };
        let said = case.ask.iter().chain(&case.paraphrases);
        found.extend(said.map(|said| Request {
            said: said.clone(),
            tool: tool.clone(),
        }));
    }
    found
}

fn meant(case: &Case) -> Option<String> {
    let calls = case.expect.calls.as_ref()?;
    let first = calls.first.as_ref();
    let first = first.or_else(|| calls.at_least.first().map(|spec| &spec.tool))?;
    first.only_name().map(str::to_owned)
}

/// Looks at `tools`, compared with what they were `before` if that is known.
#[must_use]
pub fn lint(
    tools: &[Tool],
    before: Option<&[Tool]>,
    requests: &[Request],
    limits: &Limits,
) -> Vec<Finding> {
    let mut found: Vec<Finding> = tools.iter().flat_map(of_tool).collect();
    found.extend(near(tools));
    let size: usize = tools
        .iter()
        .map(|tool| tool.definition().to_string().len() / 4)
        .sum();
    if size > limits.tokens {
        let message = format!(
            "all definitions have about {size} tokens, more than {}",
            limits.tokens
        );
        found.push(finding("tokens", Weight::Warning, "", message));
    }
    if let Some(before) = before {
        found.extend(crossed(tools, before));
        found.extend(dropped(tools, before, requests, limits));
    }
    found
}

fn finding(rule: &'static str, weight: Weight, tool: &str, message: String) -> Finding {
    Finding {
        rule,
        weight,
        tool: tool.to_owned(),
        message,
        about: String::new(),
    }
}

fn of_tool(tool: &Tool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |rule, weight, message: &str| {
        found.push(finding(rule, weight, tool.name(), message.to_owned()));
    };
    let description = tool.description();
    match description.chars().count() {
        0 => add("no-description", Weight::Error, "it has no description"),
        length if length < SHORT => {
            add(
                "short-description",
                Weight::Warning,
                "its description says next to nothing",
            );
        }
        _ => {}
    }
    let definition = tool.definition();
    if definition.get("annotations").is_none() {
        let message = "it does not say whether it writes: clients have to assume so";
        add("no-annotations", Weight::Warning, message);
    }
    if definition.get("outputSchema").is_none() {
        add("no-output-schema", Weight::Note, "its result has no schema");
    }
    let said = words(&format!("{} {description}", tool.name()));
    let says_so = WRITES
        .iter()
        .any(|verb| said.contains(&lexical::stem(verb)));
    if !tool.is_read_only() && !says_so && !description.is_empty() {
        add(
            "silent-write",
            Weight::Warning,
            "it writes, and no word of its text says so",
        );
    }
    found.extend(arguments(tool));
    found
}

/// Arguments that say nothing about themselves.
fn arguments(tool: &Tool) -> Vec<Finding> {
    let properties = tool.definition().pointer("/inputSchema/properties");
    let properties = properties.and_then(|all| all.as_object());
    let mut found = Vec::new();
    for (name, schema) in properties.into_iter().flatten() {
        let says = ["description", "title", "enum", "$ref"];
        if !says.iter().any(|member| schema.get(member).is_some()) {
            let message = format!("its argument `{name}` is not described");
            found.push(finding("argument", Weight::Note, tool.name(), message).about(name));
        }
    }
    found
}

/// Descriptions that are hard to tell apart.
fn near(tools: &[Tool]) -> Vec<Finding> {
    let texts: Vec<Vec<String>> = tools.iter().map(|tool| words(tool.description())).collect();
    let mut found = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        for (other, text) in tools.iter().zip(&texts).skip(index + 1) {
            let near = similarity(&texts[index], text, &texts);
            if near >= NEAR && !text.is_empty() {
                let message = format!(
                    "its description is nearly that of `{}` ({near:.2})",
                    other.name()
                );
                let one = finding("near-duplicate", Weight::Warning, tool.name(), message);
                found.push(one.about(other.name()));
            }
        }
    }
    found
}

/// Texts that are another tool's old one.
fn crossed(tools: &[Tool], before: &[Tool]) -> Vec<Finding> {
    let old: Vec<Vec<String>> = before
        .iter()
        .map(|tool| words(tool.description()))
        .collect();
    let mut found = Vec::new();
    for tool in tools {
        let Some(own) = before.iter().position(|one| one.name() == tool.name()) else {
            continue;
        };
        let text = words(tool.description());
        if text == old[own] || text.is_empty() {
            continue;
        }
        let near: Vec<f64> = old.iter().map(|one| similarity(&text, one, &old)).collect();
        let best = (0..old.len()).max_by(|a, b| near[*a].total_cmp(&near[*b]));
        if let Some(best) = best.filter(|best| near[*best] > near[own]) {
            let message = format!(
                "its description is nearer to the old one of `{}` than to its own",
                before[best].name()
            );
            let one = finding("cross-match", Weight::Warning, tool.name(), message);
            found.push(one.about(before[best].name()));
        }
    }
    found
}

/// Tools that are no longer found by the requests that they were found by.
fn dropped(tools: &[Tool], before: &[Tool], requests: &[Request], limits: &Limits) -> Vec<Finding> {
    let (was, is) = (recall(before, requests), recall(tools, requests));
    let mut found = Vec::new();
    for (tool, (hits, all)) in &was {
        if *all < limits.requests {
            continue;
        }
        let Some((now, _)) = is.get(tool) else {
            continue;
        };
        let share = |hits: usize| lexical::share(hits, *all);
        if share(*hits) - share(*now) > limits.drop {
            let message = format!(
                "{:.0} of 100 requests for it lead to it by its words, {:.0} before",
                100.0 * share(*now),
                100.0 * share(*hits)
            );
            found.push(finding("recall", Weight::Error, tool, message));
        }
    }
    found
}

/// How many requests of each tool find it first, by name. A tie counts against it.
fn recall(tools: &[Tool], requests: &[Request]) -> BTreeMap<String, (usize, usize)> {
    let index = Index::of(tools.iter().map(text));
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for request in requests {
        let Some(place) = tools.iter().position(|tool| tool.name() == request.tool) else {
            continue;
        };
        let count = counts.entry(request.tool.clone()).or_default();
        count.1 += 1;
        count.0 += usize::from(index.finds_first(&words(&request.said), place));
    }
    counts
}

/// Everything that a tool says: name, description, names and descriptions of arguments.
fn text(tool: &Tool) -> Vec<String> {
    let mut text = format!("{} {}", tool.name(), tool.description());
    let properties = tool.definition().pointer("/inputSchema/properties");
    for (name, schema) in properties
        .and_then(|all| all.as_object())
        .into_iter()
        .flatten()
    {
        let said = schema.get("description").and_then(|text| text.as_str());
        text.push_str(&format!(" {name} {}", said.unwrap_or_default()));
    }
    words(&text)
}

#[cfg(test)]
mod tests;
