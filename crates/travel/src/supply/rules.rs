//! Restrictions of nights, judged as our own hotels' are: for adapters that keep what a
//! supplier pushed.

use super::{Error, Stay};
pub use crate::{inventory::pattern, night::Restrictions, stay::Extra};
use crate::{inventory::refusal, stay};

/// One night of a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Night {
    /// Rooms that are left.
    pub left: u16,
    /// Master stop sell.
    pub closed: bool,
    /// What the night asks of stays.
    pub restrictions: Restrictions,
}

/// Returns how many rooms are left for all of `nights`, which are those of `stay`, if
/// `quantity` of them can be sold `days_ahead` days before arrival, counted in the
/// calendar of the hotel.
///
/// # Errors
///
/// The first reason why they cannot.
pub fn judge(
    stay: &Stay,
    nights: &[Night],
    extra: &Extra,
    days_ahead: i64,
    quantity: u16,
) -> Result<u16, Error> {
    if nights.len() != stay.length() {
        return Err(Error::SoldOut {
            night: stay.check_in(),
        });
    }
    let nights: Vec<_> = nights
        .iter()
        .map(|night| crate::night::Night {
            rate: 0,
            left: night.left,
            closed: night.closed,
            restrictions: night.restrictions,
            card: 0,
        })
        .collect();
    stay::judge(stay, &nights, extra, days_ahead, quantity).map_err(refusal)
}
