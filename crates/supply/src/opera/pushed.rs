//! What OPERA pushes, on its way through the ledger to every node's nights.
//!
//! # Invariants
//!
//! * A message is durable before OPERA is told that it was taken, and reaches all nodes
//!   through the chain in one order; its own time decides which of two values counts.
//! * A sender reaches only the hotels that the configuration gives to it, for the
//!   channel that the configuration names.

use std::sync::{Arc, PoisonError, atomic::Ordering};
use std::time::Duration;

use airside_base::{Fault, Kind as Of, OnFailure, Supervisor, Timestamp};
use airside_ledger::{Draft, Entry, Kind, ReadError};
use airside_travel::supply::HotelId;
use serde::{Deserialize, Serialize};

use super::{
    Mapped, Opera,
    ari::{self, Set, Topic, Wrong},
};

/// OPERA pushed availability, rates or restrictions.
const PUSHED: Kind = Kind::new("opera_ari.pushed");
/// Farthest that the clock of a sender may be ahead.
const MAX_AHEAD: Duration = Duration::from_secs(300);
/// Pause after a failed read.
const PAUSE: Duration = Duration::from_secs(1);
/// Values of one entry: well below the largest body of one.
const PART: usize = 1_000;

/// The body of [`PUSHED`], version 1.
#[derive(Debug, Serialize, Deserialize)]
struct Pushed {
    sent: Timestamp,
    sets: Vec<Set>,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is wrong.
    Wrong(Wrong),
    /// The sender has no such hotel here.
    HotelUnknown,
    /// It is written for another channel.
    OtherChannel,
    /// It is from a time to come.
    Ahead,
    /// It cannot be kept now; it may be sent again.
    Later,
    /// OPERA is not the supplier of this node.
    NotHere,
}

impl Refused {
    /// Returns what the sender may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let told = |kind, code, text: String| Fault::new(kind, code, text);
        match self {
            Self::Wrong(wrong) => told(Of::Invalid, "TRV-404", wrong.to_string())
                .with_hint("correct the message; nothing of it was taken"),
            Self::HotelUnknown => {
                let text = "this sender has no such hotel here".to_owned();
                told(Of::NotFound, "TRV-405", text)
                    .with_hint("check `code` and `sender` of [[travel.supply.hotel]]")
            }
            Self::OtherChannel => {
                let text = "the message is for another channel".to_owned();
                told(Of::Invalid, "TRV-406", text).with_hint("check `channel` of [travel.supply]")
            }
            Self::Ahead => {
                let text = "the message is from a time to come".to_owned();
                told(Of::Invalid, "TRV-407", text).with_hint("check the clocks of both systems")
            }
            Self::Later => {
                let text = "the message cannot be kept now".to_owned();
                told(Of::Unavailable, "TRV-408", text).with_hint("send it again")
            }
            Self::NotHere => {
                let text = "this node does not sell hotels of OPERA".to_owned();
                told(Of::NotFound, "TRV-409", text)
                    .with_hint("set `kind = \"opera\"` in [travel.supply]")
            }
        }
    }
}

