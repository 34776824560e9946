//! A vulnerable server from the first look to the fix, driven as its operators do.

use std::path::Path;

use airside_testkit::harness::Node;
use serde_json::Value;

use crate::run::{BINARY, Place};

const OSV: &str = r#"{"id":"GHSA-1","aliases":["CVE-2026-1"],"modified":"2026-11-01T00:00:00Z","published":"2026-11-01T00:00:00Z","summary":"Left padding runs commands","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.3.1"}]}]}]}"#;
const KEV: &str = r#"{"catalogVersion":"1","dateReleased":"2026-11-20T00:00:00Z","vulnerabilities":[{"cveID":"CVE-2026-1","dateAdded":"2026-11-20","dueDate":"2026-11-23","knownRansomwareCampaignUse":"Unknown"}]}"#;

struct World {
    place: Place,
    node: Option<Node>,
}

impl World {
    /// Two servers of the same parts: one that the internet reaches, one that only this
    /// machine does.
    fn new() -> Self {
        Self::with("feeds = \"feeds\"\nevery-s = 1\n")
    }

    /// Two servers, with `inventory` in the configuration.
    fn with(inventory: &str) -> Self {
        let place = Place::new();
        for folder in ["feeds", "shop", "back"] {
            std::fs::create_dir(place.path(folder)).expect("a folder");
        }
        place.write("feeds/osv.ndjson", OSV);
        let config = format!(
            "data-dir = {:?}\n[listen]\naddress = \"127.0.0.1:0\"\n[identity]\nanonymous-loopback = true\n\
             [[upstream]]\nname = \"shop\"\nbuiltin = \"travel\"\n\
             [[upstream]]\nname = \"back\"\nbuiltin = \"flights\"\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"shop\", \"back\"]\n\
             [inventory]\n{inventory}\
             [[inventory.window]]\nday = \"sunday\"\nhour = 2\nhours = 4\n\
             [[inventory.server]]\nupstream = \"shop\"\nversion = \"2.3\"\nregion = \"eu\"\nsources = [\"shop\"]\n\
             tier = \"essential\"\ndata = [\"card\"]\nreach = \"public\"\n\
             [[inventory.server]]\nupstream = \"back\"\nversion = \"7\"\nsources = [\"back\"]\ntier = \"internal\"\n",
            place.data()
        );
        place.write("airside.toml", &config);
        let mut world = Self { place, node: None };
        world.deploy("shop", "1.0.0");
        world.deploy("back", "1.0.0");
        world.start();
        world
    }

    fn start(&mut self) {
        let config = self.place.path("airside.toml").display().to_string();
        let node = Node::start(
            Path::new(BINARY),
            &["serve", "--config", &config],
            &self.place.log(),
        );
        self.node = Some(node.expect("the node starts"));
    }

    fn deploy(&mut self, server: &str, version: &str) {
        let lock = format!(
            r#"{{"packages":{{"":{{"name":"app","dependencies":{{"left-pad":"^1.0.0"}}}},"node_modules/left-pad":{{"version":"{version}"}}}}}}"#
        );
        self.place
            .write(&format!("{server}/package-lock.json"), &lock);
    }

    fn run(&self, command: &[&str]) -> crate::run::Ran {
        let data = self.place.data();
        let mut all = command.to_vec();
        all.extend(["--data-dir", &data]);
        self.place.run(&all)
    }

    fn says_nothing_new_when_it_starts_again(&mut self) {
        let before = self.run(&["ledger", "head", "--json"]).json()["seq"].clone();
        self.start();
        self.until(|f| f.len() == 2);
        let later = self.run(&["ledger", "tail", "-n", "20", "--json"]).ok();
        let entries = later
            .lines()
            .filter_map(|l| serde_json::from_str::<Value>(l).ok());
        for entry in entries.filter(|e| e["seq"].as_u64() > before.as_u64()) {
            let kind = entry["kind"].as_str().unwrap_or_default();
            let ours = kind.starts_with("finding.") || kind.starts_with("inventory.");
            assert!(!ours, "{entry}");
        }
    }

    /// Asks until what was found is as `wanted`: a round comes every second.
    fn until(&self, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut last = Value::Null;
        for _ in 0..400 {
            last = self.run(&["vulns", "list", "--all", "--json"]).json();
            let of = |f: &&Value| f["judged"]["server"] != "airside";
            let found = last["findings"].as_array().into_iter().flatten();
            let found: Vec<Value> = found.filter(of).cloned().collect();
            if wanted(&found) {
                return found;
            }
        }
        panic!("it never came: {last:#}");
    }
}

fn of<'a>(found: &'a [Value], server: &str) -> &'a Value {
    let one = found.iter().find(|f| f["judged"]["server"] == server);
    one.unwrap_or_else(|| panic!("{server} in {found:#?}"))
}

