//! Finds the node or endpoint that a command is about.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use airside_api::Client;
use airside_base::{Fault, Kind, Redacted, Supervisor};

use crate::{
    cli,
    failure::{Exit, Failure},
    text::printable,
};

/// Longest key file, in bytes.
const MAX_KEY: u64 = 4096;

/// Runs `work` to its end on a runtime of its own.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| no_runtime(&error))?;
    runtime.block_on(work)
}

/// The operating system refuses what a runtime is made of.
pub(crate) fn no_runtime(error: &io::Error) -> Failure {
    let fault = Fault::new(
        Kind::Unavailable,
        "CLI-019",
        format!("the operating system refuses a resource: {error}"),
    );
    Failure::new(
        Exit::Failed,
        fault.with_hint("raise the limits of this user (ulimit -a)"),
    )
}

/// Asks a running node through its control API.
pub(crate) fn with_control<T>(
    args: &cli::NodeArgs,
    work: impl AsyncFnOnce(Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let key = read_key(args.key_file.as_deref())?;
    block_on(async { work(control(args, key, &Supervisor::new())).await })
}

/// Returns the control client that `args` ask for.
pub(crate) fn control(
    args: &cli::NodeArgs,
    key: Option<Redacted<String>>,
    supervisor: &Supervisor,
) -> Client {
    match (args.control, key) {
        (Some(address), Some(key)) => Client::remote(address, key, supervisor),
        _ => Client::local(&args.data_dir, supervisor),
    }
}

/// Reads an API key from a file or, for `-`, from standard input. Never from the
/// command line, which other users of the machine can see.
pub(crate) fn read_key(file: Option<&Path>) -> Result<Option<Redacted<String>>, Failure> {
    file.map(read_secret).transpose()
}

/// Reads a secret from `file` or, for `-`, from standard input.
pub(crate) fn read_secret(file: &Path) -> Result<Redacted<String>, Failure> {
    read(file, Content::Key)
}

/// Reads the URL of a database from `file`: a secret, since it may hold a password.
pub(crate) fn read_url(file: &Path) -> Result<Redacted<String>, Failure> {
    read(file, Content::Url)
}

/// What a file is said to hold.
#[derive(Clone, Copy)]
enum Content {
    Key,
    Url,
}

fn read(file: &Path, content: Content) -> Result<Redacted<String>, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(MAX_KEY).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(MAX_KEY).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(Redacted::new(text.trim().to_owned())),
        Err(error) => {
            let at = printable(&file.display().to_string());
            let (text, hint) = match content {
                Content::Key => (
                    format!("the key file {at} cannot be read: {error}"),
                    "name a file that holds the key and nothing else",
                ),
                Content::Url => (
                    format!("the URL file {at} cannot be read: {error}"),
                    "name a file that holds the URL and nothing else",
                ),
            };
            let fault = Fault::new(Kind::Invalid, "CLI-020", text);
            Err(Failure::new(Exit::Usage, fault.with_hint(hint)))
        }
    }
}
