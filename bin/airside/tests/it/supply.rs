//! A hotel's own system tells the travel server what is free.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use airside_testkit::harness::Node;
use serde_json::Value;

use crate::run::{BINARY, Place};

/// Posts an AlpineBits request; returns status line and body.
pub(crate) fn post(control: &str, key: &str, action: &str, document: &str) -> String {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\n{action}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{document}\r\n--b--\r\n"
    );
    let mut stream = TcpStream::connect(control).expect("the node listens");
    write!(
        stream,
        "POST /v1/supply/alpinebits HTTP/1.1\r\nHost: {control}\r\nConnection: close\r\n\
         Authorization: Bearer {key}\r\nX-AlpineBits-ClientProtocolVersion: 2024-10\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the node reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the node answers with text");
    answer
}

pub(crate) fn free_rooms(id: &str, lines: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OTA_HotelInvCountNotifRQ \
         xmlns=\"http://www.opentravel.org/OTA/2003/05\" Version=\"4\">{id}\
         <Inventories HotelCode=\"9996\">{lines}</Inventories></OTA_HotelInvCountNotifRQ>"
    )
}

/// A node whose hotels can be told about.
struct Bench {
    place: Place,
    key: String,
    base: String,
    check_in: String,
    check_out: String,
    property: String,
    room: String,
}

impl Bench {
    fn run(&self, arguments: &[&str]) -> Value {
        let data = self.place.data();
        let mut all = arguments.to_vec();
        all.extend(["--data-dir", &data, "--json"]);
        let mut answer = self.place.run(&all).json();
        match answer.get_mut("structuredContent") {
            Some(content) => content.take(),
            None => answer,
        }
    }

    fn start(&self) -> Node {
        let file = self.place.path("airside.toml");
        let arguments = ["serve", "--config", &file.display().to_string()];
        Node::start(Path::new(BINARY), &arguments, &self.place.log()).expect("the node starts")
    }

    fn check(&self) -> Value {
        let hotel = format!("property_id={}", self.property);
        let check_in = format!("check_in={}", self.check_in);
        let check_out = format!("check_out={}", self.check_out);
        self.run(&["call", "check_availability", &hotel, &check_in, &check_out])
    }

    fn control(&self) -> String {
        text(&self.run(&["status"]), "/control")
    }

    fn rooms(&self, id: &str, lines: &str) -> String {
        let document = free_rooms(id, lines);
        let action = "OTA_HotelInvCountNotif:FreeRooms";
        post(&self.control(), &self.key, action, &document)
    }

    /// Offers of the room type.
    fn offers(&self) -> Vec<Value> {
        let availability = self.check();
        let offers = availability["offers"].as_array().into_iter().flatten();
        offers
            .filter(|offer| offer["room_type"]["code"] == self.room.as_str())
            .cloned()
            .collect()
    }
}

/// Starts a node and sets one of its hotels up for a sender.
fn bench() -> (Bench, Node) {
    let place = Place::new();
    let arguments = ["--name", "frangart", "--group", "pms", "--json"];
    let minted = place
        .run(&[&["key", "new"], &arguments[..]].concat())
        .json();
    let base = format!(
        "data-dir = \"data\"\n{}\n\
         [listen]\naddress = \"127.0.0.1:0\"\n\
         [identity]\nanonymous-loopback = true\n\
         [control]\naddress = \"127.0.0.1:0\"\n\
         [[control.grant]]\ngroup = \"pms\"\nrole = \"supplier\"\n\
         [[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\
         [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n",
        text(&minted, "/toml")
    );
    place.write("airside.toml", &base);
    let mut bench = Bench {
        key: text(&minted, "/key"),
        place,
        base,
        check_in: String::new(),
        check_out: String::new(),
        property: String::new(),
        room: String::new(),
    };
    let node = bench.start();
    let found = bench.run(&["call", "search_hotels", "place=Boston"]);
    bench.check_in = text(&found, "/stay/check_in");
    bench.check_out = text(&found, "/stay/check_out");
    bench.property = text(&found, "/hotels/0/property_id");
    let before = bench.check();
    bench.room = text(&before, "/offers/0/room_type/code");
    let more = format!(
        "[[supply.hotel]]\ncode = \"9996\"\nsender = \"frangart\"\nproperty = \"{}\"\n\
         currency = \"{}\"\nrooms = {{ double = \"{}\" }}\n",
        bench.property,
        text(&before, "/offers/0/total/currency"),
        bench.room
    );
    let file = format!("{}{more}", bench.base);
    bench.place.write("airside.toml", &file);
    assert_eq!(bench.run(&["config", "reload"])["changed"], true);
    (bench, node)
}

#[test]
fn rooms_are_for_sale_as_the_hotels_system_says() {
    let (bench, node) = bench();
    let complete = "<UniqueID Type=\"16\" ID=\"1\" Instance=\"CompleteSet\"/>";
    let answer = bench.rooms(complete, "<Inventory/>");
    assert!(
        answer.contains("200 OK") && answer.contains("<Success/>"),
        "{answer}"
    );
    assert!(bench.offers().is_empty(), "nothing of it is for sale");
    let line = format!(
        "<Inventory><StatusApplicationControl Start=\"{0}\" End=\"{0}\" InvTypeCode=\"double\"/>\
         <InvCounts><InvCount CountType=\"2\" Count=\"2\"/></InvCounts></Inventory>",
        bench.check_in
    );
    let answer = bench.rooms("", &line);
    assert!(answer.contains("<Success/>"), "{answer}");
    let answer = bench.rooms("", &line.replace("double", "suite"));
    assert!(answer.contains("Code=\"402\""), "{answer}");
    let answer = post(&bench.control(), "wrong", "OTA_Ping:Handshaking", "");
    let refused = answer.contains(" 403 ") || answer.contains(" 401 ");
    assert!(refused, "{answer}");
    let told = bench.offers();
    assert!(!told.is_empty() && told.iter().all(|offer| offer["rooms_left"] == 2));
    node.terminate().unwrap();

    // What was told is known after a restart.
    let node = bench.start();
    assert_eq!(bench.offers(), told);
    node.terminate().unwrap();
}

pub(crate) fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("{pointer} in {value}"))
        .to_owned()
}
