use std::{collections::BTreeSet, sync::Arc};

use airside_base::{Clock as _, Supervisor, TenantId, VirtualClock};
use airside_ledger::{Ledger, Options, stores::memory::Memory};

use crate::lesson::{self, Cause};
use crate::lot::{
    After, Change, Class, Desk, Error, Identity, Key, Mode, Plan, Request, Risk, Shown, Verdict,
    Word,
};

const DAY_S: i64 = 86_400;

struct Office {
    desk: Desk,
    clock: Arc<VirtualClock>,
    key: Key,
    supervisor: Supervisor,
    ledger: Ledger,
}

impl Office {
    async fn open() -> Self {
        let clock = Arc::new(VirtualClock::new("2026-11-01T00:00:00Z".parse().unwrap()));
        let supervisor = Supervisor::new();
        let store = Arc::new(Memory::new());
        let opened = Ledger::open(store, clock.clone(), &supervisor, Options::default()).await;
        let ledger = opened.unwrap();
        Self {
            desk: Desk::new(ledger.clone(), clock.clone()),
            clock,
            key: Key::parse(&airside_base::secret_token()).unwrap(),
            supervisor,
            ledger,
        }
    }

    fn plan(&self) -> Plan {
        Plan {
            repository: "hotels".to_owned(),
            until: self.clock.now() + jiff::SignedDuration::from_secs(30 * DAY_S),
            limit: 500,
            accept: 0,
            counts: Class::Major,
            threshold: 50,
            exclude: BTreeSet::new(),
            due_days: 10,
            checklist: "v1".to_owned(),
        }
    }

    async fn ask(&self, request: Request) -> Result<Shown, Error> {
        let mut shown = self.desk.ask(&TenantId::default(), request).await?;
        Ok(shown.remove(0))
    }

    async fn begin(&self, lot: &str) -> Shown {
        let plan = Box::new(self.plan());
        let commitment = self.key.commitment();
        let lot = lot.to_owned();
        let open = Request::Open {
            lot,
            plan,
            commitment,
        };
        self.ask(open).await.unwrap()
    }

    fn change(&self, n: usize, score: Option<u32>) -> Change {
        Change {
            identity: Identity {
                repository: "hotels".to_owned(),
                commit: format!("{n:040x}"),
                patch: format!("p{n}"),
                sources: Vec::new(),
            },
            merged: self.clock.now(),
            attribution: Default::default(),
            areas: vec![format!("src/{}", n % 7)],
            risk: score.map(|score| Risk {
                score,
                triggers: Vec::new(),
            }),
            exclusion: None,
        }
    }

    fn changes(&self, count: usize) -> Vec<Change> {
        let score = |n: usize| match n % 50 {
            0 => None,
            1 => Some(80),
            _ => Some(3),
        };
        (0..count).map(|n| self.change(n, score(n))).collect()
    }

    async fn advance(&self, days: i64) {
        let by = std::time::Duration::from_secs((days * DAY_S) as u64);
        self.clock.advance(by);
    }

    async fn drawn(&self, lot: &str, changes: Vec<Change>, planted: Vec<Identity>) -> Shown {
        self.advance(31).await;
        let draw = Request::Draw {
            lot: lot.to_owned(),
            key: self.key.reveal(),
            beacon: "storm".to_owned(),
            changes,
            planted,
        };
        self.ask(draw).await.unwrap()
    }

    async fn judge(&self, lot: &str, id: &str, word: Word, class: Option<Class>) {
        let verdict = Verdict {
            word,
            class,
            sort: class.map(|_| "injection".to_owned()),
            evidence: class.map(|_| "a.py:3".to_owned()),
            reviewer: "r1".to_owned(),
            minutes: 9,
            revision: "abc".to_owned(),
            checklist: "v1".to_owned(),
        };
        let judge = Request::Judge {
            lot: lot.to_owned(),
            change: id.to_owned(),
            verdict: Box::new(verdict),
            supersede: false,
        };
        self.ask(judge).await.unwrap();
    }

