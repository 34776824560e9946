//! Views of tools (MCP Apps) in a real browser: opened as a host does, used as a person
//! does, and watched.
//!
//! # Invariants
//!
//! * A view runs in a frame of opaque origin, under the content policy that its server
//!   declared; the policy is the host page's, so nothing in the view can precede it.
//! * Only the host page may call tools: what the view itself says to the binding is
//!   passed over.
//! * Requests to anything that was not declared are stopped and noted.
//! * Waiting is always for something, and bounded.

pub(crate) mod cdp;
mod recorder;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use airside_base::{BoxFuture, Clock};
use base64::Engine as _;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use self::cdp::Cdp;
pub use self::recorder::{Recorded, Recorder};

/// Longest wait for what a step is about.
const PATIENCE: Duration = Duration::from_secs(15);
/// Pause between looks at a view in which something is still to come.
const LOOK: Duration = Duration::from_millis(25);
/// Most errors that are kept of one view.
const MAX_NOISE: usize = 50;
/// Longest text of an error, in characters.
const MAX_TEXT: usize = 300;
/// Address of the host's page: one that needs no network, of a kind that views trust.
const HOST_PAGE: &str = "https://host.airside.invalid/";
/// The host's side, evaluated in its page.
const HOST: &str = include_str!("view/host.js");
/// Where browsers are looked for.
const PLACES: [&str; 4] = [
    "/usr/bin/chromium-headless-shell",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
];

/// Something that a person does in a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Clicks.
    Click(Locator),
    /// Writes into a field.
    Fill(Fill),
    /// Sees something. What comes after waits for it.
    See(Locator),
}

/// What is meant in a view: by its role and name, as assistive technology knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Locator {
    /// The role, such as `button`, `checkbox`, `heading` or `textbox`.
    pub role: String,
    /// The name, `*` standing for any text. Any name, unless told otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Text for a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// Name of the field.
    pub name: String,
    /// The text.
    pub text: String,
}

/// What was noticed about a view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Errors of its console, exceptions and violations of its content policy.
    pub errors: Vec<String>,
    /// Addresses that it asked for and was not to.
    pub requests: Vec<String>,
    /// What could not be done, and why: the first deed that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<String>,
    /// Where its picture is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<PathBuf>,
}

/// A view that is to be opened.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its HTML.
    pub html: String,
    /// Domains that it may connect to and load from, as its server declares them.
    pub csp: Value,
    /// Definition of the tool.
    pub tool: Value,
    /// What the tool was called with.
    pub input: Value,
    /// What it returned.
    pub result: Value,
    /// File for a picture of its end.
    pub picture: Option<PathBuf>,
}

/// Carries out what a view asks for: a tool, its arguments, and the whole result.
pub trait Bridge: Sync {
    /// Calls a tool for the view.
    ///
    /// # Errors
    ///
    /// What the view is told.
    fn call<'a>(&'a self, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Value, String>>;
}

/// A browser. It is started with the first view, and shows one view at a time.
#[derive(Debug)]
pub struct Browser {
    path: PathBuf,
    is_root: bool,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    cdp: Cdp,
    _profile: Profile,
}

/// The folder of a browser's profile, which goes with it.
#[derive(Debug)]
struct Profile(PathBuf);

impl Drop for Profile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns the first browser that is found on this machine.
pub(crate) fn installed() -> Option<PathBuf> {
    let places = PLACES.iter().map(PathBuf::from);
    places.into_iter().find(|path| path.is_file())
}

impl Browser {
    /// Returns the browser at `path`, or the first that is found on this machine.
    #[must_use]
    pub fn find(path: Option<&Path>, is_root: bool) -> Option<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => installed()?,
        };
        Some(Self {
            path,
            is_root,
            running: Mutex::default(),
        })
    }

    /// Opens `page`, does `deeds` in it, and returns what was noticed.
    ///
    /// # Errors
    ///
    /// Why nothing is known about the view: the browser fails.
    pub async fn visit(
        &self,
        page: &Page,
        deeds: &[Deed],
        bridge: &dyn Bridge,
        clock: &dyn Clock,
    ) -> Result<Observed, String> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            let name = format!("airside-view-{}", airside_base::secret_token());
            let profile = Profile(std::env::temp_dir().join(name));
            let made = std::fs::create_dir_all(&profile.0);
            made.map_err(|error| format!("a profile cannot be made: {error}"))?;
            *running = Some(Running {
                cdp: Cdp::launch(&self.path, &profile.0, self.is_root)?,
                _profile: profile,
            });
        }
        let Some(browser) = running.as_mut() else {
            return Err("the browser is gone".to_owned());
        };
        let visited = Visit::begin(&mut browser.cdp, page, bridge, clock).await;
        let seen = match visited {
            Ok(mut visit) => visit.whole(page, deeds).await,
            Err(error) => Err(error),
        };
        if seen.is_err() {
            // The next view gets a browser that is known to be well.
            *running = None;
        }
        seen
    }
}

