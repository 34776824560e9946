//! Random histories against a model.

use std::{collections::BTreeMap, time::Duration};

use airside_base::{Clock as _, Timestamp};
use airside_ledger::{AppendError, Draft, Entry, Query, Table, TableError};
use futures_util::future::{BoxFuture, join_all};
use proptest::prelude::*;

use crate::{
    harness::{Rig, draft, stores, tenant},
    state::{Hold, Holds, changed, check_replay, released},
};

const OWNERS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 2] = ["h1", "h2"];

#[derive(Clone, Debug)]
enum Step {
    Append { owner: usize, count: usize },
    Record { owner: usize },
    Change { key: usize, rooms: i64 },
    Release { key: usize },
}

/// Steps that are under way at the same time, after the clock has stepped.
#[derive(Clone, Debug)]
struct Burst {
    clock_seconds: u64,
    steps: Vec<Step>,
}

fn burst() -> impl Strategy<Value = Burst> {
    let step = prop_oneof![
        (0..OWNERS.len(), 1..4_usize).prop_map(|(owner, count)| Step::Append { owner, count }),
        (0..OWNERS.len()).prop_map(|owner| Step::Record { owner }),
        (0..KEYS.len(), 1..5_i64).prop_map(|(key, rooms)| Step::Change { key, rooms }),
        (0..KEYS.len()).prop_map(|key| Step::Release { key }),
    ];
    let steps = prop::collection::vec(step, 1..8);
    (0..8000_u64, steps).prop_map(|(clock_seconds, steps)| Burst {
        clock_seconds,
        steps,
    })
}

/// What the ledger must hold: the bodies of each chain and the documents.
#[derive(Default)]
struct Model {
    chains: BTreeMap<&'static str, Vec<(String, bytes::Bytes)>>,
    holds: BTreeMap<&'static str, i64>,
}

impl Model {
    fn add(&mut self, draft: &Draft) {
        let owner = OWNERS.into_iter().find(|o| draft.tenant().as_str() == *o);
        let chain = self.chains.entry(owner.expect("one of three")).or_default();
        chain.push((draft.kind().as_str().to_owned(), draft.body().clone()));
    }
}

type Outcome = Result<(), TableError>;

/// Runs a burst; returns what each step answered and what the model expects.
async fn run(rig: &Rig, model: &mut Model, burst: &Burst, number: &mut u64) {
    let start = crate::harness::clock().now();
    rig.clock
        .step_to(start + Duration::from_secs(burst.clock_seconds));
    let table = Table::<Holds>::new(rig.ledger.clone());
    let mut prior = Vec::new();
    for key in KEYS {
        prior.push(table.find(&tenant("a"), key).await.expect("find"));
    }
    let mut touched = [false; KEYS.len()];
    let mut running: Vec<BoxFuture<'_, Outcome>> = Vec::new();
    let mut expected = Vec::new();
    for step in &burst.steps {
        *number += 1;
        let (works, future): (bool, BoxFuture<'_, Outcome>) = match *step {
            Step::Append { owner, count } => {
                let drafts = vec![draft(OWNERS[owner], *number); count];
                drafts.iter().for_each(|draft| model.add(draft));
                let append = rig.ledger.append(drafts);
                let done = async { append.await.map(drop).map_err(TableError::Append) };
                (true, Box::pin(done))
            }
            Step::Record { owner } => {
                let draft = draft(OWNERS[owner], *number);
                model.add(&draft);
                let ledger = &rig.ledger;
                let done = async move { ledger.record(draft).map_err(TableError::Append) };
                (true, Box::pin(done))
            }
            Step::Change { key, .. } | Step::Release { key } => {
                let draft = match *step {
                    Step::Change { rooms, .. } => changed(KEYS[key], "Sea", rooms),
                    _ => released(KEYS[key]),
                };
                let works = !touched[key];
                // Releasing what is not held leaves an entry and changes nothing.
                let idle = matches!(step, Step::Release { .. }) && prior[key].is_none();
                touched[key] |= !idle;
                if works {
                    model.add(&draft);
                    let rooms = model.holds.remove(KEYS[key]).unwrap_or(0);
                    if let Step::Change { rooms: more, .. } = step {
                        model.holds.insert(KEYS[key], rooms + more);
                    }
                }
                let change = table.append(prior[key].clone(), vec![draft]);
                (works, Box::pin(async { change.await.map(drop) }))
            }
        };
        expected.push(works);
        running.push(future);
    }
    let outcomes = join_all(running).await;
    for (outcome, works) in outcomes.iter().zip(expected) {
        let stale = matches!(outcome, Err(TableError::Append(AppendError::Stale { .. })));
        assert!(if works { outcome.is_ok() } else { stale }, "{outcome:?}");
    }
}

async fn compare(rig: &Rig, model: &Model) {
    rig.ledger.flush().await.expect("flush");
    rig.ledger.verify(&|_| {}).await.expect("verify");
    for owner in OWNERS {
        let query = Query::new(tenant(owner));
        let entries: Vec<Entry> = rig.ledger.read(query).await.expect("read");
        let times: Vec<Timestamp> = entries.iter().map(|entry| entry.time).collect();
        assert!(times.is_sorted(), "{times:?}");
        let found: Vec<_> = entries
            .into_iter()
            .map(|entry| (entry.kind.as_str().to_owned(), entry.body))
            .collect();
        assert_eq!(&found, model.chains.get(owner).unwrap_or(&Vec::new()));
    }
    let table = Table::<Holds>::new(rig.ledger.clone());
    let holds = table.all(&tenant("a"), "", 100).await.expect("read");
    let holds: Vec<(String, Hold)> = holds
        .into_iter()
        .map(|row| (row.key.to_string(), row.document))
        .collect();
    let expected: Vec<_> = model
        .holds
        .iter()
        .map(|(key, rooms)| {
            let hotel = "Sea".to_owned();
            let rooms = *rooms;
            ((*key).to_owned(), Hold { hotel, rooms })
        })
        .collect();
    assert_eq!(holds, expected);
    check_replay(&rig.ledger, &table).await;
}

fn check(bursts: &[Burst]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (stores, _folder) = stores();
        for store in stores {
            let rig = Rig::on(store).await;
            let (mut model, mut number) = (Model::default(), 0);
            for burst in bursts {
                run(&rig, &mut model, burst, &mut number).await;
            }
            compare(&rig, &model).await;
            rig.stop().await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ledger_equals_the_model(bursts in prop::collection::vec(burst(), 1..12)) {
        check(&bursts);
    }
}
