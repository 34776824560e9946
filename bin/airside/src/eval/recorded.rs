//! `airside eval record`: what a person does in a view becomes a case.
//!
//! The address goes to standard output first; the case is written when the person is
//! done, or the program is told to stop.

use std::{path::Path, time::Duration};

use airside_base::{Fault, Kind, Supervisor};
use airside_evals::{
    suite::{Probes, add_case},
    toolbox::Server,
    view::{Recorded, Recorder},
};
use airside_mcp::client::Choice;
use serde_json::{Value, json};

use super::serve::{GRACE, bind, unbound};
use crate::{
    cli::eval::RecordView,
    endpoint,
    failure::{Exit, Failure},
    output::Out,
    target::block_on,
    text::printable,
};

pub(super) fn run(args: &RecordView, out: &mut Out) -> Result<(), Failure> {
    let arguments = arguments(&args.args)?;
    let recorded = block_on(async {
        let (url, headers) = endpoint::address(&args.target).await?;
        let timeout = Duration::from_secs(args.target.timeout);
        let server = Server::connect(&url, Choice::Auto, headers, timeout).await;
        let server = server.map_err(|error| endpoint::failure(&error))?;
        let probes = Probes::default();
        let name = format!("record-{}", airside_base::secret_token());
        let sandbox = server.sandbox(&name, &probes);
        let page = sandbox.open(&args.tool, &arguments).await;
        let page = page.map_err(|why| unseen(&args.tool, &why))?;
        let supervisor = Supervisor::new();
        let listener = bind(args.port).await?;
        let recorder = Recorder::serve(listener, &supervisor, &page);
        let recorder = recorder.map_err(|error| unbound(args.port, &error))?;
        let recorded = until_done(recorder, &sandbox.hand(), out).await?;
        supervisor.stop(GRACE).await;
        Ok(recorded)
    })?;
    written(args, &recorded, out)
}

/// Waits until the person is done, or the program is told to stop.
async fn until_done(
    mut recorder: Recorder,
    hand: &dyn airside_evals::view::Bridge,
    out: &mut Out,
) -> Result<Recorded, Failure> {
    match out.is_json() {
        true => out.json_line(&json!({ "ready": recorder.address() }))?,
        false => out.line(&format!("ready: {}", recorder.address()))?,
    }
    out.flush()?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| crate::target::no_runtime(&error))?;
    let mut recorded = Recorded::default();
    tokio::select! {
        () = recorder.record(hand, &mut recorded) => {}
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(recorded)
}

fn written(args: &RecordView, recorded: &Recorded, out: &mut Out) -> Result<(), Failure> {
    for field in &recorded.secrets {
        anstream::eprintln!(
            "not written down: what was typed into `{}`",
            printable(field)
        );
    }
    let failed = |why: &str| unwritten(&args.suite, why);
    if recorded.deeds.is_empty() {
        return Err(failed("nothing was done in the view"));
    }
    let case = recorded.case(&args.case, &args.ask, &args.tool);
    add_case(&args.suite, &case).map_err(|why| {
        // What a person did is not lost.
        anstream::eprintln!("{}", printable(&case));
        failed(&why)
    })?;
    match out.is_json() {
        true => out.json_line(
            &json!({ "case": args.case, "steps": recorded.deeds.len(), "called": recorded.called }),
        ),
        false => out.line(&format!(
            "{}: {} steps written to {}",
            printable(&args.case),
            recorded.deeds.len(),
            args.suite.display()
        )),
    }
}

fn arguments(text: &str) -> Result<Value, Failure> {
    let read: Option<Value> = serde_json::from_str(text).ok();
    read.filter(Value::is_object).ok_or_else(|| {
        let fault = Fault::new(Kind::Invalid, "EVL-075", "--args is no JSON object");
        Failure::new(
            Exit::Usage,
            fault.with_hint("write it as '{\"place\":\"Boston\"}'"),
        )
    })
}

fn unseen(tool: &str, why: &str) -> Failure {
    let text = format!("`{}` shows no view: {}", printable(tool), printable(why));
    let fault = Fault::new(Kind::Invalid, "EVL-075", text);
    Failure::new(
        Exit::Failed,
        fault.with_hint("name a tool with a view, and arguments that it takes"),
    )
}

fn unwritten(suite: &Path, why: &str) -> Failure {
    let text = format!(
        "no case is added to {}: {}",
        suite.display(),
        printable(why)
    );
    let fault = Fault::new(Kind::Invalid, "EVL-076", text);
    Failure::new(
        Exit::Failed,
        fault.with_hint("the case stands above, where there is one: add it by hand"),
    )
}
