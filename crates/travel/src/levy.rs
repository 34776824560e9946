//! Taxes and fees that come with a stay.
//!
//! The kinds of levy are those that occur (percent, per stay, night and
//! person-night; inside the rate, on top, or collected by the hotel; exempt ages;
//! capped nights). The percentages and amounts are illustrative: they go with the
//! generated hotels and are not tax advice.
//!
//! # Invariants
//!
//! * Every levy becomes one line that is rounded once, for the whole stay.
//! * A levy inside the rate never changes what the traveller pays.

use serde::{Deserialize, Serialize};

use self::{
    Basis::Percent,
    Collected::{AtBooking, AtProperty, InRate},
};
use crate::{
    draw::{Domain, slice},
    money::{Currency, scale},
    places::City,
    property::{Character, Property, local},
    stay::Party,
};

/// How the amount of a levy arises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Hundredths of a percent of the room price without levies.
    Percent(i64),
    /// Minor units for each room.
    Stay(i64),
    /// Minor units for each room and night.
    Night(i64),
    /// Minor units for each liable guest and night, for so many nights at most.
    PersonNight {
        amount: i64,
        exempt_below: u8,
        max_nights: usize,
    },
}

/// When the traveller pays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collected {
    /// It is part of the nightly rate.
    InRate,
    /// With the booking, on top of the nightly rate.
    AtBooking,
    /// By the hotel during the stay.
    AtProperty,
}

/// Who it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nature {
    /// A public authority.
    Tax,
    /// The hotel; mandatory.
    Fee,
}

/// One tax or fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Levy {
    pub label: &'static str,
    pub nature: Nature,
    pub basis: Basis,
    pub collected: Collected,
}

impl Levy {
    /// Returns how the amount arises, for travellers.
    pub(crate) fn in_words(&self, currency: Currency) -> String {
        match self.basis {
            Basis::Percent(hundredths) => {
                let (whole, rest) = (hundredths / 100, hundredths % 100);
                match rest {
                    0 => format!("{whole} % of the room price"),
                    _ => format!("{whole}.{rest:02} % of the room price"),
                }
            }
            Basis::Stay(amount) => format!("{} per room and stay", currency.money(amount)),
            Basis::Night(amount) => format!("{} per room and night", currency.money(amount)),
            Basis::PersonNight {
                amount,
                exempt_below,
                max_nights,
            } => {
                let mut text = format!("{} per guest and night", currency.money(amount));
                if exempt_below > 0 {
                    text += &format!(", free below {exempt_below} years");
                }
                if max_nights < usize::MAX {
                    text += &format!(", for at most {max_nights} nights");
                }
                text
            }
        }
    }
}

const fn tax(label: &'static str, basis: Basis, collected: Collected) -> Levy {
    Levy {
        label,
        nature: Nature::Tax,
        basis,
        collected,
    }
}

const fn fee(label: &'static str, basis: Basis, collected: Collected) -> Levy {
    Levy {
        label,
        nature: Nature::Fee,
        basis,
        collected,
    }
}

const fn vat_in_rate(hundredths: i64) -> Levy {
    tax("VAT", Basis::Percent(hundredths), Collected::InRate)
}

const fn person_night(amount: i64, exempt_below: u8, max_nights: usize) -> Basis {
    Basis::PersonNight {
        amount,
        exempt_below,
        max_nights,
    }
}

const ALL_NIGHTS: usize = usize::MAX;

/// Returns the levies of a property.
pub(crate) fn levies(property: &Property, city: &City) -> Vec<Levy> {
    if let Some(house) = property.own {
        return house.levies.clone();
    }
    let country = city.country();
    let stars = usize::from(property.stars.clamp(1, 5)) - 1;
    let mut levies = public(country.code, city, stars);
    let drawn = property.key.at(Domain::Policy, 0).bits();
    let currency = property.currency;
    if country.code == "US" && (property.stars == 5 || property.character == Character::Resort) {
        let amount = local(1_500 + 500 * stars as i64, currency);
        levies.push(fee("Destination fee", Basis::Night(amount), AtProperty));
    }
    if property.stars <= 3 && slice(drawn, 0, 100) < 8 {
        let amount = local(2_000, currency);
        levies.push(fee(
            "Final cleaning",
            Basis::Stay(amount),
            Collected::AtBooking,
        ));
    }
    levies
}

