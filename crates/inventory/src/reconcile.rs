//! Compares what runs with what is known and says what changed.
//!
//! # Invariants
//!
//! * A function of its arguments: no clock, no files. Run twice, the second run says
//!   nothing.
//! * A finding is closed as fixed only when an inventory of the server that was read
//!   whole does not hold an affected version any more. One that could not be read, and
//!   a feed that lost an advisory, close nothing.
//! * Its id holds no version: a move from one affected version to another keeps the clock,
//!   and so do another name of the server and of the vulnerability.

use std::collections::{BTreeMap, BTreeSet};

use airside_base::Timestamp;
use aws_lc_rs::digest::{SHA256, digest};

use crate::{
    component::{Inventory, purl},
    decision::{
        Decision, decide,
        derive::{self, Setting, stale},
        lane::{self, Plan},
        sla::Clock,
    },
    event::{Closed, Event, Judged, MAX_PART, Observed, Warning},
    index::{Index, hex},
    matching::{Match, Matcher, Standing},
    remedy::{Advisor, Upgrade},
    state::{Finding, Server, State, day},
};

/// A server and what it is made of.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name of the upstream.
    pub server: String,
    /// Its version, as it is deployed.
    pub version: String,
    /// Where it runs.
    pub region: String,
    /// What is known of its place.
    pub setting: Setting,
    /// What it is made of.
    pub inventory: Inventory,
    /// Everything that names its components was read.
    pub whole: bool,
}

/// What all decisions share.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How changes are made here.
    pub plan: Plan,
    /// Issuers of VEX whose statements count.
    pub trusted: Vec<String>,
    /// Days after which a feed is stale.
    pub stale_after_days: i32,
    /// Why newer files of feeds are not in use.
    pub refused: Option<String>,
}

/// Returns what has to be appended so that the ledger says what is so.
#[must_use]
pub fn reconcile(
    state: &State,
    targets: &[Target],
    index: &Index,
    rules: &Rules,
    now: Timestamp,
) -> Vec<Event> {
    let mut events = Vec::new();
    if state
        .feeds
        .as_ref()
        .is_none_or(|known| known.digest != index.digest())
    {
        events.push(Event::Feeds {
            digest: index.digest().to_owned(),
            feeds: index.feeds().to_vec(),
        });
    }
    let warning = Warning {
        stale: stale(index.feeds(), day(now), rules.stale_after_days),
        refused: rules.refused.clone(),
    };
    if warning != state.warning {
        events.push(Event::Warned(warning));
    }
    let mut matcher = Matcher::new(index, rules.trusted.clone());
    let mut advisor = Advisor::default();
    let mut of_server: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in state.findings.values() {
        of_server
            .entry(&finding.judged.server)
            .or_default()
            .push(finding);
    }
    let renamed = renamed(state, targets);
    for target in targets {
        let priors = of_server.remove(target.server.as_str()).unwrap_or_default();
        let old = renamed.get(target.server.as_str());
        let former = old.and_then(|old| of_server.get(old)).cloned();
        let former = former.unwrap_or_default();
        let round = Round {
            target,
            state,
            index,
            rules,
            now,
            former: &former,
        };
        round.run(&priors, (&mut matcher, &mut advisor), &mut events);
    }
    let configured: BTreeSet<&str> = targets.iter().map(|t| t.server.as_str()).collect();
    for server in state.servers.keys() {
        if !configured.contains(server.as_str()) {
            events.push(Event::Retired {
                server: server.clone(),
            });
        }
    }
    for finding in of_server.into_values().flatten() {
        if finding.closed.is_none() {
            events.push(Event::Closed {
                id: finding.judged.id.clone(),
                why: Closed::Retired,
                evidence: match renamed
                    .iter()
                    .find(|(_, old)| **old == finding.judged.server)
                {
                    Some((new, _)) => format!("the server is called {new} now"),
                    None => "the server is no longer configured".to_owned(),
                },
            });
        }
    }
    pass(state, now, &mut events);
    events
}

