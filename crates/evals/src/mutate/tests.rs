use serde_json::json;

use super::*;
use crate::trace::{Answer, Turn};

fn tools() -> Vec<Tool> {
    let tool = |name: &str, reads: bool| {
        Tool::read(json!({ "name": name, "annotations": { "readOnlyHint": reads } })).unwrap()
    };
    vec![
        tool("search_hotels", true),
        tool("book_hotel", false),
        tool("cancel_booking", false),
    ]
}

fn called(tool: &str, arguments: Value) -> Step {
    Step::Called(Call {
        tool: tool.to_owned(),
        arguments: Arguments::Json(arguments),
        answer: Some(Answer::default()),
    })
}

/// Searches, books, and says so.
fn booked() -> Trace {
    let changes = vec![Change::Add {
        path: "/bookings/items/7".to_owned(),
        value: json!({ "night": "2026-12-05", "hotel": "h1", "guests": 2 }),
    }];
    Trace {
        turns: vec![Turn {
            asked: "Book h1 for two on 5 December.".to_owned(),
            steps: vec![
                called("search_hotels", json!({ "place": "Boston" })),
                called(
                    "book_hotel",
                    json!({ "hotel": "h1", "night": "2026-12-05", "guests": 2 }),
                ),
                Step::Said("Booked for 210 USD.".to_owned()),
            ],
            changes: changes.clone(),
            ..Turn::default()
        }],
        changes,
        ..Trace::default()
    }
}

fn report(checks: &str) -> Report {
    let text = format!(
        "suite: s\nschema: 1\nstate: {{probe: [{{name: bookings, tool: list}}]}}\ncases:\n- id: book\n  ask: hi\n  expect: {checks}\n"
    );
    let suite = Suite::parse(&text).unwrap();
    let record = crate::runner::Record {
        case: "book".to_owned(),
        trial: 0,
        verdict: Verdict::Pass,
        reasons: Vec::new(),
        fingerprint: crate::runner::Fingerprint::default(),
        trace: booked(),
        judged: Vec::new(),
    };
    mutate(&suite, [Ok(record)], &tools()).unwrap()
}

#[test]
fn a_suite_that_looks_at_the_state_notices_every_damage_to_it() {
    let report = report(
        "{ calls: { exactly: [{ tool: book_hotel }], never: cancel_booking }, state: { added: [{ path: /bookings/items/*, where: { night: 2026-12-05, hotel: h1, guests: 2 }, exactly: 1 }], nothing_else: true }, answer: { contains_all: ['210 USD'] } }",
    );
    assert_eq!(report.survivors, []);
    assert!(report.total().all >= 12, "{report:?}");
}

#[test]
fn a_suite_that_looks_at_nothing_notices_little_and_each_survivor_is_named() {
    let report = report("{ calls: { max: 9 } }");
    let total = report.total();
    assert_eq!(total.killed, 0);
    assert_eq!(report.survivors.len(), total.all);
    let year = Survivor {
        case: "book".to_owned(),
        operator: "alter an argument",
        what: "book_hotel.night: a year later".to_owned(),
    };
    assert!(report.survivors.contains(&year), "{report:#?}");
}

#[test]
fn a_case_that_never_passed_is_named() {
    let suite = Suite::parse(
        "suite: s\nschema: 1\ncases:\n- id: a\n  ask: hi\n  expect: {calls: {none: true}}\n",
    )
    .unwrap();
    let report = mutate(&suite, [], &tools()).unwrap();
    assert_eq!(report.without, ["a"]);
}
