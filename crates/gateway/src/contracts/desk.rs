//! What a person sees of contracts and decides about them.

use airside_base::{Fault, Kind, Timestamp};
use airside_contracts::{
    Digest,
    event::{self, Contract, Decided, Event, Key},
};
use airside_ledger::TableError;
use tokio::sync::oneshot;

use super::{Contracts, keeper::Work};

/// Longest reason, in characters.
const MAX_REASON: usize = 500;

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The definition with this digest is to be served.
    Accept(Digest),
    /// The definition before is to be served, and not this one.
    Hold(Digest),
    /// The tool is neither to be listed nor called.
    Quarantine,
}

/// A decision of a person.
#[derive(Debug, Clone)]
pub struct Decision {
    /// About which tool.
    pub key: Key,
    /// What is wanted.
    pub verdict: Verdict,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Why a decision has no effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such contract.
    #[error("nothing is known of this tool")]
    Unknown,
    /// The server says something else by now.
    #[error("the server says something else by now")]
    Stale {
        /// What waits for acceptance, or is served.
        now: Digest,
    },
    /// There is no other definition to hold on to.
    #[error("there is no earlier definition to hold on to")]
    NothingToHold,
    /// The reason is missing or too long.
    #[error("the reason is missing or too long")]
    Reason,
    /// It cannot be read or written.
    #[error("the ledger does not take it")]
    Ledger(#[source] TableError),
    /// The process ends.
    #[error("the process ends")]
    Closed,
}

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unknown => Fault::new(Kind::NotFound, "GW-082", "nothing is known of this tool")
                .with_hint("`airside contracts list` shows server, tool and class"),
            Self::Stale { now } => Fault::new(
                Kind::Conflict,
                "GW-083",
                format!("the server says something else by now: {now}"),
            )
            .with_hint("look at it again with `airside contracts diff`, then decide"),
            Self::NothingToHold => Fault::new(
                Kind::Conflict,
                "GW-084",
                "there is no earlier definition to hold on to",
            )
            .with_hint("put the tool into quarantine instead"),
            Self::Reason => Fault::new(
                Kind::Invalid,
                "GW-085",
                format!("a decision needs a reason of at most {MAX_REASON} characters"),
            ),
            Self::Ledger(error) => error.fault(),
            Self::Closed => Fault::new(Kind::Unavailable, "GW-086", "the node is stopping"),
        }
    }
}

impl Decision {
    /// Returns what has to happen to `contract`.
    pub(super) fn event(&self, contract: Option<&Contract>, at: Timestamp) -> Result<Event, Error> {
        let contract = contract.ok_or(Error::Unknown)?;
        let length = self.reason.chars().count();
        if self.reason.trim().is_empty() || length > MAX_REASON {
            return Err(Error::Reason);
        }
        let newest = contract.newest().ok_or(Error::Unknown)?.digest;
        let decided = |digest| Decided {
            key: self.key.clone(),
            digest,
            by: Some(self.by.clone()),
            reason: self.reason.clone(),
            at,
        };
        match self.verdict {
            Verdict::Accept(digest) if digest == newest => Ok(Event::Accepted(decided(digest))),
            Verdict::Hold(digest) if digest == newest => {
                let held = match contract.offered {
                    Some(_) => contract.accepted.as_ref(),
                    None => contract.previous.as_ref(),
                };
                let held = held.ok_or(Error::NothingToHold)?.digest;
                Ok(Event::Held(decided(held)))
            }
            Verdict::Accept(_) | Verdict::Hold(_) => Err(Error::Stale { now: newest }),
            Verdict::Quarantine => Ok(Event::Quarantined(decided(newest))),
        }
    }
}

impl Contracts {
    /// Returns all contracts, by server, class and tool.
    #[must_use]
    pub fn all(&self) -> Vec<Contract> {
        let servers: Vec<_> = self.lock().values().cloned().collect();
        let mut all = Vec::new();
        for server in servers {
            let book = server.book.lock().expect("the lock is not poisoned");
            let contracts = book.classes.values().flat_map(|tools| tools.values());
            all.extend(contracts.map(|contract| (**contract).clone()));
        }
        all
    }

    /// Returns one contract.
    #[must_use]
    pub fn one(&self, key: &Key) -> Option<Contract> {
        let server = self.lock().get(&key.server).cloned()?;
        let book = server.book.lock().expect("the lock is not poisoned");
        book.find(key).map(|contract| (*contract).clone())
    }

    /// Does what a person wants, durably where contracts are kept.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] when the server says something else than what was looked at.
    pub async fn decide(&self, decision: Decision) -> Result<Contract, Error> {
        if let Some(keeper) = self.keeping.keeper.get() {
            let (reply, decided) = oneshot::channel();
            let work = Work::Decide(Box::new(decision), reply);
            keeper.send(work).await.map_err(|_| Error::Closed)?;
            return decided.await.map_err(|_| Error::Closed)?;
        }
        let prior = self.one(&decision.key);
        let event = decision.event(prior.as_ref(), self.clock.now())?;
        let contract = event::fold(prior, event).ok_or(Error::Unknown)?;
        self.server(&contract.key.server).adopt(contract.clone());
        Ok(contract)
    }
}
