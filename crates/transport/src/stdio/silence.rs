//! Whether a process still does something for those who wait.

use std::time::Duration;

/// A process is wedged when it has said nothing for so long, while at least so many
/// requests were given up that had waited for so long together.
const LONGEST: Duration = Duration::from_secs(60);
const GIVEN_UP: u32 = 3;

/// How long a process has said nothing to those who wait. Times are those of a
/// monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Since when somebody waits; none if it has said something since.
    since: Option<Duration>,
    given_up: u32,
    /// What those who gave up have waited, together.
    waited: Duration,
}

impl Silence {
    /// Somebody begins to wait.
    pub(super) fn asked(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// The process has said something.
    pub(super) fn heard(&mut self) {
        *self = Self::default();
    }

    /// Somebody who has waited since `began` gives up. Returns whether the process is
    /// wedged.
    pub(super) fn given_up(&mut self, began: Duration, now: Duration) -> bool {
        // Since it was heard, nobody has begun to wait.
        let Some(since) = self.since else {
            return false;
        };
        self.given_up += 1;
        self.waited += now.saturating_sub(began.max(since));
        let silent = now.saturating_sub(since);
        self.given_up >= GIVEN_UP && silent >= LONGEST && self.waited >= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests from one second to another that are given up; returns whether the process
    /// is wedged after each.
    fn check(requests: &[(u64, u64)], expected: &[bool]) {
        let mut silence = Silence::default();
        let seconds = Duration::from_secs;
        let told = requests.iter().map(|(began, ended)| {
            silence.asked(seconds(*began));
            silence.given_up(seconds(*began), seconds(*ended))
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{requests:?}");
    }

    #[test]
    fn one_wait_or_short_ones_are_no_sign() {
        check(&[(0, 600)], &[false]);
        check(
            &[(0, 1), (3600, 3601), (7200, 7201)],
            &[false, false, false],
        );
        check(&[(0, 30), (0, 30), (0, 30), (0, 30)], &[false; 4]);
    }

    #[test]
    fn waits_after_each_other_are() {
        check(&[(0, 30), (30, 60), (60, 90)], &[false, false, true]);
        check(&[(0, 30), (0, 30), (31, 61)], &[false, false, true]);
    }

    #[test]
    fn word_of_the_process_begins_it_anew() {
        let mut silence = Silence::default();
        let seconds = Duration::from_secs;
        for n in 0..10 {
            silence.asked(seconds(n * 60));
            assert!(!silence.given_up(seconds(n * 60), seconds(n * 60 + 40)));
            silence.heard();
        }
        assert!(!silence.given_up(seconds(0), seconds(9999)), "nobody waits");
    }
}
