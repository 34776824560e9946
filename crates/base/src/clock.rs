//! Time as an argument.
//!
//! # Invariants
//!
//! * [`Clock::now`] is wall time and may step; [`Clock::monotonic`] never goes
//!   backwards and is the only base for deadlines.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::BoxFuture;

/// Source of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Returns the wall time (UTC). It may step in either direction.
    fn now(&self) -> Timestamp;

    /// Returns the time since an arbitrary origin. It never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Resolves once `duration` has passed on [`Clock::monotonic`].
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The clock of the operating system.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Returns a clock whose monotonic origin is this call.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system clock"
    )]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that moves only when told to.
///
/// Clones share the same time.
#[derive(Debug, Clone)]
pub struct VirtualClock {
    time: Arc<Mutex<Virtual>>,
    passed: watch::Sender<Duration>,
}

#[derive(Debug)]
struct Virtual {
    now: Timestamp,
    monotonic: Duration,
}

impl VirtualClock {
    /// Returns a clock that stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let time = Virtual {
            now,
            monotonic: Duration::ZERO,
        };
        Self {
            time: Arc::new(Mutex::new(time)),
            passed: watch::Sender::new(Duration::ZERO),
        }
    }

    /// Moves wall and monotonic time forward and wakes the sleepers that are due.
    ///
    /// # Panics
    ///
    /// When the wall time would leave the range of [`Timestamp`].
    pub fn advance(&self, duration: Duration) {
        let monotonic = {
            let mut time = self.lock();
            time.now = time
                .now
                .checked_add(duration)
                .expect("virtual time stays in range");
            time.monotonic += duration;
            time.monotonic
        };
        self.passed.send_replace(monotonic);
    }

    /// Steps the wall time to `now`, as an operator or NTP would: monotonic time
    /// is not touched.
    pub fn step_to(&self, now: Timestamp) {
        self.lock().now = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Virtual> {
        self.time
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let due = self.monotonic() + duration;
        let mut passed = self.passed.subscribe();
        // The sender lives in this clock: keeping a clone means that a sleeper
        // never outlives it and `wait_for` cannot fail.
        let keep = self.clone();
        Box::pin(async move {
            let _ = passed.wait_for(|now| *now >= due).await;
            drop(keep);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    #[tokio::test]
    async fn sleeper_wakes_when_its_time_has_passed() {
        let clock = VirtualClock::new(noon());
        let mut sleeper = clock.sleep(Duration::from_secs(10));
        clock.advance(Duration::from_secs(9));
        assert!(futures_util::poll!(&mut sleeper).is_pending());
        clock.advance(Duration::from_secs(1));
        sleeper.await;
    }

    #[test]
    fn stepping_the_wall_time_leaves_monotonic_time_alone() {
        let clock = VirtualClock::new(noon());
        clock.advance(Duration::from_secs(5));
        clock.step_to(noon());
        assert_eq!(
            (clock.now(), clock.monotonic()),
            (noon(), Duration::from_secs(5))
        );
    }
}
