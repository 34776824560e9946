//! A hotel group's own hotels, from their file to a booking.

use std::path::Path;

use airside_testkit::harness::Node;
use serde_json::Value;

use crate::{
    booking::later,
    run::{BINARY, Place},
    supply::{free_rooms, post, text},
};

/// The file that docs/hotels.md speaks of.
const EXAMPLE: &str = include_str!("../../../../examples/hotels.toml");

/// Returns the block of docs/hotels.md that contains `text`.
fn shown(text: &str) -> &'static str {
    let page = include_str!("../../../../docs/hotels.md");
    let mut blocks = page.split("```toml\n").skip(1);
    let block = blocks.find_map(|block| {
        let (block, _) = block.split_once("```")?;
        block.contains(text).then_some(block)
    });
    block.unwrap_or_else(|| panic!("docs/hotels.md shows {text}"))
}

/// A folder with the example and a file that sells its hotels.
fn group() -> (Place, String) {
    let place = Place::new();
    let mint = |name| {
        let mint = ["key", "new", "--name", name, "--group", name, "--json"];
        place.run(&mint).json()
    };
    let (ada, minted) = (mint("ada"), mint("pms"));
    place.write("ada.key", &text(&ada, "/key"));
    place.write("hotels.toml", EXAMPLE);
    let config = format!(
        "data-dir = \"data\"\n{}\n{}\n{}\n{}\n\
         [listen]\naddress = \"127.0.0.1:0\"\n\
         [identity]\nanonymous-loopback = true\n\
         [control]\naddress = \"127.0.0.1:0\"\n\
         [[control.grant]]\ngroup = \"pms\"\nrole = \"supplier\"\n\
         [[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\
         [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n",
        text(&ada, "/toml"),
        text(&minted, "/toml"),
        shown("properties ="),
        shown("[[supply.hotel]]"),
    );
    place.write("airside.toml", &config);
    (place, text(&minted, "/key"))
}

fn start(place: &Place) -> Node {
    let file = place.path("airside.toml").display().to_string();
    Node::start(
        Path::new(BINARY),
        &["serve", "--config", &file],
        &place.log(),
    )
    .expect("the node starts")
}

fn call(place: &Place, arguments: &[&str]) -> Value {
    let data = place.data();
    let key = place.path("ada.key").display().to_string();
    let more = ["--data-dir", &data, "--key-file", &key, "--json", "--yes"];
    let mut answer = place.run(&[&["call"], arguments, &more].concat()).json();
    answer["structuredContent"].take()
}

fn offer(place: &Place, room: &str, plan: &str) -> Value {
    let (check_in, check_out) = (later(30), later(31));
    let stay = [
        format!("check_in={check_in}"),
        format!("check_out={check_out}"),
    ];
    let hotel = "property_id=harbor-boston";
    let checked = call(place, &["check_availability", hotel, &stay[0], &stay[1]]);
    let offers = checked["offers"].as_array().into_iter().flatten();
    let mut wanted = offers
        .filter(|offer| offer["room_type"]["code"] == room && offer["rate_plan"]["code"] == plan);
    wanted.next().cloned().unwrap_or(Value::Null)
}

