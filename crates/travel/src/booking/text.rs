//! Results as text: for models that do not read `structuredContent` and for people.

use std::fmt::Write as _;

use super::output::{
    Booking, BookingResult, BookingsResult, CalendarResult, QuoteResult, SessionResult, Term,
};
use crate::{tools::text::line, ucp};

pub(super) fn session(result: &SessionResult) -> String {
    let mut out = String::new();
    let Some(session) = &result.session else {
        return out;
    };
    if let Some(change) = &result.change {
        line!(
            out,
            "{} Show this to the traveller first: {} before, {} now.",
            change.summary,
            change.before.display,
            change.after.display
        );
    }
    match session.status {
        ucp::Status::Completed => {
            let confirmation = session.confirmation.as_ref();
            let (id, label) = confirmation.map_or(("", ""), |c| (c.id.as_str(), c.label.as_str()));
            line!(out, "Booked: {label} (booking_id {id}).");
        }
        ucp::Status::CompleteInProgress => line!(
            out,
            "The hotel has been asked and its answer is not known yet. This is not a failure: do \
             not book again, call get_booking_session for {} in a few seconds.",
            session.id
        ),
        ucp::Status::Canceled => line!(
            out,
            "The session {} has ended. Nothing was booked.",
            session.id
        ),
        ucp::Status::ReadyForComplete => line!(
            out,
            "Nothing is booked yet. The traveller can review these terms and book until {} in the \
             booking view, or at a terminal with: airside call complete_booking_session session_id={}",
            session.expires_at,
            session.id
        ),
        ucp::Status::RequiresEscalation => {
            line!(
                out,
                "Nothing is booked yet. The rooms are held until {} (session_id {}).",
                session.expires_at,
                session.id
            );
            if let Some(page) = &session.continue_url {
                line!(out, "The traveller goes on at the payment page: {page}");
            }
        }
        ucp::Status::Incomplete => line!(
            out,
            "Nothing is booked yet. The rooms are held until {} (session_id {}).",
            session.expires_at,
            session.id
        ),
    }
    terms(&mut out, &session.terms);
    for message in &session.messages {
        line!(out, "{}", message.content);
    }
    notices(&mut out, result.notices.as_ref());
    out
}

pub(super) fn quote(result: &QuoteResult) -> String {
    let mut out = String::new();
    let Some(quote) = &result.quote else {
        return out;
    };
    let tool = match quote.kind {
        super::output::QuoteKind::Change => "confirm_booking_change",
        super::output::QuoteKind::Cancellation => "confirm_cancellation",
    };
    line!(
        out,
        "Nothing has changed yet. Until {} the traveller can confirm this in the booking view, or \
         at a terminal with: airside call {tool} quote_id={}",
        quote.expires_at,
        quote.id
    );
    if let (Some(after), Some(difference)) = (&quote.after, &quote.difference) {
        line!(
            out,
            "{} before, {} after: {} difference.",
            quote.before.display,
            after.display,
            difference.display
        );
    }
    if let (Some(penalty), Some(refund)) = (&quote.penalty, &quote.refund) {
        line!(
            out,
            "Cancelling costs {}; {} is no longer owed.",
            penalty.display,
            refund.display
        );
    }
    terms(&mut out, &quote.terms);
    notices(&mut out, result.notices.as_ref());
    out
}

pub(super) fn booking(result: &BookingResult) -> String {
    let mut out = String::new();
    if let Some(outcome) = &result.outcome {
        line!(out, "{outcome}");
    }
    if let Some(booking) = &result.booking {
        one(&mut out, booking);
    }
    notices(&mut out, result.notices.as_ref());
    out
}

pub(super) fn bookings(result: &BookingsResult) -> String {
    let mut out = String::new();
    let bookings = result.bookings.as_deref().unwrap_or_default();
    if bookings.is_empty() {
        line!(out, "This traveller has no bookings here.");
    }
    for booking in bookings {
        one(&mut out, booking);
    }
    if let Some(cursor) = &result.next_cursor {
        line!(out, "More: repeat with cursor {cursor}");
    }
    out
}

fn one(out: &mut String, booking: &Booking) {
    let stands = match booking.status {
        super::record::Standing::Confirmed => "confirmed",
        super::record::Standing::Cancelled => "cancelled",
    };
    line!(
        out,
        "{}: {stands}, {}, {} to {}, {} in all (booking_id {}).",
        booking.label,
        booking.property.name,
        booking.stay.check_in,
        booking.stay.check_out,
        booking.offer.total.display,
        booking.id
    );
    if let Some(cancellation) = &booking.cancellation_now {
        line!(out, "  {}.", cancellation.summary);
    }
    for step in &booking.history {
        line!(out, "  {} at {}", step.what, step.at);
    }
}

pub(super) fn calendar(result: &CalendarResult) -> String {
    let mut out = String::new();
    let nights = result.nights.unwrap_or(1);
    line!(
        out,
        "Cheapest all-in total of {nights} night(s) by arrival day:"
    );
    for arrival in result.arrivals.as_deref().unwrap_or_default() {
        match (&arrival.total, &arrival.reason) {
            (Some(total), _) => line!(out, "{} {}", arrival.date, total.display),
            (None, _) => line!(out, "{} not available", arrival.date),
        }
    }
    notices(&mut out, result.notices.as_ref());
    out
}

fn terms(out: &mut String, terms: &[Term]) {
    for term in terms {
        line!(out, "- {}: {}", term.label, term.text);
    }
}

fn notices(out: &mut String, notices: Option<&crate::tools::output::Notices>) {
    if let Some(notices) = notices {
        line!(out, "{} {}", notices.inventory, notices.ai_disclosure);
    }
}
