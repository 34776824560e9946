//! The calls of the published files, answered.

use airside_base::Timestamp;
use http::{HeaderMap, Method};
use jiff::{ToSpan as _, civil::Date};
use serde_json::{Value, json};

use super::{
    CHANNEL, USER,
    house::{
        HOTELS, Hotel, House, KINDS, Kind, PLANS, Plan, Sold, Status, Wish, asked, decimal, nights,
    },
};

type Answer = (u16, Value);

/// A request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) json: Option<&'a Value>,
    pub(super) form: &'a [u8],
}

impl Asked<'_> {
    fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    fn date(&self, name: &str) -> Option<Date> {
        self.parameter(name)?.parse().ok()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.parameter(name)?.parse().ok()
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Returns an error as the published files have it.
pub(super) fn exception(status: u16, title: &str) -> Value {
    json!({
        "logId": 1, "title": title, "status": status, "o:errorCode": format!("SIM{status}"),
        "o.errorCode": format!("SIM{status}"),
    })
}

fn refuse(status: u16, title: &str) -> Answer {
    (status, exception(status, title))
}

/// Answers one call.
pub(super) fn answer(house: &mut House, asked: &Asked<'_>, now: Timestamp) -> Answer {
    if asked.path == "/hdpba/oauth2/v1/token" {
        return token(house, asked, now);
    }
    let bearer = asked.header("authorization").strip_prefix("Bearer ");
    if !bearer.is_some_and(|token| house.knows(token, now)) {
        return (401, Value::Null);
    }
    if asked.header("x-channelcode") != CHANNEL {
        return refuse(403, "The channel is not known");
    }
    let parts: Vec<_> = asked.path.trim_matches('/').split('/').collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["shop", "v1", "hotels"]) => properties(house, asked),
        ("GET", ["shop", "v1", "hotels", code, what]) => match (find(code), *what) {
            (Some(hotel), "offers") => offers(house, hotel, asked),
            (Some(hotel), "offer") => one_offer(house, hotel, asked),
            (Some(hotel), "calendar") => calendar(house, hotel, asked),
            _ => refuse(404, "Not found"),
        },
        ("GET", ["content", "v1", "hotels", code, what]) => match (find(code), *what) {
            (Some(_), "roomTypes") => (200, room_types()),
            (Some(_), "ratePlans") => (200, rate_plans()),
            _ => refuse(404, "Not found"),
        },
        (method, ["book", "v1", "hotels", code, "reservations", rest @ ..]) => {
            if asked.header("x-hdp-tracing-key").is_empty() {
                return refuse(400, "The tracing key is missing");
            }
            let Some(hotel) = find(code) else {
                return refuse(404, "The hotel is not known");
            };
            book(house, hotel, (method, rest), asked, now)
        }
        _ => refuse(404, "Not found"),
    }
}

fn find(code: &str) -> Option<&'static Hotel> {
    HOTELS.iter().find(|hotel| hotel.code == code)
}

fn token(house: &mut House, asked: &Asked<'_>, now: Timestamp) -> Answer {
    let form: Vec<_> = url::form_urlencoded::parse(asked.form).collect();
    let value = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| &**value)
    };
    match (value("username"), value("password")) {
        (Some(user), Some(password)) if (user, password) == USER => {
            let seconds = house.options.token.as_secs();
            (
                200,
                json!({ "access_token": house.token(now), "expires_in": seconds }),
            )
        }
        (Some(_), Some(_)) => (401, Value::Null),
        _ => (400, Value::Null),
    }
}

/// Reads what a question of the shop is about.
fn stay(asked: &Asked<'_>) -> Result<((Date, Date), usize, i64, i64), Answer> {
    let wrong = || refuse(400, "A parameter is missing or wrong");
    let arrival = asked.date("arrivalDate").ok_or_else(wrong)?;
    let departure = asked.date("departureDate").ok_or_else(wrong)?;
    let units = asked.number("numberOfUnits").unwrap_or(1);
    let (adults, children) = (
        asked.number("adults").unwrap_or(1),
        asked.number("children").unwrap_or(0),
    );
    let ages = asked.parameter("childrenAges").unwrap_or_default();
    let ages = ages.split(',').filter(|age| !age.is_empty()).count() as i64;
    let fine = arrival < departure && (1..=10).contains(&units) && ages == children;
    match usize::try_from(units) {
        Ok(units) if fine => Ok(((arrival, departure), units, adults, children)),
        _ => Err(wrong()),
    }
}

