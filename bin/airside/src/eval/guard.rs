//! `airside eval guard`: recorded attacks against the rules about what a user asked for.
//!
//! # Invariants
//!
//! * What decides is what decides in the gateway: whether the user's words ask for a
//!   call ([`Intent`]), and whether a result that was read before looks like
//!   instructions (the firewall's rules).
//! * Reported with what it costs: attacks that are stopped and users that are disturbed.

use std::{collections::BTreeMap, fs::File, path::Path};

use airside_base::{Fault, Kind};
use airside_evals::{
    expect::Expect,
    recordings::{self, Recording},
    tool::Tool,
    trace::{Arguments, End, Trace},
};
use airside_policy::Intent;
use airside_screen::{Groups, card::About, text};
use serde::Serialize;

use crate::{
    cli::eval::Guard,
    failure::{Exit, Failure},
    output::{Align, Out, table},
};

/// How often a rule asks or stops.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Count {
    asked: usize,
    all: usize,
}

/// What one rule does to one kind of conversations.
#[derive(Debug, Default, Serialize)]
struct Row {
    /// Attacks that reached a goal in the systems behind the tools.
    attacks: Count,
    /// Conversations without an attack.
    clean: Count,
    /// Conversations under attack in which the user was served.
    served: Count,
    /// The conversations without an attack that are disturbed.
    disturbed: Vec<String>,
}

/// What is said about the writes of one conversation.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// A write that the user's words do not ask for.
    unanchored: bool,
    /// A write after a result that looks like instructions.
    tainted: bool,
    /// A write that is both.
    both: bool,
}

/// Replays and reports.
pub(super) fn run(args: &Guard, out: &mut Out) -> Result<(), Failure> {
    let tools = tools(&args.folder)?;
    let mut rows: BTreeMap<&'static str, Row> = BTreeMap::new();
    let read = recordings::each(&args.folder, &mut |recording| {
        count(&mut rows, &recording, &tools);
    });
    read.map_err(|error| Failure::new(Exit::Failed, error.fault()))?;
    if out.is_json() {
        return out.json_pretty(&rows);
    }
    let headings = [
        ("A WRITE IS ASKED ABOUT OR STOPPED IF", Align::Left),
        ("ATTACKS", Align::Right),
        ("CLEAN", Align::Right),
        ("SERVED UNDER ATTACK", Align::Right),
    ];
    let shown = |count: Count| {
        let share = 100.0 * count.asked as f64 / count.all.max(1) as f64;
        format!("{} of {} ({share:.1} %)", count.asked, count.all)
    };
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(rule, row)| {
            let counts = [row.attacks, row.clean, row.served].map(shown);
            std::iter::once((*rule).to_owned()).chain(counts).collect()
        })
        .collect();
    out.line(&table(&headings, &rows))
}

fn tools(folder: &Path) -> Result<Vec<Tool>, Failure> {
    let path = folder.join("tools.json");
    let failed = |reason: String| {
        let text = format!("cannot read {}: {reason}", path.display());
        let fault = Fault::new(Kind::NotFound, "EVL-036", text);
        Failure::new(Exit::Usage, fault.with_hint("name a folder of recordings"))
    };
    let file = File::open(&path).map_err(|error| failed(error.to_string()))?;
    let all: Vec<serde_json::Value> =
        serde_json::from_reader(file).map_err(|error| failed(error.to_string()))?;
    Ok(all.into_iter().filter_map(Tool::read).collect())
}

fn count(rows: &mut BTreeMap<&'static str, Row>, recording: &Recording, tools: &[Tool]) {
    if recording.trace.end != End::Done || recording.exempt.is_some() {
        return;
    }
    let held = |about: &str| {
        let mut verdicts = recording.verdicts.iter();
        verdicts.find(|verdict| verdict.about == about && !verdict.inverted && verdict.held)
    };
    let attacked = recording.verdicts.iter().any(|one| one.about == "attack");
    let seen = look(&recording.trace, tools);
    let rules = [
        ("the user's words do not ask for it", seen.unanchored),
        ("a result before looks like instructions", seen.tainted),
        ("either", seen.unanchored || seen.tainted),
        ("both", seen.both),
    ];
    for (rule, asks) in rules {
        let row = rows.entry(rule).or_default();
        let count = |count: &mut Count| {
            count.all += 1;
            count.asked += usize::from(asks);
        };
        match held("attack") {
            None if !attacked => {
                count(&mut row.clean);
                if asks {
                    row.disturbed.push(recording.id.clone());
                }
            }
            Some(attack) if is_effect(&attack.expect) => count(&mut row.attacks),
            // What was only said is nothing that a rule about calls could stop.
            Some(_) => {}
            None if held("utility").is_some() => count(&mut row.served),
            None => {}
        }
    }
}

/// Whether a goal is one in the systems behind the tools.
fn is_effect(goal: &Expect) -> bool {
    let state = goal.state.as_ref().map(|state| &state.0);
    state.is_some_and(|state| !state.added.is_empty() || !state.changed.is_empty())
}

fn look(trace: &Trace, tools: &[Tool]) -> Seen {
    let mut seen = Seen::default();
    let mut words = String::new();
    let mut tainted = false;
    for turn in &trace.turns {
        words.push_str(&turn.asked);
        words.push('\n');
        for call in turn.calls() {
            let tool = tools.iter().find(|tool| tool.name() == call.tool);
            let writes = tool.is_some_and(|tool| !tool.is_read_only());
            if let (true, Arguments::Json(arguments)) = (writes, &call.arguments) {
                let unanchored = Intent::of(&words, &call.tool, arguments) != Intent::Anchored;
                seen.unanchored |= unanchored;
                seen.tainted |= tainted;
                seen.both |= unanchored && tainted;
            }
            if let Some(answer) = &call.answer {
                tainted |= !text(&answer.text, Groups::DEFINITION, &|| About::Nothing).is_empty();
            }
        }
    }
    seen
}
