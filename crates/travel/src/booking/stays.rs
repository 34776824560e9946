//! Bookings of a traveller, and the calendar of prices.

use airside_base::Timestamp;
use airside_builtin::{
    arguments::read,
    model::{CallToolResult, JsonObject},
    reply,
};
use airside_ledger::{Cell, Versioned};
use airside_mcp::Principal;
use jiff::ToSpan as _;

use super::{
    Desk, Refusal, Traveller,
    arguments::{self, List, OfBooking},
    output::{self, BookingResult, BookingsResult, CalendarResult},
    record::{Booking, CONFIRMED, Task},
    show, text,
};
use crate::{
    error::Rejection,
    shop::Local,
    supply::{self, Calendar, Prepay, Rule},
    tools::{self, arguments as shared, output::Reason, render},
};

/// Bookings of one page.
const PAGE: usize = 25;
/// Arrival days of a calendar unless said otherwise.
const DAYS: i64 = 31;

impl Desk {
    /// Returns the booking, if it is one of the traveller's.
    pub(super) async fn own_booking(
        &self,
        traveller: &Traveller,
        id: &str,
    ) -> Result<Versioned<Booking>, Refusal> {
        let found = self.bookings.find(&traveller.tenant, id).await?;
        found
            .filter(|row| row.document.traveller == traveller.key)
            .ok_or(Refusal::BookingUnknown)
    }

    pub(super) async fn booking(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let OfBooking { booking_id } = read(arguments)?;
        let traveller = self
            .known(principal)
            .await?
            .ok_or(Refusal::BookingUnknown)?;
        let row = self.own_booking(&traveller, &booking_id).await?;
        let booking = self.shown(&traveller, &row, self.now()).await?;
        let result = BookingResult {
            booking: Some(booking),
            notices: self.notices(),
            ..BookingResult::default()
        };
        let text = text::booking(&result);
        Ok(reply(&result, text))
    }

    async fn shown(
        &self,
        traveller: &Traveller,
        row: &Versioned<Booking>,
        now: Timestamp,
    ) -> Result<output::Booking, Refusal> {
        let booking = &row.document;
        let place = self.place(&booking.selection.hotel).await?;
        let guest = self.guest(traveller, &CONFIRMED, &booking.guest).await?;
        let payment = booking.payment.as_deref();
        let settlement = self.settlement(&traveller.tenant, payment).await?;
        let currency = booking.price.currency;
        let bill = self.bill(currency, Prepay::None, settlement.as_ref());
        Ok(show::booking(&place, &row.key, booking, guest, bill, now))
    }

    /// Returns what a confirmed quote has made of a booking.
    pub(super) async fn confirmed(
        &self,
        traveller: &Traveller,
        task: &Task,
        booking: &str,
    ) -> Result<CallToolResult, Refusal> {
        let row = self.own_booking(traveller, booking).await?;
        let shown = self.shown(traveller, &row, self.now()).await?;
        let currency = row.document.price.currency;
        let outcome = match task {
            Task::Cancel { penalty, .. } => format!(
                "The booking is cancelled. Cancelling costs {}.",
                currency.money(*penalty)
            ),
            Task::Book | Task::Change { .. } => format!(
                "The booking is changed. It costs {} in all.",
                currency.money(row.document.price.total)
            ),
        };
        let result = BookingResult {
            booking: Some(shown),
            outcome: Some(outcome),
            notices: self.notices(),
            ..BookingResult::default()
        };
        let text = text::booking(&result);
        Ok(reply(&result, text))
    }

