//! The rules of the scan.

use airside_base::{Rule, Severity};

/// All rules, sorted by their ids, which are stable.
pub static RULES: [Rule; 17] = [
    Rule::new(
        "auto-approved",
        Severity::Medium,
        "Tools are called without asking a person",
        "Approve tools by name, and only those that read.",
    ),
    Rule::new(
        "broad-bind",
        Severity::High,
        "A server listens on every address of the machine",
        "Bind to 127.0.0.1; publish ports of containers as 127.0.0.1:PORT:PORT.",
    ),
    Rule::new(
        "cross-reference",
        Severity::High,
        "A tool speaks of a tool of another server",
        "Read the text: a tool has no business with those of others.",
    ),
    Rule::new(
        "differs-by-era",
        Severity::Medium,
        "A server says other things to clients of the other era",
        "Compare both lists: what was reviewed may not be what a client sees.",
    ),
    Rule::new(
        "dns-rebinding",
        Severity::High,
        "A page in a browser may reach the server",
        "Let the server refuse foreign Host and Origin headers with 403.",
    ),
    Rule::new(
        "hidden-text",
        Severity::High,
        "A text has characters that people do not see",
        "Do not use the server before somebody has explained them.",
    ),
    Rule::new(
        "no-authentication",
        Severity::Medium,
        "A remote server is used without credentials",
        "Let the server demand a token, and answer 401 with a pointer to its metadata.",
    ),
    Rule::new(
        "plain-http",
        Severity::High,
        "Calls travel in the clear",
        "Use https.",
    ),
    Rule::new(
        "poisoning",
        Severity::Critical,
        "A text speaks to the model instead of describing the tool",
        "Do not use the server before somebody has read the text.",
    ),
    Rule::new(
        "privileged-container",
        Severity::High,
        "A container has rights over the machine",
        "Drop --privileged, host networks, the socket of the engine and mounts of / or home.",
    ),
    Rule::new(
        "secret",
        Severity::High,
        "A secret stands in the file",
        "Let the client ask for it (inputs) or take it from the environment or a keychain, and replace it.",
    ),
    Rule::new(
        "shadowing",
        Severity::Medium,
        "Tools of several servers have the same or nearly the same name",
        "Rename one, or put the servers behind a gateway that gives each its prefix.",
    ),
    Rule::new(
        "shell-launch",
        Severity::High,
        "A server is started through a shell or from code in the file",
        "Name the program and its arguments.",
    ),
    Rule::new(
        "unchecked-certificate",
        Severity::High,
        "Certificates of servers are not checked",
        "Trust the authority that issued the certificate instead.",
    ),
    Rule::new(
        "unpinned",
        Severity::Medium,
        "What is started can change without notice",
        "Name an exact version, for containers a digest.",
    ),
    Rule::new(
        "unreachable",
        Severity::Low,
        "A server could not be asked",
        "See the message; the rest of the scan stands.",
    ),
    Rule::new(
        "unreadable",
        Severity::Low,
        "Something cannot be read without doubt",
        "Repair it: programs may read different things in it.",
    ),
];

/// Returns the rule of this id.
///
/// # Panics
///
/// When there is none: ids are written in this crate and its callers, and tested.
#[must_use]
pub fn rule(id: &str) -> &'static Rule {
    let found = RULES.iter().find(|rule| rule.id == id);
    found.expect("the id is one of the rules")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_sorted_and_have_one_id_each() {
        assert!(RULES.is_sorted_by(|one, next| one.id < next.id));
        assert_eq!(rule("plain-http").severity, Severity::High);
    }
}
