//! What is told of an error: its causes, and how often.

use std::{error::Error, fmt, mem, time::Duration};

/// The first pause between two lines of a log about what still does not work.
const SOON: Duration = Duration::from_millis(500);
/// The longest one.
const QUIET: Duration = Duration::from_secs(60);

/// An error followed by everything that led to it, in one line.
pub struct WithCauses<'a>(pub &'a dyn Error);

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Keeps what fails again and again from filling the log, which may be on the very disk
/// that is full: it is told at once, and then after pauses that double up to a minute.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Zero while everything works.
    pause: Duration,
    /// When it is told next, on the monotonic clock.
    next: Duration,
    unsaid: u64,
}

impl Trouble {
    /// Takes note of a failure at `now`, on the monotonic clock. If it is to be told,
    /// returns how many have not been told since the last one that was.
    pub fn again(&mut self, now: Duration) -> Option<u64> {
        if !self.pause.is_zero() && now < self.next {
            self.unsaid += 1;
            return None;
        }
        self.pause = (self.pause * 2).clamp(SOON, QUIET);
        self.next = now + self.pause;
        Some(mem::take(&mut self.unsaid))
    }

    /// Takes note that it works. If it did not before, returns how many failures have not
    /// been told.
    pub fn over(&mut self) -> Option<u64> {
        let failed = !self.pause.is_zero();
        let Self { unsaid, .. } = mem::take(self);
        failed.then_some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_for_an_hour_is_told_every_minute() {
        let mut trouble = Trouble::default();
        let mut told = Vec::new();
        let looks = 2 * 3600;
        for look in 0..looks {
            let now = SOON * look;
            told.extend(trouble.again(now).map(|unsaid| (now.as_secs(), unsaid)));
        }
        let begin = [(0, 0), (0, 0), (1, 1), (3, 3), (7, 7), (15, 15), (31, 31)];
        assert_eq!(told[..7], begin);
        assert_eq!(told[7..10], [(63, 63), (123, 119), (183, 119)]);
        assert_eq!(told.len(), 66);
        let unsaid: u64 = told.iter().map(|(_, unsaid)| unsaid).sum();
        let rest = trouble.over().unwrap();
        assert_eq!(unsaid + rest + 66, u64::from(looks));
        assert_eq!(trouble.over(), None, "it works");
        assert_eq!(trouble.again(SOON * looks), Some(0), "told at once again");
    }
}
