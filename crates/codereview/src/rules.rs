//! Rules about weaknesses, as data.
//!
//! # Invariants
//!
//! * A rule that is not understood in full does not load.
//! * A rule loads only if it finds each of its own bad programs and none of its good ones.

mod builtin;
mod load;
mod spec;

use airside_base::Severity;
use ast_grep_config::RuleCore;
use ast_grep_core::Matcher as _;
use memchr::memmem::Finder;
use rustc_hash::FxHashMap;

use crate::{
    finding::Certainty,
    flow::value::Clean,
    memory::{Digest, digest_of},
    source::Language,
};

pub use load::Error;
pub(crate) use spec::{From, Shape};

/// Rules that are applied together.
#[derive(Debug, Default)]
pub struct Rules {
    pub(crate) rules: Vec<Rule>,
    /// Sinks by language, then by the last part of the path.
    pub(crate) sinks: FxHashMap<Language, FxHashMap<String, Vec<Sink>>>,
    /// Calls whose result is clean, by language and the last part of the path.
    pub(crate) cleaners: FxHashMap<Language, FxHashMap<String, Vec<Cleaner>>>,
    /// Bits of the classes about what servers answer.
    pub(crate) answers: Clean,
    /// Classes, in the order of their bits.
    pub(crate) classes: Vec<String>,
    /// Patterns by language.
    pub(crate) patterns: FxHashMap<Language, Patterns>,
    /// The rule about lists of tools that hide what calls run, by language.
    pub(crate) parity: FxHashMap<Language, usize>,
    /// Of the texts, in their order.
    texts: Digest,
}

/// The patterns of one language.
#[derive(Default)]
pub(crate) struct Patterns {
    pub(crate) all: Vec<Pattern>,
    /// By kind of node, the places of those that may match one.
    pub(crate) by_kind: Vec<Vec<u16>>,
}

/// One rule.
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) languages: Vec<Language>,
    pub(crate) class: String,
    pub(crate) bit: Clean,
    pub(crate) cwe: Option<String>,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Where the values come from that must not arrive.
    pub(crate) from: From,
    /// The class that a value must have been checked for; none if it is the value as it came.
    pub(crate) checked: Clean,
    /// Whether of a list only what it begins with matters.
    pub(crate) of_beginnings: bool,
    /// How sure it is at most.
    pub(crate) most: Certainty,
    pub(crate) public: Option<Certainty>,
    pub(crate) unknown: Option<Certainty>,
    pub(crate) certainty: Certainty,
    pub(crate) words: Vec<Finder<'static>>,
    pub(crate) without: Vec<Finder<'static>>,
    pub(crate) in_tests: bool,
    pub(crate) invalid: Vec<String>,
    pub(crate) valid: Vec<String>,
}

/// A pattern in one language.
pub(crate) struct Pattern {
    pub(crate) rule: usize,
    pub(crate) matcher: RuleCore,
}

impl Patterns {
    fn add(&mut self, rule: usize, matcher: RuleCore) -> Result<(), String> {
        let kinds = matcher
            .potential_kinds()
            .ok_or("it names no kind of node to look at")?;
        let at = u16::try_from(self.all.len()).map_err(|_| "there are too many rules")?;
        for kind in &kinds {
            if self.by_kind.len() <= kind {
                self.by_kind.resize_with(kind + 1, Vec::new);
            }
            self.by_kind[kind].push(at);
        }
        self.all.push(Pattern { rule, matcher });
        Ok(())
    }
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patterns")
            .field("all", &self.all.len())
            .finish_non_exhaustive()
    }
}

/// A call that values must not arrive at.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) rule: usize,
    /// The path, in parts; the first may be `**`.
    pub(crate) path: Path,
    pub(crate) arguments: Vec<String>,
    pub(crate) when: Vec<(String, Vec<String>)>,
    pub(crate) unless: Vec<(String, Vec<String>)>,
    pub(crate) shape: Shape,
}

/// A call whose result is clean.
#[derive(Debug, Clone)]
pub(crate) struct Cleaner {
    pub(crate) path: Path,
    pub(crate) classes: Clean,
}

/// A dotted path that may begin with anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    before: String,
    is_open: bool,
}

impl Path {
    /// Parses `a.b.c` or `**.b.c` and returns it with its last part.
    pub(crate) fn parse(text: &str) -> (Self, String) {
        let (is_open, text) = match text.strip_prefix("**.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (before, last) = text.rsplit_once('.').unwrap_or(("", text));
        let before = before.to_owned();
        (Self { before, is_open }, last.to_owned())
    }

    /// Returns whether `path`, without its last part, is this one.
    pub(crate) fn fits(&self, path: &str) -> bool {
        // A client that follows redirects is a client.
        let plain = path.strip_suffix("(redirects)");
        plain.is_some_and(|plain| self.fits(&format!("{plain}()"))) || self.fits_as_it_is(path)
    }

    fn fits_as_it_is(&self, path: &str) -> bool {
        match self.is_open {
            false => path == self.before,
            true if self.before.is_empty() => !path.is_empty(),
            true => path
                .strip_suffix(&*self.before)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.') || rest.ends_with('/')),
        }
    }
}

/// What an address is clean of whose scheme was checked; no rule has this class.
pub(crate) const SCHEME: &str = "address-scheme";
/// What a command line is clean of whose first word was checked; no rule has this class.
pub(crate) const PROGRAM: &str = "program-of-a-command";
/// The class of what runs commands.
const COMMANDS: &str = "command-injection";
/// The class of requests that follow redirects after a check of the first address. A list of
/// hosts makes clean of it, a question whether an address is private does not.
const REDIRECT: &str = "redirect-not-checked";

impl Rules {
    /// Returns how many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns for each rule its id, class, severity and message, in the order of the files.
    pub fn list(&self) -> impl Iterator<Item = (&str, &str, Severity, &str)> {
        self.rules.iter().map(|rule| {
            (
                rule.id.as_str(),
                rule.class.as_str(),
                rule.severity,
                rule.message.as_str(),
            )
        })
    }

