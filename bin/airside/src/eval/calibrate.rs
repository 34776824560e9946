//! `airside eval calibrate`: how well a suite's judge agrees with people, and what its
//! opinions count for.

use std::{path::Path, time::Duration};

use airside_base::{Fault, Kind, SystemClock};
use airside_evals::{
    cassette::{Player, Recorder},
    model::{Endpoint, Model},
    report::Summary,
    rubric::{Calibration, CalibrationError, Judge, Judged, Labels, Opinion, Standing},
    runner::{Caps, Spent},
    stats::Interval,
};
use serde_json::json;

use super::run::{asked, cassette, no_model};
use crate::{
    cli::eval::Calibrate,
    failure::{Exit, Failure},
    output::Out,
    target::{self, block_on},
    text::printable,
};

/// Labels of another opinion that are listed.
const MAX_LISTED: usize = 20;

/// Compares a judge with labels, and keeps what it said.
pub(super) fn run(args: &Calibrate, out: &mut Out) -> Result<(), Failure> {
    let suite = super::suite::load(&args.suite.suite)?;
    let Some(settings) = &suite.judge else {
        let fault = Fault::new(Kind::Invalid, "EVL-065", "the suite has no judge");
        let hint = "add `judge: { model: … }` to the suite";
        return Err(Failure::new(Exit::Usage, fault.with_hint(hint)));
    };
    let labels = Labels::load(&args.labels).map_err(|error| unusable(&args.labels, &error))?;
    let model: Box<dyn Model> = match (&args.replay, args.base_url.clone()) {
        (Some(folder), _) => Box::new(Player::open(folder).map_err(cassette)?),
        (None, None) => {
            return Err(no_model("say where the judge is with --base-url"));
        }
        (None, Some(base)) => {
            let recorder = args.record.as_ref();
            let recorder = recorder.map(|folder| Recorder::new(folder).map_err(cassette));
            let endpoint = Endpoint {
                api: settings.api,
                base,
                key: target::read_key(args.model_key_file.as_deref())?,
                stream: false,
                idle: Duration::from_secs(args.idle),
            };
            asked(endpoint, recorder.transpose()?.as_ref())?
        }
    };
    let clock = SystemClock::new();
    let caps = Caps {
        usd: args.max_usd,
        tokens: args.max_tokens,
        wall: None,
    };
    let unknown = Standing::of(settings, None);
    let judge = Judge {
        model: &*model,
        settings,
        standing: &unknown,
    };
    let spent = Spent::new(caps, &clock);
    let (calibration, differ) =
        block_on(async { Ok(Calibration::of(&judge, &labels, &spent).await) })?;
    let text = serde_json::to_vec_pretty(&calibration).expect("a calibration is JSON");
    std::fs::write(&args.out, text).map_err(|error| {
        let text = format!("cannot write {}: {error}", args.out.display());
        let fault = Fault::new(Kind::Unavailable, "EVL-016", text);
        let hint = "check the folder and its permissions";
        Failure::new(Exit::Failed, fault.with_hint(hint))
    })?;
    let standing = Standing::of(settings, Some(&calibration));
    show(&standing, &differ, out)?;
    match standing.is_calibrated {
        true => Ok(()),
        false => Err(advisory(&standing)),
    }
}

/// Reads what an earlier calibration kept.
pub(super) fn load(path: &Path) -> Result<Calibration, Failure> {
    Calibration::load(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &CalibrationError) -> Failure {
    let why = match error {
        CalibrationError::Read(source) => format!("{error}: {source}"),
        CalibrationError::Malformed(_) => error.to_string(),
    };
    let text = format!("{}: {}", path.display(), printable(&why));
    let fault = Fault::new(Kind::Invalid, "EVL-065", text);
    let hint = "docs/evals.md shows labels; `airside eval calibrate` writes calibrations";
    Failure::new(Exit::Usage, fault.with_hint(hint))
}

fn advisory(standing: &Standing) -> Failure {
    let text = format!("the judge only advises: {}", standing.why);
    let fault = Fault::new(Kind::Conflict, "EVL-066", text);
    let hint = "label more conversations, word the rubrics more clearly, or name another judge";
    Failure::new(Exit::Failed, fault.with_hint(hint))
}

fn show(standing: &Standing, differ: &[(Opinion, Judged)], out: &mut Out) -> Result<(), Failure> {
    if out.is_json() {
        return out.json_pretty(&json!({ "standing": standing, "differ": differ }));
    }
    out.line(&stands(standing))?;
    for (label, judged) in differ.iter().take(MAX_LISTED) {
        let said = json!(judged.opinion);
        let why = judged
            .without
            .as_ref()
            .map(|why| format!(" ({})", json!(why)));
        out.line(&format!(
            "  a person says {}, the judge {said}{}: {}",
            json!(label),
            printable(&why.unwrap_or_default()),
            printable(&judged.rubric),
        ))?;
    }
    Ok(())
}

fn share(interval: Option<Interval>) -> String {
    interval.map_or_else(
        || "unknown".to_owned(),
        |of| format!("{:.2} ({:.2} to {:.2})", of.at, of.low, of.high),
    )
}

/// What the opinions of a judge count for, in words.
fn stands(standing: &Standing) -> String {
    let word = match standing.is_calibrated {
        true => "may fail a case",
        false => "only advises",
    };
    let compared = match standing.labels {
        0 => String::new(),
        labels => format!(
            "; {labels} labels, agreement {}, kappa {}",
            share(standing.agreement),
            share(standing.kappa)
        ),
    };
    let (model, why) = (printable(&standing.model), printable(&standing.why));
    format!("the judge {model} {word}: {why}{compared}")
}

/// Says what a judge thinks of a run.
pub(super) fn told(judge: &Standing, summary: &Summary, out: &mut Out) -> Result<(), Failure> {
    out.line(&format!("\n{}", stands(judge)))?;
    for case in &summary.cases {
        let Some(opinions) = case.opinions else {
            continue;
        };
        if opinions.not_met + opinions.unclear + opinions.none > 0 {
            out.line(&format!(
                "  {}: rubrics met {}, not met {}, unclear {}, no opinion {}",
                printable(&case.id),
                opinions.met,
                opinions.not_met,
                opinions.unclear,
                opinions.none
            ))?;
        }
    }
    Ok(())
}
