//! Does what is asked about findings, on the ledger.

use std::{collections::BTreeMap, sync::Arc};

use airside_base::{Clock, TenantId, Timestamp};
use airside_ledger::{Batch, Cell, Draft, Kind, Ledger, Table, TableError, Versioned};
use jiff::{ToSpan as _, civil::Date};
use serde::Serialize;

use super::{
    Answer, Changes, End, Error, Finding, Findings, MAX_FINDINGS, MAX_STEPS, Recording, Request,
    Seen, Shown, Standing, Tree, Trees,
    event::{
        ASSIGNED, Assigned, CHANGED, CLOSED, Closed, EXCEPTED, Excepted, Judged, OPENED, RECORDED,
        RESUMED, Resumed, VERSION,
    },
    id,
};
use airside_codereview::change::day;

/// Findings that are written together.
const PART: usize = 100;
/// Findings that are read at once.
const PAGE: usize = 500;
/// Findings that a list holds.
const LISTED: usize = 5_000;
/// Longest name and reason, in bytes.
const MAX_NAME: usize = 200;
const MAX_REASON: usize = 1_000;
/// Longest exception, in days.
const MAX_DAYS: i32 = 366;

/// Keeps findings.
#[derive(Clone)]
pub struct Register {
    ledger: Ledger,
    findings: Table<Findings>,
    trees: Table<Trees>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Register").finish_non_exhaustive()
    }
}

