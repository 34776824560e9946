//! State of conversations, on every store.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, NodeId, Redacted, Supervisor, SystemClock};
use airside_ledger::{
    Ledger, Options, Query, Store,
    conversation::{Conversations, Error, Handle, MAX_LIFETIME, MAX_STATE_BYTES, Opening, State},
    keys::{Keys, memory::MemoryKeys},
    personal::Opened,
    stores::{memory::Memory, postgres::Postgres},
    vault::memory::MemoryVault,
};
use airside_testkit::postgres::{ROLE, Server};
use serde_json::{Value, json};

use crate::harness::{Rig, clock, stores, tenant};

fn state(value: &Value) -> State {
    value.as_object().expect("an object").clone()
}

fn fresh_keys() -> Arc<Keys> {
    let (store, vault) = (MemoryKeys::new(), MemoryVault::new());
    Arc::new(Keys::new(
        Arc::new(store),
        Arc::new(vault),
        Arc::new(clock()),
    ))
}

struct Talks {
    rig: Rig,
    keys: Arc<Keys>,
    talks: Conversations,
}

impl Talks {
    async fn on(store: Arc<dyn Store>) -> Self {
        let rig = Rig::on(store).await;
        let keys = fresh_keys();
        let talks = Self::node(&rig, &keys, None);
        Self { rig, keys, talks }
    }

    fn node(rig: &Rig, keys: &Arc<Keys>, region: Option<&str>) -> Conversations {
        let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
        let region = region.map(|region| region.parse().expect("a region"));
        Conversations::new(rig.ledger.clone(), keys.clone(), clock, region)
    }

    async fn create(&self, content: Value) -> (Handle, u64) {
        let created = self
            .talks
            .create(&tenant("a"), Opening::default(), state(&content))
            .await;
        let (handle, conversation) = created.expect("create");
        (handle, conversation.version)
    }

    async fn sweep(&self) -> usize {
        let node = NodeId::generate(&self.rig.clock);
        self.talks.sweep(node).await.expect("sweep")
    }
}

#[tokio::test]
async fn state_is_changed_by_merge_patches() {
    let (stores, _folder) = stores();
    for store in stores {
        let this = Talks::on(store).await;
        let (handle, first) = this.create(json!({ "a": 1, "b": { "c": 2 } })).await;
        let a = tenant("a");
        let patch = state(&json!({ "a": null, "b": { "d": 3 } }));
        let changed = this.talks.patch(&a, &handle, first, patch).await;
        let changed = changed.expect("patch");
        let expected = state(&json!({ "b": { "c": 2, "d": 3 } }));
        assert_eq!(changed.state, Opened::Clear(expected));
        assert!(changed.version > first);
        let read = this.talks.get(&a, &handle).await.expect("get");
        assert_eq!(read, changed);

        let late = this.talks.patch(&a, &handle, first, State::new()).await;
        assert!(
            matches!(late, Err(Error::Stale { found, .. }) if found == changed.version),
            "{late:?}"
        );
        let other = this.talks.get(&tenant("b"), &handle).await;
        assert!(
            matches!(other, Err(Error::Missing)),
            "another tenant: {other:?}"
        );
        let guess: Handle = "a".repeat(43).parse().expect("a handle");
        let guess = this.talks.get(&a, &guess).await;
        assert!(matches!(guess, Err(Error::Missing)), "{guess:?}");
        this.rig.stop().await;
    }
}

#[tokio::test]
async fn of_two_changes_at_once_one_wins() {
    let (stores, _folder) = stores();
    for store in stores {
        let this = Talks::on(store).await;
        let (handle, version) = this.create(json!({})).await;
        let a = tenant("a");
        let patch = |name: &str| {
            let patch = state(&json!({ name: true }));
            this.talks.patch(&a, &handle, version, patch)
        };
        let both = tokio::join!(patch("one"), patch("other"));
        let won: Vec<bool> = [both.0, both.1]
            .into_iter()
            .map(|done| match done {
                Ok(_) => true,
                Err(Error::Stale { .. }) => false,
                Err(error) => panic!("{error:?}"),
            })
            .collect();
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
        this.rig.stop().await;
    }
}

