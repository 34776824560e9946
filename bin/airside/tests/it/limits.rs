//! Limits, from the configuration to the command that gives units back.

use std::path::Path;

use airside_identity::mint;
use airside_mcp::client::Choice;
use airside_testkit::{harness::Node, redis::Server};
use serde_json::{Value, json};

use crate::{
    booking::{call, client, consent, ready},
    run::{BINARY, Place},
};

const SERVED: &str = "[[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\n\
                      [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n";
const OPEN: &str = "data-dir = \"data\"\n[listen]\naddress = \"127.0.0.1:0\"\n\
                    [identity]\nanonymous-loopback = true\n";

fn serve(place: &Place, limits: &str) -> Node {
    let file = place.write("airside.toml", &format!("{OPEN}{limits}\n{SERVED}"));
    let arguments = [
        "serve",
        "--config",
        file.to_str().expect("the path is UTF-8"),
    ];
    Node::start(Path::new(BINARY), &arguments, &place.log()).expect("the node starts")
}

fn search(place: &Place) -> crate::run::Ran {
    let data = place.data();
    place.run(&["call", "search_hotels", "place=Boston", "--data-dir", &data])
}

#[test]
fn quota_outlives_the_node_and_is_given_back_on_record() {
    let place = Place::new();
    let data = place.data();
    let limits = "[[limit]]\nname = \"day\"\nquota = { daily = 2 }\nper = [\"tenant\"]\n\
                  tools = [\"search_hotels\"]\nanswer = \"tool-result\"\n";
    let node = serve(&place, limits);
    search(&place).ok();
    node.terminate().unwrap();

    let node = serve(&place, limits);
    search(&place).ok();
    let refused = search(&place);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    let text = format!("{}{}", refused.stdout, refused.stderr);
    assert!(text.contains("The quota `day` of 2 is used up"), "{text}");

    let listed = place.run(&["limits", "--json", "--data-dir", &data]).json();
    let key = &listed["keys"][0];
    assert_eq!(listed["store"], "memory");
    assert_eq!(
        (&key["limit"], &key["key"]),
        (&"day".into(), &"tenant=default".into())
    );
    assert_eq!((&key["used"], &key["most"]), (&2.into(), &2.into()));
    let table = place.run(&["limits", "--data-dir", &data]).ok();
    assert!(table.contains("tenant=default"), "{table}");

    let reset = |key: &str| {
        let reason = ["--reason", "ticket 4711", "--data-dir", &data];
        place.run(&[&["limits", "reset", "day", key][..], &reason].concat())
    };
    let unknown = reset("tenant=nobody");
    assert!(unknown.stderr.contains("GW-070"), "{unknown:?}");
    reset("tenant=default").ok();
    search(&place).ok();
    let entries = place.run(&["ledger", "tail", "-n", "50", "--json", "--data-dir", &data]);
    let entries = entries.ok();
    assert!(entries.contains("ticket 4711"), "{entries}");
    node.terminate().unwrap();
}

#[test]
fn documented_limits_are_good_and_count_in_a_store() {
    let page = include_str!("../../../../docs/limits.md");
    let blocks: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .collect();
    assert_eq!(blocks.len(), 2, "the page has two pieces of configuration");
    let store = Server::start().unwrap();
    let place = Place::new();
    place.write("valkey.url", &store.url());
    // On a busy machine a store may well take longer than in a network.
    let shared = blocks[1].replace("timeout-ms = 5", "timeout-ms = 5000");
    let node = serve(&place, &format!("{}\n{shared}", blocks[0]));
    let data = place.data();
    search(&place).ok();
    let listed = place.run(&["limits", "--json", "--data-dir", &data]).json();
    let limits: Vec<&str> = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|key| key["limit"].as_str())
        .collect();
    assert!(limits.contains(&"plan-daily"), "{listed}");
    node.terminate().unwrap();
}

#[test]
fn store_that_is_none_is_told_before_anything_serves() {
    let place = Place::new();
    place.write("valkey.url", "http://store");
    let store = "[limits.store]\nurl-file = \"valkey.url\"\nnodes = 2\n";
    let file = place.write("airside.toml", &format!("{OPEN}{store}\n{SERVED}"));
    let refused = place.run(&["serve", "--config", file.to_str().unwrap()]);
    assert!(refused.stderr.contains("CFG-036"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_are_budgeted_and_a_booking_earns_more() {
    let place = Place::new();
    let key = mint();
    let limits = format!(
        "[[identity.api-key]]\nname = \"ada\"\nsha256 = \"{}\"\n\
         [[limit]]\nname = \"looks\"\ntools = [\"search_hotels\"]\nper = [\"client\"]\n\
         look-to-book = {{ ratio = 2, floor = 2, window-s = 3600, \
         books = [\"complete_booking_session\"] }}\nanswer = \"tool-result\"\n",
        key.sha256
    );
    let node = tokio::task::block_in_place(|| serve(&place, &limits));
    let ada = client(node.url(), Some(key.secret.expose()), Choice::Modern, &[]).await;
    let look = async || {
        let found = call(&ada, "search_hotels", json!({ "place": "Boston" })).await;
        found.unwrap()["_meta"]["airside/limit"]["code"].clone()
    };
    let ready = ready(&ada).await.unwrap();
    assert_eq!(look().await, Value::Null);
    assert_eq!(look().await, "POL-023");
    // What is not a search goes on, and the booking renews the budget.
    let complete = consent(&ready, "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11").unwrap();
    let done = call(&ada, "complete_booking_session", complete).await;
    let status = &done.unwrap()["structuredContent"]["session"]["status"];
    assert_eq!(status, "completed");
    // The answer may be here before the call has ended there.
    while look().await != Value::Null {}
    assert_eq!(look().await, Value::Null);
    assert_eq!(look().await, "POL-023");
    assert!(node.terminate().unwrap().success());
}
