//! The counters of a process.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, Fault, Kind, OnFailure, Supervisor, TenantId};
use airside_ledger::{Ledger, TableError};
use airside_policy::limit::{
    Ask, Counter as _, Entry, Gauges, Held, Key, Level, Looks, Measure, Memory, Now, Taking,
};

use crate::{
    LimitsConfig,
    event::{Event, Reached, Reset, Store},
    quotas::Keeper,
    refusals::{self, Refusals},
    shared::{Shared, StoreError, StoreOptions},
};

/// How often the use of quotas is written, and what came to rest forgotten.
const TICK: Duration = Duration::from_secs(5);

/// What counters stand on.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Where quotas and refusals are recorded.
    pub ledger: Ledger,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Starts what runs beside the calls.
    pub supervisor: Supervisor,
}

/// Why there are no counters.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The ledger cannot be read.
    #[error("cannot read what was used of quotas")]
    Ledger(#[from] TableError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// What the operator may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Ledger(error) => error.fault(),
            Self::Store(error) => Fault::new(Kind::Invalid, "CFG-036", error.to_string())
                .with_hint("write the URL of the store into the file that `url-file` names"),
        }
    }
}

/// What was taken from limits, by everybody who calls this process.
#[derive(Debug)]
pub struct Counters {
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    memory: Arc<Memory>,
    shared: Option<Arc<Shared>>,
    gauges: Gauges,
    refusals: Refusals,
    keeper: Keeper,
}

impl Counters {
    /// Returns counters that go on where those in the ledger ended, in this process or
    /// in the store that several share.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read, or the URL is not one of a store. A store that
    /// is away is no error.
    pub async fn open(
        config: &LimitsConfig,
        store: Option<&StoreOptions>,
        ground: Ground,
    ) -> Result<Arc<Self>, OpenError> {
        let memory = Arc::new(Memory::new(config.max_keys));
        let shared = store.map(|options| Shared::new(options, memory.clone(), config.max_keys));
        let counters = Self {
            clock: ground.clock,
            supervisor: ground.supervisor,
            memory,
            shared: shared.transpose()?.map(Arc::new),
            gauges: Gauges::default(),
            refusals: Refusals::default(),
            keeper: Keeper::new(ground.ledger),
        };
        counters
            .keeper
            .load(&counters.memory, counters.now())
            .await?;
        Ok(Arc::new(counters))
    }

    /// Starts to write what is used and refused and to keep the connection to the
    /// store, until the supervisor stops; what comes after that is for
    /// [`Counters::save`].
    pub fn start(self: &Arc<Self>) {
        if let Some(shared) = self.shared.clone() {
            let counters = self.clone();
            let keeping = async move {
                let mut away = false;
                let tell = |back, why: &str, nodes| counters.tell(&mut away, (back, why, nodes));
                shared
                    .keep(&*counters.clock, &counters.supervisor, tell)
                    .await;
            };
            self.supervisor
                .spawn("limits store", OnFailure::Stop, keeping);
        }
        let (limits, stop) = (self.clone(), self.supervisor.clone());
        let windows = refusals::WINDOW.as_secs() / TICK.as_secs();
        self.supervisor
            .spawn("limits", OnFailure::Stop, async move {
                for tick in 1.. {
                    tokio::select! {
                        () = limits.clock.sleep(TICK) => {}
                        () = stop.stopping() => return,
                    }
                    limits.tend().await;
                    if tick % windows == 0 {
                        limits.close_window();
                    }
                }
            });
    }

    /// Writes what is not in the ledger yet. For the end of a process, when its calls
    /// have ended.
    pub async fn save(&self) {
        self.tend().await;
        self.close_window();
    }

    async fn tend(&self) {
        let totals = self.keeper.save(&self.memory, self.now()).await;
        self.memory.sweep(self.now());
        if let Some(shared) = &self.shared {
            // A store that lost its memory learns from the ledger what was used.
            shared.raise(&totals).await;
            shared.sweep(self.now());
        }
    }

    /// Writes down what became of the store, if it is news.
    fn tell(&self, away: &mut bool, (back, why, nodes): (bool, &str, u32)) {
        if back != *away {
            return;
        }
        *away = !back;
        match back {
            true => tracing::info!("the store of limits is back"),
            false => tracing::warn!(
                why,
                nodes,
                "the store of limits is away: this node counts its share by itself"
            ),
        }
        let event = Event::Store(Store {
            back,
            reason: why.into(),
            nodes,
        });
        self.record(&TenantId::default(), &event);
    }

