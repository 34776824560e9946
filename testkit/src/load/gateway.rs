//! The whole measurement of a gateway: it starts the upstream and the gateway,
//! each on processors of its own, and takes the matrix.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use airside_base::Clock;
use serde::Serialize;

use super::{
    checkpoint::{self, Callers},
    drive::{self, Pace},
    machine::{Process, pin},
    session::{Era, Shape},
    slices::{Held, Measured, Plan, Target, hold, run},
};
use crate::harness::{self, Node};

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server did not start.
    #[error("cannot start a server")]
    Start(#[from] harness::Error),
    /// A run ended early.
    #[error("the measurement of {what} ended early")]
    Run {
        /// Which part of the matrix.
        what: String,
        /// Why.
        source: drive::Error,
    },
    /// The system refused something.
    #[error("cannot prepare the measurement")]
    System(#[from] io::Error),
}

/// What is measured, and with what.
#[derive(Debug)]
pub struct Matrix {
    /// The gateway's binary.
    pub airside: PathBuf,
    /// The upstream's binary.
    pub upstream: PathBuf,
    /// Takes short turns: shows that it works, not how fast.
    pub quick: bool,
    /// Measures only what the checkpoint costs.
    pub checkpoint: bool,
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it was measured.
    pub time: String,
    /// Processor of the machine, as the system names it.
    pub processor: String,
    /// How many processors there are.
    pub cores: usize,
    /// Resident memory of the gateway before the first call, in MiB.
    pub idle_mib: f64,
    /// The matrix.
    pub rows: Vec<Measured>,
    /// Memory of open sessions.
    pub held: Held,
}

/// Takes the matrix. `progress` is told each part before it is measured.
///
/// # Errors
///
/// When a server does not start, or answers wrongly.
pub fn measure(
    matrix: &Matrix,
    clock: &Arc<dyn Clock>,
    progress: &mut dyn FnMut(&str),
) -> Result<Report, Error> {
    let folder = tempfile::tempdir()?;
    let all = pin(&[0])?;
    let places = Places::new(&all);
    let upstream = start_upstream(matrix, &places, folder.path())?;
    let direct = target("direct", &upstream)?;
    let mut report = Report {
        time: clock.now().to_string(),
        processor: processor(),
        cores: all.len(),
        idle_mib: 0.0,
        rows: Vec::new(),
        held: Held::default(),
    };
    let stage = Stage {
        matrix,
        places,
        folder: folder.path(),
        upstream,
    };
    let rows = measure_checkpoint(&stage, clock, progress)?;
    report.rows.extend(rows);
    if matrix.checkpoint {
        pin(&all)?;
        return Ok(report);
    }
    let plans = plans(matrix.quick, &direct, &stage.upstream);
    for (number, mut plan) in plans.into_iter().enumerate() {
        let what = describe(&plan);
        progress(&what);
        // A process of its own for each part: memory that one took is not told of
        // the next.
        let data = format!("data-{number}");
        let gateway = stage.start(&stage.plain(&data))?;
        report.idle_mib = super::slices::mib(Process(gateway.pid()).resident_kib()?);
        plan.targets.push(target("airside", &gateway)?);
        let rows = run(&plan, &**clock).map_err(|source| Error::Run { what, source })?;
        report.rows.extend(rows);
    }
    let sessions = if matrix.quick { 1_000 } else { 10_000 };
    let what = format!("{sessions} open sessions");
    progress(&what);
    let gateway = stage.start(&stage.plain("data-held"))?;
    report.held = hold(&target("airside", &gateway)?, sessions)
        .map_err(|source| Error::Run { what, source })?;
    pin(&all)?;
    Ok(report)
}

fn target(name: &str, node: &Node) -> Result<Target, Error> {
    Target::new(name, node.url().as_str(), Some(Process(node.pid()))).map_err(|source| Error::Run {
        what: name.to_owned(),
        source,
    })
}

/// Which processors each part runs on.
struct Places {
    upstream: usize,
    gateway: Vec<usize>,
    generator: Vec<usize>,
}

impl Places {
    /// Four are one for the upstream, two for the gateway and one for the
    /// generator. With fewer, parts share.
    fn new(all: &[usize]) -> Self {
        let at = |place: usize| all[place % all.len()];
        let mut gateway = vec![at(1), at(2)];
        gateway.dedup();
        Self {
            upstream: at(0),
            gateway,
            generator: vec![at(3)],
        }
    }
}

fn start_upstream(matrix: &Matrix, places: &Places, folder: &Path) -> Result<Node, Error> {
    let core = places.upstream.to_string();
    let log = folder.join("upstream.log");
    let arguments = ["--core", &core];
    Ok(Node::start_until(
        "listening on ",
        &matrix.upstream,
        &arguments,
        &log,
    )?)
}

/// Where gateways are started.
struct Stage<'a> {
    matrix: &'a Matrix,
    places: Places,
    folder: &'a Path,
    upstream: Node,
}

