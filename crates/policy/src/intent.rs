//! Whether the user's own words ask for what a call does.
//!
//! A client may pass on what its user wrote. Then a call that changes something is
//! *anchored* if its verb is among these words and if every address, web address and
//! day in its arguments is too. What a document says to do seldom is. Whoever writes the
//! document can guess at the user's words, so this is a reason to ask, not a boundary.
//!
//! # Invariants
//!
//! * Pure and bounded: words beyond [`MAX_WORDS_BYTES`] and values beyond
//!   [`MAX_VALUES`] are not looked at, and what was not looked at is not anchored.

use std::collections::HashSet;

use serde_json::Value;

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

    /// Judges a call of `tool` with `arguments` by the `words` of its user.
    #[must_use]
    pub fn of(words: &str, tool: &str, arguments: &Value) -> Self {
        if words.len() > MAX_WORDS_BYTES {
            return Self::Unanchored;
        }
        let lower = words.to_lowercase();
        let tokens: HashSet<&str> = tokens(&lower).collect();
        let mut left = MAX_VALUES;
        match asks_for(&tokens, tool) && values_are_in(&lower, &tokens, arguments, &mut left) {
            true => Self::Anchored,
            false => Self::Unanchored,
        }
    }
}

/// Words that ask for the same thing.
const VERBS: [&[&str]; 7] = [
    &[
        "create", "add", "make", "new", "schedule", "plan", "set", "insert", "put", "save", "write",
    ],
    &[
        "book",
        "reserve",
        "reservation",
        "booking",
        "hold",
        "arrange",
        "stay",
        "rent",
    ],
    &[
        "cancel", "delete", "remove", "drop", "clear", "revoke", "end",
    ],
    &[
        "send", "mail", "email", "message", "text", "share", "forward", "reply", "post", "invite",
        "tell", "notify", "inform", "ask", "report",
    ],
    &[
        "update",
        "change",
        "modify",
        "edit",
        "move",
        "reschedule",
        "rename",
        "correct",
        "adjust",
        "replace",
    ],
    &[
        "pay", "transfer", "buy", "purchase", "order", "refund", "charge", "settle", "complete",
        "confirm", "finish",
    ],
    &[
        "upload", "append", "submit", "register", "publish", "attach", "upgrade", "exchange",
    ],
];

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|token| !token.is_empty())
}

/// Whether a word of the user has the meaning of a verb in the tool's name. A tool
/// whose name has no verb that is known is asked for by any word of its name.
fn asks_for(words: &HashSet<&str>, tool: &str) -> bool {
    let spaced = spaced(tool);
    let name: Vec<&str> = tokens(&spaced).collect();
    let kinds: Vec<_> = VERBS
        .iter()
        .filter(|kind| {
            name.iter()
                .any(|part| kind.iter().any(|verb| is_form(part, verb)))
        })
        .collect();
    let says = |verb: &str| words.iter().any(|word| is_form(word, verb));
    match kinds.is_empty() {
        true => name.iter().any(|part| says(part)),
        false => kinds.iter().any(|kind| kind.iter().any(|verb| says(verb))),
    }
}

