//! Days and months of a time zone.

use std::sync::RwLock;

use airside_base::Timestamp;
use jiff::{ToSpan as _, Unit, civil::Date, tz::TimeZone};

const NS_PER_S: i128 = 1_000_000_000;

/// A period of a calendar, in seconds since 1970 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    /// Its first second.
    pub start_s: i64,
    /// The first second after it.
    pub end_s: i64,
}

impl Period {
    /// Returns whether it lies in the past.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        now.as_second() >= self.end_s
    }

    /// Returns whether `now` is in it.
    #[must_use]
    pub fn contains(self, now: Timestamp) -> bool {
        now.as_second() >= self.start_s && !self.is_over(now)
    }

    /// Returns how much of it is left, in nanoseconds.
    #[must_use]
    pub fn left_ns(self, now: Timestamp) -> u64 {
        let left = i128::from(self.end_s) * NS_PER_S - now.as_nanosecond();
        u64::try_from(left).unwrap_or(0)
    }
}

/// Which periods a quota has.
#[derive(Debug)]
pub struct Calendar {
    unit: Unit,
    zone: TimeZone,
    /// The period that was asked for last, which the next call is in as a rule.
    last: RwLock<Option<Period>>,
}

impl Calendar {
    /// Returns the calendar of days in `zone`, from midnight to midnight.
    #[must_use]
    pub fn days(zone: TimeZone) -> Self {
        Self::of(Unit::Day, zone)
    }

    /// Returns the calendar of months in `zone`.
    #[must_use]
    pub fn months(zone: TimeZone) -> Self {
        Self::of(Unit::Month, zone)
    }

    fn of(unit: Unit, zone: TimeZone) -> Self {
        Self {
            unit,
            zone,
            last: RwLock::new(None),
        }
    }

    /// Returns the period that `now` is in.
    #[must_use]
    pub fn period(&self, now: Timestamp) -> Period {
        if let Ok(last) = self.last.read()
            && let Some(period) = *last
            && period.contains(now)
        {
            return period;
        }
        let period = self.compute(now);
        if let Ok(mut last) = self.last.write() {
            *last = Some(period);
        }
        period
    }

    fn compute(&self, now: Timestamp) -> Period {
        let day = now.to_zoned(self.zone.clone()).date();
        let (first, next) = match self.unit {
            Unit::Month => (
                day.first_of_month(),
                day.first_of_month().saturating_add(1.month()),
            ),
            _ => (day, day.saturating_add(1.day())),
        };
        Period {
            start_s: self.begin(first).unwrap_or(i64::MIN),
            end_s: self.begin(next).unwrap_or(i64::MAX),
        }
    }

    /// Midnight, or the first moment of a day that has none.
    fn begin(&self, day: Date) -> Option<i64> {
        let zoned = self.zone.to_zoned(day.at(0, 0, 0, 0)).ok()?;
        let begin = zoned.start_of_day().ok()?;
        Some(begin.timestamp().as_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(calendar: &Calendar, now: &str, expected: [&str; 2]) {
        let now: Timestamp = now.parse().unwrap();
        let period = calendar.period(now);
        let text = |s| Timestamp::from_second(s).unwrap().to_string();
        assert_eq!([text(period.start_s), text(period.end_s)], expected);
        assert!(period.contains(now) && !period.is_over(now));
        // Asked again, it is the remembered one.
        assert_eq!(calendar.period(now), period);
    }

    #[test]
    fn day_begins_at_the_midnight_of_its_zone() {
        let days = Calendar::days(TimeZone::get("Europe/Berlin").unwrap());
        check(
            &days,
            "2026-11-23T22:59:59Z",
            ["2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z"],
        );
        check(
            &days,
            "2026-11-23T23:00:00Z",
            ["2026-11-23T23:00:00Z", "2026-11-24T23:00:00Z"],
        );
        // The day on which clocks go forward has 23 hours.
        check(
            &days,
            "2026-03-29T12:00:00Z",
            ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"],
        );
    }

    #[test]
    fn day_without_midnight_begins_with_its_first_moment() {
        // Clocks go from 24:00 to 01:00 there in spring.
        let days = Calendar::days(TimeZone::get("Africa/Cairo").unwrap());
        check(
            &days,
            "2026-04-24T12:00:00Z",
            ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
        );
    }

    #[test]
    fn month_ends_where_the_next_begins() {
        let months = Calendar::months(TimeZone::get("America/New_York").unwrap());
        check(
            &months,
            "2026-03-01T04:59:59Z",
            ["2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z"],
        );
        check(
            &months,
            "2026-12-31T12:00:00Z",
            ["2026-12-01T05:00:00Z", "2027-01-01T05:00:00Z"],
        );
    }
}
