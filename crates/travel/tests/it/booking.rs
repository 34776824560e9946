//! From an offer to a booking, as callers see it.

use std::sync::Arc;

use airside_base::VirtualClock;
use airside_ledger::Query;
use airside_mcp::{Local as _, Principal, body};
use airside_travel::{Options, Parts, Travel};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::{NOW, parts, read};

/// Somebody's booking desk, with its clock and what it is made of.
pub(crate) struct Rig {
    pub(crate) travel: Travel,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) parts: Parts,
}

pub(crate) const ADA: &str = "ada";
pub(crate) const EVE: &str = "eve";

impl Rig {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(VirtualClock::new(NOW.parse().unwrap()));
        Self::on(parts(clock.clone()), clock)
    }

    /// Another process on the same ledger.
    pub(crate) fn again(&self) -> Self {
        Self::on(self.parts.clone(), self.clock.clone())
    }

    fn on(parts: Parts, clock: Arc<VirtualClock>) -> Self {
        let options = Options {
            seed: 7,
            ..Options::default()
        };
        Self {
            travel: Travel::new(options, parts.clone()),
            clock,
            parts,
        }
    }

    /// Calls a tool as the caller `who`; `None` is somebody unknown.
    pub(crate) async fn call(&self, who: Option<&str>, tool: &str, arguments: Value) -> Value {
        // The tools that search mirror it into a header.
        let mirrors = matches!(tool, "search_hotels" | "check_availability");
        let currency = arguments["currency"].as_str().filter(|_| mirrors);
        let currency = currency.map(str::to_owned);
        let params = json!({
            "name": tool,
            "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        });
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let mut request = Request::post("http://travel.internal/mcp")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .body(body::full(message.to_string()))
            .unwrap();
        if let Some(currency) = currency {
            let mirrored = airside_mcp::header::encode(&currency).into_owned();
            let name = http::HeaderName::from_static("mcp-param-currency");
            request
                .headers_mut()
                .insert(name, mirrored.parse().unwrap());
        }
        if let Some(who) = who {
            request.extensions_mut().insert(Principal {
                tenant: "default".parse().unwrap(),
                kind: "api_key",
                id: who.into(),
                attestation: 20,
            });
        }
        let (status, message) = read(self.travel.call(request).await).await;
        assert_eq!(status, StatusCode::OK, "{message}");
        message["result"].clone()
    }

    /// Calls a tool as Ada and returns the whole result.
    pub(crate) async fn ada(&self, tool: &str, arguments: Value) -> Value {
        self.call(Some(ADA), tool, arguments).await
    }

    /// Returns an offer in Boston of which many rooms are left.
    pub(crate) async fn offer(&self, check_in: &str, check_out: &str) -> Value {
        let arguments = json!({
            "place": "Boston", "check_in": check_in, "check_out": check_out, "limit": 25,
            "free_cancellation": true,
        });
        let found = self.ada("search_hotels", arguments).await;
        let hotels = found["structuredContent"]["hotels"].as_array().unwrap();
        let offers = hotels.iter().map(|hotel| &hotel["best_offer"]);
        let most = offers.max_by_key(|offer| offer["rooms_left"].as_u64().unwrap());
        most.expect("Boston has hotels").clone()
    }

    /// Creates a session that is ready to be completed, and returns the result.
    pub(crate) async fn ready(&self) -> Value {
        let offer = self.offer("2026-12-15", "2026-12-17").await;
        let arguments = json!({ "offer_ref": offer["offer_ref"], "booker": booker() });
        let ready = self.ada("create_booking_session", arguments).await;
        let status = &ready["structuredContent"]["session"]["status"];
        assert_eq!(status, "ready_for_complete", "{ready}");
        ready
    }

    /// Books and returns the booking_id.
    pub(crate) async fn booked(&self) -> String {
        let ready = self.ready().await;
        let done = self
            .ada("complete_booking_session", consent(&ready, KEY))
            .await;
        let id = &done["structuredContent"]["session"]["confirmation"]["id"];
        id.as_str().unwrap_or_else(|| panic!("{done}")).to_owned()
    }

    /// Returns the kinds of all entries of the caller's chain.
    pub(crate) async fn kinds(&self) -> Vec<String> {
        let query = Query::new("default".parse().unwrap());
        let entries = self.parts.ledger.read(query).await.unwrap();
        entries
            .iter()
            .map(|entry| entry.kind.as_str().to_owned())
            .collect()
    }
}

pub(crate) const KEY: &str = "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11";

pub(crate) fn booker() -> Value {
    json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "phone_number": "+14155550123" })
}

