use proptest::prelude::*;

use super::*;

/// Sizes for zero defects; columns are limits in ten-thousandths.
const LIMITS: [u32; 6] = [1000, 500, 300, 200, 100, 50];

#[test]
fn sizes_for_no_defects_are_the_published_ones() {
    let rows: [(f64, usize, [usize; 6]); 8] = [
        (0.05, 50, [22, 31, 39, 48, 48, 48]),
        (0.05, 100, [25, 45, 63, 78, 95, 95]),
        (0.05, 200, [27, 51, 78, 105, 155, 190]),
        (0.05, 500, [28, 56, 90, 129, 225, 316]),
        (0.05, 1000, [29, 57, 94, 138, 258, 450]),
        (0.05, 5000, [29, 59, 98, 147, 290, 564]),
        (0.10, 1000, [22, 44, 73, 108, 205, 369]),
        (0.01, 1000, [43, 86, 141, 204, 368, 601]),
    ];
    let tables = Tables::up_to(5000);
    for (alpha, population, sizes) in rows {
        let found = LIMITS.map(|limit| tables.size(population, limit, 0, alpha));
        assert_eq!(found, sizes, "N = {population}, alpha = {alpha}");
    }
}

#[test]
fn sizes_for_accepted_defects_are_the_published_ones() {
    let tables = Tables::up_to(1000);
    for (limit, sizes) in [
        (500, [57, 90, 119, 146, 197]),
        (200, [138, 215, 281, 342, 454]),
        (100, [258, 393, 506, 606, 777]),
    ] {
        let found = [0, 1, 2, 3, 5].map(|accept| tables.size(1000, limit, accept, 0.05));
        assert_eq!(found, sizes, "limit {limit}");
    }
}

#[test]
fn bounds_under_imperfect_review_are_the_published_ones() {
    let tables = Tables::up_to(1000);
    for (drawn, bounds) in [
        (60, [47, 52, 68, 96, 161]),
        (100, [28, 31, 40, 57, 97]),
        (150, [18, 20, 26, 38, 64]),
        (300, [8, 9, 12, 18, 31]),
    ] {
        let sample = Sample {
            population: 1000,
            drawn,
            seen: 0,
        };
        let found = [1.0, 0.9, 0.7, 0.5, 0.3].map(|s| tables.upper(sample, s, 0.05));
        assert_eq!(found, bounds, "n = {drawn}");
    }
}

/// Rivest's approximation of the size, `n (1 - e^(-3/b))`, for `b` defective ones.
#[test]
fn sizes_are_near_the_rule_of_thumb() {
    for (population, limit) in [(500, 500), (1000, 200), (5000, 100)] {
        let size = Tables::up_to(population).size(population, limit, 0, 0.05);
        let defective = too_many(population, limit) as f64;
        let about = population as f64 * (1.0 - (-3.0 / defective).exp());
        let off = (size as f64 - about).abs() / about;
        assert!(off < 0.03, "{population}, {limit}: {size}, about {about}");
    }
}

#[test]
fn sensitivity_is_the_bound_of_clopper_and_pearson() {
    let tables = Tables::up_to(100);
    // 0.025^(1/20): the closed form when all are caught.
    let all = tables.sensitivity(20, 20, 0.025);
    assert!((all - 0.025_f64.powf(1.0 / 20.0)).abs() < 1e-9, "{all}");
    assert_eq!(tables.sensitivity(20, 0, 0.025), 0.0);
    // Published example: 15 of 20 has the two-sided 95 % interval 0.509 to 0.913.
    let some = tables.sensitivity(20, 15, 0.025);
    assert!((some - 0.5090).abs() < 5e-4, "{some}");
}

/// Deterministic numbers for simulations (SplitMix64, Steele et al. 2014).
pub(in crate::lot) struct Numbers(pub(in crate::lot) u64);

impl Numbers {
    pub(in crate::lot) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(in crate::lot) fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    pub(in crate::lot) fn chance(&mut self, p: f64) -> bool {
        (self.next() >> 11) as f64 / ((1_u64 << 53) as f64) < p
    }

    /// Draws `drawn` of `population` and returns how many of the first `defective` are
    /// among them.
    fn draw(&mut self, population: usize, defective: usize, drawn: usize) -> usize {
        let (mut left, mut bad, mut seen) = (population, defective, 0);
        for _ in 0..drawn {
            if self.below(left) < bad {
                seen += 1;
                bad -= 1;
            }
            left -= 1;
        }
        seen
    }
}

#[test]
fn bound_holds_in_at_least_95_of_100_lots() {
    let tables = Tables::up_to(1500);
    let mut numbers = Numbers(7);
    let mut known = std::collections::HashMap::new();
    let mut held = 0;
    for _ in 0..10_000 {
        let population = 50 * (1 + numbers.below(20));
        let drawn = 10 * (1 + numbers.below(population / 10));
        let defective = numbers.below(population / 4 + 1);
        let seen = numbers.draw(population, defective, drawn);
        let sample = Sample {
            population,
            drawn,
            seen,
        };
        let bound = *known
            .entry((population, drawn, seen))
            .or_insert_with(|| tables.upper(sample, 1.0, 0.05));
        held += usize::from(bound >= defective);
    }
    assert!(held >= 9_500, "{held} of 10,000");
}

#[test]
fn bound_holds_for_reviewers_who_miss_defects() {
    let tables = Tables::up_to(1000);
    let mut numbers = Numbers(11);
    let mut bounds = std::collections::HashMap::new();
    let (mut held, mut naive) = (0, 0);
    for _ in 0..10_000 {
        let (population, drawn, planted) = (1000, [100, 150, 300][numbers.below(3)], 20);
        let skill = [0.5, 0.6, 0.7, 0.9][numbers.below(4)];
        let defective = 10 + numbers.below(60);
        let held_by_sample = numbers.draw(population, defective, drawn);
        let seen = (0..held_by_sample)
            .filter(|_| numbers.chance(skill))
            .count();
        let caught = (0..planted).filter(|_| numbers.chance(skill)).count();
        let sample = Sample {
            population,
            drawn,
            seen,
        };
        let (believing, allowing) = *bounds.entry((drawn, seen, caught)).or_insert_with(|| {
            let least = tables.sensitivity(planted, caught, 0.025);
            (
                tables.upper(sample, 1.0, 0.05),
                tables.upper(sample, least, 0.025),
            )
        });
        held += usize::from(allowing >= defective);
        naive += usize::from(believing >= defective);
    }
    assert!(held >= 9_500, "{held} of 10,000");
    assert!(
        naive < 9_000,
        "belief in perfect reviewers should fail: {naive}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_more_defect_never_lowers_what_may_be_left(
        population in 2_usize..400,
        part in 1_usize..100,
        seen in 0_usize..20,
    ) {
        let drawn = (population * part / 100).max(1);
        prop_assume!(seen < drawn);
        let tables = Tables::up_to(population);
        let at = |seen| tables.upper(Sample { population, drawn, seen }, 1.0, 0.05);
        prop_assert!(at(seen + 1) > at(seen));
    }

    #[test]
    fn size_is_the_smallest_that_shows_the_limit(
        population in 1_usize..300,
        limit in 1_u32..5000,
    ) {
        let tables = Tables::up_to(population);
        let size = tables.size(population, limit, 0, 0.05);
        let bound = |drawn| tables.upper(Sample { population, drawn, seen: 0 }, 1.0, 0.05);
        prop_assert!(bound(size) < too_many(population, limit).max(1));
        if size > 0 {
            prop_assert!(bound(size - 1) >= too_many(population, limit));
        }
    }
}
