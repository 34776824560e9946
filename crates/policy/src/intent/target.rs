//! Whether words name where a call leads: addresses, web addresses, accounts.

use super::{Argued, Gap, Word, spaced};

/// Words in names of members that hold what a message says.
const CONTENT: [&str; 12] = [
    "body",
    "text",
    "message",
    "content",
    "contents",
    "description",
    "note",
    "notes",
    "subject",
    "title",
    "summary",
    "comment",
];

/// Words in names of members that hold where something goes.
const DESTINATION: [&str; 14] = [
    "to",
    "cc",
    "bcc",
    "recipient",
    "recipients",
    "account",
    "iban",
    "payee",
    "beneficiary",
    "phone",
    "webhook",
    "callback",
    "destination",
    "address",
];

/// Most words besides addresses that make names and not a sentence.
const NAME_WORDS: usize = 4;

/// What of `values` that leads elsewhere is not in `words`.
///
/// An address within the prose of a message is what the message says, not where it
/// goes, if the call says elsewhere where it goes and the user has said so too.
pub(super) fn gap(words: &str, values: &[Argued<'_>]) -> Option<Gap> {
    let mut addressed = false;
    let mut within = false;
    for value in values {
        let lower = value.text.to_lowercase();
        let prose = is_content(value.member) && is_prose(&lower);
        for piece in pieces(&lower) {
            match piece {
                Piece::Link(link) if !has(words, link) => return Some(Gap::Link),
                Piece::Address(address) if has(words, address) => addressed |= !prose,
                Piece::Address(_) if prose => within = true,
                Piece::Address(_) => return Some(Gap::Address),
                Piece::Link(_) => {}
            }
        }
        if is_destination(value.member) && is_account(&lower) && !has_account(words, &lower) {
            return Some(Gap::Address);
        }
    }
    (within && !addressed).then_some(Gap::Address)
}

enum Piece<'a> {
    Address(&'a str),
    Link(&'a str),
}

/// The addresses and web addresses in a text.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let separators = |c: char| c.is_whitespace() || "<>(),;\"'[]{}|".contains(c);
    text.split(separators).filter_map(|piece| {
        // What ends a sentence or stands before an address: `mailto:`.
        let piece = piece.trim_end_matches(['.', '/', '!', '?', ':']);
        if piece.contains("://") || piece.starts_with("www.") || piece.starts_with("//") {
            return Some(Piece::Link(piece));
        }
        let address = piece.rsplit(':').next().unwrap_or(piece);
        let at = address.find('@')?;
        (at > 0 && address[at..].contains('.')).then_some(Piece::Address(address))
    })
}

/// Whether `words` have `piece` as a whole, not as a part of a longer one.
fn has(words: &str, piece: &str) -> bool {
    // Scripts without blanks go on right behind an address.
    let unspaced = |c: char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}');
    let inner = |c: char| (c.is_alphanumeric() && !unspaced(c)) || "@-_+%".contains(c);
    words.match_indices(piece).any(|(at, _)| {
        let before = words[..at].chars().next_back();
        let mut after = words[at + piece.len()..].chars();
        let next = after.next();
        // A dot ends a sentence unless more of the name follows.
        let goes_on = next == Some('.') && after.next().is_some_and(inner);
        !before.is_some_and(|c| inner(c) || c == '.') && !next.is_some_and(inner) && !goes_on
    })
}

/// Whether a text is more than an address or two with names before them.
fn is_prose(text: &str) -> bool {
    let words = text.split_whitespace().filter(|word| !word.contains('@'));
    text.contains('\n') || words.count() > NAME_WORDS
}

fn member_words(member: &str, known: &[&str]) -> bool {
    let spaced = spaced(member);
    let words = Word::all(&spaced);
    words.iter().any(|word| known.contains(&word.text))
}

fn is_content(member: &str) -> bool {
    member_words(member, &CONTENT) && !is_destination(member)
}

fn is_destination(member: &str) -> bool {
    member_words(member, &DESTINATION)
}

/// Whether a text is the number of an account or a telephone: one that nobody guesses.
fn is_account(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || " +-().".contains(c);
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let letters = text.chars().filter(char::is_ascii_alphabetic).count();
    text.len() <= 42 && text.chars().all(plain) && digits >= 7 && letters <= digits
}

/// Whether `words` have the number, however it is grouped.
fn has_account(words: &str, number: &str) -> bool {
    let joined =
        |text: &str| -> String { text.chars().filter(|c| !" +-().".contains(*c)).collect() };
    joined(words).contains(&joined(number))
}
