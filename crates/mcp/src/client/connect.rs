//! Agreeing on an era and a revision.
//!
//! Source: specification 2026-07-28, streamable HTTP, "Backward Compatibility".

use std::sync::{Mutex, atomic::AtomicU64};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;
use serde_json::json;

use super::{
    Agreement, Choice, Client, Error, Message, Options, Reply, RpcError, exchange, in_time,
    request, target::Target,
};
use crate::{Call, Revision, codes, header};

pub(super) async fn agree(target: Target, options: Options) -> Result<Client, Error> {
    let timeout = options.timeout;
    let agreement = match options.era {
        Choice::Legacy => None,
        Choice::Modern | Choice::Auto => in_time(timeout, discover(&target, &options)).await?,
    };
    let modern = agreement.is_some();
    let agreement = match agreement {
        Some(agreement) => agreement,
        None => in_time(timeout, initialize(&target, &options)).await?,
    };
    let client = Client {
        target,
        options,
        agreement,
        next_id: AtomicU64::new(2),
        mirrored: Mutex::new(None),
    };
    if !modern {
        client.notify("notifications/initialized", &()).await?;
    }
    Ok(client)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    supported_versions: Vec<String>,
}

#[derive(Deserialize)]
struct Unsupported {
    supported: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
}

/// Asks in the modern way. None when the answer shows a legacy server, which is then
/// to be asked in the old way.
async fn discover(target: &Target, options: &Options) -> Result<Option<Agreement>, Error> {
    let revision = Revision::LATEST;
    let meta = request::metadata(options, revision);
    let call = request::build(Some(1), "server/discover", &(), Some(&meta))?;
    let mirrored = header::mirror(&call, None).map_err(Error::Mirror)?;
    let offered = match exchange(target, options, &call, mirrored).await {
        Ok((reply, _)) => {
            let found: Discovered = reply.read()?;
            if found
                .supported_versions
                .iter()
                .any(|v| v == revision.as_str())
            {
                return Ok(Some(Agreement {
                    revision,
                    session: None,
                    server: reply.result(),
                }));
            }
            found.supported_versions
        }
        Err(Error::Rpc(error)) if error.code == codes::UNSUPPORTED_PROTOCOL_VERSION => {
            supported(&error)
        }
        Err(error) if is_legacy(&error) => {
            return match options.era {
                Choice::Auto => Ok(None),
                Choice::Modern | Choice::Legacy => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    let common = |text: &String| Revision::find(text).is_some_and(|found| !found.is_modern());
    if options.era == Choice::Auto && offered.iter().any(common) {
        return Ok(None);
    }
    Err(no_common(&offered))
}

fn supported(error: &RpcError) -> Vec<String> {
    let data = error.data.as_ref().map(|data| data.get());
    data.and_then(|data| serde_json::from_str::<Unsupported>(data).ok())
        .map_or_else(Vec::new, |data| data.supported)
}

fn no_common(offered: &[String]) -> Error {
    let offered: String = offered.join(", ").chars().take(200).collect();
    Error::NoCommonRevision {
        offered: offered.escape_debug().to_string(),
    }
}

/// Returns whether a failed `server/discover` comes from a server that does not know
/// the modern era. Refusals that concern the caller or the moment say nothing about it.
fn is_legacy(error: &Error) -> bool {
    let of_status =
        |status| matches!(status, 400..=499) && !matches!(status, 401 | 403 | 407 | 408 | 429);
    match error {
        Error::Rpc(error) if codes::is_modern(error.code) => false,
        Error::Rpc(error) => matches!(error.status, 200..=299) || of_status(error.status),
        Error::Status { status } => of_status(*status),
        _ => false,
    }
}

async fn initialize(target: &Target, options: &Options) -> Result<Agreement, Error> {
    let params = json!({
        "protocolVersion": Revision::LATEST_LEGACY.as_str(),
        "capabilities": options.capabilities,
        "clientInfo": request::client_info(options),
    });
    let call = request::build(Some(1), "initialize", &params, None)?;
    let (reply, session) = exchange(target, options, &call, HeaderMap::new()).await?;
    let agreed: Initialized = reply.read()?;
    let revision = Revision::find(&agreed.protocol_version)
        .filter(|revision| !revision.is_modern())
        .ok_or_else(|| no_common(&[agreed.protocol_version]))?;
    Ok(Agreement {
        revision,
        session,
        server: reply.result(),
    })
}

/// Sends one request outside a session.
async fn exchange(
    target: &Target,
    options: &Options,
    call: &Call,
    headers: HeaderMap,
) -> Result<(Reply, Option<HeaderValue>), Error> {
    let body: Bytes = call.bytes().clone();
    let request = target.request(Method::POST, &options.headers, headers, body)?;
    let response = target.send(request).await?;
    let session = response.headers().get(&header::SESSION_ID).cloned();
    let mut exchange = exchange::begin(response, call, &options.limits).await?;
    while let Some(message) = exchange.next().await? {
        if let Message::Reply(reply) = message {
            return Ok((reply.into_result()?, session));
        }
    }
    Err(Error::Unanswered)
}
