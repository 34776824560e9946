//! Takes what a hotel's own system sends to the inventory.
//!
//! # Invariants
//!
//! * A sender reaches only the hotels that the configuration gives to it.
//! * A message is applied whole or not at all, under the time at which it was
//!   written: the inventory decides which of two values is the later one, so that
//!   order and repetition of arrival do not matter.
//! * A message from the future is refused, or nothing could ever replace it.
//! * Nothing is sold at a price that is not the whole price: nights for which a plan
//!   has a mandatory supplement are closed.

mod changes;
mod rooms;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use airside_base::{Clock, Timestamp};
use airside_travel::supply::{Error, HotelId, HotelSupply, PlanCode, RoomCode, ari};
use jiff::civil::Date;

use crate::{
    alpinebits::{self, Action, Body, Message, Outcome, Problem, Version},
    intake::rooms::SingleRooms,
};

/// Farthest that the clock of a sender may be ahead.
const MAX_AHEAD: Duration = Duration::from_secs(300);
/// Hotels whose single rooms are remembered. Others have to send everything again.
const MAX_REMEMBERED: usize = 10_000;

/// A hotel whose system sends messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hotel {
    /// The sender's code of it.
    pub code: String,
    /// Who may send for it: a caller of the control API.
    pub sender: String,
    /// The hotel of the inventory.
    pub property: HotelId,
    /// ISO 4217 code of its prices.
    pub currency: String,
    /// The inventory's room types by the sender's codes.
    pub rooms: BTreeMap<String, RoomCode>,
    /// The inventory's rate plans by the sender's codes.
    pub plans: BTreeMap<String, PlanCode>,
}

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who sends it: the name of a caller that has shown its key, or `None` for the
    /// owner of the node.
    pub sender: Option<&'a str>,
    /// The version of AlpineBits that it is written in.
    pub version: Option<&'a str>,
    /// What is asked for.
    pub action: Option<&'a str>,
    /// The document.
    pub document: &'a [u8],
}

/// What is sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A document.
    Document(String),
    /// The request itself is wrong: a line that begins with `ERROR:`.
    Wrong(String),
    /// The inventory does not answer now; the same message may be sent again.
    Later,
}

/// Takes messages to the inventory.
#[derive(Debug)]
pub struct Intake {
    hotels: Vec<Hotel>,
    supply: Arc<dyn HotelSupply>,
    clock: Arc<dyn Clock>,
    /// By hotel: which single rooms are free, where hotels count those.
    single: Mutex<BTreeMap<HotelId, SingleRooms>>,
}

impl Intake {
    /// Returns an intake for `hotels` into `supply`.
    #[must_use]
    pub fn new(hotels: Vec<Hotel>, supply: Arc<dyn HotelSupply>, clock: Arc<dyn Clock>) -> Self {
        Self {
            hotels,
            supply,
            clock,
            single: Mutex::default(),
        }
    }

    /// Answers one request of the AlpineBits protocol.
    pub async fn receive(&self, request: Request<'_>) -> Reply {
        let Some(version) = request.version.and_then(Version::parse) else {
            return Reply::Wrong(
                "ERROR:X-AlpineBits-ClientProtocolVersion is missing or is not \
                 2018-10, 2020-10, 2022-10 or 2024-10"
                    .to_owned(),
            );
        };
        let action = request.action.and_then(|text| Action::parse(text, version));
        let Some(action) = action else {
            return Reply::Wrong("ERROR:unknown or missing action".to_owned());
        };
        let message = match alpinebits::read(action, version, request.document) {
            Ok(message) => message,
            Err(problems) => return refused(action, version, problems),
        };
        if let Body::Handshake(asked) = &message.body {
            let both = alpinebits::negotiate(asked);
            let taken = Outcome::Taken { advice: vec![] };
            let echo = Some((asked.as_str(), both.as_str()));
            return Reply::Document(alpinebits::answer(action, version, &taken, echo).xml);
        }
        match self.take(request.sender, message).await {
            Ok(advice) => {
                let taken = Outcome::Taken { advice };
                Reply::Document(alpinebits::answer(action, version, &taken, None).xml)
            }
            Err(Untaken::Refused(problems)) => refused(action, version, problems),
            Err(Untaken::Later) => Reply::Later,
        }
    }

