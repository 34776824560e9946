//! A rate that is paid before it is booked, through a running node: from the search over
//! the payment page and the provider's message to the booking.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use airside_base::{Supervisor, SystemClock};
use airside_identity::mint;
use airside_mcp::client::{Choice, Client};
use airside_testkit::{checkout::Checkout, harness::Node};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    booking::{call, client, consent, later},
    run::{BINARY, Place},
    supply::text,
};

struct Bench {
    place: Place,
    provider: Checkout,
    ada: String,
    tasks: Supervisor,
}

impl Bench {
    async fn new() -> Self {
        let (place, tasks) = (Place::new(), Supervisor::new());
        let provider = Checkout::new("sk_test", "whsec_test", Arc::new(SystemClock::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = provider.serve(listener, &tasks).unwrap();
        for (name, secret) in [("key", "sk_test"), ("webhook", "whsec_test")] {
            let file = place.write(name, secret);
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(file, private).unwrap();
        }
        let ada = mint();
        let config = format!(
            "data-dir = \"data\"\n[listen]\naddress = \"127.0.0.1:0\"\n\
             [control]\naddress = \"127.0.0.1:0\"\n\
             [[control.grant]]\ngroup = \"desk\"\nrole = \"supplier\"\n\
             [travel.payments]\nprovider = \"checkout\"\nurl = \"http://{address}\"\n\
             key-file = \"key\"\nwebhook-secret-file = \"webhook\"\n\
             pages = [\"{address}\"]\nreturn-url = \"https://hotels.example/back\"\n\
             [[identity.api-key]]\nname = \"ada\"\nsha256 = \"{}\"\ngroups = [\"desk\"]\n\
             [[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n",
            ada.sha256
        );
        place.write("airside.toml", &config);
        let ada = ada.secret.expose().clone();
        Self {
            place,
            provider,
            ada,
            tasks,
        }
    }

    fn start(&self) -> Node {
        let file = self.place.path("airside.toml").display().to_string();
        let serve = ["serve", "--config", &file];
        Node::start(Path::new(BINARY), &serve, &self.place.log()).unwrap()
    }

    async fn ada(&self, node: &Node) -> Client {
        client(node.url(), Some(&self.ada), Choice::Modern, &[]).await
    }

    /// Posts what the provider says; returns the answer.
    fn tell(&self, signature: &str, body: &[u8]) -> String {
        let status = self
            .place
            .run(&["status", "--json", "--data-dir", &self.place.data()]);
        let control = text(&status.json(), "/control");
        let mut stream = TcpStream::connect(&control).unwrap();
        let head = format!(
            "POST /v1/payments/webhook HTTP/1.1\r\nHost: {control}\r\nConnection: close\r\n\
             Stripe-Signature: {signature}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// Returns an offer in Boston that is paid before it is booked, as the search shows it.
async fn prepaid(ada: &Client) -> Value {
    let (check_in, check_out) = (later(40), later(42));
    let search = json!({ "place": "Boston", "check_in": check_in, "check_out": check_out });
    let found = call(ada, "search_hotels", search).await.unwrap();
    let hotel = &found["structuredContent"]["hotels"][0]["property_id"];
    let check = json!({ "property_id": hotel, "check_in": check_in, "check_out": check_out });
    let checked = call(ada, "check_availability", check).await.unwrap();
    let offers = checked["structuredContent"]["offers"]
        .as_array()
        .unwrap()
        .clone();
    let amount = |offer: &Value, name: &str| offer[name]["amount"].as_i64();
    for offer in &offers {
        let before = match offer["cancellation"]["free_now"].as_bool() {
            Some(true) => None,
            _ => Some(amount(offer, "total").unwrap() - amount(offer, "pay_at_property").unwrap()),
        };
        assert_eq!(amount(offer, "pay_before_booking"), before, "{offer}");
    }
    let mut offers = offers.into_iter();
    let offer = offers
        .find(|offer| offer["rate_plan"]["code"] == "NRF")
        .unwrap();
    let said = checked["content"][0]["text"].as_str().unwrap();
    assert!(said.contains(" before booking."), "{said}");
    offer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_message_of_the_provider_lets_a_paid_stay_be_booked() {
    let bench = Bench::new().await;
    let node = bench.start();
    let ada = bench.ada(&node).await;
    let offer = prepaid(&ada).await;
    let booker = json!({ "first_name": "Ada", "last_name": "L", "email": "a@example.com" });
    let create = json!({ "offer_ref": offer["offer_ref"], "booker": booker });
    let created = call(&ada, "create_booking_session", create).await.unwrap();
    let session = &created["structuredContent"]["session"];
    assert_eq!(session["status"], "requires_escalation", "{created}");
    assert_eq!(session["payment"]["amount"], offer["pay_before_booking"]);
    let page = session["continue_url"].as_str().unwrap();
    let (signature, body) = bench.provider.pay(page).unwrap();
    let forged = signature.replace("v1=", "v1=0");
    let refused = bench.tell(&forged, &body);
    assert!(refused.contains("TRV-326"), "{refused}");
    for _ in 0..2 {
        let told = bench.tell(&signature, &body);
        assert!(told.starts_with("HTTP/1.1 204 "), "{told}");
    }
    // Nobody has asked for it: the message alone has moved it on.
    assert_eq!(bench.provider.intents().len(), 1);
    let get = json!({ "session_id": session["id"] });
    let ready = call(&ada, "get_booking_session", get.clone())
        .await
        .unwrap();
    let shown = &ready["structuredContent"]["session"];
    assert_eq!(shown["status"], "ready_for_complete", "{ready}");
    let complete = consent(&ready, "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11").unwrap();
    let done = call(&ada, "complete_booking_session", complete.clone())
        .await
        .unwrap();
    let shown = &done["structuredContent"]["session"];
    assert_eq!(
        (&shown["status"], &shown["payment"]["status"]),
        (&json!("completed"), &json!("captured")),
        "{done}"
    );
    node.kill().unwrap();

    // A repetition on another process: one booking, one payment.
    let node = bench.start();
    let ada = bench.ada(&node).await;
    let again = call(&ada, "complete_booking_session", complete)
        .await
        .unwrap();
    assert_eq!(
        again["structuredContent"]["session"]["confirmation"],
        shown["confirmation"]
    );
    let intents = bench.provider.intents();
    let taken: Vec<_> = intents
        .values()
        .map(|intent| &intent["amount_received"])
        .collect();
    assert_eq!(taken, [&offer["pay_before_booking"]["amount"]]);
    assert!(node.terminate().unwrap().success());
    bench.tasks.stop(Duration::from_secs(1)).await;
}
