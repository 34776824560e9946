//! What every [`Payments`] must do, as code.

use super::{Error, Order, Payment, Payments, State};
use crate::supply::Reference;

/// Runs all of it. `order` is one that is new to the provider and that can be
/// authorised; `pay` does what the traveller would do, given the open payment, and
/// returns the order as it is afterwards.
pub async fn all(
    payments: &dyn Payments,
    order: &Order,
    pay: &mut dyn FnMut(Payment, Order) -> airside_base::BoxFuture<'static, Order>,
) {
    let named = |part: &str| -> Order {
        let reference = format!("{}-{part}", order.reference);
        Order {
            reference: reference.parse().expect("the test's name is a reference"),
            ..order.clone()
        }
    };
    opened_once(payments, &named("a")).await;
    let paid = named("b");
    let open = payments.open(&paid).await.expect("it can be opened");
    let paid = pay(open, paid).await;
    authorised_taken_and_given_back_once(payments, &paid).await;
    let left = named("c");
    let open = payments.open(&left).await.expect("it can be opened");
    ended_without_payment(payments, &open, &left).await;
}

/// The same order is one payment.
async fn opened_once(payments: &dyn Payments, order: &Order) {
    let first = payments.open(order).await.expect("it can be opened");
    assert_eq!(first.state, State::Open);
    assert_eq!(payments.open(order).await, Ok(first.clone()));
    assert_eq!(payments.find(&first.id, order).await, Ok(first.clone()));
    let other = Order {
        reference: "some-other-payment".parse().expect("it is a reference"),
        amount: order.amount + 1,
        ..order.clone()
    };
    assert_eq!(payments.find(&first.id, &other).await, Err(Error::Foreign));
}

async fn authorised_taken_and_given_back_once(payments: &dyn Payments, order: &Order) {
    let open = payments.open(order).await.expect("it was opened");
    let found = payments.find(&open.id, order).await.expect("it is known");
    assert_eq!(found.state, State::Authorized);
    assert_eq!(found.captured, 0);
    let taken = payments.capture(&open.id, order, order.amount).await;
    let taken = taken.expect("what is authorised can be taken");
    let again = payments.capture(&open.id, order, order.amount).await;
    assert_eq!(again, Ok(taken.clone()));
    let refund: Reference = format!("{}-r", order.reference)
        .parse()
        .expect("it is a reference");
    let part = order.amount / 2;
    let given = payments.refund(&open.id, order, &refund, part).await;
    let given = given.expect("a part can be given back");
    assert_eq!(given.captured, taken.captured);
    let again = payments.refund(&open.id, order, &refund, part).await;
    assert_eq!(again, Ok(given));
}

async fn ended_without_payment(payments: &dyn Payments, open: &Payment, order: &Order) {
    let ended = payments.void(&open.id, order).await;
    assert_eq!(ended.map(|ended| ended.state), Ok(State::Voided));
    let again = payments.void(&open.id, order).await;
    assert_eq!(again.map(|ended| ended.state), Ok(State::Voided));
}
