//! Serves a model that answers from a script, and tools with attacks in their results.

use std::{net::Ipv4Addr, time::Duration};

use airside_base::{Fault, Kind, Supervisor};
use airside_evals::{plant::Planter, scripted};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    cli::eval::{Plant, Serve},
    failure::{Exit, Failure},
    output::Out,
    target::block_on,
    text::printable,
};

/// How long running answers may take when the process is told to stop.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Serves a script until it is told to stop.
pub(super) fn run(args: &Serve, out: &mut Out) -> Result<(), Failure> {
    let script = scripted::Script::load(&args.script)
        .map_err(|error| Failure::new(Exit::Config, error.fault()))?;
    block_on(async {
        let supervisor = Supervisor::new();
        let listener = bind(args.port).await?;
        let address = scripted::serve(listener, &supervisor, script);
        let address = address.map_err(|error| unbound(args.port, &error))?;
        until_stopped(&format!("http://{address}/v1"), &supervisor, out).await
    })
}

/// Serves the tools of an endpoint, with the attacks of a suite, until it is told to stop.
pub(super) fn plant(args: &Plant, out: &mut Out) -> Result<(), Failure> {
    let suite = super::suite::load(&args.suite.suite)?;
    block_on(async {
        let behind = crate::endpoint::connect(&args.target).await?;
        let planter = Planter::new(behind, &suite).await;
        let planter = planter.map_err(|error| crate::endpoint::failure(&error))?;
        if planter.attacks() == 0 {
            let text = format!("no case of `{}` has an attack", printable(&suite.suite));
            let fault = Fault::new(Kind::Invalid, "EVL-038", text);
            let hint = "add `inject` and `goal` to a case, or name the suite `redteam`";
            return Err(Failure::new(Exit::Usage, fault.with_hint(hint)));
        }
        let supervisor = Supervisor::new();
        let listener = bind(args.port).await?;
        let address = scripted::serve_planter(listener, &supervisor, planter);
        let address = address.map_err(|error| unbound(args.port, &error))?;
        until_stopped(&format!("http://{address}/mcp"), &supervisor, out).await
    })
}

pub(super) async fn bind(port: u16) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    listener.map_err(|error| unbound(port, &error))
}

pub(super) fn unbound(port: u16, error: &std::io::Error) -> Failure {
    let text = format!("cannot listen on port {port}: {error}");
    let fault = Fault::new(Kind::Unavailable, "EVL-021", text);
    Failure::new(
        Exit::InUse,
        fault.with_hint("choose another port, or 0 for any"),
    )
}

/// Says where it serves, and waits.
async fn until_stopped(
    address: &str,
    supervisor: &Supervisor,
    out: &mut Out,
) -> Result<(), Failure> {
    match out.is_json() {
        true => out.json_line(&json!({ "ready": address }))?,
        false => out.line(&format!("ready: {address}"))?,
    }
    out.flush()?;
    let told = super::run::told_to_stop().await;
    told.map_err(|error| crate::target::no_runtime(&error))?;
    supervisor.stop(GRACE).await;
    Ok(())
}
