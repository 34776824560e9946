//! Callers with tokens, and the gateway's own credentials, through the binary.

use std::{path::Path, sync::Arc};

use airside_base::{Clock, Supervisor, SystemClock};
use airside_testkit::{
    fixture::{self, Answers},
    harness::Node,
    idp::{
        Idp,
        foreign::{basic, send},
    },
};
use http::Method;
use serde_json::{Value, json};

use crate::run::{BINARY, Place};

const HERE: &str = "https://mcp.example.com/mcp";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

async fn provider(tasks: &Supervisor) -> Idp {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Idp::start(tasks, clock).await
}

/// Asks the provider for what `form` describes, as `portal`.
async fn ask(idp: &Idp, secret: &str, form: &[(&str, &str)]) -> String {
    let authorization = basic("portal", secret);
    let fields = [("authorization", authorization.as_str())];
    let url = format!("{}/token", idp.issuer());
    send(Method::POST, &url, &fields, Some(form)).await.token()
}

/// Serves `config` and logs everything there is to log.
fn serve(place: &Place, config: &str) -> Node {
    let listen = "data-dir = \"data\"\n[listen]\naddress = \"127.0.0.1:0\"\n";
    let file = place.write("airside.toml", &format!("{listen}{config}"));
    let file = file.to_str().expect("the path is UTF-8");
    let arguments = ["serve", "--config", file, "--log-level", "trace"];
    Node::start(Path::new(BINARY), &arguments, &place.log()).expect("the node starts")
}

fn call(place: &Place, tool: &str, key: &str) -> String {
    let file = place.write("shown", key);
    let file = file.to_str().expect("the path is UTF-8");
    let data = place.data();
    place
        .run(&["call", tool, "--data-dir", &data, "--key-file", file])
        .ok()
}

/// The entries of a tenant.
fn entries(place: &Place, tenant: &str) -> Vec<Value> {
    let data = place.data();
    let arguments = ["ledger", "tail", "--json", "-n", "100", "--tenant", tenant];
    let printed = place.run(&[&arguments[..], &["--data-dir", &data]].concat());
    let lines = printed.ok();
    let read = |line: &str| serde_json::from_str(line).expect("an entry is JSON");
    lines.lines().map(read).collect()
}

/// Everything that the node has printed and written, as one text.
fn left_behind(place: &Place) -> String {
    let mut all = std::fs::read(place.log()).expect("there is a log");
    for file in std::fs::read_dir(place.data()).expect("there is a ledger") {
        let path = file.expect("the folder can be read").path();
        if path.is_file() {
            all.extend(std::fs::read(path).expect("the file can be read"));
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_about_a_call_names_tenant_and_everybody_through_whom_it_came() {
    let (place, tasks) = (Place::new(), Supervisor::new());
    let (enterprise, server) = (provider(&tasks).await, provider(&tasks).await);
    server.trust(&enterprise);
    let secrets = [enterprise.register("portal"), server.register("portal")];
    let act = json!({"org_id": "O-17", "act": {"sub": "concierge"}});
    let signed_in = enterprise.id_token("portal", act);
    let exchange = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("requested_token_type", ID_JAG),
        ("audience", &server.issuer()),
        ("resource", HERE),
        ("scope", "mcp"),
        ("subject_token", &signed_in),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:id_token",
        ),
    ];
    let word = ask(&enterprise, &secrets[0], &exchange).await;
    let bearer = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", &word),
    ];
    let token = ask(&server, &secrets[1], &bearer).await;

    let config = format!(
        "[identity.resource]\nurl = \"https://mcp.example.com\"\n\
         [[identity.issuer]]\nname = \"corp\"\nurl = \"{}\"\ntenant-claim = \"org_id\"\n\
         tenants = {{ O-17 = \"acme\" }}\n\
         [[identity.scope]]\nname = \"mcp\"\nmethods = [\"*\"]\n\
         [[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\
         [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n",
        server.issuer()
    );
    let node = serve(&place, &config);
    let file = place.write("shown", &token);
    let (data, file) = (place.data(), file.to_str().expect("the path is UTF-8"));
    let search = ["call", "search_hotels", "place=Boston", "--data-dir", &data];
    place
        .run(&[&search[..], &["--key-file", file]].concat())
        .ok();
    node.terminate().expect("it stops");

    let entries = entries(&place, "acme");
    let entry = entries
        .iter()
        .find(|entry| {
            entry["kind"] == "call.completed" && entry["body"]["subject"]["method"] == "tools/call"
        })
        .expect("the call is in the chain of the tenant");
    let id = entry["body"]["subject"]["call"].as_str().expect("an id");
    let page = place.run(&[
        "explain",
        "call",
        id,
        "--tenant",
        "acme",
        "--data-dir",
        &data,
    ]);
    let page = page.ok();
    let issuer = format!("issuer {}", server.issuer());
    for line in [
        "caller     token/corp/portal#",
        "tenant     acme",
        &issuer,
        "client portal",
        "actors portal, concierge",
        "scopes mcp",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    let left = left_behind(&place);
    for secret in [&token, &word, &signed_in] {
        assert!(!left.contains(secret.as_str()), "a token was kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_neither_logged_nor_recorded() {
    let (place, tasks) = (Place::new(), Supervisor::new());
    let idp = provider(&tasks).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a port is free");
    let server = fixture::serve(listener, &tasks, Answers::Json).expect("the server starts");
    let client = idp.register("airside");
    let secret = "of-the-gateway-7f3a9c41";
    place.write("fixed.key", secret);
    place.write("client.secret", &client);
    let key = place
        .run(&["key", "new", "--name", "desk", "--json"])
        .json();
    let text = |name: &str| key[name].as_str().expect("a text").to_owned();
    let (shown, block) = (text("key"), text("toml"));
    let config = format!(
        "{block}\n\
         [[upstream]]\nname = \"fixed\"\nurl = \"http://{server}/mcp\"\n\
         [upstream.auth.secret]\nfile = \"fixed.key\"\n\
         [[upstream]]\nname = \"asked\"\nurl = \"http://{server}/mcp\"\n\
         [upstream.auth.token]\nurl = \"{}/token\"\nclient-id = \"airside\"\n\
         client-secret-file = \"client.secret\"\n\
         [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"fixed\", \"asked\"]\n",
        idp.issuer()
    );
    let node = serve(&place, &config);
    for tool in ["fixed_test_simple_text", "asked_test_simple_text"] {
        let answer = call(&place, tool, &shown);
        assert!(answer.contains("simple text"), "{answer}");
    }
    // What is not accepted is not told either.
    let wrong = "airside_0123456789012345678901234567890123456789012";
    let file = place.write("shown", wrong);
    let (data, file) = (place.data(), file.to_str().expect("the path is UTF-8"));
    let refused = place.run(&["tools", "--data-dir", &data, "--key-file", file]);
    assert_ne!(refused.code, Some(0));
    node.terminate().expect("it stops");

    let completed = entries(&place, "default");
    let completed = completed
        .iter()
        .filter(|entry| entry["kind"] == "call.completed")
        .filter(|entry| entry["body"]["subject"]["method"] == "tools/call")
        .count();
    assert_eq!(completed, 2);
    let left = left_behind(&place);
    // Tokens of the provider begin like this, whatever they say.
    for secret in [secret, &client, &shown, wrong, "eyJ"] {
        assert!(!left.contains(secret), "{secret} was kept");
    }
}
