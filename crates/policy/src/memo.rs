//! Remembered decisions of one engine.
//!
//! # Why this is sound
//!
//! A decision is a function of the policies and the facts. An engine never
//! changes its policies (a new configuration makes new engines), and the key here
//! is all of the facts that can matter, written so that different facts have
//! different keys. The exhaustive destructuring in [`Key::of`] forces whoever adds a
//! fact to decide whether it enters.
//!
//! Of the circumstances of a call, those enter that a policy of this part reads
//! ([`Reads`]). What does not come again, or what a client can invent (the instant,
//! arguments), is not remembered where it is read: such a decision is made each time.
//!
//! The name of a tool, resource or prompt can matter only where a policy names one
//! ([`Names::Matter`]): Cedar has no operation that reads an id, so two entities
//! with equal attributes and parents are told apart by comparison with a literal
//! and by nothing else.
//!
//! # Invariants
//!
//! * Bounded: up to [`CAPACITY`] decisions; then all is forgotten and begins anew.
//! * What a client can invent (unknown tools, URIs, prompt names) takes no room:
//!   either its name does not matter, or it is decided each time.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use crate::{
    Circumstances, Facts, Principal, Risk, Standing, Target, ToolTraits, permit::Verdict,
    reads::Reads,
};

/// Most decisions remembered by one engine: some 200 bytes each.
const CAPACITY: usize = 4096;

/// Whether a decision can depend on the name of a tool, resource or prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// A policy names one.
    Matter,
    /// No policy does.
    AreAlike,
}

/// What a key is made for.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Decides which names are told apart.
    pub(crate) names: Names,
    /// What of the circumstances the policies read.
    pub(crate) reads: &'a Reads,
    /// Date, weekday, hour and minute of the facts; asked for only where they are read.
    pub(crate) calendar: &'a dyn Fn(&Circumstances<'_>) -> [i64; 4],
    /// Tells questions of different sort about the same facts apart.
    pub(crate) sort: u8,
}

#[derive(Debug, Default)]
pub(crate) struct Memo {
    verdicts: RwLock<HashMap<Key, Verdict>>,
}

impl Memo {
    /// Returns the remembered decision, or makes and remembers it.
    pub(crate) fn recall(
        &self,
        facts: &Facts<'_>,
        scope: Scope<'_>,
        decide: impl FnOnce() -> Verdict,
    ) -> Verdict {
        let Some(key) = Key::of(facts, scope) else {
            return decide();
        };
        // A poisoned map is still right: entries are inserted whole.
        let known = self.verdicts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = known.get(&key) {
            return verdict.clone();
        }
        drop(known);
        let verdict = decide();
        let mut known = self
            .verdicts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(key, verdict.clone());
        verdict
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.verdicts.read().unwrap().len()
    }
}

/// All facts that can matter, as bytes. Texts carry their length, so no two share a
/// key.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key(Vec<u8>);

impl Key {
    fn of(facts: &Facts<'_>, scope: Scope<'_>) -> Option<Self> {
        let Facts {
            principal,
            action,
            target,
            context,
        } = facts;
        let Principal {
            kind,
            id,
            tenant,
            attestation,
            groups,
            scopes,
            client,
            issuer,
        } = principal;
        let mut key = Self(Vec::with_capacity(256));
        key.byte(scope.sort);
        key.byte(*action as u8);
        let name = match target {
            Target::Server => {
                key.byte(0);
                None
            }
            Target::Tool {
                name,
                traits,
                standing,
            } => {
                key.byte(1);
                key.traits(*traits);
                key.standing(standing);
                Some((name, traits.known))
            }
            Target::Resource { uri, standing } => {
                key.byte(2);
                key.standing(standing);
                Some((uri, false))
            }
            Target::Prompt { name, standing } => {
                key.byte(3);
                key.standing(standing);
                Some((name, false))
            }
        };
        match (scope.names, name) {
            (Names::AreAlike, _) | (Names::Matter, None) => {}
            (Names::Matter, Some((name, true))) => key.text(name),
            (Names::Matter, Some((_, false))) => return None,
        }
        key.circumstances(context, scope)?;
        key.byte(*attestation);
        key.text(kind);
        key.text(id);
        key.text(tenant.as_str());
        key.texts(groups);
        key.texts(scopes);
        for text in [client, issuer] {
            key.byte(u8::from(text.is_some()));
            key.text(text.unwrap_or_default());
        }
        Some(key)
    }

    /// Adds what of the circumstances is read; none if that makes the question one
    /// that is not worth remembering.
    fn circumstances(&mut self, context: &Circumstances<'_>, scope: Scope<'_>) -> Option<()> {
        let Circumstances {
            at: _,
            region,
            arguments,
            risk,
            intent,
            consent,
        } = context;
        let reads = scope.reads;
        let argued = arguments.iter().any(|own| reads.argument(&own.name));
        if reads.instant() || argued {
            return None;
        }
        self.byte(consent.map_or(0, |asked| 1 + asked as u8));
        if reads.calendar() {
            for number in (scope.calendar)(context) {
                self.0.extend_from_slice(&number.to_le_bytes());
            }
        }
        if reads.region() {
            self.text(region);
        }
        let risk = if reads.risk() { *risk } else { Risk::NONE };
        self.byte(risk.bits());
        if reads.intent() {
            self.byte(*intent as u8);
        }
        Some(())
    }

    fn standing(&mut self, standing: &Standing<'_>) {
        let Standing {
            contract,
            labels,
            sensitivity,
        } = standing;
        self.byte(*contract as u8);
        self.byte(*sensitivity);
        self.texts(labels);
    }

    fn texts(&mut self, texts: &[String]) {
        self.0.extend_from_slice(&texts.len().to_le_bytes());
        texts.iter().for_each(|text| self.text(text));
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(&text.len().to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn traits(&mut self, traits: ToolTraits) {
        let ToolTraits {
            known,
            read_only,
            destructive,
            idempotent,
            open_world,
        } = traits;
        let bits = [known, read_only, destructive, idempotent, open_world];
        self.byte(bits.iter().fold(0, |bits, bit| bits << 1 | u8::from(*bit)));
    }
}

#[cfg(test)]
mod tests;