/// Makes the arguments that the booking view makes when the traveller consents.
pub(crate) fn consent(result: &Value, key: &str) -> Value {
    let consent = &result["_meta"]["airside/consent"];
    let text = |name: &str| consent[name].as_str().unwrap_or_else(|| panic!("{result}"));
    let (nonce, id, terms) = (text("nonce"), text("session_id"), text("terms_digest"));
    let token = format!("airside-consent-v1\n{nonce}\n{id}\n{terms}\n{key}");
    let token = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    let token: String = token
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = if id.starts_with("quo_") {
        "quote_id"
    } else {
        "session_id"
    };
    json!({
        name: id, "idempotency_key": key, "terms_digest": terms, "consent_token": token,
        "disclosure_shown": true,
    })
}

fn with(mut arguments: Value, name: &str, value: Value) -> Value {
    arguments[name] = value;
    arguments
}

#[track_caller]
fn check_refused(result: &Value, code: &str) {
    let content = &result["structuredContent"];
    assert_eq!(
        (&result["isError"], &content["status"], &content["code"]),
        (&json!(true), &json!("error"), &json!(code)),
        "{result}"
    );
    let hint = content["hint"].as_str().unwrap_or_default();
    assert!(hint.len() > 10, "{result}");
}

#[tokio::test]
async fn traveller_books_what_they_reviewed() {
    let rig = Rig::new();
    let offer = rig.offer("2026-12-15", "2026-12-17").await;
    let created = rig
        .ada(
            "create_booking_session",
            json!({ "offer_ref": offer["offer_ref"] }),
        )
        .await;
    let session = &created["structuredContent"]["session"];
    assert_eq!(created["structuredContent"]["status"], "ok", "{created}");
    assert_eq!(session["status"], "incomplete");
    assert_eq!(session["messages"][0]["code"], "booker_missing");
    // Rule 10: the price of the card is the price of the session.
    assert_eq!(session["offer"]["total"], offer["total"]);
    assert!(created["_meta"]["airside/consent"].is_null(), "{created}");
    let update = json!({ "session_id": session["id"], "booker": booker() });
    let ready = rig.ada("update_booking_session", update).await;
    let session = &ready["structuredContent"]["session"];
    assert_eq!(session["status"], "ready_for_complete");
    assert_eq!(session["booker"], booker());
    // What models see does not hold what consent is made of.
    let nonce = ready["_meta"]["airside/consent"]["nonce"].as_str().unwrap();
    assert!(!ready["structuredContent"].to_string().contains(nonce));
    assert!(!ready["content"].to_string().contains(nonce));
    let done = rig
        .ada("complete_booking_session", consent(&ready, KEY))
        .await;
    let session = &done["structuredContent"]["session"];
    assert_eq!(session["status"], "completed", "{done}");
    let booking = rig
        .ada(
            "get_booking",
            json!({ "booking_id": session["confirmation"]["id"] }),
        )
        .await;
    let booking = &booking["structuredContent"]["booking"];
    assert_eq!(booking["status"], "confirmed");
    assert_eq!(booking["booker"], booker());
    assert_eq!(booking["offer"]["total"], offer["total"]);
    assert_eq!(booking["label"], session["confirmation"]["label"]);
    let mine = rig.ada("list_my_bookings", json!({})).await;
    assert_eq!(
        mine["structuredContent"]["bookings"][0]["id"],
        booking["id"]
    );
}

