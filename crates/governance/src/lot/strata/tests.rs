use airside_codereview::change::Attribution;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use rayon::prelude::*;

use super::*;
use crate::lot::{
    Class, Mode, Plan, Risk, Statement, Verdict, Word, bound::tests::Numbers, statement::look,
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn lot(limit: u32, key: &Key) -> Lot {
    let plan = Plan {
        repository: "hotels".to_owned(),
        until: at("2026-12-01T00:00:00Z"),
        limit,
        accept: 0,
        counts: Class::Major,
        threshold: 50,
        exclude: BTreeSet::from([Exclusion::Generated]),
        due_days: 14,
        checklist: "v1".to_owned(),
    };
    Lot {
        plan_digest: plan.digest(),
        plan,
        plan_changed: false,
        commitment: key.commitment(),
        mode: Mode::Normal,
        areas: BTreeSet::new(),
        opened: at("2026-11-01T00:00:00Z"),
        draw: None,
        closing: None,
        outcomes: Vec::new(),
    }
}

fn change(n: usize, score: Option<u32>) -> Change {
    Change {
        identity: Identity {
            repository: "hotels".to_owned(),
            commit: format!("{n:040x}"),
            patch: format!("p{n}"),
            sources: Vec::new(),
        },
        merged: at("2026-11-02T00:00:00Z"),
        attribution: Attribution::Unknown,
        areas: vec![format!("src/{}", n % 7)],
        risk: score.map(|score| Risk {
            score,
            triggers: Vec::new(),
        }),
        exclusion: None,
    }
}

/// A key that follows from `numbers`.
fn key(numbers: &mut Numbers) -> Key {
    let bytes: Vec<u8> = (0..4).flat_map(|_| numbers.next().to_be_bytes()).collect();
    Key::parse(&BASE64_URL_SAFE_NO_PAD.encode(bytes)).unwrap()
}

fn draw(lot: &Lot, key: &Key, changes: &[Change], planted: &[Identity]) -> Draw {
    let now = at("2026-12-02T00:00:00Z");
    let all = (changes, planted.to_vec());
    drawn(lot, key, "storm".to_owned(), all, now).unwrap()
}

#[test]
fn plans_draw_the_published_numbers() {
    let key = key(&mut Numbers(3));
    for (population, sizes) in [
        (50, [22, 31, 39, 48, 48, 48]),
        (100, [25, 45, 63, 78, 95, 95]),
        (200, [27, 51, 78, 105, 155, 190]),
    ] {
        let changes: Vec<Change> = (0..population).map(|n| change(n, Some(1))).collect();
        for (limit, size) in [1000, 500, 300, 200, 100, 50].into_iter().zip(sizes) {
            let draw = draw(&lot(limit, &key), &key, &changes, &[]);
            assert_eq!((draw.size, draw.items.len()), (size, size), "{limit}");
        }
    }
}

#[test]
fn risky_and_unknown_changes_are_all_reviewed_and_told_why() {
    let key = key(&mut Numbers(3));
    let mut lot = lot(500, &key);
    let why = |lot: &Lot, change: &Change| reasons(lot, change).join("; ");
    let mut triggered = change(1, Some(0));
    if let Some(risk) = &mut triggered.risk {
        risk.triggers = vec!["tool".to_owned(), "dependency".to_owned()];
    }
    assert_eq!(why(&lot, &change(1, Some(49))), "");
    assert_eq!(why(&lot, &change(1, Some(50))), "score 50 of 50");
    assert_eq!(why(&lot, &change(1, None)), "no score");
    assert_eq!(why(&lot, &triggered), "tool; dependency");
    lot.mode = Mode::Tightened;
    assert_eq!(why(&lot, &change(1, Some(25))), "score 25 of 25");
    lot.areas = BTreeSet::from(["src/1".to_owned()]);
    let told = "src/1 is under tightened review";
    assert_eq!(why(&lot, &change(1, Some(0))), told);
    assert_eq!(why(&lot, &change(2, Some(0))), "");
}

#[test]
fn tightened_review_halves_limit_and_threshold() {
    let key = key(&mut Numbers(3));
    let changes: Vec<Change> = (0..200).map(|n| change(n, Some(n as u32 % 60))).collect();
    let mut lot = lot(1000, &key);
    let normal = draw(&lot, &key, &changes, &[]);
    lot.mode = Mode::Tightened;
    let tightened = draw(&lot, &key, &changes, &[]);
    let mandatory = |draw: &Draw| draw.items.len() - draw.size;
    // Scores of 50 and more; of 25 and more.
    assert_eq!((mandatory(&normal), mandatory(&tightened)), (30, 105));
    let sizes = |population, limit| Tables::up_to(population).size(population, limit, 0, 0.05);
    assert_eq!(normal.size, sizes(170, 1000));
    assert_eq!(tightened.size, sizes(95, 500));
}

#[test]
fn what_the_plan_leaves_out_is_counted_and_never_drawn() {
    let key = key(&mut Numbers(3));
    let mut changes: Vec<Change> = (0..40).map(|n| change(n, Some(1))).collect();
    changes[0].exclusion = Some(Exclusion::Generated);
    // By a rule that is not in the plan.
    changes[1].exclusion = Some(Exclusion::Vendored);
    let draw = draw(&lot(500, &key), &key, &changes, &[]);
    assert_eq!((draw.excluded, draw.population.len()), (1, 39));
    assert!(!draw.population.contains(&changes[0].identity.id()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn same_key_and_lot_give_the_same_draw_whatever_the_order(
        scores in proptest::collection::vec(proptest::option::of(0_u32..80), 1..60),
        order in proptest::collection::vec(any::<u64>(), 60),
        seed in any::<u64>(),
    ) {
        let key = key(&mut Numbers(seed));
        let lot = lot(1000, &key);
        let mut changes: Vec<Change> = (0..).zip(scores).map(|(n, s)| change(n, s)).collect();
        let mut planted: Vec<Identity> = (900..905).map(|n| change(n, None).identity).collect();
        let first = draw(&lot, &key, &changes, &planted);
        let mut places = order.iter().cycle();
        changes.sort_by_cached_key(|_| *places.next().unwrap());
        planted.reverse();
        prop_assert_eq!(first, draw(&lot, &key, &changes, &planted));
    }
}

/// What one simulated lot showed.
struct Trial {
    skill: f64,
    defective: usize,
    statement: Statement,
}

const POPULATION: usize = 80;
const PLANTED: usize = 12;

/// Draws, reviews and closes a lot whose truth is known.
fn trial(n: u64, changes: &[Change], planted: &[Identity]) -> Trial {
    let mut numbers = Numbers(n * 7919);
    let key = key(&mut numbers);
    let mut lot = lot(1500, &key);
    let mut draw = draw(&lot, &key, changes, planted);
    let skill = [0.6, 0.8, 0.9, 1.0][numbers.below(4)];
    // The share of defects differs from lot to lot; which they are, too.
    let rate = [0.02, 0.05, 0.1, 0.2][numbers.below(4)];
    let known: BTreeSet<String> = planted.iter().map(Identity::id).collect();
    let bad: BTreeSet<&String> = draw
        .population
        .iter()
        .filter(|_| numbers.chance(rate))
        .collect();
    let defective = bad.len();
    let found = |is_found: bool| Verdict {
        word: if is_found {
            Word::Defect
        } else {
            Word::NoDefect
        },
        class: is_found.then_some(Class::Major),
        sort: None,
        evidence: None,
        reviewer: "r".to_owned(),
        minutes: 1,
        revision: "r".to_owned(),
        checklist: "v1".to_owned(),
    };
    for item in &mut draw.items {
        let is_bad = bad.contains(&item.id) || known.contains(&item.id);
        item.verdicts.push(found(is_bad && numbers.chance(skill)));
    }
    lot.draw = Some(draw);
    let closing = look("l", &lot, &key, at("2027-01-01T00:00:00Z")).unwrap();
    Trial {
        skill,
        defective,
        statement: closing.statement,
    }
}

#[test]
fn statements_hold_in_95_of_100_lots_from_the_draw_to_the_look() {
    let changes: Vec<Change> = (0..POPULATION).map(|n| change(n, Some(1))).collect();
    let planted: Vec<Identity> = (0..PLANTED)
        .map(|n| change(1000 + n, None).identity)
        .collect();
    let trials: Vec<Trial> = (0..10_000_u64)
        .into_par_iter()
        .map(|n| trial(n, &changes, &planted))
        .collect();
    let holds = |trial: &Trial, bound: usize| bound >= trial.defective;
    let allowing = trials.iter().filter(|trial| {
        let bound = trial.statement.allowing.map(|one| one.bound);
        bound.is_some_and(|bound| holds(trial, bound))
    });
    let allowing = allowing.count();
    assert!(allowing >= 9_500, "{allowing} of 10,000");
    let share = |skill: f64| {
        let of: Vec<&Trial> = trials.iter().filter(|one| one.skill == skill).collect();
        let held = of.iter().filter(|one| holds(one, one.statement.bound));
        100 * held.count() / of.len()
    };
    // The plain bound is for reviewers who miss nothing, and says so.
    assert!(share(1.0) >= 95, "{}", share(1.0));
    assert!(share(0.6) < share(1.0), "{}", share(0.6));
    let texts = trials.iter().map(|one| &one.statement.text);
    assert!(texts.clone().all(|text| text.contains("allowing for that")));
}
