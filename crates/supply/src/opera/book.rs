//! Holding, booking, changing, cancelling, and finding out what came of it.
//!
//! A hold is a session reservation of OPERA (`isSessionRequest`, status `OnHold`); a
//! booking is its `Commit`. Only a commit books, and it needs OPERA's own number.
//!
//! # Invariants
//!
//! * One step at a time per reference: within a node by a lock, between nodes by the
//!   version of the document.
//! * Nothing is sent again because an answer was lost. What a lost answer was is read
//!   back under the reservation's number, or under our own name of it while OPERA's is
//!   not known; until that says it, the outcome is [`Error::Unknown`].
//! * That OPERA does not know our name of a try proves nothing while the call may be
//!   under way; the hold counts as lost when its own time is over.

mod outcome;

use std::time::Duration;

use airside_base::Timestamp;
use airside_travel::supply::{
    Ask, Error, Guest, HotelId, Prepay, Quoted, Reference, Reservation, Selection, State,
};

use self::outcome::There;
use super::{
    Mapped, Opera, amount,
    client::{Failure, SOON},
    journal::{BUSY, Change, Kept, Row, What},
    terms::Sold,
    wire,
};

/// How long after a call an effect of it may still show. Longer than a call may take.
pub(super) const SETTLED: Duration = Duration::from_secs(45);
/// How long a reservation that has ended is kept.
const KEPT: Duration = Duration::from_secs(35 * 24 * 3_600);
/// A document that nobody has to look at.
pub(super) const NEVER: Timestamp = Timestamp::MAX;
/// How often a call is made with a price that has moved meanwhile.
const READS: usize = 3;

impl Opera {
    /// Returns the selection as a question: all rooms alike.
    pub(super) fn ask_of(selection: &Selection) -> Result<Ask, Error> {
        let ask = Ask {
            stay: selection.stay.clone(),
            parties: (selection.units.iter())
                .map(|unit| unit.party.clone())
                .collect(),
        };
        let first = selection.units.first().ok_or(Error::Range {
            why: "no room was asked for",
        })?;
        if selection.units.iter().any(|unit| unit != first) {
            return Err(Error::NotSold {
                what: super::ALIKE.to_owned(),
            });
        }
        Ok(ask)
    }

    /// Returns what the selection costs at OPERA now.
    async fn price(&self, hotel: &Mapped, selection: &Selection) -> Result<(Sold, u16), Error> {
        let ask = Self::ask_of(selection)?;
        self.check_range(hotel, &ask)?;
        let unit = &selection.units[0];
        self.offer(hotel, &ask, (&unit.room, &unit.plan)).await
    }

    pub(super) async fn quoted(&self, selection: &Selection) -> Result<Quoted, Error> {
        let hotel = self.hotel(&selection.hotel)?;
        let (sold, left) = self.price(hotel, selection).await?;
        self.compare(selection, sold.price.total);
        Ok(Quoted {
            price: sold.price,
            cancellation: sold.cancellation,
            // What needs a card or a deposit is not sold.
            prepay: Prepay::None,
            left,
        })
    }

    pub(super) async fn take(
        &self,
        reference: &Reference,
        selection: &Selection,
        ttl: Duration,
    ) -> Result<Reservation, Error> {
        let _turn = self.turn(reference).await;
        let mut prior = self.journal.find(reference).await?;
        if let Some(row) = prior.take_if(|row| row.document.asked.is_some() || !row.document.void) {
            if !row.document.reservation.is_of(selection) {
                return Err(Error::Mismatch);
            }
            let kept = self.resolve(row).await?;
            if !kept.document.void {
                return Ok(kept.document.reservation);
            }
            prior = Some(kept);
        }
        let hotel = self.hotel(&selection.hotel)?;
        let (sold, _) = self.price(hotel, selection).await?;
        self.compare(selection, sold.price.total);
        if let Some(expected) = selection.expected_total
            && expected != sold.price.total
        {
            let now = sold.price.total;
            return Err(Error::PriceChanged { now });
        }
        let attempt = prior.as_ref().map_or(1, |row| row.document.attempt + 1);
        let kept = self.begin(reference, selection, sold, (ttl, attempt));
        self.journal.note(prior, &kept).await?;
        let asked = self.ask_to_hold(hotel, &kept).await;
        self.held(hotel, reference, kept, asked).await
    }

