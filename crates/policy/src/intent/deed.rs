//! Whether words ask for what the name of a tool says that it does.

use super::{
    Word, is_form, spaced,
    tongue::{DEEDS, Tongues},
};

/// Words that ask for the same thing.
struct Kind {
    /// Each of these asks for it.
    verbs: &'static [&'static str],
    /// The same, unless the next word is the speaker or who is spoken to: `tell me` asks
    /// for an answer, `tell my wife` for a message.
    spoken: &'static [&'static str],
    /// What is said of much else too. These ask for it only together with what the tool
    /// does it to: `make a reservation` does not ask for an event in a calendar.
    loose: &'static [&'static str],
    /// Whether a name that speaks of it may mean a deed that a thing in it is named
    /// after: `create_booking` books, `cancel_booking` does not.
    mild: bool,
}

const KINDS: [Kind; DEEDS] = [
    Kind {
        verbs: &[
            "create", "add", "schedule", "insert", "save", "remind", "reminder", "generate",
        ],
        spoken: &[],
        loose: &[
            "make", "new", "plan", "set", "put", "write", "block", "enter", "mark", "note", "log",
        ],
        mild: true,
    },
    Kind {
        verbs: &["book", "reserve", "reservation", "rent", "hire"],
        spoken: &[],
        loose: &["hold", "arrange", "make", "stay", "secure"],
        mild: false,
    },
    Kind {
        verbs: &["cancel", "delete", "remove", "revoke"],
        spoken: &[],
        loose: &["drop", "clear", "end", "undo", "stop", "call"],
        mild: false,
    },
    Kind {
        verbs: &[
            "send", "mail", "email", "forward", "reply", "invite", "notify", "post",
        ],
        spoken: &[
            "tell", "ask", "inform", "message", "text", "contact", "write", "let",
        ],
        loose: &["share", "report", "issue"],
        mild: false,
    },
    Kind {
        verbs: &[
            "update",
            "change",
            "modify",
            "edit",
            "reschedule",
            "rename",
            "correct",
            "adjust",
            "replace",
            "switch",
            "upgrade",
            "downgrade",
            "extend",
            "prolong",
            "rebook",
            "longer",
            "shorter",
            "instead",
            "move",
        ],
        spoken: &[],
        loose: &["add", "remove", "set", "put", "make"],
        mild: true,
    },
    Kind {
        verbs: &[
            "pay", "transfer", "buy", "purchase", "order", "refund", "charge", "settle", "money",
            "complete", "confirm", "finish",
        ],
        spoken: &[],
        loose: &["send", "process"],
        mild: false,
    },
    Kind {
        verbs: &[
            "upload", "append", "submit", "register", "publish", "attach", "exchange",
        ],
        spoken: &[],
        loose: &["put", "add", "share"],
        mild: false,
    },
];

/// What some verbs are called as things. In a name they say what it is done to, unless
/// nothing else in it is a verb.
const THINGS: [&str; 20] = [
    "reservation",
    "reservations",
    "booking",
    "bookings",
    "mail",
    "mails",
    "email",
    "emails",
    "message",
    "messages",
    "text",
    "report",
    "reports",
    "order",
    "orders",
    "reminder",
    "reminders",
    "change",
    "invite",
    "plan",
];

/// Verbs that say little without what they are done to: `confirm_booking_change`.
const LIGHT: [&str; 12] = [
    "confirm", "complete", "finish", "apply", "process", "execute", "perform", "make", "start",
    "begin", "submit", "request",
];

/// Verbs of tools that only look. A name that begins with one asks for no change.
const LOOKING: [&str; 20] = [
    "get",
    "list",
    "search",
    "find",
    "show",
    "read",
    "check",
    "look",
    "lookup",
    "view",
    "fetch",
    "query",
    "describe",
    "count",
    "calculate",
    "think",
    "compare",
    "estimate",
    "browse",
    "preview",
];

/// What guards something. Nobody asks for a change of it without naming it: whoever
/// changes the rent asks for no other password.
const GUARDS: [(&str, &[&str]); 13] = [
    (
        "password",
        &[
            "password",
            "passwort",
            "kennwort",
            "passe",
            "contraseña",
            "パスワード",
        ],
    ),
    ("passcode", &["passcode", "code"]),
    ("secret", &["secret", "geheimnis", "secreto"]),
    (
        "credential",
        &[
            "credential",
            "login",
            "zugangsdaten",
            "identifiants",
            "credenciales",
        ],
    ),
    (
        "permission",
        &[
            "permission",
            "access",
            "berechtigung",
            "zugriff",
            "accès",
            "permiso",
            "acceso",
            "権限",
        ],
    ),
    ("role", &["role", "rolle", "rôle", "rol", "ロール"]),
    ("token", &["token"]),
    ("key", &["key", "schlüssel", "clé", "clave", "キー"]),
    ("mfa", &["mfa", "2fa", "factor"]),
    ("2fa", &["2fa", "mfa", "factor"]),
    ("webhook", &["webhook"]),
    (
        "forwarding",
        &["forward", "weiterleit", "transfér", "reenv", "転送"],
    ),
    (
        "filter",
        &["filter", "rule", "filtre", "filtro", "フィルタ"],
    ),
];

/// Verbs by which a model gives a conversation to a person, and what such a person is.
const HANDING: [&str; 4] = ["transfer", "escalate", "handoff", "handover"];
const PEOPLE: [&str; 7] = [
    "human",
    "person",
    "agent",
    "operator",
    "support",
    "representative",
    "staff",
];

/// Who speaks and who is spoken to; `s` is that of `let's`.
const SPEAKERS: [&str; 4] = ["me", "us", "you", "s"];

