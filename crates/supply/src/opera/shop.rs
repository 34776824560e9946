//! What is for sale: from what OPERA pushed where that is enough, else from OPERA.
//!
//! # Invariants
//!
//! * Only searches and calendars are answered from memory, and say so; what is quoted
//!   or held was asked for just then.
//! * Equal questions of several searches are one call, and its answer serves for a time
//!   that shrinks towards the arrival.
//! * A search asks OPERA about a bounded number of hotels.

mod question;
mod rank;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_base::{BoxFuture, Timestamp};
use airside_travel::supply::{
    Area, Arrival, Ask, Calendar, Cancellation, Candidate, Error, Filter, Found, MAX_CALENDAR_DAYS,
    MAX_DAYS_AHEAD, MAX_ROOMS, NotOffered, Offer, Offers, PlanCode, Prepay, Price, RoomCode,
    Search, Selection, Stay, distance_m,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Method;
use jiff::{ToSpan as _, civil::Date};

use self::{
    question::{UNREADABLE, left_of, not_answered, query, question, reason},
    rank::{arrange, explanation, pick},
};
use super::{
    Mapped, Opera, amount,
    cache::Fit,
    client::Failure,
    terms::{self, Scene, Sold},
    wire,
};

/// Hotels of one multi-property call (`hotelCodes` takes ten).
const CHUNK: usize = 10;
/// Most hotels that one search asks OPERA about.
const MAX_ASKED: usize = 40;
/// Calls of one search that are under way at once.
const AT_ONCE: usize = 8;
/// Answers that are kept.
const MAX_ANSWERS: usize = 10_000;

/// How often a price that was shown was still the price.
#[derive(Debug, Default)]
pub(super) struct Accuracy {
    asked: AtomicU64,
    moved: AtomicU64,
}

/// Answers of OPERA for a while.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<String, Arc<Slot>>>);

type Slot = tokio::sync::Mutex<Option<(Duration, Timestamp, Arc<Offers>)>>;

impl Opera {
    fn today(&self, hotel: &Mapped) -> Date {
        let now = self.clock.now();
        now.to_zoned(hotel.facts.zone.clone()).date()
    }

    fn scene<'a>(&self, hotel: &'a Mapped) -> Scene<'a> {
        Scene {
            zone: &hotel.facts.zone,
            currency: hotel.facts.currency,
            now: self.clock.now(),
        }
    }

    pub(super) fn check_range(&self, hotel: &Mapped, ask: &Ask) -> Result<(), Error> {
        let today = self.today(hotel);
        let latest = today.saturating_add(MAX_DAYS_AHEAD.days());
        let why = match ask.stay.check_in() {
            date if date < today => "the arrival is in the past",
            date if date > latest => "the arrival is too far ahead",
            _ if ask.parties.is_empty() => "no room was asked for",
            _ if ask.parties.len() > MAX_ROOMS => "too many rooms were asked for",
            _ => return Ok(()),
        };
        Err(Error::Range { why })
    }

    /// Notes whether a price that a traveller has seen is still the price.
    pub(super) fn compare(&self, selection: &Selection, total: i64) {
        let Some(seen) = selection.expected_total else {
            return;
        };
        self.accuracy.asked.fetch_add(1, Ordering::Relaxed);
        if seen != total {
            let moved = self.accuracy.moved.fetch_add(1, Ordering::Relaxed) + 1;
            let asked = self.accuracy.asked.load(Ordering::Relaxed);
            tracing::info!(
                moved,
                asked,
                "a price was another one when it was asked again"
            );
        }
    }

    /// Asks for one room type under one rate plan. Returns how many rooms are left too.
    pub(super) async fn offer(
        &self,
        hotel: &Mapped,
        ask: &Ask,
        (room, plan): (&RoomCode, &PlanCode),
    ) -> Result<(Sold, u16), Error> {
        let product = [("roomType", room.as_str()), ("ratePlanCode", plan.as_str())];
        let query = question(ask, &product)?;
        let path = format!("/shop/v1/hotels/{}/offer?{query}", hotel.code);
        let answer = match self.send(hotel, Method::GET, path, None).await {
            Err(Failure::Refused(_)) => {
                let what = format!("{room} under {plan}");
                return Err(Error::NotSold { what });
            }
            answer => answer.map_err(not_answered)?,
        };
        let details: wire::OfferDetails = wire::read(&answer).ok_or(UNREADABLE)?;
        let offer = details.offer.filter(wire::Offer::is_for_sale);
        let night = ask.stay.check_in();
        let offer = offer.ok_or(Error::SoldOut { night })?;
        let same = offer.room_type.as_deref() == Some(room.as_str())
            && offer.rate_plan_code.as_deref() == Some(plan.as_str());
        let sold = terms::sold(&offer, ask, self.scene(hotel)).filter(|_| same);
        let what = || plan.to_string();
        let sold = sold.ok_or_else(|| Error::NotSold { what: what() })?;
        let left = details.room_type.and_then(|room| room.number_of_units);
        Ok((sold, left_of(left, ask)))
    }

    /// Asks for everything that a hotel offers for a stay.
    pub(super) async fn all_offers(&self, hotel: &Mapped, ask: &Ask) -> Result<Offers, Error> {
        self.check_range(hotel, ask)?;
        let query = question(ask, &[])?;
        let path = format!("/shop/v1/hotels/{}/offers?{query}", hotel.code);
        let answer = self.send(hotel, Method::GET, path, None).await;
        let answer: Bytes = answer.map_err(not_answered)?;
        let answer: wire::Offers = wire::read(&answer).ok_or(UNREADABLE)?;
        let mut offers = Offers {
            offers: Vec::new(),
            not_offered: Vec::new(),
        };
        for stay in answer.room_stays {
            self.read_stay(hotel, ask, stay, &mut offers);
        }
        offers.offers.sort_by_key(|offer| offer.price.total);
        Ok(offers)
    }

    fn read_stay(&self, hotel: &Mapped, ask: &Ask, stay: wire::OffersStay, all: &mut Offers) {
        let wire::OffersStay {
            room_types,
            rate_plans,
            restrictions,
            offers,
        } = stay;
        let mut sold_in = BTreeSet::new();
        for offer in offers.iter().take(wire::MAX_LIST) {
            let (Some(room), Some(plan)) = (&offer.room_type, &offer.rate_plan_code) else {
                continue;
            };
            // What our own words cannot name cannot be asked for again.
            let (Ok(room), Ok(plan)) = (room.parse::<RoomCode>(), plan.parse::<PlanCode>()) else {
                continue;
            };
            if !offer.is_for_sale() {
                continue;
            }
            let Some(sold) = terms::sold(offer, ask, self.scene(hotel)) else {
                continue;
            };
            let kind = room_types
                .iter()
                .find(|kind| kind.room_type == offer.room_type);
            let said = rate_plans
                .iter()
                .find(|said| said.rate_plan_code == offer.rate_plan_code);
            sold_in.insert(room.clone());
            let left = left_of(kind.and_then(|kind| kind.number_of_units), ask);
            let named = (
                kind.and_then(|kind| kind.room_name.clone()),
                said.and_then(|said| said.rate_plan_name.clone()),
            );
            let breakfast = said.and_then(|said| said.meal_plan.as_ref());
            let breakfast = breakfast.map(wire::MealPlan::breakfast);
            let offer = self.in_words(hotel, (room, plan), (sold.price, sold.cancellation), left);
            all.offers.push(Offer {
                room_name: named
                    .0
                    .map_or(offer.room_name, |name| terms::plain(&name, 80)),
                plan_name: named
                    .1
                    .map_or(offer.plan_name, |name| terms::plain(&name, 80)),
                breakfast: breakfast.unwrap_or(offer.breakfast),
                ..offer
            });
        }
        for kind in room_types.iter().take(wire::MAX_LIST) {
            let code = kind.room_type.as_deref().unwrap_or_default();
            let Ok(room) = code.parse::<RoomCode>() else {
                continue;
            };
            if !sold_in.contains(&room) {
                let reason = reason(kind, &restrictions, ask);
                all.not_offered.push(NotOffered { room, reason });
            }
        }
    }

    fn in_words(
        &self,
        hotel: &Mapped,
        (room, plan): (RoomCode, PlanCode),
        (price, cancellation): (Price, Cancellation),
        left: u16,
    ) -> Offer {
        let content = self.content(hotel);
        let kind = content.room_types.iter().find(|kind| kind.code == room);
        let sold = content.plans.iter().find(|known| known.code == plan);
        Offer {
            room_name: kind.map_or(room.to_string(), |kind| kind.name.clone()),
            plan_name: sold.map_or(plan.to_string(), |plan| plan.name.clone()),
            breakfast: sold.is_some_and(|plan| plan.breakfast),
            left,
            price,
            cancellation,
            // What asks for more is not sold.
            prepay: Prepay::None,
            room,
            plan,
        }
    }

    /// Returns whether rooms of a type are for sale under any rate plan.
    pub(super) async fn is_offered(
        &self,
        hotel: &Mapped,
        ask: &Ask,
        room: &str,
    ) -> Result<bool, Error> {
        let offers = self.all_offers(hotel, ask).await?;
        Ok(offers
            .offers
            .iter()
            .any(|offer| offer.room.as_str() == room))
    }

    pub(super) async fn search_hotels(&self, search: &Search) -> Result<Found, Error> {
        let near = self.near(&search.area, search.filter);
        let mut hits = Vec::new();
        let mut open = Vec::new();
        for (hotel, distance_m) in near {
            if self.check_range(hotel, &search.ask).is_err() {
                continue;
            }
            match self.remembered(hotel, &search.ask) {
                Some(offers) => hits.extend(pick(offers, search, (hotel, distance_m), self)),
                None => open.push((hotel, distance_m)),
            }
        }
        let asked = self.ask_around(search, &open).await;
        match asked {
            Ok(found) => hits.extend(found),
            Err(error) if hits.is_empty() => return Err(error),
            Err(error) => tracing::warn!(%error, "a search goes without some hotels"),
        }
        arrange(&mut hits, search.order);
        let available = hits.len();
        let page = hits.into_iter().skip(search.from).take(search.limit);
        Ok(Found {
            available,
            hotels: page.collect(),
            explanation: explanation(search.order),
        })
    }

    /// Returns the hotels of an area with their distance to its middle.
    fn near(&self, area: &Area, filter: Filter) -> Vec<(&Mapped, u32)> {
        let all = self.hotels.values();
        let stars = all.filter(|hotel| hotel.facts.stars >= filter.min_stars);
        stars
            .filter_map(|hotel| {
                let facts = &hotel.facts;
                match *area {
                    Area::City(id) => (facts.city == id).then_some((hotel, facts.distance_m)),
                    Area::Circle {
                        lat_e5,
                        lon_e5,
                        radius_m,
                    } => {
                        let here = (facts.lat_e5, facts.lon_e5);
                        let distance = distance_m((lat_e5, lon_e5), here);
                        (distance <= radius_m).then_some((hotel, distance))
                    }
                }
            })
            .collect()
    }

    /// Returns what pushed values say about a stay, if they are enough.
    fn remembered(&self, hotel: &Mapped, ask: &Ask) -> Option<Vec<(Offer, Option<Timestamp>)>> {
        if !self.is_replayed() {
            return None;
        }
        let fits = {
            let nights = self.nights.lock().unwrap_or_else(PoisonError::into_inner);
            nights.get(&hotel.facts.id)?.fits(ask, self.today(hotel))?
        };
        let content = self.content(hotel);
        let mut offers = Vec::new();
        for fit in fits {
            // Without its rules what cancelling costs is not known.
            let rules = content.policies.get(&fit.plan)?;
            let Fit {
                room,
                plan,
                nightly,
                left,
                as_of,
            } = fit;
            let total = nightly.iter().map(|(_, amount)| amount).sum();
            let price = Price {
                currency: hotel.facts.currency,
                nightly,
                room: total,
                lines: Vec::new(),
                total,
            };
            let cancellation = terms::cancellation(rules, &price, &ask.stay, self.scene(hotel))?;
            let offer = self.in_words(hotel, (room, plan), (price, cancellation), left);
            offers.push((offer, Some(as_of)));
        }
        offers.sort_by_key(|(offer, _)| offer.price.total);
        Some(offers)
    }

    /// Asks OPERA about hotels of which too little is known.
    async fn ask_around(
        &self,
        search: &Search,
        open: &[(&Mapped, u32)],
    ) -> Result<Vec<Candidate>, Error> {
        if open.len() > MAX_ASKED {
            tracing::debug!(hotels = open.len(), "a search asks about some hotels only");
        }
        let open = &open[..open.len().min(MAX_ASKED)];
        let mut chunks: Vec<BoxFuture<'_, _>> = Vec::new();
        for chunk in open.chunks(CHUNK) {
            chunks.push(Box::pin(self.available(chunk, &search.ask)));
        }
        let chunks: Vec<_> = stream::iter(chunks).buffered(AT_ONCE).collect().await;
        let mut failed = None;
        let mut free = Vec::new();
        for chunk in chunks {
            match chunk {
                Ok(hotels) => free.extend(hotels),
                Err(error) => failed = Some(error),
            }
        }
        let mut asked: Vec<BoxFuture<'_, _>> = Vec::new();
        for (hotel, distance_m) in free {
            asked.push(Box::pin(async move {
                let answered = self.answered(hotel, &search.ask).await;
                answered.map(|offers| pick(offers, search, (hotel, distance_m), self))
            }));
        }
        let asked: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        let mut hits = Vec::new();
        for answer in asked {
            match answer {
                Ok(hit) => hits.extend(hit),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if hits.is_empty() => Err(error),
            _ => Ok(hits),
        }
    }

    /// Returns those of up to ten hotels that have rooms at all.
    async fn available<'a>(
        &self,
        chunk: &[(&'a Mapped, u32)],
        ask: &Ask,
    ) -> Result<Vec<(&'a Mapped, u32)>, Error> {
        let Some((first, _)) = chunk.first() else {
            return Ok(Vec::new());
        };
        let codes: Vec<_> = chunk.iter().map(|(hotel, _)| hotel.code.as_str()).collect();
        let query = question(ask, &[("hotelCodes", &codes.join(","))])?;
        let path = format!("/shop/v1/hotels?{query}");
        let answer = self.send(first, Method::GET, path, None).await;
        let answer = answer.map_err(not_answered)?;
        let answer: wire::Properties = wire::read(&answer).ok_or(UNREADABLE)?;
        let free = |stay: &wire::PropertyStay| {
            let code = stay.property_info.as_ref()?.hotel_code.clone()?;
            let available = matches!(
                stay.availability.as_deref(),
                Some("AvailableForSale" | "OtherAvailable")
            );
            available.then_some(code)
        };
        let free: BTreeSet<_> = answer.room_stays.iter().filter_map(free).collect();
        let chunk = chunk.iter().filter(|(hotel, _)| free.contains(&hotel.code));
        Ok(chunk.copied().collect())
    }

    /// Returns the offers of a hotel, from a recent answer or a new one.
    async fn answered(
        &self,
        hotel: &Mapped,
        ask: &Ask,
    ) -> Result<Vec<(Offer, Option<Timestamp>)>, Error> {
        let key = format!("{}?{}", hotel.code, question(ask, &[])?);
        let slot = self.answers.slot(key);
        let mut slot = slot.lock().await;
        let now = self.clock.monotonic();
        let fresh = slot.as_ref().filter(|(until, ..)| *until > now);
        let (as_of, offers) = match fresh {
            Some((_, at, offers)) => (Some(*at), offers.clone()),
            None => {
                let offers = Arc::new(self.all_offers(hotel, ask).await?);
                let holds = holds(ask.stay.check_in() - self.today(hotel), &offers);
                *slot = Some((now + holds, self.clock.now(), offers.clone()));
                (None, offers)
            }
        };
        Ok(offers
            .offers
            .iter()
            .map(|offer| (offer.clone(), as_of))
            .collect())
    }

    pub(super) async fn arrivals(
        &self,
        hotel: &Mapped,
        calendar: &Calendar,
    ) -> Result<Vec<Arrival>, Error> {
        if !(1..=MAX_CALENDAR_DAYS).contains(&calendar.days) {
            let why = "a calendar has 1 to 62 arrival days";
            return Err(Error::Range { why });
        }
        let days = (0..calendar.days as i64).map(|day| {
            let date = calendar.from.saturating_add(day.days());
            let departure = date.saturating_add((calendar.nights as i64).days());
            let stay = Stay::new(date, departure).map_err(|_| Error::Range {
                why: "the stay has too many nights, or none",
            })?;
            let parties = calendar.parties.clone();
            Ok(Ask { stay, parties })
        });
        let asks = days.collect::<Result<Vec<_>, Error>>()?;
        let known = asks.iter().map(|ask| match self.check_range(hotel, ask) {
            Err(error) => Some(Err(error)),
            Ok(()) => self.remembered(hotel, ask).map(|offers| {
                let date = ask.stay.check_in();
                let cheapest = offers
                    .into_iter()
                    .next()
                    .ok_or(Error::SoldOut { night: date })?;
                let offer = cheapest.0;
                Ok((offer.price.total, Some((offer.room, offer.plan))))
            }),
        });
        let known: Option<Vec<_>> = known.collect();
        let cheapest = match known {
            Some(known) => known,
            None => self.asked_calendar(hotel, calendar, &asks).await?,
        };
        let arrival = |(ask, cheapest): (&Ask, _)| Arrival {
            date: ask.stay.check_in(),
            cheapest,
        };
        Ok(asks.iter().zip(cheapest).map(arrival).collect())
    }

    /// Asks OPERA for the best average rate of each arrival day.
    async fn asked_calendar(
        &self,
        hotel: &Mapped,
        calendar: &Calendar,
        asks: &[Ask],
    ) -> Result<Vec<Cheapest>, Error> {
        let first = asks.first().ok_or(UNREADABLE)?;
        let last = calendar
            .from
            .saturating_add((calendar.days as i64 - 1).days());
        let query = query(
            first,
            &[
                ("arrivalDateFrom", &calendar.from.to_string()),
                ("arrivalDateTo", &last.to_string()),
                ("lengthOfStay", &calendar.nights.to_string()),
                ("rateMode", "Average"),
            ],
        )?;
        let path = format!("/shop/v1/hotels/{}/calendar?{query}", hotel.code);
        let answer = self.send(hotel, Method::GET, path, None).await;
        let answer = answer.map_err(not_answered)?;
        let answer: wire::CalendarAnswer = wire::read(&answer).ok_or(UNREADABLE)?;
        let items: Vec<_> = answer
            .room_stays
            .iter()
            .flat_map(|stay| &stay.calendar_items)
            .collect();
        let places = hotel.facts.currency.exponent;
        let times = (calendar.nights * calendar.parties.len()) as i64;
        let day = |ask: &Ask| {
            self.check_range(hotel, ask)?;
            let night = ask.stay.check_in();
            let item = items.iter().find(|item| item.arrival_date == Some(night));
            let item = item.filter(|it| it.availability.as_deref() == Some("AvailableForSale"));
            let rate = item.and_then(|item| item.rate.as_ref());
            let rate =
                rate.filter(|r| r.currency_code.as_deref() == Some(hotel.facts.currency.code));
            let average =
                rate.and_then(|rate| amount::minor(rate.amount_after_tax.as_ref()?, places));
            let total = average.and_then(|average| average.checked_mul(times));
            Ok((total.ok_or(Error::SoldOut { night })?, None))
        };
        Ok(asks.iter().map(day).collect())
    }
}

type Cheapest = Result<(i64, Option<(RoomCode, PlanCode)>), Error>;

/// Returns how long an answer serves: the nearer the arrival, the shorter, and no
/// longer than a minute for what is sold out.
fn holds(ahead: jiff::Span, offers: &Offers) -> Duration {
    let seconds = match ahead.get_days() {
        ..=3 => 20,
        4..=30 => 60,
        _ => 300,
    };
    match offers.offers.is_empty() {
        true => Duration::from_secs(seconds.min(60)),
        false => Duration::from_secs(seconds),
    }
}

impl Answers {
    fn slot(&self, key: String) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_ANSWERS && !slots.contains_key(&key) {
            // Those that nobody waits for can be asked again.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        slots.entry(key).or_default().clone()
    }

    /// Drops the answers about a hotel, about which something new is known.
    pub(super) fn drop_of(&self, hotel: &str) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let about = |key: &str| key.split_once('?').is_some_and(|(code, _)| code == hotel);
        slots.retain(|key, _| !about(key));
    }
}
