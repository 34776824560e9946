//! Sessions until the traveller decides: put together, read, changed, canceled.

use airside_base::secret_token;
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
use jiff::{ToSpan as _, civil::Date};
use serde_json::{Value, json};

use super::{
    Desk, KEPT, MAX_OPEN, Refusal, Traveller,
    arguments::{Create, OfSession, Update},
    idempotency::{Request, Verdict},
    instant, later,
    output::{self, SessionResult},
    paying::{self, Wanted},
    record::{CANCELED, Canceled, KEY_USED, PROPOSED, Reason, Session, Task},
    show,
    state::{self, Move, Obstacle},
    terms, text, with_meta,
};
use crate::{
    error::Rejection,
    payment::Method,
    reference,
    supply::{self, Guest, Prepay, Reference, Reservation, Selection, State, Stay, StayError},
    ucp::{Status, tool},
};

/// A hold that was taken for a session.
struct Held {
    reservation: Reservation,
    /// The total that the traveller had seen, if it is another one now.
    seen: Option<i64>,
}

impl Desk {
    pub(super) async fn create(
        &self,
        raw: JsonObject,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let asked: Create = read(Some(raw.clone()))?;
        let traveller = self.traveller(principal).await?;
        let request = match asked.idempotency_key.as_deref() {
            Some(key) => {
                let request = Request::new(&traveller.key, tool::CREATE, key, &raw);
                Some(request.ok_or(Refusal::Key)?)
            }
            None => None,
        };
        if let Some(request) = &request
            && let Some(session) = self.repeated(&traveller, request).await?
        {
            return self.show_session(&traveller, &session, None).await;
        }
        let guest = asked
            .booker
            .as_ref()
            .map(|booker| booker.guest())
            .transpose()?;
        let selection = self.selection(asked.offer_ref.as_deref())?;
        self.check_open(&traveller).await?;
        let token = asked
            .payment_token
            .as_deref()
            .map(paying::token)
            .transpose()?;
        let (id, held) = self.hold_for(request.as_ref(), selection).await?;
        let seen = held.seen;
        let proposed = self.propose(&traveller, &id, held.reservation, guest, 0);
        let proposed = self.to_pay(proposed, None, token.is_some());
        let extra = (request.as_ref(), token);
        let written = self.write_proposal(&traveller, &id, proposed, None, extra);
        match (written.await, &request) {
            (Ok(()), _) => {}
            // The same request was faster; both have the same hold.
            (Err(Refusal::Race), Some(request)) => {
                self.repeated(&traveller, request)
                    .await?
                    .ok_or(Refusal::Race)?;
            }
            // What was not kept is ended by its time.
            (Err(refusal), _) => return Err(refusal),
        }
        self.show_session(&traveller, &id, seen).await
    }

    /// Takes the rooms for a new session. Its name follows from the caller's key, so that
    /// a duplicate in flight asks the supplier the same and gets the same rooms.
    async fn hold_for(
        &self,
        request: Option<&Request>,
        selection: Selection,
    ) -> Result<(String, Held), Refusal> {
        if let Some(request) = request {
            let id = format!("bks_{}", &request.key[..22]);
            let held = self.hold(&id, 0, selection.clone()).await?;
            // A key that is free again named another session once.
            if matches!(held.reservation.state, State::Held { .. }) {
                return Ok((id, held));
            }
        }
        let id = format!("bks_{}", &secret_token()[..22]);
        let held = self.hold(&id, 0, selection).await?;
        Ok((id, held))
    }

    /// Reads an offer_ref.
    pub(super) fn selection(&self, offer_ref: Option<&str>) -> Result<Selection, Refusal> {
        let decoded =
            offer_ref.and_then(|text| reference::decode(self.supply.about().fingerprint, text));
        decoded.ok_or(Refusal::OfferUnknown)
    }

    /// Returns the offer of the same rooms for so many nights more, at today's price.
    pub(crate) async fn lengthened(&self, offer_ref: &str, delta: i64) -> Result<String, Refusal> {
        let mut wanted = self.selection(Some(offer_ref))?;
        let nights = wanted.stay.nights().len() as i64 + delta;
        let check_out = wanted.stay.check_in().checked_add(nights.days());
        let check_out = check_out.map_err(|_| Rejection::StayTooLong)?;
        wanted.stay = stay(wanted.stay.check_in(), check_out)?;
        wanted.expected_total = None;
        let total = self.supply.quote(&wanted, None).await?.price.total;
        reference::of_selection(self.supply.about().fingerprint, &wanted, total)
            .ok_or(Refusal::OfferUnknown)
    }

