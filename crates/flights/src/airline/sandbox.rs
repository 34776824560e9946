//! One copy of the airline's data and what is done to it.
//!
//! # Invariants
//!
//! * The published data is shared and never changes; a sandbox holds only what differs.
//! * An operation that is refused changes nothing.
//! * Amounts are whole US dollars, as in the published data.

use std::collections::{BTreeMap, HashMap};

use airside_base::{Fault, Kind};
use serde_json::{Value, json};

use super::data::{
    Cabin, Cabins, Day, Flight, Insurance, Method, PUBLISHED, Passenger, Payment, Reservation,
    Segment, Trip, User,
};

/// Time of the published data.
const NOW: &str = "2024-05-15T15:00:00";
/// Ids of new reservations: three, as in tau-bench.
const NEW_RESERVATIONS: [&str; 3] = ["HATHAT", "HATHAU", "HATHAV"];
const NEW_CERTIFICATES: [&str; 3] = [
    "certificate_3221322",
    "certificate_3221323",
    "certificate_3221324",
];
const INSURANCE_PRICE: i64 = 30;
const BAG_PRICE: i64 = 50;
/// Most passengers of a reservation, by the airline's policy.
const MAX_PASSENGERS: usize = 5;
/// Most flights of a reservation: any more is no itinerary.
const MAX_FLIGHTS: usize = 8;
/// Largest amount of a certificate in US dollars.
const MAX_CERTIFICATE: i64 = 10_000;

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{kind} {id} not found")]
    NotFound { kind: &'static str, id: String },
    #[error("flight {flight} not available on date {date}")]
    NotAvailable { flight: String, date: String },
    #[error("not enough seats on flight {flight}")]
    Seats { flight: String },
    #[error("{0}")]
    Payment(String),
    #[error("{0}")]
    Impossible(&'static str),
}

impl Refusal {
    pub(crate) fn fault(&self) -> Fault {
        let (kind, code, hint) = match self {
            Self::NotFound { .. } => (
                Kind::NotFound,
                "TRV-310",
                "use an id that a tool or the user gave",
            ),
            Self::NotAvailable { .. } | Self::Seats { .. } => (
                Kind::Conflict,
                "TRV-311",
                "search for flights of that day and choose one that is available",
            ),
            Self::Payment(_) => (
                Kind::Conflict,
                "TRV-312",
                "read the user's payment methods and ask which ones to use for which amount",
            ),
            Self::Impossible(_) => (
                Kind::Invalid,
                "TRV-313",
                "tell the user that this cannot be done",
            ),
        };
        Fault::new(kind, code, self.to_string()).with_hint(hint)
    }
}

fn not_found(kind: &'static str, id: &str) -> Refusal {
    let id = id.chars().filter(|c| !c.is_control()).take(40).collect();
    Refusal::NotFound { kind, id }
}

/// Which flight on which day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leg {
    /// Flight number, such as `HAT001`.
    pub(crate) flight_number: String,
    /// Day of the flight, YYYY-MM-DD.
    pub(crate) date: String,
}

/// What is asked for in a new reservation.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) user_id: String,
    pub(crate) origin: String,
    pub(crate) destination: String,
    pub(crate) flight_type: Trip,
    pub(crate) cabin: Cabin,
    pub(crate) flights: Vec<Leg>,
    pub(crate) passengers: Vec<Passenger>,
    pub(crate) payment_methods: Vec<Payment>,
    pub(crate) total_baggages: u32,
    pub(crate) nonfree_baggages: u32,
    pub(crate) insurance: Insurance,
}

/// What differs from the published data.
#[derive(Debug, Default)]
pub(crate) struct Sandbox {
    reservations: HashMap<String, Reservation>,
    users: HashMap<String, User>,
    /// Seats by flight and date.
    seats: HashMap<(String, String), Cabins>,
}

impl Sandbox {
    pub(crate) fn user(&self, id: &str) -> Result<&User, Refusal> {
        let user = self.users.get(id).or_else(|| PUBLISHED.users.get(id));
        user.ok_or_else(|| not_found("user", id))
    }

    pub(crate) fn reservation(&self, id: &str) -> Result<&Reservation, Refusal> {
        let changed = self.reservations.get(id);
        let found = changed.or_else(|| PUBLISHED.reservations.get(id));
        found.ok_or_else(|| not_found("reservation", id))
    }

