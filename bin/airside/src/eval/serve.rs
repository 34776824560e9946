//! Serves a model that answers from a script.

use std::{net::Ipv4Addr, time::Duration};

use airside_base::{Fault, Kind, Supervisor};
use airside_evals::scripted;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    cli::eval::Serve,
    failure::{Exit, Failure},
    output::Out,
    target::block_on,
};

/// How long running answers may take when the process is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until it is told to stop.
pub(super) fn run(args: &Serve, out: &mut Out) -> Result<(), Failure> {
    let script = scripted::Script::load(&args.script)
        .map_err(|error| Failure::new(Exit::Config, error.fault()))?;
    block_on(async {
        let supervisor = Supervisor::new();
        let failed = |error: std::io::Error| {
            let text = format!("cannot listen on port {}: {error}", args.port);
            let fault = Fault::new(Kind::Unavailable, "EVL-021", text);
            Failure::new(
                Exit::InUse,
                fault.with_hint("choose another port, or 0 for any"),
            )
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))
            .await
            .map_err(failed)?;
        let address = scripted::serve(listener, &supervisor, script).map_err(failed)?;
        match out.is_json() {
            true => out.json_line(&json!({ "ready": format!("http://{address}/v1") }))?,
            false => out.line(&format!("ready: http://{address}/v1"))?,
        }
        out.flush()?;
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .map_err(|error| crate::target::no_runtime(&error))?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        supervisor.stop(GRACE).await;
        Ok(())
    })
}
