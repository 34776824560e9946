//! How sure one can be of a caller is in every entry, for each way of arriving.

use std::sync::Arc;

use airside_base::{Clock as _, Supervisor, SystemClock, TenantId};
use airside_gateway::config::ClientCertificates;
use airside_identity::{AgentConfig, ApiKeyConfig, IpRangeConfig, Minted, mint};
use airside_testkit::{
    idp::{Idp, Kind, Signer, proof},
    pki::{Issued, Name},
};
use aws_lc_rs::digest;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::json;

use crate::{
    harness::{House, call, headers, post_over},
    identity::Agent,
    tls_listener::{HOST, Pki},
};

const HERE: &str = "https://mcp.example.com/mcp";

const WORKLOAD: &str = "spiffe://prod.example/ns/booking/sa/batch";

/// A gateway that knows callers of every kind.
struct Desk {
    house: House,
    pki: Pki,
    certificate: Issued,
    agent: Agent,
    idp: Idp,
    /// Of the trust domain.
    workloads: Signer,
    /// Of the client that proves what it has.
    own: Signer,
    key: Minted,
    _folder: tempfile::TempDir,
    _tasks: Supervisor,
}

/// What this machine is to the gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Here {
    Nobody,
    /// In a range that a platform publishes.
    Published,
    /// A proxy that forwards certificates.
    Proxy,
}

/// What is in `Authorization`.
#[derive(Clone, Copy, Default)]
enum Credential {
    #[default]
    Nothing,
    Token,
    /// Good with the certificate only (RFC 8705).
    Bound,
    /// Good with a proof of its key only (RFC 9449).
    Proved,
    /// Looked up at the issuer (RFC 7662).
    Opaque,
    /// Of a SPIFFE workload.
    Workload,
    Key,
}

/// What a request shows.
#[derive(Clone, Copy, Default)]
struct Shown {
    certificate: bool,
    /// The same, in a header (RFC 9440).
    forwarded: bool,
    signature: bool,
    credential: Credential,
}

impl Shown {
    const fn of(credential: Credential) -> Self {
        Self {
            certificate: false,
            forwarded: false,
            signature: false,
            credential,
        }
    }

    const fn certified(self) -> Self {
        Self {
            certificate: true,
            ..self
        }
    }

    const fn signed(self) -> Self {
        Self {
            signature: true,
            ..self
        }
    }
}

const NOTHING: Shown = Shown::of(Credential::Nothing);
const TOKEN: Shown = Shown::of(Credential::Token);
const FORWARDED: Shown = Shown {
    forwarded: true,
    ..NOTHING
};

impl Desk {
    async fn open(here: Here) -> Self {
        let (tasks, folder) = (Supervisor::new(), tempfile::tempdir().unwrap());
        let idp = Idp::start(&tasks, Arc::new(SystemClock::new())).await;
        let (pki, agent, key) = (Pki::new(), Agent::new().await, mint());
        let workloads = Signer::new(Kind::Es256, "workloads");
        let own = Signer::new(Kind::Es256, "own");
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let mut published = workloads.jwk();
        published["use"] = json!("jwt-svid");
        let bundle = file("bundle.json", json!({"keys": [published]}).to_string());
        let secret = file("introspection", idp.register("gateway"));
        let addresses = |wanted| match here == wanted {
            true => vec!["127.0.0.0/8".to_owned()],
            false => vec![],
        };
        let more = json!({
            "resource": {"url": "https://mcp.example.com"},
            "issuer": [{
                "name": "corp", "url": idp.issuer(),
                "introspection": {"client-id": "gateway", "client-secret-file": secret},
            }],
            "trust-domain": [{"name": "prod.example", "bundle-file": bundle}],
            "proxy": match here {
                Here::Proxy => json!({
                    "addresses": addresses(Here::Proxy), "client-certificate": "client-cert",
                }),
                Here::Nobody | Here::Published => json!({}),
            },
        });
        let more: airside_identity::Config = serde_json::from_value(more).unwrap();
        let mut setup = pki.setup(ClientCertificates::Optional);
        setup.anonymous = true;
        setup.identity = airside_identity::Config {
            certificate: setup.identity.certificate,
            ..more
        };
        setup.identity.agent = vec![AgentConfig {
            name: "shopper".to_owned(),
            url: agent.url().clone(),
            internal: false,
            tenant: TenantId::default(),
            groups: vec![],
        }];
        setup.identity.api_key = vec![ApiKeyConfig {
            name: "desk".to_owned(),
            sha256: key.sha256,
            tenant: TenantId::default(),
            groups: vec![],
            not_after: None,
            previous: vec![],
        }];
        let published = IpRangeConfig {
            name: "platform".to_owned(),
            addresses: addresses(Here::Published),
            url: None,
            refresh_s: 3600,
            internal: false,
            tenant: TenantId::default(),
            groups: vec![],
        };
        let published = (here == Here::Published).then_some(published);
        setup.identity.ip_range = published.into_iter().collect();
        let certificate = pki.clients.issue(&[Name::Dns(HOST)]);
        Self {
            house: House::with(setup).await,
            pki,
            certificate,
            agent,
            idp,
            workloads,
            own,
            key,
            _folder: folder,
            _tasks: tasks,
        }
    }

