//! Follows a call to its end and records how it ended.
//!
//! # Invariants
//!
//! * Every call that was decided about is recorded exactly once as completed or
//!   refused, whatever happens to its connection: the record is written when it is
//!   dropped, if not before.
//! * The answer is read as it passes and never delayed for it.

mod followed;
mod found;
mod report;

use std::{
    borrow::Cow,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use airside_base::{CallId, Clock, Fault, OnFailure, ServerId, Supervisor, Trouble, WithCauses};
use airside_firewall as firewall;
use airside_identity::Caller;
use airside_ledger::{AppendError, Ledger, Place};
use airside_limits::{Grip, Limited};
use airside_mcp::{Body, Call};
use airside_policy::{PolicyId, Risk};
use http::{Response, StatusCode};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};

use self::report::Throttle;
pub(crate) use self::{
    followed::Asked,
    found::{AnswerNotes, Whereabouts},
};
use crate::{
    access,
    authorization::{Session, Taint},
    event::{self, Completed, Event, Intended, Noted, Outcome, Refused, Subject},
    federation::Route,
    lines::{About, Lines},
    metrics::{Ended, How, Metrics, Tool},
    trace::Trace,
};

/// Longest names that are recorded, in characters.
pub(crate) const MAX_LABEL: usize = 128;

/// Longest wait for room in the queue of the ledger.
const ROOM: Duration = Duration::from_secs(1);

/// Longest wait until it is durable that a call will be sent.
const DURABLE: Duration = Duration::from_secs(10);

/// Calls with an effect whose clients went away and that are followed to their end.
const MAX_FOLLOWED: usize = 1024;

/// Writes the records of calls.
#[derive(Debug)]
pub(crate) struct Recorder {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    lost: AtomicU64,
    /// Calls with an effect that could not be recorded, and thus were not sent.
    unsent: Mutex<Trouble>,
    metrics: Arc<Metrics>,
    followed: Arc<Semaphore>,
    /// Of entries about findings.
    throttle: Throttle,
    lines: Lines,
}

impl Recorder {
    pub(crate) fn new(
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        supervisor: Supervisor,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            clock,
            supervisor,
            lost: AtomicU64::new(0),
            unsent: Mutex::default(),
            metrics,
            followed: Arc::new(Semaphore::new(MAX_FOLLOWED)),
            throttle: Throttle::default(),
            lines: Lines::default(),
        })
    }

    /// Returns what is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Tells the log of a refusal.
    pub(crate) fn tell(&self, about: About<'_>, fault: &Fault, status: StatusCode) {
        let now = self.clock.monotonic();
        self.lines.refused(about, (fault, status), now);
    }

    /// Returns whether the log is told what happened to `who`, and how often it was not
    /// told.
    pub(crate) fn tells_of(&self, code: &'static str, who: &str) -> Option<u64> {
        self.lines.pass(code, who, self.clock.monotonic())
    }

    /// Tells the log what it was not told one by one.
    pub(crate) fn tell_counts(&self) {
        self.lines.tell_counts(self.clock.monotonic());
    }

    /// Tells the rest of it when the gateway ends.
    pub(crate) fn tell_rest(&self) {
        self.lines.tell_rest(self.clock.monotonic());
    }

    fn write(&self, record: &Facts, place: Option<Place>, event: &Event<'_>) {
        let put = |draft| match place {
            Some(place) => place.record(draft),
            None => self.ledger.record(draft),
        };
        let written = event
            .draft(record.caller.tenant(), record.id)
            .map_err(|error| error.to_string())
            .and_then(|draft| put(draft).map_err(|error| error.to_string()));
        if let Err(error) = written {
            self.metrics.lost();
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            // Many at once must not fill the disk as well.
            if lost.is_power_of_two() {
                tracing::error!(call.id = %record.id, error, lost, "records of calls were lost");
            }
        }
    }
}

/// What is known of a call from its beginning.
#[derive(Debug)]
struct Facts {
    id: CallId,
    trace: Trace,
    caller: Caller,
    client: Option<String>,
    endpoint: Arc<str>,
    server: Option<ServerId>,
    method: String,
    tool: Option<String>,
    /// The server lists what is called.
    is_listed: bool,
    revision: Option<&'static str>,
    request_bytes: u64,
    started: Duration,
    policies: Vec<PolicyId>,
    noted: Noted<'static>,
    /// What was found in its answer while that passed.
    found: Option<found::Kept>,
    /// What it holds of budgets: of its request, and of its own.
    grips: (Option<Arc<Grip>>, Option<Grip>),
}

