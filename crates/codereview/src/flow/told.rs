//! What a look at a file tells the report.

use super::{
    codec::{Coded, In, Out},
    entry,
    evaluate::{Hit, Outcome},
    ir::{Function, Name, Target},
    value::FunctionId,
};

/// What looking at a file has shown.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Whether a function was too long to be followed to its end.
    pub(super) is_cut: bool,
    /// Functions that are called, in order.
    pub(super) calls: Vec<FunctionId>,
    /// Functions that are registered as tools or routes, with what their parameters are
    /// clean of.
    pub(super) entries: Vec<(FunctionId, Vec<Name>)>,
    /// Values from outside that arrive, and values of which nothing is known.
    pub(super) hits: Vec<Hit>,
    pub(super) unknown: Vec<Hit>,
    /// Functions whose arguments arrive somewhere.
    pub(super) faces: Vec<Face>,
}

/// A parameter as a report asks for it.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) name: Option<Name>,
    /// Whether clients choose it where the function is a tool.
    pub(super) is_outside: bool,
    /// Whether its type says that it is a path, which clients do not send.
    pub(super) is_path: bool,
}

/// A function as a report shows it.
#[derive(Debug, Default)]
pub(super) struct Face {
    pub(super) at: u32,
    pub(super) name: Name,
    pub(super) line: u32,
    pub(super) is_public: bool,
    /// Whether its marks say that clients call it.
    pub(super) is_tool: bool,
    pub(super) parameters: Vec<Taken>,
    pub(super) hits: Vec<Hit>,
}

impl Told {
    pub(super) fn of(functions: &[Function], outcomes: Vec<Outcome>) -> Self {
        let mut told = Self::default();
        for (at, (function, outcome)) in functions.iter().zip(outcomes).enumerate() {
            told.is_cut |= outcome.is_cut;
            told.calls.extend(outcome.calls);
            told.entries.extend(outcome.entries);
            told.hits.extend(outcome.hits);
            told.unknown.extend(outcome.unknown);
            if outcome.summary.hits.is_empty() {
                continue;
            }
            let parameters = function.parameters.iter();
            let parameters = parameters.map(|one| {
                let name = match &one.target {
                    Target::Name(name) => Some(Name::clone(name)),
                    _ => None,
                };
                Taken {
                    name,
                    is_outside: entry::is_outside(one),
                    is_path: entry::is_path_kind(one.kind.as_deref()),
                }
            });
            told.faces.push(Face {
                at: at as u32,
                name: Name::clone(&function.name),
                line: function.line,
                is_public: function.is_public,
                is_tool: !function.is_inner && entry::handles_tools(function),
                parameters: parameters.collect(),
                hits: outcome.summary.hits,
            });
        }
        told.calls.sort_unstable();
        told.calls.dedup();
        told
    }

    pub(super) fn put(&self, out: &mut Out<'_>) {
        self.is_cut.put(out);
        self.calls.put(out);
        self.entries.put(out);
        self.hits.put(out);
        self.unknown.put(out);
        out.number(self.faces.len() as u64);
        for face in &self.faces {
            face.at.put(out);
            face.name.put(out);
            face.line.put(out);
            face.is_public.put(out);
            face.is_tool.put(out);
            out.number(face.parameters.len() as u64);
            for one in &face.parameters {
                one.name.put(out);
                one.is_outside.put(out);
                one.is_path.put(out);
            }
            face.hits.put(out);
        }
    }

    pub(super) fn take(from: &mut In<'_>) -> Option<Self> {
        let mut told = Self {
            is_cut: bool::take(from)?,
            calls: Coded::take(from)?,
            entries: Coded::take(from)?,
            hits: Coded::take(from)?,
            unknown: Coded::take(from)?,
            faces: Vec::new(),
        };
        for _ in 0..from.number()? {
            let mut face = Face {
                at: u32::take(from)?,
                name: Name::take(from)?,
                line: u32::take(from)?,
                is_public: bool::take(from)?,
                is_tool: bool::take(from)?,
                ..Face::default()
            };
            for _ in 0..from.number()? {
                face.parameters.push(Taken {
                    name: Coded::take(from)?,
                    is_outside: bool::take(from)?,
                    is_path: bool::take(from)?,
                });
            }
            face.hits = Coded::take(from)?;
            told.faces.push(face);
        }
        Some(told)
    }
}