fn fits(kind: &Kind, adults: i64, children: i64) -> bool {
    let (most_adults, most_children, most) = kind.most;
    adults <= most_adults && children <= most_children && adults + children <= most
}

fn properties(house: &House, request: &Asked<'_>) -> Answer {
    let (stay, units, adults, children) = match stay(request) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let codes = asked(&request.parameter("hotelCodes").unwrap_or_default());
    if codes.len() > 10 {
        return refuse(400, "Too many hotels");
    }
    let stays = codes.iter().map(|code| {
        let free = find(code).map(|hotel| {
            let kinds = KINDS.iter().filter(|kind| fits(kind, adults, children));
            kinds
                .map(|kind| house.left(hotel.code, kind, stay, None))
                .max()
                .unwrap_or(0)
        });
        let availability = match free {
            None => "NotFound",
            Some(left) if left >= units => "AvailableForSale",
            Some(_) => "NoAvailability",
        };
        json!({ "propertyInfo": { "hotelCode": code }, "availability": availability })
    });
    (200, json!({ "roomStays": stays.collect::<Vec<_>>() }))
}

fn offers(house: &House, hotel: &Hotel, asked: &Asked<'_>) -> Answer {
    let (stay, units, adults, children) = match stay(asked) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let mut offers = Vec::new();
    let mut kinds = Vec::new();
    for kind in &KINDS {
        let left = house.left(hotel.code, kind, stay, None);
        let fits = fits(kind, adults, children);
        kinds.push(room_type(kind, Some((left, units, fits))));
        for plan in PLANS.iter().filter(|_| fits && left >= units) {
            let wish = Wish {
                stay,
                kind: kind.code,
                plan: plan.code,
                units,
                adults,
                children,
            };
            offers.push(offer(house, hotel, (kind, plan), &wish));
        }
    }
    let availability = match offers.is_empty() {
        true => "NoAvailability",
        false => "AvailableForSale",
    };
    let stay = json!({
        "propertyInfo": { "hotelCode": hotel.code, "hotelName": hotel.name },
        "availability": availability,
        "roomTypes": kinds,
        "ratePlans": PLANS.iter().map(|plan| rate_plan(plan, false)).collect::<Vec<_>>(),
        "offers": offers,
    });
    (200, json!({ "roomStays": [stay] }))
}

fn one_offer(house: &House, hotel: &Hotel, asked: &Asked<'_>) -> Answer {
    let (stay, units, adults, children) = match stay(asked) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let (kind, plan) = (asked.parameter("roomType"), asked.parameter("ratePlanCode"));
    let kind = KINDS
        .iter()
        .find(|known| Some(known.code) == kind.as_deref());
    let plan = PLANS
        .iter()
        .find(|known| Some(known.code) == plan.as_deref());
    let (Some(kind), Some(plan)) = (kind, plan) else {
        return refuse(404, "There is no such room or rate");
    };
    let left = house.left(hotel.code, kind, stay, None);
    let fits = fits(kind, adults, children);
    let wish = Wish {
        stay,
        kind: kind.code,
        plan: plan.code,
        units,
        adults,
        children,
    };
    let mut offer = offer(house, hotel, (kind, plan), &wish);
    let free = fits && left >= units;
    if !free {
        offer["availabilityStatus"] = "NoAvailability".into();
    }
    let availability = if free {
        "AvailableForSale"
    } else {
        "NoAvailability"
    };
    let details = json!({
        "propertyInfo": { "hotelCode": hotel.code, "hotelName": hotel.name },
        "availability": availability,
        "roomType": room_type(kind, Some((left, units, fits))),
        "ratePlan": rate_plan(plan, false),
        "offer": offer,
    });
    (200, details)
}

fn offer(house: &House, hotel: &Hotel, (kind, plan): (&Kind, &Plan), wish: &Wish<'_>) -> Value {
    let named = match hotel.inclusive {
        true => "amountAfterTax",
        false => "amountBeforeTax",
    };
    let base = nights(wish.stay).map(|night| {
        let rate = house.rate(hotel, wish, night).unwrap_or(0);
        json!({
            "start": night, "end": night, named: decimal(rate), "currencyCode": hotel.currency,
            "rateTimeUnit": "Day",
        })
    });
    let requirement = if plan.card {
        "GuaranteeRequired"
    } else {
        "None"
    };
    json!({
        "bookingCode": format!("{}{}", kind.code, plan.code),
        "offerName": format!("{}, {}", kind.name, plan.name),
        "availabilityStatus": "AvailableForSale",
        "roomType": kind.code,
        "ratePlanCode": plan.code,
        "rateInformation": {
            "base": base.collect::<Vec<_>>(),
            "guaranteeRequirement": requirement,
            "cancellationPolicies": [penalty(plan, false)],
        },
        "total": total(house, hotel, wish),
    })
}

