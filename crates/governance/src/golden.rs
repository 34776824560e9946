//! What this crate has ever written into the ledger is read for ever.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    lesson::{self, event as lessons},
    lot::{self, event as lots},
    register::{self, event as findings},
};

fn again<T: Serialize + DeserializeOwned>(body: &Value) -> Value {
    let read: T = serde_json::from_value(body.clone()).expect("a recorded body decodes");
    serde_json::to_value(read).expect("it is JSON")
}

#[test]
fn every_recorded_version_still_decodes() {
    let golden = include_str!("events.golden.json");
    let entries: Vec<Value> = serde_json::from_str(golden).expect("it is JSON");
    let mut kinds = std::collections::BTreeSet::new();
    for entry in &entries {
        let kind = entry["kind"].as_str().expect("it is named");
        assert_eq!(entry["version"], 1, "{kind}");
        let body = &entry["body"];
        let written = match kind {
            "review.lot_opened" => again::<lots::Opened>(body),
            "review.changes_listed" => again::<lots::Listed>(body),
            "review.lot_drawn" => again::<lot::Draw>(body),
            "review.verdict_given" => again::<lots::Judged>(body),
            "review.lot_closed" => again::<lot::Closing>(body),
            "review.outcome_recorded" => again::<lot::Outcome>(body),
            "review.finding_opened" | "review.finding_changed" => again::<findings::Judged>(body),
            "review.finding_closed" => again::<findings::Closed>(body),
            "review.finding_excepted" => again::<findings::Excepted>(body),
            "review.finding_resumed" => again::<findings::Resumed>(body),
            "review.finding_assigned" => again::<findings::Assigned>(body),
            "review.tree_recorded" => again::<register::Tree>(body),
            "review.lesson_owed" => again::<lessons::Owed>(body),
            "review.lesson_learned" | "review.lesson_waived" => again::<lesson::Paid>(body),
            other => panic!("{other} has no reader"),
        };
        assert_eq!(&written, body, "{kind}");
        kinds.insert(kind);
    }
    // One for each sort of entry that is written.
    let written = [
        lots::OPENED,
        lots::LISTED,
        lots::DRAWN,
        lots::JUDGED,
        lots::CLOSED,
        lots::OUTCOME,
        findings::OPENED,
        findings::CHANGED,
        findings::CLOSED,
        findings::EXCEPTED,
        findings::RESUMED,
        findings::ASSIGNED,
        findings::RECORDED,
        lessons::OWED,
        lessons::LEARNED,
        lessons::WAIVED,
    ];
    for kind in &written {
        assert!(kinds.contains(kind.as_str()), "{kind:?} is not recorded");
    }
}
