//! JSON-RPC error codes.
//!
//! -32768 to -32000 belongs to JSON-RPC and the specification. What Airside adds
//! of its own is positive, so that it can never collide with a later revision.

/// The body is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The body is JSON but not a message.
pub const INVALID_REQUEST: i64 = -32600;
/// The method is not known. Carried by HTTP 404.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters are wrong, or required `_meta` is missing.
pub const INVALID_PARAMS: i64 = -32602;
/// The server is at fault.
pub const INTERNAL_ERROR: i64 = -32603;

/// A header is missing, malformed or differs from the body. Carried by HTTP 400.
pub const HEADER_MISMATCH: i64 = -32020;
/// The client lacks a capability that the request needs. Carried by HTTP 400.
pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
/// The protocol version is not supported. Carried by HTTP 400.
pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;

/// The caller has used up what it may use, as SEP-3304 proposes it. Sent only where an
/// operator asks for it. Carried by HTTP 429.
pub const RATE_LIMITED: i64 = -32023;

/// Policy does not admit the call.
pub const POLICY_REFUSED: i64 = 40_300;
/// The caller could not be identified.
pub const UNAUTHENTICATED: i64 = 40_100;
/// The caller has used up what it may use.
pub const EXHAUSTED: i64 = 42_900;
/// The two eras cannot be bridged for this call.
pub const NOT_BRIDGED: i64 = 50_100;
/// The upstream server failed or answered nonsense.
pub const UPSTREAM_FAILED: i64 = 50_200;
/// The upstream server is not available at the moment.
pub const UPSTREAM_UNAVAILABLE: i64 = 50_300;
/// The upstream server did not answer in time.
pub const UPSTREAM_TIMEOUT: i64 = 50_400;

/// Returns whether `code` identifies a server of a modern revision: no earlier
/// revision defines it.
#[must_use]
pub const fn is_modern(code: i64) -> bool {
    matches!(
        code,
        HEADER_MISMATCH | MISSING_CLIENT_CAPABILITY | UNSUPPORTED_PROTOCOL_VERSION
    )
}
