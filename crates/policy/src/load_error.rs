//! Why policies are not loaded, said so that an editor can jump there.

use std::fmt;

use airside_base::{Fault, Kind};

/// A place in a policy file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Place {
    /// Returns the place of byte `offset` in `text`.
    pub(crate) fn at(file: &str, text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong with the policies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is not Cedar.
    #[error("{place}: {message}{}", hint(.help.as_deref()))]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        message: String,
        /// What the parser suggests.
        help: Option<String>,
    },
    /// A policy does not fit the schema.
    #[error("{place}: {message}{}", hint(.help.as_deref()))]
    Schema {
        /// Where.
        place: Place,
        /// What the validator says.
        message: String,
        /// What the validator suggests.
        help: Option<String>,
    },
    /// A policy has no name, or one that cannot stand in a ledger entry.
    #[error("{place}: the policy needs an id of 1 to {max} of a-z, 0-9, `-`, `_` and `.`\n  hint: write @id(\"what-it-permits\") in front of it", max = crate::policies::MAX_ID_BYTES)]
    Unnamed {
        /// Where.
        place: Place,
    },
    /// Two policies have the same name.
    #[error(
        "{place}: the id `{id}` is already used at {first}\n  hint: ledger entries name the policy that decided; give each its own"
    )]
    Duplicate {
        /// Where.
        place: Place,
        /// The name.
        id: String,
        /// Where it was used first.
        first: Place,
    },
    /// A policy has slots.
    #[error(
        "{place}: templates (`?principal`, `?resource`) are not supported\n  hint: write the policy with a group, such as `principal in Group::\"partners\"`"
    )]
    Template {
        /// Where.
        place: Place,
    },
    /// A policy has an annotation that means nothing.
    #[error(
        "{place}: {text}\n  hint: there are @id, @hint, @approval, @hidden, @description and @owner"
    )]
    Annotation {
        /// Where.
        place: Place,
        /// What is wrong with it.
        text: String,
    },
    /// An argument of interest has a name or kind that policies cannot use.
    #[error(
        "the argument `{name}` is declared with two kinds or has a name that policies cannot use\n  hint: use a-z, 0-9 and `_`, and one kind for all arguments of one name"
    )]
    Argument {
        /// Its name.
        name: String,
    },
    /// A file is longer than accepted.
    #[error("{file}: {size_bytes} bytes are more than the accepted {max}", max = crate::policies::MAX_SOURCE_BYTES)]
    TooLarge {
        /// Name of the file.
        file: String,
        /// Its size.
        size_bytes: usize,
    },
}

fn hint(help: Option<&str>) -> String {
    help.map(|help| format!("\n  hint: {help}"))
        .unwrap_or_default()
}

impl Problem {
    /// Returns the code of this kind of problem.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "POL-010",
            Self::Schema { .. } => "POL-011",
            Self::Unnamed { .. } => "POL-012",
            Self::Duplicate { .. } => "POL-013",
            Self::Template { .. } => "POL-014",
            Self::TooLarge { .. } => "POL-015",
            Self::Annotation { .. } => "POL-040",
            Self::Argument { .. } => "POL-041",
        }
    }
}

/// Why policies are not loaded: all problems that were found, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    first: Box<Problem>,
    others: Vec<Problem>,
}

impl LoadError {
    /// Returns `Ok` if there is no problem.
    pub(crate) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        let mut problems = problems.into_iter();
        match problems.next() {
            None => Ok(()),
            Some(first) => Err(Self {
                first: Box::new(first),
                others: problems.collect(),
            }),
        }
    }

    /// Returns the problems in the order of the files.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        std::iter::once(&*self.first).chain(&self.others)
    }

    /// Returns what the operator may read, with the code of the first problem.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::new(Kind::Invalid, self.first.code(), self.to_string())
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the policies are not accepted")?;
        self.problems()
            .try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

impl std::error::Error for LoadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a\nüü b\n";
        for (offset, expected) in [
            (0, "f:1:1"),
            (2, "f:2:1"),
            (7, "f:2:4"),
            (3, "f:2:1"),
            (99, "f:3:1"),
        ] {
            assert_eq!(
                Place::at("f", text, offset).to_string(),
                expected,
                "{offset}"
            );
        }
    }
}
