//! The view that hosts of MCP Apps show for results (specification 2026-01-26).
//!
//! # Invariants
//!
//! * One page holds everything: nothing is loaded from anywhere, and its own policy
//!   says so for hosts that forget to.
//! * The page is the same for everybody and says nothing by itself; what it shows
//!   arrives from the host, as data.

use std::sync::LazyLock;

use airside_builtin::model::{
    JsonObject, MetaObject, ReadResourceResult, Resource, ResourceContents, Tool,
};
use serde_json::{Value, json};

/// Where tools say that the view is.
pub(crate) const URI: &str = "ui://airside/hotels.html";
/// What hosts take for a view.
const MIME: &str = "text/html;profile=mcp-app";
const DESCRIPTION: &str =
    "Hotels, rooms and prices to look through and choose from. It loads nothing from elsewhere.";

/// The page as it is served: without indentation and comments, which only its
/// authors need.
static PAGE: LazyLock<String> = LazyLock::new(|| {
    let needed = |line: &&str| {
        !line.is_empty()
            && !["//", "/* ", "/**", "* ", "*/"]
                .iter()
                .any(|mark| line.starts_with(mark))
    };
    let lines: Vec<_> = SOURCE.lines().map(str::trim).filter(needed).collect();
    lines.join("\n")
});

/// The page as it is written. Its parts share one module, in this order.
const SOURCE: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ",
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; ",
    "base-uri 'none'; form-action 'none'\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    "<title>Hotels</title>\n<style>\n",
    include_str!("../widget/style.css"),
    "</style>\n</head>\n<body>\n",
    "<main id=\"main\" aria-busy=\"true\" aria-labelledby=\"title\">\n",
    "<h1 id=\"title\" class=\"unseen\">Looking for hotels</h1>\n",
    "<div class=\"bone\"></div><div class=\"bone\"></div><div class=\"bone\"></div>\n</main>\n",
    "<p id=\"live\" class=\"unseen\" role=\"status\"></p>\n",
    "<script type=\"module\">\nconst VERSION = \"",
    env!("CARGO_PKG_VERSION"),
    "\";\n",
    include_str!("../widget/bridge.js"),
    include_str!("../widget/openai.js"),
    include_str!("../widget/format.js"),
    include_str!("../widget/dom.js"),
    include_str!("../widget/draw.js"),
    include_str!("../widget/results.js"),
    include_str!("../widget/rooms.js"),
    include_str!("../widget/consent.js"),
    include_str!("../widget/booking.js"),
    include_str!("../widget/manage.js"),
    include_str!("../widget/main.js"),
    "</script>\n</body>\n</html>\n",
);

/// Says that hosts may show the tool's results in the view, and that the view may
/// call the tool. The `openai/` members are for hosts that do not know MCP Apps.
pub(crate) fn linked(tool: Tool) -> Tool {
    seen_by(tool, &["model", "app"])
}

/// As [`linked`], for a tool that only the view may call: hosts keep it from models.
pub(crate) fn app_only(tool: Tool) -> Tool {
    seen_by(tool, &["app"])
}

fn seen_by(tool: Tool, visibility: &[&str]) -> Tool {
    let meta = json!({
        "ui": { "resourceUri": URI, "visibility": visibility },
        "openai/outputTemplate": URI,
        "openai/widgetAccessible": true,
    });
    tool.with_meta(MetaObject(object(meta)))
}

/// The view as `resources/list` shows it.
pub(crate) fn resource() -> Resource {
    let mut resource = Resource::new(URI, "hotels");
    resource.title = Some("Hotels".to_owned());
    resource.description = Some(DESCRIPTION.to_owned());
    resource.mime_type = Some(MIME.to_owned());
    resource.size = Some(PAGE.len() as u64);
    resource.meta = Some(meta());
    resource
}

/// The view as `resources/read` returns it.
pub(crate) fn read() -> ReadResourceResult {
    ReadResourceResult::new(vec![ResourceContents::TextResourceContents {
        uri: URI.to_owned(),
        mime_type: Some(MIME.to_owned()),
        text: PAGE.clone(),
        meta: Some(meta()),
    }])
}

/// What the page may do: nothing beyond talking to its host.
fn meta() -> MetaObject {
    let nothing: [&str; 0] = [];
    MetaObject(object(json!({
        "ui": {
            "csp": {
                "connectDomains": nothing,
                "resourceDomains": nothing,
                "frameDomains": nothing,
                "baseUriDomains": nothing,
            },
            "permissions": {},
            "prefersBorder": true,
        },
        "openai/widgetDescription": DESCRIPTION,
        "openai/widgetPrefersBorder": true,
    })))
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => unreachable!("metadata is an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_small_and_loads_nothing() {
        assert!(PAGE.len() < 64 * 1024, "{} bytes", PAGE.len());
        for bad in ["http://", "https://", "@import", "url(", " src=", "<link"] {
            let found: Vec<_> = PAGE.lines().filter(|line| line.contains(bad)).collect();
            let harmless = |line: &&str| {
                [
                    "www.w3.org/2000/svg",
                    "/url\\(/",
                    "startsWith(\"https://\")",
                ]
                .iter()
                .any(|known| line.contains(known))
            };
            assert!(found.iter().all(harmless), "{bad}: {found:?}");
        }
    }

    #[test]
    fn page_never_takes_text_for_markup() {
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "setHTML",
            "srcdoc",
            "DOMParser",
        ] {
            assert!(!PAGE.contains(sink), "{sink}");
        }
        assert_eq!(PAGE.matches("</script").count(), 1);
        assert_eq!(PAGE.matches("</style").count(), 1);
    }
}
