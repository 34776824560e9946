//! Views, tables, leases.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, NodeId};
use airside_ledger::{
    AppendError, Batch, Cell, Column, Draft, Entry, Fact, Fold, Kind, LeaseError, Ledger, Query,
    Schema, Table, TableError, Versioned, View,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::harness::{Rig, draft, stores, tenant};

#[derive(Debug, Default)]
struct Count(u64);

impl Fold for Count {
    fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.seq, self.0 + 1, "each entry once and in order");
        self.0 += 1;
    }
}

#[tokio::test]
async fn view_starts_with_the_past_and_keeps_up() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let drafts = (0..2500).map(|n| draft("a", n)).collect();
        rig.ledger.append(drafts).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
        let initial = Count::default();
        let mut view = View::start(&rig.ledger, clock, &rig.supervisor, tenant("a"), initial)
            .await
            .unwrap();
        assert_eq!(view.read(|count| count.0), 2500);
        rig.ledger.append(vec![draft("b", 0)]).await.unwrap();
        for _ in 0..3 {
            rig.ledger.append(vec![draft("a", 0)]).await.unwrap();
        }
        view.reached(2503).await;
        assert_eq!(view.read(|count| count.0), 2503);
        rig.stop().await;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) hotel: String,
    pub(crate) rooms: i64,
}

#[derive(Debug)]
pub(crate) struct Holds;

const CHANGED: Kind = Kind::new("hold.changed");
const RELEASED: Kind = Kind::new("hold.released");

impl Schema for Holds {
    const NAME: &'static str = "holds";
    type Document = Hold;
    const COLUMNS: &'static [Column<Hold>] = &[
        Column {
            name: "hotel",
            cell: |hold| Some(Cell::Text(hold.hotel.clone())),
        },
        Column {
            name: "rooms",
            cell: |hold| Some(Cell::Integer(hold.rooms)),
        },
    ];

    fn key(fact: Fact<'_>) -> Option<String> {
        fact.kind.is_under("hold").then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Hold>, fact: Fact<'_>) -> Option<Hold> {
        if *fact.kind == RELEASED {
            return None;
        }
        let change: Hold = fact.decode().expect("a known body");
        Some(Hold {
            rooms: change.rooms + prior.map_or(0, |prior| prior.rooms),
            ..change
        })
    }
}

pub(crate) fn changed(key: &str, hotel: &str, rooms: i64) -> Draft {
    let body = json!({ "hotel": hotel, "rooms": rooms });
    Draft::new(tenant("a"), CHANGED, 1, key, &body).expect("a draft")
}

pub(crate) fn released(key: &str) -> Draft {
    Draft::new(tenant("a"), RELEASED, 1, key, &json!({})).expect("a draft")
}

/// Folds the log of tenant `a` again and compares the documents.
pub(crate) async fn check_replay(ledger: &Ledger, table: &Table<Holds>) {
    let mut documents = std::collections::BTreeMap::new();
    let mut follower = ledger.follow(tenant("a"), 0);
    loop {
        let entries = follower.next_present().await.expect("read");
        if entries.is_empty() {
            break;
        }
        for entry in &entries {
            let Some(key) = Holds::key(entry.into()) else {
                continue;
            };
            let prior = documents.remove(&key).map(|(_, document)| document);
            if let Some(document) = Holds::fold(prior, entry.into()) {
                documents.insert(key, (entry.seq, document));
            }
        }
    }
    let stored = table.all(&tenant("a"), "", 1000).await.expect("read");
    let stored: Vec<_> = stored
        .into_iter()
        .map(|row| (row.key.to_string(), (row.version, row.document)))
        .collect();
    assert_eq!(stored, documents.into_iter().collect::<Vec<_>>());
}

fn is_stale(result: &Result<impl Sized, TableError>) -> bool {
    matches!(result, Err(TableError::Append(AppendError::Stale { .. })))
}

