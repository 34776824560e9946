//! Tools behind an MCP endpoint.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use airside_base::{BoxFuture, Clock, Redacted};
use airside_mcp::{
    client::{Choice, Client, Error, Options},
    reply::List,
};
use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    agent::Toolbox,
    suite::{Injection, Probes},
    tool::Tool,
    trace::{Answer, Arguments, Call},
    view::{Bridge, Browser, Deed, Observed, Page},
};

/// Member of `_meta` that names the sandbox of a conversation.
pub(crate) const SANDBOX: &str = "airside/sandbox";
/// Member of `_meta` that tells conversations of one caller apart.
pub(crate) const CONVERSATION: &str = "airside/conversation";
/// Member of `_meta` with what the user has said, for rules that ask for it.
const WORDS: &str = "airside/user-words";
/// Member of `_meta` that names the case whose attack is to be planted, and, in a
/// result, that it was.
pub(crate) const PLANT: &str = "airside/plant";
/// Type of a view (MCP Apps).
const VIEW: &str = "text/html;profile=mcp-app";
/// Member of a result's `_meta` with what the view needs to show consent.
const CONSENT: &str = "airside/consent";

/// Where the tools of conversations come from: a server, or a recording of one.
pub trait Stage: Send + Sync {
    /// Returns the tools, in the order of the server.
    fn tools(&self) -> &[Tool];

    /// Returns what the server says that it is.
    fn version(&self) -> &Value;

    /// Returns the tools of one conversation.
    fn open<'a>(&'a self, visit: Visit<'a>) -> Box<dyn Toolbox + 'a>;

    /// Ends the connection, where there is one.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// One conversation with tools.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// Names the case and trial.
    pub lane: &'a str,
    /// What its calls name as their sandbox.
    pub sandbox: &'a str,
    /// What shows and resets the state.
    pub probes: &'a Probes,
    /// The case.
    pub case: &'a str,
    /// What is planted in it.
    pub attack: Option<&'a Injection>,
}

impl Stage for Server {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    fn version(&self) -> &Value {
        &self.version
    }

    fn open<'a>(&'a self, visit: Visit<'a>) -> Box<dyn Toolbox + 'a> {
        Box::new(Sandbox {
            attack: visit.attack.map(|attack| (visit.case, attack)),
            ..self.sandbox(visit.sandbox, visit.probes)
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.client.close().await })
    }
}

/// A connection to an MCP endpoint.
#[derive(Debug)]
pub struct Server {
    client: Client,
    tools: Vec<Tool>,
    version: Value,
    eyes: Option<Eyes>,
    /// Whether calls pass on what the user has said.
    tells_words: bool,
}

/// What views are looked at with.
#[derive(Debug)]
pub struct Eyes {
    /// The browser.
    pub browser: Browser,
    /// Folder for pictures.
    pub pictures: Option<PathBuf>,
    /// Measures how long is waited.
    pub clock: Arc<dyn Clock>,
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
            eyes: None,
            tells_words: true,
        })
    }

    /// Returns the server with something to look at views with.
    #[must_use]
    pub fn with_eyes(mut self, eyes: Eyes) -> Self {
        self.eyes = Some(eyes);
        self
    }

    /// Returns the server to which calls do not pass on what the user has said.
    #[must_use]
    pub fn without_words(mut self) -> Self {
        self.tells_words = false;
        self
    }

    /// Returns the tools of a conversation whose calls name `sandbox`.
    #[must_use]
    pub fn sandbox<'a>(&'a self, sandbox: &'a str, probes: &'a Probes) -> Sandbox<'a> {
        Sandbox {
            server: self,
            sandbox,
            probes,
            attack: None,
            consent: Mutex::default(),
            shown: Mutex::default(),
        }
    }

    fn find(&self, tool: &str) -> Option<&Tool> {
        self.tools.iter().find(|one| one.name() == tool)
    }
}

/// The tools of one conversation.
#[derive(Debug)]
pub struct Sandbox<'a> {
    server: &'a Server,
    sandbox: &'a str,
    probes: &'a Probes,
    /// The case and what is planted in it.
    attack: Option<(&'a str, &'a Injection)>,
    /// What the last result asks consent for. Models do not see it, nor is it kept.
    consent: Mutex<Option<Consent>>,
    /// The last call of a tool that has a view.
    shown: Mutex<Option<Shown>>,
}

/// A call whose result a view shows.
#[derive(Debug, Clone)]
struct Shown {
    tool: String,
    arguments: Value,
    result: Value,
}

