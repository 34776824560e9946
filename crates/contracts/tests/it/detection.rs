//! What the scan finds in labelled attacks and in what published servers say.

use std::collections::BTreeMap;

use airside_base::Place;
use airside_contracts::{
    Definition,
    scan::{Offer, tools},
};
use serde_json::{Value, json};

use crate::shared;

/// Whether the scan says that somebody speaks to the model in this definition.
fn is_flagged(definition: &Value) -> bool {
    let offer = Offer {
        server: "s".to_owned(),
        introduction: None,
        tools: vec![Definition::read(&definition.to_string())],
        others: Vec::new(),
        place: Place {
            file: "labelled".to_owned(),
            line: None,
        },
    };
    let found = tools(&[offer]);
    let found = found.iter().map(|finding| &*finding.rule);
    found
        .into_iter()
        .any(|rule| matches!(rule, "poisoning" | "hidden-text"))
}

/// The tool of a record, or one that says its text.
fn definition(record: &Value) -> Value {
    match &record["tool"] {
        tool @ Value::Object(_) => tool.clone(),
        Value::String(tool) => serde_json::from_str(tool).unwrap(),
        _ => json!({"name": "t", "description": record["text"]}),
    }
}

/// Six in ten texts that poison tools are found, and at most one in a hundred tools of
/// published servers is taken for one.
#[test]
fn poisoned_tools_are_found_and_published_ones_pass() {
    let Some(records) = shared::records("tools-labelled.dev.ndjson.zst") else {
        return;
    };
    let mut shares: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut alarms = Vec::new();
    for record in &records {
        let real = record["source"] != "atr";
        let flagged = is_flagged(&definition(record));
        let kind = match record["label"] == "malicious" {
            true => format!("attack: {}", record["category"].as_str().unwrap()),
            false if real => "published tool".to_owned(),
            false => "harmless text".to_owned(),
        };
        let share = shares.entry(kind).or_default();
        share.0 += usize::from(flagged);
        share.1 += 1;
        if flagged && real {
            alarms.push(record["id"].as_str().unwrap());
        }
    }
    let percent = |(flagged, all): (usize, usize)| 100.0 * flagged as f64 / all as f64;
    for (kind, share) in &shares {
        println!(
            "{kind}: {} of {} ({:.1} %)",
            share.0,
            share.1,
            percent(*share)
        );
    }
    println!("false alarms: {alarms:?}");
    let poisoned = shares["attack: tool-poisoning"];
    assert!(percent(poisoned) >= 60.0, "{poisoned:?}");
    assert!(percent(shares["published tool"]) <= 1.0, "{alarms:?}");
}