#[tokio::test]
async fn consent_is_to_these_terms_by_this_traveller_once() {
    let rig = Rig::new();
    let ready = rig.ready().await;
    let good = consent(&ready, KEY);
    for (arguments, code) in [
        (
            with(good.clone(), "terms_digest", json!("0".repeat(64))),
            "TRV-212",
        ),
        (
            with(good.clone(), "consent_token", json!("0".repeat(64))),
            "TRV-213",
        ),
        (with(good.clone(), "consent_token", json!("")), "TRV-213"),
        (
            with(good.clone(), "disclosure_shown", json!(false)),
            "TRV-214",
        ),
        (with(good.clone(), "idempotency_key", json!("x")), "TRV-210"),
        // The token is bound to its key.
        (
            with(
                good.clone(),
                "idempotency_key",
                json!("7f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11"),
            ),
            "TRV-213",
        ),
    ] {
        let refused = rig.ada("complete_booking_session", arguments).await;
        check_refused(&refused, code);
    }
    // A token of another session of the same traveller.
    let other = rig.ready().await;
    let foreign = with(
        good.clone(),
        "consent_token",
        consent(&other, KEY)["consent_token"].clone(),
    );
    check_refused(
        &rig.ada("complete_booking_session", foreign).await,
        "TRV-213",
    );
    // Another traveller does not even learn that the session exists.
    let stolen = rig
        .call(Some(EVE), "complete_booking_session", good.clone())
        .await;
    check_refused(&stolen, "TRV-202");
    let nobody = rig
        .call(None, "complete_booking_session", good.clone())
        .await;
    check_refused(&nobody, "TRV-201");
    // An update makes the token of before worthless.
    let id = &ready["structuredContent"]["session"]["id"];
    let updated = rig
        .ada(
            "update_booking_session",
            json!({ "session_id": id, "booker": booker() }),
        )
        .await;
    check_refused(&rig.ada("complete_booking_session", good).await, "TRV-213");
    let done = rig
        .ada("complete_booking_session", consent(&updated, KEY))
        .await;
    assert_eq!(
        done["structuredContent"]["session"]["status"], "completed",
        "{done}"
    );
    // Used once: another key with a token made of the same nonce.
    let again = consent(&updated, "8f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11");
    check_refused(&rig.ada("complete_booking_session", again).await, "TRV-208");
    assert_eq!(
        rig.kinds()
            .await
            .iter()
            .filter(|kind| *kind == "booking.confirmed")
            .count(),
        1
    );
}

#[tokio::test]
async fn expired_session_cannot_be_completed() {
    let rig = Rig::new();
    let ready = rig.ready().await;
    rig.clock.advance(std::time::Duration::from_secs(15 * 60));
    check_refused(
        &rig.ada("complete_booking_session", consent(&ready, KEY))
            .await,
        "TRV-205",
    );
    let id = &ready["structuredContent"]["session"]["id"];
    let seen = rig
        .ada("get_booking_session", json!({ "session_id": id }))
        .await;
    assert_eq!(seen["structuredContent"]["session"]["status"], "canceled");
}

