//! The loop between a model and its tools.
//!
//! # Invariants
//!
//! * A conversation always ends with a [`Trace`] that says how; nothing that a model or
//!   a tool does ends anything else.
//! * A mistake in a call (a tool that there is not, arguments that are not JSON) is told
//!   to the model once, as hosts do; the second ends the conversation.

use std::time::Duration;

use airside_base::{BoxFuture, Clock};
use futures_util::future::join_all;
use serde_json::{Map, Value};

use crate::{
    model::{Message, Model, ModelError, Reply, Request, ToolCall, ToolResult},
    state::{Change, diff},
    tool::Tool,
    trace::{Answer, Arguments, Breach, Call, End, Step, Trace, Turn, Usage},
    view::{Deed, Observed},
};

/// Tools that a conversation may use.
pub trait Toolbox: Send + Sync {
    /// Calls a tool, for a user who has said `words`.
    ///
    /// # Errors
    ///
    /// Why nothing is known about the call: the server or the way to it failed.
    fn call<'a>(
        &'a self,
        words: &'a str,
        tool: &'a str,
        arguments: &'a Value,
    ) -> BoxFuture<'a, Result<Answer, String>>;

    /// Has a person agree, as in the view of a tool, to what the last result asks
    /// consent for, and calls `tool` for that.
    ///
    /// # Errors
    ///
    /// As [`Toolbox::call`], and where nothing asks for consent.
    fn agree<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<Call, String>>;

    /// Does `deeds` in the view of the last tool that has one. Returns what the view
    /// called, and what was noticed about it.
    ///
    /// # Errors
    ///
    /// As [`Toolbox::call`], and where there is no view or nothing to show it with.
    fn view<'a>(
        &'a self,
        deeds: &'a [Deed],
    ) -> BoxFuture<'a, Result<(Vec<Call>, Observed), String>>;

    /// Brings the systems behind the tools into the state that conversations begin with.
    ///
    /// # Errors
    ///
    /// As [`Toolbox::call`].
    fn reset(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Returns what the systems behind the tools hold now; none where nothing shows it.
    ///
    /// # Errors
    ///
    /// As [`Toolbox::call`].
    fn state(&self) -> BoxFuture<'_, Result<Option<Value>, String>>;
}

/// What a conversation may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests to the model in one turn.
    pub steps: u64,
    /// The whole conversation.
    pub wall: Duration,
    /// US dollars for a million tokens in.
    pub price_in: f64,
    /// US dollars for a million tokens out.
    pub price_out: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 20,
            wall: Duration::from_secs(300),
            price_in: 0.0,
            price_out: 0.0,
        }
    }
}

/// One conversation to be had.
#[derive(Clone, Copy)]
pub struct Conversation<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// The tools.
    pub toolbox: &'a dyn Toolbox,
    /// Tools that the model is shown, in order.
    pub tools: &'a [Tool],
    /// Name of the model.
    pub name: &'a str,
    /// What the model is told to be.
    pub system: &'a str,
    /// Sampling parameters.
    pub params: &'a Map<String, Value>,
    /// Names the case and trial.
    pub lane: &'a str,
    /// What it may take.
    pub limits: Limits,
    /// Measures it.
    pub clock: &'a dyn Clock,
    /// The budgets of the run that it is part of.
    pub purse: &'a dyn Purse,
}

/// Budgets that several conversations share.
pub trait Purse: Sync {
    /// Returns the limit that is reached, if one is: no further request is made.
    fn over(&self) -> Option<&'static str>;

    /// Notes what one request has cost.
    fn spend(&self, tokens: u64, usd: f64);
}