/// Returns net, tax and gross of a stay of one room, in minor units.
fn amounts(house: &House, hotel: &Hotel, wish: &Wish<'_>) -> (i64, i64, i64) {
    let rates = nights(wish.stay).map(|night| house.rate(hotel, wish, night).unwrap_or(0));
    let named: i64 = rates.sum();
    match hotel.inclusive {
        true => {
            let tax = named * hotel.tax / (100 + hotel.tax);
            (named - tax, tax, named)
        }
        false => {
            let tax = named * hotel.tax / 100;
            (named, tax, named + tax)
        }
    }
}

fn total(house: &House, hotel: &Hotel, wish: &Wish<'_>) -> Value {
    let (net, tax, gross) = amounts(house, hotel, wish);
    let units = wish.units as i64;
    json!({
        "amountBeforeTax": decimal(net * units),
        "amountAfterTax": decimal(gross * units),
        "currencyCode": hotel.currency,
        "taxes": {
            "amount": decimal(tax * units), "currencyCode": hotel.currency,
            "tax": [{
                "description": "City and state tax", "code": "TAX", "amount": decimal(tax * units),
                "currencyCode": hotel.currency,
            }],
        },
    })
}

/// Returns what it costs to cancel; the content interface knows a wall time more.
fn penalty(plan: &Plan, content: bool) -> Value {
    let (mut deadline, amount) = match plan.free_days {
        Some(days) => (
            json!({ "offsetFromArrival": days }),
            json!({ "basisType": "Nights", "nights": 1 }),
        ),
        None if content => (json!({}), json!({ "basisType": "NonCancelable" })),
        None => (json!({}), json!({ "basisType": "FullAmount" })),
    };
    if content && plan.free_days.is_some() {
        deadline["offsetDropTime"] = "18:00".into();
    }
    let mut policy = json!({
        "policyCode": plan.code, "deadline": deadline, "amountPercent": amount,
    });
    match content {
        true => policy["description"] = plan.name.into(),
        false => policy["penaltyDescription"] = plan.name.into(),
    }
    json!({ "policy": policy })
}

fn room_type(kind: &Kind, state: Option<(usize, usize, bool)>) -> Value {
    let (adults, children, guests) = kind.most;
    let mut room = json!({
        "roomType": kind.code, "roomName": kind.name, "description": [kind.name],
        "roomPrimaryBedType": kind.beds,
        "occupancy": {
            "minOccupancy": 1, "maxOccupancy": guests, "maxAdultOccupancy": adults,
            "maxChildOccupancy": children,
        },
    });
    if let Some((left, units, fits)) = state {
        let status = match left {
            left if left >= units => "AvailableForSale",
            0 => "NoAvailability",
            _ => "BelowRequestedUnits",
        };
        room["availabilityStatus"] = status.into();
        room["numberOfUnits"] = left.into();
        room["adultOccupancyMatch"] = fits.into();
        room["childOccupancyMatch"] = fits.into();
    }
    room
}

fn rate_plan(plan: &Plan, content: bool) -> Value {
    let mut said = json!({ "ratePlanCode": plan.code, "ratePlanName": plan.name });
    if plan.breakfast {
        said["mealPlan"] = json!({ "mealPlanCode": "BB", "mealsIncluded": ["Breakfast"] });
    }
    match content {
        true => {
            said["active"] = true.into();
            said["cancellationPolicies"] = json!([penalty(plan, true)]);
        }
        false => said["availabilityStatus"] = "AvailableForSale".into(),
    }
    said
}

fn room_types() -> Value {
    let kinds: Vec<_> = KINDS.iter().map(|kind| room_type(kind, None)).collect();
    json!({ "roomTypes": kinds, "count": KINDS.len(), "hasMore": false })
}

fn rate_plans() -> Value {
    let plans: Vec<_> = PLANS.iter().map(|plan| rate_plan(plan, true)).collect();
    json!({ "ratePlans": plans, "count": PLANS.len(), "hasMore": false })
}

