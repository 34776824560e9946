//! The canonical encoding of an entry and its hash, version 1.
//!
//! `docs/ledger-format.md` describes it for other implementations. The body goes
//! in as the stored bytes, so that encrypted fields stay encrypted and a proof
//! survives the destruction of their key.

use airside_base::{TenantId, Timestamp};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use crate::entry::{Draft, Entry, Hash, Head, MAX_BODY_BYTES, MAX_SUBJECT_BYTES};

/// Separates these hashes from every other use of SHA-256; the last byte is the
/// version of the encoding.
const DOMAIN: &[u8; 20] = b"airside.ledger.entry";
const VERSION: u8 = 1;

/// Everything that is hashed, in order.
pub(crate) struct Fields<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) seq: u64,
    pub(crate) time: Timestamp,
    pub(crate) kind: &'a str,
    pub(crate) version: u16,
    pub(crate) subject: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) prev: &'a Hash,
}

impl Fields<'_> {
    /// Replaces the content of `buffer` by the canonical encoding.
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(DOMAIN);
        buffer.push(VERSION);
        for field in [
            self.tenant.as_str().as_bytes(),
            &self.seq.to_be_bytes(),
            &self.time.as_microsecond().to_be_bytes(),
            self.kind.as_bytes(),
            &self.version.to_be_bytes(),
            self.subject.as_bytes(),
            self.body,
            self.prev.as_bytes(),
        ] {
            let length =
                u32::try_from(field.len()).expect("every field is bounded far below 4 GiB");
            buffer.extend_from_slice(&length.to_be_bytes());
            buffer.extend_from_slice(field);
        }
    }

    /// Returns the hash. `buffer` only saves an allocation.
    pub(crate) fn hash(&self, buffer: &mut Vec<u8>) -> Hash {
        self.encode(buffer);
        sha256(buffer)
    }
}

impl<'a> From<&'a Entry> for Fields<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            tenant: &entry.tenant,
            seq: entry.seq,
            time: entry.time,
            kind: entry.kind.as_str(),
            version: entry.version,
            subject: &entry.subject,
            body: &entry.body,
            prev: &entry.prev,
        }
    }
}

/// Returns the SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Hash::from_bytes(hash)
}

/// Returns the entry with this canonical encoding; its hash is computed. The body
/// shares the memory of `bytes`.
pub(crate) fn decode(bytes: &Bytes) -> Option<Entry> {
    let mut at = DOMAIN.len() + 1;
    if !bytes.starts_with(DOMAIN) || bytes.get(at - 1) != Some(&VERSION) {
        return None;
    }
    let mut field = || {
        let length = bytes.get(at..at + 4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let start = at + 4;
        at = start.checked_add(usize::try_from(length).ok()?)?;
        (at <= bytes.len()).then(|| bytes.slice(start..at))
    };
    let tenant = text(&field()?)?.parse().ok()?;
    let seq = u64::from_be_bytes(field()?[..].try_into().ok()?);
    let time = i64::from_be_bytes(field()?[..].try_into().ok()?);
    let kind = text(&field()?)?.parse().ok()?;
    let version = u16::from_be_bytes(field()?[..].try_into().ok()?);
    let subject = field()?;
    let body = field()?;
    let prev = Hash::from_bytes(field()?[..].try_into().ok()?);
    if at != bytes.len() || subject.len() > MAX_SUBJECT_BYTES || body.len() > MAX_BODY_BYTES {
        return None;
    }
    Some(Entry {
        seq,
        time: Timestamp::from_microsecond(time).ok()?,
        tenant,
        kind,
        version,
        subject: text(&subject)?.into(),
        body,
        prev,
        hash: sha256(bytes),
    })
}

fn text(bytes: &Bytes) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Places `draft` behind `head`.
pub(crate) fn seal(draft: &Draft, head: Head, time: Timestamp, buffer: &mut Vec<u8>) -> Entry {
    let mut entry = Entry {
        seq: head.seq + 1,
        time,
        tenant: draft.tenant.clone(),
        kind: draft.kind.clone(),
        version: draft.version,
        subject: draft.subject.clone(),
        body: draft.body.clone(),
        prev: head.hash,
        hash: Hash::default(),
    };
    entry.hash = entry_hash(&entry, buffer);
    entry
}

/// Recomputes the hash of `entry`.
pub(crate) fn entry_hash(entry: &Entry, buffer: &mut Vec<u8>) -> Hash {
    Fields::from(entry).hash(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &Fields<'_>, expected: &str) -> Hash {
        let hash = fields.hash(&mut Vec::new());
        assert_eq!(hash.to_string(), expected);
        hash
    }

    /// The values come from the program in `docs/ledger-format.md`.
    #[test]
    fn golden_vectors() {
        let tenant = TenantId::default();
        let one = check(
            &Fields {
                tenant: &tenant,
                seq: 1,
                time: Timestamp::from_microsecond(1_795_435_200_000_000).unwrap(),
                kind: "call.completed",
                version: 1,
                subject: "",
                body: br#"{"price":10.10}"#,
                prev: &Hash::default(),
            },
            "d67575bef9b4c51229065c5556a3bbd249f22554e8829770db93ca13ca400e61",
        );
        check(
            &Fields {
                tenant: &tenant,
                seq: 2,
                time: Timestamp::from_microsecond(-1).unwrap(),
                kind: "hold.placed",
                version: u16::MAX,
                subject: "h-1 \u{fc}\u{1f6cf}",
                body: br#"{ "a" : "\u0000" }"#,
                prev: &one,
            },
            "0ecec584707a7ac9710cb60635520d59b466909f92f147add20e74c1e1cf1f86",
        );
    }

    #[test]
    fn encoding_is_read_back() {
        let draft = Draft::from_json(
            TenantId::default(),
            crate::Kind::new("a.b"),
            7,
            "s \u{fc}",
            Bytes::from_static(b"{ }"),
        )
        .unwrap();
        let entry = seal(&draft, Head::default(), Timestamp::MIN, &mut Vec::new());
        let mut bytes = Vec::new();
        Fields::from(&entry).encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(decode(&Bytes::copy_from_slice(&bytes[..cut])), None);
        }
        assert_eq!(decode(&bytes.into()), Some(entry));
    }

    #[test]
    fn bytes_cannot_move_between_fields() {
        let tenant = TenantId::default();
        let hash = |kind: &str, subject: &str| {
            Fields {
                tenant: &tenant,
                seq: 1,
                time: Timestamp::UNIX_EPOCH,
                kind,
                version: 1,
                subject,
                body: b"{}",
                prev: &Hash::default(),
            }
            .hash(&mut Vec::new())
        };
        assert_ne!(hash("a.bc", "d"), hash("a.b", "cd"));
    }
}
