//! The fields `Signature-Input`, `Signature`, `Signature-Agent` and `Content-Digest`.

use http::HeaderMap;
use sfv::{BareItem, Dictionary, InnerList, Item, ListEntry, Parser};

use super::base::{combined, written};
use crate::BodyDigest;

/// Most signatures of one message.
const MAX_SIGNATURES: usize = 8;
/// Longest key id, nonce, tag and so on.
const MAX_PARAM_BYTES: usize = 512;
/// How much clocks may differ, in seconds.
pub(crate) const SKEW: i64 = 30;

/// One signature of a message.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    /// What it covers, with its parameters.
    pub(crate) covered: InnerList,
    pub(crate) value: Vec<u8>,
    pub(crate) created: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) keyid: Option<String>,
    pub(crate) alg: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) tag: Option<String>,
}

/// The signatures of a message.
#[derive(Debug)]
pub(crate) struct Signatures(Vec<Signature>);

impl Signatures {
    /// Reads them; none if there are no such fields.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, &'static str> {
        let inputs = headers.contains_key("signature-input");
        if !inputs && !headers.contains_key("signature") {
            return Ok(None);
        }
        let dictionary = |name: &'static str, why| {
            let text = combined(headers, name).ok_or(why)?;
            Parser::new(&text).parse::<Dictionary>().map_err(|_| why)
        };
        let inputs = dictionary("signature-input", "Signature-Input is no dictionary")?;
        let mut values = dictionary("signature", "Signature is no dictionary")?;
        if inputs.len() > MAX_SIGNATURES || inputs.len() != values.len() {
            return Err("Signature-Input and Signature do not belong together");
        }
        let mut all = Vec::with_capacity(inputs.len());
        for (label, entry) in inputs {
            let ListEntry::InnerList(covered) = entry else {
                return Err("Signature-Input holds something that is no list of components");
            };
            let value = match values.swap_remove(&label) {
                Some(ListEntry::Item(Item {
                    bare_item: BareItem::ByteSequence(bytes),
                    ..
                })) => bytes,
                _ => return Err("a signature is missing or is no byte sequence"),
            };
            all.push(Signature::read(covered, value)?);
        }
        Ok(Some(Self(all)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Signature> {
        self.0.iter()
    }
}

impl Signature {
    fn read(covered: InnerList, value: Vec<u8>) -> Result<Self, &'static str> {
        let mut signature = Self {
            value,
            created: None,
            expires: None,
            keyid: None,
            alg: None,
            nonce: None,
            tag: None,
            covered: InnerList::new(Vec::new()),
        };
        for (name, value) in &covered.params {
            let time = || value.as_integer().map(i64::from);
            let text = || match value {
                BareItem::String(text) if text.as_str().len() <= MAX_PARAM_BYTES => {
                    Some(text.as_str().to_owned())
                }
                _ => None,
            };
            let wrong = "a parameter of the signature has the wrong type or is too long";
            match name.as_str() {
                "created" => signature.created = Some(time().ok_or(wrong)?),
                "expires" => signature.expires = Some(time().ok_or(wrong)?),
                "keyid" => signature.keyid = Some(text().ok_or(wrong)?),
                "alg" => signature.alg = Some(text().ok_or(wrong)?),
                "nonce" => signature.nonce = Some(text().ok_or(wrong)?),
                "tag" => signature.tag = Some(text().ok_or(wrong)?),
                // Covered with the others; what it means is not known here.
                _ => {}
            }
        }
        signature.covered = covered;
        Ok(signature)
    }

    /// Returns whether it covers the component that is written so.
    pub(crate) fn covers(&self, component: &str) -> bool {
        self.covered
            .items
            .iter()
            .any(|item| written(item) == component)
    }

    /// Returns whether it has begun and not ended at `now`, in seconds.
    pub(crate) fn is_timely(&self, now: i64) -> bool {
        self.created.is_none_or(|created| created <= now + SKEW)
            && self.expires.is_none_or(|expires| now <= expires + SKEW)
    }
}

/// Returns the agent that a signature names, in either shape of `Signature-Agent`: a
/// dictionary whose member it covers, or the one text of earlier drafts.
pub(crate) fn agent(
    headers: &HeaderMap,
    signature: &Signature,
) -> Result<Option<String>, &'static str> {
    let mut named = signature.covered.items.iter().filter(|item| {
        item.bare_item
            .as_string()
            .is_some_and(|name| name.as_str() == "signature-agent")
    });
    let (Some(item), None) = (named.next(), named.next()) else {
        return match signature.covered.items.is_empty() {
            _ if !headers.contains_key("signature-agent") => Ok(None),
            _ => Err("Signature-Agent has to be covered by the signature"),
        };
    };
    let text = combined(headers, "signature-agent").ok_or("there is no Signature-Agent")?;
    let value: Item = match item.params.get("key") {
        Some(BareItem::String(key)) => {
            let dictionary = Parser::new(&text)
                .parse::<Dictionary>()
                .map_err(|_| "Signature-Agent is no dictionary")?;
            match dictionary.get(key.as_str()) {
                Some(ListEntry::Item(item)) => item.clone(),
                _ => return Err("Signature-Agent has no such member"),
            }
        }
        _ => Parser::new(&text)
            .parse()
            .map_err(|_| "Signature-Agent is not one text")?,
    };
    let directory = match value.params.get("type") {
        None => true,
        Some(BareItem::Token(kind)) => kind.as_str() == "directory",
        Some(BareItem::String(kind)) => kind.as_str() == "directory",
        Some(_) => false,
    };
    if !directory {
        return Err("Signature-Agent names no directory");
    }
    match value.bare_item {
        BareItem::String(text) => Ok(Some(text.as_str().to_owned())),
        _ => Err("Signature-Agent is no text"),
    }
}

impl BodyDigest {
    /// Reads the digests of `Content-Digest` (RFC 9530) whose algorithms are good.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Vec<Self>, &'static str> {
        let text = combined(headers, "content-digest").ok_or("there is no Content-Digest")?;
        let dictionary: Dictionary = Parser::new(&text)
            .parse()
            .map_err(|_| "Content-Digest is no dictionary")?;
        let mut digests = Vec::new();
        for (name, entry) in &dictionary {
            let bytes = match entry {
                ListEntry::Item(item) => item.bare_item.as_byte_sequence(),
                ListEntry::InnerList(_) => None,
            };
            let wrong = "Content-Digest holds no digest of this length";
            match name.as_str() {
                "sha-256" => {
                    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                    digests.push(Self::Sha256(bytes.ok_or(wrong)?));
                }
                "sha-512" => {
                    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                    digests.push(Self::Sha512(bytes.ok_or(wrong)?));
                }
                _ => {}
            }
        }
        match digests.is_empty() {
            true => Err("Content-Digest needs sha-256 or sha-512"),
            false => Ok(digests),
        }
    }
}
