//! Headers that mirror the body, so that others can route without reading it.
//!
//! Whoever reads both has to compare them: otherwise a proxy decides by one and the
//! server acts on the other. Source: specification 2026-07-28, streamable HTTP,
//! "Request Metadata" and "Server Validation".

mod param;
mod sentinel;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use airside_base::{Fault, Kind};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub use param::{ParamHeader, ParamHeaders, SchemaError};
pub use sentinel::{decode, encode};

use crate::{Call, Failure, codes, envelope::is_legacy_only, name_member};

/// `MCP-Protocol-Version`.
pub static PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Method`.
pub static METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`.
pub static NAME: HeaderName = HeaderName::from_static("mcp-name");
/// `Mcp-Session-Id` (revisions up to 2025-11-25).
pub static SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// `Last-Event-ID` (revisions up to 2025-11-25).
pub static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What the names of mirrored arguments begin with.
pub const PARAM_PREFIX: &str = "mcp-param-";

/// How a header contradicts the body. Values are not repeated: arguments may be
/// personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The body has a value that has to be mirrored.
    #[error("the header `{header}` is missing")]
    Missing {
        /// Name of the header.
        header: HeaderName,
    },
    /// The header occurs more than once, so that two readers may see two values.
    #[error("the header `{header}` occurs more than once")]
    Repeated {
        /// Name of the header.
        header: HeaderName,
    },
    /// The value has characters that a header cannot carry, or broken Base64.
    #[error("the header `{header}` is malformed")]
    Malformed {
        /// Name of the header.
        header: HeaderName,
    },
    /// The value is not that of the body.
    #[error("the header `{header}` does not match the body")]
    Differs {
        /// Name of the header.
        header: HeaderName,
    },
    /// The body has a value that cannot be mirrored: not a string, boolean or safe
    /// integer, or ambiguous.
    #[error("the body has no value that the header `{header}` can mirror")]
    Unmirrorable {
        /// Name of the header.
        header: HeaderName,
    },
}

impl Mismatch {
    /// Returns what the caller is answered with.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let fault = Fault::new(Kind::Invalid, "MCP-010", self.to_string());
        Failure::new(StatusCode::BAD_REQUEST, codes::HEADER_MISMATCH, fault)
    }
}

/// Returns the only value of a header, if it has one.
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Mismatch> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let header = || name.clone();
    if values.next().is_some() {
        return Err(Mismatch::Repeated { header: header() });
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Mismatch::Malformed { header: header() }),
    }
}

/// Compares a header with a value that has to be mirrored as it is.
fn compare(headers: &HeaderMap, name: &HeaderName, expected: &str) -> Result<(), Mismatch> {
    let header = || name.clone();
    match single(headers, name)? {
        None => Err(Mismatch::Missing { header: header() }),
        Some(value) if value == expected => Ok(()),
        Some(_) => Err(Mismatch::Differs { header: header() }),
    }
}

pub(crate) fn check_version(headers: &HeaderMap, version: &str) -> Result<(), Mismatch> {
    compare(headers, &PROTOCOL_VERSION, version)
}

/// Returns whether `Mcp-Name` mirrors what `method` acts on.
fn mirrors_name(method: &str) -> bool {
    !is_legacy_only(method) && name_member(method).is_some()
}

/// Compares the headers of a modern request with its body. For a notification only
/// the version is compared: the revision defines no other header for it.
///
/// `params` are the arguments that the called tool mirrors, as far as they are
/// known; headers of others pass.
///
/// # Errors
///
/// [`Mismatch`] for the first header that is missing, malformed or different.
pub fn check(
    headers: &HeaderMap,
    call: &Call,
    params: Option<&ParamHeaders>,
) -> Result<(), Mismatch> {
    if let Some(version) = call.meta().protocol_version() {
        check_version(headers, version)?;
    }
    if call.id().is_none() {
        return Ok(());
    }
    compare(headers, &METHOD, call.method())?;
    if mirrors_name(call.method())
        && let Some(expected) = call.name()
    {
        let header = || NAME.clone();
        let value =
            single(headers, &NAME)?.ok_or_else(|| Mismatch::Missing { header: header() })?;
        let value = decode(value).ok_or_else(|| Mismatch::Malformed { header: header() })?;
        if value != expected {
            return Err(Mismatch::Differs { header: header() });
        }
    }
    match params {
        Some(params) if call.method() == "tools/call" => params.check(headers, call.arguments()),
        _ => Ok(()),
    }
}

/// Returns the headers that a client sends with a modern request.
///
/// # Errors
///
/// [`Mismatch::Unmirrorable`] when an argument cannot be mirrored.
pub fn mirror(call: &Call, params: Option<&ParamHeaders>) -> Result<HeaderMap, Mismatch> {
    let mut headers = HeaderMap::new();
    let mut put = |name: &HeaderName, text: &str| {
        let value = HeaderValue::from_str(text).map_err(|_| Mismatch::Unmirrorable {
            header: name.clone(),
        })?;
        headers.insert(name.clone(), value);
        Ok(())
    };
    if let Some(version) = call.meta().protocol_version() {
        put(&PROTOCOL_VERSION, version)?;
    }
    if call.id().is_some() {
        put(&METHOD, call.method())?;
        if mirrors_name(call.method())
            && let Some(name) = call.name()
        {
            put(&NAME, &encode(name))?;
        }
    }
    if let (Some(params), "tools/call") = (params, call.method()) {
        for (name, text) in params.values(call.arguments())? {
            put(name, &encode(&text))?;
        }
    }
    Ok(headers)
}

/// The value of an argument as its header carries it before encoding.
type Mirrored<'a> = (&'a HeaderName, Cow<'a, str>);
