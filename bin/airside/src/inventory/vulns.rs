//! `airside vulns …`.

mod plan;

use airside_api::findings::{Decide, Verdict};
use airside_base::{Clock as _, Fault, Kind, SystemClock, Timestamp, counted};
use airside_inventory::{
    audit::{Audit, audit},
    decision::{lane::Lane, reach::Reached},
    state::{Finding, State, day},
};
use serde_json::json;

use crate::{
    cli::inventory::{Because, Vulns, VulnsExplain, VulnsList, VulnsReport},
    failure::{Exit, Failure},
    output::{Align, Out, table},
    target,
    text::{cut, printable},
};

/// Runs `airside vulns …`.
pub(crate) fn run(args: &Vulns, out: &mut Out) -> Result<(), Failure> {
    match args {
        Vulns::List(args) => list(args, out),
        Vulns::Explain(args) => explain(args, out),
        Vulns::Plan(args) => plan::run(args, out),
        Vulns::Report(args) => report(args, out),
        Vulns::Extend(args) => {
            let wanted = Decide {
                until: Some(args.until.to_string()),
                ..asked(&args.because, Verdict::Extend)
            };
            decide(&wanted, &args.because, out)
        }
        Vulns::Except(args) => {
            let wanted = Decide {
                until: Some(args.until.to_string()),
                ..asked(&args.because, Verdict::Except)
            };
            decide(&wanted, &args.because, out)
        }
        Vulns::Mitigate(args) => {
            let wanted = Decide {
                mitigation: Some(args.what.name().to_owned()),
                tool: args.tool.clone(),
                ..asked(&args.because, Verdict::Mitigate)
            };
            decide(&wanted, &args.because, out)
        }
        Vulns::Expose(args) => decide(&asked(args, Verdict::Expose), args, out),
    }
}

pub(super) fn unknown(text: &str) -> Failure {
    let fault = Fault::new(Kind::NotFound, "INV-012", printable(&cut(text, 120)));
    let hint = "`airside inventory` lists servers, `airside vulns list --all` findings";
    Failure::new(Exit::Failed, fault.with_hint(hint))
}

fn now(at: Option<Timestamp>) -> Timestamp {
    at.unwrap_or_else(|| SystemClock::new().now())
}

fn list(args: &VulnsList, out: &mut Out) -> Result<(), Failure> {
    let state = super::state(&args.node, args.at)?;
    let now = now(args.at);
    let mut found: Vec<&Finding> = state.open();
    if args.all {
        found.extend(state.findings.values().filter(|f| f.closed.is_some()));
    }
    found.retain(|finding| {
        let judged = &finding.judged;
        args.server.as_ref().is_none_or(|s| *s == judged.server)
            && args
                .lane
                .is_none_or(|lane| lane.name() == judged.lane.name())
            && (!args.overdue || judged.clock.is_overdue(now))
    });
    if out.is_json() {
        return out.json_pretty(&json!({ "at": now, "findings": found }));
    }
    if !found.is_empty() {
        let rows: Vec<Vec<String>> = found.iter().map(|finding| row(finding, now)).collect();
        let headings = [
            ("ID", Align::Left),
            ("SERVER", Align::Left),
            ("LANE", Align::Left),
            ("DUE", Align::Left),
            ("VULNERABILITY", Align::Left),
            ("PACKAGE", Align::Left),
            ("DEPLOYED", Align::Left),
            ("FIXED IN", Align::Left),
            ("STATE", Align::Left),
        ];
        out.line(&table(&headings, &rows))?;
    }
    out.line(&summary(&state, found.len()))
}

/// "No findings" only when everything was assessed.
fn summary(state: &State, shown: usize) -> String {
    let servers = state.servers.values();
    let components: usize = servers
        .map(|s| airside_inventory::component::distinct(&s.components))
        .sum();
    let unassessed: usize = state.servers.values().map(|s| s.unassessed).sum();
    let gaps: usize = state.servers.values().map(|s| s.gaps.len()).sum();
    let servers = state.servers.len();
    let mut text = match shown {
        _ if state.feeds.is_none() => "Nothing was compared with feeds yet.".to_owned(),
        0 if unassessed + gaps == 0 => {
            format!("No findings: all {components} components of {servers} servers assessed.")
        }
        0 => "No findings in what was assessed, and not everything was:".to_owned(),
        n => format!(
            "{} in {} of {}.",
            counted(n, "finding"),
            counted(components, "component"),
            counted(servers, "server")
        ),
    };
    if unassessed > 0 {
        text.push_str(&format!(
            " {} not assessed.",
            counted(unassessed, "component")
        ));
    }
    if gaps > 0 {
        text.push_str(&format!(" {gaps} files or entries not read."));
    }
    text
}

