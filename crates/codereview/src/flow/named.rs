//! What names of functions and values say of checks.

use crate::rules::Rules;

use super::value::{ALL, Clean};

/// Words in the names of functions that check.
const WORDS: [&str; 17] = [
    "valid",
    "sanit",
    "allow",
    "permit",
    "safe",
    "verify",
    "ensure",
    "assert",
    "authoriz",
    "confine",
    "within",
    "inside",
    "restrict",
    "guard",
    "isprivate",
    "check",
    "isinternal",
];
/// Names that hold a word of those and check nothing.
const OTHERS: [&str; 23] = [
    "checkout",
    "checkpoint",
    "checksum",
    "checkbox",
    "invalidat",
    "writeable",
    "writable",
    "readable",
    "exist",
    "available",
    "installed",
    "connection",
    "connectivity",
    "health",
    "version",
    "forupdate",
    "status",
    "empty",
    "syntax",
    // They make a value of a type, and say nothing of where an address leads.
    "validatepython",
    "validatejson",
    "validatestrings",
    "modelvalidate",
];
/// Endings of names that check a shape, not a value.
const SHAPES: [&str; 10] = [
    "args",
    "arguments",
    "params",
    "parameters",
    "schema",
    "input",
    "inputs",
    "request",
    "type",
    "config",
];

/// Words in the names of checks, and the classes that these checks are about. A path that
/// was checked is still no part of a command line.
const SUBJECTS: [(&[&str], &[&str]); 4] = [
    (&["path", "dir", "file", "folder"], &["path-traversal"]),
    (
        &[
            "url", "uri", "host", "origin", "domain", "address", "ssrf", "private", "internal",
        ],
        &["ssrf"],
    ),
    (
        &["sql", "query", "table", "column", "identifier"],
        &["sql-injection"],
    ),
    (
        &["shell", "command", "cmd", "flag", "option"],
        &["command-injection", "argument-injection"],
    ),
];

/// Returns what a check of this name makes values clean of.
pub(super) fn cleans(rules: &Rules, name: &str) -> Clean {
    let name = name.to_ascii_lowercase();
    let subjects = SUBJECTS
        .iter()
        .filter(|(words, _)| words.iter().any(|word| name.contains(word)));
    let classes = subjects.flat_map(|(_, classes)| classes.iter());
    let mut bits = classes.fold(0, |bits, class| bits | rules.class_bit(class));
    // A list of hosts, for all that the name says, unless it speaks of where addresses lead.
    let asks = ["private", "public", "safe", "ssrf", "internal", "blocked"];
    if bits & rules.class_bit("ssrf") != 0 && !asks.iter().any(|word| name.contains(word)) {
        bits |= rules.host_bits();
    }
    match SUBJECTS
        .iter()
        .any(|(words, _)| words.iter().any(|word| name.contains(word)))
    {
        true => bits,
        false => ALL,
    }
}

/// Returns what a function of this name makes values clean of by writing them as a text of
/// another language: `escapeIdentifier`, `quote_table`, `shellEscape`.
pub(super) fn quotes(rules: &Rules, name: &str) -> Clean {
    const OF: [(&[&str], &[&str]); 4] = [
        (
            &[
                "shell",
                "arg",
                "cmd",
                "command",
                "bash",
                "posix",
                "script",
                "powershell",
            ],
            &["command-injection"],
        ),
        (
            &[
                "sql", "ident", "table", "column", "literal", "schema", "field", "name",
            ],
            &["sql-injection", "query-injection"],
        ),
        (
            &[
                "jql", "cql", "cypher", "query", "graphql", "odata", "filter", "lucene", "kql",
                "aql", "xpath", "imap", "ldap", "soql",
            ],
            &["sql-injection", "query-injection"],
        ),
        (&["uri", "url"], &["ssrf"]),
    ];
    let name = name.to_ascii_lowercase().replace('_', "");
    let is_one = ["escape", "quote", "encode"];
    let is_back = [
        "unescape", "unquote", "decode", "quoted", "escaped", "isquote", "strip", "remove", "trim",
    ];
    if !is_one.iter().any(|word| name.contains(word))
        || is_back.iter().any(|word| name.contains(word))
    {
        return 0;
    }
    let classes = match &*name {
        // Of a value as such.
        "escape" | "quote" | "escapevalue" | "quotevalue" | "escapestring" | "quotestring" => {
            &["sql-injection", "query-injection"][..]
        }
        // It leaves the host of an address as it is.
        "encodeuri" | "encodeurl" => &[][..],
        name => {
            let of = OF
                .iter()
                .find(|(words, _)| words.iter().any(|word| name.contains(word)));
            of.map_or(&[][..], |(_, classes)| classes)
        }
    };
    classes
        .iter()
        .fold(0, |bits, class| bits | rules.class_bit(class))
}

/// Returns whether a function of this name checks values.
pub(super) fn is_check(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "");
    let shape = SHAPES.iter().any(|end| name.ends_with(end));
    let other = OTHERS.iter().any(|word| name.contains(word));
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    // A list of what must not be reached bounds addresses and paths, and no command.
    let refuses = has(&["blocked", "forbidden", "disallowed", "denied"])
        && has(&["url", "host", "domain", "addr", "path"]);
    !shape && !other && (refuses || has(&WORDS))
}

/// Returns whether a member of what a check gave tells that it holds, or that it does not.
pub(super) fn tells(member: &str) -> Option<bool> {
    match member {
        "valid" | "isValid" | "ok" | "success" | "allowed" | "safe" | "isSafe" | "is_valid"
        | "isAllowed" => Some(true),
        "error" | "reason" | "message" | "err" | "errors" | "violation" | "problem" => Some(false),
        _ => None,
    }
}

/// Returns whether a name stands for what is wrong: `const error = validateUrl(url)`.
pub(super) fn names_fault(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "err",
        "error",
        "problem",
        "reason",
        "violation",
        "issue",
        "failure",
        "invalid",
    ]
    .iter()
    .any(|word| name == *word || name.ends_with(word))
}

/// Returns whether a name stands for a folder that others have to be below.
pub(super) fn names_folder(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = [
        "dir",
        "directory",
        "root",
        "base",
        "folder",
        "workspace",
        "parent",
    ];
    ends.iter().any(|end| name.ends_with(end))
}
