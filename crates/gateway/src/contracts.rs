//! Every tool definition is frozen until somebody accepts its change.
//!
//! What servers list passes [`Server::settle`] before a caller, a policy or a call sees
//! it: a tool is shown as its server says it now, as it said it before, or not at all.
//!
//! # Invariants
//!
//! * What is decided is in memory at once and in the ledger soon: after a restart the
//!   same definitions are served. Where the ledger takes nothing more, nothing new is
//!   accepted.
//! * Callers to whom a server may say different things have classes of their own, and
//!   what is accepted in one is not served in another.
//! * A call costs one lookup and no request to a server.
//! * Bounded in tools, bytes, classes and in changes per hour: beyond, what is new is
//!   left out.

pub(crate) mod announce;
mod desk;
mod keeper;
mod lists;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::Duration,
};

use airside_base::{Clock, Fault, Kind, ServerId};
use airside_contracts::{
    Definition, Digest, Rules, Unreadable,
    event::{self, Contract, Event, Key, State},
    judge::{self, Arrival, Sight, judge},
};
use airside_firewall::Schema;
use airside_identity::Caller;
use airside_mcp::{Failure, ParamHeaders, codes, raw};
use arc_swap::ArcSwap;
use http::StatusCode;
use tokio::sync::{mpsc, watch};

pub use self::desk::{Decision, Error, Verdict};
use self::keeper::Work;
pub(crate) use self::lists::{introduction, lists, views};
use crate::{
    catalog::{self, Facts},
    record::Record,
};

/// Callers to whom a server says what it says to the gateway itself.
pub(crate) const GATEWAY: &str = "gateway";
/// Most tools of a server, of all classes together.
const MAX_TOOLS: usize = 8192;
/// Largest size of all definitions of a server together, in bytes.
const MAX_BYTES: usize = 32 << 20;
/// Most classes of callers of a server.
const MAX_CLASSES: usize = 64;
/// Most entries about a server within [`WINDOW`]. The largest server known to us has
/// 117 tools.
const MAX_EVENTS: usize = 10_000;
const WINDOW: Duration = Duration::from_secs(3600);

/// The contracts of all servers of a process. It survives a change of configuration.
#[derive(Debug)]
pub struct Contracts {
    clock: Arc<dyn Clock>,
    servers: Mutex<BTreeMap<ServerId, Arc<Server>>>,
    keeping: Arc<Keeping>,
}

/// What is on its way into the ledger.
#[derive(Debug, Default)]
struct Keeping {
    /// Where decisions go that are to be kept; not set where they are not.
    keeper: OnceLock<mpsc::Sender<Work>>,
    /// How many entries about a contract are not written yet.
    pending: Mutex<HashMap<Key, usize>>,
}

/// The contracts of one server.
pub(crate) struct Server {
    id: ServerId,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
    published: ArcSwap<Published>,
    /// Counts how often what is served has changed.
    changes: watch::Sender<u64>,
    keeping: Arc<Keeping>,
}

#[derive(Default)]
struct Book {
    classes: BTreeMap<Box<str>, BTreeMap<Box<str>, Arc<Contract>>>,
    tools: usize,
    bytes: usize,
    /// Entries within the window that began then.
    events: (Duration, usize),
}

/// What lookups see.
#[derive(Default)]
struct Published {
    /// Counts changes, so that what was made of another state is not found.
    generation: u64,
    classes: HashMap<Box<str>, HashMap<Box<str>, Arc<Standing>>>,
}

/// How a tool stands.
#[derive(Debug)]
pub struct Standing {
    /// What becomes of it.
    pub state: State,
    /// The definition that callers are held to, or that waits for acceptance.
    pub digest: Digest,
    /// Its digest as text.
    pub(crate) written: Arc<str>,
    /// What is served; none if it is not.
    pub(crate) served: Option<Served>,
}

/// A definition that is served.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) text: Arc<str>,
    pub(crate) facts: Facts,
    pub(crate) params: Option<Arc<ParamHeaders>>,
    /// What arguments have to fit.
    pub(crate) schema: Option<Arc<Schema>>,
}

/// One item of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    /// None if it has no clear name.
    pub(crate) name: Option<&'a str>,
    pub(crate) text: &'a str,
}

