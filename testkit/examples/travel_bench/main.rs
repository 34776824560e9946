//! Measures the travel server on this machine; `scripts/bench travel` runs it.
//!
//! `travel_bench FOLDER RESULTS AIRSIDE [--full]`: `FOLDER` on the disk that is meant,
//! `AIRSIDE` the binary. Parts of it: `travel_bench engine S|M|L FOLDER SECONDS` and
//! `travel_bench gateway S|M|L FOLDER AIRSIDE SECONDS`.
//!
//! # How it measures
//!
//! * Each size is a process of its own: this program, started again. Memory is what it
//!   has at the end of building over what it had before, in resident pages.
//! * What is durable is written to SQLite in `FOLDER`, with its syncs.
//! * Load is offered on a schedule (open loop), and time counts from when a request was
//!   due. A server that falls behind is charged for everything that waited.
//! * Beside the figures stand the machine's load average and the processors.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people, ended by the first failure"
)]

mod engine;
mod gateway;
mod report;

use std::{path::Path, process::Command, sync::Arc};

use airside_base::{Clock, SystemClock};
use airside_travel::Size;

use self::report::{Report, load_average};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match texts[..] {
        ["engine", size, folder, seconds] => {
            let size = size_of_letter(size);
            let seconds = seconds.parse().unwrap();
            let told = runtime.block_on(engine::measure(size, folder.as_ref(), seconds, clock));
            println!("{}", serde_json::to_string(&told).unwrap());
        }
        ["gateway", size, folder, airside, seconds] => {
            let seconds = seconds.parse().unwrap();
            let plan = gateway(size, folder.as_ref(), airside.as_ref(), seconds);
            let mut report = Report::new(&*clock);
            report.mixes = runtime.block_on(gateway::measure(&plan, &clock));
            println!("{}", report.table());
        }
        [folder, results, airside, ref rest @ ..] => {
            let full = rest == ["--full"];
            assert!(
                full || rest.is_empty(),
                "usage: FOLDER RESULTS AIRSIDE [--full]"
            );
            let seconds = if full { 30 } else { 8 };
            let mut report = Report::new(&*clock);
            for size in ["S", "M", "L"] {
                println!(
                    "measuring the engine at {size}, load average {}",
                    load_average()
                );
                report.engines.push(again(size, folder, seconds));
            }
            for size in ["S", "L"] {
                println!(
                    "measuring the gateway at {size}, load average {}",
                    load_average()
                );
                let mixes = gateway(size, folder.as_ref(), airside.as_ref(), seconds);
                report
                    .mixes
                    .extend(runtime.block_on(gateway::measure(&mixes, &clock)));
            }
            println!("\n{}", report.table());
            println!("written to {}", report.write(results.as_ref()).display());
        }
        _ => panic!("usage: FOLDER RESULTS AIRSIDE [--full]"),
    }
}

fn size_of_letter(size: &str) -> Size {
    match size {
        "S" => Size::Small,
        "M" => Size::Medium,
        "L" => Size::Large,
        other => panic!("{other} is not S, M or L"),
    }
}

fn gateway(size: &str, folder: &Path, airside: &Path, seconds: u64) -> gateway::Plan {
    gateway::Plan {
        airside: airside.to_owned(),
        folder: folder.join(format!("gateway-{size}")),
        hotels: match size_of_letter(size) {
            Size::Small => "small",
            Size::Medium => "medium",
            Size::Large | Size::Demonstration | Size::None => "large",
        },
        seconds,
    }
}

/// Measures the engine in a process of its own.
fn again(size: &str, folder: &str, seconds: u64) -> report::Engine {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["engine", size, folder, &seconds.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}