/// Tells what has passed, after `events`: deadlines of findings that are still there, and
/// exceptions.
fn pass(state: &State, now: Timestamp, events: &mut Vec<Event>) {
    let mut open: BTreeMap<&str, (&Judged, Option<&Finding>)> = state
        .findings
        .values()
        .filter(|finding| finding.closed.is_none())
        .map(|finding| (finding.judged.id.as_str(), (&finding.judged, Some(finding))))
        .collect();
    for event in &*events {
        match event {
            Event::Opened(judged) => {
                open.insert(&judged.id, (judged, None));
            }
            Event::Changed(judged) => {
                if let Some((known, _)) = open.get_mut(judged.id.as_str()) {
                    *known = judged;
                }
            }
            Event::Closed { id, .. } => {
                open.remove(id.as_str());
            }
            _ => {}
        }
    }
    let mut passed = Vec::new();
    for (judged, finding) in open.into_values() {
        if let Some(exception) = finding.and_then(|f| f.exception.as_ref()) {
            if finding.is_some_and(|f| f.excepted(now).is_some()) {
                continue;
            }
            passed.push(Event::Resumed {
                id: judged.id.clone(),
                until: exception.until,
            });
        }
        let told = finding.and_then(|finding| finding.overdue);
        // What was decided since it was judged last counts.
        let clock = finding.filter(|f| f.judged.clock.mitigation.is_some());
        let clock = clock.map_or(&judged.clock, |f| &f.judged.clock);
        if let Some(due) = clock.passed(now)
            && told != Some(due)
        {
            passed.push(Event::Overdue {
                id: judged.id.clone(),
                server: judged.server.clone(),
                due,
            });
        }
    }
    events.extend(passed);
}

/// One server in one comparison.
struct Round<'a, 'f> {
    target: &'a Target,
    state: &'a State,
    index: &'a Index,
    rules: &'a Rules,
    now: Timestamp,
    /// Findings of the server as it was called before.
    former: &'f [&'a Finding],
}

