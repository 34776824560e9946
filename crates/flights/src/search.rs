//! Flight search as an MCP server, over the flights of tau-bench.
//!
//! # Invariants
//!
//! * Nothing is written and nothing can be booked here.
//! * Fares are integers in minor units and cover every passenger; there is nothing
//!   else to pay.
//! * The same question on the same day has the same answer.

mod answer;
mod itinerary;

use std::sync::{Arc, LazyLock};

use airside_base::{BoxFuture, Clock, Fault, Kind};
use airside_builtin::{
    About, Exposure, Origin, Server, Tools, arguments, document,
    model::{CallToolResult, JsonObject, ReadResourceResult, Resource, Tool, ToolAnnotations},
    refuse, reply, schema, text,
};
use airside_mcp::{Body, Local};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::airline::Cabin;

const SEARCH: &str = "search_flights";
const NOTICE_URI: &str = "airside://flights/notice";
const MARKDOWN: &str = "text/markdown";
const NOTICE: &str = include_str!("../assets/flights_notice.md");
const INSTRUCTIONS: &str = "Flight search between 20 airports of the United States: search_flights takes \
     airports or cities, a day and passengers, and returns direct and one-stop itineraries with \
     all-in fares. Nothing can be booked here. Flights and fares are a demonstration. Tell travellers \
     that they talk to an AI.";

/// The flight search. Clones share everything.
#[derive(Clone)]
pub struct Flights {
    server: Server<Counter>,
}

impl std::fmt::Debug for Flights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

impl Flights {
    /// Returns a server. Its data is decoded by the first call that needs it.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            server: Server::new(Counter { clock }, Exposure::InProcess),
        }
    }
}

impl Local for Flights {
    fn call<'a>(&'a self, request: http::Request<Body>) -> BoxFuture<'a, http::Response<Body>> {
        self.server.call(request)
    }
}

/// Arguments of `search_flights`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// Where the trip begins: an airport in three letters, such as `BOS`, or a city.
    origin: String,
    /// Where it ends: an airport in three letters, or a city.
    destination: String,
    /// Day of departure, YYYY-MM-DD.
    date: String,
    /// Who flies, children included: 1 to 9, by default 1.
    passengers: Option<u8>,
    /// Class of seats, by default `economy`.
    cabin: Option<Cabin>,
    /// Most stops: 0 or 1, by default 1.
    max_stops: Option<u8>,
    /// `price`, `duration` or `departure`; by default `price`.
    sort: Option<Sort>,
    /// Most itineraries: 1 to 50, by default 10.
    limit: Option<u8>,
}

/// An order of itineraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    #[default]
    Price,
    Duration,
    Departure,
}

/// Why a search is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no flights are known from or to `{text}`")]
    AirportUnknown { text: String, near: Option<String> },
    #[error("origin and destination are the same")]
    SamePlace,
    #[error("{date} is not between {first} and {last}")]
    Date {
        date: jiff::civil::Date,
        first: jiff::civil::Date,
        last: jiff::civil::Date,
    },
}

impl Refusal {
    fn fault(&self) -> Fault {
        let (kind, code, hint) = match self {
            Self::AirportUnknown { near, .. } => (
                Kind::NotFound,
                "TRV-300",
                match near {
                    Some(near) => format!("did the traveller mean {near}?"),
                    None => {
                        "name one of the 20 airports or their cities, for example `BOS` or `Boston`"
                            .to_owned()
                    }
                },
            ),
            Self::SamePlace => (
                Kind::Invalid,
                "TRV-301",
                "ask the traveller where the trip goes".to_owned(),
            ),
            Self::Date { first, last, .. } => (
                Kind::Invalid,
                "TRV-302",
                format!("use a day from {first} to {last}"),
            ),
        };
        Fault::new(kind, code, self.to_string()).with_hint(hint)
    }
}

#[derive(Debug)]
struct Counter {
    clock: Arc<dyn Clock>,
}

