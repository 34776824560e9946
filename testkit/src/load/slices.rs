//! Targets that take turns, and sessions that are only held.

use std::{net::SocketAddr, time::Duration};

use airside_base::Clock;
use serde::Serialize;

use super::{
    drive::{Driver, Error, Pace},
    histogram::Histogram,
    machine::{Process, busy_time},
    session::{Session, Shape, handshakes},
};

/// One endpoint that is measured.
#[derive(Debug, Clone)]
pub struct Target {
    /// What it is called in the tables.
    pub name: String,
    /// Where calls go.
    pub address: SocketAddr,
    /// Path of the endpoint.
    pub path: String,
    /// The process whose time and memory count.
    pub process: Option<Process>,
    /// Access token that every request shows.
    pub token: Option<String>,
}

impl Target {
    /// Reads `http://127.0.0.1:PORT/path`.
    ///
    /// # Errors
    ///
    /// When the URL is another one, or does not name a loopback address.
    pub fn new(name: &str, url: &str, process: Option<Process>) -> Result<Self, Error> {
        let refused = || Error::NotLoopback(url.to_owned());
        let uri: http::Uri = url.parse().map_err(|_| refused())?;
        let address: SocketAddr = uri
            .authority()
            .and_then(|authority| authority.as_str().parse().ok())
            .ok_or_else(refused)?;
        if uri.scheme_str() != Some("http") || !address.ip().is_loopback() {
            return Err(refused());
        }
        Ok(Self {
            name: name.to_owned(),
            address,
            path: uri.path().to_owned(),
            process,
            token: None,
        })
    }
}

/// What is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who takes turns.
    pub targets: Vec<Target>,
    /// How many sessions each target has.
    pub sessions: usize,
    /// What each call asks for.
    pub shape: Shape,
    /// When calls are sent.
    pub pace: Pace,
    /// Length of a turn.
    pub slice: Duration,
    /// How often everybody has a turn.
    pub rounds: usize,
    /// Processes that belong to the measurement, besides the targets'.
    pub helpers: Vec<Process>,
}

/// What one target did.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Name of the target.
    pub target: String,
    /// How the calls were made.
    #[serde(flatten)]
    pub shape: Shape,
    /// How many sessions were open.
    pub sessions: usize,
    /// How many calls were offered a second; none in the closed loop.
    pub offered_per_s: Option<f64>,
    /// How many calls were answered.
    pub calls: u64,
    /// Answered calls a second, over all turns.
    pub per_s: f64,
    /// Answered calls a second, turn by turn.
    pub rounds_per_s: Vec<f64>,
    /// Time that half of the calls did not exceed, turn by turn, in milliseconds.
    pub rounds_p50_ms: Vec<f64>,
    /// Time that half of the calls did not exceed, in milliseconds.
    pub p50_ms: f64,
    /// The same for nine tenths.
    pub p90_ms: f64,
    /// The same for 99 of 100.
    pub p99_ms: f64,
    /// The same for 999 of 1,000.
    pub p999_ms: f64,
    /// Processor time of the target's process for a call, in microseconds.
    pub cpu_us: Option<f64>,
    /// Resident memory after the last turn, in MiB.
    pub resident_mib: Option<f64>,
    /// Highest resident memory so far, in MiB.
    pub peak_mib: Option<f64>,
    /// Processors that work of others took meanwhile.
    pub other_cores: f64,
}

struct Turns {
    target: Target,
    driver: Driver,
    histogram: Histogram,
    elapsed: Duration,
    processor: Duration,
    other: Duration,
    rounds: Vec<f64>,
    halves_ms: Vec<f64>,
}

/// Runs `plan`.
///
/// # Errors
///
/// With the first answer that is wrong, and when the system refuses something.
pub fn run(plan: &Plan, clock: &dyn Clock) -> Result<Vec<Measured>, Error> {
    let mut turns = Vec::new();
    for target in &plan.targets {
        let sessions: Result<Vec<_>, _> = (0..plan.sessions)
            .map(|number| {
                let shape = plan.shape.clone();
                Session::open(target, shape, number as u64)
            })
            .collect();
        turns.push(Turns {
            target: target.clone(),
            driver: Driver::new(sessions?)?,
            histogram: Histogram::default(),
            elapsed: Duration::ZERO,
            processor: Duration::ZERO,
            other: Duration::ZERO,
            rounds: Vec::new(),
            halves_ms: Vec::new(),
        });
    }
    // The first turn fills caches and pools and counts for nothing.
    for turn in &mut turns {
        turn.driver.slice(plan.pace, plan.slice / 3, clock)?;
    }
    for round in 0..plan.rounds {
        let mut order: Vec<&mut Turns> = turns.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for turn in order {
            take_turn(turn, plan, clock)?;
        }
    }
    turns.into_iter().map(|turn| finish(turn, plan)).collect()
}

