//! Reads matchers.

use regex::RegexBuilder;
use serde_json::{Map, Value, json};

use super::{Case, Matcher, Quantity, Test, Type, day::When, place::Place};

/// Largest compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;
/// Deepest nesting of matchers.
const MAX_DEPTH: usize = 32;

/// Why something is not a matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// An operator that there is not, among others that there are.
    #[error("unknown operator `{name}`{}", .near.as_ref().map(|near| format!(", did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// As it was written.
        name: String,
        /// The nearest operator.
        near: Option<&'static str>,
    },
    /// An operator was given something else than it takes.
    #[error("`{operator}` takes {wanted}")]
    Operand {
        /// The operator.
        operator: &'static str,
        /// What it takes.
        wanted: &'static str,
    },
    /// Matchers are nested too deeply.
    #[error("matchers are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// Every operator with what it takes.
const OPERATORS: &[(&str, &str)] = &[
    ("eq", "any value: exactly this one"),
    ("in", "a list of values: one of them"),
    (
        "loose",
        "a text or a list of values: equal without regard to case, blanks and punctuation",
    ),
    ("icase", "a text: equal without regard to case"),
    ("regex", "a regular expression that is found in the text"),
    (
        "contains",
        "a text that is part of the text, or an element of the list",
    ),
    ("contains_all", "a list of texts that are all part of it"),
    ("contains_any", "a list of texts of which one is part of it"),
    (
        "contains_none",
        "a list of texts of which none is part of it",
    ),
    (
        "icontains",
        "a text that is part of it without regard to case",
    ),
    (
        "number",
        "a number, or an object with `near` and `tolerance`",
    ),
    ("range", "two numbers, `null` for an open end"),
    (
        "money",
        "a text such as `250 USD`, or an object with `amount` and `currency`",
    ),
    (
        "date",
        "a day: YYYY-MM-DD, today, tomorrow, next saturday, in 3 days",
    ),
    ("month_day", "a day of any year: MM-DD"),
    (
        "date_after",
        "a day, or the name of the argument that holds the earlier day",
    ),
    (
        "max_days",
        "a number: at most this many days after `date_after`",
    ),
    (
        "length",
        "two numbers: bounds of the number of elements or characters",
    ),
    ("place", "a city, under any of its names or codes"),
    ("country", "a country, by name or ISO 3166 code"),
    ("currency", "a currency, by ISO 4217 code, sign or name"),
    ("set", "a list of matchers, in any order"),
    ("list", "a list of matchers, by position"),
    ("each", "a matcher that every element satisfies"),
    ("object", "members with their matchers and no others"),
    (
        "type",
        "a type, or a list of them: string, integer, float, number, boolean, list, object, null",
    ),
    (
        "from",
        "the name of a saved value that this one has to equal",
    ),
    (
        "not_from",
        "the name of a saved value that this one must not be part of",
    ),
    ("absent", "true: it must not be there"),
    ("any", "true: it has to be there, whatever it is"),
    ("optional", "a matcher that holds if it is there"),
    ("not", "a matcher that must not hold"),
    ("all_of", "a list of matchers that all hold"),
    ("any_of", "a list of matchers of which one holds"),
];

/// The operators as properties of a JSON Schema.
pub(super) fn operators() -> Value {
    let all = OPERATORS.iter().map(|(name, takes)| {
        let takes = json!({ "description": takes });
        ((*name).to_owned(), takes)
    });
    Value::Object(all.collect())
}

impl TryFrom<Value> for Matcher {
    type Error = MatcherError;

    fn try_from(written: Value) -> Result<Self, MatcherError> {
        read(&written, 0)
    }
}

fn read(written: &Value, depth: usize) -> Result<Matcher, MatcherError> {
    if depth > MAX_DEPTH {
        return Err(MatcherError::TooDeep);
    }
    let test = match written {
        Value::Object(fields) if !fields.is_empty() => object(fields, depth)?,
        Value::Array(elements) => {
            let elements: Result<_, _> = elements.iter().map(|one| read(one, depth + 1)).collect();
            Test::List(elements?)
        }
        other => Test::Equal(other.clone()),
    };
    Ok(Matcher {
        written: written.clone(),
        test,
    })
}

/// Returns whether a member of this name is read as an operator.
pub(crate) fn is_operator(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<&'static str> {
    OPERATORS
        .iter()
        .map(|(known, _)| *known)
        .find(|known| *known == name)
}

fn object(fields: &Map<String, Value>, depth: usize) -> Result<Test, MatcherError> {
    let known = fields.keys().filter(|name| find(name).is_some()).count();
    if known == 0 {
        let members = members(fields, depth)?;
        return Ok(Test::Object {
            members,
            closed: false,
        });
    }
    let mut tests = Vec::new();
    for (name, operand) in fields {
        let Some(operator) = find(name) else {
            return Err(MatcherError::Unknown {
                name: name.chars().take(40).collect(),
                near: nearest(name),
            });
        };
        // It qualifies the operator beside it.
        if operator == "max_days" && fields.contains_key("date_after") {
            continue;
        }
        let max_days = fields.get("max_days").and_then(Value::as_i64);
        tests.push(operation(operator, operand, max_days, depth)?);
    }
    Ok(match tests.len() {
        1 => tests.remove(0),
        _ => Test::All(tests.into_iter().map(Matcher::made).collect()),
    })
}

fn nearest(name: &str) -> Option<&'static str> {
    let scored = OPERATORS
        .iter()
        .map(|(known, _)| (strsim::jaro_winkler(name, known), *known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.75).then_some(best.1)
}

