//! Where calls of tools arrive: what every one of them has to pass.
//!
//! # Invariants
//!
//! * Arguments that hold a card number go no further, whatever the tool is.
//! * Every call of a known tool is answered with a result; one that cannot be done says
//!   so with a code and a sentence about what to do.

use std::sync::{Arc, LazyLock};

use airside_base::TenantId;
use airside_builtin::{
    arguments,
    model::{CallToolResult, JsonObject, Tool},
};
use airside_mcp::Principal;
use airside_screen::{Group, Groups};
use serde_json::{Value, json};

use crate::{
    booking::{self, QUOTE_CHANGE, Refusal},
    memory::{self, EXTEND, Memory, Thread},
    tools::{self, SEARCH},
    ucp::tool::CREATE,
};

/// The tools in the order in which they are listed, which never changes.
pub(crate) static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let searching = tools::TOOLS.iter().cloned();
    let all = searching.chain(booking::tools());
    all.map(memory::taught).collect()
});

/// What is looked for in arguments.
const CARDS: Groups = Groups::NONE.with(Group::Card);

/// Answers calls of all tools.
#[derive(Debug, Clone)]
pub(crate) struct Counter {
    desk: tools::Desk,
    booking: Arc<booking::Desk>,
    memory: Memory,
}

impl Counter {
    pub(crate) fn new(desk: tools::Desk, booking: Arc<booking::Desk>, memory: Memory) -> Self {
        Self {
            desk,
            booking,
            memory,
        }
    }

    /// Calls a tool. Returns `None` if there is none of this name.
    pub(crate) async fn call(
        &self,
        name: &str,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Option<CallToolResult> {
        TOOLS.iter().find(|tool| tool.name == name)?;
        let mut arguments = arguments.unwrap_or_default();
        if !airside_screen::arguments(&arguments, CARDS).is_empty() {
            return Some(booking::refuse(&Refusal::CardNumber));
        }
        let tenant = principal.map_or_else(TenantId::default, |by| by.tenant.clone());
        let thread = match memory::is_remembered(name) {
            true => self.recall(name, &mut arguments, &tenant, principal).await,
            false => Ok(None),
        };
        let (thread, assumed) = match thread {
            Ok(Some((thread, assumed))) => (Some(thread), assumed),
            Ok(None) => (None, None),
            Err(refusal) => return Some(booking::refuse(&refusal)),
        };
        let mut result = self.answer(name, arguments.clone(), principal).await?;
        if let Some(assumed) = assumed {
            assume(&mut result, assumed);
        }
        if let Some(thread) = thread {
            self.memory
                .remember(thread, name, &arguments, &mut result)
                .await;
        }
        Some(result)
    }

    async fn answer(
        &self,
        name: &str,
        arguments: JsonObject,
        principal: Option<&Principal>,
    ) -> Option<CallToolResult> {
        match self.desk.call(name, Some(arguments.clone())).await {
            Some(result) => Some(result),
            None => self.booking.call(name, Some(arguments), principal).await,
        }
    }

    /// Puts into `arguments` what their conversation knows; returns what was assumed.
    async fn recall(
        &self,
        name: &str,
        arguments: &mut JsonObject,
        tenant: &TenantId,
        principal: Option<&Principal>,
    ) -> Result<Option<(Thread, Option<String>)>, Refusal> {
        let person = match arguments.contains_key("conversation") {
            true => self.booking.recognised(principal).await?,
            false => None,
        };
        let subject = person.as_ref().map(|(subject, _)| subject.clone());
        let thread = self.memory.recall(name, arguments, tenant, subject).await?;
        if name == CREATE {
            self.lengthen(arguments).await?;
        }
        let Some(thread) = thread else {
            return Ok(None);
        };
        if name == QUOTE_CHANGE
            && !arguments.contains_key("booking_id")
            && let Some(session) = thread.session()
            && let Some(booking) = self.booking.booking_of(principal, session).await?
        {
            arguments.insert("booking_id".to_owned(), booking.into());
        }
        let mut assumed = None;
        if name == SEARCH
            && thread.is_new()
            && let Some((_, liked)) = person
        {
            let liked = json!({
                "min_stars": liked.min_stars,
                "free_cancellation": liked.free_cancellation,
            });
            assumed = prefer(arguments, &liked);
        }
        Ok(Some((thread, assumed)))
    }

    /// Replaces the offer by the one of so many nights more.
    async fn lengthen(&self, arguments: &mut JsonObject) -> Result<(), Refusal> {
        let Some(delta) = arguments.shift_remove(EXTEND) else {
            return Ok(());
        };
        let delta = delta.as_i64().filter(|delta| (-30..=30).contains(delta));
        let delta = delta.ok_or(arguments::Error::Range {
            field: EXTEND,
            range: "use nights_delta of -30 to 30",
        })?;
        let offer = arguments.get("offer_ref").and_then(Value::as_str);
        let offer = offer.ok_or(Refusal::OfferUnknown)?;
        if delta != 0 {
            let longer = self.booking.lengthened(offer, delta).await?;
            arguments.insert("offer_ref".to_owned(), longer.into());
        }
        Ok(())
    }
}

/// Puts what the traveller likes into a search that does not say it. Returns what was
/// put in, in words.
fn prefer(arguments: &mut JsonObject, liked: &Value) -> Option<String> {
    let mut applied = Vec::new();
    for (name, value) in liked.as_object().into_iter().flatten() {
        if !value.is_null() && !arguments.contains_key(name) {
            arguments.insert(name.clone(), value.clone());
            applied.push(format!("{name} {value}"));
        }
    }
    let words = || {
        format!(
            "The traveller's preferences were applied: {}.",
            applied.join(", ")
        )
    };
    (!applied.is_empty()).then(words)
}

fn assume(result: &mut CallToolResult, what: String) {
    let assumptions = result
        .structured_content
        .as_mut()
        .and_then(|content| content.get_mut("assumptions")?.as_array_mut());
    if let Some(assumptions) = assumptions {
        assumptions.push(what.into());
    }
}
