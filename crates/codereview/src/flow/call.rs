//! Calls: what they give, where their arguments arrive, whom they let in.

use std::sync::Arc;

use super::{
    entry,
    evaluate::{Frame, Hit, key},
    guard,
    ir::{Call, Expression, Name},
    value::{ALL, FunctionId, Origin, Standing, Taint, Value, Way},
};
use crate::rules::{Shape, Sink};

/// Calls that give a text made of their arguments.
const FORMATS: [&str; 9] = [
    "format",
    "join",
    "Sprintf",
    "Sprint",
    "concat",
    "Join",
    "normalize",
    "formatted",
    "JSON.stringify",
];
/// Calls of another function, which is the argument, with the rest.
const RUNNERS: [&str; 8] = [
    "to_thread",
    "run_sync",
    "run_in_executor",
    "partial",
    "submit",
    "spawn_blocking",
    "run_in_threadpool",
    "wait_for",
];
/// Calls that give their argument under another name.
const WRAPPERS: [&str; 4] = ["promisify", "bind", "wraps", "memoize"];

impl Frame<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Value {
        let callee = self.evaluate(&call.callee);
        if self.lets_in(call, &callee) {
            return Value::default();
        }
        let mut values: Vec<Value> = call
            .arguments
            .iter()
            .map(|one| self.evaluate(&one.value))
            .collect();
        let path = callee.path.clone();
        let (before, last) = split(path.as_deref().unwrap_or(""));
        let last = match last {
            "" => guard::called(call).unwrap_or(""),
            last => last,
        };
        if WRAPPERS.contains(&last)
            && let Some(inner) = values
                .first()
                .filter(|one| one.path.is_some() || one.function.is_some())
        {
            return inner.clone();
        }
        if matches!(last, "require" | "import")
            && let Some(text) = values.first().and_then(|one| one.text.as_deref())
        {
            return Value::at(Arc::from(text.strip_prefix("node:").unwrap_or(text)));
        }
        if RUNNERS.contains(&last)
            && let Some(at) = values.iter().position(|one| one.function.is_some())
        {
            let inner = values[at].function.expect("its position was asked for");
            let rest = values.split_off(at + 1);
            return self.apply(inner, call, &rest, &[]);
        }
        self.arrive(call, before, last, &callee, &values);
        let classes = self
            .program
            .rules
            .cleaned_by(self.program.language(self.unit), before, last);
        if classes == ALL {
            return Value::clean();
        }
        let names: Vec<Option<Name>> = call.arguments.iter().map(|one| one.name.clone()).collect();
        let given = match callee.function {
            Some(id) if id.0 == self.unit && self.program.function(id).is_inner => {
                self.run_closure(id.1 as usize, values.clone(), &[])
            }
            Some(id) => self.apply(id, call, &values, &names),
            None => self.foreign(call, &callee, last, &values, &names),
        };
        let given = given.cleaned(classes);
        match guard::is_check(last) {
            true => given.cleaned(guard::cleans(self.program.rules, last)),
            false => given,
        }
    }

    /// What a call gives whose function is not in the tree.
    fn foreign(
        &mut self,
        call: &Call,
        callee: &Value,
        last: &str,
        values: &[Value],
        names: &[Option<Name>],
    ) -> Value {
        let path = callee.path.as_deref().unwrap_or("");
        self.closures_in(values, callee);
        let is_known = path.contains('.') && !path.starts_with(['?', '@', '.']);
        // What a class inherits from one that is not known may be anywhere.
        let is_known = is_known && !path.starts_with("self.");
        if !is_known && let Some(id) = self.program.guess(last) {
            return self.apply(id, call, values, names).guessed();
        }
        let result = result_path(path, values);
        let mut value = if FORMATS.contains(&last) {
            let mut parts = Vec::new();
            if let Expression::Member(object, _) = &call.callee {
                parts.push(self.evaluate(object));
            }
            for value in values {
                match (&value.items, last) {
                    (Some(items), "join" | "Join") => parts.extend(items.iter().cloned()),
                    _ => parts.push(value.clone()),
                }
            }
            parts.retain(|part| part.path.is_none() || !part.taints.is_empty());
            let leads = parts.clone();
            let mut value = Value::text_of(&leads);
            if last == "join" || last == "Join" {
                value.text = None;
            }
            value
        } else {
            let mut parts = vec![Value {
                taints: callee.taints.clone(),
                ..Value::default()
            }];
            // A method of a value gives something of it; other calls are guessed at.
            let is_method = !callee.taints.is_empty();
            for value in values {
                let value = Value {
                    taints: value.all_taints(),
                    standing: value.standing,
                    ..Value::default()
                };
                parts.push(if is_method { value } else { value.guessed() });
            }
            let mut value = Value::mix(&parts);
            value.standing = Standing::Unknown;
            value
        };
        if entry::is_source(&format!("{path}.")) {
            value.taints.clear();
        }
        value.path = result.or(value.path);
        value
    }

    /// Closures that are handed over are called with what comes along.
    fn closures_in(&mut self, values: &[Value], callee: &Value) {
        let mut along: Vec<Value> = values
            .iter()
            .filter(|one| one.function.is_none())
            .cloned()
            .collect();
        along.push(Value {
            taints: callee.taints.clone(),
            ..Value::default()
        });
        for value in values {
            let Some(id) = value.function.filter(|id| id.0 == self.unit) else {
                continue;
            };
            let function = self.program.function(id);
            if !function.is_inner || entry::is_tool(&function.marks) {
                continue;
            }
            let mixed = Value {
                standing: Standing::Unknown,
                ..Value::mix(&along).guessed()
            };
            let arguments = vec![mixed; function.parameters.len()];
            self.run_closure(id.1 as usize, arguments, &[]);
        }
    }

    /// Calls the function `id`: what arrives there arrives from here.
    pub(super) fn apply(
        &mut self,
        id: FunctionId,
        call: &Call,
        values: &[Value],
        names: &[Option<Name>],
    ) -> Value {
        self.outcome.calls.insert(id);
        let function = self.program.function(id);
        let summary = self.program.summary(id);
        let first = function.parameters.first();
        let takes_self = first.is_some_and(|one| {
            matches!(&one.target, super::ir::Target::Name(name) if matches!(&**name, "self" | "cls"))
        }) || function.class.is_some() && self.program.language(id.0) == crate::source::Language::Go;
        let argument = |at: u16| -> Option<&Value> {
            let at = usize::from(at);
            let parameter = function.parameters.get(at)?;
            if let super::ir::Target::Name(wanted) = &parameter.target {
                let by_name = names.iter().position(|name| name.as_ref() == Some(wanted));
                if let Some(by_name) = by_name {
                    return values.get(by_name);
                }
            }
            let at = at.checked_sub(usize::from(takes_self))?;
            match names.get(at) {
                Some(Some(name)) if &**name != "**" => None,
                _ => values.get(at),
            }
        };
        let what: Name = Arc::from(format!("handed to `{}`", function.name));
        for hit in &summary.hits {
            let Origin::Parameter(at) = hit.taint.origin else {
                continue;
            };
            let Some(value) = argument(at) else { continue };
            for taint in value.all_taints() {
                let taint = self.through(&taint, &hit.taint, call.from, &what);
                self.record(Hit {
                    taint,
                    ..hit.clone()
                });
            }
        }
        let mut given = Value {
            taints: Vec::new(),
            ..summary.gives.clone()
        };
        for inner in &summary.gives.taints {
            match inner.origin {
                Origin::Outside => given.add(inner),
                Origin::Parameter(at) => {
                    for taint in argument(at).map(Value::all_taints).unwrap_or_default() {
                        let taint = self.through(&taint, inner, call.from, &what);
                        given.add(&taint);
                    }
                }
            }
        }
        if function.name.contains("onstructor") || &*function.name == "__init__" {
            given.path = None;
        }
        given
    }

    /// Returns `taint` after the way of `inner` through a function.
    fn through(&self, taint: &Taint, inner: &Taint, line: u32, what: &Name) -> Taint {
        let step = Arc::new(Way {
            unit: self.unit,
            line,
            what: Arc::clone(what),
            before: taint.way.clone(),
        });
        Taint {
            origin: taint.origin,
            is_guessed: taint.is_guessed || inner.is_guessed,
            is_joined: taint.is_joined || inner.is_joined,
            lead: match (&inner.lead, &taint.lead) {
                (None, lead) => lead.clone(),
                (Some(inner), None) => Some(Arc::clone(inner)),
                (Some(inner), Some(lead)) => Some(Arc::from(format!("{inner}{lead}"))),
            },
            clean: taint.clean | inner.clean,
            way: Some(append(step, inner.way.as_ref())),
        }
    }

    /// Looks whether this call is one that values must not arrive at.
    fn arrive(&mut self, call: &Call, before: &str, last: &str, callee: &Value, values: &[Value]) {
        let program = self.program;
        let language = program.language(self.unit);
        for sink in program.rules.sinks_of(language, last) {
            let own = match callee.path {
                Some(_) => before.to_owned(),
                None => receiver(&call.callee),
            };
            if !sink.path.fits(&own) || !self.holds(sink, call, values) {
                continue;
            }
            let rule = &program.rules.rules[sink.rule];
            let mut is_unknown = false;
            let mut has_taint = false;
            let own = sink
                .arguments
                .iter()
                .any(|one| one == "self")
                .then_some(callee);
            let taken = values
                .iter()
                .enumerate()
                .filter(|(at, _)| takes(sink, call, *at));
            for value in taken.map(|(_, value)| value).chain(own) {
                for taint in value.all_taints() {
                    has_taint = true;
                    if taint.clean & rule.bit != 0 || !fits(sink.shape, &taint) {
                        continue;
                    }
                    let hit = self.hit(sink.rule, call, taint);
                    self.record(hit);
                }
                is_unknown |= is_open(value);
            }
            if is_unknown && !has_taint && rule.unknown.is_some() {
                let taint = self.outside(call.from, "a value that is not known");
                let hit = self.hit(sink.rule, call, taint);
                self.outcome.unknown.push(hit);
            }
        }
    }

    fn hit(&self, rule: usize, call: &Call, taint: Taint) -> Hit {
        Hit {
            rule,
            unit: self.unit,
            lines: (call.from, call.to),
            bytes: call.bytes,
            taint,
        }
    }

    fn record(&mut self, hit: Hit) {
        let hits = match hit.taint.origin {
            Origin::Outside => &mut self.outcome.hits,
            Origin::Parameter(_) => &mut self.outcome.summary.hits,
        };
        let same = |one: &&mut Hit| {
            one.rule == hit.rule
                && one.bytes == hit.bytes
                && one.unit == hit.unit
                && one.taint.origin == hit.taint.origin
        };
        match hits.iter_mut().find(same) {
            Some(one) if one.taint.is_guessed && !hit.taint.is_guessed => *one = hit,
            Some(_) => {}
            None => hits.push(hit),
        }
    }

    /// Returns whether the other arguments are as the sink wants them.
    fn holds(&self, sink: &Sink, call: &Call, values: &[Value]) -> bool {
        let text = |wanted: &str| -> Option<Name> {
            for (argument, value) in call.arguments.iter().zip(values) {
                if argument.name.as_deref() == Some(wanted) {
                    return value.text.clone();
                }
                if let Some(text) = value.field(wanted).and_then(|field| field.text.clone()) {
                    return Some(text);
                }
            }
            let (at, inner) = wanted.split_once('.').unwrap_or((wanted, ""));
            let value = values.get(at.parse::<usize>().ok()?)?;
            match inner {
                "" => value.text.clone(),
                inner => {
                    let items = value.items.as_ref()?;
                    items.get(inner.parse::<usize>().ok()?)?.text.clone()
                }
            }
        };
        let is_one = |wanted: &str, of: &[String]| {
            text(wanted).is_some_and(|text| {
                of.iter()
                    .any(|one| one.eq_ignore_ascii_case(&text) || one == "*")
            })
        };
        sink.when.iter().all(|(wanted, of)| is_one(wanted, of))
            && !sink.unless.iter().any(|(wanted, of)| is_one(wanted, of))
    }

    /// Calls that register a tool or a route let values in. Returns whether this is one.
    fn lets_in(&mut self, call: &Call, callee: &Value) -> bool {
        let path = callee.path.as_deref().unwrap_or("");
        let (before, last) = split(path);
        let last = match last {
            "" => guard::called(call).unwrap_or(""),
            last => last,
        };
        // `server.tool()(handle)`: a decorator that is called as a function.
        let last = match &call.callee {
            Expression::Call(_) => last.strip_suffix("()").unwrap_or(last),
            _ => last,
        };
        let is_tool = entry::registers_tools(last);
        if !is_tool && !entry::binds_route(before, last) {
            return false;
        }
        let has_function = |one: &Expression| matches!(one, Expression::Function(_));
        let any = call.arguments.iter().any(|one| match &one.value {
            Expression::Fields(fields) => fields.iter().any(|(_, value)| has_function(value)),
            value => has_function(value) || key(value).is_some(),
        });
        if !any {
            return false;
        }
        let clean = match is_tool {
            true => self.bounded(call),
            false => Vec::new(),
        };
        for argument in &call.arguments {
            self.let_in(&argument.value, &clean);
            if let Expression::Fields(fields) = &argument.value {
                for (key, value) in fields {
                    if entry::is_handler_key(key) {
                        self.let_in(value, &clean);
                    }
                }
            }
        }
        true
    }

    fn let_in(&mut self, handler: &Expression, clean: &[Name]) {
        match handler {
            Expression::Function(at) => self.enter_closure(*at, clean),
            Expression::Name(_) | Expression::Member(..) => {
                let value = self.evaluate(handler);
                match value.function {
                    Some(id) if id.0 == self.unit && self.program.function(id).is_inner => {
                        self.enter_closure(id.1 as usize, clean);
                    }
                    Some(id) => self.outcome.entries.push((id, clean.to_vec())),
                    None => {}
                }
            }
            // `this.handle.bind(this)`, `wrap(handler)`
            Expression::Call(call) => {
                if let Expression::Member(inner, last) = &call.callee
                    && &**last == "bind"
                {
                    self.let_in(inner, clean);
                }
                for argument in &call.arguments {
                    self.let_in(&argument.value, clean);
                }
            }
            _ => {}
        }
    }

    /// Returns the arguments that the description of a tool bounds: numbers, choices.
    fn bounded(&mut self, call: &Call) -> Vec<Name> {
        let mut clean = Vec::new();
        for argument in &call.arguments {
            let fields = match &argument.value {
                Expression::Fields(fields) => fields,
                _ => continue,
            };
            let schema = fields.iter().find(|(key, _)| {
                matches!(
                    &**key,
                    "inputSchema" | "parameters" | "schema" | "paramsSchema"
                )
            });
            let inner = match schema {
                Some((_, Expression::Fields(inner))) => inner,
                Some((_, Expression::Call(call))) => {
                    match call.arguments.first().map(|one| &one.value) {
                        Some(Expression::Fields(inner)) => inner,
                        _ => continue,
                    }
                }
                Some(_) => continue,
                None => fields,
            };
            for (name, field) in inner {
                let path = self.evaluate(field).path;
                let bounds = [
                    ".number()",
                    ".enum()",
                    ".boolean()",
                    ".literal()",
                    ".nativeEnum()",
                    ".uuid()",
                    ".int()",
                    ".date()",
                    ".datetime()",
                ];
                if path.is_some_and(|path| bounds.iter().any(|one| path.contains(one))) {
                    clean.push(Arc::clone(name));
                }
            }
        }
        clean
    }
}

