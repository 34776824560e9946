//! Which tools were called, and how.

use serde_json::Value;

use super::{Context, Reason};
use crate::{
    assignment::assign,
    expect::{CallSpec, Calls, Status, Unknown},
    tool::Selector,
    trace::{Arguments, Call},
};

pub(super) fn check(
    expect: &Calls,
    calls: &[&Call],
    context: Context<'_>,
    reasons: &mut Vec<Reason>,
) {
    let selects = |one: &Selector, call: &Call| one.selects(&call.tool, context.tools);
    if expect.none {
        let extra = calls
            .iter()
            .map(|call| Reason::new("extra", &call.tool, "no call"));
        reasons.extend(extra);
    }
    if let Some(first) = &expect.first {
        match calls.first() {
            Some(call) if selects(first, call) => {}
            Some(call) => reasons.push(Reason::new(
                "order",
                &call.tool,
                format!("first {}", first.shown()),
            )),
            None => reasons.push(Reason::new("missing", first.shown(), "first")),
        }
    }
    if let Some(only) = &expect.only {
        let others = calls.iter().filter(|call| !selects(only, call));
        reasons.extend(
            others.map(|call| Reason::new("extra", &call.tool, format!("only {}", only.shown()))),
        );
    }
    if let Some(never) = &expect.never {
        let forbidden = calls.iter().filter(|call| selects(never, call));
        reasons.extend(
            forbidden
                .map(|call| Reason::new("extra", &call.tool, format!("never {}", never.shown()))),
        );
    }
    each_is_met(&expect.at_least, calls, context, reasons);
    if let Some(exactly) = &expect.exactly {
        let named: Vec<&Call> = calls
            .iter()
            .filter(|call| exactly.iter().any(|spec| selects(&spec.tool, call)))
            .copied()
            .collect();
        let met = each_is_met(exactly, &named, context, reasons);
        let others = named.iter().enumerate().filter(|(at, _)| !met.contains(at));
        reasons.extend(others.map(|(_, call)| Reason::new("extra", &call.tool, "exactly")));
    }
    in_order(&expect.order, calls, context, reasons);
    counts(expect, calls, reasons);
}

fn counts(expect: &Calls, calls: &[&Call], reasons: &mut Vec<Reason>) {
    if let Some(max) = expect.max.filter(|max| calls.len() > *max) {
        reasons.push(Reason::new(
            "extra",
            "calls",
            format!("{} of {max}", calls.len()),
        ));
    }
    for (tool, wanted) in &expect.count {
        let is = calls.iter().filter(|call| call.tool == *tool).count();
        if !wanted.holds(Some(&Value::from(is)), &crate::matcher::Scope::default()) {
            let detail = format!("{is} calls, wanted {}", wanted.written());
            reasons.push(Reason::new("count", tool, detail));
        }
    }
    if expect.no_errors {
        let failed = calls
            .iter()
            .filter(|call| status(call) == Some(Status::Error));
        reasons.extend(failed.map(|call| Reason::new("status", &call.tool, "an error")));
    }
    for (tool, wanted) in &expect.status {
        let last = calls.iter().rev().find(|call| call.tool == *tool);
        match last.and_then(|call| status(call)) {
            Some(is) if is == *wanted => {}
            Some(_) => reasons.push(Reason::new("status", tool, "not as wanted")),
            None => reasons.push(Reason::new("missing", tool, "status")),
        }
    }
}

fn status(call: &Call) -> Option<Status> {
    call.answer.as_ref().map(|answer| match answer.is_error {
        true => Status::Error,
        false => Status::Ok,
    })
}

/// Finds a call of its own for each of `specs` and returns the places of these calls.
pub(super) fn each_is_met(
    specs: &[CallSpec],
    calls: &[&Call],
    context: Context<'_>,
    reasons: &mut Vec<Reason>,
) -> Vec<usize> {
    let fits = |spec: usize, call: usize| objection(&specs[spec], calls[call], context).is_none();
    let met = assign(specs.len(), calls.len(), fits);
    for (spec, _) in specs.iter().zip(&met).filter(|(_, met)| met.is_none()) {
        // The nearest call that nothing else is met by says most about what is wrong.
        let free = calls
            .iter()
            .enumerate()
            .filter(|(at, _)| !met.contains(&Some(*at)));
        let near = free
            .map(|(_, call)| call)
            .find(|call| spec.tool.selects(&call.tool, context.tools));
        let reason = near.and_then(|call| objection(spec, call, context));
        reasons.push(reason.unwrap_or_else(|| Reason::new("missing", spec.tool.shown(), "")));
    }
    met.into_iter().flatten().collect()
}

/// Why `call` is not what `spec` expects.
fn objection(spec: &CallSpec, call: &Call, context: Context<'_>) -> Option<Reason> {
    if !spec.tool.selects(&call.tool, context.tools) {
        return Some(Reason::new("missing", spec.tool.shown(), ""));
    }
    let at = |name: &str| format!("{}.{name}", call.tool);
    let arguments = match &call.arguments {
        Arguments::Json(value) => value,
        Arguments::Unreadable(_) => return Some(Reason::new("arg", &call.tool, "not JSON")),
    };
    let mut scope = context.scope();
    scope.beside = Some(arguments);
    for (name, wanted) in &spec.args {
        let is = arguments.get(name);
        if let Some(below) = wanted.objection(is, &scope) {
            let place = match below.is_empty() {
                true => at(name),
                false => format!("{}.{below}", at(name)),
            };
            let is = is.map_or("absent".to_owned(), short);
            return Some(Reason::new(
                "arg",
                place,
                format!("{is}, wanted {}", short(wanted.written())),
            ));
        }
    }
    if spec.unknown_args == Unknown::Forbid {
        let fields = arguments.as_object().into_iter().flatten();
        let mut unknown = fields.filter(|(name, _)| !spec.args.contains_key(*name));
        if let Some((name, _)) = unknown.next() {
            return Some(Reason::new("arg", at(name), "not expected"));
        }
    }
    if let Some(wanted) = spec.status.filter(|wanted| status(call) != Some(*wanted)) {
        return Some(Reason::new(
            "status",
            &call.tool,
            format!("wanted {wanted:?}"),
        ));
    }
    let result = spec.result.as_ref()?;
    let value = call.answer.as_ref().map(crate::trace::Answer::value);
    let below = result.objection(value.as_ref(), &context.scope())?;
    Some(Reason::new("result", at(&below), ""))
}

/// A value as a reason shows it.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn in_order(
    order: &[Vec<Selector>],
    calls: &[&Call],
    context: Context<'_>,
    reasons: &mut Vec<Reason>,
) {
    let mut earlier: Option<(usize, String)> = None;
    for group in order {
        let mut latest: Option<(usize, String)> = None;
        for one in group {
            let first = calls
                .iter()
                .position(|call| one.selects(&call.tool, context.tools));
            let Some(first) = first else {
                reasons.push(Reason::new("missing", one.shown(), "order"));
                continue;
            };
            if let Some((_, before)) = earlier.as_ref().filter(|(at, _)| first < *at) {
                reasons.push(Reason::new(
                    "order",
                    one.shown(),
                    format!("before {before}"),
                ));
            }
            if latest.as_ref().is_none_or(|(at, _)| first > *at) {
                latest = Some((first, one.shown()));
            }
        }
        earlier = latest.or(earlier);
    }
}
