//! From consent to an outcome, and what finds it out when the answer was lost.
//!
//! # Invariants
//!
//! * One attempt at a time: the entry that begins it names the version of the session.
//! * The supplier is asked under the reference that the session already names, so a
//!   second question is the same question. Nothing is ever booked again under another.
//! * An outcome is what the supplier says when it is read back. Only what certainly did
//!   not happen is shown as not booked.

use airside_base::{TenantId, secret_token};
use airside_builtin::{
    arguments::read,
    model::{CallToolResult, JsonObject},
    reply,
};
use airside_ledger::{
    Batch, Versioned,
    personal::{Personal, Purpose},
};
use airside_mcp::Principal;
use serde_json::{Value, json};

use super::{
    ATTEMPT, Desk, KEPT, Refusal, Traveller,
    arguments::{Complete, Confirm},
    contracts,
    idempotency::Request,
    later, output,
    paying::Wanted,
    record::{
        Attempt, Booking, CANCELLED, CHANGED, COMPLETING, CONFIRMED, Cancelled, Changed,
        Completing, Outcome, PROPOSED, SETTLED, Session, Settled, Standing, Step, Task, UNKNOWN,
        Unknown,
    },
    sessions::obstructed,
    state::{self, Move},
    terms,
};
use crate::{
    supply::{self, Guest, Reservation, State},
    ucp::{Status, tool},
};

/// What the supplier said about an attempt.
enum Answer {
    /// It was done.
    Done(Box<Reservation>),
    /// It certainly was not.
    Refused(supply::Error),
    /// Nobody knows yet.
    Unknown,
}

impl Desk {
    pub(super) async fn confirm(
        &self,
        name: &'static str,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let confirm: Confirm = read(arguments)?;
        self.complete(name, confirm.into(), principal).await
    }

    pub(super) async fn complete(
        &self,
        name: &'static str,
        asked: Complete,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let id = asked.session_id.as_str();
        // The token is made anew when an answer was lost: it is no part of the request.
        let body = json!({ "session": id, "terms": asked.terms_digest });
        let body = body.as_object().expect("it is an object");
        let traveller = self
            .known(principal)
            .await?
            .ok_or(Refusal::SessionUnknown)?;
        let key = asked.idempotency_key.as_str();
        let request = Request::new(&traveller.key, name, key, body).ok_or(Refusal::Key)?;
        if self.repeated(&traveller, &request).await?.is_some() {
            return self.outcome(&traveller, id, &request).await;
        }
        let row = self.own(&traveller, id).await?;
        if tool_of(&row.document.task) != name {
            return Err(Refusal::SessionUnknown);
        }
        self.check_consent(&traveller, &row.document, &asked)
            .await?;
        match self.begin(&traveller, row, &request, &asked).await {
            Ok(()) => {}
            // Another call began it, maybe this very one.
            Err(Refusal::Race) => {
                return match self.repeated(&traveller, &request).await? {
                    Some(_) => self.outcome(&traveller, id, &request).await,
                    None => Err(Refusal::InProgress),
                };
            }
            Err(refusal) => return Err(refusal),
        }
        let row = self.own(&traveller, id).await?;
        let answer = self.ask(&traveller.tenant, &row.document).await?;
        self.settle(&traveller.tenant, row, answer).await?;
        self.outcome(&traveller, id, &request).await
    }

    /// Refuses what the traveller has not agreed to.
    async fn check_consent(
        &self,
        traveller: &Traveller,
        session: &Session,
        asked: &Complete,
    ) -> Result<(), Refusal> {
        let now = self.now().as_microsecond();
        state::step(session, Move::Complete, now).map_err(|o| obstructed(o, session))?;
        if !asked.disclosure_shown {
            return Err(Refusal::Disclosure);
        }
        if !terms::same(&session.digest, &asked.terms_digest) {
            return Err(Refusal::TermsChanged);
        }
        let secret = self
            .secret(traveller, session)
            .await?
            .ok_or(Refusal::Consent)?;
        let nonce = terms::nonce(&secret, session.uses);
        let (id, key) = (&asked.session_id, &asked.idempotency_key);
        let expected = terms::consent_token(&nonce, id, &session.digest, key);
        match terms::same(&expected, &asked.consent_token) {
            true => Ok(()),
            false => Err(Refusal::Consent),
        }
    }