    async fn close(&self, lot: &str) -> Result<Shown, Error> {
        let (lot, key) = (lot.to_owned(), self.key.reveal());
        self.ask(Request::Close { lot, key }).await
    }

    async fn lessons(&self) -> Vec<lesson::Shown> {
        let desk = lesson::Desk::new(self.ledger.clone(), self.clock.clone());
        let list = lesson::Request::List {
            repository: None,
            paid: false,
        };
        desk.ask(&TenantId::default(), "owner", list).await.unwrap()
    }

    async fn end(self) {
        let Self {
            desk,
            ledger,
            supervisor,
            ..
        } = self;
        drop((desk, ledger));
        supervisor.stop(std::time::Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn lot_goes_from_plan_to_statement() {
    let office = Office::open().await;
    office.begin("2026-11").await;
    let changes = office.changes(1000);
    let shown = office.drawn("2026-11", changes, Vec::new()).await;
    // 20 without a score and 20 with a high one; 57 of 960 show fewer than 5 %.
    assert_eq!(
        (shown.mandatory, shown.population, shown.drawn),
        (40, 960, 57)
    );
    assert!(shown.statement.is_none());
    assert!(matches!(office.close("2026-11").await, Err(Error::Look(_))));
    for item in &shown.items {
        office
            .judge("2026-11", &item.id, Word::NoDefect, None)
            .await;
    }
    let closed = office.close("2026-11").await.unwrap();
    let statement = closed.statement.unwrap();
    assert_eq!((statement.bound, statement.counted), (47, 0));
    assert!(statement.passes);
    for part in [
        "at most 47 of the 903 unreviewed changes",
        "assumes that reviewers miss nothing",
        "Not covered: ",
    ] {
        assert!(statement.text.contains(part), "{part}: {}", statement.text);
    }
    let second = office.close("2026-11").await;
    assert!(matches!(second, Err(Error::Look(_))), "{second:?}");
    office.end().await;
}

#[tokio::test]
async fn missing_and_undecided_verdicts_count_as_defects() {
    let office = Office::open().await;
    office.begin("l").await;
    let shown = office.drawn("l", office.changes(0), Vec::new()).await;
    assert_eq!(shown.items.len(), 0);
    office.begin("m").await;
    let changes: Vec<Change> = (0..200).map(|n| office.change(n, Some(1))).collect();
    let shown = office.drawn("m", changes, Vec::new()).await;
    assert_eq!(shown.drawn, 51);
    office
        .judge("m", &shown.items[0].id, Word::CannotTell, None)
        .await;
    let minor = (Word::Defect, Some(Class::Minor));
    office
        .judge("m", &shown.items[1].id, minor.0, minor.1)
        .await;
    office.advance(11).await;
    let statement = office.close("m").await.unwrap().statement.unwrap();
    assert_eq!(
        (statement.counted, statement.missing, statement.cannot_tell),
        (50, 49, 1)
    );
    assert!(!statement.passes);
    office.end().await;
}

#[tokio::test]
async fn planted_defects_measure_reviewers_without_showing() {
    let office = Office::open().await;
    office.begin("l").await;
    let changes: Vec<Change> = (0..1000).map(|n| office.change(n, Some(1))).collect();
    let planted: Vec<Identity> = (5000..5020)
        .map(|n| office.change(n, None).identity)
        .collect();
    let ids: BTreeSet<String> = planted.iter().map(Identity::id).collect();
    let shown = office.drawn("l", changes, planted).await;
    assert_eq!(shown.items.len(), 57 + 20);
    let first: Vec<bool> = shown
        .items
        .iter()
        .map(|item| ids.contains(&item.id))
        .collect();
    assert!(
        first.windows(2).filter(|pair| pair[0] != pair[1]).count() > 5,
        "mixed"
    );
    let mut caught = 0;
    for item in &shown.items {
        let is_caught = ids.contains(&item.id) && caught < 15;
        caught += usize::from(is_caught);
        let (word, class) = match is_caught {
            true => (Word::Defect, Some(Class::Major)),
            false => (Word::NoDefect, None),
        };
        office.judge("l", &item.id, word, class).await;
    }
    let statement = office.close("l").await.unwrap().statement.unwrap();
    let allowing = statement.allowing.unwrap();
    assert_eq!(
        (allowing.planted, allowing.caught, statement.counted),
        (20, 15, 0)
    );
    assert!((allowing.sensitivity - 0.509).abs() < 0.001);
    assert!(allowing.bound > statement.bound);
    assert!(!statement.text.contains("miss nothing"));
    office.end().await;
}

#[tokio::test]
async fn critical_defect_tightens_reviews_until_two_lots_pass() {
    let office = Office::open().await;
    for (lot, is_bad, mode) in [
        ("a", true, Mode::Normal),
        ("b", false, Mode::Tightened),
        ("c", false, Mode::Tightened),
        ("d", false, Mode::Normal),
    ] {
        assert_eq!(office.begin(lot).await.mode, mode, "{lot}");
        let changes: Vec<Change> = (0..100).map(|n| office.change(n, Some(30))).collect();
        let shown = office.drawn(lot, changes, Vec::new()).await;
        // Half the threshold makes all of them mandatory, critical areas too.
        assert_eq!(shown.mandatory > 0, mode == Mode::Tightened, "{lot}");
        for (n, item) in shown.items.iter().enumerate() {
            let (word, class) = match is_bad && n == 0 {
                true => (Word::Defect, Some(Class::Critical)),
                false => (Word::NoDefect, None),
            };
            office.judge(lot, &item.id, word, class).await;
        }
        office.close(lot).await.unwrap();
    }
    office.end().await;
}

#[tokio::test]
async fn draw_refuses_what_the_key_could_have_been_chosen_for() {
    let office = Office::open().await;
    let before = office.change(1, Some(1));
    office.advance(1).await;
    office.begin("l").await;
    let late = office.plan().until + jiff::SignedDuration::from_secs(60);
    let mut after = office.change(2, Some(1));
    after.merged = late;
    let mut foreign = office.change(3, Some(1));
    foreign.identity.repository = "flights".to_owned();
    let twice = office.change(4, Some(1));
    office.advance(31).await;
    for changes in [
        vec![before],
        vec![after],
        vec![foreign],
        vec![twice.clone(), twice],
    ] {
        let draw = Request::Draw {
            lot: "l".to_owned(),
            key: office.key.reveal(),
            beacon: String::new(),
            changes,
            planted: Vec::new(),
        };
        let refused = office.ask(draw).await;
        assert!(matches!(refused, Err(Error::Change { .. })), "{refused:?}");
    }
    let draw = Request::Draw {
        lot: "l".to_owned(),
        key: airside_base::secret_token(),
        beacon: String::new(),
        changes: Vec::new(),
        planted: Vec::new(),
    };
    assert!(matches!(office.ask(draw).await, Err(Error::Key)));
    office.end().await;
}

#[tokio::test]
async fn changed_plan_has_no_statement() {
    let office = Office::open().await;
    office.begin("l").await;
    let shown = office.drawn("l", office.changes(10), Vec::new()).await;
    for item in &shown.items {
        office.judge("l", &item.id, Word::NoDefect, None).await;
    }
    // Not through the desk, which refuses a name that is used: straight into the ledger.
    let mut plan = office.plan();
    plan.limit = 5000;
    let opened = crate::lot::event::Opened {
        digest: plan.digest(),
        plan,
        commitment: office.key.commitment(),
        mode: Mode::Normal,
        areas: BTreeSet::new(),
        at: office.clock.now(),
    };
    let draft = airside_ledger::Draft::new(
        TenantId::default(),
        crate::lot::event::OPENED,
        crate::lot::event::VERSION,
        "l",
        &opened,
    );
    let table = airside_ledger::Table::<crate::lot::Lots>::new(office.ledger.clone());
    let prior = table.find(&TenantId::default(), "l").await.unwrap();
    table.append(prior, vec![draft.unwrap()]).await.unwrap();
    let refused = office.close("l").await;
    assert!(matches!(refused, Err(Error::Look(reason)) if reason.contains("plan")));
    office.end().await;
}

#[tokio::test]
async fn outcome_is_kept_beside_the_bound() {
    let office = Office::open().await;
    office.begin("l").await;
    let changes = office.changes(30);
    let id = changes[5].identity.id();
    office.drawn("l", changes, Vec::new()).await;
    let outcome = |change: &str| Request::Outcome {
        lot: "l".to_owned(),
        change: change.to_owned(),
        after: After::Revert,
        reference: "commit 12ab".to_owned(),
        lesson_days: 3,
    };
    let shown = office.ask(outcome(&id)).await.unwrap();
    assert_eq!(shown.outcomes.len(), 1);
    assert!(office.ask(outcome("unknown")).await.is_err());
    // It owes a lesson, by the commit, whether or not the change was drawn.
    let owed = office.lessons().await;
    assert_eq!(owed.len(), 1);
    let debt = &owed[0].lesson.debt;
    assert_eq!(
        (debt.change.as_str(), debt.cause),
        (&*format!("{:040x}", 5), Cause::Revert)
    );
    assert_eq!(owed[0].lesson.due.to_string(), "2026-12-05");
    office.end().await;
}

/// Gives the verdict `no-defect` on everything and looks.
async fn pass(office: &Office, lot: &str, shown: &Shown) -> Shown {
    for item in &shown.items {
        office.judge(lot, &item.id, Word::NoDefect, None).await;
    }
    office.close(lot).await.unwrap()
}

#[tokio::test]
async fn outcomes_stand_beside_the_bound_in_the_statement() {
    let office = Office::open().await;
    office.begin("l").await;
    let changes: Vec<Change> = (0..200).map(|n| office.change(n, Some(1))).collect();
    let ids: Vec<String> = changes.iter().map(|one| one.identity.id()).collect();
    let shown = office.drawn("l", changes, Vec::new()).await;
    let drawn: BTreeSet<&String> = shown.items.iter().map(|item| &item.id).collect();
    let (read, unread): (Vec<&String>, Vec<&String>) =
        ids.iter().partition(|id| drawn.contains(id));
    let outcome = async |change: &String, after: After| {
        let outcome = Request::Outcome {
            lot: "l".to_owned(),
            change: change.clone(),
            after,
            reference: "INC-7".to_owned(),
            lesson_days: 14,
        };
        office.ask(outcome).await.unwrap()
    };
    outcome(read[0], After::Hotfix).await;
    outcome(unread[0], After::Revert).await;
    // The same again, and another word for the same change.
    outcome(unread[0], After::Revert).await;
    outcome(unread[0], After::Incident).await;
    let statement = pass(&office, "l", &shown).await.statement.unwrap();
    let part = "1 revert, 1 hotfix, 1 incident, by change; 0 in the mandatory stratum, 1 drawn, \
                1 unreviewed";
    assert!(statement.text.contains(part), "{}", statement.text);
    assert!(!statement.text.contains("More unreviewed changes"));
    // What is recorded later is shown later; the statement stays.
    let more = statement.bound - statement.counted;
    for id in &unread[1..=more] {
        outcome(id, After::Revert).await;
    }
    let later = office
        .ask(Request::Show {
            lot: "l".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(later.statement.as_ref(), Some(&statement));
    let became = later.became.unwrap();
    assert_eq!(became.unreviewed, more + 1);
    assert!(became.contradicts(&statement));
    assert!(
        became
            .text(Some(&statement))
            .contains("More unreviewed changes")
    );
    office.end().await;
}

#[tokio::test]
async fn defects_that_reviewers_find_and_lots_that_fail_owe_lessons() {
    let office = Office::open().await;
    office.begin("2026-11").await;
    let changes: Vec<Change> = (0..60).map(|n| office.change(n, Some(1))).collect();
    let planted = vec![office.change(5000, None).identity];
    let known = planted[0].id();
    let shown = office.drawn("2026-11", changes, planted).await;
    let mut bad = String::new();
    for (n, item) in shown.items.iter().enumerate() {
        let real = item.id != known && bad.is_empty() && n < 5;
        let (word, class) = match real || item.id == known {
            true => (Word::Defect, Some(Class::Critical)),
            false => (Word::NoDefect, None),
        };
        if real {
            bad.clone_from(&item.change.commit);
        }
        office.judge("2026-11", &item.id, word, class).await;
    }
    office.close("2026-11").await.unwrap();
    let mut owed: Vec<(Cause, String)> = office
        .lessons()
        .await
        .into_iter()
        .map(|one| (one.lesson.debt.cause, one.lesson.debt.change))
        .collect();
    owed.sort();
    // Of the planted defect there is nothing to learn.
    let expected = [(Cause::Defect, bad), (Cause::Lot, "2026-11".to_owned())];
    assert_eq!(owed, expected);
    office.end().await;
}

#[test]
fn unknown_words_are_refused() {
    for word in ["lgtm", "ok", "", "No-Defect"] {
        let refused = word.parse::<Word>();
        assert!(matches!(refused, Err(Error::Word { .. })), "{word}");
    }
    assert_eq!("cannot-tell".parse::<Word>().unwrap(), Word::CannotTell);
}

#[tokio::test]
async fn lot_that_is_open_or_unknown_has_no_statement() {
    let office = Office::open().await;
    assert!(matches!(
        office.close("l").await,
        Err(Error::Missing { .. })
    ));
    office.begin("l").await;
    let refused = office.close("l").await;
    assert!(
        matches!(refused, Err(Error::State { state: "open", .. })),
        "{refused:?}"
    );
    let early = Request::Draw {
        lot: "l".to_owned(),
        key: office.key.reveal(),
        beacon: String::new(),
        changes: Vec::new(),
        planted: Vec::new(),
    };
    let refused = office.ask(early).await;
    assert!(
        matches!(refused, Err(Error::State { .. })),
        "before its end"
    );
    office.drawn("l", office.changes(20), Vec::new()).await;
    let (lot, key) = ("l".to_owned(), airside_base::secret_token());
    let refused = office.ask(Request::Close { lot, key }).await;
    assert!(matches!(refused, Err(Error::Key)), "{refused:?}");
    office.end().await;
}

impl Office {
    /// Writes an entry past the desk, as a damaged or hostile writer would.
    async fn force(&self, kind: airside_ledger::Kind, body: &serde_json::Value) {
        let tenant = TenantId::default();
        let draft = airside_ledger::Draft::new(tenant.clone(), kind, 1, "l", body).unwrap();
        let table = airside_ledger::Table::<crate::lot::Lots>::new(self.ledger.clone());
        let prior = table.find(&tenant, "l").await.unwrap();
        table.append(prior, vec![draft]).await.unwrap();
    }
}

#[tokio::test]
async fn words_that_nobody_knows_do_not_dilute_the_count() {
    use crate::lot::event::{DRAWN, JUDGED};
    let office = Office::open().await;
    office.begin("l").await;
    let changes: Vec<Change> = (0..30).map(|n| office.change(n, Some(1))).collect();
    let shown = office.drawn("l", changes, Vec::new()).await;
    let judged = |word: &str| {
        serde_json::json!({
            "change": shown.items[0].id,
            "verdict": {
                "word": word, "reviewer": "r", "minutes": 1, "revision": "r", "checklist": "v1",
            },
            "at": office.clock.now(),
        })
    };
    office.force(JUDGED, &judged("lgtm")).await;
    // A second draw does not replace the first.
    office
        .force(DRAWN, &serde_json::json!({ "at": office.clock.now() }))
        .await;
    for item in &shown.items[1..] {
        office.judge("l", &item.id, Word::NoDefect, None).await;
    }
    assert!(
        matches!(office.close("l").await, Err(Error::Look(_))),
        "one is missing"
    );
    office.advance(11).await;
    let statement = office.close("l").await.unwrap().statement.unwrap();
    assert_eq!((statement.counted, statement.missing), (1, 1));
    office.end().await;
}

#[tokio::test]
async fn planted_defects_without_a_verdict_or_an_opinion_are_not_caught() {
    let office = Office::open().await;
    office.begin("l").await;
    let changes: Vec<Change> = (0..60).map(|n| office.change(n, Some(1))).collect();
    let planted: Vec<Identity> = (500..503)
        .map(|n| office.change(n, None).identity)
        .collect();
    let ids: Vec<String> = planted.iter().map(Identity::id).collect();
    let shown = office.drawn("l", changes, planted).await;
    for item in &shown.items {
        match ids.iter().position(|id| *id == item.id) {
            Some(0) => {}
            Some(1) => office.judge("l", &item.id, Word::CannotTell, None).await,
            // Found, but not as bad as it is.
            Some(_) => {
                let minor = Some(Class::Minor);
                office.judge("l", &item.id, Word::Defect, minor).await;
            }
            None => office.judge("l", &item.id, Word::NoDefect, None).await,
        }
    }
    office.advance(11).await;
    let statement = office.close("l").await.unwrap().statement.unwrap();
    let allowing = statement.allowing.unwrap();
    assert_eq!((allowing.planted, allowing.caught), (3, 0));
    // Who catches nothing shows nothing: all that were drawn may be defective too.
    assert_eq!((statement.counted, allowing.bound), (0, 60));
    office.end().await;
}

#[tokio::test]
async fn bound_above_the_limit_tightens_reviews_without_a_critical_defect() {
    let office = Office::open().await;
    office.begin("a").await;
    let changes: Vec<Change> = (0..100).map(|n| office.change(n, Some(1))).collect();
    let shown = office.drawn("a", changes, Vec::new()).await;
    office
        .judge("a", &shown.items[0].id, Word::Defect, Some(Class::Major))
        .await;
    for item in &shown.items[1..] {
        office.judge("a", &item.id, Word::NoDefect, None).await;
    }
    let statement = office.close("a").await.unwrap().statement.unwrap();
    assert!(!statement.passes, "{}", statement.text);
    let next = office.begin("b").await;
    assert_eq!(next.mode, Mode::Tightened);
    office.end().await;
}

#[tokio::test]
async fn nothing_but_counts_is_shown_before_the_look() {
    let office = Office::open().await;
    office.begin("l").await;
    let shown = office.drawn("l", office.changes(60), Vec::new()).await;
    let major = Some(Class::Major);
    office
        .judge("l", &shown.items[0].id, Word::Defect, major)
        .await;
    office
        .judge("l", &shown.items[1].id, Word::NoDefect, None)
        .await;
    let shown = office
        .ask(Request::Show {
            lot: "l".to_owned(),
        })
        .await
        .unwrap();
    let mut told = serde_json::to_value(&shown).unwrap();
    assert_eq!(told["items"][0]["verdicts"], 1);
    // The plan says what counts.
    told["plan"] = serde_json::Value::Null;
    let told = told.to_string();
    for word in ["major", "injection", "defect", "a.py:3", "bound"] {
        assert!(!told.contains(word), "{word}: {told}");
    }
    office.end().await;
}

#[tokio::test]
async fn verdict_is_superseded_and_never_edited() {
    let office = Office::open().await;
    office.begin("l").await;
    let shown = office.drawn("l", office.changes(30), Vec::new()).await;
    let id = &shown.items[0].id;
    let say = |word: Word, supersede: bool| Request::Judge {
        lot: "l".to_owned(),
        change: id.clone(),
        verdict: Box::new(Verdict {
            word,
            class: None,
            sort: None,
            evidence: None,
            reviewer: "r1".to_owned(),
            minutes: 9,
            revision: "abc".to_owned(),
            checklist: "v1".to_owned(),
        }),
        supersede,
    };
    assert!(
        office.ask(say(Word::NoDefect, true)).await.is_err(),
        "nothing is there"
    );
    office.ask(say(Word::NoDefect, false)).await.unwrap();
    assert!(office.ask(say(Word::CannotTell, false)).await.is_err());
    let shown = office.ask(say(Word::CannotTell, true)).await.unwrap();
    assert_eq!(shown.items[0].verdicts, 2);
    office.end().await;
}
