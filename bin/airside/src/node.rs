//! A running node: `airside up` and `airside serve`.
//!
//! # Invariants
//!
//! * The ledger is opened first and closed last, by a supervisor of its own: what
//!   happens while the gateway drains is recorded.
//! * Nothing is served before the entry that names the configuration is durable.

mod approvals;
mod assemble;
mod cashier;
mod contracts;
mod event;
pub(crate) mod folder;
mod guard;
mod inventory;
mod listen;
mod running;
mod signals;

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use airside_api::{Access, Persons, State, serve_socket, serve_tcp, socket};
use airside_base::{Fault, Kind, Supervisor, SystemClock};
use airside_config::{self as config, Config};
use airside_gateway::ServeError;
use airside_ledger::{Ledger, conversation::Conversations, keys::Keys, note::Signer, seal};
use serde_json::json;

use crate::{
    archive, cli,
    failure::{Exit, Failure},
    keys,
    ledger::source,
    node::{
        event::Event,
        listen::WhenTaken,
        running::{Origin, Place, Running},
        signals::{Asked, Signals},
    },
    output::Out,
    person, snippets,
    target::no_runtime,
};

/// Threads beside those of the gateway: control API, signals, reloads.
const BACKGROUND_THREADS: usize = 2;
/// Longest wait for tasks to end after the gateway has drained.
const GRACE: Duration = Duration::from_secs(5);
/// The same after a second signal.
const HURRIED: Duration = Duration::from_millis(200);

/// Where the configuration of a node comes from and how it starts.
struct Plan {
    loaded: config::Loaded,
    origin: Origin,
    when_taken: WhenTaken,
    snippets: bool,
}

/// Runs `airside up`.
pub(crate) fn up(args: &cli::Up, out: &mut Out) -> Result<(), Failure> {
    // The key of this user is kept there.
    folder::prepare(&args.data_dir)?;
    let origin = Origin::Embedded {
        data_dir: args.data_dir.clone(),
        caller: folder::caller_key(&args.data_dir)?,
        port: args.port,
    };
    let loaded = origin
        .load()
        .map_err(|problems| Failure::rendered(Exit::Config, problems))?;
    let when_taken = match args.port {
        Some(_) => WhenTaken::Refuse,
        None => WhenTaken::TakeAnother,
    };
    run(
        Plan {
            loaded,
            origin,
            when_taken,
            snippets: true,
        },
        out,
    )
}

/// Runs `airside serve`.
pub(crate) fn serve(args: &cli::Serve, out: &mut Out) -> Result<(), Failure> {
    let origin = Origin::File {
        file: args.config.clone(),
        data_dir: args.data_dir.clone(),
    };
    let loaded = origin
        .load()
        .map_err(|problems| Failure::rendered(Exit::Config, problems))?;
    run(
        Plan {
            loaded,
            origin,
            when_taken: WhenTaken::Refuse,
            snippets: false,
        },
        out,
    )
}

