//! What of a call its keys are made of.
//!
//! # Invariants
//!
//! * Values that a client makes up are short and of one word: long ones and those
//!   with other characters are replaced by a digest, so that keys stay readable and
//!   bounded, and no two values meet.
//! * Who is behind a caller goes in as a digest or a pseudonym, never as it was said.

use std::borrow::Cow;

use airside_base::ServerId;
use airside_identity::{Caller, CallerKind};
use airside_mcp::{Call, header, raw};
use airside_policy::limit::Class;
use aws_lc_rs::digest::{Context, SHA256};
use http::HeaderMap;

/// Longest value that stands for itself, in bytes.
const MAX_VALUE: usize = 96;
/// What stands for a value that is not there.
const NONE: &str = "-";

/// A call, as far as limits look at it.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) caller: &'a Caller,
    /// What is known after routing.
    pub(crate) after: Option<After<'a>>,
}

/// What is known of a call after routing.
#[derive(Debug, Clone, Copy)]
pub struct After<'a> {
    /// Fields of its request.
    pub headers: &'a HeaderMap,
    /// What is said.
    pub call: &'a Call,
    /// Where it goes.
    pub aim: Aim<'a>,
}

/// Where a call goes.
#[derive(Debug, Clone, Copy)]
pub struct Aim<'a> {
    /// The server; none where several are asked.
    pub server: Option<&'a ServerId>,
    /// What is called, by the server's own name.
    pub name: Option<&'a str>,
    /// Whether it is known to change nothing.
    pub read_only: bool,
}

impl<'a> Scene<'a> {
    /// Returns the tool that is called.
    pub(crate) fn tool(&self) -> Option<&'a str> {
        let after = self.after?;
        match after.call.method() {
            "tools/call" => after.aim.name,
            _ => None,
        }
    }

    /// Returns the text of the key whose parts are `classes`.
    pub(crate) fn key(&self, classes: &[Class], market: Option<&str>) -> String {
        let mut text = String::with_capacity(64);
        for class in classes {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(class.as_str());
            text.push('=');
            text.push_str(&self.value(*class, market));
        }
        text
    }

    fn value(&self, class: Class, market: Option<&str>) -> Cow<'a, str> {
        let after = self.after.as_ref();
        match class {
            Class::Tenant => self.caller.tenant().as_str().into(),
            Class::Client => client(self.caller),
            Class::User => self.user(),
            Class::Session => self.session(),
            Class::Tool => word(self.tool().unwrap_or(NONE)),
            Class::Upstream => {
                let server = after.and_then(|after| after.aim.server);
                server.map_or(NONE, |server| server.as_str()).into()
            }
            Class::Market => {
                let arguments = after.and_then(|after| after.call.arguments());
                let found = market.zip(arguments).and_then(|(name, arguments)| {
                    let text = std::str::from_utf8(arguments).ok()?;
                    raw::string(raw::find(text, name)?)
                });
                match found {
                    Some(market) => Cow::Owned(word(&market.to_lowercase()).into_owned()),
                    None => NONE.into(),
                }
            }
        }
    }

    /// The subject that the issuer of a token vouches for, else what the client calls
    /// it. All users that nobody names are one.
    fn user(&self) -> Cow<'a, str> {
        if let Some(pseudonym) = self.caller.subject_pseudonym() {
            return word(pseudonym);
        }
        match self.meta("openai/subject") {
            Some(label) => self.pseudonym("user", label).into(),
            None => NONE.into(),
        }
    }

    fn session(&self) -> Cow<'a, str> {
        let headers = self.after.map(|after| after.headers);
        let id = headers.and_then(|headers| headers.get(&header::SESSION_ID));
        if let Some(id) = id.and_then(|id| id.to_str().ok()) {
            return self.pseudonym("session", id).into();
        }
        match self.meta("openai/session") {
            Some(label) => self.pseudonym("session", label).into(),
            None => self.user(),
        }
    }

    /// Returns a member of `_meta` as it was written.
    fn meta(&self, name: &str) -> Option<&'a str> {
        let call = self.after?.call;
        let meta = call.bytes().get(call.meta_span()?)?;
        raw::find(std::str::from_utf8(meta).ok()?, name)
    }

    /// A name for `label` of this caller that tells nobody else who it is.
    fn pseudonym(&self, kind: &str, label: &str) -> String {
        let caller = [self.caller.tenant().as_str(), self.caller.id()];
        digest(&[kind, caller[0], caller[1], label])
    }
}

