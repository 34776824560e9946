//! The tools of the airline, by the names of tau-bench.

use std::sync::LazyLock;

use airside_builtin::{
    arguments,
    model::{CallToolResult, JsonObject, Tool, ToolAnnotations},
    refuse, reply, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    calculator::calculate,
    data::{AIRPORTS, Cabin, Insurance, Passenger, Payment, Trip},
    sandbox::{Leg, Refusal, Sandbox, Wanted},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfUser {
    /// Id of the user, such as `sara_doe_496`.
    user_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfReservation {
    /// Id of the reservation, such as `8JX2WO`.
    reservation_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Route {
    /// Airport of departure in three letters, such as `JFK`.
    origin: String,
    /// Airport of arrival in three letters, such as `LAX`.
    destination: String,
    /// Day of departure, YYYY-MM-DD.
    date: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Booking {
    /// Id of the user who books, such as `sara_doe_496`.
    user_id: String,
    /// Airport of departure in three letters.
    origin: String,
    /// Airport of arrival in three letters.
    destination: String,
    flight_type: Trip,
    cabin: Cabin,
    /// Every flight of the itinerary.
    flights: Vec<Leg>,
    /// One to five passengers.
    passengers: Vec<Passenger>,
    /// Payment methods of the user's profile with amounts that add up to the price.
    payment_methods: Vec<Payment>,
    /// Checked bags in all.
    total_baggages: u32,
    /// Checked bags that are paid for.
    nonfree_baggages: u32,
    /// Travel insurance: 30 US dollars a passenger.
    insurance: Insurance,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Flights {
    /// Id of the reservation, such as `ZFA04Y`.
    reservation_id: String,
    /// Cabin of the whole reservation after the change.
    cabin: Cabin,
    /// Every flight of the reservation after the change, those that stay too.
    flights: Vec<Leg>,
    /// Gift card or credit card of the user's profile for the difference.
    payment_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bags {
    /// Id of the reservation, such as `ZFA04Y`.
    reservation_id: String,
    /// Checked bags in all after the change.
    total_baggages: u32,
    /// Checked bags that are paid for after the change.
    nonfree_baggages: u32,
    /// Gift card or credit card of the user's profile for the difference.
    payment_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Passengers {
    /// Id of the reservation, such as `ZFA04Y`.
    reservation_id: String,
    /// Every passenger after the change; their number stays.
    passengers: Vec<Passenger>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Certificate {
    /// Id of the user, such as `sara_doe_496`.
    user_id: String,
    /// Whole US dollars.
    amount: i64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Expression {
    /// Numbers, `+ - * /` and parentheses, such as `2 + 2`.
    expression: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Transfer {
    /// What the user wants.
    summary: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Status {
    /// Flight number, such as `HAT001`.
    flight_number: String,
    /// Day of the flight, YYYY-MM-DD.
    date: String,
}

/// What a tool does to data.
#[derive(Clone, Copy)]
enum Effect {
    Reads,
    Adds,
    Changes,
}

fn tool<A: JsonSchema>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    effect: Effect,
) -> Tool {
    let hints = ToolAnnotations::with_title(title)
        .read_only(matches!(effect, Effect::Reads))
        .destructive(matches!(effect, Effect::Changes))
        .idempotent(matches!(effect, Effect::Reads))
        .open_world(false);
    Tool::new(name, description, schema::of::<A>())
        .with_title(title)
        .with_annotations(hints)
}

/// The tools in the order in which they are listed.
pub(super) static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let mut tools = reading();
    tools.extend(writing());
    tools
});

fn reading() -> Vec<Tool> {
    vec![
        tool::<OfUser>(
            "get_user_details",
            "Show a user",
            "Show the profile of a user: payment methods, membership and reservations.",
            Effect::Reads,
        ),
        tool::<OfReservation>(
            "get_reservation_details",
            "Show a reservation",
            "Show a reservation: flights, passengers, payments, bags and insurance.",
            Effect::Reads,
        ),
        tool::<Nothing>(
            "list_all_airports",
            "List airports",
            "List all airports with their cities.",
            Effect::Reads,
        ),
        tool::<Route>(
            "search_direct_flight",
            "Search direct flights",
            "Search flights without a stop between two airports on one day that can be booked.",
            Effect::Reads,
        ),
        tool::<Route>(
            "search_onestop_flight",
            "Search one-stop flights",
            "Search pairs of flights between two airports with one stop, leaving on one day.",
            Effect::Reads,
        ),
        tool::<Status>(
            "get_flight_status",
            "Show the status of a flight",
            "Show whether a flight of a day is available, on time, delayed, flying, landed or \
             cancelled.",
            Effect::Reads,
        ),
        tool::<Expression>(
            "calculate",
            "Calculate",
            "Calculate the value of an expression of numbers.",
            Effect::Reads,
        ),
        tool::<Transfer>(
            "transfer_to_human_agents",
            "Transfer to a person",
            "Hand the conversation to a human agent, with a summary. Only if the user asks for one \
             or if policy and tools cannot solve the request.",
            Effect::Reads,
        ),
    ]
}

fn writing() -> Vec<Tool> {
    vec![
        tool::<Booking>(
            "book_reservation",
            "Book a reservation",
            "Book flights for a user. Payments have to add up to the price of all flights, bags and \
             insurance.",
            Effect::Adds,
        ),
        tool::<OfReservation>(
            "cancel_reservation",
            "Cancel a reservation",
            "Cancel a whole reservation; what was paid goes back.",
            Effect::Changes,
        ),
        tool::<Bags>(
            "update_reservation_baggages",
            "Change bags",
            "Change the number of checked bags of a reservation.",
            Effect::Changes,
        ),
        tool::<Flights>(
            "update_reservation_flights",
            "Change flights or cabin",
            "Change flights or cabin of a reservation. Name every flight, those that stay too.",
            Effect::Changes,
        ),
        tool::<Passengers>(
            "update_reservation_passengers",
            "Change passengers",
            "Change who flies on a reservation, not how many.",
            Effect::Changes,
        ),
        tool::<Certificate>(
            "send_certificate",
            "Send a certificate",
            "Give a user a travel certificate as compensation.",
            Effect::Adds,
        ),
    ]
}

/// Why a call has no result.
enum Unanswered {
    Arguments(arguments::Error),
    Refused(Refusal),
}

impl From<arguments::Error> for Unanswered {
    fn from(error: arguments::Error) -> Self {
        Self::Arguments(error)
    }
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Calls a tool. `None` means that there is none of this name.
pub(super) fn call(
    sandbox: &mut Sandbox,
    name: &str,
    arguments: Option<JsonObject>,
) -> Option<CallToolResult> {
    if !TOOLS.iter().any(|tool| tool.name == name) {
        return None;
    }
    Some(match answer(sandbox, name, arguments) {
        Ok(result) => {
            let text = result.to_string();
            reply(&result, text)
        }
        Err(Unanswered::Arguments(error)) => refuse(&error.fault()),
        Err(Unanswered::Refused(refusal)) => refuse(&refusal.fault()),
    })
}

fn answer(
    sandbox: &mut Sandbox,
    name: &str,
    arguments: Option<JsonObject>,
) -> Result<Value, Unanswered> {
    Ok(match name {
        "get_user_details" => {
            let of: OfUser = read(arguments)?;
            let mut user = json!(sandbox.user(&of.user_id)?);
            user["user_id"] = json!(of.user_id);
            user
        }
        "get_reservation_details" => {
            let of: OfReservation = read(arguments)?;
            json!(sandbox.reservation(&of.reservation_id)?)
        }
        "list_all_airports" => {
            let _: Nothing = read(arguments)?;
            let airport = |(iata, city): &(&str, &str)| json!({ "iata": iata, "city": city });
            json!({ "airports": AIRPORTS.iter().map(airport).collect::<Vec<_>>() })
        }
        "search_direct_flight" => {
            let Route {
                origin,
                destination,
                date,
            } = read(arguments)?;
            json!({ "flights": sandbox.direct(&origin, Some(&destination), &date, None) })
        }
        "search_onestop_flight" => json!({ "flights": one_stop(sandbox, &read(arguments)?) }),
        "get_flight_status" => {
            let of: Status = read(arguments)?;
            json!({ "status": sandbox.status(&of.flight_number, &of.date)? })
        }
        "calculate" => {
            let of: Expression = read(arguments)?;
            let result = calculate(&of.expression);
            json!({ "result": result.ok_or(Refusal::Impossible("the expression has no value"))? })
        }
        "transfer_to_human_agents" => {
            let of: Transfer = read(arguments)?;
            json!({ "message": "Transfer successful", "summary": of.summary })
        }
        _ => change(sandbox, name, arguments)?,
    })
}

fn change(
    sandbox: &mut Sandbox,
    name: &str,
    arguments: Option<JsonObject>,
) -> Result<Value, Unanswered> {
    Ok(match name {
        "book_reservation" => json!(sandbox.book(read::<Booking>(arguments)?.into())?),
        "cancel_reservation" => {
            let of: OfReservation = read(arguments)?;
            json!(sandbox.cancel(&of.reservation_id)?)
        }
        "update_reservation_baggages" => {
            let bags: Bags = read(arguments)?;
            let (id, total, nonfree) = (
                &bags.reservation_id,
                bags.total_baggages,
                bags.nonfree_baggages,
            );
            json!(sandbox.change_bags(id, total, nonfree, &bags.payment_id)?)
        }
        "update_reservation_flights" => {
            let to: Flights = read(arguments)?;
            let payment = &to.payment_id;
            json!(sandbox.change_flights(&to.reservation_id, to.cabin, &to.flights, payment)?)
        }
        "update_reservation_passengers" => {
            let to: Passengers = read(arguments)?;
            json!(sandbox.change_passengers(&to.reservation_id, to.passengers)?)
        }
        _ => {
            let of: Certificate = read(arguments)?;
            let id = sandbox.certify(&of.user_id, of.amount)?;
            json!({ "message": format!(
                "Certificate {id} added to user {} with amount {}.", of.user_id, of.amount
            ) })
        }
    })
}

fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, Unanswered> {
    Ok(arguments::read(arguments)?)
}

impl From<Booking> for Wanted {
    fn from(booking: Booking) -> Self {
        Self {
            user_id: booking.user_id,
            origin: booking.origin,
            destination: booking.destination,
            flight_type: booking.flight_type,
            cabin: booking.cabin,
            flights: booking.flights,
            passengers: booking.passengers,
            payment_methods: booking.payment_methods,
            total_baggages: booking.total_baggages,
            nonfree_baggages: booking.nonfree_baggages,
            insurance: booking.insurance,
        }
    }
}

/// Returns pairs of flights: the second leaves after the first has arrived, which may
/// be on the next day.
fn one_stop(sandbox: &Sandbox, route: &Route) -> Vec<Value> {
    let text = |flight: &Value, key: &str| flight[key].as_str().unwrap_or_default().to_owned();
    let mut pairs = Vec::new();
    for mut first in sandbox.direct(&route.origin, None, &route.date, None) {
        let arrival = text(&first, "scheduled_arrival_time_est");
        let date = if arrival.contains("+1") {
            next_day(&route.date)
        } else {
            route.date.clone()
        };
        let stop = text(&first, "destination");
        first["date"] = json!(route.date);
        for mut second in sandbox.direct(&stop, Some(&route.destination), &date, Some(&arrival)) {
            second["date"] = json!(date);
            pairs.push(json!([first, second]));
        }
    }
    pairs
}

fn next_day(date: &str) -> String {
    let date: Option<jiff::civil::Date> = date.parse().ok();
    let next = date.and_then(|date| date.tomorrow().ok());
    next.map_or_else(String::new, |next| next.to_string())
}