#[test]
fn findings_follow_the_image_that_is_deployed() {
    let mut world = World::new();
    world.node = None;
    let config = world.place.path("airside.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let text = text.replace("sources = [\"shop\"]", "sources = [\"shop.tar\"]");
    world.place.write("airside.toml", &text);
    let deploy = |world: &World, version: &str, more: &str| {
        let installed = format!(r#"{{"name":"left-pad","version":"{version}"}}"#);
        let image = crate::scan::image(&[
            ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
            ("app/node_modules/left-pad/package.json", &installed),
            ("app/more", more),
        ]);
        // As a whole: a round may look at any moment.
        let beside = world.place.path("shop.tar.new");
        std::fs::write(&beside, image).expect("written");
        std::fs::rename(beside, world.place.path("shop.tar")).expect("moved");
    };
    deploy(&world, "1.0.0", "");
    world.start();
    let is_open = |f: &[Value], open: bool| {
        let of = f.iter().find(|f| f["judged"]["server"] == "shop");
        of.is_some_and(|f| f["closed"].is_null() == open)
    };
    let found = world.until(|f| is_open(f, true));
    assert_eq!(of(&found, "shop")["judged"]["vulnerability"], "CVE-2026-1");
    let parts = world.run(&["inventory", "shop", "--json"]).ok();
    assert!(
        parts.contains("shop.tar#/app/node_modules/left-pad/package.json"),
        "{parts}"
    );
    deploy(&world, "1.3.1", "another length");
    world.until(|f| is_open(f, false));
}

#[test]
fn feeds_come_from_a_mirror_and_scans_find_them() {
    let mut world = World::with("every-s = 1\n[inventory.mirror]\nfolder = \"feeds\"\n");
    // Nothing is listed, so nothing is taken and nothing compared.
    let folder = Path::new(&world.place.data()).join("feeds");
    let report = world.run(&["vulns", "list"]).ok();
    assert!(
        report.contains("Nothing was compared with feeds yet."),
        "{report}"
    );
    assert!(!folder.exists());
    world.node = None;
    let sums = std::process::Command::new("sh")
        .args(["-c", "sha256sum * > SHA256SUMS"])
        .current_dir(world.place.path("feeds"))
        .status();
    assert!(sums.expect("sha256sum runs").success());
    world.start();
    let found = world.until(|f| f.len() == 2);
    assert_eq!(of(&found, "shop")["judged"]["vulnerability"], "CVE-2026-1");
    assert!(folder.join("osv.ndjson").is_file());
    // A scan without --feeds looks where the configuration says.
    let scan = world.place.run(&["scan", "shop", "--index", "i", "--json"]);
    assert_eq!(scan.json()["summary"]["findings"], 1);
}

#[test]
fn findings_are_opened_tightened_decided_and_closed_by_the_inventory() {
    let mut world = World::new();
    let found = world.until(|f| f.len() == 2);
    assert_eq!(of(&found, "shop")["judged"]["lane"]["lane"], "emergency");
    let back = of(&found, "back");
    assert_ne!(back["judged"]["lane"]["lane"], "emergency", "{back:#}");
    let due = back["judged"]["clock"]["due"].clone();

    // It is listed as exploited: the deadline of the internal one comes nearer.
    world.place.write("feeds/kev.json", KEV);
    let found = world.until(|f| {
        f.iter()
            .all(|f| f["judged"]["decision"]["inputs"]["in_kev"]["value"] == true)
    });
    let back = of(&found, "back");
    assert!(back["judged"]["clock"]["due"].as_str() < due.as_str() || due.is_null());
    let id = back["judged"]["id"].as_str().expect("an id").to_owned();
    let told = world.run(&["vulns", "explain", &id]).ok();
    for part in [
        "in KEV: yes (KEV, 2026-11-20)",
        "deployer table (ssvc:DSOI 1.0.0): active",
        "made again from these inputs: the same",
        "it is listed as exploited",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    changes_are_proposed_by_server(&world);
    let middle = world.run(&["inventory", "--json"]).json()["at"]
        .as_str()
        .expect("a time")
        .to_owned();

    // Persons decide, with a reason and an end.
    let shop = of(&found, "shop")["judged"]["id"].as_str().expect("an id");
    let late = ["--until", "2026-11-01", "--reason", "late"];
    let refused = world.run(&[&["vulns", "extend", &id][..], &late].concat());
    assert!(refused.stderr.contains("[INV-013]"), "{refused:?}");
    let reason = ["--until", "2099-01-01", "--reason", "vendor is late"];
    world
        .run(&[&["vulns", "extend", &id][..], &reason].concat())
        .ok();
    world
        .run(&[
            "vulns",
            "mitigate",
            shop,
            "--with",
            "block-tool",
            "--tool",
            "search_hotels",
            "--reason",
            "now",
        ])
        .ok();
    let listed = world.run(&["vulns", "list", "--server", "shop"]).ok();
    assert!(
        listed.contains("mitigated (block-tool search_hotels)"),
        "{listed}"
    );
    let unknown = world.run(&["vulns", "expose", "F-0", "--reason", "x"]);
    assert!(unknown.stderr.contains("[INV-012]"), "{unknown:?}");

    // What is deployed closes it, nothing else does.
    world.deploy("shop", "1.3.1");
    let found = world.until(|f| of(f, "shop")["closed"].is_array());
    let closed = &of(&found, "shop")["closed"];
    assert_eq!(closed[1], "fixed");
    assert_eq!(closed[2], "the inventory of production shows 1.3.1");
    assert!(of(&found, "back")["closed"].is_null());

    // Without a node too, and as it was in the middle.
    let node = world.node.take().expect("a node");
    assert_eq!(node.terminate().expect("it ends").code(), Some(0));
    let then = world
        .run(&["vulns", "list", "--at", &middle, "--server", "shop"])
        .ok();
    assert!(
        then.contains("emergency") && then.contains(" open"),
        "{then}"
    );
    let changed = world.run(&["inventory", "shop", "--diff", &middle]).ok();
    assert_eq!(
        changed,
        "shop  - pkg:npm/left-pad@1.0.0\nshop  + pkg:npm/left-pad@1.3.1\n"
    );
    reports_and_documents_come_from_the_ledger(&world, &middle);
    world.says_nothing_new_when_it_starts_again();
}

fn changes_are_proposed_by_server(world: &World) {
    let plan = world.run(&["vulns", "plan"]).ok();
    for part in [
        "shop 2.3 eu: emergency change, at once, due ",
        "  pkg:npm/left-pad 1.0.0 → 1.3.1: update the lock file\n    emergency: ends CVE-2026-1 (F-",
        "back 7: ",
        "  1 upgrades end 1 findings",
    ] {
        assert!(plan.contains(part), "{part} in\n{plan}");
    }
    let plan = world.run(&["vulns", "plan", "--server", "shop", "--json"]);
    let plan = plan.json();
    let step = &plan["changes"][0]["steps"][0];
    assert_eq!(
        (&step["from"], &step["to"]),
        (&"1.0.0".into(), &"1.3.1".into())
    );
}

fn reports_and_documents_come_from_the_ledger(world: &World, middle: &str) {
    let from = "2026-01-01T00:00:00Z";
    let told = world.run(&["vulns", "report", "--from", from]).ok();
    for part in [
        "2 opened, 1 fixed (1 in time)",
        "mitigated F-",
        "(block-tool search_hotels): now",
        "moved the deadline of F-",
        "every decision comes out the same",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    let then = ["vulns", "report", "--from", from, "--to", middle, "--json"];
    let then = world.run(&then).json();
    assert_eq!(then["summary"]["opened"], 2);
    assert_eq!(then["summary"]["fixed"], 0, "what came later is not in it");
    assert_eq!(then["persons"], serde_json::json!([]));
    let wrong = [
        "vulns",
        "report",
        "--from",
        from,
        "--to",
        "2025-01-01T00:00:00Z",
    ];
    assert!(world.run(&wrong).stderr.contains("[INV-015]"));

    let write = |format: &str| {
        let all = ["inventory", "shop", "--at", middle, "--format", format];
        world.run(&all).json()
    };
    let bill = write("cyclonedx");
    assert_eq!(bill["specVersion"], "1.6");
    assert_eq!(bill["components"][0]["purl"], "pkg:npm/left-pad@1.0.0");
    assert_eq!(
        bill["vulnerabilities"][0]["analysis"]["state"],
        "exploitable"
    );
    assert_eq!(write("cyclonedx"), bill, "the same moment, the same bytes");
    assert_eq!(write("cyclonedx-1.7")["specVersion"], "1.7");
    assert_eq!(write("spdx")["spdxVersion"], "SPDX-2.3");
    assert_eq!(write("openvex")["statements"][0]["status"], "affected");
    // The bill is what a scan elsewhere starts from.
    std::fs::create_dir(world.place.path("bill")).expect("a folder");
    world.place.write("bill/shop.cdx.json", &bill.to_string());
    let scan = ["scan", "bill", "--feeds", "feeds", "--index", "kept"];
    let found = world.place.run(&[&scan[..], &["--json"]].concat()).json();
    assert_eq!(found["summary"]["findings"], 1);
    let sarif = world.place.run(&[&scan[..], &["--sarif"]].concat()).json();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "CVE-2026-1");
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "shop.cdx.json");
    let spdx = world
        .place
        .run(&[&scan[..], &["--format", "spdx"]].concat())
        .json();
    assert_eq!(spdx["packages"].as_array().map(Vec::len), Some(2));
}

#[test]
fn node_without_feeds_refuses_decisions_and_says_what_to_do() {
    let place = Place::new();
    let _node = place.up();
    let data = place.data();
    let all = [
        "vulns",
        "expose",
        "F-0",
        "--reason",
        "x",
        "--data-dir",
        &data,
    ];
    let ran = place.run(&all);
    assert!(ran.stderr.contains("[INV-010]"), "{ran:?}");
    let listed = place.run(&["vulns", "list", "--data-dir", &data]).ok();
    assert_eq!(listed, "Nothing was compared with feeds yet.\n");
    let none = place.run(&["inventory", "--data-dir", &data]).ok();
    assert!(none.contains("no inventory"), "{none}");
}
