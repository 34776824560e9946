//! A prompt that people can start from, in clients that offer prompts.

use airside_builtin::model::{
    GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role,
};

const NAME: &str = "find_hotel";
/// Longest argument that is put into the text, in characters.
const MAX_ARGUMENT: usize = 120;

/// Why a prompt cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PromptError {
    #[error("there is no prompt of this name")]
    Unknown,
    #[error("the prompt needs the argument `place`")]
    NoPlace,
}

/// Returns the prompts.
pub(crate) fn list() -> Vec<Prompt> {
    let argument = |name: &str, description: &str| {
        PromptArgument::new(name)
            .with_description(description)
            .with_required(name == "place")
    };
    let arguments = vec![
        argument("place", "City to stay in"),
        argument("dates", "When, in your own words"),
        argument("guests", "Who comes along, with the ages of children"),
    ];
    let description = "Find a hotel in a city and compare the all-in prices";
    vec![Prompt::new(NAME, Some(description), Some(arguments)).with_title("Find a hotel")]
}

/// Returns the messages of a prompt.
pub(crate) fn get(
    name: &str,
    arguments: Option<&JsonObject>,
) -> Result<GetPromptResult, PromptError> {
    if name != NAME {
        return Err(PromptError::Unknown);
    }
    let argument = |name: &str| {
        let text = arguments?.get(name)?.as_str()?;
        let text: String = text
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_ARGUMENT)
            .collect();
        (!text.trim().is_empty()).then_some(text)
    };
    let place = argument("place").ok_or(PromptError::NoPlace)?;
    let mut text = format!("Find me a hotel in {place}");
    if let Some(dates) = argument("dates") {
        text = format!("{text}, {dates}");
    }
    if let Some(guests) = argument("guests") {
        text = format!("{text}, for {guests}");
    }
    text += ". Ask me for dates and guests if they are missing. Compare three to five hotels by \
             their all-in total, cancellation terms and distance to the centre.";
    let message = PromptMessage::new_text(Role::User, text);
    Ok(GetPromptResult::new(vec![message]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(arguments: &serde_json::Value, expected: Result<&str, PromptError>) {
        let arguments = arguments.as_object().cloned();
        let seen = get(NAME, arguments.as_ref()).map(|result| json!(result).to_string());
        match expected {
            Ok(start) => assert!(seen.unwrap().contains(start), "{start}"),
            Err(error) => assert_eq!(seen, Err(error)),
        }
    }

    #[test]
    fn words_of_the_traveller_are_put_in() {
        check(
            &json!({ "place": "Boston", "dates": "next weekend", "guests": "two adults" }),
            Ok("Find me a hotel in Boston, next weekend, for two adults. Ask"),
        );
        check(
            &json!({ "place": "Boston\n\u{1b}[31m" }),
            Ok("Boston[31m. Ask"),
        );
    }

    #[test]
    fn place_and_name_are_needed() {
        check(&json!({}), Err(PromptError::NoPlace));
        check(&json!({ "place": " " }), Err(PromptError::NoPlace));
        assert_eq!(get("book", None), Err(PromptError::Unknown));
    }
}
