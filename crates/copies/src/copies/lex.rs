//! Hand-written lexers, as exact as finding copies needs.
//!
//! # Invariants
//!
//! * Linear in the length of the text, whatever it holds, and never past its end.
//! * White space, comments and documentation strings leave no token.
//!
//! A token is 30 bits of a hash of its text below two bits that say what it is. A parse
//! would cost 25 times as much (measured: 10 MB against 250 MB per CPU second).

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use crate::source::Language;

/// Bits that tell what a token is.
const KIND: u32 = 0b11 << 30;
/// A name.
const NAME: u32 = 0b01 << 30;
/// A number or a text.
const LITERAL: u32 = 0b10 << 30;

/// Returns whether the token is a name.
pub(super) fn is_name(token: u32) -> bool {
    token & KIND == NAME
}

/// Returns the token without what a renaming changes.
pub(super) fn blind(token: u32) -> u32 {
    match token & KIND {
        0 => token,
        kind => kind,
    }
}

/// Returns the token of a word that is no name.
pub(super) fn word(text: &str) -> u32 {
    code(text.as_bytes())
}

/// Returns the token of a name.
pub(super) fn name(text: &[u8]) -> u32 {
    code(text) | NAME
}

/// The tokens of one file, and the line of each, from 1.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) codes: Vec<u32>,
    pub(crate) lines: Vec<u32>,
}

/// Words of each language that are not names.
static WORDS: LazyLock<[FxHashSet<&'static [u8]>; 5]> = LazyLock::new(|| {
    [
        "False None True and as assert async await break class continue def del elif else except \
         finally for from global if import in is lambda nonlocal not or pass raise return try \
         while with yield match case self cls",
        "abstract any as async await boolean break case catch class const continue debugger declare \
         default delete do else enum export extends false finally for from function get if \
         implements import in instanceof interface let namespace new null number of private \
         protected public readonly return set static string super switch this throw true try type \
         typeof undefined unknown var void while with yield",
        "break case chan const continue default defer else fallthrough for func go goto if import \
         interface map package range return select struct switch type var nil true false error \
         string int bool byte",
        "as async await break const continue crate dyn else enum extern false fn for if impl in let \
         loop match mod move mut pub ref return self Self static struct super trait true type \
         unsafe use where while",
        "abstract assert boolean break byte case catch char class const continue default do double \
         else enum extends final finally float for if implements import instanceof int interface \
         long native new null package private protected public return short static super switch \
         synchronized this throw throws transient true try var void volatile while record false",
    ]
    .map(|words| words.split_ascii_whitespace().map(str::as_bytes).collect())
});

fn words(language: Language) -> &'static FxHashSet<&'static [u8]> {
    let at = match language {
        Language::Python => 0,
        Language::Javascript | Language::Typescript | Language::Tsx => 1,
        Language::Go => 2,
        Language::Rust => 3,
        Language::Java => 4,
    };
    &WORDS[at]
}

