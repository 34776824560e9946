//! Oracle OPERA Cloud Distribution as a supplier of hotels.
//!
//! Written against the Swagger files of release 25.5 (shop, book, content, ARI
//! publication, authentication), which Oracle publishes under the UPL 1.0.
//!
//! # Invariants
//!
//! * A reservation there is asked for under our own name of it, and that it is asked for
//!   is durable before it is. After a lost answer it is read back, never made again.
//! * What is held is at the price that was quoted, or it is given back.
//! * Guests are named when they have agreed, not before, and are not kept here.
//! * No card is in any request: rates that need one are not sold.
//! * What was pushed serves searches; quotes and holds ask OPERA.

mod amount;
pub mod ari;
mod book;
mod cache;
mod calls;
mod client;
mod guard;
mod journal;
mod pushed;
pub mod secret;
mod shop;
mod terms;
mod wire;

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicBool},
    time::Duration,
};

use airside_base::{BoxFuture, Clock, NodeId, OnFailure, Supervisor, TenantId};
use airside_ledger::{Hash, LeaseError, Ledger};
use airside_travel::supply::{
    self, About, Applied, Arrival, Ask, Brief, Calendar, Currency, Error, Found, Guest, HotelId,
    HotelSupply, Offers, PlanCode, Quoted, Reference, Reservation, Search, Selection, Updates,
};
use http::Method;
use jiff::tz::TimeZone;

pub use self::{
    ari::{Topic, Wrong},
    client::{Access, AccessError},
    journal::{Kept, Reservations},
    pushed::Refused,
};
use self::{
    cache::Nights,
    client::Client,
    journal::Journal,
    shop::{Accuracy, Answers},
};

/// What is said of selections that are not of equal rooms.
const ALIKE: &str = "rooms for different guests in one booking";
/// Locks of references; two that share one wait for each other.
const LOCKS: usize = 256;
/// How often what is due is looked after.
const LOOK: Duration = Duration::from_secs(2);
/// How often room types and rate plans are read, and after a failure.
const CONTENT: Duration = Duration::from_secs(6 * 3_600);
const CONTENT_AGAIN: Duration = Duration::from_secs(60);
/// The lease of the node that looks after what is due.
const LEASE: &str = "opera-reservations";
const LEASE_TTL: Duration = Duration::from_secs(30);

const NOTICE: &str = "Rooms, prices and terms are the hotels' own, from their OPERA Cloud system. \
     Prices in search results may be some minutes old; they are asked again before rooms are held.";

/// A hotel in OPERA, as the configuration describes it.
#[derive(Debug, Clone)]
pub struct Hotel {
    /// OPERA's code of it for the channel: letters, digits, `-` and `_`.
    pub code: String,
    /// What is known about it.
    pub facts: Facts,
    /// Who may push rooms and rates for it: a key of the control API.
    pub sender: Option<String>,
}

/// What the configuration says about a hotel.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Our own id of it.
    pub id: HotelId,
    /// Its name.
    pub name: String,
    /// One to five.
    pub stars: u8,
    /// What guests think of it, out of 100.
    pub rating: Option<u8>,
    /// Street and number.
    pub street: String,
    /// Part of the city.
    pub district: Option<String>,
    /// GeoNames id of the city.
    pub city: u32,
    /// Name of the city.
    pub city_name: String,
    /// Name of the country.
    pub country: String,
    /// Latitude in 1e-5 degrees.
    pub lat_e5: i32,
    /// Longitude in 1e-5 degrees.
    pub lon_e5: i32,
    /// Metres to the centre of the city.
    pub distance_m: u32,
    /// Its clock.
    pub zone: TimeZone,
    /// What it quotes in.
    pub currency: Currency,
    /// Wall time `HH:MM`.
    pub check_in_from: String,
    /// Wall time `HH:MM`.
    pub check_out_until: String,
}

/// A hotel that is sold.
#[derive(Debug)]
struct Mapped {
    code: String,
    facts: Facts,
    sender: Option<String>,
    content: RwLock<Arc<Content>>,
}

/// What OPERA says of a hotel apart from what it has for sale.
#[derive(Debug, Default)]
struct Content {
    room_types: Vec<supply::RoomType>,
    plans: Vec<supply::Plan>,
    policies: BTreeMap<PlanCode, Vec<wire::Penalty>>,
}

/// What the adapter works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Home of what was asked, and of what was pushed.
    pub ledger: Ledger,
    /// The node, for leases.
    pub node: NodeId,
    /// Runs what has to be done without a call.
    pub supervisor: Supervisor,
}

/// OPERA Cloud Distribution as a supplier.
pub struct Opera {
    about: About,
    client: Client,
    chain: TenantId,
    ledger: Ledger,
    journal: Journal,
    node: NodeId,
    clock: Arc<dyn Clock>,
    hotels: BTreeMap<HotelId, Mapped>,
    locks: Vec<tokio::sync::Mutex<()>>,
    nights: Mutex<BTreeMap<HotelId, Nights>>,
    /// Whether everything that was pushed before is part of `nights`.
    replayed: AtomicBool,
    answers: Answers,
    accuracy: Accuracy,
}

