//! The process is this very test program, told by its environment to run one of the
//! servers below instead.

use std::{
    io::{BufRead as _, Write as _},
    sync::Arc,
};

use airside_base::VirtualClock;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;

use super::*;

const ROLE: &str = "AIRSIDE_TEST_STDIO";
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":"tök"}"#;

/// Not a test by itself: the servers that the tests below start.
#[test]
fn scripted_server() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let mut held = None;
    println!("{{not json");
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let message: serde_json::Value = serde_json::from_str(&line).unwrap();
        let id = message["id"].clone();
        let say = |text: String| {
            println!("{text}");
            std::io::stdout().flush().unwrap();
        };
        let reply = |result: &str| {
            say(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#
            ));
        };
        let modern = role == "modern" || role == "deaf";
        match message["method"].as_str().unwrap_or_default() {
            "server/discover" if modern => {
                reply(r#"{"supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{}}"#);
            }
            // As some handshake-era servers do.
            "server/discover" if role == "touchy" => return,
            "server/discover" => say(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"?"}}}}"#
            )),
            "initialize" => reply(
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1.0"}}"#,
            ),
            "notifications/initialized" => {
                say(r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#.to_owned());
            }
            "echo" => reply(&message["params"]["text"].to_string()),
            "env" => {
                let names: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
                reply(&serde_json::json!(names).to_string());
            }
            "progress" => {
                let token = &message["params"]["_meta"]["progressToken"];
                say(format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":0.50}}}}"#
                ));
                reply("{\"done\":1.0}");
            }
            // Answered only when the next one comes, so that answers change places.
            "hold" => held = Some(id.clone()),
            "release" => {
                reply("\"second\"");
                let first = held.take().unwrap();
                say(format!(
                    r#"{{"jsonrpc":"2.0","id":{first},"result":"first"}}"#
                ));
            }
            // As a process that hangs.
            "mute" => {}
            "notifications/cancelled" if role == "deaf" => {}
            "notifications/cancelled" => {
                let gone = &message["params"]["requestId"];
                assert_eq!(
                    held.as_ref(),
                    Some(gone),
                    "only a held request is cancelled"
                );
                say(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#.to_owned());
            }
            "long" => say("x".repeat(10_000)),
            "die" => return,
            // The answer to our `roots/list`.
            "" => assert_eq!(message["error"]["code"], -32601),
            other => panic!("unexpected {other}"),
        }
    }
}

struct Bench {
    stdio: Stdio,
    clock: VirtualClock,
    supervisor: Supervisor,
}

fn start(role: &str) -> Bench {
    let program = std::env::current_exe().unwrap();
    let mut options = Options::new(
        program.to_str().unwrap(),
        ["--exact", "--nocapture", "stdio::tests::scripted_server"]
            .map(ToOwned::to_owned)
            .to_vec(),
    );
    options
        .env
        .insert(ROLE.to_owned(), Redacted::new(role.to_owned()));
    options.max_line_bytes = 5_000;
    let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
    let supervisor = Supervisor::new();
    Bench {
        stdio: Stdio::start(options, Arc::new(clock.clone()), &supervisor),
        clock,
        supervisor,
    }
}

impl Bench {
    async fn send(&self, method: Method, body: &str) -> Result<Response<Body>, Error> {
        let request = Request::builder().method(method).uri("/");
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.stdio.send(request.body(body).unwrap()).await
    }

    async fn post(&self, body: &str) -> (StatusCode, String) {
        read(self.send(Method::POST, body).await.unwrap()).await
    }
}

async fn read(response: Response<Body>) -> (StatusCode, String) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.into()).unwrap())
}

fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{META}}}}}"#)
}

fn legacy(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
}

