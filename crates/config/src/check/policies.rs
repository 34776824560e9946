//! Refuses policies that do not compile or do not fit.

use airside_policy::{Policies, Settings};

use crate::{problem::Problem, source::Source};

/// Returns the policies of `texts`, or the built-in ones if there are none.
pub(crate) fn policies(
    texts: &[Source],
    settings: &Settings,
    list: &mut Vec<Problem>,
) -> Option<Policies> {
    let names: Vec<String> = texts
        .iter()
        .map(|text| text.path.display().to_string())
        .collect();
    let mut sources: Vec<airside_policy::Source<'_>> = names
        .iter()
        .zip(texts)
        .map(|(name, text)| airside_policy::Source {
            name,
            text: &text.text,
        })
        .collect();
    if sources.is_empty() {
        sources.push(Policies::BUILTIN);
    }
    match Policies::load(&sources, settings) {
        Ok(policies) => Some(policies),
        Err(error) => {
            list.extend(error.problems().map(|problem| of_policy(texts, problem)));
            None
        }
    }
}

/// Places what the policy loader says.
fn of_policy(texts: &[Source], problem: &airside_policy::Problem) -> Problem {
    use airside_policy::Problem as Found;
    let at = match problem {
        Found::Syntax { place, .. }
        | Found::Schema { place, .. }
        | Found::Unnamed { place }
        | Found::Duplicate { place, .. }
        | Found::Template { place }
        | Found::Annotation { place, .. } => Some(place),
        Found::TooLarge { .. } | Found::Argument { .. } => None,
    };
    let text = problem.to_string();
    let (message, hint) = text.split_once("\n  hint: ").unwrap_or((&text, ""));
    let message = match at {
        Some(place) => message
            .strip_prefix(&format!("{place}: "))
            .unwrap_or(message),
        None => message,
    };
    let source = at.and_then(|place| {
        texts
            .iter()
            .find(|text| text.path.as_os_str() == place.file.as_str())
    });
    Problem {
        code: problem.code(),
        message: message.to_owned(),
        hint: match hint {
            "" => format!("airside explain {}", problem.code()),
            hint => hint.to_owned(),
        },
        place: at
            .zip(source)
            .map(|(place, source)| source.line(place.line, place.column)),
    }
}
