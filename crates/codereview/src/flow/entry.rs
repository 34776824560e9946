//! Where values enter from outside: tools, routes, requests.

use super::ir::{Expression, Function, Name, Parameter, Target};

/// Returns whether marks of a function say that a client calls it.
pub(super) fn is_tool(marks: &[Name]) -> bool {
    marks.iter().any(|mark| {
        let (before, last) = mark.rsplit_once('.').unwrap_or(("", mark));
        match last {
            "call_tool" | "get_prompt" | "read_resource" | "McpTool" | "McpResource"
            | "mcp_tool" | "register_tool" | "add_tool" | "function_tool" | "tool_handler"
            | "mcp_resource" | "register_resource" | "register_prompt" => true,
            "tool" | "resource" | "prompt" | "Tool" => {
                // `langchain.tools.tool` is one too: a model calls it.
                !before.contains("pytest")
            }
            "get" | "post" | "put" | "delete" | "patch" | "route" | "websocket" => {
                !before.is_empty() && !before.contains("mock") && !before.contains("client")
            }
            "GetMapping" | "PostMapping" | "RequestMapping" | "PutMapping" | "DeleteMapping" => {
                true
            }
            _ => false,
        }
    })
}

/// Returns whether a client calls `function`, by its marks or because it takes the call of a
/// tool and the arguments beside it: `func(ctx, req *mcp.CallToolRequest, args Arguments)`.
pub(super) fn handles_tools(function: &Function) -> bool {
    let takes_call = |one: &Parameter| {
        let kind = one.kind.as_deref().map(bare_kind);
        let last = kind.map(|kind| kind.rsplit('.').next().unwrap_or(kind));
        matches!(last, Some("CallToolRequest" | "CallToolParamsFor"))
    };
    is_tool(&function.marks) || function.parameters.iter().any(takes_call)
}

/// Returns whether the last part of a call registers tools with an assistant's protocol.
pub(super) fn registers_tools(last: &str) -> bool {
    matches!(
        last,
        "tool"
            | "registerTool"
            | "addTool"
            | "AddTool"
            | "defineTool"
            | "setRequestHandler"
            | "set_request_handler"
            | "registerResource"
            | "registerPrompt"
            | "add_tool"
            | "SetToolHandler"
            | "AddResource"
            | "AddPrompt"
            | "SyncToolSpecification"
            | "AsyncToolSpecification"
            | "callHandler"
            | "addToolHandler"
    )
}

/// Returns whether `receiver`.`last` binds a route of a web server.
pub(super) fn binds_route(receiver: &str, last: &str) -> bool {
    let is_server = [
        "express()",
        "Router()",
        "fastify()",
        "Hono()",
        "@koa/router()",
    ]
    .iter()
    .any(|server| receiver.ends_with(server));
    match last {
        "get" | "post" | "put" | "delete" | "patch" | "all" | "use" => is_server,
        "HandleFunc" => true,
        _ => false,
    }
}

/// Returns whether an object with these members describes a tool.
pub(super) fn is_tool_object(fields: &[(Name, Expression)]) -> bool {
    let has = |names: &[&str]| fields.iter().any(|(key, _)| names.contains(&&**key));
    has(&["name", "description"])
        && has(&[
            "inputSchema",
            "parameters",
            "schema",
            "paramsSchema",
            "description",
        ])
        && fields
            .iter()
            .any(|(key, value)| is_handler_key(key) && matches!(value, Expression::Function(_)))
}

/// Returns whether a member of a tool's description is what runs.
pub(super) fn is_handler_key(key: &str) -> bool {
    matches!(
        key,
        "execute" | "handler" | "run" | "callback" | "invoke" | "call" | "handle" | "cb"
    )
}

/// Returns whether what `path` names is chosen by whoever sends a request.
pub(super) fn is_source(path: &str) -> bool {
    let Some((before, last)) = path.rsplit_once('.') else {
        return false;
    };
    match before {
        "flask.request" => matches!(
            last,
            "args"
                | "form"
                | "values"
                | "json"
                | "data"
                | "headers"
                | "cookies"
                | "files"
                | "query_string"
                | "path"
                | "get_json"
                | "url"
                | "environ"
        ),
        "starlette.requests.Request()"
        | "fastapi.Request()"
        | "fastapi.requests.Request()"
        | "aiohttp.web.Request()" => matches!(
            last,
            "headers"
                | "query_params"
                | "path_params"
                | "cookies"
                | "form"
                | "json"
                | "body"
                | "query"
                | "match_info"
                | "post"
        ),
        _ => false,
    }
}

