//! What is said about a limit that was reached.

use std::time::Duration;

use airside_base::{Fault, Kind as FaultKind};

use super::{Kind, Level, Rule};

/// A rule that refused a call, and when it would not.
#[derive(Debug, Clone, Copy)]
pub struct Excess<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What is left.
    pub level: Level,
}

impl Excess<'_> {
    /// Returns how long to wait.
    #[must_use]
    pub fn wait(&self) -> Duration {
        match self.rule.kind {
            // Nobody knows when a call ends; most take less.
            Kind::Concurrent(_) => Duration::from_secs(1),
            Kind::Pace(_) | Kind::Quota { .. } | Kind::LookToBook { .. } => {
                Duration::from_nanos(self.level.retry_ns)
            }
        }
    }

    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let (code, text) = match self.rule.kind {
            Kind::Pace(_) => ("POL-020", "too many calls in this time"),
            Kind::Concurrent(_) => ("POL-021", "too many calls at the same time"),
            Kind::Quota { .. } => ("POL-022", "the quota of this period is used up"),
            Kind::LookToBook { .. } => ("POL-023", "too many searches for the bookings made"),
        };
        Fault::new(FaultKind::Exhausted, code, text)
            .with_hint(self.sentence())
            .with_retry_after(self.wait())
    }

    /// Returns one sentence that a model can act on.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (name, wait) = (&self.rule.name, plain(self.wait()));
        match &self.rule.kind {
            Kind::Pace(_) => {
                format!("The rate limit `{name}` is reached: wait {wait}, then repeat the call.")
            }
            Kind::Concurrent(most) => format!(
                "{most} calls are under way, as many as `{name}` allows: wait for one to end, then repeat the call."
            ),
            Kind::Quota { limit, .. } => format!(
                "The quota `{name}` of {limit} is used up: it is renewed in {wait}, do not repeat the call before."
            ),
            Kind::LookToBook { .. } => format!(
                "The budget `{name}` of searches without a booking is used up: help the user to decide between the results at hand, or search again in {wait}; a completed booking renews it."
            ),
        }
    }
}

/// Returns `wait` in words, rounded up.
fn plain(wait: Duration) -> String {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds.div_ceil(60), "minute"),
        7_200..172_800 => (seconds.div_ceil(3_600), "hour"),
        _ => (seconds.div_ceil(86_400), "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up_to_what_people_say() {
        let check = |ms, expected: &str| assert_eq!(plain(Duration::from_millis(ms)), expected);
        check(0, "1 second");
        check(1_001, "2 seconds");
        check(119_000, "119 seconds");
        check(121_000, "3 minutes");
        check(7_200_000, "2 hours");
        check(200_000_000, "3 days");
    }
}