/// Whether `words` ask for what `tool` says that it does. A tool whose name has no verb
/// that is known is asked for by any longer word of its name.
pub(super) fn is_asked_for(words: &[Word<'_>], tongues: &Tongues, tool: &str) -> bool {
    let spaced = spaced(tool);
    let name: Vec<&str> = Word::all(&spaced).iter().map(|word| word.text).collect();
    let meant = |at: usize, verb: &str| is_meant(words, at, verb) && !tongues.deny(words, at);
    let says = |verb: &str| (0..words.len()).any(|at| meant(at, verb));
    if !names_guards(words, &name) {
        return false;
    }
    let kinds = kinds(&name);
    if kinds.is_empty() {
        return name.iter().any(|part| part.len() > 2 && says(part));
    }
    kinds.into_iter().any(|at| {
        let kind = &KINDS[at];
        kind.verbs.iter().any(|verb| says(verb))
            || spoken_of(words, kind, &meant)
            || (kind.loose.iter().any(|verb| says(verb)) && has_object(words, &name, kind))
            || tongues.ask_for(words, at)
    })
}

/// Whether words name what guards something, if a tool is about that.
fn names_guards(words: &[Word<'_>], name: &[&str]) -> bool {
    let about = |part: &str| {
        let single = part.strip_suffix('s').unwrap_or(part);
        GUARDS.iter().find(|(guard, _)| *guard == single)
    };
    let named = |(_, said): &(&str, &[&str])| {
        let says = |word: &Word<'_>| said.iter().any(|said| word.text.contains(said));
        words.iter().any(says)
    };
    name.iter().filter_map(|part| about(part)).all(named)
}

/// Whether a tool says that it gives the conversation to a person.
pub(super) fn hands_over(tool: &str) -> bool {
    let spaced = spaced(tool);
    let name = Word::all(&spaced);
    let [verb, rest @ ..] = name.as_slice() else {
        return false;
    };
    let is_person = |word: &Word<'_>| {
        let single = word.text.strip_suffix('s').unwrap_or(word.text);
        PEOPLE.contains(&single)
    };
    let to = |word: &Word<'_>| word.text == "to" || is_person(word);
    HANDING.contains(&verb.text) && rest.iter().any(is_person) && rest.iter().all(to)
}

/// Whether a tool says that it only looks: `get_order`, but not `get_or_create_order`.
pub(super) fn only_looks(tool: &str) -> bool {
    let spaced = spaced(tool);
    let name = Word::all(&spaced);
    let joins = |part: &Word<'_>| matches!(part.text, "and" | "or" | "then");
    let looks = name
        .first()
        .is_some_and(|first| LOOKING.contains(&first.text));
    looks && !name.iter().any(joins)
}

/// The kinds of deed that a name speaks of, by their places: by its verbs, and where these say little or
/// nothing, by things that are named after a verb.
fn kinds(name: &[&str]) -> Vec<usize> {
    let weak = |part: &&&str| THINGS.contains(part) || LIGHT.contains(part);
    let strong: Vec<&str> = name.iter().filter(|part| !weak(part)).copied().collect();
    let weak: Vec<&str> = name.iter().filter(weak).copied().collect();
    let any = |parts: &[&str], verbs: &[&str]| {
        let is = |part: &str| verbs.iter().any(|verb| is_form(part, verb));
        parts.iter().any(|part| is(part))
    };
    let of = |parts: &[&str]| -> Vec<usize> {
        let sure = |at: &usize| any(parts, KINDS[*at].verbs);
        let perhaps = |at: &usize| any(parts, KINDS[*at].spoken) || any(parts, KINDS[*at].loose);
        let found: Vec<usize> = (0..DEEDS).filter(sure).collect();
        match found.is_empty() {
            true => (0..DEEDS).filter(perhaps).collect(),
            false => found,
        }
    };
    let mut found = of(&strong);
    if found.iter().all(|at| KINDS[*at].mild) {
        found.extend(of(&weak));
    }
    found
}

/// Whether the word at `at` is a form of `verb` and is not denied: `don't book`.
fn is_meant(words: &[Word<'_>], at: usize, verb: &str) -> bool {
    if !is_form(words[at].text, verb) {
        return false;
    }
    let before = words[..at].iter().rev().take(2);
    let same_clause = before.take_while(|word| !word.ends_clause());
    let denies = |word: &Word<'_>| matches!(word.text, "not" | "never" | "without" | "t" | "dont");
    !same_clause.into_iter().any(denies)
}

fn spoken_of(words: &[Word<'_>], kind: &Kind, meant: &dyn Fn(usize, &str) -> bool) -> bool {
    let to_somebody = |at: usize| {
        let next = words.get(at + 1);
        next.is_some_and(|next| !SPEAKERS.contains(&next.text) && !words[at].ends_clause())
    };
    kind.spoken
        .iter()
        .any(|verb| (0..words.len()).any(|at| meant(at, verb) && to_somebody(at)))
}

/// Whether the words name what the tool does it to.
fn has_object(words: &[Word<'_>], name: &[&str], kind: &Kind) -> bool {
    let is_verb = |part: &str| {
        let mut all = kind.verbs.iter().chain(kind.spoken).chain(kind.loose);
        all.any(|verb| is_form(part, verb)) && !THINGS.contains(&part)
    };
    let objects = name.iter().filter(|part| part.len() > 2 && !is_verb(part));
    let named = |part: &str| {
        let single = part.strip_suffix('s').unwrap_or(part);
        words
            .iter()
            .any(|word| word.text.strip_suffix('s').unwrap_or(word.text) == single)
    };
    objects.into_iter().any(|part| named(part))
}
