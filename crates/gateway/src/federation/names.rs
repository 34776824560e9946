//! How things of several servers are told apart behind one endpoint.
//!
//! | What | Upstream says | Client sees |
//! | --- | --- | --- |
//! | tool, prompt | `search` | `<server>_search` |
//! | task id | `786f` | `<server>_786f` |
//! | MCP App resource | `ui://map/view.html` | `ui://<server>_map/view.html` |
//! | any other URI or template | `file:///a/{b}` | `mcp.<server>+file:///a/{b}` |
//! | event id, id of a server's request | see [`tag`] | `<server>_…` |
//!
//! # Invariants
//!
//! * A server name has no `_` and no `+` ([`airside_base::ServerId`]), so the first
//!   of them ends it and every name leads back to exactly one server and to exactly
//!   the bytes that the server used.
//! * `ui://` stays the scheme of MCP Apps, since hosts decide by it. Other schemes
//!   are changed, so that a client does not take `https://…` of a server for
//!   something it may fetch past the gateway.

use airside_base::ServerId;

const UI: &str = "ui://";
const OTHER: &str = "mcp.";

/// Returns `name` as it is called outside.
pub(crate) fn tag(server: &ServerId, name: &str) -> String {
    format!("{server}_{name}")
}

/// Returns the server and its own name for something that [`tag`] has named.
pub(crate) fn untag(name: &str) -> Option<(&str, &str)> {
    name.split_once('_')
        .filter(|(server, _)| !server.is_empty())
}

/// Returns a URI or URI template as it is called outside.
pub(crate) fn tag_uri(server: &ServerId, uri: &str) -> String {
    match uri.strip_prefix(UI) {
        Some(rest) => format!("{UI}{server}_{rest}"),
        None => format!("{OTHER}{server}+{uri}"),
    }
}

/// Returns the server and its own URI for something that [`tag_uri`] has named.
pub(crate) fn untag_uri(uri: &str) -> Option<(&str, String)> {
    if let Some(rest) = uri.strip_prefix(UI) {
        let (server, rest) = untag(rest)?;
        return Some((server, format!("{UI}{rest}")));
    }
    let (server, uri) = uri.strip_prefix(OTHER)?.split_once('+')?;
    (!server.is_empty()).then(|| (server, uri.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_as_documented() {
        let server: ServerId = "wx-1".parse().unwrap();
        assert_eq!(tag(&server, "get_it"), "wx-1_get_it");
        assert_eq!(untag("wx-1_get_it"), Some(("wx-1", "get_it")));
        assert_eq!(tag_uri(&server, "ui://map/v.html"), "ui://wx-1_map/v.html");
        assert_eq!(tag_uri(&server, "test://{id}"), "mcp.wx-1+test://{id}");
        for foreign in [
            "search",
            "_x",
            "https://example.com/a_b",
            "ui://map",
            "mcp.x",
        ] {
            assert_eq!(untag_uri(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn every_name_leads_back(server in "[a-z0-9][a-z0-9-]{0,20}", name in any::<String>()) {
            let id: ServerId = server.parse().unwrap();
            let (tagged, uri) = (tag(&id, &name), tag_uri(&id, &name));
            prop_assert_eq!(untag(&tagged), Some((server.as_str(), name.as_str())));
            prop_assert_eq!(untag_uri(&uri), Some((server.as_str(), name)));
        }
    }
}
