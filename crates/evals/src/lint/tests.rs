use serde_json::json;

use super::*;

fn tool(name: &str, description: &str, reads: bool) -> Tool {
    Tool::read(json!({
        "name": name, "description": description,
        "annotations": { "readOnlyHint": reads }, "outputSchema": {},
        "inputSchema": { "type": "object", "properties": {} },
    }))
    .unwrap()
}

fn tools() -> Vec<Tool> {
    vec![
        tool(
            "search_hotels",
            "Finds hotels with free rooms in a place for a stay.",
            true,
        ),
        tool(
            "reserve_hotel",
            "Reserves a room in a hotel that was chosen.",
            false,
        ),
        tool(
            "find_trains",
            "Lists trains between two cities on a day.",
            true,
        ),
    ]
}

fn rules(found: &[Finding]) -> Vec<String> {
    found
        .iter()
        .map(|one| format!("{} {}", one.rule, one.tool))
        .collect()
}

fn said() -> Vec<Request> {
    let one = |said: &str, tool: &str| Request {
        said: said.to_owned(),
        tool: tool.to_owned(),
    };
    (0..20)
        .flat_map(|_| {
            [
                one("find hotels with a free room in Boston", "search_hotels"),
                one("reserve the hotel that I have chosen", "reserve_hotel"),
                one("trains between Boston and New York", "find_trains"),
            ]
        })
        .collect()
}

#[test]
fn tools_that_say_what_they_do_have_no_findings() {
    assert_eq!(
        rules(&lint(&tools(), None, &[], &Limits::default())),
        Vec::<String>::new()
    );
}

#[test]
fn what_is_missing_is_named() {
    let bare = Tool::read(json!({
        "name": "x", "inputSchema": { "properties": { "a": { "type": "string" } } },
    }));
    let quiet = tool(
        "handle_stay",
        "Deals with what the traveller has in mind.",
        false,
    );
    let twin = tool(
        "search_inns",
        "Finds hotels with free rooms in a place for a stay.",
        true,
    );
    let all = [&tools()[..], &[bare.unwrap(), quiet, twin]].concat();
    let found = rules(&lint(
        &all,
        None,
        &[],
        &Limits {
            tokens: 10,
            ..Limits::default()
        },
    ));
    for rule in [
        "no-description x",
        "no-annotations x",
        "no-output-schema x",
        "argument x",
        "silent-write handle_stay",
        "near-duplicate search_hotels",
        "tokens ",
    ] {
        assert!(found.contains(&rule.to_owned()), "{rule}: {found:?}");
    }
}

#[test]
fn exchanged_and_emptied_texts_are_noticed_and_better_words_are_not() {
    let before = tools();
    let mut swapped = before.clone();
    swapped[0] = tool(
        "search_hotels",
        "Reserves a room in a hotel that was chosen.",
        true,
    );
    swapped[1] = tool(
        "reserve_hotel",
        "Finds hotels with free rooms in a place for a stay.",
        false,
    );
    let found = rules(&lint(&swapped, Some(&before), &said(), &Limits::default()));
    assert!(
        found.contains(&"cross-match search_hotels".to_owned()),
        "{found:?}"
    );
    let mut generic = before.clone();
    generic[2] = tool(
        "trains",
        "Helps with anything that a traveller asks for.",
        true,
    );
    generic[2] = tool("find_trains", "", true);
    let found = rules(&lint(&generic, Some(&before), &said(), &Limits::default()));
    assert!(
        found.contains(&"no-description find_trains".to_owned()),
        "{found:?}"
    );
    let mut better = before.clone();
    better[0] = tool(
        "search_hotels",
        "Search hotels that have free rooms in a city, for the nights of a stay.",
        true,
    );
    let found = rules(&lint(&better, Some(&before), &said(), &Limits::default()));
    assert_eq!(found, Vec::<String>::new());
}
