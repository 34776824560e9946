//! The way of one request, from its head to its record.
//!
//! # Invariants
//!
//! * The order is that of cost and of trust: what costs least and knows least comes
//!   first. No body is read for somebody unknown, nothing is parsed that is too
//!   large, nothing is sent that was not permitted, nothing with an effect is sent
//!   that is not on record.
//! * Every way out answers with a specified status and code, and every call that
//!   policy was asked about leaves one record.

mod admission;
mod inquiry;
mod screening;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use airside_base::{CallId, Clock, ServerId, WithCauses};
use airside_firewall::{Checked, Firewall};
use airside_identity::{self as identity, Caller, Identity, PeerCertificate};
use airside_ledger::AppendError;
use airside_limits::{After, Aim, Fields, Grip, Limited, Plan};
use airside_mcp::{
    Body, Call, Era, Failure, Incoming, Limits, ParseError, Revision,
    body::{empty_response, is_event_stream},
    era::{self, EraError},
    header, result_body,
    sse::Event,
};
use airside_policy::Permit;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header::EXPECT,
    request::Parts,
};

use self::admission::{Admitted, Stopped};
use crate::{
    access,
    approval::{Agreement, Desk},
    authorization::Grounds,
    body,
    config::WhenFull,
    contracts,
    draining::Drain,
    event::Outcome,
    faults::{self, Rejection},
    federation::{self, Audience, Route, Visit, batch},
    head::Verb,
    lines::About,
    parting,
    record::{Asked, Origin, Record, Recorder},
    snapshot::{Mount, Snapshot},
    trace::Trace,
    upstream::Outbound,
};

/// What all requests of a process share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) approvals: Desk,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The connection of a request.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// What the client showed in its TLS handshake.
    pub(crate) certificate: Option<PeerCertificate>,
    /// Whether there is TLS.
    pub(crate) secure: bool,
    /// The end of the thread that serves it.
    pub(crate) drain: Drain,
}

/// Answers one request.
pub(crate) async fn serve<B>(node: &Node, link: &Link, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let (mut head, mut body) = request.into_parts();
    let waits = head.headers.contains_key(EXPECT);
    let call = CallId::generate(&*node.clock);
    let mut seen = Seen {
        call,
        trace: Trace::of(&mut head.headers, call),
        endpoint: None,
        caller: None,
    };
    let admitted = tokio::select! {
        biased;
        admitted = admit(node, link, head, &mut body, &mut seen) => admitted,
        () = link.drain.is_over() => Err(Rejection::Stopping { effect: false }.into()),
    };
    match admitted {
        Ok(response) => response,
        Err(refused) => {
            let code = refused.failure.fault().code();
            node.recorder.metrics().refused(code);
            if !refused.is_told {
                let failure = &refused.failure;
                let about = seen.about(link);
                node.recorder.tell(about, failure.fault(), failure.status());
            }
            if !waits {
                body::discard(body).await;
            }
            refused.answer(seen.trace)
        }
    }
}

/// What is known of a request so far.
struct Seen {
    call: CallId,
    trace: Trace,
    endpoint: Option<Arc<str>>,
    caller: Option<Caller>,
}

impl Seen {
    fn about(&self, link: &Link) -> About<'_> {
        let caller = self.caller.as_ref();
        About {
            trace: self.trace,
            caller: caller.map(Caller::id),
            tenant: caller.map(|caller| caller.tenant().as_str()),
            peer: Some(link.peer.ip()),
            endpoint: self.endpoint.as_deref(),
            call: None,
            server: None,
            method: None,
            tool: None,
        }
    }
}

