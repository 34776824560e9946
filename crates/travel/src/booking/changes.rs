//! What changing or cancelling a booking would mean.
//!
//! # Invariants
//!
//! * A quote is a session: it has terms, a digest, an end, and needs consent.
//! * What cancelling costs is computed from the schedule that the traveller was shown,
//!   at the instant of the quote, which ends before the next tier begins.

use airside_base::{Timestamp, secret_token};
use airside_builtin::{
    arguments::{self, read},
    model::{CallToolResult, JsonObject},
    reply,
};
use airside_ledger::{
    Versioned,
    personal::{Personal, Purpose},
};
use airside_mcp::Principal;
use jiff::{ToSpan as _, civil::Date};

use super::{
    Desk, QUOTE, Refusal, Traveller,
    arguments::{OfBooking, QuoteChange},
    later,
    output::QuoteResult,
    record::{Booking, Session, Standing, Task},
    sessions, show, terms, text, with_meta,
};
use crate::{
    error::Rejection,
    policy,
    supply::{Cancellation, Prepay, Price, Selection, Stay},
    tools::arguments as shared,
    ucp::Status,
};

impl Desk {
    pub(super) async fn quote_change(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let asked: QuoteChange = read(arguments)?;
        let (traveller, row) = self.standing(principal, &asked.booking_id).await?;
        let booking = &row.document;
        let mut wanted = match &asked.offer_ref {
            Some(offer_ref) => self.selection(Some(offer_ref))?,
            None => booking.selection.clone(),
        };
        if wanted.hotel != booking.selection.hotel {
            return Err(Refusal::OfferUnknown);
        }
        wanted.stay = self.new_stay(&wanted, &asked)?;
        wanted.expected_total = None;
        let kept = &booking.selection;
        if (&wanted.stay, &wanted.units) == (&kept.stay, &kept.units) {
            return Err(Refusal::NothingToChange);
        }
        let quoted = self.supply.quote(&wanted, Some(&booking.reference)).await?;
        wanted.expected_total = Some(quoted.price.total);
        let id = format!("quo_{}", &secret_token()[..22]);
        let task = Task::Change {
            booking: asked.booking_id,
            change: id.parse().expect("ids of quotes are short and plain"),
            before: booking.price.total,
        };
        let terms = (wanted, quoted.price, quoted.cancellation);
        let until = later(self.now(), QUOTE);
        self.offer_quote(&traveller, &id, booking, (task, terms, until))
            .await
    }

    /// Returns the stay that is asked for, in what can be booked.
    fn new_stay(&self, selection: &Selection, asked: &QuoteChange) -> Result<Stay, Refusal> {
        let stay = &selection.stay;
        let check_in = match &asked.check_in {
            Some(text) => shared::date(text, "check_in")?,
            None => stay.check_in(),
        };
        let delta = asked.nights_delta.unwrap_or(0);
        if !(-30..=30).contains(&delta) {
            let range = "use nights_delta of -30 to 30";
            let field = "nights_delta";
            return Err(arguments::Error::Range { field, range }.into());
        }
        let length = stay.nights().len() as i64 + delta;
        let check_out = match &asked.check_out {
            Some(text) => shared::date(text, "check_out")?,
            None if asked.check_in.is_some() || asked.nights_delta.is_some() => {
                ahead(check_in, length)?
            }
            None => stay.check_out(),
        };
        sessions::stay(check_in, check_out)
    }

    pub(super) async fn quote_cancellation(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let OfBooking { booking_id } = read(arguments)?;
        let (traveller, row) = self.standing(principal, &booking_id).await?;
        let booking = &row.document;
        let now = self.now();
        let penalty = self.penalty(booking, now).await?;
        let id = format!("quo_{}", &secret_token()[..22]);
        let task = Task::Cancel {
            booking: booking_id,
            penalty,
        };
        let terms = (
            booking.selection.clone(),
            booking.price.clone(),
            booking.cancellation.clone(),
        );
        // It must not hold into the next tier.
        let next = booking
            .cancellation
            .tiers
            .iter()
            .filter_map(|tier| tier.from);
        let next = next
            .filter(|from| *from > now)
            .map(Timestamp::as_microsecond)
            .min();
        let until = later(now, QUOTE);
        let until = next.map_or(until, |next| next.min(until));
        self.offer_quote(&traveller, &id, booking, (task, terms, until))
            .await
    }

    /// Returns what cancelling costs now, by the schedule that the traveller was shown.
    async fn penalty(&self, booking: &Booking, now: Timestamp) -> Result<i64, Refusal> {
        let place = self.place(&booking.selection.hotel).await?;
        let stay = &booking.selection.stay;
        let Some(schedule) = show::schedule(&booking.cancellation, stay, place.zone()) else {
            return Ok(booking.cancellation.penalty(now));
        };
        let nights: Vec<i64> = booking
            .price
            .nightly
            .iter()
            .map(|(_, amount)| *amount)
            .collect();
        let basis = policy::Basis {
            total: booking.price.total,
            nights: &nights,
        };
        let selected = policy::select(Some(&schedule), &now.to_string());
        let refund = selected
            .ok()
            .and_then(|it| policy::refund(&it.outcome, basis));
        Ok(refund.map_or(booking.cancellation.penalty(now), |refund| refund.penalty))
    }

    /// Returns a booking of the one who asks, if it stands.
    async fn standing(
        &self,
        principal: Option<&Principal>,
        id: &str,
    ) -> Result<(Traveller, Versioned<Booking>), Refusal> {
        let traveller = self
            .known(principal)
            .await?
            .ok_or(Refusal::BookingUnknown)?;
        let row = self.own_booking(&traveller, id).await?;
        match row.document.standing {
            Standing::Confirmed => Ok((traveller, row)),
            Standing::Cancelled => Err(Refusal::BookingCancelled),
        }
    }

    async fn offer_quote(
        &self,
        traveller: &Traveller,
        id: &str,
        booking: &Booking,
        (task, (selection, price, cancellation), until): (
            Task,
            (Selection, Price, Cancellation),
            i64,
        ),
    ) -> Result<CallToolResult, Refusal> {
        let now = self.now();
        let nonce = Personal::new(traveller.subject.clone(), Purpose::Service, secret_token());
        let mut session = Session {
            traveller: traveller.key.clone(),
            subject: traveller.subject.clone(),
            task,
            status: Status::ReadyForComplete,
            unknown: false,
            created: now.as_microsecond(),
            expires: until,
            reference: booking.reference.clone(),
            revision: 0,
            selection,
            price,
            cancellation,
            prepay: Prepay::None,
            payment: None,
            paid: None,
            digest: String::new(),
            nonce,
            uses: 0,
            guest: None,
            attempt: None,
            outcome: None,
            due: until,
        };
        session.digest = terms::of(id, &session);
        self.write_proposal(traveller, id, session, None, (None, None))
            .await?;
        let row = self.own(traveller, id).await?;
        let place = self.place(&row.document.selection.hotel).await?;
        let currency = row.document.price.currency;
        let settlement = self.paid_for(&traveller.tenant, &row.document).await?;
        let bill = self.bill(currency, Prepay::None, settlement.as_ref());
        let result = QuoteResult {
            quote: show::quote(&place, id, &row.document, bill, now),
            notices: self.notices(),
            ..QuoteResult::default()
        };
        let text = text::quote(&result);
        let consent = self.consent(traveller, id, &row.document).await?;
        Ok(with_meta(reply(&result, text), consent))
    }
}

fn ahead(from: Date, nights: i64) -> Result<Date, Refusal> {
    from.checked_add(nights.days())
        .map_err(|_| Rejection::StayTooLong.into())
}
