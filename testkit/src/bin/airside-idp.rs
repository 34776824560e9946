//! Runs the authorization server of the tests, to try Airside with access tokens.
//!
//! ```text
//! cargo run -p airside-testkit --bin airside-idp -- --folder idp --client concierge
//! ```
//!
//! Whoever asks it for a token gets one: it is for this machine and for tests.

use std::{io::Write as _, path::PathBuf, sync::Arc};

use airside_base::{Supervisor, SystemClock};
use airside_testkit::idp::Idp;
use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix;

/// Runs the authorization server of the tests.
#[derive(Parser)]
struct Arguments {
    /// Folder for its URL (`issuer`) and the secret of each client (`NAME.secret`).
    #[arg(long)]
    folder: PathBuf,
    /// A client that may ask for tokens by client credentials. May be repeated.
    #[arg(long = "client", value_name = "NAME", required = true)]
    clients: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { folder, clients } = Arguments::parse();
    let supervisor = Supervisor::new();
    let idp = Idp::start(&supervisor, Arc::new(SystemClock::new())).await;
    std::fs::create_dir_all(&folder).context("cannot make the folder")?;
    let write = |name: String, text: String| {
        let file = folder.join(name);
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    };
    for client in clients {
        let secret = idp.register(&client);
        write(format!("{client}.secret"), secret)?;
    }
    write("issuer".to_owned(), idp.issuer())?;
    let mut out = std::io::stdout();
    writeln!(out, "ready: {}", idp.issuer())?;
    out.flush()?;
    let mut terminated = unix::signal(unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    supervisor.stop(std::time::Duration::from_secs(1)).await;
    Ok(())
}
