//! Rates and the rules of their sale: `OTA_HotelRatePlanNotifRQ`.

mod rate;
mod rule;

pub use rate::{AgeBand, Price, Rate, Supplement};
pub use rule::{BookingRule, Lengths, Weekdays};

use crate::alpinebits::{
    value::{Reader, Version},
    xml::Element,
};

/// Rate plans of a hotel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatePlans {
    /// Whether there are no others.
    pub complete: bool,
    /// Those that the message is about.
    pub plans: Vec<RatePlan>,
}

/// One rate plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatePlan {
    /// The hotel's code of it.
    pub code: String,
    /// What happens to it.
    pub notify: Notify,
    /// ISO 4217 code of all its amounts.
    pub currency: String,
    /// When it is sold, and for which stays.
    pub rules: Vec<BookingRule>,
    /// What a night costs.
    pub rates: Vec<Rate>,
    /// What is paid besides.
    pub supplements: Vec<Supplement>,
}

/// What happens to a rate plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// It is replaced whole.
    New,
    /// The periods of the message are replaced.
    Overlay,
    /// It is not sold any more.
    Remove,
}

pub(crate) fn read(
    version: Version,
    root: &Element,
    reader: &mut Reader,
) -> (Option<String>, RatePlans) {
    let complete = reader.complete_set(root, &["16"]);
    reader.only_children(root, &["UniqueID", "RatePlans"]);
    let mut plans = RatePlans {
        complete,
        plans: Vec::new(),
    };
    let Some(list) = root.child("RatePlans") else {
        reader.missing(root, "RatePlans");
        return (None, plans);
    };
    let hotel = reader.hotel(list);
    reader.only_children(list, &["RatePlan"]);
    match list.children() {
        [] => reader.missing(list, "RatePlan"),
        [only] if complete && only.is_empty() => {}
        all => {
            for plan in all {
                plans.plans.extend(read_plan(version, plan, reader));
            }
        }
    }
    for (i, plan) in plans.plans.iter().enumerate() {
        if plans
            .plans
            .iter()
            .skip(i + 1)
            .any(|other| other.code == plan.code)
        {
            reader.invalid(format!("the rate plan `{}` is there twice", plan.code));
        }
    }
    (hotel, plans)
}

fn read_plan(version: Version, plan: &Element, reader: &mut Reader) -> Option<RatePlan> {
    for name in ["RatePlanNotifType", "RatePlanCode"] {
        reader.required(plan, name);
    }
    let code = reader.text(plan, "RatePlanCode", 64);
    let allowed: &[&str] = if version >= Version::V2024 {
        &["New", "Full", "Overlay", "Remove"]
    } else {
        &["New", "Overlay", "Remove"]
    };
    let notify = match reader.choice(plan, "RatePlanNotifType", allowed) {
        Some("Overlay") => Notify::Overlay,
        Some("Remove") => Notify::Remove,
        _ => Notify::New,
    };
    if notify == Notify::Remove {
        reader.only_children(plan, &[]);
        return Some(RatePlan {
            code: code?,
            notify,
            currency: String::new(),
            rules: Vec::new(),
            rates: Vec::new(),
            supplements: Vec::new(),
        });
    }
    let known = [
        "BookingRules",
        "Rates",
        "Supplements",
        "Offers",
        "Description",
    ];
    reader.only_children(plan, &known);
    let currency = reader.required(plan, "CurrencyCode");
    let digits = exponent(currency);
    if digits.is_none() && !currency.is_empty() {
        reader.not_a(plan, "CurrencyCode", currency, "a currency of ISO 4217");
    }
    let digits = digits.unwrap_or(2);
    if plan.child("Offers").is_some() {
        reader.advise("offers are not applied: guests pay the rate without them");
    }
    Some(RatePlan {
        code: code?,
        notify,
        currency: currency.to_owned(),
        rules: rule::read(plan, reader),
        rates: rate::read(plan, digits, reader),
        supplements: rate::supplements(plan, digits, reader),
    })
}

/// Digits after the point of a currency of ISO 4217 in use.
fn exponent(code: &str) -> Option<u32> {
    const TWO: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN \
         BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL \
         GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR \
         LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB \
         PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP \
         SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG";
    const ZERO: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
    const THREE: &str = "BHD IQD JOD KWD LYD OMR TND";
    let listed = |list: &str| list.split_ascii_whitespace().any(|known| known == code);
    if listed(TWO) {
        Some(2)
    } else if listed(ZERO) {
        Some(0)
    } else if listed(THREE) {
        Some(3)
    } else {
        None
    }
}
