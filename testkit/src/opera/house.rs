//! The hotels of the simulator: what they have, cost and have sold.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use airside_base::{Timestamp, secret_token};
use jiff::{Span, ToSpan as _, civil::Date};
use serde_json::{Value, json};

use super::Options;

/// A room type: code, name, beds, rooms, most adults, most children, most guests, and
/// what a night costs two adults, in minor units before tax.
pub(super) struct Kind {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) beds: &'static str,
    pub(super) rooms: usize,
    pub(super) most: (i64, i64, i64),
    pub(super) rate: i64,
}

/// A rate plan.
pub(super) struct Plan {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) breakfast: bool,
    /// Thousandths of the best available rate.
    pub(super) permille: i64,
    /// Days before arrival until which cancelling is free; `None` is never.
    pub(super) free_days: Option<i64>,
    /// Needs a card.
    pub(super) card: bool,
}

/// A hotel: code, name, currency, decimal places, tax in per cent, whether rates are
/// with tax.
pub struct Hotel {
    /// Its code.
    pub code: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Where it stands, as Airside's configuration names places.
    pub place: &'static str,
    pub(super) currency: &'static str,
    pub(super) tax: i64,
    pub(super) inclusive: bool,
}

/// The hotels.
pub const HOTELS: [Hotel; 3] = [
    Hotel {
        code: "BOSHARBOR",
        name: "Harbor House Boston",
        place: "Boston, US",
        currency: "USD",
        tax: 10,
        inclusive: false,
    },
    Hotel {
        code: "BOSCOMMON",
        name: "The Common Boston",
        place: "Boston, US",
        currency: "USD",
        tax: 15,
        inclusive: false,
    },
    Hotel {
        code: "BERMITTE",
        name: "Mitte Haus Berlin",
        place: "Berlin, DE",
        currency: "EUR",
        tax: 7,
        inclusive: true,
    },
];

pub(super) const KINDS: [Kind; 3] = [
    Kind {
        code: "A1K",
        name: "King Room",
        beds: "1 king-size bed",
        rooms: 6,
        most: (2, 1, 3),
        rate: 18_000,
    },
    Kind {
        code: "A2Q",
        name: "Room with Two Queens",
        beds: "2 queen-size beds",
        rooms: 4,
        most: (4, 3, 5),
        rate: 23_000,
    },
    Kind {
        code: "SUITE",
        name: "Corner Suite",
        beds: "1 king-size bed and 1 sofa bed",
        rooms: 1,
        most: (3, 2, 4),
        rate: 41_000,
    },
];

pub(super) const PLANS: [Plan; 4] = [
    Plan {
        code: "XDAILY",
        name: "Flexible Rate",
        breakfast: false,
        permille: 1_000,
        free_days: Some(1),
        card: false,
    },
    Plan {
        code: "XBREAK",
        name: "Bed and Breakfast",
        breakfast: true,
        permille: 1_150,
        free_days: Some(2),
        card: false,
    },
    Plan {
        code: "XSAVER",
        name: "Saver, non-refundable",
        breakfast: false,
        permille: 900,
        free_days: None,
        card: false,
    },
    Plan {
        code: "XCARD",
        name: "Member Rate with card guarantee",
        breakfast: false,
        permille: 800,
        free_days: Some(1),
        card: true,
    },
];

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Held until its time.
    OnHold,
    /// Booked.
    Reserved,
    /// Booked, and changed since.
    ReservedChanged,
    /// Cancelled.
    Cancelled,
    /// Given back, or its time is over.
    Ignored,
}

impl Status {
    /// Returns how the published files call it; what was ignored has no name there.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::OnHold => Some("OnHold"),
            Self::Reserved => Some("Reserved"),
            Self::ReservedChanged => Some("ReservedChanged"),
            Self::Cancelled => Some("Cancelled"),
            Self::Ignored => None,
        }
    }

    const fn takes_rooms(self) -> bool {
        matches!(self, Self::OnHold | Self::Reserved | Self::ReservedChanged)
    }
}

/// A reservation.
#[derive(Debug, Clone, PartialEq)]
pub struct Sold {
    /// OPERA's number.
    pub number: String,
    /// The seller's own id.
    pub external: String,
    /// Where it stands.
    pub status: Status,
    /// Code of the hotel.
    pub hotel: String,
    /// First night and day of departure.
    pub stay: (Date, Date),
    /// Room type, rate plan and number of rooms.
    pub what: (String, String, usize),
    /// Family name of the guest.
    pub guest: String,
    pub(super) until: Timestamp,
    pub(super) stayed: Value,
    pub(super) guests: Value,
    pub(super) payment: Value,
}

