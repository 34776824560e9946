//! Credentials.
//!
//! # Invariants
//!
//! * A prefix alone is no secret: what follows has the characters and the length that
//!   the issuer documents, and is not a placeholder (`ghp_xxxxxxxx…`).

use std::{ops::Range, sync::LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use regex::bytes::Regex;

use crate::rule::{Group, Rule};

static PRIVATE_KEY: Rule = secret("secret.private-key", "a private key in PEM");
static JWT: Rule = secret("secret.jwt", "a JSON Web Token");
static URL: Rule = secret("secret.url-password", "a password in a URL");
static ASSIGNED: Rule = secret(
    "secret.assigned",
    "a random value that is given a name such as password or api_key",
);
static CLOUD: Rule = secret("secret.cloud", "a key of a cloud provider");
static CODE: Rule = secret("secret.code-host", "a token of a code host or registry");
static MESSAGING: Rule = secret("secret.messaging", "a token of a messaging service");
static MODEL: Rule = secret("secret.model", "a key of a model provider");
static PAYMENT: Rule = secret("secret.payment", "a key of a payment provider");
static SERVICE: Rule = secret("secret.service", "a token of a hosted service");

pub(crate) const RULES: [&Rule; 10] = [
    &PRIVATE_KEY,
    &JWT,
    &URL,
    &ASSIGNED,
    &CLOUD,
    &CODE,
    &MESSAGING,
    &MODEL,
    &PAYMENT,
    &SERVICE,
];

const fn secret(id: &'static str, about: &'static str) -> Rule {
    Rule::new(id, Group::Secret, about)
}

/// How a token of an issuer looks behind its prefix.
struct Token {
    prefix: &'static str,
    rule: &'static Rule,
    /// Characters beside letters and digits.
    also: &'static [u8],
    len: Range<usize>,
}

const fn token(
    prefix: &'static str,
    rule: &'static Rule,
    also: &'static [u8],
    from: usize,
    to: usize,
) -> Token {
    Token {
        prefix,
        rule,
        also,
        len: from..to + 1,
    }
}

const NONE: &[u8] = b"";
const URL_SAFE: &[u8] = b"-_";
const BASE64: &[u8] = b"+/=";

/// As their issuers describe them, or as their own scanners look for them.
static TOKENS: [Token; 49] = [
    token("AKIA", &CLOUD, NONE, 16, 16),
    token("ASIA", &CLOUD, NONE, 16, 16),
    token("AIza", &CLOUD, URL_SAFE, 35, 35),
    token("ya29.", &CLOUD, URL_SAFE, 30, 512),
    token("GOCSPX-", &CLOUD, URL_SAFE, 28, 28),
    token("AccountKey=", &CLOUD, BASE64, 80, 90),
    token("dop_v1_", &CLOUD, NONE, 64, 64),
    token("doo_v1_", &CLOUD, NONE, 64, 64),
    token("hvs.", &CLOUD, URL_SAFE, 24, 256),
    token("LTAI", &CLOUD, NONE, 17, 22),
    token("ghp_", &CODE, NONE, 36, 255),
    token("gho_", &CODE, NONE, 36, 255),
    token("ghu_", &CODE, NONE, 36, 255),
    token("ghs_", &CODE, NONE, 36, 255),
    token("ghr_", &CODE, NONE, 36, 255),
    token("github_pat_", &CODE, b"_", 60, 255),
    token("glpat-", &CODE, URL_SAFE, 20, 64),
    token("gldt-", &CODE, URL_SAFE, 20, 64),
    token("npm_", &CODE, NONE, 36, 36),
    token("pypi-AgE", &CODE, URL_SAFE, 50, 512),
    token("dckr_pat_", &CODE, URL_SAFE, 27, 64),
    token("rubygems_", &CODE, NONE, 48, 48),
    token("ATATT3", &CODE, b"-_=", 60, 512),
    token("xoxb-", &MESSAGING, b"-", 20, 255),
    token("xoxp-", &MESSAGING, b"-", 20, 255),
    token("xoxa-", &MESSAGING, b"-", 20, 255),
    token("xoxr-", &MESSAGING, b"-", 20, 255),
    token("xapp-", &MESSAGING, b"-", 20, 255),
    token("hooks.slack.com/services/", &MESSAGING, b"/", 40, 80),
    token("discord.com/api/webhooks/", &MESSAGING, b"/-_", 60, 120),
    token("SG.", &MESSAGING, b"-_.", 66, 66),
    token("xkeysib-", &MESSAGING, b"-", 64, 96),
    token("sk-ant-", &MODEL, URL_SAFE, 32, 256),
    token("sk-proj-", &MODEL, URL_SAFE, 32, 256),
    token("sk-or-v1-", &MODEL, NONE, 64, 64),
    token("sk-", &MODEL, URL_SAFE, 40, 200),
    token("hf_", &MODEL, NONE, 34, 40),
    token("gsk_", &MODEL, NONE, 52, 56),
    token("r8_", &MODEL, NONE, 37, 40),
    token("sk_live_", &PAYMENT, NONE, 24, 255),
    token("rk_live_", &PAYMENT, NONE, 24, 255),
    token("whsec_", &PAYMENT, BASE64, 32, 64),
    token("sq0csp-", &PAYMENT, URL_SAFE, 43, 43),
    token("shpat_", &PAYMENT, NONE, 32, 32),
    token("glsa_", &SERVICE, b"_", 41, 41),
    token("lin_api_", &SERVICE, NONE, 40, 40),
    token("NRAK-", &SERVICE, NONE, 27, 27),
    token("PMAK-", &SERVICE, b"-", 59, 59),
    token("AGE-SECRET-KEY-1", &SERVICE, NONE, 58, 58),
];

/// What else is looked at more closely.
const MARKS: [&str; 10] = [
    "PRIVATE KEY",
    "eyJ",
    "://",
    "secret",
    "passw",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
];

static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let prefixes = TOKENS.iter().map(|token| token.prefix).chain(MARKS);
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .ascii_case_insensitive(true)
        .build(prefixes)
        .expect("few constants")
});

