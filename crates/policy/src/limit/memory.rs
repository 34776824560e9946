//! A counter in the memory of one process.

use airside_base::BoxFuture;

use super::{
    Ask, Cell, Counter, Decision, Key, Looks, Measure, Now, Period, Taking,
    table::{Id, Table},
};

/// Counts in this process.
#[derive(Debug)]
pub struct Memory {
    cells: Table<Cell>,
}

/// A key and what it has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the rule.
    pub rule: String,
    /// Text of the key.
    pub key: String,
    /// What it has used.
    pub cell: Cell,
}

impl Memory {
    /// Returns a counter of about `max_keys` keys.
    #[must_use]
    pub fn new(max_keys: usize) -> Self {
        Self {
            cells: Table::new(max_keys),
        }
    }

    /// Takes all of `asks` or none.
    #[must_use]
    pub fn decide(&self, asks: &[Ask<'_>], now: Now) -> Decision {
        let ids = || asks.iter().map(|ask| self.cells.id(ask.key));
        let mut cells = self.cells.lock(ids());
        let at_rest = |cell: &Cell| cell.is_at_rest(now);
        let mut next: Vec<(Id, Cell)> = Vec::with_capacity(asks.len());
        let mut levels = Vec::with_capacity(asks.len());
        for (at, (ask, id)) in asks.iter().zip(ids()).enumerate() {
            let id = cells.place(id, ask.key, at_rest);
            // The same key may be asked for twice.
            let earlier = next.iter().rev().find(|(known, _)| *known == id);
            let cell = match earlier {
                Some((_, cell)) => *cell,
                None => match cells.find(id) {
                    Some(cell) => *cell,
                    None => Cell::new(&ask.measure, now),
                },
            };
            match cell.take(&ask.measure, ask.cost, now) {
                Ok((cell, level)) => {
                    next.push((id, cell));
                    levels.push(level);
                }
                Err(level) => return Decision::Refused { at, level },
            }
        }
        for ((id, cell), ask) in next.into_iter().zip(asks) {
            cells.put(id, ask.key, cell);
        }
        Decision::Admitted(levels)
    }

    /// Counts `cost` units of a quota that somebody else has granted.
    pub fn note(&self, ask: &Ask<'_>, now: Now) {
        let id = self.cells.id(ask.key);
        let mut cells = self.cells.lock(std::iter::once(id));
        let id = cells.place(id, ask.key, |cell| cell.is_at_rest(now));
        let known = cells.find(id).copied();
        let cell = known.unwrap_or_else(|| Cell::new(&ask.measure, now));
        if let Cell::Quota {
            period,
            used,
            unsaved,
        } = cell.at(&ask.measure, now)
        {
            let cost = u64::from(ask.cost);
            let cell = Cell::Quota {
                period,
                used: used + cost,
                unsaved: unsaved + cost,
            };
            cells.put(id, ask.key, cell);
        }
    }

    /// Returns all keys.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.select(|_| true)
    }

    /// Returns the keys of quotas with units that are not in the ledger yet.
    #[must_use]
    pub fn unsaved(&self) -> Vec<Entry> {
        self.select(|cell| matches!(cell, Cell::Quota { unsaved, .. } if *unsaved > 0))
    }

    /// Returns the keys of quotas whose period is over and that are saved.
    #[must_use]
    pub fn over(&self, now: Now) -> Vec<Entry> {
        self.select(|cell| matches!(cell, Cell::Quota { .. }) && cell.is_at_rest(now))
    }

    fn select(&self, wanted: impl Fn(&Cell) -> bool) -> Vec<Entry> {
        let mut found = Vec::new();
        self.cells.each(|key, cell| {
            if wanted(cell) {
                found.push(Entry {
                    rule: key.rule.to_owned(),
                    key: key.text.to_owned(),
                    cell: *cell,
                });
            }
        });
        found
    }

    /// Takes over what the ledger says of a quota: `total` units were used in `period`
    /// by everybody, and `saved` of the unsaved ones are among them.
    pub fn settle(&self, key: Key<'_>, (period, total, saved): (Period, u64, u64), now: Now) {
        let id = self.cells.id(key);
        let mut cells = self.cells.lock(std::iter::once(id));
        let id = cells.place(id, key, |cell| cell.is_at_rest(now));
        let left = match cells.find(id) {
            Some(Cell::Quota {
                period: known,
                unsaved,
                ..
            }) if *known == period => unsaved.saturating_sub(saved),
            Some(_) => return,
            None => 0,
        };
        let cell = Cell::Quota {
            period,
            used: total.saturating_add(left),
            unsaved: left,
        };
        cells.put(id, key, cell);
    }

    /// Forgets the keys that came to rest. Without it, they are forgotten only where
    /// room is needed.
    pub fn sweep(&self, now: Now) {
        self.cells.sweep(|cell| cell.is_at_rest(now));
    }

    /// Returns how many keys are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Returns whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Credits `books` bookings to `key`.
    pub fn credit(&self, key: Key<'_>, looks: Looks, books: u32, now: Now) {
        let measure = Measure::Looks(looks);
        let id = self.cells.id(key);
        let mut cells = self.cells.lock(std::iter::once(id));
        let id = cells.place(id, key, |cell| cell.is_at_rest(now));
        let known = cells.find(id).copied();
        let cell = known.unwrap_or_else(|| Cell::new(&measure, now));
        if let Cell::Looks {
            since_ns,
            until_ns,
            looks,
            books: before,
        } = cell.at(&measure, now)
        {
            let cell = Cell::Looks {
                since_ns,
                until_ns,
                looks,
                books: before + u64::from(books),
            };
            cells.put(id, key, cell);
        }
    }

    /// Returns whether anything is known of `key`.
    #[must_use]
    pub fn knows(&self, key: Key<'_>) -> bool {
        let id = self.cells.id(key);
        let mut cells = self.cells.lock(std::iter::once(id));
        cells.find(id).is_some()
    }

    /// Forgets what was taken from `key`. Units of a quota that are in the ledger are
    /// for its keeper to take back.
    pub fn forget(&self, key: Key<'_>) -> Option<Cell> {
        let id = self.cells.id(key);
        let mut cells = self.cells.lock(std::iter::once(id));
        cells.remove(id).map(|(_, cell)| cell)
    }
}

impl Counter for Memory {
    fn take<'a>(&'a self, asks: &'a [Ask<'a>], now: Now) -> Taking<'a> {
        Taking::Ready(self.decide(asks, now))
    }

    fn earn<'a>(&'a self, key: Key<'a>, looks: Looks, books: u32, now: Now) -> BoxFuture<'a, ()> {
        self.credit(key, looks, books, now);
        Box::pin(std::future::ready(()))
    }

    fn reset<'a>(&'a self, key: Key<'a>, _: Measure) -> BoxFuture<'a, bool> {
        let known = self.forget(key).is_some();
        Box::pin(std::future::ready(known))
    }
}

#[cfg(test)]
mod tests;
