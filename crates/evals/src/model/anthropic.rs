//! Anthropic messages.

use serde_json::{Map, Value, json};

use super::{Message, Reply, Request, ToolCall, ToolResult, chat::push_result, list, number, text};
use crate::{
    tool::Tool,
    trace::{Arguments, Breach},
};

/// Most tokens of one answer, unless a suite says otherwise: the format wants a number.
const MAX_TOKENS: u64 = 4096;

pub(super) fn encode(request: &Request) -> Value {
    let messages: Vec<Value> = request.messages.iter().map(message).collect();
    let tools: Vec<Value> = request
        .tools
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name(),
                "description": tool.description(),
                "input_schema": tool.input_schema(),
            })
        })
        .collect();
    let mut body = json!({
        "model": request.model,
        "max_tokens": MAX_TOKENS,
        "messages": messages,
        "tools": tools,
    });
    if !request.system.is_empty() {
        body["system"] = request.system.clone().into();
    }
    body
}

fn message(message: &Message) -> Value {
    match message {
        Message::User(text) => json!({ "role": "user", "content": text }),
        Message::Model { text, calls } => {
            json!({ "role": "assistant", "content": blocks(text, calls) })
        }
        Message::Results(results) => {
            let blocks = results.iter().map(|result| {
                json!({
                    "type": "tool_result",
                    "tool_use_id": result.id,
                    "content": result.text,
                    "is_error": result.is_error,
                })
            });
            json!({ "role": "user", "content": blocks.collect::<Vec<_>>() })
        }
    }
}

fn blocks(text: &str, calls: &[ToolCall]) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !text.is_empty() {
        blocks.push(json!({ "type": "text", "text": text }));
    }
    blocks.extend(calls.iter().map(|call| {
        let input = match &call.arguments {
            Arguments::Json(value) => value.clone(),
            Arguments::Unreadable(text) => Value::String(text.clone()),
        };
        json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
    }));
    blocks
}

fn read_call(block: &Value) -> ToolCall {
    let arguments = match block.get("input") {
        None => Arguments::Json(Value::Object(Map::new())),
        Some(Value::String(text)) => super::arguments(text),
        Some(object @ Value::Object(_)) => Arguments::Json(object.clone()),
        Some(other) => Arguments::Unreadable(other.to_string()),
    };
    ToolCall {
        id: text(block, "id").to_owned(),
        name: text(block, "name").to_owned(),
        arguments,
    }
}

pub(super) fn decode(body: &Value) -> Result<Reply, Breach> {
    if text(body, "role") != "assistant" {
        return Err(Breach::WrongOrder);
    }
    let mut reply = Reply {
        refused: text(body, "stop_reason") == "refusal",
        tokens_in: number(body, "/usage/input_tokens"),
        tokens_out: number(body, "/usage/output_tokens"),
        ..Reply::default()
    };
    for block in list(body, "content") {
        match text(block, "type") {
            "text" => reply.text.push_str(text(block, "text")),
            "tool_use" => reply.calls.push(read_call(block)),
            _ => {}
        }
    }
    Ok(reply)
}

pub(super) fn decode_request(body: &Value) -> Option<Request> {
    let mut request = Request {
        system: text(body, "system").to_owned(),
        ..Request::default()
    };
    for message in body.get("messages")?.as_array()? {
        let content = message.get("content")?;
        let said: String = match content {
            Value::String(text) => text.clone(),
            _ => list(message, "content")
                .iter()
                .map(|block| text(block, "text"))
                .collect(),
        };
        let blocks = list(message, "content");
        let of = |kind: &'static str| {
            blocks
                .iter()
                .filter(move |block| text(block, "type") == kind)
        };
        match text(message, "role") {
            "user" => {
                for block in of("tool_result") {
                    push_result(
                        &mut request.messages,
                        ToolResult {
                            id: text(block, "tool_use_id").to_owned(),
                            text: text(block, "content").to_owned(),
                            is_error: block.get("is_error") == Some(&Value::Bool(true)),
                        },
                    );
                }
                if !said.is_empty() {
                    request.messages.push(Message::User(said));
                }
            }
            "assistant" => request.messages.push(Message::Model {
                text: said,
                calls: of("tool_use").map(read_call).collect(),
            }),
            _ => return None,
        }
    }
    let tools = list(body, "tools").iter().filter_map(|tool| {
        Tool::read(json!({
            "name": tool.get("name")?,
            "description": text(tool, "description"),
            "inputSchema": tool.get("input_schema").unwrap_or(&Value::Null),
        }))
    });
    request.tools = tools.collect();
    Some(request)
}

fn stop(reply: &Reply) -> &'static str {
    match (reply.refused, reply.calls.is_empty()) {
        (true, _) => "refusal",
        (_, false) => "tool_use",
        (_, true) => "end_turn",
    }
}

pub(super) fn encode_reply(reply: &Reply) -> Value {
    json!({
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "content": blocks(&reply.text, &reply.calls),
        "stop_reason": stop(reply),
        "usage": { "input_tokens": reply.tokens_in, "output_tokens": reply.tokens_out },
    })
}

pub(super) fn encode_events(reply: &Reply) -> Vec<(Option<&'static str>, String)> {
    let mut events = Vec::new();
    let mut push = |name: &'static str, mut event: Value| {
        event["type"] = name.into();
        events.push((Some(name), event.to_string()));
    };
    let mut head = encode_reply(&Reply {
        tokens_out: 0,
        ..Reply::default()
    });
    head["usage"]["input_tokens"] = reply.tokens_in.into();
    head["stop_reason"] = Value::Null;
    push("message_start", json!({ "message": head }));
    for (index, block) in blocks(&reply.text, &reply.calls).iter().enumerate() {
        let mut empty = block.clone();
        let (whole, kind) = match text(block, "type") {
            "text" => {
                empty["text"] = "".into();
                (text(block, "text").to_owned(), "text")
            }
            _ => {
                empty["input"] = json!({});
                let input = block.get("input").unwrap_or(&Value::Null);
                let whole = input
                    .as_str()
                    .map_or_else(|| input.to_string(), str::to_owned);
                (whole, "partial_json")
            }
        };
        push(
            "content_block_start",
            json!({ "index": index, "content_block": empty }),
        );
        for part in super::stream::pieces(&whole) {
            let delta = match kind {
                "text" => json!({ "type": "text_delta", "text": part }),
                _ => json!({ "type": "input_json_delta", "partial_json": part }),
            };
            push(
                "content_block_delta",
                json!({ "index": index, "delta": delta }),
            );
        }
        push("content_block_stop", json!({ "index": index }));
    }
    push(
        "message_delta",
        json!({
            "delta": { "stop_reason": stop(reply) },
            "usage": { "output_tokens": reply.tokens_out },
        }),
    );
    push("message_stop", json!({}));
    events
}
