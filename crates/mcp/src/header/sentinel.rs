//! Text that a header cannot carry as it is: `=?base64?<Base64 of UTF-8>?=`.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// Returns `text` as the value of a header.
#[must_use]
pub fn encode(text: &str) -> Cow<'_, str> {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    let plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        && !blank(bytes.first())
        && !blank(bytes.last());
    if plain && encoded(text).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{PREFIX}{}{SUFFIX}", BASE64_STANDARD.encode(text)))
}

/// Returns the text that `value` carries; none when its Base64 or UTF-8 is broken.
#[must_use]
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    match encoded(value) {
        None => Some(Cow::Borrowed(value)),
        Some(base64) => {
            let bytes = BASE64_STANDARD.decode(base64).ok()?;
            String::from_utf8(bytes).ok().map(Cow::Owned)
        }
    }
}

fn encoded(value: &str) -> Option<&str> {
    value.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}