/// Returns what public authorities and the customs of a country add.
fn public(country: &str, city: &City, stars: usize) -> Vec<Levy> {
    match country {
        "US" => united_states(city),
        "CA" | "MX" | "AE" | "SG" | "IN" | "JP" | "TH" => overseas(country, stars),
        _ => elsewhere(country, stars),
    }
}

fn united_states(city: &City) -> Vec<Levy> {
    let percent = Basis::Percent(us_percent(city));
    let mut levies = vec![tax("State and city occupancy tax", percent, AtBooking)];
    if city
        .region()
        .is_some_and(|region| region.abbreviation == "NY")
    {
        levies.push(tax("Hotel unit fee", Basis::Night(150), AtBooking));
    }
    levies
}

fn overseas(country: &str, stars: usize) -> Vec<Levy> {
    let by_stars = |amounts: [i64; 5]| amounts[stars];
    match country {
        "CA" => vec![
            tax("Sales tax", Percent(1_300), AtBooking),
            tax("Municipal accommodation tax", Percent(400), AtBooking),
        ],
        "MX" => vec![
            tax("VAT", Percent(1_600), AtBooking),
            tax("Lodging tax", Percent(300), AtBooking),
        ],
        "AE" => {
            let per_night = Basis::Night(by_stars([700, 700, 1_000, 1_500, 2_000]));
            vec![
                tax("VAT", Percent(500), AtBooking),
                tax("Municipality fee", Percent(1_000), AtBooking),
                tax("Tourism fee", per_night, AtProperty),
            ]
        }
        "SG" => vec![
            fee("Service charge", Percent(1_000), AtBooking),
            tax("Goods and services tax", Percent(900), AtBooking),
        ],
        "IN" => vec![tax("Goods and services tax", Percent(1_200), AtBooking)],
        "JP" => {
            let per_guest = person_night(by_stars([100, 100, 200, 200, 200]), 0, ALL_NIGHTS);
            vec![
                tax("Consumption tax", Percent(1_000), InRate),
                tax("Accommodation tax", per_guest, AtProperty),
            ]
        }
        "TH" => vec![
            fee("Service charge", Percent(1_000), InRate),
            vat_in_rate(700),
        ],
        _ => vec![vat_in_rate(1_000)],
    }
}

fn elsewhere(country: &str, stars: usize) -> Vec<Levy> {
    let guest_tax = |label, amounts: [i64; 5], exempt_below, max_nights| {
        let basis = person_night(amounts[stars], exempt_below, max_nights);
        tax(label, basis, AtProperty)
    };
    let on_top = |label, hundredths| tax(label, Percent(hundredths), AtProperty);
    match country {
        "CH" => {
            let amounts = [200, 250, 300, 350, 400];
            vec![
                vat_in_rate(380),
                guest_tax("Visitor's tax", amounts, 12, ALL_NIGHTS),
            ]
        }
        "FR" => {
            let amounts = [88, 110, 171, 259, 337];
            vec![
                vat_in_rate(1_000),
                guest_tax("Tourist tax", amounts, 18, ALL_NIGHTS),
            ]
        }
        "IT" => {
            let amounts = [200, 300, 400, 600, 700];
            vec![vat_in_rate(1_000), guest_tax("City tax", amounts, 10, 7)]
        }
        "PT" => vec![vat_in_rate(600), guest_tax("City tax", [300; 5], 13, 7)],
        "DE" => vec![vat_in_rate(700), on_top("City tax", 500)],
        "AT" => vec![vat_in_rate(1_000), on_top("Local tax", 320)],
        "NL" => vec![vat_in_rate(900), on_top("Tourist tax", 1_250)],
        "GB" => vec![vat_in_rate(2_000)],
        "ZA" => vec![vat_in_rate(1_500)],
        _ => vec![vat_in_rate(1_000)],
    }
}

