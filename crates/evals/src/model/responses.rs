//! OpenAI responses.

use serde_json::{Value, json};

use super::{
    Message, Reply, Request, ToolCall, ToolResult, arguments, chat::push_result, list, number,
    text, written,
};
use crate::{tool::Tool, trace::Breach};

pub(super) fn encode(request: &Request) -> Value {
    let mut input = Vec::new();
    for message in &request.messages {
        match message {
            Message::User(text) => input.push(json!({ "role": "user", "content": text })),
            Message::Model { text, calls } => input.extend(items(text, calls)),
            Message::Results(results) => input.extend(results.iter().map(|result| {
                json!({ "type": "function_call_output", "call_id": result.id, "output": result.text })
            })),
        }
    }
    let tools: Vec<Value> = request
        .tools
        .iter()
        .map(|tool| {
            json!({
                "type": "function",
                "name": tool.name(),
                "description": tool.description(),
                "parameters": tool.input_schema(),
                "strict": false,
            })
        })
        .collect();
    json!({
        "model": request.model,
        "instructions": request.system,
        "input": input,
        "tools": tools,
        "store": false,
    })
}

fn items(text: &str, calls: &[ToolCall]) -> Vec<Value> {
    let mut items = Vec::new();
    if !text.is_empty() {
        items.push(json!({
            "type": "message",
            "role": "assistant",
            "content": [{ "type": "output_text", "text": text, "annotations": [] }],
        }));
    }
    items.extend(calls.iter().map(|call| {
        json!({
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": written(&call.arguments),
        })
    }));
    items
}

fn read_call(item: &Value) -> ToolCall {
    ToolCall {
        id: text(item, "call_id").to_owned(),
        name: text(item, "name").to_owned(),
        arguments: arguments(text(item, "arguments")),
    }
}

pub(super) fn decode(body: &Value) -> Result<Reply, Breach> {
    let mut reply = Reply {
        tokens_in: number(body, "/usage/input_tokens"),
        tokens_out: number(body, "/usage/output_tokens"),
        ..Reply::default()
    };
    for item in list(body, "output") {
        match text(item, "type") {
            "function_call" => reply.calls.push(read_call(item)),
            "message" if text(item, "role") != "assistant" => return Err(Breach::WrongOrder),
            "message" => {
                for part in list(item, "content") {
                    reply.refused |= text(part, "type") == "refusal";
                    reply.text.push_str(text(part, "text"));
                    reply.text.push_str(text(part, "refusal"));
                }
            }
            // Reasoning and items that are new tomorrow are not the model's answer.
            _ => {}
        }
    }
    Ok(reply)
}

pub(super) fn decode_request(body: &Value) -> Option<Request> {
    let mut request = Request {
        system: text(body, "instructions").to_owned(),
        ..Request::default()
    };
    if let Some(asked) = body.get("input").and_then(Value::as_str) {
        request.messages.push(Message::User(asked.to_owned()));
    }
    for item in list(body, "input") {
        match (text(item, "type"), text(item, "role")) {
            ("function_call", _) => match request.messages.last_mut() {
                Some(Message::Model { calls, .. }) => calls.push(read_call(item)),
                _ => request.messages.push(Message::Model {
                    text: String::new(),
                    calls: vec![read_call(item)],
                }),
            },
            ("function_call_output", _) => push_result(
                &mut request.messages,
                ToolResult {
                    id: text(item, "call_id").to_owned(),
                    text: text(item, "output").to_owned(),
                    is_error: false,
                },
            ),
            (_, "user") => {
                request
                    .messages
                    .push(Message::User(text(item, "content").to_owned()));
            }
            (_, "assistant") => {
                let parts = list(item, "content").iter().map(|part| text(part, "text"));
                request.messages.push(Message::Model {
                    text: parts.collect(),
                    calls: Vec::new(),
                });
            }
            _ => return None,
        }
    }
    let tools = list(body, "tools").iter().filter_map(|tool| {
        Tool::read(json!({
            "name": tool.get("name")?,
            "description": text(tool, "description"),
            "inputSchema": tool.get("parameters").unwrap_or(&Value::Null),
        }))
    });
    request.tools = tools.collect();
    Some(request)
}

pub(super) fn encode_reply(reply: &Reply) -> Value {
    let mut output = items(&reply.text, &reply.calls);
    if reply.refused {
        let refusal = json!({ "type": "refusal", "refusal": reply.text });
        output = vec![json!({ "type": "message", "role": "assistant", "content": [refusal] })];
    }
    json!({
        "id": "resp_scripted",
        "object": "response",
        "status": "completed",
        "output": output,
        "usage": { "input_tokens": reply.tokens_in, "output_tokens": reply.tokens_out },
    })
}

pub(super) fn encode_events(reply: &Reply) -> Vec<(Option<&'static str>, String)> {
    let whole = encode_reply(reply);
    let mut events = Vec::new();
    let mut push = |name: &'static str, event: Value| events.push((Some(name), event.to_string()));
    push(
        "response.created",
        json!({ "type": "response.created", "response": { "status": "in_progress" } }),
    );
    for (index, item) in list(&whole, "output").iter().enumerate() {
        push(
            "response.output_item.added",
            json!({ "type": "response.output_item.added", "output_index": index, "item": { "type": text(item, "type") } }),
        );
        for part in super::stream::pieces(text(item, "arguments")) {
            push(
                "response.function_call_arguments.delta",
                json!({ "type": "response.function_call_arguments.delta", "output_index": index, "delta": part }),
            );
        }
        for part in list(item, "content")
            .iter()
            .flat_map(|part| super::stream::pieces(text(part, "text")))
        {
            push(
                "response.output_text.delta",
                json!({ "type": "response.output_text.delta", "output_index": index, "delta": part }),
            );
        }
        push(
            "response.output_item.done",
            json!({ "type": "response.output_item.done", "output_index": index, "item": item }),
        );
    }
    push(
        "response.completed",
        json!({ "type": "response.completed", "response": whole }),
    );
    events
}
