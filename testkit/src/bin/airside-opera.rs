//! Runs the simulator of OPERA Cloud Distribution, to try Airside against it.
//!
//! ```text
//! cargo run -p airside-testkit --bin airside-opera -- serve --address 127.0.0.1:8443
//! cargo run -p airside-testkit --bin airside-opera -- message BOSHARBOR rates
//! ```

use std::{io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use airside_base::{Clock, Supervisor, SystemClock};
use airside_testkit::opera::{self, Options, Simulator};
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use jiff::tz::TimeZone;
use tokio::signal::unix;

/// A simulator of OPERA Cloud Distribution.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Answers until it is told to stop.
    Serve {
        /// Loopback address to listen on. Port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        address: SocketAddr,
        /// How long a hold stands, in seconds.
        #[arg(long, default_value_t = 1_200)]
        hold: u64,
    },
    /// Prints what a hotel pushes for the next 400 days.
    Message {
        /// Code of the hotel.
        hotel: String,
        /// inventory, rates or restrictions.
        topic: String,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    match Arguments::parse().what {
        What::Serve { address, hold } => serve(address, hold, clock).await,
        What::Message { hotel, topic } => {
            let now = clock.now();
            let today = now.to_zoned(TimeZone::UTC).date();
            let messages = opera::messages(&hotel, today, 400, now);
            let found = messages.into_iter().find(|(name, _)| *name == topic);
            let (_, message) = found.context("no such hotel or message")?;
            writeln!(std::io::stdout(), "{message}")?;
            Ok(())
        }
    }
}

async fn serve(address: SocketAddr, hold: u64, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    anyhow::ensure!(
        address.ip().is_loopback(),
        "{address} is not a loopback address"
    );
    let supervisor = Supervisor::new();
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    let options = Options {
        hold: Duration::from_secs(hold),
        ..Options::default()
    };
    let simulator = Simulator::start(address, options, clock, &supervisor);
    let simulator = simulator
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let (user, password) = opera::USER;
    writeln!(
        std::io::stdout(),
        "listening on {}\nuser {user}, password {password}, channel {}, hotels {}",
        simulator.url(),
        opera::CHANNEL,
        opera::HOTELS.map(|hotel| hotel.code).join(" "),
    )?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = supervisor.stopping() => {}
    }
    supervisor.stop(Duration::from_secs(1)).await;
    Ok(())
}