#[tokio::test]
async fn document_changes_with_the_entry_that_explains_it() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let table = Table::<Holds>::new(rig.ledger.clone());
        let find = || async { table.find(&tenant("a"), "h1").await.unwrap() };
        table
            .append(None, vec![changed("h1", "Sea", 1)])
            .await
            .unwrap();
        let first = find().await;
        let twice = vec![changed("h1", "Sea", 2), changed("h1", "Sea", 4)];
        table.append(first.clone(), twice).await.unwrap();
        let expected = Versioned {
            key: "h1".into(),
            version: 3,
            document: Hold {
                hotel: "Sea".to_owned(),
                rooms: 7,
            },
        };
        assert_eq!(find().await, Some(expected));

        let stale = table.append(first, vec![changed("h1", "Sea", 8)]).await;
        assert!(is_stale(&stale), "{stale:?}");
        let again = table.append(None, vec![changed("h1", "Sea", 8)]).await;
        assert!(is_stale(&again), "{again:?}");
        let entries = rig.ledger.read(Query::new(tenant("a"))).await.unwrap();
        assert_eq!(entries.len(), 3, "a refused change leaves no entry");

        table
            .append(find().await, vec![released("h1")])
            .await
            .unwrap();
        assert_eq!(find().await, None);
        check_replay(&rig.ledger, &table).await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn one_lost_race_does_not_fail_the_group() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let table = Table::<Holds>::new(rig.ledger.clone());
        let race = |key| table.append(None, vec![changed(key, "Sea", 1)]);
        let (one, other, unrelated) = tokio::join!(race("h1"), race("h1"), race("h2"));
        one.unwrap();
        assert!(is_stale(&other), "{other:?}");
        unrelated.unwrap();
        assert_eq!(rig.ledger.head(&tenant("a")).await.unwrap().seq, 2);
        check_replay(&rig.ledger, &table).await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn whoever_loses_a_race_finds_what_won_it() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let table = Table::<Holds>::new(rig.ledger.clone());
        for round in 0..40 {
            let key = format!("h{round}");
            let race = || async {
                let outcome = table.append(None, vec![changed(&key, "Sea", 1)]).await;
                let found = table.find(&tenant("a"), &key).await.unwrap();
                assert!(found.is_some(), "{outcome:?}");
                usize::from(outcome.is_ok())
            };
            let (one, other) = tokio::join!(race(), race());
            assert_eq!(one + other, 1, "round {round}");
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn documents_are_found_by_their_columns() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let table = Table::<Holds>::new(rig.ledger.clone());
        for (key, hotel, rooms) in [("h1", "Sea", 3), ("h2", "Hill", 1), ("h3", "Sea", 2)] {
            let drafts = vec![changed(key, hotel, rooms)];
            table.append(None, drafts).await.unwrap();
        }
        let keys = |rows: Vec<Versioned<Hold>>| -> Vec<String> {
            rows.iter().map(|row| row.key.to_string()).collect()
        };
        let sea = Cell::Text("Sea".to_owned());
        let found = table.equal(&tenant("a"), "hotel", sea, "", 9).await;
        assert_eq!(keys(found.unwrap()), ["h1", "h3"]);
        let few = Cell::Integer(2);
        let found = table.at_most(&tenant("a"), "rooms", few.clone(), 9).await;
        assert_eq!(keys(found.unwrap()), ["h2", "h3"]);
        let unknown = table.at_most(&tenant("a"), "price", few, 9).await;
        assert!(matches!(unknown, Err(TableError::NoColumn { .. })));
        rig.stop().await;
    }
}

#[tokio::test]
async fn drafts_about_another_document_are_refused() {
    let (stores, _folder) = stores();
    let rig = Rig::on(stores[0].clone()).await;
    let table = Table::<Holds>::new(rig.ledger.clone());
    for drafts in [
        vec![],
        vec![draft("a", 1)],
        vec![changed("h1", "Sea", 1), changed("h2", "Sea", 1)],
    ] {
        let refused = table.change(&mut Batch::new(), None, drafts);
        assert!(
            matches!(refused, Err(TableError::OtherDocument { .. })),
            "{refused:?}"
        );
    }
    rig.stop().await;
}

#[tokio::test]
async fn former_holder_of_a_lease_writes_nothing() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let (one, two) = (NodeId::generate(&rig.clock), NodeId::generate(&rig.clock));
        assert_ne!(one, two);
        let ttl = Duration::from_secs(10);
        let lease = rig.ledger.lease("sweeper", one, ttl).await.unwrap();
        let taken = rig.ledger.lease("sweeper", two, ttl).await;
        assert!(
            matches!(taken, Err(LeaseError::Taken { until }) if until == lease.until()),
            "{taken:?}"
        );
        let fenced = || {
            let mut batch = Batch::new();
            batch.push(draft("a", 1));
            batch.fence(&lease);
            batch
        };
        rig.ledger.commit(fenced()).await.unwrap();
        rig.clock.advance(ttl);
        let next = rig.ledger.lease("sweeper", two, ttl).await.unwrap();
        let refused = rig.ledger.commit(fenced()).await;
        assert!(
            matches!(refused, Err(AppendError::Fenced { .. })),
            "{refused:?}"
        );
        assert_eq!(rig.ledger.head(&tenant("a")).await.unwrap().seq, 1);
        rig.ledger.release(next).await.unwrap();
        rig.ledger.lease("sweeper", one, ttl).await.unwrap();
        rig.stop().await;
    }
}
