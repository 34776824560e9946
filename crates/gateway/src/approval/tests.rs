use airside_base::{Supervisor, VirtualClock};
use airside_ledger::{Options, stores::memory::Memory};

use super::*;

struct House {
    desk: Desk,
    ledger: Ledger,
    clock: Arc<VirtualClock>,
    _tasks: Supervisor,
}

async fn house() -> House {
    let clock = Arc::new(VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap()));
    let tasks = Supervisor::new();
    let ledger = Ledger::open(
        Arc::new(Memory::new()),
        clock.clone(),
        &tasks,
        Options::default(),
    )
    .await;
    let ledger = ledger.unwrap();
    House {
        desk: Desk::new(ledger.clone(), clock.clone()),
        ledger,
        clock,
        _tasks: tasks,
    }
}

fn bound() -> Bound {
    Bound {
        tenant: TenantId::default(),
        kind: "api_key",
        caller: "ci".into(),
        claims: String::new(),
        server: "hotels".into(),
        method: "tools/call".into(),
        name: "book".into(),
        arguments: digest(r#"{"a":1}"#).unwrap(),
        policy: "v1".into(),
    }
}

fn question(bound: &Bound, asked: Asked) -> Question<'_> {
    Question {
        bound,
        asked,
        policies: vec!["big".into()],
        hint: None,
        shown: Vec::new(),
    }
}

/// How a question stands. An agreement is used up.
async fn told(answer: Answer) -> String {
    match answer {
        Answer::Agreed(agreement) => {
            let by = agreement.by();
            match agreement.spend().await {
                Ok(()) => format!("Agreed({by:?})"),
                Err(error) => error.fault().code().to_owned(),
            }
        }
        other => format!("{other:?}"),
    }
}

impl House {
    /// Asks about `bound` and returns how that stands; uses an agreement up.
    async fn settle(&self, bound: &Bound, asked: Asked) -> (String, String) {
        let settled = self.desk.settle(&question(bound, asked), "call-1").await;
        let (id, answer) = settled.unwrap();
        (id, told(answer).await)
    }

    async fn decide(&self, id: &str, decision: Decision) -> Result<Document, Error> {
        let tenant = TenantId::default();
        self.desk
            .decide(&tenant, id, decision, ("ops", Some("known guest")))
            .await
    }

    async fn open(&self) -> usize {
        let tenant = TenantId::default();
        self.desk.list(&tenant, false, 100).await.unwrap().len()
    }

    async fn kinds(&self) -> Vec<String> {
        let query = airside_ledger::Query::new(TenantId::default()).kind("approval");
        let entries = self.ledger.read(query).await.unwrap();
        entries
            .iter()
            .map(|entry| entry.kind.as_str().to_owned())
            .collect()
    }
}

#[tokio::test]
async fn an_agreement_is_for_one_call() {
    let house = house().await;
    let bound = bound();
    let (id, answer) = house.settle(&bound, Asked::Operator).await;
    assert_eq!(answer, "Open");
    assert_eq!(
        house.settle(&bound, Asked::Operator).await,
        (id.clone(), "Open".into())
    );
    house.decide(&id, Decision::Approved).await.unwrap();
    assert_eq!(house.open().await, 0);
    assert_eq!(
        house.settle(&bound, Asked::Operator).await,
        (id.clone(), "Agreed(Operator)".into())
    );
    let (next, answer) = house.settle(&bound, Asked::Operator).await;
    assert_ne!(next, id);
    assert_eq!(answer, "Open");
    let expected = [
        "approval.requested",
        "approval.decided",
        "approval.used",
        "approval.requested",
    ];
    assert_eq!(house.kinds().await, expected);
}

