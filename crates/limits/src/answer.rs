//! What those hear who have used a budget up.

use std::sync::Arc;

use airside_mcp::{Body, Era, Failure, body, codes, result_body};
use airside_policy::limit::{Answer, Excess, Level};
use http::{Response, StatusCode};
use serde_json::json;

use crate::{Limit, grip::Fields, plan::Compiled};

/// A call that a limit refused.
#[derive(Debug)]
pub struct Limited {
    pub(crate) rule: Arc<Compiled>,
    pub(crate) level: Level,
    pub(crate) cost: u32,
    /// Whether the refusal gets an entry of its own; else it is counted.
    pub(crate) own_entry: bool,
}

impl Limited {
    fn excess(&self) -> Excess<'_> {
        Excess {
            rule: &self.rule.rule,
            level: self.level,
        }
    }

    /// Returns the answer as a JSON-RPC error.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let code = match self.rule.rule.answer {
            // A tool result needs a call; without one this is as good.
            Answer::Http | Answer::ToolResult => codes::EXHAUSTED,
            Answer::RateLimited => codes::RATE_LIMITED,
        };
        let rule = &self.rule.rule;
        Failure::new(StatusCode::TOO_MANY_REQUESTS, code, self.excess().fault())
            .with_data("limit", json!(&*rule.name))
            .with_data("quota", json!(rule.most()))
            .with_data("remaining", json!(self.level.remaining))
    }

    /// Returns the fields of the answer.
    #[must_use]
    pub fn fields(&self) -> Fields {
        Fields::of(&self.rule, self.level)
    }

    /// Returns whether the refusal gets an entry of its own; else it is counted.
    #[must_use]
    pub fn has_an_entry(&self) -> bool {
        self.own_entry
    }

    /// Returns what the record of the call says of the limit.
    #[must_use]
    pub fn noted(&self) -> Limit<'static> {
        self.rule.noted(self.cost, self.level)
    }

    /// Returns whether the model hears of it, as a result of the tool.
    #[must_use]
    pub fn tells_the_model(&self) -> bool {
        self.rule.rule.answer == Answer::ToolResult
    }

    /// Returns the answer to call `id` as a tool result that is an error, if that is
    /// what the rule asks for.
    #[must_use]
    pub fn result(&self, id: Option<&str>, method: &str, era: &Era) -> Option<Response<Body>> {
        let id = id.filter(|_| self.tells_the_model() && method == "tools/call")?;
        let excess = self.excess();
        let wait_ms = u64::try_from(excess.wait().as_millis()).unwrap_or(u64::MAX);
        let mut result = json!({
            "content": [{ "type": "text", "text": excess.sentence() }],
            "isError": true,
            "_meta": {
                "airside/limit": {
                    "code": excess.fault().code(),
                    "limit": &*self.rule.rule.name,
                    "retryAfterMs": wait_ms,
                    "remaining": self.level.remaining,
                },
            },
        });
        if let Era::Modern(_) = era {
            result["resultType"] = json!("complete");
        }
        let body = result_body(id, result.to_string().as_bytes());
        let mut response = body::json_response(StatusCode::OK, body);
        self.fields().put(response.headers_mut());
        Some(response)
    }
}
