use std::time::Duration;

use super::*;
use crate::{
    advisory::Advisory,
    component::{Component, Ecosystem},
    decision::{
        derive::{Data, Reach, Tier},
        lane::{Day, Lane, Window},
    },
    exploit::{Epss, Kev, Known},
    feeds::Feed,
    index::Builder,
};

const VECTOR: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

/// A ledger in memory, a clock that stands, feeds and two servers that may change.
struct World {
    state: State,
    now: Timestamp,
    kev: bool,
    known: bool,
    withdrawn: bool,
    alias: bool,
    /// A second record about the same, that nobody has joined to the first yet.
    twin: bool,
    fixed: bool,
    epss: u32,
    refused: Option<String>,
    targets: Vec<Target>,
}

fn target(server: &str, version: &str, reach: Reach) -> Target {
    let mut inventory = Inventory::default();
    inventory.add(Component::new(
        Ecosystem::Npm,
        "left-pad",
        Some(version),
        "package-lock.json",
    ));
    Target {
        server: server.to_owned(),
        version: "1".to_owned(),
        region: "eu".to_owned(),
        setting: Setting {
            reach: Some((reach, "gateway".to_owned())),
            tier: Some(Tier::Essential),
            data: vec![Data::Card],
            ..Setting::default()
        },
        inventory,
        whole: true,
    }
}

impl World {
    fn new() -> Self {
        Self {
            state: State::default(),
            now: "2026-11-23T12:00:00Z".parse().expect("a time"),
            kev: false,
            known: true,
            withdrawn: false,
            alias: false,
            twin: false,
            fixed: true,
            epss: 0,
            refused: None,
            targets: vec![target("hotel", "1.0.0", Reach::Public)],
        }
    }

    fn index(&self) -> Index {
        let mut builder = Builder::default();
        let mut add = |id: &str, aliases: &[&str], name: &str| {
            let mut events = vec![serde_json::json!({"introduced": "0"})];
            if self.fixed {
                events.push(serde_json::json!({"fixed": "1.3.1"}));
            }
            let mut record = serde_json::json!({"id": id, "aliases": aliases,
                "severity": [{"score": VECTOR}],
                "affected": [{"package": {"ecosystem": "npm", "name": name},
                    "ranges": [{"type": "SEMVER", "events": events}]}]});
            if self.withdrawn && id == "GHSA-1" {
                record["withdrawn"] = "2026-11-24T00:00:00Z".into();
            }
            let read = Advisory::from_osv(record.to_string().as_bytes());
            builder.advisory(read.expect("a record"));
        };
        add("GHSA-other", &[], "other");
        if self.known {
            let aliases: &[&str] = if self.alias || self.kev {
                &["CVE-2026-1"]
            } else {
                &[]
            };
            add("GHSA-1", aliases, "left-pad");
            if self.twin {
                add("CVE-2026-1", &[], "left-pad");
            }
        }
        if self.epss > 0 {
            let epss = Epss {
                score: self.epss,
                percentile: self.epss,
            };
            let known = Known {
                epss: Some(epss),
                ..Known::default()
            };
            builder.known("CVE-2026-1", known);
        }
        if self.kev {
            builder.known(
                "CVE-2026-1",
                Known {
                    kev: Some(Kev {
                        added: jiff::civil::date(2026, 11, 25),
                        due: None,
                        ransomware: false,
                    }),
                    ..Known::default()
                },
            );
        }
        Index::open(builder.finish("")).expect("our own index")
    }

