//! Whether a call may go on: policies, what its session has seen, and the agreement of a
//! person where one is needed.
//!
//! # Invariants
//!
//! * An agreement is looked for only where policy asks for one, and used up by the call
//!   that is sent with it: what a limit stops does not use it.
//! * What the gateway asks of a client in its own name never reaches a server: its
//!   answer and its state are taken out of the call.

use std::sync::Arc;

use airside_base::Kind;
use airside_mcp::{Body, Call, Era, Failure, codes, raw, splice};
use airside_policy::{Action, Asked, Permit, PolicyId, Reason, Refusal, Risk};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::Visitor;
use crate::{
    approval::{self, Agreement, Answer, Bound, Question, Said, digest, joined},
    authorization::{Asking, Grounds, READS_PRIVATE, READS_UNTRUSTED},
    event,
    federation::answer,
    head,
    lines::is_invisible,
    record::Record,
    session::{Inquiry, Session, takes_forms},
    upstream::Outbound,
};

/// Name of the gateway's own question among the `inputRequests` of an answer.
const OWN_REQUEST: &str = "airside.approval";
/// Longest arguments that a person is shown, in characters.
const MAX_SHOWN: usize = 2000;

/// A call that policy permits.
pub(super) struct Admitted {
    pub(super) permit: Permit<Outbound>,
    pub(super) record: Record,
    /// What a person agreed to, to be used up before the call is sent.
    pub(super) agreement: Option<Box<Agreement>>,
}

/// What the user of a client with a session is asked.
pub(super) struct Ask {
    pub(super) call: Call,
    /// Id of the approval.
    pub(super) ticket: String,
    /// The member `params` of `elicitation/create`.
    pub(super) form: Value,
    pub(super) session: Arc<Session>,
    pub(super) inquiry: Inquiry,
}

/// Why a call does not go on.
pub(super) enum Stopped {
    /// The client is asked something.
    Answered(Box<Response<Body>>),
    /// The same, within its session: the call goes on with the answer.
    Asks(Box<Ask>),
    /// It is refused.
    Refused(Box<Failure>),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Refused(Box::new(failure))
    }
}

impl Visitor {
    /// Asks policy about a call, and a person where policy wants that.
    pub(super) async fn authorize(
        &self,
        method: &str,
        outbound: Outbound,
        mut record: Record,
    ) -> Result<Box<Admitted>, Stopped> {
        let Some(call) = &outbound.call else {
            return Err(Failure::method_not_found().into());
        };
        let asking = Asking {
            call,
            route: &outbound.route,
        };
        let rules = self.mount.rules();
        let grounds = match Grounds::of(rules, asking, self.clock.now()) {
            Ok(grounds) => grounds,
            Err(_) => {
                let fault = airside_policy::Objection::Argument.fault();
                let failure = Failure::new(StatusCode::OK, codes::INVALID_PARAMS, fault);
                record.refused(&[], failure.fault(), failure.status());
                return Err(failure.into());
            }
        };
        let grounds = match self.mount.reads_risk() && method == "tools/call" {
            true => {
                let taint = &self.mount.endpoint.shared.taint;
                let session = taint.session(&self.caller, &self.headers, call);
                record.belongs_to(taint, session);
                grounds.after(taint.risk(session))
            }
            false => grounds,
        };
        let version = self.mount.policy_version();
        let asks = can_be_agreed(method);
        let noted = grounds.noted(&outbound.route, version, asks);
        record.note(|all| all.policy = Some(noted));
        let unlisted = method == "tools/call" && !outbound.route.facts.known;
        let decided = self.mount.decide(&self.caller, method, &grounds, outbound);
        let (refusal, outbound) = match decided {
            Ok(permit) => return Ok(self.admitted(permit, record, None)),
            Err(refused) => *refused,
        };
        if let Reason::NeedsApproval(asked) = refusal.reason()
            && asks
        {
            return self.agree(asked, &refusal, grounds, outbound, record).await;
        }
        if unlisted
            && !refusal.is_hidden()
            && refusal.reason() == Reason::NothingPermits
            && let Some(error) = &outbound.route.absence
        {
            // That it is not listed says nothing: the server could not be asked.
            let failure = error.failure();
            record.refused(refusal.policies(), failure.fault(), failure.status());
            return Err(failure.into());
        }
        Err(self.refused(method, unlisted, &refusal, record))
    }

