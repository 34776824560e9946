use super::*;

#[test]
fn wilson_is_the_published_interval() {
    // Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    let interval = wilson(Tally {
        trials: 263,
        passed: 81,
    })
    .unwrap();
    assert!(
        (interval.low - 0.2553).abs() < 5e-5 && (interval.high - 0.3662).abs() < 5e-5,
        "{interval:?}"
    );
    let interval = wilson(Tally {
        trials: 20,
        passed: 20,
    })
    .unwrap();
    assert!(
        (interval.low - 0.839).abs() < 1e-3 && interval.high == 1.0,
        "{interval:?}"
    );
}

#[test]
fn k_of_n_is_estimated_without_bias() {
    let tally = Tally {
        trials: 4,
        passed: 2,
    };
    assert_eq!(tally.pass_all(1), Some(0.5));
    assert_eq!(tally.pass_all(2), Some(1.0 / 6.0));
    assert_eq!(tally.pass_at(2), Some(1.0 - 1.0 / 6.0));
    assert_eq!(tally.pass_all(3), Some(0.0));
    assert_eq!(tally.pass_at(5), None);
}

#[test]
fn stability_needs_trials() {
    let of = |trials, passed| Tally { trials, passed }.stability();
    assert_eq!(of(3, 3), Stability::Unknown);
    assert_eq!(of(5, 5), Stability::StablePass);
    assert_eq!(of(5, 0), Stability::StableFail);
    assert_eq!(of(2, 1), Stability::Flaky);
}

#[test]
fn clusters_are_wider_than_trials() {
    // Half of the cases always pass, half never: 200 trials say no more than 50 cases.
    let cases: Vec<Tally> = (0..50)
        .map(|case| Tally {
            trials: 4,
            passed: 4 * (case % 2),
        })
        .collect();
    let clustered = clustered(&cases).unwrap();
    let pooled = wilson(Tally {
        trials: 200,
        passed: 100,
    })
    .unwrap();
    assert!(clustered.high - clustered.low > 1.9 * (pooled.high - pooled.low));
}

/// Rates of a mature suite: most cases nearly always pass.
fn mature() -> Vec<f64> {
    (0..50)
        .map(|case| if case % 5 == 0 { 0.80 } else { 0.97 })
        .collect()
}

#[test]
fn nothing_changed_is_rarely_called_worse() {
    let simulated = simulate(&Plan::default(), &mature(), None, 20, 600, 7);
    assert!(simulated.regressed <= 0.025, "{simulated:?}");
    assert!(simulated.false_alarms <= 0.025, "{simulated:?}");
}

#[test]
fn one_damaged_case_of_fifty_is_found() {
    let stable = vec![0.98; 50];
    let simulated = simulate(&Plan::default(), &stable, Some((17, 0.1)), 20, 600, 11);
    assert!(simulated.found >= 0.97, "{simulated:?}");
    assert!(simulated.trials <= 160.0, "{simulated:?}");
    assert!(simulated.false_alarms <= 0.025, "{simulated:?}");
}

#[test]
fn a_loss_in_several_cases_is_a_regression() {
    let cases = |now: u64| -> Vec<Paired> {
        let one = |case: u64| Paired {
            before: Tally {
                trials: 5,
                passed: 5,
            },
            now: Tally {
                trials: 5,
                passed: if case < 6 { now } else { 5 },
            },
        };
        (0..50).map(one).collect()
    };
    assert!(compare(&cases(1), 3).unwrap().regressed);
    let same = compare(&cases(5), 3).unwrap();
    assert!(!same.regressed && same.p > 0.9, "{same:?}");
}
