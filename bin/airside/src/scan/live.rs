//! Asks servers what they offer, and whom they would let in.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use airside_base::{BoxFuture, Clock, Finding, Place, Redacted, Supervisor, SystemClock};
use airside_contracts::{
    Definition,
    scan::{
        Offer,
        client::{Server, Way},
        rule,
    },
};
use airside_gateway::HttpFetch;
use airside_identity::{Fetch as _, FetchRequest, Reach, is_loopback};
use airside_mcp::{
    Body, Local,
    body::{collect, failure_response},
    client::{Choice, Client, Error, Options},
    reply::List,
};
use airside_transport::{Stdio, stdio};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use url::Url;

/// Where a page of somebody else would be.
macro_rules! foreign {
    () => {
        "attacker.example"
    };
}
/// How long a started server gets to end.
const GRACE: Duration = Duration::from_secs(3);
/// How many times the longest wait for one answer all lists of a server may take.
const LISTING: u64 = 5;
/// Largest request that is handed to a started server, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// Asks the server at `url`.
pub(crate) async fn url(
    url: &Url,
    key: Option<Redacted<String>>,
    timeout: u64,
) -> (Vec<Finding>, Option<Offer>) {
    let (name, place) = (name(url), place(url));
    let mut found = Vec::new();
    let mut add = |id: &str, message: String, what: &str| {
        found.push(rule(id).finding(&name, message, what).at(&place.file, None));
    };
    let local = is_loopback(url);
    let plain = url.scheme() == "http";
    if plain && !local {
        add(
            "plain-http",
            format!("calls to {name} are not encrypted"),
            "scheme",
        );
    }
    // A key in the clear would be one that others have.
    let mine = bearer(key.as_ref()).filter(|_| local || !plain);
    let ask = |era, headers| ask(url, era, headers, timeout);

    let stranger = ask(Choice::Auto, HeaderMap::new()).await;
    match &stranger {
        Ok(_) if local => {}
        Ok(_) => add(
            "no-authentication",
            "it lists its tools to anybody".to_owned(),
            "open",
        ),
        Err(error) if status(error) == Some(401) && !has_metadata(url).await => add(
            "no-authentication",
            "it refuses strangers without telling where to get a token (RFC 9728)".to_owned(),
            "metadata",
        ),
        Err(_) => {}
    }
    // With a key everything below counts as its holder would see it.
    let (client, headers) = match (stranger, &mine) {
        (Ok(client), None) => (Ok(client), HeaderMap::new()),
        (_, Some(mine)) => (ask(Choice::Auto, mine.clone()).await, mine.clone()),
        (Err(error), None) => (Err(error), HeaderMap::new()),
    };
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            let message = match status(&error) {
                Some(401 | 403) => "it asks for credentials: give a key with --key-file".to_owned(),
                _ => error.fault().public().to_owned(),
            };
            add("unreachable", message, "url");
            return (found, None);
        }
    };
    for (id, message, what) in exposure(url, &headers, timeout).await {
        add(id, message, what);
    }
    let offer = offer(&name, &place, &client, timeout).await;
    client.close().await;
    if let Some(other) = other_era(url, &headers, timeout, &name).await
        && let Some(offer) = &offer
        && digests(&other) != digests(offer)
    {
        let message = "it says other things to clients of the other era".to_owned();
        add("differs-by-era", message, "eras");
    }
    if offer.is_none() {
        add(
            "unreachable",
            "its tools cannot be listed".to_owned(),
            "list",
        );
    }
    (found, offer)
}

/// Tries whether others than the user's programs can reach the server. Returns rules,
/// messages and causes.
async fn exposure(
    url: &Url,
    headers: &HeaderMap,
    timeout: u64,
) -> Vec<(&'static str, String, &'static str)> {
    let mut found = Vec::new();
    // With TLS the certificate stands in the way of a name that leads elsewhere.
    let fields = [
        ("origin", header::ORIGIN, concat!("http://", foreign!())),
        ("host", header::HOST, foreign!()),
    ];
    for (what, field, value) in fields.into_iter().filter(|_| url.scheme() == "http") {
        let mut headers = headers.clone();
        headers.insert(field, HeaderValue::from_static(value));
        if ask(url, Choice::Auto, headers, timeout).await.is_ok() {
            let message = format!("it answers requests whose `{what}` is {value}");
            found.push(("dns-rebinding", message, what));
        }
    }
    if let Some(elsewhere) = elsewhere(url) {
        let asked = ask(&elsewhere, Choice::Auto, HeaderMap::new(), timeout).await;
        if asked
            .as_ref()
            .map_or_else(|error| status(error).is_some(), |_| true)
        {
            let message = format!("it also answers at {}", name(&elsewhere));
            found.push(("broad-bind", message, "bind"));
        }
    }
    found
}

/// Where a server that is bound to 127.0.0.1 alone does not answer. On Linux all of
/// 127.0.0.0/8 leads to this machine; elsewhere nothing answers there.
fn elsewhere(url: &Url) -> Option<Url> {
    let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
    let mut elsewhere = url.clone();
    let moved = here && elsewhere.set_host(Some("127.0.0.2")).is_ok();
    moved.then_some(elsewhere)
}

/// How the server is called: its host, port and path. What else the URL holds may be
/// secret.
fn name(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}{path}"),
        None => format!("{host}{path}"),
    }
}

fn place(url: &Url) -> Place {
    Place {
        file: format!("{}://{}", url.scheme(), name(url)),
        line: None,
    }
}

