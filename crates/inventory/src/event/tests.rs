use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::{
    component::Ecosystem,
    decision::{
        decide,
        derive::{Data, Effect, Reach, Tier},
        reach::{Reached, Since},
        tests::inputs,
    },
    feeds::Kind as Sort,
    remedy::How,
};

fn judged() -> Box<Judged> {
    let decision = decide(inputs());
    let started = "2026-11-23T12:00:00Z".parse().expect("a time");
    let mut clock = Clock::start(started, None, &decision);
    clock.mitigate(started, "block-tool", Some("search"), "ann");
    Box::new(Judged {
        id: "F-0123456789ab".to_owned(),
        server: "hotels".to_owned(),
        vulnerability: "CVE-2026-1".to_owned(),
        ids: vec!["CVE-2026-1".to_owned(), "GHSA-1".to_owned()],
        summary: "Left padding runs commands".to_owned(),
        package: "pkg:npm/left-pad".to_owned(),
        versions: vec!["1.0.0".to_owned()],
        fixed: vec!["1.3.1".to_owned()],
        upgrades: vec![Upgrade {
            from: "1.0.0".to_owned(),
            to: Some("1.3.1".to_owned()),
            how: How::Relock,
        }],
        vectors: vec!["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned()],
        feeds: "f00d".to_owned(),
        decision,
        clock,
        lane: Lane::Emergency,
        because: "CVE-2026-1 in 1.0.0".to_owned(),
    })
}

/// One of each.
fn all() -> Vec<Event> {
    let mut all = of_servers();
    all.extend(of_findings());
    all
}

/// What happens to servers and feeds, and what passes.
fn of_servers() -> Vec<Event> {
    let id = || "F-0123456789ab".to_owned();
    let last = jiff::civil::date(2026, 12, 24);
    vec![
        Event::Observed(Observed {
            server: "hotels".to_owned(),
            version: "2.3".to_owned(),
            region: "eu".to_owned(),
            setting: Setting {
                reach: Some((Reach::Public, "gateway".to_owned())),
                reached: Reached {
                    callers: vec![Since {
                        kind: "token".to_owned(),
                        since: last,
                    }],
                    quiet_since: Some(last),
                },
                tier: Some(Tier::Essential),
                data: vec![Data::Card],
                effect: Some(Effect::Write),
                autonomous: true,
                heed_kev_due: true,
                contract_days: Some(14),
            },
            digest: "ab12".to_owned(),
            product: Some("pkg:npm/app".to_owned()),
            part: 0,
            parts: 1,
            components: vec![Component::new(
                Ecosystem::Npm,
                "left-pad",
                Some("1.0.0"),
                "lock",
            )],
            gaps: vec![Gap {
                place: "bun.lockb".to_owned(),
                reason: "binary".to_owned(),
            }],
            unassessed: 1,
        }),
        Event::Retired {
            server: "hotels".to_owned(),
        },
        Event::Feeds {
            digest: "f00d".to_owned(),
            feeds: vec![Feed {
                name: "kev.json".to_owned(),
                kind: Sort::Kev,
                date: Some(last),
                digest: "beef".to_owned(),
                records: 1,
                unreadable: 0,
                problem: None,
            }],
        },
        Event::Warned(Warning {
            stale: vec!["kev.json of 2026-11-01".to_owned()],
            refused: Some("KEV of 2026-10-01 is older than the one in use".to_owned()),
        }),
        Event::Overdue {
            id: id(),
            server: "hotels".to_owned(),
            due: "2026-12-24T23:59:59Z".parse().expect("a time"),
        },
        Event::Resumed {
            id: id(),
            until: last,
        },
    ]
}

/// What happens to findings.
fn of_findings() -> Vec<Event> {
    let id = || "F-0123456789ab".to_owned();
    let (by, reason) = (|| "ann".to_owned(), || "vendor is late".to_owned());
    let last = jiff::civil::date(2026, 12, 24);
    vec![
        Event::Opened(judged()),
        Event::Changed(judged()),
        Event::Closed {
            id: id(),
            why: Closed::Fixed,
            evidence: "the inventory of production shows 1.3.1".to_owned(),
        },
        Event::Extended {
            id: id(),
            by: by(),
            reason: reason(),
            to: last,
        },
        Event::Excepted {
            id: id(),
            by: by(),
            reason: reason(),
            until: last,
        },
        Event::Mitigated {
            id: id(),
            what: "block-tool".to_owned(),
            server: "hotels".to_owned(),
            tool: Some("search".to_owned()),
            by: by(),
            reason: reason(),
        },
    ]
}

fn entry(event: &Event) -> Value {
    let draft = event.draft().expect("an entry");
    let body: Value = serde_json::from_slice(draft.body()).expect("a body is JSON");
    json!({ "kind": draft.kind().as_str(), "version": VERSION, "body": body })
}

#[test]
fn every_recorded_version_still_decodes() {
    let golden: Vec<Value> =
        serde_json::from_str(include_str!("../events.golden.json")).expect("a golden file");
    for entry in &golden {
        let kind = entry["kind"].as_str().expect("a kind");
        let body = entry["body"].to_string();
        let read = Event::read(kind, 1, body.as_bytes());
        let read = read.unwrap_or_else(|| panic!("{kind} does not decode"));
        assert_eq!(self::entry(&read)["body"], entry["body"], "{kind}");
    }
    let kinds = |entries: &[Value]| -> BTreeSet<String> {
        entries.iter().map(|e| e["kind"].to_string()).collect()
    };
    let ours: Vec<Value> = all().iter().map(entry).collect();
    assert_eq!(kinds(&golden), kinds(&ours), "every kind is recorded");
}

#[test]
fn entries_of_others_and_of_later_versions_are_left_alone() {
    let entry = entry(&all()[8]);
    let body = entry["body"].to_string();
    assert!(Event::read("finding.closed", 1, body.as_bytes()).is_some());
    assert_eq!(Event::read("finding.closed", 2, body.as_bytes()), None);
    assert_eq!(Event::read("call.completed", 1, body.as_bytes()), None);
    assert_eq!(Event::read("finding.closed", 1, b"[]"), None);
}
