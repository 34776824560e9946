//! Serves a payment provider with hosted pages on a loopback address until it is told to
//! stop. Its key is `sk_test` and its webhook secret `whsec_test`.

use std::{io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use airside_base::{Supervisor, SystemClock};
use airside_testkit::checkout::Checkout;
use anyhow::Context as _;
use clap::Parser;
use tokio::{net::TcpListener, signal::unix};

/// Serves a payment provider for tests.
#[derive(Parser)]
struct Arguments {
    /// Loopback address to listen on. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Where webhooks are sent. Without it none are.
    #[arg(long)]
    webhook: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { address, webhook } = Arguments::parse();
    anyhow::ensure!(
        address.ip().is_loopback(),
        "{address} is not a loopback address"
    );
    let supervisor = Supervisor::new();
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    let checkout = Checkout::new("sk_test", "whsec_test", Arc::new(SystemClock::new()));
    if let Some(webhook) = webhook {
        checkout.tell(&webhook)?;
    }
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let address = checkout.serve(listener, &supervisor)?;
    writeln!(std::io::stdout(), "listening on http://{address}")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = supervisor.stopping() => {}
    }
    supervisor.stop(Duration::from_secs(1)).await;
    Ok(())
}
