//! Reads one message by the rules that apply to it.
//!
//! # Invariants
//!
//! * What is found leaves here as a rule, a place and a fingerprint, never as text.
//! * Edits touch the characters that were found and nothing else.

use std::{borrow::Cow, cell::Cell, ops::Range};

use airside_screen::{
    self as screen, Group, Hit,
    card::{self, About, Neighbours},
};

use crate::{
    config::Action,
    found::{Finding, Findings, FingerprintKey},
    leaf::{self, Leaf, Lexer, Spoken},
    plan::Plan,
};

/// Shortest text that can hold anything.
const SHORTEST: usize = 3;
/// How much of a string that is read in parts is read twice, so that what lies across
/// two parts is found. The longest is a private key of 8192 bits (6.3 KiB).
const OVERLAP: usize = 8 << 10;
/// How much is kept back for numbers that are spread over neighbours.
const KEPT_BACK: usize = 4 << 10;
/// Longest text that a classifier is given of one message.
const MAX_SAMPLE: usize = 16 << 10;

/// An edit of the bytes that are being read.
pub(crate) type Edit = (Range<usize>, Cow<'static, str>);

/// Marks around texts of a server.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    pub(crate) begin: String,
    pub(crate) end: String,
}

/// What is being read.
#[derive(Debug)]
pub(crate) struct Reader {
    plan: Plan,
    key: FingerprintKey,
    marks: Option<Marks>,
    lexer: Lexer,
    /// The first byte that was not read.
    at: usize,
    /// For each open container, what may be parts of a number.
    neighbours: Vec<Neighbourhood>,
    edits: Vec<Edit>,
    /// Whether the message speaks about cards, as far as it has been read.
    about_cards: Topic,
    /// Text for a classifier, where one is asked.
    pub(crate) sample: Option<String>,
    pub(crate) findings: Findings,
    /// The first rule whose action is to block.
    pub(crate) blocked_by: Option<&'static screen::Rule>,
}

/// Whether a message speaks about cards. It is asked of the bytes once, however many
/// numbers stand in them, and stays true when more bytes come.
#[derive(Debug, Default)]
struct Topic(Cell<Option<bool>>);

impl Topic {
    /// More bytes have come: what was not in those before may be in them.
    fn forget(&self) {
        if self.0.get() == Some(false) {
            self.0.set(None);
        }
    }

    /// Returns where `bytes` speak about cards, for what stands at the place of `lexer`.
    fn ask(&self, bytes: &[u8], lexer: &Lexer) -> About {
        if lexer.keys().flatten().any(card::is_about_cards) {
            return About::Here;
        }
        let asked = self.0.get().unwrap_or_else(|| card::is_about_cards(bytes));
        self.0.set(Some(asked));
        About::somewhere(asked)
    }
}

#[derive(Debug, Default)]
struct Neighbourhood {
    numbers: Neighbours,
    /// Where the pieces stand, and whether they are strings.
    places: Vec<(Range<usize>, bool)>,
}

impl Reader {
    pub(crate) fn new(plan: Plan, key: FingerprintKey) -> Self {
        Self {
            plan,
            key,
            marks: None,
            lexer: Lexer::default(),
            at: 0,
            neighbours: Vec::new(),
            edits: Vec::new(),
            about_cards: Topic::default(),
            sample: None,
            findings: Findings::default(),
            blocked_by: None,
        }
    }

    /// Puts `marks` around texts of results.
    pub(crate) fn with_marks(mut self, marks: Option<Marks>) -> Self {
        self.marks = marks;
        self
    }

    /// Reads messages that are no JSON as one text.
    pub(crate) fn of_text(mut self) -> Self {
        self.lexer = Lexer::of_text();
        self
    }

    /// Begins another message with the same rules.
    pub(crate) fn again(&mut self) {
        self.lexer = self.lexer.again();
        self.at = 0;
        self.neighbours.clear();
        self.edits.clear();
        self.about_cards = Topic::default();
        if let Some(sample) = &mut self.sample {
            sample.clear();
        }
    }

    /// Reads a whole message. Returns its edits, in order.
    pub(crate) fn read_all(&mut self, bytes: &[u8]) -> Vec<Edit> {
        self.read(bytes, true);
        in_order(std::mem::take(&mut self.edits))
    }