/// From the head to a message of a known caller.
async fn admit<B>(
    node: &Node,
    link: &Link,
    mut head: Parts,
    body: &mut B,
    seen: &mut Seen,
) -> Result<Response<Body>, Refused>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let started = node.clock.monotonic();
    let snapshot = node.snapshot.load_full();

    // Is it meant for us, and for which endpoint? A browser on a foreign page ends here.
    snapshot.gate.check_host(&head, link.local.ip())?;
    if let Some(document) = access::metadata(&snapshot, &head) {
        return Ok(document);
    }
    let verb = snapshot.gate.admit(&head, link.local.ip())?;
    let mount = snapshot
        .find_mount(head.uri.path())
        .ok_or(Rejection::Path)?;
    seen.endpoint = Some(mount.path.clone());

    // Who calls? Before a byte of the body is read.
    let identified = snapshot.identity.identify(&identity::Head {
        method: &head.method,
        uri: &head.uri,
        headers: &head.headers,
        peer: link.peer,
        certificate: link.certificate.as_ref(),
        secure: link.secure,
    });
    let refuse = |error| Refused::identity(&snapshot.identity, &error, &mount);
    let claim = identified.resolve().await.map_err(refuse)?;
    seen.caller = Some(claim.caller().clone());

    // Is there room for one more request of this caller's?
    let limits = snapshot.limits.clone();
    let early = match &limits {
        Some(limits) => limits.enter(claim.caller()).await?,
        None => None,
    };

    // What is said? Within size and time; the bytes are kept as they came.
    let (caller, message) = match verb {
        Verb::Post => {
            let bytes = body::read(body, snapshot.max_body_bytes, snapshot.body_timeout).await?;
            let caller = claim.check_body(&bytes).map_err(refuse)?;
            let limits = Limits::DEFAULT.with_size(snapshot.max_body_bytes);
            (caller, Some(Incoming::parse(&bytes, &limits)?))
        }
        Verb::Get | Verb::Delete => (claim.check_body(b"").map_err(refuse)?, None),
    };

    if let Some(Incoming::Request(call)) = &message {
        seen.trace = seen.trace.named_by(call, &mut head.headers);
    }

    // In which era? Stateless, or in a session of this very caller.
    let session = mount.endpoint.session(&head.headers, &caller);
    let era = era::decide(&head.method, &head.headers, session, message.as_ref())
        .map_err(|error| Refused::era(&error, message.as_ref()))?;

    let visitor = Visitor {
        started,
        call: seen.call,
        trace: seen.trace,
        when_full: snapshot.when_full,
        recorder: node.recorder.clone(),
        approvals: node.approvals.clone(),
        clock: node.clock.clone(),
        drain: link.drain.clone(),
        identity: snapshot.identity.clone(),
        current: node.snapshot.clone(),
        mount,
        caller,
        headers: head.headers,
        era,
        firewall: snapshot.firewall.clone(),
        limits,
        early,
        is_alone: true,
    };
    match message {
        Some(Incoming::Request(call)) => visitor.call(call).await,
        Some(Incoming::Batch(messages)) => visitor.batch(messages).await,
        Some(message) => visitor.deliver(message).await,
        None => visitor.attend(verb).await,
    }
}

/// Somebody known, at an endpoint.
#[derive(Clone)]
struct Visitor {
    started: Duration,
    /// Id of the call; of each its own in a batch.
    call: CallId,
    trace: Trace,
    when_full: WhenFull,
    recorder: Arc<Recorder>,
    approvals: Desk,
    clock: Arc<dyn Clock>,
    drain: Drain,
    identity: Identity,
    /// The configuration as it is at any later moment.
    current: Arc<ArcSwap<Snapshot>>,
    mount: Arc<Mount>,
    caller: Caller,
    headers: HeaderMap,
    era: Era,
    firewall: Option<Arc<Firewall>>,
    limits: Option<Arc<Plan>>,
    /// What the request holds of budgets until all its calls have ended.
    early: Option<Arc<Grip>>,
    /// Whether the answer is a response of its own, and not one of a batch.
    is_alone: bool,
}

