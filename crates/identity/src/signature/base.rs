//! What a signature covers (RFC 9421, section 2).

use std::{borrow::Cow, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sfv::{
    BareItem, Dictionary, InnerList, Item, ItemSerializer, List, ListEntry, ListSerializer, Parser,
};

/// Most components of one signature.
const MAX_COMPONENTS: usize = 32;

/// What `application/x-www-form-urlencoded` leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// A request, as its sender saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    /// `http` or `https`.
    pub(crate) scheme: &'a str,
    /// The host, in lower case, with its port where that is not the usual one.
    pub(crate) authority: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
}

/// A request, or the answer to one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) request: Request<'a>,
    /// Status and fields, if it is the answer.
    pub(crate) response: Option<(u16, &'a HeaderMap)>,
}

/// Why there is no base for a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// A component cannot be part of a signature, or of this one.
    #[error("`{0}` is not a component that can be signed here")]
    Component(String),
    /// A component is not in the message.
    #[error("the message has no `{0}`")]
    Absent(String),
    /// A component is covered twice, or there are too many.
    #[error("the covered components are not a set of at most {MAX_COMPONENTS}")]
    NotASet,
}

impl Message<'_> {
    /// Returns the signature base over `covered`.
    pub(crate) fn base(&self, covered: &InnerList) -> Result<String, BaseError> {
        if covered.items.len() > MAX_COMPONENTS {
            return Err(BaseError::NotASet);
        }
        let mut base = String::with_capacity(512);
        let mut known: Vec<String> = Vec::with_capacity(covered.items.len());
        for item in &covered.items {
            let name = written(item);
            if known.contains(&name) {
                return Err(BaseError::NotASet);
            }
            let value = self.value(item, &name)?;
            if value.contains(['\n', '\r']) {
                return Err(BaseError::Component(name));
            }
            let _ = writeln!(base, "{name}: {value}");
            known.push(name);
        }
        let params = written_list(covered);
        let _ = write!(base, "\"@signature-params\": {params}");
        Ok(base)
    }

    fn value(&self, item: &Item, written: &str) -> Result<String, BaseError> {
        let refused = || BaseError::Component(written.to_owned());
        let name = item.bare_item.as_string().ok_or_else(refused)?.as_str();
        let mut of_request = self.response.is_none();
        let (mut key, mut query_param) = (None, None);
        let (mut strict, mut binary) = (false, false);
        for (param, value) in &item.params {
            match (param.as_str(), value) {
                ("req", BareItem::Boolean(true)) if self.response.is_some() => of_request = true,
                ("key", BareItem::String(text)) => key = Some(text.as_str()),
                ("name", BareItem::String(text)) => query_param = Some(text.as_str()),
                ("sf", BareItem::Boolean(true)) => strict = true,
                ("bs", BareItem::Boolean(true)) => binary = true,
                _ => return Err(refused()),
            }
        }
        if name.starts_with('@') {
            if key.is_some()
                || strict
                || binary
                || query_param.is_some() != (name == "@query-param")
            {
                return Err(refused());
            }
            return match (name, self.response) {
                ("@status", Some((status, _))) if !of_request => Ok(status.to_string()),
                _ if of_request => self.request.derived(name, query_param).ok_or_else(refused),
                _ => Err(refused()),
            };
        }
        let headers = match self.response {
            Some((_, headers)) if !of_request => headers,
            _ => self.request.headers,
        };
        if query_param.is_some() || (binary && (strict || key.is_some())) {
            return Err(refused());
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refused());
        }
        let absent = || BaseError::Absent(written.to_owned());
        match (binary, key, strict) {
            (true, ..) => as_bytes(headers, name).ok_or_else(absent),
            (false, Some(key), _) => {
                let value = combined(headers, name).ok_or_else(absent)?;
                member(&value, key).ok_or_else(absent)
            }
            (false, None, true) => {
                let value = combined(headers, name).ok_or_else(absent)?;
                reserialised(name, &value).ok_or_else(refused)
            }
            (false, None, false) => combined(headers, name).ok_or_else(absent),
        }
    }
}

impl Request<'_> {
    /// Returns a derived component (section 2.2).
    fn derived(&self, name: &str, query_param: Option<&str>) -> Option<String> {
        let Self {
            scheme,
            authority,
            path,
            query,
            ..
        } = *self;
        let with_query = || match query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        Some(match name {
            "@method" => self.method.to_string(),
            "@authority" => authority.to_owned(),
            "@scheme" => scheme.to_owned(),
            "@path" => path.to_owned(),
            "@query" => format!("?{}", query.unwrap_or_default()),
            "@request-target" => with_query(),
            "@target-uri" => format!("{scheme}://{authority}{}", with_query()),
            "@query-param" => param(query?, query_param?)?,
            _ => return None,
        })
    }
}

/// The only query parameter whose name, encoded, is `wanted`; encoded as section 2.2.8
/// says.
fn param(query: &str, wanted: &str) -> Option<String> {
    let encode = |text: &str| percent_encode(text.as_bytes(), FORM).to_string();
    let mut found = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| encode(name) == wanted)
        .map(|(_, value)| encode(&value));
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

/// All fields of a name as one text (section 2.1).
pub(crate) fn combined(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut fields = headers.get_all(name).iter();
    let mut text = fields.next()?.to_str().ok()?.trim().to_owned();
    for field in fields {
        text.push_str(", ");
        text.push_str(field.to_str().ok()?.trim());
    }
    Some(text)
}

/// All fields of a name as byte sequences (section 2.1.3).
fn as_bytes(headers: &HeaderMap, name: &str) -> Option<String> {
    let fields = headers.get_all(name).iter();
    let encode =
        |field: &http::HeaderValue| format!(":{}:", STANDARD.encode(field.as_bytes().trim_ascii()));
    let fields: Vec<_> = fields.map(encode).collect();
    (!fields.is_empty()).then(|| fields.join(", "))
}

/// One member of a dictionary (section 2.1.2).
fn member(value: &str, key: &str) -> Option<String> {
    let dictionary: Dictionary = Parser::new(value).parse().ok()?;
    let entry = dictionary.get(key)?;
    let mut list = ListSerializer::new();
    list.members([entry]);
    list.finish()
}

/// A structured field in its canonical form (section 2.1.1). Only those whose type is
/// known can be.
fn reserialised(name: &str, value: &str) -> Option<String> {
    match name {
        "content-digest" | "repr-digest" | "signature" | "signature-input" | "priority" => {
            let dictionary: Dictionary = Parser::new(value).parse().ok()?;
            let mut out = sfv::DictSerializer::new();
            out.members(&dictionary);
            out.finish()
        }
        "client-cert-chain" => {
            let list: List = Parser::new(value).parse().ok()?;
            let mut out = ListSerializer::new();
            out.members(&list);
            out.finish()
        }
        "client-cert" => {
            let item: Item = Parser::new(value).parse().ok()?;
            Some(written(&item))
        }
        _ => None,
    }
}

/// An item as it is written.
pub(crate) fn written(item: &Item) -> String {
    let bare = ItemSerializer::new().bare_item(&item.bare_item);
    bare.parameters(
        item.params
            .iter()
            .map(|(name, value)| (name.as_ref(), value)),
    )
    .finish()
}

fn written_list(list: &InnerList) -> Cow<'static, str> {
    let mut out = ListSerializer::new();
    out.members([&ListEntry::InnerList(list.clone())]);
    out.finish().map_or(Cow::Borrowed("()"), Cow::Owned)
}