    /// Returns the document of a hold that is asked for next.
    fn begin(
        &self,
        reference: &Reference,
        selection: &Selection,
        sold: Sold,
        (ttl, attempt): (Duration, u32),
    ) -> Kept {
        let now = self.clock.now();
        let until = now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
        let kept = Kept {
            reservation: Reservation {
                reference: reference.clone(),
                hotel: selection.hotel.clone(),
                stay: selection.stay.clone(),
                units: selection.units.clone(),
                price: sold.price,
                cancellation: sold.cancellation,
                prepay: Prepay::None,
                state: State::Held { until },
                change: None,
            },
            rates: sold.rates,
            guarantee: sold.guarantee,
            number: None,
            asked: None,
            attempt,
            void: false,
            due: 0,
        };
        kept.asking(What::Hold, now, now + SETTLED)
    }

    /// Notes what came of asking for a hold.
    async fn held(
        &self,
        hotel: &Mapped,
        reference: &Reference,
        kept: Kept,
        asked: Result<wire::Booked, Failure>,
    ) -> Result<Reservation, Error> {
        let row = self.journal.find(reference).await;
        let row = row.ok().flatten().filter(|row| row.document == kept);
        let row = row.ok_or(Error::Unknown)?;
        match asked {
            Ok(there) => {
                let mut kept = kept;
                kept.number = number(&there, &kept.external());
                let total = total(&there, &kept.reservation);
                let agreed = kept.reservation.price.total;
                if kept.number.is_some() && total.is_none_or(|total| total == agreed) {
                    let State::Held { until } = kept.reservation.state else {
                        return Err(Error::Unknown);
                    };
                    let state = kept.reservation.state.clone();
                    let kept = kept.settled(state, until);
                    let noted = self.journal.note(Some(row), &kept).await;
                    return noted.map(|()| kept.reservation).or(Err(Error::Unknown));
                }
                // It is held at another price than the one that was quoted before.
                self.give_up(hotel, row, kept).await?;
                Err(total.map_or(BUSY, |now| Error::PriceChanged { now }))
            }
            Err(Failure::Lost) => Err(Error::Unknown),
            Err(Failure::NotDone { retry_after }) => {
                self.nothing_taken(row, kept).await?;
                Err(Error::Unavailable { retry_after })
            }
            Err(Failure::Refused(_)) => {
                let (night, room) = (
                    kept.reservation.stay.check_in(),
                    kept.reservation.units[0].room.to_string(),
                );
                let ask = Self::ask_of(&selection_of(&kept.reservation))?;
                self.nothing_taken(row, kept).await?;
                // What its refusals are called is not published: the shop says whether
                // rooms are left.
                match self.is_offered(hotel, &ask, &room).await {
                    Ok(false) => Err(Error::SoldOut { night }),
                    Ok(true) | Err(_) => Err(Error::Unavailable { retry_after: SOON }),
                }
            }
        }
    }

    /// Ends a hold that cannot be used, as far as OPERA answers.
    async fn give_up(&self, hotel: &Mapped, row: Row, kept: Kept) -> Result<(), Error> {
        if let Some(number) = kept.number.clone() {
            let ended = self.end(hotel, &kept, &number, "Ignore").await;
            if ended.is_err() {
                tracing::warn!("a hold at another price is left to its end");
            }
        }
        self.nothing_taken(row, kept).await
    }

    async fn nothing_taken(&self, row: Row, mut kept: Kept) -> Result<(), Error> {
        kept.void = true;
        let state = State::Released {
            at: self.clock.now(),
        };
        let due = self.clock.now() + KEPT;
        // If it cannot be noted it is looked at later.
        self.journal
            .note(Some(row), &kept.settled(state, due))
            .await
    }

    pub(super) async fn found(&self, reference: &Reference) -> Result<Option<Reservation>, Error> {
        let _turn = self.turn(reference).await;
        let Some(row) = self.journal.find(reference).await? else {
            return Ok(None);
        };
        let kept = self.resolve(row).await?.document;
        Ok((!kept.void).then_some(kept.reservation))
    }

