//! What those hear whose message does not pass.

use airside_base::{Fault, Kind};
use airside_mcp::{Body, Failure, body::json_response, codes};
use airside_screen::{Group, Rule};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

/// Why a message goes no further.
#[derive(Debug)]
pub struct Stop(pub(crate) Fault);

impl Stop {
    pub(crate) fn blocked(rule: &Rule) -> Self {
        let what = match rule.group {
            Group::Card => "payment card numbers may not be sent to this tool",
            Group::Secret => "credentials may not be sent to this tool",
            Group::Personal => "personal data of this kind may not be sent to this tool",
            Group::Hidden => "text with hidden characters may not be sent to this tool",
            Group::Instruction | Group::Payload => "text of this kind may not be sent to this tool",
        };
        let hint = format!("remove it and call again (rule {})", rule.id);
        Self(Fault::new(Kind::Invalid, "GW-076", what).with_hint(hint))
    }

    pub(crate) fn unredactable() -> Self {
        let what = "an argument that a header repeats holds what may not be sent to this tool";
        Self(Fault::new(Kind::Invalid, "GW-076", what).with_hint("remove it and call again"))
    }

    pub(crate) fn misfit(violations: &[String]) -> Self {
        let what = format!(
            "the arguments do not fit the input schema of the tool: {}",
            violations.join("; ")
        );
        Self(
            Fault::new(Kind::Invalid, "GW-075", what)
                .with_hint("correct them by the tool's inputSchema and call again"),
        )
    }

    pub(crate) fn answer_blocked() -> Self {
        let what = "the answer of the server was not passed on: it holds what may not pass";
        Self(Fault::new(Kind::Forbidden, "GW-077", what))
    }

    pub(crate) fn unclassified() -> Self {
        let what = "the answer of the server was not passed on: it could not be classified";
        Self(Fault::new(Kind::Unavailable, "GW-078", what))
    }

    /// Returns the texts and the stable code.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.0
    }

    /// Returns the message that answers the request `id`. What goes wrong with a tool is
    /// a result, which the model that called it gets to see.
    pub(crate) fn message(self, id: Option<&str>, is_tool: bool) -> (StatusCode, Bytes) {
        if let (true, Some(id)) = (is_tool, id) {
            let hint = self
                .0
                .hint()
                .map(|hint| format!(" {hint}."))
                .unwrap_or_default();
            let text = format!("{}.{hint} [{}]", self.0.public(), self.0.code());
            let result = json!({
                "resultType": "complete",
                "content": [{"type": "text", "text": text}],
                "isError": true,
                "_meta": {"airside/refusal": {"code": self.0.code()}},
            });
            let body = airside_mcp::result_body(id, result.to_string().as_bytes());
            return (StatusCode::OK, body);
        }
        let failure = self.failure();
        (failure.status(), failure.body(id))
    }

    /// Returns what is answered as a JSON-RPC error.
    pub(crate) fn failure(self) -> Failure {
        Failure::new(StatusCode::OK, codes::INVALID_PARAMS, self.0)
    }

    /// Returns the answer to the call `id`.
    #[must_use]
    pub fn answer(self, id: Option<&str>, is_tool: bool) -> Response<Body> {
        let (status, message) = self.message(id, is_tool);
        json_response(status, message)
    }
}