impl Register {
    /// Returns a register that works on `ledger`.
    #[must_use]
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self {
            findings: Table::new(ledger.clone()),
            trees: Table::new(ledger.clone()),
            ledger,
            clock,
        }
    }

    /// Does what `request` says in the name of `by`.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn ask(
        &self,
        tenant: &TenantId,
        by: &str,
        request: Request,
    ) -> Result<Answer, Error> {
        let found = match request {
            Request::Record { recording } => return self.record(tenant, *recording).await,
            Request::List { repository, ended } => {
                return self.list(tenant, repository.as_deref(), ended).await;
            }
            Request::Show { finding } => self.find(tenant, &finding).await?,
            Request::Except {
                finding,
                owner,
                reason,
                until,
            } => {
                let body = Excepted {
                    by: by.to_owned(),
                    owner: line(&owner, MAX_NAME)?,
                    reason: line(&reason, MAX_REASON)?,
                    until: self.last_day(until)?,
                    at: self.clock.now(),
                };
                self.decide(tenant, &finding, EXCEPTED, &body).await?
            }
            Request::Assign { finding, owner } => {
                let body = Assigned {
                    by: by.to_owned(),
                    owner: line(&owner, MAX_NAME)?,
                    at: self.clock.now(),
                };
                self.decide(tenant, &finding, ASSIGNED, &body).await?
            }
        };
        Ok(Answer {
            findings: vec![shown(&found.key, found.document, self.clock.now())],
            ..Answer::default()
        })
    }

    fn last_day(&self, until: Date) -> Result<Date, Error> {
        let today = day(self.clock.now());
        let last = today.checked_add(MAX_DAYS.days()).unwrap_or(Date::MAX);
        match (today..=last).contains(&until) {
            true => Ok(until),
            false => Err(Error::Decision(
                "an exception ends today at the earliest and in 366 days at the latest",
            )),
        }
    }

    /// Returns the finding with this id, or whose fingerprint begins like this.
    async fn find(&self, tenant: &TenantId, named: &str) -> Result<Versioned<Finding>, Error> {
        let missing = || Error::Missing {
            finding: named.chars().take(80).collect(),
        };
        if let Some(found) = self.findings.find(tenant, &cut(named)).await? {
            return Ok(found);
        }
        let is_print = named.len() >= 7 && named.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_print {
            return Err(missing());
        }
        let mut fitting = self.all(tenant, None).await?;
        fitting.retain(|one| one.document.seen.what.fingerprint.starts_with(named));
        match fitting.len() {
            0 => Err(missing()),
            1 => Ok(fitting.remove(0)),
            count => Err(Error::Ambiguous {
                finding: named.to_owned(),
                count,
            }),
        }
    }

    async fn all(
        &self,
        tenant: &TenantId,
        repository: Option<&str>,
    ) -> Result<Vec<Versioned<Finding>>, Error> {
        let mut all: Vec<Versioned<Finding>> = Vec::new();
        loop {
            let after = all.last().map_or("", |last| &*last.key).to_owned();
            let page = match repository {
                Some(name) => {
                    let value = Cell::Text(name.to_owned());
                    let equal = self
                        .findings
                        .equal(tenant, "repository", value, &after, PAGE);
                    equal.await?
                }
                None => self.findings.all(tenant, &after, PAGE).await?,
            };
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn list(
        &self,
        tenant: &TenantId,
        repository: Option<&str>,
        ended: bool,
    ) -> Result<Answer, Error> {
        let now = self.clock.now();
        let mut findings: Vec<Shown> = self
            .all(tenant, repository)
            .await?
            .into_iter()
            .map(|one| shown(&one.key, one.document, now))
            .filter(|one| ended || one.standing != Standing::Ended)
            .collect();
        findings.sort_by(|one, other| {
            let rank = |one: &Shown| {
                let seen = &one.finding.seen;
                let standing = one.standing as u8;
                (
                    standing,
                    std::cmp::Reverse((seen.certainty, seen.what.severity)),
                )
            };
            let place = |one: &Shown| (one.finding.repository.clone(), one.id.clone());
            rank(one)
                .cmp(&rank(other))
                .then_with(|| place(one).cmp(&place(other)))
        });
        let more = findings.len() > LISTED;
        findings.truncate(LISTED);
        for one in &mut findings {
            one.finding.history.clear();
            one.finding.seen.trace.clear();
            one.finding.seen.related.clear();
        }
        let mut trees = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = self.trees.all(tenant, &after, PAGE).await?;
            let is_last = page.len() < PAGE;
            let wanted = |key: &str| repository.is_none_or(|name| name == key);
            for one in page {
                after = one.key.to_string();
                if wanted(&one.key) {
                    trees.insert(one.key.to_string(), one.document);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(Answer {
            findings,
            trees,
            changes: None,
            more,
        })
    }

    async fn decide(
        &self,
        tenant: &TenantId,
        finding: &str,
        kind: Kind,
        body: &impl Serialize,
    ) -> Result<Versioned<Finding>, Error> {
        let found = self.find(tenant, finding).await?;
        let key = found.key.to_string();
        if found.document.ended.is_some() {
            return Err(Error::Ended { finding: key });
        }
        let draft = entry(tenant, kind, &key, body)?;
        self.findings.append(Some(found), vec![draft]).await?;
        self.find(tenant, &key).await
    }

    async fn record(&self, tenant: &TenantId, recording: Recording) -> Result<Answer, Error> {
        check(&recording)?;
        let now = self.clock.now();
        let known = self.all(tenant, Some(&recording.repository)).await?;
        let mut known: BTreeMap<String, Versioned<Finding>> = known
            .into_iter()
            .map(|one| (one.key.to_string(), one))
            .collect();
        let mut changes = Changes::default();
        let mut writes = Vec::new();
        for seen in &recording.seen {
            let key = id(&recording.repository, &seen.what.fingerprint);
            let prior = known.remove(&key);
            let drafts = news(tenant, &key, prior.as_ref(), (&recording, seen), now)?;
            count(&drafts, &mut changes);
            if !drafts.is_empty() {
                writes.push((prior, drafts));
            }
        }
        for End {
            finding,
            why,
            evidence,
        } in &recording.ended
        {
            let prior = known
                .remove(finding)
                .filter(|one| one.document.ended.is_none());
            let prior = prior.ok_or(Error::Recording(
                "what is said to have ended is not open, or is seen at the same time",
            ))?;
            let body = Closed {
                why: *why,
                evidence: evidence.clone(),
                revision: recording.revision.clone(),
                at: now,
            };
            changes.ended += 1;
            let draft = entry(tenant, CLOSED, finding, &body)?;
            writes.push((Some(prior), vec![draft]));
        }
        // In parts, the summary last: a recording that is cut off is done again, and finds
        // what was written already.
        let mut writes = writes.into_iter();
        loop {
            let mut batch = Batch::new();
            let mut is_empty = true;
            for (prior, drafts) in writes.by_ref().take(PART) {
                self.findings.change(&mut batch, prior, drafts)?;
                is_empty = false;
            }
            if is_empty {
                break;
            }
            self.ledger
                .commit(batch)
                .await
                .map_err(TableError::Append)?;
        }
        let tree = self
            .summary(tenant, recording, changes.clone(), now)
            .await?;
        Ok(Answer {
            findings: Vec::new(),
            trees: BTreeMap::from([tree]),
            changes: Some(changes),
            more: false,
        })
    }

    async fn summary(
        &self,
        tenant: &TenantId,
        recording: Recording,
        changes: Changes,
        now: Timestamp,
    ) -> Result<(String, Tree), Error> {
        let prior = self.trees.find(tenant, &recording.repository).await?;
        let tree = Tree {
            at: now,
            revision: recording.revision,
            by: recording.by,
            files: recording.files,
            lines: recording.lines,
            left_out: recording.left_out,
            found: recording.seen.len(),
            unjudged: recording.unjudged,
            changes,
        };
        let draft = entry(tenant, RECORDED, &recording.repository, &tree)?;
        self.trees.append(prior, vec![draft]).await?;
        Ok((recording.repository, tree))
    }
}

fn entry(tenant: &TenantId, kind: Kind, of: &str, body: &impl Serialize) -> Result<Draft, Error> {
    Ok(Draft::new(tenant.clone(), kind, VERSION, of, body)?)
}

fn count(drafts: &[Draft], changes: &mut Changes) {
    if drafts.is_empty() {
        changes.same += 1;
    }
    for draft in drafts {
        let kind = draft.kind();
        changes.opened += usize::from(*kind == OPENED);
        changes.changed += usize::from(*kind == CHANGED);
        changes.resumed += usize::from(*kind == RESUMED);
    }
}

/// Returns what is new about a finding that was seen.
fn news(
    tenant: &TenantId,
    key: &str,
    prior: Option<&Versioned<Finding>>,
    (recording, seen): (&Recording, &Seen),
    now: Timestamp,
) -> Result<Vec<Draft>, Error> {
    let judged = |because: String| Judged {
        repository: recording.repository.clone(),
        revision: recording.revision.clone(),
        because,
        seen: seen.clone(),
        at: now,
    };
    let Some(prior) = prior.map(|prior| &prior.document) else {
        let body = judged("first seen".to_owned());
        return Ok(vec![entry(tenant, OPENED, key, &body)?]);
    };
    if prior.ended.is_some() {
        let body = judged("seen again".to_owned());
        return Ok(vec![entry(tenant, OPENED, key, &body)?]);
    }
    let mut drafts = Vec::new();
    if let Some(because) = difference(&prior.seen, seen) {
        drafts.push(entry(tenant, CHANGED, key, &judged(because))?);
    }
    let until = prior.exception.as_ref().map(|one| one.until);
    if let Some(until) = until.filter(|until| *until < day(now)) {
        drafts.push(entry(tenant, RESUMED, key, &Resumed { until, at: now })?);
    }
    Ok(drafts)
}

/// Returns in words what is judged otherwise. That lines have moved is no news.
fn difference(old: &Seen, new: &Seen) -> Option<String> {
    let mut parts = Vec::new();
    if old.what.severity != new.what.severity {
        parts.push(format!(
            "severity {} → {}",
            old.what.severity, new.what.severity
        ));
    }
    if old.certainty != new.certainty {
        parts.push(format!("certainty {} → {}", old.certainty, new.certainty));
    }
    if old.owner != new.owner {
        let name = |owner: &Option<String>| owner.clone().unwrap_or_else(|| "nobody".to_owned());
        parts.push(format!("owner {} → {}", name(&old.owner), name(&new.owner)));
    }
    let way = |seen: &Seen| -> Vec<String> {
        let steps = seen.trace.iter();
        steps
            .map(|step| format!("{} {}", step.path, step.what))
            .collect()
    };
    if way(old) != way(new) {
        parts.push("another way of the value".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn shown(key: &str, finding: Finding, now: Timestamp) -> Shown {
    let until = finding.exception.as_ref().map(|one| one.until);
    let standing = match (&finding.ended, until) {
        (Some(_), _) => Standing::Ended,
        (None, Some(until)) if day(now) <= until => Standing::Excepted,
        (None, _) => Standing::Open,
    };
    let owner = finding
        .assigned
        .clone()
        .or_else(|| finding.seen.owner.clone());
    Shown {
        id: key.to_owned(),
        standing,
        owner,
        finding,
    }
}

fn check(recording: &Recording) -> Result<(), Error> {
    let refuse = |reason| Err(Error::Recording(reason));
    let is_name = |text: &str| {
        !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control)
    };
    if ![&recording.repository, &recording.revision, &recording.by]
        .iter()
        .all(|text| is_name(text))
    {
        return refuse("repository, revision and program are names of 1 to 200 bytes");
    }
    if recording.seen.len() > MAX_FINDINGS || recording.ended.len() > LISTED {
        return refuse("more than 5,000 findings; name fewer with --fail-on");
    }
    let is_print = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut prints = std::collections::BTreeSet::new();
    for seen in &recording.seen {
        let what = &seen.what;
        if !is_print(&what.fingerprint) || !prints.insert(&what.fingerprint) {
            return refuse("each finding has a fingerprint of its own, in 64 hex digits");
        }
        let size = what.message.len() + seen.place.path.len() + what.subject.len();
        if size > 64 << 10 || seen.trace.len() > MAX_STEPS || seen.related.len() > MAX_STEPS {
            return refuse("a finding is too large");
        }
    }
    Ok(())
}

/// Returns one line of text that is not empty.
fn line(text: &str, most: usize) -> Result<String, Error> {
    let text = text.trim();
    match text.is_empty() || text.len() > most || text.chars().any(char::is_control) {
        true => Err(Error::Decision(
            "owner and reason are lines of text, of at most 200 and 1,000 bytes",
        )),
        false => Ok(text.to_owned()),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
