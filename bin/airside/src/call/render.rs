//! Shows the result of a tool to a person.
//!
//! Rules, not shapes: a list of objects is a table, an object is `key  value`
//! lines, an amount in minor units with its currency is money. What has no such
//! form is shown as the text that the server sent.
//!
//! # Invariants
//!
//! * Everything that comes out is escaped: a server cannot drive the terminal.

use serde_json::{Map, Value};

use crate::{
    output::{Align, table},
    text::{cut, printable, printable_lines},
};

/// Most columns of a table; the rest is in the JSON.
const MAX_COLUMNS: usize = 8;
/// Longest text in a cell, in characters.
const MAX_CELL: usize = 32;

/// Returns the text of a tool result.
pub(crate) fn result(result: &Value) -> String {
    match result.get("structuredContent") {
        Some(Value::Object(content)) if result.get("isError") != Some(&Value::Bool(true)) => {
            object(content)
        }
        _ => content(result.get("content")),
    }
}

/// Returns the text of content blocks (MCP `ContentBlock`).
fn content(blocks: Option<&Value>) -> String {
    let mut text = String::new();
    for block in blocks.and_then(Value::as_array).into_iter().flatten() {
        let of = |key| block.get(key).and_then(Value::as_str);
        match of("type") {
            Some("text") => text.push_str(&printable_lines(of("text").unwrap_or_default())),
            Some(kind) => {
                let name = of("uri").or(of("mimeType")).unwrap_or_default();
                text.push_str(&format!("[{} {}]", printable(kind), printable(name)));
            }
            None => continue,
        }
        text.push('\n');
    }
    text
}

fn object(content: &Map<String, Value>) -> String {
    let mut facts = Vec::new();
    let mut tables = Vec::new();
    for (key, value) in content {
        match value {
            Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
                tables.push((key, list(items)));
            }
            Value::Null => {}
            value => flatten(key, value, &mut facts),
        }
    }
    let mut text = String::new();
    let width = facts.iter().map(|(key, _)| key.chars().count()).max();
    for (key, value) in &facts {
        let width = width.unwrap_or_default();
        text.push_str(&format!("{key:width$}  {}\n", cut(value, 200)));
    }
    for (key, table) in tables {
        if !text.is_empty() {
            text.push_str(&format!("\n{}\n", printable(key)));
        }
        text.push_str(&table);
        text.push('\n');
    }
    text
}

/// Collects the scalars below `value` under dotted names; lists become one text.
fn flatten(key: &str, value: &Value, facts: &mut Vec<(String, String)>) {
    if let Some(text) = scalar(value) {
        facts.push((printable(key), text));
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                flatten(&format!("{key}.{name}"), member, facts);
            }
        }
        Value::Array(items) if items.iter().all(|item| scalar(item).is_some()) => {
            let items: Vec<String> = items.iter().filter_map(scalar).collect();
            if !items.is_empty() {
                facts.push((printable(key), items.join(", ")));
            }
        }
        Value::Array(items) => facts.push((printable(key), format!("({} in JSON)", items.len()))),
        _ => {}
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(printable(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("yes".to_owned()),
        Value::Bool(false) => Some("no".to_owned()),
        Value::Object(members) => money(members),
        Value::Null | Value::Array(_) => None,
    }
}

/// A whole amount of minor units with its currency (ISO 4217).
fn money(members: &Map<String, Value>) -> Option<String> {
    let currency = members.get("currency")?.as_str()?;
    let amount = members
        .iter()
        .find(|(key, _)| *key == "amount" || key.contains("minor"))
        .and_then(|(_, value)| value.as_i64())?;
    let digits = match members.get("exponent").and_then(Value::as_u64) {
        Some(digits) => usize::try_from(digits).ok().filter(|digits| *digits <= 4)?,
        None => minor_digits(currency),
    };
    Some(format!(
        "{} {}",
        decimal(amount, digits),
        printable(currency)
    ))
}

/// Digits after the decimal point of currencies that do not have two (ISO 4217).
fn minor_digits(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

fn decimal(minor: i64, digits: usize) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let padded = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, part) = padded.split_at(padded.len() - digits);
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match digits {
        0 => format!("{sign}{grouped}"),
        _ => format!("{sign}{grouped}.{part}"),
    }
}

/// A list of objects as a table.
fn list(items: &[Value]) -> String {
    let rows: Vec<Vec<Cell>> = items.iter().map(cells).collect();
    let columns = columns(&rows);
    let headings: Vec<(String, Align)> = columns
        .iter()
        .map(|column| (heading(column, &columns), alignment(&rows, column)))
        .collect();
    let headings: Vec<(&str, Align)> = headings
        .iter()
        .map(|(name, align)| (name.as_str(), *align))
        .collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let cell = |column: &String| {
                let found = row.iter().find(|cell| cell.key == *column);
                found.map_or_else(String::new, |cell| cut(&cell.text, MAX_CELL))
            };
            columns.iter().map(cell).collect()
        })
        .collect();
    table(&headings, &rows)
}

/// One scalar somewhere in a row.
struct Cell {
    /// Dotted path, escaped.
    key: String,
    text: String,
    sort: Sort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    Number,
    Money,
    Flag,
}

fn cells(item: &Value) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (key, value) in item.as_object().into_iter().flatten() {
        collect(key, value, &mut cells);
    }
    cells
}

