//! The tools: their contracts and how a call becomes a result.

pub(crate) mod arguments;
pub(crate) mod output;
pub(crate) mod render;
pub(crate) mod text;

use std::sync::{Arc, LazyLock};

use airside_base::{Clock, Fault, Timestamp};
use airside_builtin::{
    arguments::read,
    model::{CallToolResult, JsonObject, Tool, ToolAnnotations},
    reply, schema,
};
use jiff::tz::TimeZone;

use self::render::Setting;
use crate::{
    app,
    booking::Refusal,
    error::Rejection,
    money::Currency,
    places::{Atlas, CityIndex},
    reference,
    shop::Local,
    supply::{self, Area, Ask, Candidate, Filter, Hotel, HotelSupply, Order, Search},
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
    atlas: &'static Atlas,
    supply: Arc<dyn HotelSupply>,
    clock: Arc<dyn Clock>,
    /// Without payments every rate is paid at the hotel.
    takes_payments: bool,
}

impl Desk {
    pub(crate) fn new(
        supply: Arc<dyn HotelSupply>,
        clock: Arc<dyn Clock>,
        takes_payments: bool,
    ) -> Self {
        Self {
            takes_payments,
            atlas: Atlas::shared(),
            supply,
            clock,
        }
    }

    /// Calls a tool. Returns `None` if there is none of this name.
    pub(crate) async fn call(
        &self,
        name: &str,
        arguments: Option<JsonObject>,
    ) -> Option<CallToolResult> {
        let answered =
            match name {
                SEARCH => (self.search(arguments).await)
                    .map(|result| reply(&result, text::search(&result))),
                DETAILS => (self.details(arguments).await)
                    .map(|result| reply(&result, text::details(&result))),
                CHECK => (self.check(arguments).await)
                    .map(|result| reply(&result, text::availability(&result))),
                _ => return None,
            };
        Some(answered.unwrap_or_else(|refusal| refuse(&refusal)))
    }

    fn notices(&self) -> Option<output::Notices> {
        Some(output::notices(self.supply.about()))
    }

    async fn search(&self, arguments: Option<JsonObject>) -> Result<output::Search, Refusal> {
        let arguments: arguments::Search = read(arguments)?;
        let (city, also) = match arguments::place(self.atlas, &arguments.place)? {
            arguments::Found::City(city, also) => (city, also),
            arguments::Found::Several(cities) => return Ok(self.ask(&arguments.place, &cities)),
        };
        let mut assumptions = self.not_meant(city, &also);
        let now = self.clock.now();
        let local = Local::at(self.atlas.time_zone(city), now);
        let check_in = arguments.check_in.as_deref();
        let check_out = arguments.check_out.as_deref();
        let stay = arguments::stay(check_in, check_out, &local, &mut assumptions)?;
        let parties = arguments::parties(arguments.rooms.as_deref(), &mut assumptions)?;
        let quoted = self.atlas.city(city).country().currency;
        let limited = arguments.max_price_per_night.is_some();
        let asked = arguments.currency.as_deref();
        currency(asked, quoted, limited, &mut assumptions)?;
        let mut wanted = Search {
            area: Area::City(self.atlas.city(city).id),
            ask: Ask { stay, parties },
            filter: filter(&arguments, quoted)?,
            order: arguments.sort.map(Order::from).unwrap_or_default(),
            from: 0,
            limit: arguments::limit(arguments.limit)?,
        };
        let query = query_digest(self.supply.about().fingerprint, &wanted);
        if let Some(cursor) = arguments.cursor.as_deref() {
            wanted.from = reference::offset(query, cursor).ok_or(Rejection::Cursor)?;
        }
        let found = self.supply.search(&wanted).await?;
        let hotels = found.hotels.iter();
        let hotels = hotels.map(|candidate| self.hotel(candidate, &wanted.ask, now));
        let next = wanted.from.saturating_add(wanted.limit);
        Ok(output::Search {
            place: Some(render::place(self.atlas, city)),
            stay: Some(render::stay(&wanted.ask.stay, &wanted.ask.parties)),
            assumptions: Some(assumptions),
            hotels_available: Some(found.available),
            hotels: Some(hotels.collect()),
            next_cursor: (next < found.available).then(|| reference::cursor(query, next)),
            sort_explanation: Some(found.explanation),
            notices: self.notices(),
            ..output::Search::default()
        })
    }

