//! Stopping and reloading a node that works.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use airside_testkit::harness::Node;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    run::{BINARY, Place, command},
    slow::Slow,
};

/// A configuration in front of the server at `url`.
fn config(url: &str, more: &str) -> String {
    format!(
        "data-dir = \"data\"\n{more}\n[listen]\naddress = \"127.0.0.1:0\"\n\n\
         [identity]\nanonymous-loopback = true\n\n\
         [[upstream]]\nname = \"slow\"\nurl = \"{url}\"\n\n\
         [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"slow\"]\n"
    )
}

fn serve(place: &Place, text: &str) -> Node {
    let file = place.write("airside.toml", text);
    let file = file.to_str().expect("the path is UTF-8");
    Node::start(
        Path::new(BINARY),
        &["serve", "--config", file],
        &place.log(),
    )
    .expect("the node starts")
}

fn signal(node: &Node, signal: Signal) {
    let pid = i32::try_from(node.pid()).expect("a process id");
    let pid = Pid::from_raw(pid).expect("a process id");
    kill_process(pid, signal).expect("the node lives");
}

/// A call that runs until the server lets it end.
fn waiting_call(place: &Place, slow: &Slow) -> Child {
    let data = place.data();
    let mut call: Command = command(&place.path(""), &["call", "wait", "--data-dir", &data]);
    let call = call.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = call.spawn().expect("the binary starts");
    slow.arrived();
    child
}

fn last_entries(place: &Place) -> Vec<Value> {
    let tail = place.run(&["ledger", "tail", "--json", "--data-dir", &place.data()]);
    let tail = tail.ok();
    let entry = |line: &str| serde_json::from_str(line).expect("an entry is JSON");
    tail.lines().map(entry).collect()
}

fn end(node: Node) -> ExitStatus {
    // The first signal was sent before; this one waits as well as it hurries.
    node.terminate().expect("the node ends")
}

#[test]
fn running_call_ends_before_the_node() {
    let (place, slow) = (Place::new(), Slow::start());
    let node = serve(&place, &config(&slow.url, ""));
    let call = waiting_call(&place, &slow);
    signal(&node, Signal::TERM);
    // Nobody new gets in, which shows that the signal has arrived.
    while std::net::TcpStream::connect(address(&node)).is_ok() {}
    slow.release();
    let called = call.wait_with_output().unwrap();
    assert_eq!(called.status.code(), Some(0), "{called:?}");
    assert_eq!(String::from_utf8_lossy(&called.stdout), "waited\n");
    assert_eq!(node.wait().unwrap().code(), Some(0));
    let entries = last_entries(&place);
    let [.., call, stopped] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert_eq!(call["body"]["outcome"], "ok", "{call}");
    assert_eq!(stopped["kind"], "node.stopped");
    assert_eq!(stopped["body"]["drained"], true);
}

fn address(node: &Node) -> (String, u16) {
    let url = node.url();
    let host = url.host_str().expect("a host").to_owned();
    (host, url.port().expect("a port"))
}

#[test]
fn second_signal_cuts_running_calls_off() {
    let (place, slow) = (Place::new(), Slow::start());
    let node = serve(&place, &config(&slow.url, ""));
    let call = waiting_call(&place, &slow);
    signal(&node, Signal::INT);
    while std::net::TcpStream::connect(address(&node)).is_ok() {}
    assert_eq!(end(node).code(), Some(0));
    let called = call.wait_with_output().unwrap();
    assert_ne!(called.status.code(), Some(0), "{called:?}");
    let entries = last_entries(&place);
    let stopped = entries.last().unwrap();
    assert_eq!(stopped["body"]["drained"], false, "{stopped}");
    place
        .run(&["ledger", "verify", "--data-dir", &place.data()])
        .ok();
}

#[test]
fn good_file_is_taken_and_a_bad_one_changes_nothing() {
    let (place, slow) = (Place::new(), Slow::start());
    let _node = serve(&place, &config(&slow.url, ""));
    let data = place.data();
    let digest = || {
        let status = place.run(&["status", "--json", "--data-dir", &data]).json();
        status["config_digest"].as_str().unwrap().to_owned()
    };
    let reload = || place.run(&["config", "reload", "--json", "--data-dir", &data]);
    let first = digest();
    assert_eq!(reload().json()["changed"], false);

    place.write("airside.toml", &config(&slow.url, "lisen = 1"));
    let refused = reload();
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(
        refused.stderr.contains("CFG-003") && refused.stderr.contains("airside.toml:2:1"),
        "{refused:?}"
    );
    assert_eq!(digest(), first);

    let moved = config(&slow.url, "").replace("127.0.0.1:0", "127.0.0.2:0");
    place.write("airside.toml", &moved);
    assert!(reload().stderr.contains("CFG-022"));
    assert_eq!(digest(), first);

    place.write(
        "airside.toml",
        &config(&slow.url, "# a comment is a change"),
    );
    assert_eq!(reload().json()["changed"], true);
    let second = digest();
    assert_ne!(second, first);
    let loaded: Vec<Value> = last_entries(&place)
        .into_iter()
        .filter(|entry| entry["kind"] == "config.loaded")
        .map(|entry| entry["body"]["digest"].clone())
        .collect();
    assert_eq!(loaded, [first, second]);
}

#[test]
fn hostile_server_cannot_drive_the_terminal() {
    let (place, slow) = (Place::new(), Slow::start());
    let _node = serve(&place, &config(&slow.url, ""));
    let data = place.data();
    for arguments in [
        &["call", "shout"][..],
        &["call", "shout", "fail=true"],
        &["call", "shout", "--json"],
        &["call", "shuot"],
        &["tools"],
        &["tools", "--json"],
    ] {
        let mut all = arguments.to_vec();
        all.extend(["--data-dir", &data]);
        let ran = place.run(&all);
        let shown = ran.stdout + &ran.stderr;
        let harmless =
            |c: char| (c == '\n' || !c.is_control()) && !"\u{202e}\u{200b}\u{e0041}".contains(c);
        assert!(shown.chars().all(harmless), "{arguments:?}: {shown:?}");
        assert!(!shown.is_empty(), "{arguments:?}");
    }
}

#[test]
fn hangup_reads_the_file_again() {
    let (place, slow) = (Place::new(), Slow::start());
    let node = serve(&place, &config(&slow.url, ""));
    let data = place.data();
    let arguments = ["ledger", "tail", "--follow", "--json", "--data-dir", &data];
    let mut follower = command(&place.path(""), &arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    place.write("airside.toml", &config(&slow.url, "# changed"));
    signal(&node, Signal::HUP);
    let stdout = std::io::BufReader::new(follower.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(stdout).map(|line| line.unwrap());
    // The first was loaded at the start. Follows of the past miss nothing that comes meanwhile.
    let mut loaded = lines.by_ref().filter(|line| line.contains("config.loaded"));
    assert!(loaded.nth(1).is_some());
    assert_eq!(node.terminate().unwrap().code(), Some(0));
    // The stream of a node that stops ends, and so does who follows it.
    assert!(lines.last().is_none_or(|line| !line.is_empty()));
    assert_eq!(follower.wait().unwrap().code(), Some(0));
}