#[tokio::test]
async fn rule_14_repetitions_have_the_first_outcome() {
    let rig = Rig::new();
    let offer = rig.offer("2026-12-15", "2026-12-17").await;
    let create =
        json!({ "offer_ref": offer["offer_ref"], "booker": booker(), "idempotency_key": KEY });
    let (first, second) = tokio::join!(
        rig.ada("create_booking_session", create.clone()),
        rig.ada("create_booking_session", create.clone()),
    );
    let id = |result: &Value| result["structuredContent"]["session"]["id"].clone();
    assert!(id(&first).is_string(), "{first}");
    assert_eq!(id(&first), id(&second), "duplicate in flight");
    let third = rig.ada("create_booking_session", create.clone()).await;
    assert_eq!(id(&first), id(&third), "duplicate after success");
    let other = json!({ "offer_ref": offer["offer_ref"], "idempotency_key": KEY });
    check_refused(&rig.ada("create_booking_session", other).await, "TRV-211");

    let key = "9f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11";
    let complete = consent(&third, key);
    let (first, second) = tokio::join!(
        rig.ada("complete_booking_session", complete.clone()),
        rig.ada("complete_booking_session", complete.clone()),
    );
    let confirmed = |result: &Value| result["structuredContent"]["session"]["confirmation"].clone();
    // One of two in flight may learn only that it is under way.
    let known: Vec<_> = [&first, &second]
        .into_iter()
        .filter(|r| confirmed(r).is_object())
        .collect();
    assert!(!known.is_empty(), "{first} {second}");
    let settled = rig.ada("complete_booking_session", complete.clone()).await;
    assert!(
        known
            .iter()
            .all(|result| confirmed(result) == confirmed(&settled))
    );
    // The token may be another one: the answer was lost, not the consent.
    let retoken = with(complete.clone(), "consent_token", json!("f".repeat(64)));
    assert_eq!(
        confirmed(&rig.ada("complete_booking_session", retoken).await),
        confirmed(&settled)
    );
    let reworded = with(complete, "terms_digest", json!("0".repeat(64)));
    check_refused(
        &rig.ada("complete_booking_session", reworded).await,
        "TRV-211",
    );
    assert_eq!(
        rig.kinds()
            .await
            .iter()
            .filter(|kind| *kind == "booking.confirmed")
            .count(),
        1
    );
    // In another process, on the same ledger.
    let elsewhere = rig.again().ada("create_booking_session", create).await;
    assert_eq!(id(&elsewhere), id(&third));
}

#[tokio::test]
async fn bookings_of_others_do_not_exist() {
    let rig = Rig::new();
    let id = rig.booked().await;
    for (who, code) in [(Some(EVE), "TRV-203"), (None, "TRV-201")] {
        for tool in ["get_booking", "quote_cancellation"] {
            check_refused(
                &rig.call(who, tool, json!({ "booking_id": id })).await,
                code,
            );
        }
        let moved = json!({ "booking_id": id, "nights_delta": 1 });
        check_refused(&rig.call(who, "quote_booking_change", moved).await, code);
    }
    let hers = rig.call(Some(EVE), "list_my_bookings", json!({})).await;
    assert_eq!(hers["structuredContent"]["bookings"], json!([]));
    // The same words for what never was.
    let stolen = rig
        .call(Some(EVE), "get_booking", json!({ "booking_id": id }))
        .await;
    let invented = rig
        .call(Some(EVE), "get_booking", json!({ "booking_id": "bkg_x" }))
        .await;
    assert_eq!(stolen, invented);
}

#[tokio::test]
async fn rule_16_booking_is_changed_as_quoted() {
    let rig = Rig::new();
    let id = rig.booked().await;
    let before = rig.ada("get_booking", json!({ "booking_id": id })).await;
    let before = &before["structuredContent"]["booking"];
    let quoted = rig
        .ada(
            "quote_booking_change",
            json!({ "booking_id": id, "nights_delta": 1 }),
        )
        .await;
    let quote = &quoted["structuredContent"]["quote"];
    assert_eq!(quote["kind"], "change", "{quoted}");
    assert_eq!(quote["before"], before["offer"]["total"]);
    let amount = |money: &Value| money["amount"].as_i64().unwrap();
    assert_eq!(
        amount(&quote["after"]) - amount(&quote["before"]),
        amount(&quote["difference"])
    );
    let unchanged = rig.ada("get_booking", json!({ "booking_id": id })).await;
    assert_eq!(
        unchanged["structuredContent"]["booking"]["stay"],
        before["stay"]
    );
    let confirm = consent(&quoted, "af1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11");
    let stolen = with(confirm.clone(), "consent_token", json!("0".repeat(64)));
    check_refused(&rig.ada("confirm_booking_change", stolen).await, "TRV-213");
    // A quote is confirmed by the tool that it is for.
    check_refused(
        &rig.ada("confirm_cancellation", confirm.clone()).await,
        "TRV-202",
    );
    let done = rig.ada("confirm_booking_change", confirm.clone()).await;
    let booking = &done["structuredContent"]["booking"];
    assert_eq!(booking["stay"]["nights"], 3, "{done}");
    assert_eq!(booking["offer"]["total"], quote["after"]);
    assert_eq!(booking["history"][0]["what"], "changed");
    assert_eq!(
        rig.ada("confirm_booking_change", confirm).await["structuredContent"]["outcome"],
        done["structuredContent"]["outcome"]
    );
    check_refused(
        &rig.ada("quote_booking_change", json!({ "booking_id": id }))
            .await,
        "TRV-218",
    );
}

