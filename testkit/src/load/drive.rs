//! One slice of load over open sessions.

use std::{io, time::Duration};

use airside_base::Clock;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
};

use super::{histogram::Histogram, session::Session};
use crate::wire;

/// How long calls that are under way at the end of a slice may still take.
const GRACE: Duration = Duration::from_secs(30);

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("cannot drive the load")]
    System(#[from] io::Error),
    /// The target does not frame its messages.
    #[error("the answer of the target cannot be read: {0}")]
    Framing(String),
    /// A session could not be opened or closed.
    #[error("cannot set up a session: {0}")]
    Setup(String),
    /// A request did not fit the buffer of its socket.
    #[error("a request could not be written at once")]
    Unwritten,
    /// The target closed a connection with a call under way.
    #[error("the target hung up")]
    HungUp,
    /// The target answered something else than was asked.
    #[error("expected the nonce {expected}, got status {status}: {answer}")]
    Wrong {
        /// HTTP status of the answer.
        status: u16,
        /// What the text should have begun with.
        expected: String,
        /// The beginning of the answer.
        answer: String,
    },
    /// A call was still not answered long after the end of its slice.
    #[error("{0} calls were never answered")]
    Stuck(usize),
    /// A target is not on this machine.
    #[error("`{0}` is not a loopback URL")]
    NotLoopback(String),
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self::Framing(error.to_string())
    }
}

/// When calls are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each session sends its next call when it has the answer to the last.
    Closed,
    /// This many calls a second are due in all, whether or not they can be sent.
    Open(f64),
}

/// Sessions that share an epoll set.
pub(super) struct Driver {
    epoll: OwnedFd,
    sessions: Vec<Session>,
}

impl Driver {
    pub(super) fn new(sessions: Vec<Session>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (key, session) in sessions.iter().enumerate() {
            let data = epoll::EventData::new_u64(key as u64);
            epoll::add(&epoll, &session.stream, data, epoll::EventFlags::IN)?;
        }
        Ok(Self { epoll, sessions })
    }

    pub(super) fn into_sessions(self) -> Vec<Session> {
        self.sessions
    }

    /// Sends for `time` and returns how long the calls took.
    pub(super) fn slice(
        &mut self,
        pace: Pace,
        time: Duration,
        clock: &dyn Clock,
    ) -> Result<Histogram, Error> {
        let mut histogram = Histogram::default();
        let mut events = Vec::with_capacity(256);
        let mut scratch = vec![0; 256 * 1024];
        let start = clock.monotonic();
        let mut schedule = Schedule::new(pace, self.sessions.len(), start, start + time);
        // When the call that is under way was due; `None` while none is.
        let mut due: Vec<Option<Duration>> = vec![None; self.sessions.len()];
        loop {
            let now = clock.monotonic();
            for (key, due) in due.iter_mut().enumerate() {
                // A session that has an answer sends from the loop below.
                if due.is_none()
                    && let Some(at) = schedule.take(key, now)
                {
                    self.sessions[key].send()?;
                    *due = Some(at);
                }
            }
            let under_way = due.iter().flatten().count();
            if under_way == 0 && now >= start + time {
                return Ok(histogram);
            }
            if now > start + time + GRACE {
                return Err(Error::Stuck(under_way));
            }
            self.answers(
                &mut schedule,
                &mut due,
                &mut histogram,
                (&mut events, &mut scratch),
                clock,
            )?;
        }
    }

    /// Waits for answers and, where the schedule has a next call, sends it.
    fn answers(
        &mut self,
        schedule: &mut Schedule,
        due: &mut [Option<Duration>],
        histogram: &mut Histogram,
        (events, scratch): (&mut Vec<epoll::Event>, &mut Vec<u8>),
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        loop {
            epoll::wait(
                &self.epoll,
                spare_capacity(events),
                Some(&schedule.patience()),
            )
            .map_err(io::Error::from)?;
            for event in events.drain(..) {
                let Ok(key) = usize::try_from(event.data.u64()) else {
                    continue;
                };
                let session = &mut self.sessions[key];
                if !session.receive(scratch)? {
                    continue;
                }
                let now = clock.monotonic();
                if let Some(at) = due[key].take() {
                    histogram.record(now.saturating_sub(at));
                }
                if let Some(at) = schedule.take(key, now) {
                    session.send()?;
                    due[key] = Some(at);
                }
            }
            // In the open loop, and at the end, idle sessions have to be looked at.
            if schedule.pace != Pace::Closed || clock.monotonic() >= schedule.end {
                return Ok(());
            }
        }
    }
}

/// Which call is due when. In the open loop call number n is due at n intervals
/// after the start and belongs to session n modulo their number.
struct Schedule {
    pace: Pace,
    start: Duration,
    end: Duration,
    next: Vec<u32>,
}

impl Schedule {
    fn new(pace: Pace, sessions: usize, start: Duration, end: Duration) -> Self {
        let next = (0..u32::try_from(sessions).unwrap_or(u32::MAX)).collect();
        Self {
            pace,
            start,
            end,
            next,
        }
    }

    /// Takes the next call of a session if it is due, and returns when it was.
    fn take(&mut self, session: usize, now: Duration) -> Option<Duration> {
        let due = match self.pace {
            Pace::Closed => now,
            Pace::Open(rate) => {
                self.start + Duration::from_secs_f64(f64::from(self.next[session]) / rate)
            }
        };
        if due > now || due >= self.end {
            return None;
        }
        self.next[session] += u32::try_from(self.next.len()).unwrap_or(u32::MAX);
        Some(due)
    }

    /// How long to wait for answers. The open loop never sleeps: the generator
    /// has a core of its own, and timers are coarser than what is measured.
    fn patience(&self) -> Timespec {
        let tv_nsec = match self.pace {
            Pace::Closed => 20_000_000,
            Pace::Open(_) => 0,
        };
        Timespec { tv_sec: 0, tv_nsec }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_loop_counts_from_when_a_call_was_due() {
        let second = Duration::from_secs(1);
        let mut schedule = Schedule::new(Pace::Open(10.0), 2, second, second * 2);
        assert_eq!(schedule.take(0, second), Some(second));
        assert_eq!(schedule.take(1, second), None, "due a tenth later");
        let late = second + Duration::from_millis(950);
        let due: Vec<_> = std::iter::from_fn(|| schedule.take(1, late)).collect();
        let expected = [100, 300, 500, 700, 900].map(|ms| second + Duration::from_millis(ms));
        assert_eq!(due, expected);
    }

    #[test]
    fn nothing_is_due_after_the_end() {
        let second = Duration::from_secs(1);
        let mut schedule = Schedule::new(Pace::Closed, 1, Duration::ZERO, second);
        assert!(schedule.take(0, Duration::ZERO).is_some());
        assert!(schedule.take(0, second).is_none());
    }
}
