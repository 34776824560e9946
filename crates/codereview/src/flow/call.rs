//! Calls: what they give, where their arguments arrive, whom they let in.

use std::sync::Arc;

use super::{
    arrive::{beginning, is_open},
    entrance::{self, OBJECT},
    entry,
    evaluate::{Frame, Hit, key},
    expect,
    ir::{Call, Expression, Name},
    known, named, spelled, subject,
    value::{ALL, Clean, FunctionId, Origin, Standing, Taint, Value, Way},
};

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
        if let Some(value) = self.given(call) {
            return value;
        }
        let (callee, object) = self.callee(&call.callee);
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
            "" => subject::called(call).unwrap_or(""),
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
        self.put_in(call, last, &object, &values);
        let answers = self.arrive(call, before, last, &callee, &values);
        if let Some(value) = self.of_known(call, (&callee, object.as_ref()), last, &values) {
            return value;
        }
        let classes = self
            .program
            .rules
            .cleaned_by(self.program.language(self.unit), before, last);
        if classes == ALL {
            return Value::clean();
        }
        let names: Vec<Option<Name>> = call.arguments.iter().map(|one| one.name.clone()).collect();
        if callee.function.is_none()
            && let Some(given) = self.any_of(call, &callee, &values, &names)
        {
            return given;
        }
        if let Some(given) = self.each_of(last, object.as_ref(), &values) {
            return given;
        }
        let given = match callee.function {
            Some(id) if id.0 == self.unit && self.program.function(id).is_inner => {
                self.run_closure(id.1 as usize, values.clone(), &[])
            }
            Some(id) => self.apply(id, call, &values, &names),
            None => self.foreign(call, (&callee, object), last, &values, &names),
        };
        let mut given = given.cleaned(classes);
        answers.iter().for_each(|taint| given.add(taint));
        if known::marks(last) {
            given = given.cleaned(self.program.rules.answers);
        }
        let given = given.cleaned(named::quotes(self.program.rules, last));
        let given = given.cleaned(self.spelled(call, last, &values));
        let is_weak = |id| self.program.summary(id).is_weak || self.is_one_open_question(id);
        match named::is_check(last) && !callee.function.is_some_and(is_weak) {
            true => given.cleaned(named::cleans(self.program.rules, last)),
            false => given,
        }
    }

    /// Returns what is called, and what it is a member of. A chain of calls is evaluated once.
    fn callee(&mut self, callee: &Expression) -> (Value, Option<Value>) {
        let Expression::Member(object, name) = callee else {
            return (self.evaluate(callee), None);
        };
        let object = self.evaluate(object);
        let mut member = self.member(&object, name);
        let is_callable = |path: &Name| path.ends_with("Callable()");
        // That it can be called says less than its name.
        member.path = member.path.filter(|path| !is_callable(path));
        (self.judged(callee, member), Some(object))
    }

    /// Returns what a text is clean of of which a pattern has left only listed characters.
    fn spelled(&mut self, call: &Call, last: &str, values: &[Value]) -> Clean {
        let pattern = match (last, &call.callee) {
            ("replace" | "replaceAll" | "sub", _) => {
                values.first().and_then(|one| one.text.clone())
            }
            ("ReplaceAllString" | "ReplaceAllLiteralString", Expression::Member(object, _)) => {
                self.evaluate(object).text
            }
            _ => None,
        };
        pattern.map_or(0, |pattern| spelled::cleans(self.program.rules, &pattern))
    }

    /// What a function gives: a call of `return`.
    fn given(&mut self, call: &Call) -> Option<Value> {
        let (Expression::Name(name), [value]) = (&call.callee, call.arguments.as_slice()) else {
            return None;
        };
        if &**name != "return" {
            return None;
        }
        let value = self.evaluate(&value.value);
        if self.is_answer() {
            let none = Value::default();
            self.arrive(call, "", "return", &none, std::slice::from_ref(&value));
        }
        Some(value)
    }

    /// A call of one of several functions that stand in a table: `handlers[name](input)`.
    fn any_of(
        &mut self,
        call: &Call,
        callee: &Value,
        values: &[Value],
        names: &[Option<Name>],
    ) -> Option<Value> {
        /// Functions of a table that are followed.
        const MOST: usize = 64;
        let functions: Vec<FunctionId> = callee
            .items
            .iter()
            .flat_map(|items| items.iter())
            .filter_map(|one| one.function)
            .take(MOST)
            .collect();
        if functions.is_empty() {
            return None;
        }
        let given = functions.into_iter().map(|id| {
            let is_inner = id.0 == self.unit && self.program.function(id).is_inner;
            match is_inner {
                true => self.run_closure(id.1 as usize, values.to_vec(), &[]),
                false => self.apply(id, call, values, names),
            }
        });
        Some(Value::either(given.collect()))
    }

    /// What `items.map(closure)` gives: what the closure gives for an item.
    fn each_of(&mut self, last: &str, object: Option<&Value>, values: &[Value]) -> Option<Value> {
        if !matches!(last, "map" | "flatMap" | "then") {
            return None;
        }
        let object = object?;
        let id = values.first()?.function?;
        let is_here = id.0 == self.unit && self.program.function(id).is_inner;
        let item = match last {
            "then" => object.clone(),
            _ => self.element(object, &Value::default()),
        };
        is_here.then(|| {
            let given = self.run_closure(id.1 as usize, vec![item], &[]);
            match last {
                "map" => Value::mix(std::slice::from_ref(&given)).holding(None, Some(vec![given])),
                _ => given,
            }
        })
    }

    /// What is put into a list, a builder or a structure is in it from now on.
    fn put_in(&mut self, call: &Call, last: &str, object: &Option<Value>, values: &[Value]) {
        /// Items of a list that are told apart.
        const MOST: usize = 64;
        if let Some(at) = known::fills(last)
            && let Some(Expression::Name(name)) = call.arguments.get(at).map(|one| &one.value)
        {
            let mut taints: Vec<Taint> = values.iter().flat_map(Value::all_taints).collect();
            taints.extend(object.iter().flat_map(|object| object.taints.clone()));
            if let Some(holder) = self.name_mut(name) {
                taints.iter().for_each(|taint| holder.add(taint));
            }
            return;
        }
        let Expression::Member(object, _) = &call.callee else {
            return;
        };
        if !known::puts(last) {
            return;
        }
        let object = builder(object);
        let Some(holder) = key(object).and_then(|name| self.name_mut(&name)) else {
            return;
        };
        if holder.function.is_some() {
            return;
        }
        let items = holder.items.as_ref().map(|items| items.to_vec());
        let taints: Vec<Taint> = values.iter().flat_map(Value::all_taints).collect();
        match items {
            Some(mut items) if items.len() < MOST => {
                for value in values {
                    match (&value.items, last) {
                        (Some(inner), "extend" | "addAll" | "push") => {
                            items.extend(inner.iter().cloned());
                        }
                        _ => items.push(value.clone()),
                    }
                }
                let mut all = Value::mix(&items);
                all.path = holder.path.take();
                *holder = all.holding(None, Some(items));
            }
            _ => {
                if !matches!(last, "push_str" | "append" | "WriteString") {
                    taints.iter().for_each(|taint| holder.add(taint));
                    return;
                }
                let is_fresh = holder.taints.is_empty()
                    && holder.text.is_none()
                    && holder
                        .path
                        .as_deref()
                        .is_some_and(|path| path.ends_with("Builder()"));
                let mut parts = match is_fresh {
                    true => Vec::new(),
                    false => vec![Value {
                        path: None,
                        ..holder.clone()
                    }],
                };
                parts.extend(values.iter().cloned());
                let all = Value::text_of(&parts);
                (holder.taints, holder.text) = (all.taints, all.text);
            }
        }
    }

    /// What a call gives whose function is not in the tree.
    fn foreign(
        &mut self,
        call: &Call,
        (callee, object): (&Value, Option<Value>),
        last: &str,
        values: &[Value],
        names: &[Option<Name>],
    ) -> Value {
        let path = callee.path.as_deref().unwrap_or("");
        self.closures_in(values, callee);
        self.construct(call, callee, values, names);
        let is_known = path.contains('.') && !path.starts_with(['?', '@', '.']);
        // What a class inherits from one that is not known may be anywhere.
        let is_known = is_known && !path.starts_with("self.");
        if !is_known && let Some(id) = self.program.guess(last) {
            return self.apply(id, call, values, names).guessed();
        }
        let result = match client(path, values, names) {
            Some(sort) => Some(Arc::from(format!("{path}({sort})"))),
            None => result_path(path, values),
        };
        let mut value = if FORMATS.contains(&last) {
            let mut parts = Vec::new();
            if let Some(object) = &object {
                match (&object.items, last) {
                    (Some(items), "join") => parts.extend(items.iter().cloned()),
                    // `self.list_command.format(folder=folder)`
                    (_, "format") if object.text.is_none() && is_named_command(call) => {
                        parts.push(Value::constant(&Name::from("sh \u{fffd} ")));
                    }
                    _ => parts.push(object.clone()),
                }
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
            let (before, _) = split(path);
            // What a server or a database answers is not made of what it is asked.
            let is_answer = is_known && before.ends_with("()") && known::asks(last);
            let is_method = !callee.taints.is_empty() && !is_answer || known::passes(before, last);
            // What stands under a key is not the key.
            let is_lookup = !is_method && last == "get" && values.len() == 1;
            // What is replaced is no longer there.
            let replaces = matches!(last, "replace" | "replaceAll") && values.len() > 1;
            for value in values.iter().skip(usize::from(replaces)) {
                if is_lookup {
                    continue;
                }
                let mut value = Value {
                    taints: value.all_taints(),
                    standing: value.standing,
                    ..Value::default()
                };
                if matches!(last, "replace" | "replaceAll") {
                    // It stands somewhere in the text that it is put into.
                    for taint in &mut value.taints {
                        taint.is_joined = true;
                        let lead = taint.lead.as_deref().unwrap_or("");
                        taint.lead = Some(Arc::from(format!("\u{fffd}{lead}")));
                    }
                }
                parts.push(if is_method { value } else { value.guessed() });
            }
            let mut value = Value::mix(&parts);
            value.standing = Standing::Unknown;
            if last == "append" && path == "append" {
                value.items = appended(values);
            }
            value
        };
        if let Some(checked) = by_schema(call, object, last, values) {
            return checked;
        }
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
        let takes_self = self.takes_self(id);
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
        // The last parameter may take all arguments from its place on.
        let rest = function.parameters.last().filter(|one| {
            one.kind
                .as_deref()
                .is_some_and(|kind| kind.starts_with("..."))
        });
        let rest = rest.map(|_| {
            let at = function.parameters.len() - 1;
            let from = at.saturating_sub(usize::from(takes_self)).min(values.len());
            let items = values[from..].to_vec();
            (at, Value::mix(&items).holding(None, Some(items)))
        });
        let argument = |at: u16| match &rest {
            Some((place, all)) if *place == usize::from(at) => Some(all),
            _ => argument(at),
        };
        let what: Name = Arc::from(format!("handed to `{}`", function.name));
        for hit in &summary.hits {
            let Origin::Parameter(at) = hit.taint.origin else {
                continue;
            };
            let Some(value) = argument(at) else { continue };
            let bit = self.program.rules.bits_at(hit.rule, hit.shape);
            let value = match self.program.rules.rules[hit.rule].of_beginnings {
                true => beginning(value),
                false => Some(value),
            };
            let taints = value.map(Value::all_taints).unwrap_or_default();
            if taints.is_empty() && value.is_some_and(is_open) {
                self.note_unknown(hit);
            }
            // Which of its members arrives is not known.
            let is_guessed = value.is_some_and(is_partly);
            for mut taint in taints {
                taint.is_guessed |= is_guessed;
                let taint = self.through(&taint, &hit.taint, call.from, &what);
                if taint.clean & bit != 0 {
                    continue;
                }
                let arrived = Hit {
                    taint,
                    ..hit.clone()
                };
                self.record(self.placed(hit, arrived, call));
            }
        }
        // Parameters of the function, also in parts of what it gives, are what was handed over.
        let mut given = summary.gives.changed(&mut |inner| match inner.origin {
            Origin::Outside => vec![inner.clone()],
            Origin::Parameter(at) => {
                let taints = argument(at).map(Value::all_taints).unwrap_or_default();
                let taints = taints.iter();
                taints
                    .map(|taint| self.through(taint, inner, call.from, &what))
                    .collect()
            }
        });
        if function.name.contains("onstructor") || &*function.name == "__init__" {
            given.path = None;
        }
        given
    }

    /// Returns whether the first parameter of `id` is what it is a method of.
    pub(super) fn takes_self(&self, id: FunctionId) -> bool {
        let function = self.program.function(id);
        let first = function.parameters.first();
        let is_self = first.is_some_and(|one| {
            matches!(&one.target, super::ir::Target::Name(name) if matches!(&**name, "self" | "cls"))
        });
        let is_go = self.program.language(id.0) == crate::source::Language::Go;
        is_self || function.class.is_some() && is_go
    }

    /// Returns whether `value` is an answer of a server that clients choose.
    pub(super) fn is_from_answers(&self, value: &Value) -> bool {
        let mut taints = value.taints.iter();
        taints.any(|taint| self.is_of_answer(taint))
    }

    fn is_of_answer(&self, taint: &Taint) -> bool {
        let answers = self.program.rules.answers;
        answers != 0 && taint.clean == ALL & !answers
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
            clean: match self.is_of_answer(inner) && !self.is_of_answer(taint) {
                // What an address answers is foreign if anybody may choose the address.
                true if self.chooses_server(taint) => inner.clean,
                true => ALL,
                false => taint.clean | inner.clean,
            },
            way: Some(append(step, inner.way.as_ref())),
        }
    }
}

