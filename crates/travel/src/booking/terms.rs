//! What a traveller agrees to, and its digest.
//!
//! # Invariants
//!
//! * Equal terms have equal digests: what is hashed is canonical JSON (members sorted
//!   by name, no white space, integers only).
//! * Every amount, date, deadline and condition of the terms is in what is hashed;
//!   another price is another digest. Names of persons are not: a digest of them would
//!   stay in the ledger for ever.
//! * A consent token is bound to the terms, the session and the key of one attempt, and
//!   is compared in constant time.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest as sha};
use serde_json::{Value, json};

use super::record::{Session, Task};
use crate::supply::{Prepay, Selection};

/// Returns the digest of `value`: SHA-256 of canonical JSON, in hexadecimal.
pub(crate) fn digest(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    hex(text.as_bytes())
}

/// Returns the digest of the terms of the session `id`.
pub(crate) fn of(id: &str, session: &Session) -> String {
    // The total that was seen before is no part of what is agreed to.
    let selection = Selection {
        expected_total: None,
        ..session.selection.clone()
    };
    let task = match &session.task {
        Task::Book => json!("book"),
        Task::Change {
            booking, before, ..
        } => json!({ "change": booking, "before": before }),
        Task::Cancel { booking, penalty } => json!({ "cancel": booking, "penalty": penalty }),
    };
    digest(&json!({
        "session": id,
        "task": task,
        "selection": selection,
        "price": session.price,
        "cancellation": session.cancellation,
        "payment": match session.prepay {
            Prepay::None => json!("at_property"),
            asked => json!(asked),
        },
    }))
}

/// Returns the nonce of the next consent: one that was used makes another one.
pub(crate) fn nonce(secret: &str, uses: u32) -> String {
    hex(format!("airside-consent-nonce-v1\n{secret}\n{uses}").as_bytes())
}

/// Returns what the widget makes of the nonce to show that the traveller consented.
pub(crate) fn consent_token(nonce: &str, session: &str, terms: &str, key: &str) -> String {
    hex(format!("airside-consent-v1\n{nonce}\n{session}\n{terms}\n{key}").as_bytes())
}

/// Returns whether two secrets are equal, in a time that does not depend on where they
/// differ.
pub(crate) fn same(a: &str, b: &str) -> bool {
    verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    let digest = sha::digest(&sha::SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (position, (name, member)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                canonical(member, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                canonical(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_that_of_canonical_json() {
        let (a, b) = (
            json!({ "b": [1, { "d": null, "c": "é\n" }], "a": true }),
            json!({ "a": true, "b": [1, { "c": "é\n", "d": null }] }),
        );
        assert_eq!(digest(&a), digest(&b));
        // printf '{"a":true,"b":[1,{"c":"é\\n","d":null}]}' | sha256sum
        assert_eq!(
            digest(&a),
            hex("{\"a\":true,\"b\":[1,{\"c\":\"é\\n\",\"d\":null}]}".as_bytes())
        );
        assert_ne!(
            digest(&a),
            digest(&json!({ "a": true, "b": [{ "c": "é\n", "d": null }, 1] }))
        );
    }

    #[test]
    fn token_is_bound_to_everything_it_stands_for() {
        let token = consent_token("n", "s", "t", "k");
        // printf 'airside-consent-v1\nn\ns\nt\nk' | sha256sum
        assert_eq!(token.len(), 64);
        for other in [
            ("m", "s", "t", "k"),
            ("n", "x", "t", "k"),
            ("n", "s", "x", "k"),
            ("n", "s", "t", "x"),
        ] {
            assert!(!same(
                &token,
                &consent_token(other.0, other.1, other.2, other.3)
            ));
        }
        assert!(same(&token, &consent_token("n", "s", "t", "k")) && !same(&token, ""));
    }
}
