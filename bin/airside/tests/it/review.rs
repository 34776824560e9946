//! Sampling of human review, from plan to statement.

use std::fmt::Write as _;

use airside_base::{Clock as _, SystemClock, Timestamp};
use airside_governance::lot::Identity;
use serde_json::{Value, json};

use crate::run::{Place, Ran};

fn now() -> Timestamp {
    SystemClock::new().now()
}

/// Lots of one installation, with or without a node that runs on it.
struct Office<'a> {
    place: &'a Place,
    data: String,
}

impl Office<'_> {
    fn lot(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["review", "lot"];
        all.extend(arguments);
        all.extend(["--data-dir", &self.data]);
        self.place.run(&all)
    }

    fn report(&self, lot: &str) -> Value {
        self.lot(&["report", lot, "--json"]).json()[0].clone()
    }

    /// Opens a lot that ends at once, and waits for its end by drawing.
    fn drawn(&self, lot: &str, count: usize) {
        let until = now() + std::time::Duration::from_millis(1500);
        let until = until.to_string();
        let open = ["open", lot, "--repository", "hotels", "--until", &until];
        let open = [&open[..], &["--draw-key", "lot.key"]].concat();
        self.lot(&open).ok();
        let mut text = String::new();
        for n in 0..count {
            let change = json!({
                "identity": identity(n),
                "merged": now(),
                "risk": {"score": n % 40},
            });
            writeln!(text, "{change}").expect("it is there");
        }
        self.place.write("changes.jsonl", &text);
        let draw = [
            "draw",
            lot,
            "--draw-key",
            "lot.key",
            "--changes",
            "changes.jsonl",
        ];
        loop {
            let ran = self.lot(&draw);
            if !ran.stderr.contains("takes changes until its end") {
                ran.ok();
                return;
            }
        }
    }

    fn judge(&self, lot: &str, change: &str, words: &[&str]) -> Ran {
        let verdict = ["verdict", lot, change, "--reviewer", "r7", "--minutes", "9"];
        let revision = ["--revision", "4f2a"];
        self.lot(&[&verdict[..], &revision, words].concat())
    }
}

fn identity(n: usize) -> Value {
    json!({"repository": "hotels", "commit": format!("{n:040x}"), "patch": format!("p{n}")})
}

/// Changes are sorted before they are merged: what is not known is reviewed.
fn sorted(office: &Office<'_>) {
    let of = |n: usize, risk: Value| {
        json!({"identity": identity(n), "merged": now(), "risk": risk}).to_string()
    };
    let low = of(500, json!({"score": 3}));
    let high = of(501, json!({"score": 80, "triggers": ["tool"]}));
    let unknown = of(502, Value::Null);
    let sort = |text: &str| {
        office.place.write("pending.jsonl", text);
        let sort = ["sort", "2026-11", "--changes", "pending.jsonl"];
        office.lot(&[&sort[..], &["--fail-mandatory"]].concat())
    };
    assert_eq!(sort(&low).code, Some(0));
    let refused = sort(&format!("{low}\n{high}\n{unknown}\n"));
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("REV-059"), "{refused:?}");
    for part in ["score 80 of 50, tool", "no score", "can be drawn"] {
        assert!(refused.stdout.contains(part), "{part}: {refused:?}");
    }
    let malformed = sort("{}");
    assert!(malformed.stderr.contains("REV-009"), "{malformed:?}");
}

