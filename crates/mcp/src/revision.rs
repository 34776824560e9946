//! Revisions of the protocol.

use std::fmt;

/// A revision that Airside speaks, oldest first.
///
/// Source: the specification's `schema/` folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// The only revision with batches; does not know the version header.
    V2025_03_26,
    /// Adds `MCP-Protocol-Version`.
    V2025_06_18,
    /// The last revision with a handshake and sessions.
    V2025_11_25,
    /// Stateless: every request carries version and capabilities.
    V2026_07_28,
}

impl Revision {
    /// All revisions, newest first.
    pub const ALL: [Self; 4] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
    ];
    /// The newest revision.
    pub const LATEST: Self = Self::V2026_07_28;
    /// The newest revision with a handshake.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// Returns the text used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Returns the revision of this text, if it is one we speak.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// Returns whether requests carry their own metadata instead of a session.
    #[must_use]
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }

    /// Returns what a server answers to `initialize` that asks for `requested`:
    /// the same revision if it has a handshake, else the newest that has one.
    #[must_use]
    pub fn negotiate(requested: &str) -> Self {
        Self::find(requested)
            .filter(|revision| !revision.is_modern())
            .unwrap_or(Self::LATEST_LEGACY)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_ordered_and_found_by_their_text() {
        assert!(Revision::ALL.is_sorted_by(|a, b| a > b));
        for revision in Revision::ALL {
            assert_eq!(Revision::find(revision.as_str()), Some(revision));
        }
        assert_eq!(Revision::find("2024-11-05"), None);
    }

    #[test]
    fn handshake_never_ends_in_a_modern_revision() {
        for (asked, answered) in [
            ("2025-06-18", "2025-06-18"),
            ("2026-07-28", "2025-11-25"),
            ("2024-11-05", "2025-11-25"),
            ("", "2025-11-25"),
        ] {
            assert_eq!(Revision::negotiate(asked).as_str(), answered);
        }
    }
}
