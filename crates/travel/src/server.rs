//! The hotel server as an MCP server.
//!
//! # Invariants
//!
//! * There are no sessions of the protocol: what is kept between calls is in the ledger,
//!   behind a handle or the caller's own, so clients of the handshake era get an answer
//!   without a session id and nothing can pile up.

use std::{path::PathBuf, sync::Arc, time::Duration};

use airside_base::{BoxFuture, Clock, Fault, NodeId, Supervisor, TenantId};
use airside_builtin::{
    About, Exposure, LIST_TTL_MS, Origin, Server, Tools, document,
    model::{
        CacheScope, CallToolResult, GetPromptResult, JsonObject, Prompt, ReadResourceResult,
        Resource, Tool,
    },
    text,
};
use airside_ledger::{Ledger, conversation::Conversations, keys::Keys};
use airside_mcp::{Body, Local};

use crate::{
    app, booking,
    counter::{Counter, TOOLS},
    house::Houses,
    inventory::Inventory,
    memory::Memory,
    payment::Payments,
    prompt,
    property::Size,
    shop::Hotels,
    supply::HotelSupply,
    tools::Desk,
};

const INSTRUCTIONS: &str = "Hotel search and booking for cities worldwide. Start with search_hotels \
     (place, dates, guests); send conversation as `new`, then follow-ups need only the conversation \
     and what is new (\"the second one, two nights longer\": pick 2, nights_delta 2). Use \
     check_availability for all rooms and rates of one hotel and get_hotel for its description. Show \
     the all-in `total` first. If a place is ambiguous, ask the traveller. When the traveller has \
     chosen, create_booking_session holds the rooms; only the traveller can book, in the booking view \
     or at a terminal. Changes and cancellations are quoted first and confirmed in the same way. Dates \
     are YYYY-MM-DD in the hotel's calendar; amounts are integers in minor units. Never ask for card \
     numbers: guests pay at the hotel. Tell travellers that they talk to an AI.";

const NOTICE_URI: &str = "airside://travel/notice";
const MARKDOWN: &str = "text/markdown";
const NOTICE: &str = include_str!("../assets/notice.md");
/// What is said of hotels that are not ours.
const SUPPLIER: &str = include_str!("../assets/notice_supplier.md");

/// How the server is set up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Decides all hotels, prices and availability.
    pub seed: u64,
    /// How many hotels there are.
    pub size: Size,
    /// A hotel group's own hotels, beside the generated ones.
    pub houses: Houses,
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
    /// Who takes payments; without one everything is paid at the hotel.
    pub payments: Option<Arc<dyn Payments>>,
    /// How long rooms and price are held for a traveller who reviews them, such as
    /// [`HOLD`](crate::HOLD).
    pub hold: Duration,
    /// Runs what has to be done without a call.
    pub supervisor: Supervisor,
    /// The node, for leases.
    pub node: NodeId,
}

