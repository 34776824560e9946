//! What a change owes: documentation, recorded decisions, tests, standards, disclosure.
//!
//! # Invariants
//!
//! * Only what the change adds is judged; what was there stays as it was.
//! * Every check runs on every change, whoever wrote it.

pub(crate) mod attribution;
pub(crate) mod decisions;
pub(crate) mod documentation;
mod exports;
pub(crate) mod standards;
pub(crate) mod tools;

use std::collections::BTreeMap;

use airside_base::Severity;
use rayon::prelude::*;

use tools::Tool;

use crate::{
    change::Change,
    copies::Place,
    finding::{Certainty, Draft},
    house::House,
    outline::Outline,
    source::{Language, Paper, Source},
    syntax,
};

/// A change with everything that the checks look at.
pub(crate) struct Subject<'a> {
    pub(crate) change: &'a Change,
    /// Every source file, changed or not.
    pub(crate) sources: &'a [Source],
    pub(crate) papers: &'a [Paper],
    pub(crate) house: &'a House,
    /// Changed source files.
    pub(crate) files: Vec<Changed<'a>>,
}

/// One changed source file.
pub(crate) struct Changed<'a> {
    pub(crate) source: &'a Source,
    pub(crate) before: Outline,
    pub(crate) after: Outline,
    /// Tools that calls and objects registered, and register now.
    pub(crate) tools_before: BTreeMap<String, Tool>,
    pub(crate) tools: BTreeMap<String, Tool>,
}

/// Returns what a text declares, and the tools that it registers; nothing if it is not
/// understood.
fn declared(language: Language, text: &[u8]) -> (Outline, BTreeMap<String, Tool>) {
    match syntax::parse(language, text) {
        Ok(document) => (Outline::read(language, &document), tools::tools(&document)),
        Err(_) => Default::default(),
    }
}

impl<'a> Subject<'a> {
    pub(crate) fn new(
        change: &'a Change,
        sources: &'a [Source],
        papers: &'a [Paper],
        house: &'a House,
    ) -> Self {
        let changed = sources
            .par_iter()
            .filter(|source| change.files.contains_key(&source.path));
        let files = changed.map(|source| {
            let before = change.files[&source.path].before.as_deref().unwrap_or(b"");
            let ((before, tools_before), (after, tools)) = rayon::join(
                || declared(source.language, before),
                || declared(source.language, &source.text),
            );
            Changed {
                source,
                before,
                after,
                tools_before,
                tools,
            }
        });
        Self {
            change,
            sources,
            papers,
            house,
            files: files.collect(),
        }
    }

    /// Returns the lines that the change adds to `text`, with their numbers.
    pub(crate) fn added<'t>(
        &self,
        path: &str,
        text: &'t [u8],
    ) -> impl Iterator<Item = (u32, &'t str)> {
        let file = self.change.files.get(path);
        let spans = file.map(|file| file.added.clone()).unwrap_or_default();
        let mut spans = spans.into_iter().peekable();
        let lines = std::str::from_utf8(text).unwrap_or("").lines();
        lines.zip(1_u32..).filter_map(move |(line, number)| {
            while spans.next_if(|(_, to)| *to < number).is_some() {}
            let is_added = spans.peek().is_some_and(|(from, _)| *from <= number);
            is_added.then_some((number, line))
        })
    }

    /// Returns what the change owes.
    pub(crate) fn drafts(&self) -> Vec<Draft> {
        let mut drafts = documentation::drafts(self);
        drafts.extend(standards::drafts(self));
        drafts.extend(exports::drafts(self));
        drafts.extend(decisions::drafts(self));
        drafts.extend(attribution::drafts(self));
        drafts.retain(|draft| !self.house.is_exempt(&draft.place.path));
        drafts
    }

    /// Returns the path of the first changed file, where findings about all of it stand.
    fn first_path(&self) -> String {
        let first = self.change.files.keys().next();
        first.cloned().unwrap_or_else(|| ".".to_owned())
    }
}

/// What a check says.
struct Note {
    rule: &'static str,
    class: &'static str,
    severity: Severity,
    path: String,
    lines: (u32, u32),
    message: String,
    /// By which it is known again.
    what: String,
}

impl Note {
    fn draft(self) -> Draft {
        Draft {
            rule: self.rule.to_owned(),
            class: self.class.to_owned(),
            cwe: None,
            severity: self.severity,
            certainty: Certainty::Advice,
            place: Place {
                path: self.path,
                from: self.lines.0,
                to: self.lines.1,
            },
            message: self.message,
            trace: Vec::new(),
            related: Vec::new(),
            text: self.what.into_bytes(),
        }
    }
}

/// Returns items of `before` by name.
fn by_name(before: &Outline) -> BTreeMap<&str, &crate::outline::Item> {
    let items = before.items.iter();
    items.map(|item| (item.name.as_str(), item)).collect()
}

#[cfg(test)]
mod tests;