/// Returns the path of what a call of `path` gives.
fn result_path(path: &str, values: &[Value]) -> Option<Name> {
    if path.is_empty() {
        return None;
    }
    let (before, _) = split(path);
    // A builder of a process gives itself, and which program it starts matters.
    if before.contains("process.Command.new(") {
        return Some(Arc::from(before));
    }
    if path.ends_with("process.Command.new") {
        let program = values
            .first()
            .and_then(|one| one.text.as_deref())
            .unwrap_or("");
        let is_shell = matches!(
            program,
            "sh" | "bash" | "/bin/sh" | "/bin/bash" | "zsh" | "cmd" | "powershell"
        );
        let kind = if is_shell { "shell" } else { "" };
        return Some(Arc::from(format!("{path}({kind})")));
    }
    Some(Arc::from(format!("{path}()")))
}

/// Returns a dotted path without its last part, and that.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Returns what stands before the last name of a callee whose path is not known.
fn receiver(callee: &Expression) -> String {
    match callee {
        Expression::Member(object, _) => key(object).unwrap_or_else(|| "?".to_owned()),
        _ => String::new(),
    }
}

fn takes(sink: &Sink, call: &Call, at: usize) -> bool {
    if sink.arguments.is_empty() {
        return true;
    }
    let argument = &call.arguments[at];
    sink.arguments.iter().any(|wanted| match &argument.name {
        Some(name) => **name == **wanted,
        None => match wanted.strip_suffix('+') {
            Some(from) => from.parse().is_ok_and(|from: usize| at >= from),
            None => wanted.parse() == Ok(at),
        },
    })
}

