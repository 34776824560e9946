//! Replacements that leave only listed characters in a text.
//!
//! # Invariants
//!
//! * A text is clean of a class only if no listed character matters to it.

use super::value::Clean;
use crate::rules::Rules;

/// Returns what a text is clean of after everything was replaced that `pattern` matches:
/// `[^a-z0-9]`, with or without slashes and flags around.
pub(super) fn cleans(rules: &Rules, pattern: &str) -> Clean {
    let Some(listed) = listed(pattern) else {
        return 0;
    };
    let has = |one: &[char]| listed.contains(one);
    let shell = [
        ';', '|', '&', '`', '$', '<', '>', '(', ')', '{', '}', '\'', '"', '*', '?', '!', '~', '#',
        '\n',
    ];
    let bits = |classes: &[&str]| {
        let bits = classes.iter().map(|class| rules.class_bit(class));
        bits.fold(0, |all, bit| all | bit)
    };
    let mut clean = 0;
    if !has(&shell) && !has(&['\\']) {
        clean |= bits(&[
            "command-injection",
            "code-injection",
            "sql-injection",
            "query-injection",
        ]);
    }
    if !has(&['/', '\\']) {
        clean |= bits(&["path-traversal"]);
    }
    if !has(&['/', ':', '.']) {
        clean |= bits(&["ssrf"]);
    }
    if !has(&['-']) {
        clean |= bits(&["argument-injection"]);
    }
    clean
}

/// Programs that command lines begin with.
const PROGRAMS: [&str; 86] = [
    "adb",
    "apt",
    "apt-get",
    "aws",
    "awk",
    "az",
    "bash",
    "brew",
    "cargo",
    "cat",
    "cd",
    "chmod",
    "chown",
    "cmd",
    "cmd.exe",
    "cp",
    "curl",
    "cut",
    "dd",
    "df",
    "dig",
    "docker",
    "du",
    "echo",
    "env",
    "ffmpeg",
    "find",
    "gcloud",
    "gdb",
    "gh",
    "git",
    "go",
    "grep",
    "head",
    "helm",
    "java",
    "journalctl",
    "kill",
    "kubectl",
    "ln",
    "ls",
    "lsof",
    "make",
    "mkdir",
    "mv",
    "mysql",
    "nc",
    "netstat",
    "nmap",
    "node",
    "npm",
    "npx",
    "nslookup",
    "osascript",
    "ping",
    "pip",
    "pip3",
    "pkill",
    "pnpm",
    "powershell",
    "ps",
    "psql",
    "python",
    "python3",
    "rm",
    "rmdir",
    "rsync",
    "scp",
    "screen",
    "sed",
    "sh",
    "skopeo",
    "ssh",
    "stat",
    "sudo",
    "systemctl",
    "tail",
    "tar",
    "tee",
    "terraform",
    "tmux",
    "touch",
    "unzip",
    "uv",
    "wget",
    "xcrun",
];

/// Returns whether a text begins as a command line does: `git log `, `/usr/bin/tar -x`.
pub(super) fn is_command_line(lead: &str) -> bool {
    // The command that counts is the one before the value.
    let last = lead.rsplit(['&', '|', ';', '\n']).next();
    let mut words = last.unwrap_or(lead).split_whitespace().peekable();
    let first = words.next().unwrap_or("");
    let has_more = words.peek().is_some() || lead.ends_with([' ', '"', '\'']);
    let name = first.rsplit('/').next().unwrap_or(first);
    let is_program = PROGRAMS.contains(&name) || first.starts_with(['/', '.']) && !name.is_empty();
    // Whatever begins it, options follow the name of a program.
    let has_option = |word: &str| {
        let name = word.trim_start_matches('-');
        let dashes = word.len() - name.len();
        matches!(dashes, 1 | 2) && name.starts_with(|one: char| one.is_ascii_alphabetic())
    };
    has_more && is_program || first == "\u{fffd}" && words.any(has_option)
}

/// Returns the special characters that `pattern` leaves; none if it is of another form.
fn listed(pattern: &str) -> Option<String> {
    let pattern = match pattern.strip_prefix('/') {
        Some(rest) => {
            let (inner, flags) = rest.rsplit_once('/')?;
            flags.contains('g').then_some(inner)?
        }
        None => pattern,
    };
    let inner = pattern.strip_prefix("[^")?;
    let inner = inner.strip_suffix('+').unwrap_or(inner).strip_suffix(']')?;
    let mut listed = String::new();
    let mut at = inner.chars().peekable();
    let mut before = None;
    while let Some(one) = at.next() {
        match one {
            '\\' => match at.next()? {
                'w' | 'd' | 'p' => {}
                's' => listed.push('\n'),
                'W' | 'D' | 'S' => return None,
                other => listed.push(other),
            },
            // Between two characters it is a range: `a-z`, but not `0-/`.
            '-' if before.is_some() && at.peek().is_some() => {
                let (from, to) = (before?, *at.peek()?);
                let is_plain = |set: fn(&char) -> bool| set(&from) && set(&to);
                if !is_plain(char::is_ascii_lowercase)
                    && !is_plain(char::is_ascii_uppercase)
                    && !is_plain(char::is_ascii_digit)
                {
                    return None;
                }
            }
            ']' => return None,
            other if other.is_ascii_alphanumeric() => {}
            other => listed.push(other),
        }
        before = Some(one).filter(|one| *one != '\\');
    }
    Some(listed)
}

#[cfg(test)]
mod tests {
    use super::{is_command_line, listed};

    #[test]
    fn command_lines_begin_with_a_program() {
        for lead in [
            "git log ",
            "cat \"",
            "cd /srv && tar -xf ",
            "/opt/tool --name=",
            "\u{fffd} inspect --raw ",
        ] {
            assert!(is_command_line(lead), "{lead}");
        }
        for lead in [
            "git",
            "select * from ",
            "find",
            "\u{fffd} of ",
            "Cat pictures of ",
            "\u{fffd} - ",
        ] {
            assert!(!is_command_line(lead), "{lead}");
        }
    }

    #[test]
    fn only_lists_of_what_stays_are_read() {
        assert_eq!(listed("/[^a-zA-Z0-9]/g").as_deref(), Some(""));
        assert_eq!(listed("[^a-zA-Z0-9._-]+").as_deref(), Some("._-"));
        assert_eq!(listed(r"/[^\w\-\/]/gi").as_deref(), Some("-/"));
        // One match alone is replaced.
        assert_eq!(listed("/[^a-z]/"), None);
        assert_eq!(listed("/[a-z]/g"), None);
        assert_eq!(listed("/[^ -~]/g"), None);
        assert_eq!(listed("[^a-z][0-9]"), None);
    }
}