fn row(finding: &Finding, now: Timestamp) -> Vec<String> {
    let judged = &finding.judged;
    let lane = match (judged.clock.mitigate_by, judged.lane) {
        (Some(by), _) => format!("mitigation {}", day(by)),
        (None, Lane::Window { start, .. }) => format!("window {start:.0}"),
        (None, lane) => lane.name().to_owned(),
    };
    let due = judged.clock.due;
    let due = due.map_or("next upgrade".to_owned(), |due| day(due).to_string());
    let kev = if judged.decision.inputs.in_kev.value {
        " (KEV)"
    } else {
        ""
    };
    vec![
        judged.id.clone(),
        printable(&judged.server),
        lane,
        due,
        printable(&format!("{}{kev}", judged.vulnerability)),
        printable(&judged.package),
        printable(&judged.versions.join(" ")),
        printable(judged.fixed.first().map_or("none known", String::as_str)),
        standing(finding, now),
    ]
}

fn standing(finding: &Finding, now: Timestamp) -> String {
    let clock = &finding.judged.clock;
    if let Some((_, why, _)) = &finding.closed {
        return why.words().to_owned();
    }
    let mut words = Vec::new();
    if clock.is_overdue(now) {
        words.push("overdue".to_owned());
    }
    if let Some(exception) = finding.excepted(now) {
        words.push(format!("accepted until {}", exception.until));
    }
    if let Some(mitigation) = &clock.mitigation {
        words.push(format!("mitigated ({})", mitigation.words()));
    }
    if words.is_empty() {
        words.push("open".to_owned());
    }
    printable(&words.join(", "))
}

fn explain(args: &VulnsExplain, out: &mut Out) -> Result<(), Failure> {
    let state = super::state(&args.node, args.at)?;
    let found: Vec<&Finding> = state
        .findings
        .values()
        .filter(|f| f.judged.id == args.id || f.judged.ids.contains(&args.id))
        .collect();
    if found.is_empty() {
        return Err(unknown(&format!("there is no finding `{}`", args.id)));
    }
    if out.is_json() {
        let explained: Vec<_> = found
            .iter()
            .map(|f| json!({ "finding": f, "explanation": f.judged.decision.explain() }))
            .collect();
        return out.json_pretty(&json!({ "findings": explained }));
    }
    for (number, finding) in found.iter().enumerate() {
        if number > 0 {
            out.line("")?;
        }
        let server = state.servers.get(&finding.judged.server);
        let reached = server.map(|server| &server.setting.reached);
        for line in lines(finding, reached, now(args.at)) {
            out.line(&printable(&line))?;
        }
    }
    Ok(())
}

fn lines(finding: &Finding, reached: Option<&Reached>, now: Timestamp) -> Vec<String> {
    let judged = &finding.judged;
    let clock = &judged.clock;
    let mut lines = vec![
        format!(
            "{} {} in {}",
            judged.id, judged.vulnerability, judged.server
        ),
        format!("  {}", cut(&judged.summary, 200)),
        format!("  also known as {}", judged.ids.join(", ")),
        format!(
            "  {} {}, fixed in {}",
            judged.package,
            judged.versions.join(" and "),
            judged
                .fixed
                .first()
                .map_or("no known version", String::as_str)
        ),
        format!("state: {}", standing(finding, now)),
        "decision".to_owned(),
    ];
    lines.extend(judged.decision.explain().iter().map(|l| format!("  {l}")));
    lines.push(match judged.decision.holds() {
        true => "  made again from these inputs: the same".to_owned(),
        false => "  made by other rules than those of this program".to_owned(),
    });
    lines.push(format!("  feeds: {}", judged.feeds));
    if let Some(reached) = reached.filter(|reached| !reached.is_unknown()) {
        lines.push(format!(
            "  its server, by recorded calls: {}",
            reached.words()
        ));
    }
    lines.push("clock".to_owned());
    lines.push(format!("  started {:.0}", clock.started));
    if let Some(day) = clock.feed_day {
        lines.push(format!("  newest feed then: {day}"));
    }
    lines.push(match clock.due {
        Some(due) => format!("  due {due:.0}"),
        None => "  due with the next upgrade".to_owned(),
    });
    lines.push(format!(
        "  exposed for {} hours",
        clock.exposed_s(now) / 3600
    ));
    if let Some(by) = clock.mitigate_by {
        lines.push(format!("lane: mitigation by {by:.0}, until a fix is known"));
    }
    lines.push(match judged.lane {
        Lane::Window { start, end } => {
            format!("lane of the change: window from {start:.0} to {end:.0}")
        }
        lane => format!("lane of the change: {}", lane.name()),
    });
    lines.push("what happened".to_owned());
    let told = finding.history.iter();
    lines.extend(told.map(|(at, what)| format!("  {at:.0}  {what}")));
    lines
}

