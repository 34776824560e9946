//! What the machine does meanwhile.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    time::Duration,
};

use airside_base::Clock;
use airside_testkit::load::Process;

/// Length of the kernel's accounting tick (USER_HZ is 100 on every Linux).
const TICK_S: f64 = 0.01;

/// Returns the load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Processor time of the machine and of what is measured, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    all: f64,
    ours: f64,
}

impl Busy {
    /// Reads both; `others` are processes that work for what is measured.
    pub(crate) fn now(ours: &[u32]) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap();
        let line = stat.lines().next().unwrap();
        // user, nice, system, idle, iowait, irq, softirq, steal.
        let ticks: Vec<f64> = line
            .split_whitespace()
            .skip(1)
            .map(|field| field.parse().unwrap())
            .collect();
        let all = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) * TICK_S;
        let own = std::iter::once(std::process::id()).chain(ours.iter().copied());
        let spent = own.filter_map(|id| Process(id).processor_time().ok());
        let ours = spent.map(|time| time.as_secs_f64()).sum();
        Self { all, ours }
    }

    /// Returns how many cores others have used since `before`, over `span`.
    pub(crate) fn others(self, before: Self, span: Duration) -> f64 {
        let all = self.all - before.all;
        let ours = self.ours - before.ours;
        ((all - ours) / span.as_secs_f64()).max(0.0)
    }
}

/// Returns the processes whose parent is `parent`, and `parent`.
pub(crate) fn family(parent: u32) -> Vec<u32> {
    let mut found = vec![parent];
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name in brackets may contain anything; the parent is the second field
        // behind it.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        if fields.split(' ').nth(1) == Some(&parent.to_string()) {
            found.push(id);
        }
    }
    found
}

/// Returns how often a second this disk makes 8 KiB durable, and how many rows of
/// `row` bytes it does in groups of `group`: the limit of any store that syncs.
pub(crate) fn syncs(folder: &Path, clock: &dyn Clock, group: usize, row: usize) -> (f64, f64) {
    let name = folder.join("sync");
    let mut file = File::create(&name).unwrap();
    let room = 16 << 20;
    file.write_all(&vec![1; room]).unwrap();
    file.sync_all().unwrap();
    let rate = |bytes: usize| {
        let text = vec![2; bytes];
        let (start, mut count) = (clock.monotonic(), 0);
        let span = Duration::from_millis(300);
        while clock.monotonic() - start < span {
            let at = (count * bytes) % (room - bytes);
            file.write_all_at(&text, at as u64).unwrap();
            file.sync_data().unwrap();
            count += 1;
        }
        count as f64 / (clock.monotonic() - start).as_secs_f64()
    };
    let rates = (rate(8192), rate(group * row) * group as f64);
    fs::remove_file(&name).unwrap();
    rates
}

/// Returns the present and the highest resident memory of this process, in MiB.
pub(crate) fn resident_mib() -> (f64, f64) {
    let own = Process::own();
    let mib = |kib: u64| kib as f64 / 1024.0;
    (
        mib(own.resident_kib().unwrap()),
        mib(own.peak_kib().unwrap()),
    )
}

/// Returns the bytes of all files in `folder`.
pub(crate) fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