impl<'a> Round<'a, '_> {
    fn run(
        &self,
        priors: &[&'a Finding],
        (matcher, advisor): (&mut Matcher<'a>, &mut Advisor),
        events: &mut Vec<Event>,
    ) {
        let assessment = matcher.assess(&self.target.inventory);
        self.observe(assessment.unassessed.len(), events);
        let mut present: BTreeMap<String, Vec<Match>> = BTreeMap::new();
        let mut unclear = BTreeSet::new();
        let mut excluded: BTreeMap<String, String> = BTreeMap::new();
        for found in assessment.matches {
            let id = self.id(&found);
            match &found.standing {
                Standing::Affected => present.entry(id).or_default().push(found),
                Standing::Unassessed { .. } => {
                    unclear.insert(id);
                }
                Standing::NotAffected {
                    issuer,
                    justification,
                } => {
                    excluded.insert(id, format!("{issuer} says: {justification}"));
                }
            }
        }
        let by_id: BTreeMap<&str, &Finding> =
            priors.iter().map(|f| (f.judged.id.as_str(), *f)).collect();
        let (open, former) = (by_package(priors), by_package(self.former));
        for (id, found) in &present {
            // An alias may have opened it under another id, several may have turned out to
            // be one, and the server may have had another name: what was known counts.
            let mut known: Vec<&Finding> = by_id.get(id.as_str()).copied().into_iter().collect();
            known.extend(others(found, &open, id));
            known.extend(others(found, &former, id));
            let upgrades = found.iter();
            let upgrades = upgrades
                .filter_map(|m| advisor.upgrade(&m.component, &m.vulnerability, matcher))
                .collect();
            let event = self.judge(id, found, upgrades, &known);
            let carried = event.as_ref().map(|event| self.carried(event, &known));
            events.extend(event);
            events.extend(carried.into_iter().flatten());
        }
        let blind: BTreeSet<&str> = assessment
            .unassessed
            .iter()
            .map(|u| u.component.name.as_str())
            .collect();
        for finding in priors.iter().filter(|f| f.closed.is_none()) {
            let id = &finding.judged.id;
            if present.contains_key(id) || unclear.contains(id) {
                continue;
            }
            let hidden = blind
                .iter()
                .any(|name| finding.judged.package.ends_with(name));
            let ended = match excluded.get(id) {
                Some(said) => Some((Closed::NotAffected, said.clone())),
                None if hidden => None,
                None => self.ended(finding),
            };
            if let Some((why, evidence)) = ended {
                events.push(Event::Closed {
                    id: id.clone(),
                    why,
                    evidence,
                });
            }
        }
    }

    /// Appends the inventory where it differs from the one before.
    fn observe(&self, unassessed: usize, events: &mut Vec<Event>) {
        let target = self.target;
        let whole = serde_json::to_vec(&(
            &target.version,
            &target.region,
            &target.setting,
            &target.inventory,
        ));
        // Structures of strings always serialize.
        let sum = hex(digest(&SHA256, &whole.unwrap_or_default()).as_ref());
        let before = self.state.servers.get(&target.server);
        if before.is_some_and(|server| server.digest == sum) {
            return;
        }
        let components = &target.inventory.components;
        let parts = components.len().div_ceil(MAX_PART).max(1);
        for part in 0..parts {
            let from = part * MAX_PART;
            let to = components.len().min(from + MAX_PART);
            let first = part == 0;
            events.push(Event::Observed(Observed {
                server: target.server.clone(),
                version: target.version.clone(),
                region: target.region.clone(),
                setting: target.setting.clone(),
                digest: sum.clone(),
                product: target.inventory.product.clone(),
                part,
                parts,
                components: components[from..to].to_vec(),
                gaps: target
                    .inventory
                    .gaps
                    .iter()
                    .take(if first { 100 } else { 0 })
                    .cloned()
                    .collect(),
                unassessed: if first { unassessed } else { 0 },
            }));
        }
    }

    fn id(&self, found: &Match) -> String {
        let package = purl(&found.component.ecosystem, &found.component.name, None);
        let text = format!("{}\0{}\0{package}", self.target.server, found.vulnerability);
        let sum = hex(digest(&SHA256, text.as_bytes()).as_ref());
        format!("F-{}", &sum[..12])
    }

    /// Returns the entry for a vulnerability that is there, if it says something new.
    fn judge(
        &self,
        id: &str,
        found: &[Match],
        mut upgrades: Vec<Upgrade>,
        known: &[&Finding],
    ) -> Option<Event> {
        let first = found.first()?;
        let prior = known.first().copied();
        let exploited = self.index.known(first.ids.iter().map(String::as_str));
        let decision = decide(derive::inputs(
            first,
            &exploited,
            &self.target.setting,
            self.index.feeds(),
            day(self.now),
            self.rules.stale_after_days,
        ));
        let open = prior.filter(|f| f.closed.is_none());
        let (clock, tightened) = self.clock(known, &decision);
        let mut versions: Vec<String> = found
            .iter()
            .filter_map(|m| m.component.version.clone())
            .collect();
        versions.sort();
        versions.dedup();
        upgrades.sort();
        upgrades.dedup();
        let lane = lane::choose(&decision, clock.due, self.now, &self.rules.plan);
        let mut judged = Judged {
            id: id.to_owned(),
            server: self.target.server.clone(),
            vulnerability: first.vulnerability.clone(),
            ids: first.ids.clone(),
            summary: first.summary.clone(),
            package: purl(&first.component.ecosystem, &first.component.name, None),
            versions,
            fixed: first.fixed.clone(),
            upgrades,
            vectors: first.vectors.clone(),
            feeds: self.index.digest().to_owned(),
            decision,
            clock,
            lane,
            because: String::new(),
        };
        let Some(before) = open.filter(|f| f.judged.id == id) else {
            judged.because = match prior {
                None => format!(
                    "{} in {}",
                    judged.vulnerability,
                    judged.versions.join(" and ")
                ),
                Some(f) if f.closed.is_some() => "it is back".to_owned(),
                Some(f) if f.judged.server != judged.server => {
                    format!("the server was called {} before", f.judged.server)
                }
                Some(f) => format!("it was {} before", f.judged.vulnerability),
            };
            return Some(Event::Opened(Box::new(judged)));
        };
        let same = known
            .iter()
            .skip(1)
            .map(|f| f.judged.vulnerability.as_str());
        let same: Vec<&str> = same.collect();
        let mut because = differences(&before.judged, &judged, tightened);
        if !same.is_empty() {
            because.insert(0, format!("it is the same as {}", same.join(" and ")));
        }
        if because.is_empty() {
            return None;
        }
        judged.because = because.join("; ");
        Some(Event::Changed(Box::new(judged)))
    }

    /// Returns the clock of what is `known` under one id or several after `decision`, and
    /// whether its deadline has moved.
    fn clock(&self, known: &[&Finding], decision: &Decision) -> (Clock, bool) {
        let newest = self.index.feeds().iter().filter_map(|f| f.date).max();
        let Some(prior) = known.first() else {
            return (Clock::start(self.now, newest, decision), false);
        };
        let old = prior.judged.clock.clone();
        let mut clock = match prior.closed {
            None => old,
            Some((_, why, _)) => old.reopened(self.now, why == Closed::Fixed, decision),
        };
        let before = clock.due;
        for other in known.iter().skip(1).filter(|f| f.closed.is_none()) {
            clock = clock.joined(other.judged.clock.clone());
        }
        if prior.closed.is_none() {
            clock.tighten(self.now, decision);
        }
        let moved = clock.due != before;
        (clock, moved)
    }

    /// Returns what persons decided about findings that go on in that of `event`, as entries
    /// about that one: what is in force is known by the id.
    fn carried(&self, event: &Event, known: &[&Finding]) -> Vec<Event> {
        let (Event::Opened(judged) | Event::Changed(judged)) = event else {
            return Vec::new();
        };
        let others = || {
            known
                .iter()
                .filter(|f| f.judged.id != judged.id && f.closed.is_none())
        };
        let own = known.iter().find(|f| f.judged.id == judged.id);
        let mut events = Vec::new();
        let mitigated = others().find(|f| f.judged.clock.mitigation.is_some());
        if let Some(other) = mitigated
            && own.is_none_or(|own| own.judged.clock.mitigation.is_none())
            && let Some(mitigation) = &other.judged.clock.mitigation
        {
            events.push(Event::Mitigated {
                id: judged.id.clone(),
                what: mitigation.what.clone(),
                server: judged.server.clone(),
                tool: mitigation.tool.clone(),
                by: mitigation.by.clone(),
                reason: format!("as for {}", other.judged.id),
            });
        }
        let excepted = others().find_map(|f| f.excepted(self.now));
        if let Some(exception) = excepted
            && own.is_none_or(|own| own.closed.is_some())
        {
            events.push(Event::Excepted {
                id: judged.id.clone(),
                by: exception.by.clone(),
                reason: exception.reason.clone(),
                until: exception.until,
            });
        }
        events
    }

    /// Returns why a finding that does not show any more has ended, if it has.
    fn ended(&self, finding: &Finding) -> Option<(Closed, String)> {
        let judged = &finding.judged;
        let known: Vec<_> = judged
            .ids
            .iter()
            .filter_map(|id| self.index.find(id))
            .collect();
        if known.is_empty() {
            // The feed has lost it, or is another one.
            return None;
        }
        if known.iter().all(|advisory| advisory.withdrawn.is_some()) {
            let ids: Vec<&str> = known.iter().map(|a| a.id.as_str()).collect();
            return Some((Closed::Withdrawn, ids.join(", ")));
        }
        if known.iter().any(|a| a.group != judged.vulnerability) {
            return Some((
                Closed::NotAffected,
                format!("now part of {}", known[0].group),
            ));
        }
        if !self.target.whole {
            return None;
        }
        let deployed: BTreeSet<&str> = self
            .target
            .inventory
            .components
            .iter()
            .filter(|c| purl(&c.ecosystem, &c.name, None) == judged.package)
            .filter_map(|c| c.version.as_deref())
            .collect();
        if deployed
            .iter()
            .any(|v| judged.versions.iter().any(|old| old == v))
        {
            let text = "the advisory no longer names the deployed version";
            return Some((Closed::NotAffected, text.to_owned()));
        }
        let evidence = if deployed.is_empty() {
            "the inventory of production does not hold the package".to_owned()
        } else {
            let versions: Vec<&str> = deployed.into_iter().collect();
            format!(
                "the inventory of production shows {}",
                versions.join(" and ")
            )
        };
        Some((Closed::Fixed, evidence))
    }
}

/// Returns the open findings by their package.
fn by_package<'a>(all: &[&'a Finding]) -> BTreeMap<&'a str, Vec<&'a Finding>> {
    let mut packages: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in all.iter().filter(|finding| finding.closed.is_none()) {
        let package = packages.entry(finding.judged.package.as_str());
        package.or_default().push(finding);
    }
    packages
}

