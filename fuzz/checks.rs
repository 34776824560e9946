//! What must hold for any input. Shared by the fuzz targets and by the test that
//! replays their corpus.

use airside_mcp::{
    Call, Incoming, Limits, ParamHeaders,
    header::{decode, encode},
    reply::{self, List, Outcome},
    sse::{Decoder, Event, TooLarge},
};
use bytes::Bytes;
use serde_json::Value;

const LIMITS: Limits = Limits {
    size_bytes: 1 << 20,
    depth: 100,
    batch: 8,
    elements: 100,
};

/// Reads `data` as a message. What is accepted is JSON to another parser, too, and
/// means the same to it.
pub(crate) fn envelope(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let parsed = Incoming::parse(&bytes, &LIMITS);
    let value: Result<Value, _> = serde_json::from_slice(data);
    match parsed {
        Ok(incoming) => match value {
            Ok(value) => message(&incoming, &value),
            Err(error) => assert!(
                error.to_string().starts_with("number out of range"),
                "only we accept it: {error}"
            ),
        },
        Err(error) => {
            assert!(error.failure().status().is_client_error());
            if error.failure().code() == airside_mcp::codes::PARSE_ERROR {
                assert!(value.is_err(), "only we refuse it: {error}");
            }
        }
    }
}

fn message(incoming: &Incoming, value: &Value) {
    match incoming {
        Incoming::Request(call) => {
            assert_eq!(read(call.id().map(str::as_bytes)).as_ref(), value.get("id"));
            compare(call, value);
        }
        Incoming::Notification(call) => {
            assert!(call.id().is_none() && value.get("id").is_none());
            compare(call, value);
        }
        Incoming::Response(response) => {
            assert_eq!(
                read(response.id().map(str::as_bytes)).as_ref(),
                value.get("id")
            );
            assert!(value.get("method").is_none());
        }
        Incoming::Batch(messages) => {
            let values = value.as_array().expect("a batch is an array");
            assert_eq!(messages.len(), values.len());
            for (incoming, value) in messages.iter().zip(values) {
                assert!(
                    !matches!(incoming, Incoming::Batch(_)),
                    "batches are not nested"
                );
                message(incoming, value);
            }
        }
    }
}

fn read(raw: Option<&[u8]>) -> Option<Value> {
    raw.map(|raw| serde_json::from_slice(raw).expect("what was extracted is JSON"))
}

fn compare(call: &Call, value: &Value) {
    let present = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    assert_eq!(value.get("jsonrpc"), Some(&Value::from("2.0")));
    assert_eq!(value.get("method"), Some(&Value::from(call.method())));
    assert_eq!(read(call.params()), present(value.get("params")));
    let param = |name: &str| present(value.get("params").and_then(|params| params.get(name)));
    assert_eq!(read(call.arguments()), param("arguments"));
    assert_eq!(read(call.request_state()), param("requestState"));
    assert_eq!(read(call.input_responses()), param("inputResponses"));
    if let Some(member) = airside_mcp::name_member(call.method()) {
        assert_eq!(call.name().map(Value::from), param(member));
    }
    let meta = |name: &str| present(param("_meta").as_ref().and_then(|meta| meta.get(name)));
    let version = call.meta().protocol_version().map(Value::from);
    assert_eq!(version, meta("io.modelcontextprotocol/protocolVersion"));
    let level = call.meta().log_level().map(Value::from);
    assert_eq!(level, meta("io.modelcontextprotocol/logLevel"));
    let capabilities = read(call.meta().client_capabilities());
    assert_eq!(
        capabilities,
        meta("io.modelcontextprotocol/clientCapabilities")
    );
    let token = read(call.meta().progress_token().map(str::as_bytes));
    assert_eq!(token, meta("progressToken"));
}

/// Reads `data` as an answer and the elements of whatever list it has.
pub(crate) fn answer(data: &[u8]) {
    let Ok(head) = reply::scan(data, &LIMITS) else {
        return;
    };
    let Outcome::Result(result) = head.outcome else {
        return;
    };
    assert_eq!(data[result.span.start], b'{');
    assert_eq!(data[result.span.end - 1], b'}');
    for list in [
        List::Tools,
        List::Resources,
        List::ResourceTemplates,
        List::Prompts,
    ] {
        let Ok(elements) = reply::elements(data, &result, list, &LIMITS) else {
            continue;
        };
        let mut end = 0;
        for element in elements {
            assert!(end <= element.span.start, "elements do not overlap");
            end = element.span.end;
            let key: String =
                serde_json::from_slice(&data[element.key_span]).expect("a key is a string");
            assert_eq!(key, element.key);
        }
    }
}

/// Reads `data` as a stream, whole and byte by byte, and writes its events again.
pub(crate) fn stream(data: &[u8]) {
    let decode = |piece_bytes: usize| {
        let mut decoder = Decoder::new(4096);
        let mut events: Vec<Event> = Vec::new();
        for piece in data.chunks(piece_bytes) {
            decoder.decode(piece, &mut events)?;
        }
        Ok::<_, TooLarge>(events)
    };
    let whole = decode(data.len().max(1));
    assert_eq!(whole, decode(1));
    for event in whole.unwrap_or_default() {
        let text = event.encode();
        let mut again = Vec::new();
        Decoder::new(usize::MAX)
            .decode(&text, &mut again)
            .expect("without a limit");
        assert_eq!(again, [event]);
    }
}

/// Reads `data` as the value of a header and as a tool's schema.
pub(crate) fn header(data: &[u8]) {
    let _ = ParamHeaders::from_input_schema(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let encoded = encode(text);
    assert!(http::HeaderValue::from_str(&encoded).is_ok());
    assert_eq!(encoded.trim(), encoded);
    assert_eq!(decode(&encoded).as_deref(), Some(text));
    let _ = decode(text);
}