    /// Reads a document and finds out what came of what was asked.
    async fn standing(&self, reference: &Reference) -> Result<Row, Error> {
        let row = self.journal.find(reference).await?.ok_or(Error::NotFound)?;
        let row = self.resolve(row).await?;
        match row.document.void {
            true => Err(Error::NotFound),
            false => Ok(row),
        }
    }

    pub(super) async fn book(
        &self,
        reference: &Reference,
        guest: &Guest,
    ) -> Result<Reservation, Error> {
        let _turn = self.turn(reference).await;
        let row = self.standing(reference).await?;
        let kept = row.document.clone();
        match &kept.reservation.state {
            State::Booked { .. } => return Ok(kept.reservation),
            State::Held { .. } => {}
            State::Released { .. } => return Err(Error::State { is: "released" }),
            State::Expired { .. } => return Err(Error::Expired),
            State::Cancelled { .. } => return Err(Error::State { is: "cancelled" }),
        }
        let hotel = self.hotel(&kept.reservation.hotel)?;
        let Some(number) = kept.number.clone() else {
            return Err(Error::Unknown);
        };
        // Who stays is not part of a hold. Nothing is booked by this.
        match self.name_guest(hotel, &kept, &number, guest).await {
            Ok(()) => {}
            Err(Failure::NotDone { retry_after }) => {
                return Err(Error::Unavailable { retry_after });
            }
            Err(Failure::Lost) => return Err(Error::Unavailable { retry_after: SOON }),
            Err(Failure::Refused(_)) => return self.not_on_hold(hotel, row).await,
        }
        let now = self.clock.now();
        let kept = kept.asking(What::Commit, now, now + SETTLED);
        self.journal.note(Some(row), &kept).await?;
        match self.end(hotel, &kept, &number, "Commit").await {
            Ok(()) => self.write_down(reference, kept, Outcome::Booked).await,
            Err(Failure::NotDone { retry_after }) => {
                self.write_down(reference, kept, Outcome::NotDone).await?;
                Err(Error::Unavailable { retry_after })
            }
            Err(Failure::Lost | Failure::Refused(_)) => Err(Error::Unknown),
        }
    }

    /// Says why a hold cannot be named: it is over, or OPERA does not take it now.
    async fn not_on_hold(&self, hotel: &Mapped, row: Row) -> Result<Reservation, Error> {
        let kept = row.document.clone();
        match self.look(hotel, &kept).await {
            Ok(There::Gone | There::Cancelled) => {
                let reference = kept.reservation.reference.clone();
                self.write_down(&reference, kept, Outcome::Ended).await?;
                Err(Error::Expired)
            }
            Ok(There::OnHold(_) | There::Booked(_)) | Err(_) => {
                Err(Error::Unavailable { retry_after: SOON })
            }
        }
    }

    pub(super) async fn give_back(&self, reference: &Reference) -> Result<Reservation, Error> {
        let _turn = self.turn(reference).await;
        let row = self.standing(reference).await?;
        let state = &row.document.reservation.state;
        match state {
            State::Held { .. } => self.ignore(row, false).await,
            State::Released { .. } | State::Expired { .. } => Ok(row.document.reservation),
            State::Booked { .. } => Err(Error::State { is: "booked" }),
            State::Cancelled { .. } => Err(Error::State { is: "cancelled" }),
        }
    }

    /// Ends a hold at OPERA.
    async fn ignore(&self, row: Row, over: bool) -> Result<Reservation, Error> {
        let kept = row.document.clone();
        let reference = kept.reservation.reference.clone();
        let hotel = self.hotel(&kept.reservation.hotel)?;
        let number = kept.number.clone().ok_or(Error::Unknown)?;
        let now = self.clock.now();
        let kept = kept.asking(What::Ignore { over }, now, now + SETTLED);
        self.journal.note(Some(row), &kept).await?;
        let ended = match over {
            true => Outcome::Ended,
            false => Outcome::Released,
        };
        match self.end(hotel, &kept, &number, "Ignore").await {
            Ok(()) => self.write_down(&reference, kept, ended).await,
            Err(Failure::Refused(_)) => match self.look(hotel, &kept).await {
                // It has ended by itself.
                Ok(There::Gone | There::Cancelled) => {
                    self.write_down(&reference, kept, ended).await
                }
                Ok(There::OnHold(_) | There::Booked(_)) | Err(_) => Err(Error::Unknown),
            },
            Err(Failure::NotDone { retry_after }) => {
                self.write_down(&reference, kept, Outcome::NotDone).await?;
                Err(Error::Unavailable { retry_after })
            }
            Err(Failure::Lost) => Err(Error::Unknown),
        }
    }

