//! What keeps a hotel's system, and us, from too many calls.
//!
//! # Invariants
//!
//! * Whoever has no turn before the deadline has sent nothing.
//! * While the breaker is open nothing is sent; after its rest one call tries.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use airside_base::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Failures in a row that open the breaker.
const FAILURES: u32 = 5;
/// How long it stays open.
const REST: Duration = Duration::from_secs(10);

/// The turns of one hotel.
#[derive(Debug)]
pub(super) struct Lane {
    places: Arc<Semaphore>,
    /// Time between two calls on average.
    interval: Duration,
    /// How far calls may be ahead of that: a second's worth of them.
    ahead: Duration,
    /// When the next call would be due (generic cell rate algorithm).
    due: Mutex<Duration>,
}

impl Lane {
    pub(super) fn new(concurrency: usize, per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self {
            places: Arc::new(Semaphore::new(concurrency.max(1))),
            interval,
            ahead: Duration::from_secs(1).saturating_sub(interval),
            due: Mutex::new(Duration::ZERO),
        }
    }

    /// Waits for a turn; `None` if there is none within `patience`.
    pub(super) async fn turn(
        &self,
        clock: &dyn Clock,
        patience: Duration,
    ) -> Option<OwnedSemaphorePermit> {
        let begun = clock.monotonic();
        let place = tokio::select! {
            biased;
            place = self.places.clone().acquire_owned() => place.ok()?,
            () = clock.sleep(patience) => return None,
        };
        let now = clock.monotonic();
        let left = patience.saturating_sub(now.saturating_sub(begun));
        let wait = self.reserve(now, left)?;
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
        Some(place)
    }

    /// Takes the next moment for a call; returns how long it is until then.
    fn reserve(&self, now: Duration, patience: Duration) -> Option<Duration> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (*due).max(now);
        let wait = at.saturating_sub(self.ahead).saturating_sub(now);
        if wait > patience {
            return None;
        }
        *due = at + self.interval;
        Some(wait)
    }
}

/// Stops calls to a gateway that does not answer.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<Failures>);

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    /// Until when nothing is sent, on the monotonic clock.
    rest: Duration,
}

impl Breaker {
    /// Lets a call through, or says when to come again.
    pub(super) fn admit(&self, now: Duration) -> Result<(), Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.in_a_row < FAILURES {
            return Ok(());
        }
        if now < state.rest {
            return Err(state.rest - now);
        }
        // One call tries; the others wait for what becomes of it.
        state.rest = now + REST;
        Ok(())
    }

    /// Notes how a call ended.
    pub(super) fn note(&self, broken: bool, now: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !broken {
            state.in_a_row = 0;
            return;
        }
        state.in_a_row = state.in_a_row.saturating_add(1);
        if state.in_a_row == FAILURES {
            tracing::warn!("OPERA does not answer; calls to it rest");
        }
        if state.in_a_row >= FAILURES {
            state.rest = now + REST;
        }
    }
}

#[cfg(test)]
mod tests {
    use airside_base::VirtualClock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn breaker_opens_after_failures_in_a_row_and_lets_one_try() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert_eq!(breaker.admit(SECOND), Ok(()));
            breaker.note(true, SECOND);
        }
        assert_eq!(breaker.admit(SECOND * 2), Err(REST - SECOND));
        let later = SECOND + REST;
        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.admit(later), Err(REST));
        breaker.note(false, later);
        assert_eq!(breaker.admit(later), Ok(()));
    }

    #[test]
    fn calls_are_spread_over_time_and_the_impatient_send_nothing() {
        let lane = Lane::new(8, 4);
        let waits: Vec<_> = (0..6).map(|_| lane.reserve(SECOND, SECOND)).collect();
        let quarter = SECOND / 4;
        let expected = [0, 0, 0, 0, 1, 2].map(|quarters| Some(quarter * quarters));
        assert_eq!(waits, expected);
        assert_eq!(lane.reserve(SECOND, SECOND / 8), None);
    }

    #[tokio::test]
    async fn calls_about_one_hotel_wait_for_a_place() {
        let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
        let lane = Lane::new(1, 1_000);
        let first = lane.turn(&clock, SECOND).await;
        assert!(first.is_some());
        let second = lane.turn(&clock, SECOND);
        let wait = async { clock.advance(SECOND * 2) };
        let (second, ()) = tokio::join!(second, wait);
        assert!(second.is_none());
        drop(first);
        assert!(lane.turn(&clock, SECOND).await.is_some());
    }
}