    pub(crate) fn status(&self, number: &str, date: &str) -> Result<&'static str, Refusal> {
        Ok(&day(flight(number)?, date)?.status)
    }

    /// Returns the flights of a day from and to airports, with their seats.
    pub(crate) fn direct(
        &self,
        origin: &str,
        destination: Option<&str>,
        date: &str,
        leaves_after: Option<&str>,
    ) -> Vec<Value> {
        let flights = PUBLISHED.flights.values().filter(|flight| {
            flight.origin == origin
                && destination.is_none_or(|wanted| flight.destination == wanted)
                && leaves_after
                    .is_none_or(|time| flight.scheduled_departure_time_est.as_str() >= time)
        });
        flights
            .filter_map(|flight| {
                let day = flight.dates.get(date)?;
                let seats = self.seats(flight, date, day)?;
                Some(json!({
                    "flight_number": flight.flight_number,
                    "origin": flight.origin,
                    "destination": flight.destination,
                    "status": day.status,
                    "scheduled_departure_time_est": flight.scheduled_departure_time_est,
                    "scheduled_arrival_time_est": flight.scheduled_arrival_time_est,
                    "available_seats": seats,
                    "prices": day.prices,
                }))
            })
            .collect()
    }

    /// Returns the seats of a flight that can be booked.
    fn seats(&self, flight: &Flight, date: &str, day: &Day) -> Option<Cabins> {
        if day.status != "available" {
            return None;
        }
        let key = (flight.flight_number.clone(), date.to_owned());
        self.seats.get(&key).copied().or(day.available_seats)
    }

    pub(crate) fn book(&mut self, wanted: Wanted) -> Result<Reservation, Refusal> {
        if !(1..=MAX_PASSENGERS).contains(&wanted.passengers.len()) {
            return Err(Refusal::Impossible(
                "a reservation has one to five passengers",
            ));
        }
        if !(1..=MAX_FLIGHTS).contains(&wanted.flights.len()) {
            return Err(Refusal::Impossible(
                "a reservation has one to eight flights",
            ));
        }
        let mut user = self.user(&wanted.user_id)?.clone();
        let mut free = NEW_RESERVATIONS.iter();
        let id = free
            .find(|id| self.reservation(id).is_err())
            .ok_or(Refusal::Impossible("too many reservations"))?;
        let passengers = wanted.passengers.len() as i64;
        let mut flights = Vec::new();
        let mut seats = HashMap::new();
        let mut total = BAG_PRICE * i64::from(wanted.nonfree_baggages);
        for leg in &wanted.flights {
            let (segment, left) = self.seat(leg, wanted.cabin, passengers)?;
            total += segment.price * passengers;
            flights.push(segment);
            let key = (leg.flight_number.clone(), leg.date.clone());
            if seats.insert(key, left).is_some() {
                return Err(Refusal::Impossible("a flight is there twice"));
            }
        }
        if wanted.insurance == Insurance::Yes {
            total += INSURANCE_PRICE * passengers;
        }
        pay(&mut user, &wanted.payment_methods, total)?;
        let reservation = Reservation {
            reservation_id: (*id).to_owned(),
            user_id: wanted.user_id.clone(),
            origin: wanted.origin,
            destination: wanted.destination,
            flight_type: wanted.flight_type,
            cabin: wanted.cabin,
            flights,
            passengers: wanted.passengers,
            payment_history: wanted.payment_methods,
            created_at: NOW.to_owned(),
            total_baggages: wanted.total_baggages,
            nonfree_baggages: wanted.nonfree_baggages,
            insurance: wanted.insurance,
            status: None,
        };
        user.reservations.push((*id).to_owned());
        self.users.insert(wanted.user_id, user);
        self.seats.extend(seats);
        self.reservations
            .insert((*id).to_owned(), reservation.clone());
        Ok(reservation)
    }

    /// Returns a segment that can be booked and the seats that are left afterwards.
    fn seat(&self, leg: &Leg, cabin: Cabin, passengers: i64) -> Result<(Segment, Cabins), Refusal> {
        let flight = flight(&leg.flight_number)?;
        let day = day(flight, &leg.date)?;
        let (Some(mut seats), Some(prices)) = (self.seats(flight, &leg.date, day), day.prices)
        else {
            return Err(Refusal::NotAvailable {
                flight: flight.flight_number.clone(),
                date: leg.date.clone(),
            });
        };
        let left = seats.of_mut(cabin);
        if *left < passengers {
            return Err(Refusal::Seats {
                flight: flight.flight_number.clone(),
            });
        }
        *left -= passengers;
        let segment = Segment {
            origin: flight.origin.clone(),
            destination: flight.destination.clone(),
            flight_number: flight.flight_number.clone(),
            date: leg.date.clone(),
            price: prices.of(cabin),
        };
        Ok((segment, seats))
    }

    /// Cancels a reservation: what was paid goes back. Seats are not given back, as in
    /// tau-bench.
    pub(crate) fn cancel(&mut self, id: &str) -> Result<Reservation, Refusal> {
        let mut reservation = self.reservation(id)?.clone();
        if reservation.status.is_some() {
            return Err(Refusal::Impossible("the reservation is cancelled already"));
        }
        let refunds: Vec<_> = reservation.payment_history.iter().map(refund).collect();
        reservation.payment_history.extend(refunds);
        reservation.status = Some("cancelled".to_owned());
        Ok(self.keep(reservation))
    }

    pub(crate) fn change_bags(
        &mut self,
        id: &str,
        total: u32,
        nonfree: u32,
        payment_id: &str,
    ) -> Result<Reservation, Refusal> {
        let mut reservation = self.reservation(id)?.clone();
        let mut user = self.user(&reservation.user_id)?.clone();
        let more = nonfree.saturating_sub(reservation.nonfree_baggages);
        let payment = pay_difference(&mut user, payment_id, BAG_PRICE * i64::from(more))?;
        reservation.payment_history.extend(payment);
        reservation.total_baggages = total;
        reservation.nonfree_baggages = nonfree;
        self.users.insert(reservation.user_id.clone(), user);
        Ok(self.keep(reservation))
    }

    /// Changes flights and cabin. A flight that stays keeps its price; seats of new
    /// ones are not taken, as in tau-bench.
    pub(crate) fn change_flights(
        &mut self,
        id: &str,
        cabin: Cabin,
        legs: &[Leg],
        payment_id: &str,
    ) -> Result<Reservation, Refusal> {
        if !(1..=MAX_FLIGHTS).contains(&legs.len()) {
            return Err(Refusal::Impossible(
                "a reservation has one to eight flights",
            ));
        }
        let mut reservation = self.reservation(id)?.clone();
        let mut user = self.user(&reservation.user_id)?.clone();
        let passengers = reservation.passengers.len() as i64;
        let mut flights = Vec::new();
        for leg in legs {
            let stays = reservation.flights.iter().find(|segment| {
                cabin == reservation.cabin
                    && segment.flight_number == leg.flight_number
                    && segment.date == leg.date
            });
            flights.push(match stays {
                Some(segment) => segment.clone(),
                None => self.seat(leg, cabin, passengers)?.0,
            });
        }
        let sum = |all: &[Segment]| all.iter().map(|segment| segment.price).sum::<i64>();
        let difference = (sum(&flights) - sum(&reservation.flights)) * passengers;
        let payment = pay_difference(&mut user, payment_id, difference)?;
        reservation.payment_history.extend(payment);
        reservation.flights = flights;
        reservation.cabin = cabin;
        self.users.insert(reservation.user_id.clone(), user);
        Ok(self.keep(reservation))
    }

    pub(crate) fn change_passengers(
        &mut self,
        id: &str,
        passengers: Vec<Passenger>,
    ) -> Result<Reservation, Refusal> {
        let mut reservation = self.reservation(id)?.clone();
        if passengers.len() != reservation.passengers.len() {
            return Err(Refusal::Impossible("number of passengers does not match"));
        }
        reservation.passengers = passengers;
        Ok(self.keep(reservation))
    }

    /// Gives a user a certificate; returns its id.
    pub(crate) fn certify(&mut self, user_id: &str, amount: i64) -> Result<&'static str, Refusal> {
        if !(1..=MAX_CERTIFICATE).contains(&amount) {
            return Err(Refusal::Impossible(
                "a certificate is 1 to 10,000 US dollars",
            ));
        }
        let mut user = self.user(user_id)?.clone();
        let mut free = NEW_CERTIFICATES.into_iter();
        let id = free
            .find(|id| !user.payment_methods.contains_key(*id))
            .ok_or(Refusal::Impossible("too many certificates"))?;
        let method = Method::Certificate {
            amount,
            id: id.to_owned(),
        };
        user.payment_methods.insert(id.to_owned(), method);
        self.users.insert(user_id.to_owned(), user);
        Ok(id)
    }

    fn keep(&mut self, reservation: Reservation) -> Reservation {
        let id = reservation.reservation_id.clone();
        self.reservations.insert(id, reservation.clone());
        reservation
    }

    /// Returns what differs from the published data, by table and id.
    pub(crate) fn changed(&self) -> BTreeMap<(&'static str, String), Value> {
        let mut changed = BTreeMap::new();
        let mut flights: BTreeMap<&String, Flight> = BTreeMap::new();
        for ((number, date), seats) in &self.seats {
            let Some(published) = PUBLISHED.flights.get(number) else {
                continue;
            };
            let flight = flights.entry(number).or_insert_with(|| published.clone());
            if let Some(day) = flight.dates.get_mut(date) {
                day.available_seats = Some(*seats);
            }
        }
        for (number, flight) in flights {
            changed.insert(("flights", number.clone()), json!(flight));
        }
        for (id, reservation) in &self.reservations {
            changed.insert(("reservations", id.clone()), json!(reservation));
        }
        for (id, user) in &self.users {
            changed.insert(("users", id.clone()), json!(user));
        }
        changed
    }
}