/// Returns whether a parameter of this type is a request.
pub(super) fn is_request_kind(kind: Option<&str>) -> bool {
    let Some(kind) = kind else {
        return false;
    };
    let bare = bare_kind(kind);
    let last = bare.rsplit('.').next().unwrap_or(bare);
    // What axum takes out of a request: `Query(query): Query<Search>`.
    let is_part = ["Query<", "Json<", "Form<", "Path<", "axum.extract."]
        .iter()
        .any(|part| kind.starts_with(part));
    if is_part {
        return true;
    }
    matches!(
        last,
        "CallToolRequest"
            | "CallToolRequestParams"
            | "CallToolRequestParam"
            | "HttpServletRequest"
            | "ReadResourceRequest"
            | "GetPromptRequest"
    ) || matches!(
        bare,
        "http.Request" | "express.Request" | "gin.Context" | "echo.Context" | "fiber.Ctx"
    )
}

/// Returns whether a parameter of a tool carries what the client sent.
pub(super) fn is_outside(parameter: &Parameter) -> bool {
    if is_clean_kind(parameter.kind.as_deref()) {
        return false;
    }
    if let Some(kind) = parameter.kind.as_deref() {
        // What the server makes for the function itself.
        if kind.contains("=Depends(") || kind.contains("=Security(") {
            return false;
        }
        let bare = bare_kind(kind);
        let last = bare.rsplit('.').next().unwrap_or(bare);
        if last.ends_with("Context")
            || last.ends_with("Exchange")
            || last.ends_with("Response")
            || last.ends_with("ResponseWriter")
            || last.ends_with("Extra")
            || last == "Next"
            || last == "Depends"
            || last.ends_with("Dep")
            || last.ends_with("Session")
            || last.ends_with("Server")
        {
            return false;
        }
    }
    match &parameter.target {
        Target::Name(name) if is_of_house(name) => false,
        Target::Name(name) => !matches!(
            // Tools that pack programs number names: `context$1`.
            name.split('$')
                .next()
                .unwrap_or(name)
                .trim_start_matches('_'),
            "self"
                | "cls"
                | "ctx"
                | "context"
                | "extra"
                | "exchange"
                | "res"
                | "reply"
                | "next"
                | "response"
                | "w"
                | "server"
                | "db"
                | "session"
                | "progress"
                | "signal"
                | "token"
        ),
        _ => true,
    }
}

/// Returns whether `object`.`name` is what a server itself puts beside the arguments of a
/// call: `request.page`, `request.session`.
pub(super) fn is_of_server(object: &Expression, name: &str) -> bool {
    let is_request = matches!(object, Expression::Name(of) if matches!(&**of, "request" | "req"));
    is_request
        && matches!(
            name,
            "page"
                | "browser"
                | "session"
                | "server"
                | "app"
                | "context"
                | "signal"
                | "logger"
                | "log"
        )
}

/// Returns whether a parameter of this name is handed in by the server itself: `drive_service`.
fn is_of_house(name: &str) -> bool {
    let name = name.trim_matches('_').to_ascii_lowercase();
    let ends = [
        "service",
        "client",
        "connection",
        "logger",
        "settings",
        "engine",
    ];
    ends.iter()
        .any(|end| name == *end || name.ends_with(&format!("_{end}")))
}

