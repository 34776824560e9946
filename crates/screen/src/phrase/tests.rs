use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    string::bytes_regex,
    test_runner::TestRunner,
};

use super::*;

#[test]
fn every_pattern_is_usable() {
    for (index, phrase) in PHRASES.iter().enumerate() {
        assert!((1..=3).contains(&phrase.weight));
        assert!(
            COMPILED.patterns[index].find(b"", 0..0).is_none(),
            "{}",
            phrase.pattern
        );
    }
    assert!(
        RULES
            .iter()
            .all(|rule| PHRASES.iter().any(|phrase| phrase.rule == *rule))
    );
    assert!(RULES.is_sorted_by_key(|rule| rule.group));
}

#[test]
fn every_match_holds_a_word() {
    let mut runner = TestRunner::deterministic();
    for (phrase, pattern) in PHRASES.iter().zip(&COMPILED.patterns) {
        // Anchors cannot be generated: texts that are not where they ask do not match.
        let anchors = [
            (r"\b", ""),
            ("(?:^|", "(?:"),
            (r"|^\s", r"|\s"),
            (r"}$", "}"),
        ];
        let written = anchors
            .iter()
            .fold(parts(phrase.pattern), |text, (from, to)| {
                text.replace(from, to)
            });
        let written = written.trim_start_matches('^');
        let texts = bytes_regex(&format!("(?i-u){written}")).unwrap();
        let words = words::of(&parsed(phrase, false)).unwrap();
        for _ in 0..20 {
            let text = texts.new_tree(&mut runner).unwrap().current();
            let Some(at) = pattern.find(&text, 0..text.len()) else {
                continue;
            };
            let said = text[at].to_ascii_lowercase();
            let holds = |word: &Vec<u8>| said.windows(word.len()).any(|part| part == word);
            assert!(words.iter().any(holds), "{:?}", text.escape_ascii());
        }
    }
}