/// A stay that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) stay: (Date, Date),
    pub(super) kind: &'a str,
    pub(super) plan: &'a str,
    pub(super) units: usize,
    pub(super) adults: i64,
    pub(super) children: i64,
}

/// Everything that the simulator knows.
pub(super) struct House {
    pub(super) options: Options,
    tokens: BTreeMap<String, Duration>,
    dearer: BTreeMap<String, i64>,
    sold: Vec<Sold>,
    numbers: u64,
}

impl House {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            tokens: BTreeMap::new(),
            dearer: BTreeMap::new(),
            sold: Vec::new(),
            numbers: 7_000_000,
        }
    }

    pub(super) fn token(&mut self, now: Timestamp) -> String {
        let token = secret_token();
        let until = since_epoch(now) + self.options.token;
        self.tokens.insert(token.clone(), until);
        token
    }

    pub(super) fn knows(&self, token: &str, now: Timestamp) -> bool {
        let until = self.tokens.get(token);
        until.is_some_and(|until| *until > since_epoch(now))
    }

    pub(super) fn forget_tokens(&mut self) {
        self.tokens.clear();
    }

    pub(super) fn dearer(&mut self, hotel: &str, by: i64) {
        *self.dearer.entry(hotel.to_owned()).or_default() += by;
    }

    /// Ends holds whose time is over.
    fn expire(&mut self, now: Timestamp) {
        for sold in &mut self.sold {
            if sold.status == Status::OnHold && sold.until <= now {
                sold.status = Status::Ignored;
            }
        }
    }

    pub(super) fn reservations(&mut self, now: Timestamp) -> Vec<Sold> {
        self.expire(now);
        self.sold.clone()
    }

    /// Returns how many rooms of a type are left in the scarcest night, beside what
    /// `but` has.
    pub(super) fn left(
        &self,
        hotel: &str,
        kind: &Kind,
        stay: (Date, Date),
        but: Option<&str>,
    ) -> usize {
        let nights = nights(stay).map(|night| {
            let taken: usize = self
                .sold
                .iter()
                .filter(|sold| sold.status.takes_rooms() && sold.hotel == hotel)
                .filter(|sold| sold.what.0 == kind.code && Some(&*sold.number) != but)
                .filter(|sold| (sold.stay.0..sold.stay.1).contains(&night))
                .map(|sold| sold.what.2)
                .sum();
            kind.rooms.saturating_sub(taken)
        });
        nights.min().unwrap_or(0)
    }

    /// Returns what a night of a room costs, in minor units as rates are named.
    pub(super) fn rate(&self, hotel: &Hotel, wish: &Wish<'_>, night: Date) -> Option<i64> {
        let kind = KINDS.iter().find(|kind| kind.code == wish.kind)?;
        let plan = PLANS.iter().find(|plan| plan.code == wish.plan)?;
        let dearer = self.dearer.get(hotel.code).copied().unwrap_or(0);
        let weekend = i64::from(night.weekday().to_monday_zero_offset() >= 4) * 2_500;
        let guests = match wish.adults {
            ..=1 => -1_500,
            adults => 3_000 * (adults - 2),
        } + 1_000 * wish.children;
        Some((kind.rate + weekend + guests + dearer) * plan.permille / 1_000)
    }

    pub(super) fn find(&mut self, id: &str, now: Timestamp) -> Option<&mut Sold> {
        self.expire(now);
        let by_own = self.options.by_own_id;
        let known = |sold: &&mut Sold| sold.number == id || by_own && sold.external == id;
        self.sold
            .iter_mut()
            .filter(|sold| sold.status != Status::Ignored)
            .find(known)
    }

    /// Returns the reservation of this external id, unless it was ignored.
    pub(super) fn of_external(&mut self, id: &str, now: Timestamp) -> Option<&Sold> {
        self.expire(now);
        let known = |sold: &&Sold| sold.external == id && sold.status != Status::Ignored;
        self.sold.iter().find(known)
    }

    pub(super) fn add(&mut self, mut sold: Sold, now: Timestamp) -> &Sold {
        self.numbers += 13;
        sold.number = self.numbers.to_string();
        sold.until = now + self.options.hold;
        self.sold.push(sold);
        self.sold.last().expect("it was just added")
    }
}

fn since_epoch(now: Timestamp) -> Duration {
    Duration::from_secs(now.as_second().unsigned_abs())
}

/// Returns the nights of a stay.
pub(super) fn nights(stay: (Date, Date)) -> impl Iterator<Item = Date> {
    stay.0
        .series(1.day())
        .take_while(move |date| *date < stay.1)
}