#[test]
fn own_hotel_is_found_told_about_booked_and_known_after_a_restart() {
    let (place, key) = group();
    let node = start(&place);
    let found = call(&place, &["search_hotels", "place=Boston"]);
    assert_eq!(found["hotels_available"], 1, "{found}");
    assert_eq!(found["hotels"][0]["property_id"], "harbor-boston");
    let notice = found["notices"]["inventory"].to_string();
    assert!(notice.contains("as the hotels state them"), "{found}");
    let elsewhere = call(&place, &["search_hotels", "place=Paris"]);
    assert_eq!(elsewhere["hotels_available"], 0, "{elsewhere}");

    // Its system sends its own codes, of which the file says nothing more.
    let line = format!(
        "<Inventory><StatusApplicationControl Start=\"{0}\" End=\"{0}\" InvTypeCode=\"KNG\"/>\
         <InvCounts><InvCount CountType=\"2\" Count=\"1\"/></InvCounts></Inventory>",
        later(30)
    );
    let status = place.run(&["status", "--json", "--data-dir", &place.data()]);
    let control = text(&status.json(), "/control");
    let action = "OTA_HotelInvCountNotif:FreeRooms";
    let answer = post(&control, &key, action, &free_rooms("", &line));
    assert!(answer.contains("<Success/>"), "{answer}");
    let last = offer(&place, "KNG", "BAR-BB");
    assert_eq!(last["rooms_left"], 1, "{last}");

    let offer_ref = format!("offer_ref={}", text(&last, "/offer_ref"));
    let created = call(
        &place,
        &[
            "create_booking_session",
            &offer_ref,
            "booker.first_name=Ada",
            "booker.last_name=Lovelace",
            "booker.email=ada@example.com",
            "idempotency_key=6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11",
        ],
    );
    let session = format!("session_id={}", text(&created, "/session/id"));
    let booked = call(&place, &["complete_booking_session", &session]);
    let confirmation = &booked["session"]["confirmation"];
    assert_eq!(booked["session"]["status"], "completed", "{booked}");
    assert_eq!(booked["session"]["offer"]["total"], last["total"]);
    assert_eq!(
        offer(&place, "KNG", "BAR-BB"),
        Value::Null,
        "it was the last"
    );
    node.terminate().unwrap();

    let node = start(&place);
    assert_eq!(offer(&place, "KNG", "BAR"), Value::Null, "it was the last");
    let id = format!("booking_id={}", text(confirmation, "/id"));
    let kept = call(&place, &["get_booking", &id]);
    assert_eq!(kept["booking"]["status"], "confirmed", "{kept}");

    // What open sessions were quoted does not change while the node runs.
    place.write("hotels.toml", &EXAMPLE.replace("219.00", "119.00"));
    let data = place.data();
    let reload = place.run(&["config", "reload", "--data-dir", &data]);
    assert!(reload.stderr.contains("travel.properties"), "{reload:?}");
    node.terminate().unwrap();
}

/// Checks the configuration with another file of hotels; returns what is printed.
fn check(hotels: &str, more: &str) -> String {
    let (place, _) = group();
    place.write("hotels.toml", hotels);
    let config = std::fs::read_to_string(place.path("airside.toml")).unwrap();
    place.write("airside.toml", &format!("{config}{more}"));
    let ran = place.run(&["config", "check", "airside.toml"]);
    format!(
        "exit {}\n{}{}",
        ran.code.unwrap_or(-1),
        ran.stdout,
        ran.stderr
    )
}

#[test]
fn everything_that_is_wrong_with_a_file_of_hotels_is_said_with_its_line() {
    let right = check(EXAMPLE, "");
    assert!(right.starts_with("exit 0"), "{right}");
    // The page shows one hotel that is complete.
    let page = check(shown("[[hotel]]"), "");
    assert!(page.starts_with("exit 0"), "{page}");
    let wrong = EXAMPLE
        .replace("\"219.00\"", "\"219.005\"")
        .replace("Europe/Berlin", "Europe/Hamburg");
    insta::assert_snapshot!("wrong_hotels", check(&wrong, ""));
    let misspelt = check(&EXAMPLE.replace("stars = 4", "star = 4"), "");
    assert!(
        misspelt.contains("hotels.toml:") && misspelt.contains("`stars`"),
        "{misspelt}"
    );
    let paid = EXAMPLE.replacen("free-days = 1\n", "free-days = 1\npayment = \"full\"\n", 1);
    let unpaid = check(&paid, "");
    assert!(unpaid.contains("TRV-331"), "{unpaid}");
    let payments = "[travel.payments]\nprovider = \"token\"\n";
    let paid = check(&paid, payments);
    assert!(paid.starts_with("exit 0"), "{paid}");
    let (place, _) = group();
    let config = std::fs::read_to_string(place.path("airside.toml")).unwrap();
    let nothing = config.replace("properties = \"hotels.toml\"", "");
    place.write("airside.toml", &nothing);
    let ran = place.run(&["config", "check", "airside.toml"]);
    assert!(ran.stderr.contains("TRV-330"), "{ran:?}");
}
