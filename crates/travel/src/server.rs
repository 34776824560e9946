//! The hotel server as an MCP server, on rmcp.
//!
//! # Invariants
//!
//! * There are no sessions of the protocol: what is kept between calls is in the ledger,
//!   behind a handle or the caller's own, so clients of the handshake era get an answer
//!   without a session id and nothing can pile up.

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use airside_base::{BoxFuture, Clock, NodeId, Supervisor};
use airside_ledger::{Ledger, conversation::Conversations, keys::Keys};
use airside_mcp::{Body, Local, Principal, body::boxed};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, DiscoverResult,
        GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource,
        ResourceContents, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_server::session::never::NeverSessionManager,
    },
};

use crate::{
    app, booking,
    counter::{Counter, TOOLS},
    inventory::Inventory,
    memory::Memory,
    prompt,
    property::Size,
    shop::Hotels,
    supply::HotelSupply,
    tools::Desk,
};

/// Longest request body. The largest sensible call has some 2 KB; a megabyte is
/// read so that nonsense gets a sentence about itself instead of a bare status.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Contracts change with a release only.
const LIST_TTL_MS: u64 = 60 * 60 * 1_000;

const INSTRUCTIONS: &str = "Hotel search and booking for cities worldwide. Start with search_hotels \
     (place, dates, guests); send conversation as `new`, then follow-ups need only the conversation \
     and what is new (\"the second one, two nights longer\": pick 2, nights_delta 2). Use \
     check_availability for all rooms and rates of one hotel and get_hotel for its description. Show \
     the all-in `total` first. If a place is ambiguous, ask the traveller. When the traveller has \
     chosen, create_booking_session holds the rooms; only the traveller can book, in the booking view \
     or at a terminal. Changes and cancellations are quoted first and confirmed in the same way. Dates \
     are YYYY-MM-DD in the hotel's calendar; amounts are integers in minor units. Never ask for card \
     numbers: guests pay at the hotel. The inventory is a demonstration. Tell travellers that they \
     talk to an AI.";

/// A page that this machine itself serves, an inspector for example.
const LOOPBACK_ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

const NOTICE_URI: &str = "airside://travel/notice";
const NOTICE: &str = include_str!("../assets/notice.md");

/// How the server is set up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Decides all hotels, prices and availability.
    pub seed: u64,
    /// How many hotels there are.
    pub size: Size,
    /// Which requests are accepted.
    pub exposure: Exposure,
    /// File that makes a start short when much has been sold; it may be deleted.
    pub snapshot: Option<PathBuf>,
}

/// What the server works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Home of sessions, bookings, preferences and conversations.
    pub ledger: Ledger,
    /// What personal data is sealed with.
    pub keys: Arc<Keys>,
    /// The conversations that this server began.
    pub conversations: Conversations,
    /// Runs what has to be done without a call.
    pub supervisor: Supervisor,
    /// The node, for leases.
    pub node: NodeId,
}

/// Who can reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exposure {
    /// Only this process: the gateway in front has checked host and origin.
    #[default]
    InProcess,
    /// Anybody on this machine, browsers included: hosts and origins other than
    /// loopback are refused (DNS rebinding).
    Loopback,
}

/// The hotel server. Clones share everything.
#[derive(Clone)]
pub struct Travel {
    service: StreamableHttpService<Handler, NeverSessionManager>,
    inventory: Inventory,
}

impl std::fmt::Debug for Travel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Travel").finish_non_exhaustive()
    }
}

