use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    grade::Reason,
    report::{Matrix, Slice},
    runner::Fingerprint,
    stats::{Decision, Stability, Tally, wilson},
    trace::{Answer, Trace, Usage},
    view::cdp::Cdp,
};

const SCRIPT: &str = "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'>";
const TURNED: &str = "pay \u{202e}alice\u{202c} now\u{200b}";

fn case(id: &str, verdict: Verdict, passed: u64, trials: u64) -> CaseSummary {
    let tally = Tally { passed, trials };
    let reasons = match verdict {
        Verdict::Pass => Vec::new(),
        _ => vec![Reason::new("missing", "search_hotels", SCRIPT)],
    };
    CaseSummary {
        id: id.to_owned(),
        verdict,
        tally,
        interval: wilson(tally),
        pass_at_3: None,
        pass_all_3: None,
        stability: Stability::Unknown,
        decision: Decision::More,
        before: Some(Tally {
            passed: 2,
            trials: 2,
        }),
        reasons,
        invalid: 0,
        opinions: None,
    }
}

fn summary() -> Summary {
    let mut matrix = Matrix::default();
    for (expected, called, times) in [
        ("search_hotels", "search_hotels", 9),
        ("search_hotels", "confirm_booking_change", 2),
        ("get_hotel", "(none)", 1),
        (
            SCRIPT,
            "a_tool_with_a_very_long_name_that_goes_on_and_on_and_on",
            3,
        ),
    ] {
        (0..times).for_each(|_| matrix.add(expected, called));
    }
    let tag = |cases, passing| Slice { cases, passing };
    Summary {
        suite: "concierge".to_owned(),
        model: format!("demo {SCRIPT}"),
        verdict: Verdict::Fail,
        passing: wilson(Tally {
            passed: 9,
            trials: 13,
        }),
        usage: Usage::default(),
        cases: vec![
            case("boston-search", Verdict::Pass, 9, 9),
            case("no-browser", Verdict::Invalid, 0, 0),
            case("second-one", Verdict::Fail, 0, 2),
            case("too-dear", Verdict::Inconclusive, 0, 0),
        ],
        slices: BTreeMap::from([
            ("smoke".to_owned(), tag(2, Some(0.5))),
            (SCRIPT.to_owned(), tag(1, None)),
        ]),
        matrix,
        comparison: None,
        judge: None,
    }
}

fn record(case: &str, trial: u64, verdict: Verdict, answer: &str) -> Record {
    let call = Call {
        tool: "search_hotels".to_owned(),
        arguments: Arguments::Json(json!({ "place": "Boston", "note": SCRIPT })),
        answer: Some(Answer {
            text: answer.to_owned(),
            structured: None,
            is_error: verdict == Verdict::Fail,
        }),
    };
    Record {
        case: case.to_owned(),
        trial,
        verdict,
        reasons: Vec::new(),
        judged: Vec::new(),
        fingerprint: Fingerprint::default(),
        trace: Trace {
            turns: vec![Turn {
                asked: format!("Find hotels {TURNED}"),
                steps: vec![Step::Called(call), Step::Said(SCRIPT.to_owned())],
                ..Turn::default()
            }],
            ..Trace::default()
        },
    }
}

fn records() -> Vec<Record> {
    let long = format!("{}{}", SCRIPT, "unbroken".repeat(1_300_000));
    let mut turning = record("second-one", 1, Verdict::Fail, "no rooms");
    let step = turning.trace.turns[0].steps[1].clone();
    turning.trace.turns[0].steps = vec![step; 500];
    vec![
        record("boston-search", 0, Verdict::Pass, "Harbour View"),
        record("second-one", 0, Verdict::Fail, &long),
        turning,
        record("boston-search", 1, Verdict::Pass, "Harbour View"),
    ]
}

fn page() -> String {
    let mut page = Vec::new();
    let again = || Ok(records().into_iter().map(Ok));
    html(&summary(), again, &mut page).expect("a page");
    String::from_utf8(page).expect("text")
}

/// A page in a real browser, at one width.
struct Sheet {
    cdp: Cdp,
    session: String,
    folder: tempfile::TempDir,
}

