//! From arrivals to findings.

use std::sync::Arc;

use memchr::memmem::Finder;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    evaluate::Hit,
    ir::{Name, Unit},
    lower::lower,
    memory::{Match, Memory},
    named::names_folder,
    parity, pattern,
    program::{self, Program},
    recall,
    told::{Face, Taken, Told},
    value::{ALL, FunctionId, Origin, Way},
};
use crate::{
    copies::Place,
    finding::{Certainty, Draft, Step},
    memory::Digest,
    rules::{From, Rule, Rules},
    source::{Language, Skip, Source},
    syntax,
};

/// Functions that a value may go through, if the callers of the first are not known: what a
/// library does far inside says little about them.
const FARTHEST: usize = 2;

/// What the rules find in a tree.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) drafts: Vec<Draft>,
    /// Files that were not understood.
    pub(crate) skipped: Vec<(Skip, String)>,
}

/// Applies `rules` to `sources`, with what a memory knows of them and the digests of their
/// contents.
pub(crate) fn scan(
    sources: &[Source],
    rules: &Rules,
    memory: Option<(&mut Memory, &[Digest])>,
) -> Scan {
    let Some((memory, digests)) = memory else {
        return from_scratch(sources, rules);
    };
    match recall::scan(sources, rules, (memory, digests)) {
        Some(scan) => scan,
        None => {
            memory.forget("a part of it is not what its digest says");
            from_scratch(sources, rules)
        }
    }
}

fn from_scratch(sources: &[Source], rules: &Rules) -> Scan {
    let read: Vec<Parsed> = sources
        .par_iter()
        .map(|source| Parsed::of(source, rules))
        .collect();
    let mut units: Vec<Unit> = Vec::with_capacity(sources.len());
    let mut found = Scan::default();
    for (source, parsed) in sources.iter().zip(read) {
        found.add(source, rules, &parsed.matches, parsed.skip);
        units.extend(parsed.unit);
    }
    let (program, result) = program::run(&units, rules, None);
    found.report(sources, &program, &result.told);
    found
}

/// What one file gives by itself.
pub(super) struct Parsed {
    /// Nothing if it is left out.
    pub(super) unit: Option<Unit>,
    pub(super) matches: Vec<Match>,
    pub(super) skip: Option<Skip>,
}

impl Parsed {
    pub(super) fn of(source: &Source, rules: &Rules) -> Self {
        let wanted = pattern::Wanted::of(source, rules);
        let mut parsed = Self {
            unit: Some(Unit {
                path: source.path.clone(),
                language: Some(source.language),
                ..Unit::default()
            }),
            matches: Vec::new(),
            skip: None,
        };
        let is_followed = rules.follows(source.language);
        if !is_followed && wanted.is_empty() {
            // Nothing that any rule looks for can be in it: it is not parsed.
            return parsed;
        }
        match syntax::parse(source.language, &source.text) {
            Err(why) => (parsed.unit, parsed.skip) = (None, Some(why)),
            Ok(document) => {
                if is_followed {
                    parsed.unit = Some(lower(&source.path, source.language, &document));
                }
                parsed.matches = wanted.find(source, document, rules);
                if let Some(unit) = parsed.unit.as_ref().filter(|_| !source.is_test()) {
                    parsed.matches.extend(parity::find(unit, rules));
                }
            }
        }
        parsed
    }
}

impl Scan {
    pub(super) fn add(
        &mut self,
        source: &Source,
        rules: &Rules,
        matches: &[Match],
        skip: Option<Skip>,
    ) {
        let drafts = matches.iter();
        let drafts = drafts.map(|one| pattern::draft(source, &rules.rules[one.rule], one));
        self.drafts.extend(drafts);
        self.skipped
            .extend(skip.map(|why| (why, source.path.clone())));
    }

    /// Adds what values from outside do.
    pub(super) fn report(&mut self, sources: &[Source], program: &Program<'_>, told: &[Told]) {
        for (unit, told) in program.units.iter().zip(told) {
            if told.is_cut {
                self.skipped.push((Skip::TooSlow, unit.path.clone()));
            }
        }
        let mut reporter = Reporter {
            program,
            texts: sources
                .iter()
                .map(|source| (source.path.as_str(), source))
                .collect(),
            best: FxHashMap::default(),
        };
        reporter.report(told);
        let mut drafts: Vec<Draft> = reporter
            .best
            .into_values()
            .map(|(_, draft)| draft)
            .collect();
        drafts.sort_by(|one, other| (&one.place, &one.rule).cmp(&(&other.place, &other.rule)));
        self.drafts.extend(drafts);
    }
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
    texts: FxHashMap<&'p str, &'p Source>,
    /// The surest finding of each class at each call.
    best: FxHashMap<(u32, usize, String), (Certainty, Draft)>,
}