impl Stage<'_> {
    /// A gateway as a customer would start it, with its default policy and its ledger on.
    fn plain(&self, data: &str) -> String {
        format!(
            r#"data-dir = "{data}"

[listen]
address = "127.0.0.1:0"

[identity]
anonymous-loopback = true

[[upstream]]
name = "load"
url = "{}"

[[endpoint]]
path = "/mcp"
upstreams = ["load"]
"#,
            self.upstream.url()
        )
    }

    /// Starts a gateway. It inherits its processors from this thread, which then goes
    /// back to those of the generator.
    fn start(&self, text: &str) -> Result<Node, Error> {
        let config = self.folder.join("airside.toml");
        fs::write(&config, text)?;
        pin(&self.places.gateway)?;
        let config = config.to_string_lossy();
        let log = self.folder.join("gateway.log");
        let arguments = ["serve", "--config", &config];
        let gateway = Node::start(&self.matrix.airside, &arguments, &log)?;
        pin(&self.places.generator)?;
        Ok(gateway)
    }
}

/// Measures a gateway that looks at everything against one that looks at nothing.
fn measure_checkpoint(
    stage: &Stage<'_>,
    clock: &Arc<dyn Clock>,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Measured>, Error> {
    let callers = Callers::start(clock.clone())?;
    fs::write(stage.folder.join("all.cedar"), checkpoint::PERMIT_ALL)?;
    let url = stage.upstream.url().to_string();
    let off = stage.start(&checkpoint::all_off(&url))?;
    let on = stage.start(&callers.all_on(&url))?;
    let with_token = Target {
        token: Some(callers.token()),
        ..target(checkpoint::ON, &on)?
    };
    let targets = vec![target(checkpoint::OFF, &off)?, with_token];
    let quick = stage.matrix.quick;
    let mut rows = Vec::new();
    for (era, bytes, sessions) in [
        (Era::Modern, 1024, 1),
        (Era::Modern, 1024, 32),
        (Era::Handshake, 1024, 1),
        (Era::Modern, 32 * 1024, 1),
    ] {
        let plan = Plan {
            targets: targets.clone(),
            sessions,
            shape: Shape {
                era,
                tool: "look_00".to_owned(),
                bytes,
            },
            pace: Pace::Closed,
            // Short turns: both of a round meet the same machine.
            slice: Duration::from_millis(if quick { 100 } else { 400 }),
            rounds: if quick { 4 } else { 24 },
            helpers: vec![Process(stage.upstream.pid())],
        };
        let what = format!("{}, all off and all on", describe(&plan));
        progress(&what);
        rows.extend(run(&plan, &**clock).map_err(|source| Error::Run { what, source })?);
    }
    callers.stop();
    Ok(rows)
}

fn plans(quick: bool, direct: &Target, upstream: &Node) -> Vec<Plan> {
    let plan = |era, bytes, sessions, pace| Plan {
        targets: vec![direct.clone()],
        sessions,
        shape: Shape {
            era,
            tool: "look_00".to_owned(),
            bytes,
        },
        pace,
        slice: Duration::from_millis(if quick { 200 } else { 1500 }),
        rounds: if quick { 2 } else { 4 },
        helpers: vec![Process(upstream.pid())],
    };
    let mut plans = Vec::new();
    for era in [Era::Handshake, Era::Modern] {
        for bytes in [1024, 32 * 1024] {
            for sessions in [1, 32, 256] {
                plans.push(plan(era, bytes, sessions, Pace::Closed));
            }
        }
        plans.push(plan(era, 1024, 64, Pace::Open(2000.0)));
    }
    plans
}

fn describe(plan: &Plan) -> String {
    let pace = match plan.pace {
        Pace::Closed => String::new(),
        Pace::Open(rate) => format!(", {rate:.0} calls a second offered"),
    };
    let kib = plan.shape.bytes / 1024;
    format!(
        "{:?} era, {kib} KiB, {} sessions{pace}",
        plan.shape.era, plan.sessions
    )
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or_else(String::new, |name| {
            name.trim_start_matches([' ', '\t', ':']).to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_processors_are_not_shared() {
        let places = Places::new(&[0, 1, 2, 3]);
        assert_eq!(places.upstream, 0);
        assert_eq!(places.gateway, [1, 2]);
        assert_eq!(places.generator, [3]);
    }

    #[test]
    fn one_processor_is_enough_to_run() {
        let places = Places::new(&[5]);
        assert_eq!((places.upstream, &places.gateway[..]), (5, &[5][..]));
    }
}