/// Returns the findings among `open` that are about this vulnerability of this package
/// under another id than `id`.
fn others<'a>(
    found: &[Match],
    open: &BTreeMap<&'a str, Vec<&'a Finding>>,
    id: &str,
) -> Vec<&'a Finding> {
    let Some(first) = found.first() else {
        return Vec::new();
    };
    let package = purl(&first.component.ecosystem, &first.component.name, None);
    let same = |finding: &&Finding| {
        let known = &finding.judged.vulnerability;
        finding.judged.id != id && (first.vulnerability == *known || first.ids.contains(known))
    };
    let of_package = open.get(package.as_str()).into_iter().flatten();
    of_package.copied().filter(same).collect()
}

/// Returns the former names of servers by their new ones: a server that came with exactly
/// the components of one that went is the same.
fn renamed<'a>(state: &'a State, targets: &'a [Target]) -> BTreeMap<&'a str, &'a str> {
    let configured: BTreeSet<&str> = targets.iter().map(|t| t.server.as_str()).collect();
    let gone = || {
        let known = state.servers.iter();
        known.filter(|(name, _)| !configured.contains(name.as_str()))
    };
    let new = || {
        targets
            .iter()
            .filter(|t| !state.servers.contains_key(&t.server))
    };
    let same = |target: &Target, server: &Server| {
        let components = &target.inventory.components;
        !components.is_empty() && *components == server.components
    };
    let mut renamed = BTreeMap::new();
    for target in new() {
        let mut old = gone().filter(|(_, server)| same(target, server));
        // Two that are alike cannot be told apart.
        if let (Some((name, server)), None) = (old.next(), old.next())
            && new().filter(|other| same(other, server)).count() == 1
        {
            renamed.insert(target.server.as_str(), name.as_str());
        }
    }
    renamed
}

