use airside_base::{TenantId, VirtualClock};
use airside_identity::{Attestation, CallerKind};
use airside_mcp::{Incoming, Limits};

use super::*;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

struct Bench {
    cache: Cache,
    clock: VirtualClock,
    server: ServerId,
}

impl Bench {
    fn new(max_bytes: usize) -> Self {
        let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
        Self {
            cache: Cache::new(max_bytes, Arc::new(clock.clone())),
            clock,
            server: "a".parse().unwrap(),
        }
    }

    fn question(&self, caller: &str, method: &str, params: &str) -> Option<Question> {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{META}}}}}"#
        );
        let Incoming::Request(call) = Incoming::parse(&text.into(), &Limits::DEFAULT).unwrap()
        else {
            panic!("a request");
        };
        let caller = Caller::new(
            CallerKind::ApiKey,
            caller,
            TenantId::default(),
            Attestation::ApiKey,
            Vec::new(),
        );
        self.cache.question(&self.server, &call, &caller)
    }

    fn list(&self, caller: &str) -> Question {
        self.question(caller, "tools/list", "").unwrap()
    }

    fn keep(&self, caller: &str, hints: &str) {
        self.cache
            .keep(&self.list(caller), &format!(r#"{{"tools":[],{hints}}}"#));
    }

    fn found(&self, caller: &str) -> bool {
        self.cache.find(&self.list(caller)).is_some()
    }
}

#[test]
fn scope_decides_who_finds_a_result() {
    let bench = Bench::new(1 << 20);
    bench.keep("ann", r#""ttlMs":1000,"cacheScope":"private""#);
    assert_eq!((bench.found("ann"), bench.found("bob")), (true, false));
    bench.keep("ann", r#""ttlMs":1000,"cacheScope":"public""#);
    assert!(bench.found("bob"));
}

#[test]
fn result_leaves_with_the_time_that_is_left() {
    let bench = Bench::new(1 << 20);
    bench.keep("ann", r#""n":1.50,"ttlMs":1000,"cacheScope":"public""#);
    bench.clock.advance(Duration::from_millis(400));
    let found = bench.cache.find(&bench.list("bob")).unwrap();
    assert_eq!(
        found,
        r#"{"tools":[],"n":1.50,"ttlMs":600,"cacheScope":"public"}"#
    );
    bench.clock.advance(Duration::from_millis(600));
    assert!(!bench.found("bob"));
}

#[test]
fn results_that_do_not_allow_it_are_not_kept() {
    for hints in [
        r#""x":1"#,
        r#""ttlMs":0,"cacheScope":"public""#,
        r#""ttlMs":-5,"cacheScope":"public""#,
        r#""ttlMs":1e3,"cacheScope":"public""#,
        r#""ttlMs":1000,"ttlMs":1000,"cacheScope":"public""#,
        r#""ttlMs":1000,"cacheScope":"public","resultType":"input_required""#,
    ] {
        let bench = Bench::new(1 << 20);
        bench.keep("ann", hints);
        assert!(!bench.found("ann"), "{hints}");
    }
}

#[test]
fn only_plain_questions_are_looked_up() {
    let bench = Bench::new(1 << 20);
    let asked = |method, params| bench.question("ann", method, params).is_some();
    assert!(asked("resources/read", r#""uri":"x://y","#));
    assert!(asked("prompts/list", r#""cursor":"2","#));
    assert!(!asked("tools/call", r#""name":"x","#));
    assert!(!asked(
        "resources/read",
        r#""uri":"x://y","requestState":"s","#
    ));
    assert!(!asked("tools/list", r#""filter":"s","#));
}

#[test]
fn announced_change_also_drops_what_was_being_fetched() {
    let bench = Bench::new(1 << 20);
    let asked = bench.list("ann");
    bench.cache.invalidate(&bench.server);
    bench
        .cache
        .keep(&asked, r#"{"ttlMs":1000,"cacheScope":"public"}"#);
    assert!(!bench.found("ann") && bench.cache.find(&asked).is_none());
}

#[test]
fn oldest_goes_when_room_is_needed() {
    let bench = Bench::new(3 * (1000 + OVERHEAD));
    let key = |n: u8| Key::of(&[&[n]]);
    for n in 0..20 {
        bench
            .cache
            .keep_rendered(key(n), Bytes::from(vec![n; 1000]));
        bench
            .cache
            .keep_rendered(key(n), Bytes::from(vec![n; 1000]));
    }
    let kept: Vec<_> = (0..20)
        .filter(|n| bench.cache.rendered(key(*n)).is_some())
        .collect();
    assert_eq!(kept, [17, 18, 19]);
    assert!(bench.cache.lock().order.len() <= 22);
}
