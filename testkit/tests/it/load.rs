//! The load generator against the cheap upstream, and against servers that lie.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use airside_base::{OnFailure, Supervisor, SystemClock};
use airside_testkit::{
    load::{self, Era, Error, Measured, Pace, Plan, Process, Shape, Target},
    upstream::Upstream,
};

fn plan(address: SocketAddr, era: Era, pace: Pace) -> Plan {
    let url = format!("http://{address}/mcp");
    Plan {
        targets: vec![Target::new("direct", &url, Some(Process::own())).unwrap()],
        sessions: 3,
        shape: Shape {
            era,
            tool: "look_00".to_owned(),
            bytes: 40_000,
        },
        pace,
        slice: Duration::from_millis(60),
        rounds: 2,
        helpers: Vec::new(),
    }
}

/// Runs `plan` against the cheap upstream.
fn measure(era: Era, pace: Pace) -> Measured {
    let upstream = Upstream::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = upstream.address().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let supervisor = Supervisor::new();
    supervisor
        .spawn_thread("upstream", OnFailure::Stop, move || {
            upstream.run(&stopped).unwrap();
        })
        .unwrap();
    let rows = load::run(&plan(address, era, pace), &SystemClock::new()).unwrap();
    stop.store(true, Ordering::Relaxed);
    assert!(!supervisor.has_failed());
    rows.into_iter().next().unwrap()
}

#[test]
fn both_eras_are_answered_in_the_closed_loop() {
    for era in [Era::Modern, Era::Handshake] {
        let row = measure(era, Pace::Closed);
        assert!(row.calls > 10 && row.p50_ms > 0.0, "{row:?}");
        assert!(
            row.p50_ms <= row.p99_ms && row.rounds_per_s.len() == 2,
            "{row:?}"
        );
    }
}

#[test]
fn open_loop_offers_what_it_was_told() {
    let row = measure(Era::Modern, Pace::Open(500.0));
    // Two turns of 60 ms at 500 calls a second.
    assert_eq!(row.calls, 60, "{row:?}");
}

/// Runs against a server that gives every request the same answer.
fn run_against(answer: String) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let supervisor = Supervisor::new();
    supervisor
        .spawn_thread("liar", OnFailure::Log, move || {
            for stream in listener.incoming().take(3) {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                if stream.read(&mut request).unwrap_or_default() > 0 {
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            }
        })
        .unwrap();
    let mut plan = plan(address, Era::Modern, Pace::Closed);
    plan.sessions = 1;
    plan.shape.bytes = 16;
    load::run(&plan, &SystemClock::new()).unwrap_err()
}

#[test]
fn answer_to_another_call_ends_the_run() {
    let body = r#"{"jsonrpc":"2.0","id":1000000001,"result":{"content":[{"type":"text","text":"another one"}]}}"#;
    let length = body.len();
    let error = run_against(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    assert!(matches!(error, Error::Wrong { status: 200, .. }), "{error}");
}

#[test]
fn refusal_ends_the_run() {
    let error =
        run_against("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned());
    assert!(matches!(error, Error::Wrong { status: 503, .. }), "{error}");
}

#[test]
fn server_that_hangs_up_ends_the_run() {
    let error = run_against(String::new());
    assert!(matches!(error, Error::HungUp | Error::System(_)), "{error}");
}