fn run(plan: Plan, out: &mut Out) -> Result<(), Failure> {
    let folder = plan.loaded.config.data_dir.clone();
    folder::prepare(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .thread_name("background")
        .enable_all()
        .build()
        .map_err(|error| no_runtime(&error))?;
    let ended = runtime.block_on(with_ledger(folder, plan, out));
    // A blocked thread must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn with_ledger(folder: PathBuf, plan: Plan, out: &mut Out) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let scribe = Supervisor::new();
    let signer = folder::seal_key(&folder)?;
    let place = &plan.loaded.config.ledger;
    let ledger = source::own(&folder, place.url_file.as_deref(), &scribe).await?;
    if let Origin::File { .. } = plan.origin {
        // Who may call is in its configuration; the key of `airside up` is not.
        folder::drop_caller_key(&folder)?;
    }
    let keys = keys::Place::of(&plan.loaded.config).open().await?;
    person::resume(&ledger, &keys).await?;
    let keeper = Supervisor::new();
    let kept = archive::keep(&ledger, &folder, &plan.loaded.config.archive, &keeper).await?;
    let ended = live(plan, (kept, signer, keys), &scribe, &mut signals, out).await;
    let flushed = ledger.flush().await;
    let grace = ended.as_ref().map_or(GRACE, |drained| grace(*drained));
    if keeper.stop(grace).await > 0 {
        tracing::warn!("the archive did not get everything before the end");
    }
    drop(ledger);
    if scribe.stop(GRACE).await > 0 {
        tracing::error!("the ledger did not close in time");
    }
    ended?;
    flushed.map_err(|error| Failure::new(Exit::Failed, error.fault()))
}

/// Returns how long tasks may take to end.
fn grace(drained: bool) -> Duration {
    if drained { GRACE } else { HURRIED }
}

/// Serves until a signal; returns when the running calls have ended, and whether they
/// were not cut off by a second signal.
async fn live(
    plan: Plan,
    (ledger, signer, keys): (Ledger, Signer, Arc<Keys>),
    scribe: &Supervisor,
    signals: &mut Signals,
    out: &mut Out,
) -> Result<bool, Failure> {
    let tasks = Supervisor::new();
    let listen = plan.loaded.config.listen.clone();
    let listener = listen::bind(listen.address, plan.when_taken)?;
    let control = plan.loaded.config.control.address;
    let control = control.map(|address| listen::bind(address, WhenTaken::Refuse));
    let control = control.transpose()?;
    let bound = |listener: &TcpListener| listener.local_addr().map_err(|e| no_runtime(&e));
    let persons = persons(&plan.loaded.config, &ledger, keys, &tasks);
    let place = Place {
        address: bound(&listener)?,
        control: control.as_ref().map(bound).transpose()?,
        origin: plan.origin,
        clock: Arc::new(SystemClock::new()),
        persons: persons.clone(),
        seal_key: signer.verifier().to_string(),
    };
    let node = Running::start(plan.loaded, place, &ledger, &tasks).await?;
    let node = Arc::new(node);
    seal::Sealer::new(ledger.clone(), signer, node.id()).start(node.clock(), &tasks);
    persons.conversations.clone().start(node.id(), &tasks);
    serve_control(control, &node, (&ledger, persons), &tasks)?;
    inventory::start(&node, &ledger, &tasks);
    if node.config().ledger.url_file.is_some() {
        guard::follow(&node, &ledger, &tasks).await;
    }
    match announce(&node, plan.snippets, out) {
        // Whoever started the node has read enough; it serves all the same.
        Err(failure) if failure.is_broken_pipe() => {}
        announced => announced?,
    }
    let gateway = airside_gateway::serve(
        vec![listener],
        &listen,
        node.snapshot(),
        ledger.clone(),
        tasks.clone(),
        node.clock(),
    );
    let drained = until_stopped(gateway, &node, scribe, (signals, &tasks)).await;
    let grace = drained.as_ref().map_or(GRACE, |drained| grace(*drained));
    if tasks.stop(grace).await > 0 {
        tracing::warn!("some tasks did not end in time");
    }
    node.save_limits().await;
    record_stop(&node, &ledger, matches!(drained, Ok(true))).await;
    drained
}

/// Returns what the node knows of persons. Of a ledger that others write it hears whom
/// they erase.
fn persons(config: &Config, ledger: &Ledger, keys: Arc<Keys>, tasks: &Supervisor) -> Persons {
    let clock = Arc::new(SystemClock::new());
    if config.ledger.url_file.is_some() {
        keys.follow(ledger.clone(), tasks);
    }
    let region = config.conversation.region.clone();
    let tables: Vec<&'static str> = archive::folds().names().collect();
    Persons {
        conversations: Conversations::new(ledger.clone(), keys.clone(), clock.clone(), region),
        keys,
        tables: tables.into(),
        clock,
    }
}

/// Opens the control API.
fn serve_control(
    listener: Option<TcpListener>,
    node: &Arc<Running>,
    (ledger, persons): (&Ledger, Persons),
    tasks: &Supervisor,
) -> Result<(), Failure> {
    let config = node.config();
    let folder = &config.data_dir;
    let state = State::new(node.clone(), ledger.clone(), persons, tasks.clone());
    let socket = socket::bind(folder).map_err(|error| folder::unusable(folder, &error))?;
    serve_socket(socket, state.clone(), tasks);
    let Some(listener) = listener else {
        return Ok(());
    };
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener))
        .map_err(|error| no_runtime(&error))?;
    let known = node.clone();
    let access = Access::Keys(Arc::new(move || known.callers()));
    serve_tcp(listener, state, &access, tasks);
    Ok(())
}

