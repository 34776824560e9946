//! A node from its start to its end.

use std::{net::TcpListener, path::Path};

use airside_testkit::harness::{Error, Node};

use crate::{
    control_api::text_by_socket,
    run::{BINARY, Place},
};

#[test]
fn call_through_a_fresh_node_is_in_the_ledger() {
    let place = Place::new();
    let node = place.up();
    let data = place.data();
    let found = place.run(&["call", "search_hotels", "place=Boston", "--data-dir", &data]);
    let shown = found.ok();
    assert!(shown.contains("TOTAL") && shown.contains(" USD"), "{shown}");

    // The answer may arrive before the record of it is made.
    let line = (0..100)
        .map(|_| place.run(&["ledger", "tail", "--data-dir", &data]).ok())
        .find_map(|tail| {
            let mut lines = tail.lines();
            lines
                .find(|line| line.contains("travel/search_hotels") && line.contains("permitted"))
                .map(str::to_owned)
        })
        .expect("the call is in the ledger");
    for part in ["local", "permitted", " ok "] {
        assert!(line.contains(part), "{part}: {line}");
    }

    assert_eq!(node.terminate().unwrap().code(), Some(0));
    // The files are read when no node runs, and the stop is the last entry.
    let tail = place.run(&["ledger", "tail", "-n", "1", "--json", "--data-dir", &data]);
    assert_eq!(tail.json()["kind"], "node.stopped");
    assert_eq!(tail.json()["body"]["drained"], true);
    let verified = place.run(&["ledger", "verify", "--data-dir", &data]);
    assert!(verified.stderr.is_empty(), "no progress bar in a pipe");
    assert!(verified.ok().starts_with("verified: "));
}

#[test]
fn json_of_every_command_is_json() {
    let place = Place::new();
    let _node = place.up();
    let data = place.data();
    for command in [
        &["status"][..],
        &["tools"],
        &["call", "search_hotels", "place=Boston"],
        &["ledger", "head"],
        &["ledger", "verify"],
        &["config", "reload"],
    ] {
        let mut arguments = command.to_vec();
        arguments.extend(["--json", "--data-dir", &data]);
        let ran = place.run(&arguments);
        assert_eq!(ran.code, Some(0), "{command:?} {ran:?}");
        assert!(ran.json().is_object() || ran.json().is_array());
        assert!(ran.stderr.is_empty(), "{ran:?}");
    }
    let tail = place
        .run(&["ledger", "tail", "--json", "--data-dir", &data])
        .ok();
    for line in tail.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["seq"].is_u64() && entry["body"].is_object(), "{line}");
    }
    for command in [
        &["config", "schema"][..],
        &["key", "new", "--name", "ci"],
        &["explain", "CLI-001"],
    ] {
        let mut arguments = command.to_vec();
        arguments.push("--json");
        assert!(place.run(&arguments).json().is_object());
    }
}

