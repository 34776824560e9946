//! From arrivals to findings.

use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    entry,
    evaluate::Hit,
    ir::{Target, Unit},
    lower::lower,
    pattern,
    program::{self, Program},
    value::{FunctionId, Origin, Way},
};
use crate::{
    copies::Place,
    finding::{Certainty, Draft, Step},
    rules::{Rule, Rules},
    source::{Skip, Source},
    syntax,
};

/// What the rules find in a tree.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) drafts: Vec<Draft>,
    /// Files that were not understood.
    pub(crate) skipped: Vec<(Skip, String)>,
}

/// Applies `rules` to `sources`.
pub(crate) fn scan(sources: &[Source], rules: &Rules) -> Scan {
    let read = |source: &Source| {
        let wanted = pattern::Wanted::of(source, rules);
        let is_followed = rules.follows(source.language);
        if !is_followed && wanted.is_empty() {
            // Nothing that any rule looks for can be in it: it is not parsed.
            return Ok((Unit::default(), Vec::new()));
        }
        let document = syntax::parse(source.language, &source.text)
            .map_err(|why| (why, source.path.clone()))?;
        let unit = match is_followed {
            true => lower(&source.path, source.language, &document),
            false => Unit::default(),
        };
        let drafts = wanted.find(source, document, rules);
        Ok::<_, (Skip, String)>((unit, drafts))
    };
    let mut found = Scan::default();
    let mut units: Vec<Unit> = Vec::with_capacity(sources.len());
    let mut texts: FxHashMap<String, &Source> = FxHashMap::default();
    for (source, one) in sources
        .iter()
        .zip(sources.par_iter().map(read).collect::<Vec<_>>())
    {
        match one {
            Ok((unit, drafts)) => {
                units.push(unit);
                texts.insert(source.path.clone(), source);
                found.drafts.extend(drafts);
            }
            Err(skipped) => found.skipped.push(skipped),
        }
    }
    let (program, result) = program::run(&units, rules);
    for (unit, functions) in units.iter().zip(&result.outcomes) {
        if functions.iter().any(|one| one.is_cut) {
            found.skipped.push((Skip::TooSlow, unit.path.clone()));
        }
    }
    let mut reporter = Reporter {
        program: &program,
        texts: &texts,
        best: FxHashMap::default(),
    };
    reporter.report(&result);
    let mut drafts: Vec<Draft> = reporter
        .best
        .into_values()
        .map(|(_, draft)| draft)
        .collect();
    drafts.sort_by(|one, other| (&one.place, &one.rule).cmp(&(&other.place, &other.rule)));
    found.drafts.extend(drafts);
    found
}

/// Returns the message of a rule with its advice.
pub(super) fn message(rule: &Rule) -> String {
    match &rule.help {
        Some(help) => format!("{}; {help}", rule.message),
        None => rule.message.clone(),
    }
}

struct Reporter<'p> {
    program: &'p Program<'p>,
    texts: &'p FxHashMap<String, &'p Source>,
    /// The surest finding of each class at each call.
    best: FxHashMap<(u32, usize, String), (Certainty, Draft)>,
}

