//! Commands against a running node.

use crate::run::Place;

#[test]
fn mistakes_in_a_call_are_named_with_a_hint() {
    let place = Place::new();
    let _node = place.up();
    let data = place.data();
    for (arguments, code, exit, hint) in [
        (
            &["serch_hotels"][..],
            "CLI-007",
            2,
            "did you mean `search_hotels`?",
        ),
        (
            &["search_hotels", "plase=Boston"],
            "CLI-008",
            2,
            "did you mean `place`?",
        ),
        (&["search_hotels"], "CLI-008", 2, "add place=…"),
        (
            &["search_hotels", "place=Boston", "limit=many"],
            "CLI-008",
            2,
            "see `airside tools`",
        ),
    ] {
        let mut all = vec!["call"];
        all.extend(arguments);
        all.extend(["--data-dir", &data]);
        let ran = place.run(&all);
        assert_eq!(ran.code, Some(exit), "{ran:?}");
        assert!(ran.stderr.contains(&format!("error[{code}]")), "{ran:?}");
        let last = ran.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("hint: ") && last.contains(hint), "{ran:?}");
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
}

#[test]
fn error_of_the_tool_is_an_exit_code() {
    let place = Place::new();
    let _node = place.up();
    let data = place.data();
    let call = ["call", "search_hotels", "place=Boston", "check_in=nonsense"];
    let mut arguments = call.to_vec();
    arguments.extend(["--data-dir", &data]);
    let ran = place.run(&arguments);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stderr.contains("error[CLI-010]"), "{ran:?}");
    arguments.push("--json");
    let ran = place.run(&arguments);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert_eq!(ran.json()["isError"], true);
}

#[test]
fn ambiguous_place_asks_back() {
    let place = Place::new();
    let _node = place.up();
    let ran = place.run(&[
        "call",
        "search_hotels",
        "place=Portland",
        "--data-dir",
        &place.data(),
    ]);
    let shown = ran.ok();
    assert!(
        shown.contains("Oregon") && shown.contains("Maine"),
        "{shown}"
    );
}

#[test]
fn tools_show_their_arguments() {
    let place = Place::new();
    let _node = place.up();
    let shown = place.run(&["tools", "--data-dir", &place.data()]).ok();
    assert!(shown.contains("search_hotels  (reads)"), "{shown}");
    assert!(shown.contains("place*"), "{shown}");
}

#[test]
fn follower_sees_what_happens_and_a_closed_pipe_is_no_panic() {
    let place = Place::new();
    let node = place.up();
    let data = place.data();
    let mut follower = crate::run::command(
        &place.path(""),
        &[
            "ledger",
            "tail",
            "--follow",
            "--json",
            "-n",
            "0",
            "--data-dir",
            &data,
        ],
    )
    .stdout(std::process::Stdio::piped())
    .stderr(std::process::Stdio::piped())
    .spawn()
    .unwrap();
    let stdout = follower.stdout.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
    place
        .run(&["call", "search_hotels", "place=Boston", "--data-dir", &data])
        .ok();
    let seen = lines.by_ref().map(|line| line.unwrap());
    let found = seen.take(50).find(|line| line.contains("search_hotels"));
    assert!(found.is_some());
    // Its reader goes away; the next entry ends it.
    drop(lines);
    place.run(&["tools", "--data-dir", &data]).ok();
    let ended = follower.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
    node.terminate().unwrap();
}

#[test]
fn url_names_an_endpoint_without_a_folder() {
    let place = Place::new();
    let node = place.up();
    let url = node.url().to_string();
    let elsewhere = Place::new();
    elsewhere.run(&["tools", "--url", &url]).ok();
    node.terminate().unwrap();
    let ran = elsewhere.run(&["tools", "--url", &url]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
}

#[test]
fn failure_for_programs_is_one_json_object() {
    let place = Place::new();
    let ran = place.run(&["status", "--json", "--data-dir", &place.data()]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], "CLI-001");
    assert!(error["error"]["hint"].is_string(), "{error}");
    place.write("airside.toml", "lisen = 1");
    let ran = place.run(&["config", "check", "--json"]);
    let problems: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(problems["problems"][0]["line"], 1, "{problems}");
}

#[test]
fn node_serves_on_when_nobody_reads_what_it_prints() {
    let place = Place::new();
    let data = place.data();
    let arguments = ["up", "--data-dir", &data, "--port", "0"];
    let mut command = crate::run::command(&place.path(""), &arguments);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut node = command
        .stdout(writer)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Nothing says that it is ready, so it is asked until it answers.
    while place.run(&["status", "--data-dir", &data]).code != Some(0) {
        assert!(node.try_wait().unwrap().is_none(), "the node has ended");
    }
    node.kill().unwrap();
    node.wait().unwrap();
}
