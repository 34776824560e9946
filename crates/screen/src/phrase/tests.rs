use super::*;

#[test]
fn every_word_and_pattern_is_usable() {
    for (index, phrase) in PHRASES.iter().enumerate() {
        assert!((1..=3).contains(&phrase.weight));
        for word in phrase.words() {
            assert!(
                !word.is_empty() && word == word.to_ascii_lowercase(),
                "{word}"
            );
        }
        assert!(
            !COMPILED.patterns[index].is_match(b""),
            "{}",
            phrase.pattern
        );
        assert!(!phrase.pattern.contains("{USER") || compile(phrase).as_str().contains("users"));
    }
    assert!(
        RULES
            .iter()
            .all(|rule| PHRASES.iter().any(|phrase| phrase.rule == *rule))
    );
    assert!(RULES.is_sorted_by_key(|rule| rule.group));
}