    fn ask(&self, place: &str, cities: &[CityIndex]) -> output::Search {
        let candidates: Vec<_> = cities
            .iter()
            .map(|city| render::place(self.atlas, *city))
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
        if also.is_empty() {
            return Vec::new();
        }
        let others: Vec<_> = also.iter().map(|city| self.atlas.label(*city)).collect();
        let assumption = format!(
            "{} is assumed, not {}.",
            self.atlas.label(city),
            others.join(" or ")
        );
        vec![assumption]
    }

    fn setting<'a>(&self, zone: &'a TimeZone, now: Timestamp) -> Setting<'a> {
        Setting {
            fingerprint: self.supply.about().fingerprint,
            zone,
            now,
            takes_payments: self.takes_payments,
        }
    }

    fn hotel(&self, candidate: &Candidate, ask: &Ask, now: Timestamp) -> output::Hotel {
        let brief = &candidate.hotel;
        let setting = self.setting(&brief.zone, now);
        output::Hotel {
            property_id: brief.id.to_string(),
            name: brief.name.clone(),
            stars: brief.stars,
            guest_rating: brief.rating,
            district: brief.district.clone(),
            location: render::location(brief.lat_e5, brief.lon_e5),
            distance_to_centre_m: candidate.distance_m,
            best_offer: render::offer(&brief.id, &candidate.offer, ask, &setting),
            price_as_of: candidate.as_of.map(|at| at.to_string()),
            sponsored: false,
        }
    }

    async fn details(&self, arguments: Option<JsonObject>) -> Result<output::Details, Refusal> {
        let arguments: arguments::Hotel = read(arguments)?;
        let hotel = self.described(&arguments.property_id).await?;
        Ok(output::Details {
            hotel: Some(render::profile(&hotel)),
            notices: self.notices(),
            ..output::Details::default()
        })
    }

    async fn described(&self, property: &str) -> Result<Arc<Hotel>, Refusal> {
        described(&*self.supply, property).await
    }

    async fn check(&self, arguments: Option<JsonObject>) -> Result<output::Availability, Refusal> {
        let arguments: arguments::Check = read(arguments)?;
        let hotel = self.described(&arguments.property_id).await?;
        let brief = &hotel.brief;
        let now = self.clock.now();
        let local = Local::at(brief.zone.clone(), now);
        let mut assumptions = Vec::new();
        let (check_in, check_out) = (arguments.check_in.as_str(), arguments.check_out.as_str());
        let stay = arguments::stay(Some(check_in), Some(check_out), &local, &mut assumptions)?;
        let parties = arguments::parties(arguments.rooms.as_deref(), &mut assumptions)?;
        currency(
            arguments.currency.as_deref(),
            brief.currency,
            false,
            &mut assumptions,
        )?;
        let ask = Ask { stay, parties };
        let availability = self.supply.offers(&brief.id, &ask).await?;
        let setting = self.setting(&brief.zone, now);
        let offers = availability.offers.iter();
        let offers: Vec<_> = offers
            .map(|offer| render::offer(&brief.id, offer, &ask, &setting))
            .collect();
        let unavailable = availability.not_offered.iter();
        Ok(output::Availability {
            available: Some(!offers.is_empty()),
            property_id: Some(brief.id.to_string()),
            name: Some(brief.name.clone()),
            stay: Some(render::stay(&ask.stay, &ask.parties)),
            assumptions: Some(assumptions),
            offers: Some(offers),
            unavailable: Some(
                unavailable
                    .map(|room| render::unavailable(&hotel, room))
                    .collect(),
            ),
            notices: self.notices(),
            ..output::Availability::default()
        })
    }
}

/// Finds a hotel by the id that a caller sent.
pub(crate) async fn described(
    supply: &dyn HotelSupply,
    property: &str,
) -> Result<Arc<Hotel>, Refusal> {
    let id = arguments::property(property)?;
    match supply.describe(&id).await {
        Err(supply::Error::HotelUnknown) => Err(Rejection::PropertyUnknown.into()),
        described => Ok(described?),
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

fn query_digest(fingerprint: u64, search: &Search) -> u64 {
    let Search {
        area,
        ask,
        filter,
        order,
        ..
    } = search;
    let (check_in, check_out) = (ask.stay.check_in(), ask.stay.check_out());
    let parties = &ask.parties;
    let query = format!("{area:?} {check_in} {check_out} {parties:?} {filter:?} {order:?}");
    reference::digest(fingerprint, query.as_bytes())
}

fn refuse(refusal: &Refusal) -> CallToolResult {
    let near_matches = match refusal {
        Refusal::Arguments(Rejection::PlaceUnknown { near }) => Some(near.clone()),
        _ => None,
    };
    rejected(&refusal.fault(), near_matches)
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
