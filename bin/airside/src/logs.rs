//! The log, on standard error.
//!
//! # Invariants
//!
//! * Arguments, results and keys are never logged, whatever level is asked for.
//!   Libraries log what they carry, so they are heard from `warn` upwards only.

mod json;

use std::io;

use airside_base::{Fault, Kind};
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    cli::{Common, LogFormat},
    failure::{Exit, Failure},
};

/// Starts logging; `default` holds unless the user named a level.
pub(crate) fn start(common: &Common, default: &str) -> Result<(), Failure> {
    let directives = common.log_level.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        let fault = Fault::new(
            Kind::Invalid,
            "CLI-017",
            format!("`{directives}` is not a log level: {error}"),
        );
        Failure::new(
            Exit::Usage,
            fault.with_hint("use error, warn, info, debug or trace"),
        )
    })?;
    let own =
        filter_fn(|event| event.target().starts_with("airside") || *event.level() <= Level::WARN);
    let registry = tracing_subscriber::registry().with(filter).with(own);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match common.log_format {
        LogFormat::Text => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            registry.with(lines.with_ansi(colours)).init();
        }
        LogFormat::Json => registry.with(lines.event_format(json::Lines)).init(),
    }
    Ok(())
}