/// The caller by what it proved: the OAuth client or the id, within kind and issuer.
fn client(caller: &Caller) -> Cow<'static, str> {
    let name = caller.client().unwrap_or(caller.id());
    let name = match caller.issuer() {
        Some(issuer) if caller.kind() != CallerKind::ApiKey => format!("{name}@{issuer}"),
        _ => name.to_owned(),
    };
    format!("{}/{}", caller.kind().as_str(), word(&name)).into()
}

/// Returns `value` if it is short and of one word, else its digest.
fn word(value: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_graphic();
    if (1..=MAX_VALUE).contains(&value.len()) && value.bytes().all(plain) && !value.starts_with('~')
    {
        return value.into();
    }
    digest(&["word", value]).into()
}

fn digest(parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    let mut text = String::with_capacity(33);
    text.push('~');
    for byte in &digest.as_ref()[..16] {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use airside_base::TenantId;
    use airside_identity::{Attestation, Claims};
    use airside_mcp::{Incoming, Limits};
    use bytes::Bytes;

    use super::*;

    fn caller() -> Caller {
        let tenant = TenantId::default();
        Caller::new(
            CallerKind::ApiKey,
            "ci",
            tenant,
            Attestation::ApiKey,
            Vec::new(),
        )
    }

    fn check(caller: &Caller, params: &str, classes: &[Class], expected: &str) {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let parsed = Incoming::parse(&Bytes::from(text), &Limits::DEFAULT).unwrap();
        let Incoming::Request(call) = parsed else {
            panic!("a request");
        };
        let server = "hotels".parse().unwrap();
        let headers = HeaderMap::new();
        let scene = Scene {
            caller,
            after: Some(After {
                headers: &headers,
                call: &call,
                aim: Aim {
                    server: Some(&server),
                    name: call.name(),
                    read_only: false,
                },
            }),
        };
        assert_eq!(scene.key(classes, Some("country")), expected);
    }

    #[test]
    fn key_names_what_it_is_made_of() {
        let search = r#"{"name":"search","arguments":{"country":"DE"}}"#;
        let all = [
            Class::Tenant,
            Class::Client,
            Class::Tool,
            Class::Market,
            Class::Upstream,
        ];
        check(
            &caller(),
            search,
            &all,
            "tenant=default client=api_key/ci tool=search market=de upstream=hotels",
        );
        let none = r#"{"name":"search","arguments":{"country":7}}"#;
        check(&caller(), none, &[Class::Market], "market=-");
    }

    #[test]
    fn user_is_never_written_as_it_was_said() {
        let said = r#"{"name":"search","_meta":{"openai/subject":"v1/ann"}}"#;
        let digest = digest(&["user", "default", "ci", "\"v1/ann\""]);
        let expected = format!("user={digest}");
        check(&caller(), said, &[Class::User], &expected);
        check(&caller(), r#"{"name":"s"}"#, &[Class::User], "user=-");
        let proved = caller().with_claims(Claims {
            subject: Some("ann@example.org".into()),
            subject_pseudonym: Some("p-1".into()),
            ..Claims::default()
        });
        check(&proved, said, &[Class::User], "user=p-1");
    }

    #[test]
    fn values_made_up_by_a_client_stay_short_and_apart() {
        let long = "x".repeat(5_000);
        assert_eq!(word(&long).len(), 33);
        assert_ne!(word(&long), word(&"x".repeat(5_001)));
        assert_ne!(word("two words"), "two words");
        // A digest cannot be said to be one.
        let digest = word(&long).into_owned();
        assert_ne!(word(&digest), digest);
        assert_eq!(word("search_hotels"), "search_hotels");
    }
}
