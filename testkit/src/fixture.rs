//! A server with every primitive that the official conformance suite calls,
//! in both eras of the protocol, on rmcp.
//!
//! The suite knows its tools, resources and prompts by name, so the gateway can
//! be judged by putting it in front of this server. What they are is data
//! (`catalog.json`); what they do is in [`tools`], [`rounds`] (multi round-trip
//! requests) and [`jobs`] (the tasks extension).
//!
//! # Invariants
//!
//! * State that a client carries for the server is sealed, and refused when the
//!   seal does not hold.
//! * The client is asked only for what it declared; otherwise the answer is
//!   -32021 and names what is missing.
//! * Loopback hosts and origins only.

#![expect(
    deprecated,
    reason = "logging, sampling and roots leave the protocol, but clients of the handshake era use them"
)]

mod catalog;
mod jobs;
mod rounds;
mod tools;

use std::{borrow::Cow, convert::Infallible, io, sync::Arc, time::Duration};

use airside_base::{OnFailure, Supervisor, secret_token};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientCapabilities,
        CompleteRequestParams, CompleteResult, CompletionInfo, GetPromptRequestParams,
        GetPromptResponse, GetTaskParams, GetTaskResult, Implementation, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel,
        PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
        RequestStateCodec, ServerCapabilities, ServerConfig, SetLevelRequestParams,
        SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
        UpdateTaskParams,
    },
    service::{RequestContext, SubscriptionContext},
    task_manager::TaskManager,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
};

type Service = StreamableHttpService<Fixture, LocalSessionManager>;

/// How many announced changes a slow listener may be behind.
const CHANGES: usize = 64;

/// How the fixture answers a request that nothing precedes: the revision leaves
/// the choice to the server, so a gateway has to carry both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Answers {
    /// One event on a stream.
    Stream,
    /// A JSON body.
    Json,
}

/// What listeners are told.
#[derive(Debug, Clone, Copy)]
enum Change {
    Tools,
    Prompts,
    Watched,
}

/// What all sessions share.
struct Shared {
    seal: RequestStateCodec,
    tasks: TaskManager,
    changes: broadcast::Sender<Change>,
}

/// The server as one session sees it.
#[derive(Clone)]
struct Fixture {
    shared: Arc<Shared>,
    /// Level that a session of the handshake era asked for.
    level: Arc<std::sync::Mutex<LoggingLevel>>,
}

/// Serves the fixture on `listener` until `supervisor` is told to stop.
///
/// # Errors
///
/// When the listener has no address, or no key can be made.
pub fn serve(
    listener: TcpListener,
    supervisor: &Supervisor,
    answers: Answers,
) -> io::Result<std::net::SocketAddr> {
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared {
        seal: RequestStateCodec::try_new(secret_token().into_bytes()).map_err(io::Error::other)?,
        tasks: TaskManager::new(),
        changes: broadcast::Sender::new(CHANGES),
    });
    let service: Service = StreamableHttpService::new(
        move || {
            Ok(Fixture {
                shared: shared.clone(),
                level: Arc::new(std::sync::Mutex::new(LoggingLevel::Debug)),
            })
        },
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default()
            .with_json_response(answers == Answers::Json)
            .with_sse_retry(Some(Duration::from_millis(500)))
            .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]),
    );
    let tasks = supervisor.clone();
    supervisor.spawn("fixture", OnFailure::Stop, async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = tasks.stopping() => return,
            };
            // A failed accept concerns one peer, or passes.
            let Ok((stream, _)) = accepted else { continue };
            tasks.spawn(
                "fixture connection",
                OnFailure::Log,
                connection(stream, service.clone(), tasks.clone()),
            );
        }
    });
    Ok(address)
}

