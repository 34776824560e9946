use std::collections::BTreeMap;

use airside_contracts::{Action, Definition, Rules, drift};
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
