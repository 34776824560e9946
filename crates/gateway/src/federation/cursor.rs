//! Where a merged listing goes on.
//!
//! A merged page takes one page of every server that has more to give. What is
//! still to come is carried by the client: for each such server its own cursor.
//!
//! # Invariants
//!
//! * A cursor is bounded, and one that this endpoint cannot have issued is refused:
//!   unknown or repeated servers, another list of listing, anything malformed. It
//!   carries no right: what a client could forge is a cursor of an upstream, which
//!   that upstream checks as it would for a client of its own.

use airside_base::ServerId;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use airside_mcp::reply::List;

/// Longest cursor that is issued or accepted, in characters.
const MAX_LENGTH: usize = 8 << 10;

/// The cursor was not issued by this endpoint for this listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor was not issued for this listing")]
pub(crate) struct Unknown;

/// What is still to come: the servers that have more, with their cursors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// Version of this format and kind of the listing.
    #[serde(rename = "l")]
    listing: String,
    #[serde(rename = "n")]
    next: Vec<(ServerId, String)>,
}

impl Cursor {
    /// Returns a cursor, or none when nothing is to come or it would be too long.
    pub(crate) fn issue(list: List, next: Vec<(ServerId, String)>) -> Option<String> {
        if next.is_empty() {
            return None;
        }
        let listing = format!("1/{}", list.member());
        let text = serde_json::to_vec(&Self { listing, next }).ok()?;
        let text = BASE64_URL_SAFE_NO_PAD.encode(text);
        (text.len() <= MAX_LENGTH).then_some(text)
    }

    /// Returns the servers to ask and their cursors.
    pub(crate) fn accept(
        list: List,
        text: &str,
        known: impl Fn(&ServerId) -> bool,
    ) -> Result<Vec<(ServerId, String)>, Unknown> {
        if text.len() > MAX_LENGTH {
            return Err(Unknown);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Unknown)?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| Unknown)?;
        let mut servers: Vec<_> = cursor.next.iter().map(|(server, _)| server).collect();
        servers.sort();
        let unique = servers.windows(2).all(|pair| pair[0] != pair[1]);
        let listing = cursor.listing == format!("1/{}", list.member());
        if listing && unique && !servers.is_empty() && servers.into_iter().all(known) {
            return Ok(cursor.next);
        }
        Err(Unknown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accept(text: &str) -> Result<Vec<(ServerId, String)>, Unknown> {
        Cursor::accept(List::Tools, text, |server| server.as_str() != "gone")
    }

    fn next(pairs: &[(&str, &str)]) -> Vec<(ServerId, String)> {
        let own = |(server, cursor): &(&str, &str)| (server.parse().unwrap(), (*cursor).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn issued_cursor_is_accepted() {
        let pairs = next(&[("b", "page\"2"), ("a", "")]);
        let text = Cursor::issue(List::Tools, pairs.clone()).unwrap();
        assert_eq!(accept(&text), Ok(pairs));
        assert_eq!(Cursor::issue(List::Tools, Vec::new()), None);
    }

    #[test]
    fn foreign_cursors_are_refused() {
        let issue = |list, pairs: &[(&str, &str)]| Cursor::issue(list, next(pairs)).unwrap();
        for text in [
            issue(List::Prompts, &[("a", "1")]),
            issue(List::Tools, &[("gone", "1")]),
            issue(List::Tools, &[("a", "1"), ("a", "2")]),
            "x".repeat(MAX_LENGTH + 1),
        ] {
            assert_eq!(accept(&text), Err(Unknown), "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_cursors_are_refused(text in ".{0,100}") {
            prop_assert_eq!(accept(&text), Err(Unknown));
        }
    }
}