    /// Reconciles, appends, and returns what was said about findings. A second run has
    /// to say nothing.
    fn run(&mut self) -> Vec<String> {
        let rules = Rules {
            plan: Plan {
                windows: vec![Window {
                    day: Day::Sunday,
                    hour: 2,
                    hours: 4,
                }],
                soak_hours: 24,
            },
            trusted: Vec::new(),
            stale_after_days: 7,
            refused: self.refused.clone(),
        };
        let index = self.index();
        let events = reconcile(&self.state, &self.targets, &index, &rules, self.now);
        let mut said = Vec::new();
        for event in events {
            match &event {
                Event::Opened(j) => said.push(format!("{} opened, {}", j.server, j.lane.name())),
                Event::Changed(j) => said.push(format!("{} changed: {}", j.server, j.because)),
                Event::Closed { why, evidence, .. } => {
                    said.push(format!("closed: {}, {evidence}", why.words()));
                }
                Event::Overdue { server, due, .. } => {
                    said.push(format!("{server} overdue since {due}"));
                }
                Event::Resumed { until, .. } => said.push(format!("exception of {until} ended")),
                Event::Warned(warning) => said.push(format!("warned: {warning:?}")),
                _ => {}
            }
            // As it will be read: through the entry.
            let draft = event.draft().expect("an entry");
            let read = Event::read(draft.kind().as_str(), 1, draft.body());
            self.state
                .apply_event(self.now, read.expect("our own entry"));
        }
        let again = reconcile(&self.state, &self.targets, &index, &rules, self.now);
        assert_eq!(again, [], "a second run says nothing");
        said
    }

    fn pass_days(&mut self, days: u64) {
        self.now += Duration::from_secs(days * 86_400);
    }

    fn deploy(&mut self, version: &str) {
        let reach = self.targets[0]
            .setting
            .reach
            .as_ref()
            .map_or(Reach::Public, |r| r.0);
        self.targets[0] = target("hotel", version, reach);
    }

    fn clock(&self) -> &Clock {
        &self
            .state
            .findings
            .values()
            .next()
            .expect("a finding")
            .judged
            .clock
    }
}

#[test]
fn exposed_and_internal_servers_get_their_own_lanes() {
    let mut world = World::new();
    world
        .targets
        .push(target("internal", "1.0.0", Reach::Local));
    assert_eq!(
        world.run(),
        ["hotel opened, emergency", "internal opened, window"]
    );
    assert!(matches!(
        world.state.open()[1].judged.lane,
        Lane::Window { .. }
    ));
}

#[test]
fn known_exploitation_tightens_the_deadline() {
    let mut world = World::new();
    world.alias = true;
    world.targets = vec![target("internal", "1.0.0", Reach::Local)];
    world.run();
    assert_eq!(
        world.clock().due.expect("due").to_string(),
        "2026-12-23T23:59:59Z"
    );
    world.pass_days(2);
    world.kev = true;
    let said = world.run();
    assert!(said[0].contains("it is listed as exploited"), "{said:?}");
    assert!(said[0].contains("due 2026-11-28"), "{said:?}");
    assert!(said[0].contains("lane window → emergency"), "{said:?}");
    // It does not loosen when the entry goes away.
    world.kev = false;
    world.alias = true;
    world.run();
    assert_eq!(
        world.clock().due.expect("due").to_string(),
        "2026-11-28T23:59:59Z"
    );
}

#[test]
fn only_the_inventory_of_production_closes() {
    let mut world = World::new();
    world.run();
    world.targets[0].whole = false;
    world.targets[0].inventory.components.clear();
    assert_eq!(world.run(), [""; 0]);
    world.deploy("1.3.1");
    assert_eq!(
        world.run(),
        ["closed: fixed, the inventory of production shows 1.3.1"]
    );
}

#[test]
fn a_feed_that_lost_an_advisory_closes_nothing() {
    let mut world = World::new();
    world.run();
    world.known = false;
    assert_eq!(world.run(), [""; 0]);
    assert_eq!(world.state.open().len(), 1);
}

#[test]
fn withdrawn_advisories_close_and_keep_the_start_when_they_return() {
    let mut world = World::new();
    world.run();
    let (started, due) = (world.clock().started, world.clock().due);
    world.pass_days(5);
    world.withdrawn = true;
    assert_eq!(world.run(), ["closed: advisory withdrawn, GHSA-1"]);
    world.withdrawn = false;
    world.pass_days(5);
    let said = world.run();
    assert_eq!(said[0], "hotel opened, emergency");
    assert_eq!(said[1], "hotel overdue since 2026-11-26T23:59:59Z");
    assert_eq!((world.clock().started, world.clock().due), (started, due));
}

