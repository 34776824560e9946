//! Whether the user's own words ask for what a call does.
//!
//! A client may pass on what its user wrote. Then a call that changes something is
//! *anchored* if its deed is among these words and if where it leads is too: every
//! address, web address and account, and every day. What a document says to do seldom
//! is. Whoever writes the document can guess at the user's words, so this is a reason to
//! ask, not a boundary.
//!
//! # Invariants
//!
//! * Pure and bounded: words beyond [`MAX_WORDS_BYTES`] and values beyond
//!   [`MAX_VALUES`] are not looked at, and what was not looked at is not anchored.
//! * What is not understood (a language that is not read, a deed without a known name) is
//!   not anchored: it is asked about, never let through.
//! * What a user agreed to with a yes tells what to do and when, never where it goes: an
//!   address in a long proposal is waved through too easily.
//! * Nothing here knows a tool, a server or a text: only what names, words, days and
//!   addresses look like.

mod day;
mod deed;
mod target;
mod tongue;

use airside_base::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use self::{day::Days, tongue::Tongues};

/// Longest words of a user that are looked at, in bytes.
pub const MAX_WORDS_BYTES: usize = 16 * 1024;
/// Most values of arguments that are looked at.
const MAX_VALUES: usize = 512;

/// Whether a user's own words ask for a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Intent {
    /// The client does not pass the words on.
    #[default]
    Unstated,
    /// They ask for it.
    Anchored,
    /// They do not.
    Unanchored,
}

/// What of a call the user's words do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    /// There is more than is looked at.
    TooMuch,
    /// What the tool does.
    Deed,
    /// Anything that is understood: they are in a language that is not read.
    Language,
    /// An address, an account or a number that it goes to.
    Address,
    /// A web address.
    Link,
    /// A day.
    Day,
}

impl Gap {
    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooMuch => "too much to look at",
            Self::Deed => "what it does",
            Self::Language => "what it does, in a language that is read here",
            Self::Address => "an address",
            Self::Link => "a web address",
            Self::Day => "a day",
        }
    }
}

/// The words of a user, read once for all calls that follow them.
#[derive(Debug)]
pub struct Spoken {
    said: Words,
    /// What they were shown and said yes to.
    agreed: Option<Words>,
    now: Option<Timestamp>,
}

/// Words that were read.
#[derive(Debug)]
struct Words {
    /// In lower case; none if there are more than are looked at.
    lower: Option<String>,
    tongues: Tongues,
    days: Days,
}

impl Words {
    fn read(words: &str, now: Option<Timestamp>) -> Self {
        let lower = (words.len() <= MAX_WORDS_BYTES).then(|| words.to_lowercase());
        let read = lower.as_deref().map(Word::all).unwrap_or_default();
        let tongues = Tongues::of(&read);
        let english = lower.as_deref().map(|lower| tongues.english_days(lower));
        let read = english.as_deref().map(Word::all).unwrap_or_default();
        let today = now.map(|now| TimeZone::UTC.to_datetime(now).date());
        let days = Days::read(&read, today);
        Self {
            lower,
            tongues,
            days,
        }
    }

    fn ask_for(&self, tool: &str) -> bool {
        let lower = self.lower.as_deref().unwrap_or_default();
        deed::is_asked_for(&Word::all(lower), &self.tongues, tool)
    }
}

impl Spoken {
    /// Reads `words`, said at `now`. Where nobody knows when (a recording), words like
    /// `tomorrow` name any day, and only if no day is named otherwise.
    #[must_use]
    pub fn new(words: &str, now: Option<Timestamp>) -> Self {
        Self {
            said: Words::read(words, now),
            agreed: None,
            now,
        }
    }

    /// Adds what the user was shown and agreed to, if their words say yes to anything.
    #[must_use]
    pub fn agreeing(mut self, shown: &str) -> Self {
        let says_yes = |words: &String| words.lines().any(agrees);
        if !shown.is_empty() && self.said.lower.as_ref().is_some_and(says_yes) {
            self.agreed = Some(Words::read(shown, self.now));
        }
        self
    }

