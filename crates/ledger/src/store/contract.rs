//! What every [`Store`] must do, as code.
//!
//! A test of an implementation runs each of [`CASES`] against a fresh store of
//! its own. A case panics where the implementation breaks the contract.

use std::{sync::Arc, time::Duration};

use airside_base::{BoxFuture, TenantId, Timestamp};
use bytes::Bytes;

use super::{
    Cell, Claim, Claimed, Commit, Document, Fence, Filter, MAX_READ_BYTES, Query, Refusal, Scan,
    Segment, Store, StoreError, Tile, Tip, Unit, Write,
};
use crate::{
    encoding::seal,
    entry::{Draft, Entry, Hash, Head, Kind, MAX_BODY_BYTES},
};

/// One sentence of the contract.
pub type Case = fn(Arc<dyn Store>) -> BoxFuture<'static, ()>;

/// The contract: the name of each sentence and its test on an empty store.
pub const CASES: &[(&str, Case)] = &[
    ("a new store is empty", |s| Box::pin(is_empty(s))),
    ("entries come back as written", |s| Box::pin(round_trip(s))),
    ("a stale head is refused", |s| Box::pin(stale_head(s))),
    ("a commit is atomic across chains", |s| Box::pin(atomic(s))),
    ("many entries are as one", |s| Box::pin(many(s))),
    ("a query selects", |s| Box::pin(selects(s))),
    ("a read is bounded in bytes", |s| Box::pin(bounded(s))),
    ("documents have versions", |s| Box::pin(versions(s))),
    ("a refusal names every unit", |s| Box::pin(refusals(s))),
    ("documents are found by columns", |s| Box::pin(columns(s))),
    ("leases exclude", |s| Box::pin(leases(s))),
    ("fences hold", |s| Box::pin(fences(s))),
    ("hashes are those of the entries", |s| Box::pin(hashes(s))),
    ("tiles are replaced", |s| Box::pin(tiles(s))),
    ("commits are counted", |s| Box::pin(counted(s))),
    ("a closed store only reads", |s| Box::pin(closed(s))),
];

const TABLE: &str = "holds";

