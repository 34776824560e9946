//! What an expression is about: the names and members that it is made of.

use super::{
    evaluate::key,
    ir::{Call, Expression},
    value::{ALL, Clean},
};

/// Returns what takes part in a call: its arguments and what it is a method of.
pub(super) fn involved(call: &Call, classes: Clean) -> Vec<(String, Clean)> {
    let mut keys = Vec::new();
    add_keys_of(call, &mut keys);
    keys.into_iter().map(|key| (key, classes)).collect()
}

/// Returns the names and members that `expression` is made of.
pub(super) fn deep_keys(expression: &Expression) -> Vec<String> {
    let mut keys = Vec::new();
    add_keys(expression, &mut keys);
    keys
}

pub(super) fn add_keys(expression: &Expression, keys: &mut Vec<String>) {
    if let Some(key) = key(expression) {
        keys.push(key);
        return;
    }
    match expression {
        Expression::Member(object, _) | Expression::Index(object, _) => add_keys(object, keys),
        Expression::Call(call) => add_keys_of(call, keys),
        Expression::Join(parts)
        | Expression::Items(parts)
        | Expression::Either(parts)
        | Expression::Mix(parts) => parts.iter().for_each(|part| add_keys(part, keys)),
        _ => {}
    }
}

pub(super) fn add_keys_of(call: &Call, keys: &mut Vec<String>) {
    for argument in &call.arguments {
        add_keys(&argument.value, keys);
    }
    if let Expression::Member(object, _) = &call.callee {
        add_keys(object, keys);
    }
}

/// Returns whether `list` is a name or a member of one.
pub(super) fn is_plain(list: &Expression) -> bool {
    key(list).is_some_and(|key| !key.ends_with(".parts"))
}

/// Returns whether `list` are the parts of a text.
pub(super) fn is_split(list: &Expression) -> bool {
    matches!(list, Expression::Call(call) if called(call) == Some("split"))
}

/// Returns the list that `part` is one of by its number: of the words of a text, one says
/// nothing of the others.
pub(super) fn part_of(part: &Expression) -> Option<&Expression> {
    let Expression::Index(list, at) = part else {
        return None;
    };
    let is_numbered = matches!(&**at, Expression::Text(at) if at.parse::<i32>().is_ok());
    let is_list = is_split(list) || matches!(**list, Expression::Name(_));
    (is_numbered && is_list).then_some(&**list)
}

pub(super) fn checked(expression: &Expression) -> Vec<(String, Clean)> {
    about(expression)
        .into_iter()
        .map(|key| (key, ALL))
        .collect()
}

/// Returns the last part of what is called.
pub(super) fn called(call: &Call) -> Option<&str> {
    match &call.callee {
        Expression::Name(name) | Expression::Member(_, name) => Some(name),
        _ => None,
    }
}

/// Returns what a question is about: `name` in `name`, in `name.toLowerCase()`, in
/// `name.getHost()` and in `strings.ToLower(name)`.
pub(super) fn about(expression: &Expression) -> Option<String> {
    let Expression::Call(call) = expression else {
        return key(expression);
    };
    let last = called(call)?.to_ascii_lowercase().replace('_', "");
    let keeps = [
        "tolowercase",
        "touppercase",
        "tolower",
        "toupper",
        "trim",
        "strip",
        "lower",
        "upper",
        "trimspace",
        "tostring",
        "string",
        "gethost",
        "hostname",
        "host",
        "hoststr",
        "getscheme",
        "scheme",
        "asstr",
        "asref",
        "toasciilowercase",
        "unwrapor",
        "unwrapordefault",
    ];
    if !keeps.contains(&&*last) {
        return None;
    }
    match (&call.callee, call.arguments.as_slice()) {
        (Expression::Member(object, _), [_]) if last.starts_with("unwrap") => about(object),
        (_, [one]) => about(&one.value),
        (Expression::Member(object, _), []) => about(object),
        _ => None,
    }
}

/// Returns whether `expression` asks for the parts of a path.
pub(super) fn is_parts_of_path(expression: &Expression) -> bool {
    matches!(expression, Expression::Call(call) if called(call) == Some("components"))
}

/// Returns whether `expression` stands for no value.
pub(super) fn is_nothing(expression: &Expression) -> bool {
    match expression {
        Expression::Nothing => true,
        Expression::Text(text) | Expression::Name(text) => {
            matches!(&**text, "" | "null" | "None" | "undefined" | "nil")
        }
        _ => false,
    }
}

/// Returns whether `test` asks whether the file is run as a program:
/// `__name__ == "__main__"`.
pub(super) fn is_program(test: &Expression) -> bool {
    matches!(test, Expression::Test(test) if matches!(
        test.of.as_slice(),
        [Expression::Name(name), Expression::Text(text)]
            if &**name == "__name__" && &**text == "__main__"
    ))
}

/// Returns the text that `expression` begins with.
pub(super) fn beginning(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Text(text) => Some(text),
        Expression::Join(parts) => parts.first().and_then(beginning),
        _ => None,
    }
}

/// Returns the keys that are something only where `test` holds: `if name and …`.
pub(super) fn present(test: &Expression) -> Vec<String> {
    match test {
        Expression::Name(_) | Expression::Member(..) | Expression::Index(..) => {
            key(test).into_iter().collect()
        }
        Expression::Test(test) => match (&*test.how, test.of.as_slice()) {
            ("&&", parts) => parts.iter().flat_map(present).collect(),
            ("is not" | "!=" | "!==", [one, none]) if is_nothing(none) => {
                key(one).into_iter().collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Returns what a test that compares something with a text asks: `action=load`.
pub(super) fn case(test: &Expression) -> Option<String> {
    let Expression::Test(test) = test else {
        return None;
    };
    match (&*test.how, test.of.as_slice()) {
        ("===" | "==", [one, Expression::Text(text)]) => Some(format!("{}={text}", key(one)?)),
        _ => None,
    }
}
