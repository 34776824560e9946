use airside_base::{Clock as _, Severity, TenantId};
use airside_codereview::source::Skipped;

use super::*;

type Office = crate::office::Office<Register>;

fn finding(path: &str, text: &str) -> finding::Finding {
    let what = Told::new(
        "python-shell-command",
        Severity::Critical,
        path,
        "a value becomes part of a command".to_owned(),
        text,
    );
    finding::Finding {
        what: what.at(path, Some(3)),
        class: "command-injection".to_owned(),
        cwe: Some("CWE-78".to_owned()),
        certainty: Certainty::Proven,
        place: Place {
            path: path.to_owned(),
            from: 3,
            to: 3,
        },
        trace: Vec::new(),
        related: Vec::new(),
        is_new: true,
    }
}

fn report(findings: &[finding::Finding], looked: &[&str]) -> Report {
    Report {
        findings: findings.to_vec(),
        files: looked.len(),
        looked: looked.iter().map(|path| (*path).to_owned()).collect(),
        ..Report::default()
    }
}

impl Office {
    async fn open() -> Self {
        Self::with(Register::new).await
    }

    async fn ask(&self, request: Request) -> Result<Answer, Error> {
        let tenant = TenantId::default();
        self.desk.ask(&tenant, "api-key/ci", request).await
    }

    async fn list(&self, ended: bool) -> Vec<Shown> {
        let repository = Some("hotels".to_owned());
        let list = Request::List { repository, ended };
        self.ask(list).await.unwrap().findings
    }

    /// Records what `report` says, with all paths of `gone` being gone.
    async fn record(&self, report: &Report, house: &House, gone: &[&str]) -> (Changes, usize) {
        let at = Where {
            repository: "hotels",
            revision: "4f2a91c",
            by: "airside 1",
        };
        let known = self.list(false).await;
        let (rules, is_gone) = (Rules::builtin(), |path: &str| gone.contains(&path));
        let recording = judge(at, report, (&rules, house), &known, &|_| true, &is_gone);
        let unjudged = recording.unjudged;
        let recording = Box::new(recording);
        let told = self.ask(Request::Record { recording }).await.unwrap();
        (told.changes.unwrap(), unjudged)
    }
}

fn counts(changes: &Changes) -> [usize; 5] {
    let Changes {
        opened,
        changed,
        ended,
        resumed,
        same,
    } = *changes;
    [opened, changed, ended, resumed, same]
}

#[tokio::test]
async fn finding_begins_is_the_same_ends_and_begins_again() {
    let (office, house) = (Office::open().await, House::default());
    let [one, other] = [finding("a.py", "run(x)"), finding("b.py", "run(y)")];
    let both = report(&[one.clone(), other.clone()], &["a.py", "b.py"]);
    let (changes, _) = office.record(&both, &house, &[]).await;
    assert_eq!(counts(&changes), [2, 0, 0, 0, 0]);
    let (changes, _) = office.record(&both, &house, &[]).await;
    assert_eq!(counts(&changes), [0, 0, 0, 0, 2]);
    // One is repaired, the file of the other is gone.
    let clean = report(&[], &["a.py"]);
    let (changes, unjudged) = office.record(&clean, &house, &["b.py"]).await;
    assert_eq!((counts(&changes), unjudged), ([0, 0, 2, 0, 0], 0));
    assert!(office.list(false).await.is_empty());
    let all = office.list(true).await;
    let mut why: Vec<(String, Why)> = all
        .iter()
        .map(|shown| {
            let ended = shown.finding.ended.as_ref().unwrap();
            assert!(ended.evidence.contains("4f2a91c"), "{ended:?}");
            (shown.finding.seen.place.path.clone(), ended.why)
        })
        .collect();
    why.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(why[0].1, Why::Repaired);
    assert_eq!(why[1].1, Why::FileGone);
    let (changes, _) = office.record(&both, &house, &[]).await;
    assert_eq!(counts(&changes), [2, 0, 0, 0, 0]);
    let id = id("hotels", &one.what.fingerprint);
    let again = office.ask(Request::Show { finding: id }).await.unwrap();
    let history = &again.findings[0].finding.history;
    let words: Vec<&str> = history.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(words.len(), 3, "{words:?}");
    assert!(words[0].starts_with("first seen") && words[2].starts_with("seen again"));
    office.end().await;
}

