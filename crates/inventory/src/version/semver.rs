//! Semantic Versioning, as Cargo, npm and Go use it and as people misspell it.

use std::cmp::Ordering;

use super::{Unreadable, digits, split_while};

/// Numbers, then identifiers of the pre-release. Build metadata does not count
/// (Semantic Versioning 2.0.0, section 10).
#[derive(Clone, Debug)]
pub struct Version {
    numbers: Vec<String>,
    pre: Vec<String>,
}

impl Version {
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        let text = text.trim_start_matches(['=', ' ']);
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        // Go's standard library calls itself `go1.22.3`.
        let text = text.strip_prefix("go").unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(head, _)| head);
        let (core, pre) = match text.split_once('-') {
            Some((core, pre)) => (core, Some(pre)),
            None => match text.find(|c: char| !c.is_ascii_digit() && c != '.') {
                // `1.22rc1` and `1.0.0beta2`.
                Some(at) if at > 0 => (text[..at].trim_end_matches('.'), Some(&text[at..])),
                _ => (text, None),
            },
        };
        let mut numbers = Vec::with_capacity(3);
        for part in core.split('.') {
            let (number, rest) = split_while(part, |b| b.is_ascii_digit());
            if number.is_empty() || !rest.is_empty() {
                return Err(Unreadable);
            }
            numbers.push(number.to_owned());
        }
        let pre = match pre {
            Some(pre) if pre.split('.').any(str::is_empty) => return Err(Unreadable),
            Some(pre) => pre.split('.').map(str::to_owned).collect(),
            None => Vec::new(),
        };
        Ok(Self { numbers, pre })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        for at in 0..self.numbers.len().max(other.numbers.len()) {
            let part = |v: &Self| v.numbers.get(at).cloned().unwrap_or_default();
            let order = digits(&part(self), &part(other));
            if order.is_ne() {
                return order;
            }
        }
        // A version with a pre-release is before the one without.
        match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        for (a, b) in self.pre.iter().zip(&other.pre) {
            let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            let order = match (number(a), number(b)) {
                (true, true) => digits(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            };
            if order.is_ne() {
                return order;
            }
        }
        self.pre.len().cmp(&other.pre.len())
    }
}

super::equal_as_ordered!();
