use std::{sync::Arc, time::Duration};

use airside_base::{OnFailure, Supervisor};
use airside_mcp::{
    Limits, Revision,
    client::{Choice, Client, Error, Message, Options},
    reply::List,
};
use serde_json::{json, value::RawValue};

use crate::server::{MIRRORED, PLAIN, Server, Speaks};

/// How the client reaches the server.
#[derive(Debug, Clone, Copy)]
enum Over {
    Http,
    Local,
}

const BOTH: [Over; 2] = [Over::Http, Over::Local];

struct Setup {
    server: Arc<Server>,
    supervisor: Supervisor,
}

impl Setup {
    fn new(server: Server) -> Self {
        Self {
            server: Arc::new(server),
            supervisor: Supervisor::new(),
        }
    }

    async fn connect(&self, over: Over, options: Options) -> Result<Client, Error> {
        match over {
            Over::Http => {
                let url = self.server.listen(&self.supervisor).await;
                Client::connect(&url, options).await
            }
            Over::Local => Client::connect_local(self.server.clone(), options).await,
        }
    }
}

fn with_era(era: Choice) -> Options {
    Options {
        era,
        ..Options::default()
    }
}

/// Connects and compares the agreed revision, or the code of the failure.
async fn check_era(speaks: Speaks, era: Choice, expected: &str) {
    for over in BOTH {
        let setup = Setup::new(Server::new(speaks));
        let agreed = match setup.connect(over, with_era(era)).await {
            Ok(client) => client.revision().to_string(),
            Err(error) => error.fault().code().to_owned(),
        };
        assert_eq!(agreed, expected, "{speaks:?} {era:?} {over:?}");
    }
}

#[tokio::test]
async fn era_is_found_out() {
    check_era(Speaks::Modern, Choice::Auto, "2026-07-28").await;
    check_era(Speaks::Modern, Choice::Modern, "2026-07-28").await;
    check_era(Speaks::LegacyWithBody, Choice::Auto, "2025-06-18").await;
    check_era(Speaks::LegacyWithBody, Choice::Legacy, "2025-06-18").await;
    check_era(Speaks::LegacyWithBody, Choice::Modern, "MCP-039").await;
    for refusal in [400, 404, 405, 406] {
        check_era(Speaks::Legacy { refusal }, Choice::Auto, "2025-06-18").await;
    }
}

#[tokio::test]
async fn refusal_of_the_caller_does_not_look_like_an_old_server() {
    for refusal in [401, 403, 429, 500, 503] {
        let setup = Setup::new(Server::new(Speaks::Legacy { refusal }));
        let error = setup
            .connect(Over::Local, Options::default())
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Status { status } if status == refusal),
            "{error}"
        );
        assert_eq!(setup.server.seen(), ["POST server/discover"]);
    }
}

#[tokio::test]
async fn tool_is_called_with_its_arguments_mirrored_and_its_numbers_untouched() {
    for over in BOTH {
        let setup = Setup::new(Server::new(Speaks::Modern));
        let client = setup.connect(over, Options::default()).await.unwrap();
        let raw = r#"{"market":"dé","price":10.10,"n":123456789012345678901}"#;
        let arguments = RawValue::from_string(raw.to_owned()).unwrap();
        let reply = client.call_tool("echo", &arguments).await.unwrap();
        assert!(!reply.is_error());
        assert_eq!(reply.text().unwrap(), ["done"]);
        assert_eq!(reply.structured_content().unwrap().unwrap().get(), raw);
        let failed = client.call_tool("fails", &json!({})).await.unwrap();
        assert!(failed.is_error());
        assert_eq!(
            setup.server.seen(),
            [
                "POST server/discover",
                "POST tools/list",
                "POST tools/list",
                "POST tools/call",
                "POST tools/call",
            ]
        );
    }
}

#[tokio::test]
async fn metadata_of_the_caller_is_kept_beside_our_own() {
    let setup = Setup::new(Server::new(Speaks::Modern));
    let client = setup
        .connect(Over::Local, Options::default())
        .await
        .unwrap();
    for meta in [json!({}), json!({ "progressToken": 7 })] {
        let params = json!({ "name": "fails", "_meta": meta });
        client.call("tools/call", &params).await.unwrap();
    }
}

#[tokio::test]
async fn call_refused_for_its_headers_is_repeated_once_with_fresh_ones() {
    let setup = Setup::new(Server::new(Speaks::Modern).with_schemas(&[PLAIN, MIRRORED]));
    let client = setup
        .connect(Over::Local, Options::default())
        .await
        .unwrap();
    let reply = client
        .call_tool("echo", &json!({ "market": "de" }))
        .await
        .unwrap();
    assert!(!reply.is_error());
    let calls = setup
        .server
        .seen()
        .iter()
        .filter(|line| line.ends_with("tools/call"))
        .count();
    assert_eq!(calls, 2);
}

