use std::process::Command;

use anyhow::{bail, Result};

fn revision_of(text: &str) -> Result<&str> {
    if text.starts_with('-') {
        bail!("`{text}` is no revision");
    }
    Ok(text)
}

pub fn blame(revision: &str) -> Result<Vec<u8>> {
    let revision = revision_of(revision)?;
    Ok(Command::new("git").args(["blame", revision]).output()?.stdout)
}

pub fn show(revision: &str) -> Result<Vec<u8>> {
    Ok(Command::new("git").args(["show", revision]).output()?.stdout) // BAD argument-injection
}
