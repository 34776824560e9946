//! Measures MCP endpoints on this machine.

use std::{io::Write as _, path::PathBuf, sync::Arc, time::Duration};

use airside_base::{Clock, SystemClock};
use airside_testkit::load::{self, Era, Matrix, Pace, Plan, Process, Shape, Target};
use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

/// Measures MCP endpoints on loopback addresses.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Calls a tool of one or more targets that take turns.
    Run(Run),
    /// Starts a gateway before the cheap upstream and measures both in turns.
    Gateway(Gateway),
    /// Opens sessions, measures the memory they take, and closes them.
    Hold {
        /// `NAME=URL@PID`.
        #[arg(long)]
        target: String,
        /// How many sessions are held.
        #[arg(long, default_value_t = 10_000)]
        sessions: usize,
    },
}

#[derive(Args)]
struct Run {
    /// `NAME=URL` or `NAME=URL@PID`; with the process, its time and memory are told.
    #[arg(long = "target", required = true)]
    targets: Vec<String>,
    /// Era of the protocol.
    #[arg(long, value_enum, default_value_t = Era::Modern)]
    era: Era,
    /// Tool that is called, with the arguments `nonce` and `bytes`.
    #[arg(long, default_value = "look_00")]
    tool: String,
    /// Length of the text in a result.
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// How many sessions each target has.
    #[arg(long, default_value_t = 32)]
    sessions: usize,
    /// Calls offered a second (open loop). Without it each session sends its
    /// next call when it has the answer to the last (closed loop).
    #[arg(long)]
    rate: Option<f64>,
    /// Length of a turn.
    #[arg(long, default_value_t = 1500)]
    slice_ms: u64,
    /// How often every target has a turn.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// Processor that the generator runs on.
    #[arg(long)]
    core: Option<usize>,
    /// Process ids of upstreams, so that their work is not taken for work of others.
    #[arg(long)]
    helper: Vec<u32>,
    /// File that the figures are written to.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Args)]
struct Gateway {
    /// The gateway's binary.
    #[arg(long)]
    airside: PathBuf,
    /// The upstream's binary.
    #[arg(long)]
    upstream: PathBuf,
    /// Page with the figures of others.
    #[arg(long)]
    peers: PathBuf,
    /// Folder that the figures are written to.
    #[arg(long)]
    results: PathBuf,
    /// Takes short turns: shows that it works, not how fast.
    #[arg(long)]
    quick: bool,
    /// Measures only what the checkpoint costs: everything on against everything off.
    #[arg(long)]
    checkpoint: bool,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::Gateway(arguments) => gateway(arguments),
        Command::Hold {
            target: named,
            sessions,
        } => {
            let held = load::hold(&target(&named)?, sessions)?;
            writeln!(
                std::io::stdout(),
                "{}",
                serde_json::to_string_pretty(&held)?
            )?;
            Ok(())
        }
    }
}

fn run(arguments: &Run) -> anyhow::Result<()> {
    if let Some(core) = arguments.core {
        load::pin(&[core]).with_context(|| format!("cannot run on processor {core}"))?;
    }
    let targets: Result<Vec<_>, _> = arguments
        .targets
        .iter()
        .map(|named| target(named))
        .collect();
    let plan = Plan {
        targets: targets?,
        sessions: arguments.sessions,
        shape: Shape {
            era: arguments.era,
            tool: arguments.tool.clone(),
            bytes: arguments.bytes,
        },
        pace: arguments.rate.map_or(Pace::Closed, Pace::Open),
        slice: Duration::from_millis(arguments.slice_ms),
        rounds: arguments.rounds,
        helpers: arguments.helper.iter().copied().map(Process).collect(),
    };
    let rows = load::run(&plan, &SystemClock::new())?;
    write!(std::io::stdout(), "{}", load::table(&rows, &[]))?;
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn gateway(arguments: Gateway) -> anyhow::Result<()> {
    let peers = std::fs::read_to_string(&arguments.peers)
        .with_context(|| format!("cannot read {}", arguments.peers.display()))?;
    let matrix = Matrix {
        airside: arguments.airside,
        upstream: arguments.upstream,
        quick: arguments.quick,
        checkpoint: arguments.checkpoint,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let report = load::measure(&matrix, &clock, &mut |what| {
        let _ = writeln!(std::io::stderr(), "measuring {what}");
    })?;
    let mut out = std::io::stdout().lock();
    let table = load::table(&report.rows, &load::peers(&peers));
    writeln!(out, "{table}\n{}", load::ratios(&report.rows))?;
    writeln!(out, "{}", load::cost(&report.rows))?;
    write!(out, "{} on {} processors", report.processor, report.cores)?;
    let held = &report.held;
    if held.sessions > 0 {
        write!(
            out,
            "; gateway at rest {:.1} MiB; {} open sessions take {:.1} KiB each, {:.1} MiB stay \
             after they are closed",
            report.idle_mib,
            held.sessions,
            held.per_session_kib,
            held.after_mib(),
        )?;
    }
    writeln!(out)?;
    let day: String = report.time.chars().take_while(|c| *c != '.').collect();
    let file = arguments
        .results
        .join(format!("gateway-{}.json", day.replace(':', "")));
    std::fs::write(&file, serde_json::to_vec_pretty(&report)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    writeln!(out, "written to {}", file.display())?;
    Ok(())
}

/// Reads `NAME=URL` or `NAME=URL@PID`.
fn target(named: &str) -> anyhow::Result<Target> {
    let (name, url) = named
        .split_once('=')
        .with_context(|| format!("`{named}` is not NAME=URL"))?;
    let (url, process) = match url.split_once('@') {
        Some((url, pid)) => (url, Some(Process(pid.parse().context("not a process id")?))),
        None => (url, None),
    };
    Ok(Target::new(name, url, process)?)
}
