//! The inventory behind the port.

use std::{sync::Arc, time::Duration};

use airside_base::BoxFuture;
use airside_ledger::Versioned;
use tokio::sync::{mpsc::error::TrySendError, oneshot};

use super::{
    Inventory, calendar,
    clerk::{Answer, Asked, Message, clerk_of},
    decide::Request,
    describe,
    event::Taken,
    fed, sell,
};
use crate::{
    property::PropertyId,
    quote,
    shop::{self, Wish},
    supply::{
        About, Applied, Arrival, Ask, Calendar, Candidate, Error, Found, Guest, Hotel, HotelId,
        HotelSupply, NotOffered, Offer, Offers, Quoted, Reference, Reservation, Search, Selection,
        Updates,
    },
};

/// How often a request is read and made again because the reservation changed.
const AGAIN: usize = 16;
const BUSY: Error = Error::Unavailable {
    retry_after: Duration::from_secs(1),
};

impl Inventory {
    async fn read(&self, reference: &Reference) -> Result<Option<Versioned<Reservation>>, Error> {
        let table = &self.office.reservations;
        let found = table.find(&self.office.chain, reference.as_str()).await;
        found.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a reservation cannot be read"
            );
            BUSY
        })
    }

    /// Asks the clerk of a reservation's hotel.
    pub(super) async fn ask(
        &self,
        reference: &Reference,
        request: Request,
    ) -> Result<Reservation, Error> {
        self.ready().await;
        for _ in 0..AGAIN {
            let prior = self.read(reference).await?;
            let hotel = match (&prior, &request) {
                (_, Request::Hold { selection, .. }) => &selection.hotel,
                (Some(prior), _) => &prior.document.hotel,
                (None, _) => return Err(Error::NotFound),
            };
            let hotel = sell::property(&self.office.hotels, hotel)?.id;
            let version = prior.as_ref().map(|prior| prior.version);
            let (answer, answered) = oneshot::channel();
            let asked = Asked::Request {
                request: Box::new(request.clone()),
                prior: prior.map(Box::new),
                answer,
            };
            self.send(hotel, asked)?;
            match answered.await {
                Ok(Answer::Done(Err(error))) if !error.is_transient() => {
                    // A refusal writes nothing, so nothing has compared versions: the
                    // rooms that are missing may have gone to this very reservation.
                    let now = self.read(reference).await?;
                    if now.map(|now| now.version) == version {
                        return Err(error);
                    }
                }
                Ok(Answer::Done(done)) => return done,
                Ok(Answer::Again) => {}
                // The clerk has ended in the middle of it.
                Err(_) => return Err(Error::Unknown),
            }
        }
        Err(BUSY)
    }

    fn send(&self, hotel: PropertyId, asked: Asked) -> Result<(), Error> {
        let clerk = &self.clerks[clerk_of(hotel, self.clerks.len())];
        clerk
            .try_send(Message::Asked { hotel, asked })
            .map_err(|error| match error {
                TrySendError::Full(_) | TrySendError::Closed(_) => BUSY,
            })
    }

    async fn update(&self, updates: &Updates) -> Result<Applied, Error> {
        self.ready().await;
        let property = sell::property(&self.office.hotels, &updates.hotel)?;
        let now = self.office.clock.now();
        let checked = |block: &super::Block| fed::check(block, updates);
        self.office.hotels.look(&property, now, checked)?;
        let (answer, answered) = oneshot::channel();
        let asked = Asked::Update {
            updates: Box::new(updates.clone()),
            answer,
        };
        self.send(property.id, asked)?;
        match answered.await {
            Ok(Answer::Done(done)) => done,
            Ok(Answer::Again) => Err(BUSY),
            Err(_) => Err(Error::Unknown),
        }
    }

    fn find_hotels(&self, search: &Search) -> Found {
        let hotels = &self.office.hotels;
        let now = self.office.clock.now();
        let Search { area, ask, .. } = search;
        let (stay, parties) = (&ask.stay, &ask.parties);
        let how = (search.filter, search.order);
        let found = hotels.search_area(area, stay, parties, now, how);
        let candidate = |hit: &shop::Found| {
            let property = hotels.found(hit);
            let local = hotels.local_of(&property, now);
            let wish = Wish {
                stay,
                parties,
                local: &local,
            };
            let offer = hotels.offer(hit, &wish)?;
            Some(Candidate {
                offer: in_words(offer, property.currency)?,
                distance_m: hit.distance_m,
                as_of: None,
                hotel: describe::brief(hotels, &property, local.zone),
            })
        };
        let page = found.iter().skip(search.from).take(search.limit);
        Found {
            available: found.len(),
            hotels: page.filter_map(candidate).collect(),
            explanation: shop::explanation(search.order),
        }
    }

    fn find_offers(&self, hotel: &HotelId, ask: &Ask) -> Result<Offers, Error> {
        let hotels = &self.office.hotels;
        let property = sell::property(hotels, hotel)?;
        let local = hotels.local_of(&property, self.office.clock.now());
        let wish = Wish {
            stay: &ask.stay,
            parties: &ask.parties,
            local: &local,
        };
        sell::check_range(&wish)?;
        let availability = hotels.availability(&property, &wish);
        let not_offered = availability.unavailable.iter();
        let not_offered = not_offered.filter_map(|(room, reason)| {
            Some(NotOffered {
                room: room.kind.code().parse().ok()?,
                reason: sell::refusal(*reason),
            })
        });
        let not_offered = not_offered.collect();
        let currency = property.currency;
        let offers = availability.offers.into_iter();
        let offers = offers.filter_map(|offer| in_words(offer, currency));
        Ok(Offers {
            offers: offers.collect(),
            not_offered,
        })
    }

    async fn price(
        &self,
        selection: &Selection,
        replacing: Option<&Reference>,
    ) -> Result<Quoted, Error> {
        self.ready().await;
        let property = sell::property(&self.office.hotels, &selection.hotel)?;
        let prior = match replacing {
            Some(reference) => self.read(reference).await?,
            None => None,
        };
        let now = self.office.clock.now();
        let local = self.office.hotels.local_of(&property, now);
        let prior = prior.map(|prior| prior.document);
        let prior = prior.filter(|prior| prior.takes_rooms() && prior.hotel == selection.hotel);
        self.office.hotels.look(&property, now, |block| {
            let own = prior.map(|prior| Taken::by(&prior).claim(block));
            sell::quote(block, &local, selection, own.as_ref())
        })
    }
}

