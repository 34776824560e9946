//! `airside ledger prove`, `check` and `key`.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use airside_base::{Fault, Kind};
use airside_ledger::proof::{CheckError, MAX_PROOF_BYTES, Proof};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    ledger::source::Source,
    output::Out,
    target,
    text::printable,
};

/// Writes the proof of one entry.
pub(super) async fn prove(args: &cli::Prove, out: &mut Out) -> Result<(), Failure> {
    let since = match &args.extends {
        Some(file) => Some(parsed(file)?.covered()),
        None => None,
    };
    let source = Source::open(&args.node).await?;
    let proof = source.prove(&args.chain.tenant, args.seq, since).await;
    source.close().await;
    let proof = proof?;
    let Some(file) = &args.output else {
        return out.json_pretty(&proof);
    };
    let mut text = serde_json::to_vec_pretty(&proof).expect("a proof serialises");
    text.push(b'\n');
    fs::write(file, text).map_err(|error| unusable("written", &file.display(), &error))?;
    if out.is_json() {
        return out.json_pretty(&json!({ "ok": true, "file": file }));
    }
    out.line(&format!(
        "{} proves entry {} of {}",
        file.display(),
        args.seq,
        args.chain.tenant
    ))
}

/// Checks a proof file. The exit code is that of a broken ledger if a step fails.
pub(super) fn check(args: &cli::Check, out: &mut Out) -> Result<(), Failure> {
    let proof = parsed(&args.file)?;
    let checked = match &args.extends {
        Some(file) => proof.check_extends(&parsed(file)?, &args.key),
        None => proof.check(&args.key),
    };
    let statement = checked.map_err(|error| broken(&args.file, &error))?;
    if out.is_json() {
        return out.json_pretty(&json!({ "ok": true, "statement": statement }));
    }
    for (name, value) in [
        (
            "holds",
            format!("entry {} of {}", statement.seq, statement.tenant),
        ),
        ("written", statement.time.to_string()),
        ("kind", statement.kind),
        ("subject", statement.subject),
        ("body", statement.body),
        ("hash", statement.hash.to_string()),
        (
            "sealed with",
            format!("{} entries of its chain", statement.covered.entries),
        ),
        ("root", statement.covered.root.to_string()),
    ] {
        out.line(&format!("{name:<12} {}", printable(&value)))?;
    }
    if let Some(earlier) = statement.earlier {
        let entries = earlier.entries;
        out.line(&format!(
            "{:<12} {entries} entries sealed before",
            "extends"
        ))?;
    }
    Ok(())
}

fn parsed(file: &Path) -> Result<Proof, Failure> {
    let text = read(file).map_err(|error| unusable("read", &file.display(), &error))?;
    Proof::parse(&text).map_err(|error| broken(file, &error))
}

fn broken(file: &Path, error: &CheckError) -> Failure {
    let file = printable(&file.display().to_string());
    let failure = Failure::new(Exit::Broken, error.fault()).with_detail(format!("file: {file}"));
    match std::error::Error::source(error) {
        Some(cause) => failure.with_detail(format!("cause: {cause}")),
        None => failure,
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)?
        .take(MAX_PROOF_BYTES)
        .read_to_end(&mut text)?;
    Ok(text)
}

fn unusable(done: &str, file: &dyn std::fmt::Display, error: &io::Error) -> Failure {
    let fault = Fault::new(
        Kind::Invalid,
        "CLI-024",
        format!("the proof file {file} cannot be {done}: {error}"),
    );
    Failure::new(Exit::Usage, fault.with_hint("name another file"))
}

/// Prints the public key of the running node.
pub(super) async fn key(args: &cli::NodeArgs, out: &mut Out) -> Result<(), Failure> {
    let key = target::read_key(args.key_file.as_deref())?;
    let client = target::control(args, key, &airside_base::Supervisor::new());
    let key = client.status().await?.seal_key;
    if out.is_json() {
        return out.json_pretty(&json!({ "key": key }));
    }
    out.line(&printable(&key))
}