/// What `schema.parse(input)` gives: members that the schema bounds are clean.
fn by_schema(call: &Call, schema: Option<Value>, last: &str, values: &[Value]) -> Option<Value> {
    let Expression::Member(object, _) = &call.callee else {
        return None;
    };
    if let Some(schema) = entrance::composed(last, values) {
        return Some(schema);
    }
    let schema = schema?;
    if last == "object"
        && let [schema] = values
    {
        // `z.object({…})` is known by its members.
        schema.fields.as_ref()?;
        return Some(Value {
            path: Some(Arc::from(OBJECT)),
            ..schema.clone()
        });
    }
    let is_same = matches!(
        last,
        "strict"
            | "passthrough"
            | "strip"
            | "refine"
            | "superRefine"
            | "describe"
            | "optional"
            | "nullable"
            | "nullish"
            | "default"
            | "min"
            | "max"
            | "nonempty"
            | "length"
    );
    let is_schema = |path: &Name| path.starts_with(OBJECT);
    if is_same && schema.path.as_ref().is_some_and(is_schema) {
        return Some(schema);
    }
    let is_safe = matches!(last, "safeParse" | "safeParseAsync");
    if !is_safe && !matches!(last, "parse" | "parseAsync") {
        return None;
    }
    let [input] = values else { return None };
    let looks = schema.path.as_deref() == Some(OBJECT)
        || key(object).is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            name.contains("schema") || name.ends_with("args") || name.ends_with("input")
        });
    if !looks {
        return None;
    }
    let mut value = Value {
        taints: input.all_taints(),
        ..Value::default()
    };
    if schema.fields.is_some() {
        let clean = entrance::bounded_in(&schema);
        let clean: Vec<&str> = clean.iter().map(|name| &**name).collect();
        value = entrance::bound(value, &clean);
    }
    Some(match is_safe {
        true => Value {
            taints: value.taints.clone(),
            ..Value::default()
        }
        .holding(Some(vec![(Arc::from("data"), value)]), None),
        false => value,
    })
}