impl Reporter<'_> {
    fn report(&mut self, told: &[Told]) {
        let called: FxHashSet<FunctionId> = told
            .iter()
            .flat_map(|one| one.calls.iter().copied())
            .collect();
        let mut entries: FxHashMap<FunctionId, &[Name]> = FxHashMap::default();
        for (id, clean) in told.iter().flat_map(|one| &one.entries) {
            entries.insert(*id, clean);
        }
        for outcome in told {
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
        for (unit, told) in told.iter().enumerate() {
            for face in &told.faces {
                let id = (unit as u32, face.at);
                let marked = face.is_tool.then_some(&[][..]);
                let entry = entries.get(&id).copied().or(marked);
                let is_open = !called.contains(&id) && face.is_public;
                for hit in &face.hits {
                    self.of_parameter(id, hit, face, (entry, is_open));
                }
            }
        }
    }

    fn of_parameter(
        &mut self,
        id: FunctionId,
        hit: &Hit,
        face: &Face,
        (entry, is_open): (Option<&[Name]>, bool),
    ) {
        let Origin::Parameter(at) = hit.taint.origin else {
            return;
        };
        let answers = self.program.rules.answers;
        let is_of_answer = hit.taint.clean == ALL & !answers;
        if !hit.fits() || self.rule(hit).from == From::Answers && !is_of_answer {
            return;
        }
        let Some(taken) = face.parameters.get(usize::from(at)) else {
            return;
        };
        let name = taken.name.clone();
        let name = name.unwrap_or_else(|| Arc::from("its argument"));
        let first = Step {
            path: self.program.units[id.0 as usize].path.clone(),
            line: face.line,
            what: format!("`{name}` of `{}` is chosen outside", face.name),
        };
        if let Some(clean) = entry
            && taken.is_outside
            && !clean.contains(&name)
        {
            let certainty = match hit.taint.is_guessed {
                true => Certainty::Likely,
                false => Certainty::Proven,
            };
            self.add(hit, certainty, Some(first));
        } else if is_open
            && (entry.is_none() || taken.is_outside)
            && !is_of_operator(&face.name, &name)
            && !(self.rule(hit).class == "path-traversal"
                && is_command_line(&self.program.units[id.0 as usize].path))
            && !self.is_of_caller(id, hit, taken)
            && hand_overs(hit.taint.way.as_ref()) <= FARTHEST
            && let Some(certainty) = self.rule(hit).public
        {
            let first = Step {
                what: format!("`{name}` of `{}`, whose callers are not known", face.name),
                ..first
            };
            // Neither who calls it is known nor each step of the way.
            let certainty = match hit.taint.is_guessed {
                true => certainty.min(Certainty::Pattern),
                false => certainty,
            };
            self.add(hit, certainty, Some(first));
        }
    }

    /// Whoever calls a library chooses its folders: `func Save(dir, name string)`, and hands it
    /// the paths that it asks for as such: `def pack(source: Path)`.
    fn is_of_caller(&self, id: FunctionId, hit: &Hit, taken: &Taken) -> bool {
        if self.rule(hit).class != "path-traversal" {
            return false;
        }
        match self.program.units[id.0 as usize].language {
            Some(Language::Go | Language::Rust | Language::Java) => {
                taken.name.as_deref().is_some_and(names_folder)
            }
            Some(Language::Python) => taken.is_path && hit.taint.lead.is_none(),
            _ => false,
        }
    }

    fn rule(&self, hit: &Hit) -> &Rule {
        &self.program.rules.rules[hit.rule]
    }

    fn add(&mut self, hit: &Hit, certainty: Certainty, first: Option<Step>) {
        let rule = self.rule(hit);
        let unit = &self.program.units[hit.unit as usize];
        // Names that a tool has shortened hide checks and what schemas bound.
        let most = match is_shortened(unit) {
            true => rule.most.min(Certainty::Likely),
            false => rule.most,
        };
        let certainty = certainty.min(most);
        let Some(source) = self.texts.get(unit.path.as_str()) else {
            return;
        };
        let is_excused = |word: &Finder<'_>| word.find(&source.text).is_some();
        if !rule.in_tests && source.is_test_at(hit.lines.0) || rule.without.iter().any(is_excused) {
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

/// Returns whether a parameter is what those set who run the program, by the names of it and
/// of its function.
fn is_of_operator(function: &str, parameter: &str) -> bool {
    const FUNCTIONS: [&str; 12] = [
        "main",
        "serve",
        "cli",
        "runserver",
        "startserver",
        "setuplogging",
        "configurelogging",
        "initlogging",
        "loadconfig",
        "saveconfig",
        "readconfig",
        "loadsettings",
    ];
    const PARAMETERS: [&str; 8] = [
        "config",
        "settings",
        "logfile",
        "logpath",
        "logdir",
        "envfile",
        "dotenv",
        "logfilepath",
    ];
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let (function, parameter) = (plain(function), plain(parameter));
    let of_config = parameter.starts_with("config") || parameter.starts_with("settings");
    FUNCTIONS.contains(&&*function) || of_config || PARAMETERS.contains(&&*parameter)
}

/// Returns whether a file holds the command line or the settings of a program: who runs it
/// names its files.
fn is_command_line(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let file = parts.next().unwrap_or(path);
    let stem = file.split('.').next().unwrap_or(file).to_ascii_lowercase();
    let is_one = matches!(
        stem.as_str(),
        "cli" | "__main__" | "config" | "settings" | "logging" | "logger" | "setup" | "log"
    );
    is_one || parts.any(|folder| matches!(folder, "cli" | "scripts" | "bin"))
}

/// Returns how often a value was handed from one function to another.
fn hand_overs(way: Option<&Arc<Way>>) -> usize {
    let mut at = way;
    let mut count = 0;
    while let Some(one) = at {
        count += usize::from(one.what.starts_with("handed to"));
        at = one.before.as_ref();
    }
    count
}

/// Returns whether a tool has shortened most names of a file: `function Sp(e) {…}`.
fn is_shortened(unit: &Unit) -> bool {
    /// Functions that a file has at least, for their names to say something.
    const LEAST: usize = 20;
    /// The longest name that a tool gives.
    const LONGEST: usize = 3;
    let names = unit.names.keys().filter(|name| !name.contains('.'));
    let (all, short) = names.fold((0, 0), |(all, short), name| {
        (all + 1, short + usize::from(name.len() <= LONGEST))
    });
    all >= LEAST && short * 2 > all
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