static TOOLS: LazyLock<[Tool; 1]> = LazyLock::new(|| {
    let title = "Search flights";
    let hints = ToolAnnotations::with_title(title)
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(true);
    let description = "Find flights between two airports or cities of the United States on one day, for \
         example \"flights from Boston to Seattle tomorrow\": direct and one-stop itineraries with times, \
         duration, seats left and the total fare for all passengers. For places to stay use \
         search_hotels. It does not book anything.";
    [Tool::new(SEARCH, description, schema::of::<Asked>())
        .with_title(title)
        .with_raw_output_schema(schema::of::<answer::Found>())
        .with_annotations(hints)]
});

impl Counter {
    fn search(&self, arguments: Option<JsonObject>) -> CallToolResult {
        let asked: Asked = match arguments::read(arguments) {
            Ok(asked) => asked,
            Err(error) => return refuse(&error.fault()),
        };
        let wanted = match wanted(&asked) {
            Ok(wanted) => wanted,
            Err(error) => return refuse(&error.fault()),
        };
        let today = self
            .clock
            .now()
            .to_zoned(jiff::tz::TimeZone::fixed(itinerary::EASTERN));
        match itinerary::search(&asked, &wanted, today.date()) {
            Ok(found) => {
                let words = answer::text(&found);
                reply(&found, words)
            }
            Err(refusal) => refuse(&refusal.fault()),
        }
    }
}

/// What is asked for, within its ranges.
#[derive(Debug)]
pub(crate) struct Wanted {
    date: jiff::civil::Date,
    passengers: i64,
    cabin: Cabin,
    stops: u8,
    sort: Sort,
    limit: usize,
}

fn wanted(asked: &Asked) -> Result<Wanted, arguments::Error> {
    let within = |value: u8, range: std::ops::RangeInclusive<u8>, field, text| {
        let range_text: &'static str = text;
        match range.contains(&value) {
            true => Ok(value),
            false => Err(arguments::Error::Range {
                field,
                range: range_text,
            }),
        }
    };
    let date = asked.date.parse();
    let date = date.map_err(|_| arguments::Error::Date { field: "date" })?;
    let passengers = asked.passengers.unwrap_or(1);
    let passengers = within(
        passengers,
        1..=9,
        "passengers",
        "1 to 9 passengers fly together",
    )?;
    let stops = within(
        asked.max_stops.unwrap_or(1),
        0..=1,
        "max_stops",
        "max_stops is 0 or 1",
    )?;
    let limit = within(
        asked.limit.unwrap_or(10),
        1..=50,
        "limit",
        "limit is 1 to 50",
    )?;
    Ok(Wanted {
        date,
        passengers: i64::from(passengers),
        cabin: asked.cabin.unwrap_or(Cabin::Economy),
        stops,
        sort: asked.sort.unwrap_or_default(),
        limit: usize::from(limit),
    })
}

impl Tools for Counter {
    fn about(&self) -> About {
        About {
            name: "airside-flights",
            title: "Airside flights",
            instructions: INSTRUCTIONS.into(),
        }
    }

    fn tools(&self) -> &[Tool] {
        &*TOOLS
    }

    fn call<'a>(
        &'a self,
        _origin: &'a Origin,
        name: &'a str,
        arguments: Option<JsonObject>,
    ) -> BoxFuture<'a, Option<CallToolResult>> {
        let result = (name == SEARCH).then(|| self.search(arguments));
        Box::pin(std::future::ready(result))
    }

    fn documents(&self) -> Vec<Resource> {
        let notice = document(NOTICE_URI, "notice", "About these flights", MARKDOWN);
        vec![notice]
    }

    fn read(&self, _origin: &Origin, uri: &str) -> Option<ReadResourceResult> {
        (uri == NOTICE_URI).then(|| text(NOTICE_URI, MARKDOWN, NOTICE.to_owned()))
    }
}
