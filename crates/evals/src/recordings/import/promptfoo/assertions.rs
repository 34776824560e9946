//! Assertions of promptfoo as checks of ours.

use serde_json::{Map, Value, json};

use super::super::checks::{Checks, Nested, literal, of_text, pattern};

/// What became of an assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is checked as there.
    Carried,
    /// It is checked otherwise, and not less.
    Differs(String),
    /// It is not checked.
    LeftOut(String),
}

use Outcome::{Carried, Differs, LeftOut};

fn left_out(why: &str) -> Outcome {
    LeftOut(why.to_owned())
}

fn differs(why: &str) -> Outcome {
    Differs(why.to_owned())
}

/// Adds what an assertion expects to `checks`.
pub(super) fn add(kind: &str, assertion: &Value, value: &Value, checks: &mut Checks) -> Outcome {
    if assertion["weight"] == 0 {
        return differs("it has no weight, so it decides nothing there");
    }
    if let Some(why) = beyond(kind, assertion, value) {
        return LeftOut(why);
    }
    let (kind, negated) = match kind.strip_prefix("not-") {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    let done = match kind {
        "trajectory:tool-used" => used(value, negated, checks),
        "trajectory:tool-args-match" | "trajectory:tool-sequence" | "tool-call-f1" if negated => {
            Some(left_out("there is no counterpart of its negation"))
        }
        "trajectory:tool-args-match" => called_with(value, checks),
        "trajectory:tool-sequence" => sequence(value, checks),
        "trajectory:step-count" if !negated => steps(value, checks),
        "tool-call-f1" => tools(assertion, value, checks),
        "is-valid-openai-tools-call"
        | "is-valid-openai-function-call"
        | "is-valid-function-call"
            if !negated =>
        {
            checks.no_errors = true;
            checks.min = checks.min.max(1);
            Some(differs(
                "arguments are checked by the server that is called: the calls have to succeed",
            ))
        }
        "cost" if !negated => limit(assertion, "usd", checks),
        "latency" if !negated => limit(assertion, "wall_ms", checks),
        _ => said(kind, value, negated, checks),
    };
    done.unwrap_or_else(|| {
        left_out("its value is not of the form that it takes, or it has no counterpart")
    })
}

/// Why an assertion cannot be carried over at all.
fn beyond(kind: &str, assertion: &Value, value: &Value) -> Option<String> {
    let base = kind.strip_prefix("not-").unwrap_or(kind);
    let judged = [
        "llm-rubric",
        "model-graded-closedqa",
        "model-graded-factuality",
        "factuality",
        "g-eval",
        "answer-relevance",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "conversation-relevance",
        "select-best",
        "max-score",
        "similar",
        "similar:cosine",
        "similar:dot",
        "similar:euclidean",
        "classifier",
        "moderation",
        "guardrails",
        "pi",
        "search-rubric",
        "agent-rubric",
        "trajectory:goal-success",
    ];
    let why = if ["javascript", "python", "ruby", "webhook"].contains(&base) {
        "it runs code of the file, which is never done; say what is expected by checks of calls, state and answer"
    } else if judged.contains(&base) {
        "it is judged by a model"
    } else if assertion.get("transform").is_some() {
        "it changes the answer by code before it looks at it"
    } else if value
        .as_str()
        .is_some_and(|text| text.starts_with("file://"))
    {
        "what it compares with is in another file"
    } else {
        return None;
    };
    Some(why.to_owned())
}

/// Texts in a value: a list, or one text with commas between.
fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |one: &Value| match one {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(one.to_string()),
        _ => None,
    };
    let all: Vec<String> = match value {
        Value::Array(all) => all.iter().map(text).collect::<Option<_>>()?,
        Value::String(all) => all.split(',').map(|one| one.trim().to_owned()).collect(),
        _ => return None,
    };
    (!all.is_empty()).then_some(all)
}