#[tokio::test]
async fn booking_is_cancelled_for_what_was_quoted() {
    let rig = Rig::new();
    let id = rig.booked().await;
    let quoted = rig
        .ada("quote_cancellation", json!({ "booking_id": id }))
        .await;
    let quote = &quoted["structuredContent"]["quote"];
    assert_eq!(quote["kind"], "cancellation", "{quoted}");
    let amount = |money: &Value| money["amount"].as_i64().unwrap();
    assert_eq!(
        amount(&quote["penalty"]) + amount(&quote["refund"]),
        amount(&quote["before"])
    );
    let confirm = consent(&quoted, "bf1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11");
    let done = rig.ada("confirm_cancellation", confirm.clone()).await;
    assert_eq!(
        done["structuredContent"]["booking"]["status"], "cancelled",
        "{done}"
    );
    let again = rig.ada("confirm_cancellation", confirm).await;
    assert_eq!(
        again["structuredContent"]["outcome"],
        done["structuredContent"]["outcome"]
    );
    check_refused(
        &rig.ada("quote_cancellation", json!({ "booking_id": id }))
            .await,
        "TRV-217",
    );
    let mine = rig.ada("list_my_bookings", json!({})).await;
    assert_eq!(
        mine["structuredContent"]["bookings"][0]["status"],
        "cancelled"
    );
}

#[tokio::test]
async fn card_numbers_are_refused_everywhere() {
    let rig = Rig::new();
    let card = "4111 1111 1111 1111";
    for (tool, arguments) in [
        ("search_hotels", json!({ "place": card })),
        ("create_booking_session", json!({ "offer_ref": card })),
        (
            "update_booking_session",
            json!({ "session_id": "x", "booker": { "first_name": card, "last_name": "x", "email": "a@b.ch" } }),
        ),
        (
            "save_preferences",
            json!({ "notes": format!("my card is {card}") }),
        ),
        ("send_feedback", json!({ "about": "other", "text": card })),
        ("get_booking", json!({ "nested": { "deep": [card] } })),
    ] {
        let refused = rig.ada(tool, arguments).await;
        check_refused(&refused, "TRV-200");
        assert!(!refused.to_string().contains("1111"), "{refused}");
    }
}

#[tokio::test]
async fn cancelled_session_gives_its_rooms_back() {
    let rig = Rig::new();
    let ready = rig.ready().await;
    let id = json!({ "session_id": ready["structuredContent"]["session"]["id"] });
    for _ in 0..2 {
        let ended = rig.ada("cancel_booking_session", id.clone()).await;
        assert_eq!(
            ended["structuredContent"]["session"]["status"], "canceled",
            "{ended}"
        );
    }
    check_refused(
        &rig.ada("complete_booking_session", consent(&ready, KEY))
            .await,
        "TRV-209",
    );
    check_refused(&rig.ada("update_booking_session", id).await, "TRV-209");
}

