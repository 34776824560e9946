//! Time per parse of a tool call, beside serde_json reading the same members as raw
//! values in two levels. Both run in turns in one process.
//!
//! `cargo run --release -p airside-mcp --example parse_bench`

#![expect(clippy::print_stdout, reason = "prints its figures")]

use std::{borrow::Cow, hint::black_box, time::Duration};

use airside_base::{Clock as _, SystemClock};
use airside_mcp::{Incoming, Limits};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

const ROUNDS: usize = 15;
const SLICE: Duration = Duration::from_millis(40);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    client_capabilities: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientInfo")]
    client_info: Option<&'a RawValue>,
}

fn with_serde(body: &[u8]) -> usize {
    let envelope: Envelope<'_> = serde_json::from_slice(body).expect("a call");
    let params = envelope.params.expect("parameters").get();
    let params: Params<'_> = serde_json::from_str(params).expect("parameters of a tool call");
    let meta = params.meta.expect("metadata");
    black_box((&envelope.jsonrpc, envelope.id, &meta.client_info));
    envelope.method.len()
        + params.name.map_or(0, |name| name.len())
        + params
            .arguments
            .map_or(0, |arguments| arguments.get().len())
        + meta.protocol_version.map_or(0, |version| version.len())
        + meta.client_capabilities.map_or(0, |raw| raw.get().len())
}

fn with_airside(body: &Bytes, limits: &Limits) -> usize {
    let Ok(Incoming::Request(call)) = Incoming::parse(body, limits) else {
        unreachable!("the body is a request")
    };
    let meta = call.meta();
    black_box((call.id(), meta.client_info()));
    call.method().len()
        + call.name().map_or(0, str::len)
        + call.arguments().map_or(0, <[u8]>::len)
        + meta.protocol_version().map_or(0, str::len)
        + meta.client_capabilities().map_or(0, <[u8]>::len)
}

/// A call of about `size_bytes`, whose arguments are what tools are given: short
/// members, numbers, some text and a few long strings.
fn call(size_bytes: usize) -> Bytes {
    let build = |count: usize| {
        let guests: Vec<_> = (0..count)
            .map(|n| {
                json!({
                    "name": format!("Guest {n}"),
                    "age": n % 90,
                    "price": f64::from(u32::try_from(n).unwrap_or(0)) / 8.0,
                    "wishes": "a quiet room, not far from the lift; \"sea view\" if there is one",
                    "member": n % 2 == 0,
                })
            })
            .collect();
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        });
        let params =
            json!({"name": "search_hotels", "arguments": {"guests": guests}, "_meta": meta});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    };
    let (empty, one) = (build(0).len(), build(1).len());
    build(size_bytes.saturating_sub(empty) / (one - empty)).into()
}

/// Returns nanoseconds per turn of `work`, over one slice of time.
fn measure(clock: &SystemClock, mut work: impl FnMut() -> usize) -> f64 {
    let start = clock.monotonic();
    let mut turns = 0_u32;
    loop {
        for _ in 0..16 {
            black_box(work());
        }
        turns += 16;
        let passed = clock.monotonic() - start;
        if passed >= SLICE {
            return passed.as_secs_f64() * 1e9 / f64::from(turns);
        }
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let clock = SystemClock::new();
    let limits = Limits::DEFAULT;
    println!("   bytes  airside ns   serde ns  airside/serde  airside GB/s");
    for size_bytes in [300, 2_000, 63_000, 1_000_000] {
        let body = call(size_bytes);
        assert_eq!(with_airside(&body, &limits), with_serde(&body));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let mut run_ours = || ours.push(measure(&clock, || with_airside(&body, &limits)));
            if round % 2 == 0 {
                run_ours();
                theirs.push(measure(&clock, || with_serde(&body)));
            } else {
                theirs.push(measure(&clock, || with_serde(&body)));
                run_ours();
            }
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let length = u32::try_from(body.len()).map_or(f64::NAN, f64::from);
        println!(
            "{:>8}  {ours:>10.0} {theirs:>10.0}  {:>13.2}  {:>12.2}",
            body.len(),
            ours / theirs,
            length / ours
        );
    }
}
