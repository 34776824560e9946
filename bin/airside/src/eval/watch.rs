//! `airside eval watch`: runs what a change has made stale, whenever something changes.
//!
//! # Invariants
//!
//! * Each round reads suite, prompt and tools anew and runs the cases whose fingerprint
//!   differs from their last result, and no other.
//! * A round that fails is reported and tried again with the next; nothing is lost, since
//!   what to do follows from the run that is kept.

use std::time::Duration;

use airside_base::{Fault, Kind};

use crate::{
    cli::eval::Watch,
    failure::{Exit, Failure},
    output::Out,
    target::block_on,
};

/// Runs rounds until it is told to stop.
pub(super) fn run(args: &Watch, out: &mut Out) -> Result<(), Failure> {
    let Some(folder) = &args.run.out else {
        let fault = Fault::new(Kind::Invalid, "EVL-032", "no folder keeps the run");
        return Err(Failure::new(
            Exit::Usage,
            fault.with_hint("name one with --out DIR"),
        ));
    };
    loop {
        let round = super::run::round(&args.run, folder, out);
        if args.once {
            return round;
        }
        if let Err(failure) = round {
            if failure.json()["error"]["code"] == super::run::INTERRUPTED {
                return Ok(());
            }
            tracing::warn!("the round failed: {}", failure.text().trim_end());
        }
        out.flush()?;
        if paused(Duration::from_secs(args.every))? {
            return Ok(());
        }
    }
}

/// Waits; returns whether it was told to stop.
fn paused(pause: Duration) -> Result<bool, Failure> {
    block_on(async {
        tokio::select! {
            told = super::run::told_to_stop() => {
                told.map_err(|error| crate::target::no_runtime(&error))?;
                Ok(true)
            }
            () = tokio::time::sleep(pause) => Ok(false),
        }
    })
}
