//! Drills that pass, and drills that have to fail.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::Arc;

use airside_archive::{
    drill::{DrillError, Driller, Passed, drill},
    restore::Folds,
};
use airside_base::{Clock, NodeId, Supervisor};
use airside_ledger::{
    Query, Store, Table,
    stores::{memory::Memory, sqlite::Sqlite},
};

use crate::{
    archive::Place,
    harness::{Holds, Rig, changed, draft, released, tenant},
};

fn folds() -> Folds {
    Folds::default().with::<Holds>()
}

async fn check(place: &Place, rig: &Rig, live: &dyn Store) -> Result<Passed, DrillError> {
    let folder = tempfile::tempdir().unwrap();
    let archive = place.archive().await.unwrap();
    let scratch = folder.path().join("scratch");
    let outcome = drill(&archive, live, &folds(), &scratch, &rig.clock).await;
    assert!(!scratch.exists());
    outcome
}

/// A ledger in memory with two documents, all of it in the archive.
async fn shipped(store: Arc<dyn Store>) -> (Place, Rig) {
    let rig = Rig::on(store).await;
    let place = Place::default();
    let mut archiver = place.archiver(&rig).await;
    let table = Table::<Holds>::new(rig.ledger.clone());
    for key in ["h1", "h2"] {
        let drafts = vec![changed(key, "Sea", 2)];
        table.append(None, drafts).await.unwrap();
    }
    rig.ledger.append(vec![draft("b", 1)]).await.unwrap();
    archiver.ship().await.unwrap();
    (place, rig)
}

#[tokio::test]
async fn what_has_changed_since_is_no_difference() {
    let store = Memory::new();
    let (place, rig) = shipped(Arc::new(store.clone())).await;
    let passed = check(&place, &rig, &store).await.unwrap();
    assert_eq!((passed.entries, passed.digest.documents), (3, 2));

    let table = Table::<Holds>::new(rig.ledger.clone());
    let find = async |key| table.find(&tenant("a"), key).await.unwrap();
    let drafts = vec![changed("h1", "Sea", 1)];
    table.append(find("h1").await, drafts).await.unwrap();
    let drafts = vec![released("h2")];
    table.append(find("h2").await, drafts).await.unwrap();
    let drafts = vec![changed("h3", "Sea", 1)];
    table.append(None, drafts).await.unwrap();
    let again = check(&place, &rig, &store).await.unwrap();
    assert_eq!(again.digest, passed.digest);
    rig.stop().await;
}

#[tokio::test]
async fn document_that_no_entry_explains_is_found() {
    for (sql, key) in [
        (
            "UPDATE documents SET body = CAST('{}' AS BLOB) WHERE key = 'h1'",
            "h1",
        ),
        ("DELETE FROM documents WHERE key = 'h2'", "h2"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(Sqlite::open(place.path(), &Supervisor::new()).unwrap());
        let (archive, rig) = shipped(store.clone()).await;
        let file = place.path().join("ledger.db");
        let damage = rusqlite::Connection::open(file).unwrap();
        damage.execute(sql, []).unwrap();
        let failed = check(&archive, &rig, &*store).await.unwrap_err();
        assert!(
            matches!(&failed, DrillError::Document(change) if &*change.key == key),
            "{failed}"
        );
        assert_eq!(failed.fault().code(), "LED-062");
        rig.stop().await;
    }
}

#[tokio::test]
async fn archive_of_another_ledger_is_found() {
    let (place, rig) = shipped(Arc::new(Memory::new())).await;
    let other = Memory::new();
    let other_rig = Rig::on(Arc::new(other.clone())).await;
    let drafts = (0..5).map(|n| draft("a", n)).collect();
    other_rig.ledger.append(drafts).await.unwrap();
    let failed = check(&place, &rig, &other).await.unwrap_err();
    assert!(matches!(failed, DrillError::Chain { .. }), "{failed}");
    other_rig.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn outcome_is_recorded() {
    let (place, rig) = shipped(Arc::new(Memory::new())).await;
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
    let driller = Driller::new(
        rig.ledger.clone(),
        place.archive().await.unwrap(),
        folds(),
        folder.path().join("scratch"),
        clock,
        NodeId::generate(&rig.clock),
    );
    driller.run().await;
    place.lose_segments().await;
    driller.run().await;
    let query = Query::new(airside_base::TenantId::default()).kind("drill");
    let entries = rig.ledger.read(query).await.unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["drill.passed", "drill.failed"]);
    let failed: serde_json::Value = entries[1].decode().unwrap();
    assert_eq!(failed["code"], "LED-055");
    rig.stop().await;
}
