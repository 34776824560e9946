//! Loading, checking and cutting policies.

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
    sync::Arc,
};

use airside_base::ServerId;
use aws_lc_rs::digest::{Context, SHA256};
use cedar_policy::{Policy, PolicySet, Schema, ValidationMode, Validator};
use jiff::tz::TimeZone;
use miette::Diagnostic;

use crate::{
    Action, Asked, Declared, Engine,
    load_error::{LoadError, Place, Problem},
    reads::Reads,
    vocabulary::Vocabulary,
};

/// The schema that policies are checked against: `policies/schema.cedarschema`.
pub const SCHEMA: &str = include_str!("../../../policies/schema.cedarschema");

/// The policies that apply where none are configured: `policies/default.cedar`.
pub const DEFAULT: &str = include_str!("../../../policies/default.cedar");

/// Longest policy file, in bytes.
pub const MAX_SOURCE_BYTES: usize = 1024 * 1024;

/// Longest `@id`, in bytes: it stands in every ledger entry it decides.
pub(crate) const MAX_ID_BYTES: usize = 64;

/// One policy file.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// Name that errors show, usually the path.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// What policies can speak of in this installation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Arguments of interest. Those of one name have one kind.
    pub arguments: Vec<Declared>,
    /// Where `context.time` reads its calendar.
    pub zone: TimeZone,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            arguments: Vec::new(),
            zone: TimeZone::UTC,
        }
    }
}

/// What is known of one policy besides its text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mark {
    pub(crate) reads: Reads,
    /// Who has to agree (`@approval`).
    pub(crate) asked: Option<Asked>,
    /// What it forbids is not to be known of (`@hidden`).
    pub(crate) hidden: bool,
    pub(crate) place: Option<Place>,
}

/// By the id of the policy.
pub(crate) type Marks = Arc<HashMap<cedar_policy::PolicyId, Mark>>;

/// The place in the schema where declared arguments go.
const NO_ARGUMENTS: &str = "type Arguments = {};";

/// Annotations that a policy may have. Any other is a slip of the pen, and one that
/// should have asked for an approval would open what it was to close.
const ANNOTATIONS: [&str; 6] = ["id", "hint", "approval", "hidden", "description", "owner"];

/// Policies that have passed every check. Clones share the same data.
#[derive(Debug, Clone)]
pub struct Policies {
    set: Arc<PolicySet>,
    vocabulary: Arc<Vocabulary>,
    version: Arc<str>,
    marks: Marks,
}

impl Policies {
    /// Returns the shipped policies.
    #[must_use]
    pub fn builtin() -> Self {
        Self::load(&[Self::BUILTIN], &Settings::default())
            .expect("the shipped policies pass the checks, which a test proves")
    }

    /// The shipped policies as a source.
    pub const BUILTIN: Source<'static> = Source {
        name: "policies/default.cedar",
        text: DEFAULT,
    };

    /// Returns the policies of `sources`, which take the place of the shipped ones.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, with file, line and column. A rule that
    /// can never apply, or that holds invisible or confusable characters, counts
    /// as wrong.
    pub fn load(sources: &[Source<'_>], settings: &Settings) -> Result<Self, LoadError> {
        let schema = schema(&settings.arguments)?;
        let vocabulary = Arc::new(Vocabulary::new(&schema, settings.zone.clone()));
        let mut loading = Loading::default();
        sources.iter().for_each(|source| loading.read(source));
        // Validation of a half-read set would blame what is not wrong.
        LoadError::check(std::mem::take(&mut loading.problems))?;
        loading.validate(schema);
        LoadError::check(loading.problems)?;
        let places = loading.places.into_iter();
        let places = places.map(|(id, (place, _))| (id, place)).collect();
        Ok(Self {
            marks: marks(&loading.set, places),
            set: Arc::new(loading.set),
            vocabulary,
            version: version(sources, settings),
        })
    }

    /// Returns how many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.policies().count()
    }

    pub(crate) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.set.policies()
    }

    pub(crate) fn place(&self, id: &cedar_policy::PolicyId) -> Option<Place> {
        self.marks.get(id)?.place.clone()
    }

    pub(crate) fn asks(&self, id: &cedar_policy::PolicyId) -> bool {
        self.marks.get(id).is_some_and(|mark| mark.asked.is_some())
    }

    pub(crate) fn server_in_scope(&self, policy: &Policy) -> Option<String> {
        self.vocabulary
            .server_in_scope(&policy.resource_constraint())
    }

    /// Returns the first 128 bits of the SHA-256 of the sources and of what they can
    /// speak of, in hexadecimal digits. What was decided names it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns an engine that decides for `server`.
    ///
    /// Cedar evaluates every policy it is given, so for each action the engine gets
    /// only those that can apply: not the ones whose scope names another server or
    /// another action.
    #[must_use]
    pub fn engine(&self, server: &ServerId) -> Engine {
        let words = &self.vocabulary;
        let own = |policy: &&Policy| words.is_of(&policy.resource_constraint(), server);
        let own: Vec<_> = self.set.policies().filter(own).collect();
        let cut = |action| {
            let about = own
                .iter()
                .filter(|policy| words.is_about(&policy.action_constraint(), action));
            PolicySet::from_policies(about.map(|policy| (*policy).clone()))
                .expect("ids stay unique in a part of a set")
        };
        let sets = Action::ALL.into_iter().map(cut).collect();
        let (version, marks) = (self.version.clone(), self.marks.clone());
        Engine::new(server.clone(), words.clone(), version, marks, sets)
    }

    /// Returns an engine that is given every policy for every action. The yardstick
    /// for the cut.
    #[cfg(test)]
    pub(crate) fn whole(&self, server: &ServerId) -> Engine {
        let sets = Action::ALL.map(|_| (*self.set).clone());
        let (version, marks) = (self.version.clone(), self.marks.clone());
        let words = self.vocabulary.clone();
        Engine::new(server.clone(), words, version, marks, sets.into())
    }
}

