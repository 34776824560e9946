//! What the desk does when a supplier does not answer, answers late or dies.

use std::sync::Mutex;

use airside_base::{BoxFuture, TenantId, VirtualClock};
use airside_ledger::{
    Options, conversation::Conversations, keys::memory::MemoryKeys, stores::memory::Memory,
    vault::memory::MemoryVault,
};
use serde_json::json;

use super::*;
use crate::{
    inventory::Inventory,
    property::Size,
    shop::Hotels,
    supply::{
        About, Applied, Area, Arrival, Ask, Calendar, Error, Found, Guest, Hotel, HotelId, Offers,
        Quoted, Reference, Reservation, Search, Selection, Updates,
    },
    ucp::tool,
};

/// How a supplier behaves when it is told to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Fine,
    /// It does what it is told and its answer is lost.
    LosesAnswers,
    /// It does what it is told and then says nothing to anybody.
    DoesAndDies,
    /// It does nothing and says nothing.
    Dead,
    /// It says at once that it cannot.
    Closed,
}

#[derive(Debug)]
struct Moody {
    real: Inventory,
    mood: Mutex<Mood>,
}

impl Moody {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    async fn tell(
        &self,
        done: BoxFuture<'_, Result<Reservation, Error>>,
    ) -> Result<Reservation, Error> {
        match self.mood() {
            Mood::Fine => done.await,
            Mood::LosesAnswers | Mood::DoesAndDies => {
                done.await.expect("the real one does it");
                Err(Error::Unknown)
            }
            Mood::Dead => Err(Error::Unknown),
            Mood::Closed => Err(Error::Unavailable {
                retry_after: Duration::from_secs(1),
            }),
        }
    }
}

impl HotelSupply for Moody {
    fn about(&self) -> &About {
        self.real.about()
    }

    fn describe<'a>(&'a self, hotel: &'a HotelId) -> BoxFuture<'a, Result<Arc<Hotel>, Error>> {
        self.real.describe(hotel)
    }

    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Found, Error>> {
        self.real.search(search)
    }

    fn offers<'a>(
        &'a self,
        hotel: &'a HotelId,
        ask: &'a Ask,
    ) -> BoxFuture<'a, Result<Offers, Error>> {
        self.real.offers(hotel, ask)
    }

    fn calendar<'a>(
        &'a self,
        hotel: &'a HotelId,
        calendar: &'a Calendar,
    ) -> BoxFuture<'a, Result<Vec<Arrival>, Error>> {
        self.real.calendar(hotel, calendar)
    }

    fn quote<'a>(
        &'a self,
        selection: &'a Selection,
        replacing: Option<&'a Reference>,
    ) -> BoxFuture<'a, Result<Quoted, Error>> {
        self.real.quote(selection, replacing)
    }

    fn hold<'a>(
        &'a self,
        reference: &'a Reference,
        selection: &'a Selection,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(async move { self.tell(self.real.hold(reference, selection, ttl)).await })
    }

    fn commit<'a>(
        &'a self,
        reference: &'a Reference,
        guest: &'a Guest,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(async move { self.tell(self.real.commit(reference, guest)).await })
    }

    fn release<'a>(
        &'a self,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        self.real.release(reference)
    }

    fn modify<'a>(
        &'a self,
        reference: &'a Reference,
        change: &'a Reference,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(async move {
            self.tell(self.real.modify(reference, change, selection))
                .await
        })
    }

    fn cancel<'a>(
        &'a self,
        reference: &'a Reference,
        accepted: i64,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(async move { self.tell(self.real.cancel(reference, accepted)).await })
    }

    fn find<'a>(
        &'a self,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Error>> {
        match self.mood() {
            Mood::Dead | Mood::DoesAndDies => Box::pin(std::future::ready(Err(Error::Unknown))),
            _ => self.real.find(reference),
        }
    }

    fn apply<'a>(&'a self, updates: &'a Updates) -> BoxFuture<'a, Result<Applied, Error>> {
        self.real.apply(updates)
    }
}

struct Rig {
    desk: Desk,
    supply: Arc<Moody>,
    clock: Arc<VirtualClock>,
    by: Principal,
}

const KEY: &str = "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11";

