//! Characters that a person does not see and a model reads.

use std::ops::Range;

use crate::{
    fold::is_invisible,
    rule::{Group, Rule},
    view::View,
};

static TAGS: Rule = Rule::new(
    "hidden.tags",
    Group::Hidden,
    "tag characters (U+E0000), which spell ASCII invisibly",
);
static VARIATION: Rule = Rule::new(
    "hidden.variation",
    Group::Hidden,
    "variation selectors in a row, which spell bytes invisibly",
);
static BIDI: Rule = Rule::new(
    "hidden.bidi",
    Group::Hidden,
    "characters that turn the direction of what follows",
);
static ZERO_WIDTH: Rule = Rule::new(
    "hidden.zero-width",
    Group::Hidden,
    "characters without width beside Latin letters and digits",
);
static CONTROL: Rule = Rule::new(
    "hidden.control",
    Group::Hidden,
    "control characters, such as escape sequences of terminals",
);

pub(crate) const RULES: [&Rule; 5] = [&TAGS, &VARIATION, &BIDI, &ZERO_WIDTH, &CONTROL];

/// Calls `hit` with every run of hidden characters.
pub(crate) fn find(text: &str, mut hit: impl FnMut(&'static Rule, Range<usize>)) {
    let mut characters = text.char_indices().peekable();
    let mut before = None;
    while let Some((start, first)) = characters.next() {
        if !is_hidden(first) {
            before = Some(first);
            continue;
        }
        let mut run = Run::new(start, first);
        while let Some((at, next)) = characters.next_if(|(_, next)| is_hidden(*next)) {
            run.push(at, next);
        }
        let after = characters.peek().map(|(_, character)| *character);
        if let Some(rule) = run.rule(before, after) {
            hit(rule, run.span);
        }
    }
}

fn is_hidden(character: char) -> bool {
    is_invisible(character) || character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

struct Run {
    span: Range<usize>,
    first: char,
    last: char,
    count: usize,
    tags: bool,
    bidi: bool,
    control: bool,
    variations: usize,
}

impl Run {
    fn new(at: usize, first: char) -> Self {
        let mut run = Self {
            span: at..at,
            first,
            last: first,
            count: 0,
            tags: false,
            bidi: false,
            control: false,
            variations: 0,
        };
        run.push(at, first);
        run
    }

    fn push(&mut self, at: usize, character: char) {
        self.span.end = at + character.len_utf8();
        self.last = character;
        self.count += 1;
        self.tags |= matches!(character, '\u{e0000}'..='\u{e007f}');
        // Marks (U+200E, U+200F) are what text of two directions is written with, and
        // isolates what programs put around names.
        self.bidi |= matches!(character, '\u{202a}'..='\u{202b}' | '\u{202d}'..='\u{202e}');
        self.control |= character.is_control();
        self.variations += usize::from(is_variation(character));
    }

    fn rule(&self, before: Option<char>, after: Option<char>) -> Option<&'static Rule> {
        let latin = |near: Option<char>| near.is_some_and(|near| near.is_ascii_alphanumeric());
        if self.tags {
            // Flags of England, Scotland and Wales are spelled with tags.
            let flag = before == Some('\u{1f3f4}') && self.last == '\u{e007f}';
            return (!flag || self.count > 7).then_some(&TAGS);
        }
        if self.variations > 1 || self.variations == 1 && latin(before) && !is_keycap(before, after)
        {
            return Some(&VARIATION);
        }
        if self.bidi {
            return Some(&BIDI);
        }
        if self.control {
            return Some(&CONTROL);
        }
        let begins_file = self.span.start == 0 && self.first == '\u{feff}' && self.count == 1;
        let beside = latin(before) || latin(after);
        // A soft hyphen or a place to break a long word is ordinary in pages; a row of
        // them is not.
        let soft = self.count == 1 && matches!(self.first, '\u{ad}' | '\u{200b}');
        let marks = matches!(
            self.first,
            '\u{200e}' | '\u{200f}' | '\u{2066}'..='\u{2069}' | '\u{202c}'
        );
        let splits = latin(before) && latin(after);
        let counts = self.variations == 0 && !begins_file && !marks;
        (counts
            && (self.count > 2 || splits && !is_soft_hyphen(self.first, soft) || beside && !soft))
            .then_some(&ZERO_WIDTH)
    }
}

fn is_soft_hyphen(first: char, soft: bool) -> bool {
    soft && first == '\u{ad}'
}

fn is_variation(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn is_keycap(before: Option<char>, after: Option<char>) -> bool {
    before.is_some_and(|digit| digit.is_ascii_digit()) && after == Some('\u{20e3}')
}

/// Returns what is spelled by tag characters and variation selectors; none if that is
/// less than a word.
pub(crate) fn spelled(text: &str) -> Option<View<'static>> {
    const SHORTEST: usize = 4;
    let parts = || {
        text.char_indices().filter_map(|(at, character)| {
            let code = u32::from(character);
            let spelled = match character {
                '\u{e0020}'..='\u{e007e}' => code - 0xe0000,
                // The byte that stands for each selector.
                '\u{e0100}'..='\u{e01ef}' => code - 0xe0100 + 16,
                _ => return None,
            };
            let spelled = char::from_u32(spelled).filter(char::is_ascii)?;
            Some((spelled, at..at + character.len_utf8()))
        })
    };
    (parts().take(SHORTEST).count() == SHORTEST).then(|| View::spelled(parts()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        find(text, |rule, span| {
            assert!(text.get(span).is_some());
            found.push(rule.id);
        });
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn hidden_characters_are_found() {
        check("a\u{e0041}\u{e0042}", &["hidden.tags"]);
        check("x\u{e0155}\u{e0156}", &["hidden.variation"]);
        check("abc\u{202e}def", &["hidden.bidi"]);
        check("ig\u{200b}nore", &["hidden.zero-width"]);
        check("ig\u{200d}nore a\u{200c} b", &["hidden.zero-width"; 2]);
        check("日\u{2064}\u{2062}\u{2064}本", &["hidden.zero-width"]);
        check("\u{1b}[2Jx\u{8}", &["hidden.control", "hidden.control"]);
    }

    #[test]
    fn what_ordinary_text_is_made_of_is_not_hidden() {
        for text in [
            "tab\tline\r\n",
            "\u{feff}start of a file",
            "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f} 1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "می\u{200c}خواهم",
            "hy\u{ad}phen",
            "\u{2068}name\u{2069} \u{200f}עברית\u{200f}",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn what_they_spell_is_read() {
        let text: String = "ignore"
            .chars()
            .map(|c| char::from_u32(0xe0000 + u32::from(c)).unwrap())
            .collect();
        let view = spelled(&text).unwrap();
        assert_eq!(view.text, "ignore");
        assert_eq!(view.origin(0..6), 0..text.len());
    }
}