    /// Reads what there is of a message and returns how many bytes are done with, and
    /// the edits in them. What is not done with has to be there again the next time, at
    /// the beginning.
    pub(crate) fn read_part(&mut self, bytes: &[u8], all: bool) -> (usize, Vec<Edit>) {
        self.read(bytes, all);
        if !all && self.at + OVERLAP < bytes.len() / 2 {
            self.read_inside(bytes);
        }
        let mut done = if all { bytes.len() } else { self.at };
        let waiting = self.neighbours.iter().flat_map(|near| near.places.first());
        for (place, _) in waiting {
            if !all && place.start < done && done - place.start < KEPT_BACK {
                done = place.start;
            }
        }
        let edits = in_order(std::mem::take(&mut self.edits));
        let straddles = |edit: &&Edit| edit.0.start < done && done < edit.0.end;
        if let Some(edit) = edits.iter().find(straddles) {
            done = edit.0.start;
        }
        let (now, later): (Vec<_>, Vec<_>) = edits.into_iter().partition(|edit| edit.0.end <= done);
        let back = |range: Range<usize>| range.start - done..range.end - done;
        self.edits = later
            .into_iter()
            .map(|(range, text)| (back(range), text))
            .collect();
        self.at = self.at.saturating_sub(done);
        for near in &mut self.neighbours {
            if near.places.iter().any(|(place, _)| place.start < done) {
                *near = Neighbourhood::default();
            }
            for (place, _) in &mut near.places {
                *place = back(place.clone());
            }
        }
        (done, now)
    }

    fn read(&mut self, bytes: &[u8], all: bool) {
        self.about_cards.forget();
        while let Some(leaf) = {
            let began = self.lexer.is_inside();
            let leaf = self.lexer.next(bytes, &mut self.at, all);
            leaf.map(|leaf| (leaf, began))
        } {
            match leaf {
                (Leaf::Open, _) => {
                    let depth = self.lexer.depth();
                    if self.neighbours.len() < depth && depth <= 128 {
                        self.neighbours.push(Neighbourhood::default());
                    } else if let Some(near) = self.neighbours.get_mut(depth - 1) {
                        *near = Neighbourhood::default();
                    }
                }
                (Leaf::Close, _) => {
                    if let Some(near) = self.neighbours.get_mut(self.lexer.depth()) {
                        near.places.clear();
                        near.numbers = Neighbours::new();
                    }
                }
                (Leaf::Key(range), _) => {
                    let before = self.findings.count();
                    self.text(bytes, range, usize::MAX);
                    if self.findings.count() > before {
                        self.lexer.hide_key();
                    }
                }
                (Leaf::Text(range), began) => {
                    self.mark(&range, !began, true);
                    self.text(bytes, range.clone(), usize::MAX);
                    self.piece(bytes, range, true);
                }
                (Leaf::Number(range), _) => self.number(bytes, range),
            }
        }
    }

    /// Reads a part of a string that is longer than what is held.
    fn read_inside(&mut self, bytes: &[u8]) {
        let began = self.lexer.is_inside();
        if !began && matches!(bytes[self.at], b'-' | b'0'..=b'9') {
            // A number of thousands of digits: no card has them, and nobody reads it.
            self.at = bytes.len();
            return;
        }
        let quoted = began || bytes[self.at] == b'"';
        let start = self.at + usize::from(!began && quoted);
        let limit = leaf::cut(bytes, start, bytes.len());
        let cut = leaf::cut(bytes, start, limit.saturating_sub(OVERLAP).max(start));
        self.mark(&(start..cut), !began, false);
        let end = self.text(bytes, start..limit, cut);
        if quoted {
            self.lexer.stay_inside();
        }
        self.at = end.max(cut);
    }

    fn mark(&mut self, range: &Range<usize>, begins: bool, ends: bool) {
        let Some(marks) = &self.marks else { return };
        let mut path = [None; 5];
        let keys = self.lexer.keys();
        let mut len = 0;
        for (slot, key) in path.iter_mut().zip(keys) {
            *slot = key;
            len += 1;
        }
        let is_content = match &path[..len] {
            [
                Some("result"),
                Some("content" | "contents"),
                None,
                Some("text"),
            ] => true,
            [
                Some("result"),
                Some("content"),
                None,
                Some("resource"),
                Some("text"),
            ] => self.lexer.depth() == len,
            _ => false,
        };
        if !is_content || self.lexer.depth() != len {
            return;
        }
        let quoted = |text: &str| {
            let quoted = serde_json::Value::from(text).to_string();
            Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
        };
        if begins {
            self.edits
                .push((range.start..range.start, quoted(&marks.begin)));
        }
        if ends {
            self.edits.push((range.end..range.end, quoted(&marks.end)));
        }
    }

    /// Reads a text of which what begins before `before` is told. Returns the end of the
    /// last edit.
    fn text(&mut self, bytes: &[u8], range: Range<usize>, before: usize) -> usize {
        if range.len() < SHORTEST {
            return range.end;
        }
        let spoken = Spoken::read(&bytes[range.clone()]);
        if let Some(sample) = &mut self.sample
            && sample.len() + spoken.text.len() <= MAX_SAMPLE
        {
            sample.push_str(&spoken.text);
            sample.push('\n');
        }
        let about_cards = || self.about_cards.ask(bytes, &self.lexer);
        let hits = screen::text(&spoken.text, self.plan.groups(), &about_cards);
        let mut end = 0;
        for hit in hits {
            let place = spoken.place(&hit.span);
            let place = range.start + place.start..range.start + place.end;
            if place.start < before {
                let text = &spoken.text[hit.span.clone()];
                if self.found(&hit, text, place.clone(), true) {
                    end = end.max(place.end);
                }
            }
        }
        end
    }

