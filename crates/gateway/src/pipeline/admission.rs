//! Whether a call may go on: policies, what its session has seen, and the agreement of a
//! person where one is needed.
//!
//! # Invariants
//!
//! * An agreement is looked for only where policy asks for one, and used up before the
//!   call goes on.
//! * What the gateway asks of a client in its own name never reaches a server: its
//!   answer and its state are taken out of the call.

use airside_base::Kind;
use airside_mcp::{Call, Era, Failure, codes, splice};
use airside_policy::{Action, Asked, Permit, PolicyId, Reason, Refusal, Risk};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::Visitor;
use crate::{
    approval::{self, Answer, Bound, Question, digest, joined},
    authorization::{Asking, Grounds, READS_PRIVATE, READS_UNTRUSTED},
    event,
    federation::{answer, modern, raw},
    record::Record,
    transport::Body,
    upstream::Outbound,
};

/// Name of the gateway's own question among the `inputRequests` of an answer.
const OWN_REQUEST: &str = "airside.approval";
/// Longest arguments that a person is shown, in characters.
const MAX_SHOWN: usize = 2000;

/// Why a call does not go on.
pub(super) enum Stopped {
    /// The client is asked something.
    Answered(Box<Response<Body>>),
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
    ) -> Result<(Permit<Outbound>, Record), Stopped> {
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
                record.refused(&[], failure.fault().code(), failure.status());
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
            Ok(permit) => return Ok((self.seen(permit, &record), record)),
            Err(refused) => *refused,
        };
        if let Reason::NeedsApproval(asked) = refusal.reason()
            && asks
        {
            return self.agree(asked, &refusal, grounds, outbound, record).await;
        }
        Err(self.refused(method, unlisted, &refusal, record))
    }

    /// Notes what the session will have seen when this call is answered. Before it is
    /// sent, since another call may come while its answer passes.
    fn seen(&self, permit: Permit<Outbound>, record: &Record) -> Permit<Outbound> {
        let route = &permit.value().route;
        let labels = self.mount.rules().labels(route);
        let is = |label: &str| labels.iter().any(|own| own == label);
        record.session_sees(Risk {
            untrusted: is(READS_UNTRUSTED),
            private: is(READS_PRIVATE),
            flagged: false,
        });
        permit
    }

    fn refused(&self, method: &str, unlisted: bool, refusal: &Refusal, record: Record) -> Stopped {
        let hidden = refusal.is_hidden();
        let failure = match absence(&self.era, method, unlisted || hidden) {
            Some((status, code)) if hidden || refusal.reason() == Reason::NothingPermits => {
                Failure::new(status, code, refusal.fault())
            }
            _ => forbidden(refusal),
        };
        record.refused(refusal.policies(), failure.fault().code(), failure.status());
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
    ) -> Result<(Permit<Outbound>, Record), Stopped> {
        let Some(call) = outbound.call.take() else {
            return Err(Failure::method_not_found().into());
        };
        let method = call.method().to_owned();
        let stop = |record: Record, policies: &[PolicyId], failure: Failure| {
            record.refused(policies, failure.fault().code(), failure.status());
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
            hint: refusal.hint().map(str::to_owned),
            shown: grounds.shown(&outbound.route),
        };
        record.note(|all| {
            if let Some(policy) = &mut all.policy {
                policy.asks = Some(asked.as_str().into());
            }
        });
        let id = record.id();
        let settled = match own_answer(&call) {
            Some((ticket, yes)) => {
                let answered = self
                    .approvals
                    .answered(&question, (&ticket, yes), &id)
                    .await;
                answered.map(|answer| (ticket, answer))
            }
            None => self.approvals.settle(&question, &id).await,
        };
        let (ticket, answer) = match settled {
            Ok(settled) => settled,
            Err(error) => return Err(stop(record, refusal.policies(), objected(&error))),
        };
        let by = match &answer {
            Answer::Agreed(by) => Some(by.as_str().into()),
            Answer::Denied | Answer::Open => None,
        };
        let noted = event::Approval {
            id: ticket.clone().into(),
            by,
        };
        record.note(|all| {
            if let Some(policy) = &mut all.policy {
                policy.approval = Some(noted);
            }
        });
        match answer {
            Answer::Agreed(by) => {
                outbound.call = Some(without_answer(call));
                let grounds = grounds.agreed(by);
                match self.mount.decide(&self.caller, &method, &grounds, outbound) {
                    Ok(permit) => Ok((self.seen(permit, &record), record)),
                    Err(refused) => Err(self.refused(&method, false, &refused.0, record)),
                }
            }
            Answer::Denied => {
                let denied = approval::Error::from(airside_policy::Objection::Denied);
                Err(stop(record, refusal.policies(), objected(&denied)))
            }
            Answer::Open if asked == Asked::Client && self.can_ask(&call) => {
                record.refused(refusal.policies(), refusal.fault().code(), StatusCode::OK);
                let result = input_required(&question, &call, &ticket).to_string();
                let id = call.id().unwrap_or("null");
                Err(Stopped::Answered(Box::new(answer::result(id, &result))))
            }
            Answer::Open => Err(stop(record, refusal.policies(), waiting(refusal, &ticket))),
        }
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

    /// Whether the client can show its user a question within an answer.
    fn can_ask(&self, call: &Call) -> bool {
        let Era::Modern(_) = self.era else {
            return false;
        };
        let capabilities = call.meta().client_capabilities();
        let capabilities = capabilities.and_then(|text| std::str::from_utf8(text).ok());
        let Some(elicitation) = capabilities.and_then(|text| raw::find(text, "elicitation")) else {
            return false;
        };
        // An empty object means forms, as it did before there were other modes.
        raw::members(elicitation)
            .is_ok_and(|modes| modes.is_empty() || raw::only(&modes, "form").is_some())
    }
}