/// A call that is under way. It is recorded as cancelled if nothing else is said.
#[derive(Debug)]
pub(crate) struct Record {
    recorder: Arc<Recorder>,
    facts: Option<Box<Facts>>,
    /// Room for the record of how the call ends.
    place: Option<Place>,
    /// Which session it belongs to, where policies ask what sessions have seen.
    session: Option<(Arc<Taint>, Session)>,
}

/// Where a call came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) endpoint: &'a Arc<str>,
    pub(crate) revision: Option<&'static str>,
    pub(crate) call: CallId,
    pub(crate) trace: Trace,
    /// On [`Clock::monotonic`].
    pub(crate) started: Duration,
}

impl Record {
    /// Begins the record of `call`, which goes to `route`.
    pub(crate) fn begin(
        recorder: &Arc<Recorder>,
        origin: Origin<'_>,
        call: &Call,
        route: &Route,
    ) -> Self {
        // Addresses of resources and ids of tasks may be personal.
        let named = matches!(call.method(), "tools/call" | "prompts/get");
        let facts = Facts {
            id: origin.call,
            trace: origin.trace,
            caller: origin.caller.clone(),
            client: call.meta().client_info().and_then(client_label),
            endpoint: origin.endpoint.clone(),
            server: route.server.clone(),
            method: told(call.method()),
            tool: route.name.as_deref().filter(|_| named).map(told),
            is_listed: route.facts.known,
            revision: origin.revision,
            request_bytes: call.bytes().len() as u64,
            started: origin.started,
            policies: Vec::new(),
            noted: Noted {
                identity: Some(access::recorded(origin.caller)),
                ..Noted::default()
            },
            found: None,
            grips: (None, None),
        };
        Self {
            recorder: recorder.clone(),
            facts: Some(Box::new(facts)),
            place: None,
            session: None,
        }
    }

    /// Makes sure that the end of the call can be recorded: keeps room for it, and
    /// waits for that a little where calls come faster than they are written.
    ///
    /// # Errors
    ///
    /// When there is no room, so that the call must not be sent.
    pub(crate) async fn make_room(&mut self) -> Result<(), AppendError> {
        let ledger = &self.recorder.ledger;
        let place = match ledger.reserve() {
            Err(AppendError::QueueFull) => match timeout(ROOM, ledger.place()).await {
                Ok(place) => place?,
                Err(_) => return Err(AppendError::QueueFull),
            },
            decided => decided?,
        };
        self.place = Some(place);
        Ok(())
    }

    /// Holds what the call took of budgets until its end, and notes it.
    pub(crate) fn hold(&mut self, early: Option<Arc<Grip>>, late: Option<Grip>) {
        if let Some(facts) = &mut self.facts {
            for grip in early.as_deref().into_iter().chain(late.as_ref()) {
                facts.noted.limits.extend(grip.noted());
            }
            facts.grips = (early, late);
        }
    }

    /// A limit has refused the call. Where its refusal is counted with others, this
    /// ends without an entry.
    pub(crate) fn limited(mut self, limited: &Limited) {
        let failure = limited.failure();
        let status = match limited.tells_the_model() {
            true => StatusCode::OK,
            false => failure.status(),
        };
        if !limited.has_an_entry() {
            if let Some(facts) = self.facts.take() {
                self.recorder.tell(facts.about(), failure.fault(), status);
            }
            return;
        }
        self.note(|noted| noted.limits.push(limited.noted()));
        self.stopped(failure.fault(), status);
    }

    /// Gives up the room for its end: that of a stream may be days away.
    pub(crate) fn give_up_room(&mut self) {
        self.place = None;
    }

    /// Returns the id of the call; none once it is recorded.
    pub(crate) fn id(&self) -> String {
        let facts = self.facts.as_ref();
        facts.map(|facts| facts.id.to_string()).unwrap_or_default()
    }

    /// Policy has permitted the call.
    pub(crate) fn permitted(&mut self, policies: &[PolicyId]) {
        if let Some(facts) = &mut self.facts {
            facts.policies = policies.to_vec();
        }
    }

