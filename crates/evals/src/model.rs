//! Models behind three wire formats: OpenAI chat completions, OpenAI responses and
//! Anthropic messages.
//!
//! # Invariants
//!
//! * A request has one neutral form ([`Request`]); the formats are pure functions from it
//!   and back, so a server of our own speaks them with the same code.
//! * Whatever a model sends is read within bounds and becomes a [`Reply`] or a named
//!   [`Breach`]; it never ends the run.
//! * A request is repeated only where it was certainly not answered: no connection, 429,
//!   5xx.

mod anthropic;
mod chat;
mod client;
mod names;
mod responses;
mod stream;

use airside_base::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    tool::Tool,
    trace::{Arguments, Breach},
};

pub use self::client::{Endpoint, HttpModel, SetupError};
pub(crate) use self::names::Names;

/// The wire format of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// `POST /chat/completions`.
    OpenaiChat,
    /// `POST /responses`.
    OpenaiResponses,
    /// `POST /messages`.
    Anthropic,
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// Name of the model.
    pub model: String,
    /// What it is told to be.
    pub system: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The tools that it may call.
    pub tools: Vec<Tool>,
    /// Sampling parameters, as the wire format names them.
    pub params: Map<String, Value>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// Of the user.
    User(String),
    /// Of the model.
    Model {
        /// What it said.
        text: String,
        /// What it called.
        calls: Vec<ToolCall>,
    },
    /// What tools answered to the calls before.
    Results(Vec<ToolResult>),
}

/// A call that a model makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Ties the result to the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Arguments,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// Id of the call.
    pub id: String,
    /// What the model reads.
    pub text: String,
    /// Whether it is an error.
    pub is_error: bool,
}

/// What a model answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reply {
    /// What it says.
    #[serde(default)]
    pub text: String,
    /// What it calls, several at once if it likes.
    #[serde(default)]
    pub calls: Vec<ToolCall>,
    /// Whether its provider says that it refused.
    #[serde(default)]
    pub refused: bool,
    /// Tokens that went in.
    #[serde(default)]
    pub tokens_in: u64,
    /// Tokens that came out.
    #[serde(default)]
    pub tokens_out: u64,
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The model broke off, or broke the protocol: about the model.
    #[error("the model ended with {}", .0.name())]
    Broken(Breach),
    /// Nothing was learnt about the model: its provider did not answer or refused.
    #[error("{0}")]
    Provider(String),
    /// There is no recording of this request. What differs from the nearest one is said.
    #[error("no recording of this request: {0}")]
    NotRecorded(String),
}

/// Something that answers as a model does.
pub trait Model: Send + Sync {
    /// Answers one request. `lane` names the case and trial, so that recordings of
    /// repeated requests keep apart.
    fn complete<'a>(
        &'a self,
        request: &'a Request,
        lane: &'a str,
    ) -> BoxFuture<'a, Result<Reply, ModelError>>;
}

impl Api {
    /// Returns where requests of this format go, below the base URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::OpenaiChat => "/chat/completions",
            Self::OpenaiResponses => "/responses",
            Self::Anthropic => "/messages",
        }
    }

    /// Returns the body of a request.
    pub(crate) fn encode(self, request: &Request, stream: bool) -> Value {
        let mut body = match self {
            Self::OpenaiChat => chat::encode(request, stream),
            Self::OpenaiResponses => responses::encode(request),
            Self::Anthropic => anthropic::encode(request),
        };
        if let Value::Object(fields) = &mut body {
            fields.insert("stream".to_owned(), stream.into());
            for (name, value) in &request.params {
                fields.insert(name.clone(), value.clone());
            }
        }
        body
    }

    /// Reads a body that is not streamed.
    pub(crate) fn decode(self, body: &Value) -> Result<Reply, Breach> {
        match self {
            Self::OpenaiChat => chat::decode(body),
            Self::OpenaiResponses => responses::decode(body),
            Self::Anthropic => anthropic::decode(body),
        }
    }

    /// Reads a request, as a server of this format does.
    pub(crate) fn decode_request(self, body: &Value) -> Option<Request> {
        let mut request = match self {
            Self::OpenaiChat => chat::decode_request(body)?,
            Self::OpenaiResponses => responses::decode_request(body)?,
            Self::Anthropic => anthropic::decode_request(body)?,
        };
        request.model = body.get("model")?.as_str()?.to_owned();
        Some(request)
    }

    /// Returns a reply, as a server of this format sends it.
    pub(crate) fn encode_reply(self, reply: &Reply) -> Value {
        match self {
            Self::OpenaiChat => chat::encode_reply(reply),
            Self::OpenaiResponses => responses::encode_reply(reply),
            Self::Anthropic => anthropic::encode_reply(reply),
        }
    }

    /// Returns the events of a reply that is streamed, with their names.
    pub(crate) fn encode_events(self, reply: &Reply) -> Vec<(Option<&'static str>, String)> {
        match self {
            Self::OpenaiChat => chat::encode_events(reply),
            Self::OpenaiResponses => responses::encode_events(reply),
            Self::Anthropic => anthropic::encode_events(reply),
        }
    }
}

/// The arguments of a call from the text that the model wrote.
fn arguments(written: &str) -> Arguments {
    if written.trim().is_empty() {
        return Arguments::Json(Value::Object(Map::new()));
    }
    match serde_json::from_str(written) {
        Ok(value @ Value::Object(_)) => Arguments::Json(value),
        _ => Arguments::Unreadable(written.to_owned()),
    }
}

/// The arguments of a call as text.
fn written(arguments: &Arguments) -> String {
    match arguments {
        Arguments::Json(value) => value.to_string(),
        Arguments::Unreadable(text) => text.clone(),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
