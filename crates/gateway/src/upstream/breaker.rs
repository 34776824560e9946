//! Stops calling a server that keeps failing, and tries it again after a while.
//!
//! # Invariants
//!
//! * Closed: calls pass; `failures` in a row open it. Open: nothing passes until the
//!   time is over. Half open: exactly one call passes; its end decides.
//! * A call that ends without a verdict (its client went away) decides nothing; if
//!   it was the trial, the next call becomes the trial.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use airside_base::{Clock, ServerId};

/// The breaker of one upstream.
pub(crate) struct Breaker {
    server: ServerId,
    clock: Arc<dyn Clock>,
    failures: u32,
    open_for: Duration,
    phase: Mutex<Phase>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Duration },
    HalfOpen,
}

/// What a breaker does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// One call is let through to try.
    HalfOpen,
}

impl State {
    /// Returns the state in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl Breaker {
    /// Returns a closed breaker that `failures` in a row open for `open_for`.
    pub(crate) fn new(
        server: ServerId,
        clock: Arc<dyn Clock>,
        failures: u32,
        open_for: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            server,
            clock,
            failures,
            open_for,
            phase: Mutex::new(Phase::Closed { failures: 0 }),
        })
    }

    /// Lets one call pass, or returns how long none will.
    pub(crate) fn pass(self: &Arc<Self>) -> Result<Attempt, Duration> {
        let mut phase = self.lock();
        match *phase {
            Phase::Closed { .. } => Ok(self.attempt(false)),
            Phase::HalfOpen => Err(self.open_for),
            Phase::Open { until } => match until.checked_sub(self.clock.monotonic()) {
                Some(left) if !left.is_zero() => Err(left),
                _ => {
                    *phase = Phase::HalfOpen;
                    Ok(self.attempt(true))
                }
            },
        }
    }

    /// Returns what it does at the moment.
    pub(crate) fn state(&self) -> State {
        match *self.lock() {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen => State::HalfOpen,
        }
    }

    fn attempt(self: &Arc<Self>, trial: bool) -> Attempt {
        Attempt {
            breaker: Some(self.clone()),
            trial,
        }
    }

    fn open(&self) -> Phase {
        tracing::warn!(
            server.id = %self.server,
            for_ms = self.open_for.as_millis(),
            "an upstream server fails and is not called for a while"
        );
        Phase::Open {
            until: self.clock.monotonic() + self.open_for,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Breaker({})", self.state().as_str())
    }
}

/// A call that was let through and has not ended.
#[must_use = "the breaker has to learn how the call ended"]
pub(crate) struct Attempt {
    breaker: Option<Arc<Breaker>>,
    trial: bool,
}

impl Attempt {
    /// The server answered as it should.
    pub(crate) fn succeeded(mut self) {
        if let Some(breaker) = self.breaker.take() {
            let mut phase = breaker.lock();
            // A call from before the opening says nothing about now.
            if self.trial {
                tracing::info!(server.id = %breaker.server, "an upstream server answers again");
            }
            if self.trial || matches!(*phase, Phase::Closed { .. }) {
                *phase = Phase::Closed { failures: 0 };
            }
        }
    }

    /// The server could not be reached, broke off, was too slow or failed.
    pub(crate) fn failed(mut self) {
        if let Some(breaker) = self.breaker.take() {
            let mut phase = breaker.lock();
            *phase = match *phase {
                Phase::Closed { failures } if failures + 1 < breaker.failures => Phase::Closed {
                    failures: failures + 1,
                },
                Phase::Closed { .. } => breaker.open(),
                Phase::HalfOpen if self.trial => breaker.open(),
                late @ (Phase::HalfOpen | Phase::Open { .. }) => late,
            };
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(breaker) = self.breaker.take()
            && self.trial
        {
            *breaker.lock() = Phase::Open {
                until: breaker.clock.monotonic(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use airside_base::VirtualClock;

    use super::*;

    fn server() -> ServerId {
        "hotels".parse().unwrap()
    }

    /// Plays `script` on a breaker that opens after 2 failures for 10 s: `+` success,
    /// `-` failure, `0` no verdict, a digit from 1 lets that many seconds pass, `x`
    /// expects a refusal. Returns the state at the end.
    fn play(script: &str) -> State {
        let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
        let breaker = Breaker::new(
            server(),
            Arc::new(clock.clone()),
            2,
            Duration::from_secs(10),
        );
        for step in script.chars() {
            match step {
                '+' => breaker.pass().ok().unwrap().succeeded(),
                '-' => breaker.pass().ok().unwrap().failed(),
                '0' => drop(breaker.pass().ok().unwrap()),
                'x' => assert!(breaker.pass().is_err(), "{script}"),
                digit => clock.advance(Duration::from_secs(u64::from(digit as u32 - '0' as u32))),
            }
        }
        breaker.state()
    }

    #[test]
    fn failures_in_a_row_open_it() {
        assert_eq!(play("-+-"), State::Closed);
        assert_eq!(play("-0-x"), State::Open);
    }

    #[test]
    fn after_the_time_one_call_tries() {
        assert_eq!(play("--9x1+"), State::Closed);
        assert_eq!(play("--91-x9x1+"), State::Closed);
        assert_eq!(
            play("--9101-x"),
            State::Open,
            "a trial without verdict is repeated"
        );
    }

    #[test]
    fn only_one_call_tries_at_a_time() {
        let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
        let breaker = Breaker::new(
            server(),
            Arc::new(clock.clone()),
            1,
            Duration::from_secs(10),
        );
        let late = breaker.pass().ok().unwrap();
        breaker.pass().ok().unwrap().failed();
        clock.advance(Duration::from_secs(10));
        let trial = breaker.pass().ok().unwrap();
        assert_eq!(breaker.pass().err(), Some(Duration::from_secs(10)));
        late.succeeded();
        assert_eq!(
            breaker.state(),
            State::HalfOpen,
            "an old call decides nothing"
        );
        trial.succeeded();
        assert_eq!(breaker.state(), State::Closed);
    }
}
