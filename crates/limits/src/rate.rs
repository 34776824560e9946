//! Rates as operators write them.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// So many units in so much time, written as `100/s`, `600/min`, `5000/h` or `20000/d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate {
    /// How many.
    pub units: u64,
    /// In how many nanoseconds.
    pub per_ns: u64,
}

/// The text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number and a unit of time, such as 100/s, 600/min, 5000/h or 20000/d")]
pub struct NoRate;

const UNITS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];
const NS_PER_S: u64 = 1_000_000_000;

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let (units, unit) = text.split_once('/').ok_or(NoRate)?;
        let units = units.trim().parse().map_err(|_| NoRate)?;
        let (_, seconds) = UNITS
            .into_iter()
            .find(|(name, _)| *name == unit.trim())
            .ok_or(NoRate)?;
        Ok(Self {
            units,
            per_ns: seconds * NS_PER_S,
        })
    }
}

impl TryFrom<String> for Rate {
    type Error = NoRate;

    fn try_from(text: String) -> Result<Self, NoRate> {
        text.parse()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.per_ns / NS_PER_S;
        let unit = UNITS.iter().find(|(_, known)| *known == seconds);
        write!(f, "{}/{}", self.units, unit.map_or("s", |(name, _)| name))
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "So many units in so much time, written as `100/s`, `600/min`, `5000/h` or `20000/d`.",
            "type": "string",
            "pattern": "^[0-9]+/(s|min|h|d)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_a_number_and_a_unit() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            let rate = text.parse::<Rate>().ok();
            let seconds = rate.map(|rate| (rate.units, rate.per_ns / NS_PER_S));
            assert_eq!(seconds, expected, "{text}");
            if let Some(rate) = rate {
                assert_eq!(rate.to_string(), text);
            }
        };
        check("100/s", Some((100, 1)));
        check("600/min", Some((600, 60)));
        check("5000/h", Some((5_000, 3_600)));
        check("20000/d", Some((20_000, 86_400)));
        for wrong in ["", "100", "/s", "-1/s", "1/w", "1.5/s", "1/s/s"] {
            check(wrong, None);
        }
    }
}
