//! Finding out what came of a call whose answer was lost, and of holds whose time is over.

use std::time::Duration;

use airside_travel::supply::{Error, Reference, Selection, State};

use super::{
    super::{
        Mapped, Opera,
        calls::guests,
        client::Failure,
        journal::{Asked, BUSY, Kept, Row, What},
        wire,
    },
    Outcome, READS, SETTLED, number, total,
};

/// When to look again at what could not be looked after.
const AGAIN: Duration = Duration::from_secs(30);

/// What a reservation is at OPERA.
pub(super) enum There {
    OnHold(Box<wire::Booked>),
    Booked(Box<wire::Booked>),
    Cancelled,
    /// It is not known there, or has ended.
    Gone,
}

impl Opera {
    /// Finds out what came of what a document says was asked, and ends a hold whose
    /// time is over.
    pub(in crate::opera) async fn resolve(&self, row: Row) -> Result<Row, Error> {
        let mut row = row;
        for _ in 0..READS {
            row = match row.document.asked.clone() {
                Some(asked) => self.read_back(row, asked).await?,
                None => match row.document.reservation.state {
                    State::Held { until } if until <= self.clock.now() && !row.document.void => {
                        let reference = row.document.reservation.reference.clone();
                        self.ignore(row, true).await?;
                        let row = self.journal.find(&reference).await?;
                        row.ok_or(Error::NotFound)?
                    }
                    _ => return Ok(row),
                },
            };
        }
        Err(BUSY)
    }

    async fn read_back(&self, row: Row, asked: Asked) -> Result<Row, Error> {
        let kept = row.document.clone();
        let hotel = self.hotel(&kept.reservation.hotel)?;
        let there = self.look(hotel, &kept).await?;
        let late = asked.at + SETTLED <= self.clock.now();
        let outcome = match (asked.what, there) {
            (What::Hold, There::OnHold(there)) => return self.adopt(row, &there).await,
            // Only a commit books, and there was none.
            (What::Hold, There::Booked(_)) => return Err(Error::Unknown),
            (What::Hold, There::Gone | There::Cancelled) => {
                let over = match kept.reservation.state {
                    State::Held { until } => until + SETTLED <= self.clock.now(),
                    _ => true,
                };
                match over {
                    true => Outcome::Ended,
                    false => return Err(Error::Unknown),
                }
            }
            (What::Commit, There::Booked(_)) => Outcome::Booked,
            // A commit that is still under way and one that comes after it are the same.
            (What::Commit, There::OnHold(_)) => Outcome::NotDone,
            (What::Commit, There::Gone | There::Cancelled) => Outcome::Ended,
            (What::Ignore { over: true }, There::Gone | There::Cancelled) => Outcome::Ended,
            (What::Ignore { over: false }, There::Gone | There::Cancelled) => Outcome::Released,
            (What::Ignore { .. }, There::Booked(_)) => Outcome::Booked,
            (What::Ignore { .. }, There::OnHold(_)) => Outcome::NotDone,
            (What::Change(change), There::Booked(there)) if shows(&there, &change.selection) => {
                Outcome::Changed(change)
            }
            (What::Change(_), There::Booked(_)) if late => Outcome::NotDone,
            (What::Cancel { penalty }, There::Cancelled | There::Gone) => {
                Outcome::Cancelled { penalty }
            }
            (What::Cancel { .. }, There::Booked(_)) if late => Outcome::NotDone,
            (What::Change(_), There::Cancelled | There::Gone) => {
                let penalty = kept.reservation.cancellation.penalty(self.clock.now());
                Outcome::Cancelled { penalty }
            }
            (What::Change(_) | What::Cancel { .. }, There::Booked(_) | There::OnHold(_)) => {
                return Err(Error::Unknown);
            }
        };
        self.conclude(row, outcome).await
    }