#[tokio::test]
async fn open_sessions_of_one_traveller_are_bounded() {
    let rig = Rig::new();
    let offer = rig.offer("2026-12-15", "2026-12-17").await;
    let create = json!({ "offer_ref": offer["offer_ref"] });
    let mut last = Value::Null;
    for _ in 0..11 {
        last = rig.ada("create_booking_session", create.clone()).await;
        if last["isError"] == true {
            break;
        }
    }
    let code = &last["structuredContent"]["code"];
    assert_eq!(code, "TRV-216", "{last}");
}

#[tokio::test]
async fn preferences_are_kept_used_and_forgotten_while_the_booking_stays() {
    let rig = Rig::new();
    let id = rig.booked().await;
    let liked = json!({ "min_stars": 4, "notes": "a quiet room" });
    let saved = rig.ada("save_preferences", liked.clone()).await;
    assert_eq!(saved["structuredContent"]["preferences"], liked, "{saved}");
    let kept = rig.again().ada("get_preferences", json!({})).await;
    assert_eq!(kept["structuredContent"]["preferences"], liked);
    let others = rig.call(Some(EVE), "get_preferences", json!({})).await;
    assert_eq!(others["structuredContent"]["preferences"], json!({}));
    let search = json!({ "place": "Boston", "check_in": "2026-12-15", "check_out": "2026-12-17", "conversation": "new" });
    let found = rig.ada("search_hotels", search).await;
    let hotels = found["structuredContent"]["hotels"].as_array().unwrap();
    assert!(
        hotels
            .iter()
            .all(|hotel| hotel["stars"].as_u64().unwrap() >= 4),
        "{found}"
    );
    assert!(
        found["structuredContent"]["assumptions"]
            .to_string()
            .contains("preferences")
    );
    rig.ada(
        "send_feedback",
        json!({ "about": "search", "rating": 5, "text": "lovely" }),
    )
    .await;
    let handle = &found["structuredContent"]["conversation"];
    check_refused(
        &rig.ada("forget_me", json!({ "confirm": false })).await,
        "TRV-223",
    );
    let forgotten = rig.ada("forget_me", json!({ "confirm": true })).await;
    assert!(
        forgotten["structuredContent"]["entry"].is_u64(),
        "{forgotten}"
    );
    let kept = rig.ada("get_preferences", json!({})).await;
    assert_eq!(kept["structuredContent"]["preferences"], json!({}));
    let gone = rig
        .ada(
            "check_availability",
            json!({ "conversation": handle, "pick": 1 }),
        )
        .await;
    check_refused(&gone, "TRV-219");
    // The booking outlives what was only kept to serve, with the name of its guest.
    let booking = rig.ada("get_booking", json!({ "booking_id": id })).await;
    assert_eq!(booking["structuredContent"]["booking"]["booker"], booker());
    // And the traveller can go on.
    let saved = rig.ada("save_preferences", liked.clone()).await;
    assert_eq!(saved["structuredContent"]["preferences"], liked);
}

