use jiff::civil::date;

use super::*;
use crate::{
    decision::{decide, sla::Clock, tests::inputs},
    event::Event,
    remedy::Upgrade,
};

fn at(day: &str) -> Timestamp {
    format!("2026-12-{day}Z").parse().expect("a time")
}

fn window(day: &str) -> Lane {
    Lane::Window {
        start: at(&format!("{day}T02:00:00")),
        end: at(&format!("{day}T06:00:00")),
    }
}

/// A finding of `server`: its number, its package with version, where the upgrade leads,
/// the day it is due and its lane.
type Given<'a> = (
    &'a str,
    u8,
    (&'a str, &'a str),
    Option<&'a str>,
    &'a str,
    Lane,
);

fn state(all: &[Given<'_>]) -> State {
    let mut state = State::default();
    let now = at("01T12:00:00");
    for (server, number, (package, from), to, due, lane) in all {
        let decision = decide(inputs());
        let mut clock = Clock::start(now, None, &decision);
        clock.due = Some(at(&format!("{due}T23:59:59")));
        let judged = Judged {
            id: format!("F-{number}"),
            server: (*server).to_owned(),
            vulnerability: format!("CVE-{number}"),
            ids: Vec::new(),
            summary: String::new(),
            package: format!("pkg:npm/{package}"),
            versions: vec![(*from).to_owned()],
            fixed: Vec::new(),
            upgrades: vec![Upgrade {
                from: (*from).to_owned(),
                to: to.map(str::to_owned),
                how: to.map_or(How::NoFix, |_| How::Relock),
            }],
            vectors: Vec::new(),
            feeds: String::new(),
            decision,
            clock,
            lane: *lane,
            because: String::new(),
        };
        state.apply_event(now, Event::Opened(Box::new(judged)));
    }
    state
}

fn told(changes: &[Change]) -> Vec<String> {
    let mut lines = Vec::new();
    for change in changes {
        let spare = change
            .spare_s
            .map_or(String::new(), |s| format!(" {} h spare", s / 3600));
        let taken = match change.taken_on {
            0 => String::new(),
            n => format!(" {n} taken on"),
        };
        lines.push(format!(
            "{} {}{spare}{taken}",
            change.server,
            change.lane.name()
        ));
        for step in &change.steps {
            let closes: Vec<&str> = step.closes.iter().map(|l| l.finding.as_str()).collect();
            let (package, lane) = (
                step.package.trim_start_matches("pkg:npm/"),
                step.lane.name(),
            );
            let (from, to, closes) = (&step.from, &step.to, closes.join(" "));
            lines.push(format!("  {package} {from} → {to} closes {closes}, {lane}"));
        }
        for left in &change.without_fix {
            lines.push(format!("  {} has no fix", left.finding));
        }
    }
    lines
}

fn check(all: &[Given<'_>], expected: &[&str]) {
    assert_eq!(told(&plan(&state(all), at("01T12:00:00"))), expected);
}

#[test]
fn findings_of_a_package_go_with_one_upgrade_and_those_of_a_server_with_one_change() {
    let pad = ("left-pad", "1.0.0");
    check(
        &[
            ("back", 1, pad, Some("1.4.0"), "30", window("27")),
            ("back", 2, pad, Some("1.4.0"), "20", window("13")),
            (
                "back",
                3,
                ("other", "2.0.0"),
                Some("2.1.0"),
                "30",
                window("27"),
            ),
            ("shop", 4, pad, Some("1.4.0"), "04", Lane::Emergency),
        ],
        &[
            "shop emergency",
            "  left-pad 1.0.0 → 1.4.0 closes F-4, emergency",
            "back window 185 h spare",
            "  left-pad 1.0.0 → 1.4.0 closes F-2 F-1, window",
            "  other 2.0.0 → 2.1.0 closes F-3, window",
        ],
    );
}

#[test]
fn the_most_urgent_finding_sets_the_lane_of_its_server() {
    check(
        &[
            (
                "shop",
                1,
                ("a", "1.0.0"),
                Some("2.0.0"),
                "30",
                Lane::NextUpgrade,
            ),
            ("shop", 2, ("b", "1.0.0"), Some("1.1.0"), "30", window("27")),
            (
                "shop",
                3,
                ("c", "1.0.0"),
                Some("1.1.0"),
                "04",
                Lane::OutOfCycle,
            ),
        ],
        &[
            "shop out-of-cycle",
            "  c 1.0.0 → 1.1.0 closes F-3, out-of-cycle",
            "  b 1.0.0 → 1.1.0 closes F-2, window",
            "  a 1.0.0 → 2.0.0 closes F-1, next-upgrade",
        ],
    );
}

#[test]
fn what_no_version_ends_is_named_and_comes_last() {
    check(
        &[
            ("shop", 1, ("a", "1.0.0"), None, "04", Lane::Emergency),
            ("back", 2, ("b", "1.0.0"), Some("1.1.0"), "30", window("27")),
        ],
        &[
            "back window 89 h spare",
            "  b 1.0.0 → 1.1.0 closes F-2, window",
            "shop emergency",
            "  F-1 has no fix",
        ],
    );
}

#[test]
fn what_somebody_has_taken_on_is_counted_and_not_planned() {
    let mut state = state(&[
        (
            "shop",
            1,
            ("a", "1.0.0"),
            Some("1.1.0"),
            "04",
            Lane::Emergency,
        ),
        ("shop", 2, ("b", "1.0.0"), Some("1.1.0"), "30", window("27")),
    ]);
    let excepted = Event::Excepted {
        id: "F-1".to_owned(),
        by: "ann".to_owned(),
        reason: "not reachable".to_owned(),
        until: date(2026, 12, 10),
    };
    state.apply_event(at("01T12:00:00"), excepted);
    let now = told(&plan(&state, at("01T12:00:00")));
    let expected = [
        "shop window 89 h spare 1 taken on",
        "  b 1.0.0 → 1.1.0 closes F-2, window",
    ];
    assert_eq!(now, expected);
    let later = told(&plan(&state, at("11T12:00:00")));
    assert_eq!(later[0], "shop emergency", "the exception has ended");
}
