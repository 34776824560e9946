//! The trace that a request belongs to (W3C Trace Context, Recommendation of 2021-11-23).
//!
//! # Invariants
//!
//! * What a client says of its trace is a name to search by and nothing else: nothing is
//!   decided by it. What is not valid is replaced, and never a reason to refuse.
//! * The gateway records no spans, so it takes no place in the trace: a valid
//!   `traceparent` goes on as it came, and the server's span becomes a child of the
//!   client's. Where there is none, one begins here.

use std::fmt;

use airside_base::CallId;
use airside_mcp::Call;
use http::{HeaderMap, HeaderName, HeaderValue};

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest `tracestate` that goes on, in bytes: what has to go on at least (section 3.3.1.5).
const MAX_STATE: usize = 512;
/// Most members of a `tracestate` (section 3.3.1.1).
const MAX_MEMBERS: usize = 32;

/// The trace of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    id: u128,
    parent: u64,
    flags: u8,
    /// Whether the client named it.
    is_told: bool,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

impl Trace {
    /// Returns the trace that the fields of a request name, or the one that begins with
    /// `call`, and leaves in `headers` what goes on of it.
    pub(crate) fn of(headers: &mut HeaderMap, call: CallId) -> Self {
        let mut parents = headers.get_all(PARENT).iter();
        let told = match (parents.next(), parents.next()) {
            (Some(one), None) => one.to_str().ok().and_then(Self::parse),
            // Several are as good as none (section 3.2).
            _ => None,
        };
        if let Some(told) = told {
            keep_state(headers);
            return told;
        }
        headers.remove(STATE);
        // Of version 7: its lower half is random, but for two bits that are never zero.
        let id = call.as_u128();
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let parent = id as u64;
        let begun = Self {
            id,
            parent,
            flags: 0,
            is_told: false,
        };
        headers.insert(PARENT, begun.field());
        begun
    }

    /// Returns the trace that `call` names in its `_meta`, which is about the message and
    /// not about its way here; else the same one.
    pub(crate) fn named_by(self, call: &Call, headers: &mut HeaderMap) -> Self {
        let told = call.meta().traceparent();
        let Some(told) = told.as_deref().and_then(Self::parse) else {
            return self;
        };
        if !self.is_told {
            headers.insert(PARENT, told.field());
        }
        told
    }

    /// Returns the id as it is told, if the client named the trace.
    pub(crate) fn told(self) -> Option<String> {
        self.is_told.then(|| self.to_string())
    }

    fn field(self) -> HeaderValue {
        let text = format!(
            "00-{:032x}-{:016x}-{:02x}",
            self.id, self.parent, self.flags
        );
        HeaderValue::try_from(text).expect("hexadecimal digits are a field value")
    }

    fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once('-')?;
        let (id, rest) = rest.split_once('-')?;
        let (parent, rest) = rest.split_once('-')?;
        let (flags, more) = match rest.split_once('-') {
            Some((flags, more)) => (flags, Some(more)),
            None => (rest, None),
        };
        let version = hex(version, 2)?;
        // A later version may say more, behind what this one says (section 3.2.4).
        if version == 0xff || (version == 0 && more.is_some()) {
            return None;
        }
        let told = Self {
            id: hex(id, 32)?,
            parent: u64::try_from(hex(parent, 16)?).ok()?,
            flags: u8::try_from(hex(flags, 2)?).ok()?,
            is_told: true,
        };
        (told.id != 0 && told.parent != 0).then_some(told)
    }
}

/// Reads exactly `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != digits || !text.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

/// Drops a `tracestate` that is none, or too long to go on.
fn keep_state(headers: &mut HeaderMap) {
    let mut bytes = 0;
    let mut members = 0;
    let sound = headers.get_all(STATE).iter().all(|field| {
        let Ok(text) = field.to_str() else {
            return false;
        };
        bytes += text.len();
        let listed = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        listed.into_iter().all(|member| {
            members += 1;
            member
                .split_once('=')
                .is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
        })
    });
    if !sound || bytes > MAX_STATE || members > MAX_MEMBERS {
        headers.remove(STATE);
    }
}

#[cfg(test)]
mod tests {
    use airside_base::VirtualClock;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn check(fields: &[(&'static str, &str)], parent: &str, state: &[&str]) {
        let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
        let call = CallId::generate(&clock);
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let trace = Trace::of(&mut headers, call);
        let begun = format!("{:032x}", call.as_u128());
        let expected = match parent {
            "" => format!("00-{begun}-{}-00", &begun[16..]),
            parent => parent.to_owned(),
        };
        assert_eq!(headers["traceparent"], expected, "{fields:?}");
        assert_eq!(trace.to_string(), expected[3..35], "{fields:?}");
        assert_eq!(trace.told().is_some(), !parent.is_empty());
        let kept: Vec<_> = headers.get_all("tracestate").iter().collect();
        assert_eq!(kept, state, "{fields:?}");
    }

    #[test]
    fn valid_context_goes_on_as_it_came() {
        let long = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-later";
        check(&[("traceparent", GOOD)], GOOD, &[]);
        check(&[("traceparent", long)], long, &[]);
        check(
            &[
                ("traceparent", GOOD),
                ("tracestate", "a=1,b@c=2"),
                ("tracestate", "d=3, ,"),
            ],
            GOOD,
            &["a=1,b@c=2", "d=3, ,"],
        );
    }

    #[test]
    fn invalid_context_is_replaced() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
            "+0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            check(&[("traceparent", bad), ("tracestate", "a=1")], "", &[]);
        }
        check(&[("traceparent", GOOD), ("traceparent", GOOD)], "", &[]);
        check(&[("tracestate", "a=1")], "", &[]);
        check(&[], "", &[]);
    }

    #[test]
    fn state_that_is_none_or_too_long_goes_no_further() {
        let many = "a=1,".repeat(33);
        let long = format!("a={}", "x".repeat(MAX_STATE));
        for bad in ["a", "=1", "a=", &many, &long] {
            check(&[("traceparent", GOOD), ("tracestate", bad)], GOOD, &[]);
        }
    }
}