impl Visitor {
    /// A call: decided about, sent once, followed to its end.
    async fn call(self, call: Call) -> Result<Response<Body>, Refused> {
        let id = call.id().map(Box::<str>::from);
        let refuse = |failure: Failure| Refused::new(id.clone(), failure);

        // Where does it go, and what does the server say of the tool?
        let route = self.mount.endpoint.route(&call, &self.caller).await;
        let route = route.map_err(|error| refuse(error.failure()))?;
        if let Era::Modern(_) = self.era {
            header::check(&self.headers, &call, route.params.as_deref())
                .map_err(|mismatch| refuse(mismatch.failure()))?;
        }

        // Does it hold what must not pass? What can be taken out of it is gone from here on.
        let Checked {
            call,
            findings,
            stop,
        } = self.check(call, &route);
        let mut record = self.begin(&call, &route);
        // From here on the record tells of refusals.
        let refuse = |failure: Failure| refuse(failure).told();
        record.found(&findings);
        if let Some(stop) = stop {
            record.refused(&[], stop.fault(), StatusCode::OK);
            return Ok(stop.answer(id.as_deref(), call.method() == "tools/call"));
        }

        // Does its token permit it? A client can ask for more and come again.
        let method = call.method().to_owned();
        if let Err(refused) = self.check_scopes(&method, &route) {
            let failure = &refused.failure;
            record.refused(&[], failure.fault(), failure.status());
            return Err(refused.with_id(id).told());
        }

        // Is it kept from callers because something is wrong with its server?
        if let Some(failure) = self.mount.barred(&method, &route) {
            record.refused(&[], failure.fault(), failure.status());
            return Err(refuse(failure));
        }

        // Is it the tool that was accepted? No policy lets another one through.
        if let Some(failure) = contracts::refused(route.contract.as_deref(), &mut record) {
            record.refused(&[], failure.fault(), failure.status());
            return Err(refuse(failure));
        }

        // May it? From here on only a permit carries the call.
        let effect = method == "tools/call" && !route.facts.read_only;
        let outbound = Outbound {
            call: Some(call),
            route,
        };
        let Admitted {
            permit,
            mut record,
            agreement,
        } = match self.authorize(&method, outbound, record).await {
            Ok(admitted) => *admitted,
            Err(Stopped::Answered(response)) => return Ok(*response),
            Err(Stopped::Asks(question)) => return Ok(self.ask(*question)),
            Err(Stopped::Refused(failure)) => return Err(refuse(*failure)),
        };
        record.permitted(permit.policies());

        // Is there room in the budgets of the tool, the server and the person behind it?
        let fields = match self.take(&mut record, &permit).await {
            Ok(fields) => fields,
            Err(limited) => {
                record.limited(&limited);
                let told = limited.result(id.as_deref(), &method, &self.era);
                return told.ok_or_else(|| Refused::limited(id, &limited).told());
            }
        };

        // Do its arguments fit the tool?
        if let Some(stop) = self.misfit(permit.value()) {
            record.stopped(stop.fault(), StatusCode::OK);
            return Ok(stop.answer(id.as_deref(), true));
        }

        // Is it on record? Its end has to find room; what a person agreed to is used up,
        // and an effect is durable, before it can happen.
        let kept = self.put_on_record(&mut record, agreement, effect).await;
        if let Err(failure) = kept {
            record.stopped(failure.fault(), failure.status());
            return Err(refuse(failure));
        }

        let mut response = self.send_once(permit, record, id, effect).await?;
        if let Some(fields) = fields {
            fields.put(response.headers_mut());
        }
        Ok(response)
    }