fn tenant(name: &str) -> TenantId {
    name.parse().expect("a name")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn draft(tenant: &TenantId, kind: &'static str, subject: &str, body: &str) -> Draft {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Draft::from_json(tenant.clone(), Kind::new(kind), 1, subject, body).expect("a draft")
}

fn sealed(expected: Head, drafts: &[Draft]) -> Vec<Entry> {
    let mut head = expected;
    let entries = drafts.iter().map(|draft| {
        let time = at(1_000 + i64::try_from(head.seq).expect("short chains"));
        let entry = seal(draft, head, time, &mut Vec::new());
        head = entry.head();
        entry
    });
    entries.collect()
}

fn segment(expected: Head, drafts: &[Draft]) -> Segment {
    Segment::new(expected, sealed(expected, drafts)).expect("sealed one behind the other")
}

/// Appends `count` plain entries behind `expected` and returns the new head.
async fn grow(store: &dyn Store, name: &str, expected: Head, count: usize) -> Head {
    let drafts = vec![draft(&tenant(name), "a.happened", "", "{}"); count];
    let segment = segment(expected, &drafts);
    let head = segment.tip().head;
    let commit = Commit {
        segments: vec![segment],
        units: Vec::new(),
    };
    store.commit(Arc::new(commit)).await.expect("append");
    head
}

async fn is_empty(store: Arc<dyn Store>) {
    assert_eq!(store.chains().await.expect("chains"), []);
    assert_eq!(store.tip(tenant("a")).await.expect("tip"), Tip::default());
    let read = store.read(Query::new(tenant("a"))).await.expect("read");
    assert_eq!(read, []);
    let found = store.find(TABLE, tenant("a"), "k".into()).await;
    assert_eq!(found.expect("find"), None);
}

async fn round_trip(store: Arc<dyn Store>) {
    let a = tenant("a");
    let drafts = [
        draft(&a, "call.completed", "", "{}"),
        draft(
            &a,
            "hold.placed",
            "h-1 \u{1f6cf}",
            r#"{"price":10.10,"n":[1,2]}"#,
        ),
        draft(
            &a,
            "hold.placed",
            "'; DROP TABLE entries; --",
            r#"{ "a" : "\u0000" }"#,
        ),
    ];
    let entries = sealed(Head::default(), &drafts);
    let segment = Segment::new(Head::default(), entries.clone()).expect("linked");
    let tip = segment.tip();
    let commit = Commit {
        segments: vec![segment],
        units: Vec::new(),
    };
    store.commit(Arc::new(commit)).await.expect("append");
    let read = store.read(Query::new(a.clone())).await.expect("read");
    assert_eq!(read, entries);
    assert_eq!(store.tip(a.clone()).await.expect("tip"), tip);
    assert_eq!(store.chains().await.expect("chains"), [(a, tip)]);
}

async fn stale_head(store: Arc<dyn Store>) {
    let head = grow(&*store, "a", Head::default(), 2).await;
    let forged = Head {
        seq: head.seq,
        ..Head::default()
    };
    for stale in [Head::default(), forged] {
        let commit = Commit {
            segments: vec![segment(stale, &[draft(&tenant("a"), "a.b", "", "{}")])],
            units: vec![writing(None, 3, Some("lost"))],
        };
        let refused = store.commit(Arc::new(commit)).await;
        assert!(
            matches!(&refused, Err(StoreError::Conflict { found, .. }) if *found == head),
            "{refused:?}"
        );
    }
    assert_eq!(store.tip(tenant("a")).await.expect("tip").head, head);
    let lost = store.find(TABLE, tenant("a"), "k".into()).await;
    assert_eq!(lost.expect("find"), None);
}

async fn atomic(store: Arc<dyn Store>) {
    let b = grow(&*store, "b", Head::default(), 1).await;
    let one = |name, head| segment(head, &[draft(&tenant(name), "a.b", "", "{}")]);
    let commit = Commit {
        segments: vec![one("a", Head::default()), one("b", Head::default())],
        units: Vec::new(),
    };
    store
        .commit(Arc::new(commit))
        .await
        .expect_err("b is stale");
    assert_eq!(store.tip(tenant("a")).await.expect("tip"), Tip::default());

    let commit = Commit {
        segments: vec![one("a", Head::default()), one("b", b)],
        units: Vec::new(),
    };
    store.commit(Arc::new(commit)).await.expect("both continue");
    let seqs = store.chains().await.expect("chains").into_iter();
    let seqs: Vec<_> = seqs.map(|(name, tip)| (name, tip.head.seq)).collect();
    assert_eq!(seqs, [(tenant("a"), 1), (tenant("b"), 2)]);
}

/// As a restore writes them.
async fn many(store: Arc<dyn Store>) {
    const COUNT: usize = 5000;
    let part = |name: &str, expected| {
        let drafts = vec![draft(&tenant(name), "a.happened", "s \u{fc}", r#"{"n":1.0}"#); COUNT];
        segment(expected, &drafts)
    };
    let commit = |segments: &[&Segment]| {
        let segments = segments.iter().copied().cloned().collect();
        let units = Vec::new();
        store.commit(Arc::new(Commit { segments, units }))
    };
    let first = part("a", Head::default());
    commit(&[&first]).await.expect("begin");
    let (second, other) = (part("a", first.tip().head), part("b", Head::default()));
    commit(&[&second, &other]).await.expect("continue");
    for stale in [&first, &second] {
        let late = commit(&[&part("c", Head::default()), stale]).await;
        assert!(
            matches!(late, Err(StoreError::Conflict { found, .. }) if found == second.tip().head)
        );
    }
    let chains = store.chains().await.expect("chains");
    assert_eq!(
        chains,
        [(tenant("a"), second.tip()), (tenant("b"), other.tip())]
    );
    let query = Query::new(tenant("a")).after(COUNT as u64 - 1).limit(2);
    let read = store.read(query).await.expect("read");
    assert_eq!(
        read,
        [&first.entries()[COUNT - 1..], &second.entries()[..1]].concat()
    );
}

async fn selects(store: Arc<dyn Store>) {
    let a = tenant("a");
    let drafts = [
        draft(&a, "call.intended", "x", "{}"),
        draft(&a, "call.completed", "x", "{}"),
        draft(&a, "caller.seen", "y", "{}"),
        draft(&a, "call.completed", "y", "{}"),
    ];
    let segment = segment(Head::default(), &drafts);
    let written = segment.entries().to_vec();
    let commit = Commit {
        segments: vec![segment],
        units: Vec::new(),
    };
    store.commit(Arc::new(commit)).await.expect("append");
    grow(&*store, "b", Head::default(), 1).await;
    let all = Query::new(a);
    for (query, expected) in [
        (all.clone(), &[1, 2, 3, 4][..]),
        (all.clone().after(2), &[3, 4]),
        (all.clone().after(4), &[]),
        (all.clone().after(u64::MAX), &[]),
        (all.clone().limit(2), &[1, 2]),
        (all.clone().after(1).limit(1), &[2]),
        (all.clone().kind("call"), &[1, 2, 4]),
        (all.clone().kind("call.completed"), &[2, 4]),
        (all.clone().kind("call.completed").limit(1), &[2]),
        (all.clone().kind("%"), &[]),
        (all.clone().subject("y"), &[3, 4]),
        (all.clone().subject("y").kind("call"), &[4]),
        (all.clone().subject("x").after(1), &[2]),
        (all.clone().subject(""), &[1, 2, 3, 4]),
        (Query::new(tenant("c")), &[]),
    ] {
        let read = store.read(query.clone()).await.expect("read");
        let seqs: Vec<_> = read.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, expected, "{query:?}");
        // Whatever stands in front of it in the answer.
        let whole = read.iter().all(|entry| written.contains(entry));
        assert!(whole, "{query:?}");
    }
}

async fn bounded(store: Arc<dyn Store>) {
    let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_BODY_BYTES - 8));
    let drafts = vec![draft(&tenant("a"), "a.b", "", &body); 6];
    let commit = Commit {
        segments: vec![segment(Head::default(), &drafts)],
        units: Vec::new(),
    };
    store.commit(Arc::new(commit)).await.expect("append");
    let mut after = 0;
    while after < 6 {
        let read = store.read(Query::new(tenant("a")).after(after)).await;
        let read = read.expect("read");
        let bytes: usize = read.iter().map(|entry| entry.body.len()).sum();
        assert!(bytes <= MAX_READ_BYTES, "{bytes}");
        after = read.last().expect("at least one entry").seq;
    }
}

