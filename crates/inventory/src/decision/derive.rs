//! Inputs of a decision, derived from feeds and from what is known of a server.

use std::str::FromStr as _;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    exploit::{Exploitation, Known, Technical},
    feeds::{Feed, Kind},
    matching::Match,
};

use super::{
    Cap, Exposure, Input, Inputs,
    reach::Reached,
    tables::{Mission, Safety, human},
};

/// Who can reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Anybody, without being identified.
    Public,
    /// Identified callers of a network that others use too.
    Identified,
    /// Processes of one machine.
    Local,
}

/// What the business loses with a server.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Nothing that customers notice.
    Internal,
    /// Something that an essential service leans on.
    Supporting,
    /// Booking, payment, ticketing, check-in, handling of disruptions.
    Essential,
}

/// What kind of data a server holds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// Names, addresses, stays.
    Personal,
    /// Passports and other identity documents.
    Passport,
    /// Payment cards.
    Card,
    /// Health and special needs.
    Health,
}

/// What the tools of a server may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// They read.
    Read,
    /// They change what can be changed back.
    Write,
    /// They move money or do what cannot be undone.
    Irreversible,
}

/// What is known of the place a component runs in. `None` means that nobody said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Who can reach it, and how that is known.
    pub reach: Option<(Reach, String)>,
    /// Who has reached it, by recorded calls.
    #[serde(default, skip_serializing_if = "Reached::is_unknown")]
    pub reached: Reached,
    /// What the business loses with it.
    pub tier: Option<Tier>,
    /// What data it holds.
    pub data: Vec<Data>,
    /// The most its tools may do.
    pub effect: Option<Effect>,
    /// An agent calls it without a person in between.
    pub autonomous: bool,
    /// The due dates of KEV bind.
    pub heed_kev_due: bool,
    /// Days that a contract leaves at most.
    pub contract_days: Option<u16>,
}

/// Derives the inputs for one match. Pure: `today` tells which feeds are stale.
#[must_use]
pub fn inputs(
    found: &Match,
    known: &Known,
    setting: &Setting,
    feeds: &[Feed],
    today: Date,
    stale_after_days: i32,
) -> Inputs {
    let vectors = Vectors::read(&found.vectors);
    let day_of = |kind: Kind| {
        feeds
            .iter()
            .filter(|f| f.kind == kind)
            .filter_map(|f| f.date)
            .max()
    };
    let (exposure, public) = exposure(setting);
    let stale = stale(feeds, today, stale_after_days);
    let tenths = vectors.worst_tenths;
    Inputs {
        in_kev: Input::stated(known.kev.is_some(), "KEV", day_of(Kind::Kev)),
        exploitation: exploitation(found, known, day_of(Kind::Kev)),
        exposure,
        public,
        automatable: automatable(known, &vectors, setting.autonomous),
        technical: technical(known, &vectors),
        impact: impact(setting),
        fixable: !found.fixed.is_empty(),
        epss: known.epss,
        cvss_tenths: tenths,
        caps: caps(known, setting, tenths),
        stale,
    }
}

/// Returns the feeds that are more than `after_days` old.
pub(crate) fn stale(feeds: &[Feed], today: Date, after_days: i32) -> Vec<String> {
    let old = feeds.iter().filter_map(|feed| {
        let date = feed
            .date
            .filter(|_| feed.age_days(today) > Some(after_days))?;
        Some(format!("{} of {date}", feed.name))
    });
    old.collect()
}

fn exploitation(found: &Match, known: &Known, kev_day: Option<Date>) -> Input<Exploitation> {
    // EPSS never says that something is exploited, and points of CISA lag behind KEV.
    if let Some(kev) = known.kev {
        let source = format!("KEV, listed {}", kev.added);
        return Input::stated(Exploitation::Active, source, kev_day);
    }
    if let Some(points) = known.points
        && points.exploitation != Exploitation::None
    {
        return Input::stated(points.exploitation, "CISA", Some(points.date));
    }
    if known.public_exploit {
        return Input::stated(Exploitation::Poc, "public collection of exploits", None);
    }
    if found.demonstrated {
        return Input::stated(Exploitation::Poc, "reference of the advisory", None);
    }
    match known.points {
        Some(points) => Input::stated(Exploitation::None, "CISA", Some(points.date)),
        None => Input::stated(Exploitation::None, "no feed knows an exploit", kev_day),
    }
}

fn exposure(setting: &Setting) -> (Input<Exposure>, Input<bool>) {
    let told = setting.reach.as_ref();
    let wider = setting
        .reached
        .widest()
        .filter(|(_, reach)| told.is_none_or(|(told, _)| exposed(*reach) > exposed(*told)));
    if let Some((caller, reach)) = wider {
        let source = format!("recorded calls: {}", setting.reached.words());
        let date = Some(caller.since);
        return (
            Input::stated(exposed(reach), source.clone(), date),
            Input::stated(reach == Reach::Public, source, date),
        );
    }
    let Some((reach, source)) = told else {
        return (
            Input::assumed(Exposure::Controlled, "nobody said who can reach it"),
            Input::assumed(false, "nobody said who can reach it"),
        );
    };
    let mut source = source.clone();
    if !setting.reached.is_unknown() {
        source.push_str(&format!("; {}", setting.reached.words()));
    }
    (
        Input::stated(exposed(*reach), source.clone(), None),
        Input::stated(*reach == Reach::Public, source, None),
    )
}