    /// Returns the booking that a session of the caller's has ended in.
    pub(crate) async fn booking_of(
        &self,
        principal: Option<&Principal>,
        session: &str,
    ) -> Result<Option<String>, Refusal> {
        let (_, row) = self.asked_for(principal, session).await?;
        Ok(row.document.outcome.and_then(|outcome| outcome.booking))
    }

    /// Returns the session that the request has led to already.
    pub(super) async fn repeated(
        &self,
        traveller: &Traveller,
        request: &Request,
    ) -> Result<Option<String>, Refusal> {
        let used = self.uses.find(&traveller.tenant, &request.key).await?;
        match request.judge(used.as_ref().map(|used| &used.document), self.now()) {
            Verdict::New => Ok(None),
            Verdict::Repeated { session } => Ok(Some(session)),
            Verdict::Other => Err(Refusal::KeyReused),
        }
    }

    async fn check_open(&self, traveller: &Traveller) -> Result<(), Refusal> {
        let cell = airside_ledger::Cell::Text(traveller.key.clone());
        let mut after = String::new();
        let (mut open, now) = (0, self.now().as_microsecond());
        loop {
            let page = self
                .sessions
                .equal(&traveller.tenant, "traveller", cell.clone(), &after, 100)
                .await?;
            let is_open = |session: &Session| {
                session.task == Task::Book
                    && session.status != Status::Completed
                    && state::shown(session, now) != Status::Canceled
            };
            open += page.iter().filter(|row| is_open(&row.document)).count();
            if open >= MAX_OPEN {
                return Err(Refusal::TooManySessions { open });
            }
            match page.last() {
                Some(last) if page.len() == 100 => after = last.key.to_string(),
                _ => return Ok(()),
            }
        }
    }