impl Rig {
    async fn new() -> Self {
        let clock = Arc::new(VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap()));
        let supervisor = Supervisor::new();
        let store = Arc::new(Memory::new());
        let ledger = Ledger::open(store, clock.clone(), &supervisor, Options::default());
        let ledger = ledger.await.unwrap();
        let (store, vault) = (Arc::new(MemoryKeys::new()), Arc::new(MemoryVault::new()));
        let keys = Arc::new(Keys::new(store, vault, clock.clone()));
        let all = Conversations::new(ledger.clone(), keys.clone(), clock.clone(), None);
        let parts = Parts {
            clock: clock.clone(),
            ledger: ledger.clone(),
            keys,
            conversations: all.of("builtin:travel"),
            payments: None,
            hold: crate::HOLD,
            supervisor: supervisor.clone(),
            node: NodeId::generate(&*clock),
        };
        let hotels = Arc::new(Hotels::new(
            7,
            Size::Demonstration,
            crate::house::Houses::default(),
        ));
        let node = parts.node;
        let real = Inventory::start(hotels, ledger, clock.clone(), node, None, &supervisor);
        real.ready().await;
        let supply = Arc::new(Moody {
            real,
            mood: Mutex::new(Mood::Fine),
        });
        Self {
            desk: Desk::new(supply.clone(), &parts),
            supply,
            clock,
            by: Principal {
                tenant: TenantId::default(),
                kind: "api_key",
                id: "ada".into(),
                attestation: 20,
            },
        }
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let arguments = arguments.as_object().cloned();
        let result = self.desk.call(tool, arguments, Some(&self.by)).await;
        serde_json::to_value(result.expect("the tool exists")).unwrap()
    }

    /// Returns the arguments that complete a session with many nights of a hotel.
    async fn ready(&self) -> Value {
        let booker = json!({ "first_name": "Ada", "last_name": "L", "email": "a@example.com" });
        let selection = self.selection().await;
        let total = self
            .supply
            .quote(&selection, None)
            .await
            .unwrap()
            .price
            .total;
        let fingerprint = self.supply.about().fingerprint;
        let offer = crate::reference::of_selection(fingerprint, &selection, total).unwrap();
        let created = self
            .call(
                tool::CREATE,
                json!({ "offer_ref": offer, "booker": booker }),
            )
            .await;
        consent(&created, KEY)
    }

    /// Returns what can be booked in Boston.
    async fn selection(&self) -> Selection {
        let stay = supply_stay();
        let party = crate::stay::Party {
            adults: 2,
            child_ages: Vec::new(),
        };
        let ask = Ask {
            stay: stay.clone(),
            parties: vec![party.clone()],
        };
        let found = self
            .supply
            .search(&Search::every(Area::City(4_930_956), ask))
            .await
            .unwrap();
        let first = &found.hotels[0];
        Selection {
            hotel: first.hotel.id.clone(),
            stay,
            units: vec![crate::supply::Unit {
                room: first.offer.room.clone(),
                plan: first.offer.plan.clone(),
                party,
            }],
            expected_total: None,
        }
    }

    async fn bookings(&self) -> Vec<Value> {
        let mine = self.call("list_my_bookings", json!({})).await;
        mine["structuredContent"]["bookings"]
            .as_array()
            .unwrap()
            .clone()
    }

    async fn seen(&self, complete: &Value) -> Value {
        let id = &complete["session_id"];
        self.call(tool::GET, json!({ "session_id": id })).await["structuredContent"].clone()
    }
}

fn supply_stay() -> crate::stay::Stay {
    let date = jiff::civil::date;
    crate::stay::Stay::new(date(2026, 12, 15), date(2026, 12, 17)).unwrap()
}

fn consent(result: &Value, key: &str) -> Value {
    let consent = &result["_meta"]["airside/consent"];
    let text = |name: &str| consent[name].as_str().unwrap_or_else(|| panic!("{result}"));
    let (nonce, id, digest) = (text("nonce"), text("session_id"), text("terms_digest"));
    let name = if id.starts_with("quo_") {
        "quote_id"
    } else {
        "session_id"
    };
    json!({
        name: id, "idempotency_key": key, "terms_digest": digest, "disclosure_shown": true,
        "consent_token": terms::consent_token(nonce, id, digest, key),
    })
}

#[tokio::test]
async fn answer_that_was_lost_is_read_back() {
    let rig = Rig::new().await;
    let complete = rig.ready().await;
    rig.supply.set(Mood::LosesAnswers);
    let done = rig.call(tool::COMPLETE, complete.clone()).await;
    assert_eq!(
        done["structuredContent"]["session"]["status"], "completed",
        "{done}"
    );
    let again = rig.call(tool::COMPLETE, complete).await;
    assert_eq!(
        again["structuredContent"]["session"]["confirmation"],
        done["structuredContent"]["session"]["confirmation"]
    );
    assert_eq!(rig.bookings().await.len(), 1);
}

/// Completes a session while the supplier is in `mood`, and returns what stands after it
/// has come to itself again `minutes` later.
async fn survive(mood: Mood, minutes: u64) -> (Rig, Value, Value) {
    let rig = Rig::new().await;
    let complete = rig.ready().await;
    rig.supply.set(mood);
    let unknown = rig.call(tool::COMPLETE, complete.clone()).await;
    let content = &unknown["structuredContent"];
    assert_eq!(
        (
            &content["status"],
            &content["session"]["status"],
            &unknown["isError"]
        ),
        (
            &json!("outcome_unknown"),
            &json!("complete_in_progress"),
            &json!(false)
        ),
        "{unknown}"
    );
    // Nothing ends the attempt but the supplier's word.
    let id = json!({ "session_id": complete["session_id"] });
    for tool in [tool::UPDATE, tool::CANCEL] {
        let refused = rig.call(tool, id.clone()).await;
        assert_eq!(refused["structuredContent"]["code"], "TRV-207", "{refused}");
    }
    rig.clock.advance(Duration::from_secs(60 * minutes));
    rig.desk.sweep().await.unwrap();
    let still = rig.seen(&complete).await;
    assert_eq!(still["status"], "outcome_unknown", "{still}");
    rig.supply.set(Mood::Fine);
    rig.clock.advance(Duration::from_secs(11));
    assert!(rig.desk.sweep().await.unwrap() > 0);
    let seen = rig.seen(&complete).await;
    (rig, complete, seen)
}

