//! Runs suites: which case needs which trial, within which limits, and what is kept.
//!
//! # Invariants
//!
//! * A trial is had, graded and appended to the run before the next one of its case is
//!   chosen, so a run that is interrupted goes on where it was.
//! * Limits of money, tokens and time stop a run before its next request to the model;
//!   cases that were not settled by then are inconclusive.
//! * Conversations are on disk as soon as they have ended; a run holds the sums that
//!   statistics need of each case.
//! * A case keeps the fingerprint of everything that decides what it asks and sees.

mod fingerprint;
mod judge;
mod kept;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_base::Clock;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};

pub use self::{
    fingerprint::{Fingerprint, stale},
    judge::{Attacked, attacked, judge},
    kept::{Keeper, KeptError, Record, Records, Run, Sums, TRIALS, keep_tools, load, tools},
};
use crate::{
    agent::{Act, Conversation, Limits, Purse},
    grade::Verdict,
    model::{Api, Model},
    rubric::Judge,
    stats::{Plan, Tally},
    suite::{Case, Suite},
    tool::Tool,
    toolbox::{Stage, Visit},
};

/// What a run may cost as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Caps {
    /// US dollars.
    pub usd: Option<f64>,
    /// Tokens, in and out.
    pub tokens: Option<u64>,
    /// Time.
    pub wall: Option<Duration>,
}

/// How a suite is run.
pub struct Job<'a> {
    /// The suite.
    pub suite: &'a Suite,
    /// Places of the cases of it that are run.
    pub cases: Vec<usize>,
    /// Name of the model.
    pub name: &'a str,
    /// Its wire format.
    pub api: Api,
    /// Sampling parameters.
    pub params: Map<String, Value>,
    /// The tools.
    pub server: &'a dyn Stage,
    /// How many trials.
    pub plan: Plan,
    /// Limits of one conversation.
    pub limits: Limits,
    /// The model that judges, where the suite has one.
    pub judge: Option<Judge<'a>>,
    /// Limits of the run.
    pub caps: Caps,
    /// Conversations at once.
    pub jobs: usize,
    /// What an earlier run gave, by case.
    pub history: BTreeMap<String, Tally>,
    /// Names the sandboxes of this run.
    pub sandbox: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// What a run has cost so far, and what it may cost.
pub struct Spent<'a> {
    caps: Caps,
    clock: &'a dyn Clock,
    started: Duration,
    micro_usd: AtomicU64,
    tokens: AtomicU64,
}

/// A trial that was had, for those who watch.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What was kept of it.
    pub record: &'a Record,
}

