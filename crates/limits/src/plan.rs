//! The rules of a snapshot, and how calls pass them.

use std::sync::Arc;

use airside_base::Fault;
use airside_identity::Caller;
use airside_policy::limit::{Ask, Decision, Key, Kind, Level, Now, Rule, Subject, Target};
use http::HeaderValue;

use crate::{
    Limit,
    answer::Limited,
    call::{After, Scene},
    grip::{Earns, Grip, Taken},
    quotas::tenant_of,
    service::{Counters, unknown},
};
/// The limits of one configuration.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) limits: Arc<Counters>,
    early: Arc<[Arc<Compiled>]>,
    late: Arc<[Arc<Compiled>]>,
}

/// A rule and what its answers say.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) rule: Rule,
    /// `RateLimit-Policy`.
    pub(crate) policy: HeaderValue,
    /// What tells its keys apart, in words.
    pub(crate) classes: String,
}

impl Compiled {
    fn new(rule: Rule) -> Self {
        let name = &rule.name;
        let policy = match &rule.kind {
            Kind::Pace(pace) => {
                let window = pace.span_ns().div_ceil(1_000_000_000);
                format!("\"{name}\";q={};w={window}", pace.burst())
            }
            Kind::Concurrent(most) => format!("\"{name}\";q={most};qu=\"concurrent-requests\""),
            Kind::Quota { limit, .. } => format!("\"{name}\";q={limit}"),
            Kind::LookToBook { looks, .. } => {
                let window = looks.window_ns.div_ceil(1_000_000_000);
                format!("\"{name}\";q={};w={window}", looks.floor)
            }
        };
        let classes: Vec<&str> = rule.per.iter().map(|class| class.as_str()).collect();
        let classes = match &classes[..] {
            [] => "all".to_owned(),
            classes => classes.join(" "),
        };
        Self {
            policy: HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("")),
            classes,
            rule,
        }
    }
}

impl Compiled {
    /// Returns what a record says of `cost` units that were asked of it.
    pub(crate) fn noted(&self, cost: u32, level: Level) -> Limit<'static> {
        Limit {
            limit: self.rule.name.to_string().into(),
            key: self.classes.clone().into(),
            cost: u64::from(cost),
            remaining: level.remaining,
        }
    }
}

impl Plan {
    /// Returns the plan of `rules`, which are counted by `limits`.
    #[must_use]
    pub fn new(rules: Vec<Rule>, limits: Arc<Counters>) -> Self {
        let rules = rules.into_iter().map(|rule| Arc::new(Compiled::new(rule)));
        let (early, late): (Vec<_>, Vec<_>) = rules.partition(|rule| rule.rule.is_early());
        Self {
            limits,
            early: early.into(),
            late: late.into(),
        }
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.early.iter().chain(self.late.iter())
    }

    /// Gives all units of `key` of `limit` back, for the reason on record.
    ///
    /// # Errors
    ///
    /// When nothing is known of such a key, or the reason cannot be recorded.
    pub async fn reset(&self, limit: &str, key: &str, reason: &str) -> Result<(), Fault> {
        let rule = self.rules().find(|rule| &*rule.rule.name == limit);
        let measure = rule.and_then(|rule| {
            let tenant = tenant_of(key);
            rule.rule.measure(&tenant, self.limits.now())
        });
        let place = Key {
            rule: limit,
            text: key,
        };
        match measure {
            Some(measure) => self.limits.reset(place, measure, reason).await,
            None => Err(unknown()),
        }
    }

    /// Takes what a request of `caller` costs by its head alone.
    ///
    /// # Errors
    ///
    /// When a budget is used up; nothing was taken then.
    pub async fn enter(&self, caller: &Caller) -> Result<Option<Arc<Grip>>, Limited> {
        if self.early.is_empty() {
            return Ok(None);
        }
        let scene = Scene {
            caller,
            after: None,
        };
        let grip = self.take(&self.early, &scene).await?;
        Ok(Some(Arc::new(grip)))
    }

    /// Takes what a call costs, now that it is known where it goes.
    ///
    /// # Errors
    ///
    /// When a budget is used up; nothing was taken then.
    pub async fn admit(&self, caller: &Caller, after: After<'_>) -> Result<Option<Grip>, Limited> {
        if self.late.is_empty() {
            return Ok(None);
        }
        let scene = Scene {
            caller,
            after: Some(after),
        };
        self.take(&self.late, &scene).await.map(Some)
    }

