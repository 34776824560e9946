//! Versions of Debian and Ubuntu (deb-version, section 7).

use std::cmp::Ordering;

use super::{Unreadable, digits, split_while};

/// Epoch, upstream version, revision.
#[derive(Clone, Debug)]
pub struct Version {
    epoch: String,
    upstream: String,
    revision: String,
}

impl Version {
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        if epoch.is_empty() || !epoch.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Unreadable);
        }
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let fits = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".+-~:_".contains(&b))
        };
        if upstream.is_empty() || !fits(upstream) || !fits(revision) {
            return Err(Unreadable);
        }
        Ok(Self {
            epoch: epoch.to_owned(),
            upstream: upstream.to_owned(),
            revision: revision.to_owned(),
        })
    }
}

/// `~` sorts before the end, letters before the rest.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(*b),
        Some(b) => i32::from(*b) + 256,
    }
}

/// Alternates between text and numbers.
pub(super) fn part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = split_while(a, |c| !c.is_ascii_digit());
        let (text_b, rest_b) = split_while(b, |c| !c.is_ascii_digit());
        let (text_a, text_b) = (text_a.as_bytes(), text_b.as_bytes());
        for at in 0..text_a.len().max(text_b.len()) {
            let order = weight(text_a.get(at)).cmp(&weight(text_b.get(at)));
            if order.is_ne() {
                return order;
            }
        }
        let (number_a, rest_a) = split_while(rest_a, |c| c.is_ascii_digit());
        let (number_b, rest_b) = split_while(rest_b, |c| c.is_ascii_digit());
        let order = digits(number_a, number_b);
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        digits(&self.epoch, &other.epoch)
            .then_with(|| part(&self.upstream, &other.upstream))
            .then_with(|| part(&self.revision, &other.revision))
    }
}

super::equal_as_ordered!();
