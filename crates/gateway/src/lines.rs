//! Lines of the log about requests that were refused or got no answer.
//!
//! # Invariants
//!
//! * However many requests are refused, the log grows slowly: of a kind and caller one
//!   line a second, of all together [`PER_SECOND`] for long. What has no line of its own
//!   is counted, and the count is told.
//! * Text from outside is bounded and printable, and none of it is a secret. Arguments
//!   and what persons said stand in no line.

use std::{borrow::Cow, collections::HashMap, net::IpAddr, sync::Mutex, time::Duration};

use airside_base::{CallId, Fault, ServerId};
use airside_firewall as firewall;
use http::StatusCode;

use crate::trace::Trace;

/// Lines that may follow each other at once, and how many a second for long.
const BURST: f64 = 100.0;
const PER_SECOND: f64 = 5.0;
/// How long one line stands for what is refused alike.
const AGAIN: Duration = Duration::from_secs(1);
/// Most kinds and callers that are told apart.
const MAX_KINDS: usize = 256;
const OTHERS: &str = "(others)";
/// Longest text from outside, in characters.
const MAX_TEXT: usize = 300;

/// What is known of a request that was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) trace: Trace,
    /// Who called; none before that is known.
    pub(crate) caller: Option<&'a str>,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) endpoint: Option<&'a str>,
    pub(crate) call: Option<CallId>,
    pub(crate) server: Option<&'a ServerId>,
    pub(crate) method: Option<&'a str>,
    pub(crate) tool: Option<&'a str>,
}

/// Keeps a flood of refusals out of the log.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Lines that have been spent of [`BURST`].
    spent: f64,
    /// On the monotonic clock.
    last: Duration,
    kinds: HashMap<(&'static str, Box<str>), Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    /// When the last line was written.
    last: Option<Duration>,
    /// What has had no line since.
    since: u64,
}

impl Kept {
    /// Takes a line of the budget.
    fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.last).as_secs_f64();
        self.last = now;
        self.spent = (self.spent - passed * PER_SECOND).max(0.0);
        let room = self.spent < BURST;
        if room {
            self.spent += 1.0;
        }
        room
    }
}

impl Lines {
    /// Returns whether what happened to `who` gets a line at `now`, on the monotonic
    /// clock, and how often the same has happened without one.
    pub(crate) fn pass(&self, code: &'static str, who: &str, now: Duration) -> Option<u64> {
        let mut kept = self.0.lock().expect("the lock is not poisoned");
        let mut key = (code, Box::from(who));
        if kept.kinds.len() >= MAX_KINDS && !kept.kinds.contains_key(&key) {
            key.1 = OTHERS.into();
        }
        let kind = kept.kinds.entry(key.clone()).or_default();
        kind.since += 1;
        let due = kind
            .last
            .is_none_or(|last| now.saturating_sub(last) >= AGAIN);
        if !due || !kept.take(now) {
            return None;
        }
        let kind = kept.kinds.entry(key).or_default();
        kind.last = Some(now);
        Some(std::mem::take(&mut kind.since) - 1)
    }

    /// Tells what was counted and has had no line, as far as there is room for lines.
    pub(crate) fn tell_counts(&self, now: Duration) {
        for (code, who, times) in self.counts(now) {
            tracing::info!(code, who = &*who, times, "requests were refused likewise");
        }
    }

    /// Tells at the end what was counted: nothing comes after it that would.
    pub(crate) fn tell_rest(&self, now: Duration) {
        self.tell_counts(now + AGAIN);
    }

    fn counts(&self, now: Duration) -> Vec<(&'static str, Box<str>, u64)> {
        let mut kept = self.0.lock().expect("the lock is not poisoned");
        let quiet = |kind: &Kind| {
            kind.last
                .is_none_or(|last| now.saturating_sub(last) >= AGAIN)
        };
        kept.kinds.retain(|_, kind| kind.since > 0 || !quiet(kind));
        let waiting = kept
            .kinds
            .iter()
            .filter(|(_, kind)| kind.since > 0 && quiet(kind));
        let waiting: Vec<_> = waiting.map(|(key, _)| key.clone()).collect();
        let mut told = Vec::new();
        for key in waiting {
            if !kept.take(now) {
                break;
            }
            if let Some(kind) = kept.kinds.remove(&key) {
                told.push((key.0, key.1, kind.since));
            }
        }
        told
    }