/// What becomes of an item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is shown as it came.
    Keep,
    /// This is shown in its place.
    Instead(Arc<str>),
    /// It is left out.
    Out,
}

/// What else is known of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing<'a> {
    /// It is all that the server has.
    pub(crate) complete: bool,
    /// Digests of views by their URI.
    pub(crate) views: &'a HashMap<String, Digest>,
    /// What is done about changes.
    pub(crate) rules: &'a Rules,
}

impl Contracts {
    /// Returns the contracts of a process that has seen no server and keeps nothing.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            servers: Mutex::default(),
            keeping: Arc::default(),
        }
    }

    /// Returns the contracts of one server.
    pub(crate) fn server(&self, id: &ServerId) -> Arc<Server> {
        let mut servers = self.lock();
        let server = servers.entry(id.clone()).or_insert_with(|| {
            Arc::new(Server {
                id: id.clone(),
                clock: Arc::clone(&self.clock),
                book: Mutex::default(),
                published: ArcSwap::default(),
                changes: watch::Sender::new(0),
                keeping: Arc::clone(&self.keeping),
            })
        });
        Arc::clone(server)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServerId, Arc<Server>>> {
        self.servers.lock().expect("the lock is not poisoned")
    }
}

impl Server {
    /// Returns how `tool` stands with callers of `class`; none if nobody has seen it.
    pub(crate) fn find(&self, class: &str, tool: &str) -> Option<Arc<Standing>> {
        if tool.is_empty() {
            return None;
        }
        let published = self.published.load();
        let of = |class: &str| published.classes.get(class)?.get(tool);
        let general = of(GATEWAY);
        if class == GATEWAY || general.is_some_and(|all| all.state == State::Quarantined) {
            return general.cloned();
        }
        of(class).or(general).cloned()
    }

    /// Returns whether tools have been seen as callers of `class` see them.
    pub(crate) fn knows(&self, class: &str) -> bool {
        let published = self.published.load();
        let tools = published.classes.get(class);
        tools.is_some_and(|tools| tools.keys().any(|tool| !tool.is_empty()))
    }

    /// Returns what tells its present state from others.
    pub(crate) fn generation(&self) -> u64 {
        self.published.load().generation
    }