impl fmt::Debug for Opera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opera")
            .field("client", &self.client)
            .field("hotels", &self.hotels.len())
            .finish_non_exhaustive()
    }
}

impl Opera {
    /// Begins to sell `hotels`.
    ///
    /// # Errors
    ///
    /// When `access` cannot be used.
    pub fn start(
        access: Access,
        hotels: Vec<Hotel>,
        parts: Parts,
    ) -> Result<Arc<Self>, AccessError> {
        // One home for all nodes that sell over this channel.
        let name = format!("{}\n{}", access.base, access.channel);
        let digest = Hash::of(name.as_bytes()).to_string();
        let chain: TenantId = format!("opera-{}", &digest[..16])
            .parse()
            .expect("hexadecimal digits are a name");
        let fingerprint = u64::from_str_radix(&digest[..16], 16).unwrap_or(0);
        let codes: Vec<_> = hotels.iter().map(|hotel| hotel.code.clone()).collect();
        let mapped = hotels.into_iter().map(|hotel| {
            let Hotel {
                code,
                facts,
                sender,
            } = hotel;
            let id = facts.id.clone();
            let mapped = Mapped {
                code,
                facts,
                sender,
                content: RwLock::default(),
            };
            (id, mapped)
        });
        let opera = Arc::new(Self {
            about: About {
                fingerprint,
                notice: NOTICE.into(),
            },
            client: Client::new(access, codes.into_iter(), parts.clock.clone())?,
            journal: Journal::new(chain.clone(), parts.ledger.clone()),
            chain,
            ledger: parts.ledger,
            node: parts.node,
            clock: parts.clock,
            hotels: mapped.collect(),
            locks: (0..LOCKS).map(|_| tokio::sync::Mutex::new(())).collect(),
            nights: Mutex::default(),
            replayed: AtomicBool::new(false),
            answers: Answers::default(),
            accuracy: Accuracy::default(),
        });
        opera.clone().look_after(&parts.supervisor);
        opera.clone().read_content(&parts.supervisor);
        opera.clone().follow(&parts.supervisor);
        Ok(opera)
    }

    /// Ends holds, reads back lost answers, and forgets, until told to stop.
    fn look_after(self: Arc<Self>, supervisor: &Supervisor) {
        let stop = supervisor.clone();
        supervisor.spawn("opera-reservations", OnFailure::Log, async move {
            loop {
                tokio::select! {
                    () = stop.stopping() => return,
                    () = self.clock.sleep(LOOK) => {}
                }
                match self.ledger.lease(LEASE, self.node, LEASE_TTL).await {
                    Ok(_) => {}
                    Err(LeaseError::Taken { .. }) => continue,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "cannot look after reservations at OPERA"
                        );
                        continue;
                    }
                }
                if let Err(error) = self.sweep().await {
                    tracing::warn!(%error, "cannot look after reservations at OPERA");
                }
            }
        });
    }

    /// Reads room types and rate plans now and then, until told to stop.
    fn read_content(self: Arc<Self>, supervisor: &Supervisor) {
        let stop = supervisor.clone();
        supervisor.spawn("opera-content", OnFailure::Log, async move {
            loop {
                let mut rest = CONTENT;
                for hotel in self.hotels.values() {
                    if self.refresh(hotel).await.is_none() {
                        tracing::warn!(
                            hotel = hotel.code,
                            "OPERA does not describe a hotel; what is known is used"
                        );
                        rest = CONTENT_AGAIN;
                    }
                }
                tokio::select! {
                    () = stop.stopping() => return,
                    () = self.clock.sleep(rest) => {}
                }
            }
        });
    }

    async fn refresh(&self, hotel: &Mapped) -> Option<()> {
        let get = |what: &str| {
            let path = format!("/content/v1/hotels/{}/{what}?limit=100", hotel.code);
            self.send(hotel, Method::GET, path, None)
        };
        let rooms = get("roomTypes").await.ok()?;
        let plans = get("ratePlans").await.ok()?;
        let rooms: wire::RoomTypes = wire::read(&rooms)?;
        let plans: wire::RatePlans = wire::read(&plans)?;
        let mut content = Content {
            room_types: rooms.room_types.iter().filter_map(room_type).collect(),
            ..Content::default()
        };
        for plan in plans.rate_plans {
            let code = plan.rate_plan_code.as_deref().unwrap_or_default();
            let Ok(code) = code.parse::<PlanCode>() else {
                continue;
            };
            if plan.active == Some(false) {
                continue;
            }
            let name = plan.rate_plan_name.as_deref().unwrap_or(code.as_str());
            content.plans.push(supply::Plan {
                name: terms::plain(name, 80),
                breakfast: plan
                    .meal_plan
                    .as_ref()
                    .is_some_and(wire::MealPlan::breakfast),
                code: code.clone(),
            });
            content.policies.insert(code, plan.cancellation_policies);
        }
        let mut kept = hotel
            .content
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *kept = Arc::new(content);
        Some(())
    }

    fn content(&self, hotel: &Mapped) -> Arc<Content> {
        let kept = hotel.content.read();
        kept.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until no other step of a reference is under way on this node.
    async fn turn(&self, reference: &Reference) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        reference.hash(&mut hasher);
        let at = hasher.finish() % self.locks.len() as u64;
        self.locks[at as usize].lock().await
    }

    fn brief(&self, hotel: &Mapped) -> Brief {
        let facts = &hotel.facts;
        Brief {
            id: facts.id.clone(),
            name: facts.name.clone(),
            stars: facts.stars,
            rating: facts.rating,
            district: facts.district.clone(),
            lat_e5: facts.lat_e5,
            lon_e5: facts.lon_e5,
            zone: facts.zone.clone(),
            currency: facts.currency,
        }
    }

    fn described(&self, hotel: &Mapped) -> supply::Hotel {
        let (facts, content) = (&hotel.facts, self.content(hotel));
        supply::Hotel {
            brief: self.brief(hotel),
            street: facts.street.clone(),
            city: facts.city_name.clone(),
            country: facts.country.clone(),
            distance_m: facts.distance_m,
            rooms: None,
            room_types: content.room_types.clone(),
            plans: content.plans.clone(),
            amenities: Vec::new(),
            check_in_from: facts.check_in_from.clone(),
            check_out_until: facts.check_out_until.clone(),
            children: "Children are priced by their age; each offer says what it costs.".to_owned(),
            cancellation: "Each rate has its own terms; each offer says them.".to_owned(),
            charges: Vec::new(),
        }
    }
}

