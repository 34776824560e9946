//! Who is how far, for operators.

use airside_policy::limit::{Cell, Kind, Measure};

use crate::{
    plan::{Compiled, Plan},
    quotas::tenant_of,
};

/// How far one key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Name of the limit.
    pub limit: String,
    /// `rate`, `concurrent`, `quota` or `look-to-book`.
    pub kind: &'static str,
    /// The key; empty where all calls share one budget.
    pub key: String,
    /// Units that are used.
    pub used: u64,
    /// Units there are at most; more where bookings have earned some.
    pub most: u64,
    /// Until all are back, in seconds.
    pub reset_s: u64,
}

impl Plan {
    /// Returns how far the keys are that are nearest to their limits, at most `most`
    /// of them.
    #[must_use]
    pub fn usage(&self, most: usize) -> Vec<Usage> {
        let now = self.limits.now();
        let find = |name: &str| self.rules().find(|rule| &*rule.rule.name == name);
        let mut list = Vec::new();
        for entry in self.limits.entries() {
            let Some(rule) = find(&entry.rule) else {
                continue;
            };
            let tenant = tenant_of(&entry.key);
            let Some(measure) = rule.rule.measure(&tenant, now) else {
                continue;
            };
            let cell = entry.cell.at(&measure, now);
            let level = match cell.take(&measure, 0, now) {
                Ok((_, level)) | Err(level) => level,
            };
            let all = match (cell, &measure) {
                (Cell::Looks { books, .. }, Measure::Looks(looks)) => looks.left(0, books),
                _ => rule.rule.most(),
            };
            list.push(Usage {
                used: all.saturating_sub(level.remaining),
                most: all,
                reset_s: level.reset_s(),
                ..Usage::of(rule, entry.key)
            });
        }
        for (name, key, level) in self.limits.levels() {
            if let Some(rule) = find(&name) {
                let most = rule.rule.most();
                let remaining = match rule.rule.kind {
                    Kind::Pace(pace) => {
                        most.saturating_sub(level.reset_ns.div_ceil(pace.interval_ns()))
                    }
                    _ => level.remaining,
                };
                list.push(Usage {
                    used: most.saturating_sub(remaining),
                    most,
                    reset_s: level.reset_s(),
                    ..Usage::of(rule, key)
                });
            }
        }
        for (name, key, held) in self.limits.held() {
            if let Some(rule) = find(&name) {
                list.push(Usage {
                    used: u64::from(held),
                    most: rule.rule.most(),
                    ..Usage::of(rule, key)
                });
            }
        }
        let part =
            |usage: &Usage| u128::from(usage.used) * 1_000_000 / u128::from(usage.most.max(1));
        list.retain(|usage| usage.used > 0);
        list.sort_by(|one, other| {
            let by_part = part(other).cmp(&part(one));
            by_part.then_with(|| (&one.limit, &one.key).cmp(&(&other.limit, &other.key)))
        });
        list.truncate(most);
        list
    }
}

impl Usage {
    fn of(rule: &Compiled, key: String) -> Self {
        let kind = match rule.rule.kind {
            Kind::Pace(_) => "rate",
            Kind::Concurrent(_) => "concurrent",
            Kind::Quota { .. } => "quota",
            Kind::LookToBook { .. } => "look-to-book",
        };
        Self {
            limit: rule.rule.name.to_string(),
            kind,
            key,
            used: 0,
            most: 0,
            reset_s: 0,
        }
    }
}