    fn record(&self, tenant: &TenantId, event: &Event<'_>) {
        let written = event.draft(tenant).map_err(|error| error.to_string());
        let written = written.and_then(|draft| {
            let recorded = self.keeper.ledger().record(draft);
            recorded.map_err(|error| error.to_string())
        });
        if let Err(error) = written {
            tracing::error!(?event, error, "what happened to a limit is in no entry");
        }
    }

    fn close_window(&self) {
        let to = self.clock.now();
        for (place, window) in self.refusals.close() {
            let event = Event::Reached(Reached {
                limit: (&*place.limit).into(),
                key: (&*place.key).into(),
                from: window.from,
                to,
                refused: window.counted,
            });
            self.record(&place.tenant, &event);
        }
    }

    /// Returns where is counted.
    #[must_use]
    pub fn store(&self) -> &'static str {
        match &self.shared {
            None => "memory",
            Some(shared) if shared.is_there() => "shared",
            Some(_) => "away",
        }
    }

    pub(crate) fn now(&self) -> Now {
        let monotonic = self.clock.monotonic().as_nanos();
        Now {
            monotonic_ns: u64::try_from(monotonic).unwrap_or(u64::MAX),
            wall: self.clock.now(),
        }
    }

    pub(crate) fn take<'a>(&'a self, asks: &'a [Ask<'a>], now: Now) -> Taking<'a> {
        match &self.shared {
            Some(shared) => shared.take(asks, now),
            None => self.memory.take(asks, now),
        }
    }

    pub(crate) fn hold(&self, rule: &str, key: &str, most: u32) -> Option<Held> {
        self.gauges.hold(Key { rule, text: key }, most)
    }

    pub(crate) fn earn(&self, rule: &str, key: &str, looks: Looks) {
        let now = self.now();
        let Some(shared) = self.shared.clone() else {
            return self.memory.credit(Key { rule, text: key }, looks, 1, now);
        };
        let (rule, key) = (rule.to_owned(), key.to_owned());
        let earning = async move {
            let key = Key {
                rule: &rule,
                text: &key,
            };
            shared.earn(key, looks, 1, now).await;
        };
        self.supervisor
            .spawn("earn searches", OnFailure::Log, earning);
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.memory.entries()
    }

    /// Returns what the store had left of keys that this node asked it for.
    pub(crate) fn levels(&self) -> Vec<(String, String, Level)> {
        let levels = self.shared.as_ref().map(|shared| shared.levels(self.now()));
        levels.unwrap_or_default()
    }

    pub(crate) fn held(&self) -> Vec<(String, String, u32)> {
        self.gauges.held()
    }

    /// Counts a refusal; returns whether it is to have an entry of its own.
    pub(crate) fn refused(&self, tenant: &TenantId, rule: &str, key: &str, may: bool) -> bool {
        self.refusals
            .add((tenant, rule, key), self.clock.now(), may)
    }

    /// Gives all units of `key` back, for the reason on record.
    ///
    /// # Errors
    ///
    /// When nothing is known of such a key, or the reason cannot be recorded.
    pub(crate) async fn reset(
        &self,
        key: Key<'_>,
        measure: Measure,
        reason: &str,
    ) -> Result<(), Fault> {
        let known = match &self.shared {
            Some(shared) => shared.knows(key, measure).await,
            None => self.memory.knows(key),
        };
        if !known {
            return Err(unknown());
        }
        let event = Event::Reset(Reset {
            limit: key.rule.into(),
            key: key.text.into(),
            reason: reason.into(),
        });
        // In the ledger first: units that come back without a reason on record would be
        // units that nobody gave back.
        let changed = self.keeper.change(key.rule, key.text, &event).await;
        changed.map_err(|error| error.fault())?;
        match &self.shared {
            Some(shared) => shared.reset(key, measure).await,
            None => self.memory.reset(key, measure).await,
        };
        tracing::info!(
            limit = key.rule,
            key = key.text,
            "an operator has reset a limit"
        );
        Ok(())
    }
}

/// Nothing is known of a limit or a key.
pub(crate) fn unknown() -> Fault {
    Fault::new(
        Kind::NotFound,
        "GW-070",
        "nothing is known of this key of this limit",
    )
    .with_hint("`airside limits` lists limits and keys as they have to be written")
}
