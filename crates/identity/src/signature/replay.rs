//! Nonces that were used.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Mutex,
};

use aws_lc_rs::digest;

/// Most nonces of one signer that are remembered: those of five minutes at some 200
/// requests a second.
pub(crate) const MAX_NONCES: usize = 1 << 16;

/// What became of a nonce.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is new.
    Fresh,
    /// It was used before.
    Again,
    /// There is no room to remember it.
    Full,
}

/// The nonces of one signer, each for as long as its signature is good. Nonces of
/// signatures that were not verified never come here: nobody else can fill it.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    /// Beginnings of their digests, with the second until which they are remembered.
    known: Mutex<HashMap<[u8; 16], i64>>,
}

impl Nonces {
    /// Takes `nonce`, which is good until `until`. `now` and `until` are in seconds.
    pub(crate) fn take(&self, nonce: &str, now: i64, until: i64) -> Taken {
        let digest = digest::digest(&digest::SHA256, nonce.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&digest.as_ref()[..16]);
        let mut known = self.known.lock().expect("nothing panics in here");
        if known.len() >= MAX_NONCES {
            known.retain(|_, until| *until >= now);
        }
        let full = known.len() >= MAX_NONCES;
        match known.entry(short) {
            Entry::Occupied(place) if *place.get() >= now => Taken::Again,
            Entry::Occupied(mut place) => {
                place.insert(until);
                Taken::Fresh
            }
            Entry::Vacant(_) if full => Taken::Full,
            Entry::Vacant(place) => {
                place.insert(until);
                Taken::Fresh
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonce_is_good_once_while_its_signature_is() {
        let nonces = Nonces::default();
        assert_eq!(nonces.take("a", 100, 130), Taken::Fresh);
        assert_eq!(nonces.take("b", 100, 130), Taken::Fresh);
        assert_eq!(nonces.take("a", 130, 160), Taken::Again);
        assert_eq!(nonces.take("a", 131, 160), Taken::Fresh);
    }

    #[test]
    fn no_room_is_said_and_passes() {
        let nonces = Nonces::default();
        for number in 0..MAX_NONCES {
            assert_eq!(nonces.take(&number.to_string(), 100, 130), Taken::Fresh);
        }
        assert_eq!(nonces.take("more", 100, 130), Taken::Full);
        assert_eq!(nonces.take("0", 100, 130), Taken::Again);
        assert_eq!(nonces.take("more", 131, 160), Taken::Fresh);
        assert_eq!(nonces.known.lock().unwrap().len(), 1);
    }
}
