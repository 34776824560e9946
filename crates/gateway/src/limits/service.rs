//! The counters of a process.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, Fault, Kind, OnFailure, Supervisor, TenantId};
use airside_ledger::{Ledger, TableError};
use airside_policy::limit::{Ask, Counter, Entry, Gauges, Held, Key, Looks, Memory, Now, Taking};

use super::{
    LimitsConfig,
    event::{Event, Reached, Reset},
    quotas::{Keeper, tenant_of},
    refusals::{self, Refusals},
};

/// How often the use of quotas is written, and what came to rest forgotten.
const TICK: Duration = Duration::from_secs(5);

/// What was taken from limits, by everybody who calls this process.
#[derive(Debug)]
pub struct Counters {
    clock: Arc<dyn Clock>,
    memory: Memory,
    gauges: Gauges,
    refusals: Refusals,
    keeper: Keeper,
}

impl Counters {
    /// Returns counters that go on where those in `ledger` ended.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn open(
        config: &LimitsConfig,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, TableError> {
        let limits = Self {
            clock,
            memory: Memory::new(config.max_keys),
            gauges: Gauges::default(),
            refusals: Refusals::default(),
            keeper: Keeper::new(ledger),
        };
        limits.keeper.load(&limits.memory, limits.now()).await?;
        Ok(Arc::new(limits))
    }

    /// Starts to write what is used and refused, until `supervisor` stops; what comes
    /// after that is for [`Counters::save`].
    pub fn start(self: &Arc<Self>, supervisor: &Supervisor) {
        let (limits, stop) = (self.clone(), supervisor.clone());
        let windows = refusals::WINDOW.as_secs() / TICK.as_secs();
        supervisor.spawn("limits", OnFailure::Stop, async move {
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
        self.keeper.save(&self.memory, self.now()).await;
        self.memory.sweep(self.now());
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
            let written = event
                .draft(&place.tenant)
                .map_err(|error| error.to_string());
            let written = written.and_then(|draft| {
                let recorded = self.keeper.ledger().record(draft);
                recorded.map_err(|error| error.to_string())
            });
            if let Err(error) = written {
                let (limit, key, refused) = (&*place.limit, &*place.key, window.counted);
                tracing::error!(limit, key, refused, error, "refusals are in no entry");
            }
        }
    }

    /// Returns where is counted.
    #[must_use]
    pub fn store(&self) -> &'static str {
        "memory"
    }

    pub(super) fn now(&self) -> Now {
        let monotonic = self.clock.monotonic().as_nanos();
        Now {
            monotonic_ns: u64::try_from(monotonic).unwrap_or(u64::MAX),
            wall: self.clock.now(),
        }
    }

    pub(super) fn take<'a>(&'a self, asks: &'a [Ask<'a>], now: Now) -> Taking<'a> {
        self.memory.take(asks, now)
    }

    pub(super) fn hold(&self, rule: &str, key: &str, most: u32) -> Option<Held> {
        self.gauges.hold(Key { rule, text: key }, most)
    }

    pub(super) fn earn(&self, rule: &str, key: &str, looks: Looks) {
        let key = Key { rule, text: key };
        self.memory.credit(key, looks, 1, self.now());
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.memory.entries()
    }

    pub(super) fn held(&self) -> Vec<(String, String, u32)> {
        self.gauges.held()
    }

    /// Counts a refusal; returns whether it is to have an entry of its own.
    pub(super) fn refused(&self, tenant: &TenantId, rule: &str, key: &str, may: bool) -> bool {
        self.refusals
            .add((tenant, rule, key), self.clock.now(), may)
    }

    /// Gives all units of `key` of `limit` back, for the reason on record.
    ///
    /// # Errors
    ///
    /// When nothing is known of such a key, or the reason cannot be recorded.
    pub async fn reset(&self, limit: &str, key: &str, reason: &str) -> Result<(), Fault> {
        let place = Key {
            rule: limit,
            text: key,
        };
        let known = self.memory.entries();
        if !known
            .iter()
            .any(|entry| entry.rule == limit && entry.key == key)
        {
            return Err(Fault::new(
                Kind::NotFound,
                "GW-070",
                "nothing is known of this key of this limit",
            )
            .with_hint("`airside limits` lists limits and keys as they have to be written"));
        }
        let event = Event::Reset(Reset {
            limit: limit.into(),
            key: key.into(),
            reason: reason.into(),
        });
        // In the ledger first: units that come back without a reason on record would be
        // units that nobody gave back.
        let changed = self.keeper.change(limit, key, &event).await;
        changed.map_err(|error| error.fault())?;
        self.memory.reset(place).await;
        tracing::info!(limit, key, tenant = %tenant_of(key), "an operator has reset a limit");
        Ok(())
    }
}
