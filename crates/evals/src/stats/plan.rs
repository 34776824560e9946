//! How many trials, and when to stop: every case is screened, and what fails is
//! confirmed by a sequential test against its own history (Wald 1945).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Tally, interval::within, ratio};

/// Trials of a case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Trials of every case.
    pub screen: u64,
    /// How a case that failed is confirmed. Without it nothing is.
    pub confirm: Option<Sprt>,
}

/// A sequential test between two rates of success.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sprt {
    /// Share of a good case that passes. What the case's own history shows at least, if
    /// there is one, is taken instead.
    pub ok: f64,
    /// How much less is a damage.
    pub drop: f64,
    /// Rate at which a good case is called damaged.
    pub alpha: f64,
    /// Rate at which a damaged case is called good.
    pub beta: f64,
    /// Most trials, the screening included.
    pub max: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            screen: 2,
            confirm: Some(Sprt::default()),
        }
    }
}

impl Default for Sprt {
    fn default() -> Self {
        Self {
            ok: 0.95,
            drop: 0.35,
            alpha: 0.005,
            beta: 0.05,
            max: 40,
        }
    }
}

/// What a sequential test says so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The case is as good as it was.
    Good,
    /// The case is damaged.
    Damaged,
    /// Another trial is needed.
    More,
    /// The most trials were made, and neither is shown.
    Unknown,
}

/// Rates closer to certainty than this say more than so many trials can: one failure
/// would nearly be proof.
const MOST_CERTAIN: f64 = 0.95;
/// What a history shows at least: its own error must not make a good case look damaged.
const AT_LEAST: f64 = 1.5;

impl Plan {
    /// Returns whether a case with this result needs another trial.
    #[must_use]
    pub fn wants_more(&self, tally: Tally, history: Option<Tally>) -> bool {
        tally.trials < self.screen.max(1) || self.decide(tally, history) == Decision::More
    }

    /// Returns what is known of a case: one that passed each time is good.
    #[must_use]
    pub fn decide(&self, tally: Tally, history: Option<Tally>) -> Decision {
        if tally.passed == tally.trials {
            return Decision::Good;
        }
        match &self.confirm {
            Some(sprt) => sprt.decide(tally, history),
            None => Decision::Unknown,
        }
    }
}

impl Sprt {
    /// Returns what the trials of one case say.
    #[must_use]
    pub fn decide(&self, tally: Tally, history: Option<Tally>) -> Decision {
        let history = history.and_then(|history| within(history, AT_LEAST));
        let ok = history.map_or(self.ok, |history| history.low);
        let ok = ok.clamp(0.02, MOST_CERTAIN);
        let bad = (ok - self.drop).max(0.01);
        let failed = tally.trials - tally.passed;
        let evidence = ratio(tally.passed, 1) * (bad / ok).ln()
            + ratio(failed, 1) * ((1.0 - bad) / (1.0 - ok)).ln();
        if evidence >= ((1.0 - self.beta) / self.alpha).ln() {
            Decision::Damaged
        } else if evidence <= (self.beta / (1.0 - self.alpha)).ln() {
            Decision::Good
        } else if tally.trials >= self.max {
            Decision::Unknown
        } else {
            Decision::More
        }
    }
}
