//! `airside inventory`.

pub(crate) mod vulns;

use std::collections::BTreeSet;

use airside_api::wire;
use airside_base::{Clock as _, Fault, Kind, SystemClock, TenantId, Timestamp};
use airside_inventory::{
    audit::Entered,
    event::Event,
    export::{self, Bill, CycloneDx},
    state::{Server, State},
};
use serde_json::json;

use crate::{
    cli::{
        NodeArgs,
        inventory::{BillFormat, Inventory},
    },
    failure::{Exit, Failure},
    ledger::source::Source,
    output::{Align, Out, table},
    target::block_on,
    text::{cut, printable},
};

/// Kinds of entries that make up the state.
const KINDS: [&str; 2] = ["inventory", "finding"];

/// Runs `airside inventory`.
pub(crate) fn run(args: &Inventory, out: &mut Out) -> Result<(), Failure> {
    if let Some(since) = args.diff {
        return diff(args, since, out);
    }
    let state = state(&args.node, args.at)?;
    match &args.server {
        Some(name) => components(name, &state, args, out),
        None => servers(&state, args.at, out),
    }
}

/// Returns the state that the ledger had at `at`, now unless given.
pub(crate) fn state(node: &NodeArgs, at: Option<Timestamp>) -> Result<State, Failure> {
    Ok(fold(&entries(node)?, at))
}

fn fold(entries: &[Entered], at: Option<Timestamp>) -> State {
    let mut state = State::default();
    for entered in entries.iter().filter(|e| at.is_none_or(|at| e.at <= at)) {
        state.apply_event(entered.at, entered.event.clone());
    }
    state
}

/// Returns everything that the ledger holds of the inventory, in order.
pub(crate) fn entries(node: &NodeArgs) -> Result<Vec<Entered>, Failure> {
    let tenant = TenantId::default();
    block_on(async {
        let source = Source::open(node).await?;
        let mut entries = Vec::new();
        for kind in KINDS {
            let mut after = 0;
            loop {
                let page = source.of_kind(&tenant, kind, after).await?;
                let Some(last) = page.last() else { break };
                after = last.seq;
                entries.extend(page.iter().filter_map(entered));
            }
        }
        source.close().await;
        entries.sort_by_key(|entered| entered.seq);
        Ok(entries)
    })
}

fn entered(entry: &wire::Entry) -> Option<Entered> {
    let event = Event::read(&entry.kind, entry.version, entry.body.get().as_bytes())?;
    Some(Entered {
        seq: entry.seq,
        at: entry.time,
        event,
    })
}

fn servers(state: &State, at: Option<Timestamp>, out: &mut Out) -> Result<(), Failure> {
    let now = at.unwrap_or_else(|| SystemClock::new().now());
    if out.is_json() {
        return out.json_pretty(&json!({ "at": now, "state": state }));
    }
    if state.servers.is_empty() {
        return out.line("no inventory; name a folder of feeds under [inventory]");
    }
    let open = state.open();
    let rows: Vec<Vec<String>> = state
        .servers
        .iter()
        .map(|(name, server)| {
            let of = open.iter().filter(|f| f.judged.server == *name);
            let overdue = of.clone().filter(|f| f.judged.clock.is_overdue(now));
            vec![
                printable(name),
                printable(&server.version),
                printable(&server.region),
                format!("{:.0}", server.since),
                airside_inventory::component::distinct(&server.components).to_string(),
                server.unassessed.to_string(),
                server.gaps.len().to_string(),
                of.count().to_string(),
                overdue.count().to_string(),
            ]
        })
        .collect();
    let headings = [
        ("SERVER", Align::Left),
        ("VERSION", Align::Left),
        ("REGION", Align::Left),
        ("SINCE", Align::Left),
        ("COMPONENTS", Align::Right),
        ("NOT ASSESSED", Align::Right),
        ("NOT READ", Align::Right),
        ("FINDINGS", Align::Right),
        ("OVERDUE", Align::Right),
    ];
    out.line(&table(&headings, &rows))?;
    if let Some(known) = &state.feeds {
        let files = known.feeds.iter().filter(|feed| feed.records > 0).count();
        let digest = known.digest.get(..12).unwrap_or(&known.digest);
        out.line(&format!("{files} feeds {digest} since {:.0}", known.at))?;
    }
    Ok(())
}

