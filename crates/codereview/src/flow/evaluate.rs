//! Follows values through the statements of one function.

use std::{rc::Rc, sync::Arc};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    closure::Run,
    ensure::{Exit, Guard},
    entry,
    guard::Checks,
    ir::{Expression, Name, Statement, Target, Test},
    named::is_check,
    subject,
    value::{ALL, Clean, FunctionId, Origin, Taint, Value, Way},
    view::View,
    weak,
};
use crate::{rules::Shape, source::Language};

/// Expressions that are looked at for one function, closures included.
const MOST_STEPS: u32 = 200_000;
/// Members taken out of a value that are known as parts of it.
const MOST_MEMBERS: usize = 8;
/// Closures inside closures that are followed.
pub(super) const MOST_CLOSURES: u32 = 5;
/// Loops inside loops whose body is looked at twice.
const MOST_LOOPS: u32 = 2;

/// A value that arrives where it must not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hit {
    pub(super) rule: usize,
    /// Where the call is.
    pub(super) unit: u32,
    pub(super) lines: (u32, u32),
    pub(super) bytes: (usize, usize),
    /// How it must stand there to do harm; what is handed over says whether it does.
    pub(super) shape: Shape,
    pub(super) taint: Taint,
}

impl Hit {
    fn is_like(&self, other: &Self) -> bool {
        (self.rule, self.unit, self.lines, self.bytes, self.shape)
            == (
                other.rule,
                other.unit,
                other.lines,
                other.bytes,
                other.shape,
            )
            && self.taint.is_like(&other.taint)
    }
}

/// What a function does with its arguments.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Summary {
    /// Where arguments of it arrive.
    pub(super) hits: Vec<Hit>,
    pub(super) gives: Value,
    /// What it ensures of them.
    pub(super) guards: Vec<Guard>,
    /// Whether its name promises a check that it does not make.
    pub(super) is_weak: bool,
}

impl Summary {
    /// Returns whether `other` is the same but for ways.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.hits.len() == other.hits.len()
            && self
                .hits
                .iter()
                .zip(&other.hits)
                .all(|(one, other)| one.is_like(other))
            && self.gives.is_like(&other.gives)
            && self.guards == other.guards
            && self.is_weak == other.is_weak
    }
}

/// What looking at one function has shown.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) summary: Summary,
    /// Values from outside that arrive, and values of which nothing is known.
    pub(super) hits: Vec<Hit>,
    pub(super) unknown: Vec<Hit>,
    /// Whether it was too long to be followed to its end.
    pub(super) is_cut: bool,
    pub(super) calls: FxHashSet<FunctionId>,
    /// Functions that are registered as tools or routes, with what their parameters are
    /// clean of.
    pub(super) entries: Vec<(FunctionId, Vec<Name>)>,
    pub(super) globals: FxHashMap<Name, Value>,
    /// Members of `self` and `this`, by class and name.
    pub(super) fields: Vec<((Name, Name), Value)>,
}

/// One function while it is looked at.
pub(super) struct Frame<'p> {
    pub(super) program: &'p View<'p>,
    pub(super) unit: u32,
    pub(super) class: Option<Name>,
    /// Shared between the ways through the function until one of them differs.
    pub(super) names: Rc<FxHashMap<Name, Value>>,
    /// What was checked: a name or a member of one, and for what it is clean since.
    pub(super) checked: Vec<(String, Clean)>,
    /// What was checked where something equals a text: `if (action === "load") check(path)`.
    pub(super) held_if: Vec<(String, (String, Clean))>,
    pub(super) gives: Option<Value>,
    pub(super) outcome: Outcome,
    /// Tests that names stand for: `const inside = file.startsWith(folder)`.
    pub(super) tests: FxHashMap<Name, Checks>,
    /// Names that are judged instead of others, those, and the classes of it.
    pub(super) views: Vec<(Name, String, Clean)>,
    /// Closures that stand in the function, and whether they were followed.
    pub(super) inner: FxHashMap<usize, bool>,
    /// What closures gave, by their places.
    pub(super) runs: FxHashMap<usize, Vec<Run>>,
    /// Names that closures use and do not have themselves.
    pub(super) free: FxHashMap<usize, Rc<[Name]>>,
    /// Closures inside of which a tool gives its answer.
    pub(super) answers_at: Option<u32>,
    /// Names of its parameters, and its ends.
    pub(super) parameters: Vec<Option<Name>>,
    pub(super) exits: Vec<Exit>,
    /// Attributes that were taken by a name, by what stands for them, and where.
    pub(super) taken: FxHashMap<Name, (usize, usize)>,
    /// Blocks inside of expressions, closures included.
    pub(super) inside: u32,
    has_left: bool,
    /// What names stood for where a loop or a case was left.
    broken: Vec<Rc<FxHashMap<Name, Value>>>,
    pub(super) steps: u32,
    pub(super) closures: u32,
    loops: u32,
}

