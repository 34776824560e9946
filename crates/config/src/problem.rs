//! What is wrong with a configuration, said so that it can be put right.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use airside_base::{Fault, Kind};
use airside_screen::terminal::{nearest, printable};
use serde_json::json;

use crate::source::{Place, Source, Step};

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Its code, which `airside explain` knows.
    pub code: &'static str,
    /// What is wrong, on one line.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// Where it is, if that is known.
    pub place: Option<Place>,
}

/// All that is wrong with one file.
#[derive(Debug, Clone)]
pub struct Problems {
    /// The file that was read.
    pub file: PathBuf,
    /// At least one.
    pub list: Vec<Problem>,
}

impl Problem {
    /// Returns a problem with the value at `path` of `source`.
    pub(crate) fn at(
        source: &Source,
        path: &[Step<'_>],
        code: &'static str,
        message: String,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message,
            hint: hint.into(),
            place: Some(source.place(&source.span(path))),
        }
    }

    /// Returns why `file` cannot be read.
    pub(crate) fn unreadable(file: &Path, error: &io::Error) -> Self {
        Self {
            code: "CFG-001",
            message: format!("cannot read {}: {error}", file.display()),
            hint: "check the name, and that this user may read the file".to_owned(),
            place: None,
        }
    }

    /// Returns where the text of `source` is not TOML.
    pub(crate) fn from_syntax(source: &Source, error: &toml::de::Error) -> Self {
        Self {
            code: "CFG-002",
            message: format!("not TOML: {}", error.message()),
            hint: "see https://toml.io/en/v1.0.0 for the format".to_owned(),
            place: error.span().map(|span| source.place(&span)),
        }
    }

    /// Returns which key or value of `source` is wrong.
    pub(crate) fn from_value(source: &Source, error: &toml::de::Error) -> Self {
        let (code, message, hint) = classify(error.message());
        // What follows a misspelt key may be a secret.
        let place = error.span().map(|span| source.place(&span).cut());
        Self {
            code,
            message,
            hint,
            place,
        }
    }
}

/// Sorts a message of the reader by what the user has to do.
fn classify(message: &str) -> (&'static str, String, String) {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let schema = "see `airside config schema` or docs/configuration.md";
    if message.starts_with("unknown field") {
        let given = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        let hint = match nearest(given, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None if known.is_empty() => "no key is allowed here".to_owned(),
            None => format!("known here: {}", known.join(", ")),
        };
        return ("CFG-003", format!("unknown key `{given}`"), hint);
    }
    if message.starts_with("missing field") {
        let wanted = quoted.next().unwrap_or_default();
        let hint = format!("add `{wanted} = …`; {schema}");
        return ("CFG-004", format!("the key `{wanted}` is missing"), hint);
    }
    if message.starts_with("unknown variant") {
        let given = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        let hint = match nearest(given, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("use one of: {}", known.join(", ")),
        };
        return ("CFG-005", format!("`{given}` is not possible here"), hint);
    }
    ("CFG-005", without_value(message), schema.to_owned())
}

/// Takes the value out of `invalid type: string "…", expected …`: it may be a
/// secret that was put in the wrong place, and this text is logged.
fn without_value(message: &str) -> String {
    match (message.find(" \""), message.rfind("\", expected ")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &message[..start], &message[end + 1..])
        }
        _ => message.to_owned(),
    }
}

impl Problems {
    /// Returns the first problem, with its place, as one fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let Some(first) = self.list.first() else {
            return Fault::new(Kind::Invalid, "CFG-001", "the configuration is refused");
        };
        let Problem {
            code,
            message,
            hint,
            place,
        } = first;
        let text = match place {
            Some(place) => {
                let file = place.file.display();
                format!("{file}:{}:{}: {message}", place.line, place.column)
            }
            None => message.clone(),
        };
        Fault::new(Kind::Invalid, code, text).with_hint(hint.clone())
    }

    /// Returns them as text for people, with the lines that are meant and hints.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for problem in &self.list {
            render(&mut text, self, problem).expect("writing to a string cannot fail");
        }
        text
    }

    /// Returns them as a JSON value for programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let list: Vec<_> = self
            .list
            .iter()
            .map(|problem| {
                json!({
                    "code": problem.code,
                    "message": problem.message,
                    "hint": problem.hint,
                    "file": problem.place.as_ref().map_or(&self.file, |place| &place.file),
                    "line": problem.place.as_ref().map(|place| place.line),
                    "column": problem.place.as_ref().map(|place| place.column),
                })
            })
            .collect();
        json!({ "problems": list })
    }
}

fn render(text: &mut String, all: &Problems, problem: &Problem) -> std::fmt::Result {
    writeln!(
        text,
        "error[{}]: {}",
        problem.code,
        printable(&problem.message)
    )?;
    match &problem.place {
        Some(place) => {
            let file = place.file.display();
            let number = place.line.to_string();
            let gutter = " ".repeat(number.len());
            let indent = " ".repeat(place.column - 1);
            writeln!(text, "{gutter}--> {file}:{}:{}", place.line, place.column)?;
            if place.excerpt.is_empty() {
                return writeln!(text, "hint: {}", printable(&problem.hint));
            }
            writeln!(text, "{gutter} |")?;
            // A tab would shift the marker below.
            let excerpt = printable(&place.excerpt.replace('\t', " "));
            writeln!(text, "{number} | {excerpt}")?;
            writeln!(text, "{gutter} | {indent}{}", "^".repeat(place.width))?;
        }
        None => writeln!(text, " --> {}", all.file.display())?,
    }
    writeln!(text, "hint: {}", printable(&problem.hint))
}
