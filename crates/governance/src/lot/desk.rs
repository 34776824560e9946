//! Does what is asked about lots, on the ledger.

use std::sync::Arc;

use airside_base::{Clock, TenantId, Timestamp};
use airside_ledger::{Batch, Draft, Kind, Ledger, Query, Table, TableError, Versioned};
use serde::Serialize;

use super::{
    Became, Change, Class, Closing, Error, Identity, Key, Lot, Lots, MAX_CHANGES, Mode, Outcome,
    Plan, Regimes, Request, Shown, ShownItem, Sorted, Stratum, Verdict, WHOLE, Word,
    event::{
        CLOSED, DRAWN, Draw, Item, JUDGED, Judged, LISTED, Listed, OPENED, OUTCOME, Opened, VERSION,
    },
    statement::look,
    strata,
};
use crate::lesson::{self, Cause, Debt, Lessons};

/// Most bytes of any text that people give.
const MAX_TEXT: usize = 2_000;
/// Changes in one entry that lists them.
const PART: usize = 500;
/// Lots read at once.
const PAGE: usize = 500;
/// Entries of a lot read at once; one lists up to [`PART`] changes.
const LISTS: usize = 20;

impl Plan {
    /// Returns the digest by which a changed plan is known.
    #[must_use]
    pub fn digest(&self) -> String {
        let text = serde_json::to_vec(self).expect("a plan is JSON");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
        airside_base::hex(digest.as_ref())
    }

    fn check(&self, now: Timestamp) -> Result<(), Error> {
        let texts = [&self.repository, &self.checklist];
        let fits = |text: &&String| !text.is_empty() && text.len() <= 200;
        if !texts.iter().all(fits) {
            return Err(Error::Plan("repository and checklist need a name"));
        }
        if !(1..=WHOLE).contains(&self.limit) {
            return Err(Error::Plan("the limit is above 0 % and at most 100 %"));
        }
        if self.until <= now {
            return Err(Error::Plan("the lot would end before it begins"));
        }
        if !(1..=366).contains(&self.due_days) {
            return Err(Error::Plan("verdicts are due after 1 to 366 days"));
        }
        Ok(())
    }
}

