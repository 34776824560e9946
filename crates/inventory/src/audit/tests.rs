use super::*;
use crate::{
    decision::{decide, lane::Lane, sla::Clock, tests::inputs},
    event::Judged,
};

fn time(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().expect("a time")
}

/// Two findings: `F-1` of day 1, fixed on day 10; `F-2` of day 3, mitigated on day 4.
fn entries() -> Vec<Entered> {
    let judged = |id: &str, at: Timestamp| {
        let decision = decide(inputs());
        Box::new(Judged {
            id: id.to_owned(),
            server: "hotels".to_owned(),
            vulnerability: "CVE-2026-1".to_owned(),
            ids: vec!["CVE-2026-1".to_owned()],
            summary: String::new(),
            package: "pkg:npm/left-pad".to_owned(),
            versions: vec!["1.0.0".to_owned()],
            fixed: Vec::new(),
            upgrades: Vec::new(),
            vectors: Vec::new(),
            feeds: String::new(),
            clock: Clock::start(at, None, &decision),
            decision,
            lane: Lane::Emergency,
            because: "known".to_owned(),
        })
    };
    let (first, second) = (time("01T00:00:00"), time("03T00:00:00"));
    let all = [
        (first, Event::Opened(judged("F-1", first))),
        (second, Event::Opened(judged("F-2", second))),
        (
            time("04T00:00:00"),
            Event::Mitigated {
                id: "F-2".to_owned(),
                what: "block-tool".to_owned(),
                server: "hotels".to_owned(),
                tool: None,
                by: "ann".to_owned(),
                reason: "until 2.4".to_owned(),
            },
        ),
        (
            time("07T00:00:00"),
            Event::Overdue {
                id: "F-2".to_owned(),
                server: "hotels".to_owned(),
                due: time("06T23:59:59"),
            },
        ),
        (
            time("10T00:00:00"),
            Event::Closed {
                id: "F-1".to_owned(),
                why: Closed::Fixed,
                evidence: "seen".to_owned(),
            },
        ),
    ];
    let numbered = all.into_iter().zip(1..);
    let entered = numbered.map(|((at, event), seq)| Entered { seq, at, event });
    entered.collect()
}

fn check(from: &str, to: &str, expected: Summary) -> Audit {
    let audit = audit(&entries(), time(from), time(to));
    assert_eq!(audit.summary, expected);
    audit
}

#[test]
fn periods_tell_what_was_open_opened_closed_and_late() {
    let none = Summary::default();
    let middle = Summary {
        open_before: 1,
        opened: 1,
        open_after: 2,
        ..none
    };
    let audit = check("02T00:00:00", "04T12:00:00", middle);
    assert_eq!(audit.persons.len(), 1);
    assert_eq!(
        audit.persons[0].what,
        "ann mitigated F-2 (block-tool): until 2.4"
    );
    assert!(audit.alerts.is_empty());
    let end = Summary {
        open_before: 2,
        fixed: 1,
        fixed_in_time: 0,
        open_after: 1,
        overdue: 1,
        ..none
    };
    let audit = check("05T00:00:00", "12T00:00:00", end);
    assert_eq!(audit.alerts[0].seq, 4);
    let later = Summary {
        open_before: 1,
        open_after: 1,
        overdue: 1,
        ..none
    };
    let audit = check("11T00:00:00", "12T00:00:00", later);
    assert_eq!(
        audit.findings.len(),
        1,
        "what ended before is no part of it"
    );
}

#[test]
fn what_came_later_does_not_change_a_report() {
    let (from, to) = (time("02T00:00:00"), time("04T12:00:00"));
    let all = audit(&entries(), from, to);
    let cut: Vec<Entered> = entries().into_iter().filter(|e| e.at <= to).collect();
    assert_eq!(audit(&cut, from, to), all);
}

#[test]
fn decisions_that_do_not_come_out_the_same_are_counted() {
    let mut entries = entries();
    if let Event::Opened(judged) = &mut entries[0].event {
        judged.decision.priority = crate::decision::Priority::Defer;
    }
    let audit = audit(&entries, time("02T00:00:00"), time("04T12:00:00"));
    assert_eq!(audit.summary.not_reproduced, 1);
}
