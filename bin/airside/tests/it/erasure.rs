//! An erasure that a killed node has left in its middle, on both stores.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    path::Path,
    process::{Child, Stdio},
};

use airside_testkit::{
    harness::Node,
    postgres::{Database, ROLE, Server, Session},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    control_api::{Request, by_socket},
    run::{BINARY, Place, command},
};

const SUBJECT: &str = "traveller-1";
const SAID: &str = "Ada-wants-a-quiet-room";

const CONFIG: &str = r#"
data-dir = "data"

[listen]
address = "127.0.0.1:0"

[identity]
anonymous-loopback = true

[[upstream]]
name = "travel"
builtin = "travel"

[[endpoint]]
path = "/mcp"
upstreams = ["travel"]
"#;

/// Where the erasure is stopped.
#[derive(Clone, Copy, PartialEq)]
enum Middle {
    /// The wish is durable, no key is destroyed.
    Begun,
    /// The keys are destroyed, no entry says so.
    Destroyed,
}

struct Rig {
    place: Place,
    /// Absent for SQLite.
    database: Option<Database>,
}

impl Rig {
    fn sqlite() -> Self {
        let place = Place::new();
        place.write("airside.toml", CONFIG);
        Self {
            place,
            database: None,
        }
    }

    fn postgres(server: &Server, name: &str) -> Self {
        let (place, database) = (Place::new(), server.database(name).unwrap());
        place.write("database.url", &database.url);
        let owner = place.write("owner.url", &database.owner_url);
        let owner = owner.display().to_string();
        let init = ["ledger", "init", "--url-file", &owner, "--role", ROLE];
        place.run(&init).ok();
        let config = format!("{CONFIG}\n[ledger]\nurl-file = \"database.url\"\n");
        place.write("airside.toml", &config);
        Self {
            place,
            database: Some(database),
        }
    }

