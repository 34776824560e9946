//! Text from elsewhere, made safe for a terminal, and the nearest of some words.
//!
//! # Invariants
//!
//! * Nothing that [`printable`] or [`printable_lines`] returns can move the
//!   cursor, change colours, ring, reorder what is read or hide characters.

/// Escapes everything that acts on a terminal; the result is one line.
#[must_use]
pub fn printable(text: &str) -> String {
    escape(text, |_| false)
}

/// Like [`printable`], but keeps line feeds and tabs.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    escape(text, |c| c == '\n' || c == '\t')
}

/// Escapes what acts on a terminal inside JSON text, whose own escapes cover only
/// the characters below U+0020 (RFC 8259, section 7).
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && acts(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Like [`printable`], and makes visible what only changes how other characters look or
/// takes no room: texts in which somebody may hide something.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        let hides = matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200c}' | '\u{200d}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0100}'..='\u{e01ef}');
        match hides {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    out
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) && !keep(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Returns whether `c` does something other than appear: controls (C0, DEL, C1),
/// bidirectional formatting (Unicode Annex 9), invisible and tag characters.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns the word nearest to `given`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&given, &word.to_lowercase()),
                word,
            )
        })
        .filter(|(distance, word)| *distance <= 1 + word.chars().count() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Returns `text` cut to `width` characters, with an ellipsis where it was cut.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_tricks_become_visible() {
        let hostile = "a\u{1b}[2Jb\u{7}\u{9b}31m\u{202e}c\r\nd\u{200b}\u{e0041}";
        let shown = printable(hostile);
        assert!(!shown.chars().any(acts), "{shown:?}");
        assert!(shown.starts_with("a\\u{1b}[2Jb"), "{shown}");
        assert_eq!(printable_lines("a\n\tb\u{1b}"), "a\n\tb\\u{1b}");
    }

    #[test]
    fn what_hides_is_visible() {
        assert_eq!(
            visible("a\u{200d}b\u{fe0f}\u{1b}"),
            "a\\u{200d}b\\u{fe0f}\\u{1b}"
        );
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({"a": "\u{9b}\u{202e}\u{e0041}ä"});
        let shown = printable_json(&value.to_string());
        assert!(!shown.chars().any(acts));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }

    #[test]
    fn nearest_word_is_near() {
        let known = ["upstream", "listen", "endpoint"];
        assert_eq!(nearest("upstreem", known), Some("upstream"));
        assert_eq!(nearest("Listen", known), Some("listen"));
        assert_eq!(nearest("zebra", known), None);
    }

    #[test]
    fn cut_text_says_so() {
        assert_eq!(cut("Boston", 6), "Boston");
        assert_eq!(cut("Boston", 4), "Bos…");
    }
}