    /// Returns `Authorization` and what goes with it.
    fn fields(&self, credential: Credential) -> Vec<(&'static str, String)> {
        let now = SystemClock::new().now().as_second();
        let shown = match credential {
            Credential::Nothing => return vec![],
            Credential::Token => self.idp.token(HERE, json!({})),
            Credential::Bound => {
                let thumbprint = digest::digest(&digest::SHA256, &self.certificate.der);
                let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(thumbprint);
                let claims = json!({"cnf": {"x5t#S256": thumbprint}});
                self.idp.token(HERE, claims)
            }
            Credential::Proved => {
                let claims = json!({"cnf": {"jkt": self.own.thumbprint()}});
                let token = self.idp.token(HERE, claims);
                let proof = proof(&self.own, HERE, &token, now, json!({}));
                let authorization = format!("DPoP {token}");
                return vec![("authorization", authorization), ("dpop", proof)];
            }
            Credential::Opaque => self.idp.opaque(HERE, json!({})),
            Credential::Workload => {
                let claims = json!({"sub": WORKLOAD, "aud": HERE, "iat": now, "exp": now + 60});
                self.workloads.sign(&json!({"typ": "JWT"}), &claims)
            }
            Credential::Key => self.key.secret.expose().to_string(),
        };
        vec![("authorization", format!("Bearer {shown}"))]
    }

    /// Calls `tool` and returns the status.
    async fn call(&self, tool: &str, shown: Shown, nonce: &str) -> u16 {
        let certificate = shown.certificate.then_some(&self.certificate);
        let stream = self.pki.connect(&self.house, certificate).await.unwrap();
        let (host, body) = (self.house.address.to_string(), call(tool));
        let mut more = self.fields(shown.credential);
        if shown.signature {
            more.extend(self.agent.sign(&host, nonce, &body));
        }
        if shown.forwarded {
            let der = BASE64_STANDARD.encode(&self.certificate.der);
            more.push(("client-cert", format!(":{der}:")));
        }
        let mut fields = headers("tools/call", tool);
        fields.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
        let reply = post_over(stream, &host, &fields, body).await;
        reply.unwrap().status
    }

    /// Calls with each of what is shown, and expects an entry of this kind of caller and
    /// attestation, in this order.
    async fn check(&self, ways: &[(Shown, &str)]) {
        for (number, (shown, expected)) in ways.iter().enumerate() {
            let status = self.call("search", *shown, &format!("n{number}")).await;
            assert_eq!(status, 200, "{expected}");
            let entry = self.last(number + 1).await;
            assert_eq!(entry, format!("call.completed {expected}"));
        }
    }

    /// Returns kind of entry, kind of caller and attestation of the last of `count`
    /// entries about calls.
    async fn last(&self, count: usize) -> String {
        let entries = self.house.entries(count).await;
        let (kind, entry) = &entries[count - 1];
        let caller = &entry["subject"]["caller"];
        let text = |name: &str| caller[name].as_str().unwrap_or("-").to_owned();
        format!("{kind} {} {}", text("kind"), text("attestation"))
    }
}

#[tokio::test]
async fn every_way_of_arriving_is_on_record_with_its_rung() {
    use Credential::{Bound, Key, Opaque, Proved, Workload};
    let of = Shown::of;
    let desk = Desk::open(Here::Published).await;
    // What names the caller, and the strongest of what was proved beside it. From the
    // range it all came.
    desk.check(&[
        (NOTHING.certified(), "certificate mtls"),
        (NOTHING.signed(), "signed_agent http_signature"),
        (TOKEN, "token oauth"),
        (of(Proved), "token oauth"),
        (of(Opaque), "token oauth"),
        (of(Workload), "workload oauth"),
        (of(Key), "api_key api_key"),
        (NOTHING, "ip_range ip_range"),
        // A header of somebody who is no proxy.
        (FORWARDED, "ip_range ip_range"),
        (TOKEN.certified(), "token mtls"),
        (TOKEN.signed(), "token http_signature"),
        (of(Bound).certified(), "token mtls"),
        (of(Workload).certified(), "workload mtls"),
        (of(Key).certified(), "api_key mtls"),
        (NOTHING.certified().signed(), "certificate mtls"),
    ])
    .await;
    // Without its certificate a bound token is no better than a stolen one.
    assert_eq!(desk.call("search", of(Bound), "n").await, 401);

    // Without a range this machine proves nothing.
    let desk = Desk::open(Here::Nobody).await;
    desk.check(&[(NOTHING, "anonymous none"), (TOKEN, "token oauth")])
        .await;

    // What a configured proxy forwards counts as if it had been in the handshake.
    let desk = Desk::open(Here::Proxy).await;
    let token = Shown {
        forwarded: true,
        ..TOKEN
    };
    desk.check(&[(FORWARDED, "certificate mtls"), (token, "token mtls")])
        .await;
    assert_eq!(desk.call("search", NOTHING, "n").await, 401);
}

#[tokio::test]
async fn refusals_and_intentions_carry_the_rung_as_well() {
    let desk = Desk::open(Here::Published).await;
    assert_eq!(desk.call("secret", TOKEN, "n0").await, 403);
    assert_eq!(desk.last(1).await, "call.refused token oauth");
    assert_eq!(desk.call("book", TOKEN.certified(), "n1").await, 200);
    assert_eq!(desk.last(2).await, "call.intended token mtls");
    assert_eq!(desk.last(3).await, "call.completed token mtls");
}