/// One view that is shown.
struct Visit<'a> {
    cdp: &'a mut Cdp,
    bridge: &'a dyn Bridge,
    clock: &'a dyn Clock,
    context: String,
    session: String,
    /// Where the host's script runs: the only place that calls for tools are taken from.
    host: Option<i64>,
    /// Where scripts run, by frame, until the host's is known.
    contexts: Vec<(i64, String)>,
    /// What the host's page says and under which policy.
    policy: String,
    is_served: bool,
    is_loaded: bool,
    /// What may be loaded.
    domains: Vec<String>,
    seen: Observed,
}

impl<'a> Visit<'a> {
    async fn begin(
        cdp: &'a mut Cdp,
        page: &Page,
        bridge: &'a dyn Bridge,
        clock: &'a dyn Clock,
    ) -> Result<Self, String> {
        let made = cdp
            .send(None, "Target.createBrowserContext", json!({}))
            .await?;
        let context = text(&made, "browserContextId");
        let target = json!({ "url": "about:blank", "browserContextId": context, "width": 1000, "height": 900 });
        let target = cdp.send(None, "Target.createTarget", target).await?;
        let attach = json!({ "targetId": text(&target, "targetId"), "flatten": true });
        let attached = cdp.send(None, "Target.attachToTarget", attach).await?;
        let mut visit = Self {
            cdp,
            bridge,
            clock,
            context,
            session: text(&attached, "sessionId"),
            host: None,
            contexts: Vec::new(),
            policy: policy(&page.csp),
            is_served: false,
            is_loaded: false,
            domains: domains(&page.csp, &["connectDomains", "resourceDomains"]),
            seen: Observed::default(),
        };
        visit.prepare(page).await?;
        Ok(visit)
    }

    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.cdp.send(Some(&self.session), method, params).await
    }

    async fn prepare(&mut self, page: &Page) -> Result<(), String> {
        let patterns = json!({ "patterns": [{ "urlPattern": "*" }] });
        for (method, params) in [
            ("Page.enable", json!({})),
            ("Runtime.enable", json!({})),
            ("Log.enable", json!({})),
            ("DOM.enable", json!({})),
            ("Accessibility.enable", json!({})),
            ("Fetch.enable", patterns),
            (
                "Emulation.setTimezoneOverride",
                json!({ "timezoneId": "UTC" }),
            ),
            ("Emulation.setLocaleOverride", json!({ "locale": "en-US" })),
        ] {
            self.ask(method, params).await?;
        }
        self.ask("Runtime.addBinding", json!({ "name": "airsideHost" }))
            .await?;
        // Not waited for: the page is answered by ourselves.
        let page_of_host = json!({ "url": HOST_PAGE });
        let session = self.session.clone();
        self.cdp
            .post(&session, "Page.navigate", page_of_host)
            .await?;
        let started = self.clock.monotonic();
        while !self.is_loaded {
            self.pump(LOOK).await?;
            if self.clock.monotonic().saturating_sub(started) > PATIENCE {
                return Err("the page of the host does not load".to_owned());
            }
        }
        let tree = self.ask("Page.getFrameTree", json!({})).await?;
        let frame = text(&tree["frameTree"]["frame"], "id");
        let of_host = self.contexts.iter().find(|(_, of)| *of == frame);
        self.host = of_host.map(|(id, _)| *id);
        let given = json!({
            "html": page.html, "input": page.input, "result": page.result, "tool": page.tool,
        });
        let expression = format!("({HOST})({given})");
        let done = self
            .ask("Runtime.evaluate", json!({ "expression": expression }))
            .await?;
        match done.get("exceptionDetails") {
            None => Ok(()),
            Some(details) => Err(format!(
                "the host page fails: {}",
                cut(&details.to_string())
            )),
        }
    }

    async fn whole(&mut self, page: &Page, deeds: &[Deed]) -> Result<Observed, String> {
        for deed in deeds {
            if let Some(stuck) = self.deed(deed).await? {
                self.seen.stuck = Some(stuck);
                break;
            }
        }
        // What the last deed caused is still to be seen.
        self.pump(LOOK).await?;
        if let Some(file) = &page.picture {
            let shot = self
                .ask("Page.captureScreenshot", json!({ "format": "png" }))
                .await?;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text(&shot, "data"));
            let bytes = bytes.map_err(|error| format!("the picture is none: {error}"))?;
            let written = std::fs::write(file, bytes);
            written.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            self.seen.picture = Some(file.clone());
        }
        let context = json!({ "browserContextId": self.context });
        self.cdp
            .send(None, "Target.disposeBrowserContext", context)
            .await?;
        Ok(std::mem::take(&mut self.seen))
    }

    /// Does one thing; returns why it cannot be done.
    async fn deed(&mut self, deed: &Deed) -> Result<Option<String>, String> {
        let field;
        let locator = match deed {
            Deed::Click(locator) | Deed::See(locator) => locator,
            Deed::Fill(fill) => {
                field = Locator {
                    role: "textbox".to_owned(),
                    name: fill.name.clone(),
                };
                &field
            }
        };
        let started = self.clock.monotonic();
        loop {
            self.pump(LOOK).await?;
            if let Some(node) = self.find(locator).await?
                && self.reach(node, deed).await?
            {
                return Ok(None);
            }
            if self.clock.monotonic().saturating_sub(started) > PATIENCE {
                let Locator { role, name } = locator;
                return Ok(Some(format!("there is no {role} `{name}` to be used")));
            }
        }
    }

    /// Does to a node what `deed` says; returns whether it could be done.
    async fn reach(&mut self, node: i64, deed: &Deed) -> Result<bool, String> {
        let of = json!({ "backendNodeId": node });
        match deed {
            Deed::See(_) => Ok(true),
            Deed::Fill(fill) => {
                if self.ask("DOM.focus", of).await.is_err() {
                    return Ok(false);
                }
                self.ask("Input.insertText", json!({ "text": fill.text }))
                    .await?;
                Ok(true)
            }
            Deed::Click(_) => {
                // A node may go while it is looked at; it is looked for again then.
                if self
                    .ask("DOM.scrollIntoViewIfNeeded", of.clone())
                    .await
                    .is_err()
                {
                    return Ok(false);
                }
                let Ok(quads) = self.ask("DOM.getContentQuads", of).await else {
                    return Ok(false);
                };
                let corners: Vec<f64> = match quads["quads"][0].as_array() {
                    Some(corners) => corners.iter().filter_map(Value::as_f64).collect(),
                    None => return Ok(false),
                };
                let [x1, y1, _, _, x2, y2, ..] = corners[..] else {
                    return Ok(false);
                };
                let (x, y) = (f64::midpoint(x1, x2), f64::midpoint(y1, y2));
                for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
                    let button = if kind == "mouseMoved" { "none" } else { "left" };
                    let event =
                        json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
                    self.ask("Input.dispatchMouseEvent", event).await?;
                }
                Ok(true)
            }
        }
    }

    /// Finds what is meant in the frame of the view.
    async fn find(&mut self, locator: &Locator) -> Result<Option<i64>, String> {
        let tree = self.ask("Page.getFrameTree", json!({})).await?;
        let frame = &tree["frameTree"]["childFrames"][0]["frame"]["id"];
        if !frame.is_string() {
            return Ok(None);
        }
        let Ok(tree) = self
            .ask("Accessibility.getFullAXTree", json!({ "frameId": frame }))
            .await
        else {
            return Ok(None);
        };
        let nodes = tree["nodes"].as_array().map_or(&[][..], Vec::as_slice);
        let name = pattern(&locator.name)?;
        let found = nodes.iter().find(|node| locator.fits(&name, node));
        Ok(found.and_then(|node| node["backendDOMNodeId"].as_i64()))
    }

    /// Takes the events that have come, and waits for the first as long as `patience`.
    async fn pump(&mut self, mut patience: Duration) -> Result<(), String> {
        while let Some(event) = self.cdp.event(patience).await? {
            patience = Duration::ZERO;
            if event["sessionId"].as_str() == Some(&self.session) {
                self.take(&event).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, event: &Value) -> Result<(), String> {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.executionContextsCleared" => self.contexts.clear(),
            "Runtime.executionContextCreated" if self.host.is_none() => {
                let context = &params["context"];
                let id = context["id"].as_i64().unwrap_or_default();
                self.contexts
                    .push((id, text(&context["auxData"], "frameId")));
            }
            "Page.loadEventFired" => self.is_loaded = self.is_served,
            "Runtime.bindingCalled" if params["executionContextId"].as_i64() == self.host => {
                self.bridged(params["payload"].as_str().unwrap_or_default())
                    .await?;
            }
            "Runtime.exceptionThrown" => {
                let details = &params["exceptionDetails"];
                let what = details["exception"]["description"].as_str();
                self.note(what.or(details["text"].as_str()).unwrap_or("an exception"));
            }
            "Runtime.consoleAPICalled" if params["type"] == "error" => {
                self.note(&params["args"].to_string());
            }
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                self.note(params["entry"]["text"].as_str().unwrap_or("an error"));
            }
            "Fetch.requestPaused" => self.requested(params).await?,
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, what: &str) {
        if self.seen.errors.len() < MAX_NOISE {
            self.seen.errors.push(cut(what));
        }
    }

    async fn requested(&mut self, params: &Value) -> Result<(), String> {
        let address = params["request"]["url"].as_str().unwrap_or_default();
        if address == HOST_PAGE && !self.is_served {
            self.is_served = true;
            return self.serve(&params["requestId"]).await;
        }
        let allowed = ["about:", "data:", "blob:"]
            .iter()
            .any(|own| address.starts_with(own))
            || self.domains.iter().any(|domain| is_of(address, domain));
        let id = params["requestId"].clone();
        if allowed {
            self.ask("Fetch.continueRequest", json!({ "requestId": id }))
                .await?;
            return Ok(());
        }
        if self.seen.requests.len() < MAX_NOISE {
            self.seen.requests.push(cut(address));
        }
        let fail = json!({ "requestId": id, "errorReason": "BlockedByClient" });
        self.ask("Fetch.failRequest", fail).await?;
        Ok(())
    }

    /// Answers the request for the host's page.
    async fn serve(&mut self, request: &Value) -> Result<(), String> {
        let html = "<!doctype html><meta charset=utf-8><title>Host</title><body>";
        let answer = json!({
            "requestId": request,
            "responseCode": 200,
            "responseHeaders": [
                { "name": "content-type", "value": "text/html; charset=utf-8" },
                { "name": "content-security-policy", "value": self.policy },
            ],
            "body": base64::engine::general_purpose::STANDARD.encode(html),
        });
        self.ask("Fetch.fulfillRequest", answer).await?;
        Ok(())
    }

    /// Carries out what the view asked its host for.
    async fn bridged(&mut self, payload: &str) -> Result<(), String> {
        let Ok(asked) = serde_json::from_str::<Value>(payload) else {
            return Ok(());
        };
        let tool = asked["name"].as_str().unwrap_or_default();
        let answer = match self.bridge.call(tool, asked["arguments"].clone()).await {
            Ok(result) => json!({ "id": asked["id"], "result": result }),
            Err(why) => json!({ "id": asked["id"], "error": { "code": -32000, "message": why } }),
        };
        let expression = format!("airsideAnswer({answer})");
        self.ask("Runtime.evaluate", json!({ "expression": expression }))
            .await?;
        Ok(())
    }
}