fn components(name: &str, state: &State, args: &Inventory, out: &mut Out) -> Result<(), Failure> {
    let Some(server) = state.servers.get(name) else {
        return Err(vulns::unknown(&format!("there is no server `{name}`")));
    };
    if let Some(format) = args.format {
        let at = args.at.unwrap_or_else(|| SystemClock::new().now());
        let bill = Bill::of_server(name, server, state, at);
        return out.json_pretty(&document(&bill, format, &args.author)?);
    }
    if out.is_json() {
        return out.json_pretty(&json!({ "server": name, "inventory": server }));
    }
    let rows: Vec<Vec<String>> = server
        .components
        .iter()
        .map(|component| {
            vec![
                printable(&component.ecosystem.osv()),
                printable(&component.name),
                printable(component.version.as_deref().unwrap_or("–")),
                printable(&cut(&component.place, 60)),
            ]
        })
        .collect();
    let headings = [
        ("ECOSYSTEM", Align::Left),
        ("NAME", Align::Left),
        ("VERSION", Align::Left),
        ("NAMED IN", Align::Left),
    ];
    out.line(&table(&headings, &rows))?;
    for gap in &server.gaps {
        let text = format!("not read: {}: {}", gap.place, gap.reason);
        out.line(&cut(&printable(&text), 200))?;
    }
    Ok(())
}

/// Writes a bill in a format.
pub(crate) fn document(
    bill: &Bill,
    format: BillFormat,
    author: &str,
) -> Result<serde_json::Value, Failure> {
    match format {
        BillFormat::Cyclonedx => Ok(export::cyclonedx(bill, CycloneDx::V6)),
        BillFormat::Cyclonedx17 => Ok(export::cyclonedx(bill, CycloneDx::V7)),
        BillFormat::Spdx => Ok(export::spdx(bill)),
        BillFormat::Openvex => export::openvex(bill, author).ok_or_else(|| {
            let text = "no vulnerability is known that OpenVEX could state something of";
            let fault = Fault::new(Kind::NotFound, "INV-054", text);
            let hint = "CycloneDX and SPDX say what it is made of: --format cyclonedx";
            Failure::new(Exit::Failed, fault.with_hint(hint))
        }),
    }
}

fn diff(args: &Inventory, since: Timestamp, out: &mut Out) -> Result<(), Failure> {
    let entries = entries(&args.node)?;
    let (before, after) = (fold(&entries, Some(since)), fold(&entries, args.at));
    let names: BTreeSet<&String> = before.servers.keys().chain(after.servers.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        if args.server.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let (old, new) = (before.servers.get(name), after.servers.get(name));
        let (old_parts, new_parts) = (parts(old), parts(new));
        for purl in old_parts.difference(&new_parts) {
            changes.push((name, "-", purl.clone()));
        }
        for purl in new_parts.difference(&old_parts) {
            changes.push((name, "+", purl.clone()));
        }
    }
    if out.is_json() {
        let changes: Vec<_> = changes
            .iter()
            .map(|(server, sign, purl)| {
                let change = if *sign == "+" { "added" } else { "removed" };
                json!({ "server": server, "change": change, "purl": purl })
            })
            .collect();
        return out.json_pretty(&json!({ "since": since, "changes": changes }));
    }
    if changes.is_empty() {
        return out.line("nothing has changed");
    }
    for (server, sign, purl) in changes {
        out.line(&printable(&format!("{server}  {sign} {purl}")))?;
    }
    Ok(())
}

fn parts(server: Option<&Server>) -> BTreeSet<String> {
    let components = server.into_iter().flat_map(|server| &server.components);
    components.map(|component| component.purl()).collect()
}
