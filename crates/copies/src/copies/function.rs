//! The functions of a file and their statements, as its tokens show them.
//!
//! # Invariants
//!
//! * One pass over the tokens, whatever they are; functions inside others are looked at
//!   together with them.
//! * A statement is known by what it says: two that are equal but for layout and comments
//!   are the same. Those of a single token (`else`, `break`) do not count.
//!
//! No syntax tree is made: that would cost 25 times as much. What looks like the head of a
//! function and is none gives a function that nothing is like.

use super::lex::{self, Tokens};
use crate::source::{Language, Source};

/// Statements up to which a function is looked at.
pub(super) const MOST_STATEMENTS: usize = 5_000;
/// Statements from which on a function is kept: shorter ones are alike by chance.
pub(super) const LEAST_STATEMENTS: usize = 8;
/// Bits of a statement that tell how many tokens it has.
const COUNT: u32 = 6;
/// Deepest nesting of brackets that is followed; what is deeper has no functions.
const MOST_DEPTH: usize = 200;

/// A statement: 26 bits of a hash of its tokens, and how many those are, up to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Statement(pub(super) u32);

impl Statement {
    fn of(codes: &[u32]) -> Self {
        let hash = codes
            .iter()
            .fold(0x51_7c_c1_b7_27_22_0a_95_u64, |hash, code| {
                let mixed = (hash ^ u64::from(*code)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                mixed ^ (mixed >> 29)
            });
        let most = (1 << COUNT) - 1;
        let count = u32::try_from(codes.len()).unwrap_or(most).min(most);
        Self((hash >> 32) as u32 & !most | count)
    }

    /// Returns how many tokens it has.
    pub(super) fn tokens(self) -> u32 {
        self.0 & ((1 << COUNT) - 1)
    }
}

/// A function of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub(super) name: String,
    /// First and last line.
    pub(super) lines: (u32, u32),
    pub(super) statements: Vec<Statement>,
}

/// Returns the functions of `source` that are long enough to compare, by line.
pub(super) fn functions(source: &Source, tokens: &Tokens) -> Vec<Function> {
    let reader = Reader {
        source,
        tokens,
        starts: OnceStarts::default(),
    };
    let bodies = match source.language {
        Language::Python => reader.by_indentation(),
        _ => reader.by_braces(),
    };
    let mut found: Vec<Function> = bodies
        .into_iter()
        .filter_map(|body| reader.function(&body))
        .collect();
    found.sort_by_key(|one| one.lines);
    found
}

/// Where a function is: its name and its body, as places of tokens.
#[derive(Debug)]
struct Body {
    name: usize,
    from: usize,
    to: usize,
}

/// Where lines begin, once somebody asks.
#[derive(Default)]
struct OnceStarts(std::cell::OnceCell<Vec<usize>>);

struct Reader<'t> {
    source: &'t Source,
    tokens: &'t Tokens,
    starts: OnceStarts,
}

