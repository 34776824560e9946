//! One form of the arguments of a call, whatever the order and blanks of their text.
//!
//! # Invariants
//!
//! * Equal digests mean equal arguments to every reader: numbers are compared as they
//!   are written, and a name that occurs twice has no form.

use airside_mcp::raw;
use aws_lc_rs::digest::{Context, SHA256};

/// Returns the SHA-256 of the canonical form of `json` in hexadecimal digits; none if it
/// has none.
pub(crate) fn digest(json: &str) -> Option<String> {
    let mut out = String::with_capacity(json.len());
    write(&mut out, json.trim())?;
    Some(hex(&[out.as_bytes()]))
}

/// Returns the SHA-256 over `parts`; how they are cut matters.
pub(crate) fn joined(parts: &[&str]) -> String {
    let lengths: Vec<_> = parts
        .iter()
        .map(|part| (part.len() as u64).to_be_bytes())
        .collect();
    let pieces = lengths.iter().zip(parts);
    let pieces: Vec<&[u8]> = pieces
        .flat_map(|(length, part)| [&length[..], part.as_bytes()])
        .collect();
    hex(&pieces)
}

fn hex(pieces: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    pieces.iter().for_each(|piece| context.update(piece));
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Writes `json` without blanks, members by name. Its depth was bounded when the
/// message was read.
fn write(out: &mut String, json: &str) -> Option<()> {
    match json.as_bytes().first()? {
        b'{' => {
            let mut members = raw::members(json).ok()?;
            members.sort_by(|one, other| one.key.cmp(&other.key));
            if members.windows(2).any(|pair| pair[0].key == pair[1].key) {
                return None;
            }
            out.push('{');
            for (at, member) in members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&raw::quote(&member.key));
                out.push(':');
                write(out, member.value.trim())?;
            }
            out.push('}');
        }
        b'[' => {
            out.push('[');
            for (at, item) in raw::elements(json).ok()?.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(out, item.trim())?;
            }
            out.push(']');
        }
        b'"' => out.push_str(&raw::quote(&raw::string(json)?)),
        _ => out.push_str(json),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_blanks_and_escapes_do_not_matter() {
        let one = digest(r#"{"b":[1, 2.50],"a":{"x":"\u00e9"}}"#);
        assert_eq!(one, digest("{ \"a\" : {\"x\":\"é\"} , \"b\":[1,2.50] }"));
        assert!(one.is_some());
    }

    #[test]
    fn everything_else_does() {
        let all = [
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":null}"#,
            r#"{"b":1}"#,
            "{}",
            r#"{"a":9007199254740993}"#,
            r#"{"a":9007199254740992}"#,
        ];
        let digests: std::collections::HashSet<_> = all.iter().map(|text| digest(text)).collect();
        assert_eq!(digests.len(), all.len());
    }

    #[test]
    fn what_is_ambiguous_has_no_form() {
        assert_eq!(digest(r#"{"a":1,"a":1}"#), None);
        assert_eq!(digest(r#"{"x":[{"a":1,"\u0061":2}]}"#), None);
    }
}
