//! Payments of sessions and bookings: opened, taken, ended, given back.
//!
//! # Invariants
//!
//! * What the provider is asked is written before; what it said, after. Whoever finds a
//!   payment between the two asks the same again.
//! * A session is ready once the provider itself says that its payment is authorised; a
//!   message that says so only makes us ask.
//! * Money is taken with the booking and not before; a session that ends without one
//!   ends its payment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use airside_base::{TenantId, Timestamp, secret_token};
use airside_ledger::{
    Batch, Kind, Versioned,
    personal::{Personal, Purpose},
};

use super::{
    ATTEMPT, Desk, Refusal, Traveller,
    bill::Bill,
    later,
    record::{PAID, Paid, Session},
    settlement::{
        AUTHORIZED, CAPTURE_REQUESTED, CAPTURED, FAILED, Moved, OPENED, REFUND_REQUESTED, REFUNDED,
        REQUESTED, Refund, Settlement, State, UNKNOWN, VOID_REQUESTED, VOIDED,
    },
    state,
};
use crate::{
    payment::{self, Method, Order, Payment, Payments, Tokens},
    supply::{Currency, Prepay, Reference},
    ucp::Status,
};

/// Shortest time between two looks at a payment that readers of a session cause.
const LOOK: Duration = Duration::from_secs(2);
/// Most payments whose last look is remembered.
const LOOKS: usize = 4_096;
/// Steps that one look may take: opened and authorised, or ended and void.
const STEPS: usize = 3;

/// Who takes payments, and when was looked.
#[derive(Debug)]
pub(super) struct Cashier {
    provider: Arc<dyn Payments>,
    looked: Mutex<HashMap<String, Timestamp>>,
}

impl Cashier {
    pub(super) fn new(provider: Arc<dyn Payments>) -> Self {
        Self {
            provider,
            looked: Mutex::default(),
        }
    }

    pub(super) fn method(&self) -> Method {
        self.provider.method()
    }

    /// Returns whether a payment may be looked at again because somebody reads.
    fn may_look(&self, name: &str, now: Timestamp) -> bool {
        let mut looked = self
            .looked
            .lock()
            .expect("no panic happens while the lock is held");
        let since = |then: &Timestamp| now.duration_since(*then).unsigned_abs();
        if looked.get(name).is_some_and(|then| since(then) < LOOK) {
            return false;
        }
        if looked.len() >= LOOKS {
            looked.retain(|_, then| since(then) < LOOK);
        }
        if looked.len() < LOOKS {
            looked.insert(name.to_owned(), now);
        }
        true
    }
}

/// What a look at a payment leads to.
enum Next {
    /// Nothing until something else happens.
    Rest,
    /// This is written, and then looked again.
    Write(Kind, Moved),
}

impl Desk {
    /// Adds to `batch` that a payment of the session is asked for, under the name that
    /// the session has for it.
    pub(super) async fn request_payment(
        &self,
        batch: &mut Batch,
        traveller: &Traveller,
        id: &str,
        session: &Session,
        token: Option<String>,
    ) -> Result<(), Refusal> {
        let (Some(name), Some(amount)) = (&session.payment, session.prepay.amount()) else {
            return Ok(());
        };
        let nights = session.selection.stay.nights().len();
        let sealed = |token| Personal::new(traveller.subject.clone(), Purpose::Law, token);
        let settlement = Settlement {
            traveller: traveller.key.clone(),
            subject: traveller.subject.clone(),
            session: id.to_owned(),
            terms_digest: session.digest.clone(),
            prepay: session.prepay,
            amount,
            currency: session.price.currency,
            summary: format!(
                "Hotel stay from {}, {nights} night{}",
                session.selection.stay.check_in(),
                if nights == 1 { "" } else { "s" }
            ),
            expires: session.expires,
            token: token.map(sealed),
            state: State::Requested,
            unknown: false,
            id: None,
            page: None,
            captured: 0,
            refunds: Vec::new(),
            reason: None,
            due: Some(later(self.now(), ATTEMPT)),
        };
        let tenant = &traveller.tenant;
        let draft = self.keys.draft(tenant, REQUESTED, 1, name, &settlement);
        self.settlements.change(batch, None, vec![draft.await?])?;
        Ok(())
    }

