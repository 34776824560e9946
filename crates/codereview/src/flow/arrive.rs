//! Where values must not arrive, and whether they stand there as they must to do harm.

use std::sync::Arc;

use super::{
    evaluate::{Frame, Hit, key},
    ir::{Call, Expression, Name},
    known, spelled,
    value::{ALL, Origin, Standing, Taint, Value, Way},
};
use crate::rules::{Shape, Sink};

/// The class of requests whose server is chosen outside.
const REQUESTS: &str = "ssrf";
/// The class of statements that values from outside are part of.
const STATEMENTS: &str = "sql-injection";

impl Frame<'_> {
    /// Looks whether this call is one that values must not arrive at. Returns what it gives of
    /// servers that clients choose.
    pub(super) fn arrive(
        &mut self,
        call: &Call,
        before: &str,
        last: &str,
        callee: &Value,
        values: &[Value],
    ) -> Vec<Taint> {
        let program = self.program;
        let mut answers = Vec::new();
        let language = program.language(self.unit);
        // A parameter that is called as something well known is.
        let is_other = callee.path.is_none()
            && matches!(&call.callee, Expression::Name(name) if self.names.contains_key(name));
        for sink in program.rules.sinks_of(language, last) {
            if is_other {
                break;
            }
            let own = match callee.path {
                Some(_) if !before.starts_with('?') => before.to_owned(),
                _ => receiver(&call.callee),
            };
            if !sink.path.fits(&own) || !self.holds(sink, call, values) {
                continue;
            }
            // What a function of the tree does with a command line is seen there, and processes
            // have rules of their own.
            if sink.shape == Shape::Command
                && (callee.function.is_some() || matches!(before, "subprocess" | "asyncio"))
            {
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
            let mut taken: Vec<&Value> = taken.map(|(_, value)| value).chain(own).collect();
            if sink.arguments.iter().any(|one| one.ends_with(".0")) {
                // The program that begins a list of arguments.
                taken = taken.into_iter().filter_map(beginning).collect();
            }
            if let Some(field) = sink.arguments.iter().find_map(|one| field_of(one)) {
                taken = taken
                    .into_iter()
                    .flat_map(|value| members(value, &[field]))
                    .collect();
            }
            if rule.class == "argument-injection" {
                taken = exposed(taken);
            }
            let names: &[&str] = match sink.shape {
                Shape::Host => &["url", "uri", "baseURL", "host", "hostname", "href"],
                Shape::Part | Shape::Statement => &["sql", "text", "query", "statement", "command"],
                Shape::Command => &["command", "cmd", "script", "code"],
                _ => &[],
            };
            if !names.is_empty() {
                let parts = taken.into_iter().flat_map(|value| members(value, names));
                taken = parts.collect();
            }
            for value in taken {
                for taint in value.all_taints() {
                    has_taint = true;
                    let is_meant = rule.checked == 0 || taint.clean & rule.checked != 0;
                    if is_meant && taint.clean & program.rules.bits_at(sink.rule, sink.shape) == 0 {
                        let hit = self.hit(sink, call, taint);
                        if rule.class == REQUESTS && program.rules.answers != 0 && hit.fits() {
                            answers.push(self.answer(call, &hit.taint));
                        }
                        self.record(hit);
                    }
                }
                is_unknown |= is_open(value);
            }
            if is_unknown && !has_taint && rule.unknown.is_some() {
                let taint = self.outside(call.from, "a value that is not known");
                let hit = self.hit(sink, call, taint);
                self.outcome.unknown.push(hit);
            }
        }
        answers
    }

    /// Returns the origin of what a server answers whose address `taint` chooses.
    fn answer(&self, call: &Call, taint: &Taint) -> Taint {
        let way = Way {
            unit: self.unit,
            line: call.from,
            what: Name::from("a server that is chosen outside answers"),
            before: taint.way.clone(),
        };
        Taint {
            is_joined: false,
            lead: None,
            clean: ALL & !self.program.rules.answers,
            way: Some(Arc::new(way)),
            ..taint.clone()
        }
    }

    /// Returns whether `taint` chooses the server that a request goes to.
    pub(super) fn chooses_server(&self, taint: &Taint) -> bool {
        let is_free = taint.clean & self.program.rules.class_bit(REQUESTS) == 0;
        is_free && taint.lead.as_deref().is_none_or(|lead| !names_host(lead))
    }

    fn hit(&self, sink: &Sink, call: &Call, taint: Taint) -> Hit {
        Hit {
            rule: sink.rule,
            shape: sink.shape,
            unit: self.unit,
            lines: (call.from, call.to),
            bytes: call.bytes,
            taint,
        }
    }

    /// Returns `arrived` where it has to be mended: a statement that is put together at
    /// `call` and only run where `inner` says is wrong at the call, and so is each other one.
    pub(super) fn placed(&self, inner: &Hit, arrived: Hit, call: &Call) -> Hit {
        let class = &self.program.rules.rules[inner.rule].class;
        if class != STATEMENTS || inner.fits() || !arrived.fits() {
            return arrived;
        }
        let way = Way {
            unit: inner.unit,
            line: inner.lines.0,
            what: Name::from("is run there"),
            before: arrived.taint.way.clone(),
        };
        Hit {
            unit: self.unit,
            lines: (call.from, call.to),
            bytes: call.bytes,
            taint: Taint {
                way: Some(Arc::new(way)),
                ..arrived.taint
            },
            ..arrived
        }
    }

    pub(super) fn record(&mut self, hit: Hit) {
        let answer = ALL & !self.program.rules.answers;
        let is_of_answer = |one: &Hit| one.taint.clean == answer;
        let hits = match hit.taint.origin {
            Origin::Outside if !hit.fits() => return,
            Origin::Parameter(_) if !hit.may_fit() => return,
            Origin::Outside => &mut self.outcome.hits,
            Origin::Parameter(_) => &mut self.outcome.summary.hits,
        };
        let same = |one: &&mut Hit| {
            one.rule == hit.rule
                && one.bytes == hit.bytes
                && one.unit == hit.unit
                && one.taint.origin == hit.taint.origin
                && one.fits() == hit.fits()
                && is_of_answer(one) == is_of_answer(&hit)
        };
        match hits.iter_mut().find(same) {
            Some(one) if one.taint.is_guessed && !hit.taint.is_guessed => *one = hit,
            Some(_) => {}
            None => hits.push(hit),
        }
    }

    /// A value of which nothing is known was handed to a function where it arrives.
    pub(super) fn note_unknown(&mut self, hit: &Hit) {
        /// Places that are told of one function.
        const MOST: usize = 64;
        let rule = &self.program.rules.rules[hit.rule];
        let unknown = &mut self.outcome.unknown;
        let is_there =
            |one: &Hit| (one.rule, one.unit, one.bytes) == (hit.rule, hit.unit, hit.bytes);
        if rule.unknown.is_none() || unknown.len() >= MOST || unknown.iter().any(is_there) {
            return;
        }
        let taint = self.outside(hit.lines.0, "a value that is not known");
        let hit = Hit {
            taint,
            ..hit.clone()
        };
        if hit.fits() {
            self.outcome.unknown.push(hit);
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
        // `?` is what nobody knows, and not what comparing gives.
        let is_open = |wanted: &str| {
            values.iter().any(|value| {
                value
                    .field(wanted)
                    .is_some_and(|one| one.text.is_none() && one.standing == Standing::Unknown)
            })
        };
        let is_one = |wanted: &str, of: &[String]| match text(wanted) {
            Some(text) => of
                .iter()
                .any(|one| one.eq_ignore_ascii_case(&text) || one == "*"),
            None => of.iter().any(|one| one == "?") && is_open(wanted),
        };
        sink.when.iter().all(|(wanted, of)| is_one(wanted, of))
            && !sink.unless.iter().any(|(wanted, of)| is_one(wanted, of))
    }
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
            None => {
                wanted
                    .split_once('.')
                    .map_or(&**wanted, |(at, _)| at)
                    .parse()
                    == Ok(at)
            }
        },
    })
}