#[tokio::test]
async fn ended_conversation_is_gone_with_its_key() {
    let (stores, _folder) = stores();
    for store in stores {
        let this = Talks::on(store).await;
        let a = tenant("a");
        let (handle, _) = this.create(json!({ "said": "something" })).await;
        let entries = this.rig.ledger.read(Query::new(a.clone())).await;
        let entry = entries.expect("read").remove(0);
        let body: Value = entry.decode().expect("JSON");
        assert!(!entry.body.windows(9).any(|part| part == b"something"));
        let sealed = serde_json::from_value(body["state"].clone()).expect("sealed");
        let open = || this.keys.open::<State>(&a, &entry.kind, "/state", &sealed);
        assert!(matches!(open().await, Ok(Opened::Clear(_))));
        this.talks.end(&a, &handle).await.expect("end");
        let gone = this.talks.get(&a, &handle).await;
        assert!(matches!(gone, Err(Error::Missing)), "{gone:?}");
        assert_eq!(
            open().await.expect("no error"),
            Opened::Erased,
            "in the log too"
        );
        let again = this.talks.end(&a, &handle).await;
        assert!(matches!(again, Err(Error::Missing)), "{again:?}");
        this.rig.ledger.verify(&|_| {}).await.expect("verify");
        this.rig.stop().await;
    }
}

#[tokio::test]
async fn conversation_ends_when_its_time_has_come() {
    let (stores, _folder) = stores();
    for store in stores {
        let this = Talks::on(store).await;
        let a = tenant("a");
        let hour = Duration::from_secs(3600);
        let opening = Opening {
            lifetime: Some(hour),
            ..Opening::default()
        };
        let created = this.talks.create(&a, opening, State::new()).await;
        let (handle, first) = created.expect("create");
        let (day, _) = this.create(json!({})).await;
        this.rig.clock.advance(hour - Duration::from_secs(1));
        assert_eq!(this.sweep().await, 0);
        let patched = this.talks.patch(&a, &handle, first.version, State::new());
        patched.await.expect("a change starts the hour anew");
        this.rig.clock.advance(Duration::from_secs(2));
        this.talks.get(&a, &handle).await.expect("still there");
        this.rig.clock.advance(hour);
        let gone = this.talks.get(&a, &handle).await;
        assert!(
            matches!(gone, Err(Error::Missing)),
            "before any sweep: {gone:?}"
        );
        assert_eq!(this.sweep().await, 1);
        assert_eq!(this.sweep().await, 0);
        this.talks.get(&a, &day).await.expect("its day is not over");
        this.rig.stop().await;
    }
}

#[tokio::test]
async fn sweeper_works_by_the_clock_and_stops() {
    let this = Talks::on(Arc::new(Memory::new())).await;
    let (_handle, version) = this.create(json!({})).await;
    let node = NodeId::generate(&this.rig.clock);
    this.talks.clone().start(node, &this.rig.supervisor);
    let mut follower = this.rig.ledger.follow(tenant("a"), version);
    tokio::task::yield_now().await;
    this.rig.clock.advance(Duration::from_secs(48 * 3600));
    let ended = follower.next().await.expect("read");
    assert_eq!(ended[0].kind, airside_ledger::conversation::ENDED);
    this.rig.stop().await;
}

#[tokio::test]
async fn conversation_stays_in_its_region() {
    let this = Talks::on(Arc::new(Memory::new())).await;
    let here = Talks::node(&this.rig, &this.keys, Some("eu-central"));
    let there = Talks::node(&this.rig, &this.keys, Some("us-east"));
    let a = tenant("a");
    let created = here.create(&a, Opening::default(), State::new()).await;
    let (handle, conversation) = created.expect("create");
    here.get(&a, &handle).await.expect("at home");
    for other in [&there, &this.talks] {
        let refused = other.get(&a, &handle).await;
        assert!(
            matches!(refused, Err(Error::OtherRegion { .. })),
            "{refused:?}"
        );
        let refused = other
            .patch(&a, &handle, conversation.version, State::new())
            .await;
        assert!(
            matches!(refused, Err(Error::OtherRegion { .. })),
            "{refused:?}"
        );
    }
    this.rig.stop().await;
}