    pub(super) async fn bookings(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let List { cursor } = read(arguments)?;
        let now = self.now();
        let mut bookings = Vec::new();
        let mut next = None;
        if let Some(traveller) = self.known(principal).await? {
            let mine = Cell::Text(traveller.key.clone());
            let after = cursor.as_deref().unwrap_or_default();
            let page = self
                .bookings
                .equal(&traveller.tenant, "traveller", mine, after, PAGE + 1)
                .await?;
            for row in page.iter().take(PAGE) {
                bookings.push(self.shown(&traveller, row, now).await?);
            }
            let last = page.get(PAGE - 1).filter(|_| page.len() > PAGE);
            next = last.map(|row| row.key.to_string());
        }
        let result = BookingsResult {
            bookings: Some(bookings),
            next_cursor: next,
            notices: self.notices(),
            ..BookingsResult::default()
        };
        let text = text::bookings(&result);
        Ok(reply(&result, text))
    }

    pub(super) async fn calendar(
        &self,
        arguments: Option<JsonObject>,
    ) -> Result<CallToolResult, Refusal> {
        let asked: arguments::Calendar = read(arguments)?;
        let hotel = tools::described(&*self.supply, &asked.property_id).await?;
        let (id, currency) = (&hotel.brief.id, hotel.brief.currency);
        let local = Local::at(hotel.brief.zone.clone(), self.now());
        let mut assumptions = Vec::new();
        let nights = ranged(
            asked.nights,
            1,
            supply::MAX_NIGHTS,
            "nights",
            "use 1 to 30 nights",
        )?;
        let most = supply::MAX_CALENDAR_DAYS;
        let days = asked.days.or(Some(DAYS));
        let days = ranged(days, 1, most, "days", "use 1 to 62 days")?;
        let parties = shared::parties(asked.rooms.as_deref(), &mut assumptions)?;
        // The first arrival has to be one that can be booked.
        let first = shared::stay(Some(&asked.from), None, &local, &mut Vec::new())?.check_in();
        let _ = first
            .checked_add((days as i64).days())
            .map_err(|_| Rejection::StayTooLong)?;
        let wanted = Calendar {
            from: first,
            days,
            nights,
            parties,
        };
        let arrivals = self.supply.calendar(id, &wanted).await?;
        let arrivals = arrivals.into_iter().map(|arrival| {
            let (total, room, plan, reason) = match arrival.cheapest {
                Ok((total, product)) => {
                    let (room, plan) = product.unzip();
                    let (room, plan) = (room.map(String::from), plan.map(String::from));
                    (Some(total), room, plan, None)
                }
                Err(error) => (None, None, None, Some(reason(&error))),
            };
            output::Arrival {
                date: arrival.date.to_string(),
                total: total.map(|total| render::money(total, currency)),
                room_type: room,
                rate_plan: plan,
                reason,
            }
        });
        let result = CalendarResult {
            property_id: Some(asked.property_id),
            nights: Some(nights),
            assumptions: Some(assumptions),
            arrivals: Some(arrivals.collect()),
            notices: self.notices(),
            ..CalendarResult::default()
        };
        let text = text::calendar(&result);
        Ok(reply(&result, text))
    }
}

fn ranged(
    value: Option<i64>,
    default: i64,
    most: usize,
    field: &'static str,
    range: &'static str,
) -> Result<usize, Refusal> {
    let value = value.unwrap_or(default);
    match usize::try_from(value) {
        Ok(value) if (1..=most).contains(&value) => Ok(value),
        _ => Err(airside_builtin::arguments::Error::Range { field, range }.into()),
    }
}

fn reason(error: &supply::Error) -> Reason {
    match error {
        supply::Error::SoldOut { .. } => Reason::SoldOut,
        supply::Error::Occupancy => Reason::Occupancy,
        supply::Error::Restricted(rule) => match rule {
            Rule::ClosedToArrival(_) => Reason::ClosedToArrival,
            Rule::ClosedToDeparture(_) => Reason::ClosedToDeparture,
            Rule::MinimumStay(_) => Reason::MinimumStay,
            Rule::MaximumStay(_) => Reason::MaximumStay,
            Rule::Closed(_) | Rule::LengthOfStay | Rule::BookingWindow => Reason::Closed,
        },
        _ => Reason::Closed,
    }
}