    /// Takes the rooms at the price that they have now, which is said if it is another
    /// one than the traveller has seen.
    async fn hold(
        &self,
        id: &str,
        revision: u32,
        mut selection: Selection,
    ) -> Result<Held, Refusal> {
        let name = hold_name(id, revision);
        let mut seen = None;
        let was_shown = selection.expected_total.is_some();
        // The price may change once more between the two.
        for _ in 0..3 {
            match self.supply.hold(&name, &selection, self.hold).await {
                Ok(reservation) => {
                    if was_shown {
                        self.accuracy.note(seen.is_some());
                    }
                    return Ok(Held { reservation, seen });
                }
                Err(supply::Error::PriceChanged { now }) => {
                    seen = seen.or(selection.expected_total);
                    selection.expected_total = Some(now);
                }
                Err(supply::Error::Unknown) => return self.read_hold(&name, seen).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::Race)
    }

    async fn read_hold(&self, name: &Reference, seen: Option<i64>) -> Result<Held, Refusal> {
        match self.supply.find(name).await? {
            Some(reservation) => Ok(Held { reservation, seen }),
            None => Err(supply::Error::Unknown.into()),
        }
    }

    pub(super) async fn give_back(&self, id: &str, revision: u32) {
        if let Err(error) = self.supply.release(&hold_name(id, revision)).await {
            tracing::debug!(session = id, %error, "a hold is left to its end");
        }
    }

    fn propose(
        &self,
        traveller: &Traveller,
        id: &str,
        held: Reservation,
        guest: Option<Guest>,
        revision: u32,
    ) -> Session {
        let now = self.now();
        let personal = |value| Personal::new(traveller.subject.clone(), Purpose::Service, value);
        let until = match held.state {
            State::Held { until } => until.as_microsecond(),
            _ => now.as_microsecond(),
        };
        let mut session = Session {
            traveller: traveller.key.clone(),
            subject: traveller.subject.clone(),
            task: Task::Book,
            status: match guest {
                Some(_) => Status::ReadyForComplete,
                None => Status::Incomplete,
            },
            unknown: false,
            created: now.as_microsecond(),
            expires: until,
            reference: held.reference,
            revision,
            selection: Selection {
                hotel: held.hotel,
                stay: held.stay,
                units: held.units,
                expected_total: Some(held.price.total),
            },
            price: held.price,
            cancellation: held.cancellation,
            prepay: match self.cashier {
                Some(_) => held.prepay,
                None => Prepay::None,
            },
            payment: None,
            paid: None,
            digest: String::new(),
            nonce: personal(secret_token()),
            uses: 0,
            guest: guest
                .map(|guest| Personal::new(traveller.subject.clone(), Purpose::Service, guest)),
            attempt: None,
            outcome: None,
            due: until,
        };
        session.digest = terms::of(id, &session);
        session
    }

    /// Says of a session how it is paid. The payment of `before` stays if it is for the
    /// same terms; `token` says that the traveller gave another one.
    fn to_pay(&self, mut session: Session, before: Option<&Session>, token: bool) -> Session {
        let Some(cashier) = &self.cashier else {
            return session;
        };
        if session.status != Status::ReadyForComplete || session.prepay.is_none() {
            return session;
        }
        let kept = before.filter(|before| {
            before.digest == session.digest && before.paid != Some(false) && !token
        });
        if let Some(kept) = kept.filter(|kept| kept.payment.is_some()) {
            session.payment = kept.payment.clone();
            session.paid = kept.paid;
        } else if token || cashier.method() == Method::HostedPage {
            session.payment = self.payment_name(session.prepay);
        }
        session.status = match (session.paid, &session.payment) {
            (Some(true), _) => Status::ReadyForComplete,
            (_, Some(_)) => Status::RequiresEscalation,
            (_, None) => Status::Incomplete,
        };
        session
    }

    /// Writes a session, with the key that led to it and the payment that it asks for.
    pub(super) async fn write_proposal(
        &self,
        traveller: &Traveller,
        id: &str,
        session: Session,
        prior: Option<Versioned<Session>>,
        (request, token): (Option<&Request>, Option<String>),
    ) -> Result<(), Refusal> {
        let tenant = &traveller.tenant;
        let draft = self.keys.draft(tenant, PROPOSED, 1, id, &session).await?;
        let mut batch = Batch::new();
        let before = prior.as_ref().and_then(|row| row.document.payment.clone());
        if before != session.payment {
            let ended = self.move_payment(&mut batch, tenant, before.as_deref(), Wanted::Ended);
            ended.await?;
            self.request_payment(&mut batch, traveller, id, &session, token)
                .await?;
        }
        self.sessions.change(&mut batch, prior, vec![draft])?;
        if let Some(request) = request {
            self.use_key(&mut batch, traveller, request, id).await?;
        }
        self.ledger.commit(batch).await?;
        let ended = before.filter(|before| session.payment.as_ref() != Some(before));
        for name in ended.iter().chain(&session.payment) {
            self.peek(tenant, name).await;
        }
        Ok(())
    }

    /// Adds to `batch` that the key of `request` names it.
    pub(super) async fn use_key(
        &self,
        batch: &mut Batch,
        traveller: &Traveller,
        request: &Request,
        session: &str,
    ) -> Result<(), Refusal> {
        let tenant = &traveller.tenant;
        // One whose retention is over may still be there.
        let prior = self.uses.find(tenant, &request.key).await?;
        let used = request.used(session, self.now());
        let draft = self
            .keys
            .draft(tenant, KEY_USED, 1, &request.key, &used)
            .await?;
        self.uses.change(batch, prior, vec![draft])?;
        Ok(())
    }

    /// Returns the session, if it is one of the traveller's.
    pub(super) async fn own(
        &self,
        traveller: &Traveller,
        id: &str,
    ) -> Result<Versioned<Session>, Refusal> {
        let found = self.sessions.find(&traveller.tenant, id).await?;
        found
            .filter(|row| row.document.traveller == traveller.key)
            .ok_or(Refusal::SessionUnknown)
    }

    /// As [`Desk::own`], for the one who asks.
    pub(super) async fn asked_for(
        &self,
        principal: Option<&Principal>,
        id: &str,
    ) -> Result<(Traveller, Versioned<Session>), Refusal> {
        let traveller = self
            .known(principal)
            .await?
            .ok_or(Refusal::SessionUnknown)?;
        let row = self.own(&traveller, id).await?;
        Ok((traveller, row))
    }

    pub(super) async fn session(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let OfSession { session_id } = read(arguments)?;
        let (traveller, row) = self.asked_for(principal, &session_id).await?;
        match row.document.task {
            Task::Book => self.show_session(&traveller, &session_id, None).await,
            Task::Change { .. } | Task::Cancel { .. } => self.show_quote(&traveller, &row).await,
        }
    }

    async fn show_quote(
        &self,
        traveller: &Traveller,
        row: &Versioned<Session>,
    ) -> Result<CallToolResult, Refusal> {
        let (session, now) = (&row.document, self.now());
        let place = self.place(&session.selection.hotel).await?;
        let status = match session.status {
            Status::CompleteInProgress => output::Status::OutcomeUnknown,
            _ => output::Status::Ok,
        };
        let settlement = self.paid_for(&traveller.tenant, session).await?;
        let bill = self.bill(session.price.currency, Prepay::None, settlement.as_ref());
        let quoted = output::QuoteResult {
            status,
            quote: show::quote(&place, &row.key, session, bill, now),
            notices: self.notices(),
            ..output::QuoteResult::default()
        };
        let text = text::quote(&quoted);
        let result = SessionResult {
            status,
            quote: quoted.quote,
            notices: self.notices(),
            ..SessionResult::default()
        };
        let consent = self.consent(traveller, &row.key, session).await?;
        Ok(with_meta(reply(&result, text), consent))
    }

    pub(super) async fn update(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let asked: Update = read(arguments)?;
        let (traveller, row) = self.asked_for(principal, &asked.session_id).await?;
        let id = asked.session_id.as_str();
        let before = &row.document;
        if before.task != Task::Book {
            return Err(Refusal::SessionUnknown);
        }
        state::step(before, Move::Propose, self.now().as_microsecond())
            .map_err(|obstacle| obstructed(obstacle, before))?;
        let guest = match &asked.booker {
            Some(booker) => Some(booker.guest()?),
            None => match &before.guest {
                Some(kept) => self.guest(&traveller, &PROPOSED, kept).await?,
                None => None,
            },
        };
        let wanted = match &asked.offer_ref {
            Some(offer_ref) => Some(self.selection(Some(offer_ref))?),
            None => None,
        };
        let same = wanted.as_ref().is_none_or(|wanted| {
            let kept = &before.selection;
            (&wanted.hotel, &wanted.stay, &wanted.units) == (&kept.hotel, &kept.stay, &kept.units)
        });
        let (held, revision) = match wanted {
            Some(wanted) if !same => {
                let revision = before.revision + 1;
                (self.hold(id, revision, wanted).await?, revision)
            }
            _ => {
                let found = self.supply.find(&before.reference).await?;
                let reservation = found.ok_or(supply::Error::NotFound)?;
                if !matches!(reservation.state, State::Held { .. }) {
                    return Err(Refusal::Expired);
                }
                (
                    Held {
                        reservation,
                        seen: None,
                    },
                    before.revision,
                )
            }
        };
        let token = asked
            .payment_token
            .as_deref()
            .map(paying::token)
            .transpose()?;
        let mut proposed = self.propose(&traveller, id, held.reservation, guest, revision);
        proposed.created = before.created;
        let proposed = self.to_pay(proposed, Some(before), token.is_some());
        let replaced = before.revision;
        let written = self
            .write_proposal(&traveller, id, proposed, Some(row), (None, token))
            .await;
        match written {
            Ok(()) if replaced != revision => self.give_back(id, replaced).await,
            Ok(()) => {}
            Err(refusal) => {
                if replaced != revision {
                    self.give_back(id, revision).await;
                }
                return Err(refusal);
            }
        }
        self.show_session(&traveller, id, held.seen).await
    }

    pub(super) async fn cancel(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let OfSession { session_id } = read(arguments)?;
        let (traveller, row) = self.asked_for(principal, &session_id).await?;
        match state::step(&row.document, Move::Cancel, self.now().as_microsecond()) {
            // A repetition.
            Err(Obstacle::Canceled) => {}
            Err(obstacle) => return Err(obstructed(obstacle, &row.document)),
            Ok(()) => self.end(&traveller.tenant, row, Reason::Asked).await?,
        }
        self.show_session(&traveller, &session_id, None).await
    }

    /// Ends a session without a booking, and gives its rooms back.
    pub(super) async fn end(
        &self,
        tenant: &airside_base::TenantId,
        row: Versioned<Session>,
        reason: Reason,
    ) -> Result<(), Refusal> {
        let id = row.key.to_string();
        let held = (row.document.task == Task::Book).then_some(row.document.revision);
        let canceled = Canceled {
            reason,
            due: later(self.now(), KEPT),
        };
        let draft = self.keys.draft(tenant, CANCELED, 1, &id, &canceled).await?;
        let payment = row.document.payment.clone();
        let mut batch = Batch::new();
        self.move_payment(&mut batch, tenant, payment.as_deref(), Wanted::Ended)
            .await?;
        self.sessions.change(&mut batch, Some(row), vec![draft])?;
        self.ledger.commit(batch).await?;
        if let Some(revision) = held {
            self.give_back(&id, revision).await;
        }
        if let Some(payment) = payment {
            self.advance(tenant, &payment).await?;
        }
        Ok(())
    }

    /// Reads a session and returns it, with what the view needs for consent. `seen` is
    /// the total of the offer, if it has another one now.
    pub(super) async fn show_session(
        &self,
        traveller: &Traveller,
        id: &str,
        seen: Option<i64>,
    ) -> Result<CallToolResult, Refusal> {
        let mut row = self.own(traveller, id).await?;
        if let (Status::RequiresEscalation, Some(payment)) =
            (row.document.status, &row.document.payment)
        {
            self.peek(&traveller.tenant, payment).await;
            row = self.own(traveller, id).await?;
        }
        let session = &row.document;
        let settlement = self
            .settlement(&traveller.tenant, session.payment.as_deref())
            .await?;
        let now = self.now();
        let place = self.place(&session.selection.hotel).await?;
        let guest = match &session.guest {
            Some(guest) => self.guest(traveller, &PROPOSED, guest).await?,
            None => None,
        };
        let (currency, total) = (session.price.currency, session.price.total);
        let bill = self.bill(currency, session.prepay, settlement.as_ref());
        let result = SessionResult {
            status: match (session.status, session.unknown, seen) {
                (Status::CompleteInProgress, ..) => output::Status::OutcomeUnknown,
                (_, _, Some(_)) => output::Status::TotalsChanged,
                _ => output::Status::Ok,
            },
            change: seen.map(|seen| show::change(seen, total, currency)),
            session: Some(show::session(&place, id, session, guest, bill, now)),
            notices: self.notices(),
            ..SessionResult::default()
        };
        let text = text::session(&result);
        let consent = self.consent(traveller, id, session).await?;
        Ok(with_meta(reply(&result, text), consent))
    }

    /// Returns what the view makes a consent token of, if there is something to consent
    /// to. It goes into the `_meta` of a result, which models do not see.
    pub(super) async fn consent(
        &self,
        traveller: &Traveller,
        id: &str,
        session: &Session,
    ) -> Result<Option<Value>, Refusal> {
        let now = self.now().as_microsecond();
        if state::step(session, Move::Complete, now).is_err() {
            return Ok(None);
        }
        let secret = self.secret(traveller, session).await?;
        Ok(secret.map(|secret| {
            json!({
                "nonce": terms::nonce(&secret, session.uses),
                "session_id": id,
                "terms_digest": session.digest,
                "expires_at": instant(session.expires),
            })
        }))
    }
}

/// Returns the stay between two days.
pub(super) fn stay(check_in: Date, check_out: Date) -> Result<Stay, Refusal> {
    Stay::new(check_in, check_out).map_err(|error| {
        Refusal::from(match error {
            StayError::NotAfter => Rejection::CheckOutNotAfter,
            StayError::TooLong => Rejection::StayTooLong,
        })
    })
}

/// Returns the supplier's name of a hold.
fn hold_name(id: &str, revision: u32) -> Reference {
    let name = format!("{id}.{revision}");
    name.parse().expect("ids of sessions are short and plain")
}

/// Says why a step cannot be taken.
pub(super) fn obstructed(obstacle: Obstacle, session: &Session) -> Refusal {
    match obstacle {
        Obstacle::Expired => Refusal::Expired,
        Obstacle::Incomplete => Refusal::NotReady {
            missing: "the lead guest is missing",
        },
        Obstacle::Unpaid => Refusal::Unpaid,
        Obstacle::InProgress => Refusal::InProgress,
        Obstacle::Canceled => Refusal::Canceled,
        Obstacle::Completed => Refusal::AlreadyCompleted {
            booking: session
                .outcome
                .as_ref()
                .and_then(|outcome| outcome.booking.clone())
                .unwrap_or_default(),
        },
    }
}
