//! Callers without credentials: by signature and by address.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use airside_base::{Clock as _, OnFailure, Supervisor, SystemClock, TenantId, VirtualClock};
use airside_identity::{AgentConfig, IpRangeConfig};
use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch};
use url::Url;

use crate::harness::{House, Reply, Setup, call, headers, within};

/// A server that publishes one document at every path.
struct Press {
    url: Url,
    document: Arc<Mutex<String>>,
    /// How often it was asked.
    asked: watch::Sender<usize>,
    _tasks: Supervisor,
}

impl Press {
    async fn print(document: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tasks, document) = (Supervisor::new(), Arc::new(Mutex::new(document)));
        let (connections, printed) = (tasks.clone(), document.clone());
        let asked = watch::Sender::new(0);
        let count = asked.clone();
        tasks.spawn("press", OnFailure::Log, async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (document, count) = (document.clone(), count.clone());
                let service = service_fn(move |_: Request<Incoming>| {
                    let document = document.lock().unwrap().clone();
                    count.send_modify(|asked| *asked += 1);
                    let body = Full::new(Bytes::from(document));
                    async move { Ok::<_, Infallible>(Response::new(body)) }
                });
                let serving = server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn("connection", OnFailure::Log, async move {
                    let _ = serving.await;
                });
            }
        });
        Self {
            url: format!("http://{address}").parse().unwrap(),
            document: printed,
            asked,
            _tasks: tasks,
        }
    }

    /// Publishes another document from now on.
    fn reprint(&self, document: &str) {
        document.clone_into(&mut self.document.lock().unwrap());
    }

    async fn asked(&self, times: usize) {
        let mut asked = self.asked.subscribe();
        within(asked.wait_for(|asked| *asked >= times))
            .await
            .unwrap();
    }
}

/// An agent that publishes its key and signs.
pub(crate) struct Agent {
    pair: Ed25519KeyPair,
    keyid: String,
    press: Press,
}