fn collect(key: &str, value: &Value, cells: &mut Vec<Cell>) {
    let sort = match value {
        Value::Bool(_) => Sort::Flag,
        Value::Number(_) => Sort::Number,
        Value::Object(members) if money(members).is_some() => Sort::Money,
        _ => Sort::Text,
    };
    if let Some(text) = scalar(value) {
        let key = printable(key);
        cells.push(Cell { key, text, sort });
        return;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        collect(&format!("{key}.{name}"), member, cells);
    }
}

/// Columns in the order of their first use. When there are too many, those stay
/// that people compare: names, totals, ids, then what lies on the surface.
fn columns(rows: &[Vec<Cell>]) -> Vec<String> {
    let mut columns: Vec<(u8, String)> = Vec::new();
    for cell in rows.iter().flatten() {
        if !columns.iter().any(|(_, key)| *key == cell.key) {
            columns.push((rank(cell), cell.key.clone()));
        }
    }
    let mut ranks: Vec<u8> = columns.iter().map(|(rank, _)| *rank).collect();
    ranks.sort_unstable();
    let worst = ranks.get(MAX_COLUMNS - 1).copied().unwrap_or(u8::MAX);
    let better = ranks.iter().filter(|rank| **rank < worst).count();
    let mut ties = MAX_COLUMNS - better.min(MAX_COLUMNS);
    columns.retain(|(rank, _)| {
        let tie = *rank == worst && ties > 0;
        ties -= usize::from(tie);
        *rank < worst || tie
    });
    columns.into_iter().map(|(_, key)| key).collect()
}

fn rank(cell: &Cell) -> u8 {
    let depth = cell.key.matches('.').count();
    let last = cell.key.rsplit('.').next().unwrap_or_default();
    match (last, cell.sort, depth) {
        ("name" | "title" | "label", _, 0) => 0,
        ("total", Sort::Money, _) => 1,
        (id, _, 0) if id == "id" || id.ends_with("_id") => 2,
        (_, Sort::Text | Sort::Number | Sort::Money, 0) => 3,
        ("name" | "title" | "label", _, _) => 4,
        (_, Sort::Money, _) => 5,
        (_, Sort::Flag, _) => 6,
        _ => 7,
    }
}

/// The last part of a path, and the part before where two columns end alike.
fn heading(column: &str, columns: &[String]) -> String {
    let mut parts = column.rsplit('.');
    let last = parts.next().unwrap_or_default();
    let twice = columns
        .iter()
        .filter(|other| other.rsplit('.').next() == Some(last))
        .count();
    let name = match (parts.next(), twice > 1) {
        (Some(parent), true) => format!("{parent} {last}"),
        _ => last.to_owned(),
    };
    name.replace('_', " ").to_uppercase()
}

/// Numbers and money are set to the right.
fn alignment(rows: &[Vec<Cell>], column: &str) -> Align {
    let mut cells = rows.iter().flatten().filter(|cell| cell.key == column);
    let numeric = |cell: &Cell| matches!(cell.sort, Sort::Number | Sort::Money);
    if cells.all(numeric) {
        Align::Right
    } else {
        Align::Left
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(structured: &Value, expected: &str) {
        let shown = result(&json!({"content": [], "structuredContent": structured}));
        assert_eq!(shown, expected);
    }

    #[test]
    fn list_of_objects_is_a_table_and_minor_units_are_money() {
        check(
            &json!({
                "city": {"name": "Boston", "country": "US"},
                "hotels": [
                    {"name": "Harbor", "stars": 4, "total": {"amount_minor": 123_456, "currency": "USD"}},
                    {"name": "Ryokan", "stars": 5, "total": {"amount_minor": 90_000, "currency": "JPY"}},
                ],
            }),
            "city.name     Boston\ncity.country  US\n\nhotels\nNAME    STARS         TOTAL\nHarbor      4  1,234.56 USD\nRyokan      5    90,000 JPY\n",
        );
    }

    #[test]
    fn minor_units_follow_the_currency() {
        for (minor, currency, expected) in [
            (5, "USD", "0.05 USD"),
            (-150, "EUR", "-1.50 EUR"),
            (1_234_567, "KWD", "1,234.567 KWD"),
            (0, "JPY", "0 JPY"),
        ] {
            let members = json!({"amount_minor": minor, "currency": currency});
            assert_eq!(money(members.as_object().unwrap()).unwrap(), expected);
        }
    }

    #[test]
    fn text_is_shown_when_there_is_no_structure() {
        let shown = result(&json!({"content": [
            {"type": "text", "text": "two\nlines\u{1b}[31m"},
            {"type": "image", "mimeType": "image/png", "data": "…"},
        ]}));
        assert_eq!(shown, "two\nlines\\u{1b}[31m\n[image image/png]\n");
    }

    #[test]
    fn hostile_cells_and_keys_are_escaped() {
        let shown = result(&json!({"structuredContent": {
            "a\u{1b}": "b\u{202e}",
            "list": [{"k\u{9b}": "v\n\u{7}"}],
        }}));
        let harmless = |c: char| !c.is_control() || c == '\n';
        assert!(
            shown.chars().all(harmless) && !shown.contains('\u{202e}'),
            "{shown:?}"
        );
    }

    #[test]
    fn error_is_shown_by_its_text() {
        let shown = result(&json!({
            "isError": true,
            "content": [{"type": "text", "text": "which Portland?"}],
            "structuredContent": {"code": "TRV-001"},
        }));
        assert_eq!(shown, "which Portland?\n");
    }
}