    /// Resolves whenever what is served has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells who listens that other tools can be called than before.
    pub(crate) fn announce(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Decides what callers of `class` are shown of `items`, in their order.
    pub(crate) fn settle(
        &self,
        class: &str,
        items: &[Item<'_>],
        listing: Listing<'_>,
    ) -> Vec<Shown> {
        let mut seen = HashSet::new();
        let mut twice = HashSet::new();
        for name in items.iter().filter_map(|item| item.name) {
            if !seen.insert(name) {
                twice.insert(name);
            }
        }
        let mut book = self.book.lock().expect("the lock is not poisoned");
        let known = book.classes.get(class);
        // What it says of itself comes before its first tools.
        let first = known.is_none_or(|tools| tools.keys().all(|tool| tool.is_empty()));
        let mut changed = Changes::default();
        let mut shown = Vec::with_capacity(items.len());
        for item in items {
            let clear = item.name.filter(|name| !twice.contains(name));
            let Some(name) = clear else {
                tracing::warn!(server.id = %self.id, "a tool without one clear name is left out");
                shown.push(Shown::Out);
                continue;
            };
            let key = Key {
                server: self.id.clone(),
                class: class.to_owned(),
                tool: name.to_owned(),
            };
            let arrival = if first {
                Arrival::First
            } else {
                Arrival::Added
            };
            shown.push(self.one(
                &mut book,
                &key,
                item.text,
                (arrival, &seen),
                listing,
                &mut changed,
            ));
        }
        // What one caller of several is not shown may be there for another.
        if listing.complete && class == GATEWAY {
            self.missing(&mut book, class, &seen, &mut changed);
        }
        self.publish(&book, &changed);
        shown
    }

    fn one(
        &self,
        book: &mut Book,
        key: &Key,
        text: &str,
        (arrival, listed): (Arrival, &HashSet<&str>),
        listing: Listing<'_>,
        changed: &mut Changes,
    ) -> Shown {
        let prior = book.find(key);
        // The usual case: nothing has changed, and nothing has to be read.
        if let Some(prior) = &prior
            && prior.state == State::Accepted
            && !prior.removed
            && listing.views.is_empty()
            && prior
                .accepted
                .as_ref()
                .is_some_and(|version| version.definition == text)
            && !book.is_stopped(key)
        {
            return Shown::Keep;
        }
        let definition = match Definition::read(text).and_then(kept) {
            Ok(definition) => definition,
            Err(error) => {
                tracing::warn!(server.id = %self.id, tool = %key.tool, %error, "a tool is left out: its definition cannot be read");
                return Shown::Out;
            }
        };
        let arrival = match (&prior, arrival) {
            (None, Arrival::Added) if book.was_renamed(key, &definition, listed) => {
                Arrival::Renamed
            }
            _ => arrival,
        };
        let sight = Sight {
            definition: &definition,
            view: view(&definition, listing.views),
            arrival,
            elsewhere: book.elsewhere(key, &definition),
        };
        let event = judge(
            key,
            prior.as_deref(),
            &sight,
            listing.rules,
            self.clock.now(),
        );
        let after = match event {
            None => prior,
            Some(event) => self.take(book, event, changed).or(prior),
        };
        match after {
            Some(contract) if !book.is_stopped(key) => shows(&contract, &definition),
            _ => Shown::Out,
        }
    }

    /// Records that tools are gone which were listed before.
    fn missing(&self, book: &mut Book, class: &str, listed: &HashSet<&str>, changed: &mut Changes) {
        let tools = book.classes.get(class).into_iter().flatten();
        let gone = tools.filter(|(tool, _)| !tool.is_empty() && !listed.contains(&***tool));
        let gone: Vec<_> = gone.map(|(_, contract)| Arc::clone(contract)).collect();
        for contract in gone {
            if let Some(event) = judge::gone(&contract, self.clock.now()) {
                self.take(book, event, changed);
            }
        }
    }

    /// Takes `event` in and hands it over to be kept. Returns the contract after it, or
    /// nothing if there is no room.
    fn take(&self, book: &mut Book, event: Event, changed: &mut Changes) -> Option<Arc<Contract>> {
        let key = event.key().clone();
        let first = matches!(event, Event::Observed(_));
        let now = self.clock.monotonic();
        if first && !book.has_room(&key) || !book.may_write(now) {
            tracing::warn!(server.id = %self.id, "the server has more tools, or changes them more often, than is followed");
            return None;
        }
        let prior = book.find(&key).map(|contract| (*contract).clone());
        let contract = event::fold(prior, event.clone())?;
        if !self.keeping.hand_over(event) {
            tracing::warn!(server.id = %self.id, "what a server changes comes faster than it is written");
            return None;
        }
        let state = contract.state.as_str();
        if contract.state != State::Accepted {
            tracing::warn!(
                server.id = %self.id, tool = %key.tool, state, classes = ?contract.classes,
                "a tool is not served as its server says it is"
            );
        } else if !first {
            tracing::info!(
                server.id = %self.id, tool = %key.tool, classes = ?contract.classes,
                "a changed tool definition was accepted"
            );
        }
        changed.any = true;
        changed.served |= !first;
        Some(book.put(contract))
    }

    /// Puts a contract in its place that was decided elsewhere, unless something about
    /// it is on its way to the ledger: what is written last counts.
    fn adopt(&self, contract: Contract) {
        let mut book = self.book.lock().expect("the lock is not poisoned");
        let same = book
            .find(&contract.key)
            .is_some_and(|known| *known == contract);
        if same || self.keeping.is_pending(&contract.key) {
            return;
        }
        book.put(contract);
        let changed = Changes {
            any: true,
            served: true,
        };
        self.publish(&book, &changed);
    }

    /// Puts a contract in its place before anybody is served.
    fn load(&self, contract: Contract) {
        let mut book = self.book.lock().expect("the lock is not poisoned");
        book.put(contract);
    }

    /// Everything has been put in its place.
    fn loaded(&self) {
        let book = self.book.lock().expect("the lock is not poisoned");
        let changed = Changes {
            any: true,
            served: false,
        };
        self.publish(&book, &changed);
    }

    fn publish(&self, book: &Book, changed: &Changes) {
        if !changed.any {
            return;
        }
        let before = self.published.load();
        let mut classes = HashMap::with_capacity(book.classes.len());
        for (class, tools) in &book.classes {
            let old = before.classes.get(class);
            let standing = tools.iter().filter_map(|(tool, contract)| {
                let old = old
                    .and_then(|old| old.get(tool))
                    .filter(|old| old.is_of(contract));
                let standing = match old {
                    Some(old) => Arc::clone(old),
                    None => Arc::new(Standing::of(contract)?),
                };
                Some((tool.clone(), standing))
            });
            classes.insert(class.clone(), standing.collect());
        }
        self.published.store(Arc::new(Published {
            generation: before.generation + 1,
            classes,
        }));
        if changed.served {
            self.changes.send_modify(|count| *count += 1);
        }
    }
}

impl Keeping {
    /// Hands `event` over to be kept, if it is to be. Returns whether there was room.
    fn hand_over(&self, event: Event) -> bool {
        let Some(keeper) = self.keeper.get() else {
            return true;
        };
        let mut pending = self.pending.lock().expect("the lock is not poisoned");
        let key = event.key().clone();
        let room = keeper.try_send(Work::Event(Box::new(event))).is_ok();
        if room {
            *pending.entry(key).or_default() += 1;
        }
        room
    }

    /// One entry about `key` is no longer on its way.
    fn arrived(&self, key: &Key) {
        let mut pending = self.pending.lock().expect("the lock is not poisoned");
        if let Some(count) = pending.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                pending.remove(key);
            }
        }
    }