    /// Returns what says whether findings of another review hold: the texts of the rules and
    /// the program that applies them. Its age alone would not do where images are built with
    /// fixed times: at its beginning stands what the linker makes of all of it (the build id).
    pub(crate) fn identity(&self) -> Digest {
        let program = std::env::current_exe().and_then(|path| program(&path));
        let version = env!("CARGO_PKG_VERSION");
        let text = format!("{:032x} {version} {:?}", self.texts, program.ok());
        digest_of(text.as_bytes())
    }

    /// Returns whether any rule follows values through `language`.
    pub(crate) fn follows(&self, language: Language) -> bool {
        self.sinks.contains_key(&language) || self.parity.contains_key(&language)
    }

    pub(crate) fn sinks_of(&self, language: Language, last: &str) -> &[Sink] {
        let sinks = self.sinks.get(&language).and_then(|by| by.get(last));
        sinks.map_or(&[], Vec::as_slice)
    }

    /// Returns the classes that the result of the call at `before`.`last` is clean of.
    pub(crate) fn cleaned_by(&self, language: Language, before: &str, last: &str) -> Clean {
        let cleaners = self.cleaners.get(&language).and_then(|by| by.get(last));
        let fitting = cleaners
            .into_iter()
            .flatten()
            .filter(|one| one.path.fits(before));
        fitting.fold(0, |classes, one| classes | one.classes)
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// Returns the bits of which one says that a value does no harm where `rule` looks.
    pub(crate) fn bits_at(&self, rule: usize, shape: Shape) -> Clean {
        let own = self.rules[rule].bit;
        match shape {
            Shape::Opened => own | self.class_bit("ssrf") | self.class_bit(SCHEME),
            // Where a value chooses the program alone.
            Shape::First if self.rules[rule].class == COMMANDS => own | self.class_bit(PROGRAM),
            _ => own,
        }
    }

    /// Returns the bits of an address whose host is one of those that the program lists.
    pub(crate) fn host_bits(&self) -> Clean {
        self.class_bit("ssrf") | self.class_bit(REDIRECT)
    }

    /// Returns the bits of a text of whose parts one was compared: the program of a command,
    /// the host of an address.
    pub(crate) fn part_bits(&self) -> Clean {
        self.class_bit(PROGRAM) | self.host_bits()
    }

    /// Returns the bit of a class; none for one that no rule has.
    pub(crate) fn class_bit(&self, class: &str) -> Clean {
        let at = self.classes.iter().position(|one| one == class);
        at.map_or(0, |at| 1 << at.min(62))
    }
}

/// Returns what tells the program at `path` from another one: its size, its age, and a digest
/// of its beginning.
fn program(path: &std::path::Path) -> std::io::Result<(u64, std::time::SystemTime, Digest)> {
    use std::io::Read as _;

    /// More than the headers and notes of a program take.
    const BEGINNING: u64 = 16 << 10;
    let file = std::fs::File::open(path)?;
    let data = file.metadata()?;
    let mut beginning = Vec::new();
    file.take(BEGINNING).read_to_end(&mut beginning)?;
    Ok((data.len(), data.modified()?, digest_of(&beginning)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_of_one_program_and_its_rules() {
        let mut rules = Rules::default();
        let none = rules.identity();
        assert_eq!(none, Rules::default().identity());
        rules.texts = 1;
        assert_ne!(none, rules.identity());
    }

    #[test]
    fn programs_of_the_same_size_and_age_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |id: &str| {
            let path = folder.path().join(id);
            std::fs::write(&path, format!("ELF {id}")).expect("a file");
            let file = std::fs::File::options()
                .write(true)
                .open(&path)
                .expect("a file");
            file.set_modified(std::time::UNIX_EPOCH).expect("an age");
            program(&path).expect("a program")
        };
        let (one, other) = (of("1"), of("2"));
        assert_eq!((one.0, one.1), (other.0, other.1));
        assert_ne!(one.2, other.2);
    }

    #[test]
    fn shipped_rules_do_what_their_examples_say() {
        let rules = Rules::builtin();
        let failed = rules.rules.iter().flat_map(|rule| rules.broken(rule));
        let failed: Vec<String> = failed.map(|error| error.to_string()).collect();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }
}
