//! How well a judge agrees with people, and what its opinions count for.

use std::{collections::BTreeMap, fs::File, io::Read as _, path::Path};

use serde::{Deserialize, Serialize};

use super::{Judge, Judged, Opinion, Settings};
use crate::{
    agent::Purse,
    stats::{Interval, Tally, ratio, wilson},
    trace::{Step, Trace, Turn},
    yaml,
};

/// Fewest labels that say something about a judge.
const LABELS: u64 = 30;
/// Least agreement beyond chance, at the lower end of its interval: what Landis and Koch
/// (1977) call substantial.
const KAPPA: f64 = 0.6;
/// Largest file, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// What people think of conversations.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Each of them.
    pub labels: Vec<Label>,
}

/// What a person thinks of a conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The property.
    pub rubric: String,
    /// What the person says.
    pub label: Opinion,
    /// What the user asked.
    #[serde(default)]
    pub asked: String,
    /// What the assistant answered.
    #[serde(default)]
    pub answer: String,
    /// The whole conversation instead, as a run keeps it.
    #[serde(default)]
    pub trace: Option<Trace>,
}

/// What a judge said of labelled conversations, as it is kept beside a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Digest of the judge's settings and prompt.
    pub judge: String,
    /// Pairs of what a person and the judge said.
    pub pairs: Vec<(Opinion, Option<Opinion>)>,
}

/// What the opinions of a judge count for, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The model that judges.
    pub model: String,
    /// Whether an opinion may fail a conversation. If not it advises.
    pub is_calibrated: bool,
    /// Why.
    pub why: String,
    /// Labels that it was compared with.
    pub labels: u64,
    /// Share of them that it agrees with, with the interval of 95 %.
    pub agreement: Option<Interval>,
    /// Agreement beyond chance (Cohen 1960), with the interval that follows from it.
    pub kappa: Option<Interval>,
}

/// Why labels or a calibration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] std::io::Error),
    /// It is something else.
    #[error("the file is not what it should be: {0}")]
    Malformed(String),
}

/// Reads a value from a YAML (or JSON) file.
fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CalibrationError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    read.map_err(CalibrationError::Read)?;
    let document = yaml::read(&text);
    let document = document.map_err(|error| {
        let text = format!("line {}: {error}", error.line);
        CalibrationError::Malformed(text)
    })?;
    let value = serde_path_to_error::deserialize(&document.value);
    value.map_err(|error| CalibrationError::Malformed(error.to_string()))
}

impl Labels {
    /// Reads labels from a YAML (or JSON) file.
    ///
    /// # Errors
    ///
    /// [`CalibrationError`].
    pub fn load(path: &Path) -> Result<Self, CalibrationError> {
        load(path)
    }
}

impl Label {
    fn trace(&self) -> Trace {
        self.trace.clone().unwrap_or_else(|| Trace {
            turns: vec![Turn {
                asked: self.asked.clone(),
                steps: vec![Step::Said(self.answer.clone())],
                ..Turn::default()
            }],
            ..Trace::default()
        })
    }
}

impl Calibration {
    /// Reads what was kept.
    ///
    /// # Errors
    ///
    /// [`CalibrationError`].
    pub fn load(path: &Path) -> Result<Self, CalibrationError> {
        load(path)
    }

    /// Has `judge` judge what people have labelled. Returns what it said, and what it
    /// said in full where it is of another opinion or of none.
    pub async fn of(
        judge: &Judge<'_>,
        labels: &Labels,
        purse: &dyn Purse,
    ) -> (Self, Vec<(Opinion, Judged)>) {
        let mut pairs = Vec::new();
        let mut differ = Vec::new();
        for (number, label) in labels.labels.iter().enumerate() {
            let lane = format!("label{number}");
            let judged = judge.ask(&label.rubric, &label.trace(), &lane, purse).await;
            pairs.push((label.label, judged.opinion));
            if judged.opinion != Some(label.label) {
                differ.push((label.label, judged));
            }
        }
        let judge = judge.settings.digest();
        (Self { judge, pairs }, differ)
    }
}

impl Standing {
    /// Returns what the opinions of a judge count for.
    #[must_use]
    pub fn of(settings: &Settings, calibration: Option<&Calibration>) -> Self {
        let mut standing = Self {
            model: settings.model.clone(),
            is_calibrated: false,
            why: "it was not compared with labels of people".to_owned(),
            labels: 0,
            agreement: None,
            kappa: None,
        };
        let Some(calibration) = calibration else {
            return standing;
        };
        let mut tally = Tally::default();
        for (label, said) in &calibration.pairs {
            tally.add(Some(*label) == *said);
        }
        standing.labels = tally.trials;
        standing.agreement = wilson(tally);
        standing.kappa = standing
            .agreement
            .and_then(|agreement| kappa(&calibration.pairs, agreement));
        standing.why = if calibration.judge != settings.digest() {
            "it was calibrated with another model, other parameters or another prompt".to_owned()
        } else if standing.labels < LABELS {
            format!("it was compared with fewer than {LABELS} labels")
        } else {
            match standing.kappa {
                None => "the labels are all the same".to_owned(),
                Some(kappa) if kappa.low < KAPPA => {
                    format!("agreement beyond chance may be below {KAPPA}")
                }
                Some(_) => {
                    standing.is_calibrated = true;
                    format!("agreement beyond chance is at least {KAPPA}")
                }
            }
        };
        standing
    }
}

/// Cohen's kappa at each end of the interval of agreement; none where chance agrees
/// always.
fn kappa(pairs: &[(Opinion, Option<Opinion>)], agreement: Interval) -> Option<Interval> {
    let all = u64::try_from(pairs.len()).ok()?;
    let mut labels: BTreeMap<Option<Opinion>, [u64; 2]> = BTreeMap::new();
    for (label, said) in pairs {
        labels.entry(Some(*label)).or_default()[0] += 1;
        labels.entry(*said).or_default()[1] += 1;
    }
    let counts = labels.values();
    let by_chance: f64 = counts
        .map(|[people, judge]| ratio(*people, all) * ratio(*judge, all))
        .sum();
    if 1.0 - by_chance < 1e-9 {
        return None;
    }
    let beyond = |share: f64| (share - by_chance) / (1.0 - by_chance);
    Some(Interval {
        at: beyond(agreement.at),
        low: beyond(agreement.low),
        high: beyond(agreement.high),
    })
}
