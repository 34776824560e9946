use crate::labelled::{Share, measure, samples};

/// Sums the shares whose names begin with `prefix`.
fn sum(shares: &std::collections::BTreeMap<String, [Share; 2]>, prefix: &str) -> [Share; 2] {
    let mut sum = [Share::default(); 2];
    for (name, halves) in shares {
        for (sum, half) in sum.iter_mut().zip(halves) {
            if name.starts_with(prefix) {
                sum.flagged += half.flagged;
                sum.all += half.all;
            }
        }
    }
    sum
}

#[test]
fn poisoned_tools_are_found_and_published_ones_pass() {
    let Some(samples) = samples() else { return };
    let shares = measure(&samples);
    let poisoned = sum(&shares, "attacks: atr, tool-poisoning");
    let mut published = sum(&shares, "harmless: docker");
    for (all, more) in published.iter_mut().zip(sum(&shares, "harmless: github")) {
        all.flagged += more.flagged;
        all.all += more.all;
    }
    let real = |source: &str| source != "atr";
    let alarms: Vec<_> = (samples.iter())
        .filter(|sample| real(&sample.source) && sample.is_flagged())
        .map(|sample| sample.id.as_str())
        .collect();
    for half in [0, 1] {
        assert!(poisoned[half].percent() >= 60.0, "{poisoned:?}");
        assert!(published[half].percent() <= 1.0, "{alarms:?}");
    }
}
