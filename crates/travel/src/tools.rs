//! The tools: their contracts and how a call becomes a result.

pub(crate) mod arguments;
pub(crate) mod output;
pub(crate) mod render;
mod text;

use std::sync::{Arc, LazyLock};

use airside_base::{Clock, Fault};
use airside_builtin::{
    arguments::read,
    model::{CallToolResult, JsonObject, Tool, ToolAnnotations},
    reply, schema,
};

use crate::{
    app,
    error::Rejection,
    levy::levies,
    money::Currency,
    places::CityIndex,
    property::{Property, RoomType, address, name},
    quote::Plan,
    reference,
    shop::{Filter, Found, Hotels, Order, RECOMMENDED, Wish},
    stay::{ADULT_AGE, INFANT_AGE},
};

pub(crate) const SEARCH: &str = "search_hotels";
pub(crate) const DETAILS: &str = "get_hotel";
pub(crate) const CHECK: &str = "check_availability";

/// The tools in the order in which they are listed, which never changes.
pub(crate) static TOOLS: LazyLock<[Tool; 3]> = LazyLock::new(|| {
    [
        tool::<arguments::Search, output::Search>(
            SEARCH,
            "Search available hotels",
            "Find available hotels in a city for given dates and guests, with all-in prices. Use it \
             whenever a traveller wants to find, compare or browse hotels or accommodation, for \
             example \"find available hotels in Boston\". Returns only hotels that can take the whole \
             stay, each with its cheapest offer, the total including all taxes and fees, cancellation \
             terms and a property_id. If the place is ambiguous the result has status place_ambiguous \
             and a question for the traveller. It does not book anything.",
        ),
        tool::<arguments::Hotel, output::Details>(
            DETAILS,
            "Show one hotel",
            "Describe one hotel found with search_hotels: address, room types and how many guests they \
             take, amenities, check-in and check-out times, children and cancellation policies, taxes \
             and fees. It has no prices for dates: use check_availability for them.",
        ),
        tool::<arguments::Check, output::Availability>(
            CHECK,
            "Check rooms and prices of one hotel",
            "Check one known hotel for given dates and guests: all bookable room types and rate plans \
             with all-in totals, nightly rates and cancellation terms, and why other room types are not \
             available. Use it after search_hotels, before a traveller decides. To look for hotels in a \
             city use search_hotels instead.",
        ),
    ]
});

fn tool<A: schemars::JsonSchema, R: schemars::JsonSchema>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
) -> Tool {
    let hints = ToolAnnotations::with_title(title)
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(true);
    let tool = Tool::new(name, description, schema::of::<A>())
        .with_title(title)
        .with_raw_output_schema(schema::of_result::<R>())
        .with_annotations(hints);
    app::linked(tool)
}

/// Answers calls of the tools.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    hotels: Arc<Hotels>,
    clock: Arc<dyn Clock>,
}

impl Desk {
    pub(crate) fn new(hotels: Arc<Hotels>, clock: Arc<dyn Clock>) -> Self {
        Self { hotels, clock }
    }

    /// Calls a tool. Returns `None` if there is none of this name.
    pub(crate) fn call(&self, name: &str, arguments: Option<JsonObject>) -> Option<CallToolResult> {
        let answered = match name {
            SEARCH => self
                .search(arguments)
                .map(|result| reply(&result, text::search(&result))),
            DETAILS => self
                .details(arguments)
                .map(|result| reply(&result, text::details(&result))),
            CHECK => self
                .check(arguments)
                .map(|result| reply(&result, text::availability(&result))),
            _ => return None,
        };
        Some(answered.unwrap_or_else(|rejection| refuse(&rejection)))
    }

    fn search(&self, arguments: Option<JsonObject>) -> Result<output::Search, Rejection> {
        let arguments: arguments::Search = read(arguments)?;
        let (city, also) = match arguments::place(&self.hotels, &arguments.place)? {
            arguments::Found::City(city, also) => (city, also),
            arguments::Found::Several(cities) => return Ok(self.ask(&arguments.place, &cities)),
        };
        let mut assumptions = self.not_meant(city, &also);
        let local = self.hotels.local(city, self.clock.now());
        let check_in = arguments.check_in.as_deref();
        let check_out = arguments.check_out.as_deref();
        let stay = arguments::stay(check_in, check_out, &local, &mut assumptions)?;
        let parties = arguments::parties(arguments.rooms.as_deref(), &mut assumptions)?;
        let quoted = self.hotels.atlas().city(city).country().currency;
        let limited = arguments.max_price_per_night.is_some();
        let asked = arguments.currency.as_deref();
        currency(asked, quoted, limited, &mut assumptions)?;
        let filter = filter(&arguments, quoted)?;
        let order = arguments.sort.map(Order::from).unwrap_or_default();
        let limit = arguments::limit(arguments.limit)?;
        let wish = Wish {
            stay: &stay,
            parties: &parties,
            local: &local,
        };
        let query = query_digest(&self.hotels, city, &wish, filter, order);
        let start = match arguments.cursor.as_deref() {
            Some(cursor) => reference::offset(query, cursor).ok_or(Rejection::Cursor)?,
            None => 0,
        };
        let found = self.hotels.search(city, &wish, filter, order);
        let page = found.iter().skip(start).take(limit);
        let hotels = page.filter_map(|found| self.hotel(found, &wish)).collect();
        let next = start.saturating_add(limit);
        Ok(output::Search {
            place: Some(render::place(self.hotels.atlas(), city)),
            stay: Some(render::stay(&stay, &parties)),
            assumptions: Some(assumptions),
            hotels_available: Some(found.len()),
            hotels: Some(hotels),
            next_cursor: (next < found.len()).then(|| reference::cursor(query, next)),
            sort_explanation: Some(explanation(order)),
            notices: Some(output::NOTICES),
            ..output::Search::default()
        })
    }

