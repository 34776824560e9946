//! Building messages: the parameters as they are, the metadata inserted as text.

use std::ops::Range;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::{Error, Options};
use crate::{Call, Incoming, Limits, Revision, splice};

/// What we send ourselves is bounded by what callers hand us; this only keeps it
/// readable for the parser.
const LIMITS: Limits = Limits::DEFAULT.with_size(1 << 30);

/// Returns the members of `_meta` that every modern request carries, without braces.
pub(super) fn metadata(options: &Options, revision: Revision) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": revision.as_str(),
        "io.modelcontextprotocol/clientCapabilities": options.capabilities,
        "io.modelcontextprotocol/clientInfo": client_info(options),
    });
    let text = meta.to_string();
    text[1..text.len() - 1].to_owned()
}

pub(super) fn client_info(options: &Options) -> serde_json::Value {
    json!({ "name": options.name, "version": options.version })
}

/// Builds a message; without an id, a notification.
pub(super) fn build(
    id: Option<u64>,
    method: &str,
    params: &(impl Serialize + ?Sized),
    metadata: Option<&str>,
) -> Result<Call, Error> {
    let mut params = serde_json::to_string(params).map_err(Error::Serialize)?;
    if params == "null" {
        params = "{}".to_owned();
    }
    let id = id.map_or(String::new(), |id| format!(r#""id":{id},"#));
    let method = json!(method);
    let text = format!(r#"{{"jsonrpc":"2.0",{id}"method":{method},"params":{params}}}"#);
    let call = parse(&Bytes::from(text))?;
    let Some(metadata) = metadata else {
        return Ok(call);
    };
    let (object, text) = match call.meta_span() {
        Some(meta) => (meta, metadata.to_owned()),
        None => {
            let params = call.params_span().ok_or(Error::Params)?;
            (params, format!(r#""_meta":{{{metadata}}}"#))
        }
    };
    parse(&insert_member(call.bytes(), &object, &text))
}

/// Inserts a member, or several, at the front of the object at `object`.
fn insert_member(bytes: &Bytes, object: &Range<usize>, members: &str) -> Bytes {
    let at = object.start + 1;
    let inside = &bytes[at..object.end - 1];
    let comma = if inside.trim_ascii().is_empty() {
        ""
    } else {
        ","
    };
    splice(bytes, &[(at..at, format!("{members}{comma}").as_bytes())])
}

fn parse(bytes: &Bytes) -> Result<Call, Error> {
    match Incoming::parse(bytes, &LIMITS) {
        Ok(Incoming::Request(call) | Incoming::Notification(call)) => Ok(call),
        Ok(Incoming::Response(_) | Incoming::Batch(_)) => Err(Error::Params),
        Err(error) => Err(Error::Request(error)),
    }
}
