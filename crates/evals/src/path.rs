//! Places within JSON values: `hotels[1].id`, `[-1].name`.

use serde_json::Value;

/// Returns the part of `value` that `path` leads to. Negative indices count from the
/// end.
pub(crate) fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = value;
    for segment in path.split(['.', '[']).filter(|segment| !segment.is_empty()) {
        at = match segment.strip_suffix(']') {
            Some(index) => element(at, index)?,
            None => match at {
                Value::Array(_) => element(at, segment)?,
                other => other.get(segment)?,
            },
        };
    }
    Some(at)
}

fn element<'a>(value: &'a Value, index: &str) -> Option<&'a Value> {
    let elements = value.as_array()?;
    let index: i64 = index.parse().ok()?;
    let index = match index < 0 {
        true => elements
            .len()
            .checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
        false => usize::try_from(index).ok()?,
    };
    elements.get(index)
}
