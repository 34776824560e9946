//! Tools that answer from a script: an MCP server for suites whose systems are not at
//! hand.
//!
//! It speaks the handshake era without sessions, which every client can.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Shared;
use crate::matcher::{Matcher, Scope};

/// Revision that is spoken where a client names none.
const REVISION: &str = "2025-11-25";

/// One result and when it is given.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// The tool.
    pub tool: Matcher,
    /// Its arguments. Those that are not named may be anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Matcher>,
    /// Name of the sandbox, which begins with that of the run and holds that of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Matcher>,
    /// What the model reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The structured part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// Whether it is an error.
    #[serde(default)]
    pub is_error: bool,
    /// How often it is given; always, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

impl Given {
    pub(super) fn fits(&self, params: &Value) -> bool {
        let scope = Scope::default();
        let arguments = &params["arguments"];
        let sandbox = &params["_meta"]["airside/sandbox"];
        self.tool.holds(params.get("name"), &scope)
            && self
                .args
                .iter()
                .all(|(name, wanted)| wanted.holds(arguments.get(name), &scope))
            && self
                .sandbox
                .as_ref()
                .is_none_or(|wanted| wanted.holds(Some(sandbox), &scope))
    }

    fn result(&self) -> Value {
        let mut result = json!({
            "content": [{ "type": "text", "text": self.text }],
            "isError": self.is_error,
        });
        if let Some(structured) = &self.structured {
            result["structuredContent"] = structured.clone();
        }
        result
    }
}

/// Answers one message; none for a notification.
pub(super) async fn answer(shared: &Shared, message: &Value) -> Option<Value> {
    let id = message.get("id")?;
    let params = &message["params"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => {
            let revision = params["protocolVersion"].as_str().unwrap_or(REVISION);
            Ok(json!({
                "protocolVersion": revision,
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "airside-scripted", "version": env!("CARGO_PKG_VERSION") },
            }))
        }
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({ "tools": match &shared.planter {
            Some(planter) => planter.tools(),
            None => &shared.script.tools,
        } })),
        "tools/call" => match &shared.planter {
            Some(planter) => planter.call(params).await,
            None => match shared.given(params) {
                Some(given) => Ok(given.result()),
                None => Err((-32602, "the script has no result for this call".to_owned())),
            },
        },
        _ => Err((-32601, "there is no such method".to_owned())),
    };
    Some(match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err((code, text)) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } })
        }
    })
}