impl Reader<'_> {
    fn is(&self, at: usize, byte: u8) -> bool {
        self.tokens.codes.get(at) == Some(&u32::from(byte))
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.codes.get(at) == Some(&lex::word(word))
    }

    fn is_name(&self, at: usize) -> bool {
        self.tokens
            .codes
            .get(at)
            .is_some_and(|code| lex::is_name(*code))
    }

    /// Returns the text of a line, from 1.
    fn line(&self, line: u32) -> &[u8] {
        let text = &self.source.text;
        let starts = self.starts.0.get_or_init(|| {
            let ends = memchr::memchr_iter(b'\n', text).map(|at| at + 1);
            std::iter::once(0).chain(ends).collect()
        });
        let from = starts.get(line as usize - 1).copied().unwrap_or(text.len());
        let to = starts.get(line as usize).copied().unwrap_or(text.len());
        &text[from..to]
    }

    fn function(&self, body: &Body) -> Option<Function> {
        let statements = self.statements(body.from, body.to);
        let is_whole = (LEAST_STATEMENTS..=MOST_STATEMENTS).contains(&statements.len());
        is_whole.then(|| Function {
            name: self.name(body.name),
            lines: (self.tokens.lines[body.name], self.last_line(body)),
            statements,
        })
    }

    fn last_line(&self, body: &Body) -> u32 {
        // The brace that closes it belongs to it.
        let last = match self.is(body.to, b'}') {
            true => body.to,
            false => body.to.saturating_sub(1).max(body.name),
        };
        self.tokens.lines[last]
    }

    /// Returns the name at a token: the word of its line that has the same code.
    fn name(&self, at: usize) -> String {
        let line = self.line(self.tokens.lines[at]);
        let is_part = |byte: &u8| lex::is_word(*byte);
        let words = line.split(|byte| !is_part(byte));
        let mut same = words.filter(|word| lex::name(word) == self.tokens.codes[at]);
        String::from_utf8_lossy(same.next().unwrap_or(b"?")).into_owned()
    }

    /// Returns functions of Python: what follows `def` and is further to the right.
    fn by_indentation(&self) -> Vec<Body> {
        let mut found: Vec<Body> = Vec::new();
        // Functions that may go on, with how far to the right they begin.
        let mut open: Vec<(usize, usize)> = Vec::new();
        let (mut depth, mut last) = (0_usize, 0);
        for (at, code) in self.tokens.codes.iter().enumerate() {
            let line = self.tokens.lines[at];
            if line != last && depth == 0 && (self.is_word(at, "def") || !open.is_empty()) {
                let indent = self.indent(line);
                while let Some((_, function)) = open.pop_if(|(of, _)| indent <= *of) {
                    found[function].to = at;
                }
            }
            last = line;
            match u8::try_from(*code) {
                Ok(b'(' | b'[' | b'{') => depth += 1,
                Ok(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            let is_head = self.is_word(at, "def") && self.is_name(at + 1);
            if is_head && open.len() < MOST_DEPTH {
                open.push((self.indent(line), found.len()));
                found.push(Body {
                    name: at + 1,
                    from: at,
                    to: self.tokens.codes.len(),
                });
            }
        }
        for body in &mut found {
            body.from = self.behind_head(body.from, body.to);
        }
        found
    }

    fn indent(&self, line: u32) -> usize {
        let text = self.line(line);
        let indent = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
        indent.count()
    }

    /// Returns the place behind the colon that ends the head of a function of Python.
    fn behind_head(&self, from: usize, to: usize) -> usize {
        let mut depth = 0_usize;
        for at in from..to {
            match u8::try_from(self.tokens.codes[at]) {
                Ok(b'(' | b'[' | b'{') => depth += 1,
                Ok(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
                Ok(b':') if depth == 0 => return at + 1,
                _ => {}
            }
        }
        to
    }

    /// Returns functions of languages with braces: a name, what is called by it in brackets,
    /// and braces.
    fn by_braces(&self) -> Vec<Body> {
        let mut found: Vec<Body> = Vec::new();
        // What is open: a bracket, or the brace of a body.
        let mut open: Vec<Option<usize>> = Vec::new();
        let mut head: Option<Head> = None;
        for (at, code) in self.tokens.codes.iter().enumerate() {
            if head
                .as_ref()
                .is_some_and(|head| head.is_over(at, open.len()))
            {
                head = None;
            }
            match u8::try_from(*code) {
                Ok(b'{') => {
                    let body = head.take_if(|head| head.depth == open.len());
                    let body = body.filter(|_| open.len() < MOST_DEPTH && self.is_body(at));
                    open.push(body.map(|head| {
                        found.push(Body {
                            name: head.name,
                            from: at + 1,
                            to: self.tokens.codes.len(),
                        });
                        found.len() - 1
                    }));
                }
                Ok(b'(' | b'[') => open.push(None),
                Ok(b')' | b']' | b'}') => {
                    if let Some(Some(function)) = open.pop() {
                        found[function].to = at;
                    }
                    let closed = head.as_ref().is_some_and(|head| head.depth == open.len());
                    if closed && !self.may_have_body(at + 1) {
                        head = None;
                    }
                }
                Ok(b';') if head.as_ref().is_some_and(|head| head.depth == open.len()) => {
                    head = None;
                }
                // Not in the parameters of another one.
                _ if head.as_ref().is_none_or(|head| head.depth == open.len())
                    && self.is_head(at) =>
                {
                    head = Some(Head {
                        name: self.name_of_head(at),
                        depth: open.len(),
                        begun: at,
                    });
                }
                _ => {}
            }
        }
        found
    }

    /// Returns whether the head of a function begins at a token: where its name is, or at the
    /// word that says so.
    fn is_head(&self, at: usize) -> bool {
        match self.source.language {
            Language::Rust => self.is_word(at, "fn") && self.is_name(at + 1),
            // A receiver may stand before the name.
            Language::Go => {
                self.is_word(at, "func")
                    && (self.is_name(at + 1) || self.is(at + 1, b'(') && self.name_of_head(at) > at)
            }
            _ => {
                let is_called = self.is_name(at) && self.is(at + 1, b'(');
                let is_bound = self.is_name(at)
                    && self.is(at + 1, b'=')
                    && (self.is(at + 2, b'(')
                        || self.is_word(at + 2, "async") && self.is(at + 3, b'(')
                        || self.is_word(at + 2, "function"));
                let is_other = at > 0 && (self.is(at - 1, b'.') || self.is_word(at - 1, "new"));
                (is_called || is_bound) && !is_other
            }
        }
    }

    /// Returns whether a body may follow where parameters have ended: at `at`.
    fn may_have_body(&self, at: usize) -> bool {
        match self.source.language {
            Language::Rust | Language::Go => true,
            _ => {
                let is_arrow = self.is(at, b'=') && self.is(at + 1, b'>');
                let is_typed = self.is(at, b':') || self.is_word(at, "throws");
                self.is(at, b'{') || is_arrow || is_typed
            }
        }
    }

    /// Returns the place of the name in the head that begins at `at`; of a function of Go
    /// without a name, `at` itself.
    fn name_of_head(&self, at: usize) -> usize {
        /// Tokens of a receiver.
        const RECEIVER: usize = 16;
        match self.source.language {
            Language::Rust => at + 1,
            Language::Go if self.is_name(at + 1) => at + 1,
            Language::Go => {
                let close = (at + 2..at + RECEIVER).find(|place| self.is(*place, b')'));
                let name = close.map(|close| close + 1);
                let name = name.filter(|name| self.is_name(*name) && self.is(name + 1, b'('));
                name.unwrap_or(at)
            }
            _ => at,
        }
    }

    /// Returns whether a brace is that of a body, and not that of a type of Go.
    fn is_body(&self, at: usize) -> bool {
        let is_type = at > 0
            && self.source.language == Language::Go
            && (self.is_word(at - 1, "interface") || self.is_word(at - 1, "struct"));
        !is_type
    }

    /// Returns the statements between two places.
    fn statements(&self, from: usize, to: usize) -> Vec<Statement> {
        let (mut found, mut begin, mut depth) = (Vec::new(), from, 0_usize);
        let mut end = |begin: &mut usize, at: usize, next: usize| {
            if at > *begin + 1 && found.len() <= MOST_STATEMENTS {
                found.push(Statement::of(&self.tokens.codes[*begin..at]));
            }
            *begin = next;
        };
        for at in from..to {
            if depth == 0 && at > begin && self.ends_with_line(at) {
                end(&mut begin, at, at);
            }
            match u8::try_from(self.tokens.codes[at]) {
                Ok(b'(' | b'[') => depth += 1,
                Ok(b')' | b']') => depth = depth.saturating_sub(1),
                // Closures and literals in brackets are a part of their statement only as
                // far as their first brace.
                Ok(b';' | b'{' | b'}') if self.source.language != Language::Python => {
                    end(&mut begin, at, at + 1);
                    depth = 0;
                }
                Ok(b'{') => depth += 1,
                Ok(b'}') => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        end(&mut begin, to, to);
        found
    }

    /// Returns whether a statement ends before the token at `at`, since a line does.
    fn ends_with_line(&self, at: usize) -> bool {
        if self.tokens.lines[at] == self.tokens.lines[at - 1] {
            return false;
        }
        let before = u8::try_from(self.tokens.codes[at - 1]);
        match self.source.language {
            Language::Python => true,
            Language::Rust | Language::Java => before == Ok(b','),
            _ => {
                let goes_on = matches!(u8::try_from(self.tokens.codes[at]), Ok(byte) if b".?:+-*/&|=,)".contains(&byte));
                let is_open = matches!(before, Ok(byte) if b"+-*/&|=?:<.".contains(&byte));
                !goes_on && !is_open
            }
        }
    }
}

/// The head of a function whose body has not begun.
struct Head {
    name: usize,
    /// Brackets that are open around it.
    depth: usize,
    begun: usize,
}

impl Head {
    /// Returns whether it can have no body any more.
    fn is_over(&self, at: usize, depth: usize) -> bool {
        /// Tokens of a head, with all parameters and what is said of types.
        const LONGEST: usize = 400;
        depth < self.depth || at > self.begun + LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the functions of `text`: `name from-to statements`.
    fn check(language: Language, text: &str, expected: &[&str]) {
        let source = Source {
            path: "a".to_owned(),
            language,
            text: text.as_bytes().to_vec().into(),
        };
        let tokens = lex::lex(language, &source.text);
        let found: Vec<String> = functions(&source, &tokens)
            .iter()
            .map(|one| {
                let (from, to) = one.lines;
                format!("{} {from}-{to} {}", one.name, one.statements.len())
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn functions_of_python_end_where_the_text_goes_back() {
        let body = "    a = b\n    c(a)\n".repeat(5);
        let text =
            format!("x = 1\ndef f(a, b: dict = {{}}):\n    \"\"\"Says.\"\"\"\n{body}\ny = 2\n");
        check(Language::Python, &text, &["f 2-13 10"]);
        let text = format!("class A:\n  async def g(self):\n{body}  def h(self): pass\n");
        check(Language::Python, &text, &["g 2-12 10"]);
        let inner = body.replace("    ", "        ");
        let text = format!("def f():\n    def g(\n        a,\n    ):\n{inner}    return g\n");
        check(Language::Python, &text, &["f 1-15 12", "g 2-14 10"]);
        check(Language::Python, "def f(", &[]);
        check(Language::Python, "def f(:\n  (\n", &[]);
    }

    #[test]
    fn functions_with_braces_end_where_they_close() {
        let body = "  a = b(c);\n  if (a) { d(a); }\n".repeat(3);
        for (language, head, name) in [
            (
                Language::Rust,
                "pub fn f<T>(a: &[u8; 3]) -> T where T: Into<u8> {",
                "f",
            ),
            (
                Language::Java,
                "@A(b = 1)\npublic <T> List<T> f(int a) throws B, C {",
                "f",
            ),
            (
                Language::Typescript,
                "export const f = async (a: string): Promise<void> => {",
                "f",
            ),
            (Language::Javascript, "function f({ a, b }) {", "f"),
            (
                Language::Go,
                "func (s *Server[T]) f(a map[string]int) (b interface{}, c error) {",
                "f",
            ),
        ] {
            let line = head.matches('\n').count() + 1;
            let text = format!("{head}\n{body}}}\nx(1);\n");
            let expected = format!("{name} {line}-{} 9", line + 7);
            check(language, &text, &[&expected]);
        }
        check(
            Language::Java,
            "x = new A(1) {\n a.b(); c.d(); e.f(); g.h(); i.j(); k.l(); m.n(); o.p(); };",
            &[],
        );
        check(
            Language::Go,
            &format!("go func(a int) {{\n{body}}}(1)"),
            &[],
        );
    }

    #[test]
    fn lines_end_statements_where_the_language_says_so() {
        let of = |language, text: &str| {
            let source = Source {
                path: "a".to_owned(),
                language,
                text: text.as_bytes().to_vec().into(),
            };
            let tokens = lex::lex(language, &source.text);
            functions(&source, &tokens)
                .first()
                .map_or(0, |one| one.statements.len())
        };
        let lines = "a = b\n  .c(\nd,\ne)\n".repeat(9);
        assert_eq!(
            of(Language::Typescript, &format!("function f() {{\n{lines}}}")),
            9
        );
        assert_eq!(of(Language::Go, &format!("func f() {{\n{lines}}}")), 9);
        assert_eq!(
            of(
                Language::Python,
                &format!("def f():\n{}", " a = b(\n  c,\n )\n".repeat(9))
            ),
            9
        );
        let arms = "A => b(),\n".repeat(9);
        assert_eq!(
            of(
                Language::Rust,
                &format!("fn f() {{ match x {{\n{arms}}} }}")
            ),
            10
        );
    }

    #[test]
    fn any_tokens_are_read_to_their_end() {
        let parts = [
            "fn f(", "def f(", "func (", "f(", "{", "}", ")", "[", "]", "\n", "a = (", ";", "=>",
            " ",
        ];
        for language in Language::ALL {
            for one in parts {
                for other in parts {
                    for times in [1, 300] {
                        let text =
                            format!("{}{}", one.repeat(times), other.repeat(times)).repeat(3);
                        let source = Source {
                            path: "a".to_owned(),
                            language,
                            text: text.into_bytes().into(),
                        };
                        functions(&source, &lex::lex(language, &source.text));
                    }
                }
            }
        }
    }
}
