use airside_base::{BoxFuture, VirtualClock};
use bytes::Bytes;
use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::{
    AddressHeader, FetchError, Fetched, ProxyConfig,
    contract::{self, Sample},
};

/// A platform that publishes what the test wants.
#[derive(Debug, Default)]
struct Press(Mutex<Option<String>>);

impl Press {
    fn print(&self, text: &str) {
        *self.0.lock().unwrap() = Some(text.to_owned());
    }
}

impl Fetch for Arc<Press> {
    fn fetch(&self, _: FetchRequest) -> BoxFuture<'static, Result<Fetched, FetchError>> {
        let body = self.0.lock().unwrap().clone();
        let fetched = body.map(|body| Fetched {
            headers: HeaderMap::new(),
            body: Bytes::from(body),
        });
        Box::pin(async move { fetched.ok_or(FetchError::Status { status: 404 }) })
    }
}

fn config(name: &str, addresses: &[&str], url: Option<&str>) -> IpRangeConfig {
    IpRangeConfig {
        name: name.to_owned(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        url: url.map(|url| url.parse().unwrap()),
        refresh_s: 3600,
        internal: false,
        tenant: TenantId::default(),
        groups: vec![],
    }
}

const URL: Option<&str> = Some("https://platform.example/ranges.json");

fn load(
    configs: &[IpRangeConfig],
    press: &Arc<Press>,
    clock: &VirtualClock,
    previous: Option<&IpRanges>,
) -> Result<Arc<IpRanges>, RangeError> {
    let proxies = Proxies::new(&ProxyConfig {
        addresses: vec!["10.0.0.1".to_owned()],
        client_address: Some(AddressHeader::XForwardedFor),
        client_certificate: None,
    });
    let outside = Outside {
        fetch: Arc::new(press.clone()),
        ..Outside::offline(Arc::new(clock.clone()))
    };
    IpRanges::new(configs, proxies.unwrap(), &outside, previous).map(Arc::new)
}

fn clock() -> VirtualClock {
    VirtualClock::new("2026-06-01T12:00:00Z".parse().unwrap())
}

fn fixed(addresses: &[&str]) -> Arc<IpRanges> {
    load(
        &[config("anthropic", addresses, None)],
        &Arc::default(),
        &clock(),
        None,
    )
    .unwrap()
}

fn check(ranges: &Arc<IpRanges>, sample: &Sample, expected: &str) {
    assert_eq!(contract::render(&sample.judge(ranges)), expected);
}

fn from(peer: &str) -> Sample {
    Sample::new().peer(peer)
}

const CLAUDE: &str = "ip_range anthropic ip_range";

#[test]
fn keeps_the_contract() {
    contract::channel(&fixed(&["160.79.104.0/21"]), &from("160.79.104.9:1"));
}

#[test]
fn addresses_of_the_range_are_the_platform() {
    let ranges = fixed(&["160.79.104.0/21", "2607:6bc0::/48", "192.0.2.7"]);
    for peer in [
        "160.79.104.0:1",
        "160.79.111.255:1",
        "[::ffff:160.79.105.1]:1",
        "[2607:6bc0::1]:1",
        "192.0.2.7:1",
    ] {
        check(&ranges, &from(peer), CLAUDE);
    }
    for peer in [
        "160.79.103.255:1",
        "160.79.112.0:1",
        "[2607:6bc1::]:1",
        "192.0.2.8:1",
        "127.0.0.1:1",
    ] {
        check(&ranges, &from(peer), "passed");
    }
}

#[test]
fn address_behind_a_proxy_is_what_the_proxy_says() {
    let ranges = fixed(&["160.79.104.0/21"]);
    let forwarded = |peer: &str, by: &str| from(peer).header("x-forwarded-for", by);
    check(&ranges, &forwarded("10.0.0.1:1", "160.79.104.9"), CLAUDE);
    check(
        &ranges,
        &forwarded("10.0.0.1:1", "160.79.104.9, 192.0.2.1"),
        "passed",
    );
    check(&ranges, &forwarded("10.0.0.1:1", "unknown"), "passed");
    check(&ranges, &from("10.0.0.1:1"), "passed");
    check(&ranges, &forwarded("192.0.2.1:1", "160.79.104.9"), "passed");
}

#[tokio::test]
async fn published_list_is_followed() {
    let (press, clock) = (Arc::new(Press::default()), clock());
    let configs = [config("openai", &["192.0.2.7"], URL)];
    let ranges = load(&configs, &press, &clock, None).unwrap();
    assert!(ranges.refresh().await.is_empty(), "nothing is published");
    press.print(r#"{"creationTime":"x","prefixes":[{"ipv4Prefix":"52.230.152.0/24"},{"ipv6Prefix":"2600:1f18::/36"}]}"#);
    assert!(ranges.refresh().await.is_empty(), "not asked again so soon");
    clock.advance(PAUSE);
    let changed = ranges.refresh().await;
    assert_eq!(changed[0].added, ["52.230.152.0/24", "2600:1f18::/36"]);
    assert_eq!((changed[0].total, changed[0].removed.len()), (2, 0));
    let openai = "ip_range openai ip_range";
    for peer in ["52.230.152.9:1", "[2600:1f18::1]:1", "192.0.2.7:1"] {
        check(&ranges, &from(peer), openai);
    }

    // The same again, then another one, also after a reload of the configuration.
    clock.advance(Duration::from_secs(3600));
    assert!(ranges.refresh().await.is_empty());
    let ranges = load(&configs, &press, &clock, Some(&ranges)).unwrap();
    check(&ranges, &from("52.230.152.9:1"), openai);
    press.print(r#"{"prefixes":["52.230.153.0/24"]}"#);
    clock.advance(Duration::from_secs(3600));
    let changed = ranges.refresh().await;
    assert_eq!(changed[0].added, ["52.230.153.0/24"]);
    assert_eq!(changed[0].removed, ["52.230.152.0/24", "2600:1f18::/36"]);
    check(&ranges, &from("52.230.152.9:1"), "passed");
    check(&ranges, &from("52.230.153.9:1"), openai);
}

#[tokio::test]
async fn last_good_list_outlives_bad_ones() {
    let (press, clock) = (Arc::new(Press::default()), clock());
    press.print(r#"{"prefixes":["52.230.152.0/24"]}"#);
    let ranges = load(&[config("openai", &[], URL)], &press, &clock, None).unwrap();
    assert_eq!(ranges.refresh().await.len(), 1);
    for bad in [
        "",
        "[]",
        r#"{"prefixes":[]}"#,
        r#"{"prefixes":["0.0.0.0/0"]}"#,
        r#"{"prefixes":["52.230.152.0/24","::/0"]}"#,
        r#"{"prefixes":["52.230.152.0/24","10.0.0.0/8"]}"#,
        r#"{"prefixes":["127.0.0.1"]}"#,
        r#"{"prefixes":["169.254.0.0/16"]}"#,
        r#"{"prefixes":[{"ipv4Prefix":1}]}"#,
        r#"{"prefixes":["52.230.152.0/33"]}"#,
    ] {
        press.print(bad);
        clock.advance(Duration::from_secs(3600));
        assert!(ranges.refresh().await.is_empty(), "{bad}");
        check(&ranges, &from("52.230.152.9:1"), "ip_range openai ip_range");
        check(&ranges, &from("10.0.0.9:1"), "passed");
    }
}

#[test]
fn unsafe_ranges_are_refused() {
    let refused = |config: IpRangeConfig| {
        let loaded = load(&[config], &Arc::default(), &clock(), None);
        assert_eq!(loaded.map(|_| ()).unwrap_err().fault().code(), "ID-067");
    };
    refused(config("a", &[], None));
    let twins = [
        config("a", &["192.0.2.1"], None),
        config("a", &["192.0.2.2"], None),
    ];
    let loaded = load(&twins, &Arc::default(), &clock(), None);
    assert!(matches!(loaded, Err(RangeError::Twice { .. })));
    for address in ["0.0.0.0/0", "::/0", "host.example", "1.2.3.4/40", ""] {
        refused(config("a", &[address], None));
    }
    for url in [
        "http://platform.example/",
        "https://10.0.0.1/",
        "file:///etc/passwd",
    ] {
        refused(config("a", &[], Some(url)));
    }
    refused(IpRangeConfig {
        refresh_s: 59,
        ..config("a", &["192.0.2.1"], None)
    });
}

proptest! {
    #[test]
    fn spans_hold_what_their_networks_hold(
        networks in prop::collection::vec((any::<u32>(), 8_u8..=32), 0..12),
        addresses in prop::collection::vec(any::<u32>(), 20),
    ) {
        let networks: Vec<IpNet> = networks
            .into_iter()
            .map(|(bits, prefix)| IpNet::new(IpAddr::V4(bits.into()), prefix).unwrap().trunc())
            .collect();
        let texts: Vec<_> = networks.iter().map(ToString::to_string).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).chain(["192.0.2.1"]).collect();
        let ranges = fixed(&texts);
        let edges = networks.iter().flat_map(|network| [network.network(), network.broadcast()]);
        for address in addresses.into_iter().map(|bits| IpAddr::V4(bits.into())).chain(edges) {
            let expected = networks.iter().any(|network| network.contains(&address))
                || address == IpAddr::from([192, 0, 2, 1]);
            prop_assert_eq!(ranges.sources[0].holds(number(address)), expected);
        }
    }
}
