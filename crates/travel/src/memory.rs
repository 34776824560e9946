//! What a conversation is about, so that a follow-up names only what is new.
//!
//! "The second one, two nights longer" is `conversation`, `pick: 2`, `nights_delta: 2`:
//! the rest is what was searched and shown last.
//!
//! # Invariants
//!
//! * The state is behind a handle that travels as an argument and in results; no session
//!   of the protocol is needed, so it outlives connections, restarts and eras.
//! * What a call says itself always wins over what is remembered.
//! * State holds what was searched and shown: no names, no addresses, no free text.

use airside_base::TenantId;
use airside_builtin::{
    arguments,
    model::{CallToolResult, ContentBlock, JsonObject, Tool},
};
use airside_ledger::{
    conversation::{Conversations, Error, Handle, Opening, State},
    personal::SubjectId,
};
use jiff::{ToSpan as _, civil::Date};
use serde_json::{Map, Value, json};

use crate::{
    booking::Refusal,
    tools::{CHECK, DETAILS, SEARCH},
    ucp::tool::CREATE,
};

/// Begins a conversation.
const NEW: &str = "new";
/// Attempts to add to what other calls change meanwhile.
const RACES: u32 = 4;
/// What a search is remembered by; a page of it is not.
const SEARCHED: [&str; 9] = [
    "place",
    "check_in",
    "check_out",
    "rooms",
    "currency",
    "min_stars",
    "max_price_per_night",
    "free_cancellation",
    "sort",
];
/// What a booking of other nights is made of.
pub(crate) const EXTEND: &str = "nights_delta";

/// Conversations of this server.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    conversations: Conversations,
}

/// A conversation that a call belongs to.
#[derive(Debug)]
pub(crate) struct Thread {
    tenant: TenantId,
    /// `None` until the first result is remembered.
    handle: Option<Handle>,
    subject: Option<SubjectId>,
    state: State,
}

impl Thread {
    /// Returns whether it has only just begun.
    pub(crate) fn is_new(&self) -> bool {
        self.handle.is_none()
    }

    /// Returns the session that was created last.
    pub(crate) fn session(&self) -> Option<&str> {
        self.state.get("session")?.as_str()
    }
}

/// Returns whether calls of a tool may name a conversation.
pub(crate) fn is_remembered(tool: &str) -> bool {
    matches!(tool, SEARCH | CHECK | DETAILS | CREATE) || tool == crate::booking::QUOTE_CHANGE
}

impl Memory {
    pub(crate) fn new(conversations: Conversations) -> Self {
        Self { conversations }
    }

    /// Takes what is about the conversation out of `arguments` and puts in what they
    /// leave out. Returns `None` if they name none.
    pub(crate) async fn recall(
        &self,
        tool: &str,
        arguments: &mut JsonObject,
        tenant: &TenantId,
        subject: Option<SubjectId>,
    ) -> Result<Option<Thread>, Refusal> {
        let named = arguments.remove("conversation");
        let pick = arguments.remove("pick");
        let Some(named) = named else {
            return match pick {
                Some(_) => Err(Refusal::ConversationUnknown),
                None => Ok(None),
            };
        };
        let named = named.as_str().unwrap_or_default();
        let mut thread = Thread {
            tenant: tenant.clone(),
            handle: None,
            subject,
            state: State::new(),
        };
        if named != NEW {
            let handle: Handle = named.parse().map_err(|_| Refusal::ConversationUnknown)?;
            let found = self.conversations.get(tenant, &handle).await?;
            thread.state = found.state.clear().ok_or(Refusal::ConversationUnknown)?;
            thread.handle = Some(handle);
        }
        let picked = pick.map(|pick| picked(&thread.state, &pick)).transpose()?;
        fill(tool, arguments, &thread.state, picked.as_ref())?;
        Ok(Some(thread))
    }