static PASSWORDS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@]{1,64}:([^\s:/@]{3,128})@";
    Regex::new(&format!("(?-u){pattern}")).expect("a constant")
});
static ASSIGNMENTS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?:secret|password|passwd|token|api[_-]?key|access[_-]?key)[A-Za-z0-9_-]{0,20}["']?\s{0,3}(?:[:=]|=>)\s{0,3}["']?([A-Za-z0-9+/=_~.-]{16,200})"#;
    Regex::new(&format!("(?i-u){pattern}")).expect("a constant")
});

/// Compiles what is looked for.
pub(crate) fn prepare() {
    LazyLock::force(&FINDER);
    LazyLock::force(&PASSWORDS);
    LazyLock::force(&ASSIGNMENTS);
}

/// Calls `hit` with every credential in `text`.
pub(crate) fn find(text: &str, mut hit: impl FnMut(&'static Rule, Range<usize>)) {
    let bytes = text.as_bytes();
    let (mut urls, mut assignments, mut done) = (false, false, 0);
    for found in FINDER.find_iter(bytes) {
        if found.start() < done {
            continue;
        }
        let secret = match TOKENS.get(found.pattern().as_usize()) {
            Some(token) => token
                .at(bytes, found.start())
                .map(|span| (token.rule, span)),
            None => match found.pattern().as_usize() - TOKENS.len() {
                0 => private_key(bytes, found.start()).map(|span| (&PRIVATE_KEY, span)),
                1 => jwt(bytes, found.start()).map(|span| (&JWT, span)),
                2 => {
                    urls = true;
                    None
                }
                _ => {
                    assignments = true;
                    None
                }
            },
        };
        if let Some((rule, span)) = secret {
            done = span.end;
            hit(rule, span);
        }
    }
    if urls {
        each(&PASSWORDS, bytes, |span| hit(&URL, span));
    }
    if assignments {
        each(&ASSIGNMENTS, bytes, |span| {
            if is_random(&bytes[span.clone()]) {
                hit(&ASSIGNED, span);
            }
        });
    }
}

fn each(regex: &Regex, bytes: &[u8], mut found: impl FnMut(Range<usize>)) {
    for captures in regex.captures_iter(bytes) {
        if let Some(group) = captures.get(1)
            && !is_placeholder(group.as_bytes())
        {
            found(group.range());
        }
    }
}

impl Token {
    fn at(&self, bytes: &[u8], start: usize) -> Option<Range<usize>> {
        let body = start + self.prefix.len();
        // The finder ignores case, and a prefix within a word is none.
        let exact = bytes[start..body] == *self.prefix.as_bytes();
        let in_word = bytes[..start].last().is_some_and(u8::is_ascii_alphanumeric);
        if !exact || in_word {
            return None;
        }
        let part = |byte: &&u8| byte.is_ascii_alphanumeric() || self.also.contains(byte);
        let len = bytes[body..]
            .iter()
            .take(self.len.end)
            .take_while(part)
            .count();
        let secret = &bytes[body..body + len];
        (self.len.contains(&len) && !is_placeholder(secret)).then(|| start..body + len)
    }
}

/// Whether it only shows where a secret would stand.
fn is_placeholder(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in secret {
        seen[usize::from(byte.to_ascii_lowercase())] = true;
    }
    let different = seen.iter().filter(|seen| **seen).count();
    let lower = secret.to_ascii_lowercase();
    let says_so = [
        "xxxx",
        "....",
        "your",
        "example",
        "placeholder",
        "changeme",
        "redacted",
        "****",
    ]
    .iter()
    .any(|word| {
        lower
            .windows(word.len())
            .any(|window| window == word.as_bytes())
    });
    different < 3.max(secret.len().min(40) / 5) || says_so
}

/// Whether a value looks drawn rather than written: letters and digits, and few of them
/// twice.
fn is_random(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = value
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    let mut counts = [0_u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let len = value.len() as f64;
    let entropy: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let part = f64::from(*count) / len;
            -part * part.log2()
        })
        .sum();
    digits >= 3 && letters >= 3 && entropy >= 3.3
}

