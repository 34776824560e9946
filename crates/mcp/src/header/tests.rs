use bytes::Bytes;

use super::*;
use crate::{Incoming, Limits};

fn call(members: &str) -> Call {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#);
    match Incoming::parse(&Bytes::from(text), &Limits::DEFAULT) {
        Ok(Incoming::Request(call)) => call,
        other => panic!("{members} is {other:?}"),
    }
}

fn headers(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.lines() {
        let (name, value) = line.split_once(':').unwrap();
        let name = HeaderName::try_from(name.trim()).unwrap();
        headers.append(name, HeaderValue::try_from(value.trim()).unwrap());
    }
    headers
}

const TOOL: &str = r#""method":"tools/call","params":{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"arguments":"#;
const TOOL_HEADERS: &str = "MCP-Protocol-Version: 2026-07-28\nmcp-METHOD: tools/call\nMcp-Name: a";

fn check_standard(members: &str, lines: &str, expected: &str) {
    let outcome = match check(&headers(lines), &call(members), None) {
        Ok(()) => "ok".to_owned(),
        Err(mismatch) => {
            assert_eq!(mismatch.failure().code(), codes::HEADER_MISMATCH);
            mismatch.to_string()
        }
    };
    assert_eq!(outcome, expected, "{members} with {lines}");
}

#[test]
fn standard_headers_repeat_the_body() {
    let tool = format!("{TOOL}{{}}}}");
    check_standard(&tool, TOOL_HEADERS, "ok");
    for (lines, expected) in [
        (
            "Mcp-Method: tools/call\nMcp-Name: a",
            "the header `mcp-protocol-version` is missing",
        ),
        (
            "MCP-Protocol-Version: 2025-11-25\nMcp-Method: tools/call\nMcp-Name: a",
            "the header `mcp-protocol-version` does not match the body",
        ),
        (
            "MCP-Protocol-Version: 2026-07-28\nMcp-Name: a",
            "the header `mcp-method` is missing",
        ),
        (
            "MCP-Protocol-Version: 2026-07-28\nMcp-Method: Tools/Call\nMcp-Name: a",
            "the header `mcp-method` does not match the body",
        ),
        (
            "MCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/call",
            "the header `mcp-name` is missing",
        ),
        (
            "MCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/call\nMcp-Name: b",
            "the header `mcp-name` does not match the body",
        ),
        (
            "MCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/call\nMcp-Name: a\nMcp-Name: a",
            "the header `mcp-name` occurs more than once",
        ),
        (
            "MCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/call\nMcp-Name: =?base64?YQ?=",
            "the header `mcp-name` is malformed",
        ),
        (
            "MCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/call\nMcp-Name: é",
            "the header `mcp-name` is malformed",
        ),
    ] {
        check_standard(&tool, lines, expected);
    }
    check_standard(
        r#""method":"resources/read","params":{"uri":"file:///ü"}"#,
        "Mcp-Method: resources/read\nMcp-Name: =?base64?ZmlsZTovLy/DvA==?=",
        "ok",
    );
    check_standard(r#""method":"tools/list""#, "Mcp-Method: tools/list", "ok");
}

#[test]
fn sentinel_carries_what_a_header_cannot() {
    for (text, value) in [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("=?BASE64?YQ==?=", "=?BASE64?YQ==?="),
        ("", ""),
    ] {
        assert_eq!(encode(text), value);
        assert_eq!(decode(value).unwrap(), text);
    }
    for broken in [
        "=?base64?YQ?=",
        "=?base64?!?=",
        "=?base64?/w==?=",
        "=?base64?YR==?=",
    ] {
        assert_eq!(decode(broken), None, "{broken}");
    }
}

const SCHEMA: &str = r#"{"type":"object","properties":{
    "market":{"type":"string","x-mcp-header":"Market"},
    "rooms":{"type":"integer","x-mcp-header":"Rooms"},
    "flexible":{"type":"boolean","x-mcp-header":"Flexible"},
    "stay":{"type":"object","properties":{"city":{"type":"string","x-mcp-header":"City"}}}}}"#;

