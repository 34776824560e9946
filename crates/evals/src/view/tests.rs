use airside_base::SystemClock;

use super::*;

#[test]
fn names_are_told_with_stars_and_without_case() {
    for (name, text, fits) in [
        ("", "anything", true),
        ("Book", "book", true),
        ("Book", "Book it", false),
        ("Book*", "Book for 200 USD", true),
        ("*rooms of*", "See rooms of Hotel", true),
        ("*dates", "Change the dates", true),
        ("*dates", "dates change", false),
        ("a*a", "a", false),
    ] {
        assert_eq!(pattern(name).unwrap().is_match(text), fits, "{name} {text}");
    }
}

#[test]
fn what_a_server_declares_cannot_leave_its_place_in_the_policy() {
    let csp = json!({
        "connectDomains": ["https://api.example.com", "https://x; script-src *", "http://plain.example"],
        "resourceDomains": ["https://*.cdn.example", "\"><script>"],
    });
    let policy = policy(&csp);
    assert!(
        policy.contains("connect-src https://api.example.com;"),
        "{policy}"
    );
    assert!(
        !policy.contains('"') && !policy.contains("script-src *"),
        "{policy}"
    );
    assert!(is_of("https://a.cdn.example/x", "https://*.cdn.example"));
    assert!(!is_of(
        "https://cdn.example.evil/x",
        "https://*.cdn.example"
    ));
    assert!(!is_of(
        "https://api.example.com.evil/",
        "https://api.example.com"
    ));
    assert!(!is_of("file:///etc/passwd", ""));
}

/// Answers every call with its name.
struct Echo(std::sync::Mutex<Vec<String>>);

impl Bridge for Echo {
    fn call<'a>(&'a self, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Value, String>> {
        self.0.lock().unwrap().push(format!("{tool} {arguments}"));
        Box::pin(async move { Ok(json!({ "content": [{ "type": "text", "text": tool }] })) })
    }
}

/// A view that says hello, calls a tool on a click, and tries what it must not do.
const VIEW: &str = r#"<!doctype html><html><head><title>v</title></head><body>
<h1 id=h>Loading</h1><label>Name <input id=n></label><button id=b>Choose room</button>
<script>
const open = new Map(); let next = 1;
const send = (m) => parent.postMessage({ jsonrpc: "2.0", ...m }, "*");
const ask = (method, params) => new Promise((done) => { open.set(next, done); send({ id: next++, method, params }); });
addEventListener("message", ({ data }) => {
  if (data.method === "ui/notifications/tool-result") h.textContent = data.params.hello;
  else open.get(data.id)?.(data);
});
ask("ui/initialize", {}).then(() => send({ method: "ui/notifications/initialized" }));
b.onclick = async () => {
  const { result } = await ask("tools/call", { name: "choose", arguments: { who: n.value } });
  h.textContent = `chose ${result.content[0].text}`;
};
TRY
</script></body></html>"#;

async fn visit(attempt: &str, deeds: &[Deed]) -> Option<(Observed, Vec<String>)> {
    let wanted = std::env::var_os("AIRSIDE_CHROMIUM").map(PathBuf::from);
    let Some(browser) = Browser::find(wanted.as_deref(), true) else {
        assert!(std::env::var_os("CI").is_none(), "there is no browser");
        return None;
    };
    let page = Page {
        html: VIEW.replace("TRY", attempt),
        csp: json!({}),
        tool: json!({ "name": "search" }),
        input: json!({}),
        result: json!({ "hello": "Hotels in Boston" }),
        picture: None,
    };
    let echo = Echo(std::sync::Mutex::default());
    let seen = browser
        .visit(&page, deeds, &echo, &SystemClock::new())
        .await;
    Some((seen.unwrap(), echo.0.into_inner().unwrap()))
}

fn locator(role: &str, name: &str) -> Locator {
    Locator {
        role: role.to_owned(),
        name: name.to_owned(),
    }
}

#[tokio::test]
async fn a_view_is_used_by_role_and_name_and_its_calls_are_carried_out() {
    let deeds = [
        Deed::See(locator("heading", "Hotels in*")),
        Deed::Fill(Fill {
            name: "Name*".to_owned(),
            text: "Ada".to_owned(),
        }),
        Deed::Click(locator("button", "Choose*")),
        Deed::See(locator("heading", "chose choose")),
    ];
    let Some((seen, calls)) = visit("", &deeds).await else {
        return;
    };
    assert_eq!(seen, Observed::default());
    assert_eq!(calls, [r#"choose {"who":"Ada"}"#]);
}

#[tokio::test]
async fn what_a_view_must_not_do_is_stopped_and_noted() {
    let attempt = "try { airsideHost(JSON.stringify({ id: 1, name: 'steal', arguments: {} })); } catch {} \
        fetch('https://evil.example/x').catch(() => {}); new Image().src = 'https://evil.example/y'; \
        try { parent.document; } catch { h.title = 'kept apart'; }";
    let deeds = [Deed::See(locator("heading", "Hotels in*"))];
    let Some((seen, calls)) = visit(attempt, &deeds).await else {
        return;
    };
    assert_eq!(calls, Vec::<String>::new());
    assert_eq!(
        seen.requests,
        Vec::<String>::new(),
        "the policy stops them first"
    );
    let said = seen.errors.join("\n");
    assert!(said.contains("https://evil.example/x"), "{said}");
    assert!(said.contains("https://evil.example/y"), "{said}");
}

#[tokio::test]
async fn an_exception_of_a_view_is_noted_and_what_is_not_there_is_named() {
    let deeds = [Deed::See(locator("heading", "Hotels in*"))];
    let Some((seen, _)) = visit(
        "setTimeout(() => { throw new Error('oops') }); missing();",
        &deeds,
    )
    .await
    else {
        return;
    };
    assert!(
        seen.errors.iter().any(|error| error.contains("missing")),
        "{seen:?}"
    );
}