fn asked(because: &Because, verdict: Verdict) -> Decide {
    Decide {
        finding: because.id.clone(),
        verdict,
        reason: because.reason.clone(),
        until: None,
        mitigation: None,
        tool: None,
    }
}

fn decide(decide: &Decide, because: &Because, out: &mut Out) -> Result<(), Failure> {
    target::with_control(&because.node, async |client| {
        Ok(client.decide_finding(decide).await?)
    })?;
    if out.is_json() {
        return out.json_pretty(&json!({ "decided": decide }));
    }
    out.line(&format!("{}: recorded", printable(&decide.finding)))
}

fn report(args: &VulnsReport, out: &mut Out) -> Result<(), Failure> {
    let to = now(args.to);
    if to <= args.from {
        let fault = Fault::new(Kind::Invalid, "INV-015", "the period ends before it starts");
        return Err(Failure::new(Exit::Usage, fault));
    }
    let audit = audit(&super::entries(&args.node)?, args.from, to);
    if out.is_json() {
        return out.json_pretty(&audit);
    }
    for line in report_lines(&audit) {
        out.line(&printable(&line))?;
    }
    Ok(())
}

fn report_lines(audit: &Audit) -> Vec<String> {
    let mut lines = vec![format!("from {:.0} to {:.0}", audit.from, audit.to)];
    lines.push("what ran".to_owned());
    lines.extend(audit.servers.iter().map(|ran| {
        format!(
            "  {} {} {}: {} components since {:.0}, {} not assessed, {} not read",
            ran.server,
            ran.version,
            ran.region,
            ran.components,
            ran.since,
            ran.unassessed,
            ran.gaps
        )
    }));
    lines.push(match audit.known_since {
        Some(at) => format!("what was known, since {at:.0}"),
        None => "nothing was known".to_owned(),
    });
    let feeds = audit.feeds.iter().filter(|feed| feed.records > 0);
    lines.extend(feeds.map(|feed| {
        let day = feed
            .date
            .map(|day| format!(" of {day}"))
            .unwrap_or_default();
        let digest = feed.digest.get(..12).unwrap_or(&feed.digest);
        format!(
            "  {}{day}: {} records, sha256 {digest}",
            feed.name, feed.records
        )
    }));
    let s = &audit.summary;
    lines.push(format!(
        "{} open before, {} opened, {} fixed ({} in time), {} closed otherwise, {} open after: {} overdue, {} taken on",
        s.open_before, s.opened, s.fixed, s.fixed_in_time, s.closed_otherwise, s.open_after,
        s.overdue, s.excepted
    ));
    for told in &audit.findings {
        let end = match &told.closed {
            Some((at, why, evidence)) => format!("{} {at:.0}: {evidence}", why.words()),
            None => "open".to_owned(),
        };
        let due = told
            .due
            .map_or("next upgrade".to_owned(), |due| day(due).to_string());
        lines.push(format!(
            "  {} {} {} {}: known {:.0}, {}, lane {}, due {due}, {end}",
            told.id,
            told.server,
            told.vulnerability,
            told.package,
            told.opened,
            told.decided,
            told.lane
        ));
    }
    for (title, done) in [
        ("what persons decided", &audit.persons),
        ("alerts", &audit.alerts),
    ] {
        if !done.is_empty() {
            lines.push(title.to_owned());
        }
        let told = done.iter();
        lines.extend(told.map(|d| format!("  entry {} {:.0}  {}", d.seq, d.at, d.what)));
    }
    lines.push(match s.not_reproduced {
        0 => "every decision comes out the same when made again from what was stored".to_owned(),
        n => format!("{n} decisions were made by other rules than those of this program"),
    });
    lines
}
