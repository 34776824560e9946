//! The airline of tau-bench: its tasks lead to the state that they should.

use std::{fs::File, io::Read as _, path::PathBuf};

use airside_flights::{Airline, MAX_SANDBOXES};
use aws_lc_rs::digest::{SHA256, digest};
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use crate::ask;

async fn call(airline: &Airline, sandbox: &str, tool: &str, arguments: &Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    ask(airline, ("acme", sandbox), "tools/call", params).await
}

async fn digest_of(airline: &Airline, whose: (&str, &str)) -> String {
    let params = json!({ "uri": "airside://airline/digest" });
    let result = ask(airline, whose, "resources/read", params).await;
    result["contents"][0]["text"].as_str().unwrap().to_owned()
}

fn table(name: &str) -> Option<Value> {
    let shared = std::env::var_os("AIRSIDE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared"),
        PathBuf::from,
    );
    let folder = shared.join("data/travel/airline_tau");
    if !folder.is_dir() && std::env::var_os("CI").is_none() {
        return None;
    }
    let file = File::open(folder.join(name)).unwrap();
    let mut json = String::new();
    GzDecoder::new(file).read_to_string(&mut json).unwrap();
    Some(serde_json::from_str(&json).unwrap())
}

/// SHA-256 of JSON with keys in order and without white space.
fn sha256(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut keys: Vec<_> = members.keys().collect();
                keys.sort();
                let members = keys
                    .iter()
                    .map(|key| ((*key).clone(), sorted(&members[*key])));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    let digest = digest(&SHA256, sorted(value).to_string().as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The published tables and what the published tools do to them, written as plainly
/// as their descriptions are.
#[derive(Clone)]
struct Reference(Value);

/// SHA-256 of each record by table and id.
type Hashes = std::collections::BTreeMap<(String, String), String>;

fn hashes(tables: &Value, is_wanted: impl Fn(&str, &str) -> bool) -> Hashes {
    let mut hashes = Hashes::new();
    for (table, records) in tables.as_object().unwrap() {
        for (id, record) in records.as_object().unwrap() {
            if is_wanted(table, id) {
                hashes.insert((table.clone(), id.clone()), sha256(record));
            }
        }
    }
    hashes
}

/// SHA-256 of the lines of all records.
fn digest_of_all(hashes: &Hashes) -> String {
    let lines = hashes
        .iter()
        .map(|((table, id), hash)| format!("{table}/{id} {hash}\n"));
    let digest = digest(&SHA256, lines.collect::<String>().as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Reference {
    fn published() -> Option<Self> {
        Some(Self(json!({
            "flights": table("flights.json.gz")?,
            "reservations": table("reservations.json.gz")?,
            "users": table("users.json.gz")?,
        })))
    }

    fn apply(&mut self, tool: &str, of: &Value) -> Result<(), String> {
        match tool {
            "book_reservation" => self.book(of),
            "cancel_reservation" => {
                let reservation = self.reservation(of)?;
                let paid = reservation["payment_history"].as_array().unwrap().clone();
                for mut payment in paid {
                    payment["amount"] = json!(-payment["amount"].as_i64().unwrap());
                    reservation["payment_history"]
                        .as_array_mut()
                        .unwrap()
                        .push(payment);
                }
                reservation["status"] = json!("cancelled");
                Ok(())
            }
            "update_reservation_baggages" => {
                let before = self.reservation(of)?["nonfree_baggages"].as_i64().unwrap();
                let more = (of["nonfree_baggages"].as_i64().unwrap() - before).max(0);
                self.settle(of, 50 * more)?;
                let reservation = self.reservation(of)?;
                reservation["total_baggages"] = of["total_baggages"].clone();
                reservation["nonfree_baggages"] = of["nonfree_baggages"].clone();
                Ok(())
            }
            "update_reservation_flights" => self.change_flights(of),
            "update_reservation_passengers" => {
                let reservation = self.reservation(of)?;
                let count = |value: &Value| value.as_array().map(Vec::len);
                if count(&reservation["passengers"]) != count(&of["passengers"]) {
                    return Err("number of passengers".into());
                }
                reservation["passengers"] = of["passengers"].clone();
                Ok(())
            }
            // The others read.
            _ => Ok(()),
        }
    }

    fn reservation(&mut self, of: &Value) -> Result<&mut Value, String> {
        let id = of["reservation_id"].as_str().unwrap();
        let found = self.0["reservations"].get_mut(id);
        found.ok_or_else(|| format!("no reservation {id}"))
    }

    fn priced(&self, leg: &Value, cabin: &str, passengers: i64) -> Result<Value, String> {
        let number = leg["flight_number"].as_str().unwrap();
        let flight = &self.0["flights"][number];
        let day = &flight["dates"][leg["date"].as_str().unwrap()];
        if day["status"] != "available" {
            return Err(format!("{number} is not available"));
        }
        if day["available_seats"][cabin].as_i64().unwrap() < passengers {
            return Err(format!("{number} is full"));
        }
        Ok(json!({
            "origin": flight["origin"], "destination": flight["destination"],
            "flight_number": number, "date": leg["date"], "price": day["prices"][cabin],
        }))
    }

    fn book(&mut self, of: &Value) -> Result<(), String> {
        let passengers = of["passengers"].as_array().unwrap().len() as i64;
        let cabin = of["cabin"].as_str().unwrap();
        let user = of["user_id"].as_str().unwrap();
        let mut total = 50 * of["nonfree_baggages"].as_i64().unwrap();
        if of["insurance"] == "yes" {
            total += 30 * passengers;
        }
        let mut flights = Vec::new();
        for leg in of["flights"].as_array().unwrap() {
            let segment = self.priced(leg, cabin, passengers)?;
            total += segment["price"].as_i64().unwrap() * passengers;
            flights.push(segment);
        }
        let payments = of["payment_methods"].as_array().unwrap();
        let mut paid = 0;
        for payment in payments {
            let amount = payment["amount"].as_i64().unwrap();
            let id = payment["payment_id"].as_str().unwrap();
            let method = self.0["users"][user]["payment_methods"].get(id);
            let method = method.ok_or("no such payment method")?;
            if method["amount"].as_i64().is_some_and(|left| left < amount) {
                return Err("balance".into());
            }
            paid += amount;
        }
        if paid != total {
            return Err(format!("{paid} is not {total}"));
        }
        let methods = self.0["users"][user]["payment_methods"]
            .as_object_mut()
            .unwrap();
        for payment in payments {
            let id = payment["payment_id"].as_str().unwrap();
            match methods[id]["source"].as_str().unwrap() {
                "gift_card" => {
                    let left = methods[id]["amount"].as_i64().unwrap();
                    methods[id]["amount"] = json!(left - payment["amount"].as_i64().unwrap());
                }
                "certificate" => {
                    methods.remove(id);
                }
                _ => {}
            }
        }
        let id = ["HATHAT", "HATHAU", "HATHAV"]
            .into_iter()
            .find(|id| self.0["reservations"].get(id).is_none())
            .unwrap();
        for leg in &flights {
            let number = leg["flight_number"].as_str().unwrap();
            let date = leg["date"].as_str().unwrap();
            let seats = &mut self.0["flights"][number]["dates"][date]["available_seats"][cabin];
            *seats = json!(seats.as_i64().unwrap() - passengers);
        }
        let users = &mut self.0["users"][user]["reservations"];
        users.as_array_mut().unwrap().push(json!(id));
        self.0["reservations"][id] = json!({
            "reservation_id": id, "user_id": user, "origin": of["origin"],
            "destination": of["destination"], "flight_type": of["flight_type"], "cabin": cabin,
            "flights": flights, "passengers": of["passengers"],
            "payment_history": of["payment_methods"], "created_at": "2024-05-15T15:00:00",
            "total_baggages": of["total_baggages"], "nonfree_baggages": of["nonfree_baggages"],
            "insurance": of["insurance"],
        });
        Ok(())
    }

    fn change_flights(&mut self, of: &Value) -> Result<(), String> {
        let before = self.reservation(of)?.clone();
        let passengers = before["passengers"].as_array().unwrap().len() as i64;
        let mut flights = Vec::new();
        for leg in of["flights"].as_array().unwrap() {
            let stays = before["flights"].as_array().unwrap().iter().find(|flight| {
                flight["flight_number"] == leg["flight_number"]
                    && flight["date"] == leg["date"]
                    && before["cabin"] == of["cabin"]
            });
            flights.push(match stays {
                Some(flight) => flight.clone(),
                None => self.priced(leg, of["cabin"].as_str().unwrap(), passengers)?,
            });
        }
        let sum = |all: &[Value]| {
            all.iter()
                .map(|f| f["price"].as_i64().unwrap())
                .sum::<i64>()
        };
        let difference = sum(&flights) - sum(before["flights"].as_array().unwrap());
        self.settle(of, difference * passengers)?;
        let reservation = self.reservation(of)?;
        reservation["flights"] = json!(flights);
        reservation["cabin"] = of["cabin"].clone();
        Ok(())
    }

    /// Pays the difference of a change with one card.
    fn settle(&mut self, of: &Value, difference: i64) -> Result<(), String> {
        let user = self.reservation(of)?["user_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let id = of["payment_id"].as_str().unwrap();
        let method = self.0["users"][&user]["payment_methods"].get_mut(id);
        let method = method.ok_or("no such payment method")?;
        match method["source"].as_str().unwrap() {
            "certificate" => return Err("certificate".into()),
            "gift_card" => {
                let left = method["amount"].as_i64().unwrap() - difference;
                if left < 0 {
                    return Err("balance".into());
                }
                method["amount"] = json!(left);
            }
            _ => {}
        }
        if difference != 0 {
            let payment = json!({ "payment_id": id, "amount": difference });
            let reservation = self.reservation(of)?;
            reservation["payment_history"]
                .as_array_mut()
                .unwrap()
                .push(payment);
        }
        Ok(())
    }
}

#[tokio::test]
async fn every_published_task_leads_to_the_state_that_it_should() {
    let Some(published) = Reference::published() else {
        return;
    };
    let tasks = table("tau2_airline_tasks.json.gz").unwrap();
    let airline = Airline::new();
    let published_hashes = hashes(&published.0, |_, _| true);
    let untouched = digest_of_all(&published_hashes);
    assert_eq!(digest_of(&airline, ("acme", "nothing")).await, untouched);
    let (mut actions, mut changed, mut refused) = (0, 0, Vec::new());
    for task in tasks.as_array().unwrap() {
        let name = format!("task-{}", task["id"].as_str().unwrap());
        let mut reference = published.clone();
        let listed = task["evaluation_criteria"]["actions"].as_array();
        for action in listed.into_iter().flatten() {
            let tool = action["name"].as_str().unwrap();
            let result = call(&airline, &name, tool, &action["arguments"]).await;
            let expected = reference.apply(tool, &action["arguments"]);
            assert_eq!(
                result["isError"] == true,
                expected.is_err(),
                "{name} {tool}: {result} {expected:?}"
            );
            if let Err(reason) = expected {
                refused.push(format!("{name} {tool}: {reason}"));
            }
            actions += 1;
        }
        let mut all = published_hashes.clone();
        all.extend(hashes(&reference.0, |table, id| {
            published.0[table].get(id) != reference.0[table].get(id)
        }));
        let expected = digest_of_all(&all);
        assert_eq!(
            digest_of(&airline, ("acme", &name)).await,
            expected,
            "{name}"
        );
        changed += usize::from(expected != untouched);
    }
    // 24 tasks are solved by changing nothing: by refusing, or by telling.
    assert_eq!(
        (tasks.as_array().unwrap().len(), actions, changed),
        (50, 142, 26)
    );
    assert_eq!(refused, Vec::<String>::new());
}

#[tokio::test]
async fn sandboxes_and_tenants_do_not_see_each_other() {
    let airline = Airline::new();
    let before = digest_of(&airline, ("acme", "a")).await;
    let cancel = json!({ "reservation_id": "4WQ150" });
    let cancelled = call(&airline, "a", "cancel_reservation", &cancel).await;
    assert_eq!(cancelled["structuredContent"]["status"], "cancelled");
    assert_ne!(digest_of(&airline, ("acme", "a")).await, before);
    assert_eq!(digest_of(&airline, ("acme", "b")).await, before);
    assert_eq!(digest_of(&airline, ("other", "a")).await, before);
    // The least recently used one makes room and begins again when it comes back.
    for number in 0..MAX_SANDBOXES {
        call(
            &airline,
            &format!("n{number}"),
            "list_all_airports",
            &json!({}),
        )
        .await;
    }
    assert_eq!(digest_of(&airline, ("acme", "a")).await, before);
}

#[tokio::test]
async fn refusals_change_nothing_and_say_why() {
    let airline = Airline::new();
    let before = digest_of(&airline, ("acme", "")).await;
    let booking = |passengers: Value, payments: Value, flight: &str| {
        json!({
            "user_id": "mia_li_3668", "origin": "JFK", "destination": "SEA",
            "flight_type": "one_way", "cabin": "economy",
            "flights": [{ "flight_number": flight, "date": "2024-05-20" }],
            "passengers": passengers, "payment_methods": payments,
            "total_baggages": 0, "nonfree_baggages": 0, "insurance": "no",
        })
    };
    let one = json!([{ "first_name": "Mia", "last_name": "Li", "dob": "1990-04-05" }]);
    let nobody = json!([]);
    let card = |amount: i64| json!([{ "payment_id": "credit_card_4421486", "amount": amount }]);
    for (tool, arguments, code) in [
        (
            "get_user_details",
            json!({ "user_id": "nobody" }),
            "TRV-310",
        ),
        ("get_user_details", json!({ "user": "nobody" }), "TRV-001"),
        (
            "get_flight_status",
            json!({ "flight_number": "HAT001", "date": "2030-01-01" }),
            "TRV-310",
        ),
        (
            "book_reservation",
            booking(one.clone(), card(1), "HAT136"),
            "TRV-312",
        ),
        (
            "book_reservation",
            booking(one.clone(), card(-1), "HAT136"),
            "TRV-312",
        ),
        (
            "book_reservation",
            booking(nobody, card(1), "HAT136"),
            "TRV-313",
        ),
        (
            "book_reservation",
            booking(one, card(1), "HAT000"),
            "TRV-310",
        ),
        (
            "update_reservation_passengers",
            json!({ "reservation_id": "4WQ150", "passengers": [] }),
            "TRV-313",
        ),
        (
            "update_reservation_baggages",
            json!({ "reservation_id": "4WQ150", "total_baggages": 9,
            "nonfree_baggages": 4, "payment_id": "certificate_1" }),
            "TRV-312",
        ),
        (
            "send_certificate",
            json!({ "user_id": "mia_li_3668", "amount": -5 }),
            "TRV-313",
        ),
        ("calculate", json!({ "expression": "1/0" }), "TRV-313"),
    ] {
        let result = call(&airline, "", tool, &arguments).await;
        assert_eq!(result["isError"], true, "{tool}");
        assert_eq!(
            result["structuredContent"]["code"], code,
            "{tool} {arguments}"
        );
        assert!(
            !result["structuredContent"]["hint"]
                .as_str()
                .unwrap()
                .is_empty()
        );
    }
    assert_eq!(digest_of(&airline, ("acme", "")).await, before);
}

#[tokio::test]
async fn reservation_is_cancelled_once() {
    let airline = Airline::new();
    call(
        &airline,
        "twice",
        "cancel_reservation",
        &json!({ "reservation_id": "4WQ150" }),
    )
    .await;
    let again = call(
        &airline,
        "twice",
        "cancel_reservation",
        &json!({ "reservation_id": "4WQ150" }),
    )
    .await;
    assert_eq!(again["structuredContent"]["code"], "TRV-313");
}

#[tokio::test]
async fn tools_say_what_they_do() {
    let airline = Airline::new();
    let result = ask(&airline, ("acme", ""), "tools/list", json!({})).await;
    let tools = result["tools"].as_array().unwrap();
    let list: Vec<_> = tools
        .iter()
        .map(|tool| {
            let hint = |name: &str| tool["annotations"][name] == true;
            let kind = match (hint("readOnlyHint"), hint("destructiveHint")) {
                (true, _) => "reads",
                (false, true) => "changes",
                (false, false) => "adds",
            };
            format!("{} {kind}", tool["name"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        list,
        [
            "get_user_details reads",
            "get_reservation_details reads",
            "list_all_airports reads",
            "search_direct_flight reads",
            "search_onestop_flight reads",
            "get_flight_status reads",
            "calculate reads",
            "transfer_to_human_agents reads",
            "book_reservation adds",
            "cancel_reservation changes",
            "update_reservation_baggages changes",
            "update_reservation_flights changes",
            "update_reservation_passengers changes",
            "send_certificate adds",
        ]
    );
}
