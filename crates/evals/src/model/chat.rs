//! OpenAI chat completions.

use serde_json::{Value, json};

use super::{
    Message, Reply, Request, ToolCall, ToolResult, arguments, list, number, text, written,
};
use crate::{tool::Tool, trace::Breach};

pub(super) fn encode(request: &Request, stream: bool) -> Value {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({ "role": "system", "content": request.system }));
    }
    for message in &request.messages {
        match message {
            Message::User(text) => messages.push(json!({ "role": "user", "content": text })),
            Message::Model { text, calls } => messages.push(model(text, calls)),
            Message::Results(results) => messages.extend(results.iter().map(|result| {
                json!({ "role": "tool", "tool_call_id": result.id, "content": result.text })
            })),
        }
    }
    let mut body = json!({ "model": request.model, "messages": messages });
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({ "type": "function", "function": {
                "name": tool.name(),
                "description": tool.description(),
                "parameters": tool.input_schema(),
            }})
        });
        body["tools"] = tools.collect();
    }
    if stream {
        body["stream_options"] = json!({ "include_usage": true });
    }
    body
}

fn model(text: &str, calls: &[ToolCall]) -> Value {
    let content = match text.is_empty() {
        true => Value::Null,
        false => text.into(),
    };
    let mut message = json!({ "role": "assistant", "content": content });
    if !calls.is_empty() {
        message["tool_calls"] = calls.iter().map(call).collect();
    }
    message
}

fn call(call: &ToolCall) -> Value {
    json!({ "id": call.id, "type": "function", "function": {
        "name": call.name,
        "arguments": written(&call.arguments),
    }})
}

fn read_call(call: &Value) -> ToolCall {
    let function = call.get("function").unwrap_or(&Value::Null);
    ToolCall {
        id: text(call, "id").to_owned(),
        name: text(function, "name").to_owned(),
        arguments: arguments(text(function, "arguments")),
    }
}

pub(super) fn decode(body: &Value) -> Result<Reply, Breach> {
    let choice = list(body, "choices").first().ok_or(Breach::EmptyAnswer)?;
    let message = choice.get("message").ok_or(Breach::EmptyAnswer)?;
    if text(message, "role") != "assistant" {
        return Err(Breach::WrongOrder);
    }
    let refusal = text(message, "refusal");
    Ok(Reply {
        text: match text(message, "content") {
            "" => refusal.to_owned(),
            said => said.to_owned(),
        },
        calls: list(message, "tool_calls").iter().map(read_call).collect(),
        refused: !refusal.is_empty() || text(choice, "finish_reason") == "content_filter",
        tokens_in: number(body, "/usage/prompt_tokens"),
        tokens_out: number(body, "/usage/completion_tokens"),
    })
}

pub(super) fn decode_request(body: &Value) -> Option<Request> {
    let mut request = Request::default();
    for message in body.get("messages")?.as_array()? {
        let content = text(message, "content").to_owned();
        match text(message, "role") {
            "system" | "developer" => request.system = content,
            "user" => request.messages.push(Message::User(content)),
            "assistant" => request.messages.push(Message::Model {
                text: content,
                calls: list(message, "tool_calls").iter().map(read_call).collect(),
            }),
            "tool" => push_result(
                &mut request.messages,
                ToolResult {
                    id: text(message, "tool_call_id").to_owned(),
                    text: content,
                    is_error: false,
                },
            ),
            _ => return None,
        }
    }
    let tools = list(body, "tools").iter().filter_map(|tool| {
        let function = tool.get("function")?;
        Tool::read(json!({
            "name": function.get("name")?,
            "description": text(function, "description"),
            "inputSchema": function.get("parameters").unwrap_or(&Value::Null),
        }))
    });
    request.tools = tools.collect();
    Some(request)
}

/// Adds a result to those before it.
pub(super) fn push_result(messages: &mut Vec<Message>, result: ToolResult) {
    match messages.last_mut() {
        Some(Message::Results(results)) => results.push(result),
        _ => messages.push(Message::Results(vec![result])),
    }
}

fn finish(reply: &Reply) -> &'static str {
    match (reply.refused, reply.calls.is_empty()) {
        (true, _) => "content_filter",
        (_, false) => "tool_calls",
        (_, true) => "stop",
    }
}

fn usage(reply: &Reply) -> Value {
    json!({
        "prompt_tokens": reply.tokens_in,
        "completion_tokens": reply.tokens_out,
        "total_tokens": reply.tokens_in + reply.tokens_out,
    })
}

pub(super) fn encode_reply(reply: &Reply) -> Value {
    json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "choices": [{ "index": 0, "message": model(&reply.text, &reply.calls), "finish_reason": finish(reply) }],
        "usage": usage(reply),
    })
}

pub(super) fn encode_events(reply: &Reply) -> Vec<(Option<&'static str>, String)> {
    let chunk = |delta: Value, finish: Value| {
        json!({
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        })
    };
    let mut events = vec![chunk(
        json!({ "role": "assistant", "content": "" }),
        Value::Null,
    )];
    for part in super::stream::pieces(&reply.text) {
        events.push(chunk(json!({ "content": part }), Value::Null));
    }
    for (index, one) in reply.calls.iter().enumerate() {
        let function = json!({ "name": one.name, "arguments": "" });
        let head =
            json!({ "index": index, "id": one.id, "type": "function", "function": function });
        events.push(chunk(json!({ "tool_calls": [head] }), Value::Null));
        let whole = written(&one.arguments);
        for part in super::stream::pieces(&whole) {
            let more = json!({ "index": index, "function": { "arguments": part } });
            events.push(chunk(json!({ "tool_calls": [more] }), Value::Null));
        }
    }
    events.push(chunk(json!({}), finish(reply).into()));
    events.push(json!({ "object": "chat.completion.chunk", "choices": [], "usage": usage(reply) }));
    let mut all: Vec<_> = events
        .iter()
        .map(|event| (None, event.to_string()))
        .collect();
    all.push((None, "[DONE]".to_owned()));
    all
}
