//! Names in messages between a client and one of several servers.
//!
//! # Invariants
//!
//! * To the server go the names that it uses itself, to the client the names that
//!   lead back ([`super::names`]). Everything else stays byte for byte.
//! * What a server asks for and what belongs to it (`requestState`, `inputRequests`,
//!   `inputResponses`, progress tokens) passes unchanged.

use airside_base::ServerId;
use airside_mcp::{Call, raw, splice};
use bytes::Bytes;
use memchr::memmem;

use super::{merge, names};

/// Returns `call` with the server's own `name` in the place of what the client says.
pub(crate) fn renamed(call: &Call, name: &str) -> Bytes {
    let span = match call.name_span() {
        Some(span) => Some(span),
        None => reference(call).map(|(span, _)| span),
    };
    match span {
        Some(span) => splice(call.bytes(), &[(span, raw::quote(name).as_bytes())]),
        None => call.bytes().clone(),
    }
}

/// Returns what `completion/complete` completes: the place and the text of the
/// prompt's name or the resource's URI.
pub(crate) fn reference(call: &Call) -> Option<(std::ops::Range<usize>, Reference)> {
    let params = std::str::from_utf8(call.params()?).ok()?;
    let reference = raw::find(params, "ref")?;
    let (value, is_uri) = match raw::string(raw::find(reference, "type")?)?.as_str() {
        "ref/prompt" => (raw::find(reference, "name")?, false),
        "ref/resource" => (raw::find(reference, "uri")?, true),
        _ => return None,
    };
    let offset = call.params_span()?.start;
    let span = raw::span(params, value);
    let text = raw::string(value)?;
    let reference = match is_uri {
        true => Reference::Uri(text),
        false => Reference::Prompt(text),
    };
    Some((offset + span.start..offset + span.end, reference))
}

/// What is completed.
pub(crate) enum Reference {
    Prompt(String),
    Uri(String),
}

/// Returns a message of `server` with the names that are used outside; none if it
/// has none of them.
pub(crate) fn tagged(server: &ServerId, text: &str) -> Option<String> {
    if !may_name(text.as_bytes()) {
        return None;
    }
    let mut edits = raw::Edits::default();
    let mut pass = Pass {
        server,
        whole: text,
        edits: &mut edits,
    };
    if let Some(result) = raw::find(text, "result") {
        pass.result(result, 0);
    }
    if let Some(params) = raw::find(text, "params") {
        pass.uri(params, "uri");
        pass.task(params);
        if let Some(result) = raw::find(params, "result") {
            pass.result(result, 1);
        }
    }
    (!edits.is_empty()).then(|| edits.apply(text))
}

/// Whether one of the members that are rewritten may be in it. A server that hides
/// their names by escapes makes links that lead nowhere, and harms nobody else.
fn may_name(text: &[u8]) -> bool {
    [
        "\"uri\"",
        "taskId\"",
        "resourceUri\"",
        "openai/outputTemplate\"",
    ]
    .iter()
    .any(|needle| memmem::find(text, needle.as_bytes()).is_some())
}

struct Pass<'a, 'e> {
    server: &'a ServerId,
    whole: &'a str,
    edits: &'e mut raw::Edits,
}

impl<'a> Pass<'a, '_> {
    /// The places of a result that hold names: contents, messages, tasks, MCP Apps.
    fn result(&mut self, result: &'a str, depth: u8) {
        let Ok(members) = raw::members(result) else {
            return;
        };
        let get = |key: &str| raw::only(&members, key);
        for list in ["content", "contents"] {
            for block in get(list)
                .and_then(|list| raw::elements(list).ok())
                .into_iter()
                .flatten()
            {
                self.block(block);
            }
        }
        let messages = get("messages").and_then(|list| raw::elements(list).ok());
        for message in messages.into_iter().flatten() {
            let Some(content) = raw::find(message, "content") else {
                continue;
            };
            match raw::elements(content) {
                Ok(blocks) => blocks.into_iter().for_each(|block| self.block(block)),
                Err(_) => self.block(content),
            }
        }
        if let Some(meta) = get("_meta") {
            merge::tag_app_uris(self.edits, self.server, self.whole, meta);
        }
        self.task(result);
        if let Some(task) = get("task") {
            self.task(task);
        }
        // The result of a finished task stands inside the task.
        if let (Some(inner), 0) = (get("result"), depth) {
            self.result(inner, depth + 1);
        }
    }

    /// A content block, or the contents of a resource.
    fn block(&mut self, block: &'a str) {
        self.uri(block, "uri");
        if let Some(resource) = raw::find(block, "resource") {
            self.uri(resource, "uri");
        }
    }

    fn uri(&mut self, object: &'a str, key: &str) {
        if let Some(value) = raw::find(object, key)
            && let Some(uri) = raw::string(value)
        {
            let uri = names::tag_uri(self.server, &uri);
            self.edits.replace(self.whole, value, raw::quote(&uri));
        }
    }

    fn task(&mut self, object: &'a str) {
        if let Some(value) = raw::find(object, "taskId")
            && let Some(id) = raw::string(value)
        {
            let id = names::tag(self.server, &id);
            self.edits.replace(self.whole, value, raw::quote(&id));
        }
    }
}

