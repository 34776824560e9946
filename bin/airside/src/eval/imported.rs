//! `airside eval import`.
//!
//! The suite goes to standard output, what is not as it was to standard error: nothing is
//! carried over in silence that is not the same.

use std::{collections::BTreeMap, path::Path};

use airside_base::{Fault, Kind};
use airside_evals::recordings::import::{Became, ImportError, Imported, Note, Options, import};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::Out,
    text::printable,
};

/// Most names of cases that one line lists.
const NAMED: usize = 5;

pub(super) fn run(args: &cli::eval::Import, out: &mut Out) -> Result<(), Failure> {
    let options = Options {
        name: args.name.clone(),
        state_tool: args.state_tool.clone(),
        tags: args.tag.clone(),
        take: args.take,
    };
    let imported = import(&args.path, &options).map_err(|error| {
        if let ImportError::Nothing { notes, .. } = &error {
            tell(notes);
        }
        Failure::new(Exit::Failed, error.fault())
    })?;
    tell(&imported.notes);
    if let Some(file) = &args.notes {
        write(file, &json!(imported.notes))?;
    }
    if let Some(file) = &args.tools {
        write(file, &script(&imported))?;
    }
    out.json_pretty(&imported.suite)?;
    let lost = |note: &&Note| matches!(note.became, Became::CheckLeftOut | Became::CaseLeftOut);
    let lost = imported.notes.iter().filter(lost).count();
    match args.strict && lost > 0 {
        true => Err(left_out(lost)),
        false => Ok(()),
    }
}

/// A server with the tools, each of which answers that it is done.
fn script(imported: &Imported) -> serde_json::Value {
    json!({
        "rules": [],
        "tools": imported.tools,
        "results": [{ "tool": { "any": true }, "text": "done" }],
    })
}

fn write(file: &Path, value: &serde_json::Value) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    text.push('\n');
    std::fs::write(file, text).map_err(|error| {
        let message = format!("cannot write {}: {error}", file.display());
        let fault = Fault::new(Kind::Invalid, "EVL-063", message);
        Failure::new(
            Exit::Failed,
            fault.with_hint("name a file in a folder that there is"),
        )
    })
}

/// Says what is not as it was, the same of several cases in one line.
fn tell(notes: &[Note]) {
    let mut same: BTreeMap<(Became, &str, &str), Vec<&str>> = BTreeMap::new();
    for note in notes {
        let key = (note.became, note.what.as_str(), note.why.as_str());
        same.entry(key).or_default().push(&note.case);
    }
    for ((became, what, why), cases) in same {
        let word = match became {
            Became::CheckLeftOut => "check left out",
            Became::CaseLeftOut => "case left out",
            Became::Differs => "not the same",
            Became::NotChosen => "not asked for",
        };
        let named: Vec<&str> = cases
            .iter()
            .copied()
            .filter(|case| !case.is_empty())
            .collect();
        let mut of = String::new();
        if !named.is_empty() {
            let listed = named
                .iter()
                .take(NAMED)
                .copied()
                .collect::<Vec<_>>()
                .join(", ");
            let more = named.len().saturating_sub(NAMED);
            of = match more {
                0 => format!(" ({listed})"),
                more => format!(" ({listed} and {more} more)"),
            };
        }
        anstream::eprintln!(
            "{word}: {}: {}{}",
            printable(what),
            printable(why),
            printable(&of)
        );
    }
}

fn left_out(count: usize) -> Failure {
    let message = format!("{count} checks or cases are left out");
    let fault = Fault::new(Kind::Conflict, "EVL-062", message);
    Failure::new(
        Exit::Failed,
        fault.with_hint("the lines above say why; the suite was written all the same"),
    )
}
