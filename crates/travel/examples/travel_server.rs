//! Serves the hotel server directly on loopback, without the gateway: for the
//! conformance suite and for trying it with an inspector.
//!
//! ```text
//! cargo run -p airside-travel --example travel_server -- 3401
//! ```
//!
//! Prints the endpoint and serves until it is interrupted. Without a port a free
//! one is taken.

use std::{convert::Infallible, error::Error, io::Write as _, sync::Arc};

use airside_base::{Clock, NodeId, OnFailure, Supervisor, SystemClock};
use airside_builtin::Exposure;
use airside_ledger::{
    Ledger,
    conversation::Conversations,
    keys::{Keys, memory::MemoryKeys},
    stores::memory::Memory,
    vault::memory::MemoryVault,
};
use airside_mcp::{Local as _, body};
use airside_travel::{Options, Parts, Travel};
use hyper::{Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::args().nth(1) {
        Some(port) => port.parse()?,
        None => 0,
    };
    let options = Options {
        exposure: Exposure::Loopback,
        ..Options::default()
    };
    let supervisor = Supervisor::new();
    let travel = Travel::new(options, parts(&supervisor).await?);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    writeln!(std::io::stdout(), "http://{}/mcp", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let travel = travel.clone();
        supervisor.spawn("connection", OnFailure::Log, async move {
            let answer = service_fn(|request| answer(&travel, request));
            // A connection that breaks off is the peer's business.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
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
        conversations: all.of("builtin:travel"),
        payments: None,
        hold: airside_travel::HOLD,
        keys,
        node: NodeId::generate(&*clock),
        supervisor: supervisor.clone(),
        ledger,
        clock,
    })
}

async fn answer(
    travel: &Travel,
    request: hyper::Request<Incoming>,
) -> Result<Response<airside_mcp::Body>, Infallible> {
    if request.uri().path() != "/mcp" {
        return Ok(body::empty_response(StatusCode::NOT_FOUND));
    }
    Ok(travel.call(request.map(body::boxed)).await)
}