impl Job<'_> {
    /// Runs what is missing in `keeper` with `model` and returns the whole run.
    ///
    /// # Errors
    ///
    /// When a trial cannot be kept.
    pub async fn run(
        &self,
        model: &dyn Model,
        keeper: Keeper,
        watch: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Run, KeptError> {
        let spent = Spent::new(self.caps, &*self.clock);
        let usage = keeper.usage();
        spent.spend(usage.tokens_in + usage.tokens_out, usage.usd);
        let keeper = Mutex::new(keeper);
        let cases = self.cases.iter();
        let cases = cases.filter_map(|place| self.suite.cases.get(*place));
        let cases = stream::iter(cases).map(|case| {
            let (keeper, spent) = (&keeper, &spent);
            async move { self.case(&case, model, keeper, spent, watch).await }
        });
        let at_once = match self.suite.state.reset.is_empty() {
            true => self.jobs.max(1),
            // Nobody else changes what is brought back.
            false => 1,
        };
        let mut running = cases.buffer_unordered(at_once);
        while let Some(done) = running.next().await {
            done?;
        }
        drop(running);
        let keeper = keeper.into_inner();
        Ok(keeper
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .finish())
    }

    async fn case(
        &self,
        case: &Case,
        model: &dyn Model,
        keeper: &Mutex<Keeper>,
        spent: &Spent<'_>,
        watch: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<(), KeptError> {
        let tools = self.shown(case);
        let fingerprint = Fingerprint::of(self, case, &tools);
        let history = self.history.get(&case.id).copied();
        let (mut tally, mut trial) = lock(keeper).tally(&case.id, &fingerprint);
        let mut invalid = 0;
        while self.plan.wants_more(tally, history) && invalid < MAX_INVALID {
            if spent.over().is_some() {
                break;
            }
            let acts = acts(case, trial);
            let lane = format!("{}#{trial}", case.id);
            let name: String = format!("{}-{}-{trial}", self.sandbox, case.id)
                .chars()
                .take(MAX_SANDBOX)
                .collect();
            let toolbox = self.server.open(Visit {
                lane: &lane,
                sandbox: &name,
                probes: &self.suite.state,
                case: &case.id,
                attack: case.inject.as_ref(),
            });
            let trace = Conversation {
                model,
                toolbox: &*toolbox,
                tools: &tools,
                name: self.name,
                system: &self.suite.system,
                params: &self.params,
                lane: &lane,
                limits: self.limits,
                clock: &*self.clock,
                purse: spent,
            }
            .run(&acts)
            .await;
            let mut grade = judge(self.suite, case, &trace, self.server.tools());
            let judged = match &self.judge {
                // What failed a check has failed, whatever anybody thinks of it.
                Some(judge) if grade.verdict == Verdict::Pass => {
                    let judged = judge.of(&case.judge, &trace, &lane, spent).await;
                    judge.weigh(&mut grade, &judged);
                    judged
                }
                _ => Vec::new(),
            };
            match grade.verdict {
                Verdict::Pass => tally.add(true),
                Verdict::Fail => tally.add(false),
                Verdict::Inconclusive | Verdict::Invalid => invalid += 1,
            }
            let record = Record {
                case: case.id.clone(),
                trial,
                verdict: grade.verdict,
                reasons: grade.reasons,
                fingerprint: fingerprint.clone(),
                trace,
                judged,
            };
            watch(Progress { record: &record });
            lock(keeper).add(&record)?;
            trial += 1;
        }
        Ok(())
    }

    /// The tools that a case shows to the model.
    fn shown(&self, case: &Case) -> Vec<Tool> {
        let all = self.server.tools();
        let tools = crate::tool::Tools {
            all,
            sets: &self.suite.sets,
        };
        let shown = all.iter().filter(|tool| {
            let wanted = case.tools.as_ref();
            wanted.is_none_or(|wanted| wanted.selects(tool.name(), tools))
        });
        shown.cloned().collect()
    }
}

/// Trials in a row that may show nothing, before a case is given up.
const MAX_INVALID: u32 = 2;
/// Longest name of a sandbox.
const MAX_SANDBOX: usize = 64;

fn lock(keeper: &Mutex<Keeper>) -> std::sync::MutexGuard<'_, Keeper> {
    keeper
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What the user says in a trial: paraphrases take turns with the case's own words.
fn acts(case: &Case, trial: u64) -> Vec<Act<'_>> {
    let ways = u64::try_from(case.paraphrases.len()).unwrap_or(0) + 1;
    let way = usize::try_from(trial % ways).unwrap_or(0);
    match way.checked_sub(1).and_then(|way| case.paraphrases.get(way)) {
        Some(paraphrase) => vec![Act::Ask(paraphrase)],
        None => case.acts(),
    }
}

impl<'a> Spent<'a> {
    /// Returns a purse from which nothing is spent yet.
    #[must_use]
    pub fn new(caps: Caps, clock: &'a dyn Clock) -> Self {
        Self {
            caps,
            clock,
            started: clock.monotonic(),
            micro_usd: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
        }
    }
}

impl Purse for Spent<'_> {
    fn over(&self) -> Option<&'static str> {
        let usd = crate::stats::ratio(self.micro_usd.load(Ordering::Relaxed), 1_000_000);
        let tokens = self.tokens.load(Ordering::Relaxed);
        let wall = self.clock.monotonic().saturating_sub(self.started);
        if self.caps.usd.is_some_and(|most| usd >= most) {
            Some("the money of the run")
        } else if self.caps.tokens.is_some_and(|most| tokens >= most) {
            Some("the tokens of the run")
        } else if self.caps.wall.is_some_and(|most| wall >= most) {
            Some("the time of the run")
        } else {
            None
        }
    }

    fn spend(&self, tokens: u64, usd: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "micro dollars of one request"
        )]
        let micro = (usd.clamp(0.0, 1e9) * 1e6).ceil() as u64;
        self.micro_usd.fetch_add(micro, Ordering::Relaxed);
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
    }
}

/// Opens the run of `job` in `folder`, or begins one there.
///
/// # Errors
///
/// When the folder cannot be used, or holds a run of another suite.
pub fn keep(folder: &Path, job: &Job<'_>) -> Result<Keeper, KeptError> {
    let judge = job.judge.map(|judge| judge.standing.clone());
    Keeper::open(folder, &job.suite.suite, job.name, job.plan, judge)
}