/// The hotel server. Clones share everything.
#[derive(Clone)]
pub struct Travel {
    server: Server<Handler>,
    supply: Arc<dyn HotelSupply>,
    /// What `supply` is, if the hotels are our own.
    inventory: Option<Inventory>,
    booking: Arc<booking::Desk>,
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
        let is_generated = options.houses.is_empty();
        let hotels = Arc::new(Hotels::new(options.seed, options.size, options.houses));
        let inventory = Inventory::start(
            hotels,
            parts.ledger.clone(),
            parts.clock.clone(),
            parts.node,
            options.snapshot,
            &parts.supervisor,
        );
        let supply: Arc<dyn HotelSupply> = Arc::new(inventory.clone());
        let server = match is_generated {
            true => Self::over(supply, options.exposure, parts, NOTICE.to_owned()),
            false => Self::selling(supply, options.exposure, parts),
        };
        Self {
            inventory: Some(inventory),
            ..server
        }
    }

    /// Returns a server that sells what `supply` has.
    #[must_use]
    pub fn selling(supply: Arc<dyn HotelSupply>, exposure: Exposure, parts: Parts) -> Self {
        let notice = SUPPLIER.replace("{notice}", &supply.about().notice);
        Self::over(supply, exposure, parts, notice)
    }

    fn over(
        supply: Arc<dyn HotelSupply>,
        exposure: Exposure,
        parts: Parts,
        notice: String,
    ) -> Self {
        let booking = Arc::new(booking::Desk::new(supply.clone(), &parts));
        booking.clone().start(&parts.supervisor);
        let memory = Memory::new(parts.conversations);
        let desk = Desk::new(supply.clone(), parts.clock, parts.payments.is_some());
        let handler = Handler {
            counter: Counter::new(desk, booking.clone(), memory),
            instructions: format!("{INSTRUCTIONS} {}", supply.about().notice),
            notice,
        };
        Self {
            server: Server::new(handler, exposure),
            inventory: None,
            booking,
            supply,
        }
    }

    /// Returns how often the total that a traveller saw was still right when rooms were
    /// held for it.
    #[must_use]
    pub fn prices(&self) -> booking::Prices {
        self.booking.prices()
    }

    /// Looks at a payment of which its provider says that something happened. Whether it
    /// did is asked of the provider.
    ///
    /// # Errors
    ///
    /// If that cannot be kept; the provider should say it again.
    pub async fn payment_changed(&self, tenant: &TenantId, payment: &str) -> Result<(), Fault> {
        let noticed = self.booking.notice(tenant, payment).await;
        noticed.map_err(|refusal| refusal.fault())
    }

    pub(crate) fn hotels(&self) -> Option<&Hotels> {
        self.inventory.as_ref().map(Inventory::hotels)
    }

    /// Returns who sells the rooms: it is booked with, and it is told of availability,
    /// rates and restrictions.
    #[must_use]
    pub fn supply(&self) -> Arc<dyn HotelSupply> {
        self.supply.clone()
    }
}

impl Local for Travel {
    fn call<'a>(&'a self, request: http::Request<Body>) -> BoxFuture<'a, http::Response<Body>> {
        self.server.call(request)
    }
}

struct Handler {
    counter: Counter,
    instructions: String,
    notice: String,
}

impl Tools for Handler {
    fn about(&self) -> About {
        About {
            name: "airside-travel",
            title: "Airside hotels",
            instructions: self.instructions.clone().into(),
        }
    }

    fn tools(&self) -> &[Tool] {
        &TOOLS
    }

    fn call<'a>(
        &'a self,
        origin: &'a Origin,
        name: &'a str,
        arguments: Option<JsonObject>,
    ) -> BoxFuture<'a, Option<CallToolResult>> {
        Box::pin(async move {
            let principal = origin.principal.as_ref();
            self.counter.call(name, arguments, principal).await
        })
    }

    fn prompts(&self) -> Vec<Prompt> {
        prompt::list()
    }

    fn prompt(
        &self,
        name: &str,
        arguments: Option<&JsonObject>,
    ) -> Result<GetPromptResult, String> {
        prompt::get(name, arguments).map_err(|error| error.to_string())
    }

    fn documents(&self) -> Vec<Resource> {
        let title = "About this hotel data";
        let mut notice = document(NOTICE_URI, "notice", title, MARKDOWN);
        let about =
            "Where hotels, prices and places come from, how results are ordered, and credits.";
        notice.description = Some(about.to_owned());
        vec![app::resource(), notice]
    }

    fn read(&self, _origin: &Origin, uri: &str) -> Option<ReadResourceResult> {
        let mut result = match uri {
            app::URI => app::read(),
            NOTICE_URI => text(NOTICE_URI, MARKDOWN, self.notice.clone()),
            _ => return None,
        };
        result.ttl_ms = Some(LIST_TTL_MS);
        result.cache_scope = Some(CacheScope::Public);
        Some(result)
    }
}