/// Writes minor units of a money with two decimal places.
pub(super) fn decimal(amount: i64) -> Value {
    let text = format!("{}.{:02}", amount / 100, amount % 100);
    serde_json::from_str(&text).expect("it is a number")
}

/// Returns what a hotel pushes when it is asked for everything: inventory, rates and
/// restrictions for `days` from `from`, written at `sent`.
#[must_use]
pub fn messages(hotel: &str, from: Date, days: i64, sent: Timestamp) -> Vec<(&'static str, Value)> {
    let Some(hotel) = HOTELS.iter().find(|known| known.code == hotel) else {
        return Vec::new();
    };
    let to = from.saturating_add(Span::new().days(days - 1));
    let stamp = sent.to_string().replace('Z', "");
    let head = |list: &str, items: Vec<Value>| {
        json!({
            "uniqueId": secret_token(), "timeStamp": stamp, "hotelCode": hotel.code,
            "channelCode": super::CHANNEL, list: items,
        })
    };
    let inventory = KINDS.iter().map(|kind| {
        json!({
            "statusApplicationControl": { "start": from, "end": to, "invTypeCode": kind.code },
            "invCounts": { "countType": "DefinitiveAvailability", "count": kind.rooms.to_string() },
        })
    });
    let house = House::new(Options::default());
    let plans = PLANS.iter().filter(|plan| !plan.card).map(|plan| {
        let rates = KINDS.iter().flat_map(|kind| {
            [true, false].map(|weekend| rates(&house, hotel, (kind, plan), (from, to), weekend))
        });
        json!({
            "ratePlanNotifType": "Overlay", "ratePlanCode": plan.code,
            "currencyCode": hotel.currency, "rates": rates.collect::<Vec<_>>(),
        })
    });
    let restrictions = PLANS.iter().filter(|plan| !plan.card).flat_map(|plan| {
        KINDS.iter().map(move |kind| {
            json!({
                "statusApplicationControl": {
                    "start": from, "end": to, "invTypeCode": kind.code, "ratePlanCode": plan.code,
                    "mon": true, "tue": true, "weds": true, "thur": true, "fri": true,
                    "sat": true, "sun": true,
                },
                "lengthsOfStay": [{ "minMaxMessageType": "MaxLOS", "time": "28", "timeUnit": "Day" }],
                "restrictionStatus": { "status": "Open", "restriction": "Master" },
            })
        })
    });
    vec![
        (
            "inventory",
            json!({ "hotelInventories": head("inventories", inventory.collect()) }),
        ),
        (
            "rates",
            json!({ "hotelRatePlans": head("ratePlans", plans.collect()) }),
        ),
        (
            "restrictions",
            json!({ "hotelRestrictions": head("availStatusMessages", restrictions.collect()) }),
        ),
    ]
}

fn rates(
    house: &House,
    hotel: &Hotel,
    (kind, plan): (&Kind, &Plan),
    (from, to): (Date, Date),
    weekend: bool,
) -> Value {
    // A Monday or a Saturday.
    let day = jiff::civil::date(2027, 3, if weekend { 6 } else { 1 });
    let amounts = (1..=kind.most.0).map(|adults| {
        let wish = Wish {
            stay: (from, to),
            kind: kind.code,
            plan: plan.code,
            units: 1,
            adults,
            children: 0,
        };
        let net = house.rate(hotel, &wish, day).unwrap_or(0);
        let gross = if hotel.inclusive {
            net
        } else {
            net + net * hotel.tax / 100
        };
        json!({
            "ageQualifyingCode": "10", "numberOfGuests": adults.to_string(),
            "amountAfterTax": format!("{}.{:02}", gross / 100, gross % 100),
        })
    });
    let child = 1_000 * plan.permille / 1_000;
    let child = if hotel.inclusive {
        child
    } else {
        child + child * hotel.tax / 100
    };
    json!({
        "invTypeCode": kind.code, "start": from, "end": to,
        "mon": !weekend, "tue": !weekend, "weds": !weekend, "thur": !weekend,
        "fri": weekend, "sat": weekend, "sun": weekend,
        "ratesAmounts": [{
            "baseByGuestAmts": amounts.collect::<Vec<_>>(),
            "additionalGuestAmounts": [{
                "ageQualifyingCode": "8", "minAge": "0", "maxAge": "17",
                "amount": format!("{}.{:02}", child / 100, child % 100),
            }],
        }],
    })
}

/// Returns the codes of hotels that `known` asks for.
pub(super) fn asked(codes: &str) -> BTreeSet<String> {
    codes.split(',').map(str::to_owned).collect()
}
