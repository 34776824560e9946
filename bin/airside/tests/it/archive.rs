//! An archive that a node writes, and what can be brought back from it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use airside_testkit::{
    harness::Node,
    postgres::{ROLE, Server},
};

use crate::run::{BINARY, Place};

const CONFIG: &str = r#"
data-dir = "data"

[archive]
url = "URL"
flush-ms = 20
remote-ack = ACK

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

fn url(place: &Place) -> String {
    format!("file://{}", place.path("archive").display())
}

fn serve(place: &Place, ack: bool) -> Node {
    let text = CONFIG.replace("URL", &url(place));
    let file = place.write("airside.toml", &text.replace("ACK", &ack.to_string()));
    let arguments = ["serve", "--config", &file.display().to_string()];
    Node::start(Path::new(BINARY), &arguments, &place.log()).expect("the node starts")
}

fn call(place: &Place) {
    let data = place.data();
    let call = ["call", "search_hotels", "place=Boston", "--data-dir", &data];
    place.run(&call).ok();
}

/// Starts a node, lets it work and stops it.
fn lived(place: &Place) {
    let node = serve(place, false);
    call(place);
    let ended = node.terminate().expect("the node ends");
    assert_eq!(ended.code(), Some(0));
}

fn head(place: &Place, folder: &Path) -> serde_json::Value {
    let folder = folder.display().to_string();
    let head = ["ledger", "head", "--json", "--data-dir", &folder];
    place.run(&head).json()
}

#[test]
fn lost_folder_comes_back_from_the_archive_and_a_node_goes_on() {
    let place = Place::new();
    lived(&place);
    let (url, data) = (url(&place), place.data());
    let status = ["backup", "status", "--archive", &url, "--data-dir", &data];
    let status = place.run(&[&status[..], &["--json"]].concat()).json();
    assert_eq!(status["ok"], true, "{status}");
    assert_eq!(status["lag_entries"], 0, "{status}");
    let before = head(&place, &place.path("data"));
    let drill = ["backup", "drill", "--archive", &url, "--data-dir", &data];
    let drilled = place.run(&drill).ok();
    assert!(drilled.starts_with("passed: "), "{drilled}");

    // The key is kept elsewhere; the folder is lost.
    let key = place.path("copy.key");
    fs::copy(place.path("data").join("archive.key"), &key).unwrap();
    fs::remove_dir_all(place.path("data")).unwrap();
    let key = key.display().to_string();
    let source = ["--archive", &url, "--archive-key", &key];
    let verified = place.run(&[&["backup", "verify"], &source[..]].concat());
    assert!(verified.ok().contains("all in place"));
    let lost = ["--data-dir", &data];
    let seen = place.run(&[&["backup", "status"], &source[..], &lost].concat());
    assert!(seen.stdout.contains("entries  "), "{seen:?}");
    assert!(seen.stderr.contains("[LED-060]"), "{seen:?}");
    assert!(seen.stderr.contains("`airside restore"), "{seen:?}");
    let seen = place.run(&[&["backup", "drill"], &source[..], &lost].concat());
    assert!(seen.stderr.contains("`airside backup verify`"), "{seen:?}");
    let preview = ["restore", "--to", "latest", "--preview"];
    let seen = place.run(&[&preview[..], &source, &lost].concat()).ok();
    assert!(seen.contains("a restore would bring back"), "{seen}");
    assert!(seen.contains("would come back"), "{seen}");
    let keyless = place.run(&[&["backup", "verify", "--archive", &url], &lost[..]].concat());
    assert!(keyless.stderr.contains("--archive-key"), "{keyless:?}");
    let into = format!("sqlite:{data}");
    let restore = [&["restore", "--to", "latest", "--into", &into], &source[..]].concat();
    let restored = place.run(&restore).ok();
    assert!(restored.contains("state digest"), "{restored}");
    assert_eq!(head(&place, &place.path("data")), before);

    let again = place.run(&restore);
    assert_eq!(again.code, Some(7), "{again:?}");
    assert!(again.stderr.contains("LED-063"), "{again:?}");
    let named = format!("target: {data}\n");
    assert!(again.stderr.contains(&named), "{again:?}");
    let nowhere = format!("sqlite:{}", place.path("no/such").display());
    let nowhere = ["restore", "--to", "latest", "--into", &nowhere];
    let refused = place.run(&[&nowhere[..], &source].concat());
    assert!(refused.stderr.contains("no/such.restoring"), "{refused:?}");
    assert!(
        refused.stderr.contains("nothing was changed"),
        "{refused:?}"
    );
    let verify = ["ledger", "verify", "--data-dir", &data];
    place.run(&verify).ok();

    // The restored ledger continues the same archive.
    fs::copy(&key, place.path("data").join("archive.key")).unwrap();
    lived(&place);
    let verified = place.run(&[&["backup", "verify"], &source[..]].concat());
    assert!(verified.ok().contains("all in place"));
}

