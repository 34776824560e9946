//! What a model sends, read into a type.

use std::borrow::Cow;

use airside_base::{Fault, Kind};
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;

/// Longest piece of a caller's text that an error repeats, in characters.
const MAX_ECHO: usize = 160;

/// Why arguments are not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// They do not have the form of the input schema. `reason` is bounded.
    #[error("the arguments do not fit the input schema at `{path}`: {reason}")]
    Form {
        /// Where.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// A text is not a day.
    #[error("`{field}` is not a date")]
    Date {
        /// The argument.
        field: &'static str,
    },
    /// A value is too large or too small.
    #[error("`{field}` is outside its range")]
    Range {
        /// The argument.
        field: &'static str,
        /// What to do.
        range: &'static str,
    },
}

impl Error {
    /// Returns what the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let (code, hint): (_, Cow<'static, str>) = match self {
            Self::Form { .. } => (
                "TRV-001",
                "send the arguments that the input schema describes".into(),
            ),
            Self::Date { .. } => (
                "TRV-002",
                "write dates as YYYY-MM-DD, for example 2026-12-24".into(),
            ),
            Self::Range { range, .. } => ("TRV-016", (*range).into()),
        };
        Fault::new(Kind::Invalid, code, self.to_string()).with_hint(hint)
    }
}

/// Reads the arguments of a tool.
///
/// # Errors
///
/// [`Error::Form`] if they do not have the form of `T`.
pub fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, Error> {
    let object = serde_json::Value::Object(arguments.unwrap_or_default());
    serde_path_to_error::deserialize(object).map_err(|error| Error::Form {
        path: echo(&error.path().to_string()),
        reason: echo(&error.inner().to_string()),
    })
}

/// Returns the caller's text short and without control characters.
fn echo(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    let mut short: String = visible.clone().take(MAX_ECHO).collect();
    if visible.count() > MAX_ECHO {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Asked {
        rooms: Vec<u8>,
    }

    fn check(arguments: Value, says: &str) {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object")
        };
        let error = read::<Asked>(Some(arguments)).expect_err("the form is wrong");
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.to_string().chars().count() < 420, "{error}");
        assert_eq!(error.fault().code(), "TRV-001");
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is_and_in_short() {
        check(json!({ "rooms": [1, 900] }), "`rooms[1]`");
        check(json!({}), "missing field `rooms`");
        check(json!({ "x\u{7}y".repeat(900): 1 }), "unknown field `xyxy");
    }
}
