use std::sync::Arc;

use super::*;
use crate::cache::Key;

const A: &str = r#"{ "tools" : [ {"name":"get","x":10.10,"_meta":{"ui":{"resourceUri":"ui://m/v"},"openai/outputTemplate":"ui://m/v"}},
  {"title":"T","name":"put","annotations":{"readOnlyHint":false,"destructiveHint":true},"securitySchemes":[{"type":"noauth"}]} ],
  "ttlMs":5000,"cacheScope":"public","resultType":"complete"}"#;
const B: &str = r#"{"tools":[{"name":"get","big":12345678901234567890.50}],"ttlMs":3000,"cacheScope":"public"}"#;

fn server(name: &str) -> ServerId {
    name.parse().unwrap()
}

fn readers() -> Audience {
    Audience::of(
        Key::of(&[b"7"]),
        Arc::new(|item| item.facts.read_only || item.name == "get"),
    )
}

fn check(audience: &Audience, unavailable: &[&str], expected: &str) {
    let (a, b) = (server("a"), server("b"));
    let pages = [
        Page {
            server: &a,
            result: A,
            freshness: Freshness::of(A),
        },
        Page {
            server: &b,
            result: B,
            freshness: Freshness::of(B),
        },
    ];
    let unavailable: Vec<_> = unavailable.iter().map(|name| server(name)).collect();
    let merge = Merge {
        list: List::Tools,
        pages: &pages,
        unavailable: &unavailable,
        audience,
        next: None,
        server_info: Some("{}"),
    };
    assert_eq!(merge.finish(&merge.items()), expected);
}

#[test]
fn merged_list_keeps_every_byte_but_names_and_uris() {
    let expected = concat!(
        r#"{"tools":[{"name":"a_get","x":10.10,"_meta":{"ui":{"resourceUri":"ui://a_m/v"},"openai/outputTemplate":"ui://a_m/v"}},"#,
        r#"{"title":"T","name":"a_put","annotations":{"readOnlyHint":false,"destructiveHint":true},"securitySchemes":[{"type":"noauth"}]},"#,
        r#"{"name":"b_get","big":12345678901234567890.50}],"resultType":"complete","ttlMs":3000,"cacheScope":"public","#,
        r#""_meta":{"io.modelcontextprotocol/serverInfo":{}}}"#
    );
    check(&Audience::everyone(), &[], expected);
}

#[test]
fn audience_sees_only_its_items_and_shares_nothing() {
    let expected = concat!(
        r#"{"tools":[{"name":"a_get","x":10.10,"_meta":{"ui":{"resourceUri":"ui://a_m/v"},"openai/outputTemplate":"ui://a_m/v"}},"#,
        r#"{"name":"b_get","big":12345678901234567890.50}],"resultType":"complete","ttlMs":0,"cacheScope":"private","#,
        r#""_meta":{"io.modelcontextprotocol/serverInfo":{},"airside/unavailable":["c"]}}"#
    );
    check(&readers(), &["c"], expected);
}

#[test]
fn list_of_one_server_is_cut_in_place() {
    let seen = cut(List::Tools, &server("b"), B, &readers()).unwrap();
    assert_eq!(seen, B.replace("public", "private"));
    let nobody = Audience::of(Key::of(&[b"1"]), Arc::new(|_| false));
    let cut = cut(List::Tools, &server("b"), B, &nobody).unwrap();
    assert_eq!(cut, r#"{"tools":[],"ttlMs":3000,"cacheScope":"private"}"#);
}

#[test]
fn item_without_one_clear_name_is_left_out() {
    let result = r#"{"tools":[{"name":"a","name":"b"},{"title":"x"},{"name":7},{"name":"c"}]}"#;
    let a = server("a");
    let names: Vec<_> = items(List::Tools, &a, result)
        .into_iter()
        .map(|item| item.name)
        .collect();
    assert_eq!(names, ["c"]);
}