impl Reporter<'_> {
    fn report(&mut self, result: &program::Result) {
        let outcomes = || result.outcomes.iter().flatten();
        let called: FxHashSet<FunctionId> = outcomes()
            .flat_map(|one| one.calls.iter().copied())
            .collect();
        let mut entries: FxHashMap<FunctionId, Vec<super::ir::Name>> = outcomes()
            .flat_map(|one| one.entries.iter().cloned())
            .collect();
        for (unit, one) in self.program.units.iter().enumerate() {
            for (at, function) in one.functions.iter().enumerate() {
                if !function.is_inner && entry::is_tool(&function.marks) {
                    entries.entry((unit as u32, at as u32)).or_default();
                }
            }
        }
        for outcome in outcomes() {
            for hit in &outcome.hits {
                let certainty = match hit.taint.is_guessed {
                    true => Certainty::Likely,
                    false => Certainty::Proven,
                };
                self.add(hit, certainty, None);
            }
            for hit in &outcome.unknown {
                if let Some(certainty) = self.rule(hit).unknown {
                    self.add(hit, certainty, None);
                }
            }
        }
        for (unit, functions) in result.outcomes.iter().enumerate() {
            for (at, outcome) in functions.iter().enumerate() {
                let id = (unit as u32, at as u32);
                let entry = entries.get(&id);
                let is_open = !called.contains(&id) && self.program.function(id).is_public;
                for hit in &outcome.summary.hits {
                    self.of_parameter(id, hit, entry, is_open);
                }
            }
        }
    }

    fn of_parameter(
        &mut self,
        id: FunctionId,
        hit: &Hit,
        entry: Option<&Vec<super::ir::Name>>,
        is_open: bool,
    ) {
        let function = self.program.function(id);
        let Origin::Parameter(at) = hit.taint.origin else {
            return;
        };
        let Some(parameter) = function.parameters.get(usize::from(at)) else {
            return;
        };
        let name = match &parameter.target {
            Target::Name(name) => Arc::clone(name),
            _ => Arc::from("its argument"),
        };
        let first = Step {
            path: self.program.units[id.0 as usize].path.clone(),
            line: function.line,
            what: format!("`{name}` of `{}` is chosen outside", function.name),
        };
        if let Some(clean) = entry
            && entry::is_outside(parameter)
            && !clean.contains(&name)
        {
            let certainty = match hit.taint.is_guessed {
                true => Certainty::Likely,
                false => Certainty::Proven,
            };
            self.add(hit, certainty, Some(first));
        } else if is_open && let Some(certainty) = self.rule(hit).public {
            let first = Step {
                what: format!(
                    "`{name}` of `{}`, whose callers are not known",
                    function.name
                ),
                ..first
            };
            self.add(hit, certainty, Some(first));
        }
    }

    fn rule(&self, hit: &Hit) -> &Rule {
        &self.program.rules.rules[hit.rule]
    }

    fn add(&mut self, hit: &Hit, certainty: Certainty, first: Option<Step>) {
        let rule = self.rule(hit);
        let unit = &self.program.units[hit.unit as usize];
        let Some(source) = self.texts.get(&unit.path) else {
            return;
        };
        if !rule.in_tests && source.is_test_at(hit.lines.0) {
            return;
        }
        let key = (hit.unit, hit.bytes.0, rule.class.clone());
        if self
            .best
            .get(&key)
            .is_some_and(|(so_far, _)| *so_far >= certainty)
        {
            return;
        }
        let text = source
            .text
            .get(hit.bytes.0..hit.bytes.1)
            .unwrap_or_default();
        let mut trace: Vec<Step> = first.into_iter().collect();
        trace.extend(self.steps(hit.taint.way.as_ref()));
        trace.push(Step {
            path: unit.path.clone(),
            line: hit.lines.0,
            what: format!("arrives at `{}`", short(text)),
        });
        let draft = Draft {
            rule: rule.id.clone(),
            class: rule.class.clone(),
            cwe: rule.cwe.clone(),
            severity: rule.severity,
            certainty,
            message: message(rule),
            place: Place {
                path: unit.path.clone(),
                from: hit.lines.0,
                to: hit.lines.1,
            },
            trace,
            related: Vec::new(),
            text: text.to_vec(),
        };
        self.best.insert(key, (certainty, draft));
    }

    fn steps(&self, way: Option<&Arc<Way>>) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = way;
        while let Some(one) = at {
            if one.line > 0 {
                steps.push(Step {
                    path: self.program.units[one.unit as usize].path.clone(),
                    line: one.line,
                    what: one.what.to_string(),
                });
            }
            at = one.before.as_ref();
        }
        steps.reverse();
        steps
    }
}

/// Returns the beginning of a call, on one line.
fn short(text: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(text);
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