/// What the user does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act<'a> {
    /// Says something to the model.
    Ask(&'a str),
    /// Agrees, in the view, to what was shown last: the tool that confirms.
    Agree(&'a str),
    /// Does this in the view that was shown last.
    View(&'a [Deed]),
}

/// Most calls that a model may make at once.
const MAX_CALLS: usize = 64;
/// Mistakes in calls that are told to the model.
const SLIPS: u32 = 1;

impl Conversation<'_> {
    /// Has the conversation, in which the user does `acts` one after the other.
    pub async fn run(&self, acts: &[Act<'_>]) -> Trace {
        let started = self.clock.monotonic();
        let mut trace = Trace::default();
        let held = tokio::time::timeout(self.limits.wall, self.turns(acts, &mut trace)).await;
        match held {
            Ok(Ok(())) => {}
            Ok(Err(end)) => trace.end = end,
            Err(_) => trace.end = End::Capped("the time of one conversation".to_owned()),
        }
        let wall = self.clock.monotonic().saturating_sub(started);
        trace.usage.wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        trace
    }

    async fn turns(&self, acts: &[Act<'_>], trace: &mut Trace) -> Result<(), End> {
        let reset = self.toolbox.reset().await;
        reset.map_err(|why| End::Invalid(format!("the state cannot be reset: {why}")))?;
        let first = self.state().await?;
        let mut before = first.clone();
        let mut messages = Vec::new();
        let mut words = Words::default();
        for act in acts {
            trace.turns.push(Turn::default());
            let ended = match act {
                Act::Ask(ask) => {
                    messages.push(Message::User((*ask).to_owned()));
                    words.said(ask);
                    if let Some(turn) = trace.turns.last_mut() {
                        (*ask).clone_into(&mut turn.asked);
                    }
                    self.turn(&mut messages, trace, &mut words).await
                }
                Act::Agree(tool) => self.agreement(tool, trace).await,
                Act::View(deeds) => self.visit(deeds, trace).await,
            };
            let after = self.state().await?;
            if let Some(turn) = trace.turns.last_mut() {
                turn.changes = changes(before.as_ref(), after.as_ref());
            }
            trace.changes = changes(first.as_ref(), after.as_ref());
            before = after;
            ended?;
        }
        Ok(())
    }

    async fn state(&self) -> Result<Option<Value>, End> {
        let state = self.toolbox.state().await;
        state.map_err(|why| End::Invalid(format!("the state cannot be read: {why}")))
    }

    async fn agreement(&self, tool: &str, trace: &mut Trace) -> Result<(), End> {
        let call = self.toolbox.agree(tool).await;
        let call = call.map_err(End::Invalid)?;
        if let Some(turn) = trace.turns.last_mut() {
            turn.steps.push(Step::Bridged(call));
        }
        Ok(())
    }

    async fn visit(&self, deeds: &[Deed], trace: &mut Trace) -> Result<(), End> {
        let visited = self.toolbox.view(deeds).await;
        let (calls, seen) = visited.map_err(End::Invalid)?;
        if let Some(turn) = trace.turns.last_mut() {
            turn.steps.extend(calls.into_iter().map(Step::Bridged));
            turn.view = Some(seen);
        }
        Ok(())
    }

    async fn turn(
        &self,
        messages: &mut Vec<Message>,
        trace: &mut Trace,
        words: &mut Words,
    ) -> Result<(), End> {
        for _ in 0..self.limits.steps {
            if let Some(what) = self.purse.over() {
                return Err(End::Capped(what.to_owned()));
            }
            let request = Request {
                model: self.name.to_owned(),
                system: self.system.to_owned(),
                messages: std::mem::take(messages),
                tools: self.tools.to_vec(),
                params: self.params.clone(),
            };
            let reply = self.model.complete(&request, self.lane).await;
            *messages = request.messages;
            trace.usage.requests += 1;
            let reply = reply.map_err(ending)?;
            self.count(&reply, &mut trace.usage);
            let Some(turn) = trace.turns.last_mut() else {
                return Ok(());
            };
            if !reply.text.is_empty() {
                turn.steps.push(Step::Said(reply.text.clone()));
            }
            if reply.refused {
                return Err(End::Broken(Breach::Refusal));
            }
            if reply.calls.is_empty() {
                if reply.text.trim().is_empty() {
                    return Err(End::Broken(Breach::EmptyAnswer));
                }
                messages.push(Message::Model {
                    text: reply.text,
                    calls: Vec::new(),
                });
                return Ok(());
            }
            if reply.calls.len() > MAX_CALLS {
                return Err(End::Broken(Breach::TooLarge));
            }
            let results = self.calls(&reply.calls, turn, words).await?;
            messages.push(Message::Model {
                text: reply.text,
                calls: reply.calls,
            });
            messages.push(Message::Results(results));
        }
        Err(End::Broken(Breach::EndlessLoop))
    }

    fn count(&self, reply: &Reply, usage: &mut Usage) {
        usage.tokens_in += reply.tokens_in;
        usage.tokens_out += reply.tokens_out;
        let million = |tokens: u64| crate::stats::ratio(tokens, 1_000_000);
        let usd = million(reply.tokens_in) * self.limits.price_in
            + million(reply.tokens_out) * self.limits.price_out;
        usage.usd += usd;
        self.purse.spend(reply.tokens_in + reply.tokens_out, usd);
    }

    /// Carries out calls that the model made at once.
    async fn calls(
        &self,
        calls: &[ToolCall],
        turn: &mut Turn,
        words: &mut Words,
    ) -> Result<Vec<ToolResult>, End> {
        let answers = join_all(calls.iter().map(|call| self.call(&words.text, call))).await;
        let mut results = Vec::new();
        let mut broken = None;
        for (call, answer) in calls.iter().zip(answers) {
            let (answer, slip) = answer.map_err(End::Invalid)?;
            if let Some(breach) = slip {
                words.slips += 1;
                broken = broken.or((words.slips > SLIPS).then_some(breach));
            }
            results.push(ToolResult {
                id: call.id.clone(),
                text: answer.text.clone(),
                is_error: answer.is_error,
            });
            turn.steps.push(Step::Called(Call {
                tool: call.name.clone(),
                arguments: call.arguments.clone(),
                answer: Some(answer),
            }));
        }
        match broken {
            Some(breach) => Err(End::Broken(breach)),
            None => Ok(results),
        }
    }

    async fn call(&self, words: &str, call: &ToolCall) -> Result<(Answer, Option<Breach>), String> {
        let mistake = |text: String, breach| {
            let answer = Answer {
                text,
                structured: None,
                is_error: true,
            };
            Ok((answer, Some(breach)))
        };
        if !self.tools.iter().any(|tool| tool.name() == call.name) {
            let text = format!("there is no tool `{}`", call.name);
            return mistake(text, Breach::UnknownTool);
        }
        match &call.arguments {
            Arguments::Unreadable(_) => mistake(
                "the arguments are not a JSON object".to_owned(),
                Breach::InvalidArguments,
            ),
            Arguments::Json(arguments) => {
                let answer = self.toolbox.call(words, &call.name, arguments).await?;
                Ok((answer, None))
            }
        }
    }
}

/// What a conversation keeps besides its messages.
#[derive(Debug, Default)]
struct Words {
    /// Everything that the user has said.
    text: String,
    /// Mistakes in calls so far.
    slips: u32,
}

impl Words {
    fn said(&mut self, ask: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(ask);
    }
}

fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    match (before, after) {
        (Some(before), Some(after)) => diff(before, after),
        _ => Vec::new(),
    }
}

fn ending(error: ModelError) -> End {
    match error {
        ModelError::Broken(breach) => End::Broken(breach),
        error => End::Invalid(error.to_string()),
    }
}