/// What the server says to clients with and without sessions is to be the same.
async fn other_era(url: &Url, headers: &HeaderMap, timeout: u64, name: &str) -> Option<Offer> {
    let client = ask(url, Choice::Legacy, headers.clone(), timeout)
        .await
        .ok()?;
    let other = offer(name, &place(url), &client, timeout).await;
    client.close().await;
    other
}

fn digests(offer: &Offer) -> BTreeMap<String, String> {
    let tools = offer.tools.iter().filter_map(|tool| tool.as_ref().ok());
    let tools = tools.map(|tool| (tool.name().to_owned(), tool.digest().to_string()));
    tools.collect()
}

/// Starts the server and asks it; none if it is not started but reached. `place` is where
/// it is named.
pub(crate) async fn start(
    server: &Server,
    place: &Place,
    timeout: u64,
) -> Option<Result<Offer, Finding>> {
    let mut words = server.command()?.into_iter();
    let program = words.next()?;
    let Way::Process { env, .. } = &server.way else {
        return None;
    };
    let supervisor = Supervisor::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut whole: BTreeMap<String, Redacted<String>> = BTreeMap::new();
    for name in ["PATH", "HOME", "LANG"] {
        if let Ok(value) = std::env::var(name) {
            whole.insert(name.to_owned(), Redacted::new(value));
        }
    }
    let own = env.iter();
    whole.extend(own.map(|(name, value)| (name.clone(), Redacted::new(value.clone()))));
    let options = stdio::Options {
        env: whole,
        ..stdio::Options::new(program, words.collect())
    };
    let process = Arc::new(Started(Stdio::start(options, clock, &supervisor)));
    let options = options_for(HeaderMap::new(), Choice::Auto, timeout);
    let asked = match Client::connect_local(process, options).await {
        Ok(client) => {
            let offer = offer(&server.name, place, &client, timeout).await;
            client.close().await;
            offer.ok_or_else(|| "its tools cannot be listed".to_owned())
        }
        Err(error) => Err(error.fault().public().to_owned()),
    };
    supervisor.stop(GRACE).await;
    let failed = |message| rule("unreachable").finding(&server.name, message, "start");
    Some(asked.map_err(|message| failed(message).at(&place.file, place.line)))
}

/// A process that was started, as a server in this process.
struct Started(Stdio);

impl Local for Started {
    fn call<'a>(&'a self, request: Request<Body>) -> BoxFuture<'a, Response<Body>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let broken = || failure_response(None, &airside_mcp::Failure::method_not_found());
            let Ok(bytes) = collect(body, MAX_REQUEST).await else {
                return broken();
            };
            let sent = self.0.send(Request::from_parts(head, bytes)).await;
            sent.unwrap_or_else(|_| broken())
        })
    }
}

async fn ask(url: &Url, era: Choice, headers: HeaderMap, timeout: u64) -> Result<Client, Error> {
    Client::connect(url, options_for(headers, era, timeout)).await
}

fn options_for(headers: HeaderMap, era: Choice, timeout: u64) -> Options {
    Options {
        era,
        name: "airside-scan".to_owned(),
        headers,
        timeout: Duration::from_secs(timeout),
        ..Options::default()
    }
}

fn bearer(key: Option<&Redacted<String>>) -> Option<HeaderMap> {
    let value = HeaderValue::try_from(format!("Bearer {}", key?.expose()));
    let mut value = value.ok()?;
    value.set_sensitive(true);
    Some(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
}

/// Reads what the server offers; none if it lists no tools.
async fn offer(name: &str, place: &Place, client: &Client, timeout: u64) -> Option<Offer> {
    let budget = Duration::from_secs(timeout.saturating_mul(LISTING));
    let offer = tokio::time::timeout(budget, read_offer(name, place, client));
    offer.await.ok().flatten()
}

async fn read_offer(name: &str, place: &Place, client: &Client) -> Option<Offer> {
    let items = client.list(List::Tools).await.ok()?;
    let read = |text: &[u8]| std::str::from_utf8(text).map(Definition::read);
    let tools = items.iter();
    let tools = tools.filter_map(|item| read(item.raw()).ok()).collect();
    let introduction = std::str::from_utf8(client.server()).ok();
    let introduction = introduction.and_then(|text| Definition::of_server(text).ok());
    let mut others = Vec::new();
    // Servers that have none of them say so by an error.
    for list in [List::Prompts, List::Resources, List::ResourceTemplates] {
        let items = client.list(list).await.unwrap_or_default();
        let found = items.iter().filter_map(|item| read(item.raw()).ok()?.ok());
        others.extend(found);
    }
    Some(Offer {
        server: name.to_owned(),
        introduction,
        tools,
        others,
        place: place.clone(),
    })
}

fn status(error: &Error) -> Option<u16> {
    match error {
        Error::Status { status } => Some(*status),
        Error::Rpc(error) => Some(error.status),
        _ => None,
    }
}

/// Returns whether the metadata of the resource is where RFC 9728, section 3, has it.
async fn has_metadata(url: &Url) -> bool {
    let path = url.path().trim_end_matches('/');
    for path in [
        format!("/.well-known/oauth-protected-resource{path}"),
        "/.well-known/oauth-protected-resource".to_owned(),
    ] {
        let mut at = url.clone();
        at.set_path(&path);
        at.set_query(None);
        let request = FetchRequest::get(at, Reach::of(url, true));
        if HttpFetch::default().fetch(request).await.is_ok() {
            return true;
        }
    }
    false
}