    /// Makes it durable that the traveller has consented and what is asked next.
    async fn begin(
        &self,
        traveller: &Traveller,
        row: Versioned<Session>,
        request: &Request,
        asked: &Complete,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let id = row.key.to_string();
        let begun = Completing {
            attempt: Attempt {
                key: request.key.clone(),
                at: now.as_microsecond(),
            },
            terms_digest: row.document.digest.clone(),
            disclosure_shown: asked.disclosure_shown,
            due: later(now, ATTEMPT),
        };
        let tenant = &traveller.tenant;
        let draft = self.keys.draft(tenant, COMPLETING, 1, &id, &begun).await?;
        let mut batch = Batch::new();
        self.sessions.change(&mut batch, Some(row), vec![draft])?;
        self.use_key(&mut batch, traveller, request, &id).await?;
        self.ledger.commit(batch).await?;
        Ok(())
    }

    /// Asks the supplier to do what a session is for.
    async fn ask(&self, tenant: &TenantId, session: &Session) -> Result<Answer, Refusal> {
        let name = &session.reference;
        let asked = match &session.task {
            Task::Book => {
                let guest = self.lead_guest(tenant, session).await?;
                self.supply.commit(name, &guest).await
            }
            Task::Change { change, .. } => {
                self.supply.modify(name, change, &session.selection).await
            }
            Task::Cancel { penalty, .. } => self.supply.cancel(name, *penalty).await,
        };
        Ok(match asked {
            Ok(reservation) => Answer::Done(Box::new(reservation)),
            Err(supply::Error::Unknown) => self.read_back(tenant, session).await?,
            Err(error) => Answer::Refused(error),
        })
    }

    /// Finds out what came of an attempt whose answer was lost. A hold that still stands
    /// proves that nothing was booked.
    async fn read_back(&self, tenant: &TenantId, session: &Session) -> Result<Answer, Refusal> {
        let found = self.supply.find(&session.reference).await;
        let reservation = match found {
            Ok(Some(reservation)) => reservation,
            Ok(None) => return Ok(Answer::Refused(supply::Error::NotFound)),
            Err(_) => return Ok(Answer::Unknown),
        };
        let done = match &session.task {
            Task::Book => matches!(reservation.state, State::Booked { .. }),
            Task::Change { change, .. } => reservation.change.as_ref() == Some(change),
            Task::Cancel { .. } => matches!(reservation.state, State::Cancelled { .. }),
        };
        Ok(match (done, &session.task) {
            (true, _) => Answer::Done(Box::new(reservation)),
            // Consent is durable and the price is held: asking again is asking once.
            (false, Task::Book) if matches!(reservation.state, State::Held { .. }) => {
                let guest = self.lead_guest(tenant, session).await?;
                match self.supply.commit(&session.reference, &guest).await {
                    Ok(reservation) => Answer::Done(Box::new(reservation)),
                    Err(supply::Error::Unknown) => Answer::Unknown,
                    Err(error) => Answer::Refused(error),
                }
            }
            (false, Task::Book) => Answer::Refused(supply::Error::Expired),
            (false, _) => Answer::Refused(supply::Error::Unavailable {
                retry_after: ATTEMPT,
            }),
        })
    }

    /// Notes how an attempt ended, or that it is not known.
    async fn settle(
        &self,
        tenant: &TenantId,
        row: Versioned<Session>,
        answer: Answer,
    ) -> Result<(), Refusal> {
        let id = row.key.to_string();
        let mut batch = Batch::new();
        let payment = self.payment_of(tenant, &row.document).await?;
        let draft = match answer {
            Answer::Unknown => {
                let due = later(self.now(), ATTEMPT);
                self.keys
                    .draft(tenant, UNKNOWN, 1, &id, &Unknown { due })
                    .await?
            }
            Answer::Refused(error) => {
                let settled = self.refused(&row.document, &error);
                if settled.status == Status::Canceled {
                    let payment = row.document.payment.as_deref();
                    self.move_payment(&mut batch, tenant, payment, Wanted::Ended)
                        .await?;
                }
                self.keys.draft(tenant, SETTLED, 1, &id, &settled).await?
            }
            Answer::Done(reservation) => {
                let settled = self.done(&mut batch, tenant, &row, *reservation).await?;
                self.keys.draft(tenant, SETTLED, 1, &id, &settled).await?
            }
        };
        self.sessions.change(&mut batch, Some(row), vec![draft])?;
        match self.ledger.commit(batch).await.map_err(Refusal::from) {
            Ok(_) => {}
            // The job that reads back was faster.
            Err(Refusal::Race) => return Ok(()),
            Err(refusal) => return Err(refusal),
        }
        // The outcome is known; the payment follows, now or at the next look.
        if let Some(payment) = payment
            && let Err(refusal) = self.advance(tenant, &payment).await
        {
            tracing::warn!(
                error = &refusal as &dyn std::error::Error,
                "a payment is left to the next look"
            );
        }
        Ok(())
    }