    fn start(&self) -> Node {
        let file = self.place.path("airside.toml").display().to_string();
        let serve = ["serve", "--config", &file];
        Node::start(Path::new(BINARY), &serve, &self.place.log()).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> crate::run::Ran {
        let data = self.place.data();
        self.place
            .run(&[arguments, &["--data-dir", &data]].concat())
    }

    /// Says something to the node; returns the number of the entry that holds it.
    fn say(&self) -> u64 {
        self.say_as(SUBJECT, SAID)
    }

    fn say_as(&self, subject: &str, said: &str) -> u64 {
        let body = json!({ "subject": subject, "state": { "said": said } });
        let request = Request {
            method: "POST",
            path: "/v1/conversations",
            key: None,
            handle: None,
            body: &body,
        };
        let (status, begun) = by_socket(&self.place.path("data"), request);
        assert_eq!(status, 200, "{begun}");
        begun["version"].as_u64().unwrap()
    }

    fn export(&self) -> String {
        self.run(&["export", SUBJECT]).ok()
    }

    fn erase(&self) -> Child {
        let data = self.place.data();
        command(
            &self.place.path(""),
            &["erase", SUBJECT, "--data-dir", &data],
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
    }

    /// Keeps the store from going past `middle`. PostgreSQL waits there, as long as the
    /// session lives; SQLite refuses.
    fn hold(&self, middle: Middle) -> Option<Session> {
        let Some(database) = &self.database else {
            let (file, sql) = match middle {
                Middle::Begun => (
                    "keys.db",
                    "CREATE TRIGGER held BEFORE UPDATE ON subject_keys",
                ),
                Middle::Destroyed => (
                    "ledger.db",
                    "CREATE TRIGGER held BEFORE INSERT ON entries
                        WHEN NEW.kind = 'subject.erased'",
                ),
            };
            let sql = format!("{sql} BEGIN SELECT raise(ABORT, 'held'); END");
            self.in_file(file, &sql);
            return None;
        };
        let when = match middle {
            Middle::Begun => "UPDATE ON airside_keys.subject_key FOR EACH ROW",
            Middle::Destroyed => {
                "INSERT ON airside.entry FOR EACH ROW WHEN (NEW.kind = 'subject.erased')"
            }
        };
        let wait = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END'";
        database.run(wait).unwrap();
        let trigger = format!("CREATE TRIGGER held BEFORE {when} EXECUTE FUNCTION wait()");
        database.run(&trigger).unwrap();
        Some(database.session("SELECT pg_advisory_lock(7)").unwrap())
    }

    fn let_go(&self, middle: Middle, held: Option<Session>) {
        drop(held);
        match (&self.database, middle) {
            (Some(database), _) => database.run("DROP FUNCTION wait() CASCADE").unwrap(),
            (None, Middle::Begun) => self.in_file("keys.db", "DROP TRIGGER held"),
            (None, Middle::Destroyed) => self.in_file("ledger.db", "DROP TRIGGER held"),
        }
    }

    fn in_file(&self, file: &str, sql: &str) {
        let file = Connection::open(self.place.path("data").join(file)).unwrap();
        file.busy_timeout(std::time::Duration::from_secs(20))
            .unwrap();
        file.execute_batch(sql).unwrap();
    }

    /// Asks until `done` says so; bounded by the limit of the test runner.
    fn until(&self, done: impl Fn(&Self) -> bool) {
        while !done(self) {}
    }

    /// Returns whether there is an entry of `kind` about the person. The export reads
    /// what is durable, where the tail would wait for what is on its way.
    fn has(&self, kind: &str) -> bool {
        self.export().contains(&format!("\"kind\": \"{kind}\""))
    }
}

/// Kills a node in the `middle` of an erasure: the next start finishes it, and what was
/// said is gone for good.
fn check(rig: &Rig, middle: Middle) {
    let node = rig.start();
    let seq = rig.say().to_string();
    assert!(rig.export().contains(SAID));
    let proof = rig.place.path("proof.json").display().to_string();
    let key = rig.run(&["ledger", "key"]).ok();
    // Possible as soon as the entry is sealed, every few seconds.
    let prove = ["ledger", "prove", &seq, "-o", &proof];
    rig.until(|rig| rig.run(&prove).code == Some(0));
    let held = rig.hold(middle);
    let mut erasing = rig.erase();
    rig.until(|rig| rig.has("subject.erasure_begun"));
    if middle == Middle::Destroyed {
        rig.until(|rig| !rig.export().contains(SAID));
    } else {
        assert!(rig.export().contains(SAID), "its key is not destroyed");
    }
    assert!(!rig.has("subject.erased"));
    node.kill().unwrap();
    erasing.wait().unwrap();
    rig.let_go(middle, held);

    let node = rig.start();
    assert!(
        rig.has("subject.erased"),
        "healed before anything is served"
    );
    let erased = rig.run(&["erase", SUBJECT, "--json"]).json();
    assert_eq!(erased["erased"]["repeated"], true);
    let export = rig.export();
    assert!(
        !export.contains(SAID) && export.contains("\"erased\": true"),
        "{export}"
    );
    rig.run(&["ledger", "verify"]).ok();
    let check = ["ledger", "check", &proof, "--key", key.trim()];
    rig.place.run(&check).ok();
    let log = std::fs::read_to_string(rig.place.log()).unwrap();
    assert!(!log.contains(SAID));
    node.terminate().unwrap();
}

#[test]
fn killed_before_the_keys_are_destroyed_on_sqlite() {
    check(&Rig::sqlite(), Middle::Begun);
}

#[test]
fn killed_before_the_entry_is_written_on_sqlite() {
    check(&Rig::sqlite(), Middle::Destroyed);
}

#[test]
fn killed_before_the_keys_are_destroyed_on_postgres() {
    let server = Server::start().unwrap();
    check(&Rig::postgres(&server, "erasure_begun"), Middle::Begun);
}

#[test]
fn killed_before_the_entry_is_written_on_postgres() {
    let server = Server::start().unwrap();
    check(
        &Rig::postgres(&server, "erasure_destroyed"),
        Middle::Destroyed,
    );
}

/// The reverse: the entry is there and the keys are back, from an older copy.
#[test]
fn older_copy_of_the_keys_in_a_database_is_brought_up_to_date() {
    let server = Server::start().unwrap();
    let rig = Rig::postgres(&server, "erasure_copy");
    let database = rig.database.as_ref().unwrap();
    let node = rig.start();
    rig.say();
    let copy = "CREATE TABLE copy AS SELECT * FROM airside_keys.subject_key";
    database.run(copy).unwrap();
    rig.run(&["erase", SUBJECT]).ok();
    node.terminate().unwrap();
    let back = "UPDATE airside_keys.subject_key AS k SET vault = c.vault, wrapped = c.wrapped
        FROM copy AS c WHERE (k.tenant, k.id) = (c.tenant, c.id)";
    database.run(back).unwrap();
    let node = rig.start();
    assert!(!rig.export().contains(SAID));
    node.terminate().unwrap();
    // Without a node: the database and the keys in it are opened by the command.
    let url = rig.place.path("database.url").display().to_string();
    let erase = ["erase", SUBJECT, "--url-file", &url, "--json"];
    assert_eq!(rig.run(&erase).json()["erased"]["repeated"], true);
}

/// Whatever moment is restored, into whichever store: who was erased is not there.
#[test]
fn erased_person_is_in_no_restored_ledger() {
    let server = Server::start().unwrap();
    for rig in [Rig::sqlite(), Rig::postgres(&server, "erasure_restore")] {
        let node = rig.start();
        let seq = rig.say().to_string();
        rig.run(&["erase", SUBJECT, "--purpose", "service", "--purpose", "law"])
            .ok();
        node.terminate().unwrap();
        let into = format!("sqlite:{}", rig.place.path("past").display());
        let url = rig.place.path("database.url").display().to_string();
        let mut restore = vec!["restore", "--to", &seq, "--tenant", "default"];
        restore.extend(["--into", &into, "--json"]);
        if rig.database.is_some() {
            restore.extend(["--url-file", &url]);
        }
        assert_eq!(rig.run(&restore).json()["erasures"], 1);
        // The restored ledger with the present keys.
        let past = rig.place.path("past").display().to_string();
        let vault = rig.place.path("data/vault.key").display().to_string();
        let mut export = vec![
            "export",
            SUBJECT,
            "--data-dir",
            &past,
            "--vault-file",
            &vault,
        ];
        match rig.database.is_some() {
            true => export.extend(["--keys-url-file", &url]),
            false => {
                let keys = rig.place.path("data/keys.db");
                std::fs::copy(keys, rig.place.path("past/keys.db")).unwrap();
            }
        }
        let export = rig.place.run(&export).ok();
        assert!(
            !export.contains(SAID) && export.contains("\"erased\": true"),
            "{export}"
        );
    }
}

/// What was known of one person at a moment, as a ledger of its own.
#[test]
fn one_person_is_restored_alone() {
    let server = Server::start().unwrap();
    for rig in [Rig::sqlite(), Rig::postgres(&server, "erasure_alone")] {
        let node = rig.start();
        let seq = rig.say().to_string();
        rig.say_as("traveller-2", "Bob-wants-a-balcony");
        node.terminate().unwrap();
        let url = rig.place.path("database.url").display().to_string();
        let restore = |subject: &str, name: &str| {
            let into = format!("sqlite:{}", rig.place.path(name).display());
            let mut restore = vec!["restore", "--to", &seq, "--tenant", "default"];
            restore.extend(["--subject", subject, "--into", &into, "--json"]);
            if rig.database.is_some() {
                restore.extend(["--url-file", &url]);
            }
            rig.run(&restore)
        };
        let export = |name: &str| {
            let folder = rig.place.path(name).display().to_string();
            let vault = rig.place.path("data/vault.key").display().to_string();
            let mut export = vec!["export", SUBJECT, "--data-dir", &folder];
            export.extend(["--vault-file", &vault]);
            match rig.database.is_some() {
                true => export.extend(["--keys-url-file", &url]),
                false => {
                    let keys = rig.place.path("data/keys.db");
                    std::fs::copy(keys, rig.place.path(name).join("keys.db")).unwrap();
                }
            }
            rig.place.run(&export).ok()
        };
        let preview = |subject: &str| {
            let mut preview = vec!["restore", "--to", &seq, "--tenant", "default"];
            preview.extend(["--subject", subject, "--preview", "--json"]);
            if rig.database.is_some() {
                preview.extend(["--url-file", &url]);
            }
            let difference = &rig.run(&preview).json()["difference"];
            assert_eq!(difference["chains"], json!([]), "{difference}");
            difference["documents"].clone()
        };
        assert_eq!(preview(SUBJECT), json!([]));
        let later = preview("traveller-2");
        assert_eq!(later[0]["restored"], Value::Null, "{later}");
        assert_eq!(later.as_array().map(Vec::len), Some(1), "{later}");

        let absent = restore("traveller-3", "nobody");
        assert!(absent.stderr.contains("LED-066"), "{absent:?}");
        assert!(!rig.place.path("nobody").exists());
        assert_eq!(restore(SUBJECT, "alone").json()["restored"]["entries"], 2);
        let alone = rig.place.path("alone").display().to_string();
        rig.place
            .run(&["ledger", "verify", "--data-dir", &alone])
            .ok();
        let tail = ["ledger", "tail", "--json", "--data-dir", &alone];
        let kinds: Vec<Value> = rig
            .place
            .run(&tail)
            .ok()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone())
            .collect();
        assert_eq!(kinds, ["ledger.extracted", "conversation.created"]);
        let found: Value = serde_json::from_str(&export("alone")).unwrap();
        assert_eq!(found["documents"][0]["document"]["state"]["said"], SAID);

        let mut erase = vec!["erase", SUBJECT];
        if rig.database.is_some() {
            erase.extend(["--url-file", &url]);
        }
        rig.run(&erase).ok();
        assert_eq!(restore(SUBJECT, "erased").json()["erasures"], 1);
        assert!(!export("erased").contains(SAID));
    }
}
