//! A built-in MCP server with a fixed list of tools, on rmcp.
//!
//! # Invariants
//!
//! * There are no sessions: clients of the handshake era get an answer without a
//!   session id and nothing can pile up.
//! * The list of tools is the same for everybody and changes with a release only.

use std::{borrow::Cow, sync::Arc};

use airside_base::{BoxFuture, Fault, TenantId};
use airside_mcp::{Body, Local, Principal, body::boxed};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
        DiscoverResult, Implementation, JsonObject, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
        ReadResourceResult, Resource, ResourceContents, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_server::session::never::NeverSessionManager,
    },
};
use serde::Serialize;
use serde_json::{Value, json};

const MAX_BODY_BYTES: usize = 1 << 20;
/// Contracts change with a release only.
const LIST_TTL_MS: u64 = 60 * 60 * 1_000;
/// Member of `_meta` that names a sandbox.
const SANDBOX: &str = "airside/sandbox";
/// Longest name of a sandbox.
const MAX_SANDBOX: usize = 64;

/// What a shelf offers.
pub(crate) trait Tools: Send + Sync + 'static {
    /// Name, title and instructions.
    fn about(&self) -> (&'static str, &'static str, &'static str);

    /// The tools, in the order in which they are listed.
    fn tools(&self) -> &[Tool];

    /// Calls a tool. `None` means that there is none of this name.
    fn call(
        &self,
        whose: &Whose,
        name: &str,
        arguments: Option<JsonObject>,
    ) -> Option<CallToolResult>;

    /// Documents: URI, title, and how to read them.
    fn documents(&self) -> &[Document];

    /// Returns the text of a document.
    fn read(&self, whose: &Whose, uri: &str) -> Option<String>;
}

/// A document that clients may read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document {
    pub(crate) uri: &'static str,
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) mime: &'static str,
}

/// Whose state a call works on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Whose {
    /// The tenant; calls from nobody known share one.
    pub(crate) tenant: Option<TenantId>,
    /// The sandbox that the caller names in `_meta`.
    pub(crate) sandbox: String,
}

/// The server. Clones share everything.
pub(crate) struct Shelf<T> {
    service: StreamableHttpService<Handler<T>, NeverSessionManager>,
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
        }
    }
}

impl<T: Tools> Shelf<T> {
    pub(crate) fn new(tools: T) -> Self {
        let handler = Handler {
            tools: Arc::new(tools),
        };
        let mut config = StreamableHttpServerConfig::default();
        config.legacy_session_mode = false;
        config.json_response = true;
        config.max_request_body_bytes = MAX_BODY_BYTES;
        // Only this process reaches it: the gateway has checked host and origin.
        let config = config.disable_allowed_hosts();
        let sessions = Arc::new(NeverSessionManager::default());
        Self {
            service: StreamableHttpService::new(move || Ok(handler.clone()), sessions, config),
        }
    }
}

impl<T: Tools> Local for Shelf<T> {
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

fn whose(context: &RequestContext<RoleServer>) -> Result<Whose, ErrorData> {
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
    Ok(Whose {
        tenant: principal.map(|principal| principal.tenant.clone()),
        sandbox: sandbox.to_owned(),
    })
}

impl<T: Tools> ServerHandler for Handler<T> {
    fn get_info(&self) -> ServerConfig {
        let (name, title, instructions) = self.tools.about();
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        let mut identity = Implementation::new(name, env!("CARGO_PKG_VERSION"));
        identity.title = Some(title.to_owned());
        let mut config = ServerConfig::new(capabilities);
        config.server_info = identity;
        config.instructions = Some(instructions.to_owned());
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
        let whose = whose(&context)?;
        match self.tools.call(&whose, &request.name, request.arguments) {
            Some(result) => Ok(result.into()),
            None => Err(ErrorData::invalid_params(
                "there is no tool of this name",
                None,
            )),
        }
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resource = |document: &Document| {
            let mut resource = Resource::new(document.uri, document.name);
            resource.title = Some(document.title.to_owned());
            resource.mime_type = Some(document.mime.to_owned());
            resource
        };
        let all = self.tools.documents().iter().map(resource).collect();
        Ok(ListResourcesResult::with_all_items(all)
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let whose = whose(&context)?;
        let documents = self.tools.documents();
        let known = documents.iter().find(|known| known.uri == request.uri);
        let text = known.and_then(|known| self.tools.read(&whose, known.uri));
        let (Some(document), Some(text)) = (known, text) else {
            let data = json!({ "uri": request.uri });
            return Err(ErrorData::resource_not_found(
                "there is no resource of this URI",
                Some(data),
            ));
        };
        let contents = ResourceContents::TextResourceContents {
            uri: document.uri.to_owned(),
            mime_type: Some(document.mime.to_owned()),
            text,
            meta: None,
        };
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}

/// Returns a result with its structure and the same as text.
pub(crate) fn reply(result: &impl Serialize, text: String) -> CallToolResult {
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
pub(crate) fn refuse(fault: &Fault) -> CallToolResult {
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
