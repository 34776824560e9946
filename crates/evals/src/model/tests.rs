use proptest::prelude::*;
use serde_json::json;

use super::{stream::Assembly, *};
use crate::trace::Breach;

const ALL: [Api; 3] = [Api::OpenaiChat, Api::OpenaiResponses, Api::Anthropic];

fn call(number: u32, name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        id: format!("call_{number}"),
        name: name.to_owned(),
        arguments: Arguments::Json(arguments),
    }
}

fn reply(text: &str, calls: Vec<ToolCall>) -> Reply {
    Reply {
        text: text.to_owned(),
        calls,
        tokens_in: 12,
        tokens_out: 7,
        ..Reply::default()
    }
}

/// Sends a reply as a server does, streamed, and reads it as a client does.
fn streamed(api: Api, reply: &Reply) -> Option<Reply> {
    let mut assembly = Assembly::new(api);
    for (_, data) in api.encode_events(reply) {
        assembly.take(data.as_bytes());
    }
    api.decode(&assembly.finish()?).ok()
}

fn texts() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 .\\PC]{0,60}"
}

fn replies() -> impl Strategy<Value = Reply> {
    let calls = prop::collection::vec(("[a-z_]{1,20}", texts(), any::<i32>()), 0..4);
    (texts(), calls).prop_map(|(text, calls)| {
        let calls = calls
            .into_iter()
            .enumerate()
            .map(|(number, (name, text, count))| {
                call(
                    u32::try_from(number).unwrap(),
                    &name,
                    json!({ "text": text, "count": count }),
                )
            });
        reply(&text, calls.collect())
    })
}

proptest! {
    #[test]
    fn a_reply_is_the_same_in_every_format_in_one_piece_and_in_many(reply in replies()) {
        for api in ALL {
            prop_assert_eq!(api.decode(&api.encode_reply(&reply)).ok(), Some(reply.clone()));
            prop_assert_eq!(streamed(api, &reply), Some(reply.clone()));
        }
    }
}

fn request() -> Request {
    let definition =
        json!({"name": "search", "description": "Finds.", "inputSchema": {"type": "object"}});
    Request {
        model: "m".to_owned(),
        system: "Be brief.".to_owned(),
        messages: vec![
            Message::User("hotels".to_owned()),
            Message::Model {
                text: "Looking.".to_owned(),
                calls: vec![
                    call(1, "search", json!({"a": 1})),
                    call(2, "search", json!({})),
                ],
            },
            Message::Results(vec![
                ToolResult {
                    id: "call_1".to_owned(),
                    text: "one".to_owned(),
                    is_error: false,
                },
                ToolResult {
                    id: "call_2".to_owned(),
                    text: "two".to_owned(),
                    is_error: false,
                },
            ]),
            Message::Model {
                text: "Two.".to_owned(),
                calls: vec![],
            },
            Message::User("more".to_owned()),
        ],
        tools: vec![Tool::read(definition).unwrap()],
        params: Map::new(),
    }
}

#[test]
fn a_request_is_the_same_in_every_format() {
    for api in ALL {
        let body = api.encode(&request(), false);
        assert_eq!(api.decode_request(&body), Some(request()), "{api:?}");
    }
}

#[test]
fn refusals_are_told_in_every_format() {
    let refusal = Reply {
        refused: true,
        ..reply("no", vec![])
    };
    for api in ALL {
        assert!(
            api.decode(&api.encode_reply(&refusal)).unwrap().refused,
            "{api:?}"
        );
    }
}

#[test]
fn a_stream_that_breaks_off_is_no_answer() {
    for api in ALL {
        let mut assembly = Assembly::new(api);
        let events = api.encode_events(&reply("a longer text of several pieces", vec![]));
        events[..events.len() / 2]
            .iter()
            .for_each(|(_, data)| assembly.take(data.as_bytes()));
        assert_eq!(assembly.finish(), None, "{api:?}");
    }
}

#[test]
fn an_answer_of_another_role_is_the_wrong_order() {
    for api in ALL {
        let text = api.encode_reply(&reply("hi", vec![])).to_string();
        let body: Value = serde_json::from_str(&text.replace("assistant", "user")).unwrap();
        assert_eq!(api.decode(&body), Err(Breach::WrongOrder), "{api:?}");
    }
}

#[test]
fn arguments_that_are_no_object_are_kept_as_text() {
    let body = json!({"choices": [{"message": {"role": "assistant", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1"}},
        {"id": "2", "type": "function", "function": {"name": "f", "arguments": "[1]"}},
        {"id": "3", "type": "function", "function": {"name": "f", "arguments": ""}},
    ]}}]});
    let calls = Api::OpenaiChat.decode(&body).unwrap().calls;
    assert_eq!(
        calls[0].arguments,
        Arguments::Unreadable("{\"a\": 1".to_owned())
    );
    assert_eq!(calls[1].arguments, Arguments::Unreadable("[1]".to_owned()));
    assert_eq!(calls[2].arguments, Arguments::Json(json!({})));
}

#[test]
fn names_on_the_wire_are_plain_and_lead_back() {
    let long = "x".repeat(100);
    let tools: Vec<Tool> = ["a.b", "a_b", "é/ü", &long]
        .iter()
        .filter_map(|name| Tool::read(json!({ "name": name })))
        .collect();
    let names = Names::of(&tools);
    for tool in &tools {
        let wire = names.on_wire(tool.name());
        assert!(
            wire.len() <= 64
                && wire
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        );
        assert_eq!(names.meant(&wire), tool.name());
    }
    assert_eq!(names.on_wire("a_b"), "a_b_2");
}
