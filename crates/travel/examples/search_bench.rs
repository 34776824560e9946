//! Measures what a search costs: the domain work and the whole MCP call.
//!
//! ```text
//! cargo run --release -p airside-travel --example search_bench
//! ```

use std::{
    error::Error,
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use airside_base::{Clock, NodeId, Supervisor, SystemClock};
use airside_ledger::{
    Ledger,
    conversation::Conversations,
    keys::{Keys, memory::MemoryKeys},
    stores::memory::Memory,
    vault::memory::MemoryVault,
};
use airside_mcp::{Local as _, body};
use airside_travel::{Options, Parts, Size, Travel, bench::Search};
use http::Request;

const ROUNDS: u32 = 2_000;

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let start = now();
    Search::new(Size::Small, "Boston", 1).ok_or("the city is known")?;
    writeln!(
        out,
        "decode the cities: {:.1} ms",
        micros(start.elapsed()) / 1e3
    )?;
    writeln!(
        out,
        "{:<8} {:<10} {:>7} {:>8} {:>12}",
        "size", "city", "nights", "hotels", "µs/search"
    )?;
    for size in [Size::Small, Size::Large] {
        for (city, nights) in [
            ("Boston", 2),
            ("Boston", 30),
            ("Shanghai", 2),
            ("Shanghai", 30),
        ] {
            let search = Search::new(size, city, nights).ok_or("the city is known")?;
            let (hotels, time) = measure(|| search.run());
            writeln!(
                out,
                "{size:<8?} {city:<10} {nights:>7} {hotels:>8} {:>12.1}",
                micros(time)
            )?;
        }
    }
    let travel = Travel::new(Options::default(), parts(&Supervisor::new()).await?);
    for limit in [1, 8, 25] {
        let time = calls(&travel, limit).await?;
        writeln!(
            out,
            "MCP call, Boston, limit {limit:>2}: {:.1} µs",
            micros(time)
        )?;
    }
    Ok(())
}

/// What is kept here ends with the process.
async fn parts(supervisor: &Supervisor) -> Result<Parts, Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store = Arc::new(Memory::new());
    let ledger = Ledger::open(store, clock.clone(), supervisor, Default::default()).await?;
    let (keys, vault) = (Arc::new(MemoryKeys::new()), Arc::new(MemoryVault::new()));
    let keys = Arc::new(Keys::new(keys, vault, clock.clone()));
    let all = Conversations::new(ledger.clone(), keys.clone(), clock.clone(), None);
    Ok(Parts {
        payments: None,
        hold: airside_travel::HOLD,
        conversations: all.of("builtin:travel"),
        keys,
        node: NodeId::generate(&*clock),
        supervisor: supervisor.clone(),
        ledger,
        clock,
    })
}

fn measure(work: impl Fn() -> usize) -> (usize, Duration) {
    let mut result = work();
    let start = now();
    for _ in 0..ROUNDS {
        result = std::hint::black_box(work());
    }
    (result, start.elapsed() / ROUNDS)
}

async fn calls(travel: &Travel, limit: usize) -> Result<Duration, Box<dyn Error>> {
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"search_hotels","arguments":{{"place":"Boston","limit":{limit}}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let mut start = now();
    for round in 0..=ROUNDS {
        if round == 1 {
            start = now();
        }
        let request = Request::post("http://travel.internal/mcp")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "search_hotels")
            .body(body::full(message.clone()))?;
        let response = travel.call(request).await;
        body::collect(response.into_body(), 1 << 20).await?;
    }
    Ok(start.elapsed() / ROUNDS)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