fn write(key: &str, expected: Option<u64>, version: u64, body: Option<&str>) -> Write {
    Write {
        table: TABLE,
        tenant: tenant("a"),
        key: key.into(),
        expected,
        version,
        document: body.map(|body| Document {
            body: Bytes::copy_from_slice(body.as_bytes()),
            cells: [const { None }; super::MAX_COLUMNS],
        }),
    }
}

fn writing(expected: Option<u64>, version: u64, body: Option<&str>) -> Unit {
    Unit {
        fence: None,
        writes: vec![write("k", expected, version, body)],
    }
}

async fn apply(store: &dyn Store, units: Vec<Unit>) -> Result<(), StoreError> {
    let segments = Vec::new();
    store.commit(Arc::new(Commit { segments, units })).await
}

async fn versions(store: Arc<dyn Store>) {
    let steps: &[(Option<u64>, u64, Option<&str>, bool)] = &[
        (Some(1), 2, Some("\"absent\""), false),
        (Some(1), 2, None, false),
        (None, 2, None, true),
        (None, 3, Some("\"new\""), true),
        (None, 4, Some("\"twice\""), false),
        (None, 4, None, false),
        (Some(4), 5, Some("\"stale\""), false),
        (Some(3), 5, Some("\"changed\""), true),
        (Some(3), 6, None, false),
        (Some(5), 6, None, true),
        (Some(5), 7, Some("\"gone\""), false),
        (None, 8, Some("\"again\""), true),
    ];
    let mut expected = None;
    for (index, (version, new, body, works)) in steps.iter().enumerate() {
        let done = apply(&*store, vec![writing(*version, *new, *body)]).await;
        assert_eq!(done.is_ok(), *works, "step {index}: {done:?}");
        if *works {
            expected = body.map(|body| (*new, Bytes::copy_from_slice(body.as_bytes())));
        }
        let found = store.find(TABLE, tenant("a"), "k".into()).await;
        let found = found.expect("find").map(|row| (row.version, row.body));
        assert_eq!(found, expected, "step {index}");
    }
}

