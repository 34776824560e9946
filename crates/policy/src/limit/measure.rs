//! What one key has used, and whether it may use more: pure arithmetic.

use std::num::{NonZeroU32, NonZeroU64};

use super::{Now, Period};

/// Longest time that a full burst may stand for, in nanoseconds (some 13 days). Its
/// products are exact in the double-precision numbers of a server-side script.
pub const MAX_SPAN: u64 = 1 << 50;

const NS_PER_S: u64 = 1_000_000_000;

/// A rate with a burst, decided by the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    interval_ns: NonZeroU64,
    burst: NonZeroU32,
}

/// Why a pace cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaceError {
    /// Units or time are zero, or a unit takes less than a nanosecond.
    #[error("a rate needs at least 1 unit and at most 1,000,000,000 in a second")]
    Rate,
    /// The burst is zero.
    #[error("a burst needs at least 1 unit")]
    Burst,
    /// A full burst takes longer to come back than [`MAX_SPAN`].
    #[error("the burst takes longer than 13 days to come back: use a quota")]
    Span,
}

impl Pace {
    /// Returns the pace of `units` in `per_ns` nanoseconds, `burst` of them at once.
    /// A unit comes back every `per_ns / units` nanoseconds, rounded up.
    ///
    /// # Errors
    ///
    /// When there would be none, or the numbers are too large to be exact.
    pub fn new(units: u64, per_ns: u64, burst: u32) -> Result<Self, PaceError> {
        if units == 0 || per_ns == 0 || units > per_ns {
            return Err(PaceError::Rate);
        }
        let interval_ns = per_ns.div_ceil(units);
        let span = interval_ns.checked_mul(u64::from(burst));
        match (NonZeroU64::new(interval_ns), NonZeroU32::new(burst)) {
            (_, None) => Err(PaceError::Burst),
            (Some(interval_ns), Some(burst)) if span.is_some_and(|span| span <= MAX_SPAN) => {
                Ok(Self { interval_ns, burst })
            }
            _ => Err(PaceError::Span),
        }
    }

    /// Returns how long one unit takes to come back, in nanoseconds.
    #[must_use]
    pub const fn interval_ns(self) -> u64 {
        self.interval_ns.get()
    }

    /// Returns how many units there are at most.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// Returns how long a full burst takes to come back, in nanoseconds.
    #[must_use]
    pub const fn span_ns(self) -> u64 {
        self.interval_ns.get() * self.burst.get() as u64
    }

    /// Returns the share of one of `nodes` nodes that cannot ask each other: the
    /// rate and the burst divided, the burst not below one unit.
    #[must_use]
    pub fn share(self, nodes: NonZeroU32) -> Self {
        let nodes = nodes.get();
        let burst = NonZeroU32::new(self.burst.get() / nodes).unwrap_or(NonZeroU32::MIN);
        let interval = self.interval_ns.get().saturating_mul(u64::from(nodes));
        // Within the span: a burst that is not below one unit makes it longer at most
        // when it was less than `nodes`.
        let interval = interval.min(MAX_SPAN / u64::from(burst.get()));
        Self {
            interval_ns: NonZeroU64::new(interval).unwrap_or(NonZeroU64::MIN),
            burst,
        }
    }
}

/// A budget of searches that bookings earn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// How many looks one booking earns.
    pub ratio: u32,
    /// How many looks there are before any booking.
    pub floor: u32,
    /// How long a budget holds from its first look on, in nanoseconds.
    pub window_ns: u64,
}

/// How a key is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// By rate and burst.
    Pace(Pace),
    /// By a number in a period of the calendar.
    Quota {
        /// How many units the period has.
        limit: u64,
        /// The period that the present is in.
        period: Period,
    },
    /// By searches against bookings.
    Looks(Looks),
}

/// What is left of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Units that are left.
    pub remaining: u64,
    /// Until all units are back, in nanoseconds.
    pub reset_ns: u64,
    /// Until what was asked for can be had, in nanoseconds; zero if it was granted.
    pub retry_ns: u64,
}

/// What a key has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// When the key will have come to rest, on the monotonic clock.
    Pace {
        /// The theoretical arrival time, in nanoseconds.
        tat_ns: u64,
    },
    /// Units in a period.
    Quota {
        /// The period.
        period: Period,
        /// Units that were used in it, by everybody as far as it is known.
        used: u64,
        /// Units of these that are not in the ledger yet.
        unsaved: u64,
    },
    /// Looks and books since the first look.
    Looks {
        /// When the first look was, on the monotonic clock.
        since_ns: u64,
        /// Until when it counts, on the monotonic clock.
        until_ns: u64,
        /// Looks.
        looks: u64,
        /// Bookings.
        books: u64,
    },
}

impl Cell {
    /// Returns a cell that has used nothing.
    #[must_use]
    pub fn new(measure: &Measure, now: Now) -> Self {
        match measure {
            Measure::Pace(_) => Self::Pace {
                tat_ns: now.monotonic_ns,
            },
            Measure::Quota { period, .. } => Self::Quota {
                period: *period,
                used: 0,
                unsaved: 0,
            },
            Measure::Looks(looks) => Self::Looks {
                since_ns: now.monotonic_ns,
                until_ns: now.monotonic_ns.saturating_add(looks.window_ns),
                looks: 0,
                books: 0,
            },
        }
    }