    /// Takes over a hold that was read back under our own name of it.
    async fn adopt(&self, row: Row, there: &wire::Booked) -> Result<Row, Error> {
        let mut kept = row.document.clone();
        kept.number = number(there, &kept.external());
        if kept.number.is_none() {
            return Err(Error::Unknown);
        }
        let agreed = kept.reservation.price.total;
        let total = total(there, &kept.reservation);
        let reference = kept.reservation.reference.clone();
        if total.is_some_and(|total| total != agreed) {
            let hotel = self.hotel(&kept.reservation.hotel)?;
            self.give_up(hotel, row, kept).await?;
        } else {
            let State::Held { until } = kept.reservation.state else {
                return Err(Error::Unknown);
            };
            let state = kept.reservation.state.clone();
            self.journal
                .note(Some(row), &kept.settled(state, until))
                .await?;
        }
        let row = self.journal.find(&reference).await?;
        row.ok_or(Error::NotFound)
    }

    /// Reads a reservation at OPERA.
    pub(super) async fn look(&self, hotel: &Mapped, kept: &Kept) -> Result<There, Error> {
        let id = kept.number.clone().unwrap_or_else(|| kept.external());
        let there = match self.retrieve(hotel, &id).await {
            Ok(there) => there,
            Err(Failure::Refused(refusal)) if matches!(refusal.status, 404 | 410) => {
                return Ok(There::Gone);
            }
            Err(Failure::Refused(_) | Failure::Lost) => return Err(Error::Unknown),
            Err(Failure::NotDone { .. }) => return Err(Error::Unknown),
        };
        Ok(match there.reservation_status.as_deref() {
            Some("OnHold") => There::OnHold(Box::new(there)),
            Some("Reserved" | "ReservedChanged") => There::Booked(Box::new(there)),
            Some("Cancelled") => There::Cancelled,
            // The published schema has no other; one that we do not know proves nothing.
            _ => return Err(Error::Unknown),
        })
    }

    /// Looks after what is due: lost answers, holds whose time is over, and what has
    /// ended long ago. Returns how many documents were looked at.
    pub(in crate::opera) async fn sweep(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let due = self.journal.due(now, 100).await?;
        let count = due.len();
        for row in due {
            let reference = row.document.reservation.reference.clone();
            let _turn = self.turn(&reference).await;
            let ended = !row.document.reservation.takes_rooms() && row.document.asked.is_none();
            let looked = match ended {
                true => self.journal.forget(row).await,
                false => match self.journal.find(&reference).await {
                    Ok(Some(row)) => self.resolve(row).await.map(drop),
                    other => other.map(drop),
                },
            };
            match looked {
                Ok(()) => continue,
                Err(Error::Unknown) => tracing::error!(
                    %reference,
                    "what OPERA did is still not known: it does not say"
                ),
                Err(error) => tracing::warn!(%reference, %error, "a reservation waits for OPERA"),
            }
            self.postpone(&reference).await;
        }
        Ok(count)
    }

    /// Lets a reservation that cannot be looked after now wait, and others go first.
    async fn postpone(&self, reference: &Reference) {
        let Ok(Some(row)) = self.journal.find(reference).await else {
            return;
        };
        let mut kept = row.document.clone();
        kept.due = (self.clock.now() + AGAIN).as_microsecond();
        // If it cannot be noted it stays due.
        let _ = self.journal.note(Some(row), &kept).await;
    }
}

/// Returns whether a reservation at OPERA is what `selection` asks for.
fn shows(there: &wire::Booked, selection: &Selection) -> bool {
    let Some(stay) = &there.room_stay else {
        return false;
    };
    let [rate] = stay.room_rates.as_slice() else {
        return false;
    };
    let Some(unit) = selection.units.first() else {
        return false;
    };
    let counts = guests(&unit.party);
    stay.arrival_date == Some(selection.stay.check_in())
        && stay.departure_date == Some(selection.stay.check_out())
        && rate.room_type.as_deref() == Some(unit.room.as_str())
        && rate.rate_plan_code.as_deref() == Some(unit.plan.as_str())
        && rate.number_of_units.unwrap_or(1) == selection.units.len()
        && rate.guest_counts.as_ref().is_none_or(|there| {
            there.adults == counts.adults && there.child_ages.len() == counts.child_ages.len()
        })
}