    /// Notes what the session will have seen when this call is answered. Before it is
    /// sent, since another call may come while its answer passes.
    fn admitted(
        &self,
        permit: Permit<Outbound>,
        record: Record,
        agreement: Option<Box<Agreement>>,
    ) -> Box<Admitted> {
        let route = &permit.value().route;
        let labels = self.mount.rules().labels(route);
        let is = |label: &str| labels.iter().any(|own| own == label);
        record.session_sees(Risk {
            untrusted: is(READS_UNTRUSTED),
            private: is(READS_PRIVATE),
            flagged: false,
        });
        Box::new(Admitted {
            permit,
            record,
            agreement,
        })
    }

    fn refused(&self, method: &str, unlisted: bool, refusal: &Refusal, record: Record) -> Stopped {
        let hidden = refusal.is_hidden();
        let failure = match absence(&self.era, method, unlisted || hidden) {
            Some((status, code)) if hidden || refusal.reason() == Reason::NothingPermits => {
                Failure::new(status, code, refusal.fault())
            }
            _ => forbidden(refusal),
        };
        record.refused(refusal.policies(), failure.fault(), failure.status());
        failure.into()
    }

    /// Looks for the agreement that `refusal` asks for, or asks for it.
    async fn agree(
        &self,
        asked: Asked,
        refusal: &Refusal,
        grounds: Grounds,
        mut outbound: Outbound,
        mut record: Record,
    ) -> Result<Box<Admitted>, Stopped> {
        let Some(call) = outbound.call.take() else {
            return Err(Failure::method_not_found().into());
        };
        let method = call.method().to_owned();
        let stop = |record: Record, policies: &[PolicyId], failure: Failure| {
            // The hint of the answer may hold words of its user.
            let fault = refusal.fault();
            let is_same = fault.code() == failure.fault().code();
            let told = if is_same { &fault } else { failure.fault() };
            record.refused(policies, told, failure.status());
            Stopped::from(failure)
        };
        let Some(bound) = self.bound(&call, &outbound) else {
            let failure = objected(&approval::Error::Ambiguous);
            return Err(stop(record, refusal.policies(), failure));
        };
        let question = Question {
            bound: &bound,
            asked,
            policies: refusal.policies().iter().map(ToString::to_string).collect(),
            hint: grounds.explained(refusal.hint()),
            shown: grounds.shown(&outbound.route),
        };
        note(&mut record, |policy| {
            policy.asks = Some(asked.as_str().into());
        });
        let said = own_answer(&call);
        let settled = self.settle(&question, said.as_ref(), &record.id()).await;
        let (ticket, answer) = match settled {
            Ok(settled) => settled,
            Err(error) => return Err(stop(record, refusal.policies(), objected(&error))),
        };
        let by = match &answer {
            Answer::Agreed(agreement) => Some(agreement.by().as_str().into()),
            Answer::Denied | Answer::Open => None,
        };
        note(&mut record, |policy| {
            let id = ticket.clone().into();
            policy.approval = Some(event::Approval { id, by });
        });
        match answer {
            Answer::Agreed(agreement) => {
                outbound.call = Some(without_answer(call));
                let grounds = grounds.agreed(agreement.by());
                match self.mount.decide(&self.caller, &method, &grounds, outbound) {
                    Ok(permit) => Ok(self.admitted(permit, record, Some(agreement))),
                    Err(refused) => Err(self.refused(&method, false, &refused.0, record)),
                }
            }
            Answer::Denied => {
                let denied = approval::Error::from(airside_policy::Objection::Denied);
                Err(stop(record, refusal.policies(), objected(&denied)))
            }
            Answer::Open => {
                let asked = match (asked, &said) {
                    (Asked::Client, None) => self.ask_client(&question, call, &ticket),
                    // Whoever put the question away is not asked again.
                    (Asked::Client, Some(_)) | (Asked::Operator, _) => None,
                };
                match asked {
                    Some(asked) => {
                        record.refused(refusal.policies(), &refusal.fault(), StatusCode::OK);
                        Err(asked)
                    }
                    None => Err(stop(
                        record,
                        refusal.policies(),
                        waiting(refusal, question.hint.as_deref(), &ticket),
                    )),
                }
            }
        }
    }

    /// Returns the id of a question and how it stands, now that the client's own person
    /// has perhaps `said` something about it.
    async fn settle(
        &self,
        question: &Question<'_>,
        said: Option<&(String, Said)>,
        call: &str,
    ) -> Result<(String, Answer), approval::Error> {
        let (ticket, yes) = match said {
            Some((ticket, Said::Yes)) => (ticket, true),
            Some((ticket, Said::No)) => (ticket, false),
            Some((_, Said::Nothing)) | None => return self.approvals.settle(question, call).await,
        };
        let answered = self.approvals.answered(question, (ticket, yes), call);
        answered.await.map(|answer| (ticket.clone(), answer))
    }