fn room_type(said: &wire::RoomType) -> Option<supply::RoomType> {
    let code = said.room_type.as_deref()?;
    let occupancy = said.occupancy.clone().unwrap_or_default();
    let guests = occupancy.max_occupancy.unwrap_or(2);
    let name = said
        .room_name
        .as_deref()
        .or(said.description.first().map(String::as_str));
    Some(supply::RoomType {
        name: terms::plain(name.unwrap_or(code), 80),
        code: code.parse().ok()?,
        beds: terms::plain(
            said.room_primary_bed_type.as_deref().unwrap_or_default(),
            80,
        ),
        max_adults: occupancy.max_adult_occupancy.unwrap_or(guests),
        max_children: occupancy
            .max_child_occupancy
            .unwrap_or(guests.saturating_sub(1)),
        max_guests: guests,
    })
}

impl HotelSupply for Opera {
    fn about(&self) -> &About {
        &self.about
    }

    fn describe<'a>(
        &'a self,
        hotel: &'a HotelId,
    ) -> BoxFuture<'a, Result<Arc<supply::Hotel>, Error>> {
        Box::pin(async { Ok(Arc::new(self.described(self.hotel(hotel)?))) })
    }

    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Found, Error>> {
        Box::pin(self.search_hotels(search))
    }

    fn offers<'a>(
        &'a self,
        hotel: &'a HotelId,
        ask: &'a Ask,
    ) -> BoxFuture<'a, Result<Offers, Error>> {
        Box::pin(async { self.all_offers(self.hotel(hotel)?, ask).await })
    }

    fn calendar<'a>(
        &'a self,
        hotel: &'a HotelId,
        calendar: &'a Calendar,
    ) -> BoxFuture<'a, Result<Vec<Arrival>, Error>> {
        Box::pin(async { self.arrivals(self.hotel(hotel)?, calendar).await })
    }

    // OPERA's shop knows nothing of a booking that is to be replaced: its rooms count
    // as taken.
    fn quote<'a>(
        &'a self,
        selection: &'a Selection,
        _replacing: Option<&'a Reference>,
    ) -> BoxFuture<'a, Result<Quoted, Error>> {
        Box::pin(self.quoted(selection))
    }

    fn hold<'a>(
        &'a self,
        reference: &'a Reference,
        selection: &'a Selection,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(self.take(reference, selection, ttl))
    }

    fn commit<'a>(
        &'a self,
        reference: &'a Reference,
        guest: &'a Guest,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(self.book(reference, guest))
    }

    fn release<'a>(
        &'a self,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(self.give_back(reference))
    }

    fn modify<'a>(
        &'a self,
        reference: &'a Reference,
        change: &'a Reference,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(self.change(reference, change, selection))
    }

    fn cancel<'a>(
        &'a self,
        reference: &'a Reference,
        accepted: i64,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(self.call_off(reference, accepted))
    }

    fn find<'a>(
        &'a self,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Error>> {
        Box::pin(self.found(reference))
    }

    // OPERA sets what is for sale; it pushes by `Opera::push`.
    fn apply<'a>(&'a self, _updates: &'a Updates) -> BoxFuture<'a, Result<Applied, Error>> {
        let why = "the hotel's rooms and rates are OPERA's";
        Box::pin(std::future::ready(Err(Error::Update { index: 0, why })))
    }
}
