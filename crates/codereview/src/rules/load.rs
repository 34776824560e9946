//! Reads rule files and holds them to their own examples.

use airside_base::{Fault, Kind, WithCauses};
use ast_grep_config::{DeserializeEnv, SerializableRuleCore};
use memchr::memmem::Finder;
use rayon::prelude::*;

use super::{
    Cleaner, PROGRAM, Path, Rule, Rules, SCHEME, Sink, builtin,
    spec::{self, File},
};
use crate::{
    finding::Certainty,
    flow::{self, value::ALL},
    memory::digest_of,
    source::{Language, Source},
    syntax,
};

/// Why rules do not load.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a rule.
    #[error("cannot read the rule file {file}: {reason}")]
    Malformed {
        /// Which file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// It does not do what its examples say.
    #[error("the rule {rule} {what} its {sort} example {number} ({})", language.as_str())]
    Example {
        /// Which rule.
        rule: String,
        /// `misses` or `finds something in`.
        what: &'static str,
        /// `invalid` or `valid`.
        sort: &'static str,
        /// Which of them, from 1.
        number: usize,
        /// In which language.
        language: Language,
    },
}

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Malformed { .. } => Fault::new(Kind::Invalid, "REV-015", self.to_string())
                .with_hint("docs/review.md lists the keys of a rule; others are not accepted"),
            Self::Example { .. } => Fault::new(Kind::Invalid, "REV-016", self.to_string())
                .with_hint("repair the rule, or the example"),
        }
    }
}

impl Rules {
    /// Returns the rules that ship. Their examples are a test of this crate, not run here.
    #[must_use]
    pub fn builtin() -> Self {
        let files = builtin::FILES.par_iter();
        let read = files.map(|(name, text)| (*name, *text, read(name, text)));
        let read: Vec<_> = read.collect();
        let mut rules = Self::empty();
        for (name, text, files) in read {
            files
                .and_then(|files| rules.add(name, text, files))
                .expect("the test of the shipped rules loads them all");
        }
        rules
    }

    fn empty() -> Self {
        let mut rules = Self::default();
        for (language, paths) in builtin::CLEANERS {
            for path in *paths {
                rules.clean(*language, path, ALL);
            }
        }
        rules
    }