    pub(super) async fn change(
        &self,
        reference: &Reference,
        name: &Reference,
        selection: &Selection,
    ) -> Result<Reservation, Error> {
        let _turn = self.turn(reference).await;
        let row = self.standing(reference).await?;
        let kept = row.document.clone();
        let before = &kept.reservation;
        if before.change.as_ref() == Some(name) {
            return match before.is_of(selection) {
                true => Ok(kept.reservation),
                false => Err(Error::Mismatch),
            };
        }
        booked(before)?;
        if before.hotel != selection.hotel {
            let what = selection.hotel.to_string();
            return Err(Error::NotSold { what });
        }
        let hotel = self.hotel(&before.hotel)?;
        let (sold, _) = self.price(hotel, selection).await?;
        if let Some(expected) = selection.expected_total
            && expected != sold.price.total
        {
            let now = sold.price.total;
            return Err(Error::PriceChanged { now });
        }
        let number = kept.number.clone().ok_or(Error::Unknown)?;
        let there = match self.look(hotel, &kept).await? {
            There::Booked(there) => there,
            There::OnHold(_) => return Err(Error::State { is: "held" }),
            There::Cancelled | There::Gone => return Err(Error::State { is: "cancelled" }),
        };
        let change = Change {
            name: name.clone(),
            selection: selection.clone(),
            price: sold.price,
            cancellation: sold.cancellation,
            rates: sold.rates,
        };
        let now = self.clock.now();
        let asked = What::Change(Box::new(change.clone()));
        let kept = kept.asking(asked, now, now + SETTLED);
        self.journal.note(Some(row), &kept).await?;
        let guests = there.reservation_guests;
        let sent = self.ask_to_change(hotel, (&kept, &number), &change, guests);
        match sent.await {
            Ok(()) => {
                let done = Outcome::Changed(Box::new(change));
                self.write_down(reference, kept, done).await
            }
            Err(Failure::NotDone { retry_after }) => {
                self.write_down(reference, kept, Outcome::NotDone).await?;
                Err(Error::Unavailable { retry_after })
            }
            Err(Failure::Refused(_)) => {
                let night = selection.stay.check_in();
                self.write_down(reference, kept, Outcome::NotDone).await?;
                Err(Error::SoldOut { night })
            }
            Err(Failure::Lost) => Err(Error::Unknown),
        }
    }

    pub(super) async fn call_off(
        &self,
        reference: &Reference,
        accepted: i64,
    ) -> Result<Reservation, Error> {
        let _turn = self.turn(reference).await;
        let row = self.standing(reference).await?;
        let kept = row.document.clone();
        if matches!(kept.reservation.state, State::Cancelled { .. }) {
            return Ok(kept.reservation);
        }
        booked(&kept.reservation)?;
        let now = self.clock.now();
        let penalty = kept.reservation.cancellation.penalty(now);
        if penalty > accepted {
            return Err(Error::PriceChanged { now: penalty });
        }
        let hotel = self.hotel(&kept.reservation.hotel)?;
        let number = kept.number.clone().ok_or(Error::Unknown)?;
        let kept = kept.asking(What::Cancel { penalty }, now, now + SETTLED);
        self.journal.note(Some(row), &kept).await?;
        match self.ask_to_cancel(hotel, &kept, &number).await {
            Ok(()) => {
                let done = Outcome::Cancelled { penalty };
                self.write_down(reference, kept, done).await
            }
            Err(Failure::NotDone { retry_after }) => {
                self.write_down(reference, kept, Outcome::NotDone).await?;
                Err(Error::Unavailable { retry_after })
            }
            Err(Failure::Refused(_) | Failure::Lost) => Err(Error::Unknown),
        }
    }

