//! Which request a caller's key names.
//!
//! # Invariants
//!
//! * A key names one request of one caller: the same tool with the same arguments.
//!   A repetition finds what became of the first; other arguments are refused.
//! * A key is kept as its digest, for [`RETENTION`] at least. After that it is free, and
//!   what it names is looked at anew.

use std::time::Duration;

use airside_base::Timestamp;
use serde_json::{Map, Value};

use super::{record::Use, terms};

/// How long a repetition is recognised: longer than the 30 days for which outcomes can
/// be asked for.
pub(crate) const RETENTION: Duration = Duration::from_secs(35 * 24 * 3_600);
/// Shortest and longest key in bytes. UCP asks for a UUID.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// What a key says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It names nothing yet, or nothing any more.
    New,
    /// It names this very request.
    Repeated {
        /// What came of it.
        session: String,
    },
    /// It names another one.
    Other,
}

/// A request under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Key of the document in [`super::record::KeyUses`]; also how outcomes name it.
    pub key: String,
    pub tool: &'static str,
    /// Digest of the arguments.
    pub body: String,
}

impl Request {
    /// Returns the request of `traveller`, or `None` if `key` is no key.
    pub(crate) fn new(
        traveller: &str,
        tool: &'static str,
        key: &str,
        arguments: &Map<String, Value>,
    ) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !KEY_BYTES.contains(&key.len()) || !key.bytes().all(plain) {
            return None;
        }
        let named = serde_json::json!([traveller, key]);
        Some(Self {
            key: terms::digest(&named),
            tool,
            body: terms::digest(&Value::Object(arguments.clone())),
        })
    }

    /// Judges the request by what its key names at `now`.
    pub(crate) fn judge(&self, used: Option<&Use>, now: Timestamp) -> Verdict {
        match used {
            None => Verdict::New,
            Some(used) if used.until <= now.as_microsecond() => Verdict::New,
            Some(used) if used.tool == self.tool && used.body == self.body => Verdict::Repeated {
                session: used.session.clone(),
            },
            Some(_) => Verdict::Other,
        }
    }

    /// Returns what is kept of the request.
    pub(crate) fn used(&self, session: &str, now: Timestamp) -> Use {
        Use {
            tool: self.tool.to_owned(),
            body: self.body.clone(),
            session: session.to_owned(),
            until: now
                .saturating_add(RETENTION)
                .unwrap_or(Timestamp::MAX)
                .as_microsecond(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "0b9d9f0e-6f0f-4c5e-8a52-0c8a4f3b9d11";

    fn request(traveller: &str, tool: &'static str, key: &str, arguments: &Value) -> Request {
        Request::new(traveller, tool, key, arguments.as_object().unwrap()).unwrap()
    }

    #[test]
    fn key_names_one_request_until_its_retention_ends() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let first = request("a", "complete", KEY, &json!({ "x": 1, "y": 2 }));
        assert_eq!(first.judge(None, now), Verdict::New);
        let used = first.used("bks_1", now);
        let repeated = Verdict::Repeated {
            session: "bks_1".to_owned(),
        };
        // The order of members is not content.
        let again = request("a", "complete", KEY, &json!({ "y": 2, "x": 1 }));
        assert_eq!(again.judge(Some(&used), now), repeated);
        let day_30 = now
            .saturating_add(Duration::from_secs(30 * 86_400))
            .unwrap();
        assert_eq!(again.judge(Some(&used), day_30), repeated);
        let day_36 = now
            .saturating_add(Duration::from_secs(36 * 86_400))
            .unwrap();
        assert_eq!(again.judge(Some(&used), day_36), Verdict::New);
        for other in [
            request("a", "complete", KEY, &json!({ "x": 1, "y": 3 })),
            request("a", "create", KEY, &json!({ "x": 1, "y": 2 })),
        ] {
            assert_eq!(other.judge(Some(&used), now), Verdict::Other);
        }
        // Another caller's key is another key.
        assert_ne!(first.key, request("b", "complete", KEY, &json!({})).key);
    }

    #[test]
    fn what_is_no_key_names_nothing() {
        for key in [
            "",
            "short",
            "not a key but long enough",
            &"x".repeat(65),
            "ключ-ключ-ключ-ключ",
        ] {
            assert_eq!(
                Request::new("a", "complete", key, &Map::new()),
                None,
                "{key}"
            );
        }
    }
}
