//! Runs the tested blocks of pages, so that what they show stays true.

use std::{io::Write as _, path::PathBuf};

use airside_testkit::tour;
use anyhow::Context as _;
use clap::Parser;

/// Runs the tested blocks of pages.
#[derive(Parser)]
struct Arguments {
    /// Folder of the programs that the pages run.
    #[arg(long)]
    path: PathBuf,
    /// Pages in Markdown.
    #[arg(required = true)]
    pages: Vec<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let Arguments { path, pages } = Arguments::parse();
    let path = path.canonicalize().context("there is no such folder")?;
    for page in pages {
        let folder = tempfile::tempdir()?;
        let text = std::fs::read_to_string(&page)
            .with_context(|| format!("cannot read {}", page.display()))?;
        let commands = tour::run(&text, folder.path(), &path)
            .with_context(|| format!("{} does not hold", page.display()))?;
        writeln!(
            std::io::stdout(),
            "{}: {commands} commands print what it says",
            page.display()
        )?;
    }
    Ok(())
}