    async fn take(&self, sender: Option<&str>, message: Message) -> Result<Vec<String>, Untaken> {
        let hotel = self.hotel(sender, &message)?;
        let now = self.clock.now();
        let mut sent = message.sent_at.unwrap_or(now);
        if sent > now + MAX_AHEAD {
            return Err(
                Problem::unable(format!("the message is from {sent}, which is ahead")).into(),
            );
        }
        let mut advice = message.advice;
        let horizon = Horizon::around(now);
        let changes = match message.body {
            // Handshakes were answered; descriptions are not kept.
            Body::Handshake(_) | Body::HotelInfo => Vec::new(),
            Body::Inventory(inventory) => {
                changes::check_inventory(hotel, &inventory)?;
                advice.push("kinds of rooms are set up here; they were compared".to_owned());
                Vec::new()
            }
            Body::FreeRooms(rooms) => {
                // Taking everything back takes back what is known of single rooms, too.
                let single = rooms.counts.iter().any(|count| count.room.is_some())
                    || (rooms.counts.is_empty() && self.counts_rooms(&hotel.property));
                if single {
                    let (changes, newest) = self.of_single_rooms(hotel, &rooms, sent, horizon)?;
                    sent = newest;
                    changes
                } else {
                    changes::of_rooms(hotel, &rooms, horizon)?
                }
            }
            Body::RatePlans(plans) => changes::of_plans(hotel, &plans, horizon, &mut advice)?,
        };
        if changes.is_empty() {
            return Ok(advice);
        }
        let applied = self.apply(hotel, sent, changes).await?;
        if applied.superseded > 0 {
            advice.push(format!(
                "{} values are older than what is known",
                applied.superseded
            ));
        }
        if applied.outside > 0 {
            advice.push(format!(
                "{} values are for nights that are not sold",
                applied.outside
            ));
        }
        Ok(advice)
    }

    /// Returns the hotel of a message, if its sender may speak for it. A hotel of
    /// somebody else is answered like one that does not exist.
    fn hotel(&self, sender: Option<&str>, message: &Message) -> Result<&Hotel, Problem> {
        let code = message.hotel_code.as_deref().unwrap_or_default();
        let allowed = |hotel: &&Hotel| sender.is_none_or(|sender| sender == hotel.sender);
        let mut hotels = self.hotels.iter().filter(|hotel| hotel.code == code);
        hotels.find(allowed).ok_or_else(|| Problem::hotel(code))
    }

    async fn apply(
        &self,
        hotel: &Hotel,
        sent: Timestamp,
        changes: Vec<ari::Change>,
    ) -> Result<ari::Applied, Untaken> {
        if changes.len() > ari::MAX_CHANGES {
            let text = format!("more than {} periods; send parts", ari::MAX_CHANGES);
            return Err(Problem::unable(text).into());
        }
        let updates = ari::Updates {
            hotel: hotel.property.clone(),
            sent,
            changes,
        };
        match self.supply.apply(&updates).await {
            Ok(applied) => Ok(applied),
            Err(Error::Unavailable { .. } | Error::Unknown) => Err(Untaken::Later),
            Err(error) => Err(Problem::unable(error.to_string()).into()),
        }
    }

    fn counts_rooms(&self, hotel: &HotelId) -> bool {
        let all = self
            .single
            .lock()
            .expect("no panic happens while the lock is held");
        all.contains_key(hotel)
    }

    /// Counts the single rooms that are free, from this message and the ones before.
    /// The count is as new as the newest of them.
    fn of_single_rooms(
        &self,
        hotel: &Hotel,
        rooms: &alpinebits::FreeRooms,
        sent: Timestamp,
        horizon: Horizon,
    ) -> Result<(Vec<ari::Change>, Timestamp), Problem> {
        let mut all = self
            .single
            .lock()
            .expect("no panic happens while the lock is held");
        let complete = rooms.scope == alpinebits::Scope::Complete;
        if !complete && !all.contains_key(&hotel.property) {
            return Err(Problem::send_free_rooms());
        }
        if all.len() >= MAX_REMEMBERED {
            all.pop_first();
        }
        let known = all.entry(hotel.property.clone()).or_default();
        known.take(rooms, sent, horizon);
        let mut counted = rooms.clone();
        counted.counts = known.counts(rooms, horizon);
        let newest = known.newest.unwrap_or(sent);
        Ok((changes::of_rooms(hotel, &counted, horizon)?, newest))
    }
}

/// The dates that are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Horizon {
    pub(crate) first: Date,
    pub(crate) last: Date,
}

impl Horizon {
    /// Hotels are up to a day before or behind UTC, and stays may begin on the last
    /// day that is sold.
    fn around(now: Timestamp) -> Self {
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let days =
            airside_travel::supply::MAX_DAYS_AHEAD + airside_travel::supply::MAX_NIGHTS as i64;
        Self {
            first: today.saturating_sub(jiff::Span::new().days(1)),
            last: today.saturating_add(jiff::Span::new().days(days)),
        }
    }
}

/// Why a message was not taken.
#[derive(Debug)]
enum Untaken {
    Refused(Vec<Problem>),
    Later,
}

impl From<Problem> for Untaken {
    fn from(problem: Problem) -> Self {
        Self::Refused(vec![problem])
    }
}

fn refused(action: Action, version: Version, problems: Vec<Problem>) -> Reply {
    let outcome = Outcome::Refused(problems);
    Reply::Document(alpinebits::answer(action, version, &outcome, None).xml)
}

#[cfg(test)]
mod tests;