impl Travel {
    /// Returns a server. Calls of tools wait until it knows what was sold before.
    #[must_use]
    pub fn new(options: Options, parts: Parts) -> Self {
        let hotels = Arc::new(Hotels::new(options.seed, options.size));
        let inventory = Inventory::start(
            hotels.clone(),
            parts.ledger.clone(),
            parts.clock.clone(),
            parts.node,
            options.snapshot,
            &parts.supervisor,
        );
        let supply: Arc<dyn HotelSupply> = Arc::new(inventory.clone());
        let booking = Arc::new(booking::Desk::new(hotels.clone(), supply, &parts));
        booking.clone().start(&parts.supervisor);
        let memory = Memory::new(parts.conversations);
        let desk = Desk::new(hotels, parts.clock);
        let handler = Handler {
            counter: Counter::new(desk, booking, memory),
            inventory: inventory.clone(),
        };
        let mut config = StreamableHttpServerConfig::default();
        config.legacy_session_mode = false;
        config.json_response = true;
        config.max_request_body_bytes = MAX_BODY_BYTES;
        let config = match options.exposure {
            Exposure::InProcess => config.disable_allowed_hosts(),
            Exposure::Loopback => config.with_allowed_origins(LOOPBACK_ORIGINS),
        };
        let sessions = Arc::new(NeverSessionManager::default());
        Self {
            service: StreamableHttpService::new(move || Ok(handler.clone()), sessions, config),
            inventory,
        }
    }

    pub(crate) fn hotels(&self) -> &Hotels {
        self.inventory.hotels()
    }

    /// Returns who sells the rooms: it is booked with, and it is told of availability,
    /// rates and restrictions.
    #[must_use]
    pub fn supply(&self) -> Arc<dyn HotelSupply> {
        Arc::new(self.inventory.clone())
    }
}

impl Local for Travel {
    fn call<'a>(&'a self, request: http::Request<Body>) -> BoxFuture<'a, http::Response<Body>> {
        Box::pin(async move { self.service.handle(request).await.map(boxed) })
    }
}

#[derive(Clone)]
struct Handler {
    counter: Counter,
    inventory: Inventory,
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .build();
        let mut identity = Implementation::new("airside-travel", env!("CARGO_PKG_VERSION"));
        identity.title = Some("Airside hotels".to_owned());
        let mut config = ServerConfig::new(capabilities);
        config.server_info = identity;
        config.instructions = Some(INSTRUCTIONS.to_owned());
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
        Ok(ListToolsResult::with_all_items(TOOLS.to_vec())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // What is offered is known at once; what is for sale once all that was sold is.
        self.inventory.ready().await;
        // The gateway's word on who calls; nothing that a client sends gets there.
        let head = context.extensions.get::<http::request::Parts>();
        let principal = head.and_then(|head| head.extensions.get::<Principal>());
        let name = request.name.as_ref();
        match self.counter.call(name, request.arguments, principal).await {
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
        Ok(ListPromptsResult::with_all_items(prompt::list())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        match prompt::get(&request.name, request.arguments.as_ref()) {
            Ok(result) => Ok(result.into()),
            Err(error) => Err(ErrorData::invalid_params(error.to_string(), None)),
        }
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut notice = Resource::new(NOTICE_URI, "notice");
        notice.title = Some("About this hotel data".to_owned());
        notice.description = Some(
            "Where hotels, prices and places come from, how results are ordered, and credits."
                .to_owned(),
        );
        notice.mime_type = Some("text/markdown".to_owned());
        Ok(
            ListResourcesResult::with_all_items(vec![app::resource(), notice])
                .with_ttl_ms(LIST_TTL_MS)
                .with_cache_scope(CacheScope::Public),
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let mut result = match request.uri.as_str() {
            app::URI => app::read(),
            NOTICE_URI => notice(),
            _ => {
                let data = serde_json::json!({ "uri": request.uri });
                return Err(ErrorData::resource_not_found(
                    "there is no resource of this URI",
                    Some(data),
                ));
            }
        };
        result.ttl_ms = Some(LIST_TTL_MS);
        result.cache_scope = Some(CacheScope::Public);
        Ok(result.into())
    }
}

fn notice() -> ReadResourceResult {
    ReadResourceResult::new(vec![ResourceContents::TextResourceContents {
        uri: NOTICE_URI.to_owned(),
        mime_type: Some("text/markdown".to_owned()),
        text: NOTICE.to_owned(),
        meta: None,
    }])
}
