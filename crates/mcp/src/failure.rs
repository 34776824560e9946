//! What a refused message is answered with.

use airside_base::{Fault, Kind};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{Revision, codes, error_body};

/// A JSON-RPC error together with the HTTP status that carries it and the code
/// that `airside explain` knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    status: StatusCode,
    code: i64,
    fault: Fault,
    data: Map<String, Value>,
}

impl Failure {
    /// Returns the failure with JSON-RPC `code`, carried by `status`. The message
    /// and the `code` member of `data` come from `fault`.
    #[must_use]
    pub fn new(status: StatusCode, code: i64, fault: Fault) -> Self {
        let mut data = Map::new();
        data.insert("code".to_owned(), json!(fault.code()));
        if let Some(hint) = fault.hint() {
            data.insert("hint".to_owned(), json!(hint));
        }
        Self {
            status,
            code,
            fault,
            data,
        }
    }

    /// Adds a member to `data`.
    #[must_use]
    pub fn with_data(mut self, name: &str, value: Value) -> Self {
        self.data.insert(name.to_owned(), value);
        self
    }

    /// Returns the answer to a method that nobody serves.
    #[must_use]
    pub fn method_not_found() -> Self {
        let fault = Fault::new(Kind::NotFound, "MCP-014", "the method is not known");
        Self::new(StatusCode::NOT_FOUND, codes::METHOD_NOT_FOUND, fault)
    }

    /// Returns the answer to a protocol version that is not spoken here.
    #[must_use]
    pub fn unsupported_version(requested: &str, supported: &[Revision]) -> Self {
        let supported: Vec<&str> = supported.iter().map(|known| known.as_str()).collect();
        let fault = Fault::new(
            Kind::Invalid,
            "MCP-012",
            "the protocol version is not supported",
        )
        .with_hint(format!("use one of {}", supported.join(", ")));
        // Long enough for every version there will be, short enough to echo.
        let requested: String = requested.chars().take(64).collect();
        Self::new(
            StatusCode::BAD_REQUEST,
            codes::UNSUPPORTED_PROTOCOL_VERSION,
            fault,
        )
        .with_data("supported", json!(supported))
        .with_data("requested", json!(requested))
    }

    /// Returns the answer to a request that needs client capabilities which it did
    /// not declare. `required` is a `ClientCapabilities` object.
    #[must_use]
    pub fn missing_capability(required: &impl Serialize) -> Self {
        let fault = Fault::new(
            Kind::Invalid,
            "MCP-013",
            "the request needs a client capability that it does not declare",
        );
        let required = serde_json::to_value(required).unwrap_or(Value::Null);
        Self::new(
            StatusCode::BAD_REQUEST,
            codes::MISSING_CLIENT_CAPABILITY,
            fault,
        )
        .with_data("requiredCapabilities", required)
    }

    /// Returns the HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the JSON-RPC code.
    #[must_use]
    pub fn code(&self) -> i64 {
        self.code
    }

    /// Returns the texts and the stable code.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Returns the JSON-RPC error message. `id` is raw JSON; without one the answer
    /// has none, as for a message whose id could not be read.
    #[must_use]
    pub fn body(&self, id: Option<&str>) -> bytes::Bytes {
        error_body(id, self.code, self.fault.public(), Some(&self.data))
    }
}
