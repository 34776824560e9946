//! Proofs that stand without the node.

use crate::run::Place;

#[test]
fn sealed_entry_is_proved_and_a_changed_proof_is_refused() {
    let place = Place::new();
    let node = place.up();
    let data = place.data();
    let key = place.run(&["ledger", "key", "--data-dir", &data]).ok();
    let key = key.trim();
    // A seal comes some seconds after the first entry.
    let follow = ["ledger", "tail", "--follow", "-n", "9", "--data-dir", &data];
    place.until(&follow, "chain.sealed");
    let file = place.path("proof.json").display().to_string();
    let proved = place.run(&["ledger", "prove", "1", "-o", &file, "--data-dir", &data]);
    assert!(proved.ok().contains("proves entry 1 of default"));
    let later = place.path("later.json").display().to_string();
    let prove = ["ledger", "prove", "2", "--extends", &file, "-o", &later];
    let proved = place.run(&[&prove[..], &["--data-dir", &data]].concat());
    assert!(proved.ok().contains("proves entry 2 of default"));
    assert_eq!(node.terminate().unwrap().code(), Some(0));

    let extends =
        |new: &str, old: &str| place.run(&["ledger", "check", new, "--extends", old, "--key", key]);
    assert!(extends(&later, &file).ok().contains("extends"));
    let refused = extends(&file, &later);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("LED-151"), "{refused:?}");

    // The node is gone; the file and the key are enough.
    let checked = place.run(&["ledger", "check", &file, "--key", key, "--json"]);
    assert_eq!(checked.json()["statement"]["kind"], "node.started");
    let honest = std::fs::read_to_string(&file).unwrap();
    let changed = honest.replace("node.started", "node.stopped");
    assert_ne!(changed, honest);
    let forged = place.write("forged.json", &changed).display().to_string();
    let refused = place.run(&["ledger", "check", &forged, "--key", key]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("LED-044"), "{refused:?}");
    let other = place.run(&["ledger", "check", &file, "--key", "nonsense"]);
    assert_eq!(other.code, Some(2), "{other:?}");
}
