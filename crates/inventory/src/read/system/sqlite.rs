//! The one thing of SQLite that is needed of a stranger's file: the rows of a table.
//!
//! The library that the ledger uses is not let near it: this is 200 lines without a
//! pointer, and it reads a database whose journal mode needs files beside it.
//!
//! # Invariants
//!
//! * No page is visited twice, so that circles end and work is bounded by the file.

use super::super::Unread;

/// Deepest tree: 20 levels of the smallest fan-out are more pages than a file can have.
const MAX_DEPTH: usize = 20;
/// First bytes of a database (file format, section 1.3).
const MAGIC: &[u8] = b"SQLite format 3\0";

pub(super) struct Database<'a> {
    bytes: &'a [u8],
    page_bytes: usize,
    /// What of a page holds content.
    usable: usize,
    visited: Vec<bool>,
}

/// A value of a row.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    /// Null, a number with a fraction.
    Other,
}

fn broken(what: &str) -> Unread {
    Unread(format!("the database is damaged: {what}"))
}

impl<'a> Database<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Unread> {
        if !bytes.starts_with(MAGIC) || bytes.len() < 100 {
            return Err(Unread("it is no database of SQLite".to_owned()));
        }
        let page_bytes = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            1 => 65_536,
            other => usize::from(other),
        };
        if !page_bytes.is_power_of_two() || page_bytes < 512 {
            return Err(broken("its pages have an odd size"));
        }
        let usable = page_bytes - usize::from(bytes[20]);
        if usable < 480 {
            return Err(broken("its pages hold nothing"));
        }
        let pages = bytes.len() / page_bytes;
        Ok(Self {
            bytes,
            page_bytes,
            usable,
            visited: vec![false; pages + 1],
        })
    }

    /// Calls `take` with every row of `table`.
    pub(super) fn rows(
        mut self,
        table: &str,
        mut take: impl FnMut(&[Value<'_>]),
    ) -> Result<(), Unread> {
        let mut root = None;
        self.walk(1, 0, &mut |row| {
            if let [
                Value::Bytes(b"table"),
                Value::Bytes(name),
                _,
                Value::Integer(page),
                ..,
            ] = row
                && *name == table.as_bytes()
            {
                root = usize::try_from(*page).ok();
            }
        })?;
        let root = root.ok_or_else(|| Unread(format!("it has no table `{table}`")))?;
        self.walk(root, 0, &mut take)
    }

    /// Returns a page that was not visited before.
    fn page(&mut self, number: usize) -> Result<&'a [u8], Unread> {
        match self.visited.get_mut(number) {
            Some(seen) if number > 0 && !*seen => *seen = true,
            _ => return Err(broken("a page is missing or used twice")),
        }
        let start = (number - 1) * self.page_bytes;
        let page = self.bytes.get(start..start + self.page_bytes);
        page.ok_or_else(|| broken("a page is missing"))
    }

    fn walk(
        &mut self,
        number: usize,
        depth: usize,
        take: &mut dyn FnMut(&[Value<'_>]),
    ) -> Result<(), Unread> {
        if depth > MAX_DEPTH {
            return Err(broken("it is too deep"));
        }
        let page = self.page(number)?;
        // The first page starts with the header of the file.
        let head = if number == 1 { 100 } else { 0 };
        let cells = usize::from(short(page, head + 3)?);
        let (inner, first) = match page.get(head) {
            Some(0x05) => (true, head + 12),
            Some(0x0d) => (false, head + 8),
            _ => return Err(broken("a page is not of a table")),
        };
        for cell in 0..cells {
            let at = usize::from(short(page, first + 2 * cell)?);
            if inner {
                self.walk(long(page, at)?, depth + 1, take)?;
            } else {
                let (size, at) = varint(page, at)?;
                let (_, at) = varint(page, at)?;
                let size = usize::try_from(size).map_err(|_| broken("a row is too long"))?;
                let content = self.content(page, at, size)?;
                row(&content, take)?;
            }
        }
        if inner {
            self.walk(long(page, head + 8)?, depth + 1, take)?;
        }
        Ok(())
    }

    /// Returns the content of a row: on its page, and what did not fit there on others
    /// (file format, section 1.6).
    fn content(
        &mut self,
        page: &'a [u8],
        at: usize,
        size: usize,
    ) -> Result<std::borrow::Cow<'a, [u8]>, Unread> {
        let here = self.on_page(size);
        let end = at.checked_add(here).filter(|end| *end <= self.usable);
        let end = end.ok_or_else(|| broken("a row leaves its page"))?;
        let start = page.get(at..end).ok_or_else(|| broken("a row is cut"))?;
        if here == size {
            return Ok(start.into());
        }
        if size > self.bytes.len() {
            return Err(broken("a row is longer than the file"));
        }
        let mut content = start.to_vec();
        let mut next = long(page, end)?;
        while content.len() < size {
            let page = self.page(next)?;
            next = long(page, 0)?;
            let part = (self.usable - 4).min(size - content.len());
            let part = page.get(4..4 + part);
            content.extend(part.ok_or_else(|| broken("a row is cut"))?);
        }
        Ok(content.into())
    }

    /// Returns how many bytes of a row of `size` lie on its own page.
    fn on_page(&self, size: usize) -> usize {
        let most = self.usable - 35;
        if size <= most {
            return size;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let here = least + (size - least) % (self.usable - 4);
        if here <= most { here } else { least }
    }
}

/// Reads a row: a head of types, and the values (file format, section 2.1).
fn row(content: &[u8], take: &mut dyn FnMut(&[Value<'_>])) -> Result<(), Unread> {
    let (head, mut at) = varint(content, 0)?;
    let head = usize::try_from(head).map_err(|_| broken("a row has no head"))?;
    let mut body = head;
    let mut values = Vec::new();
    while at < head && values.len() < 64 {
        let (kind, next) = varint(content, at)?;
        at = next;
        let bytes = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err(broken("a value is of no type")),
            text if text % 2 == 1 => (text - 13) / 2,
            blob => (blob - 12) / 2,
        };
        let bytes = usize::try_from(bytes).map_err(|_| broken("a value is too long"))?;
        let end = body.checked_add(bytes);
        let value = end.and_then(|end| content.get(body..end));
        let value = value.ok_or_else(|| broken("a value is cut"))?;
        body += bytes;
        values.push(match kind {
            1..=6 => {
                let negative = value.first().is_some_and(|b| *b >= 0x80);
                let start = if negative { -1 } else { 0 };
                let fold = |number: i64, byte: &u8| (number << 8) | i64::from(*byte);
                Value::Integer(value.iter().fold(start, fold))
            }
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            0 | 7 => Value::Other,
            _ => Value::Bytes(value),
        });
    }
    take(&values);
    Ok(())
}

fn short(bytes: &[u8], at: usize) -> Result<u16, Unread> {
    let value = bytes.get(at..at + 2).and_then(|b| b.try_into().ok());
    value
        .map(u16::from_be_bytes)
        .ok_or_else(|| broken("a page is cut"))
}

fn long(bytes: &[u8], at: usize) -> Result<usize, Unread> {
    let value = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    let value = value.map(u32::from_be_bytes);
    value
        .and_then(|value| usize::try_from(value).ok())
        .ok_or_else(|| broken("a page is cut"))
}

/// Reads a number of one to nine bytes (file format, section 1.6). Returns it and where
/// it ends.
fn varint(bytes: &[u8], at: usize) -> Result<(u64, usize), Unread> {
    let mut value = 0;
    for (count, byte) in bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .take(9)
        .enumerate()
    {
        if count == 8 {
            return Ok(((value << 8) | u64::from(*byte), at + 9));
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        if *byte < 0x80 {
            return Ok((value, at + count + 1));
        }
    }
    Err(broken("a number is cut"))
}