    async fn take(&self, rules: &[Arc<Compiled>], scene: &Scene<'_>) -> Result<Grip, Limited> {
        let now = self.limits.now();
        let mut grip = Grip::default();
        let mut wanted = Vec::with_capacity(rules.len());
        for rule in rules {
            if !self.meant(rule, scene, &mut grip) {
                continue;
            }
            let key = scene.key(&rule.rule.per, rule.rule.market.as_deref());
            match &rule.rule.kind {
                Kind::Concurrent(most) => self.hold(rule, &key, most.get(), scene, &mut grip)?,
                Kind::Pace(_) | Kind::Quota { .. } | Kind::LookToBook { .. } => {
                    wanted.push((rule, key));
                }
            }
        }
        if wanted.is_empty() {
            return Ok(grip);
        }
        self.count(wanted, scene, now, grip).await
    }

    async fn count(
        &self,
        wanted: Vec<(&Arc<Compiled>, String)>,
        scene: &Scene<'_>,
        now: Now,
        mut grip: Grip,
    ) -> Result<Grip, Limited> {
        let tenant = scene.caller.tenant();
        let asks: Vec<Ask<'_>> = wanted
            .iter()
            .filter_map(|(rule, key)| {
                Some(Ask {
                    key: Key {
                        rule: &rule.rule.name,
                        text: key,
                    },
                    measure: rule.rule.measure(tenant, now)?,
                    cost: rule.rule.cost_of(scene.tool()),
                })
            })
            .collect();
        match self.limits.take(&asks, now).decided().await {
            Decision::Admitted(levels) => {
                let costs: Vec<u32> = asks.iter().map(|ask| ask.cost).collect();
                for (((rule, _), cost), level) in wanted.into_iter().zip(costs).zip(levels) {
                    let rule = rule.clone();
                    grip.taken.push(Taken { rule, cost, level });
                }
                Ok(grip)
            }
            Decision::Refused { at, level } => {
                let (rule, key) = &wanted[at];
                Err(self.limited(rule, key, level, scene))
            }
        }
    }

    fn hold(
        &self,
        rule: &Arc<Compiled>,
        key: &str,
        most: u32,
        scene: &Scene<'_>,
        grip: &mut Grip,
    ) -> Result<(), Limited> {
        let held = self.limits.hold(&rule.rule.name, key, most);
        if let Some(held) = held {
            grip.held.push(held);
            return Ok(());
        }
        let level = Level {
            remaining: 0,
            reset_ns: 0,
            retry_ns: 1_000_000_000,
        };
        Err(self.limited(rule, key, level, scene))
    }

    /// Returns whether `rule` counts the call. One that books is not counted as a
    /// search: it earns some.
    fn meant(&self, rule: &Arc<Compiled>, scene: &Scene<'_>, grip: &mut Grip) -> bool {
        let caller = scene.caller;
        let subject = Subject {
            tenant: caller.tenant(),
            client: caller.client().unwrap_or(caller.id()),
            groups: caller.groups(),
            attestation: caller.attestation().level(),
        };
        if !rule.rule.selects.means(&subject) {
            return false;
        }
        let Some(after) = &scene.after else {
            return true;
        };
        let tool = scene.tool();
        if let (Kind::LookToBook { looks, .. }, Some(tool)) = (&rule.rule.kind, tool)
            && rule.rule.is_book(tool)
        {
            grip.earns.push(Earns {
                limits: self.limits.clone(),
                rule: rule.clone(),
                key: scene.key(&rule.rule.per, rule.rule.market.as_deref()),
                looks: *looks,
            });
            return false;
        }
        rule.rule.selects.aims_at(&Target {
            tool,
            read_only: after.aim.read_only,
            upstream: after.aim.server.map(|server| server.as_str()),
        })
    }

    fn limited(&self, rule: &Arc<Compiled>, key: &str, level: Level, scene: &Scene<'_>) -> Limited {
        let tenant = scene.caller.tenant();
        let own_entry = self
            .limits
            .refused(tenant, &rule.rule.name, key, scene.after.is_some());
        let cost = rule.rule.cost_of(scene.tool());
        Limited {
            rule: rule.clone(),
            level,
            cost,
            own_entry,
        }
    }
}