async fn connection(stream: TcpStream, service: Service, supervisor: Supervisor) {
    let answer = hyper::service::service_fn(move |request| {
        let service = service.clone();
        async move {
            if http::Request::uri(&request).path() != "/mcp" {
                let missing = http_body_util::Empty::new().boxed();
                let mut response = http::Response::new(missing);
                *response.status_mut() = http::StatusCode::NOT_FOUND;
                return Ok::<_, Infallible>(response);
            }
            Ok(service.handle(request).await)
        }
    });
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        // A broken connection is the peer's affair.
        _ = server.serve_connection(TokioIo::new(stream), answer) => {}
        () = supervisor.stopping() => {}
    }
}

impl Fixture {
    /// Returns the client's capabilities, or nothing where it declared none.
    fn client(context: &RequestContext<RoleServer>) -> ClientCapabilities {
        context.client_capabilities().unwrap_or_default()
    }

    fn is_modern(context: &RequestContext<RoleServer>) -> bool {
        context
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
    }

    async fn announce(&self, change: Change, context: &RequestContext<RoleServer>) {
        // Nobody listening is no failure.
        let _ = self.shared.changes.send(change);
        if Self::is_modern(context) {
            return;
        }
        let peer = &context.peer;
        let _ = match change {
            Change::Tools => peer.notify_tool_list_changed().await,
            Change::Prompts => peer.notify_prompt_list_changed().await,
            Change::Watched => {
                let watched = rmcp::model::ResourceUpdatedNotificationParam::new(catalog::WATCHED);
                peer.notify_resource_updated(watched).await
            }
        };
    }
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(
                "airside-fixture",
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions("Has what the conformance suite of the protocol calls.")
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        catalog::get().tool(name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(
            ListToolsResult::with_all_items(catalog::get().tools.clone())
                .with_ttl_ms(catalog::TTL_MS),
        )
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.clone();
        match name.as_ref() {
            name if rounds::serves(name) => self.round(request, &context),
            name if jobs::serves(name) => self.job(request, &context).await,
            _ => self.tool(request, &context).await.map(Into::into),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = catalog::get().resources.clone();
        Ok(ListResourcesResult::with_all_items(resources).with_ttl_ms(catalog::TTL_MS))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = catalog::get().resource_templates.clone();
        Ok(ListResourceTemplatesResult::with_all_items(templates).with_ttl_ms(catalog::TTL_MS))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        catalog::read(&request.uri).map(ReadResourceResponse::Complete)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = catalog::get().prompts.clone();
        Ok(ListPromptsResult::with_all_items(prompts).with_ttl_ms(catalog::TTL_MS))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name == rounds::PROMPT {
            return rounds::prompt(&request, &Self::client(&context));
        }
        let arguments = request.arguments.unwrap_or_default();
        catalog::prompt(&request.name, &arguments).map(GetPromptResponse::Complete)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values = catalog::complete(&request.argument.value);
        let completion = CompletionInfo::with_all_values(values)
            .map_err(|problem| ErrorData::internal_error(problem, None))?;
        Ok(CompleteResult::new(completion))
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if Self::is_modern(&context) {
            return Err(ErrorData::method_not_found::<
                rmcp::model::SetLevelRequestMethod,
            >());
        }
        *self.level.lock().expect("no panic while the level is set") = request.level;
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        catalog::read(&request.uri).map(drop)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        catalog::read(&request.uri).map(drop)
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.changes.subscribe();
        let sink = context.sink().clone();
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = context.cancelled() => return Ok(()),
            };
            // The sink refuses what the listener did not ask for.
            let _ = match change {
                Ok(Change::Tools) => sink.notify_tool_list_changed().await,
                Ok(Change::Prompts) => sink.notify_prompt_list_changed().await,
                Ok(Change::Watched) => sink.notify_resource_updated(catalog::WATCHED).await,
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            };
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let task = self.shared.tasks.get_task(&request.task_id)?;
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let responses = request.input_responses;
        self.shared.tasks.update_task(&request.task_id, responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(&[
            ProtocolVersion::V_2025_03_26,
            ProtocolVersion::V_2025_06_18,
            ProtocolVersion::V_2025_11_25,
            ProtocolVersion::V_2026_07_28,
        ])
    }
}
