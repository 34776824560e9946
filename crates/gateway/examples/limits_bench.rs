//! What limits cost a call: the hook before the body, the one after routing, and what
//! is told and recorded, with six limits in force.
//!
//! `cargo run --release -p airside-gateway --example limits_bench [redis://host:port]`

#![expect(clippy::print_stdout, reason = "prints its figures")]

use std::{hint::black_box, num::NonZeroU32, sync::Arc, time::Duration};

use airside_base::{Clock, Redacted, Supervisor, SystemClock, TenantId};
use airside_gateway::{
    Outbound,
    catalog::Facts,
    federation::Route,
    limits::{self, Counters, Ground, LimitConfig, LimitsConfig, Plan, StoreOptions, Time},
};
use airside_identity::{Attestation, Caller, CallerKind};
use airside_ledger::{Ledger, Options, stores::memory::Memory};
use airside_mcp::{Incoming, Limits};
use bytes::Bytes;
use http::HeaderMap;

const CALLS: usize = 20_000;
const LIMITS: [&str; 6] = [
    r#"{"name":"per-client","rate":"100000/s","burst":1000000,"per":["client"]}"#,
    r#"{"name":"slots","concurrent":1000,"per":["client"]}"#,
    r#"{"name":"plan","quota":{"daily":1000000000},"per":["tenant"]}"#,
    r#"{"name":"searches","rate":"100000/s","burst":1000000,"per":["user","tool"],"costs":{"search_hotels":3}}"#,
    r#"{"name":"market","rate":"100000/s","burst":1000000,"per":["market"],"market-argument":"country"}"#,
    r#"{"name":"looks","look-to-book":{"ratio":10,"floor":1000000000,"books":["book"]},"per":["session"]}"#,
];
const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_hotels","arguments":{"place":"Boston","country":"US","check_in":"2026-12-01","check_out":"2026-12-03","guests":2},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"openai/subject":"v1/user","openai/session":"v1/session"}}}"#;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let store = std::env::args().nth(1);
    runtime.block_on(measure(store));
}

async fn measure(store: Option<String>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let supervisor = Supervisor::new();
    let memory = Arc::new(Memory::new());
    let ledger = Ledger::open(memory, clock.clone(), &supervisor, Options::default());
    let store = store.map(|url| StoreOptions {
        url: Redacted::new(url),
        timeout: Duration::from_millis(5),
        nodes: NonZeroU32::MIN,
        prefix: "bench".to_owned(),
        time: Time::Server,
    });
    let ground = Ground {
        ledger: ledger.await.expect("a ledger in memory opens"),
        clock: clock.clone(),
        supervisor: supervisor.clone(),
    };
    let shared = LimitsConfig::default();
    let counters = Counters::open(&shared, store.as_ref(), ground).await;
    let counters = counters.expect("the store has a good URL");
    counters.start();
    while store.is_some() && counters.store() != "shared" {
        tokio::task::yield_now().await;
    }
    let each: Vec<LimitConfig> = LIMITS
        .iter()
        .map(|json| serde_json::from_str(json).expect("a good limit"))
        .collect();
    let rules = limits::compile(&shared, &each).expect("good limits");
    let plan = Plan::new(rules, counters.clone());
    println!("counted in: {}", counters.store());
    let caller = Caller::new(
        CallerKind::ApiKey,
        "assistant",
        TenantId::default(),
        Attestation::ApiKey,
        vec!["partners".to_owned()],
    );
    let headers = HeaderMap::new();
    let outbound = outbound();
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        let began = clock.monotonic();
        let grip = plan.enter(&caller).await.expect("there is room");
        early.push(clock.monotonic() - began);
        let began = clock.monotonic();
        let own = plan.admit(&caller, &headers, &outbound).await;
        late.push(clock.monotonic() - began);
        black_box((grip, own.expect("there is room")));
    }
    print("before the body (rate, concurrent, quota)", &mut early);
    print("after routing (rate, market, look-to-book)", &mut late);
    supervisor.stop(Duration::from_secs(1)).await;
}

fn outbound() -> Outbound {
    let parsed = Incoming::parse(&Bytes::from_static(CALL), &Limits::DEFAULT);
    let Ok(Incoming::Request(call)) = parsed else {
        panic!("a good call");
    };
    let server = "travel".parse().expect("a good name");
    let route = Route {
        name: Some("search_hotels".into()),
        facts: Facts::reading(),
        ..Route::to(server)
    };
    Outbound {
        call: Some(call),
        route,
    }
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |part: f64| times[(times.len() as f64 * part) as usize].as_nanos() as f64 / 1_000.0;
    println!(
        "{what}: p50 {:.2} µs, p90 {:.2} µs, p99 {:.2} µs",
        at(0.5),
        at(0.9),
        at(0.99)
    );
}
