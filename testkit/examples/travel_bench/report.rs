//! What came out, for people and for later.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use airside_base::Clock;
use airside_testkit::load::Histogram;
use serde::{Deserialize, Serialize};

/// Quantiles of a number of times, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Times {
    pub count: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
}

impl From<&Histogram> for Times {
    fn from(histogram: &Histogram) -> Self {
        let at = |quantile| millis(histogram.quantile(quantile));
        Self {
            count: histogram.count(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
        }
    }
}

pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The engine at one size.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Engine {
    pub size: String,
    pub hotels: usize,
    /// Room types times nights.
    pub cells: usize,
    pub memory_mib: f64,
    pub build_s: f64,
    /// Hotels that were found, and how long a search took.
    pub searches: Vec<(usize, Times)>,
    pub calendar: Times,
    /// Values of single nights that were made durable, a second, beside searches.
    pub updates_per_s: f64,
    pub searches_beside_updates: Times,
    pub hold: Times,
    pub commit: Times,
    /// Entries that were in the ledger, and how long a start with them took, in seconds.
    pub restart: (u64, f64),
    /// The same without the snapshot of the inventory, from the entries alone.
    pub restart_whole_s: f64,
    pub load: String,
}

/// One mix of calls through the gateway.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mix {
    pub name: String,
    pub hotels: &'static str,
    pub offered_per_s: f64,
    pub answered_per_s: f64,
    pub errors: u64,
    /// By kind of call.
    pub calls: Vec<(String, Times)>,
    pub load: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub time: String,
    pub processors: usize,
    pub engines: Vec<Engine>,
    pub mixes: Vec<Mix>,
}

impl Report {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self {
            time: clock.now().to_string(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            engines: Vec::new(),
            mixes: Vec::new(),
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut out = format!("{} processors\n", self.processors);
        for engine in &self.engines {
            engine.table(&mut out);
        }
        for mix in &self.mixes {
            let _ = writeln!(
                out,
                "\n{} ({} hotels): {:.0} calls/s offered, {:.0} answered, {} errors; load {}",
                mix.name, mix.hotels, mix.offered_per_s, mix.answered_per_s, mix.errors, mix.load
            );
            for (kind, times) in &mix.calls {
                row(&mut out, kind, *times);
            }
        }
        out
    }

    pub(crate) fn write(&self, results: &Path) -> PathBuf {
        let day: String = self.time.chars().take_while(|c| *c != '.').collect();
        let file = results.join(format!("travel-{}.json", day.replace(':', "")));
        std::fs::write(&file, serde_json::to_vec_pretty(self).unwrap()).unwrap();
        file
    }
}

impl Engine {
    fn table(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\n{}: {} hotels, {:.1} M room-type-nights in {:.0} MiB, built in {:.2} s; load {}",
            self.size,
            self.hotels,
            self.cells as f64 / 1e6,
            self.memory_mib,
            self.build_s,
            self.load
        );
        for (found, times) in &self.searches {
            row(out, &format!("search, {found} hotels found"), *times);
        }
        row(out, "calendar, 62 arrivals", self.calendar);
        row(out, "search beside updates", self.searches_beside_updates);
        row(out, "hold, durable", self.hold);
        row(out, "commit, durable", self.commit);
        let (entries, seconds) = self.restart;
        let _ = writeln!(
            out,
            "  {:.0} values of nights a second made durable; start with {entries} entries {seconds:.2} s, without the snapshot {:.2} s",
            self.updates_per_s, self.restart_whole_s
        );
    }
}

fn row(out: &mut String, name: &str, times: Times) {
    let Times {
        count,
        p50_ms,
        p99_ms,
        p999_ms,
    } = times;
    let _ = writeln!(
        out,
        "  {name:<34} p50 {p50_ms:>8.3} ms  p99 {p99_ms:>8.3} ms  p99.9 {p999_ms:>8.3} ms  ({count})"
    );
}

/// The first three numbers of the system's own account of its load.
pub(crate) fn load_average() -> String {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
