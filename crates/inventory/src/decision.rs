//! How soon a vulnerability of a component has to go, and why.
//!
//! Table rows, not weighted sums: a row can be quoted in an audit. The tables are
//! CERT/CC's deployer table and human impact table and CISA's BOD 26-04.
//!
//! # Invariants
//!
//! * [`decide`] is a function of its [`Inputs`] alone. A stored decision made again from
//!   its inputs by the same [`RULES`] is the same bytes.
//! * Every input carries its source and the day of it. One that nobody stated is
//!   marked as assumed, and never assumed to be harmless.

pub mod derive;
pub mod lane;
pub mod reach;
pub mod sla;
pub mod tables;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::exploit::{Epss, Exploitation, Technical};
pub use tables::{Exposure, Impact, Priority, Timeline};

/// Version of everything that turns inputs into a decision.
pub const RULES: &str = "airside 1 · ssvc:DSOI 1.0.0 · ssvc:HI 2.0.2 · cisa:BOD2604 1.0.0";

/// One input, with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input<T> {
    /// Its value.
    pub value: T,
    /// Who or what says so.
    pub source: String,
    /// The day of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// Nobody stated it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
}

impl<T> Input<T> {
    /// Returns a stated input.
    pub fn stated(value: T, source: impl Into<String>, date: Option<Date>) -> Self {
        Self {
            value,
            source: source.into(),
            date,
            assumed: false,
        }
    }

    /// Returns an input that nobody stated.
    pub fn assumed(value: T, why: impl Into<String>) -> Self {
        Self {
            value,
            source: why.into(),
            date: None,
            assumed: true,
        }
    }
}

/// A reason for a shorter deadline than the table's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// What demands it.
    pub source: String,
    /// Days from the start of the clock, or …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u16>,
    /// … the end of a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
}

/// Everything a decision is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Listed as exploited.
    pub in_kev: Input<bool>,
    /// How far exploitation went.
    pub exploitation: Input<Exploitation>,
    /// Who can reach the server.
    pub exposure: Input<Exposure>,
    /// It can be reached by parties that were not identified.
    pub public: Input<bool>,
    /// An attack can be automated.
    pub automatable: Input<bool>,
    /// What an attacker gets.
    pub technical: Input<Technical>,
    /// What it would do to people and to the business.
    pub impact: Input<Impact>,
    /// A version without the vulnerability is known.
    pub fixable: bool,
    /// Rank inside a lane; decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<Epss>,
    /// Worst CVSS score in tenths; ranks inside a lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvss_tenths: Option<u16>,
    /// Reasons for a shorter deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
    /// Feeds that were too old when this was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<String>,
}

/// A decision with everything it was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Version of the rules.
    pub rules: String,
    /// What went in.
    pub inputs: Inputs,
    /// The deployer table's answer.
    pub priority: Priority,
    /// The directive's answer.
    pub timeline: Timeline,
    /// Days until it has to be gone, from the table and the caps that count days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u16>,
    /// The last day that a cap allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
}

/// Decides. Same inputs, same decision.
#[must_use]
pub fn decide(inputs: Inputs) -> Decision {
    let priority = tables::deployer(
        inputs.exploitation.value,
        inputs.exposure.value,
        inputs.automatable.value,
        inputs.impact.value,
    );
    let timeline = tables::directive(
        inputs.in_kev.value,
        inputs.public.value,
        inputs.automatable.value,
        inputs.technical.value,
    );
    let capped = inputs.caps.iter().filter_map(|cap| cap.days);
    Decision {
        rules: RULES.to_owned(),
        priority,
        timeline,
        days: timeline.days().into_iter().chain(capped).min(),
        until: inputs.caps.iter().filter_map(|cap| cap.until).min(),
        inputs,
    }
}

