//! What decides the result of a case, as digests: which results a change makes stale.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Job, Run};
use crate::{cassette::fingerprint, suite::Case, tool::Tool};

/// Digests of everything that decides what a case asks and sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Name, wire format and parameters of the model.
    pub model: Arc<str>,
    /// What the model is told to be.
    pub system: Arc<str>,
    /// The case, with the sets, the clock and the defaults of its suite.
    pub case: Arc<str>,
    /// What the server says that it is.
    pub server: Arc<str>,
    /// The judge and its prompt, for cases with rubrics.
    #[serde(default = "nothing", skip_serializing_if = "str::is_empty")]
    pub judge: Arc<str>,
    /// Each tool that the model is shown: its full definition and its place.
    pub tools: Arc<BTreeMap<String, String>>,
}

fn nothing() -> Arc<str> {
    "".into()
}

impl Fingerprint {
    /// Returns the fingerprint of a case that shows `tools`.
    #[must_use]
    pub fn of(job: &Job<'_>, case: &Case, tools: &[Tool]) -> Self {
        let suite = job.suite;
        let clock = suite.clock.as_ref().map(ToString::to_string);
        let tool = |(place, tool): (usize, &Tool)| {
            let digest = fingerprint(&json!([place, tool.definition()]));
            (tool.name().to_owned(), digest)
        };
        Self {
            model: fingerprint(&json!([job.name, job.api, job.params])).into(),
            system: fingerprint(&json!(suite.system)).into(),
            case: fingerprint(&json!([
                case,
                suite.sets,
                clock,
                suite.defaults,
                suite.state
            ]))
            .into(),
            server: fingerprint(job.server.version()).into(),
            judge: match &suite.judge {
                Some(judge) if !case.judge.is_empty() => judge.digest().into(),
                _ => nothing(),
            },
            tools: Arc::new(tools.iter().enumerate().map(tool).collect()),
        }
    }

    /// Returns what differs from `earlier`, in words.
    #[must_use]
    pub fn changes(&self, earlier: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let parts = [
            ("model", &self.model, &earlier.model),
            ("system prompt", &self.system, &earlier.system),
            ("case", &self.case, &earlier.case),
            ("server version", &self.server, &earlier.server),
            ("judge", &self.judge, &earlier.judge),
        ];
        for (what, now, before) in parts {
            if now != before {
                changes.push(what.to_owned());
            }
        }
        for (tool, now) in self.tools.iter() {
            match earlier.tools.get(tool) {
                None => changes.push(format!("new tool {tool}")),
                Some(before) if before != now => changes.push(format!("tool {tool}")),
                Some(_) => {}
            }
        }
        let gone = earlier
            .tools
            .keys()
            .filter(|tool| !self.tools.contains_key(*tool));
        changes.extend(gone.map(|tool| format!("tool {tool} is gone")));
        changes
    }
}

/// Returns the cases of `job` whose last result in `run` is stale, with what changed. A
/// case without a result is stale too.
#[must_use]
pub fn stale(job: &Job<'_>, run: &Run) -> BTreeMap<String, Vec<String>> {
    let mut stale = BTreeMap::new();
    for case in job
        .cases
        .iter()
        .filter_map(|place| job.suite.cases.get(*place))
    {
        let changes = match run.of(&case.id) {
            None => vec!["never run".to_owned()],
            Some(last) => Fingerprint::of(job, &case, &job.shown(&case)).changes(&last.fingerprint),
        };
        if !changes.is_empty() {
            stale.insert(case.id, changes);
        }
    }
    stale
}
