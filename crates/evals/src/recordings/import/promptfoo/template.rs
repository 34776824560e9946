//! Templates that only name variables.

use serde_json::{Map, Value};

/// Longest text that a template becomes, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// Puts variables where a text names them.
///
/// # Errors
///
/// Why not: a variable is not given, or the template is more than its variables.
pub(super) fn fill(text: &str, vars: &Map<String, Value>) -> Result<String, String> {
    if text.contains("{%") || text.contains("{#") {
        return Err("its template has logic".to_owned());
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("its template does not end")?;
        let name = name.trim_matches(|c: char| c.is_whitespace() || c == '-');
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(format!(
                "its template does more than name variables: {{{{{name}}}}}"
            ));
        }
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (root, path) = name.split_at(end);
        let value = vars
            .get(root)
            .and_then(|value| crate::path::find(value, path));
        filled.push_str(before);
        match value {
            Some(Value::String(text)) => filled.push_str(text),
            Some(other) => filled.push_str(&other.to_string()),
            None => return Err(format!("the variable `{name}` is not given")),
        }
        if filled.len() > MAX_TEXT {
            return Err("it is too long with its variables".to_owned());
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The same for every text within a value.
///
/// # Errors
///
/// As [`fill`].
pub(super) fn fill_value(
    value: Option<&Value>,
    vars: &Map<String, Value>,
) -> Result<Value, String> {
    Ok(match value {
        None => Value::Null,
        Some(Value::String(text)) => fill(text, vars)?.into(),
        Some(Value::Array(all)) => {
            let all: Result<Vec<Value>, String> =
                all.iter().map(|one| fill_value(Some(one), vars)).collect();
            all?.into()
        }
        Some(Value::Object(members)) => {
            let of =
                |(name, one): (&String, &Value)| Ok((name.clone(), fill_value(Some(one), vars)?));
            members
                .iter()
                .map(of)
                .collect::<Result<Map<_, _>, String>>()?
                .into()
        }
        Some(other) => other.clone(),
    })
}
