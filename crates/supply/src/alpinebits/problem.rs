//! What is wrong with a message, in the words of OTA.

use crate::alpinebits::xml;

/// One reason why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Code of the OTA list ERR.
    pub code: u16,
    /// One sentence for whoever runs the sending system.
    pub text: String,
    /// What the sender has to send so that it can be taken (AlpineBits, appendix A).
    pub status: Option<&'static str>,
}

impl Problem {
    /// A value that is not allowed (ERR 320).
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(320, text)
    }

    /// Something that has to be there (ERR 321).
    pub(crate) fn missing(text: impl Into<String>) -> Self {
        Self::new(321, text)
    }

    /// A hotel that is not known here, or not this sender's (ERR 392).
    #[must_use]
    pub fn hotel(code: &str) -> Self {
        let code = xml::shown(code);
        Self::new(392, format!("there is no hotel `{code}` here"))
    }

    /// What cannot be done here (ERR 450).
    #[must_use]
    pub fn unable(text: impl Into<String>) -> Self {
        Self::new(450, text)
    }

    pub(crate) fn unreadable(error: &xml::Error) -> Self {
        Self::new(450, error.to_string())
    }

    /// Single rooms without what was sent before: everything has to come again.
    pub(crate) fn send_free_rooms() -> Self {
        Self {
            status: Some("ALPINEBITS_SEND_FREEROOMS"),
            ..Self::unable("what was sent before is not known any more; send all free rooms")
        }
    }

    pub(crate) fn new(code: u16, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            status: None,
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Taken, with what the sender should know.
    Taken {
        /// Sentences for whoever runs the sending system.
        advice: Vec<String>,
    },
    /// Refused whole.
    Refused(Vec<Problem>),
}
