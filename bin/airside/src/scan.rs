//! `airside scan`.

mod components;
mod live;
mod mcp;
pub(crate) mod sarif;

use crate::{
    cli::scan::{Scan, What},
    failure::Failure,
    output::Out,
};

/// Scans what `args` name.
pub(crate) fn run(args: &Scan, out: &mut Out) -> Result<(), Failure> {
    match &args.what {
        Some(What::Mcp(args)) => mcp::run(args, out),
        None => components::run(&args.components, out),
    }
}
