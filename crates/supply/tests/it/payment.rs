//! Booking sessions that are paid on a page, against a provider that does everything
//! which providers do.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, NodeId, Redacted, Supervisor, TenantId, VirtualClock};
use airside_ledger::{
    Ledger,
    conversation::Conversations,
    keys::{Keys, memory::MemoryKeys},
    stores::memory::Memory,
    vault::memory::MemoryVault,
};
use airside_mcp::{Local as _, Principal, body};
use airside_supply::payment::{Access, Checkout as Client};
use airside_testkit::checkout::{Checkout, Mood};
use airside_travel::{
    Options, Parts, Size, Travel,
    house::{File, Houses},
    payment::{Order, Payments, Purpose, Tokens, contract},
};
use http::Request;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const NOW: &str = "2026-11-23T12:00:00Z";
const KEY: &str = "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11";

struct Rig {
    travel: Travel,
    provider: Checkout,
    client: Arc<Client>,
    clock: Arc<VirtualClock>,
    _tasks: Supervisor,
}

async fn provider(clock: &Arc<VirtualClock>, tasks: &Supervisor) -> (Checkout, Arc<Client>) {
    let clock: Arc<dyn Clock> = clock.clone();
    let provider = Checkout::new("sk_test", "whsec_test", clock);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = provider.serve(listener, tasks).unwrap();
    let client = Client::new(Access {
        base: format!("http://{address}").parse().unwrap(),
        key: Redacted::new("sk_test".to_owned()),
        webhook_secret: Redacted::new("whsec_test".to_owned()),
        pages: vec![address.to_string()],
        return_url: "https://hotels.example/back".parse().unwrap(),
        timeout: Duration::from_secs(10),
    });
    (provider, Arc::new(client.unwrap()))
}

/// A hotel with a rate that is paid before it is booked and given back in time.
fn own() -> Houses {
    let file = json!({ "hotel": [{
        "id": "harbor-boston", "name": "Harbor Light", "stars": 4, "place": "Boston, US",
        "street": "12 Long Wharf", "position": "42.36010, -71.04960",
        "zone": "America/New_York", "currency": "USD",
        "room": [{ "code": "KNG", "name": "King", "count": 3, "adults": 2, "price": "200.00" }],
        "plan": [{
            "code": "PAID", "name": "Paid now", "free-days": 1, "free-until": "16:00",
            "payment": "full",
        }],
        "levy": [
            { "name": "Tax", "kind": "tax", "collected": "at-booking", "percent": "10" },
            { "name": "Fee", "kind": "fee", "collected": "at-hotel", "amount": "18.00" },
        ],
    }] });
    let text = file.to_string();
    let file: File = serde_json::from_value(file).unwrap();
    Houses::read(&file, &text).unwrap()
}

impl Rig {
    async fn new() -> Self {
        Self::of(Options {
            seed: 7,
            ..Options::default()
        })
        .await
    }

    /// A rig that sells a hotel of its own, with a session that is paid and booked.
    async fn own() -> (Self, Value) {
        let rig = Self::of(Options {
            houses: own(),
            size: Size::None,
            ..Options::default()
        });
        let rig = rig.await;
        let created = rig.session_of("PAID").await;
        let page = session(&created)["continue_url"].as_str().unwrap();
        rig.tell(rig.provider.pay(page).unwrap()).await;
        let ready = rig.read(&created).await;
        let done = rig.call("complete_booking_session", consent(&ready)).await;
        assert_eq!(session(&done)["payment"]["status"], "captured", "{done}");
        (rig, done)
    }