    /// Returns what of a call of `tool` with `arguments` these words do not have.
    #[must_use]
    pub fn gap(&self, tool: &str, arguments: &Value) -> Option<Gap> {
        let Some(lower) = &self.said.lower else {
            return Some(Gap::TooMuch);
        };
        // Whatever it looks at on whichever day, it changes nothing there; and a person
        // who takes over decides for themselves.
        let looks = deed::only_looks(tool) || deed::hands_over(tool);
        let all = || std::iter::once(&self.said).chain(&self.agreed);
        if !looks && !all().any(|words| words.ask_for(tool)) {
            return Some(match self.said.tongues.is_unread() {
                true => Gap::Language,
                false => Gap::Deed,
            });
        }
        let mut values = Vec::new();
        if !collect(arguments, &mut values) {
            return Some(Gap::TooMuch);
        }
        if let Some(gap) = target::gap(lower, &values) {
            return Some(gap);
        }
        let unsaid = |one: &Argued<'_>| {
            let text = one.text.to_lowercase();
            !all().any(|words| words.days.allow(one.member, &text))
        };
        (!looks && values.iter().any(unsaid)).then_some(Gap::Day)
    }
}

/// Whether a message of a user agrees to what they were shown before it.
#[must_use]
pub fn agrees(message: &str) -> bool {
    message.len() <= MAX_WORDS_BYTES && tongue::agrees(message)
}

impl Intent {
    /// Returns the name used in policies and entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unstated => "unstated",
            Self::Anchored => "anchored",
            Self::Unanchored => "unanchored",
        }
    }

    /// Returns the one of this name; unstated for any other text.
    #[must_use]
    pub fn find(name: &str) -> Self {
        [Self::Anchored, Self::Unanchored]
            .into_iter()
            .find(|intent| intent.as_str() == name)
            .unwrap_or_default()
    }

    /// Judges a call of `tool` with `arguments` by the words of its user.
    #[must_use]
    pub fn of(spoken: &Spoken, tool: &str, arguments: &Value) -> Self {
        match spoken.gap(tool, arguments) {
            None => Self::Anchored,
            Some(_) => Self::Unanchored,
        }
    }
}

/// A text among the arguments, with the name of the member that holds it or its list.
struct Argued<'a> {
    member: &'a str,
    text: &'a str,
}

/// Collects all texts; false if there are too many values.
fn collect<'a>(value: &'a Value, into: &mut Vec<Argued<'a>>) -> bool {
    let mut left = MAX_VALUES;
    let mut open = vec![(value, "")];
    while let Some((value, member)) = open.pop() {
        if left == 0 {
            return false;
        }
        left -= 1;
        match value {
            Value::String(text) => into.push(Argued { member, text }),
            Value::Array(items) => open.extend(items.iter().map(|item| (item, member))),
            Value::Object(members) => {
                open.extend(members.iter().map(|(name, value)| (value, name.as_str())));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    true
}

/// A run of letters and digits in a text in lower case.
#[derive(Debug, Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    /// What stands between it and the next one.
    gap: &'a str,
}

impl<'a> Word<'a> {
    fn all(text: &'a str) -> Vec<Self> {
        let mut words = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(char::is_alphanumeric) {
            let from = &rest[start..];
            let end = from
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(from.len());
            let after = &from[end..];
            let gap = after.find(char::is_alphanumeric).unwrap_or(after.len());
            words.push(Self {
                text: &from[..end],
                gap: &after[..gap],
            });
            rest = &after[gap..];
        }
        words
    }

    /// Whether a clause ends behind it.
    fn ends_clause(&self) -> bool {
        let ends = |c: char| ".,;:!?\n。、！？；：¡¿".contains(c);
        self.gap.contains(ends)
    }
}

/// Whether `word` is `verb` or one of its forms: `booked`, `cancelling`.
fn is_form(word: &str, verb: &str) -> bool {
    let stem = verb.strip_suffix('e').unwrap_or(verb);
    let Some(rest) = word.strip_prefix(stem) else {
        return false;
    };
    let doubled = stem.chars().last();
    let rest = match doubled.and_then(|last| rest.strip_prefix(last)) {
        Some(after) if after.starts_with(['e', 'i']) => after,
        _ => rest,
    };
    matches!(
        rest,
        "" | "e" | "s" | "es" | "d" | "ed" | "ing" | "er" | "ation" | "lation" | "ment"
    )
}

/// The words of a name in lower case: `cancelBooking` and `cancel-booking` alike.
fn spaced(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let mut lower = false;
    for c in name.chars() {
        if lower && c.is_uppercase() {
            out.push(' ');
        }
        lower = c.is_lowercase() || c.is_ascii_digit();
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests;
