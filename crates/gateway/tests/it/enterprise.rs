//! People of an enterprise: its own provider vouches for them to the authorization
//! server of the gateway (ID-JAG), and the entry shows for whom and through whom.

use std::sync::Arc;

use airside_base::{Clock, Supervisor, SystemClock, TenantId};
use airside_testkit::idp::{
    Idp,
    foreign::{Answer, basic, send},
};
use http::Method;
use serde_json::json;

use crate::harness::{House, Reply, Setup, call, headers};

const HERE: &str = "https://mcp.example.com/mcp";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

struct Desk {
    house: House,
    /// Where people of the enterprise sign in.
    enterprise: Idp,
    /// The authorization server whose tokens the gateway takes.
    server: Idp,
    /// Secrets of the client at both.
    secrets: [String; 2],
    _tasks: Supervisor,
}

impl Desk {
    async fn open() -> Self {
        let (tasks, clock): (_, Arc<dyn Clock>) = (Supervisor::new(), Arc::new(SystemClock::new()));
        let enterprise = Idp::start(&tasks, clock.clone()).await;
        let server = Idp::start(&tasks, clock).await;
        server.trust(&enterprise);
        let secrets = [enterprise.register("portal"), server.register("portal")];
        let identity = json!({
            "resource": {"url": "https://mcp.example.com"},
            "issuer": [{
                "name": "corp", "url": server.issuer(),
                "tenant-claim": "org_id", "tenants": {"O-17": "acme"},
            }],
            "scope": [{"name": "mcp", "methods": ["*"]}],
        });
        let setup = Setup {
            anonymous: false,
            identity: serde_json::from_value(identity).unwrap(),
            ..Setup::default()
        };
        Self {
            house: House::with(setup).await,
            enterprise,
            server,
            secrets,
            _tasks: tasks,
        }
    }

    /// Exchanges what the client has of the sign-in for the enterprise's word.
    async fn attest(&self, signed_in: &str, audience: &str) -> Answer {
        let form = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("requested_token_type", ID_JAG),
            ("audience", audience),
            ("resource", HERE),
            ("scope", "mcp"),
            ("subject_token", signed_in),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:id_token",
            ),
        ];
        let authorization = basic("portal", &self.secrets[0]);
        let fields = [("authorization", authorization.as_str())];
        let url = format!("{}/token", self.enterprise.issuer());
        send(Method::POST, &url, &fields, Some(&form)).await
    }

    /// Redeems the enterprise's word for an access token.
    async fn redeem(&self, word: &str) -> Answer {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", word),
        ];
        let authorization = basic("portal", &self.secrets[1]);
        let fields = [("authorization", authorization.as_str())];
        let url = format!("{}/token", self.server.issuer());
        send(Method::POST, &url, &fields, Some(&form)).await
    }

    /// Returns the enterprise's word for Ann of `organisation`, on whose behalf a
    /// concierge asked.
    async fn word(&self, organisation: &str) -> String {
        let more = json!({"org_id": organisation, "act": {"sub": "concierge"}});
        let signed_in = self.enterprise.id_token("portal", more);
        let answer = self.attest(&signed_in, &self.server.issuer()).await;
        let json = answer.json();
        assert_eq!(
            (&json["issued_token_type"], &json["token_type"]),
            (&json!(ID_JAG), &json!("N_A"))
        );
        answer.token()
    }

    async fn call(&self, token: &str) -> Reply {
        let authorization = format!("Bearer {token}");
        let mut fields = headers("tools/call", "search");
        fields.push(("authorization", &authorization));
        self.house.post(&fields, call("search")).await
    }
}

#[tokio::test]
async fn entry_names_tenant_and_everybody_through_whom_the_call_came() {
    let desk = Desk::open().await;
    let token = desk.redeem(&desk.word("O-17").await).await.token();
    assert_eq!(desk.call(&token).await.verdict(), "200 0 -");
    // In the chain of the tenant, not in that of the installation.
    let acme: TenantId = "acme".parse().unwrap();
    let entries = desk.house.entries_of(acme, 1).await;
    let (kind, entry) = &entries[0];
    assert_eq!(kind, "call.completed");
    let identity = &entry["identity"];
    assert_eq!(identity["issuer"], desk.server.issuer());
    assert_eq!(identity["client"], "portal");
    assert_eq!(identity["actors"], json!(["portal", "concierge"]));
    assert_eq!(entry["subject"]["caller"]["attestation"], "oauth");
    // The person by a name that says nothing elsewhere.
    assert!(
        identity["subject"].is_string() && !entry.to_string().contains("ann"),
        "{entry}"
    );
    // An organisation that nobody has set up has no chain.
    let foreign = desk.redeem(&desk.word("O-18").await).await.token();
    assert_eq!(desk.call(&foreign).await.verdict(), "401 40100 ID-028");
}

#[tokio::test]
async fn word_of_an_enterprise_is_no_access_token_and_good_once_for_whom_it_is_for() {
    let desk = Desk::open().await;
    let word = desk.word("O-17").await;
    // Of an issuer that the gateway does not know; with its key it would be the wrong type.
    assert_eq!(desk.call(&word).await.verdict(), "401 40100 ID-023");
    let claims = json!({
        "iss": desk.server.issuer(), "aud": HERE, "sub": "ann", "client_id": "portal",
        "exp": 9_999_999_999_i64,
    });
    let posing = desk
        .server
        .sign(&json!({"typ": "oauth-id-jag+jwt"}), &claims);
    assert_eq!(desk.call(&posing).await.verdict(), "401 40100 ID-022");

    let refused = |answer: &Answer| answer.json()["error"].clone();
    assert!(desk.redeem(&word).await.json()["access_token"].is_string());
    assert_eq!(refused(&desk.redeem(&word).await), "invalid_grant");
    let signed_in = desk.enterprise.id_token("portal", json!({}));
    let elsewhere = desk.attest(&signed_in, "https://other.example").await;
    let elsewhere = desk.redeem(&elsewhere.token()).await;
    assert_eq!(refused(&elsewhere), "invalid_grant");
    // An ID token of another client, or of nobody, is worth nothing.
    let others = desk.enterprise.id_token("other", json!({}));
    let others = desk.attest(&others, &desk.server.issuer()).await;
    assert_eq!(refused(&others), "invalid_grant");
    let forged = desk
        .server
        .id_token("portal", json!({"iss": desk.enterprise.issuer()}));
    let forged = desk.attest(&forged, &desk.server.issuer()).await;
    assert_eq!(refused(&forged), "invalid_grant");
}