    async fn of(options: Options) -> Self {
        let clock = Arc::new(VirtualClock::new(NOW.parse().unwrap()));
        let tasks = Supervisor::new();
        let (provider, client) = provider(&clock, &tasks).await;
        let time: Arc<dyn Clock> = clock.clone();
        let store = Arc::new(Memory::new());
        let ledger = Ledger::open(store, time.clone(), &tasks, Default::default());
        let ledger = ledger.await.unwrap();
        let (keys, vault) = (Arc::new(MemoryKeys::new()), Arc::new(MemoryVault::new()));
        let keys = Arc::new(Keys::new(keys, vault, time.clone()));
        let all = Conversations::new(ledger.clone(), keys.clone(), time.clone(), None);
        let parts = Parts {
            keys,
            conversations: all.of("builtin:travel"),
            payments: Some(client.clone()),
            hold: airside_travel::HOLD,
            node: NodeId::generate(&*time),
            ledger,
            supervisor: tasks.clone(),
            clock: time,
        };
        Self {
            travel: Travel::new(options, parts),
            provider,
            client,
            clock,
            _tasks: tasks,
        }
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            } },
        });
        let request = Request::post("http://travel.internal/mcp")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .extension(Principal {
                tenant: TenantId::default(),
                kind: "api_key",
                id: "ada".into(),
                attestation: 20,
            })
            .body(body::full(message.to_string()))
            .unwrap();
        let body = self.travel.call(request).await.into_body();
        let bytes = body::collect(body, 8 << 20).await.unwrap();
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        message["result"].clone()
    }

    /// Returns a session for a rate that is paid before booking, in Boston.
    async fn session(&self) -> Value {
        self.session_of("NRF").await
    }

    async fn session_of(&self, plan: &str) -> Value {
        let stay = json!({ "check_in": "2026-12-15", "check_out": "2026-12-18" });
        let mut search = stay.clone();
        search["place"] = json!("Boston");
        let found = self.call("search_hotels", search).await;
        let hotel = found["structuredContent"]["hotels"][0]["property_id"].clone();
        let mut check = stay;
        check["property_id"] = hotel;
        let offers = self.call("check_availability", check).await;
        let offers = offers["structuredContent"]["offers"].as_array().unwrap();
        let offer = offers
            .iter()
            .find(|o| o["rate_plan"]["code"] == plan)
            .unwrap();
        let create = json!({
            "offer_ref": offer["offer_ref"],
            "booker": { "first_name": "Ada", "last_name": "L", "email": "a@example.com" },
        });
        self.call("create_booking_session", create).await
    }

    /// Reads a session, some seconds after it was read last.
    async fn read(&self, created: &Value) -> Value {
        self.clock.advance(Duration::from_secs(3));
        let id = session(created)["id"].clone();
        self.call("get_booking_session", json!({ "session_id": id }))
            .await
    }

    /// Delivers the webhook of a payment.
    async fn tell(&self, (signature, body): (String, bytes::Bytes)) {
        let notice = self.client.notice(&signature, &body, self.clock.now());
        let notice = notice.unwrap().unwrap();
        let told = self.travel.payment_changed(&notice.tenant, &notice.payment);
        told.await.unwrap();
    }

    async fn paid(&self) -> Value {
        let created = self.session().await;
        let page = session(&created)["continue_url"]
            .as_str()
            .unwrap()
            .to_owned();
        self.tell(self.provider.pay(&page).unwrap()).await;
        self.read(&created).await
    }

    fn only_intent(&self) -> Value {
        let intents = self.provider.intents();
        assert_eq!(intents.len(), 1, "{intents:?}");
        intents.into_values().next().unwrap()
    }
}

fn session(result: &Value) -> &Value {
    let session = &result["structuredContent"]["session"];
    assert!(session.is_object(), "{result}");
    session
}

fn consent(result: &Value) -> Value {
    consent_by(result, KEY)
}

fn consent_by(result: &Value, key: &str) -> Value {
    let consent = &result["_meta"]["airside/consent"];
    let text = |name: &str| consent[name].as_str().unwrap_or_else(|| panic!("{result}"));
    let (nonce, id, digest) = (text("nonce"), text("session_id"), text("terms_digest"));
    let token = format!("airside-consent-v1\n{nonce}\n{id}\n{digest}\n{key}");
    let token = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    let token: String = token.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let name = match id.starts_with("quo_") {
        true => "quote_id",
        false => "session_id",
    };
    json!({
        name: id, "idempotency_key": key, "terms_digest": digest, "disclosure_shown": true,
        "consent_token": token,
    })
}

