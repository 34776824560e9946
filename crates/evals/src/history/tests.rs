use std::sync::Arc;

use airside_base::{OnFailure, Supervisor, VirtualClock};
use airside_ledger::{Kind, Options, stores::memory::Memory};
use serde_json::json;

use super::*;
use crate::trace::Usage;

struct Rig {
    desk: Desk,
    ledger: Ledger,
    clock: Arc<VirtualClock>,
    tasks: Supervisor,
    tenant: TenantId,
}

async fn rig() -> Rig {
    let clock = Arc::new(VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap()));
    let tasks = Supervisor::new();
    let ledger = Ledger::open(
        Arc::new(Memory::new()),
        clock.clone(),
        &tasks,
        Options::default(),
    )
    .await
    .unwrap();
    Rig {
        desk: Desk::new(ledger.clone(), clock.clone()),
        ledger,
        clock,
        tasks,
        tenant: TenantId::default(),
    }
}

/// Two cases: one shows a search, the other a booking tool as well.
fn results(model: &str) -> Results {
    let shown = |tools: &[&str]| Shown {
        model: "m".to_owned(),
        system: "s".to_owned(),
        server: "v".to_owned(),
        tools: tools
            .iter()
            .map(|tool| ((*tool).to_owned(), "d".to_owned()))
            .collect(),
    };
    let case = |place| CaseResult {
        verdict: Verdict::Pass,
        tally: Tally {
            trials: 2,
            passed: 2,
        },
        case: "c".to_owned(),
        shown: place,
    };
    Results {
        suite: "travel".to_owned(),
        model: model.to_owned(),
        verdict: Verdict::Pass,
        regressed: None,
        usage: Usage::default(),
        cases: [("search".to_owned(), case(0)), ("book".to_owned(), case(1))].into(),
        shown: vec![shown(&["find"]), shown(&["find", "crm_book"])],
    }
}

impl Rig {
    async fn contract(&self, kind: &'static str, tool: &str, state: &str) {
        let body = json!({
            "of": { "server": "crm", "class": "gateway", "tool": tool },
            "state": state, "classes": ["description"], "at": "2026-11-23T12:00:00Z",
        });
        let draft = Draft::new(self.tenant.clone(), Kind::new(kind), 1, "crm", &body).unwrap();
        self.ledger.append(vec![draft]).await.unwrap();
    }

    /// Looks at everything that is there, and returns the stale cases.
    async fn stale(&self) -> BTreeMap<String, Vec<String>> {
        let mut follower = self.ledger.follow(self.tenant.clone(), 0);
        for entry in follower.next_present().await.unwrap() {
            self.desk.look_at(&self.tenant, &entry).await.unwrap();
        }
        let all = self.desk.all(&self.tenant).await.unwrap();
        all.into_iter().next().unwrap().stale
    }
}

#[tokio::test]
async fn a_changed_tool_marks_the_cases_that_show_it_and_no_other() {
    let rig = rig().await;
    rig.contract("contract.changed", "find", "accepted").await;
    rig.desk
        .complete(&rig.tenant, results("m"), "ci".to_owned())
        .await
        .unwrap();
    assert!(rig.stale().await.is_empty(), "what changed before is known");
    rig.contract("contract.changed", "book", "held").await;
    rig.contract("contract.changed", "other", "accepted").await;
    assert!(rig.stale().await.is_empty(), "nobody sees a held change");
    rig.contract("contract.accepted", "book", "accepted").await;
    let stale = rig.stale().await;
    assert_eq!(stale["book"], ["tool crm_book"]);
    assert_eq!(stale["search"], ["new tool book"]);
    rig.contract("contract.changed", "find", "accepted").await;
    let stale = rig.stale().await;
    assert_eq!(stale["search"], ["new tool book", "tool find"]);
    assert_eq!(rig.stale().await, stale, "twice changes nothing");
    let entries = rig
        .ledger
        .read(airside_ledger::Query::new(rig.tenant.clone()))
        .await
        .unwrap();
    let marks = entries
        .iter()
        .filter(|entry| entry.kind.as_str() == "eval.stale");
    assert_eq!(marks.count(), 2);
    rig.tasks.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_case_that_is_run_again_is_fresh_and_others_keep_their_result() {
    let rig = rig().await;
    let first = results("m");
    rig.desk
        .complete(&rig.tenant, first, "ci".to_owned())
        .await
        .unwrap();
    rig.contract("contract.changed", "find", "accepted").await;
    assert_eq!(rig.stale().await.len(), 2);
    let mut again = results("m");
    again.cases.remove("book");
    again.shown.truncate(1);
    again.shown[0]
        .tools
        .insert("find".to_owned(), "e".to_owned());
    let known = rig
        .desk
        .complete(&rig.tenant, again, "ada".to_owned())
        .await
        .unwrap();
    assert_eq!(known.stale.keys().collect::<Vec<_>>(), ["book"]);
    assert_eq!(known.results.cases.len(), 2);
    let book = &known.results.shown[known.results.cases["book"].shown];
    assert_eq!(book.tools["find"], "d");
    rig.tasks.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn changes_while_no_node_watched_are_marked_when_one_does() {
    let rig = rig().await;
    rig.desk
        .complete(&rig.tenant, results("m"), "ci".to_owned())
        .await
        .unwrap();
    rig.contract("contract.changed", "find", "accepted").await;
    let (desk, tenant, stop) = (rig.desk.clone(), rig.tenant.clone(), rig.tasks.clone());
    rig.tasks.spawn("watch", OnFailure::Stop, async move {
        tokio::select! { () = desk.watch(tenant) => {}, () = stop.stopping() => {} }
    });
    let mut follower = rig.ledger.follow(rig.tenant.clone(), 0);
    let marked = loop {
        let entries = follower.next().await.unwrap();
        if let Some(entry) = entries.iter().find(|one| one.kind.as_str() == "eval.stale") {
            break entry.clone();
        }
    };
    assert_eq!(&*marked.subject, "travel@m");
    rig.clock.advance(PAUSE);
    rig.tasks.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn results_that_contradict_themselves_are_refused() {
    let rig = rig().await;
    let mut beyond = results("m");
    beyond.shown.clear();
    let mut nameless = results("");
    nameless.regressed = Some(true);
    for wrong in [beyond, nameless] {
        let refused = rig.desk.complete(&rig.tenant, wrong, "ci".to_owned()).await;
        assert_eq!(refused.unwrap_err().fault().code(), "EVL-030");
    }
    rig.tasks.stop(Duration::from_secs(1)).await;
}

#[test]
fn versions_decode_for_ever() {
    let golden = include_str!("golden.json");
    let entries: Vec<serde_json::Value> = serde_json::from_str(golden).unwrap();
    for entry in entries {
        let body = entry["body"].to_string();
        let written = match entry["kind"].as_str().unwrap() {
            "eval.completed" => {
                let read: event::Completed = serde_json::from_str(&body).unwrap();
                serde_json::to_value(read).unwrap()
            }
            "eval.stale" => {
                let read: event::Stale = serde_json::from_str(&body).unwrap();
                serde_json::to_value(read).unwrap()
            }
            other => panic!("{other} has no reader"),
        };
        assert_eq!(written, entry["body"]);
    }
}
