//! The calls of the book interface, each once.

use airside_travel::supply::{Guest, Party, Reservation};
use http::Method;
use jiff::{ToSpan as _, civil::Date};
use serde_json::{json, value::RawValue};

use super::{
    Mapped, Opera, amount,
    client::{Call, Failure},
    journal::{Change, Kept, external},
    terms::Rates,
    wire,
};

/// OTA's guarantee type for none.
const NO_GUARANTEE: &str = "38";
/// Who a hold is for until somebody consents to it.
const NOBODY: &str = "Hold";
/// Guests pay at the hotel (the published value for cash): no card is in any request.
const AT_HOTEL: &str = "1";
/// Longest part of a guest's name that is sent.
const MAX_NAME: usize = 80;

impl Opera {
    /// Asks for the hold of a document.
    pub(super) async fn ask_to_hold(
        &self,
        hotel: &Mapped,
        kept: &Kept,
    ) -> Result<wire::Booked, Failure> {
        let reserve = reserve(hotel, kept, (&kept.reservation, &kept.rates), nobody());
        let path = format!("/book/v1/hotels/{}/reservations", hotel.code);
        let body = wire::write(&wire::Requests {
            reservations: [reserve],
        });
        let answer = self.send(hotel, Method::POST, path, Some(body)).await?;
        one(&answer)
    }

    /// Gives a hold the name of its guest.
    pub(super) async fn name_guest(
        &self,
        hotel: &Mapped,
        kept: &Kept,
        number: &str,
        guest: &Guest,
    ) -> Result<(), Failure> {
        let guests = vec![named(guest)];
        let reserve = reserve(hotel, kept, (&kept.reservation, &kept.rates), guests);
        self.put(hotel, number, reserve).await
    }

    /// Asks for other terms of a booking, for the same guests.
    pub(super) async fn ask_to_change(
        &self,
        hotel: &Mapped,
        (kept, number): (&Kept, &str),
        change: &Change,
        guests: Vec<Box<RawValue>>,
    ) -> Result<(), Failure> {
        let wanted = Reservation {
            stay: change.selection.stay.clone(),
            units: change.selection.units.clone(),
            price: change.price.clone(),
            ..kept.reservation.clone()
        };
        let guests = match guests.is_empty() {
            true => nobody(),
            false => guests,
        };
        let mut reserve = reserve(hotel, kept, (&wanted, &change.rates), guests);
        reserve.is_session_request = false;
        reserve.room_stay.guarantee.on_hold = false;
        self.put(hotel, number, reserve).await
    }

    async fn put(
        &self,
        hotel: &Mapped,
        number: &str,
        reserve: wire::Reserve,
    ) -> Result<(), Failure> {
        let path = path(hotel, number, "");
        let body = wire::write(&wire::Requests {
            reservations: [reserve],
        });
        let answer = self.send(hotel, Method::PUT, path, Some(body)).await?;
        one(&answer).map(drop)
    }

    /// Commits or ignores a hold.
    pub(super) async fn end(
        &self,
        hotel: &Mapped,
        kept: &Kept,
        number: &str,
        how: &'static str,
    ) -> Result<(), Failure> {
        let body = wire::write(&wire::Requests {
            reservations: [end(hotel, kept, Some(how))],
        });
        let path = path(hotel, number, "/status");
        let answer = self.send(hotel, Method::POST, path, Some(body)).await?;
        let ended: wire::Ended = wire::read(&answer).ok_or(Failure::Lost)?;
        let expected = match how {
            "Commit" => "Committed",
            _ => "Ignored",
        };
        match ended.reservation_status.as_deref() == Some(expected) {
            true => Ok(()),
            false => Err(Failure::Lost),
        }
    }

    pub(super) async fn ask_to_cancel(
        &self,
        hotel: &Mapped,
        kept: &Kept,
        number: &str,
    ) -> Result<(), Failure> {
        let body = wire::write(&wire::Requests {
            reservations: [end(hotel, kept, None)],
        });
        let path = path(hotel, number, "/cancellations");
        let answer = self.send(hotel, Method::POST, path, Some(body)).await?;
        let ended: [wire::Ended; 1] = wire::read(&answer).ok_or(Failure::Lost)?;
        match ended[0].reservation_status.as_deref() == Some("Cancelled") {
            true => Ok(()),
            false => Err(Failure::Lost),
        }
    }

    /// Reads a reservation by OPERA's number, or by our name of it.
    pub(super) async fn retrieve(&self, hotel: &Mapped, id: &str) -> Result<wire::Booked, Failure> {
        let path = path(hotel, id, "");
        one(&self.send(hotel, Method::GET, path, None).await?)
    }

