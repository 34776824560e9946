//! The names of UCP Lodging, the capability `dev.ucp.lodging.booking`.
//!
//! The draft changes; this is the only place that knows its words. What is pinned is the
//! stored version of 2026-08-22 of `Universal-Commerce-Protocol/ucp`
//! (`source/schemas/lodging`), which says property, stays and stay_dates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the draft whose names are used.
pub(crate) const VERSION: &str = "2026-08-22-draft";
/// The capability.
pub(crate) const CAPABILITY: &str = "dev.ucp.lodging.booking";
/// The extension for cancellation terms.
pub(crate) const CANCELLATION: &str = "dev.ucp.lodging.policy.cancellation";

/// Names of its tools.
pub(crate) mod tool {
    pub(crate) const CREATE: &str = "create_booking_session";
    pub(crate) const GET: &str = "get_booking_session";
    pub(crate) const UPDATE: &str = "update_booking_session";
    pub(crate) const COMPLETE: &str = "complete_booking_session";
    pub(crate) const CANCEL: &str = "cancel_booking_session";
}

/// Where a booking session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Something is missing: see the messages.
    Incomplete,
    /// A person has to go on elsewhere: see continue_url.
    RequiresEscalation,
    /// The traveller can review the terms and book.
    ReadyForComplete,
    /// The hotel has been asked and its answer is not known yet.
    CompleteInProgress,
    /// Booked.
    Completed,
    /// Ended without a booking.
    Canceled,
}

impl Status {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] = [
        Self::Incomplete,
        Self::RequiresEscalation,
        Self::ReadyForComplete,
        Self::CompleteInProgress,
        Self::Completed,
        Self::Canceled,
    ];

    /// Returns the name on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::RequiresEscalation => "requires_escalation",
            Self::ReadyForComplete => "ready_for_complete",
            Self::CompleteInProgress => "complete_in_progress",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Returns a file of the pinned draft.
    fn draft(name: &str) -> Option<Value> {
        let shared = std::env::var("AIRSIDE_SHARED").unwrap_or_else(|_| "../../../shared".into());
        let file = format!("{shared}/data/travel/specs/ucp-lodging/{name}");
        match std::fs::read_to_string(&file) {
            Ok(text) => Some(serde_json::from_str(&text).unwrap()),
            Err(error) if std::env::var_os("CI").is_none() => {
                assert!(!std::path::Path::new(&shared).exists(), "{file}: {error}");
                None
            }
            Err(error) => panic!("{file}: {error}"),
        }
    }

    #[test]
    fn names_are_those_of_the_draft() {
        let Some(booking) = draft("schemas/booking.json") else {
            return;
        };
        let names: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        assert_eq!(
            booking["properties"]["status"]["enum"],
            serde_json::json!(names)
        );
        assert_eq!(booking["name"], CAPABILITY);
        let methods = draft("mcp.openrpc.json").unwrap();
        let methods: Vec<_> = methods["methods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|method| method["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            methods,
            [
                tool::CREATE,
                tool::GET,
                tool::UPDATE,
                tool::COMPLETE,
                tool::CANCEL
            ]
        );
        let policy = draft("schemas/policy_cancellation.json").unwrap();
        assert_eq!(policy["name"], CANCELLATION);
    }
}
