//! The way of values through a program, from outside to where they do harm.
//!
//! # Invariants
//!
//! * Each function is looked at alone and gives a summary; summaries are joined in rounds
//!   of bounded number, so the work is linear in the program.
//! * The result does not depend on the order of files or threads.
//! * A value is `proven` only if every step of its way was read: a tool's argument, calls
//!   whose function is known, assignments. Everything else is at most `likely`.

mod call;
mod entry;
mod evaluate;
mod guard;
pub(crate) mod ir;
mod lower;
mod pattern;
mod program;
mod report;
pub(crate) mod value;

pub(crate) use report::{Scan, scan};

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::scan;
    use crate::{
        rules::Rules,
        source::{Language, Skip, Source},
    };

    static RULES: LazyLock<Rules> = LazyLock::new(Rules::builtin);

    /// Beginnings and ends of everything, in no order that makes sense.
    const WORDS: [&str; 40] = [
        "def ", "f(", "x", "\"", "'", "`", "${", "{", "}", "(", ")", "=>", "class ", "async ",
        "@tool ", "\n", "    ", "f\"", "é", "import ", "from ", ".", "/", "#", "fn ", "pub ",
        "format!(", "\"{x}", "match ", "if ", "else ", ":", "=", "+", "func ", "return ", "\\",
        "switch", "case ", "<T>",
    ];

    fn source(language: Language, text: String) -> Source {
        Source {
            path: "a".to_owned(),
            language,
            text: text.into_bytes(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn no_text_stops_the_scan(
            words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..300),
        ) {
            let text = words.concat();
            for language in Language::ALL {
                scan(&[source(language, text.clone())], &RULES);
            }
        }
    }

    #[test]
    fn function_of_many_branches_and_names_is_cut_and_told() {
        let branches =
            (0..20_000).map(|n| format!("    v{n} = a\n    if v{n}:\n        v{n} = 1\n"));
        let text = format!("def f(a):\n{}", branches.collect::<String>());
        let found = scan(&[source(Language::Python, text)], &RULES);
        assert_eq!(found.skipped, [(Skip::TooSlow, "a".to_owned())]);
    }

    #[test]
    fn tree_that_is_too_deep_is_left_out_and_told() {
        let text = format!("f({}a{})", "h(".repeat(5_000), ")".repeat(5_000));
        let found = scan(&[source(Language::Javascript, text)], &RULES);
        assert_eq!(found.skipped, [(Skip::Syntax, "a".to_owned())]);
    }
}
