//! What happened in one conversation, in one form for every source.
//!
//! # Invariants
//!
//! * A trace knows nothing of who recorded it: runs of our own, imported recordings
//!   and replays are graded by the same code.
//! * What could not be read is kept as such ([`Arguments::Unreadable`], [`End`]) and
//!   never turned into something that looks like a choice of the model.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{state::Change, view::Observed};

/// One conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// What the user said and what followed, in order.
    pub turns: Vec<Turn>,
    /// What the whole conversation changed in the systems behind the tools.
    pub changes: Vec<Change>,
    /// How it ended.
    pub end: End,
    /// What it cost.
    #[serde(default)]
    pub usage: Usage,
}

/// One request of the user and what followed until the model was done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The user's words. Empty before a conversation that the model opens.
    pub asked: String,
    /// What the model said and called, in order.
    pub steps: Vec<Step>,
    /// What this turn changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What was noticed about the view that was used in this turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Observed>,
}

/// One thing that the model, or a view on its behalf, did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The model said something.
    Said(String),
    /// The model called a tool.
    Called(Call),
    /// A view of a tool called a tool, on a click of the user.
    Bridged(Call),
}

/// A call of a tool and what came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Name of the tool, as the model wrote it.
    pub tool: String,
    /// What the model passed.
    pub arguments: Arguments,
    /// What came back; none where the call was not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// Arguments of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arguments {
    /// A JSON value; an object, if the model keeps to the protocol.
    Json(Value),
    /// Text that is not JSON.
    Unreadable(String),
}

/// What a tool answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text that the model was given.
    pub text: String,
    /// The structured part, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// Whether the tool reported an error.
    #[serde(default)]
    pub is_error: bool,
}

impl Answer {
    /// Returns the structured part, or the text read as JSON, or the text.
    #[must_use]
    pub fn value(&self) -> Value {
        match &self.structured {
            Some(value) => value.clone(),
            None => serde_json::from_str(&self.text)
                .unwrap_or_else(|_| Value::String(self.text.clone())),
        }
    }
}

/// How a conversation ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The model was done.
    #[default]
    Done,
    /// A part of the conversation that has to end it is missing.
    Unfinished(String),
    /// The model did something that ends a conversation.
    Broken(Breach),
    /// A limit of the suite was reached.
    Capped(String),
    /// The trace shows nothing about the model: why.
    Invalid(String),
}

/// What a model did that ends a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// It kept calling tools up to the limit of steps.
    EndlessLoop,
    /// It answered nothing at all.
    EmptyAnswer,
    /// Its provider says that it refused.
    Refusal,
    /// Its answer was larger than is read.
    TooLarge,
    /// Its stream stopped before its end.
    Stalled,
    /// It called a tool that there is not, again after it was told.
    UnknownTool,
    /// It wrote arguments that are not a JSON object, again after it was told.
    InvalidArguments,
    /// Its messages came in an order that the protocol does not have.
    WrongOrder,
}

impl Breach {
    /// Returns the name as reports show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EndlessLoop => "endless-loop",
            Self::EmptyAnswer => "empty-answer",
            Self::Refusal => "refusal",
            Self::TooLarge => "too-large",
            Self::Stalled => "stalled",
            Self::UnknownTool => "unknown-tool",
            Self::InvalidArguments => "invalid-arguments",
            Self::WrongOrder => "wrong-order",
        }
    }
}

/// What a conversation cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests to the model.
    pub requests: u64,
    /// Tokens that went in.
    pub tokens_in: u64,
    /// Tokens that came out.
    pub tokens_out: u64,
    /// Price in US dollars.
    pub usd: f64,
    /// Milliseconds from the first request to the end.
    pub wall_ms: u64,
}

impl Usage {
    /// Adds what another conversation or request cost.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.tokens_in += other.tokens_in;
        self.tokens_out += other.tokens_out;
        self.usd += other.usd;
        self.wall_ms += other.wall_ms;
    }
}

impl Trace {
    /// Returns all calls in order, those of views included.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.turns.iter().flat_map(Turn::calls)
    }

    /// Returns everything that the model said, in order.
    pub fn said(&self) -> impl Iterator<Item = &str> {
        self.turns.iter().flat_map(Turn::said)
    }

    /// Returns the last thing that the model said, or an empty text.
    #[must_use]
    pub fn answer(&self) -> &str {
        let last = self.turns.iter().rev().find_map(|turn| turn.said().last());
        last.unwrap_or_default()
    }
}

impl Turn {
    /// Returns the calls of this turn in order, those of views included.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.steps.iter().filter_map(|step| match step {
            Step::Called(call) | Step::Bridged(call) => Some(call),
            Step::Said(_) => None,
        })
    }

    /// Returns the calls that views made in this turn, in order.
    pub fn bridged(&self) -> impl Iterator<Item = &Call> {
        self.steps.iter().filter_map(|step| match step {
            Step::Bridged(call) => Some(call),
            Step::Called(_) | Step::Said(_) => None,
        })
    }

    /// Returns what the model said in this turn, in order.
    pub fn said(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Said(text) => Some(text.as_str()),
            Step::Called(_) | Step::Bridged(_) => None,
        })
    }
}
