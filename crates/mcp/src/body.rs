//! Bodies and the responses that carry them.

use airside_base::BoxFuture;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};

use crate::Failure;

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A streamed body. Not `Sync`: a body is read by one task.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// The media type of a JSON-RPC message.
pub const JSON: &str = "application/json";
/// The media type of a stream of events.
pub const EVENT_STREAM: &str = "text/event-stream";

/// A server in this process.
///
/// It speaks what a remote one speaks, Streamable HTTP: statuses, headers,
/// sessions and event streams mean the same. Dropping the response body cancels
/// the call, as closing the connection would.
pub trait Local: Send + Sync {
    /// Answers one HTTP request.
    fn call<'a>(&'a self, request: Request<Body>) -> BoxFuture<'a, Response<Body>>;
}

/// Returns a body that is complete.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Returns a body without content.
#[must_use]
pub fn empty() -> Body {
    full(Bytes::new())
}

/// Boxes any body.
pub fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Longer than accepted.
    #[error("the body is longer than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// The peer failed or went away.
    #[error("the body broke off")]
    Broken(#[source] BoxError),
}

/// Reads a body to its end.
///
/// # Errors
///
/// [`CollectError`] when it has more than `max_bytes` or breaks off.
pub fn collect(
    body: Body,
    max_bytes: usize,
) -> impl Future<Output = Result<Bytes, CollectError>> + Send {
    // Boxed so that callers need not prove that the inner future is `Send`, which the
    // compiler cannot do across an `async fn` (rust-lang/rust, issue 110338).
    let collected: BoxFuture<'static, _> = Box::pin(Limited::new(body, max_bytes).collect());
    collected.map(move |outcome| match outcome {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(CollectError::TooLarge { max_bytes })
        }
        Err(error) => Err(CollectError::Broken(error)),
    })
}

fn with_type(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Returns a response that carries one JSON message.
pub fn json_response(status: StatusCode, message: impl Into<Bytes>) -> Response<Body> {
    with_type(status, JSON, full(message))
}

/// Returns a response that carries an event stream and asks proxies not to hold it back.
#[must_use]
pub fn event_stream_response(body: Body) -> Response<Body> {
    let mut response = with_type(StatusCode::OK, EVENT_STREAM, body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Returns a response without content.
#[must_use]
pub fn empty_response(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

/// Returns the response that carries `failure`. `id` is raw JSON.
#[must_use]
pub fn failure_response(id: Option<&str>, failure: &Failure) -> Response<Body> {
    json_response(failure.status(), failure.body(id))
}

/// Returns whether a `Content-Type` value names `media_type`, whatever its parameters.
#[must_use]
pub fn is_media_type(value: Option<&HeaderValue>, media_type: &str) -> bool {
    let essence = value.and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    essence.is_some_and(|essence| {
        let essence = essence.trim_ascii();
        essence.eq_ignore_ascii_case(media_type.as_bytes())
    })
}

/// Returns whether the body is a stream of server-sent events.
#[must_use]
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    is_media_type(headers.get(header::CONTENT_TYPE), EVENT_STREAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn body_over_the_limit_is_not_collected() {
        assert_eq!(collect(full("12345"), 5).await.unwrap(), "12345");
        let refused = collect(full("123456"), 5).await;
        assert!(matches!(
            refused,
            Err(CollectError::TooLarge { max_bytes: 5 })
        ));
    }

    #[test]
    fn media_type_is_compared_without_parameters_and_case() {
        for (value, fits) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json; name=\u{e9}", true),
            ("application/json-seq", false),
            ("text/event-stream", false),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            assert_eq!(is_media_type(Some(&value), JSON), fits, "{value:?}");
        }
        assert!(!is_media_type(None, JSON));
    }
}
