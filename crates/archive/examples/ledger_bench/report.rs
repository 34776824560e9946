//! The figures, as a table and as JSON.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use airside_base::Clock;
use serde_json::{Value, json};

use crate::{Plan, machine, rig::Mode, turns::Told};

/// Everything that has been measured.
pub(crate) struct Report {
    clock: Arc<dyn Clock>,
    head: Value,
    rows: Vec<Row>,
    figures: Vec<Value>,
    remarks: Vec<String>,
    server: Option<u32>,
}

/// All turns of one mode with so many callers.
struct Row {
    backend: &'static str,
    mode: Mode,
    callers: usize,
    turns: Vec<Value>,
}

/// What a median is taken of.
const MEASURES: [&str; 6] = [
    "per_s",
    "p50_ms",
    "p99_ms",
    "limit_per_s",
    "fdatasync_per_s",
    "load",
];

impl Report {
    pub(crate) fn new(plan: &Plan, clock: &Arc<dyn Clock>) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
        let server = std::env::var("AIRSIDE_BENCH_POSTGRES_PID").ok();
        Self {
            clock: clock.clone(),
            head: json!({
                "time": clock.now().to_string(),
                "processor": model.map_or("", |name| name.trim_start_matches(['\t', ' ', ':'])),
                "cores": std::thread::available_parallelism().map_or(0, usize::from),
                "folder": plan.folder, "full": plan.full,
                "load_before": machine::load(),
            }),
            rows: Vec::new(),
            figures: Vec::new(),
            remarks: Vec::new(),
            server: server.and_then(|id| id.parse().ok()),
        }
    }

    /// Returns the processes of the database server, whose work is ours.
    pub(crate) fn servers(&self) -> Vec<u32> {
        self.server.map(machine::family).unwrap_or_default()
    }

    pub(crate) fn turn(&mut self, backend: &'static str, mode: Mode, callers: usize, told: Told) {
        let Told {
            turn,
            whole,
            load,
            syncs,
            others,
            limit,
        } = told;
        let appended = turn.took.len() as f64;
        let told = json!({
            "per_s": appended / whole.as_secs_f64(),
            "answered_per_s": appended / turn.span.as_secs_f64(),
            "p50_ms": turn.at_ms(0.5), "p99_ms": turn.at_ms(0.99), "max_ms": turn.at_ms(1.0),
            "load": load, "fdatasync_per_s": syncs, "limit_per_s": limit, "other_cores": others,
        });
        println!("{backend}, {}, {callers} callers: {told}", mode.name());
        let same =
            |row: &&mut Row| (row.backend, row.mode, row.callers) == (backend, mode, callers);
        match self.rows.iter_mut().find(same) {
            Some(row) => row.turns.push(told),
            None => self.rows.push(Row {
                backend,
                mode,
                callers,
                turns: vec![told],
            }),
        }
    }

    /// Computes what the chain, and chain and archive, take of the store's rate: the
    /// median over rounds, since turns of one round saw the same machine.
    pub(crate) fn cost(&mut self, backend: &'static str) {
        let mut told = Vec::new();
        let find = |mode, callers| {
            let mut rows = self.rows.iter();
            rows.find(|row| (row.backend, row.mode, row.callers) == (backend, mode, callers))
        };
        for row in self.rows.iter().filter(|row| row.backend == backend) {
            let Some(raw) = find(Mode::Raw, row.callers).filter(|_| row.mode != Mode::Raw) else {
                continue;
            };
            let ratio =
                |(ours, raw): (&Value, &Value)| number(ours, "per_s") / number(raw, "per_s");
            let mut ratios: Vec<f64> = row.turns.iter().zip(&raw.turns).map(ratio).collect();
            ratios.sort_by(f64::total_cmp);
            told.push((row.mode.name(), row.callers, 1.0 - median(&ratios)));
        }
        for (mode, callers, cost) in told {
            let what = format!("cost, {backend}, {mode}, {callers} callers");
            self.figure(&what, &json!({ "share_of_the_store_alone": cost }));
        }
    }

    /// Adds one figure and prints it.
    pub(crate) fn figure(&mut self, what: &str, told: &Value) {
        println!("{what}: {told}");
        let mut figure = json!({ "what": what });
        for (name, value) in told.as_object().into_iter().flatten() {
            figure[name] = value.clone();
        }
        self.figures.push(figure);
    }

    /// Adds what a reader has to know.
    pub(crate) fn remark(&mut self, text: &str) {
        println!("note: {text}");
        self.remarks.push(text.to_owned());
    }

    pub(crate) fn end(&mut self) {
        self.head["load_after"] = json!(machine::load());
    }

    /// Renders the rows, medians over their turns.
    pub(crate) fn table(&self) -> String {
        let mut out = String::from(
            "| store | what | callers | entries/s | p50 ms | p99 ms | of the disk's limit | fdatasync/s | load |\n\
             | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for row in &self.rows {
            let [rate, p50, p99, limit, syncs, load] = MEASURES.map(|name| row.median(name));
            let (backend, mode, callers) = (row.backend, row.mode.name(), row.callers);
            let _ = writeln!(
                out,
                "| {backend} | {mode} | {callers} | {rate:.0} | {p50:.2} | {p99:.2} | {:.0} % | {syncs:.0} | {load:.1} |",
                100.0 * rate / limit,
            );
        }
        out
    }

    /// Writes everything to a new file in `folder`.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let mut all = self.head.clone();
        all["appends"] = json!(rows);
        all["figures"] = json!(self.figures);
        all["remarks"] = json!(self.remarks);
        let time = self.clock.now().to_string();
        let name = time.split('.').next().unwrap().replace(':', "");
        let file = folder.join(format!("ledger-{name}.json"));
        fs::write(&file, serde_json::to_vec_pretty(&all).unwrap()).unwrap();
        file
    }
}

impl Row {
    fn median(&self, name: &str) -> f64 {
        let mut values: Vec<f64> = self.turns.iter().map(|turn| number(turn, name)).collect();
        values.sort_by(f64::total_cmp);
        median(&values)
    }

    fn json(&self) -> Value {
        let mut told = json!({
            "store": self.backend, "what": self.mode.name(), "callers": self.callers,
        });
        for name in MEASURES {
            told[name] = json!(self.median(name));
        }
        told["turns"] = json!(self.turns);
        told
    }
}

fn number(told: &Value, name: &str) -> f64 {
    told[name].as_f64().unwrap()
}

/// The middle of what is sorted, the lower one of two.
fn median(sorted: &[f64]) -> f64 {
    sorted[(sorted.len() - 1) / 2]
}
