use jiff::civil::date;

use super::*;
use crate::{
    component::{Ecosystem, Scope},
    decision::{Impact, Priority, Timeline, decide},
    exploit::{Epss, Kev, Points},
    matching::{Located, Standing},
};

fn found(vectors: &[&str]) -> Match {
    Match {
        vulnerability: "CVE-2025-6514".to_owned(),
        ids: vec!["CVE-2025-6514".to_owned()],
        summary: String::new(),
        component: Located {
            purl: "pkg:npm/mcp-remote@0.1.15".to_owned(),
            ecosystem: Ecosystem::Npm,
            name: "mcp-remote".to_owned(),
            version: Some("0.1.15".to_owned()),
            scope: Scope::Direct,
            places: Vec::new(),
            accepted: Vec::new(),
        },
        standing: Standing::Affected,
        fixed: vec!["0.1.16".to_owned()],
        vectors: vectors.iter().map(|v| (*v).to_owned()).collect(),
        demonstrated: false,
        published: String::new(),
        claims: Vec::new(),
    }
}

fn derive(found: &Match, known: Known, setting: &Setting) -> Inputs {
    inputs(found, &known, setting, &[], date(2026, 11, 23), 7)
}

const USER: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H";
const ALONE: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

#[test]
fn kev_overrides_stale_points() {
    let known = Known {
        kev: Some(Kev {
            added: date(2026, 8, 1),
            due: Some(date(2026, 8, 4)),
            ransomware: false,
        }),
        points: Some(Points {
            exploitation: Exploitation::None,
            automatable: false,
            technical: Technical::Partial,
            date: date(2025, 1, 1),
        }),
        ..Known::default()
    };
    let got = derive(&found(&[]), known, &Setting::default());
    assert!(got.in_kev.value);
    assert_eq!(got.exploitation.value, Exploitation::Active);
    assert_eq!(got.exploitation.source, "KEV, listed 2026-08-01");
}

#[test]
fn epss_is_no_sign_of_exploitation() {
    let known = Known {
        epss: Some(Epss {
            score: 97_000,
            percentile: 99_900,
        }),
        ..Known::default()
    };
    let got = derive(&found(&[ALONE]), known, &Setting::default());
    assert_eq!(got.exploitation.value, Exploitation::None);
}

#[test]
fn demonstrations_are_a_proof_of_concept() {
    let known = Known {
        public_exploit: true,
        ..Known::default()
    };
    let by_collection = derive(&found(&[]), known, &Setting::default());
    assert_eq!(by_collection.exploitation.value, Exploitation::Poc);
    let mut shown = found(&[]);
    shown.demonstrated = true;
    let by_reference = derive(&shown, Known::default(), &Setting::default());
    assert_eq!(by_reference.exploitation.value, Exploitation::Poc);
}

#[test]
fn agents_act_where_a_user_would_have_to() {
    // mcp-remote: CISA says that it cannot be automated, since a user has to connect.
    let known = Known {
        points: Some(Points {
            exploitation: Exploitation::None,
            automatable: false,
            technical: Technical::Total,
            date: date(2025, 7, 9),
        }),
        ..Known::default()
    };
    let person = derive(&found(&[USER]), known, &Setting::default());
    assert!(!person.automatable.value);
    let agent = Setting {
        autonomous: true,
        ..Setting::default()
    };
    let alone = derive(&found(&[USER]), known, &agent);
    assert!(alone.automatable.value);
    assert!(
        alone
            .automatable
            .source
            .contains("the agent does that by itself")
    );
    let hard = "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:H/I:H/A:H";
    assert!(!derive(&found(&[hard]), known, &agent).automatable.value);
}

#[test]
fn vectors_stand_in_for_missing_points() {
    let none = Setting::default();
    let cases = [
        (ALONE, true, Technical::Total),
        (USER, false, Technical::Total),
        (
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
            true,
            Technical::Partial,
        ),
        (
            "CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            false,
            Technical::Total,
        ),
        (
            "CVSS:4.0/AV:L/AC:L/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/AU:Y",
            true,
            Technical::Total,
        ),
    ];
    for (vector, automatable, technical) in cases {
        let got = derive(&found(&[vector]), Known::default(), &none);
        assert_eq!(got.automatable.value, automatable, "{vector}");
        assert_eq!(got.technical.value, technical, "{vector}");
    }
    let got = derive(&found(&["CVSS:9/none"]), Known::default(), &none);
    assert!(got.automatable.assumed && got.technical.assumed);
    assert_eq!(got.technical.value, Technical::Total);
}