    fn ask(&self, place: &str, cities: &[CityIndex]) -> output::Search {
        let atlas = self.hotels.atlas();
        let candidates: Vec<_> = cities
            .iter()
            .map(|city| render::place(atlas, *city))
            .collect();
        let labels: Vec<_> = candidates
            .iter()
            .map(|place| place.label.as_str())
            .collect();
        let question = format!(
            "Which {} does the traveller mean: {}?",
            place.trim(),
            labels.join("; ")
        );
        output::Search {
            status: output::Status::PlaceAmbiguous,
            question: Some(question),
            candidates: Some(candidates),
            ..output::Search::default()
        }
    }

    /// Returns the assumption that the traveller means the prominent city.
    fn not_meant(&self, city: CityIndex, also: &[CityIndex]) -> Vec<String> {
        let atlas = self.hotels.atlas();
        if also.is_empty() {
            return Vec::new();
        }
        let others: Vec<_> = also.iter().map(|city| atlas.label(*city)).collect();
        let assumption = format!(
            "{} is assumed, not {}.",
            atlas.label(city),
            others.join(" or ")
        );
        vec![assumption]
    }

    fn hotel(&self, found: &Found, wish: &Wish<'_>) -> Option<output::Hotel> {
        let property = &self.hotels.found(found);
        let offer = self.hotels.offer(found, wish)?;
        Some(output::Hotel {
            property_id: property.id.to_string(),
            name: name(self.hotels.world(), self.hotels.atlas(), property),
            stars: property.stars,
            guest_rating: property.rating,
            district: address(property.key).district,
            location: render::location(property.lat_e5, property.lon_e5),
            distance_to_centre_m: property.distance_m,
            best_offer: render::offer(&self.hotels, property, &offer, wish),
            sponsored: false,
        })
    }

    fn details(&self, arguments: Option<JsonObject>) -> Result<output::Details, Rejection> {
        let arguments: arguments::Hotel = read(arguments)?;
        let property = arguments::property(&self.hotels, &arguments.property_id)?;
        Ok(output::Details {
            hotel: Some(self.profile(&property)),
            notices: Some(output::NOTICES),
            ..output::Details::default()
        })
    }

    fn profile(&self, property: &Property) -> output::Profile {
        let atlas = self.hotels.atlas();
        let address = address(property.key);
        let room = |room: &RoomType| {
            let capacity = room.kind.capacity();
            output::RoomType {
                code: room.kind.code(),
                name: room.kind.name(),
                beds: room.kind.beds(),
                max_adults: capacity.adults,
                max_children: capacity.children,
                max_guests: capacity.guests,
            }
        };
        let levies = levies(property, atlas.city(property.city));
        let sold_in_time = |plan: &Plan| plan.is_sold(property, i64::MAX);
        output::Profile {
            property_id: property.id.to_string(),
            name: name(self.hotels.world(), atlas, property),
            stars: property.stars,
            guest_rating: property.rating,
            address: output::Address {
                street: address.street,
                district: address.district,
                city: atlas.name(property.city).to_owned(),
                country: atlas.city(property.city).country().name,
            },
            location: render::location(property.lat_e5, property.lon_e5),
            distance_to_centre_m: property.distance_m,
            time_zone: atlas.zone(property.city).to_owned(),
            currency: property.currency.code,
            rooms: property.rooms,
            room_types: property.room_types().iter().map(room).collect(),
            rate_plans: Plan::ALL
                .into_iter()
                .filter(sold_in_time)
                .map(render::plan_name)
                .collect(),
            amenities: property.amenities().collect(),
            policies: policies(property),
            taxes_and_fees: levies
                .iter()
                .map(|levy| render::charge(levy, property.currency))
                .collect(),
        }
    }

