//! Adds a case to a suite without touching what stands in it.
//!
//! # Invariants
//!
//! * Only lines are added; comments and order stay as their author wrote them.
//! * What comes out is a suite with exactly one case more, or nothing comes out.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use super::Suite;

/// Adds a case to the suite in `file`, at the end of its cases; without the file, makes
/// it, named as the file is. `case` is YAML of one item of a list, beginning with `- `.
///
/// # Errors
///
/// Why the case cannot be added. Then nothing is changed.
pub fn add_case(file: &Path, case: &str) -> Result<(), String> {
    let suite = match fs::read_to_string(file) {
        Ok(text) => with_case(&text, case)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = file.file_stem().and_then(|name| name.to_str());
            of_case(name.unwrap_or("recorded"), case)?
        }
        Err(error) => return Err(error.to_string()),
    };
    replace(file, &suite).map_err(|error| error.to_string())
}

/// Puts `text` in the place of what is in `file`: all of it, or nothing.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let fresh = file.with_extension(format!("new-{}", std::process::id()));
    let written = fs::File::create_new(&fresh).and_then(|mut handle| {
        handle.write_all(text.as_bytes())?;
        handle.sync_all()?;
        fs::rename(&fresh, file)
    });
    if written.is_err() {
        // It may not have been made.
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// Returns the text of a suite with one more case, at the end of its cases.
fn with_case(text: &str, case: &str) -> Result<String, String> {
    let before = parsed(text)?;
    let lines: Vec<&str> = text.lines().collect();
    let cases = lines.iter().position(|line| line.trim_end() == "cases:");
    let cases = cases.ok_or("its cases are not a list of lines below `cases:`")?;
    let within = |line: &&&str| line.starts_with([' ', '-', '#']) || line.trim().is_empty();
    let length = lines[cases + 1..].iter().take_while(within).count();
    let block = &lines[cases + 1..cases + 1 + length];
    let item = block
        .iter()
        .find(|line| line.trim_start().starts_with("- "));
    let item = item.ok_or("its cases are not a list of lines below `cases:`")?;
    let indent = item.len() - item.trim_start().len();
    let last = block.iter().rposition(|line| !line.trim().is_empty());
    let at = cases + 1 + last.map_or(0, |last| last + 1);
    let mut out: Vec<String> = lines[..at].iter().map(|&line| line.to_owned()).collect();
    out.push(String::new());
    out.extend(case.lines().map(|line| format!("{:indent$}{line}", "")));
    out.extend(lines[at..].iter().map(|&line| line.to_owned()));
    let out = out.join("\n") + "\n";
    let after = parsed(&out)?;
    match after.cases.len() == before.cases.len() + 1 {
        true => Ok(out),
        false => Err("it would not be a case of its own".to_owned()),
    }
}

/// Returns a suite of this one case.
fn of_case(name: &str, case: &str) -> Result<String, String> {
    let name = serde_json::Value::from(name);
    let indented: String = case.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!("suite: {name}\nschema: 1\ncases:\n{indented}");
    parsed(&text).map(|_| text)
}

fn parsed(text: &str) -> Result<Suite, String> {
    Suite::parse(text).map_err(|problems| {
        let first = problems.0.into_iter().next();
        first.map_or_else(String::new, |first| first.message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str =
        "- id: new\n  turns:\n    - ask: a\n      expect: { calls: { none: true } }\n";

    #[track_caller]
    fn check(before: &str, after: &str) {
        assert_eq!(with_case(before, CASE).as_deref(), Ok(after), "{before}");
    }

    #[test]
    fn a_case_stands_behind_the_others_as_they_are_indented() {
        let old = "- id: old # why\n  ask: b\n  expect: { calls: { none: true } }\n";
        let deep =
            |text: &str| -> String { text.lines().map(|line| format!("  {line}\n")).collect() };
        let head = "suite: s\nschema: 1\n# kept\n";
        check(
            &format!("{head}cases:\n{old}"),
            &format!("{head}cases:\n{old}\n{CASE}"),
        );
        check(
            &format!(
                "{head}cases:\n\n{}\n\nclock: 2026-11-23T00:00:00Z\n",
                deep(old)
            ),
            &format!(
                "{head}cases:\n\n{}\n{}\n\nclock: 2026-11-23T00:00:00Z\n",
                deep(old),
                deep(CASE)
            ),
        );
        assert_eq!(
            of_case("s", CASE).map(|text| parsed(&text).map(|suite| suite.cases.len())),
            Ok(Ok(1))
        );
    }

    #[test]
    fn what_would_be_no_suite_is_not_written() {
        let flow = "suite: s\nschema: 1\ncases: [{ id: old, ask: b, expect: { calls: { none: true } } }]\n";
        assert!(with_case(flow, CASE).is_err());
        let twice = format!("suite: s\nschema: 1\ncases:\n{CASE}");
        assert!(with_case(&twice, CASE).is_err(), "the id is taken");
        let unchecked = "- id: x\n  ask: a\n";
        assert!(with_case(&twice, unchecked).is_err());
    }
}