#[tokio::test]
async fn an_agreement_is_bound_to_the_exact_call() {
    let house = house().await;
    let (id, _) = house.settle(&bound(), Asked::Operator).await;
    house.decide(&id, Decision::Approved).await.unwrap();
    let other = |change: fn(&mut Bound)| {
        let mut other = bound();
        change(&mut other);
        other
    };
    for other in [
        other(|bound| bound.caller = "cd".into()),
        other(|bound| bound.kind = "token"),
        other(|bound| bound.claims = "x".into()),
        other(|bound| bound.tenant = "acme".parse().unwrap()),
        other(|bound| bound.server = "flights".into()),
        other(|bound| bound.method = "prompts/get".into()),
        other(|bound| bound.name = "cancel".into()),
        other(|bound| bound.arguments = digest(r#"{"a":2}"#).unwrap()),
        other(|bound| bound.policy = "v2".into()),
    ] {
        let (_, answer) = house.settle(&other, Asked::Operator).await;
        assert_eq!(answer, "Open", "{other:?}");
    }
    let (_, answer) = house.settle(&bound(), Asked::Operator).await;
    assert_eq!(answer, "Agreed(Operator)");
}

#[tokio::test]
async fn a_refusal_stands_until_it_ends_and_silence_is_no() {
    let house = house().await;
    let (id, _) = house.settle(&bound(), Asked::Client).await;
    house.decide(&id, Decision::Denied).await.unwrap();
    assert_eq!(house.settle(&bound(), Asked::Client).await.1, "Denied");
    let again = house.decide(&id, Decision::Approved).await.unwrap_err();
    assert_eq!(again.fault().code(), "POL-046");
    house.clock.advance(LIFETIME);
    let (next, answer) = house.settle(&bound(), Asked::Client).await;
    assert_eq!(answer, "Open");
    house.clock.advance(LIFETIME);
    let late = house.decide(&next, Decision::Approved).await.unwrap_err();
    assert_eq!(late.fault().code(), "POL-045");
    assert_eq!(house.open().await, 0);
    assert_eq!(house.kinds().await.last().unwrap(), "approval.expired");
}

#[tokio::test]
async fn an_unused_agreement_ends_too() {
    let house = house().await;
    let (id, _) = house.settle(&bound(), Asked::Operator).await;
    house.decide(&id, Decision::Approved).await.unwrap();
    house.clock.advance(LIFETIME);
    assert_eq!(house.settle(&bound(), Asked::Operator).await.1, "Open");
}

#[tokio::test]
async fn the_client_answers_its_own_question_once() {
    let house = house().await;
    let bound = bound();
    let question = question(&bound, Asked::Client);
    let (id, _) = house.settle(&bound, Asked::Client).await;
    let elsewhere = Bound {
        arguments: digest("{}").unwrap(),
        ..bound.clone()
    };
    let foreign = Question {
        bound: &elsewhere,
        policies: Vec::new(),
        shown: Vec::new(),
        hint: None,
        asked: Asked::Client,
    };
    let wrong = house
        .desk
        .answered(&foreign, (&id, true), "c")
        .await
        .unwrap_err();
    assert_eq!(wrong.fault().code(), "POL-045");
    let answer = house
        .desk
        .answered(&question, (&id, true), "c")
        .await
        .unwrap();
    assert_eq!(told(answer).await, "Agreed(Client)");
    let again = house
        .desk
        .answered(&question, (&id, true), "c")
        .await
        .unwrap_err();
    assert_eq!(again.fault().code(), "POL-045");
    let (for_operator, _) = house.settle(&bound, Asked::Operator).await;
    let own = house
        .desk
        .answered(&question, (&for_operator, true), "c")
        .await
        .unwrap_err();
    assert_eq!(
        own.fault().code(),
        "POL-045",
        "a client does not answer for an operator"
    );
}

#[tokio::test]
async fn one_of_many_uses_it_and_a_restart_forgets_nothing() {
    let house = house().await;
    let bound = bound();
    let (id, _) = house.settle(&bound, Asked::Operator).await;
    house.decide(&id, Decision::Approved).await.unwrap();
    // Another node, or the same after a restart, has nothing but the ledger.
    let other = Desk::new(house.ledger.clone(), house.clock.clone());
    let question = question(&bound, Asked::Operator);
    let all = futures_util::future::join_all((0..8).map(|number| {
        let desk = if number % 2 == 0 { &house.desk } else { &other };
        async { told(desk.settle(&question, "c").await.unwrap().1).await }
    }));
    let all = all.await;
    let agreed = all.iter().filter(|told| *told == "Agreed(Operator)");
    assert_eq!(agreed.count(), 1, "{all:?}");
}

#[tokio::test]
async fn an_agreement_is_kept_until_it_is_spent() {
    let house = house().await;
    let bound = bound();
    let question = question(&bound, Asked::Operator);
    let (id, _) = house.settle(&bound, Asked::Operator).await;
    house.decide(&id, Decision::Approved).await.unwrap();
    for _ in 0..2 {
        let (_, answer) = house.desk.settle(&question, "stopped").await.unwrap();
        assert!(matches!(answer, Answer::Agreed(_)), "{answer:?}");
    }
    let (_, first) = house.desk.settle(&question, "c").await.unwrap();
    let (_, second) = house.desk.settle(&question, "d").await.unwrap();
    assert_eq!(told(first).await, "Agreed(Operator)");
    assert_eq!(told(second).await, "POL-045");
}

#[tokio::test]
async fn an_operator_may_be_faster_than_the_person() {
    let house = house().await;
    let bound = bound();
    let question = question(&bound, Asked::Client);
    let (id, _) = house.settle(&bound, Asked::Client).await;
    house.decide(&id, Decision::Approved).await.unwrap();
    let no = house.desk.answered(&question, (&id, false), "c").await;
    assert_eq!(no.unwrap_err().fault().code(), "POL-045");
    let yes = house.desk.answered(&question, (&id, true), "c").await;
    assert_eq!(told(yes.unwrap()).await, "Agreed(Operator)");
}

#[tokio::test]
async fn nobody_approves_a_call_of_their_own() {
    let house = house().await;
    let (id, _) = house.settle(&bound(), Asked::Operator).await;
    let tenant = TenantId::default();
    let own = ("api_key/ci", None);
    let decide = |decision| house.desk.decide(&tenant, &id, decision, own);
    let refused = decide(Decision::Approved).await.unwrap_err();
    assert_eq!(refused.fault().code(), "POL-050");
    decide(Decision::Denied).await.unwrap();
}

#[tokio::test]
async fn open_questions_of_one_caller_are_bounded() {
    let house = house().await;
    let numbered = |number: usize| Bound {
        arguments: number.to_string(),
        ..bound()
    };
    for number in 0..MAX_OPEN_OF_CALLER {
        house.settle(&numbered(number), Asked::Client).await;
    }
    let over = numbered(MAX_OPEN_OF_CALLER);
    let refused = house
        .desk
        .settle(&question(&over, Asked::Client), "c")
        .await
        .unwrap_err();
    assert_eq!(refused.fault().code(), "POL-047");
    let other = Bound {
        caller: "cd".into(),
        ..over
    };
    assert_eq!(house.settle(&other, Asked::Client).await.1, "Open");
    house.clock.advance(LIFETIME);
    let tenant = TenantId::default();
    assert_eq!(house.desk.list(&tenant, true, 100).await.unwrap().len(), 0);
}
