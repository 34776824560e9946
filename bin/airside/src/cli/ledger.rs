//! `airside ledger`, `backup`, `restore`, `erase`, `export`: what is kept, and how it comes
//! back.

use std::{net::SocketAddr, path::PathBuf};

use airside_archive::restore::Until;
use airside_base::TenantId;
use airside_config::DATA_DIR;
use airside_ledger::{
    conversation::Region,
    note::Verifier,
    personal::{Purpose, SubjectId},
};
use clap::{Args, Subcommand};
use url::Url;

use super::NodeArgs;

const LEDGER_HELP: &str = "\
A running node is asked through the control socket in its data folder. When none runs
the files are opened directly.

Examples:
  airside ledger tail -n 50
  airside ledger tail --follow --json | jq .kind
  airside ledger verify
  airside ledger prove 42 -o entry-42.proof.json
  airside ledger check entry-42.proof.json --key airside-…+…+…
  airside ledger prove 97 --extends entry-42.proof.json -o entry-97.proof.json";

#[derive(Debug, Subcommand)]
#[command(after_help = LEDGER_HELP)]
pub(crate) enum Ledger {
    /// Show the newest entries
    Tail(Tail),
    /// Check every entry and its place in the chain
    Verify(NodeArgs),
    /// Show the newest position of a chain
    Head(Head),
    /// Prove one entry by a file that stands alone
    Prove(Prove),
    /// Check a proof, without a node and without the ledger
    Check(Check),
    /// Print the public key that proofs are checked with
    Key(NodeArgs),
    /// Make the tables of a PostgreSQL ledger and let a role append to them
    Init(Init),
}

/// Prove one entry by a file that stands alone.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// Number of the entry.
    pub(crate) seq: u64,
    /// File to write; without it the proof goes to standard output.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Earlier proof of the same chain: prove as well that nothing of what was sealed
    /// then has changed since.
    #[arg(long, value_name = "FILE")]
    pub(crate) extends: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Check a proof, without a node and without the ledger.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// File that `airside ledger prove` wrote.
    pub(crate) file: PathBuf,
    /// Public key of the ledger, as `airside ledger key` printed it at the source.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Verifier,
    /// Earlier proof that this one has to extend.
    #[arg(long, value_name = "FILE")]
    pub(crate) extends: Option<PathBuf>,
}

const INIT_HELP: &str = "\
Run once, and again after an upgrade, as the owner of the database. The role has to exist;
Airside runs as that role, which can append to the ledger and read it, and nothing else.
The keys of persons get a schema of their own, `airside_keys`: leave it out of the backups
of the ledger (pg_dump -N airside_keys), and keep its own for a few days at most.

Examples:
  createuser airside_node
  airside ledger init --url-file owner.url --role airside_node
  airside ledger init --url-file keys-owner.url --role airside_node --only-keys";

/// Make the tables of a PostgreSQL ledger and let a role append to them.
#[derive(Debug, Args)]
#[command(after_help = INIT_HELP)]
pub(crate) struct Init {
    /// File that holds the URL of the database's owner, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) url_file: PathBuf,
    /// Role that Airside will run as.
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: String,
    /// Make only the tables for the keys of persons, in a database of their own.
    #[arg(long)]
    pub(crate) only_keys: bool,
}

pub(super) fn archive_url(text: &str) -> Result<Url, &'static str> {
    let how = "write file:///folder, with the whole path of the folder, or s3://bucket/prefix";
    text.parse().map_err(|_| how)
}

/// Which archive.
#[derive(Debug, Clone, Args)]
pub(crate) struct ArchiveArgs {
    /// Where the archive is, such as file:///mnt/archive or s3://bucket/prefix.
    #[arg(long, value_name = "URL", value_parser = archive_url)]
    pub(crate) archive: Url,
    #[command(flatten)]
    pub(crate) at: ArchiveAt,
}

/// How an archive is reached and read.
#[derive(Debug, Clone, Args)]
pub(crate) struct ArchiveAt {
    /// Key file of the archive; `archive.key` in the data folder unless given.
    #[arg(long, value_name = "FILE", requires = "archive")]
    pub(crate) archive_key: Option<PathBuf>,
    /// ARN of its key in AWS KMS, as `key` in `[archive.kms]`.
    #[arg(
        long,
        value_name = "ARN",
        requires = "archive",
        conflicts_with = "archive_key"
    )]
    pub(crate) archive_kms: Option<String>,
    /// Where that service is, if it is not Amazon's.
    #[arg(long, value_name = "URL", requires = "archive_kms")]
    pub(crate) archive_kms_endpoint: Option<Url>,
    /// Where the storage of an s3:// archive is, if it is not Amazon's.
    #[arg(long, value_name = "URL", requires = "archive")]
    pub(crate) archive_endpoint: Option<Url>,
    /// Region of the storage.
    #[arg(long, value_name = "NAME", requires = "archive")]
    pub(crate) archive_region: Option<String>,
    /// File with its credentials, as Amazon's tools write it; otherwise the environment.
    #[arg(long, value_name = "FILE", requires = "archive")]
    pub(crate) archive_credentials: Option<PathBuf>,
}

/// Which ledger.
#[derive(Debug, Clone, Args)]
pub(crate) struct LedgerArgs {
    /// Folder of the ledger.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "AIRSIDE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// File with the URL of the ledger's database, if it is in PostgreSQL.
    #[arg(long, value_name = "FILE")]
    pub(crate) url_file: Option<PathBuf>,
}