/// Returns what is new about a finding, in words.
fn differences(before: &Judged, now: &Judged, tightened: bool) -> Vec<String> {
    let mut because = Vec::new();
    let (old, new) = (&before.decision, &now.decision);
    if !old.inputs.in_kev.value && new.inputs.in_kev.value {
        because.push("it is listed as exploited".to_owned());
    }
    if old.inputs.exposure.value != new.inputs.exposure.value {
        let (from, to) = (
            old.inputs.exposure.value.name(),
            new.inputs.exposure.value.name(),
        );
        because.push(format!("exposure {from} → {to}"));
    }
    if old.priority != new.priority {
        because.push(format!("{} → {}", old.priority.name(), new.priority.name()));
    }
    if old.timeline != new.timeline {
        because.push(format!("{} → {}", old.timeline.name(), new.timeline.name()));
    }
    if tightened {
        let due = now.clock.due.map(|due| day(due).to_string());
        because.push(format!("due {}", due.unwrap_or_default()));
    }
    if before.lane != now.lane {
        because.push(format!("lane {} → {}", before.lane.name(), now.lane.name()));
    }
    if before.versions != now.versions {
        because.push(format!(
            "deployed {} → {}",
            before.versions.join(" and "),
            now.versions.join(" and ")
        ));
    }
    if before.upgrades != now.upgrades && before.versions == now.versions {
        let to = now.upgrades.iter().map(|upgrade| {
            let to = upgrade.to.as_deref().unwrap_or("nothing that is known");
            format!("{} → {to}", upgrade.from)
        });
        let to: Vec<String> = to.collect();
        because.push(format!("upgrade {}", to.join(" and ")));
    }
    if old.inputs.fixable != new.inputs.fixable {
        because.push(match new.inputs.fixable {
            true => "a fixed version became known".to_owned(),
            false => "no fixed version is known any more".to_owned(),
        });
    }
    because
}

#[cfg(test)]
mod tests;