impl Sheet {
    async fn open(width: u32, scheme: &str) -> Option<Self> {
        let wanted = std::env::var_os("AIRSIDE_CHROMIUM").map(PathBuf::from);
        let found = wanted.or_else(crate::view::installed);
        let Some(browser) = found else {
            assert!(std::env::var_os("CI").is_none(), "there is no browser");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("report.html");
        std::fs::write(&file, page()).expect("a file");
        let mut cdp = Cdp::launch(&browser, folder.path(), true).expect("a browser");
        let target = json!({ "url": "about:blank" });
        let target = cdp
            .send(None, "Target.createTarget", target)
            .await
            .expect("a tab");
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = cdp
            .send(None, "Target.attachToTarget", attach)
            .await
            .expect("a session");
        let session = attached["sessionId"].as_str().expect("its name").to_owned();
        let mut sheet = Self {
            cdp,
            session,
            folder,
        };
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        let address = json!({ "url": format!("file://{}", file.display()) });
        for (method, params) in [
            ("Emulation.setDeviceMetricsOverride", size),
            ("Emulation.setEmulatedMedia", scheme),
            ("Page.enable", json!({})),
            ("Page.navigate", address),
        ] {
            sheet.ask(method, params).await;
        }
        loop {
            let event = sheet
                .cdp
                .event(Duration::from_secs(30))
                .await
                .expect("a browser");
            let event = event.expect("the page loads");
            if event["method"] == "Page.loadEventFired" {
                break;
            }
        }
        Some(sheet)
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let session = self.session.clone();
        let answer = self.cdp.send(Some(&session), method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Evaluates in the page. Its own policy forbids only its own scripts.
    async fn is(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let mut done = self.ask("Runtime.evaluate", asked).await;
        assert_eq!(done.get("exceptionDetails"), None, "{expression}");
        done["result"]["value"].take()
    }

    async fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            self.ask("Input.dispatchKeyEvent", event).await;
        }
    }
}

#[test]
fn what_did_not_pass_comes_first_and_only_so_much_of_a_text_is_there() {
    let page = page();
    assert!(page.len() < 400_000, "{}", page.len());
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    let order = [
        "case-second-one",
        "case-no-browser",
        "case-too-dear",
        "case-boston-search",
    ];
    assert!(order.map(at).is_sorted());
    assert!(at("id=\"talk-second-one-1\"") < at("id=\"talk-boston-search-0\""));
    let all = SCRIPT.len() + 8 * 1_300_000;
    assert!(page.contains(&format!("4000 of {all} bytes")));
    assert!(page.contains("300 more steps"));
    for hidden in ['\u{202e}', '\u{202c}', '\u{200b}'] {
        assert!(!page.contains(hidden), "{hidden:?}");
    }
    assert!(!page.contains("<script") && !page.contains("<img"));
}

#[tokio::test]
async fn a_report_fits_phones_and_desks_and_runs_nothing() {
    let mut backs = Vec::new();
    for (width, scheme) in [
        (360, "light"),
        (1280, "light"),
        (360, "dark"),
        (1280, "dark"),
    ] {
        let Some(mut sheet) = Sheet::open(width, scheme).await else {
            return;
        };
        let wide = sheet
            .is("document.documentElement.scrollWidth - innerWidth")
            .await;
        assert!(
            wide.as_i64().is_some_and(|more| more <= 0),
            "{width}: {wide} too wide"
        );
        let ran = "[window.hit ?? 0, document.scripts.length, document.images.length].join()";
        assert_eq!(sheet.is(ran).await, "0,0,0");
        let first = "(() => { const d = document.querySelector('details'); return `${d.open} ${d.dataset.of}`; })()";
        assert_eq!(sheet.is(first).await, "true fail");
        let seen = "document.querySelector('.verdict strong').getBoundingClientRect().bottom < innerHeight / 2";
        assert_eq!(
            sheet.is(seen).await,
            true,
            "{width}: the verdict is far down"
        );
        let told = "document.body.textContent.includes('U+202E')";
        assert_eq!(sheet.is(told).await, true);
        let dim = r"(() => {
            const light = (c) => { const f = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
                const [r, g, b] = c.match(/\d+/g).map(Number); return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
            const back = light(getComputedStyle(document.body).backgroundColor);
            const of = (e) => { const one = light(getComputedStyle(e).color); return (Math.max(one, back) + .05) / (Math.min(one, back) + .05); };
            return Math.min(...[...document.querySelectorAll('.verdict, .dim, a, td, th, .who, summary strong')].map(of));
        })()";
        let contrast = sheet.is(dim).await;
        assert!(
            contrast.as_f64().is_some_and(|least| least >= 4.5),
            "{scheme}: {contrast}"
        );
        backs.push(
            sheet
                .is("getComputedStyle(document.body).backgroundColor")
                .await,
        );
        assert!(sheet.folder.path().exists());
    }
    assert_ne!(backs[0], backs[2], "there is a dark page");
}

#[tokio::test]
async fn a_report_is_used_with_the_keyboard() {
    let Some(mut sheet) = Sheet::open(1280, "light").await else {
        return;
    };
    let rows = "[...document.querySelectorAll('[data-of]')].filter((e) => e.checkVisibility()).map((e) => e.dataset.of).join(' ')";
    let all = "fail invalid inconclusive pass fail fail pass pass";
    assert_eq!(sheet.is(rows).await, all);
    sheet.press("Tab", 9).await;
    assert_eq!(sheet.is("document.activeElement.id").await, "show-all");
    sheet.press("ArrowRight", 39).await;
    assert_eq!(sheet.is("document.activeElement.id").await, "show-fail");
    assert_eq!(sheet.is(rows).await, "fail fail fail");
    // From a case to its conversation, which opens.
    let open = "document.querySelector('#talk-second-one-1').closest('details').open";
    assert_eq!(sheet.is(open).await, false);
    let address = "document.querySelector('#case-second-one a').getAttribute('href')";
    assert_eq!(sheet.is(address).await, "#talk-second-one-0");
    sheet.is("location.hash = '#talk-second-one-1'").await;
    assert_eq!(
        sheet.is(open).await,
        true,
        "an address leads into a conversation"
    );
}
