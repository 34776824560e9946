//! Opaque references: to an offer and to the next page.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{
    draw::mix64,
    property::{Property, World},
    shop::{Offer, Wish},
};

/// Layout of an offer reference; a change of the layout changes it.
const VERSION: u8 = 1;

/// Returns the reference of an offer: the same offer has the same reference, and
/// another price, date, party or world another one.
///
/// It carries all that is needed to find the offer again, and a check value that
/// tells a mistyped one from one of ours. It grants nothing.
pub(crate) fn encode(world: &World, property: &Property, offer: &Offer, wish: &Wish<'_>) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&property.id.city.to_be_bytes());
    bytes.extend_from_slice(&property.id.index.to_be_bytes());
    bytes.extend_from_slice(&[offer.room.kind as u8, offer.plan as u8]);
    let check_in = wish.stay.check_in();
    bytes.extend_from_slice(&check_in.year().to_be_bytes());
    bytes.extend_from_slice(&check_in.day_of_year().to_be_bytes());
    bytes.push(wish.stay.nights().len() as u8);
    for party in wish.parties {
        bytes.extend_from_slice(&[party.adults, party.child_ages.len() as u8]);
        bytes.extend_from_slice(&party.child_ages);
    }
    bytes.extend_from_slice(&offer.quote.total.to_be_bytes());
    let check = digest(world.fingerprint(), &bytes) as u32;
    bytes.extend_from_slice(&check.to_be_bytes());
    format!("ofr_{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the cursor of the page that begins at `offset` of the search `query`.
pub(crate) fn cursor(query: u64, offset: usize) -> String {
    let mut bytes = query.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(offset as u32).to_be_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the offset of a cursor, if it was made for the search `query`.
pub(crate) fn offset(query: u64, cursor: &str) -> Option<usize> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (head, tail) = bytes.split_at_checked(8)?;
    let made_for = u64::from_be_bytes(head.try_into().ok()?);
    let offset = u32::from_be_bytes(tail.try_into().ok()?);
    (made_for == query).then_some(offset as usize)
}

/// Returns a value of `bytes` that differs for different ones by chance only. It
/// is no protection against somebody who wants a collision.
pub(crate) fn digest(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = mix64(seed ^ bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mix64(state ^ u64::from_le_bytes(word));
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_leads_back_only_for_its_own_search() {
        let text = cursor(7, 40);
        assert_eq!((offset(7, &text), offset(8, &text)), (Some(40), None));
        for broken in ["", "!", "🏨", "AAAA", &text[1..]] {
            assert_eq!(offset(7, broken), None, "{broken}");
        }
    }
}