/// `cancelBooking` and `cancel-booking` as `cancel booking`, in lower case.
fn spaced(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if c.is_uppercase() {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
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

/// Whether every value that could lead elsewhere is in the user's words.
fn values_are_in(words: &str, tokens: &HashSet<&str>, value: &Value, left: &mut usize) -> bool {
    if *left == 0 {
        return false;
    }
    *left -= 1;
    match value {
        Value::String(text) => text_is_in(words, tokens, text),
        Value::Array(items) => items
            .iter()
            .all(|item| values_are_in(words, tokens, item, left)),
        Value::Object(members) => {
            (members.values()).all(|member| values_are_in(words, tokens, member, left))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn text_is_in(words: &str, tokens: &HashSet<&str>, text: &str) -> bool {
    let lower = text.to_lowercase();
    let outward = |piece: &&str| {
        let at = piece.find('@');
        at.is_some_and(|at| at > 0 && piece[at..].contains('.'))
            || piece.contains("://")
            || piece.starts_with("www.")
    };
    let separators = |c: char| c.is_whitespace() || "<>(),;\"'".contains(c);
    let mut pieces = lower.split(separators).filter(outward);
    let said = pieces.all(|piece| words.contains(piece.trim_end_matches(['.', '/', '!', '?'])));
    said && day(&lower).is_none_or(|day| has_day(tokens, day))
}

/// The day of a text that is a date, such as 2026-12-01 or the same with a time.
fn day(text: &str) -> Option<u8> {
    let date = text.get(..10)?;
    let bytes = date.as_bytes();
    let shape = bytes.iter().enumerate().all(|(at, byte)| match at {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let ends = text
        .as_bytes()
        .get(10)
        .is_none_or(|byte| matches!(byte, b't' | b' '));
    (shape && ends).then(|| date[8..].parse().ok()).flatten()
}

/// Whether the words name this day: `1`, `01`, `1st`. Words for days that depend on
/// today (`tomorrow`) cannot be checked here, so they count as naming it.
fn has_day(tokens: &HashSet<&str>, day: u8) -> bool {
    const RELATIVE: [&str; 14] = [
        "today", "tonight", "tomorrow", "weekend", "week", "month", "nights", "night", "days",
        "monday", "friday", "saturday", "sunday", "next",
    ];
    let named = |token: &&&str| {
        let digits = token.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        digits.parse() == Ok(day)
    };
    tokens.iter().find(named).is_some() || RELATIVE.iter().any(|word| tokens.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(words: &str, tool: &str, arguments: &Value, expected: Intent) {
        assert_eq!(
            Intent::of(words, tool, arguments),
            expected,
            "{words} / {tool} / {arguments}"
        );
    }

    #[test]
    fn what_the_user_asked_for_is_anchored() {
        let stay = json!({"hotel": "City Hub", "start": "2026-12-01", "end": "2026-12-05"});
        let words = "Please book me the City Hub from December 1st to 5";
        check(words, "reserve_hotel", &stay, Intent::Anchored);
        check(
            "cancel it",
            "cancelBooking",
            &json!({"id": "b-1"}),
            Intent::Anchored,
        );
        check(
            "Cancelling my trip, sorry",
            "cancel_booking",
            &json!({}),
            Intent::Anchored,
        );
        let mail = json!({"recipients": ["Ann@Example.org"], "body": "see you"});
        check(
            "email ann@example.org that I come",
            "send_email",
            &mail,
            Intent::Anchored,
        );
        check(
            "hotel for two nights",
            "create_hotel",
            &json!({}),
            Intent::Unanchored,
        );
    }

    #[test]
    fn what_only_a_document_says_is_not() {
        let words = "Which hotel in Paris has the best reviews?";
        check(
            words,
            "reserve_hotel",
            &json!({"hotel": "Riverside"}),
            Intent::Unanchored,
        );
        let mail = json!({"to": "mark.black-2134@gmail.example", "body": "hi"});
        check(
            "send my wife a summary",
            "send_email",
            &mail,
            Intent::Unanchored,
        );
        let link = json!({"body": "see https://evil.example/a?d=1"});
        check("send a summary", "send_email", &link, Intent::Unanchored);
        let other = json!({"start": "2026-12-09T10:00:00Z"});
        check("book it for the 10th", "book", &other, Intent::Unanchored);
        check(
            &"book ".repeat(MAX_WORDS_BYTES),
            "book",
            &json!({}),
            Intent::Unanchored,
        );
        check(
            "book",
            "book",
            &json!(vec![1; MAX_VALUES]),
            Intent::Unanchored,
        );
    }

    #[test]
    fn verbs_have_their_forms_and_no_others() {
        for word in ["book", "books", "booked", "booking"] {
            assert!(is_form(word, "book"), "{word}");
        }
        for word in ["bookshop", "boo", "ebook", ""] {
            assert!(!is_form(word, "book"), "{word}");
        }
        assert!(is_form("cancelled", "cancel") && is_form("reserving", "reserve"));
        assert!(is_form("cancellation", "cancel"));
    }
}
