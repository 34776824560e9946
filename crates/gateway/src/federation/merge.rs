//! Lists of several servers made into one, and lists cut to what a caller may use.
//!
//! # Invariants
//!
//! * Pure: same lists, same audience, same text. The order is that of the servers
//!   in the endpoint and, within each, its own.
//! * Items keep every byte except names and resource URIs ([`super::names`]).
//! * What an audience may not see is not in the list, and a list that was made for
//!   one audience is never marked `public`.

use airside_base::ServerId;
use airside_mcp::{raw, reply::List};

use super::{
    audience::{Audience, Item},
    names,
};
use crate::catalog::Facts;

/// Name of the result's `_meta` member that lists servers which did not answer.
pub(crate) const UNAVAILABLE: &str = "airside/unavailable";

/// Returns the member of an item that names it.
const fn key(list: List) -> &'static str {
    match list {
        List::Tools | List::Prompts => "name",
        List::Resources => "uri",
        List::ResourceTemplates => "uriTemplate",
    }
}

/// Places in a tool's or result's `_meta` that hold the URI of an MCP App:
/// the specification's and two older ones that hosts still read.
pub(crate) const APP_URIS: [&[&str]; 3] = [
    &["ui", "resourceUri"],
    &["ui/resourceUri"],
    &["openai/outputTemplate"],
];

/// One page of one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) server: &'a ServerId,
    /// Text of the `result` member of its answer.
    pub(crate) result: &'a str,
    /// What is left of the time that it may be kept.
    pub(crate) freshness: Freshness,
}

/// What a merged page is made of.
pub(crate) struct Merge<'a> {
    pub(crate) list: List,
    pub(crate) pages: &'a [Page<'a>],
    /// Servers that were asked and did not answer.
    pub(crate) unavailable: &'a [ServerId],
    pub(crate) audience: &'a Audience,
    pub(crate) next: Option<String>,
    /// Text of Airside's `serverInfo` for results of the stateless revision; none
    /// leaves out what only that revision has.
    pub(crate) server_info: Option<&'a str>,
}

impl Merge<'_> {
    /// Returns the items as the text of an array.
    pub(crate) fn items(&self) -> String {
        let size: usize = self.pages.iter().map(|page| page.result.len() + 256).sum();
        let mut out = String::with_capacity(size);
        out.push('[');
        for page in self.pages {
            for item in items(self.list, page.server, page.result) {
                if !self.audience.sees(&item.described()) {
                    continue;
                }
                if out.len() > 1 {
                    out.push(',');
                }
                out.push_str(&item.tagged());
            }
        }
        out.push(']');
        out
    }

    /// Returns the text of the merged `result` with these `items`.
    pub(crate) fn finish(&self, items: &str) -> String {
        let mut out = format!("{{\"{}\":{items}", self.list.member());
        if let Some(next) = &self.next {
            out.push_str(",\"nextCursor\":");
            out.push_str(&raw::quote(next));
        }
        self.hints(&mut out);
        out
    }

    fn hints(&self, out: &mut String) {
        let mut meta = Vec::new();
        if let Some(info) = self.server_info {
            let (ttl_ms, public) = self.caching();
            let scope = if public { "public" } else { "private" };
            out.push_str(",\"resultType\":\"complete\",\"ttlMs\":");
            out.push_str(&ttl_ms.to_string());
            out.push_str(",\"cacheScope\":\"");
            out.push_str(scope);
            out.push('"');
            meta.push(format!("\"io.modelcontextprotocol/serverInfo\":{info}"));
        }
        if !self.unavailable.is_empty() {
            let names: Vec<_> = (self.unavailable.iter())
                .map(|server| raw::quote(server.as_str()))
                .collect();
            meta.push(format!("\"{UNAVAILABLE}\":[{}]", names.join(",")));
        }
        if !meta.is_empty() {
            out.push_str(",\"_meta\":{");
            out.push_str(&meta.join(","));
            out.push('}');
        }
        out.push('}');
    }

    /// The whole may be kept as long as its most perishable part. An incomplete list
    /// is not to be kept at all.
    fn caching(&self) -> (u64, bool) {
        let mut ttl_ms = if self.unavailable.is_empty() {
            u64::MAX
        } else {
            0
        };
        let mut public = self.audience.is_everyone();
        for page in self.pages {
            let hint = page.freshness;
            ttl_ms = ttl_ms.min(hint.ttl_ms);
            public &= hint.public;
        }
        let none = self.pages.is_empty();
        (if none { 0 } else { ttl_ms }, public && !none)
    }
}