#[tokio::test]
async fn nothing_ends_because_nobody_looked() {
    let (office, house) = (Office::open().await, House::default());
    let found = finding("a.py", "run(x)");
    office
        .record(&report(&[found], &["a.py"]), &house, &[])
        .await;
    // Now too large, say: left out, and still there.
    let mut skipped = Skipped::default();
    skipped.add(Skip::TooLarge, "a.py");
    let blind = Report {
        skipped,
        ..report(&[], &["b.py"])
    };
    let (changes, unjudged) = office.record(&blind, &house, &[]).await;
    assert_eq!((counts(&changes), unjudged), ([0; 5], 1));
    assert_eq!(office.list(false).await.len(), 1);
    office.end().await;
}

#[test]
fn rule_that_was_not_applied_ends_nothing_unless_it_is_gone() {
    let mut of_house = finding("a.py", "sleep(3)");
    of_house.what.rule = "house-sleep".into();
    let mut withdrawn = of_house.clone();
    withdrawn.what.rule = "python-old".into();
    let known = |finding: &finding::Finding, shipped: bool| {
        let mut seen = seen(finding, &House::default(), &BTreeSet::new());
        seen.shipped = shipped;
        Shown {
            id: "R-1".to_owned(),
            standing: Standing::Open,
            owner: None,
            finding: Finding {
                repository: "hotels".to_owned(),
                revision: "1".to_owned(),
                seen,
                opened: airside_base::Timestamp::UNIX_EPOCH,
                assigned: None,
                exception: None,
                ended: None,
                history: Vec::new(),
            },
        }
    };
    let at = Where {
        repository: "hotels",
        revision: "2",
        by: "airside 1",
    };
    let judged = |known: Shown, gone: bool| {
        let (rules, house) = (Rules::builtin(), House::default());
        let report = report(&[], &["a.py"]);
        judge(at, &report, (&rules, &house), &[known], &|_| true, &|_| {
            gone
        })
    };
    let kept = judged(known(&of_house, false), true);
    assert_eq!((kept.ended.len(), kept.unjudged), (0, 1));
    let gone = judged(known(&withdrawn, true), false);
    assert_eq!(gone.ended[0].why, Why::RuleGone);
    // Of another repository nothing is said.
    let mut foreign = known(&withdrawn, true);
    foreign.finding.repository = "flights".to_owned();
    let kept = judged(foreign, true);
    assert_eq!((kept.ended.len(), kept.unjudged), (0, 0));
}

#[tokio::test]
async fn exception_has_an_owner_and_an_end_and_then_counts_again() {
    let (office, house) = (Office::open().await, House::default());
    let found = finding("a.py", "run(x)");
    let tree = report(std::slice::from_ref(&found), &["a.py"]);
    office.record(&tree, &house, &[]).await;
    let except = |owner: &str, reason: &str, until: &str| Request::Except {
        finding: found.what.fingerprint[..12].to_owned(),
        owner: owner.to_owned(),
        reason: reason.to_owned(),
        until: until.parse().unwrap(),
    };
    for (owner, reason, until) in [
        ("", "read only", "2026-12-24"),
        ("ops", " ", "2026-12-24"),
        ("ops", "two\nlines", "2026-12-24"),
        ("ops", "in the past", "2026-11-22"),
        ("ops", "for ever", "2028-01-01"),
    ] {
        let refused = office.ask(except(owner, reason, until)).await;
        assert!(matches!(refused, Err(Error::Decision(_))), "{reason}");
    }
    let made = office.ask(except("ops", "read only", "2026-11-24")).await;
    assert_eq!(made.unwrap().findings[0].standing, Standing::Excepted);
    let (changes, _) = office.record(&tree, &house, &[]).await;
    assert_eq!(counts(&changes), [0, 0, 0, 0, 1]);
    // The last day is over.
    office
        .clock
        .advance(std::time::Duration::from_secs(2 * 86_400));
    assert_eq!(office.list(false).await[0].standing, Standing::Open);
    let (changes, _) = office.record(&tree, &house, &[]).await;
    assert_eq!(counts(&changes), [0, 0, 0, 1, 0]);
    assert!(office.list(false).await[0].finding.exception.is_none());
    office.end().await;
}