    /// Tells of a refusal, if it gets a line.
    pub(crate) fn refused(
        &self,
        about: About<'_>,
        (fault, status): (&Fault, StatusCode),
        now: Duration,
    ) {
        let caller = about.caller.map(shown);
        let peer = about.peer.map(|peer| peer.to_string());
        let who = caller.as_deref().or(peer.as_deref()).unwrap_or(OTHERS);
        let Some(unlogged) = self.pass(fault.code(), who, now) else {
            return;
        };
        let method = about.method.map(shown);
        let tool = about.tool.map(shown);
        tracing::info!(
            code = fault.code(),
            cause = &*shown(fault.public()),
            reason = fault.private().map(shown).as_deref(),
            hint = fault.hint().map(shown).as_deref(),
            status = status.as_u16(),
            caller = caller.as_deref(),
            tenant = about.tenant,
            peer = peer.as_deref(),
            endpoint = about.endpoint,
            server.id = about.server.map(tracing::field::display),
            method = method.as_deref(),
            tool = tool.as_deref(),
            call.id = about.call.map(tracing::field::display),
            trace.id = %about.trace,
            unlogged = (unlogged > 0).then_some(unlogged),
            "a request was refused"
        );
    }
}

/// Returns `text` as it may stand in a line.
fn shown(text: &str) -> Cow<'_, str> {
    if firewall::is_secret(text) {
        return "[redacted]".into();
    }
    let is_odd = |c: char| c.is_control() || is_invisible(c);
    if text.len() <= MAX_TEXT && !text.contains(is_odd) {
        return text.into();
    }
    let visible = |c: char| if is_odd(c) { '\u{fffd}' } else { c };
    text.chars().take(MAX_TEXT).map(visible).collect()
}

/// Characters that hide or turn round what a person reads.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn first_of_a_kind_has_a_line_and_the_others_are_counted() {
        let lines = Lines::default();
        let pass = |code, who, ms| lines.pass(code, who, START + Duration::from_millis(ms));
        assert_eq!(pass("POL-001", "ada", 0), Some(0));
        assert_eq!(pass("POL-001", "ada", 1), None);
        assert_eq!(pass("POL-001", "ada", 999), None);
        assert_eq!(pass("POL-001", "bob", 999), Some(0));
        assert_eq!(pass("GW-007", "ada", 999), Some(0));
        assert_eq!(pass("POL-001", "ada", 1000), Some(2));
        assert_eq!(pass("POL-001", "ada", 1001), None);
        assert_eq!(lines.counts(START + Duration::from_millis(1500)), []);
        let later = START + Duration::from_secs(3);
        assert_eq!(lines.counts(later), [("POL-001", "ada".into(), 1)]);
        assert_eq!(lines.counts(later), []);
    }

    #[test]
    fn flood_of_callers_has_few_lines_and_none_is_forgotten() {
        let lines = Lines::default();
        let mut told = 0;
        let mut written = 0;
        for n in 0..100_000_u64 {
            let now = START + Duration::from_micros(n * 100);
            if let Some(others) = lines.pass("ID-001", &format!("10.0.{n}"), now) {
                written += 1;
                told += 1 + others;
            }
        }
        // Ten seconds: the burst, and what comes back meanwhile.
        assert!((100..=150).contains(&written), "{written}");
        let mut now = START;
        for _ in 0..10 {
            now += Duration::from_secs(60);
            let counts = lines.counts(now);
            assert!(counts.len() <= 101);
            told += counts.iter().map(|(_, _, times)| times).sum::<u64>();
        }
        assert_eq!(told, 100_000);
    }

    #[test]
    fn text_from_outside_is_printable_bounded_and_no_secret() {
        for (text, expected) in [
            ("search", "search"),
            ("a\nb\u{1b}[2J\u{202e}c", "a\u{fffd}b\u{fffd}[2J\u{fffd}c"),
            ("4111 1111 1111 1111", "[redacted]"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(shown(&"x".repeat(5000)).chars().count(), MAX_TEXT);
    }
}
