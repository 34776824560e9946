//! Tokens of card networks and wallets: nothing is charged here, the hotel charges the
//! token under the terms that the traveller agreed to.

use airside_base::BoxFuture;

use super::{Error, Method, Order, Payment, Payments, State};
use crate::supply::Reference;

/// Shortest and longest token in bytes.
const BYTES: std::ops::RangeInclusive<usize> = 8..=200;

/// Takes tokens. The state of a payment is whether its order has one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tokens;

impl Tokens {
    /// Returns whether `text` can be a token: short, plain, and no row of digits, which
    /// might be a card number.
    #[must_use]
    pub fn is_token(text: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte);
        BYTES.contains(&text.len())
            && text.bytes().all(plain)
            && text.bytes().any(|byte| byte.is_ascii_alphabetic())
    }

    fn payment(order: &Order) -> Result<Payment, Error> {
        let state = match &order.token {
            None => State::Open,
            Some(token) if Self::is_token(token.expose()) => State::Authorized,
            Some(_) => {
                let reason = "it is not a network token".to_owned();
                return Err(Error::Refused { reason });
            }
        };
        Ok(Payment {
            id: order.reference.to_string(),
            state,
            page: None,
            captured: 0,
            refunded: 0,
        })
    }
}

fn done<'a>(payment: Result<Payment, Error>) -> BoxFuture<'a, Result<Payment, Error>> {
    Box::pin(std::future::ready(payment))
}

impl Payments for Tokens {
    fn method(&self) -> Method {
        Method::NetworkToken
    }

    fn open<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Result<Payment, Error>> {
        done(Self::payment(order))
    }

    fn find<'a>(&'a self, id: &'a str, order: &'a Order) -> BoxFuture<'a, Result<Payment, Error>> {
        done(match id == order.reference.as_str() {
            true => Self::payment(order),
            false => Err(Error::Foreign),
        })
    }

    fn capture<'a>(
        &'a self,
        id: &'a str,
        order: &'a Order,
        _amount: i64,
    ) -> BoxFuture<'a, Result<Payment, Error>> {
        // The hotel takes it. That the token is handed over is all that happens here.
        self.find(id, order)
    }

    fn void<'a>(&'a self, id: &'a str, order: &'a Order) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(async move {
            let payment = self.find(id, order).await?;
            Ok(Payment {
                state: State::Voided,
                ..payment
            })
        })
    }

    fn refund<'a>(
        &'a self,
        id: &'a str,
        order: &'a Order,
        _refund: &'a Reference,
        _amount: i64,
    ) -> BoxFuture<'a, Result<Payment, Error>> {
        self.find(id, order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_number_is_no_token() {
        for token in ["tok_1Nabc", "ntk:AbC-123.4~5"] {
            assert!(Tokens::is_token(token), "{token}");
        }
        let long = "x".repeat(201);
        for other in [
            "4111111111111111",
            "4111-1111-1111-1111",
            "tok",
            "a b c d e f g",
            &long,
        ] {
            assert!(!Tokens::is_token(other), "{other}");
        }
    }
}