async fn refusals(store: Arc<dyn Store>) {
    let unit = |key, expected| Unit {
        fence: None,
        writes: vec![write(key, expected, 1, Some("{}"))],
    };
    let units = vec![unit("a", None), unit("b", Some(1)), unit("a", None)];
    let Err(StoreError::Refused(refused)) = apply(&*store, units).await else {
        panic!("two of three units do not hold");
    };
    let stale = |key: &str| Refusal::Stale {
        table: TABLE,
        key: key.into(),
    };
    assert_eq!(refused, [(1, stale("b")), (2, stale("a"))]);
    let found = store.find(TABLE, tenant("a"), "a".into()).await;
    assert_eq!(found.expect("find"), None, "nothing of it was written");
}

async fn columns(store: Arc<dyn Store>) {
    let unit = |owner: &str, key: &str, city: &str, until: Option<i64>| Unit {
        fence: None,
        writes: vec![Write {
            tenant: tenant(owner),
            document: Some(Document {
                body: Bytes::from_static(b"{}"),
                cells: [
                    Some(Cell::Text(city.to_owned())),
                    None,
                    None,
                    until.map(Cell::Integer),
                ],
            }),
            ..write(key, None, 1, None)
        }],
    };
    let units = vec![
        unit("a", "k1", "Boston", Some(30)),
        unit("a", "k2", "Boston", Some(-10)),
        unit("a", "k3", "Bern", Some(20)),
        unit("a", "k4", "Boston", None),
        unit("b", "k5", "Boston", Some(1)),
    ];
    apply(&*store, units).await.expect("write");
    let boston = |after: &str| Filter::Equal {
        column: 0,
        value: Cell::Text("Boston".to_owned()),
        after: after.to_owned(),
    };
    let at_most = |value| Filter::AtMost {
        column: 3,
        value: Cell::Integer(value),
    };
    let all = |after: &str| Filter::All {
        after: after.to_owned(),
    };
    for (filter, limit, expected) in [
        (all(""), 9, &["k1", "k2", "k3", "k4"][..]),
        (all("k2"), 1, &["k3"]),
        (boston(""), 9, &["k1", "k2", "k4"]),
        (boston("k1"), 1, &["k2"]),
        (at_most(20), 9, &["k2", "k3"]),
        (at_most(i64::MAX), 2, &["k2", "k3"]),
        (at_most(-11), 9, &[]),
    ] {
        let scan = Scan {
            table: TABLE,
            tenant: tenant("a"),
            filter: filter.clone(),
            limit,
        };
        let rows = store.scan(scan).await.expect("scan");
        let keys: Vec<_> = rows.iter().map(|row| &*row.key).collect();
        assert_eq!(keys, expected, "{filter:?}");
    }
}

async fn claim(store: &dyn Store, holder: &str, now: i64) -> Claimed {
    let claim = Claim {
        name: "sweeper".into(),
        holder: holder.into(),
        now: at(now),
        ttl: Duration::from_secs(10),
    };
    store.claim(claim).await.expect("claim")
}

fn fence(claimed: Claimed) -> Fence {
    match claimed {
        Claimed::Held { fence, .. } => fence,
        Claimed::Taken { until } => panic!("taken until {until}"),
    }
}

async fn leases(store: Arc<dyn Store>) {
    let first = claim(&*store, "one", 100).await;
    assert!(matches!(first, Claimed::Held { until, .. } if until == at(110)));
    let first = fence(first);
    let other = claim(&*store, "two", 109).await;
    assert_eq!(other, Claimed::Taken { until: at(110) });
    let renewed = claim(&*store, "one", 109).await;
    assert_eq!(
        renewed,
        Claimed::Held {
            fence: first.clone(),
            until: at(119)
        }
    );
    let second = fence(claim(&*store, "two", 119).await);
    assert!(second.token > first.token);
    store
        .release(first)
        .await
        .expect("a stale release is nothing");
    let taken = claim(&*store, "three", 120).await;
    assert_eq!(taken, Claimed::Taken { until: at(129) });
    store.release(second.clone()).await.expect("release");
    let third = fence(claim(&*store, "three", 120).await);
    assert!(third.token > second.token);
}