/// How long a result may be kept, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// Zero also when the result does not say.
    pub(crate) ttl_ms: u64,
    pub(crate) public: bool,
}

impl Freshness {
    /// Reads the hints of a result.
    pub(crate) fn of(result: &str) -> Self {
        let stale = Self {
            ttl_ms: 0,
            public: false,
        };
        let Ok(members) = raw::members(result) else {
            return stale;
        };
        let ttl_ms = raw::only(&members, "ttlMs").and_then(|text| text.parse().ok());
        let scope = raw::only(&members, "cacheScope").and_then(raw::string);
        Self {
            ttl_ms: ttl_ms.unwrap_or(0),
            public: scope.as_deref() == Some("public"),
        }
    }
}

/// Cuts the list in `result` to what `audience` may see. None: nothing has to change.
pub(crate) fn cut(
    list: List,
    server: &ServerId,
    result: &str,
    audience: &Audience,
) -> Option<String> {
    let array = raw::find(result, list.member())?;
    let total = raw::elements(array).ok()?.len();
    let seen: Vec<_> = (items(list, server, result).into_iter())
        .filter(|item| audience.sees(&item.described()))
        .collect();
    let mut edits = raw::Edits::default();
    if seen.len() != total {
        let kept: Vec<_> = seen.iter().map(|item| item.text).collect();
        edits.replace(result, array, format!("[{}]", kept.join(",")));
    }
    if let Some(scope) = raw::find(result, "cacheScope")
        && raw::string(scope).as_deref() == Some("public")
    {
        edits.replace(result, scope, raw::quote("private"));
    }
    (!edits.is_empty()).then(|| edits.apply(result))
}

/// One item of a list.
pub(crate) struct Listed<'a> {
    server: &'a ServerId,
    list: List,
    pub(crate) text: &'a str,
    pub(crate) name: String,
    raw_name: &'a str,
}

/// Returns the items of a page that can be named without doubt.
pub(crate) fn items<'a>(list: List, server: &'a ServerId, result: &'a str) -> Vec<Listed<'a>> {
    let elements = raw::find(result, list.member())
        .and_then(|list| raw::elements(list).ok())
        .unwrap_or_default();
    let mut items = Vec::with_capacity(elements.len());
    for text in elements {
        let raw_name = raw::find(text, key(list));
        let name = raw_name.and_then(raw::string);
        match (raw_name, name) {
            (Some(raw_name), Some(name)) => items.push(Listed {
                server,
                list,
                text,
                name,
                raw_name,
            }),
            _ => tracing::warn!(
                server.id = %server,
                list = list.member(),
                "an item without one clear name was left out"
            ),
        }
    }
    items
}

impl Listed<'_> {
    /// Returns what a decision about it needs.
    pub(crate) fn described(&self) -> Item<'_> {
        Item {
            server: self.server,
            method: match self.list {
                List::Tools => "tools/call",
                List::Prompts => "prompts/get",
                List::Resources | List::ResourceTemplates => "resources/read",
            },
            name: &self.name,
            facts: match self.list {
                List::Tools => Facts::of_tool(self.text),
                List::Prompts | List::Resources | List::ResourceTemplates => Facts::reading(),
            },
        }
    }

    /// Returns its text with the names that are used outside.
    fn tagged(&self) -> String {
        let mut edits = raw::Edits::default();
        let name = match self.list {
            List::Tools | List::Prompts => names::tag(self.server, &self.name),
            List::Resources | List::ResourceTemplates => names::tag_uri(self.server, &self.name),
        };
        edits.replace(self.text, self.raw_name, raw::quote(&name));
        if let Some(meta) = raw::find(self.text, "_meta") {
            tag_app_uris(&mut edits, self.server, self.text, meta);
        }
        edits.apply(self.text)
    }
}

/// Rewrites the MCP App URIs of `meta`, a slice of `whole`.
pub(crate) fn tag_app_uris(edits: &mut raw::Edits, server: &ServerId, whole: &str, meta: &str) {
    for path in APP_URIS {
        if let Some(value) = raw::at(meta, path)
            && let Some(uri) = raw::string(value)
        {
            edits.replace(whole, value, raw::quote(&names::tag_uri(server, &uri)));
        }
    }
}

#[cfg(test)]
mod tests;