    /// Takes note of a hit. Returns whether it is edited.
    fn found(&mut self, hit: &Hit, text: &str, place: Range<usize>, is_text: bool) -> bool {
        let action = self.plan.action(hit.rule);
        if action == Action::Allow {
            return false;
        }
        self.findings.push(|| Finding {
            rule: hit.rule.id,
            action,
            place: self.lexer.pointer(),
            fingerprint: self.key.fingerprint(hit.rule.group, text),
        });
        if action == Action::Block {
            self.blocked_by = self.blocked_by.or(Some(hit.rule));
        }
        if action == Action::Redact {
            self.edits
                .push((place, replacement(hit.rule.group, is_text)));
        }
        action == Action::Redact
    }

    /// Takes note that a classifier takes the message for instructions. Returns whether
    /// it is not to be passed on: there is no place in it that could be taken out.
    pub(crate) fn classified(&mut self, rule: &'static screen::Rule) -> bool {
        let action = match self.plan.action(rule) {
            Action::Redact => Action::Block,
            action => action,
        };
        if action != Action::Allow {
            self.note_whole(rule, action);
        }
        action == Action::Block
    }

    /// Takes note that a classifier gave no score.
    pub(crate) fn unclassified(&mut self, rule: &'static screen::Rule, blocks: bool) {
        self.note_whole(rule, if blocks { Action::Block } else { Action::Flag });
    }

    fn note_whole(&mut self, rule: &'static screen::Rule, action: Action) {
        let sample = self.sample.as_deref().unwrap_or_default();
        self.findings.push(|| Finding {
            rule: rule.id,
            action,
            place: String::new(),
            fingerprint: self.key.fingerprint(rule.group, sample),
        });
    }

    fn number(&mut self, bytes: &[u8], range: Range<usize>) {
        let Ok(text) = std::str::from_utf8(&bytes[range.clone()]) else {
            return;
        };
        if range.len() >= 12 && self.plan.groups().has(Group::Card) {
            let about_cards = || self.about_cards.ask(bytes, &self.lexer);
            let cards = screen::Groups::NONE.with(Group::Card);
            let hits = screen::text(text, cards, &about_cards);
            for hit in hits {
                self.found(&hit, text, range.clone(), false);
            }
        }
        self.piece(bytes, range, false);
    }

    /// Reads a text or number beside its neighbours.
    fn piece(&mut self, bytes: &[u8], range: Range<usize>, is_text: bool) {
        if range.len() > 15 || !self.plan.groups().has(Group::Card) {
            return;
        }
        let Ok(text) = std::str::from_utf8(&bytes[range.clone()]) else {
            return;
        };
        if !Neighbours::is_piece(text) {
            return;
        }
        let depth = self.lexer.depth();
        let Some(near) = depth
            .checked_sub(1)
            .and_then(|at| self.neighbours.get_mut(at))
        else {
            return;
        };
        near.places.push((range, is_text));
        let about_cards = || self.about_cards.ask(bytes, &self.lexer);
        let key = self.lexer.keys().last().flatten().unwrap_or_default();
        let Some(count) = near.numbers.push(text, is_text, key, &about_cards) else {
            let old = near.places.len().saturating_sub(19);
            near.places.drain(..old);
            return;
        };
        let places = std::mem::take(&mut near.places);
        let number: Vec<u8> = places[places.len() - count..]
            .iter()
            .flat_map(|(place, _)| bytes[place.clone()].iter().copied())
            .collect();
        let number = String::from_utf8_lossy(&number).into_owned();
        for (place, is_text) in places.into_iter().rev().take(count) {
            let hit = Hit {
                rule: &card::NUMBER,
                weight: screen::THRESHOLD,
                span: 0..0,
            };
            self.found(&hit, &number, place, is_text);
        }
    }
}

/// What stands in the place of something that was taken out.
fn replacement(group: Group, is_text: bool) -> Cow<'static, str> {
    Cow::Borrowed(match (group, is_text) {
        (Group::Card, true) => "[redacted: card]",
        (Group::Card, false) => "\"[redacted: card]\"",
        (Group::Secret, _) => "[redacted: secret]",
        (Group::Personal, _) => "[redacted: personal]",
        (Group::Hidden, _) => "",
        (Group::Instruction, _) => "[redacted: instruction]",
        (Group::Payload, _) => "[redacted: payload]",
    })
}

/// Sorts edits, and makes one of those that overlap.
fn in_order(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    edits.dedup_by(|next, kept| {
        let overlaps = next.0.start < kept.0.end;
        if overlaps {
            kept.0.end = kept.0.end.max(next.0.end);
        }
        overlaps
    });
    edits
}