    /// Returns a name for a new payment, if one is needed.
    pub(super) fn payment_name(&self, prepay: Prepay) -> Option<String> {
        prepay.amount()?;
        self.cashier.as_ref()?;
        Some(format!("pay_{}", &secret_token()[..32]))
    }

    /// Returns how travellers pay here, if a payment provider is set up.
    pub(super) fn method(&self) -> Option<Method> {
        self.cashier.as_ref().map(Cashier::method)
    }

    /// Returns the payment of what a session is about.
    pub(super) async fn paid_for(
        &self,
        tenant: &TenantId,
        session: &Session,
    ) -> Result<Option<Versioned<Settlement>>, Refusal> {
        let name = self.payment_of(tenant, session).await?;
        self.settlement(tenant, name.as_deref()).await
    }

    /// Returns how something is paid: as `settlement` says, or as `prepay` asks for.
    pub(super) fn bill<'a>(
        &self,
        currency: Currency,
        prepay: Prepay,
        settlement: Option<&'a Versioned<Settlement>>,
    ) -> Bill<'a> {
        let settlement = settlement.map(|row| &row.document);
        Bill {
            prepay: settlement.map_or(prepay, |it| it.prepay),
            currency,
            method: self.method(),
            settlement,
        }
    }

    pub(super) async fn settlement(
        &self,
        tenant: &TenantId,
        name: Option<&str>,
    ) -> Result<Option<Versioned<Settlement>>, Refusal> {
        match name {
            Some(name) => Ok(self.settlements.find(tenant, name).await?),
            None => Ok(None),
        }
    }

    /// Adds to `batch` that the payment `name` has to move on. What it needs from the
    /// provider is done by [`Desk::advance`] once the batch is durable.
    pub(super) async fn move_payment(
        &self,
        batch: &mut Batch,
        tenant: &TenantId,
        name: Option<&str>,
        wanted: Wanted,
    ) -> Result<(), Refusal> {
        let Some(row) = self.settlement(tenant, name).await? else {
            return Ok(());
        };
        let settlement = &row.document;
        let (kind, refund) = match (wanted, settlement.state) {
            (Wanted::Taken, State::Authorized) => (CAPTURE_REQUESTED, None),
            (Wanted::Ended, State::Requested | State::Open | State::Authorized) => {
                (VOID_REQUESTED, None)
            }
            (Wanted::Back(refund), State::Capturing | State::Captured | State::Refunding)
                if refund.amount > 0 =>
            {
                (REFUND_REQUESTED, Some(refund))
            }
            _ => return Ok(()),
        };
        let moved = Moved {
            refund,
            due: Some(later(self.now(), ATTEMPT)),
            ..Moved::default()
        };
        let name = row.key.to_string();
        let draft = self.keys.draft(tenant, kind, 1, &name, &moved).await?;
        self.settlements.change(batch, Some(row), vec![draft])?;
        Ok(())
    }

    /// Asks the provider for what a payment needs next, as far as that is possible now.
    /// What cannot be known is left to the next look.
    pub(super) async fn advance(&self, tenant: &TenantId, name: &str) -> Result<(), Refusal> {
        for _ in 0..STEPS {
            let Some(row) = self.settlement(tenant, Some(name)).await? else {
                return Ok(());
            };
            match self.next(tenant, &row).await? {
                Next::Rest => return Ok(()),
                Next::Write(kind, moved) => {
                    let lost = kind == UNKNOWN;
                    match self.write_move(tenant, row, kind, &moved).await {
                        // Somebody else was faster; what they did is looked at next.
                        Ok(()) | Err(Refusal::Race) => {}
                        Err(refusal) => return Err(refusal),
                    }
                    if lost {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// As [`Desk::advance`], for somebody who reads a session: not more often than the
    /// provider should be asked, and without failing.
    pub(super) async fn peek(&self, tenant: &TenantId, name: &str) {
        let Some(cashier) = &self.cashier else { return };
        if !cashier.may_look(name, self.now()) {
            return;
        }
        if let Err(refusal) = self.advance(tenant, name).await {
            tracing::warn!(
                error = &refusal as &dyn std::error::Error,
                "a payment cannot be looked at"
            );
        }
    }

    async fn next(&self, tenant: &TenantId, row: &Versioned<Settlement>) -> Result<Next, Refusal> {
        let Some(cashier) = &self.cashier else {
            return Ok(Next::Rest);
        };
        let (settlement, now) = (&row.document, self.now());
        let waits = matches!(
            settlement.state,
            State::Requested | State::Open | State::Authorized
        );
        if waits && !self.is_wanted(tenant, row).await? {
            let due = Some(later(now, ATTEMPT));
            return Ok(Next::Write(
                VOID_REQUESTED,
                Moved {
                    due,
                    ..Moved::default()
                },
            ));
        }
        let token = match &settlement.token {
            Some(token) => {
                let opened = self.keys.open(tenant, &REQUESTED, "/token", token).await?;
                opened.clear()
            }
            None => None,
        };
        let order = settlement.order(&row.key, tenant, token);
        let asked = ask(cashier.provider.as_ref(), settlement, &order).await;
        Ok(match asked {
            None => Next::Rest,
            Some(Ok(payment)) => self.told(settlement, &payment),
            Some(Err(error)) => self.not_told(&row.key, settlement, &error),
        })
    }

    /// Returns whether the session of a payment still waits for it.
    async fn is_wanted(
        &self,
        tenant: &TenantId,
        row: &Versioned<Settlement>,
    ) -> Result<bool, Refusal> {
        let session = self.sessions.find(tenant, &row.document.session).await?;
        let Some(session) = session.map(|row| row.document) else {
            return Ok(false);
        };
        let named = session.payment.as_deref() == Some(&*row.key);
        let over = state::shown(&session, self.now().as_microsecond()) == Status::Canceled;
        Ok(named && !over)
    }

    /// Returns what the provider's word means for a payment.
    fn told(&self, settlement: &Settlement, payment: &Payment) -> Next {
        use payment::State as Said;
        let about = |captured| Moved {
            id: Some(payment.id.clone()),
            page: payment.page.clone(),
            captured,
            ..Moved::default()
        };
        let at_expiry = Some(settlement.expires);
        let taken = |moved| match settlement.owed() {
            // What has to be given back waited for this.
            Some(_) => Moved {
                due: Some(later(self.now(), ATTEMPT)),
                ..moved
            },
            None => moved,
        };
        match (settlement.state, payment.state) {
            (State::Requested, Said::Open) => Next::Write(
                OPENED,
                Moved {
                    due: at_expiry,
                    ..about(None)
                },
            ),
            (State::Requested | State::Open, Said::Authorized | Said::Captured) => Next::Write(
                AUTHORIZED,
                Moved {
                    due: at_expiry,
                    ..about(None)
                },
            ),
            (State::Requested | State::Open, Said::Voided) => Next::Write(
                FAILED,
                Moved {
                    reason: Some("it was not paid in time".to_owned()),
                    ..about(None)
                },
            ),
            (State::Capturing, Said::Captured) => {
                Next::Write(CAPTURED, taken(about(Some(payment.captured))))
            }
            // A token is handed over; what the hotel takes is its business.
            (State::Capturing, Said::Authorized) => Next::Write(CAPTURED, taken(about(Some(0)))),
            (State::Capturing, Said::Voided | Said::Open) => Next::Write(
                FAILED,
                Moved {
                    reason: Some("what was reserved is no longer there".to_owned()),
                    ..about(None)
                },
            ),
            (State::Voiding, Said::Voided) => Next::Write(VOIDED, about(None)),
            (State::Refunding, _) => match settlement.owed() {
                None => Next::Rest,
                Some(owed) => {
                    let more = settlement.refunds.iter().filter(|one| !one.done).count() > 1;
                    Next::Write(
                        REFUNDED,
                        Moved {
                            refund: Some(Refund {
                                done: true,
                                ..owed.clone()
                            }),
                            due: more.then(|| later(self.now(), ATTEMPT)),
                            ..about(None)
                        },
                    )
                }
            },
            _ => Next::Rest,
        }
    }

    /// Returns what it means that the provider did not do what it was asked.
    fn not_told(&self, name: &str, settlement: &Settlement, error: &payment::Error) -> Next {
        let opening = matches!(settlement.state, State::Requested | State::Open);
        let never_opened = settlement.state == State::Voiding && settlement.id.is_none();
        match error {
            payment::Error::Refused { .. } if never_opened => Next::Write(VOIDED, Moved::default()),
            payment::Error::Refused { reason }
                if opening || settlement.state == State::Capturing =>
            {
                tracing::warn!(payment = name, reason, "a payment was refused");
                Next::Write(
                    FAILED,
                    Moved {
                        reason: Some(reason.clone()),
                        ..Moved::default()
                    },
                )
            }
            error => {
                let wait = if settlement.unknown {
                    6 * ATTEMPT
                } else {
                    ATTEMPT
                };
                if error.is_transient() {
                    tracing::warn!(payment = name, %error, "a payment is asked for again");
                } else {
                    tracing::error!(payment = name, %error, "somebody has to look at a payment");
                }
                Next::Write(
                    UNKNOWN,
                    Moved {
                        due: Some(later(self.now(), wait)),
                        ..Moved::default()
                    },
                )
            }
        }
    }

    /// Writes a step of a payment, with what it means for its session.
    async fn write_move(
        &self,
        tenant: &TenantId,
        row: Versioned<Settlement>,
        kind: Kind,
        moved: &Moved,
    ) -> Result<(), Refusal> {
        let name = row.key.to_string();
        let session = row.document.session.clone();
        let mut batch = Batch::new();
        let draft = self
            .keys
            .draft(tenant, kind.clone(), 1, &name, moved)
            .await?;
        self.settlements
            .change(&mut batch, Some(row), vec![draft])?;
        if kind == AUTHORIZED || kind == FAILED {
            let waiting = self.sessions.find(tenant, &session).await?;
            let waiting = waiting.filter(|row| {
                row.document.payment.as_deref() == Some(&name)
                    && row.document.status == Status::RequiresEscalation
            });
            if let Some(waiting) = waiting {
                let paid = Paid {
                    payment: name,
                    done: kind == AUTHORIZED,
                };
                let draft = self.keys.draft(tenant, PAID, 1, &session, &paid).await?;
                self.sessions
                    .change(&mut batch, Some(waiting), vec![draft])?;
            }
        }
        self.ledger.commit(batch).await?;
        Ok(())
    }
}

/// What a session or a booking wants of its payment.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// Take what is authorised.
    Taken,
    /// End it.
    Ended,
    /// Give an amount back.
    Back(Refund),
}

impl Wanted {
    pub(super) fn back(reference: &str, amount: i64) -> Self {
        let reference: Reference = reference.parse().expect("ids are short and plain");
        Self::Back(Refund {
            reference,
            amount,
            done: false,
        })
    }
}

/// Asks the provider for the next step; `None` if there is none.
async fn ask(
    provider: &dyn Payments,
    settlement: &Settlement,
    order: &Order,
) -> Option<Result<Payment, payment::Error>> {
    let Some(id) = settlement.id.as_deref() else {
        return match settlement.state {
            State::Requested => Some(provider.open(order).await),
            // It may have been opened and the answer lost: the same again names it.
            State::Voiding => Some(match provider.open(order).await {
                Ok(payment) => provider.void(&payment.id, order).await,
                Err(error) => Err(error),
            }),
            _ => None,
        };
    };
    match settlement.state {
        State::Requested => Some(provider.open(order).await),
        State::Open => Some(provider.find(id, order).await),
        // A guarantee is there; what it is for may never happen.
        State::Capturing => Some(match settlement.prepay {
            Prepay::Now { amount } => provider.capture(id, order, amount).await,
            Prepay::Guarantee { .. } | Prepay::None => provider.find(id, order).await,
        }),
        State::Voiding => Some(provider.void(id, order).await),
        State::Refunding => {
            let owed = settlement.owed()?;
            Some(
                provider
                    .refund(id, order, &owed.reference, owed.amount)
                    .await,
            )
        }
        State::Authorized | State::Captured | State::Voided | State::Failed => None,
    }
}

/// Returns a traveller's token, if it can be one.
pub(super) fn token(text: &str) -> Result<String, Refusal> {
    match Tokens::is_token(text) {
        true => Ok(text.to_owned()),
        false => Err(Refusal::Token),
    }
}
