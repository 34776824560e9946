//! An MCP server with a fixed list of tools, on rmcp.
//!
//! # Invariants
//!
//! * There are no sessions: clients of the handshake era get an answer without a
//!   session id and nothing can pile up.
//! * The lists of tools, documents and prompts are the same for everybody and change
//!   with a release only.
//! * Who calls is what the gateway says; nothing that a client sends gets there.

use std::{borrow::Cow, sync::Arc};

use airside_base::{BoxFuture, Fault, TenantId};
use airside_mcp::{Body, Local, Principal, body::boxed};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
        DiscoverResult, GetPromptRequestParams, GetPromptResponse, GetPromptResult, Implementation,
        JsonObject, ListPromptsResult, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, Prompt, ProtocolVersion, ReadResourceRequestParams,
        ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ServerCapabilities,
        ServerConfig, Tool,
    },
    service::RequestContext,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_server::session::never::NeverSessionManager,
    },
};
use serde::Serialize;
use serde_json::{Value, json};

/// Longest request body. The largest sensible call has some KB; a megabyte is read so
/// that nonsense gets a sentence about itself instead of a bare status.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// How long clients may keep a list: contracts change with a release only.
pub const LIST_TTL_MS: u64 = 60 * 60 * 1_000;
/// A page that this machine itself serves, an inspector for example.
const LOOPBACK_ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];
/// Member of `_meta` that names a sandbox.
const SANDBOX: &str = "airside/sandbox";
/// Longest name of a sandbox.
const MAX_SANDBOX: usize = 64;

/// What a server offers.
pub trait Tools: Send + Sync + 'static {
    /// What the server says about itself.
    fn about(&self) -> About;

    /// The tools, in the order in which they are listed.
    fn tools(&self) -> &[Tool];

    /// Calls a tool. `None` means that there is none of this name.
    fn call<'a>(
        &'a self,
        origin: &'a Origin,
        name: &'a str,
        arguments: Option<JsonObject>,
    ) -> BoxFuture<'a, Option<CallToolResult>>;

    /// The documents, in the order in which they are listed.
    fn documents(&self) -> Vec<Resource>;

    /// Returns a document. `None` means that there is none of this URI.
    fn read(&self, origin: &Origin, uri: &str) -> Option<ReadResourceResult>;

    /// The prompts that people can start from.
    fn prompts(&self) -> Vec<Prompt> {
        Vec::new()
    }

    /// Returns the messages of a prompt.
    ///
    /// # Errors
    ///
    /// A sentence about what is missing, or that there is no prompt of this name.
    fn prompt(
        &self,
        _name: &str,
        _arguments: Option<&JsonObject>,
    ) -> Result<GetPromptResult, String> {
        Err("there is no prompt of this name".to_owned())
    }
}

/// What a server says about itself.
#[derive(Debug, Clone)]
pub struct About {
    /// Name for programs.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// What a model should know before it uses the tools.
    pub instructions: Cow<'static, str>,
}

/// Where a call comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Who calls, if the gateway knows.
    pub principal: Option<Principal>,
    /// The sandbox that the caller names in `_meta`, for suites that evaluate models.
    pub sandbox: String,
}

impl Origin {
    /// Returns the tenant; calls from nobody known share the default one.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        let of = |principal: &Principal| principal.tenant.clone();
        self.principal.as_ref().map(of).unwrap_or_default()
    }
}

/// Who can reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exposure {
    /// Only this process: the gateway in front has checked host and origin.
    #[default]
    InProcess,
    /// Anybody on this machine, browsers included: hosts and origins other than
    /// loopback are refused (DNS rebinding).
    Loopback,
}

/// Speaks MCP for some [`Tools`]. Clones share everything.
pub struct Server<T> {
    service: StreamableHttpService<Handler<T>, NeverSessionManager>,
}

impl<T> Clone for Server<T> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
        }
    }
}

impl<T> std::fmt::Debug for Server<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl<T: Tools> Server<T> {
    /// Returns a server of `tools`.
    #[must_use]
    pub fn new(tools: T, exposure: Exposure) -> Self {
        let handler = Handler {
            tools: Arc::new(tools),
        };
        let mut config = StreamableHttpServerConfig::default();
        config.legacy_session_mode = false;
        config.json_response = true;
        config.max_request_body_bytes = MAX_BODY_BYTES;
        let config = match exposure {
            Exposure::InProcess => config.disable_allowed_hosts(),
            Exposure::Loopback => config.with_allowed_origins(LOOPBACK_ORIGINS),
        };
        let sessions = Arc::new(NeverSessionManager::default());
        Self {
            service: StreamableHttpService::new(move || Ok(handler.clone()), sessions, config),
        }
    }
}