    fn is_pending(&self, key: &Key) -> bool {
        let pending = self.pending.lock().expect("the lock is not poisoned");
        pending.contains_key(key)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Changes {
    any: bool,
    /// Something that was known before is served otherwise.
    served: bool,
}

/// What is not understood, or too large to be kept in the ledger, is not served.
fn kept(definition: Definition) -> Result<Definition, Unreadable> {
    /// Three versions of a definition fit into one document of the ledger.
    const MAX_WRITTEN: usize = 256 << 10;
    match raw::quote(definition.text()).len() <= MAX_WRITTEN {
        true => Ok(definition),
        false => Err(Unreadable::Size(airside_contracts::MAX_BYTES)),
    }
}

/// Returns the digest over the views of a definition, if all of them were read.
fn view(definition: &Definition, views: &HashMap<String, Digest>) -> Option<Digest> {
    let uris = definition.views();
    let digests: Option<Vec<String>> = uris
        .iter()
        .map(|uri| views.get(*uri).map(ToString::to_string))
        .collect();
    let digests = digests.filter(|digests| !digests.is_empty())?;
    Some(Digest::of(digests.join(" ").as_bytes()))
}

impl Book {
    fn find(&self, key: &Key) -> Option<Arc<Contract>> {
        self.classes.get(&*key.class)?.get(&*key.tool).cloned()
    }

    /// Returns whether the tool is in quarantine for everybody.
    fn is_stopped(&self, key: &Key) -> bool {
        let general = self
            .classes
            .get(GATEWAY)
            .and_then(|tools| tools.get(&*key.tool));
        general.is_some_and(|general| general.state == State::Quarantined)
    }

    /// Returns how the very same definition stands with the gateway itself.
    fn elsewhere(&self, key: &Key, definition: &Definition) -> Option<State> {
        let general = self.classes.get(GATEWAY)?.get(&*key.tool)?;
        let same = general.digest() == Some(definition.digest());
        (same && key.class != GATEWAY).then_some(general.state)
    }

    fn has_room(&self, key: &Key) -> bool {
        let class = self.classes.contains_key(&*key.class) || self.classes.len() < MAX_CLASSES;
        class && self.tools < MAX_TOOLS && self.bytes < MAX_BYTES
    }

    fn may_write(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.events.0) >= WINDOW {
            self.events = (now, 0);
        }
        self.events.1 += 1;
        self.events.1 <= MAX_EVENTS
    }

    fn put(&mut self, contract: Contract) -> Arc<Contract> {
        let contract = Arc::new(contract);
        let (class, tool) = (&*contract.key.class, &*contract.key.tool);
        self.bytes += size(&contract);
        let tools = self.classes.entry(class.into()).or_default();
        match tools.insert(tool.into(), Arc::clone(&contract)) {
            Some(old) => self.bytes -= size(&old),
            None => self.tools += 1,
        }
        contract
    }

    /// Returns whether a tool that is not listed any more was the same but for its name.
    fn was_renamed(&self, key: &Key, definition: &Definition, listed: &HashSet<&str>) -> bool {
        let nameless = definition.nameless_digest();
        let tools = self.classes.get(&*key.class).into_iter().flatten();
        tools
            .filter(|(tool, _)| !tool.is_empty() && !listed.contains(&***tool))
            .filter_map(|(_, contract)| contract.accepted.as_ref())
            .filter_map(|version| Definition::read(&version.definition).ok())
            .any(|old| old.nameless_digest() == nameless)
    }
}

fn size(contract: &Contract) -> usize {
    let versions = [&contract.accepted, &contract.previous, &contract.offered];
    versions
        .into_iter()
        .flatten()
        .map(|v| v.definition.len())
        .sum()
}

/// Returns what is shown of a tool whose server says `definition` now.
fn shows(contract: &Contract, definition: &Definition) -> Shown {
    match (contract.state, &contract.accepted) {
        (State::Quarantined, _) | (_, None) => Shown::Out,
        (_, Some(accepted)) if accepted.digest == definition.digest() => Shown::Keep,
        (_, Some(accepted)) => Shown::Instead(accepted.definition.as_str().into()),
    }
}

/// Returns the state as policies see it.
pub(crate) const fn seen_by_policies(state: State) -> airside_policy::Contract {
    match state {
        State::Accepted => airside_policy::Contract::Accepted,
        State::Held => airside_policy::Contract::Held,
        State::Quarantined => airside_policy::Contract::Quarantined,
    }
}

impl Standing {
    fn of(contract: &Contract) -> Option<Self> {
        let digest = contract.digest()?;
        let accepted = contract.accepted.as_ref();
        let served = accepted.filter(|_| contract.state != State::Quarantined);
        let served = served.map(|version| {
            let tool = catalog::read_tool(
                &contract.key.server,
                &contract.key.tool,
                &version.definition,
            );
            Served {
                text: version.definition.as_str().into(),
                facts: tool.facts,
                params: tool.params,
                schema: tool.schema,
            }
        });
        Some(Self {
            state: contract.state,
            digest,
            written: digest.to_string().into(),
            served,
        })
    }

