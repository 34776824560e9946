//! The members of one object that are acted upon, each at most once.

use crate::{
    envelope::Reason,
    json::{Fault, Key, Kind, Scanner, Span, Value},
};

/// A member that is acted upon.
pub(crate) struct Member {
    key: &'static str,
    /// How it is called in errors.
    path: &'static str,
}

impl Member {
    pub(crate) const fn path(&self) -> &'static str {
        self.path
    }
}

pub(crate) const fn member(key: &'static str, path: &'static str) -> Member {
    Member { key, path }
}

/// One slot per member of `table`, filled while the object is scanned.
pub(crate) struct Members<const N: usize> {
    table: &'static [Member; N],
    values: [Option<Value>; N],
    /// The first duplicate.
    pub(crate) refused: Option<Reason>,
    /// The first member that differs only in case from one of the table.
    pub(crate) look_alike: Option<&'static str>,
}

impl<const N: usize> Members<N> {
    pub(crate) fn new(table: &'static [Member; N]) -> Self {
        Self {
            table,
            values: [None; N],
            refused: None,
            look_alike: None,
        }
    }

    /// Returns the slot of `key`.
    pub(crate) fn find(&mut self, key: Key<'_>) -> Option<usize> {
        let text = key.text();
        let slot = self.table.iter().position(|member| member.key == text);
        if slot.is_none() && self.look_alike.is_none() {
            let like = |member: &&Member| looks_like(&text, member.key);
            self.look_alike = self.table.iter().find(like).map(|member| member.path);
        }
        slot
    }

    /// Fills `slot`; a second value is refused.
    pub(crate) fn put(&mut self, slot: usize, value: Value) {
        if self.values[slot].replace(value).is_some() {
            let member = self.table[slot].path;
            self.refused.get_or_insert(Reason::Duplicate { member });
        }
    }

    /// Reads a value into the slot of `key`, or over it.
    pub(crate) fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: Key<'_>,
        depth: u32,
    ) -> Result<(), Fault> {
        let slot = self.find(key);
        let value = scanner.value(depth)?;
        if let Some(slot) = slot {
            self.put(slot, value);
        }
        Ok(())
    }

    /// Returns the value of `slot`; `null` counts as absent.
    pub(crate) fn value(&self, slot: usize) -> Option<Value> {
        self.values[slot].filter(|value| value.kind != Kind::Null)
    }

    /// Returns the value of `slot`, `null` included.
    pub(crate) fn value_or_null(&self, slot: usize) -> Option<Value> {
        self.values[slot]
    }

    /// Returns where the value of `slot` stands.
    pub(crate) fn span(&self, slot: usize) -> Option<Span> {
        self.value(slot).map(|value| value.span)
    }

    /// Returns where the value of `slot` stands if it is of the right kind.
    pub(crate) fn typed(
        &self,
        slot: usize,
        expected: &'static str,
        fits: impl Fn(Kind) -> bool,
    ) -> Result<Option<Value>, Reason> {
        match self.value(slot) {
            Some(value) if !fits(value.kind) => Err(Reason::Type {
                member: self.table[slot].path,
                expected,
            }),
            value => Ok(value),
        }
    }
}

/// Returns whether a parser that folds case takes `key` for `name`. Go's does, and
/// it folds the long s and the Kelvin sign, too.
fn looks_like(key: &str, name: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars().map(fold))
}

pub(crate) fn is_string(kind: Kind) -> bool {
    matches!(kind, Kind::String { .. })
}

pub(crate) fn is_object(kind: Kind) -> bool {
    kind == Kind::Object
}
