//! What callers are kept from while something is wrong with a server.
//!
//! # Invariants
//!
//! * A barrier stands before policy and the agreement of persons: nothing of theirs
//!   leads around it.
//! * What it is about is in no list that callers are shown, and the answer to a call of
//!   it names what was decided.

use std::collections::BTreeMap;

use airside_base::{Fault, Kind, ServerId};
use airside_mcp::{Failure, codes};
use http::StatusCode;

/// What callers are kept from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Barred {
    /// The whole server.
    Server,
    /// One of its tools, by the server's own name.
    Tool(String),
    /// Everything of it that nobody could agree to: all but its tools.
    AllButTools,
}

/// Something that callers are kept from, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barrier {
    /// What.
    pub what: Barred,
    /// Id of the finding that it was decided for.
    pub finding: String,
}

/// All barriers, by server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Barriers(BTreeMap<ServerId, Vec<Barrier>>);

impl Barriers {
    /// Adds a barrier before `server`.
    pub fn add(&mut self, server: ServerId, barrier: Barrier) {
        self.0.entry(server).or_default().push(barrier);
    }

    /// Returns whether `server` is asked nothing in the name of callers.
    pub(crate) fn closes(&self, server: &ServerId) -> bool {
        let of = self.0.get(server).into_iter().flatten();
        of.clone().any(|barrier| barrier.what == Barred::Server)
    }

    /// Returns whether callers are kept from the same of `server` as `before`.
    pub(crate) fn are_alike(&self, before: &Self, server: &ServerId) -> bool {
        self.0.get(server) == before.0.get(server)
    }

    /// Returns what stands before `method` on `name` of `server`, the widest first.
    pub(crate) fn find(&self, server: &ServerId, method: &str, name: &str) -> Option<&Barrier> {
        let of = self.0.get(server)?;
        let stands = |barrier: &&Barrier| match &barrier.what {
            Barred::Server => true,
            Barred::Tool(tool) => method == "tools/call" && tool == name,
            Barred::AllButTools => matches!(
                method,
                "resources/read" | "resources/subscribe" | "prompts/get" | "completion/complete"
            ),
        };
        let width = |barrier: &&Barrier| match barrier.what {
            Barred::Server => 0,
            Barred::Tool(_) => 1,
            Barred::AllButTools => 2,
        };
        of.iter().filter(stands).min_by_key(width)
    }
}

impl Barrier {
    /// Returns what a caller is told.
    pub(crate) fn failure(&self) -> Failure {
        let finding = &self.finding;
        let (code, text) = match self.what {
            Barred::Server => (
                "GW-087",
                "the server is in quarantine because of a vulnerability",
            ),
            Barred::Tool(_) => ("GW-088", "the tool is blocked because of a vulnerability"),
            Barred::AllButTools => (
                "GW-089",
                "because of a vulnerability only tools of the server can be called, each time with the agreement of an operator",
            ),
        };
        let hint = format!(
            "use another one meanwhile; an operator reads why with `airside vulns explain {finding}` and ends it with `airside vulns expose {finding}`"
        );
        let fault = Fault::new(Kind::Forbidden, code, text).with_hint(hint);
        Failure::new(StatusCode::FORBIDDEN, codes::POLICY_REFUSED, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crm() -> ServerId {
        "crm".parse().expect("a name")
    }

    fn barriers(all: &[Barred]) -> Barriers {
        let mut barriers = Barriers::default();
        for (number, what) in all.iter().enumerate() {
            let finding = format!("F-{number}");
            let what = what.clone();
            barriers.add(crm(), Barrier { what, finding });
        }
        barriers
    }

    fn check(all: &[Barred], (method, name): (&str, &str), expected: &str) {
        let barriers = barriers(all);
        let found = barriers.find(&crm(), method, name);
        let got = found.map_or("passes".to_owned(), |barrier| {
            let failure = barrier.failure();
            format!("{} {}", failure.fault().code(), barrier.finding)
        });
        assert_eq!(got, expected, "{all:?}");
        let other = "hotels".parse().expect("a name");
        assert!(barriers.find(&other, method, name).is_none(), "others pass");
    }

    #[test]
    fn each_barrier_stops_what_it_is_about_and_nothing_else() {
        let search = ("tools/call", "search");
        let count = ("tools/call", "count");
        let read = ("resources/read", "file:///a");
        let list = ("tools/list", "");
        let tool = [Barred::Tool("search".to_owned())];
        check(&[], search, "passes");
        check(&tool, search, "GW-088 F-0");
        check(&tool, count, "passes");
        check(&tool, ("prompts/get", "search"), "passes");
        check(&tool, list, "passes");
        check(&[Barred::AllButTools], search, "passes");
        check(&[Barred::AllButTools], read, "GW-089 F-0");
        check(&[Barred::AllButTools], list, "passes");
        for any in [search, read, list, ("initialize", "")] {
            check(&[Barred::Server], any, "GW-087 F-0");
        }
    }

    #[test]
    fn the_widest_barrier_is_named() {
        let all = [Barred::Tool("search".to_owned()), Barred::Server];
        check(&all, ("tools/call", "search"), "GW-087 F-1");
        assert!(barriers(&all).closes(&crm()));
        assert!(!barriers(&all[..1]).closes(&crm()));
    }

    #[test]
    fn callers_learn_what_was_decided_and_how_it_ends() {
        let all = barriers(&[Barred::Server]);
        let barrier = all.find(&crm(), "tools/call", "search").expect("a barrier");
        let failure = barrier.failure();
        let hint = failure.fault().hint().expect("a hint");
        assert!(hint.contains("airside vulns explain F-0"), "{hint}");
        assert_eq!(failure.status(), StatusCode::FORBIDDEN);
    }
}
