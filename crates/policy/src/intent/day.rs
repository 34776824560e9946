//! Which days a user's words name, and which days an argument may be.
//!
//! # Invariants
//!
//! * A day counts with all that is said of it: a month or a year that is named has to
//!   be the same.
//! * What follows from named days and a stay that is named (`for three nights from the
//!   5th`) counts as named, and so does the day after a named one: a stay ends then.

use airside_base::month;
use jiff::{
    ToSpan as _,
    civil::{Date, Weekday},
};

use super::{Word, spaced};

/// Longest text that is looked at as a date in words.
const MAX_DATE_BYTES: usize = 32;
/// Days within which a weekday that is named lies.
const WEEKDAY_WITHIN: i32 = 14;
/// Most kinds of stays that are looked at.
const MAX_STAYS: usize = 16;

/// A day, a month or a year that is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Mention {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
}

/// A day that is named by how far away it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relative {
    /// So many days from today, both ends included.
    Within(i32, i32),
    /// The next such day, or the one after it.
    On(Weekday),
}

/// The days that words name.
#[derive(Debug, Default)]
pub(super) struct Days {
    mentions: Vec<Mention>,
    relative: Vec<Relative>,
    /// Lengths of stays, in days.
    stays: Vec<i32>,
    /// Whether a day before another one is asked for: `three days before`.
    before: bool,
    today: Option<Date>,
}

impl Mention {
    fn is(self, date: Date) -> bool {
        self.day.is_none_or(|day| day == date.day())
            && self.month.is_none_or(|month| month == date.month())
            && self.year.is_none_or(|year| year == date.year())
    }
}