    /// Asks the person behind the client, where the client can show a question.
    fn ask_client(&self, question: &Question<'_>, call: Call, ticket: &str) -> Option<Stopped> {
        if let Era::Modern(_) = self.era {
            let capabilities = call.meta().client_capabilities()?;
            if !takes_forms(std::str::from_utf8(capabilities).ok()?) {
                return None;
            }
            let result = input_required(&form(question, &call), ticket).to_string();
            let response = answer::result(call.id().unwrap_or("null"), &result);
            return Some(Stopped::Answered(Box::new(response)));
        }
        let session = self.session().filter(|session| session.can_be_asked())?;
        if !self.is_alone || !head::takes_events(&self.headers) {
            return None;
        }
        Some(Stopped::Asks(Box::new(Ask {
            form: form(question, &call),
            call,
            ticket: ticket.to_owned(),
            inquiry: session.inquire()?,
            session,
        })))
    }

    /// Returns the session of the call, if there is one.
    fn session(&self) -> Option<Arc<Session>> {
        let id = self.headers.get(&airside_mcp::header::SESSION_ID)?;
        self.mount.endpoint.find(id.to_str().ok()?, &self.caller)
    }

    /// Returns what an agreement to `call` is bound to; none if its arguments are
    /// ambiguous.
    fn bound(&self, call: &Call, outbound: &Outbound) -> Option<Bound> {
        let arguments = call.arguments().unwrap_or(b"{}");
        let caller = &self.caller;
        let claims = [caller.issuer(), caller.client(), caller.subject()];
        Some(Bound {
            tenant: caller.tenant().clone(),
            kind: caller.kind().as_str(),
            caller: caller.id().to_owned(),
            claims: joined(&claims.map(Option::unwrap_or_default)),
            server: (outbound.route.server.as_ref())
                .map(ToString::to_string)
                .unwrap_or_default(),
            method: call.method().to_owned(),
            name: outbound
                .route
                .name
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
            arguments: digest(std::str::from_utf8(arguments).ok()?)?,
            policy: self.mount.policy_version().to_owned(),
        })
    }
}

/// Uses up what a person agreed to.
pub(super) async fn spend(agreement: Box<Agreement>) -> Result<(), Failure> {
    let spent = agreement.spend().await;
    spent.map_err(|error| objected(&error))
}

