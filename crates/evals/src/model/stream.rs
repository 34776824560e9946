//! Puts streamed answers together into what they would be in one piece.

use serde_json::{Value, json};

use super::{Api, text};

/// Fewest characters of one piece of a stream that we send.
const PIECE: usize = 24;
/// About the most pieces of one text.
const MAX_PIECES: usize = 512;

/// Cuts a text into pieces.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let piece = PIECE.max(text.len() / MAX_PIECES);
    while !rest.is_empty() {
        let end = rest
            .char_indices()
            .nth(piece)
            .map_or(rest.len(), |(end, _)| end);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// An answer that comes in events.
#[derive(Debug)]
pub(super) struct Assembly {
    api: Api,
    /// What has come so far, as the format sends it in one piece.
    body: Value,
    is_complete: bool,
}

impl Assembly {
    pub(super) fn new(api: Api) -> Self {
        let body = match api {
            Api::OpenaiChat => {
                json!({ "choices": [{ "message": { "role": "assistant", "content": "", "tool_calls": [] } }] })
            }
            Api::OpenaiResponses => json!({ "output": [] }),
            Api::Anthropic => json!({ "role": "assistant", "content": [] }),
        };
        Self {
            api,
            body,
            is_complete: false,
        }
    }

    /// Takes the data of one event. Events that are not known are passed over.
    pub(super) fn take(&mut self, data: &[u8]) {
        if data == b"[DONE]" {
            self.is_complete = true;
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(data) else {
            return;
        };
        match self.api {
            Api::OpenaiChat => self.chat(&event),
            Api::OpenaiResponses => self.responses(event),
            Api::Anthropic => self.anthropic(&event),
        }
    }

    /// Returns the whole answer; none when the stream broke off.
    pub(super) fn finish(self) -> Option<Value> {
        self.is_complete.then_some(self.body)
    }

    fn chat(&mut self, event: &Value) {
        if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
            self.body["usage"] = usage.clone();
        }
        let Some(choice) = event.pointer("/choices/0") else {
            return;
        };
        if let Some(reason) = choice
            .get("finish_reason")
            .filter(|reason| reason.is_string())
        {
            self.body["choices"][0]["finish_reason"] = reason.clone();
            self.is_complete = true;
        }
        let Some(delta) = choice.get("delta") else {
            return;
        };
        let message = &mut self.body["choices"][0]["message"];
        if let Some(role) = delta.get("role") {
            message["role"] = role.clone();
        }
        for name in ["content", "refusal"] {
            append(&mut message[name], text(delta, name));
        }
        for part in super::list(delta, "tool_calls") {
            let index = super::number(part, "/index");
            let Some(call) = slot(&mut message["tool_calls"], index) else {
                continue;
            };
            if let Some(id) = part.get("id") {
                call["id"] = id.clone();
            }
            for name in ["name", "arguments"] {
                let more = part.pointer(&format!("/function/{name}"));
                append(
                    &mut call["function"][name],
                    more.and_then(Value::as_str).unwrap_or_default(),
                );
            }
        }
    }

    fn responses(&mut self, mut event: Value) {
        match text(&event, "type") {
            "response.output_item.done" => {
                let index = super::number(&event, "/output_index");
                if let Some(item) = slot(&mut self.body["output"], index) {
                    *item = event["item"].take();
                }
            }
            "response.completed" | "response.incomplete" => {
                self.body["usage"] = event["response"]["usage"].take();
                self.is_complete = true;
            }
            _ => {}
        }
    }

    fn anthropic(&mut self, event: &Value) {
        let index = super::number(event, "/index");
        match text(event, "type") {
            "message_start" => {
                let message = event.get("message").unwrap_or(&Value::Null);
                self.body["usage"] = message.get("usage").cloned().unwrap_or_else(|| json!({}));
                self.body["role"] = message.get("role").cloned().unwrap_or(Value::Null);
            }
            "content_block_start" => {
                let mut block = event.get("content_block").cloned().unwrap_or(Value::Null);
                if text(&block, "type") == "tool_use" {
                    block["input"] = "".into();
                }
                if let Some(place) = slot(&mut self.body["content"], index) {
                    *place = block;
                }
            }
            "content_block_delta" => {
                let delta = event.get("delta").unwrap_or(&Value::Null);
                if let Some(block) = slot(&mut self.body["content"], index) {
                    append(&mut block["text"], text(delta, "text"));
                    append(&mut block["input"], text(delta, "partial_json"));
                }
            }
            "message_delta" => {
                let reason = event.pointer("/delta/stop_reason").cloned();
                self.body["stop_reason"] = reason.unwrap_or(Value::Null);
                if let Some(out) = event.pointer("/usage/output_tokens") {
                    self.body["usage"]["output_tokens"] = out.clone();
                }
            }
            "message_stop" => self.is_complete = true,
            _ => {}
        }
    }
}

/// Adds text to a value that is a text or nothing yet.
fn append(place: &mut Value, more: &str) {
    if more.is_empty() {
        return;
    }
    match place {
        Value::String(text) => text.push_str(more),
        other => *other = more.into(),
    }
}

/// Most blocks or calls of one answer.
const MAX_SLOTS: u64 = 1024;

/// Returns the element at `index`, which grows the list.
fn slot(list: &mut Value, index: u64) -> Option<&mut Value> {
    let index = usize::try_from(index).ok().filter(|_| index < MAX_SLOTS)?;
    let elements = list.as_array_mut()?;
    while elements.len() <= index {
        elements.push(json!({}));
    }
    elements.get_mut(index)
}
