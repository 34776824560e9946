//! Runs that are interrupted: by the user, and by what nobody is asked about.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::process::{Child, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    evals::serve,
    run::{Place, command},
};

/// Answers the first case, and falls silent in the second.
const SILENT: &str = "rules:\n  - { when: { user: first }, say: Here. }\n  - { say: Half of this never comes., fault: stall }\n";

const SUITE: &str = "suite: s\nschema: 1\ncases:\n  - { id: a, ask: first, expect: { answer: { not_empty: true } } }\n  - { id: b, ask: second, expect: { answer: { not_empty: true } } }\n";

fn signalled(child: Child, signal: Signal) -> Output {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_run_that_was_interrupted_or_killed_goes_on_where_it_was() {
    let place = Place::new();
    let suite = place.write("suite.yaml", SUITE).display().to_string();
    let out = place.path("run").display().to_string();
    let silent = serve(&place, SILENT);
    let tools = silent.url().join("/mcp").unwrap().to_string();
    let run = |base: &str| -> Vec<String> {
        let run = [
            "eval",
            "run",
            &suite,
            "--model",
            "m",
            "--base-url",
            base,
            "--url",
            &tools,
        ];
        let how = [
            "--out",
            &out,
            "--trials",
            "1",
            "--no-confirm",
            "--jobs",
            "1",
            "--json",
        ];
        run.iter()
            .chain(&how)
            .map(|one| (*one).to_owned())
            .collect()
    };
    let start = || {
        let all = run(silent.url().as_str());
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut started = command(place.path("").as_path(), &all);
        let started = started.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = started.spawn().unwrap();
        // The first conversation is kept as soon as it has ended.
        let report = ["eval", "report", &suite, "--out", &out, "--json"];
        while !place.run(&report).stdout.contains("\"id\": \"a\"") {}
        child
    };
    let stopped = signalled(start(), Signal::INT);
    let said = String::from_utf8(stopped.stderr).unwrap();
    assert_eq!(stopped.status.code(), Some(9), "{said}");
    assert!(
        said.contains("EVL-067") && said.contains("goes on with what is kept"),
        "{said}"
    );
    let killed = signalled(start(), Signal::KILL);
    assert_eq!(killed.status.code(), None, "{killed:?}");

    let good = place.write("good.yaml", "rules:\n  - { say: Here. }\n");
    let good = airside_testkit::harness::Node::start_until(
        "ready: ",
        std::path::Path::new(crate::run::BINARY),
        &["eval", "serve", &good.display().to_string()],
        &place.path("good.log"),
    )
    .unwrap();
    let all = run(good.url().as_str());
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let ran = place.run(&all);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let summary = ran.json();
    // One request each: the first was not asked again.
    assert_eq!(summary["usage"]["requests"], 2, "{summary}");
    assert_eq!(summary["cases"][0]["tally"]["trials"], 1);
}
