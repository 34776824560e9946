//! Configuration files as they are found, some of them broken.

use airside_contracts::scan::{client, launches};

use crate::shared;

#[test]
fn configurations_of_clients_are_read_and_judged() {
    let Some(records) = shared::records("mcp-client-configs.ndjson") else {
        return;
    };
    let mut shown = Vec::new();
    for record in &records {
        let text = record["content"]
            .as_str()
            .unwrap_or_else(|| record["text"].as_str().unwrap());
        let file = record["id"].as_str().unwrap().rsplit('/').next().unwrap();
        let servers = client::read(text, client::Form::of(file)).unwrap();
        let found: Vec<_> = servers
            .iter()
            .flat_map(|server| launches(file, server))
            .collect();
        let mut rules: Vec<_> = found
            .iter()
            .map(|finding| finding.rule.to_string())
            .collect();
        rules.sort();
        let rules = rules.join(" ");
        shown.push(format!("{file}: {} servers [{rules}]", servers.len()));
    }
    println!("{}", shown.join("\n"));
    assert_eq!(records.len(), 11);
    let expected = [
        ".mcp.json: 1 servers []",
        "mcp.json: 0 servers []",
        "mcp.json: 4 servers [shell-launch]",
        "all_config.json: 2 servers []",
        "math_config.json: 1 servers []",
        "multiple_transport.json: 2 servers [dns-rebinding dns-rebinding]",
        "sbb_config.json: 1 servers []",
        "vs_code_settings_file_with_empty_mcp.json: 0 servers []",
        "vs_code_settings_file_without_mcp.json: 0 servers []",
        "weather_config.json: 1 servers []",
        "test_configs.json: 2 servers [unpinned unpinned unpinned]",
    ];
    assert_eq!(shown, expected);
}