fn in_words(offer: shop::Offer, currency: crate::money::Currency) -> Option<Offer> {
    let lines = offer.quote.lines.iter();
    let bases: Vec<_> = lines.map(|(levy, _)| levy.in_words(currency)).collect();
    let mut price = sell::price_of(offer.quote, currency);
    for (line, basis) in price.lines.iter_mut().zip(bases) {
        line.basis = Some(basis);
    }
    let cancellation = match offer.cancellation {
        quote::Cancellation::FreeUntil { deadline, penalty } => {
            sell::cancellation_tiers(0, penalty, Some(deadline))
        }
        quote::Cancellation::Penalty(penalty) => sell::cancellation_tiers(penalty, penalty, None),
    };
    Some(Offer {
        room: offer.room.kind.code().parse().ok()?,
        room_name: offer.room.kind.name().to_owned(),
        plan: offer.plan.code().parse().ok()?,
        plan_name: offer.plan.name().to_owned(),
        breakfast: offer.plan.breakfast(),
        left: offer.left,
        prepay: sell::asked(offer.plan, &price, &cancellation),
        price,
        cancellation,
    })
}

impl HotelSupply for Inventory {
    fn about(&self) -> &About {
        &self.office.about
    }

    fn describe<'a>(&'a self, hotel: &'a HotelId) -> BoxFuture<'a, Result<Arc<Hotel>, Error>> {
        Box::pin(async {
            let hotels = &self.office.hotels;
            let property = sell::property(hotels, hotel)?;
            let zone = hotels.zone(&property);
            Ok(Arc::new(describe::hotel(hotels, &property, zone)))
        })
    }

    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Found, Error>> {
        Box::pin(async {
            self.ready().await;
            Ok(self.find_hotels(search))
        })
    }

    fn offers<'a>(
        &'a self,
        hotel: &'a HotelId,
        ask: &'a Ask,
    ) -> BoxFuture<'a, Result<Offers, Error>> {
        Box::pin(async {
            self.ready().await;
            self.find_offers(hotel, ask)
        })
    }

    fn calendar<'a>(
        &'a self,
        hotel: &'a HotelId,
        calendar: &'a Calendar,
    ) -> BoxFuture<'a, Result<Vec<Arrival>, Error>> {
        Box::pin(async {
            self.ready().await;
            let now = self.office.clock.now();
            calendar::arrivals(&self.office.hotels, hotel, calendar, now)
        })
    }

    fn quote<'a>(
        &'a self,
        selection: &'a Selection,
        replacing: Option<&'a Reference>,
    ) -> BoxFuture<'a, Result<Quoted, Error>> {
        Box::pin(self.price(selection, replacing))
    }

    fn hold<'a>(
        &'a self,
        reference: &'a Reference,
        selection: &'a Selection,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        let request = Request::Hold {
            reference: reference.clone(),
            selection: selection.clone(),
            ttl,
        };
        Box::pin(self.ask(reference, request))
    }

    // Who stays is part of the booking, which is kept beside it.
    fn commit<'a>(
        &'a self,
        reference: &'a Reference,
        _guest: &'a Guest,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(self.ask(reference, Request::Commit))
    }

    fn release<'a>(
        &'a self,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(self.ask(reference, Request::Release))
    }

    fn modify<'a>(
        &'a self,
        reference: &'a Reference,
        change: &'a Reference,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        let request = Request::Modify {
            change: change.clone(),
            selection: selection.clone(),
        };
        Box::pin(self.ask(reference, request))
    }

    fn cancel<'a>(
        &'a self,
        reference: &'a Reference,
        accepted: i64,
    ) -> BoxFuture<'a, Result<Reservation, Error>> {
        Box::pin(self.ask(reference, Request::Cancel { accepted }))
    }

    fn find<'a>(
        &'a self,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Error>> {
        Box::pin(async move { Ok(self.read(reference).await?.map(|found| found.document)) })
    }

    fn apply<'a>(&'a self, updates: &'a Updates) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(self.update(updates))
    }
}
