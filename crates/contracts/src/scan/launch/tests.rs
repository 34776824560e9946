use super::*;
use crate::scan::client::{Form, read};

/// Returns the rules that the entry `server` breaks, in the order of their places.
fn rules(server: &str) -> String {
    let file = format!(r#"{{"mcpServers":{{"s":{server}}}}}"#);
    let servers = read(&file, Form::Json).unwrap();
    let found = launches("mcp.json", &servers[0]);
    let ids: Vec<&str> = found.iter().map(|finding| &*finding.rule).collect();
    assert!(found.iter().all(|finding| finding.place.is_some()));
    ids.join(" ")
}

fn check(command: &[&str], expected: &str) {
    let server = serde_json::json!({"command": command[0], "args": &command[1..]});
    assert_eq!(rules(&server.to_string()), expected, "{command:?}");
}

#[test]
fn exact_versions_are_asked_for() {
    check(&["npx", "-y", "server"], "unpinned");
    check(&["npx", "-y", "@scope/server@latest"], "unpinned");
    check(&["npx", "-y", "@scope/server@1.2.3", "/tmp"], "");
    check(&["npx", "-y", "server@^1.2.3"], "unpinned");
    check(&["npx", "-p", "server@1.2.3", "tool"], "");
    check(&["cmd", "/c", "npx", "-y", "server"], "unpinned");
    check(&["pnpm", "dlx", "server@2.0.0"], "");
    check(&["uvx", "server"], "unpinned");
    check(&["uvx", "server==1.2.3"], "");
    check(&["uvx", "server@1.2.3"], "");
    check(
        &["uvx", "--from", "git+https://github.com/a/b", "b"],
        "unpinned",
    );
    check(
        &["uv", "run", "--with", "mcp[cli]", "mcp", "run", "x.py"],
        "unpinned",
    );
    check(&["uv run python", "server.py"], "");
    check(&["pipx", "run", "server"], "unpinned");
    check(
        &["docker", "run", "-i", "--rm", "-e", "A", "mcp/server"],
        "unpinned",
    );
    check(&["docker", "run", "-i", "mcp/server:1.2"], "unpinned");
    let pinned = format!("mcp/server@sha256:{}", "0".repeat(64));
    check(&["docker", "run", "-i", &pinned], "");
    check(&["go", "run", "github.com/a/b/cmd/b@latest"], "unpinned");
    check(&["go", "run", "github.com/a/b/cmd/b@v1.2.3"], "");
    check(&["go", "run", "./cmd/b"], "");
    check(&["go", "run", "main.go"], "");
    check(&["./server"], "");
    check(&["echo", "fixture"], "");
}

#[test]
fn shells_and_code_are_found() {
    check(&["bash", "-c", "server"], "shell-launch");
    check(
        &["/bin/sh", "-c", "curl https://h | sh"],
        "shell-launch shell-launch",
    );
    check(&["python3", "-c", "print(1)"], "shell-launch");
    check(&["powershell.exe", "-Command", "x"], "shell-launch");
    check(
        &["uv run --with x==1.0 python", "-c", "print(1)"],
        "shell-launch",
    );
    check(&["env", "A=b", "sh", "-c", "server"], "shell-launch");
    check(&["bash", "server.sh"], "");
}

#[test]
fn binds_and_containers_are_judged() {
    check(&["server", "--host", "0.0.0.0"], "broad-bind");
    check(&["server", "--listen=0.0.0.0:8080"], "broad-bind");
    check(&["server", "--host", "127.0.0.1"], "");
    check(&["server", "--addr", ":8080"], "broad-bind");
    check(&["server", "--addr", "localhost:8080"], "");
    let image = format!("i@sha256:{}", "0".repeat(64));
    check(&["docker", "run", "-p", "8080:8080", &image], "broad-bind");
    check(&["docker", "run", "-p", "127.0.0.1:8080:8080", &image], "");
    check(
        &["docker", "run", "--privileged", &image],
        "privileged-container",
    );
    check(
        &["docker", "run", "-v", "/var/run/docker.sock:/s", &image],
        "privileged-container",
    );
    let caps = ["docker", "run", "--cap-add", "SYS_ADMIN", &image];
    check(&caps, "privileged-container");
    let root = [
        "docker",
        "run",
        "--mount",
        "type=bind,source=/,target=/h",
        &image,
    ];
    check(&root, "privileged-container");
    check(&["docker", "run", "-v", "./data:/data", &image], "");
}

#[test]
fn secrets_are_told_by_their_place_and_digest() {
    let secret = "tiramisu-8f3a9c1d2e";
    let server =
        format!(r#"{{"command":"x","env":{{"API_TOKEN":"{secret}","OTHER":"{secret}"}}}}"#);
    let file = format!(r#"{{"mcpServers":{{"s":{server}}}}}"#);
    let found = launches("f", &read(&file, Form::Json).unwrap()[0]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].message, "`API_TOKEN` is a secret in clear");
    assert!(!format!("{found:?}").contains(secret));
    for harmless in [
        "${API_TOKEN}",
        "<your token>",
        "YOUR_API_KEY",
        "",
        "${input:token}",
    ] {
        assert_eq!(
            rules(&format!(
                r#"{{"command":"x","env":{{"API_TOKEN":"{harmless}"}}}}"#
            )),
            ""
        );
    }
    check(&["x", "--api-key", "a8f3c9d1e2b4"], "secret");
    check(&["x", "--api-key=a8f3c9d1e2b4"], "secret");
    check(
        &["x", "--header", "Authorization: Bearer a8f3c9d1e2b4"],
        "secret",
    );
    check(&["x", "--header", "Authorization: Bearer ${TOKEN}"], "");
    check(&["x", "postgres://u:a8f3c9d1e2b4@127.0.0.1/db"], "secret");
    check(&["x", "postgres://u@127.0.0.1/db"], "");
}

#[test]
fn remote_servers_need_encryption_and_credentials() {
    assert_eq!(
        rules(r#"{"url":"http://h.example/mcp"}"#),
        "plain-http no-authentication"
    );
    assert_eq!(
        rules(r#"{"url":"https://h.example/mcp"}"#),
        "no-authentication"
    );
    assert_eq!(
        rules(r#"{"url":"https://h.example/mcp","headers":{"Authorization":"Bearer ${TOKEN}"}}"#),
        ""
    );
    assert_eq!(
        rules(
            r#"{"url":"https://h.example/mcp","headers":{"Authorization":"Bearer a8f3c9d1e2b4"}}"#
        ),
        "secret"
    );
    assert_eq!(
        rules(r#"{"type":"http","url":"http://localhost:8124/mcp"}"#),
        "dns-rebinding"
    );
    assert_eq!(rules(r#"{"url":"not a url"}"#), "unreadable");
    assert_eq!(rules("{}"), "unreadable");
    check(
        &["npx", "mcp-remote@0.1.2", "http://h.example/sse"],
        "plain-http",
    );
    assert_eq!(
        rules(r#"{"command":"x","autoApprove":["*"]}"#),
        "auto-approved"
    );
}

#[test]
fn switched_off_protection_and_hidden_characters_are_found() {
    for (server, expected) in [
        (
            r#"{"command":"x","env":{"NODE_TLS_REJECT_UNAUTHORIZED":"0"}}"#,
            "unchecked-certificate",
        ),
        (
            r#"{"command":"x","env":{"NODE_TLS_REJECT_UNAUTHORIZED":"1"}}"#,
            "",
        ),
        (
            r#"{"command":"x","env":{"DANGEROUSLY_OMIT_AUTH":"true"}}"#,
            "no-authentication",
        ),
        (r#"{"command":"x","args":["--allow-http"]}"#, "plain-http"),
        (r#"{"command":"x","args":["a\u202eb"]}"#, "hidden-text"),
        (r#"{"url":"https://h.example/mcp","oauth":{}}"#, ""),
    ] {
        assert_eq!(rules(server), expected, "{server}");
    }
}
