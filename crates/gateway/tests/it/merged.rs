//! Two servers made with the official SDK behind one endpoint, used by our client.

use std::{collections::BTreeMap, net::TcpListener, sync::Arc};

use airside_base::{Clock, OnFailure, Supervisor, SystemClock};
use airside_gateway::{Parts, Shared, Snapshot, config, serve};
use airside_identity::{Identity, Outside};
use airside_ledger::{Ledger, stores::memory::Memory};
use airside_mcp::{
    client::{Choice, Client, Message, Options},
    reply::{List, ResultType},
};
use airside_policy::{Policies, Settings, Source};
use airside_testkit::fixture::{self, Answers};
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use url::Url;

use crate::harness::within;

const POLICY: &str = r#"@id("all") permit (principal, action, resource);"#;

/// Starts two fixtures, `a` and `b`, and a gateway that merges them at `/mcp`.
async fn open(supervisor: &Supervisor) -> Url {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut upstreams = Vec::new();
    for (name, answers) in [("a", Answers::Stream), ("b", Answers::Json)] {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let address = fixture::serve(listener, supervisor, answers).unwrap();
        let url = format!("http://{address}/mcp").parse().unwrap();
        upstreams.push(config::Upstream::http(name.parse().unwrap(), url));
    }
    let store = Arc::new(Memory::new());
    let ledger = Ledger::open(
        store,
        clock.clone(),
        supervisor,
        airside_ledger::Options::default(),
    );
    let ledger = ledger.await.unwrap();
    let listen = config::Listen {
        threads: 2,
        ..config::Listen::default()
    };
    let identity = airside_identity::Config {
        anonymous_loopback: true,
        ..airside_identity::Config::default()
    };
    let source = Source {
        name: "test.cedar",
        text: POLICY,
    };
    let snapshot = Snapshot::build(
        Parts {
            listen: &listen,
            upstreams: &upstreams,
            endpoints: &[config::Endpoint {
                path: "/mcp".to_owned(),
                upstreams: upstreams.iter().map(|server| server.name.clone()).collect(),
            }],
            contracts: airside_contracts::Rules::default(),
            recording: config::Recording::default(),
            policies: &Policies::load(&[source], &Settings::default()).unwrap(),
            rules: &Arc::default(),
            barriers: &Arc::default(),
            previous: None,
        },
        Identity::new(&identity, &Outside::offline(clock.clone())).unwrap(),
        &BTreeMap::new(),
        &Shared::new(clock.clone(), supervisor.clone()),
        &clock,
    )
    .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let stop = supervisor.clone();
    supervisor.spawn("gateway", OnFailure::Log, async move {
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        serve(vec![listener], &listen, snapshot, ledger, stop, clock)
            .await
            .unwrap();
    });
    url.parse().unwrap()
}

async fn connect(url: &Url, era: Choice) -> Client {
    let options = Options {
        era,
        capabilities: json!({"elicitation": {}}),
        ..Options::default()
    };
    within(Client::connect(url, options)).await.unwrap()
}

async fn keys(client: &Client, list: List) -> Vec<String> {
    let items = within(client.list(list)).await.unwrap();
    items.iter().map(|item| item.key().to_owned()).collect()
}

#[tokio::test]
async fn both_servers_are_used_through_one_endpoint_in_both_eras() {
    let supervisor = Supervisor::new();
    let url = open(&supervisor).await;
    for era in [Choice::Modern, Choice::Legacy] {
        let client = connect(&url, era).await;
        let tools = keys(&client, List::Tools).await;
        for server in ["a", "b"] {
            let name = |own: &str| format!("{server}_{own}");
            assert!(tools.contains(&name("test_simple_text")), "{tools:?}");
            for (tool, arguments) in [
                ("test_simple_text", json!({})),
                ("test_custom_header", json!({"region": "eu", "query": "q"})),
                ("test_tool_with_progress", json!({})),
            ] {
                let tool = name(tool);
                let reply = within(client.call_tool(&tool, &arguments)).await.unwrap();
                assert!(!reply.is_error(), "{tool}");
            }
            let own = format!("mcp.{server}+test://");
            let resources = keys(&client, List::Resources).await;
            assert!(
                resources.contains(&format!("{own}static-text")),
                "{resources:?}"
            );
            for path in ["static-text", "template/7/data"] {
                let uri = format!("{own}{path}");
                let asked = json!({ "uri": uri });
                let read = within(client.call("resources/read", &asked)).await.unwrap();
                let read: Value = read.read().unwrap();
                assert_eq!(read["contents"][0]["uri"], uri);
            }
            let prompt = json!({"name": name("test_prompt_with_arguments"), "arguments": {"arg1": "x", "arg2": "y"}});
            let prompt: Value = within(client.call("prompts/get", &prompt))
                .await
                .unwrap()
                .read()
                .unwrap();
            assert!(
                prompt["messages"][0]["content"]["text"].is_string(),
                "{prompt}"
            );
            let (tool, none) = (name("test_embedded_resource"), json!({}));
            let embedded = within(client.call_tool(&tool, &none)).await.unwrap();
            let embedded: Value = embedded.read().unwrap();
            let uri = embedded["content"][0]["resource"]["uri"].as_str().unwrap();
            assert!(uri.starts_with(&own), "{uri}");
        }
        client.close().await;
    }
}

#[tokio::test]
async fn rounds_and_subscriptions_reach_the_right_server() {
    let supervisor = Supervisor::new();
    let url = open(&supervisor).await;
    let client = connect(&url, Choice::Modern).await;
    let tool = "b_test_input_required_result_request_state";
    let first = within(client.call_tool(tool, &json!({}))).await.unwrap();
    assert_eq!(first.result_type(), Some(&ResultType::InputRequired));
    let asked: Value = first.read().unwrap();
    let key = asked["inputRequests"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    let again = json!({
        "name": tool,
        "arguments": {},
        "requestState": asked["requestState"],
        "inputResponses": { key: {"action": "accept", "content": {"ok": true}} },
    });
    let last = within(client.call("tools/call", &again)).await.unwrap();
    assert_eq!(
        last.result_type(),
        Some(&ResultType::Complete),
        "{:?}",
        last.text()
    );

    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let mut stream = within(client.open("subscriptions/listen", &wanted))
        .await
        .unwrap();
    let note = async |stream: &mut airside_mcp::client::Exchange| match within(stream.next()).await
    {
        Ok(Some(Message::Notification(call))) => call.method().to_owned(),
        other => panic!("no notification: {other:?}"),
    };
    assert_eq!(
        note(&mut stream).await,
        "notifications/subscriptions/acknowledged"
    );
    for server in ["a", "b"] {
        let tool = format!("{server}_test_trigger_tool_change");
        within(client.call_tool(&tool, &json!({}))).await.unwrap();
        assert_eq!(note(&mut stream).await, "notifications/tools/list_changed");
    }
}