#[test]
fn another_affected_version_keeps_the_clock() {
    let mut world = World::new();
    world.run();
    let started = world.clock().started;
    world.pass_days(2);
    world.deploy("1.2.0");
    assert_eq!(world.run(), ["hotel changed: deployed 1.0.0 → 1.2.0"]);
    assert_eq!(world.clock().started, started);
}

#[test]
fn back_after_a_fix_starts_a_new_clock() {
    let mut world = World::new();
    world.run();
    world.deploy("1.3.1");
    world.run();
    world.pass_days(30);
    world.deploy("1.0.0");
    assert_eq!(world.run(), ["hotel opened, emergency"]);
    assert_eq!(world.clock().started, world.now);
}

#[test]
fn a_new_alias_keeps_the_clock_of_the_old_name() {
    let mut world = World::new();
    world.run();
    let started = world.clock().started;
    world.pass_days(4);
    world.alias = true;
    let said = world.run();
    assert_eq!(
        said,
        [
            "hotel opened, emergency",
            "closed: not affected, now part of CVE-2026-1",
            "hotel overdue since 2026-11-26T23:59:59Z"
        ]
    );
    assert_eq!(world.state.open()[0].judged.clock.started, started);
}

#[test]
fn less_exposure_is_recorded_and_moves_no_deadline() {
    let mut world = World::new();
    world.run();
    let due = world.clock().due;
    world.targets[0].setting.reach = Some((Reach::Local, "gateway".to_owned()));
    let said = world.run();
    assert!(said[0].contains("exposure open → small"), "{said:?}");
    assert_eq!(world.clock().due, due);
}

#[test]
fn servers_that_are_gone_end_their_findings() {
    let mut world = World::new();
    world.run();
    world.targets.clear();
    assert_eq!(
        world.run(),
        ["closed: server retired, the server is no longer configured"]
    );
    assert!(world.state.servers.is_empty());
}

#[test]
fn persons_extend_except_and_mitigate() {
    let mut world = World::new();
    world.run();
    let id = world.state.open()[0].judged.id.clone();
    let person = |event: Event, world: &mut World| world.state.apply_event(world.now, event);
    let to = jiff::civil::date(2026, 12, 24);
    let by = "ann".to_owned();
    let reason = "vendor is late".to_owned();
    person(
        Event::Extended {
            id: id.clone(),
            by: by.clone(),
            reason: reason.clone(),
            to,
        },
        &mut world,
    );
    person(
        Event::Excepted {
            id: id.clone(),
            by: by.clone(),
            reason: reason.clone(),
            until: to,
        },
        &mut world,
    );
    person(
        Event::Mitigated {
            id,
            what: "block-tool".to_owned(),
            server: "hotels".to_owned(),
            tool: None,
            by,
            reason,
        },
        &mut world,
    );
    world.run();
    let finding = world.state.open()[0];
    assert_eq!(
        finding.judged.clock.due.expect("due").to_string(),
        "2026-12-24T23:59:59Z"
    );
    assert!(finding.excepted(world.now).is_some());
    assert!(finding.judged.clock.mitigation.is_some());
    world.pass_days(40);
    assert!(world.state.open()[0].excepted(world.now).is_none());
}

#[test]
fn large_inventories_come_in_parts() {
    let mut world = World::new();
    for n in 0..5000 {
        let name = format!("p{n}");
        let component = Component::new(Ecosystem::Npm, &name, Some("1.0.0"), "lock");
        world.targets[0].inventory.add(component);
    }
    world.run();
    assert_eq!(world.state.servers["hotel"].components.len(), 5001);
}