fn procedure(office: &Office<'_>) {
    office.drawn("2026-11", 30);
    sorted(office);
    let drawn = office.report("2026-11");
    assert_eq!(drawn["population"], 30);
    assert_eq!(drawn["statement"], Value::Null);
    assert_eq!(drawn["key"], Value::Null);
    let early = office.lot(&["close", "2026-11", "--draw-key", "lot.key"]);
    assert!(early.stderr.contains("REV-008"), "{early:?}");
    let items = drawn["items"].as_array().expect("it is there");
    let id = |n: usize| items[n]["id"].as_str().expect("it is there");
    let unknown = office.judge("2026-11", id(0), &["--word", "lgtm"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    let bare = office.judge("2026-11", id(0), &["--word", "defect"]);
    assert!(bare.stderr.contains("REV-007"), "{bare:?}");
    let found = [
        "--word",
        "defect",
        "--class",
        "major",
        "--sort",
        "injection",
    ];
    let found = [&found[..], &["--evidence", "a.py:3"]].concat();
    office.judge("2026-11", id(0), &found).ok();
    for n in 1..items.len() {
        office
            .judge("2026-11", id(n), &["--word", "no-defect"])
            .ok();
    }
    let again = office.judge("2026-11", id(1), &["--word", "cannot-tell"]);
    assert!(again.stderr.contains("REV-007"), "{again:?}");
    let report = office
        .lot(&["close", "2026-11", "--draw-key", "lot.key"])
        .ok();
    for part in [
        "With 95 % confidence at most",
        "Not covered:",
        "miss nothing",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let second = office.lot(&["close", "2026-11", "--draw-key", "lot.key"]);
    assert!(second.stderr.contains("REV-008"), "{second:?}");
    let closed = office.report("2026-11");
    assert_eq!(closed["statement"]["counted"], 1);
    let key = std::fs::read_to_string(office.place.path("lot.key")).expect("it is there");
    assert_eq!(closed["key"], key.trim());
    let parsed: Identity = serde_json::from_value(items[0]["change"].clone()).expect("it is there");
    assert_eq!(parsed.id(), id(0));
}

#[test]
fn lot_is_kept_in_the_files_when_no_node_runs() {
    let place = Place::new();
    let data = place.data();
    let absent = place.run(&["review", "lot", "report", "--data-dir", &data]);
    assert_ne!(absent.code, Some(0), "{absent:?}");
    let office = Office {
        place: &place,
        data,
    };
    procedure(&office);
    place
        .run(&["ledger", "verify", "--data-dir", &office.data])
        .ok();
}

#[test]
fn lot_is_kept_by_the_node_that_runs() {
    let place = Place::new();
    let _node = place.up();
    procedure(&Office {
        place: &place,
        data: place.data(),
    });
}

/// Runs git in the folder of `place`.
fn git(place: &Place, arguments: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let status = std::process::Command::new("git")
        .args(identity)
        .args(arguments)
        .current_dir(place.path("."))
        .output()
        .expect("git runs");
    assert!(status.status.success(), "{status:?}");
}

const LONG: &str = "def total(rooms, nights, taxes, board):
    amount = 0
    for room in rooms:
        for night in nights:
            amount = amount + room.rate(night) * room.guests
        if board and room.board != board:
            amount = amount + room.extra(board) * len(nights)
    for tax in taxes:
        if tax.kind == 'percent':
            amount = amount * (100 + tax.value) // 100
        else:
            amount = amount + tax.value * len(nights)
    return amount
";

/// Returns the fingerprint of the exact copy that is reported.
fn copy_in(sarif: &Value) -> Value {
    let results = sarif["runs"][0]["results"].as_array().expect("it is there");
    let copy = results.iter().find(|one| one["ruleId"] == "copy-exact");
    copy.expect("it was found")["partialFingerprints"]["airside/v1"].clone()
}

/// Writes a file below folders of `place` that may not be there.
fn write_below(place: &Place, path: &str, text: &str) {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    std::fs::create_dir_all(place.path(folder)).expect("it can be made");
    place.write(path, text);
}

#[test]
fn change_that_repeats_older_code_is_told_where_it_is() {
    let place = Place::new();
    git(&place, &["init", "-q"]);
    place.write("old.py", LONG);
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    let nothing = place.run(&["review", "--base", "HEAD", "--fail-on", "copies"]);
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    place.write("new.py", &format!("import os\n\n\n{LONG}"));
    let found = place.run(&["review", "--base", "HEAD", "--fail-on", "copies"]);
    assert_eq!(found.code, Some(5), "{found:?}");
    assert!(found.stdout.contains("new.py:4"), "{found:?}");
    assert!(
        found.stdout.contains("old.py:1-13; call it instead"),
        "{found:?}"
    );
    assert!(found.stderr.contains("REV-014"), "{found:?}");
    let sarif = place
        .run(&["review", "--base", "HEAD", "--format", "sarif"])
        .json();
    let print = copy_in(&sarif);
    assert_eq!(print.as_str().map(str::len), Some(64));
    // Lines move, the fingerprint stays.
    place.write("new.py", &format!("import os\nimport sys\n\n\n{LONG}"));
    let sarif = place
        .run(&["review", "--base", "HEAD", "--format", "sarif"])
        .json();
    assert_eq!(copy_in(&sarif), print);
    let unknown = place.run(&["review", "--base", "nowhere"]);
    assert!(unknown.stderr.contains("REV-011"), "{unknown:?}");
}

#[test]
fn what_a_submodule_holds_is_no_part_of_the_change() {
    const WEAK: &str = "import os\n\n\ndef run(name):\n    os.system('ls ' + name)\n";
    let place = Place::new();
    let inner = Place::new();
    git(&inner, &["init", "-q"]);
    inner.write("weak.py", WEAK);
    git(&inner, &["add", "."]);
    git(&inner, &["commit", "-qm", "one"]);
    git(&place, &["init", "-q"]);
    place.write("own.py", "NAME = 'x'\n");
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    let source = inner.path(".").display().to_string();
    let allowed = ["-c", "protocol.file.allow=always"];
    let add = ["submodule", "--quiet", "add", &source, "vendor/inner"];
    git(&place, &[&allowed[..], &add].concat());
    git(&place, &["commit", "-qm", "two"]);
    for base in ["HEAD", "HEAD~1"] {
        let of = place.run(&["review", "--base", base, "--fail-on", "likely"]);
        assert_eq!(of.code, Some(0), "{base}: {of:?}");
    }
    // A folder that only begins with the same name is ours.
    write_below(&place, "vendor/inner2/weak.py", WEAK);
    let of = place.run(&["review", "--base", "HEAD", "--fail-on", "likely"]);
    assert_eq!(of.code, Some(5), "{of:?}");
    assert!(of.stdout.contains("vendor/inner2/weak.py:5"), "{of:?}");
    assert!(!of.stdout.contains("vendor/inner/"), "{of:?}");
}

#[test]
fn function_that_is_nearly_an_older_one_is_named_and_stops_nothing() {
    let place = Place::new();
    git(&place, &["init", "-q"]);
    place.write("old.py", LONG);
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    // Nothing as long as an exact copy has to be is left whole.
    let heads = ["        for night", "    for tax", "        if tax"];
    let near = heads
        .iter()
        .fold(LONG.replace("total", "sum_up"), |text, head| {
            let indent = head.len() - head.trim_start().len();
            text.replace(head, &format!("{}log(amount)\n{head}", &head[..indent]))
        });
    place.write("new.py", &format!("\n\n{near}"));
    let said = "`sum_up` is a near copy of function `total` at old.py:1, 12 of 15 statements alike";
    let review = |arguments: &[&str]| {
        let found = place.run(&[&["review", "--base", "HEAD"][..], arguments].concat());
        assert_eq!(found.code, Some(0), "{found:?}");
        found
    };
    let table = review(&[
        "--only",
        "copies",
        "--fail-on",
        "copies",
        "--fail-on",
        "advice",
    ]);
    assert!(
        table
            .stdout
            .contains(&format!("new.py:3  copy-near  {said}")),
        "{table:?}"
    );
    let json = review(&["--format", "json"]).json();
    let findings = json["findings"].as_array().expect("it is there");
    let near = findings
        .iter()
        .find(|one| one["what"]["rule"] == "copy-near");
    let near = near.expect("it was found");
    assert_eq!(near["what"]["message"], said);
    assert_eq!(near["place"]["to"], 18);
    assert_eq!(near["related"][0]["path"], "old.py");
    let sarif = review(&["--format", "sarif"]).json();
    let results = sarif["runs"][0]["results"].as_array().expect("it is there");
    let near = results.iter().find(|one| one["ruleId"] == "copy-near");
    let near = near.expect("it was found");
    assert_eq!(
        (&near["message"]["text"], &near["level"]),
        (&said.into(), &"note".into())
    );
    let markdown = review(&["--format", "markdown"]).stdout;
    let row = "| advice low | `new.py:3` | `copy-near` | \\`sum\\_up\\` is a near copy of function";
    assert!(markdown.contains(row), "{markdown}");
}

#[test]
fn hostile_files_are_left_out_and_named() {
    let place = Place::new();
    place.write("binary.py", "x = 1\0");
    place.write("min.js", &"a=1;".repeat(10_000));
    place.write("big.py", &"x = 1\n".repeat(500_000));
    place.write("deep.py", &"(\n".repeat(100_000));
    place.write("broken.rs", "fn f( { ] } \"");
    std::os::unix::fs::symlink(".", place.path("loop")).expect("links can be made");
    std::os::unix::fs::symlink("/etc/passwd", place.path("link.py")).expect("links can be made");
    let ran = place.run(&["review"]);
    for part in ["binary.py", "min.js", "big.py", "link.py"] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn value_is_followed_from_the_tool_to_the_shell() {
    let place = Place::new();
    place.write(
        "server.py",
        "from shell import run_line\n\n@mcp.tool()\ndef export(hotel: str, limit: int) -> str:\n    \
         return run_line(f\"export --hotel {hotel} --limit {limit}\")\n",
    );
    place.write(
        "shell.py",
        "import subprocess as sp\n\ndef run_line(line):\n    return sp.run(line, shell=True)\n",
    );
    let found = place.run(&["review"]);
    assert_eq!(found.code, Some(5), "{found:?}");
    let report = place
        .run(&["review", "--fail-on", "none", "--format", "json"])
        .json();
    let finding = &report["findings"][0];
    assert_eq!(finding["what"]["rule"], "python-shell-command");
    assert_eq!(finding["certainty"], "proven");
    let lines: Vec<_> = finding["trace"]
        .as_array()
        .expect("there is a way")
        .iter()
        .map(|step| format!("{}:{}", step["path"].as_str().unwrap_or(""), step["line"]))
        .collect();
    assert_eq!(lines, ["server.py:4", "server.py:5", "shell.py:4"]);
    // The same with arguments of their own and no shell.
    place.write(
        "shell.py",
        "import subprocess as sp\n\ndef run_line(line):\n    return sp.run([\"export\", line])\n",
    );
    assert_eq!(place.run(&["review"]).code, Some(0));
}

#[test]
fn memory_of_earlier_reviews_changes_no_finding() {
    let place = Place::new();
    let tool = "from shell import run_line\n\n@mcp.tool()\ndef export(hotel: str) -> str:\n    \
                return run_line(hotel)\n";
    write_below(&place, "tree/server.py", tool);
    let shell =
        |how: &str| format!("import subprocess as sp\n\ndef run_line(line):\n    return {how}\n");
    let review = |memory: &[&str]| {
        let usual = ["review", "tree", "--fail-on", "none", "--format", "json"];
        place.run(&[&usual[..], memory].concat())
    };
    let remembered = ["--memory", "kept"];
    for how in [
        "sp.run(line, shell=True)",
        "sp.run([line])",
        "sp.run(line, shell=True)",
    ] {
        write_below(&place, "tree/shell.py", &shell(how));
        let fresh = review(&[]).json();
        assert_eq!(review(&remembered).json(), fresh, "{how}");
        assert_eq!(review(&remembered).json(), fresh, "{how}");
    }
    let index = std::fs::read_dir(place.path("kept"))
        .expect("the folder was made")
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.extension().is_some_and(|end| end == "index"))
        .expect("something is kept");
    std::fs::write(index, "airside3, or so it says").expect("it is ours");
    let damaged = review(&remembered);
    assert!(
        damaged
            .stderr
            .contains("note: what earlier reviews had learned of weaknesses was dropped")
    );
    assert_eq!(damaged.json(), review(&[]).json());
    // Copies alone have no way of a value.
    let copies = review(&["--only", "copies"]).json();
    assert_eq!(copies["findings"].as_array().map(Vec::len), Some(0));
}

const RULE: &str = "id: no-sleep
languages: [python]
class: house
severity: low
message: a tool sleeps
words: [sleep]
rule: { pattern: time.sleep($T) }
invalid: [\"time.sleep(3)\"]
valid: [\"time.time()\"]
";

#[test]
fn rules_of_the_house_load_only_if_they_do_what_they_say() {
    let place = Place::new();
    place.write("a.py", "import time\ntime.sleep(1)\n");
    place.write("rules.yaml", RULE);
    let run =
        |place: &Place| place.run(&["review", "--rules", "rules.yaml", "--fail-on", "pattern"]);
    let found = run(&place);
    assert_eq!(found.code, Some(5), "{found:?}");
    assert!(found.stdout.contains("no-sleep"), "{found:?}");
    place.write(
        "rules.yaml",
        &RULE.replace("pattern:", "metavariable-regex:"),
    );
    assert!(run(&place).stderr.contains("REV-015"));
    place.write("rules.yaml", &RULE.replace("time.time()", "time.sleep(9)"));
    assert!(run(&place).stderr.contains("REV-016"));
}

const SERVER: &str = "import subprocess
from mcp.server.fastmcp import FastMCP

mcp = FastMCP(\"hotels\")


@mcp.tool()
def export(hotel: str) -> str:
    \"\"\"Export the hotel.\"\"\"
    line = f\"export-tool --hotel {hotel} --to https://partner.hotel.test/in\"
    return subprocess.run(line, shell=True, capture_output=True).stdout.decode()
";

fn rules_of(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("it is there");
    let new = findings.iter().filter(|finding| finding["is_new"] == true);
    new.filter_map(|finding| finding["what"]["rule"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn change_of_an_assistant_is_told_what_it_does_and_owes() {
    let place = Place::new();
    git(&place, &["init", "-q"]);
    place.write("old.py", LONG);
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    place.write("server.py", SERVER);
    let copy = LONG.replace("def total", "def sum_up");
    place.write("price.py", &format!("import math\n\n\n{copy}"));
    git(&place, &["add", "."]);
    git(
        &place,
        &["commit", "-qm", "Add export\n\nAssisted-by: Agent:model"],
    );
    let change = ["review", "change", "--base", "HEAD~1"];
    let report = place
        .run(&[&change[..], &["--format", "json"]].concat())
        .json();
    let rules = rules_of(&report);
    for rule in [
        "python-shell-command",
        "copy-exact",
        "decision-missing",
        "documentation-says-nothing",
        "documentation-missing",
        "description-too-short",
    ] {
        assert!(rules.iter().any(|one| one == rule), "{rule}: {rules:?}");
    }
    let brief = &report["brief"];
    assert_eq!(brief["share"]["declared"], "ai");
    assert!(brief["triggers"].to_string().contains("tool"), "{brief}");
    let text = place.run(&change).ok();
    for part in [
        "## Review brief",
        "is no probability",
        "tool 'export' is new",
        "partner.hotel.test",
        "### Read these",
        "<!-- airside:",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A decision answers what the change brings; what is written down once stays.
    write_below(
        &place,
        "docs/adr/001-export.md",
        "# 1: Export\n\nAccepted.\n\n## Context\n\nWhy.\n\n## Decision\n\nSo.\n\n## Consequences\n\nThis.\n",
    );
    let report = place
        .run(&[&change[..], &["--format", "json"]].concat())
        .json();
    assert!(
        !rules_of(&report)
            .iter()
            .any(|rule| rule.starts_with("decision"))
    );
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "Decide on the export"]);
    write_below(
        &place,
        "docs/adr/001-export.md",
        "# 1: Export\n\nAccepted.\n\n## Context\n\nOther.\n\n## Decision\n\nSo.\n\n## Consequences\n\nThis.\n",
    );
    let rewritten = place.run(&["review", "--base", "HEAD", "--fail-on", "decisions"]);
    assert_eq!(rewritten.code, Some(5), "{rewritten:?}");
    assert!(
        rewritten.stdout.contains("decision-rewritten"),
        "{rewritten:?}"
    );
}

#[test]
fn merged_change_is_offered_to_a_lot() {
    let place = Place::new();
    git(&place, &["init", "-q"]);
    place.write("old.py", LONG);
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    write_below(
        &place,
        "src/auth/login.py",
        "def login(name):\n    return name\n",
    );
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "two"]);
    let lot = ["review", "change", "--base", "HEAD~1", "--format", "lot"];
    let run = || {
        place
            .run(&[&lot[..], &["--repository", "hotels"]].concat())
            .ok()
    };
    let change: airside_governance::lot::Change =
        serde_json::from_str(&run()).expect("it is a change");
    assert_eq!(change.areas, ["src/auth"]);
    let risk = change.risk.expect("it was computed");
    assert!(risk.triggers.contains(&"sensitive".to_owned()), "{risk:?}");
    assert!(
        risk.triggers
            .contains(&"unknown-author-in-sensitive-path".to_owned())
    );
    // A rebase makes other commits of the same content.
    git(&place, &["commit", "-q", "--amend", "-m", "three"]);
    let again: airside_governance::lot::Change =
        serde_json::from_str(&run()).expect("it is a change");
    assert_ne!(again.identity.commit, change.identity.commit);
    assert_eq!(again.identity.patch, change.identity.patch);
}

#[test]
fn known_findings_do_not_stop_and_new_ones_do() {
    let place = Place::new();
    place.write("server.py", SERVER);
    let run = |more: &[&str]| {
        let ratchet = ["review", "--baseline", "known.json"];
        place.run(&[&ratchet[..], more].concat())
    };
    assert!(run(&[]).stderr.contains("REV-018"));
    run(&["--write-baseline"]).ok();
    let known = run(&[]);
    assert_eq!(known.code, Some(0), "{known:?}");
    assert!(known.stdout.contains("known: 1 still there"), "{known:?}");
    // Lines move, the finding stays known; another one counts.
    place.write("server.py", &format!("# a\n\n{SERVER}"));
    assert_eq!(run(&[]).code, Some(0));
    place.write(
        "other.py",
        "@mcp.tool()\ndef run(text: str):\n    return eval(text)\n",
    );
    assert_eq!(run(&[]).code, Some(5));
    let text = std::fs::read_to_string(place.path("known.json")).expect("it was written");
    let half = text.replacen("\"rule\"", "\"reason\": \"read only\", \"rule\"", 1);
    place.write("known.json", &half);
    assert!(run(&[]).stderr.contains("an owner and an end"));
}

#[test]
fn house_has_rules_of_its_own() {
    let place = Place::new();
    git(&place, &["init", "-q"]);
    place.write("a.py", "x = 1\n");
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    place.write(
        "a.py",
        "x = 1\nimport requests  # TODO later\ny = requests.get('x')\n",
    );
    write_below(
        &place,
        ".airside/review.toml",
        "disclosure = true\n[[forbidden]]\ntext = 'requests.get('\ninstead = 'the client of the house'\n",
    );
    let found = place.run(&["review", "--base", "HEAD", "--fail-on", "standards"]);
    assert_eq!(found.code, Some(5), "{found:?}");
    for rule in ["forbidden", "debt-added", "not-disclosed"] {
        assert!(found.stdout.contains(rule), "{rule}: {found:?}");
    }
    // The one that the page shows can be read.
    let page = include_str!("../../../../docs/review.md");
    let shown = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let shown = shown.expect("the page shows one");
    write_below(&place, ".airside/review.toml", shown);
    let read = place.run(&["review", "--base", "HEAD", "--fail-on", "none"]);
    assert_eq!(read.code, Some(0), "{read:?}");
    write_below(&place, ".airside/review.toml", "disclosures = true\n");
    assert!(place.run(&["review"]).stderr.contains("REV-017"));
}