    /// Returns our name of the payment of what a session is about.
    pub(super) async fn payment_of(
        &self,
        tenant: &TenantId,
        session: &Session,
    ) -> Result<Option<String>, Refusal> {
        match &session.task {
            Task::Book => Ok(session.payment.clone()),
            Task::Change { booking, .. } | Task::Cancel { booking, .. } => {
                let row = self.bookings.find(tenant, booking).await?;
                Ok(row.and_then(|row| row.document.payment))
            }
        }
    }

    fn refused(&self, session: &Session, error: &supply::Error) -> Settled {
        let fault = error.fault();
        // What is over cannot be tried again; what was not reached can.
        let over = matches!(
            error,
            supply::Error::Expired | supply::Error::NotFound | supply::Error::State { .. }
        );
        let now = self.now();
        Settled {
            status: if over {
                Status::Canceled
            } else {
                Status::ReadyForComplete
            },
            outcome: Outcome {
                key: attempt_key(session),
                booking: None,
                answer: json!({
                    "code": fault.code(),
                    "message": fault.public(),
                    "hint": fault.hint(),
                }),
            },
            due: match over {
                true => later(now, KEPT),
                false => session.expires.max(now.as_microsecond()),
            },
        }
    }

    /// Adds to `batch` what was done to a booking.
    async fn done(
        &self,
        batch: &mut Batch,
        tenant: &TenantId,
        row: &Versioned<Session>,
        reservation: Reservation,
    ) -> Result<Settled, Refusal> {
        let session = &row.document;
        let label = reservation.confirmation().unwrap_or_default().to_owned();
        let booking = match &session.task {
            Task::Book => format!("bkg_{}", &secret_token()[..22]),
            Task::Change { booking, .. } | Task::Cancel { booking, .. } => booking.clone(),
        };
        match &session.task {
            Task::Book => {
                let guest = self.lead_guest(tenant, session).await?;
                let guest = Personal::new(session.subject.clone(), Purpose::Law, guest);
                let body = Booking {
                    traveller: session.traveller.clone(),
                    subject: session.subject.clone(),
                    session: row.key.to_string(),
                    reference: reservation.reference,
                    confirmation: label.clone(),
                    standing: Standing::Confirmed,
                    selection: session.selection.clone(),
                    price: reservation.price,
                    cancellation: reservation.cancellation,
                    guest,
                    payment: session.payment.clone(),
                    confirmed: self.now().as_microsecond(),
                    history: Vec::new(),
                };
                let draft = self
                    .keys
                    .draft(tenant, CONFIRMED, 1, &booking, &body)
                    .await?;
                self.bookings.change(batch, None, vec![draft])?;
                let payment = session.payment.as_deref();
                self.move_payment(batch, tenant, payment, Wanted::Taken)
                    .await?;
            }
            Task::Change { before, .. } => {
                let body = Changed {
                    session: row.key.to_string(),
                    confirmation: label.clone(),
                    selection: session.selection.clone(),
                    step: self.step("changed", *before, reservation.price.total),
                    price: reservation.price,
                    cancellation: reservation.cancellation,
                };
                let draft = self.keys.draft(tenant, CHANGED, 1, &booking, &body).await?;
                let prior = self.bookings.find(tenant, &booking).await?;
                let owed = body.price.total - body.price.at_property();
                self.give_back_payment(batch, tenant, prior.as_ref(), &row.key, owed)
                    .await?;
                self.bookings.change(batch, prior, vec![draft])?;
            }
            Task::Cancel { penalty, .. } => {
                let penalty = match reservation.state {
                    State::Cancelled { penalty, .. } => penalty,
                    _ => *penalty,
                };
                let body = Cancelled {
                    session: row.key.to_string(),
                    step: self.step("cancelled", session.price.total, penalty),
                };
                let draft = self
                    .keys
                    .draft(tenant, CANCELLED, 1, &booking, &body)
                    .await?;
                let prior = self.bookings.find(tenant, &booking).await?;
                self.give_back_payment(batch, tenant, prior.as_ref(), &row.key, penalty)
                    .await?;
                self.bookings.change(batch, prior, vec![draft])?;
            }
        }
        Ok(Settled {
            status: Status::Completed,
            outcome: Outcome {
                key: attempt_key(session),
                booking: Some(booking),
                answer: json!({ "label": label }),
            },
            due: later(self.now(), KEPT),
        })
    }