/// Returns whether a value stands in an argument as it must to do harm.
fn fits(shape: Shape, taint: &Taint) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Part => taint.is_joined,
        Shape::Whole => !taint.is_joined,
        Shape::First => taint
            .lead
            .as_deref()
            .is_none_or(|lead| lead.trim().is_empty()),
        Shape::Host => taint.lead.as_deref().is_none_or(|lead| !names_host(lead)),
    }
}

/// Returns whether a text in front already says which host an address has.
fn names_host(lead: &str) -> bool {
    match lead.split_once("://") {
        Some((_, rest)) => rest.contains(['/', '?', '#']),
        // An unknown base address stands in front.
        None => lead.contains('\u{fffd}') || lead.starts_with('/'),
    }
}

/// Returns whether something may be in `value` that nobody knows.
fn is_open(value: &Value) -> bool {
    if value.text.is_some() || value.function.is_some() {
        return false;
    }
    if let Some(items) = &value.items {
        return items.iter().any(is_open);
    }
    value.standing == Standing::Unknown
}

fn append(step: Arc<Way>, inner: Option<&Arc<Way>>) -> Arc<Way> {
    /// Steps that are kept.
    const LONGEST: usize = 12;
    let mut steps = Vec::new();
    let mut at = inner;
    while let Some(one) = at {
        steps.push(one);
        at = one.before.as_ref();
        if steps.len() > LONGEST {
            break;
        }
    }
    steps.into_iter().rev().fold(step, |before, one| {
        Arc::new(Way {
            unit: one.unit,
            line: one.line,
            what: Arc::clone(&one.what),
            before: Some(before),
        })
    })
}
