//! Prints what the rules find in the labelled data, and what that costs.
//!
//!   cargo run --release -p airside-screen --example detection [-- --flagged|--missed]
//!
//! The data are looked for in `$AIRSIDE_SHARED`, by default beside the repository.

#[path = "../tests/it/labelled.rs"]
mod labelled;

use std::{hint::black_box, time::Duration};

use airside_screen::{Group, Groups, definition, text};
use labelled::{Sample, Share};

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what this program is for"
)]
fn main() {
    let Some(samples) = labelled::samples() else {
        eprintln!(
            "there are no labelled data in {}",
            labelled::shared().display()
        );
        return;
    };
    match std::env::args().nth(1).as_deref() {
        // Only of the half that rules may be written from.
        Some("--flagged") => show(&samples, |sample| sample.is_flagged() && !sample.malicious),
        Some("--missed") => show(&samples, |sample| !sample.is_flagged() && sample.malicious),
        _ => {
            println!("{:<58} {:>20} {:>20}", "", "half looked at", "other half");
            for (name, [seen, unseen]) in labelled::measure(&samples) {
                println!("{name:<58} {:>20} {:>20}", line(seen), line(unseen));
            }
            results();
            cost(&samples);
        }
    }
}

fn line(share: Share) -> String {
    format!(
        "{} of {} {:5.1} %",
        share.flagged,
        share.all,
        share.percent()
    )
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn show(samples: &[Sample], wanted: impl Fn(&Sample) -> bool) {
    for sample in samples
        .iter()
        .filter(|sample| sample.seen && wanted(sample))
    {
        let found: Vec<_> = match &sample.tool {
            Some(tool) => definition(tool)
                .into_iter()
                .map(|found| found.hit)
                .collect(),
            None => text(&sample.text, Groups::DEFINITION, &|| {
                airside_screen::card::About::Nothing
            }),
        };
        let rules: Vec<_> = found.iter().map(|hit| hit.rule.id).collect();
        let start: String = sample.text.chars().take(220).collect();
        println!("{} {} {rules:?} {start:?}", sample.category, sample.id);
    }
}

/// Texts of other sets: what tools answered, with and without attacks in it.
#[expect(clippy::print_stdout, reason = "what this program is for")]
fn results() {
    let mut shares = std::collections::BTreeMap::<String, Share>::new();
    for (file, field) in [
        ("agentdojo_tool_outputs", "injected"),
        ("other_texts", "label"),
        ("benign_travel_tool_outputs", "label"),
    ] {
        let lines = labelled::lines(&format!("data/evals/injection/{file}.jsonl.gz"));
        for record in lines.unwrap_or_default() {
            let attack = record[field].as_bool().unwrap_or(record[field] == 1);
            let of = ["attack", "attack_family", "family", "source", "kind"]
                .iter()
                .find_map(|key| record[*key].as_str())
                .unwrap_or("");
            let content = ["text", "content", "output"]
                .iter()
                .find_map(|key| record[*key].as_str())
                .unwrap_or("");
            let label = if attack { "attacks" } else { "harmless" };
            let flagged = !text(content, Groups::DEFINITION, &|| {
                airside_screen::card::About::Nothing
            })
            .is_empty();
            shares
                .entry(format!("{label}: {file} {of}"))
                .or_default()
                .add(flagged);
        }
    }
    for (name, share) in shares {
        println!("{name:<58} {:>20}", line(share));
    }
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
#[expect(clippy::disallowed_methods, reason = "a measurement of time")]
fn cost(samples: &[Sample]) {
    let all: Vec<&str> = samples.iter().map(|sample| sample.text.as_str()).collect();
    let mut blocks = vec![String::new()];
    for text in all {
        let last = blocks.last_mut().expect("there is one");
        last.push_str(text);
        last.push(' ');
        if last.len() > 1024 {
            blocks.push(String::new());
        }
    }
    let plain = r#"The room has a view of the harbour, two single beds and a desk. Breakfast is served from 7 to 10.30; the reception is open all day. Order 2026-1123-77, total 412.50 EUR. "#.repeat(6);
    let harmless: Vec<String> = vec![plain];
    for (name, texts) in [("labelled texts", &blocks), ("a harmless text", &harmless)] {
        for group in Group::ALL {
            report(name, group.as_str(), texts, Groups::NONE.with(group));
        }
        report(name, "all groups", texts, Groups::ALL);
    }

    fn report(name: &str, what: &str, texts: &[String], groups: Groups) {
        let bytes: usize = texts.iter().map(String::len).sum();
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let started = std::time::Instant::now();
            let rounds = (2_000_000 / bytes).max(1);
            for _ in 0..rounds {
                for input in texts {
                    black_box(text(input, groups, &|| {
                        airside_screen::card::About::Nothing
                    }));
                }
            }
            let rounds = u32::try_from(rounds).expect("few");
            best = best.min(started.elapsed() / rounds);
        }
        let us = best.as_secs_f64() * 1e6 / (bytes as f64 / 1024.0);
        println!("{name}, {what}: {us:.2} us for each KiB");
    }
}