#[tokio::test]
async fn follow_up_needs_only_the_handle_and_the_change() {
    let rig = Rig::new();
    let search = json!({ "place": "Boston", "check_in": "2026-12-15", "check_out": "2026-12-17", "conversation": "new" });
    let found = rig.call(None, "search_hotels", search).await;
    let found = &found["structuredContent"];
    let handle = found["conversation"].as_str().unwrap().to_owned();
    let left = |hotel: &Value| hotel["best_offer"]["rooms_left"].as_u64().unwrap();
    let hotels = found["hotels"].as_array().unwrap();
    let pick = (0..hotels.len())
        .max_by_key(|at| left(&hotels[*at]))
        .unwrap();
    let other = rig.again();
    let arguments = json!({ "conversation": handle, "pick": pick + 1, "nights_delta": 2 });
    let checked = other.call(None, "check_availability", arguments).await;
    let checked = &checked["structuredContent"];
    assert_eq!(
        checked["property_id"], hotels[pick]["property_id"],
        "{checked}"
    );
    assert_eq!(checked["stay"]["check_out"], "2026-12-19");
    assert_eq!(checked["conversation"], handle);
    let arguments = json!({ "conversation": handle, "pick": 1, "nights_delta": -1 });
    let shorter = other.ada("create_booking_session", arguments).await;
    let shorter = &shorter["structuredContent"]["session"];
    assert_eq!(shorter["stay"]["nights"], 3, "{shorter}");
    other
        .ada(
            "cancel_booking_session",
            json!({ "session_id": shorter["id"] }),
        )
        .await;
    let arguments = json!({ "conversation": handle, "pick": 1, "booker": booker() });
    let created = other.ada("create_booking_session", arguments).await;
    let session = &created["structuredContent"]["session"];
    assert_eq!(
        session["offer"]["total"], checked["offers"][0]["total"],
        "{created}"
    );
    let done = rig
        .ada("complete_booking_session", consent(&created, KEY))
        .await;
    assert_eq!(
        done["structuredContent"]["session"]["status"], "completed",
        "{done}"
    );
    for (arguments, code) in [
        (json!({ "conversation": handle, "pick": 99 }), "TRV-220"),
        (
            json!({ "conversation": "x".repeat(43), "pick": 1 }),
            "TRV-219",
        ),
        (json!({ "pick": 1 }), "TRV-219"),
        (
            json!({ "conversation": handle, "nights_delta": 400 }),
            "TRV-016",
        ),
    ] {
        check_refused(&rig.ada("check_availability", arguments).await, code);
    }
}

#[tokio::test]
async fn price_that_changed_since_the_offer_is_told_before_anything_else() {
    let rig = Rig::new();
    let offer = rig.offer("2026-12-15", "2026-12-17").await;
    let offer_ref = offer["offer_ref"].as_str().unwrap();
    let found = rig
        .ada("search_hotels", json!({ "place": "Boston", "check_in": "2026-12-15", "check_out": "2026-12-17", "limit": 25, "free_cancellation": true }))
        .await;
    let hotels = found["structuredContent"]["hotels"].as_array().unwrap();
    let hotel = hotels
        .iter()
        .find(|hotel| hotel["best_offer"]["offer_ref"] == offer_ref);
    let hotel = &hotel.unwrap()["property_id"];
    // The hotel sends another rate after the traveller has seen the offer.
    let updates: airside_travel::supply::Updates = serde_json::from_value(json!({
        "hotel": hotel, "sent": "2026-11-23T12:00:00Z",
        "changes": [{
            "room": offer["room_type"]["code"], "from": "2026-12-15", "to": "2026-12-16",
            "what": { "set": "base_rate", "to": 99_900 },
        }],
    }))
    .unwrap();
    rig.travel.supply().apply(&updates).await.unwrap();
    let create = json!({ "offer_ref": offer_ref, "booker": booker() });
    let told = rig.ada("create_booking_session", create).await;
    let content = &told["structuredContent"];
    assert_eq!(content["status"], "totals_changed", "{told}");
    assert_eq!(content["change"]["before"], offer["total"]);
    assert_eq!(
        content["change"]["after"],
        content["session"]["offer"]["total"]
    );
    assert_ne!(content["change"]["after"], offer["total"]);
    // What the traveller consents to is the new price.
    let done = rig
        .ada("complete_booking_session", consent(&told, KEY))
        .await;
    let session = &done["structuredContent"]["session"];
    assert_eq!(session["status"], "completed", "{done}");
    assert_eq!(session["offer"]["total"], content["change"]["after"]);
}