#[tokio::test]
async fn callers_with_the_same_id_get_their_own_answers() {
    let bench = start("modern");
    let (hold, release) = (request("1", "hold", ""), request("1", "release", ""));
    let (first, second) = tokio::join!(
        biased;
        bench.send(Method::POST, &hold),
        bench.post(&release),
    );
    let first = read(first.unwrap()).await;
    assert_eq!(first.1, r#"{"jsonrpc":"2.0","id":1,"result":"first"}"#);
    assert_eq!(second.1, r#"{"jsonrpc":"2.0","id":1,"result":"second"}"#);
}

#[tokio::test]
async fn id_and_progress_token_come_back_byte_for_byte() {
    let bench = start("modern");
    let (status, body) = bench.post(&request("\"\\u0061\"", "progress", "\n")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        body,
        concat!(
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"tök\",\"progress\":0.50}}\n\n",
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"\\u0061\",\"result\":{\"done\":1.0}}\n\n",
        )
    );
}

#[tokio::test]
async fn process_gets_only_the_configured_environment() {
    let bench = start("modern");
    let (_, body) = bench.post(&request("1", "env", "")).await;
    assert_eq!(
        body,
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":["{ROLE}"]}}"#)
    );
}

#[tokio::test]
async fn one_handshake_serves_all_sessions() {
    for role in ["legacy", "touchy"] {
        let bench = start(role);
        let hello = legacy("7", "initialize", r#""protocolVersion":"2025-06-18""#);
        let response = bench.send(Method::POST, &hello).await.unwrap();
        assert!(response.headers().contains_key("mcp-session-id"));
        let (_, body) = read(response).await;
        assert_eq!(
            body,
            r#"{"jsonrpc":"2.0","id":7,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1.0"}}}"#
        );
        let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(bench.post(note).await.0, StatusCode::ACCEPTED);
        let (_, body) = bench.post(&legacy("1", "echo", r#""text":"hi""#)).await;
        assert_eq!(body, r#"{"jsonrpc":"2.0","id":1,"result":"hi"}"#);
        let (status, body) = bench.post(&request("1", "echo", "")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(
            body.contains("-32022") && body.contains("2025-11-25"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn handshake_is_refused_where_the_process_is_stateless() {
    let bench = start("modern");
    let (status, body) = bench.post(&legacy("1", "initialize", "")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        body.contains("-32022") && body.contains("2026-07-28"),
        "{body}"
    );
    let get = bench.send(Method::GET, "").await.unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    let (_, body) = bench.post(&request("1", "server/discover", "")).await;
    let result = r#"{"supportedVersions":["2026-07-28"],"capabilities":{}}"#;
    assert_eq!(
        body,
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)
    );
}

#[tokio::test]
async fn dropped_request_is_cancelled_and_news_reach_the_listener() {
    let bench = start("legacy");
    let mut news = bench.send(Method::GET, "").await.unwrap().into_body();
    let cancelled = async {
        let held = legacy("1", "hold", "");
        let held = bench.send(Method::POST, &held);
        // The echo is answered after the held request was read.
        let echo = legacy("2", "echo", r#""text":1"#);
        tokio::select! {
            biased;
            _ = held => panic!("it is never answered"),
            _ = bench.post(&echo) => {}
        }
    };
    cancelled.await;
    let frame = news.frame().await.unwrap().unwrap();
    let text = frame.into_data().unwrap();
    assert_eq!(
        text,
        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n"
    );
}

#[tokio::test]
async fn dead_process_fails_its_calls_and_is_started_again() {
    let bench = start("modern");
    for fatal in ["die", "long"] {
        let answer = bench.send(Method::POST, &request("1", fatal, "")).await;
        assert!(matches!(answer, Err(Error::Broken { .. })), "{fatal}");
        let mut state = bench.stdio.state.clone();
        state
            .wait_for(|state| matches!(state, State::Down))
            .await
            .unwrap();
        let refused = bench.send(Method::POST, &request("1", "echo", "")).await;
        assert!(matches!(refused, Err(Error::Connect { .. })), "{fatal}");
        while matches!(*state.borrow(), State::Down) {
            bench.clock.advance(std::time::Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
        let (_, body) = bench.post(&request("1", "echo", r#""text":"up","#)).await;
        assert!(body.contains("\"up\""), "{body}");
    }
}

/// Asks what is never answered, and gives up after half a minute.
async fn wait_in_vain(bench: &Bench) {
    let mute = request("1", "mute", "");
    let mut asked = std::pin::pin!(bench.send(Method::POST, &mute));
    tokio::select! {
        biased;
        _ = asked.as_mut() => panic!("it is never answered"),
        () = tokio::task::yield_now() => {}
    }
    // It is given up when this ends.
    bench.clock.advance(std::time::Duration::from_secs(30));
}

#[tokio::test]
async fn process_that_says_nothing_is_started_again_and_one_that_is_slow_is_not() {
    let bench = start("deaf");
    let echo = request("1", "echo", r#""text":"up","#);
    bench.post(&echo).await;
    let mut state = bench.stdio.state.clone();
    state.mark_unchanged();
    for _ in 0..3 {
        wait_in_vain(&bench).await;
        wait_in_vain(&bench).await;
        assert!(bench.post(&echo).await.1.contains("\"up\""));
    }
    assert!(
        !state.has_changed().unwrap(),
        "it has been running all the time"
    );
    for _ in 0..3 {
        wait_in_vain(&bench).await;
    }
    state
        .wait_for(|state| matches!(state, State::Down))
        .await
        .unwrap();
    while matches!(*state.borrow(), State::Down) {
        bench.clock.advance(std::time::Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert!(bench.post(&echo).await.1.contains("\"up\""));
}

#[tokio::test]
async fn process_ends_with_the_supervisor() {
    let bench = start("modern");
    bench.post(&request("1", "echo", r#""text":1,"#)).await;
    let left = bench
        .supervisor
        .stop(std::time::Duration::from_secs(10))
        .await;
    assert_eq!(left, 0);
    let refused = bench.send(Method::POST, &request("1", "echo", "")).await;
    assert!(matches!(refused, Err(Error::Connect { .. })));
}

#[tokio::test]
async fn program_that_does_not_exist_is_an_error_not_a_crash() {
    let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
    let options = Options::new("/nonexistent/server", Vec::new());
    let stdio = Stdio::start(options, Arc::new(clock), &Supervisor::new());
    let request = Request::post("/").body(Bytes::new()).unwrap();
    assert!(matches!(
        stdio.send(request).await,
        Err(Error::Connect { .. })
    ));
}