/// Returns what of a description of a request matters: members of these names.
fn members<'v>(value: &'v Value, names: &[&str]) -> Vec<&'v Value> {
    match &value.fields {
        Some(_) => names.iter().filter_map(|name| value.field(name)).collect(),
        None => vec![value],
    }
}

/// Returns the member that a sink names in an argument: `command` of `0.command`.
fn field_of(argument: &str) -> Option<&str> {
    let (_, field) = argument.split_once('.')?;
    field.parse::<usize>().is_err().then_some(field)
}

/// Returns what a list begins with; anything else is its own beginning.
pub(super) fn beginning(value: &Value) -> Option<&Value> {
    match &value.items {
        Some(items) => items.first(),
        None => Some(value),
    }
}

/// Returns the values of an argument list that a program may take for options: not those
/// that follow an option, whose value they are, and nothing after `--`.
fn exposed(values: Vec<&Value>) -> Vec<&Value> {
    let flat: Vec<&Value> = values
        .into_iter()
        .flat_map(|value| match &value.items {
            Some(items) => items.iter().collect(),
            None => vec![value],
        })
        .collect();
    let mut follows_option = false;
    let mut open = Vec::new();
    for value in flat {
        let text = value.text.as_deref().unwrap_or("");
        if text == "--" {
            break;
        }
        if !follows_option {
            open.push(value);
        }
        follows_option = text.starts_with('-') && !text.contains('=');
    }
    open
}

