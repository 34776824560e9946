//! Shared recordings: 4,058 conversations of AgentDojo, 552 of tau and tau2, 25,792
//! answers of the function-calling leaderboard.

use std::path::PathBuf;

use airside_evals::recordings::{Agreement, compare};

/// Returns the folder of shared evaluation data. A clone without it has nothing to
/// test with; where the tests count, it has to be there.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("AIRSIDE_SHARED").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = shared.unwrap_or_else(beside).join("data/evals").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing",
        folder.display()
    );
    None
}

fn check(name: &str, conversations: usize, invalid: usize, exempt: usize) -> Option<Agreement> {
    let agreement = compare(&folder(name)?).expect("the recordings can be read");
    let few: Vec<_> = agreement.differ.iter().take(20).collect();
    assert!(
        few.is_empty(),
        "{} differ: {few:#?}",
        agreement.differ.len()
    );
    assert_eq!(agreement.agree, agreement.compared);
    assert_eq!(agreement.conversations, conversations);
    let found: usize = agreement.invalid.values().map(Vec::len).sum();
    assert_eq!(found, invalid, "{:?}", agreement.invalid);
    assert_eq!(agreement.exempt.len(), exempt, "{:#?}", agreement.exempt);
    Some(agreement)
}

#[test]
fn verdicts_of_agentdojo_are_those_recorded() {
    // Twelve conversations died with an error of the provider. The five that were scored
    // under earlier checks differ in one verdict each.
    check("agentdojo-travel", 4058, 12, 5);
}

#[test]
fn rewards_of_tau_are_those_recorded() {
    // One submission of 41 conversations has its tasks scrambled.
    check("tau-airline", 552, 41, 0);
}

#[test]
fn validity_on_the_function_calling_leaderboard_is_that_recorded() {
    check("bfcl", 25_792, 0, 0);
}
