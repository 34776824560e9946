//! `airside review …`.

pub(crate) mod lot;

use crate::{
    cli::review::{Review, ReviewCommand},
    failure::Failure,
    output::Out,
};

/// Runs `airside review …`.
pub(crate) fn run(args: &Review, out: &mut Out) -> Result<(), Failure> {
    match &args.command {
        ReviewCommand::Lot(lot) => lot::run(lot, out),
    }
}
