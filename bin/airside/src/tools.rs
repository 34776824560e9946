//! `airside tools`.

use serde_json::{Map, Value};

use crate::{
    cli,
    endpoint::{self, Tool},
    failure::Failure,
    output::{Align, Out, table},
    target::block_on,
    text::{cut, printable},
};

/// Lists the tools and what they take.
pub(crate) fn run(args: &cli::Tools, out: &mut Out) -> Result<(), Failure> {
    let tools = block_on(async {
        let client = endpoint::connect(&args.target).await?;
        let tools = endpoint::tools(&client).await?;
        client.close().await;
        Ok(tools)
    })?;
    if out.is_json() {
        let raw: Vec<Value> = tools.into_iter().map(|(_, raw)| raw).collect();
        return out.json_pretty(&raw);
    }
    for (index, (tool, _)) in tools.iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        show(tool, out)?;
    }
    Ok(())
}

fn show(tool: &Tool, out: &mut Out) -> Result<(), Failure> {
    out.line(&format!(
        "{}{}",
        printable(&tool.name),
        effects(&tool.annotations)
    ))?;
    out.line(&format!("  {}", cut(&one_line(&tool.description), 200)))?;
    let schema = &tool.input_schema;
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let rows: Vec<Vec<String>> = properties
        .into_iter()
        .flat_map(Map::iter)
        .map(|(name, property)| row(name, property, required.contains(&name.as_str())))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let headings = [
        ("  ARGUMENT", Align::Left),
        ("TYPE", Align::Left),
        ("MEANING", Align::Left),
    ];
    out.line(&table(&headings, &rows))
}

fn row(name: &str, property: &Value, required: bool) -> Vec<String> {
    let star = if required { "*" } else { "" };
    let kind = match property.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            kinds
                .filter(|kind| *kind != "null")
                .collect::<Vec<_>>()
                .join("|")
        }
        _ => String::new(),
    };
    let meaning = property.get("description").and_then(Value::as_str);
    vec![
        format!("  {}{star}", printable(name)),
        printable(&kind),
        cut(&one_line(meaning.unwrap_or_default()), 100),
    ]
}

/// What the server says about effects. A claim, not a fact.
fn effects(annotations: &Value) -> &'static str {
    let says = |hint: &str| annotations.get(hint).and_then(Value::as_bool);
    match (says("readOnlyHint"), says("destructiveHint")) {
        (Some(true), _) => "  (reads)",
        (_, Some(true) | None) => "  (changes, may destroy)",
        (_, Some(false)) => "  (changes)",
    }
}

fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}
