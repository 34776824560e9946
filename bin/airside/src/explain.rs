//! Explains error codes, from pages that are compiled in, and calls, from the ledger.

mod call;
mod pages;

use airside_base::{Fault, Kind};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::Out,
    text::nearest,
};

/// Prints the page of a code, or how a call was decided.
pub(crate) fn run(args: &cli::Explain, out: &mut Out) -> Result<(), Failure> {
    if let Some(id) = &args.call {
        return call::run(args, id, out);
    }
    let code = args.code.trim().to_uppercase();
    let Some((code, page)) = pages::PAGES.iter().find(|(known, _)| *known == code) else {
        return Err(unknown(&code));
    };
    if out.is_json() {
        return out.json_pretty(&json!({ "code": code, "page": page }));
    }
    out.raw(page)
}

fn unknown(code: &str) -> Failure {
    let fault = Fault::new(
        Kind::NotFound,
        "CLI-009",
        format!("there is no error code `{code}`"),
    );
    let hint = match nearest(code, pages::PAGES.iter().map(|(known, _)| *known)) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "codes look like CFG-003 and stand in brackets after `error`".to_owned(),
    };
    Failure::new(Exit::Usage, fault.with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::pages::PAGES;

    #[test]
    fn pages_are_sorted_and_titled_by_their_code() {
        assert!(PAGES.is_sorted_by_key(|(code, _)| *code));
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}: ")), "{code}");
            assert!(page.contains("\n## Cause\n"), "{code}");
            assert!(page.contains("\n## What to do\n"), "{code}");
        }
    }
}