#[test]
fn metrics_tell_of_calls_and_of_none_that_somebody_made_up() {
    let place = Place::new();
    let _node = place.up();
    let data = place.data();
    let call = ["call", "search_hotels", "place=Boston", "--data-dir", &data];
    place.run(&call).ok();
    let text = text_by_socket(Path::new(&data), "/metrics");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    let counted = text.lines().any(|line| {
        line.starts_with("mcp_server_operation_duration_seconds_count{")
            && line.contains(r#"mcp_method_name="tools/call""#)
            && line.contains(r#"gen_ai_tool_name="search_hotels""#)
            && line.contains(r#"airside_server="travel""#)
            && line.ends_with(r#"error_type=""} 1"#)
    });
    assert!(counted, "{text}");
    for line in [
        "airside_records_lost_total 0",
        r#"airside_upstream_breaker_open{airside_server="travel"} 0"#,
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
    assert!(
        text.contains("target_info{service_name=\"airside\""),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn second_node_on_a_folder_is_refused_and_the_first_serves_on() {
    let place = Place::new();
    let node = place.up();
    let data = place.data();
    let second = place.run(&["up", "--data-dir", &data, "--port", "0"]);
    assert_eq!(second.code, Some(7), "{second:?}");
    assert!(second.stderr.contains("CLI-005"), "{second:?}");
    assert!(second.stdout.is_empty(), "{second:?}");
    let status = place.run(&["status", "--json", "--data-dir", &data]).json();
    assert_eq!(status["pid"], node.pid());
}

#[test]
fn killed_node_leaves_a_folder_that_starts_and_verifies() {
    let place = Place::new();
    let data = place.data();
    let node = place.up();
    place
        .run(&["call", "search_hotels", "place=Boston", "--data-dir", &data])
        .ok();
    let before = place
        .run(&["ledger", "head", "--json", "--data-dir", &data])
        .json();
    node.kill().unwrap();
    assert!(
        Path::new(&data).join("control.sock").exists(),
        "the socket is stale"
    );
    // Reading works while nobody runs, past the stale socket.
    place.run(&["ledger", "verify", "--data-dir", &data]).ok();
    let _again = place.up();
    let after = place
        .run(&["ledger", "head", "--json", "--data-dir", &data])
        .json();
    assert!(
        after["seq"].as_u64() > before["seq"].as_u64(),
        "{before} {after}"
    );
    place.run(&["ledger", "verify", "--data-dir", &data]).ok();
}

#[test]
fn taken_port_is_refused_when_it_was_named() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = place.run(&["up", "--data-dir", &place.data(), "--port", &port]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(ran.stderr.contains("CLI-006"), "{ran:?}");
    assert!(
        ran.stderr.lines().last().unwrap().starts_with("hint: "),
        "{ran:?}"
    );
}

#[test]
fn default_port_gives_way_and_says_so() {
    let place = Place::new();
    // Somebody else may hold it already; then this is none of ours to hold.
    let _held = TcpListener::bind("127.0.0.1:7400");
    let data = place.data();
    let node = Node::start(
        Path::new(BINARY),
        &["up", "--data-dir", &data],
        &place.log(),
    )
    .unwrap();
    assert_ne!(node.url().port(), Some(7400));
    let log = std::fs::read_to_string(place.log()).unwrap();
    assert!(log.contains("the port is taken"), "{log}");
}

#[test]
fn ready_line_of_a_program_is_one_json_object() {
    let place = Place::new();
    let data = place.data();
    let arguments = ["up", "--data-dir", &data, "--port", "0", "--json"];
    // The harness waits for the line of people, so it sees the object and the end.
    let error = {
        let mut child = crate::run::command(&place.path(""), &arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        line
    };
    let ready: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert_eq!(ready["event"], "ready");
    assert!(
        ready["endpoint"].as_str().unwrap().ends_with("/mcp"),
        "{ready}"
    );
}

#[test]
fn folder_that_others_may_enter_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let open = place.path("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::write(open.join("something"), "x").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = Node::start(
        Path::new(BINARY),
        &["up", "--port", "0", "--data-dir", open.to_str().unwrap()],
        &place.log(),
    )
    .unwrap_err();
    let Error::NotReady { log, .. } = error else {
        panic!("{error}");
    };
    assert!(
        log.contains("CLI-004") && log.contains("chmod 700"),
        "{log}"
    );
}

#[test]
fn log_in_json_is_json_and_holds_no_arguments() {
    let place = Place::new();
    let data = place.data();
    let node = Node::start(
        Path::new(BINARY),
        &[
            "up",
            "--data-dir",
            &data,
            "--port",
            "0",
            "--log-format",
            "json",
            "--log-level",
            "trace",
        ],
        &place.log(),
    )
    .unwrap();
    let secret = "place=Zanzibar-7f3a";
    place.run(&["call", "search_hotels", secret, "--data-dir", &data]);
    node.terminate().unwrap();
    let log = std::fs::read_to_string(place.log()).unwrap();
    assert!(!log.contains("Zanzibar-7f3a"), "an argument was logged");
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            event["level"].is_string() && event["message"].is_string(),
            "{line}"
        );
    }
}