#[tokio::test]
async fn list_spans_all_pages_and_leaves_out_invalid_tools() {
    for (speaks, expected) in [
        (Speaks::Modern, vec!["echo", "fails"]),
        // The rule is one of the modern era.
        (Speaks::LegacyWithBody, vec!["echo", "bad", "fails"]),
    ] {
        let setup = Setup::new(Server::new(speaks));
        let client = setup.connect(Over::Http, Options::default()).await.unwrap();
        let tools = client.list(List::Tools).await.unwrap();
        let names: Vec<&str> = tools.iter().map(|tool| tool.key()).collect();
        assert_eq!(names, expected);
        let last = std::str::from_utf8(tools.last().unwrap().raw()).unwrap();
        assert_eq!(last, r#"{"name":"fails","x":10.10}"#);
    }
}

#[tokio::test]
async fn endless_list_is_given_up() {
    let mut server = Server::new(Speaks::Modern);
    server.endless_pages = true;
    let setup = Setup::new(server);
    let client = setup
        .connect(Over::Local, Options::default())
        .await
        .unwrap();
    assert!(matches!(
        client.list(List::Tools).await,
        Err(Error::EndlessList)
    ));
}

#[tokio::test]
async fn streamed_answer_hands_out_notifications_and_answers_pings() {
    for (speaks, over) in [
        (Speaks::Modern, Over::Http),
        (Speaks::LegacyWithBody, Over::Http),
        (Speaks::LegacyWithBody, Over::Local),
    ] {
        let setup = Setup::new(Server::new(speaks));
        let client = setup.connect(over, Options::default()).await.unwrap();
        let mut notes = Vec::new();
        let reply = client
            .call_tool_with("streams", &json!({}), &mut |call| {
                notes.push(call.method().to_owned());
            })
            .await
            .unwrap();
        assert_eq!(
            reply.structured_content().unwrap().unwrap().get(),
            r#"{"n":10.10}"#
        );
        assert_eq!(notes, ["notifications/progress"]);
        assert_eq!(setup.server.seen().last().unwrap(), "POST (answer)");
    }
}

#[tokio::test]
async fn dropping_a_call_cancels_it() {
    for over in BOTH {
        let setup = Setup::new(Server::new(Speaks::Modern));
        let client = setup.connect(over, Options::default()).await.unwrap();
        let mut exchange = client
            .open("subscriptions/listen", &json!({}))
            .await
            .unwrap();
        let first = exchange.next().await.unwrap();
        assert!(matches!(first, Some(Message::Notification(_))), "{first:?}");
        drop(exchange);
        setup.server.dropped().await;
    }
}

#[tokio::test]
async fn deadline_covers_the_whole_answer() {
    for over in BOTH {
        let setup = Setup::new(Server::new(Speaks::LegacyWithBody));
        let options = Options {
            timeout: Duration::from_millis(300),
            ..Options::default()
        };
        let client = setup.connect(over, options).await.unwrap();
        // The head and a notification arrive at once, the answer never.
        let error = client.call_tool("waits", &json!({})).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        setup.server.dropped().await;
    }
}

#[tokio::test]
async fn bad_answers_become_errors_and_nothing_is_sent_twice() {
    for (tool, code) in [
        ("large", "MCP-036"),
        ("breaks", "MCP-035"),
        ("html", "MCP-037"),
        ("moved", "MCP-037"),
        ("unknown", "MCP-039"),
    ] {
        for over in BOTH {
            let setup = Setup::new(Server::new(Speaks::LegacyWithBody));
            let options = Options {
                limits: Limits::DEFAULT.with_size(2000),
                ..Options::default()
            };
            let client = setup.connect(over, options).await.unwrap();
            let before = setup.server.seen().len();
            let error = client.call_tool(tool, &json!({})).await.unwrap_err();
            assert_eq!(error.fault().code(), code, "{tool} {over:?}: {error}");
            assert_eq!(setup.server.seen().len(), before + 1, "{tool}");
        }
    }
}

#[tokio::test]
async fn session_is_opened_used_and_ended() {
    for over in BOTH {
        let setup = Setup::new(Server::new(Speaks::LegacyWithBody));
        let client = setup.connect(over, with_era(Choice::Legacy)).await.unwrap();
        assert_eq!(client.revision(), Revision::V2025_06_18);
        assert!(client.server().starts_with(b"{\"protocolVersion\""));
        client.call_tool("echo", &json!({})).await.unwrap();
        client.close().await;
        assert_eq!(
            setup.server.seen(),
            [
                "POST initialize",
                "POST notifications/initialized",
                "POST tools/call",
                "DELETE",
            ]
        );
    }
}

#[tokio::test]
async fn unreachable_server_and_wrong_url_are_told_apart() {
    for (url, code) in [
        ("http://127.0.0.1:1/mcp", "MCP-033"),
        ("ftp://127.0.0.1/mcp", "MCP-030"),
        ("http://me:secret@127.0.0.1/mcp", "MCP-030"),
    ] {
        let error = Client::connect(&url.parse().unwrap(), Options::default())
            .await
            .unwrap_err();
        assert_eq!(error.fault().code(), code, "{url}");
        assert!(!format!("{error:?}").contains("secret"));
    }
}

#[tokio::test]
async fn client_works_inside_a_spawned_task() {
    let setup = Setup::new(Server::new(Speaks::Modern));
    let (server, tasks) = (setup.server.clone(), setup.supervisor.clone());
    tasks
        .spawn("probe", OnFailure::Stop, async move {
            let client = Client::connect_local(server, Options::default())
                .await
                .unwrap();
            client.call_tool("echo", &json!({})).await.unwrap();
            client.list(List::Tools).await.unwrap();
            let mut exchange = client
                .open("tools/call", &json!({ "name": "fails" }))
                .await
                .unwrap();
            assert!(matches!(exchange.next().await, Ok(Some(Message::Reply(_)))));
            client.close().await;
        })
        .await
        .unwrap();
    assert!(!tasks.has_failed());
}