    /// Returns whether the cell says nothing that a new one would not.
    #[must_use]
    pub fn is_at_rest(&self, now: Now) -> bool {
        match self {
            Self::Pace { tat_ns } => *tat_ns <= now.monotonic_ns,
            Self::Quota {
                period, unsaved, ..
            } => *unsaved == 0 && period.is_over(now.wall),
            Self::Looks { until_ns, .. } => *until_ns <= now.monotonic_ns,
        }
    }

    /// Returns the cell as `measure` sees it now: a new one where the old one is of
    /// another kind, period or window.
    #[must_use]
    pub fn at(self, measure: &Measure, now: Now) -> Self {
        match (self, measure) {
            (Self::Pace { .. }, Measure::Pace(_)) => self,
            (
                Self::Quota { period, .. },
                Measure::Quota {
                    period: present, ..
                },
            ) if period == *present => self,
            (Self::Looks { until_ns, .. }, Measure::Looks(_)) if until_ns > now.monotonic_ns => {
                self
            }
            _ => Self::new(measure, now),
        }
    }

    /// Takes `cost` units, or tells when they can be had.
    ///
    /// # Errors
    ///
    /// The level of the cell, which is unchanged.
    pub fn take(self, measure: &Measure, cost: u32, now: Now) -> Result<(Self, Level), Level> {
        let cost = u64::from(cost);
        match (self.at(measure, now), measure) {
            (Self::Pace { tat_ns }, Measure::Pace(pace)) => take_pace(*pace, tat_ns, cost, now)
                .map(|(tat_ns, level)| (Self::Pace { tat_ns }, level)),
            (
                Self::Quota {
                    period,
                    used,
                    unsaved,
                },
                Measure::Quota { limit, .. },
            ) => {
                let reset_ns = period.left_ns(now.wall);
                let left = limit.saturating_sub(used);
                if cost > left || left == 0 && cost > 0 {
                    return Err(Level {
                        remaining: left,
                        reset_ns,
                        retry_ns: reset_ns.max(1),
                    });
                }
                let next = Self::Quota {
                    period,
                    used: used + cost,
                    unsaved: unsaved + cost,
                };
                let level = Level {
                    remaining: left - cost,
                    reset_ns,
                    retry_ns: 0,
                };
                Ok((next, level))
            }
            (
                Self::Looks {
                    since_ns,
                    until_ns,
                    looks,
                    books,
                },
                Measure::Looks(budget),
            ) => {
                let reset_ns = until_ns - now.monotonic_ns.min(until_ns);
                let left = budget.left(looks, books);
                if cost > left {
                    return Err(Level {
                        remaining: left,
                        reset_ns,
                        retry_ns: reset_ns.max(1),
                    });
                }
                let next = Self::Looks {
                    since_ns,
                    until_ns,
                    looks: looks + cost,
                    books,
                };
                let level = Level {
                    remaining: left - cost,
                    reset_ns,
                    retry_ns: 0,
                };
                Ok((next, level))
            }
            _ => unreachable!("`at` returns a cell of the measure's kind"),
        }
    }
}

impl Looks {
    /// Returns how many looks are left after `looks` and `books`.
    #[must_use]
    pub fn left(self, looks: u64, books: u64) -> u64 {
        let earned = u64::from(self.ratio).saturating_mul(books);
        earned
            .saturating_add(u64::from(self.floor))
            .saturating_sub(looks)
    }
}

fn take_pace(pace: Pace, tat_ns: u64, cost: u64, now: Now) -> Result<(u64, Level), Level> {
    let (interval, span) = (pace.interval_ns(), pace.span_ns());
    let ahead = tat_ns.saturating_sub(now.monotonic_ns);
    let room = span.saturating_sub(ahead);
    let needed = interval.saturating_mul(cost);
    if needed > room {
        return Err(Level {
            remaining: room / interval,
            reset_ns: ahead,
            retry_ns: needed - room,
        });
    }
    let ahead = ahead + needed;
    let level = Level {
        remaining: (span - ahead.min(span)) / interval,
        reset_ns: ahead,
        retry_ns: 0,
    };
    Ok((now.monotonic_ns.saturating_add(ahead), level))
}

impl Level {
    /// Returns until when to wait, in whole seconds and at least one (RFC 9110,
    /// section 10.2.3).
    #[must_use]
    pub const fn retry_s(&self) -> u64 {
        let seconds = self.retry_ns.div_ceil(NS_PER_S);
        if seconds == 0 { 1 } else { seconds }
    }

    /// Returns until when all units are back, in whole seconds.
    #[must_use]
    pub const fn reset_s(&self) -> u64 {
        self.reset_ns.div_ceil(NS_PER_S)
    }
}

#[cfg(test)]
mod tests;
