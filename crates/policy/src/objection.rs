//! What stands in the way of a call besides the rules themselves.

use std::time::Duration;

use airside_base::{Fault, Kind};

/// Why a call, or a decision of a person about one, is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// A person has said no.
    #[error("a person has refused the call")]
    Denied,
    /// No such question is open.
    #[error("there is no open approval `{id}`")]
    NotOpen {
        /// Its id, as it was given.
        id: String,
    },
    /// It was decided before.
    #[error("the approval was decided before")]
    Decided,
    /// Whoever called would approve it.
    #[error("nobody approves a call of their own")]
    OwnCall,
    /// Too many questions are open.
    #[error("{open} approvals are open")]
    TooMany {
        /// How many.
        open: usize,
    },
    /// The reason of a decision is too long.
    #[error("the reason is longer than {limit_bytes} bytes")]
    LongReason {
        /// The bound.
        limit_bytes: usize,
    },
    /// An argument that policies may read has no clear value of its type.
    #[error("an argument that policies read is not what is configured")]
    Argument,
}

impl Objection {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Denied => Fault::new(Kind::Forbidden, "POL-044", "a person has refused this call")
                .with_hint("do not repeat it; ask the user how to go on"),
            Self::NotOpen { id } => Fault::new(
                Kind::NotFound,
                "POL-045",
                format!("there is no open approval `{}`", id.escape_debug()),
            )
            .with_hint("what nobody decides in time ends by itself, and each holds for one call: call again without it"),
            Self::Decided => Fault::new(Kind::Conflict, "POL-046", "the approval was decided before"),
            Self::OwnCall => Fault::new(
                Kind::Forbidden,
                "POL-050",
                "nobody approves a call of their own",
            )
            .with_hint("ask somebody with another key and the role `operator`"),
            Self::TooMany { .. } => Fault::new(
                Kind::Unavailable,
                "POL-047",
                "too many calls wait for an approval",
            )
            .with_retry_after(Duration::from_secs(60)),
            Self::LongReason { limit_bytes } => Fault::new(
                Kind::TooLarge,
                "POL-048",
                format!("the reason is longer than {limit_bytes} bytes"),
            ),
            Self::Argument => Fault::new(
                Kind::Invalid,
                "POL-049",
                "an argument has no clear value of the type that policies expect",
            )
            .with_hint("give each argument once, with the type of the tool's input schema"),
        }
    }
}