/// Opens, draws, judges and closes lots.
#[derive(Clone)]
pub struct Desk {
    ledger: Ledger,
    lots: Table<Lots>,
    regimes: Table<Regimes>,
    lessons: Table<Lessons>,
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
            lots: Table::new(ledger.clone()),
            regimes: Table::new(ledger.clone()),
            lessons: Table::new(ledger.clone()),
            ledger,
            clock,
        }
    }

    /// Does what `request` says and returns the lots that it is about.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn ask(&self, tenant: &TenantId, request: Request) -> Result<Vec<Shown>, Error> {
        let lot = match request {
            Request::Open {
                lot,
                plan,
                commitment,
            } => {
                self.open(tenant, &lot, *plan, commitment).await?;
                lot
            }
            Request::Draw {
                lot,
                key,
                beacon,
                changes,
                planted,
            } => {
                let key = Key::parse(&key)?;
                self.draw(tenant, &lot, &key, beacon, (changes, planted))
                    .await?;
                lot
            }
            Request::Judge {
                lot,
                change,
                verdict,
                supersede,
            } => {
                self.judge(tenant, &lot, change, *verdict, supersede)
                    .await?;
                lot
            }
            Request::Close { lot, key } => {
                self.close(tenant, &lot, &Key::parse(&key)?).await?;
                lot
            }
            Request::Outcome {
                lot,
                change,
                after,
                reference,
                lesson_days,
            } => {
                let outcome = Outcome {
                    change,
                    after,
                    reference,
                    at: self.clock.now(),
                };
                self.outcome(tenant, &lot, outcome, lesson_days).await?;
                lot
            }
            Request::Sort { lot, changes } => return self.sort(tenant, &lot, &changes).await,
            Request::Show { lot } => lot,
            Request::List => return self.list(tenant).await,
        };
        let found = self.find(tenant, &lot).await?;
        Ok(vec![shown(&lot, found.document, self.clock.now())])
    }

    async fn find(&self, tenant: &TenantId, lot: &str) -> Result<Versioned<Lot>, Error> {
        let found = self.lots.find(tenant, lot).await?;
        found.ok_or_else(|| Error::Missing {
            lot: lot.to_owned(),
        })
    }

    async fn list(&self, tenant: &TenantId) -> Result<Vec<Shown>, Error> {
        let mut all: Vec<Shown> = Vec::new();
        let now = self.clock.now();
        loop {
            let after = all.last().map_or("", |last| &last.lot).to_owned();
            let page = self.lots.all(tenant, &after, PAGE).await?;
            let is_last = page.len() < PAGE;
            all.extend(page.into_iter().map(|found| {
                let mut brief = shown(&found.key, found.document, now);
                brief.items.clear();
                brief
            }));
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn sort(
        &self,
        tenant: &TenantId,
        name: &str,
        changes: &[Change],
    ) -> Result<Vec<Shown>, Error> {
        let lot = self.find(tenant, name).await?.document;
        if changes.len() > MAX_CHANGES {
            return Err(Error::TooMany);
        }
        let sorted = changes.iter().map(|change| Sorted {
            id: change.identity.id(),
            commit: change.identity.commit.clone(),
            excluded: strata::is_excluded(&lot, change),
            why: strata::reasons(&lot, change),
        });
        let sorted = sorted.collect();
        let shown = shown(name, lot, self.clock.now());
        Ok(vec![Shown { sorted, ..shown }])
    }

    async fn open(
        &self,
        tenant: &TenantId,
        lot: &str,
        plan: Plan,
        commitment: String,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        plan.check(now)?;
        let is_hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex(&commitment) {
            return Err(Error::Key);
        }
        if lot.is_empty()
            || lot.len() > 100
            || lot.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(Error::Plan(
                "the name of a lot has 1 to 100 characters and no spaces",
            ));
        }
        if let Some(found) = self.lots.find(tenant, lot).await? {
            return Err(state(lot, &found.document, "a name is used once"));
        }
        let regime = self.regimes.find(tenant, &plan.repository).await?;
        let regime = regime.map(|found| found.document).unwrap_or_default();
        let opened = Opened {
            digest: plan.digest(),
            plan,
            commitment,
            mode: regime.mode,
            areas: regime.areas,
            at: now,
        };
        let draft = entry(tenant, OPENED, lot, &opened)?;
        self.lots.append(None, vec![draft]).await?;
        Ok(())
    }

    async fn draw(
        &self,
        tenant: &TenantId,
        name: &str,
        key: &Key,
        beacon: String,
        (changes, planted): (Vec<Change>, Vec<Identity>),
    ) -> Result<(), Error> {
        let found = self.find(tenant, name).await?;
        let lot = &found.document;
        if lot.draw.is_some() {
            return Err(state(name, lot, "there is one draw"));
        }
        if !key.is(&lot.commitment) {
            return Err(Error::Key);
        }
        let now = self.clock.now();
        if now < lot.plan.until {
            return Err(state(name, lot, "it takes changes until its end"));
        }
        if beacon.len() > MAX_TEXT {
            return Err(Error::Plan("the beacon is too long"));
        }
        strata::check_changes(lot, &changes, &planted)?;
        let drawn = strata::drawn(lot, key, beacon, (&changes, planted), now)?;
        let mut batch = Batch::new();
        for part in changes.chunks(PART) {
            let changes = part.to_vec();
            batch.push(entry(tenant, LISTED, name, &Listed { changes })?);
        }
        let draft = entry(tenant, DRAWN, name, &drawn)?;
        self.lots.change(&mut batch, Some(found), vec![draft])?;
        self.ledger
            .commit(batch)
            .await
            .map_err(TableError::Append)?;
        Ok(())
    }

    async fn judge(
        &self,
        tenant: &TenantId,
        name: &str,
        change: String,
        verdict: Verdict,
        supersede: bool,
    ) -> Result<(), Error> {
        check_verdict(&verdict)?;
        let found = self.find(tenant, name).await?;
        let lot = &found.document;
        let Some(draw) = lot.draw.as_ref().filter(|_| lot.closing.is_none()) else {
            return Err(state(name, lot, "verdicts belong between draw and look"));
        };
        let named = draw.items.iter().find(|item| item.id == change);
        let item = named.ok_or(Error::Verdict(
            "the change is not among those to be reviewed",
        ))?;
        if item.verdict().is_some() != supersede {
            return Err(Error::Verdict(match supersede {
                true => "there is no earlier verdict to supersede",
                false => "there is a verdict; supersede it, it cannot be edited",
            }));
        }
        let judged = Judged {
            change,
            verdict,
            at: self.clock.now(),
        };
        let draft = entry(tenant, JUDGED, name, &judged)?;
        self.lots.append(Some(found), vec![draft]).await?;
        Ok(())
    }

    async fn close(&self, tenant: &TenantId, name: &str, key: &Key) -> Result<(), Error> {
        let found = self.find(tenant, name).await?;
        let now = self.clock.now();
        let closing = look(name, &found.document, key, now)?;
        let repository = closing.repository.clone();
        // Before the look is written: if this stops halfway, closing again finds them.
        let by = format!("lot {name}");
        for debt in debts(name, &found.document, key, &closing) {
            let mut batch = Batch::new();
            if self.owe(tenant, &mut batch, debt, (&by, now)).await? {
                self.ledger
                    .commit(batch)
                    .await
                    .map_err(TableError::Append)?;
            }
        }
        let regime = self.regimes.find(tenant, &repository).await?;
        let mut batch = Batch::new();
        let draft = entry(tenant, CLOSED, name, &closing)?;
        self.lots.change(&mut batch, Some(found), vec![draft])?;
        self.regimes.along(&mut batch, &repository, regime)?;
        self.ledger
            .commit(batch)
            .await
            .map_err(TableError::Append)?;
        Ok(())
    }

    async fn outcome(
        &self,
        tenant: &TenantId,
        name: &str,
        outcome: Outcome,
        lesson_days: u32,
    ) -> Result<(), Error> {
        let found = self.find(tenant, name).await?;
        let lot = &found.document;
        let reference = outcome.reference.trim();
        if reference.is_empty() || reference.len() > MAX_TEXT {
            return Err(Error::Verdict(
                "an outcome needs a reference to what describes it",
            ));
        }
        if !(1..=366).contains(&lesson_days) {
            return Err(Error::Lesson);
        }
        if lot.draw.is_none() {
            return Err(state(name, lot, "nothing is listed yet"));
        }
        let Some(identity) = self.listed(tenant, name, lot, &outcome.change).await? else {
            return Err(Error::Verdict("the change is not part of this lot"));
        };
        let debt = Debt {
            repository: identity.repository,
            change: identity.commit,
            cause: Cause::of(outcome.after),
            reference: reference.to_owned(),
            days: lesson_days,
        };
        let (by, at) = (format!("lot {name}"), outcome.at);
        let draft = entry(tenant, OUTCOME, name, &outcome)?;
        let mut batch = Batch::new();
        self.lots.change(&mut batch, Some(found), vec![draft])?;
        self.owe(tenant, &mut batch, debt, (&by, at)).await?;
        self.ledger
            .commit(batch)
            .await
            .map_err(TableError::Append)?;
        Ok(())
    }

    /// Adds to `batch` that a lesson is owed, unless that is known.
    async fn owe(
        &self,
        tenant: &TenantId,
        batch: &mut Batch,
        debt: Debt,
        (by, at): (&str, Timestamp),
    ) -> Result<bool, Error> {
        let key = lesson::id(&debt.repository, &debt.change, debt.cause);
        let is_known = self.lessons.find(tenant, &key).await?.is_some();
        if !is_known {
            let draft = lesson::owe(tenant, debt, by, at)?;
            self.lessons.change(batch, None, vec![draft])?;
        }
        Ok(!is_known)
    }

    /// Returns the change `id` of a lot that is drawn, whether or not it was.
    async fn listed(
        &self,
        tenant: &TenantId,
        name: &str,
        lot: &Lot,
        id: &str,
    ) -> Result<Option<Identity>, Error> {
        let items = lot.draw.iter().flat_map(|draw| &draw.items);
        if let Some(item) = items.into_iter().find(|item| item.id == id) {
            return Ok(Some(item.change.clone()));
        }
        let is_known = |draw: &Draw| draw.population.iter().any(|one| one == id);
        if !lot.draw.as_ref().is_some_and(is_known) {
            return Ok(None);
        }
        let mut after = 0;
        loop {
            let query = Query::new(tenant.clone()).subject(name).after(after);
            let read = self.ledger.read(query.limit(LISTS)).await;
            let page = read.map_err(TableError::Read)?;
            let Some(last) = page.last() else {
                return Ok(None);
            };
            after = last.seq;
            for entry in page.iter().filter(|entry| entry.kind == LISTED) {
                let Ok(listed) = serde_json::from_slice::<Listed>(&entry.body) else {
                    continue;
                };
                let mut identities = listed.changes.into_iter().map(|change| change.identity);
                if let Some(found) = identities.find(|one| one.id() == id) {
                    return Ok(Some(found));
                }
            }
        }
    }
}

