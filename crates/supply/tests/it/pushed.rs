//! What OPERA pushes serves searches, on this node and after a restart.

use airside_supply::opera::{Refused, Topic};
use airside_testkit::opera;
use airside_travel::supply::{HotelSupply, Search};
use serde_json::{Value, json};

use crate::{
    opera::{NOW, Rig, ask, boston},
    swagger::Published,
};

fn messages(hotel: &str) -> Vec<(&'static str, Value)> {
    let sent = NOW.parse().unwrap();
    opera::messages(hotel, jiff::civil::date(2026, 11, 23), 120, sent)
}

async fn push(rig: &Rig, topic: &str, message: &Value) -> Result<usize, Refused> {
    let topic = Topic::find(topic).unwrap();
    let body = message.to_string();
    rig.opera.push(Some("opera"), topic, body.as_bytes()).await
}

/// Returns names, totals and whether the price comes from a push.
async fn found(rig: &Rig, search: &Search) -> Vec<(String, i64, bool)> {
    let found = rig.opera.search(search).await.unwrap();
    let hit = |hit: airside_travel::supply::Candidate| {
        (hit.hotel.name, hit.offer.price.total, hit.as_of.is_some())
    };
    found.hotels.into_iter().map(hit).collect()
}

fn closing(room: &str, closed: &str, sent: &str) -> Value {
    json!({ "hotelRestrictions": {
        "uniqueId": "1", "timeStamp": sent, "hotelCode": "BOSHARBOR", "channelCode": "AIRSIDE",
        "availStatusMessages": [{
            "statusApplicationControl": {
                "start": "2026-12-16", "end": "2026-12-16", "invTypeCode": room, "ratePlanCode": "",
                "mon": true, "tue": true, "weds": true, "thur": true, "fri": true, "sat": true,
                "sun": true,
            },
            "restrictionStatus": { "status": closed, "restriction": "Master" },
        }],
    } })
}

#[tokio::test]
async fn pushed_values_answer_searches_with_the_price_that_is_quoted() {
    let mut rig = Rig::new().await;
    let mut published = Published::load();
    for (topic, message) in messages("BOSHARBOR") {
        if let Some(published) = &mut published {
            assert_eq!(published.message(topic, &message), Vec::<String>::new());
        }
        assert!(push(&rig, topic, &message).await.unwrap() > 0);
    }
    // What the plans' cancellation rules are comes with the content.
    let hotel = "BOSHARBOR".parse().unwrap();
    rig.described().await;
    let _ = rig.simulator.exchanges();
    let wanted = boston(ask(2, 1));
    let first = found(&rig, &wanted).await;
    let offers = rig.opera.offers(&hotel, &wanted.ask).await.unwrap();
    let cheapest = offers.offers[0].price.total;
    assert!(
        first.contains(&("Harbor House Boston".to_owned(), cheapest, true)),
        "{first:?}"
    );
    // Only the other hotel was asked about.
    let asked = rig.simulator.exchanges();
    let about = |it: &&opera::Exchange| it.target.contains("hotelCodes");
    let about: Vec<_> = asked.iter().filter(about).collect();
    assert!(
        about.iter().all(|it| !it.target.contains("BOSHARBOR")),
        "{about:?}"
    );
    // It is there after a restart.
    rig.crash().await;
    rig.described().await;
    let mut again = Vec::new();
    for _ in 0..20_000 {
        again = found(&rig, &wanted).await;
        if again.contains(&("Harbor House Boston".to_owned(), cheapest, true)) {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(
        again.contains(&("Harbor House Boston".to_owned(), cheapest, true)),
        "{again:?}"
    );
    rig.stop().await;
}

#[tokio::test]
async fn closed_hotel_leaves_the_results_whatever_the_order_of_messages() {
    let rig = Rig::new().await;
    for (topic, message) in messages("BOSHARBOR") {
        push(&rig, topic, &message).await.unwrap();
    }
    rig.described().await;
    let wanted = boston(ask(2, 1));
    let later =
        ["A1K", "A2Q", "SUITE"].map(|room| closing(room, "Close", "2026-11-23T12:00:02.000"));
    let earlier =
        ["A1K", "A2Q", "SUITE"].map(|room| closing(room, "Open", "2026-11-23T12:00:01.000"));
    for message in later.iter().chain(&earlier).chain(&later) {
        push(&rig, "restrictions", message).await.unwrap();
    }
    let closed = found(&rig, &wanted).await;
    assert!(
        closed
            .iter()
            .all(|(name, ..)| name != "Harbor House Boston"),
        "{closed:?}"
    );
    for message in
        ["A1K", "A2Q", "SUITE"].map(|room| closing(room, "Open", "2026-11-23T12:00:03.000"))
    {
        push(&rig, "restrictions", &message).await.unwrap();
    }
    let open = found(&rig, &wanted).await;
    assert!(
        open.iter().any(|(name, ..)| name == "Harbor House Boston"),
        "{open:?}"
    );
    rig.stop().await;
}

#[tokio::test]
async fn wrong_messages_and_senders_are_refused_whole() {
    let rig = Rig::new().await;
    let good = messages("BOSHARBOR").remove(0).1;
    let text = good.to_string();
    let stranger = rig
        .opera
        .push(Some("eve"), Topic::Inventory, text.as_bytes());
    assert_eq!(stranger.await, Err(Refused::HotelUnknown));
    for (path, value, expected) in [
        ("/hotelInventories/hotelCode", json!("NOBODY"), "unknown"),
        ("/hotelInventories/channelCode", json!("OTHER"), "channel"),
        (
            "/hotelInventories/timeStamp",
            json!("2026-11-23T13:00:00.000"),
            "ahead",
        ),
        (
            "/hotelInventories/timeStamp",
            json!("yesterday"),
            "timeStamp",
        ),
        (
            "/hotelInventories/inventories/0/invCounts/count",
            json!("many"),
            "count",
        ),
        (
            "/hotelInventories/inventories/0/invCounts/count",
            json!("70000"),
            "count",
        ),
        (
            "/hotelInventories/inventories/1/statusApplicationControl/start",
            json!("2026"),
            "start",
        ),
        (
            "/hotelInventories/inventories/1/statusApplicationControl/end",
            json!("2020-01-01"),
            "statusApplicationControl",
        ),
        (
            "/hotelInventories/inventories/2/statusApplicationControl/invTypeCode",
            json!("a b"),
            "invTypeCode",
        ),
        ("/hotelInventories/inventories", json!({}), "inventories"),
    ] {
        let mut wrong = good.clone();
        *wrong.pointer_mut(path).unwrap() = value;
        let said = match push(&rig, "inventory", &wrong).await {
            Err(Refused::Wrong(wrong)) => wrong.path,
            Err(Refused::HotelUnknown) => "unknown".to_owned(),
            Err(Refused::OtherChannel) => "channel".to_owned(),
            Err(Refused::Ahead) => "ahead".to_owned(),
            other => panic!("{path}: {other:?}"),
        };
        assert!(said.ends_with(expected), "{path}: {said}");
    }
    for garbage in ["", "[", "{}", "{\"hotelInventories\":[]}", "null"] {
        let refused = rig
            .opera
            .push(None, Topic::Inventory, garbage.as_bytes())
            .await;
        assert!(matches!(refused, Err(Refused::Wrong(_))), "{garbage}");
    }
    rig.stop().await;
}
