use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::json::Scanner;

const LIMITS: Limits = Limits {
    depth: 128,
    ..Limits::DEFAULT
};

fn parse(text: &str) -> Result<Incoming, ParseError> {
    Incoming::parse(&Bytes::copy_from_slice(text.as_bytes()), &LIMITS)
}

fn call(text: &str) -> Call {
    match parse(text) {
        Ok(Incoming::Request(call) | Incoming::Notification(call)) => call,
        other => panic!("{text} is {other:?}"),
    }
}

/// `request`, `notification`, `response`, `batch N`, or code, status and message of
/// the refusal.
fn check(text: &str, expected: &str) {
    let shown = match parse(text) {
        Ok(Incoming::Request(_)) => "request".to_owned(),
        Ok(Incoming::Notification(_)) => "notification".to_owned(),
        Ok(Incoming::Response(_)) => "response".to_owned(),
        Ok(Incoming::Batch(messages)) => format!("batch {}", messages.len()),
        Err(error) => {
            let failure = error.failure();
            let fault = error.fault();
            format!("{} {} {}", fault.code(), failure.code(), fault.public())
        }
    };
    assert_eq!(shown, expected, "{text}");
}

/// A request with these members besides `jsonrpc` and `id`.
fn request(members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#)
}

#[test]
fn messages_are_told_apart() {
    check(&request(r#""method":"ping""#), "request");
    check(r#"{"jsonrpc":"2.0","method":"x"}"#, "notification");
    check(&request(r#""result":{}"#), "response");
    check(&request(r#""error":{"code":-1,"message":"m"}"#), "response");
    let one = request(r#""method":"ping""#);
    check(&format!(" [ {one} , {one} ] "), "batch 2");
}

#[test]
fn what_is_no_message_is_refused() {
    for (text, expected) in [
        (
            "",
            "MCP-001 -32700 the body is not JSON: expected a value at byte 0",
        ),
        (
            "{}x",
            "MCP-001 -32700 the body is not JSON: expected the end of the text at byte 2",
        ),
        (
            "{} {}",
            "MCP-001 -32700 the body is not JSON: expected the end of the text at byte 3",
        ),
        (
            "\u{FEFF}{}",
            "MCP-001 -32700 the body is not JSON: expected a value at byte 0",
        ),
        ("1", "MCP-005 -32600 a message has to be a JSON object"),
        ("{}", "MCP-005 -32600 `jsonrpc` has to be \"2.0\""),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#,
            "MCP-005 -32600 `jsonrpc` has to be \"2.0\"",
        ),
        (
            r#"{"jsonrpc":2.0,"id":1,"method":"x"}"#,
            "MCP-005 -32600 `jsonrpc` has to be \"2.0\"",
        ),
        (
            "[]",
            "MCP-007 -32600 a batch has to hold 1 to 32 messages and no further batch",
        ),
        (
            "[[]]",
            "MCP-007 -32600 a batch has to hold 1 to 32 messages and no further batch",
        ),
        ("[1]", "MCP-005 -32600 a message has to be a JSON object"),
    ] {
        check(text, expected);
    }
    let shape =
        "MCP-005 -32600 a message needs either `method`, or `id` with one of `result` and `error`";
    check(&request(r#""x":1"#), shape);
    check(&request(r#""method":"x","result":{}"#), shape);
    check(&request(r#""error":{"code":1},"result":{}"#), shape);
    check(r#"{"jsonrpc":"2.0","result":{}}"#, shape);
    let method = "MCP-005 -32600 `method` has to be a string of 1 to 256 bytes";
    check(&request(r#""method":1"#), method);
    check(&request(r#""method":"""#), method);
}

#[test]
fn ids_are_strings_or_integers() {
    for (id, accepted) in [
        ("1", true),
        ("-7", true),
        ("123456789012345678901234567890", true),
        (r#""a""#, true),
        (r#""""#, true),
        ("null", false),
        ("1.0", false),
        ("1e3", false),
        ("true", false),
        ("[1]", false),
        ("{}", false),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#);
        match accepted {
            true => assert_eq!(call(&text).id(), Some(id)),
            false => check(
                &text,
                "MCP-005 -32600 `id` has to be an integer or a string of at most 1024 bytes",
            ),
        }
    }
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":"{}","method":"x"}}"#,
        "i".repeat(1100)
    );
    assert_eq!(parse(&long).unwrap_err().reason(), Reason::Id);
}

#[test]
fn second_occurrence_is_refused_under_any_spelling() {
    for (members, path) in [
        (r#""method":"a","method":"a""#, "method"),
        (r#""method":"a","me\u0074hod":"b""#, "method"),
        (r#""method":"a","id":2"#, "id"),
        (r#""method":"a","json\u0072pc":"2.0""#, "jsonrpc"),
        (r#""method":"a","params":{},"params":{}"#, "params"),
        (
            r#""method":"tools/call","params":{"name":"a","\u006eame":"b"}"#,
            "params.name",
        ),
        (
            r#""method":"tools/call","params":{"name":"a","arguments":{},"arguments":{}}"#,
            "params.arguments",
        ),
        (
            r#""method":"x","params":{"_meta":{},"_met\u0061":{}}"#,
            "params._meta",
        ),
        (
            r#""method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"a","io.modelcontextprotocol\/protocolVersion":"b"}}"#,
            r#"params._meta["io.modelcontextprotocol/protocolVersion"]"#,
        ),
        (
            r#""result":{"isError":false,"isError":true}"#,
            "result.isError",
        ),
    ] {
        let error = parse(&request(members)).unwrap_err();
        assert_eq!(
            error.reason(),
            Reason::Duplicate { member: path },
            "{members}"
        );
        assert_eq!(error.failure().code(), -32600);
    }
    // What is not acted upon is not judged.
    check(
        &request(r#""method":"a","x":1,"x":2,"params":{"y":1,"y":2}"#),
        "request",
    );
}

#[test]
fn look_alike_of_a_member_is_refused() {
    for (members, path) in [
        (r#""method":"a","Method":"b""#, "method"),
        (r#""method":"a","PARAMS":{}"#, "params"),
        (r#""method":"a","param\u017f":{}"#, "params"),
        (
            r#""method":"tools/call","params":{"name":"a","Name":"b"}"#,
            "params.name",
        ),
    ] {
        let error = parse(&request(members)).unwrap_err();
        assert_eq!(
            error.reason(),
            Reason::Ambiguous { member: path },
            "{members}"
        );
    }
    // Methods that name nothing may have parameters of any name.
    check(
        &request(r#""method":"vendor/x","params":{"URI":1,"Name":2}"#),
        "request",
    );
}

#[test]
fn everything_that_is_acted_upon_is_found() {
    let text = r#" { "params" : {"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{"x":1},"io.modelcontextprotocol/clientInfo":{"name":"c"},
        "io.modelcontextprotocol/logLevel":"deb\u0075g","progressToken":7.50,"traceparent":"00-1","tracestate":"a=b",
        "baggage":"k=v","io.modelcontextprotocol/subscriptionId":"s"},
        "name":"se\u0061rch", "arguments": {"price":10.10,"name":"other"}, "requestState":"st","inputResponses":{},"unknown":[]},
        "method":"tools\/call","id":"\u0031","jsonrpc":"2.0","extra":{"method":"no"} } "#;
    let call = call(text);
    assert_eq!(call.bytes(), text.as_bytes());
    assert_eq!(call.id(), Some(r#""\u0031""#));
    assert_eq!(call.method(), "tools/call");
    assert_eq!(call.name(), Some("search"));
    assert_eq!(&text[call.name_span().unwrap()], r#""se\u0061rch""#);
    assert_eq!(
        call.arguments().unwrap(),
        br#"{"price":10.10,"name":"other"}"#
    );
    assert_eq!(call.request_state().unwrap(), br#""st""#);
    assert_eq!(call.input_responses().unwrap(), b"{}");
    assert!(call.is_continuation());
    let meta = call.meta();
    assert_eq!(meta.protocol_version(), Some("2026-07-28"));
    assert_eq!(meta.client_capabilities().unwrap(), br#"{"x":1}"#);
    assert_eq!(meta.client_info().unwrap(), br#"{"name":"c"}"#);
    assert_eq!(meta.log_level().unwrap(), "debug");
    assert_eq!(meta.progress_token(), Some("7.50"));
    assert_eq!(meta.subscription_id(), Some(r#""s""#));
    assert_eq!(meta.traceparent().unwrap(), "00-1");
    assert_eq!(meta.tracestate().unwrap(), "a=b");
    assert_eq!(meta.baggage().unwrap(), "k=v");
    assert_eq!(&text[meta.baggage_span().unwrap()], r#""k=v""#);
}

#[test]
fn target_depends_on_the_method() {
    for (method, params, name) in [
        ("resources/read", r#"{"uri":"u","name":"n"}"#, Some("u")),
        ("tasks/get", r#"{"taskId":"t"}"#, Some("t")),
        ("prompts/get", r#"{"name":"p","arguments":null}"#, Some("p")),
        ("tools/list", r#"{"name":1,"cursor":"c"}"#, None),
        ("vendor/x", r#"{"name":{},"cursor":1}"#, None),
    ] {
        let call = call(&request(&format!(
            r#""method":"{method}","params":{params}"#
        )));
        assert_eq!(call.name(), name, "{method}");
    }
    let missing = "MCP-006 -32602 `params.name` is missing";
    check(&request(r#""method":"tools/call""#), missing);
    check(
        &request(r#""method":"tools/call","params":{"name":null}"#),
        missing,
    );
    check(&request(r#""method":"resources/subscribe""#), "request");
    check(
        &request(r#""method":"tools/call","params":{"name":1}"#),
        "MCP-006 -32602 `params.name` has to be a string",
    );
    check(
        &request(r#""method":"tools/call","params":{"name":"a","arguments":[]}"#),
        "MCP-006 -32602 `params.arguments` has to be an object",
    );
    check(
        &request(r#""method":"x","params":[]"#),
        "MCP-006 -32602 `params` has to be an object",
    );
    check(
        &request(r#""method":"x","params":{"_meta":1}"#),
        "MCP-006 -32602 `params._meta` has to be an object",
    );
    check(&request(r#""method":"x","params":null"#), "request");
}

#[test]
fn refusal_carries_the_id_wherever_it_stands() {
    for text in [
        r#"{"id":"q","jsonrpc":"2.0","method":1}"#,
        r#"{"jsonrpc":"1","method":"a","method":"b","id":"q"}"#,
    ] {
        assert_eq!(parse(text).unwrap_err().id(), Some(r#""q""#), "{text}");
    }
    assert_eq!(
        parse(r#"{"id":null,"jsonrpc":"2.0","method":"x"}"#)
            .unwrap_err()
            .id(),
        None
    );
}

#[test]
fn size_depth_and_count_are_bounded() {
    let body = request(&format!(
        r#""method":"tools/call","params":{{"name":"a","arguments":{{"x":"{}"}}}}"#,
        "y".repeat(10 << 20)
    ));
    assert!(matches!(
        parse(&body).unwrap_err().reason(),
        Reason::TooLarge { .. }
    ));
    let large = LIMITS.with_size(16 << 20);
    let read = Incoming::parse(&Bytes::from(body), &large).unwrap();
    assert!(matches!(read, Incoming::Request(call) if call.arguments().unwrap().len() > 10 << 20));
    for open in ["[", r#"{"a":"#] {
        let nested = request(&format!(r#""method":"x","y":{}"#, open.repeat(1_000_000)));
        let error = Incoming::parse(&Bytes::from(nested), &large).unwrap_err();
        assert!(
            matches!(error.reason(), Reason::TooDeep { max: 128, .. }),
            "{error}"
        );
    }
    for (depth, fits) in [(127, true), (128, false)] {
        let nested = format!(
            r#""method":"x","y":{}{}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        assert_eq!(parse(&request(&nested)).is_ok(), fits, "{depth}");
    }
    let one = request(r#""method":"x""#);
    let batch = |count: usize| format!("[{}]", vec![one.as_str(); count].join(","));
    check(&batch(32), "batch 32");
    assert!(matches!(
        parse(&batch(33)).unwrap_err().reason(),
        Reason::Batch { .. }
    ));
}

#[test]
fn invalid_utf8_is_refused_everywhere() {
    let text = request(r#""method":"x","params":{"a":"_"}"#);
    for bad in [0x80, 0xC0, 0xED, 0xF8, 0xFF] {
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = bad;
            let error = Incoming::parse(&Bytes::from(bytes), &LIMITS).unwrap_err();
            assert_eq!(error.reason(), Reason::Utf8 { at });
        }
    }
}

fn scanner_accepts(text: &str) -> bool {
    let mut scanner = Scanner::new(text, 128);
    scanner.value(0).and_then(|_| scanner.end()).is_ok()
}

/// Whether serde_json accepts the text; none when it only dislikes the size of a number.
fn serde_accepts(text: &str) -> Option<bool> {
    match serde_json::from_str::<Value>(text) {
        Ok(_) => Some(true),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some(false),
    }
}

#[test]
fn number_of_any_size_is_accepted_and_syntax_is_not_relaxed() {
    for text in ["1e999", "-1E+999", "123456789012345678901234567890.5e-7"] {
        assert!(scanner_accepts(text), "{text}");
    }
    for text in [
        "1.", ".5", "+1", "01", "-", "1e", "1e+", "0x1", "NaN", "--1", "1_0",
    ] {
        assert!(!scanner_accepts(text), "{text}");
    }
}

fn soup() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"\\u0041\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\x\"",
        "\\",
        "\\u12",
        "\"é\"",
        "é",
        "0",
        "-0",
        "1",
        "01",
        "1.5",
        "1.",
        "1e5",
        "1e",
        "-",
        "true",
        "tru",
        "false",
        "null",
        " ",
        "\t",
        "\r\n",
        "\u{b}",
        "\0",
        "\"\u{1f}\"",
        "\"a\":",
        "{\"k\":1}",
        "[1,2]",
        "\"\u{7f}\"",
        "\"long enough to need more than one word of text\"",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Exact in both directions: serde_json may round the last digit of others.
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The members of a message, each present or not and mostly of the right type.
fn members() -> impl Strategy<Value = Value> {
    let text = |values: &'static [&'static str]| prop::sample::select(values).prop_map(Value::from);
    let noisy = |strategy: BoxedStrategy<Value>| prop_oneof![8 => strategy.prop_map(Some), 1 => json().prop_map(Some), 1 => Just(None)];
    let id = noisy(
        prop_oneof![
            any::<i64>().prop_map(Value::from),
            ".{0,9}".prop_map(Value::from)
        ]
        .boxed(),
    );
    let method = noisy(
        text(&[
            "tools/call",
            "prompts/get",
            "resources/read",
            "tools/list",
            "tasks/get",
            "x",
        ])
        .boxed(),
    );
    let object = |members: BoxedStrategy<Vec<(String, Value)>>| {
        members.prop_map(|members| Value::Object(members.into_iter().collect()))
    };
    let meta_keys = prop_oneof![
        Just("io.modelcontextprotocol/protocolVersion".to_owned()),
        Just("io.modelcontextprotocol/clientCapabilities".to_owned()),
        Just("progressToken".to_owned()),
        ".{0,6}",
    ];
    let meta_value = prop_oneof![".{0,6}".prop_map(Value::from), json()];
    let meta = object(prop::collection::vec((meta_keys, meta_value), 0..4).boxed());
    let params = (
        noisy(".{0,9}".prop_map(Value::from).boxed()),
        noisy(json().boxed()),
        noisy(meta.boxed()),
        json(),
    )
        .prop_map(|(name, arguments, meta, other)| {
            let mut params = serde_json::Map::new();
            for (key, value) in [
                ("name", name.clone()),
                ("uri", name.clone()),
                ("taskId", name),
                ("arguments", arguments),
                ("_meta", meta),
                ("other", Some(other)),
            ] {
                value.map(|value| params.insert(key.to_owned(), value));
            }
            Value::Object(params)
        });
    (id, method, noisy(params.boxed()), json()).prop_map(|(id, method, params, other)| {
        let mut message = serde_json::Map::new();
        for (key, value) in [
            ("other", Some(other)),
            ("params", params),
            ("id", id),
            ("method", method),
            ("jsonrpc", Some(Value::from("2.0"))),
        ] {
            value.map(|value| message.insert(key.to_owned(), value));
        }
        Value::Object(message)
    })
}

/// Writes `value` with every key and string escaped, or as serde_json does.
fn render(value: &Value, escape: bool, out: &mut String) {
    let text = |text: &str, out: &mut String| match escape {
        false => out.push_str(&Value::from(text).to_string()),
        true => {
            out.push('"');
            text.encode_utf16()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            out.push('"');
        }
    };
    match value {
        Value::String(string) => text(string, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { " , " } else { "" });
                render(item, escape, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                text(key, out);
                out.push_str(" :\t");
                render(member, escape, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// What the documentation says, on a tree. None when the message is to be refused.
fn model(message: &Value) -> Option<(Option<&Value>, &str, Option<&Value>)> {
    let present = |value: Option<&'_ Value>| value.is_some_and(|value| !value.is_null());
    let id = message.get("id");
    if let Some(id) = id {
        (id.is_string() || id.is_i64() || id.is_u64()).then_some(())?;
    }
    let method = message
        .get("method")?
        .as_str()
        .filter(|method| !method.is_empty())?;
    let params = message.get("params").filter(|params| !params.is_null());
    if let Some(params) = params {
        params.as_object()?;
    }
    let member = |key: &str| params.and_then(|params| params.get(key));
    let name = name_member(method).map(&member);
    if let Some(name) = name
        && (present(name) || !is_legacy_only(method))
    {
        name?.as_str()?;
    }
    if name_member(method) == Some("name") && present(member("arguments")) {
        member("arguments")?.as_object()?;
    }
    if let Some(meta) = member("_meta").filter(|meta| !meta.is_null()) {
        let meta = meta.as_object()?;
        for (key, fits) in [
            (
                "io.modelcontextprotocol/protocolVersion",
                Value::is_string as fn(&Value) -> bool,
            ),
            (
                "io.modelcontextprotocol/clientCapabilities",
                Value::is_object,
            ),
            ("progressToken", |value| {
                value.is_string() || value.is_number()
            }),
        ] {
            let value = meta.get(key).filter(|value| !value.is_null());
            value.is_none_or(fits).then_some(())?;
        }
    }
    Some((id, method, name.flatten()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn accepts_what_serde_json_accepts(text in soup()) {
        if let Some(expected) = serde_accepts(&text) {
            prop_assert_eq!(scanner_accepts(&text), expected, "{:?}", text);
        }
    }

    #[test]
    fn accepts_what_serde_json_accepts_after_a_mutation(
        value in json(), escape in any::<bool>(), at in any::<prop::sample::Index>(),
        with in prop::sample::select(vec!["", "\"", "\\", ",", "}", "]", "0", "e", ".", "-", " ", "\u{1}", "ü", ":"]),
        remove in any::<bool>(),
    ) {
        let mut text = String::new();
        render(&value, escape, &mut text);
        let mut at = at.index(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        if remove && at < text.len() {
            text.remove(at);
        }
        text.insert_str(at, with);
        if let Some(expected) = serde_accepts(&text) {
            prop_assert_eq!(scanner_accepts(&text), expected, "{:?}", text);
        }
    }

    #[test]
    fn extracts_what_serde_json_extracts(message in members(), escape in any::<bool>()) {
        let mut text = String::new();
        render(&message, escape, &mut text);
        let parsed = parse(&text);
        let Some((id, method, name)) = model(&message) else {
            prop_assert!(!matches!(parsed, Ok(Incoming::Request(_) | Incoming::Notification(_))), "{}", text);
            return Ok(());
        };
        let call = match parsed {
            Ok(Incoming::Request(call)) if id.is_some() => call,
            Ok(Incoming::Notification(call)) if id.is_none() => call,
            // A random member may look like one of ours.
            Err(error) if matches!(error.reason(), Reason::Ambiguous { .. }) => return Ok(()),
            other => return Err(TestCaseError::fail(format!("{other:?} for {text}"))),
        };
        let value = |raw: Option<&[u8]>| raw.map(|raw| serde_json::from_slice::<Value>(raw).unwrap());
        prop_assert_eq!(value(call.id().map(str::as_bytes)), id.cloned());
        prop_assert_eq!(call.method(), method);
        prop_assert_eq!(call.name(), name.and_then(Value::as_str));
        let params = message.get("params").filter(|value| !value.is_null());
        prop_assert_eq!(value(call.params()), params.cloned());
        let member = |key: &str| params.and_then(|params| params.get(key)).filter(|value| !value.is_null());
        prop_assert_eq!(value(call.arguments()), member("arguments").cloned());
        let meta = |key: &str| member("_meta").and_then(|meta| meta.get(key)).filter(|value| !value.is_null());
        let version = meta("io.modelcontextprotocol/protocolVersion").and_then(Value::as_str);
        prop_assert_eq!(call.meta().protocol_version(), version);
        let token = value(call.meta().progress_token().map(str::as_bytes));
        prop_assert_eq!(token.as_ref(), meta("progressToken"));
    }
}
