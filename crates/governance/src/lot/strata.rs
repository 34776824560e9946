//! Which changes are all reviewed, which can be drawn, and which of these are.
//!
//! # Invariants
//!
//! * Pure. The order in which changes are given does not matter.
//! * What is not known counts as risky: a change without a score is reviewed.

use std::collections::{BTreeMap, BTreeSet};

use airside_base::Timestamp;

use super::{
    Change, Draw, Error, Exclusion, Identity, Item, Key, Lot, MAX_CHANGES, Stratum, Tables,
    statement::{limit, threshold},
};

/// Refuses changes that do not belong to `lot`, and planted ones that do.
pub(super) fn check_changes(
    lot: &Lot,
    changes: &[Change],
    planted: &[Identity],
) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    let refuse = |identity: &Identity, reason| {
        let commit = identity.commit.chars().take(64).collect();
        Err(Error::Change { commit, reason })
    };
    for change in changes {
        let identity = &change.identity;
        if identity.repository != lot.plan.repository {
            return refuse(identity, "it is of another repository");
        }
        // Otherwise whoever chose the key could have known what it draws.
        // Commits carry whole seconds.
        if change.merged.as_second() < lot.opened.as_second() {
            return refuse(identity, "it was merged before the lot was opened");
        }
        if change.merged >= lot.plan.until {
            return refuse(identity, "it was merged after the end of the lot");
        }
        if !seen.insert(identity.id()) {
            return refuse(identity, "it is listed twice");
        }
    }
    for identity in planted {
        if !seen.insert(identity.id()) {
            return refuse(identity, "a planted change is not one of the lot");
        }
    }
    Ok(())
}

/// Returns why every change like this one is reviewed; nothing if it can be drawn.
pub(super) fn reasons(lot: &Lot, change: &Change) -> Vec<String> {
    let mut why = Vec::new();
    match &change.risk {
        None => why.push("no score".to_owned()),
        Some(risk) => {
            let threshold = threshold(lot);
            if risk.score >= threshold {
                why.push(format!("score {} of {threshold}", risk.score));
            }
            why.extend(risk.triggers.iter().cloned());
        }
    }
    let areas = change.areas.iter().filter(|area| lot.areas.contains(*area));
    why.extend(areas.map(|area| format!("{area} is under tightened review")));
    why
}

/// Returns whether the plan leaves the change out.
pub(super) fn is_excluded(lot: &Lot, change: &Change) -> bool {
    let is_named = |exclusion: Exclusion| lot.plan.exclude.contains(&exclusion);
    change.exclusion.is_some_and(is_named)
}

/// Draws the sample of `lot`.
///
/// # Errors
///
/// [`Error::TooMany`].
pub(super) fn drawn(
    lot: &Lot,
    key: &Key,
    beacon: String,
    (changes, planted): (&[Change], Vec<Identity>),
    now: Timestamp,
) -> Result<Draw, Error> {
    let (excluded, rest): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| is_excluded(lot, change));
    let mut mandatory: BTreeMap<String, Item> = BTreeMap::new();
    let mut random: BTreeMap<String, &Change> = BTreeMap::new();
    for change in rest {
        let (id, why) = (change.identity.id(), reasons(lot, change));
        if why.is_empty() {
            random.insert(id, change);
        } else {
            let areas = change.areas.clone();
            let item = Item {
                why,
                ..item(&id, &change.identity, areas, Stratum::Mandatory)
            };
            mandatory.insert(id, item);
        }
    }
    if random.len() > MAX_CHANGES || mandatory.len() + planted.len() > MAX_CHANGES {
        return Err(Error::TooMany);
    }
    let population: Vec<String> = random.keys().cloned().collect();
    let tables = Tables::up_to(population.len());
    let size = tables.size(population.len(), limit(lot), lot.plan.accept, 0.05);
    let mut tags = Vec::new();
    let mut sample: BTreeMap<String, Item> = BTreeMap::new();
    for identity in planted {
        let id = identity.id();
        tags.push(key.planted(&beacon, &id));
        let item = item(&id, &identity, Vec::new(), Stratum::Sample);
        sample.insert(id, item);
    }
    tags.sort_unstable();
    for id in key.draw(&beacon, &population, size) {
        let change = random[&id];
        let item = item(&id, &change.identity, change.areas.clone(), Stratum::Sample);
        sample.insert(id, item);
    }
    let order = key.shuffle(&beacon, sample.keys().cloned().collect());
    let sample = order.iter().filter_map(|id| sample.remove(id));
    let items = mandatory.into_values().chain(sample).collect();
    let wait = jiff::SignedDuration::from_hours(24 * i64::from(lot.plan.due_days));
    Ok(Draw {
        at: now,
        plan_digest: lot.plan.digest(),
        beacon,
        population,
        size,
        excluded: excluded.len(),
        items,
        planted: tags,
        due: now + wait,
    })
}

fn item(id: &str, change: &Identity, areas: Vec<String>, stratum: Stratum) -> Item {
    Item {
        id: id.to_owned(),
        change: change.clone(),
        areas,
        stratum,
        why: Vec::new(),
        verdicts: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
