//! Sessions of clients that speak a revision with a handshake.
//!
//! # Invariants
//!
//! * A session is found only by its id (256 random bits), only by the principal that
//!   opened it and only at the endpoint where it was opened. Everything else is the
//!   same "not found", so ids of others cannot be probed.
//! * The table is bounded. Sessions that nobody used for the idle time end, and with
//!   them those at the servers; a full table refuses new ones rather than ending
//!   those in use.
//! * A session holds no message of a client beyond its introduction, whose size is
//!   bounded: at most 4 KiB in all.
//! * A question of the gateway's own has an id that nobody can guess, and is answered
//!   once, in the session that was asked. So many wait in a session and no more.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_base::{Clock, ServerId, secret_token};
use airside_identity::Caller;
use airside_mcp::{Revision, raw};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Largest introduction that is kept, in bytes.
pub(crate) const MAX_HELLO: usize = 2 << 10;

/// Most questions of the gateway's own that wait for the client of one session.
const MAX_INQUIRIES: usize = 8;

/// The endpoint of sessions that no client can name.
const NOWHERE: u64 = u64::MAX;

/// What a client said of itself when it opened the session: the texts of
/// `capabilities` and `clientInfo`. Empty where the servers were told directly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hello {
    pub(crate) capabilities: Box<str>,
    pub(crate) client_info: Box<str>,
    /// Whether it shows its user forms, whoever was told.
    pub(crate) takes_forms: bool,
}

/// Whether a client with these `capabilities` shows its user a form that a server asks
/// for (`elicitation`).
pub(crate) fn takes_forms(capabilities: &str) -> bool {
    let Some(elicitation) = raw::find(capabilities, "elicitation") else {
        return false;
    };
    // An empty object means forms, as it did before there were other modes.
    raw::members(elicitation)
        .is_ok_and(|modes| modes.is_empty() || raw::only(&modes, "form").is_some())
}

/// Questions of the gateway's own, by the id of the request.
type Inquiries = Arc<Mutex<HashMap<Box<str>, oneshot::Sender<Box<str>>>>>;

/// A question of the gateway's own to the client of a session. It is withdrawn when it
/// is dropped.
pub(crate) struct Inquiry {
    id: Box<str>,
    answer: oneshot::Receiver<Box<str>>,
    inquiries: Inquiries,
}

impl Inquiry {
    /// Returns the id of the request.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Resolves with the answer as it came; with none if there will be none.
    pub(crate) async fn answer(&mut self) -> Option<Box<str>> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        let mut inquiries = self.inquiries.lock().expect("the lock is not poisoned");
        inquiries.remove(&self.id);
    }
}

/// A session at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The server's session id, if it gave one.
    pub(crate) id: Option<Box<str>>,
    pub(crate) revision: Revision,
}

/// Calls in flight by their raw id.
type InFlight = Arc<Mutex<Vec<(Box<str>, CancellationToken)>>>;

/// One client's session.
pub(crate) struct Session {
    caller: Caller,
    endpoint: u64,
    pub(crate) revision: Revision,
    pub(crate) hello: Hello,
    /// Few: the servers of one endpoint. Held while a link is opened, so that there is
    /// only one.
    links: tokio::sync::Mutex<Vec<(ServerId, Arc<Link>)>>,
    /// Calls in flight that end when the client says so, by their raw id.
    in_flight: InFlight,
    inquiries: Inquiries,
    /// Milliseconds on the monotonic clock.
    last_used: AtomicU64,
}

/// Tells a call that its client gave it up. Dropped with the call.
pub(crate) struct Cancellation {
    token: CancellationToken,
    in_flight: InFlight,
    id: Box<str>,
}

impl Cancellation {
    /// Resolves when the client has given the call up.
    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Cancellation {
    fn drop(&mut self) {
        let mut calls = self.in_flight.lock().expect("the lock is not poisoned");
        if let Some(place) = calls.iter().position(|(id, _)| *id == self.id) {
            calls.swap_remove(place);
        }
    }
}

impl Session {
    /// Enters a call that `notifications/cancelled` may end.
    pub(crate) fn begin(&self, id: &str) -> Cancellation {
        let token = CancellationToken::new();
        let mut calls = self.in_flight.lock().expect("the lock is not poisoned");
        calls.push((id.into(), token.clone()));
        Cancellation {
            token,
            in_flight: Arc::clone(&self.in_flight),
            id: id.into(),
        }
    }

    /// Ends the call that the client knows by the raw id `id`.
    pub(crate) fn cancel(&self, id: &str) {
        let calls = self.in_flight.lock().expect("the lock is not poisoned");
        for (_, token) in calls.iter().filter(|(known, _)| **known == *id) {
            token.cancel();
        }
    }