    /// Adds the rules of the document stream `text` and holds each to its examples.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn extend(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let mut own = Self::empty();
        own.add(name, text, read(name, text)?)?;
        let broken = own.rules.iter().flat_map(|rule| own.broken(rule)).next();
        if let Some(broken) = broken {
            return Err(broken);
        }
        self.add(name, text, read(name, text)?)
    }

    /// Returns the examples that `rule` does not live up to.
    pub(super) fn broken(&self, rule: &Rule) -> Vec<Error> {
        let sorts = [
            ("invalid", &rule.invalid, true, "misses"),
            ("valid", &rule.valid, false, "finds something in"),
        ];
        let mut broken = Vec::new();
        for (sort, examples, is_found, what) in sorts {
            for (at, text) in examples.iter().enumerate() {
                for language in &rule.languages {
                    if self.finds(rule, *language, text) != is_found {
                        broken.push(Error::Example {
                            rule: rule.id.clone(),
                            what,
                            sort,
                            number: at + 1,
                            language: *language,
                        });
                    }
                }
            }
        }
        broken
    }

    fn finds(&self, rule: &Rule, language: Language, text: &str) -> bool {
        let source = Source {
            path: "example".to_owned(),
            language,
            text: text.as_bytes().to_vec().into(),
        };
        let found = flow::scan(std::slice::from_ref(&source), self, None);
        found.drafts.iter().any(|draft| draft.rule == rule.id)
    }

    fn clean(&mut self, language: Language, path: &str, classes: u64) {
        let (path, last) = Path::parse(path);
        let by = self.cleaners.entry(language).or_default();
        by.entry(last).or_default().push(Cleaner { path, classes });
    }

    fn bit(&mut self, class: &str) -> u64 {
        let at = self.classes.iter().position(|one| one == class);
        let at = at.unwrap_or_else(|| {
            self.classes.push(class.to_owned());
            self.classes.len() - 1
        });
        // Beyond the bits that there are, classes share the last one.
        1 << at.min(62)
    }

    fn add(&mut self, name: &str, text: &str, files: Vec<File>) -> Result<(), Error> {
        let before = self.texts.to_le_bytes();
        self.texts = digest_of(&[&before[..], text.as_bytes()].concat());
        let malformed = |reason: String| malformed(name, reason);
        for file in files {
            if file.languages.is_empty() || file.invalid.is_empty() || file.valid.is_empty() {
                return Err(malformed(format!(
                    "{} needs languages and examples of both sorts",
                    file.id
                )));
            }
            if self.rules.iter().any(|rule| rule.id == file.id) {
                return Err(malformed(format!("there is a rule {} already", file.id)));
            }
            let sorts = [
                file.flow.is_some(),
                file.rule.is_some(),
                file.same.is_some(),
            ];
            if sorts.iter().filter(|is| **is).count() != 1 {
                let reason = format!("{} needs one of flow, rule and same", file.id);
                return Err(malformed(reason));
            }
            self.add_one(file).map_err(malformed)?;
        }
        Ok(())
    }

    fn add_one(&mut self, file: File) -> Result<(), String> {
        let bit = self.bit(&file.class);
        let mut rule = Rule {
            id: file.id,
            languages: file.languages,
            class: file.class,
            bit,
            cwe: file.cwe,
            severity: file.severity,
            message: file.message,
            help: file.help,
            from: spec::From::Clients,
            checked: 0,
            of_beginnings: false,
            most: file.certainty.unwrap_or(Certainty::Proven),
            public: None,
            unknown: None,
            certainty: file.certainty.unwrap_or(Certainty::Pattern),
            words: finders(&file.words),
            without: finders(&file.without),
            in_tests: file.in_tests,
            invalid: file.invalid,
            valid: file.valid,
        };
        if let Some(flow) = file.flow {
            rule.from = flow.from;
            if flow.from == spec::From::Answers {
                self.answers |= rule.bit;
            }
            let mut sinks = flow.sinks.iter();
            rule.of_beginnings =
                sinks.all(|sink| sink.arguments.iter().any(|one| one.ends_with(".0")));
            rule.checked = flow.checked.as_ref().map_or(0, |class| self.bit(class));
            rule.public = flow.public;
            rule.unknown = flow.unknown;
            self.add_flow(&rule, flow);
        }
        if let Some(spec::Same::ToolGuards) = file.same {
            for language in &rule.languages {
                if self.parity.insert(*language, self.rules.len()).is_some() {
                    let reason = "another rule compares the guards of tools";
                    return Err(format!("{}: {reason}", rule.id));
                }
            }
        }
        if let Some(pattern) = file.rule {
            if rule.words.is_empty() {
                return Err(format!("{} needs words that its matches hold", rule.id));
            }
            let core = SerializableRuleCore {
                rule: pattern,
                constraints: file.constraints,
                utils: file.utils,
                transform: None,
            };
            let at = self.rules.len();
            for language in &rule.languages {
                let environment = DeserializeEnv::new(syntax::grammar(*language));
                let matcher = core
                    .get_matcher(environment)
                    .map_err(|error| WithCauses(&error).to_string())?;
                let patterns = self.patterns.entry(*language).or_default();
                let added = patterns.add(at, matcher);
                added.map_err(|reason| format!("{}: {reason}", rule.id))?;
            }
        }
        self.rules.push(rule);
        Ok(())
    }

    fn add_flow(&mut self, rule: &Rule, flow: spec::Flow) {
        let at = self.rules.len();
        for language in &rule.languages {
            for cleaner in &flow.cleaners {
                self.clean(*language, cleaner, rule.bit);
            }
        }
        let constants = |by: std::collections::BTreeMap<String, String>| {
            let split = |text: String| text.split('|').map(str::to_owned).collect();
            by.into_iter()
                .map(|(key, text)| (key, split(text)))
                .collect::<Vec<_>>()
        };
        for sink in flow.sinks {
            if sink.shape == spec::Shape::Opened {
                self.bit(SCHEME);
            }
            if sink.shape == spec::Shape::First {
                self.bit(PROGRAM);
            }
            let (when, unless) = (constants(sink.when), constants(sink.unless));
            for path in &sink.call {
                let (path, last) = Path::parse(path);
                let compiled = Sink {
                    rule: at,
                    path,
                    arguments: sink.arguments.clone(),
                    when: when.clone(),
                    unless: unless.clone(),
                    shape: sink.shape,
                };
                for language in &rule.languages {
                    let by = self.sinks.entry(*language).or_default();
                    by.entry(last.clone()).or_default().push(compiled.clone());
                }
            }
        }
    }
}

/// Reads the document stream `text`.
fn read(name: &str, text: &str) -> Result<Vec<File>, Error> {
    ast_grep_config::from_multiple(text).map_err(|error| malformed(name, error.to_string()))
}

fn malformed(file: &str, reason: String) -> Error {
    Error::Malformed {
        file: file.to_owned(),
        reason,
    }
}

fn finders(words: &[String]) -> Vec<Finder<'static>> {
    let words = words.iter();
    words.map(|word| Finder::new(word).into_owned()).collect()
}
