//! `airside scan`.

mod components;

use crate::{cli, failure::Failure, output::Out};

/// Scans what `args` name.
pub(crate) fn run(args: &cli::scan::Scan, out: &mut Out) -> Result<(), Failure> {
    components::run(args, out)
}
