//! A configuration file and places in it.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A file that was read, or text that stands for one.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// One step on the way to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Line and column, both from 1, and the line itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Its line.
    pub line: usize,
    /// Column of the first character that is meant.
    pub column: usize,
    /// The line itself; empty where it may hold a secret.
    pub excerpt: String,
    /// How many characters of the line are meant, at least 1.
    pub width: usize,
}

impl Place {
    /// Leaves out what stands behind the meant part of the line.
    pub(crate) fn cut(mut self) -> Self {
        let end = self.column - 1 + self.width;
        if let Some((at, _)) = self.excerpt.char_indices().nth(end) {
            self.excerpt.truncate(at);
        }
        self
    }
}

impl Source {
    /// Returns the folder that relative paths in the file start from.
    pub(crate) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Returns where bytes `span` of the text are.
    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        let start = floor_boundary(&self.text, span.start);
        let end = floor_boundary(&self.text, span.end.max(start));
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |at| start + at);
        let excerpt = match self.is_secret(span) {
            true => "",
            false => self.text[line_start..line_end].trim_end_matches('\r'),
        };
        Place {
            file: self.path.clone(),
            line: self.text[..start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            excerpt: excerpt.to_owned(),
            width: self.text[start..end.min(line_end).max(start)]
                .chars()
                .count()
                .max(1),
        }
    }

    /// Returns whether bytes `span` of the text may be part of a secret: the
    /// environment of a program. Works for text that is not TOML, too.
    fn is_secret(&self, span: &Range<usize>) -> bool {
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let upstreams = match root.get_ref().get("upstream").map(Spanned::get_ref) {
            Some(DeValue::Array(upstreams)) => upstreams.iter().collect(),
            _ => Vec::new(),
        };
        let environments = upstreams
            .iter()
            .filter_map(|upstream| match upstream.get_ref() {
                DeValue::Table(upstream) => upstream.get("env"),
                _ => None,
            });
        let lines = |span: &Range<usize>| {
            let line = |at: usize| {
                self.text[..floor_boundary(&self.text, at)]
                    .matches('\n')
                    .count()
            };
            line(span.start)..=line(span.end)
        };
        let meant = lines(span);
        environments
            .flat_map(|environment| {
                let inside = match environment.get_ref() {
                    DeValue::Table(table) => table.values().map(Spanned::span).collect(),
                    _ => Vec::new(),
                };
                inside.into_iter().chain([environment.span()])
            })
            .map(|span| lines(&span))
            .any(|secret| secret.start() <= meant.end() && meant.start() <= secret.end())
    }

    /// Returns the place at a line and column, both from 1.
    pub(crate) fn line(&self, line: usize, column: usize) -> Place {
        let excerpt = self.text.lines().nth(line.saturating_sub(1));
        Place {
            file: self.path.clone(),
            line,
            column: column.max(1),
            excerpt: excerpt.unwrap_or_default().to_owned(),
            width: 1,
        }
    }

    /// Returns the bytes of the value at `path`, or of its nearest parent that is
    /// in the text.
    pub(crate) fn span(&self, path: &[Step<'_>]) -> Range<usize> {
        let Ok(root) = DeTable::parse(&self.text) else {
            return 0..0;
        };
        let mut span = root.span();
        let mut table = Some(root.get_ref());
        let mut value: Option<&DeValue<'_>> = None;
        for step in path {
            let next = match (*step, table, value) {
                (Step::Key(key), Some(table), _) => table.get(key),
                (Step::Index(index), None, Some(DeValue::Array(items))) => items.get(index),
                _ => None,
            };
            let Some(next) = next else { break };
            span = next.span();
            value = Some(next.get_ref());
            table = match next.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => None,
            };
        }
        span
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, path: &[Step<'_>], expected: (usize, usize, &str)) {
        let source = Source {
            path: "a.toml".into(),
            text: text.to_owned(),
        };
        let span = source.span(path);
        let place = source.place(&span);
        let meant: String = place
            .excerpt
            .chars()
            .skip(place.column - 1)
            .take(place.width)
            .collect();
        assert_eq!((place.line, place.column, meant.as_str()), expected);
    }

    #[test]
    fn values_are_found_in_tables_and_lists() {
        let text =
            "[listen]\naddress = \"x\"\n[[upstream]]\nname = \"ä\"\n[[upstream]]\nname = \"b\"\n";
        check(
            text,
            &[Step::Key("listen"), Step::Key("address")],
            (2, 11, "\"x\""),
        );
        check(
            text,
            &[Step::Key("upstream"), Step::Index(1), Step::Key("name")],
            (6, 8, "\"b\""),
        );
    }

    #[test]
    fn missing_value_is_placed_at_its_parent() {
        check(
            "[listen]\na = 1\n",
            &[Step::Key("listen"), Step::Key("port")],
            (1, 1, "[listen]"),
        );
    }
}
