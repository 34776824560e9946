//! Scans of what clients are configured with and of what servers offer.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use serde_json::{Value, json};

use crate::{
    contracts::{self, TOOLS},
    run::Place,
    slow::Slow,
};

/// Returns the rules of the findings, in the order in which they are shown.
fn rules(printed: &Value) -> Vec<&str> {
    let findings = printed["findings"].as_array().unwrap();
    let rules = findings.iter().map(|finding| finding["rule"].as_str());
    rules.map(Option::unwrap).collect()
}

#[test]
fn configuration_is_judged_and_nothing_in_it_started() {
    let place = Place::new();
    let marker = place.path("started");
    let config = json!({"mcpServers": {
        "files": {"command": "sh", "args": ["-c", format!("touch {}", marker.display())]},
        "notes": {"command": "npx", "args": ["-y", "notes-server"], "env": {"API_KEY": "a8f3c9d1e2b4"}},
        "crm": {"url": "http://crm.example/mcp"},
    }});
    let text = serde_json::to_string_pretty(&config).unwrap();
    let file = place.write("my mcp.json", &format!("// mine\n{text}"));
    let file = file.to_str().unwrap();

    let printed = place.run(&["scan", "mcp", file, "--json"]).json();
    let expected = [
        "plain-http",
        "shell-launch",
        "secret",
        "no-authentication",
        "unpinned",
    ];
    assert_eq!(rules(&printed), expected, "{printed}");
    let line = text.lines().position(|line| line.contains("\"crm\""));
    let crm = json!({"file": file, "line": 2 + line.unwrap()});
    assert_eq!(printed["findings"][0]["place"], crm);
    assert!(!printed.to_string().contains("a8f3c9d1e2b4"));
    let shown = place.run(&["scan", "mcp", file]).ok();
    assert!(shown.contains("`sh -c` runs a text"), "{shown}");
    assert!(!marker.exists(), "nothing is started");

    let sarif = place.run(&["scan", "mcp", file, "--sarif", "--fail-on", "high"]);
    assert_eq!(sarif.code, Some(1), "{sarif:?}");
    assert!(sarif.stderr.contains("CLI-053"), "{sarif:?}");
    let sarif = sarif.json();
    // As ECMAScript reads the pattern of `language`: the bracket stands for itself.
    let schema = include_str!("schemas/sarif-2.1.0.json").replace("{2}]?$", r"{2}\\]?$");
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<_> = schema.iter_errors(&sarif).map(|e| e.to_string()).collect();
    assert_eq!(errors, [""; 0], "{sarif}");
    let run = &sarif["runs"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), expected.len());
    for result in run["results"].as_array().unwrap() {
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        let uri = place["uri"].as_str().unwrap();
        assert!(
            uri.starts_with("file:///") && uri.ends_with("/my%20mcp.json"),
            "{uri}"
        );
    }
    place
        .run(&["scan", "mcp", file, "--fail-on", "critical"])
        .ok();

    let codex = place.write(
        "config.toml",
        "[mcp_servers.notes]\ncommand = \"uvx\"\nargs = [\"notes\"]\n",
    );
    let printed = place.run(&["scan", "mcp", codex.to_str().unwrap(), "--json"]);
    assert_eq!(rules(&printed.json()), ["unpinned"], "{printed:?}");

    let missing = place.run(&["scan", "mcp", "nowhere.json"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("CLI-052"), "{missing:?}");
    let broken = place.write("broken.json", "{\"mcpServers\": }");
    let broken = ["scan", "mcp", broken.to_str().unwrap(), "--fail-incomplete"];
    let broken = place.run(&broken);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(broken.stderr.contains("CLI-054"), "{broken:?}");
    assert!(
        broken.stdout.contains("it is not JSON: line 1"),
        "{broken:?}"
    );
}

#[test]
fn started_servers_are_asked_and_compared() {
    let place = Place::new();
    let start = |tools: &Value, name: &str| {
        let tools = place.write(&format!("{name}.tools"), &tools.to_string());
        let command = contracts::command();
        json!({"command": command[0], "args": command[1..], "env": {TOOLS: tools}})
    };
    let good = json!([contracts::tool("find_guest", "Finds a guest.")]);
    let bad = json!([
        contracts::tool("find_guest", contracts::POISON),
        contracts::tool("count", "Counts what find_guests finds."),
    ]);
    let config = json!({"mcpServers": {
        "crm": start(&good, "crm"),
        "other": start(&bad, "other"),
        "absent": {"command": place.path("nothing").to_str().unwrap()},
    }});
    let file = place.write("mcp.json", &config.to_string());
    let printed = place.run(&["scan", "mcp", file.to_str().unwrap(), "--start", "--json"]);
    let printed = printed.json();
    let found = rules(&printed);
    for rule in ["poisoning", "shadowing", "unreachable"] {
        assert!(found.contains(&rule), "{rule}: {printed}");
    }
    let poisoned = &printed["findings"][0];
    assert_eq!(poisoned["subject"], "other/find_guest");
    assert_eq!(printed["servers"].as_array().unwrap().len(), 2);
}

#[test]
fn server_that_lets_foreign_pages_in_is_told_from_one_that_does_not() {
    let place = Place::new();
    let slow = Slow::start();
    let printed = place.run(&["scan", "mcp", &slow.url, "--json"]).json();
    let rebinding = rules(&printed);
    let rebinding = rebinding.iter().filter(|rule| **rule == "dns-rebinding");
    assert_eq!(rebinding.count(), 2, "{printed}");

    let node = place.up();
    let printed = place
        .run(&["scan", "mcp", node.url().as_str(), "--json"])
        .json();
    assert_eq!(rules(&printed), [""; 0], "{printed}");
    assert!(
        printed["servers"][0]["tools"].as_u64() > Some(0),
        "{printed}"
    );

    // As if it were bound to every address: something answers at another one too.
    let other = TcpListener::bind(("127.0.0.2", node.url().port().unwrap())).unwrap();
    let refuse = move || {
        for mut stream in other.incoming().flatten() {
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    };
    std::thread::Builder::new().spawn(refuse).unwrap();
    let printed = place.run(&["scan", "mcp", node.url().as_str(), "--json"]);
    assert_eq!(rules(&printed.json()), ["broad-bind"], "{printed:?}");

    let gone = place.run(&["scan", "mcp", "http://127.0.0.1:1/mcp", "--json"]);
    assert_eq!(rules(&gone.json()), ["unreachable"], "{gone:?}");
}
