//! Feeds: folders and archives of advisories and of what is known about exploitation.
//!
//! A file is known by its content, not by its name: live downloads, mirrors and packed
//! copies of the same feed differ in names only.
//!
//! # Invariants
//!
//! * Every file of a folder is accounted for: read, or named with the reason why not.
//!   A record that cannot be read is counted and the feed keeps the rest.
//! * Sizes are bounded before they are unpacked: a file by [`MAX_UNPACKED_BYTES`], a
//!   record by [`MAX_RECORD_BYTES`], a folder by [`MAX_FILES`].

mod content;
mod folder;
pub mod mirror;
mod read;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use folder::{Problem, load, renew};
pub(crate) use read::day;

/// Most bytes of one file after unpacking. The archive of all npm advisories unpacks
/// to about 300 MB.
pub const MAX_UNPACKED_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Most bytes of one record. The largest packed here has 0.4 MB.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;
/// Most files of a folder.
pub const MAX_FILES: usize = 1_000_000;

/// What sort of feed a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Advisories in OSV form.
    Advisories,
    /// The catalogue of exploited vulnerabilities.
    Kev,
    /// Scores of EPSS.
    Epss,
    /// Decision points of CISA.
    Points,
    /// Which CVEs public collections of exploits know.
    Exploits,
    /// Statements of VEX.
    Vex,
    /// Not read; the reason is with it.
    Other,
}

impl Kind {
    /// Returns its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Advisories => "advisories",
            Self::Kev => "KEV",
            Self::Epss => "EPSS",
            Self::Points => "SSVC points",
            Self::Exploits => "public exploits",
            Self::Vex => "VEX",
            Self::Other => "not read",
        }
    }
}

/// One file of a feed, as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Its path in the folder.
    pub name: String,
    /// What sort it is.
    pub kind: Kind,
    /// The day it speaks of: what it says itself, else the newest day in it or in its
    /// name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// SHA-256 of the file as it lies there.
    pub digest: String,
    /// Records that were taken in.
    pub records: u64,
    /// Records that could not be read.
    #[serde(default)]
    pub unreadable: u64,
    /// Why it was not read, or not to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Feed {
    /// Returns its age at `today`, in days; `None` where it has no date.
    #[must_use]
    pub fn age_days(&self, today: Date) -> Option<i32> {
        self.date.map(|date| (today - date).get_days())
    }
}

#[cfg(test)]
pub(crate) mod tests;