/// Looks at one function.
pub(super) fn function(program: &View<'_>, id: FunctionId) -> Outcome {
    let function = program.function(id);
    let mut frame = Frame {
        program,
        unit: id.0,
        class: function.class.clone(),
        names: Rc::default(),
        checked: Vec::new(),
        held_if: Vec::new(),
        gives: None,
        outcome: Outcome::default(),
        tests: FxHashMap::default(),
        views: Vec::new(),
        inner: FxHashMap::default(),
        runs: FxHashMap::default(),
        free: FxHashMap::default(),
        answers_at: entry::is_tool(&function.marks).then_some(0),
        parameters: Vec::new(),
        exits: Vec::new(),
        taken: FxHashMap::default(),
        inside: 0,
        has_left: false,
        broken: Vec::new(),
        steps: 0,
        closures: 0,
        loops: 0,
    };
    // What a method of Go is called on was made by the program itself.
    let is_method_of_go = function.class.is_some() && program.language(id.0) == Language::Go;
    for (at, parameter) in function.parameters.iter().enumerate() {
        let mut value = frame.typed(parameter.kind.as_ref());
        let name = match &parameter.target {
            Target::Name(name) => Some(name),
            _ => None,
        };
        let is_self = at == 0 && name.is_some_and(|name| matches!(&**name, "self" | "cls"));
        if is_self {
            value = Value::at(Arc::from("self"));
        } else if !(at == 0 && is_method_of_go || frame.is_bounded_kind(parameter.kind.as_ref())) {
            value.taints.push(Taint {
                origin: Origin::Parameter(at as u16),
                is_guessed: false,
                is_joined: false,
                lead: None,
                clean: 0,
                way: None,
            });
        }
        if entry::is_request_kind(parameter.kind.as_deref()) {
            let what = format!("a request enters as `{}`", name.map_or("", |name| name));
            value.taints = vec![frame.outside(function.line, &what)];
        }
        frame.assign(&parameter.target, value);
        frame.clean_members(parameter);
        frame.parameters.push(name.cloned());
    }
    frame.note_marks(&function.marks);
    frame.block(&function.body);
    if !frame.has_left {
        frame.note_exit(None);
    }
    frame.outcome.summary.guards = frame.guards();
    frame.outcome.summary.is_weak = is_check(&function.name) && weak::is_weak(function);
    frame.follow_rest();
    frame.outcome.summary.gives = frame.gives.take().unwrap_or_else(Value::clean);
    // That it calls itself says nothing of who else does.
    frame.outcome.calls.remove(&id);
    if id.1 == 0 {
        frame.outcome.globals = Rc::unwrap_or_clone(std::mem::take(&mut frame.names));
    }
    frame.outcome
}

