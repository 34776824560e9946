//! What functions of libraries do with values.
//!
//! # Invariants
//!
//! * A function stands here only if its documentation says that what it gives is made of
//!   what it gets: a way through it was read as far as anything can be.

/// Returns whether `before`.`last` gives its arguments under another form.
pub(super) fn passes(before: &str, last: &str) -> bool {
    match last {
        // Paths.
        "join" | "resolve" | "normalize" | "normpath" | "abspath" | "realpath" | "expanduser"
        | "expandvars" | "Join" | "Clean" | "Abs" | "FromSlash" | "ToSlash" | "EvalSymlinks" => {
            before.ends_with("path")
                || before == "path/posix"
                || last == "resolve" && before.ends_with("()")
        }
        "dirname" | "Dir" => before.ends_with("path"),
        "joinpath" => true,
        "Path" | "PurePath" => matches!(before, "pathlib" | "anyio"),
        "new" | "from" => {
            let kind = before.rsplit('.').next().unwrap_or(before);
            matches!(
                kind,
                "Path" | "PathBuf" | "String" | "OsStr" | "OsString" | "Cow" | "Box" | "Arc"
            )
        }
        "of" | "get" | "asList" | "ofNullable" => matches!(
            before.rsplit('.').next().unwrap_or(before),
            "Path" | "Paths" | "List" | "Arrays" | "Set" | "Optional"
        ),
        "File" => before == "java.io",
        // Texts.
        "str" | "list" | "tuple" | "dict" | "set" | "sorted" | "reversed" | "repr" | "bytes"
        | "String" | "string" | "append" | "Some" | "Ok" | "decodeURIComponent" | "decodeURI"
        | "URL" => before.is_empty() || before == "java.net",
        "valueOf" => before.ends_with("String"),
        "create" => before.ends_with("URI"),
        "parse" | "stringify" => matches!(
            before,
            "JSON" | "URL" | "url" | "net/url" | "Url" | "url.Url"
        ),
        "loads" | "dumps" => before == "json",
        "urlparse" | "urlsplit" | "unquote" | "urljoin" => before == "urllib.parse",
        "Parse" => before == "net/url",
        "TrimSpace" | "Trim" | "TrimPrefix" | "TrimSuffix" | "TrimLeft" | "TrimRight"
        | "ToLower" | "ToUpper" | "Replace" | "ReplaceAll" | "Split" | "Fields" => {
            before == "strings"
        }
        "Sprint" | "Sprintln" | "Sprintf" => before == "fmt",
        "fileURLToPath" => before == "url",
        "assign" | "values" | "entries" => before == "Object",
        "from_value" | "from_str" => before == "serde_json",
        _ => false,
    }
}

/// Returns whether a method of a client asks somebody else.
pub(super) fn asks(last: &str) -> bool {
    matches!(
        last,
        "get"
            | "post"
            | "put"
            | "patch"
            | "delete"
            | "head"
            | "request"
            | "send"
            | "execute"
            | "fetch"
            | "fetchone"
            | "fetchall"
            | "query"
            | "json"
    )
}

/// Returns whether a member of an answer carries nothing of its text.
pub(super) fn says_nothing(name: &str) -> bool {
    matches!(
        name,
        "status"
            | "status_code"
            | "statusCode"
            | "StatusCode"
            | "ok"
            | "is_success"
            | "headers"
            | "Header"
            | "statusText"
            | "Status"
    )
}

/// Returns whether a part of an address or a path is one that the harm does not come from.
pub(super) fn says_little(part: &str) -> bool {
    matches!(
        part,
        "scheme"
            | "protocol"
            | "port"
            | "path"
            | "pathname"
            | "query"
            | "search"
            | "fragment"
            | "hash"
            | "suffix"
            | "suffixes"
            | "stem"
            | "extname"
            | "ext"
            | "username"
            | "password"
            | "Scheme"
            | "Path"
            | "RawQuery"
            | "length"
            | "size"
    )
}

/// Returns whether a function of this name marks a text as data.
pub(super) fn marks(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "wrap",
        "fence",
        "delimit",
        "untrusted",
        "spotlight",
        "quarantine",
        "envelope",
        "asdata",
        "mark",
        "sanit",
    ];
    let name = name.replace('_', "").to_ascii_lowercase();
    let is_other = ["markdown", "markup", "bookmark", "benchmark", "landmark"];
    !is_other.iter().any(|word| name.contains(word)) && WORDS.iter().any(|word| name.contains(word))
}

/// Returns whether a text in front says that data follows.
pub(super) fn announces_data(lead: &str) -> bool {
    const MARKS: [&str; 8] = [
        "<",
        "untrusted",
        "external",
        "begin ",
        "---",
        "```",
        "not instructions",
        "as data",
    ];
    let lead = lead.to_ascii_lowercase();
    MARKS.iter().any(|mark| lead.contains(mark))
}

/// Returns whether `last` puts its arguments into what it is a method of.
pub(super) fn puts(last: &str) -> bool {
    matches!(
        last,
        "push"
            | "append"
            | "extend"
            | "insert"
            | "unshift"
            | "push_str"
            | "push_back"
            | "addAll"
            | "WriteString"
            | "add"
    )
}

/// Returns the place of the argument that `last` reads values into, as in
/// `json.Unmarshal(data, &arguments)`.
pub(super) fn fills(last: &str) -> Option<usize> {
    match last {
        "Unmarshal" => Some(1),
        "Decode" | "BindArguments" | "UnmarshalArguments" | "ShouldBindJSON" | "BindJSON" => {
            Some(0)
        }
        _ => None,
    }
}

/// Returns whether a method gives something of the same sort as what it is a method of.
pub(super) fn keeps_sort(last: &str) -> bool {
    matches!(
        last,
        "joinpath" | "resolve" | "absolute" | "expanduser" | "with_suffix" | "with_name" | "parent"
    )
}

/// Returns whether `last` gives a part of an address or a path by which the whole is judged:
/// `new URL(address)`, `path.relative(folder, file)`.
pub(super) fn views(last: &str) -> Option<&'static str> {
    match last {
        "URL" | "urlparse" | "urlsplit" | "Parse" | "parse" | "create" | "lookup"
        | "gethostbyname" | "getaddrinfo" | "LookupIP" | "LookupHost" | "LookupIPAddr"
        | "LookupNetIP" | "resolveHost" | "resolve4" | "resolve6" | "lookupHost" | "dnsLookup"
        | "getByName" | "getAllByName" | "lookup_host" | "Hostname" | "getHost" | "hostname"
        | "ip_address" | "ip_network" | "IPv4Address" => Some("ssrf"),
        "relative" | "Rel" | "relative_to" | "relativize" | "commonpath" | "realpath"
        | "realpathSync" | "EvalSymlinks" | "canonicalize" | "resolve" | "Abs" | "abspath"
        | "normalize" | "normpath" | "dirname" | "toRealPath" | "Clean" | "join" | "Join"
        | "joinpath" => Some("path-traversal"),
        _ => None,
    }
}
