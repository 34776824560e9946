//! What to change, grouped: one proposed change of each server that ends its findings.
//!
//! # Invariants
//!
//! * A function of the state: the same entries give the same plan.
//! * Every finding that is open is in it once: in a step, among those that no version
//!   ends, or counted as taken on.
//! * A change is made in the most urgent lane of what is in it and, in a window, in the
//!   earliest of its windows, which each of its findings can live with.

use std::{cmp::Reverse, collections::BTreeMap};

use airside_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    decision::lane::Lane,
    event::Judged,
    remedy::How,
    state::{Finding, State},
};

/// One proposed change of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The server.
    pub server: String,
    /// Its version, as it is deployed.
    pub version: String,
    /// Where it runs.
    pub region: String,
    /// When to make the change.
    pub lane: Lane,
    /// The earliest deadline of what is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Seconds between the end of the window and that deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare_s: Option<i64>,
    /// Upgrades, the most urgent first.
    pub steps: Vec<Step>,
    /// Findings that no known version ends.
    pub without_fix: Vec<Left>,
    /// Findings that a person has taken on for now.
    pub taken_on: usize,
}

/// One upgrade of one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Package URL without version.
    pub package: String,
    /// The deployed version.
    pub from: String,
    /// The smallest version that ends all of `closes`.
    pub to: String,
    /// How it can be taken.
    pub how: How,
    /// The lane of the most urgent of them.
    pub lane: Lane,
    /// What it ends.
    pub closes: Vec<Left>,
}

/// A finding in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Its id.
    pub finding: String,
    /// The vulnerability.
    pub vulnerability: String,
    /// Package URL without version.
    pub package: String,
    /// The deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Until when attackers have to be kept away, where no fix is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigate_by: Option<Timestamp>,
    /// What keeps attackers away meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<String>,
}

impl Left {
    fn of(judged: &Judged) -> Self {
        Self {
            finding: judged.id.clone(),
            vulnerability: judged.vulnerability.clone(),
            package: judged.package.clone(),
            due: judged.clock.due,
            mitigate_by: judged.clock.mitigate_by,
            mitigation: judged.clock.mitigation.as_ref().map(|m| m.words()),
        }
    }
}

/// Proposes one change for every server with open findings, the most urgent first.
#[must_use]
pub fn plan(state: &State, now: Timestamp) -> Vec<Change> {
    let mut by_server: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    // In the order of urgency, which each group keeps.
    for finding in state.open() {
        by_server
            .entry(&finding.judged.server)
            .or_default()
            .push(finding);
    }
    let mut changes: Vec<Change> = by_server
        .into_iter()
        .map(|(server, findings)| change(server, &findings, state, now))
        .collect();
    changes.sort_by_key(|change| {
        let due = change.due.unwrap_or(Timestamp::MAX);
        let urgency = Reverse(change.lane);
        (change.steps.is_empty(), urgency, due, change.server.clone())
    });
    changes
}

fn change(server: &str, findings: &[&Finding], state: &State, now: Timestamp) -> Change {
    let (taken_on, due): (Vec<&Finding>, Vec<&Finding>) = findings
        .iter()
        .copied()
        .partition(|finding| finding.excepted(now).is_some());
    let mut steps: Vec<Step> = Vec::new();
    let mut without_fix = Vec::new();
    for finding in &due {
        let judged = &finding.judged;
        let mut ends = judged.upgrades.iter().peekable();
        // One deployed copy that cannot be fixed keeps the finding open.
        if ends.peek().is_none() || judged.upgrades.iter().any(|one| one.to.is_none()) {
            without_fix.push(Left::of(judged));
        }
        for upgrade in ends {
            let Some(to) = &upgrade.to else { continue };
            let known = steps.iter_mut().find(|step| {
                (&step.package, &step.from, &step.to) == (&judged.package, &upgrade.from, to)
            });
            match known {
                Some(step) => {
                    step.how = step.how.max(upgrade.how);
                    step.lane = step.lane.max(judged.lane);
                    step.closes.push(Left::of(judged));
                }
                None => steps.push(Step {
                    package: judged.package.clone(),
                    from: upgrade.from.clone(),
                    to: to.clone(),
                    how: upgrade.how,
                    lane: judged.lane,
                    closes: vec![Left::of(judged)],
                }),
            }
        }
    }
    let lanes = due.iter().map(|finding| finding.judged.lane);
    let lane = lanes.reduce(Lane::max).unwrap_or(Lane::NextUpgrade);
    let first = due.iter().filter_map(|finding| finding.judged.clock.due);
    let first = first.min();
    let spare_s = match (lane, first) {
        (Lane::Window { end, .. }, Some(due)) => Some(due.as_second() - end.as_second()),
        _ => None,
    };
    let deployed = state.servers.get(server);
    Change {
        server: server.to_owned(),
        version: deployed.map_or(String::new(), |server| server.version.clone()),
        region: deployed.map_or(String::new(), |server| server.region.clone()),
        lane,
        due: first,
        spare_s,
        steps,
        without_fix,
        taken_on: taken_on.len(),
    }
}

#[cfg(test)]
mod tests;