/// What the answer says.
fn said(kind: &str, value: &Value, negated: bool, checks: &mut Checks) -> Option<Outcome> {
    let text = || match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let each = |operator: &str, all: Vec<String>| -> Vec<Value> {
        all.into_iter()
            .map(|one| json!({ operator: one }))
            .collect()
    };
    let test = match kind {
        "contains" if !negated => {
            checks.contains.push(text()?);
            return Some(Carried);
        }
        "contains-all" if !negated => {
            checks.contains.extend(texts(value)?);
            return Some(Carried);
        }
        "contains" => {
            checks.contains_none.push(text()?);
            return Some(of_answers());
        }
        "contains-any" if negated => {
            checks.contains_none.extend(texts(value)?);
            return Some(of_answers());
        }
        "contains-all" => json!({ "contains_all": texts(value)? }),
        "contains-any" => json!({ "contains_any": texts(value)? }),
        "icontains" => json!({ "icontains": text()? }),
        "icontains-all" => json!({ "all_of": each("icontains", texts(value)?) }),
        "icontains-any" => json!({ "any_of": each("icontains", texts(value)?) }),
        "starts-with" => json!({ "regex": format!("^{}", regex::escape(&text()?)) }),
        "regex" => match pattern(&text()?) {
            Ok(test) => test,
            Err(why) => return Some(LeftOut(why)),
        },
        "equals" => match (value, negated) {
            (Value::Object(_) | Value::Array(_), false) => {
                checks.is.push(json!({ "eq": value }));
                return Some(Carried);
            }
            (Value::Object(_) | Value::Array(_), true) => return None,
            _ => json!({ "eq": text()? }),
        },
        "is-json" if !negated => {
            checks
                .is
                .push(json!({ "type": ["integer", "float", "boolean", "list", "object", "null"] }));
            return Some(match value {
                Value::Null => Carried,
                _ => left_out("that the answer is JSON is checked, its schema is not"),
            });
        }
        _ => return None,
    };
    match negated {
        true => {
            checks.is.push(of_text(&json!({ "not": test })));
            Some(of_answers())
        }
        false => {
            checks.is.push(of_text(&test));
            Some(Carried)
        }
    }
}

fn of_answers() -> Outcome {
    differs("it looks at the last answer, not at calls as text; forbid calls by `never`")
}

/// Names of tools in a value, which may hold `*`.
fn names(value: &Value) -> Option<Vec<String>> {
    let all = match value {
        Value::Array(all) => all.iter().map(named).collect::<Option<Vec<_>>>()?,
        one => vec![named(one)?],
    };
    (!all.is_empty()).then_some(all)
}

fn named(value: &Value) -> Option<String> {
    let name = match value {
        Value::Object(members) => members.get("name").or_else(|| members.get("pattern"))?,
        one => one,
    };
    let of_tool = value.get("type").is_none_or(|kind| kind == "tool");
    let name = name.as_str()?.trim();
    let readable = !name.is_empty() && !name.contains(['?', '[', '{']) && !name.starts_with('$');
    (readable && of_tool).then(|| name.to_owned())
}

fn used(value: &Value, negated: bool, checks: &mut Checks) -> Option<Outcome> {
    let min = value.get("min").and_then(Value::as_u64).unwrap_or(1);
    let max = value.get("max").and_then(Value::as_u64);
    let names = names(value)?;
    if negated {
        if min != 1 || max.is_some() {
            return None;
        }
        checks.never.extend(names.into_iter().map(Value::from));
        return Some(Carried);
    }
    let mut outcome = Carried;
    for name in names {
        if !name.contains('*') {
            checks.count(&name, &json!([min, max]));
        } else if max.is_none() {
            let times = usize::try_from(min).unwrap_or(usize::MAX).min(1000);
            checks.at_least.extend(vec![json!({ "tool": name }); times]);
            outcome = differs("a call that meets another check too does not count for it as well");
        } else {
            return None;
        }
    }
    Some(outcome)
}