    /// Takes what the call costs, and has its record hold it. Returns what the answer
    /// says of it.
    async fn take(
        &self,
        record: &mut Record,
        permit: &Permit<Outbound>,
    ) -> Result<Option<Fields>, Limited> {
        let Some(limits) = &self.limits else {
            return Ok(None);
        };
        let Outbound { call, route } = permit.value();
        let late = match call {
            Some(call) => {
                let aim = Aim {
                    server: route.server.as_ref(),
                    name: route.name.as_deref(),
                    read_only: route.facts.read_only,
                };
                let after = After {
                    headers: &self.headers,
                    call,
                    aim,
                };
                limits.admit(&self.caller, after).await?
            }
            None => None,
        };
        let fields = Grip::fields([self.early.as_deref(), late.as_ref()]);
        record.hold(self.early.clone(), late);
        Ok(fields)
    }

    fn check_scopes(&self, method: &str, route: &Route) -> Result<(), Refused> {
        access::check_scopes(&self.identity, &self.caller, method, route)
            .map_err(|error| Refused::identity(&self.identity, &error, &self.mount))
    }

    async fn put_on_record(
        &self,
        record: &mut Record,
        agreement: Option<Box<Agreement>>,
        effect: bool,
    ) -> Result<(), Failure> {
        match record.make_room().await {
            Err(AppendError::QueueFull) if !effect && self.when_full == WhenFull::Serve => {}
            room => room.map_err(|error| unrecorded(record, &error))?,
        }
        if let Some(agreement) = agreement {
            admission::spend(agreement).await?;
        }
        match effect {
            true => record
                .intend()
                .await
                .map_err(|error| unrecorded(record, &error)),
            false => Ok(()),
        }
    }

    /// Sends a call once. A client that goes away cancels a read by that; what has an
    /// effect is followed to its end.
    async fn send_once(
        self,
        permit: Permit<Outbound>,
        record: Record,
        id: Option<Box<str>>,
        effect: bool,
    ) -> Result<Response<Body>, Refused> {
        let (recorder, drain) = (self.recorder.clone(), self.drain.clone());
        let sending = self.send(permit, record, id.clone(), effect);
        let sending = async move {
            match effect {
                true => recorder.detached(sending).await,
                false => sending.await,
            }
        };
        tokio::select! {
            biased;
            response = sending => Ok(response),
            () = drain.is_over() => {
                Err(Refused::new(id, Rejection::Stopping { effect }.failure()))
            }
        }
    }

    async fn send(
        self,
        permit: Permit<Outbound>,
        mut record: Record,
        id: Option<Box<str>>,
        effect: bool,
    ) -> Response<Body> {
        let call = permit.value().call.as_ref();
        let method = call.map_or("", Call::method);
        let listens = method == "subscriptions/listen";
        let audience = match method.ends_with("/list") {
            true => self.mount.audience(&self.caller),
            false => Audience::everyone(),
        };
        let reads = self.reads(method, &permit.value().route);
        let (mount, drain) = (self.mount.clone(), self.drain.clone());
        let (recorder, trace) = (self.recorder.clone(), self.trace);
        let visit = self.visit(audience);
        let answered = mount.endpoint.dispatch(&permit, &visit).await;
        let answered = screening::read(answered, reads, id.as_deref(), || record.notes());
        let asked = Asked {
            id: id.as_deref(),
            effect,
            trace,
        };
        match answered.await {
            Ok(response) if listens && is_event_stream(response.headers()) => {
                let farewell = farewell(id.as_deref());
                record.give_up_room();
                record.follow(parting::at_stop(response, drain.stop(), farewell), &asked)
            }
            Ok(response) if is_event_stream(response.headers()) => {
                let failure = Rejection::Stopping { effect }.failure();
                let last = Event::message(failure.body(id.as_deref())).encode();
                parting::at_stop(record.follow(response, &asked), drain.over(), last)
            }
            Ok(response) => record.follow(response, &asked),
            Err(error) => {
                let failure = error.failure();
                let (fault, status) = (failure.fault(), failure.status());
                match outcome(&error) {
                    Some(outcome) => {
                        let server = permit.value().route.server.as_ref();
                        let who = server.map_or("", ServerId::as_str);
                        if let Some(unlogged) = recorder.tells_of(fault.code(), who) {
                            tracing::warn!(
                                call.id = %record.id(),
                                trace.id = %trace,
                                server.id = server.map(tracing::field::display),
                                code = fault.code(),
                                error = %WithCauses(&error),
                                unlogged = (unlogged > 0).then_some(unlogged),
                                "a call got no answer"
                            );
                        }
                        record.failed(outcome, fault.code(), status);
                    }
                    None => record.stopped(fault, status),
                }
                faults::answer(id.as_deref(), failure, trace)
            }
        }
    }

