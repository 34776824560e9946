use std::path::PathBuf;

use airside_base::BoxFuture;
use serde_json::json;

use super::*;
use crate::{
    suite::{Suite, add_case},
    view::{Fill, Locator, cdp::Cdp, installed},
};

/// Answers every call with its name.
struct Echo;

impl Bridge for Echo {
    fn call<'a>(&'a self, tool: &'a str, _: Value) -> BoxFuture<'a, Result<Value, String>> {
        Box::pin(async move { Ok(json!({ "content": [{ "type": "text", "text": tool }] })) })
    }
}

/// A view with a field, a secret, a box and a button that calls a tool. It also tries to
/// speak to the recorder itself.
const VIEW: &str = r#"<!doctype html><html><body><h1 id=h>Loading</h1>
<label>Name <input id=n></label><label>Pass <input id=p type=password></label>
<label><input id=c type=checkbox> I agree</label><button id=b aria-label="Choose room">x</button>
<script>
const open = new Map(); let next = 1;
const send = (m) => parent.postMessage({ jsonrpc: "2.0", ...m }, "*");
const ask = (method, params) => new Promise((done) => { open.set(next, done); send({ id: next++, method, params }); });
addEventListener("message", ({ data }) => {
  if (data.method === "ui/notifications/tool-result") h.textContent = data.params.hello;
  else open.get(data.id)?.(data);
});
ask("ui/initialize", {}).then(() => send({ method: "ui/notifications/initialized" }));
fetch(new URL("done", document.baseURI), { method: "POST" }).catch(() => {});
b.onclick = async () => {
  const { result } = await ask("tools/call", { name: "choose", arguments: { who: n.value } });
  h.textContent = `chose ${result.content[0].text}`;
};
</script></body></html>"#;

fn page() -> Page {
    Page {
        html: VIEW.to_owned(),
        csp: json!({}),
        tool: json!({ "name": "search", "description": "</script><script>steal()</script>" }),
        input: json!({}),
        result: json!({ "hello": "Hotels" }),
        picture: None,
    }
}

async fn recorder(supervisor: &Supervisor) -> Recorder {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    Recorder::serve(listener, supervisor, &page()).expect("an address")
}

/// A person's browser.
struct Person {
    cdp: Cdp,
    session: String,
    _folder: tempfile::TempDir,
}

