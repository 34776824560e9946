//! Airside: one governed gateway between AI assistants and a travel company's
//! MCP servers.

mod approvals;
mod archive;
mod backup;
mod call;
mod cli;
mod config;
mod contracts;
mod conversation;
mod endpoint;
mod eval;
mod explain;
mod failure;
mod firewall;
mod inventory;
mod key;
mod keys;
mod ledger;
mod limits;
mod logs;
mod node;
mod output;
mod person;
mod policy;
mod restore;
mod review;
mod scan;
mod snippets;
mod status;
mod target;
mod tools;

use std::{io::Write as _, process::ExitCode};

use airside_screen::terminal as text;
use clap::Parser as _;

use crate::{
    cli::{Cli, Command},
    failure::{Exit, Failure},
    output::Out,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, which hold a whole 2 MiB for the few
    // objects of each thread: measured 45 MiB of heap at 32 sessions, 12 without.
    // A kernel that does not know them needs no answer.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; neither
            // can be reported elsewhere when it cannot be written.
            let _ = error.print();
            let done = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            return ExitCode::from(done as u8);
        }
    };
    let mut out = Out::new(cli.common.json);
    match run(&cli, &mut out).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::from(Exit::Done as u8),
        Err(failure) if failure.is_broken_pipe() => ExitCode::from(Exit::Done as u8),
        Err(failure) => {
            // What was found before the failure still counts.
            let _ = out.flush();
            report(&failure, cli.common.json);
            ExitCode::from(failure.exit() as u8)
        }
    }
}

fn run(cli: &Cli, out: &mut Out) -> Result<(), Failure> {
    let level = match &cli.command {
        Command::Up(_) | Command::Serve(_) => "info",
        _ => "warn",
    };
    logs::start(&cli.common, level)?;
    match &cli.command {
        Command::Up(args) => node::up(args, out),
        Command::Serve(args) => node::serve(args, out),
        Command::Call(args) => call::run(args, out),
        Command::Tools(args) => tools::run(args, out),
        Command::Scan(args) => scan::run(args, out),
        Command::Inventory(args) => inventory::run(args, out),
        Command::Vulns(args) => inventory::vulns::run(args, out),
        Command::Status(args) => status::run(args, out),
        Command::Limits(args) => limits::run(args, out),
        Command::Firewall(args) => firewall::run(args, out),
        Command::Ledger(args) => ledger::run(args, out),
        Command::Backup(args) => backup::run(args, out),
        Command::Restore(args) => restore::run(args, out),
        Command::Erase(args) => person::erase(args, out),
        Command::Export(args) => person::export(args, out),
        Command::Conversation(args) => conversation::run(args, out),
        Command::Contracts(args) => contracts::run(args, out),
        Command::Config(args) => config::run(args, out),
        Command::Review(args) => review::run(args, out),
        Command::Eval(args) => eval::run(args, out),
        Command::Key(args) => key::run(args, out),
        Command::Policy(args) => policy::run(args, out),
        Command::Approvals(args) => approvals::run(args, out),
        Command::Explain(args) => explain::run(args, out),
    }
}

fn report(failure: &Failure, json: bool) {
    let mut stderr = std::io::stderr().lock();
    let _ = if json {
        writeln!(
            stderr,
            "{}",
            text::printable_json(&failure.json().to_string())
        )
    } else {
        stderr.write_all(failure.text().as_bytes())
    };
}
