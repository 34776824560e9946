//! What is known of one file after it was looked at.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    codec::{Coded, In, Out},
    evaluate::{Outcome, Summary},
    ir::Name,
    value::{FunctionId, Value},
};

/// Arrivals that are kept for one function.
const MOST_HITS: usize = 24;

/// What others may learn of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct State {
    /// Of functions that do something with their arguments, by place.
    summaries: Vec<(usize, Arc<Summary>)>,
    pub(super) globals: FxHashMap<Name, Value>,
    /// Members of `self` and `this`, by class and name.
    pub(super) fields: FxHashMap<(Name, Name), Value>,
}

impl State {
    /// Returns what is known after `outcomes`, when `before` was known. A way that was found
    /// before stays: those of calls in circles would grow with every round.
    pub(super) fn after(before: &Self, outcomes: &mut [Outcome]) -> Self {
        let mut fields: FxHashMap<(Name, Name), Value> = FxHashMap::default();
        let mut summaries = Vec::new();
        let nothing = Summary::default();
        for (at, outcome) in outcomes.iter().enumerate() {
            if outcome.summary != nothing {
                let mut summary = outcome.summary.clone();
                summary.hits.truncate(MOST_HITS);
                let known = before.summary(at as u32);
                let is_known = known.is_like(&summary);
                summaries.push((at, if is_known { known } else { Arc::new(summary) }));
            }
            for (key, value) in &outcome.fields {
                match fields.get_mut(key) {
                    Some(known) if known.is_like(value) => {}
                    Some(known) => known.join(value.clone()),
                    None => {
                        fields.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        for (key, value) in &mut fields {
            if let Some(known) = before.fields.get(key)
                && known.is_like(value)
            {
                value.clone_from(known);
            }
        }
        let mut globals = match outcomes.first_mut() {
            Some(body) => std::mem::take(&mut body.globals),
            None => FxHashMap::default(),
        };
        for (name, value) in &mut globals {
            if let Some(known) = before.globals.get(name)
                && known.is_like(value)
            {
                value.clone_from(known);
            }
        }
        Self {
            summaries,
            globals,
            fields,
        }
    }

    pub(super) fn summary(&self, function: u32) -> Arc<Summary> {
        let found = self
            .summaries
            .binary_search_by_key(&(function as usize), |(at, _)| *at);
        found.map_or_else(|_| Arc::default(), |at| Arc::clone(&self.summaries[at].1))
    }

    pub(super) fn put(&self, out: &mut Out<'_>, unit: u32) {
        let mut summaries: Vec<(Vec<u8>, &Summary)> = Vec::with_capacity(self.summaries.len());
        for (at, summary) in &self.summaries {
            let id = out.of(&(unit, *at as u32));
            summaries.push((id, summary));
        }
        summaries.sort_by(|one, other| one.0.cmp(&other.0));
        out.number(summaries.len() as u64);
        for (id, summary) in summaries {
            out.bytes.extend(id);
            summary.put(out);
        }
        let mut globals: Vec<(&Name, &Value)> = self.globals.iter().collect();
        globals.sort_by_key(|(name, _)| *name);
        out.number(globals.len() as u64);
        for (name, value) in globals {
            name.put(out);
            value.put(out);
        }
        let mut fields: Vec<(&(Name, Name), &Value)> = self.fields.iter().collect();
        fields.sort_by_key(|(name, _)| *name);
        out.number(fields.len() as u64);
        for (name, value) in fields {
            name.put(out);
            value.put(out);
        }
    }

    pub(super) fn take(from: &mut In<'_>) -> Option<Self> {
        let mut summaries: Vec<(FunctionId, Summary)> = Coded::take(from)?;
        summaries.sort_by_key(|(id, _)| *id);
        let globals: Vec<(Name, Value)> = Coded::take(from)?;
        let fields: Vec<((Name, Name), Value)> = Coded::take(from)?;
        let shared = summaries
            .into_iter()
            .map(|((_, at), summary)| (at as usize, Arc::new(summary)));
        Some(Self {
            summaries: shared.collect(),
            globals: globals.into_iter().collect(),
            fields: fields.into_iter().collect(),
        })
    }
}
