//! A result as it came, with accessors on top.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{Error, RpcError};
use crate::{
    Limits, Response,
    reply::{self, Element, List, Outcome, ResultHead, ResultType},
};

/// The answer to a call.
#[derive(Debug, Clone)]
pub struct Reply {
    response: Response,
    status: u16,
}

#[derive(Deserialize)]
struct ToolResult<'a> {
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
    #[serde(borrow, default, rename = "structuredContent")]
    structured: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: std::borrow::Cow<'a, str>,
    #[serde(default)]
    text: Option<String>,
}

impl Reply {
    pub(super) fn new(response: Response, status: u16) -> Self {
        Self { response, status }
    }

    /// Turns a JSON-RPC error into [`Error::Rpc`].
    pub(super) fn into_result(self) -> Result<Self, Error> {
        match &self.response.head().outcome {
            Outcome::Result(_) => Ok(self),
            Outcome::Error(head) => Err(Error::Rpc(RpcError::of(
                self.response.bytes(),
                head,
                self.status,
            ))),
        }
    }

    /// Returns the message as it came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        self.response.bytes()
    }

    /// Returns what was read from the result; none for a JSON-RPC error, which only
    /// [`super::Exchange`] hands out.
    #[must_use]
    pub fn head(&self) -> Option<&ResultHead> {
        match &self.response.head().outcome {
            Outcome::Result(head) => Some(head),
            Outcome::Error(_) => None,
        }
    }

    fn slice(&self, range: Range<usize>) -> Bytes {
        self.response.bytes().slice(range)
    }

    /// Returns the result as raw JSON: an object. Empty for a JSON-RPC error.
    #[must_use]
    pub fn result(&self) -> Bytes {
        self.head()
            .map_or_else(Bytes::new, |head| self.slice(head.span.clone()))
    }

    /// Reads the result into a type.
    ///
    /// # Errors
    ///
    /// [`Error::Result`] when it does not fit.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.result()).map_err(Error::Result)
    }

    /// Returns whether a tool reports a failure.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.head().is_some_and(|head| head.is_error)
    }

    /// Returns what kind of result it is.
    #[must_use]
    pub fn result_type(&self) -> Option<&ResultType> {
        self.head().map(|head| &head.result_type)
    }

    /// Returns the text blocks of a tool's result.
    ///
    /// # Errors
    ///
    /// [`Error::Result`] when `content` is malformed.
    pub fn text(&self) -> Result<Vec<String>, Error> {
        let result = self.result();
        let result: ToolResult<'_> = serde_json::from_slice(&result).map_err(Error::Result)?;
        let texts = result
            .content
            .into_iter()
            .filter(|block| block.kind == "text");
        Ok(texts.filter_map(|block| block.text).collect())
    }

    /// Returns `structuredContent` of a tool's result as raw JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Result`] when the result is malformed.
    pub fn structured_content(&self) -> Result<Option<Box<RawValue>>, Error> {
        let result = self.result();
        let result: ToolResult<'_> = serde_json::from_slice(&result).map_err(Error::Result)?;
        Ok(result.structured.map(ToOwned::to_owned))
    }

    /// Returns the cursor of the next page of a list.
    #[must_use]
    pub fn next_cursor(&self) -> Option<String> {
        let range = self.head()?.next_cursor.clone()?;
        serde_json::from_slice(&self.response.bytes()[range]).ok()
    }

    /// Returns the elements of one page of a list.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when the result is not such a list.
    pub fn items(&self, list: List, limits: &Limits) -> Result<Vec<Item>, Error> {
        let Some(head) = self.head() else {
            return Ok(Vec::new());
        };
        let bytes = self.response.bytes();
        let elements = reply::elements(bytes, head, list, limits).map_err(Error::Malformed)?;
        let item = |element| Item {
            bytes: bytes.clone(),
            element,
        };
        Ok(elements.into_iter().map(item).collect())
    }
}

/// One element of a list, as it came.
#[derive(Debug, Clone)]
pub struct Item {
    bytes: Bytes,
    element: Element,
}

impl Item {
    /// Returns what it is known by: `name`, `uri` or `uriTemplate`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.element.key
    }

    /// Returns it as raw JSON: an object.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.bytes[self.element.span.clone()]
    }

    /// Returns `inputSchema` of a tool as raw JSON.
    #[must_use]
    pub fn input_schema(&self) -> Option<&[u8]> {
        let range = self.element.input_schema.clone()?;
        Some(&self.bytes[range])
    }

    /// Returns `annotations` as raw JSON.
    #[must_use]
    pub fn annotations(&self) -> Option<&[u8]> {
        let range = self.element.annotations.clone()?;
        Some(&self.bytes[range])
    }

    /// Reads it into a type.
    ///
    /// # Errors
    ///
    /// [`Error::Result`] when it does not fit.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.raw()).map_err(Error::Result)
    }
}