/// Returns the lessons that a look owes: one for each defect that reviewers found, whatever
/// it is about, and one for a lot that does not pass.
fn debts(name: &str, lot: &Lot, key: &Key, closing: &Closing) -> Vec<Debt> {
    let draw = lot.draw.as_ref();
    let defects = draw.into_iter().flat_map(|draw| {
        let real = draw.items.iter().filter(|item| {
            let tag = key.planted(&draw.beacon, &item.id);
            item.class() >= Some(lot.plan.counts) && !draw.planted.contains(&tag)
        });
        real.map(|item| Debt {
            repository: item.change.repository.clone(),
            change: item.change.commit.clone(),
            cause: Cause::Defect,
            reference: evidence(item),
            days: super::LESSON_DAYS,
        })
    });
    let lot = (!closing.statement.passes).then(|| Debt {
        repository: lot.plan.repository.clone(),
        change: name.to_owned(),
        cause: Cause::Lot,
        reference: format!("lot {name} does not pass"),
        days: super::LESSON_DAYS,
    });
    defects.chain(lot).collect()
}

fn evidence(item: &Item) -> String {
    let verdict = item.verdict();
    let text = verdict.and_then(|verdict| verdict.evidence.clone());
    let line = text.unwrap_or_default().replace(char::is_control, " ");
    line.chars().take(500).collect()
}

