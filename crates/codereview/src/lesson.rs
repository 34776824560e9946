//! What texts say of lessons: which change was taken back, and what has followed from it.

/// Shortest beginning of a commit id by which a file cites it.
pub const CITED: usize = 7;

/// Returns what a text says has followed from `change`: lines such as `Rule: no-shell`,
/// `Test: refuses_quotes` or `Decision: ADR 12`.
///
/// # Errors
///
/// What the text lacks.
pub fn learned(text: &str, change: &str) -> Result<Vec<String>, &'static str> {
    let is_commit = change.len() > CITED && change.bytes().all(|b| b.is_ascii_hexdigit());
    let cited = match is_commit {
        true => &change[..CITED],
        false => change,
    };
    if !has_word(text, cited, is_commit) {
        return Err("does not cite the change");
    }
    let named: Vec<String> = text.lines().filter_map(follows).take(20).collect();
    match named.is_empty() {
        true => Err("names no rule, test or decision that follows"),
        false => Ok(named),
    }
}

/// Returns the ids of the commits that a commit with this message takes back, by the line
/// that git writes.
#[must_use]
pub fn reverted(message: &str) -> Vec<String> {
    let mut ids: Vec<String> = message
        .split("This reverts commit ")
        .skip(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect())
        .filter(|id: &String| (CITED..=64).contains(&id.len()))
        .take(50)
        .collect();
    ids.dedup();
    ids
}

/// Returns whether `word` stands in `text` and does not go on to the left, nor to the
/// right unless `open`.
fn has_word(text: &str, word: &str, open: bool) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !part(before) && (open || !part(after))
    })
}

/// Returns what a line says has followed, if it says that.
fn follows(line: &str) -> Option<String> {
    let mark = |c: char| c.is_whitespace() || matches!(c, '*' | '-' | '_' | '#' | '>');
    let (key, value) = line.split_once(':')?;
    let key = key.trim_matches(mark).to_ascii_lowercase();
    let value: String = value.trim_matches(mark).chars().take(200).collect();
    let is_one = matches!(&*key, "rule" | "test" | "decision") && !value.is_empty();
    let is_empty = matches!(
        &*value.to_ascii_lowercase(),
        "none" | "todo" | "tbd" | "n/a" | "…"
    );
    (is_one && !is_empty).then(|| format!("{key}: {value}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMIT: &str = "4f2a91c0d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0";

    fn check(text: &str, change: &str, expected: Result<&[&str], &str>) {
        let found = learned(text, change);
        let found = found.as_ref().map(Vec::as_slice);
        match expected {
            Ok(named) => assert_eq!(found.unwrap(), named, "{text}"),
            Err(lacks) => assert!(found.unwrap_err().contains(lacks), "{text}"),
        }
    }

    #[test]
    fn file_pays_if_it_cites_the_change_and_names_what_follows() {
        let whole = "# Quotes\n\nCommit 4f2a91c was reverted.\n\n* **Rule:** `house-shell`\nTest: refuses_quotes\n";
        check(
            whole,
            COMMIT,
            Ok(&["rule: `house-shell`", "test: refuses_quotes"]),
        );
        check(
            "4f2a91c0d5e6\ndecision: ADR 12",
            COMMIT,
            Ok(&["decision: ADR 12"]),
        );
        check("Rule: x", COMMIT, Err("cite"));
        // Not the middle of another id.
        check("a4f2a91c\nRule: x", COMMIT, Err("cite"));
        check("4f2a91c was bad luck", COMMIT, Err("names no"));
        for nothing in ["Rule:", "Rule: TODO", "Test: none", "Rules: x", "A rule, x"] {
            check(&format!("4f2a91c\n{nothing}"), COMMIT, Err("names no"));
        }
        check("lot 2026-11\nRule: x", "2026-11", Ok(&["rule: x"]));
        check("lot 2026-11-b\nRule: x", "2026-11", Err("cite"));
    }

    #[test]
    fn reverted_commits_are_named_by_the_line_of_git() {
        let message = "Revert \"x\"\n\nThis reverts commit 4f2a91c0, reversing\nThis reverts commit 9999999.\n";
        assert_eq!(reverted(message), ["4f2a91c0", "9999999"]);
        for none in [
            "",
            "This reverts commit .",
            "This reverts commit zzz",
            "reverts 4f2a91c",
        ] {
            assert!(reverted(none).is_empty(), "{none}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_text_stops_the_reading(text in "(\\PC|4f2a91c|Rule: |This reverts commit |\n){0,60}") {
            let _ = learned(&text, COMMIT);
            let _ = reverted(&text);
        }
    }
}