    /// Writes down what came of something. When that cannot be written, the outcome is
    /// unknown: it is read back later.
    async fn write_down(
        &self,
        reference: &Reference,
        asked: Kept,
        outcome: Outcome,
    ) -> Result<Reservation, Error> {
        let row = self.journal.find(reference).await.or(Err(Error::Unknown))?;
        let row = row.filter(|row| row.document == asked || asked.asked.is_none());
        let row = row.ok_or(Error::Unknown)?;
        self.conclude(row, outcome)
            .await
            .map(|row| row.document.reservation)
    }

    /// Makes a document what an outcome says, durably.
    async fn conclude(&self, row: Row, outcome: Outcome) -> Result<Row, Error> {
        let now = self.clock.now();
        let mut kept = row.document.clone();
        let confirmation = || kept.number.clone().unwrap_or_default();
        let (state, due) = match outcome {
            Outcome::Booked => {
                let confirmation = confirmation();
                let at = now;
                (State::Booked { confirmation, at }, NEVER)
            }
            Outcome::Released => (State::Released { at: now }, now + KEPT),
            Outcome::Ended => (State::Expired { at: now }, now + KEPT),
            Outcome::Cancelled { penalty } => {
                let confirmation = confirmation();
                let at = now;
                let state = State::Cancelled {
                    confirmation,
                    at,
                    penalty,
                };
                (state, now + KEPT)
            }
            Outcome::Changed(change) => {
                let reservation = &mut kept.reservation;
                reservation.stay = change.selection.stay;
                reservation.units = change.selection.units;
                reservation.price = change.price;
                reservation.cancellation = change.cancellation;
                reservation.change = Some(change.name);
                kept.rates = change.rates;
                (kept.reservation.state.clone(), NEVER)
            }
            Outcome::NotDone => {
                let state = kept.reservation.state.clone();
                let due = match state {
                    State::Held { until } => until,
                    _ => NEVER,
                };
                (state, due)
            }
        };
        let kept = kept.settled(state, due);
        let reference = kept.reservation.reference.clone();
        self.journal
            .note(Some(row), &kept)
            .await
            .or(Err(Error::Unknown))?;
        let row = self
            .journal
            .find(&reference)
            .await
            .or(Err(Error::Unknown))?;
        row.ok_or(Error::Unknown)
    }

    pub(super) fn hotel(&self, id: &HotelId) -> Result<&Mapped, Error> {
        self.hotels.get(id).ok_or(Error::HotelUnknown)
    }
}

/// What came of something that was asked.
enum Outcome {
    Booked,
    Released,
    Ended,
    Cancelled { penalty: i64 },
    Changed(Box<Change>),
    NotDone,
}

fn booked(reservation: &Reservation) -> Result<(), Error> {
    let is = match reservation.state {
        State::Booked { .. } => return Ok(()),
        State::Held { .. } => "held",
        State::Released { .. } => "released",
        State::Expired { .. } => "expired",
        State::Cancelled { .. } => "cancelled",
    };
    Err(Error::State { is })
}

fn selection_of(reservation: &Reservation) -> Selection {
    Selection {
        hotel: reservation.hotel.clone(),
        stay: reservation.stay.clone(),
        units: reservation.units.clone(),
        expected_total: None,
    }
}

/// Returns OPERA's own number of a reservation.
fn number(there: &wire::Booked, external: &str) -> Option<String> {
    let usable = |id: &&wire::Id| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        id.id != external && (1..=50).contains(&id.id.len()) && id.id.bytes().all(plain)
    };
    let named = |id: &&wire::Id| {
        let kind = id.kind.as_deref();
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("confirmation"))
    };
    let ids = || there.reservation_ids.iter().filter(usable);
    let id = ids().find(named).or_else(|| ids().next());
    id.map(|id| id.id.clone())
}

/// Returns the whole price that OPERA names, if it does: for all rooms, as it was agreed.
fn total(there: &wire::Booked, agreed: &Reservation) -> Option<i64> {
    let total = there.room_stay.as_ref()?.total.as_ref()?;
    let places = agreed.price.currency.exponent;
    let named = amount::minor(total.amount_after_tax.as_ref()?, places)?;
    // Some name it for one room.
    let rooms = i64::try_from(agreed.units.len()).ok()?;
    match named.checked_mul(rooms)? == agreed.price.total {
        true => Some(agreed.price.total),
        false => Some(named),
    }
}