fn flight(number: &str) -> Result<&'static Flight, Refusal> {
    let found = PUBLISHED.flights.get(number);
    found.ok_or_else(|| not_found("flight", number))
}

fn day(flight: &'static Flight, date: &str) -> Result<&'static Day, Refusal> {
    let found = flight.dates.get(date);
    found.ok_or_else(|| not_found("a day of the flight", date))
}

fn refund(payment: &Payment) -> Payment {
    Payment {
        payment_id: payment.payment_id.clone(),
        amount: -payment.amount,
    }
}

/// Takes `total` from the user's payment methods.
fn pay(user: &mut User, payments: &[Payment], total: i64) -> Result<(), Refusal> {
    let refuse = |text: String| Err(Refusal::Payment(text));
    for payment in payments {
        let id = &payment.payment_id;
        let Some(method) = user.payment_methods.get_mut(id) else {
            return refuse("payment method not found in the user's profile".to_owned());
        };
        if payment.amount < 0 {
            return refuse("an amount is negative".to_owned());
        }
        match method {
            Method::CreditCard { .. } => {}
            Method::GiftCard { amount, .. } | Method::Certificate { amount, .. } => {
                if *amount < payment.amount {
                    return refuse(format!("not enough balance in payment method {id}"));
                }
                *amount -= payment.amount;
            }
        }
    }
    let paid = payments
        .iter()
        .try_fold(0_i64, |sum, one| sum.checked_add(one.amount));
    if paid != Some(total) {
        return refuse(format!(
            "payment amount does not add up, total price is {total}"
        ));
    }
    // What is left of a certificate is lost.
    for payment in payments {
        if let Some(Method::Certificate { .. }) = user.payment_methods.get(&payment.payment_id) {
            user.payment_methods.remove(&payment.payment_id);
        }
    }
    Ok(())
}

/// Takes or gives back the difference of a change. Nothing is written for none.
fn pay_difference(
    user: &mut User,
    payment_id: &str,
    difference: i64,
) -> Result<Option<Payment>, Refusal> {
    let refuse = |text: &str| Err(Refusal::Payment(text.to_owned()));
    match user.payment_methods.get_mut(payment_id) {
        None => return refuse("payment method not found"),
        Some(Method::Certificate { .. }) => {
            return refuse("certificate cannot be used to update reservation");
        }
        Some(Method::GiftCard { amount, .. }) => {
            if *amount < difference {
                return refuse("gift card balance is not enough");
            }
            *amount -= difference;
        }
        Some(Method::CreditCard { .. }) => {}
    }
    Ok((difference != 0).then(|| Payment {
        payment_id: payment_id.to_owned(),
        amount: difference,
    }))
}