/// Returns whether the name of what a method is called on says that it is a command line.
fn is_named_command(call: &Call) -> bool {
    let Expression::Member(object, _) = &call.callee else {
        return false;
    };
    let name = key(object).unwrap_or_default().to_ascii_lowercase();
    name.ends_with("cmd") || name.ends_with("command")
}

/// Returns what is special about a client that is made: that it asks one server, or that it
/// follows redirects, which this library does not do by itself.
fn client(path: &str, values: &[Value], names: &[Option<Name>]) -> Option<&'static str> {
    if !matches!(path, "httpx.AsyncClient" | "httpx.Client") {
        return None;
    }
    let given = |wanted: &str| {
        names
            .iter()
            .position(|name| name.as_deref() == Some(wanted))
    };
    let follows = given("follow_redirects").and_then(|at| values[at].text.as_deref());
    match (given("base_url"), follows) {
        (Some(_), _) => Some("base"),
        (None, Some("True")) => Some("redirects"),
        _ => None,
    }
}

/// Returns the path of what a call of `path` gives.
fn result_path(path: &str, values: &[Value]) -> Option<Name> {
    if path.is_empty() {
        return None;
    }
    let (before, last) = split(path);
    if known::keeps_sort(last) && (before == "pathlib.Path()" || last == "joinpath") {
        return Some(Arc::from("pathlib.Path()"));
    }
    // A text that has to fit a pattern as a whole is bounded.
    if last == "regex"
        && values
            .first()
            .and_then(|one| one.text.as_deref())
            .is_some_and(expect::is_anchored)
    {
        return Some(Arc::from(format!("{before}.anchored()")));
    }
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
        let kind = match program {
            _ if is_shell => "shell",
            // Programs of which an option may run another.
            "git" | "curl" | "wget" | "ssh" | "scp" | "tar" | "find" | "rsync" | "zip"
            | "kubectl" | "helm" | "docker" | "ffmpeg" | "npx" | "hg" | "svn" => "options",
            _ => "",
        };
        return Some(Arc::from(format!("{path}({kind})")));
    }
    Some(Arc::from(format!("{path}()")))
}

/// Returns a dotted path without its last part, and that.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Returns what a chain of calls begins with: `text` in `text.append(a).append(b)`.
fn builder(object: &Expression) -> &Expression {
    match object {
        Expression::Call(call) => match &call.callee {
            Expression::Member(object, name) if &**name == "append" => builder(object),
            _ => object,
        },
        object => object,
    }
}

/// Returns the items of a list of Go after `append`.
fn appended(values: &[Value]) -> Option<Arc<Vec<Value>>> {
    let (list, more) = values.split_first()?;
    let items = list.items.as_ref()?;
    Some(Arc::new(items.iter().chain(more).cloned().collect()))
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

/// Returns whether a value has members of which some come from outside and some do not.
fn is_partly(value: &Value) -> bool {
    let fields = value.fields.as_deref();
    let is_free = |value: &Value| value.all_taints().is_empty() && value.function.is_none();
    fields.is_some_and(|fields| {
        fields
            .iter()
            .any(|(_, one)| is_free(one) && one.text.is_none())
            && fields.iter().any(|(_, one)| !is_free(one))
    })
}