fn exposed(reach: Reach) -> Exposure {
    match reach {
        Reach::Public => Exposure::Open,
        Reach::Identified => Exposure::Controlled,
        Reach::Local => Exposure::Small,
    }
}

fn automatable(known: &Known, vectors: &Vectors, autonomous: bool) -> Input<bool> {
    let stated = match (known.points, vectors.supplement, vectors.automatable) {
        (Some(points), _, _) => Input::stated(points.automatable, "CISA", Some(points.date)),
        (None, Some(value), _) => Input::stated(value, "CVSS 4.0, AU", None),
        (None, None, Some(value)) => Input::stated(value, "CVSS: AV, AC, PR and UI", None),
        (None, None, None) => Input::assumed(false, "no points and no CVSS vector"),
    };
    if !stated.value && autonomous && vectors.needs_only_a_user {
        let source = format!(
            "{} says no, for a user has to act; the agent does that by itself",
            stated.source
        );
        return Input::stated(true, source, stated.date);
    }
    stated
}

fn technical(known: &Known, vectors: &Vectors) -> Input<Technical> {
    match (known.points, vectors.total) {
        (Some(points), _) => Input::stated(points.technical, "CISA", Some(points.date)),
        (None, Some(true)) => Input::stated(Technical::Total, "CVSS: C, I and A are high", None),
        (None, Some(false)) => Input::stated(
            Technical::Partial,
            "CVSS: not all of C, I and A are high",
            None,
        ),
        (None, None) => Input::assumed(Technical::Total, "no points and no CVSS vector"),
    }
}

fn impact(setting: &Setting) -> Input<super::Impact> {
    let safety = match setting.data.iter().max() {
        None => Safety::Negligible,
        Some(Data::Personal) => Safety::Marginal,
        Some(Data::Passport | Data::Card | Data::Health) => Safety::Critical,
    };
    let Some(tier) = setting.tier else {
        let value = human(safety.max(Safety::Marginal), Mission::Failure);
        return Input::assumed(value, "nobody said what the business loses with it");
    };
    let mission = match (tier, setting.effect) {
        (Tier::Internal, Some(Effect::Irreversible)) => Mission::Crippled,
        (Tier::Internal, _) => Mission::Degraded,
        (Tier::Supporting, Some(Effect::Irreversible)) => Mission::Failure,
        (Tier::Supporting, _) => Mission::Crippled,
        (Tier::Essential, Some(Effect::Irreversible)) => Mission::Total,
        (Tier::Essential, _) => Mission::Failure,
    };
    let data: Vec<String> = setting
        .data
        .iter()
        .map(|d| format!("{d:?}").to_lowercase())
        .collect();
    let data = if data.is_empty() {
        "no data of people".to_owned()
    } else {
        data.join(", ")
    };
    let tools = setting.effect.map_or(String::new(), |effect| {
        format!(", tools: {}", format!("{effect:?}").to_lowercase())
    });
    let source = format!("tier {}, {data}{tools}", format!("{tier:?}").to_lowercase());
    Input::stated(human(safety, mission), source, None)
}

fn caps(known: &Known, setting: &Setting, tenths: Option<u16>) -> Vec<Cap> {
    let mut caps = Vec::new();
    if let Some(due) = known
        .kev
        .and_then(|kev| kev.due)
        .filter(|_| setting.heed_kev_due)
    {
        caps.push(Cap {
            source: "due date of KEV".to_owned(),
            days: None,
            until: Some(due),
        });
    }
    if setting.data.contains(&Data::Card) && tenths.is_some_and(|tenths| tenths >= 90) {
        caps.push(Cap {
            source: "PCI DSS 6.3.3: critical patches within a month".to_owned(),
            days: Some(30),
            until: None,
        });
    }
    if let Some(days) = setting.contract_days {
        caps.push(Cap {
            source: "contract".to_owned(),
            days: Some(days),
            until: None,
        });
    }
    caps
}

/// What the CVSS vectors of a vulnerability say together.
#[derive(Debug, Default)]
struct Vectors {
    worst_tenths: Option<u16>,
    /// The supplement of CVSS 4.0.
    supplement: Option<bool>,
    automatable: Option<bool>,
    /// Automatable but for the interaction of a user.
    needs_only_a_user: bool,
    total: Option<bool>,
}

impl Vectors {
    fn read(vectors: &[String]) -> Self {
        let mut all = Self::default();
        for vector in vectors {
            let Ok(read) = cvss::Cvss::from_str(vector) else {
                continue;
            };
            all.worst_tenths = all.worst_tenths.max(tenths(read.score()));
            let has = |metric: &str| vector.split('/').any(|part| part == metric);
            let four = vector.starts_with("CVSS:4");
            let open = has("AV:N") && has("AC:L") && has("PR:N") && (!four || has("AT:N"));
            let alone = has("UI:N");
            all.automatable = Some(all.automatable.unwrap_or(false) || (open && alone));
            all.needs_only_a_user |= open && !alone;
            let total = if four {
                has("VC:H") && has("VI:H") && has("VA:H")
            } else {
                has("C:H") && has("I:H") && has("A:H")
            };
            all.total = Some(all.total.unwrap_or(false) || total);
            if has("AU:Y") || has("AU:N") {
                all.supplement = Some(all.supplement.unwrap_or(false) || has("AU:Y"));
            }
        }
        all
    }
}

fn tenths(score: f64) -> Option<u16> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a score lies between 0 and 10"
    )]
    (0.0..=10.0)
        .contains(&score)
        .then(|| (score * 10.0).round() as u16)
}

#[cfg(test)]
mod tests;