fn us_percent(city: &City) -> i64 {
    match city.region().map_or("", |region| region.abbreviation) {
        "MA" => 1_495,
        "NY" => 1_475,
        "CA" => 1_400,
        "NV" => 1_338,
        "FL" => 1_300,
        "IL" => 1_739,
        "TX" => 1_700,
        "WA" => 1_560,
        "DC" => 1_595,
        "HI" => 1_796,
        "OR" => 1_600,
        _ => 1_250,
    }
}

/// What a levy is computed from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bill<'a> {
    /// The nightly rates of all rooms and nights together, with what is inside them.
    pub rates: i64,
    pub nights: usize,
    pub parties: &'a [Party],
}

/// Gives each levy and its amount to `visit`, and returns the price of the rooms
/// without any levy.
pub(crate) fn charge(levies: &[Levy], bill: Bill<'_>, visit: &mut dyn FnMut(&Levy, i64)) -> i64 {
    let inside = |levy: &&Levy| levy.collected == Collected::InRate;
    let percent = |levy: &Levy| match levy.basis {
        Basis::Percent(hundredths) => hundredths,
        Basis::Stay(_) | Basis::Night(_) | Basis::PersonNight { .. } => 0,
    };
    let inside_percent: i64 = levies.iter().filter(inside).map(percent).sum();
    // The levies inside a rate are percentages of the price without them.
    let part = |hundredths| scale(bill.rates, hundredths, 10_000 + inside_percent);
    let inside_amount: i64 = levies
        .iter()
        .filter(inside)
        .map(|levy| part(percent(levy)))
        .sum();
    let net = bill.rates - inside_amount;
    let rooms = bill.parties.len() as i64;
    let nights = bill.nights as i64;
    for levy in levies {
        let amount = match levy.basis {
            Basis::Percent(hundredths) if levy.collected == Collected::InRate => part(hundredths),
            Basis::Percent(hundredths) => scale(net, hundredths, 10_000),
            Basis::Stay(amount) => amount * rooms,
            Basis::Night(amount) => amount * rooms * nights,
            Basis::PersonNight {
                amount,
                exempt_below,
                max_nights,
            } => {
                let liable = bill.parties.iter().flat_map(Party::ages);
                let persons = liable.filter(|age| *age >= exempt_below).count() as i64;
                amount * persons * bill.nights.min(max_nights) as i64
            }
        };
        visit(levy, amount);
    }
    net
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn family() -> Vec<Party> {
        vec![Party {
            adults: 2,
            child_ages: vec![4, 12],
        }]
    }

    #[track_caller]
    fn check(levy: Levy, rates: i64, nights: usize, expected: (i64, i64)) {
        let parties = family();
        let mut amount = 0;
        let bill = Bill {
            rates,
            nights,
            parties: &parties,
        };
        let net = charge(&[levy], bill, &mut |_, a| amount = a);
        assert_eq!((net, amount), expected);
    }

    #[test]
    fn each_basis_is_computed_as_named() {
        check(vat_in_rate(1_000), 11_000, 1, (10_000, 1_000));
        check(
            tax("t", Basis::Percent(1_495), AtBooking),
            20_001,
            2,
            (20_001, 2_990),
        );
        check(
            fee("f", Basis::Stay(2_000), AtBooking),
            10_000,
            3,
            (10_000, 2_000),
        );
        check(
            tax("t", Basis::Night(150), AtBooking),
            10_000,
            3,
            (10_000, 450),
        );
        check(
            tax("t", person_night(400, 12, ALL_NIGHTS), AtProperty),
            10_000,
            3,
            (10_000, 3_600),
        );
        check(
            tax("t", person_night(400, 0, 2), AtProperty),
            10_000,
            3,
            (10_000, 3_200),
        );
    }

    proptest! {
        #[test]
        fn levies_inside_the_rate_and_the_net_price_sum_to_the_rate(
            rates in 0_i64..1_000_000_000,
            percents in proptest::collection::vec(0_i64..4_000, 0..4),
        ) {
            let levies: Vec<_> = percents.into_iter().map(vat_in_rate).collect();
            let parties = family();
            let mut sum = 0;
            let net = charge(&levies, Bill { rates, nights: 1, parties: &parties }, &mut |_, amount| sum += amount);
            prop_assert_eq!(net + sum, rates);
            prop_assert!(net >= 0);
        }
    }
}