fn check_params(arguments: &str, lines: &str, expected: &str) {
    let params = ParamHeaders::from_input_schema(SCHEMA.as_bytes()).unwrap();
    let call = call(&format!("{TOOL}{arguments}}}"));
    let outcome = check(
        &headers(&format!("{TOOL_HEADERS}\n{lines}")),
        &call,
        Some(&params),
    );
    let shown = outcome.map_or_else(|mismatch| mismatch.to_string(), |()| "ok".to_owned());
    assert_eq!(shown, expected, "{arguments} with {lines}");
}

#[test]
fn mirrored_arguments_equal_the_body() {
    for (arguments, lines, expected) in [
        ("{}", "", "ok"),
        (r#"{"market":null,"stay":{}}"#, "", "ok"),
        (r#"{"stay":7}"#, "", "ok"),
        (r#"{"market":"de"}"#, "MCP-PARAM-MARKET: de", "ok"),
        (
            r#"{"market":"dé"}"#,
            "Mcp-Param-Market: =?base64?ZMOp?=",
            "ok",
        ),
        (r#"{"m\u0061rket":"de"}"#, "Mcp-Param-Market: de", "ok"),
        (
            r#"{"flexible":true,"stay":{"city":"Rome"}}"#,
            "Mcp-Param-Flexible: true\nMcp-Param-City: Rome",
            "ok",
        ),
        (
            r#"{"market":"de"}"#,
            "",
            "the header `mcp-param-market` is missing",
        ),
        (
            "{}",
            "Mcp-Param-Market: de",
            "the header `mcp-param-market` does not match the body",
        ),
        (
            r#"{"market":null}"#,
            "Mcp-Param-Market: null",
            "the header `mcp-param-market` does not match the body",
        ),
        (
            r#"{"market":"de"}"#,
            "Mcp-Param-Market: DE",
            "the header `mcp-param-market` does not match the body",
        ),
        (
            r#"{"flexible":true}"#,
            "Mcp-Param-Flexible: True",
            "the header `mcp-param-flexible` does not match the body",
        ),
        (
            r#"{"market":["de"]}"#,
            "Mcp-Param-Market: de",
            "the body has no value that the header `mcp-param-market` can mirror",
        ),
        (
            r#"{"market":"de","market":"us"}"#,
            "Mcp-Param-Market: us",
            "the body has no value that the header `mcp-param-market` can mirror",
        ),
        ("{}", "Mcp-Param-Unknown: x", "ok"),
    ] {
        check_params(arguments, lines, expected);
    }
}

#[test]
fn integers_are_compared_by_value_within_the_safe_range() {
    let unequal = "the header `mcp-param-rooms` does not match the body";
    let unsafe_value = "the body has no value that the header `mcp-param-rooms` can mirror";
    for (body, header, expected) in [
        ("42", "42", "ok"),
        ("42", "42.0", "ok"),
        ("42.0", "42", "ok"),
        ("4.2e1", "42", "ok"),
        ("420e-1", "42", "ok"),
        ("-7", "-7", "ok"),
        ("-0", "0", "ok"),
        ("0e9", "0", "ok"),
        ("9007199254740991", "9007199254740991", "ok"),
        ("9007199254740991", "9007199254740991.0", "ok"),
        ("9007199254740992", "9007199254740992", unsafe_value),
        ("9007199254740991.4", "9007199254740991", unsafe_value),
        ("42.5", "42", unsafe_value),
        ("1e400", "1", unsafe_value),
        ("1e99999999999999999999", "1", unsafe_value),
        ("42", "43", unequal),
        ("42", "+42", unequal),
        ("42", "0x2A", unequal),
        ("42", "042", unequal),
        ("42", "", unequal),
    ] {
        check_params(
            &format!(r#"{{"rooms":{body}}}"#),
            &format!("Mcp-Param-Rooms: {header}"),
            expected,
        );
    }
}

fn check_schema(schema: &str, expected: &str) {
    let shown = match ParamHeaders::from_input_schema(schema.as_bytes()) {
        Ok(params) => {
            let entry =
                |entry: &ParamHeader| format!("{}={}", entry.header(), entry.path().join("."));
            params
                .entries()
                .iter()
                .map(entry)
                .collect::<Vec<_>>()
                .join(" ")
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, expected, "{schema}");
}

#[test]
fn annotations_are_allowed_only_on_reachable_primitives() {
    check_schema(
        SCHEMA,
        "mcp-param-market=market mcp-param-rooms=rooms mcp-param-flexible=flexible mcp-param-city=stay.city",
    );
    check_schema(r#"{"type":"object"}"#, "");
    // A property of that name is no annotation, and neither is instance data.
    check_schema(
        r#"{"properties":{"x-mcp-header":{"type":"string"},"a":{"default":{"x-mcp-header":"b"}}}}"#,
        "",
    );
    let annotated = r#"{"type":"string","x-mcp-header":"A"}"#;
    for place in [
        format!(r#"{{"properties":{{"a":{{"items":{annotated}}}}}}}"#),
        format!(r#"{{"anyOf":[{{"properties":{{"a":{annotated}}}}}]}}"#),
        format!(r#"{{"properties":{{"a":{{"oneOf":[{annotated}]}}}}}}"#),
        format!(r#"{{"$defs":{{"a":{annotated}}}}}"#),
        format!(r#"{{"if":{annotated}}}"#),
        format!(r#"{{"additionalProperties":{annotated}}}"#),
        format!(r#"{{"vendor":{{"properties":{{"a":{annotated}}}}}}}"#),
        annotated.to_owned(),
    ] {
        let refused = ParamHeaders::from_input_schema(place.as_bytes());
        assert!(
            matches!(refused, Err(SchemaError::Position { .. })),
            "{place}"
        );
    }
    for (property, expected) in [
        (
            r#"{"type":"number","x-mcp-header":"A"}"#,
            "is on a type that cannot be mirrored",
        ),
        (
            r#"{"type":["string","null"],"x-mcp-header":"A"}"#,
            "is on a type that cannot be mirrored",
        ),
        (
            r#"{"x-mcp-header":"A"}"#,
            "is on a type that cannot be mirrored",
        ),
        (
            r#"{"type":"string","x-mcp-header":""}"#,
            "is not an HTTP token",
        ),
        (
            r#"{"type":"string","x-mcp-header":"a b"}"#,
            "is not an HTTP token",
        ),
        (
            r#"{"type":"string","x-mcp-header":"a\r\nb"}"#,
            "is not an HTTP token",
        ),
        (
            r#"{"type":"string","x-mcp-header":7}"#,
            "is not an HTTP token",
        ),
        (
            r#"{"type":"string","\u0078-mcp-header":"ü"}"#,
            "is not an HTTP token",
        ),
    ] {
        check_schema(
            &format!(r#"{{"properties":{{"a":{property}}}}}"#),
            &format!("`x-mcp-header` at `/properties/a` {expected}"),
        );
    }
    check_schema(
        r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#,
        "`x-mcp-header` at `/properties/b` repeats a name",
    );
}

#[test]
fn mirrored_headers_pass_the_check() {
    let params = ParamHeaders::from_input_schema(SCHEMA.as_bytes()).unwrap();
    for arguments in [
        "{}",
        r#"{"market":" dé ","rooms":4.2e1,"flexible":false,"stay":{"city":"=?base64?x?="}}"#,
        r#"{"market":"\u0000"}"#,
    ] {
        let call = call(&format!("{TOOL}{arguments}}}"));
        let sent = mirror(&call, Some(&params)).unwrap();
        assert_eq!(check(&sent, &call, Some(&params)), Ok(()), "{sent:?}");
    }
    let call = call(&format!(r#"{TOOL}{{"rooms":1.5}}}}"#));
    assert!(matches!(
        mirror(&call, Some(&params)),
        Err(Mismatch::Unmirrorable { .. })
    ));
}
