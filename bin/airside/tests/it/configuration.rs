//! Configuration files, good and bad.

use crate::run::Place;

/// Returns what `airside config check` prints about a file of this text.
fn check(text: &str) -> String {
    let place = Place::new();
    place.write("airside.toml", text);
    let ran = place.run(&["config", "check", "airside.toml"]);
    format!(
        "exit {}\n{}{}",
        ran.code.unwrap_or(-1),
        ran.stdout,
        ran.stderr
    )
}

/// A file with nothing wrong, to which `more` is added.
fn good(more: &str) -> String {
    format!(
        "{more}\n[[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\n\
         [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n"
    )
}

#[test]
fn good_file_is_good() {
    insta::assert_snapshot!(check(&good("")));
}

#[test]
fn what_is_misspelt_is_found() {
    insta::assert_snapshot!(
        "unknown_key",
        check("[listen]\nadress = \"127.0.0.1:7400\"\n")
    );
    insta::assert_snapshot!("unknown_table", check("[upstreams]\nname = \"a\"\n"));
    insta::assert_snapshot!(
        "unknown_key_in_list",
        check(&good(
            "[[identity.api-key]]\nname = \"a\"\nsha-256 = \"00\"\n"
        ))
    );
    insta::assert_snapshot!(
        "unknown_value",
        check(&good("[recording]\nwhen-full = \"refused\"\n"))
    );
    insta::assert_snapshot!("far_from_anything", check("[zebra]\n"));
}

#[test]
fn what_cannot_be_read_is_placed() {
    insta::assert_snapshot!("not_toml", check("[listen]\naddress = 127.0.0.1\n"));
    insta::assert_snapshot!("twice", check("[listen]\n[listen]\n"));
    insta::assert_snapshot!("wrong_type", check(&good("[listen]\n\tthreads = \"ä\"\n")));
    insta::assert_snapshot!("wrong_name", check("[[upstream]]\nname = \"Hotels_EU\"\n"));
    insta::assert_snapshot!(
        "missing_key",
        check("[[upstream]]\nurl = \"https://a.example\"\n")
    );
    insta::assert_snapshot!("empty", check(""));
}

#[test]
fn unsafe_combinations_are_refused() {
    insta::assert_snapshot!(
        "anonymous_for_the_world",
        check(&good(
            "[listen]\naddress = \"0.0.0.0:7400\"\n[identity]\nanonymous-loopback = true\n"
        ))
    );
    insta::assert_snapshot!(
        "several_at_once",
        check(
            "[[upstream]]\nname = \"hotels\"\nurl = \"http://hotels.example/mcp\"\n\
             [[upstream]]\nname = \"hotels\"\nbuiltin = \"trvel\"\n\
             [[upstream]]\nname = \"both\"\nbuiltin = \"travel\"\nurl = \"https://a.example\"\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"hotel\"]\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = []\n"
        )
    );
    insta::assert_snapshot!(
        "control_for_the_world",
        check(&good("[control]\naddress = \"192.0.2.1:7400\"\n"))
    );
    insta::assert_snapshot!("zero_limit", check(&good("[listen]\nmax-body-bytes = 0\n")));
}

#[test]
fn certificates_need_files_and_a_way_to_be_shown() {
    let found = |more: &str, code: &str| {
        let shown = check(&good(more));
        assert!(
            shown.starts_with("exit 3") && shown.contains(code),
            "{shown}"
        );
    };
    let tls = "[listen.tls]\ncertificate-file = \"a.pem\"\nkey-file = \"a.key\"\n";
    found(tls, "CFG-030");
    let required = format!("{tls}client-certificates = \"required\"\n");
    found(&required, "CFG-031");
    let platform = "[[identity.certificate]]\nname = \"a\"\nca-file = \"ca.pem\"\n";
    found(platform, "CFG-031");
    found(platform, "ID-065");
    found("[identity.proxy]\naddresses = [\"0.0.0.0/0\"]\n", "ID-068");
    found(
        "[identity.proxy]\nclient-address = \"forwarded\"\n",
        "ID-068",
    );
}

