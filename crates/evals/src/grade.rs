//! Grades a conversation against what a suite expects.
//!
//! # Invariants
//!
//! * Grading is pure and total: every trace gets a verdict, and every verdict but a pass
//!   carries machine-readable reasons.
//! * A trace that shows nothing about the model is invalid, whatever is in it; it is
//!   never a pass or a fail.

mod calls;
mod said;
mod state;

use std::{borrow::Cow, collections::BTreeMap};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    expect::{Budget, Expect},
    matcher::Scope,
    state::Change,
    tool::Tools,
    trace::{Call, End, Trace, Turn, Usage},
};

/// What a conversation is judged to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that was expected holds.
    Pass,
    /// Something does not hold.
    Fail,
    /// A limit was reached before it could be known.
    Inconclusive,
    /// Nothing was shown about the model.
    Invalid,
}

impl Verdict {
    /// Returns the verdict as reports show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Invalid => "invalid",
        }
    }
}

/// A verdict with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grade {
    /// The verdict.
    pub verdict: Verdict,
    /// What does not hold. Empty for a pass.
    pub reasons: Vec<Reason>,
}

/// One thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The kind: `missing`, `extra`, `order`, `arg`, `status`, `state`, `answer`,
    /// `budget`, `widget`, `broken`, `unfinished`, `capped` or `invalid`.
    pub code: Cow<'static, str>,
    /// Where: a tool, an argument, a place in the state, a text.
    pub at: String,
    /// What was wanted there or what is there instead.
    pub detail: String,
}

impl Reason {
    pub(crate) fn new(
        code: &'static str,
        at: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            code: Cow::Borrowed(code),
            at: at.into(),
            detail: detail.into(),
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.code, self.at)?;
        match self.detail.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.detail),
        }
    }
}

impl Grade {
    fn of(reasons: Vec<Reason>) -> Self {
        let verdict = match reasons.is_empty() {
            true => Verdict::Pass,
            false => Verdict::Fail,
        };
        Self { verdict, reasons }
    }

    /// Returns the verdict of several parts of one case: the gravest wins, where what
    /// shows nothing outweighs what was not finished, and that a failure.
    #[must_use]
    pub fn joined(parts: Vec<Self>) -> Self {
        let verdict = parts.iter().map(|part| part.verdict).max();
        Self {
            verdict: verdict.unwrap_or(Verdict::Pass),
            reasons: parts.into_iter().flat_map(|part| part.reasons).collect(),
        }
    }
}

/// What grading needs to know besides the conversation.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The tools that there are, and sets of them.
    pub tools: Tools<'a>,
    /// The day on which the conversation takes place.
    pub today: Option<Date>,
    /// Values that earlier turns saved, by name.
    pub saved: &'a BTreeMap<String, Value>,
}

impl Context<'_> {
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            today: self.today,
            saved: Cow::Borrowed(self.saved),
            beside: None,
        }
    }
}

/// What an expectation is about: a whole conversation or one turn.
struct Part<'a> {
    calls: Vec<&'a Call>,
    bridged: Vec<&'a Call>,
    said: Vec<&'a str>,
    changes: &'a [Change],
    usage: Option<Usage>,
}

/// Grades a whole conversation.
#[must_use]
pub fn grade(expect: &Expect, trace: &Trace, context: Context<'_>) -> Grade {
    if let Some(grade) = ending(&trace.end) {
        return grade;
    }
    Grade::of(reasons(
        expect,
        &Part {
            calls: trace.calls().collect(),
            bridged: trace.turns.iter().flat_map(Turn::bridged).collect(),
            said: trace.said().collect(),
            changes: &trace.changes,
            usage: Some(trace.usage),
        },
        context,
    ))
}

/// Grades one turn of a conversation.
#[must_use]
pub fn grade_turn(expect: &Expect, turn: &Turn, context: Context<'_>) -> Grade {
    Grade::of(reasons(
        expect,
        &Part {
            calls: turn.calls().collect(),
            bridged: turn.bridged().collect(),
            said: turn.said().collect(),
            changes: &turn.changes,
            usage: None,
        },
        context,
    ))
}

/// Grades a conversation by the way it ended, where that decides.
#[must_use]
pub fn ending(end: &End) -> Option<Grade> {
    let (verdict, reason) = match end {
        End::Done => return None,
        End::Unfinished(what) => (Verdict::Fail, Reason::new("unfinished", what, "")),
        End::Broken(breach) => (Verdict::Fail, Reason::new("broken", breach.name(), "")),
        End::Capped(what) => (Verdict::Inconclusive, Reason::new("capped", what, "")),
        End::Invalid(why) => (Verdict::Invalid, Reason::new("invalid", why, "")),
    };
    Some(Grade {
        verdict,
        reasons: vec![reason],
    })
}

fn reasons(expect: &Expect, part: &Part<'_>, context: Context<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(calls) = &expect.calls {
        calls::check(calls, &part.calls, context, &mut reasons);
    }
    if let Some(bridge) = &expect.bridge {
        calls::each_is_met(bridge, &part.bridged, context, &mut reasons);
    }
    if let Some(state) = &expect.state {
        state::check(&state.0, part.changes, context, &mut reasons);
    }
    if let Some(answer) = &expect.answer {
        let last = part.said.last().copied().unwrap_or_default();
        said::check(answer, &[last], context, &mut reasons);
    }
    if let Some(text) = &expect.said {
        said::check(text, &part.said, context, &mut reasons);
    }
    if let (Some(budget), Some(usage)) = (&expect.budget, &part.usage) {
        within_budget(budget, usage, &mut reasons);
    }
    reasons
}

fn within_budget(budget: &Budget, usage: &Usage, reasons: &mut Vec<Reason>) {
    let mut over = |what: &str, is: u64, most: Option<u64>| {
        if let Some(most) = most.filter(|most| is > *most) {
            reasons.push(Reason::new("budget", what, format!("{is} of {most}")));
        }
    };
    over("requests", usage.requests, budget.requests);
    over("tokens", usage.tokens_in + usage.tokens_out, budget.tokens);
    over("wall_ms", usage.wall_ms, budget.wall_ms);
    if let Some(most) = budget.usd.filter(|most| usage.usd > *most) {
        let detail = format!("{:.4} of {most:.4}", usage.usd);
        reasons.push(Reason::new("budget", "usd", detail));
    }
}

#[cfg(test)]
mod tests;