/// Returns the tokens of `text`.
pub(crate) fn lex(language: Language, text: &[u8]) -> Tokens {
    let mut lexer = Lexer {
        text,
        at: 0,
        line: 1,
        fresh: true,
        depth: 0,
        tokens: Tokens::default(),
        words: words(language),
    };
    lexer.tokens.codes.reserve(text.len() / 6);
    lexer.tokens.lines.reserve(text.len() / 6);
    while lexer.at < text.len() {
        match language {
            Language::Python => lexer.python(),
            Language::Javascript | Language::Typescript | Language::Tsx => lexer.script(),
            Language::Go => lexer.go(),
            Language::Rust => lexer.rust(),
            Language::Java => lexer.java(),
        }
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    /// Whether no token was seen since the line began.
    fresh: bool,
    /// Open brackets, for Python.
    depth: usize,
    tokens: Tokens,
    words: &'static FxHashSet<&'static [u8]>,
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn code(text: &[u8]) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    ((hash ^ (hash >> 32)) as u32) & !KIND
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn starts(&self, with: &[u8]) -> bool {
        self.text[self.at..].starts_with(with)
    }

    fn emit(&mut self, code: u32, line: u32) {
        self.tokens.codes.push(code);
        self.tokens.lines.push(line);
        self.fresh = false;
    }

    /// Moves to `end`, counting lines.
    fn go_to(&mut self, end: usize) {
        let end = end.min(self.text.len());
        let passed = &self.text[self.at..end];
        self.line += memchr::memchr_iter(b'\n', passed).count() as u32;
        self.at = end;
    }

    /// Skips white space; returns whether it did.
    fn space(&mut self) -> bool {
        match self.peek(0) {
            b'\n' => {
                self.line += 1;
                self.at += 1;
                self.fresh = true;
                true
            }
            byte if byte.is_ascii_whitespace() => {
                self.at += 1;
                true
            }
            _ => false,
        }
    }

    fn line_comment(&mut self) {
        let rest = &self.text[self.at..];
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += end;
    }

    fn block_comment(&mut self) {
        let rest = &self.text[self.at + 2..];
        let end = memchr::memmem::find(rest, b"*/").map_or(self.text.len(), |at| at + self.at + 4);
        self.go_to(end);
    }

    fn nested_comment(&mut self) {
        let (mut depth, mut end) = (0_usize, self.at);
        while end < self.text.len() {
            match &self.text[end..self.text.len().min(end + 2)] {
                b"/*" => (depth, end) = (depth + 1, end + 2),
                b"*/" => (depth, end) = (depth - 1, end + 2),
                _ => end += 1,
            }
            if depth == 0 {
                break;
            }
        }
        self.go_to(end);
    }

    /// Skips comments of the C family; returns whether it did.
    fn slashes(&mut self, is_nested: bool) -> bool {
        if self.peek(0) != b'/' {
            return false;
        }
        match self.peek(1) {
            b'/' => self.line_comment(),
            b'*' if is_nested => self.nested_comment(),
            b'*' => self.block_comment(),
            _ => return false,
        }
        true
    }

    fn literal(&mut self, end: usize) {
        let (line, end) = (self.line, end.min(self.text.len()));
        let code = code(&self.text[self.at..end]) | LITERAL;
        self.go_to(end);
        self.emit(code, line);
    }

    /// Returns the end of a text that begins `skip` ahead and is closed by `quote`.
    fn quoted(&self, skip: usize, quote: u8, over_lines: bool) -> usize {
        let mut end = self.at + skip;
        while let Some(byte) = self.text.get(end) {
            match byte {
                b'\\' => end += 2,
                b'\n' if !over_lines => return end,
                byte if *byte == quote => return end + 1,
                _ => end += 1,
            }
        }
        self.text.len()
    }

    fn tripled(&self, skip: usize, quotes: &[u8; 3]) -> usize {
        let mut end = (self.at + skip).min(self.text.len());
        while let Some(found) = memchr::memchr2(quotes[0], b'\\', &self.text[end..]) {
            end += found;
            if self.text[end] == b'\\' {
                end = (end + 2).min(self.text.len());
            } else if self.text[end..].starts_with(quotes) {
                return end + 3;
            } else {
                end += 1;
            }
        }
        self.text.len()
    }

    fn word(&mut self) {
        let begin = self.at;
        while self.at < self.text.len() && is_word(self.text[self.at]) {
            self.at += 1;
        }
        let text = &self.text[begin..self.at];
        let kind = match text.len() <= 12 && self.words.contains(text) {
            true => 0,
            false => NAME,
        };
        let (code, line) = (code(text) | kind, self.line);
        self.emit(code, line);
    }

    fn number(&mut self) {
        let mut end = self.at + 1;
        while let Some(byte) = self.text.get(end) {
            let is_fraction =
                *byte == b'.' && self.text.get(end + 1).is_some_and(u8::is_ascii_digit);
            if !(is_word(*byte) || is_fraction) {
                break;
            }
            end += 1;
        }
        self.literal(end);
    }

    /// Reads what all languages have in common.
    fn plain(&mut self) {
        let byte = self.peek(0);
        if byte.is_ascii_digit() {
            self.number();
        } else if is_word(byte) {
            self.word();
        } else {
            let line = self.line;
            self.at += 1;
            self.emit(u32::from(byte), line);
        }
    }

    fn python(&mut self) {
        if self.space() {
            return;
        }
        match self.peek(0) {
            b'#' => self.line_comment(),
            b'\\' if self.peek(1) == b'\n' => {
                self.at += 2;
                self.line += 1;
            }
            open @ (b'(' | b'[' | b'{') => {
                self.depth += 1;
                let line = self.line;
                self.at += 1;
                self.emit(u32::from(open), line);
            }
            close @ (b')' | b']' | b'}') => {
                self.depth = self.depth.saturating_sub(1);
                let line = self.line;
                self.at += 1;
                self.emit(u32::from(close), line);
            }
            _ => match self.python_text() {
                Some(end) if self.is_documentation(end) => self.go_to(end),
                Some(end) => self.literal(end),
                None => self.plain(),
            },
        }
    }

    /// Returns the end of the text that begins here, if one does.
    fn python_text(&self) -> Option<usize> {
        let mut prefix = 0;
        while prefix < 2 && matches!(self.peek(prefix) | 0x20, b'r' | b'b' | b'f' | b'u') {
            prefix += 1;
        }
        let quote = self.peek(prefix);
        if !matches!(quote, b'"' | b'\'') {
            return None;
        }
        let is_triple = self.peek(prefix + 1) == quote && self.peek(prefix + 2) == quote;
        Some(match is_triple {
            true => self.tripled(prefix + 3, &[quote; 3]),
            false => self.quoted(prefix + 1, quote, false),
        })
    }

    /// Returns whether a text that ends at `end` is a statement of its own.
    fn is_documentation(&self, end: usize) -> bool {
        let rest = &self.text[end.min(self.text.len())..];
        let next = rest
            .iter()
            .find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        self.fresh && self.depth == 0 && matches!(next, None | Some(b'\n' | b'#'))
    }

    fn script(&mut self) {
        if self.space() || self.slashes(false) {
            return;
        }
        match self.peek(0) {
            quote @ (b'"' | b'\'') => self.literal(self.quoted(1, quote, false)),
            b'`' => self.literal(self.template()),
            b'/' if self.is_pattern() => {
                let end = self.pattern();
                self.literal(end);
            }
            _ => self.plain(),
        }
    }

    fn template(&self) -> usize {
        let (mut end, mut depth) = (self.at + 1, 0_usize);
        while let Some(byte) = self.text.get(end) {
            match byte {
                b'\\' => end += 1,
                b'`' if depth == 0 => return end + 1,
                b'$' if self.text.get(end + 1) == Some(&b'{') => {
                    depth += 1;
                    end += 1;
                }
                b'{' if depth > 0 => depth += 1,
                b'}' if depth > 0 => depth -= 1,
                _ => {}
            }
            end += 1;
        }
        self.text.len()
    }

    /// Returns whether a slash begins a regular expression: it does where no value ends.
    fn is_pattern(&self) -> bool {
        match self.tokens.codes.last() {
            None => true,
            Some(last) if last & KIND != 0 => false,
            Some(last) => {
                let closes = [b')', b']', b'}'].map(u32::from).contains(last);
                let is_value = [&b"this"[..], b"super", b"null", b"true", b"false"]
                    .iter()
                    .any(|word| code(word) == *last);
                !closes && !is_value
            }
        }
    }

    fn pattern(&self) -> usize {
        let (mut end, mut in_set) = (self.at + 1, false);
        while let Some(byte) = self.text.get(end) {
            match byte {
                b'\\' => end += 1,
                b'\n' => return self.at + 1,
                b'[' => in_set = true,
                b']' => in_set = false,
                b'/' if !in_set => {
                    end += 1;
                    break;
                }
                _ => {}
            }
            end += 1;
        }
        while self.text.get(end).is_some_and(u8::is_ascii_alphabetic) {
            end += 1;
        }
        end
    }

    fn go(&mut self) {
        if self.space() || self.slashes(false) {
            return;
        }
        match self.peek(0) {
            quote @ (b'"' | b'\'') => self.literal(self.quoted(1, quote, false)),
            b'`' => {
                let rest = &self.text[self.at + 1..];
                let end = memchr::memchr(b'`', rest).map_or(self.text.len(), |at| self.at + at + 2);
                self.literal(end);
            }
            _ => self.plain(),
        }
    }

    fn rust(&mut self) {
        if self.space() || self.slashes(true) {
            return;
        }
        match self.peek(0) {
            b'"' => self.literal(self.quoted(1, b'"', true)),
            b'b' if self.peek(1) == b'"' => self.literal(self.quoted(2, b'"', true)),
            b'r' | b'b' => match self.raw() {
                Some(end) => self.literal(end),
                None => self.plain(),
            },
            b'\'' if self.peek(1) == b'\\' || self.peek(2) == b'\'' => {
                self.literal(self.quoted(1, b'\'', false));
            }
            _ => self.plain(),
        }
    }

    /// Returns the end of the raw text that begins here, if one does.
    fn raw(&self) -> Option<usize> {
        let skip = if self.starts(b"br") { 2 } else { 1 };
        let hashes = self.text[(self.at + skip).min(self.text.len())..]
            .iter()
            .take_while(|byte| **byte == b'#')
            .count();
        let is_raw = self.peek(skip - 1) == b'r' && self.peek(skip + hashes) == b'"';
        if !is_raw {
            return None;
        }
        let mut end = self.at + skip + hashes + 1;
        while let Some(found) = memchr::memchr(b'"', self.text.get(end..)?) {
            end += found + 1;
            let closing = self.text[end..].iter().take_while(|byte| **byte == b'#');
            if closing.take(hashes).count() == hashes {
                return Some(end + hashes);
            }
        }
        Some(self.text.len())
    }

    fn java(&mut self) {
        if self.space() || self.slashes(false) {
            return;
        }
        match self.peek(0) {
            b'"' if self.starts(b"\"\"\"") => self.literal(self.tripled(3, b"\"\"\"")),
            quote @ (b'"' | b'\'') => self.literal(self.quoted(1, quote, false)),
            _ => self.plain(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(language: Language, text: &str, tokens: usize) {
        let found = lex(language, text.as_bytes());
        assert_eq!(found.codes.len(), tokens, "{language:?}: {text}");
        assert_eq!(found.lines.len(), tokens);
    }

    #[test]
    fn comments_and_documentation_leave_nothing() {
        check(
            Language::Python,
            "# a\n\"\"\"doc\nmore\"\"\"\nx = 1 # b\n'doc'\n",
            3,
        );
        check(Language::Python, "f(\n'text'\n)", 4);
        check(Language::Typescript, "// a\n/* b\n*/ let x = 1;", 5);
        check(Language::Rust, "/* a /* b */ c */ let x = 1;", 5);
        check(Language::Go, "// a\nx := `raw\n//`", 4);
        check(Language::Java, "String s = \"\"\"\n a // b\n\"\"\";", 5);
    }

    #[test]
    fn literals_of_each_language_are_one_token() {
        check(Language::Python, "x = rb'a\\'b'", 3);
        check(Language::Typescript, "`a${f({b: `c`})}d`", 1);
        check(Language::Javascript, "x = /[/]\\//g", 3);
        check(Language::Javascript, "a / b / c", 5);
        check(Language::Rust, "r#\"a\"b\"# b\"c\" 'd' '\\n' 'e: x", 8);
        check(Language::Java, "'\\'' + 1.5e3", 3);
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let text = "a\n/* b\n */ c `d\ne` f";
        let tokens = lex(Language::Javascript, text.as_bytes());
        assert_eq!(tokens.lines, [1, 3, 3, 4]);
    }

    #[test]
    fn text_that_ends_in_the_middle_of_anything_ends() {
        let starts = [
            "\"", "'", "`", "`${", "/*", "/* /*", "r#\"", "\"\"\"", "'''", "\\", "/", "/[", "br",
            "b", "'\\", "\"\\",
        ];
        for language in Language::ALL {
            for start in starts {
                lex(language, start.as_bytes());
                lex(language, format!("x {start}").as_bytes());
            }
        }
    }
}
