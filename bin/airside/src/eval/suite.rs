//! Finds and checks suites.

use std::{fmt::Write as _, path::Path};

use airside_evals::suite::{LoadError, Problems, SHIPPED, Suite};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure, Rendered},
    output::Out,
    text::printable,
};

/// Returns the suite in a file, or the one of this name that ships inside.
pub(super) fn load(name: &Path) -> Result<Suite, Failure> {
    let shipped = name.to_str().and_then(Suite::shipped);
    let read = match shipped {
        Some(text) if !name.exists() => {
            return Suite::parse(text).map_err(|problems| wrong(name, problems));
        }
        _ => Suite::load(name),
    };
    read.map_err(|error| match error {
        LoadError::Wrong { path, problems } => wrong(&path, problems),
        error @ LoadError::Read { .. } => {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            let hint = format!(
                "name a file, or a suite that ships inside: {}",
                names.join(", ")
            );
            Failure::new(Exit::Usage, error.fault().with_hint(hint))
        }
    })
}

/// Checks a suite.
pub(super) fn check(args: &cli::eval::SuiteArg, out: &mut Out) -> Result<(), Failure> {
    let suite = load(&args.suite)?;
    let summary = super::summary(&suite);
    if out.is_json() {
        return out.json_pretty(&summary);
    }
    out.line(&format!(
        "{}: {} cases, {} paraphrases: good",
        printable(&suite.suite),
        summary["cases"],
        summary["paraphrases"]
    ))
}

fn wrong(path: &Path, problems: Problems) -> Failure {
    let file = path.display().to_string();
    let code = LoadError::WRONG;
    Failure::rendered(
        Exit::Config,
        Wrong {
            code,
            file,
            problems,
        },
    )
}

/// What is wrong with a suite, with places.
struct Wrong {
    code: &'static str,
    file: String,
    problems: Problems,
}

impl Rendered for Wrong {
    fn text(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems.0 {
            let hint = problem.hint.as_deref();
            let hint = hint.unwrap_or("see `airside eval schema` or docs/evals.md");
            writeln!(
                text,
                "error[{}]: {}\n  {}:{}{}\nhint: {}",
                self.code,
                printable(&problem.message),
                printable(&self.file),
                problem.line,
                match problem.at.is_empty() {
                    true => String::new(),
                    false => format!(" at {}", printable(&problem.at)),
                },
                printable(hint),
            )
            .expect("writing to a string cannot fail");
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let problems = self.problems.0.iter().map(|problem| {
            json!({
                "line": problem.line,
                "at": problem.at,
                "message": problem.message,
                "hint": problem.hint,
            })
        });
        json!({ "error": {
            "code": self.code,
            "message": format!("{} is not a suite", self.file),
            "problems": problems.collect::<Vec<_>>(),
        }})
    }
}