    fn check(&self, arguments: Option<JsonObject>) -> Result<output::Availability, Rejection> {
        let arguments: arguments::Check = read(arguments)?;
        let property = arguments::property(&self.hotels, &arguments.property_id)?;
        let local = self.hotels.local(property.city, self.clock.now());
        let mut assumptions = Vec::new();
        let (check_in, check_out) = (arguments.check_in.as_str(), arguments.check_out.as_str());
        let stay = arguments::stay(Some(check_in), Some(check_out), &local, &mut assumptions)?;
        let parties = arguments::parties(arguments.rooms.as_deref(), &mut assumptions)?;
        currency(
            arguments.currency.as_deref(),
            property.currency,
            false,
            &mut assumptions,
        )?;
        let wish = Wish {
            stay: &stay,
            parties: &parties,
            local: &local,
        };
        let availability = self.hotels.availability(&property, &wish);
        let offers: Vec<_> = availability
            .offers
            .iter()
            .map(|offer| render::offer(&self.hotels, &property, offer, &wish))
            .collect();
        let unavailable = availability.unavailable.iter();
        Ok(output::Availability {
            available: Some(!offers.is_empty()),
            property_id: Some(property.id.to_string()),
            name: Some(name(self.hotels.world(), self.hotels.atlas(), &property)),
            stay: Some(render::stay(&stay, &parties)),
            assumptions: Some(assumptions),
            offers: Some(offers),
            unavailable: Some(
                unavailable
                    .map(|(room, reason)| render::unavailable(room, *reason))
                    .collect(),
            ),
            notices: Some(output::NOTICES),
            ..output::Availability::default()
        })
    }
}

/// Checks the currency that the traveller thinks in. A price limit in another
/// currency than the quoted one is refused: no exchange rate is known here.
fn currency(
    asked: Option<&str>,
    quoted: Currency,
    limited: bool,
    assumptions: &mut Vec<String>,
) -> Result<(), Rejection> {
    let Some(code) = asked else {
        return Ok(());
    };
    let asked = Currency::find(code).ok_or(Rejection::CurrencyUnknown)?;
    if asked == quoted {
        return Ok(());
    }
    if limited {
        return Err(Rejection::CurrencyOther {
            quoted: quoted.code,
        });
    }
    assumptions.push(format!(
        "Prices are quoted and paid in {}; they are not converted to {}.",
        quoted.code, asked.code
    ));
    Ok(())
}

fn filter(arguments: &arguments::Search, quoted: Currency) -> Result<Filter, Rejection> {
    Ok(Filter {
        min_stars: arguments::stars(arguments.min_stars)?,
        max_per_night: arguments::price(arguments.max_price_per_night, quoted.minor_per_major())?,
        free_cancellation: arguments.free_cancellation.unwrap_or(false),
    })
}

fn query_digest(
    hotels: &Hotels,
    city: CityIndex,
    wish: &Wish<'_>,
    filter: Filter,
    order: Order,
) -> u64 {
    let city = hotels.atlas().city(city).id;
    let (check_in, check_out) = (wish.stay.check_in(), wish.stay.check_out());
    let query = format!(
        "{city} {check_in} {check_out} {:?} {filter:?} {order:?}",
        wish.parties
    );
    reference::digest(hotels.world().fingerprint(), query.as_bytes())
}

fn explanation(order: Order) -> &'static str {
    match order {
        Order::Recommended => RECOMMENDED,
        Order::Price => "Cheapest all-in total first. No hotel paid for its position.",
        Order::Stars => {
            "Most stars first, then the cheapest all-in total. No hotel paid for its position."
        }
        Order::Distance => {
            "Nearest to the centre of the city first. No hotel paid for its position."
        }
    }
}

fn policies(property: &Property) -> output::Policies {
    let days = property.cancel_days;
    let plural = if days == 1 { "" } else { "s" };
    output::Policies {
        check_in_from: "15:00",
        check_out_until: "11:00",
        children: format!(
            "Children below {INFANT_AGE} stay free; from {ADULT_AGE} years on guests count as adults."
        ),
        cancellation: format!(
            "Flexible rates are cancelled free of charge until 18:00 at the hotel, {days} day{plural} before arrival; then the first night is charged."
        ),
    }
}

fn refuse(rejection: &Rejection) -> CallToolResult {
    let near_matches = match rejection {
        Rejection::PlaceUnknown { near } => Some(near.clone()),
        _ => None,
    };
    rejected(&rejection.fault(), near_matches)
}

/// Returns `fault` as a result that fits the output schema of every tool.
pub(crate) fn refused(fault: &Fault) -> CallToolResult {
    rejected(fault, None)
}

fn rejected(fault: &Fault, near_matches: Option<Vec<String>>) -> CallToolResult {
    let rejection = output::Rejection {
        code: Some(fault.code().into()),
        message: Some(fault.public().to_owned()),
        hint: fault.hint().map(str::to_owned),
        near_matches,
    };
    rejected_as(rejection)
}

/// Returns a rejection as a result.
pub(crate) fn rejected_as(rejection: output::Rejection) -> CallToolResult {
    let text = text::rejection(&rejection);
    let result = output::Rejected {
        status: output::Status::Error,
        rejection,
    };
    let mut reply = reply(&result, text);
    reply.is_error = Some(true);
    reply
}

#[cfg(test)]
mod tests;
