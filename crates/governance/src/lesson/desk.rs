//! Does what is asked about lessons, on the ledger.

use std::sync::Arc;

use airside_base::{Clock, TenantId, Timestamp};
use airside_ledger::{Cell, Draft, Ledger, Table, Versioned};

use super::{Debt, Error, Lesson, MAX_FILE, Paid, Request, Shown, event, owe, standing};
use airside_codereview::lesson::{CITED, learned};

/// Lessons that are read at once.
const PAGE: usize = 500;
/// Debts in one request.
const MAX_DEBTS: usize = 200;
/// Longest name and text, in bytes.
const MAX_NAME: usize = 200;
const MAX_TEXT: usize = 1_000;

/// Keeps lessons.
#[derive(Clone)]
pub struct Desk {
    table: Table<event::Lessons>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// Returns a desk that works on `ledger`.
    #[must_use]
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Table::new(ledger),
            clock,
        }
    }

    /// Does what `request` says in the name of `by` and returns the lessons that it is
    /// about.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn ask(
        &self,
        tenant: &TenantId,
        by: &str,
        request: Request,
    ) -> Result<Vec<Shown>, Error> {
        let now = self.clock.now();
        match request {
            Request::List { repository, paid } => {
                let mut all = self.all(tenant, repository.as_deref()).await?;
                all.retain(|one| paid || one.document.paid.is_none());
                let mut all: Vec<Shown> = all.into_iter().map(|one| shown(one, now)).collect();
                all.sort_by(|one, other| {
                    let rank = |one: &Shown| (one.standing, one.lesson.due, one.id.clone());
                    rank(one).cmp(&rank(other))
                });
                Ok(all)
            }
            Request::Owe { debts } => self.owe(tenant, by, debts).await,
            Request::Learn { lesson, file, text } => {
                let found = self.owed(tenant, &lesson).await?;
                let lacking = |lacks| Error::File {
                    file: file.chars().take(MAX_NAME).collect(),
                    lacks,
                };
                if file.is_empty() || file.len() > MAX_TEXT || text.len() > MAX_FILE {
                    return Err(lacking("has no name, or more than 64 KiB"));
                }
                let named = learned(&text, &found.document.debt.change).map_err(lacking)?;
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
                let paid = Paid::Learned {
                    digest: airside_base::hex(digest.as_ref()),
                    named,
                    by: by.to_owned(),
                    at: now,
                    file,
                };
                self.pay(tenant, found, &paid).await
            }
            Request::Waive { lesson, reason } => {
                let found = self.owed(tenant, &lesson).await?;
                let reason = reason.trim().to_owned();
                if !is_line(&reason, MAX_TEXT) {
                    return Err(Error::Debt("a reason is one line of at most 1,000 bytes"));
                }
                let paid = Paid::Waived {
                    by: by.to_owned(),
                    at: now,
                    reason,
                };
                self.pay(tenant, found, &paid).await
            }
        }
    }

    async fn all(
        &self,
        tenant: &TenantId,
        repository: Option<&str>,
    ) -> Result<Vec<Versioned<Lesson>>, Error> {
        let mut all: Vec<Versioned<Lesson>> = Vec::new();
        loop {
            let after = all.last().map_or("", |last| &*last.key).to_owned();
            let page = match repository {
                Some(name) => {
                    let value = Cell::Text(name.to_owned());
                    let equal = self.table.equal(tenant, "repository", value, &after, PAGE);
                    equal.await?
                }
                None => self.table.all(tenant, &after, PAGE).await?,
            };
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn owed(&self, tenant: &TenantId, lesson: &str) -> Result<Versioned<Lesson>, Error> {
        let key: String = lesson.chars().take(64).collect();
        let found = self.table.find(tenant, &key).await?;
        let found = found.ok_or(Error::Missing { lesson: key })?;
        match &found.document.paid {
            None => Ok(found),
            Some(_) => Err(Error::Paid {
                lesson: found.key.to_string(),
                standing: standing(&found.document, self.clock.now()).as_str(),
            }),
        }
    }

    async fn owe(
        &self,
        tenant: &TenantId,
        by: &str,
        debts: Vec<Debt>,
    ) -> Result<Vec<Shown>, Error> {
        if debts.len() > MAX_DEBTS {
            return Err(Error::Debt("at most 200 at once"));
        }
        for debt in &debts {
            check(debt)?;
        }
        let mut told = Vec::new();
        for debt in debts {
            let key = super::id(&debt.repository, &debt.change, debt.cause);
            if self.table.find(tenant, &key).await?.is_none() {
                let draft = owe(tenant, debt, by, self.clock.now())?;
                self.table.append(None, vec![draft]).await?;
            }
            let found = self.table.find(tenant, &key).await?;
            told.extend(found.map(|one| shown(one, self.clock.now())));
        }
        Ok(told)
    }

    async fn pay(
        &self,
        tenant: &TenantId,
        found: Versioned<Lesson>,
        paid: &Paid,
    ) -> Result<Vec<Shown>, Error> {
        let kind = match paid {
            Paid::Learned { .. } => event::LEARNED,
            Paid::Waived { .. } => event::WAIVED,
        };
        let key = found.key.to_string();
        let draft = Draft::new(tenant.clone(), kind, event::VERSION, &key, paid)?;
        self.table.append(Some(found), vec![draft]).await?;
        let found = self.table.find(tenant, &key).await?;
        let now = self.clock.now();
        Ok(found.into_iter().map(|one| shown(one, now)).collect())
    }
}

fn shown(found: Versioned<Lesson>, now: Timestamp) -> Shown {
    Shown {
        id: found.key.to_string(),
        standing: standing(&found.document, now),
        lesson: found.document,
    }
}

fn is_line(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.len() <= most && !text.chars().any(char::is_control)
}

fn check(debt: &Debt) -> Result<(), Error> {
    if !is_line(&debt.repository, MAX_NAME) || !is_line(&debt.change, MAX_NAME) {
        return Err(Error::Debt(
            "repository and change are names of 1 to 200 bytes",
        ));
    }
    if debt.change.len() < CITED {
        return Err(Error::Debt("a commit is named by 7 digits or more"));
    }
    if !is_line(&debt.reference, MAX_TEXT) {
        return Err(Error::Debt(
            "a reference is one line of at most 1,000 bytes",
        ));
    }
    match (1..=366).contains(&debt.days) {
        true => Ok(()),
        false => Err(Error::Debt("a lesson is due after 1 to 366 days")),
    }
}