#[tokio::test]
async fn limits_hold_at_their_edges() {
    let this = Talks::on(Arc::new(Memory::new())).await;
    let a = tenant("a");
    let create = async |opening: Opening, state: State| {
        this.talks.create(&a, opening, state).await.map(drop)
    };
    let text = |length: usize| state(&json!({ "t": "x".repeat(length) }));
    let frame = r#"{"t":""}"#.len();
    create(Opening::default(), text(MAX_STATE_BYTES - frame))
        .await
        .expect("just fits");
    let refused = create(Opening::default(), text(MAX_STATE_BYTES - frame + 1)).await;
    assert!(matches!(refused, Err(Error::TooLarge)), "{refused:?}");
    let deep = |levels: usize| {
        let value = (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
        state(&value)
    };
    create(Opening::default(), deep(32))
        .await
        .expect("just fits");
    let refused = create(Opening::default(), deep(33)).await;
    assert!(matches!(refused, Err(Error::TooLarge)), "{refused:?}");
    for (lifetime, good) in [
        (Duration::from_millis(999), false),
        (Duration::from_secs(1), true),
        (MAX_LIFETIME, true),
        (MAX_LIFETIME + Duration::from_millis(1), false),
    ] {
        let opening = Opening {
            lifetime: Some(lifetime),
            ..Opening::default()
        };
        let done = create(opening, State::new()).await;
        assert_eq!(done.is_ok(), good, "{lifetime:?}");
    }
    // Two halves that fit alone do not fit together.
    let (handle, version) = this.create(json!({ "a": "x".repeat(40_000) })).await;
    let patch = state(&json!({ "b": "x".repeat(40_000) }));
    let refused = this.talks.patch(&a, &handle, version, patch).await;
    assert!(matches!(refused, Err(Error::TooLarge)), "{refused:?}");
    this.rig.stop().await;
}

#[tokio::test]
async fn nothing_prints_handle_or_state() {
    let this = Talks::on(Arc::new(Memory::new())).await;
    let created = this
        .talks
        .create(
            &tenant("a"),
            Opening::default(),
            state(&json!({ "said": "secret" })),
        )
        .await;
    let created = created.expect("create");
    let text = format!("{created:?} {:?}", this.talks);
    assert!(
        !text.contains("secret") && !text.contains(created.0.expose()),
        "{text}"
    );
    this.rig.stop().await;
}

#[tokio::test]
async fn conversation_survives_nodes_on_postgres() {
    let server = Server::start().expect("a server");
    let database = server.database("conversations").expect("a database");
    let owner = Redacted::new(database.owner_url.clone());
    Postgres::initialize(&owner, ROLE).await.expect("tables");
    let keys = fresh_keys();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let a = tenant("a");
    let mut held: Option<(Handle, u64)> = None;
    for round in 0..3 {
        let supervisor = Supervisor::new();
        let url = Redacted::new(database.url.clone());
        let store = Postgres::open(&url, clock.clone(), &supervisor).await;
        let store = Arc::new(store.expect("open"));
        let ledger = Ledger::open(store, clock.clone(), &supervisor, Options::default()).await;
        let ledger = ledger.expect("open");
        let talks = Conversations::new(ledger, keys.clone(), clock.clone(), None);
        held = Some(match held {
            None => {
                let created = talks.create(&a, Opening::default(), State::new()).await;
                let (handle, conversation) = created.expect("create");
                (handle, conversation.version)
            }
            Some((handle, version)) => {
                let patch = state(&json!({ "round": round }));
                let patched = talks.patch(&a, &handle, version, patch).await;
                let patched = patched.expect("patch");
                assert_eq!(patched.state.as_clear().expect("clear")["round"], round);
                let late = talks.patch(&a, &handle, version, State::new()).await;
                assert!(matches!(late, Err(Error::Stale { .. })), "{late:?}");
                (handle, patched.version)
            }
        });
        if round == 2 {
            let (handle, _) = held.as_ref().expect("a handle");
            talks.end(&a, handle).await.expect("end");
            let gone = talks.get(&a, handle).await;
            assert!(matches!(gone, Err(Error::Missing)), "{gone:?}");
        }
        let left = supervisor.stop(Duration::from_secs(20)).await;
        assert_eq!(left, 0);
    }
}
