//! What the firewall says of the messages of one request.

use airside_firewall::{Answers, Checked, Mirrored, Notes, Place, Stop};
use airside_mcp::{Body, Call, Incoming};
use http::Response;

use super::{Refused, Visitor};
use crate::{
    federation::Route,
    record::{AnswerNotes, Whereabouts},
    upstream::Outbound,
};

impl Visitor {
    pub(super) fn check(&self, call: Call, route: &Route) -> Checked {
        match &self.firewall {
            Some(firewall) => {
                let mirrored = match route.params {
                    None => Mirrored::No,
                    Some(_) => Mirrored::InHeaders,
                };
                firewall.request(call, self.place(route), mirrored)
            }
            None => Checked::passed(call),
        }
    }

    pub(super) fn misfit(&self, outbound: &Outbound) -> Option<Stop> {
        let Outbound { call, route } = outbound;
        let (firewall, schema) = (self.firewall.as_ref()?, route.schema.as_ref()?);
        firewall.misfit(call.as_ref()?, schema, self.place(route))
    }

    fn place<'a>(&'a self, route: &'a Route) -> Place<'a> {
        Place {
            endpoint: &self.mount.path,
            server: route.server.as_ref(),
            tool: route.name.as_deref(),
        }
    }

    /// Returns what reads the answers of `method` at `route`, if anything does.
    pub(super) fn reads(&self, method: &str, route: &Route) -> Option<Answers> {
        let firewall = self.firewall.as_ref()?;
        let spotlight = self.mount.spotlight(route.server.as_ref());
        firewall.answers(method, self.place(route), spotlight)
    }

    pub(super) fn check_message(&self, message: Incoming) -> Result<Incoming, Refused> {
        let Some(firewall) = &self.firewall else {
            return Ok(message);
        };
        let (message, findings) = firewall.message(message, &self.mount.path);
        let whereabouts = Whereabouts::of_message(&self.caller, &self.mount.path);
        self.recorder.found(&whereabouts, "request", &findings);
        message.map_err(|failure| Refused::new(None, failure))
    }

    /// Returns what takes note of findings in what belongs to no call.
    pub(super) fn notes(&self) -> AnswerNotes {
        let whereabouts = Whereabouts::of_message(&self.caller, &self.mount.path);
        self.recorder.notes(whereabouts)
    }
}

/// Has `reads` read an answer to the request `id`.
pub(super) async fn read<E, N: Notes>(
    answered: Result<Response<Body>, E>,
    reads: Option<Answers>,
    id: Option<&str>,
    notes: impl FnOnce() -> N,
) -> Result<Response<Body>, E> {
    match (answered, reads) {
        (Ok(response), Some(reads)) => Ok(reads.read(response, id, notes()).await),
        (answered, _) => answered,
    }
}
