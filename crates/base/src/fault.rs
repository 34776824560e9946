//! What went wrong, told to two audiences.
//!
//! # Invariants
//!
//! * The private text has no path into [`Display`](std::fmt::Display) or into
//!   anything that a caller receives; only a log statement that asks for
//!   [`Fault::private`] sees it.
//! * A code is never reused for another meaning. Each has a page in
//!   `docs/errors/` (checked by `xtask check`).

use std::{borrow::Cow, fmt, time::Duration};

/// Who can do something about a fault, and thus how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong and has to be changed.
    Invalid,
    /// The caller has to say who it is.
    Unauthenticated,
    /// The caller is known and may not.
    Forbidden,
    /// What was named does not exist, or not for this caller.
    NotFound,
    /// The request contradicts the present state.
    Conflict,
    /// The request is larger than accepted.
    TooLarge,
    /// The caller has used up what it may use.
    Exhausted,
    /// Something that is needed is not available at the moment.
    Unavailable,
    /// Something that is needed did not answer in time.
    Timeout,
    /// What is asked for is not possible between these two parties.
    Unsupported,
    /// Airside itself is at fault.
    Internal,
}

impl Kind {
    /// Returns the HTTP status (RFC 9110, section 15).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Exhausted => 429,
            Self::Internal => 500,
            Self::Unsupported => 501,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }
}

/// A failure with a stable code, a public text and a private one.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    code: &'static str,
    public: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    private: Option<String>,
    retry_after: Option<Duration>,
}

impl Fault {
    /// Returns a fault with `code` (`<AREA>-<NNN>`) and the text that the caller may read.
    pub fn new(kind: Kind, code: &'static str, public: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            code,
            public: public.into(),
            hint: None,
            private: None,
            retry_after: None,
        }
    }

    /// Adds what the caller can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what only the operator may read.
    #[must_use]
    pub fn with_private(mut self, private: impl fmt::Display) -> Self {
        self.private = Some(private.to_string());
        self
    }

    /// Adds when a repetition may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// Returns who can do something about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the stable code, explained by `airside explain CODE`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the text for the caller.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Returns what the caller can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns the text for the operator's log.
    #[must_use]
    pub fn private(&self) -> Option<&str> {
        self.private.as_deref()
    }

    /// Returns when a repetition may succeed.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.public, self.code)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_text_is_in_no_rendering() {
        let fault = Fault::new(Kind::Internal, "GW-001", "the call failed")
            .with_private("password hunter2 was refused");
        for text in [
            fault.to_string(),
            format!("{fault:?}"),
            format!("{fault:#?}"),
        ] {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