impl<T: Tools> Local for Server<T> {
    fn call<'a>(&'a self, request: http::Request<Body>) -> BoxFuture<'a, http::Response<Body>> {
        Box::pin(async move { self.service.handle(request).await.map(boxed) })
    }
}

struct Handler<T> {
    tools: Arc<T>,
}

impl<T> Clone for Handler<T> {
    fn clone(&self) -> Self {
        Self {
            tools: self.tools.clone(),
        }
    }
}

fn origin(context: &RequestContext<RoleServer>) -> Result<Origin, ErrorData> {
    let parts = context.extensions.get::<http::request::Parts>();
    let principal = parts.and_then(|parts| parts.extensions.get::<Principal>());
    let sandbox = match context.meta.get(SANDBOX) {
        None => "",
        Some(Value::String(name)) if name.len() <= MAX_SANDBOX => name,
        Some(_) => {
            let text = "`airside/sandbox` is a name of up to 64 bytes";
            return Err(ErrorData::invalid_params(text, None));
        }
    };
    Ok(Origin {
        principal: principal.cloned(),
        sandbox: sandbox.to_owned(),
    })
}

impl<T: Tools> ServerHandler for Handler<T> {
    fn get_info(&self) -> ServerConfig {
        let about = self.tools.about();
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources();
        let capabilities = match self.tools.prompts().is_empty() {
            true => capabilities.build(),
            false => capabilities.enable_prompts().build(),
        };
        let mut identity = Implementation::new(about.name, env!("CARGO_PKG_VERSION"));
        identity.title = Some(about.title.to_owned());
        let mut config = ServerConfig::new(capabilities);
        config.server_info = identity;
        config.instructions = Some(about.instructions.into_owned());
        config
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        const VERSIONS: [ProtocolVersion; 4] = [
            ProtocolVersion::V_2025_03_26,
            ProtocolVersion::V_2025_06_18,
            ProtocolVersion::V_2025_11_25,
            ProtocolVersion::V_2026_07_28,
        ];
        Cow::Borrowed(&VERSIONS)
    }

    async fn discover(
        &self,
        _context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        let result = DiscoverResult::from_server_info(versions, self.get_info());
        Ok(result
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.tools().to_vec())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let mut tools = self.tools.tools().iter();
        tools.find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let origin = origin(&context)?;
        let called = self.tools.call(&origin, &request.name, request.arguments);
        match called.await {
            Some(result) => Ok(result.into()),
            None => Err(ErrorData::invalid_params(
                "there is no tool of this name",
                None,
            )),
        }
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(self.tools.prompts())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let found = self.tools.prompt(&request.name, request.arguments.as_ref());
        match found {
            Ok(result) => Ok(result.into()),
            Err(sentence) => Err(ErrorData::invalid_params(sentence, None)),
        }
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(self.tools.documents())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let origin = origin(&context)?;
        match self.tools.read(&origin, &request.uri) {
            Some(result) => Ok(result.into()),
            None => {
                let data = json!({ "uri": request.uri });
                Err(ErrorData::resource_not_found(
                    "there is no resource of this URI",
                    Some(data),
                ))
            }
        }
    }
}

/// Returns how a document is listed.
#[must_use]
pub fn document(uri: &str, name: &str, title: &str, mime: &str) -> Resource {
    let mut resource = Resource::new(uri, name);
    resource.title = Some(title.to_owned());
    resource.mime_type = Some(mime.to_owned());
    resource
}

/// Returns a document of text.
#[must_use]
pub fn text(uri: &str, mime: &str, text: String) -> ReadResourceResult {
    ReadResourceResult::new(vec![ResourceContents::TextResourceContents {
        uri: uri.to_owned(),
        mime_type: Some(mime.to_owned()),
        text,
        meta: None,
    }])
}

/// Returns a result with its structure and the same as text.
///
/// # Panics
///
/// If `result` cannot be written as JSON: a map in it has keys that are no strings.
#[must_use]
pub fn reply(result: &impl Serialize, text: String) -> CallToolResult {
    let structured =
        serde_json::to_value(result).expect("results have string keys and finite numbers");
    let mut reply = CallToolResult::default();
    reply.content = vec![ContentBlock::text(text)];
    reply.structured_content = Some(structured);
    reply.is_error = Some(false);
    reply
}

/// Returns why a call is refused: a code, a sentence about what is wrong, and one
/// about what to do.
#[must_use]
pub fn refuse(fault: &Fault) -> CallToolResult {
    let hint = fault.hint().unwrap_or_default();
    let result = json!({
        "status": "error",
        "code": fault.code(),
        "message": fault.public(),
        "hint": hint,
    });
    let text = format!("{}: {}. {hint}.", fault.code(), fault.public());
    let mut reply = reply(&result, text);
    reply.is_error = Some(true);
    reply
}
