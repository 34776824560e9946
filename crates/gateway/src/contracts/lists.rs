//! Lists and introductions as texts, shown as they were accepted.
//!
//! # Invariants
//!
//! * Every byte outside what is replaced is the server's.

use std::collections::{BTreeSet, HashMap};

use airside_contracts::{Definition, Rules};
use airside_mcp::raw;

use super::{GATEWAY, Item, Listing, Server, Shown};

/// Most views of a server whose content is read.
const MAX_VIEWS: usize = 32;

/// Returns the URIs of the views in pages of a list of tools, as many as are read.
pub(crate) fn views(pages: &[String]) -> BTreeSet<String> {
    let mut uris = BTreeSet::new();
    for page in pages {
        for item in elements(page) {
            if let Ok(definition) = Definition::read(item) {
                uris.extend(definition.views().into_iter().map(str::to_owned));
            }
        }
    }
    uris.into_iter().take(MAX_VIEWS).collect()
}

/// Returns what callers of `class` are shown of `pages`, results of `tools/list`; none for
/// a page that is shown as it is.
pub(crate) fn lists(
    server: &Server,
    class: &str,
    pages: &[&str],
    listing: Listing<'_>,
) -> Vec<Option<String>> {
    let elements: Vec<Vec<&str>> = pages.iter().map(|page| elements(page)).collect();
    let names: Vec<Option<String>> = (elements.iter().flatten())
        .map(|text| raw::find(text, "name").and_then(raw::string))
        .collect();
    let items: Vec<_> = (elements.iter().flatten().zip(&names))
        .map(|(text, name)| Item {
            name: name.as_deref().filter(|name| !name.is_empty()),
            text,
        })
        .collect();
    let mut shown = server.settle(class, &items, listing).into_iter();
    let shown = elements.iter().zip(pages).map(|(elements, page)| {
        let shown: Vec<_> = shown.by_ref().take(elements.len()).collect();
        if shown.iter().all(|shown| *shown == Shown::Keep) {
            return None;
        }
        let kept = elements
            .iter()
            .zip(&shown)
            .filter_map(|(text, shown)| match shown {
                Shown::Keep => Some(*text),
                Shown::Instead(old) => Some(&**old),
                Shown::Out => None,
            });
        let array = raw::find(page, "tools")?;
        let mut edits = raw::Edits::default();
        let kept: Vec<_> = kept.collect();
        edits.replace(page, array, format!("[{}]", kept.join(",")));
        Some(edits.apply(page))
    });
    shown.collect()
}

fn elements(page: &str) -> Vec<&str> {
    let list = raw::find(page, "tools");
    list.and_then(|list| raw::elements(list).ok())
        .unwrap_or_default()
}

/// Returns `result`, in which a server introduces itself, with the instructions that were
/// accepted; none if those are in it.
pub(crate) fn introduction(server: &Server, result: &str, rules: &Rules) -> Option<String> {
    let definition = Definition::of_server(result).ok()?;
    let item = Item {
        name: Some(""),
        text: definition.text(),
    };
    let listing = Listing {
        complete: false,
        views: &HashMap::new(),
        rules,
    };
    let accepted = match server.settle(GATEWAY, &[item], listing).pop()? {
        Shown::Keep => return None,
        Shown::Out => None,
        Shown::Instead(text) => raw::find(&text, "instructions").map(str::to_owned),
    };
    let said = raw::find(result, "instructions");
    let accepted = accepted.unwrap_or_else(|| "\"\"".to_owned());
    let mut edits = raw::Edits::default();
    match said {
        Some(said) => edits.replace(result, said, accepted),
        None => edits.add_member(result, result, "instructions", &accepted),
    }
    Some(edits.apply(result))
}
