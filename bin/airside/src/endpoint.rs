//! The MCP endpoint that `airside call` and `airside tools` use.

use std::time::Duration;

use airside_api::Client as Control;
use airside_base::{Fault, Kind, Supervisor};
use airside_mcp::{
    client::{Client, Error, Options},
    reply::List,
};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{
    cli,
    failure::{Exit, Failure},
    node::folder,
    target,
    text::printable,
};

/// One tool, as its server describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tool {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) input_schema: Value,
    #[serde(default)]
    pub(crate) annotations: Value,
}

/// Connects to the endpoint that `args` name, or to the one of the running node.
pub(crate) async fn connect(args: &cli::Target) -> Result<Client, Failure> {
    let (url, headers) = address(args).await?;
    let options = Options {
        name: "airside-cli".to_owned(),
        headers,
        timeout: Duration::from_secs(args.timeout),
        ..Options::default()
    };
    Client::connect(&url, options)
        .await
        .map_err(|error| failure(&error))
}

/// Returns the endpoint that `args` name, or the one of the running node, with the
/// headers that identify the caller there.
pub(crate) async fn address(args: &cli::Target) -> Result<(Url, HeaderMap), Failure> {
    // A key goes to the node that it was made for, and nowhere else.
    let own = match &args.url {
        None => folder::find_caller_key(&args.data_dir),
        Some(_) => None,
    };
    let key = target::read_key(args.key_file.as_deref().or(own.as_deref()))?;
    let url = match &args.url {
        Some(url) => url.clone(),
        None => of_node(args).await?,
    };
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let value = HeaderValue::try_from(format!("Bearer {}", key.expose()));
        let mut value = value.map_err(|_| {
            let fault = Fault::new(Kind::Invalid, "CLI-020", "the key file holds no key");
            Failure::new(
                Exit::Usage,
                fault.with_hint("name a file that holds the key and nothing else"),
            )
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok((url, headers))
}

async fn of_node(args: &cli::Target) -> Result<Url, Failure> {
    let control = Control::local(&args.data_dir, &Supervisor::new());
    let status = control.status().await?;
    let first = status.endpoints.first();
    let url = first.and_then(|endpoint| Url::parse(&endpoint.url).ok());
    url.ok_or_else(|| {
        let fault = Fault::new(Kind::Unavailable, "CLI-003", "the node names no endpoint");
        Failure::new(Exit::Failed, fault.with_hint("name one with --url"))
    })
}

/// Lists the tools of the endpoint.
pub(crate) async fn tools(client: &Client) -> Result<Vec<(Tool, Value)>, Failure> {
    let items = client.list(List::Tools).await;
    let items = items.map_err(|error| failure(&error))?;
    let read = |item: &airside_mcp::client::Item| Ok((item.read()?, item.read()?));
    let tools: Result<Vec<_>, Error> = items.iter().map(read).collect();
    tools.map_err(|error| failure(&error))
}

/// Says why an endpoint gave no result.
pub(crate) fn failure(error: &Error) -> Failure {
    let own = error.fault();
    let (exit, code, hint) = match error {
        Error::Rpc(_) | Error::Status { .. } => (Exit::Refused, "CLI-011", None),
        Error::Connect(_) => (
            Exit::NoNode,
            "CLI-001",
            Some("start a node with `airside up`, or check --url"),
        ),
        _ => (Exit::Failed, own.code(), None),
    };
    let (message, hint) = match error {
        Error::Rpc(rpc) => said(rpc, hint),
        _ => (
            own.public().to_owned(),
            hint.or(own.hint()).map(str::to_owned),
        ),
    };
    let mut fault = Fault::new(own.kind(), code, message);
    if let Some(hint) = hint {
        fault = fault.with_hint(hint);
    }
    Failure::new(exit, fault)
}

/// What a gateway puts into the data of its errors.
#[derive(Debug, Default, Deserialize)]
struct Data {
    code: Option<String>,
    hint: Option<String>,
}

fn said(rpc: &airside_mcp::client::RpcError, hint: Option<&str>) -> (String, Option<String>) {
    let data: Data = rpc
        .data
        .as_ref()
        .and_then(|data| serde_json::from_str(data.get()).ok())
        .unwrap_or_default();
    let code = data.code.as_deref().map(printable);
    let message = match &code {
        Some(code) => format!("{} [{code}]", rpc.message),
        None => format!("{} (JSON-RPC error {})", rpc.message, rpc.code),
    };
    let hint = data.hint.as_deref().or(hint).map(printable);
    (
        message,
        hint.or(code.map(|code| format!("airside explain {code}"))),
    )
}
