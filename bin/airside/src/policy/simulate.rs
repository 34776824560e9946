//! Recorded calls decided again.

use std::collections::BTreeMap;

use airside_base::{Fault, Kind, Timestamp};
use airside_gateway::replay::{Decided, Recorded, Replay, Unfit};
use serde_json::json;

use crate::{
    backup, cli,
    failure::{Exit, Failure},
    ledger::source::Source,
    output::{Align, Out, table},
    target::block_on,
    text::printable,
};

/// Most examples of a group.
const EXAMPLES: usize = 3;
/// Most groups that are told apart.
const GROUPS: usize = 1000;

/// What flips together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    what: String,
    caller: String,
    before: &'static str,
    after: &'static str,
    /// The rules that decide now.
    policies: String,
}

#[derive(Debug, Default)]
struct Flips {
    count: u64,
    examples: Vec<String>,
}

#[derive(Debug, Default)]
struct Found {
    calls: u64,
    flipped: u64,
    groups: BTreeMap<Group, Flips>,
    /// Flips of groups for which there was no room.
    others: u64,
    unfit: BTreeMap<Unfit, u64>,
}

impl Found {
    fn add(&mut self, call: &Recorded, decided: Result<Decided, Unfit>) {
        self.calls += 1;
        let now = match decided {
            Ok(now) => now,
            Err(unfit) => return *self.unfit.entry(unfit).or_default() += 1,
        };
        let before = call.decided();
        if before.outcome == now.outcome {
            return;
        }
        self.flipped += 1;
        let group = Group {
            what: call.what(),
            caller: call.caller(),
            before: before.outcome.as_str(),
            after: now.outcome.as_str(),
            policies: now.policies.join(", "),
        };
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&group) {
            return self.others += 1;
        }
        let flips = self.groups.entry(group).or_default();
        flips.count += 1;
        if flips.examples.len() < EXAMPLES {
            flips.examples.push(call.call().to_owned());
        }
    }
}

/// Runs `airside policy simulate`.
pub(super) fn run(args: &cli::PolicySimulate, out: &mut Out) -> Result<(), Failure> {
    let chosen = super::load(&args.policies.files, args.policies.config.as_ref())?;
    let version = chosen.policies.version().to_owned();
    let mut replay = Replay::new(chosen.policies, args.chain.tenant.clone());
    let found = block_on(async {
        let source = Source::open(&args.node).await?;
        let found = read(args, &source, &mut replay).await;
        source.close().await;
        found
    })?;
    show(&found, &version, out)?;
    match found.flipped {
        0 => Ok(()),
        flipped => {
            let fault = Fault::new(
                Kind::Conflict,
                "CLI-040",
                format!(
                    "{flipped} of {} calls would be decided otherwise",
                    found.calls
                ),
            );
            let hint = "look at an example with `airside explain call ID`";
            Err(Failure::new(Exit::Differs, fault.with_hint(hint)))
        }
    }
}

async fn read(
    args: &cli::PolicySimulate,
    source: &Source,
    replay: &mut Replay,
) -> Result<Found, Failure> {
    let tenant = &args.chain.tenant;
    let mut after = match args.since {
        Some(since) => before(source, args, since).await?,
        None => 0,
    };
    let bar = backup::bar("deciding {bar:40} {pos}/{len} entries, {eta} left");
    bar.set_length(source.head(tenant).await?.seq.saturating_sub(after));
    let mut found = Found::default();
    loop {
        let entries = source.entries(tenant, after).await?;
        let Some(last) = entries.last() else {
            bar.finish_and_clear();
            return Ok(found);
        };
        bar.inc(last.seq.saturating_sub(after));
        after = last.seq;
        for entry in &entries {
            if args.since.is_some_and(|since| entry.time < since) {
                continue;
            }
            if args.until.is_some_and(|until| entry.time >= until) {
                bar.finish_and_clear();
                return Ok(found);
            }
            if let Some(call) = Recorded::read(&entry.kind, entry.body.get()) {
                let decided = replay.decide(&call);
                found.add(&call, decided);
            }
        }
    }
}

/// Returns a position with nothing of `since` or later before it. Times never go back
/// within a chain.
async fn before(
    source: &Source,
    args: &cli::PolicySimulate,
    since: Timestamp,
) -> Result<u64, Failure> {
    let tenant = &args.chain.tenant;
    let (mut low, mut high) = (0, source.head(tenant).await?.seq);
    while high.saturating_sub(low) > 1000 {
        let middle = low + (high - low) / 2;
        let page = source.entries(tenant, middle).await?;
        match page.first() {
            Some(first) if first.time < since => low = middle,
            _ => high = middle,
        }
    }
    Ok(low)
}

fn show(found: &Found, version: &str, out: &mut Out) -> Result<(), Failure> {
    let mut groups: Vec<_> = found.groups.iter().collect();
    groups.sort_by_key(|(_, flips)| std::cmp::Reverse(flips.count));
    let unfit: u64 = found.unfit.values().sum();
    if out.is_json() {
        let flips: Vec<_> = groups
            .iter()
            .map(|(group, flips)| {
                json!({
                    "what": group.what, "caller": group.caller, "before": group.before,
                    "after": group.after, "policies": group.policies, "count": flips.count,
                    "examples": flips.examples,
                })
            })
            .collect();
        let undecided: Vec<_> = found
            .unfit
            .iter()
            .map(|(why, count)| json!({ "why": why.to_string(), "count": count }))
            .collect();
        return out.json_pretty(&json!({
            "version": version, "calls": found.calls, "flipped": found.flipped,
            "flips": flips, "others": found.others, "undecided": undecided,
        }));
    }
    if !groups.is_empty() {
        let rows: Vec<Vec<String>> = groups
            .iter()
            .map(|(group, flips)| {
                let Group {
                    what,
                    caller,
                    before,
                    after,
                    policies,
                } = group;
                let example = flips.examples.first().map_or("", String::as_str);
                [
                    flips.count.to_string().as_str(),
                    what,
                    caller,
                    before,
                    after,
                    policies,
                    example,
                ]
                .map(printable)
                .to_vec()
            })
            .collect();
        let headings = [
            ("CALLS", Align::Right),
            ("WHAT", Align::Left),
            ("CALLER", Align::Left),
            ("BEFORE", Align::Left),
            ("NOW", Align::Left),
            ("RULES", Align::Left),
            ("EXAMPLE", Align::Left),
        ];
        out.line(&table(&headings, &rows))?;
    }
    if found.others > 0 {
        out.line(&format!(
            "{} more, in groups beyond the first {GROUPS}",
            found.others
        ))?;
    }
    for (why, count) in &found.unfit {
        out.line(&printable(&format!(
            "{count} cannot be decided again: {why}"
        )))?;
    }
    let same = found.calls - found.flipped - unfit;
    out.line(&format!(
        "{} calls: {same} as before, {} otherwise, {unfit} cannot be decided again",
        found.calls, found.flipped
    ))
}
