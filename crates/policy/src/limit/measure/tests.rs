//! The algorithm against a slow, obvious model under a clock that moves as it likes.

use airside_base::Timestamp;
use proptest::prelude::*;

use super::*;

fn at(monotonic_ns: u64) -> Now {
    Now {
        monotonic_ns,
        wall: Timestamp::UNIX_EPOCH,
    }
}

/// A bucket that holds `burst` units in full and gets one back an interval after the
/// first was taken from a full one, and so on: kept as the list of moments at which
/// units come back, each an interval after the one before.
struct Model {
    interval: u64,
    burst: usize,
    comes_back: Vec<u64>,
}

impl Model {
    fn take(&mut self, cost: usize, now: u64) -> Result<usize, u64> {
        self.comes_back.retain(|moment| *moment > now);
        let free = self.burst - self.comes_back.len();
        if cost > free {
            // Enough of those on their way have to have come back.
            let missing = cost - free;
            return Err(match self.comes_back.get(missing - 1) {
                Some(moment) => moment - now,
                None => u64::MAX,
            });
        }
        for _ in 0..cost {
            let last = self.comes_back.last().copied().unwrap_or(now);
            self.comes_back.push(last + self.interval);
        }
        Ok(self.burst - self.comes_back.len())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pace_is_that_of_the_obvious_bucket(
        interval in 1_u64..50,
        burst in 1_u32..20,
        steps in prop::collection::vec((0_u64..60, 0_u32..8), 1..120),
    ) {
        let pace = Pace::new(1, interval, burst).unwrap();
        let measure = Measure::Pace(pace);
        let mut model = Model { interval, burst: burst as usize, comes_back: Vec::new() };
        let mut cell = None;
        let mut now = 1_000_u64;
        for (step, cost) in steps {
            now += step;
            let present = cell.unwrap_or_else(|| Cell::new(&measure, at(now)));
            let expected = model.take(cost as usize, now);
            match present.take(&measure, cost, at(now)) {
                Ok((next, level)) => {
                    prop_assert_eq!(Ok(level.remaining as usize), expected);
                    let last = model.comes_back.last().map_or(0, |last| last - now);
                    prop_assert_eq!((level.reset_ns, level.retry_ns), (last, 0));
                    cell = Some(next);
                }
                Err(level) => {
                    let Err(wait) = expected else {
                        return Err(TestCaseError::fail("the model would admit it"));
                    };
                    // More than a burst never comes back at once.
                    if cost <= burst {
                        prop_assert_eq!(level.retry_ns, wait);
                    }
                    prop_assert!(level.retry_ns > 0);
                }
            }
        }
    }

    #[test]
    fn no_window_admits_more_than_burst_and_rate(
        interval in 1_u64..50,
        burst in 1_u32..20,
        steps in prop::collection::vec(0_u64..40, 1..200),
        from in 0_usize..200,
    ) {
        let measure = Measure::Pace(Pace::new(1, interval, burst).unwrap());
        let mut cell = Cell::new(&measure, at(0));
        let mut now = 0;
        let mut admitted = Vec::new();
        for step in steps {
            now += step;
            if let Ok((next, _)) = cell.take(&measure, 1, at(now)) {
                cell = next;
                admitted.push(now);
            }
        }
        let window = &admitted[from.min(admitted.len())..];
        if let (Some(first), Some(last)) = (window.first(), window.last()) {
            let most = u64::from(burst) + (last - first) / interval;
            prop_assert!(window.len() as u64 <= most);
        }
    }
}

#[test]
fn numbers_that_a_script_could_not_count_are_refused() {
    let check = |units, per, burst| Pace::new(units, per, burst).map(|_| ());
    assert_eq!(check(0, 1, 1), Err(PaceError::Rate));
    assert_eq!(check(2, 1, 1), Err(PaceError::Rate));
    assert_eq!(check(1, 1, 0), Err(PaceError::Burst));
    assert_eq!(check(1, MAX_SPAN, 2), Err(PaceError::Span));
    assert_eq!(check(1, u64::MAX, u32::MAX), Err(PaceError::Span));
    assert_eq!(check(1, MAX_SPAN, 1), Ok(()));
}

#[test]
fn share_of_all_nodes_together_is_not_more_than_the_whole() {
    let pace = Pace::new(100, NS_PER_S, 30).unwrap();
    let share = pace.share(NonZeroU32::new(4).unwrap());
    assert_eq!((share.burst(), share.interval_ns()), (7, 40_000_000));
    let small = Pace::new(1, NS_PER_S, 2).unwrap();
    let share = small.share(NonZeroU32::new(5).unwrap());
    assert_eq!((share.burst(), share.interval_ns()), (1, 5_000_000_000));
}

#[test]
fn quota_ends_with_its_period() {
    let period = Period {
        start_s: 0,
        end_s: 100,
    };
    let measure = Measure::Quota { limit: 3, period };
    let moment = |s| Now {
        monotonic_ns: 0,
        wall: Timestamp::from_second(s).unwrap(),
    };
    let cell = Cell::new(&measure, moment(0));
    let (cell, level) = cell.take(&measure, 3, moment(40)).unwrap();
    assert_eq!((level.remaining, level.reset_s()), (0, 60));
    let refused = cell.take(&measure, 1, moment(40)).unwrap_err();
    assert_eq!(refused.retry_s(), 60);
    let next = Measure::Quota {
        limit: 3,
        period: Period {
            start_s: 100,
            end_s: 200,
        },
    };
    let (_, level) = cell.take(&next, 1, moment(100)).unwrap();
    assert_eq!(level.remaining, 2);
}