/// Notes what policy found out, where it was asked.
fn note(record: &mut Record, add: impl FnOnce(&mut event::Policy<'static>)) {
    record.note(|all| {
        if let Some(policy) = &mut all.policy {
            add(policy);
        }
    });
}

/// Whether a call is about one thing, so that a person can agree to it.
fn can_be_agreed(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// Returns the ticket and the answer that a client gives to the gateway's own question.
fn own_answer(call: &Call) -> Option<(String, Said)> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let ticket = raw::string(text(call.request_state()?)?)?;
    let answer = raw::find(text(call.input_responses()?)?, OWN_REQUEST)?;
    Some((ticket, said(answer)))
}

/// Reads the result of an elicitation.
fn said(result: &str) -> Said {
    let result: Value = serde_json::from_str(result).unwrap_or_default();
    match result["action"].as_str() {
        Some("accept") if result["content"]["confirm"] == true => Said::Yes,
        Some("accept" | "decline") => Said::No,
        // Put away without a choice, or not understood.
        _ => Said::Nothing,
    }
}

/// Takes the answer to the gateway's own question out of a call.
fn without_answer(call: Call) -> Call {
    match own_answer(&call) {
        Some(_) => with_rounds(&call, "").unwrap_or(call),
        None => call,
    }
}

/// Returns `call` as if its client had answered the question `ticket` within it.
pub(super) fn with_answer(call: &Call, ticket: &str, result: &str) -> Option<Call> {
    let result = match said(result) {
        Said::Yes => r#"{"action":"accept","content":{"confirm":true}}"#,
        Said::No => r#"{"action":"decline"}"#,
        Said::Nothing => r#"{"action":"cancel"}"#,
    };
    let ticket = raw::quote(ticket);
    let rounds =
        format!(r#""requestState":{ticket},"inputResponses":{{"{OWN_REQUEST}":{result}}}"#);
    with_rounds(call, &rounds)
}

/// Returns `call` with `rounds` for what its client says of earlier rounds.
fn with_rounds(call: &Call, rounds: &str) -> Option<Call> {
    let span = call.params_span()?;
    let params = std::str::from_utf8(&call.bytes()[span.clone()]).ok()?;
    let members = raw::members(params).ok()?;
    let rest = members
        .iter()
        .filter(|member| !["requestState", "inputResponses"].contains(&&*member.key));
    let mut all: Vec<_> = rest
        .map(|member| format!("{}:{}", raw::quote(&member.key), member.value))
        .collect();
    all.extend((!rounds.is_empty()).then(|| rounds.to_owned()));
    let params = format!("{{{}}}", all.join(","));
    airside_mcp::reparse(&splice(call.bytes(), &[(span, params.as_bytes())]))
}

/// What a person is asked: the member `params` of `elicitation/create`.
fn form(question: &Question<'_>, call: &Call) -> Value {
    let bound = question.bound;
    let arguments = call.arguments().unwrap_or(b"{}");
    let arguments = String::from_utf8_lossy(arguments);
    let visible = |c: char| match c.is_control() || is_invisible(c) {
        true => '\u{fffd}',
        false => c,
    };
    let shown: String = arguments.chars().take(MAX_SHOWN).map(visible).collect();
    let cut = match arguments.chars().count() > MAX_SHOWN {
        true => " …",
        false => "",
    };
    let why = question
        .hint
        .as_deref()
        .unwrap_or("this call needs the agreement of a person");
    let message = format!(
        "{}/{}: {why}. Arguments: {shown}{cut}",
        bound.server, bound.name
    );
    json!({
        "mode": "form",
        "message": message,
        "requestedSchema": {
            "type": "object",
            "properties": {
                "confirm": { "type": "boolean", "title": "Allow exactly this call, once" }
            },
            "required": ["confirm"]
        }
    })
}

/// The answer by which a client asks its user (`resultType: input_required`).
fn input_required(form: &Value, ticket: &str) -> Value {
    json!({
        "resultType": "input_required",
        "inputRequests": { OWN_REQUEST: { "method": "elicitation/create", "params": form } },
        "requestState": ticket,
    })
}

/// The answer to a call that waits for somebody else.
fn waiting(refusal: &Refusal, why: Option<&str>, ticket: &str) -> Failure {
    let fault = refusal.fault();
    let why = why
        .or(fault.hint())
        .map(|hint| format!("{hint}; "))
        .unwrap_or_default();
    let minutes = approval::LIFETIME.as_secs() / 60;
    let fault = fault.with_hint(format!(
        "{why}an operator has been asked (approval {ticket}): call again with the same arguments within {minutes} minutes"
    ));
    Failure::new(StatusCode::FORBIDDEN, codes::POLICY_REFUSED, fault)
        .with_data("approval", json!(ticket))
}

fn objected(error: &approval::Error) -> Failure {
    let fault = error.fault();
    let (status, code) = match fault.kind() {
        Kind::Unavailable | Kind::Internal => {
            (StatusCode::SERVICE_UNAVAILABLE, codes::UPSTREAM_UNAVAILABLE)
        }
        Kind::Invalid => (StatusCode::OK, codes::INVALID_PARAMS),
        _ => (StatusCode::FORBIDDEN, codes::POLICY_REFUSED),
    };
    Failure::new(status, code, fault)
}

pub(super) fn forbidden(refusal: &Refusal) -> Failure {
    let fault = refusal.fault();
    let status = match fault.kind() {
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::FORBIDDEN,
    };
    Failure::new(status, codes::POLICY_REFUSED, fault)
}

/// Returns how a server answers that does not have what is asked for, if it is a
/// tool that nobody lists or a method of no revision: where no policy names it
/// either, it looks as it does there.
fn absence(era: &Era, method: &str, unlisted: bool) -> Option<(StatusCode, i64)> {
    if unlisted {
        return Some((StatusCode::OK, codes::INVALID_PARAMS));
    }
    if Action::of_method(method) != Action::Other {
        return None;
    }
    let status = match era {
        Era::Modern(_) => StatusCode::NOT_FOUND,
        // Within a session 404 says that the session has gone.
        Era::Initialize | Era::InSession(_) | Era::Stream(_) | Era::End(_) => StatusCode::OK,
    };
    Some((status, codes::METHOD_NOT_FOUND))
}