impl Decision {
    /// Returns whether the same inputs give the same decision by the present rules.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.rules == RULES && decide(self.inputs.clone()) == *self
    }

    /// Returns the order of work inside a lane, the greatest first: exploited, then
    /// EPSS, then CVSS. It decides nothing else.
    #[must_use]
    pub fn rank(&self) -> (bool, u32, u16) {
        let epss = self.inputs.epss.map_or(0, |epss| epss.percentile);
        let cvss = self.inputs.cvss_tenths.unwrap_or(0);
        (self.inputs.in_kev.value, epss, cvss)
    }

    /// Explains the decision, one line for each input and each table.
    #[must_use]
    pub fn explain(&self) -> Vec<String> {
        let i = &self.inputs;
        let mut lines = vec![
            line("in KEV", yes(i.in_kev.value), &i.in_kev),
            line("exploitation", i.exploitation.value.name(), &i.exploitation),
            line("exposure", i.exposure.value.name(), &i.exposure),
            line("publicly exposed", yes(i.public.value), &i.public),
            line("automatable", yes(i.automatable.value), &i.automatable),
            line("technical impact", i.technical.value.name(), &i.technical),
            line("human impact", i.impact.value.name(), &i.impact),
        ];
        lines.push(format!(
            "deployer table (ssvc:DSOI 1.0.0): {} × {} × automatable {} × {} → {}",
            i.exploitation.value.name(),
            i.exposure.value.name(),
            yes(i.automatable.value),
            i.impact.value.name(),
            self.priority.name()
        ));
        lines.push(format!(
            "directive (cisa:BOD2604 1.0.0): KEV {} × public {} × automatable {} × {} → {}",
            yes(i.in_kev.value),
            yes(i.public.value),
            yes(i.automatable.value),
            i.technical.value.name(),
            self.timeline.name()
        ));
        for cap in &i.caps {
            let when = match (cap.days, cap.until) {
                (Some(days), _) => format!("{days} days"),
                (None, Some(until)) => format!("by {until}"),
                (None, None) => continue,
            };
            lines.push(format!("shorter deadline: {when} ({})", cap.source));
        }
        if !i.fixable {
            lines.push(
                "no fixed version is known: the lane is mitigation, with its own deadline"
                    .to_owned(),
            );
        }
        for feed in &i.stale {
            lines.push(format!("made with a stale feed: {feed}"));
        }
        lines.push(format!("rules: {}", self.rules));
        lines
    }
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn line<T>(name: &str, value: &str, input: &Input<T>) -> String {
    let mut text = format!("{name}: {value} ({}", input.source);
    if let Some(date) = input.date {
        text.push_str(&format!(", {date}"));
    }
    text.push_str(if input.assumed { ", assumed)" } else { ")" });
    text
}

impl Exploitation {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Poc => "public PoC",
            Self::Active => "active",
        }
    }
}

impl Technical {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Total => "total",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn inputs() -> Inputs {
        Inputs {
            in_kev: Input::stated(true, "KEV", None),
            exploitation: Input::stated(Exploitation::Active, "KEV", None),
            exposure: Input::stated(Exposure::Open, "gateway", None),
            public: Input::stated(true, "gateway", None),
            automatable: Input::stated(true, "CISA", None),
            technical: Input::stated(Technical::Total, "CISA", None),
            impact: Input::stated(Impact::High, "configuration", None),
            fixable: true,
            epss: None,
            cvss_tenths: Some(98),
            caps: Vec::new(),
            stale: Vec::new(),
        }
    }

    #[test]
    fn stored_decisions_are_made_again_from_their_inputs() {
        let made = decide(inputs());
        assert_eq!(made.priority, Priority::Immediate);
        assert_eq!(made.timeline, Timeline::ThreeDaysForensic);
        let stored = serde_json::to_vec(&made).expect("a decision is JSON");
        let read: Decision = serde_json::from_slice(&stored).expect("what was written");
        assert!(read.holds());
        let again = serde_json::to_vec(&decide(read.inputs)).expect("a decision is JSON");
        assert_eq!(again, stored);
        let mut other = made;
        other.priority = Priority::Defer;
        assert!(!other.holds());
    }

    #[test]
    fn caps_shorten_and_never_lengthen() {
        let mut given = inputs();
        given.in_kev.value = false;
        given.public.value = false;
        assert_eq!(decide(given.clone()).days, Some(60));
        let cap = |days| Cap {
            source: "PCI DSS 6.3.3".to_owned(),
            days: Some(days),
            until: None,
        };
        given.caps = vec![cap(90), cap(30)];
        assert_eq!(decide(given.clone()).days, Some(30));
        given.automatable.value = false;
        let next = decide(given);
        assert_eq!(
            (next.timeline, next.days),
            (Timeline::NextUpgrade, Some(30))
        );
    }

    #[test]
    fn explanations_name_sources_and_assumptions() {
        let mut given = inputs();
        given.exposure = Input::assumed(Exposure::Controlled, "the gateway does not know it");
        given.fixable = false;
        let text = decide(given).explain().join("\n");
        for part in [
            "in KEV: yes (KEV)",
            "exposure: controlled (the gateway does not know it, assumed)",
            "active × controlled × automatable yes × high → out-of-cycle",
            "→ 3 days and forensic triage",
            "no fixed version is known",
            RULES,
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
