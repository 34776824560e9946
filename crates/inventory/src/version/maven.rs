//! Versions of Maven (`ComparableVersion` of maven-artifact 3.9).

use std::cmp::Ordering;

use super::digits;

/// Qualifiers in their order; the empty one is the release.
const QUALIFIERS: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];

/// A version.
#[derive(Clone, Debug)]
pub struct Version(Vec<Item>);

#[derive(Clone, Debug)]
enum Item {
    Number(String),
    Word(String),
    /// A word and the number behind it, `rc1` or `rc-1`.
    Both(String, String),
    List(Vec<Item>),
}

impl Version {
    pub(super) fn read(text: &str) -> Self {
        let text = text.to_lowercase();
        Self(Reader::default().read(&text))
    }
}

/// Splits at dots, hyphens and changes between digits and letters. The lists it opens
/// are nested, each the last of the one before; there are no more than bytes.
#[derive(Default)]
struct Reader {
    lists: Vec<Vec<Item>>,
    list: Vec<Item>,
    digit: bool,
    both: bool,
}

impl Reader {
    fn read(mut self, text: &str) -> Vec<Item> {
        let bytes = text.as_bytes();
        let mut start = 0;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'.' => {
                    self.part(&text[start..at]);
                    self.both = false;
                    start = at + 1;
                }
                b'-' => {
                    let next = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                    if at > start && !self.digit && next {
                        self.both = true;
                        continue;
                    }
                    self.part(&text[start..at]);
                    start = at + 1;
                    self.nest();
                    self.both = false;
                }
                b'0'..=b'9' => {
                    if !self.digit && at > start {
                        self.both = true;
                        self.nest();
                    }
                    self.digit = true;
                }
                _ => {
                    if self.digit && at > start {
                        self.part(&text[start..at]);
                        start = at;
                        self.nest();
                        self.both = false;
                    }
                    self.digit = false;
                }
            }
        }
        if text.len() > start {
            if !self.digit {
                self.nest();
            }
            self.part(&text[start..]);
        }
        while let Some(mut outer) = self.lists.pop() {
            normalize(&mut self.list);
            outer.push(Item::List(std::mem::take(&mut self.list)));
            self.list = outer;
        }
        normalize(&mut self.list);
        self.list
    }

    fn nest(&mut self) {
        if !self.list.is_empty() {
            self.lists.push(std::mem::take(&mut self.list));
        }
    }

    fn part(&mut self, text: &str) {
        let item = if text.is_empty() {
            Item::Number("0".to_owned())
        } else if self.both {
            let text = text.replace('-', "");
            let end = text.bytes().position(|b| b.is_ascii_digit());
            let (word, number) = text.split_at(end.unwrap_or(text.len()));
            let word = match word {
                "a" => "alpha",
                "b" => "beta",
                "m" => "milestone",
                other => alias(other),
            };
            Item::Both(word.to_owned(), number.to_owned())
        } else if self.digit {
            Item::Number(text.to_owned())
        } else {
            Item::Word(alias(text).to_owned())
        };
        self.list.push(item);
    }
}

fn alias(word: &str) -> &str {
    match word {
        "cr" => "rc",
        "ga" | "final" | "release" => "",
        other => other,
    }
}

/// Drops zeros and empty words at the end and in front of words.
fn normalize(items: &mut Vec<Item>) {
    for at in (0..items.len()).rev() {
        if !is_null(&items[at]) {
            continue;
        }
        let word = |item: Option<&Item>| matches!(item, Some(Item::Word(_) | Item::Both(..)));
        let drop = match items.get(at + 1) {
            None => true,
            Some(Item::List(inner)) => word(inner.first()),
            next => word(next),
        };
        if drop {
            items.remove(at);
        }
    }
}

fn is_null(item: &Item) -> bool {
    match item {
        Item::Number(number) => number.bytes().all(|b| b == b'0'),
        Item::Word(word) => word.is_empty(),
        Item::Both(..) => false,
        Item::List(items) => items.is_empty(),
    }
}

/// Known qualifiers by their order, unknown ones behind them by their text.
fn qualifier(word: &str) -> (usize, &str) {
    match QUALIFIERS.iter().position(|known| *known == word) {
        Some(place) => (place, ""),
        None => (QUALIFIERS.len(), word),
    }
}

fn words(a: &str, b: &str) -> Ordering {
    qualifier(a).cmp(&qualifier(b))
}

fn compare(a: &Item, b: Option<&Item>) -> Ordering {
    match (a, b) {
        (Item::Number(a), None) => digits(a, "0"),
        (Item::Word(a) | Item::Both(a, _), None) => words(a, ""),
        (Item::List(items), None) => items
            .iter()
            .map(|item| compare(item, None))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal),
        (Item::Number(a), Some(Item::Number(b))) => digits(a, b),
        (Item::Number(_), Some(_)) => Ordering::Greater,
        (_, Some(Item::Number(_))) => Ordering::Less,
        (Item::Word(a), Some(Item::Word(b))) => words(a, b),
        (Item::Word(a), Some(Item::Both(b, _))) => words(a, b).then(Ordering::Less),
        (Item::Both(a, _), Some(Item::Word(b))) => words(a, b).then(Ordering::Greater),
        (Item::Both(a, x), Some(Item::Both(b, y))) => words(a, b).then_with(|| digits(x, y)),
        (Item::Word(_) | Item::Both(..), Some(Item::List(_))) => Ordering::Less,
        (Item::List(_), Some(Item::Word(_) | Item::Both(..))) => Ordering::Greater,
        (Item::List(a), Some(Item::List(b))) => lists(a, b),
    }
}

fn lists(a: &[Item], b: &[Item]) -> Ordering {
    for at in 0..a.len().max(b.len()) {
        let order = match (a.get(at), b.get(at)) {
            (Some(a), b) => compare(a, b),
            (None, Some(b)) => compare(b, None).reverse(),
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        lists(&self.0, &other.0)
    }
}

super::equal_as_ordered!();
