use airside_base::TenantId;

use super::*;

const COMMIT: &str = "4f2a91c0d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0";

type Office = crate::office::Office<Desk>;

impl Office {
    async fn open() -> Self {
        Self::with(Desk::new).await
    }

    async fn ask(&self, request: Request) -> Result<Vec<Shown>, Error> {
        let tenant = TenantId::default();
        self.desk.ask(&tenant, "owner", request).await
    }

    async fn list(&self, paid: bool) -> Vec<Shown> {
        let repository = Some("hotels".to_owned());
        self.ask(Request::List { repository, paid }).await.unwrap()
    }
}

fn debt(change: &str, cause: Cause) -> Debt {
    Debt {
        repository: "hotels".to_owned(),
        change: change.to_owned(),
        cause,
        reference: "INC-7".to_owned(),
        days: 14,
    }
}

#[tokio::test]
async fn lesson_is_owed_once_becomes_overdue_and_is_paid_by_a_file() {
    let office = Office::open().await;
    let debts = vec![debt(COMMIT, Cause::Incident)];
    for _ in 0..2 {
        let debts = debts.clone();
        let told = office.ask(Request::Owe { debts }).await.unwrap();
        assert_eq!(told[0].standing, Standing::Owed);
        assert_eq!(told[0].lesson.due.to_string(), "2026-12-07");
    }
    assert_eq!(office.list(true).await.len(), 1);
    // The last day counts in full.
    let day = std::time::Duration::from_secs(86_400);
    office.clock.advance(day * 14);
    assert_eq!(office.list(false).await[0].standing, Standing::Owed);
    office.clock.advance(day);
    assert_eq!(office.list(false).await[0].standing, Standing::Overdue);
    let id = id("hotels", COMMIT, Cause::Incident);
    let learn = |text: &str| Request::Learn {
        lesson: id.clone(),
        file: "docs/lessons/quotes.md".to_owned(),
        text: text.to_owned(),
    };
    let refused = office.ask(learn("4f2a91c")).await;
    assert!(matches!(refused, Err(Error::File { .. })), "{refused:?}");
    let large = format!("4f2a91c\nRule: x\n{}", " ".repeat(MAX_FILE));
    assert!(matches!(
        office.ask(learn(&large)).await,
        Err(Error::File { .. })
    ));
    let told = office.ask(learn("4f2a91c\nRule: x")).await.unwrap();
    assert_eq!(told[0].standing, Standing::Learned);
    let again = office.ask(learn("4f2a91c\nRule: x")).await;
    assert!(matches!(again, Err(Error::Paid { .. })), "{again:?}");
    assert!(office.list(false).await.is_empty());
    office.end().await;
}

#[tokio::test]
async fn lesson_can_be_waived_with_a_reason_that_stays() {
    let office = Office::open().await;
    let debts = vec![debt(COMMIT, Cause::Revert)];
    office.ask(Request::Owe { debts }).await.unwrap();
    let waive = |lesson: &str, reason: &str| Request::Waive {
        lesson: lesson.to_owned(),
        reason: reason.to_owned(),
    };
    let id = id("hotels", COMMIT, Cause::Revert);
    let unknown = office.ask(waive("L-0", "x")).await;
    assert!(matches!(unknown, Err(Error::Missing { .. })));
    for reason in ["", "two\nlines"] {
        let refused = office.ask(waive(&id, reason)).await;
        assert!(matches!(refused, Err(Error::Debt(_))), "{reason}");
    }
    let told = office.ask(waive(&id, "the provider was down")).await;
    assert_eq!(told.unwrap()[0].standing, Standing::Waived);
    // What was said cannot be said otherwise later.
    let debts = vec![debt(COMMIT, Cause::Revert)];
    let told = office.ask(Request::Owe { debts }).await.unwrap();
    assert_eq!(told[0].standing, Standing::Waived);
    office.end().await;
}

#[tokio::test]
async fn debts_that_nobody_could_pay_are_refused() {
    let office = Office::open().await;
    let mut late = debt(COMMIT, Cause::Revert);
    late.days = 0;
    let mut nowhere = debt(COMMIT, Cause::Revert);
    nowhere.reference = String::new();
    let mut nameless = debt(COMMIT, Cause::Revert);
    nameless.repository = "a\u{7}".to_owned();
    for bad in [late, nowhere, nameless, debt("4f2", Cause::Revert)] {
        let refused = office
            .ask(Request::Owe {
                debts: vec![bad.clone()],
            })
            .await;
        assert!(matches!(refused, Err(Error::Debt(_))), "{bad:?}");
    }
    let many = vec![debt(COMMIT, Cause::Revert); 201];
    assert!(office.ask(Request::Owe { debts: many }).await.is_err());
    office.end().await;
}
