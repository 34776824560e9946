//! What is in a text that should not be there: payment card numbers, secrets, personal
//! data, hidden characters, text that instructs a model, and payloads.
//!
//! [`text()`] reads one text, [`arguments`] and [`definition`] read the texts of a JSON
//! value. What is found is a [`Hit`]: a [`Rule`] and a place, never the text itself.
//!
//! # Invariants
//!
//! * Pure: no clock, no IO, no state. The same text gives the same hits.
//! * The work is linear in the length of the text: texts are scanned with automata that
//!   do not go back, and what is decoded out of a text is never longer than it.
//! * Text is read as a model may read it: escapes, entities, percent-encoding, base64 and
//!   hexadecimal are undone, characters are folded to what they look like, and what is
//!   invisible is taken out. Every hit is told in positions of the original text.
//! * Rules about instructions are telemetry and a reason to ask. They are not a boundary:
//!   whoever knows them can write around them.

pub mod card;
mod fold;
mod hidden;
mod personal;
mod phrase;
mod rule;
mod secret;
pub mod terminal;
mod text;
mod value;
mod view;

pub use rule::{Group, Groups, Hit, RULES, Rule, THRESHOLD};
pub use text::{prepare, text};
pub use value::{Found, arguments, definition};
