//! Persons behind one OAuth client: to each what is theirs.

use std::{path::Path, sync::Arc, time::Duration};

use airside_base::{Supervisor, SystemClock};
use airside_mcp::client::{Choice, Client};
use airside_testkit::{harness::Node, idp::Idp};
use serde_json::{Value, json};

use crate::{
    booking::{bookings, call, client, consent, ready},
    run::{BINARY, Place},
};

const AUDIENCE: &str = "https://mcp.example.com/mcp";
const ADA: &str = "ada.lovelace-1815";
const EVE: &str = "eve.moneypenny-1962";

struct Bench {
    place: Place,
    idp: Idp,
    tasks: Supervisor,
}

impl Bench {
    async fn new() -> Self {
        let (place, tasks) = (Place::new(), Supervisor::new());
        let idp = Idp::start(&tasks, Arc::new(SystemClock::new())).await;
        let config = format!(
            "data-dir = \"data\"\n[listen]\naddress = \"127.0.0.1:0\"\n\
             [identity.resource]\nurl = \"https://mcp.example.com\"\n\
             [[identity.issuer]]\nname = \"corp\"\nurl = \"{}\"\n\
             [[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n",
            idp.issuer()
        );
        place.write("airside.toml", &config);
        Self { place, idp, tasks }
    }

    fn start(&self) -> Node {
        let file = self.place.path("airside.toml").display().to_string();
        let serve = ["serve", "--config", &file];
        Node::start(Path::new(BINARY), &serve, &self.place.log()).unwrap()
    }

    /// Returns the same assistant, working for somebody. The token is always a new one.
    async fn assistant(&self, node: &Node, person: &str, era: Choice) -> Client {
        let claims = json!({ "sub": person, "client_id": "assistant" });
        let token = self.idp.token(AUDIENCE, claims);
        client(node.url(), Some(&token), era, &[]).await
    }
}

async fn code(client: &Client, tool: &str, arguments: Value) -> Value {
    let refused = call(client, tool, arguments).await.unwrap();
    assert_eq!(refused["isError"], true, "{tool}: {refused}");
    refused["structuredContent"]["code"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persons_behind_one_client_have_their_own_bookings() {
    let bench = Bench::new().await;
    let node = bench.start();
    let ada = bench.assistant(&node, ADA, Choice::Modern).await;
    let eve = bench.assistant(&node, EVE, Choice::Modern).await;
    let ready = ready(&ada).await.unwrap();
    let complete = consent(&ready, "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11").unwrap();
    let session = json!({ "session_id": complete["session_id"] });
    assert_eq!(
        code(&eve, "get_booking_session", session.clone()).await,
        "TRV-202"
    );
    assert_eq!(
        code(&eve, "cancel_booking_session", session).await,
        "TRV-202"
    );
    // What Ada has agreed to is worth nothing in another's hands.
    let stolen = code(&eve, "complete_booking_session", complete.clone()).await;
    assert_eq!(stolen, "TRV-202");
    let done = call(&ada, "complete_booking_session", complete)
        .await
        .unwrap();
    let booked = &done["structuredContent"]["session"]["confirmation"];
    assert_eq!(bookings(&eve).await, Vec::<Value>::new());
    let id = json!({ "booking_id": booked["id"] });
    for tool in ["get_booking", "quote_cancellation"] {
        assert_eq!(code(&eve, tool, id.clone()).await, "TRV-203", "{done}");
    }
    let liked = json!({ "min_stars": 4 });
    call(&ada, "save_preferences", liked.clone()).await.unwrap();
    let hers = call(&eve, "get_preferences", json!({})).await.unwrap();
    assert_eq!(hers["structuredContent"]["preferences"], json!({}));
    call(&eve, "forget_me", json!({ "confirm": true }))
        .await
        .unwrap();
    assert!(node.terminate().unwrap().success());

    // With another token, in the other era, of another process: the same person.
    let node = bench.start();
    let ada = bench.assistant(&node, ADA, Choice::Legacy).await;
    let mine = bookings(&ada).await;
    assert_eq!((mine.len(), &mine[0]["id"]), (1, &booked["id"]));
    let still = call(&ada, "get_preferences", json!({})).await.unwrap();
    assert_eq!(still["structuredContent"]["preferences"], liked);
    assert!(node.terminate().unwrap().success());
    // The ledger knows them by names without meaning.
    let data = bench.place.data();
    let all = [
        "ledger",
        "tail",
        "-n",
        "1000",
        "--json",
        "--data-dir",
        &data,
    ];
    let told = bench.place.run(&all).ok();
    assert!(told.contains("corp/assistant#"), "{told}");
    assert!(!told.contains(ADA) && !told.contains(EVE));
    bench.tasks.stop(Duration::from_secs(1)).await;
}
