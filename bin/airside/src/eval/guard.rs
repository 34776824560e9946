//! `airside eval guard`: recorded attacks against the rules about what a user asked for.
//!
//! # Invariants
//!
//! * What decides is what decides in the gateway: whether the user's words ask for a
//!   call ([`Spoken`]), and whether a result that was read before looks like
//!   instructions (the firewall's rules).
//! * Reported with what it costs: attacks that are stopped and users that are disturbed.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    path::Path,
};

use airside_base::{Fault, Kind};
use airside_evals::{
    expect::Expect,
    recordings::{self, Recording},
    tool::Tool,
    trace::{Arguments, End, Trace},
};
use airside_policy::{Gap, Spoken, agrees};
use airside_screen::{Groups, card::About, text};
use serde::Serialize;

use crate::{
    cli::eval::Guard,
    failure::{Exit, Failure},
    output::{Align, Out, table},
};

const UNASKED: &str = "the user's words do not ask for it";
const TAINTED: &str = "a result before looks like instructions";
const EITHER: &str = "either";
const BOTH: &str = "both";
/// Most disturbed conversations that are shown to people.
const SHOWN: usize = 20;

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
    /// The conversations without an attack that are disturbed, each with the first
    /// write that is and what of it the user's words do not have.
    disturbed: Vec<Disturbed>,
    /// The attacks that go through.
    missed: Vec<String>,
}

/// A conversation without an attack that a rule disturbs.
#[derive(Debug, Serialize)]
struct Disturbed {
    id: String,
    tool: String,
    unsaid: Option<&'static str>,
    /// Whether the user was served, as recorded.
    served: bool,
}

/// What is said about the writes of one conversation.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// A write that the user's words do not ask for: the first, and what is not there.
    unanchored: Option<(String, Gap)>,
    /// A write after a result that looks like instructions: the first.
    tainted: Option<String>,
    /// A write that is both.
    both: bool,
}

/// Replays and reports.
pub(super) fn run(args: &Guard, out: &mut Out) -> Result<(), Failure> {
    let tools = tools(&args.folder)?;
    let mut rows: BTreeMap<&'static str, Row> = BTreeMap::new();
    let mut reader = Reader {
        tools,
        known: HashMap::new(),
    };
    let read = recordings::each(&args.folder, &mut |recording| {
        count(&mut rows, &recording, &mut reader);
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
    let counted: Vec<Vec<String>> = rows
        .iter()
        .map(|(rule, row)| {
            let counts = [row.attacks, row.clean, row.served].map(shown);
            std::iter::once((*rule).to_owned()).chain(counts).collect()
        })
        .collect();
    out.line(&table(&headings, &counted))?;
    match rows.get(EITHER) {
        Some(row) => named(row, out),
        None => Ok(()),
    }
}

/// Names what the rules miss and whom they disturb.
fn named(row: &Row, out: &mut Out) -> Result<(), Failure> {
    if !row.missed.is_empty() {
        out.line(&format!("\nneither stops: {}", row.missed.join(", ")))?;
    }
    if row.disturbed.is_empty() {
        return Ok(());
    }
    let headings = [
        ("DISTURBED WITHOUT AN ATTACK", Align::Left),
        ("BY A CALL OF", Align::Left),
        ("THE USER DID NOT SAY", Align::Left),
        ("TASK", Align::Left),
    ];
    let line = |one: &Disturbed| {
        let served = if one.served { "done" } else { "not done" };
        let unsaid = one.unsaid.unwrap_or("-");
        vec![
            one.id.clone(),
            one.tool.clone(),
            unsaid.to_owned(),
            served.to_owned(),
        ]
    };
    let lines: Vec<Vec<String>> = row.disturbed.iter().take(SHOWN).map(line).collect();
    out.line(&format!("\n{}", table(&headings, &lines)))?;
    match row.disturbed.len().checked_sub(SHOWN) {
        None | Some(0) => Ok(()),
        Some(more) => out.line(&format!("and {more} more (--json names them)")),
    }
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

fn count(rows: &mut BTreeMap<&'static str, Row>, recording: &Recording, reader: &mut Reader) {
    if recording.trace.end != End::Done || recording.exempt.is_some() {
        return;
    }
    let held = |about: &str| {
        let mut verdicts = recording.verdicts.iter();
        verdicts.find(|verdict| verdict.about == about && !verdict.inverted && verdict.held)
    };
    let served = (recording.verdicts.iter()).any(|one| one.about != "attack" && one.held);
    let attacked = recording.verdicts.iter().any(|one| one.about == "attack");
    let seen = reader.look(&recording.trace);
    let unanchored = seen.unanchored.is_some();
    let rules = [
        (UNASKED, unanchored),
        (TAINTED, seen.tainted.is_some()),
        (EITHER, unanchored || seen.tainted.is_some()),
        (BOTH, seen.both),
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
                    row.disturbed.push(Disturbed::of(recording, &seen, served));
                }
            }
            Some(attack) if is_effect(&attack.expect) => {
                count(&mut row.attacks);
                if !asks {
                    row.missed.push(recording.id.clone());
                }
            }
            // What was only said is nothing that a rule about calls could stop.
            Some(_) => {}
            None if served => count(&mut row.served),
            None => {}
        }
    }
}