fn calendar(house: &House, hotel: &Hotel, asked: &Asked<'_>) -> Answer {
    let (from, to) = (asked.date("arrivalDateFrom"), asked.date("arrivalDateTo"));
    let (Some(from), Some(to)) = (from, to) else {
        return refuse(400, "A date is missing");
    };
    let length = asked.number("lengthOfStay").unwrap_or(1);
    if (to - from).get_days() > 61 || to < from {
        return refuse(400, "At most 62 days");
    }
    let adults = asked.number("adults").unwrap_or(1);
    let children = asked.number("children").unwrap_or(0);
    let units = asked.number("numberOfUnits").unwrap_or(1).unsigned_abs() as usize;
    let items = from
        .series(1.day())
        .take_while(|date| *date <= to)
        .map(|date| {
            let stay = (date, date.saturating_add(length.days()));
            let kinds = KINDS.iter().filter(|kind| fits(kind, adults, children));
            let free = kinds.filter(|kind| house.left(hotel.code, kind, stay, None) >= units);
            let plans = PLANS.iter().filter(|plan| !plan.card);
            let best = free
                .flat_map(|kind| plans.clone().map(move |plan| (kind, plan)))
                .map(|(kind, plan)| {
                    let wish = Wish {
                        stay,
                        kind: kind.code,
                        plan: plan.code,
                        units,
                        adults,
                        children,
                    };
                    amounts(house, hotel, &wish).2 / length
                })
                .min();
            match best {
                Some(rate) => json!({
                    "arrivalDate": date, "availability": "AvailableForSale",
                    "rate": {
                        "amountAfterTax": decimal(rate), "currencyCode": hotel.currency,
                        "rateMode": "Average",
                    },
                }),
                None => json!({ "arrivalDate": date, "availability": "NoAvailability" }),
            }
        });
    let stay = json!({
        "propertyInfo": { "hotelCode": hotel.code }, "availability": "AvailableForSale",
        "calendarItems": items.collect::<Vec<_>>(),
    });
    (200, json!({ "roomStays": [stay] }))
}

fn book(
    house: &mut House,
    hotel: &Hotel,
    (method, rest): (&str, &[&str]),
    asked: &Asked<'_>,
    now: Timestamp,
) -> Answer {
    let request = asked.json.and_then(|json| json["reservations"].get(0));
    match (method, rest, request) {
        ("POST", [], Some(request)) => create(house, hotel, request, now),
        ("GET", [id], _) => match house.find(id, now) {
            Some(sold) => (200, json!([booked(hotel, sold)])),
            None => refuse(404, "There is no such reservation"),
        },
        ("PUT", [id], Some(request)) => modify(house, hotel, (id, request), now),
        ("POST", [id, "status"], Some(request)) => status(house, hotel, (id, request), now),
        ("POST", [id, "cancellations"], Some(_)) => {
            let Some(sold) = house.find(id, now) else {
                return refuse(404, "There is no such reservation");
            };
            sold.status = Status::Cancelled;
            let ended = json!({
                "reservationIds": ids(sold), "hotelCode": hotel.code,
                "reservationStatus": "Cancelled",
            });
            (200, json!([ended]))
        }
        _ => refuse(400, "The request cannot be read"),
    }
}

/// Reads a stay of a request, and judges it.
fn wanted(
    house: &House,
    hotel: &Hotel,
    request: &Value,
    but: Option<&str>,
) -> Result<Sold, Answer> {
    let wrong = || refuse(400, "The reservation cannot be read");
    let stay = &request["roomStay"];
    let date = |name: &str| {
        stay[name]
            .as_str()
            .and_then(|text| text.parse::<Date>().ok())
    };
    let arrival = date("arrivalDate").ok_or_else(wrong)?;
    let departure = date("departureDate").ok_or_else(wrong)?;
    let rate = stay["roomRates"].get(0).ok_or_else(wrong)?;
    let text = |at: &Value| at.as_str().unwrap_or_default().to_owned();
    let units = rate["numberOfUnits"].as_u64().unwrap_or(1) as usize;
    let (room, plan) = (text(&rate["roomType"]), text(&rate["ratePlanCode"]));
    let kind = KINDS
        .iter()
        .find(|kind| kind.code == room)
        .ok_or_else(wrong)?;
    let adults = rate["guestCounts"]["adults"].as_i64().ok_or_else(wrong)?;
    let children = rate["guestCounts"]["children"].as_i64().unwrap_or(0);
    let wish = Wish {
        stay: (arrival, departure),
        kind: kind.code,
        plan: &plan,
        units,
        adults,
        children,
    };
    if arrival >= departure || house.rate(hotel, &wish, arrival).is_none() {
        return Err(wrong());
    }
    if !fits(kind, adults, children) || house.left(hotel.code, kind, wish.stay, but) < units {
        return Err(refuse(400, "Not available"));
    }
    let mut stayed = stay.clone();
    stayed["total"] = total(house, hotel, &wish);
    let guest = &request["reservationGuests"][0]["profileInfo"]["profile"]["customer"];
    Ok(Sold {
        number: String::new(),
        external: text(&request["reservationIdList"][0]["id"]),
        status: Status::Reserved,
        hotel: hotel.code.to_owned(),
        stay: wish.stay,
        guest: text(&guest["personName"][0]["surname"]),
        until: Timestamp::UNIX_EPOCH,
        stayed,
        guests: request["reservationGuests"].clone(),
        payment: request["reservationPaymentMethods"].clone(),
        what: (room, plan, units),
    })
}