impl Frame<'_> {
    /// Returns an origin outside, entering at `line`.
    pub(super) fn outside(&self, line: u32, what: &str) -> Taint {
        Taint {
            origin: Origin::Outside,
            is_guessed: false,
            is_joined: false,
            lead: None,
            clean: self.program.rules.answers,
            way: Some(Arc::new(Way {
                unit: self.unit,
                line,
                what: Arc::from(what),
                before: None,
            })),
        }
    }

    pub(super) fn block(&mut self, statements: &[Statement]) {
        for statement in statements {
            if self.has_left {
                return;
            }
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        if self.steps > MOST_STEPS {
            self.outcome.is_cut = true;
            return;
        }
        match statement {
            Statement::Do(value) => {
                self.evaluate(value);
                self.note_checks(value);
            }
            Statement::Let {
                target,
                kind,
                value,
            } => {
                let mut found = self.evaluate(value);
                let first = first_name(target);
                let said = first.and_then(|_| self.said(value));
                if self.is_bounded_kind(kind.as_ref()) {
                    found = found.cleaned(ALL);
                } else if found.function.is_none() && entry::names_kind(kind.as_deref()) {
                    found.path = self.typed(kind.as_ref()).path;
                }
                self.assign(target, found);
                match target {
                    // `const { address } = await dns.lookup(url.hostname)`
                    Target::Fields(fields) => {
                        for (_, target) in fields.iter().take(MOST_MEMBERS) {
                            if let Target::Name(name) = target {
                                self.stand_for(name, value, None);
                            }
                        }
                    }
                    // `rel, err := filepath.Rel(folder, file)`
                    Target::Items(items) if self.program.language(self.unit) == Language::Go => {
                        let said = self.said(value);
                        match (items.as_slice(), said) {
                            ([.., Target::Name(name)], Some(said)) => {
                                self.stand_for(name, value, Some(said));
                            }
                            ([Target::Name(name), ..], None) => self.stand_for(name, value, None),
                            _ => {}
                        }
                    }
                    _ => {
                        if let Some(name) = first {
                            self.stand_for(name, value, said);
                        }
                    }
                }
            }
            Statement::Return(value) => {
                self.note_exit(Some(value));
                let value = self.evaluate(value);
                match &mut self.gives {
                    Some(gives) => gives.join(value),
                    None => self.gives = Some(value),
                }
                self.has_left = true;
            }
            Statement::Leave => self.has_left = true,
            Statement::Break => {
                self.broken.push(Rc::clone(&self.names));
                self.has_left = true;
            }
            Statement::Block(body) => self.block(body),
            Statement::If {
                test,
                then,
                otherwise,
            } => self.branch(test, then, otherwise),
            Statement::Repeat(body) => self.repeat(body),
            Statement::OneOf(bodies) => self.one_of(bodies),
            Statement::Attempt {
                body,
                handlers,
                last,
            } => self.attempt(body, handlers, last),
        }
    }

    /// What `body` returns does not keep its handlers from running: it may break off before.
    fn attempt(&mut self, body: &[Statement], handlers: &[Vec<Statement>], last: &[Statement]) {
        let before = self.checked.clone();
        self.block(body);
        let mut has_left = std::mem::take(&mut self.has_left);
        if has_left {
            self.checked = before;
        }
        for handler in handlers {
            self.pay_for_names();
            let (names, checked) = (self.names.clone(), self.checked.clone());
            self.block(handler);
            self.checked = checked;
            match (has_left, std::mem::take(&mut self.has_left)) {
                (_, true) => self.names = names,
                (true, false) => has_left = false,
                (false, false) => self.merge(&names),
            }
        }
        self.block(last);
        self.has_left |= has_left;
    }

    fn branch(&mut self, test: &Expression, then: &[Statement], otherwise: &[Statement]) {
        if subject::is_program(test) {
            // What a file shows of itself when it is run is no list of those who use it.
            let calls = self.outcome.calls.clone();
            self.block(then);
            self.outcome.calls = calls;
            self.has_left = false;
            return;
        }
        self.evaluate(test);
        let checks = self.checks(test);
        let (before, checked) = (Rc::clone(&self.names), self.checked.clone());
        self.checked.extend(checks.if_true.clone());
        let case = subject::case(test);
        if let Some(case) = &case {
            let held = self.held_if.iter().filter(|(one, _)| one == case);
            self.checked.extend(held.map(|(_, check)| check.clone()));
        }
        let known = self.checked.len();
        self.block(then);
        let then_left = std::mem::take(&mut self.has_left);
        if let Some(case) = case.filter(|_| !then_left) {
            let held = self.checked.iter().skip(known).cloned();
            self.held_if.extend(held.map(|check| (case.clone(), check)));
        }
        // `if path: check(path)`: what is not there does no harm.
        let mut held = match otherwise.is_empty() {
            true => std::mem::take(&mut self.checked),
            false => Vec::new(),
        };
        let present = subject::present(test);
        held.retain(|one| present.contains(&one.0) && !checked.contains(one));
        let after_then = std::mem::replace(&mut self.names, before);
        self.checked.clone_from(&checked);
        self.checked.extend(checks.if_false.clone());
        self.block(otherwise);
        let otherwise_left = std::mem::take(&mut self.has_left);
        self.checked = checked;
        match (then_left, otherwise_left) {
            (true, true) => self.has_left = true,
            (true, false) => {
                self.checked.extend(checks.if_false);
                self.refuse_sort(test);
            }
            (false, true) => {
                self.names = after_then;
                self.checked.extend(checks.if_true);
            }
            (false, false) => {
                self.merge(&after_then);
                self.checked.extend(held);
            }
        }
    }

    fn merge(&mut self, other: &Rc<FxHashMap<Name, Value>>) {
        if Rc::ptr_eq(&self.names, other) {
            return;
        }
        self.pay_for_names();
        for (name, value) in &**other {
            match self.names.get(name) {
                Some(mine) if mine == value => {}
                Some(_) => {
                    if let Some(mine) = self.name_mut(name) {
                        mine.join(value.clone());
                    }
                }
                None => self.set_name(Name::clone(name), value.clone()),
            }
        }
    }

    /// What `name` stands for, to be changed on this way through the function alone.
    pub(super) fn name_mut(&mut self, name: &str) -> Option<&mut Value> {
        if !self.names.contains_key(name) {
            return None;
        }
        self.own_names().get_mut(name)
    }

    pub(super) fn set_name(&mut self, name: Name, value: Value) {
        self.own_names().insert(name, value);
    }

    fn own_names(&mut self) -> &mut FxHashMap<Name, Value> {
        if Rc::strong_count(&self.names) > 1 {
            self.pay_for_names();
        }
        Rc::make_mut(&mut self.names)
    }

    fn repeat(&mut self, body: &[Statement]) {
        let times = if self.loops < MOST_LOOPS { 2 } else { 1 };
        self.loops += 1;
        let mut held = Vec::new();
        for _ in 0..times {
            let before = Rc::clone(&self.names);
            let checked = self.checked.clone();
            let outer = std::mem::take(&mut self.broken);
            self.block(body);
            let has_left = std::mem::take(&mut self.has_left);
            held = std::mem::replace(&mut self.checked, checked);
            if has_left || !self.broken.is_empty() {
                held.clear();
            }
            self.merge(&before);
            self.join_broken(outer);
        }
        // What was checked of each item is checked of all.
        let checked = &mut self.checked;
        held.retain(|one| !checked.contains(one));
        checked.extend(held);
        self.loops -= 1;
    }

    /// Copying or comparing all names costs what they are, or a function of many branches
    /// and many names would take the square of its length.
    fn pay_for_names(&mut self) {
        let cost = 1 + self.names.len() / 8;
        self.steps = self.steps.saturating_add(cost as u32);
    }

    /// Joins where a loop or a case was left; `outer` are those of what is around it.
    fn join_broken(&mut self, outer: Vec<Rc<FxHashMap<Name, Value>>>) {
        for names in std::mem::replace(&mut self.broken, outer) {
            self.merge(&names);
        }
    }

    fn one_of(&mut self, bodies: &[Vec<Statement>]) {
        let (before, checked) = (Rc::clone(&self.names), self.checked.clone());
        let mut merged: Option<Rc<FxHashMap<Name, Value>>> = None;
        let outer = std::mem::take(&mut self.broken);
        for body in bodies {
            self.names = Rc::clone(&before);
            self.checked.clone_from(&checked);
            self.block(body);
            let has_left = std::mem::take(&mut self.has_left);
            if has_left {
                continue;
            }
            let after = std::mem::take(&mut self.names);
            match merged.take() {
                Some(so_far) => {
                    self.names = so_far;
                    self.merge(&after);
                    merged = Some(std::mem::take(&mut self.names));
                }
                None => merged = Some(after),
            }
        }
        self.checked = checked;
        self.names = merged.unwrap_or(before);
        self.join_broken(outer);
    }

    pub(super) fn assign(&mut self, target: &Target, value: Value) {
        match target {
            Target::Nothing => {}
            Target::Name(name) => {
                let prefix = format!("{name}.");
                self.checked
                    .retain(|(key, _)| key != &**name && !key.starts_with(&prefix));
                self.tests.remove(name);
                self.views
                    .retain(|(one, of, _)| one != name && of != &**name);
                self.set_name(Arc::clone(name), value);
            }
            Target::Fields(fields) => {
                for (name, target) in fields {
                    let inner = self.member(&value, name);
                    self.assign(target, inner);
                }
            }
            Target::Items(items) => {
                for (at, target) in items.iter().enumerate() {
                    let inner = match &value.items {
                        Some(values) if values.len() == items.len() => values[at].clone(),
                        // What comes with a value, such as an error, carries nothing of it.
                        _ if self.program.language(self.unit) == Language::Go => match at {
                            0 => value.clone(),
                            _ => Value::clean(),
                        },
                        _ => Value {
                            text: None,
                            path: None,
                            fields: None,
                            ..value.clone()
                        },
                    };
                    self.assign(target, inner);
                }
            }
            Target::Place(place) => self.assign_place(place, value),
        }
    }

    /// Returns the class whose fields `object` has.
    fn class_of(&self, object: &str) -> Option<Name> {
        match object {
            "self" | "this" => Some(self.class.clone().unwrap_or_else(|| Arc::from(""))),
            object => object.strip_prefix("this.").map(Arc::from),
        }
    }

    fn assign_place(&mut self, place: &Expression, value: Value) {
        let (Expression::Member(object, _) | Expression::Index(object, _)) = place else {
            return;
        };
        if let (Expression::Name(object), Expression::Member(_, field)) = (&**object, place)
            && let Some(class) = self.class_of(object)
        {
            let kept = value.changed(&mut |taint| match taint.origin {
                Origin::Outside => vec![taint.clone()],
                Origin::Parameter(_) => Vec::new(),
            });
            self.outcome.fields.push(((class, Arc::clone(field)), kept));
            if matches!(&**object, "self" | "this") {
                self.set_name(Arc::from(format!("self.{field}")), value);
            }
            return;
        }
        // `exports.manager = new Manager()`
        if let Expression::Member(_, field) = place
            && matches!(key(object).as_deref(), Some("exports" | "module.exports"))
        {
            if !self.names.contains_key(field) {
                self.set_name(Arc::clone(field), value);
            }
            return;
        }
        // What is put into something is in it.
        if let Expression::Name(name) = &**object
            && let Some(holder) = self.name_mut(name)
        {
            for taint in value.all_taints() {
                holder.add(&taint);
            }
            if let Expression::Member(_, field) = place {
                let mut fields = holder.fields.as_deref().cloned().unwrap_or_default();
                if fields.len() < 64 {
                    fields.push((Arc::clone(field), value));
                    *holder = std::mem::take(holder).holding(Some(fields), None);
                }
            }
        }
    }

    pub(super) fn evaluate(&mut self, expression: &Expression) -> Value {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Value::default();
        }
        let value = match expression {
            Expression::Nothing => Value::clean(),
            Expression::Text(text) => Value::constant(text),
            Expression::Name(name) => self.name(name),
            Expression::Member(object, name) if entry::is_of_server(object, name) => {
                Value::at(Arc::from(format!("request.{name}")))
            }
            Expression::Member(object, name) => {
                let object = self.evaluate(object);
                self.member(&object, name)
            }
            Expression::Index(object, index) => {
                let object = self.evaluate(object);
                let index = self.evaluate(index);
                self.element(&object, &index)
            }
            Expression::Call(call) => self.call(call),
            Expression::Join(parts) => {
                let parts = self.all(parts);
                match parts.first().and_then(|first| first.items.clone()) {
                    // Lists that are put together.
                    Some(first) if parts.len() > 1 => {
                        let mut items = first.to_vec();
                        for part in &parts[1..] {
                            match &part.items {
                                Some(more) => items.extend(more.iter().cloned()),
                                None => items.push(part.clone()),
                            }
                        }
                        Value::mix(&items).holding(None, Some(items))
                    }
                    _ => Value::text_of(&parts),
                }
            }
            Expression::Items(items) => {
                let items = self.all(items);
                Value::mix(&items).holding(None, Some(items))
            }
            Expression::Fields(fields) => self.fields(fields),
            Expression::Either(parts) => Value::either(self.all(parts)),
            Expression::Mix(parts) => Value::mix(&self.all(parts)),
            Expression::Test(test) => self.test(test),
            Expression::Function(at) => self.closure(*at),
            Expression::Bind(bind) => {
                let value = self.evaluate(&bind.1);
                self.assign(&bind.0, value.clone());
                value
            }
            Expression::Block(statements) => self.inner_block(statements),
        };
        self.judged(expression, value)
    }

    pub(super) fn all(&mut self, parts: &[Expression]) -> Vec<Value> {
        parts.iter().map(|part| self.evaluate(part)).collect()
    }

    pub(super) fn inner_block(&mut self, statements: &[Statement]) -> Value {
        let gives = self.gives.take();
        let has_left = std::mem::take(&mut self.has_left);
        let checked = self.checked.clone();
        self.inside += 1;
        self.block(statements);
        self.inside -= 1;
        self.checked = checked;
        self.has_left = has_left;
        let value = std::mem::replace(&mut self.gives, gives);
        value.unwrap_or_else(Value::clean)
    }

    fn fields(&mut self, fields: &[(Name, Expression)]) -> Value {
        let looks_like_tool = entry::is_tool_object(fields);
        let clean = match looks_like_tool {
            true => self.bounded_beside(fields),
            false => Vec::new(),
        };
        let mut values = Vec::with_capacity(fields.len());
        for (name, field) in fields {
            let value = match field {
                Expression::Function(at) if looks_like_tool && entry::is_handler_key(name) => {
                    self.enter_closure(*at, &clean);
                    // What the schema bounds is known of members alone, and they were followed.
                    if clean.is_empty() {
                        let id = (self.unit, *at as u32);
                        self.outcome.entries.push((id, Vec::new()));
                    }
                    Value::default()
                }
                field => self.evaluate(field),
            };
            match (&**name, &value.fields) {
                ("*", Some(inner)) => values.extend(inner.iter().cloned()),
                _ => values.push((Arc::clone(name), value)),
            }
        }
        let only: Vec<Value> = values.iter().map(|(_, value)| value.clone()).collect();
        Value::mix(&only).holding(Some(values), None)
    }

    fn test(&mut self, test: &Test) -> Value {
        let mut values = self.all(&test.of);
        match (&*test.how, values.len()) {
            // `a or b` is one of the two.
            ("||" | "??", 2) => Value::either(values),
            ("&&", 2) => values.swap_remove(1),
            _ => Value::clean(),
        }
    }
}

/// Returns the name that a value is given to, or the first of several.
fn first_name(target: &Target) -> Option<&Name> {
    match target {
        Target::Name(name) => Some(name),
        Target::Items(items) => match items.first() {
            Some(Target::Name(name)) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the text of a name or a chain of members, by which a check is known again.
pub(super) fn key(expression: &Expression) -> Option<String> {
    Some(match expression {
        Expression::Name(name) => name.to_string(),
        Expression::Member(object, name) => format!("{}.{name}", key(object)?),
        Expression::Index(object, index) => match &**index {
            Expression::Text(text) => format!("{}.{text}", key(object)?),
            _ => return None,
        },
        _ => return None,
    })
}
