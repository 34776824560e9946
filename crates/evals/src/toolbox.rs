//! Tools behind an MCP endpoint.

use std::time::Duration;

use airside_base::BoxFuture;
use airside_mcp::{
    client::{Choice, Client, Error, Options},
    reply::List,
};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use url::Url;

use crate::{agent::Toolbox, suite::Probe, tool::Tool, trace::Answer};

/// Member of `_meta` that names the sandbox of a conversation.
const SANDBOX: &str = "airside/sandbox";

/// A connection to an MCP endpoint.
#[derive(Debug)]
pub struct Server {
    client: Client,
    tools: Vec<Tool>,
    version: Value,
}

impl Server {
    /// Connects and lists the tools.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`] and [`Client::list`].
    pub async fn connect(
        url: &Url,
        era: Choice,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let options = Options {
            era,
            name: "airside-eval".to_owned(),
            headers,
            timeout,
            ..Options::default()
        };
        let client = Client::connect(url, options).await?;
        let items = client.list(List::Tools).await?;
        let tools: Result<Vec<Value>, Error> = items.iter().map(|item| item.read()).collect();
        let server: Value = serde_json::from_slice(client.server()).unwrap_or_default();
        let info = server
            .get("serverInfo")
            .or_else(|| server.pointer("/_meta/serverInfo"));
        Ok(Self {
            version: info.cloned().unwrap_or_default(),
            tools: tools?.into_iter().filter_map(Tool::read).collect(),
            client,
        })
    }

    /// Returns the tools, in the order of the server.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Returns what the server says that it is.
    #[must_use]
    pub fn version(&self) -> &Value {
        &self.version
    }

    /// Returns the tools of one conversation: its calls name `sandbox`.
    #[must_use]
    pub fn sandbox<'a>(&'a self, sandbox: &'a str, probes: &'a [Probe]) -> Sandbox<'a> {
        Sandbox {
            server: self,
            sandbox,
            probes,
        }
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.client.close().await;
    }
}

/// The tools of one conversation.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox<'a> {
    server: &'a Server,
    sandbox: &'a str,
    probes: &'a [Probe],
}

impl Toolbox for Sandbox<'_> {
    fn call<'a>(
        &'a self,
        tool: &'a str,
        arguments: &'a Value,
    ) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async move {
            let params = json!({
                "name": tool,
                "arguments": arguments,
                "_meta": { SANDBOX: self.sandbox },
            });
            let reply = match self.server.client.call("tools/call", &params).await {
                Ok(reply) => reply,
                // What the gateway or the server refuses, the model may read and mend.
                Err(Error::Rpc(error)) => {
                    return Ok(Answer {
                        text: error.message,
                        structured: None,
                        is_error: true,
                    });
                }
                Err(error) => return Err(error.fault().public().to_owned()),
            };
            let result: Value = reply
                .read()
                .map_err(|error| error.fault().public().to_owned())?;
            let texts = reply.text().unwrap_or_default();
            Ok(Answer {
                text: texts.join("\n"),
                structured: result.get("structuredContent").cloned(),
                is_error: reply.is_error(),
            })
        })
    }

    fn state(&self) -> BoxFuture<'_, Result<Option<Value>, String>> {
        Box::pin(async move {
            if self.probes.is_empty() {
                return Ok(None);
            }
            let mut state = Map::new();
            for probe in self.probes {
                let arguments = Value::Object(probe.args.clone());
                let answer = self.call(&probe.tool, &arguments).await?;
                if answer.is_error {
                    return Err(format!("`{}` reports an error", probe.tool));
                }
                state.insert(probe.name.clone(), answer.value());
            }
            Ok(Some(Value::Object(state)))
        })
    }
}