fn create(house: &mut House, hotel: &Hotel, request: &Value, now: Timestamp) -> Answer {
    let external = request["reservationIdList"][0]["id"]
        .as_str()
        .unwrap_or_default();
    if external.is_empty() || external.len() > 50 {
        return refuse(400, "The id is missing or too long");
    }
    // Once per id of the seller.
    if let Some(known) = house.of_external(external, now) {
        return (200, json!([booked(hotel, known)]));
    }
    let mut sold = match wanted(house, hotel, request, None) {
        Ok(sold) => sold,
        Err(answer) => return answer,
    };
    if request["isSessionRequest"] == true {
        sold.status = Status::OnHold;
    }
    let added = house.add(sold, now);
    (200, json!([booked(hotel, added)]))
}

fn modify(
    house: &mut House,
    hotel: &Hotel,
    (id, request): (&str, &Value),
    now: Timestamp,
) -> Answer {
    let Some(number) = house.find(id, now).map(|sold| sold.number.clone()) else {
        return refuse(404, "There is no such reservation");
    };
    let wanted = match wanted(house, hotel, request, Some(&number)) {
        Ok(wanted) => wanted,
        Err(answer) => return answer,
    };
    let Some(sold) = house.find(&number, now) else {
        return refuse(404, "There is no such reservation");
    };
    if sold.status == Status::Cancelled {
        return refuse(400, "The reservation is cancelled");
    }
    if sold.status != Status::OnHold {
        sold.status = Status::ReservedChanged;
    }
    (sold.stay, sold.what, sold.guest) = (wanted.stay, wanted.what, wanted.guest);
    (sold.stayed, sold.guests) = (wanted.stayed, wanted.guests);
    (200, json!([booked(hotel, sold)]))
}

fn status(
    house: &mut House,
    hotel: &Hotel,
    (id, request): (&str, &Value),
    now: Timestamp,
) -> Answer {
    let Some(sold) = house.find(id, now) else {
        return refuse(404, "There is no such reservation");
    };
    let done = match (request["reservationStatus"].as_str(), sold.status) {
        (Some("Commit"), Status::OnHold | Status::Reserved) => {
            sold.status = Status::Reserved;
            "Committed"
        }
        (Some("Ignore"), Status::OnHold) => {
            sold.status = Status::Ignored;
            "Ignored"
        }
        _ => return refuse(400, "The reservation is not on hold"),
    };
    let ended = json!({
        "reservationIds": ids(sold), "hotelCode": hotel.code, "reservationStatus": done,
    });
    (200, ended)
}

fn ids(sold: &Sold) -> Value {
    json!([
        { "id": sold.number, "type": "Confirmation", "idContext": "OPERA" },
        { "id": sold.external, "type": "Reservation", "idContext": CHANNEL },
    ])
}

fn booked(hotel: &Hotel, sold: &Sold) -> Value {
    let mut booked = json!({
        "reservationIds": ids(sold),
        "roomStay": sold.stayed,
        "reservationGuests": sold.guests,
        "reservationPaymentMethods": sold.payment,
        "hotelCode": hotel.code,
        "isSessionRequest": sold.status == Status::OnHold,
    });
    if let Some(status) = sold.status.name() {
        booked["reservationStatus"] = status.into();
    }
    booked
}
