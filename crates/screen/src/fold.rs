//! Characters as they look, and those that do not look like anything.

use unicode_normalization::UnicodeNormalization as _;

/// Zeros of the scripts that have digits of their own (Unicode, general category Nd).
const ZEROS: [u32; 38] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0,
];

/// Letters of Cyrillic, Greek, Armenian and extended Latin that look like Latin ones
/// (Unicode, confusables), sorted.
const LOOKALIKES: [(char, char); 68] = [
    ('·', '.'),
    ('ı', 'i'),
    ('ɑ', 'a'),
    ('ɡ', 'g'),
    ('ɩ', 'i'),
    ('Α', 'A'),
    ('Β', 'B'),
    ('Ε', 'E'),
    ('Ζ', 'Z'),
    ('Η', 'H'),
    ('Ι', 'I'),
    ('Κ', 'K'),
    ('Μ', 'M'),
    ('Ν', 'N'),
    ('Ο', 'O'),
    ('Ρ', 'P'),
    ('Τ', 'T'),
    ('Υ', 'Y'),
    ('Χ', 'X'),
    ('α', 'a'),
    ('ι', 'i'),
    ('ν', 'v'),
    ('ο', 'o'),
    ('ρ', 'p'),
    ('υ', 'u'),
    ('χ', 'x'),
    ('ϲ', 'c'),
    ('ϳ', 'j'),
    ('Ѕ', 'S'),
    ('І', 'I'),
    ('Ј', 'J'),
    ('А', 'A'),
    ('В', 'B'),
    ('Е', 'E'),
    ('К', 'K'),
    ('М', 'M'),
    ('Н', 'H'),
    ('О', 'O'),
    ('Р', 'P'),
    ('С', 'C'),
    ('Т', 'T'),
    ('У', 'Y'),
    ('Х', 'X'),
    ('а', 'a'),
    ('е', 'e'),
    ('о', 'o'),
    ('р', 'p'),
    ('с', 'c'),
    ('у', 'y'),
    ('х', 'x'),
    ('ѕ', 's'),
    ('і', 'i'),
    ('ј', 'j'),
    ('һ', 'h'),
    ('ԁ', 'd'),
    ('ԛ', 'q'),
    ('ԝ', 'w'),
    ('ո', 'n'),
    ('ս', 'u'),
    ('օ', 'o'),
    ('‐', '-'),
    ('‒', '-'),
    ('–', '-'),
    ('—', '-'),
    ('―', '-'),
    ('’', '\''),
    ('•', '*'),
    ('−', '-'),
];

/// Calls `put` with what `character` looks like: nothing, or one or more characters.
pub(crate) fn fold(character: char, mut put: impl FnMut(char)) {
    if character.is_ascii() {
        return put(character);
    }
    if is_invisible(character) {
        return;
    }
    for part in std::iter::once(character).nfkd() {
        match part {
            // Accents: what stays reads the same.
            '\u{300}'..='\u{36f}' => {}
            part if part.is_ascii() => put(part),
            part if part.is_whitespace() => put(' '),
            part => put(lookalike(part)),
        }
    }
}

fn lookalike(character: char) -> char {
    if let Some(digit) = digit(character) {
        return char::from(b'0' + digit);
    }
    match LOOKALIKES.binary_search_by_key(&character, |(from, _)| *from) {
        Ok(found) => LOOKALIKES[found].1,
        Err(_) => character,
    }
}

fn digit(character: char) -> Option<u8> {
    let code = u32::from(character);
    let zero = ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code))?;
    u8::try_from(code - zero).ok()
}

/// Returns whether `character` shows nothing and takes no room.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut folded = String::new();
        for character in text.chars() {
            fold(character, |part| folded.push(part));
        }
        assert_eq!(folded, expected, "{text:?}");
    }

    #[test]
    fn characters_are_folded_to_what_they_look_like() {
        assert!(LOOKALIKES.is_sorted_by_key(|(from, _)| *from));
        check("plain", "plain");
        check("іgnоrе", "ignore");
        check("ｉｇｎｏｒｅ", "ignore");
        check("𝐢𝐠𝐧𝐨𝐫𝐞", "ignore");
        check("ig\u{200b}no\u{ad}re", "ignore");
        check("ïg\u{301}nòre", "ignore");
        check("٤१４𝟒", "4144");
        check("1\u{a0}2\u{2009}3", "1 2 3");
        check("日本 ﬁ", "日本 fi");
    }
}