async fn fences(store: Arc<dyn Store>) {
    let fenced = |fence: &Fence| Unit {
        fence: Some(fence.clone()),
        writes: Vec::new(),
    };
    let first = fence(claim(&*store, "one", 100).await);
    apply(&*store, vec![fenced(&first)]).await.expect("held");
    let second = fence(claim(&*store, "two", 200).await);
    let name: Arc<str> = "sweeper".into();
    let Err(StoreError::Refused(refused)) = apply(&*store, vec![fenced(&first)]).await else {
        panic!("the first holder has lost it");
    };
    assert_eq!(refused, [(0, Refusal::Fenced { name })]);
    apply(&*store, vec![fenced(&second)]).await.expect("held");
    store.release(second.clone()).await.expect("release");
    let released = apply(&*store, vec![fenced(&second)]).await;
    released.expect_err("nobody holds it");
}

async fn hashes(store: Arc<dyn Store>) {
    grow(&*store, "a", Head::default(), 5).await;
    grow(&*store, "b", Head::default(), 7).await;
    let entries = store.read(Query::new(tenant("b"))).await.expect("read");
    let all: Vec<Hash> = entries.iter().map(|entry| entry.hash).collect();
    for (after, limit, expected) in [
        (0, 9, &all[..]),
        (0, 2, &all[..2]),
        (5, usize::MAX, &all[5..]),
        (7, 1, &[]),
        (u64::MAX, 1, &[]),
    ] {
        let found = store.hashes(tenant("b"), after, limit).await;
        assert_eq!(found.expect("read"), expected, "{after}, {limit}");
    }
    let none = store.hashes(tenant("nobody"), 0, 1).await;
    assert_eq!(none.expect("read"), []);
}

async fn tiles(store: Arc<dyn Store>) {
    grow(&*store, "a", Head::default(), 1).await;
    grow(&*store, "b", Head::default(), 1).await;
    let tile = |level, number, hashes: std::ops::Range<u8>| Tile {
        level,
        number,
        hashes: hashes.map(|byte| Hash::from_bytes([byte; 32])).collect(),
    };
    let put = async |name: &str, tiles: Vec<Tile>| {
        let put = store.put_tiles(tenant(name), tiles).await;
        put.expect("they are kept");
    };
    let find = async |name: &str, level, number| {
        let found = store.tile(tenant(name), level, number).await;
        found.expect("it is read")
    };
    assert_eq!(find("a", 1, 0).await, None);
    put("a", vec![tile(1, 0, 0..2), tile(2, 1 << 40, 9..10)]).await;
    put("b", vec![tile(1, 0, 5..8)]).await;
    assert_eq!(find("a", 1, 0).await, Some(tile(1, 0, 0..2).hashes));
    assert_eq!(find("a", 2, 1 << 40).await, Some(tile(2, 0, 9..10).hashes));
    assert_eq!(find("b", 1, 0).await, Some(tile(1, 0, 5..8).hashes));
    for other in [3..5, 1..4, 1..2] {
        put("a", vec![tile(1, 0, other.clone())]).await;
        assert_eq!(find("a", 1, 0).await, Some(tile(1, 0, other).hashes));
    }
    assert_eq!(find("a", 1, 1).await, None);
    assert_eq!(find("nobody", 1, 0).await, None);
}

async fn counted(store: Arc<dyn Store>) {
    let mut commits = store.commits();
    commits.borrow_and_update();
    let head = grow(&*store, "a", Head::default(), 1).await;
    assert!(commits.has_changed().expect("the store is there"));
    commits.borrow_and_update();
    grow(&*store, "a", head, 1).await;
    assert!(commits.has_changed().expect("the store is there"));
}

async fn closed(store: Arc<dyn Store>) {
    let head = grow(&*store, "a", Head::default(), 1).await;
    store.close().await;
    store.close().await;
    let commit = Commit {
        segments: vec![segment(head, &[draft(&tenant("a"), "a.b", "", "{}")])],
        units: Vec::new(),
    };
    let refused = store.commit(Arc::new(commit)).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    let read = store.read(Query::new(tenant("a"))).await.expect("read");
    assert_eq!(read.len(), 1);
}
