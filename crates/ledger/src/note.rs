//! Signed checkpoints: the C2SP `signed-note` and `tlog-checkpoint` formats with
//! Ed25519.
//!
//! A checkpoint is three lines – origin, size of the tree, its root in base64 –
//! followed by an empty line and one line for each signature:
//!
//! ```text
//! airside-2f7a91c0d1e2b3a4
//! 4711
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — airside-2f7a91c0d1e2b3a4 Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```
//!
//! # Invariants
//!
//! * What is returned by [`Verifier::open`] was signed by that key; signatures of
//!   other keys are passed over, as the format asks.
//! * The private key has no printable form.

use std::{fmt, str::FromStr};

use airside_base::Redacted;
use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::Hash;

/// Longest note that is read, in bytes.
pub const MAX_NOTE_BYTES: usize = 16 * 1024;
/// Most signature lines of a note.
const MAX_SIGNATURES: usize = 100;
/// Signature type of Ed25519 (C2SP signed-note, section "Signature types").
const ALGORITHM: u8 = 1;
/// An em dash and a blank start a signature line.
const SIGNATURE: &str = "\u{2014} ";

/// What a tree looked like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which tree, unique in the world: a host name and a path without blanks.
    pub origin: String,
    /// How many leaves it had.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = BASE64_STANDARD.encode(self.root.as_bytes());
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)
    }
}

impl FromStr for Checkpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut lines = text.strip_suffix('\n').ok_or(Error::Malformed)?.split('\n');
        let mut line = || lines.next().ok_or(Error::Malformed);
        let (origin, size, root) = (line()?, line()?, line()?);
        let size_is_plain = size == "0" || !size.starts_with(['0', '+']);
        let root = BASE64_STANDARD.decode(root).map_err(|_| Error::Malformed)?;
        if !is_name(origin) || !size_is_plain {
            return Err(Error::Malformed);
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| Error::Malformed)?,
            root: Hash::from_bytes(root.try_into().map_err(|_| Error::Malformed)?),
        })
    }
}

/// Why a note or a key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It does not have the form of a note or of a key.
    #[error("the text does not have the form of a signed note")]
    Malformed,
    /// There is no signature of the expected key.
    #[error("the note is not signed by the expected key")]
    Unsigned,
    /// There is one, and it is wrong.
    #[error("the signature of the note is wrong")]
    Forged,
}

/// A private key with its name.
pub struct Signer {
    name: String,
    key: Ed25519KeyPair,
}

impl Signer {
    /// Returns a new key, and the PKCS#8 document (RFC 5958, version 2) to keep.
    #[must_use]
    pub fn generate() -> (Self, Redacted<Vec<u8>>) {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .expect("the system random source answers");
        let secret = Redacted::new(document.as_ref().to_vec());
        let signer = Self::load(&secret).expect("a fresh key is a key");
        (signer, secret)
    }

    /// Returns the key of a PKCS#8 document. Its name is derived from the public
    /// half, so that notes of two installations cannot be taken for each other.
    ///
    /// # Errors
    ///
    /// When the document holds no Ed25519 key.
    pub fn load(secret: &Redacted<Vec<u8>>) -> Result<Self, Error> {
        let key = Ed25519KeyPair::from_pkcs8(secret.expose()).map_err(|_| Error::Malformed)?;
        let hash = digest(&SHA256, key.public_key().as_ref());
        let id = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}"));
        let name = format!("airside-{}", id.collect::<String>());
        Ok(Self { name, key })
    }

    /// Returns the name, which is also the origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the public half.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        let public = self.key.public_key().as_ref();
        let public = public
            .try_into()
            .expect("an Ed25519 public key has 32 bytes");
        Verifier {
            name: self.name.clone(),
            public,
        }
    }

    /// Returns `checkpoint` as a note that is signed with this key.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let text = checkpoint.to_string();
        let mut signature = self.verifier().id().to_vec();
        signature.extend_from_slice(self.key.sign(text.as_bytes()).as_ref());
        let signature = BASE64_STANDARD.encode(signature);
        format!("{text}\n{SIGNATURE}{} {signature}\n", self.name)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A public key with its name. As text: `name+id+key`, the `vkey` of the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    public: [u8; 32],
}

impl Verifier {
    /// The first four bytes of the hash over name and key.
    fn id(&self) -> [u8; 4] {
        let mut text = self.name.clone().into_bytes();
        text.extend_from_slice(&[b'\n', ALGORITHM]);
        text.extend_from_slice(&self.public);
        let hash = digest(&SHA256, &text);
        hash.as_ref()[..4].try_into().expect("four bytes")
    }

    /// Returns the checkpoint of a note that this key has signed.
    ///
    /// # Errors
    ///
    /// When the text is no note, or not one of this key.
    pub fn open(&self, note: &str) -> Result<Checkpoint, Error> {
        if note.len() > MAX_NOTE_BYTES || note.chars().any(|c| c != '\n' && c.is_control()) {
            return Err(Error::Malformed);
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(Error::Malformed)?;
        let text = format!("{text}\n");
        let signatures = signatures.strip_suffix('\n').ok_or(Error::Malformed)?;
        if signatures.split('\n').count() > MAX_SIGNATURES {
            return Err(Error::Malformed);
        }
        for line in signatures.split('\n') {
            let line = line.strip_prefix(SIGNATURE).ok_or(Error::Malformed)?;
            let (name, signature) = line.split_once(' ').ok_or(Error::Malformed)?;
            let signature = BASE64_STANDARD
                .decode(signature)
                .map_err(|_| Error::Malformed)?;
            let (id, signature) = signature.split_at_checked(4).ok_or(Error::Malformed)?;
            if name == self.name && id == self.id() {
                UnparsedPublicKey::new(&ED25519, self.public)
                    .verify(text.as_bytes(), signature)
                    .map_err(|_| Error::Forged)?;
                return text.parse();
            }
        }
        Err(Error::Unsigned)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ALGORITHM];
        key.extend_from_slice(&self.public);
        let id = u32::from_be_bytes(self.id());
        write!(f, "{}+{id:08x}+{}", self.name, BASE64_STANDARD.encode(key))
    }
}

impl FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.splitn(3, '+');
        let mut part = || parts.next().ok_or(Error::Malformed);
        let (name, id, key) = (part()?, part()?, part()?);
        let key = BASE64_STANDARD.decode(key).map_err(|_| Error::Malformed)?;
        let (&ALGORITHM, public) = key.split_first().ok_or(Error::Malformed)? else {
            return Err(Error::Malformed);
        };
        let public = public.try_into().map_err(|_| Error::Malformed)?;
        let this = Self {
            name: name.to_owned(),
            public,
        };
        let matches = u32::from_str_radix(id, 16) == Ok(u32::from_be_bytes(this.id()));
        (is_name(name) && id.len() == 8 && matches)
            .then_some(this)
            .ok_or(Error::Malformed)
    }
}

fn is_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    !name.is_empty() && !name.chars().any(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::generate().0
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "airside.example/hotels".to_owned(),
            size: 4711,
            root: Hash::from_bytes([7; 32]),
        }
    }

    /// The example of the signed-note specification.
    #[test]
    fn foreign_note_opens() {
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let verifier: Verifier = key.parse().unwrap();
        assert_eq!(verifier.to_string(), key);
        let note = "If you think cryptography is the answer to your problem,\n\
            then you don't know what your problem is.\n\n\
            \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        // The text is no checkpoint: `Malformed` is only reached behind a good signature.
        assert_eq!(verifier.open(note), Err(Error::Malformed));
        assert_eq!(
            verifier.open(&note.replace("answer", "anwser")),
            Err(Error::Forged)
        );
    }

    #[test]
    fn own_note_opens() {
        let signer = signer();
        let note = signer.sign(&checkpoint());
        assert_eq!(signer.verifier().open(&note), Ok(checkpoint()));
        assert_eq!(self::signer().verifier().open(&note), Err(Error::Unsigned));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let signer = signer();
        let note = signer.sign(&checkpoint());
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(signer.verifier().open(&changed).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn key_texts_survive_a_round_trip() {
        let verifier = signer().verifier();
        assert_eq!(verifier.to_string().parse(), Ok(verifier.clone()));
        for bad in [
            "",
            "a+b",
            "a b+00000000+AA==",
            &verifier.to_string().replace('+', "-"),
        ] {
            assert_eq!(bad.parse::<Verifier>(), Err(Error::Malformed), "{bad}");
        }
    }

    #[test]
    fn checkpoint_numbers_are_canonical() {
        let root = BASE64_STANDARD.encode([7; 32]);
        for size in ["01", "+1", "-1", "", "1 "] {
            assert!(
                format!("a\n{size}\n{root}\n")
                    .parse::<Checkpoint>()
                    .is_err(),
                "{size}"
            );
        }
    }
}
