//! The port to whoever sells rooms: our own inventory or a supplier elsewhere.
//!
//! # Invariants that every implementation keeps
//!
//! * **Idempotent by the caller's own reference.** A repeated call with the same
//!   reference and content returns the first outcome; with other content it is
//!   [`Error::Mismatch`].
//! * **All or nothing.** A hold takes all units for every night of the stay, or none.
//! * **The price that was held is the price.** [`HotelSupply::commit`] confirms what
//!   [`HotelSupply::hold`] returned, never another amount.
//! * **Acknowledged is durable.** What a call returned survives the loss of the process.
//! * **Unknown is a state.** After [`Error::Unknown`] the caller reads back with
//!   [`HotelSupply::find`]; it never creates again under another reference.
//!
//! [`contract`] is these sentences as code; each implementation runs it.

pub mod ari;
pub mod contract;
mod error;
mod hotel;
mod id;
mod offer;
mod place;
mod prepay;
mod reservation;
pub mod rules;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use airside_base::BoxFuture;

pub use self::{
    ari::{Applied, Updates},
    error::{Error, Rule},
    hotel::{Brief, Charge, Hotel, Plan, RoomType},
    id::{CodeError, HotelId, PlanCode, Reference, RoomCode},
    offer::{
        Area, Arrival, Ask, Calendar, Cancellation, Candidate, Filter, Found, Line,
        MAX_CALENDAR_DAYS, NotOffered, Offer, Offers, Order, Price, Search, Tier,
    },
    place::{Place, distance_m},
    prepay::Prepay,
    reservation::{Guest, Quoted, Reservation, Selection, State, Unit},
};
pub use crate::{
    levy::{Collected, Nature},
    money::{Currency, Money},
    shop::explanation,
    stay::{MAX_DAYS_AHEAD, MAX_NIGHTS, MAX_ROOMS, Party, Stay, StayError},
};

/// Who a supplier is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Tells its offers from those of another supplier.
    pub fingerprint: u64,
    /// What every traveller should know about its hotels and prices.
    pub notice: Cow<'static, str>,
}

/// Somebody who sells hotel rooms.
pub trait HotelSupply: Send + Sync + fmt::Debug {
    /// Returns who it is. It never changes.
    fn about(&self) -> &About;

    /// Returns what is known about a hotel, apart from what it has for sale.
    fn describe<'a>(&'a self, hotel: &'a HotelId) -> BoxFuture<'a, Result<Arc<Hotel>, Error>>;

    /// Returns one page of the hotels that can take a stay, each with the all-in total
    /// of its cheapest offer. Where that comes from a cache, the offer says so; it is
    /// asked for again before anything is held.
    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Found, Error>>;

    /// Returns every room type of a hotel under every rate plan, priced for the
    /// stay and the guests, and why others are not offered.
    fn offers<'a>(
        &'a self,
        hotel: &'a HotelId,
        ask: &'a Ask,
    ) -> BoxFuture<'a, Result<Offers, Error>>;

    /// Returns for each arrival day what the cheapest stay costs.
    fn calendar<'a>(
        &'a self,
        hotel: &'a HotelId,
        calendar: &'a Calendar,
    ) -> BoxFuture<'a, Result<Vec<Arrival>, Error>>;

    /// Prices a selection without taking it. The rooms of the reservation
    /// `replacing` count as free: its holder asks for a change.
    fn quote<'a>(
        &'a self,
        selection: &'a Selection,
        replacing: Option<&'a Reference>,
    ) -> BoxFuture<'a, Result<Quoted, Error>>;

    /// Takes all units of `selection` for `ttl` under the caller's `reference`.
    fn hold<'a>(
        &'a self,
        reference: &'a Reference,
        selection: &'a Selection,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Reservation, Error>>;

    /// Turns a hold into a booking of `guest` at the price that was held.
    fn commit<'a>(
        &'a self,
        reference: &'a Reference,
        guest: &'a Guest,
    ) -> BoxFuture<'a, Result<Reservation, Error>>;

    /// Gives a hold back. One that has ended already is returned as it ended.
    fn release<'a>(&'a self, reference: &'a Reference)
    -> BoxFuture<'a, Result<Reservation, Error>>;

    /// Changes a booking to `selection`, in place or by a new one before the old one
    /// ends. `change` is the caller's reference of this change.
    fn modify<'a>(
        &'a self,
        reference: &'a Reference,
        change: &'a Reference,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Reservation, Error>>;

    /// Cancels a booking if that costs no more than `accepted` minor units now.
    fn cancel<'a>(
        &'a self,
        reference: &'a Reference,
        accepted: i64,
    ) -> BoxFuture<'a, Result<Reservation, Error>>;

    /// Reads a reservation back. `None` proves that nothing was taken.
    fn find<'a>(
        &'a self,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Error>>;

    /// Applies availability, rates and restrictions that a hotel sent.
    fn apply<'a>(&'a self, updates: &'a Updates) -> BoxFuture<'a, Result<Applied, Error>>;
}
