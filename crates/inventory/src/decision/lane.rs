//! The lane of a change: at once, in a maintenance window, or with the next upgrade.

use std::cmp::{Ordering, Reverse};

use airside_base::Timestamp;
use jiff::{Span, ToSpan as _, civil::Weekday, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Decision, Priority};

/// A deadline within this many days is an emergency.
const EMERGENCY_DAYS: i64 = 3;

/// A maintenance window that comes back every week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Window {
    /// Its day.
    pub day: Day,
    /// Hour of its start in UTC.
    #[schemars(range(max = 23))]
    pub hour: u8,
    /// Its length in hours.
    #[schemars(range(min = 1, max = 24))]
    pub hours: u8,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    fn weekday(self) -> Weekday {
        match self {
            Self::Monday => Weekday::Monday,
            Self::Tuesday => Weekday::Tuesday,
            Self::Wednesday => Weekday::Wednesday,
            Self::Thursday => Weekday::Thursday,
            Self::Friday => Weekday::Friday,
            Self::Saturday => Weekday::Saturday,
            Self::Sunday => Weekday::Sunday,
        }
    }
}

/// How changes are made here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The maintenance windows.
    pub windows: Vec<Window>,
    /// Hours that a change runs outside production first.
    pub soak_hours: u16,
}

/// When the change is made. The more urgent is greater: of two windows the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "lane")]
pub enum Lane {
    /// With the next upgrade.
    NextUpgrade,
    /// In this maintenance window.
    Window {
        /// Its start.
        start: Timestamp,
        /// Its end.
        end: Timestamp,
    },
    /// Outside any window, since none leaves time to soak; has to be proposed.
    OutOfCycle,
    /// At once.
    Emergency,
}

impl Ord for Lane {
    fn cmp(&self, other: &Self) -> Ordering {
        let never = Reverse((Timestamp::MAX, Timestamp::MAX));
        let key = |lane: &Self| match *lane {
            Self::NextUpgrade => (0, never),
            Self::Window { start, end } => (1, Reverse((start, end))),
            Self::OutOfCycle => (2, never),
            Self::Emergency => (3, never),
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Lane {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Lane {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NextUpgrade => "next-upgrade",
            Self::Window { .. } => "window",
            Self::OutOfCycle => "out-of-cycle",
            Self::Emergency => "emergency",
        }
    }
}

/// Chooses the lane of a change that has to be done by `due`.
#[must_use]
pub fn choose(decision: &Decision, due: Option<Timestamp>, now: Timestamp, plan: &Plan) -> Lane {
    if decision.priority >= Priority::OutOfCycle {
        return Lane::Emergency;
    }
    let Some(due) = due else {
        return Lane::NextUpgrade;
    };
    let today = now.to_zoned(TimeZone::UTC).date();
    let last = due.to_zoned(TimeZone::UTC).date();
    if i64::from((last - today).get_days()) <= EMERGENCY_DAYS {
        return Lane::Emergency;
    }
    let soaked = due - i64::from(plan.soak_hours).hours();
    let windows = plan
        .windows
        .iter()
        .filter_map(|window| latest(window, now, soaked));
    match windows.max_by_key(|(_, end)| *end) {
        Some((start, end)) => Lane::Window { start, end },
        None => Lane::OutOfCycle,
    }
}

/// Returns the last occurrence of `window` that begins after `now` and ends by `until`.
fn latest(window: &Window, now: Timestamp, until: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let mut day = until.to_zoned(TimeZone::UTC).date();
    // Two weeks hold every occurrence that could be the last one.
    for _ in 0..15 {
        if day.weekday() == window.day.weekday() {
            let start = day.at(i8::try_from(window.hour).ok()?, 0, 0, 0);
            let start = start.to_zoned(TimeZone::UTC).ok()?.timestamp();
            let end = start + Span::new().hours(i64::from(window.hours));
            if end <= until {
                return (start >= now).then_some((start, end));
            }
        }
        day = day.yesterday().ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{decide, tests::inputs};

    /// The lane of a scheduled change, decided on Monday, 2 March 2026, at noon.
    fn check(due: &str, windows: &[(Day, u8)], soak_hours: u16, expected: &str) {
        let mut decision = decide(inputs());
        decision.priority = Priority::Scheduled;
        let plan = Plan {
            windows: windows
                .iter()
                .map(|(day, hour)| Window {
                    day: *day,
                    hour: *hour,
                    hours: 4,
                })
                .collect(),
            soak_hours,
        };
        let now = "2026-03-02T12:00:00Z".parse().expect("a time");
        let due = (due != "none").then(|| due.parse().expect("a time"));
        let lane = choose(&decision, due, now, &plan);
        let got = match lane {
            Lane::Window { start, .. } => format!("window {start}"),
            lane => lane.name().to_owned(),
        };
        assert_eq!(got, expected);
    }

    const SUNDAY: (Day, u8) = (Day::Sunday, 2);
    const WEDNESDAY: (Day, u8) = (Day::Wednesday, 22);

    #[test]
    fn the_latest_window_that_leaves_soak_time_is_taken() {
        let due = "2026-03-16T23:59:59Z";
        check(due, &[SUNDAY], 24, "window 2026-03-15T02:00:00Z");
        check(due, &[SUNDAY], 48, "window 2026-03-08T02:00:00Z");
        check(due, &[SUNDAY, WEDNESDAY], 48, "window 2026-03-11T22:00:00Z");
        check(due, &[SUNDAY], 14 * 24, "out-of-cycle");
        check(due, &[], 0, "out-of-cycle");
    }

    #[test]
    fn near_deadlines_are_an_emergency() {
        check("2026-03-05T23:59:59Z", &[WEDNESDAY], 0, "emergency");
        check(
            "2026-03-06T23:59:59Z",
            &[WEDNESDAY],
            0,
            "window 2026-03-04T22:00:00Z",
        );
        check("2026-02-01T00:00:00Z", &[WEDNESDAY], 0, "emergency");
        check("none", &[SUNDAY], 24, "next-upgrade");
    }

    #[test]
    fn urgent_priorities_are_an_emergency() {
        let now = "2026-03-02T12:00:00Z".parse().expect("a time");
        for priority in [Priority::Immediate, Priority::OutOfCycle] {
            let mut decision = decide(inputs());
            decision.priority = priority;
            assert_eq!(
                choose(&decision, None, now, &Plan::default()),
                Lane::Emergency
            );
        }
    }

    #[test]
    fn the_earlier_window_is_the_more_urgent() {
        let window = |day: &str| Lane::Window {
            start: format!("{day}T02:00:00Z").parse().expect("a time"),
            end: format!("{day}T06:00:00Z").parse().expect("a time"),
        };
        let rising = [
            Lane::NextUpgrade,
            window("2026-03-15"),
            window("2026-03-08"),
            Lane::OutOfCycle,
            Lane::Emergency,
        ];
        assert!(rising.is_sorted_by(|a, b| a < b));
    }
}