/// Calls of tools that look, with nonsense in them.
fn nonsense_looking(hotel: &Value, long: &str) -> Vec<(&'static str, Value)> {
    let stay = |check_in: &str, check_out: &str| json!({ "property_id": hotel, "check_in": check_in, "check_out": check_out });
    let rooms = |rooms: Value| with(stay("2026-12-15", "2026-12-16"), "rooms", rooms);
    let calendar = |name: &str, value: Value| {
        let from = json!({ "property_id": hotel, "from": "2026-12-15" });
        ("get_price_calendar", with(from, name, value))
    };
    vec![
        ("check_availability", stay("2026-11-01", "2026-11-03")),
        ("check_availability", stay("2026-12-15", "2026-12-15")),
        ("check_availability", stay("2026-12-15", "2028-01-19")),
        (
            "check_availability",
            rooms(json!(vec![json!({ "adults": 1 }); 90])),
        ),
        (
            "check_availability",
            rooms(json!([{ "adults": 1, "child_ages": [40] }])),
        ),
        (
            "search_hotels",
            json!({ "place": "Boston", "currency": "XYZ" }),
        ),
        ("search_hotels", json!({ "place": "🏨🏨🏨" })),
        ("search_hotels", json!({ "place": long })),
        calendar("days", json!(63)),
        calendar("nights", json!(400)),
        calendar("from", json!("2026-11-01")),
    ]
}

/// Calls of tools that book, with nonsense in them.
fn nonsense_booking(id: &str, long: &str) -> Vec<(&'static str, Value)> {
    let change = |name: &str, value: Value| {
        let of = json!({ "booking_id": id });
        ("quote_booking_change", with(of, name, value))
    };
    let feedback = |name: &str, value: Value| {
        let said = json!({ "about": "search", "text": "x" });
        ("send_feedback", with(said, name, value))
    };
    vec![
        ("create_booking_session", json!({})),
        ("create_booking_session", json!({ "offer_ref": "🏨" })),
        ("create_booking_session", json!({ "offer_ref": long })),
        (
            "create_booking_session",
            json!({ "offer_ref": 7, "rooms": 90 }),
        ),
        ("update_booking_session", json!({ "session_id": long })),
        ("get_booking", json!({ "booking_id": "" })),
        ("confirm_cancellation", json!({})),
        change("check_in", json!("2026-11-01")),
        change("check_out", json!("2026-12-01")),
        change("check_out", json!("tomorrow")),
        change("nights_delta", json!(400)),
        change("nights_delta", json!(i64::MAX)),
        ("save_preferences", json!({ "min_stars": 9 })),
        ("save_preferences", json!({ "currency": "🙂" })),
        ("save_preferences", json!({ "notes": long })),
        feedback("text", json!(long)),
        feedback("about", json!("weather")),
        feedback("rating", json!(40)),
    ]
}

#[tokio::test]
async fn nonsense_is_answered_with_a_code_and_a_hint() {
    let rig = Rig::new();
    let id = rig.booked().await;
    let long = "x".repeat(1_000_000);
    let found = rig.ada("search_hotels", json!({ "place": "Boston" })).await;
    let hotel = &found["structuredContent"]["hotels"][0]["property_id"];
    let calls = nonsense_looking(hotel, &long).into_iter();
    for (tool, arguments) in calls.chain(nonsense_booking(&id, &long)) {
        let said: String = arguments.to_string().chars().take(120).collect();
        let refused = rig.ada(tool, arguments).await;
        let content = &refused["structuredContent"];
        let refusal = (&refused["isError"], &content["status"]);
        assert_eq!(
            refusal,
            (&json!(true), &json!("error")),
            "{tool} {said}: {refused}"
        );
        let code = content["code"].as_str().unwrap();
        assert!(
            code.starts_with("TRV-") && code.len() == 7,
            "{tool} {said}: {code}"
        );
        assert!(
            content["hint"].as_str().unwrap().len() > 10,
            "{tool} {said}"
        );
        assert!(refused.to_string().len() < 2_000, "{tool} {said}");
    }
    // Nothing of it changed anything.
    let booking = rig.ada("get_booking", json!({ "booking_id": id })).await;
    assert_eq!(
        booking["structuredContent"]["booking"]["history"],
        json!([])
    );
}
