//! Serves the cheap upstream on a loopback address until it is killed.

use std::{io::Write as _, net::SocketAddr, sync::atomic::AtomicBool};

use airside_testkit::{load::pin, upstream::Upstream};
use anyhow::Context as _;
use clap::Parser;

/// Serves an MCP server of both eras that costs next to nothing.
#[derive(Parser)]
struct Arguments {
    /// Loopback address to listen on. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Processor to run on.
    #[arg(long)]
    core: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let Arguments { address, core } = Arguments::parse();
    anyhow::ensure!(
        address.ip().is_loopback(),
        "{address} is not a loopback address"
    );
    if let Some(core) = core {
        pin(&[core]).with_context(|| format!("cannot run on processor {core}"))?;
    }
    let upstream =
        Upstream::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let address = upstream.address()?;
    writeln!(std::io::stdout(), "listening on http://{address}/mcp")?;
    upstream.run(&AtomicBool::new(false))?;
    Ok(())
}
