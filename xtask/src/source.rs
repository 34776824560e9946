//! Rust files, as far as rules look into them.
//!
//! # How lines are counted
//!
//! A line is a line of the file: code, comment or blank, as the reader scrolls by
//! it. Not counted are tests:
//!
//! * files named `tests.rs`, and files below a folder named `tests` or `benches`;
//! * in other files every item under `#[cfg(test)]` that starts in the first
//!   column. It ends with the next line that is `}` alone, or with its own line if
//!   that ends with `;`: rustfmt, which runs before, puts them there.

/// Returns whether a Rust file holds tests only.
pub(crate) fn is_test_file(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let file = parts.next().unwrap_or_default();
    file == "tests.rs" || parts.any(|folder| folder == "tests" || folder == "benches")
}

/// A Rust file cut into what ships and what tests it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source<'a> {
    /// Lines that count, with their number from 1.
    pub(crate) lines: Vec<(usize, &'a str)>,
    /// How many lines each test block has.
    pub(crate) test_blocks: Vec<usize>,
}

impl<'a> Source<'a> {
    /// Cuts `text`, the file at `path`.
    pub(crate) fn of(path: &str, text: &'a str) -> Self {
        let mut source = Self {
            lines: Vec::new(),
            test_blocks: Vec::new(),
        };
        if is_test_file(path) {
            return source;
        }
        let mut rest = text.lines().zip(1..);
        while let Some((line, number)) = rest.next() {
            if line != "#[cfg(test)]" {
                source.lines.push((number, line));
                continue;
            }
            let mut length = 1;
            for (line, _) in rest.by_ref() {
                length += 1;
                if line == "}" || line.ends_with(';') && !line.starts_with(char::is_whitespace) {
                    break;
                }
            }
            source.test_blocks.push(length);
        }
        source
    }

    /// Returns the lines that are not comments.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &'a str)> {
        self.lines
            .iter()
            .copied()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Returns the texts in `line` that look like an error code: `"AREA-NNN"`, quotes
/// included in the source and left out here.
pub(crate) fn codes(line: &str) -> impl Iterator<Item = &str> {
    line.split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| is_code(text))
}

/// Returns whether every `part` of `line` is inside a string on that line.
pub(crate) fn is_quoted(line: &str, part: &str) -> bool {
    let unescaped = line.replace("\\\"", "");
    !unescaped
        .split('"')
        .step_by(2)
        .any(|code| code.contains(part))
}

/// Returns whether `text` is a code: 2 to 4 capitals, a hyphen, 3 digits.
pub(crate) fn is_code(text: &str) -> bool {
    let Some((area, number)) = text.split_once('-') else {
        return false;
    };
    (2..=4).contains(&area.len())
        && area.bytes().all(|byte| byte.is_ascii_uppercase())
        && number.len() == 3
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_not_counted() {
        let text = "mod a;\n\n#[cfg(test)]\nmod contract;\n\nfn b() {\n}\n\n#[cfg(test)]\nmod tests {\n    use x;\n    fn c() {\n    }\n}\n";
        let source = Source::of("crates/a/src/lib.rs", text);
        let numbers: Vec<_> = source.lines.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 5, 6, 7, 8]);
        assert_eq!(source.test_blocks, [2, 6]);
    }

    #[test]
    fn test_files_count_nothing() {
        for path in [
            "a/src/x/tests.rs",
            "a/tests/it/main.rs",
            "a/benches/x.rs",
            "a/src/x/tests/y.rs",
        ] {
            assert_eq!(Source::of(path, "fn a() {}").lines, [], "{path}");
        }
        assert_eq!(Source::of("a/src/contests.rs", "fn a() {}").lines.len(), 1);
    }

    #[test]
    fn codes_are_quoted() {
        let found = |line| codes(line).collect::<Vec<_>>();
        assert_eq!(
            found(r#"f("GW-001", "see GW-002", "POL-1000", "x")"#),
            ["GW-001"]
        );
        assert_eq!(found(r#"["ID-001", "ID-002"]"#), ["ID-001", "ID-002"]);
        assert!(found("GW-001").is_empty());
    }
}
