//! What a cancellation gives back.
//!
//! # Invariants
//!
//! * Refund and penalty sum to what was paid or is owed; neither is negative.
//! * A percentage is rounded once, half away from zero ([`scale`]).

use serde_json::Value;

use crate::money::scale;

/// Largest amount and count of the draft (`maximum` of its schemas).
const MAX_SAFE: i64 = (1 << 53) - 1;
/// Basis points of the whole.
const WHOLE_BPS: i64 = 10_000;

/// What a tier says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The traveller gets back so many hundredths of a percent.
    Percentage { buyer_bps: i64 },
    /// The hotel keeps this amount, in minor units.
    FixedFee { amount: i64 },
    /// The hotel keeps the price of so many units.
    UnitDeduction { value: i64, unit: String },
}

/// What the amounts of a cancellation are computed from, in minor units of one currency.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basis<'a> {
    /// The whole price.
    pub total: i64,
    /// The price of each night, in their order.
    pub nights: &'a [i64],
}

/// What a cancellation gives back, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refund {
    /// For the traveller, or no longer owed.
    pub refund: i64,
    /// For the hotel.
    pub penalty: i64,
}

/// Computes what `outcome` gives back, or `None` if its terms have no amount in `basis`.
pub(crate) fn refund(outcome: &Outcome, basis: Basis<'_>) -> Option<Refund> {
    let penalty = match outcome {
        Outcome::Percentage { buyer_bps } => {
            basis.total - scale(basis.total, *buyer_bps, WHOLE_BPS)
        }
        Outcome::FixedFee { amount } => *amount,
        Outcome::UnitDeduction { value, unit } if unit == "night" => {
            let count = usize::try_from(*value).ok()?;
            basis.nights.get(..count)?.iter().sum()
        }
        Outcome::UnitDeduction { .. } => return None,
    };
    let penalty = penalty.clamp(0, basis.total.max(0));
    Some(Refund {
        refund: basis.total - penalty,
        penalty,
    })
}

impl Outcome {
    /// Reads an outcome: `None` if it is malformed, `Some(None)` if its kind is unknown.
    #[expect(clippy::option_option, reason = "malformed and unknown differ")]
    pub(super) fn parse(value: &Value) -> Option<Option<Self>> {
        let kind = value.as_object()?.get("kind")?.as_str()?;
        // Members that are typed in the schema have to fit it whatever the kind is.
        let bps = match value.get("buyer_bps") {
            Some(bps) => Some(whole(bps, 0, WHOLE_BPS)?),
            None => None,
        };
        let penalty = match value.get("penalty") {
            Some(penalty) => Penalty::parse(penalty)?,
            None => Penalty::default(),
        };
        Some(match kind {
            "" => return None,
            "percentage" => Some(Self::Percentage { buyer_bps: bps? }),
            "fixed_fee" => Some(Self::FixedFee {
                amount: penalty.amount?,
            }),
            "unit_deduction" => {
                let (value, unit) = penalty.measure?;
                Some(Self::UnitDeduction { value, unit })
            }
            _ => None,
        })
    }
}

#[derive(Default)]
struct Penalty {
    amount: Option<i64>,
    measure: Option<(i64, String)>,
}

impl Penalty {
    fn parse(value: &Value) -> Option<Self> {
        let members = value.as_object()?;
        let amount = match members.get("amount") {
            Some(amount) => Some(whole(amount, 0, MAX_SAFE)?),
            None => None,
        };
        let measure = match members.get("measure") {
            Some(measure) => {
                let count = whole(measure.get("value")?, 1, MAX_SAFE)?;
                if measure.get("scale").is_some_and(|scale| scale != 0) {
                    return None;
                }
                Some((count, measure.get("unit")?.as_str()?.to_owned()))
            }
            None => None,
        };
        Some(Self { amount, measure })
    }
}

fn whole(value: &Value, low: i64, high: i64) -> Option<i64> {
    value.as_i64().filter(|value| (low..=high).contains(value))
}