fn called_with(value: &Value, checks: &mut Checks) -> Option<Outcome> {
    let name = named(value)?;
    let expected = value.get("args").or_else(|| value.get("arguments"))?;
    let expected = expected.as_object()?;
    let exact = match value.get("mode").and_then(Value::as_str) {
        None | Some("partial") => false,
        Some("exact") => true,
        Some(_) => return None,
    };
    let ignored = match value.get("ignore") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one.clone()],
        Some(several) => texts(several)?,
    };
    if ignored.iter().any(|name| name.contains(['*', '?'])) {
        return None;
    }
    let nested = if exact { Nested::Closed } else { Nested::Open };
    let mut args = Map::new();
    for (name, value) in expected.iter().filter(|(name, _)| !ignored.contains(name)) {
        let Some(test) = literal(value, nested) else {
            return Some(left_out(
                "a part of an argument has the name of an operator here",
            ));
        };
        args.insert(name.clone(), test);
    }
    if exact {
        for (name, default) in value["defaults"].as_object().into_iter().flatten() {
            args.entry(name.clone())
                .or_insert_with(|| json!({ "optional": { "eq": default } }));
        }
        for name in ignored {
            args.insert(name, json!({ "all_of": [] }));
        }
    }
    let unknown = if exact { "forbid" } else { "allow" };
    let again = checks
        .at_least
        .iter()
        .any(|spec| spec["tool"] == name.as_str());
    checks
        .at_least
        .push(json!({ "tool": name, "args": args, "unknown_args": unknown }));
    Some(match again {
        true => differs("each check of arguments of this tool needs a call of its own"),
        false => Carried,
    })
}

fn sequence(value: &Value, checks: &mut Checks) -> Option<Outcome> {
    let steps = value.get("steps").unwrap_or(value);
    let names = names(steps)?;
    let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
    if distinct.len() < names.len() || !checks.order.is_empty() {
        return Some(left_out(
            "a tool is in it twice, or it is the second sequence of the case",
        ));
    }
    let exact = match value.get("mode").and_then(Value::as_str) {
        None | Some("in_order") => false,
        Some("exact") => true,
        Some(_) => return None,
    };
    checks.order = names.iter().map(|name| vec![json!(name)]).collect();
    if !exact {
        return Some(differs(
            "the first call of each tool is looked at: a later tool must not come before as well",
        ));
    }
    if names.iter().any(|name| name.contains('*')) {
        return Some(left_out(
            "that there are no other calls is not checked for patterns of names",
        ));
    }
    checks.max = Some(
        checks
            .max
            .unwrap_or(u64::MAX)
            .min(names.len().try_into().ok()?),
    );
    for name in &names {
        checks.count(name, &json!([1, 1]));
    }
    checks.only.push(json!(names));
    Some(Carried)
}

fn steps(value: &Value, checks: &mut Checks) -> Option<Outcome> {
    if value["type"] != "tool" {
        return Some(left_out("it counts more than calls of tools"));
    }
    let min = value.get("min").and_then(Value::as_u64);
    let max = value.get("max").and_then(Value::as_u64);
    if value.get("name").is_some() || value.get("pattern").is_some() {
        let name = named(value).filter(|name| !name.contains('*'))?;
        checks.count(&name, &json!([min, max]));
        return Some(Carried);
    }
    if let Some(max) = max {
        checks.max = Some(checks.max.unwrap_or(max).min(max));
    }
    if let Some(min) = min {
        checks.min = checks.min.max(usize::try_from(min).ok()?);
    }
    Some(Carried)
}

/// These tools are called and no others: what a share of one says.
fn tools(assertion: &Value, value: &Value, checks: &mut Checks) -> Option<Outcome> {
    let threshold = assertion
        .get("threshold")
        .map_or(Some(1.0), Value::as_f64)?;
    let names = texts(value)?;
    let readable =
        |name: &String| !name.is_empty() && !name.contains('*') && !name.starts_with('$');
    if !names.iter().all(readable) {
        return None;
    }
    for name in &names {
        checks.count(name, &json!([1, null]));
    }
    checks.only.push(json!(names));
    Some(match threshold < 1.0 {
        true => differs("exactly these tools have to be called, where a part of them was enough"),
        false => Carried,
    })
}

fn limit(assertion: &Value, name: &str, checks: &mut Checks) -> Option<Outcome> {
    let threshold = assertion.get("threshold").filter(|most| most.is_number())?;
    let threshold = match name {
        // Whole milliseconds.
        "wall_ms" => json!(
            threshold
                .as_f64()
                .filter(|ms| (0.0..1e12).contains(ms))
                .map(whole)?
        ),
        _ => threshold.clone(),
    };
    checks.limit(name, &threshold);
    Some(differs("it is a limit of the whole conversation here"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded by its caller"
)]
fn whole(ms: f64) -> u64 {
    ms as u64
}