#[test]
fn signers_and_ranges_are_checked_with_the_file() {
    let found = |more: &str, code: &str| {
        let shown = check(&good(more));
        assert!(
            shown.starts_with("exit 3") && shown.contains(code),
            "{shown}"
        );
    };
    let agent = |url: &str| format!("[[identity.agent]]\nname = \"a\"\nurl = \"{url}\"\n");
    found(&agent("http://agent.example"), "ID-066");
    found(&agent("https://agent.example/path"), "ID-066");
    let key = "[[identity.signing-key]]\nname = \"a\"\nkey-id = \"1\"\nalgorithm = \"ed25519\"\nfile = \"missing\"\n";
    found(key, "ID-066");
    found("[identity.signature]\nmax-validity-s = 0\n", "ID-066");
    let range = |rest: &str| format!("[[identity.ip-range]]\nname = \"a\"\n{rest}\n");
    found(&range(""), "ID-067");
    found(&range("addresses = [\"0.0.0.0/0\"]"), "ID-067");
    found(
        &range("url = \"http://platform.example/list.json\""),
        "ID-067",
    );
}

#[test]
fn credentials_for_servers_are_checked_with_the_file() {
    let found = |url: &str, auth: &str, code: &str| {
        let text = format!(
            "[[upstream]]\nname = \"hotels\"\nurl = \"{url}\"\n{auth}\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"hotels\"]\n"
        );
        let shown = check(&text);
        assert!(
            shown.starts_with("exit 3") && shown.contains(code),
            "{shown}"
        );
    };
    let https = "https://hotels.example/mcp";
    let secret = "[upstream.auth.secret]\nfile = \"missing\"";
    found(https, secret, "CFG-033");
    let plain = format!("allow-plain-http = true\n{secret}");
    found("http://hotels.example/mcp", &plain, "CFG-032");
    found(
        https,
        "[upstream.auth.secret]\nheader = \"x-key\"",
        "CFG-032",
    );
    found(https, "[upstream.auth]", "CFG-032");
}

#[test]
fn policies_are_checked_with_the_file() {
    let place = Place::new();
    place.write("airside.toml", &good("[policy]\nfiles = [\"a.cedar\"]\n"));
    let absent = place.run(&["config", "check", "airside.toml"]);
    assert_eq!(absent.code, Some(3));
    insta::assert_snapshot!("policy_absent", absent.stderr);
    place.write(
        "a.cedar",
        "@id(\"x\")\npermit(principal, action, resource)\n",
    );
    let broken = place.run(&["config", "check", "airside.toml"]);
    assert_eq!(broken.code, Some(3));
    insta::assert_snapshot!("policy_broken", broken.stderr);
    place.write(
        "a.cedar",
        "@id(\"x\")\npermit(principal, action, resource);\n",
    );
    place.run(&["config", "check", "airside.toml"]).ok();
}

#[test]
fn hostile_file_cannot_drive_the_terminal() {
    let shown = check("\"\\u001b[2Jx\u{202e}\" = 1\n");
    let harmless = |c: char| c == '\n' || !c.is_control();
    assert!(
        shown.chars().all(harmless) && !shown.contains('\u{202e}'),
        "{shown:?}"
    );
}

#[test]
fn secret_of_a_program_is_not_shown() {
    let upstream = |env: &str| format!("[[upstream]]\nname = \"a\"\ncommand = [\"a\"]\n{env}\n");
    for env in [
        "env = \"hunter2\"",
        "env = { TOKEN = [\"hunter2\"] }",
        "[upstream.env]\nTOKEN = [\"hunter2\"]",
        "env = { TOKEN = \"hunter2 }",
        "[upstream.env]\nTOKEN = \"a\" \"hunter2\"",
        "nev = { TOKEN = \"hunter2\" }",
    ] {
        let shown = check(&upstream(env));
        assert!(shown.starts_with("exit 3\n"), "{shown}");
        assert!(!shown.contains("hunter2"), "{env}: {shown}");
    }
}

#[test]
fn generated_documents_are_current() {
    let place = Place::new();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    for (arguments, file) in [
        (&["config", "schema"][..], "airside.schema.json"),
        (&["config", "schema", "--markdown"], "configuration.md"),
    ] {
        let committed = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
        let now = place.run(arguments).ok();
        let command = arguments.join(" ");
        assert!(
            committed == now,
            "docs/{file} is old: airside {command} > docs/{file}"
        );
    }
}
