//! Changes of tools, harmless and not.

use std::collections::BTreeMap;

use airside_contracts::{Action, Class, Definition, Rules, drift, screened};
use serde_json::Value;

use crate::shared;

fn definition(value: &Value) -> Definition {
    Definition::read(&value.to_string()).unwrap()
}

/// Of the harmless changes of a published server every one is reported, and the defaults
/// let at most one in twenty wait for a person.
#[test]
fn harmless_changes_are_reported_and_let_through() {
    let Some(pairs) = shared::records("tool-drift-benign.dev.ndjson.zst") else {
        return;
    };
    let rules = Rules::default();
    let (mut classes, mut stopped) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for pair in &pairs {
        let (before, after) = (definition(&pair["before"]), definition(&pair["after"]));
        let drift = drift::of_tool(&before, &after);
        assert!(!drift.is_empty(), "{} is not reported", pair["id"]);
        for class in &drift {
            *classes.entry(class.as_str()).or_default() += 1;
        }
        let action = rules.judge(&drift);
        if action != Action::Accept {
            stopped.push(format!("{} {} {drift:?}", action.as_str(), pair["id"]));
        }
    }
    println!("{} harmless changes, all reported", pairs.len());
    for (class, count) in &classes {
        println!("  {count:>4} {class}");
    }
    println!("not accepted by default: {}", stopped.len());
    for line in &stopped {
        println!("  {line}");
    }
    assert!(stopped.len() * 20 <= pairs.len(), "more than one in twenty");
}

/// Texts of attacks, put into the description of a harmless change, are seen as well as
/// the screen sees them; no harmless change is taken for one.
#[test]
fn texts_of_attacks_in_descriptions_are_seen() {
    let (Some(pairs), Some(texts)) = (
        shared::records("tool-drift-benign.dev.ndjson.zst"),
        shared::records("tools-labelled.dev.ndjson.zst"),
    ) else {
        return;
    };
    let rules = Rules::default();
    let stopped = |before: &Value, after: &Value| {
        let (before, after) = (definition(before), definition(after));
        let mut drift = drift::of_tool(&before, &after);
        let known = screened(&before);
        let same = |hit: &airside_contracts::Screened| {
            let is = |old: &airside_contracts::Screened| {
                old.rule == hit.rule && old.fingerprint == hit.fingerprint
            };
            known.iter().any(is)
        };
        if !screened(&after).iter().all(same) {
            drift.insert(Class::Instructions);
        }
        assert!(!drift.is_empty());
        rules.judge(&drift) == Action::Quarantine
    };
    let alarms = pairs
        .iter()
        .filter(|pair| stopped(&pair["before"], &pair["after"]));
    let alarms = alarms.count();
    let attacks: Vec<&Value> = (texts.iter())
        .filter(|text| text["label"] == "malicious" && text["category"] == "tool-poisoning")
        .collect();
    let mut caught = 0;
    for (at, attack) in attacks.iter().enumerate() {
        let pair = &pairs[at % pairs.len()];
        let mut after = pair["after"].clone();
        let description = after["description"].as_str().unwrap_or_default();
        after["description"] = format!("{description} {}", attack["text"].as_str().unwrap()).into();
        caught += usize::from(stopped(&pair["before"], &after));
    }
    println!(
        "{} tool poisoning texts in descriptions: {caught} put the tool into quarantine",
        attacks.len()
    );
    println!("{} harmless changes: {alarms} do", pairs.len());
    assert!(!attacks.is_empty());
    assert!(caught * 10 >= attacks.len() * 6, "less than 60 %");
    assert!(alarms * 100 <= pairs.len(), "more than 1 % false alarms");
}
