//! Budgets that several nodes share, in a store that speaks the protocol of Redis:
//! Valkey, Redis and others.
//!
//! One script on the server takes all keys of a hook at once, by the arithmetic that
//! counts in memory; a call costs at most one round trip per hook.
//!
//! # Invariants
//!
//! * A busy key is taken ahead in small portions, so that most of its calls cost no
//!   round trip. A portion is at most 1/32 of the burst, it is paid for before it is
//!   used and gone a second later: in any time *t* no more than `burst + rate·t +
//!   nodes·burst/32` units are admitted.
//! * What the store has refused is refused here for as long as it said, at most a
//!   second, without asking again: a flood ends at the node that it reaches.
//! * Nobody waits longer than the limit of the configuration. A store that is away,
//!   or slower, makes each node count its share by itself; once for each outage a node
//!   may grant its share of the burst again. It is taken up again without anybody's
//!   help.

mod link;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use airside_base::{BoxFuture, Clock, Redacted, Supervisor};
use airside_policy::limit::{
    Ask, Counter, Decision, Key, Level, Looks, Measure, Memory, Now, Pace, Table, Taking,
};

pub use self::link::Error as StoreError;
use self::link::{Change, Link, Links, Place};
use crate::{config::Time, quotas::QuotaUse};

/// Part of the burst that is taken ahead at most.
const PORTION: u32 = 32;
/// How long units may be used that were taken ahead.
const AHEAD_NS: u64 = 1_000_000_000;
/// A portion that is used up within this time was too small.
const BUSY_NS: u64 = 50_000_000;
/// How long a refusal is believed at most.
const BELIEVED_NS: u64 = 1_000_000_000;

/// How the store is used.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `redis://…` or `rediss://…`.
    pub url: Redacted<String>,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// How many nodes share the budgets.
    pub nodes: NonZeroU32,
    /// What all keys begin with.
    pub prefix: String,
    /// Whose clock counts.
    pub time: Time,
}

/// Counts in the store, and by itself while that is away.
#[derive(Debug)]
pub(crate) struct Shared {
    memory: Arc<Memory>,
    ahead: Table<Ahead>,
    links: Links,
    nodes: NonZeroU32,
    prefix: String,
    time: Time,
}

/// What a node knows of a key in the store.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    /// Units that are paid for.
    units: u32,
    until_ns: u64,
    /// What the store had left when it was asked last.
    level: Option<Level>,
    asked_ns: u64,
    /// How many units the last portion had.
    portion: u32,
    /// Until when it refuses, and what it refused.
    refused_ns: u64,
    refused_cost: u32,
}

impl Ahead {
    fn is_at_rest(&self, now: Now) -> bool {
        let now = now.monotonic_ns;
        let reset = self.level.map_or(0, |level| level.reset_ns);
        let known = self.asked_ns.saturating_add(reset.max(BUSY_NS));
        self.until_ns.max(self.refused_ns).max(known) <= now
    }

    fn refuses(&self, cost: u32, now: Now) -> Option<Level> {
        let left = self.refused_ns.checked_sub(now.monotonic_ns)?;
        let level = self
            .level
            .filter(|_| left > 0 && cost >= self.refused_cost)?;
        Some(Level {
            retry_ns: level
                .retry_ns
                .saturating_sub(now.monotonic_ns - self.asked_ns)
                .max(1),
            ..level
        })
    }

    fn left(&self, now: Now) -> u32 {
        if self.until_ns > now.monotonic_ns {
            self.units
        } else {
            0
        }
    }
}

/// What is asked of the store for one key.
struct Question {
    /// Its place among the asks.
    at: usize,
    key: String,
    numbers: [i64; 6],
}