/// Returns whether values of this type cannot carry text that somebody chose.
pub(super) fn is_clean_kind(kind: Option<&str>) -> bool {
    let Some(whole) = kind else {
        return false;
    };
    let mut kind = whole.trim_start_matches('&').trim_start_matches("mut");
    for wrapper in [
        "Optional[",
        "Annotated[",
        "Option<",
        "list[",
        "List[",
        "Vec<",
        "Final[",
    ] {
        if let Some(inner) = kind.strip_prefix(wrapper) {
            kind = inner;
        }
    }
    let kind = kind.trim_end_matches([']', '>']);
    let kind = kind.split(',').next().unwrap_or(kind);
    let kind = kind.split('=').next().unwrap_or(kind);
    let mut parts = kind
        .split('|')
        .filter(|part| !matches!(*part, "None" | "undefined" | "null"));
    let is_clean = |part: &str| {
        let last = part.rsplit('.').next();
        matches!(
            last.unwrap_or(part),
            "int"
                | "float"
                | "bool"
                | "number"
                | "boolean"
                | "bigint"
                | "int8"
                | "int16"
                | "int32"
                | "int64"
                | "uint"
                | "uint8"
                | "uint16"
                | "uint32"
                | "uint64"
                | "float32"
                | "float64"
                | "i8"
                | "i16"
                | "i32"
                | "i64"
                | "u8"
                | "u16"
                | "u32"
                | "u64"
                | "usize"
                | "isize"
                | "f32"
                | "f64"
                | "long"
                | "short"
                | "double"
                | "Integer"
                | "Long"
                | "Boolean"
                | "Double"
                | "UUID"
                | "Uuid"
                | "datetime"
                | "date"
                | "Decimal"
                | "Duration"
                | "timedelta"
        ) || part.starts_with("Literal[")
            || part.starts_with(['\'', '"']) && part.ends_with(['\'', '"'])
    };
    let mut seen = false;
    is_by_pattern(whole)
        || parts.all(|part| {
            seen = true;
            is_clean(part)
        }) && seen
}

/// Returns whether a parameter of this type takes a path that the program itself has made:
/// `Path`, `Optional[Path]`, `Union[str, Path]`.
pub(super) fn is_path_kind(kind: Option<&str>) -> bool {
    let mut parts = kind
        .unwrap_or("")
        .split(|one: char| !one.is_alphanumeric() && !matches!(one, '_' | '.'));
    parts.any(|part| {
        matches!(
            part,
            "Path" | "pathlib.Path" | "PurePath" | "PathLike" | "os.PathLike" | "StrPath"
        )
    })
}

/// Returns whether `path` names a type of a few values that the program lists.
pub(super) fn is_choice(path: &str) -> bool {
    path == "enum" || path.ends_with("typing.Literal[]") || path == "typing_extensions.Literal[]"
}

/// Returns the type of the items of a list, or the type itself.
pub(super) fn item_kind(kind: &str) -> &str {
    const LISTS: [&str; 8] = [
        "list[",
        "List[",
        "set[",
        "Set[",
        "tuple[",
        "Tuple[",
        "Sequence[",
        "Iterable[",
    ];
    let kind = kind.strip_prefix("Optional[").unwrap_or(kind);
    LISTS
        .iter()
        .find_map(|list| kind.strip_prefix(list))
        .unwrap_or(kind)
}

/// Returns whether a type is one of texts that have to fit a pattern as a whole:
/// `Annotated[str,Field(pattern=r"^[a-z]+$")]`.
fn is_by_pattern(kind: &str) -> bool {
    let patterns = ["pattern=", "regex="].into_iter();
    let mut after = patterns.filter_map(|word| kind.split_once(word));
    after.any(|(before, text)| {
        let text = text.trim_start_matches('r');
        let quote = text.chars().next().unwrap_or(' ');
        let pattern = text.get(1..).and_then(|text| text.split_once(quote));
        before.contains("Field(") && pattern.is_some_and(|(text, _)| super::expect::bounds(text))
    })
}

/// Returns whether a written type says more than the value does.
pub(super) fn names_kind(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| {
        !matches!(
            bare_kind(kind),
            "" | "var"
                | "any"
                | "Any"
                | "unknown"
                | "object"
                | "Object"
                | "str"
                | "string"
                | "String"
                | "TypeAlias"
        )
    })
}

/// Returns a type without references, options and arguments.
pub(super) fn bare_kind(kind: &str) -> &str {
    let mut kind = kind
        .trim_start_matches("...")
        .trim_start_matches(['*', '&'])
        .trim_start_matches("mut");
    for wrapper in [
        "Optional[",
        "Annotated[",
        "Option<",
        "Promise<",
        "Arc<",
        "Box<",
        "Rc<",
        "Parameters<",
        "Json<",
        "Form<",
        "Query<",
        "Path<",
    ] {
        if let Some(inner) = kind.strip_prefix(wrapper) {
            kind = inner;
        }
    }
    let end = kind
        .find(['[', '<', '|', ',', '>', ']', '(', '{', '='])
        .unwrap_or(kind.len());
    &kind[..end]
}