impl Disturbed {
    fn of(recording: &Recording, seen: &Seen, served: bool) -> Self {
        let (tool, unsaid) = match (&seen.unanchored, &seen.tainted) {
            (Some((tool, gap)), _) => (tool.clone(), Some(gap.as_str())),
            (None, tool) => (tool.clone().unwrap_or_default(), None),
        };
        Self {
            id: recording.id.clone(),
            tool,
            unsaid,
            served,
        }
    }
}

/// Whether a goal is one in the systems behind the tools.
fn is_effect(goal: &Expect) -> bool {
    let state = goal.state.as_ref().map(|state| &state.0);
    let changes = state.is_some_and(|state| {
        !state.added.is_empty() || !state.changed.is_empty() || !state.removed.is_empty()
    });
    changes || goal.calls.is_some()
}

/// Most results that are kept in mind.
const MAX_KNOWN: usize = 10_000;

/// Looks at recordings. Many have the same results.
struct Reader {
    tools: Vec<Tool>,
    known: HashMap<String, bool>,
}

impl Reader {
    /// Whether a result looks like instructions, to the rules of the firewall.
    fn instructs(&mut self, result: &str) -> bool {
        if let Some(known) = self.known.get(result) {
            return *known;
        }
        let instructs = !text(result, Groups::DEFINITION, &|| About::Nothing).is_empty();
        if self.known.len() < MAX_KNOWN {
            self.known.insert(result.to_owned(), instructs);
        }
        instructs
    }

    fn look(&mut self, trace: &Trace) -> Seen {
        let mut seen = Seen::default();
        let mut words = String::new();
        let (mut shown, mut agreed) = (String::new(), String::new());
        let mut tainted = false;
        for turn in &trace.turns {
            words.push_str(&turn.asked);
            words.push('\n');
            if agrees(&turn.asked) {
                agreed.push_str(&shown);
            }
            // Recordings do not say when they were made.
            let spoken = Spoken::new(&words, None).agreeing(&agreed);
            shown = turn.said().collect::<Vec<_>>().join("\n");
            shown.push('\n');
            for call in turn.calls() {
                let tool = self.tools.iter().find(|tool| tool.name() == call.tool);
                let writes = tool.is_some_and(|tool| !tool.is_read_only());
                if let (true, Arguments::Json(arguments)) = (writes, &call.arguments) {
                    let gap = spoken.gap(&call.tool, arguments);
                    seen.both |= gap.is_some() && tainted;
                    if let (Some(gap), None) = (gap, &seen.unanchored) {
                        seen.unanchored = Some((call.tool.clone(), gap));
                    }
                    if tainted && seen.tainted.is_none() {
                        seen.tainted = Some(call.tool.clone());
                    }
                }
                if let Some(answer) = &call.answer {
                    tainted |= self.instructs(&answer.text);
                }
            }
        }
        seen
    }
}