/// What a view makes consent of.
#[derive(Debug, Clone, Deserialize)]
struct Consent {
    nonce: Redacted<String>,
    session_id: String,
    terms_digest: String,
}

impl Consent {
    /// Returns the arguments of the tool that confirms: what the view of the hotel server
    /// sends when a person agrees.
    fn arguments(&self, id: &str) -> Value {
        let key = airside_base::secret_token();
        let (session, terms) = (&self.session_id, &self.terms_digest);
        let nonce = self.nonce.expose();
        let text = format!("airside-consent-v1\n{nonce}\n{session}\n{terms}\n{key}");
        let token = digest(&SHA256, text.as_bytes());
        let token = airside_base::hex(token.as_ref());
        json!({
            id: session,
            "idempotency_key": key,
            "terms_digest": terms,
            "consent_token": token,
            "disclosure_shown": true,
        })
    }
}

/// The texts of a result.
fn texts(result: &Value) -> Vec<&str> {
    let blocks = result.get("content").and_then(Value::as_array);
    let texts = blocks.into_iter().flatten();
    let texts = texts.filter(|block| block.get("type").is_some_and(|kind| kind == "text"));
    texts
        .filter_map(|block| block.get("text").and_then(Value::as_str))
        .collect()
}

/// What a value holds that only one conversation uses.
fn held<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the view of a tool is.
fn resource(tool: &Tool) -> Option<&str> {
    let meta = tool.definition().get("_meta")?;
    let named = meta
        .pointer("/ui/resourceUri")
        .or_else(|| meta.get("ui/resourceUri"));
    named?.as_str()
}

impl Sandbox<'_> {
    /// Calls a tool; returns what the model reads, and the whole result if there is one.
    async fn ask(
        &self,
        words: &str,
        tool: &str,
        arguments: &Value,
    ) -> Result<(Answer, Option<Value>), String> {
        let mut params = json!({
            "name": tool,
            "arguments": arguments,
            "_meta": { SANDBOX: self.sandbox, CONVERSATION: self.sandbox },
        });
        // What a person does in a view is not done in words.
        if !words.is_empty() && self.server.tells_words {
            params["_meta"][WORDS] = words.into();
        }
        let attack = self.attack.filter(|(_, attack)| attack.tool == tool);
        if let Some((case, _)) = attack {
            params["_meta"][PLANT] = case.into();
        }
        let reply = match self.server.client.call("tools/call", &params).await {
            Ok(reply) => reply,
            // What the gateway or the server refuses, the model may read and mend.
            Err(Error::Rpc(error)) => {
                let answer = Answer {
                    text: error.message,
                    structured: None,
                    is_error: true,
                };
                return Ok((answer, None));
            }
            Err(error) => return Err(error.fault().public().to_owned()),
        };
        let mut result: Value = reply
            .read()
            .map_err(|error| error.fault().public().to_owned())?;
        let planted = result.get("_meta").and_then(|meta| meta.get(PLANT));
        if let (Some((_, attack)), None) = (attack, planted) {
            attack.plant(&mut result);
        }
        let consent = result.get("_meta").and_then(|meta| meta.get(CONSENT));
        if let Some(consent) = consent.and_then(|consent| Consent::deserialize(consent).ok()) {
            *held(&self.consent) = Some(consent);
        }
        let answer = Answer {
            text: texts(&result).join("\n"),
            structured: result.get("structuredContent").cloned(),
            is_error: reply.is_error(),
        };
        Ok((answer, Some(result)))
    }

    /// Calls a tool and returns the page of its view.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn open(&self, tool: &str, arguments: &Value) -> Result<Page, String> {
        let answer = Toolbox::call(self, "", tool, arguments).await?;
        if answer.is_error {
            return Err(format!("`{tool}` answers: {}", answer.text));
        }
        self.page(None).await
    }

    /// Returns what carries out the calls of a view.
    #[must_use]
    pub fn hand(&self) -> Hand<'_> {
        Hand {
            sandbox: self,
            calls: Mutex::default(),
        }
    }

    /// The page of the view that was shown last.
    async fn page(&self, pictures: Option<&PathBuf>) -> Result<Page, String> {
        let shown = held(&self.shown).clone();
        let shown = shown.ok_or("no tool with a view was called")?;
        let tool = self.server.find(&shown.tool).ok_or("the tool is gone")?;
        let params = json!({ "uri": resource(tool).unwrap_or_default() });
        let reply = self.server.client.call("resources/read", &params).await;
        let read = reply.and_then(|reply| reply.read::<Value>());
        let read =
            read.map_err(|error| format!("the view cannot be read: {}", error.fault().public()))?;
        let content = &read["contents"][0];
        if content["mimeType"] != VIEW {
            return Err("the resource of the tool is no view".to_owned());
        }
        let html = content["text"].as_str().ok_or("the view has no text")?;
        let picture = |folder: &PathBuf| folder.join(format!("{}.png", file_name(self.sandbox)));
        Ok(Page {
            html: html.to_owned(),
            csp: content["_meta"]["ui"]["csp"].clone(),
            tool: tool.definition().clone(),
            input: shown.arguments,
            result: shown.result,
            picture: pictures.map(picture),
        })
    }
}