    /// Several messages of a session of 2025-03-26: each goes the whole way alone, in
    /// their order, and what they are answered is joined.
    async fn batch(mut self, messages: Vec<Incoming>) -> Result<Response<Body>, Refused> {
        self.is_alone = false;
        let mut answers = Vec::new();
        for message in messages {
            match message {
                Incoming::Request(call) => {
                    let id = CallId::generate(&*self.clock);
                    let one = Self {
                        call: id,
                        ..self.clone()
                    };
                    let answer = one.call(call).await;
                    answers.push(answer.unwrap_or_else(|refused| refused.answer(self.trace)));
                }
                // Without an id there is nothing to answer.
                message => drop(self.clone().deliver(message).await),
            }
        }
        match answers.is_empty() {
            true => Ok(empty_response(StatusCode::ACCEPTED)),
            false => Ok(batch::join(answers).await),
        }
    }

    /// A notification, or an answer to a request of the server's.
    async fn deliver(self, message: Incoming) -> Result<Response<Body>, Refused> {
        let message = self.check_message(message)?;
        let method = match &message {
            Incoming::Notification(call) => call.method(),
            Incoming::Request(_) | Incoming::Response(_) | Incoming::Batch(_) => "notifications/",
        };
        self.check_open(method)?;
        let permit = self.admit_to_endpoint(method)?;
        let mount = self.mount.clone();
        let visit = self.visit(Audience::everyone());
        let delivered = mount.endpoint.deliver(&permit, &message, &visit).await;
        delivered.map_err(|error| Refused::new(None, error.failure()))
    }

    /// The stream of a session, or its end.
    async fn attend(self, verb: Verb) -> Result<Response<Body>, Refused> {
        let attended = match verb {
            Verb::Get => {
                self.check_open("subscriptions/listen")?;
                let permit = self.admit_to_endpoint("subscriptions/listen")?;
                let (mount, drain) = (self.mount.clone(), self.drain.clone());
                let reads = self.reads("", &permit.value().route);
                let notes = self.notes();
                let visit = self.visit(Audience::everyone());
                let stream = mount.endpoint.stream(&permit, &visit).await;
                let stream = screening::read(stream, reads, None, || notes).await;
                stream.map(|stream| parting::at_stop(stream, drain.stop(), Bytes::new()))
            }
            Verb::Post | Verb::Delete => {
                let permit = self.admit_to_endpoint("initialize")?;
                let mount = self.mount.clone();
                let visit = self.visit(Audience::everyone());
                mount.endpoint.close(&permit, &visit).await
            }
        };
        attended.map_err(|error| Refused::new(None, error.failure()))
    }

    /// Refuses what is for servers that callers are kept from, all of them. A session may
    /// be ended all the same.
    fn check_open(&self, method: &str) -> Result<(), Refused> {
        let barred = self.mount.barred(method, &Route::anywhere());
        barred.map_or(Ok(()), |failure| Err(Refused::new(None, failure)))
    }

    fn admit_to_endpoint(&self, method: &str) -> Result<Permit<Outbound>, Refused> {
        self.check_scopes(method, &Route::anywhere())?;
        let outbound = Outbound {
            call: None,
            route: Route::anywhere(),
        };
        let grounds = Grounds::bare(self.mount.rules(), self.clock.now());
        self.mount
            .decide(&self.caller, method, &grounds, outbound)
            .map_err(|refused| Refused::new(None, admission::forbidden(&refused.0)))
    }