fn order(reference: &str, purpose: Purpose) -> Order {
    Order {
        reference: reference.parse().unwrap(),
        tenant: TenantId::default(),
        purpose,
        amount: 24_680,
        currency: airside_travel::supply::Currency::find("EUR").unwrap(),
        terms_digest: "a".repeat(64),
        summary: "Hotel stay".to_owned(),
        expires: "2026-11-23T12:15:00Z".parse().unwrap(),
        token: None,
    }
}

#[tokio::test]
async fn provider_keeps_the_contract() {
    let clock = Arc::new(VirtualClock::new(NOW.parse().unwrap()));
    let tasks = Supervisor::new();
    let (provider, client) = provider(&clock, &tasks).await;
    let order = order("pay_contract", Purpose::Charge);
    contract::all(&*client, &order, &mut |open, order| {
        provider.pay(&open.page.unwrap()).unwrap();
        Box::pin(std::future::ready(order))
    })
    .await;
    assert_eq!(provider.refunded(), 12_340);
}

#[tokio::test]
async fn tokens_keep_the_contract() {
    let order = order("pay_contract", Purpose::Guarantee);
    contract::all(&Tokens, &order, &mut |_, order| {
        let token = Some(Redacted::new("ntk_7Hq2".to_owned()));
        Box::pin(std::future::ready(Order { token, ..order }))
    })
    .await;
}

#[tokio::test]
async fn guarantee_is_saved_and_nothing_is_taken() {
    let clock = Arc::new(VirtualClock::new(NOW.parse().unwrap()));
    let tasks = Supervisor::new();
    let (provider, client) = provider(&clock, &tasks).await;
    let order = order("pay_guarantee", Purpose::Guarantee);
    let open = client.open(&order).await.unwrap();
    provider.pay(&open.page.unwrap()).unwrap();
    let found = client.find(&open.id, &order).await.unwrap();
    assert_eq!(found.state, airside_travel::payment::State::Authorized);
    assert!(provider.intents().is_empty());
}

#[tokio::test]
async fn prepaid_rate_is_paid_on_the_page_and_then_booked() {
    let rig = Rig::new().await;
    let created = rig.session().await;
    let shown = session(&created);
    assert_eq!(shown["status"], "requires_escalation", "{shown}");
    assert_eq!(shown["payment"]["kind"], "hosted_page");
    assert_eq!(shown["messages"][0]["code"], "payment_required");
    // Nobody can consent to it before, and nothing is booked without.
    assert!(created["_meta"]["airside/consent"].is_null());
    let complete = json!({
        "session_id": shown["id"], "idempotency_key": KEY, "disclosure_shown": true,
        "terms_digest": shown["terms_digest"], "consent_token": "0".repeat(64),
    });
    let refused = rig.call("complete_booking_session", complete).await;
    assert_eq!(refused["structuredContent"]["code"], "TRV-320");

    let page = shown["continue_url"].as_str().unwrap();
    let webhook = rig.provider.pay(page).unwrap();
    rig.tell(webhook.clone()).await;
    rig.tell(webhook).await;
    let ready = rig.read(&created).await;
    assert_eq!(session(&ready)["status"], "ready_for_complete");
    assert_eq!(session(&ready)["terms_digest"], shown["terms_digest"]);
    assert_eq!(rig.only_intent()["status"], "requires_capture");

    let done = rig.call("complete_booking_session", consent(&ready)).await;
    assert_eq!(session(&done)["status"], "completed", "{done}");
    let again = rig.call("complete_booking_session", consent(&ready)).await;
    assert_eq!(
        session(&again)["confirmation"],
        session(&done)["confirmation"]
    );
    let intent = rig.only_intent();
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(
        intent["amount_received"],
        shown["payment"]["amount"]["amount"]
    );
    assert_eq!(session(&done)["payment"]["status"], "captured");
}

#[tokio::test]
async fn payment_without_a_message_is_read_back() {
    let rig = Rig::new().await;
    let created = rig.session().await;
    let page = session(&created)["continue_url"].as_str().unwrap();
    rig.provider.pay(page).unwrap();
    let ready = rig.read(&created).await;
    assert_eq!(session(&ready)["status"], "ready_for_complete");
}