impl Hit {
    /// Returns whether the value stands in the argument as it must to do harm.
    pub(super) fn fits(&self) -> bool {
        let lead = self.taint.lead.as_deref();
        match self.shape {
            Shape::Any => true,
            Shape::Part => self.taint.is_joined,
            Shape::Whole => !self.taint.is_joined,
            Shape::First | Shape::Opened => lead.is_none_or(|lead| lead.trim().is_empty()),
            Shape::Host => lead.is_none_or(|lead| !names_host(lead)),
            Shape::Unmarked => lead.is_none_or(|lead| !known::announces_data(lead)),
            Shape::Statement => self.taint.is_joined && lead.is_some_and(is_statement),
            Shape::Command => self.taint.is_joined && lead.is_some_and(spelled::is_command_line),
            Shape::Markup => self.taint.is_joined && lead.is_some_and(is_markup),
            Shape::Behind => self.taint.is_joined && lead.is_some_and(is_in_path),
        }
    }

    /// Returns whether it may fit once it is known what is handed over.
    fn may_fit(&self) -> bool {
        let is_open = matches!(
            self.shape,
            Shape::Part | Shape::Statement | Shape::Command | Shape::Markup | Shape::Behind
        );
        is_open || self.fits()
    }
}

/// Returns whether a text in front begins a statement of a database.
fn is_statement(lead: &str) -> bool {
    const WORDS: [&str; 22] = [
        "select", "insert", "update", "delete", "create", "drop", "alter", "pragma", "describe",
        "show", "with", "from", "where", "match", "call", "truncate", "replace", "grant",
        "explain", "use", "and", "order",
    ];
    let mut words = lead.split(|c: char| !c.is_ascii_alphabetic());
    words.any(|word| WORDS.iter().any(|one| word.eq_ignore_ascii_case(one)))
}

/// Returns whether a text in front begins a page: it holds a tag.
fn is_markup(lead: &str) -> bool {
    let mut after = lead.split('<').skip(1);
    after.any(|one| one.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '/'))
}

/// Returns whether what follows a text in front is in the path of an address.
fn is_in_path(lead: &str) -> bool {
    let rest = match lead.split_once("://") {
        Some((_, rest)) => rest,
        // An unknown base address stands in front.
        None if lead.starts_with(['\u{fffd}', '/']) => lead,
        None => return false,
    };
    rest.contains('/') && !rest.contains(['?', '#', ' '])
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
pub(super) fn is_open(value: &Value) -> bool {
    if value.text.is_some() || value.function.is_some() {
        return false;
    }
    if let Some(items) = &value.items {
        return items.iter().any(is_open);
    }
    value.standing == Standing::Unknown
}
