//! Repository rules as code.
//!
//! `cargo xtask check` holds the repository against `architecture.toml` and the
//! conventions of the source tree. `cargo xtask generate` writes the files that are
//! derived from others; `check` compares them through the same functions.

mod architecture;
mod check;
mod generate;
mod graph;
mod source;
mod tree;

use std::{
    io::{Write as _, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

use crate::{architecture::Architecture, graph::Graph, tree::Tree};

const USAGE: &str = "usage: cargo xtask check      hold the repository against its rules
       cargo xtask generate   write the generated files";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["check"] => check(),
        ["generate"] => generate().map(|()| ExitCode::SUCCESS),
        _ => {
            let _ = writeln!(stderr(), "{USAGE}");
            return ExitCode::from(2);
        }
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(stderr(), "error: {error:#}");
        ExitCode::from(2)
    })
}

fn check() -> Result<ExitCode> {
    let root = root()?;
    let tree = Tree::read(&root)?;
    let graph = Graph::resolve(&root)?;
    let architecture = Architecture::parse(tree.text("architecture.toml")?)?;
    let violations = check::all(&check::Repository {
        tree: &tree,
        graph: &graph,
        architecture: &architecture,
        today: today(),
    });
    let mut out = stdout().lock();
    for violation in &violations {
        writeln!(out, "{violation}\n")?;
    }
    if violations.is_empty() {
        let (files, crates) = (tree.len(), graph.crates.len());
        writeln!(out, "{files} files in {crates} crates keep all rules")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{} violations", violations.len())?;
    Ok(ExitCode::FAILURE)
}

fn generate() -> Result<()> {
    let root = root()?;
    let tree = Tree::read(&root)?;
    for file in generate::all(&tree) {
        if tree.find(&file.path) == Some(&file.text) {
            continue;
        }
        let path = root.join(&file.path);
        let folder = path.parent().context("a generated file is in a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {folder:?}"))?;
        std::fs::write(&path, &file.text).with_context(|| format!("cannot write {path:?}"))?;
        writeln!(stdout(), "wrote {}", file.path)?;
    }
    Ok(())
}

/// Returns the folder of the workspace: where this program was built.
fn root() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    match root {
        Some(root) if root.join("architecture.toml").is_file() => Ok(root.to_owned()),
        _ => bail!(
            "the folder above {} is not the repository",
            env!("CARGO_MANIFEST_DIR")
        ),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program without a `Clock`: exemptions end on a real day"
)]
fn today() -> jiff::civil::Date {
    jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}
