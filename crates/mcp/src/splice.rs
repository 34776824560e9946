//! Edits of raw text that leave every other byte as it was.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// Returns `bytes` with each range replaced.
///
/// Ranges are ascending and do not overlap; an empty range inserts.
///
/// # Panics
///
/// When the ranges overlap, descend or leave the text: they come from spans of
/// the same text, so that would be a defect of the caller.
#[must_use]
pub fn splice(bytes: &Bytes, edits: &[(Range<usize>, &[u8])]) -> Bytes {
    if edits.is_empty() {
        return bytes.clone();
    }
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let removed: usize = edits.iter().map(|(range, _)| range.len()).sum();
    let mut out = BytesMut::with_capacity((bytes.len() + added).saturating_sub(removed));
    let mut at = 0;
    for (range, text) in edits {
        assert!(
            at <= range.start && range.start <= range.end,
            "edits ascend without overlap"
        );
        out.extend_from_slice(&bytes[at..range.start]);
        out.extend_from_slice(text);
        at = range.end;
    }
    out.extend_from_slice(&bytes[at..]);
    out.freeze()
}

/// Returns the ranges to remove from an array so that only the elements for which
/// `keep` holds remain, together with the commas that belong to the removed ones.
///
/// `elements` are the spans of all elements, in order.
#[must_use]
pub fn removals(elements: &[Range<usize>], keep: &[bool]) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut kept_before = false;
    let mut index = 0;
    while index < elements.len() {
        if keep[index] {
            kept_before = true;
            index += 1;
            continue;
        }
        let run = index;
        while index < elements.len() && !keep[index] {
            index += 1;
        }
        // A run gives up the comma before it, or, at the front, the one behind it.
        let start = if kept_before {
            elements[run - 1].end
        } else {
            elements[run].start
        };
        let end = match elements.get(index) {
            Some(next) if !kept_before => next.start,
            _ => elements[index - 1].end,
        };
        out.push(start..end);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, edits: &[(Range<usize>, &[u8])], expected: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        assert_eq!(splice(&bytes, edits), expected.as_bytes());
    }

    #[test]
    fn ranges_are_replaced_inserted_and_removed() {
        check("abcdef", &[], "abcdef");
        check(
            "abcdef",
            &[(0..0, b"<"), (1..2, b"BB"), (4..6, b""), (6..6, b">")],
            "<aBBcd>",
        );
    }

    #[test]
    fn removed_elements_take_one_comma_each() {
        let text = "[ 1, 2 ,3,4 ]";
        let elements = [2..3, 5..6, 8..9, 10..11];
        for mask in 0..16_u8 {
            let keep: Vec<bool> = (0..4).map(|bit| mask >> bit & 1 == 1).collect();
            let gaps = removals(&elements, &keep);
            let edits: Vec<(Range<usize>, &[u8])> =
                gaps.into_iter().map(|gap| (gap, &b""[..])).collect();
            let left = splice(&Bytes::copy_from_slice(text.as_bytes()), &edits);
            let expected: Vec<u8> = (1..=4).filter(|n| keep[*n as usize - 1]).collect();
            assert_eq!(
                serde_json::from_slice::<Vec<u8>>(&left).unwrap(),
                expected,
                "{left:?}"
            );
        }
    }
}