impl Shared {
    pub(crate) fn new(
        options: &StoreOptions,
        memory: Arc<Memory>,
        max_keys: usize,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            memory,
            ahead: Table::new(max_keys),
            links: Links::new(Place::new(&options.url)?, options.timeout),
            nodes: options.nodes,
            prefix: options.prefix.clone(),
            time: options.time,
        })
    }

    /// Returns whether the store can be asked.
    pub(crate) fn is_there(&self) -> bool {
        self.links.present().is_some()
    }

    /// Keeps the connection until `supervisor` stops.
    pub(crate) async fn keep(
        &self,
        clock: &dyn Clock,
        supervisor: &Supervisor,
        mut tell: impl FnMut(bool, &str, u32),
    ) {
        let nodes = self.nodes.get();
        let change = |change| match change {
            Change::Back => tell(true, "", nodes),
            Change::Away(why) => tell(false, &why, nodes),
        };
        self.links.keep(clock, supervisor, change).await;
    }

    /// Forgets what came to rest.
    pub(crate) fn sweep(&self, now: Now) {
        self.ahead.sweep(|ahead| ahead.is_at_rest(now));
    }

    /// Makes the store count at least what the ledger has of quotas.
    pub(crate) async fn raise(&self, totals: &[QuotaUse]) {
        let Some(link) = self.links.present() else {
            return;
        };
        for page in totals.chunks(100) {
            let keys: Vec<String> = page
                .iter()
                .map(|used| self.quota_name(&used.limit, &used.key, used.start_s))
                .collect();
            let mut numbers = vec![-1, 0];
            for used in page {
                let units = i64::try_from(used.used).unwrap_or(i64::MAX);
                numbers.extend([4, units, used.end_s, 0, 0, 0]);
            }
            if let Err(error) = self.links.run(&link, &keys, &numbers).await {
                self.links.give_up(&link, &error);
                return;
            }
        }
    }

    /// Returns whether the store or this node knows anything of `key`.
    pub(crate) async fn knows(&self, key: Key<'_>, measure: Measure) -> bool {
        self.memory.knows(key) || self.count("EXISTS", key, measure).await
    }

    /// Has the store do `what` to a key. Returns whether there was one.
    async fn count(&self, what: &str, key: Key<'_>, measure: Measure) -> bool {
        let name = match measure {
            Measure::Quota { period, .. } => self.quota_name(key.rule, key.text, period.start_s),
            Measure::Pace(_) | Measure::Looks(_) => self.name(key),
        };
        let Some(link) = self.links.present() else {
            return false;
        };
        match self.links.count(&link, what, &name).await {
            Ok(count) => count > 0,
            Err(error) => {
                self.links.give_up(&link, &error);
                false
            }
        }
    }

    /// Returns what the store had left of the keys that this node has asked for.
    pub(crate) fn levels(&self, now: Now) -> Vec<(String, String, Level)> {
        let mut levels = Vec::new();
        self.ahead.each(|key, ahead| {
            if let Some(level) = ahead.level {
                let passed = now.monotonic_ns.saturating_sub(ahead.asked_ns);
                let level = Level {
                    reset_ns: level.reset_ns.saturating_sub(passed),
                    ..level
                };
                levels.push((key.rule.to_owned(), key.text.to_owned(), level));
            }
        });
        levels
    }

    fn name(&self, key: Key<'_>) -> String {
        // The braces put all keys of a take on one node of a cluster.
        format!("{}:{{limits}}:{}:{}", self.prefix, key.rule, key.text)
    }

    fn quota_name(&self, rule: &str, text: &str, start_s: i64) -> String {
        format!("{}@{start_s}", self.name(Key { rule, text }))
    }

    fn moment(&self, now: Now) -> [i64; 2] {
        match self.time {
            Time::Server => [-1, 0],
            Time::Node => {
                let (second, nanosecond) = (now.wall.as_second(), now.wall.subsec_nanosecond());
                [second, i64::from(nanosecond)]
            }
        }
    }

    /// Decides without the store: by this node's share of each rate. Quotas are what
    /// the ledger knows that everybody has used.
    fn alone(&self, asks: &[Ask<'_>], now: Now) -> Decision {
        let shares: Vec<Ask<'_>> = asks
            .iter()
            .map(|ask| Ask {
                measure: self.share(ask.measure),
                cost: self.share_of_cost(ask),
                ..*ask
            })
            .collect();
        self.memory.decide(&shares, now)
    }

    fn share(&self, measure: Measure) -> Measure {
        match measure {
            Measure::Pace(pace) => Measure::Pace(pace.share(self.nodes)),
            Measure::Looks(looks) => Measure::Looks(Looks {
                floor: (looks.floor / self.nodes).max(1),
                ..looks
            }),
            Measure::Quota { .. } => measure,
        }
    }

    /// A call that weighs more than a share of the burst takes all of it.
    fn share_of_cost(&self, ask: &Ask<'_>) -> u32 {
        match ask.measure {
            Measure::Pace(pace) => ask.cost.min(pace.share(self.nodes).burst()),
            Measure::Looks(_) | Measure::Quota { .. } => ask.cost,
        }
    }

    /// Takes from what was taken ahead. Returns what is left to ask the store.
    fn prepare(&self, asks: &[Ask<'_>], now: Now) -> Result<(Vec<Question>, Vec<Level>), Decision> {
        let ids: Vec<_> = asks.iter().map(|ask| self.ahead.id(ask.key)).collect();
        let mut known = self.ahead.lock(ids.iter().copied());
        for (at, (ask, id)) in asks.iter().zip(&ids).enumerate() {
            let refuses = known
                .find(*id)
                .and_then(|ahead| ahead.refuses(ask.cost, now));
            if let Some(level) = refuses {
                return Err(Decision::Refused { at, level });
            }
        }
        let mut questions = Vec::new();
        let mut levels = Vec::with_capacity(asks.len());
        for (at, (ask, id)) in asks.iter().zip(&ids).enumerate() {
            let ahead = known.find(*id);
            if let Some(ahead) = ahead
                && ahead.left(now) >= ask.cost
                && ask.cost > 0
                && let (Some(mut level), Measure::Pace(_)) = (ahead.level, ask.measure)
            {
                ahead.units -= ask.cost;
                level.remaining += u64::from(ahead.units);
                level.retry_ns = 0;
                levels.push(level);
                continue;
            }
            let before = known.find(*id).copied().unwrap_or_default();
            levels.push(Level {
                remaining: 0,
                reset_ns: 0,
                retry_ns: 0,
            });
            questions.push(self.question(at, ask, before, now));
        }
        Ok((questions, levels))
    }

    fn question(&self, at: usize, ask: &Ask<'_>, before: Ahead, now: Now) -> Question {
        let cost = i64::from(ask.cost);
        let exact = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (key, numbers) = match ask.measure {
            Measure::Pace(pace) => {
                let want = i64::from(portion(pace, ask.cost, before, now));
                let interval = exact(pace.interval_ns());
                let burst = i64::from(pace.burst());
                (self.name(ask.key), [0, interval, burst, 0, cost, want])
            }
            Measure::Quota { limit, period } => (
                self.quota_name(ask.key.rule, ask.key.text, period.start_s),
                [1, exact(limit).min(1 << 52), period.end_s, 0, cost, cost],
            ),
            Measure::Looks(looks) => {
                let (ratio, floor) = (i64::from(looks.ratio), i64::from(looks.floor));
                let window = exact(looks.window_ns);
                (self.name(ask.key), [2, ratio, floor, window, cost, cost])
            }
        };
        Question { at, key, numbers }
    }

    async fn ask(
        &self,
        link: Arc<Link>,
        asks: &[Ask<'_>],
        (questions, levels): (Vec<Question>, Vec<Level>),
        now: Now,
    ) -> Decision {
        let mut numbers = self.moment(now).to_vec();
        let mut keys = Vec::with_capacity(questions.len());
        let mut places = Vec::with_capacity(questions.len());
        for question in questions {
            numbers.extend(question.numbers);
            keys.push(question.key);
            places.push(question.at);
        }
        match self.links.run(&link, &keys, &numbers).await {
            Ok(answer) => {
                let decided = self.learn(asks, &places, levels, &answer, now);
                decided.unwrap_or_else(|| self.alone(asks, now))
            }
            Err(error) => {
                self.links.give_up(&link, &error);
                self.give_back(asks, &places, now);
                self.alone(asks, now)
            }
        }
    }

    /// Reads what the store answered, and remembers it.
    fn learn(
        &self,
        asks: &[Ask<'_>],
        places: &[usize],
        mut levels: Vec<Level>,
        answer: &[i64],
        now: Now,
    ) -> Option<Decision> {
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let (verdict, rest) = answer.split_first()?;
        if *verdict > 0 {
            let at = *places.get(usize::try_from(*verdict - 1).ok()?)?;
            let [remaining, reset, retry] = rest else {
                return None;
            };
            let level = Level {
                remaining: number(*remaining),
                reset_ns: number(*reset),
                retry_ns: number(*retry).max(1),
            };
            self.give_back(asks, places, now);
            self.remember(asks[at].key, now, |ahead| {
                ahead.level = Some(level);
                ahead.asked_ns = now.monotonic_ns;
                ahead.refused_ns = now.monotonic_ns + level.retry_ns.min(BELIEVED_NS);
                ahead.refused_cost = asks[at].cost;
            });
            return Some(Decision::Refused { at, level });
        }
        if rest.len() != places.len() * 3 {
            return None;
        }
        for (at, told) in places.iter().zip(rest.chunks_exact(3)) {
            let ask = &asks[*at];
            let granted = u32::try_from(told[0]).unwrap_or(0);
            let spare = granted.saturating_sub(ask.cost);
            let level = Level {
                remaining: number(told[1]),
                reset_ns: number(told[2]),
                retry_ns: 0,
            };
            levels[*at] = Level {
                remaining: level.remaining + u64::from(spare),
                ..level
            };
            match ask.measure {
                Measure::Pace(_) => self.remember(ask.key, now, |ahead| {
                    ahead.units = ahead.left(now) + spare;
                    ahead.until_ns = now.monotonic_ns + AHEAD_NS;
                    ahead.level = Some(level);
                    ahead.asked_ns = now.monotonic_ns;
                    ahead.portion = granted;
                    ahead.refused_ns = 0;
                }),
                // For the ledger.
                Measure::Quota { .. } => self.memory.note(ask, now),
                Measure::Looks(_) => {}
            }
        }
        Some(Decision::Admitted(levels))
    }

    /// Puts units back that were taken ahead and are not used: those of all asks but
    /// the ones at `places`.
    fn give_back(&self, asks: &[Ask<'_>], places: &[usize], now: Now) {
        for (at, ask) in asks.iter().enumerate() {
            if !places.contains(&at) {
                self.remember(ask.key, now, |ahead| ahead.units += ask.cost);
            }
        }
    }

    fn remember(&self, key: Key<'_>, now: Now, change: impl FnOnce(&mut Ahead)) {
        let id = self.ahead.id(key);
        let mut known = self.ahead.lock(std::iter::once(id));
        let place = known.place(id, key, |ahead| ahead.is_at_rest(now));
        // Without room for a key of its own nothing is taken ahead: what was granted
        // and not used is lost, which narrows.
        if place == id {
            let mut ahead = known.find(id).copied().unwrap_or_default();
            change(&mut ahead);
            known.put(id, key, ahead);
        }
    }
}

/// How many units to take at once: twice as many where the last portion was used up in
/// no time, half as many where it took long, what the call costs where the key rested.
fn portion(pace: Pace, cost: u32, before: Ahead, now: Now) -> u32 {
    let took = now.monotonic_ns.saturating_sub(before.asked_ns);
    if before.asked_ns == 0 || took >= AHEAD_NS || cost == 0 {
        return cost;
    }
    let portion = match took {
        ..BUSY_NS => before.portion.saturating_mul(2),
        _ if took < AHEAD_NS / 2 => before.portion,
        _ => before.portion / 2,
    };
    portion.min(pace.burst() / PORTION).max(cost)
}

impl Counter for Shared {
    fn take<'a>(&'a self, asks: &'a [Ask<'a>], now: Now) -> Taking<'a> {
        let Some(link) = self.links.present() else {
            return Taking::Ready(self.alone(asks, now));
        };
        match self.prepare(asks, now) {
            Err(refused) => Taking::Ready(refused),
            Ok((questions, levels)) if questions.is_empty() => {
                Taking::Ready(Decision::Admitted(levels))
            }
            Ok(rest) => Taking::Pending(Box::pin(self.ask(link, asks, rest, now))),
        }
    }

    fn earn<'a>(&'a self, key: Key<'a>, looks: Looks, books: u32, now: Now) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.remember(key, now, |ahead| ahead.refused_ns = 0);
            // What is counted here while the store is away knows of it, too.
            self.memory.credit(key, looks, books, now);
            let Some(link) = self.links.present() else {
                return;
            };
            let window = i64::try_from(looks.window_ns).unwrap_or(i64::MAX);
            let mut numbers = self.moment(now).to_vec();
            numbers.extend([3, 0, 0, window, i64::from(books), 0]);
            if let Err(error) = self.links.run(&link, &[self.name(key)], &numbers).await {
                self.links.give_up(&link, &error);
            }
        })
    }

    fn reset<'a>(&'a self, key: Key<'a>, measure: Measure) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let id = self.ahead.id(key);
            self.ahead.lock(std::iter::once(id)).remove(id);
            let cell = self.memory.forget(key);
            let there = self.count("DEL", key, measure).await;
            there || cell.is_some()
        })
    }
}

#[cfg(test)]
mod tests;
