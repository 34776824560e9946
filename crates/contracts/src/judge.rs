//! What becomes of a tool that was seen.
//!
//! # Invariants
//!
//! * Pure: the contract so far, what was seen and the rules decide.
//! * What is in quarantine stays there until a person lets it out, whatever the server
//!   says next.
//! * Nothing is accepted by the rules that was not accepted once and is now more than a
//!   change that the rules accept.

use airside_base::Timestamp;

use crate::{
    Action, Class, Definition, Digest, Drift, Rules, drift,
    event::{Changed, Contract, Decided, Event, Hit, Key, Observed, State, Version},
    screened,
};

/// A tool, as a server lists it.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// What it says.
    pub definition: &'a Definition,
    /// Over the content of its views, where they were read.
    pub view: Option<Digest>,
    /// How it came to be listed, if its name is new.
    pub arrival: Arrival,
    /// How the very same definition stands with the gateway itself.
    pub elsewhere: Option<State>,
}

/// How a tool came to be listed that was not known by this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// With the server, which is seen for the first time.
    First,
    /// Later.
    Added,
    /// In the place of one that was the same but for its name.
    Renamed,
}

impl Sight<'_> {
    fn is(&self, version: Option<&Version>) -> bool {
        version.is_some_and(|version| {
            version.digest == self.definition.digest()
                && (self.view.is_none() || self.view == version.view)
        })
    }

    fn version(&self, hits: Vec<Hit>) -> Version {
        Version {
            digest: self.definition.digest(),
            definition: self.definition.text().to_string(),
            view: self.view,
            hits,
        }
    }
}

/// Returns what happens to the contract `key`; none if there is nothing new.
#[must_use]
pub fn judge(
    key: &Key,
    prior: Option<&Contract>,
    sight: &Sight<'_>,
    rules: &Rules,
    at: Timestamp,
) -> Option<Event> {
    let Some(prior) = prior else {
        return Some(Event::Observed(first(key, sight, rules, at)));
    };
    let known = match prior.state {
        State::Accepted => sight.is(prior.accepted.as_ref()),
        State::Held | State::Quarantined => sight.is(prior.newest()),
    };
    if known && !prior.removed {
        return None;
    }
    if prior.state == State::Held && sight.is(prior.accepted.as_ref()) {
        return Some(Event::Accepted(Decided {
            key: key.clone(),
            digest: sight.definition.digest(),
            by: None,
            reason: "the server says again what was accepted".to_owned(),
            at,
        }));
    }
    let version = sight.version(screen(sight.definition));
    let (classes, action) = match known {
        true => (Drift::from([Class::ToolAdded]), Action::Accept),
        false => compare(prior, sight, &version, rules),
    };
    let state = match (prior.state, prior.accepted.is_some()) {
        (_, _) if known => prior.state,
        (State::Quarantined, _) => State::Quarantined,
        (State::Held, false) => action.max(Action::Hold).into(),
        (State::Held | State::Accepted, _) => action.into(),
    };
    Some(Event::Changed(Changed {
        key: key.clone(),
        before: prior.accepted.as_ref().map(|version| version.digest),
        version: Some(version),
        classes,
        state,
        at,
    }))
}

fn first(key: &Key, sight: &Sight<'_>, rules: &Rules, at: Timestamp) -> Observed {
    let version = sight.version(screen(sight.definition));
    let mut classes = Drift::new();
    let mut action = match sight.arrival {
        Arrival::First => rules.first_sight(),
        Arrival::Added => {
            classes.insert(Class::ToolAdded);
            rules.of(Class::ToolAdded)
        }
        Arrival::Renamed => {
            classes.insert(Class::ToolRenamed);
            rules.of(Class::ToolRenamed)
        }
    };
    if !version.hits.is_empty() {
        classes.insert(Class::Instructions);
        action = action.max(rules.of(Class::Instructions));
    }
    Observed {
        key: key.clone(),
        version,
        classes,
        state: sight.elsewhere.unwrap_or(action.into()),
        at,
    }
}

/// In which ways a tool differs from what was accepted, and what is done about it.
fn compare(
    prior: &Contract,
    sight: &Sight<'_>,
    version: &Version,
    rules: &Rules,
) -> (Drift, Action) {
    let base = prior.accepted.as_ref().or(prior.offered.as_ref());
    let mut classes = Drift::new();
    if let Some(base) = base {
        if let Ok(before) = Definition::read(&base.definition) {
            classes = match prior.key.tool.is_empty() {
                true => drift::of_server(&before, sight.definition),
                false => drift::of_tool(&before, sight.definition),
            };
        }
        let known = |hit: &Hit| base.hits.iter().any(|old| same(old, hit));
        if !version.hits.iter().all(known) {
            classes.insert(Class::Instructions);
        }
        if sight.view.is_some() && sight.view != base.view {
            classes.insert(Class::View);
            // A view that was never read before has not changed.
            if base.view.is_none() && base.digest == version.digest {
                return (classes, Action::Accept);
            }
        }
    }
    let action = match prior.trusted.contains(&version.digest) {
        true => Action::Accept,
        false => rules.judge(&classes),
    };
    (classes, action)
}

fn same(old: &Hit, new: &Hit) -> bool {
    old.rule == new.rule && old.fingerprint == new.fingerprint
}

/// Returns what the screen finds in the texts of a definition.
fn screen(definition: &Definition) -> Vec<Hit> {
    screened(definition)
        .into_iter()
        .map(|hit| Hit {
            rule: hit.rule.to_owned(),
            place: hit.place,
            fingerprint: hit.fingerprint,
        })
        .collect()
}

/// Returns what is written when a tool is gone; none if that is known.
#[must_use]
pub fn gone(prior: &Contract, at: Timestamp) -> Option<Event> {
    (!prior.removed).then(|| {
        Event::Changed(Changed {
            key: prior.key.clone(),
            before: prior.accepted.as_ref().map(|version| version.digest),
            version: None,
            classes: Drift::from([Class::ToolRemoved]),
            state: prior.state,
            at,
        })
    })
}

#[cfg(test)]
mod tests;
