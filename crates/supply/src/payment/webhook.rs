//! Signed messages of the provider.
//!
//! `Stripe-Signature: t=1700000000,v1=hex(HMAC-SHA256(secret, "t.body"))`, with as many
//! `v1` as there are secrets in use.

use std::time::Duration;

use airside_base::{Fault, Kind, Redacted, TenantId, Timestamp};
use aws_lc_rs::hmac;
use serde::Deserialize;

use super::{Checkout, wire::Metadata};

/// How old or how far ahead a message may be.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Longest header and most signatures in it.
const MAX_HEADER: usize = 2_048;
const MAX_SIGNATURES: usize = 8;

/// A payment of which the provider says that something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose it is.
    pub tenant: TenantId,
    /// Our name of it.
    pub payment: String,
}

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// There is no signature of ours, or it is not right.
    #[error("the signature of the message is not right")]
    Signature,
    /// It is too old or from the future.
    #[error("the message is outside of its window of time")]
    Time,
    /// It cannot be read.
    #[error("the message cannot be read")]
    Form,
}

impl NoticeError {
    /// Returns what the sender may know.
    #[must_use]
    pub fn fault(self) -> Fault {
        let kind = match self {
            Self::Signature | Self::Time => Kind::Unauthenticated,
            Self::Form => Kind::Invalid,
        };
        Fault::new(kind, "TRV-326", self.to_string())
            .with_hint("sign the message with the secret of this endpoint and send it at once")
    }
}

#[derive(Deserialize)]
struct Message {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

impl Checkout {
    /// Reads a message that arrived at `now` with `signature`. `None` is one that is
    /// about nothing of ours.
    ///
    /// # Errors
    ///
    /// If it is not signed by the provider, at about this time.
    pub fn notice(
        &self,
        signature: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Notice>, NoticeError> {
        check(&self.access.webhook_secret, signature, body, now)?;
        let message: Message = serde_json::from_slice(body).map_err(|_| NoticeError::Form)?;
        let Metadata {
            airside_payment,
            airside_tenant,
            ..
        } = message.data.object.metadata;
        let tenant = airside_tenant.parse().ok();
        Ok(tenant
            .filter(|_| !airside_payment.is_empty())
            .map(|tenant| Notice {
                tenant,
                payment: airside_payment,
            }))
    }
}

fn check(
    secret: &Redacted<String>,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), NoticeError> {
    if signature.len() > MAX_HEADER {
        return Err(NoticeError::Signature);
    }
    let parts = signature
        .split(',')
        .filter_map(|part| part.trim().split_once('='));
    let at = parts
        .clone()
        .find_map(|(name, value)| (name == "t").then_some(value));
    let at = at.ok_or(NoticeError::Signature)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut signed = hmac::Context::with_key(&key);
    signed.update(at.as_bytes());
    signed.update(b".");
    signed.update(body);
    let expected = super::hex(signed.sign().as_ref());
    let mut ours = parts.filter(|(name, _)| *name == "v1").take(MAX_SIGNATURES);
    let right = ours.any(|(_, value)| {
        let (value, expected) = (value.as_bytes(), expected.as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(value, expected).is_ok()
    });
    if !right {
        return Err(NoticeError::Signature);
    }
    // What is signed is believed, so a message of another day is a replay.
    let at: i64 = at.parse().map_err(|_| NoticeError::Signature)?;
    match now.as_second().abs_diff(at) <= WINDOW.as_secs() {
        true => Ok(()),
        false => Err(NoticeError::Time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"data":{"object":{}}}"#;

    fn signed(secret: &str, at: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let text = [at.to_string().as_bytes(), b".", BODY].concat();
        let tag = hmac::sign(&key, &text);
        format!("t={at},v1={}", super::super::hex(tag.as_ref()))
    }

    #[track_caller]
    fn told(signature: &str) -> Result<(), NoticeError> {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        check(&Redacted::new("whsec".to_owned()), signature, BODY, now)
    }

    #[test]
    fn only_what_is_signed_now_is_believed() {
        let now = 1_700_000_000;
        assert_eq!(told(&signed("whsec", now)), Ok(()));
        assert_eq!(told(&signed("whsec", now - 300)), Ok(()));
        assert_eq!(told(&signed("whsec", now - 301)), Err(NoticeError::Time));
        assert_eq!(told(&signed("whsec", now + 301)), Err(NoticeError::Time));
        assert_eq!(told(&signed("other", now)), Err(NoticeError::Signature));
        // While secrets are changed there are two signatures.
        let both = format!("{},v1={}", signed("whsec", now), "0".repeat(64));
        assert_eq!(told(&both), Ok(()));
        for broken in [
            "",
            "t=1700000000",
            "v1=00",
            "t=x,v1=00",
            &"t=1,".repeat(900),
        ] {
            assert_eq!(told(broken), Err(NoticeError::Signature), "{broken}");
        }
    }
}