#[tokio::test]
async fn owner_comes_from_the_house_unless_somebody_is_named() {
    let office = Office::open().await;
    let owner = |below: &str, name: &str| airside_codereview::house::Owner {
        below: below.to_owned(),
        name: name.to_owned(),
    };
    let house = House {
        owners: vec![owner("", "all"), owner("src/pay/", "pay")],
        ..House::default()
    };
    let found = finding("src/pay/card.py", "run(x)");
    let tree = report(std::slice::from_ref(&found), &["src/pay/card.py"]);
    office.record(&tree, &House::default(), &[]).await;
    assert_eq!(office.list(false).await[0].owner, None);
    let (changes, _) = office.record(&tree, &house, &[]).await;
    assert_eq!(counts(&changes), [0, 1, 0, 0, 0]);
    assert_eq!(office.list(false).await[0].owner.as_deref(), Some("pay"));
    let (finding, owner) = (id("hotels", &found.what.fingerprint), "ann".to_owned());
    office
        .ask(Request::Assign { finding, owner })
        .await
        .unwrap();
    assert_eq!(office.list(false).await[0].owner.as_deref(), Some("ann"));
    assert_eq!(house.owner_of("lib/x.py"), Some("all"));
    office.end().await;
}

#[tokio::test]
async fn what_is_unknown_ended_or_malformed_is_refused() {
    let (office, house) = (Office::open().await, House::default());
    for unknown in ["R-123456789abc", "no such", "abcdef", ""] {
        let finding = unknown.to_owned();
        let refused = office.ask(Request::Show { finding }).await;
        assert!(matches!(refused, Err(Error::Missing { .. })), "{unknown}");
    }
    let found = finding("a.py", "run(x)");
    let tree = report(std::slice::from_ref(&found), &["a.py"]);
    office.record(&tree, &house, &[]).await;
    office.record(&report(&[], &["a.py"]), &house, &[]).await;
    let (finding, owner) = (id("hotels", &found.what.fingerprint), "ann".to_owned());
    let refused = office.ask(Request::Assign { finding, owner }).await;
    assert!(matches!(refused, Err(Error::Ended { .. })));
    let at = Where {
        repository: "hotels",
        revision: "1",
        by: "airside 1",
    };
    let rules = Rules::builtin();
    let good = judge(at, &tree, (&rules, &house), &[], &|_| true, &|_| false);
    let mut twice = good.clone();
    twice.seen.push(good.seen[0].clone());
    let mut unnamed = good.clone();
    unnamed.repository = "a\nb".to_owned();
    let mut ends = good.clone();
    ends.ended.push(End {
        finding: "R-000000000000".to_owned(),
        why: Why::Repaired,
        evidence: String::new(),
    });
    for recording in [twice, unnamed, ends] {
        let recording = Box::new(recording);
        let refused = office.ask(Request::Record { recording }).await;
        assert!(matches!(refused, Err(Error::Recording(_))), "{refused:?}");
    }
    office.end().await;
}

#[tokio::test]
async fn many_findings_are_written_in_parts_and_listed_the_worst_first() {
    let (office, house) = (Office::open().await, House::default());
    let mut found: Vec<finding::Finding> = (0..350)
        .map(|n| finding("a.py", &format!("run({n})")))
        .collect();
    for one in &mut found[..349] {
        one.certainty = Certainty::Pattern;
    }
    let (changes, _) = office.record(&report(&found, &["a.py"]), &house, &[]).await;
    assert_eq!(changes.opened, 350);
    let listed = office.list(false).await;
    assert_eq!(listed.len(), 350);
    assert_eq!(listed[0].finding.seen.certainty, Certainty::Proven);
    assert_eq!(office.clock.now(), listed[0].finding.opened);
    office.end().await;
}
