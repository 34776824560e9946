//! One text, read in all its views.

use std::{cell::OnceCell, collections::BTreeMap, ops::Range};

use crate::{
    card::{self, About},
    hidden, personal, phrase,
    rule::{Group, Groups, Hit, Rule, THRESHOLD},
    secret,
    view::{self, Traits, View},
};

/// Weight of what counts by itself.
const SURE: u8 = THRESHOLD;

/// Returns what the rules of `groups` find in `text`, in the order of places.
///
/// Instructions and payloads are told only where the weights of different rules make up
/// [`THRESHOLD`]. `about_cards` says where somebody speaks about payment cards outside of
/// the text; it is asked only where that decides.
#[must_use]
pub fn text(text: &str, groups: Groups, about_cards: &dyn Fn() -> About) -> Vec<Hit> {
    let traits = Traits::of(text);
    // Asked once, however many numbers there are.
    let about = OnceCell::new();
    let ask = || about_cards().max(About::somewhere(card::is_about_cards(text)));
    let mut reader = Reader {
        groups,
        about_cards: &|| *about.get_or_init(ask),
        hits: Vec::new(),
        phrases: Vec::new(),
    };
    if traits.beyond_ascii || traits.control {
        reader.hidden(text);
    }
    reader.read(&View::of(text), traits.digits);
    if !traits.is_plain() {
        view::others(text, traits, |view| {
            reader.read(view, view.text.bytes().filter(u8::is_ascii_digit).count());
        });
    }
    reader.finish()
}

/// Compiles all rules now, which the first text would wait for otherwise: tens of
/// milliseconds.
pub fn prepare() {
    phrase::prepare();
    secret::prepare();
    personal::prepare();
}

struct Reader<'a> {
    groups: Groups,
    about_cards: &'a dyn Fn() -> About,
    hits: Vec<Hit>,
    phrases: Vec<Hit>,
}

impl Reader<'_> {
    fn hidden(&mut self, text: &str) {
        if self.groups.has(Group::Hidden) {
            hidden::find(text, |rule, span| self.hits.push(sure(rule, span)));
        }
        if let Some(view) = hidden::spelled(text) {
            self.read(&view, view.text.len());
        }
    }

    /// Reads one view, which has `digits` digits at most.
    fn read(&mut self, view: &View<'_>, digits: usize) {
        let text = &*view.text;
        let hits = &mut self.hits;
        if self.groups.has(Group::Card) && digits >= *card::DIGITS.start() {
            card::find(text, self.about_cards, |span| {
                hits.push(sure(&card::NUMBER, view.origin(span)));
            });
        }
        if self.groups.has(Group::Secret) {
            secret::find(text, |rule, span| hits.push(sure(rule, view.origin(span))));
        }
        if self.groups.has(Group::Personal) {
            personal::find(text, |rule, span| hits.push(sure(rule, view.origin(span))));
        }
        if !self.groups.has(Group::Instruction) && !self.groups.has(Group::Payload) {
            return;
        }
        phrase::find(text, |rule, weight, span| {
            if self.groups.has(rule.group) {
                let span = view.origin(span);
                self.phrases.push(Hit { rule, weight, span });
            }
        });
    }

    fn finish(mut self) -> Vec<Hit> {
        if score(&self.phrases) >= u32::from(THRESHOLD) {
            self.hits.append(&mut self.phrases);
        }
        let mut hits = self.hits;
        hits.sort_by_key(|hit| (hit.span.start, hit.rule.id, hit.span.end));
        // What several views show is one place.
        hits.dedup_by(|next, kept| {
            let same = next.rule == kept.rule && next.span.start < kept.span.end.max(1);
            if same {
                kept.span.end = kept.span.end.max(next.span.end);
                kept.weight = kept.weight.max(next.weight);
            }
            same
        });
        hits
    }
}

fn sure(rule: &'static Rule, span: Range<usize>) -> Hit {
    Hit {
        rule,
        weight: SURE,
        span,
    }
}

/// Returns the sum of weights, each rule counted once with its heaviest hit.
fn score(hits: &[Hit]) -> u32 {
    let mut heaviest = BTreeMap::new();
    for hit in hits {
        let weight = heaviest.entry(hit.rule.id).or_default();
        *weight = hit.weight.max(*weight);
    }
    heaviest.into_values().map(u32::from).sum()
}

#[cfg(test)]
mod tests;
