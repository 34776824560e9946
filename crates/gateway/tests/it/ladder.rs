//! How sure one can be of a caller is in every entry, for each way of arriving.

use std::sync::Arc;

use airside_base::{Supervisor, SystemClock, TenantId};
use airside_gateway::config::ClientCertificates;
use airside_identity::{AgentConfig, ApiKeyConfig, IpRangeConfig, Minted, mint};
use airside_testkit::{
    idp::Idp,
    pki::{Issued, Name},
};
use aws_lc_rs::digest;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{
    harness::{House, call, headers, post_over},
    identity::Agent,
    tls_listener::{HOST, Pki},
};

const HERE: &str = "https://mcp.example.com/mcp";

/// A gateway that knows callers of every kind.
struct Desk {
    house: House,
    pki: Pki,
    certificate: Issued,
    agent: Agent,
    idp: Idp,
    key: Minted,
    _tasks: Supervisor,
}

/// What a request shows.
#[derive(Clone, Copy, Default)]
struct Shown {
    certificate: bool,
    signature: bool,
    token: bool,
    /// The token is good with the certificate only (RFC 8705).
    bound: bool,
    key: bool,
}

impl Desk {
    /// Opens it with or without a published range that covers this machine.
    async fn open(range: bool) -> Self {
        let tasks = Supervisor::new();
        let idp = Idp::start(&tasks, Arc::new(SystemClock::new())).await;
        let (pki, agent, key) = (Pki::new(), Agent::new().await, mint());
        let mut setup = pki.setup(ClientCertificates::Optional);
        setup.anonymous = true;
        let tokens = json!({
            "resource": {"url": "https://mcp.example.com"},
            "issuer": [{"name": "corp", "url": idp.issuer()}],
        });
        let tokens: airside_identity::Config = serde_json::from_value(tokens).unwrap();
        (setup.identity.resource, setup.identity.issuer) = (tokens.resource, tokens.issuer);
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
            addresses: vec!["127.0.0.0/8".to_owned()],
            url: None,
            refresh_s: 3600,
            internal: false,
            tenant: TenantId::default(),
            groups: vec![],
        };
        setup.identity.ip_range = range.then_some(published).into_iter().collect();
        let certificate = pki.clients.issue(&[Name::Dns(HOST)]);
        Self {
            house: House::with(setup).await,
            pki,
            certificate,
            agent,
            idp,
            key,
            _tasks: tasks,
        }
    }

    /// Calls `tool` and returns the status.
    async fn call(&self, tool: &str, shown: Shown, nonce: &str) -> u16 {
        let certificate = shown.certificate.then_some(&self.certificate);
        let stream = self.pki.connect(&self.house, certificate).await.unwrap();
        let (host, body) = (self.house.address.to_string(), call(tool));
        let mut more: Vec<(&str, String)> = Vec::new();
        if shown.signature {
            more = self.agent.sign(&host, nonce, &body);
        }
        if shown.token {
            let thumbprint = digest::digest(&digest::SHA256, &self.certificate.der);
            let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(thumbprint);
            let claims = match shown.bound {
                true => json!({"cnf": {"x5t#S256": thumbprint}}),
                false => json!({}),
            };
            let token = self.idp.token(HERE, claims);
            more.push(("authorization", format!("Bearer {token}")));
        }
        if shown.key {
            let secret = self.key.secret.expose();
            more.push(("authorization", format!("Bearer {secret}")));
        }
        let mut fields = headers("tools/call", tool);
        fields.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
        let reply = post_over(stream, &host, &fields, body).await;
        reply.unwrap().status
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
    let none = Shown::default();
    let certificate = Shown {
        certificate: true,
        ..none
    };
    let signature = Shown {
        signature: true,
        ..none
    };
    let token = Shown {
        token: true,
        ..none
    };
    let key = Shown { key: true, ..none };
    let bound = Shown {
        bound: true,
        ..token
    };
    let desk = Desk::open(true).await;
    // What names the caller, and the strongest of what was proved beside it. From the
    // range it all came.
    for (number, (shown, expected)) in [
        (certificate, "certificate mtls"),
        (signature, "signed_agent http_signature"),
        (token, "token oauth"),
        (key, "api_key api_key"),
        (none, "ip_range ip_range"),
        (
            Shown {
                token: true,
                ..certificate
            },
            "token mtls",
        ),
        (
            Shown {
                token: true,
                ..signature
            },
            "token http_signature",
        ),
        (
            Shown {
                certificate: true,
                ..bound
            },
            "token mtls",
        ),
        (
            Shown {
                key: true,
                ..certificate
            },
            "api_key mtls",
        ),
        (
            Shown {
                signature: true,
                ..certificate
            },
            "certificate mtls",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let status = desk.call("search", shown, &format!("n{number}")).await;
        assert_eq!(status, 200, "{expected}");
        let entry = desk.last(number + 1).await;
        assert_eq!(entry, format!("call.completed {expected}"));
    }
    // Without its certificate a bound token is no better than a stolen one.
    assert_eq!(desk.call("search", bound, "n").await, 401);
    // Without a range this machine proves nothing.
    let desk = Desk::open(false).await;
    assert_eq!(desk.call("search", none, "n0").await, 200);
    assert_eq!(desk.last(1).await, "call.completed anonymous none");
    assert_eq!(desk.call("search", token, "n1").await, 200);
    assert_eq!(desk.last(2).await, "call.completed token oauth");
}

#[tokio::test]
async fn refusals_and_intentions_carry_the_rung_as_well() {
    let desk = Desk::open(true).await;
    let token = Shown {
        token: true,
        ..Shown::default()
    };
    let certificate = Shown {
        certificate: true,
        ..token
    };
    assert_eq!(desk.call("secret", token, "n0").await, 403);
    assert_eq!(desk.last(1).await, "call.refused token oauth");
    assert_eq!(desk.call("book", certificate, "n1").await, 200);
    assert_eq!(desk.last(2).await, "call.intended token mtls");
    assert_eq!(desk.last(3).await, "call.completed token mtls");
}
