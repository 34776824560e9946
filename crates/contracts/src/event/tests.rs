use std::fs;

use super::*;
use crate::Class;

fn version() -> Version {
    Version {
        digest: Digest::of(b"a"),
        definition: r#"{"name":"find","n":10.10}"#.to_owned(),
        view: Some(Digest::of(b"v")),
        hits: vec![Hit {
            rule: "instruction.order".to_owned(),
            place: "/description".to_owned(),
            fingerprint: "0011".to_owned(),
        }],
    }
}

fn key() -> Key {
    Key {
        server: "crm".parse().unwrap(),
        class: "gateway".to_owned(),
        tool: "find".to_owned(),
    }
}

/// Compares `event` as it is written with its golden file, and reads that back.
fn check(event: &Event) {
    let draft = event.draft().unwrap();
    let file = format!(
        "{}/src/event/golden/{}.{}.json",
        env!("CARGO_MANIFEST_DIR"),
        draft.kind().as_str(),
        draft.version()
    );
    let golden = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let written = std::str::from_utf8(draft.body()).unwrap();
    assert_eq!(written, golden.trim_end());
    assert_eq!(Event::read((&draft).into()).as_ref(), Some(event));
}

#[test]
fn versions_decode_for_ever() {
    let at = "2026-11-23T12:00:00Z".parse().unwrap();
    check(&Event::Observed(Observed {
        key: key(),
        version: version(),
        classes: [Class::Instructions].into(),
        state: State::Quarantined,
        at,
    }));
    check(&Event::Changed(Changed {
        key: key(),
        before: Some(Digest::of(b"b")),
        version: Some(version()),
        classes: [Class::Description, Class::Sink].into(),
        state: State::Held,
        at,
    }));
    for event in [Event::Accepted, Event::Held, Event::Quarantined] {
        check(&event(Decided {
            key: key(),
            digest: Digest::of(b"a"),
            by: Some("owner".to_owned()),
            reason: "release 2.4".to_owned(),
            at,
        }));
    }
}

#[test]
fn document_has_a_key_whatever_the_tool_is_called() {
    let long = Key {
        tool: "x".repeat(10_000),
        ..key()
    };
    assert!(long.document().len() < 256);
    assert_ne!(long.document(), key().document());
}
