//! Up to where the ledger is brought back.

use std::{fmt, str::FromStr};

use airside_base::Timestamp;
use airside_ledger::Entry;

/// Up to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything that the source has.
    Latest,
    /// Every entry that was written up to this time.
    Time(Timestamp),
    /// One chain up to this entry.
    Seq(u64),
    /// An archive up to this manifest.
    Manifest(u64),
}

impl Until {
    /// Returns whether `entry` belongs to it, as far as the entry alone can tell.
    pub(super) fn includes(self, entry: &Entry) -> bool {
        match self {
            Self::Latest | Self::Manifest(_) => true,
            Self::Time(time) => entry.time <= time,
            Self::Seq(seq) => entry.seq <= seq,
        }
    }
}

/// A text says no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write `latest`, a time such as `2026-11-23T04:05:06.789Z`, the number of an entry, or `manifest:NUMBER`"
)]
pub struct ParseUntilError;

impl FromStr for Until {
    type Err = ParseUntilError;

    fn from_str(text: &str) -> Result<Self, ParseUntilError> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Some(number) = text.strip_prefix("manifest:") {
            let number = number.parse().map_err(|_| ParseUntilError)?;
            return Ok(Self::Manifest(number));
        }
        if let Ok(seq) = text.parse() {
            return Ok(Self::Seq(seq));
        }
        text.parse().map(Self::Time).map_err(|_| ParseUntilError)
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Time(time) => time.fmt(f),
            Self::Seq(seq) => seq.fmt(f),
            Self::Manifest(number) => write!(f, "manifest:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_back() {
        for text in ["latest", "17", "manifest:4", "2026-11-23T04:05:06.789Z"] {
            assert_eq!(text.parse::<Until>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "yesterday",
            "-1",
            "manifest:",
            "2026-11-23",
            "manifest:x",
        ] {
            assert_eq!(bad.parse::<Until>(), Err(ParseUntilError), "{bad}");
        }
    }
}