/// Returns a request that a server sends with an id that leads back to it.
pub(crate) fn asked(server: &ServerId, text: &str) -> Option<String> {
    let members = raw::members(text).ok()?;
    raw::only(&members, "method")?;
    let id = raw::only(&members, "id")?;
    let mut edits = raw::Edits::default();
    edits.replace(text, id, raw::quote(&names::tag(server, id)));
    Some(edits.apply(text))
}

/// Returns the server that an answer of a client is for, and the answer with the id
/// that the server gave.
pub(crate) fn answered(text: &str) -> Option<(String, String)> {
    let id = raw::find(text, "id")?;
    let tagged = raw::string(id)?;
    let (server, own) = names::untag(&tagged)?;
    // Only what can be an id may become part of the message.
    let is_id = serde_json::from_str::<serde_json::Value>(own)
        .is_ok_and(|value| value.is_string() || value.is_number());
    let mut edits = raw::Edits::default();
    edits.replace(text, id, own.to_owned());
    is_id.then(|| (server.to_owned(), edits.apply(text)))
}

#[cfg(test)]
mod tests {
    use airside_mcp::{Incoming, Limits};

    use super::*;

    fn server() -> ServerId {
        "a".parse().unwrap()
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(tagged(&server(), text).as_deref().unwrap_or(text), expected);
    }

    #[test]
    fn only_names_change_in_results() {
        check(
            r#"{"id":1,"result":{"content":[{"type":"resource_link","uri":"x://1","p":1.50},{"type":"resource","resource":{"uri":"ui://m/v"}},{"type":"text","text":"\"uri\""}],"structuredContent":{"uri":"x://1"}}}"#,
            r#"{"id":1,"result":{"content":[{"type":"resource_link","uri":"mcp.a+x://1","p":1.50},{"type":"resource","resource":{"uri":"ui://a_m/v"}},{"type":"text","text":"\"uri\""}],"structuredContent":{"uri":"x://1"}}}"#,
        );
        check(
            r#"{"result":{"contents":[{"uri":"x:1"}]}}"#,
            r#"{"result":{"contents":[{"uri":"mcp.a+x:1"}]}}"#,
        );
        check(
            r#"{"result":{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"x:1"}}}]}}"#,
            r#"{"result":{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"mcp.a+x:1"}}}]}}"#,
        );
        check(
            r#"{"result":{"resultType":"task","taskId":"7","result":{"content":[{"uri":"x:1"}]}}}"#,
            r#"{"result":{"resultType":"task","taskId":"a_7","result":{"content":[{"uri":"mcp.a+x:1"}]}}}"#,
        );
        check(
            r#"{"method":"notifications/resources/updated","params":{"uri":"x:1"}}"#,
            r#"{"method":"notifications/resources/updated","params":{"uri":"mcp.a+x:1"}}"#,
        );
        check(
            r#"{"result":{"resultType":"input_required","requestState":"uri","inputRequests":{"k":{"params":{"uri":"x:1"}}}}}"#,
            r#"{"result":{"resultType":"input_required","requestState":"uri","inputRequests":{"k":{"params":{"uri":"x:1"}}}}}"#,
        );
    }

    #[test]
    fn request_of_a_server_and_its_answer_meet_again() {
        for id in ["7", "\"x_y\"", "1.0"] {
            let asked = asked(&server(), &format!(r#"{{"id":{id},"method":"ping"}}"#)).unwrap();
            let tagged = raw::find(&asked, "id").unwrap();
            let answer = format!(r#"{{"result":{{"n":1.0}},"id":{tagged}}}"#);
            let own = format!(r#"{{"result":{{"n":1.0}},"id":{id}}}"#);
            assert_eq!(answered(&answer), Some(("a".to_owned(), own)));
        }
        for forged in [
            r#"{"id":7}"#,
            r#"{"id":"a_{}"}"#,
            r#"{"id":"a_1,\"x\":2"}"#,
            r#"{"id":"7"}"#,
        ] {
            assert_eq!(answered(forged), None, "{forged}");
        }
    }

    #[test]
    fn completion_is_renamed_by_its_reference() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"a_p"},"argument":{"name":"x","value":"1"}}}"#;
        let Incoming::Request(call) = Incoming::parse(&text.into(), &Limits::DEFAULT).unwrap()
        else {
            panic!("a request");
        };
        assert_eq!(renamed(&call, "p"), text.replace("a_p", "p"));
    }
}