    fn visit(self, audience: Audience) -> Visit {
        Visit {
            caller: self.caller,
            headers: self.headers,
            era: self.era,
            audience,
        }
    }

    fn begin(&self, call: &Call, route: &Route) -> Record {
        let revision = match self.era {
            Era::Modern(revision)
            | Era::InSession(revision)
            | Era::Stream(revision)
            | Era::End(revision) => Some(revision.as_str()),
            Era::Initialize => None,
        };
        let origin = Origin {
            caller: &self.caller,
            endpoint: &self.mount.path,
            revision,
            call: self.call,
            trace: self.trace,
            started: self.started,
        };
        Record::begin(&self.recorder, origin, call, route)
    }
}

/// The end of a subscription, as its server would say it.
fn farewell(id: Option<&str>) -> Bytes {
    let Some(id) = id else {
        return Bytes::new();
    };
    let result = format!(
        r#"{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#
    );
    Event::message(result_body(id, result.as_bytes())).encode()
}

/// How a call that was permitted ended without an answer; none if it was not sent
/// because of the gateway's own state.
fn outcome(error: &federation::Error) -> Option<Outcome> {
    error.upstream().and_then(crate::upstream::Error::outcome)
}

fn unrecorded(record: &Record, error: &AppendError) -> Failure {
    match error {
        AppendError::QueueFull => Rejection::LedgerFull.failure(),
        other => {
            record.tell_unrecorded(other);
            Rejection::LedgerFailed.failure()
        }
    }
}

/// A request that goes no further.
struct Refused {
    id: Option<Box<str>>,
    failure: Box<Failure>,
    fields: Vec<(HeaderName, HeaderValue)>,
    allow: bool,
    limit: Option<Box<Fields>>,
    /// Whether the log has been told.
    is_told: bool,
}

impl Refused {
    fn new(id: Option<Box<str>>, failure: Failure) -> Self {
        let allow = failure.status() == StatusCode::METHOD_NOT_ALLOWED;
        Self {
            id,
            failure: Box::new(failure),
            fields: Vec::new(),
            allow,
            limit: None,
            is_told: false,
        }
    }

    fn limited(id: Option<Box<str>>, limited: &Limited) -> Self {
        Self {
            limit: Some(Box::new(limited.fields())),
            ..Self::new(id, limited.failure())
        }
    }

    fn identity(identity: &Identity, error: &identity::Error, mount: &Mount) -> Self {
        let (failure, fields) = access::refusal(identity, error, &mount.path);
        Self {
            fields,
            ..Self::new(None, failure)
        }
    }

    fn told(self) -> Self {
        Self {
            is_told: true,
            ..self
        }
    }

    fn with_id(self, id: Option<Box<str>>) -> Self {
        Self { id, ..self }
    }

    fn era(error: &EraError, message: Option<&Incoming>) -> Self {
        let id = match message {
            Some(Incoming::Request(call)) => call.id(),
            _ => None,
        };
        Self::new(id.map(Into::into), error.failure(&Revision::ALL))
    }

    fn answer(self, trace: Trace) -> Response<Body> {
        let mut response = faults::answer(self.id.as_deref(), *self.failure, trace);
        let headers = response.headers_mut();
        for (name, value) in self.fields {
            headers.append(name, value);
        }
        if self.allow {
            // Sessions of the legacy revisions use the other two.
            let allow = HeaderValue::from_static("POST, GET, DELETE");
            headers.insert(http::header::ALLOW, allow);
        }
        if let Some(fields) = self.limit {
            fields.put(headers);
        }
        response
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::new(None, rejection.failure())
    }
}

impl From<Limited> for Refused {
    fn from(limited: Limited) -> Self {
        Self::limited(None, &limited)
    }
}

impl From<ParseError> for Refused {
    fn from(error: ParseError) -> Self {
        Self::new(error.id().map(Into::into), error.failure())
    }
}
