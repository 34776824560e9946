//! `airside limits …`.

use airside_api::limits::Reset;
use serde_json::json;

use crate::{
    cli,
    failure::Failure,
    output::{Align, Out, table},
    target,
    text::printable,
};

/// Runs `airside limits …`.
pub(crate) fn run(args: &cli::Limits, out: &mut Out) -> Result<(), Failure> {
    match &args.command {
        Some(cli::LimitsCommand::Reset(reset)) => give_back(reset, out),
        None => list(args, out),
    }
}

fn list(args: &cli::Limits, out: &mut Out) -> Result<(), Failure> {
    let most = args.most;
    let found = target::with_control(&args.node, async |client| Ok(client.limits(most).await?))?;
    if out.is_json() {
        return out.json_pretty(&found);
    }
    if found.keys.is_empty() {
        return out.line("nothing is used of any limit");
    }
    let rows: Vec<Vec<String>> = found
        .keys
        .iter()
        .map(|usage| {
            let key = match usage.key.as_str() {
                "" => "(all)",
                key => key,
            };
            vec![
                printable(&usage.limit),
                usage.kind.clone(),
                printable(key),
                usage.used.to_string(),
                usage.most.to_string(),
                plain(usage.reset_s),
            ]
        })
        .collect();
    let headings = [
        ("limit", Align::Left),
        ("kind", Align::Left),
        ("key", Align::Left),
        ("used", Align::Right),
        ("of", Align::Right),
        ("all back in", Align::Right),
    ];
    out.raw(&table(&headings, &rows))?;
    out.line("")?;
    if found.store == "away" {
        out.line("the shared store cannot be asked: this node counts its share by itself")?;
    }
    Ok(())
}

fn give_back(args: &cli::LimitsReset, out: &mut Out) -> Result<(), Failure> {
    let reset = Reset {
        limit: args.limit.clone(),
        key: args.key.clone(),
        reason: args.reason.clone(),
    };
    target::with_control(&args.node, async |client| {
        Ok(client.reset_limit(&reset).await?)
    })?;
    if out.is_json() {
        return out.json_pretty(&json!({ "reset": true }));
    }
    out.line("all its units are back")
}

/// Returns a wait in the largest unit that keeps it readable.
fn plain(seconds: u64) -> String {
    match seconds {
        0 => "-".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds.div_ceil(60)),
        7_200..172_800 => format!("{} h", seconds.div_ceil(3_600)),
        _ => format!("{} d", seconds.div_ceil(86_400)),
    }
}
