//! What comes in from outside is wrong, hostile or not there.

use std::process::Command;

use crate::run::{BINARY, Place, Ran};

fn git(place: &Place, arguments: &[&str]) {
    let ran = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(arguments)
        .current_dir(place.path("."))
        .output()
        .expect("git runs");
    assert!(ran.status.success(), "{ran:?}");
}

/// Checks that a command fails with `code`, a cause and a hint.
fn refused(ran: &Ran, code: &str, cause: &str) {
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(&format!("error[{code}]")), "{ran:?}");
    assert!(ran.stderr.contains(cause), "{cause}: {ran:?}");
    let last = ran.stderr.trim_end().lines().last().unwrap_or("");
    assert!(last.starts_with("hint: "), "{ran:?}");
}

#[test]
fn folder_without_a_repository_or_a_commit_is_told_so() {
    let place = Place::new();
    place.write("a.py", "x = 1\n");
    let change = ["review", "change", "--base", "HEAD"];
    refused(&place.run(&change), "REV-060", "in no git repository");
    refused(
        &place.run(&["review", "absent", "--base", "HEAD"]),
        "REV-013",
        "no folder absent",
    );
    // Without git on the path.
    let bare = Command::new(BINARY)
        .args(change)
        .current_dir(place.path("."))
        .env("PATH", place.path("."))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&bare.stderr).into_owned();
    assert!(
        said.contains("REV-060") && said.contains("no program git"),
        "{said}"
    );
    git(&place, &["init", "-q"]);
    refused(&place.run(&change), "REV-011", "no revision `HEAD`");
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    let lot = [&change[..], &["--format", "lot", "--repository", "r"]].concat();
    refused(&place.run(&lot), "REV-019", "no commit since HEAD");
}

#[test]
fn revisions_that_are_none_are_named_and_not_obeyed() {
    let place = Place::new();
    git(&place, &["init", "-q"]);
    place.write("a.py", "x = 1\n");
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    for revision in [
        "nowhere",
        "",
        "--help",
        "--output=pwned",
        "-x",
        "HEAD~99",
        "a..b",
        "$(touch pwned)",
        "HEAD; touch pwned",
        "HEAD\nx",
        "HEAD:a.py",
        "HEAD^{tree}",
        "refs/heads/*",
        "\u{1b}[2J",
    ] {
        let base = format!("--base={revision}");
        let ran = place.run(&["review", &base]);
        refused(&ran, "REV-011", "the repository has no revision");
        assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
    }
    assert!(!place.path("pwned").exists());
}

const HOSTILE: &str = "import os\n@mcp.tool()\ndef f(x):\n    os.system(x)\n";

#[test]
fn hostile_names_and_messages_stay_texts() {
    let place = Place::new();
    git(&place, &["init", "-q"]);
    place.write("a.py", "x = 1\n");
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    let names = [
        "\u{1b}[2Ja\n| b |<img src=x onerror=alert(1)>.py",
        "`$(touch pwned)`;touch pwned;.py",
        "--help.py",
        "\u{202e}yp.exe@all[x](javascript:x).py",
        "\"quoted\" \\back.py",
    ];
    for name in names {
        place.write(name, HOSTILE);
    }
    place.write("binary.py", "x = 1\0");
    git(&place, &["add", "."]);
    let message =
        "\u{1b}[31mtwo <img src=x> @all ![](https://e.example)\n\nAssisted-by: `<b>\u{202e}";
    git(&place, &["commit", "-qm", message]);
    for format in [
        &["review", "--base", "HEAD~1"][..],
        &["review", "--base", "HEAD~1", "--format", "markdown"],
        &["review", "change", "--base", "HEAD~1"],
    ] {
        let ran = place.run(format);
        for part in ["\u{1b}", "\u{202e}", "![]("] {
            assert!(!ran.stdout.contains(part), "{part:?}: {ran:?}");
        }
        // Of code spans no markup comes, outside of them none is left.
        for line in ran.stdout.lines().filter(|_| format.contains(&"markdown")) {
            let outside: String = line.split('`').step_by(2).collect();
            let is_ours = |text: &str| text.replace("<br>", "").replace("<!--", "");
            assert!(!is_ours(&outside).contains('<'), "{line}");
        }
        assert!(ran.stdout.contains("binary"), "{ran:?}");
    }
    let sarif = place.run(&["review", "--format", "sarif", "--fail-on", "none"]);
    let sarif = sarif.json();
    let results = sarif["runs"][0]["results"].as_array().expect("it is there");
    assert_eq!(results.len(), names.len());
    for result in results {
        let at = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        let uri = at.as_str().expect("it has a place");
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"`\\".contains(&byte);
        assert!(uri.bytes().all(plain), "{uri}");
    }
    let record = [
        "review",
        "--record",
        "--repository",
        "r",
        "--data-dir",
        "data",
    ];
    let recorded = place.run(&record);
    assert!(recorded.stdout.contains("5 opened"), "{recorded:?}");
    let listed = place.run(&["review", "findings", "--data-dir", "data"]);
    assert!(
        !listed.stdout.contains(['\u{1b}', '\u{202e}']),
        "{listed:?}"
    );
    let page = place.run(&["review", "page", "--data-dir", "data"]).ok();
    for part in ["<img", "\u{1b}", "\u{202e}", "<script"] {
        assert!(!page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("5 findings open"), "{page}");
    assert!(
        page.contains("&lt;img src=x onerror=alert(1)&gt;"),
        "{page}"
    );
    assert!(!place.path("pwned").exists());
}