fn entry(tenant: &TenantId, kind: Kind, lot: &str, body: &impl Serialize) -> Result<Draft, Error> {
    Ok(Draft::new(tenant.clone(), kind, VERSION, lot, body)?)
}

fn name_of(lot: &Lot) -> &'static str {
    match (&lot.draw, &lot.closing) {
        (_, Some(_)) => "closed",
        (Some(_), None) => "drawn",
        (None, None) => "open",
    }
}

fn state(name: &str, lot: &Lot, reason: &'static str) -> Error {
    Error::State {
        lot: name.to_owned(),
        state: name_of(lot),
        reason,
    }
}

fn check_verdict(verdict: &Verdict) -> Result<(), Error> {
    let texts = [&verdict.reviewer, &verdict.revision, &verdict.checklist];
    let fits = |text: &String| !text.trim().is_empty() && text.len() <= MAX_TEXT;
    if !texts.iter().all(|text| fits(text)) {
        return Err(Error::Verdict(
            "reviewer, revision and checklist are part of a verdict",
        ));
    }
    let detailed = verdict.class.is_some()
        && verdict.sort.as_ref().is_some_and(fits)
        && verdict.evidence.as_ref().is_some_and(fits);
    let bare: Option<Class> = verdict.class;
    match verdict.word {
        Word::Defect if !detailed => {
            Err(Error::Verdict("a defect has a class, a sort and evidence"))
        }
        Word::NoDefect | Word::CannotTell if bare.is_some() => {
            Err(Error::Verdict("only a defect has a class"))
        }
        Word::Defect | Word::NoDefect | Word::CannotTell => Ok(()),
    }
}

fn shown(name: &str, lot: Lot, now: Timestamp) -> Shown {
    let state = name_of(&lot).to_owned();
    let became = Became::of(&lot, now);
    let mandatory = |item: &Item| item.stratum == Stratum::Mandatory;
    let draw = lot.draw.as_ref();
    let items: Vec<ShownItem> = draw
        .into_iter()
        .flat_map(|draw| &draw.items)
        .map(|item| ShownItem {
            id: item.id.clone(),
            change: item.change.clone(),
            mandatory: mandatory(item),
            why: item.why.clone(),
            verdicts: item.verdicts.len(),
        })
        .collect();
    Shown {
        lot: name.to_owned(),
        state,
        plan_digest: lot.plan_digest,
        commitment: lot.commitment,
        mode: lot.mode,
        opened: lot.opened,
        population: draw.map_or(0, |draw| draw.population.len()),
        drawn: draw.map_or(0, |draw| draw.size),
        mandatory: items.iter().filter(|item| item.mandatory).count(),
        excluded: draw.map_or(0, |draw| draw.excluded),
        due: draw.map(|draw| draw.due),
        items,
        statement: lot
            .closing
            .as_ref()
            .map(|closing| closing.statement.clone()),
        key: lot.closing.map(|closing| closing.key),
        outcomes: lot.outcomes,
        became,
        sorted: Vec::new(),
        plan: lot.plan,
    }
}

impl Mode {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Tightened => "tightened",
        }
    }
}