impl Days {
    /// Reads the days that `words` name, said on `today`.
    pub(super) fn read(words: &[Word<'_>], today: Option<Date>) -> Self {
        let mut days = Self {
            mentions: mentions(words),
            today,
            ..Self::default()
        };
        if days.mentions.iter().all(|mention| mention.day.is_none()) {
            days.mentions.extend(bare(words));
        }
        days.relative = relative(words);
        days.stays = stays(words);
        days.stays.truncate(MAX_STAYS);
        days.before = words
            .iter()
            .any(|word| matches!(word.text, "before" | "prior" | "earlier"));
        days
    }

    /// Whether a text of the arguments in lower case, in a member of this name, is no
    /// date or one that is named.
    pub(super) fn allow(&self, member: &str, text: &str) -> bool {
        if is_fact(member) {
            return true;
        }
        if let Some((date, zoned)) = date(text) {
            // What is a day here may be the one before or after elsewhere.
            let near = |days: i32| zoned && shifted(date, days).is_some_and(|date| self.has(date));
            return self.has(date) || near(1) || near(-1);
        }
        if text.len() > MAX_DATE_BYTES {
            return true;
        }
        let words = Word::all(text);
        // A text that is nothing but a date in words.
        let wholly = words.len() <= 3 && words.iter().any(|word| month(word.text).is_some());
        let given = mentions(&words)
            .into_iter()
            .find(|mention| mention.day.is_some());
        match given.filter(|given| wholly && given.month.is_some()) {
            Some(given) => self.mentions.iter().any(|said| {
                said.day.is_some_and(|day| given.day == Some(day))
                    && agree(said.month, given.month)
                    && agree(said.year, given.year)
            }),
            None => true,
        }
    }

    /// Whether a day is named, or follows from one that is.
    fn has(&self, date: Date) -> bool {
        let named = |days: i32| shifted(date, days).is_some_and(|date| self.names(date));
        let of_stay = |stay: &i32| named(-stay) || named(1 - stay) || (self.before && named(*stay));
        named(0) || named(-1) || self.stays.iter().any(of_stay) || self.is_now(date)
    }

    /// Whether a day is today where no day is named: what is asked for without a day is
    /// asked for now.
    fn is_now(&self, date: Date) -> bool {
        self.mentions.is_empty()
            && self.relative.is_empty()
            && self.today.is_some()
            && self.is_at(Relative::Within(0, 0), date)
    }

    fn names(&self, date: Date) -> bool {
        self.mentions.iter().any(|mention| mention.is(date))
            || self
                .relative
                .iter()
                .any(|relative| self.is_at(*relative, date))
    }

    fn is_at(&self, relative: Relative, date: Date) -> bool {
        let Some(today) = self.today else {
            return self.mentions.is_empty()
                && match relative {
                    Relative::Within(..) => true,
                    Relative::On(weekday) => date.weekday() == weekday,
                };
        };
        let away = today.until(date).map_or(i32::MAX, |span| span.get_days());
        // The user's day may not be the node's.
        match relative {
            Relative::Within(from, to) => (from - 1..=to + 1).contains(&away),
            Relative::On(weekday) => {
                date.weekday() == weekday && (-1..=WEEKDAY_WITHIN + 1).contains(&away)
            }
        }
    }
}

fn agree<T: PartialEq>(said: Option<T>, given: Option<T>) -> bool {
    match (said, given) {
        (Some(said), Some(given)) => said == given,
        _ => true,
    }
}

fn shifted(date: Date, days: i32) -> Option<Date> {
    date.checked_add(days.days()).ok()
}

/// Whether a member tells when something was or ends by itself: a fact about somebody
/// or something, not a day on which the call does anything.
fn is_fact(member: &str) -> bool {
    let spaced = spaced(member);
    Word::all(&spaced).iter().any(|word| {
        matches!(
            word.text,
            "dob" | "birth" | "birthdate" | "birthday" | "born" | "expiry" | "expires" | "issued"
        )
    })
}

/// The date that a text begins with, such as 2026-12-01 or the same with a time, and
/// whether it names a zone.
fn date(text: &str) -> Option<(Date, bool)> {
    let text = text.trim();
    let date = text.get(..10)?;
    let bytes = date.as_bytes();
    let shape = bytes.iter().enumerate().all(|(at, byte)| match at {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let rest = &text[10..];
    let ends = rest.is_empty() || rest.starts_with(['t', ' ']);
    if !shape || !ends {
        return None;
    }
    let number = |range| {
        date.get(range)
            .and_then(|digits: &str| digits.parse::<i16>().ok())
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    // A day that there is not is named by nobody.
    let date = date.unwrap_or(Date::MAX);
    let zoned = rest.len() > 5 && (rest.ends_with('z') || rest[5..].contains(['+', '-']));
    Some((date, zoned))
}

/// The number of a day: `5`, `05`, `5th`, `fifth`; and whether it can be nothing else.
fn day(word: &str) -> Option<(i8, bool)> {
    const ORDINALS: [&str; 12] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
        "tenth", "eleventh", "twelfth",
    ];
    if let Some(at) = ORDINALS.iter().position(|name| *name == word) {
        return Some((i8::try_from(at + 1).ok()?, false));
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let ordinal = match &word[digits.len()..] {
        "" => false,
        "st" | "nd" | "rd" | "th" => true,
        _ => return None,
    };
    let number = digits.parse().ok()?;
    (1..=31).contains(&number).then_some((number, ordinal))
}

fn year(word: &str) -> Option<i16> {
    let year = (word.len() == 4).then(|| word.parse().ok()).flatten()?;
    (1900..2200).contains(&year).then_some(year)
}

/// The days that are named with a month, as an ordinal or as a date in numbers.
fn mentions(words: &[Word<'_>]) -> Vec<Mention> {
    let mut found = Vec::new();
    for at in 0..words.len() {
        if let Some(month) = month(words[at].text) {
            of_month(words, at, month, &mut found);
        } else if day(words[at].text).is_some_and(|(_, ordinal)| ordinal) && !has_month(words, at) {
            let day = day(words[at].text).map(|(day, _)| day);
            found.push(Mention {
                day,
                ..Mention::default()
            });
        }
        in_numbers(&words[at..], &mut found);
    }
    found
}

/// Words between the days of one month: `the 13th to the 17th of May`.
fn joins(word: &str) -> bool {
    matches!(
        word,
        "the" | "of" | "to" | "and" | "or" | "until" | "till" | "through" | "thru" | "from"
    )
}

/// Whether a month follows or precedes the day at `at` with nothing but days between.
fn has_month(words: &[Word<'_>], at: usize) -> bool {
    let between = |word: &&Word<'_>| joins(word.text) || day(word.text).is_some();
    let is_month = |word: Option<&Word<'_>>| word.is_some_and(|word| month(word.text).is_some());
    is_month(words[at + 1..].iter().find(|word| !between(word)))
        || is_month(words[..at].iter().rev().find(|word| !between(word)))
}

/// The days of the month at `at`; the month alone where a word says that it is one.
fn of_month(words: &[Word<'_>], at: usize, month: i8, found: &mut Vec<Mention>) {
    let after = days(words[at + 1..].iter());
    let before = days(words[..at].iter().rev());
    let named = words[at + 1..]
        .iter()
        .find(|word| !joins(word.text) && day(word.text).is_none())
        .and_then(|word| year(word.text));
    // `May 1st to June 2nd 2026`: a year after the next month is that month's.
    let days = before.chain(after);
    let start = found.len();
    found.extend(days.map(|day| Mention {
        day: Some(day),
        month: Some(month),
        year: named,
    }));
    let preceded = at > 0
        && matches!(
            words[at - 1].text,
            "in" | "of"
                | "early"
                | "late"
                | "mid"
                | "next"
                | "this"
                | "until"
                | "through"
                | "during"
                | "since"
        );
    if found.len() == start && (preceded || named.is_some()) {
        found.push(Mention {
            day: None,
            month: Some(month),
            year: named,
        });
    }
}

/// The days at the beginning of `words`, with what joins them.
fn days<'a>(words: impl Iterator<Item = &'a Word<'a>>) -> impl Iterator<Item = i8> {
    let part = |word: &&'a Word<'a>| joins(word.text) || day(word.text).is_some();
    words
        .take_while(part)
        .filter_map(|word| day(word.text).map(|(day, _)| day))
}

/// A date in numbers at the beginning of `words`: 2026-12-01, 1.12.2026, 12/1.
fn in_numbers(words: &[Word<'_>], found: &mut Vec<Mention>) {
    let [first, second, rest @ ..] = words else {
        return;
    };
    let number = |word: &Word<'_>| {
        let digits = word.text.split('t').next().unwrap_or_default();
        (digits.len() <= 2)
            .then(|| digits.parse::<i8>().ok())
            .flatten()
    };
    let month_of = |number: i8| (1..=12).contains(&number).then_some(number);
    let day_of = |number: i8| (1..=31).contains(&number).then_some(number);
    if !matches!(first.gap, "-" | "/" | ".") {
        return;
    }
    if let (Some(year), Some(month)) = (year(first.text), number(second).and_then(month_of)) {
        let joined = second.gap == first.gap;
        let day = rest
            .first()
            .filter(|_| joined)
            .and_then(number)
            .and_then(day_of);
        found.push(Mention {
            day,
            month: Some(month),
            year: Some(year),
        });
        return;
    }
    let joined = second.gap == first.gap;
    let named = rest
        .first()
        .filter(|_| joined)
        .and_then(|word| year(word.text));
    // `1-5` and `4.5` are no dates.
    if named.is_none() && first.gap != "/" {
        return;
    }
    let (Some(one), Some(other)) = (number(first), number(second)) else {
        return;
    };
    for (day, month) in [(one, other), (other, one)] {
        if let (Some(day), Some(month)) = (day_of(day), month_of(month)) {
            found.push(Mention {
                day: Some(day),
                month: Some(month),
                year: named,
            });
        }
    }
}

/// Numbers that stand where a day would: `from 3 to 5`.
fn bare(words: &[Word<'_>]) -> Vec<Mention> {
    let is_day = |pair: &[Word<'_>]| {
        let [before, word] = pair else { return None };
        let place = matches!(
            before.text,
            "on" | "from" | "to" | "until" | "till" | "through" | "the" | "and" | "day"
        ) || day(before.text).is_some_and(|_| before.gap.trim() == "-");
        let (day, _) = day(word.text)
            .filter(|_| place && word.text.starts_with(|c: char| c.is_ascii_digit()))?;
        Some(Mention {
            day: Some(day),
            ..Mention::default()
        })
    };
    words.windows(2).filter_map(is_day).collect()
}

/// A small number in digits or letters.
fn small(word: &str) -> Option<i32> {
    const NAMES: [&str; 11] = [
        "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    ];
    if matches!(word, "one" | "an" | "single") {
        return Some(1);
    }
    if word == "couple" {
        return Some(2);
    }
    let at = NAMES.iter().position(|name| *name == word);
    match at {
        Some(at) => i32::try_from(at + 1).ok(),
        None => word
            .parse()
            .ok()
            .filter(|number| (1..=366).contains(number)),
    }
}

/// Days of a unit of time.
fn unit(word: &str) -> Option<i32> {
    match word {
        "day" | "days" | "night" | "nights" => Some(1),
        "week" | "weeks" => Some(7),
        "month" | "months" => Some(31),
        _ => None,
    }
}

/// Lengths that are named: `two weeks`, `2 or 3 nights`, `overnight`.
fn stays(words: &[Word<'_>]) -> Vec<i32> {
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match word.text {
            "fortnight" => found.push(14),
            "weekend" => found.extend([1, 2, 3]),
            _ => {}
        }
        let Some(unit) = unit(word.text) else {
            continue;
        };
        let part = |word: &&Word<'_>| {
            small(word.text).is_some() || matches!(word.text, "or" | "to" | "of")
        };
        let before = words[..at].iter().rev().take(4).take_while(part);
        found.extend(
            before
                .filter_map(|word| small(word.text))
                .map(|number| number * unit),
        );
    }
    found
}

/// Days that are named by how far away they are.
fn relative(words: &[Word<'_>]) -> Vec<Relative> {
    use Relative::{On, Within};
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| words[at].text);
        let near =
            before.is_some_and(|before| matches!(before, "this" | "next" | "coming" | "following"));
        match word.text {
            "today" | "tonight" | "now" => found.push(Within(0, 0)),
            "tomorrow" => found.push(Within(1, 2)),
            "monday" | "mondays" => found.push(On(Weekday::Monday)),
            "tuesday" | "tuesdays" => found.push(On(Weekday::Tuesday)),
            "wednesday" | "wednesdays" => found.push(On(Weekday::Wednesday)),
            "thursday" | "thursdays" => found.push(On(Weekday::Thursday)),
            "friday" | "fridays" => found.push(On(Weekday::Friday)),
            "saturday" | "saturdays" => found.push(On(Weekday::Saturday)),
            "sunday" | "sundays" => found.push(On(Weekday::Sunday)),
            "weekend" | "weekends" => found.extend([
                On(Weekday::Friday),
                On(Weekday::Saturday),
                On(Weekday::Sunday),
            ]),
            "week" if near => found.push(Within(0, 14)),
            "month" if near => found.push(Within(0, 62)),
            "in" => {
                let number = words.get(at + 1).and_then(|word| small(word.text));
                let unit = words.get(at + 2).and_then(|word| unit(word.text));
                if let (Some(number), Some(unit)) = (number, unit) {
                    let away = number * unit;
                    found.push(Within(away - unit / 7, away + unit / 7));
                }
            }
            _ => {}
        }
    }
    found
}
