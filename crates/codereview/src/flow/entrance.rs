//! Calls that let values in: of what registers tools and routes.

use std::sync::Arc;

use super::{
    call::split,
    entry,
    evaluate::{Frame, key},
    expect,
    ir::{Call, Expression, Name},
    subject,
    value::Value,
};

/// Members of the description of a tool that say what its arguments are.
const SCHEMAS: [&str; 4] = ["inputSchema", "parameters", "schema", "paramsSchema"];
/// What a schema with members, and one of a list, is known by.
pub(super) const OBJECT: &str = "schema()";
const LIST: &str = "schema().list()";

impl Frame<'_> {
    /// Calls that register a tool or a route let values in. Returns whether this is one.
    pub(super) fn lets_in(&mut self, call: &Call, callee: &Value) -> bool {
        let path = callee.path.as_deref().unwrap_or("");
        let (before, last) = split(path);
        let last = match last {
            "" => subject::called(call).unwrap_or(""),
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
            if matches!(
                argument.value,
                Expression::Function(_) | Expression::Text(_)
            ) {
                continue;
            }
            let value = self.evaluate(&argument.value);
            let schema = SCHEMAS.iter().find_map(|name| value.field(name).cloned());
            clean.extend(bounded_in(&schema.unwrap_or(value)));
        }
        clean
    }

    /// Returns the arguments that the schema in the description of a tool bounds.
    pub(super) fn bounded_beside(&mut self, fields: &[(Name, Expression)]) -> Vec<Name> {
        let schema = fields.iter().find(|(name, _)| SCHEMAS.contains(&&**name));
        schema.map_or_else(Vec::new, |(_, schema)| bounded_in(&self.evaluate(schema)))
    }
}

/// Returns the members of a schema that cannot carry any text, those inside of others by
/// their way: `limits.most`, `edits[].line`.
pub(super) fn bounded_in(schema: &Value) -> Vec<Name> {
    let mut found = Vec::new();
    add_bounded(schema, "", &mut found);
    found
}

fn add_bounded(schema: &Value, before: &str, found: &mut Vec<Name>) {
    /// Members that are named, of all of a schema.
    const MOST: usize = 200;
    for (name, field) in members(schema) {
        if found.len() == MOST {
            return;
        }
        if is_bounded(field) {
            found.push(Arc::from(format!("{before}{name}")));
            continue;
        }
        match item(field) {
            Some(item) => add_bounded(item, &format!("{before}{name}[]."), found),
            None => add_bounded(field, &format!("{before}{name}."), found),
        }
    }
}

/// Returns the members that a schema describes: of `z.object({…})` and of a JSON schema.
fn members(schema: &Value) -> &[(Name, Value)] {
    let described = match text_of(schema, "type") {
        Some("object") => schema.field("properties"),
        _ => Some(schema),
    };
    let fields = described.and_then(|one| one.fields.as_deref());
    fields.map_or(&[], Vec::as_slice)
}

/// Returns what a schema of a list says of its items.
fn item(schema: &Value) -> Option<&Value> {
    if schema.path.as_deref() == Some(LIST) {
        return schema.items.as_ref()?.first();
    }
    match text_of(schema, "type") {
        Some("array") => schema.field("items"),
        _ => None,
    }
}

fn text_of<'v>(schema: &'v Value, name: &str) -> Option<&'v str> {
    schema.field(name)?.text.as_deref()
}

/// Returns whether a member of a schema is one that cannot carry any text.
pub(super) fn is_bounded(field: &Value) -> bool {
    const BOUNDS: [&str; 13] = [
        ".number()",
        ".enum()",
        ".boolean()",
        ".literal()",
        ".nativeEnum()",
        ".uuid()",
        ".int()",
        ".date()",
        ".datetime()",
        ".anchored()",
        ".ip()",
        ".ipv4()",
        ".bigint()",
    ];
    if let Some(item) = item(field) {
        return is_bounded(item);
    }
    let path = field.path.as_deref().unwrap_or("");
    BOUNDS.iter().any(|one| path.contains(one)) || is_bounded_json(field)
}

/// Returns whether a JSON schema describes what cannot carry any text.
fn is_bounded_json(schema: &Value) -> bool {
    let lists = schema.field("enum").is_some_and(|one| one.items.is_some());
    match text_of(schema, "type") {
        Some("number" | "integer" | "boolean" | "null") => true,
        Some("string") => {
            let format = text_of(schema, "format");
            lists
                || matches!(
                    format,
                    Some("uuid" | "date" | "date-time" | "ipv4" | "ipv6")
                )
                || text_of(schema, "pattern").is_some_and(expect::bounds)
        }
        _ => lists,
    }
}

/// Returns what a schema made of others stands for: of `z.array(item)`, `z.union([…])`,
/// `z.optional(inner)`.
pub(super) fn composed(last: &str, values: &[Value]) -> Option<Value> {
    let known = |one: &Value| is_bounded(one) || one.path.as_deref() == Some(OBJECT);
    match (last, values) {
        ("array" | "set", [item, ..]) if known(item) => {
            let list = Value::at(Arc::from(LIST));
            Some(list.holding(None, Some(vec![item.clone()])))
        }
        ("optional" | "nullable" | "nullish", [inner]) if known(inner) => Some(inner.clone()),
        ("preprocess", [_, inner]) if known(inner) => Some(inner.clone()),
        (
            "union" | "tuple",
            [
                Value {
                    items: Some(items), ..
                },
            ],
        ) if !items.is_empty() && items.iter().all(is_bounded) => Some(items[0].clone()),
        _ => None,
    }
}

/// Returns `value` with those of its members clean whose ways are in `names`.
pub(super) fn bound(value: Value, names: &[&str]) -> Value {
    let mut fields: Vec<(Name, Value)> = Vec::new();
    let plain = Value {
        taints: value.taints.clone(),
        ..Value::default()
    };
    for name in names {
        let (head, is_inner) = match name.split_once('.') {
            Some((head, _)) => (head, true),
            None => (*name, false),
        };
        let key = head.trim_end_matches("[]");
        if fields.iter().any(|(one, _)| **one == *key) {
            continue;
        }
        let field = match is_inner {
            false => Value::clean(),
            true => {
                let inner = names.iter().filter_map(|one| one.strip_prefix(head));
                let inner: Vec<&str> = inner.filter_map(|one| one.strip_prefix('.')).collect();
                let inner = bound(plain.clone(), &inner);
                match head.ends_with("[]") {
                    true => plain.clone().holding(None, Some(vec![inner])),
                    false => inner,
                }
            }
        };
        fields.push((Arc::from(key), field));
    }
    value.holding(Some(fields), None)
}