/// Texts carry their length, so that what moves between files is another version.
fn version(sources: &[Source<'_>], settings: &Settings) -> Arc<str> {
    let mut context = Context::new(&SHA256);
    let mut add = |text: &str| {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    };
    sources.iter().for_each(|source| add(source.text));
    settings
        .arguments
        .iter()
        .for_each(|argument| add(&format!("{argument:?}")));
    add(settings.zone.iana_name().unwrap_or("UTC"));
    let digest = context.finish();
    let (first, _) = digest.as_ref().split_at(16);
    let hex: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.into()
}

/// Returns the schema with these arguments.
fn schema(arguments: &[Declared]) -> Result<Schema, LoadError> {
    let mut problems = Vec::new();
    let mut members: HashMap<&str, &'static str> = HashMap::new();
    for Declared { name, kind } in arguments {
        let known = members.insert(name, kind.cedar());
        if !is_argument(name) || known.is_some_and(|known| known != kind.cedar()) {
            let name = escape(name);
            problems.push(Problem::Argument { name });
        }
    }
    LoadError::check(problems)?;
    let mut members: Vec<_> = members.into_iter().collect();
    members.sort_unstable();
    let members: Vec<_> = members
        .iter()
        .map(|(name, kind)| format!("{name}?: {kind}"))
        .collect();
    let text = SCHEMA.replace(
        NO_ARGUMENTS,
        &format!("type Arguments = {{ {} }};", members.join(", ")),
    );
    let (schema, _warnings) = Schema::from_cedarschema_str(&text)
        .expect("the shipped schema is valid with any arguments, which tests prove");
    Ok(schema)
}

/// A name that needs no quotes in Cedar and is none of its words.
fn is_argument(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "true", "false", "if", "then", "else", "in", "like", "has", "is", "__cedar",
    ];
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
    let rest = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    first && rest && name.len() <= MAX_ID_BYTES && !WORDS.contains(&name)
}

/// Reads the annotations of policies that were checked.
fn marks(set: &PolicySet, mut places: HashMap<cedar_policy::PolicyId, Place>) -> Marks {
    let mark = |policy: &Policy| {
        let mark = Mark {
            reads: Reads::of(policy),
            asked: policy.annotation("approval").and_then(Asked::find),
            hidden: policy.annotation("hidden").is_some(),
            place: places.remove(policy.id()),
        };
        (policy.id().clone(), mark)
    };
    Arc::new(set.policies().map(mark).collect())
}

/// Policies on their way in.
#[derive(Default)]
struct Loading<'a> {
    set: PolicySet,
    places: HashMap<cedar_policy::PolicyId, (Place, &'a Source<'a>)>,
    problems: Vec<Problem>,
}

impl<'a> Loading<'a> {
    fn read(&mut self, source: &'a Source<'a>) {
        let Source { name, text } = *source;
        if text.len() > MAX_SOURCE_BYTES {
            return self.problems.push(Problem::TooLarge {
                file: name.to_owned(),
                size_bytes: text.len(),
            });
        }
        let parsed: PolicySet = match text.parse() {
            Ok(parsed) => parsed,
            Err(errors) => {
                let errors: &cedar_policy::ParseErrors = &errors;
                let problem = |error: &cedar_policy::ParseError| Problem::Syntax {
                    place: place_of(error, source),
                    message: chain(error),
                    help: error.help().map(|help| help.to_string()),
                };
                return self.problems.extend(errors.iter().map(problem));
            }
        };
        for template in parsed.templates() {
            let place = find(source, &template.to_cedar(), 0).0;
            self.problems.push(Problem::Template { place });
        }
        // The parser numbers policies in the order of the text.
        let mut policies: Vec<_> = parsed.policies().collect();
        policies.sort_by_key(|policy| ordinal(policy));
        let mut from = 0;
        for policy in policies {
            let (place, end) = find(source, &policy.to_cedar().unwrap_or_default(), from);
            from = end;
            self.add(policy, place, source);
        }
    }