#[test]
fn archive_whose_key_is_in_a_service_needs_no_key_file() {
    let service = airside_testkit::s3::Server::start().unwrap();
    let place = Place::new();
    let keys = [service.kms_key().unwrap(), service.kms_key().unwrap()];
    let secret = "[default]\naws_access_key_id = a\naws_secret_access_key = hunter2\n";
    let credentials = place.write("credentials", secret);
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
    let endpoint = format!("http://{}", service.address());
    let at = |section: &str, key: &str| {
        format!(
            "[{section}.kms]\nkey = \"{key}\"\nendpoint = \"{endpoint}\"\n\
             credentials-file = \"credentials\"\n"
        )
    };
    let text = CONFIG.replace("URL", &url(&place)).replace("ACK", "false");
    let text = text + &at("archive", &keys[0]) + &at("keys", &keys[1]);
    let file = place.write("airside.toml", &text).display().to_string();
    let serve = ["serve", "--config", &file];
    let node = Node::start(Path::new(BINARY), &serve, &place.log()).expect("the node starts");
    call(&place);
    assert_eq!(node.terminate().expect("it ends").code(), Some(0));
    let data = place.path("data");
    let before = head(&place, &data);
    for key in ["archive.key", "vault.key"] {
        assert!(!data.join(key).exists(), "no {key}");
    }

    fs::remove_dir_all(&data).unwrap();
    let (url, into) = (url(&place), format!("sqlite:{}", data.display()));
    let restore = ["restore", "--to", "latest", "--into", &into];
    let credentials = credentials.display().to_string();
    let source = |key: &str| {
        let at = ["--archive", &url, "--archive-kms", key];
        let how = ["--archive-kms-endpoint", &endpoint];
        let who = ["--archive-credentials", &credentials];
        place.run(&[&restore[..], &at, &how, &who].concat())
    };
    let other = source(&keys[1]);
    assert!(other.stderr.contains("[LED-053]"), "{other:?}");
    assert!(!other.stderr.contains("hunter2"), "{other:?}");
    source(&keys[0]).ok();
    assert_eq!(head(&place, &data), before);

    place.write("airside.toml", &text.replace(&keys[0], "airside"));
    let wrong = place.run(&["config", "check", &file]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    assert!(wrong.stderr.contains("LED-163"), "{wrong:?}");
    let both = "[keys]\nvault-file = \"vault.key\"\n[keys.kms]";
    place.write("airside.toml", &text.replace("[keys.kms]", both));
    let twice = place.run(&["config", "check", &file]);
    assert!(twice.stderr.contains("CFG-037"), "{twice:?}");
}

#[test]
fn moment_before_comes_back_into_the_other_store() {
    let server = Server::start().unwrap();
    let database = server.database("restored").unwrap();
    let place = Place::new();
    lived(&place);
    let data = place.data();
    let tail = ["ledger", "tail", "--json", "-n", "99", "--data-dir", &data];
    let tail = place.run(&tail).ok();
    let entries: Vec<serde_json::Value> = tail
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let time = entries[2]["time"].as_str().unwrap();
    let count = entries.iter().filter(|e| e["time"].as_str() <= Some(time));
    let count = count.count() as u64;
    assert!(count < entries.len() as u64);

    place.write("database.url", &database.url);
    let owner = place.write("owner.url", &database.owner_url);
    let owner = owner.display().to_string();
    place
        .run(&["ledger", "init", "--url-file", &owner, "--role", ROLE])
        .ok();
    let moment = ["restore", "--json", "--to", time, "--data-dir", &data];
    let mut digests = Vec::new();
    for into in ["postgres:database.url", "sqlite:restored"] {
        for source in [&["--archive", &url(&place)][..], &[]] {
            let target = format!("{into}{}", digests.len());
            let target = if into.starts_with("sqlite") {
                &target
            } else {
                into
            };
            let ran = place.run(&[&moment, source, &["--into", target]].concat());
            if into.starts_with("postgres") && !digests.is_empty() {
                assert!(ran.stderr.contains("LED-063"), "{ran:?}");
                continue;
            }
            let restored = ran.json();
            assert_eq!(restored["restored"]["entries"], count, "{restored}");
            digests.push(restored["digest"].clone());
        }
    }
    assert_eq!(digests.len(), 3);
    assert!(digests.iter().all(|digest| *digest == digests[0]));

    let preview = place.run(&[&moment[..], &["--preview"]].concat()).json();
    let chain = &preview["difference"]["chains"][0];
    assert_eq!(chain["restored"], count, "{preview}");
    assert_eq!(chain["present"], entries.len(), "{preview}");
    let future = ["restore", "--to", "2199-01-01T00:00:00Z", "--preview"];
    let refused = place.run(&[&future[..], &["--data-dir", &data]].concat());
    assert!(refused.stderr.contains("LED-065"), "{refused:?}");
    let left: Vec<_> = fs::read_dir(place.path(""))
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("restoring")
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn acknowledged_is_archived_where_that_is_asked_for() {
    let place = Place::new();
    let node = serve(&place, true);
    call(&place);
    node.kill().unwrap();
    let (url, data) = (url(&place), place.data());
    let status = ["backup", "status", "--archive", &url, "--data-dir", &data];
    let status = place.run(&[&status[..], &["--json"]].concat()).json();
    assert_eq!(status["ok"], true, "{status}");
    assert!(status["entries"].as_u64() >= Some(2), "{status}");
}

#[test]
fn damage_and_wrong_keys_are_named() {
    let place = Place::new();
    lived(&place);
    let (url, data) = (url(&place), place.data());
    let text = format!("airside-vault-1 {}=\n", "A".repeat(43));
    let other = place.write("other.key", &text);
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    let other = other.display().to_string();
    let wrong = ["backup", "verify", "--archive", &url, "--archive-key"];
    let refused = place.run(&[&wrong[..], &[&other]].concat());
    assert!(refused.stderr.contains("LED-053"), "{refused:?}");
    let garbage = place.write("garbage.key", "x");
    let garbage = garbage.display().to_string();
    for (mode, hint) in [(0o644, "chmod 600"), (0o600, "or a copy")] {
        fs::set_permissions(&garbage, fs::Permissions::from_mode(mode)).unwrap();
        let refused = place.run(&[&wrong[..], &[&garbage]].concat());
        assert!(refused.stderr.contains("LED-083"), "{refused:?}");
        assert!(refused.stderr.contains(&garbage), "{refused:?}");
        assert!(refused.stderr.contains(hint), "{refused:?}");
    }
    let nowhere = format!("file://{}", place.path("nowhere").display());
    let verify = ["backup", "verify", "--data-dir", &data, "--archive"];
    let refused = place.run(&[&verify[..], &[&nowhere]].concat());
    assert!(refused.stderr.contains("LED-052"), "{refused:?}");
    assert!(!place.path("nowhere").exists());

    let manifest = place
        .path("archive")
        .join(format!("manifest/{:020}.json", 1));
    let mut bytes = fs::read(&manifest).unwrap();
    bytes[40] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    let damaged = place.run(&[&verify[..], &[&url]].concat());
    assert_eq!(damaged.code, Some(6), "{damaged:?}");
    assert!(damaged.stderr.contains("LED-056"), "{damaged:?}");
    assert!(
        damaged
            .stderr
            .contains("manifest/00000000000000000001.json")
    );
}