    /// Notes what a part of the checkpoint found out. Nothing once it is recorded.
    pub(crate) fn note(&mut self, add: impl FnOnce(&mut Noted<'static>)) {
        if let Some(facts) = &mut self.facts {
            add(&mut facts.noted);
        }
    }

    /// Remembers which session the call belongs to, for [`Self::session_sees`].
    pub(crate) fn belongs_to(&mut self, taint: &Arc<Taint>, session: Session) {
        self.session = Some((taint.clone(), session));
    }

    /// Notes what the session of the call has seen from now on.
    pub(crate) fn session_sees(&self, risk: Risk) {
        if let Some((taint, session)) = &self.session {
            taint.note(*session, risk);
        }
    }

    /// Records durably that the call is about to be sent.
    ///
    /// # Errors
    ///
    /// When nothing was written, so that the call must not be sent.
    pub(crate) async fn intend(&self) -> Result<(), AppendError> {
        let Some(facts) = &self.facts else {
            return Ok(());
        };
        let event = Event::Intended(Intended {
            subject: facts.subject(),
            policies: facts.policies(),
        });
        let Ok(draft) = event.draft(facts.caller.tenant(), facts.id) else {
            return Err(AppendError::Closed);
        };
        let ledger = &self.recorder.ledger;
        let appending = async {
            loop {
                match ledger.append(vec![draft.clone()]).await {
                    // Nothing was written; there is room again when a place is found.
                    Err(AppendError::QueueFull) => drop(ledger.place().await?),
                    decided => return decided.map(drop),
                }
            }
        };
        timeout(DURABLE, appending)
            .await
            .unwrap_or(Err(AppendError::QueueFull))
    }

    /// Tells the operator why the call is not sent. Every call may fail in the same way.
    pub(crate) fn tell_unrecorded(&self, error: &AppendError) {
        let recorder = &self.recorder;
        let mut unsent = recorder
            .unsent
            .lock()
            .expect("no panic happens while the lock is held");
        if let Some(unsaid) = unsent.again(recorder.clock.monotonic()) {
            let error = WithCauses(error);
            tracing::error!(%error, unsaid, "a call with an effect could not be recorded");
        }
    }

    /// Policy has refused the call.
    pub(crate) fn refused(mut self, policies: &[PolicyId], fault: &Fault, status: StatusCode) {
        self.permitted(policies);
        self.end_refused("refused", fault, status);
    }

    /// Policy has permitted the call, and it was not sent for another reason.
    pub(crate) fn stopped(self, fault: &Fault, status: StatusCode) {
        self.end_refused("permitted", fault, status);
    }

    fn end_refused(mut self, decision: &'static str, fault: &Fault, status: StatusCode) {
        let Some(mut facts) = self.facts.take() else {
            return;
        };
        self.recorder.count(&facts, How::Refused(fault.code()));
        self.recorder.tell(facts.about(), fault, status);
        let noted = facts.take_noted();
        let event = Event::Refused(Refused {
            subject: facts.subject(),
            decision: decision.into(),
            policies: facts.policies(),
            error_code: fault.code().into(),
            http_status: status.as_u16(),
            duration_us: self.recorder.since(facts.started),
            identity: noted.identity,
            limits: noted.limits,
            firewall: noted.firewall,
            contract: noted.contract,
            policy: noted.policy,
        });
        self.recorder.write(&facts, self.place.take(), &event);
    }

    /// The call got no answer of the upstream's.
    pub(crate) fn failed(mut self, outcome: Outcome, code: &str, status: StatusCode) {
        let end = End {
            outcome,
            error_code: Some(code.to_owned()),
            status: Some(status),
            response_bytes: 0,
        };
        self.end(end);
    }

    fn end(&mut self, end: End) {
        let Some(mut facts) = self.facts.take() else {
            return;
        };
        if end.outcome == Outcome::Ok
            && let Some(late) = &mut facts.grips.1
        {
            late.earned();
        }
        let how = How::Sent(end.outcome, end.error_code.as_deref());
        self.recorder.count(&facts, how);
        let noted = facts.take_noted();
        let event = Event::Completed(Completed {
            subject: facts.subject(),
            decision: "permitted".into(),
            policies: facts.policies(),
            outcome: end.outcome,
            error_code: end.error_code.map(Cow::Owned),
            http_status: end.status.map(|status| status.as_u16()),
            duration_us: self.recorder.since(facts.started),
            response_bytes: end.response_bytes,
            identity: noted.identity,
            limits: noted.limits,
            firewall: noted.firewall,
            contract: noted.contract,
            policy: noted.policy,
        });
        self.recorder.write(&facts, self.place.take(), &event);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.end(End {
            outcome: Outcome::Cancelled,
            error_code: None,
            status: None,
            response_bytes: 0,
        });
    }
}

impl Recorder {
    fn count(&self, facts: &Facts, how: How<'_>) {
        let tool = match &facts.tool {
            Some(name) if facts.method == "tools/call" => match facts.is_listed {
                true => Tool::Listed(name),
                false => Tool::Unknown,
            },
            _ => Tool::None,
        };
        let ended = Ended {
            method: &facts.method,
            tool,
            server: facts.server.as_ref().map(ServerId::as_str),
            revision: facts.revision,
            duration: self.clock.monotonic().saturating_sub(facts.started),
        };
        self.metrics.ended(ended, how);
    }

    fn since(&self, started: Duration) -> u64 {
        let taken = self.clock.monotonic().saturating_sub(started);
        u64::try_from(taken.as_micros()).unwrap_or(u64::MAX)
    }