fn take_turn(turn: &mut Turns, plan: &Plan, clock: &dyn Clock) -> Result<(), Error> {
    let ours: Vec<Process> = turn
        .target
        .process
        .into_iter()
        .chain(plan.helpers.iter().copied())
        .chain([Process::own()])
        .collect();
    let times = || -> std::io::Result<(Duration, Duration)> {
        let all: Result<Vec<_>, _> = ours
            .iter()
            .map(|process| process.processor_time())
            .collect();
        let all = all?;
        Ok((all[0], all.iter().sum()))
    };
    let (busy, (processor, known), start) = (busy_time()?, times()?, clock.monotonic());
    let histogram = turn.driver.slice(plan.pace, plan.slice, clock)?;
    let (took, (processor_after, known_after)) = (clock.monotonic() - start, times()?);
    let all = busy_time()?.saturating_sub(busy);
    if turn.target.process.is_some() {
        turn.processor += processor_after - processor;
    }
    turn.other += all.saturating_sub(known_after - known);
    turn.elapsed += took;
    turn.rounds.push(per_second(histogram.count(), took));
    turn.halves_ms
        .push(histogram.quantile(0.5).as_secs_f64() * 1e3);
    turn.histogram.add(&histogram);
    Ok(())
}

fn finish(turn: Turns, plan: &Plan) -> Result<Measured, Error> {
    let quantile = |quantile| turn.histogram.quantile(quantile).as_secs_f64() * 1e3;
    let calls = turn.histogram.count();
    let cpu = turn.processor.as_secs_f64() * 1e6;
    let memory = |kib: std::io::Result<u64>| kib.map(mib);
    let process = turn.target.process;
    let measured = Measured {
        target: turn.target.name,
        shape: plan.shape.clone(),
        sessions: plan.sessions,
        offered_per_s: match plan.pace {
            Pace::Closed => None,
            Pace::Open(rate) => Some(rate),
        },
        calls,
        per_s: per_second(calls, turn.elapsed),
        rounds_per_s: turn.rounds,
        rounds_p50_ms: turn.halves_ms,
        p50_ms: quantile(0.5),
        p90_ms: quantile(0.9),
        p99_ms: quantile(0.99),
        p999_ms: quantile(0.999),
        cpu_us: process.map(|_| cpu / ratio(calls.max(1), 1)),
        resident_mib: process
            .map(|process| memory(process.resident_kib()))
            .transpose()?,
        peak_mib: process
            .map(|process| memory(process.peak_kib()))
            .transpose()?,
        other_cores: turn.other.as_secs_f64() / turn.elapsed.as_secs_f64().max(1e-9),
    };
    for session in turn.driver.into_sessions() {
        session.close()?;
    }
    Ok(measured)
}

fn per_second(count: u64, time: Duration) -> f64 {
    ratio(count, 1) / time.as_secs_f64().max(1e-9)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of calls and KiB are far below 2^52"
)]
fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

pub(super) fn mib(kib: u64) -> f64 {
    ratio(kib, 1024)
}

/// Memory that open sessions take.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Held {
    /// Name of the target.
    pub target: String,
    /// How many sessions were held.
    pub sessions: usize,
    /// Resident memory before, in KiB.
    pub before_kib: u64,
    /// Resident memory while all were open, in KiB.
    pub held_kib: u64,
    /// Resident memory after all were closed, in KiB.
    pub after_kib: u64,
    /// Resident memory per session, in KiB.
    pub per_session_kib: f64,
}

impl Held {
    /// Returns the resident memory after all were closed, in MiB.
    #[must_use]
    pub fn after_mib(&self) -> f64 {
        mib(self.after_kib)
    }
}

/// Opens `sessions` handshake sessions at `target`, one after the other over one
/// connection, measures, and closes them.
///
/// # Errors
///
/// When the target refuses one, or its process is not known.
pub fn hold(target: &Target, sessions: usize) -> Result<Held, Error> {
    let process = target
        .process
        .ok_or_else(|| Error::Setup("holding sessions needs the process".to_owned()))?;
    // The first few pay for pools and buffers that are there afterwards.
    handshakes(target, 100, &mut || Ok(()))?;
    let before_kib = process.resident_kib()?;
    let mut held_kib = 0;
    handshakes(target, sessions, &mut || {
        held_kib = process.resident_kib()?;
        Ok(())
    })?;
    Ok(Held {
        target: target.name.clone(),
        sessions,
        before_kib,
        held_kib,
        after_kib: process.resident_kib()?,
        per_session_kib: ratio(held_kib.saturating_sub(before_kib), sessions.max(1) as u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_a_target() {
        let check = |url: &str| Target::new("t", url, None).is_ok();
        assert!(check("http://127.0.0.1:7400/mcp"));
        assert!(check("http://[::1]:7400/mcp"));
        assert!(!check("http://192.168.0.1:7400/mcp"));
        assert!(!check("https://127.0.0.1:7400/mcp"));
        assert!(!check("http://localhost/mcp"));
    }
}