/// Which installation: the node that runs on the folder or, when none runs, its files.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeskArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Control address of a node elsewhere, such as one at the end of a tunnel.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "key_file")]
    pub(crate) control: Option<SocketAddr>,
    /// File with the API key to show, or `-` for standard input.
    #[arg(long, value_name = "FILE", env = "AIRSIDE_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// File with the URL of the keys' database, as `url-file` in `[keys]`, when no node
    /// runs.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys_url_file: Option<PathBuf>,
    /// File of the key that wraps them, as `vault-file` in `[keys]`, when no node runs;
    /// `vault.key` in the data folder unless given.
    #[arg(long, value_name = "FILE")]
    pub(crate) vault_file: Option<PathBuf>,
    /// ARN of that key in AWS KMS, as `key` in `[keys.kms]`, when no node runs.
    #[arg(long, value_name = "ARN", conflicts_with = "vault_file")]
    pub(crate) vault_kms: Option<String>,
    /// Where that service is, if it is not Amazon's.
    #[arg(long, value_name = "URL", requires = "vault_kms")]
    pub(crate) vault_kms_endpoint: Option<Url>,
    /// File with credentials for it, as Amazon's tools write it; otherwise the
    /// environment.
    #[arg(long, value_name = "FILE", requires = "vault_kms")]
    pub(crate) vault_credentials: Option<PathBuf>,
    /// Region to work in, as `region` in `[conversation]`, when no node runs.
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<Region>,
}

const BACKUP_HELP: &str = "\
A node writes the archive that [archive] in its configuration names. These commands only
read, whether a node runs or not.

Examples:
  airside backup status --archive file:///mnt/archive
  airside backup verify --archive file:///mnt/archive --archive-key copy-of-archive.key
  airside backup drill --archive file:///mnt/archive";

#[derive(Debug, Subcommand)]
#[command(after_help = BACKUP_HELP)]
pub(crate) enum Backup {
    /// Show how far the archive is behind the ledger
    Status(BackupStatus),
    /// Read every object of the archive and check it
    Verify(BackupVerify),
    /// Restore the archive into a scratch folder and compare it with the ledger, as a
    /// node does every hour
    Drill(BackupStatus),
}

#[derive(Debug, Args)]
pub(crate) struct BackupStatus {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupVerify {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    /// Folder that holds the key file unless --archive-key is given.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "AIRSIDE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
}

const RESTORE_HELP: &str = "\
The target has to be new or empty; nothing is ever overwritten. The source is the archive
or, without --archive, the ledger in --data-dir or --url-file, which is only read.

Examples:
  airside restore --archive file:///mnt/archive --to latest --into sqlite:restored
  airside restore --to 2026-11-23T04:05:06.789Z --into sqlite:before
  airside restore --to 2026-11-23T04:05:06.789Z --preview
  airside restore --to 1200 --tenant acme --into postgres:database.url
  airside restore --to latest --tenant acme --subject subject-8f3a --into sqlite:person";

/// Bring a ledger back as it was at some moment.
#[derive(Debug, Args)]
#[command(after_help = RESTORE_HELP)]
pub(crate) struct Restore {
    /// `latest`, a time, the number of an entry (with --tenant), or `manifest:NUMBER`.
    #[arg(long, value_name = "MOMENT")]
    pub(crate) to: Until,
    /// Bring back the chain of one tenant only.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<TenantId>,
    /// Bring back only what was known of one person of the tenant, as a chain of its own.
    #[arg(
        long,
        value_name = "SUBJECT",
        allow_hyphen_values = true,
        requires = "tenant"
    )]
    pub(crate) subject: Option<SubjectId>,
    /// Read from this archive.
    #[arg(long, value_name = "URL", value_parser = archive_url)]
    pub(crate) archive: Option<Url>,
    #[command(flatten)]
    pub(crate) at: ArchiveAt,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Where to: `sqlite:FOLDER`, or `postgres:FILE` with a file that holds the URL of
    /// a database that `airside ledger init` has prepared.
    #[arg(long, value_name = "PLACE", required_unless_present = "preview")]
    pub(crate) into: Option<crate::restore::Place>,
    /// Only show what would differ from the ledger in --data-dir or --url-file.
    #[arg(long, conflicts_with = "into")]
    pub(crate) preview: bool,
}

const ERASE_HELP: &str = "\
Personal values in the ledger, in its archive and in every copy of them become unreadable
for good; proofs and `airside ledger verify` still hold. May be repeated. A running node
does it itself; the files are opened when none runs. Old copies of the keys (keys.db, or
the schema airside_keys) have to be thrown away.

Examples:
  airside erase subject-8f3a
  airside erase subject-8f3a --purpose service --purpose law";

/// Erase a person: destroy the keys of everything personal.
#[derive(Debug, Args)]
#[command(after_help = ERASE_HELP)]
pub(crate) struct Erase {
    /// Pseudonym of the person.
    #[arg(value_name = "SUBJECT", allow_hyphen_values = true)]
    pub(crate) subject: SubjectId,
    /// `service` for what is kept to serve the person, `law` for what the law requires;
    /// may be repeated.
    #[arg(long = "purpose", value_name = "PURPOSE", default_value = "service")]
    pub(crate) purposes: Vec<Purpose>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) desk: DeskArgs,
}

/// Write everything about a person as one JSON document.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  airside export subject-8f3a -o subject.json")]
pub(crate) struct Export {
    /// Pseudonym of the person.
    #[arg(value_name = "SUBJECT", allow_hyphen_values = true)]
    pub(crate) subject: SubjectId,
    /// File to make, for this user alone; without it the document goes to standard output.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) desk: DeskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// How many entries.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) lines: u64,
    /// Go on showing entries as they are made.
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Head {
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Which chain.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChainArgs {
    /// Tenant whose chain is meant.
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) tenant: TenantId,
}