    /// Whether the client can be asked something in the middle of a call.
    pub(crate) fn can_be_asked(&self) -> bool {
        // Revision 2025-06-18 brought elicitation.
        self.revision >= Revision::V2025_06_18 && self.hello.takes_forms
    }

    /// Returns a new question to the client; none if too many wait.
    pub(crate) fn inquire(&self) -> Option<Inquiry> {
        let id: Box<str> = format!("airside-{}", secret_token()).into();
        let (sender, answer) = oneshot::channel();
        let mut inquiries = self.inquiries.lock().expect("the lock is not poisoned");
        if inquiries.len() >= MAX_INQUIRIES {
            return None;
        }
        inquiries.insert(id.clone(), sender);
        drop(inquiries);
        Some(Inquiry {
            id,
            answer,
            inquiries: Arc::clone(&self.inquiries),
        })
    }

    /// Takes a client's answer to a question of the gateway's own. Returns false if it
    /// answers none.
    pub(crate) fn answered(&self, answer: &str) -> bool {
        let Some(id) = raw::find(answer, "id").and_then(raw::string) else {
            return false;
        };
        let mut inquiries = self.inquiries.lock().expect("the lock is not poisoned");
        let asked = inquiries.remove(&*id);
        asked.is_some_and(|asked| asked.send(answer.into()).is_ok())
    }

    /// Returns the link to `server`, made by `open` if there is none yet. Others that
    /// ask at the same time wait for the first.
    pub(crate) async fn link<E>(
        &self,
        server: &ServerId,
        open: impl Future<Output = Result<Link, E>>,
    ) -> Result<Arc<Link>, E> {
        let mut links = self.links.lock().await;
        if let Some((_, link)) = links.iter().find(|(id, _)| id == server) {
            return Ok(Arc::clone(link));
        }
        let link = Arc::new(open.await?);
        links.push((server.clone(), Arc::clone(&link)));
        Ok(link)
    }

    /// Returns the links made so far.
    pub(crate) async fn links(&self) -> Vec<(ServerId, Arc<Link>)> {
        self.links.lock().await.clone()
    }