    fn add(&mut self, policy: &Policy, place: Place, source: &'a Source<'a>) {
        let Some(id) = policy.annotation("id").filter(|id| is_id(id)) else {
            return self.problems.push(Problem::Unnamed { place });
        };
        let key = cedar_policy::PolicyId::new(id);
        if let Some((first, _)) = self.places.get(&key) {
            return self.problems.push(Problem::Duplicate {
                place,
                id: id.to_owned(),
                first: first.clone(),
            });
        }
        if let Some(text) = odd_annotation(policy) {
            self.problems.push(Problem::Annotation {
                place: place.clone(),
                text,
            });
        }
        self.set
            .add(policy.new_id(key.clone()))
            .expect("the id is not in the set yet");
        self.places.insert(key, (place, source));
    }

    fn validate(&mut self, schema: Schema) {
        let result = Validator::new(schema).validate(&self.set, ValidationMode::default());
        let mut problems = Vec::new();
        let mut blamed = HashSet::new();
        for error in result.validation_errors() {
            blamed.insert(error.policy_id());
            problems.extend(self.schema_problem(error, error.policy_id()));
        }
        // A policy that is wrong is usually impossible, too: the cause is enough.
        for warning in result.validation_warnings() {
            if blamed.insert(warning.policy_id()) {
                problems.extend(self.schema_problem(warning, warning.policy_id()));
            }
        }
        problems.sort_by_key(|(line, _)| *line);
        self.problems
            .extend(problems.into_iter().map(|(_, problem)| problem));
    }

    fn schema_problem(
        &self,
        error: &dyn Diagnostic,
        policy: &cedar_policy::PolicyId,
    ) -> Option<(usize, Problem)> {
        let (start, source) = self.places.get(policy)?;
        let place = span(error).map_or_else(
            || start.clone(),
            |offset| Place::at(source.name, source.text, offset),
        );
        let line = place.line;
        let problem = Problem::Schema {
            place,
            message: chain(error),
            help: error.help().map(|help| help.to_string()),
        };
        Some((line, problem))
    }
}

/// Returns what is wrong with the annotations of a policy.
fn odd_annotation(policy: &Policy) -> Option<String> {
    policy.annotations().find_map(|(name, value)| {
        let forbids = policy.effect() == cedar_policy::Effect::Forbid;
        match name {
            "approval" if Asked::find(value).is_none() => {
                Some("`@approval` is \"client\" or \"operator\"".to_owned())
            }
            "hidden" if !forbids || !value.is_empty() => {
                Some("`@hidden` stands in front of a `forbid`, without a value".to_owned())
            }
            name if !ANNOTATIONS.contains(&name) => {
                Some(format!("there is no annotation `@{}`", escape(&name)))
            }
            _ => None,
        }
    })
}

fn is_id(id: &str) -> bool {
    let accepted =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(accepted)
}

fn ordinal(policy: &Policy) -> usize {
    let id: &str = policy.id().as_ref();
    id.trim_start_matches("policy")
        .parse()
        .unwrap_or(usize::MAX)
}

/// Returns where `part` begins at or after byte `from`, and the offset after it.
fn find(source: &Source<'_>, part: &str, from: usize) -> (Place, usize) {
    let offset = source.text[from..].find(part).map_or(from, |at| from + at);
    let place = Place::at(source.name, source.text, offset);
    (place, (offset + part.len()).min(source.text.len()))
}

fn place_of(error: &dyn Diagnostic, source: &Source<'_>) -> Place {
    Place::at(source.name, source.text, span(error).unwrap_or(0))
}

fn span(error: &dyn Diagnostic) -> Option<usize> {
    error.labels()?.next().map(|label| label.offset())
}

/// Returns an error and its sources on one line, control characters escaped: the
/// text may quote the file.
fn chain(error: &dyn Diagnostic) -> String {
    let mut text = escape(&error);
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&escape(&error));
        source = error.source();
    }
    text
}

fn escape(text: &dyn Display) -> String {
    let text = text.to_string();
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            escaped.extend(char.escape_default());
        } else {
            escaped.push(char);
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
