//! One look at one thing: what it is made of, what is known about it, what to do.

use airside_base::{Timestamp, counted};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::{
    component::{Gap, Inventory},
    decision::{
        Decision, decide,
        derive::{self, Setting},
        lane::{self, Lane, Plan},
        sla::Clock,
    },
    feeds::Feed,
    index::Index,
    matching::{Match, Matcher, Notice, Standing, Unassessed},
    remedy::{self, Remedy},
};

/// What decisions need beside the feeds.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// What is known of the place the components run in.
    pub setting: Setting,
    /// How changes are made here.
    pub plan: Plan,
    /// Issuers of VEX whose statements count.
    pub trusted: Vec<String>,
    /// Days after which a feed is stale.
    pub stale_after_days: i32,
}

/// A vulnerability with its decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What was found.
    pub found: Match,
    /// What was decided.
    pub decision: Decision,
    /// The deadline, if the clock starts now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// When to change it.
    pub lane: Lane,
}

/// What came of a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// The product that the components make up, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// What was read.
    pub read: Vec<String>,
    /// Digest of all feeds together.
    pub index: String,
    /// The feeds.
    pub feeds: Vec<Feed>,
    /// Numbers, counted from the lists below.
    pub summary: Summary,
    /// Vulnerabilities, the most urgent first.
    pub findings: Vec<Found>,
    /// Vulnerabilities that a trusted statement excludes, or that could not be told.
    pub others: Vec<Match>,
    /// Components that were not assessed.
    pub unassessed: Vec<Unassessed>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// Records that are no vulnerabilities.
    pub notices: Vec<Notice>,
    /// Upgrades that make findings go away.
    pub remedies: Vec<Remedy>,
    /// Packages of the project itself.
    pub own: Vec<String>,
}

/// Numbers of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Distinct components.
    pub components: usize,
    /// Components with a finding.
    pub affected: usize,
    /// Findings.
    pub findings: usize,
    /// Of these, in the emergency lane.
    pub emergency: usize,
    /// Excluded by a trusted statement.
    pub not_affected: usize,
    /// Pairs of vulnerability and component that could not be told.
    pub unclear: usize,
    /// Components that were not assessed.
    pub unassessed: usize,
    /// Files and entries that could not be read.
    pub gaps: usize,
    /// Feeds that are stale, or were not read to their end.
    pub stale_feeds: usize,
    /// Everything was assessed.
    pub complete: bool,
}

/// Assesses an inventory and decides what to do.
#[must_use]
pub fn scan(inventory: &Inventory, index: &Index, frame: &Frame, now: Timestamp) -> Report {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut matcher = Matcher::new(index, frame.trusted.clone());
    let assessment = matcher.assess(inventory);
    let complete = assessment.is_complete() && inventory.gaps.is_empty();
    let (affected, others): (Vec<Match>, Vec<Match>) = assessment
        .matches
        .into_iter()
        .partition(|m| m.standing == Standing::Affected);
    let remedies = remedy::propose(&affected, &mut matcher);
    let newest = index.feeds().iter().filter_map(|feed| feed.date).max();
    let mut findings: Vec<Found> = affected
        .into_iter()
        .map(|found| {
            let known = index.known(found.ids.iter().map(String::as_str));
            let inputs = derive::inputs(
                &found,
                &known,
                &frame.setting,
                index.feeds(),
                today,
                frame.stale_after_days,
            );
            let decision = decide(inputs);
            let due = Clock::start(now, newest, &decision).due;
            let lane = lane::choose(&decision, due, now, &frame.plan);
            Found {
                found,
                decision,
                due,
                lane,
            }
        })
        .collect();
    findings.sort_by(urgency);
    let mut summary = Summary {
        components: assessment.components,
        unassessed: assessment.unassessed.len(),
        gaps: inventory.gaps.len(),
        complete,
        ..Summary::default()
    };
    summary.count(&findings, &others);
    let stale = |feed: &&Feed| {
        let old = feed
            .age_days(today)
            .is_some_and(|age| age > frame.stale_after_days);
        old && feed.records > 0
    };
    summary.stale_feeds = index.feeds().iter().filter(stale).count();
    Report {
        at: now,
        product: inventory.product.clone(),
        read: inventory.read.clone(),
        index: index.digest().to_owned(),
        feeds: index.feeds().to_vec(),
        summary,
        findings,
        others,
        unassessed: assessment.unassessed,
        gaps: inventory.gaps.clone(),
        notices: assessment.notices,
        remedies,
        own: inventory.own.clone(),
    }
}

/// The most urgent first; among equals the one that is more likely to be used.
fn urgency(a: &Found, b: &Found) -> std::cmp::Ordering {
    let key = |f: &Found| {
        let due = f.due.unwrap_or(Timestamp::MAX);
        (std::cmp::Reverse((f.lane, f.decision.priority)), due)
    };
    key(a)
        .cmp(&key(b))
        .then_with(|| b.decision.rank().cmp(&a.decision.rank()))
        .then_with(|| a.found.component.purl.cmp(&b.found.component.purl))
        .then_with(|| a.found.vulnerability.cmp(&b.found.vulnerability))
}

impl Summary {
    fn count(&mut self, findings: &[Found], others: &[Match]) {
        let mut hit: Vec<&str> = findings.iter().map(|f| &*f.found.component.purl).collect();
        hit.sort_unstable();
        hit.dedup();
        let excluded = |m: &&Match| matches!(m.standing, Standing::NotAffected { .. });
        let emergency = |f: &&Found| f.lane == Lane::Emergency;
        self.affected = hit.len();
        self.findings = findings.len();
        self.emergency = findings.iter().filter(emergency).count();
        self.not_affected = others.iter().filter(excluded).count();
        self.unclear = others.len() - self.not_affected;
    }

    /// Returns what was found in one sentence. "No findings" only when everything was
    /// assessed.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut text = match (self.findings, self.complete) {
            (0, true) if self.components == 0 => "Nothing to assess: no components.".to_owned(),
            (0, true) => format!("No findings: all {} components assessed.", self.components),
            (0, false) => "No findings in what was assessed, and not everything was:".to_owned(),
            (n, _) => format!(
                "{} in {} of {}, {} of them an emergency.",
                counted(n, "finding"),
                self.affected,
                counted(self.components, "component"),
                self.emergency
            ),
        };
        let mut parts = Vec::new();
        if self.unassessed > 0 {
            parts.push(format!(
                "{} not assessed",
                counted(self.unassessed, "component")
            ));
        }
        if self.unclear > 0 {
            parts.push(format!(
                "{} vulnerabilities that cannot be told",
                self.unclear
            ));
        }
        if self.gaps > 0 {
            parts.push(format!("{} files or entries not read", self.gaps));
        }
        if self.not_affected > 0 {
            parts.push(format!(
                "{} excluded by trusted statements",
                self.not_affected
            ));
        }
        if self.stale_feeds > 0 {
            parts.push(format!("{} feeds are stale", self.stale_feeds));
        }
        if !parts.is_empty() {
            text.push(' ');
            text.push_str(&parts.join(", "));
            text.push('.');
        }
        text
    }
}

#[cfg(test)]
mod tests;