    /// Forgets the link to `server`, whose session has ended there.
    pub(crate) async fn unlink(&self, server: &ServerId) {
        self.links.lock().await.retain(|(id, _)| id != server);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("caller", &self.caller.id())
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// The table is full of sessions that are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{limit} sessions are open, which is the limit")]
pub(crate) struct Full {
    pub(crate) limit: usize,
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Table {
    sessions: Mutex<HashMap<Box<str>, Arc<Session>>>,
    limit: usize,
    idle: Duration,
    clock: Arc<dyn Clock>,
}

impl Table {
    /// Returns an empty table.
    pub(crate) fn new(limit: usize, idle: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            sessions: Mutex::new(HashMap::new()),
            limit,
            idle,
            clock,
        }
    }

    /// Opens a session and returns its id. `link` is the one that exists already.
    pub(crate) fn open(
        &self,
        caller: Caller,
        endpoint: u64,
        revision: Revision,
        hello: Hello,
        link: Option<(ServerId, Link)>,
    ) -> Result<String, Full> {
        let session = self.fresh(caller, endpoint, revision, hello, link);
        let mut sessions = self.lock();
        if sessions.len() >= self.limit {
            return Err(Full { limit: self.limit });
        }
        let id = secret_token();
        sessions.insert(id.clone().into_boxed_str(), Arc::new(session));
        Ok(id)
    }

    /// Returns the session that the gateway itself keeps for `caller` under `id`. No
    /// client can name it: it belongs to no endpoint.
    pub(crate) fn ensure(
        &self,
        id: &str,
        caller: &Caller,
        revision: Revision,
    ) -> Result<Arc<Session>, Full> {
        if let Some(session) = self.find(id, caller, NOWHERE) {
            return Ok(session);
        }
        let hello = Hello::default();
        let session = Arc::new(self.fresh(caller.clone(), NOWHERE, revision, hello, None));
        let mut sessions = self.lock();
        if sessions.len() >= self.limit {
            return Err(Full { limit: self.limit });
        }
        let session = sessions.entry(id.into()).or_insert(session);
        Ok(Arc::clone(session))
    }

    fn fresh(
        &self,
        caller: Caller,
        endpoint: u64,
        revision: Revision,
        hello: Hello,
        link: Option<(ServerId, Link)>,
    ) -> Session {
        let links = link.map(|(server, link)| (server, Arc::new(link)));
        Session {
            caller,
            endpoint,
            revision,
            hello,
            links: tokio::sync::Mutex::new(links.into_iter().collect()),
            in_flight: Arc::default(),
            inquiries: Arc::default(),
            last_used: AtomicU64::new(self.now_ms()),
        }
    }

    /// Returns the session `id` of `caller` at `endpoint`, and keeps it from ending.
    pub(crate) fn find(&self, id: &str, caller: &Caller, endpoint: u64) -> Option<Arc<Session>> {
        let sessions = self.lock();
        let session = sessions.get(id)?;
        let own = session.caller.is_same_principal(caller) && session.endpoint == endpoint;
        if !own || self.is_idle(session) {
            return None;
        }
        session.last_used.store(self.now_ms(), Ordering::Relaxed);
        Some(Arc::clone(session))
    }

    /// Ends a session.
    pub(crate) fn remove(&self, id: &str) -> Option<Arc<Session>> {
        self.lock().remove(id)
    }

    /// Takes out the sessions whose time is over.
    pub(crate) fn expire(&self) -> Vec<Arc<Session>> {
        let mut sessions = self.lock();
        let idle: Vec<_> = (sessions.iter())
            .filter(|(_, session)| self.is_idle(session))
            .map(|(id, _)| id.clone())
            .collect();
        let expired = idle.iter().filter_map(|id| sessions.remove(id)).collect();
        if sessions.len() < sessions.capacity() / 4 {
            sessions.shrink_to_fit();
        }
        expired
    }

    /// Returns how many are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A session with an open stream or a call in flight is in use: they hold it.
    fn is_idle(&self, session: &Arc<Session>) -> bool {
        if Arc::strong_count(session) > 1 {
            return false;
        }
        let last = session.last_used.load(Ordering::Relaxed);
        let idle_ms = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
        self.now_ms().saturating_sub(last) >= idle_ms
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Session>>> {
        self.sessions.lock().expect("the lock is not poisoned")
    }
}

#[cfg(test)]
mod tests {
    use airside_base::{TenantId, VirtualClock};
    use airside_identity::{Attestation, CallerKind};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn caller(id: &str) -> Caller {
        Caller::new(
            CallerKind::ApiKey,
            id,
            TenantId::default(),
            Attestation::ApiKey,
            Vec::new(),
        )
    }

    fn table() -> (Table, VirtualClock) {
        let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
        (Table::new(2, IDLE, Arc::new(clock.clone())), clock)
    }

    fn open(table: &Table, id: &str) -> Result<String, Full> {
        let revision = Revision::V2025_11_25;
        table.open(caller(id), 1, revision, Hello::default(), None)
    }

    #[test]
    fn session_is_found_only_by_its_owner_at_its_endpoint() {
        let (table, _) = table();
        let id = open(&table, "ann").unwrap();
        assert!(table.find(&id, &caller("ann"), 1).is_some());
        assert!(table.find(&id, &caller("bob"), 1).is_none());
        assert!(table.find(&id, &caller("ann"), 2).is_none());
        assert!(table.find("x", &caller("ann"), 1).is_none());
    }

    #[test]
    fn idle_session_ends_and_used_one_lives() {
        let (table, clock) = table();
        let (used, idle) = (open(&table, "ann").unwrap(), open(&table, "ann").unwrap());
        clock.advance(IDLE / 2);
        assert!(table.find(&used, &caller("ann"), 1).is_some());
        clock.advance(IDLE / 2);
        assert!(table.find(&idle, &caller("ann"), 1).is_none());
        assert_eq!(table.expire().len(), 1);
        assert!(table.find(&used, &caller("ann"), 1).is_some());
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn full_table_refuses_until_one_ends() {
        let (table, clock) = table();
        let first = open(&table, "ann").unwrap();
        open(&table, "ann").unwrap();
        assert_eq!(open(&table, "eve"), Err(Full { limit: 2 }));
        assert!(table.remove(&first).is_some());
        open(&table, "bob").unwrap();
        clock.advance(IDLE);
        assert_eq!(table.expire().len(), 2);
        open(&table, "eve").unwrap();
    }

    #[tokio::test]
    async fn link_is_opened_once() {
        let (table, _) = table();
        let id = open(&table, "ann").unwrap();
        let session = table.find(&id, &caller("ann"), 1).unwrap();
        let server: ServerId = "a".parse().unwrap();
        let link = || async {
            Ok::<_, Full>(Link {
                id: Some(secret_token().into()),
                revision: Revision::V2025_11_25,
            })
        };
        let first = session.link(&server, link()).await.unwrap();
        assert_eq!(first, session.link(&server, link()).await.unwrap());
        session.unlink(&server).await;
        assert_ne!(first, session.link(&server, link()).await.unwrap());
    }
}