    fn is_of(&self, contract: &Contract) -> bool {
        contract.digest() == Some(self.digest) && contract.state == self.state
    }

    /// Returns the definition that is served, as its server said it.
    #[must_use]
    pub fn definition(&self) -> Option<&Arc<str>> {
        self.served.as_ref().map(|served| &served.text)
    }

    /// Returns why the tool cannot be called, if it cannot.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        if self.served.is_some() {
            return None;
        }
        let (code, text) = match self.state {
            State::Quarantined => ("GW-080", "the tool is in quarantine"),
            State::Held | State::Accepted => ("GW-081", "the tool waits for acceptance"),
        };
        let hint = "an operator decides: `airside contracts list`";
        let fault = Fault::new(Kind::Forbidden, code, text).with_hint(hint);
        Some(Failure::new(
            StatusCode::FORBIDDEN,
            codes::POLICY_REFUSED,
            fault,
        ))
    }
}

/// Notes what a call is held to. Returns why it goes no further, if it does not.
pub(crate) fn refused(contract: Option<&Standing>, record: &mut Record) -> Option<Failure> {
    let contract = contract?;
    let digest = Cow::Owned(contract.written.to_string());
    let state = contract.state.as_str().into();
    record.note(|noted| noted.contract = Some(crate::event::Contract { digest, state }));
    contract.refusal()
}

/// Returns the callers to whom a server says the same as to `caller`. Only a server that
/// is told who calls can tell them apart.
pub(crate) fn class(told: bool, caller: &Caller) -> Cow<'static, str> {
    match told {
        false => Cow::Borrowed(GATEWAY),
        true => Cow::Owned(format!("{}/{}", caller.tenant(), caller.kind().as_str())),
    }
}

#[cfg(test)]
mod tests;