    /// Adds to `batch` that what was paid for a booking above `owed` minor units is given
    /// back, under the id of the quote that the traveller agreed to.
    async fn give_back_payment(
        &self,
        batch: &mut Batch,
        tenant: &TenantId,
        booking: Option<&Versioned<Booking>>,
        quote: &str,
        owed: i64,
    ) -> Result<(), Refusal> {
        let name = booking.and_then(|row| row.document.payment.as_deref());
        let Some(settlement) = self.settlement(tenant, name).await? else {
            return Ok(());
        };
        let back = settlement.document.kept() - owed;
        self.move_payment(batch, tenant, name, Wanted::back(quote, back))
            .await
    }

    fn step(&self, what: &str, total_before: i64, total_after: i64) -> Step {
        Step {
            what: what.to_owned(),
            at: super::instant(self.now().as_microsecond()),
            total_before,
            total_after,
        }
    }

    /// Returns the lead guest.
    async fn lead_guest(&self, tenant: &TenantId, session: &Session) -> Result<Guest, Refusal> {
        let kept = session.guest.as_ref().ok_or(Refusal::NotReady {
            missing: "the lead guest is missing",
        })?;
        let opened = self.keys.open(tenant, &PROPOSED, "/guest", kept).await?;
        // Forgotten while the hotel was asked: the booking stands, without a name.
        Ok(opened.clear().unwrap_or_else(|| Guest {
            first_name: "(erased)".to_owned(),
            last_name: "(erased)".to_owned(),
            email: "erased@invalid.example".to_owned(),
            phone_number: None,
        }))
    }

    /// Finds out what came of the attempt in `row`. Returns whether that is known now.
    pub(super) async fn resolve(
        &self,
        tenant: &TenantId,
        row: Versioned<Session>,
    ) -> Result<(), Refusal> {
        let now = self.now().as_microsecond();
        if state::step(&row.document, Move::Settle, now).is_err() {
            return Ok(());
        }
        let answer = self.read_back(tenant, &row.document).await?;
        self.settle(tenant, row, answer).await
    }

    /// Returns what came of a request, however often it is repeated.
    async fn outcome(
        &self,
        traveller: &Traveller,
        id: &str,
        request: &Request,
    ) -> Result<CallToolResult, Refusal> {
        let row = self.own(traveller, id).await?;
        let session = &row.document;
        let of_this = session
            .outcome
            .as_ref()
            .filter(|outcome| outcome.key == request.key);
        match of_this {
            Some(Outcome {
                booking: None,
                answer,
                ..
            }) => Ok(not_done(answer)),
            Some(Outcome {
                booking: Some(booking),
                ..
            }) if session.task != Task::Book => {
                self.confirmed(traveller, &session.task, booking).await
            }
            _ if session.task == Task::Book => self.show_session(traveller, id, None).await,
            _ => Ok(reply(
                &output::BookingResult {
                    status: output::Status::OutcomeUnknown,
                    notices: self.notices(),
                    ..output::BookingResult::default()
                },
                "The hotel has been asked and its answer is not known yet. This is not a \
                 failure: repeat the same call in a few seconds."
                    .to_owned(),
            )),
        }
    }
}

/// The refusal of an attempt, as it was told first.
fn not_done(answer: &Value) -> CallToolResult {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    let rejection = crate::tools::output::Rejection {
        code: text("code").map(Into::into),
        message: text("message"),
        hint: text("hint"),
        near_matches: None,
    };
    crate::tools::rejected_as(rejection)
}

fn attempt_key(session: &Session) -> String {
    let attempt = session.attempt.as_ref();
    attempt
        .map(|attempt| attempt.key.clone())
        .unwrap_or_default()
}

/// Returns the tool that completes a session for `task`.
fn tool_of(task: &Task) -> &'static str {
    match task {
        Task::Book => tool::COMPLETE,
        Task::Change { .. } => contracts::CONFIRM_CHANGE,
        Task::Cancel { .. } => contracts::CONFIRM_CANCELLATION,
    }
}
