//! `airside conversation …`.

use airside_base::Timestamp;
use clap::{Args, Subcommand};
use url::Url;

use super::{ArchiveAt, ChainArgs, DeskArgs, ledger::archive_url};

const CONVERSATION_HELP: &str = "\
A conversation is named by its handle, or by its id, which is the subject of its entries
in the ledger. Bringing a state back takes nothing out of the ledger: it is a further
change. What was erased or has ended does not come back.

Examples:
  airside conversation history Zk3…
  airside conversation restore Zk3… --to 2026-11-23T04:05:06.789Z --preview
  airside conversation restore Zk3… --to 1200 --reason 'emptied by a wrong update'";

#[derive(Debug, Subcommand)]
#[command(after_help = CONVERSATION_HELP)]
pub(crate) enum Conversation {
    /// Show a conversation and its state
    Show(Which),
    /// List what happened to a conversation
    History(Which),
    /// Bring an earlier state back as a further change
    Restore(Box<ConversationRestore>),
}

/// Which conversation.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its handle or its id.
    #[arg(value_name = "HANDLE|ID", allow_hyphen_values = true)]
    pub(crate) conversation: String,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) desk: DeskArgs,
}

/// Bring an earlier state back as a further change.
#[derive(Debug, Args)]
pub(crate) struct ConversationRestore {
    #[command(flatten)]
    pub(crate) which: Which,
    /// A time, or the number of an entry.
    #[arg(long, value_name = "MOMENT")]
    pub(crate) to: Moment,
    /// Why; stays in the ledger in clear, so name no person.
    #[arg(long, value_name = "TEXT", required_unless_present = "preview")]
    pub(crate) reason: Option<String>,
    /// The version it must still have; the present one unless given.
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<u64>,
    /// Only show what would change.
    #[arg(long)]
    pub(crate) preview: bool,
    /// Read the earlier state from this archive.
    #[arg(long, value_name = "URL", value_parser = archive_url)]
    pub(crate) archive: Option<Url>,
    #[command(flatten)]
    pub(crate) at: ArchiveAt,
}

/// A moment of one conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    Time(Timestamp),
    Seq(u64),
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seq) = text.parse() {
            return Ok(Self::Seq(seq));
        }
        text.parse().map(Self::Time).map_err(|_| {
            "write a time such as `2026-11-23T04:05:06.789Z`, or the number of an entry".to_owned()
        })
    }
}