impl Opera {
    /// Takes one message of a sender; `None` is the owner of the node. Returns how many
    /// values it sets.
    ///
    /// # Errors
    ///
    /// When it is not taken; then nothing of it is.
    pub async fn push(
        &self,
        sender: Option<&str>,
        topic: Topic,
        body: &[u8],
    ) -> Result<usize, Refused> {
        let of_code = |code: &str| self.hotels.values().find(|hotel| hotel.code == code);
        let currency = |code: &str| of_code(code).map(|hotel| hotel.facts.currency);
        let message = ari::read(topic, body, currency).map_err(Refused::Wrong)?;
        let hotel = of_code(&message.hotel).ok_or(Refused::HotelUnknown)?;
        if sender.is_some() && sender != hotel.sender.as_deref() {
            return Err(Refused::HotelUnknown);
        }
        let channel = message.channel.as_deref();
        if channel.is_some_and(|channel| channel != self.client.channel()) {
            return Err(Refused::OtherChannel);
        }
        let now = self.clock.now();
        let sent = message.sent.unwrap_or(now);
        if sent > now + MAX_AHEAD {
            return Err(Refused::Ahead);
        }
        let count = message.sets.len();
        let mut drafts = Vec::new();
        for part in message.sets.chunks(PART) {
            let pushed = Pushed {
                sent,
                sets: part.to_vec(),
            };
            let (chain, subject) = (self.chain.clone(), hotel.facts.id.as_str());
            let draft = Draft::new(chain, PUSHED, 1, subject, &pushed);
            drafts.push(draft.map_err(|_| Refused::Later)?);
        }
        if drafts.is_empty() {
            return Ok(0);
        }
        self.ledger.append(drafts).await.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what OPERA pushed cannot be kept"
            );
            Refused::Later
        })?;
        // The chain brings it to every node, this one included; here it counts at once.
        self.learn(hotel, sent, &message.sets);
        Ok(count)
    }

    fn learn(&self, hotel: &Mapped, sent: Timestamp, sets: &[Set]) {
        let today = self.clock.now().to_zoned(hotel.facts.zone.clone()).date();
        let mut nights = self.nights.lock().unwrap_or_else(PoisonError::into_inner);
        let nights = nights.entry(hotel.facts.id.clone()).or_default();
        nights.set(sets, sent, today);
        self.answers.drop_of(&hotel.code);
    }

    pub(super) fn is_replayed(&self) -> bool {
        self.replayed.load(Ordering::Acquire)
    }

    /// Folds the chain into the nights, and what comes to it, until told to stop.
    pub(super) fn follow(self: Arc<Self>, supervisor: &Supervisor) {
        let stop = supervisor.clone();
        supervisor.spawn("opera-ari", OnFailure::Log, async move {
            tokio::select! {
                () = self.keep_up() => {}
                () = stop.stopping() => {}
            }
        });
    }

    async fn keep_up(&self) {
        let mut follower = self.ledger.follow(self.chain.clone(), 0);
        loop {
            let entries = match self.is_replayed() {
                true => follower.next().await,
                false => follower.next_present().await,
            };
            match entries {
                Ok(entries) if entries.is_empty() => self.replayed.store(true, Ordering::Release),
                Ok(entries) => entries.iter().for_each(|entry| self.learn_from(entry)),
                Err(error) => self.unread(&error).await,
            }
        }
    }

    async fn unread(&self, error: &ReadError) {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "what OPERA has pushed cannot be read"
        );
        self.clock.sleep(PAUSE).await;
    }

    fn learn_from(&self, entry: &Entry) {
        if entry.kind != PUSHED || entry.version != 1 {
            return;
        }
        let id = entry.subject.parse::<HotelId>().ok();
        // A hotel that is not sold any more is passed over.
        let Some(hotel) = id.and_then(|id| self.hotels.get(&id)) else {
            return;
        };
        if let Ok(Pushed { sent, sets }) = entry.decode() {
            self.learn(hotel, sent, &sets);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn version_1_of_a_push_is_read_and_written_as_ever() {
        let at = |value| {
            json!({
                "room": "A1K", "plan": "XDAILY", "from": "2026-12-01", "to": "2026-12-02",
                "days": 31, "value": value,
            })
        };
        let values = [
            json!({ "set": "closed", "to": true }),
            json!({ "set": "closed_to_arrival", "to": true }),
            json!({ "set": "closed_to_departure", "to": true }),
            json!({ "set": "minimum_from_arrival", "to": 2 }),
            json!({ "set": "maximum_from_arrival", "to": 9 }),
            json!({ "set": "minimum_through", "to": 2 }),
            json!({ "set": "maximum_through", "to": 9 }),
            json!({ "set": "lengths", "to": [true, false] }),
            json!({ "set": "window", "to": { "min_days": 1, "max_days": null } }),
            json!({ "set": "rates", "to": {
                "replace": true, "base": [[1, 9000], [2, 10000]], "extra_adult": 3000,
                "children": [{ "from": 0, "below": 6, "amount": 0 }],
            } }),
        ];
        let mut golden = json!({
            "sent": "2026-11-23T12:00:00Z",
            "sets": values.map(at),
        });
        let free = json!({
            "room": "A1K", "from": "2026-12-01", "to": "2026-12-02",
            "value": { "set": "free", "to": 5 },
        });
        golden["sets"].as_array_mut().unwrap().push(free);
        let pushed: Pushed = serde_json::from_value(golden.clone()).unwrap();
        assert_eq!(serde_json::to_value(&pushed).unwrap(), golden);
    }
}
