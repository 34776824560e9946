//! Serves the conformance fixture on a loopback address until it is told to stop.

use std::{io::Write as _, net::SocketAddr, time::Duration};

use airside_base::Supervisor;
use airside_testkit::fixture::{self, Answers};
use anyhow::Context as _;
use clap::Parser;
use tokio::{net::TcpListener, signal::unix};

/// Serves the conformance fixture.
#[derive(Parser)]
struct Arguments {
    /// Loopback address to listen on. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// How a request that nothing precedes is answered.
    #[arg(long, value_enum, default_value_t = Answers::Stream)]
    answers: Answers,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { address, answers } = Arguments::parse();
    anyhow::ensure!(
        address.ip().is_loopback(),
        "{address} is not a loopback address"
    );
    let supervisor = Supervisor::new();
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let address = fixture::serve(listener, &supervisor, answers)?;
    writeln!(std::io::stdout(), "listening on http://{address}/mcp")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = supervisor.stopping() => {}
    }
    supervisor.stop(Duration::from_secs(1)).await;
    Ok(())
}