impl Locator {
    /// Returns whether a node of the accessibility tree is meant.
    fn fits(&self, name: &Regex, node: &Value) -> bool {
        let is_off = |property: &Value| {
            (property["name"] == "disabled" || property["name"] == "busy")
                && property["value"]["value"] == true
        };
        let off = node["properties"].as_array();
        node["ignored"] != true
            && node["role"]["value"].as_str() == Some(&self.role)
            && name.is_match(node["name"]["value"].as_str().unwrap_or_default())
            && !off.is_some_and(|all| all.iter().any(is_off))
    }
}

/// A pattern in which `*` stands for any text; case does not matter.
fn pattern(name: &str) -> Result<Regex, String> {
    if name.is_empty() {
        return Regex::new("").map_err(|error| error.to_string());
    }
    let parts: Vec<String> = name.split('*').map(regex::escape).collect();
    let whole = format!("(?is)^{}$", parts.join(".*"));
    Regex::new(&whole).map_err(|_| format!("the name `{}` is too long", cut(name)))
}

/// Domains that a server declares, as far as they are such.
fn domains(csp: &Value, members: &[&str]) -> Vec<String> {
    let plain = |domain: &&str| {
        domain.starts_with("https://")
            && domain
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-.:*/".contains(c))
    };
    members
        .iter()
        .filter_map(|member| csp.get(member)?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .filter(plain)
        .map(str::to_owned)
        .collect()
}

/// Returns whether an address lies within a declared domain.
fn is_of(address: &str, domain: &str) -> bool {
    let host = |text: &str| {
        let rest = text.strip_prefix("https://").unwrap_or_default();
        rest.split('/').next().unwrap_or_default().to_owned()
    };
    let (is, wanted) = (host(address), host(domain));
    match wanted.strip_prefix("*.") {
        Some(parent) => is.ends_with(&format!(".{parent}")),
        None => !is.is_empty() && is == wanted,
    }
}

/// The content policy of a view (MCP Apps): nothing from elsewhere but what is declared.
fn policy(csp: &Value) -> String {
    let listed = |member: &str| domains(csp, &[member]).join(" ");
    let from = listed("resourceDomains");
    let connect = match listed("connectDomains") {
        none if none.is_empty() => "'none'".to_owned(),
        some => some,
    };
    format!(
        "default-src 'none'; script-src 'unsafe-inline' {from}; style-src 'unsafe-inline' {from}; \
         img-src data: {from}; font-src data: {from}; connect-src {connect}; base-uri 'none'; \
         form-action 'none'; object-src 'none'"
    )
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests;
