//! What was found in messages, told in records and entries.

use std::sync::{Arc, Mutex};

use airside_base::{CallId, OnFailure, ServerId, TenantId};
use airside_firewall::{Findings, Notes};
use airside_identity::Caller;
use airside_ledger::{Draft, DraftError};
use airside_policy::Risk;
use airside_screen::Group;

use super::{Facts, Record, Recorder, label};
use crate::{
    authorization::{Session, Taint},
    event,
    record::report::{self, Passage},
};

/// What is kept for the record of a call.
pub(super) type Kept = Arc<Mutex<Vec<event::Hit<'static>>>>;

impl Facts {
    fn whereabouts(&self) -> Whereabouts {
        Whereabouts {
            call: Some(self.id),
            caller: self.caller.clone(),
            endpoint: self.endpoint.clone(),
            server: self.server.clone(),
            tool: self.tool.clone(),
        }
    }
}

impl Record {
    /// Takes note of what was found in the request.
    pub(crate) fn found(&mut self, findings: &Findings) {
        if let Some(facts) = &mut self.facts
            && !findings.is_empty()
        {
            report::note(&mut facts.noted.firewall, findings.hits());
            let found = facts.whereabouts().found("request", findings);
            self.recorder.report(facts.caller.tenant(), &found);
        }
    }

    /// Returns what takes note of what is found in the answer.
    pub(crate) fn notes(&mut self) -> AnswerNotes {
        let facts = self.facts.as_mut();
        AnswerNotes {
            recorder: self.recorder.clone(),
            session: self.session.clone(),
            whereabouts: facts.map(|facts| {
                let kept = facts.found.get_or_insert_default();
                (
                    facts.caller.tenant().clone(),
                    kept.clone(),
                    facts.whereabouts(),
                )
            }),
        }
    }
}

/// Takes note of what is found in an answer, which may go on when its record is with
/// whoever passes it on.
pub(crate) struct AnswerNotes {
    recorder: Arc<Recorder>,
    whereabouts: Option<(TenantId, Kept, Whereabouts)>,
    session: Option<(Arc<Taint>, Session)>,
}

impl Notes for AnswerNotes {
    fn note(&mut self, findings: &Findings) {
        if let Some((tenant, kept, whereabouts)) = &self.whereabouts {
            let mut kept = kept.lock().expect("the lock is not poisoned");
            report::note(&mut kept, findings.hits());
            drop(kept);
            if findings.has(Group::Instruction)
                && let Some((taint, session)) = &self.session
            {
                let flagged = true;
                taint.note(
                    *session,
                    Risk {
                        flagged,
                        ..Risk::NONE
                    },
                );
            }
            let found = whereabouts.found("answer", findings);
            self.recorder.report(tenant, &found);
        }
    }
}

/// Where something was found.
#[derive(Debug, Clone)]
pub(crate) struct Whereabouts {
    call: Option<CallId>,
    caller: Caller,
    endpoint: Arc<str>,
    server: Option<ServerId>,
    tool: Option<String>,
}

impl Whereabouts {
    /// Returns those of a message that belongs to no call.
    pub(crate) fn of_message(caller: &Caller, endpoint: &Arc<str>) -> Self {
        Self {
            call: None,
            caller: caller.clone(),
            endpoint: endpoint.clone(),
            server: None,
            tool: None,
        }
    }

    fn found(&self, direction: &str, findings: &Findings) -> report::Found<'static> {
        let found = report::Found {
            call: self.call.map(|id| id.to_string()),
            caller: event::Caller {
                id: self.caller.id().to_owned().into(),
                kind: self.caller.kind().as_str().into(),
                attestation: self.caller.attestation().as_str().into(),
            },
            endpoint: label(&self.endpoint),
            server: self.server.as_ref().map(ServerId::to_string),
            tool: self.tool.clone(),
            direction: direction.to_owned(),
            hits: Vec::new(),
            more: 0,
        };
        found.with(findings)
    }
}

impl Recorder {
    /// Records what was found in a message that belongs to no call.
    pub(crate) fn found(
        self: &Arc<Self>,
        whereabouts: &Whereabouts,
        direction: &str,
        findings: &Findings,
    ) {
        if !findings.is_empty() {
            let found = whereabouts.found(direction, findings);
            self.report(whereabouts.caller.tenant(), &found);
        }
    }

    /// Returns what takes note of findings in a stream that belongs to no call.
    pub(crate) fn notes(self: &Arc<Self>, whereabouts: Whereabouts) -> AnswerNotes {
        let tenant = whereabouts.caller.tenant().clone();
        AnswerNotes {
            recorder: self.clone(),
            whereabouts: Some((tenant, Arc::default(), whereabouts)),
            session: None,
        }
    }

    /// Writes an entry about findings, or counts them where there are too many.
    fn report(self: &Arc<Self>, tenant: &TenantId, found: &report::Found<'_>) {
        self.metrics.found(&found.hits);
        let now = self.clock.monotonic();
        match self.throttle.pass(tenant, found, now) {
            Passage::Write => self.put(found.draft(tenant)),
            Passage::Count => {}
            Passage::CountFirst => {
                let (this, stopping) = (self.clone(), self.supervisor.clone());
                let counting = async move {
                    tokio::select! {
                        () = tokio::time::sleep(report::WINDOW) => {}
                        () = stopping.stopping() => {}
                    }
                    this.report_counts();
                };
                self.supervisor
                    .spawn("count of findings", OnFailure::Log, counting);
            }
        }
    }

    fn report_counts(&self) {
        for (tenant, counted) in self.throttle.take() {
            self.put(counted.draft(&tenant));
        }
    }

    fn put(&self, draft: Result<Draft, DraftError>) {
        let written = draft
            .map_err(|error| error.to_string())
            .and_then(|draft| self.ledger.record(draft).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::error!(error, "an entry about findings was lost");
        }
    }
}
