//! Proof that a caller has the key that its token is bound to (RFC 9449).
//!
//! # Invariants
//!
//! * A proof is good once, for one method and one URL, for one token, within
//!   [`WINDOW_S`] of its time. Proofs that were seen are kept for as long as they could
//!   come again; when there is no room for another, it is refused.
//! * The URL is the public one of the configuration, never what `Host` says.

use airside_base::Timestamp;
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest,
    hmac::{self, HMAC_SHA256},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use url::Url;

use super::{
    Wrong,
    jose::{Algorithm, Compact},
    jwk::Key,
    table::{self, Table},
};
use crate::BodyDigest;

/// How far the time of a proof may be from ours, in seconds (the MCP profile of
/// RFC 9449 says five minutes).
pub(super) const WINDOW_S: i64 = 300;

/// Proofs that are remembered: 200 a second for as long as they could come again.
const MAX_SEEN: usize = 120_000;

/// How long a number of ours is good, in seconds; the one before it as well.
const NONCE_S: i64 = 300;

/// Remembers proofs and makes numbers for them.
#[derive(Debug)]
pub(super) struct Proofs {
    seen: Table<()>,
    secret: hmac::Key,
}

/// What a proof has to be for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) token: &'a [u8],
    /// Thumbprint of the key that the token is bound to.
    pub(super) key: &'a str,
    pub(super) needs_nonce: bool,
}

impl Proofs {
    pub(super) fn new() -> Self {
        let secret = airside_base::secret_token();
        Self {
            seen: Table::new(MAX_SEEN),
            secret: hmac::Key::new(HMAC_SHA256, secret.as_bytes()),
        }
    }

    /// Judges `proof`. Returns the digest of the body, where it gives one.
    pub(super) fn check(
        &self,
        proof: &[u8],
        wanted: Wanted<'_>,
        now: Timestamp,
    ) -> Result<Option<BodyDigest>, Wrong> {
        let proof = Compact::parse(proof).map_err(|_| Wrong::Proof("it is no signed token"))?;
        if proof.kind.as_deref() != Some("dpop+jwt") {
            return Err(Wrong::Proof("its `typ` is not `dpop+jwt`"));
        }
        let key = proof.header.0.get("jwk").and_then(Key::read_own);
        let key = key.ok_or(Wrong::Proof("it holds no public key that is accepted"))?;
        key.verify(&proof)
            .map_err(|_| Wrong::Proof("its signature is wrong"))?;
        if verify_slices_are_equal(key.thumbprint().as_bytes(), wanted.key.as_bytes()).is_err() {
            return Err(Wrong::Proof("its key is not the one of the token"));
        }
        let claims = &proof.payload;
        if claims.text("htm") != Some(wanted.method) {
            return Err(Wrong::Proof("`htm` is not the method of the request"));
        }
        if !claims
            .text("htu")
            .is_some_and(|url| is_same(url, wanted.url))
        {
            return Err(Wrong::Proof("`htu` is not the public URL of the endpoint"));
        }
        let digest = digest::digest(&digest::SHA256, wanted.token);
        if claims.text("ath") != Some(BASE64_URL_SAFE_NO_PAD.encode(digest).as_str()) {
            return Err(Wrong::Proof("`ath` is not the digest of the token"));
        }
        let made = claims.seconds("iat").ok().flatten();
        let made = made.ok_or(Wrong::Proof("it has no `iat`"))?;
        if made.abs_diff(now.as_second()) > WINDOW_S.unsigned_abs() {
            return Err(Wrong::Proof("`iat` is too far from now"));
        }
        match claims.text("nonce") {
            Some(nonce) if self.is_ours(nonce, now) => {}
            // A number that is not asked for is another server's.
            Some(_) | None if wanted.needs_nonce => return Err(Wrong::Nonce),
            _ => {}
        }
        let body = claims.0.get("content_digest").map(|digest| {
            let digest = digest.as_str().and_then(read_digest);
            digest.ok_or(Wrong::Proof("`content_digest` is not `sha-256=:…:`"))
        });
        let body = body.transpose()?;
        self.remember(claims.text("jti"), wanted.key, made, now)?;
        Ok(body)
    }

    fn remember(
        &self,
        id: Option<&str>,
        key: &str,
        made: i64,
        now: Timestamp,
    ) -> Result<(), Wrong> {
        let id = id.filter(|id| (1..=256).contains(&id.len()));
        let id = id.ok_or(Wrong::Proof("it has no `jti` of 1 to 256 bytes"))?;
        let name = table::name(&[key.as_bytes(), id.as_bytes()]);
        let until = Timestamp::from_second(made + WINDOW_S + 1).unwrap_or(Timestamp::MAX);
        match self.seen.put_new(name, until, (), now) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Wrong::Replayed),
            Err(table::Full) => Err(Wrong::Busy),
        }
    }

    /// Returns the number that a proof made now has to hold.
    pub(super) fn nonce(&self, now: Timestamp) -> String {
        self.nonce_of(now.as_second().div_euclid(NONCE_S))
    }

    fn nonce_of(&self, slot: i64) -> String {
        let tag = hmac::sign(&self.secret, &slot.to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(&tag.as_ref()[..16])
    }

    fn is_ours(&self, nonce: &str, now: Timestamp) -> bool {
        let slot = now.as_second().div_euclid(NONCE_S);
        [slot, slot - 1].into_iter().any(|slot| {
            verify_slices_are_equal(self.nonce_of(slot).as_bytes(), nonce.as_bytes()).is_ok()
        })
    }
}

/// Compares without query and fragment, after the normalisation of URLs (RFC 9449,
/// section 4.3).
fn is_same(given: &str, own: &str) -> bool {
    let normal = |text: &str| {
        let mut url = Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    given == own || normal(given).is_some_and(|given| Some(given) == normal(own))
}

/// Reads one SHA-256 in the form of a field of digests (RFC 9530).
fn read_digest(text: &str) -> Option<BodyDigest> {
    let encoded = text.strip_prefix("sha-256=:")?.strip_suffix(':')?;
    let bytes = BASE64_STANDARD.decode(encoded).ok()?;
    Some(BodyDigest::Sha256(bytes.try_into().ok()?))
}

/// Returns the algorithms that proofs may be signed with.
pub(super) fn algorithms() -> String {
    Algorithm::ALL.map(Algorithm::as_str).join(" ")
}

#[cfg(test)]
mod tests;
