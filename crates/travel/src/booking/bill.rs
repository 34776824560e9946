//! How something is paid, in words.

use super::{
    output::{self, Message, PaymentKind, PaymentState},
    record::Session,
    settlement::Settlement,
    state,
};
use crate::{
    payment::Method,
    supply::{Currency, Prepay},
    tools::render,
    ucp::Status,
};

/// What is known about how something is paid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bill<'a> {
    pub prepay: Prepay,
    pub currency: Currency,
    /// How travellers pay here, if a payment provider is set up.
    pub method: Option<Method>,
    pub settlement: Option<&'a Settlement>,
}

impl Bill<'_> {
    /// Returns the minor units that were taken and not given back, if anything was paid
    /// before.
    pub(super) fn paid(&self) -> Option<i64> {
        let settlement = self.settlement?;
        matches!(settlement.prepay, Prepay::Now { .. }).then(|| settlement.kept())
    }

    /// Returns how it is paid.
    pub(super) fn payment(&self) -> output::Payment {
        let (Some(method), Some(amount)) = (self.method, self.prepay.amount()) else {
            return output::Payment {
                kind: PaymentKind::AtProperty,
                summary:
                    "The traveller pays at the hotel; no card number is needed or accepted here."
                        .to_owned(),
                amount: None,
                status: None,
                refunded: None,
            };
        };
        let money = self.currency.money(amount);
        let summary = match (self.prepay, method) {
            (Prepay::Now { .. }, Method::HostedPage) => format!(
                "{money} is paid on the payment page before booking; it is only reserved until the booking is made."
            ),
            (_, Method::HostedPage) => format!(
                "The hotel asks for a guarantee of {money}, given on the payment page; it may take it only under the cancellation terms."
            ),
            (_, Method::NetworkToken) => format!(
                "The hotel asks for a network token and may charge it up to {money} under these terms."
            ),
        };
        let refunded = self.settlement.map_or(0, Settlement::refunded);
        output::Payment {
            kind: match method {
                Method::HostedPage => PaymentKind::HostedPage,
                Method::NetworkToken => PaymentKind::NetworkToken,
            },
            summary: match self.settlement.and_then(|it| self.news(it)) {
                Some(news) => format!("{summary} {news}"),
                None => summary,
            },
            amount: Some(render::money(amount, self.currency)),
            status: self.settlement.map(|it| it.state),
            refunded: (refunded > 0).then(|| render::money(refunded, self.currency)),
        }
    }

    /// Returns where the payment stands, in a sentence.
    fn news(&self, settlement: &Settlement) -> Option<String> {
        let money = |amount| self.currency.money(amount);
        Some(match settlement.state {
            PaymentState::Requested | PaymentState::Open => return None,
            PaymentState::Authorized => "This has been done; nothing is taken yet.".to_owned(),
            PaymentState::Capturing => "It is being taken.".to_owned(),
            PaymentState::Captured if settlement.refunded() > 0 => {
                format!("{} was given back.", money(settlement.refunded()))
            }
            PaymentState::Captured if settlement.captured > 0 => "It is paid.".to_owned(),
            PaymentState::Captured => "The hotel has what it asked for.".to_owned(),
            PaymentState::Refunding => {
                let owed = settlement.owed().map_or(0, |refund| refund.amount);
                format!("{} is being given back.", money(owed))
            }
            PaymentState::Voiding | PaymentState::Voided => {
                "It has ended and nothing was taken.".to_owned()
            }
            PaymentState::Failed => {
                let reason = settlement.reason.as_deref().unwrap_or("it was refused");
                format!("It could not be done: {reason}.")
            }
        })
    }

    /// Puts into a session what has to be done about its payment.
    pub(super) fn add_to(&self, shown: &mut output::Session, session: &Session, now: i64) {
        let mut say = |code, severity, content: String| {
            shown.messages.push(Message {
                code,
                severity,
                content,
            });
        };
        match (state::shown(session, now), self.settlement) {
            (Status::RequiresEscalation, Some(settlement)) => {
                let page = settlement.page.clone();
                match page {
                    Some(page) if settlement.state == PaymentState::Open => {
                        shown.continue_url = Some(page);
                        say(
                            "payment_required",
                            "requires_buyer_input",
                            "The traveller goes on at the payment page (continue_url) and then comes back. \
                             Never ask for a card number here."
                                .to_owned(),
                        );
                    }
                    _ => say(
                        "payment_pending",
                        "recoverable",
                        "The payment page is being prepared: ask get_booking_session again in a few seconds."
                            .to_owned(),
                    ),
                }
            }
            (Status::Incomplete, Some(settlement)) if session.paid == Some(false) => {
                let reason = settlement.reason.as_deref().unwrap_or("it was refused");
                say(
                    "payment_failed",
                    "requires_buyer_review",
                    format!(
                        "The payment could not be done: {reason}. Nothing was taken. Let the traveller try \
                         again with update_booking_session or choose another rate."
                    ),
                );
            }
            (Status::Incomplete, None)
                if session.guest.is_some() && self.method == Some(Method::NetworkToken) =>
            {
                say(
                    "payment_token_missing",
                    "requires_buyer_input",
                    "The hotel asks for a guarantee: send payment_token, the token of a card network or \
                     wallet, with update_booking_session. Never send a card number."
                        .to_owned(),
                );
            }
            _ => {}
        }
    }
}