#[tokio::test]
async fn rule_15_unknown_outcome_is_a_state_until_it_is_known() {
    let (rig, complete, seen) = survive(Mood::DoesAndDies, 20).await;
    assert_eq!(seen["session"]["status"], "completed", "{seen}");
    let again = rig.call(tool::COMPLETE, complete).await;
    assert_eq!(
        again["structuredContent"]["session"]["confirmation"],
        seen["session"]["confirmation"]
    );
    assert_eq!(rig.bookings().await.len(), 1);
}

#[tokio::test]
async fn consented_booking_that_was_never_asked_for_is_made_from_its_hold() {
    let (rig, _, seen) = survive(Mood::Dead, 1).await;
    assert_eq!(seen["session"]["status"], "completed", "{seen}");
    assert_eq!(rig.bookings().await.len(), 1);
}

#[tokio::test]
async fn hold_that_ended_meanwhile_is_not_booked_again() {
    let (rig, complete, seen) = survive(Mood::Dead, 20).await;
    assert_eq!(seen["session"]["status"], "canceled", "{seen}");
    let again = rig.call(tool::COMPLETE, complete).await;
    assert_eq!(again["structuredContent"]["code"], "TRV-106", "{again}");
    assert_eq!(rig.bookings().await.len(), 0);
}

#[tokio::test]
async fn refusal_leaves_the_session_to_be_tried_again() {
    let rig = Rig::new().await;
    let complete = rig.ready().await;
    rig.supply.set(Mood::Closed);
    let refused = rig.call(tool::COMPLETE, complete.clone()).await;
    assert_eq!(refused["structuredContent"]["code"], "TRV-111", "{refused}");
    rig.supply.set(Mood::Fine);
    let repeated = rig.call(tool::COMPLETE, complete.clone()).await;
    assert_eq!(
        repeated["structuredContent"]["code"], "TRV-111",
        "the first outcome: {repeated}"
    );
    let id = json!({ "session_id": complete["session_id"] });
    let seen = rig.call(tool::GET, id).await;
    assert_eq!(
        seen["structuredContent"]["session"]["status"],
        "ready_for_complete"
    );
    let fresh = consent(&seen, "7f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11");
    let done = rig.call(tool::COMPLETE, fresh).await;
    assert_eq!(
        done["structuredContent"]["session"]["status"], "completed",
        "{done}"
    );
    assert_eq!(rig.bookings().await.len(), 1);
}

#[tokio::test]
async fn rule_16_change_and_cancellation_survive_a_supplier_that_dies() {
    let rig = Rig::new().await;
    let complete = rig.ready().await;
    rig.call(tool::COMPLETE, complete).await;
    let id = rig.bookings().await[0]["id"].clone();
    let keys = [
        "8f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11",
        "9f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11",
    ];
    let steps = [
        (
            "quote_booking_change",
            json!({ "booking_id": id, "nights_delta": -1 }),
            "confirm_booking_change",
        ),
        (
            "quote_cancellation",
            json!({ "booking_id": id }),
            "confirm_cancellation",
        ),
    ];
    for ((quote, arguments, confirm), key) in steps.into_iter().zip(keys) {
        let quoted = rig.call(quote, arguments).await;
        let consent = consent(&quoted, key);
        rig.supply.set(Mood::DoesAndDies);
        let unknown = rig.call(confirm, consent.clone()).await;
        assert_eq!(
            unknown["structuredContent"]["status"], "outcome_unknown",
            "{unknown}"
        );
        rig.supply.set(Mood::Fine);
        rig.clock.advance(Duration::from_secs(11));
        rig.desk.sweep().await.unwrap();
        let known = rig.call(confirm, consent).await;
        assert_eq!(known["structuredContent"]["status"], "ok", "{known}");
    }
    let after = &rig.bookings().await[0];
    assert_eq!(after["status"], "cancelled", "{after}");
    assert_eq!(after["history"].as_array().unwrap().len(), 2);
    assert_eq!(after["stay"]["nights"], 1);
}

#[tokio::test]
async fn what_is_over_is_ended_and_at_last_forgotten() {
    let rig = Rig::new().await;
    let complete = rig.ready().await;
    rig.clock.advance(Duration::from_secs(16 * 60));
    rig.desk.sweep().await.unwrap();
    assert_eq!(rig.seen(&complete).await["session"]["status"], "canceled");
    rig.clock.advance(Duration::from_secs(30 * 86_400));
    rig.desk.sweep().await.unwrap();
    assert_eq!(
        rig.seen(&complete).await["session"]["status"],
        "canceled",
        "after 30 days"
    );
    rig.clock.advance(Duration::from_secs(2 * 86_400));
    rig.desk.sweep().await.unwrap();
    assert_eq!(rig.seen(&complete).await["code"], "TRV-202");
}
