//! Which changes are drawn.
//!
//! # Invariants
//!
//! * The order of changes is that of HMAC-SHA256 under a key whose digest was written
//!   down before the first of them was merged. Authors cannot choose a place, nobody
//!   can draw again, and with the key anybody can repeat the draw.
//! * The order in which changes are given does not matter.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::Error;
use airside_base::hex;

/// The secret that decides a draw, until it is revealed.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(secret)")
    }
}

impl Key {
    /// Reads a key from its text: 32 bytes in URL-safe base64 without padding.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when it is something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim());
        let bytes = bytes.map_err(|_| Error::Key)?;
        Ok(Self(bytes.try_into().map_err(|_| Error::Key)?))
    }

    /// Returns the text that is written down when the key is revealed.
    #[must_use]
    pub fn reveal(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Returns what is published when a lot opens.
    #[must_use]
    pub fn commitment(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"airside review key v1\0");
        context.update(&self.0);
        hex(context.finish().as_ref())
    }

    /// Returns whether `commitment` is that of this key.
    #[must_use]
    pub fn is(&self, commitment: &str) -> bool {
        let own = self.commitment();
        constant_time::verify_slices_are_equal(own.as_bytes(), commitment.as_bytes()).is_ok()
    }

    fn tag(&self, purpose: &[u8], beacon: &str, id: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        for part in [purpose, beacon.as_bytes(), id.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Returns what says, once the key is known, that `id` was planted.
    #[must_use]
    pub fn planted(&self, beacon: &str, id: &str) -> String {
        hex(&self.tag(b"planted", beacon, id))
    }

    /// Returns the `count` of `ids` that are drawn, in their order.
    #[must_use]
    pub fn draw(&self, beacon: &str, ids: &[String], count: usize) -> Vec<String> {
        let mut order: Vec<([u8; 32], &String)> = ids
            .iter()
            .map(|id| (self.tag(b"draw", beacon, id), id))
            .collect();
        order.sort_unstable();
        order.dedup();
        let drawn = order.into_iter().take(count);
        drawn.map(|(_, id)| id.clone()).collect()
    }

    /// Returns `ids` in the order in which reviewers see them, which does not tell the
    /// planted ones from the drawn.
    #[must_use]
    pub fn shuffle(&self, beacon: &str, mut ids: Vec<String>) -> Vec<String> {
        ids.sort_by_cached_key(|id| self.tag(b"show", beacon, id));
        ids
    }
}

/// What makes a change this one, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The repository, as its owners name it.
    pub repository: String,
    /// The commit that brought it in.
    pub commit: String,
    /// Digest of what it changes, which survives a rebase.
    pub patch: String,
    /// The commits it was made of, before they were joined.
    #[serde(default)]
    pub sources: Vec<String>,
}

impl Identity {
    /// Returns the id by which the change is drawn: 16 bytes of SHA-256 in hex.
    #[must_use]
    pub fn id(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        let fixed = [&self.repository, &self.commit, &self.patch];
        for part in fixed.into_iter().chain(&self.sources) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        hex(&context.finish().as_ref()[..16])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> Key {
        Key([byte; 32])
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("{n:032x}")).collect()
    }

    #[test]
    fn key_is_known_by_its_commitment_and_shown_by_nothing_else() {
        let one = key(1);
        assert!(one.is(&one.commitment()));
        assert!(!key(2).is(&one.commitment()));
        assert_eq!(
            Key::parse(&one.reveal()).unwrap().commitment(),
            one.commitment()
        );
        assert!(!format!("{one:?}").contains(&one.reveal()));
        assert!(Key::parse("short").is_err());
    }

    #[test]
    fn other_keys_and_beacons_draw_others() {
        let ids = ids(200);
        let drawn = key(1).draw("", &ids, 20);
        assert_ne!(drawn, key(2).draw("", &ids, 20));
        assert_ne!(drawn, key(1).draw("2026-11-23", &ids, 20));
    }

    #[test]
    fn every_change_is_as_likely_as_any_other() {
        let ids = ids(50);
        let mut times = [0_usize; 50];
        for byte in 0..200_u8 {
            for id in key(byte).draw("", &ids, 10) {
                times[ids.iter().position(|one| *one == id).unwrap()] += 1;
            }
        }
        // 200 draws of 10 of 50: 40 each; five standard deviations are 28.
        assert!(
            times.iter().all(|times| (12..=68).contains(times)),
            "{times:?}"
        );
    }

    #[test]
    fn identity_of_a_change_depends_on_every_part() {
        let one = Identity {
            repository: "r".to_owned(),
            commit: "c".to_owned(),
            patch: "p".to_owned(),
            sources: vec!["s".to_owned()],
        };
        let other = Identity {
            sources: vec!["t".to_owned()],
            ..one.clone()
        };
        assert_eq!(one.id(), one.clone().id());
        assert_ne!(one.id(), other.id());
        assert_eq!(one.id().len(), 32);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn order_of_the_changes_does_not_matter(
            mut ids in proptest::collection::vec("[0-9a-f]{32}", 1..60),
            count in 0_usize..40,
            byte in any::<u8>(),
        ) {
            let drawn = key(byte).draw("b", &ids, count);
            ids.reverse();
            prop_assert_eq!(&drawn, &key(byte).draw("b", &ids, count));
            ids.extend(ids.clone());
            prop_assert_eq!(drawn, key(byte).draw("b", &ids, count));
        }
    }
}