#[test]
fn passed_deadlines_and_exceptions_are_told_once() {
    let mut world = World::new();
    world.targets = vec![target("internal", "1.0.0", Reach::Local)];
    world.run();
    let id = world.state.open()[0].judged.id.clone();
    let until = jiff::civil::date(2027, 1, 31);
    let (by, reason) = ("ann".to_owned(), "vendor is late".to_owned());
    let excepted = Event::Excepted {
        id,
        by,
        reason,
        until,
    };
    world.state.apply_event(world.now, excepted);
    world.pass_days(40);
    let said = world.run();
    assert_eq!(said, ["internal changed: lane window → emergency"]);
    world.pass_days(40);
    assert_eq!(
        world.run(),
        [
            "exception of 2027-01-31 ended",
            "internal overdue since 2026-12-23T23:59:59Z"
        ]
    );
    world.deploy("1.3.1");
    world.targets[0].server = "internal".to_owned();
    assert_eq!(
        world.run(),
        ["closed: fixed, the inventory of production shows 1.3.1"]
    );
}

#[test]
fn trouble_with_feeds_is_told_when_it_comes_and_when_it_goes() {
    let mut world = World::new();
    world.run();
    world.refused = Some("KEV is older".to_owned());
    let said = world.run();
    assert!(said[0].contains("KEV is older"), "{said:?}");
    world.refused = None;
    assert_eq!(world.run().len(), 1);
}

#[test]
fn deploying_the_same_again_keeps_the_clock() {
    let mut world = World::new();
    world.run();
    let clock = world.clock().clone();
    world.pass_days(1);
    world.targets[0].version = "2".to_owned();
    world.targets[0].region = "us".to_owned();
    assert_eq!(
        world.run(),
        [""; 0],
        "the inventory is told, no finding moves"
    );
    assert_eq!(*world.clock(), clock);
}

#[test]
fn another_name_of_the_server_keeps_the_clock_and_what_persons_decided() {
    let mut world = World::new();
    world.run();
    let (started, due) = (world.clock().started, world.clock().due);
    let old = world.state.open()[0].judged.id.clone();
    let (by, reason) = ("ann".to_owned(), "vendor is late".to_owned());
    let decided = [
        Event::Mitigated {
            id: old.clone(),
            what: "block-tool".to_owned(),
            server: "hotel".to_owned(),
            tool: Some("search".to_owned()),
            by: by.clone(),
            reason: reason.clone(),
        },
        Event::Excepted {
            id: old.clone(),
            by,
            reason,
            until: jiff::civil::date(2026, 12, 24),
        },
    ];
    for event in decided {
        world.state.apply_event(world.now, event);
    }
    world.pass_days(2);
    world.targets = vec![target("inn", "1.0.0", Reach::Public)];
    let said = world.run();
    assert_eq!(
        said,
        [
            "inn opened, emergency",
            "closed: server retired, the server is called inn now"
        ]
    );
    let finding = world.state.open()[0];
    assert_ne!(finding.judged.id, old);
    let clock = &finding.judged.clock;
    assert_eq!((clock.started, clock.due), (started, due));
    let mitigation = clock.mitigation.as_ref().expect("it is carried over");
    assert_eq!(mitigation.words(), "block-tool search");
    assert!(finding.excepted(world.now).is_some());
}

#[test]
fn servers_that_cannot_be_told_apart_are_not_taken_for_each_other() {
    let mut world = World::new();
    world.targets.push(target("other", "1.0.0", Reach::Public));
    world.run();
    world.pass_days(2);
    world.targets = vec![target("inn", "1.0.0", Reach::Public)];
    world.run();
    assert_eq!(world.state.open()[0].judged.clock.started, world.now);
}

