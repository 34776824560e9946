//! Calls that let values in: of what registers tools and routes.

use std::sync::Arc;

use super::{
    call::split,
    entry,
    evaluate::{Frame, key},
    ir::{Call, Expression, Name},
    subject,
    value::Value,
};

/// Members of the description of a tool that say what its arguments are.
const SCHEMAS: [&str; 4] = ["inputSchema", "parameters", "schema", "paramsSchema"];

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

/// Returns the members of a schema that cannot carry any text.
fn bounded_in(schema: &Value) -> Vec<Name> {
    let fields = schema.fields.iter().flat_map(|fields| fields.iter());
    let bounded = fields.filter(|(_, field)| is_bounded(field));
    bounded.map(|(name, _)| Arc::clone(name)).collect()
}

/// Returns whether a member of a schema is one that cannot carry any text.
pub(super) fn is_bounded(field: &Value) -> bool {
    const BOUNDS: [&str; 10] = [
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
    ];
    let path = field.path.as_deref().unwrap_or("");
    BOUNDS.iter().any(|one| path.contains(one))
}