/// Whether a call is about one thing, so that a person can agree to it.
fn can_be_agreed(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// Returns the ticket and the answer that a client gives to the gateway's own question.
fn own_answer(call: &Call) -> Option<(String, bool)> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let ticket = raw::string(text(call.request_state()?)?)?;
    let answer = raw::find(text(call.input_responses()?)?, OWN_REQUEST)?;
    let answer: Value = serde_json::from_str(answer).ok()?;
    let agreed = answer["action"] == "accept" && answer["content"]["confirm"] == true;
    Some((ticket, agreed))
}

/// Takes the answer to the gateway's own question out of a call.
fn without_answer(call: Call) -> Call {
    if own_answer(&call).is_none() {
        return call;
    }
    let stripped = call.params_span().and_then(|span| {
        let params = std::str::from_utf8(&call.bytes()[span.clone()]).ok()?;
        let members = raw::members(params).ok()?;
        let rest = members
            .iter()
            .filter(|member| !["requestState", "inputResponses"].contains(&&*member.key));
        let rest: Vec<_> = rest
            .map(|member| format!("{}:{}", raw::quote(&member.key), member.value))
            .collect();
        let params = format!("{{{}}}", rest.join(","));
        modern::reparse(&splice(call.bytes(), &[(span, params.as_bytes())]))
    });
    stripped.unwrap_or(call)
}

/// The answer by which a client asks its user (`resultType: input_required`).
fn input_required(question: &Question<'_>, call: &Call, ticket: &str) -> Value {
    let bound = question.bound;
    let arguments = call.arguments().unwrap_or(b"{}");
    let arguments = String::from_utf8_lossy(arguments);
    let visible = |c: char| {
        if c.is_control() || is_invisible(c) {
            '\u{fffd}'
        } else {
            c
        }
    };
    let shown: String = arguments.chars().take(MAX_SHOWN).map(visible).collect();
    let cut = if arguments.chars().count() > MAX_SHOWN {
        " …"
    } else {
        ""
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
        "resultType": "input_required",
        "inputRequests": {
            OWN_REQUEST: {
                "method": "elicitation/create",
                "params": {
                    "mode": "form",
                    "message": message,
                    "requestedSchema": {
                        "type": "object",
                        "properties": {
                            "confirm": { "type": "boolean", "title": "Allow exactly this call, once" }
                        },
                        "required": ["confirm"]
                    }
                }
            }
        },
        "requestState": ticket,
    })
}

/// Characters that hide or turn round what a person reads.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The answer to a call that waits for somebody else.
fn waiting(refusal: &Refusal, ticket: &str) -> Failure {
    let fault = refusal.fault();
    let why = fault
        .hint()
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