    /// Runs `call` to its end even if the returned future is dropped.
    ///
    /// What it returns to nobody is dropped, and whatever that means is done then.
    pub(crate) fn detached<F>(self: &Arc<Self>, call: F) -> Detached<F>
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Detached {
            call: Some(Box::pin(call)),
            recorder: self.clone(),
        }
    }

    /// Resolves when no call is followed for which nobody waits.
    pub(crate) async fn settled(&self) {
        let all = u32::try_from(MAX_FOLLOWED).expect("a small number");
        let _ = self.followed.acquire_many(all).await;
    }

    /// Goes on with `work` although nobody waits for it, if not too much goes on.
    fn go_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Without a runtime the process is ending: what was not answered by now is
        // recorded as cancelled, and its effect is unknown.
        let runtime = tokio::runtime::Handle::try_current();
        if let (Ok(_), Ok(slot)) = (runtime, self.followed.clone().try_acquire_owned()) {
            self.supervisor
                .spawn("finish a call", OnFailure::Log, async move {
                    work.await;
                    drop(slot);
                });
        }
    }
}

/// A call that is finished in the background if it is dropped.
pub(crate) struct Detached<F: Future<Output = Response<Body>> + Send + 'static> {
    call: Option<Pin<Box<F>>>,
    recorder: Arc<Recorder>,
}

impl<F: Future<Output = Response<Body>> + Send + 'static> Future for Detached<F> {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.call.as_mut().expect("not polled after its end");
        let response = std::task::ready!(call.as_mut().poll(cx));
        self.call = None;
        Poll::Ready(response)
    }
}

impl<F: Future<Output = Response<Body>> + Send + 'static> Drop for Detached<F> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            // The body of the response goes on by itself when it is dropped.
            self.recorder.go_on(async move { drop(call.await) });
        }
    }
}

struct End {
    outcome: Outcome,
    error_code: Option<String>,
    status: Option<StatusCode>,
    response_bytes: u64,
}

impl Facts {
    /// What was noted, with what policies look at in a caller.
    fn take_noted(&mut self) -> Noted<'static> {
        let mut noted = std::mem::take(&mut self.noted);
        if let Some(found) = self.found.take() {
            let found = std::mem::take(&mut *found.lock().expect("the lock is not poisoned"));
            report::note(&mut noted.firewall, found);
        }
        if let Some(policy) = &mut noted.policy {
            let owned = |texts: &[String]| texts.iter().map(|text| text.clone().into()).collect();
            policy.groups = owned(self.caller.groups());
            policy.scopes = owned(self.caller.scopes());
            policy.client = self.caller.client().map(|client| client.to_owned().into());
            policy.issuer = self.caller.issuer().map(|issuer| issuer.to_owned().into());
        }
        noted
    }

    fn about(&self) -> About<'_> {
        About {
            trace: self.trace,
            caller: Some(self.caller.id()),
            tenant: Some(self.caller.tenant().as_str()),
            peer: None,
            endpoint: Some(&self.endpoint),
            call: Some(self.id),
            server: self.server.as_ref(),
            method: Some(&self.method),
            tool: self.tool.as_deref(),
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            call: self.id.to_string().into(),
            caller: event::Caller {
                id: self.caller.id().into(),
                kind: self.caller.kind().as_str().into(),
                attestation: self.caller.attestation().as_str().into(),
            },
            client: self.client.as_deref().map(Cow::Borrowed),
            endpoint: self.endpoint.as_ref().into(),
            server: self.server.as_ref().map(|server| server.as_str().into()),
            method: self.method.as_str().into(),
            tool: self.tool.as_deref().map(Cow::Borrowed),
            revision: self.revision.map(Cow::Borrowed),
            request_bytes: self.request_bytes,
            trace: self.trace.told().map(Cow::Owned),
        }
    }

    fn policies(&self) -> Vec<Cow<'_, str>> {
        let names = self.policies.iter();
        names.map(|policy| policy.as_str().into()).collect()
    }
}

/// Text from outside, short and printable.
fn label(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(MAX_LABEL).map(clean).collect()
}

/// What a client calls something: it may be a secret that stands in the wrong place.
fn told(text: &str) -> String {
    let label = label(text);
    match firewall::is_secret(&label) {
        true => "[redacted]".to_owned(),
        false => label,
    }
}

/// What a client calls itself, as `name/version`.
fn client_label(info: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Info<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow, default)]
        version: Cow<'a, str>,
    }
    let info: Info<'_> = serde_json::from_slice(info).ok()?;
    let version = info.version.chars().take(32);
    let name = info.name.chars().take(64);
    let text: String = name.chain(['/']).chain(version).collect();
    Some(told(text.trim_end_matches('/')))
}
