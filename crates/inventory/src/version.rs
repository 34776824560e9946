//! Order of versions, one rule per ecosystem.
//!
//! # Invariants
//!
//! * Versions of one [`Scheme`] are totally ordered. What its rule cannot read is
//!   [`Unreadable`], never smaller or greater than something.
//! * No number of a version is turned into a machine integer: `1.99999999999999999999`
//!   is a version like any other.

/// Makes versions equal whose order is equal: `1.0` and `1` may be written in two ways.
macro_rules! equal_as_ordered {
    () => {
        impl PartialOrd for Version {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for Version {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for Version {}
    };
}
use equal_as_ordered;

mod dpkg;
mod maven;
mod rpm;
mod semver;

mod apk;

use std::cmp::Ordering;

use crate::component::Ecosystem;

/// Longest version that is compared, in bytes.
const MAX_BYTES: usize = 512;

/// The rule that versions of an ecosystem follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Semantic Versioning 2.0.0, with a leading `v` and missing or further parts allowed.
    Semver,
    /// PEP 440.
    Pep440,
    /// Maven's ComparableVersion.
    Maven,
    /// deb-version(7).
    Dpkg,
    /// apk-tools.
    Apk,
    /// rpmvercmp, with epoch.
    Rpm,
}

/// A version that the rule of its ecosystem cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// A version, read.
#[derive(Clone, Debug)]
pub enum Version {
    /// See [`Scheme::Semver`].
    Semver(semver::Version),
    /// See [`Scheme::Pep440`].
    Pep440(Box<pep440_rs::Version>),
    /// See [`Scheme::Maven`].
    Maven(maven::Version),
    /// See [`Scheme::Dpkg`].
    Dpkg(dpkg::Version),
    /// See [`Scheme::Apk`].
    Apk(apk::Version),
    /// See [`Scheme::Rpm`].
    Rpm(rpm::Version),
}

impl Scheme {
    /// Returns the rule of an ecosystem, `None` where we have none.
    #[must_use]
    pub fn of(ecosystem: &Ecosystem) -> Option<Self> {
        Some(match ecosystem {
            Ecosystem::Cargo | Ecosystem::Npm | Ecosystem::Go => Self::Semver,
            Ecosystem::PyPi => Self::Pep440,
            Ecosystem::Maven => Self::Maven,
            Ecosystem::Linux { distribution, .. } => match distribution.as_str() {
                "Debian" | "Ubuntu" => Self::Dpkg,
                "Alpine" | "Wolfi" | "Chainguard" => Self::Apk,
                _ => Self::Rpm,
            },
            Ecosystem::RubyGems
            | Ecosystem::NuGet
            | Ecosystem::Packagist
            | Ecosystem::Oci
            | Ecosystem::Other(_) => return None,
        })
    }

    /// Reads a version.
    ///
    /// # Errors
    ///
    /// When the rule does not cover it.
    pub fn read(self, text: &str) -> Result<Version, Unreadable> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(Unreadable);
        }
        Ok(match self {
            Self::Semver => Version::Semver(semver::Version::read(text)?),
            Self::Pep440 => {
                let version = text.parse().map_err(|_| Unreadable)?;
                Version::Pep440(Box::new(version))
            }
            Self::Maven => Version::Maven(maven::Version::read(text)),
            Self::Dpkg => Version::Dpkg(dpkg::Version::read(text)?),
            Self::Apk => Version::Apk(apk::Version::read(text)?),
            Self::Rpm => Version::Rpm(rpm::Version::read(text)?),
        })
    }
}

impl Version {
    /// Compares two versions of one scheme.
    ///
    /// # Errors
    ///
    /// When they are of two schemes.
    pub fn compare(&self, other: &Self) -> Result<Ordering, Unreadable> {
        Ok(match (self, other) {
            (Self::Semver(a), Self::Semver(b)) => a.cmp(b),
            (Self::Pep440(a), Self::Pep440(b)) => a.cmp(b),
            (Self::Maven(a), Self::Maven(b)) => a.cmp(b),
            (Self::Dpkg(a), Self::Dpkg(b)) => a.cmp(b),
            (Self::Apk(a), Self::Apk(b)) => a.cmp(b),
            (Self::Rpm(a), Self::Rpm(b)) => a.cmp(b),
            _ => return Err(Unreadable),
        })
    }
}

/// Compares two runs of decimal digits by value.
fn digits(a: &str, b: &str) -> Ordering {
    let a = a.trim_start_matches('0');
    let b = b.trim_start_matches('0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Splits off the longest start of `text` whose bytes all satisfy `is`.
fn split_while(text: &str, is: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|b| !is(b)).unwrap_or(text.len());
    // Never inside a character: every `is` here is true for ASCII only, or for all
    // bytes of a character.
    if text.is_char_boundary(end) {
        text.split_at(end)
    } else {
        text.split_at(0)
    }
}

#[cfg(test)]
mod tests;