    /// Adds to the conversation what a call was about and returned, and the handle to
    /// the result.
    pub(crate) async fn remember(
        &self,
        thread: Thread,
        tool: &str,
        arguments: &JsonObject,
        result: &mut CallToolResult,
    ) {
        if result.is_error == Some(true) {
            return;
        }
        let content = result.structured_content.as_ref().unwrap_or(&Value::Null);
        let patch = learnt(tool, arguments, content);
        match self.write(thread, patch).await {
            Ok(handle) => hand_over(&handle, result),
            // The call itself was done; it must not look as if it was not.
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a result could not be added to its conversation"
            ),
        }
    }

    async fn write(&self, thread: Thread, patch: State) -> Result<Handle, Error> {
        let Some(handle) = thread.handle else {
            let opening = Opening {
                subject: thread.subject,
                ..Opening::default()
            };
            let made = self
                .conversations
                .create(&thread.tenant, opening, patch)
                .await?;
            return Ok(made.0);
        };
        let mut races = 0;
        loop {
            let version = self
                .conversations
                .get(&thread.tenant, &handle)
                .await?
                .version;
            let patched = self
                .conversations
                .patch(&thread.tenant, &handle, version, patch.clone());
            match patched.await {
                Ok(_) => return Ok(handle),
                Err(Error::Stale { .. }) if races < RACES => races += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Returns what stands at a position, from 1, of what was shown last.
fn picked(state: &State, pick: &Value) -> Result<Map<String, Value>, Refusal> {
    let shown = state.get("shown").and_then(Value::as_array);
    let shown = shown.map_or(&[][..], Vec::as_slice);
    let wanted = pick.as_i64().unwrap_or(0);
    let found = usize::try_from(wanted)
        .ok()
        .and_then(|pick| shown.get(pick.checked_sub(1)?));
    match found.and_then(Value::as_object) {
        Some(found) => Ok(found.clone()),
        None => Err(Refusal::Pick {
            pick: wanted,
            shown: shown.len(),
        }),
    }
}

/// Puts what is remembered into the arguments that do not say it themselves.
fn fill(
    tool: &str,
    arguments: &mut JsonObject,
    state: &State,
    picked: Option<&Map<String, Value>>,
) -> Result<(), Refusal> {
    let add = |arguments: &mut JsonObject, name: &str, value: Option<&Value>| {
        if let Some(value) = value
            && !value.is_null()
            && !arguments.contains_key(name)
        {
            arguments.insert(name.to_owned(), value.clone());
        }
    };
    let property = picked.and_then(|picked| picked.get("property_id"));
    let property = property.or_else(|| state.get("property"));
    let stay = state.get("stay").and_then(Value::as_object);
    match tool {
        SEARCH => {
            let searched = state.get("search").and_then(Value::as_object);
            // Another page belongs to the very same search, other dates to another one.
            for name in SEARCHED {
                add(
                    arguments,
                    name,
                    searched.and_then(|searched| searched.get(name)),
                );
            }
        }
        CHECK => {
            add(arguments, "property_id", property);
            for name in ["check_in", "check_out", "rooms"] {
                add(arguments, name, stay.and_then(|stay| stay.get(name)));
            }
        }
        DETAILS => add(arguments, "property_id", property),
        CREATE => {
            let offer = picked.and_then(|picked| picked.get("offer_ref"));
            add(arguments, "offer_ref", offer);
        }
        _ => {}
    }
    if matches!(tool, SEARCH | CHECK)
        && let Some(delta) = arguments.shift_remove(EXTEND)
    {
        lengthen(arguments, &delta)?;
    }
    Ok(())
}

/// Moves `check_out` by so many nights.
fn lengthen(arguments: &mut JsonObject, delta: &Value) -> Result<(), Refusal> {
    let range = || arguments::Error::Range {
        field: EXTEND,
        range: "use nights_delta of -30 to 30, with dates that are known",
    };
    let delta = delta.as_i64().filter(|delta| (-30..=30).contains(delta));
    let date = arguments.get("check_out").and_then(Value::as_str);
    let date: Option<Date> = date.and_then(|date| date.parse().ok());
    let (Some(delta), Some(date)) = (delta, date) else {
        return Err(range().into());
    };
    let moved = date.checked_add(delta.days()).map_err(|_| range())?;
    arguments.insert("check_out".to_owned(), moved.to_string().into());
    Ok(())
}

/// Returns what a result adds to its conversation (JSON Merge Patch).
fn learnt(tool: &str, arguments: &JsonObject, content: &Value) -> State {
    let stay = json!({
        "check_in": content.pointer("/stay/check_in"),
        "check_out": content.pointer("/stay/check_out"),
        "rooms": content.pointer("/stay/rooms"),
    });
    let list = |at: &str| {
        content
            .get(at)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let patch = match tool {
        SEARCH if content["status"] == "ok" => {
            let mut search = Map::new();
            for name in SEARCHED {
                // `null` takes away what an earlier search said.
                let said = arguments.get(name).cloned().unwrap_or(Value::Null);
                search.insert(name.to_owned(), said);
            }
            search.insert("place".to_owned(), content["place"]["place_id"].clone());
            search.insert("check_in".to_owned(), stay["check_in"].clone());
            search.insert("check_out".to_owned(), stay["check_out"].clone());
            let shown = list("hotels").map(|hotel| {
                json!({
                    "property_id": hotel["property_id"],
                    "offer_ref": hotel["best_offer"]["offer_ref"],
                })
            });
            let shown: Vec<Value> = shown.collect();
            json!({ "search": search, "stay": stay, "shown": shown, "property": null })
        }
        CHECK => {
            let shown = list("offers").map(|offer| {
                json!({
                    "property_id": content["property_id"],
                    "offer_ref": offer["offer_ref"],
                })
            });
            let shown: Vec<Value> = shown.collect();
            json!({ "stay": stay, "shown": shown, "property": content["property_id"] })
        }
        DETAILS => json!({ "property": content["hotel"]["property_id"] }),
        CREATE => json!({ "session": content["session"]["id"] }),
        _ => json!({}),
    };
    match patch {
        Value::Object(patch) => patch,
        _ => State::new(),
    }
}

fn hand_over(handle: &Handle, result: &mut CallToolResult) {
    if let Some(Value::Object(content)) = &mut result.structured_content {
        content.insert("conversation".to_owned(), handle.expose().into());
    }
    let text = format!("Follow up with conversation {}", handle.expose());
    result.content.push(ContentBlock::text(text));
}

/// Adds to a contract that its calls may name a conversation.
pub(crate) fn taught(mut tool: Tool) -> Tool {
    if !is_remembered(&tool.name) {
        return tool;
    }
    let mut input = (*tool.input_schema).clone();
    let picks = matches!(&*tool.name, CHECK | DETAILS | CREATE);
    if let Some(Value::Object(properties)) = input.get_mut("properties") {
        properties.insert("conversation".to_owned(), json!({
            "type": "string",
            "maxLength": 64,
            "description": "`new` to begin to remember what is searched and shown, or the conversation that an earlier result returned: then only what is new has to be said.",
        }));
        if picks {
            properties.insert("pick".to_owned(), json!({
                "type": "integer", "minimum": 1, "maximum": 100,
                "description": "Position, from 1, in the last result of this conversation: \"the second one\" is 2.",
            }));
        }
        if matches!(&*tool.name, SEARCH | CHECK | CREATE) {
            properties.insert(EXTEND.to_owned(), json!({
                "type": "integer", "minimum": -30, "maximum": 30,
                "description": "Nights more (or, negative, fewer) than in the last result of this conversation; check_out follows.",
            }));
        }
    }
    // A conversation can know them.
    let known = ["property_id", "check_in", "check_out", "booking_id"];
    if let Some(Value::Array(required)) = input.get_mut("required") {
        required.retain(|name| !known.iter().any(|known| name == known));
    }
    if input.get("required") == Some(&json!([])) {
        input.shift_remove("required");
    }
    tool.input_schema = input.into();
    if let Some(output) = &tool.output_schema {
        let mut output = (**output).clone();
        if let Some(Value::Object(properties)) = output.get_mut("properties") {
            properties.insert(
                "conversation".to_owned(),
                json!({
                    "type": "string",
                    "description": "Send it as `conversation` with the next call.",
                }),
            );
        }
        tool.output_schema = Some(output.into());
    }
    tool
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> JsonObject {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn follow_up_names_only_what_is_new() {
        let found = json!({
            "status": "ok",
            "place": { "place_id": "geonames:4930956" },
            "stay": { "check_in": "2026-12-01", "check_out": "2026-12-03", "rooms": [{ "adults": 2, "child_ages": [] }] },
            "hotels": [
                { "property_id": "htl_1_1", "best_offer": { "offer_ref": "ofr_1" } },
                { "property_id": "htl_1_2", "best_offer": { "offer_ref": "ofr_2" } },
            ],
        });
        let state = learnt(
            SEARCH,
            &object(&json!({ "place": "Boston", "min_stars": 4 })),
            &found,
        );
        let check = |tool: &str, said: Value, expected: Value| {
            let mut arguments = object(&said);
            let pick = arguments.shift_remove("pick");
            let picked = pick.map(|pick| picked(&state, &pick).unwrap());
            fill(tool, &mut arguments, &state, picked.as_ref()).unwrap();
            assert_eq!(Value::Object(arguments), expected);
        };
        check(
            CHECK,
            json!({ "pick": 2, "nights_delta": 2 }),
            json!({
                "property_id": "htl_1_2", "check_in": "2026-12-01", "check_out": "2026-12-05",
                "rooms": [{ "adults": 2, "child_ages": [] }],
            }),
        );
        check(
            SEARCH,
            json!({ "sort": "price" }),
            json!({
                "sort": "price", "place": "geonames:4930956", "check_in": "2026-12-01",
                "check_out": "2026-12-03", "min_stars": 4,
            }),
        );
        check(
            CREATE,
            json!({ "pick": 1 }),
            json!({ "offer_ref": "ofr_1" }),
        );
        // What is said wins.
        check(
            DETAILS,
            json!({ "pick": 1, "property_id": "x" }),
            json!({ "property_id": "x" }),
        );
    }

    #[test]
    fn pick_outside_of_what_was_shown_is_refused() {
        let state = object(&json!({ "shown": [{ "property_id": "a" }] }));
        for pick in [
            json!(0),
            json!(2),
            json!(-1),
            json!("second"),
            json!(i64::MAX),
        ] {
            let refused = picked(&state, &pick);
            assert!(
                matches!(refused, Err(Refusal::Pick { shown: 1, .. })),
                "{pick}"
            );
        }
        for delta in [json!(31), json!("two"), json!(i64::MIN)] {
            let mut arguments = object(&json!({ "check_out": "2026-12-03" }));
            assert!(lengthen(&mut arguments, &delta).is_err(), "{delta}");
        }
    }
}
