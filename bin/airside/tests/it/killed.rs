//! What is left when the process is killed with calls under way.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use airside_base::{OnFailure, Supervisor};
use airside_mcp::client::{Client, Options};
use airside_testkit::{
    harness::Node,
    upstream::{EFFECT, Upstream},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use url::Url;

const AIRSIDE: &str = env!("CARGO_BIN_EXE_airside");
/// How many calls are under way at once.
const CALLERS: usize = 8;
/// After how many answers the node is killed.
const ANSWERS: usize = 60;
/// How often it is killed and started again.
const ROUNDS: usize = 3;

/// A node in front of an upstream, in a folder of their own.
struct Bench {
    folder: TempDir,
    stop: Arc<AtomicBool>,
}

impl Bench {
    fn new() -> Self {
        let upstream = Upstream::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            r#"data-dir = "data"

[listen]
address = "127.0.0.1:0"

[identity]
anonymous-loopback = true

[policy]
files = ["allow-all.cedar"]

[[upstream]]
name = "hotel"
url = "http://{}/mcp"

[[endpoint]]
path = "/mcp"
upstreams = ["hotel"]
"#,
            upstream.address().unwrap()
        );
        std::fs::write(folder.path().join("airside.toml"), config).unwrap();
        let policy = "@id(\"all\")\npermit(principal, action, resource);\n";
        std::fs::write(folder.path().join("allow-all.cedar"), policy).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        Supervisor::new()
            .spawn_thread("upstream", OnFailure::Log, move || {
                upstream.run(&stopped).unwrap();
            })
            .unwrap();
        Self { folder, stop }
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    fn start(&self) -> Node {
        let config = self.path("airside.toml");
        let log = self.path("log");
        Node::start(
            Path::new(AIRSIDE),
            &["serve", "--config", &config],
            Path::new(&log),
        )
        .unwrap()
    }

    /// Runs a command of the binary and returns what it printed, line by line.
    fn airside(&self, arguments: &[&str]) -> Vec<String> {
        let data = self.path("data");
        let output = Command::new(AIRSIDE)
            .args(arguments)
            .args(["--json", "--data-dir", &data])
            .output()
            .unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {problem}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn entries(&self) -> Vec<String> {
        self.airside(&["ledger", "tail", "-n", "1000000"])
    }

    fn verify(&self) {
        let printed: Value = serde_json::from_str(&self.airside(&["ledger", "verify"]).concat())
            .expect("one JSON value");
        assert_eq!(printed["ok"], true, "{printed}");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Calls a tool that has an effect until the node is gone; tells of every answer.
async fn call(url: Url, answered: mpsc::Sender<()>) {
    let Ok(client) = Client::connect(&url, Options::default()).await else {
        return;
    };
    let arguments = json!({"nonce": "book", "bytes": 64});
    while let Ok(reply) = client.call_tool(EFFECT, &arguments).await {
        assert!(!reply.is_error(), "{reply:?}");
        if answered.send(()).await.is_err() {
            return;
        }
    }
}

/// Counts entries of one kind.
fn count(entries: &[String], kind: &str) -> usize {
    let kind = json!(kind);
    entries
        .iter()
        .filter(|line| {
            let entry: Value = serde_json::from_str(line).expect("an entry is JSON");
            entry["kind"] == kind
        })
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_entries_survive_a_kill_under_load() {
    let bench = Bench::new();
    let tasks = Supervisor::new();
    let mut answers = 0;
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..ROUNDS {
        let node = bench.start();
        let (sender, mut answered) = mpsc::channel(CALLERS);
        for _ in 0..CALLERS {
            let caller = call(node.url().clone(), sender.clone());
            tasks.spawn("caller", OnFailure::Stop, caller);
        }
        drop(sender);
        for _ in 0..ANSWERS / 2 {
            answered.recv().await.expect("the node answers");
            answers += 1;
        }
        // What the node itself shows has been acknowledged.
        seen = tokio::task::block_in_place(|| bench.entries());
        for _ in 0..ANSWERS / 2 {
            answered.recv().await.expect("the node answers");
            answers += 1;
        }
        node.kill().unwrap();
        while answered.recv().await.is_some() {
            answers += 1;
        }
        let left = bench.entries();
        assert_eq!(
            left[..seen.len()],
            seen[..],
            "an entry that was shown is gone or changed"
        );
        let intended = count(&left, "call.intended");
        assert!(
            intended >= answers,
            "{answers} effects were answered, {intended} are recorded"
        );
        bench.verify();
    }
    assert!(!tasks.has_failed(), "a caller panicked");
    assert!(seen.len() >= ANSWERS, "{}", seen.len());

    let node = bench.start();
    bench.verify();
    let status = node.terminate().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn second_node_on_a_folder_is_refused_until_the_first_is_gone() {
    let bench = Bench::new();
    let node = bench.start();
    let output = Command::new(AIRSIDE)
        .args(["serve", "--config", &bench.path("airside.toml")])
        .output()
        .unwrap();
    assert!(!output.status.success());
    node.kill().unwrap();
    let node = bench.start();
    assert!(node.terminate().unwrap().success());
}