#[test]
fn two_findings_that_turn_out_to_be_one_keep_the_earliest_start_and_deadline() {
    let mut world = World::new();
    world.run();
    let (started, due) = (world.clock().started, world.clock().due);
    world.pass_days(2);
    world.twin = true;
    world.run();
    assert_eq!(world.state.open().len(), 2, "nobody has joined them yet");
    world.pass_days(1);
    world.alias = true;
    let said = world.run();
    assert!(said[0].contains("it is the same as GHSA-1"), "{said:?}");
    assert!(said[0].contains("due 2026-11-26"), "{said:?}");
    let open = world.state.open();
    assert_eq!(open.len(), 1, "{said:?}");
    let clock = &open[0].judged.clock;
    assert_eq!(open[0].judged.vulnerability, "CVE-2026-1");
    assert_eq!((clock.started, clock.due), (started, due));
}

#[test]
fn a_score_that_falls_moves_no_deadline() {
    let mut world = World::new();
    world.alias = true;
    world.epss = 900_000;
    world.run();
    let clock = world.clock().clone();
    world.pass_days(1);
    world.epss = 1_000;
    world.run();
    assert_eq!(*world.clock(), clock);
    let rank = world.state.open()[0].judged.decision.rank();
    assert_eq!(rank.1, 900_000, "it orders work and decides nothing");
}

#[test]
fn decisions_made_with_old_feeds_say_so() {
    let mut builder = Builder::default();
    let file = Feed {
        name: "kev.json".to_owned(),
        kind: crate::feeds::Kind::Kev,
        date: Some(jiff::civil::date(2026, 11, 1)),
        digest: "beef".to_owned(),
        records: 1,
        unreadable: 0,
        problem: None,
    };
    let record = serde_json::json!({"id": "GHSA-1", "severity": [{"score": VECTOR}],
        "affected": [{"package": {"ecosystem": "npm", "name": "left-pad"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]});
    let read = Advisory::from_osv(record.to_string().as_bytes());
    builder.advisory(read.expect("a record"));
    builder.feed(file);
    let index = Index::open(builder.finish("")).expect("our own index");
    let world = World::new();
    let rules = Rules {
        stale_after_days: 7,
        ..Rules::default()
    };
    let events = reconcile(&world.state, &world.targets, &index, &rules, world.now);
    let opened = events.iter().find_map(|event| match event {
        Event::Opened(judged) => Some(judged),
        _ => None,
    });
    let decision = &opened.expect("a finding").decision;
    assert_eq!(decision.inputs.stale, ["kev.json of 2026-11-01"]);
    let told = decision.explain().join("\n");
    assert!(told.contains("made with a stale feed: kev.json of 2026-11-01"));
    assert!(decision.holds(), "it is made again from what is stored");
}

#[test]
fn what_has_no_fix_has_a_deadline_for_its_mitigation() {
    let mut world = World::new();
    world.targets = vec![target("internal", "1.0.0", Reach::Local)];
    world.fixed = false;
    world.run();
    let by = |world: &World| world.clock().mitigate_by.map(|by| by.to_string());
    assert_eq!(by(&world).as_deref(), Some("2026-12-07T23:59:59Z"));
    assert!(world.clock().due > world.clock().mitigate_by, "its own");
    world.pass_days(5);
    world.run();
    assert_eq!(
        by(&world).as_deref(),
        Some("2026-12-07T23:59:59Z"),
        "it stands"
    );
    world.pass_days(11);
    assert_eq!(world.run(), ["internal overdue since 2026-12-07T23:59:59Z"]);
    assert!(world.clock().is_overdue(world.now));
    // Attackers are kept away: it is met, late. The fix arrives: there is none any more.
    let id = world.state.open()[0].judged.id.clone();
    let mitigated = Event::Mitigated {
        id,
        what: "block-tool".to_owned(),
        server: "internal".to_owned(),
        tool: None,
        by: "ann".to_owned(),
        reason: "no fix".to_owned(),
    };
    world.state.apply_event(world.now, mitigated);
    assert!(!world.clock().is_overdue(world.now));
    assert_eq!(world.run(), [""; 0]);
    world.fixed = true;
    let said = world.run();
    assert!(said[0].contains("a fixed version became known"), "{said:?}");
    assert_eq!(by(&world), None);
}
