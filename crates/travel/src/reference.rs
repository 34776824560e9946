//! Opaque references: to an offer and to the next page.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use jiff::{ToSpan as _, civil::Date};

use crate::{
    draw::mix64,
    stay::{Party, Stay},
    supply::{HotelId, PlanCode, RoomCode, Selection, Unit},
};

/// Layout of an offer reference; a change of the layout changes it.
const VERSION: u8 = 2;

/// Returns the reference of an offer of the supplier `fingerprint`: the same offer has
/// the same reference, and another price, date, party or supplier another one.
///
/// It carries all that is needed to find the offer again, and a check value that
/// tells a mistyped one from one of ours. It grants nothing.
pub(crate) fn encode(
    fingerprint: u64,
    (hotel, room, plan): (&HotelId, &RoomCode, &PlanCode),
    stay: &Stay,
    parties: &[Party],
    total: i64,
) -> String {
    let mut bytes = vec![VERSION];
    for code in [hotel.as_str(), room.as_str(), plan.as_str()] {
        // Codes have 64 bytes at most.
        bytes.push(code.len() as u8);
        bytes.extend_from_slice(code.as_bytes());
    }
    let check_in = stay.check_in();
    bytes.extend_from_slice(&check_in.year().to_be_bytes());
    bytes.extend_from_slice(&check_in.day_of_year().to_be_bytes());
    bytes.push(stay.length() as u8);
    for party in parties {
        bytes.extend_from_slice(&[party.adults, party.child_ages.len() as u8]);
        bytes.extend_from_slice(&party.child_ages);
    }
    bytes.extend_from_slice(&total.to_be_bytes());
    let check = digest(fingerprint, &bytes) as u32;
    bytes.extend_from_slice(&check.to_be_bytes());
    format!("ofr_{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the reference of rooms of one type and plan at the price `total`; `None` if
/// they are of several.
pub(crate) fn of_selection(fingerprint: u64, selection: &Selection, total: i64) -> Option<String> {
    let first = selection.units.first()?;
    let alike = |unit: &Unit| unit.room == first.room && unit.plan == first.plan;
    let parties: Vec<_> = selection
        .units
        .iter()
        .map(|unit| unit.party.clone())
        .collect();
    let what = (&selection.hotel, &first.room, &first.plan);
    let reference = || encode(fingerprint, what, &selection.stay, &parties, total);
    selection.units.iter().all(alike).then(reference)
}

/// Returns what a reference stands for, with the price that it was shown at.
pub(crate) fn decode(fingerprint: u64, text: &str) -> Option<Selection> {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(text.strip_prefix("ofr_")?)
        .ok()?;
    let (bytes, check) = bytes.split_last_chunk::<4>()?;
    if digest(fingerprint, bytes) as u32 != u32::from_be_bytes(*check) {
        return None;
    }
    let (rest, total) = bytes.split_last_chunk::<8>()?;
    let rest = rest.strip_prefix(&[VERSION])?;
    let (hotel, rest) = code(rest)?;
    let (room, rest) = code(rest)?;
    let (plan, rest) = code(rest)?;
    let (room, plan): (RoomCode, PlanCode) = (room.parse().ok()?, plan.parse().ok()?);
    let (head, mut rest) = rest.split_first_chunk::<5>()?;
    let [y0, y1, d0, d1, nights] = *head;
    let new_year = Date::new(i16::from_be_bytes([y0, y1]), 1, 1).ok()?;
    let day = i16::from_be_bytes([d0, d1]);
    let check_in = new_year.checked_add(i64::from(day - 1).days()).ok()?;
    let check_out = check_in.checked_add(i64::from(nights).days()).ok()?;
    let mut units = Vec::new();
    while let [adults, children, behind @ ..] = rest {
        let (ages, behind) = behind.split_at_checked(usize::from(*children))?;
        units.push(Unit {
            room: room.clone(),
            plan: plan.clone(),
            party: Party {
                adults: *adults,
                child_ages: ages.to_vec(),
            },
        });
        rest = behind;
    }
    Some(Selection {
        hotel: hotel.parse().ok()?,
        stay: Stay::new(check_in, check_out).ok()?,
        units,
        expected_total: Some(i64::from_be_bytes(*total)),
    })
}

/// Reads a length and so many bytes of text.
fn code(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(text).ok()?, rest))
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
    fn reference_of_an_offer_leads_back_to_it() {
        let unit = |adults, child_ages: &[u8]| Unit {
            room: "FAM".parse().unwrap(),
            plan: "BB".parse().unwrap(),
            party: Party {
                adults,
                child_ages: child_ages.to_vec(),
            },
        };
        let date = jiff::civil::date;
        let selection = Selection {
            hotel: "htl_4930956_9".parse().unwrap(),
            stay: Stay::new(date(2028, 2, 28), date(2028, 3, 2)).unwrap(),
            units: vec![unit(2, &[4, 17]), unit(1, &[])],
            expected_total: Some(61_240),
        };
        let reference = of_selection(7, &selection, 61_240).unwrap();
        assert_eq!(decode(7, &reference), Some(selection));
        // Another supplier, a changed character, something else.
        assert_eq!(decode(8, &reference), None);
        for at in 4..reference.len() {
            let mut changed = reference.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let found = decode(7, &changed);
            assert!(found.is_none() || changed == reference, "{changed}");
        }
        for broken in ["", "ofr_", "ofr_AAAA", "🏨", &reference[..20]] {
            assert_eq!(decode(7, broken), None, "{broken}");
        }
    }

    #[test]
    fn cursor_leads_back_only_for_its_own_search() {
        let text = cursor(7, 40);
        assert_eq!((offset(7, &text), offset(8, &text)), (Some(40), None));
        for broken in ["", "!", "🏨", "AAAA", &text[1..]] {
            assert_eq!(offset(7, broken), None, "{broken}");
        }
    }
}
