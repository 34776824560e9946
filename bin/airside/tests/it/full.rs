//! A node whose disk is full.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use airside_testkit::harness::Node;

use crate::run::{BINARY, Place, Ran};

/// Calls with an effect while the disk is full.
const CALLS: usize = 12;

/// What is run with file systems of its own: mounts one that is small and becomes the node.
const SCRIPT: &str =
    r#"mount -t tmpfs -o size=8m,mode=700 none "$1" && exec "$2" up --data-dir "$1" --port 0"#;

/// A node in a small file system that only it and whoever looks through `/proc` sees.
struct Small {
    place: Place,
    node: Node,
}

impl Small {
    /// Returns nothing where the machine lets nobody mount.
    fn start() -> Option<Self> {
        let unshare = ["--mount", "--propagation", "private"];
        let mut probe = Command::new("unshare");
        let probe = probe
            .args(unshare)
            .args(["mount", "-t", "tmpfs", "none", "/mnt"]);
        let allowed = probe.stderr(Stdio::null()).status();
        if !allowed.is_ok_and(|status| status.success()) {
            return None;
        }
        let place = Place::new();
        fs::create_dir(place.path("data")).expect("the folder is made");
        let data = place.data();
        let script = ["sh", "-c", SCRIPT, "sh", &data, BINARY];
        let arguments = [&unshare[..], &script].concat();
        let node = Node::start(Path::new("unshare"), &arguments, &place.log());
        let node = node.expect("the node starts");
        Some(Self { place, node })
    }

    fn data(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.node.pid());
        Path::new(&root).join(self.place.data().trim_start_matches('/'))
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let data = self.data().display().to_string();
        self.place
            .run(&[arguments, &["--data-dir", &data]].concat())
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.data().join("other")).expect("a file is made");
        for size in [1 << 16, 512] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Restores into the full disk; returns why that is not possible.
    fn restore(&self) -> String {
        let (pid, data) = (self.node.pid().to_string(), self.place.data());
        let into = format!("sqlite:{data}/copy");
        // SQLite does not open files through `/proc`.
        let output = Command::new("nsenter")
            .args(["--mount", "--target", &pid, BINARY, "restore"])
            .args(["--to", "latest", "--data-dir", &data, "--into", &into])
            .output();
        let output = output.expect("nsenter runs");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("messages are UTF-8")
    }

    /// Holds a room; returns what was answered.
    fn hold(&self, offer: &str, attempt: usize) -> Ran {
        let key = format!("idempotency_key=5f0c0d5e-0000-4000-8000-{attempt:012}");
        let offer = format!("offer_ref={offer}");
        self.run(&["call", "create_booking_session", &offer, &key])
    }
}

#[test]
fn full_disk_is_told_loses_nothing_and_is_over_when_there_is_room() {
    let Some(small) = Small::start() else {
        return;
    };
    let found = small.run(&["call", "search_hotels", "place=Boston", "--json"]);
    let found = found.json().to_string();
    let offer = found.find("ofr_").expect("there are offers");
    let offer = &found[offer..];
    let end = offer.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    let offer = &offer[..end.unwrap_or(offer.len())];
    small.hold(offer, 0).ok();
    let entries = || -> u64 {
        let verified = small.run(&["ledger", "verify", "--json"]).json();
        verified["entries"]
            .as_u64()
            .unwrap_or_else(|| panic!("{verified}"))
    };
    let before = entries();

    small.fill();
    for attempt in 1..=CALLS {
        let refused = small.hold(offer, attempt);
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains("GW-031"), "{refused:?}");
        assert!(
            refused.stderr.contains("nothing has happened"),
            "{refused:?}"
        );
    }
    assert!(entries() >= before, "what was acknowledged is there");
    let refused = small.restore();
    assert!(refused.contains("LED-006"), "{refused}");
    assert!(refused.contains("copy.restoring"), "{refused}");

    fs::remove_file(small.data().join("other")).unwrap();
    small.hold(offer, CALLS + 1).ok();
    assert!(entries() > before, "it goes on");
    let log = small.place.log();
    assert_eq!(small.node.terminate().unwrap().code(), Some(0));
    let log = fs::read_to_string(log).unwrap();
    let told = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_ne!(told("the ledger is written again"), 0, "{log}");
    for text in ["sequencer: cannot write", "record: a call with an effect"] {
        assert!((1..CALLS).contains(&told(text)), "{text}: {log}");
    }
    assert!(log.contains("database or disk is full"), "{log}");
}