    pub(super) async fn send(
        &self,
        hotel: &Mapped,
        method: Method,
        path: String,
        body: Option<Vec<u8>>,
    ) -> Result<bytes::Bytes, Failure> {
        let call = Call {
            hotel: &hotel.code,
            method,
            path,
            body,
        };
        self.client.send(call).await
    }
}

/// Numbers and names are letters, digits and hyphens.
fn path(hotel: &Mapped, id: &str, what: &str) -> String {
    format!("/book/v1/hotels/{}/reservations/{id}{what}", hotel.code)
}

/// Reads an answer about one reservation.
fn one(answer: &[u8]) -> Result<wire::Booked, Failure> {
    let [booked]: [wire::Booked; 1] = wire::read(answer).ok_or(Failure::Lost)?;
    Ok(booked)
}

fn ids(kept: &Kept) -> Vec<wire::Id> {
    let id = external(&kept.reservation.reference, kept.attempt);
    vec![wire::Id { id, kind: None }]
}

fn end(hotel: &Mapped, kept: &Kept, status: Option<&'static str>) -> wire::End {
    wire::End {
        reservation_id_list: ids(kept),
        reservation_status: status,
        hotel_code: hotel.code.clone(),
    }
}

fn reserve(
    hotel: &Mapped,
    kept: &Kept,
    (wanted, rates): (&Reservation, &Rates),
    guests_of: Vec<Box<RawValue>>,
) -> wire::Reserve {
    let unit = &wanted.units[0];
    let counts = guests(&unit.party);
    let currency = wanted.price.currency;
    let last_night = wanted.stay.check_out().saturating_sub(1.day());
    let rate = |(start, end, cost): &(Date, Date, i64)| {
        let number = Some(amount::number(*cost, currency.exponent));
        let (amount_before_tax, amount_after_tax) = match rates.inclusive {
            true => (None, number),
            false => (number, None),
        };
        wire::Rate {
            base: wire::Base {
                amount_before_tax,
                amount_after_tax,
                currency_code: currency.code.to_owned(),
            },
            start: *start,
            end: *end,
        }
    };
    wire::Reserve {
        reservation_id_list: ids(kept),
        is_session_request: true,
        room_stay: wire::RoomStay {
            arrival_date: wanted.stay.check_in(),
            departure_date: wanted.stay.check_out(),
            guest_counts: counts.clone(),
            room_rates: [wire::RoomRate {
                room_type: unit.room.to_string(),
                rate_plan_code: unit.plan.to_string(),
                number_of_units: wanted.units.len(),
                guest_counts: counts,
                rates: wire::Rates {
                    rate: rates.ranges.iter().map(rate).collect(),
                },
                start: wanted.stay.check_in(),
                end: last_night,
            }],
            guarantee: wire::Guarantee {
                guarantee_type: kept.guarantee.is_none().then_some(NO_GUARANTEE),
                guarantee_code: kept.guarantee.clone(),
                on_hold: true,
            },
        },
        reservation_guests: guests_of,
        reservation_payment_methods: vec![wire::PaymentMethod {
            payment_method: AT_HOTEL,
        }],
        hotel_code: hotel.code.clone(),
    }
}

fn nobody() -> Vec<Box<RawValue>> {
    vec![profile(&json!({ "surname": NOBODY }))]
}

fn named(guest: &Guest) -> Box<RawValue> {
    let short = |text: &str| super::terms::plain(text, MAX_NAME);
    let (given, mut family) = (short(&guest.first_name), short(&guest.last_name));
    // A family name has two characters at least.
    if family.chars().count() < 2 {
        family = format!("{family}.");
    }
    let mut name = json!({
        "givenName": given, "surname": family, "nameType": "Primary", "email": guest.email,
    });
    if let Some(phone) = &guest.phone_number {
        name["phoneNumber"] = phone.as_str().into();
    }
    profile(&name)
}

fn profile(name: &serde_json::Value) -> Box<RawValue> {
    let guest = json!({
        "profileInfo": { "profile": { "customer": { "personName": [name] }, "profileType": "Guest" } },
        "primary": true,
    });
    serde_json::value::to_raw_value(&guest).expect("a guest is JSON")
}

/// Returns the guests of a room as queries and requests name them.
pub(super) fn guests(party: &Party) -> wire::GuestCounts {
    let children = party.child_ages.len();
    wire::GuestCounts {
        adults: party.adults.into(),
        children: (children > 0).then_some(children as u32),
        child_ages: party.child_ages.iter().map(|age| u32::from(*age)).collect(),
    }
}