/// Serves until a signal or a failure. Returns whether all running calls ended.
async fn until_stopped(
    gateway: impl Future<Output = Result<(), ServeError>>,
    node: &Running,
    scribe: &Supervisor,
    (signals, tasks): (&mut Signals, &Supervisor),
) -> Result<bool, Failure> {
    tokio::pin!(gateway);
    loop {
        let asked = tokio::select! {
            served = &mut gateway => return Err(failed(served.err())),
            () = scribe.stopping() => return Err(failed(None)),
            asked = signals.next() => asked,
        };
        match asked {
            Asked::Stop => break,
            Asked::Reload => node.reload_and_log().await,
        }
    }
    tracing::info!("stopping: running calls may end, a second signal hurries");
    tasks.request_stop();
    tokio::select! {
        served = &mut gateway => match served {
            Ok(()) => Ok(true),
            Err(error) => Err(failed(Some(error))),
        },
        () = signals.stop() => {
            tracing::warn!("hurried: running calls are cut off");
            Ok(false)
        }
    }
}

/// A part that the node cannot work without has ended.
fn failed(error: Option<ServeError>) -> Failure {
    let cause = error.map(|error| match std::error::Error::source(&error) {
        Some(source) => format!(": {error}: {source}"),
        None => format!(": {error}"),
    });
    let fault = Fault::new(
        Kind::Internal,
        "CLI-021",
        format!("the node failed{}", cause.unwrap_or_default()),
    );
    Failure::new(
        Exit::Failed,
        fault.with_hint("see the log above, then start it again"),
    )
}

async fn record_stop(node: &Running, ledger: &Ledger, drained: bool) {
    let stopped = Event::Stopped {
        node: node.id().to_string(),
        drained,
    };
    let appended = match stopped.draft() {
        Ok(draft) => ledger
            .append(vec![draft])
            .await
            .map_err(|error| error.fault()),
        Err(error) => Err(error.fault()),
    };
    match appended {
        Ok(_) => tracing::info!(drained, "stopped"),
        Err(fault) => tracing::error!(%fault, "the stop could not be recorded"),
    }
}

/// Says where the node is. The last line is what scripts wait for.
fn announce(node: &Running, snippets: bool, out: &mut Out) -> Result<(), Failure> {
    let status = airside_api::Node::status(node);
    let url = status
        .endpoints
        .first()
        .map_or("", |endpoint| &endpoint.url);
    if out.is_json() {
        let ready = json!({
            "event": "ready",
            "endpoint": url,
            "endpoints": &status.endpoints,
            "data_dir": &status.data_dir,
            "node": &status.node,
            "pid": status.pid,
        });
        out.json_line(&ready)?;
        return out.flush();
    }
    out.line(&format!(
        "airside {} · data folder {}\n",
        status.version, status.data_dir
    ))?;
    for endpoint in &status.endpoints {
        out.line(&format!(
            "{} → {}",
            endpoint.url,
            endpoint.upstreams.join(", ")
        ))?;
    }
    if snippets {
        out.line(&format!("\n{}", snippets::text(url)))?;
        let folder = match status.data_dir.as_str() {
            config::DATA_DIR => String::new(),
            other => format!(" --data-dir {other}"),
        };
        out.line(&format!(
            "try: airside call search_hotels place=Boston{folder}\n     airside ledger tail{folder}\n"
        ))?;
    }
    out.line(&format!("ready: {url}"))?;
    out.flush()
}