fn private_key(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    const BEFORE: usize = 32;
    const BEGIN: &[u8] = b"-----BEGIN ";
    const END: &[u8] = b"-----END ";
    let head = &bytes[at.saturating_sub(BEFORE)..at];
    let begin = head
        .windows(BEGIN.len())
        .rposition(|window| window == BEGIN)?;
    let start = at.saturating_sub(BEFORE) + begin;
    let behind = bytes[at..].get("PRIVATE KEY".len()..)?;
    if !behind.starts_with(b"-----") && !behind.starts_with(b" BLOCK-----") {
        return None;
    }
    let end = bytes[at..]
        .windows(END.len())
        .position(|window| window == END)
        .map_or(bytes.len(), |end| {
            let rest = &bytes[at + end + END.len()..];
            let line = rest
                .windows(5)
                .take(64)
                .position(|window| window == b"-----");
            at + end + END.len() + line.map_or(0, |line| line + 5)
        });
    Some(start..end)
}

fn jwt(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = &bytes[start..];
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    if bytes[..start].last().is_some_and(|byte| part(&byte)) {
        return None;
    }
    let header = rest.iter().take_while(part).count();
    if rest.get(header) != Some(&b'.') {
        return None;
    }
    let claims = rest[header + 1..].iter().take_while(part).count();
    if claims < 4 || rest.get(header + 1 + claims) != Some(&b'.') {
        return None;
    }
    let signature = rest[header + claims + 2..].iter().take_while(part).count();
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(&rest[..header]).ok()?;
    let names_algorithm = decoded.windows(5).any(|window| window == b"\"alg\"");
    (names_algorithm && signature >= 16).then(|| start..start + header + claims + 2 + signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let mut found = Vec::new();
        find(text, |rule, span| found.push((rule.id, &text[span])));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn tokens_of_issuers_are_found() {
        check("key AKIAIOSFODNN7EXAMPLE", &[]);
        check(
            "key AKIAQ3EGRT2ZK4WJ7NPA!",
            &[("secret.cloud", "AKIAQ3EGRT2ZK4WJ7NPA")],
        );
        check(
            "Authorization: Bearer ghp_a8Kd0s9Lm3Nq7Rt2Vw5Xz1Yb4Cf6Hj0Pk8Tq",
            &[(
                "secret.code-host",
                "ghp_a8Kd0s9Lm3Nq7Rt2Vw5Xz1Yb4Cf6Hj0Pk8Tq",
            )],
        );
        check(
            "sk-ant-api03-Zx9Kq2Lw8Er7Ty6Ui5Op4As3Df2Gh1Jk0LzXc",
            &[(
                "secret.model",
                "sk-ant-api03-Zx9Kq2Lw8Er7Ty6Ui5Op4As3Df2Gh1Jk0LzXc",
            )],
        );
        check("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", &[]);
        check(
            "task-force-of-the-city-and-the-county-of-somewhere-else",
            &[],
        );
    }

    #[test]
    fn keys_tokens_and_passwords_are_found_whole() {
        let pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----";
        check(&format!("x {pem} y"), &[("secret.private-key", pem)]);
        check("BEGIN PUBLIC KEY, not a PRIVATE KEY", &[]);
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.SflKxwRJSMeKKF2QT4fwpM";
        check(&format!("t={jwt};"), &[("secret.jwt", jwt)]);
        check("eyJub25lIjoxfQ.eyJzdWIiOiIxIn0.SflKxwRJSMeKKF2QT4fwpM", &[]);
        check(
            "postgres://app:hunter2!@db/x",
            &[("secret.url-password", "hunter2!")],
        );
        check(
            "api_key = \"q7Rt2Vw5Xz1Yb4Cf6Hj0\"",
            &[("secret.assigned", "q7Rt2Vw5Xz1Yb4Cf6Hj0")],
        );
        check("password: correct-horse-battery-staple", &[]);
        check("token = your_token_goes_here_1234", &[]);
    }
}