impl Agent {
    pub(crate) async fn new() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let keyid = URL_SAFE_NO_PAD.encode(sha256(canonical.as_bytes()));
        let press = Press::print(format!(r#"{{"keys":[{canonical}]}}"#)).await;
        Self { pair, keyid, press }
    }

    async fn house(&self) -> House {
        let mut setup = Setup {
            anonymous: false,
            ..Setup::default()
        };
        setup.identity.agent = vec![AgentConfig {
            name: "shopper".to_owned(),
            url: self.press.url.clone(),
            internal: false,
            tenant: TenantId::default(),
            groups: vec![],
        }];
        House::with(setup).await
    }

    /// Returns where it publishes its key.
    pub(crate) const fn url(&self) -> &Url {
        &self.press.url
    }

    /// Returns the fields with which it signs a call of `body` to `host`.
    pub(crate) fn sign(&self, host: &str, nonce: &str, body: &str) -> Vec<(&'static str, String)> {
        let created = SystemClock::new().now().as_second();
        let agent = self.press.url.origin().ascii_serialization();
        let body_digest = format!("sha-256=:{}:", STANDARD.encode(sha256(body.as_bytes())));
        let covered = r#"("@authority" "@method" "content-digest" "signature-agent";key="a")"#;
        let params = format!(
            r#"{covered};created={created};expires={};keyid="{}";alg="ed25519";nonce="{nonce}";tag="web-bot-auth""#,
            created + 60,
            self.keyid
        );
        let base = format!(
            "\"@authority\": {host}\n\"@method\": POST\n\"content-digest\": {body_digest}\n\
             \"signature-agent\";key=\"a\": \"{agent}\"\n\"@signature-params\": {params}"
        );
        let signature = STANDARD.encode(self.pair.sign(base.as_bytes()));
        vec![
            ("content-digest", body_digest),
            ("signature-agent", format!("a=\"{agent}\"")),
            ("signature-input", format!("s={params}")),
            ("signature", format!("s=:{signature}:")),
        ]
    }

    /// Signs a call with `body` and sends `sent` instead.
    async fn call(&self, house: &House, nonce: &str, body: &str, sent: &str) -> Reply {
        let host = house.address.to_string();
        let signed = self.sign(&host, nonce, body);
        let mut fields = headers("tools/call", "search");
        fields.push(("host", &host));
        fields.extend(signed.iter().map(|(name, value)| (*name, value.as_str())));
        house.post(&fields, sent.to_owned()).await
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

#[tokio::test]
async fn agent_calls_with_its_signature() {
    let agent = Agent::new().await;
    let house = agent.house().await;
    let body = call("search");
    let reply = agent.call(&house, "n1", &body, &body).await;
    assert_eq!(reply.verdict(), "200 0 -");
    let (_, entry) = &house.entries(1).await[0];
    let caller = &entry["subject"]["caller"];
    assert_eq!(caller["kind"], "signed_agent");
    assert_eq!(caller["id"], "shopper");
    assert_eq!(caller["attestation"], "http_signature");
    let evidence = entry["identity"]["evidence"].to_string();
    assert!(
        evidence.contains("ed25519") && evidence.contains(&agent.keyid),
        "{entry}"
    );

    let again = agent.call(&house, "n1", &body, &body).await;
    assert_eq!(again.verdict(), "401 40100 ID-059");
    // The digest is good, the body another one: found out when it is there.
    let other = body.replace("search", "book");
    let changed = agent.call(&house, "n2", &body, &other).await;
    assert_eq!(changed.verdict(), "401 40100 ID-020");
    assert_eq!(house.upstream.calls().len(), 1);
    assert_eq!(house.call("search").await.verdict(), "401 40100 ID-001");
}

#[tokio::test]
async fn stranger_with_a_key_of_its_own_is_nobody() {
    let (agent, stranger) = (Agent::new().await, Agent::new().await);
    let house = agent.house().await;
    let body = call("search");
    let reply = stranger.call(&house, "n1", &body, &body).await;
    assert_eq!(reply.verdict(), "401 40100 ID-060");
}

#[tokio::test]
async fn published_addresses_let_a_platform_in_and_are_on_record() {
    let press = Press::print(r#"{"prefixes":[{"ipv4Prefix":"127.0.0.0/8"}]}"#.to_owned()).await;
    let time = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
    let mut setup = Setup {
        anonymous: false,
        clock: Arc::new(time.clone()),
        ..Setup::default()
    };
    setup.identity.ip_range = vec![IpRangeConfig {
        name: "platform".to_owned(),
        addresses: vec![],
        url: Some(press.url.clone()),
        refresh_s: 3600,
        internal: false,
        tenant: TenantId::default(),
        groups: vec![],
    }];
    let house = House::with(setup).await;
    let (kind, entry) = &house.entries(1).await[0];
    assert_eq!(kind, "identity.ranges_changed");
    assert_eq!(entry["added"], serde_json::json!(["127.0.0.0/8"]));
    assert_eq!(house.call("search").await.verdict(), "200 0 -");
    let (_, entry) = &house.entries(2).await[1];
    assert_eq!(entry["subject"]["caller"]["attestation"], "ip_range");

    // A list that is none: the last good one stays in use, and nothing has changed.
    press.reprint("<html>we are moving</html>");
    time.advance(Duration::from_secs(3600));
    press.asked(2).await;
    assert_eq!(house.call("search").await.verdict(), "200 0 -");
    let kinds = |entries: Vec<(String, _)>| -> Vec<String> {
        entries.into_iter().map(|(kind, _)| kind).collect()
    };
    assert_eq!(kinds(house.entries(3).await)[2], "call.completed");

    // The platform moves: whoever calls from where it was is somebody else by now.
    press.reprint(r#"{"prefixes":[{"ipv4Prefix":"52.230.152.0/24"}]}"#);
    let entry = within(async {
        loop {
            time.advance(Duration::from_secs(60));
            let head = house.ledger.head(&TenantId::default()).await.unwrap();
            if head.seq >= 4 {
                break house.entries(4).await.remove(3);
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(entry.0, "identity.ranges_changed");
    assert_eq!(entry.1["removed"], serde_json::json!(["127.0.0.0/8"]));
    assert_eq!(entry.1["added"], serde_json::json!(["52.230.152.0/24"]));
    assert_eq!(house.call("search").await.verdict(), "401 40100 ID-001");
}
