//! What calls give where that is known from what they are.

use super::{
    evaluate::Frame,
    expect,
    ir::{Call, Name},
    value::{Standing, Value},
};

impl Frame<'_> {
    /// Returns what a call gives that bounds a value, makes one harmless or takes one of a few.
    pub(super) fn of_known(
        &mut self,
        call: &Call,
        (callee, object): (&Value, Option<&Value>),
        last: &str,
        values: &[Value],
    ) -> Option<Value> {
        let path = callee.path.as_deref().unwrap_or("");
        let text = |at: usize| values.get(at).and_then(|value| value.text.as_deref());
        match last {
            // A member of a list of choices.
            "enum" if path == "enum" => Some(Value::clean()),
            "compile" if path == "re.compile" => Some(Value {
                standing: Standing::Clean,
                text: values.first().and_then(|one| one.text.clone()),
                path: Some(Name::from("re.compile()")),
                ..Value::default()
            }),
            // One of a table, or what stands for none.
            "get" => {
                let fields = object?.fields.as_ref()?;
                let is_whole = !fields.is_empty() && fields.iter().all(|(key, _)| &**key != "*");
                let mut given: Vec<Value> = fields.iter().map(|(_, value)| value.clone()).collect();
                if given.iter().any(|one| one.function.is_some()) {
                    return None;
                }
                given.extend(values.get(1).cloned());
                let mut given = Value::either(given);
                for taint in &object?.taints {
                    given.add(taint);
                }
                given.text = None;
                is_whole.then_some(given)
            }
            // `z.string().refine((text) => PATTERN.test(text))`
            "refine" if !path.is_empty() && self.refines(call) => {
                Some(Value::at(Name::from(format!("{path}.anchored()"))))
            }
            "Field" | "constr" | "StringConstraints" | "Query" | "Param" => {
                let is_pattern =
                    |name: &Option<Name>| matches!(name.as_deref(), Some("pattern" | "regex"));
                let mut arguments = call.arguments.iter().zip(values);
                let bound = arguments.any(|(one, value)| {
                    is_pattern(&one.name) && value.text.as_deref().is_some_and(expect::bounds)
                });
                bound.then(Value::clean)
            }
            // Quotes that are doubled end no text.
            "replace" | "replaceAll" => {
                let (what, by) = (text(0)?, text(1)?);
                let is_quote = matches!(what, "\"" | "'" | "`" | "]" | "\\\"" | "\\'");
                let doubles = is_quote && by.len() == 2 * what.len() && by.starts_with(what);
                let bit = self.program.rules.class_bit("sql-injection");
                doubles.then(|| object.cloned().unwrap_or_default().cleaned(bit))
            }
            // Whatever is not of a few characters is replaced.
            "sub" if path == "re.sub" && expect::finds_others(text(0)?) => Some(Value::clean()),
            "sub" if path == "re.compile().sub" => {
                let pattern = object?.text.as_deref()?;
                expect::finds_others(pattern).then(Value::clean)
            }
            _ => None,
        }
    }
}
