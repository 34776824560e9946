//! Versions of RPM packages (`rpmvercmp` of rpm 4.18, with epoch and release).

use std::cmp::Ordering;

use super::{Unreadable, digits, split_while};

/// Epoch, version, release.
#[derive(Clone, Debug)]
pub struct Version {
    epoch: String,
    version: String,
    release: Option<String>,
}

impl Version {
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        if epoch.is_empty() || !epoch.bytes().all(|b| b.is_ascii_digit()) || !rest.is_ascii() {
            return Err(Unreadable);
        }
        let (version, release) = match rest.split_once('-') {
            Some((version, release)) => (version, Some(release)),
            None => (rest, None),
        };
        if version.is_empty() {
            return Err(Unreadable);
        }
        Ok(Self {
            epoch: epoch.to_owned(),
            version: version.to_owned(),
            release: release.map(str::to_owned),
        })
    }
}

fn segments(mut a: &str, mut b: &str) -> Ordering {
    let counts = |c: u8| c.is_ascii_alphanumeric() || c == b'~' || c == b'^';
    loop {
        a = split_while(a, |c| !counts(c)).1;
        b = split_while(b, |c| !counts(c)).1;
        // A tilde is before everything, the end included.
        match (a.strip_prefix('~'), b.strip_prefix('~')) {
            (Some(rest_a), Some(rest_b)) => {
                (a, b) = (rest_a, rest_b);
                continue;
            }
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => {}
        }
        // A caret is after the end and before everything else.
        match (a.strip_prefix('^'), b.strip_prefix('^')) {
            (Some(rest_a), Some(rest_b)) => {
                (a, b) = (rest_a, rest_b);
                continue;
            }
            (Some(_), None) if b.is_empty() => return Ordering::Greater,
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) if a.is_empty() => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => {}
        }
        if a.is_empty() || b.is_empty() {
            return a.len().min(1).cmp(&b.len().min(1));
        }
        let numeric = a.as_bytes()[0].is_ascii_digit();
        let same = |c: u8| {
            if numeric {
                c.is_ascii_digit()
            } else {
                c.is_ascii_alphabetic()
            }
        };
        let (part_a, rest_a) = split_while(a, same);
        let (part_b, rest_b) = split_while(b, same);
        if part_b.is_empty() {
            // A number is newer than a word.
            return if numeric {
                Ordering::Greater
            } else {
                Ordering::Less
            };
        }
        let order = if numeric {
            digits(part_a, part_b)
        } else {
            part_a.cmp(part_b)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        digits(&self.epoch, &other.epoch)
            .then_with(|| segments(&self.version, &other.version))
            .then_with(|| {
                segments(
                    self.release.as_deref().unwrap_or_default(),
                    other.release.as_deref().unwrap_or_default(),
                )
            })
    }
}

super::equal_as_ordered!();