/// A name that is one file's.
fn file_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    name.chars().map(plain).collect()
}

/// Calls tools for a view.
#[derive(Debug)]
pub struct Hand<'a> {
    sandbox: &'a Sandbox<'a>,
    calls: Mutex<Vec<Call>>,
}

impl Bridge for Hand<'_> {
    fn call<'a>(&'a self, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Value, String>> {
        Box::pin(async move {
            let listed = self
                .sandbox
                .server
                .find(tool)
                .ok_or("there is no such tool")?;
            let visible = listed.definition().pointer("/_meta/ui/visibility");
            let visible = visible.and_then(Value::as_array);
            if visible.is_some_and(|to| !to.iter().any(|one| one == "app")) {
                return Err("the view may not call this tool".to_owned());
            }
            let (answer, result) = self.sandbox.ask("", tool, &arguments).await?;
            held(&self.calls).push(Call {
                tool: tool.to_owned(),
                arguments: Arguments::Json(arguments),
                answer: Some(answer.clone()),
            });
            result.ok_or(answer.text)
        })
    }
}

impl Toolbox for Sandbox<'_> {
    fn call<'a>(
        &'a self,
        words: &'a str,
        tool: &'a str,
        arguments: &'a Value,
    ) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async move {
            let (answer, result) = self.ask(words, tool, arguments).await?;
            let listed = self.server.find(tool);
            let has_view = listed.is_some_and(|tool| resource(tool).is_some());
            if let Some(result) = result.filter(|_| has_view) {
                *held(&self.shown) = Some(Shown {
                    tool: tool.to_owned(),
                    arguments: arguments.clone(),
                    result,
                });
            }
            Ok(answer)
        })
    }

    fn agree<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<Call, String>> {
        Box::pin(async move {
            let consent = held(&self.consent).take();
            let consent = consent.ok_or("nothing asked for the consent of a person")?;
            let schema = self
                .server
                .find(tool)
                .map(|one| one.input_schema().into_owned());
            let is_quote =
                schema.is_some_and(|schema| schema.pointer("/properties/quote_id").is_some());
            let arguments = consent.arguments(if is_quote { "quote_id" } else { "session_id" });
            let answer = self.call("", tool, &arguments).await?;
            Ok(Call {
                tool: tool.to_owned(),
                arguments: Arguments::Json(arguments),
                answer: Some(answer),
            })
        })
    }

    fn view<'a>(
        &'a self,
        deeds: &'a [Deed],
    ) -> BoxFuture<'a, Result<(Vec<Call>, Observed), String>> {
        Box::pin(async move {
            let Some(eyes) = &self.server.eyes else {
                return Err("there is no browser to show a view with".to_owned());
            };
            let page = self.page(eyes.pictures.as_ref()).await?;
            let hand = self.hand();
            let seen = eyes
                .browser
                .visit(&page, deeds, &hand, &*eyes.clock)
                .await?;
            let calls = hand
                .calls
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner);
            Ok((calls, seen))
        })
    }

    fn reset(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            for reset in &self.probes.reset {
                let arguments = Value::Object(reset.args.clone());
                let (answer, _) = self.ask("", &reset.tool, &arguments).await?;
                if answer.is_error {
                    return Err(format!("`{}` reports an error", reset.tool));
                }
            }
            Ok(())
        })
    }

    fn state(&self) -> BoxFuture<'_, Result<Option<Value>, String>> {
        Box::pin(async move {
            if self.probes.probe.is_empty() {
                return Ok(None);
            }
            let mut state = Map::new();
            for probe in &self.probes.probe {
                let arguments = Value::Object(probe.args.clone());
                // What a person is shown stays what the conversation has shown.
                let (answer, _) = self.ask("", &probe.tool, &arguments).await?;
                if answer.is_error {
                    return Err(format!("`{}` reports an error", probe.tool));
                }
                state.insert(probe.name.clone(), answer.value());
            }
            Ok(Some(Value::Object(state)))
        })
    }
}
