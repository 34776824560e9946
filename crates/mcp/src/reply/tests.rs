use bytes::Bytes;

use super::*;
use crate::{removals, splice};

fn result(text: &str) -> ResultHead {
    match scan(text.as_bytes(), &Limits::DEFAULT).unwrap().outcome {
        Outcome::Result(head) => head,
        Outcome::Error(head) => panic!("{text} is {head:?}"),
    }
}

fn reply(members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#)
}

#[test]
fn result_is_read_and_its_parts_are_found() {
    let text = reply(
        r#""result":{"resultType":"input_required","isError":true,"ttlMs":300,"cacheScope":"public",
            "nextCursor":"n","requestState":"s","_meta":{"a":1},"content":[{"isError":false}]}"#,
    );
    let head = result(&text);
    assert!(head.is_error);
    assert_eq!(head.result_type, ResultType::InputRequired);
    assert_eq!(
        (head.ttl_ms, head.cache_scope),
        (Some(300), Some(CacheScope::Public))
    );
    assert_eq!(&text[head.ttl_ms_span.unwrap()], "300");
    assert_eq!(&text[head.cache_scope_span.unwrap()], r#""public""#);
    assert_eq!(&text[head.next_cursor.unwrap()], r#""n""#);
    assert_eq!(&text[head.request_state.unwrap()], r#""s""#);
    assert_eq!(&text[head.meta.unwrap()], r#"{"a":1}"#);
    assert!(text[head.span].starts_with(r#"{"resultType""#));
}

#[test]
fn what_only_drives_recording_and_caching_is_read_carefully() {
    for (members, expected) in [
        ("", (false, ResultType::Complete, None, None)),
        (
            r#""isError":"true""#,
            (false, ResultType::Complete, None, None),
        ),
        (
            r#""resultType":"later""#,
            (false, ResultType::Other, None, None),
        ),
        (r#""resultType":7"#, (false, ResultType::Other, None, None)),
        (
            r#""resultType":"task","ttlMs":-1,"cacheScope":"all""#,
            (false, ResultType::Task, None, None),
        ),
        (r#""ttlMs":1.5"#, (false, ResultType::Complete, None, None)),
        (
            r#""ttlMs":0,"cacheScope":"private""#,
            (
                false,
                ResultType::Complete,
                Some(0),
                Some(CacheScope::Private),
            ),
        ),
    ] {
        let head = result(&reply(&format!(r#""result":{{{members}}}"#)));
        assert_eq!(
            (
                head.is_error,
                head.result_type,
                head.ttl_ms,
                head.cache_scope
            ),
            expected
        );
    }
}

#[test]
fn error_is_read_with_or_without_an_id() {
    for (text, id) in [
        (
            reply(r#""error":{"code":-32022,"message":"m","data":{"x":1}}"#),
            true,
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"m","data":{"x":1}}}"#
                .to_owned(),
            false,
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":-32022,"message":"m","data":{"x":1}}}"#.to_owned(),
            false,
        ),
    ] {
        let head = scan(text.as_bytes(), &Limits::DEFAULT).unwrap();
        assert_eq!(head.id.is_some(), id);
        let Outcome::Error(error) = head.outcome else {
            panic!("{text}")
        };
        assert_eq!(error.code, -32022);
        assert_eq!(&text[error.message.unwrap()], r#""m""#);
        assert_eq!(&text[error.data.unwrap()], r#"{"x":1}"#);
    }
}

#[test]
fn malformed_answer_is_refused() {
    for text in [
        reply(r#""result":[]"#),
        reply(r#""result":null"#),
        reply(r#""error":{}"#),
        reply(r#""error":{"code":"1"}"#),
        reply(r#""error":"no""#),
        reply(r#""method":"x""#),
        reply(r#""result":{},"error":{"code":1}"#),
        reply(r#""result":{"tools":[],"tools":[]}"#),
        r#"{"jsonrpc":"2.0","result":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#.to_owned(),
        r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#.to_owned(),
    ] {
        assert!(scan(text.as_bytes(), &Limits::DEFAULT).is_err(), "{text}");
    }
}

const TOOLS_PAGE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"x":10.10,"tools":[
    {"name":"a","securitySchemes":[1e2],"inputSchema":{"type":"object","name":"no"}},
    {"annotations":{"readOnlyHint":true},"na\u006de":"b\u0062","_meta":{}} , {"name":"c"}],"ttlMs":5}}"#;

#[test]
fn elements_of_a_list_are_found() {
    let head = result(TOOLS_PAGE);
    let elements = elements(TOOLS_PAGE.as_bytes(), &head, List::Tools, &Limits::DEFAULT).unwrap();
    let keys: Vec<&str> = elements
        .iter()
        .map(|element| element.key.as_str())
        .collect();
    assert_eq!(keys, ["a", "bb", "c"]);
    let text = |range: &Option<Range<usize>>| &TOOLS_PAGE[range.clone().unwrap()];
    assert_eq!(
        text(&elements[0].input_schema),
        r#"{"type":"object","name":"no"}"#
    );
    assert_eq!(text(&elements[1].annotations), r#"{"readOnlyHint":true}"#);
    assert_eq!(text(&elements[1].name_span), r#""b\u0062""#);
    assert_eq!(&TOOLS_PAGE[elements[2].span.clone()], r#"{"name":"c"}"#);
}

#[test]
fn prefixing_and_filtering_leave_every_other_byte() {
    let head = result(TOOLS_PAGE);
    let elements = elements(TOOLS_PAGE.as_bytes(), &head, List::Tools, &Limits::DEFAULT).unwrap();
    let prefix: Vec<(Range<usize>, &[u8])> = elements
        .iter()
        .map(|element| {
            let at = element.key_span.start + 1;
            (at..at, &b"s_"[..])
        })
        .collect();
    let bytes = Bytes::from_static(TOOLS_PAGE.as_bytes());
    let prefixed = splice(&bytes, &prefix);
    let expected = TOOLS_PAGE
        .replace(r#""a","sec"#, r#""s_a","sec"#)
        .replace(r#""b\u"#, r#""s_b\u"#)
        .replace(r#""c""#, r#""s_c""#);
    assert_eq!(prefixed, expected);

    let spans: Vec<Range<usize>> = elements
        .iter()
        .map(|element| element.span.clone())
        .collect();
    let gaps = removals(&spans, &[false, true, false]);
    let edits: Vec<(Range<usize>, &[u8])> = gaps.into_iter().map(|gap| (gap, &b""[..])).collect();
    let filtered = splice(&bytes, &edits);
    let left = super::elements(
        &filtered,
        &result(std::str::from_utf8(&filtered).unwrap()),
        List::Tools,
        &Limits::DEFAULT,
    );
    assert_eq!(left.unwrap().len(), 1);
    assert!(filtered.starts_with(br#"{"jsonrpc":"2.0","id":1,"result":{"x":10.10,"tools":["#));
}

#[test]
fn lists_of_other_kinds_have_other_keys() {
    for (list, element) in [
        (List::Resources, r#"{"uri":"k","name":"n"}"#),
        (List::ResourceTemplates, r#"{"uriTemplate":"k","name":"n"}"#),
        (List::Prompts, r#"{"name":"k"}"#),
    ] {
        assert_eq!(List::of_method(list.method()), Some(list));
        let text = reply(&format!(r#""result":{{"{}":[{element}]}}"#, list.member()));
        let elements = elements(text.as_bytes(), &result(&text), list, &Limits::DEFAULT).unwrap();
        assert_eq!(elements[0].key, "k");
        assert_eq!(&text[elements[0].key_span.clone()], r#""k""#);
    }
}

#[test]
fn malformed_or_endless_list_is_refused() {
    let limits = Limits {
        elements: 2,
        ..Limits::DEFAULT
    };
    for (array, fits) in [
        (r#"[{"name":"a"},{"name":"b"}]"#, true),
        ("[]", true),
        (r#"[{"name":"a"},{"name":"b"},{"name":"c"}]"#, false),
        (r#"[{"name":"a","name":"b"}]"#, false),
        (r#"[{"name":1}]"#, false),
        ("[{}]", false),
        ("[1]", false),
        ("{}", false),
    ] {
        let text = reply(&format!(r#""result":{{"tools":{array}}}"#));
        let read = elements(text.as_bytes(), &result(&text), List::Tools, &limits);
        assert_eq!(read.is_ok(), fits, "{array}");
    }
    let none = reply(r#""result":{}"#);
    assert!(elements(none.as_bytes(), &result(&none), List::Tools, &limits).is_err());
}
