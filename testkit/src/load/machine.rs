//! What the system tells about processes and processors (Linux).

use std::{fs, io, time::Duration};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

/// Length of the kernel's accounting tick (USER_HZ is 100 on every Linux).
const TICK: Duration = Duration::from_millis(10);

/// Lets the calling thread, and threads and processes that it starts, run on
/// `cores` only, and returns what it could run on before.
///
/// # Errors
///
/// When the machine does not have these cores.
pub fn pin(cores: &[usize]) -> io::Result<Vec<usize>> {
    let before = sched_getaffinity(None)?;
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| before.is_set(*core))
        .collect())
}

/// A process that is watched.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Process(pub u32);

impl Process {
    /// Returns this process.
    #[must_use]
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// Returns the processor time of all its threads, ended ones included, to
    /// 10 ms.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn processor_time(self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name in brackets may contain anything; fields are counted after it.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: Vec<u32> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse().ok())
            .collect();
        match ticks[..] {
            [user, system] => Ok(TICK * (user + system)),
            _ => Err(unreadable("stat")),
        }
    }

    /// Returns the resident memory now, in KiB.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn resident_kib(self) -> io::Result<u64> {
        self.status("VmRSS:")
    }

    /// Returns the highest resident memory so far, in KiB.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn peak_kib(self) -> io::Result<u64> {
        self.status("VmHWM:")
    }

    fn status(self, field: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
            .ok_or_else(|| unreadable("status"))
    }
}

/// Returns the time that all processors together have worked since the start.
pub(super) fn busy_time() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guest time is
    // contained in user time.
    let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else {
        return Err(unreadable("/proc/stat"));
    };
    let busy = user + nice + system + irq + softirq + steal;
    Ok(TICK * u32::try_from(busy).map_err(|_| unreadable("/proc/stat"))?)
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("cannot read {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_can_be_watched() {
        let own = Process::own();
        let (time, busy) = (own.processor_time().unwrap(), busy_time().unwrap());
        assert!(time <= busy, "{time:?} {busy:?}");
        let (now, peak) = (own.resident_kib().unwrap(), own.peak_kib().unwrap());
        assert!(now > 0 && now <= peak, "{now} {peak}");
    }

    #[test]
    fn process_that_is_gone_is_an_error() {
        assert!(Process(u32::MAX).processor_time().is_err());
    }

    #[test]
    fn pinning_tells_what_to_go_back_to() {
        let before = pin(&[0]).unwrap();
        assert_eq!(pin(&before).unwrap(), [0]);
    }
}