#[tokio::test]
async fn lost_answers_lead_to_one_payment() {
    let rig = Rig::new().await;
    rig.provider.set(Mood::LosesAnswers);
    let created = rig.session().await;
    assert_eq!(session(&created)["status"], "requires_escalation");
    assert_eq!(session(&created)["messages"][0]["code"], "payment_pending");
    assert!(session(&created)["continue_url"].is_null());
    rig.provider.set(Mood::Fine);
    let open = rig.read(&created).await;
    let page = session(&open)["continue_url"].as_str().unwrap();
    rig.tell(rig.provider.pay(page).unwrap()).await;
    let ready = rig.read(&created).await;

    // The hotel books; whether the money was taken is not known for a while.
    rig.provider.set(Mood::LosesAnswers);
    let done = rig.call("complete_booking_session", consent(&ready)).await;
    assert_eq!(session(&done)["status"], "completed", "{done}");
    assert_eq!(session(&done)["payment"]["status"], "capturing");
    rig.provider.set(Mood::Fine);
    settle(&rig, &created, "captured").await;
    let intent = rig.only_intent();
    assert_eq!(intent["amount_received"], intent["amount"]);
}

/// Lets time pass until the payment of a session stands so.
async fn settle(rig: &Rig, created: &Value, wanted: &str) {
    for _ in 0..100 {
        let seen = rig.read(created).await;
        if session(&seen)["payment"]["status"] == wanted {
            return;
        }
        rig.clock.advance(Duration::from_secs(60));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    panic!(
        "the payment never was {wanted}: {}",
        rig.read(created).await
    );
}

#[tokio::test]
async fn refusal_is_told_and_nothing_is_taken() {
    let rig = Rig::new().await;
    rig.provider.set(Mood::Declines);
    let created = rig.session().await;
    let seen = rig.read(&created).await;
    let shown = session(&seen);
    assert_eq!(shown["status"], "incomplete", "{shown}");
    assert_eq!(shown["messages"][0]["code"], "payment_failed");
    // The next try is another payment.
    rig.provider.set(Mood::Fine);
    let booker = json!({ "first_name": "Ada", "last_name": "L", "email": "a@example.com" });
    let update = json!({ "session_id": shown["id"], "booker": booker });
    let open = rig.call("update_booking_session", update).await;
    assert_eq!(session(&open)["status"], "requires_escalation", "{open}");
    assert!(session(&open)["continue_url"].is_string());
}

#[tokio::test]
async fn session_that_ends_gives_its_payment_up() {
    let rig = Rig::new().await;
    let ready = rig.paid().await;
    let id = session(&ready)["id"].clone();
    let ended = rig
        .call("cancel_booking_session", json!({ "session_id": id }))
        .await;
    assert_eq!(session(&ended)["status"], "canceled");
    assert_eq!(rig.only_intent()["status"], "canceled");
    // One that is paid after its rooms were given back is given up as well.
    let late = Rig::new().await;
    let created = late.session().await;
    let page = session(&created)["continue_url"]
        .as_str()
        .unwrap()
        .to_owned();
    let webhook = late.provider.pay(&page).unwrap();
    late.clock.advance(Duration::from_secs(16 * 60));
    let fresh = (late.provider.sign(&webhook.1), webhook.1);
    late.tell(fresh).await;
    assert_eq!(late.only_intent()["status"], "canceled");
    let seen = late.read(&created).await;
    assert_eq!(session(&seen)["status"], "canceled");
}

#[tokio::test]
async fn what_a_change_makes_cheaper_is_given_back_once() {
    let rig = Rig::new().await;
    let ready = rig.paid().await;
    let done = rig.call("complete_booking_session", consent(&ready)).await;
    let booking = session(&done)["confirmation"]["id"].clone();
    let paid = rig.only_intent()["amount_received"].as_i64().unwrap();
    let change = json!({ "booking_id": booking, "nights_delta": -1 });
    let quote = rig.call("quote_booking_change", change).await;
    let agreed = consent_by(&quote, "0b9d9f0e-6f0f-4c5e-8a52-0c8a4f3b9d11");
    let changed = rig.call("confirm_booking_change", agreed.clone()).await;
    assert_eq!(changed["structuredContent"]["status"], "ok", "{changed}");
    let back = rig.provider.refunded();
    assert!(0 < back && back < paid, "{back} of {paid}");
    let again = rig.call("confirm_booking_change", agreed).await;
    assert_eq!(again["structuredContent"]["status"], "ok");
    assert_eq!(rig.provider.refunded(), back);
}

#[tokio::test]
async fn card_numbers_are_refused_wherever_they_stand() {
    let rig = Rig::new().await;
    let created = rig.session().await;
    let id = &session(&created)["id"];
    for token in [
        "4111111111111111",
        "4111-1111-1111-1111",
        "tok 4111 1111 1111 1111",
    ] {
        let update = json!({ "session_id": id, "payment_token": token });
        let refused = rig.call("update_booking_session", update).await;
        assert_eq!(refused["structuredContent"]["code"], "TRV-200", "{token}");
    }
    let update = json!({ "session_id": id, "payment_token": "1234567890123" });
    let refused = rig.call("update_booking_session", update).await;
    assert_eq!(refused["structuredContent"]["code"], "TRV-325");
}

/// Cancels a booking as quoted; returns the quote.
async fn cancel(rig: &Rig, done: &Value) -> Value {
    let booking = json!({ "booking_id": session(done)["confirmation"]["id"] });
    let quote = rig.call("quote_cancellation", booking).await;
    let agreed = consent_by(&quote, "0b9d9f0e-6f0f-4c5e-8a52-0c8a4f3b9d11");
    for _ in 0..2 {
        let ended = rig.call("confirm_cancellation", agreed.clone()).await;
        let booking = &ended["structuredContent"]["booking"];
        assert_eq!(booking["status"], "cancelled", "{ended}");
    }
    quote["structuredContent"]["quote"].clone()
}

#[tokio::test]
async fn paid_stay_that_is_cancelled_in_time_is_given_back_once_and_whole() {
    let (rig, done) = Rig::own().await;
    // Three nights at 200.00 and a tenth of it; 54.00 would be paid at the hotel.
    let paid = rig.only_intent()["amount_received"].as_i64().unwrap();
    assert_eq!(paid, 66_000);
    let quote = cancel(&rig, &done).await;
    assert_eq!(quote["penalty"]["amount"], 0, "{quote}");
    assert_eq!(rig.provider.refunded(), paid);
}

#[tokio::test]
async fn paid_stay_that_is_cancelled_late_costs_the_first_night_once() {
    let (rig, done) = Rig::own().await;
    // After 16:00 in Boston on the day before arrival.
    rig.clock
        .advance(Duration::from_secs((21 * 24 + 10) * 3_600));
    let quote = cancel(&rig, &done).await;
    let penalty = quote["penalty"]["amount"].as_i64().unwrap();
    assert!(penalty >= 20_000, "{quote}");
    assert_eq!(rig.provider.refunded(), 66_000 - penalty);
}

#[tokio::test]
async fn dearer_change_of_a_paid_stay_takes_nothing_without_new_consent() {
    let (rig, done) = Rig::own().await;
    let booking = session(&done)["confirmation"]["id"].clone();
    let change = json!({ "booking_id": booking, "nights_delta": 1 });
    let quote = rig.call("quote_booking_change", change).await;
    let shown = &quote["structuredContent"]["quote"];
    assert_eq!(
        shown["difference"]["amount"],
        20_000 + 2_000 + 1_800,
        "{quote}"
    );
    assert_ne!(shown["terms_digest"], session(&done)["terms_digest"]);
    // What was agreed to for the booking is not what is asked for now.
    let mut old = consent_by(&quote, KEY);
    old["terms_digest"] = session(&done)["terms_digest"].clone();
    let refused = rig.call("confirm_booking_change", old).await;
    assert_eq!(refused["isError"], true, "{refused}");
    let agreed = consent_by(&quote, "0b9d9f0e-6f0f-4c5e-8a52-0c8a4f3b9d11");
    let changed = rig.call("confirm_booking_change", agreed).await;
    let after = &changed["structuredContent"]["booking"];
    assert_eq!(after["offer"]["total"], shown["after"], "{changed}");
    // Nothing more is taken by itself: the rest is paid at the hotel.
    let intent = rig.only_intent();
    assert_eq!(
        (&intent["amount_received"], rig.provider.refunded()),
        (&json!(66_000), 0)
    );
}
