//! Lines of JSON-RPC: reading what they are, putting ids in and taking them out.

use airside_mcp::raw;
use bytes::Bytes;

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What a line from the process is.
pub(super) enum Line {
    /// The answer to our request `id`.
    Answer { id: u64 },
    /// A notification that belongs to our request `id`.
    Note { id: u64 },
    /// A notification about the server as a whole.
    News { method: String },
    /// A request to the client side, with its raw id.
    Ask { id: String, method: String },
    /// Nothing of JSON-RPC, or of no request of ours.
    Noise,
}

/// Reads what `line` is. Ids and tokens of ours are numbers; some servers give
/// them back as strings.
pub(super) fn classify(line: &str) -> Line {
    let Ok(members) = raw::members(line) else {
        return Line::Noise;
    };
    let id = raw::only(&members, "id");
    let method = raw::only(&members, "method").and_then(raw::string);
    match (id, method) {
        (Some(id), Some(method)) => Line::Ask {
            id: id.to_owned(),
            method,
        },
        (Some(id), None) => ours(id).map_or(Line::Noise, |id| Line::Answer { id }),
        (None, Some(method)) => match raw::only(&members, "params").and_then(owner) {
            Some((id, _)) => Line::Note { id },
            None => Line::News { method },
        },
        (None, None) => Line::Noise,
    }
}

/// Returns whose notification it is by its `params`, and the place that says so.
fn owner(params: &str) -> Option<(u64, &str)> {
    let token = raw::find(params, "progressToken");
    let place = token.or_else(|| raw::at(params, &["_meta", SUBSCRIPTION]))?;
    Some((ours(place)?, place))
}

fn ours(value: &str) -> Option<u64> {
    let digits = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    digits.unwrap_or(value).parse().ok()
}

/// A request of a caller, ready to be written.
pub(super) struct Outgoing {
    pub(super) line: Bytes,
    /// The caller's id and progress token, as they came.
    pub(super) own_id: String,
    pub(super) own_token: Option<String>,
}

/// Puts our `id` in the place of the caller's id and progress token.
pub(super) fn outgoing(text: &str, id: u64) -> Option<Outgoing> {
    let own_id = raw::find(text, "id")?;
    let own_token = raw::at(text, &["params", "_meta", "progressToken"]);
    let mut edits = raw::Edits::default();
    edits.replace(text, own_id, id.to_string());
    if let Some(token) = own_token {
        edits.replace(text, token, id.to_string());
    }
    Some(Outgoing {
        line: one_line(edits.apply(text)),
        own_id: own_id.to_owned(),
        own_token: own_token.map(ToOwned::to_owned),
    })
}

/// Returns `text` as one line. Line breaks in JSON text can only be blanks between
/// tokens (RFC 8259, section 7), so a space says the same.
pub(super) fn one_line(text: String) -> Bytes {
    let mut line = text.into_bytes();
    for byte in &mut line {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.push(b'\n');
    Bytes::from(line)
}

/// Returns the answer `line` with the caller's id.
pub(super) fn answer(line: &str, own_id: &str) -> Option<Bytes> {
    let mut edits = raw::Edits::default();
    edits.replace(line, raw::find(line, "id")?, own_id.to_owned());
    if let Some(place) = raw::at(line, &["result", "_meta", SUBSCRIPTION]) {
        edits.replace(line, place, own_id.to_owned());
    }
    Some(Bytes::from(edits.apply(line)))
}

/// Returns the notification `line` with the caller's token or id.
pub(super) fn note(line: &str, own_id: &str, own_token: Option<&str>) -> Option<Bytes> {
    let params = raw::find(line, "params")?;
    let (_, place) = owner(params)?;
    let own = match raw::find(params, "progressToken") {
        Some(_) => own_token?,
        None => own_id,
    };
    let mut edits = raw::Edits::default();
    edits.replace(line, place, own.to_owned());
    Some(Bytes::from(edits.apply(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_tokens_come_back_as_they_were() {
        let request = "{ \"jsonrpc\":\"2.0\",\n \"id\" : \"a\\u0062\", \"params\":{\"_meta\":{\"progressToken\": 1.0}},\"method\":\"x\"}";
        let out = outgoing(request, 7).unwrap();
        assert_eq!(
            out.line,
            "{ \"jsonrpc\":\"2.0\",  \"id\" : 7, \"params\":{\"_meta\":{\"progressToken\": 7}},\"method\":\"x\"}\n"
        );
        let back = answer(r#"{"result":{"p":10.10},"id":7}"#, &out.own_id).unwrap();
        assert_eq!(back, "{\"result\":{\"p\":10.10},\"id\":\"a\\u0062\"}");
        let progress =
            r#"{"method":"notifications/progress","params":{"progressToken":7,"progress":1}}"#;
        assert!(matches!(classify(progress), Line::Note { id: 7 }));
        let back = note(progress, &out.own_id, out.own_token.as_deref()).unwrap();
        assert_eq!(back, progress.replace(":7", ":1.0"));
    }

    #[test]
    fn lines_are_told_apart() {
        for (line, expected) in [
            (r#"{"id":3,"result":{}}"#, "answer 3"),
            (r#"{"id":"3","error":{}}"#, "answer 3"),
            (r#"{"id":"x","result":{}}"#, "noise"),
            (r#"{"id":3,"id":4,"result":{}}"#, "noise"),
            (r#"{"id":"x","method":"ping"}"#, "ask \"x\" ping"),
            (
                r#"{"method":"notifications/tools/list_changed"}"#,
                "news notifications/tools/list_changed",
            ),
            (
                r#"{"method":"n","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"9"}}}"#,
                "note 9",
            ),
            ("warming up...", "noise"),
        ] {
            let seen = match classify(line) {
                Line::Answer { id } => format!("answer {id}"),
                Line::Note { id } => format!("note {id}"),
                Line::News { method } => format!("news {method}"),
                Line::Ask { id, method } => format!("ask {id} {method}"),
                Line::Noise => "noise".to_owned(),
            };
            assert_eq!(seen, expected, "{line}");
        }
    }
}