impl Person {
    async fn open(address: &str) -> Option<Self> {
        let wanted = std::env::var_os("AIRSIDE_CHROMIUM").map(PathBuf::from);
        let Some(browser) = wanted.or_else(installed) else {
            assert!(std::env::var_os("CI").is_none(), "there is no browser");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let mut cdp = Cdp::launch(&browser, folder.path(), true).expect("a browser");
        let target = json!({ "url": address });
        let target = cdp
            .send(None, "Target.createTarget", target)
            .await
            .expect("a tab");
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = cdp.send(None, "Target.attachToTarget", attach).await;
        let session = attached.expect("a session")["sessionId"]
            .as_str()
            .expect("its name")
            .to_owned();
        Some(Self {
            cdp,
            session,
            _folder: folder,
        })
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let session = self.session.clone();
        let answer = self.cdp.send(Some(&session), method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The middle of what has this role and name, in the page or its frame, once it is
    /// there.
    async fn find(&mut self, role: &str, name: &str) -> (f64, f64) {
        loop {
            let frames = self.ask("Page.getFrameTree", json!({})).await;
            let frames = &frames["frameTree"];
            let all = [
                frames["frame"]["id"].clone(),
                frames["childFrames"][0]["frame"]["id"].clone(),
            ];
            for frame in all.iter().filter(|frame| frame.is_string()) {
                let session = self.session.clone();
                let asked = json!({ "frameId": frame });
                let tree = self
                    .cdp
                    .send(Some(&session), "Accessibility.getFullAXTree", asked)
                    .await;
                let Ok(tree) = tree else { continue };
                let mut nodes = tree["nodes"].as_array().expect("nodes").iter();
                let is =
                    |node: &&Value| node["role"]["value"] == role && node["name"]["value"] == name;
                let Some(node) = nodes.find(is) else { continue };
                let of = json!({ "backendNodeId": node["backendDOMNodeId"] });
                let quads = self
                    .cdp
                    .send(Some(&session), "DOM.getContentQuads", of)
                    .await;
                let Ok(quads) = quads else { continue };
                let corners = &quads["quads"][0];
                let at = |from: usize| corners[from].as_f64().expect("a number");
                return (f64::midpoint(at(0), at(4)), f64::midpoint(at(1), at(5)));
            }
        }
    }

    async fn click(&mut self, role: &str, name: &str) {
        let (x, y) = self.find(role, name).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", event).await;
        }
    }

    async fn fill(&mut self, name: &str, text: &str) {
        self.click("textbox", name).await;
        self.ask("Input.insertText", json!({ "text": text })).await;
    }
}

#[tokio::test]
async fn what_a_person_does_in_a_view_becomes_a_case() {
    let supervisor = Supervisor::new();
    let mut recorder = recorder(&supervisor).await;
    let address = recorder.address().to_owned();
    let Some(mut person) = Person::open(&address).await else {
        return;
    };
    let mut recorded = Recorded::default();
    let deeds = async {
        person.find("heading", "Hotels").await;
        person.fill("Name", "Ada").await;
        person.fill("Pass", "hunter2").await;
        person.click("checkbox", "I agree").await;
        person.click("button", "Choose room").await;
        person.find("heading", "chose choose").await;
        person.click("button", "Done").await;
    };
    tokio::join!(deeds, recorder.record(&Echo, &mut recorded));
    supervisor.stop(std::time::Duration::from_secs(1)).await;
    let locator = |role: &str, name: &str| Locator {
        role: role.to_owned(),
        name: name.to_owned(),
    };
    let fill = Fill {
        name: "Name".to_owned(),
        text: "Ada".to_owned(),
    };
    let expected = [
        Deed::Fill(fill),
        Deed::Click(locator("checkbox", "I agree")),
        Deed::Click(locator("button", "Choose room")),
    ];
    assert_eq!(recorded.deeds, expected);
    assert_eq!(recorded.called, BTreeSet::from(["choose".to_owned()]));
    assert_eq!(recorded.secrets, BTreeSet::from(["Pass".to_owned()]));
    let case = recorded.case("choose", "Find \"hotels\": now", "search");
    assert!(!case.contains("hunter2"), "{case}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.yaml");
    add_case(&file, &case).expect("it is made");
    add_case(&file, &case).expect_err("the id is taken");
    let text = std::fs::read_to_string(&file).expect("a file");
    let suite = Suite::parse(&text).expect("a suite");
    let case = suite.cases.find("choose").expect("the case");
    assert_eq!(case.turns[1].view, expected);
}

#[tokio::test]
async fn only_the_page_itself_is_listened_to() {
    let supervisor = Supervisor::new();
    let recorder = recorder(&supervisor).await;
    let address = recorder.address().to_owned();
    let rest = address.strip_prefix("http://").expect("an address");
    let (host, path) = rest.split_once('/').expect("a path");
    let own = format!("http://{host}");
    let ask = async |request: String| -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = TcpStream::connect(host).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let end = "Connection: close\r\nContent-Length: 2\r\n\r\n{}";
    let post = |host: &str, path: &str, origin: &str| {
        format!("POST /{path}done HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n{end}")
    };
    for (request, status) in [
        (post(host, path, "null"), "403"),
        (post(host, path, "http://evil.example"), "403"),
        (post("evil.example", path, &own), "404"),
        (post(host, "guessed/", &own), "404"),
        (post(host, path, &own), "204"),
        (
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            "200",
        ),
        (
            format!("GET /guessed/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            "404",
        ),
    ] {
        assert_eq!(ask(request.clone()).await, status, "{request}");
    }
    supervisor.stop(std::time::Duration::from_secs(1)).await;
}