#[test]
fn unknown_exposure_is_controlled_and_says_so() {
    let got = derive(&found(&[]), Known::default(), &Setting::default());
    assert_eq!(got.exposure.value, Exposure::Controlled);
    assert!(got.exposure.assumed && got.impact.assumed);
    for (reach, exposure, public) in [
        (Reach::Public, Exposure::Open, true),
        (Reach::Identified, Exposure::Controlled, false),
        (Reach::Local, Exposure::Small, false),
    ] {
        let setting = Setting {
            reach: Some((reach, "gateway".to_owned())),
            ..Setting::default()
        };
        let got = derive(&found(&[]), Known::default(), &setting);
        assert_eq!((got.exposure.value, got.public.value), (exposure, public));
    }
}

#[test]
fn impact_follows_tier_data_and_tools() {
    let cases: [(Tier, &[Data], Option<Effect>, Impact); 6] = [
        (Tier::Internal, &[], None, Impact::Low),
        (Tier::Supporting, &[Data::Personal], None, Impact::Low),
        (Tier::Supporting, &[Data::Passport], None, Impact::High),
        (Tier::Essential, &[], Some(Effect::Read), Impact::Medium),
        (
            Tier::Essential,
            &[Data::Card],
            Some(Effect::Write),
            Impact::High,
        ),
        (
            Tier::Essential,
            &[Data::Card],
            Some(Effect::Irreversible),
            Impact::VeryHigh,
        ),
    ];
    for (tier, data, effect, wanted) in cases {
        let setting = Setting {
            tier: Some(tier),
            data: data.to_vec(),
            effect,
            ..Setting::default()
        };
        let got = derive(&found(&[]), Known::default(), &setting);
        assert_eq!(got.impact.value, wanted, "{setting:?}");
        assert!(!got.impact.assumed);
    }
}

#[test]
fn card_data_contracts_and_kev_shorten_the_deadline() {
    let setting = Setting {
        data: vec![Data::Card],
        heed_kev_due: true,
        contract_days: Some(20),
        ..Setting::default()
    };
    let known = Known {
        kev: Some(Kev {
            added: date(2026, 8, 1),
            due: Some(date(2026, 8, 4)),
            ransomware: false,
        }),
        ..Known::default()
    };
    let made = decide(derive(&found(&[ALONE]), known, &setting));
    assert_eq!(made.until, Some(date(2026, 8, 4)));
    let made = decide(derive(&found(&[ALONE]), Known::default(), &setting));
    assert_eq!(made.days, Some(20));
    assert_eq!(made.inputs.caps.len(), 2);
    assert_eq!(
        (made.priority, made.timeline),
        (Priority::Scheduled, Timeline::SixtyDays)
    );
}

#[test]
fn stale_feeds_mark_the_decision() {
    let feed = Feed {
        name: "kev.json".to_owned(),
        kind: Kind::Kev,
        date: Some(date(2026, 11, 1)),
        digest: String::new(),
        records: 1,
        unreadable: 0,
        problem: None,
    };
    let got = inputs(
        &found(&[]),
        &Known::default(),
        &Setting::default(),
        &[feed],
        date(2026, 11, 23),
        7,
    );
    assert_eq!(got.stale, ["kev.json of 2026-11-01"]);
    assert_eq!(got.in_kev.date, Some(date(2026, 11, 1)));
}

#[test]
fn recorded_calls_widen_the_exposure_and_never_narrow_it() {
    use crate::decision::reach::{Reached, Since};
    let check = |reach: Option<Reach>, kinds: &[&str], expected: &str| {
        let since = date(2026, 11, 20);
        let callers = kinds.iter().map(|kind| Since {
            kind: (*kind).to_owned(),
            since,
        });
        let setting = Setting {
            reach: reach.map(|reach| (reach, "gateway".to_owned())),
            reached: Reached {
                callers: callers.collect(),
                quiet_since: kinds.is_empty().then_some(since),
            },
            ..Setting::default()
        };
        let got = derive(&found(&[ALONE]), Known::default(), &setting);
        let date = got.exposure.date.map_or(String::new(), |d| format!(" {d}"));
        let got = format!(
            "{} {} ({}{date})",
            got.exposure.value.name(),
            got.public.value,
            got.exposure.source
        );
        assert_eq!(got, expected);
    };
    let local = Some(Reach::Local);
    check(
        local,
        &["ip_range"],
        "open true (recorded calls: called by public AI clients (by their address) since 2026-11-20 2026-11-20)",
    );
    check(
        local,
        &["token"],
        "controlled false (recorded calls: called by clients with a token since 2026-11-20 2026-11-20)",
    );
    check(
        local,
        &["api_key"],
        "small false (gateway; called by holders of a key since 2026-11-20)",
    );
    check(
        Some(Reach::Public),
        &["api_key"],
        "open true (gateway; called by holders of a key since 2026-11-20)",
    );
    check(
        Some(Reach::Public),
        &[],
        "open true (gateway; nobody has called it since 2026-11-20)",
    );
    check(
        None,
        &["api_key"],
        "controlled false (nobody said who can reach it)",
    );
}