fn members(
    fields: &Map<String, Value>,
    depth: usize,
) -> Result<Vec<(String, Matcher)>, MatcherError> {
    let read = |(name, one): (&String, &Value)| Ok((name.clone(), read(one, depth + 1)?));
    fields.iter().map(read).collect()
}

fn operation(
    operator: &'static str,
    operand: &Value,
    max_days: Option<i64>,
    depth: usize,
) -> Result<Test, MatcherError> {
    let wanted = OPERATORS.iter().find(|(known, _)| *known == operator);
    let bad = || MatcherError::Operand {
        operator,
        wanted: wanted.map_or("something else", |(_, takes)| takes),
    };
    let text = || operand.as_str().map(str::to_owned).ok_or_else(bad);
    let inner = || read(operand, depth + 1);
    let several = || -> Result<Vec<Matcher>, MatcherError> {
        let all = operand.as_array().ok_or_else(bad)?;
        all.iter().map(|one| read(one, depth + 1)).collect()
    };
    let texts = || texts(operand).ok_or_else(bad);
    let truth = |test| {
        (operand == &Value::Bool(true))
            .then_some(test)
            .ok_or_else(bad)
    };
    Ok(match operator {
        "eq" => Test::Equal(operand.clone()),
        "in" => Test::In(operand.as_array().ok_or_else(bad)?.clone()),
        "loose" => Test::Loose(match operand {
            Value::Array(all) => all.clone(),
            one => vec![one.clone()],
        }),
        "icase" => Test::IgnoreCase(text()?.to_lowercase()),
        "regex" => {
            let pattern = RegexBuilder::new(&text()?).size_limit(MAX_PATTERN).build();
            Test::Pattern(pattern.map_err(|_| bad())?)
        }
        "contains" => Test::Contains(vec![text()?], Quantity::All, Case::Kept),
        "icontains" => Test::Contains(vec![text()?.to_lowercase()], Quantity::All, Case::Ignored),
        "contains_all" => Test::Contains(texts()?, Quantity::All, Case::Kept),
        "contains_any" => Test::Contains(texts()?, Quantity::Any, Case::Kept),
        "contains_none" => Test::Contains(texts()?, Quantity::None, Case::Kept),
        "set" => Test::Set(several()?),
        "list" => Test::List(several()?),
        "each" => Test::Each(Box::new(inner()?)),
        "object" => Test::Object {
            members: members(operand.as_object().ok_or_else(bad)?, depth)?,
            closed: true,
        },
        "from" => Test::From(text()?),
        "not_from" => Test::NotFrom(text()?),
        "absent" => truth(Test::Absent)?,
        "any" => truth(Test::Any)?,
        "optional" => Test::Either(vec![Matcher::made(Test::Absent), inner()?]),
        "not" => Test::Not(Box::new(inner()?)),
        "all_of" => Test::All(several()?),
        "any_of" => Test::Either(several()?),
        _ => quantity(operator, operand, max_days).ok_or_else(bad)?,
    })
}

/// Operators about quantities, days and places.
fn quantity(operator: &str, operand: &Value, max_days: Option<i64>) -> Option<Test> {
    Some(match operator {
        "number" => match operand {
            Value::Object(fields) => Test::Number {
                near: fields.get("near")?.as_f64()?,
                tolerance: fields.get("tolerance").map_or(Some(0.0), Value::as_f64)?,
            },
            one => Test::Number {
                near: one.as_f64()?,
                tolerance: 0.0,
            },
        },
        "range" => {
            let (low, high) = bounds(operand)?;
            Test::Range(low, high)
        }
        "length" => {
            let (low, high) = bounds(operand)?;
            Test::Length(low, high)
        }
        "money" => {
            let (amount, currency) = match operand {
                Value::Object(fields) => (
                    fields.get("amount")?.as_f64()?,
                    fields.get("currency").and_then(Value::as_str),
                ),
                other => {
                    return super::equal::money(other)
                        .map(|(amount, currency)| Test::Money { amount, currency });
                }
            };
            Test::Money {
                amount,
                currency: currency.map(super::place::currency),
            }
        }
        "date" => Test::Day(When::parse(operand.as_str()?)?),
        "month_day" => {
            let text = operand.as_str()?;
            format!("2024-{text}").parse::<jiff::civil::Date>().ok()?;
            Test::MonthDay(text.to_owned())
        }
        "date_after" => Test::DayAfter {
            than: operand.as_str()?.to_owned(),
            max_days,
        },
        "place" => Test::Place(Place::city(operand.as_str()?)),
        "country" => Test::Place(Place::country(operand.as_str()?)),
        "currency" => Test::Place(Place::currency(operand.as_str()?)),
        "type" => {
            let names = texts(operand).or_else(|| Some(vec![operand.as_str()?.to_owned()]))?;
            let types: Option<Vec<Type>> = names.iter().map(|name| kind(name)).collect();
            Test::OneOfTypes(types?)
        }
        _ => return None,
    })
}

fn texts(operand: &Value) -> Option<Vec<String>> {
    let all = operand.as_array()?;
    all.iter()
        .map(|one| one.as_str().map(str::to_owned))
        .collect()
}

fn bounds(operand: &Value) -> Option<(Option<f64>, Option<f64>)> {
    let [low, high] = operand.as_array()?.as_slice() else {
        return None;
    };
    let bound = |value: &Value| match value {
        Value::Null => Some(None),
        other => other.as_f64().map(Some),
    };
    Some((bound(low)?, bound(high)?))
}

fn kind(name: &str) -> Option<Type> {
    Some(match name {
        "string" => Type::String,
        "integer" => Type::Integer,
        "float" => Type::Float,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        "list" => Type::List,
        "object" => Type::Object,
        "null" => Type::Null,
        _ => return None,
    })
}
