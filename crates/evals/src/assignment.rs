//! Which expectation is met by which call.

/// Returns for each of `wanted` expectations the thing that meets it, so that as many
/// as possible are met and nothing meets two (augmenting paths; `fits` is asked at most
/// once for each pair).
pub(crate) fn assign(
    wanted: usize,
    things: usize,
    fits: impl Fn(usize, usize) -> bool,
) -> Vec<Option<usize>> {
    let edges: Vec<Vec<usize>> = (0..wanted)
        .map(|one| (0..things).filter(|thing| fits(one, *thing)).collect())
        .collect();
    let mut taken_by: Vec<Option<usize>> = vec![None; things];
    for one in 0..wanted {
        let mut seen = vec![false; things];
        augment(one, &edges, &mut taken_by, &mut seen);
    }
    let mut meets = vec![None; wanted];
    for (thing, by) in taken_by.iter().enumerate() {
        if let Some(one) = by {
            meets[*one] = Some(thing);
        }
    }
    meets
}

fn augment(
    one: usize,
    edges: &[Vec<usize>],
    taken_by: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    for thing in &edges[one] {
        if seen[*thing] {
            continue;
        }
        seen[*thing] = true;
        let free = match taken_by[*thing] {
            None => true,
            Some(other) => augment(other, edges, taken_by, seen),
        };
        if free {
            taken_by[*thing] = Some(one);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_greedy_choice_is_taken_back() {
        // The first expectation fits both, the second only the first thing.
        let fits = |one: usize, thing: usize| one == 0 || thing == 0;
        assert_eq!(assign(2, 2, fits), [Some(1), Some(0)]);
    }

    /// Tries everything.
    fn most(fits: &[Vec<bool>], one: usize, used: u32) -> usize {
        let Some(row) = fits.get(one) else { return 0 };
        let skip = most(fits, one + 1, used);
        let take = row
            .iter()
            .enumerate()
            .filter(|(thing, fit)| **fit && used & (1 << thing) == 0);
        take.map(|(thing, _)| 1 + most(fits, one + 1, used | (1 << thing)))
            .max()
            .unwrap_or(0)
            .max(skip)
    }

    proptest! {
        #[test]
        fn as_many_are_met_as_can_be(
            fits in prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 0..5)
        ) {
            let met = assign(fits.len(), 4, |one, thing| fits[one][thing]);
            let mut things: Vec<usize> = met.iter().flatten().copied().collect();
            prop_assert_eq!(things.len(), most(&fits, 0, 0));
            things.sort_unstable();
            things.dedup();
            prop_assert_eq!(things.len(), met.iter().flatten().count());
        }
    }
}
